/* test_grpc_services.c - health checks and reflection, asked without a connection.
 *
 * The descriptors of the test are written by hand:
 *
 *     a.proto   package p; import "b.proto"; message M { message In { f } enum E { E_ONE } extend
 *               .p.X { 7 } } enum Top { TOP_ONE } service S { Call } extend .p.X { 9 }
 *     b.proto   package p; message X { }
 */
#include <skua/http/grpc_services.h>

#include "grpc_fake.h"

/* ---- health ---------------------------------------------------------------------------------- */

struct watcher {
    skua_grpc_server *server;
    struct fake fake;
    char body[32];
};

static void asks_health(struct fake *fake, char *body, const char *method, const char *service)
{
    char request[24];
    struct skua__proto_out out = {.at = (unsigned char *)request, .room = sizeof request};

    skua__proto_put_bytes(&out, 1, service, strlen(service));
    *fake = (struct fake){.path = method, .body = body};
    fake->body_len = (size_t)(fake_frame(body, 0, request, out.len) - body);
}

TEST_FIBER_CURRENT(health_is_checked)
{
    static char body[32];
    skua_grpc_server *server;
    skua_grpc_health *health;
    static struct fake fake;

    MUST(skua_grpc_server_new(&server, NULL) == 0);
    MUST(skua_grpc_health_new(&health) == 0);
    CHECK_EQ(skua_grpc_add_health(server, health), 0);
    CHECK_EQ(skua_grpc_health_set(health, "a", SKUA_GRPC_NOT_SERVING), 0);
    CHECK_EQ(skua_grpc_health_set(health, "a", (skua_grpc_serving)3), -EINVAL);
    asks_health(&fake, body, "/grpc.health.v1.Health/Check", "");
    fake.body_len = 5; /* no field at all */
    body[4] = 0;
    fake_call(&fake, server);
    CHECK(fake_status(&fake) == 0 && fake.out_len == 7 && memcmp(fake.out + 5, "\x08\x01", 2) == 0);
    fake_end_call(&fake);
    asks_health(&fake, body, "/grpc.health.v1.Health/Check", "a");
    fake_call(&fake, server);
    CHECK(fake_status(&fake) == 0 && memcmp(fake.out + 5, "\x08\x02", 2) == 0);
    fake_end_call(&fake);
    asks_health(&fake, body, "/grpc.health.v1.Health/Check", "b");
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_NOT_FOUND);
    fake_end_call(&fake);
    body[5] = 0x0b;
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_INTERNAL);
    fake_end_call(&fake);
    skua_grpc_health_stop(health);
    CHECK_EQ(skua_grpc_health_set(health, "a", SKUA_GRPC_SERVING), SKUA_ESTOPPED);
    asks_health(&fake, body, "/grpc.health.v1.Health/Check", "");
    fake_call(&fake, server);
    CHECK(fake_status(&fake) == 0 && memcmp(fake.out + 5, "\x08\x02", 2) == 0);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    skua_grpc_health_free(health);
    skua_grpc_health_free(NULL);
    return 0;
}

static int watches(void *arg)
{
    struct watcher *self = arg;

    fake_call(&self->fake, self->server);
    return 0;
}

static void until_it_heard(struct watcher *self, size_t messages)
{
    while (self->fake.out_len < messages * 7)
        MUST(skua_sleep(SKUA_MILLISECOND) == 0);
}

TEST_FIBER_ORDERS(health_is_watched)
{
    static struct watcher self;
    skua_grpc_health *health;
    skua_scope scope;

    MUST(skua_grpc_server_new(&self.server, NULL) == 0);
    MUST(skua_grpc_health_new(&health) == 0);
    MUST(skua_grpc_add_health(self.server, health) == 0);
    asks_health(&self.fake, self.body, "/grpc.health.v1.Health/Watch", "a");
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, watches, &self) == 0);
    until_it_heard(&self, 1);
    CHECK_EQ(skua_grpc_health_set(health, "a", SKUA_GRPC_SERVING), 0);
    until_it_heard(&self, 2);
    CHECK_EQ(skua_grpc_health_set(health, "a", SKUA_GRPC_SERVING), 0); /* no news */
    CHECK_EQ(skua_grpc_health_set(health, "b", SKUA_GRPC_SERVING), 0);
    CHECK_EQ(skua_yield(), 0);
    skua_grpc_health_stop(health);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(self.fake.out_len, 21);
    CHECK(memcmp(self.fake.out + 5, "\x08\x03", 2) == 0);
    CHECK(memcmp(self.fake.out + 12, "\x08\x01", 2) == 0);
    CHECK(memcmp(self.fake.out + 19, "\x08\x02", 2) == 0);
    CHECK_EQ(fake_status(&self.fake), SKUA_GRPC_UNAVAILABLE);
    fake_end_call(&self.fake);
    /* And cancelled. */
    asks_health(&self.fake, self.body, "/grpc.health.v1.Health/Watch", "");
    skua_grpc_health_free(health);
    MUST(skua_grpc_health_new(&health) == 0);
    skua_grpc_server_free(self.server);
    MUST(skua_grpc_server_new(&self.server, NULL) == 0);
    MUST(skua_grpc_add_health(self.server, health) == 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, watches, &self) == 0);
    until_it_heard(&self, 1);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    (void)skua_scope_join(&scope);
    CHECK_EQ(self.fake.rc, -ECANCELED);
    fake_end_call(&self.fake);
    /* And stopped, when there is no other news. */
    asks_health(&self.fake, self.body, "/grpc.health.v1.Health/Watch", "nobody");
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, watches, &self) == 0);
    until_it_heard(&self, 1);
    skua_grpc_health_stop(health);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(self.fake.out_len, 7);
    CHECK_EQ(fake_status(&self.fake), SKUA_GRPC_UNAVAILABLE);
    fake_end_call(&self.fake);
    skua_grpc_server_free(self.server);
    skua_grpc_health_free(health);
    return 0;
}

/* ---- reflection ------------------------------------------------------------------------------ */

/* A message of named fields: each `id` with `bytes`. */
struct text {
    char at[512];
    size_t len;
};

static void adds(struct text *self, uint32_t id, const void *bytes, size_t len)
{
    struct skua__proto_out out = {.at = (unsigned char *)self->at + self->len,
                                  .room = sizeof self->at - self->len};

    skua__proto_put_bytes(&out, id, bytes, len);
    MUST(out.len <= out.room);
    self->len += out.len;
}

static void says(struct text *self, uint32_t id, const char *text)
{
    adds(self, id, text, strlen(text));
}

static void holds(struct text *self, uint32_t id, const struct text *inner)
{
    adds(self, id, inner->at, inner->len);
}

static struct text named(const char *name)
{
    struct text self = {.len = 0};

    says(&self, 1, name);
    return self;
}

static struct text extends(const char *name, uint64_t number)
{
    struct text self = named(name);
    struct skua__proto_out out = {.at = (unsigned char *)self.at + self.len, .room = 16};

    says(&self, 2, ".p.X");
    out.at = (unsigned char *)self.at + self.len;
    skua__proto_put_number(&out, 3, number);
    self.len += out.len;
    return self;
}

static struct text descriptors(void)
{
    struct text f = named("f"), e_one = named("E_ONE"), top_one = named("TOP_ONE");
    struct text call = named("Call"), seven = extends("seven", 7), nine = extends("nine", 9);
    struct text in = named("In"), e = named("E"), m = named("M"), top = named("Top");
    struct text s = named("S"), x = named("X"), a = named("a.proto"), b = named("b.proto");
    struct text set = {.len = 0};

    holds(&in, 2, &f);
    holds(&e, 2, &e_one);
    holds(&m, 3, &in);
    holds(&m, 4, &e);
    holds(&m, 6, &seven);
    holds(&top, 2, &top_one);
    holds(&s, 2, &call);
    says(&a, 2, "p");
    says(&a, 3, "b.proto");
    says(&a, 3, "missing.proto");
    holds(&a, 4, &m);
    holds(&a, 5, &top);
    holds(&a, 6, &s);
    holds(&a, 7, &nine);
    says(&b, 2, "p");
    says(&b, 3, "a.proto"); /* in a circle: nobody writes that, but it has an end */
    holds(&b, 4, &x);
    holds(&set, 1, &a);
    holds(&set, 1, &b);
    return set;
}

/* The answer's part `id`, and whether the original request is in it. */
static struct skua__proto_field answer_of(struct fake *fake, uint32_t *id)
{
    struct skua__proto fields = skua__proto_of(fake->out + 5, fake->out_len - 5);
    struct skua__proto_field field, part = {.id = 0};
    bool original = false;

    while (skua__proto_next(&fields, &field) == 1) {
        if (field.id >= 4)
            part = field;
        original |= field.id == 2 &&
                    skua__proto_is(&field, (const char *)fake->body + 5, fake->body_len - 5);
    }
    CHECK(original);
    *id = part.id;
    return part;
}

/* How many files an answer has; the first one's name must be `name`. */
static size_t files_in(struct skua__proto_field part, const char *name)
{
    struct skua__proto files = skua__proto_of(part.bytes, part.len), fields;
    struct skua__proto_field file, first;
    size_t count = 0;

    while (skua__proto_next(&files, &file) == 1)
        if (file.id == 1 && count++ == 0) {
            fields = skua__proto_of(file.bytes, file.len);
            CHECK(skua__proto_next(&fields, &first) == 1 &&
                  skua__proto_is(&first, name, strlen(name)));
        }
    return count;
}

static const struct {
    uint32_t id;
    const char *text;
    const char *file; /* NULL: it is not found */
} symbols[] = {{4, "p.M", "a.proto"},
               {4, "p.M.In", "a.proto"},
               {4, "p.M.In.f", "a.proto"},
               {4, "p.M.E", "a.proto"},
               {4, "p.M.E_ONE", "a.proto"},
               {4, "p.M.seven", "a.proto"},
               {4, "p.Top", "a.proto"},
               {4, "p.TOP_ONE", "a.proto"},
               {4, "p.S", "a.proto"},
               {4, "p.S.Call", "a.proto"},
               {4, "p.nine", "a.proto"},
               {4, "p.X", "b.proto"},
               {3, "a.proto", "a.proto"},
               {3, "b.proto", "b.proto"},
               {4, "p", NULL},
               {4, "p.", NULL},
               {4, "", NULL},
               {4, ".p.M", NULL},
               {4, "p.M.", NULL},
               {4, "p.Mx", NULL},
               {4, "q.M", NULL},
               {4, "p.M.In.g", NULL},
               {4, "p.Top.TOP_ONE", NULL},
               {4, "p.S.Call.x", NULL},
               {3, "c.proto", NULL},
               {3, "", NULL}};

static void asks(struct fake *fake, skua_grpc_server *server, char *body, uint32_t id,
                 const void *bytes, size_t len)
{
    struct text request = {.len = 0};

    says(&request, 1, "host");
    adds(&request, id, bytes, len);
    *fake = (struct fake){.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                          .body = body};
    fake->body_len = (size_t)(fake_frame(body, 0, request.at, request.len) - body);
    fake_call(fake, server);
    CHECK_EQ(fake_status(fake), 0);
}

static const skua_grpc_service *described(struct text *set)
{
    static skua_grpc_service service = {"p.S", NULL, 0, NULL, 0};

    *set = descriptors();
    service.files = set->at;
    service.files_len = set->len;
    return &service;
}

TEST_FIBER_CURRENT(symbols_and_files_are_found)
{
    static struct text set;
    static char body[256];
    static struct fake fake;
    skua_grpc_server *server;

    MUST(skua_grpc_server_new(&server, NULL) == 0);
    MUST(skua_grpc_add(server, described(&set), NULL) == 0);
    MUST(skua_grpc_add_reflection(server) == 0);
    CHECK_EQ(skua_grpc_add_reflection(server), -EEXIST);
    for (size_t i = 0; i < TEST_LEN(symbols); i++) {
        struct skua__proto_field part;
        int failures = test_failures();
        uint32_t id;

        asks(&fake, server, body, symbols[i].id, symbols[i].text, strlen(symbols[i].text));
        part = answer_of(&fake, &id);
        CHECK_EQ(id, symbols[i].file != NULL ? 4 : 7);
        if (symbols[i].file != NULL)
            CHECK_EQ(files_in(part, symbols[i].file), 2);
        if (test_failures() != failures)
            test_note("%s", symbols[i].text);
        fake_end_call(&fake);
    }
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(services_and_extensions_are_listed)
{
    static struct text set;
    static char body[256];
    static struct fake fake;
    struct text asked = {.len = 0};
    skua_grpc_server *server;
    struct skua__proto_field part, field;
    struct skua__proto fields;
    uint64_t numbers = 0;
    uint32_t id;

    MUST(skua_grpc_server_new(&server, NULL) == 0);
    MUST(skua_grpc_add(server, described(&set), NULL) == 0);
    MUST(skua_grpc_add_reflection(server) == 0);
    asks(&fake, server, body, 7, "", 0);
    part = answer_of(&fake, &id);
    CHECK(id == 6 && part.len > 7 && memcmp(part.bytes, "\x0a\x05\x0a\x03p.S", 7) == 0);
    fake_end_call(&fake);
    asks(&fake, server, body, 6, "p.X", 3);
    part = answer_of(&fake, &id);
    CHECK_EQ(id, 5);
    fields = skua__proto_of(part.bytes, part.len);
    while (skua__proto_next(&fields, &field) == 1)
        if (field.id == 2)
            numbers = numbers * 100 + field.number;
    CHECK_EQ(numbers, 709);
    fake_end_call(&fake);
    says(&asked, 1, "p.X");
    memcpy(asked.at + asked.len, "\x10\x07", 2);
    asks(&fake, server, body, 5, asked.at, asked.len + 2);
    part = answer_of(&fake, &id);
    CHECK(id == 4 && files_in(part, "a.proto") == 2);
    fake_end_call(&fake);
    asked.at[asked.len + 1] = 8;
    asks(&fake, server, body, 5, asked.at, asked.len + 2);
    (void)answer_of(&fake, &id);
    CHECK_EQ(id, 7);
    fake_end_call(&fake);
    asks(&fake, server, body, 9, "", 0);
    (void)answer_of(&fake, &id);
    CHECK_EQ(id, 7);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(descriptors_that_are_broken_have_an_end)
{
    static struct text set;
    static char body[256];
    static struct fake fake;
    uint64_t seed = test_seed();
    skua_grpc_server *server;

    MUST(skua_grpc_server_new(&server, NULL) == 0);
    MUST(skua_grpc_add(server, described(&set), NULL) == 0);
    MUST(skua_grpc_add_reflection(server) == 0);
    for (int i = 0; i < TEST_COUNT(4000); i++) {
        const char *symbol = symbols[test_random(&seed) % TEST_LEN(symbols)].text;

        if (i % 16 == 0)
            set = descriptors();
        set.at[test_random(&seed) % set.len] = (char)test_random(&seed);
        asks(&fake, server, body, 3 + (uint32_t)(test_random(&seed) % 5), symbol, strlen(symbol));
        fake_end_call(&fake);
    }
    skua_grpc_server_free(server);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(no_memory_is_a_status)
{
    static struct text set;
    static char body[256];
    static struct fake fake;
    struct text request = {.len = 0};
    skua_grpc_server *server;
    skua_grpc_health *health = NULL;
    unsigned failed = 0;

    for (unsigned i = 1; i < 6; i++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        if (skua_grpc_server_new(&server, NULL) == 0) {
            (void)skua_grpc_add(server, described(&set), NULL);
            skua_grpc_server_free(server);
        }
        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        if (skua_grpc_health_new(&health) == 0) {
            int rc = skua_grpc_health_set(health, "b", SKUA_GRPC_SERVING);

            CHECK(rc == 0 || rc == -ENOMEM);
            skua_grpc_health_free(health);
        }
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
    MUST(skua_grpc_server_new(&server, NULL) == 0);
    MUST(skua_grpc_add(server, described(&set), NULL) == 0);
    MUST(skua_grpc_add_reflection(server) == 0);
    says(&request, 4, "p.M");
    for (unsigned i = 1; i < 16; i++) {
        fake = (struct fake){.path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                             .body = body};
        fake.body_len = (size_t)(fake_frame(body, 0, request.at, request.len) - body);
        fake_begin_exchange(&fake);
        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        fake.rc = skua_grpc_handler(&fake.exchange, server);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(fake.rc == -ENOMEM || fake_status(&fake) == 0 ||
              fake_status(&fake) == SKUA_GRPC_RESOURCE_EXHAUSTED);
        failed += fake.rc != 0 || fake_status(&fake) != 0;
        fake_end_call(&fake);
    }
    CHECK_RANGE(failed, 3, 14);
    skua_grpc_server_free(server);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_is_checked),
        cmocka_unit_test(health_is_watched),
        cmocka_unit_test(symbols_and_files_are_found),
        cmocka_unit_test(services_and_extensions_are_listed),
        cmocka_unit_test(descriptors_that_are_broken_have_an_end),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory_is_a_status),
#endif
    };

    return TEST_MAIN(tests);
}
