/* 04_scope_cancel.c - structured concurrency: a scope answers for its tasks.
 *
 * Nothing outlives skua_scope_join. With SKUA_FAIL_FAST the first failure cancels the others: their
 * waits return -ECANCELED, so that they clean up with their own code. A shield makes room for a
 * cleanup that has to wait itself. */
#include <skua/skua.h>

#include <errno.h>
#include <stdio.h>

static int downloads(void *arg)
{
    const char *what = arg;
    int rc = skua_sleep(10 * SKUA_SECOND); /* as if */

    if (rc == -ECANCELED) {
        skua_shield_begin();
        skua_sleep(20 * SKUA_MILLISECOND); /* says goodbye to its server */
        skua_shield_end();
        printf("%s: cancelled, and cleaned up\n", what);
    }
    return rc;
}

static int fails(void *arg)
{
    (void)arg;
    skua_sleep(100 * SKUA_MILLISECOND);
    printf("prices: the server is gone\n");
    return -ECONNRESET;
}

static int app(void *arg)
{
    skua_scope scope;
    int rc;

    (void)arg;
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    skua_spawn(&scope, downloads, "pictures");
    skua_spawn(&scope, downloads, "texts");
    skua_spawn(&scope, fails, NULL);
    rc = skua_scope_join(&scope);
    printf("the page is not to be had: %s\n", skua_strerror(rc));
    return rc == -ECONNRESET ? 0 : rc;
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
