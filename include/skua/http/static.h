/* static.h - files as responses: a directory behind a route, one file; conditional requests.
 *
 *     skua_http_static_new(&files, "/srv/www", NULL);
 *     skua_http_route(router, "GET", "/" "*path", skua_http_static_handler, files);
 *
 * Escape     a request names a file below the directory: segments ".." and ".", empty ones and, if
 *            not wanted, hidden ones are known to nobody (404), in whatever way they are encoded.
 *            Symbolic links are followed, but not out of the directory. A link that is made between
 *            that check and the opening is not seen: whoever may write there is to be trusted.
 * Caches     a file has an entity tag, of its size and time, and Last-Modified. Requests that
 *            depend on them get 304 or 412 (RFC 9110, 13), and one range of it 206 (14). Several
 *            ranges in one request get the whole.
 * Cost       what the system has in memory of a file of 64 KiB and more goes from there into the
 *            socket (sendfile), where that is what the connection is, in HTTP/1.1 and without TLS;
 *            the rest by pieces of 64 KiB, read without the worker waiting for a disk.
 *
 * Source     RFC 9110; nginx, Go's FileServer, tower-http's ServeDir.
 */
#ifndef SKUA_HTTP_STATIC_H
#define SKUA_HTTP_STATIC_H

#include <skua/file.h>
#include <skua/http/exchange.h>

SKUA_C_BEGIN

/* ---- conditional requests -------------------------------------------------------------------- */

/* Says what version the response is of, and answers a client that has it (304), or wants to change
 * another one (412).
 *
 * etag       with its quotes: "\"v7\"", "W/\"v7\""; NULL: none
 * modified   ns since 1970; 0: not known
 * Returns    1: it is answered; 0: go on, ETag and Last-Modified are set; -EINVAL: the tag is
 *            malformed; else as skua_http_reply
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_not_modified(skua_http_exchange *exchange, const char *etag,
                                    int64_t modified);

/* ---- files ----------------------------------------------------------------------------------- */

/* Replies with a file, or the range of it that is asked for, on the conditions of the request.
 *
 * file       a regular one, open for reading; the caller's
 * type       the Content-Type; NULL: what was set, or none
 * Returns    0; -EINVAL: it is no regular file; what the file says; -EIO: it has become shorter;
 *            else as skua_http_reply
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_send_file(skua_http_exchange *exchange, skua_file *file, const char *type);

/* The type of a file, by the end of its name.
 *
 * Returns    "application/octet-stream" when nothing is known
 * Threads    any
 * Since      0.3
 */
SKUA_API const char *skua_http_type_of(const char *name);

/* A directory. */
typedef struct skua_http_static skua_http_static;

typedef struct skua_http_static_options {
    size_t size;         /* SKUA_HTTP_STATIC_OPTIONS sets it */
    const char *param;   /* of the route: its "*name"; default "path". Without it (a fallback) the
                            whole path counts */
    const char *index;   /* of a directory; default "index.html"; "": there is none */
    const char *control; /* Cache-Control of what is sent; NULL: nothing is said */
    unsigned hidden;     /* 1: also names that begin with '.' */
    unsigned links;      /* 1: links out of the directory are followed, too */
    unsigned encoded;    /* 1: NAME.br, NAME.zst or NAME.gz instead of NAME, the first of these that
                            is there and that the client takes */
} skua_http_static_options;

#define SKUA_HTTP_STATIC_OPTIONS(...)                                                              \
    (&(const skua_http_static_options){.size = sizeof(skua_http_static_options), __VA_ARGS__})

/* Makes a handler of a directory.
 *
 * ret        receives it, to be ended by skua_http_static_free; untouched on failure
 * root       copied
 * options    NULL: all defaults; its texts are copied
 * Returns    0; -ENOENT, -EACCES, -ENOTDIR …; -EINVAL; -ENOMEM; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_static_new(skua_http_static **ret, const char *root,
                                                 const skua_http_static_options *options);

/* Serves the directory: GET and HEAD; a directory without its slash is redirected to the name with
 * one; other methods get 405, what is not there, or no file, 404.
 *
 * files      a skua_http_static
 * Returns    as a handler
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_static_handler(skua_http_exchange *exchange, void *files);

/* Frees it when nobody uses it any more.
 *
 * files      NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_static_free(skua_http_static *files);

SKUA_C_END

#endif
