/* test_json.c - JSON in requests and responses.
 *
 * Specifies json.h: what is read and what is refused, with which page; limits of size and depth;
 * fields by a table; replies with a length and as streams; the client's side.
 */
#include <strings.h>

#include <skua/http/extract.h>
#include <skua/http/json.h>

#include "ask.h"
#include "peer.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* Answers with what it has read. */
static int mirror(skua_http_exchange *exchange, void *state)
{
    json_t *json = NULL;
    int rc = skua_http_read_json(exchange, &json, state);

    CHECK((rc == 0) == (json != NULL));
    return rc == 0 ? skua_http_reply_json(exchange, 200, json) : rc;
}

static struct talk *post(skua_http_handler handler, const void *state, const char *type,
                         const char *body)
{
    struct talk *talk = calloc(1, sizeof *talk);
    size_t room = strlen(body) + 256;
    char *text = malloc(room);

    MUST(talk != NULL && text != NULL);
    talk->handler = handler;
    talk->state = (void *)(uintptr_t)state;
    (void)snprintf(text, room, "POST / HTTP/1.1\r\nHost: a\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
                   type != NULL ? "Content-Type: " : "", type != NULL ? type : "",
                   type != NULL ? "\r\n" : "", strlen(body), body);
    talk_to(talk, text);
    free(text);
    return talk;
}

TEST_FIBER(json_is_read)
{
    static const struct {
        const char *body, *wanted; /* a body; or what a 400 says, from "line" on */
    } texts[] = {
        {"{\"a\": [1, 2.5, null, true, \"x\"]}", "{\"a\":[1,2.5,null,true,\"x\"]}"},
        {" 1 ", "1"},
        {"\"\\u00e4\\ud83d\\ude00\"", "\"\xc3\xa4\xf0\x9f\x98\x80\""},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
        {"9223372036854775807", "9223372036854775807"},
        {"[\"]]]]]]\", \"\\\"[[[[[[[[[\"]", "[\"]]]]]]\",\"\\\"[[[[[[[[[\"]"},
        {"", "line 1, column 1: unexpected token near end of file"},
        {"{\n  \"a\": x}", "line 2, column 8: invalid token near 'x'"},
        {"[1,]", "line 1, column 4: unexpected token near ']'"},
        {"[1] 2", "line 1, column 5: end of file expected near '2'"},
        {"[}", "line 1, column 2: unexpected token near '}'"},
        {"9223372036854775808", "line 1, column 19: too big integer near '9223372036854775808'"},
        {"1e999", "line 1, column 5: real number overflow near '1e999'"},
        {"\"\\u0000\"",
         "line 1, column 8: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
        {"[[[[[1]]]]]", "line 1, column 5: too deep"},
        {"[\n[\n[[{}]]]]", "line 3, column 3: too deep"},
        {"[[[[\"a\",[1]]]]]", "line 1, column 9: too deep"},
        {"]]]]]]]][[[[[[", "line 1, column 13: too deep"}, /* malformed in any case */
    };
    const skua_http_json_options *options = SKUA_HTTP_JSON_OPTIONS(.depth = 4);

    for (size_t i = 0; i < TEST_LEN(texts); i++) {
        struct talk *talk = post(mirror, options, "application/json", texts[i].body);
        bool good = strncmp(texts[i].wanted, "line", 4) != 0;
        const char *line = strstr(talk->text, "the JSON is malformed: line");

        test_variant(texts[i].body);
        CHECK_EQ(talk_status(talk, 0), good ? 200 : 400);
        if (good) {
            CHECK_STR(talk_body(talk, 0), texts[i].wanted);
            CHECK_HAS(talk, "Content-Type: application/json\r\n");
            CHECK_HAS(talk, "Content-Length: ");
        } else if (CHECK(line != NULL)) {
            talk->text[talk->len - 1] = '\0';
            CHECK_STR(line + 23, texts[i].wanted);
        }
        free(talk);
    }
    return 0;
}

TEST_FIBER(json_has_types_and_limits)
{
    static const struct {
        const char *type;
        int status;
    } types[] = {{"application/json", 200},
                 {"Application/JSON; charset=utf-8", 200},
                 {"application/problem+json", 200},
                 {"text/json", 415},
                 {"application/jsonp", 415},
                 {"+json", 415},
                 {"", 415},
                 {NULL, 415}};
    const skua_http_json_options *unique = SKUA_HTTP_JSON_OPTIONS(.unique = 1);
    const skua_http_json_options *little = SKUA_HTTP_JSON_OPTIONS(.limit = 3);
    const skua_http_json_options *any = SKUA_HTTP_JSON_OPTIONS(.any_type = 1);
    const skua_http_json_options *deep =
        SKUA_HTTP_JSON_OPTIONS(.depth = SKUA_HTTP_JSON_DEPTH_MAX + 1);
    const skua_http_json_options bad = {0, 0, 0, 0, 0};
    const struct {
        const skua_http_json_options *options;
        const char *type, *body;
        int status;
    } limits[] = {{unique, "application/json", "{\"a\":1,\"a\":1}", 400},
                  {unique, "application/json", "{\"a\":1,\"b\":1}", 200},
                  {little, "application/json", "[1]", 200},
                  {little, "application/json", "[12]", 413},
                  {any, NULL, "[1]", 200},
                  {deep, "application/json", "[1]", 400},
                  {&bad, "application/json", "[1]", 400}};

    for (size_t i = 0; i < TEST_LEN(types); i++) {
        struct talk *talk = post(mirror, NULL, types[i].type, "[]");

        test_variant(types[i].type);
        CHECK_EQ(talk_status(talk, 0), types[i].status);
        free(talk);
    }
    for (size_t i = 0; i < TEST_LEN(limits); i++) {
        struct talk *talk = post(mirror, limits[i].options, limits[i].type, limits[i].body);

        CHECK_EQ(talk_status(talk, 0), limits[i].status);
        free(talk);
    }
    return 0;
}

/* On the stack that a connection has. */
TEST_FIBER(json_is_as_deep_as_it_may_be)
{
    enum { DEPTH = SKUA_HTTP_JSON_DEPTH_MAX };
    const skua_http_json_options *options = SKUA_HTTP_JSON_OPTIONS(.depth = DEPTH);
    char text[8 * DEPTH + 16] = "";
    struct talk *talk;

    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    talk = post(mirror, options, "application/json", text);
    CHECK_STR(talk_body(talk, 0), text);
    free(talk);
    for (int i = 0; i < DEPTH; i++)
        (void)snprintf(text + strlen(text) * (i != 0), 16, "%s", "{\"a\":");
    (void)snprintf(text + 5 * DEPTH, 8, "1");
    memset(text + 5 * DEPTH + 1, '}', DEPTH);
    text[6 * DEPTH + 1] = '\0';
    talk = post(mirror, options, "application/json", text);
    CHECK_STR(talk_body(talk, 0), text);
    free(talk);
    return 0;
}

/* ---- replies --------------------------------------------------------------------------------- */

static int replies(skua_http_exchange *exchange, void *json)
{
    return skua_http_reply_json(exchange, 201, json);
}

static int replies_typed(skua_http_exchange *exchange, void *json)
{
    CHECK_EQ(skua_http_set_header(exchange, "content-type", "application/problem+json"), 0);
    return skua_http_reply_json(exchange, 400, json);
}

TEST_FIBER(json_has_the_type_that_was_set)
{
    json_t *json = json_integer(1);
    struct talk *talk = ask_chain(replies_typed, json, "GET /");

    CHECK(ask_has(talk, "content-type: application/problem+json\r\n"));
    CHECK(!ask_has(talk, "application/json"));
    free(talk);
    talk = ask_chain(replies, json, "GET /");
    CHECK(ask_has(talk, "Content-Type: application/json\r\n"));
    free(talk);
    json_decref(json);
    return 0;
}

TEST_FIBER(json_is_streamed)
{
    json_t *array = json_array();
    struct talk *talk;
    static char long_text[9000];
    char *whole;

    for (int i = 0; i < 3000; i++)
        MUST(json_array_append_new(array, json_integer(i)) == 0);
    memset(long_text, 'x', sizeof long_text);
    MUST(json_array_append_new(array, json_stringn(long_text, sizeof long_text)) == 0);
    whole = json_dumps(array, JSON_COMPACT);
    MUST(whole != NULL);
    talk = calloc(1, sizeof *talk);
    MUST(talk != NULL);
    talk->handler = replies;
    talk->state = array;
    talk_to(talk, "GET / HTTP/1.0\r\n\r\n"); /* without chunks */
    CHECK(!ask_has(talk, "Content-Length"));
    CHECK(strcmp(talk_body(talk, 0), whole) == 0);
    free(talk);
    talk = ask_chain(replies, array, "HEAD /");
    CHECK_STR(talk_body(talk, 0), "");
    free(talk);
    free(whole);
    json_decref(array);

    array = json_array();
    MUST(json_array_append(array, array) != 0); /* Jansson itself sees that one */
    MUST(json_array_append_new(array, json_array()) == 0);
    MUST(json_array_append(json_array_get(array, 0), array) == 0);
    talk = ask_chain(replies, array, "GET /");
    CHECK_EQ(talk_status(talk, 0), 400);
    free(talk);
    json_array_clear(json_array_get(array, 0));
    json_decref(array);
    talk = ask_chain(replies, NULL, "GET /");
    CHECK_EQ(talk_status(talk, 0), 400);
    free(talk);
    return 0;
}

/* ---- fields ---------------------------------------------------------------------------------- */

struct person {
    int64_t age;
    double size;
    int member;
    const char *name, *city;
    json_t *rest;
    int64_t sum;
};

static int adds(skua_http_exchange *exchange, json_t *item, size_t index, void *into)
{
    struct person *person = into;

    if (!json_is_integer(item))
        return skua_http_fail(exchange, -EINVAL, 422, "an element is no number");
    person->sum += json_integer_value(item) * (int64_t)(index + 1);
    return 1;
}

static const skua_http_json_field person_fields[] = {
    SKUA_HTTP_JSON_FIELD(struct person, name, "name", SKUA_HTTP_JSON_STRING, .required = 1,
                         .min = 1, .max = 5),
    SKUA_HTTP_JSON_FIELD(struct person, age, "age", SKUA_HTTP_JSON_INT64, .min = 0, .max = 150),
    SKUA_HTTP_JSON_FIELD(struct person, size, "size", SKUA_HTTP_JSON_DOUBLE, .max = 3),
    SKUA_HTTP_JSON_FIELD(struct person, member, "member", SKUA_HTTP_JSON_BOOL),
    SKUA_HTTP_JSON_FIELD(struct person, city, "address.city", SKUA_HTTP_JSON_STRING),
    SKUA_HTTP_JSON_FIELD(struct person, rest, "address.rest.x", SKUA_HTTP_JSON_VALUE),
    SKUA_HTTP_JSON_FIELD(struct person, sum, "marks", SKUA_HTTP_JSON_ARRAY, .each = adds, .max = 3),
};

static int extracts(skua_http_exchange *exchange, void *state)
{
    struct person person = {.age = -1, .size = -1, .member = -1, .city = "-"};
    json_t *json;
    int rc = skua_http_read_json(exchange, &json, NULL);

    (void)state;
    if (rc == 0)
        rc =
            skua_http_json_extract(exchange, json, person_fields, TEST_LEN(person_fields), &person);
    return rc != 0
               ? rc
               : skua_http_replyf(exchange, 200, NULL, "%s %lld %g %d %s %s %lld", person.name,
                                  (long long)person.age, person.size, person.member, person.city,
                                  person.rest != NULL ? "rest" : "-", (long long)person.sum);
}

TEST_FIBER(json_fields_are_taken)
{
    static const struct {
        const char *body, *wanted; /* a body, or what the 400 says */
    } texts[] = {
        {"{\"name\":\"ann\"}", "ann -1 -1 -1 - - 0"},
        {"{\"name\":\"ann\",\"age\":7,\"size\":1.5,\"member\":true,\"marks\":[1,2,3],"
         "\"address\":{\"city\":\"Ulm\",\"rest\":{\"x\":[]}},\"more\":1}",
         "ann 7 1.5 1 Ulm rest 14"},
        {"{\"name\":\"ann\",\"age\":null,\"size\":2,\"member\":false,\"address\":null}",
         "ann -1 2 0 - - 0"},
        {"{\"name\":\"ann\",\"marks\":[]}", "ann -1 -1 -1 - - 0"},
        {"{}", "\"name\" in the JSON is missing"},
        {"{\"name\":null}", "\"name\" in the JSON is missing"},
        {"{\"name\":1}", "\"name\" in the JSON is no string"},
        {"{\"name\":\"\"}", "\"name\" in the JSON is too long, or too short"},
        {"{\"name\":\"123456\"}", "\"name\" in the JSON is too long, or too short"},
        {"{\"name\":\"a\",\"age\":1.0}", "\"age\" in the JSON is no whole number"},
        {"{\"name\":\"a\",\"age\":-1}", "\"age\" in the JSON is out of range"},
        {"{\"name\":\"a\",\"age\":151}", "\"age\" in the JSON is out of range"},
        {"{\"name\":\"a\",\"size\":\"1\"}", "\"size\" in the JSON is no number"},
        {"{\"name\":\"a\",\"size\":3.1}", "\"size\" in the JSON is out of range"},
        {"{\"name\":\"a\",\"member\":1}", "\"member\" in the JSON is neither true nor false"},
        {"{\"name\":\"a\",\"address\":[]}", "\"address\" in the JSON is no object"},
        {"{\"name\":\"a\",\"address\":{\"rest\":1}}", "\"address.rest\" in the JSON is no object"},
        {"{\"name\":\"a\",\"marks\":{}}", "\"marks\" in the JSON is no array"},
        {"{\"name\":\"a\",\"marks\":[1,1,1,1]}", "\"marks\" in the JSON is too long, or too short"},
        {"[]", "the JSON is no object"},
    };

    for (size_t i = 0; i < TEST_LEN(texts); i++) {
        struct talk *talk = post(extracts, NULL, "application/json", texts[i].body);
        char page[256];

        test_variant(texts[i].body);
        (void)snprintf(page, sizeof page, "400 Bad Request\n%s\n", texts[i].wanted);
        CHECK_STR(talk_body(talk, 0), talk_status(talk, 0) == 400 ? page : texts[i].wanted);
        free(talk);
    }
    return 0;
}

static int extracts_nothing(skua_http_exchange *exchange, void *state)
{
    static const skua_http_json_field rows[] = {{.path = "a"},
                                                {.type = SKUA_HTTP_JSON_BOOL},
                                                {.path = "", .type = SKUA_HTTP_JSON_BOOL},
                                                {.path = "a", .type = SKUA_HTTP_JSON_ARRAY},
                                                {.path = "a", .type = (skua_http_json_type)9}};
    json_t *json;

    (void)state;
    CHECK_EQ(skua_http_read_json(exchange, &json, NULL), 0);
    for (size_t i = 0; i < TEST_LEN(rows); i++)
        CHECK_EQ(skua_http_json_extract(exchange, json, &rows[i], 1, NULL), SKUA_EUSAGE);
    return extracts(exchange, state);
}

TEST_FIBER(json_fields_are_refused)
{
    struct talk *talk =
        post(extracts, NULL, "application/json", "{\"name\":\"a\",\"marks\":[\"\"]}");

    CHECK_EQ(talk_status(talk, 0), 422); /* the callback's own */
    free(talk);
    free(post(extracts_nothing, NULL, "application/json", "{}"));
    return 0;
}

/* ---- the client's side ----------------------------------------------------------------------- */

static int says_what_it_got(skua_http_exchange *exchange, void *state)
{
    const char *accept = skua_http_header(exchange, "Accept");
    const char *name, *value;
    int accepts = 0;
    json_t *json;
    int rc = skua_http_read_json(exchange, &json, NULL);

    (void)state;
    if (rc != 0)
        return rc;
    for (size_t i = 0; skua_http_header_at(exchange, i, &name, &value) == 1; i++)
        accepts += strcasecmp(name, "accept") == 0;
    CHECK_EQ(accepts, 1);
    json = json_pack("{s:s, s:s, s:O}", "method", skua_http_method(exchange), "accept",
                     accept != NULL ? accept : "-", "body", json);
    rc = skua_http_reply_json(exchange, 200, json);
    json_decref(json);
    return rc;
}

static void client_says(skua_http_client *client, const char *url)
{
    static const skua_http_field field = {"accept", "a/b"};
    skua_http_request request = {
        .size = sizeof request, .url = url, .method = "PUT", .headers = &field, .headers_count = 1};
    skua_http_response *response;
    json_t *json = json_pack("[i]", 7), *got;
    char *text;

    CHECK_EQ(skua_http_client_post_json(client, url, json, 1000, &response), 0);
    CHECK_EQ(skua_http_response_json(response, &got, NULL), 0);
    text = json_dumps(got, JSON_COMPACT);
    CHECK_TEXT(text, "{\"method\":\"POST\",\"accept\":\"application/json\",\"body\":[7]}");
    free(text);
    json_decref(got);
    CHECK_EQ(skua_http_response_json(response, &got, SKUA_HTTP_JSON_OPTIONS(.limit = 3)),
             SKUA_ELIMIT);
    CHECK_EQ(skua_http_response_json(response, &got, SKUA_HTTP_JSON_OPTIONS(.depth = 1)), -EBADMSG);
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_post_json(client, url, json, 10, &response), SKUA_ELIMIT);

    CHECK_EQ(skua_http_client_send_json(client, &request, json, &response), 0);
    CHECK_EQ(skua_http_response_json(response, &got, NULL), 0);
    CHECK_TEXT(json_string_value(json_object_get(got, "accept")), "a/b");
    CHECK_TEXT(json_string_value(json_object_get(got, "method")), "PUT");
    json_decref(got);
    skua_http_response_close(response);
    request.body = "x";
    request.body_len = 1;
    CHECK_EQ(skua_http_client_send_json(client, &request, json, &response), -EINVAL);
    CHECK_EQ(skua_http_client_post_json(client, url, NULL, 10, &response), -EINVAL);
    json_decref(json);
}

TEST_FIBER(json_by_the_client)
{
    static const struct act acts[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n[]", STAYS},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[1",
         LEAVES}};
    skua_http_client *client;
    skua_http_response *response;
    struct peer peer;
    struct site site;
    json_t *json = NULL;

    MUST(skua_http_client_new(&client, NULL) == 0);
    site_begin(&site, says_what_it_got, NULL, NULL);
    client_says(client, AT(site.url, "/"));
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);

    MUST(skua_http_client_new(&client, NULL) == 0);
    peer_begin(&peer, acts, TEST_LEN(acts));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_http_get(client, peer.url, 100, &response), 0);
        CHECK_EQ(skua_http_response_json(response, &json, NULL), -EBADMSG);
        if (i == 0) {
            CHECK_EQ(
                skua_http_response_json(response, &json, SKUA_HTTP_JSON_OPTIONS(.any_type = 1)), 0);
            json_decref(json);
        }
        skua_http_response_close(response);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

#ifdef SKUA_FAULTS
/* Ours alone: Jansson's allocations are not walked. */
TEST_FIBER_CURRENT(json_without_memory)
{
    struct talk *talk = calloc(1, sizeof *talk);
    char text[9000];
    int good = 0;

    MUST(talk != NULL);
    talk->handler = mirror;
    (void)snprintf(text, sizeof text,
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                   "Content-Length: 8000\r\n\r\n%08000d",
                   0);
    memset(strstr(text, "\r\n\r\n") + 4, ' ', 7999);
    for (talk->fault = 1; talk->fault < 14; talk->fault++) {
        talk_to(talk, text);
        good += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) >= 500);
    }
    CHECK_RANGE(good, 3, 12);
    free(talk);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read),
        cmocka_unit_test(json_has_types_and_limits),
        cmocka_unit_test(json_is_as_deep_as_it_may_be),
        cmocka_unit_test(json_has_the_type_that_was_set),
        cmocka_unit_test(json_is_streamed),
        cmocka_unit_test(json_fields_are_taken),
        cmocka_unit_test(json_fields_are_refused),
        cmocka_unit_test(json_by_the_client),
#ifdef SKUA_FAULTS
        cmocka_unit_test(json_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
