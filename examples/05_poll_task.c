/* 05_poll_task.c - stackless tasks: a hundred thousand of them in some megabytes.
 *
 * A poll task is a function that is called again and again on a state struct. The SKUA_ macros
 * write the state machine; what must live over an SKUA_AWAIT is a member of the struct, the future
 * that is awaited among it. The state is copied into the task at the spawn. */
#include <skua/skua.h>

#include <stdio.h>

enum { LIGHTS = 100000 };

struct blink {
    skua_async async;
    int n;
    skua_sleep_future sleep;
};

static skua_poll blink(void *state, skua_waker *waker)
{
    struct blink *self = state;

    SKUA_ASYNC(self, waker);
    for (self->n = 0; self->n < 3; self->n++)
        SKUA_AWAIT(skua_sleep_init(&self->sleep, 100 * SKUA_MILLISECOND));
    SKUA_ASYNC_END(0);
}

static int app(void *arg)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    skua_scope scope;
    int rc = 0;

    (void)arg;
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < LIGHTS && rc == 0; i++)
        rc = skua_spawn_poll(&scope, blink, &(struct blink){0}, .name = "light");
    skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0);
    printf("%llu tasks in %llu KiB\n", (unsigned long long)stats.alive_tasks,
           (unsigned long long)stats.cells_bytes / 1024);
    rc = skua_scope_join(&scope);
    printf("all lights blinked three times\n");
    return rc;
}

int main(void)
{
    return skua_main(app, NULL, NULL);
}
