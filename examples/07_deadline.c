/* 07_deadline.c - deadlines: one frame bounds everything below it.
 *
 * A deadline is in force for every wait of the fiber that sets it and of all tasks spawned under
 * it, however deep: nobody hands timeouts around. Deadlines nest, the earliest counts, and what
 * comes too late ends with -ETIMEDOUT. */
#include <skua/skua.h>

#include <errno.h>
#include <stdio.h>

static int asks_database(void *arg)
{
    int rc = skua_sleep(*(int64_t *)arg); /* as if; it knows of no deadline */

    printf("  the database %s\n", rc == 0 ? "answered" : "was too slow");
    return rc;
}

static int load_page(int64_t database_takes)
{
    skua_deadline deadline;
    skua_scope scope;
    int rc;

    skua_deadline_begin(&deadline, skua_now() + 200 * SKUA_MILLISECOND);
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    skua_spawn(&scope, asks_database, &database_takes);
    rc = skua_scope_join(&scope);
    skua_deadline_end(&deadline);
    return rc;
}

static int app(void *arg)
{
    int rc;

    (void)arg;
    rc = load_page(50 * SKUA_MILLISECOND);
    printf("first page: %s\n", skua_strerror(rc));
    if (rc < 0)
        return rc;
    rc = load_page(10 * SKUA_SECOND);
    printf("second page: %s\n", skua_strerror(rc));
    return rc == -ETIMEDOUT ? 0 : rc;
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
