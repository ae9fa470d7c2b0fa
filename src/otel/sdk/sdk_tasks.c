/* sdk_tasks.c - which tasks have spans of their own: "all", or "name,name*,…".
 *
 * It is asked for each spawn: some names, compared in place.
 */
#include <string.h>
#include <strings.h>

#include "otel/sdk/sdk_impl.h"

/* The choice in force is an SDK's: what somebody else has installed stays. */
static atomic_bool tasks_installed;

static bool tasks_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One entry, without blanks around it; "": none. */
static bool tasks_match(const char *entry, size_t len, const char *name)
{
    while (len != 0 && tasks_blank(*entry)) {
        entry++;
        len--;
    }
    while (len != 0 && tasks_blank(entry[len - 1]))
        len--;
    if (len == 0)
        return false;
    if (entry[len - 1] == '*')
        return strncmp(entry, name, len - 1) == 0;
    return strncmp(entry, name, len) == 0 && name[len] == '\0';
}

static int tasks_wanted(const skua_site *site, void *arg)
{
    for (const char *entry = arg; entry != NULL;) {
        const char *end = strchr(entry, ',');

        if (tasks_match(entry, end != NULL ? (size_t)(end - entry) : strlen(entry), site->name))
            return 1;
        entry = end != NULL ? end + 1 : NULL;
    }
    return 0;
}

int skua__sdk_tasks(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const char *said = options->tasks;

    if (said == NULL && !options->environment_off)
        said = skua__config_get(NULL, "SKUA_OTEL_TASKS");
    if (said == NULL || strcasecmp(said, "none") == 0 || *said == '\0')
        return 0;
    if (strcasecmp(said, "all") == 0)
        said = "*";
    sdk->tasks = skua__otel_malloc(strlen(said) + 1);
    if (sdk->tasks == NULL)
        return -ENOMEM;
    memcpy(sdk->tasks, said, strlen(said) + 1);
    sdk->task_spans = (skua_task_spans){sizeof(skua_task_spans), tasks_wanted, sdk->tasks};
    return 0;
}

void skua__sdk_tasks_begin(struct skua__sdk *sdk)
{
    if (sdk->tasks != NULL && skua_task_spans_install(&sdk->task_spans) == 0)
        atomic_store(&tasks_installed, true);
}

void skua__sdk_tasks_end(void)
{
    if (atomic_exchange(&tasks_installed, false))
        (void)skua_task_spans_install(NULL);
}
