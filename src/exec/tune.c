/* exec/tune.c - see tune.h. */
#include "exec/tune.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "exec/plan.h"

enum { LEAST_PAIRS = 3, MOST_PAIRS = 2000, WARM_RUNS = 2 };
#define CLEARLY 0.97  /* of the model's time, to be taken for faster */
#define AGAIN   0.985 /* the second time */

/* One plan being timed: per row of its profile the shortest time in a run. */
typedef struct timed {
    us_session *s;
    double *ns;
} timed;

typedef struct tuner {
    us_ctx *c;
    us_arena *a;
    us_plan *p;
    const us_value *in;
    const us_tune_opts *o;
    uint64_t end_ns;
    size_t n, n_rows;
    us_kernel_choice *choices; /* as they will be */
    double *base;              /* per choice the shortest time of the model's */
    double **ns; /* per choice and candidate: the ratio to the model's; 0: not timed */
    timed model, other;
} tuner;

/* --- timing ---------------------------------------------------------------------------------------- */

static us_err open_timed(tuner *k, us_plan *p, timed *t)
{
    us_session_opts so = {.seed = k->o->seed, .images = k->o->images, .profile = true};
    return us_session_new(k->c, p, &so, &t->s);
}

static us_err run_once(tuner *k, timed *t)
{
    const us_profile_row *rows = NULL;
    us_session_profile_reset(t->s);
    US_TRY(us_session_call(k->c, t->s, k->in));
    (void)us_session_profile(t->s, &rows);
    for (size_t i = 0; i < k->n_rows; i++)
        if (rows[i].n_calls) t->ns[i] = fmin(t->ns[i], (double)rows[i].ns);
    return US_OK;
}

static us_err warm(tuner *k, timed *t)
{
    for (int i = 0; i < WARM_RUNS; i++)
        US_TRY(us_session_call(k->c, t->s, k->in));
    for (size_t i = 0; i < k->n_rows; i++)
        t->ns[i] = (double)INFINITY;
    return US_OK;
}

/* All steps, each at its shortest: the run that a quiet machine would give. */
static double run_ns(const tuner *k, const timed *t)
{
    double sum = 0;
    for (size_t i = 0; i < k->n_rows; i++)
        sum += isfinite(t->ns[i]) ? t->ns[i] : 0;
    return sum;
}

static double step_ns(const tuner *k, const timed *t, size_t i)
{
    return t->ns[k->choices[i].row];
}

static us_err in_turn(tuner *k, double seconds)
{
    uint64_t end = us_now_ns() + (uint64_t)(seconds * 1e9);
    US_TRY(warm(k, &k->model));
    US_TRY(warm(k, &k->other));
    for (int i = 0; i < MOST_PAIRS && (i < LEAST_PAIRS || us_now_ns() < end); i++) {
        US_TRY(run_once(k, &k->model));
        US_TRY(run_once(k, &k->other));
    }
    for (size_t i = 0; i < k->n; i++)
        k->base[i] = fmin(k->base[i], step_ns(k, &k->model, i));
    return US_OK;
}

/* A round: the plan beside one with these choices, for a fair part of what time is left. */
static us_err play(tuner *k, const us_kernel_choice *choices, size_t rounds_left)
{
    us_plan *p;
    uint64_t now = us_now_ns();
    double left = now < k->end_ns ? (double)(k->end_ns - now) / 1e9 : 0;
    US_TRY(us_plan_vary(k->c, k->p, choices, k->n, &p));
    us_err e = open_timed(k, p, &k->other);
    if (e == US_OK) e = in_turn(k, left / (double)rounds_left);
    us_session_free(k->other.s);
    k->other.s = NULL;
    us_plan_free(p);
    return e;
}

/* --- rounds ----------------------------------------------------------------------------------------- */

/* The `round`-th candidate of a choice beside the model's; n: there is none. */
static size_t candidate(const tuner *k, const us_kernel_choice *x, size_t round)
{
    bool alone = us_pool_n_threads(k->c->pool) == 1;
    for (size_t j = 0; j < x->n; j++) {
        if (j == x->best || (alone && x->list[j].threads)) continue;
        if (round-- == 0) return j;
    }
    return x->n;
}

static size_t count_rounds(const tuner *k)
{
    size_t most = 0;
    for (size_t i = 0; i < k->n; i++) {
        size_t n = 0;
        while (candidate(k, &k->choices[i], n) < k->choices[i].n)
            n++;
        most = US_MAX(most, n);
    }
    return most;
}

static us_err time_candidates(tuner *k, us_kernel_choice *tries, size_t rounds)
{
    for (size_t r = 0; r < rounds; r++) {
        for (size_t i = 0; i < k->n; i++) {
            size_t j = candidate(k, &k->choices[i], r);
            tries[i].chosen = j < k->choices[i].n ? j : k->choices[i].best;
        }
        US_TRY(play(k, tries, rounds - r + 2));
        for (size_t i = 0; i < k->n; i++) {
            double ratio = step_ns(k, &k->other, i) / step_ns(k, &k->model, i);
            bool is = tries[i].chosen != tries[i].best && isfinite(ratio);
            if (is) k->ns[i][tries[i].chosen] = ratio;
        }
    }
    return US_OK;
}

static void choose(tuner *k)
{
    for (size_t i = 0; i < k->n; i++) {
        us_kernel_choice *x = &k->choices[i];
        double least = CLEARLY;
        for (size_t j = 0; j < x->n; j++) {
            if (!(k->ns[i][j] > 0) || k->ns[i][j] >= least) continue;
            least = k->ns[i][j];
            x->chosen = j;
        }
    }
}

static size_t count_others(const tuner *k)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++)
        n += k->choices[i].chosen != k->choices[i].best;
    return n;
}

/* The winners once more, all together. */
static us_err confirm(tuner *k)
{
    if (count_others(k) == 0) return US_OK;
    US_TRY(play(k, k->choices, 2));
    for (size_t i = 0; i < k->n; i++) {
        us_kernel_choice *x = &k->choices[i];
        double ratio = step_ns(k, &k->other, i) / step_ns(k, &k->model, i);
        if (x->chosen == x->best) continue;
        k->ns[i][x->chosen] = fmax(k->ns[i][x->chosen], ratio);
        if (!(ratio < AGAIN)) x->chosen = x->best;
    }
    return US_OK;
}

/* The plan as it will be, beside the model's: it stays only where it is faster. */
static us_err compare(tuner *k, us_tune_info *info)
{
    info->n_choices = k->n;
    info->n_other = count_others(k);
    if (info->n_other > 0) {
        US_TRY(play(k, k->choices, 1));
        info->model_ns = run_ns(k, &k->model);
        info->tuned_ns = run_ns(k, &k->other);
        if (info->tuned_ns < info->model_ns) return US_OK;
    }
    info->model_ns = info->tuned_ns = run_ns(k, &k->model);
    info->n_other = 0;
    for (size_t i = 0; i < k->n; i++)
        k->choices[i].chosen = k->choices[i].best;
    return US_OK;
}

/* From ratios to times. */
static void settle_times(tuner *k)
{
    for (size_t i = 0; i < k->n; i++) {
        us_kernel_choice *x = &k->choices[i];
        double base =
            isfinite(k->base[i]) ? k->base[i] : 0; /* a step that never ran has none */
        k->ns[i][x->best] = 1;
        for (size_t j = 0; j < x->n; j++)
            k->ns[i][j] *= base;
    }
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static us_err make_room(tuner *k, us_kernel_choice **tries)
{
    k->n = k->p->choices.n;
    k->choices = us_new_n(k->a, us_kernel_choice, k->n);
    *tries = us_new_n(k->a, us_kernel_choice, k->n);
    k->base = us_new_n(k->a, double, k->n);
    k->ns = us_new_n(k->a, double *, k->n);
    k->n_rows = k->p->n_rows;
    k->model.ns = us_new_n(k->a, double, k->n_rows);
    k->other.ns = us_new_n(k->a, double, k->n_rows);
    if (!k->choices || !*tries || !k->base || !k->ns || !k->model.ns || !k->other.ns)
        return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < k->n; i++) {
        us_kernel_choice *x = &k->choices[i];
        *x = k->p->choices.at[i];
        x->ns = k->ns[i] = us_new_n(k->a, double, x->n);
        if (!x->ns) return us_arena_fail(k->c, k->a);
        x->chosen = x->best;
        (*tries)[i] = *x;
        k->base[i] = (double)INFINITY;
    }
    return US_OK;
}

static us_err tune(tuner *k, us_plan **out, us_tune_info *info)
{
    us_kernel_choice *tries;
    us_plan *made;
    size_t rounds;
    k->end_ns = us_now_ns() + (uint64_t)(US_MIN(k->o->seconds, US_TUNE_MAX_SECONDS) * 1e9);
    US_TRY(make_room(k, &tries));
    rounds = count_rounds(k);
    if (rounds == 0) {
        *out = k->p;
        return US_OK;
    }
    US_TRY(open_timed(k, k->p, &k->model));
    US_TRY(time_candidates(k, tries, rounds));
    choose(k);
    US_TRY(confirm(k));
    US_TRY(compare(k, info));
    settle_times(k);
    us_session_free(k->model.s);
    k->model.s = NULL;
    US_TRY(us_plan_vary(k->c, k->p, k->choices, k->n, &made));
    made->under = k->p;
    *out = made;
    return US_OK;
}

us_err us_plan_tune(us_ctx *c, us_plan *p, const us_value *in, const us_tune_opts *o,
                    us_plan **out, us_tune_info *info)
{
    *info = (us_tune_info){0};
    if (p->source)
        return us_fail(c, US_UNSUPP, "a plan that gives back its weights is not tuned");
    for (size_t i = 0; i < p->choices.n; i++)
        if (p->choices.at[i].ns) return us_fail(c, US_UNSUPP, "a plan that was tuned already");
    if (p->choices.n == 0) {
        *out = p;
        return US_OK;
    }
    tuner k = {.c = c, .p = p, .in = in, .o = o};
    us_tune_info found = {0};
    US_TRY(us_arena_new(c, "timing kernels", (size_t)1 << 30, &k.a));
    us_err e = tune(&k, out, &found);
    us_session_free(k.model.s);
    us_arena_free(k.a);
    if (e == US_OK) *info = found;
    return e;
}
