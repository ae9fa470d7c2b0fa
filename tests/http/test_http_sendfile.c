/* drivers: both
 * test_http_sendfile.c - big files over sockets, which the kernel sends by itself.
 *
 * Specifies skua_http_send_file where the connection is a socket: every byte and no more, of wholes
 * and ranges; clients that read slowly, or go; a file that shrinks meanwhile; coded responses,
 * which are not for the kernel; a server that stops; the call itself failing; no memory.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <skua/http/compress.h>
#include <skua/http/static.h>
#include <skua/unix.h>

#include "http/coding/coding_impl.h"

#include "peer.h"
#include "served.h"

#define SIZE ((size_t)3 << 20)

static atomic_int sendfiles, sendfiles_to_fail;

/* In front of the C library's: counts. */
ssize_t sendfile(int to, int from, off_t *offset, size_t len);
ssize_t sendfile(int to, int from, off_t *offset, size_t len)
{
    atomic_fetch_add(&sendfiles, 1);
    if (atomic_load(&sendfiles_to_fail) != 0 && atomic_fetch_sub(&sendfiles_to_fail, 1) == 1) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_sendfile, to, from, offset, len);
}

static char *bytes;
static char name[64];

static void file_make(size_t size)
{
    static atomic_int number;
    int fd;

    (void)snprintf(name, sizeof name, "/tmp/skua-sendfile-%d-%d", (int)getpid(),
                   atomic_fetch_add(&number, 1));
    bytes = malloc(size + 1);
    MUST(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + i % 23);
    bytes[size] = '\0';
    fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
}

static void file_gone(void)
{
    (void)unlink(name);
    free(bytes);
}

static atomic_int result; /* of the handler; 1: it has not returned */

static int sends(skua_http_exchange *exchange, void *state)
{
    skua_file *file;
    int rc;

    (void)state;
    atomic_store(&result, 1);
    rc = skua_file_open(&file, name, SKUA_FILE_OPTIONS(.read = 1));
    if (rc != 0)
        return rc;
    rc = skua_http_send_file(exchange, file, "text/plain");
    MUST(skua_file_close(file) == 0);
    atomic_store(&result, rc);
    return rc;
}

static void result_comes(int wanted)
{
    int64_t late = skua_now() + 2 * TEST_LATE;

    while (atomic_load(&result) == 1 && skua_now() < late)
        CHECK_EQ(skua_sleep(SKUA_MILLISECOND), 0);
    CHECK_EQ(atomic_load(&result), wanted);
}

/* All to the end; `slowly`: with pauses between. The length. */
static size_t reads(skua_tcp *tcp, char *text, size_t size, bool slowly)
{
    size_t len = 0;
    ssize_t n = 1;

    while (n > 0 && len < size) {
        n = skua_tcp_read(tcp, text + len, size - len < 100000 ? size - len : 100000);
        len += n > 0 ? (size_t)n : 0;
        if (slowly && len % 7 == 0)
            CHECK_EQ(skua_sleep(SKUA_MILLISECOND), 0);
    }
    text[len < size ? len : size - 1] = '\0';
    return len;
}

static void gets_whole(struct served *served, const char *request, size_t from, size_t len,
                       bool slowly)
{
    char *text = malloc(SIZE + 4096);
    skua_tcp *tcp = connected(served);
    const char *body;
    size_t got;

    MUST(text != NULL);
    says(tcp, request);
    got = reads(tcp, text, SIZE + 4096, slowly);
    body = strstr(text, "\r\n\r\n");
    MUST(body != NULL);
    CHECK_EQ(got - (size_t)(body + 4 - text), len);
    CHECK_EQ(memcmp(body + 4, bytes + from, len), 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    free(text);
}

TEST_FIBER(wholes_and_ranges)
{
    struct served served;

    file_make(SIZE);
    served_begin(&served, sends, NULL, NULL);
    for (int slowly = 0; slowly < 2; slowly++) {
        atomic_store(&sendfiles, 0);
        gets_whole(&served, GET "Connection: close\r\n\r\n", 0, SIZE, slowly);
        CHECK(atomic_load(&sendfiles) >= (int)(SIZE / (256 * 1024)));
    }
    gets_whole(&served, GET "Connection: close\r\nRange: bytes=1000001-2000000\r\n\r\n", 1000001,
               1000000, false);
    gets_whole(&served, "GET / HTTP/1.0\r\n\r\n", 0, SIZE, false);
    served_end(&served);
    file_gone();
    return 0;
}

/* The connection serves on, and what follows a file is in its place. */
TEST_FIBER(one_behind_another)
{
    skua_http_client *client = client_with(NULL);
    struct site site;

    file_make(SIZE);
    site_begin(&site, sends, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        skua_http_response *response;
        size_t len;

        MUST(skua_http_get(client, site.url, SIZE, &response) == 0);
        CHECK_EQ(strcmp(skua_http_response_body(response, &len), bytes), 0);
        CHECK_EQ(len, SIZE);
        skua_http_response_close(response);
    }
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    file_gone();
    return 0;
}

/* What is coded passes the coder, and an access log or the like sees what was sent. */
TEST_FIBER(coded_files)
{
    const skua_http_layer around[] = {{skua_http_compress_layer, NULL},
                                      {skua_http_decompress_layer, NULL}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, sends, NULL);
    skua_http_client *client = client_with(NULL);
    skua_http_client *plain = client_with(SKUA_HTTP_CLIENT_OPTIONS(.decompress = -1));
    struct site site;

    file_make(SIZE);
    site_begin(&site, skua_http_chain_handler, &app, NULL);
    for (int i = 0; i < 2; i++) {
        skua_http_response *response;

        atomic_store(&sendfiles, 0);
        MUST(skua_http_get(i == 0 ? client : plain, site.url, SIZE, &response) == 0);
        if (skua__coding_list()[0] != '\0')
            CHECK_EQ(atomic_load(&sendfiles) != 0, i);
        CHECK_EQ(strcmp(skua_http_response_body(response, NULL), bytes), 0);
        skua_http_response_close(response);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    CHECK_EQ(skua_http_client_free(plain), 0);
    if (skua__coding_list()[0] != '\0') {
        static char text[SIZE];
        skua_tcp *tcp;

        MUST(skua_tcp_connect(&tcp, site.address, NULL) == 0);
        atomic_store(&sendfiles, 0);
        says(tcp, "GET / HTTP/1.0\r\nAccept-Encoding: gzip, br, zstd\r\n\r\n"); /* no chunks */
        CHECK(reads(tcp, text, SIZE, false) < SIZE / 2);
        CHECK_EQ(atomic_load(&sendfiles), 0);
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    site_end(&site);
    file_gone();
    return 0;
}

TEST_FIBER_CURRENT(over_a_unix_socket)
{
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    struct served served;
    char path[64];

    (void)snprintf(path, sizeof path, "@skua-sendfile-%d", (int)getpid());
    file_make(SIZE);
    MUST(skua_unix_listen(&served.listener, path, NULL) == 0);
    served_begin_on(&served, sends, NULL, NULL);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = "http://a/", .unix_path = path),
                               &response) == 0);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, SIZE), 0);
    CHECK_EQ(strcmp(skua_http_response_body(response, NULL), bytes), 0);
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_free(client), 0);
    served_end(&served);
    file_gone();
    return 0;
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

TEST_FIBER(clients_that_go)
{
    struct served served;
    skua_tcp *tcp;
    char few[100];

    file_make(12 * SIZE);
    served_begin(&served, sends, NULL, NULL);
    tcp = connected(&served);
    says(tcp, GET "\r\n");
    CHECK(skua_tcp_read(tcp, few, sizeof few) > 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    while (atomic_load(&result) == 1 && skua_sleep(SKUA_MILLISECOND) == 0)
        ;
    CHECK(atomic_load(&result) == -EPIPE || atomic_load(&result) == -ECONNRESET);
    served_end(&served);
    file_gone();
    return 0;
}

/* Who takes nothing for the time of a write is cut off. */
TEST_FIBER_CURRENT(clients_that_sleep)
{
    struct served served;
    skua_tcp *tcp;

    file_make(12 * SIZE);
    served_begin(&served, sends, NULL, SKUA_HTTP_SERVER_OPTIONS(.write_timeout = MS(200)));
    atomic_store(&result, 1);
    tcp = connected(&served);
    says(tcp, GET "\r\n");
    result_comes(-ETIMEDOUT);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    file_gone();
    return 0;
}

TEST_FIBER_CURRENT(files_that_shrink)
{
    char *text = malloc(12 * SIZE);
    struct served served;
    skua_tcp *tcp;
    size_t len;

    MUST(text != NULL);
    file_make(12 * SIZE);
    served_begin(&served, sends, NULL, NULL);
    atomic_store(&result, 1);
    tcp = connected(&served);
    says(tcp, GET "\r\n");
    CHECK_EQ(skua_sleep(MS(50)), 0); /* the socket is full by now */
    MUST(truncate(name, 1000) == 0);
    len = reads(tcp, text, 12 * SIZE, false);
    CHECK(len < 12 * SIZE - 1000); /* the client sees that it is not whole */
    result_comes(-EIO);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    file_gone();
    free(text);
    return 0;
}

TEST_FIBER_CURRENT(the_call_fails)
{
    char *text = malloc(2 * SIZE);
    struct served served;

    MUST(text != NULL);
    file_make(SIZE);
    served_begin(&served, sends, NULL, NULL);
    for (int which = 1; which < 4; which++) {
        skua_tcp *tcp = connected(&served);

        atomic_store(&result, 1);
        atomic_store(&sendfiles_to_fail, which);
        says(tcp, GET "\r\n");
        CHECK(reads(tcp, text, 2 * SIZE, false) < SIZE);
        result_comes(-EIO);
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    atomic_store(&sendfiles_to_fail, 0);
    served_end(&served);
    file_gone();
    free(text);
    return 0;
}

/* A server that stops does not wait for a client that does not read. */
TEST_FIBER(stopped_servers)
{
    struct served served;
    skua_tcp *tcp;
    char few[100];

    file_make(12 * SIZE);
    served_begin(&served, sends, NULL, SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = MS(20)));
    tcp = connected(&served);
    says(tcp, GET "\r\n");
    CHECK(skua_tcp_read(tcp, few, sizeof few) > 0);
    served_end(&served);
    CHECK(atomic_load(&result) == -ECANCELED);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    file_gone();
    return 0;
}

#ifdef SKUA_FAULTS
/* Without memory it goes another way, or is cut short; it is never another file. */
TEST_FIBER_CURRENT(files_without_memory)
{
    char *text = malloc(2 * SIZE);
    struct served served;

    MUST(text != NULL);
    file_make(SIZE);
    served_begin(&served, sends, NULL, NULL);
    for (unsigned fault = 1; fault < 20; fault++) {
        skua_tcp *tcp = connected(&served);
        const char *body;
        size_t len;

        says(tcp, GET "Connection: close\r\n\r\n");
        skua__fault_arm(SKUA__FAULT_MALLOC, fault, 1, ENOMEM);
        len = reads(tcp, text, 2 * SIZE, false);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        body = strstr(text, "\r\n\r\n");
        if (body != NULL && strncmp(text, "HTTP/1.1 200", 12) == 0) {
            len -= (size_t)(body + 4 - text);
            CHECK(len <= SIZE && memcmp(body + 4, bytes, len) == 0);
        }
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    served_end(&served);
    file_gone();
    free(text);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wholes_and_ranges),    cmocka_unit_test(one_behind_another),
        cmocka_unit_test(coded_files),          cmocka_unit_test(over_a_unix_socket),
        cmocka_unit_test(clients_that_go),      cmocka_unit_test(clients_that_sleep),
        cmocka_unit_test(files_that_shrink),    cmocka_unit_test(the_call_fails),
        cmocka_unit_test(stopped_servers),
#ifdef SKUA_FAULTS
        cmocka_unit_test(files_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
