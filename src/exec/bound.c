/* exec/bound.c - the calls of a binding: what is left of the steps once every shape is known.
 *
 * The walk over a frame is a list of entries, in order:
 *   a call     made by the operator's bind (ir/bind.def): computes, and nothing else
 *   a view     Reshape and the like over a graph input: the pointer is passed on. Over planned memory nothing is left to do
 *   a step     as it comes: types checked, eval, memory given back; whatever bind declined or has no known shape
 * Left out are steps whose results nobody reads any more: integers that inference found (the Shape, Gather, Concat in front of a
 * Reshape) are written down when the binding is made, and a view needs only its data.
 *
 * A call trusts the types that inference gave for this signature. What a step as it comes made is compared with them (`expect`)
 * before a call reads it; where they differ, the binding is marked and the run starts again as it comes. So inference is
 * still never trusted for safety.
 */
#include "exec/plan.h"

#include <string.h>

#include "exec/dynmem.h"

/* Whether to go on is asked after calls that come to this many elementary steps, some tenths of a millisecond. */
#define POLL_WORK 1e6

typedef struct bind_env {
    us_eval_env base; /* first: an env is its bind_env */
    us_arena *keep;
    double left;
} bind_env;

typedef struct caller caller;
struct caller {
    us_ctx *c;
    us_binding *bind;
    const caller *parent; /* of a sub-graph */
    us_frame *f;
    const us_gplan *gp;
    const us_graph *typed; /* what inference says for this signature */
    const us_val *vals;    /* its values */
    us_arena *scratch;     /* until the list is made */
    us_value *tmp;         /* per value: dims and dtype where all is known, else NONE */
    us_call *calls;        /* per step */
    double *costs;
    bool *is_view; /* per step: passes on its first input's data */
    bool *needed;  /* per value */
};

/* --- what is known ---------------------------------------------------------------------------------- */

static bool known_value(const us_type *t, us_value *out)
{
    int64_t dims[US_MAX_RANK], n = 1;
    if (t->kind != US_KIND_TENSOR || t->dtype == US_DT_NONE || t->rank < 0 ||
        t->rank > US_MAX_RANK)
        return false;
    for (int32_t d = 0; d < t->rank; d++) {
        if (!us_dim_known(t->dims[d]) || t->dims[d].add < 0) return false;
        dims[d] = t->dims[d].add;
    }
    if (!us_dims_count(t->rank, dims, &n) || n == 0) return false;
    *out = (us_value){.kind = US_KIND_TENSOR};
    out->t.dtype = t->dtype;
    out->t.rank = t->rank;
    for (int32_t d = t->rank; d-- > 0;) {
        out->t.dims[d] = dims[d];
        out->t.strides[d] = d + 1 < t->rank ? out->t.strides[d + 1] * dims[d + 1] : 1;
    }
    return true;
}

static bool is_held(const us_val *v)
{
    return (v->storage == US_ST_CONST || v->storage == US_ST_VARIABLE) && v->data;
}

static void know_values(caller *k)
{
    for (size_t v = 0; v < k->gp->n_vals; v++) {
        const us_val *val = &k->gp->g->vals.at[v];
        if (is_held(val)) {
            bool dense = val->data->kind == US_KIND_TENSOR &&
                         us_tensor_contiguous(&val->data->t) &&
                         us_tensor_count(&val->data->t) > 0;
            if (!dense) continue;
            k->tmp[v] = *val->data;
            if (val->storage == US_ST_VARIABLE) k->tmp[v].t.data = NULL;
        } else if (val->storage == US_ST_OUTER) {
            if (k->parent && val->outer != US_NIL) k->tmp[v] = k->parent->tmp[val->outer];
        } else {
            (void)known_value(&k->vals[v].type, &k->tmp[v]);
        }
    }
}

/* Integers that inference found, as a tensor of the binding. */
static us_err write_known(caller *k, us_vid v, bool *done)
{
    const us_val *val = &k->vals[v];
    us_value *t = &k->tmp[v];
    *done = false;
    if (!val->known || t->kind != US_KIND_TENSOR || t->t.dtype != US_I64 || t->t.rank > 1 ||
        us_tensor_count(&t->t) != (int64_t)val->n_known)
        return US_OK;
    for (uint32_t i = 0; i < val->n_known; i++)
        if (!us_dim_known(val->known[i])) return US_OK;
    int64_t *p = us_new_n(k->bind->arena, int64_t, val->n_known);
    if (!p) return us_arena_fail(k->c, k->bind->arena);
    for (uint32_t i = 0; i < val->n_known; i++)
        p[i] = val->known[i].add;
    t->t.data = p;
    k->f->held[v] = true;
    *done = true;
    return US_OK;
}

static us_err find_known(caller *k)
{
    for (size_t i = 0; i < k->gp->n_steps; i++) {
        const us_step *s = &k->gp->steps[i];
        for (uint32_t o = 0; o < s->n_out; o++) {
            us_vid v = k->gp->vids[s->at0 + s->n_in + o];
            bool done;
            if (v != US_NIL && s->n_sub == 0) US_TRY(write_known(k, v, &done));
        }
    }
    return US_OK;
}

/* --- binding one step ---------------------------------------------------------------------------------- */

static us_err no_output(us_eval_env *env, us_eval *k, size_t i, us_tensor *t)
{
    (void)env;
    (void)t;
    return us_eval_fail(k, US_BUG, "output %zu is made while the step is bound", i);
}

static us_err no_scratch(us_eval_env *env, us_eval *k, size_t bytes, void **out)
{
    (void)env;
    (void)out;
    return us_eval_fail(k, US_BUG, "%zu bytes of scratch are asked for while the step is bound",
                        bytes);
}

static us_arena *env_keep(us_eval_env *env, us_eval *k)
{
    (void)k;
    return ((bind_env *)env)->keep;
}

/* What is no tensor, for a step that takes that: its kind and, of a map, the type of its keys. */
static bool know_kind(const caller *k, const us_step *s, us_vid v, us_value *out)
{
    const us_type *t = &k->vals[v].type;
    if (!(s->op->flags & US_OP_BINDS_VALUES) || k->parent) return false;
    if (t->kind != US_KIND_SEQUENCE && t->kind != US_KIND_MAP) return false;
    *out = (us_value){.kind = t->kind};
    out->t.dtype = t->dtype;
    return true;
}

/* What bind is told of a step's inputs, then outputs, of which there are n: of tensors what is known of them, of others their kind. */
typedef struct told {
    const us_value **in;
    us_value **all, *own;
} told;

static us_err get_told(const caller *k, const us_step *s, told *t)
{
    size_t n = s->n_in + s->n_out;
    t->in = us_new_n(k->scratch, const us_value *, n);
    t->all = us_new_n(k->scratch, us_value *, n);
    t->own = us_new_n(k->scratch, us_value, n);
    return t->in && t->all && t->own ? US_OK : us_arena_fail(k->c, k->scratch);
}

static bool tell_all(const caller *k, const us_step *s, told *t)
{
    for (uint32_t i = 0; i < s->n_in + s->n_out; i++) {
        us_vid v = k->gp->vids[s->at0 + i];
        if (v == US_NIL) continue;
        t->all[i] = &k->tmp[v];
        if (k->tmp[v].kind != US_KIND_TENSOR) {
            if (!know_kind(k, s, v, &t->own[i])) return false;
            t->all[i] = &t->own[i];
        } else if (i >= s->n_in && k->f->slots[v].kind == US_SLOT_DYNAMIC) {
            return false;
        }
        t->in[i] = t->all[i];
    }
    return true;
}

static double count_elements(const us_value *const *v, size_t n)
{
    double elements = 0;
    for (size_t i = 0; i < n; i++)
        if (v[i] && v[i]->kind == US_KIND_TENSOR) elements += (double)us_tensor_count(&v[i]->t);
    return elements;
}

/* The same bytes at another shape. */
static bool passes_on(const caller *k, const us_step *s)
{
    if (!(s->op->flags & US_OP_VIEW) || s->n_in < 1 || s->n_out != 1) return false;
    us_vid x = k->gp->vids[s->at0], y = k->gp->vids[s->at0 + s->n_in];
    if (x == US_NIL || y == US_NIL) return false;
    const us_value *a = &k->tmp[x], *b = &k->tmp[y];
    return a->kind == US_KIND_TENSOR && b->kind == US_KIND_TENSOR && a->t.dtype == b->t.dtype &&
           us_tensor_count(&a->t) == us_tensor_count(&b->t) &&
           k->f->slots[y].kind == US_SLOT_VIEW;
}

static us_err bind_told(caller *k, bind_env *env, uint32_t i, us_bind_fn *bind)
{
    const us_step *s = &k->gp->steps[i];
    told t;
    US_TRY(get_told(k, s, &t));
    if (!tell_all(k, s, &t)) return US_OK;
    us_eval e = k->f->evals[i];
    e.c = k->c;
    e.in = t.in;
    e.out = t.all + s->n_in;
    e.env = &env->base;
    if (us_eval_check(&e) != US_OK) return US_OK; /* eval says it */
    env->left = US_SESSION_MAX_WORK;
    us_call call = {0};
    us_err err = bind(&e, &call);
    if (err == US_NOMEM) return err;
    if (err != US_OK) return US_OK;
    k->calls[i] = call;
    if (!call.run) return US_OK;
    k->costs[i] = count_elements(t.in + s->n_in, s->n_out) + (US_SESSION_MAX_WORK - env->left);
    k->f->work += k->costs[i];
    k->f->scratch = US_MAX(k->f->scratch, call.scratch);
    return US_OK;
}

static us_err bind_step(caller *k, bind_env *env, uint32_t i)
{
    const us_step *s = &k->gp->steps[i];
    k->is_view[i] = passes_on(k, s);
    us_bind_fn *bind = us_op_bind(s->op);
    if (k->is_view[i] || !bind || s->n_sub > 0) return US_OK;
    us_mark mark = us_arena_mark(k->scratch);
    us_err e = bind_told(k, env, i, bind);
    us_arena_reset(k->scratch, mark);
    return e;
}

/* --- what is needed -------------------------------------------------------------------------------------- */

static void need_inputs(caller *k, uint32_t i)
{
    const us_step *s = &k->gp->steps[i];
    uint32_t n = k->is_view[i] ? 1 : s->n_in;
    for (uint32_t j = 0; j < n; j++) {
        us_vid v = k->gp->vids[s->at0 + j];
        if (v != US_NIL) k->needed[v] = true;
    }
    for (uint32_t j = 0; j < s->n_sub; j++) {
        const us_graph *sub = k->gp->subs[s->sub0 + j]->g;
        for (size_t v = 0; v < sub->vals.n; v++)
            if (sub->vals.at[v].storage == US_ST_OUTER && sub->vals.at[v].outer != US_NIL)
                k->needed[sub->vals.at[v].outer] = true;
    }
}

static bool is_needed(const caller *k, const us_step *s)
{
    for (uint32_t o = 0; o < s->n_out; o++) {
        us_vid v = k->gp->vids[s->at0 + s->n_in + o];
        if (v != US_NIL && k->needed[v] && !k->f->held[v]) return true;
    }
    return false;
}

static bool is_from_outside(const caller *k, us_vid v)
{
    us_storage st = k->gp->g->vals.at[v].storage;
    return k->parent && (st == US_ST_INPUT || st == US_ST_OUTER);
}

/* A call reads what it was bound to. Where a step as it comes makes that, the outcome is compared; where it comes from around a sub-graph,
 * it is when the walk begins. */
static void expect_inputs(caller *k, const us_step *s, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++) {
        us_vid v = k->gp->vids[s->at0 + j];
        if (v == US_NIL || k->f->expect[v] || k->tmp[v].kind != US_KIND_TENSOR) continue;
        if (is_from_outside(k, v)) {
            k->f->expect[v] = true;
            k->f->still[v] = k->tmp[v];
            k->f->entry[k->f->n_entry++] = v;
        }
        if (k->gp->def[v] == US_STEP_NEVER) continue;
        uint32_t by = k->gp->def[v];
        if (!k->calls[by].run && !k->is_view[by] && !k->f->held[v]) k->f->expect[v] = true;
    }
}

/* --- the list ------------------------------------------------------------------------------------------------ */

static us_err pass_on(us_eval *k, const void *state, void *scratch)
{
    (void)state;
    (void)scratch;
    k->out[0]->t.data = k->in[0]->t.data;
    return US_OK;
}

/* A view of planned memory is at its place from the start. */
static bool is_placed(const caller *k, uint32_t i)
{
    const us_step *s = &k->gp->steps[i];
    us_vid v = k->gp->vids[s->at0];
    while (k->f->slots[v].kind == US_SLOT_VIEW) {
        uint32_t by = k->gp->def[v];
        if (by == US_STEP_NEVER || !k->is_view[by]) return false;
        v = k->gp->vids[k->gp->steps[by].at0];
    }
    return k->f->slots[v].kind == US_SLOT_ARENA && !k->f->expect[v] && !k->f->held[v];
}

static us_err make_list(caller *k)
{
    us_frame *f = k->f;
    size_t n = k->gp->n_steps;
    f->list = us_new_n(k->bind->arena, us_entry, 2 * n);
    if (!f->list && n > 0) return us_arena_fail(k->c, k->bind->arena);
    for (uint32_t i = 0; i < n; i++) {
        const us_step *s = &k->gp->steps[i];
        bool bound = k->calls[i].run != NULL;
        us_entry e = {.run = us_run_step, .k = &f->evals[i], .step = i};
        if (bound) {
            e.run = k->calls[i].run;
            e.state = k->calls[i].state;
        } else if (k->is_view[i]) {
            e.run = pass_on;
        }
        bool skip = !is_needed(k, s) || (k->is_view[i] && is_placed(k, i));
        if (!skip) f->list[f->n_list++] = e;
        if (!skip && e.run == us_run_step) continue; /* gives back by itself */
        if (f->free_at[i] != f->free_at[i + 1])
            f->list[f->n_list++] =
                (us_entry){.run = us_run_frees, .k = &f->evals[i], .step = i};
    }
    return US_OK;
}

/* After a step as it comes, whose work is not known, and after calls now and then. */
static void place_polls(const caller *k)
{
    us_frame *f = k->f;
    double work = 0;
    for (size_t i = 0; i < f->n_list; i++) {
        us_entry *e = &f->list[i];
        work += k->costs[e->step];
        e->poll = e->run == us_run_step || work >= POLL_WORK;
        if (e->poll) work = 0;
    }
}

/* Values that are what they are for as long as the binding is, and lie where they do for as long as the block does. */
static void keep_values(caller *k)
{
    us_frame *f = k->f;
    for (size_t i = 0; i < k->gp->n_steps; i++) {
        const us_step *s = &k->gp->steps[i];
        for (uint32_t o = 0; o < s->n_out; o++) {
            us_vid v = k->gp->vids[s->at0 + s->n_in + o];
            if (v == US_NIL) continue;
            if (f->held[v] || f->expect[v] || k->is_view[i] || k->calls[i].run)
                f->still[v] = k->tmp[v];
        }
    }
}

static us_err get_room(caller *k)
{
    us_arena *a = k->bind->arena;
    us_frame *f = k->f;
    size_t n = k->gp->n_vals;
    k->tmp = us_new_n(k->scratch, us_value, n);
    k->needed = us_new_n(k->scratch, bool, n);
    k->calls = us_new_n(a, us_call, k->gp->n_steps);
    k->costs = us_new_n(a, double, k->gp->n_steps);
    k->is_view = us_new_n(a, bool, k->gp->n_steps);
    f->held = us_new_n(a, bool, n);
    f->expect = us_new_n(a, bool, n);
    f->still = us_new_n(a, us_value, n);
    f->entry = us_new_n(a, us_vid, n);
    if (!k->tmp || !k->needed) return us_arena_fail(k->c, k->scratch);
    if (!k->calls || !k->costs || !k->is_view || !f->held || !f->expect || !f->still ||
        !f->entry)
        return us_arena_fail(k->c, a);
    return US_OK;
}

static us_err bind_frame(caller *k, bind_env *env);

static us_err bind_subs(const caller *k, bind_env *env)
{
    for (size_t i = 0; i < k->gp->n_steps; i++) {
        const us_step *s = &k->gp->steps[i];
        for (uint32_t j = 0; j < s->n_sub; j++) {
            us_frame *f = k->f->subs[s->sub0 + j];
            const us_graph *typed = us_typed_sub(k->typed, k->gp, s, j);
            caller sub = {.c = k->c, .bind = k->bind, .parent = k, .f = f, .gp = f->gp};
            sub.typed = typed;
            sub.vals = typed->vals.at;
            sub.scratch = k->scratch;
            US_TRY(bind_frame(&sub, env));
        }
    }
    return US_OK;
}

/* A step that will run as it comes reads its weights. */
static us_err recall_weights(const caller *k)
{
    us_plan *p = k->f->s->p;
    for (size_t i = 0; !k->parent && i < k->gp->n_steps; i++) {
        const us_step *s = &k->gp->steps[i];
        for (uint32_t j = 0; !k->calls[i].run && j < s->n_in; j++)
            if (us_step_packs(s, j)) return us_plan_recall(k->c, p);
    }
    return US_OK;
}

static us_err bind_frame(caller *k, bind_env *env)
{
    US_TRY(get_room(k));
    know_values(k);
    US_TRY(find_known(k));
    for (uint32_t i = 0; i < k->gp->n_steps; i++)
        US_TRY(bind_step(k, env, i));
    US_TRY(recall_weights(k));
    for (size_t i = 0; i < k->gp->g->outputs.n; i++)
        k->needed[k->gp->g->outputs.at[i]] = true;
    for (uint32_t i = (uint32_t)k->gp->n_steps; i-- > 0;) {
        const us_step *s = &k->gp->steps[i];
        if (!is_needed(k, s)) continue;
        need_inputs(k, i);
        if (k->calls[i].run || k->is_view[i]) expect_inputs(k, s, k->is_view[i] ? 1 : s->n_in);
    }
    keep_values(k);
    US_TRY(make_list(k));
    place_polls(k);
    k->f->calls = k->calls;
    k->f->costs = k->costs;
    return bind_subs(k, env);
}

us_err us_frame_bind(us_ctx *c, us_binding *b, const us_graph *typed, us_arena *scratch)
{
    bind_env env = {
        .base = {.out_tensor = no_output, .scratch = no_scratch, .dynamic = env_keep},
        .keep = b->arena};
    env.base.work_left = &env.left;
    caller k = {.c = c, .bind = b, .f = b->main, .gp = b->main->gp, .scratch = scratch};
    k.typed = typed;
    k.vals = typed->vals.at;
    return bind_frame(&k, &env);
}

void us_frame_place(us_frame *f, char *block)
{
    const us_gplan *gp = f->gp;
    f->block = block;
    f->placed = false;
    if (!block) return; /* nothing is planned */
    for (size_t v = 0; v < gp->n_vals; v++)
        if (f->slots[v].kind == US_SLOT_ARENA) f->slots[v].data = block + f->slots[v].offset;
    for (size_t i = 0; i < gp->n_subs; i++)
        us_frame_place(f->subs[i], block + f->subs[i]->block_at);
}

void us_frame_settle(us_frame *f)
{
    const us_gplan *gp = f->gp;
    for (size_t i = 0; i < gp->n_steps; i++) {
        const us_step *s = &gp->steps[i];
        for (uint32_t o = 0; o < s->n_out; o++) {
            us_vid v = gp->vids[s->at0 + s->n_in + o];
            if (v == US_NIL || f->still[v].kind != US_KIND_TENSOR) continue;
            f->vals[v] = f->still[v];
            if (f->held[v]) continue;
            us_vid x = f->slots[v].kind == US_SLOT_VIEW ? gp->vids[s->at0] : US_NIL;
            us_tensor *t = &f->vals[v].t;
            t->data = x == US_NIL ? f->slots[v].data : us_frame_value(f, x)->t.data;
            if (!t->data && us_tensor_count(t) == 0)
                t->data = f; /* calls add offsets to it, which NULL does not take */
        }
    }
    f->placed = true;
}
