/* test_disk_queue.c - the queue on disk: order, outages, restarts, room, crashes, figures.
 *
 * Specifies disk_queue.h. Its exporter is the test's: bytes are the numbers of items, one each.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/otel/disk_queue.h>
#include <skua/test.h>

#include "../lib/harness.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* ---- a collector that can be away ------------------------------------------------------------ */

#define SINK_MAX 20000

struct sink {
    skua_otel_exporter base;
    int64_t says; /* what export_bytes returns; -ENOSYS: it hangs until the deadline */
    size_t pad;   /* bytes of a record */
    int calls;
    int pipe; /* where numbers go, too; 0: nowhere */
    uint32_t got[SINK_MAX];
    size_t count;
};

static int sink_encode(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                       int (*sink)(void *arg, const void *bytes, size_t len), void *arg)
{
    struct sink *self = (struct sink *)exporter;
    static char bytes[65536];
    uint32_t number = (uint32_t)batch->items.spans[0].start;

    memcpy(bytes, &number, sizeof number);
    return sink(arg, bytes, self->pad != 0 ? self->pad : sizeof number);
}

static int64_t sink_bytes(skua_otel_exporter *exporter, skua_otel_signal signal, const void *bytes,
                          size_t len, size_t items, int64_t deadline)
{
    struct sink *self = (struct sink *)exporter;
    uint32_t number;

    CHECK_EQ(signal, SKUA_OTEL_TRACES);
    CHECK(len >= sizeof number);
    CHECK_EQ(items, 1);
    self->calls++;
    if (self->says == -ENOSYS) {
        int rc = skua_sleep_until(deadline);

        return rc != 0 ? rc : -ETIMEDOUT;
    }
    if (self->says < 0)
        return self->says;
    memcpy(&number, bytes, sizeof number);
    if (self->pipe != 0)
        MUST(write(self->pipe, &number, sizeof number) == sizeof number);
    else if (self->count < SINK_MAX)
        self->got[self->count++] = number;
    return self->says;
}

static const skua_otel_exporter_ops sink_ops = {
    .name = "sink", .encode = sink_encode, .export_bytes = sink_bytes, .encoding = "numbers"};

static int64_t puts_one(skua_otel_exporter *queue, uint32_t number)
{
    const skua_otel_span span = {.start = number};
    const skua_otel_batch batch = {.signal = SKUA_OTEL_TRACES, .count = 1, .items.spans = &span};

    return queue->ops->export_batch(queue, &batch, SKUA_FOREVER);
}

/* ---- folders --------------------------------------------------------------------------------- */

static char folder[64];

static int removes(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static const char *folder_new(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/skua-queue-XXXXXX");
    MUST(mkdtemp(folder) != NULL);
    return folder;
}

static void folder_gone(void)
{
    CHECK_EQ(nftw(folder, removes, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of the file that is `nth` by age from 0; its size. */
static off_t folder_file(int nth, char *path, size_t size)
{
    struct dirent **names;
    struct stat stat = {.st_size = -1};
    int n = scandir(folder, &names, NULL, alphasort), found = 0;

    for (int i = 0; i < n; i++) {
        if (strlen(names[i]->d_name) == 16 && found++ == nth) {
            (void)snprintf(path, size, "%s/%s", folder, names[i]->d_name);
            MUST(lstat(path, &stat) == 0);
        }
        free(names[i]);
    }
    free(names);
    return stat.st_size;
}

static skua_otel_exporter *queue_with(struct sink *sink, const skua_otel_disk_options *options)
{
    skua_otel_disk_options all = *options;
    skua_otel_exporter *queue;

    sink->base.ops = &sink_ops;
    all.path = folder;
    MUST(skua_otel_disk_queue_new(&queue, &sink->base, &all) == 0);
    return queue;
}

/* The figures are right at any time. */
static skua_otel_disk_stats figures(skua_otel_exporter *queue)
{
    skua_otel_disk_stats stats;

    skua_otel_disk_stats_of(queue, &stats);
    CHECK_EQ(stats.found + stats.taken, stats.sent + stats.rejected + stats.dropped + stats.queued);
    return stats;
}

static bool in_order(const struct sink *sink, uint32_t from, size_t count)
{
    if (sink->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (sink->got[i] != from + i)
            return false;
    return true;
}

/* ---- order and outages ----------------------------------------------------------------------- */

TEST_FIBER_CLOCK(disk_sends_at_once)
{
    static struct sink sink;
    skua_otel_exporter *queue;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.sync = 1));
    for (uint32_t i = 0; i < 10; i++)
        CHECK_EQ(puts_one(queue, i), 0);
    CHECK(in_order(&sink, 0, 10));
    CHECK_EQ(figures(queue).sent, 10);
    CHECK_EQ(figures(queue).queued, 0);
    CHECK_EQ(queue->ops->shutdown(queue, SKUA_FOREVER), 0);
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

/* A collector that is away is asked again after pauses that grow; then all come, in order. */
TEST_FIBER_CLOCK(disk_outage)
{
    static struct sink sink;
    skua_otel_exporter *queue;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.bytes_max = 1 << 20));
    sink.says = -ECONNREFUSED;
    for (uint32_t i = 0; i < 100; i++) {
        CHECK_EQ(puts_one(queue, i), 0);
        CHECK_EQ(skua_sleep(MS(100)), 0);
    }
    CHECK_EQ(sink.calls, 4); /* at 0, 1, 3 and 7 s */
    CHECK_EQ(figures(queue).queued, 100);
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), -ECONNREFUSED);
    sink.says = 0;
    CHECK_EQ(puts_one(queue, 100), 0);
    CHECK_EQ(figures(queue).queued, 101); /* it is left alone */
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
    CHECK(in_order(&sink, 0, 101));
    CHECK_EQ(figures(queue).sent, 101);
    CHECK_EQ(puts_one(queue, 101), 0);
    CHECK_EQ(figures(queue).queued, 0); /* it is back */
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

/* What one process has left the next one sends, whatever was sent in between. */
TEST_FIBER_CLOCK(disk_restart)
{
    static struct sink sink;
    skua_otel_exporter *queue;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.bytes_max = 65536));
    for (uint32_t i = 0; i < 5; i++)
        CHECK_EQ(puts_one(queue, i), 0);
    sink.says = -EAGAIN;
    for (uint32_t i = 5; i < 500; i++)
        CHECK_EQ(puts_one(queue, i), 0);
    CHECK_EQ(queue->ops->shutdown(queue, skua_now() + MS(10)), -EAGAIN);
    queue->ops->free(queue);

    sink.says = 0;
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.bytes_max = 65536));
    CHECK_EQ(figures(queue).found, 495);
    CHECK_EQ(figures(queue).torn, 0);
    CHECK_EQ(puts_one(queue, 500), 0);
    CHECK(in_order(&sink, 0, 501));
    queue->ops->free(queue);

    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.bytes_max = 65536));
    CHECK_EQ(figures(queue).found, 0);
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

TEST_FIBER_CLOCK(disk_refused_for_good)
{
    static struct sink sink;
    skua_otel_exporter *queue;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.sync = 0));
    sink.says = -EINVAL;
    CHECK_EQ(puts_one(queue, 1), 0);
    sink.says = 1; /* a partial success */
    CHECK_EQ(puts_one(queue, 2), 0);
    CHECK_EQ(figures(queue).dropped_refused, 1);
    CHECK_EQ(figures(queue).rejected, 1);
    CHECK_EQ(figures(queue).queued, 0);
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

static int puts_first(void *arg)
{
    return (int)puts_one(arg, 0);
}

/* While one call hangs in the network the others take what comes; a cancelled one keeps it. */
TEST_FIBER_CLOCK(disk_hangs)
{
    static struct sink sink;
    skua_otel_exporter *queue;
    skua_task *task;
    int result = 1;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.send_timeout = SKUA_MINUTE));
    sink.says = -ENOSYS;
    MUST(skua_spawn(NULL, puts_first, queue, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    for (uint32_t i = 1; i < 10; i++)
        CHECK_EQ(puts_one(queue, i), 0);
    CHECK_EQ(queue->ops->flush(queue, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(sink.calls, 1);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(figures(queue).queued, 10);
    sink.says = 0;
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
    CHECK(in_order(&sink, 0, 10));
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

/* ---- room ------------------------------------------------------------------------------------ */

TEST_FIBER_CLOCK(disk_full_drops_the_oldest)
{
    static struct sink sink;
    skua_otel_exporter *queue;
    skua_otel_disk_stats stats;

    memset(&sink, 0, sizeof sink);
    sink.pad = 1000;
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.bytes_max = 65536));
    sink.says = -EAGAIN;
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK_EQ(puts_one(queue, i), 0);
        CHECK(figures(queue).bytes <= 65536);
    }
    stats = figures(queue);
    CHECK_RANGE(stats.queued, 50, 63);
    CHECK_EQ(stats.dropped_full, 1000 - stats.queued);
    sink.says = 0;
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
    CHECK(in_order(&sink, 1000 - (uint32_t)stats.queued, stats.queued));
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

TEST_FIBER_CLOCK(disk_full_refuses_new)
{
    static struct sink sink;
    skua_otel_exporter *queue;
    int64_t rc = 0;
    uint32_t i;

    memset(&sink, 0, sizeof sink);
    sink.pad = 1000;
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.bytes_max = 65536, .refuse_new = 1));
    sink.says = -EAGAIN;
    for (i = 0; rc == 0 && i < 1000; i++)
        rc = puts_one(queue, i);
    CHECK_EQ(rc, -ENOSPC);
    CHECK_EQ(figures(queue).dropped_full, 1);
    CHECK_EQ(figures(queue).queued, i - 1);
    sink.pad = 65536;
    CHECK_EQ(puts_one(queue, 0), -EMSGSIZE);
    sink.pad = 1000;
    sink.says = 0;
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
    CHECK_EQ(puts_one(queue, i), 0); /* what was sent makes room */
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

/* The file of a record that is being sent is given up: that record is counted as it went. */
TEST_FIBER_CLOCK(disk_full_while_it_sends)
{
    for (int arrives = 0; arrives < 2; arrives++) {
        static struct sink sink;
        skua_otel_exporter *queue;
        skua_task *task;

        memset(&sink, 0, sizeof sink);
        sink.pad = 1000;
        (void)folder_new();
        queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.bytes_max = 65536));
        sink.says = -ENOSYS;
        MUST(skua_spawn(NULL, puts_first, queue, .task = &task) == 0);
        CHECK_EQ(skua_sleep(MS(1)), 0);
        for (uint32_t i = 1; i < 200; i++)
            CHECK_EQ(puts_one(queue, i), 0);
        CHECK_EQ(sink.calls, 1);
        if (arrives)
            sink.says = 0;
        CHECK_EQ(skua_task_join(task, NULL), 0); /* at its time-out */
        (void)figures(queue);
        sink.says = 0;
        CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
        CHECK_EQ(figures(queue).sent, sink.count);
        CHECK_EQ(figures(queue).queued, 0);
        queue->ops->free(queue);
        folder_gone();
    }
    return 0;
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* A file that ends at any byte: whole records are found, the rest is cut off. */
TEST_FIBER_CLOCK(disk_torn_anywhere)
{
    static struct sink sink;
    char path[128], bytes[1024];
    skua_otel_exporter *queue;
    ssize_t len;
    int fd;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.sync = 0));
    sink.says = -EAGAIN;
    for (uint32_t i = 0; i < 4; i++)
        CHECK_EQ(puts_one(queue, i), 0);
    queue->ops->free(queue);
    MUST(folder_file(0, path, sizeof path) == 4 * 36);
    fd = open(path, O_RDWR);
    len = read(fd, bytes, sizeof bytes);
    for (ssize_t cut = 0; cut <= len; cut++) {
        MUST(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, (size_t)cut, 0) == cut);
        queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.sync = 0));
        if (!CHECK_EQ(figures(queue).found, cut / 36) || !CHECK_EQ(figures(queue).torn, cut % 36))
            test_note("cut at %zd", cut);
        queue->ops->free(queue);
        if (cut < 36) { /* nothing was left: the file is gone */
            (void)close(fd);
            fd = open(path, O_RDWR | O_CREAT, 0600);
        }
    }
    for (ssize_t bad = 0; bad < len; bad++) { /* and one byte that is another one */
        bytes[bad] ^= 0x10;
        MUST(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, (size_t)len, 0) == len);
        bytes[bad] ^= 0x10;
        queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.sync = 0));
        if (!CHECK_EQ(figures(queue).found, bad / 36))
            test_note("byte %zd", bad);
        queue->ops->free(queue);
        if (bad < 36) {
            (void)close(fd);
            fd = open(path, O_RDWR | O_CREAT, 0600);
        }
    }
    (void)close(fd);
    folder_gone();
    return 0;
}

/* A byte that turns over while the queue is open: found by the sum, dropped, the rest goes out. */
TEST_FIBER_CLOCK(disk_rots_meanwhile)
{
    static struct sink sink;
    skua_otel_exporter *queue;
    char path[128];
    int fd;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.sync = 0));
    sink.says = -EAGAIN;
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(puts_one(queue, i), 0);
    (void)folder_file(0, path, sizeof path);
    fd = open(path, O_RDWR);
    MUST(pwrite(fd, "x", 1, 33) == 1);
    (void)close(fd);
    sink.says = 0;
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
    CHECK(in_order(&sink, 1, 2));
    CHECK_EQ(figures(queue).dropped_broken, 1);
    queue->ops->free(queue);
    folder_gone();
    return 0;
}

/* ---- processes ------------------------------------------------------------------------------- */

TEST(disk_one_owner)
{
    static struct sink sink, other;
    const skua_otel_disk_options *options;
    skua_otel_exporter *queue, *none = NULL;
    int status;
    pid_t child;

    memset(&sink, 0, sizeof sink);
    (void)folder_new();
    options = SKUA_OTEL_DISK_OPTIONS(.path = folder);
    queue = queue_with(&sink, options);
    other.base.ops = &sink_ops;
    CHECK_EQ(skua_otel_disk_queue_new(&none, &other.base, options), -EBUSY);
    child = fork();
    if (child == 0)
        _exit(puts_one(queue, 1) == -EBUSY &&
                      skua_otel_disk_queue_new(&none, &other.base, options) == -EBUSY
                  ? 0
                  : 1);
    MUST(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    queue->ops->free(queue);
    CHECK_EQ(skua_otel_disk_queue_new(&none, &other.base, options), 0);
    none->ops->free(none);
    folder_gone();
}

TEST(disk_options)
{
    static struct sink sink = {.base.ops = &sink_ops};
    static const skua_otel_exporter_ops whole = {.name = "whole"};
    skua_otel_exporter *none = NULL, halves = {&whole};

    (void)folder_new();
    CHECK_EQ(skua_otel_disk_queue_new(&none, &sink.base, NULL), -EINVAL);
    CHECK_EQ(skua_otel_disk_queue_new(&none, &sink.base, SKUA_OTEL_DISK_OPTIONS(.path = "")),
             -EINVAL);
    CHECK_EQ(skua_otel_disk_queue_new(&none, &sink.base,
                                      SKUA_OTEL_DISK_OPTIONS(.path = folder, .bytes_max = 100)),
             -EINVAL);
    CHECK_EQ(skua_otel_disk_queue_new(&none, &halves, SKUA_OTEL_DISK_OPTIONS(.path = folder)),
             -ENOTSUP);
    CHECK_EQ(skua_otel_disk_queue_new(&none, &sink.base,
                                      SKUA_OTEL_DISK_OPTIONS(.path = "/nowhere/at/all")),
             -ENOENT);
    CHECK(none == NULL);
    folder_gone();
}

/* What a child does until it is killed: it tells what it has made, its sink what has arrived. */
struct killed {
    int made;
    struct sink *sink;
};

static int makes(void *arg)
{
    struct killed *self = arg;
    skua_otel_exporter *queue = queue_with(self->sink, SKUA_OTEL_DISK_OPTIONS(.sync = 0));

    for (uint32_t i = 0;; i++) {
        self->sink->says = i % 50 < 25 ? 0 : -EAGAIN;
        MUST(puts_one(queue, i) == 0);
        MUST(write(self->made, &i, sizeof i) == sizeof i);
        if (i % 50 == 49) {
            self->sink->says = 0;
            MUST(queue->ops->flush(queue, SKUA_FOREVER) == 0);
        }
    }
}

static size_t numbers_of(int fd, uint32_t *numbers)
{
    size_t n = 0;

    while (n < SINK_MAX && read(fd, &numbers[n], sizeof *numbers) == sizeof *numbers)
        n++;
    return n;
}

/* Killed at any moment: each that was made has arrived or is queued; at most one both. */
TEST(disk_killed)
{
    static struct sink sink;
    static uint32_t made[SINK_MAX], got[SINK_MAX];

    for (int round = 0; round < TEST_COUNT(20); round++) {
        int made_pipe[2], got_pipe[2];
        size_t made_count, got_count;
        skua_otel_exporter *queue;
        pid_t child;

        memset(&sink, 0, sizeof sink);
        (void)folder_new();
        MUST(pipe(made_pipe) == 0 && pipe(got_pipe) == 0);
        child = fork();
        if (child == 0) {
            struct killed killed = {made_pipe[1], &sink};

            sink.pipe = got_pipe[1];
            (void)skua_test_run(makes, &killed, NULL);
            _exit(1);
        }
        (void)close(made_pipe[1]);
        (void)close(got_pipe[1]);
        (void)usleep((useconds_t)(500 + 1700 * round));
        (void)kill(child, SIGKILL);
        made_count = numbers_of(made_pipe[0], made);
        got_count = numbers_of(got_pipe[0], got);
        (void)close(made_pipe[0]);
        (void)close(got_pipe[0]);
        MUST(waitpid(child, NULL, 0) == child);

        queue = queue_with(&sink, SKUA_OTEL_DISK_OPTIONS(.sync = 0));
        /* One may be written that was not told yet; one may have arrived, not crossed out. */
        if (!CHECK_RANGE(got_count + figures(queue).found, made_count, made_count + 2))
            test_note("made %zu, arrived %zu, queued %llu", made_count, got_count,
                      (unsigned long long)figures(queue).found);
        queue->ops->free(queue);
        folder_gone();
    }
}

#ifdef SKUA_FAULTS
/* Without memory at any point: an error, or the record is kept. */
TEST_FIBER_CLOCK(disk_without_memory)
{
    static struct sink sink;
    skua_otel_exporter *queue = NULL;

    for (unsigned i = 1; queue == NULL; i++) {
        int rc;

        (void)folder_new();
        memset(&sink, 0, sizeof sink);
        sink.base.ops = &sink_ops;
        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        rc = skua_otel_disk_queue_new(&queue, &sink.base, SKUA_OTEL_DISK_OPTIONS(.path = folder));
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || (rc == -ENOMEM && queue == NULL));
        if (rc != 0)
            folder_gone();
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM); /* of the segment */
    CHECK_EQ(puts_one(queue, 0), -ENOMEM);
    CHECK_EQ(figures(queue).dropped_broken, 1);
    skua__fault_arm(SKUA__FAULT_MALLOC, 2, 1, ENOMEM); /* of the body that is to be sent */
    CHECK_EQ(puts_one(queue, 1), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(figures(queue).queued, 1);
    CHECK_EQ(queue->ops->flush(queue, SKUA_FOREVER), 0);
    CHECK(in_order(&sink, 1, 1));
    queue->ops->free(queue);
    folder_gone();
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disk_sends_at_once),
        cmocka_unit_test(disk_outage),
        cmocka_unit_test(disk_restart),
        cmocka_unit_test(disk_refused_for_good),
        cmocka_unit_test(disk_hangs),
        cmocka_unit_test(disk_full_drops_the_oldest),
        cmocka_unit_test(disk_full_refuses_new),
        cmocka_unit_test(disk_full_while_it_sends),
        cmocka_unit_test(disk_torn_anywhere),
        cmocka_unit_test(disk_rots_meanwhile),
        cmocka_unit_test(disk_one_owner),
        cmocka_unit_test(disk_options),
        cmocka_unit_test(disk_killed),
#ifdef SKUA_FAULTS
        cmocka_unit_test(disk_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
