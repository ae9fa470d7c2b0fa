/* drivers: both */
/* test_static.c - files over HTTP: what is served, and what never is.
 *
 * Specifies static.h on a real directory: names and their types, every way out of the directory,
 * links, redirects, conditions (RFC 9110, 13), ranges (14), encoded files, and files that change.
 */
#include <skua/http/static.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skua/fs.h>

#include "ask.h"

/* ---- a directory ----------------------------------------------------------------------------- */

#define TEN "0123456789"
#define MODIFIED 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

struct area {
    char *top;       /* with a secret in it */
    char root[4096]; /* the directory that is served, in top */
    skua_http_static *files;
    skua_http_router *router;
};

static void area_file(const char *root, const char *name, const char *text)
{
    struct timespec times[2] = {{.tv_sec = MODIFIED}, {.tv_sec = MODIFIED, .tv_nsec = 5}};
    char path[4200];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    file = fopen(path, "w");
    MUST(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void area_link(const struct area *area, const char *target, const char *name)
{
    char path[4200];

    (void)snprintf(path, sizeof path, "%s/%s", area->root, name);
    CHECK_EQ(symlink(target, path), 0);
}

static void area_begin(struct area *area, const skua_http_static_options *options)
{
    static const char *const dirs[] = {"", "/sub", "/empty", "/.git", "/x:y", "/a b"};
    char path[4200];

    MUST(skua_fs_temp_dir(NULL, &area->top) == 0);
    (void)snprintf(area->root, sizeof area->root, "%s/www", area->top);
    for (size_t i = 0; i < TEST_LEN(dirs); i++) {
        (void)snprintf(path, sizeof path, "%s%s", area->root, dirs[i]);
        CHECK_EQ(mkdir(path, 0700), 0);
    }
    area_file(area->top, "secret", "secret");
    (void)snprintf(path, sizeof path, "%s-2", area->root); /* it begins as the root */
    CHECK_EQ(mkdir(path, 0700), 0);
    area_file(path, "secret", "secret");
    area_file(area->root, "index.html", "home");
    area_file(area->root, "ten.txt", TEN);
    area_file(area->root, "none", "");
    area_file(area->root, "a b/c+d.css", "css");
    area_file(area->root, "..dots", "dots");
    area_file(area->root, ".hidden", "hidden");
    area_file(area->root, ".git/config", "hidden");
    area_file(area->root, "sub/index.html", "sub");
    area_file(area->root, "packed.js", "plain");
    area_file(area->root, "packed.js.gz", "gz");
    area_file(area->root, "packed.js.br", "br");
    area_file(area->root, "packed.js.zst", "zst");
    area_file(area->root, "half.js", "plain");
    area_file(area->root, "half.js.gz", "gz");
    area_link(area, "ten.txt", "inside");
    area_link(area, "../secret", "outside");
    area_link(area, "..", "up");
    area_link(area, "../www-2/secret", "beside");
    area_link(area, "loop", "loop");
    area_link(area, "nowhere", "broken");
    (void)snprintf(path, sizeof path, "%s/pipe", area->root);
    CHECK_EQ(mkfifo(path, 0600), 0);
    MUST(skua_http_static_new(&area->files, area->root, options) == 0);
    MUST(skua_http_router_new(&area->router) == 0);
    MUST(skua_http_route(area->router, NULL, "/s/*path", skua_http_static_handler, area->files) ==
         0);
    skua_http_route_fallback(area->router, skua_http_static_handler, area->files);
}

static void area_end(struct area *area)
{
    skua_http_router_free(area->router);
    skua_http_static_free(area->files);
    CHECK_EQ(skua_fs_remove_all(area->top), 0);
    free(area->top);
}

static struct talk *area_ask(struct area *area, const char *request)
{
    test_variant(request);
    return ask_chain(skua_http_router_handler, area->router, request);
}

/* ---- names ----------------------------------------------------------------------------------- */

TEST_FIBER(static_names)
{
    static const struct {
        const char *path;
        int status;
        const char *body, *header;
    } cases[] = {
        {"/", 200, "home", "Content-Type: text/html; charset=utf-8\r\n"},
        {"/ten.txt", 200, TEN, "Content-Type: text/plain; charset=utf-8\r\n"},
        {"/ten.txt?x=y", 200, TEN, "X-Content-Type-Options: nosniff\r\n"},
        {"/%74en.txt", 200, TEN, "Content-Length: 10\r\n"},
        {"/none", 200, "", "Content-Type: application/octet-stream\r\n"},
        {"/none", 200, "", "Content-Length: 0\r\n"},
        {"/a%20b/c+d.css", 200, "css", "Content-Type: text/css; charset=utf-8\r\n"},
        {"/..dots", 404, NULL, NULL}, /* hidden */
        {"/sub/", 200, "sub", "Accept-Ranges: bytes\r\n"},
        {"/sub", 301, "", "Location: ./sub/\r\n"},
        {"/sub?a=b", 301, "", "Location: ./sub/?a=b\r\n"},
        {"/x:y", 301, "", "Location: ./x:y/\r\n"},
        {"/a%20b", 301, "", "Location: ./a%20b/\r\n"},
        {"/empty/", 404, NULL, NULL},
        {"/ten.txt/", 404, NULL, NULL},
        {"/ten.txt/x", 404, NULL, NULL},
        {"/nothing", 404, NULL, NULL},
        {"/inside", 200, TEN, NULL},
        {"/pipe", 404, NULL, NULL},
        {"/broken", 404, NULL, NULL},
        {"/loop", 404, NULL, NULL},
    };
    struct area area;
    char text[256];

    area_begin(&area, NULL);
    for (size_t i = 0; i < 2 * TEST_LEN(cases); i++) {
        struct talk *talk;

        /* Behind a route, and as a fallback. */
        (void)snprintf(text, sizeof text, "GET %s%s", i % 2 ? "/s" : "", cases[i / 2].path);
        talk = area_ask(&area, text);
        CHECK_EQ(talk_status(talk, 0), cases[i / 2].status);
        if (cases[i / 2].body != NULL)
            CHECK_STR(talk_body(talk, 0), cases[i / 2].body);
        if (cases[i / 2].header != NULL)
            CHECK_HAS(talk, cases[i / 2].header);
        free(talk);
    }
    area_end(&area);
    return 0;
}

/* Every way out that somebody has ever found. */
TEST_FIBER(static_no_escape)
{
    static const char *const paths[] = {
        "/../secret",
        "/%2e%2e/secret",
        "/%2E%2E%2Fsecret",
        "/..%2fsecret",
        "/.%2e/secret",
        "/sub/../../secret",
        "/sub/..%2f..%2fsecret",
        "/./../secret",
        "//../secret",
        "/sub//../../secret",
        "/..",
        "/../",
        "/%2e%2e",
        "/.",
        "/./ten.txt",
        "//ten.txt",
        "/sub//index.html",
        "//",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/..%00/secret",
        "/ten.txt%00.html",
        "/%252e%252e/secret",
        "/..%5csecret",
        "/..%c0%afsecret",
        "/%c0%ae%c0%ae/secret",
        "/..;/secret",
        "/outside",
        "/up/secret",
        "/up/www-2/secret",
        "/beside",
        "/.hidden",
        "/.git/config",
        "/%2egit/config",
        "/sub/../.hidden",
        "/../www-2/secret",
    };
    struct area area;
    char text[256];

    area_begin(&area, NULL);
    for (size_t i = 0; i < 2 * TEST_LEN(paths); i++) {
        struct talk *talk;

        (void)snprintf(text, sizeof text, "GET %s%s", i % 2 ? "/s" : "", paths[i / 2]);
        talk = area_ask(&area, text);
        CHECK(talk_status(talk, 0) == 404 || talk_status(talk, 0) == 400);
        CHECK(strstr(talk->text, "hidden") == NULL && strstr(talk->text, "root:") == NULL);
        CHECK(strstr(talk_body(talk, 0), "secret") == NULL);
        free(talk);
    }
    area_end(&area);
    return 0;
}

TEST_FIBER(static_long_names)
{
    struct area area;
    char text[9000];
    static const size_t lengths[] = {255, 256, 4000, 4096, 8000};

    area_begin(&area, NULL);
    for (size_t i = 0; i < TEST_LEN(lengths); i++) {
        struct talk *talk;

        (void)snprintf(text, sizeof text, "GET /%0*d", (int)lengths[i], 1);
        talk = ask_chain(skua_http_router_handler, area.router, text);
        CHECK_EQ(talk_status(talk, 0), 404);
        free(talk);
    }
    area_end(&area);
    return 0;
}

TEST_FIBER(static_options)
{
    skua_http_static_options bad = {.size = 1};
    skua_http_static *files;
    struct area area;
    struct talk *talk;
    char path[4200];

    area_begin(&area, SKUA_HTTP_STATIC_OPTIONS(.hidden = 1, .links = 1, .index = "",
                                               .control = "max-age=60"));
    talk = area_ask(&area, "GET /.hidden");
    CHECK_STR(talk_body(talk, 0), "hidden");
    CHECK_HAS(talk, "Cache-Control: max-age=60\r\n");
    free(talk);
    talk = area_ask(&area, "GET /outside");
    CHECK_STR(talk_body(talk, 0), "secret");
    free(talk);
    talk = area_ask(&area, "GET /..dots");
    CHECK_STR(talk_body(talk, 0), "dots");
    free(talk);
    talk = area_ask(&area, "GET /../secret"); /* still no way up */
    CHECK_EQ(talk_status(talk, 0), 404);
    free(talk);
    talk = area_ask(&area, "GET /");
    CHECK_EQ(talk_status(talk, 0), 404);
    free(talk);
    talk = area_ask(&area, "POST /ten.txt");
    CHECK_EQ(talk_status(talk, 0), 405);
    CHECK_HAS(talk, "Allow: GET, HEAD\r\n");
    free(talk);
    talk = area_ask(&area, "HEAD /ten.txt");
    CHECK_HAS(talk, "Content-Length: 10\r\n");
    CHECK_STR(talk_body(talk, 0), "");
    free(talk);
    (void)snprintf(path, sizeof path, "%s/ten.txt", area.root);
    CHECK_EQ(skua_http_static_new(&files, path, NULL), -ENOTDIR);
    (void)snprintf(path, sizeof path, "%s/nowhere", area.root);
    CHECK_EQ(skua_http_static_new(&files, path, NULL), -ENOENT);
    CHECK_EQ(skua_http_static_new(&files, area.root, &bad), -EINVAL);
    CHECK_EQ(skua_http_static_new(&files, area.root, SKUA_HTTP_STATIC_OPTIONS(.index = "a/b")),
             -EINVAL);
    CHECK_EQ(skua_http_static_new(&files, area.root, SKUA_HTTP_STATIC_OPTIONS(.control = "a\nb")),
             -EINVAL);
    skua_http_static_free(NULL);
    area_end(&area);
    return 0;
}

/* ---- conditions and ranges ------------------------------------------------------------------- */

#define TAG "\"a-ae1b981bc490a05\"" /* ten bytes, MODIFIED and 5 ns */
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

struct condition {
    const char *headers; /* with | for CR LF */
    int status;
    const char *body, *range;
};

static const struct condition conditions[] = {
    {"", 200, TEN, NULL},
    {"If-None-Match: " TAG "|", 304, "", NULL},
    {"If-None-Match: W/" TAG "|", 304, "", NULL},
    {"If-None-Match: \"x\", " TAG "|", 304, "", NULL},
    {"If-None-Match: \"x\",,W/\"y\" , " TAG "|", 304, "", NULL},
    {"If-None-Match: *|", 304, "", NULL},
    {"If-None-Match: \"x\"|", 200, TEN, NULL},
    {"If-None-Match: |", 200, TEN, NULL},
    {"If-None-Match: x, " TAG "|", 200, TEN, NULL}, /* malformed: equals none */
    {"If-None-Match: \"x\"|If-Modified-Since: " DATE "|", 200, TEN, NULL},
    {"If-Modified-Since: " DATE "|", 304, "", NULL},
    {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT|", 304, "", NULL},
    {"If-Modified-Since: Sun Nov  6 08:49:37 1994|", 304, "", NULL},
    {"If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT|", 200, TEN, NULL},
    {"If-Modified-Since: Sun, 06 Nov 2094 08:49:36 GMT|", 304, "", NULL},
    {"If-Modified-Since: Sun, 06 Nox 2094 08:49:36 GMT|", 200, TEN, NULL},
    {"If-Modified-Since: Sun, 06 Nov 2094 08:49:36 CET|", 200, TEN, NULL},
    {"If-Modified-Since: Sun, 46 Nov 2094 08:49:36 GMT|", 200, TEN, NULL},
    {"If-Modified-Since: Sun, 06 Nov 2094 28:49:36 GMT|", 200, TEN, NULL},
    {"If-Modified-Since: yesterday|", 200, TEN, NULL},
    {"If-Modified-Since: |", 200, TEN, NULL},
    {"If-Match: " TAG "|", 200, TEN, NULL},
    {"If-Match: *|", 200, TEN, NULL},
    {"If-Match: W/" TAG "|", 412, NULL, NULL},
    {"If-Match: \"x\"|", 412, NULL, NULL},
    {"If-Unmodified-Since: " DATE "|", 200, TEN, NULL},
    {"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT|", 412, NULL, NULL},
    {"If-Match: " TAG "|If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT|", 200, TEN, NULL},
    {"Range: bytes=0-0|", 206, "0", "bytes 0-0/10"},
    {"Range: bytes=2-4|", 206, "234", "bytes 2-4/10"},
    {"Range: Bytes= 2-4|", 206, "234", "bytes 2-4/10"},
    {"Range: bytes=8-|", 206, "89", "bytes 8-9/10"},
    {"Range: bytes=8-99|", 206, "89", "bytes 8-9/10"},
    {"Range: bytes=0-99999999999999999999999|", 206, TEN, "bytes 0-9/10"},
    {"Range: bytes=0-18446744073709551615|", 206, TEN, "bytes 0-9/10"},
    {"Range: bytes=-3|", 206, "789", "bytes 7-9/10"},
    {"Range: bytes=-99|", 206, TEN, "bytes 0-9/10"},
    {"Range: bytes=-99999999999999999999999|", 206, TEN, "bytes 0-9/10"},
    {"Range: bytes=10-|", 416, NULL, "bytes */10"},
    {"Range: bytes=10-11|", 416, NULL, "bytes */10"},
    {"Range: bytes=18446744073709551615-|", 416, NULL, "bytes */10"},
    {"Range: bytes=99999999999999999999999-|", 416, NULL, "bytes */10"},
    {"Range: bytes=-0|", 416, NULL, "bytes */10"},
    {"Range: bytes=0-0,2-2|", 200, TEN, NULL},
    {"Range: bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-|", 200, TEN, NULL},
    {"Range: bytes=4-2|", 200, TEN, NULL},
    {"Range: bytes=-|", 200, TEN, NULL},
    {"Range: bytes=|", 200, TEN, NULL},
    {"Range: bytes|", 200, TEN, NULL},
    {"Range: |", 200, TEN, NULL},
    {"Range: bytes=a-b|", 200, TEN, NULL},
    {"Range: bytes=1|", 200, TEN, NULL},
    {"Range: bytes=1-2x|", 200, TEN, NULL},
    {"Range: bytes=--1|", 200, TEN, NULL},
    {"Range: bytes=+1-2|", 200, TEN, NULL},
    {"Range: bytes=0x1-2|", 200, TEN, NULL},
    {"Range: lines=1-2|", 200, TEN, NULL},
    {"Range: bytes=2-4|If-Range: " TAG "|", 206, "234", "bytes 2-4/10"},
    {"Range: bytes=2-4|If-Range: W/" TAG "|", 200, TEN, NULL},
    {"Range: bytes=2-4|If-Range: \"x\"|", 200, TEN, NULL},
    {"Range: bytes=2-4|If-Range: *|", 200, TEN, NULL},
    {"Range: bytes=2-4|If-Range: " DATE "|", 206, "234", "bytes 2-4/10"},
    {"Range: bytes=2-4|If-Range: Sun, 06 Nov 1994 08:49:38 GMT|", 200, TEN, NULL},
    {"Range: bytes=99-|If-Range: \"x\"|", 200, TEN, NULL},
    {"Range: bytes=2-4|If-None-Match: " TAG "|", 304, "", NULL},
};

static void condition_check(struct area *area, const struct condition *wanted)
{
    char text[1024] = "GET /ten.txt HTTP/1.1\r\n";
    size_t len = strlen(text);
    struct talk *talk;

    for (const char *at = wanted->headers; *at != '\0'; at++)
        len += (size_t)snprintf(text + len, sizeof text - len, *at == '|' ? "\r\n" : "%c", *at);
    talk = area_ask(area, text);
    CHECK_EQ(talk_status(talk, 0), wanted->status);
    if (wanted->body != NULL)
        CHECK_STR(talk_body(talk, 0), wanted->body);
    (void)snprintf(text, sizeof text, "Content-Range: %s\r\n",
                   wanted->range != NULL ? wanted->range : "");
    CHECK_EQ(ask_has(talk, wanted->range != NULL ? text : "Content-Range"), wanted->range != NULL);
    if (wanted->status < 400) {
        CHECK_HAS(talk, "ETag: " TAG "\r\n");
        CHECK_HAS(talk, "Last-Modified: " DATE "\r\n");
    } else {
        CHECK_LACKS(talk, "ETag");
        CHECK_LACKS(talk, "Cache-Control");
    }
    if (wanted->status == 304)
        CHECK_LACKS(talk, "Content-Length");
    else
        CHECK_HAS(talk, "Content-Length: ");
    free(talk);
}

TEST_FIBER_CURRENT(static_conditions)
{
    struct area area;
    struct talk *talk;

    area_begin(&area, SKUA_HTTP_STATIC_OPTIONS(.control = "no-cache"));
    for (size_t i = 0; i < TEST_LEN(conditions); i++)
        condition_check(&area, &conditions[i]);
    talk = area_ask(&area, "HEAD /ten.txt HTTP/1.1\r\nRange: bytes=2-4\r\n");
    CHECK_EQ(talk_status(talk, 0), 200); /* ranges are of GET */
    CHECK_HAS(talk, "Content-Length: 10\r\n");
    free(talk);
    talk = area_ask(&area, "GET /none HTTP/1.1\r\nRange: bytes=0-\r\n");
    CHECK_EQ(talk_status(talk, 0), 416);
    free(talk);
    talk = area_ask(&area, "GET /none HTTP/1.1\r\nRange: bytes=-5\r\n");
    CHECK_EQ(talk_status(talk, 0), 416);
    free(talk);
    area_end(&area);
    return 0;
}

static int versioned(skua_http_exchange *exchange, void *state)
{
    int rc = skua_http_not_modified(exchange, state, 0);

    if (strcmp(state, "bad") == 0 || strcmp(state, "\"a\" ") == 0)
        CHECK_EQ(rc, -EINVAL);
    return rc != 0 ? (rc < 0 ? rc : 0) : skua_http_replyf(exchange, 200, NULL, "new");
}

TEST_FIBER(static_versions_of_handlers)
{
    static const struct {
        const char *tag, *request;
        int status;
    } cases[] = {
        {"W/\"7\"", "GET / HTTP/1.1\r\nIf-None-Match: \"7\"\r\n", 304},
        {"\"7\"", "HEAD / HTTP/1.1\r\nIf-None-Match: W/\"7\"\r\n", 304},
        {"\"7\"", "PUT / HTTP/1.1\r\nIf-None-Match: *\r\n", 412},
        {"\"7\"", "PUT / HTTP/1.1\r\nIf-Match: \"7\"\r\n", 200},
        {"\"7\"", "PUT / HTTP/1.1\r\nIf-Match: \"6\"\r\n", 412},
        {"\"7\"", "GET / HTTP/1.1\r\nIf-Modified-Since: " DATE "\r\n", 200},
        {"bad", "GET /", 400},
        {"\"a\" ", "GET /", 400},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct talk *talk = ask_chain(versioned, (void *)(uintptr_t)cases[i].tag, cases[i].request);

        test_variant(cases[i].request);
        CHECK_EQ(talk_status(talk, 0), cases[i].status);
        free(talk);
    }
    return 0;
}

/* ---- encoded, big, and changing -------------------------------------------------------------- */

TEST_FIBER(static_encoded)
{
    static const struct {
        const char *path, *accept, *body, *encoding;
    } cases[] = {
        {"/packed.js", "gzip, br", "br", "br"},
        {"/packed.js", "gzip", "gz", "gzip"},
        {"/packed.js", "GZIP;q=0.5", "gz", "gzip"},
        {"/packed.js", "gzip;q=0, br;q=0.0", "plain", ""},
        {"/packed.js", "br;q=0,gzip", "gz", "gzip"},
        {"/packed.js", "", "plain", ""},
        {"/packed.js", "gzipped,x", "plain", ""},
        {"/packed.js", "gzip, zstd", "zst", "zstd"},
        {"/half.js", "br, gzip, zstd", "gz", "gzip"},
        {"/half.js", "br", "plain", ""},
        {"/ten.txt", "br, gzip", TEN, ""},
    };
    struct area area;
    char text[256];

    area_begin(&area, SKUA_HTTP_STATIC_OPTIONS(.encoded = 1));
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct talk *talk;

        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nAccept-Encoding: %s\r\n",
                       cases[i].path, cases[i].accept);
        talk = area_ask(&area, text);
        CHECK_STR(talk_body(talk, 0), cases[i].body);
        CHECK_HAS(talk, "Vary: Accept-Encoding\r\n");
        CHECK_HAS(talk, "Content-Type: text/");
        (void)snprintf(text, sizeof text, "Content-Encoding: %s\r\n", cases[i].encoding);
        CHECK_EQ(ask_has(talk, *cases[i].encoding != '\0' ? text : "Content-Encoding"),
                 *cases[i].encoding != '\0');
        free(talk);
    }
    area_end(&area);
    return 0;
}

TEST_FIBER(static_big)
{
    enum { SIZE = 200000 };
    struct area area;
    struct talk *talk;
    char *big = malloc(SIZE + 1);

    MUST(big != NULL);
    for (int i = 0; i < SIZE; i++)
        big[i] = (char)('a' + i % 23);
    big[SIZE] = '\0';
    area_begin(&area, NULL);
    area_file(area.root, "big.pdf", big);
    talk = area_ask(&area, "GET /big.pdf");
    CHECK_HAS(talk, "Content-Type: application/pdf\r\n");
    CHECK(strcmp(talk_body(talk, 0), big) == 0);
    free(talk);
    talk = area_ask(&area, "GET /big.pdf HTTP/1.1\r\nRange: bytes=65530-140000\r\n");
    CHECK_EQ(strlen(talk_body(talk, 0)), 140001 - 65530);
    CHECK(strncmp(talk_body(talk, 0), big + 65530, 140001 - 65530) == 0);
    free(talk);
    area_end(&area);
    free(big);
    return 0;
}

TEST(static_types)
{
    CHECK_STR(skua_http_type_of("a.HTML"), "text/html; charset=utf-8");
    CHECK_STR(skua_http_type_of("/x.d/a"), "application/octet-stream");
    CHECK_STR(skua_http_type_of("a."), "application/octet-stream");
    CHECK_STR(skua_http_type_of("a.tar.gz"), "application/gzip");
    CHECK_STR(skua_http_type_of(""), "application/octet-stream");
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(static_without_memory)
{
    struct area area;
    struct talk *talk = calloc(1, sizeof *talk);
    int good = 0;

    MUST(talk != NULL);
    area_begin(&area, SKUA_HTTP_STATIC_OPTIONS(.encoded = 1));
    talk->handler = skua_http_router_handler;
    talk->state = area.router;
    for (talk->fault = 1; talk->fault < 16; talk->fault++) {
        skua_http_static *files;

        talk_to(talk, "GET /ten.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        good += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) >= 400);
        skua__fault_arm(SKUA__FAULT_MALLOC, talk->fault, 1, ENOMEM);
        if (skua_http_static_new(&files, area.root, SKUA_HTTP_STATIC_OPTIONS(.control = "x")) == 0)
            skua_http_static_free(files);
        else
            CHECK(talk->fault < 14);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
    CHECK_RANGE(good, 1, 15);
    area_end(&area);
    free(talk);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_names),          cmocka_unit_test(static_no_escape),
        cmocka_unit_test(static_long_names),     cmocka_unit_test(static_options),
        cmocka_unit_test(static_conditions),     cmocka_unit_test(static_versions_of_handlers),
        cmocka_unit_test(static_encoded),        cmocka_unit_test(static_big),
        cmocka_unit_test(static_types),
#ifdef SKUA_FAULTS
        cmocka_unit_test(static_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
