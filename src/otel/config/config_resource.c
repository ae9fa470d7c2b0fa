/* config_resource.c - who sends: what the configuration says, and what is found out.
 *
 *   said outright  >  plugins  >  service, process, host, os, container  >  telemetry.sdk.*
 *
 * Of two with a key the one further left counts. What cannot be found out is left out: no file that
 * is missing, cut or garbage is a fault. The arguments of the command are never told: they may be
 * secret.
 *
 * Source     OpenTelemetry specification 1.60: resource/sdk; semantic conventions: resource.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "otel/config/config_impl.h"

#define RESOURCE_MAX 32     /* attributes that are found out */
#define RESOURCE_FILE 65536 /* of one, what is read */

struct resource_list {
    skua_otel_config *config;
    const char *root; /* stands before every path */
    skua_attr *at;
    size_t count, room;
    bool no_memory;
    char *scratch; /* RESOURCE_FILE bytes: stacks of fibers are small */
};

/* ---- the list -------------------------------------------------------------------------------- */

static bool resource_glob(const char *pattern, const char *text)
{
    for (; *pattern != '\0' && *pattern != '*'; pattern++, text++)
        if (*text == '\0' || (*pattern != '?' && *pattern != *text))
            return false;
    if (*pattern == '\0')
        return *text == '\0';
    do
        if (resource_glob(pattern + 1, text))
            return true;
    while (*text++ != '\0');
    return false;
}

static bool resource_wanted(const struct skua__config_filter *filter, const char *key)
{
    bool wanted = filter->included.count == 0;

    for (size_t i = 0; i < filter->included.count; i++)
        wanted = wanted || resource_glob(filter->included.at[i], key);
    for (size_t i = 0; i < filter->excluded.count; i++)
        wanted = wanted && !resource_glob(filter->excluded.at[i], key);
    return wanted;
}

static bool resource_has(const struct resource_list *self, const char *key)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->at[i].key, key) == 0)
            return true;
    return false;
}

static void resource_take(struct resource_list *self, skua_attr attr)
{
    if (self->count < self->room && !resource_has(self, attr.key))
        self->at[self->count++] = attr;
}

static void resource_text(struct resource_list *self, const char *key, const char *text)
{
    char *copy;

    if (*text == '\0' || !resource_wanted(&self->config->resource.detected, key))
        return;
    copy = skua__config_copy(self->config, text, strlen(text));
    self->no_memory = self->no_memory || copy == NULL;
    if (copy != NULL)
        resource_take(self, skua_attr_str(key, copy));
}

static void resource_number(struct resource_list *self, const char *key, int64_t value)
{
    if (resource_wanted(&self->config->resource.detected, key))
        resource_take(self, skua_attr_i64(key, value));
}

/* A file's text, cut to fit; "": there is none. */
static void resource_read(const struct resource_list *self, const char *path, char *out,
                          size_t size)
{
    char whole[512];
    size_t used = 0;
    int fd;

    (void)snprintf(whole, sizeof whole, "%s%s", self->root, path);
    fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd >= 0 && used + 1 < size) {
        ssize_t n = read(fd, out + used, size - 1 - used);

        if (n <= 0)
            break;
        used += (size_t)n;
    }
    if (fd >= 0)
        (void)close(fd);
    out[used] = '\0';
}

/* ---- detectors ------------------------------------------------------------------------------- */

static void detect_process(struct resource_list *self)
{
    char path[512], *text = self->scratch;
    ssize_t len;

    resource_number(self, "process.pid", getpid());
    resource_number(self, "process.parent_pid", getppid());
    (void)snprintf(path, sizeof path, "%s/proc/self/exe", self->root);
    len = readlink(path, text, RESOURCE_FILE - 1);
    text[len > 0 ? len : 0] = '\0';
    resource_text(self, "process.executable.path", text);
    resource_text(self, "process.executable.name",
                  strrchr(text, '/') != NULL ? strrchr(text, '/') + 1 : text);
    resource_read(self, "/proc/self/cmdline", text, RESOURCE_FILE); /* up to its first NUL */
    resource_text(self, "process.command", text);
    resource_text(self, "process.runtime.name", "skua");
}

static void detect_host(struct resource_list *self)
{
    static const struct {
        const char *machine, *arch;
    } names[] = {{"x86_64", "amd64"},   {"aarch64", "arm64"}, {"i686", "x86"},
                 {"armv7l", "arm32"},   {"ppc64le", "ppc64"}, {"s390x", "s390x"},
                 {"riscv64", "riscv64"}};
    char text[256], hex[33] = "";
    struct utsname name;
    size_t digits;

    if (uname(&name) == 0) {
        const char *arch = name.machine;

        resource_text(self, "host.name", name.nodename);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (strcmp(names[i].machine, name.machine) == 0)
                arch = names[i].arch;
        resource_text(self, "host.arch", arch);
    }
    resource_read(self, "/etc/machine-id", text, sizeof text);
    digits = strspn(text, "0123456789abcdef");
    if (digits != 32)
        return;
    memcpy(hex, text, 32);
    resource_text(self, "host.id", hex);
}

/* The value of KEY= in os-release, without its quotes. */
static void os_release(const char *text, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);

    out[0] = '\0';
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');

        if (strncmp(line, key, len) == 0 && line[len] == '=') {
            size_t value = end != NULL ? (size_t)(end - line) - len - 1 : strlen(line) - len - 1;

            line += len + 1;
            if (value >= 2 && (*line == '"' || *line == '\'') && line[value - 1] == *line) {
                line++;
                value -= 2;
            }
            (void)snprintf(out, size, "%.*s", (int)(value < size ? value : size - 1), line);
            return;
        }
        line = end != NULL ? end + 1 : NULL;
    }
}

static void detect_os(struct resource_list *self)
{
    char value[256], *text = self->scratch;
    struct utsname name;

    resource_text(self, "os.type", "linux");
    if (uname(&name) == 0)
        resource_text(self, "os.build_id", name.release);
    resource_read(self, "/etc/os-release", text, RESOURCE_FILE);
    os_release(text, "NAME", value, sizeof value);
    resource_text(self, "os.name", value);
    os_release(text, "VERSION_ID", value, sizeof value);
    resource_text(self, "os.version", value);
    os_release(text, "PRETTY_NAME", value, sizeof value);
    resource_text(self, "os.description", value);
}

/* 64 hexadecimal digits that stand alone, in `len` bytes. */
static bool container_id(const char *text, size_t len, char out[65])
{
    size_t run = 0;

    for (size_t i = 0; i <= len; i++) {
        char c = i < len ? text[i] : ' ';

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
            run++;
        } else if (run == 64) {
            memcpy(out, text + i - 64, 64);
            out[64] = '\0';
            return true;
        } else {
            run = 0;
        }
    }
    return false;
}

static void detect_container(struct resource_list *self)
{
    char id[65] = "", *text = self->scratch;

    resource_read(self, "/proc/self/cgroup", text, RESOURCE_FILE); /* version 1 */
    if (!container_id(text, strlen(text), id)) {
        resource_read(self, "/proc/self/mountinfo", text, RESOURCE_FILE); /* version 2 */
        for (const char *line = text; line != NULL && *line != '\0' && id[0] == '\0';) {
            const char *end = strchr(line, '\n');
            size_t len = end != NULL ? (size_t)(end - line) : strlen(line);

            /* Files of the container's own, which stand in a folder called by its id. */
            if (memmem(line, len, "/containers/", 12) != NULL ||
                memmem(line, len, "/etc/hostname", 13) != NULL)
                (void)container_id(line, len, id);
            line = end != NULL ? end + 1 : NULL;
        }
    }
    resource_text(self, "container.id", id);
}

static void detect_service(struct resource_list *self)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[16] = {0};
    char text[37];
    size_t used = 0;

    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes)
        return;
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[used++] = '-';
        text[used++] = digits[bytes[i] >> 4];
        text[used++] = digits[bytes[i] & 15];
    }
    text[used] = '\0';
    resource_text(self, "service.instance.id", text);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* What must be there, whatever the configuration says. */
static void resource_sdk(struct resource_list *self)
{
    char path[512], *exe = self->scratch;
    const char *slash;
    char *name;
    ssize_t len;

    resource_take(self, skua_attr_str("telemetry.sdk.name", "skua"));
    resource_take(self, skua_attr_str("telemetry.sdk.language", "c"));
    resource_take(self, skua_attr_str("telemetry.sdk.version", SKUA_VERSION));
    if (resource_has(self, "service.name"))
        return;
    (void)snprintf(path, sizeof path, "%s/proc/self/exe", self->root);
    len = readlink(path, exe, RESOURCE_FILE - 1);
    exe[len > 0 ? len : 0] = '\0';
    slash = strrchr(exe, '/');
    len = (ssize_t)strlen(exe) + 32;
    name = skua__config_alloc(self->config, (size_t)len);
    if (name == NULL) {
        self->no_memory = true;
        return;
    }
    (void)snprintf(name, (size_t)len, "unknown_service%s%s", slash != NULL ? ":" : "",
                   slash != NULL ? slash + 1 : "");
    resource_take(self, skua_attr_str("service.name", name));
}

/* A schema of its own is one that others must not contradict. */
static int resource_plugins(struct resource_list *self, const char **schema)
{
    const struct skua__config_resource *said = &self->config->resource;

    for (size_t i = 0; i < said->plugins_count; i++) {
        const skua_otel_provider *provider =
            skua__config_provider(SKUA_OTEL_RESOURCE_DETECTOR, said->plugins[i].name);
        const skua_otel_resource *found;
        void *made = NULL;
        int rc = provider != NULL ? provider->create(provider, said->plugins[i].properties, &made)
                                  : -ENOENT;

        if (rc < 0)
            return rc;
        found = made;
        for (uint32_t j = 0; found != NULL && j < found->attrs.count; j++)
            if (resource_wanted(&said->detected, found->attrs.at[j].key))
                resource_take(self, found->attrs.at[j]);
        if (found == NULL || found->schema_url.len == 0)
            continue;
        if (*schema != NULL && (strlen(*schema) != found->schema_url.len ||
                                memcmp(*schema, found->schema_url.at, found->schema_url.len) != 0))
            return -EINVAL;
        *schema = skua__config_copy(self->config, found->schema_url.at, found->schema_url.len);
        if (*schema == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int resource_order(const void *a, const void *b)
{
    return strcmp(((const skua_attr *)a)->key, ((const skua_attr *)b)->key);
}

static void resource_detect(struct resource_list *self)
{
    unsigned detectors = self->config->resource.detectors;

    if ((detectors & SKUA__DETECT_SERVICE) != 0)
        detect_service(self);
    if ((detectors & SKUA__DETECT_PROCESS) != 0)
        detect_process(self);
    if ((detectors & SKUA__DETECT_HOST) != 0)
        detect_host(self);
    if ((detectors & SKUA__DETECT_OS) != 0)
        detect_os(self);
    if ((detectors & SKUA__DETECT_CONTAINER) != 0)
        detect_container(self);
    resource_sdk(self);
}

int skua__config_resource_create(skua_otel_config *config, const char *root,
                                 skua_otel_resource *ret)
{
    const struct skua__config_resource *said = &config->resource;
    struct resource_list self = {
        .config = config, .root = root, .room = said->attrs_count + RESOURCE_MAX};
    const char *schema = said->schema_url;
    int rc;

    *ret = (skua_otel_resource){.schema_url = {"", 0}};
    self.at = skua__config_alloc(config, self.room * sizeof *self.at);
    self.scratch = skua__otel_raw(RESOURCE_FILE);
    if (self.at == NULL || self.scratch == NULL) {
        skua__otel_free(self.scratch);
        return -ENOMEM;
    }
    for (size_t i = 0; i < said->attrs_count; i++)
        resource_take(&self, said->attrs[i]);
    rc = resource_plugins(&self, &schema);
    if (rc == 0)
        resource_detect(&self);
    skua__otel_free(self.scratch);
    if (rc < 0)
        return rc;
    if (self.no_memory)
        return -ENOMEM;
    qsort(self.at, self.count, sizeof *self.at, resource_order);
    ret->attrs = (skua_otel_attrs){self.at, (uint32_t)self.count, 0};
    if (schema != NULL)
        ret->schema_url = (skua_otel_text){schema, strlen(schema)};
    return 0;
}

#undef RESOURCE_MAX
#undef RESOURCE_FILE
