/* train/step.c - one training step.
 *
 * The graph has three kinds of inputs: the batch's features [N,D], its targets (a distribution over classes per row, already
 * weighted and smoothed, so that one loss serves plain, weighted and smoothed cross-entropy; or the scaled value and its weight),
 * and for dropout one mask per hidden layer, made here from (seed, "dropout", step): the graph itself is
 * deterministic and nothing random has state. Gradients are extra outputs of the plan; the optimiser then writes the variables where
 * the plan reads them. After the first run of each batch size nothing is allocated.
 */
#include "train/step.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng.h"
#include "grad/grad.h"
#include "pass/pass.h"

#define GRAIN 16384 /* weights per piece of optimiser work */

typedef struct param { /* one weight matrix or bias vector */
    us_tensor value;   /* the plan's variable */
    size_t n, at;      /* count; offset in the flat arrays */
    bool decays;
} param;

struct us_stepper {
    us_arena *arena;
    const us_train_opts *o;
    const us_train_data *d;
    const double *class_weight;
    double target_mean, target_scale;
    uint64_t seed;
    us_optim optim;
    us_plan *plan;
    us_session *session;
    size_t k; /* outputs of the network */
    size_t n_params, n_values, n_masks, n_inputs;
    param *params;
    float *slots[2];
    float *x, *t, *rw; /* buffers of a batch */
    float **mask;
    size_t *mask_units;
    us_value *in, *out;
};

/* --- the graph ----------------------------------------------------------------------------------------- */

typedef struct train_graph {
    us_model *m;
    us_vid *vars; /* w, b, w, b, ... */
    us_vid loss;
} train_graph;

static us_vid batch_input(us_builder *b, us_arena *a, const char *name, size_t width)
{
    us_sym rows;
    us_vid v = US_NIL;
    us_dim *dims = us_new_n(a, us_dim, 2);
    if (b->err != US_OK) return US_NIL;
    if (!dims) {
        b->err = us_arena_fail(b->c, a);
        return US_NIL;
    }
    b->err = us_syms_named(b->c, &b->g->model->syms, US_SV("N"), &rows);
    if (b->err != US_OK) return US_NIL;
    dims[0] = US_DIM_SYM(rows);
    dims[1] = US_DIM((int64_t)width);
    us_type type = us_type_tensor(US_F32, 2, dims);
    b->err = us_graph_add_input(b->c, b->g, us_sv_of(name), &type, &v);
    return v;
}

/* -sum(t log softmax z): t holds the rows' shares of the mean. */
static us_vid cross_entropy(us_builder *b, us_vid z, us_vid t)
{
    us_vid lp = us_b1(b, "LogSoftmax", z);
    us_b_int(b, "axis", 1);
    us_vid sum = us_b1(b, "ReduceSum", us_b2(b, "Mul", t, lp));
    us_b_int(b, "keepdims", 0);
    return us_b1(b, "Neg", sum);
}

static us_vid squared_error(us_builder *b, us_vid z, us_vid t, us_vid weight)
{
    us_vid r = us_b2(b, "Sub", z, t);
    us_vid sum = us_b1(b, "ReduceSum", us_b2(b, "Mul", weight, us_b2(b, "Mul", r, r)));
    us_b_int(b, "keepdims", 0);
    return sum;
}

static us_err build_graph(us_ctx *c, us_stepper *s, const us_net *net, train_graph *tg)
{
    us_model *m = tg->m;
    us_builder b = us_b_begin(c, m->main, "train");
    us_vid *w = us_new_n(s->arena, us_vid, net->n_layers);
    us_vid *bias = us_new_n(s->arena, us_vid, net->n_layers);
    us_vid *mask = us_new_n(s->arena, us_vid, net->n_layers);
    if (!w || !bias || !mask) return us_arena_fail(c, s->arena);
    us_vid x = batch_input(&b, s->arena, "x", net->n_features);
    us_vid t = batch_input(&b, s->arena, "t", net->n_out), weight = US_NIL;
    if (net->task == US_TASK_VALUE) weight = batch_input(&b, s->arena, "weight", 1);
    for (size_t i = 0; i < s->n_masks; i++) {
        char *name = us_str_printf(s->arena, "mask.%zu", i);
        if (!name) return us_arena_fail(c, s->arena);
        mask[i] = batch_input(&b, s->arena, name, s->mask_units[i]);
    }
    for (size_t i = 0; i < net->n_layers; i++) {
        const us_layer *l = &net->layers[i];
        int64_t dims[2] = {(int64_t)l->n_in, (int64_t)l->n_out};
        w[i] = tg->vars[2 * i] = us_b_var(&b, NULL, 2, dims);
        bias[i] = tg->vars[2 * i + 1] = us_b_var(&b, NULL, 1, dims + 1);
    }
    us_vid z = us_net_nodes(&b, net, x, w, bias, s->n_masks ? mask : NULL);
    tg->loss = net->task == US_TASK_CLASSES ? cross_entropy(&b, z, t)
                                            : squared_error(&b, z, t, weight);
    US_TRY(us_b_end(&b));
    return us_graph_add_output(c, m->main, tg->loss);
}

static us_err make_session(us_ctx *c, us_stepper *s, const us_net *net)
{
    train_graph tg = {0};
    us_plan_opts opts = {.keep_variables = true, .n_extra = s->n_params};
    us_err e;
    us_vid *grads = us_new_n(s->arena, us_vid, s->n_params);
    tg.vars = us_new_n(s->arena, us_vid, s->n_params);
    if (!grads || !tg.vars) return us_arena_fail(c, s->arena);
    US_TRY(us_model_new(c, &tg.m));
    US_GO(build_graph(c, s, net, &tg));
    US_GO(us_pass_run(c, tg.m, "upgrade")); /* gradients are written for the current forms */
    US_GO(us_graph_infer(c, tg.m->main));
    US_GO(us_grad_build(c, tg.m, tg.m->main, tg.loss, s->n_params, tg.vars, grads));
    opts.extra = grads;
    US_GO(us_plan_new(c, tg.m, &opts, &s->plan));
    tg.m = NULL;
    for (size_t i = 0; i < s->n_params; i++)
        US_GO(us_plan_variable(c, s->plan, tg.vars[i], &s->params[i].value));
    e = us_session_new(c, s->plan, NULL, &s->session);
out:
    us_model_free(tg.m);
    return e;
}

/* --- making one ------------------------------------------------------------------------------------------ */

static us_err sizes(us_ctx *c, us_stepper *s, const us_net *net)
{
    s->n_params = 2 * net->n_layers;
    s->n_masks = s->o->dropout > 0 ? net->n_layers - 1 : 0;
    s->n_inputs = 2 + (net->task == US_TASK_VALUE ? 1 : 0) + s->n_masks;
    s->params = us_new_n(s->arena, param, s->n_params);
    s->mask_units = us_new_n(s->arena, size_t, s->n_masks + 1);
    s->mask = us_new_n(s->arena, float *, s->n_masks + 1);
    s->in = us_new_n(s->arena, us_value, s->n_inputs);
    s->out = us_new_n(s->arena, us_value, s->n_params + 1);
    if (!s->params || !s->mask_units || !s->mask || !s->in || !s->out)
        return us_arena_fail(c, s->arena);
    for (size_t i = 0; i < net->n_layers; i++) {
        const us_layer *l = &net->layers[i];
        s->params[2 * i] = (param){.n = l->n_in * l->n_out, .at = s->n_values, .decays = true};
        s->n_values += l->n_in * l->n_out;
        s->params[2 * i + 1] = (param){.n = l->n_out, .at = s->n_values};
        s->n_values += l->n_out;
        if (i < s->n_masks) s->mask_units[i] = l->n_out;
    }
    return US_OK;
}

static us_err buffers(us_ctx *c, us_stepper *s)
{
    size_t batch = US_MIN((size_t)s->o->batch, s->d->train.n);
    s->x = us_arena_alloc(s->arena, batch * s->d->n_features, sizeof(float), 64);
    s->t = us_arena_alloc(s->arena, batch * s->k, sizeof(float), 64);
    s->rw = us_arena_alloc(s->arena, batch, sizeof(float), 64);
    if (!s->x || !s->t || !s->rw) return us_arena_fail(c, s->arena);
    for (size_t i = 0; i < s->n_masks; i++) {
        s->mask[i] = us_arena_alloc(s->arena, batch * s->mask_units[i], sizeof(float), 64);
        if (!s->mask[i]) return us_arena_fail(c, s->arena);
    }
    for (size_t i = 0; i < us_optim_slots(s->optim); i++) {
        s->slots[i] = us_arena_alloc(s->arena, s->n_values, sizeof(float), 64);
        if (!s->slots[i]) return us_arena_fail(c, s->arena);
    }
    return US_OK;
}

static us_err fill(us_ctx *c, us_stepper *s, const us_net *first)
{
    US_TRY(sizes(c, s, first));
    US_TRY(buffers(c, s));
    US_TRY(make_session(c, s, first));
    float *flat = us_new_n(s->arena, float, s->n_values);
    if (!flat) return us_arena_fail(c, s->arena);
    us_net_flatten(first, flat);
    us_stepper_set(s, flat);
    return US_OK;
}

us_err us_stepper_new(us_ctx *c, const us_train_opts *o, uint64_t seed, const us_train_data *d,
                      const double *class_weight, double target_mean, double target_scale,
                      const us_net *first, us_stepper **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "training step", (size_t)64 << 30, &a));
    us_stepper *s = us_new(a, us_stepper);
    us_err e = s ? US_OK : us_arena_fail(c, a);
    if (e == US_OK) {
        *s = (us_stepper){.arena = a,
                          .o = o,
                          .d = d,
                          .class_weight = class_weight,
                          .seed = seed,
                          .target_mean = target_mean,
                          .target_scale = target_scale,
                          .k = first->n_out,
                          .optim = o->optim == US_OPTIM_AUTO ? US_OPTIM_ADAMW : o->optim};
        e = fill(c, s, first);
        if (e == US_OK) {
            *out = s;
            return US_OK;
        }
        us_stepper_free(s);
        return e;
    }
    us_arena_free(a);
    return e;
}

void us_stepper_free(us_stepper *s)
{
    if (!s) return;
    us_session_free(s->session);
    us_plan_free(s->plan);
    us_arena_free(s->arena);
}

size_t us_stepper_n_values(const us_stepper *s)
{
    return s->n_values;
}

size_t us_stepper_n_slots(const us_stepper *s)
{
    return us_optim_slots(s->optim);
}

void us_stepper_get(const us_stepper *s, float *values)
{
    for (size_t i = 0; i < s->n_params; i++)
        memcpy(values + s->params[i].at, s->params[i].value.data,
               s->params[i].n * sizeof(float));
}

void us_stepper_set(us_stepper *s, const float *values)
{
    for (size_t i = 0; i < s->n_params; i++)
        memcpy(s->params[i].value.data, values + s->params[i].at,
               s->params[i].n * sizeof(float));
}

float *us_stepper_slot(us_stepper *s, size_t i)
{
    return s->slots[i];
}

/* --- one step ---------------------------------------------------------------------------------------------- */

static double weight_of(const us_stepper *s, uint32_t row)
{
    double w = s->d->train.weight ? (double)s->d->train.weight[row] : 1;
    return s->class_weight ? w * s->class_weight[s->d->train.cls[row]] : w;
}

/* Features and targets of the rows into the buffers; the rows' weights become shares of the batch. */
static void load_batch(us_stepper *s, const uint32_t *rows, size_t n)
{
    size_t d = s->d->n_features, k = s->k;
    const us_train_rows *t = &s->d->train;
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += weight_of(s, rows[i]);
    if (!(total > 0)) total = 1; /* a batch of rows that do not count */
    float smooth = (float)s->o->label_smoothing;
    for (size_t i = 0; i < n; i++) {
        uint32_t r = rows[i];
        float share = (float)(weight_of(s, r) / total);
        memcpy(s->x + i * d, t->x + (size_t)r * d, d * sizeof(float));
        if (s->d->task == US_TASK_VALUE) {
            s->t[i] = (float)(((double)t->value[r] - s->target_mean) / s->target_scale);
            s->rw[i] = share;
            continue;
        }
        for (size_t j = 0; j < k; j++)
            s->t[i * k + j] = share * smooth / (float)k;
        s->t[i * k + (size_t)t->cls[r]] += share * (1.0F - smooth);
    }
}

/* 0 with probability dropout, else 1 / (1 - dropout); two masks from each random number. */
static void fill_masks(us_stepper *s, uint64_t step, size_t n)
{
    const uint32_t limit = (uint32_t)(s->o->dropout * 65536);
    const float keep = (float)(1 / (1 - (double)limit / 65536));
    for (size_t i = 0; i < s->n_masks; i++) {
        us_rng r = us_rng_new(s->seed, "dropout", step * US_TRAIN_MAX_HIDDEN + i);
        size_t count = n * s->mask_units[i];
        float *m = s->mask[i];
        for (size_t j = 0; j + 1 < count; j += 2) {
            uint32_t v = us_rng_u32(&r);
            m[j] = (v & 0xFFFF) < limit ? 0 : keep;
            m[j + 1] = (v >> 16) < limit ? 0 : keep;
        }
        if (count % 2) m[count - 1] = (us_rng_u32(&r) & 0xFFFF) < limit ? 0 : keep;
    }
}

static us_err bind(us_ctx *c, us_stepper *s, size_t i, float *data, size_t n, size_t width)
{
    int64_t dims[2] = {(int64_t)n, (int64_t)width};
    us_tensor t;
    US_TRY(us_tensor_init(c, &t, US_F32, 2, dims, data));
    s->in[i] = us_value_of(&t);
    return US_OK;
}

static us_err bind_all(us_ctx *c, us_stepper *s, size_t n)
{
    size_t i = 0;
    US_TRY(bind(c, s, i++, s->x, n, s->d->n_features));
    US_TRY(bind(c, s, i++, s->t, n, s->k));
    if (s->d->task == US_TASK_VALUE) US_TRY(bind(c, s, i++, s->rw, n, 1));
    for (size_t j = 0; j < s->n_masks; j++)
        US_TRY(bind(c, s, i++, s->mask[j], n, s->mask_units[j]));
    return US_OK;
}

typedef struct update {
    const us_optim_step *step;
    float *w, *slot[2];
    const float *g;
} update;

static void update_piece(void *arg, size_t i0, size_t i1)
{
    const update *u = arg;
    float *slot[2] = {u->slot[0] + i0, u->slot[1] ? u->slot[1] + i0 : NULL};
    us_optim_apply(u->step, i1 - i0, u->w + i0, u->g + i0, slot);
}

static void update_all(us_ctx *c, us_stepper *s, us_optim_step *step)
{
    for (size_t i = 0; i < s->n_params; i++) {
        const param *p = &s->params[i];
        us_optim_step own = *step;
        own.weight_decay = p->decays ? (float)s->o->weight_decay : 0;
        update u = {.step = &own, .w = p->value.data, .g = s->out[1 + i].t.data};
        u.slot[0] = s->slots[0] + p->at;
        u.slot[1] = s->slots[1] ? s->slots[1] + p->at : NULL;
        us_pool_run(c->pool, p->n, GRAIN, update_piece, &u);
    }
}

us_err us_stepper_run(us_ctx *c, us_stepper *s, uint64_t step, uint64_t steps_per_epoch,
                      const uint32_t *rows, size_t n, us_step_info *info)
{
    load_batch(s, rows, n);
    fill_masks(s, step, n);
    US_TRY(bind_all(c, s, n));
    US_TRY(us_session_run(c, s->session, s->in, s->out));
    double loss = us_tensor_f64_at(&s->out[0].t, 0), square = 0;
    for (size_t i = 0; i < s->n_params; i++)
        square += us_sum_squares(s->out[1 + i].t.data, s->params[i].n);
    double norm = sqrt(square), lr = us_lr_at(s->o, step, steps_per_epoch);
    if (!isfinite(loss) || !isfinite(norm))
        return us_fail(c, US_NO, "the loss is %g and the gradient's length %g", loss, norm);
    double clip = s->o->clip_norm;
    us_optim_step os = {.kind = s->optim,
                        .lr = (float)lr,
                        .grad_scale = clip > 0 && norm > clip ? (float)(clip / norm) : 1.0F,
                        .momentum = (float)s->o->momentum,
                        .nesterov = s->o->nesterov,
                        .beta1 = (float)s->o->beta1,
                        .beta2 = (float)s->o->beta2,
                        .eps = (float)s->o->eps,
                        .t = step + 1};
    update_all(c, s, &os);
    *info = (us_step_info){.loss = loss, .grad_norm = norm, .lr = lr};
    return US_OK;
}
