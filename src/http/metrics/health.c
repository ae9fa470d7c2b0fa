/* health.c - whether a server is ready: its state, its checks, and who asks.
 *
 * A question that finds a check due takes the turn, a semaphore of one permit, and runs all that
 * are due, each on a fiber of its own in one scope. Whoever asks meanwhile stands in line for the
 * turn, and then finds nothing due. The turn is no lock on data: what the checks have said is in
 * atomics, which a page reads without it. A check cannot ask for its own health: it would wait for
 * itself until its deadline.
 *
 * Asked by whom   a scope is cancelled with its opener: a client that goes away, or a deadline of
 *                 the handler, ends the checks that it has begun. What they say then is not kept,
 *                 and the next in line runs them again.
 */
#include <skua/task.h>
#include <skua/time.h>

#include "http/metrics/health_impl.h"

void skua_http_check_options_init(skua_http_check_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_http_health_new(skua_http_health **ret)
{
    skua_http_health *health = skua__http_malloc(sizeof *health);

    if (health == NULL)
        return -ENOMEM;
    (void)skua_semaphore_init(&health->turn, 1);
    *ret = health;
    return 0;
}

void skua_http_health_free(skua_http_health *health)
{
    if (health == NULL)
        return;
    while (health->checks != NULL) {
        struct skua__health_check *check = health->checks;

        health->checks = check->next;
        skua__http_free(check);
    }
    skua__http_free(health);
}

int skua_http_health_add(skua_http_health *health, const char *name, skua_http_check_fn fn,
                         void *arg, const skua_http_check_options *given)
{
    struct skua__health_check **link = &health->checks;
    skua_http_check_options options;
    struct skua__health_check *check;
    size_t len;

    skua_http_check_options_init(&options);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        options = *given;
    if (name == NULL || fn == NULL || options.optional > 1 || options.timeout < 0 ||
        options.keep < -1)
        return -EINVAL;
    len = strlen(name) + 1;
    check = skua__http_malloc(sizeof *check + len);
    if (check == NULL)
        return -ENOMEM;
    check->fn = fn;
    check->arg = arg;
    check->required = options.optional == 0;
    check->timeout = options.timeout != 0 ? options.timeout : SKUA_SECOND;
    check->keep = options.keep != 0 ? options.keep : SKUA_SECOND;
    memcpy(check->name, name, len);
    while (*link != NULL)
        link = &(*link)->next;
    *link = check;
    return 0;
}

int skua_http_health_set(skua_http_health *health, skua_http_health_state state)
{
    if ((unsigned)state > SKUA_HTTP_DRAINING)
        return -EINVAL;
    atomic_store_explicit(&health->state, (int)state, memory_order_relaxed); /* it tells no more */
    return 0;
}

void skua_http_health_drain(void *health)
{
    (void)skua_http_health_set(health, SKUA_HTTP_DRAINING);
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* A question that began at `asked` is content with what has come to be known since then, whatever
 * is kept. */
static bool health_is_due(struct skua__health_check *check, int64_t asked)
{
    int64_t when = atomic_load_explicit(&check->when, memory_order_acquire);

    if (when == 0)
        return true;
    return when < asked && (check->keep < 0 || asked - when >= check->keep);
}

/* The body of a check's fiber. */
static int health_run(void *arg)
{
    struct skua__health_check *check = arg;
    int64_t begin = skua_now();
    skua_deadline frame;
    int rc = skua_deadline_begin(&frame, skua__http_after(begin, check->timeout));
    int64_t end;

    if (rc == 0)
        rc = check->fn(check->arg);
    (void)skua_deadline_end(&frame);
    end = skua_now();
    if (skua_cancelled() != 0)
        return 0; /* who asked has gone: it says nothing of what was asked */
    atomic_store_explicit(&check->took, end - begin, memory_order_relaxed);
    atomic_store_explicit(&check->result, rc < 0 ? rc : 0, memory_order_relaxed);
    atomic_store_explicit(&check->when, end, memory_order_release); /* with what was found out */
    return 0;
}

/* Those that are due; with the turn. */
static int health_run_due(skua_http_health *health, int64_t asked)
{
    skua_scope scope;
    int rc = skua_scope_open(&scope, SKUA_COLLECT);
    int joined;

    if (rc != 0)
        return rc;
    for (struct skua__health_check *at = health->checks; rc == 0 && at != NULL; at = at->next)
        if (health_is_due(at, asked))
            rc = skua_spawn(&scope, health_run, at, .name = "health check");
    joined = skua_scope_join(&scope);
    return rc != 0 ? rc : joined;
}

int skua__health_refresh(skua_http_health *health)
{
    int64_t asked = skua_now();
    bool due = false;
    int rc = 0;

    for (struct skua__health_check *at = health->checks; at != NULL; at = at->next)
        due |= health_is_due(at, asked);
    if (due) {
        rc = skua_semaphore_acquire(&health->turn, 1);
        if (rc == 0) {
            rc = health_run_due(health, asked);
            (void)skua_semaphore_release(&health->turn, 1);
        }
    }
    return rc;
}

bool skua__health_is_ready(skua_http_health *health)
{
    bool good = atomic_load_explicit(&health->state, memory_order_relaxed) == SKUA_HTTP_READY;

    for (struct skua__health_check *at = health->checks; at != NULL; at = at->next)
        if (at->required && (atomic_load_explicit(&at->when, memory_order_acquire) == 0 ||
                             atomic_load_explicit(&at->result, memory_order_relaxed) != 0))
            good = false;
    return good;
}

int skua_http_health_check(skua_http_health *health)
{
    int rc = skua__health_refresh(health);

    return rc == 0 ? skua__health_is_ready(health) : rc;
}
