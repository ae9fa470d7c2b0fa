/* usage.c - what the process holds and uses, as the kernel tells it in /proc/self. */
#include "usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulated.h"
#include "harness.h"

static int entry_count(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;

    MUST(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

int test_fd_count(void)
{
    test_kqueues_close();
    return entry_count("/proc/self/fd") - 1;
}

/* Looks of 10 ms. */
#define SETTLE (2 * TEST_LATE / MS(10))

int test_fd_settle(int count)
{
    for (int i = 0; i < SETTLE && test_fd_count() != count; i++)
        skua_sleep(MS(10));
    return test_fd_count();
}

int test_thread_count(void)
{
    return entry_count("/proc/self/task");
}

int test_thread_settle(int count)
{
    for (int i = 0; i < SETTLE && test_thread_count() != count; i++)
        test_thread_sleep(MS(10));
    return test_thread_count();
}

int64_t test_resident(void)
{
    long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    MUST(file != NULL);
    MUST(fscanf(file, "%lld %lld", &size, &resident) == 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static void read_text(const char *tid, const char *name, char *text, size_t size)
{
    char path[320];
    FILE *file;
    size_t len = 0;

    snprintf(path, sizeof path, "/proc/self/task/%s/%s", tid, name);
    file = fopen(path, "r");
    if (file) {
        len = fread(text, 1, size - 1, file);
        fclose(file);
    }
    text[len] = '\0';
}

static void add_thread(const char *tid, struct test_usage *usage)
{
    char text[4096];
    const char *line;

    read_text(tid, "status", text, sizeof text);
    line = strstr(text, "\nvoluntary_ctxt_switches:");
    if (line)
        usage->switches += atoll(strchr(line, ':') + 1);
    read_text(tid, "schedstat", text, sizeof text);
    usage->cpu_ns += atoll(text);
    usage->threads++;
}

void test_usage_of(const char *prefix, struct test_usage *usage)
{
    DIR *dir = opendir("/proc/self/task");
    char name[64];

    MUST(dir != NULL);
    *usage = (struct test_usage){0};
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        read_text(entry->d_name, "comm", name, sizeof name);
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            add_thread(entry->d_name, usage);
    }
    closedir(dir);
}
