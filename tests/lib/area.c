/* area.c - a directory for the files of a test. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "area.h"

#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

#include "harness.h"

void test_area_open(struct test_area *area)
{
    const char *above = getenv("TMPDIR");

    snprintf(area->path, sizeof area->path, "%.200s/skua-test-XXXXXX",
             above && *above ? above : "/tmp");
    area->next = 0;
    MUST(mkdtemp(area->path) != NULL);
}

static int removes(const char *path, TEST_UNUSED const struct stat *status, TEST_UNUSED int type,
                   TEST_UNUSED struct FTW *ftw)
{
    return remove(path);
}

void test_area_close(struct test_area *area)
{
    CHECK_EQ(nftw(area->path, removes, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *test_area_name(struct test_area *area, const char *file)
{
    char *name = area->name[area->next++ % TEST_LEN(area->name)];
    size_t above = strlen(area->path), len = strlen(file);

    MUST(above + len + 2 <= TEST_PATH);
    memcpy(name, area->path, above);
    name[above] = '/';
    memcpy(name + above + 1, file, len + 1);
    return name;
}

const char *test_area_put(struct test_area *area, const char *file, const char *text)
{
    const char *name = test_area_name(area, file);
    FILE *out = fopen(name, "w");

    MUST(out != NULL);
    MUST(fputs(text, out) >= 0);
    MUST(fclose(out) == 0);
    return name;
}

int test_area_has(struct test_area *area, const char *file, const char *text)
{
    FILE *in = fopen(test_area_name(area, file), "r");
    char found[4096];
    size_t len;

    if (in == NULL)
        return 0;
    len = fread(found, 1, sizeof found, in);
    fclose(in);
    return len == strlen(text) && memcmp(found, text, len) == 0;
}

int test_area_count(struct test_area *area)
{
    DIR *dir = opendir(area->path);
    int count = -2;

    MUST(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}
