/* disk_impl.h - a queue of records in files.
 *
 *   disk_queue.c     the exporter: takes batches, sends records, counts
 *   disk_segment.c   files of records: append, read, cross out, scan
 *   disk_folder.c    the folder: its lock, its files in their order
 *   disk_sum.c       CRC-32C
 *
 *   folder/lock               held by fcntl as long as the queue is open
 *   folder/0000000000000001   segments; the number says the age
 *     head  32 bytes          magic, state, signal, length, items, encoding, sum
 *     body
 *     head
 *     ...
 *
 * State      the one byte of a record that changes: queued, then sent or dropped. It is not a part
 *            of the sum. A segment goes when none of its records is queued, and nothing more comes.
 * Numbers    are little-endian, so that a folder may move.
 * Locking    one mutex around everything here; it is never held while something is sent.
 */
#ifndef SKUA_OTEL_DISK_IMPL_H
#define SKUA_OTEL_DISK_IMPL_H

#include <pthread.h>
#include <sys/types.h>

#include <skua/otel/disk_queue.h>
#include <skua/time.h>

#include "otel/core/otel_impl.h"
#include "otel/core/otel_warn.h"

#define SKUA__DISK_HEAD 32
#define SKUA__DISK_MAGIC UINT32_C(0x31516b53) /* "SkQ1" */

enum skua__disk_state { SKUA__DISK_QUEUED = 1, SKUA__DISK_SENT = 2, SKUA__DISK_DROPPED = 3 };

/* A head that was read. */
struct skua__disk_record {
    uint64_t at; /* of its head in the file */
    uint32_t len, items, encoding, sum;
    uint8_t state, signal;
};

/* A file; guard of all: the queue's mutex. */
struct skua__disk_segment {
    struct skua__disk_segment *next; /* the younger one */
    uint64_t number;
    uint64_t size;    /* bytes that are good */
    uint64_t next_at; /* the first record that may be queued */
    uint64_t queued;  /* items */
    int fd;
};

struct skua__disk {
    skua_otel_exporter base; /* first */
    skua_otel_exporter_ops ops;
    skua_otel_exporter *inner; /* constant, as the rest up to the mutex */
    char *path;
    uint64_t bytes_max, segment_max;
    int64_t retry_initial, retry_max, send_timeout;
    uint32_t encoding;
    bool refuse_new, sync;
    int folder, lock;
    pid_t process;
    dev_t device; /* of the lock; with the next: who it is within the process */
    ino_t inode;
    struct skua__disk *others; /* open queues; guard: the list's own mutex */
    pthread_mutex_t mutex;
    struct skua__disk_segment *oldest, *youngest; /* mutex, as the rest */
    skua_otel_disk_stats stats;
    bool sending;        /* somebody sends */
    bool doomed;         /* the record that is being sent was given up meanwhile, with its file */
    uint64_t sending_of; /* items of that */
    int64_t asked_at;    /* monotonic; before it the collector is left alone */
    int64_t pause;       /* before it is asked again; 0: it is not away */
};

/* ---- sums (disk_sum.c) ----------------------------------------------------------------------- */

/* CRC-32C (Castagnoli) of what `sum` is of and the bytes behind it; 0 to begin with. */
uint32_t skua__disk_sum(uint32_t sum, const void *bytes, size_t len);

/* ---- segments (disk_segment.c) --------------------------------------------------------------- */

/* Appends a record: 0, or what writing says; then nothing was appended. */
int skua__disk_append(struct skua__disk_segment *segment, skua_otel_signal signal,
                      uint32_t encoding, size_t items, const void *bytes, size_t len, bool sync);
/* The next record that is queued, from next_at on. 1; 0: there is none; -EBADMSG: what stands there
 * is none; other errors of reading. */
int skua__disk_next(struct skua__disk_segment *segment, struct skua__disk_record *record);
/* Reads a record's body, `len` bytes. 0; -EBADMSG: it is not what was written; -EIO … */
int skua__disk_body(const struct skua__disk_segment *segment,
                    const struct skua__disk_record *record, void *bytes);
/* Crosses a record out. */
int skua__disk_mark(const struct skua__disk_segment *segment,
                    const struct skua__disk_record *record, enum skua__disk_state state);
/* Reads all heads and bodies of a file that was found; cuts it where it is not good. `torn`
 * receives the bytes that were cut off. */
int skua__disk_scan(struct skua__disk_segment *segment, uint64_t *torn);

/* ---- the folder (disk_folder.c) -------------------------------------------------------------- */

/* Opens and locks it, and finds its segments. */
int skua__disk_open(struct skua__disk *self);
void skua__disk_close(struct skua__disk *self);
/* A new youngest segment. */
int skua__disk_grow(struct skua__disk *self);
/* Removes the oldest segment with its file. */
void skua__disk_remove(struct skua__disk *self);

#endif
