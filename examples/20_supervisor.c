/* 20_supervisor.c - a supervisor of processes: what fails is started again, later and later.
 *
 *     $ 20_supervisor                                # three small children, for half a second
 *     $ 20_supervisor 'exec server 80' 'exec cron'   # until SIGINT or SIGTERM
 *
 * Each child has a fiber. A child that ends well is done; one that fails is started again after a
 * pause that doubles, and that is short again after a child that ran for a while. The end cancels
 * the fibers: each asks its child to go with SIGTERM, waits, and kills what is still there, with
 * all that it has started: children lead process groups.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <skua/skua.h>

#define PAUSE_MIN (20 * SKUA_MILLISECOND)
#define PAUSE_MAX (10 * SKUA_SECOND)
#define RAN_WELL (5 * SKUA_SECOND)
#define GRACE SKUA_SECOND
#define DEMO (500 * SKUA_MILLISECOND)

static const char *const demo[] = {
    "echo working; exec sleep 60",            /* goes when it is asked to */
    "echo failing; exit 3",                   /* is started again and again */
    "trap '' TERM; echo stubborn; sleep 0.1", /* ends by itself */
};

static void report(const char *script, const skua_process_status *status)
{
    if (status->signal != 0)
        printf("[%s] ended by signal %d\n", script, status->signal);
    else
        printf("[%s] ended with %d\n", script, status->code);
}

/* The fiber is cancelled: a shield lets it wait once more. */
static void stop(skua_process *process, skua_process_status *status)
{
    (void)skua_shield_begin();
    (void)skua_process_signal_group(process, SIGTERM);
    if (skua_process_wait_until(process, status, skua_now() + GRACE) == -ETIMEDOUT) {
        (void)skua_process_signal_group(process, SIGKILL);
        if (skua_process_wait(process, status) != 0)
            fprintf(stderr, "a child does not end\n");
    }
    (void)skua_shield_end();
}

/* One run of a child: 0 or the wait's error, or the spawn's. */
static int run(const char *script, skua_process_status *status)
{
    skua_process *process;
    int rc = skua_process_spawn(&process, SKUA_ARGV("sh", "-c", script), .in = SKUA_STDIO_NULL,
                                .group = SKUA_PROCESS_GROUP, .kill_on_close = SIGKILL);

    if (rc != 0)
        return rc;
    rc = skua_process_wait(process, status);
    if (rc == -ECANCELED)
        stop(process, status);
    (void)skua_process_close(process);
    report(script, status);
    return rc;
}

static int supervise(void *arg)
{
    const char *script = arg;
    skua_process_status status = {.code = -1};
    int64_t pause = PAUSE_MIN;
    int rc;

    do {
        int64_t begin = skua_now();

        rc = run(script, &status);
        if (rc == 0 && status.code == 0)
            return 0;
        if (rc != 0 && rc != -ECANCELED)
            printf("[%s] does not start: %s\n", script, skua_strerror(rc));
        if (skua_now() - begin >= RAN_WELL)
            pause = PAUSE_MIN;
        if (rc != -ECANCELED)
            rc = skua_sleep(pause);
        pause = 2 * pause < PAUSE_MAX ? 2 * pause : PAUSE_MAX;
    } while (rc == 0);
    return 0;
}

struct job {
    int count;
    char **scripts; /* NULL: the demonstration */
};

static int run_all(void *arg)
{
    struct job *job = arg;
    int count = job->scripts != NULL ? job->count : (int)(sizeof demo / sizeof demo[0]);
    skua_scope scope;
    int rc = skua_scope_open(&scope, SKUA_COLLECT);

    if (rc != 0)
        return rc;
    for (int i = 0; rc == 0 && i < count; i++) {
        const char *script = job->scripts != NULL ? job->scripts[i] : demo[i];

        rc = skua_spawn(&scope, supervise, (void *)(uintptr_t)script);
    }
    if (rc == 0 && job->scripts == NULL)
        (void)skua_sleep(DEMO);
    if (rc != 0 || job->scripts == NULL)
        (void)skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope); /* a signal cancels it, and with it the fibers */
    return rc;
}

int main(int argc, char **argv)
{
    struct job job = {.count = argc - 1, .scripts = argc > 1 ? argv + 1 : NULL};

    setvbuf(stdout, NULL, _IOLBF, 0);
    return skua_main(run_all, &job,
                     SKUA_RUNTIME_OPTIONS(.name = "supervisor",
                                          .stop_on = SKUA_SIGNALS_INT | SKUA_SIGNALS_TERM_ONLY));
}
