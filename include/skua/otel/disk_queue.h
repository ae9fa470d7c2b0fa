/* disk_queue.h - telemetry that outlives a collector's outage, and the process: a queue on disk.
 *
 *     rc = skua_otlp_exporter_new(&exporter, NULL);
 *     if (rc == 0)
 *         rc = skua_otel_disk_queue_new(&queue, exporter,
 *                                       SKUA_OTEL_DISK_OPTIONS(.path = "/var/lib/orders/otel"));
 *
 * An exporter around another one. What it is handed is written into a folder before anything is
 * sent; what was sent is crossed out. It is sent oldest first, within the call that has brought
 * something, and in flush and shutdown. When the collector is away it is asked again after pauses
 * that grow; batches go on being taken meanwhile.
 *
 * Room       the folder never has more than .bytes_max. When it is full the oldest are given up, or
 *            what comes is refused: .refuse_new. Both are counted.
 * Crash      each record has its length and a sum (CRC-32C); one that was not written to its end is
 *            cut off at the next start, and is the only one that is lost when the process dies.
 * Power      what the system has not yet written to the disk is lost with it. With .sync each
 *            record is there before the call returns; it costs a disk's time each.
 * Twice      a record that was sent when the process dies, but not crossed out yet, is sent again:
 *            at most one for each delivery under way, which is one.
 * Owner      one process: a second one gets -EBUSY, and so does the child of a fork.
 * Figures    found + taken = sent + rejected + dropped + queued, at any time, in items.
 * Blocking   it reads and writes files on the thread of telemetry, which is its own.
 *
 * Source     OpenTelemetry Collector's persistent queue, Fluent Bit's filesystem buffers.
 */
#ifndef SKUA_OTEL_DISK_QUEUE_H
#define SKUA_OTEL_DISK_QUEUE_H

#include <skua/otel/exporter.h>

SKUA_C_BEGIN

/* Zero, or NULL for all but `path`, means the default. Everything is copied. */
typedef struct skua_otel_disk_options {
    size_t size;           /* of this struct; SKUA_OTEL_DISK_OPTIONS sets it */
    const char *path;      /* a folder, which is made if its parent is there; nobody else's */
    uint64_t bytes_max;    /* of all files; 64 KiB and more; default 256 MiB */
    unsigned refuse_new;   /* 1: what comes when it is full is dropped; 0: the oldest are */
    unsigned sync;         /* 1: written through to the disk, record by record */
    int64_t retry_initial; /* ns that a collector that is away is left alone first; 1 s */
    int64_t retry_max;     /* ns, at most; 30 s */
    int64_t send_timeout;  /* ns that one record may take to be sent; 10 s */
} skua_otel_disk_options;

#ifndef __cplusplus
#define SKUA_OTEL_DISK_OPTIONS(...)                                                                \
    (&(const skua_otel_disk_options){.size = sizeof(skua_otel_disk_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_disk_options_init(skua_otel_disk_options *options);

/* Opens the folder, and takes over what an earlier process has left there.
 *
 * ret        receives it, to be ended by its functions shutdown and free; untouched on failure
 * exporter   where it sends to; one that has `encode` and `export_bytes`. On success it is the
 *            queue's, which shuts it down and frees it
 * options    with a path
 * Returns    0; -EINVAL; -ENOTSUP: the exporter has no halves; -EBUSY: the folder is in use;
 *            -ENOENT, -EACCES, -ENOSPC …: of the file system; -ENOMEM
 * Threads    any; it blocks
 * Since      0.4
 */
SKUA_API SKUA_NODISCARD int skua_otel_disk_queue_new(skua_otel_exporter **ret,
                                                     skua_otel_exporter *exporter,
                                                     const skua_otel_disk_options *options);

/* In items: spans, points of data, log records. */
typedef struct skua_otel_disk_stats {
    uint64_t found;    /* that were there when it was opened */
    uint64_t taken;    /* handed to it since */
    uint64_t sent;     /* that have arrived */
    uint64_t rejected; /* that have arrived, and were not wanted */
    uint64_t dropped;  /* given up: the three that follow */
    uint64_t dropped_full;
    uint64_t dropped_refused; /* the exporter has failed for good */
    uint64_t dropped_broken;  /* could not be written, or be read again */
    uint64_t queued;          /* now */
    uint64_t bytes;           /* of files, now */
    uint64_t torn;            /* bytes that were cut off when it was opened */
} skua_otel_disk_stats;

/* What a queue has done and has.
 *
 * queue      one that skua_otel_disk_queue_new has made
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_disk_stats_of(skua_otel_exporter *queue, skua_otel_disk_stats *ret);

SKUA_C_END

#endif
