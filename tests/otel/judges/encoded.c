/* encoded.c - writes the sample batches for other programs to read: `encoded FOLDER`.
 *
 * traces, metrics, logs, each as .pb (protobuf), .json (a line of the file exporter's); and
 * zipkin.json.
 */
#include <stdio.h>
#include <stdlib.h>

#include "otel/otlp/otlp_json.h"
#include "otel/output/output_impl.h"

#include "../sample.h"

static void write_file(const char *folder, const char *name, const char *ending, const void *bytes,
                       size_t len)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s%s", folder, name, ending);
    file = fopen(path, "w");
    if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"traces", "metrics", "logs"};
    struct skua__json json = {.bytes = NULL};
    struct skua__otlp otlp = {.bytes = NULL};

    if (argc != 2)
        return 2;
    for (int i = 0; i < SKUA_OTEL_SIGNALS; i++) {
        skua__json_begin(&json, SIZE_MAX);
        skua__otlp_begin(&otlp, SIZE_MAX);
        if (skua__otlp_json_request(&json, &sample_batches[i]) != 0 ||
            skua__otlp_request(&otlp, &sample_batches[i]) != 0)
            return 1;
        write_file(argv[1], names[i], ".json", json.bytes, json.len);
        write_file(argv[1], names[i], ".pb", otlp.bytes + otlp.at, skua__otlp_size(&otlp));
    }
    skua__json_begin(&json, SIZE_MAX);
    if (skua__zipkin_spans(&json, &sample_batches[SKUA_OTEL_TRACES]) != 0)
        return 1;
    write_file(argv[1], "zipkin", ".json", json.bytes, json.len);
    skua__json_free(&json);
    skua__otlp_free(&otlp);
    return 0;
}
