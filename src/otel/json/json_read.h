/* json_read.h - reads JSON that a stranger has sent: members are handed to functions one by one.
 *
 *     static void member(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
 *     {
 *         if (strcmp(name, "message") == 0 && skua__rjson_peek(in) == '"')
 *             skua__rjson_string(in, arg, SIZE);
 *         else
 *             skua__rjson_skip(in, depth);
 *     }
 */
#ifndef SKUA_OTEL_JSON_READ_H
#define SKUA_OTEL_JSON_READ_H

#include "otel/core/otel_impl.h"

/* What is left; what is malformed makes it `bad`, and nothing more is read. */
struct skua__rjson {
    const char *at, *end;
    bool bad;
};

/* What a member's value is given to; `in` stands before the value, which is to be read: all of it.
 * Names are cut to 63 bytes. */
typedef void (*skua__rjson_member)(struct skua__rjson *in, const char *name, unsigned depth,
                                   void *arg);

/* A whole text that is one object. 0 or -EBADMSG. */
int skua__rjson_whole(const char *bytes, size_t len, skua__rjson_member member, void *arg);

/* The next character that counts; '\0': the end, or it is malformed. */
char skua__rjson_peek(struct skua__rjson *in);
/* A string, cut to fit, with a NUL. */
void skua__rjson_string(struct skua__rjson *in, char *text, size_t size);
/* A number, true, false or null, likewise. */
void skua__rjson_word(struct skua__rjson *in, char *text, size_t size);
void skua__rjson_object(struct skua__rjson *in, unsigned depth, skua__rjson_member member,
                        void *arg);
/* Elements, as members without a name. */
void skua__rjson_array(struct skua__rjson *in, unsigned depth, skua__rjson_member element,
                       void *arg);
/* Any value. */
void skua__rjson_skip(struct skua__rjson *in, unsigned depth);

#endif
