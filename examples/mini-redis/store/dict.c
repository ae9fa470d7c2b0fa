/* dict.c - chained hashing; doubles at one entry a bucket, halves at an eighth.
 *
 * Growing moves all entries at once: O(1) an insertion on average, with a pause of about 10 ns an
 * entry when it happens. A store that must not pause would move a few buckets at a time.
 */
#include <string.h>
#include <sys/random.h>

#include "dict.h"
#include "mem.h"

#define DICT_CAPACITY_MIN 4

static uint64_t dict_key[2]; /* constant after dict_seed */

void dict_seed(void)
{
    if (getrandom(dict_key, sizeof dict_key, 0) != (ssize_t)sizeof dict_key)
        abort(); /* cannot happen for 16 bytes; predictable hashing would be worse */
}

/* ---- SipHash-1-2, after Aumasson and Bernstein ----------------------------------------------- */

static uint64_t sip_rotate(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = sip_rotate(v[1], 13) ^ v[0];
    v[3] = sip_rotate(v[3], 16) ^ v[2];
    v[0] = sip_rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = sip_rotate(v[1], 17) ^ v[2];
    v[3] = sip_rotate(v[3], 21) ^ v[0];
    v[2] = sip_rotate(v[2], 32);
}

uint64_t dict_hash(const char *name, size_t len)
{
    uint64_t v[4] = {
        dict_key[0] ^ UINT64_C(0x736f6d6570736575), dict_key[1] ^ UINT64_C(0x646f72616e646f6d),
        dict_key[0] ^ UINT64_C(0x6c7967656e657261), dict_key[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t word;
    size_t left = len;

    for (; left >= 8; left -= 8, name += 8) {
        memcpy(&word, name, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)len << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)(unsigned char)name[i] << (8 * i);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the table ------------------------------------------------------------------------------- */

static struct dict_entry **dict_bucket(const struct dict *dict, uint64_t hash)
{
    return &dict->buckets[hash & (dict->capacity - 1)];
}

static void dict_link(struct dict *dict, struct dict_entry *entry)
{
    struct dict_entry **bucket = dict_bucket(dict, entry->hash);

    entry->next = *bucket;
    *bucket = entry;
}

static void dict_rebuild(struct dict *dict, size_t capacity)
{
    struct dict old = *dict;

    dict->buckets = mem_zeroed(capacity, sizeof *dict->buckets);
    dict->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++) {
        struct dict_entry *entry = old.buckets[i];

        while (entry != NULL) {
            struct dict_entry *next = entry->next;

            dict_link(dict, entry);
            entry = next;
        }
    }
    free(old.buckets);
}

struct dict_entry *dict_find(const struct dict *dict, const char *name, size_t len, uint64_t hash)
{
    struct dict_entry *entry;

    if (dict->len == 0)
        return NULL;
    for (entry = *dict_bucket(dict, hash); entry != NULL; entry = entry->next)
        if (entry->hash == hash && str_equals(entry->name, name, len))
            break;
    return entry;
}

void dict_add(struct dict *dict, struct dict_entry *entry)
{
    if (dict->len == dict->capacity)
        dict_rebuild(dict, dict->capacity > 0 ? 2 * dict->capacity : DICT_CAPACITY_MIN);
    dict_link(dict, entry);
    dict->len++;
}

void dict_remove(struct dict *dict, struct dict_entry *entry)
{
    struct dict_entry **link = dict_bucket(dict, entry->hash);

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    entry->next = NULL;
    dict->len--;
    if (dict->capacity > DICT_CAPACITY_MIN && dict->len <= dict->capacity / 8)
        dict_rebuild(dict, dict->capacity / 2);
}

struct dict_entry *dict_next(const struct dict *dict, struct dict_cursor *cursor)
{
    struct dict_entry *entry = cursor->next;

    while (entry == NULL && cursor->bucket < dict->capacity)
        entry = dict->buckets[cursor->bucket++];
    cursor->next = entry != NULL ? entry->next : NULL;
    return entry;
}

void dict_clear(struct dict *dict)
{
    free(dict->buckets);
    memset(dict, 0, sizeof *dict);
}
