/* metric_view.c - which streams an instrument has: one a view that fits it, or one of its own; and
 * where readers want different aggregations, one each.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "otel/metric/metric_impl.h"

#define VIEW_LIMIT 2000
#define VIEW_PLACES 64 /* of a reservoir */

static const double view_bounds[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                     500, 750, 1000, 2500, 5000, 7500, 10000};

/* ---- matching -------------------------------------------------------------------------------- */

static bool view_like(const char *pattern, const char *name)
{
    const char *star = NULL, *back = NULL;

    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            back = name;
        } else if (*pattern == '?' ||
                   tolower((unsigned char)*pattern) == tolower((unsigned char)*name)) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++back;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool view_is(const char *wanted, const char *actual)
{
    return wanted == NULL || strcmp(wanted, actual != NULL ? actual : "") == 0;
}

static bool view_fits(const skua_otel_view *view, const struct skua__metric_instrument *instrument)
{
    const skua_meter *meter = instrument->scope->meter;

    return (view->instrument == NULL || view_like(view->instrument, instrument->name)) &&
           (view->kind == 0 || (int)view->kind == instrument->kind) &&
           view_is(view->unit, instrument->unit) && view_is(view->meter, meter->name) &&
           view_is(view->meter_version, meter->version) &&
           view_is(view->meter_schema_url, meter->schema_url);
}

static bool view_ascend(const double *bounds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (isnan(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
            return false;
    return true;
}

static bool view_aggregation_ok(const skua_otel_aggregation *aggregation)
{
    return aggregation->kind <= SKUA_OTEL_BASE2 &&
           view_ascend(aggregation->bounds, aggregation->bounds_count) &&
           (aggregation->max_size == 0 ||
            (aggregation->max_size >= 2 && aggregation->max_size <= 1024)) &&
           aggregation->max_scale >= -10 && aggregation->max_scale <= 20;
}

int skua__views_check(const skua_otel_view *views, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const skua_otel_view *view = &views[i];

        if (view->size != sizeof *view || view->kind > SKUA_KIND_OBSERVABLE_GAUGE ||
            !view_aggregation_ok(&view->aggregation))
            return -EINVAL;
        /* A name for several would make a conflict of all of them. */
        if (view->name != NULL &&
            (view->instrument == NULL || strpbrk(view->instrument, "*?") != NULL))
            return -EINVAL;
        if (view->reservoir != NULL &&
            (view->reservoir->offer == NULL || view->reservoir->places > VIEW_PLACES))
            return -EINVAL;
    }
    return 0;
}

/* ---- aggregation ----------------------------------------------------------------------------- */

static skua_otel_aggregate view_usual(uint8_t kind)
{
    if (kind == SKUA_KIND_HISTOGRAM)
        return SKUA_OTEL_EXPLICIT;
    return kind == SKUA_KIND_GAUGE || kind == SKUA_KIND_OBSERVABLE_GAUGE ? SKUA_OTEL_LAST
                                                                         : SKUA_OTEL_SUMMED;
}

/* Whether they go together; others than these are the user's to know. */
static bool view_goes(skua_otel_aggregate aggregate, uint8_t kind)
{
    if (aggregate >= SKUA_OTEL_EXPLICIT)
        return !skua__metric_observable(kind);
    if (aggregate == SKUA_OTEL_SUMMED)
        return kind != SKUA_KIND_GAUGE && kind != SKUA_KIND_OBSERVABLE_GAUGE;
    if (aggregate == SKUA_OTEL_LAST)
        return kind == SKUA_KIND_GAUGE || kind == SKUA_KIND_OBSERVABLE_GAUGE;
    return true;
}

/* What a reader wants of an instrument by a view. */
static skua_otel_aggregation view_aggregation(const skua_otel_view *view,
                                              const skua_otel_reader *reader,
                                              const struct skua__metric_instrument *instrument)
{
    skua_otel_aggregation ret = {SKUA_OTEL_BY_KIND, NULL, 0, 0, 0, 0};

    if (view != NULL)
        ret = view->aggregation;
    if (ret.kind == SKUA_OTEL_BY_KIND) {
        ret = reader->aggregation[instrument->kind];
        if (!view_aggregation_ok(&ret) || !view_goes(ret.kind, instrument->kind))
            ret.kind = SKUA_OTEL_BY_KIND;
    }
    if (ret.kind == SKUA_OTEL_BY_KIND)
        ret.kind = view_usual(instrument->kind);
    if (ret.kind == SKUA_OTEL_EXPLICIT && ret.bounds == NULL) {
        ret.bounds = instrument->bounds != NULL ? instrument->bounds : view_bounds;
        ret.bounds_count = instrument->bounds != NULL
                               ? instrument->bounds_count
                               : (uint32_t)(sizeof view_bounds / sizeof *view_bounds);
    }
    if (ret.max_size == 0)
        ret.max_size = 160;
    if (ret.max_scale == 0)
        ret.max_scale = 20;
    return ret;
}

static bool view_same(const skua_otel_aggregation *a, const skua_otel_aggregation *b)
{
    if (a->kind != b->kind || a->no_min_max != b->no_min_max)
        return false;
    if (a->kind == SKUA_OTEL_BASE2)
        return a->max_size == b->max_size && a->max_scale == b->max_scale;
    return a->kind != SKUA_OTEL_EXPLICIT ||
           (a->bounds_count == b->bounds_count &&
            (a->bounds_count == 0 ||
             memcmp(a->bounds, b->bounds, a->bounds_count * sizeof *a->bounds) == 0));
}

/* ---- streams --------------------------------------------------------------------------------- */

static uint8_t view_what(skua_otel_aggregate aggregate)
{
    return aggregate == SKUA_OTEL_SUMMED     ? SKUA__CELL_SUM
           : aggregate == SKUA_OTEL_LAST     ? SKUA__CELL_LAST
           : aggregate == SKUA_OTEL_EXPLICIT ? SKUA__CELL_EXPLICIT
                                             : SKUA__CELL_BASE2;
}

static void view_reservoir(struct skua__metric_stream *stream)
{
    const skua_otel_aggregation *aggregation = &stream->aggregation;

    stream->reservoir = stream->view != NULL ? stream->view->reservoir : NULL;
    if (stream->reservoir == NULL)
        stream->reservoir = aggregation->kind == SKUA_OTEL_EXPLICIT ? &skua_otel_reservoir_aligned
                                                                    : &skua_otel_reservoir_fixed;
    stream->places = stream->reservoir->places;
    if (stream->places == 0)
        stream->places =
            aggregation->kind == SKUA_OTEL_EXPLICIT ? aggregation->bounds_count + 1 : 1;
    if (stream->places > VIEW_PLACES)
        stream->places = VIEW_PLACES;
}

static struct skua__metric_stream *view_stream(struct skua__metric_instrument *instrument,
                                               const skua_otel_view *view,
                                               const skua_otel_aggregation *aggregation)
{
    struct skua__metric_stream *stream = skua__otel_malloc(sizeof *stream), **at;

    if (stream == NULL)
        return NULL;
    stream->instrument = instrument;
    stream->view = view;
    stream->name = view != NULL && view->name != NULL ? view->name : instrument->name;
    stream->description =
        view != NULL && view->description != NULL ? view->description : instrument->description;
    stream->aggregation = *aggregation;
    stream->what = view_what(aggregation->kind);
    stream->all_delta = true;
    stream->last = &stream->first;
    view_reservoir(stream);
    pthread_mutex_init(&stream->mutex, NULL);
    at = &instrument->streams;
    while (*at != NULL)
        at = &(*at)->next;
    *at = stream;
    instrument->streams_count++;
    return stream;
}

/* The stream of a view for one reader: one that is there, or a new one. 0 or -ENOMEM. */
static int view_for(struct skua__metric_sdk *sdk, struct skua__metric_instrument *instrument,
                    const skua_otel_view *view, uint32_t r)
{
    const skua_otel_reader *reader = sdk->readers[r];
    skua_otel_aggregation aggregation = view_aggregation(view, reader, instrument);
    struct skua__metric_stream *stream = instrument->streams;
    uint32_t limit = view != NULL && view->cardinality != 0 ? view->cardinality
                     : reader->cardinality[instrument->kind] != 0
                         ? reader->cardinality[instrument->kind]
                         : VIEW_LIMIT;

    if (aggregation.kind == SKUA_OTEL_OMIT)
        return 0;
    while (stream != NULL && (stream->view != view || (stream->readers >> r & 1) != 0 ||
                              !view_same(&stream->aggregation, &aggregation)))
        stream = stream->next;
    if (stream == NULL)
        stream = view_stream(instrument, view, &aggregation);
    if (stream == NULL)
        return -ENOMEM;
    stream->readers |= 1u << r;
    stream->limits[r] = limit;
    if (limit > stream->limit)
        stream->limit = limit;
    if (reader->temporality[instrument->kind] != SKUA_OTEL_DELTA)
        stream->all_delta = false;
    else
        stream->any_delta = true;
    return 0;
}

static int view_all(struct skua__metric_sdk *sdk, struct skua__metric_instrument *instrument,
                    const skua_otel_view *view)
{
    int rc = 0;

    for (uint32_t r = 0; r < sdk->readers_count && rc == 0; r++)
        rc = view_for(sdk, instrument, view, r);
    return rc;
}

int skua__streams_make(struct skua__metric_sdk *sdk, struct skua__metric_instrument *instrument,
                       unsigned *say)
{
    bool any = false;
    int rc = 0;

    for (size_t i = 0; i < sdk->views_count && rc == 0; i++) {
        const skua_otel_view *view = &sdk->views[i];

        if (!view_fits(view, instrument))
            continue;
        if (!view_goes(view->aggregation.kind, instrument->kind)) {
            *say |= SKUA__SAY_VIEW;
            continue;
        }
        any = true;
        rc = view_all(sdk, instrument, view);
    }
    if (!any && rc == 0)
        rc = view_all(sdk, instrument, NULL);
    return rc;
}

#undef VIEW_LIMIT
#undef VIEW_PLACES
