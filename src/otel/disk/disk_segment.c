/* disk_segment.c - files of records.
 *
 * Append     head and body go out in one call of the system, behind the last good byte. When it
 *            fails half-way the file is cut there again; if even that fails, the next append writes
 *            over it, and the next start cuts it off.
 * Head       magic 0, state 4, signal 5, nothing 6, length 8, items 12, encoding 16, sum 20,
 *            nothing 24. The sum is of the head without state and sum, and the body.
 */
#include <sys/uio.h>
#include <unistd.h>

#include "otel/disk/disk_impl.h"

#define SEGMENT_STATE 4
#define SEGMENT_SUM 20
#define SEGMENT_PIECE 16384 /* bytes that a scan reads at a time */

static void segment_put(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t segment_get(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The head's part of the sum. */
static uint32_t segment_sum(const uint8_t *head)
{
    uint8_t copy[SKUA__DISK_HEAD];

    memcpy(copy, head, sizeof copy);
    copy[SEGMENT_STATE] = 0;
    segment_put(copy + SEGMENT_SUM, 0);
    return skua__disk_sum(0, copy, sizeof copy);
}

/* All of it at an offset; -EIO: the file is shorter. */
static int segment_read(int fd, void *bytes, size_t len, uint64_t at)
{
    char *to = bytes;

    while (len > 0) {
        ssize_t n = pread(fd, to, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        to += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int segment_write(int fd, struct iovec *pieces, int count, uint64_t at)
{
    while (count > 0) {
        ssize_t n = pwritev(fd, pieces, count, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += (uint64_t)n;
        while (count > 0 && (size_t)n >= pieces->iov_len) {
            n -= (ssize_t)pieces->iov_len;
            pieces++;
            count--;
        }
        if (count > 0) {
            pieces->iov_base = (char *)pieces->iov_base + n;
            pieces->iov_len -= (size_t)n;
        }
    }
    return 0;
}

int skua__disk_append(struct skua__disk_segment *segment, skua_otel_signal signal,
                      uint32_t encoding, size_t items, const void *bytes, size_t len, bool sync)
{
    uint8_t head[SKUA__DISK_HEAD] = {0};
    struct iovec pieces[2] = {{head, sizeof head}, {(void *)(uintptr_t)bytes, len}};
    int rc;

    segment_put(head, SKUA__DISK_MAGIC);
    head[5] = (uint8_t)signal;
    segment_put(head + 8, (uint32_t)len);
    segment_put(head + 12, (uint32_t)items);
    segment_put(head + 16, encoding);
    segment_put(head + SEGMENT_SUM, skua__disk_sum(segment_sum(head), bytes, len));
    head[SEGMENT_STATE] = SKUA__DISK_QUEUED;
    rc = segment_write(segment->fd, pieces, 2, segment->size);
    if (rc == 0 && sync && fdatasync(segment->fd) != 0)
        rc = -errno;
    if (rc != 0) {
        if (ftruncate(segment->fd, (off_t)segment->size) != 0)
            return rc; /* see "Append" above */
        return rc;
    }
    segment->size += sizeof head + len;
    segment->queued += items;
    return 0;
}

/* The head at `at`; -EBADMSG: there is none, or it goes beyond the file's end. */
static int segment_head(const struct skua__disk_segment *segment, uint64_t at, uint8_t *head,
                        struct skua__disk_record *record)
{
    int rc;

    if (segment->size - at < SKUA__DISK_HEAD)
        return -EBADMSG;
    rc = segment_read(segment->fd, head, SKUA__DISK_HEAD, at);
    if (rc != 0)
        return rc;
    *record = (struct skua__disk_record){.at = at,
                                         .len = segment_get(head + 8),
                                         .items = segment_get(head + 12),
                                         .encoding = segment_get(head + 16),
                                         .sum = segment_get(head + SEGMENT_SUM),
                                         .state = head[SEGMENT_STATE],
                                         .signal = head[5]};
    if (segment_get(head) != SKUA__DISK_MAGIC || record->signal >= SKUA_OTEL_SIGNALS ||
        record->state < SKUA__DISK_QUEUED || record->state > SKUA__DISK_DROPPED ||
        record->len > segment->size - at - SKUA__DISK_HEAD)
        return -EBADMSG;
    return 0;
}

int skua__disk_next(struct skua__disk_segment *segment, struct skua__disk_record *record)
{
    uint8_t head[SKUA__DISK_HEAD];

    while (segment->next_at < segment->size) {
        int rc = segment_head(segment, segment->next_at, head, record);

        if (rc != 0)
            return rc;
        if (record->state == SKUA__DISK_QUEUED)
            return 1;
        segment->next_at += SKUA__DISK_HEAD + (uint64_t)record->len;
    }
    return 0;
}

int skua__disk_body(const struct skua__disk_segment *segment,
                    const struct skua__disk_record *record, void *bytes)
{
    uint8_t head[SKUA__DISK_HEAD];
    struct skua__disk_record again;
    int rc = segment_head(segment, record->at, head, &again);

    if (rc == 0)
        rc = segment_read(segment->fd, bytes, record->len, record->at + SKUA__DISK_HEAD);
    if (rc == 0 && skua__disk_sum(segment_sum(head), bytes, record->len) != record->sum)
        rc = -EBADMSG;
    return rc;
}

int skua__disk_mark(const struct skua__disk_segment *segment,
                    const struct skua__disk_record *record, enum skua__disk_state state)
{
    uint8_t byte = (uint8_t)state;
    struct iovec piece = {&byte, 1};

    return segment_write(segment->fd, &piece, 1, record->at + SEGMENT_STATE);
}

/* Whether a record is whole: its body is read in pieces. */
static int segment_whole(const struct skua__disk_segment *segment, const uint8_t *head,
                         const struct skua__disk_record *record)
{
    uint64_t at = record->at + SKUA__DISK_HEAD, end = at + record->len;
    uint32_t sum = segment_sum(head);
    uint8_t piece[SEGMENT_PIECE];

    while (at < end) {
        size_t len = end - at < sizeof piece ? (size_t)(end - at) : sizeof piece;
        int rc = segment_read(segment->fd, piece, len, at);

        if (rc != 0)
            return rc;
        sum = skua__disk_sum(sum, piece, len);
        at += len;
    }
    return sum == record->sum ? 0 : -EBADMSG;
}

int skua__disk_scan(struct skua__disk_segment *segment, uint64_t *torn)
{
    uint8_t head[SKUA__DISK_HEAD];
    struct skua__disk_record record;
    uint64_t at = 0;
    int rc = 0;

    segment->queued = 0;
    segment->next_at = 0;
    while (rc == 0 && at < segment->size) {
        rc = segment_head(segment, at, head, &record);
        if (rc == 0)
            rc = segment_whole(segment, head, &record);
        if (rc == 0) {
            segment->queued += record.state == SKUA__DISK_QUEUED ? record.items : 0;
            at += SKUA__DISK_HEAD + (uint64_t)record.len;
        }
    }
    if (rc != 0 && rc != -EBADMSG)
        return rc;
    *torn = segment->size - at;
    if (*torn != 0 && ftruncate(segment->fd, (off_t)at) != 0)
        return -errno;
    segment->size = at;
    return 0;
}

#undef SEGMENT_STATE
#undef SEGMENT_SUM
#undef SEGMENT_PIECE
