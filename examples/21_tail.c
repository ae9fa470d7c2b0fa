/* 21_tail.c - the last lines of files, and what is added to them: tail -n, -f and -F.
 *
 *     $ 21_tail -n 20 -F /var/log/app.log /var/log/other.log     # until Ctrl-C
 *     $ make 2>&1 | 21_tail -n 5 -                               # of standard input
 *     $ 21_tail                                                  # tries itself on files of its own
 *
 * One fiber sleeps in fs_watch.h until something changes, and then looks at every file: so an event
 * too many does no harm, and lost ones (SKUA_FS_OVERFLOW) are made good by the next. A file is
 * watched before it is looked at: what happens in between is told.
 *
 *   -f   stays with the file, whatever becomes of its name
 *   -F   stays with the name: its directory is watched, too; when another file has come, the rest
 *        of the old one is told first (a program may have written on until then)
 */
#include <skua/skua.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 64 << 10, LINES_MAX = 1000000, OF_A_FILE = 1, OF_A_NAME = 2 };

struct source {
    const char *path;
    skua_file *file; /* NULL: there is none (any more) */
    int64_t at;      /* up to there it was told */
    uint64_t ino, dev;
    int watched;   /* its id */
    int directory; /* -F: its directory's; below 1: nobody will tell that it has come */
    int error;     /* what was told last; -ENOENT: it is waited for */
};

struct tail {
    int count;
    struct source *sources;
    long lines;
    int follow; /* 0, OF_A_FILE, OF_A_NAME */
    skua_io out;
    skua_fs_watch *watch;
    const struct source *last; /* whose bytes came last */
    char *buf;
    int failures;
    int broken; /* the error of what is written */
};

/* Once. */
static void complain(struct tail *tail, struct source *source, int error)
{
    if (source->error != error)
        fprintf(stderr, "tail: %s: %s\n", source->path, skua_strerror(error));
    source->error = error;
    tail->failures++;
}

static int write_out(struct tail *tail, const struct source *source, const char *text, size_t len)
{
    char head[512];
    ssize_t n = 1;

    if (tail->count > 1 && tail->last != source) {
        snprintf(head, sizeof head, "%s==> %.480s <==\n", tail->last ? "\n" : "", source->path);
        n = skua_io_write_all(tail->out, head, strlen(head));
        tail->last = source;
    }
    if (n > 0)
        n = skua_io_write_all(tail->out, text, len);
    return tail->broken = n < 0 ? (int)n : 0;
}

/* ---- standard input: as it comes, the last lines are kept ------------------------------------ */

struct line {
    char *text;
    size_t len;
};

static int keep_lines(struct tail *tail, skua_reader *in, struct line *kept)
{
    const char *line;
    size_t len;
    long count = 0;
    int rc;

    while ((rc = skua_reader_read_to(in, '\n', 0, &line, &len)) == 1 && tail->lines > 0) {
        struct line *place = &kept[count++ % tail->lines];

        free(place->text);
        place->text = malloc(len);
        if (place->text == NULL)
            return -ENOMEM;
        memcpy(place->text, line, len);
        place->len = len;
    }
    for (long i = count > tail->lines ? count - tail->lines : 0; rc == 0 && i < count; i++)
        rc = write_out(tail, tail->sources, kept[i % tail->lines].text, kept[i % tail->lines].len);
    return rc < 0 ? rc : 0;
}

static int tail_stdin(struct tail *tail)
{
    struct line *kept = calloc((size_t)tail->lines + 1, sizeof *kept);
    skua_reader *in = NULL;
    skua_fd *fd = NULL;
    int rc = kept == NULL ? -ENOMEM : skua_stdin_open(&fd);

    if (rc == 0)
        rc = skua_reader_new(&in, skua_fd_io(fd), NULL);
    if (rc == 0)
        rc = keep_lines(tail, in, kept);
    skua_reader_free(in);
    skua_fd_close(fd);
    for (long i = 0; kept != NULL && i < tail->lines; i++)
        free(kept[i].text);
    free(kept);
    return rc;
}

/* ---- a file ---------------------------------------------------------------------------------- */

/* Where its last lines begin: backwards, a buffer at a time. */
static int64_t find_lines(struct tail *tail, skua_file *file, int64_t size)
{
    long left = tail->lines;
    int64_t at = size;

    while (left > 0 && at > 0) {
        size_t len = at < BUFFER ? (size_t)at : BUFFER;
        ssize_t n = skua_file_pread_exact(file, tail->buf, len, at - (int64_t)len);

        if (n < 0)
            return n == SKUA_EEOF ? 0 : n; /* it has become shorter */
        for (; len > 0; len--, at--)       /* the end of the last line does not count */
            if (tail->buf[len - 1] == '\n' && at < size && --left <= 0)
                return at;
    }
    return at;
}

/* What was added since the last time. */
static int tell_rest(struct tail *tail, struct source *source)
{
    ssize_t n;
    int rc = 0;

    while (rc == 0 && (n = skua_file_pread(source->file, tail->buf, BUFFER, source->at)) != 0) {
        rc = n < 0 ? (int)n : write_out(tail, source, tail->buf, (size_t)n);
        source->at += n > 0 ? n : 0;
    }
    return rc;
}

static void close_source(struct tail *tail, struct source *source)
{
    if (source->watched > 0)
        (void)skua_fs_watch_remove(tail->watch, source->watched); /* gone with the file, mostly */
    skua_file_close(source->file);
    source->file = NULL;
    source->watched = 0;
}

/* By its descriptor: whatever the name means by now. */
static int watch_file(struct tail *tail, struct source *source)
{
    char name[64];

    snprintf(name, sizeof name, "/proc/self/fd/%d", skua_file_number(source->file));
    source->watched = skua_fs_watch_add(tail->watch, name, SKUA_FS_MODIFY | SKUA_FS_ATTRIB);
    return source->watched < 0 ? source->watched : 0;
}

/* Opens what the name stands for: watched, and told from its beginning. */
static int open_source(struct tail *tail, struct source *source)
{
    skua_metadata data;
    int rc = skua_fs_metadata(source->path, &data); /* first: to open a FIFO would wait */

    if (rc == 0 && data.kind != SKUA_FILE_REGULAR)
        rc = data.kind == SKUA_FILE_DIRECTORY ? -EISDIR : -ESPIPE;
    if (rc == 0)
        rc = skua_file_open(&source->file, source->path, NULL);
    if (rc == 0)
        rc = skua_file_metadata(source->file, &data);
    if (rc == 0 && tail->follow != 0)
        rc = watch_file(tail, source);
    if (rc != 0) {
        close_source(tail, source);
        return rc;
    }
    source->ino = data.ino;
    source->dev = data.dev;
    source->at = 0;
    source->error = 0;
    return 0;
}

/* ---- following ------------------------------------------------------------------------------- */

/* -F: the directory tells when another file comes to the name. */
static int watch_directory(struct tail *tail, struct source *source)
{
    const char *slash = strrchr(source->path, '/');
    size_t len = slash == NULL ? 1 : slash == source->path ? 1 : (size_t)(slash - source->path);
    char *path = strndup(slash == NULL ? "." : source->path, len);

    if (path == NULL)
        return -ENOMEM;
    source->directory = skua_fs_watch_add(tail->watch, path,
                                          SKUA_FS_CREATE | SKUA_FS_MOVED_TO | SKUA_FS_MOVED_FROM |
                                              SKUA_FS_DELETE | SKUA_FS_ATTRIB);
    free(path);
    return source->directory < 0 ? source->directory : 0;
}

/* -F: whether the name is another file's than the one that is open. */
static int look_at_name(struct tail *tail, struct source *source)
{
    skua_metadata data;
    int rc = skua_fs_metadata(source->path, &data);

    if (rc == -ENOENT) {
        if (source->error != rc)
            fprintf(stderr, "tail: %s: gone; waiting for another\n", source->path);
        source->error = rc;
        return 0; /* what is open may still grow */
    }
    if (rc != 0 || (source->file != NULL && data.ino == source->ino && data.dev == source->dev))
        return rc;
    if (source->file != NULL) {
        rc = tell_rest(tail, source);
        close_source(tail, source);
        if (rc == 0)
            fprintf(stderr, "tail: %s: another file has come\n", source->path);
    }
    return rc == 0 ? open_source(tail, source) : rc;
}

static int look_at(struct tail *tail, struct source *source)
{
    skua_metadata data;
    int rc = tail->follow == OF_A_NAME ? look_at_name(tail, source) : 0;

    if (rc != 0 || source->file == NULL)
        return rc == -ENOENT ? 0 : rc; /* gone between two looks: the directory tells more */
    rc = skua_file_metadata(source->file, &data);
    if (rc == 0 && (int64_t)data.size < source->at) {
        fprintf(stderr, "tail: %s: it was cut\n", source->path);
        source->at = 0;
    }
    return rc == 0 ? tell_rest(tail, source) : rc;
}

/* Ends with the task, when nobody reads, or when no file is left. */
static int follow(struct tail *tail)
{
    skua_fs_event event;
    int rc = 0, left = tail->count;

    while (rc == 0 && left > 0) {
        left = 0;
        for (int i = 0; rc == 0 && i < tail->count; i++) {
            struct source *source = &tail->sources[i];

            rc = look_at(tail, source);
            if (rc < 0 && rc != -ECANCELED && tail->broken == 0) {
                complain(tail, source, rc);
                close_source(tail, source);
                rc = 0;
            }
            left += source->file != NULL || source->directory > 0;
        }
        if (rc == 0 && left > 0)
            rc = skua_fs_watch_next(tail->watch, &event);
        while (rc == 0 && skua_fs_watch_try_next(tail->watch, &event) == 0)
            continue; /* one look for all of them */
    }
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int begin_source(struct tail *tail, struct source *source)
{
    skua_metadata data;
    int rc = tail->follow == OF_A_NAME ? watch_directory(tail, source) : 0;

    if (rc == 0)
        rc = open_source(tail, source);
    if (rc == 0)
        rc = skua_file_metadata(source->file, &data);
    if (rc != 0)
        return rc;
    source->at = find_lines(tail, source->file, (int64_t)data.size);
    return source->at < 0 ? (int)source->at : tell_rest(tail, source);
}

static int tail_files(struct tail *tail)
{
    int rc = tail->follow != 0 ? skua_fs_watch_open(&tail->watch) : 0;

    for (int i = 0; rc == 0 && i < tail->count; i++) {
        int failed = begin_source(tail, &tail->sources[i]);

        if (failed == -ECANCELED || tail->broken != 0)
            rc = failed;
        else if (failed != 0)
            complain(tail, &tail->sources[i], failed);
    }
    if (rc == 0 && tail->follow != 0)
        rc = follow(tail);
    for (int i = 0; i < tail->count; i++)
        close_source(tail, &tail->sources[i]);
    skua_fs_watch_close(tail->watch);
    return rc;
}

static int tail_all(void *arg)
{
    struct tail *tail = arg;
    int rc;

    tail->buf = malloc(BUFFER);
    if (tail->buf == NULL)
        return -ENOMEM;
    rc = strcmp(tail->sources[0].path, "-") == 0 ? tail_stdin(tail) : tail_files(tail);
    free(tail->buf);
    return rc;
}

static int tail_to_stdout(void *arg)
{
    struct tail *tail = arg;
    skua_fd *out;
    int rc = tail->sources == NULL ? -ENOMEM : skua_stdout_open(&out);

    if (rc != 0)
        return rc;
    tail->out = skua_fd_io(out);
    rc = tail_all(tail);
    skua_fd_close(out);
    return rc == -EPIPE ? 0 : rc; /* nobody wants more */
}

/* ---- on files of its own --------------------------------------------------------------------- */

#define APPEND SKUA_FILE_OPTIONS(.append = 1)
#define CUT SKUA_FILE_OPTIONS(.write = 1, .truncate = 1)
#define MAKE SKUA_FILE_OPTIONS(.write = 1, .create = 1)

struct trial {
    char paths[2][512], old[512];
    skua_fd *end; /* of the pipe into which the follower writes */
};

static int change(const char *path, const skua_file_options *how, const char *text)
{
    skua_file *file;
    int rc = skua_file_open(&file, path, how);

    if (rc != 0)
        return rc;
    rc = (int)skua_file_write_all(file, text, strlen(text));
    skua_file_close(file);
    return rc < 0 ? rc : 0;
}

/* What the follower wrote, within 10 s. */
static int hears(struct trial *trial, const char *text)
{
    char heard[256];
    ssize_t len = (ssize_t)strlen(text);
    ssize_t n = skua_io_read_exact_until(skua_fd_io(trial->end), heard, (size_t)len,
                                         skua_now() + 10 * SKUA_SECOND);

    return n == len && memcmp(heard, text, (size_t)len) == 0 ? 0 : -EIO;
}

#define STEP(rc, call) (rc) = (rc) == 0 ? (call) : (rc)

static int try_changes(struct trial *trial)
{
    const char *a = trial->paths[0], *b = trial->paths[1];
    char text[128];
    int rc = 0;

    snprintf(text, sizeof text, "==> %.100s <==\n", a);
    STEP(rc, hears(trial, text));
    STEP(rc, hears(trial, "three\nfour\n"));
    STEP(rc, change(a, APPEND, "five\n"));
    STEP(rc, hears(trial, "five\n"));
    STEP(rc, change(a, CUT, "cut\n"));
    STEP(rc, hears(trial, "cut\n"));
    STEP(rc, skua_fs_rename(a, trial->old, 0));
    STEP(rc, change(trial->old, APPEND, "late\n")); /* who has it open writes on */
    STEP(rc, change(a, MAKE, "new\n"));
    STEP(rc, hears(trial, "late\nnew\n"));
    STEP(rc, change(a, APPEND, "newer\n"));
    STEP(rc, hears(trial, "newer\n"));
    STEP(rc, change(b, MAKE, "other\n"));
    snprintf(text, sizeof text, "\n==> %.100s <==\n", b);
    STEP(rc, hears(trial, text));
    STEP(rc, hears(trial, "other\n"));
    return rc;
}

static int try_following(struct trial *trial)
{
    struct source sources[2] = {{.path = trial->paths[0]}, {.path = trial->paths[1]}};
    struct tail tail = {.count = 2, .sources = sources, .lines = 2, .follow = OF_A_NAME};
    skua_task *task = NULL;
    skua_fd *writer;
    int result = 0;
    int rc = change(trial->paths[0], MAKE, "one\ntwo\nthree\nfour\n");

    STEP(rc, skua_pipe_new(&trial->end, &writer, NULL));
    if (rc != 0)
        return rc;
    tail.out = skua_fd_io(writer);
    rc = skua_spawn(NULL, tail_all, &tail, .task = &task);
    if (rc == 0) {
        rc = try_changes(trial);
        skua_task_cancel(task); /* as Ctrl-C does */
        skua_task_join(task, &result);
    }
    skua_fd_close(writer);
    skua_fd_close(trial->end);
    return rc == 0 && result != -ECANCELED ? -EIO : rc;
}

static int try_itself(void *arg)
{
    static struct trial trial;
    char *dir;
    int rc = skua_fs_temp_dir(arg, &dir);

    if (rc != 0)
        return rc;
    snprintf(trial.paths[0], sizeof trial.paths[0], "%s/a", dir);
    snprintf(trial.paths[1], sizeof trial.paths[1], "%s/b", dir); /* comes later */
    snprintf(trial.old, sizeof trial.old, "%s/a.1", dir);
    rc = try_following(&trial);
    skua_fs_remove_all(dir);
    free(dir);
    if (rc == 0)
        printf("followed: added to, cut, replaced, and a file that came later\n");
    return rc;
}

/* ---- the program ----------------------------------------------------------------------------- */

static int usage(const char *what, const char *which)
{
    fprintf(stderr,
            "tail: %s%s\n"
            "usage: 21_tail [-n LINES] [-f | -F] FILE...\n"
            "  -n LINES  the last LINES lines, 0 to %d (10)\n"
            "  -f, -F    and what is added to the file, or to any of that name, until Ctrl-C\n"
            "  FILE      - alone: standard input, which is not followed\n",
            what, which, LINES_MAX);
    return 2;
}

int main(int argc, char **argv)
{
    const skua_runtime_options *options =
        SKUA_RUNTIME_OPTIONS(.name = "tail", .kind = SKUA_CURRENT_THREAD,
                             .stop_on = SKUA_SIGNALS_TERM);
    struct tail tail = {.lines = 10};
    int at = 1, status;

    if (argc == 1)
        return skua_main(try_itself, NULL, options);
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        char *end = argv[at];

        if (strcmp(argv[at], "-f") == 0)
            tail.follow = OF_A_FILE;
        else if (strcmp(argv[at], "-F") == 0)
            tail.follow = OF_A_NAME;
        else if (strcmp(argv[at], "-n") != 0)
            return usage("no such option: ", argv[at]);
        else if (++at == argc)
            return usage("-n wants a number", "");
        else if ((tail.lines = strtol(argv[at], &end, 10)) < 0 || tail.lines > LINES_MAX ||
                 end == argv[at] || *end != '\0')
            return usage("not a number of lines: ", argv[at]);
    }
    tail.count = argc - at;
    if (tail.count <= 0)
        return usage("which file?", "");
    for (int i = at; i < argc && (tail.count > 1 || tail.follow != 0); i++)
        if (strcmp(argv[i], "-") == 0)
            return usage("standard input is alone, and not followed", "");
    tail.sources = calloc((size_t)tail.count, sizeof *tail.sources);
    for (int i = 0; tail.sources != NULL && i < tail.count; i++)
        tail.sources[i].path = argv[at + i];
    status = skua_main(tail_to_stdout, &tail, options);
    free(tail.sources);
    return status != 0 || tail.failures > 0;
}
