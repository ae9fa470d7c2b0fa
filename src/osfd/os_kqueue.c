/* os_kqueue.c - kqueue: FreeBSD's kqueue(2), macOS's kevent(2), and libkqueue on Linux.
 *
 * Changes    go in with EV_RECEIPT and room for as many answers: then each change has an answer of
 *            its own, the second is done although the first failed, and no event that is pending
 *            is taken along.
 * EINTR      a call that only changes is repeated: adding, deleting and ringing twice is the same
 *            as once. A wait is not: its worker has a look around first.
 * Timeouts   are a timespec, of at most a day: systems differ in what they take for too long, and
 *            a worker that wakes for nothing asks again.
 */
#ifdef SKUA_WITH_KQUEUE

#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

#define KQUEUE_BELL 0 /* the doorbell's identity among EVFILT_USER's */
#define KQUEUE_WAIT_MAX (INT64_C(86400) * 1000000000)

static const short kqueue_filters[2] = {EVFILT_READ, EVFILT_WRITE};

int skua__os_kqueue_open(void)
{
    int fd = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (fd != 0)
        return fd;
    fd = kqueue();
    if (fd == -1)
        return -errno;
    /* No child of a fork has it, says kqueue(2); a program that this one becomes would. */
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

/* Does at most two changes. How many answers, or a negative errno: none was done. */
static int kqueue_change(int kq, const struct kevent *changes, int count, struct kevent *answers)
{
    static const struct timespec now;
    int rc;

    do {
        rc = kevent(kq, changes, count, answers, count, &now);
    } while (rc == -1 && errno == EINTR);
    return rc == -1 ? -errno : rc;
}

void skua__os_kqueue_add(int kq, int fd, void *data, int errors[2])
{
    struct kevent changes[2];
    struct kevent answers[2];
    int count = 0;
    int rc;

    /* Writing first: libkqueue forgets that a reader wants hang-ups when a writer comes later. */
    for (int i = 1; i >= 0; i--) {
        errors[i] = skua__fault_hit(SKUA__FAULT_SYSCALL);
        if (errors[i] == 0)
            EV_SET(&changes[count++], (uintptr_t)fd, kqueue_filters[i],
                   EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, data);
    }
    rc = count == 0 ? 0 : kqueue_change(kq, changes, count, answers);
    for (unsigned i = 0; rc < 0 && i < 2; i++)
        errors[i] = errors[i] != 0 ? errors[i] : rc;
    for (int i = 0; i < rc; i++)
        if ((answers[i].flags & EV_ERROR) && answers[i].data != 0)
            errors[answers[i].filter == EVFILT_WRITE] = -(int)answers[i].data;
}

void skua__os_kqueue_remove(int kq, int fd)
{
    struct kevent changes[2];
    struct kevent answers[2];

    for (unsigned i = 0; i < 2; i++)
        EV_SET(&changes[i], (uintptr_t)fd, kqueue_filters[i], EV_DELETE | EV_RECEIPT, 0, 0, NULL);
    (void)kqueue_change(kq, changes, 2, answers); /* a direction may not have been there */
}

int skua__os_kqueue_hang_bell(int kq)
{
    struct kevent change;
    struct kevent answer;
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    EV_SET(&change, KQUEUE_BELL, EVFILT_USER, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, NULL);
    rc = kqueue_change(kq, &change, 1, &answer);
    if (rc <= 0)
        return rc;
    return answer.flags & EV_ERROR ? -(int)answer.data : 0;
}

void skua__os_kqueue_ring(int kq)
{
    struct kevent change;

    EV_SET(&change, KQUEUE_BELL, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    while (kevent(kq, &change, 1, NULL, 0, NULL) == -1 && errno == EINTR)
        continue;
}

int skua__os_kqueue_wait(int kq, struct kevent *events, int max, int64_t timeout_ns)
{
    int64_t ns = timeout_ns < KQUEUE_WAIT_MAX ? timeout_ns : KQUEUE_WAIT_MAX;
    struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    int rc;

    skua__os_let_signals_in();
    rc = kevent(kq, NULL, 0, events, max, timeout_ns == INT64_MAX ? NULL : &left);
    skua__os_let_signals_in();
    return rc == -1 ? -errno : rc;
}

int skua__os_kqueue_descriptor(int kq)
{
#ifdef EVFILT_LIBKQUEUE
    (void)kq; /* libkqueue's descriptor is a pipe's end, which is never readable */
    return -ENOSYS;
#else
    return kq;
#endif
}

#undef KQUEUE_BELL
#undef KQUEUE_WAIT_MAX

#endif
