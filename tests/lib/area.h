/* area.h - a directory for the files of a test, and looks at it by plain system calls. */
#ifndef SKUA_TESTS_AREA_H
#define SKUA_TESTS_AREA_H

#include <stddef.h>

#define TEST_PATH 256

struct test_area {
    char path[TEST_PATH];
    char name[16][TEST_PATH]; /* what test_area_name returned last */
    unsigned next;
};

/* Makes a new directory. */
void test_area_open(struct test_area *area);
/* Removes it with all that is in it. */
void test_area_close(struct test_area *area);
/* The path of a file in it; the last sixteen are there at a time. */
const char *test_area_name(struct test_area *area, const char *file);
/* Makes a file in it with this text, and returns its path. */
const char *test_area_put(struct test_area *area, const char *file, const char *text);
/* Whether a file has exactly this text. */
int test_area_has(struct test_area *area, const char *file, const char *text);
/* How many entries there are in it. */
int test_area_count(struct test_area *area);

#endif
