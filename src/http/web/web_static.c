/* web_static.c - a directory behind a route: from a path to a file, and its type.
 *
 *   path      decoded by the router, or here; cut at slashes, and each segment looked at
 *   name      the root, a slash, the path
 *   real      the name without links; it begins with the root, or it is not there
 *   file      looked at (a pipe would wait when it is opened), opened, sent
 *
 * Sources: the IANA's media types; nginx's mime.types.
 */
#include <stdio.h>
#include <stdlib.h>

#include <skua/fs.h>
#include <skua/http/static.h>

#include "http/web/web_impl.h"

#define STATIC_NAME ((size_t)4096)

/* What a name is that is no file. */
enum { STATIC_NOTHING = 1, STATIC_DIRECTORY };

struct skua_http_static {
    skua_http_static_options options; /* constant; its texts are the table's */
    char *root;                       /* constant; without links; of the C library */
};

struct static_type {
    const char *end, *type;
};

static const struct static_type static_types[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/vnd.microsoft.icon"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/wav"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"pdf", "application/pdf"},
    {"wasm", "application/wasm"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"webmanifest", "application/manifest+json"},
};

const char *skua_http_type_of(const char *name)
{
    const char *base = strrchr(name, '/');
    const char *dot = strrchr(base != NULL ? base : name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof static_types / sizeof static_types[0]; i++) {
        size_t len = strlen(static_types[i].end);

        if (strlen(dot + 1) == len && skua__http_same(dot + 1, static_types[i].end, len))
            return static_types[i].type;
    }
    return "application/octet-stream";
}

/* ---- making ---------------------------------------------------------------------------------- */

/* Copies a text of the options, which is `missing` when it is NULL. */
static int static_copy(const char **text, const char *missing)
{
    const char *from = *text != NULL ? *text : missing;
    char *copy = from != NULL ? skua__http_malloc(strlen(from) + 1) : NULL;

    *text = copy;
    if (copy != NULL)
        memcpy(copy, from, strlen(from) + 1);
    return from == NULL || copy != NULL ? 0 : -ENOMEM;
}

void skua_http_static_free(skua_http_static *files)
{
    if (files == NULL)
        return;
    skua__http_free((char *)(uintptr_t)files->options.param);
    skua__http_free((char *)(uintptr_t)files->options.index);
    skua__http_free((char *)(uintptr_t)files->options.control);
    free(files->root);
    skua__http_free(files);
}

int skua_http_static_new(skua_http_static **ret, const char *root,
                         const skua_http_static_options *given)
{
    const skua_http_static_options defaults = {.size = sizeof defaults};
    skua_http_static *files;
    skua_metadata metadata;
    int rc = 0;

    if (given == NULL)
        given = &defaults;
    if (given->size != sizeof *given ||
        (given->index != NULL && strchr(given->index, '/') != NULL) ||
        (given->control != NULL && !skua__http_is_value(given->control, strlen(given->control))))
        return -EINVAL;
    files = skua__http_malloc(sizeof *files);
    if (files == NULL)
        return -ENOMEM;
    files->options = *given;
    rc |= static_copy(&files->options.param, "path"); /* each, so that none is the caller's */
    rc |= static_copy(&files->options.index, "index.html");
    rc |= static_copy(&files->options.control, NULL);
    if (rc == 0)
        rc = skua_fs_canonicalize(root, &files->root);
    if (rc == 0)
        rc = skua_fs_metadata(files->root, &metadata);
    if (rc == 0 && metadata.kind != SKUA_FILE_DIRECTORY)
        rc = -ENOTDIR;
    if (rc != 0)
        skua_http_static_free(files);
    else
        *ret = files;
    return rc;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* No segment leads up or nowhere; an empty one only at the end. */
static bool static_is_below(const skua_http_static *files, const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");

        if (path[len] == '\0' && len == 0)
            return true;
        if (len == 0 || (len == 1 && path[0] == '.') || (len == 2 && memcmp(path, "..", 2) == 0) ||
            (path[0] == '.' && files->options.hidden == 0))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

/* What the request names, below the root; NULL: it is malformed, or no memory. */
static const char *static_path(const skua_http_static *files, skua_http_exchange *exchange)
{
    const char *path = skua_http_param(exchange, files->options.param);
    char *text;
    ssize_t n;

    if (path != NULL)
        return path;
    path = exchange->path + (exchange->path[0] == '/');
    text = skua__http_arena_copy(&exchange->arena, path, strlen(path));
    n = text != NULL ? skua__http_decode(text, text, strlen(text), false) : -1;
    if (n < 0)
        return NULL;
    text[n] = '\0';
    return text;
}

/* Whether the client takes an encoding: it names it, with a weight that is not zero. */
static bool static_accepts(const skua_http_exchange *exchange, const char *encoding)
{
    const char *list = skua_http_header(exchange, "Accept-Encoding");
    size_t wanted = strlen(encoding);

    while (list != NULL && *(list += strspn(list, ", \t")) != '\0') {
        size_t len = strcspn(list, ",; \t");
        size_t all = strcspn(list, ",");

        if (len == wanted && skua__http_same(list, encoding, len)) {
            const char *weight = memchr(list, '=', all);

            if (weight == NULL)
                return true;
            weight += 1 + strspn(weight + 1, "0.");
            return *weight >= '1' && *weight <= '9';
        }
        list += all;
    }
    return false;
}

/* Finds what a name is, below the root or not there. `real` gets the name without links, to be
 * freed. */
static int static_find(const skua_http_static *files, const char *name, char **real,
                       skua_metadata *metadata)
{
    size_t len = strlen(files->root);
    int rc = skua_fs_canonicalize(name, real);

    if (rc != 0)
        return rc;
    if (files->options.links == 0 && len > 1 && /* everything is below "/" */
        (strncmp(*real, files->root, len) != 0 || ((*real)[len] != '/' && (*real)[len] != '\0')))
        rc = -ENOENT;
    if (rc == 0)
        rc = skua_fs_metadata(*real, metadata);
    if (rc != 0)
        free(*real);
    return rc;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* Sends a name with an end that says how it is encoded; or says that it is no file. */
static int static_send(const skua_http_static *files, skua_http_exchange *exchange,
                       const char *name, const char *end, const char *encoding)
{
    char full[STATIC_NAME + 8];
    skua_metadata metadata;
    skua_file *file;
    char *real;
    int rc;

    (void)snprintf(full, sizeof full, "%s%s", name, end);
    rc = static_find(files, full, &real, &metadata);
    if (rc != 0)
        return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP || rc == -ENAMETOOLONG
                   ? STATIC_NOTHING
                   : rc;
    if (metadata.kind != SKUA_FILE_REGULAR) {
        free(real);
        return metadata.kind == SKUA_FILE_DIRECTORY ? STATIC_DIRECTORY : STATIC_NOTHING;
    }
    rc = skua_file_open(&file, real, SKUA_FILE_OPTIONS(.read = 1, .no_follow = 1));
    free(real);
    if (rc != 0)
        return rc == -ENOENT || rc == -ELOOP ? STATIC_NOTHING : rc;
    rc = skua_http_set_header(exchange, "X-Content-Type-Options", "nosniff");
    if (rc == 0 && encoding != NULL)
        rc = skua_http_set_header(exchange, "Content-Encoding", encoding);
    if (rc == 0 && files->options.control != NULL)
        rc = skua_http_set_header(exchange, "Cache-Control", files->options.control);
    if (rc == 0)
        rc = skua_http_send_file(exchange, file, skua_http_type_of(name));
    (void)skua_file_close(file);
    return rc;
}

/* A file, encoded or not. */
static int static_file(const skua_http_static *files, skua_http_exchange *exchange,
                       const char *name)
{
    static const struct {
        const char *end, *encoding;
    } ways[] = {{".br", "br"}, {".zst", "zstd"}, {".gz", "gzip"}};
    int rc;

    if (files->options.encoded == 0)
        return static_send(files, exchange, name, "", NULL);
    rc = skua_http_add_header(exchange, "Vary", "Accept-Encoding");
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (!static_accepts(exchange, ways[i].encoding))
            continue;
        rc = static_send(files, exchange, name, ways[i].end, ways[i].encoding);
        if (rc <= 0)
            return rc;
    }
    return static_send(files, exchange, name, "", NULL);
}

/* To the same with a slash: by its last segment, for who knows what stands in front of us. */
static int static_redirect(skua_http_exchange *exchange)
{
    const char *last = strrchr(exchange->path, '/');
    struct skua__web_text text = {.arena = &exchange->arena};
    int rc;

    skua__web_put(&text, "./", 2); /* "x:y/" alone would name a scheme */
    skua__web_put(&text, last + 1, strlen(last + 1));
    skua__web_put(&text, "/?", *exchange->query != '\0' ? 2 : 1);
    skua__web_put(&text, exchange->query, strlen(exchange->query));
    rc = text.failed ? -ENOMEM : skua_http_set_header(exchange, "Location", text.text);
    return rc == 0 ? skua_http_reply(exchange, 301, NULL, NULL, 0) : rc;
}

int skua_http_static_handler(skua_http_exchange *exchange, void *state)
{
    const skua_http_static *files = state;
    const char *path = static_path(files, exchange);
    char name[STATIC_NAME];
    size_t len;
    int rc;

    if (strcmp(exchange->method, "GET") != 0 && strcmp(exchange->method, "HEAD") != 0) {
        rc = skua_http_set_header(exchange, "Allow", "GET, HEAD");
        return rc == 0 ? skua_http_refuse(exchange, 405, NULL) : rc;
    }
    if (path == NULL)
        return skua_http_refuse(exchange, 400, NULL);
    len = strlen(path);
    if (!static_is_below(files, path) ||
        (size_t)snprintf(name, sizeof name, "%s/%s%s", files->root, path,
                         len == 0 || path[len - 1] == '/' ? files->options.index : "") >=
            sizeof name)
        return skua_http_refuse(exchange, 404, NULL);
    if (len == 0 || path[len - 1] == '/')
        rc = *files->options.index != '\0' ? static_file(files, exchange, name) : STATIC_NOTHING;
    else if ((rc = static_file(files, exchange, name)) == STATIC_DIRECTORY)
        return static_redirect(exchange);
    return rc > 0 ? skua_http_refuse(exchange, 404, NULL) : rc;
}

#undef STATIC_NAME
