/* h2_calm.c - floods: frames that cost us something, and bring nothing.
 *
 * A peer has two budgets, which fill up by and by:
 *
 *   frames   PING, SETTINGS, PRIORITY, WINDOW_UPDATE, DATA without data, kinds that nobody knows:
 *            each takes one, each request and each piece of a body in either direction gives two
 *            back. So what goes with the traffic is free, and what goes alone has a rate.
 *   resets   a request that was opened and thrown away again, by either side's RST_STREAM: it costs
 *            us the most ("rapid reset"; the peer can make us reset, too, by frames that are wrong).
 *
 * Who has used up a budget is told ENHANCE_YOUR_CALM, and the connection ends.
 *
 * Sources: CVE-2023-44487, CVE-2025-8671, CVE-2019-9511 to 9518; nghttp2's rate of resets.
 */
#include "http/h2/h2_impl.h"

#define CALM_FRAMES ((int64_t)10000)
#define CALM_FRAMES_SECOND ((int64_t)1000)
#define CALM_RESETS ((int64_t)1000)
#define CALM_RESETS_SECOND ((int64_t)50)

static int64_t calm_fill(int64_t left, int64_t passed, int64_t second, int64_t most)
{
    int64_t more = passed / SKUA_MILLISECOND * second / 1000;

    return more < most - left ? left + more : most;
}

void skua__h2_calm_begin(struct skua__h2 *h2)
{
    h2->calm = CALM_FRAMES;
    h2->resets = CALM_RESETS;
    h2->calm_at = skua_now();
}

/* Only where a budget has run out: the clock is not asked for each frame. */
static void calm_refill(struct skua__h2 *h2)
{
    int64_t now = skua_now();
    int64_t passed = now - h2->calm_at;

    if (passed < SKUA_SECOND / 10)
        return;
    if (passed > SKUA_MINUTE)
        passed = SKUA_MINUTE;
    h2->calm = calm_fill(h2->calm, passed, CALM_FRAMES_SECOND, CALM_FRAMES);
    h2->resets = calm_fill(h2->resets, passed, CALM_RESETS_SECOND, CALM_RESETS);
    h2->calm_at = now;
}

static bool calm_take(struct skua__h2 *h2, int64_t *budget)
{
    if (*budget > 0) {
        *budget -= 1;
        return true;
    }
    calm_refill(h2);
    *budget -= 1;
    return *budget >= 0;
}

bool skua__h2_calm_frame(struct skua__h2 *h2)
{
    return calm_take(h2, &h2->calm);
}

bool skua__h2_calm_reset(struct skua__h2 *h2)
{
    return calm_take(h2, &h2->resets);
}

void skua__h2_calm_worth(struct skua__h2 *h2)
{
    if (h2->calm < CALM_FRAMES - 2)
        h2->calm += 2;
}

#undef CALM_FRAMES
#undef CALM_FRAMES_SECOND
#undef CALM_RESETS
#undef CALM_RESETS_SECOND
