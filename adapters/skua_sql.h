/* skua_sql.h - statements of SQL as spans and durations, whatever library carries them.
 *
 *     skua_sql sql;
 *
 *     skua_sql_begin(&sql, "sqlite", "SELECT name FROM users WHERE id = ?1");
 *     rc = …;                                     -- the statement runs
 *     skua_sql_status(&sql, "19");                -- what the database answered, if it failed
 *     skua_sql_end(&sql, rc);
 *
 * Span       of kind CLIENT, named as db.query.summary: "SELECT users". With db.system.name,
 *            db.query.text, and of a failure db.response.status_code and error.type.
 * Metric     db.client.operation.duration, with all of these but the text.
 * Text       literals are replaced by "?", so that no value of a user gets out; parameters ($1, ?1,
 *            :name) stay, comments go. "…" is a name, but of "mysql" and "mariadb" a literal, where
 *            a backslash escapes in both kinds. It is cut at SKUA_SQL_TEXT_MAX bytes.
 * Summary    the first word, and the tables behind FROM, JOIN, INTO, UPDATE and TABLE, in order. It
 *            is read from the text without knowing SQL: of what it does not know it says less.
 *            db.operation.name and db.collection.name are not made of the text: the conventions
 *            want them only from those who know them; set them on sql.span then.
 * Off        without telemetry it costs two loads.
 * For your own program: copy it, or include it. It needs libskua alone.
 *
 * Source     OpenTelemetry semantic conventions 1.41: database (sql: stable).
 */
#ifndef SKUA_SQL_H
#define SKUA_SQL_H

#include <ctype.h>
#include <string.h>

#include <skua/metric.h>
#include <skua/time.h>
#include <skua/trace.h>

#define SKUA_SQL_TEXT_MAX 1024
#define SKUA_SQL_SUMMARY_MAX 128

/* A statement that runs; in its asker's stack. */
typedef struct skua_sql {
    skua_span *span;    /* NULL: nobody records it; for what only the caller knows */
    int64_t began;      /* monotonic, ns; 0: it is not measured */
    const char *system; /* static */
    int unmeasured;     /* set to 1 behind the begin: it makes no duration, but a span */
    char status[32];    /* "": it said none */
    char summary[SKUA_SQL_SUMMARY_MAX];
} skua_sql;

/* ---- reading a statement --------------------------------------------------------------------- */

static inline int skua_sql_is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.' || (c & 0x80) != 0;
}

/* Behind a literal in quotes that begins at `at`; doubled quotes are in it, and so is, where
 * `escapes`, what stands behind a backslash. */
static inline const char *skua_sql_quoted(const char *at, int escapes)
{
    char quote = *at++;

    for (; *at != '\0'; at++) {
        if (escapes && *at == '\\' && at[1] != '\0')
            at++;
        else if (*at == quote && at[1] == quote)
            at++;
        else if (*at == quote)
            return at + 1;
    }
    return at;
}

/* Behind $tag$ … $tag$; NULL: there is none. */
static inline const char *skua_sql_dollars(const char *at)
{
    size_t len = 1;

    while (isalnum((unsigned char)at[len]) || at[len] == '_')
        len++;
    if (at[len] != '$' || isdigit((unsigned char)at[1]))
        return NULL;
    len++;
    for (const char *end = at + len; *end != '\0'; end++)
        if (strncmp(end, at, len) == 0)
            return end + len;
    return at + strlen(at);
}

/* Behind a comment; `at` itself: there is none. One in another is taken for nested everywhere: then
 * too much goes, and not too little. */
static inline const char *skua_sql_comment(const char *at, int mysql)
{
    int depth = 0;

    if ((at[0] == '-' && at[1] == '-' && (!mysql || (unsigned char)at[2] <= ' ')) ||
        (mysql && at[0] == '#'))
        return at + strcspn(at, "\n");
    if (at[0] != '/' || at[1] != '*')
        return at;
    do {
        int opens = at[0] == '/' && at[1] == '*', closes = at[0] == '*' && at[1] == '/';

        depth += opens - closes;
        at += opens || closes ? 2 : 1;
    } while (depth != 0 && *at != '\0');
    return at;
}

/* Behind a literal; `at` itself: there is none. `before` are the two that stand before it. */
static inline const char *skua_sql_literal(const char *at, const char before[2], int mysql)
{
    int escapes = mysql || ((before[1] | 0x20) == 'e' && !skua_sql_is_word(before[0]));
    const char *end = NULL;

    if (*at == '\'' || (mysql && *at == '"'))
        return skua_sql_quoted(at, escapes);
    if (*at == '$')
        end = skua_sql_dollars(at);
    if (end != NULL || !isdigit((unsigned char)at[*at == '.']) || skua_sql_is_word(before[1]) ||
        before[1] == '?' || before[1] == ':' || before[1] == '@')
        return end != NULL ? end : at;
    while (skua_sql_is_word(*at) || ((*at == '+' || *at == '-') && (at[-1] | 0x20) == 'e'))
        at++;
    return at;
}

/* Behind a name in quotes, with all in it, that is written down; `at` itself: there is none. One
 * that never ends is none, and is left out as a literal is. */
static inline const char *skua_sql_name(const char *at, char *room, size_t *len)
{
    const char *end = *at == '"' || *at == '`' ? skua_sql_quoted(at, 0) : at;

    if (end == at)
        return at;
    if (end == at + 1 || end[-1] != *at) {
        room[(*len)++] = '?';
        return end;
    }
    for (; at < end && *len < SKUA_SQL_TEXT_MAX; at++)
        room[(*len)++] = *at != '\'' ? *at : '?';
    return end;
}

static inline size_t skua_sql_clean(const char *text, char *room, int mysql)
{
    char before[2] = {' ', ' '};
    size_t len = 0;

    while (*text != '\0' && len < SKUA_SQL_TEXT_MAX) {
        const char *end = skua_sql_comment(text, mysql);
        char last = ' ';

        if (end == text) {
            end = skua_sql_literal(text, before, mysql);
            last = '?';
        }
        if (end != text)
            room[len++] = last;
        else if ((end = skua_sql_name(text, room, &len)) == text)
            room[len++] = last = *end++;
        text = end;
        before[0] = before[1];
        before[1] = last;
    }
    return len;
}

/* The text without its literals and comments. Returns its length; `room` has SKUA_SQL_TEXT_MAX
 * bytes.
 *
 * Since      0.5
 */
static inline size_t skua_sql_sanitize(const char *text, char *room)
{
    return skua_sql_clean(text, room, 0);
}

/* The next word of a sanitized text, and behind it; its length is 0 at the end. Quotes of names
 * belong to them. */
static inline const char *skua_sql_word(const char *at, const char *end, size_t *len)
{
    const char *begin;

    while (at < end && !skua_sql_is_word(*at) && *at != '"' && *at != '`')
        at++;
    begin = at;
    while (at < end && (skua_sql_is_word(*at) || *at == '"' || *at == '`'))
        at++;
    *len = (size_t)(at - begin);
    return begin;
}

/* Whether a word is one of those, which are in capitals, with spaces around. */
static inline int skua_sql_one_of(const char *word, size_t len, const char *words)
{
    for (; words[1] != '\0'; words = strchr(words + 1, ' ')) {
        size_t i = 0;

        while (i < len && toupper((unsigned char)word[i]) == words[i + 1])
            i++;
        if (i == len && words[len + 1] == ' ')
            return 1;
    }
    return 0;
}

static inline void skua_sql_add(char *summary, const char *word, size_t len)
{
    size_t used = strlen(summary);

    if (used + len + 2 > SKUA_SQL_SUMMARY_MAX)
        return;
    if (used != 0)
        summary[used++] = ' ';
    memcpy(summary + used, word, len);
    summary[used + len] = '\0';
}

/* "SELECT users orders"; `summary` has SKUA_SQL_SUMMARY_MAX bytes, the text is sanitized.
 *
 * Since      0.5
 */
static inline void skua_sql_summarize(const char *text, size_t text_len, char *summary)
{
    const char *end = text + text_len;
    size_t len;
    const char *word = skua_sql_word(text, end, &len);
    int names = 0; /* the next word is a table's */

    summary[0] = '\0';
    skua_sql_add(summary, word, len);
    for (; len != 0; word = skua_sql_word(word + len, end, &len)) {
        if (names && skua_sql_one_of(word, len, " IF NOT EXISTS ONLY "))
            continue;
        if (names && !skua_sql_one_of(word, len, " SELECT SET "))
            skua_sql_add(summary, word, len);
        names = skua_sql_one_of(word, len, " FROM JOIN INTO UPDATE TABLE ");
    }
}

/* ---- around a statement ---------------------------------------------------------------------- */

/* Before it runs.
 *
 * system     the database, as db.system.name has it: "postgresql", "sqlite", "mysql", "mariadb" …;
 *            static
 * Threads    fibers, poll tasks, plain threads
 * Since      0.5
 */
static inline void skua_sql_begin(skua_sql *sql, const char *system, const char *text)
{
    static skua_tracer tracer = SKUA_TRACER("skua.sql", "1");
    int traced = SKUA_TRACE_ON(), measured = SKUA_METRIC_ON();
    char room[SKUA_SQL_TEXT_MAX];
    skua_span_options options;
    skua_attr attrs[3];
    size_t len;

    sql->span = NULL;
    sql->began = 0;
    if (!traced && !measured)
        return;
    len =
        skua_sql_clean(text, room, strcmp(system, "mysql") == 0 || strcmp(system, "mariadb") == 0);
    skua_sql_summarize(room, len, sql->summary);
    sql->system = system;
    sql->unmeasured = 0;
    sql->status[0] = '\0';
    sql->began = skua_now();
    if (!traced)
        return;
    attrs[0] = SKUA_STR("db.system.name", system);
    attrs[1] = SKUA_STR("db.query.summary", sql->summary);
    attrs[2] = SKUA_TEXT("db.query.text", room, len);
    skua_span_options_init(&options);
    options.kind = SKUA_SPAN_CLIENT;
    options.attrs = attrs;
    options.attrs_count = 3;
    sql->span = skua_span_start(&tracer, sql->summary[0] != '\0' ? sql->summary : system, &options);
}

/* What the database answered: an SQLSTATE, a number as text. Of failures and warnings alone.
 *
 * Since      0.5
 */
static inline void skua_sql_status(skua_sql *sql, const char *status)
{
    size_t len = strlen(status);

    if (sql->began == 0)
        return;
    len = len < sizeof sql->status ? len : sizeof sql->status - 1;
    memcpy(sql->status, status, len);
    sql->status[len] = '\0';
}

/* Behind it.
 *
 * rc         0 or more: it succeeded; a negative code: it failed, by its status, or else by that
 * Threads    as skua_sql_begin
 * Since      0.5
 */
static inline void skua_sql_end(skua_sql *sql, int64_t rc)
{
    static const skua_meter meter = SKUA_METER("skua.sql", "1");
    static const double bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};
    static skua_histogram took =
        SKUA_HISTOGRAM_BOUNDS(&meter, "db.client.operation.duration", "s",
                              "Duration of database client operations.", bounds);
    skua_attr attrs[4];
    size_t count = 0, common;

    if (sql->began == 0)
        return;
    attrs[count++] = SKUA_STR("db.system.name", sql->system);
    attrs[count++] = SKUA_STR("db.query.summary", sql->summary);
    common = count;
    if (sql->status[0] != '\0')
        attrs[count++] = SKUA_STR("db.response.status_code", sql->status);
    if (rc < 0)
        attrs[count++] =
            SKUA_STR("error.type", sql->status[0] != '\0' ? sql->status : skua_error_name(rc));
    if (!sql->unmeasured)
        skua_metric_f64(&took.instrument, (double)(skua_now() - sql->began) / SKUA_SECOND, attrs,
                        count);
    skua_span_set_attrs(sql->span, attrs + common, count - common);
    if (rc < 0)
        skua_span_set_status(sql->span, SKUA_SPAN_ERROR, skua_strerror(rc));
    skua_span_end(sql->span);
}

#endif
