/* grpc_metadata.c - entries of metadata, from headers and to headers.
 *
 * What the protocol itself needs is not metadata: pseudo-headers, "grpc-…", Content-Type, TE and
 * what HTTP says of a connection. A header whose name ends with "-bin" may hold several values with
 * commas between them, each in base64; one that is malformed is left out.
 *
 * Source: gRPC over HTTP/2, Custom-Metadata.
 */
#include "http/grpc/grpc_impl.h"

static bool metadata_is_bin(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && memcmp(name + len - 4, "-bin", 4) == 0;
}

/* Names that are the protocol's; in small letters. */
static bool metadata_is_ours(const char *name)
{
    static const char *const ours[] = {
        "content-type",      "content-length", "te",      "connection",       "host",   "date",
        "transfer-encoding", "keep-alive",     "upgrade", "proxy-connection", "trailer"};

    if (*name == ':' || strncmp(name, "grpc-", 5) == 0)
        return true;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcmp(ours[i], name) == 0)
            return true;
    return false;
}

static size_t metadata_len(const skua_grpc_entry *entry)
{
    return entry->len == 0 && entry->value != NULL && !metadata_is_bin(entry->name)
               ? strlen(entry->value)
               : entry->len;
}

int skua__grpc_entry_check(const skua_grpc_entry *entry)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
    const unsigned char *value = entry->value;
    size_t len;

    if (entry->name == NULL || *entry->name == '\0' ||
        entry->name[strspn(entry->name, letters)] != '\0' || metadata_is_ours(entry->name) ||
        (value == NULL && entry->len != 0))
        return -EINVAL;
    len = metadata_len(entry);
    if (len > UINT32_MAX / 4)
        return -EINVAL;
    for (size_t i = 0; i < len && !metadata_is_bin(entry->name); i++)
        if (value[i] < 0x20 || value[i] > 0x7e)
            return -EINVAL;
    return 0;
}

const char *skua__grpc_entry_text(struct skua__http_arena *arena, const skua_grpc_entry *entry)
{
    size_t len = metadata_len(entry);
    char *text;

    if (!metadata_is_bin(entry->name))
        return skua__http_arena_copy(arena, len != 0 ? entry->value : "", len);
    text = skua__http_arena_alloc(arena, skua__grpc_base64_room(len));
    if (text != NULL)
        skua__grpc_base64_write(text, entry->value, len);
    return text;
}

static int metadata_put(struct skua__grpc_entries *self, struct skua__http_arena *arena,
                        const skua_grpc_entry *entry)
{
    if (self->count == self->room) {
        size_t room = self->room != 0 ? 2 * self->room : 8;
        skua_grpc_entry *at = skua__http_arena_alloc(arena, room * sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        if (self->count != 0)
            memcpy(at, self->at, self->count * sizeof *at);
        self->at = at;
        self->room = room;
    }
    self->at[self->count] = *entry;
    self->count++;
    return 0;
}

int skua__grpc_entries_put(struct skua__grpc_entries *self, struct skua__http_arena *arena,
                           const char *name, const char *text)
{
    skua_grpc_entry entry = {skua__http_arena_copy(arena, name, strlen(name)), text, strlen(text)};

    return entry.name != NULL ? metadata_put(self, arena, &entry) : -ENOMEM;
}

/* The values of a "-bin" header. */
static int metadata_take_bin(struct skua__grpc_entries *self, struct skua__http_arena *arena,
                             const char *name, const char *value)
{
    for (;;) {
        size_t len = strcspn(value, ",");
        const char *from = value + strspn(value, " \t");
        size_t size = from < value + len ? (size_t)(value + len - from) : 0;
        char *bytes = skua__http_arena_alloc(arena, size + 1);
        ssize_t n;

        if (bytes == NULL)
            return -ENOMEM;
        while (size != 0 && (from[size - 1] == ' ' || from[size - 1] == '\t'))
            size--;
        n = skua__grpc_base64_read(bytes, from, size);
        if (n >= 0) {
            skua_grpc_entry entry = {name, bytes, (size_t)n};

            bytes[n] = '\0';
            if (metadata_put(self, arena, &entry) != 0)
                return -ENOMEM;
        }
        if (value[len] == '\0')
            return 0;
        value += len + 1;
    }
}

int skua__grpc_entries_take(struct skua__grpc_entries *self, struct skua__http_arena *arena,
                            const char *name, const char *value)
{
    char *small = skua__http_arena_copy(arena, name, strlen(name));
    skua_grpc_entry entry;

    if (small == NULL)
        return -ENOMEM;
    for (char *at = small; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    if (metadata_is_ours(small))
        return 0;
    if (metadata_is_bin(small))
        return metadata_take_bin(self, arena, small, value);
    entry = (skua_grpc_entry){small, value, strlen(value)};
    entry.value = skua__http_arena_copy(arena, value, entry.len);
    return entry.value != NULL ? metadata_put(self, arena, &entry) : -ENOMEM;
}

const skua_grpc_entry *skua__grpc_entries_find(const struct skua__grpc_entries *self,
                                               const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->at[i].name, name) == 0)
            return &self->at[i];
    return NULL;
}
