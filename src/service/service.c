/* service.c - the datagrams to a service manager, and the descriptors from it.
 *
 * Notify     one socket a message: they are few, and a service may change its root or its user
 *            between two. A name with '@' in front is in the abstract namespace.
 * Trap       the numbers in the environment are for the process that is named beside them: children
 *            inherit them, and are not meant.
 */
#include <skua/service.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "os/os.h"

#define SERVICE_STATUS_MAX 500

/* ---- notify ---------------------------------------------------------------------------------- */

/* The length of the address, or -EINVAL. */
static int service_address(const char *path, struct sockaddr_un *ret)
{
    size_t len = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof ret->sun_path)
        return -EINVAL;
    memset(ret, 0, sizeof *ret);
    ret->sun_family = AF_UNIX;
    memcpy(ret->sun_path, path, len);
    if (path[0] == '@')
        ret->sun_path[0] = '\0';
    return (int)(offsetof(struct sockaddr_un, sun_path) + len);
}

int skua_service_notify(const char *state)
{
    const char *path = skua__os_env("NOTIFY_SOCKET");
    struct sockaddr_un address;
    int64_t rc;
    int len;
    int fd;

    if (state == NULL || *state == '\0')
        return -EINVAL;
    if (path == NULL)
        return 0;
    len = service_address(path, &address);
    if (len < 0)
        return len;
    fd = skua__os_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    rc = skua__os_connect(fd, (const struct sockaddr *)&address, (unsigned)len);
    if (rc == 0)
        rc = skua__os_send(fd, state, strlen(state), 0);
    (void)skua__os_close(fd);
    return rc < 0 ? (int)rc : 1;
}

int skua_service_ready(void)
{
    return skua_service_notify("READY=1");
}

int skua_service_stopping(void)
{
    return skua_service_notify("STOPPING=1");
}

int skua_service_status(const char *text)
{
    char state[SERVICE_STATUS_MAX + sizeof "STATUS="];

    if (text == NULL || strchr(text, '\n') != NULL) /* what comes behind would be another word */
        return -EINVAL;
    snprintf(state, sizeof state, "STATUS=%s", text);
    return skua_service_notify(state);
}

/* ---- the environment ------------------------------------------------------------------------- */

/* A number of the environment. -ENOENT: there is none; -EINVAL: no number, or above `most`. */
static int64_t service_number(const char *name, int64_t most)
{
    const char *at = skua__os_env(name);
    int64_t value = 0;

    if (at == NULL)
        return -ENOENT;
    if (*at == '\0')
        return -EINVAL;
    for (; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return -EINVAL;
        value = value * 10 + (*at - '0');
        if (value > most)
            return -EINVAL;
    }
    return value;
}

/* The number if it is meant for this process; 0: there is none for it. */
static int64_t service_mine(const char *name, int64_t most, const char *pid_name, bool pid_needed)
{
    int64_t value = service_number(name, most);
    int64_t pid = service_number(pid_name, INT32_MAX);

    if (value == -ENOENT || (pid == -ENOENT && pid_needed))
        return 0;
    if (value < 0 || pid == -EINVAL)
        return -EINVAL;
    return pid == -ENOENT || pid == skua__os_process_id() ? value : 0;
}

/* ---- watchdog -------------------------------------------------------------------------------- */

int64_t skua_service_watchdog_interval(void)
{
    int64_t most = SKUA_FOREVER / SKUA_MICROSECOND;
    int64_t usec = service_mine("WATCHDOG_USEC", most - 1, "WATCHDOG_PID", false);

    return usec <= 0 ? usec : usec * SKUA_MICROSECOND;
}

static int service_pings(void *arg)
{
    int64_t interval = skua_service_watchdog_interval();

    (void)arg;
    do {
        (void)skua_service_notify("WATCHDOG=1"); /* lost: the next one comes in time */
    } while (skua_sleep(interval / 2) == 0);
    return 0;
}

int skua_service_watchdog(skua_runtime *runtime)
{
    int64_t interval = skua_service_watchdog_interval();
    int rc;

    if (interval <= 0)
        return (int)interval;
    rc = skua_spawn_on(runtime, service_pings, NULL, .name = "service.watchdog");
    return rc == 0 ? 1 : rc;
}

/* ---- socket activation ----------------------------------------------------------------------- */

int skua_service_listen_fds(char *names, size_t len)
{
    int64_t count = service_mine("LISTEN_FDS", INT32_MAX - SKUA_SERVICE_FDS, "LISTEN_PID", true);
    const char *given = skua__os_env("LISTEN_FDNAMES");
    int rc = 0;

    if (count < 0)
        return (int)count;
    for (int i = 0; rc >= 0 && i < (int)count; i++)
        rc = skua__os_change_cloexec(SKUA_SERVICE_FDS + i, true);
    if (rc < 0)
        return rc;
    if (names != NULL && len != 0)
        snprintf(names, len, "%s", count != 0 && given != NULL ? given : "");
    if (count != 0) {
        skua__os_env_clear("LISTEN_FDS");
        skua__os_env_clear("LISTEN_PID");
        skua__os_env_clear("LISTEN_FDNAMES");
    }
    return (int)count;
}

#undef SERVICE_STATUS_MAX
