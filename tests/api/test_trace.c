/* drivers: both */
/* test_trace.c - SKUA_TRACE=file.json writes a trace that Perfetto and chrome://tracing take.
 *
 * Specifies runtime.h: the environment. A child runs tasks under SKUA_TRACE; the file must be one
 * JSON value by the grammar of RFC 8259 (a small parser below), whatever the tasks are called, with
 * events that carry what viewers need: ph, ts, pid, tid, name.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/probe.h>

#include "../lib/child.h"
#include "../lib/event.h"

/* ---- a strict reader of JSON ----------------------------------------------------------------- */

struct json {
    const char *at, *end;
    int depth, objects, events; /* events: objects with a member "ph" */
    bool names, stamps, process, thread;
};

static bool json_value(struct json *json);

static void json_space(struct json *json)
{
    while (json->at < json->end && strchr(" \t\r\n", *json->at))
        json->at++;
}

static bool json_take(struct json *json, char c)
{
    json_space(json);
    if (json->at >= json->end || *json->at != c)
        return false;
    json->at++;
    return true;
}

static bool json_escape(struct json *json)
{
    char c = json->at < json->end ? *json->at++ : '\0';

    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c);
    for (int i = 0; i < 4; i++)
        if (json->at >= json->end || !strchr("0123456789abcdefABCDEF", *json->at++))
            return false;
    return true;
}

static bool json_string(struct json *json, char *text, size_t size)
{
    size_t len = 0;

    if (!json_take(json, '"'))
        return false;
    while (json->at < json->end && *json->at != '"') {
        unsigned char c = (unsigned char)*json->at++;

        if (c < 0x20 || (c == '\\' && !json_escape(json)))
            return false;
        if (len + 1 < size)
            text[len++] = (char)c;
    }
    if (size)
        text[len] = '\0';
    return json_take(json, '"');
}

static bool json_digits(struct json *json)
{
    const char *begin = json->at;

    while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
        json->at++;
    return json->at > begin;
}

static bool json_number(struct json *json)
{
    if (*json->at == '-')
        json->at++;
    if (json->at + 1 < json->end && json->at[0] == '0' && json->at[1] >= '0' && json->at[1] <= '9')
        return false;
    if (!json_digits(json))
        return false;
    if (json->at < json->end && *json->at == '.') {
        json->at++;
        if (!json_digits(json))
            return false;
    }
    if (json->at < json->end && (*json->at == 'e' || *json->at == 'E')) {
        json->at++;
        if (json->at < json->end && (*json->at == '+' || *json->at == '-'))
            json->at++;
        return json_digits(json);
    }
    return true;
}

static bool json_object(struct json *json)
{
    char key[32];

    json->objects++;
    if (json_take(json, '}'))
        return true;
    do {
        if (!json_string(json, key, sizeof key) || !json_take(json, ':'))
            return false;
        json->events += strcmp(key, "ph") == 0;
        json->names |= strcmp(key, "name") == 0;
        json->stamps |= strcmp(key, "ts") == 0;
        json->process |= strcmp(key, "pid") == 0;
        json->thread |= strcmp(key, "tid") == 0;
        if (!json_value(json))
            return false;
    } while (json_take(json, ','));
    return json_take(json, '}');
}

static bool json_array(struct json *json)
{
    if (json_take(json, ']'))
        return true;
    do
        if (!json_value(json))
            return false;
    while (json_take(json, ','));
    return json_take(json, ']');
}

static bool json_word(struct json *json, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(json->end - json->at) < len || strncmp(json->at, word, len) != 0)
        return false;
    json->at += len;
    return true;
}

static bool json_value(struct json *json)
{
    bool ok;

    json_space(json);
    if (json->at >= json->end || ++json->depth > 50)
        return false;
    if (*json->at == '"')
        ok = json_string(json, NULL, 0);
    else if (*json->at == 't' || *json->at == 'f' || *json->at == 'n')
        ok = json_word(json, "true") || json_word(json, "false") || json_word(json, "null");
    else if (json_take(json, '{'))
        ok = json_object(json);
    else if (json_take(json, '['))
        ok = json_array(json);
    else
        ok = json_number(json);
    json->depth--;
    return ok;
}

static bool json_whole(struct json *json, const char *text, size_t len)
{
    *json = (struct json){.at = text, .end = text + len};
    if (!json_value(json))
        return false;
    json_space(json);
    return json->at == json->end;
}

TEST(trace_parser_is_strict)
{
    static const char *const right[] = {"{}", "[]", " [1, -2.5e+3, 0, \"a\\u00e9\\n\", null] ",
                                        "{\"ph\":\"X\",\"a\":{\"b\":[true,false]}}"};
    static const char *const wrong[] = {"",      "{",        "[1,]",    "{\"a\":}", "{\"a\" 1}",
                                        "[01]",  "\"a\nb\"", "\"\\x\"", "[1] 2",    "{\"a\":1,}",
                                        "truex", "[nul]",    "\"open",  "[1.]",     "{a:1}"};
    struct json json;

    for (size_t i = 0; i < TEST_LEN(right); i++)
        CHECK(json_whole(&json, right[i], strlen(right[i])));
    for (size_t i = 0; i < TEST_LEN(wrong); i++)
        CHECK(!json_whole(&json, wrong[i], strlen(wrong[i])));
}

/* ---- the child ------------------------------------------------------------------------------- */

struct napper {
    skua_async async;
    skua_sleep_future sleep;
};

static skua_poll naps(void *state, skua_waker *waker)
{
    struct napper *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, MS(1)));
    SKUA_ASYNC_END(0);
}

static int works(void *arg)
{
    skua_scope scope;

    (void)arg;
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 50; i++) {
        MUST(skua_spawn(&scope, test_fiber_return, NULL,
                        .name = "a \"hostile\" name\\ with\n\tall\x01 of it") == 0);
        MUST(skua_spawn_poll(&scope, naps, &(struct napper){0}, .name = "n\303\244ps") == 0);
    }
    for (int i = 0; i < 100; i++)
        skua_yield();
    return skua_scope_join(&scope);
}

static void hears(const skua_probe_event *event, void *arg)
{
    (void)event;
    (void)arg;
}

static atomic_bool forks_over;

static void *runtimes_come_and_go(void *arg)
{
    (void)arg;
    while (!atomic_load(&forks_over)) {
        skua_runtime *runtime;

        MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)) == 0);
        MUST(skua_runtime_free(runtime) == 0);
    }
    return NULL;
}

/* Traces begin and end, which attaches their listener: what forks hold is taken in another order
 * than where the trace came first. */
static int forks_meanwhile(void)
{
    static const skua_probe_listener listener = {
        .size = sizeof listener, .kinds = SKUA_PROBE_BIT(SKUA_PROBE_CANCELLED), .event = hears};
    pthread_t thread;

    MUST(skua_probe_attach(&listener) == 0);
    MUST(pthread_create(&thread, NULL, runtimes_come_and_go, NULL) == 0);
    for (int i = 0; i < TEST_COUNT(2000); i++) {
        pid_t child = fork();

        MUST(child >= 0);
        if (child == 0)
            _exit(0);
        MUST(waitpid(child, NULL, 0) == child);
    }
    atomic_store(&forks_over, true);
    return pthread_join(thread, NULL);
}

static void *first_runtime(void *arg)
{
    skua_runtime *runtime;

    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)) == 0);
    MUST(skua_runtime_free(runtime) == 0);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

/* The locks of a process are named one after the other, some under others that have been. */
static int forks_at_the_first(void)
{
    static atomic_bool over;
    pthread_t thread;

    (void)alarm(10);
    MUST(pthread_create(&thread, NULL, first_runtime, &over) == 0);
    while (!atomic_load(&over)) {
        pid_t child = fork();

        MUST(child >= 0);
        if (child == 0)
            _exit(0);
        MUST(waitpid(child, NULL, 0) == child);
    }
    return pthread_join(thread, NULL);
}

static int forks_at_many_firsts(void)
{
    int status = 0;

    for (int i = 0; i < 300 && status == 0; i++) {
        pid_t child = fork();

        MUST(child >= 0);
        if (child == 0)
            _exit(forks_at_the_first());
        MUST(waitpid(child, &status, 0) == child);
    }
    return status != 0;
}

static int child_main(const char *mode)
{
    if (strcmp(mode, "forks") == 0)
        return forks_meanwhile();
    if (strcmp(mode, "firsts") == 0)
        return forks_at_many_firsts();
    skua_runtime_options options = {.size = sizeof options, .workers = 2};
    skua_runtime *runtime;
    int result = -1;

    if (strcmp(mode, "current") == 0)
        options = (skua_runtime_options){.size = sizeof options, .kind = SKUA_CURRENT_THREAD};
    if (skua_runtime_new(&runtime, &options) != 0)
        return 97;
    if (skua_block_on(runtime, works, NULL, &result) != 0 || result != 0)
        return 98;
    return skua_runtime_free(runtime) == 0 ? 0 : 99;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *text;

    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    text = calloc(1, *len + 1);
    MUST(fread(text, 1, *len, file) == *len);
    fclose(file);
    return text;
}

static void check_trace(const char *mode)
{
    char path[] = "/tmp/skua-trace-XXXXXX", env[64];
    struct test_child child;
    struct json json;
    size_t len = 0;
    int status;
    char *text;

    test_variant(mode);
    close(mkstemp(path));
    snprintf(env, sizeof env, "SKUA_TRACE=%s", path);
    status = test_child_run(&child, mode, env);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQ(child.len, 0); /* nothing is said about it */
    text = read_file(path, &len);
    MUST(text != NULL);
    if (!CHECK(json_whole(&json, text, len)))
        test_note("wrong at byte %td: %.60s", json.at - text, json.at);
    CHECK(json.events >= 100);
    CHECK(json.names && json.stamps && json.process && json.thread);
    CHECK(strstr(text, "hostile") != NULL);
    free(text);
    unlink(path);
}

TEST(trace_is_valid_json)
{
    check_trace("current");
    check_trace("multi");
}

/* A trace that cannot be written is no reason to fail the program. */
TEST(trace_to_nowhere)
{
    struct test_child child;
    int status = test_child_run(&child, "multi", "SKUA_TRACE=/nonexistent/dir/trace.json");

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(forks_while_traces_begin_and_end)
{
    struct test_child child;
    int status;

    if (TEST_SANITIZED)
        return; /* a sanitizer's own locks may be held by a thread that is not in the child */
    status = test_child_run(&child, "forks", "SKUA_TRACE=/dev/null");
    CHECK_EQ(status, 0);
    status = test_child_run(&child, "firsts", "SKUA_TRACE=/dev/null");
    CHECK_EQ(status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_parser_is_strict),
        cmocka_unit_test(trace_is_valid_json),
        cmocka_unit_test(trace_to_nowhere),
        cmocka_unit_test(forks_while_traces_begin_and_end),
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
