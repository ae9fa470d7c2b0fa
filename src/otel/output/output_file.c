/* output_file.c - the exporter that writes OTLP/JSON, a request a line.
 */
#include <skua/otel/file.h>

#include "otel/otlp/otlp_json.h"
#include "otel/output/output_impl.h"

#define FILE_MAX_LINE ((size_t)64 << 20)
#define FILE_MAX_KEEP 1000
#define FILE_KEEP 4
/* What a buffer keeps between exports; one that was larger is given back. */
#define FILE_BUFFER ((size_t)1 << 20)

struct output_file {
    skua_otel_exporter base;
    struct skua__sink sink;
    struct skua__json json;
    size_t max_line;
};

static struct output_file *file_of(skua_otel_exporter *exporter)
{
    return (struct output_file *)(void *)exporter;
}

static int64_t file_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    struct output_file *self = file_of(exporter);
    int rc;

    skua__json_begin(&self->json, self->max_line);
    rc = skua__otlp_json_request(&self->json, batch);
    skua__json_raw(&self->json, "\n", 1);
    if (rc == 0)
        rc = self->json.error;
    if (rc == 0)
        rc = skua__sink_write(&self->sink, self->json.bytes, self->json.len, deadline);
    if (self->json.room > FILE_BUFFER)
        skua__json_free(&self->json);
    return rc;
}

static int file_shutdown(skua_otel_exporter *exporter, int64_t deadline)
{
    (void)deadline;
    return skua__sink_close(&file_of(exporter)->sink);
}

/* The buffer may have been cut off in the middle of a growth. */
static void file_forked(skua_otel_exporter *exporter)
{
    struct output_file *self = file_of(exporter);

    skua__sink_forked(&self->sink);
    self->json = (struct skua__json){.bytes = NULL};
}

static void file_free(skua_otel_exporter *exporter)
{
    struct output_file *self = file_of(exporter);

    skua__sink_free(&self->sink);
    skua__json_free(&self->json);
    skua__otel_free(self);
}

static const skua_otel_exporter_ops file_ops = {.name = "otlp_file_exporter",
                                                .export_batch = file_export,
                                                .shutdown = file_shutdown,
                                                .free = file_free,
                                                .forked = file_forked};

void skua_otel_file_options_init(skua_otel_file_options *options)
{
    *options = (skua_otel_file_options){.size = sizeof *options};
}

int skua_otel_file_new(skua_otel_exporter **ret, const skua_otel_file_options *options)
{
    static const skua_otel_file_options defaults = {.size = sizeof defaults};
    struct output_file *self;

    if (options == NULL)
        options = &defaults;
    if (options->size != sizeof *options || options->rotate < 0 || options->keep > FILE_MAX_KEEP ||
        options->mode > 07777 || (options->path != NULL && *options->path == '\0'))
        return -EINVAL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    self->base.ops = &file_ops;
    self->max_line = options->max_line != 0 ? options->max_line : FILE_MAX_LINE;
    self->sink.number = 1;
    self->sink.rotate = options->rotate;
    self->sink.keep = options->keep != 0 ? options->keep : FILE_KEEP;
    self->sink.sync = options->sync;
    self->sink.mode = options->mode != 0 ? options->mode : 0640;
    if (skua__sink_init(&self->sink, options->path) != 0) {
        skua__otel_free(self);
        return -ENOMEM;
    }
    *ret = &self->base;
    return 0;
}

#undef FILE_MAX_LINE
#undef FILE_MAX_KEEP
#undef FILE_KEEP
#undef FILE_BUFFER
