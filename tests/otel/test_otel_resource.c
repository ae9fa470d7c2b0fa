/* test_otel_resource.c - who sends: detectors over a tree of files of the test's own, and samplers
 * made as a configuration says.
 *
 * Specifies config_impl.h: skua__config_resource_create, skua__config_sampler_create. Files that
 * are missing, cut or garbage leave attributes out, and are no fault.
 */
#include <sys/stat.h>
#include <unistd.h>

#include <skua/otel/samplers.h>

#include "otel/config/config_impl.h"

#include "../lib/harness.h"

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char root[] = "/tmp/skua-resource-XXXXXX";

static void put(const char *path, const char *text, size_t len)
{
    char whole[256];
    FILE *file;

    snprintf(whole, sizeof whole, "%s%s", root, path);
    file = fopen(whole, "w");
    MUST(file != NULL && fwrite(text, 1, len, file) == len);
    fclose(file);
}

static void make(const char *path)
{
    char whole[256];

    snprintf(whole, sizeof whole, "%s%s", root, path);
    MUST(mkdir(whole, 0700) == 0 || errno == EEXIST);
}

static const char *value(const skua_otel_resource *resource, const char *key)
{
    for (uint32_t i = 0; i < resource->attrs.count; i++)
        if (strcmp(resource->attrs.at[i].key, key) == 0)
            return resource->attrs.at[i].type == SKUA_ATTR_STR ? resource->attrs.at[i].value.str
                                                               : "(number)";
    return NULL;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static skua_otel_resource created(skua_otel_config *config)
{
    skua_otel_resource resource;

    CHECK_EQ(skua__config_resource_create(config, root, &resource), 0);
    for (uint32_t i = 1; i < resource.attrs.count; i++)
        CHECK(strcmp(resource.attrs.at[i - 1].key, resource.attrs.at[i].key) < 0);
    return resource;
}

TEST(nothing_is_found_in_an_empty_world)
{
    skua_otel_config *config = skua__config_new();
    skua_otel_resource resource = created(config);

    CHECK(same(value(&resource, "service.name"), "unknown_service"));
    CHECK(same(value(&resource, "telemetry.sdk.language"), "c"));
    CHECK(value(&resource, "container.id") == NULL);
    CHECK(value(&resource, "host.id") == NULL);
    CHECK(value(&resource, "os.name") == NULL);
    CHECK(value(&resource, "process.pid") != NULL);
    CHECK_EQ(strlen(value(&resource, "service.instance.id")), 36);
    CHECK_EQ(resource.schema_url.len, 0);
    skua_otel_config_free(config);
}

TEST(files_tell_who_we_are)
{
    skua_otel_config *config = skua__config_new();
    skua_otel_resource resource;
    char link[256];

    make("/etc");
    make("/proc");
    make("/proc/self");
    snprintf(link, sizeof link, "%s/proc/self/exe", root);
    MUST(symlink("/usr/bin/shop", link) == 0);
    put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 33);
    put("/etc/os-release", "ID=x\nNAME=\"Test OS\"\nVERSION_ID='7'\nPRETTY_NAME=\"Test OS 7\"", 58);
    put("/proc/self/cmdline", "./shop\0--password\0secret", 24);
    put("/proc/self/cgroup", "0::/docker/" ID64 "\n", 76);
    resource = created(config);
    CHECK(same(value(&resource, "service.name"), "unknown_service:shop"));
    CHECK(same(value(&resource, "process.executable.path"), "/usr/bin/shop"));
    CHECK(same(value(&resource, "process.executable.name"), "shop"));
    CHECK(same(value(&resource, "process.command"), "./shop"));
    CHECK(value(&resource, "process.command_args") == NULL);
    CHECK(value(&resource, "process.command_line") == NULL);
    CHECK(same(value(&resource, "host.id"), "0123456789abcdef0123456789abcdef"));
    CHECK(same(value(&resource, "os.name"), "Test OS"));
    CHECK(same(value(&resource, "os.version"), "7"));
    CHECK(same(value(&resource, "os.description"), "Test OS 7"));
    CHECK(same(value(&resource, "container.id"), ID64));
    skua_otel_config_free(config);
}

TEST(containers_of_version_2_are_found_by_their_mounts)
{
    static const struct {
        const char *mounts, *want;
    } cases[] = {
        {"1 2 0:1 /var/lib/docker/containers/" ID64 "/hostname /etc/hostname rw\n", ID64},
        {"x\n1 2 0:1 /a/overlay-containers/" ID64 "/userdata/hostname /etc/hostname rw\n", ID64},
        {"1 2 0:1 /layers/" ID64 "/x / rw\n", NULL}, /* a layer, no container */
        {"1 2 0:1 /containers/0" ID64 "/hostname x\n", NULL},
        {"", NULL},
    };

    put("/proc/self/cgroup", "0::/\n", 5);
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_otel_config *config = skua__config_new();
        skua_otel_resource resource;

        put("/proc/self/mountinfo", cases[i].mounts, strlen(cases[i].mounts));
        resource = created(config);
        CHECK(same(value(&resource, "container.id"), cases[i].want));
        skua_otel_config_free(config);
    }
}

TEST(garbage_is_left_out)
{
    skua_otel_config *config = skua__config_new();
    skua_otel_resource resource;

    put("/etc/machine-id", "uninitialized\n", 14);
    put("/etc/os-release", "NAME\nNAME=", 10);
    put("/proc/self/cmdline", "", 0);
    resource = created(config);
    CHECK(value(&resource, "host.id") == NULL);
    CHECK(value(&resource, "os.name") == NULL);
    CHECK(value(&resource, "process.command") == NULL);
    skua_otel_config_free(config);
}

TEST(what_is_said_comes_first)
{
    static const skua_attr said[] = {
        {.key = "os.type", .key_len = 7, .type = SKUA_ATTR_STR, .count = 4, .value.str = "mine"},
        {.key = "service.name",
         .key_len = 12,
         .type = SKUA_ATTR_STR,
         .count = 4,
         .value.str = "shop"}};
    static const char *const included[] = {"os.*", "process.p?d"}, *const excluded[] = {
                                                                       "os.build*"};
    skua_otel_config *config = skua__config_new();
    skua_otel_resource resource;

    config->resource.attrs = said;
    config->resource.attrs_count = 2;
    config->resource.detected.included.at = included;
    config->resource.detected.included.count = 2;
    config->resource.detected.excluded.at = excluded;
    config->resource.detected.excluded.count = 1;
    config->resource.schema_url = "https://s/1";
    resource = created(config);
    CHECK(same(value(&resource, "os.type"), "mine"));
    CHECK(same(value(&resource, "service.name"), "shop"));
    CHECK(value(&resource, "process.pid") != NULL);
    CHECK(value(&resource, "process.parent_pid") == NULL);
    CHECK(value(&resource, "os.build_id") == NULL);
    CHECK(value(&resource, "host.name") == NULL);
    CHECK_EQ(resource.schema_url.len, 11);
    skua_otel_config_free(config);
}

TEST(each_start_is_another_instance)
{
    skua_otel_config *config = skua__config_new();
    skua_otel_resource a = created(config), b = created(config);

    CHECK(!same(value(&a, "service.instance.id"), value(&b, "service.instance.id")));
    CHECK_EQ(value(&a, "service.instance.id")[14], '4');
    skua_otel_config_free(config);
}

/* ---- plugins, samplers ----------------------------------------------------------------------- */

static const skua_attr found_attrs[] = {
    {.key = "cloud.x", .key_len = 7, .type = SKUA_ATTR_STR, .count = 1, .value.str = "y"}};
static const skua_otel_resource found = {{found_attrs, 1, 0}, {"https://s/2", 11}};

static int find(const skua_otel_provider *self, const skua_otel_properties *properties, void **ret)
{
    (void)self;
    (void)properties;
    *ret = (void *)(uintptr_t)&found;
    return 0;
}

static const skua_otel_provider finder = {SKUA_OTEL_RESOURCE_DETECTOR, "cloud", find};

TEST(plugins_detect_and_their_schemas_must_agree)
{
    static const struct skua__config_plugin plugin = {"cloud", NULL}, unknown = {"sky", NULL};
    skua_otel_config *config = skua__config_new();
    skua_otel_resource resource;

    CHECK_EQ(skua_otel_provide(&finder), 0);
    config->resource.plugins = &plugin;
    config->resource.plugins_count = 1;
    resource = created(config);
    CHECK(same(value(&resource, "cloud.x"), "y"));
    CHECK_EQ(resource.schema_url.len, 11);
    config->resource.schema_url = "https://s/1";
    CHECK_EQ(skua__config_resource_create(config, root, &resource), -EINVAL);
    config->resource.plugins = &unknown;
    CHECK_EQ(skua__config_resource_create(config, root, &resource), -ENOENT);
    skua_otel_config_free(config);
}

TEST(samplers_are_made_as_configured)
{
    static const struct skua__config_sampler ratio = {.kind = SKUA__SAMPLER_RATIO, .ratio = 0.5};
    static const struct skua__config_sampler record = {.kind = SKUA__SAMPLER_ALWAYS_RECORD,
                                                       .root = &ratio};
    static const struct skua__config_sampler parent = {.kind = SKUA__SAMPLER_PARENT_BASED,
                                                       .root = &record};
    static const struct skua__config_composable on = {.kind = SKUA__COMPOSABLE_ALWAYS_ON};
    static const struct skua__config_rule rule = {.kinds = 2, .sampler = &on};
    static const struct skua__config_composable rules = {
        .kind = SKUA__COMPOSABLE_RULES, .rules = &rule, .rules_count = 1};
    static const struct skua__config_composable threshold = {
        .kind = SKUA__COMPOSABLE_PARENT_THRESHOLD, .root = &rules};
    static const struct skua__config_sampler composite = {.kind = SKUA__SAMPLER_COMPOSITE,
                                                          .composable = &threshold};
    static const struct skua__config_sampler bad = {.kind = SKUA__SAMPLER_PLUGIN,
                                                    .plugin = {"nobody", NULL}};
    skua_otel_sampler *sampler;
    char name[512];

    MUST(skua__config_sampler_create(&parent, NULL, &sampler) == 0);
    skua_otel_sampler_describe(sampler, name, sizeof name);
    CHECK(strncmp(name, "ParentBased{root:AlwaysRecordSampler{root:TraceIdRatioBased{0.500000}},",
                  70) == 0);
    skua_otel_sampler_free(sampler);
    MUST(skua__config_sampler_create(&composite, NULL, &sampler) == 0);
    skua_otel_sampler_describe(sampler, name, sizeof name);
    CHECK(same(name, "CompositeSampler{ComposableParentThreshold{root:"
                     "ComposableRuleBased{1 rules}}}"));
    skua_otel_sampler_free(sampler);
    CHECK_EQ(skua__config_sampler_create(&bad, NULL, &sampler), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_found_in_an_empty_world),
        cmocka_unit_test(files_tell_who_we_are),
        cmocka_unit_test(containers_of_version_2_are_found_by_their_mounts),
        cmocka_unit_test(garbage_is_left_out),
        cmocka_unit_test(what_is_said_comes_first),
        cmocka_unit_test(each_start_is_another_instance),
        cmocka_unit_test(plugins_detect_and_their_schemas_must_agree),
        cmocka_unit_test(samplers_are_made_as_configured),
    };
    char command[64];
    int rc;

    MUST(mkdtemp(root) != NULL);
    rc = TEST_MAIN(tests);
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command) == 0 ? rc : 1;
}
