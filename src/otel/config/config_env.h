/* config_env.h - what the readers of OTEL_* variables share.
 */
#ifndef SKUA_OTEL_CONFIG_ENV_H
#define SKUA_OTEL_CONFIG_ENV_H

#include "otel/config/config_impl.h"

#define SKUA__ENV_EXPORTERS 8 /* of a signal */

struct skua__env {
    const struct skua__config_env *env;
    skua_otel_config *config;
    bool no_memory;
};

/* A number in its range; false: it is not set, or was told and ignored. */
bool skua__env_integer(const struct skua__env *self, const char *name, int64_t min, int64_t max,
                       int64_t *ret);
void skua__env_u32(const struct skua__env *self, const char *name, uint32_t min, uint32_t *ret);
/* ms -> ns. */
void skua__env_time(const struct skua__env *self, const char *name, int64_t min, int64_t *ret);
bool skua__env_bool(const struct skua__env *self, const char *name, bool standard);
/* Which of the names it is; -1: not set, or none of them. */
int skua__env_choice(const struct skua__env *self, const char *name, const char *const *names);
const char *skua__env_copy(struct skua__env *self, const char *text);
const char *skua__env_text(struct skua__env *self, const char *name, const char *standard);

/* The signal's exporters into `out`; how many. */
size_t skua__env_exporters(struct skua__env *self, skua_otel_signal signal,
                           struct skua__config_exporter out[SKUA__ENV_EXPORTERS]);

#endif
