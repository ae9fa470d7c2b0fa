/* resp_parse.c - the state machine of a request.
 *
 *                     '*n'                      '$m'                    m bytes, CR LF
 *   between commands ------> header of argument -----> bytes of argument ------------> next header,
 *          |                                                                           or complete
 *          +-- any other first byte: one line, split at spaces: complete
 *
 * Where the protocol leaves a choice, this does what the real server does, down to the words of
 * its errors: it reads a header up to CR and skips the byte behind it unseen, and it does not look
 * at the two bytes that close an argument.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "resp_parse.h"
#include "store/mem.h"
#include "store/str.h"

#define RESP_ARGS_KEPT 64 /* room for so many arguments stays with an idle connection */

void resp_init(struct resp_parser *parser, size_t bulk_max)
{
    *parser = (struct resp_parser){.bulk_max = bulk_max, .bulk_len = -1};
}

void resp_done(struct resp_parser *parser)
{
    free(parser->argv);
    free(parser->offsets);
}

void resp_shift(struct resp_parser *parser, size_t count)
{
    parser->start -= count;
    parser->at -= count;
    parser->looked = parser->looked > count ? parser->looked - count : 0;
    for (int i = 0; i < parser->argc; i++)
        parser->offsets[i] -= count;
}

static enum resp_result resp_fail(struct resp_parser *parser, const char *what)
{
    snprintf(parser->error, sizeof parser->error, "Protocol error: %s", what);
    return RESP_ERROR;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static void resp_reserve(struct resp_parser *parser, int capacity)
{
    parser->capacity = capacity;
    parser->argv = mem_resize(parser->argv, (size_t)capacity * sizeof *parser->argv);
    parser->offsets = mem_resize(parser->offsets, (size_t)capacity * sizeof *parser->offsets);
}

static void resp_add(struct resp_parser *parser, size_t offset, size_t len)
{
    if (parser->argc == parser->capacity)
        resp_reserve(parser, parser->capacity > 0 ? 2 * parser->capacity : 4);
    parser->offsets[parser->argc] = offset;
    parser->argv[parser->argc++].len = len;
}

/* The command is whole, the buffer stays where it is: offsets become addresses. */
static enum resp_result resp_complete(struct resp_parser *parser, const char *buf)
{
    for (int i = 0; i < parser->argc; i++)
        parser->argv[i].bytes = buf + parser->offsets[i];
    return RESP_COMMAND;
}

static void resp_next_command(struct resp_parser *parser)
{
    parser->start = parser->at;
    parser->argc = 0;
    if (parser->capacity > RESP_ARGS_KEPT)
        resp_reserve(parser, RESP_ARGS_KEPT);
}

/* ---- headers: "*3", "$11" -------------------------------------------------------------------- */

/* The end of the line at `at`: 1 and *end, 0 when it has not arrived, -1 when it is too long. */
static int resp_line(struct resp_parser *parser, const char *buf, size_t len, char last,
                     size_t *end)
{
    size_t from = parser->looked > parser->at ? parser->looked : parser->at;
    const char *found = from < len ? memchr(buf + from, last, len - from) : NULL;

    if (found == NULL) {
        parser->looked = len;
        return len - parser->at > RESP_LINE_MAX ? -1 : 0;
    }
    *end = (size_t)(found - buf);
    return 1;
}

/* As resp_line, for a header: its CR and the byte behind it have arrived. */
static int resp_header(struct resp_parser *parser, const char *buf, size_t len, size_t *end)
{
    int found = resp_line(parser, buf, len, '\r', end);

    return found == 1 && *end + 2 > len ? 0 : found;
}

static enum resp_result resp_parse_count(struct resp_parser *parser, const char *buf, size_t len)
{
    size_t end = 0;
    int found = resp_header(parser, buf, len, &end);
    int64_t count;

    if (found <= 0)
        return found == 0 ? RESP_MORE : resp_fail(parser, "too big mbulk count string");
    if (!integer_parse(buf + parser->at + 1, end - parser->at - 1, &count) || count > RESP_ARGS_MAX)
        return resp_fail(parser, "invalid multibulk length");
    parser->at = end + 2;
    parser->args_left = count > 0 ? count : 0; /* nothing, "*0" or "*-1", asks for nothing */
    parser->bulk_len = -1;
    if (parser->args_left == 0)
        resp_next_command(parser);
    return RESP_COMMAND;
}

static enum resp_result resp_parse_length(struct resp_parser *parser, const char *buf, size_t len)
{
    size_t end = 0;
    int found = resp_header(parser, buf, len, &end);
    char unexpected[] = "expected '$', got '?'";

    if (found <= 0)
        return found == 0 ? RESP_MORE : resp_fail(parser, "too big bulk count string");
    if (buf[parser->at] != '$') {
        unexpected[sizeof unexpected - 3] = buf[parser->at] == '\r' ? ' ' : buf[parser->at];
        return resp_fail(parser, unexpected);
    }
    if (!integer_parse(buf + parser->at + 1, end - parser->at - 1, &parser->bulk_len) ||
        parser->bulk_len < 0 || (uint64_t)parser->bulk_len > parser->bulk_max)
        return resp_fail(parser, "invalid bulk length");
    parser->at = end + 2;
    return RESP_COMMAND;
}

static enum resp_result resp_parse_args(struct resp_parser *parser, const char *buf, size_t len)
{
    while (parser->args_left > 0) {
        if (parser->bulk_len < 0) {
            enum resp_result result = resp_parse_length(parser, buf, len);

            if (result != RESP_COMMAND)
                return result;
        }
        if (len - parser->at < (size_t)parser->bulk_len + 2)
            return RESP_MORE;
        resp_add(parser, parser->at, (size_t)parser->bulk_len);
        parser->at += (size_t)parser->bulk_len + 2;
        parser->bulk_len = -1;
        parser->args_left--;
    }
    return resp_complete(parser, buf);
}

/* ---- inline commands: SET greeting "hello\tworld" -------------------------------------------- */

static bool inline_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* As in the real server, form feeds separate words but do not end one. */
static bool inline_ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int inline_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What stands for one byte between double quotes: at most four characters are read from *at. */
static char inline_unescape(const char *buf, size_t *at, size_t end)
{
    static const char letters[] = "nrtba";
    static const char meanings[] = "\n\r\t\b\a";
    const char *letter;
    char c = buf[(*at)++];

    if (c != '\\' || *at == end)
        return c;
    if (end - *at >= 3 && buf[*at] == 'x' && inline_hex(buf[*at + 1]) >= 0 &&
        inline_hex(buf[*at + 2]) >= 0) {
        *at += 3;
        return (char)(inline_hex(buf[*at - 2]) * 16 + inline_hex(buf[*at - 1]));
    }
    c = buf[(*at)++];
    letter = c != '\0' ? strchr(letters, c) : NULL;
    return letter != NULL ? meanings[letter - letters] : c;
}

/* Undoes one quoted part, *at behind its opening quote, writing to *out. False: it does not end,
 * or more text sticks to its end. */
static bool inline_quoted(char *buf, size_t *at, size_t end, char quote, size_t *out)
{
    while (*at < end && buf[*at] != quote) {
        if (quote == '"')
            buf[(*out)++] = inline_unescape(buf, at, end);
        else {
            if (buf[*at] == '\\' && *at + 1 < end && buf[*at + 1] == '\'')
                (*at)++;
            buf[(*out)++] = buf[(*at)++];
        }
    }
    if (*at == end)
        return false;
    (*at)++;
    return *at == end || inline_is_space(buf[*at]);
}

/* Splits buf[at .. end) in place: what is undone never gets longer than it was. */
static bool inline_split(struct resp_parser *parser, char *buf, size_t at, size_t end)
{
    for (;;) {
        size_t start;
        size_t out;

        while (at < end && inline_is_space(buf[at]))
            at++;
        if (at == end)
            return true;
        start = out = at;
        while (at < end && !inline_ends_word(buf[at]) && buf[at] != '"' && buf[at] != '\'')
            buf[out++] = buf[at++];
        if (at < end && !inline_ends_word(buf[at])) {
            at++;
            if (!inline_quoted(buf, &at, end, buf[at - 1], &out))
                return false;
        }
        resp_add(parser, start, out - start);
    }
}

static enum resp_result resp_parse_inline(struct resp_parser *parser, char *buf, size_t len)
{
    size_t end = 0;
    int found = resp_line(parser, buf, len, '\n', &end);
    size_t from = parser->at;

    if (found <= 0)
        return found == 0 ? RESP_MORE : resp_fail(parser, "too big inline request");
    parser->at = end + 1;
    if (end > from && buf[end - 1] == '\r')
        end--;
    if (!inline_split(parser, buf, from, end))
        return resp_fail(parser, "unbalanced quotes in request");
    return resp_complete(parser, buf);
}

/* ---- the machine ----------------------------------------------------------------------------- */

enum resp_result resp_parse(struct resp_parser *parser, char *buf, size_t len)
{
    enum resp_result result;

    if (parser->args_left == 0)
        resp_next_command(parser);
    for (;;) {
        if (parser->args_left > 0)
            result = resp_parse_args(parser, buf, len);
        else if (parser->at == len)
            return RESP_MORE;
        else if (buf[parser->at] == '*') {
            result = resp_parse_count(parser, buf, len);
            if (result == RESP_COMMAND)
                continue; /* the arguments, or the next command */
        } else
            result = resp_parse_inline(parser, buf, len);
        if (result != RESP_COMMAND || parser->argc > 0)
            return result;
        parser->start = parser->at; /* an empty line */
    }
}
