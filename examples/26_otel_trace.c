/* 26_otel_trace.c - a traced pipeline over two processes: one trace, whoever does the work.
 *
 *     parent: SKUA_SPAN "make report"
 *               environment  TRACEPARENT=…      -- the child's work is a part of this span
 *               "send line"  message: traceparent and text, a line each
 *     child:  SKUA_SPAN "count words"           -- its parent is "make report"
 *               "line"       is linked to "send line": messages may come from many traces
 *
 * Both print their spans on standard output, each in its process. Without skua_otel_start the same
 * program runs, and none of this costs anything. */
#include <skua/otel/console.h>
#include <skua/otel/sdk.h>
#include <skua/propagation.h>
#include <skua/skua.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static skua_tracer tracer = SKUA_TRACER("example.pipeline", "1.0.0");

static int telemetry(const char *service)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    skua_attr resource = SKUA_STR("service.name", service);
    int rc = skua_otel_console_new(&to.exporter, NULL);

    (void)skua_propagation_use("tracecontext,baggage");
    return rc != 0 ? rc
                   : skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                                       .resource = &resource, .resource_count = 1));
}

/* ---- the child ------------------------------------------------------------------------------- */

static int words(const char *text)
{
    int count = 0;

    for (int inside = 0; *text != '\0'; text++) {
        count += isspace((unsigned char)*text) == 0 && !inside;
        inside = isspace((unsigned char)*text) == 0;
    }
    return count;
}

/* "traceparent\ttext\n": a span of its own, linked to its sender's. */
static void count(char *line)
{
    char *text = strchr(line, '\t');
    skua_carrier_field field = {"traceparent", line, 0};
    skua_fields_carrier message;
    skua_propagated sender;
    skua_span_link link = {&sender.span, NULL, 0};
    skua_span *span;

    if (text == NULL)
        return;
    *text++ = '\0';
    field.len = strlen(line);
    skua_fields_carrier_init(&message, &field, 1, NULL, 0);
    message.count = 1;
    if (skua_extract(&message.carrier, &sender) != 0)
        return;
    span = skua_span_start(&tracer, "line",
                           SKUA_SPAN_OPTIONS(.kind = SKUA_SPAN_CONSUMER, .links = &link,
                                             .links_count = sender.span.remote));
    skua_span_set(span, SKUA_I64("words", words(text)));
    skua_span_end(span);
    skua_propagated_free(&sender);
}

static int child(void)
{
    skua_propagation_frame frame;
    skua_env_carrier env;
    char line[512];
    int rc = telemetry("counter");

    if (rc != 0)
        return rc;
    skua_env_carrier_init(&env, NULL, NULL, 0, NULL, 0);
    (void)skua_propagation_begin(&frame, &env.carrier);
    SKUA_SPAN(span, &tracer, "count words")
    while (fgets(line, sizeof line, stdin) != NULL)
        count(line);
    (void)skua_propagation_end(&frame);
    return skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* A message with the context of its span. */
static int send_line(skua_fd *to, const char *text)
{
    skua_carrier_field slots[2];
    skua_fields_carrier fields;
    char room[256], line[512];
    int rc = 0;

    SKUA_SPAN(span, &tracer, "send line", SKUA_STR("text", text))
    {
        const char *parent = NULL;
        size_t len = 0;

        skua_fields_carrier_init(&fields, slots, 2, room, sizeof room);
        (void)skua_inject(&fields.carrier);
        parent = fields.carrier.get(&fields.carrier, "traceparent", 0, &len);
        len = (size_t)snprintf(line, sizeof line, "%.*s\t%s\n", (int)len,
                               parent != NULL ? parent : "", text);
        rc = skua_io_write_all(skua_fd_io(to), line, len) < 0 ? -EPIPE : 0;
        if (rc != 0)
            skua_span_fail(span, rc, "send");
    }
    return rc;
}

static int pipeline(void *arg)
{
    static const char *const texts[] = {"one fish two fish", "red fish", "blue"};
    const char *vars[4];
    char room[512];
    skua_env_carrier env;
    skua_process_status status;
    skua_process *counter;
    skua_fd *to;
    int rc = 0;

    SKUA_SPAN(span, &tracer, "make report")
    {
        skua_env_carrier_init(&env, NULL, vars, 4, room, sizeof room);
        (void)skua_inject(&env.carrier);
        rc = skua_process_spawn(&counter, SKUA_ARGV(arg, "child"), .program = "/proc/self/exe",
                                .env = vars, .in = SKUA_STDIO_PIPE);
        if (rc != 0) {
            skua_span_fail(span, rc, "spawn");
            break;
        }
        to = skua_process_take_in(counter);
        for (size_t i = 0; rc == 0 && i < sizeof texts / sizeof texts[0]; i++)
            rc = send_line(to, texts[i]);
        (void)skua_fd_close(to); /* its end */
        if (skua_process_wait(counter, &status) == 0)
            skua_span_set(span, SKUA_I64("process.exit.code", status.code));
        skua_process_close(counter);
    }
    return rc;
}

int main(int argc, char **argv)
{
    int rc;

    if (argc == 2 && strcmp(argv[1], "child") == 0)
        return child() != 0;
    rc = telemetry("sender");
    if (rc == 0)
        rc = skua_main(pipeline, argv[0], NULL);
    (void)skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
    return rc != 0;
}
