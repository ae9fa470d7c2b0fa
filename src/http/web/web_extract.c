/* web_extract.c - typed values out of a request, forms, cookies.
 *
 * All places give a text, or none; the types are made of the text. A text that is malformed where
 * it stands (a '%' without two digits) is found only when its name is asked for.
 *
 * Sources: the URL standard (5.1), RFC 6265 (4.1.1, 5.4), RFC 6265bis (4.1.3: prefixes).
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <skua/http/extract.h>
#include <skua/time.h>

#include "http/web/web_impl.h"

static const char extract_form_key; /* of the note */

/* ---- texts ----------------------------------------------------------------------------------- */

/* A value of a form: 1, 0, -EBADMSG, -ENOMEM. */
static int extract_form(skua_http_exchange *exchange, const char *at, const char *name,
                        const char **ret)
{
    size_t wanted = strlen(name);

    while (*at != '\0') {
        size_t len = strcspn(at, "&");
        size_t key = strcspn(at, "&=");
        char *text = skua__http_arena_alloc(&exchange->arena, len + 1);
        ssize_t n;

        if (text == NULL)
            return -ENOMEM;
        n = skua__http_decode(text, at, key, true);
        if (len != 0 && n == (ssize_t)wanted && memcmp(text, name, wanted) == 0) {
            n = key < len ? skua__http_decode(text, at + key + 1, len - key - 1, true) : 0;
            if (n < 0)
                return -EBADMSG;
            text[n] = '\0';
            *ret = text;
            return 1;
        }
        at += len;
        at += *at == '&';
    }
    return 0;
}

/* A cookie in one header: "a=1; b=2". Its value is not decoded; quotes around it are no part. */
static int extract_cookie_in(skua_http_exchange *exchange, const char *at, const char *name,
                             const char **ret)
{
    size_t wanted = strlen(name);

    while (*(at += strspn(at, "; \t")) != '\0') {
        size_t len = strcspn(at, ";");
        size_t key = strcspn(at, ";=");
        const char *value = at + key + 1;

        if (key == wanted && key < len && memcmp(at, name, wanted) == 0) {
            size_t size = len - key - 1;

            while (size != 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
                size--;
            if (size >= 2 && value[0] == '"' && value[size - 1] == '"') {
                value++;
                size -= 2;
            }
            *ret = skua__http_arena_copy(&exchange->arena, value, size);
            return *ret != NULL ? 1 : -ENOMEM;
        }
        at += len;
    }
    return 0;
}

static int extract_cookie(skua_http_exchange *exchange, const char *name, const char **ret)
{
    const struct skua__http_fields *fields = &exchange->request;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < fields->count; i++)
        if (fields->at[i].name_len == 6 && skua__http_same(fields->at[i].name, "cookie", 6))
            rc = extract_cookie_in(exchange, fields->at[i].value, name, ret);
    return rc;
}

/* "limit" in the query … */
static int extract_bad(skua_http_exchange *exchange, unsigned from, const char *name,
                       const char *what)
{
    static const char *const places[] = {
        "", "the path", "the query", "the headers", "the cookies", "the form"};
    struct skua__web_text text = {.arena = &exchange->arena};

    skua__web_put(&text, "\"", 1);
    skua__web_put(&text, name, strlen(name));
    skua__web_printf(&text, "\" in %s %s", places[from & 0xff], what);
    return text.failed ? -ENOMEM : skua_http_fail(exchange, -EINVAL, 400, text.text);
}

int skua_http_get_string(skua_http_exchange *exchange, unsigned from, const char *name,
                         const char **ret, size_t max)
{
    const char *text = NULL;
    const char *form;
    int rc;

    switch (from & ~(unsigned)SKUA_HTTP_REQUIRED) {
    case SKUA_HTTP_PATH:
        text = skua_http_param(exchange, name);
        rc = text != NULL;
        break;
    case SKUA_HTTP_QUERY:
        rc = extract_form(exchange, exchange->query, name, &text);
        break;
    case SKUA_HTTP_HEADER:
        text = skua_http_header(exchange, name);
        rc = text != NULL;
        break;
    case SKUA_HTTP_COOKIE:
        rc = extract_cookie(exchange, name, &text);
        break;
    case SKUA_HTTP_FORM:
        form = skua_http_noted(exchange, &extract_form_key);
        rc = form != NULL ? extract_form(exchange, form, name, &text) : SKUA_EUSAGE;
        break;
    default:
        rc = SKUA_EUSAGE;
    }
    if (rc == -EBADMSG)
        return extract_bad(exchange, from, name, "is malformed");
    if (rc == 0 && (from & SKUA_HTTP_REQUIRED) != 0)
        return extract_bad(exchange, from, name, "is missing");
    if (rc == 1 && strlen(text) > max)
        return extract_bad(exchange, from, name, "is too long");
    if (rc == 1)
        *ret = text;
    return rc;
}

/* ---- types ----------------------------------------------------------------------------------- */

/* Of digits alone; false: there are others, or they are too many. */
static bool extract_digits(const char *text, uint64_t *ret)
{
    uint64_t number = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)(*text - '0');

        if (*text < '0' || *text > '9' || number > (UINT64_MAX - digit) / 10)
            return false;
        number = 10 * number + digit;
    }
    *ret = number;
    return true;
}

int skua_http_get_int64(skua_http_exchange *exchange, unsigned from, const char *name, int64_t *ret,
                        int64_t min, int64_t max)
{
    const char *text;
    uint64_t digits = 0;
    int64_t number;
    bool minus;
    int rc = skua_http_get_string(exchange, from, name, &text, SIZE_MAX);

    if (rc != 1)
        return rc;
    minus = *text == '-';
    if (!extract_digits(text + minus, &digits) || digits > (uint64_t)INT64_MAX + minus)
        return extract_bad(exchange, from, name, "is no whole number, or too large");
    number = minus ? (int64_t)(0 - digits) : (int64_t)digits;
    if (number < min || number > max)
        return extract_bad(exchange, from, name, "is out of range");
    *ret = number;
    return 1;
}

int skua_http_get_uint64(skua_http_exchange *exchange, unsigned from, const char *name,
                         uint64_t *ret, uint64_t max)
{
    const char *text;
    uint64_t number;
    int rc = skua_http_get_string(exchange, from, name, &text, SIZE_MAX);

    if (rc != 1)
        return rc;
    if (!extract_digits(text, &number))
        return extract_bad(exchange, from, name, "is no whole number, or too large");
    if (number > max)
        return extract_bad(exchange, from, name, "is out of range");
    *ret = number;
    return 1;
}

/* A number as JSON has it, or with zeros in front; in the locale of C, whatever is set. */
static bool extract_number(const char *text, double *ret)
{
    const char *at = text + (*text == '-');
    size_t digits = strspn(at, "0123456789");
    locale_t c, before;

    at += digits;
    if (*at == '.') {
        digits += strspn(at + 1, "0123456789");
        at += 1 + strspn(at + 1, "0123456789");
    }
    if (digits != 0 && (*at == 'e' || *at == 'E')) {
        at += 1 + (at[1] == '-' || at[1] == '+');
        digits = strspn(at, "0123456789");
        at += digits;
    }
    if (digits == 0 || *at != '\0')
        return false;
    c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        return false;
    before = uselocale(c); /* no wait in between: it is the thread's */
    *ret = strtod(text, NULL);
    (void)uselocale(before);
    freelocale(c);
    return isfinite(*ret) != 0;
}

int skua_http_get_double(skua_http_exchange *exchange, unsigned from, const char *name, double *ret,
                         double min, double max)
{
    const char *text;
    double number;
    int rc = skua_http_get_string(exchange, from, name, &text, SIZE_MAX);

    if (rc != 1)
        return rc;
    if (!extract_number(text, &number))
        return extract_bad(exchange, from, name, "is no number, or too large");
    if (!(number >= min && number <= max))
        return extract_bad(exchange, from, name, "is out of range");
    *ret = number;
    return 1;
}

int skua_http_get_bool(skua_http_exchange *exchange, unsigned from, const char *name, int *ret)
{
    const char *text;
    int rc = skua_http_get_string(exchange, from, name, &text, SIZE_MAX);
    int yes, no;

    if (rc != 1)
        return rc;
    yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    no = strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    if (!yes && !no)
        return extract_bad(exchange, from, name, "is neither true nor false");
    *ret = yes;
    return 1;
}

int skua_http_read_form(skua_http_exchange *exchange, size_t limit)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const char *said = skua_http_header(exchange, "Content-Type");
    size_t len = said != NULL ? strcspn(said, "; \t") : 0;
    char *body;
    size_t size;
    int rc;

    if (len != sizeof type - 1 || !skua__http_same(said, type, len))
        return skua_http_fail(exchange, -EINVAL, 415, "the body is no form");
    rc = skua_http_read_all(exchange, &body, &size, limit);
    if (rc == 0 && strlen(body) != size)
        return skua_http_fail(exchange, -EINVAL, 400, "the form is malformed");
    return rc == 0 ? skua_http_note(exchange, &extract_form_key, body) : rc;
}

/* ---- Set-Cookie ------------------------------------------------------------------------------ */

/* RFC 6265, 4.1.1: cookie-octets. */
static bool extract_cookie_value(const char *value)
{
    for (; *value != '\0'; value++)
        if ((unsigned char)*value <= ' ' || (unsigned char)*value >= 0x7f ||
            strchr("\",;\\", *value) != NULL)
            return false;
    return true;
}

/* A path or a domain. */
static bool extract_cookie_attribute(const char *value)
{
    return skua__http_is_value(value, strlen(value)) && strpbrk(value, ";\t") == NULL &&
           *value != '\0';
}

static bool extract_cookie_is_good(const char *name, const char *value,
                                   const skua_http_cookie_options *options)
{
    if (!skua__http_is_token(name, strlen(name)) || !extract_cookie_value(value))
        return false;
    if ((options->path != NULL &&
         (*options->path != '/' || !extract_cookie_attribute(options->path))) ||
        (options->domain != NULL && !extract_cookie_attribute(options->domain)))
        return false;
    if ((unsigned)options->same_site > SKUA_HTTP_SAME_SITE_NONE ||
        (options->same_site == SKUA_HTTP_SAME_SITE_NONE && options->insecure != 0))
        return false;
    if (strncmp(name, "__Secure-", 9) == 0 && options->insecure != 0)
        return false;
    return strncmp(name, "__Host-", 7) != 0 ||
           (options->insecure == 0 && options->domain == NULL &&
            (options->path == NULL || strcmp(options->path, "/") == 0));
}

int skua_http_set_cookie(skua_http_exchange *exchange, const char *name, const char *value,
                         const skua_http_cookie_options *options)
{
    static const char *const same_site[] = {"Lax", "Strict", "None"};
    const skua_http_cookie_options defaults = {.size = sizeof defaults};
    struct skua__web_text text = {.arena = &exchange->arena};

    if (options == NULL)
        options = &defaults;
    if (options->size != sizeof *options || !extract_cookie_is_good(name, value, options))
        return -EINVAL;
    skua__web_put(&text, name, strlen(name));
    skua__web_put(&text, "=", 1);
    skua__web_put(&text, value, strlen(value));
    skua__web_put(&text, "; Path=", 7);
    skua__web_put(&text, options->path != NULL ? options->path : "/",
                  options->path != NULL ? strlen(options->path) : 1);
    if (options->domain != NULL) {
        skua__web_put(&text, "; Domain=", 9);
        skua__web_put(&text, options->domain, strlen(options->domain));
    }
    if (options->max_age != 0)
        skua__web_printf(&text, "; Max-Age=%lld",
                         (long long)(options->max_age > 0 ? options->max_age / SKUA_SECOND : 0));
    skua__web_printf(&text, "%s%s; SameSite=%s", options->insecure == 0 ? "; Secure" : "",
                     options->scripts == 0 ? "; HttpOnly" : "", same_site[options->same_site]);
    return text.failed ? -ENOMEM : skua_http_add_header(exchange, "Set-Cookie", text.text);
}
