/* fuzz_carrier.c - any message, to all the propagators.
 *
 *     a byte: which propagator; then lines "name: value"
 *
 * What is read of it is well-formed: ids that are valid, text that is UTF-8. What is written of
 * that has no byte that could end a field, and is read as the same again.
 */
#include <stdio.h>
#include <strings.h>

#include <skua/propagation.h>

#include "fuzz.h"

#define FUZZ_TRACE "0af7651916cd43dd8448eb211c80319c"
#define FUZZ_SPAN "b7ad6b7169203331"

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\0traceparent: 00-" FUZZ_TRACE "-" FUZZ_SPAN "-03\ntracestate: a=1,b@c=x y,ot=th:8"),
    FUZZ_SEED("\0traceparent: cc-" FUZZ_TRACE "-" FUZZ_SPAN "-01-more\ntracestate: a=1\n"
              "tracestate: , b=2 ,a=3"),
    FUZZ_SEED("\1baggage: user=al%20ice;ttl=30;secret, n=%C3%A4%00%ff ,x=\nbaggage: y=2"),
    FUZZ_SEED("\2b3: " FUZZ_TRACE "-" FUZZ_SPAN "-d-" FUZZ_SPAN),
    FUZZ_SEED("\3X-B3-TraceId: " FUZZ_SPAN "\nX-B3-SpanId: " FUZZ_SPAN
              "\nX-B3-Sampled: true\nX-B3-Flags: 1"),
    FUZZ_SEED("\4uber-trace-id: 123:456:0:3\nuberctx-user: al%20ice\nuberctx-x: %zz%c3"),
    FUZZ_SEED("\4uber-trace-id: " FUZZ_TRACE "%3A" FUZZ_SPAN "%3a0%3A1"),
    FUZZ_SEED("\5traceparent: 00-" FUZZ_TRACE "-" FUZZ_SPAN "-00\nb3: 0\nbaggage: a=b\n"
              "uberctx-c: d"),
    {NULL, 0}};

const char *const fuzz_words[] = {"traceparent: ",
                                  "tracestate: ",
                                  "baggage: ",
                                  "b3: ",
                                  "X-B3-TraceId: ",
                                  "x-b3-spanid: ",
                                  "X-B3-Sampled: ",
                                  "X-B3-Flags: 1",
                                  "uber-trace-id: ",
                                  "uberctx-",
                                  FUZZ_TRACE,
                                  FUZZ_SPAN,
                                  "0000000000000000",
                                  "%3A",
                                  "%00",
                                  "%C3%A4",
                                  "\xc3\xa4",
                                  ",",
                                  "=",
                                  ";",
                                  "\n",
                                  " ",
                                  "\t",
                                  "-",
                                  NULL};

#define FUZZ_FIELDS 80

/* A message that is read or written. */
struct message {
    skua_fields_carrier fields;
    skua_carrier_field slots[FUZZ_FIELDS];
    char text[65536];
};

static void message_init(struct message *self)
{
    skua_fields_carrier_init(&self->fields, self->slots, FUZZ_FIELDS, self->text,
                             sizeof self->text);
}

/* Fields out of lines; changes `text`. */
static void message_read(struct message *self, char *text, char *end)
{
    while (text < end && self->fields.count < FUZZ_FIELDS) {
        char *line = memchr(text, '\n', (size_t)(end - text));
        char *stop = line != NULL ? line : end, *colon = memchr(text, ':', (size_t)(stop - text));

        if (colon != NULL && memchr(text, '\0', (size_t)(colon - text)) == NULL) {
            char *value = colon + 1 < stop && colon[1] == ' ' ? colon + 2 : colon + 1;

            *colon = '\0';
            self->slots[self->fields.count++] =
                (skua_carrier_field){text, value, (size_t)(stop - value)};
        }
        text = stop + 1;
    }
}

static bool utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        unsigned more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2 : 3;

        if (more != 0 && (*at < 0xc2 || *at > 0xf4))
            return false;
        for (at++; more != 0; more--)
            if ((*at++ & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static bool token(const char *text)
{
    return *text != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "!#$%&'*+-.^_`|~") == strlen(text);
}

/* ---- what must hold -------------------------------------------------------------------------- */

/* Runs fn for each entry of what was extracted. */
static void each(const skua_propagated *of, int (*fn)(const skua_baggage_entry *, void *),
                 void *arg)
{
    const skua_propagated only = {.baggage = of->baggage};
    skua_propagation_frame frame;

    fuzz_must(skua_propagation_attach(&frame, &only) == 0);
    (void)skua_baggage_each(fn, arg);
    fuzz_must(skua_propagation_end(&frame) == 0);
}

static int entry_holds(const skua_baggage_entry *entry, void *arg)
{
    size_t *bytes = arg;

    fuzz_must(*entry->name != '\0' && utf8(entry->name) && utf8(entry->value));
    fuzz_must(entry->properties == NULL || *entry->properties != '\0');
    *bytes += strlen(entry->name) + strlen(entry->value);
    return 0;
}

static void holds(const skua_propagated *found)
{
    static const skua_span_context none;
    size_t bytes = 0;

    if (skua_span_context_valid(&found->span)) {
        fuzz_must(found->span.remote == 1);
    } else {
        fuzz_must(memcmp(found->span.trace_id, none.trace_id, 16) == 0);
        fuzz_must(found->span.trace_state == NULL && !found->debug);
    }
    if (found->span.trace_state != NULL) {
        fuzz_must(found->span.trace_state == found->state);
        fuzz_must(*found->state != '\0' && strlen(found->state) <= SKUA_TRACE_STATE_MAX);
    }
    if (found->baggage != NULL)
        each(found, entry_holds, &bytes);
    fuzz_must(bytes <= SKUA_BAGGAGE_BYTES);
}

/* An entry that could travel is among what was read again. */
static int entry_again(const skua_baggage_entry *entry, void *arg)
{
    const skua_propagated *again = arg;
    const char *value = skua_propagated_baggage(again, entry->name);

    if (token(entry->name) && value != NULL)
        fuzz_must(strcmp(value, entry->value) == 0);
    else
        fuzz_must(!token(entry->name));
    return 0;
}

static void same(const skua_propagated *a, const skua_propagated *b, unsigned which)
{
    fuzz_must(memcmp(a->span.trace_id, b->span.trace_id, 16) == 0);
    fuzz_must(memcmp(a->span.span_id, b->span.span_id, 8) == 0);
    fuzz_must(((a->span.flags ^ b->span.flags) & SKUA_TRACE_SAMPLED) == 0);
    fuzz_must(a->debug == b->debug);
    if (which == 0) {
        const char *was = a->span.trace_state, *is = b->span.trace_state;

        fuzz_must(a->span.flags == b->span.flags && (was == NULL) == (is == NULL));
        fuzz_must(was == NULL || strcmp(was, is) == 0);
    }
    if (which == 1 && a->baggage != NULL)
        each(a, entry_again, (void *)(uintptr_t)b);
}

/* No field can be ended by what is in it. */
static void written(const struct message *message)
{
    for (size_t i = 0; i < message->fields.count; i++) {
        const skua_carrier_field *field = &message->slots[i];

        fuzz_must(token(field->name));
        for (size_t k = 0; k < field->len; k++)
            fuzz_must(field->value[k] == '\t' ||
                      (field->value[k] >= 0x20 && field->value[k] < 0x7f));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const names[] = {"tracecontext", "baggage", "b3", "b3multi", "jaeger"};
    static struct message in, out;
    skua_propagated found, again;
    const skua_propagator *propagator;
    unsigned which = len != 0 ? data[0] % 6 : 0;
    char *text;

    if (len == 0)
        return 0;
    text = fuzz_text(data + 1, len - 1);
    fuzz_must(skua_propagation_use(which < 5 ? names[which]
                                             : "tracecontext,baggage,b3,b3multi,jaeger") == 0);
    propagator = skua_propagation();
    message_init(&in);
    message_read(&in, text, text + len - 1);
    fuzz_must(skua_extract(&in.fields.carrier, &found) == 0);
    holds(&found);
    message_init(&out);
    fuzz_must(propagator->inject(propagator, &found, &out.fields.carrier) == 0);
    written(&out);
    fuzz_must(skua_extract(&out.fields.carrier, &again) == 0);
    holds(&again);
    if (len < 2000) /* above it bounds leave things out */
        same(&found, &again, which);
    skua_propagated_free(&again);
    skua_propagated_free(&found);
    free(text);
    return 0;
}
