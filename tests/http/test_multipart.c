/* test_multipart.c - forms with files, both ways.
 *
 * Specifies multipart.h: parts as they come, however the body is cut; names and filenames as
 * browsers and others write them; what is malformed; limits; files; forms that the client sends,
 * read back.
 */
#include <skua/http/extract.h>
#include <skua/http/multipart.h>

#include <sys/stat.h>

#include "ask.h"
#include "peer.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* Tells each part: "name|filename|type|bytes". */
static int tells(skua_http_exchange *exchange, void *state)
{
    skua_http_multipart *form;
    skua_http_part part;
    char *value, text[16384];
    size_t len = 0;
    int rc = skua_http_multipart_begin(exchange, &form, state);

    if (rc != 0)
        return rc;
    while ((rc = skua_http_multipart_next(form, &part)) == 1) {
        size_t size;

        rc = skua_http_multipart_read_all(form, &value, &size, 10000);
        if (rc != 0)
            break;
        CHECK_EQ(skua_http_multipart_read(form, text, 10), 0);
        CHECK_EQ(strlen(value), size);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s|%s|%s|%s\n", part.name,
                                part.filename != NULL ? part.filename : "-", part.type, value);
    }
    if (rc < 0) {
        if (rc == -EBADMSG)
            CHECK_EQ(skua_http_multipart_next(form, &part), rc);
        return rc;
    }
    CHECK_EQ(skua_http_multipart_next(form, &part), 0);
    return skua_http_reply(exchange, 200, NULL, text, len);
}

static struct talk *post_in(skua_http_handler handler, const void *state, const char *type,
                            const char *body, size_t len, size_t piece)
{
    struct talk *talk = calloc(1, sizeof *talk);
    size_t room = len + 512;
    char *text = malloc(room);
    size_t head;

    MUST(talk != NULL && text != NULL);
    talk->handler = handler;
    talk->state = (void *)(uintptr_t)state;
    talk->piece = piece;
    head = (size_t)snprintf(text, room,
                            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n"
                            "Content-Length: %zu\r\n\r\n",
                            type, len);
    memcpy(text + head, body, len);
    talk_bytes(talk, text, head + len);
    free(text);
    return talk;
}

static struct talk *post(skua_http_handler handler, const void *state, const char *body)
{
    return post_in(handler, state, "multipart/form-data; boundary=B", body, strlen(body), 0);
}

#define HEAD(rest) "Content-Disposition: form-data; " rest "\r\n"
#define PART(rest, bytes) "--B\r\n" HEAD(rest) "\r\n" bytes "\r\n"

static const char body_of_all[] = "preamble --B\r\n" PART("name=\"a\"", "1") PART("name=\"b\"", "")
    PART("name=\"f\"; filename=\"x.txt\"\r\nContent-Type: text/html; charset=utf-8",
         "line\r\n--\r\n-B\r\n\r\n--") "--B \t\r\n" HEAD("name=c") "\r\n\r--B\n--B\r\n--B--\r\n"
                                                                   "epilogue\r\n--B\r\n";
static const char told_of_all[] = "a|-|text/plain|1\nb|-|text/plain|\n"
                                  "f|x.txt|text/html; charset=utf-8|line\r\n--\r\n-B\r\n\r\n--\n"
                                  "c|-|text/plain|\r--B\n--B\n";

TEST_FIBER(multipart_is_read)
{
    struct talk *talk = post(tells, NULL, body_of_all);

    CHECK_EQ(talk_status(talk, 0), 200);
    CHECK_STR(talk_body(talk, 0), told_of_all);
    free(talk);
    return 0;
}

TEST_FIBER_CURRENT(multipart_is_read_in_pieces)
{
    /* By every length of pieces, and so with a cut at every byte. */
    for (size_t piece = 1; piece < sizeof body_of_all; piece += piece < 40 ? 1 : 17) {
        struct talk *talk = post_in(tells, NULL, "multipart/form-data; boundary=B", body_of_all,
                                    sizeof body_of_all - 1, piece);

        CHECK_STR(talk_body(talk, 0), told_of_all);
        free(talk);
    }
    return 0;
}

TEST_FIBER(multipart_names)
{
    static const struct {
        const char *said, *told; /* name|filename, or NULL: malformed */
    } names[] = {
        {"name=\"a b\"", "a b|-"},
        {"name=a", "a|-"},
        {"NAME=\"a\" ; FileName=\"f\";", "a|f"},
        {"name=\"user[address][]\"", "user[address][]|-"},
        {"name=\"\"", "|-"},
        {"name=\"a%22%0D%0a%41%\"", "a\"\r\n%41%|-"},
        {"name=\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d|-"},
        {"name=\"\xc3\xa4\"; filename=\"\xc3\xb6.txt\"", "\xc3\xa4|\xc3\xb6.txt"},
        {"name=\"a\"; filename=\"\"", "a|"},
        {"name=\"a\"; filename=\"../../etc/passwd\"", "a|passwd"},
        {"name=\"a\"; filename=\"C:\\dir\\f.txt\"", "a|f.txt"},
        {"name=\"a\"; filename=\"..\"", "a|"},
        {"name=\"a\"; filename=\"x/..\"", "a|"},
        {"name=\"a\"; filename=\"x/\"", "a|"},
        {"name=\"a\"; filename=\"f\"; filename*=UTF-8''%e2%82%AC%20x", "a|\xe2\x82\xac x"},
        {"name=\"a\"; filename*=utf-8'en'..%2fx", "a|x"},
        {"name=\"a\"; filename=\"f\"; filename*=ISO-8859-1''%e4", "a|f"},
        {"name=\"a\"; other=1; filename=f", "a|f"},
        {"name=\"a\"; filename=\"a;b=c\"", "a|a;b=c"},
        {"name=\"a\"; filename*=UTF-8''%00", NULL},
        {"name=\"a\"; filename*=UTF-8''%e", NULL},
        {"name=\"a\"; filename*=UTF-8", NULL},
        {"name=\"a\"; name=\"b\"", NULL},
        {"name=\"a\"; filename=x; filename=y", NULL},
        {"name=\"a", NULL},
        {"name=\"a\"b", NULL},
        {"name=a b", NULL},
        {"name=", NULL},
        {"name", NULL},
        {"filename=\"a\"", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < TEST_LEN(names); i++) {
        char body[512], told[256];
        struct talk *talk;

        test_variant(names[i].said);
        (void)snprintf(body, sizeof body,
                       "--B\r\nContent-Disposition: form-data; %s\r\n\r\nv\r\n"
                       "--B--",
                       names[i].said);
        talk = post(tells, NULL, body);
        if (names[i].told == NULL) {
            CHECK_EQ(talk_status(talk, 0), 400);
        } else {
            (void)snprintf(told, sizeof told, "%s|text/plain|v\n", names[i].told);
            CHECK_STR(talk_body(talk, 0), told);
        }
        free(talk);
    }
    return 0;
}

TEST_FIBER(multipart_is_malformed)
{
    static const struct {
        const char *body, *reason; /* NULL: it is a form without parts */
    } bodies[] = {
        {"--B--", NULL},
        {"--B--\r\n", NULL},
        {"x\r\n--B--trailing", NULL},
        {"", "the form has no end"},
        {"--B", "the form has no end"},
        {"--B-", "the form has no end"},
        {"--A--\r\n", "the form has no end"},
        {"\r\n--B\n", "a boundary of the form is malformed"},
        {"--B-x", "a boundary of the form is malformed"},
        {"--BB\r\n", "a boundary of the form is malformed"},
        {"--B\rx", "a boundary of the form is malformed"},
        {"--B\r\n" HEAD("name=a"), "the form has no end"},
        {"--B\r\n" HEAD("name=a") "\r\n", "the form has no end"},
        {"--B\r\n" HEAD("name=a") "\r\nv", "the form has no end"},
        {"--B\r\n" HEAD("name=a") "\r\nv\r\n--", "the form has no end"},
        {"--B\r\n" HEAD("name=a") "\r\n--B--\r\n", "a part of the form has no body"},
        {"--B\r\n\r\nv\r\n--B--\r\n", "a part of the form has no name"},
        {"--B\r\nA: b\r\n\r\nv\r\n--B--\r\n", "a part of the form has no name"},
        {"--B\r\nContent-Disposition: attachment; name=a\r\n\r\nv\r\n--B--\r\n",
         "a Content-Disposition is malformed"},
        {"--B\r\n" HEAD("name=a") HEAD("name=b") "\r\nv\r\n--B--\r\n",
         "the headers of a part are malformed"},
        {"--B\r\n" HEAD("name=a") "x\r\n\r\nv\r\n--B--\r\n", "the headers of a part are malformed"},
        {"--B\r\n" HEAD("name=a") " x: y\r\n\r\nv\r\n--B--\r\n",
         "the headers of a part are malformed"},
        {"--B\r\n" HEAD("name=a") "x: \x01\r\n\r\nv\r\n--B--\r\n",
         "the headers of a part are malformed"},
        {"--B\r\nA: b\n" HEAD("name=a") "\r\nv\r\n--B--\r\n",
         "the headers of a part are malformed"},
    };

    for (size_t i = 0; i < TEST_LEN(bodies); i++) {
        struct talk *talk = post(tells, NULL, bodies[i].body);
        char page[128];

        test_variant(bodies[i].body);
        (void)snprintf(page, sizeof page, "400 Bad Request\n%s\n", bodies[i].reason);
        CHECK_EQ(talk_status(talk, 0), bodies[i].reason != NULL ? 400 : 200);
        CHECK_STR(talk_body(talk, 0), bodies[i].reason != NULL ? page : "");
        free(talk);
    }
    return 0;
}

TEST_FIBER(multipart_boundaries)
{
#define SEVENTY "1234567890123456789012345678901234567890123456789012345678901234567890"
    static const struct {
        const char *type;
        int status;
        const char *boundary;
    } types[] = {{"multipart/form-data; boundary=B", 200, "B"},
                 {"Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b\"", 200, "a b"},
                 {"multipart/form-data; boundary=\"'()+_,-./:=?\"", 200, "'()+_,-./:=?"},
                 {"multipart/form-data; boundary=" SEVENTY, 200, SEVENTY},
                 {"multipart/form-data; boundary=" SEVENTY "1", 400, SEVENTY "1"},
                 {"multipart/form-data; boundary=\"a \"", 400, "a "},
                 {"multipart/form-data; boundary=\"\"", 400, ""},
                 {"multipart/form-data; boundary=", 400, ""},
                 {"multipart/form-data; boundary=a*b", 400, "a*b"},
                 {"multipart/form-data; boundary=a; boundary=b", 400, "b"},
                 {"multipart/form-data", 400, ""},
                 {"multipart/form-data boundary=a", 400, "a"},
                 {"multipart/mixed; boundary=a", 415, "a"},
                 {"text/plain", 415, "a"}};

    for (size_t i = 0; i < TEST_LEN(types); i++) {
        char body[256];
        struct talk *talk;

        test_variant(types[i].type);
        (void)snprintf(body, sizeof body, "--%s\r\n" HEAD("name=a") "\r\nv\r\n--%s--",
                       types[i].boundary, types[i].boundary);
        talk = post_in(tells, NULL, types[i].type, body, strlen(body), 0);
        CHECK_EQ(talk_status(talk, 0), types[i].status);
        free(talk);
    }
    return 0;
}

/* ---- limits ---------------------------------------------------------------------------------- */

TEST_FIBER(multipart_limits)
{
    const skua_http_multipart_options bad = {0, 0, 0, 0, 0};
    const struct {
        const skua_http_multipart_options *options;
        int status;
    } limits[] = {{SKUA_HTTP_MULTIPART_OPTIONS(.parts_max = 2), 200},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.parts_max = 1), 413},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.part_max = 5), 200},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.part_max = 4), 413},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.head_max = 84), 200},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.head_max = 83), 400},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.body_max = 20), 413},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.body_max = -1), 200},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.head_max = 63), 400},
                  {SKUA_HTTP_MULTIPART_OPTIONS(.part_max = -2), 400},
                  {&bad, 400}};
    /* The first head has 84 bytes. */
    static const char body[] = PART("name=\"12345678901234567890123456789012345678901\"", "12345")
        PART("name=b", "1234") "--B--";

    CHECK_EQ(strlen(HEAD("name=\"12345678901234567890123456789012345678901\"") "\r\n"), 84);
    for (size_t i = 0; i < TEST_LEN(limits); i++) {
        struct talk *talk = post(tells, limits[i].options, body);

        test_variant((char[2]){(char)('a' + i), '\0'});
        CHECK_EQ(talk_status(talk, 0), limits[i].status);
        free(talk);
        talk = post_in(tells, limits[i].options, "multipart/form-data; boundary=B", body,
                       sizeof body - 1, 1);
        CHECK_EQ(talk_status(talk, 0), limits[i].status);
        free(talk);
    }
    return 0;
}

static int passes_by(skua_http_exchange *exchange, void *state)
{
    skua_http_multipart *form;
    skua_http_part part;
    char last = 0;
    int rc = skua_http_multipart_begin(exchange, &form, NULL);

    (void)state;
    CHECK_EQ(rc, 0);
    CHECK_EQ(skua_http_multipart_read(form, &last, 1), 0);
    CHECK(skua_http_multipart_header(form, "a") == NULL);
    while ((rc = skua_http_multipart_next(form, &part)) == 1) {
        CHECK_STR(skua_http_multipart_header(form, "content-DISPOSITION") != NULL ? "x" : "", "x");
        CHECK(skua_http_multipart_header(form, "X") == NULL);
        CHECK_EQ(skua_http_multipart_read(form, &last, 0), 0);
        CHECK_EQ(skua_http_multipart_read(form, &last, 1), 1);
    }
    CHECK_EQ(rc, 0);
    return skua_http_replyf(exchange, 200, NULL, "%c", last);
}

TEST_FIBER(multipart_parts_are_passed_by)
{
    struct talk *talk = post(passes_by, NULL, PART("name=a", "1234") PART("name=b", "567") "--B--");

    CHECK_STR(talk_body(talk, 0), "5");
    free(talk);
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct saving {
    char *dir;
    int64_t limit;
    int64_t wanted;
};

static int saves(skua_http_exchange *exchange, void *state)
{
    struct saving *saving = state;
    skua_http_multipart *form;
    skua_http_part part;
    const char *path = NULL;
    int64_t n;

    CHECK_EQ(skua_http_multipart_begin(exchange, &form, NULL), 0);
    CHECK_EQ(skua_http_multipart_next(form, &part), 1);
    CHECK_EQ(skua_http_multipart_save(form, saving->dir, -1, &path), -EINVAL);
    n = skua_http_multipart_save(form, saving->dir, saving->limit, &path);
    CHECK_EQ(n, saving->wanted);
    CHECK_EQ(path != NULL, n >= 0);
    if (n >= 0) {
        struct stat status;
        void *data;

        CHECK_EQ(stat(path, &status), 0);
        CHECK_EQ(status.st_mode & 0777, 0600);
        CHECK_EQ(skua_fs_read(path, &data, 1 << 20), n);
        CHECK(n == 0 || (((char *)data)[0] == 'x' && ((char *)data)[n - 1] == 'x'));
        free(data);
        CHECK_EQ(skua_fs_remove(path), 0);
    }
    return n < 0 ? (int)n : 0;
}

static void saved(struct saving *saving, size_t len, int status)
{
    static const char head[] = "--B\r\n" HEAD("name=f; filename=x") "\r\n";
    char *body = malloc(len + 128);
    struct talk *talk;

    MUST(body != NULL);
    memcpy(body, head, sizeof head - 1);
    memset(body + sizeof head - 1, 'x', len);
    memcpy(body + sizeof head - 1 + len, "\r\n--B--", 7);
    talk = post_in(saves, saving, "multipart/form-data; boundary=B", body,
                   sizeof head - 1 + len + 7, 0);
    CHECK_EQ(talk_status(talk, 0), status);
    free(talk);
    free(body);
}

TEST_FIBER(multipart_is_saved)
{
    struct saving saving = {NULL, 100000, 100000};
    struct saving nowhere = {"/nowhere/at/all", 100000, -ENOENT};

    MUST(skua_fs_temp_dir(NULL, &saving.dir) == 0);
    saved(&saving, 100000, 204);
    saving.limit = 99999;
    saving.wanted = SKUA_ELIMIT;
    saved(&saving, 100000, 413);
    saving.limit = saving.wanted = 0;
    saved(&saving, 0, 204);
    saved(&nowhere, 10, 404);
    CHECK_EQ(skua_fs_remove_dir(saving.dir), 0); /* nothing is left in it */
    free(saving.dir);
    return 0;
}

/* ---- the client's side ----------------------------------------------------------------------- */

static void form_comes_back(skua_http_client *client, const char *url, const char *path)
{
    const skua_http_form_part parts[] = {
        {.name = "a", .value = "1"},
        {.name = "q\"\r\n%", .value = "xy", .len = 1},
        {.name = "e"},
        {.name = "m", .value = "", .filename = "m.html", .type = "text/html"},
        {.name = "f", .path = path},
        {.name = "g", .path = path, .filename = "other"}};
    char told[1024];
    skua_http_response *response;

    (void)snprintf(
        told, sizeof told,
        "a|-|text/plain|1\nq\"\r\n%%|-|text/plain|x\ne|-|text/plain|\nm|m.html|text/html|\n"
        "f|file.txt|application/octet-stream|in the file\n"
        "g|other|application/octet-stream|in the file\n");
    CHECK_EQ(skua_http_client_post_form(client, url, parts, TEST_LEN(parts), 5000, &response), 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), told);
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_post_form(client, url, NULL, 0, 5000, &response), 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), "");
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_post_form(client, url, parts, 1, 3, &response), SKUA_ELIMIT);
}

TEST_FIBER(form_by_the_client)
{
    skua_http_client *client;
    struct site site;
    char path[256], *dir;

    MUST(skua_fs_temp_dir(NULL, &dir) == 0);
    (void)snprintf(path, sizeof path, "%s/file.txt", dir);
    MUST(skua_fs_write_atomic(path, "in the file", 11, 0) == 0);
    MUST(skua_http_client_new(&client, NULL) == 0);
    site_begin(&site, tells, NULL, NULL);
    form_comes_back(client, AT(site.url, "/"), path);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    CHECK_EQ(skua_fs_remove_all(dir), 0);
    free(dir);
    return 0;
}

/* What it says of its length, however it is read. */
static void form_is_as_long(skua_http_form *form)
{
    char all[4096], again[4096];
    int64_t len = 0;
    size_t at = 0;
    ssize_t n;

    while ((n = skua_http_form_read(form, all + len, sizeof all - (size_t)len)) > 0)
        len += n;
    CHECK_EQ(n, 0);
    CHECK_EQ(len, skua_http_form_length(form));
    CHECK_EQ(skua_http_form_read(form, again, 1), 0);
    CHECK_EQ(skua_http_form_again(form), 0);
    CHECK_EQ(skua_http_form_read(form, again, 7), 7);
    CHECK_EQ(skua_http_form_again(form), 0);
    while ((n = skua_http_form_read(form, again + at, 1)) > 0)
        at += (size_t)n;
    CHECK_EQ(at, len);
    CHECK(memcmp(all, again, at) == 0);
}

TEST_FIBER(form_is_made)
{
    char path[256], *dir;
    skua_http_form *form, *other;
    skua_http_form_part part = {.name = "f"};
    const skua_http_form_part bad[] = {{.name = NULL},
                                       {.name = "a", .value = "1", .path = "/x"},
                                       {.name = "a", .len = 1},
                                       {.name = "a", .type = ""},
                                       {.name = "a", .type = "a\r\nb"},
                                       {.name = "a", .path = "/"},
                                       {.name = "a", .path = "/nowhere"}};

    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(skua_http_form_new(&form, &bad[i], 1), i == 6 ? -ENOENT : -EINVAL);
    CHECK_EQ(skua_http_form_new(&form, NULL, 1), -EINVAL);
    skua_http_form_free(NULL);
    MUST(skua_fs_temp_dir(NULL, &dir) == 0);
    (void)snprintf(path, sizeof path, "%s/f", dir);
    MUST(skua_fs_write_atomic(path, "12345", 5, 0) == 0);
    part.path = path;
    MUST(skua_http_form_new(&form, &part, 1) == 0);
    MUST(skua_http_form_new(&other, &part, 1) == 0);
    CHECK(strcmp(skua_http_form_type(form), skua_http_form_type(other)) != 0);
    form_is_as_long(form);
    MUST(skua_fs_write_atomic(path, "123456789", 9, 0) == 0);
    CHECK_EQ(skua_http_form_again(form), 0);
    form_is_as_long(form); /* what was added is not sent */
    MUST(skua_fs_write_atomic(path, "1", 1, 0) == 0);
    CHECK_EQ(skua_http_form_again(form), 0);
    {
        char buf[512];
        ssize_t n;

        while ((n = skua_http_form_read(form, buf, sizeof buf)) > 0)
            ;
        CHECK_EQ(n, -EMSGSIZE);
    }
    skua_http_form_free(form);
    skua_http_form_free(other);
    CHECK_EQ(skua_fs_remove_all(dir), 0);
    free(dir);
    return 0;
}

/* ---- any bytes ------------------------------------------------------------------------------- */

/* Bodies that are nearly forms are read the same in one piece and in many. */
TEST_FIBER_CURRENT(multipart_of_any_bytes)
{
    static const char *const words[] = {"\r\n--B",
                                        "--",
                                        "\r\n",
                                        "\r",
                                        "\n",
                                        "--B",
                                        "--B--",
                                        ":",
                                        HEAD("name=a"),
                                        HEAD("name=\"b\"; filename=c"),
                                        "\"",
                                        "x",
                                        ";",
                                        " ",
                                        "%22",
                                        "\\",
                                        PART("name=a", "v"),
                                        "\r\n\r\n"};
    uint64_t seed = test_seed();
    int good = 0;

    for (int i = 0; i < TEST_COUNT(3000); i++) {
        char body[2048] = "--B\r\n" HEAD("name=a");
        struct talk *whole, *cut;

        for (uint64_t n = test_random(&seed) % 12; n > 0; n--)
            strcat(body, words[test_random(&seed) % TEST_LEN(words)]);
        strcat(body, test_random(&seed) % 4 != 0 ? "\r\n--B--" : "");
        whole = post(tells, NULL, body);
        cut = post_in(tells, NULL, "multipart/form-data; boundary=B", body, strlen(body),
                      1 + test_random(&seed) % 9);
        CHECK_EQ(talk_status(whole, 0), talk_status(cut, 0));
        if (!CHECK(strcmp(talk_body(whole, 0), talk_body(cut, 0)) == 0))
            test_note("of: %s", body);
        good += talk_status(whole, 0) == 200;
        free(whole);
        free(cut);
    }
    CHECK(good > 0);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(multipart_without_memory)
{
    struct talk *talk = calloc(1, sizeof *talk);
    const skua_http_form_part part = {.name = "a", .value = "1"};
    skua_http_form *form;
    char text[9000];
    int good = 0;

    MUST(talk != NULL);
    talk->handler = tells;
    (void)snprintf(text, sizeof text,
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000\r\n"
                   "Content-Type: multipart/form-data; boundary=B\r\n\r\n"
                   "--B\r\n" HEAD("name=a") "\r\n%07940d\r\n--B--\r\n",
                   0);
    for (talk->fault = 1; talk->fault < 24; talk->fault++) {
        talk_to(talk, text);
        good += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) >= 500);
    }
    CHECK_RANGE(good, 3, 20);
    free(talk);
    for (unsigned fault = 1; fault <= 2; fault++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, fault, 1, ENOMEM);
        CHECK_EQ(skua_http_form_new(&form, &part, 1), -ENOMEM);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multipart_is_read),
        cmocka_unit_test(multipart_is_read_in_pieces),
        cmocka_unit_test(multipart_names),
        cmocka_unit_test(multipart_is_malformed),
        cmocka_unit_test(multipart_boundaries),
        cmocka_unit_test(multipart_limits),
        cmocka_unit_test(multipart_parts_are_passed_by),
        cmocka_unit_test(multipart_is_saved),
        cmocka_unit_test(form_by_the_client),
        cmocka_unit_test(form_is_made),
        cmocka_unit_test(multipart_of_any_bytes),
#ifdef SKUA_FAULTS
        cmocka_unit_test(multipart_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
