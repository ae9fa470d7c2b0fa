/* grpc_impl.h - a call, as the parts of gRPC see it.
 *
 *   text         base64, percent-encoding, time-outs, URLs
 *   proto        the wire format of Protocol Buffers: as much as status, health and reflection need
 *   status       codes and details
 *   metadata     entries, from and to headers
 *   pack         gzip and deflate
 *   message      messages out of bytes, and into bytes; both sides' recv and send
 *   server, client   the two sides: what is in front of the messages and behind them
 *   health, reflect, describe   services
 *
 * The library's core has no need of protobuf-c: its few messages are written and read by hand.
 */
#ifndef SKUA_HTTP_GRPC_IMPL_H
#define SKUA_HTTP_GRPC_IMPL_H

#include <skua/http/call.h>
#include <skua/http/grpc_client.h>
#include <skua/http/grpc_server.h>
#include <skua/task.h>
#include <skua/trace.h>

#include "http/core/http_impl.h"

#define SKUA__GRPC_TYPE "application/grpc"

/* ---- text (grpc_text.c) ---------------------------------------------------------------------- */

/* Bytes of a grpc-timeout with its NUL. */
#define SKUA__GRPC_TIMEOUT 16

/* Room that base64 needs for `len` bytes, with a NUL. */
size_t skua__grpc_base64_room(size_t len);
/* Writes without padding, and a NUL. */
void skua__grpc_base64_write(char *out, const void *bytes, size_t len);
/* With or without padding, `out` has room for 3 bytes of each 4. The count, or -EBADMSG. */
ssize_t skua__grpc_base64_read(void *out, const char *text, size_t len);
/* Room for what percent-encoding makes of a message, with a NUL. */
size_t skua__grpc_percent_room(const char *message);
void skua__grpc_percent_write(char *out, const char *message);
/* In place; what is malformed stays as it is, and so do a NUL and others that would hide. */
void skua__grpc_percent_read(char *message);
/* ns; -1: malformed. */
int64_t skua__grpc_timeout_read(const char *text);
/* Rounded up, so that no call ends before its time. */
void skua__grpc_timeout_write(char out[SKUA__GRPC_TIMEOUT], int64_t timeout);

/* The URL of a method, whose name may begin with '/'; NULL: no memory. */
char *skua__grpc_url(struct skua__http_arena *arena, const char *url, const char *method);

/* ---- Protocol Buffers (grpc_proto.c) --------------------------------------------------------- */

/* A message that is being read; it is over at `end`. */
struct skua__proto {
    const unsigned char *at, *end;
};

/* A field: `number` for varints and fixed ones, `bytes` for those with a length. */
struct skua__proto_field {
    uint32_t id;
    uint32_t wire; /* 0 varint, 1 64 bits, 2 bytes, 5 32 bits */
    uint64_t number;
    const unsigned char *bytes;
    size_t len;
};

struct skua__proto skua__proto_of(const void *bytes, size_t len);
/* 1: the next field; 0: it is over; -EBADMSG. */
int skua__proto_next(struct skua__proto *self, struct skua__proto_field *field);
bool skua__proto_is(const struct skua__proto_field *field, const char *text, size_t len);

/* What is written, as far as there is room; `len` counts all. */
struct skua__proto_out {
    unsigned char *at; /* NULL: only counts */
    size_t room, len;
};

void skua__proto_put_number(struct skua__proto_out *self, uint32_t id, uint64_t number);
void skua__proto_put_bytes(struct skua__proto_out *self, uint32_t id, const void *bytes,
                           size_t len);
void skua__proto_put_raw(struct skua__proto_out *self, const void *bytes, size_t len);
/* The head of a field whose `len` bytes follow. */
void skua__proto_put_head(struct skua__proto_out *self, uint32_t id, size_t len);

/* ---- status (grpc_status.c) ------------------------------------------------------------------ */

/* Of a response without grpc-status. */
int skua__grpc_code_of_http(int status);
/* Of a stream that was reset with a code of HTTP/2. */
int skua__grpc_code_of_reset(int64_t code);
/* A call's span, which is its request's, gets the call's name, "package.Service/Method", and its
 * end; NULL does nothing. Of a server only some codes are its errors. */
void skua__grpc_trace(skua_span *span, const char *name);
void skua__grpc_trace_end(skua_span *span, int code, bool server);
/* The same for a client's: when it begins, with its name; else at its end (NULL: it was given up).
 * http: NULL: there is no call. */
void skua__grpc_trace_call(const skua_http_call *http, const char *name,
                           const skua_grpc_status *status);

/* ---- metadata (grpc_metadata.c) -------------------------------------------------------------- */

struct skua__grpc_entries {
    skua_grpc_entry *at; /* the arena's, as what it points to */
    size_t count, room;
};

/* Whether it may be sent: 0 or -EINVAL. */
int skua__grpc_entry_check(const skua_grpc_entry *entry);
/* The value as a header has it; NULL: no memory. */
const char *skua__grpc_entry_text(struct skua__http_arena *arena, const skua_grpc_entry *entry);
/* A header of the other side's, which may be none of the metadata's. 0 or -ENOMEM. */
int skua__grpc_entries_take(struct skua__grpc_entries *self, struct skua__http_arena *arena,
                            const char *name, const char *value);
/* With a copy of the name; the text is the arena's already. 0 or -ENOMEM. */
int skua__grpc_entries_put(struct skua__grpc_entries *self, struct skua__http_arena *arena,
                           const char *name, const char *text);
const skua_grpc_entry *skua__grpc_entries_find(const struct skua__grpc_entries *self,
                                               const char *name);

/* ---- compression (grpc_pack.c) --------------------------------------------------------------- */

enum skua__grpc_coding {
    SKUA__GRPC_IDENTITY,
    SKUA__GRPC_GZIP,
    SKUA__GRPC_DEFLATE,
    SKUA__GRPC_OTHER /* one that is not known */
};

/* What this side understands: the value of grpc-accept-encoding. */
const char *skua__grpc_codings(void);
/* Of a grpc-encoding; NULL is identity. */
enum skua__grpc_coding skua__grpc_coding_of(const char *name);

struct skua__grpc_buffer {
    char *at;
    size_t room;
};

/* At least `room` bytes; what is there stays. 0 or -ENOMEM. */
int skua__grpc_buffer_grow(struct skua__grpc_buffer *self, size_t room);
/* The count; -EBADMSG: malformed, or more behind it; SKUA_ELIMIT: more than max; -ENOMEM. */
ssize_t skua__grpc_unpack(enum skua__grpc_coding coding, const void *bytes, size_t len, size_t max,
                          struct skua__grpc_buffer *out);
/* By gzip. The count; -ENOMEM; -ENOTSUP. */
ssize_t skua__grpc_pack(const void *bytes, size_t len, struct skua__grpc_buffer *out);

/* ---- calls (grpc_message.c) ------------------------------------------------------------------ */

#define SKUA__GRPC_HEAD 5
#define SKUA__GRPC_RECV_MAX ((size_t)4 << 20)
#define SKUA__GRPC_SEND_MAX ((size_t)INT32_MAX)

/* What carries a call's bytes. */
struct skua__grpc_pipe {
    ssize_t (*read)(skua_grpc_call *call, void *buf, size_t len); /* 0: the end */
    int (*write)(skua_grpc_call *call, const void *buf, size_t len);
    /* last: nothing follows: a server's status does, with which it goes out. */
    int (*flush)(skua_grpc_call *call, bool last);
    /* Of what recv (`sending` is false) or send has failed with: what the caller is told. */
    int (*failed)(skua_grpc_call *call, int rc, const char *why, bool sending);
    /* What recv_only answers: there were none, one, more. */
    int (*only)(skua_grpc_call *call, int count);
};

/* One task's, that which receives. */
struct skua__grpc_in {
    unsigned char head[SKUA__GRPC_HEAD];
    size_t head_len;                       /* bytes of it so far */
    size_t len;                            /* bytes of the message so far */
    struct skua__grpc_buffer bytes, plain; /* as it came, and unpacked */
    size_t max;                            /* constant */
    enum skua__grpc_coding coding;         /* constant once the other side's head is there */
    int error;                             /* it has failed, and does so again; 0: no */
    unsigned turns;                        /* messages so far */
    bool ended;
    bool kept;           /* recv_only has a message, and wants to see the end */
    const void *kept_at; /* that message */
    size_t kept_len;
};

/* One task's, that which sends. */
struct skua__grpc_out {
    struct skua__grpc_buffer packed;
    size_t max;      /* constant */
    size_t pack_min; /* constant; SIZE_MAX: nothing is packed */
    uint64_t count;  /* messages so far */
    unsigned turns;  /* the same, and those that were not sent */
    bool alone;      /* constant: one message is sent, with what follows it */
    bool closed;
};

struct skua_grpc_call {
    const struct skua__grpc_pipe *pipe; /* constant */
    struct skua__grpc_in in;
    struct skua__grpc_out out;
    struct skua__http_arena *arena;     /* of the call; the handler's, or who opened it */
    struct skua__grpc_entries metadata; /* the other side's */
    int64_t deadline;                   /* constant */
    skua_http_exchange *exchange;       /* constant; a server's */
};

/* A service of the table; NULL: there are no more (grpc_server.c). */
const skua_grpc_service *skua__grpc_service_at(const skua_grpc_server *server, size_t index);

/* Frees the buffers. */
void skua__grpc_call_fini(skua_grpc_call *call);

/* ---- descriptors (grpc_describe.c) ----------------------------------------------------------- */

/* A walk over all files of all services of a server; a file may come more than once. */
struct skua__describe {
    const skua_grpc_server *server;
    size_t index;
    struct skua__proto set;
};

struct skua__describe skua__describe_of(const skua_grpc_server *server);
/* 1: the next file, in `file->bytes`; 0: there are no more. */
int skua__describe_next(struct skua__describe *self, struct skua__proto_field *file);

bool skua__describe_file(const skua_grpc_server *server, const char *name, size_t len,
                         struct skua__proto_field *ret);
/* The file that has the symbol: "package.Type.field". */
bool skua__describe_symbol(const skua_grpc_server *server, const char *symbol, size_t len,
                           struct skua__proto_field *ret);

/* Is told the number of an extension; true: that is enough. */
typedef bool (*skua__describe_fn)(int32_t number, void *arg);

/* Extensions of a type in a file, or in a message of it. True: fn has said that it is enough. */
bool skua__describe_extensions(struct skua__proto scope, bool file, const char *type, size_t len,
                               skua__describe_fn fn, void *arg, unsigned depth);

#endif
