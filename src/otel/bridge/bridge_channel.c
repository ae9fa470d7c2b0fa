/* bridge_channel.c - channels that have names, as metrics: what is in them at each collect.
 *
 *   collect -> skua_channel_each -> sums by name and kind -> points
 *
 * Series     are those of a name and a kind, whatever channels had them. The 65th and all that
 *            follow in one collect share one, "other".
 * Memory     static, of who collects.
 */
#include <string.h>

#include <skua/channel.h>

#include "otel/bridge/bridge_runtime.h"

#define CHN_ROWS 65

static skua_observable chn_alive = SKUA_OBSERVABLE_UPDOWN(
    &skua__rtm_meter, "skua.channel.alive", "{channel}", "Channels of the name that there are");
static skua_observable chn_length = SKUA_OBSERVABLE_UPDOWN(
    &skua__rtm_meter, "skua.channel.length", "{message}", "Messages that wait in them");
static skua_observable chn_capacity =
    SKUA_OBSERVABLE_UPDOWN(&skua__rtm_meter, "skua.channel.capacity", "{message}",
                           "Messages for which they have room, of those that are bounded");

/* All channels of a name and a kind. */
struct chn_row {
    char name[SKUA_CHANNEL_NAME];
    const char *kind;
    int64_t alive, length, capacity;
};

static struct chn_row chn_rows[CHN_ROWS]; /* who collects, as the next; the last one: other */
static size_t chn_count;
static skua_observing chn_observing; /* the start's and the end's, as the next */
static bool chn_begun;

static struct chn_row *chn_row_of(const skua_channel_info *info)
{
    struct chn_row *row;

    for (size_t i = 0; i < chn_count; i++)
        if (chn_rows[i].kind == info->kind && strcmp(chn_rows[i].name, info->name) == 0)
            return &chn_rows[i];
    if (chn_count == CHN_ROWS)
        return &chn_rows[CHN_ROWS - 1];
    row = &chn_rows[chn_count++];
    *row = (struct chn_row){.name = "other", .kind = "other"};
    if (chn_count < CHN_ROWS) {
        row->kind = info->kind;
        memcpy(row->name, info->name, strlen(info->name) + 1);
    }
    return row;
}

/* Under the lock of the list. */
static void chn_visit(const skua_channel_info *info, void *arg)
{
    struct chn_row *row = chn_row_of(info);

    (void)arg;
    row->alive++;
    row->length += (int64_t)info->length;
    if (info->capacity != SIZE_MAX)
        row->capacity += (int64_t)info->capacity;
}

static void chn_observe(skua_observer *observer, void *arg)
{
    (void)arg;
    chn_count = 0;
    (void)skua_channel_each(chn_visit, NULL);
    for (size_t i = 0; i < chn_count; i++) {
        const struct chn_row *row = &chn_rows[i];
        skua_attr attrs[2] = {skua_attr_str("skua.channel.name", row->name),
                              skua_attr_str("skua.channel.kind", row->kind)};

        skua_observe_attrs(observer, &chn_alive, row->alive, attrs, 2);
        skua_observe_attrs(observer, &chn_length, row->length, attrs, 2);
        if (row->capacity != 0)
            skua_observe_attrs(observer, &chn_capacity, row->capacity, attrs, 2);
    }
}

void skua__channels_begin(void)
{
    chn_begun = skua_observing_begin(&chn_observing, chn_observe, NULL) == 0;
}

void skua__channels_end(void)
{
    if (chn_begun)
        skua_observing_end(&chn_observing);
    chn_begun = false;
}

#undef CHN_ROWS
