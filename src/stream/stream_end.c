/* stream_end.c - the ends of streams: direct calls that ask until there is nothing more.
 *
 * Each is a loop around skua_stream_next: a unit of budget and a look at the cancellation an item,
 * so that a stream that is always ready neither keeps its worker nor outlives its task's end.
 */
#include "stream/stream_impl.h"

int skua_stream_for_each(skua_stream *stream, void *item, skua_stream_each_fn fn, void *arg)
{
    int rc;

    while ((rc = skua_stream_next(stream, item)) > 0) {
        rc = fn(item, arg);
        if (rc < 0)
            break;
    }
    skua_stream_drop(stream);
    return rc;
}

int skua_stream_fold(skua_stream *stream, void *item, skua_stream_fold_fn fn, void *result)
{
    int rc;

    while ((rc = skua_stream_next(stream, item)) > 0) {
        rc = fn(result, item);
        if (rc < 0)
            break;
    }
    skua_stream_drop(stream);
    return rc;
}

int64_t skua_stream_count(skua_stream *stream, void *item)
{
    int64_t count = 0;
    int rc;

    while ((rc = skua_stream_next(stream, item)) > 0)
        count++;
    skua_stream_drop(stream);
    return rc < 0 ? rc : count;
}

int64_t skua_stream_collect(skua_stream *stream, void *items, size_t max)
{
    size_t count = 0;

    while (count < max) {
        int rc = skua_stream_next(stream, (char *)items + count * stream->item_size);

        if (rc < 0)
            skua_stream_drop(stream);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        count++;
    }
    return (int64_t)count;
}
