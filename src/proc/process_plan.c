/* process_plan.c - what a child is to be, as the system's floor takes it: one piece of memory.
 *
 * It is all made before the child is: that one must not allocate. The room is counted first, and
 * then filled in the same order:
 *
 *   plan | spare, argv …, NULL | paths …, NULL | environment …, NULL | the paths' text
 *
 * Paths      a name with a slash is tried as it is. Any other one is tried in each directory of
 *            PATH; an empty one there is the current directory.
 * Memory     arguments and variables stay where they are; only paths are written anew.
 */
#include <string.h>

#include "proc/process_impl.h"

/* What execvp takes when there is no PATH. */
static const char plan_path[] = "/bin:/usr/bin";

/* How much of what there is. */
struct plan_room {
    const char *program;
    const char *path; /* PATH, or NULL: the program is tried as it is */
    size_t args;
    size_t paths;
    size_t variables; /* at most */
    size_t text;
};

static size_t plan_count(const char *const *strings)
{
    size_t count = 0;

    while (strings != NULL && strings[count] != NULL)
        count++;
    return count;
}

static size_t plan_colons(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == ':';
    return count;
}

static int plan_measure(const char *const *argv, const skua_process_options *options,
                        struct plan_room *room)
{
    memset(room, 0, sizeof *room);
    room->args = plan_count(argv);
    if (room->args == 0)
        return -EINVAL;
    room->program = options->program != NULL ? options->program : argv[0];
    if (room->program[0] == '\0')
        return -ENOENT;
    room->paths = 1;
    if (strchr(room->program, '/') == NULL) {
        room->path = skua__os_env("PATH");
        if (room->path == NULL)
            room->path = plan_path;
        room->paths = plan_colons(room->path) + 1;
        /* Each has its directory's bytes, of which its colon makes room for the slash. */
        room->text = strlen(room->path) + 1 + room->paths * (strlen(room->program) + 1);
    }
    room->variables = plan_count(options->env);
    if (!options->clear_env)
        room->variables += plan_count(skua__os_environ());
    return 0;
}

/* ---- filling in ------------------------------------------------------------------------------ */

static void plan_fill_paths(const char **paths, char *text, const struct plan_room *room)
{
    size_t len = strlen(room->program);
    const char *from = room->path;

    if (from == NULL) {
        paths[0] = room->program;
        return;
    }
    for (size_t i = 0; i < room->paths; i++) {
        size_t dir = strcspn(from, ":");

        paths[i] = text;
        memcpy(text, from, dir);
        text += dir;
        if (dir != 0)
            *text++ = '/';
        memcpy(text, room->program, len + 1);
        text += len + 1;
        from += dir + 1;
    }
}

/* Whether two variables, with values or not, have one name. */
static bool plan_same_name(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");

    return len == strcspn(b, "=") && memcmp(a, b, len) == 0;
}

static bool plan_is_named_in(const char *const *variables, const char *one)
{
    for (; variables != NULL && *variables != NULL; variables++)
        if (plan_same_name(*variables, one))
            return true;
    return false;
}

/* Ours, but for what the options name; then theirs: the last of each name, when it has a value. */
static void plan_fill_env(const char **to, const skua_process_options *options)
{
    if (!options->clear_env)
        for (const char *const *one = skua__os_environ(); one != NULL && *one != NULL; one++)
            if (!plan_is_named_in(options->env, *one))
                *to++ = *one;
    for (const char *const *one = options->env; one != NULL && *one != NULL; one++)
        if (strchr(*one, '=') != NULL && !plan_is_named_in(one + 1, *one))
            *to++ = *one;
}

static unsigned plan_flags(const skua_process_options *options)
{
    bool changes = (options->set_uid || options->set_gid) && skua__os_is_root();
    unsigned flags = 0;

    if (options->set_uid)
        flags |= SKUA__SPAWN_UID;
    if (options->set_gid)
        flags |= SKUA__SPAWN_GID;
    if (options->set_groups || changes)
        flags |= SKUA__SPAWN_GROUPS;
    if (options->group == SKUA_PROCESS_GROUP)
        flags |= SKUA__SPAWN_GROUP;
    if (options->group == SKUA_PROCESS_SESSION)
        flags |= SKUA__SPAWN_SESSION;
    if (options->keep_ignored)
        flags |= SKUA__SPAWN_IGNORED;
    return flags;
}

int skua__plan_make(const char *const *argv, const skua_process_options *options,
                    struct skua__plan **ret)
{
    struct plan_room room;
    struct skua__plan *plan;
    const char **strings;
    int rc = plan_measure(argv, options, &room);

    if (rc != 0)
        return rc;
    plan = skua__os_alloc(sizeof *plan + room.text +
                          (room.args + room.paths + room.variables + 4) * sizeof *strings);
    if (plan == NULL)
        return -ENOMEM;
    strings = (const char **)(plan + 1);
    plan->spawn.argv = strings + 1;
    memcpy(plan->spawn.argv, argv, room.args * sizeof *argv);
    strings += room.args + 2;
    plan->spawn.paths = strings;
    plan_fill_paths(strings, (char *)(strings + room.paths + 1 + room.variables + 1), &room);
    strings += room.paths + 1;
    plan->spawn.envp = strings;
    plan_fill_env(strings, options);
    plan->spawn.cwd = options->cwd;
    plan->spawn.fds = plan->fds;
    plan->spawn.flags = plan_flags(options);
    plan->spawn.uid = options->uid;
    plan->spawn.gid = options->gid;
    plan->spawn.groups = options->groups;
    plan->spawn.group_count = options->set_groups ? options->group_count : 0;
    plan->spawn.parent_death = options->parent_death;
    plan->spawn.nice = options->nice;
    *ret = plan;
    return 0;
}

void skua__plan_add(struct skua__plan *plan, int theirs, int ours)
{
    unsigned at = plan->spawn.fd_count++;

    for (; at > 0 && plan->fds[at - 1].theirs > theirs; at--)
        plan->fds[at] = plan->fds[at - 1];
    plan->fds[at] = (struct skua__spawn_fd){.theirs = theirs, .ours = ours};
}
