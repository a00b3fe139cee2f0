/* ir/bind_rows.c - calls of Softmax, the normalisations and the reductions on float32: kernel/rows.h over merged axes.
 *
 * Every one of them sees its input as outer x n x inner, with the n numbers in the middle belonging together. A reduction over axes that do not lie
 * next to each other is one over each stretch of them, the innermost first, through scratch. Threads get rows, blocks or columns: no sum is cut.
 */
#include <math.h>

#include "base/pool.h"
#include "ir/op_util.h"
#include "kernel/rows.h"

#define SERIAL_NS 50000.0 /* below, waking a helper costs more than it gives */

/* Rows per piece of work, for about 20 us each; all when it is not worth a helper. */
static size_t grain_of(size_t units, double ns)
{
    double pieces = ns < SERIAL_NS ? 1 : ns / 20000.0;
    return US_MAX((size_t)((double)units / pieces), (size_t)1);
}

/* --- softmax ---------------------------------------------------------------------------------------- */

typedef struct softmax_state {
    const us_row_kernels *kernels;
    size_t outer, n, inner;
    bool logarithm;
    size_t grain; /* of rows or blocks; of columns where there is one block */
} softmax_state;

typedef struct softmax_job {
    const softmax_state *s;
    const float *x;
    float *y;
} softmax_job;

static void softmax_part(void *arg, size_t from, size_t to)
{
    const softmax_job *j = arg;
    const softmax_state *s = j->s;
    bool columns = s->outer == 1 && s->inner > 1;
    size_t at = columns ? 0 : from * s->n * s->inner;
    us_softmax_args a = {.rows = columns ? 1 : to - from,
                         .n = s->n,
                         .inner = s->inner,
                         .j0 = columns ? from : 0,
                         .j1 = columns ? to : s->inner,
                         .logarithm = s->logarithm,
                         .x = j->x + at,
                         .y = j->y + at};
    s->kernels->softmax(&a);
}

static us_err run_softmax(us_eval *k, const void *state, void *scratch)
{
    const softmax_state *s = state;
    softmax_job j = {s, k->in[0]->t.data, k->out[0]->t.data};
    (void)scratch;
    size_t units = s->outer == 1 ? s->inner : s->outer;
    us_pool_run(k->c->pool, units, s->grain, softmax_part, &j);
    return US_OK;
}

static us_err bind_softmax(us_eval *k, us_call *call, bool logarithm)
{
    const us_p_softmax *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    int axis;
    call->kernel = "not of float32";
    if (!us_is_f32(x) || !us_is_f32(y) || x->rank < 1 || !us_axis_norm(p->axis, x->rank, &axis))
        return US_OK;
    void *mem;
    US_TRY(us_eval_keep(k, sizeof(softmax_state), &mem));
    softmax_state *s = mem;
    *s = (softmax_state){.kernels = us_kernels_get(k->c)->rows,
                         .outer = (size_t)us_dims_product(x->dims, 0, axis),
                         .n = (size_t)x->dims[axis],
                         .inner = (size_t)us_dims_product(x->dims, axis + 1, x->rank),
                         .logarithm = logarithm};
    double ns = 0.8 * (double)us_tensor_count(x);
    bool columns = s->outer == 1 && s->inner > 1;
    s->grain = grain_of(columns ? s->inner : s->outer, ns);
    if (columns) s->grain = (s->grain + 63) / 64 * 64;
    *call = (us_call){.run = run_softmax, .state = s, .kernel = s->kernels->name};
    return US_OK;
}
us_err softmax_bind(us_eval *k, us_call *call)
{
    return bind_softmax(k, call, false);
}
us_err log_softmax_bind(us_eval *k, us_call *call)
{
    return bind_softmax(k, call, true);
}

/* --- normalisations --------------------------------------------------------------------------------- */

typedef struct norm_state {
    const us_row_kernels *kernels;
    size_t rows, n, grain;
    bool centre, has_scale, has_bias;
    float epsilon;
    int mean, inverse; /* outputs; 0: not wanted */
} norm_state;

typedef struct norm_job {
    size_t n;
    const us_row_kernels *kernels;
    us_norm_args a;
} norm_job;

static void norm_part(void *arg, size_t from, size_t to)
{
    const norm_job *j = arg;
    us_norm_args a = j->a;
    a.rows = to - from;
    a.x += from * j->n;
    a.y += from * j->n;
    if (a.mean) a.mean += from;
    if (a.inverse) a.inverse += from;
    j->kernels->norm(&a);
}

static us_err run_norm(us_eval *k, const void *state, void *scratch)
{
    const norm_state *s = state;
    norm_job j = {.n = s->n, .kernels = s->kernels};
    (void)scratch;
    j.a = (us_norm_args){.n = s->n,
                         .centre = s->centre,
                         .epsilon = s->epsilon,
                         .x = k->in[0]->t.data,
                         .scale = s->has_scale ? k->in[1]->t.data : NULL,
                         .bias = s->has_bias ? k->in[2]->t.data : NULL,
                         .y = k->out[0]->t.data,
                         .mean = s->mean ? k->out[s->mean]->t.data : NULL,
                         .inverse = s->inverse ? k->out[s->inverse]->t.data : NULL};
    us_pool_run(k->c->pool, s->rows, s->grain, norm_part, &j);
    return US_OK;
}

/* A scale or bias for each number of a row, without broadcasting. */
static bool fits_row(const us_tensor *t, const us_tensor *x, int axis)
{
    if (!us_is_f32(t) || t->rank > x->rank - axis) return false;
    for (int i = 0; i < x->rank - axis; i++) {
        int d = i - (x->rank - axis - t->rank);
        int64_t n = d < 0 ? 1 : t->dims[d];
        if (n != x->dims[axis + i]) return false;
    }
    return true;
}

static bool wants_f32(const us_eval *k, size_t i)
{
    return !us_eval_wants(k, i) || us_is_f32(us_eval_opt_out(k, i));
}

static us_err bind_norm(us_eval *k, us_call *call, int64_t axis_attr, float epsilon,
                        bool centre)
{
    const us_tensor *x = us_eval_opt(k, 0), *scale = us_eval_opt(k, 1),
                    *bias = us_eval_opt(k, 2), *y = us_eval_opt_out(k, 0);
    int axis;
    call->kernel = "not of float32, or scale and bias not of the row's shape";
    bool fits = us_is_f32(x) && us_is_f32(y) && wants_f32(k, 1) && wants_f32(k, 2) &&
                us_axis_norm(axis_attr, x->rank, &axis);
    if (!fits || (scale && !fits_row(scale, x, axis)) || (bias && !fits_row(bias, x, axis)))
        return US_OK;
    void *mem;
    US_TRY(us_eval_keep(k, sizeof(norm_state), &mem));
    norm_state *s = mem;
    *s = (norm_state){.kernels = us_kernels_get(k->c)->rows,
                      .rows = (size_t)us_dims_product(x->dims, 0, axis),
                      .n = (size_t)us_dims_product(x->dims, axis, x->rank),
                      .centre = centre,
                      .has_scale = scale != NULL,
                      .has_bias = bias != NULL,
                      .epsilon = epsilon};
    if (us_eval_wants(k, 1) && centre) s->mean = 1;
    if (us_eval_wants(k, 1) && !centre) s->inverse = 1;
    if (us_eval_wants(k, 2)) s->inverse = 2;
    s->grain = grain_of(s->rows, 0.4 * (double)us_tensor_count(x));
    *call = (us_call){.run = run_norm, .state = s, .kernel = s->kernels->name};
    return US_OK;
}

us_err layer_normalization_bind(us_eval *k, us_call *call)
{
    const us_p_layer_normalization *p = k->params;
    return bind_norm(k, call, p->axis, p->epsilon, true);
}
us_err rms_normalization_bind(us_eval *k, us_call *call)
{
    const us_p_rms_normalization *p = k->params;
    return bind_norm(k, call, p->axis, p->epsilon, false);
}

/* --- reductions --------------------------------------------------------------------------------------- */

typedef enum ending { AS_IT_IS, DIVIDE, ROOT, LOGARITHM } ending;

typedef struct stage {
    us_reduction what;
    size_t outer, n, inner, grain;
    size_t to; /* floats into the scratch; the last stage writes the output */
} stage;

enum { STAGES = (US_MAX_RANK + 1) / 2 };

typedef struct reduce_state {
    const us_row_kernels *kernels;
    int n_stages;
    stage stages[STAGES];
    ending end;
    float count;
} reduce_state;

typedef struct reduce_job {
    const us_row_kernels *kernels;
    const stage *s;
    const float *x;
    float *y;
} reduce_job;

static void reduce_part(void *arg, size_t from, size_t to)
{
    const reduce_job *j = arg;
    const stage *s = j->s;
    if (s->inner == 1) {
        j->kernels->along(s->what, to - from, s->n, j->x + from * s->n, j->y + from);
    } else if (s->outer == 1) {
        j->kernels->across(s->what, s->n, s->inner, to - from, j->x + from, j->y + from);
    } else {
        for (size_t r = from; r < to; r++)
            j->kernels->across(s->what, s->n, s->inner, s->inner, j->x + r * s->n * s->inner,
                               j->y + r * s->inner);
    }
}

static size_t stage_units(const stage *s)
{
    return s->outer == 1 && s->inner > 1 ? s->inner : s->outer;
}

static void finish(const reduce_state *s, float *y, size_t n)
{
    if (s->end == DIVIDE)
        for (size_t i = 0; i < n; i++)
            y[i] /= s->count;
    else if (s->end == ROOT)
        for (size_t i = 0; i < n; i++)
            y[i] = sqrtf(y[i]);
    else if (s->end == LOGARITHM)
        for (size_t i = 0; i < n; i++)
            y[i] = logf(y[i]);
}

static us_err run_reduce(us_eval *k, const void *state, void *scratch)
{
    const reduce_state *s = state;
    const float *x = k->in[0]->t.data;
    float *y = k->out[0]->t.data;
    for (int i = 0; i < s->n_stages; i++) {
        const stage *g = &s->stages[i];
        float *to = i + 1 < s->n_stages ? (float *)scratch + g->to : y;
        reduce_job j = {s->kernels, g, x, to};
        us_pool_run(k->c->pool, stage_units(g), g->grain, reduce_part, &j);
        x = to;
    }
    const stage *last = &s->stages[s->n_stages - 1];
    finish(s, y, last->outer * last->inner);
    return US_OK;
}

/* Axes that go, from attributes and the constant input; false when they are not known. */
static bool read_axes(us_eval *k, int rank, bool *gone)
{
    const us_p_reduce *p = k->params;
    const us_tensor *t = us_eval_opt(k, 1);
    if (t && (!t->data || t->dtype != US_I64)) return false;
    int64_t n = t ? us_tensor_count(t) : 0;
    if (n == 0 && p->noop_with_empty_axes) return false;
    for (int i = 0; i < rank; i++)
        gone[i] = n == 0;
    for (int64_t i = 0; i < n; i++) {
        int a;
        if (!us_axis_norm(((const int64_t *)t->data)[i], rank, &a)) return false;
        gone[a] = true;
    }
    return true;
}

/* Merged axes, alternately kept and gone. */
typedef struct runs {
    int n;
    size_t len[US_MAX_RANK + 1];
    bool gone[US_MAX_RANK + 1];
} runs;

static void find_runs(const us_tensor *x, const bool *gone, runs *r)
{
    r->n = 0;
    for (int d = 0; d < x->rank; d++) {
        if (x->dims[d] == 1) continue;
        if (r->n > 0 && r->gone[r->n - 1] == gone[d]) {
            r->len[r->n - 1] *= (size_t)x->dims[d];
            continue;
        }
        r->len[r->n] = (size_t)x->dims[d];
        r->gone[r->n++] = gone[d];
    }
}

/* The innermost stretch first: what is inside of it is kept by then. */
static size_t make_stages(reduce_state *s, runs *r, us_reduction what)
{
    size_t scratch = 0, inner = 1;
    s->n_stages = 0;
    for (int i = r->n - 1; i >= 0; i--) {
        if (!r->gone[i]) {
            inner *= r->len[i];
            continue;
        }
        size_t outer = 1;
        for (int d = 0; d < i; d++)
            outer *= r->len[d];
        stage *g = &s->stages[s->n_stages++];
        *g = (stage){what, outer, r->len[i], inner, 0, scratch};
        double ns = 0.15 * (double)outer * (double)g->n * (double)inner;
        g->grain = grain_of(stage_units(g), ns);
        if (outer == 1 && inner > 1) g->grain = (g->grain + 63) / 64 * 64;
        scratch += outer * inner;
        if (what == US_RED_SQUARES || what == US_RED_ABS) what = US_RED_SUM;
    }
    return scratch * sizeof(float);
}

static us_err bind_gone(us_eval *k, us_call *call, us_reduction what, ending end,
                        const bool *gone)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    runs r;
    find_runs(x, gone, &r);
    void *mem;
    US_TRY(us_eval_keep(k, sizeof(reduce_state), &mem));
    reduce_state *s = mem;
    *s = (reduce_state){.kernels = us_kernels_get(k->c)->rows, .end = end};
    size_t scratch = make_stages(s, &r, what);
    s->count = (float)(us_tensor_count(x) / us_tensor_count(y));
    call->kernel = "nothing to reduce";
    if (s->n_stages == 0) return US_OK;
    US_TRY(us_eval_work(k, (double)us_tensor_count(x)));
    *call = (us_call){
        .run = run_reduce, .state = s, .scratch = scratch, .kernel = s->kernels->name};
    return US_OK;
}

static us_err bind_reduce(us_eval *k, us_call *call, us_reduction what, ending end)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    bool gone[US_MAX_RANK];
    call->kernel = "not of float32, or axes not known";
    if (!us_is_f32(x) || !us_is_f32(y) || !read_axes(k, x->rank, gone)) return US_OK;
    return bind_gone(k, call, what, end, gone);
}

/* All axes after the channels. */
static us_err bind_global(us_eval *k, us_call *call, us_reduction what, ending end)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    bool gone[US_MAX_RANK];
    call->kernel = "not of float32";
    if (!us_is_f32(x) || !us_is_f32(y) || x->rank < 3 || y->rank != x->rank) return US_OK;
    for (int d = 0; d < x->rank; d++) {
        gone[d] = d >= 2;
        if (y->dims[d] != (gone[d] ? 1 : x->dims[d])) return US_OK;
    }
    return bind_gone(k, call, what, end, gone);
}
us_err global_average_pool_bind(us_eval *k, us_call *call)
{
    return bind_global(k, call, US_RED_SUM, DIVIDE);
}
us_err global_max_pool_bind(us_eval *k, us_call *call)
{
    return bind_global(k, call, US_RED_MAX, AS_IT_IS);
}

#define REDUCE(fn, what, end)                                                                  \
    us_err fn##_bind(us_eval *k, us_call *call)                                                \
    {                                                                                          \
        return bind_reduce(k, call, US_RED_##what, (end));                                     \
    }
REDUCE(reduce_sum, SUM, AS_IT_IS)
REDUCE(reduce_mean, SUM, DIVIDE)
REDUCE(reduce_max, MAX, AS_IT_IS)
REDUCE(reduce_min, MIN, AS_IT_IS)
REDUCE(reduce_prod, PROD, AS_IT_IS)
REDUCE(reduce_l1, ABS, AS_IT_IS)
REDUCE(reduce_l2, SQUARES, ROOT)
REDUCE(reduce_log_sum, SUM, LOGARITHM)
REDUCE(reduce_sum_square, SQUARES, AS_IT_IS)
