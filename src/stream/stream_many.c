/* stream_many.c - adapters of several sources: one after the other, as they come, in pairs.
 *
 * chain      asks the first source that is not over.
 * merge      asks all in turn until one has an answer, and begins behind that one the next time. A
 *            source that is over says so again, cheaply: there is no list of those that are not.
 * zip        asks for what its pair still lacks, both at a time. The half that came first is in the
 *            pair's room: each next may bring another place for it.
 */
#include "stream/stream_impl.h"

static skua_stream_many *many_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_many, stream);
}

static void many_drop(skua_stream *stream)
{
    skua_stream_many *self = many_of(stream);

    for (size_t i = 0; i < self->count; i++)
        skua_stream_drop(self->sources[i]);
}

static skua_stream *many_init(skua_stream_many *self, skua_stream *const *sources, size_t count,
                              const skua_stream_ops *ops)
{
    bool alike = count != 0;

    self->stream.ops = ops;
    self->stream.item_size = count != 0 ? sources[0]->item_size : 0;
    self->sources = sources;
    self->count = count;
    self->turn = 0;
    for (size_t i = 1; i < count; i++)
        alike = alike && sources[i]->item_size == self->stream.item_size;
    if (alike)
        return &self->stream;
    many_drop(&self->stream);
    return skua__stream_refuse(&self->stream);
}

/* ---- chain ----------------------------------------------------------------------------------- */

static skua_poll many_chain_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_many *self = many_of(stream);
    skua_poll answer = 0;

    while (self->turn < self->count) {
        answer = skua__stream_ask(self->sources[self->turn], item, waker);
        if (answer != 0)
            break;
        self->turn++;
    }
    return answer;
}

static const skua_stream_ops many_chain_ops = {
    .name = "chain", .next = many_chain_next, .drop = many_drop};

skua_stream *skua_stream_chain_init(skua_stream_many *chain, skua_stream *const *sources,
                                    size_t count)
{
    return many_init(chain, sources, count, &many_chain_ops);
}

/* ---- merge ----------------------------------------------------------------------------------- */

static skua_poll many_merge_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_many *self = many_of(stream);
    skua_poll verdict = 0;
    size_t at = self->turn;

    for (size_t left = self->count; left > 0; left--) {
        skua_poll answer = skua__stream_ask(self->sources[at], item, waker);

        at = at + 1 < self->count ? at + 1 : 0;
        if (answer == SKUA_PENDING) {
            verdict = SKUA_PENDING;
        } else if (answer != 0) {
            self->turn = at;
            return answer;
        }
    }
    return verdict;
}

static const skua_stream_ops many_merge_ops = {
    .name = "merge", .next = many_merge_next, .drop = many_drop};

skua_stream *skua_stream_merge_init(skua_stream_many *merge, skua_stream *const *sources,
                                    size_t count)
{
    return many_init(merge, sources, count, &many_merge_ops);
}

/* ---- zip ------------------------------------------------------------------------------------- */

static skua_poll many_zip_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_many *self = many_of(stream);

    for (int half = 0; half < 2; half++) {
        skua_poll answer;

        if (self->has[half])
            continue;
        answer = skua__stream_ask(self->pair[half], (char *)self->room + self->at[half], waker);
        if (answer == 1)
            self->has[half] = 1;
        else if (answer != SKUA_PENDING)
            return answer;
    }
    if (!self->has[0] || !self->has[1])
        return SKUA_PENDING;
    self->has[0] = self->has[1] = 0;
    skua__stream_copy(item, self->room, stream->item_size);
    return 1;
}

static const skua_stream_ops many_zip_ops = {
    .name = "zip", .next = many_zip_next, .drop = many_drop};

/* Whether an item fits in the pair's struct. */
static bool many_zip_fits(const skua_stream *source, size_t at, size_t item_size)
{
    return at <= item_size && source->item_size <= item_size - at;
}

skua_stream *skua_stream_zip_init(skua_stream_many *zip, skua_stream *first, size_t first_at,
                                  skua_stream *second, size_t second_at, void *room,
                                  size_t item_size)
{
    zip->stream.ops = &many_zip_ops;
    zip->stream.item_size = item_size;
    zip->sources = zip->pair;
    zip->count = 2;
    zip->pair[0] = first;
    zip->pair[1] = second;
    zip->at[0] = first_at;
    zip->at[1] = second_at;
    zip->room = room;
    zip->has[0] = zip->has[1] = 0;
    if (many_zip_fits(first, first_at, item_size) && many_zip_fits(second, second_at, item_size))
        return &zip->stream;
    many_drop(&zip->stream);
    return skua__stream_refuse(&zip->stream);
}
