/* progress.c - how far the downloads are, on standard error.
 *
 *   a terminal    a bar for each that runs, redrawn ten times a second; who ends gets a line above
 *   else          a line for each that ends
 *
 * A bar that is redrawn begins with the cursor at the end of the last drawing, goes up as many rows
 * as that had, and clears what is below: so lines of text scroll by above the bars.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fetch.h"

#define ROWS_MAX 16
#define BAR 20

struct progress {
    struct fetch *fetch;
    bool terminal;
    size_t told; /* all before it have ended, and were told */
    unsigned rows;
    int64_t at;   /* ns: of the last drawing */
    int64_t sum;  /* bytes of all, then */
    double speed; /* bytes a second, smoothed */
};

/* "12.3 MB" */
static const char *progress_size(char *buf, size_t size, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;

    while (bytes >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        unit++;
    }
    (void)snprintf(buf, size, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return buf;
}

/* What a URL has in it may not reach a terminal as it is. */
static const char *progress_name(char *buf, size_t size, const char *name)
{
    (void)snprintf(buf, size, "%s", name);
    for (char *at = buf; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return buf;
}

/* The line of one that has ended. */
static void progress_tell(const struct progress *progress, struct download *download)
{
    bool failed = atomic_load(&download->state) == STATE_FAILED;
    int64_t resume = atomic_load(&download->resume);
    char size[24], before[24], name[FETCH_NAME];

    (void)progress_name(name, sizeof name, download->name);
    if (failed && download->rc == -EREMOTEIO)
        fprintf(stderr, "%s: failed: %d %s\n", name, download->status,
                skua_http_reason(download->status));
    else if (failed)
        fprintf(stderr, "%s: %s: %s\n", name, download->rc == -ECANCELED ? "stopped" : "failed",
                download->rc == -EEXIST ? "it is there already" : skua_strerror(download->rc));
    else if (!progress->fetch->options->quiet && resume != 0)
        fprintf(stderr, "%s: %s, of these %s were there\n", name,
                progress_size(size, sizeof size, (double)atomic_load(&download->have)),
                progress_size(before, sizeof before, (double)resume));
    else if (!progress->fetch->options->quiet)
        fprintf(stderr, "%s: %s\n", name,
                progress_size(size, sizeof size, (double)atomic_load(&download->have)));
}

/* "name                [########------------]  40 %  12.3 MB" */
static void progress_bar(struct download *download, int columns)
{
    int64_t total = atomic_load(&download->total), have = atomic_load(&download->have);
    char name[FETCH_NAME], size[24], bar[BAR + 1];
    int filled = total > 0 && have <= total ? (int)(BAR * have / total) : 0;
    int room = columns > BAR + 28 ? columns - BAR - 28 : 8;

    memset(bar, total < 0 ? '.' : '-', BAR);
    memset(bar, '#', (size_t)filled);
    bar[BAR] = '\0';
    (void)progress_name(name, sizeof name, download->name);
    fprintf(stderr, "%-*.*s [%s] ", room, room, name, bar);
    if (total > 0)
        fprintf(stderr, "%3d %%", (int)(100 * have / total));
    else
        fprintf(stderr, "     ");
    fprintf(stderr, " %9s%s\n", progress_size(size, sizeof size, (double)have),
            atomic_load(&download->state) == STATE_PAUSED ? " again" : "");
}

static int progress_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 80;
}

/* Tells of those that have ended, in their order, as far as all before them have. */
static void progress_tell_all(struct progress *progress)
{
    struct fetch *fetch = progress->fetch;

    for (; progress->told < fetch->count; progress->told++) {
        struct download *download = &fetch->downloads[progress->told];

        if (atomic_load(&download->state) < STATE_DONE)
            break;
        progress_tell(progress, download);
    }
}

/* The bars, and a row for all together. */
static void progress_draw(struct progress *progress)
{
    struct fetch *fetch = progress->fetch;
    int columns = progress_columns();
    int64_t now = skua_now(), sum = 0;
    size_t ended = 0;
    char have[24], speed[24];

    for (size_t i = 0; i < fetch->count; i++) {
        struct download *download = &fetch->downloads[i];
        int state = atomic_load(&download->state);

        sum += atomic_load(&download->have) - atomic_load(&download->resume);
        ended += state >= STATE_DONE;
        if (i < progress->told || state == STATE_WAITING || progress->rows == ROWS_MAX)
            continue;
        progress_bar(download, columns);
        progress->rows++;
    }
    if (now > progress->at && sum >= progress->sum)
        progress->speed +=
            0.2 *
            ((double)(sum - progress->sum) * 1e9 / (double)(now - progress->at) - progress->speed);
    progress->at = now;
    progress->sum = sum;
    fprintf(stderr, "%zu of %zu, %s, %s/s\n", ended, fetch->count,
            progress_size(have, sizeof have, (double)sum),
            progress_size(speed, sizeof speed, progress->speed));
    progress->rows++;
}

static void progress_step(struct progress *progress, bool last)
{
    if (progress->rows != 0)
        fprintf(stderr, "\033[%uA\r\033[J", progress->rows);
    progress->rows = 0;
    progress_tell_all(progress);
    if (progress->terminal && !last)
        progress_draw(progress);
    (void)fflush(stderr);
}

int progress_run(void *arg)
{
    struct fetch *fetch = arg;
    struct progress progress = {.fetch = fetch,
                                .terminal = isatty(STDERR_FILENO) && !fetch->options->quiet,
                                .at = skua_now()};

    while (skua_sleep(100 * SKUA_MILLISECOND) == 0)
        progress_step(&progress, false);
    progress_step(&progress, true);
    return 0;
}
