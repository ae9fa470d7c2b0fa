/* remote_impl.h - a sampler that a collector rules: Jaeger's remote sampling.
 *
 *   remote_read.c      the collector's answer
 *   remote_sampler.c   the sampler: decides by what was told last
 *   remote_poll.c      asks the collector, again and again, on telemetry's thread
 *
 *   GET endpoint/sampling?service=shop -> answer -> told -> rules -> every span that starts
 *
 * Rules      one of all operations (names of spans), and one of each that the collector names. A
 *            rule is one atomic word, so a span sees the old one or the new one. Operations are
 *            added and never taken away; there are 2,000 at most, so memory is bounded, and a span
 *            that looks one up needs no lock.
 * Faults     of the network, and answers that are malformed, are told; the rules stay.
 *
 * Source     Jaeger, remote sampling (sampling.proto, its HTTP endpoint); OpenTelemetry
 *            specification 1.60: trace/sdk, JaegerRemoteSampler.
 */
#ifndef SKUA_OTEL_REMOTE_IMPL_H
#define SKUA_OTEL_REMOTE_IMPL_H

#include <stdatomic.h>

#include <skua/otel/samplers.h>

#include "otel/core/otel_impl.h"

#define SKUA__REMOTE_OPS 2000
#define SKUA__REMOTE_NAME                                                                          \
    128 /* bytes of an operation's name, with its NUL; longer ones are left out */

/* ---- what was told (remote_read.c) ----------------------------------------------------------- */

struct skua__remote_op {
    char name[SKUA__REMOTE_NAME];
    double ratio;
};

struct skua__remote_told {
    bool has_ratio, has_rate, has_ops;
    double ratio, rate; /* of all; traces a second */
    double lower;       /* traces a second that each operation has at least */
    struct skua__remote_op *ops;
    size_t ops_count, ops_room;
    bool no_memory;
};

/* Reads an answer; to be freed by skua__remote_told_free in any case. 0, -EBADMSG, -ENOMEM. */
int skua__remote_read(const char *bytes, size_t len, struct skua__remote_told *ret);
void skua__remote_told_free(struct skua__remote_told *told);

/* ---- the sampler (remote_sampler.c) ---------------------------------------------------------- */

struct skua__remote;

/* endpoint   "http://host:5778", without "/sampling"; copied
 * interval   ns between two questions
 * initial    decides until the first answer; the sampler's, also when making it fails */
int skua__remote_new(struct skua__remote **ret, const char *endpoint, int64_t interval,
                     skua_otel_sampler *initial);
skua_otel_sampler *skua__remote_sampler(struct skua__remote *self);
/* New rules; one fiber's at a time. 0; -ENOMEM: some operations are ruled as all are. */
int skua__remote_rule(struct skua__remote *self, const struct skua__remote_told *told);

/* ---- asking (remote_poll.c) ------------------------------------------------------------------ */

struct skua__remote {
    skua_otel_sampler sampler; /* first */
    char *endpoint;
    int64_t interval;
    skua_otel_sampler *initial;
    char service[256];            /* who asks; set before the first question */
    struct skua__remote_all *all; /* the rules */
    /* In the child of a fork: to be called by who samples, so that somebody asks; NULL; relaxed. */
    _Atomic(void (*)(void)) attached;
};

/* Asks until it is cancelled: a skua__remote. */
int skua__remote_poll(void *remote);

#endif
