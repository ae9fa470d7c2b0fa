/* fs_impl.h - open files, and how a call is run, as the files of this folder see them.
 *
 * A file is a type-stable slot: slots are reused for files only and never given back to the system,
 * so that a call that races with the file's close finds a file and not somebody's memory. Each call
 * takes a reference before its first look; the descriptor is closed when the last reference has
 * gone, so that its number cannot become a stranger's while a call uses it.
 *
 *   event                           life              refs
 *   opened                          odd: open         1, the handle's
 *   a call begins                   seen odd, before  + 1
 *   closed                          even              - 1; then the closer waits for `idle`
 *   the last call ends              even              0: it sets `idle`, or closes (abandoned)
 *   the closer has closed the fd    even              the slot is free
 */
#ifndef SKUA_FS_FS_IMPL_H
#define SKUA_FS_FS_IMPL_H

#include <skua/file.h>
#include <skua/fs.h>
#include <skua/notify.h>

#include "drive/drive_impl.h"

struct statx;

struct skua_file {
    _Atomic uint32_t life;    /* odd while open; every opening and every close adds one */
    _Atomic uint32_t refs;    /* see above */
    int fd;                   /* constant while there is a reference */
    unsigned flags;           /* SKUA__OPEN_…; constant while there is a reference */
    _Atomic uint8_t seekable; /* 0: nobody has asked yet; SKUA__FILE_SEEKS, …_NOT. Relaxed */
    bool abandoned;           /* nobody waits for `idle`; the closer, before it lets go */
    _Atomic int write_error;  /* of a write, that no sync has told of yet; 0 = none */
    skua_mutex cursor;        /* guards the kernel's cursor of fd */
    skua_event idle;          /* the last call has ended, after the close */
    void *next_free;          /* the slots' */
};

/* ---- running (fs_run.c) ---------------------------------------------------------------------- */

/* Says that there is more to do: skua__fs_steps runs the function again. */
#define SKUA__FS_MORE INT64_MAX

/* Whether the caller may wait: on a fiber or a plain thread. */
bool skua__fs_may_wait(void);
/* fn(arg) on a thread of the pool, on a plain thread at once: its result, or why it did not run:
 * -ENOMEM, -EAGAIN, -ECANCELED, -ETIMEDOUT, SKUA_EUSAGE. */
int64_t skua__fs_run(int64_t (*fn)(void *arg), void *arg);
/* The same until it says something else than SKUA__FS_MORE; in between it may be cancelled. */
int64_t skua__fs_steps(int64_t (*fn)(void *arg), void *arg);
/* Calls call(arg) here, and tells of it as an operation.
 *
 * path    what it works on; NULL: a file
 * counts  its result is a count of bytes */
int64_t skua__fs_told(const char *name, const char *path, bool counts, int64_t (*call)(void *arg),
                      void *arg);
/* By skua__file_ring: it is for the pool. */
#define SKUA__FS_ELSEWHERE (INT64_MAX - 1)

/* Closes a descriptor, whatever happens: on a thread of the pool if that can be had. Of the close
 * itself. */
int skua__fs_close(int fd);
/* The metadata of what a system call said. */
void skua__fs_metadata(const struct statx *from, skua_metadata *ret);

/* ---- open files (file.c) --------------------------------------------------------------------- */

/* A slot that is not open yet; NULL: no memory. */
struct skua_file *skua__file_slot(void);
void skua__file_unslot(struct skua_file *file);
/* Opens it: the slot is a file with this descriptor. */
struct skua_file *skua__file_begin(struct skua_file *file, int fd, unsigned flags);
/* A reference, or false: it is closed. */
bool skua__file_hold(struct skua_file *file);
void skua__file_let_go(struct skua_file *file);
/* Remembers a write's failure; returns `rc`. */
int64_t skua__file_wrote(struct skua_file *file, int64_t rc);
/* A write's failure that nobody was told of by a sync: once. */
int skua__file_take_error(struct skua_file *file);

/* By who has a reference: closed meanwhile. */
SKUA__INLINE bool skua__file_closed(struct skua_file *file)
{
    return (skua__load_acquire(&file->life) & 1) == 0;
}

/* 0: the file is held, and the caller may wait; SKUA_EUSAGE, SKUA_ECLOSED. */
int skua__file_enter(struct skua_file *file);

/* ---- in a ring (file_ring.c) ----------------------------------------------------------------- */

#define SKUA__FILE_SEEKS 1u
#define SKUA__FILE_SEEKS_NOT 2u

/* Has the worker's ring do it, for the fiber that calls, which holds the file, and the cursor if
 * that is meant. True: it was done, *ret is what the kernel says. False: nothing was done, *ret
 * says why: SKUA__FS_ELSEWHERE, -ECANCELED, -ETIMEDOUT. The request is the callee's. */
bool skua__file_ring(struct skua_file *file, struct skua__file_request *request, int64_t *ret);

/* ---- whole files (fs_whole.c) ---------------------------------------------------------------- */

/* Bytes of a read or a write that are one job at most. */
#define SKUA__FILE_CHUNK ((size_t)4 << 20)

/* A file that is read to its end, step by step. */
struct skua__slurp {
    int fd;
    char *data; /* `room` bytes, `len` of them filled; freed by whoever gives up */
    size_t len;
    size_t room;
    size_t limit;
};

/* One step, of a chunk at most: SKUA__FS_MORE, 0: at the end; or an error. Blocks. */
int64_t skua__slurp_step(struct skua__slurp *slurp);

#endif
