/* err.c - what the error codes are called, mean and belong to.
 *
 * One table for all three answers, so that they cannot drift apart. Every system code that Skua
 * itself returns is listed; any other errno has its own name and is of kind io.
 */
#include <errno.h>
#include <string.h>

#include <skua/base.h>

#include "base/defs.h"

struct err_row {
    int code;
    skua_error kind;
    const char *name;
    const char *text;
};

static const struct err_row err_table[] = {
    {SKUA_ECLOSED, SKUA_ERROR_CLOSED, "SKUA_ECLOSED", "closed"},
    {SKUA_EEOF, SKUA_ERROR_CLOSED, "SKUA_EEOF", "the stream ended early"},
    {SKUA_EUSAGE, SKUA_ERROR_USAGE, "SKUA_EUSAGE", "may not be called here or in this way"},
    {SKUA_ESTOPPED, SKUA_ERROR_CLOSED, "SKUA_ESTOPPED", "the runtime is stopping"},
    {SKUA_ELIMIT, SKUA_ERROR_LIMIT, "SKUA_ELIMIT", "a configured limit is reached"},
    {SKUA_ELAGGED, SKUA_ERROR_LIMIT, "SKUA_ELAGGED",
     "the receiver fell behind: messages were overwritten"},
    {-ECANCELED, SKUA_ERROR_CANCELLED, "ECANCELED", "the task was cancelled"},
    {-ETIMEDOUT, SKUA_ERROR_TIMEOUT, "ETIMEDOUT", "the deadline passed"},
    {-ENOMEM, SKUA_ERROR_LIMIT, "ENOMEM", "out of memory"},
    {-EMFILE, SKUA_ERROR_LIMIT, "EMFILE", "too many open files in this process"},
    {-ENFILE, SKUA_ERROR_LIMIT, "ENFILE", "too many open files in the system"},
    {-ENOBUFS, SKUA_ERROR_LIMIT, "ENOBUFS", "no buffer space"},
    {-ENOSPC, SKUA_ERROR_LIMIT, "ENOSPC", "no space"},
    {-EAGAIN, SKUA_ERROR_LIMIT, "EAGAIN", "a resource is not available now"},
    {-EINVAL, SKUA_ERROR_USAGE, "EINVAL", "an argument is not valid"},
    {-EBADF, SKUA_ERROR_USAGE, "EBADF", "not an open handle"},
    {-EBUSY, SKUA_ERROR_USAGE, "EBUSY", "another task is doing that already"},
    {-EDEADLK, SKUA_ERROR_USAGE, "EDEADLK", "would wait for itself for ever"},
    {-ESRCH, SKUA_ERROR_USAGE, "ESRCH", "no such task, or it has ended"},
    {-ENOSYS, SKUA_ERROR_IO, "ENOSYS", "the kernel or this build does not have it"},
    {-EPERM, SKUA_ERROR_IO, "EPERM", "not permitted"},
    {-EACCES, SKUA_ERROR_IO, "EACCES", "permission denied"},
    {-EADDRINUSE, SKUA_ERROR_IO, "EADDRINUSE", "the address is in use"},
    {-EADDRNOTAVAIL, SKUA_ERROR_IO, "EADDRNOTAVAIL", "the address is not of this machine"},
    {-EAFNOSUPPORT, SKUA_ERROR_IO, "EAFNOSUPPORT", "the address family is not supported"},
    {-ECONNREFUSED, SKUA_ERROR_IO, "ECONNREFUSED", "connection refused"},
    {-ECONNRESET, SKUA_ERROR_IO, "ECONNRESET", "connection reset by the peer"},
    {-ECONNABORTED, SKUA_ERROR_IO, "ECONNABORTED", "connection aborted"},
    {-EHOSTUNREACH, SKUA_ERROR_IO, "EHOSTUNREACH", "no route to the host"},
    {-ENETUNREACH, SKUA_ERROR_IO, "ENETUNREACH", "the network is unreachable"},
    {-ENOTCONN, SKUA_ERROR_IO, "ENOTCONN", "not connected"},
    {-EPIPE, SKUA_ERROR_IO, "EPIPE", "the peer reads no more"},
    {-EIO, SKUA_ERROR_IO, "EIO", "input/output error"},
    {-ENOENT, SKUA_ERROR_IO, "ENOENT", "no such file or directory"},
    {-EINTR, SKUA_ERROR_IO, "EINTR", "interrupted by a signal"},
};

static const struct err_row *err_find(int64_t code)
{
    for (size_t i = 0; i < sizeof err_table / sizeof err_table[0]; i++)
        if (err_table[i].code == code)
            return &err_table[i];
    return NULL;
}

/* The C library's words for what is not in the table. glibc's two functions are the only ones
 * that give static strings by contract; elsewhere the names are ours, and so are the texts, because
 * a strerror may translate, allocate or write into a buffer that all threads share. */
#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 32)
#define ERR_NAMED_BY_GLIBC 1
#endif
#endif

#ifdef ERR_NAMED_BY_GLIBC
static const char *err_system_name(int64_t code)
{
    return code > -4096 ? strerrorname_np((int)-code) : NULL;
}

static const char *err_system_text(int64_t code)
{
    return code > -4096 ? strerrordesc_np((int)-code) : NULL;
}
#else
/* clang-format off */
#define ERR_SYSTEM(X)                                                                              \
    X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) X(ECHILD)    \
    X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(ENOTBLK) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV)       \
    X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC)     \
    X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) X(ENOLCK)   \
    X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENOMSG) X(EIDRM) X(ECHRNG) X(EL2NSYNC) X(EL3HLT) X(EL3RST)   \
    X(ELNRNG) X(EUNATCH) X(ENOCSI) X(EL2HLT) X(EBADE) X(EBADR) X(EXFULL) X(ENOANO) X(EBADRQC)      \
    X(EBADSLT) X(EBFONT) X(ENOSTR) X(ENODATA) X(ETIME) X(ENOSR) X(ENONET) X(ENOPKG) X(EREMOTE)     \
    X(ENOLINK) X(EADV) X(ESRMNT) X(ECOMM) X(EPROTO) X(EMULTIHOP) X(EDOTDOT) X(EBADMSG)             \
    X(EOVERFLOW) X(ENOTUNIQ) X(EBADFD) X(EREMCHG) X(ELIBACC) X(ELIBBAD) X(ELIBSCN) X(ELIBMAX)      \
    X(ELIBEXEC) X(EILSEQ) X(ERESTART) X(ESTRPIPE) X(EUSERS) X(ENOTSOCK) X(EDESTADDRREQ)            \
    X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(EOPNOTSUPP)   \
    X(EPFNOSUPPORT) X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH)      \
    X(ENETRESET) X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) X(ESHUTDOWN)      \
    X(ETOOMANYREFS) X(ETIMEDOUT) X(ECONNREFUSED) X(EHOSTDOWN) X(EHOSTUNREACH) X(EALREADY)          \
    X(EINPROGRESS) X(ESTALE) X(EUCLEAN) X(ENOTNAM) X(ENAVAIL) X(EISNAM) X(EREMOTEIO) X(EDQUOT)     \
    X(ENOMEDIUM) X(EMEDIUMTYPE) X(ECANCELED) X(ENOKEY) X(EKEYEXPIRED) X(EKEYREVOKED)               \
    X(EKEYREJECTED) X(EOWNERDEAD) X(ENOTRECOVERABLE) X(ERFKILL) X(EHWPOISON)
/* clang-format on */
#define ERR_SYSTEM_NAME(name) [name] = #name,
static const char *const err_system_names[] = {ERR_SYSTEM(ERR_SYSTEM_NAME)};
#undef ERR_SYSTEM_NAME
#undef ERR_SYSTEM

static const char *err_system_name(int64_t code)
{
    const size_t names = sizeof err_system_names / sizeof err_system_names[0];

    return code > -(int64_t)names ? err_system_names[-code] : NULL;
}

static const char *err_system_text(int64_t code)
{
    return err_system_name(code);
}
#endif
#undef ERR_NAMED_BY_GLIBC

const char *skua_strerror(int64_t code)
{
    const struct err_row *row = err_find(code);

    if (code >= 0)
        return "success";
    if (row != NULL)
        return row->text;
    return err_system_text(code) != NULL ? err_system_text(code) : "unknown error";
}

const char *skua_error_name(int64_t code)
{
    const struct err_row *row = err_find(code);

    if (code >= 0)
        return "OK";
    if (row != NULL)
        return row->name;
    return err_system_name(code) != NULL ? err_system_name(code) : "UNKNOWN";
}

skua_error skua_error_kind(int64_t code)
{
    const struct err_row *row = err_find(code);

    if (code >= 0)
        return SKUA_ERROR_NONE;
    if (row != NULL)
        return row->kind;
    return code > -4096 && err_system_name(code) != NULL ? SKUA_ERROR_IO : SKUA_ERROR_BUG;
}

const char *skua_version(void)
{
    return SKUA_VERSION;
}
