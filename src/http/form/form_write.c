/* form_write.c - a form as the body of a request: heads, bytes and files in a row.
 *
 *     --B CR LF head CR LF CR LF bytes CR LF --B … CR LF --B-- CR LF
 *
 * All heads are made at once, and with them the length. A file is opened when it is its turn, read
 * for as long as it was, and closed: so a form with a thousand files has one open.
 */
#include <stdio.h>
#include <sys/random.h>

#include <skua/file.h>
#include <skua/fs.h>

#include "http/form/form_impl.h"

struct form_piece {
    char *head; /* with the line end of the part before */
    size_t head_len;
    int64_t length; /* of what follows */
    const char *value;
};

struct skua_http_form {
    const skua_http_form_part *parts; /* the caller's */
    size_t count;
    struct form_piece *pieces; /* of the parts, and the end */
    struct skua__http_arena arena;
    char type[80];
    const char *boundary; /* in type */
    int64_t length;
    /* how far it was read */
    size_t index;
    bool inside; /* behind the head */
    int64_t at;
    skua_file *file;
};

/* ---- heads ----------------------------------------------------------------------------------- */

/* A name in quotes, encoded; the end of `to`, which has room for three times its length. */
static char *form_quote(char *to, const char *name)
{
    for (; *name != '\0'; name++) {
        const char *code = *name == '"'    ? "%22"
                           : *name == '\r' ? "%0D"
                           : *name == '\n' ? "%0A"
                                           : "";

        if (*code == '\0')
            *to++ = *name;
        else
            to = (char *)memcpy(to, code, 3) + 3;
    }
    return to;
}

static char *form_put(char *to, const char *text)
{
    size_t len = strlen(text);

    return (char *)memcpy(to, text, len) + len;
}

static const char *form_file_name(const skua_http_form_part *part)
{
    const char *slash = part->path != NULL ? strrchr(part->path, '/') : NULL;

    if (part->filename != NULL || part->path == NULL)
        return part->filename;
    return slash != NULL ? slash + 1 : part->path;
}

static int form_make_head(skua_http_form *form, size_t index)
{
    const skua_http_form_part *part = &form->parts[index];
    struct form_piece *piece = &form->pieces[index];
    const char *filename = form_file_name(part);
    const char *type = part->type;
    char *at;

    if (type == NULL && filename != NULL)
        type = "application/octet-stream";
    piece->head = at = skua__http_arena_alloc(
        &form->arena, 256 + 3 * strlen(part->name) + (filename != NULL ? 3 * strlen(filename) : 0) +
                          (type != NULL ? strlen(type) : 0));
    if (at == NULL)
        return -ENOMEM;
    at = form_put(at, index != 0 ? "\r\n--" : "--");
    at = form_put(at, form->boundary);
    at = form_put(at, "\r\nContent-Disposition: form-data; name=\"");
    at = form_quote(at, part->name);
    if (filename != NULL) {
        at = form_put(at, "\"; filename=\"");
        at = form_quote(at, filename);
    }
    at = form_put(at, type != NULL ? "\"\r\nContent-Type: " : "\"");
    at = form_put(at, type != NULL ? type : "");
    at = form_put(at, "\r\n\r\n");
    piece->head_len = (size_t)(at - piece->head);
    return 0;
}

static int form_make_end(skua_http_form *form)
{
    struct form_piece *piece = &form->pieces[form->count];
    char *at = skua__http_arena_alloc(&form->arena, 128);

    piece->head = at;
    if (at == NULL)
        return -ENOMEM;
    at = form_put(at, form->count != 0 ? "\r\n--" : "--");
    at = form_put(at, form->boundary);
    at = form_put(at, "--\r\n");
    piece->head_len = (size_t)(at - piece->head);
    return 0;
}

/* ---- making it ------------------------------------------------------------------------------- */

static int form_make_length(const skua_http_form_part *part, struct form_piece *piece)
{
    skua_metadata metadata;
    int rc;

    piece->value = part->value;
    if (part->path == NULL) {
        size_t len = part->len != 0 || part->value == NULL ? part->len : strlen(part->value);

        piece->length = len <= INT64_MAX ? (int64_t)len : -1;
        return piece->length >= 0 ? 0 : -EOVERFLOW;
    }
    rc = skua_fs_metadata(part->path, &metadata);
    if (rc != 0)
        return rc;
    if (metadata.kind != SKUA_FILE_REGULAR)
        return -EINVAL;
    piece->length = (int64_t)metadata.size;
    return metadata.size <= INT64_MAX ? 0 : -EOVERFLOW;
}

static bool form_part_is_good(const skua_http_form_part *part)
{
    return part->name != NULL && (part->value == NULL || part->path == NULL) &&
           (part->len == 0 || part->value != NULL) &&
           (part->type == NULL ||
            (*part->type != '\0' && skua__http_is_value(part->type, strlen(part->type))));
}

static int form_make(skua_http_form *form)
{
    int rc = 0;

    form->pieces = skua__http_arena_alloc(&form->arena, (form->count + 1) * sizeof *form->pieces);
    if (form->pieces == NULL)
        return -ENOMEM;
    memset(form->pieces, 0, (form->count + 1) * sizeof *form->pieces);
    for (size_t i = 0; rc == 0 && i < form->count; i++) {
        rc = form_part_is_good(&form->parts[i])
                 ? form_make_length(&form->parts[i], &form->pieces[i])
                 : -EINVAL;
        if (rc == 0)
            rc = form_make_head(form, i);
    }
    if (rc == 0)
        rc = form_make_end(form);
    for (size_t i = 0; rc == 0 && i <= form->count; i++) {
        int64_t more = (int64_t)form->pieces[i].head_len;

        if (form->pieces[i].length > INT64_MAX - form->length - more)
            rc = -EOVERFLOW;
        else
            form->length += more + form->pieces[i].length;
    }
    return rc;
}

int skua_http_form_new(skua_http_form **ret, const skua_http_form_part *parts, size_t count)
{
    static const char before[] = "multipart/form-data; boundary=";
    unsigned char bits[16];
    skua_http_form *form;
    int rc;

    if ((parts == NULL && count != 0) || count > SIZE_MAX / 256)
        return -EINVAL;
    form = skua__http_malloc(sizeof *form);
    if (form == NULL)
        return -ENOMEM;
    if (getentropy(bits, sizeof bits) != 0) {
        skua__http_free(form);
        return -EIO;
    }
    form->parts = parts;
    form->count = count;
    form->boundary = form->type + sizeof before - 1;
    (void)snprintf(form->type, sizeof form->type, "%sskua-", before);
    for (size_t i = 0; i < sizeof bits; i++)
        (void)snprintf(form->type + sizeof before + 4 + 2 * i, 3, "%02x", bits[i]);
    rc = form_make(form);
    if (rc != 0)
        skua_http_form_free(form);
    else
        *ret = form;
    return rc;
}

void skua_http_form_free(skua_http_form *form)
{
    if (form == NULL)
        return;
    (void)skua_file_close(form->file);
    skua__http_arena_free(&form->arena);
    skua__http_free(form);
}

const char *skua_http_form_type(const skua_http_form *form)
{
    return form->type;
}

int64_t skua_http_form_length(const skua_http_form *form)
{
    return form->length;
}

/* ---- reading it ------------------------------------------------------------------------------ */

int skua_http_form_again(void *arg)
{
    skua_http_form *form = arg;

    (void)skua_file_close(form->file); /* it was only read */
    form->file = NULL;
    form->index = 0;
    form->inside = false;
    form->at = 0;
    return 0;
}

/* Of the file whose turn it is. */
static ssize_t form_read_file(skua_http_form *form, void *buf, size_t len)
{
    ssize_t n;

    if (form->file == NULL) {
        int rc = skua_file_open(&form->file, form->parts[form->index].path, NULL);

        if (rc != 0)
            return rc;
    }
    n = skua_file_read(form->file, buf, len);
    return n != 0 ? n : -EMSGSIZE;
}

static void form_step(skua_http_form *form)
{
    form->at = 0;
    form->inside = !form->inside;
    if (form->inside)
        return;
    form->index++;
    (void)skua_file_close(form->file);
    form->file = NULL;
}

ssize_t skua_http_form_read(void *arg, void *buf, size_t len)
{
    skua_http_form *form = arg;

    while (form->index <= form->count && len != 0) {
        const struct form_piece *piece = &form->pieces[form->index];
        int64_t left = (form->inside ? piece->length : (int64_t)piece->head_len) - form->at;
        ssize_t n = (uint64_t)left < len ? (ssize_t)left : (ssize_t)len;

        if (n == 0) {
            form_step(form);
            continue;
        }
        if (!form->inside)
            memcpy(buf, piece->head + form->at, (size_t)n);
        else if (piece->value != NULL)
            memcpy(buf, piece->value + form->at, (size_t)n);
        else
            n = form_read_file(form, buf, (size_t)n);
        form->at += n > 0 ? n : 0;
        return n;
    }
    return 0;
}

int skua_http_client_post_form(skua_http_client *client, const char *url,
                               const skua_http_form_part *parts, size_t count, size_t limit,
                               skua_http_response **response)
{
    skua_http_form *form;
    skua_http_field field = {"Content-Type", NULL};
    skua_http_request request;
    skua_http_response *got;
    int rc = skua_http_form_new(&form, parts, count);

    if (rc != 0)
        return rc;
    field.value = form->type;
    skua_http_request_init(&request);
    request.url = url;
    request.method = "POST";
    request.headers = &field;
    request.headers_count = 1;
    request.body_read = skua_http_form_read;
    request.body_again = skua_http_form_again;
    request.body_state = form;
    request.body_length = form->length;
    rc = skua_http_client_send(client, &request, &got);
    skua_http_form_free(form);
    if (rc != 0)
        return rc;
    rc = skua_http_response_read_all(got, NULL, NULL, limit);
    if (rc != 0)
        skua_http_response_close(got);
    else
        *response = got;
    return rc;
}
