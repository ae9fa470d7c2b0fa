/* group.c - which member of a group is asked, and what is learned from how that went.
 *
 * Two things take a member out: its breaker (half of its last answers were failures; after a while
 * one request is let through to see), and the health check, if there is one. Among the others the
 * one with the fewest requests under way is asked, of all or of two that chance picks: what is slow
 * has more of them under way, and so gets fewer (Mitzenmacher, "The Power of Two Choices").
 */
#include <stdio.h>
#include <string.h>

#include "gateway.h"

int group_open(struct group *group)
{
    int rc = skua_http_client_new(
        &group->client,
        SKUA_HTTP_CLIENT_OPTIONS(.connections_max = (size_t)group->connections * group->count,
                                 .connections_per_origin = (size_t)group->connections,
                                 .redirects_max = -1, .connect_timeout = group->connect,
                                 .head_timeout = group->timeout, .read_timeout = group->idle,
                                 .write_timeout = group->idle, .user_agent = "", .decompress = -1));

    for (unsigned i = 0; rc == 0 && i < group->count; i++)
        rc = skua_breaker_init(
            &group->members[i].breaker,
            SKUA_BREAKER_OPTIONS(.minimum = (uint64_t)group->breaker_minimum,
                                 .failure_percent = (unsigned)group->breaker_percent,
                                 .open = group->breaker_open));
    if (rc != 0)
        return rc;
    return skua_retry_budget_init(
        &group->budget,
        SKUA_RETRY_BUDGET_OPTIONS(.percent =
                                      group->retry_percent == 0 ? -1 : (int)group->retry_percent,
                                  .min_per_second = group->retry_percent == 0 ? -1 : 0));
}

void group_close(struct group *group)
{
    if (group->client != NULL)
        (void)skua_http_client_free(group->client);
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* A number that the one before does not tell (splitmix64). */
static uint64_t group_chance(struct group *group)
{
    uint64_t z =
        atomic_fetch_add_explicit(&group->turn, UINT64_C(0x9e3779b97f4a7c15), memory_order_relaxed);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t group_load(const struct group *group, unsigned i)
{
    return atomic_load_explicit(&group->members[i].running, memory_order_relaxed);
}

/* The index of the n-th bit that is set. */
static unsigned group_bit(unsigned bits, unsigned n)
{
    while (n-- != 0)
        bits &= bits - 1;
    return (unsigned)__builtin_ctz(bits);
}

/* One of those whose bits are set; there is one. */
static unsigned group_pick(struct group *group, unsigned bits)
{
    unsigned left = (unsigned)__builtin_popcount(bits);
    uint64_t chance = group_chance(group);
    unsigned best = group_bit(bits, (unsigned)(chance % left));
    unsigned asked = group->balance == BALANCE_LEAST ? left : 2;

    for (unsigned i = 1; i < asked && left > 1; i++) {
        /* The next ones in turn; of two, the second is any other. */
        unsigned step =
            group->balance == BALANCE_LEAST ? i : 1 + (unsigned)((chance >> 32) % (left - 1));
        unsigned other = group_bit(bits, (unsigned)((chance % left + step) % left));

        if (group_load(group, other) < group_load(group, best))
            best = other;
    }
    return best;
}

int group_choose(struct group *group, unsigned tried, struct choice *ret)
{
    unsigned bits = ((1u << group->count) - 1) & ~tried;

    for (unsigned i = 0; i < group->count; i++)
        if (atomic_load_explicit(&group->members[i].down, memory_order_relaxed))
            bits &= ~(1u << i);
    while (bits != 0) {
        unsigned i = group_pick(group, bits);

        bits &= ~(1u << i);
        ret->member = &group->members[i];
        ret->bit = 1u << i;
        if (skua_breaker_enter(&ret->member->breaker, &ret->ticket) != 0)
            continue;
        count_one(&ret->member->running);
        count_one(&ret->member->requests);
        return 0;
    }
    return -EAGAIN;
}

int64_t group_retry_after(const struct group *group)
{
    int64_t least = SKUA_SECOND;

    for (unsigned i = 0; i < group->count; i++) {
        int64_t after = skua_breaker_retry_after(&group->members[i].breaker);

        if (i == 0 || after < least)
            least = after;
    }
    return least;
}

/* ---- judging --------------------------------------------------------------------------------- */

void choice_judge(struct choice *choice, int rc)
{
    if (rc < 0 && rc != -ECANCELED)
        count_one(&choice->member->failures);
    (void)skua_breaker_leave(&choice->member->breaker, &choice->ticket, rc);
}

/* One more call, which has failed. */
void choice_blame(struct choice *choice)
{
    count_one(&choice->member->failures);
    if (skua_breaker_enter(&choice->member->breaker, &choice->ticket) == 0)
        (void)skua_breaker_leave(&choice->member->breaker, &choice->ticket, -EIO);
}

void choice_end(struct choice *choice)
{
    atomic_fetch_sub_explicit(&choice->member->running, 1, memory_order_relaxed);
}
