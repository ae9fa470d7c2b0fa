/* sql.c - spans and durations of statements of SQL, by the semantic conventions of databases. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <skua/skua.h>

#include "telemetry.h"

static skua_tracer sql_tracer = SKUA_TRACER("orders.sql", "1");

static const skua_meter sql_meter = SKUA_METER("orders.sql", "1");
static const double sql_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};
static skua_histogram sql_took =
    SKUA_HISTOGRAM_BOUNDS(&sql_meter, "db.client.operation.duration", "s",
                          "Duration of database client operations.", sql_bounds);

static const skua_meter orders_meter = SKUA_METER("orders", "1");
skua_counter orders_created =
    SKUA_COUNTER(&orders_meter, "orders.created", "{order}", "Orders that were stored.");

/* ---- what a statement is --------------------------------------------------------------------- */

/* The table of a statement: the word behind FROM, INTO or UPDATE. Ours name one each. */
static const char *sql_table(const char *text, size_t *len)
{
    static const char *const before[] = {" FROM ", "INTO ", "UPDATE "};

    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        const char *at = strstr(text, before[i]);

        if (at == NULL)
            continue;
        at += strlen(before[i]);
        *len = strcspn(at, " (;");
        return at;
    }
    *len = 0;
    return "";
}

/* What spans and durations have in common; their count. */
static size_t sql_describe(const struct sql *self, skua_attr *attrs)
{
    size_t count = 0, len;
    const char *table = sql_table(self->text, &len);

    attrs[count++] = SKUA_STR("db.system.name", self->system);
    attrs[count++] = SKUA_TEXT("db.operation.name", self->text, strcspn(self->text, " "));
    if (len != 0)
        attrs[count++] = SKUA_TEXT("db.collection.name", table, len);
    return count;
}

static skua_span *sql_span(const struct sql *self)
{
    skua_attr attrs[4];
    size_t count = sql_describe(self, attrs);
    char name[64];

    (void)snprintf(name, sizeof name, "%.*s%s%.*s", (int)attrs[1].count, self->text,
                   count > 2 ? " " : "", count > 2 ? (int)attrs[2].count : 0,
                   count > 2 ? attrs[2].value.str : "");
    attrs[count++] = SKUA_STR("db.query.text", self->text);
    return skua_span_start(
        &sql_tracer, name,
        SKUA_SPAN_OPTIONS(.kind = SKUA_SPAN_CLIENT, .attrs = attrs, .attrs_count = count));
}

/* ---- around it ------------------------------------------------------------------------------- */

void sql_begin(struct sql *self, const char *system, const char *text)
{
    *self = (struct sql){.system = system, .text = text};
    if (SKUA_METRIC_ON())
        self->began = skua_now();
    if (SKUA_TRACE_ON())
        self->span = sql_span(self);
}

void sql_end(struct sql *self, int rc)
{
    bool failed = rc < 0 && rc != -ENOENT && rc != -EEXIST; /* those are answers */

    if (self->began != 0) {
        skua_attr attrs[4];
        size_t count = sql_describe(self, attrs);

        if (failed)
            attrs[count++] = SKUA_STR("error.type", skua_error_name(rc));
        skua_metric_f64(&sql_took.instrument, (double)(skua_now() - self->began) / SKUA_SECOND,
                        attrs, count);
    }
    if (failed) {
        skua_span_set(self->span, SKUA_STR("error.type", skua_error_name(rc)));
        skua_span_set_status(self->span, SKUA_SPAN_ERROR, skua_strerror(rc));
    }
    skua_span_end(self->span);
}

/* ---- batches --------------------------------------------------------------------------------- */

void sql_batch_add(struct sql_batch *self, const skua_span_context *context)
{
    if (self->count < sizeof self->of / sizeof *self->of && skua_span_context_valid(context))
        self->of[self->count++] = *context;
}

void sql_batch_begin(struct sql *self, const struct sql_batch *batch, const char *system,
                     const char *text)
{
    sql_begin(self, system, text);
    self->began = 0; /* each of those who wait for it measures */
    skua_span_rename(self->span, "write a batch");
    for (size_t i = 0; i < batch->count; i++)
        skua_span_link_to(self->span, &batch->of[i], NULL, 0);
}
