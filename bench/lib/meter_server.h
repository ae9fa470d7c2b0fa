/* meter_server.h - what every hand-written server here needs and no measurement is about:
 * options, a listening socket, as many descriptors as the system gives, an orderly end.
 */
#ifndef METER_SERVER_H
#define METER_SERVER_H

#include <stdint.h>

/* Raises the limit of open files as far as it goes. Returns what it is now. */
int meter_files_raise(void);

/* Runs this thread on one CPU from now on. Ends the program when that is refused. */
void meter_pin(int cpu);

/* Listens on 127.0.0.1 (port 0: any) and prints the line "port N". The socket is non-blocking if
 * `flags` says SOCK_NONBLOCK, and has TCP_NODELAY, which on Linux all connections inherit that it
 * accepts: one setsockopt in all. Ends the program on failure. */
int meter_listen(int port, int flags);

/* Blocks SIGTERM and SIGINT and returns a descriptor that becomes readable by them: so a loop
 * waits for its end as for anything else, and cannot miss it between the test and the wait. */
int meter_stop_fd(void);

/* The last line: "cpu_ns N echoes N bytes N". */
void meter_server_end(uint64_t echoes, uint64_t bytes);

/* Prints "what: strerror(error)" and ends the program. */
void meter_die(const char *what, int error);

#endif
