/* script.c - a stream that says what a test has written down, and what comes out of streams. */
#include "script.h"

atomic_int test_scripts_alive;

static skua_poll script_step(struct test_script *self, void *item, skua_waker *waker)
{
    int step = self->steps[self->at];

    if (step == WAIT) {
        self->at++;
        skua_waker_wake(waker);
        return SKUA_PENDING;
    }
    if (step > WAIT && step < SLEEP(1000000)) {
        if (!self->sleeps)
            skua_sleep_init(&self->sleep, MS(step - SLEEP(0)));
        self->sleeps = true;
        if (self->sleep.future.ops->poll(&self->sleep.future, waker) == SKUA_PENDING)
            return SKUA_PENDING;
        self->sleeps = false;
        self->at++;
        skua_waker_wake(waker);
        return SKUA_PENDING;
    }
    self->at++;
    if (step < 0)
        return step;
    memcpy(item, &step, sizeof step);
    return 1;
}

static skua_poll script_next(skua_stream *stream, void *item, skua_waker *waker)
{
    struct test_script *self = (struct test_script *)stream;

    self->asks++;
    CHECK_EQ(self->drops, 0);
    return self->at < self->count ? script_step(self, item, waker) : 0;
}

static void script_drop(skua_stream *stream)
{
    struct test_script *self = (struct test_script *)stream;

    if (self->sleeps)
        skua_future_drop(&self->sleep.future);
    self->sleeps = false;
    CHECK_EQ(self->drops++, 0);
    atomic_fetch_sub(&test_scripts_alive, 1);
}

static const skua_stream_ops script_ops = {
    .name = "script", .next = script_next, .drop = script_drop};

skua_stream *test_script_init(struct test_script *script, const int *steps, size_t count)
{
    atomic_fetch_add(&test_scripts_alive, 1);
    *script = (struct test_script){
        .stream = {.ops = &script_ops, .item_size = sizeof(int)}, .steps = steps, .count = count};
    return &script->stream;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int ask_giving_up(skua_stream *stream, int *item)
{
    int places[4];

    for (unsigned i = 0;; i++) {
        int64_t result = 99;
        int rc =
            skua_select_from((skua_future *const[]){skua_stream_nexting(stream, &places[i % 4])}, 1,
                             SKUA_SELECT_OPTIONS(.try_ = 1), &result);

        if (rc == 0) {
            *item = places[i % 4];
            return (int)result;
        }
        if (!CHECK_EQ(rc, -EAGAIN))
            return 0;
        memset(places, 0x7f, sizeof places);
        CHECK_EQ(i % 8 == 7 ? skua_sleep(MS(1) / 2) : skua_yield(), 0);
    }
}

struct all_asker {
    skua_async async;
    skua_stream_future next;
    skua_stream *stream;
    int item;
    int *answers;
    size_t max;
    size_t count;
    skua_poll answer;
};

static skua_poll asks_all(void *state, skua_waker *waker)
{
    struct all_asker *self = *(struct all_asker **)state;

    SKUA_ASYNC(self, waker);
    do {
        SKUA_AWAIT_TO(self->answer, skua_stream_next_init(&self->next, self->stream, &self->item));
        if (self->answer != 0 && self->count < self->max)
            self->answers[self->count++] = self->answer > 0 ? self->item : (int)self->answer;
    } while (self->answer != 0);
    SKUA_ASYNC_END(0);
}

static int ask(skua_stream *stream, enum test_asking way, int *item)
{
    int seen = -1;
    int peeked;
    int rc;

    if (way == ASK_GIVING_UP)
        return ask_giving_up(stream, item);
    if (way != ASK_PEEKING)
        return skua_stream_next(stream, item);
    peeked = skua_stream_peek(stream, &seen);
    CHECK_EQ(skua_stream_peek(stream, &seen), peeked);
    rc = skua_stream_next(stream, item);
    CHECK_EQ(rc, peeked);
    if (rc == 1)
        CHECK_EQ(seen, *item);
    return rc;
}

static size_t ask_all(skua_stream *stream, enum test_asking way, int *answers, size_t max)
{
    size_t count = 0;
    int item = -1;
    int rc;

    if (way == ASK_POLL_TASK && skua_task_current_id() != 0) {
        struct all_asker asker = {.stream = stream, .answers = answers, .max = max};
        struct all_asker *state = &asker;

        CHECK_EQ(test_run_poll(asks_all, &state, sizeof state), 0);
        return asker.count;
    }
    while ((rc = ask(stream, way, &item)) != 0 && count < max)
        answers[count++] = rc > 0 ? item : rc;
    return count;
}

void test_stream_check(skua_stream *stream, enum test_asking way, const int *wanted, size_t count,
                       const char *file, int line)
{
    static const char *const names[] = {"directly", "giving up", "in a poll task", "peeking"};
    skua_stream_adapter peekable;
    int answers[256];
    int room, item;
    size_t got;

    MUST(count < TEST_LEN(answers));
    if (way == ASK_PEEKING)
        stream = skua_stream_peekable_init(&peekable, stream, &room);
    got = ask_all(stream, way, answers, count + 1);
    if (!test_check_eq((int64_t)got, (int64_t)count, file, line, "how many answers"))
        test_note("asked %s", names[way]);
    for (size_t i = 0; i < got && i < count; i++)
        if (!test_check_eq(answers[i], wanted[i], file, line, "an answer"))
            test_note("number %zu, asked %s", i, names[way]);
    CHECK_EQ(skua_stream_next(stream, &item), 0); /* and says so again */
    skua_stream_drop(stream);
    skua_stream_drop(stream);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
}
