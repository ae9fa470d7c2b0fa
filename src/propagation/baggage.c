/* baggage.c - baggage in the context of tasks.
 *
 * A set of entries is constant: a change is a new one, made of the old one's, and a link in front
 * of the caller's context that holds it. The link has B3's flag of debug, too, since it travels in
 * the same way.
 *
 * Memory     a change allocates a set, as long as its text, and a link. Nobody else pays.
 */
#include "propagation/propagation_impl.h"

struct baggage_part {
    struct skua__context link;
    const skua_baggage *baggage; /* one reference; NULL: none */
    uint8_t debug;
};

/* ---- sets ------------------------------------------------------------------------------------ */

skua_baggage *skua__baggage_ref(const skua_baggage *baggage)
{
    skua_baggage *self = (skua_baggage *)(uintptr_t)baggage;

    if (self != NULL) /* relaxed: the caller holds one */
        skua__add_relaxed(&self->refs, 1);
    return self;
}

void skua__baggage_unref(const skua_baggage *baggage)
{
    skua_baggage *self = (skua_baggage *)(uintptr_t)baggage;

    /* Release and acquire: whoever frees it comes after everybody's last look. */
    if (self != NULL && skua__sub_acq_rel(&self->refs, 1) == 1)
        skua__os_free(self);
}

static const char *baggage_text(char **at, const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = memcpy(*at, text, len);

    *at += len;
    return copy;
}

static size_t baggage_size(const skua_baggage_entry *entry)
{
    return strlen(entry->name) + strlen(entry->value) +
           (entry->properties != NULL ? strlen(entry->properties) : 0);
}

/* `old` without the entry of that name, and `add` behind it, where there is one. NULL and *rc: no
 * memory, or too much. */
static skua_baggage *baggage_changed(const skua_baggage *old, const char *name,
                                     const skua_baggage_entry *add, int *rc)
{
    size_t bytes = add != NULL ? baggage_size(add) : 0;
    uint32_t count = add != NULL;
    skua_baggage *self;
    char *at;

    for (uint32_t i = 0; old != NULL && i < old->count; i++)
        if (strcmp(old->entries[i].name, name) != 0) {
            bytes += baggage_size(&old->entries[i]);
            count++;
        }
    *rc = SKUA_ELIMIT;
    if (count > SKUA_BAGGAGE_MAX || bytes > SKUA_BAGGAGE_BYTES)
        return NULL;
    *rc = -ENOMEM;
    self = skua__os_alloc(sizeof *self + count * (sizeof self->entries[0] + 3) + bytes);
    if (self == NULL)
        return NULL;
    skua__store_relaxed(&self->refs, 1);
    self->bytes = bytes;
    at = (char *)&self->entries[count];
    for (uint32_t i = 0; i <= (old != NULL ? old->count : 0); i++) {
        bool last = old == NULL || i == old->count;
        const skua_baggage_entry *from = last ? add : &old->entries[i];
        skua_baggage_entry *to = &self->entries[self->count];

        if (from == NULL || (!last && strcmp(from->name, name) == 0))
            continue;
        to->name = baggage_text(&at, from->name);
        to->value = baggage_text(&at, from->value);
        to->properties = from->properties != NULL ? baggage_text(&at, from->properties) : NULL;
        self->count++;
    }
    *rc = 0;
    return self;
}

static const char *baggage_find(const skua_baggage *self, const char *name)
{
    for (uint32_t i = 0; self != NULL && i < self->count; i++)
        if (strcmp(self->entries[i].name, name) == 0)
            return self->entries[i].value;
    return NULL;
}

/* ---- links ----------------------------------------------------------------------------------- */

static void baggage_gone(void *value)
{
    struct baggage_part *part = value;

    skua__baggage_unref(part->baggage);
    skua__os_free(part);
}

static const skua_local_key baggage_key = {"baggage", NULL, baggage_gone};

const skua_baggage *skua__baggage_current(void)
{
    const struct baggage_part *part = skua_local_get(&baggage_key);

    return part != NULL ? part->baggage : NULL;
}

uint8_t skua__baggage_debug(void)
{
    const struct baggage_part *part = skua_local_get(&baggage_key);

    return part != NULL ? part->debug : 0;
}

int skua__baggage_enter(void **ret_link, const skua_baggage *baggage, uint8_t debug)
{
    struct baggage_part *part = skua__os_alloc(sizeof *part);

    *ret_link = NULL;
    if (part == NULL)
        return -ENOMEM;
    part->baggage = skua__baggage_ref(baggage);
    part->debug = debug;
    if (!skua__context_enter(&part->link, &baggage_key, part, NULL)) {
        baggage_gone(part);
        return SKUA_EUSAGE;
    }
    *ret_link = &part->link;
    return 0;
}

int skua__baggage_leave(void **link)
{
    if (*link == NULL)
        return 0;
    if (!skua__context_leave(*link))
        return SKUA_EUSAGE;
    *link = NULL;
    return 0;
}

/* ---- the API --------------------------------------------------------------------------------- */

const char *skua_baggage_get(const char *name)
{
    return baggage_find(skua__baggage_current(), name);
}

int skua_baggage_each(int (*fn)(const skua_baggage_entry *entry, void *arg), void *arg)
{
    const skua_baggage *self = skua__baggage_current();
    int rc = 0;

    for (uint32_t i = 0; self != NULL && i < self->count && rc == 0; i++)
        rc = fn(&self->entries[i], arg);
    return rc;
}

static int baggage_change(skua_baggage_frame *frame, const char *name,
                          const skua_baggage_entry *add)
{
    skua_baggage *changed;
    int rc;

    changed = baggage_changed(skua__baggage_current(), name, add, &rc);
    if (changed == NULL)
        return rc;
    rc = skua__baggage_enter(&frame->link, changed, skua__baggage_debug());
    skua__baggage_unref(changed);
    return rc;
}

int skua_baggage_set(skua_baggage_frame *frame, const char *name, const char *value,
                     const char *properties)
{
    skua_baggage_entry entry = {name, value != NULL ? value : "", properties};

    frame->link = NULL;
    return name == NULL || *name == '\0' ? -EINVAL : baggage_change(frame, name, &entry);
}

int skua_baggage_remove(skua_baggage_frame *frame, const char *name)
{
    frame->link = NULL;
    return name == NULL ? -EINVAL : baggage_change(frame, name, NULL);
}

int skua_baggage_clear(skua_baggage_frame *frame)
{
    return skua__baggage_enter(&frame->link, NULL, skua__baggage_debug());
}

int skua_baggage_end(skua_baggage_frame *frame)
{
    return skua__baggage_leave(&frame->link);
}

const char *skua_propagated_baggage(const skua_propagated *self, const char *name)
{
    return baggage_find(self->baggage, name);
}

int skua_propagated_add(skua_propagated *self, const char *name, const char *value,
                        const char *properties)
{
    skua_baggage_entry entry = {name, value != NULL ? value : "", properties};
    skua_baggage *changed;
    int rc;

    if (name == NULL || *name == '\0')
        return -EINVAL;
    changed = baggage_changed(self->baggage, name, &entry, &rc);
    if (changed == NULL)
        return rc;
    if (self->own)
        skua__baggage_unref(self->baggage);
    self->baggage = changed;
    self->own = 1;
    return 0;
}
