/* remote_read.c - the answer of a collector that rules samplers.
 *
 *     {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.5}}
 *     {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 10}}
 *     {"operationSampling": {"defaultSamplingProbability": 0.1,
 *                            "defaultLowerBoundTracesPerSecond": 0.5,
 *                            "perOperationStrategies": [
 *                                {"operation": "GET /", "probabilisticSampling": {…}}]}}
 *
 * What is there counts, whatever strategyType says; numbers that are out of range are malformed.
 */
#include "otel/config/config_impl.h"
#include "otel/json/json_read.h"
#include "otel/remote/remote_impl.h"

#define READ_RATE 1e9 /* the most a second */

static void rread_number(struct skua__rjson *in, double max, double *ret)
{
    char text[64];

    skua__rjson_word(in, text, sizeof text);
    if (!in->bad && (!skua__config_number(text, ret) || !(*ret >= 0 && *ret <= max)))
        in->bad = true;
}

/* A member of an object with one number in it. */
struct rread_one {
    const char *name;
    double max, *ret;
    bool *has;
};

static void rread_one(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    struct rread_one *one = arg;

    if (strcmp(name, one->name) != 0) {
        skua__rjson_skip(in, depth);
        return;
    }
    rread_number(in, one->max, one->ret);
    *one->has = !in->bad;
}

static void rread_ratio(struct skua__rjson *in, unsigned depth, double *ret, bool *has)
{
    skua__rjson_object(in, depth, rread_one, &(struct rread_one){"samplingRate", 1, ret, has});
}

struct rread_op {
    struct skua__remote_op op;
    bool named, has;
};

static void rread_op_member(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    struct rread_op *op = arg;
    char first = skua__rjson_peek(in);

    if (strcmp(name, "operation") == 0 && first == '"') {
        skua__rjson_string(in, op->op.name, sizeof op->op.name);
        op->named = strlen(op->op.name) < sizeof op->op.name - 1; /* it may be cut */
    } else if (strcmp(name, "probabilisticSampling") == 0 && first == '{') {
        rread_ratio(in, depth, &op->op.ratio, &op->has);
    } else {
        skua__rjson_skip(in, depth);
    }
}

static void rread_op(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    struct skua__remote_told *told = arg;
    struct rread_op op = {.named = false};

    (void)name;
    skua__rjson_object(in, depth, rread_op_member, &op);
    if (in->bad || !op.named || !op.has || told->ops_count == SKUA__REMOTE_OPS)
        return;
    if (told->ops_count == told->ops_room) {
        size_t room = told->ops_room != 0 ? told->ops_room * 2 : 16;
        struct skua__remote_op *ops = skua__otel_malloc(room * sizeof *ops);

        if (ops == NULL) {
            told->no_memory = true;
            return;
        }
        if (told->ops_count != 0)
            memcpy(ops, told->ops, told->ops_count * sizeof *ops);
        skua__otel_free(told->ops);
        told->ops = ops;
        told->ops_room = room;
    }
    told->ops[told->ops_count++] = op.op;
}

static void rread_operations(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    struct skua__remote_told *told = arg;

    if (strcmp(name, "defaultSamplingProbability") == 0) {
        rread_number(in, 1, &told->ratio);
        told->has_ops = true;
    } else if (strcmp(name, "defaultLowerBoundTracesPerSecond") == 0) {
        rread_number(in, READ_RATE, &told->lower);
    } else if (strcmp(name, "perOperationStrategies") == 0 && skua__rjson_peek(in) == '[') {
        skua__rjson_array(in, depth, rread_op, told);
    } else {
        skua__rjson_skip(in, depth);
    }
}

static void rread_answer(struct skua__rjson *in, const char *name, unsigned depth, void *arg)
{
    struct skua__remote_told *told = arg;
    bool object = skua__rjson_peek(in) == '{';
    double ratio;

    if (object && strcmp(name, "operationSampling") == 0) {
        skua__rjson_object(in, depth, rread_operations, told);
    } else if (object && strcmp(name, "probabilisticSampling") == 0) {
        rread_ratio(in, depth, &ratio, &told->has_ratio);
        if (told->has_ratio && !told->has_ops)
            told->ratio = ratio;
    } else if (object && strcmp(name, "rateLimitingSampling") == 0) {
        skua__rjson_object(
            in, depth, rread_one,
            &(struct rread_one){"maxTracesPerSecond", READ_RATE, &told->rate, &told->has_rate});
    } else {
        skua__rjson_skip(in, depth);
    }
}

int skua__remote_read(const char *bytes, size_t len, struct skua__remote_told *ret)
{
    int rc;

    *ret = (struct skua__remote_told){.ratio = 0};
    rc = skua__rjson_whole(bytes, len, rread_answer, ret);
    if (rc == 0 && ret->no_memory)
        rc = -ENOMEM;
    if (rc == 0 && !ret->has_ops && !ret->has_ratio && !ret->has_rate)
        rc = -EBADMSG;
    return rc;
}

void skua__remote_told_free(struct skua__remote_told *told)
{
    skua__otel_free(told->ops);
}

#undef READ_RATE
