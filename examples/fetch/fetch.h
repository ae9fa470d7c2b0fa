/* fetch.h - what the parts of fetch know of each other. */
#ifndef FETCH_H
#define FETCH_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <skua/http/client.h>
#include <skua/http/exchange.h>
#include <skua/skua.h>

#define FETCH_NAME 256 /* bytes of a path, with its NUL */

struct options {
    const char *output;    /* the file of the only URL; NULL: named after the URL */
    const char *directory; /* where files go */
    int64_t jobs;          /* downloads at a time */
    int64_t retries;       /* of one download */
    int64_t rate;          /* bytes a second of all together; 0: any */
    bool force;            /* replaces files that are there */
    bool quiet;            /* errors only */
};

enum state { STATE_WAITING = 0, STATE_RUNNING, STATE_PAUSED, STATE_DONE, STATE_FAILED };

/* One URL. Its fiber writes, the one that draws reads. */
struct download {
    const char *url;        /* constant */
    char name[FETCH_NAME];  /* of the file; constant */
    _Atomic int state;      /* an enum state; the last one publishes rc and status */
    _Atomic int64_t total;  /* bytes; -1: not known */
    _Atomic int64_t have;   /* bytes that are in the file */
    _Atomic int64_t resume; /* bytes that were there from an earlier run */
    _Atomic int retries;    /* so far */
    int rc;                 /* 0, or why it has failed */
    int status;             /* of the last answer; 0: there was none */
};

struct fetch {
    const struct options *options;
    struct download *downloads;
    size_t count;
    _Atomic size_t next; /* the first one that nobody works on */
    skua_http_client *client;
    skua_rate_limiter rate; /* of options->rate */
};

/* download.c: gets one to its end, with retries; its state tells how that went. */
void download_run(struct fetch *fetch, struct download *download);

/* part.c: the file that is being filled. */
struct part {
    char path[FETCH_NAME + 16];  /* NAME.part */
    char notes[FETCH_NAME + 16]; /* NAME.part.tag: the URL and what the version is known by */
    char tag[256];               /* an ETag or a date for If-Range; "": none */
    skua_file *file;
    int64_t have; /* bytes that are in it */
};

/* Opens it, with what an earlier run has left if that is of the same URL and can be gone on with.
 * -EBUSY: another process fills it. */
int part_open(struct part *part, const struct download *download);
/* Empties it: from here on it is of the version with this tag. */
int part_restart(struct part *part, const struct download *download, const char *tag);
int part_write(struct part *part, const void *buf, size_t len);
/* Closes it; `done`: it is whole, and gets its name. */
int part_close(struct part *part, const struct download *download, bool done);

/* progress.c: a fiber that tells how far they are, until it is cancelled; then once more. */
int progress_run(void *fetch);

#endif
