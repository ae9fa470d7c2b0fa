/* base.h - errors, time units and the words that every header uses.
 *
 * Every fallible function returns 0 or a count on success and a negative code on failure: -errno
 * where the system has one (-ECANCELED, -ETIMEDOUT, -ECONNRESET), a SKUA_E code below -4096
 * otherwise. errno itself is never used: a fiber may not trust a thread-local across a wait.
 */
#ifndef SKUA_BASE_H
#define SKUA_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define SKUA_C_BEGIN extern "C" {
#define SKUA_C_END }
#else
#define SKUA_C_BEGIN
#define SKUA_C_END
#endif

#define SKUA_API __attribute__((visibility("default")))
#define SKUA_NODISCARD __attribute__((warn_unused_result))

#define SKUA_VERSION_MAJOR 0
#define SKUA_VERSION_MINOR 5
#define SKUA_VERSION_PATCH 0
#define SKUA_VERSION "0.5.0"

SKUA_C_BEGIN

/* ---- time: int64_t nanoseconds everywhere ---------------------------------------------------
 *
 * A duration is a count of nanoseconds; a deadline is absolute, on the monotonic clock:
 * skua_now() + 5 * SKUA_SECOND. */
#define SKUA_NANOSECOND INT64_C(1)
#define SKUA_MICROSECOND INT64_C(1000)
#define SKUA_MILLISECOND INT64_C(1000000)
#define SKUA_SECOND INT64_C(1000000000)
#define SKUA_MINUTE (60 * SKUA_SECOND)
#define SKUA_HOUR (60 * SKUA_MINUTE)
/* A deadline that never comes, a duration that never ends. */
#define SKUA_FOREVER INT64_MAX

/* ---- errors ---------------------------------------------------------------------------------- */

#define SKUA_ECLOSED (-4097)  /* the object was closed, by this side or by another task */
#define SKUA_EEOF (-4098)     /* the stream ended before the bytes that were asked for */
#define SKUA_EUSAGE (-4099)   /* called where or how it may not be; the header says where it may */
#define SKUA_ESTOPPED (-4100) /* the runtime is stopping: nothing new is taken */
#define SKUA_ELIMIT (-4101)   /* a limit of the runtime's options is reached */
#define SKUA_ELAGGED (-4102)  /* the receiver fell behind: messages were overwritten */

/* What sort of failure a code is; decide by it whether to retry, report or abort. */
typedef enum skua_error {
    SKUA_ERROR_NONE,      /* no failure: 0 or a count */
    SKUA_ERROR_IO,        /* the system or the peer */
    SKUA_ERROR_CLOSED,    /* closed, end of file, stopped */
    SKUA_ERROR_CANCELLED, /* -ECANCELED */
    SKUA_ERROR_TIMEOUT,   /* -ETIMEDOUT */
    SKUA_ERROR_LIMIT,     /* memory, descriptors, a configured bound */
    SKUA_ERROR_USAGE,     /* a mistake of the caller: EINVAL, EBADF, SKUA_EUSAGE … */
    SKUA_ERROR_BUG        /* a code that nothing of Skua returns */
} skua_error;

/* A sentence for a code.
 *
 * code       a value that a Skua function returned
 * Returns    a static string, also for counts ("success") and unknown codes
 * Threads    any, also in a signal handler
 * Since      0.1
 */
SKUA_API const char *skua_strerror(int64_t code);

/* The symbolic name of a code, such as "ECANCELED" or "SKUA_ECLOSED".
 *
 * code       a value that a Skua function returned
 * Returns    a static string; "OK" for 0 and counts, "UNKNOWN" for what has no name
 * Threads    any, also in a signal handler
 * Since      0.1
 */
SKUA_API const char *skua_error_name(int64_t code);

/* The kind of a code.
 *
 * code       a value that a Skua function returned
 * Returns    one of skua_error; SKUA_ERROR_NONE for 0 and counts
 * Threads    any, also in a signal handler
 * Since      0.1
 */
SKUA_API skua_error skua_error_kind(int64_t code);

/* The version of the library that is linked, as opposed to SKUA_VERSION of the header.
 *
 * Returns    a static string such as "0.5.0"
 * Threads    any
 * Since      0.1
 */
SKUA_API const char *skua_version(void);

SKUA_C_END

#endif
