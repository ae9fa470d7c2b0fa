/* resp_parse.h - RESP2 requests, in whatever pieces they arrive.
 *
 * The parser owns no bytes. Its caller keeps one buffer per connection, appends what arrives, and
 * asks again and again for the next command:
 *
 *     buffer   |done......|*2 $4 ECHO $5 he|            (free)
 *               ^buf       ^parser->start   ^len
 *
 * It remembers how far it came, so a command of a million arguments that arrives byte by byte is
 * looked at once, not a million times; and it keeps offsets, so the caller may move and grow the
 * buffer in between. What it allocates grows with what has arrived, never with what a header
 * announces. Knows neither sockets nor commands; tests/redis/test_resp.c feeds it every split.
 */
#ifndef MINI_REDIS_RESP_PARSE_H
#define MINI_REDIS_RESP_PARSE_H

#include <stddef.h>
#include <stdint.h>

#define RESP_ARGS_MAX (1024 * 1024) /* arguments of one command */
#define RESP_LINE_MAX (64 * 1024)   /* an inline command, or the line of a header */

enum resp_result {
    RESP_MORE,    /* the next command is not complete */
    RESP_COMMAND, /* argc and argv hold one, until the buffer or the parser changes */
    RESP_ERROR    /* malformed: `error` says how; the stream cannot be understood any more */
};

struct arg {
    const char *bytes;
    size_t len;
};

struct resp_parser {
    size_t bulk_max;   /* the longest argument that is taken; constant */
    size_t start;      /* where in the buffer the command at hand starts */
    size_t at;         /* parsed up to here */
    size_t looked;     /* no end of line between `at` and here */
    int64_t args_left; /* 0 = between commands */
    int64_t bulk_len;  /* of the argument at hand; -1 = its header is still to come */
    int argc;
    int capacity;
    struct arg *argv; /* room for `capacity` */
    size_t *offsets;  /* of the arguments, while a command is incomplete */
    char error[64];   /* after RESP_ERROR: "Protocol error: ..." */
};

void resp_init(struct resp_parser *parser, size_t bulk_max);
void resp_done(struct resp_parser *parser);

/* Looks for the next command in buf[0 .. len). An inline command's quotes are undone in place. */
enum resp_result resp_parse(struct resp_parser *parser, char *buf, size_t len);

/* Tells the parser that the first `count` bytes of the buffer, at most parser->start, are gone. */
void resp_shift(struct resp_parser *parser, size_t count);

#endif
