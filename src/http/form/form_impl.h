/* form_impl.h - forms of many parts.
 *
 *   form_read.c    the parts of a body: boundaries, bytes
 *   form_head.c    what a Content-Type and a part's headers say
 *   form_take.c    parts into memory, and into files
 *   form_write.c   a form as a body
 */
#ifndef SKUA_HTTP_FORM_IMPL_H
#define SKUA_HTTP_FORM_IMPL_H

#include <skua/http/multipart.h>

#include "http/core/http_impl.h"

/* RFC 2046, 5.1.1. */
#define SKUA__FORM_BOUNDARY 70
/* Bytes that are looked at in one piece; more than a delimiter and what may follow it. */
#define SKUA__FORM_PIECE ((size_t)8192)
/* Headers of a part. */
#define SKUA__FORM_FIELDS 16

enum skua__form_state {
    SKUA__FORM_DATA,   /* bytes of a part, or what stands before the first one */
    SKUA__FORM_BEHIND, /* behind a delimiter */
    SKUA__FORM_END     /* behind the last one */
};

/* All of it is the handler's fiber's, and lives in the exchange's memory. */
struct skua_http_multipart {
    skua_http_exchange *exchange;
    skua_http_multipart_options options;
    enum skua__form_state state;
    int error;   /* it has failed, and does so again; 0: no */
    bool inside; /* a part is being read */
    size_t parts;
    int64_t part_read;                           /* bytes of this part */
    char delimiter[4 + SKUA__FORM_BOUNDARY + 1]; /* CR LF "--" boundary */
    size_t delimiter_len;
    char *piece; /* SKUA__FORM_PIECE bytes */
    size_t begin, end;
    size_t ready; /* bytes at `begin` that are known to be the part's */
    bool ended;   /* the body has no more */
    char *head;   /* options.head_max bytes and one more */
    size_t head_len;
    char *names; /* as much: decoded names */
    struct skua__http_field fields[SKUA__FORM_FIELDS];
    size_t fields_count;
};

/* Notes the reason; the code. */
int skua__form_fail(struct skua_http_multipart *form, int code, const char *reason);
/* As skua_http_multipart_read, but says where the bytes are: until the form is asked again. */
ssize_t skua__form_peek(struct skua_http_multipart *form, size_t len, const char **bytes);
/* The boundary of a Content-Type. 0; -EINVAL: another type; -EBADMSG: no boundary, or a bad one. */
int skua__form_boundary(const char *type, char boundary[SKUA__FORM_BOUNDARY + 1]);
/* The head that was read, as a part; 0 or as skua__form_fail. */
int skua__form_head(struct skua_http_multipart *form, skua_http_part *part);

#endif
