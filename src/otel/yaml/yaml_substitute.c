/* yaml_substitute.c - ${VAR}, ${env:VAR}, ${VAR:-default} in a scalar.
 *
 * From the left: `$$` is a `$` that begins nothing; what stands between two of them is searched for
 * references. What a variable holds is taken as it is. A reference that is none, "${VAR:?x}", is a
 * fault; "${" without its end is text.
 *
 * Source     OpenTelemetry specification 1.60: configuration/data-model, environment variable
 *            substitution.
 */
#include "otel/yaml/yaml_impl.h"

struct subst_text {
    struct skua__yaml *yaml;
    char *at;
    size_t len, room;
    bool failed;
};

static void subst_add(struct subst_text *self, const char *text, size_t len)
{
    if (self->failed)
        return;
    if (len >= self->room - self->len) {
        size_t room = 2 * (self->len + len) + 64;
        char *more = skua__otel_realloc(self->at, room);

        if (more == NULL) {
            self->failed = true;
            (void)skua__yaml_no_memory(self->yaml);
            return;
        }
        self->at = more;
        self->room = room;
    }
    memcpy(self->at + self->len, text, len);
    self->len += len;
}

static bool subst_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* What stands between the braces. */
static bool subst_reference(struct subst_text *self, const char *text, size_t len, int line)
{
    const char *whole = text, *value;
    size_t whole_len = len, name = 0;
    char *copy;

    if (len > 4 && memcmp(text, "env:", 4) == 0 && text[4] != '-') {
        text += 4;
        len -= 4;
    }
    while (name < len && subst_name_char(text[name], name == 0))
        name++;
    if (name == 0 || (name < len && (len - name < 2 || memcmp(text + name, ":-", 2) != 0)))
        return skua__yaml_fail(self->yaml, line, "${%.*s} is no reference to a variable",
                               whole_len < 80 ? (int)whole_len : 80, whole);
    copy = skua__config_copy(self->yaml->config, text, name);
    if (copy == NULL)
        return skua__yaml_no_memory(self->yaml);
    value = skua__config_get(self->yaml->env, copy);
    if (value != NULL)
        subst_add(self, value, strlen(value));
    else if (name < len)
        subst_add(self, text + name + 2, len - name - 2);
    return true;
}

/* Text without `$$`. */
static bool subst_part(struct subst_text *self, const char *text, size_t len, int line)
{
    const char *end = text + len;

    while (text < end) {
        const char *open = memchr(text, '$', (size_t)(end - text));
        const char *close = NULL;

        if (open != NULL && end - open > 2 && open[1] == '{' && open[2] != '}')
            close = memchr(open, '}', (size_t)(end - open));
        if (open == NULL || (close == NULL && open + 1 >= end)) {
            subst_add(self, text, (size_t)(end - text));
            return true;
        }
        if (close == NULL) {
            subst_add(self, text, (size_t)(open + 1 - text));
            text = open + 1;
            continue;
        }
        subst_add(self, text, (size_t)(open - text));
        if (!subst_reference(self, open + 2, (size_t)(close - open - 2), line))
            return false;
        text = close + 1;
    }
    return true;
}

const char *skua__yaml_substitute(struct skua__yaml *yaml, const char *text, int line)
{
    struct subst_text self = {.yaml = yaml};
    const char *escape, *ret = NULL;
    bool good = true;

    if (strchr(text, '$') == NULL) {
        ret = skua__config_copy(yaml->config, text, strlen(text));
        return ret != NULL || skua__yaml_no_memory(yaml) ? ret : NULL;
    }
    subst_add(&self, "", 0);
    while (good && (escape = strstr(text, "$$")) != NULL) {
        good = subst_part(&self, text, (size_t)(escape - text), line);
        subst_add(&self, "$", 1);
        text = escape + 2;
    }
    good = good && subst_part(&self, text, strlen(text), line);
    if (good && !self.failed) {
        ret = skua__config_copy(yaml->config, self.at, self.len);
        if (ret == NULL)
            (void)skua__yaml_no_memory(yaml);
    }
    skua__otel_free(self.at);
    return ret;
}
