/* served.h - a server on a listener, in a task of the test's, and clients that say and hear. */
#ifndef SKUA_TESTS_SERVED_H
#define SKUA_TESTS_SERVED_H

#include "talk.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

struct served {
    skua_http_server *server;
    skua_listener *listener;
    char address[SKUA_ADDRESS_MAX];
    skua_task *task;
};

static inline int served_run(void *arg)
{
    struct served *self = arg;

    return skua_http_server_run(self->server, self->listener);
}

/* On a listener that is made already. */
static inline void served_begin_on(struct served *self, skua_http_handler handler, void *state,
                                   const skua_http_server_options *options)
{
    MUST(skua_http_server_new(&self->server, handler, state, options) == 0);
    MUST(skua_listener_address(self->listener, self->address, sizeof self->address) == 0);
    MUST(skua_spawn(NULL, served_run, self, .task = &self->task) == 0);
}

static inline void served_begin(struct served *self, skua_http_handler handler, void *state,
                                const skua_http_server_options *options)
{
    MUST(skua_tcp_listen(&self->listener, "127.0.0.1:0", NULL) == 0);
    served_begin_on(self, handler, state, options);
}

static inline void served_end(struct served *self)
{
    int result = 0;

    (void)skua_task_cancel(self->task);
    CHECK_EQ(skua_task_join(self->task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_listener_close(self->listener), 0);
    skua_http_server_free(self->server);
}

static inline skua_tcp *connected(const struct served *self)
{
    skua_tcp *tcp;

    MUST(skua_tcp_connect(&tcp, self->address, NULL) == 0);
    return tcp;
}

static inline void says(skua_tcp *tcp, const char *text)
{
    CHECK_EQ(skua_tcp_write_all(tcp, text, strlen(text)), strlen(text));
}

/* Reads until `wanted` has come so many times, or the end. */
static inline void hears(skua_tcp *tcp, char *text, size_t size, const char *wanted, int times)
{
    size_t len = 0;
    ssize_t n = 1;

    text[0] = '\0';
    while (n > 0 && len < size - 1) {
        const char *at = text;
        int count = 0;

        while ((at = strstr(at, wanted)) != NULL) {
            at += strlen(wanted);
            count++;
        }
        if (count >= times)
            return;
        n = skua_tcp_read_until(tcp, text + len, size - 1 - len, skua_now() + 2 * TEST_LATE);
        len += n > 0 ? (size_t)n : 0;
        text[len] = '\0';
    }
    CHECK(!"the answer did not come");
    test_note("wanted %d times %s in: %s", times, wanted, text);
}

static inline void hears_the_end(skua_tcp *tcp)
{
    char waste[4096];
    ssize_t n;

    while ((n = skua_tcp_read_until(tcp, waste, sizeof waste, skua_now() + 2 * TEST_LATE)) > 0)
        ;
    CHECK_EQ(n, 0);
}

static inline int hello(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "text/plain", "hello\n", 6);
}

#endif
