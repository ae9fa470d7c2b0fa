/* json.h - JSON in requests and responses, by Jansson: values in, values out, fields by a table.
 *
 *     struct person {
 *         const char *name;
 *         int64_t age;
 *         const char *city;
 *     };
 *     static const skua_http_json_field fields[] = {
 *         SKUA_HTTP_JSON_FIELD(struct person, name, "name", SKUA_HTTP_JSON_STRING,
 *                              .required = 1, .max = 40),
 *         SKUA_HTTP_JSON_FIELD(struct person, age, "age", SKUA_HTTP_JSON_INT64,
 *                              .min = 0, .max = 150),
 *         SKUA_HTTP_JSON_FIELD(struct person, city, "address.city", SKUA_HTTP_JSON_STRING)};
 *
 *     static int add(skua_http_exchange *exchange, void *db)
 *     {
 *         struct person person = {.age = -1};                    -- stays, when it is not said
 *         json_t *body;
 *         int rc = skua_http_read_json(exchange, &body, NULL);   -- 415, 400, 413
 *
 *         if (rc == 0)
 *             rc = skua_http_json_extract(exchange, body, fields, 3, &person);
 *         return rc < 0 ? rc : skua_http_reply_json(exchange, 201, stored(db, &person));
 *     }
 *
 * Programs that include this header need Jansson's (pkg-config jansson); no other header of Skua
 * includes it. Where libskua-http was built without Jansson all calls say -ENOSYS.
 *
 * Depth      Jansson calls itself for each level of a value, and needs up to 300 bytes of the
 *            fiber's stack for it: so a text's levels are counted before it is parsed. A value that
 *            the program makes itself must not have more than SKUA_HTTP_JSON_DEPTH_MAX either.
 * Memory     of a value: up to some 100 times that of its text ("[{},{},…"); the limit of the text
 *            bounds it. It is Jansson's, whose allocator is the process's to set
 *            (json_set_alloc_funcs), and never set here.
 * Numbers    a whole number that does not fit 64 bits, and a number beyond a double, are refused as
 *            malformed. Strings have no NUL: "\u0000" is refused, too.
 *
 * Source     RFC 8259; axum's Json.
 */
#ifndef SKUA_HTTP_JSON_H
#define SKUA_HTTP_JSON_H

#include <stddef.h>

#include <jansson.h>

#include <skua/http/client.h>
#include <skua/http/exchange.h>

SKUA_C_BEGIN

#define SKUA_HTTP_JSON_DEPTH_MAX 128

/* Of a text that is read. Zero, or NULL for all of them, means the default. */
typedef struct skua_http_json_options {
    size_t size;       /* SKUA_HTTP_JSON_OPTIONS sets it */
    size_t limit;      /* bytes at most; default 1 MiB. The server's body_max counts, too */
    unsigned depth;    /* levels of arrays and objects at most; default 64, 1 to
                          SKUA_HTTP_JSON_DEPTH_MAX */
    unsigned unique;   /* 1: an object that has a key twice is malformed; 0: the last one counts */
    unsigned any_type; /* 1: whatever the Content-Type says */
} skua_http_json_options;

#ifndef __cplusplus
#define SKUA_HTTP_JSON_OPTIONS(...)                                                                \
    (&(const skua_http_json_options){.size = sizeof(skua_http_json_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_json_options_init(skua_http_json_options *options);

/* ---- the server's side ----------------------------------------------------------------------- */

/* Reads a request's body: application/json, or a type that ends with "+json".
 *
 * ret        receives the value, of any type; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EINVAL: the body has another type (415), or is malformed, or too deep (400, with
 *            line and column); -EINVAL without a page: options; -ENOMEM; -ENOSYS; else as
 *            skua_http_read_all
 * Ownership  the exchange's, until the handler returns: who wants it longer has a reference of its
 *            own (json_incref)
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_read_json(skua_http_exchange *exchange, json_t **ret,
                                                const skua_http_json_options *options);

/* Replies with a value, compact, as application/json unless another Content-Type was set. One of
 * up to 4 KiB is sent with its length, a longer one as a stream.
 *
 * json       the caller's, who keeps it, and does not change it meanwhile
 * Returns    0; -EINVAL: it is NULL or no value that can be written (it contains itself); -ENOSYS;
 *            else as skua_http_reply
 * Cancel     not safe, as skua_http_reply
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_reply_json(skua_http_exchange *exchange, int status, const json_t *json);

/* ---- fields ---------------------------------------------------------------------------------- */

/* What a member of an object must be, and what receives it. */
typedef enum skua_http_json_type {
    SKUA_HTTP_JSON_INT64 = 1, /* a number without a point: int64_t */
    SKUA_HTTP_JSON_DOUBLE,    /* a number: double */
    SKUA_HTTP_JSON_BOOL,      /* true or false: int, 1 or 0 */
    SKUA_HTTP_JSON_STRING,    /* const char *, which lives as long as the value */
    SKUA_HTTP_JSON_VALUE,     /* anything: json_t *, which is the value's */
    SKUA_HTTP_JSON_ARRAY      /* an array: each element is handed to .each */
} skua_http_json_type;

/* Is given an element of an array, in their order.
 *
 * item       the value's
 * index      0, 1, …
 * into       the struct that is filled
 * Returns    0: go on; a negative code: ends the extraction with it
 */
typedef int (*skua_http_json_each)(skua_http_exchange *exchange, json_t *item, size_t index,
                                   void *into);

typedef struct skua_http_json_field {
    const char *path; /* a key, or several with points between: "address.city" */
    skua_http_json_type type;
    size_t offset;     /* in the struct; not of an ARRAY */
    unsigned required; /* 1: it must be there, and not null */
    int64_t min, max;  /* of INT64 and DOUBLE the range, of STRING and ARRAY the fewest and the most
                          bytes or elements; both 0: any */
    skua_http_json_each each; /* of ARRAY */
} skua_http_json_field;

/* One row of a table: where a member of a struct comes from. */
#define SKUA_HTTP_JSON_FIELD(type_, member_, path_, ...)                                           \
    {                                                                                              \
        .path = (path_), .offset = offsetof(type_, member_), .type = __VA_ARGS__                   \
    }

/* Fills a struct with members of an object. What is not there, or null, leaves its member as it is,
 * if it is not required. What the table does not name is not looked at.
 *
 * json       mostly an object; another value is refused
 * fields     `count` rows
 * into       the struct; on failure some of its members are filled
 * Returns    0; -EINVAL: something is missing, of another type or out of range (400, which says
 *            what and where); SKUA_EUSAGE: a row is none; -ENOMEM; -ENOSYS; what .each says
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_json_extract(skua_http_exchange *exchange, const json_t *json,
                                    const skua_http_json_field *fields, size_t count, void *into);

/* ---- the client's side ----------------------------------------------------------------------- */

/* Sends a request with a value as its body, as skua_http_client_send.
 *
 * request    its method NULL: "POST"; no body. Content-Type and Accept are added where it has none
 * json       the caller's, who keeps it
 * Returns    0; -EINVAL also: the value cannot be written, the request has a body; -ENOSYS; else as
 *            skua_http_client_send
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_client_send_json(skua_http_client *client,
                                                       const skua_http_request *request,
                                                       const json_t *json,
                                                       skua_http_response **response);

/* Posts a value, and gets the whole answer.
 *
 * limit      bytes of the answer at most
 * response   as skua_http_get
 * Returns    as skua_http_client_send_json and skua_http_response_read_all
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_client_post_json(skua_http_client *client, const char *url,
                                                       const json_t *json, size_t limit,
                                                       skua_http_response **response);

/* The value in a response, whatever its status: its body is read, if it was not yet.
 *
 * ret        receives it, to be ended by json_decref; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EBADMSG: it has another type, is malformed or too deep; -EINVAL: options; -ENOMEM;
 *            -ENOSYS; else as skua_http_response_read_all
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_response_json(skua_http_response *response, json_t **ret,
                                                    const skua_http_json_options *options);

SKUA_C_END

#endif
