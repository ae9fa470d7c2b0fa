/* test_trace_api.c - what libskua does of traces: nothing, until there is an SDK; then the current
 * span, who inherits it, and who calls which function of the SDK.
 *
 * The SDK here is a table that counts.
 */
#include <pthread.h>

#include <skua/blocking.h>
#include <skua/telemetry.h>

#include "../lib/harness.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_tracer tracer = SKUA_TRACER("test.api", "1");

/* ---- an SDK that counts ---------------------------------------------------------------------- */

struct fake {
    skua_span_head head;
    skua_span_context parent;
    bool root;
    char name[32];
};

static atomic_int made, freed, ended, calls;

static skua_span *fake_start(skua_tracer *from, const char *name, const skua_span_context *parent,
                             const skua_span_options *options);

static void fake_end(skua_span *span, int64_t time)
{
    struct fake *fake = (struct fake *)span;

    (void)time;
    atomic_fetch_add(&ended, 1);
    __atomic_store_n(&fake->head.recording, 0, __ATOMIC_RELAXED);
}

static void fake_set(skua_span *span, const skua_attr *attrs, size_t count)
{
    (void)span;
    (void)attrs;
    atomic_fetch_add(&calls, (int)count);
}

static void fake_event(skua_span *span, const char *name, int64_t time, const skua_attr *attrs,
                       size_t count)
{
    (void)name;
    (void)time;
    fake_set(span, attrs, count + 1);
}

static void fake_link(skua_span *span, const skua_span_context *context, const skua_attr *attrs,
                      size_t count)
{
    (void)context;
    fake_set(span, attrs, count + 1);
}

static void fake_status(skua_span *span, skua_span_status status, const char *text)
{
    (void)status;
    MUST(text != NULL);
    fake_set(span, NULL, 1);
}

static void fake_rename(skua_span *span, const char *name)
{
    (void)name;
    fake_set(span, NULL, 1);
}

static void fake_free(skua_span *span)
{
    atomic_fetch_add(&freed, 1);
    free(span);
}

static const skua_trace_ops fake_ops = {.size = sizeof fake_ops,
                                        .start = fake_start,
                                        .end = fake_end,
                                        .set = fake_set,
                                        .event = fake_event,
                                        .link = fake_link,
                                        .status = fake_status,
                                        .rename = fake_rename,
                                        .free = fake_free};

static skua_span *fake_start(skua_tracer *from, const char *name, const skua_span_context *parent,
                             const skua_span_options *options)
{
    struct fake *fake = calloc(1, sizeof *fake);
    int id = atomic_fetch_add(&made, 1) + 1;

    (void)options;
    MUST(fake != NULL && from == &tracer);
    fake->head.ops = &fake_ops;
    fake->head.refs = 1;
    fake->head.recording = 1;
    memcpy(fake->head.context.span_id, &id, sizeof id);
    fake->head.context.trace_id[0] = 1;
    fake->root = parent == NULL;
    if (parent != NULL)
        fake->parent = *parent;
    (void)snprintf(fake->name, sizeof fake->name, "%s", name);
    return (skua_span *)fake;
}

static void install(void)
{
    atomic_store(&made, 0);
    atomic_store(&freed, 0);
    atomic_store(&ended, 0);
    atomic_store(&calls, 0);
    MUST(skua_trace_install(&fake_ops) == 0);
}

/* All spans were ended, and given back. */
static void remove_sdk(void)
{
    CHECK_EQ(skua_trace_install(NULL), 0);
    CHECK(skua_span_current() == NULL);
    CHECK_EQ(atomic_load(&freed), atomic_load(&made));
    CHECK_EQ(atomic_load(&ended), atomic_load(&made));
}

static skua_span *start(const char *name)
{
    return skua_span_start(&tracer, name, NULL);
}

/* Whether the child's parent is that span; the child ends. */
static bool is_parent(skua_span *child, const skua_span *parent)
{
    const struct fake *fake = (const struct fake *)child;
    skua_span_context context;
    bool is = false;

    if (skua_span_context_of(parent, &context) == 0)
        is = !fake->root && memcmp(fake->parent.span_id, context.span_id, 8) == 0;
    skua_span_end(child);
    return is;
}

static bool is_root(skua_span *span)
{
    bool root = ((struct fake *)span)->root;

    skua_span_end(span);
    return root;
}

/* ---- without an SDK -------------------------------------------------------------------------- */

static void check_nothing_happens(void)
{
    skua_span_context context;
    skua_span_frame frame;
    unsigned inside = 0;

    CHECK(start("x") == NULL);
    CHECK(skua_span_current() == NULL);
    skua_span_set(NULL, SKUA_I64("a", 1));
    skua_span_event(NULL, "e", 0, NULL, 0);
    skua_span_link_to(NULL, &context, NULL, 0);
    skua_span_set_status(NULL, SKUA_SPAN_ERROR, NULL);
    skua_span_fail(NULL, -EIO, "what");
    skua_span_rename(NULL, "y");
    skua_span_end(NULL);
    skua_span_end_at(NULL, 1);
    CHECK(skua_span_ref(NULL) == NULL);
    skua_span_unref(NULL);
    CHECK_EQ(skua_span_recording(NULL), 0);
    CHECK_EQ(skua_span_context_of(NULL, &context), -ENOENT);
    CHECK_EQ(skua_span_context_valid(&context), 0);
    CHECK_EQ(skua_span_enter(&frame, NULL), 0);
    CHECK_EQ(skua_span_leave(&frame), 0);
    SKUA_SPAN(span, &tracer, "block", SKUA_I64("a", 1), SKUA_STR("b", "c"))
    {
        CHECK(span == NULL);
        inside++;
    }
    CHECK_EQ(inside, 1);
}

TEST(off_on_a_plain_thread)
{
    check_nothing_happens();
}

TEST_FIBER(off_in_a_fiber)
{
    check_nothing_happens();
    return 0;
}

TEST(a_table_is_installed_once)
{
    skua_trace_ops other = fake_ops;

    install();
    CHECK_EQ(skua_trace_install(&fake_ops), -EBUSY);
    other.size--;
    CHECK_EQ(skua_trace_install(&other), -EINVAL);
    CHECK(skua_trace_installed() == &fake_ops);
    remove_sdk();
    CHECK(skua_trace_installed() == NULL);
}

TEST(bad_options_make_no_span)
{
    skua_span_options options;

    install();
    skua_span_options_init(&options);
    options.kind = (skua_span_kind)6;
    CHECK(skua_span_start(&tracer, "x", &options) == NULL);
    options.kind = SKUA_SPAN_SERVER;
    options.size++;
    CHECK(skua_span_start(&tracer, "x", &options) == NULL);
    remove_sdk();
}

/* ---- the current span ------------------------------------------------------------------------ */

static void check_parents(void)
{
    skua_span *outer = start("outer"), *inner;
    skua_span_context other = {.trace_id = {9}, .span_id = {8}}, none = {.flags = 1};
    skua_span_frame frames[3];

    CHECK(is_root(start("root")));
    CHECK_EQ(skua_span_enter(&frames[0], outer), 0);
    CHECK(skua_span_current() == outer);
    inner = start("inner");
    CHECK_EQ(skua_span_enter(&frames[1], inner), 0);
    CHECK(is_parent(start("a"), inner));
    CHECK(is_root(skua_span_start(&tracer, "b", SKUA_SPAN_OPTIONS(.root = 1))));
    inner = skua_span_start(&tracer, "c", SKUA_SPAN_OPTIONS(.parent = &other));
    CHECK(memcmp(&((struct fake *)inner)->parent.trace_id, other.trace_id, 16) == 0);
    skua_span_end(inner);
    /* A parent that is not valid is none. */
    CHECK(is_root(skua_span_start(&tracer, "d", SKUA_SPAN_OPTIONS(.parent = &none))));
    /* Once more: by a link of its own. */
    CHECK_EQ(skua_span_enter(&frames[2], outer), 0);
    CHECK(is_parent(start("e"), outer));
    CHECK_EQ(skua_span_leave(&frames[1]), SKUA_EUSAGE); /* out of order: nothing happens */
    CHECK(skua_span_current() == outer);
    CHECK_EQ(skua_span_leave(&frames[2]), 0);
    inner = skua_span_current();
    CHECK_EQ(skua_span_leave(&frames[1]), 0);
    skua_span_end(inner);
    CHECK(skua_span_current() == outer);
    CHECK_EQ(skua_span_leave(&frames[0]), 0);
    skua_span_end(outer);
}

/* Checks, with the SDK that counts. */
static int with_sdk(void (*check)(void))
{
    install();
    check();
    remove_sdk();
    return 0;
}

TEST(parents_on_a_plain_thread)
{
    with_sdk(check_parents);
}

TEST_FIBER(parents_in_a_fiber)
{
    return with_sdk(check_parents);
}

static void *another_thread(void *arg)
{
    (void)arg;
    CHECK(skua_span_current() == NULL);
    CHECK(is_root(start("there")));
    return NULL;
}

static void check_attach(void)
{
    skua_span_context remote = {
        .trace_id = {1, 2}, .span_id = {3}, .flags = 1, .remote = 1, .trace_state = "a=1"};
    skua_span_context none = {.flags = 1}, got;
    skua_span_frame frame;
    struct fake *fake;

    CHECK_EQ(skua_trace_attach(&frame, &none), -EINVAL);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK_EQ(skua_trace_attach(&frame, &remote), 0);
    CHECK_EQ(skua_span_recording(skua_span_current()), 0);
    MUST(skua_span_context_of(skua_span_current(), &got) == 0);
    CHECK(got.remote == 1 && strcmp(got.trace_state, "a=1") == 0);
    skua_span_set(skua_span_current(), SKUA_I64("a", 1));
    skua_span_end(skua_span_current()); /* not its own: nothing happens */
    fake = (struct fake *)start("child");
    CHECK(!fake->root && fake->parent.remote == 1 && fake->parent.span_id[0] == 3);
    skua_span_end((skua_span *)fake);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK(skua_span_current() == NULL);
}

TEST(what_came_with_a_message_is_attached)
{
    pthread_t thread;
    skua_span *span;
    skua_span_frame frame;

    install();
    check_attach();
    span = start("here");
    CHECK_EQ(skua_span_enter(&frame, span), 0);
    MUST(pthread_create(&thread, NULL, another_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_span_leave(&frame), 0);
    skua_span_end(span);
    remove_sdk();
}

TEST_FIBER(what_came_with_a_message_is_attached_in_a_fiber)
{
    return with_sdk(check_attach);
}

/* ---- inherited ------------------------------------------------------------------------------- */

static int child_fiber(void *arg)
{
    skua_span *parent = arg;

    CHECK(skua_span_current() == parent);
    CHECK(is_parent(start("child"), parent));
    CHECK_EQ(skua_yield(), 0);
    CHECK(skua_span_current() == parent);
    SKUA_SPAN(span, &tracer, "own")
    {
        CHECK(skua_span_current() == span);
        CHECK_EQ(skua_yield(), 0);
        CHECK(is_parent(start("below"), span));
    }
    CHECK(skua_span_current() == parent);
    return 0;
}

static int64_t child_poll(void *state, skua_waker *waker)
{
    skua_span *parent = *(skua_span **)state;
    skua_span_frame frame;
    skua_span *span;

    (void)waker;
    CHECK(skua_span_current() == parent);
    span = start("polled");
    CHECK_EQ(skua_span_enter(&frame, span), SKUA_EUSAGE);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK(is_parent(span, parent));
    SKUA_SPAN(scoped, &tracer, "scoped")
    { /* not current, but ended */
        CHECK(scoped != NULL && skua_span_current() == parent);
    }
    return 0;
}

static int child_job(void *arg)
{
    skua_span *parent = arg;

    CHECK(skua_span_current() == parent);
    SKUA_SPAN(span, &tracer, "in a job")
    {
        CHECK(skua_span_current() == span);
    }
    CHECK(is_parent(start("job"), parent));
    return 0;
}

TEST_FIBER(tasks_and_jobs_inherit_the_current_span)
{
    skua_scope scope;

    install();
    SKUA_SPAN(span, &tracer, "request")
    {
        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(skua_spawn(&scope, child_fiber, span), 0);
        CHECK_EQ(skua_spawn_poll(&scope, child_poll, &(skua_span *){span}), 0);
        CHECK_EQ(skua_blocking(child_job, span), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(skua_span_recording(span), 1);
    }
    remove_sdk();
    return 0;
}

static int outlive(void *arg)
{
    skua_span_context context;

    CHECK_EQ(skua_event_wait(arg), 0);
    CHECK(skua_span_current() != NULL);
    CHECK_EQ(skua_span_recording(skua_span_current()), 0);
    CHECK_EQ(skua_span_context_of(skua_span_current(), &context), 0);
    CHECK_EQ(skua_span_context_valid(&context), 1);
    skua_span_set(skua_span_current(), SKUA_I64("late", 1));
    CHECK(is_parent(start("late child"), skua_span_current()));
    return 0;
}

TEST_FIBER(a_span_is_there_for_tasks_that_outlive_it)
{
    skua_event event = SKUA_EVENT_INIT;
    skua_scope scope;

    install();
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    SKUA_SPAN(span, &tracer, "short")
    {
        for (int i = 0; i < 4; i++)
            CHECK_EQ(skua_spawn(&scope, outlive, &event), 0);
        CHECK(span != NULL);
    }
    CHECK(skua_span_current() == NULL);
    CHECK_EQ(atomic_load(&ended), 1);
    skua_event_set(&event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&calls), 0);
    remove_sdk();
    return 0;
}

/* ---- every way out of a block ---------------------------------------------------------------- */

static int leave_by_return(void)
{
    SKUA_SPAN(span, &tracer, "return")
    {
        if (span != NULL)
            return 7;
    }
    return 0;
}

static void leave_by_goto(void)
{
    SKUA_SPAN(span, &tracer, "goto")
    {
        SKUA_SPAN(inner, &tracer, "inner")
        {
            if (inner != NULL && span != NULL)
                goto out;
        }
    }
    CHECK(false);
out:
    CHECK(skua_span_current() == NULL);
}

static void check_ways_out(void)
{
    int turns = 0;

    CHECK_EQ(leave_by_return(), 7);
    CHECK(skua_span_current() == NULL);
    leave_by_goto();
    for (int i = 0; i < 3; i++) {
        SKUA_SPAN(span, &tracer, "break")
        { /* ends the block, not the loop around it */
            if (span != NULL)
                break;
            CHECK(false);
        }
        turns++;
        CHECK(skua_span_current() == NULL);
    }
    SKUA_SPAN(span, &tracer, "continue")
    {
        if (span != NULL)
            continue;
        CHECK(false);
    }
    CHECK(skua_span_current() == NULL);
    SKUA_SPAN(span, &tracer, "ended inside")
    {
        skua_span_end(span);
        CHECK_EQ(skua_span_recording(span), 0);
        skua_span_end(span);
    }
    CHECK_EQ(turns, 3);
    CHECK_EQ(atomic_load(&made), 8);
}

TEST(a_block_ends_its_span_on_every_way_out)
{
    with_sdk(check_ways_out);
}

TEST_FIBER(a_block_ends_its_span_on_every_way_out_in_a_fiber)
{
    return with_sdk(check_ways_out);
}

static int argument_made;

static int64_t make_argument(void)
{
    return ++argument_made;
}

TEST(attributes_of_a_block_are_made_only_when_telemetry_is_on)
{
    argument_made = 0;
    SKUA_SPAN(span, &tracer, "off", SKUA_I64("n", make_argument()))
    {
        CHECK(span == NULL);
    }
    CHECK_EQ(argument_made, 0);
    install();
    SKUA_SPAN(span, &tracer, "on", SKUA_I64("n", make_argument()))
    {
        CHECK(span != NULL);
    }
    CHECK(argument_made > 0);
    remove_sdk();
}

/* ---- suppressed ------------------------------------------------------------------------------ */

static int suppressed_child(void *arg)
{
    (void)arg;
    CHECK_EQ(skua_trace_suppressed(), 1);
    CHECK(start("x") == NULL);
    CHECK(skua_span_current() == NULL);
    return 0;
}

static void check_suppress(void)
{
    skua_span *span = start("before");
    skua_span_context remote = {.trace_id = {1}, .span_id = {3}, .flags = 1};
    skua_span_frame frame, inner;

    CHECK_EQ(skua_trace_suppressed(), 0);
    CHECK_EQ(skua_trace_suppress(&frame), 0);
    suppressed_child(NULL);
    CHECK(skua_span_start(&tracer, "x", SKUA_SPAN_OPTIONS(.root = 1)) == NULL);
    CHECK_EQ(skua_trace_attach(&inner, &remote), 0);
    suppressed_child(NULL);
    CHECK_EQ(skua_span_leave(&inner), 0);
    CHECK_EQ(skua_span_enter(&inner, span), 0); /* neither does this switch it on */
    suppressed_child(NULL);
    CHECK_EQ(skua_span_leave(&inner), 0);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK_EQ(skua_trace_suppressed(), 0);
    skua_span_end(span);
}

TEST(suppressed_on_a_plain_thread)
{
    install();
    check_suppress();
    remove_sdk();
}

TEST_FIBER(suppressed_in_a_fiber_and_all_that_it_spawns)
{
    skua_span_frame frame;
    skua_scope scope;

    install();
    check_suppress();
    CHECK_EQ(skua_trace_suppress(&frame), 0);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, suppressed_child, NULL), 0);
    CHECK_EQ(skua_blocking(suppressed_child, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_span_leave(&frame), 0);
    remove_sdk();
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

TEST(what_is_set_reaches_the_sdk_until_the_end)
{
    skua_span_context other = {.trace_id = {9}, .span_id = {8}};
    skua_span *span;

    install();
    span = skua_span_ref(start("x"));
    skua_span_set(span, SKUA_I64("a", 1), SKUA_STR("b", NULL));
    CHECK_EQ(atomic_load(&calls), 2);
    skua_span_event(span, "e", 0, NULL, 0);
    skua_span_link_to(span, &other, NULL, 0);
    skua_span_set_status(span, SKUA_SPAN_ERROR, NULL);
    skua_span_rename(span, "y");
    CHECK_EQ(atomic_load(&calls), 6);
    skua_span_fail(span, -EIO, NULL); /* an event with two, an attribute, the status */
    CHECK_EQ(atomic_load(&calls), 11);
    skua_span_end(span);
    skua_span_end(span);
    skua_span_set(span, SKUA_I64("a", 1));
    CHECK_EQ(atomic_load(&calls), 11);
    CHECK_EQ(atomic_load(&ended), 1);
    skua_span_unref(span);
    remove_sdk();
}

/* Between deadlines and locals, in the one order that is right. */
TEST_FIBER(frames_stand_among_those_of_deadlines)
{
    skua_span_frame frame;
    skua_deadline deadline;
    skua_span *span;

    install();
    span = start("x");
    CHECK_EQ(skua_span_enter(&frame, span), 0);
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + MS(100000)), 0);
    CHECK(skua_span_current() == span);
    CHECK_EQ(skua_span_leave(&frame), SKUA_EUSAGE);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + MS(100000)), 0);
    CHECK_EQ(skua_span_enter(&frame, span), 0);
    CHECK(skua_deadline_current() != SKUA_FOREVER);
    CHECK_EQ(skua_deadline_end(&deadline), SKUA_EUSAGE);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    skua_span_end(span);
    remove_sdk();
    return 0;
}

#ifdef SKUA_FAULTS
static void check_no_memory(void)
{
    skua_span_context remote = {.trace_id = {1}, .span_id = {3}, .flags = 1};
    skua_span_frame first, second;
    skua_span *span = start("x");

    CHECK_EQ(skua_span_enter(&first, span), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 100, ENOMEM);
    CHECK_EQ(skua_trace_attach(&second, &remote), -ENOMEM);
    CHECK_EQ(skua_span_leave(&second), 0);
    CHECK_EQ(skua_trace_suppress(&second), -ENOMEM);
    CHECK_EQ(skua_span_leave(&second), 0);
    CHECK_EQ(skua_span_enter(&second, span), -ENOMEM);
    CHECK_EQ(skua_span_leave(&second), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK(skua_span_current() == span);
    CHECK_EQ(skua_span_leave(&first), 0);
    skua_span_end(span);
}

TEST(no_memory_changes_nothing)
{
    install();
    check_no_memory();
    remove_sdk();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_on_a_plain_thread),
        cmocka_unit_test(off_in_a_fiber),
        cmocka_unit_test(a_table_is_installed_once),
        cmocka_unit_test(bad_options_make_no_span),
        cmocka_unit_test(parents_on_a_plain_thread),
        cmocka_unit_test(parents_in_a_fiber),
        cmocka_unit_test(what_came_with_a_message_is_attached),
        cmocka_unit_test(what_came_with_a_message_is_attached_in_a_fiber),
        cmocka_unit_test(tasks_and_jobs_inherit_the_current_span),
        cmocka_unit_test(a_span_is_there_for_tasks_that_outlive_it),
        cmocka_unit_test(a_block_ends_its_span_on_every_way_out),
        cmocka_unit_test(a_block_ends_its_span_on_every_way_out_in_a_fiber),
        cmocka_unit_test(attributes_of_a_block_are_made_only_when_telemetry_is_on),
        cmocka_unit_test(suppressed_on_a_plain_thread),
        cmocka_unit_test(suppressed_in_a_fiber_and_all_that_it_spawns),
        cmocka_unit_test(what_is_set_reaches_the_sdk_until_the_end),
        cmocka_unit_test(frames_stand_among_those_of_deadlines),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory_changes_nothing),
#endif
    };

    return TEST_MAIN(tests);
}
