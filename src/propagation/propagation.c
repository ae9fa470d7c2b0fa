/* propagation.c - which propagators there are, and what the caller's context is to them.
 *
 * The program's propagators are one word: a digit of 4 bits for each built-in one, in their order,
 * so that the list may change while others use it; or a pointer to one of the program's own.
 */
#include "propagation/propagation_impl.h"

static const skua_propagator *const propagation_all[] = {
    &skua__propagator_w3c, &skua__propagator_baggage, &skua__propagator_b3,
    &skua__propagator_b3multi, &skua__propagator_jaeger};

#define PROPAGATION_ALL (sizeof propagation_all / sizeof propagation_all[0])

/* From the lowest digit on; 0 ends it, n is propagation_all[n - 1]. */
static _Atomic uint64_t propagation_list;
static _Atomic(const skua_propagator *) propagation_own;

const skua_propagator *skua_propagator_named(const char *name)
{
    for (size_t i = 0; i < PROPAGATION_ALL; i++)
        if (strcmp(propagation_all[i]->name, name) == 0)
            return propagation_all[i];
    return NULL;
}

/* ---- composites ------------------------------------------------------------------------------ */

static const skua_propagator *composite_part(const skua_propagator *self, size_t i)
{
    const skua_composite_propagator *composite = (const skua_composite_propagator *)self;

    return i < composite->count ? composite->parts[i] : NULL;
}

static const skua_propagator *listed_part(uint64_t list, size_t i)
{
    uint64_t digit = i < 16 ? list >> 4 * i & 15 : 0;

    return digit != 0 ? propagation_all[digit - 1] : NULL;
}

/* The index-th field of all parts, each name once. */
static const char *parts_field(const skua_propagator *const *parts, size_t count, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        const char *name;

        for (size_t j = 0; (name = parts[i]->field(parts[i], j)) != NULL; j++) {
            bool again = false;

            for (size_t k = 0; k < i && !again; k++) {
                const char *other;

                for (size_t l = 0; !again && (other = parts[k]->field(parts[k], l)) != NULL; l++)
                    again = strcmp(other, name) == 0;
            }
            if (!again && index-- == 0)
                return name;
        }
    }
    return NULL;
}

static int composite_inject(const skua_propagator *self, const skua_propagated *from,
                            skua_carrier *carrier)
{
    const skua_propagator *part;
    int rc = 0;

    for (size_t i = 0; rc >= 0 && (part = composite_part(self, i)) != NULL; i++)
        rc = part->inject(part, from, carrier);
    return rc;
}

static int composite_extract(const skua_propagator *self, const skua_carrier *carrier,
                             skua_propagated *to)
{
    const skua_propagator *part;
    int rc = 0;

    for (size_t i = 0; rc >= 0 && (part = composite_part(self, i)) != NULL; i++)
        rc = part->extract(part, carrier, to);
    return rc;
}

static const char *composite_field(const skua_propagator *self, size_t index)
{
    const skua_composite_propagator *composite = (const skua_composite_propagator *)self;

    return parts_field(composite->parts, composite->count, index);
}

void skua_composite_propagator_init(skua_composite_propagator *self,
                                    const skua_propagator *const *parts, size_t count)
{
    self->propagator =
        (skua_propagator){"composite", composite_inject, composite_extract, composite_field};
    self->parts = parts;
    self->count = count;
}

/* ---- the program's --------------------------------------------------------------------------- */

static int listed_inject(const skua_propagator *self, const skua_propagated *from,
                         skua_carrier *carrier)
{
    uint64_t list = skua__load_relaxed(&propagation_list); /* all it needs is the word itself */
    const skua_propagator *part;
    int rc = 0;

    (void)self;
    for (size_t i = 0; rc >= 0 && (part = listed_part(list, i)) != NULL; i++)
        rc = part->inject(part, from, carrier);
    return rc;
}

static int listed_extract(const skua_propagator *self, const skua_carrier *carrier,
                          skua_propagated *to)
{
    uint64_t list = skua__load_relaxed(&propagation_list);
    const skua_propagator *part;
    int rc = 0;

    (void)self;
    for (size_t i = 0; rc >= 0 && (part = listed_part(list, i)) != NULL; i++)
        rc = part->extract(part, carrier, to);
    return rc;
}

static const char *listed_field(const skua_propagator *self, size_t index)
{
    uint64_t list = skua__load_relaxed(&propagation_list);
    const skua_propagator *parts[PROPAGATION_ALL];
    size_t count = 0;

    (void)self;
    while (count < PROPAGATION_ALL && (parts[count] = listed_part(list, count)) != NULL)
        count++;
    return parts_field(parts, count, index);
}

static const skua_propagator propagation_listed = {"listed", listed_inject, listed_extract,
                                                   listed_field};

static const skua_propagator propagation_none;

static int none_inject(const skua_propagator *self, const skua_propagated *from,
                       skua_carrier *carrier)
{
    (void)self;
    (void)from;
    (void)carrier;
    return 0;
}

static int none_extract(const skua_propagator *self, const skua_carrier *carrier,
                        skua_propagated *to)
{
    (void)self;
    (void)carrier;
    (void)to;
    return 0;
}

static const char *none_field(const skua_propagator *self, size_t index)
{
    (void)self;
    (void)index;
    return NULL;
}

static const skua_propagator propagation_none = {"none", none_inject, none_extract, none_field};

/* The digit of a name; 0: "none", or nothing; -1: unknown. */
static int propagation_digit(const char *name, size_t len)
{
    for (size_t i = 0; i < PROPAGATION_ALL; i++)
        if (strlen(propagation_all[i]->name) == len &&
            memcmp(propagation_all[i]->name, name, len) == 0)
            return (int)i + 1;
    return len == 0 || (len == 4 && memcmp(name, "none", 4) == 0) ? 0 : -1;
}

int skua_propagation_use(const char *names)
{
    uint64_t list = 0;
    unsigned count = 0, seen = 0;
    int unknown = 0;
    bool none = false;

    for (;;) {
        size_t size = strcspn(names, ","), len = size;
        const char *name = skua__trimmed(names, &len);
        int digit = propagation_digit(name, len);

        unknown += digit < 0;
        none = none || (digit == 0 && len != 0);
        if (digit > 0 && (seen & 1u << digit) == 0) {
            seen |= 1u << digit;
            list |= (uint64_t)digit << 4 * count++;
        }
        if (names[size] == '\0')
            break;
        names += size + 1;
    }
    skua__store_relaxed(&propagation_list, none ? 0 : list);
    skua__store_release(&propagation_own, &propagation_listed);
    return unknown;
}

void skua_propagation_set(const skua_propagator *propagator)
{
    /* Release: who loads it sees what the caller has set up. */
    skua__store_release(&propagation_own, propagator);
}

const skua_propagator *skua_propagation(void)
{
    const skua_propagator *own = skua__load_acquire(&propagation_own);

    return own != NULL ? own : &propagation_none;
}

/* ---- in and out ------------------------------------------------------------------------------ */

void skua_propagated_current(skua_propagated *ret)
{
    ret->own = 0;
    ret->baggage = skua__baggage_current();
    ret->debug = skua__baggage_debug();
    ret->state[0] = '\0';
    (void)skua_span_context_of(skua_span_current(), &ret->span);
}

void skua_propagated_free(skua_propagated *self)
{
    if (self->own)
        skua__baggage_unref(self->baggage);
    self->own = 0;
    self->baggage = NULL;
}

int skua_inject(skua_carrier *carrier)
{
    const skua_propagator *propagator = skua_propagation();
    skua_propagated current;

    if (propagator == &propagation_none)
        return 0;
    skua_propagated_current(&current);
    return propagator->inject(propagator, &current, carrier);
}

int skua_extract(const skua_carrier *carrier, skua_propagated *to)
{
    const skua_propagator *propagator = skua_propagation();
    int rc;

    *to = (skua_propagated){.own = 0};
    rc = propagator->extract(propagator, carrier, to);
    if (rc < 0) {
        skua_propagated_free(to);
        *to = (skua_propagated){.own = 0};
    }
    return rc < 0 ? rc : 0;
}

int skua_propagation_attach(skua_propagation_frame *frame, const skua_propagated *what)
{
    bool span = skua_span_context_valid(&what->span) != 0;
    uint8_t debug = span ? what->debug : skua__baggage_debug();
    int rc = 0;

    *frame = (skua_propagation_frame){.link = NULL};
    if (span)
        rc = skua_trace_attach(&frame->span, &what->span);
    if (rc < 0 || (what->baggage == NULL && debug == skua__baggage_debug()))
        return rc;
    rc = skua__baggage_enter(
        &frame->link, what->baggage != NULL ? what->baggage : skua__baggage_current(), debug);
    if (rc < 0)
        (void)skua_span_leave(&frame->span);
    return rc;
}

int skua_propagation_begin(skua_propagation_frame *frame, const skua_carrier *carrier)
{
    skua_propagated what;
    int rc = skua_extract(carrier, &what);

    *frame = (skua_propagation_frame){.link = NULL};
    if (rc < 0)
        return rc;
    rc = skua_propagation_attach(frame, &what);
    skua_propagated_free(&what);
    return rc;
}

int skua_propagation_end(skua_propagation_frame *frame)
{
    int rc = skua__baggage_leave(&frame->link);

    return rc < 0 ? rc : skua_span_leave(&frame->span);
}

#undef PROPAGATION_ALL
