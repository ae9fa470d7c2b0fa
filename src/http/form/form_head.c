/* form_head.c - what a Content-Type says of a form, and a part's headers of the part.
 *
 * Both have parameters: "; name=token" or "; name=\"quoted\"". In a quoted one browsers encode
 * three bytes with '%' and leave all else as it is; others put a backslash before quotes and
 * backslashes. Both are undone, so that a name is what its form calls it.
 */
#include "http/form/form_impl.h"

struct form_param {
    const char *name, *value; /* value: without quotes */
    size_t name_len, value_len;
    bool quoted;
};

/* The next parameter at *at: 1; 0: there are no more; -1: malformed. */
static int form_param(const char **at, struct form_param *param)
{
    const char *text = *at + strspn(*at, " \t");

    if (*text == '\0')
        return 0;
    if (*text != ';')
        return -1;
    text += 1 + strspn(text + 1, " \t");
    if (*text == '\0') {
        *at = text;
        return 0; /* a ';' at the end, as some have it */
    }
    param->name = text;
    param->name_len = strcspn(text, "=; \t\"");
    text += param->name_len;
    if (param->name_len == 0 || *text != '=')
        return -1;
    text++;
    param->quoted = *text == '"';
    if (!param->quoted) {
        param->value = text;
        param->value_len = strcspn(text, "; \t\"");
        *at = text + param->value_len;
        return param->value_len != 0 ? 1 : -1;
    }
    param->value = ++text;
    while (*text != '"' && *text != '\0')
        text += *text == '\\' && (text[1] == '"' || text[1] == '\\') ? 2 : 1;
    if (*text == '\0')
        return -1;
    param->value_len = (size_t)(text - param->value);
    *at = text + 1;
    return 1;
}

static bool form_param_is(const struct form_param *param, const char *name)
{
    return param->name_len == strlen(name) && skua__http_same(param->name, name, param->name_len);
}

/* ---- the boundary ---------------------------------------------------------------------------- */

/* RFC 2046, 5.1.1: bchars, the last one no blank. */
static bool form_is_boundary(const char *text, size_t len)
{
    if (len == 0 || len > SKUA__FORM_BOUNDARY || text[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!letter && (c == '\0' || strchr("'()+_,-./:=? ", c) == NULL))
            return false;
    }
    return true;
}

int skua__form_boundary(const char *type, char boundary[SKUA__FORM_BOUNDARY + 1])
{
    static const char wanted[] = "multipart/form-data";
    size_t len = type != NULL ? strcspn(type, "; \t") : 0;
    struct form_param param;
    bool found = false;
    int rc;

    if (len != sizeof wanted - 1 || !skua__http_same(type, wanted, len))
        return -EINVAL;
    type += len;
    while ((rc = form_param(&type, &param)) == 1) {
        if (!form_param_is(&param, "boundary"))
            continue;
        if (found || !form_is_boundary(param.value, param.value_len))
            return -EBADMSG;
        memcpy(boundary, param.value, param.value_len);
        boundary[param.value_len] = '\0';
        found = true;
    }
    return rc == 0 && found ? 0 : -EBADMSG;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Of a quoted name; as much room as it has. The length. */
static size_t form_unquote(char *out, const struct form_param *param)
{
    const char *at = param->value;
    const char *end = at + param->value_len;
    size_t n = 0;

    while (at < end) {
        size_t left = (size_t)(end - at);

        if (param->quoted && left >= 2 && *at == '\\' && (at[1] == '"' || at[1] == '\\')) {
            out[n++] = at[1];
            at += 2;
        } else if (left >= 3 && *at == '%' &&
                   (memcmp(at, "%22", 3) == 0 || skua__http_same(at, "%0d", 3) ||
                    skua__http_same(at, "%0a", 3))) {
            out[n++] = at[1] == '2' ? '"' : (at[2] | 0x20) == 'd' ? '\r' : '\n';
            at += 3;
        } else {
            out[n++] = *at++;
        }
    }
    out[n] = '\0';
    return n;
}

/* RFC 5987: charset'language'percent-encoded. The length; -1: malformed; -2: another charset. */
static ssize_t form_extended(char *out, const struct form_param *param)
{
    const char *end = param->value + param->value_len;
    const char *at = memchr(param->value, '\'', param->value_len);
    ssize_t n;

    if (at == NULL)
        return -1;
    if (at - param->value != 5 || !skua__http_same(param->value, "utf-8", 5))
        return -2;
    at = memchr(at + 1, '\'', (size_t)(end - at - 1));
    if (at == NULL)
        return -1;
    at++;
    n = skua__http_decode(out, at, (size_t)(end - at), false);
    if (n >= 0)
        out[n] = '\0';
    return n;
}

/* What may follow the last slash of either kind; "", when it is no name of a file. */
static const char *form_last(const char *path)
{
    const char *last = path;

    for (; *path != '\0'; path++)
        if (*path == '/' || *path == '\\')
            last = path + 1;
    return strcmp(last, ".") == 0 || strcmp(last, "..") == 0 ? "" : last;
}

struct form_names {
    char *next; /* room for what is left of the header */
    const char *name, *filename, *extended;
};

/* One parameter of Content-Disposition; false: malformed. */
static bool form_take_param(struct form_names *names, const struct form_param *param)
{
    const char **to = NULL;
    ssize_t n;

    if (form_param_is(param, "name"))
        to = &names->name;
    else if (form_param_is(param, "filename"))
        to = &names->filename;
    else if (form_param_is(param, "filename*"))
        to = &names->extended;
    if (to == NULL)
        return true;
    if (*to != NULL)
        return false;
    n = to == &names->extended ? form_extended(names->next, param)
                               : (ssize_t)form_unquote(names->next, param);
    if (n == -2)
        return true;
    if (n < 0)
        return false;
    *to = names->next;
    names->next += n + 1;
    return true;
}

/* 0 or as skua__form_fail. */
static int form_disposition(struct skua_http_multipart *form, const char *text,
                            skua_http_part *part)
{
    struct form_names names = {.next = form->names};
    struct form_param param;
    int rc = -1;

    if (strlen(text) >= 9 && skua__http_same(text, "form-data", 9)) {
        text += 9;
        while ((rc = form_param(&text, &param)) == 1)
            if (!form_take_param(&names, &param))
                return skua__form_fail(form, -EBADMSG, "a Content-Disposition is malformed");
    }
    if (rc != 0)
        return skua__form_fail(form, -EBADMSG, "a Content-Disposition is malformed");
    if (names.name == NULL)
        return skua__form_fail(form, -EBADMSG, "a part of the form has no name");
    if (names.extended != NULL)
        names.filename = names.extended;
    part->name = names.name;
    part->filename = names.filename != NULL ? form_last(names.filename) : NULL;
    return 0;
}

/* ---- the head -------------------------------------------------------------------------------- */

/* One line, whose CR LF stands at `len`. False: malformed. */
static bool form_field(struct skua_http_multipart *form, char *line, size_t len)
{
    struct skua__http_field *field = &form->fields[form->fields_count];
    char *colon = memchr(line, ':', len);
    char *value;

    if (colon == NULL || form->fields_count == SKUA__FORM_FIELDS ||
        !skua__http_is_token(line, (size_t)(colon - line)))
        return false;
    for (size_t i = 0; i < form->fields_count; i++) /* which of the two would count? */
        if (form->fields[i].name_len == (size_t)(colon - line) &&
            skua__http_same(form->fields[i].name, line, (size_t)(colon - line)))
            return false;
    value = colon + 1;
    len -= (size_t)(value - line);
    while (len != 0 && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    while (len != 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (!skua__http_is_value(value, len))
        return false;
    *colon = '\0';
    value[len] = '\0';
    *field = (struct skua__http_field){line, value, (uint32_t)(colon - line), (uint32_t)len};
    form->fields_count++;
    return true;
}

int skua__form_head(struct skua_http_multipart *form, skua_http_part *part)
{
    size_t left = form->head_len - 2; /* without the blank line */
    char *line = form->head;
    skua_http_part made;
    const char *text;
    int rc;

    form->fields_count = 0;
    if (!skua__http_lines_are_whole(form->head, left))
        return skua__form_fail(form, -EBADMSG, "the headers of a part are malformed");
    while (left != 0) {
        char *end = memchr(line, '\r', left);
        size_t len = (size_t)(end - line);

        if (!form_field(form, line, len))
            return skua__form_fail(form, -EBADMSG, "the headers of a part are malformed");
        line = end + 2;
        left -= len + 2;
    }
    text = skua_http_multipart_header(form, "Content-Disposition");
    if (text == NULL)
        return skua__form_fail(form, -EBADMSG, "a part of the form has no name");
    rc = form_disposition(form, text, &made);
    if (rc != 0)
        return rc;
    text = skua_http_multipart_header(form, "Content-Type");
    made.type = text != NULL ? text : "text/plain";
    *part = made;
    return 0;
}
