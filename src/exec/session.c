/* exec/session.c - the memory a plan runs in: bindings in a small cache, one block, one dynamic arena. */
#include "exec/plan.h"

#include <string.h>

#include "kernel/kernels.h"

#define SESSION_ARENA_CAP ((size_t)1 << 30)

/* --- life -------------------------------------------------------------------------------------------- */

/* Kernels worth a name in a profile; every other operator runs its reference. */
static const char *kernel_of(us_ctx *c, const us_op *op)
{
    static const char *const gemms[] = {"Gemm", "MatMul", "Conv"};
    for (size_t i = 0; i < US_LEN(gemms); i++)
        if (us_sv_is(us_sv_of(op->name), gemms[i])) return us_kernels_get(c)->f32_gemm_name;
    return "ref";
}

static us_err make_rows(us_ctx *c, us_session *s)
{
    const us_plan *p = s->p;
    us_profile_row *rows = us_new_n(s->arena, us_profile_row, p->n_rows);
    if (!rows) return us_arena_fail(c, s->arena);
    for (size_t g = 0; g < p->n_all; g++) {
        const us_gplan *gp = p->all[g];
        for (size_t i = 0; i < gp->n_steps; i++) {
            const us_node *n = gp->steps[i].node;
            us_profile_row *r = &rows[gp->row0 + i];
            us_vid y = n->n_out ? n->out[0] : US_NIL;
            r->node = n->name.n || y == US_NIL ? n->name : gp->g->vals.at[y].name;
            r->op = n->op_type;
            r->kernel = kernel_of(c, n->op);
            if (y != US_NIL) r->out_type = gp->g->vals.at[y].type;
        }
    }
    for (size_t i = 0; i < p->choices.n; i++)
        rows[p->choices.at[i].row].choice = &p->choices.at[i];
    s->rows = rows;
    return US_OK;
}

static void settle_opts(us_session *s, const us_session_opts *opts)
{
    if (opts) s->opts = *opts;
    if (!s->opts.dynamic_cap_bytes) s->opts.dynamic_cap_bytes = US_SESSION_DYNAMIC_CAP;
    if (!s->opts.static_cap_bytes) s->opts.static_cap_bytes = US_SESSION_STATIC_CAP;
    if (!s->opts.max_steps) s->opts.max_steps = US_SESSION_MAX_STEPS;
    if (!(s->opts.max_work > 0)) s->opts.max_work = US_SESSION_MAX_WORK;
    s->work_left = s->opts.max_work;
}

us_err us_session_new(us_ctx *c, us_plan *p, const us_session_opts *opts, us_session **out)
{
    us_arena *a;
    if (p->images && !(opts && opts->images))
        return us_fail(c, US_UNSUPP,
                       US_SV_FMT " '" US_SV_FMT
                                 "': this session was given no decoder of images",
                       US_SV_ARG(p->images->op_type), US_SV_ARG(p->images->name));
    US_TRY(us_arena_new(c, "session", SESSION_ARENA_CAP, &a));
    us_session *s = us_new(a, us_session);
    us_err e = s ? US_OK : us_arena_fail(c, a);
    if (s) {
        s->alloc = c->alloc;
        s->arena = a;
        s->p = p;
        settle_opts(s, opts);
        s->dyn = (us_dynmem){.alloc = c->alloc, .cap_bytes = s->opts.dynamic_cap_bytes};
        if (s->opts.profile) e = make_rows(c, s);
        if (e == US_OK)
            e = us_arena_new(c, "dynamic values", s->opts.dynamic_cap_bytes, &s->dynamic);
    }
    if (e != US_OK) {
        us_arena_free(a);
        return e;
    }
    s->dynamic_start = us_arena_mark(s->dynamic);
    *out = s;
    return US_OK;
}

static void drop_binding(us_session *s, size_t i)
{
    us_binding *b = s->bindings[i];
    if (s->now == b) s->now = NULL;
    s->n_bindings--;
    s->binding_bytes -= us_arena_used(b->arena);
    us_binding_free(b);
    s->bindings[i] = s->bindings[s->n_bindings];
}

void us_session_free(us_session *s)
{
    if (!s) return;
    while (s->n_bindings > 0)
        drop_binding(s, s->n_bindings - 1);
    us_dyn_put_all(&s->dyn, &s->scratch_more);
    us_dyn_deinit(&s->dyn);
    us_alloc alloc = s->alloc;
    us_block_put(&alloc, &s->block);
    us_block_put(&alloc, &s->scratch);
    us_arena_free(s->dynamic);
    us_arena_free(s->arena);
}

/* --- bindings -------------------------------------------------------------------------------------------- */

static size_t oldest_binding(const us_session *s)
{
    size_t oldest = 0;
    for (size_t i = 1; i < s->n_bindings; i++)
        if (s->bindings[i]->used_at < s->bindings[oldest]->used_at) oldest = i;
    return oldest;
}

/* Models of many lengths meet more of them than a few; models of many values cannot keep as many. */
static bool has_room(const us_session *s, size_t bytes)
{
    return s->n_bindings < US_SESSION_BINDINGS_SURE ||
           (s->n_bindings < US_SESSION_BINDINGS &&
            s->binding_bytes + bytes <= US_SESSION_BINDING_BYTES);
}

static us_err find_binding(us_ctx *c, us_session *s, const us_value *in, us_binding **out)
{
    us_binding *fresh;
    for (size_t i = 0; i < s->n_bindings; i++)
        if (us_binding_takes(s->bindings[i], s->p, in)) {
            *out = s->bindings[i];
            return US_OK;
        }
    US_TRY(us_binding_new(c, s, in, &fresh));
    size_t bytes = us_arena_used(fresh->arena);
    while (!has_room(s, bytes))
        drop_binding(s, oldest_binding(s));
    s->bindings[s->n_bindings++] = fresh;
    s->binding_bytes += bytes;
    *out = fresh;
    return US_OK;
}

/* The session's block serves every binding: it is as large as the largest needs. */
static us_err place_binding(us_ctx *c, us_session *s, us_binding *b)
{
    if (b->block_bytes > s->block.bytes) {
        us_block bigger = {0};
        US_TRY(us_block_get(c, &bigger, b->block_bytes, 64, false));
        us_block_put(&s->alloc, &s->block);
        s->block = bigger;
    }
    if (b->placed && b->base == s->block.p) return US_OK;
    us_frame_place(b->main, s->block.p);
    b->base = s->block.p;
    b->placed = true;
    return US_OK;
}

static inline bool is_in_block(const us_session *s, const void *p)
{
    return (uintptr_t)p - (uintptr_t)s->block.p < s->block.bytes;
}

/* Whether p lies in memory that the next run writes or gives back. */
static bool is_ours(const us_session *s, const void *p)
{
    if (is_in_block(s, p)) return true;
    us_dyn_block *b = s->now ? s->now->main->blocks.first : NULL;
    for (; b; b = us_dyn_next(b))
        if (p == us_dyn_data(b)) return true;
    return false;
}

static us_err check_data(us_ctx *c, const us_session *s, const us_value *in)
{
    const us_plan *p = s->p;
    for (size_t i = 0; i < p->n_in; i++) {
        if (in[i].kind != US_KIND_TENSOR) continue;
        if (!in[i].t.data && us_tensor_count(&in[i].t) > 0)
            return us_fail(c, US_ARG, "input '" US_SV_FMT "' has elements but no data",
                           US_SV_ARG(p->in_name[i]));
        if (is_ours(s, in[i].t.data))
            return us_fail(c, US_ARG,
                           "input '" US_SV_FMT
                           "' is an output of this session's last run; copy it first",
                           US_SV_ARG(p->in_name[i]));
    }
    return US_OK;
}

/* --- runs --------------------------------------------------------------------------------------------------- */

/* Gives back what the run before left for its outputs. */
static void forget_last_run(us_session *s)
{
    const us_frame *f = s->now ? s->now->main : NULL;
    if (f && (f->blocks.first || f->results.first || f->gp->n_subs))
        us_frame_release(s->now->main);
    us_dyn_begin_run(&s->dyn);
    us_mark m = us_arena_mark(s->dynamic);
    if (m.total == s->dynamic_start.total && m.used == s->dynamic_start.used) return;
    us_arena_recycle(s->dynamic);
    s->dynamic_start = us_arena_mark(s->dynamic);
}

/* Scratch that did not fit this time will fit the next. */
static us_err grow_scratch(us_ctx *c, us_session *s)
{
    if (s->scratch_more.first) us_dyn_put_all(&s->dyn, &s->scratch_more);
    s->scratch_used = 0;
    if (s->scratch_want <= s->scratch.bytes) return US_OK;
    us_block bigger = {0};
    US_TRY(us_block_get(c, &bigger, s->scratch_want, 64, false));
    us_block_put(&s->alloc, &s->scratch);
    s->scratch = bigger;
    return US_OK;
}

/* An empty tensor may come without data; kernels add offsets to it, which NULL does not take. */
static void place_input(us_binding *b, us_value *at, const us_value *in)
{
    *at = *in;
    if (at->kind == US_KIND_TENSOR && !at->t.data) at->t.data = b;
}

/* Calls take dense inputs. */
static bool are_dense(const us_plan *p, const us_value *in)
{
    for (size_t i = 0; i < p->n_in; i++)
        if (in[i].kind == US_KIND_TENSOR && !us_tensor_contiguous(&in[i].t)) return false;
    return true;
}

static bool is_like(const us_tensor *a, const us_tensor *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int32_t d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d] || a->strides[d] != b->strides[d]) return false;
    return true;
}

/* Puts in the data of inputs that are otherwise those of the last run, which nearly all are: nothing else is left to check or
 * to copy. False: the long way. */
static bool enter_again(const us_session *s, const us_value *in)
{
    const us_binding *b = s->now;
    if (!b || !b->entered) return false;
    for (size_t i = 0; i < s->p->n_in; i++) {
        if (in[i].kind != US_KIND_TENSOR || !in[i].t.data ||
            !is_like(&in[i].t, &b->ins[i]->t) || is_ours(s, in[i].t.data))
            return false;
        b->ins[i]->t.data = in[i].t.data;
    }
    return true;
}

static us_err enter(us_ctx *c, us_session *s, const us_value *in)
{
    us_plan *p = s->p;
    US_TRY(check_data(c, s, in));
    us_binding *b = s->now;
    if (!b || !us_binding_takes(b, p, in)) US_TRY(find_binding(c, s, in, &b));
    forget_last_run(s);
    US_TRY(place_binding(c, s, b));
    s->now = b;
    b->entered = are_dense(p, in);
    for (size_t i = 0; i < p->n_in; i++) {
        place_input(b, b->ins[i], &in[i]);
        b->entered = b->entered && (in[i].kind == US_KIND_TENSOR || in[i].kind == US_KIND_MAP);
    }
    return US_OK;
}

us_err us_session_again(us_ctx *c, us_session *s, const us_value *in)
{
    us_binding *b = s->now;
    if (!s->steady || b->main->c != c) return us_session_call(c, s, in);
    for (size_t i = 0; i < s->p->n_in; i++) {
        void *data = in[i].t.data;
        if (in[i].kind == US_KIND_MAP) {
            b->ins[i]->t.data = data;
            b->ins[i]->items = in[i].items;
            continue;
        }
        if (!data || is_in_block(s, data)) return us_session_call(c, s, in);
        b->ins[i]->t.data = data;
    }
    b->used_at = ++s->n_runs;
    return us_frame_again(c, b->main);
}

us_err us_session_call(us_ctx *c, us_session *s, const us_value *in)
{
    bool dense = true;
    s->steady = false;
    if (enter_again(s, in)) {
        forget_last_run(s);
    } else {
        US_TRY(enter(c, s, in));
        dense = are_dense(s->p, in);
    }
    us_binding *b = s->now;
    b->used_at = ++s->n_runs;
    s->n_steps_left = s->opts.max_steps;
    s->work_left = s->opts.max_work;
    bool plain = s->opts.plain || s->opts.watch || !dense;
    us_err e = us_frame_run(c, b->main, plain);
    s->called = !plain && !b->main->plain;
    us_err grown = grow_scratch(c, s);
    if (e == US_OK) e = grown;
    if (e != US_OK) us_frame_release(b->main);
    s->steady = e == US_OK && s->called && b->entered && us_frame_is_steady(b->main);
    return e;
}

const us_value *const *us_session_outputs(const us_session *s)
{
    return s->now->outs;
}

uint64_t us_session_output_kept(const us_session *s, size_t i)
{
    return s->called && s->now->kept[i] ? s->now->serial : 0;
}

us_err us_session_run(us_ctx *c, us_session *s, const us_value *in, us_value *out)
{
    US_TRY(us_session_call(c, s, in));
    for (size_t i = 0; i < s->p->n_out; i++) {
        const us_value *v = s->now->outs[i];
        if (v->kind == US_KIND_TENSOR)
            out[i] = *v;
        else /* its elements may be the caller's own, which are borrowed for the call only */
            US_TRY(us_value_dup(c, s->dynamic, v, &out[i]));
    }
    return US_OK;
}

us_err us_session_run_into(us_ctx *c, us_session *s, const us_value *in, us_tensor *out)
{
    US_TRY(us_session_call(c, s, in));
    for (size_t i = 0; i < s->p->n_out; i++) {
        const us_value *v = s->now->outs[i];
        us_sv name = s->p->out_name[i];
        if (v->kind != US_KIND_TENSOR)
            return us_fail(c, US_UNSUPP, "output '" US_SV_FMT "' is not a tensor",
                           US_SV_ARG(name));
        if (v->t.dtype != out[i].dtype || !us_tensor_same_dims(&v->t, &out[i])) {
            char got[160], want[160];
            return us_fail(c, US_SHAPE,
                           "output '" US_SV_FMT "' is %s%s, the caller's memory is %s%s",
                           US_SV_ARG(name), us_dtype_get(v->t.dtype)->name,
                           us_dims_print(v->t.rank, v->t.dims, got, sizeof got),
                           us_dtype_get(out[i].dtype)->name,
                           us_dims_print(out[i].rank, out[i].dims, want, sizeof want));
        }
    }
    for (size_t i = 0; i < s->p->n_out; i++)
        US_TRY(us_tensor_copy(c, &out[i], &s->now->outs[i]->t));
    return US_OK;
}

/* --- figures --------------------------------------------------------------------------------------------------- */

size_t us_session_profile(const us_session *s, const us_profile_row **rows)
{
    if (!s->rows) return 0;
    *rows = s->rows;
    return s->p->n_rows;
}

void us_session_profile_reset(us_session *s)
{
    for (size_t i = 0; s->rows && i < s->p->n_rows; i++)
        s->rows[i].ns = s->rows[i].n_calls = 0;
}

void us_session_stats_get(const us_session *s, us_session_stats *out)
{
    *out = (us_session_stats){.n_steps = s->p->main->n_steps,
                              .const_bytes = s->p->const_bytes,
                              .n_bindings = s->n_bindings,
                              .work = s->opts.max_work - s->work_left};
    if (!s->now) return;
    out->n_static_steps = s->now->n_static;
    out->arena_bytes = s->now->block_bytes;
    out->live_peak_bytes = s->now->live_peak;
}
