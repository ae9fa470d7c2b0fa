/* 19_line_count.c - counts the lines, words and bytes of many files, eight at a time.
 *
 * Each file is a fiber; a semaphore lets eight of them in, so that thousands of names need eight
 * descriptors and eight buffers. Reading waits on threads of the pool; what is in the page cache is
 * read at once. Without arguments it makes some files, and checks its counts.
 *
 *     cc 19_line_count.c -lskua && ./a.out *.c
 */
#include <skua/skua.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_A_TIME = 8, BUFFER = 64 << 10, MADE = 40 };

struct count {
    const char *path;
    long lines, words, bytes;
    int error;
};

static skua_semaphore entrance = SKUA_SEMAPHORE_INIT(AT_A_TIME);

/* ---- counting -------------------------------------------------------------------------------- */

static void count_part(struct count *count, const char *text, ssize_t len, int *in_word)
{
    count->bytes += len;
    for (ssize_t i = 0; i < len; i++) {
        int space = isspace((unsigned char)text[i]);

        count->lines += text[i] == '\n';
        count->words += !space && !*in_word;
        *in_word = !space;
    }
}

static int count_open(struct count *count, skua_file *file)
{
    char *buf = malloc(BUFFER);
    int in_word = 0;
    ssize_t n = -ENOMEM;

    while (buf != NULL && (n = skua_file_read(file, buf, BUFFER)) > 0)
        count_part(count, buf, n, &in_word);
    free(buf);
    return (int)n;
}

/* A file's fiber. What is wrong with one file does not end the others. */
static int count_file(void *arg)
{
    struct count *count = arg;
    skua_file *file;
    int rc = skua_semaphore_acquire(&entrance, 1);

    if (rc != 0)
        return rc;
    count->error = skua_file_open(&file, count->path, NULL);
    if (count->error == 0) {
        count->error = count_open(count, file);
        skua_file_close(file);
    }
    skua_semaphore_release(&entrance, 1);
    return 0;
}

static int count_all(struct count *counts, int many)
{
    skua_scope scope;
    int rc = skua_scope_open(&scope, SKUA_COLLECT);

    for (int i = 0; i < many && rc == 0; i++)
        rc = skua_spawn(&scope, count_file, &counts[i], .name = "count");
    if (rc < 0)
        skua_scope_cancel(&scope);
    skua_scope_join(&scope);
    return rc;
}

static int print_all(const struct count *counts, int many)
{
    struct count total = {.path = "total"};
    int failures = 0;

    for (int i = 0; i < many; i++) {
        const struct count *count = &counts[i];

        if (count->error < 0) {
            fprintf(stderr, "%s: %s\n", count->path, skua_strerror(count->error));
            failures++;
            continue;
        }
        printf("%8ld %8ld %10ld %s\n", count->lines, count->words, count->bytes, count->path);
        total.lines += count->lines;
        total.words += count->words;
        total.bytes += count->bytes;
    }
    printf("%8ld %8ld %10ld %s\n", total.lines, total.words, total.bytes, total.path);
    return failures;
}

/* ---- files of its own ------------------------------------------------------------------------ */

/* File n has n lines of two words. */
static int make_file(const char *path, int lines)
{
    char text[MADE * 16];
    size_t len = 0;

    for (int i = 0; i < lines; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "line %d\n", i % 10);
    return skua_fs_write_atomic(path, text, len, 0);
}

static int check_made(const struct count *counts)
{
    for (int i = 0; i < MADE; i++)
        if (counts[i].error < 0 || counts[i].lines != i || counts[i].words != 2 * i ||
            counts[i].bytes != 7 * i)
            return 1;
    return 0;
}

static int count_made(void)
{
    static struct count counts[MADE];
    static char paths[MADE][512];
    char *dir;
    int rc = skua_fs_temp_dir(NULL, &dir);

    if (rc != 0)
        return rc;
    for (int i = 0; i < MADE && rc == 0; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d", dir, i);
        counts[i].path = paths[i];
        rc = make_file(paths[i], i);
    }
    if (rc == 0)
        rc = count_all(counts, MADE);
    if (rc == 0 && check_made(counts) != 0)
        rc = -EIO;
    skua_fs_remove_all(dir);
    free(dir);
    if (rc == 0)
        printf("%d files counted, %d at a time: all as they were made\n", MADE, AT_A_TIME);
    return rc;
}

/* ---- the program ----------------------------------------------------------------------------- */

struct arguments {
    int many;
    char **paths;
};

static int app(void *arg)
{
    struct arguments *arguments = arg;
    struct count *counts;
    int rc;

    if (arguments->many == 0)
        return count_made();
    counts = calloc((size_t)arguments->many, sizeof *counts);
    if (counts == NULL)
        return -ENOMEM;
    for (int i = 0; i < arguments->many; i++)
        counts[i].path = arguments->paths[i];
    rc = count_all(counts, arguments->many);
    if (rc == 0 && print_all(counts, arguments->many) != 0)
        rc = -EIO;
    free(counts);
    return rc;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {argc - 1, argv + 1};

    return skua_main(app, &arguments, SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_TERM));
}
