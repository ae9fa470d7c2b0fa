/* ws_deflate.c - messages that are compressed: permessage-deflate (RFC 7692), with zlib.
 *
 * Out        a message is deflated to an empty stored block (a sync flush), whose last four bytes
 *            "00 00 ff ff" are left out; it goes out as frames of what the buffer holds.
 * In         the four bytes are put back behind the last frame. Bytes come out only as far as the
 *            caller has room: a bomb meets message_max as any message.
 *            A stream may say that it ends, and another begins; each takes a copy of the window, so
 *            there may be some of them, and not as many as bytes.
 * Context    unless it was agreed otherwise, a message may refer to the 32 KiB before it.
 * Memory     zlib's, from when it is needed first; where each message stands alone, the sender's
 *            part lives for a message only.
 */
#include <stdio.h>

#include "http/ws/ws_impl.h"

#ifdef SKUA_HAVE_ZLIB
#include <zlib.h>

/* ---- agreeing -------------------------------------------------------------------------------- */

/* The parameters of one offer or answer. */
struct deflate_params {
    bool server_alone, client_alone;
    int server_bits, client_bits; /* 0: not said; -1: said without a value */
};

/* A word at *at, up to ';' or '='; its length without blanks. */
static size_t deflate_word(const char **at, const char *end, const char **word)
{
    const char *last;

    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    *word = *at;
    while (*at < end && **at != ';' && **at != '=')
        ++*at;
    for (last = *at; last > *word && (last[-1] == ' ' || last[-1] == '\t'); last--)
        ;
    return (size_t)(last - *word);
}

static bool deflate_is(const char *word, size_t len, const char *name)
{
    return len == strlen(name) && skua__http_same(word, name, len);
}

/* "10", or "\"10\"": 8 to 15; 0: it is not. */
static int deflate_bits(const char *word, size_t len)
{
    int64_t bits;

    if (len >= 2 && word[0] == '"' && word[len - 1] == '"') {
        word++;
        len -= 2;
    }
    bits = len != 0 && *word != '0' ? skua__http_number(word, len) : 0;
    return bits >= 8 && bits <= 15 ? (int)bits : 0;
}

/* One parameter; false: it is none of these, twice there, or malformed. */
static bool deflate_param(struct deflate_params *ret, const char *name, size_t name_len,
                          const char *value, size_t value_len)
{
    bool *alone = deflate_is(name, name_len, "server_no_context_takeover")   ? &ret->server_alone
                  : deflate_is(name, name_len, "client_no_context_takeover") ? &ret->client_alone
                                                                             : NULL;
    int *bits = deflate_is(name, name_len, "server_max_window_bits")   ? &ret->server_bits
                : deflate_is(name, name_len, "client_max_window_bits") ? &ret->client_bits
                                                                       : NULL;

    if (alone != NULL && !*alone && value == NULL) {
        *alone = true;
        return true;
    }
    if (bits == NULL || *bits != 0)
        return false;
    *bits = value == NULL ? -1 : deflate_bits(value, value_len);
    return *bits != 0;
}

/* An entry of the list; false: another extension, or one that cannot be. */
static bool deflate_read(struct deflate_params *ret, const char *at, size_t len)
{
    const char *end = at + len, *word, *value;
    size_t word_len = deflate_word(&at, end, &word);

    *ret = (struct deflate_params){.server_alone = false};
    if (!deflate_is(word, word_len, "permessage-deflate"))
        return false;
    while (at < end) {
        size_t value_len = 0;

        if (*at++ != ';')
            return false;
        word_len = deflate_word(&at, end, &word);
        value = NULL;
        if (at < end && *at == '=') {
            at++;
            value_len = deflate_word(&at, end, &value);
        }
        if (!deflate_param(ret, word, word_len, value, value_len))
            return false;
    }
    return true;
}

/* What a server says to an offer. */
static bool deflate_answer(struct skua__ws_deflate *ret, const skua_websocket_options *options,
                           const struct deflate_params *offer, char *text, size_t size)
{
    int bits = (int)options->deflate_bits;
    size_t len;

    if (offer->server_bits == 8 || offer->server_bits == -1)
        return false; /* zlib begins with 9 */
    ret->on = true;
    ret->send_alone = offer->server_alone || options->deflate_no_context;
    ret->recv_alone = offer->client_alone || options->deflate_no_context;
    ret->send_bits =
        (uint8_t)(offer->server_bits != 0 && offer->server_bits < bits ? offer->server_bits : bits);
    ret->recv_bits = 15;
    len = (size_t)snprintf(text, size, "permessage-deflate%s%s",
                           ret->send_alone ? "; server_no_context_takeover" : "",
                           ret->recv_alone ? "; client_no_context_takeover" : "");
    if (ret->send_bits < 15 || offer->server_bits != 0)
        len +=
            (size_t)snprintf(text + len, size - len, "; server_max_window_bits=%d", ret->send_bits);
    if (offer->client_bits != 0 && bits < 15 &&
        (offer->client_bits == -1 || offer->client_bits > bits)) {
        ret->recv_bits = (uint8_t)bits;
        (void)snprintf(text + len, size - len, "; client_max_window_bits=%d", bits);
    }
    return true;
}

bool skua__ws_deflate_accept(struct skua__ws_deflate *ret, const skua_websocket_options *options,
                             skua_http_exchange *exchange, char *text, size_t size)
{
    static const char name[] = "Sec-WebSocket-Extensions";
    const char *is, *value, *token;

    for (size_t i = 0; options->deflate && skua_http_header_at(exchange, i, &is, &value) != 0; i++)
        if (deflate_is(is, strlen(is), name)) {
            struct deflate_params offer;
            size_t len;

            while ((len = skua__ws_token(&value, &token)) != 0)
                if (deflate_read(&offer, token, len) &&
                    deflate_answer(ret, options, &offer, text, size))
                    return true;
        }
    return false;
}

void skua__ws_deflate_offer(const skua_websocket_options *options, char *text, size_t size)
{
    char bits[40] = "";

    *text = '\0';
    if (!options->deflate)
        return;
    if (options->deflate_bits < 15)
        (void)snprintf(bits, sizeof bits, "; server_max_window_bits=%u", options->deflate_bits);
    (void)snprintf(text, size, "permessage-deflate; client_max_window_bits%s%s", bits,
                   options->deflate_no_context
                       ? "; server_no_context_takeover; client_no_context_takeover"
                       : "");
}

bool skua__ws_deflate_agree(struct skua__ws_deflate *ret, const skua_websocket_options *options,
                            const char *answer)
{
    struct deflate_params params;
    const char *token;
    size_t len = skua__ws_token(&answer, &token);
    int most = (int)options->deflate_bits;

    if (!options->deflate || *answer != '\0' || !deflate_read(&params, token, len))
        return false;
    /* It may not give less than it was asked for, and zlib cannot send with 8. */
    if ((most < 15 && (params.server_bits <= 0 || params.server_bits > most)) ||
        params.server_bits == -1 || params.client_bits == -1 || params.client_bits == 8 ||
        (options->deflate_no_context && !params.server_alone))
        return false;
    ret->on = true;
    ret->send_alone = params.client_alone || options->deflate_no_context;
    ret->recv_alone = params.server_alone;
    ret->send_bits =
        (uint8_t)(params.client_bits != 0 && params.client_bits < most ? params.client_bits : most);
    ret->recv_bits = (uint8_t)(params.server_bits > 8 ? params.server_bits : 15);
    return true;
}

/* ---- zlib ------------------------------------------------------------------------------------ */

/* Of what is compressed; a frame. */
#define DEFLATE_OUT ((size_t)8192)
/* Of a sync flush, that is left out. */
#define DEFLATE_TAIL 4u
/* Streams that a message may end, and one more for so many bytes of it. */
#define DEFLATE_ENDS 16u
#define DEFLATE_END 1024u

struct skua__ws_zip {
    z_stream z;
    size_t len;    /* bytes in `out`; a sender's */
    uint64_t ends; /* of streams, in the message; a receiver's */
    uint8_t out[]; /* DEFLATE_OUT of them; a sender's */
};

static void *deflate_alloc(void *arg, unsigned count, unsigned size)
{
    (void)arg;
    return skua__http_raw((size_t)count * size); /* zlib's own products: they do not overflow */
}

static void deflate_free(void *arg, void *memory)
{
    (void)arg;
    skua__http_free(memory);
}

static struct skua__ws_zip *deflate_new(size_t out)
{
    struct skua__ws_zip *zip = skua__http_malloc(sizeof *zip + out);

    if (zip != NULL) {
        zip->z.zalloc = deflate_alloc;
        zip->z.zfree = deflate_free;
    }
    return zip;
}

/* ---- in -------------------------------------------------------------------------------------- */

static int deflate_unzipper(skua_websocket *ws)
{
    struct skua__ws_zip *zip;

    if (ws->unzip != NULL)
        return 0;
    zip = deflate_new(0);
    if (zip == NULL || inflateInit2(&zip->z, -(int)ws->deflate.recv_bits) != Z_OK) {
        skua__http_free(zip);
        return -ENOMEM;
    }
    ws->unzip = zip;
    return 0;
}

/* Whether the message may end one more stream. */
static bool deflate_may_end(const skua_websocket *ws)
{
    return ++ws->unzip->ends <= DEFLATE_ENDS + ws->frames_len / DEFLATE_END;
}

/* The stream has said that it ends, in the middle of a message or of all (RFC 7692, 7.2.3.5): the
 * next block begins, and may refer to what was. */
static int deflate_again(z_stream *z)
{
    unsigned len = 32768;
    uint8_t *window = skua__http_raw(len);
    int rc = -ENOMEM;

    if (window != NULL && inflateGetDictionary(z, window, &len) == Z_OK && inflateReset(z) == Z_OK)
        rc = len == 0 || inflateSetDictionary(z, window, len) == Z_OK ? 0 : -EBADMSG;
    skua__http_free(window);
    return rc;
}

/* More input for zlib; false: there is none, or not yet. */
static bool deflate_feed(skua_websocket *ws, z_stream *z)
{
    static const uint8_t tail[DEFLATE_TAIL] = {0x00, 0x00, 0xff, 0xff};

    if (z->avail_in != 0)
        return true;
    if (ws->chunk_len != 0) {
        z->next_in = (uint8_t *)(uintptr_t)ws->chunk;
        z->avail_in = (unsigned)ws->chunk_len; /* of a buffer of 4 KiB */
        ws->chunk_len = 0;
    } else if (ws->last && !ws->tail) {
        z->next_in = (uint8_t *)(uintptr_t)tail;
        z->avail_in = sizeof tail;
        ws->tail = true;
    }
    return z->avail_in != 0;
}

ssize_t skua__ws_unzip(skua_websocket *ws, void *buf, size_t len)
{
    int rc = deflate_unzipper(ws);
    z_stream *z;
    bool more;

    if (rc != 0)
        return rc;
    z = &ws->unzip->z;
    z->next_out = buf;
    z->avail_out = len < UINT32_MAX ? (unsigned)len : UINT32_MAX;
    do {
        unsigned room = z->avail_out;

        more = deflate_feed(ws, z);
        rc = inflate(z, Z_SYNC_FLUSH);
        if (rc == Z_STREAM_END)
            rc = deflate_may_end(ws) ? deflate_again(z) : -EBADMSG;
        else
            rc = rc == Z_OK || rc == Z_BUF_ERROR ? 0 : rc == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
        if (rc != -ENOMEM && z->avail_out != room)
            return (ssize_t)(room - z->avail_out); /* what is wrong behind it zlib says again */
        if (rc != 0)
            return rc;
    } while (more);
    return 0;
}

void skua__ws_unzip_end(skua_websocket *ws)
{
    if (ws->unzip == NULL)
        return;
    ws->unzip->ends = 0;
    if (ws->deflate.recv_alone)
        (void)inflateReset(&ws->unzip->z);
}

/* ---- out ------------------------------------------------------------------------------------- */

static int deflate_zipper(skua_websocket *ws)
{
    struct skua__ws_zip *zip;

    if (ws->zip != NULL)
        return 0;
    zip = deflate_new(DEFLATE_OUT);
    if (zip == NULL || deflateInit2(&zip->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                                    -(int)ws->deflate.send_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        skua__http_free(zip);
        return -ENOMEM;
    }
    ws->zip = zip;
    return 0;
}

static void deflate_end(skua_websocket *ws)
{
    if (ws->zip != NULL)
        (void)deflateEnd(&ws->zip->z);
    skua__http_free(ws->zip);
    ws->zip = NULL;
}

/* A frame of what there is, but for the last `keep` bytes. */
static int deflate_frame(skua_websocket *ws, uint8_t *opcode, size_t keep, bool fin)
{
    struct skua__ws_zip *zip = ws->zip;
    uint8_t rsv = *opcode != WSLAY_CONTINUATION_FRAME ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE;
    int rc = skua__ws_frame(ws, *opcode, rsv, fin, zip->out, zip->len - keep);

    *opcode = WSLAY_CONTINUATION_FRAME;
    memmove(zip->out, zip->out + zip->len - keep, keep);
    zip->len = keep;
    return rc;
}

/* Deflates all of it, to a flush; full buffers go out, but for what may be the tail. */
static int deflate_run(skua_websocket *ws, uint8_t *opcode, const void *data, size_t len)
{
    struct skua__ws_zip *zip = ws->zip;
    z_stream *z = &zip->z;
    int rc = 0;

    z->next_in = (uint8_t *)(uintptr_t)data;
    do {
        unsigned part = len < UINT32_MAX ? (unsigned)len : UINT32_MAX;

        len -= part;
        z->avail_in = part;
        do {
            if (zip->len == DEFLATE_OUT)
                rc = deflate_frame(ws, opcode, DEFLATE_TAIL, false);
            z->next_out = zip->out + zip->len;
            z->avail_out = (unsigned)(DEFLATE_OUT - zip->len);
            (void)deflate(z, len != 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH); /* or nothing is to be done */
            zip->len = DEFLATE_OUT - z->avail_out;
        } while (rc == 0 && z->avail_out == 0);
    } while (rc == 0 && len != 0);
    return rc;
}

int skua__ws_zip_send(skua_websocket *ws, uint8_t opcode, const void *data, size_t len, bool last)
{
    int rc = deflate_zipper(ws);

    if (rc == 0)
        rc = deflate_run(ws, &opcode, data, len);
    if (rc == 0 && last && ws->zip->len < DEFLATE_TAIL) {
        ws->zip->out[0] = 0; /* nothing was left to flush: an empty block, without its tail */
        ws->zip->len = 1;
        rc = deflate_frame(ws, &opcode, 0, true);
    } else if (rc == 0 && last) {
        rc = deflate_frame(ws, &opcode, DEFLATE_TAIL, true);
    } else if (rc == 0) {
        rc = deflate_frame(ws, &opcode, 0, false);
    }
    if (ws->zip != NULL)
        ws->zip->len = 0;
    /* Of what was not sent nothing may be referred to. */
    if (rc != 0 || (last && ws->deflate.send_alone))
        deflate_end(ws);
    return rc;
}

void skua__ws_zip_free(skua_websocket *ws)
{
    deflate_end(ws);
    if (ws->unzip != NULL)
        (void)inflateEnd(&ws->unzip->z);
    skua__http_free(ws->unzip);
}

#undef DEFLATE_OUT
#undef DEFLATE_TAIL
#undef DEFLATE_ENDS
#undef DEFLATE_END

#else /* nothing is ever agreed on, so nothing is ever compressed */

bool skua__ws_deflate_accept(struct skua__ws_deflate *ret, const skua_websocket_options *options,
                             skua_http_exchange *exchange, char *text, size_t size)
{
    (void)ret;
    (void)options;
    (void)exchange;
    (void)text;
    (void)size;
    return false;
}

void skua__ws_deflate_offer(const skua_websocket_options *options, char *text, size_t size)
{
    (void)options;
    (void)size;
    *text = '\0';
}

bool skua__ws_deflate_agree(struct skua__ws_deflate *ret, const skua_websocket_options *options,
                            const char *answer)
{
    (void)ret;
    (void)options;
    (void)answer;
    return false;
}

ssize_t skua__ws_unzip(skua_websocket *ws, void *buf, size_t len)
{
    (void)ws;
    (void)buf;
    (void)len;
    return -EBADMSG;
}

void skua__ws_unzip_end(skua_websocket *ws)
{
    (void)ws;
}

int skua__ws_zip_send(skua_websocket *ws, uint8_t opcode, const void *data, size_t len, bool last)
{
    (void)ws;
    (void)opcode;
    (void)data;
    (void)len;
    (void)last;
    return -ENOSYS;
}

void skua__ws_zip_free(skua_websocket *ws)
{
    (void)ws;
}

#endif
