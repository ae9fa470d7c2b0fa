/* h1_kit.c - the memory of a request: buffers, the first fields, what an arena begins with.
 *
 * Idle      connections are many, and requests under way few: a connection that waits gives its kit
 *           back. So ten thousand of them need no buffers; and the next request, whosesoever it is,
 *           finds the kit of the last one still in the processor's cache.
 * Stock     each thread keeps some for itself, newest first: no lock. A fiber may take one here and
 *           give it back there. A thread that ends frees its own. Under AddressSanitizer nothing is
 *           kept, so that it sees whoever uses what he has given back.
 */
#include <pthread.h>

#include "http/h1/h1_impl.h"

#if defined(__SANITIZE_ADDRESS__)
#define KIT_STOCK 0
#else
#define KIT_STOCK 32
#endif

struct kit_stock {
    struct skua__h1_kit *kits;
    int count;
    bool known; /* to the key */
};

/* Of each thread. Both functions that touch it wait for nothing, and are no part of others: a fiber
 * that is on another thread afterwards must not find the address of this one's. */
static _Thread_local struct kit_stock kit_stock;
static pthread_key_t kit_key;
static pthread_once_t kit_once = PTHREAD_ONCE_INIT;
static bool kit_keyed; /* guard: kit_once */

static void kit_stock_free(void *arg)
{
    struct kit_stock *stock = arg;

    while (stock->kits != NULL) {
        struct skua__h1_kit *gone = stock->kits;

        stock->kits = gone->next;
        skua__http_free(gone);
    }
    stock->count = 0;
    stock->known = false;
}

static void kit_key_make(void)
{
    kit_keyed = pthread_key_create(&kit_key, kit_stock_free) == 0;
}

static __attribute__((noinline)) struct skua__h1_kit *kit_out_of_stock(void)
{
    struct skua__h1_kit *kit = kit_stock.kits;

    if (kit != NULL) {
        kit_stock.kits = kit->next;
        kit_stock.count--;
    }
    return kit;
}

/* False: there are enough, or this thread could not free it. */
static __attribute__((noinline)) bool kit_into_stock(struct skua__h1_kit *kit)
{
    if (kit_stock.count >= KIT_STOCK)
        return false;
    if (!kit_stock.known) {
        (void)pthread_once(&kit_once, kit_key_make);
        if (!kit_keyed || pthread_setspecific(kit_key, &kit_stock) != 0)
            return false;
        kit_stock.known = true;
    }
    kit->next = kit_stock.kits;
    kit_stock.kits = kit;
    kit_stock.count++;
    return true;
}

int skua__h1_kit_take(struct skua__h1 *h1)
{
    size_t most = h1->options->head_max;
    struct skua__h1_kit *kit = kit_out_of_stock();

    if (kit == NULL)
        kit = skua__http_raw(sizeof *kit);
    if (kit == NULL)
        return -ENOMEM;
    h1->kit = kit;
    h1->out = kit->out;
    h1->in = h1->buf = kit->in;
    h1->in_room = h1->room = SKUA__H1_IN < most ? SKUA__H1_IN : most;
    h1->pos = h1->len = 0;
    h1->fields = kit->fields;
    h1->fields_room = SKUA__H1_FIELDS;
    skua__http_arena_lend(&h1->exchange.arena, kit->arena, SKUA__H1_ARENA);
    return 0;
}

void skua__h1_kit_give(struct skua__h1 *h1)
{
    struct skua__h1_kit *kit = h1->kit;

    if (kit == NULL)
        return;
    skua__http_arena_free(&h1->exchange.arena);
    if (h1->fields != kit->fields)
        skua__http_free(h1->fields);
    if (h1->in != kit->in)
        skua__http_free(h1->in);
    h1->in = h1->buf = h1->out = NULL;
    h1->fields = NULL;
    h1->in_room = h1->room = h1->fields_room = 0;
    h1->kit = NULL;
    if (!kit_into_stock(kit))
        skua__http_free(kit);
}

int skua__h1_in_grow(struct skua__h1 *h1, size_t room, const char *bytes, size_t len)
{
    char *in = skua__http_raw(room);

    if (in == NULL)
        return -ENOMEM;
    memcpy(in, bytes, len);
    if (h1->in != h1->kit->in)
        skua__http_free(h1->in);
    h1->in = in;
    h1->in_room = room;
    return 0;
}

int skua__h1_fields_grow(struct skua__h1 *h1)
{
    size_t room = 2 * h1->fields_room;
    void *fields = skua__http_raw(room * sizeof *h1->fields);

    if (fields == NULL)
        return -ENOMEM;
    memcpy(fields, h1->fields, h1->fields_count * sizeof *h1->fields);
    if (h1->fields != h1->kit->fields)
        skua__http_free(h1->fields);
    h1->fields = fields;
    h1->fields_room = room;
    return 0;
}

#undef KIT_STOCK
