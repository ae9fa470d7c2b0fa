/* config_create.c - a sampler, as the configuration says.
 */
#include <skua/otel/samplers.h>

#include "otel/config/config_impl.h"

/* ---- composable ones ------------------------------------------------------------------------- */

static int create_composable(const struct skua__config_composable *config,
                             skua_otel_composable **ret);

/* Rules made into `made`; on failure those that were made are freed. */
static int create_rules(const struct skua__config_composable *config, skua_otel_composable **ret)
{
    skua_otel_composable_rule *rules = skua__otel_malloc((config->rules_count + 1) * sizeof *rules);
    size_t made = 0;
    int rc = rules != NULL ? 0 : -ENOMEM;

    for (; rc == 0 && made < config->rules_count; made++) {
        const struct skua__config_rule *from = &config->rules[made];

        rules[made].match = (skua_otel_span_match){.kinds = from->kinds,
                                                   .parents = from->parents,
                                                   .key = from->values_key,
                                                   .values = from->values.at,
                                                   .values_count = from->values.count,
                                                   .pattern_key = from->patterns_key,
                                                   .included = from->patterns.included.at,
                                                   .included_count = from->patterns.included.count,
                                                   .excluded = from->patterns.excluded.at,
                                                   .excluded_count = from->patterns.excluded.count};
        rc = create_composable(from->sampler, &rules[made].sampler);
    }
    if (rc == 0)
        rc = skua_otel_composable_rules(rules, made, ret);
    else
        while (made-- > 0)
            skua_otel_composable_free(rules[made].sampler);
    skua__otel_free(rules);
    return rc;
}

static int create_composable(const struct skua__config_composable *config,
                             skua_otel_composable **ret)
{
    skua_otel_composable *root;
    int rc;

    *ret = NULL;
    switch (config->kind) {
    case SKUA__COMPOSABLE_ALWAYS_ON:
        *ret = skua_otel_composable_always_on();
        return 0;
    case SKUA__COMPOSABLE_ALWAYS_OFF:
        *ret = skua_otel_composable_always_off();
        return 0;
    case SKUA__COMPOSABLE_PROBABILITY:
        return skua_otel_composable_probability(config->ratio, ret);
    case SKUA__COMPOSABLE_PARENT_THRESHOLD:
        rc = create_composable(config->root, &root);
        return rc < 0 ? rc : skua_otel_composable_parent_threshold(root, ret);
    case SKUA__COMPOSABLE_RULES:
        return create_rules(config, ret);
    }
    return -EINVAL;
}

/* ---- samplers -------------------------------------------------------------------------------- */

static int create_part(const struct skua__config_sampler *config,
                       const struct skua__config_remote *remote, skua_otel_sampler **ret)
{
    *ret = NULL;
    return config != NULL ? skua__config_sampler_create(config, remote, ret) : 0;
}

static int create_parent(const struct skua__config_sampler *config,
                         const struct skua__config_remote *remote, skua_otel_sampler **ret)
{
    skua_otel_parent_based parts = {.size = sizeof parts};
    int rc = create_part(config->root, remote, &parts.root);

    if (rc == 0)
        rc = create_part(config->remote_sampled, remote, &parts.remote_sampled);
    if (rc == 0)
        rc = create_part(config->remote_not, remote, &parts.remote_not_sampled);
    if (rc == 0)
        rc = create_part(config->local_sampled, remote, &parts.local_sampled);
    if (rc == 0)
        rc = create_part(config->local_not, remote, &parts.local_not_sampled);
    if (rc == 0)
        return skua_otel_sampler_parent_based(&parts, ret);
    skua_otel_sampler_free(parts.root);
    skua_otel_sampler_free(parts.remote_sampled);
    skua_otel_sampler_free(parts.remote_not_sampled);
    skua_otel_sampler_free(parts.local_sampled);
    return rc;
}

static int create_plugin(const struct skua__config_plugin *plugin, skua_otel_sampler **ret)
{
    const skua_otel_provider *provider = skua__config_provider(SKUA_OTEL_SAMPLER, plugin->name);
    void *made = NULL;
    int rc = provider != NULL ? provider->create(provider, plugin->properties, &made) : -ENOENT;

    *ret = rc < 0 ? NULL : made;
    return rc < 0 ? rc : made != NULL ? 0 : -EINVAL;
}

/* Until the collector has said something: `root`, or a ratio. */
static int create_remote(const struct skua__config_sampler *config,
                         const struct skua__config_remote *remote, skua_otel_sampler **ret)
{
    skua_otel_sampler *initial = NULL;
    int rc = remote != NULL ? create_part(config->root, remote, &initial) : -ENOSYS;

    if (rc == 0 && initial == NULL)
        rc = skua_otel_sampler_ratio(config->ratio, &initial);
    return rc == 0 ? remote->make(remote->arg, config, initial, ret) : rc;
}

int skua__config_sampler_create(const struct skua__config_sampler *config,
                                const struct skua__config_remote *remote, skua_otel_sampler **ret)
{
    skua_otel_composable *composable;
    skua_otel_sampler *root;
    int rc;

    *ret = NULL;
    switch (config->kind) {
    case SKUA__SAMPLER_PARENT_BASED:
        return create_parent(config, remote, ret);
    case SKUA__SAMPLER_ALWAYS_ON:
        *ret = skua_otel_sampler_always_on();
        return 0;
    case SKUA__SAMPLER_ALWAYS_OFF:
        *ret = skua_otel_sampler_always_off();
        return 0;
    case SKUA__SAMPLER_RATIO:
        return skua_otel_sampler_ratio(config->ratio, ret);
    case SKUA__SAMPLER_PROBABILITY:
        return skua_otel_sampler_probability(config->ratio, ret);
    case SKUA__SAMPLER_ALWAYS_RECORD:
        rc = create_part(config->root, remote, &root);
        return rc < 0 ? rc : skua_otel_sampler_always_record(root, ret);
    case SKUA__SAMPLER_COMPOSITE:
        rc = create_composable(config->composable, &composable);
        return rc < 0 ? rc : skua_otel_sampler_composite(composable, ret);
    case SKUA__SAMPLER_JAEGER:
        return create_remote(config, remote, ret);
    case SKUA__SAMPLER_PLUGIN:
        return create_plugin(&config->plugin, ret);
    }
    return -EINVAL;
}
