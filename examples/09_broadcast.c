/* 09_broadcast.c - one publishes, many listen: broadcast for every message, watch for the newest.
 *
 * Each listener has a receiver of its own and gets every price, in order; one that is too slow is
 * told how many it missed, and goes on with what is still there. Of the headlines the newest is
 * enough for whoever looks: a watch keeps one. Listeners end when the sender is closed. */
#include <skua/skua.h>

#include <stdio.h>

enum { HEADLINE = 32 };

struct listener {
    const char *name;
    int64_t takes; /* for each price */
    skua_broadcast_receiver *prices;
    skua_watch_receiver *headline;
};

static int listens(void *arg)
{
    struct listener *self = arg;
    int price, sum = 0, missed = 0, rc;
    char headline[HEADLINE];

    while ((rc = skua_broadcast_recv(self->prices, &price)) == 0 || rc == SKUA_ELAGGED) {
        if (rc == SKUA_ELAGGED)
            missed += (int)skua_broadcast_lag(self->prices);
        else
            sum += price;
        if (rc == 0 && (rc = skua_sleep(self->takes)) < 0)
            break;
    }
    skua_watch_borrow(self->headline, headline);
    printf("%s: %d prices missed, the others add up to %d; \"%s\"\n", self->name, missed, sum,
           headline);
    skua_broadcast_receiver_close(self->prices);
    skua_watch_receiver_close(self->headline);
    return rc == SKUA_ECLOSED ? 0 : rc;
}

static void publish(skua_broadcast_sender *prices, skua_watch_sender *headline)
{
    char text[HEADLINE];

    for (int price = 1; price <= 100 && skua_sleep(SKUA_MILLISECOND) == 0; price++) {
        skua_broadcast_send(prices, &price); /* never waits for a listener */
        snprintf(text, sizeof text, "the price is %d", price);
        skua_watch_send(headline, text);
    }
    skua_broadcast_sender_close(prices);
    skua_watch_sender_close(headline);
}

static int app(void *arg)
{
    struct listener quick = {.name = "quick", .takes = 0};
    struct listener slow = {.name = "slow", .takes = 10 * SKUA_MILLISECOND};
    const char nothing[HEADLINE] = "no news";
    skua_broadcast_sender *prices;
    skua_watch_sender *headline;
    skua_scope scope;
    int rc;

    (void)arg;
    if ((rc = skua_broadcast_new(&prices, sizeof(int), 16)) < 0 ||
        (rc = skua_broadcast_subscribe(prices, &quick.prices)) < 0 ||
        (rc = skua_broadcast_subscribe(prices, &slow.prices)) < 0 ||
        (rc = skua_watch_new(&headline, &quick.headline, HEADLINE, nothing)) < 0 ||
        (rc = skua_watch_subscribe(headline, &slow.headline)) < 0)
        return rc;
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    skua_spawn(&scope, listens, &quick);
    skua_spawn(&scope, listens, &slow);
    publish(prices, headline);
    return skua_scope_join(&scope);
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
