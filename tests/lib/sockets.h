/* sockets.h - connected pairs, raw peers and patterns for the tests of TCP.
 *
 * A raw peer is a plain blocking socket that does what no well-behaved one does. */
#ifndef SKUA_TESTS_SOCKETS_H
#define SKUA_TESTS_SOCKETS_H

#include "harness.h"

/* A listener on 127.0.0.1; `address` (SKUA_ADDRESS_MAX bytes) receives where. */
skua_listener *test_listen(char *address);
/* A connected pair over the loopback; fibers and threads. */
void test_tcp_pair(skua_tcp **a, skua_tcp **b);
/* A connection whose other end is a raw blocking socket. */
void test_tcp_raw_pair(skua_tcp **tcp, int *raw);
/* A raw connection to an address of test_listen. */
int test_raw_connect(const char *address);
/* The port in "127.0.0.1:4711". */
int test_port(const char *address);
/* Closes a raw socket with a reset. */
void test_raw_reset(int raw);
/* Makes the kernel's buffers of a socket small, so that little fits into them. */
void test_tcp_small(skua_tcp *tcp);
/* Writes until the socket takes no more for 50 ms; the count. The pattern goes on from `at`. The
 * kernel may find some more room later: it sends on when it has the time, and tries again. */
size_t test_tcp_fill(skua_tcp *tcp, size_t at);

/* Byte `at` of an endless pattern, and buffers of it. */
unsigned char test_pattern(size_t at);
void test_pattern_fill(void *buf, size_t len, size_t at);
/* Whether the buffer holds the pattern from `at`. */
bool test_pattern_ok(const void *buf, size_t len, size_t at);

#endif
