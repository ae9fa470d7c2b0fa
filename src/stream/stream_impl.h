/* stream_impl.h - what the kinds of streams share: asking a source, and letting others run.
 *
 * A stream is asked with skua__stream_ask and nothing else: there the one rule about ends is kept.
 * When next() says 0 the stream is dropped at once, with all its sources, and says 0 from then on.
 * So a kind need not remember that it is over, nor let go of anything itself when it says so, and
 * an adapter's drop drops its sources whether they are over or not.
 */
#ifndef SKUA_STREAM_STREAM_IMPL_H
#define SKUA_STREAM_STREAM_IMPL_H

#include <string.h>

#include <skua/notify.h>
#include <skua/stream_adapters.h>

#include "flow/flow_impl.h"

/* How many items a poll throws away before it lets others run. */
#define SKUA__STREAM_RUN 128u

/* What a stream is when it is over. */
extern const skua_stream_ops skua__stream_over;

/* The rare end of an ask. */
SKUA__COLD void skua__stream_end(skua_stream *stream);

SKUA__INLINE skua_poll skua__stream_ask(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_poll answer = stream->ops->next(stream, item, waker);

    if (skua__unlikely(answer == 0))
        skua__stream_end(stream);
    return answer;
}

/* Makes `stream` one that says -EINVAL, and is over. */
skua_stream *skua__stream_refuse(skua_stream *stream);

/* Not now: others first. */
SKUA__INLINE skua_poll skua__stream_breathe(skua_waker *waker)
{
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

/* Items are mostly words. */
SKUA__INLINE void skua__stream_copy(void *to, const void *from, size_t size)
{
    if (skua__likely(size == 8))
        memcpy(to, from, 8);
    else if (size == 4)
        memcpy(to, from, 4);
    else if (size != 0)
        memcpy(to, from, size);
}

#endif
