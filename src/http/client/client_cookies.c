/* client_cookies.c - a jar: which cookies are taken, how long they stay, and who gets them.
 *
 * A list, the oldest first: a jar holds dozens, and 1,000 at most. What is sent first are those
 * with the longest paths (RFC 6265, 5.4).
 *
 * Sources: RFC 6265 (5.1 to 5.4); rfc6265bis (5.7: Secure, prefixes). Dates: client_date.c.
 */
#include <time.h>

#include "http/client/client_impl.h"

#define COOKIE_MAX ((size_t)4096)
#define COOKIES_OF_DOMAIN 50
#define COOKIES_MAX 1000
/* Some 400 days: RFC 6265bis, 5.5. */
#define COOKIE_AGE_MAX ((int64_t)400 * 24 * 3600)

struct cookie {
    struct cookie *next;
    char *name, *value, *domain, *path; /* behind it in memory */
    int64_t expires;                    /* seconds of the system's clock */
    bool host_only, secure;
};

struct skua_http_cookies {
    pthread_mutex_t mutex;
    struct cookie *first; /* guard: mutex, as the next one */
    size_t count;
};

/* A part of a text. */
struct cookie_part {
    const char *at;
    size_t len;
};

/* What a Set-Cookie header says. */
struct cookie_said {
    struct cookie_part name, value, domain, path;
    int64_t expires; /* INT64_MAX: at the end of the session */
    bool has_age, secure;
};

/* ---- parsing: RFC 6265, 5.2 ------------------------------------------------------------------ */

static struct cookie_part cookie_trimmed(const char *at, size_t len)
{
    while (len != 0 && (*at == ' ' || *at == '\t')) {
        at++;
        len--;
    }
    while (len != 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    return (struct cookie_part){at, len};
}

static bool cookie_is(struct cookie_part part, const char *text)
{
    return part.len == strlen(text) && skua__http_same(part.at, text, part.len);
}

static bool cookie_begins(struct cookie_part part, const char *text)
{
    return part.len >= strlen(text) && memcmp(part.at, text, strlen(text)) == 0;
}

/* Seconds of Max-Age as a moment; a wrong one says nothing. */
static void cookie_age(struct cookie_said *said, struct cookie_part value, int64_t now)
{
    bool past = value.len > 1 && *value.at == '-';
    int64_t age = skua__http_number(value.at + past, value.len - past);
    size_t digits = strspn(value.at + past, "0123456789");

    if (value.len == 0 || digits < value.len - past)
        return;
    if (age < 0 || age > COOKIE_AGE_MAX)
        age = COOKIE_AGE_MAX; /* more than 64 bits, too */
    said->expires = past || age == 0 ? 0 : now + age;
    said->has_age = true;
}

static void cookie_attribute(struct cookie_said *said, struct cookie_part name,
                             struct cookie_part value, int64_t now)
{
    int64_t when;

    if (cookie_is(name, "secure")) {
        said->secure = true;
    } else if (cookie_is(name, "max-age")) {
        cookie_age(said, value, now);
    } else if (cookie_is(name, "domain")) {
        if (value.len != 0 && *value.at == '.')
            value = (struct cookie_part){value.at + 1, value.len - 1};
        said->domain = value;
    } else if (cookie_is(name, "path")) {
        said->path = value.len != 0 && *value.at == '/' ? value : (struct cookie_part){"", 0};
    } else if (cookie_is(name, "expires") && !said->has_age) {
        when = skua__client_date(value.at, value.len);
        if (when >= 0)
            said->expires = when < now + COOKIE_AGE_MAX ? when : now + COOKIE_AGE_MAX;
    }
}

static bool cookie_parse(struct cookie_said *said, const char *text, int64_t now)
{
    size_t len = strcspn(text, ";");
    const char *equal = memchr(text, '=', len);

    *said = (struct cookie_said){.expires = INT64_MAX, .domain = {"", 0}, .path = {"", 0}};
    if (equal == NULL)
        return false;
    said->name = cookie_trimmed(text, (size_t)(equal - text));
    said->value = cookie_trimmed(equal + 1, len - (size_t)(equal + 1 - text));
    if (said->name.len == 0 || said->name.len + said->value.len > COOKIE_MAX ||
        !skua__http_is_value(text, strlen(text)))
        return false;
    for (text += len; *text == ';'; text += len) {
        struct cookie_part value = {"", 0};
        size_t name;

        text++;
        len = strcspn(text, ";");
        name = strcspn(text, "=;");
        if (name < len)
            value = cookie_trimmed(text + name + 1, len - name - 1);
        cookie_attribute(said, cookie_trimmed(text, name), value, now);
    }
    return true;
}

/* ---- whose it is: RFC 6265, 5.1.3, 5.1.4 ----------------------------------------------------- */

/* The host of "host:port". */
static struct cookie_part cookie_host(const struct skua__client_url *url)
{
    return (struct cookie_part){url->address, (size_t)(strrchr(url->address, ':') - url->address)};
}

static bool cookie_domain_matches(struct cookie_part host, const char *domain, size_t len)
{
    if (host.len == len)
        return skua__http_same(host.at, domain, len);
    if (host.len <= len || !skua__http_same(host.at + host.len - len, domain, len) ||
        host.at[host.len - len - 1] != '.')
        return false;
    /* An address has no subdomains. */
    return *host.at != '[' && strspn(host.at, "0123456789.") < host.len;
}

static bool cookie_path_matches(const char *target, const char *path)
{
    size_t len = strlen(path);

    return strncmp(target, path, len) == 0 &&
           (path[len - 1] == '/' || strchr("/?", target[len]) != NULL); /* or the end */
}

/* The target's folder. */
static struct cookie_part cookie_default_path(const char *target)
{
    size_t len = strcspn(target, "?");

    while (len > 1 && target[len - 1] != '/')
        len--;
    if (len > 1)
        len--;
    return (struct cookie_part){target, len};
}

/* Whether this server may set it so. */
static bool cookie_allowed(const struct cookie_said *said, const struct skua__client_url *url)
{
    struct cookie_part host = cookie_host(url);
    bool secure = strcmp(url->scheme, "https") == 0;

    if (said->secure && !secure)
        return false;
    if (cookie_begins(said->name, "__Secure-") && !said->secure)
        return false;
    if (cookie_begins(said->name, "__Host-") &&
        (!said->secure || said->domain.len != 0 || said->path.len != 1))
        return false;
    if (said->domain.len == 0)
        return true;
    if (!cookie_domain_matches(host, said->domain.at, said->domain.len))
        return false;
    return host.len == said->domain.len || memchr(said->domain.at, '.', said->domain.len) != NULL;
}

/* ---- the jar: guard: mutex ------------------------------------------------------------------- */

static void cookie_take_out(skua_http_cookies *jar, struct cookie **at)
{
    struct cookie *gone = *at;

    *at = gone->next;
    jar->count--;
    skua__http_free(gone);
}

static void cookie_expire(skua_http_cookies *jar, int64_t now)
{
    struct cookie **at = &jar->first;

    while (*at != NULL)
        if ((*at)->expires <= now)
            cookie_take_out(jar, at);
        else
            at = &(*at)->next;
}

/* Room for one more of a domain. */
static void cookie_make_room(skua_http_cookies *jar, const char *domain)
{
    struct cookie **oldest = NULL;
    size_t count = 0;

    for (struct cookie **at = &jar->first; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->domain, domain) == 0) {
            oldest = oldest != NULL ? oldest : at;
            count++;
        }
    if (count >= COOKIES_OF_DOMAIN)
        cookie_take_out(jar, oldest);
    else if (jar->count >= COOKIES_MAX)
        cookie_take_out(jar, &jar->first);
}

static char *cookie_write(char **room, struct cookie_part part, bool lower)
{
    char *text = *room;

    for (size_t i = 0; i < part.len; i++)
        text[i] = lower && part.at[i] >= 'A' && part.at[i] <= 'Z' ? (char)(part.at[i] | 0x20)
                                                                  : part.at[i];
    text[part.len] = '\0';
    *room += part.len + 1;
    return text;
}

static struct cookie *cookie_new(const struct cookie_said *said, const struct skua__client_url *url)
{
    struct cookie_part domain = said->domain.len != 0 ? said->domain : cookie_host(url);
    struct cookie_part path = said->path.len != 0 ? said->path : cookie_default_path(url->target);
    struct cookie *cookie = skua__http_malloc(sizeof *cookie + said->name.len + said->value.len +
                                              domain.len + path.len + 4);
    char *room = (char *)(cookie + 1);

    if (cookie == NULL)
        return NULL;
    cookie->name = cookie_write(&room, said->name, false);
    cookie->value = cookie_write(&room, said->value, false);
    cookie->domain = cookie_write(&room, domain, true);
    cookie->path = cookie_write(&room, path, false);
    cookie->expires = said->expires;
    cookie->host_only = said->domain.len == 0;
    cookie->secure = said->secure;
    return cookie;
}

/* In the place of the one it replaces, which was there first; else at the end. */
static void cookie_put(skua_http_cookies *jar, struct cookie *cookie)
{
    struct cookie **at;

    for (at = &jar->first; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->name, cookie->name) == 0 && strcmp((*at)->domain, cookie->domain) == 0 &&
            strcmp((*at)->path, cookie->path) == 0 && (*at)->host_only == cookie->host_only)
            break;
    if (*at != NULL) {
        cookie_take_out(jar, at);
    } else {
        cookie_make_room(jar, cookie->domain);
        for (at = &jar->first; *at != NULL; at = &(*at)->next)
            ;
    }
    cookie->next = *at;
    *at = cookie;
    jar->count++;
}

static bool cookie_goes(const struct cookie *cookie, const struct skua__client_url *url)
{
    struct cookie_part host = cookie_host(url);

    if (cookie->secure && strcmp(url->scheme, "https") != 0)
        return false;
    if (cookie->host_only && host.len != strlen(cookie->domain))
        return false;
    return cookie_domain_matches(host, cookie->domain, strlen(cookie->domain)) &&
           cookie_path_matches(url->target, cookie->path);
}

/* Appends "; name=value" as far as there is room. */
static size_t cookie_append(char *buf, size_t size, size_t len, const struct cookie *cookie)
{
    const char *parts[] = {len != 0 ? "; " : "", cookie->name, "=", cookie->value};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (const char *at = parts[i]; *at != '\0'; at++, len++)
            if (len + 1 < size)
                buf[len] = *at;
    return len;
}

/* ---- for the client and users ---------------------------------------------------------------- */

int skua__client_cookie_put(skua_http_cookies *jar, const struct skua__client_url *url,
                            const char *text)
{
    int64_t now = (int64_t)time(NULL);
    struct cookie_said said;
    struct cookie *cookie;

    if (!cookie_parse(&said, text, now) || !cookie_allowed(&said, url))
        return 0;
    cookie = cookie_new(&said, url);
    if (cookie == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&jar->mutex);
    cookie_put(jar, cookie);
    cookie_expire(jar, now); /* it may have come to take one out */
    pthread_mutex_unlock(&jar->mutex);
    return 1;
}

size_t skua__client_cookie_get(skua_http_cookies *jar, const struct skua__client_url *url,
                               char *buf, size_t size)
{
    size_t longest = 0, below = SIZE_MAX, len = 0;

    pthread_mutex_lock(&jar->mutex);
    cookie_expire(jar, (int64_t)time(NULL));
    do { /* a round for each length of a path, the longest first */
        longest = 0;
        for (const struct cookie *at = jar->first; at != NULL; at = at->next)
            if (strlen(at->path) < below && strlen(at->path) > longest && cookie_goes(at, url))
                longest = strlen(at->path);
        below = longest;
        for (const struct cookie *at = jar->first; at != NULL && longest != 0; at = at->next)
            if (strlen(at->path) == longest && cookie_goes(at, url))
                len = cookie_append(buf, size, len, at);
    } while (longest != 0);
    pthread_mutex_unlock(&jar->mutex);
    if (size != 0)
        buf[len < size ? len : size - 1] = '\0';
    return len;
}

int skua_http_cookies_put(skua_http_cookies *jar, const char *url, const char *text)
{
    struct skua__http_arena arena = {.left = 0};
    struct skua__client_url parsed;
    int rc = skua__client_url_parse(&parsed, &arena, url);

    if (rc == 0)
        rc = skua__client_cookie_put(jar, &parsed, text);
    skua__http_arena_free(&arena);
    return rc;
}

ssize_t skua_http_cookies_get(skua_http_cookies *jar, const char *url, char *buf, size_t size)
{
    struct skua__http_arena arena = {.left = 0};
    struct skua__client_url parsed;
    ssize_t rc = skua__client_url_parse(&parsed, &arena, url);

    if (rc == 0)
        rc = (ssize_t)skua__client_cookie_get(jar, &parsed, buf, size);
    skua__http_arena_free(&arena);
    return rc;
}

int skua_http_cookies_new(skua_http_cookies **ret)
{
    skua_http_cookies *jar = skua__http_malloc(sizeof *jar);

    if (jar == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&jar->mutex, NULL);
    *ret = jar;
    return 0;
}

size_t skua_http_cookies_count(skua_http_cookies *jar)
{
    size_t count;

    pthread_mutex_lock(&jar->mutex);
    cookie_expire(jar, (int64_t)time(NULL));
    count = jar->count;
    pthread_mutex_unlock(&jar->mutex);
    return count;
}

void skua_http_cookies_clear(skua_http_cookies *jar)
{
    pthread_mutex_lock(&jar->mutex);
    while (jar->first != NULL)
        cookie_take_out(jar, &jar->first);
    pthread_mutex_unlock(&jar->mutex);
}

void skua_http_cookies_free(skua_http_cookies *jar)
{
    if (jar == NULL)
        return;
    skua_http_cookies_clear(jar);
    (void)pthread_mutex_destroy(&jar->mutex);
    skua__http_free(jar);
}

#undef COOKIE_MAX
#undef COOKIES_OF_DOMAIN
#undef COOKIES_MAX
#undef COOKIE_AGE_MAX
