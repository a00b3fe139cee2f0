/* exec/run.c - one walk over the steps, and what operators ask for on the way: memory, scratch, sub-graphs, seeds.
 *
 * In a frame whose shapes are all known a step costs an indirect call and a few stores. Memory sized at run time is
 * given back after the step that reads it last (bind.c lists who dies where), or at the start of the next run.
 *
 * Scratch is a stack in one block: a step's part ends with the step, and steps of a sub-graph stack on top of the
 * node that runs it. What does not fit goes to blocks of its own; at the end of the run the block grows to what was
 * wanted, so the second run fits.
 */
#include "exec/plan.h"

#include <string.h>

#include "base/clock.h"

#define SIGNED_INPUTS 12 /* of a step, whose element types fit a signature */
_Static_assert(US_DTYPE_N <= 32, "an element type fits 5 bits");

/* --- memory ----------------------------------------------------------------------------------------- */

static us_err dynamic_tensor(us_frame *f, us_eval *k, us_slot *slot, size_t bytes, us_tensor *t)
{
    if (slot && slot->dyn) {
        us_dyn_put(&f->s->dyn, slot->dyn);
        slot->dyn = NULL;
    }
    us_dyn_block *b;
    us_err e = us_dyn_get(k->c, &f->s->dyn, &f->blocks, US_MAX(bytes, 1), &b);
    if (e != US_OK)
        return us_wrap(k->c, e, US_SV_FMT " '" US_SV_FMT "'", US_SV_ARG(k->n->op_type),
                       US_SV_ARG(k->n->name));
    if (slot) slot->dyn = b;
    t->data = us_dyn_data(b);
    return US_OK;
}

static us_err env_out_tensor(us_eval_env *env, us_eval *k, size_t i, us_tensor *t)
{
    us_frame *f = (us_frame *)env;
    us_value *v = k->out[i];
    size_t bytes = us_tensor_bytes(t);
    /* An operator that calls others gives them values of its own: those live until the run ends. */
    if (v < f->vals || v >= f->vals + f->gp->n_vals)
        return dynamic_tensor(f, k, NULL, bytes, t);
    us_slot *slot = &f->slots[v - f->vals];
    if (slot->kind == US_SLOT_ARENA && bytes <= slot->bytes) {
        t->data = slot->data;
        return US_OK;
    }
    if (slot->kind == US_SLOT_VIEW) {
        const us_value *x = k->n_in ? k->in[0] : NULL;
        if (x && x->kind == US_KIND_TENSOR && us_tensor_bytes(&x->t) == bytes &&
            us_tensor_contiguous(&x->t)) {
            t->data = x->t.data;
            return US_OK;
        }
    }
    return dynamic_tensor(f, k, slot, bytes, t);
}

static us_err take_scratch(us_ctx *c, us_session *s, size_t bytes, void **out)
{
    size_t end;
    if (bytes > SIZE_MAX / 2)
        return us_fail(c, US_LIMIT, "%zu bytes of scratch asked for", bytes);
    bytes = (bytes + 63) & ~(size_t)63;
    if (!us_add_size(s->scratch_used, bytes, &end))
        return us_fail(c, US_LIMIT, "%zu bytes of scratch asked for", bytes);
    if (end <= s->scratch.bytes) {
        *out = (char *)s->scratch.p + s->scratch_used;
    } else {
        us_dyn_block *b;
        US_TRY(us_dyn_get(c, &s->dyn, &s->scratch_more, bytes, &b));
        *out = us_dyn_data(b);
    }
    s->scratch_used = end;
    s->scratch_want = US_MAX(s->scratch_want, end);
    return US_OK;
}

static us_err env_scratch(us_eval_env *env, us_eval *k, size_t bytes, void **out)
{
    return take_scratch(k->c, ((us_frame *)env)->s, bytes, out);
}

static us_arena *env_dynamic(us_eval_env *env, us_eval *k)
{
    (void)k;
    return ((us_frame *)env)->s->dynamic;
}

static uint64_t env_seed(us_eval_env *env, us_eval *k)
{
    us_frame *f = (us_frame *)env;
    uint64_t what[4] = {f->s->opts.seed, f->gp->index, (uint64_t)(k - f->evals),
                        f->s->n_draws++};
    return us_hash64(what, sizeof what, 0);
}

/* --- sub-graphs ---------------------------------------------------------------------------------------- */

/* Moves output v of a sub-graph into the hands of the calling step: the block itself when it is the sub-graph's own,
 * else a copy, because what it points to (a capture, a constant, an input) may be written over or die first. Sequences
 * and maps are passed on as they are: their parts are never in a block, and what they are in lasts until the run ends. */
static us_err take_result(us_eval *k, us_frame *sub, us_frame *f, us_vid vid, us_value *out)
{
    us_ctx *c = k->c;
    const us_val *val = &sub->gp->g->vals.at[vid];
    us_slot *slot = &sub->slots[vid];
    const us_value *v =
        val->storage == US_ST_TEMP || val->storage == US_ST_INPUT ? &sub->vals[vid] : NULL;
    if (!v) {
        const us_frame *at = sub;
        us_vid id = vid;
        while (at && at->gp->g->vals.at[id].storage == US_ST_OUTER) {
            id = at->gp->g->vals.at[id].outer;
            at = at->parent;
        }
        if (!at) return us_fail(c, US_BUG, "a captured value has no frame");
        v = at->gp->g->vals.at[id].data ? at->gp->g->vals.at[id].data : &at->vals[id];
    }
    if (v->kind != US_KIND_TENSOR) {
        *out = *v;
        return US_OK;
    }
    if (slot->dyn && us_dyn_data(slot->dyn) == v->t.data) {
        us_dyn_move(slot->dyn, &f->results);
        slot->dyn = NULL;
        *out = *v;
        return US_OK;
    }
    us_dyn_block *b;
    us_value copy = {.kind = US_KIND_TENSOR};
    US_TRY(us_eval_work(k, (double)us_tensor_count(&v->t)));
    US_TRY(us_dyn_get(c, &f->s->dyn, &f->results, US_MAX(us_tensor_bytes(&v->t), 1), &b));
    US_TRY(us_tensor_init(c, &copy.t, v->t.dtype, v->t.rank, v->t.dims, us_dyn_data(b)));
    US_TRY(us_tensor_copy(c, &copy.t, &v->t));
    *out = copy;
    return US_OK;
}

static us_frame *find_sub(us_frame *f, const us_eval *k, const us_graph *g)
{
    const us_step *s = &f->gp->steps[k - f->evals];
    for (uint32_t i = 0; i < s->n_sub; i++)
        if (f->subs[s->sub0 + i]->gp->g == g) return f->subs[s->sub0 + i];
    return NULL;
}

static us_err env_sub_run(us_eval_env *env, us_eval *k, us_graph *g, size_t n_in,
                          const us_value *const *in, size_t n_out, us_value *out)
{
    us_frame *f = (us_frame *)env;
    us_frame *sub = find_sub(f, k, g);
    if (!sub || sub->running)
        return us_fail(k->c, US_BUG, "a node runs a graph that is not its own");
    if (n_in != g->inputs.n || n_out > g->outputs.n)
        return us_fail(k->c, US_FORMAT,
                       "sub-graph '" US_SV_FMT "' of " US_SV_FMT " '" US_SV_FMT
                       "' takes %zu inputs and gives %zu outputs; %zu and %zu are wanted",
                       US_SV_ARG(g->name), US_SV_ARG(k->n->op_type), US_SV_ARG(k->n->name),
                       g->inputs.n, g->outputs.n, n_in, n_out);
    for (size_t i = 0; i < n_in; i++)
        sub->vals[g->inputs.at[i]] = in[i] ? *in[i] : (us_value){.kind = US_KIND_NONE};
    us_err e = us_frame_run(k->c, sub, f->s->opts.plain || f->s->opts.watch);
    us_value got[16], *tmp = got;
    if (e == US_OK && n_out > US_LEN(got)) {
        tmp = us_new_n(f->s->dynamic, us_value, n_out);
        if (!tmp) e = us_arena_fail(k->c, f->s->dynamic);
    }
    for (size_t i = 0; i < n_out && e == US_OK; i++)
        e = take_result(k, sub, f, g->outputs.at[i], &tmp[i]);
    us_frame_release(sub);
    if (e != US_OK) return e;
    memcpy(out, tmp, n_out * sizeof *out);
    return US_OK;
}

static us_dyn_block *find_result(us_frame *f, const us_value *v)
{
    if (v->kind != US_KIND_TENSOR) return NULL;
    for (us_dyn_block *b = f->results.first; b; b = us_dyn_next(b))
        if (us_dyn_data(b) == v->t.data) return b;
    return NULL;
}

static void env_release(us_eval_env *env, us_eval *k, us_value *v)
{
    (void)k;
    us_frame *f = (us_frame *)env;
    us_dyn_block *b = find_result(f, v);
    if (!b) return;
    us_dyn_put(&f->s->dyn, b);
    v->kind = US_KIND_NONE;
}

/* After a step with sub-graphs: results that became outputs are the outputs' now, the rest goes; all stay when an
 * output is not a tensor, for it may hold pieces of them. */
static void settle_results(us_frame *f, uint32_t i)
{
    us_eval *k = &f->evals[i];
    bool keep = false;
    for (size_t o = 0; o < k->n_out; o++) {
        us_value *v = k->out[o];
        if (!v) continue;
        keep = keep || v->kind != US_KIND_TENSOR;
        us_dyn_block *b = find_result(f, v);
        if (!b) continue;
        us_slot *slot = &f->slots[v - f->vals];
        if (slot->dyn) us_dyn_put(&f->s->dyn, slot->dyn);
        us_dyn_move(b, &f->blocks);
        slot->dyn = b;
    }
    if (!keep) {
        us_dyn_put_all(&f->s->dyn, &f->results);
        return;
    }
    while (f->results.first)
        us_dyn_move(f->results.first, &f->blocks);
}

/* --- the walk ---------------------------------------------------------------------------------------------- */

static void free_after(us_frame *f, size_t i)
{
    for (uint32_t j = f->free_at[i]; j < f->free_at[i + 1]; j++) {
        us_slot *slot = &f->slots[f->free_ids[j]];
        if (!slot->dyn) continue;
        us_dyn_put(&f->s->dyn, slot->dyn);
        slot->dyn = NULL;
    }
}

static void drop_scratch(us_session *s, size_t used, const us_dyn_block *first)
{
    while (s->scratch_more.first != first)
        us_dyn_put(&s->dyn, s->scratch_more.first);
    s->scratch_used = used;
}

/* Element types of the inputs in 5 bits each; 0: too many for that. */
static uint64_t types_of(const us_eval *k)
{
    uint64_t s = 1; /* tells none from not looked at */
    if (k->n_in > SIGNED_INPUTS) return 0;
    for (size_t i = 0; i < k->n_in; i++)
        s = s << 5 |
            (k->in[i] && k->in[i]->kind == US_KIND_TENSOR ? (uint64_t)k->in[i]->t.dtype : 0);
    return s;
}

/* Almost always the types of the run before. */
static us_err check_types(us_frame *f, uint32_t i)
{
    uint64_t now = types_of(&f->evals[i]);
    if (now && f->checked[i] == now) return US_OK;
    US_TRY(us_eval_check(&f->evals[i]));
    f->checked[i] = now;
    return US_OK;
}

static us_err tell_watch(us_ctx *c, us_frame *f, uint32_t i)
{
    const us_session_opts *o = &f->s->opts;
    const us_eval *k = &f->evals[i];
    for (size_t j = 0; j < k->n_out; j++)
        if (k->out[j])
            US_TRY(o->watch(o->watch_arg, c, f->gp->g, k->n, (us_vid)(k->out[j] - f->vals),
                            k->out[j]));
    return US_OK;
}

/* Time of the call goes to the step's row. */
static us_err timed(us_frame *f, us_call_fn *run, us_eval *k, const void *state, void *scratch,
                    uint32_t i)
{
    us_profile_row *row = &f->s->rows[f->gp->row0 + i];
    double left = f->s->work_left;
    uint64_t t0 = us_now_ns();
    us_err e = run(k, state, scratch);
    row->ns += us_now_ns() - t0;
    row->n_calls += run != us_run_frees;
    if (run == us_run_step) row->work = left - f->s->work_left;
    return e;
}

static bool is_as_expected(const us_value *got, const us_value *want)
{
    return got->kind == US_KIND_TENSOR && got->t.dtype == want->t.dtype &&
           us_tensor_same_dims(&got->t, &want->t) && us_tensor_contiguous(&got->t);
}

/* The outputs that calls will read, against what inference said. */
static us_err compare_outputs(us_frame *f, uint32_t i)
{
    const us_eval *k = &f->evals[i];
    for (size_t o = 0; o < k->n_out; o++) {
        if (!k->out[o] || !f->expect[k->out[o] - f->vals]) continue;
        if (!is_as_expected(k->out[o], &f->still[k->out[o] - f->vals])) f->mistaken = true;
    }
    return f->mistaken ? US_BUG : US_OK;
}

/* What comes from around a sub-graph. */
static bool may_enter(const us_frame *f)
{
    for (size_t i = 0; i < f->n_entry; i++)
        if (!is_as_expected(us_frame_value(f, f->entry[i]), &f->still[f->entry[i]]))
            return false;
    return true;
}

/* A step as it comes: the operator's eval, and memory given back. */
us_err us_run_step(us_eval *k, const void *state, void *scratch)
{
    (void)state;
    (void)scratch;
    us_frame *f = (us_frame *)k->env;
    us_session *s = f->s;
    uint32_t i = (uint32_t)(k - f->evals);
    size_t used = s->scratch_used;
    const us_dyn_block *more = s->scratch_more.first;
    us_err e = check_types(f, i);
    if (e == US_OK) e = f->gp->steps[i].eval(k);
    if (s->opts.watch && e == US_OK) e = tell_watch(k->c, f, i);
    if (f->gp->steps[i].n_sub && e == US_OK) settle_results(f, i);
    if (s->scratch_used != used) drop_scratch(s, used, more);
    if (f->walking && e == US_OK) e = compare_outputs(f, i);
    if (f->any_frees && e == US_OK) free_after(f, i);
    return e;
}

us_err us_run_frees(us_eval *k, const void *state, void *scratch)
{
    (void)state;
    (void)scratch;
    us_frame *f = (us_frame *)k->env;
    free_after(f, (size_t)(k - f->evals));
    return US_OK;
}

static us_err take_steps(us_ctx *c, us_session *s, size_t n)
{
    if (s->n_steps_left <= n)
        return us_fail(c, US_LIMIT, "the run takes more than %llu steps (max_steps)",
                       (unsigned long long)s->opts.max_steps);
    s->n_steps_left -= n + 1; /* an empty sub-graph costs something too */
    return us_ctx_poll(c);
}

static us_err run_plainly(us_ctx *c, us_frame *f)
{
    us_err e = US_OK;
    f->placed = false; /* outputs go where eval puts them */
    for (uint32_t i = 0; i < f->gp->n_steps && e == US_OK; i++) {
        e = f->s->rows ? timed(f, us_run_step, &f->evals[i], NULL, NULL, i)
                       : us_run_step(&f->evals[i], NULL, NULL);
        if (c->cancelled && e == US_OK) e = us_ctx_poll(c); /* a step may take seconds */
    }
    return e;
}

static us_err charge(us_ctx *c, us_frame *f)
{
    us_session *s = f->s;
    if (!(f->work <= s->work_left))
        return us_fail(
            c, US_LIMIT,
            "the steps of graph '" US_SV_FMT
            "' take %.3g elementary steps and more, with %.3g left of what a run may take "
            "(max_work)",
            US_SV_ARG(f->gp->g->name), f->work, s->work_left);
    s->work_left -= f->work;
    return US_OK;
}

static us_err walk_list(us_ctx *c, us_frame *f, void *scratch)
{
    const us_entry *end = f->list + f->n_list;
    bool rows = f->s->rows != NULL;
    for (const us_entry *n = f->list; n < end; n++) {
        us_err e = rows ? timed(f, n->run, n->k, n->state, scratch, n->step)
                        : n->run(n->k, n->state, scratch);
        if (e == US_OK && n->poll && c->cancelled) e = us_ctx_poll(c);
        if (e != US_OK) return e;
    }
    return US_OK;
}

static us_err walk(us_ctx *c, us_frame *f)
{
    us_session *s = f->s;
    size_t used = s->scratch_used;
    const us_dyn_block *more = s->scratch_more.first;
    void *scratch = f; /* calls add offsets to it even when they need none */
    us_err e = charge(c, f);
    if (e == US_OK && f->scratch) e = take_scratch(c, s, f->scratch, &scratch);
    if (!f->placed) us_frame_settle(f);
    f->walking = true;
    if (e == US_OK) e = walk_list(c, f, scratch);
    f->walking = false;
    if (s->scratch_used != used) drop_scratch(s, used, more);
    return e;
}

/* The context of a run is nearly always that of the run before. */
static void take_context(us_ctx *c, us_frame *f)
{
    for (size_t i = 0; i < f->gp->n_steps; i++)
        f->evals[i].c = c;
    f->c = c;
}

us_err us_frame_run(us_ctx *c, us_frame *f, bool plain)
{
    US_TRY(take_steps(c, f->s, f->gp->n_steps));
    if (f->c != c) take_context(c, f);
    f->running = true;
    us_err e = US_OK;
    plain = plain || f->plain || !may_enter(f);
    if (!plain) e = walk(c, f);
    if (e == US_BUG && f->mistaken) {
        us_trace(c, PLAN, 1,
                 "inference was mistaken in graph '" US_SV_FMT "': steps as they come",
                 US_SV_ARG(f->gp->g->name));
        f->mistaken = false;
        f->plain = plain = true;
        us_frame_release(f);
    }
    if (plain) e = us_plan_recall(c, f->s->p);
    if (plain && e == US_OK) e = run_plainly(c, f);
    f->running = false;
    return e;
}

bool us_frame_is_steady(const us_frame *f)
{
    const us_session *s = f->s;
    if (f->plain || !f->placed || f->gp->n_subs > 0 || f->n_entry > 0 || f->blocks.first ||
        f->results.first || s->dyn.spare_bytes > 0 || f->scratch > s->scratch.bytes)
        return false;
    for (size_t i = 0; i < f->n_list; i++)
        if (f->list[i].run == us_run_step || f->list[i].run == us_run_frees) return false;
    return true;
}

us_err us_frame_again(us_ctx *c, us_frame *f)
{
    us_session *s = f->s;
    US_TRY(us_ctx_poll(c));
    s->work_left = s->opts.max_work - f->work;
    return walk_list(c, f, f->scratch ? s->scratch.p : f);
}

void us_frame_release(us_frame *f)
{
    if (f->blocks.first) {
        us_dyn_put_all(&f->s->dyn, &f->blocks);
        for (size_t v = 0; v < f->gp->n_vals; v++)
            f->slots[v].dyn = NULL;
    }
    if (f->results.first) us_dyn_put_all(&f->s->dyn, &f->results);
    for (size_t i = 0; i < f->gp->n_subs; i++)
        us_frame_release(f->subs[i]);
}

void us_frame_env_init(us_frame *f)
{
    f->env = (us_eval_env){.out_tensor = env_out_tensor,
                           .scratch = env_scratch,
                           .dynamic = env_dynamic,
                           .sub_run = env_sub_run,
                           .release = env_release,
                           .seed = env_seed,
                           .images = f->s->opts.images,
                           .work_left = &f->s->work_left};
}
