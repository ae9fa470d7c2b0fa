/* model_control.c - negative controls: each ordering of the library that a case runs, taken away.
 *
 * A model that finds nothing may be one that cannot find anything. So after the cases of a test
 * have passed, each atomic operation in the library's text that they came to (a site) is weakened,
 * in one way at a time, and the cases that come to it are run again: one of them must fail now.
 *
 *   seq        sequentially consistent becomes acquire and release; a fence is none
 *   acquire    an acquire becomes relaxed, an acquire and release a release
 *   release    the other half
 *   atomic     a read-modify-write becomes a load and a store
 *
 * Names      "function: operation operand: what is taken away", as a failing control prints it;
 *            with "#2" behind the operand where the same stands in a function a second time. A list
 *            may say "order" in its place for all but atomic.
 * Allowed    a weakening that nothing finds fails the test, unless it is listed there with the
 *            reason: it is stronger than needed, or for what the cases do not have. An entry that
 *            is found after all, or that matches nothing, fails the test, too. What is sequentially
 *            consistent without need is weakened further, as if it were not.
 * Flow       each control is a child process: the weakened library may crash or never come back,
 *            which are ways to be found. The cases are run with few schedules first, then with
 *            more: most are found soon, in one case or another. Allowed ones get few. With
 *            MODEL_SURVEY set all get all there are, and every control is printed.
 */
#include "model_impl.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CASES 64
#define SITES 256
#define NAME 160
#define HANGS_AFTER_S 5 /* of processor time without one more schedule */
#define STATUS_FOUND 10
#define STATUS_NOT_FOUND 11
#define STATUS_HANGS 12

/* What a child has to say. */
struct finding {
    char text[200];
};

static struct model_case cases[CASES];
static unsigned case_count;
static struct model_site *sites[SITES]; /* of the library, in the order of the text */
static unsigned site_count;
static bool recording;
static struct finding *finding; /* shared with the child */

static const unsigned rounds[] = {200, 5000, 50000, 20000000};

/* ---- what there is to weaken ----------------------------------------------------------------- */

/* The library's own text, not that of a test. */
static bool site_is_ours(const struct model_site *site)
{
    return strstr(site->file, "/tests/model/") == NULL;
}

void model_control_site(struct model_site *site, enum model_kind kind, int order)
{
    if (!recording)
        return;
    site->cases |= UINT64_C(1) << (case_count - 1);
    if (site->known || !site_is_ours(site))
        return;
    if (site_count == SITES)
        abort();
    site->known = true;
    site->kind = (uint8_t)kind;
    site->order = (uint8_t)order;
    sites[site_count++] = site;
}

void model_control_case(const struct model_case *the_case)
{
    if (case_count == CASES)
        abort();
    cases[case_count++] = *the_case;
    recording = true;
}

static int site_compare(const void *left, const void *right)
{
    const struct model_site *a = *(struct model_site *const *)left;
    const struct model_site *b = *(struct model_site *const *)right;
    int files = strcmp(model_file_name(a), model_file_name(b));

    return files != 0 ? files : a->line - b->line;
}

/* How many alike come before it in its function. */
static unsigned site_ordinal(unsigned index)
{
    unsigned count = 0;

    for (unsigned i = 0; i < index; i++)
        count += strcmp(sites[i]->func, sites[index]->func) == 0 &&
                 strcmp(sites[i]->operand, sites[index]->operand) == 0 &&
                 sites[i]->kind == sites[index]->kind;
    return count;
}

static bool site_rmw(const struct model_site *site)
{
    return site->kind != MODEL_LOAD_ && site->kind != MODEL_STORE_ && site->kind != MODEL_FENCE;
}

static bool site_has(const struct model_site *site, unsigned weak)
{
    switch (weak) {
    case MODEL_NO_SEQ:
        return site->order == memory_order_seq_cst;
    case MODEL_NO_ATOMIC:
        return site_rmw(site);
    case MODEL_NO_ACQUIRE:
        return site->order == memory_order_acquire || site->order == memory_order_acq_rel;
    case MODEL_NO_RELEASE:
        return site->order == memory_order_release || site->order == memory_order_acq_rel;
    case MODEL_NO_SEQ | MODEL_NO_ACQUIRE:
        return site->order == memory_order_seq_cst && (site_rmw(site) || site->kind == MODEL_LOAD_);
    default:
        return site->order == memory_order_seq_cst &&
               (site_rmw(site) || site->kind == MODEL_STORE_);
    }
}

static const char *weak_name(unsigned weak)
{
    return weak == MODEL_NO_SEQ                        ? "seq"
           : weak == MODEL_NO_ATOMIC                   ? "atomic"
           : weak == MODEL_NO_ACQUIRE                  ? "acquire"
           : weak == MODEL_NO_RELEASE                  ? "release"
           : weak == (MODEL_NO_SEQ | MODEL_NO_ACQUIRE) ? "seq and acquire"
                                                       : "seq and release";
}

static void control_name(char name[NAME], unsigned index, unsigned weak)
{
    const struct model_site *site = sites[index];
    unsigned ordinal = site_ordinal(index);
    char number[16] = "";

    if (ordinal != 0)
        (void)snprintf(number, sizeof number, " #%u", ordinal + 1);
    (void)snprintf(name, NAME, "%s: %s %s%s: %s", site->func,
                   model_kind_name((enum model_kind)site->kind), site->operand, number,
                   weak_name(weak));
}

/* ---- the child ------------------------------------------------------------------------------- */

/* A loop without an atomic, round which the weakened library goes for ever? */
static void child_looks(int number)
{
    static unsigned long runs;
    static int still;

    (void)number;
    still = model_runs() == runs ? still + 1 : 0;
    runs = model_runs();
    if (still == HANGS_AFTER_S)
        _exit(STATUS_HANGS);
}

static _Noreturn void child_main(const struct model_site *site, unsigned most)
{
    const struct itimerval second = {{1, 0}, {1, 0}};

    (void)signal(SIGVTALRM, child_looks);
    (void)setitimer(ITIMER_VIRTUAL, &second, NULL);
    for (unsigned round = 0; round < most; round++)
        for (unsigned i = 0; i < case_count; i++) {
            const char *failure;
            unsigned count;

            if (!(site->cases & UINT64_C(1) << i))
                continue;
            (void)snprintf(finding->text, sizeof finding->text, "%s: crashes", cases[i].name);
            failure = model_explore(&cases[i], rounds[round], &count);
            if (failure == NULL)
                continue;
            (void)snprintf(finding->text, sizeof finding->text, "%s: %s", cases[i].name, failure);
            _exit(STATUS_FOUND);
        }
    _exit(STATUS_NOT_FOUND);
}

/* Whether a case fails with the site weakened; finding->text says which and how. */
static bool control_found(struct model_site *site, unsigned weak, unsigned most)
{
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        site->weak = (uint8_t)weak;
        child_main(site, most);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        fail_msg("no child for a control");
    if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_HANGS)
        (void)snprintf(finding->text, sizeof finding->text, "hangs");
    return !WIFEXITED(status) || WEXITSTATUS(status) != STATUS_NOT_FOUND;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* By its name, or "order" in the place of what is taken away: all but atomic. */
static bool control_matches(const char *control, const char *name, unsigned weak)
{
    size_t len = strlen(name) - strlen(weak_name(weak));

    return strcmp(control, name) == 0 ||
           (weak != MODEL_NO_ATOMIC && strncmp(control, name, len) == 0 &&
            strcmp(control + len, "order") == 0);
}

static bool control_allowed(const struct model_allow *allow, const char *name, unsigned weak,
                            bool *used)
{
    for (unsigned i = 0; allow != NULL && allow[i].control != NULL; i++)
        if (control_matches(allow[i].control, name, weak))
            return used[i] = true;
    return false;
}

/* Weakens a site in all ways. Returns how many are not as they should be. */
static unsigned control_site(unsigned index, const struct model_allow *allow, bool *used,
                             unsigned *found_count, unsigned *allowed_count)
{
    static const unsigned kinds[] = {MODEL_NO_SEQ,
                                     MODEL_NO_ACQUIRE,
                                     MODEL_NO_RELEASE,
                                     MODEL_NO_SEQ | MODEL_NO_ACQUIRE,
                                     MODEL_NO_SEQ | MODEL_NO_RELEASE,
                                     MODEL_NO_ATOMIC};
    struct model_site *site = sites[index];
    bool survey = getenv("MODEL_SURVEY") != NULL;
    bool no_seq = false;
    unsigned bad = 0;
    char name[NAME];

    for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        unsigned weak = kinds[k];
        bool allows, found;

        if (!site_has(site, weak))
            continue;
        if (weak & MODEL_NO_SEQ && weak != MODEL_NO_SEQ && !no_seq)
            continue; /* found already: it is weaker still */
        control_name(name, index, weak);
        allows = control_allowed(allow, name, weak, used);
        no_seq |= allows && weak == MODEL_NO_SEQ;
        found = control_found(site, weak, survey ? 4 : allows ? 1 : 3);
        *found_count += found;
        *allowed_count += allows;
        bad += allows == found;
        if (survey || allows == found)
            print_message("%s \"%s\" [%s:%d] %s\n",
                          found    ? allows ? "FOUND AFTER ALL:" : "found:"
                          : allows ? "allowed:"
                                   : "NOT FOUND:",
                          name, model_file_name(site), site->line, found ? finding->text : "");
    }
    return bad;
}

static bool word_in(const char *word, const char *words)
{
    size_t len = strlen(word);

    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

void model_controls(const char *parts, const struct model_allow *allow)
{
    static bool used[SITES];
    unsigned found = 0, allowed = 0, bad = 0;

    recording = false;
    finding =
        mmap(NULL, sizeof *finding, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (finding == MAP_FAILED)
        fail_msg("no memory for controls");
    for (unsigned i = site_count; i-- != 0;)
        if (!word_in(model_file_name(sites[i]), parts) && !word_in(sites[i]->func, parts))
            sites[i] = sites[--site_count]; /* another test's to weaken */
    qsort(sites, site_count, sizeof sites[0], site_compare);
    for (unsigned i = 0; i < site_count; i++)
        bad += control_site(i, allow, used, &found, &allowed);
    for (unsigned i = 0; allow != NULL && allow[i].control != NULL; i++)
        if (!used[i]) {
            bad++;
            print_message("NO SUCH CONTROL: \"%s\"\n", allow[i].control);
        }
    print_message("controls of %u sites: %u found, %u allowed\n", site_count, found, allowed);
    if (bad != 0)
        fail_msg("%u controls are not as they should be", bad);
    assert_true(found != 0);
}
