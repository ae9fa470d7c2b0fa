/* pipe_impl.h - from the rings of all threads to the queues of all destinations.
 *
 *   rings -> collector -> batches -> queue of each destination -> its exporter
 *
 *   pipe_batch.c     a batch: constant data in memory of its own, counted by who has it
 *   pipe_collect.c   the collector: a fiber that empties the rings, in a rhythm or when told
 *   pipe_queue.c     a destination: a bounded queue, and fibers that export
 *   pipe_reader.c    metrics: a reader that collects and exports in a rhythm
 *
 * Owner      everything here is of one fiber or another of telemetry's own current-thread runtime,
 *            so nothing is locked; others ask it by `pipe->asks`.
 * Rhythm     traces and logs each have theirs (the delay of their batch processors); the rings are
 *            the same, so the collector empties them for both at the earlier of the two, and a batch
 *            of the other signal stays open until its own.
 * Queues     of items, not of batches: what does not fit is dropped, and counted by destination.
 * Flush      records that were published before the call are collected by the pass that begins
 *            behind it; then each destination is done with what its queue had at that time.
 * Stop       no new records; a last pass; queues are emptied until the deadline; exports that run
 *            beyond it are cancelled, and what is left is dropped and counted.
 */
#ifndef SKUA_OTEL_PIPE_IMPL_H
#define SKUA_OTEL_PIPE_IMPL_H

#include <skua/otel/exporter.h>

#include "otel/log/log_impl.h"
#include "otel/trace/trace_impl.h"

#endif
