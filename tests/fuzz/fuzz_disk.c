/* fuzz_disk.c - any bytes as a file of the queue on disk.
 *
 *     a byte: bit 0: sums are put right, so that what they cover is read; bit 1: the collector is
 *     away; bit 2: one more batch comes; bit 3: encodings stay as they are. Then the file
 *
 * The queue opens, sends what is whole and cuts off the rest; its figures agree at any time; opened
 * once more, it has what was left.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "otel/disk/disk_impl.h"

#include "fuzz.h"

#define FUZZ_RECORD(state, signal, items)                                                          \
    "SkQ1" state signal "\0\0\x04\0\0\0" items "\0\0\0\x2a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0body"

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\1" FUZZ_RECORD("\1", "\0", "\1")),
    FUZZ_SEED("\5" FUZZ_RECORD("\2", "\1", "\2") FUZZ_RECORD("\1", "\2", "\3")),
    FUZZ_SEED("\7" FUZZ_RECORD("\1", "\0", "\1") FUZZ_RECORD("\3", "\1", "\2") "SkQ1\1"),
    FUZZ_SEED("\6" FUZZ_RECORD("\1", "\0", "\1")),
    FUZZ_SEED("\11" FUZZ_RECORD("\1", "\0", "\1")),
    FUZZ_SEED("\1SkQ1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    {NULL, 0}};

const char *const fuzz_words[] = {"SkQ1", "SkQ1\1",           "SkQ1\2\1", "SkQ1\3\2",
                                  "body", "\xff\xff\xff\xff", "*",        NULL};

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Puts the sums right of the records that follow each other, and maybe their encoding. */
static void sum_up(uint8_t *file, size_t len, bool encode)
{
    for (size_t at = 0; len - at >= SKUA__DISK_HEAD;) {
        size_t size = get32(file + at + 8);
        uint8_t head[SKUA__DISK_HEAD];
        uint32_t sum;

        if (size > len - at - SKUA__DISK_HEAD)
            return;
        if (encode)
            put32(file + at + 16, skua__disk_sum(0, "fuzz", 4));
        memcpy(head, file + at, sizeof head);
        head[4] = 0;
        memset(head + 20, 0, 4);
        sum = skua__disk_sum(skua__disk_sum(0, head, sizeof head), file + at + sizeof head, size);
        put32(file + at + 20, sum);
        at += sizeof head + size;
    }
}

/* ---- a collector ----------------------------------------------------------------------------- */

struct sink {
    skua_otel_exporter base;
    bool away;
};

static int sink_encode(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                       int (*sink)(void *arg, const void *bytes, size_t len), void *arg)
{
    (void)exporter;
    (void)batch;
    return sink(arg, "body", 4);
}

static int64_t sink_bytes(skua_otel_exporter *exporter, skua_otel_signal signal, const void *bytes,
                          size_t len, size_t items, int64_t deadline)
{
    const struct sink *self = (const struct sink *)exporter;
    uint8_t sum = 0;

    (void)deadline;
    fuzz_must((unsigned)signal < SKUA_OTEL_SIGNALS);
    for (size_t i = 0; i < len; i++)
        sum ^= ((const uint8_t *)bytes)[i];
    return self->away       ? -ECONNREFUSED
           : (sum & 3) == 3 ? -EPROTO
           : (sum & 1) != 0 ? (int64_t)items
                            : 0;
}

static const skua_otel_exporter_ops sink_ops = {
    .name = "sink", .encode = sink_encode, .export_bytes = sink_bytes, .encoding = "fuzz"};

/* ---- a queue --------------------------------------------------------------------------------- */

static char folder[64], path[96];

static void put(const uint8_t *bytes, size_t len)
{
    int fd;

    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "/tmp/skua-fuzz-XXXXXX");
        fuzz_must(mkdtemp(folder) != NULL);
        (void)snprintf(path, sizeof path, "%s/0000000000000001", folder);
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    fuzz_must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0);
}

static void clear(void)
{
    for (int i = 0; i < 4; i++) {
        char name[128];

        (void)snprintf(name, sizeof name, "%s/%016d", folder, i);
        (void)unlink(name);
    }
    (void)snprintf(path, sizeof path, "%s/lock", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    folder[0] = '\0';
}

static skua_otel_disk_stats figures(skua_otel_exporter *queue)
{
    skua_otel_disk_stats stats;

    skua_otel_disk_stats_of(queue, &stats);
    fuzz_must(stats.found + stats.taken ==
              stats.sent + stats.rejected + stats.dropped + stats.queued);
    fuzz_must(stats.dropped == stats.dropped_full + stats.dropped_refused + stats.dropped_broken);
    return stats;
}

/* Opens, maybe puts one in, flushes, ends. What it found and has left. */
static skua_otel_disk_stats life(bool away, bool more)
{
    static const skua_otel_span span = {.start = 1};
    static const skua_otel_batch batch = {SKUA_OTEL_TRACES, 1, NULL, {.spans = &span}};
    struct sink sink = {{&sink_ops}, away};
    skua_otel_disk_stats stats;
    skua_otel_exporter *queue;

    fuzz_must(
        skua_otel_disk_queue_new(&queue, &sink.base, SKUA_OTEL_DISK_OPTIONS(.path = folder)) == 0);
    (void)figures(queue);
    if (more)
        (void)queue->ops->export_batch(queue, &batch, skua_now() + SKUA_SECOND);
    (void)figures(queue);
    if (queue->ops->flush != NULL)
        (void)queue->ops->flush(queue, skua_now() + SKUA_SECOND);
    stats = figures(queue);
    if (queue->ops->shutdown != NULL)
        (void)queue->ops->shutdown(queue, skua_now());
    queue->ops->free(queue);
    return stats;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    skua_otel_disk_stats first, second;
    uint8_t *file;

    if (len == 0)
        return 0;
    file = malloc(len);
    fuzz_must(file != NULL);
    memcpy(file, data + 1, len - 1);
    if ((data[0] & 1) != 0)
        sum_up(file, len - 1, (data[0] & 8) == 0);
    put(file, len - 1);
    free(file);
    first = life((data[0] & 2) != 0, (data[0] & 4) != 0);
    second = life((data[0] & 2) != 0, false);
    fuzz_must(second.found == first.queued && second.torn == 0);
    clear();
    return 0;
}
