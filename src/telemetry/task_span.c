/* task_span.c - a span for each task that shall have one: its life as others see it.
 *
 * Flow       spawn -> skua__task_span_begin: a span, whose link goes in front of what the task
 *            inherits -> its turns are told (skua__task_span_turn) -> skua__task_span_end
 * Owner      the task's span is found by its link: made by this task, of this generation. Frames of
 *            the task's own may stand in front of it, and end before it.
 * Figures    are measured between the events of the task's turns, by whoever holds it: plain
 *            memory, ordered by its state word. They are in a spare cell, which is given back with
 *            the task; the link may live longer, in those who inherit it. Where there is no memory
 *            for them, the SDK went meanwhile, or the span is not recorded, there are none.
 * Cost       nothing, until a span is asked for. Then turns of all tasks are told until the SDK
 *            goes: a call and some compares; of one with figures a look at the clock.
 */
#include <time.h>

#include <skua/telemetry.h>

#include "os/os.h"
#include "task/task_impl.h"

#define TASK_SPAN_TURNS                                                                            \
    (SKUA_PROBE_BIT(SKUA_PROBE_POLLED) | SKUA_PROBE_BIT(SKUA_PROBE_PARKED) |                       \
     SKUA_PROBE_BIT(SKUA_PROBE_YIELDED) | SKUA_PROBE_BIT(SKUA_PROBE_WOKEN))

enum task_span_phase { TASK_SPAN_SCHEDULED, TASK_SPAN_BUSY, TASK_SPAN_IDLE, TASK_SPAN_PHASES };

/* Behind the header of a cell that is no task's. Guard: the task's holder. */
struct task_span_figures {
    struct skua_task cell;
    int64_t since;                   /* when the phase began; 0: not known */
    int64_t spent[TASK_SPAN_PHASES]; /* ns */
    int64_t cancelled;               /* when it was seen; 0: it was not */
    uint64_t polls;
    uint32_t rests; /* task_span_rests at the beginning */
    enum task_span_phase phase;
};

static skua_tracer task_span_tracer = SKUA_TRACER("skua.task", SKUA_VERSION);

/* Release, acquire: the fields of what it points at. */
static _Atomic(const skua_task_spans *) task_spans;

/* How often turns ceased to be told: figures that were begun before are not whole. Release,
 * acquire: who begins behind a change sees that turns are not told. */
static _Atomic uint32_t task_span_rests;

int skua_task_spans_install(const skua_task_spans *spans)
{
    const skua_task_spans *none = NULL;

    if (spans == NULL) {
        skua__probe_own(0, SKUA_PROBE_BIT(SKUA_PROBE_SPAWNED));
        skua__store_release(&task_spans, NULL);
        return 0;
    }
    if (spans->size != sizeof *spans || spans->wanted == NULL)
        return -EINVAL;
    if (!skua__cas_acq_rel(&task_spans, &none, spans))
        return -EBUSY;
    skua__probe_own(SKUA_PROBE_BIT(SKUA_PROBE_SPAWNED), 0);
    return 0;
}

void skua__task_spans_rest(void)
{
    skua__probe_own(0, TASK_SPAN_TURNS);
    skua__add_acq_rel(&task_span_rests, 1);
}

/* ---- the link -------------------------------------------------------------------------------- */

static void task_span_gone(void *span)
{
    skua_span_unref(span);
}

static const skua_local_key task_span_key = {"task span", NULL, task_span_gone};

static struct skua__context *task_span_link(const struct skua_task *task)
{
    uint32_t generation = skua__load_relaxed(&((struct skua_task *)(uintptr_t)task)->generation);
    struct skua__context *link = task->context;

    while (skua__context_made_by(link, task)) {
        /* A link may be of a task that had this cell before. Its own generation does not change. */
        if (link->key == &task_span_key)
            return link->generation == generation ? link : NULL;
        link = link->outer;
    }
    return NULL;
}

/* What is behind the spans of other tasks, at the front: those say nothing more to who has a span,
 * and a task that spawns the next one and ends would be kept by it, for ever. */
static struct skua__context *task_span_behind(struct skua__context *context)
{
    struct skua__context *behind = context;

    while (behind != NULL && behind->key == &task_span_key)
        behind = behind->outer;
    if (behind != context) {
        skua__context_ref(behind);
        skua__context_unref(context);
    }
    return behind;
}

/* Puts the span's own link in front of what the task has inherited. Nobody else knows the span. */
static struct skua__context *task_span_lend(struct skua_task *task, skua_span *span)
{
    skua_span_head *head = (skua_span_head *)span;
    struct skua__context *link = (struct skua__context *)(void *)&head->link;
    struct skua__context *outer;

    __atomic_store_n(&head->entered, 1, __ATOMIC_RELAXED);
    outer = task_span_behind(task->context); /* the task's reference becomes the link's */
    link->outer = outer;
    link->maker = task;
    link->generation = skua__load_relaxed(&task->generation);
    skua__store_relaxed(&link->refs, 1);
    link->deadline = skua__context_deadline(outer);
    link->queue = outer != NULL ? outer->queue : NULL;
    link->key = &task_span_key;
    link->value = skua_span_ref(span);
    link->span = span;
    link->lent = true;
    link->figures = NULL;
    task->context = link;
    return link;
}

/* ---- begin ----------------------------------------------------------------------------------- */

/* The clock of the task's timers; a test's own is its worker's alone: then 0. */
static int64_t task_span_now(const struct skua__thread *self, const struct skua_task *task)
{
    const struct skua__core *core = skua__task_core(task);

    return core->clock != NULL && self->core != core ? 0 : skua__core_now(core);
}

static struct task_span_figures *task_span_figures_new(struct skua__thread *self,
                                                       const struct skua_task *task)
{
    /* As large as a fiber's: from the same list. */
    struct task_span_figures *figures =
        (void *)skua__cell_spare_take(skua__task_core(task), self, sizeof(struct skua__fiber));

    if (figures == NULL)
        return NULL;
    figures->rests = skua__load_acquire(&task_span_rests);
    figures->since = task_span_now(self, task);
    for (int i = 0; i < TASK_SPAN_PHASES; i++)
        figures->spent[i] = 0;
    figures->cancelled = 0;
    figures->polls = 0;
    figures->phase = TASK_SPAN_SCHEDULED;
    return figures;
}

_Static_assert(sizeof(struct task_span_figures) <= sizeof(struct skua__fiber), "it is one cell");

static bool task_span_wanted(const skua_site *site)
{
    const skua_task_spans *spans = skua__load_acquire(&task_spans);

    return spans != NULL && spans->wanted(site, spans->arg);
}

void skua__task_span_begin(struct skua__thread *self, struct skua_task *task, bool asked)
{
    const skua_site *site = skua__load_relaxed(&task->site); /* constant */
    const char *runtime = skua__task_core(task)->name;
    struct skua__context *link;
    skua_span *span;

    if (!SKUA_TRACE_ON() || (!asked && (task_span_link(task) != NULL || !task_span_wanted(site))))
        return;
    span = skua_span_start(
        &task_span_tracer, site->name,
        SKUA_SPAN_OPTIONS(.attrs =
                              SKUA_ATTRS(SKUA_I64("skua.task.id", (int64_t)skua__task_id(task)),
                                         SKUA_STR("code.function.name", site->func),
                                         SKUA_STR("code.file.path", site->file),
                                         SKUA_I64("code.line.number", site->line),
                                         SKUA_STR("skua.runtime.name", runtime)),
                          .attrs_count = runtime != NULL ? 5 : 4));
    if (span == NULL)
        return;
    link = task_span_lend(task, span);
    if (!skua_span_recording(span))
        return;
    link->figures = task_span_figures_new(self, task); /* before it is asked for turns: `rests` */
    if ((skua__load_relaxed(&skua__probe_mask) & TASK_SPAN_TURNS) != TASK_SPAN_TURNS)
        skua__probe_own(TASK_SPAN_TURNS, 0);
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* What was since the last event, up to now. */
static void task_span_spend(struct task_span_figures *figures, struct skua__thread *self,
                            const struct skua_task *task, enum task_span_phase phase)
{
    int64_t now = task_span_now(self, task);

    if (figures->since != 0 && now > figures->since)
        figures->spent[phase] += now - figures->since;
    figures->since = now;
    /* Relaxed: sticky, and seen at the end at the latest. */
    if (figures->cancelled == 0 &&
        (skua__load_relaxed(&((struct skua_task *)(uintptr_t)task)->state) & SKUA__CANCELLED))
        figures->cancelled = now;
}

void skua__task_span_turn(struct skua__thread *self, struct skua_task *task, int kind)
{
    const struct skua__context *link = task_span_link(task);
    struct task_span_figures *figures = link != NULL ? link->figures : NULL;
    enum task_span_phase phase;

    if (figures == NULL)
        return;
    phase = figures->phase;
    if (kind == SKUA_PROBE_POLLED && phase == TASK_SPAN_IDLE)
        phase = TASK_SPAN_SCHEDULED; /* it was woken before it was idle */
    task_span_spend(figures, self, task, phase);
    figures->polls += kind == SKUA_PROBE_POLLED;
    figures->phase = kind == SKUA_PROBE_POLLED   ? TASK_SPAN_BUSY
                     : kind == SKUA_PROBE_PARKED ? TASK_SPAN_IDLE
                                                 : TASK_SPAN_SCHEDULED;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* A time of the clock of timers as ns since 1970; 0, which is now, where that clock is a test's. */
static int64_t task_span_date(const struct skua_task *task, int64_t time)
{
    struct timespec now;

    if (time == 0 || skua__task_core(task)->clock != NULL)
        return 0;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * SKUA_SECOND + now.tv_nsec - (skua__os_now() - time);
}

/* All that is known at the end, in one call. figures: NULL: there are none. */
static void task_span_tell(skua_span *span, const struct task_span_figures *figures, int result)
{
    const double second = 1e9;
    skua_attr attrs[6] = {SKUA_I64("skua.task.result", result)};
    size_t count = 1;

    if (figures != NULL) {
        const int64_t *spent = figures->spent;

        attrs[count++] = SKUA_I64("skua.task.polls", (int64_t)figures->polls);
        attrs[count++] = SKUA_F64("skua.task.busy", (double)spent[TASK_SPAN_BUSY] / second);
        attrs[count++] =
            SKUA_F64("skua.task.scheduled", (double)spent[TASK_SPAN_SCHEDULED] / second);
        attrs[count++] = SKUA_F64("skua.task.idle", (double)spent[TASK_SPAN_IDLE] / second);
    }
    if (result < 0 && result != -ECANCELED) {
        attrs[count++] = SKUA_STR("error.type", skua_error_name(result));
        skua_span_set_status(span, SKUA_SPAN_ERROR, skua_strerror(result));
    }
    skua_span_set_attrs(span, attrs, count);
}

void skua__task_span_end(struct skua__thread *self, struct skua_task *task, int result)
{
    struct skua__context *link = task_span_link(task);
    struct task_span_figures *figures;
    int64_t cancelled = 0;
    bool whole;

    if (link == NULL)
        return;
    figures = link->figures;
    if (figures != NULL) {
        task_span_spend(figures, self, task, figures->phase);
        cancelled = figures->cancelled;
    }
    whole = figures != NULL && figures->rests == skua__load_acquire(&task_span_rests);
    task_span_tell(link->span, whole ? figures : NULL, result);
    if (figures != NULL)
        skua__cell_spare_give(self, &figures->cell);
    if (skua__load_relaxed(&task->state) & SKUA__CANCELLED) /* sticky; as in task_span_spend */
        skua_span_event(link->span, "cancelled", task_span_date(task, cancelled), NULL, 0);
    skua_span_end(link->span);
}

#undef TASK_SPAN_TURNS
