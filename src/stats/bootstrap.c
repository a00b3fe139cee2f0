/* stats/bootstrap.c - see bootstrap.h. */
#include "stats/bootstrap.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng.h"
#include "stats/quantile.h"

#define CHUNKS                                                                                 \
    64 /* pieces of work; each has its own weights, so results do not depend on threads */

typedef struct job {
    const us_scores *a, *b; /* b NULL: one model */
    const us_metric *m;
    uint64_t seed;
    const uint32_t *rows; /* that count */
    size_t n_rows;
    size_t n_resamples;
    uint32_t *weights; /* CHUNKS * n */
    double *out;       /* n_resamples; metric, or signed difference */
} job;

static double measure(const job *j, const uint32_t *w)
{
    double a = j->m->value(j->a, w);
    if (!j->b) return a;
    double d = a - j->m->value(j->b, w);
    return j->m->higher_better ? d : -d;
}

static void run_chunk(void *arg, size_t i0, size_t i1)
{
    const job *j = arg;
    size_t n = j->a->n;
    for (size_t k = i0; k < i1; k++) {
        uint32_t *w = j->weights + k * n;
        for (size_t r = k; r < j->n_resamples; r += CHUNKS) {
            us_rng rng = us_rng_new(j->seed, "bootstrap", r);
            memset(w, 0, n * sizeof *w);
            for (size_t i = 0; i < j->n_rows; i++)
                w[j->rows[us_rng_below(&rng, j->n_rows)]]++;
            j->out[r] = measure(j, w);
        }
    }
}

static us_err mask_rows(us_ctx *c, us_arena *a, job *j, const uint8_t *mask, uint32_t **w0)
{
    size_t n = j->a->n, k = 0;
    uint32_t *rows = us_new_n(a, uint32_t, US_MAX(n, 1)),
             *w = us_new_n(a, uint32_t, US_MAX(n, 1));
    if (!rows || !w) return us_arena_fail(c, a);
    for (size_t i = 0; i < n; i++)
        if (!mask || mask[i]) {
            rows[k++] = (uint32_t)i;
            w[i] = 1;
        }
    if (k == 0) return us_fail(c, US_NO, "%s of no rows", j->m->name);
    j->rows = rows;
    j->n_rows = k;
    *w0 = w;
    return US_OK;
}

/* Fills out with the resamples' values, not-defined ones taken out (a resample may miss a class), sorted. */
static us_err resample(us_ctx *c, us_arena *a, job *j, size_t *n_good)
{
    size_t n = 0;
    j->weights = us_arena_alloc(a, CHUNKS * US_MAX(j->a->n, 1), sizeof(uint32_t), 64);
    j->out = us_new_n(a, double, j->n_resamples);
    double *tmp = us_new_n(a, double, j->n_resamples);
    if (!j->weights || !j->out || !tmp) return us_arena_fail(c, a);
    us_pool_run(c->pool, CHUNKS, 1, run_chunk, j);
    US_TRY(us_ctx_poll(c));
    for (size_t i = 0; i < j->n_resamples; i++)
        if (!isnan(j->out[i])) j->out[n++] = j->out[i];
    if (n * 2 < j->n_resamples)
        return us_fail(c, US_NO, "%s is not defined on most resamples of %zu rows", j->m->name,
                       j->n_rows);
    us_sort_f64(j->out, tmp, n);
    *n_good = n;
    return US_OK;
}

static double deviation(const double *x, size_t n)
{
    double mean = 0, q = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        q += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(q / (double)(n - 1)) : 0;
}

static us_err usable(us_ctx *c, const us_scores *s, const us_metric *m)
{
    if (s->task != m->task)
        return us_fail(c, US_ARG, "%s does not fit the task %s", m->name,
                       us_task_name(s->task));
    if (m->needs_prob && !s->prob)
        return us_fail(c, US_ARG, "%s needs probabilities, the model gives labels only",
                       m->name);
    return US_OK;
}

us_err us_bootstrap(us_ctx *c, const us_scores *s, const us_metric *m, const uint8_t *mask,
                    uint64_t seed, uint32_t n_resamples, double level, us_interval *out)
{
    job j = {.a = s, .m = m, .seed = seed};
    us_interval r = {.level = level > 0 ? level : 0.95,
                     .n_resamples = n_resamples ? n_resamples : US_BOOTSTRAP_DEFAULT};
    us_arena *a = NULL;
    uint32_t *w;
    size_t n;
    us_err e = US_OK;
    j.n_resamples = r.n_resamples;
    US_TRY(usable(c, s, m));
    US_TRY(us_arena_new(c, "bootstrap", (size_t)1 << 38, &a));
    US_GO(mask_rows(c, a, &j, mask, &w));
    r.value = m->value(s, w);
    if (isnan(r.value)) {
        e = us_fail(c, US_NO, "%s is not defined on these %zu rows", m->name, j.n_rows);
        goto out;
    }
    US_GO(resample(c, a, &j, &n));
    r.lo = us_quantile_sorted(j.out, n, (1 - r.level) / 2);
    r.hi = us_quantile_sorted(j.out, n, (1 + r.level) / 2);
    r.se = deviation(j.out, n);
    *out = r;
out:
    us_arena_free(a);
    return e;
}

us_err us_bootstrap_paired(us_ctx *c, const us_scores *a, const us_scores *b,
                           const us_metric *m, const uint8_t *mask, uint64_t seed,
                           uint32_t n_resamples, double level, us_paired *out)
{
    job j = {.a = a, .b = b, .m = m, .seed = seed};
    us_paired r = {0};
    us_arena *arena = NULL;
    uint32_t *w;
    size_t n, n_low = 0, n_high = 0;
    us_err e = US_OK;
    double tail = (1 - (level > 0 ? level : 0.95)) / 2;
    j.n_resamples = n_resamples ? n_resamples : US_BOOTSTRAP_DEFAULT;
    US_TRY(usable(c, a, m));
    US_TRY(usable(c, b, m));
    if (a->n != b->n)
        return us_fail(c, US_SHAPE, "paired comparison of %zu and %zu rows", a->n, b->n);
    US_TRY(us_arena_new(c, "bootstrap", (size_t)1 << 38, &arena));
    US_GO(mask_rows(c, arena, &j, mask, &w));
    r.a = m->value(a, w);
    r.b = m->value(b, w);
    r.diff = measure(&j, w);
    if (isnan(r.diff)) {
        e = us_fail(c, US_NO, "%s is not defined on these %zu rows", m->name, j.n_rows);
        goto out;
    }
    US_GO(resample(c, arena, &j, &n));
    for (size_t i = 0; i < n; i++) {
        n_low += j.out[i] <= 0;
        n_high += j.out[i] >= 0;
    }
    r.lo = us_quantile_sorted(j.out, n, tail);
    r.hi = us_quantile_sorted(j.out, n, 1 - tail);
    r.p = 2 * (double)US_MIN(n_low, n_high) / (double)n;
    r.p = fmin(1, fmax(r.p, 1 / (double)(n + 1)));
    r.significant = r.lo > 0 || r.hi < 0;
    *out = r;
out:
    us_arena_free(arena);
    return e;
}
