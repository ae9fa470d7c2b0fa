/* sql.c - what statements of SQL have besides what skua_sql.h makes of each: batches, orders. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <skua/skua.h>

#include "telemetry.h"

static const skua_meter orders_meter = SKUA_METER("orders", "1");
skua_counter orders_created =
    SKUA_COUNTER(&orders_meter, "orders.created", "{order}", "Orders that were stored.");

/* ---- statements ------------------------------------------------------------------------------ */

void sql_end(skua_sql *self, int rc)
{
    skua_sql_end(self, rc == -ENOENT || rc == -EEXIST ? 0 : rc); /* those are answers */
}

/* ---- batches --------------------------------------------------------------------------------- */

void sql_batch_add(struct sql_batch *self, const skua_span_context *context)
{
    if (self->count < sizeof self->of / sizeof *self->of && skua_span_context_valid(context))
        self->of[self->count++] = *context;
}

void sql_batch_begin(skua_sql *self, const struct sql_batch *batch, const char *system,
                     const char *text)
{
    skua_sql_begin(self, system, text);
    self->unmeasured = 1; /* each of those who wait for it measures */
    skua_span_rename(self->span, "write a batch");
    for (size_t i = 0; i < batch->count; i++)
        skua_span_link_to(self->span, &batch->of[i], NULL, 0);
}
