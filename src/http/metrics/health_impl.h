/* health_impl.h - readiness and its checks. */
#ifndef SKUA_HTTP_HEALTH_IMPL_H
#define SKUA_HTTP_HEALTH_IMPL_H

#include <stdatomic.h>

#include <skua/http/health.h>
#include <skua/sync.h>

#include "http/web/web_impl.h"

struct skua__health_check {
    struct skua__health_check *next; /* constant, as all up to the atomics */
    skua_http_check_fn fn;
    void *arg;
    bool required;
    int64_t timeout, keep;
    /* Written by the check's fiber, of which there is one at a time: the turn's. */
    _Atomic int64_t when; /* it has ended; 0: never; released behind the two below */
    atomic_int result;    /* 0 or the code; relaxed, ordered by `when` */
    _Atomic int64_t took; /* ns; the same */
    char name[];          /* constant */
};

struct skua_http_health {
    struct skua__health_check *checks; /* guard: whoever makes the health, before it is asked */
    atomic_int state;                  /* relaxed */
    skua_semaphore turn;               /* to run checks */
};

/* Runs what is due. 0 or as skua_http_health_check. */
int skua__health_refresh(skua_http_health *health);
bool skua__health_is_ready(skua_http_health *health);

#endif
