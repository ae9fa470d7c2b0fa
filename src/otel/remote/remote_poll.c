/* remote_poll.c - asks the collector what is to be sampled, again and again.
 */
#include <ctype.h>
#include <stdio.h>

#include <skua/http/client.h>
#include <skua/task.h>
#include <skua/time.h>

#include "otel/core/otel_warn.h"
#include "otel/remote/remote_impl.h"

#define POLL_ANSWER ((size_t)4 << 20)
#define POLL_TIMEOUT (10 * SKUA_SECOND)
#define POLL_URL 2048

/* "http://host:5778/sampling?service=shop"; false: it is too long. */
static bool rpoll_url(const struct skua__remote *self, char url[POLL_URL])
{
    size_t end = strlen(self->endpoint);
    int len;

    while (end > 0 && self->endpoint[end - 1] == '/')
        end--;
    if (end >= 9 && memcmp(self->endpoint + end - 9, "/sampling", 9) == 0)
        end -= 9;
    if (end > POLL_URL / 2)
        return false;
    len =
        snprintf(url, POLL_URL,
                 "%s%.*s/sampling?service=", strstr(self->endpoint, "://") != NULL ? "" : "http://",
                 (int)end, self->endpoint);
    for (const char *at = self->service; *at != '\0'; at++) {
        bool plain = isalnum((unsigned char)*at) || strchr("-._~", *at) != NULL;

        len += snprintf(url + len, (size_t)(POLL_URL - len), plain ? "%c" : "%%%02X",
                        (unsigned char)*at);
    }
    return true;
}

/* One question. 0 or an error: nothing has changed. */
static int rpoll_once(struct skua__remote *self, skua_http_client *client, const char *url)
{
    struct skua__remote_told told;
    skua_http_response *response;
    size_t len;
    char *body;
    int rc = skua_http_client_send(
        client, SKUA_HTTP_REQUEST(.url = url, .method = "GET", .timeout = POLL_TIMEOUT), &response);

    if (rc != 0)
        return rc;
    rc = skua_http_response_status(response) == 200 ? 0 : -EPROTO;
    if (rc == 0)
        rc = skua_http_response_read_all(response, &body, &len, POLL_ANSWER);
    if (rc == 0) {
        rc = skua__remote_read(body, len, &told);
        if (rc == 0)
            rc = skua__remote_rule(self, &told);
        skua__remote_told_free(&told);
    }
    skua_http_response_close(response);
    return rc;
}

int skua__remote_poll(void *arg)
{
    struct skua__remote *self = arg;
    skua_http_client *client;
    char url[POLL_URL];
    int rc = rpoll_url(self, url) ? 0 : -EINVAL;

    if (rc == 0)
        rc = skua_http_client_new(
            &client, SKUA_HTTP_CLIENT_OPTIONS(.redirects_max = -1, .http2 = SKUA_HTTP2_OFF,
                                              .user_agent = "OTel-Jaeger-Sampler-C/" SKUA_VERSION));
    if (rc != 0) {
        skua__otel_warn(SKUA__WARN_CONFIG, "the sampler's collector cannot be asked: %s",
                        skua_strerror(rc));
        return 0;
    }
    do {
        rc = rpoll_once(self, client, url);
        if (rc != 0 && rc != -ECANCELED)
            skua__otel_warn(SKUA__WARN_CONFIG,
                            "the sampler's collector did not say what it wants: %s",
                            skua_strerror(rc));
        if (rc != -ECANCELED)
            rc = skua_sleep(self->interval);
    } while (rc == 0);
    (void)skua_http_client_free(client);
    return 0;
}

#undef POLL_ANSWER
#undef POLL_TIMEOUT
#undef POLL_URL
