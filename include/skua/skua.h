/* skua.h - the umbrella of libskua: include this one.
 *
 * Skua is an asynchronous runtime for C. These headers are its manual; what is not in
 * include/skua is not API. Read them in this order:
 *
 *   base.h           errors, time units, the words every header uses
 *   future.h         the one thing that waits: a future; wakers; stackless poll tasks
 *   task.h           spawn, scopes, cancellation, deadlines, task-locals
 *   time.h           the clock and sleeping
 *   runtime.h        runtimes: options, block_on, skua_main, shutdown, the snapshot
 *   scheduler.h      which task goes next: shares and latency goals, schedulers of one's own
 *   flow.h           several futures at a time: select, join, timeout
 *   join_set.h       sets of tasks whose results are taken as they end, with or without keys
 *   sync.h           locks between tasks
 *   notify.h         signals between tasks
 *   local.h          locks and signals for the tasks of one worker; local_channel.h: its channel
 *   token.h          cancellation tokens, task trackers
 *   oneshot.h        one answer from one to one
 *   mpsc.h, mpmc.h   channels: many senders and one receiver, or many of both
 *   channel.h        channels by names
 *   broadcast.h      every message to everybody; watch: the newest value to whoever looks
 *   stream.h         what is ready many times: streams, their sources and ends;
 *                    stream_adapters.h: what is made of them
 *   interval.h       rhythm: ticks, debounce, throttle
 *   delay_queue.h    values that come out in their time
 *   limit.h          how often, how many at a time: rate limiter, limiter
 *   breaker.h        circuit breaker: what keeps failing is left alone for a while
 *   retry.h          trying again: backoff, retry budgets, hedged requests
 *   pool.h           objects that are dear to make
 *   single_flight.h  the same work once for all who ask
 *   blocking.h       code that blocks, on threads of its own
 *   executor.h       whoever runs work, behind one interface
 *   fd.h             any descriptor that can be waited for
 *   pipe.h           pipes and FIFOs; standard.h: standard input, output and error
 *   fs_watch.h       files that change
 *   address.h        addresses of sockets as values
 *   file.h           open files: read, write, sync, lock
 *   fs.h             names of files, directories, whole files
 *   probe.h          what the runtime tells whoever listens
 *   task_tracker.h   what every task does now; monitor.h: how often, how long, by name
 *   process.h        child processes
 *   io.h             any stream of bytes; a connection in memory; copying
 *   buffered.h       a buffer in front of one: lines, pieces, printf
 *   framing.h        messages in one: by length, lines, delimiters
 *   resolve.h        names of hosts
 *   net.h            TCP; net_future.h: its waits as futures
 *   udp.h            UDP, also batches, GSO, multicast
 *   unix.h           Unix sockets of every kind; passing descriptors
 *   signal.h         the signals of the system
 *   attribute.h      what telemetry is described with; trace.h: spans; log.h: log records;
 *                    telemetry.h: for those who write an SDK
 *   service.h        readiness, watchdog and sockets of a service manager
 *   propagation.h    context that travels with messages: spans, baggage
 *   test.h           tests: a clock that jumps, an order that a seed draws
 *
 * Every name starts with skua_ or SKUA_; skua__ and SKUA__ (two underscores) are private.
 */
#ifndef SKUA_SKUA_H
#define SKUA_SKUA_H

#include <skua/address.h>
#include <skua/attribute.h>
#include <skua/base.h>
#include <skua/blocking.h>
#include <skua/breaker.h>
#include <skua/broadcast.h>
#include <skua/channel.h>
#include <skua/buffered.h>
#include <skua/delay_queue.h>
#include <skua/executor.h>
#include <skua/fd.h>
#include <skua/file.h>
#include <skua/flow.h>
#include <skua/framing.h>
#include <skua/fs.h>
#include <skua/fs_watch.h>
#include <skua/future.h>
#include <skua/interval.h>
#include <skua/io.h>
#include <skua/join_set.h>
#include <skua/limit.h>
#include <skua/local.h>
#include <skua/local_channel.h>
#include <skua/log.h>
#include <skua/monitor.h>
#include <skua/mpmc.h>
#include <skua/mpsc.h>
#include <skua/net.h>
#include <skua/net_future.h>
#include <skua/notify.h>
#include <skua/oneshot.h>
#include <skua/pipe.h>
#include <skua/pool.h>
#include <skua/probe.h>
#include <skua/process.h>
#include <skua/propagation.h>
#include <skua/resolve.h>
#include <skua/retry.h>
#include <skua/runtime.h>
#include <skua/scheduler.h>
#include <skua/service.h>
#include <skua/signal.h>
#include <skua/single_flight.h>
#include <skua/standard.h>
#include <skua/stream.h>
#include <skua/stream_adapters.h>
#include <skua/sync.h>
#include <skua/task.h>
#include <skua/task_tracker.h>
#include <skua/test.h>
#include <skua/telemetry.h>
#include <skua/time.h>
#include <skua/token.h>
#include <skua/trace.h>
#include <skua/udp.h>
#include <skua/unix.h>

#endif
