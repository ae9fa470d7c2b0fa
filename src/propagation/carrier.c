/* carrier.c - messages as propagators see them: an array of fields, and environment variables.
 *
 * Environment  a name is normalised before it is looked up or written: upper case, and `_` for
 *              what is no letter or digit. Variables with other names are not seen.
 */
#include <strings.h>

#include "propagation/propagation_impl.h"

extern char **environ;

/* ---- fields ---------------------------------------------------------------------------------- */

static const char *fields_get(const skua_carrier *carrier, const char *name, size_t index,
                              size_t *ret_len)
{
    const skua_fields_carrier *self = (const skua_fields_carrier *)carrier;

    for (size_t i = 0; i < self->count; i++) {
        if (strcasecmp(self->fields[i].name, name) != 0 || index-- != 0)
            continue;
        *ret_len = self->fields[i].len;
        return self->fields[i].value;
    }
    return NULL;
}

/* All of that name, but for the first, leave the array. The first; NULL: there was none. */
static skua_carrier_field *fields_slot(skua_fields_carrier *self, const char *name)
{
    skua_carrier_field *slot = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < self->count; i++) {
        bool same = strcasecmp(self->fields[i].name, name) == 0;

        if (same && slot != NULL)
            continue;
        self->fields[kept] = self->fields[i];
        if (same)
            slot = &self->fields[kept];
        kept++;
    }
    self->count = kept;
    return slot;
}

static int fields_set(skua_carrier *carrier, const char *name, const char *value, size_t len)
{
    skua_fields_carrier *self = (skua_fields_carrier *)carrier;
    size_t name_len = strlen(name);
    skua_carrier_field *slot;

    if (len > self->size - self->used || name_len + 2 > self->size - self->used - len)
        return SKUA_ELIMIT;
    slot = fields_slot(self, name);
    if (slot == NULL && self->count == self->room)
        return SKUA_ELIMIT;
    if (slot == NULL)
        slot = &self->fields[self->count++];
    slot->name = memcpy(self->text + self->used, name, name_len + 1);
    self->used += name_len + 1;
    slot->value = memcpy(self->text + self->used, value, len);
    slot->len = len;
    self->text[self->used + len] = '\0';
    self->used += len + 1;
    return 0;
}

static const char *fields_key(const skua_carrier *carrier, size_t index)
{
    const skua_fields_carrier *self = (const skua_fields_carrier *)carrier;

    return index < self->count ? self->fields[index].name : NULL;
}

void skua_fields_carrier_init(skua_fields_carrier *self, skua_carrier_field *fields, size_t room,
                              char *text, size_t size)
{
    *self = (skua_fields_carrier){.carrier = {fields_get, fields_set, fields_key},
                                  .fields = fields,
                                  .room = room,
                                  .text = text,
                                  .size = size};
}

/* ---- environment ----------------------------------------------------------------------------- */

static char env_char(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

/* Where the normalised name begins with the text up to '='. Its length, or 0. */
static size_t env_match(const char *var, const char *name)
{
    size_t at = 0;

    if (*name == '\0' || (*name >= '0' && *name <= '9'))
        if (var[at++] != '_')
            return 0;
    for (; *name != '\0'; name++, at++)
        if (var[at] != env_char(*name))
            return 0;
    return var[at] == '=' ? at : 0;
}

static const char *env_get(const skua_carrier *carrier, const char *name, size_t index,
                           size_t *ret_len)
{
    const skua_env_carrier *self = (const skua_env_carrier *)carrier;
    const char *const *env =
        self->env != NULL ? self->env : (const char *const *)(uintptr_t)environ;

    for (; index == 0 && env != NULL && *env != NULL; env++) {
        size_t len = env_match(*env, name);

        if (len == 0)
            continue;
        *ret_len = strlen(*env + len + 1);
        return *env + len + 1;
    }
    return NULL;
}

static int env_set(skua_carrier *carrier, const char *name, const char *value, size_t len)
{
    skua_env_carrier *self = (skua_env_carrier *)carrier;
    size_t name_len = strlen(name), room = self->size - self->used, at = 0, slot = 0;
    char *text = self->text + self->used;

    if (self->vars == NULL || len > room || name_len + 4 > room - len)
        return SKUA_ELIMIT;
    while (slot < self->count && env_match(self->vars[slot], name) == 0)
        slot++;
    if (slot == self->count && self->count + 1 >= self->room)
        return SKUA_ELIMIT;
    if (name_len == 0 || (*name >= '0' && *name <= '9'))
        text[at++] = '_';
    for (size_t i = 0; i < name_len; i++)
        text[at++] = env_char(name[i]);
    text[at++] = '=';
    memcpy(text + at, value, len);
    text[at + len] = '\0';
    self->used += at + len + 1;
    self->vars[slot] = text;
    if (slot == self->count)
        self->vars[++self->count] = NULL;
    return 0;
}

void skua_env_carrier_init(skua_env_carrier *self, const char *const *env, const char **vars,
                           size_t room, char *text, size_t size)
{
    /* Names that are there are of other programs: no propagator needs to know them all. */
    *self = (skua_env_carrier){.carrier = {env_get, env_set, NULL},
                               .env = env,
                               .vars = room != 0 ? vars : NULL,
                               .room = room,
                               .text = text,
                               .size = size};
    if (self->vars != NULL)
        self->vars[0] = NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

const char *skua__trimmed(const char *text, size_t *len)
{
    while (*len != 0 && (*text == ' ' || *text == '\t')) {
        text++;
        (*len)--;
    }
    while (*len != 0 && (text[*len - 1] == ' ' || text[*len - 1] == '\t'))
        (*len)--;
    return text;
}

const char *skua__carrier_first(const skua_carrier *carrier, const char *name, size_t *ret_len)
{
    const char *value = carrier->get(carrier, name, 0, ret_len);

    return value != NULL ? skua__trimmed(value, ret_len) : NULL;
}

bool skua__hex_read(const char *text, size_t len, uint8_t *bytes, size_t size)
{
    if (len == 0 || len > 2 * size)
        return false;
    memset(bytes, 0, size);
    for (size_t i = 0; i < len; i++) {
        int digit = skua__hex_digit(text[len - 1 - i]);

        if (digit < 0)
            return false;
        bytes[size - 1 - i / 2] |= (uint8_t)(digit << (i % 2 * 4));
    }
    return true;
}

void skua__hex_write(char *text, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
}
