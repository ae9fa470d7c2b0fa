/* form_take.c - parts into memory, and into files. */
#include <stdio.h>
#include <sys/random.h>

#include <skua/file.h>
#include <skua/fs.h>
#include <skua/task.h>

#include "http/form/form_impl.h"

int skua_http_multipart_read_all(skua_http_multipart *form, char **ret, size_t *len, size_t limit)
{
    struct skua__http_arena *arena = &form->exchange->arena;
    size_t room = 256;
    size_t used = 0;
    char *text = skua__http_arena_alloc(arena, room);
    ssize_t n = 1;

    while (text != NULL && n > 0) {
        n = skua_http_multipart_read(form, text + used, room - used);
        if (n < 0)
            return (int)n;
        used += (size_t)n;
        if (used > limit)
            return skua_http_fail(form->exchange, SKUA_ELIMIT, 413,
                                  "a part of the form is too long");
        if (used == room) {
            char *more = skua__http_arena_alloc(arena, 2 * room);

            if (more != NULL)
                memcpy(more, text, used);
            text = more;
            room *= 2;
        }
    }
    if (text == NULL)
        return -ENOMEM;
    text[used] = '\0';
    *ret = text;
    if (len != NULL)
        *len = used;
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A name that nobody has: NULL: no memory. */
static char *take_name(skua_http_multipart *form, const char *dir)
{
    size_t len = strlen(dir);
    size_t room = len + 48;
    char *path = skua__http_arena_alloc(&form->exchange->arena, room);
    unsigned char bits[16];

    if (path == NULL || getentropy(bits, sizeof bits) != 0)
        return NULL;
    len = (size_t)snprintf(path, room, "%s/skua-", dir);
    for (size_t i = 0; i < sizeof bits; i++)
        (void)snprintf(path + len + 2 * i, 3, "%02x", bits[i]);
    return path;
}

static int64_t take_bytes(skua_http_multipart *form, skua_file *file, int64_t limit)
{
    const char *bytes;
    int64_t sum = 0;
    ssize_t n;

    while ((n = skua__form_peek(form, SIZE_MAX, &bytes)) > 0) {
        if (n > limit - sum)
            return skua_http_fail(form->exchange, SKUA_ELIMIT, 413,
                                  "a part of the form is too long");
        sum += n;
        n = skua_file_write_all(file, bytes, (size_t)n);
        if (n < 0)
            break;
    }
    return n < 0 ? n : sum;
}

int64_t skua_http_multipart_save(skua_http_multipart *form, const char *dir, int64_t limit,
                                 const char **path)
{
    skua_file_options options;
    skua_file *file;
    int64_t n;
    char *name;
    int rc;

    if (limit < 0)
        return -EINVAL;
    name = take_name(form, dir);
    if (name == NULL)
        return -ENOMEM;
    skua_file_options_init(&options);
    options.write = options.create_new = options.no_follow = 1;
    options.mode = 0600;
    rc = skua_file_open(&file, name, &options);
    if (rc != 0)
        return rc;
    n = take_bytes(form, file, limit);
    rc = skua_file_close(file);
    if (n >= 0 && rc == 0) {
        *path = name;
        return n;
    }
    (void)skua_shield_begin(); /* what was cancelled leaves nothing behind either */
    (void)skua_fs_remove(name);
    (void)skua_shield_end();
    return n < 0 ? n : rc;
}
