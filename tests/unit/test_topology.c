/* test_topology.c - lists of processors, and what sysfs says of cores and nodes.
 *
 * Specifies os.h: struct skua__cpus and what goes with it, and the placement of runtime.h, on trees
 * of files that stand for machines.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/harness.h"
#include "runtime/runtime_impl.h"

static char root[64];

static void write_file(const char *path, const char *text)
{
    char full[256];
    FILE *file;

    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0700);
        *at = '/';
    }
    file = fopen(full, "w");
    MUST(file != NULL);
    fprintf(file, "%s\n", text);
    fclose(file);
}

/* A machine of `nodes` nodes of two cores; with `threads` 2 each core is two processors, the second
 * ones numbered behind all first ones, as on x86. */
static void machine(int nodes, int threads)
{
    char path[128];
    char text[64];
    int cores = nodes * 2;

    snprintf(root, sizeof root, "/tmp/skua-topology-XXXXXX");
    MUST(mkdtemp(root) != NULL);
    for (int core = 0; core < cores; core++)
        for (int thread = 0; thread < threads; thread++) {
            snprintf(path, sizeof path, "cpu/cpu%d/topology/thread_siblings_list",
                     core + thread * cores);
            snprintf(text, sizeof text, threads == 2 ? "%d,%d" : "%d", core, core + cores);
            write_file(path, text);
        }
    for (int node = 0; node < nodes; node++) {
        snprintf(path, sizeof path, "node/node%d/cpulist", node);
        snprintf(text, sizeof text, threads == 2 ? "%d-%d,%d-%d" : "%d-%d", node * 2, node * 2 + 1,
                 cores + node * 2, cores + node * 2 + 1);
        write_file(path, text);
    }
    skua__os_sysfs = root;
}

static void machine_end(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_EQ(system(command), 0);
    skua__os_sysfs = "/sys/devices/system";
}

/* ---- lists ----------------------------------------------------------------------------------- */

TEST(list_is_read)
{
    struct skua__cpus cpus;

    CHECK_EQ(skua__cpus_parse("0-3,8,10-11", &cpus), 0);
    CHECK_EQ(skua__cpus_count(&cpus), 7);
    CHECK(skua__cpus_has(&cpus, 0) && skua__cpus_has(&cpus, 3) && skua__cpus_has(&cpus, 8));
    CHECK(!skua__cpus_has(&cpus, 4) && !skua__cpus_has(&cpus, 9) && !skua__cpus_has(&cpus, 5000));
    CHECK_EQ(skua__cpus_parse("1023\n", &cpus), 0);
    CHECK_EQ(skua__cpus_count(&cpus), 1);
    CHECK(skua__cpus_has(&cpus, 1023));
}

TEST(list_that_is_none_is_refused)
{
    static const char *const lists[] = {"",
                                        ",",
                                        "1,",
                                        "-1",
                                        "1-",
                                        "3-1",
                                        "1024",
                                        "a",
                                        "1,b",
                                        "1 2",
                                        "0-99999999999999999999",
                                        "1--2",
                                        " 1",
                                        "0x1",
                                        "1\n2",
                                        "1\n\n"};
    struct skua__cpus cpus = {{7}};

    for (size_t i = 0; i < TEST_LEN(lists); i++)
        if (!CHECK_EQ(skua__cpus_parse(lists[i], &cpus), -EINVAL))
            test_note("'%s'", lists[i]);
    CHECK_EQ(cpus.bits[0], 7);
}

/* ---- cores and nodes ------------------------------------------------------------------------- */

TEST(cores_and_nodes_are_read)
{
    struct skua__cpus all;
    struct skua__cpus node;

    machine(2, 2);
    MUST(skua__cpus_parse("0-7", &all) == 0);
    CHECK_EQ(skua__os_cpu_rank(1, &all), 0);
    CHECK_EQ(skua__os_cpu_rank(5, &all), 1);
    MUST(skua__cpus_parse("4-7", &all) == 0); /* its brother is not among them */
    CHECK_EQ(skua__os_cpu_rank(5, &all), 0);
    CHECK_EQ(skua__os_node_cpus(1, &node), 0);
    CHECK(node.bits[0] == 0xcc);
    CHECK(skua__os_node_cpus(2, &node) != 0);
    machine_end();
}

TEST(without_sysfs_each_processor_is_a_core)
{
    struct skua__cpus all;

    MUST(skua__cpus_parse("0-7", &all) == 0);
    skua__os_sysfs = "/nowhere";
    CHECK_EQ(skua__os_cpu_rank(5, &all), 0);
    skua__os_sysfs = "/sys/devices/system";
}

/* A node of memory alone has an empty list: it is there, and has no processors. */
TEST(node_without_processors_is_a_node)
{
    struct skua__cpus node = {{7}};

    machine(2, 1);
    write_file("node/node2/cpulist", "");
    CHECK_EQ(skua__os_node_cpus(2, &node), 0);
    CHECK_EQ(skua__cpus_count(&node), 0);
    machine_end();
}

/* What cannot be true is as if it were not there. */
TEST(lies_about_cores_are_not_believed)
{
    static const char *const lies[] = {
        "0-1", "", "garbage", "0-4294967296", "0,99999999999999999999", "\1\2\3", "3", "2-0", "0-"};
    struct skua__cpus all;

    machine(2, 1);
    MUST(skua__cpus_parse("0-7", &all) == 0);
    for (size_t i = 0; i < TEST_LEN(lies); i++) {
        write_file("cpu/cpu2/topology/thread_siblings_list", lies[i]);
        if (!CHECK_EQ(skua__os_cpu_rank(2, &all), 0))
            test_note("'%s'", lies[i]);
    }
    machine_end();
}

/* ---- placement ------------------------------------------------------------------------------- */

/* The processors of workers 0, 1, …, on a machine that allows 0 to 7. */
static void check_order(skua_runtime_options options, const char *wanted)
{
    struct skua__cpus cpus[16];
    char order[64] = "";

    options.size = sizeof options;
    CHECK_EQ(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus), 0);
    for (unsigned i = 0; i < options.workers; i++) {
        CHECK_EQ(skua__cpus_count(&cpus[i]), 1);
        snprintf(order + strlen(order), sizeof order - strlen(order), i == 0 ? "%d" : " %d",
                 __builtin_ctzll(cpus[i].bits[0]));
    }
    if (!CHECK(strcmp(order, wanted) == 0))
        test_note("%s instead of %s", order, wanted);
}

TEST(workers_are_spread_over_nodes)
{
    machine(2, 2);
    check_order((skua_runtime_options){.workers = 8, .placement = SKUA_PLACE_SPREAD},
                "0 2 1 3 4 6 5 7");
    check_order(
        (skua_runtime_options){.workers = 3, .placement = SKUA_PLACE_SPREAD, .cpus_exclude = "0"},
        "1 2 4"); /* 5 shares 1's core; 4 has its core to itself */
    machine_end();
}

TEST(workers_are_packed_into_nodes)
{
    machine(2, 2);
    check_order((skua_runtime_options){.workers = 8, .placement = SKUA_PLACE_PACK},
                "0 1 4 5 2 3 6 7");
    check_order(
        (skua_runtime_options){.workers = 4, .placement = SKUA_PLACE_PACK, .numa_nodes = "1"},
        "2 3 6 7");
    check_order(
        (skua_runtime_options){
            .workers = 5, .placement = SKUA_PLACE_PACK, .cpus = "2-5", .one_per_core = 1},
        "4 5 2 3 4"); /* more workers than processors begin again */
    check_order(
        (skua_runtime_options){.workers = 6, .placement = SKUA_PLACE_PACK, .one_per_core = 1},
        "0 1 2 3 0 1");
    machine_end();
}

/* Where the processors of a core are neighbours, too, cores come before their second ones. */
TEST(cores_come_first_however_they_are_numbered)
{
    char path[64];
    char text[16];

    machine(2, 2);
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "cpu/cpu%d/topology/thread_siblings_list", i);
        snprintf(text, sizeof text, "%d-%d", i & ~1, i | 1);
        write_file(path, text);
    }
    write_file("node/node0/cpulist", "0-3");
    write_file("node/node1/cpulist", "4-7");
    check_order((skua_runtime_options){.workers = 8, .placement = SKUA_PLACE_PACK},
                "0 2 1 3 4 6 5 7");
    check_order((skua_runtime_options){.workers = 8, .placement = SKUA_PLACE_SPREAD},
                "0 4 2 6 1 5 3 7");
    machine_end();
}

static int counted(skua_runtime_options options, unsigned quota)
{
    return skua__place_count_among(&options, &(struct skua__cpus){{0xff}}, quota);
}

TEST(workers_are_as_many_as_there_is_time_for)
{
    machine(2, 2);
    CHECK_EQ(counted((skua_runtime_options){.one_per_core = 0}, 100), 8);
    CHECK_EQ(counted((skua_runtime_options){.one_per_core = 0}, 3), 3);
    CHECK_EQ(counted((skua_runtime_options){.ignore_quota = 1}, 3), 8);
    CHECK_EQ(counted((skua_runtime_options){.one_per_core = 1}, 100), 4);
    CHECK_EQ(counted((skua_runtime_options){.numa_nodes = "1", .cpus_exclude = "2"}, 100), 3);
    CHECK_EQ(counted((skua_runtime_options){.cpus = "8-"}, 100), -EINVAL);
    machine_end();
}

TEST(restricted_workers_may_go_anywhere_there)
{
    struct skua__cpus cpus[2];
    skua_runtime_options options = {
        .workers = 2, .placement = SKUA_PLACE_ANYWHERE, .cpus = "1-6", .cpus_exclude = "2"};

    machine(2, 2);
    CHECK_EQ(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus), 0);
    CHECK(cpus[0].bits[0] == 0x7a && cpus[1].bits[0] == 0x7a);
    options.cpus = options.cpus_exclude = NULL;
    CHECK_EQ(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus), 0);
    CHECK_EQ(skua__cpus_count(&cpus[0]), 0); /* nothing to be set */
    options.numa_nodes = "1";
    CHECK_EQ(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus), 0);
    CHECK(cpus[0].bits[0] == 0xcc && cpus[1].bits[0] == 0xcc);
    machine_end();
}

TEST(nothing_left_is_refused)
{
    static const skua_runtime_options wrong[] = {
        {.workers = 1, .cpus = "9"},           {.workers = 1, .cpus = "0", .cpus_exclude = "0"},
        {.workers = 1, .numa_nodes = "2"},     {.workers = 1, .cpus = "x"},
        {.workers = 1, .cpus_exclude = "1-"},  {.workers = 1, .numa_nodes = ""},
        {.workers = 1, .cpus_exclude = "0-7"}, {.workers = 1, .numa_nodes = "0,2"},
    };
    struct skua__cpus cpus[1];

    machine(2, 2);
    for (size_t i = 0; i < TEST_LEN(wrong); i++) {
        skua_runtime_options options = wrong[i];

        options.placement = SKUA_PLACE_SPREAD;
        if (!CHECK_EQ(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus),
                      -EINVAL))
            test_note("the %d.", (int)i);
    }
    machine_end();
}

TEST(nodes_without_processors_do_no_harm)
{
    machine(2, 1);
    write_file("node/node2/cpulist", "");
    check_order(
        (skua_runtime_options){.workers = 2, .placement = SKUA_PLACE_SPREAD, .numa_nodes = "1-2"},
        "2 3");
    machine_end();
}

/* A container that hides sysfs has one node, the first, with all there is. */
TEST(without_sysfs_there_is_one_node)
{
    skua_runtime_options options = {
        .workers = 1, .placement = SKUA_PLACE_SPREAD, .numa_nodes = "1"};
    struct skua__cpus cpus[1];

    skua__os_sysfs = "/nowhere";
    check_order(
        (skua_runtime_options){.workers = 3, .placement = SKUA_PLACE_SPREAD, .numa_nodes = "0"},
        "0 1 2");
    CHECK_EQ(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus), -EINVAL);
    skua__os_sysfs = "/sys/devices/system";
}

/* Workers that share a processor must not spin: the one would keep the other from it. */
TEST(workers_spin_where_each_has_a_processor)
{
    skua_runtime_options options = {.workers = 3, .placement = SKUA_PLACE_SPREAD};
    struct skua__cpus cpus[3];
    struct skua__cpus allowed;
    skua_runtime *runtime = NULL;
    char first[8] = "";

    machine(2, 2);
    for (unsigned workers = 1; workers <= 3; workers++) {
        options.workers = workers;
        options.cpus = "1,4";
        MUST(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus) == 0);
        CHECK_EQ(skua__place_is_wide(cpus, workers), workers <= 2);
        options.placement = SKUA_PLACE_ANYWHERE;
        MUST(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus) == 0);
        CHECK_EQ(skua__place_is_wide(cpus, workers), workers <= 2);
        options.cpus = NULL;
        MUST(skua__place_workers_among(&options, &(struct skua__cpus){{0xff}}, cpus) == 0);
        CHECK(skua__place_is_wide(cpus, workers));
        options.placement = SKUA_PLACE_SPREAD;
    }
    machine_end();
    skua__os_cpus_allowed(&allowed);
    for (unsigned i = 0; i < SKUA__CPUS_MAX && first[0] == '\0'; i++)
        if (skua__cpus_has(&allowed, i))
            snprintf(first, sizeof first, "%u", i);
    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2, .cpus = first)) == 0);
    CHECK(!runtime->sched.spins);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)) == 0);
    CHECK_EQ(runtime->sched.spins, skua__os_cpu_count() >= 2);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_is_read),
        cmocka_unit_test(list_that_is_none_is_refused),
        cmocka_unit_test(cores_and_nodes_are_read),
        cmocka_unit_test(without_sysfs_each_processor_is_a_core),
        cmocka_unit_test(node_without_processors_is_a_node),
        cmocka_unit_test(lies_about_cores_are_not_believed),
        cmocka_unit_test(nodes_without_processors_do_no_harm),
        cmocka_unit_test(without_sysfs_there_is_one_node),
        cmocka_unit_test(workers_are_spread_over_nodes),
        cmocka_unit_test(workers_are_packed_into_nodes),
        cmocka_unit_test(cores_come_first_however_they_are_numbered),
        cmocka_unit_test(workers_are_as_many_as_there_is_time_for),
        cmocka_unit_test(restricted_workers_may_go_anywhere_there),
        cmocka_unit_test(nothing_left_is_refused),
        cmocka_unit_test(workers_spin_where_each_has_a_processor),
    };

    return TEST_MAIN(tests);
}
