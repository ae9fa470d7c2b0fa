/* http_retry.c - a request that is sent again: whether, and when.
 *
 *   try       a copy of the request, with what is left of its time, and its stream watched
 *   judge     is this one to be tried again, may it be, and is the body there again?
 *   pause     by the backoff, which knows the tries, the deadline and the budget
 *
 * The answer of a try is closed before the pause, so that its connection does not wait, too. What
 * the budget gives is taken last: when nothing else stands against it.
 */
#include <time.h>

#include <skua/http/retry.h>
#include <skua/task.h>

#include "http/client/client_impl.h"

#define AGAIN_AFTER_MAX (30 * SKUA_SECOND)

struct again {
    skua_http_client *client;
    const skua_http_request *request; /* the caller's */
    skua_http_retry_options options;
    skua_backoff backoff;
    int64_t deadline; /* of all */
    bool read;        /* something of the body's stream was */
    bool redirected;  /* the last try was: somebody has heard of it, whoever was refused then */
};

void skua_http_retry_options_init(skua_http_retry_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- a try ----------------------------------------------------------------------------------- */

static ssize_t again_read(void *state, void *buf, size_t len)
{
    struct again *self = state;

    self->read = true;
    return self->request->body_read(self->request->body_state, buf, len);
}

static int again_rewind(void *state)
{
    const struct again *self = state;

    return self->request->body_again(self->request->body_state);
}

static int again_try(struct again *self, skua_http_response **ret)
{
    skua_http_request request = *self->request;
    int64_t now = skua_now();
    skua_deadline frame;
    int rc;

    self->redirected = false;
    if (now >= self->deadline)
        return -ETIMEDOUT;
    request.timeout = self->deadline != SKUA_FOREVER ? self->deadline - now : SKUA_FOREVER;
    if (request.body_read != NULL) {
        request.body_read = again_read;
        request.body_again = request.body_again != NULL ? again_rewind : NULL;
        request.body_state = self;
    }
    if (self->options.try_timeout == 0)
        return skua__client_send(self->client, &request, ret, &self->redirected);
    rc = skua_deadline_begin(&frame, skua__http_after(now, self->options.try_timeout));
    if (rc == SKUA_EUSAGE)
        return rc;
    if (rc == 0)
        rc = skua__client_send(self->client, &request, ret, &self->redirected);
    (void)skua_deadline_end(&frame);
    return rc;
}

/* ---- whether --------------------------------------------------------------------------------- */

static bool again_is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

    for (size_t i = 0; method != NULL && i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i], method) == 0)
            return true;
    return method == NULL;
}

static bool again_is_passing(int rc, int status)
{
    switch (rc) {
    case 0:
        return status == 408 || status == 429 || (status >= 502 && status <= 504);
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EPIPE:
    case SKUA_EEOF:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ENETDOWN:
    case -EAGAIN: /* of names: for now there is no answer */
        return true;
    default:
        return false;
    }
}

/* What the request was answered is to be asked for again, and may be. */
static bool again_wanted(struct again *self, int rc, const skua_http_response *response)
{
    const skua_http_retry_options *options = &self->options;

    if (rc == -ECANCELED || rc == -EINVAL || rc == SKUA_EUSAGE)
        return false;
    if (options->any_method == 0 && (rc != -ECONNREFUSED || self->redirected) &&
        !again_is_idempotent(self->request->method))
        return false;
    if (options->retry_if != NULL)
        return options->retry_if(rc, response, options->arg) != 0;
    return again_is_passing(rc, rc == 0 ? skua_http_response_status(response) : 0);
}

/* The body is as it was before the first try. */
static bool again_body(struct again *self)
{
    if (self->request->body_read == NULL || !self->read)
        return true;
    if (self->request->body_again == NULL || again_rewind(self) != 0)
        return false;
    self->read = false;
    return true;
}

/* ---- when ------------------------------------------------------------------------------------ */

/* What the server wants: ns; 0: nothing, or nothing that can be understood. */
static int64_t again_after(const skua_http_response *response)
{
    const char *text = skua_http_response_header(response, "Retry-After");
    int64_t seconds;

    if (text == NULL || *text == '\0')
        return 0;
    if (text[strspn(text, "0123456789")] == '\0') {
        seconds = skua__http_number(text, strlen(text));
        if (seconds < 0)
            return SKUA_FOREVER; /* more than there is */
    } else {
        seconds = skua__client_date(text, strlen(text));
        if (seconds < 0)
            return 0;
        seconds -= (int64_t)time(NULL);
    }
    if (seconds <= 0)
        return 0;
    return seconds < SKUA_FOREVER / SKUA_SECOND ? seconds * SKUA_SECOND : SKUA_FOREVER;
}

/* ns; below 0: it is not tried again. */
static int64_t again_pause(struct again *self, int rc, const skua_http_response *response)
{
    int64_t after = rc == 0 ? again_after(response) : 0;
    int64_t max = self->options.retry_after_max;

    if (after > (max != 0 ? max : AGAIN_AFTER_MAX) || !again_body(self))
        return SKUA_ELIMIT;
    return skua_backoff_next_after(&self->backoff, after);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int again_all(struct again *self, skua_http_response **ret)
{
    for (unsigned attempt = 1;; attempt++) {
        skua_http_response *response = NULL;
        int rc = again_try(self, &response);
        int64_t pause = SKUA_ELIMIT;

        if (again_wanted(self, rc, response))
            pause = again_pause(self, rc, response);
        if (pause < 0) {
            if (rc == 0)
                *ret = response;
            return rc;
        }
        if (self->options.on_retry != NULL)
            self->options.on_retry(attempt, rc != 0 ? rc : skua_http_response_status(response),
                                   pause, self->options.arg);
        skua_http_response_close(response);
        rc = skua_sleep(pause);
        if (rc != 0)
            return rc;
    }
}

static int again_check(const skua_http_retry_options *options)
{
    return options->size != sizeof *options || options->try_timeout < 0 ||
                   options->retry_after_max < 0 || options->any_method > 1
               ? -EINVAL
               : 0;
}

int skua_http_client_send_retrying(skua_http_client *client, const skua_http_request *request,
                                   const skua_http_retry_options *options,
                                   skua_http_response **response)
{
    struct again self = {.client = client, .request = request};
    skua_backoff_options backoff;
    int64_t timeout;
    int rc;

    skua_http_retry_options_init(&self.options);
    if (options != NULL)
        self.options = *options;
    if (request == NULL || request->size != sizeof *request || request->timeout < 0 ||
        again_check(&self.options) != 0)
        return -EINVAL;
    timeout = request->timeout != 0 ? request->timeout : client->options.total_timeout;
    self.deadline = skua__http_deadline(timeout, SKUA_FOREVER);
    skua_backoff_options_init(&backoff);
    if (self.options.backoff != NULL)
        backoff = *self.options.backoff;
    if (self.deadline != SKUA_FOREVER &&
        (backoff.deadline == 0 || self.deadline < backoff.deadline))
        backoff.deadline = self.deadline;
    rc = skua_backoff_init(&self.backoff, &backoff);
    return rc == 0 ? again_all(&self, response) : rc;
}

#undef AGAIN_AFTER_MAX
