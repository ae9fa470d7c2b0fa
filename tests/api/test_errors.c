/* test_errors.c - a name, a sentence and a kind for every code.
 *
 * Specifies base.h: skua_strerror, skua_error_name, skua_error_kind, skua_version. Every errno of
 * the system and every code of Skua's is known; nothing else is.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../lib/harness.h"

#define ERRNO_MAX 133

static const struct {
    int64_t code;
    const char *name;
    skua_error kind;
} codes[] = {
    /* 0 */ {0, "OK", SKUA_ERROR_NONE},
    /* 1 */ {1, "OK", SKUA_ERROR_NONE},
    /* 2 */ {INT64_MAX, "OK", SKUA_ERROR_NONE},
    /* 3 */ {SKUA_ECLOSED, "SKUA_ECLOSED", SKUA_ERROR_CLOSED},
    /* 4 */ {SKUA_EEOF, "SKUA_EEOF", SKUA_ERROR_CLOSED},
    /* 5 */ {SKUA_EUSAGE, "SKUA_EUSAGE", SKUA_ERROR_USAGE},
    /* 6 */ {SKUA_ESTOPPED, "SKUA_ESTOPPED", SKUA_ERROR_CLOSED},
    /* 7 */ {SKUA_ELIMIT, "SKUA_ELIMIT", SKUA_ERROR_LIMIT},
    /* 8 */ {-ECANCELED, "ECANCELED", SKUA_ERROR_CANCELLED},
    /* 9 */ {-ETIMEDOUT, "ETIMEDOUT", SKUA_ERROR_TIMEOUT},
    /* 10 */ {-EINVAL, "EINVAL", SKUA_ERROR_USAGE},
    /* 11 */ {-EBADF, "EBADF", SKUA_ERROR_USAGE},
    /* 12 */ {-EBUSY, "EBUSY", SKUA_ERROR_USAGE},
    /* 13 */ {-EDEADLK, "EDEADLK", SKUA_ERROR_USAGE},
    /* 14 */ {-ENOMEM, "ENOMEM", SKUA_ERROR_LIMIT},
    /* 15 */ {-EMFILE, "EMFILE", SKUA_ERROR_LIMIT},
    /* 16 */ {-ENFILE, "ENFILE", SKUA_ERROR_LIMIT},
    /* 17 */ {-ENOBUFS, "ENOBUFS", SKUA_ERROR_LIMIT},
    /* 18 */ {-EAGAIN, "EAGAIN", SKUA_ERROR_LIMIT},
    /* 19 */ {-EIO, "EIO", SKUA_ERROR_IO},
    /* 20 */ {-EPIPE, "EPIPE", SKUA_ERROR_IO},
    /* 21 */ {-ECONNRESET, "ECONNRESET", SKUA_ERROR_IO},
    /* 22 */ {-ECONNREFUSED, "ECONNREFUSED", SKUA_ERROR_IO},
    /* 23 */ {-EHOSTUNREACH, "EHOSTUNREACH", SKUA_ERROR_IO},
    /* 24 */ {-EADDRINUSE, "EADDRINUSE", SKUA_ERROR_IO},
    /* 25 */ {-EACCES, "EACCES", SKUA_ERROR_IO},
    /* 26 */ {-4096, "UNKNOWN", SKUA_ERROR_BUG},
    /* 27 */ {-4103, "UNKNOWN", SKUA_ERROR_BUG},
    /* 28 */ {-5000, "UNKNOWN", SKUA_ERROR_BUG},
    /* 29 */ {INT32_MIN, "UNKNOWN", SKUA_ERROR_BUG},
    /* 30 */ {INT64_MIN + 1, "UNKNOWN", SKUA_ERROR_BUG},
    /* 31 */ {SKUA_PENDING, "UNKNOWN", SKUA_ERROR_BUG},
    /* 32 */ {-(INT64_C(1) << 32) - EIO, "UNKNOWN", SKUA_ERROR_BUG}, /* not cut to an int */
    /* 33 */ {SKUA_ELAGGED, "SKUA_ELAGGED", SKUA_ERROR_LIMIT},
};

TEST(errors_table)
{
    for (size_t i = 0; i < TEST_LEN(codes); i++) {
        const char *name = skua_error_name(codes[i].code);

        if (!CHECK(strcmp(name, codes[i].name) == 0))
            test_note("row %zu: %s, not %s", i, name, codes[i].name);
        if (!CHECK_EQ(skua_error_kind(codes[i].code), codes[i].kind))
            test_note("row %zu: %s", i, codes[i].name);
    }
    CHECK(strcmp(skua_strerror(0), "success") == 0);
    CHECK(strcmp(skua_strerror(4711), "success") == 0);
    CHECK(strcmp(skua_strerror(INT64_MAX), "success") == 0);
}

/* What the socket, descriptor and memory calls of Linux document. */
struct system_code {
    int code;
    const char *name;
};

#define SYSTEM(code)                                                                               \
    {                                                                                              \
        code, #code                                                                                \
    }
static const struct system_code of_the_system[] = {
    SYSTEM(EPERM),         SYSTEM(EINTR),        SYSTEM(EIO),          SYSTEM(EAGAIN),
    SYSTEM(ENOMEM),        SYSTEM(EACCES),       SYSTEM(EFAULT),       SYSTEM(EBUSY),
    SYSTEM(EINVAL),        SYSTEM(ENFILE),       SYSTEM(EMFILE),       SYSTEM(ENOSPC),
    SYSTEM(EPIPE),         SYSTEM(EBADF),        SYSTEM(EDEADLK),      SYSTEM(ENOSYS),
    SYSTEM(ENOTSOCK),      SYSTEM(EDESTADDRREQ), SYSTEM(EMSGSIZE),     SYSTEM(EPROTOTYPE),
    SYSTEM(ENOPROTOOPT),   SYSTEM(EOPNOTSUPP),   SYSTEM(EAFNOSUPPORT), SYSTEM(EADDRINUSE),
    SYSTEM(EADDRNOTAVAIL), SYSTEM(ENETDOWN),     SYSTEM(ENETUNREACH),  SYSTEM(ECONNABORTED),
    SYSTEM(ECONNRESET),    SYSTEM(ENOBUFS),      SYSTEM(EISCONN),      SYSTEM(ENOTCONN),
    SYSTEM(ETIMEDOUT),     SYSTEM(ECONNREFUSED), SYSTEM(EHOSTDOWN),    SYSTEM(EHOSTUNREACH),
    SYSTEM(EALREADY),      SYSTEM(EINPROGRESS),  SYSTEM(ECANCELED),    SYSTEM(ESRCH),
    SYSTEM(ENOENT),        SYSTEM(EPROTO),
};
#undef SYSTEM

TEST(errors_know_the_systems)
{
    for (size_t i = 0; i < TEST_LEN(of_the_system); i++) {
        int code = of_the_system[i].code;
        const char *name = skua_error_name(-code);

        if (!CHECK(strcmp(name, of_the_system[i].name) == 0))
            test_note("%d is %s, not %s", -code, name, of_the_system[i].name);
        CHECK(skua_error_kind(-code) != SKUA_ERROR_NONE);
        if (!CHECK(skua_error_kind(-code) != SKUA_ERROR_BUG))
            test_note("%s", of_the_system[i].name);
    }
}

/* glibc alone can be asked for names. */
static const char *library_name(int code)
{
#ifdef __GLIBC__
    return strerrorname_np(code);
#else
    (void)code;
    return NULL;
#endif
}

/* A code that has no name says so; none has the name of another. */
TEST(errors_have_no_wrong_name)
{
    for (int code = 1; code <= ERRNO_MAX; code++) {
        const char *name = skua_error_name(-code);
        const char *library = library_name(code);

        if (library && strcmp(name, "UNKNOWN") != 0 && strcmp(name, library) != 0)
            CHECK(code == EOPNOTSUPP && strcmp(name, "EOPNOTSUPP") == 0);
        for (int other = 1; other < code; other++)
            if (strcmp(name, "UNKNOWN") != 0 && strcmp(name, skua_error_name(-other)) == 0)
                CHECK(!"two codes share a name");
    }
}

TEST(errors_have_sentences)
{
    for (int64_t code = -4200; code < 0; code++) {
        const char *text = skua_strerror(code);

        CHECK(text && text[0] && strcmp(text, "success") != 0);
        CHECK(text == skua_strerror(code)); /* static */
    }
    for (int a = SKUA_ELAGGED; a <= SKUA_ECLOSED; a++)
        for (int b = -ERRNO_MAX; b < 0; b++)
            if (strcmp(skua_error_name(b), "UNKNOWN") != 0 &&
                strcmp(skua_strerror(a), skua_strerror(b)) == 0)
                CHECK(!"two codes share a sentence");
}

TEST(errors_keep_errno)
{
    errno = 4711;
    skua_strerror(-EIO);
    skua_error_name(-EIO);
    skua_error_kind(-4000);
    skua_now();
    CHECK_EQ(errno, 4711);
}

TEST(errors_version)
{
    CHECK(strcmp(skua_version(), SKUA_VERSION) == 0);
    CHECK(strcmp(SKUA_VERSION, "0.5.0") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_table),
        cmocka_unit_test(errors_know_the_systems),
        cmocka_unit_test(errors_have_no_wrong_name),
        cmocka_unit_test(errors_have_sentences),
        cmocka_unit_test(errors_keep_errno),
        cmocka_unit_test(errors_version),
    };

    return TEST_MAIN(tests);
}
