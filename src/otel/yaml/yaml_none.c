/* yaml_none.c - files of configuration, where Skua is built without libyaml: there are none.
 */
#include <stdio.h>

#include "otel/config/config_impl.h"

static int yaml_none(skua_otel_config_fault *fault, skua_otel_config **ret)
{
    *ret = NULL;
    if (fault != NULL) {
        fault->line = 0;
        (void)snprintf(fault->text, sizeof fault->text, "Skua was built without libyaml");
    }
    return -ENOSYS;
}

int skua__config_from_file(const struct skua__config_env *env, const char *path,
                           skua_otel_config_fault *fault, skua_otel_config **ret)
{
    (void)env;
    (void)path;
    return yaml_none(fault, ret);
}

int skua__config_from_text(const struct skua__config_env *env, const char *text, size_t len,
                           skua_otel_config_fault *fault, skua_otel_config **ret)
{
    (void)env;
    (void)text;
    (void)len;
    return yaml_none(fault, ret);
}

int skua_otel_properties_str(const skua_otel_properties *properties, const char *key,
                             const char **ret)
{
    (void)properties;
    (void)key;
    (void)ret;
    return -ENOENT;
}

int skua_otel_properties_i64(const skua_otel_properties *properties, const char *key, int64_t *ret)
{
    (void)properties;
    (void)key;
    (void)ret;
    return -ENOENT;
}

int skua_otel_properties_f64(const skua_otel_properties *properties, const char *key, double *ret)
{
    (void)properties;
    (void)key;
    (void)ret;
    return -ENOENT;
}

int skua_otel_properties_bool(const skua_otel_properties *properties, const char *key, int *ret)
{
    (void)properties;
    (void)key;
    (void)ret;
    return -ENOENT;
}

int skua_otel_properties_child(const skua_otel_properties *properties, const char *key,
                               const skua_otel_properties **ret)
{
    (void)properties;
    (void)key;
    (void)ret;
    return -ENOENT;
}

int skua_otel_properties_item(const skua_otel_properties *properties, const char *key, size_t index,
                              const skua_otel_properties **ret)
{
    (void)index;
    return skua_otel_properties_child(properties, key, ret);
}
