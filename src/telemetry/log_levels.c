/* log_levels.c - which level a logger has: "info,skua.net=debug,shop.*=trace".
 *
 * The text is read again for each logger: that happens once in a logger's life, and when levels
 * change.
 */
#include <strings.h>

#include "telemetry/log_api.h"

static const struct {
    const char *name;
    uint8_t level;
} levels_names[] = {{"trace", SKUA_TRACE}, {"debug", SKUA_DEBUG}, {"info", SKUA_INFO},
                    {"warn", SKUA_WARN},   {"error", SKUA_ERROR}, {"fatal", SKUA_FATAL},
                    {"off", SKUA__LOG_OFF}};

/* A piece of the text. */
struct levels_piece {
    const char *at;
    size_t len;
};

static struct levels_piece levels_trim(struct levels_piece piece)
{
    while (piece.len > 0 && (*piece.at == ' ' || *piece.at == '\t'))
        piece = (struct levels_piece){piece.at + 1, piece.len - 1};
    while (piece.len > 0 && (piece.at[piece.len - 1] == ' ' || piece.at[piece.len - 1] == '\t'))
        piece.len--;
    return piece;
}

/* 0: it is none. */
static uint8_t levels_word(struct levels_piece word)
{
    for (size_t i = 0; i < sizeof levels_names / sizeof *levels_names; i++)
        if (strlen(levels_names[i].name) == word.len &&
            strncasecmp(levels_names[i].name, word.at, word.len) == 0)
            return levels_names[i].level;
    return 0;
}

/* One rule: its name, "" for all, and its level; 0: it cannot be read. */
static uint8_t levels_rule(struct levels_piece rule, struct levels_piece *name)
{
    const char *equals = memchr(rule.at, '=', rule.len);
    size_t at = equals != NULL ? (size_t)(equals - rule.at) : rule.len;
    uint8_t level;

    *name = levels_trim((struct levels_piece){rule.at, at});
    if (equals != NULL)
        return name->len == 0
                   ? 0
                   : levels_word(levels_trim((struct levels_piece){equals + 1, rule.len - at - 1}));
    level = levels_word(*name);
    if (level == 0)
        return SKUA_TRACE;
    name->len = 0;
    return level;
}

/* How well a rule's name fits: 0 not at all; 1 as that for all; else its bytes and more. */
static size_t levels_fit(struct levels_piece rule, const char *name)
{
    bool below = rule.len >= 2 && rule.at[rule.len - 1] == '*' && rule.at[rule.len - 2] == '.';
    size_t len = below ? rule.len - 2 : rule.len;

    if (rule.len == 0 || (rule.len == 1 && *rule.at == '*'))
        return 1;
    if (strncmp(rule.at, name, len) != 0)
        return 0;
    if (name[len] == '.')
        return len + 2;
    return name[len] == '\0' && !below ? len + 2 : 0;
}

/* The next rule that is not empty; false: there is none. */
static bool levels_next(const char **text, struct levels_piece *rule)
{
    while (**text != '\0') {
        size_t len = strcspn(*text, ",");

        *rule = levels_trim((struct levels_piece){*text, len});
        *text += len + ((*text)[len] == ',');
        if (rule->len != 0)
            return true;
    }
    return false;
}

bool skua__log_levels_valid(const char *levels)
{
    struct levels_piece rule, name;

    while (levels_next(&levels, &rule))
        if (levels_rule(rule, &name) == 0)
            return false;
    return true;
}

uint8_t skua__log_level_of(const char *levels, const char *name)
{
    struct levels_piece rule, at;
    size_t best = 0;
    uint8_t level = 0;

    while (levels_next(&levels, &rule)) {
        uint8_t said = levels_rule(rule, &at);
        size_t fit = levels_fit(at, name != NULL ? name : "");

        if (fit == 0 || fit < best) /* of two that are the same the last one counts */
            continue;
        best = fit;
        level = said;
    }
    return level;
}
