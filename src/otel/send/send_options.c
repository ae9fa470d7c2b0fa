/* send_options.c - from options to an exporter: endpoints, headers, TLS.
 *
 * All that can be judged before a batch is there is judged here, where somebody reads the error.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "otel/send/send_impl.h"

#define OPTIONS_MULTIPLIER 1000 /* of an hour it is still a number of ns */
#define OPTIONS_TIMEOUT (10 * SKUA_SECOND)
#define OPTIONS_REQUEST ((size_t)64 << 20)
#define OPTIONS_RESPONSE ((size_t)4 << 20)

void skua_otlp_options_init(skua_otlp_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* Says why, and returns `rc`. */
static int options_no(const skua_otlp_options *options, int rc, const char *text)
{
    if (options->error_text != NULL && options->error_size != 0 && options->error_text != text)
        (void)snprintf(options->error_text, options->error_size, "%s", text);
    return rc;
}

static char *options_copy(const char *text, size_t len)
{
    char *copy = skua__otel_raw(len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* Where the host begins; NULL: there is no scheme that is spoken. */
static const char *options_host(const char *url)
{
    if (strncasecmp(url, "http://", 7) == 0)
        return url + 7;
    return strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
}

/* An URL with a path behind its own, and in front of its query. */
static char *options_join(const char *base, size_t len, const char *path)
{
    const char *query = base + strcspn(base, "?#");
    size_t path_len = strlen(path), query_len = strcspn(query, "#");
    char *url;

    url = skua__otel_raw(len + path_len + query_len + 1);
    if (url == NULL)
        return NULL;
    memcpy(url, base, len);
    memcpy(url + len, path, path_len);
    memcpy(url + len + path_len, query, query_len);
    url[len + path_len + query_len] = '\0';
    return url;
}

/* Of gRPC: scheme, host and port alone. */
static char *options_target(const char *endpoint, bool insecure)
{
    const char *host = options_host(endpoint), *scheme = insecure ? "http://" : "https://";
    size_t len, scheme_len = host == NULL ? strlen(scheme) : 0;
    char *url;

    len = (host == NULL ? 0 : (size_t)(host - endpoint));
    len += strcspn(endpoint + len, "/?#");
    url = skua__otel_raw(scheme_len + len + 1);
    if (url == NULL)
        return NULL;
    memcpy(url, scheme, scheme_len);
    memcpy(url + scheme_len, endpoint, len);
    url[scheme_len + len] = '\0';
    return url;
}

/* A base and a signal's path, with one slash between them. */
static char *options_below(const char *base, const char *path)
{
    size_t len = strcspn(base, "?#");

    while (len > 0 && base[len - 1] == '/')
        len--;
    return options_join(base, len, path);
}

/* As it is; without a path it is "/". */
static char *options_exact(const char *url, const char *host)
{
    bool path = host[strcspn(host, "/?#")] == '/';

    return options_join(url, strcspn(url, "?#"), path ? "" : "/");
}

/* Who is asked, as telemetry's own numbers have it: the host without brackets, and the port. */
static int options_server(struct skua__send *self, const skua_otlp_options *options, int signal)
{
    const char *url = self->urls[signal], *host = options_host(url), *end, *port;
    const char *stop = host + strcspn(host, "/?#");
    bool six = host[0] == '[';

    if (options->unix_path != NULL) {
        self->hosts[signal] = options_copy(options->unix_path, strlen(options->unix_path));
        return self->hosts[signal] != NULL ? 0 : -ENOMEM;
    }
    host += six;
    end = memchr(host, six ? ']' : ':', (size_t)(stop - host));
    end = end != NULL ? end : stop;
    port = memchr(end, ':', (size_t)(stop - end));
    self->ports[signal] = strncasecmp(url, "https:", 6) == 0 ? 443 : 80;
    if (port != NULL && port + 1 < stop) {
        size_t digits = strspn(port + 1, "0123456789");
        long number = digits <= 5 ? strtol(port + 1, NULL, 10) : 0;

        if (port + 1 + digits != stop || number < 1 || number > UINT16_MAX)
            return options_no(options, -EINVAL, "the endpoint's port is not from 1 to 65535");
        self->ports[signal] = (int)number;
    }
    self->hosts[signal] = options_copy(host, (size_t)(end - host));
    return self->hosts[signal] != NULL ? 0 : -ENOMEM;
}

static int options_endpoint(struct skua__send *self, const skua_otlp_options *options,
                            skua_otel_signal signal, const char *own)
{
    static const char *const paths[] = {"/v1/traces", "/v1/metrics", "/v1/logs"};
    const char *base = options->endpoint, *url = own != NULL ? own : base, *host, *at;
    bool grpc = self->protocol == SKUA_OTLP_GRPC;

    if (url == NULL)
        url = base = grpc ? "http://localhost:4317" : "http://localhost:4318";
    host = options_host(url);
    if ((host == NULL && (!grpc || strstr(url, "://") != NULL)) ||
        strchr("/?#:", (host != NULL ? host : url)[0]) != NULL)
        return options_no(options, -EINVAL, "the endpoint is no URL of http or https");
    at = host != NULL ? host : url;
    if (memchr(at, '@', strcspn(at, "/?#")) != NULL)
        return options_no(options, -EINVAL, "an endpoint has no user; a header says who asks");
    for (at = url; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return options_no(options, -EINVAL, "the endpoint has spaces or control characters");
    if (grpc)
        self->urls[signal] = options_target(url, options->insecure != 0);
    else
        self->urls[signal] =
            own != NULL ? options_exact(own, host) : options_below(base, paths[signal]);
    if (self->urls[signal] == NULL)
        return -ENOMEM;
    self->shown[signal] = options_copy(self->urls[signal], strcspn(self->urls[signal], "?"));
    return self->shown[signal] != NULL ? 0 : -ENOMEM;
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool options_name(const char *name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    if (name == NULL || name[0] == '\0')
        return false;
    for (const char *at = name; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr(marks, *at) == NULL)
            return false;
    return true;
}

/* gRPC's metadata are ASCII alone, HTTP's headers any bytes that do not end a line. */
static bool options_value(const char *value, bool grpc)
{
    if (value == NULL)
        return false;
    for (const char *at = value; *at != '\0'; at++)
        if (((unsigned char)*at < ' ' && (*at != '\t' || grpc)) || *at == 0x7f ||
            (grpc && (unsigned char)*at > 0x7f))
            return false;
    return true;
}

static int options_headers(struct skua__send *self, const skua_otlp_options *options)
{
    if (options->headers_count > SKUA__SEND_HEADERS)
        return options_no(options, -EINVAL, "there are too many headers");
    self->headers = skua__otel_malloc((options->headers_count + 1) * sizeof *self->headers);
    if (self->headers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < options->headers_count; i++) {
        const skua_http_field *from = &options->headers[i];
        char *name, *value;

        if (!options_name(from->name) ||
            !options_value(from->value, self->protocol == SKUA_OTLP_GRPC))
            return options_no(options, -EINVAL, "a header is malformed");
        name = options_copy(from->name, strlen(from->name));
        value = options_copy(from->value, strlen(from->value));
        self->headers[self->headers_count++] = (skua_http_field){name, value};
        if (name == NULL || value == NULL)
            return -ENOMEM;
        for (char *at = name; self->protocol == SKUA_OTLP_GRPC && *at != '\0'; at++)
            *at = (char)tolower((unsigned char)*at);
    }
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int options_tls(struct skua__send *self, const skua_otlp_options *options)
{
    bool wanted = false;

    for (int i = 0; i < SKUA_OTEL_SIGNALS; i++)
        wanted = wanted || strncasecmp(self->urls[i], "https:", 6) == 0;
    self->tls = options->tls;
    if (self->tls != NULL || !wanted)
        return 0;
    if ((options->client_certificate == NULL) != (options->client_key == NULL))
        return options_no(options, -EINVAL, "a certificate of the client's needs its key");
    return skua_tls_context_new(
        &self->tls_own, SKUA_TLS_CLIENT,
        SKUA_TLS_CONTEXT_OPTIONS(.ca = options->certificate,
                                 .certificate = options->client_certificate,
                                 .key = options->client_key,
                                 .alpn = self->protocol == SKUA_OTLP_GRPC ? "h2" : "http/1.1",
                                 .error_text = options->error_text,
                                 .error_size = options->error_size));
}

static int options_numbers(struct skua__send *self, const skua_otlp_options *options)
{
    if (options->timeout < 0 || options->retry_initial < 0 || options->retry_max < 0 ||
        options->concurrency > SKUA__SEND_SLOTS || (unsigned)options->compression > 1 ||
        (options->retry_multiplier != 0 &&
         !(options->retry_multiplier >= 1 && options->retry_multiplier <= OPTIONS_MULTIPLIER)))
        return options_no(options, -EINVAL, "a number is out of range");
    self->gzip = options->compression == SKUA_OTLP_GZIP;
    self->timeout = options->timeout != 0 ? options->timeout : OPTIONS_TIMEOUT;
    self->request_max = options->request_max != 0 ? options->request_max : OPTIONS_REQUEST;
    self->response_max = options->response_max != 0 ? options->response_max : OPTIONS_RESPONSE;
    if (self->response_max > INT64_MAX)
        self->response_max = INT64_MAX;
    self->retry_initial = options->retry_initial != 0 ? options->retry_initial : SKUA_SECOND;
    self->retry_max = options->retry_max != 0 ? options->retry_max : 5 * SKUA_SECOND;
    if (self->retry_max < self->retry_initial)
        self->retry_max = self->retry_initial;
    self->retry_multiplier = options->retry_multiplier != 0 ? options->retry_multiplier : 1.5;
    self->attempts = options->attempts != 0 ? options->attempts : 5;
    self->concurrency = options->concurrency != 0 ? options->concurrency : 1;
    return 0;
}

static int options_fill(struct skua__send *self, const skua_otlp_options *options)
{
    const char *const own[] = {options->traces_endpoint, options->metrics_endpoint,
                               options->logs_endpoint};
    int rc = options_numbers(self, options);

    if ((unsigned)options->protocol > SKUA_OTLP_GRPC)
        rc = options_no(options, -EINVAL, "there is no such protocol");
    self->protocol = options->protocol;
    if (rc == 0 && ((self->protocol == SKUA_OTLP_GRPC && !skua__send_has_grpc()) ||
                    (self->gzip && !skua__send_has_gzip())))
        rc = options_no(options, -ENOSYS, "built without gRPC or gzip");
    for (int i = 0; rc == 0 && i < SKUA_OTEL_SIGNALS; i++)
        rc = options_endpoint(self, options, (skua_otel_signal)i, own[i]);
    for (int i = 0; rc == 0 && i < SKUA_OTEL_SIGNALS; i++)
        rc = options_server(self, options, i);
    if (rc == 0)
        rc = options_headers(self, options);
    if (rc == 0)
        rc = options_tls(self, options);
    if (self->tls == NULL)
        self->tls = self->tls_own;
    if (rc == 0 && options->unix_path != NULL)
        self->unix_path = options_copy(options->unix_path, strlen(options->unix_path));
    if (rc == 0 && options->unix_path != NULL && self->unix_path == NULL)
        rc = -ENOMEM;
    if (rc == 0)
        self->slots = skua__otel_malloc(self->concurrency * sizeof *self->slots);
    return rc != 0 ? rc : self->slots != NULL ? 0 : -ENOMEM;
}

void skua__send_free(struct skua__send *self)
{
    for (int i = 0; i < SKUA_OTEL_SIGNALS; i++) {
        skua__otel_free(self->urls[i]);
        skua__otel_free(self->shown[i]);
        skua__otel_free(self->hosts[i]);
    }
    for (size_t i = 0; i < self->headers_count; i++) {
        skua__otel_free((void *)(uintptr_t)self->headers[i].name);
        skua__otel_free((void *)(uintptr_t)self->headers[i].value);
    }
    for (unsigned i = 0; self->slots != NULL && i < self->concurrency; i++) {
        skua__otlp_free(&self->slots[i].protobuf);
        skua__json_free(&self->slots[i].json);
    }
    skua__otel_free(self->slots);
    skua__otel_free(self->headers);
    skua__otel_free(self->unix_path);
    skua_tls_context_free(self->tls_own);
    skua__otel_free(self);
}

int skua__send_new(skua_otel_exporter **ret, const skua_otlp_options *options, bool zipkin)
{
    skua_http_client *client;
    struct skua__send *self = skua__otel_malloc(sizeof *self);
    int rc;

    if (self == NULL)
        return -ENOMEM;
    (void)options_no(options, 0, "");
    self->zipkin = zipkin;
    rc = options_fill(self, options);
    if (rc != 0) {
        skua__send_free(self);
        return rc;
    }
    skua__send_ops(self, options->temporality);
    rc = skua__send_client_of(self, &client);
    if (rc == 0)
        *ret = &self->base;
    else
        skua__send_free(self);
    return rc;
}

int skua_otlp_exporter_new(skua_otel_exporter **ret, const skua_otlp_options *options)
{
    static const skua_otlp_options defaults = {.size = sizeof defaults};

    if (options == NULL)
        options = &defaults;
    return options->size == sizeof *options ? skua__send_new(ret, options, false) : -EINVAL;
}

#undef OPTIONS_MULTIPLIER
#undef OPTIONS_TIMEOUT
#undef OPTIONS_REQUEST
#undef OPTIONS_RESPONSE
