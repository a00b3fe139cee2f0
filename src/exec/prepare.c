/* exec/prepare.c - runs an operator's prepare on a node of a plan that is being made.
 *
 * What it keeps lies in the plan's arena, its working memory in one that goes at once. Constants are known, other inputs are
 * not; variables change, so they count among the others.
 */
#include <string.h>

#include "base/ctx.h"
#include "exec/plan.h"
#include "ir/later.h"

#define WORK_ARENA_CAP ((size_t)2 << 30)

typedef struct prepare_env {
    us_eval_env base; /* first: an env is its prepare_env */
    us_arena *keep, *work;
    us_plan *p;
    size_t row;
} prepare_env;

static us_err no_output(us_eval_env *env, us_eval *k, size_t i, us_tensor *t)
{
    (void)env;
    (void)t;
    return us_eval_fail(k, US_BUG, "output %zu is made while the plan is", i);
}

static us_err env_work(us_eval_env *env, us_eval *k, size_t bytes, void **out)
{
    prepare_env *e = (prepare_env *)env;
    void *p = us_arena_alloc(e->work, 1, bytes, 64);
    if (!p) return us_arena_fail(k->c, e->work);
    *out = p;
    return US_OK;
}

static us_arena *env_keep(us_eval_env *env, us_eval *k)
{
    (void)k;
    return ((prepare_env *)env)->keep;
}

/* The next of what the file holds, if it is of this step and size. Else the step packs anew, and so do all after it. */
static const void *stored(us_stored *from, size_t row, size_t bytes)
{
    if (from->next == from->n) return NULL;
    const us_packed *at = &from->at[from->next];
    if (at->row != row || at->bytes != bytes) return NULL;
    from->next++;
    return at->p;
}

static us_err env_packed(us_eval_env *env, us_eval *k, size_t bytes, void **out, bool *there)
{
    prepare_env *e = (prepare_env *)env;
    const void *p = stored(&e->p->stored, e->row, bytes);
    void *mem = (void *)(uintptr_t)p;
    if (!p) US_TRY(us_eval_keep_raw(k, bytes, &mem));
    US_TRY(us_vec_push(k->c, e->p->arena, &e->p->packed, (us_packed){e->row, mem, bytes}));
    *out = mem;
    *there = p != NULL;
    return US_OK;
}

static us_err no_choice(us_eval *k)
{
    return us_eval_fail(k, US_FORMAT,
                        "the plan is damaged: its choice of a kernel is none of this step's; "
                        "compile the model again");
}

/* The stored choice, which has to be one among the same candidates. */
static us_err take_choice(us_eval *k, const us_kernel_choice *from, us_kernel_choice *to)
{
    bool same = from->n == to->n && from->best == to->best && from->chosen < to->n;
    for (size_t i = 0; same && i < to->n; i++)
        same = strcmp(from->list[i].name, to->list[i].name) == 0;
    if (!same) return no_choice(k);
    us_arena *a = ((prepare_env *)k->env)->keep;
    double *ns = us_new_n(a, double, to->n);
    if (!ns) return us_arena_fail(k->c, a);
    memcpy(ns, from->ns, to->n * sizeof *ns);
    to->ns = ns;
    to->chosen = from->chosen;
    return US_OK;
}

static us_err env_choose(us_eval_env *env, us_eval *k, size_t n, const us_candidate *list,
                         size_t best, size_t *out)
{
    prepare_env *e = (prepare_env *)env;
    us_stored *from = &e->p->stored;
    *out = best;
    if (n < 2) return US_OK;
    us_candidate *own = us_new_n(e->keep, us_candidate, n);
    us_kernel_choice x = {.row = e->row, .n = n, .list = own, .best = best, .chosen = best};
    if (!own) return us_arena_fail(k->c, e->keep);
    memcpy(own, list, n * sizeof *own);
    if (from->next_choice < from->n_choices && from->choices[from->next_choice].row == e->row)
        US_TRY(take_choice(k, &from->choices[from->next_choice++], &x));
    US_TRY(us_vec_push(k->c, e->keep, &e->p->choices, x));
    *out = x.chosen;
    return US_OK;
}

/* What v always holds, here or in the graph it is captured from; NULL when that changes. */
static const us_value *constant_of(const us_graph *g, us_vid v)
{
    while (v != US_NIL && g && g->vals.at[v].storage == US_ST_OUTER) {
        v = g->vals.at[v].outer;
        g = g->parent;
    }
    return v != US_NIL && g && g->vals.at[v].storage == US_ST_CONST ? g->vals.at[v].data : NULL;
}

/* Room for the largest of the weights that are computed for packing alone; used again for each. */
static us_err get_room(us_ctx *c, us_plan *p)
{
    size_t most = 0;
    for (size_t i = 0; i < p->m->later.n; i++)
        most = US_MAX(most, p->m->later.at[i].count);
    return p->room.p ? US_OK : us_block_get(c, &p->room, most * sizeof(float), 64, false);
}

/* *v as prepare may read it. What packing takes over is computed for that, all else for good. */
static us_err readable(us_ctx *c, prepare_env *e, const us_op *op, uint32_t i,
                       const us_value **v)
{
    us_later *x =
        *v && (*v)->kind == US_KIND_TENSOR ? us_later_find(e->p->m, (*v)->t.data) : NULL;
    if (!x || !us_op_packs(op, i)) {
        us_later_settle(x);
        return US_OK;
    }
    US_TRY(get_room(c, e->p));
    us_value *now = us_new(e->work, us_value);
    if (!now) return us_arena_fail(c, e->work);
    *now = **v;
    now->t.data = e->p->room.p;
    (void)us_later_compute(x, now->t.data);
    *v = now;
    return US_OK;
}

static us_err prepare(us_ctx *c, const us_graph *g, us_step *s, prepare_env *e)
{
    const us_node *n = s->node;
    const us_value **in = us_new_n(e->work, const us_value *, n->n_in);
    if (!in) return us_arena_fail(c, e->work);
    for (uint32_t i = 0; i < n->n_in; i++) {
        in[i] = constant_of(g, n->in[i]);
        US_TRY(readable(c, e, s->op, i, &in[i]));
    }
    us_eval k = {
        .c = c, .n = n, .params = n->params, .in = in, .n_in = n->n_in, .env = &e->base};
    US_TRY(us_eval_check(&k));
    return us_op_prepare(s->op)(&k, &s->prepared);
}

us_err us_step_prepare(us_ctx *c, us_plan *p, const us_graph *g, us_step *s, size_t row)
{
    if (!us_op_prepare(s->op)) return US_OK;
    prepare_env e = {.base = {.out_tensor = no_output,
                              .scratch = env_work,
                              .dynamic = env_keep,
                              .packed = env_packed,
                              .choose = env_choose},
                     .keep = p->arena,
                     .p = p,
                     .row = row};
    US_TRY(us_arena_new(c, "prepare", WORK_ARENA_CAP, &e.work));
    us_err err = prepare(c, g, s, &e);
    us_arena_free(e.work);
    return err;
}
