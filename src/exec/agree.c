/* exec/agree.c - run two models on the same random inputs and compare. */
#include "exec/agree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "exec/sample.h"
#include "ir/op.h"

#define SAMPLE_CAP  ((size_t)4 << 30)
#define DYNAMIC_CAP ((size_t)2 << 30)
#define ENOUGH_WORK                                                                            \
    1e10 /* elementary steps of both: then two samples are enough, unless more were asked for */
#define NUDGE                                                                                  \
    0x1p-23 /* how far weights and inputs are moved to see what rounding does to a model */
#define NUDGED 4.0 /* up to so many times that is rounding */
#define NUDGES                                                                                 \
    4 /* inputs moved so many times: where one move is lost in the rounding of a sum, another is not */
#define NUDGE_MIN                                                                              \
    8 /* elements of a weight; fewer may be scales and bounds, which decide shapes */
#define MAX_STEPS 1000000 /* random trip counts may be huge: then another input is tried */

/* Sizes of unnamed and symbolic dimensions, tried in turn: small ones that tell dynamic axes from constants first, then
 * what image and text models often insist on. */
static const int64_t sizes[] = {2, 1, 3, 7, 16, 64, 32, 128, 224};

typedef struct side {
    us_plan *plan;
    us_session *session;
    us_value *out;
} side;

typedef struct prover {
    us_ctx *c;
    us_agree_opts o;
    us_agreement *r;
    const us_model *first;
    us_arena *arena, *sample;
    side a, b;
    side moved;     /* a with weights moved; opened when needed */
    int64_t spread; /* named dimensions get different sizes, as far as there are several */
    double work;    /* of all runs so far */
    bool patient;   /* the number of samples was asked for */
    /* per output of a: the difference past the tolerance in this sample, as a share; 0: none */
    double *excess;
    size_t *pair; /* output i of a is output pair[i] of b */
} prover;

/* --- the two sides ------------------------------------------------------------------------------------------- */

/* Each number up or down, or left alone. */
static us_err nudge(prover *k, us_arena *a, us_rng *r, const us_tensor *from, us_tensor *to)
{
    const us_dtype_info *d = us_dtype_get(from->dtype);
    *to = *from;
    if (d->cls != US_DC_FLOAT || !d->from_f64 || !from->data) return US_OK;
    US_TRY(us_tensor_dup(k->c, a, from, to));
    for (int64_t i = 0; i < us_tensor_count(to); i++) {
        double v = us_tensor_f64_at(to, i) * (us_rng_f64(r) < 0.5 ? 1 - NUDGE : 1 + NUDGE);
        d->from_f64(to->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

static us_err nudge_value(prover *k, us_model *m, us_rng *r, us_val *val)
{
    if (val->storage != US_ST_CONST || !val->data || val->data->kind != US_KIND_TENSOR ||
        us_tensor_count(&val->data->t) < NUDGE_MIN)
        return US_OK;
    us_value *moved = us_new(m->arena, us_value);
    if (!moved) return us_arena_fail(k->c, m->arena);
    *moved = *val->data;
    US_TRY(nudge(k, m->arena, r, &val->data->t, &moved->t));
    val->data = moved;
    return US_OK;
}

/* Weights may also lie in Constant nodes. */
static us_err nudge_constant(prover *k, us_graph *g, us_rng *r, us_nid nid)
{
    const us_node *n = &g->nodes.at[nid];
    const us_attr *a =
        us_sv_is(n->op_type, "Constant") && !n->domain.n ? us_node_attr(n, "value") : NULL;
    if (!a || a->n != 1 || !a->tensors || us_tensor_count(&a->tensors[0]) < NUDGE_MIN)
        return US_OK;
    us_attr now = *a;
    now.tensors = us_new(g->model->arena, us_tensor);
    if (!now.tensors) return us_arena_fail(k->c, g->model->arena);
    US_TRY(nudge(k, g->model->arena, r, &a->tensors[0], now.tensors));
    US_TRY(us_node_set_attr(k->c, g, nid, &now));
    return us_node_decode(k->c, g->model, &g->nodes.at[nid]);
}

static us_err nudge_weights(prover *k, us_model *m)
{
    us_rng r = us_rng_new(k->o.seed, "nudged weights", 0);
    for (size_t i = 0; i < m->graphs.n; i++) {
        us_graph *g = m->graphs.at[i];
        for (us_vid v = 0; v < g->vals.n; v++)
            US_TRY(nudge_value(k, m, &r, &g->vals.at[v]));
        for (size_t j = 0; j < g->order.n; j++)
            US_TRY(nudge_constant(k, g, &r, g->order.at[j]));
    }
    return US_OK;
}

static us_err open_side(prover *k, const us_model *m, side *s)
{
    us_model *copy;
    us_plan_opts po = {.no_passes = true};
    us_session_opts so = {
        .dynamic_cap_bytes = DYNAMIC_CAP, .max_steps = MAX_STEPS, .seed = k->o.seed};
    US_TRY(us_model_clone(k->c, m, &copy));
    us_err e = s == &k->moved ? nudge_weights(k, copy) : US_OK;
    if (e == US_OK) e = us_plan_new(k->c, copy, &po, &s->plan);
    if (e != US_OK) {
        us_model_free(copy);
        return e;
    }
    s->out = us_new_n(k->arena, us_value, us_plan_n_outputs(s->plan));
    if (!s->out) return us_arena_fail(k->c, k->arena);
    return us_session_new(k->c, s->plan, &so, &s->session);
}

static us_err pair_outputs(prover *k)
{
    size_t n = us_plan_n_outputs(k->a.plan), m = us_plan_n_outputs(k->b.plan);
    k->pair = us_new_n(k->arena, size_t, n);
    k->excess = us_new_n(k->arena, double, n);
    if (!k->pair || !k->excess) return us_arena_fail(k->c, k->arena);
    for (size_t i = 0; i < n; i++) {
        us_sv name = us_plan_output_name(k->a.plan, i);
        size_t j = 0;
        while (j < m && !us_sv_eq(us_plan_output_name(k->b.plan, j), name))
            j++;
        if (j == m)
            return us_fail(k->c, US_NO, "the second model has no output '" US_SV_FMT "'",
                           US_SV_ARG(name));
        k->pair[i] = j;
    }
    return US_OK;
}

/* Dropout draws only when it is told to train. */
static bool draws(const us_node *n)
{
    if (!n->op || !(n->op->flags & US_OP_RANDOM)) return false;
    return (n->op->flags & US_OP_NOFOLD) || (n->n_in > 2 && n->in[2] != US_NIL);
}

static bool is_random(const us_model *m)
{
    for (size_t i = 0; i < m->graphs.n; i++) {
        const us_graph *g = m->graphs.at[i];
        for (size_t j = 0; j < g->order.n; j++)
            if (draws(&g->nodes.at[g->order.at[j]])) return true;
    }
    return false;
}

/* --- comparing --------------------------------------------------------------------------------------------------- */

static void differ(prover *k, us_sv output, const char *what)
{
    if (!k->r->same) return;
    k->r->same = false;
    (void)snprintf(k->r->what, sizeof k->r->what, "output '%.*s': %.400s",
                   (int)US_MIN(output.n, 200), output.n ? output.p : "", what);
}

/* Largest finite magnitude of b, or 1 for a tensor of zeros. */
static double magnitude(const us_tensor *b, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = fabs(us_tensor_f64_at(b, i));
        if (isfinite(v) && v > top) top = v;
    }
    return top > 0 ? top : 1;
}

/* Largest |a - b| / max |b|; a difference in what is finite is infinite. *at: where. */
static double distance(const us_tensor *a, const us_tensor *b, int64_t *at)
{
    int64_t n = us_tensor_count(b);
    double top = magnitude(b, n), worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = us_tensor_f64_at(a, i), y = us_tensor_f64_at(b, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        double d = isfinite(x) && isfinite(y) ? fabs(x - y) / top : (double)INFINITY;
        if (d <= worst) continue;
        worst = d;
        *at = i;
    }
    return worst;
}

static void differ_at(prover *k, us_sv name, const us_tensor *a, const us_tensor *b, int64_t i)
{
    char text[200];
    (void)snprintf(text, sizeof text, "element %lld is %.9g here and %.9g there", (long long)i,
                   us_tensor_f64_at(b, i), us_tensor_f64_at(a, i));
    differ(k, name, text);
}

static void compare_floats(prover *k, size_t output, us_sv name, const us_tensor *a,
                           const us_tensor *b)
{
    int64_t at = 0;
    double d = distance(a, b, &at);
    if (isfinite(d)) k->r->worst = US_MAX(k->r->worst, d);
    if (d <= k->o.tolerance) return;
    if (isfinite(d))
        k->excess[output] = d; /* judged by sensitivity */
    else
        differ_at(k, name, a, b, at);
}

static void compare(prover *k, size_t output, const us_value *a, const us_value *b)
{
    us_sv name = us_plan_output_name(k->a.plan, output);
    bool tensors = a->kind == US_KIND_TENSOR && b->kind == US_KIND_TENSOR;
    bool shapes = tensors && a->t.dtype == b->t.dtype && us_tensor_same_dims(&a->t, &b->t);
    if (tensors && !shapes) {
        differ(k, name, "the types or shapes are different");
        return;
    }
    if (k->r->random) return;
    if (tensors) k->r->n_elements += (size_t)us_tensor_count(&a->t);
    if (shapes && us_dtype_get(a->t.dtype)->cls == US_DC_FLOAT)
        compare_floats(k, output, name, &a->t, &b->t);
    else if (us_value_compare(k->c, a, b, k->o.tolerance, k->o.tolerance) != US_OK)
        differ(k, name, k->c->diag.text);
}

/* --- samples -------------------------------------------------------------------------------------------------------- */

/* A value for each input of a, by its type. */
static us_err make_inputs(prover *k, const us_sample *s, us_value *in)
{
    for (size_t i = 0; i < us_plan_n_inputs(k->a.plan); i++)
        US_TRY(
            us_sample_value(k->c, k->sample, us_plan_input_type(k->a.plan, i), s, i, &in[i]));
    return US_OK;
}

/* The same values in b's order, by name. */
static us_err inputs_of_b(prover *k, const us_value *in, us_value *in_b)
{
    for (size_t i = 0; i < us_plan_n_inputs(k->b.plan); i++) {
        us_sv name = us_plan_input_name(k->b.plan, i);
        size_t j = 0, n = us_plan_n_inputs(k->a.plan);
        while (j < n && !us_sv_eq(us_plan_input_name(k->a.plan, j), name))
            j++;
        if (j == n)
            return us_fail(k->c, US_NO, "the first model has no input '" US_SV_FMT "'",
                           US_SV_ARG(name));
        in_b[i] = in[j];
    }
    return US_OK;
}

static us_err run_moved(prover *k, const us_value *in, us_rng *r)
{
    us_value *moved = us_new_n(k->sample, us_value, us_plan_n_inputs(k->a.plan));
    if (!moved) return us_arena_fail(k->c, k->sample);
    if (!k->moved.session) US_TRY(open_side(k, k->first, &k->moved));
    for (size_t i = 0; i < us_plan_n_inputs(k->a.plan); i++) {
        moved[i] = in[i];
        if (in[i].kind == US_KIND_TENSOR) US_TRY(nudge(k, k->sample, r, &in[i].t, &moved[i].t));
    }
    return us_session_run(k->c, k->moved.session, moved, k->moved.out);
}

/* What rounding does to each output: the largest of several moves, 0 where it made another shape. */
static us_err measure_moves(prover *k, const us_sample *s, const us_value *in, double *moves)
{
    us_rng r = us_rng_new(s->seed, "nudged inputs", s->index);
    for (int n = 0; n < NUDGES; n++) {
        us_err e = run_moved(k, in, &r);
        if (e == US_NOMEM || e == US_CANCELLED) return e;
        for (size_t i = 0; i < us_plan_n_outputs(k->a.plan); i++) {
            int64_t at;
            const us_tensor *a = &k->a.out[i].t;
            if (!(k->excess[i] > 0) || e != US_OK ||
                !us_tensor_same_dims(&k->moved.out[i].t, a))
                continue;
            moves[i] = US_MAX(moves[i], distance(&k->moved.out[i].t, a, &at));
        }
    }
    return US_OK;
}

/* The outputs past the tolerance: do they differ by more than rounding does in this model? */
static us_err judge_by_sensitivity(prover *k, const us_sample *s, const us_value *in)
{
    double *moves = us_new_n(k->sample, double, us_plan_n_outputs(k->a.plan));
    if (!moves) return us_arena_fail(k->c, k->sample);
    US_TRY(measure_moves(k, s, in, moves));
    for (size_t i = 0; i < us_plan_n_outputs(k->a.plan); i++) {
        if (!(k->excess[i] > 0)) continue;
        int64_t at = 0;
        const us_tensor *a = &k->a.out[i].t, *b = &k->b.out[k->pair[i]].t;
        if (k->excess[i] <= NUDGED * moves[i]) {
            k->r->n_sensitive++;
            continue;
        }
        (void)distance(b, a, &at);
        differ_at(k, us_plan_output_name(k->a.plan, i), b, a, at);
    }
    return US_OK;
}

/* *ran: the first model took the inputs, so they count. */
static us_err one_sample(prover *k, const us_sample *s, bool *ran)
{
    us_value *in = us_new_n(k->sample, us_value, us_plan_n_inputs(k->a.plan)),
             *in_b = us_new_n(k->sample, us_value, us_plan_n_inputs(k->b.plan));
    if (!in || !in_b) return us_arena_fail(k->c, k->sample);
    US_TRY(make_inputs(k, s, in));
    us_err e = us_session_run(k->c, k->a.session, in, k->a.out);
    *ran = e == US_OK;
    if (e == US_NOMEM || e == US_CANCELLED) return e;
    if (e != US_OK) {
        k->r->n_refused++;
        return US_OK;
    }
    US_TRY(inputs_of_b(k, in, in_b));
    e = us_session_run(k->c, k->b.session, in_b, k->b.out);
    if (e == US_NOMEM || e == US_CANCELLED) return e;
    if (e != US_OK) {
        differ(k, US_SV("*"), k->c->diag.text);
        return US_OK;
    }
    size_t n_excess = 0;
    for (size_t i = 0; i < us_plan_n_outputs(k->a.plan); i++) {
        k->excess[i] = 0;
        compare(k, i, &k->b.out[k->pair[i]], &k->a.out[i]);
        n_excess += k->excess[i] > 0;
    }
    return n_excess > 0 && k->r->same ? judge_by_sensitivity(k, s, in) : US_OK;
}

static double work_of(const side *s)
{
    us_session_stats t;
    us_session_stats_get(s->session, &t);
    return t.work;
}

static us_err run_samples(prover *k)
{
    us_agreement *r = k->r;
    size_t n_tries = US_LEN(sizes) * US_SAMPLE_N_KINDS;
    for (size_t t = 0; t < n_tries && r->same && r->n_samples < k->o.n_samples; t++) {
        us_sample s = {.seed = k->o.seed,
                       .index = t,
                       .kind = (us_sample_kind)(t / US_LEN(sizes)),
                       .size = sizes[t % US_LEN(sizes)],
                       .spread = t == 0 ? k->spread : 0};
        bool ran = false;
        us_mark mark = us_arena_mark(k->sample);
        US_TRY(one_sample(k, &s, &ran));
        us_arena_reset(k->sample, mark);
        r->n_samples += ran;
        if (ran) k->work += work_of(&k->a) + work_of(&k->b);
        if (!k->patient && k->work > ENOUGH_WORK && r->n_samples >= 2) break;
    }
    if (r->n_samples == 0 && r->same) {
        char last[sizeof k->c->diag.text];
        memcpy(last, k->c->diag.text, sizeof last);
        return us_fail(k->c, US_ARG,
                       "the model runs on none of %zu random inputs; the last said: %s",
                       r->n_refused, last);
    }
    return US_OK;
}

us_err us_models_agree(us_ctx *c, const us_model *a, const us_model *b,
                       const us_agree_opts *opts, us_agreement *r)
{
    prover k = {.c = c, .r = r, .first = a};
    if (opts) k.o = *opts;
    k.patient = k.o.n_samples > 0;
    k.spread = (int64_t)US_MIN(a->syms.names.n, 4) - 1;
    k.spread = US_MAX(k.spread, 0);
    if (!k.o.n_samples) k.o.n_samples = US_AGREE_SAMPLES;
    if (k.o.tolerance == 0) k.o.tolerance = US_AGREE_TOLERANCE;
    *r = (us_agreement){.same = true, .tolerance = k.o.tolerance, .random = is_random(a)};
    us_err e = us_arena_new(c, "proof", SAMPLE_CAP, &k.arena);
    if (e == US_OK) e = us_arena_new(c, "random inputs", SAMPLE_CAP, &k.sample);
    if (e == US_OK) e = open_side(&k, a, &k.a);
    if (e == US_OK) e = open_side(&k, b, &k.b);
    if (e == US_OK) e = pair_outputs(&k);
    if (e == US_OK) e = run_samples(&k);
    us_session_free(k.a.session);
    us_session_free(k.b.session);
    us_session_free(k.moved.session);
    us_plan_free(k.a.plan);
    us_plan_free(k.b.plan);
    us_plan_free(k.moved.plan);
    us_arena_free(k.sample);
    us_arena_free(k.arena);
    return e;
}
