/* web_rates.c - how often each client asks: a table of rate limiters, by key.
 *
 * Table      all entries are made at the beginning; a key is found by its hash, in chains; the
 *            entries are in a ring by their last use. One more than there is room takes the place
 *            of who asked longest ago. So a flood of keys costs no memory, and no time.
 * Keys       are compared by 64 bits of a hash with a secret (SipHash-2-4), which a client cannot
 *            aim at: two keys with the same bits would share a rate.
 * Lock       guards everything; held for a few instructions.
 *
 * Source: Aumasson and Bernstein's SipHash (2012).
 */
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

#include <skua/http/middleware.h>

#include "http/web/web_impl.h"

#define RATES_KEYS ((size_t)10000)
#define RATES_KEYS_MAX ((size_t)1 << 24)

struct rates_entry {
    uint64_t hash;
    uint32_t chain;        /* the next with the bucket, + 1; 0: none */
    uint32_t newer, older; /* in the order of use, + 1; 0: none */
    skua_rate_limiter limiter;
};

struct skua_http_rates {
    skua_http_rates_options options; /* constant */
    uint64_t secret[2];              /* constant */
    pthread_mutex_t mutex;           /* guards the rest */
    struct rates_entry *entries;
    uint32_t *buckets; /* entries + 1; 0: empty */
    size_t mask;       /* of buckets */
    uint32_t count;    /* entries in use */
    uint32_t newest, oldest;
};

/* ---- the hash -------------------------------------------------------------------------------- */

static uint64_t rates_left(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

static void rates_round(uint64_t v[4], unsigned times)
{
    while (times-- != 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rates_left(v[1], 13) ^ v[0];
        v[3] = rates_left(v[3], 16) ^ v[2];
        v[0] = rates_left(v[0], 32) + v[3];
        v[2] += v[1];
        v[3] = rates_left(v[3], 21) ^ v[0];
        v[1] = rates_left(v[1], 17) ^ v[2];
        v[2] = rates_left(v[2], 32);
    }
}

static uint64_t rates_hash(const uint64_t secret[2], const char *key, size_t len)
{
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                     secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    uint64_t last = (uint64_t)len << 56;
    uint64_t word;

    for (; len >= 8; len -= 8, key += 8) {
        memcpy(&word, key, 8);
        v[3] ^= word;
        rates_round(v, 2);
        v[0] ^= word;
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)(unsigned char)key[i] << (8 * i);
    v[3] ^= last;
    rates_round(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    rates_round(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the table ------------------------------------------------------------------------------- */

static int rates_limiter(const skua_http_rates_options *options, skua_rate_limiter *limiter)
{
    return skua_rate_limiter_init(limiter, SKUA_RATE_LIMITER_OPTIONS(.rate = options->rate,
                                                                     .period = options->period,
                                                                     .burst = options->burst));
}

int skua_http_rates_new(skua_http_rates **ret, const skua_http_rates_options *given)
{
    skua_http_rates *rates;
    skua_rate_limiter probe;
    size_t buckets = 16;

    if (given == NULL || given->size != sizeof *given || given->keys > RATES_KEYS_MAX ||
        rates_limiter(given, &probe) != 0)
        return -EINVAL;
    rates = skua__http_malloc(sizeof *rates);
    if (rates == NULL)
        return -ENOMEM;
    rates->options = *given;
    if (rates->options.keys == 0)
        rates->options.keys = RATES_KEYS;
    while (buckets < rates->options.keys)
        buckets *= 2;
    rates->mask = buckets - 1;
    rates->entries = skua__http_malloc(rates->options.keys * sizeof *rates->entries);
    rates->buckets = skua__http_malloc(buckets * sizeof *rates->buckets);
    if (rates->entries == NULL || rates->buckets == NULL ||
        getentropy(rates->secret, sizeof rates->secret) != 0) {
        skua__http_free(rates->entries);
        skua__http_free(rates->buckets);
        skua__http_free(rates);
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&rates->mutex, NULL);
    *ret = rates;
    return 0;
}

void skua_http_rates_free(skua_http_rates *rates)
{
    if (rates == NULL)
        return;
    (void)pthread_mutex_destroy(&rates->mutex);
    skua__http_free(rates->entries);
    skua__http_free(rates->buckets);
    skua__http_free(rates);
}

static void rates_unlink(skua_http_rates *rates, uint32_t index)
{
    struct rates_entry *entry = &rates->entries[index - 1];

    *(entry->newer != 0 ? &rates->entries[entry->newer - 1].older : &rates->newest) = entry->older;
    *(entry->older != 0 ? &rates->entries[entry->older - 1].newer : &rates->oldest) = entry->newer;
}

static void rates_is_newest(skua_http_rates *rates, uint32_t index)
{
    struct rates_entry *entry = &rates->entries[index - 1];

    entry->newer = 0;
    entry->older = rates->newest;
    *(entry->older != 0 ? &rates->entries[entry->older - 1].newer : &rates->oldest) = index;
    rates->newest = index;
}

/* The place of who asked longest ago. */
static uint32_t rates_evict(skua_http_rates *rates)
{
    uint32_t index = rates->oldest;
    uint32_t *at = &rates->buckets[rates->entries[index - 1].hash & rates->mask];

    while (*at != index)
        at = &rates->entries[*at - 1].chain;
    *at = rates->entries[index - 1].chain;
    rates_unlink(rates, index);
    return index;
}

/* The limiter of a key, which is the newest now. */
static skua_rate_limiter *rates_find(skua_http_rates *rates, uint64_t hash)
{
    uint32_t *bucket = &rates->buckets[hash & rates->mask];
    uint32_t index = *bucket;

    while (index != 0 && rates->entries[index - 1].hash != hash)
        index = rates->entries[index - 1].chain;
    if (index != 0) {
        rates_unlink(rates, index);
    } else {
        index = rates->count < rates->options.keys ? ++rates->count : rates_evict(rates);
        rates->entries[index - 1].hash = hash;
        rates->entries[index - 1].chain = *bucket;
        *bucket = index;
        (void)rates_limiter(&rates->options, &rates->entries[index - 1].limiter); /* as the probe */
    }
    rates_is_newest(rates, index);
    return &rates->entries[index - 1].limiter;
}

int skua_http_rates_layer(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    skua_http_rates *rates = state;
    char host[SKUA__WEB_HOST];
    const char *key = host;
    uint64_t hash;
    int rc;

    skua__web_host(exchange->peer, host);
    if (rates->options.key != NULL)
        key = rates->options.key(exchange, rates->options.arg);
    if (key == NULL)
        return skua_http_chain_run(exchange, rest);
    hash = rates_hash(rates->secret, key, strlen(key));
    pthread_mutex_lock(&rates->mutex);
    rc = skua_rate_limiter_try_acquire(rates_find(rates, hash), 1);
    pthread_mutex_unlock(&rates->mutex);
    if (rc == 0)
        return skua_http_chain_run(exchange, rest);
    return skua__web_refuse_for(exchange, 429,
                                (rates->options.period != 0 ? rates->options.period : SKUA_SECOND) /
                                    (int64_t)rates->options.rate);
}

#undef RATES_KEYS
#undef RATES_KEYS_MAX
