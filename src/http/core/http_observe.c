/* http_observe.c - what layers hang on an exchange: observers, a maker of error pages, notes.
 *
 * All are lists in the exchange's memory, newest first. An observer is taken out before it is
 * called, so each is called once, and one that adds another does no harm.
 */
#include <skua/time.h>

#include "http/core/http_impl.h"

int skua_http_on_head(skua_http_exchange *exchange, skua_http_head_fn fn, void *state)
{
    struct skua__http_observer *observer;

    if (fn == NULL)
        return -EINVAL;
    if (exchange->begun || exchange->heading)
        return -EALREADY;
    observer = skua__http_arena_alloc(&exchange->arena, sizeof *observer);
    if (observer == NULL)
        return -ENOMEM;
    *observer = (struct skua__http_observer){.next = exchange->on_head, .head = fn, .state = state};
    exchange->on_head = observer;
    return 0;
}

int skua_http_on_end(skua_http_exchange *exchange, skua_http_end_fn fn, void *state)
{
    struct skua__http_observer *observer;

    if (fn == NULL)
        return -EINVAL;
    observer = skua__http_arena_alloc(&exchange->arena, sizeof *observer);
    if (observer == NULL)
        return -ENOMEM;
    *observer = (struct skua__http_observer){.next = exchange->on_end, .end = fn, .state = state};
    exchange->on_end = observer;
    return 0;
}

void skua__http_observe_head(skua_http_exchange *exchange)
{
    exchange->heading = true;
    while (exchange->on_head != NULL) {
        struct skua__http_observer *observer = exchange->on_head;

        exchange->on_head = observer->next;
        observer->head(exchange, observer->state);
    }
    exchange->heading = false;
}

void skua__http_observe_end(skua_http_exchange *exchange, int code, int error)
{
    skua_http_summary summary;

    if (exchange->on_end == NULL)
        return;
    summary = (skua_http_summary){.status = exchange->status,
                                  .code = code,
                                  .error = error,
                                  .began = exchange->began,
                                  .duration = skua_now() - exchange->began,
                                  .received = (uint64_t)exchange->body_read,
                                  .sent = exchange->sent};
    while (exchange->on_end != NULL) {
        struct skua__http_observer *observer = exchange->on_end;

        exchange->on_end = observer->next;
        observer->end(exchange, &summary, observer->state);
    }
}

int skua_http_status(const skua_http_exchange *exchange)
{
    return exchange->status;
}

/* ---- error pages ----------------------------------------------------------------------------- */

void skua_http_set_page(skua_http_exchange *exchange, skua_http_page_fn page, void *state)
{
    exchange->page = page;
    exchange->page_state = state;
}

int skua_http_refuse(skua_http_exchange *exchange, int status, const char *detail)
{
    skua_http_page_fn page = exchange->page;

    if (exchange->begun)
        return -EALREADY;
    if (status < 400 || status > 599)
        return -EINVAL;
    if (page != NULL) {
        int rc;

        exchange->page = NULL; /* a page that is refused, too, is a plain one */
        rc = page(exchange, status, detail, exchange->page_state);
        exchange->page = page;
        if (exchange->begun)
            return rc;
    }
    return skua_http_replyf(exchange, status, "text/plain; charset=utf-8", "%d %s\n%s%s", status,
                            skua_http_reason(status), detail != NULL ? detail : "",
                            detail != NULL ? "\n" : "");
}

int skua_http_fail(skua_http_exchange *exchange, int code, int status, const char *reason)
{
    char *copy;

    if (code >= 0 || status < 400 || status > 599)
        return -EINVAL;
    copy = skua__http_arena_copy(&exchange->arena, reason, strlen(reason));
    exchange->fail_code = copy != NULL ? code : 0;
    exchange->fail_status = status;
    exchange->fail_reason = copy;
    return code;
}

int skua__http_exchange_fail(skua_http_exchange *exchange, int code)
{
    if (code != exchange->fail_code)
        return skua__http_exchange_refuse(exchange, skua_http_status_of(code));
    exchange->response = (struct skua__http_fields){NULL, 0, 0}; /* of what was not to be */
    return skua_http_refuse(exchange, exchange->fail_status, exchange->fail_reason);
}

/* ---- notes ----------------------------------------------------------------------------------- */

static struct skua__http_note *observe_note(const skua_http_exchange *exchange, const void *key)
{
    struct skua__http_note *note = exchange->notes;

    while (note != NULL && note->key != key)
        note = note->next;
    return note;
}

int skua_http_note(skua_http_exchange *exchange, const void *key, void *value)
{
    struct skua__http_note *note = observe_note(exchange, key);

    if (note == NULL && value != NULL) {
        note = skua__http_arena_alloc(&exchange->arena, sizeof *note);
        if (note == NULL)
            return -ENOMEM;
        *note = (struct skua__http_note){.next = exchange->notes, .key = key};
        exchange->notes = note;
    }
    if (note != NULL)
        note->value = value;
    return 0;
}

void *skua_http_noted(const skua_http_exchange *exchange, const void *key)
{
    const struct skua__http_note *note = observe_note(exchange, key);

    return note != NULL ? note->value : NULL;
}
