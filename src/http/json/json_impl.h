/* json_impl.h - what the parts of http/json share.
 *
 *   json_text.c     texts and values: types, levels, parsing
 *   json_fields.c   members of objects by a table
 *   json_client.c   the client's side
 *   json_none.c     instead of them all, where there is no Jansson
 */
#ifndef SKUA_HTTP_JSON_IMPL_H
#define SKUA_HTTP_JSON_IMPL_H

#include <skua/http/json.h>

#include "http/core/http_impl.h"

/* Defaults filled in; 0 or -EINVAL. */
int skua__json_options(skua_http_json_options *ret, const skua_http_json_options *given);
/* Whether a Content-Type is one of JSON; NULL is none. */
bool skua__json_type(const char *type);

/* Why a text is none. */
struct skua__json_error {
    int line, column;
    char text[JSON_ERROR_TEXT_LENGTH];
};

/* 0, -EBADMSG with the error, or -ENOMEM. */
int skua__json_parse(json_t **ret, const char *text, size_t len,
                     const skua_http_json_options *options, struct skua__json_error *error);

#endif
