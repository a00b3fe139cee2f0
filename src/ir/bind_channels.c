/* ir/bind_channels.c - calls of the normalisations with numbers per channel: BatchNormalization at inference with constant parameters is x * k + s,
 * a program over channels; InstanceNormalization is a normalisation of rows whose scale and bias are one number each.
 */
#include <math.h>

#include "base/pool.h"
#include "ir/ewise.h"
#include "ir/op_util.h"
#include "kernel/rows.h"

/* --- BatchNormalization ------------------------------------------------------------------------------- */

typedef struct batch_state {
    us_ew_walk walk;
    const float *factor, *shift; /* per channel */
} batch_state;

static us_err run_batch(us_eval *k, const void *state, void *scratch)
{
    const batch_state *s = state;
    const void *in[] = {k->in[0]->t.data, s->factor, s->shift};
    us_ew_walk_run(&s->walk, k->c->pool, in, k->out[0]->t.data, scratch);
    return US_OK;
}

static void affine_of(us_eval *k, double epsilon, size_t n, float *factor, float *shift)
{
    const float *p[4];
    for (size_t i = 0; i < 4; i++)
        p[i] = us_eval_opt(k, i + 1)->data;
    for (size_t c = 0; c < n; c++) {
        double a = (double)p[0][c] / sqrt((double)p[3][c] + epsilon);
        factor[c] = (float)a;
        shift[c] = (float)((double)p[1][c] - (double)p[2][c] * a);
    }
}

us_err batch_normalization_bind(us_eval *k, us_call *call)
{
    const us_p_batch_normalization *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    call->kernel = "in training, or not of float32, or parameters that change";
    if (!us_is_f32(x) || !us_is_f32(y) || x->rank < 2 || p->training_mode ||
        us_eval_wants(k, 1) || us_eval_wants(k, 2))
        return US_OK;
    size_t n = (size_t)x->dims[1];
    for (size_t i = 1; i < 5; i++) {
        const us_tensor *t = us_eval_opt(k, i);
        if (!us_is_f32(t) || !t->data || (size_t)us_tensor_count(t) != n) return US_OK;
    }
    us_ew_writer w;
    us_ew_prog prog;
    us_ew_begin(&w, 3);
    us_ew_emit(&w, US_EW_FMA, 0, 1, 2);
    if (!us_ew_end(&w, &prog)) return US_OK;
    us_tensor channels = {.dtype = US_F32, .rank = x->rank - 1};
    for (int d = 0; d < channels.rank; d++)
        channels.dims[d] = d == 0 ? x->dims[1] : 1;
    void *mem;
    US_TRY(us_eval_keep(k, sizeof(batch_state) + 2 * n * sizeof(float), &mem));
    batch_state *s = mem;
    float *numbers = (float *)(s + 1);
    affine_of(k, (double)p->epsilon, n, numbers, numbers + n);
    s->factor = numbers;
    s->shift = numbers + n;
    const us_ew_kernels *kernels = us_kernels_get(k->c)->map;
    const us_tensor *in[] = {x, &channels, &channels};
    if (!us_ew_walk_init(&s->walk, kernels, &prog, in, y)) return US_OK;
    *call = (us_call){
        .run = run_batch, .state = s, .scratch = s->walk.scratch, .kernel = kernels->name};
    return US_OK;
}

/* --- InstanceNormalization ---------------------------------------------------------------------------- */

typedef struct instance_state {
    const us_row_kernels *kernels;
    size_t rows, n, channels, grain;
    float epsilon;
} instance_state;

typedef struct instance_job {
    const instance_state *s;
    us_norm_args a;
} instance_job;

static void instance_part(void *arg, size_t from, size_t to)
{
    const instance_job *j = arg;
    us_norm_args a = j->a;
    a.rows = to - from;
    a.x += from * a.n;
    a.y += from * a.n;
    a.first = from;
    j->s->kernels->norm(&a);
}

static us_err run_instance(us_eval *k, const void *state, void *scratch)
{
    const instance_state *s = state;
    instance_job j = {.s = s};
    (void)scratch;
    j.a = (us_norm_args){.n = s->n,
                         .centre = true,
                         .epsilon = s->epsilon,
                         .x = k->in[0]->t.data,
                         .row_scale = k->in[1]->t.data,
                         .row_bias = k->in[2]->t.data,
                         .period = s->channels,
                         .y = k->out[0]->t.data};
    us_pool_run(k->c->pool, s->rows, s->grain, instance_part, &j);
    return US_OK;
}

us_err instance_normalization_bind(us_eval *k, us_call *call)
{
    const us_p_instance_normalization *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *scale = us_eval_opt(k, 1),
                    *bias = us_eval_opt(k, 2), *y = us_eval_opt_out(k, 0);
    call->kernel = "not of float32";
    if (!us_is_f32(x) || !us_is_f32(scale) || !us_is_f32(bias) || !us_is_f32(y) ||
        x->rank < 2 || us_tensor_count(scale) != x->dims[1] ||
        us_tensor_count(bias) != x->dims[1])
        return US_OK;
    instance_state s = {.kernels = us_kernels_get(k->c)->rows,
                        .rows = (size_t)(x->dims[0] * x->dims[1]),
                        .n = (size_t)us_dims_product(x->dims, 2, x->rank),
                        .channels = (size_t)x->dims[1],
                        .epsilon = p->epsilon};
    double ns = 0.3 * (double)us_tensor_count(x);
    double pieces = ns < 50000 ? 1 : ns / 20000;
    s.grain = US_MAX((size_t)((double)s.rows / pieces), (size_t)1);
    return us_call_make(k, call, run_instance, &s, sizeof s, s.kernels->name);
}
