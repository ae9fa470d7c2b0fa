/* test_otlp_export.c - the exporter over HTTP: what it sends, when it sends again, what it counts.
 *
 * Specifies otlp.h, "Endpoint", "Again", "Partial" and "Result", against a peer that follows a
 * script, by a clock that jumps.
 */
#include <math.h>

#include "export.h"

#include "otel/core/otel_warn.h"

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define PROTOBUF "Content-Type: application/x-protobuf\r\n"

static char warned[4096];

static void warns(void *arg, const char *line)
{
    size_t len = strlen(warned);

    (void)arg;
    (void)snprintf(warned + len, sizeof warned - len, "%s\n", line);
}

/* One batch to a peer; the exporter's result. */
static int64_t told(const struct act *acts, size_t count, const skua_otlp_options *options,
                    struct peer *peer, skua_otlp_stats *stats)
{
    skua_otlp_options all = *options;
    skua_otel_exporter *exporter;
    int64_t rc;

    warned[0] = '\0';
    skua__otel_warn_to(warns, NULL);
    peer_begin(peer, acts, count);
    all.endpoint = peer->url;
    exporter = exporter_with(&all);
    rc = exports(exporter, batch_of_spans());
    *stats = stats_of(exporter);
    exporter_ends(exporter);
    peer_end(peer);
    skua__otel_warn_to(NULL, NULL);
    CHECK_EQ(stats->exported[0] + stats->rejected[0] + stats->failed[0], BATCH_SPANS);
    return rc;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(otlp_sends_a_batch)
{
    static const struct act acts[] = {{OK_EMPTY, LEAVES}};
    static const skua_http_field headers[] = {{"X-Key", "secret"}};
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(
        told(acts, 1, SKUA_OTLP_OPTIONS(.headers = headers, .headers_count = 1), &peer, &stats), 0);
    CHECK(strstr(peer.heard, "POST /v1/traces HTTP/1.1\r\n") != NULL);
    CHECK(strstr(peer.heard, "Content-Type: application/x-protobuf\r\n") != NULL);
    CHECK(strstr(peer.heard, "User-Agent: OTel-OTLP-Exporter-C/" SKUA_VERSION "\r\n") != NULL);
    CHECK(strstr(peer.heard, "X-Key: secret\r\n") != NULL);
    CHECK(strstr(peer.heard, "Content-Encoding") == NULL);
    CHECK_EQ(stats.exported[0], BATCH_SPANS);
    CHECK_EQ(stats.requests, 1);
    CHECK_EQ(stats.retries, 0);
    CHECK(warned[0] == '\0');
    return 0;
}

TEST_FIBER_CLOCK(otlp_gzip)
{
    static const struct act acts[] = {{OK_EMPTY, LEAVES}};
    skua_otlp_stats stats;
    struct peer peer;
    const char *body;

    CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.compression = SKUA_OTLP_GZIP), &peer, &stats), 0);
    CHECK(strstr(peer.heard, "Content-Encoding: gzip\r\n") != NULL);
    body = strstr(peer.heard, "\r\n\r\n");
    CHECK(body != NULL && memcmp(body + 4, "\x1f\x8b\x08", 3) == 0);
    return 0;
}

/* The path that is asked for each signal. */
TEST_FIBER_CLOCK(otlp_endpoints)
{
    static const struct {
        const char *base, *own, *path; /* of traces; `own` without host */
    } rows[] = {{"", NULL, "/v1/traces"},
                {"/", NULL, "/v1/traces"},
                {"/collect", NULL, "/collect/v1/traces"},
                {"/a/b/", NULL, "/a/b/v1/traces"},
                {"/a?key=1", NULL, "/a/v1/traces?key=1"},
                {"/a", "", "/"},
                {"/a", "/", "/"},
                {"/a", "/my/traces", "/my/traces"},
                {"/a", "/my/", "/my/"},
                {"", "?x=1", "/?x=1"}};
    static const struct act acts[] = {{OK_EMPTY, LEAVES}};

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        skua_otel_exporter *exporter;
        char wanted[256], base[256];
        struct peer peer;

        peer_begin(&peer, acts, 1);
        (void)snprintf(base, sizeof base, "%s%s", peer.url, rows[i].base);
        exporter = exporter_with(
            SKUA_OTLP_OPTIONS(.endpoint = base, .traces_endpoint = rows[i].own != NULL
                                                                       ? AT(peer.url, rows[i].own)
                                                                       : NULL));
        CHECK_EQ(exports(exporter, batch_of_spans()), 0);
        exporter_ends(exporter);
        peer_end(&peer);
        (void)snprintf(wanted, sizeof wanted, "POST %s HTTP/1.1\r\n", rows[i].path);
        if (!CHECK(strncmp(peer.heard, wanted, strlen(wanted)) == 0))
            test_note("row %zu: %.60s", i, peer.heard);
    }
    return 0;
}

TEST_FIBER_CLOCK(otlp_json)
{
    static const struct act acts[] = {{OK_EMPTY, LEAVES}};
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.protocol = SKUA_OTLP_HTTP_JSON), &peer, &stats), 0);
    CHECK(strstr(peer.heard, "Content-Type: application/json\r\n") != NULL);
    CHECK(strstr(peer.heard, "\r\n\r\n{\"resourceSpans\":[{") != NULL);
    CHECK(strstr(peer.heard, "\"traceId\":\"01000000000000000000000000000000\"") != NULL);
    return 0;
}

/* ---- when it sends again --------------------------------------------------------------------- */

/* Bug of others: 500 was retried (table 6 of the facts, 15). */
TEST_FIBER_CLOCK(otlp_retry_by_status)
{
    static const struct {
        int status, requests;
        int64_t rc;
    } rows[] = {{200, 1, 0},       {202, 1, 0},         {204, 1, 0},       {301, 1, -EPROTO},
                {302, 1, -EPROTO}, {307, 1, -EPROTO},   {308, 1, -EPROTO}, {400, 1, -EINVAL},
                {401, 1, -EACCES}, {403, 1, -EACCES},   {404, 1, -ENOENT}, {405, 1, -EPROTO},
                {408, 1, -EPROTO}, {413, 1, -EMSGSIZE}, {415, 1, -EPROTO}, {422, 1, -EPROTO},
                {429, 2, 0},       {500, 1, -EPROTO},   {501, 1, -EPROTO}, {502, 2, 0},
                {503, 2, 0},       {504, 2, 0},         {505, 1, -EPROTO}, {507, 1, -EPROTO}};

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        skua_otlp_stats stats;
        struct peer peer;
        char text[160];
        struct act acts[] = {{text, STAYS}, {OK_EMPTY, LEAVES}};
        int64_t rc;

        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 %d x\r\nLocation: http://127.0.0.1:1/\r\n%s\r\n", rows[i].status,
                       rows[i].status == 204 ? "" : "Content-Length: 0\r\n");
        rc = told(acts, 2, SKUA_OTLP_OPTIONS(.attempts = 3), &peer, &stats);
        if (!CHECK_EQ(rc, rows[i].rc) || !CHECK_EQ(stats.requests, rows[i].requests))
            test_note("status %d", rows[i].status);
    }
    return 0;
}

/* The pause is the collector's, in each form that it may have; and never longer than an hour. */
TEST_FIBER_CLOCK(otlp_retry_after)
{
    static const struct {
        const char *after;
        int64_t least, most; /* s */
    } rows[] = {{"3", 3, 5},
                {"0", 0, 1},
                {"Sun, 06 Nov 1994 08:49:41 GMT", 4, 6}, /* Date is 08:49:37 */
                {"Sunday, 06-Nov-94 08:49:41 GMT", 4, 6},
                {"Sun Nov  6 08:49:41 1994", 4, 6},
                {"Sun, 06 Nov 1994 08:40:00 GMT", 0, 1}, /* long gone */
                {"soon", 0, 1},
                {"-5", 0, 1},
                {"3 s", 0, 1},
                {"Sun, 99 Nov 1994 08:49:41 GMT", 0, 1},
                {"Sun, 06 Nop 1994 08:49:41 GMT", 0, 1},
                {"", 0, 1}};

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        int64_t begin = skua_now(), took;
        skua_otlp_stats stats;
        struct peer peer;
        char text[256];
        struct act acts[] = {{text, STAYS}, {OK_EMPTY, LEAVES}};

        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 %d x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: %s\r\n"
                       "Content-Length: 0\r\n\r\n",
                       i % 2 != 0 ? 429 : 503, rows[i].after);
        CHECK_EQ(told(acts, 2, SKUA_OTLP_OPTIONS(.retry_multiplier = 1), &peer, &stats), 0);
        took = skua_now() - begin;
        if (!CHECK_RANGE(took, rows[i].least * SKUA_SECOND, rows[i].most * SKUA_SECOND))
            test_note("%s took %lld", rows[i].after, (long long)took);
        CHECK_EQ(stats.retries, 1);
    }
    return 0;
}

/* What would end behind the time-out is not waited for. */
TEST_FIBER_CLOCK(otlp_retry_after_beyond_the_timeout)
{
    static const struct act acts[] = {
        {"HTTP/1.1 503 x\r\nRetry-After: 11\r\nContent-Length: 0\r\n\r\n", LEAVES}};
    int64_t begin = skua_now();
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.attempts = 9), &peer, &stats), -EAGAIN);
    CHECK_RANGE(skua_now() - begin, 0, SKUA_SECOND);
    CHECK_EQ(stats.failed[0], BATCH_SPANS);
    CHECK_EQ(stats.requests, 1);
    return 0;
}

/* Five tries, whose pauses grow: 0.5 to 1, 0.75 to 1.5, 1.125 to 2.25, 1.6875 to 3.375 s. */
TEST_FIBER_CLOCK(otlp_retry_grows)
{
    static const struct act acts[] = {{"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", STAYS},
                                      {"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", STAYS},
                                      {"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", STAYS},
                                      {"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", STAYS},
                                      {"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", LEAVES}};
    int64_t begin = skua_now();
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(told(acts, 5, SKUA_OTLP_OPTIONS(.timeout = SKUA_MINUTE), &peer, &stats), -EAGAIN);
    CHECK_RANGE(skua_now() - begin, MS(4062), MS(8126));
    CHECK_EQ(stats.requests, 5);
    CHECK_EQ(stats.retries, 4);
    return 0;
}

/* Connections that are refused, reset, or end in the answer. */
TEST_FIBER_CLOCK(otlp_retry_after_a_cut)
{
    static const struct act acts[] = {{"", RESETS},
                                      {"", CLOSES},
                                      {"HTTP/1.1 200 OK\r\nContent-Le", CLOSES},
                                      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CLOSES},
                                      {OK_EMPTY, LEAVES}};
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(told(acts, 5, SKUA_OTLP_OPTIONS(.timeout = SKUA_MINUTE), &peer, &stats), 0);
    CHECK_EQ(stats.requests, 5);
    return 0;
}

TEST_FIBER_CLOCK(otlp_nobody_listens)
{
    skua_otel_exporter *exporter =
        exporter_with(SKUA_OTLP_OPTIONS(.endpoint = "http://127.0.0.1:1", .attempts = 3));
    int64_t begin = skua_now();

    CHECK_EQ(exports(exporter, batch_of_spans()), -ECONNREFUSED);
    CHECK_EQ(stats_of(exporter).requests, 3);
    CHECK_EQ(stats_of(exporter).failed[0], BATCH_SPANS);
    CHECK_RANGE(skua_now() - begin, SKUA_SECOND, 3 * SKUA_SECOND);
    CHECK_EQ(skua_otel_may_succeed(-ECONNREFUSED), 1);
    exporter_ends(exporter);
    return 0;
}

/* Cancelled in the pause between two tries, by a shutdown: what is said is why there was one. */
TEST_FIBER_CLOCK(otlp_says_why_it_had_not_arrived)
{
    skua_otel_exporter *exporter =
        exporter_with(SKUA_OTLP_OPTIONS(.endpoint = "http://127.0.0.1:1"));
    skua_task *task;
    int result = 1;

    warned[0] = '\0';
    skua__otel_warn_to(warns, NULL);
    MUST(skua_spawn(NULL, exports_one, exporter, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(100)), 0);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK(strstr(warned, "ECANCELED") != NULL && strstr(warned, "ECONNREFUSED") != NULL);
    CHECK(strstr(warned, "status") == NULL); /* there was no answer */
    exporter_ends(exporter);
    skua__otel_warn_to(NULL, NULL);
    return 0;
}

/* ---- time ------------------------------------------------------------------------------------ */

TEST_FIBER_CLOCK(otlp_hangs_until_the_timeout)
{
    static const struct act acts[] = {{"", HANGS}};
    int64_t begin = skua_now();
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.attempts = 5), &peer, &stats), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, 10 * SKUA_SECOND, 10 * SKUA_SECOND + MS(1));
    CHECK_EQ(stats.requests, 1);
    return 0;
}

/* The caller's deadline, where it is earlier; also in a pause, and with a body that drips. */
TEST_FIBER_CLOCK(otlp_deadline_of_the_caller)
{
    static const struct act hangs[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", LEAVES}};
    int64_t begin = skua_now();
    skua_otel_exporter *exporter;
    struct peer peer;

    peer_begin(&peer, hangs, 1);
    exporter = exporter_with(SKUA_OTLP_OPTIONS(.endpoint = peer.url));
    CHECK_EQ(exporter->ops->export_batch(exporter, batch_of_spans(), begin + MS(700)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(700), MS(701));
    exporter_ends(exporter);
    peer_end(&peer);
    return 0;
}

/* Bug of others: a shutdown that waits for an export that hangs (table 6, 1): it is cancelled. */
TEST_FIBER_CLOCK(otlp_cancelled)
{
    static const struct act hangs[] = {{"", HANGS}};
    skua_otel_exporter *exporter;
    skua_task *task;
    struct peer peer;
    int result = 1;

    peer_begin(&peer, hangs, 1);
    exporter = exporter_with(SKUA_OTLP_OPTIONS(.endpoint = peer.url));
    MUST(skua_spawn(NULL, exports_one, exporter, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(50)), 0);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(stats_of(exporter).requests, 1);
    CHECK_EQ(stats_of(exporter).failed[0], BATCH_SPANS);
    exporter_ends(exporter);
    peer_end(&peer);
    return 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(otlp_partial_success)
{
    /* partial_success {rejected 2, "old"}; {"slow down"}; {}; JSON */
    static const struct {
        const char *answer, *warning;
        int64_t rc;
        uint64_t partial;
    } rows[] = {
        {PROTOBUF "Content-Length: 9\r\n\r\n\x0a\x07\x08\x02\x12\x03old", "2 of 3 spans", 2, 1},
        {PROTOBUF "Content-Length: 13\r\n\r\n\x0a\x0b\x12\x09slow down", "slow down", 0, 1},
        {PROTOBUF "Content-Length: 4\r\n\r\n\x0a\x02\x08\x63", "3 of 3", 3, 1}, /* of 99 */
        {"Content-Type: application/json; charset=utf-8\r\nContent-Length: 63\r\n\r\n"
         "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"o\\nld\"}}",
         "1 of 3 spans", 1, 1},
        {"Content-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"partialSuccess\":null}",
         "", 0, 0},
        {"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "", 0, 0}};

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        skua_otlp_stats stats;
        struct peer peer;
        char text[256];
        struct act acts[] = {{text, LEAVES}};

        (void)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s", rows[i].answer);
        if (!CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.attempts = 5), &peer, &stats), rows[i].rc) ||
            !CHECK(strstr(warned, rows[i].warning) != NULL))
            test_note("row %zu: %s", i, warned);
        CHECK_EQ(stats.partial, rows[i].partial);
        CHECK_EQ(stats.requests, 1);
        CHECK_EQ(stats.rejected[0], rows[i].rc);
    }
    return 0;
}

/* Answers that are none: dropped, said, not sent again. */
TEST_FIBER_CLOCK(otlp_garbage)
{
    static const struct {
        const char *answer;
        int64_t rc;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n" PROTOBUF "Content-Length: 3\r\n\r\n\x0a\x7f\x08", -EBADMSG},
        {"HTTP/1.1 200 OK\r\n" PROTOBUF "Content-Length: 1\r\n\r\n\x0b", -EBADMSG},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", -EBADMSG},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{\"a\"",
         -EBADMSG},
        {"SSH-2.0-OpenSSH_9.2\r\n", -EBADMSG},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\nabc", SKUA_ELIMIT}};

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        struct act acts[] = {{rows[i].answer, LEAVES}};
        skua_otlp_stats stats;
        struct peer peer;

        if (!CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.attempts = 5), &peer, &stats), rows[i].rc))
            test_note("row %zu: %s", i, warned);
        CHECK_EQ(stats.requests, 1);
        CHECK(warned[0] != '\0');
    }
    return 0;
}

/* A stream without an end: no more than the limit is kept of it. */
TEST_FIBER_CLOCK(otlp_floods)
{
    static char flood[65536];
    static const struct act acts[] = {{flood, FLOODS}};
    skua_otlp_stats stats;
    struct peer peer;

    memset(flood, 'x', sizeof flood - 1);
    memcpy(flood, "HTTP/1.1 200 OK\r\n\r\n", 19);
    CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.attempts = 5), &peer, &stats), SKUA_ELIMIT);
    CHECK_EQ(stats.requests, 1);
    return 0;
}

TEST_FIBER_CLOCK(otlp_request_is_too_long)
{
    static const struct act acts[] = {{OK_EMPTY, LEAVES}};
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(told(acts, 1, SKUA_OTLP_OPTIONS(.request_max = 64), &peer, &stats), -EMSGSIZE);
    CHECK_EQ(stats.requests, 0);
    CHECK_EQ(stats.batches, 1);
    CHECK_EQ(stats.too_long, BATCH_SPANS); /* each of them, alone, too */
    CHECK_EQ(stats.failed[0], BATCH_SPANS);
    return 0;
}

/* ---- halves ---------------------------------------------------------------------------------- */

#define HALVED 8
#define MANY_OK                                                                                    \
    {OK_EMPTY, STAYS}, {OK_EMPTY, STAYS}, {OK_EMPTY, STAYS}, {OK_EMPTY, STAYS}, {OK_EMPTY, STAYS}, \
        {OK_EMPTY, STAYS}, {OK_EMPTY, STAYS},                                                      \
    {                                                                                              \
        OK_EMPTY, LEAVES                                                                           \
    }

static skua_otel_answer answered;

/* A batch to a peer, which has as many acts as there are to be requests. */
static int64_t halved(const struct act *acts, size_t count, const skua_otel_batch *batch,
                      const skua_otlp_options *options, skua_otlp_stats *stats)
{
    skua_otlp_options all = *options;
    skua_otel_exporter *exporter;
    struct peer peer;
    int64_t rc;

    warned[0] = '\0';
    skua__otel_warn_to(warns, NULL);
    peer_begin(&peer, acts, count);
    all.endpoint = peer.url;
    exporter = exporter_with(&all);
    answered = (skua_otel_answer){-1, -1, 0, 0};
    rc = exporter->ops->export_told(exporter, batch, SKUA_FOREVER, &answered);
    *stats = stats_of(exporter);
    exporter_ends(exporter);
    peer_end(&peer);
    skua__otel_warn_to(NULL, NULL);
    CHECK_EQ(stats->batches, 1);
    CHECK_EQ(stats->exported[batch->signal] + stats->rejected[batch->signal] +
                 stats->failed[batch->signal],
             skua_otel_batch_size(batch));
    return rc;
}

/* Eight spans of some 60 bytes, and one of them, or none, of 5,000. */
static const skua_otel_batch *batch_with(unsigned large)
{
    static const skua_otel_resource resource;
    static const skua_otel_scope scope = {.name = {"tests", 5}};
    static skua_otel_span spans[HALVED];
    static char name[5000];
    static skua_otel_batch batch;

    memset(name, 'n', sizeof name);
    for (uint8_t i = 0; i < HALVED; i++) {
        spans[i] = (skua_otel_span){
            .kind = 1, .name = TEXT("work"), .start = 1000, .end = 2000, .scope = &scope};
        spans[i].trace_id[0] = spans[i].span_id[0] = (uint8_t)(i + 1);
        if (i == large)
            spans[i].name = (skua_otel_text){name, sizeof name};
    }
    batch = (skua_otel_batch){
        .signal = SKUA_OTEL_TRACES, .count = HALVED, .resource = &resource, .items.spans = spans};
    return &batch;
}

/* One span that is too long takes no other with it: 4, then 2, then 1 and it are what is sent. */
TEST_FIBER_CLOCK(otlp_too_long_a_batch_is_halved)
{
    static const struct act acts[] = {MANY_OK};
    static const skua_otlp_protocol protocols[] = {SKUA_OTLP_HTTP_PROTOBUF, SKUA_OTLP_HTTP_JSON};
    skua_otlp_stats stats;

    for (unsigned large = 0; large <= HALVED; large++) {
        bool there = large < HALVED;

        for (size_t i = 0; i < TEST_LEN(protocols); i++) {
            skua_otlp_options options = {.size = sizeof options, .protocol = protocols[i]};
            int64_t rc;

            options.request_max = 4000;
            rc = halved(acts + HALVED - (there ? 3 : 1), there ? 3 : 1, batch_with(large), &options,
                        &stats);
            CHECK_EQ(rc, there);
            CHECK_EQ(stats.requests, there ? 3 : 1);
            CHECK_EQ(stats.exported[0], HALVED - there);
            CHECK_EQ(stats.failed[0], there);
            CHECK_EQ(stats.too_long, there);
            CHECK((strstr(warned, "1 spans did not get to") != NULL) == there);
        }
    }
    /* None is too long, but two of them are: each goes by itself. */
    CHECK_EQ(halved(acts, HALVED, batch_with(HALVED), SKUA_OTLP_OPTIONS(.request_max = 80), &stats),
             0);
    CHECK_EQ(stats.requests, HALVED);
    CHECK_EQ(stats.exported[0], HALVED);
    CHECK_EQ(stats.too_long, 0);
    return 0;
}

/* Of metrics points are what counts: those of one metric are halved, too. */
TEST_FIBER_CLOCK(otlp_points_of_one_metric_are_halved)
{
    static const struct act acts[] = {MANY_OK};
    skua_otlp_stats stats;

    CHECK_EQ(halved(acts + HALVED - 2, 2, batch_of_points(), SKUA_OTLP_OPTIONS(.request_max = 70),
                    &stats),
             0);
    CHECK_EQ(stats.requests, 2);
    CHECK_EQ(stats.exported[SKUA_OTEL_METRICS], 2);
    CHECK_EQ(halved(acts, 0, batch_of_points(), SKUA_OTLP_OPTIONS(.request_max = 20), &stats),
             -EMSGSIZE);
    CHECK_EQ(stats.failed[SKUA_OTEL_METRICS], 2);
    CHECK_EQ(stats.too_long, 2);
    return 0;
}

/* What comes of one part is not what comes of another. */
TEST_FIBER_CLOCK(otlp_parts_have_answers_of_their_own)
{
    static const struct act acts[] = {{"HTTP/1.1 200 OK\r\n" PROTOBUF
                                       "Content-Length: 9\r\n\r\n\x0a\x07\x08\x02\x12\x03old",
                                       STAYS},
                                      {"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", LEAVES}};
    static const struct act hangs[] = {{"", HANGS}};
    skua_otlp_stats stats;
    int64_t began;

    CHECK_EQ(halved(acts, 2, batch_with(HALVED), SKUA_OTLP_OPTIONS(.request_max = 300), &stats),
             HALVED / 2 + 2);
    CHECK_EQ(stats.rejected[0], 2);
    CHECK_EQ(stats.exported[0], HALVED / 2 - 2);
    CHECK_EQ(stats.failed[0], HALVED / 2);
    CHECK_EQ(stats.too_long, 0);
    CHECK_EQ(answered.http_status, 400);
    CHECK_EQ(answered.lost, HALVED / 2);
    CHECK_EQ(answered.error, -EINVAL);
    /* All parts have the time of one batch, and nobody is asked when it is over. */
    began = skua_now();
    CHECK_EQ(halved(hangs, 1, batch_with(HALVED),
                    SKUA_OTLP_OPTIONS(.request_max = 80, .timeout = 3 * SKUA_SECOND), &stats),
             -ETIMEDOUT);
    CHECK_EQ(skua_now() - began, 3 * SKUA_SECOND);
    CHECK_EQ(stats.requests, 1);
    CHECK_EQ(stats.failed[0], HALVED);
    return 0;
}

/* Bug of others: credentials in lines that are logged (table 6, 19). */
TEST_FIBER_CLOCK(otlp_secrets_are_not_logged)
{
    static const struct act acts[] = {
        {"HTTP/1.1 401 x\r\n" PROTOBUF
         "Content-Length: 24\r\n\r\n\x08\x10\x12\x14token hunter2 is bad",
         LEAVES}};
    static const skua_http_field headers[] = {{"Authorization", "Bearer hunter2"}};
    skua_otel_exporter *exporter;
    struct peer peer;
    char base[256];

    warned[0] = '\0';
    skua__otel_warn_to(warns, NULL);
    peer_begin(&peer, acts, 1);
    (void)snprintf(base, sizeof base, "%s/?key=hunter3", peer.url);
    exporter =
        exporter_with(SKUA_OTLP_OPTIONS(.endpoint = base, .headers = headers, .headers_count = 1));
    CHECK_EQ(exports(exporter, batch_of_spans()), -EACCES);
    CHECK(strstr(warned, "401") != NULL && strstr(warned, "is bad") != NULL);
    CHECK(strstr(warned, "hunter") == NULL);
    exporter_ends(exporter);
    peer_end(&peer);
    skua__otel_warn_to(NULL, NULL);
    return 0;
}

/* ---- options --------------------------------------------------------------------------------- */

TEST(otlp_options)
{
    static const skua_http_field bad[] = {{"a b", "c"}}, line[] = {{"a", "b\r\nc: d"}};
    static const skua_http_field many[65];
    const skua_otlp_options *const rows[] = {
        SKUA_OTLP_OPTIONS(.endpoint = "localhost:4318"),
        SKUA_OTLP_OPTIONS(.endpoint = "ftp://localhost"),
        SKUA_OTLP_OPTIONS(.endpoint = "http://"),
        SKUA_OTLP_OPTIONS(.endpoint = "http:///v1"),
        SKUA_OTLP_OPTIONS(.endpoint = "http://a:65536"),
        SKUA_OTLP_OPTIONS(.endpoint = "http://a:0/v1"),
        SKUA_OTLP_OPTIONS(.endpoint = "http://a:b"),
        SKUA_OTLP_OPTIONS(.endpoint = "http://[::1]:99999"),
        SKUA_OTLP_OPTIONS(.endpoint = "a:99999", .protocol = SKUA_OTLP_GRPC),
        SKUA_OTLP_OPTIONS(.endpoint = "http://me:secret@localhost"),
        SKUA_OTLP_OPTIONS(.endpoint = "http://a\r\nb"),
        SKUA_OTLP_OPTIONS(.endpoint = "ftp://a", .protocol = SKUA_OTLP_GRPC),
        SKUA_OTLP_OPTIONS(.protocol = (skua_otlp_protocol)3),
        SKUA_OTLP_OPTIONS(.timeout = -1),
        SKUA_OTLP_OPTIONS(.concurrency = 65),
        SKUA_OTLP_OPTIONS(.retry_multiplier = 0.5),
        SKUA_OTLP_OPTIONS(.retry_multiplier = 1001),
        SKUA_OTLP_OPTIONS(.retry_multiplier = INFINITY),
        SKUA_OTLP_OPTIONS(.retry_multiplier = NAN),
        SKUA_OTLP_OPTIONS(.headers = bad, .headers_count = 1),
        SKUA_OTLP_OPTIONS(.headers = line, .headers_count = 1),
        SKUA_OTLP_OPTIONS(.headers = many, .headers_count = 65),
        &(const skua_otlp_options){.size = 1}};
    skua_otel_exporter *exporter = NULL;

    for (size_t i = 0; i < TEST_LEN(rows); i++)
        if (!CHECK_EQ(skua_otlp_exporter_new(&exporter, rows[i]), -EINVAL))
            test_note("row %zu", i);
    CHECK(exporter == NULL);
    CHECK_EQ(skua_otlp_exporter_new(&exporter, NULL), 0);
    exporter_ends(exporter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(otlp_sends_a_batch),
        cmocka_unit_test(otlp_gzip),
        cmocka_unit_test(otlp_endpoints),
        cmocka_unit_test(otlp_json),
        cmocka_unit_test(otlp_retry_by_status),
        cmocka_unit_test(otlp_retry_after),
        cmocka_unit_test(otlp_retry_after_beyond_the_timeout),
        cmocka_unit_test(otlp_retry_grows),
        cmocka_unit_test(otlp_retry_after_a_cut),
        cmocka_unit_test(otlp_nobody_listens),
        cmocka_unit_test(otlp_says_why_it_had_not_arrived),
        cmocka_unit_test(otlp_hangs_until_the_timeout),
        cmocka_unit_test(otlp_deadline_of_the_caller),
        cmocka_unit_test(otlp_cancelled),
        cmocka_unit_test(otlp_partial_success),
        cmocka_unit_test(otlp_garbage),
        cmocka_unit_test(otlp_floods),
        cmocka_unit_test(otlp_request_is_too_long),
        cmocka_unit_test(otlp_too_long_a_batch_is_halved),
        cmocka_unit_test(otlp_points_of_one_metric_are_halved),
        cmocka_unit_test(otlp_parts_have_answers_of_their_own),
        cmocka_unit_test(otlp_secrets_are_not_logged),
        cmocka_unit_test(otlp_options),
    };

    return TEST_MAIN(tests);
}
