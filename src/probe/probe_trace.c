/* probe_trace.c - SKUA_TRACE=file.json: a trace of any program, for Perfetto or chrome://tracing.
 *
 * The first listener. Every thread writes its events into a buffer of its own; a full buffer is
 * turned into text and appended to the file under a lock. Each turn of a task is a slice on its
 * worker's track, named after the task; spawns, wakes and steals are instants; sleep is a slice,
 * too. The format is the Trace Event Format's JSON array, which its readers accept even when a
 * program that crashed has left off the closing bracket.
 *
 * Guards     a buffer is its thread's alone, until the end: the last runtime's end, when no worker
 *            is left, flushes them all.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/lock.h"
#include "os/os.h"
#include "probe/probe.h"

#define TRACE_EVENTS 2048

struct trace_event {
    int64_t time; /* ns */
    skua_probe_event event;
};

struct trace_buffer {
    struct trace_buffer *next; /* lock: trace_lock */
    int thread_id;
    unsigned count;
    struct trace_event events[TRACE_EVENTS];
};

static struct skua__lock trace_users_lock;
static unsigned trace_users; /* lock: trace_users_lock */
static struct skua__lock trace_lock;
static struct trace_buffer *trace_buffers; /* lock: trace_lock */
static int trace_fd = -1;                  /* constant while listening */
static uint64_t trace_epoch;               /* counts traces: a thread's buffer is of one of them */
static _Thread_local struct trace_buffer *trace_mine;
static _Thread_local uint64_t trace_mine_epoch;

/* ---- text ------------------------------------------------------------------------------------ */

struct trace_text {
    size_t len;
    char bytes[16 * 1024];
};

static void trace_flush_text(struct trace_text *text)
{
    /* A full disk ends the trace, not the program. */
    (void)skua__os_write_all(trace_fd, text->bytes, text->len);
    text->len = 0;
}

/* A JSON string's inside: names come from the program's source, but may hold anything. */
static void trace_escape(const char *from, char *to, size_t size)
{
    size_t at = 0;

    for (; *from != '\0' && at + 7 < size; from++) {
        unsigned char c = (unsigned char)*from;

        if (c == '"' || c == '\\')
            to[at++] = '\\';
        if (c < 0x20)
            at += (size_t)snprintf(to + at, size - at, "\\u%04x", c);
        else
            to[at++] = (char)c;
    }
    to[at] = '\0';
}

static const char *trace_name(const skua_probe_event *event)
{
    static const char *const names[SKUA_PROBE_KINDS] = {
        [SKUA_PROBE_SPAWNED] = "spawn",   [SKUA_PROBE_WOKEN] = "wake",
        [SKUA_PROBE_STOLEN] = "steal",    [SKUA_PROBE_CANCELLED] = "cancel",
        [SKUA_PROBE_SLEEP] = "sleep",     [SKUA_PROBE_AWAKE] = "sleep",
        [SKUA_PROBE_BLOCKED] = "blocked",
    };

    if (names[event->kind] != NULL)
        return names[event->kind];
    return event->site != NULL ? event->site->name : "task";
}

static char trace_phase(skua_probe_kind kind)
{
    switch (kind) {
    case SKUA_PROBE_POLLED:
    case SKUA_PROBE_SLEEP:
        return 'B';
    case SKUA_PROBE_PARKED:
    case SKUA_PROBE_YIELDED:
    case SKUA_PROBE_DONE:
    case SKUA_PROBE_AWAKE:
        return 'E';
    default:
        return 'i';
    }
}

static void trace_write(struct trace_text *text, int thread_id, const struct trace_event *entry)
{
    const skua_probe_event *event = &entry->event;
    char phase = trace_phase(event->kind);
    char name[160];
    char task[160] = "";
    char waits[80] = "";

    if (text->len + 1024 > sizeof text->bytes)
        trace_flush_text(text);
    trace_escape(trace_name(event), name, sizeof name);
    if (event->site != NULL)
        trace_escape(event->site->name, task, sizeof task);
    if (event->waiting_for != NULL)
        trace_escape(event->waiting_for, waits, sizeof waits);
    text->len += (size_t)snprintf(
        text->bytes + text->len, sizeof text->bytes - text->len,
        ",\n{\"name\":\"%s\",\"ph\":\"%c\",%s\"ts\":%lld.%03d,\"pid\":%d,\"tid\":%d,\"args\":{"
        "\"task\":\"%s\",\"id\":%llu,\"worker\":%d,\"waits\":\"%s\",\"value\":%lld}}",
        name, phase, phase == 'i' ? "\"s\":\"t\"," : "", (long long)(entry->time / 1000),
        (int)(entry->time % 1000), skua__os_process_id(), thread_id, task,
        (unsigned long long)event->task, (int)event->worker, waits, (long long)event->arg);
}

/* Under trace_lock. */
static void trace_flush(struct trace_buffer *buffer)
{
    static struct trace_text text; /* lock: trace_lock */

    for (unsigned i = 0; i < buffer->count; i++)
        trace_write(&text, buffer->thread_id, &buffer->events[i]);
    trace_flush_text(&text);
    buffer->count = 0;
}

/* ---- listening ------------------------------------------------------------------------------- */

static struct trace_buffer *trace_enroll(void)
{
    struct trace_buffer *buffer = skua__os_alloc(sizeof *buffer);

    if (buffer == NULL)
        return NULL; /* this event is lost; the next one tries again */
    buffer->thread_id = skua__os_thread_id();
    skua__lock_take(&trace_lock);
    buffer->next = trace_buffers;
    trace_buffers = buffer;
    trace_mine_epoch = trace_epoch;
    skua__lock_drop(&trace_lock);
    trace_mine = buffer;
    return buffer;
}

static void trace_event(const skua_probe_event *event, void *arg)
{
    struct trace_buffer *buffer = trace_mine;

    (void)arg;
    if (buffer == NULL || trace_mine_epoch != trace_epoch)
        buffer = trace_enroll();
    if (buffer == NULL)
        return;
    buffer->events[buffer->count].time = skua__os_now();
    buffer->events[buffer->count].event = *event;
    if (++buffer->count < TRACE_EVENTS)
        return;
    skua__lock_take(&trace_lock);
    trace_flush(buffer);
    skua__lock_drop(&trace_lock);
}

static const skua_probe_listener trace_listener = {
    .size = sizeof(skua_probe_listener),
    .kinds = SKUA_PROBE_BIT(SKUA_PROBE_BEGUN) - 1, /* tasks and workers: all kinds before */
    .event = trace_event};

static int trace_open(const char *path)
{
    static const char head[] = "[{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":0,\"tid\":0,"
                               "\"args\":{\"name\":\"skua\"}}";
    int fd = skua__os_open_append(path);

    if (fd < 0)
        return fd;
    trace_epoch++;
    trace_fd = fd;
    (void)skua__os_write_all(fd, head, sizeof head - 1);
    (void)skua_probe_attach(&trace_listener); /* full: the trace stays empty */
    return 0;
}

static void trace_close(void)
{
    struct trace_buffer *buffer;

    (void)skua_probe_detach(&trace_listener);
    skua__lock_take(&trace_lock);
    while ((buffer = trace_buffers) != NULL) {
        trace_buffers = buffer->next;
        trace_flush(buffer);
        skua__os_free(buffer);
    }
    trace_epoch++; /* what threads still point at is gone */
    skua__lock_drop(&trace_lock);
    (void)skua__os_write_all(trace_fd, "\n]\n", 3);
    skua__os_close(trace_fd);
    trace_fd = -1;
}

void skua__probe_trace_begin(void)
{
    const char *path = skua__os_env("SKUA_TRACE");
    int rc = 0;

    skua__os_lock_over_fork(&trace_users_lock); /* held while the other one is taken */
    skua__os_lock_over_fork(&trace_lock);
    skua__lock_take(&trace_users_lock);
    if (trace_users++ == 0 && path != NULL && *path != '\0')
        rc = trace_open(path);
    skua__lock_drop(&trace_users_lock);
    if (rc != 0) /* no reason for the program not to run */
        fprintf(stderr, "skua: SKUA_TRACE=%s: %s\n", path, skua_strerror(rc));
}

void skua__probe_trace_end(void)
{
    skua__lock_take(&trace_users_lock);
    if (--trace_users == 0 && trace_fd >= 0)
        trace_close();
    skua__lock_drop(&trace_users_lock);
}

#undef TRACE_EVENTS
