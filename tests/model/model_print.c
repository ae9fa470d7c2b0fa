/* model_print.c - a failing schedule, as a list to be read. */
#include "model_impl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PRINT_MAX 200

static const char *const kind_names[] = {
    [MODEL_LOAD_] = "load",  [MODEL_STORE_] = "store", [MODEL_SWAP] = "xchg",
    [MODEL_ADD] = "add",     [MODEL_SUB] = "sub",      [MODEL_OR] = "or",
    [MODEL_AND] = "and",     [MODEL_CAS_] = "cas",     [MODEL_FENCE] = "fence",
    [MODEL_POINT] = "point", [MODEL_YIELD] = "yield",  [MODEL_SLEEP] = "sleep",
    [MODEL_LOCK] = "lock",   [MODEL_PAUSE] = "pause",  [MODEL_ENDED] = "ended"};

const char *model_kind_name(enum model_kind kind)
{
    return kind_names[kind];
}

const char *model_file_name(const struct model_site *site)
{
    const char *slash = strrchr(site->file, '/');

    return slash != NULL ? slash + 1 : site->file;
}

static const char *order_name(int order)
{
    switch (order) {
    case memory_order_relaxed:
        return "relaxed";
    case memory_order_acquire:
        return "acquire";
    case memory_order_release:
        return "release";
    case memory_order_acq_rel:
        return "acq_rel";
    default:
        return "seq";
    }
}

static void value_print(const char *before, uint64_t value)
{
    if (value < 100000)
        printf("%s%llu", before, (unsigned long long)value);
    else
        printf("%s0x%llx", before, (unsigned long long)value);
}

static void effect_print(const struct model_op *op)
{
    switch (op->kind) {
    case MODEL_FENCE:
    case MODEL_POINT:
    case MODEL_PAUSE:
    case MODEL_ENDED:
        return;
    case MODEL_STORE_:
        value_print(" := ", op->value);
        return;
    case MODEL_LOAD_:
    case MODEL_YIELD:
        value_print(" is ", op->result);
        break;
    case MODEL_CAS_:
        value_print(" is ", op->result);
        value_print(op->stored ? ", becomes " : ", stays: it is not ",
                    op->stored ? op->value : op->want);
        break;
    default:
        value_print(" was ", op->result);
        value_print(", operand ", op->value);
    }
    if (op->behind != 0)
        printf(" (stale by %u)", op->behind);
}

static void step_print(unsigned number, const struct model_step *step)
{
    const struct model_op *op = &step->op;

    printf("%4u  %*sT%d  %-5s %-7s  %s", number, 4 * step->thread, "", step->thread,
           model_kind_name(op->kind), order_name(op->order), op->at->operand);
    effect_print(op);
    printf("  [%s:%d]\n", model_file_name(op->at), op->at->line);
}

/* Without what only one thread knows of; of a livelock the beginning and the end. */
void model_print(const struct model_step *steps, unsigned count)
{
    printf("model: the failing schedule:\n");
    for (unsigned i = 0; i < count; i++) {
        if (i == PRINT_MAX && count > 2 * PRINT_MAX) {
            i = count - PRINT_MAX;
            printf("      …\n");
        }
        if (!memory_private(&steps[i].op, steps[i].thread))
            step_print(i + 1, &steps[i]);
    }
    plain_print();
    fflush(stdout);
}
