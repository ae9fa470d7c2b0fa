/* chan_name.c - channels that have names, in one list.
 *
 *   chan.name   NULL, or the channel's place in the list: its name, in memory of its own
 *
 * Life       a channel that is in the list is not freed: freeing takes it out first, under the
 *            list's lock. So who visits the list may look into each, whoever drops handles
 *            meanwhile.
 * Locks      the list's, and under it a channel's own for the look. Nobody takes them the other way
 *            round.
 */
#include <string.h>

#include <skua/channel.h>

#include "channel/chan_impl.h"

struct skua__chan_name {
    struct skua__chan_name *next, **at; /* guard: name_lock, as all of chan.name; constant below */
    struct skua__chan *chan;
    const char *kind;
    char text[];
};

static struct skua__lock name_lock;
static struct skua__chan_name *name_first; /* guard: name_lock */

/* Under name_lock. */
static void name_link(struct skua__chan_name *name)
{
    name->next = name_first;
    name->at = &name_first;
    if (name_first != NULL)
        name_first->at = &name->next;
    name_first = name;
}

/* Under name_lock. */
static void name_unlink(struct skua__chan_name *name)
{
    *name->at = name->next;
    if (name->next != NULL)
        name->next->at = name->at;
}

/* The new one may be NULL. */
static void name_put(struct skua__chan *chan, struct skua__chan_name *name)
{
    struct skua__chan_name *old;

    skua__os_lock_over_fork(&name_lock);
    skua__lock_take(&name_lock);
    old = chan->name;
    if (old != NULL)
        name_unlink(old);
    if (name != NULL)
        name_link(name);
    chan->name = name;
    skua__lock_drop(&name_lock);
    skua__os_free(old);
}

static int name_set(struct skua__chan *chan, const char *kind, const char *text)
{
    size_t len = text != NULL ? strnlen(text, SKUA_CHANNEL_NAME) : 0;
    struct skua__chan_name *name = NULL;

    if (len == SKUA_CHANNEL_NAME)
        return -EINVAL;
    if (len != 0) {
        name = skua__os_alloc(sizeof *name + len + 1);
        if (name == NULL)
            return -ENOMEM;
        name->chan = chan;
        name->kind = kind;
        memcpy(name->text, text, len + 1);
    }
    name_put(chan, name);
    return 0;
}

void skua__chan_unname(struct skua__chan *chan)
{
    name_put(chan, NULL);
}

int skua_mpsc_set_name(skua_mpsc_receiver *receiver, const char *name)
{
    return name_set((struct skua__chan *)(void *)receiver, "mpsc", name);
}

int skua_mpmc_set_name(skua_mpmc_receiver *receiver, const char *name)
{
    return name_set((struct skua__chan *)(void *)receiver, "mpmc", name);
}

static void name_look(const struct skua__chan_name *name, skua_channel_info *info)
{
    struct skua__chan *chan = name->chan;

    *info = (skua_channel_info){.name = name->text, .kind = name->kind, .capacity = chan->capacity};
    skua__lock_take(skua__chan_lock(chan));
    info->length = chan->len;
    info->senders = chan->senders;
    info->receivers = chan->receivers;
    info->closed = chan->closed;
    skua__lock_drop(skua__chan_lock(chan));
}

size_t skua_channel_each(void (*fn)(const skua_channel_info *info, void *arg), void *arg)
{
    skua_channel_info info;
    size_t count = 0;

    skua__os_lock_over_fork(&name_lock);
    skua__lock_take(&name_lock);
    for (const struct skua__chan_name *name = name_first; name != NULL; name = name->next) {
        count++;
        if (fn != NULL) {
            name_look(name, &info);
            fn(&info, arg);
        }
    }
    skua__lock_drop(&name_lock);
    return count;
}
