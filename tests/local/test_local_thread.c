/* test_local_thread.c - one thread for each object: which tasks may share one, and what becomes of
 * another thread's use.
 *
 * Specifies local.h, "Its thread": pinned tasks of several workers, each with objects of their own;
 * a thread and the current-thread runtime that it drives; and misuse, in a process of its own: a
 * debug build ends at any use, every build where somebody waits or is woken.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "../lib/child.h"
#include "../lib/line.h"

/* ---- pinned tasks ---------------------------------------------------------------------------- */

enum { GROUPS = 6, PEERS = 4, MESSAGES = 3000 };

/* What the tasks of one worker share; nothing in it is atomic. */
struct group {
    skua_local_channel *channel;
    skua_local_semaphore room;
    skua_local_mutex mutex;
    skua_local_event begin;
    uint64_t sent;
    uint64_t received;
    uint64_t sum;
    int inside;
};

static int group_sends(void *arg)
{
    struct group *group = arg;

    CHECK_EQ(skua_local_event_wait(&group->begin), 0);
    for (;;) {
        uint64_t number;

        CHECK_EQ(skua_local_mutex_lock(&group->mutex), 0);
        CHECK_EQ(group->inside++, 0);
        number = group->sent++;
        if (number % 64 == 0)
            (void)skua_yield();
        CHECK_EQ(group->inside--, 1);
        CHECK_EQ(skua_local_mutex_unlock(&group->mutex), 0);
        if (number >= MESSAGES)
            return 0;
        CHECK_EQ(skua_local_semaphore_acquire(&group->room, 1), 0);
        CHECK_EQ(skua_local_channel_send(group->channel, &number), 0);
    }
}

struct group_receiver {
    skua_async async;
    struct group *group;
    skua_local_future recv;
    uint64_t number;
    skua_poll answer;
};

static skua_poll group_receives(void *state, skua_waker *waker)
{
    struct group_receiver *self = state;

    SKUA_ASYNC(self, waker);
    for (;;) {
        SKUA_AWAIT_TO(self->answer, skua_local_channel_recv_init(&self->recv, self->group->channel,
                                                                 &self->number));
        if (self->answer != 0)
            break;
        self->group->received++;
        self->group->sum += self->number;
        CHECK_EQ(skua_local_semaphore_release(&self->group->room, 1), 0);
    }
    CHECK_EQ(self->answer, SKUA_ECLOSED);
    SKUA_ASYNC_END(0);
}

static int group_works(TEST_UNUSED void *arg)
{
    struct group group = {.room = SKUA_LOCAL_SEMAPHORE_INIT(7),
                          .mutex = SKUA_LOCAL_MUTEX_INIT,
                          .begin = SKUA_LOCAL_EVENT_INIT};
    skua_scope senders, receivers;

    MUST(skua_local_channel_new(&group.channel, sizeof(uint64_t), 3) == 0);
    MUST(skua_scope_open(&receivers, SKUA_COLLECT) == 0);
    for (int i = 0; i < PEERS; i++)
        MUST(skua_spawn_poll(&receivers, group_receives,
                             (&(struct group_receiver){.group = &group}),
                             .flags = SKUA_PINNED) == 0);
    MUST(skua_scope_open(&senders, SKUA_COLLECT) == 0);
    for (int i = 0; i < PEERS; i++)
        MUST(skua_spawn(&senders, group_sends, &group, .flags = SKUA_PINNED) == 0);
    CHECK_EQ(skua_yield(), 0);
    skua_local_event_set(&group.begin);
    CHECK_EQ(skua_scope_join(&senders), 0);
    skua_local_channel_close(group.channel);
    CHECK_EQ(skua_scope_join(&receivers), 0);
    CHECK_EQ(group.received, MESSAGES);
    CHECK_EQ(group.sum, (uint64_t)MESSAGES * (MESSAGES - 1) / 2);
    CHECK_EQ(skua_local_semaphore_available(&group.room), 7);
    skua_local_channel_free(group.channel);
    return 0;
}

TEST_FIBER(local_groups_of_pinned_tasks)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < GROUPS; i++)
        MUST(skua_spawn(&scope, group_works, NULL) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

/* ---- a thread and its runtime ---------------------------------------------------------------- */

static int locks(void *arg)
{
    CHECK_EQ(skua_local_mutex_lock(arg), 0);
    return skua_local_mutex_unlock(arg);
}

/* The thread that drives a current-thread runtime is the thread of the runtime's tasks. */
TEST(local_thread_and_its_runtime)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);
    skua_local_mutex mutex = SKUA_LOCAL_MUTEX_INIT;

    MUST(test_kinds[0].kind == SKUA_CURRENT_THREAD);
    CHECK_EQ(locks(&mutex), 0);
    test_run(runtime, locks, &mutex);
    CHECK_EQ(locks(&mutex), 0);
    test_runtime_free(runtime);
}

/* Making and freeing is no use. */
static void *uses_channel(void *arg)
{
    uint64_t message = 5;

    CHECK_EQ(skua_local_channel_try_send(arg, &message), 0);
    CHECK_EQ(skua_local_channel_recv(arg, &message), 0);
    return NULL;
}

TEST(local_made_for_another_thread)
{
    skua_local_channel *channel;
    pthread_t thread;

    MUST(skua_local_channel_new(&channel, sizeof(uint64_t), 1) == 0);
    MUST(pthread_create(&thread, NULL, uses_channel, channel) == 0);
    pthread_join(thread, NULL);
    skua_local_channel_free(channel);
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static skua_local_semaphore sema = SKUA_LOCAL_SEMAPHORE_INIT(2);
static skua_local_rwlock rwlock = SKUA_LOCAL_RWLOCK_INIT;
static skua_local_mutex mutex = SKUA_LOCAL_MUTEX_INIT;
static skua_local_notify notify = SKUA_LOCAL_NOTIFY_INIT;
static skua_local_event event = SKUA_LOCAL_EVENT_INIT;
static skua_local_channel *channel;
static skua_local_future waits[6];
static uint64_t message;

static void asks(skua_future *future)
{
    static struct test_bell bell;

    (void)skua_future_poll(future, test_bell_init(&bell));
}

/* The objects become this thread's: each is not to be had, and somebody waits for it. */
static void take_all(void)
{
    MUST(skua_local_channel_new(&channel, sizeof message, 1) == 0);
    MUST(skua_local_semaphore_try_acquire(&sema, 2) == 0);
    MUST(skua_local_rwlock_try_write(&rwlock) == 0);
    MUST(skua_local_mutex_try_lock(&mutex) == 0);
    asks(skua_local_semaphore_acquire_init(&waits[0], &sema, 1));
    asks(skua_local_mutex_lock_init(&waits[1], &mutex));
    asks(skua_local_rwlock_read_init(&waits[2], &rwlock));
    asks(skua_local_notified_init(&waits[3], &notify));
    asks(skua_local_event_wait_init(&waits[4], &event));
    asks(skua_local_channel_recv_init(&waits[5], channel, &message));
}

static void no_use(void)
{
}

static void sema_tries(void)
{
    (void)!skua_local_semaphore_try_acquire(&sema, 1);
}

static void sema_acquires(void)
{
    (void)!skua_local_semaphore_acquire(&sema, 1);
}

static void sema_releases(void)
{
    (void)skua_local_semaphore_release(&sema, 1);
}

static void sema_releases_nothing(void)
{
    (void)skua_local_semaphore_release(&sema, 0);
}

static void sema_forgets(void)
{
    (void)skua_local_semaphore_forget(&sema, 1);
}

static void sema_looks(void)
{
    (void)skua_local_semaphore_available(&sema);
}

static void sema_closes(void)
{
    skua_local_semaphore_close(&sema);
}

static void mutex_locks(void)
{
    (void)!skua_local_mutex_lock(&mutex);
}

static void mutex_unlocks(void)
{
    (void)skua_local_mutex_unlock(&mutex);
}

static void rwlock_reads(void)
{
    (void)!skua_local_rwlock_read(&rwlock);
}

static void rwlock_writes(void)
{
    (void)!skua_local_rwlock_write(&rwlock);
}

static void rwlock_read_unlocks(void)
{
    (void)skua_local_rwlock_read_unlock(&rwlock);
}

static void rwlock_write_unlocks(void)
{
    (void)skua_local_rwlock_write_unlock(&rwlock);
}

static void rwlock_downgrades(void)
{
    (void)skua_local_rwlock_downgrade(&rwlock);
}

static void notify_is_waited_for(void)
{
    (void)!skua_local_notified(&notify);
}

static void notify_tells(void)
{
    skua_local_notify_one(&notify);
}

static void notify_tells_all(void)
{
    skua_local_notify_all(&notify);
}

static void event_is_waited_for(void)
{
    (void)!skua_local_event_wait(&event);
}

static void event_is_set(void)
{
    skua_local_event_set(&event);
}

static void event_is_reset(void)
{
    skua_local_event_reset(&event);
}

static void event_is_looked_at(void)
{
    (void)skua_local_event_is_set(&event);
}

static void channel_sends(void)
{
    (void)!skua_local_channel_send(channel, &message);
}

static void channel_receives(void)
{
    (void)!skua_local_channel_recv(channel, &message);
}

static void channel_tries_to_receive(void)
{
    (void)!skua_local_channel_try_recv(channel, &message);
}

static void channel_closes(void)
{
    skua_local_channel_close(channel);
}

static void channel_is_measured(void)
{
    (void)skua_local_channel_len(channel);
}

static void wait_is_dropped(void)
{
    skua_future_drop(&waits[1].future);
}

/* On the thread itself: it is waited for. */
static void channel_is_freed(void)
{
    skua_local_channel_free(channel);
}

#define ONE_THREAD "a local object is used by one thread only"

static const struct misuse {
    void (*use)(void);
    bool slow;        /* it waits or wakes: every build ends */
    bool own;         /* on the right thread */
    const char *text; /* what the process says when it ends; NULL: it does not */
} misuses[] = {
    {no_use, true, false, NULL},
    {sema_tries, false, false, ONE_THREAD},
    {sema_acquires, true, false, ONE_THREAD},
    {sema_releases, true, false, ONE_THREAD},
    {sema_releases_nothing, false, false, ONE_THREAD},
    {sema_forgets, false, false, ONE_THREAD},
    {sema_looks, false, false, ONE_THREAD},
    {sema_closes, true, false, ONE_THREAD},
    {mutex_locks, true, false, ONE_THREAD},
    {mutex_unlocks, true, false, ONE_THREAD},
    {rwlock_reads, true, false, ONE_THREAD},
    {rwlock_writes, true, false, ONE_THREAD},
    {rwlock_read_unlocks, true, false, ONE_THREAD},
    {rwlock_write_unlocks, true, false, ONE_THREAD},
    {rwlock_downgrades, true, false, ONE_THREAD},
    {notify_is_waited_for, true, false, ONE_THREAD},
    {notify_tells, true, false, ONE_THREAD},
    {notify_tells_all, true, false, ONE_THREAD},
    {event_is_waited_for, true, false, ONE_THREAD},
    {event_is_set, true, false, ONE_THREAD},
    {event_is_reset, false, false, ONE_THREAD},
    {event_is_looked_at, false, false, ONE_THREAD},
    {channel_sends, true, false, ONE_THREAD},
    {channel_receives, true, false, ONE_THREAD},
    {channel_tries_to_receive, false, false, ONE_THREAD},
    {channel_closes, true, false, ONE_THREAD},
    {channel_is_measured, false, false, ONE_THREAD},
    {wait_is_dropped, true, false, ONE_THREAD},
    {channel_is_freed, true, true, "receiving.first == NULL"},
};

static void *misuses_on_thread(void *arg)
{
    ((const struct misuse *)arg)->use();
    return NULL;
}

static int child_main(const char *mode)
{
    const struct misuse *misuse = &misuses[(size_t)atoi(mode) % TEST_LEN(misuses)];
    pthread_t thread;

    take_all();
    if (misuse->own)
        misuse->use();
    MUST(pthread_create(&thread, NULL, misuses_on_thread, (void *)misuse) == 0);
    pthread_join(thread, NULL);
    _Exit(0); /* what waits is left as it is */
}

TEST(local_misuse_ends_the_process)
{
    test_limit(60);
    for (size_t i = 0; i < TEST_LEN(misuses); i++) {
        struct test_child child;
        bool ends = misuses[i].text != NULL;
        char mode[16];
        int status;

#ifdef NDEBUG
        ends = ends && misuses[i].slow;
#endif
        snprintf(mode, sizeof mode, "%zu", i);
        status = test_child_run(&child, mode, NULL);
        if (!(ends ? CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) &&
                         CHECK(strstr(child.text, misuses[i].text) != NULL)
                   : CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0)))
            test_note("misuse %zu: status %x: %s", i, (unsigned)status, child.text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_groups_of_pinned_tasks),
        cmocka_unit_test(local_thread_and_its_runtime),
        cmocka_unit_test(local_made_for_another_thread),
        cmocka_unit_test(local_misuse_ends_the_process),
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
