/* shell.c - see shell.h. */
#include "shell.h"

#include <dirent.h>
#include <unistd.h>

#include "usage.h"

skua_process *shell_start_with(const char *script, const skua_process_options *options)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    skua_process *process = NULL;

    CHECK_EQ(skua_process_spawn_with(&process, argv, options), 0);
    MUST(process != NULL);
    return process;
}

int shell_finish(skua_process *process, char *text, size_t size)
{
    skua_fd *out = skua_process_take_out(process);
    skua_process_status status = {.code = -2};
    size_t len = 0;
    ssize_t n = 1;

    while (out != NULL && n > 0 && len < size - 1) {
        n = skua_fd_read(out, text + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    CHECK(out == NULL || n == 0);
    text[len] = '\0';
    CHECK_EQ(skua_fd_close(out), 0);
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK_EQ(skua_process_close(process), 0);
    return status.code;
}

int shell_run(const char *script)
{
    char text[1];

    return shell_finish(shell_start(script), text, sizeof text);
}

/* The children of /proc's process `name`: 1 when it is ours, 1,000 when it is a zombie. */
static int shell_count(const char *name)
{
    char path[300], state;
    int parent, count = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/stat", name);
    file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*d (%*[^)]) %c %d", &state, &parent) == 2 && parent == getpid())
        count = state == 'Z' ? 1000 : 1;
    fclose(file);
    return count;
}

int shell_children(void)
{
    int64_t end = skua_now() + 2 * TEST_LATE;
    struct dirent *entry;
    int count;
    DIR *dir;

    do {
        count = 0;
        dir = opendir("/proc");
        MUST(dir != NULL);
        while ((entry = readdir(dir)) != NULL)
            if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
                count += shell_count(entry->d_name);
        closedir(dir);
        if (count >= 1000)
            test_thread_sleep(MS(1));
    } while (count >= 1000 && skua_now() < end);
    return count;
}

int shell_children_settle(int count)
{
    int64_t end = skua_now() + 2 * TEST_LATE;
    int now;

    while ((now = shell_children()) != count && skua_now() < end)
        test_thread_sleep(MS(1));
    return now;
}

int shell_quiet_fds(void)
{
    int64_t end = skua_now() + 2 * TEST_LATE;
    struct test_usage usage;

    do {
        test_usage_of("skua-reaper", &usage);
        if (usage.threads != 0)
            test_thread_sleep(MS(5));
    } while (usage.threads != 0 && skua_now() < end);
    CHECK_EQ(usage.threads, 0);
    return test_fd_count();
}
