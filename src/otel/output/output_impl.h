/* output_impl.h - telemetry without a network: files, standard output; and Zipkin's JSON.
 *
 *   output_sink.c    a file, or a standard stream, that lines are written to
 *   output_file.c    the exporter that writes OTLP/JSON into one
 *   output_log.c     the exporter that writes log records for people
 *   zipkin_spans.c   spans as Zipkin has them, version 2 of its JSON
 *   plain_value.c    a value as plain JSON
 *
 * Zipkin:
 *
 *   trace id, ids, name   as they are, in hex      parent zero: left out
 *   kind                  internal: left out
 *   start, end            timestamp, duration: whole microseconds, and one at least
 *   resource              localEndpoint.serviceName: service.name
 *   attributes            tags, all of them text; arrays as JSON
 *   scope                 tags otel.scope.name, otel.scope.version, and those with the older names,
 *                         otel.library.name, otel.library.version
 *   status                tags otel.status_code; error, of an error alone
 *   events                annotations: "name": {attributes}
 *   dropped               tags otel.dropped_attributes_count …
 *   peer                  remoteEndpoint, of clients and producers
 *
 * Links and the trace state have no place there. Tags are an object: of two with one key the
 * first one is written.
 *
 * Source     OpenTelemetry specification 1.60, trace/sdk_exporters/zipkin; Zipkin's API 2.
 */
#ifndef SKUA_OTEL_OUTPUT_IMPL_H
#define SKUA_OTEL_OUTPUT_IMPL_H

#include <skua/fd.h>
#include <skua/file.h>
#include <skua/otel/exporter.h>

#include "otel/json/otel_json.h"

/* ---- a sink (output_sink.c) ------------------------------------------------------------------ */

/* One fiber's at a time. */
struct skua__sink {
    char *path;      /* NULL: the stream with this number */
    int number;      /* 1 or 2; constant */
    int64_t rotate;  /* bytes of a file at most; 0: any; constant */
    unsigned keep;   /* older files; constant */
    unsigned sync;   /* 1: each write returns when it is on the disk; constant */
    uint32_t mode;   /* of a new file; constant */
    skua_file *file; /* NULL: not open */
    skua_fd *stream; /* likewise */
    int64_t size;    /* of the file */
    bool torn;       /* the last line has no end */
};

/* 0 or -ENOMEM. `path` is copied; NULL: the stream. The rest is the caller's to fill in before. */
int skua__sink_init(struct skua__sink *sink, const char *path);
/* Writes whole lines; opens it first, where it is not open. 0, or why not: nothing of it is to be
 * found there then, or a line that is cut. */
int skua__sink_write(struct skua__sink *sink, const char *bytes, size_t len, int64_t deadline);
/* 0, or what an earlier write has not told. It opens again. */
int skua__sink_close(struct skua__sink *sink);
/* In the child of a fork: what is open is the parent's, and may be in use; it is left alone. */
void skua__sink_forked(struct skua__sink *sink);
void skua__sink_free(struct skua__sink *sink);

/* ---- Zipkin (zipkin_spans.c) ----------------------------------------------------------------- */

/* Writes the list of a batch's spans behind what is there: the body of a POST to /api/v2/spans.
 * 0, -EMSGSIZE, -ENOMEM. */
int skua__zipkin_spans(struct skua__json *out, const skua_otel_batch *batch);

/* A value as plain JSON (plain_value.c); its key does not count. */
void skua__plain_value(struct skua__json *out, const skua_attr *attr, unsigned depth);

#endif
