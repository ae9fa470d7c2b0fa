/* driver.c - which driver a runtime gets.
 *
 * Chosen once, at start, by trying: a kernel that refuses io_uring (ENOSYS, EPERM, EINVAL: old,
 * sandboxed, switched off) means epoll for the whole runtime; being out of memory or descriptors
 * is an error and means no other driver. Whoever forces one is told when it is not to be had.
 */
#include "drive/drive_impl.h"

#ifndef SKUA_WITH_URING
static int driver_try_uring(void)
{
    return -ENOSYS;
}
#else
static int driver_try_uring(void)
{
    /* Relaxed: a kernel that has once made a ring for this process is not asked again. */
    static _Atomic bool known;
    struct skua__driver *driver;
    int rc;

    if (skua__load_relaxed(&known))
        return 0;
    rc = skua__uring_ops.open(&driver);
    if (rc == 0) {
        skua__uring_ops.close(driver);
        skua__store_relaxed(&known, true);
    }
    return rc;
}
#endif

static const struct skua__driver_ops *driver_uring(void)
{
#ifdef SKUA_WITH_URING
    return &skua__uring_ops;
#else
    return NULL;
#endif
}

int skua__driver_choose(skua_driver wanted, const struct skua__driver_ops **ret_ops)
{
    int rc;

    skua__source_fork();
#ifdef SKUA_WITH_KQUEUE
    if (wanted == SKUA_DRIVER_KQUEUE) {
        *ret_ops = &skua__kqueue_ops;
        return 0;
    }
#endif
    *ret_ops = &skua__epoll_ops;
    if (wanted == SKUA_DRIVER_EPOLL)
        return 0;
    rc = driver_try_uring();
    if (rc == 0)
        *ret_ops = driver_uring();
    else if (wanted == SKUA_DRIVER_AUTO && (rc == -ENOSYS || rc == -EPERM || rc == -EINVAL))
        rc = 0;
    return rc;
}
