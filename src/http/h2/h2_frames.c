/* h2_frames.c - frames as they come: looked at before nghttp2 is, which says nothing of many.
 *
 * Each is handed to nghttp2 with all before it done, so that we know the streams as they are.
 * Budgets    a peer has two, which fill up by and by:
 *              frames   PING, SETTINGS, PRIORITY, WINDOW_UPDATE, DATA without data, kinds that
 *                       nobody knows: each takes one, each request and each piece of a body in
 *                       either direction gives two back. What goes with the traffic is free, and
 *                       what goes alone has a rate
 *              resets   a request that was opened and thrown away again, by either side's
 *                       RST_STREAM: it costs us the most ("rapid reset"; the peer can make us
 *                       reset, too, by frames that are wrong)
 *            Who has used up a budget is told ENHANCE_YOUR_CALM, and the connection ends.
 * Strays     frames for streams that have ended. When we have reset it that is how it must be,
 *            since the peer may not know yet: nghttp2 ignores them. Else they break the protocol
 *            (RFC 9113, 5.1 and 5.1.1), and the connection ends.
 *
 * Sources: CVE-2023-44487, CVE-2025-8671, CVE-2019-9511 to 9518, CVE-2024-27316; nghttp2's rate of
 * resets.
 */
#include "http/h2/h2_impl.h"

#define FRAMES_CALM_FRAMES ((int64_t)10000)
#define FRAMES_CALM_FRAMES_SECOND ((int64_t)1000)
#define FRAMES_CALM_RESETS ((int64_t)1000)
#define FRAMES_CALM_RESETS_SECOND ((int64_t)50)
/* CONTINUATIONs that one head may have. */
#define FRAMES_OF_HEAD 64u
#define FRAMES_HEAD 9u
#define FRAMES_PREFACE 24u

/* ---- budgets --------------------------------------------------------------------------------- */

static int64_t frames_fill(int64_t left, int64_t passed, int64_t second, int64_t most)
{
    int64_t more = passed / SKUA_MILLISECOND * second / 1000;

    return more < most - left ? left + more : most;
}

/* Only where a budget has run out: the clock is not asked for each frame. */
static void frames_refill(struct skua__h2 *h2)
{
    int64_t now = skua_now();
    int64_t passed = now - h2->calm_at;

    if (passed < SKUA_SECOND / 10)
        return;
    if (passed > SKUA_MINUTE)
        passed = SKUA_MINUTE;
    h2->calm = frames_fill(h2->calm, passed, FRAMES_CALM_FRAMES_SECOND, FRAMES_CALM_FRAMES);
    h2->resets = frames_fill(h2->resets, passed, FRAMES_CALM_RESETS_SECOND, FRAMES_CALM_RESETS);
    h2->calm_at = now;
}

static bool frames_spend(struct skua__h2 *h2, int64_t *budget)
{
    if (*budget > 0) {
        *budget -= 1;
        return true;
    }
    frames_refill(h2);
    *budget -= 1;
    return *budget >= 0;
}

bool skua__h2_calm_frame(struct skua__h2 *h2)
{
    return frames_spend(h2, &h2->calm);
}

bool skua__h2_calm_reset(struct skua__h2 *h2)
{
    return frames_spend(h2, &h2->resets);
}

void skua__h2_calm_worth(struct skua__h2 *h2)
{
    if (h2->calm < FRAMES_CALM_FRAMES - 2)
        h2->calm += 2;
}

/* ---- one frame ------------------------------------------------------------------------------- */

void skua__h2_flooded(struct skua__h2 *h2)
{
    (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void frames_stray(struct skua__h2 *h2, int32_t id, uint8_t type)
{
    uint32_t code = type == NGHTTP2_HEADERS ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;

    for (unsigned i = 0; i < SKUA__H2_PAST; i++) {
        if (h2->past[i] == -id)
            return;
        if (h2->past[i] == id)
            code = NGHTTP2_STREAM_CLOSED;
    }
    if (code != NGHTTP2_NO_ERROR) /* an old one's DATA is not read, and that is all */
        (void)nghttp2_session_terminate_session(h2->session, code);
}

/* The head of one has come. */
static void frames_begin(struct skua__h2 *h2)
{
    const uint8_t *head = h2->frame;
    uint32_t len = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
    uint8_t type = head[3];
    int32_t id = (int32_t)((uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
                           (uint32_t)head[7] << 8 | head[8]);
    bool worthless = type != NGHTTP2_HEADERS && type != NGHTTP2_CONTINUATION &&
                     type != NGHTTP2_RST_STREAM && type != NGHTTP2_GOAWAY &&
                     (type != NGHTTP2_DATA || len == 0);

    h2->frame_left = len;
    h2->frame_len = 0;
    h2->head_ends = (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) &&
                    (head[4] & NGHTTP2_FLAG_END_HEADERS) != 0;
    if (type != NGHTTP2_CONTINUATION) {
        h2->in_head = type == NGHTTP2_HEADERS;
        h2->head_frames = 0;
        if (h2->in_head)
            h2->head_began = skua_now();
    } else if (++h2->head_frames > FRAMES_OF_HEAD) {
        skua__h2_flooded(h2);
    }
    if (len == 0 && h2->head_ends)
        h2->in_head = false;
    if (h2->setup.server && (type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) && id % 2 != 0 &&
        id <= h2->opened && nghttp2_session_get_stream_user_data(h2->session, id) == NULL)
        frames_stray(h2, id, type);
    if (worthless && !skua__h2_calm_frame(h2))
        skua__h2_flooded(h2);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static ssize_t frames_feed(struct skua__h2 *h2, const char *bytes, size_t len)
{
    return len != 0 ? nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes, len) : 0;
}

/* Under the mutex: 0 or nghttp2's error. */
static ssize_t frames_take(struct skua__h2 *h2, const char *bytes, size_t len)
{
    const char *from = bytes; /* what nghttp2 has not got yet */
    const char *end = bytes + len;
    ssize_t n = 0;

    while (bytes < end && n >= 0) {
        size_t part = (size_t)(end - bytes);

        if (h2->frame_left != 0) { /* of the preface, or of a frame */
            part = part < h2->frame_left ? part : h2->frame_left;
            h2->frame_left -= (uint32_t)part;
            bytes += part;
            if (h2->frame_left == 0 && h2->head_ends) /* whatever nghttp2 makes of it */
                h2->in_head = false;
            continue;
        }
        if (h2->frame_len == 0) { /* all before it is done, when its head is looked at */
            n = frames_feed(h2, from, (size_t)(bytes - from));
            from = bytes;
        }
        h2->frame[h2->frame_len++] = (uint8_t)*bytes++;
        if (h2->frame_len == FRAMES_HEAD)
            frames_begin(h2);
    }
    return n >= 0 ? frames_feed(h2, from, (size_t)(end - from)) : n;
}

void skua__h2_frames_begin(struct skua__h2 *h2)
{
    h2->calm = FRAMES_CALM_FRAMES;
    h2->resets = FRAMES_CALM_RESETS;
    h2->calm_at = skua_now();
    h2->frame_left = h2->setup.server ? FRAMES_PREFACE : 0;
}

int skua__h2_feed(struct skua__h2 *h2, const char *bytes, size_t len)
{
    ssize_t n;
    int rc;

    pthread_mutex_lock(&h2->mutex);
    n = frames_take(h2, bytes, len);
    if (n < 0) {
        /* All that is left are nghttp2's own limits: of answers that wait, of a head's frames. */
        (void)nghttp2_session_terminate_session(
            h2->session, n == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR
                         : n == NGHTTP2_ERR_NOMEM          ? NGHTTP2_INTERNAL_ERROR
                                                           : NGHTTP2_ENHANCE_YOUR_CALM);
        skua__h2_fail(h2, n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EBADMSG);
    }
    if (nghttp2_session_want_write(h2->session) != 0)
        h2->dirty = true;
    rc = h2->error;
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

#undef FRAMES_CALM_FRAMES
#undef FRAMES_CALM_FRAMES_SECOND
#undef FRAMES_CALM_RESETS
#undef FRAMES_CALM_RESETS_SECOND
#undef FRAMES_OF_HEAD
#undef FRAMES_HEAD
#undef FRAMES_PREFACE
