/* main.c - fetch: downloads several URLs at a time, with progress bars, and goes on where it was
 * cut.
 *
 * Try it:   fetch -j 4 http://127.0.0.1:8080/a http://127.0.0.1:8080/b
 *
 * Read it in this order:
 *
 *   main.c        options; a few fibers that take URLs from a list
 *   download.c    one download: ranges, retries
 *   part.c        the file that is being filled, and what it is a part of
 *   progress.c    the bars
 *
 * A body is never in memory as a whole: what has come is written, and the server waits as long as
 * that takes. Ctrl-C cancels all waits: the parts stay, and the next run goes on with them.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"

#define JOBS_MAX 256
#define BURST ((int64_t)65536)

static const char main_usage[] =
    "Usage: fetch [option]... URL...\n"
    "Downloads URLs into files of their last names, as an example of the Skua runtime.\n"
    "\n"
    "  -o FILE            write the only URL to FILE\n"
    "  -d DIRECTORY       write into DIRECTORY\n"
    "  -j N               downloads at a time (default 4)\n"
    "  -r N               times that one is tried again (default 4)\n"
    "  --limit-rate N     bytes a second of all together; 100k, 2m\n"
    "  -f                 replace files that are there\n"
    "  -q                 say nothing but errors\n"
    "\n"
    "What is cut off stays as FILE.part; the next run with the same URL goes on with it, if the\n"
    "server can do that. Status 0: all are there; 1: some are not; 2: a mistake in the command\n"
    "line; 130: it was stopped.\n";

/* ---- options --------------------------------------------------------------------------------- */

static int main_refuse(const char *what, const char *word)
{
    fprintf(stderr, "fetch: %s: '%s' (see --help)\n", what, word);
    return 2;
}

/* "64", "64k", "2m"; -1: it is no number from 0 to max. */
static int64_t main_number(const char *text, int64_t max)
{
    char *end;
    long long number = strspn(text, "0123456789") <= 12 ? strtoll(text, &end, 10) : -1;

    if (*text < '0' || *text > '9' || number < 0)
        return -1;
    if (*end == 'k' || *end == 'm')
        number *= *end++ == 'k' ? 1000 : 1000000;
    return *end == '\0' && number <= max ? number : -1;
}

static int main_set(struct options *options, int which, const char *text)
{
    int64_t number = text != NULL ? main_number(text, (int64_t)1 << 40) : 0;

    switch (which) {
    case 'o':
        options->output = text;
        return 0;
    case 'd':
        options->directory = text;
        return 0;
    case 'f':
        options->force = true;
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case 'j':
        options->jobs = number;
        return number >= 1 && number <= JOBS_MAX ? 0 : main_refuse("-j is 1 to 256", text);
    case 'r':
        options->retries = number;
        return number >= 0 && number <= 1000 ? 0 : main_refuse("-r is 0 to 1000", text);
    case 'l':
        options->rate = number;
        return number >= 1 ? 0 : main_refuse("--limit-rate is a number of bytes", text);
    case 'h':
        fputs(main_usage, stdout);
        return -1;
    default: /* getopt has said what is wrong */
        return 2;
    }
}

/* The status of a mistake; -1: nothing more to do; 0. */
static int main_options(struct options *options, int argc, char **argv)
{
    static const struct option longs[] = {{"limit-rate", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int which, rc = 0;

    while (rc == 0 && (which = getopt_long(argc, argv, "o:d:j:r:fqh", longs, NULL)) != -1)
        rc = main_set(options, which, optarg);
    if (rc == 0 && optind == argc) {
        fputs(main_usage, stderr);
        return 2;
    }
    if (rc == 0 && options->output != NULL && argc - optind > 1)
        return main_refuse("-o is for one URL", options->output);
    return rc;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Behind the last slash of the path, as it stands there: it cannot lead out of the directory. */
static int main_name(const struct options *options, struct download *download)
{
    const char *path = strstr(download->url, "://");
    size_t len;
    int n;

    path = path != NULL ? path + 3 : download->url;
    len = strcspn(path, "?#");
    for (size_t i = len; i-- > 0;)
        if (path[i] == '/') {
            path += i + 1;
            len -= i + 1;
            break;
        } else if (i == 0) {
            len = 0; /* a host alone */
        }
    if (len == 0 || strncmp(path, "..", len) == 0) {
        path = "index.html";
        len = strlen(path);
    }
    if (options->output != NULL)
        n = snprintf(download->name, FETCH_NAME, "%s", options->output);
    else
        n = snprintf(download->name, FETCH_NAME, "%s%s%.*s",
                     options->directory != NULL ? options->directory : "",
                     options->directory != NULL ? "/" : "", (int)len, path);
    return n > 0 && n < FETCH_NAME ? 0 : main_refuse("the name is too long", download->url);
}

static int main_downloads(struct fetch *fetch, char **urls, size_t count)
{
    fetch->downloads = calloc(count, sizeof *fetch->downloads);
    if (fetch->downloads == NULL)
        return main_refuse("no memory", urls[0]);
    for (size_t i = 0; i < count; i++) {
        struct download *download = &fetch->downloads[i];

        download->url = urls[i];
        atomic_store(&download->total, -1);
        if (main_name(fetch->options, download) != 0)
            return 2;
        for (size_t k = 0; k < i; k++)
            if (strcmp(fetch->downloads[k].name, download->name) == 0)
                return main_refuse("two URLs would be the same file", download->name);
    }
    fetch->count = count;
    return 0;
}

/* ---- the work -------------------------------------------------------------------------------- */

static int main_worker(void *arg)
{
    struct fetch *fetch = arg;
    size_t i;

    while (skua_cancelled() == 0 && (i = atomic_fetch_add(&fetch->next, 1)) < fetch->count)
        download_run(fetch, &fetch->downloads[i]);
    return 0;
}

static int main_work(struct fetch *fetch)
{
    skua_scope work, drawing;
    int rc;

    (void)skua_scope_open(&drawing, SKUA_COLLECT);
    (void)skua_scope_open(&work, SKUA_COLLECT);
    rc = skua_spawn(&drawing, progress_run, fetch, .name = "progress");
    for (int64_t i = 0; rc >= 0 && i < fetch->options->jobs && (size_t)i < fetch->count; i++)
        rc = skua_spawn(&work, main_worker, fetch, .name = "download");
    if (rc < 0)
        (void)skua_scope_cancel(&work);
    (void)skua_scope_join(&work);
    (void)skua_scope_cancel(&drawing);
    (void)skua_scope_join(&drawing);
    return rc < 0 ? rc : skua_cancelled();
}

static int main_run(void *arg)
{
    struct fetch *fetch = arg;
    const struct options *options = fetch->options;
    int64_t burst = options->rate < BURST ? BURST : options->rate;
    int rc = skua_http_client_new(
        &fetch->client,
        SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = (size_t)options->jobs,
                                 .user_agent = "skua-fetch/" SKUA_VERSION, .proxy_from_env = 1));

    if (rc == 0 && options->rate != 0)
        rc = skua_rate_limiter_init(
            &fetch->rate,
            SKUA_RATE_LIMITER_OPTIONS(.rate = (uint64_t)options->rate, .burst = (uint64_t)burst));
    if (rc == 0)
        rc = main_work(fetch);
    if (fetch->client != NULL)
        (void)skua_http_client_free(fetch->client);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options = {.jobs = 4, .retries = 4};
    struct fetch fetch = {.options = &options};
    bool stopped = false;
    size_t done = 0;
    int rc = main_options(&options, argc, argv);

    (void)setvbuf(stderr, NULL, _IOFBF, 16384); /* a drawing is one write */
    if (rc == 0)
        rc = main_downloads(&fetch, argv + optind, (size_t)(argc - optind));
    if (rc != 0) {
        free(fetch.downloads);
        return rc < 0 ? 0 : rc;
    }
    rc = skua_main(main_run, &fetch,
                   SKUA_RUNTIME_OPTIONS(.name = "fetch", .stop_on = SKUA_SIGNALS_TERM));
    for (size_t i = 0; i < fetch.count; i++) {
        int state = atomic_load(&fetch.downloads[i].state);

        done += state == STATE_DONE;
        stopped |= state == STATE_WAITING || fetch.downloads[i].rc == -ECANCELED;
    }
    free(fetch.downloads);
    if (rc == 0 && stopped)
        return 130;
    return rc != 0 || done != fetch.count ? 1 : 0;
}
