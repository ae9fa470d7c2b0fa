/* multipart.h - forms with files (multipart/form-data): read part by part as streams, and sent.
 *
 *     static int upload(skua_http_exchange *exchange, void *state)
 *     {
 *         skua_http_multipart *form;
 *         skua_http_part part;
 *         const char *path;
 *         int64_t n;
 *         int rc = skua_http_multipart_begin(exchange, &form, NULL);        -- 415, 400
 *
 *         while (rc == 0 && (rc = skua_http_multipart_next(form, &part)) == 1) {
 *             rc = 0;
 *             if (part.filename != NULL &&                                  -- else it is passed by
 *                 (n = skua_http_multipart_save(form, "/var/spool/up", 1 << 20, &path)) < 0)
 *                 rc = (int)n;                                              -- 413: it is longer
 *         }
 *         return rc;                    -- a handler that returns it replies with the right page
 *     }
 *
 * A form of any size needs the memory of one piece and of one part's headers. What is malformed is
 * refused with 400, and a reason. Forms without files are mostly urlencoded: see
 * skua_http_read_form (extract.h).
 *
 * Names      are what the client says: bytes, mostly UTF-8; "%22", "%0D" and "%0A" are decoded, as
 *            browsers encode, and "\"" and "\\" behind a backslash, as others do. So they may hold
 *            CR and LF. "a[b][]" is a name like any.
 * Files      a filename is only its last component, and still nothing to open a file with: it may
 *            be "" or ".htaccess". filename* (RFC 5987) counts before filename.
 * Encodings  of a part (Content-Transfer-Encoding) are not undone: RFC 7578 has none.
 *
 * Source     RFC 7578, RFC 2046 (5.1), RFC 5987; the HTML standard (4.10.21.8); Go's
 *            mime/multipart.
 */
#ifndef SKUA_HTTP_MULTIPART_H
#define SKUA_HTTP_MULTIPART_H

#include <skua/http/client.h>
#include <skua/http/exchange.h>

SKUA_C_BEGIN

typedef struct skua_http_multipart skua_http_multipart;

/* Zero, or NULL for all of them, means the default. */
typedef struct skua_http_multipart_options {
    size_t size;      /* SKUA_HTTP_MULTIPART_OPTIONS sets it */
    size_t parts_max; /* default 100; 413 beyond */
    size_t head_max;  /* bytes of a part's headers; default 4 KiB; 64 to 1 MiB; 400 beyond */
    int64_t part_max; /* bytes of a part that are read; default -1: any; 413 beyond */
    int64_t body_max; /* bytes of the whole body; default: the server's, or the route's; 413 beyond;
                         -1: any */
} skua_http_multipart_options;

#ifndef __cplusplus
#define SKUA_HTTP_MULTIPART_OPTIONS(...)                                                           \
    (&(const skua_http_multipart_options){.size = sizeof(skua_http_multipart_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_multipart_options_init(skua_http_multipart_options *options);

/* A part. Its strings live until the next one is asked for. */
typedef struct skua_http_part {
    const char *name;     /* of the form's field */
    const char *filename; /* NULL: it is no file */
    const char *type;     /* its Content-Type; "text/plain" when it says none */
} skua_http_part;

/* Begins to read a request's body as a form. Nothing is read yet.
 *
 * ret        receives the form, which lives as long as the exchange; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EINVAL: the body is no multipart/form-data (415), or its boundary is malformed
 *            (400); -EINVAL without a page: options; -ENOMEM
 * Threads    the handler's, as all calls with a form
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_multipart_begin(skua_http_exchange *exchange,
                                                      skua_http_multipart **ret,
                                                      const skua_http_multipart_options *options);

/* Goes on to the next part; what was not read of the one before is thrown away.
 *
 * part       receives what it is; untouched unless this returns 1
 * Returns    1; 0: there are no more; -EBADMSG: malformed (400, with the reason); SKUA_ELIMIT: too
 *            many parts (413); else as skua_http_read. A form that has failed fails again
 * Cancel     not safe: the form has failed
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_multipart_next(skua_http_multipart *form,
                                                     skua_http_part *part);

/* A header of the part.
 *
 * name       in any case
 * Returns    its value, until the next part; NULL: there is none
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API const char *skua_http_multipart_header(const skua_http_multipart *form, const char *name);

/* Reads what is there of the part, at least one byte.
 *
 * Returns    the count; 0: all was read (or len is 0, or there is no part); -EBADMSG: malformed;
 *            SKUA_ELIMIT: longer than part_max; else as skua_http_read
 * Cancel     safe: nothing was read
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API ssize_t skua_http_multipart_read(skua_http_multipart *form, void *buf, size_t len);

/* Reads what is left of the part, which gets a NUL behind it: for fields.
 *
 * ret        receives the bytes, which live as long as the exchange
 * len        receives their number; may be NULL
 * limit      bytes at most
 * Returns    0; SKUA_ELIMIT: it is longer; -ENOMEM; else as skua_http_multipart_read
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_multipart_read_all(skua_http_multipart *form, char **ret,
                                                         size_t *len, size_t limit);

/* Writes what is left of the part into a new file, which only this user may read, and whose name
 * nobody can guess.
 *
 * dir        where
 * limit      bytes at most
 * path       receives its name, which lives as long as the exchange; untouched on failure
 * Returns    the number of bytes; SKUA_ELIMIT: it is longer; what the file says (-ENOENT, -ENOSPC
 *            …); -ENOMEM; else as skua_http_multipart_read. On failure there is no file any more
 * Ownership  the file is the caller's, to rename or to remove. It is not synced
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int64_t skua_http_multipart_save(skua_http_multipart *form, const char *dir,
                                                         int64_t limit, const char **path);

/* ---- sending --------------------------------------------------------------------------------- */

/* A field or a file to be sent. */
typedef struct skua_http_form_part {
    const char *name;     /* of the field; quotes and line ends are encoded as browsers do */
    const void *value;    /* its bytes; NULL: none, or a file */
    size_t len;           /* of value; 0: it is a string */
    const char *path;     /* instead of value: the file that is sent, a regular one */
    const char *filename; /* what it is called; NULL: no file, or the last component of path */
    const char *type;     /* Content-Type; NULL: none, or application/octet-stream of a file */
} skua_http_form_part;

/* A form as the body of a request: a stream that can begin anew. */
typedef struct skua_http_form skua_http_form;

/* Makes a form. Files are asked for their lengths now, and opened when it is their turn.
 *
 * ret        receives it, to be ended by skua_http_form_free; untouched on failure
 * parts      `count` of them; the caller's, as long as the form
 * Returns    0; -EINVAL: a part is none, or no regular file; what the file says; -EOVERFLOW: too
 *            long; -ENOMEM
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_form_new(skua_http_form **ret,
                                               const skua_http_form_part *parts, size_t count);

/* The Content-Type to send it with: it names the boundary, 128 random bits.
 *
 * Returns    as long as the form
 * Threads    any
 * Since      0.3
 */
SKUA_API const char *skua_http_form_type(const skua_http_form *form);

/* The body's length, for skua_http_request.body_length.
 *
 * Returns    bytes, above 0
 * Threads    any
 * Since      0.3
 */
SKUA_API int64_t skua_http_form_length(const skua_http_form *form);

/* Makes the next piece: .body_read, with the form as .body_state.
 *
 * Returns    as skua_http_body_fn; -EMSGSIZE: a file has become shorter; what the file says
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API ssize_t skua_http_form_read(void *form, void *buf, size_t len);

/* Begins anew: .body_again.
 *
 * Returns    0
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_http_form_again(void *form);

/* Frees a form.
 *
 * form       NULL does nothing
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API void skua_http_form_free(skua_http_form *form);

/* Posts a form, and gets the whole answer.
 *
 * parts      `count` of them; the caller's
 * limit      bytes of the answer at most
 * response   as skua_http_get
 * Returns    as skua_http_form_new, skua_http_client_send and skua_http_response_read_all
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_client_post_form(skua_http_client *client, const char *url,
                                                       const skua_http_form_part *parts,
                                                       size_t count, size_t limit,
                                                       skua_http_response **response);

SKUA_C_END

#endif
