/* 12_fan_out_fan_in.c - asks many at once, looks at the answers as they come, and stops asking when
 * one of them is good enough.
 *
 *     cc 12_fan_out_fan_in.c -lskua && ./a.out
 */
#include <stdio.h>

#include <skua/skua.h>

enum { SHOPS = 8, BUDGET = 50 };

struct request {
    int shop;
    int price; /* the answer */
};

/* Stands for a question over the network. */
static int ask(void *arg)
{
    struct request *request = arg;
    int rc = skua_sleep((1 + request->shop * 5 % SHOPS) * 10 * SKUA_MILLISECOND);

    if (rc != 0)
        return rc; /* -ECANCELED: nobody wants to know any more */
    if (request->shop == 5)
        return SKUA_ECLOSED;
    request->price = 90 - request->shop * 10;
    return 0;
}

/* Takes answers until one is good enough; the number of the shop, or a negative code. */
static int first_good(skua_join_set *set, const struct request *requests)
{
    skua_joined joined;
    int rc;

    while ((rc = skua_join_set_next(set, &joined)) == 1) {
        const struct request *request = &requests[joined.tag];

        if (joined.result != 0) {
            printf("shop %d: %s\n", request->shop, skua_strerror(joined.result));
            continue;
        }
        printf("shop %d: %d\n", request->shop, request->price);
        if (request->price <= BUDGET)
            return request->shop;
    }
    return rc != 0 ? rc : SKUA_EEOF; /* all have answered, and none was good */
}

static int app(void *arg)
{
    struct request requests[SHOPS];
    skua_join_set *set;
    int rc = skua_join_set_open(&set, NULL, NULL);

    (void)arg;
    if (rc != 0)
        return rc;
    for (int i = 0; rc == 0 && i < SHOPS; i++) {
        requests[i] = (struct request){.shop = i};
        rc = skua_join_set_spawn_tagged(set, (uint64_t)i, ask, &requests[i], .name = "ask");
    }
    if (rc == 0)
        rc = first_good(set, requests);
    if (rc >= 0)
        printf("shop %d it is; %zu are not asked any further\n", rc, skua_join_set_len(set));
    skua_join_set_close(set); /* cancels them, and waits: their requests are in this frame */
    return rc >= 0 ? 0 : rc;
}

int main(void)
{
    return skua_main(app, NULL, SKUA_RUNTIME_OPTIONS(.name = "fan"));
}
