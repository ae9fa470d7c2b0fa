/* compress.h - bodies that are coded: gzip, deflate, br and zstd; as layers of layer.h.
 *
 *     skua_http_compress compress = SKUA_HTTP_COMPRESS(.min = 2048);
 *     skua_http_layer around[] = {{skua_http_log_layer, &log},
 *                                 {skua_http_compress_layer, &compress},
 *                                 {skua_http_decompress_layer, NULL}};
 *     skua_http_chain app = SKUA_HTTP_CHAIN(around, skua_http_router_handler, router);
 *
 * Which codings there are depends on the libraries that libskua-http was built with: zlib, brotli,
 * zstd. Without any of them the layers do nothing, but that a coded request is refused.
 *
 * Order      the compressing layer stands inside of the log, which then sees how much was sent, and
 *            outside of whatever answers; outside of error pages, too, if these are to be coded.
 * Tags       a body that is coded is another one, byte by byte: a strong ETag becomes a weak one.
 *            If-None-Match still works (it compares weakly); If-Match and If-Range, which need a
 *            strong one, do not hold for a tag from a coded response: the client that asks for it
 *            uncoded can have both.
 * Secrets    a response that has both a secret (a token against forged requests) and something that
 *            the client's request has put into it, tells by its coded length how alike they are
 *            (BREACH). Such routes stand outside of the layer, or mask the secret anew each time,
 *            or say "Cache-Control: no-transform".
 * Memory     of a response that is coded: for each coder as much as its window, which is no bigger
 *            than the body if its length is known: gzip 256 KiB, br and zstd some MiB at most.
 *
 * Source     RFC 9110 (8.4, 8.8.1, 12.5.3), RFC 9659; nginx, tower-http's Compression, Caddy.
 */
#ifndef SKUA_HTTP_COMPRESS_H
#define SKUA_HTTP_COMPRESS_H

#include <skua/http/layer.h>

SKUA_C_BEGIN

/* In the caller's memory; it does not change while it is used. Zero is a default. */
typedef struct skua_http_compress {
    size_t size;         /* SKUA_HTTP_COMPRESS sets it */
    const char *codings; /* which, of the equally welcome the first; NULL: "br, zstd, gzip" */
    const char *types; /* of bodies: "text/html, text/" "*, *+json"; NULL: texts, JSON, JavaScript,
                          XML, WebAssembly, fonts that are not coded already. Not event streams:
                          each would keep its coder's memory; where they are named here, an event
                          still arrives at once */
    int64_t min;       /* bytes, if the length is known; less is not coded; default 1024 */
    int gzip_level;    /* 1 to 9; default 6; of deflate, too */
    int br_level;      /* 2 to 11; default 4 */
    int zstd_level;    /* 1 to 19; default 3 */
} skua_http_compress;

#define SKUA_HTTP_COMPRESS(...)                                                                    \
    {                                                                                              \
        .size = sizeof(skua_http_compress), __VA_ARGS__                                            \
    }

/* Codes the bodies of responses as the client likes them best (Accept-Encoding): of the types that
 * gain by it, and not too short ones; streams, too, of which what was flushed can be decoded. Such
 * a response says Content-Encoding and "Vary: Accept-Encoding", and no Content-Length. Left as they
 * are: those with a Content-Encoding, a Content-Range or a digest; "Cache-Control: no-transform";
 * 206. A client that takes no coding that there is, and has ruled out a body as it is
 * ("identity;q=0"), gets 406; where it is coded to please it, type and length do not count.
 *
 * A response for which there is no memory to code it is sent as it is.
 *
 * compress   a skua_http_compress; NULL: all defaults
 * Returns    as skua_http_layer_fn; SKUA_EUSAGE: the struct is wrong
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_compress_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                      void *compress);

/* Decodes the bodies of requests: what the rest reads, and all limits on it, is decoded, and the
 * request has neither Content-Encoding nor Content-Length then. A coding that is not known, or more
 * than three in a row: 415, which says in Accept-Encoding what is; malformed names: 400.
 *
 * Reading a body that is malformed or cut short fails with -EBADMSG (400), one that is longer than
 * it may be with SKUA_ELIMIT (413), and no more is decoded than that. The limit holds for the coded
 * bytes, too, with a few more. Without a limit (body_max -1) what is read is the rest's to bound.
 *
 * state      not used
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 *
 * Source     RFC 9110, 15.5.16
 */
SKUA_API int skua_http_decompress_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                        void *state);

SKUA_C_END

#endif
