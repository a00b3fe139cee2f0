/* pass/fold_const.c - nodes whose inputs are all constant are evaluated now.
 *
 * Evaluation goes through the operators' own kernels, with outputs in a scratch arena whose cap bounds what a hostile
 * node can ask for. A result is kept when it does not blow the model up: up to GROWTH_FREE bytes always, beyond
 * that at most twice the bytes that went in; and all results together stay under GROWTH_TOTAL. A node that cannot be
 * evaluated (a bad index in a branch that is never taken) is left for the run to report.
 */
#include "pass/passes.h"

#define SCRATCH_CAP  ((size_t)512 << 20)
#define GROWTH_FREE  ((size_t)64 << 10)
#define GROWTH_TOTAL ((size_t)256 << 20)
/* What folding costs is in proportion to the file, whatever it says: elementary steps of one sweep over a graph. */
#define WORK_FREE     4e6
#define WORK_PER_BYTE 64.0 /* and so many more per byte of the constants */
#define MAX_ENDS      64   /* inputs or outputs of a node worth folding */

typedef struct fold_env {
    us_eval_env env;
    us_arena *arena;
    double work_left;
    bool keeps_quantised; /* DequantizeLinear stays */
} fold_env;

static double const_bytes(const us_graph *g)
{
    double sum = 0;
    for (us_vid v = 0; v < g->vals.n; v++) {
        const us_tensor *t = us_const_tensor(g, v);
        if (t) sum += (double)us_tensor_bytes(t);
    }
    return sum;
}

static us_err env_out_tensor(us_eval_env *env, us_eval *k, size_t i, us_tensor *t)
{
    (void)i;
    us_arena *a = ((fold_env *)env)->arena;
    t->data = us_arena_alloc(a, US_MAX(us_tensor_bytes(t), 1), 1, 64);
    return t->data ? US_OK : us_arena_fail(k->c, a);
}

static us_err env_scratch(us_eval_env *env, us_eval *k, size_t bytes, void **out)
{
    us_arena *a = ((fold_env *)env)->arena;
    *out = us_arena_alloc(a, US_MAX(bytes, 1), 1, 64);
    return *out ? US_OK : us_arena_fail(k->c, a);
}

static us_arena *env_dynamic(us_eval_env *env, us_eval *k)
{
    (void)k;
    return ((fold_env *)env)->arena;
}

static us_err env_sub_run(us_eval_env *env, us_eval *k, us_graph *sub, size_t n_in,
                          const us_value *const *in, size_t n_out, us_value *out)
{
    (void)env, (void)sub, (void)n_in, (void)in, (void)n_out, (void)out;
    return us_fail(k->c, US_UNSUPP, "sub-graphs are not run while folding constants");
}

static void env_release(us_eval_env *env, us_eval *k, us_value *v)
{
    (void)env, (void)k, (void)v;
}

static uint64_t env_seed(us_eval_env *env, us_eval *k)
{
    (void)env, (void)k;
    return 0; /* random operators are never folded */
}

/* Values of a node's inputs when all are constant tensors; their bytes in *bytes. */
static bool gather_inputs(const us_graph *g, const us_node *n, us_value *vals,
                          const us_value **in, size_t *bytes)
{
    *bytes = 0;
    for (uint32_t k = 0; k < n->n_in; k++) {
        in[k] = NULL;
        if (n->in[k] == US_NIL) continue;
        const us_tensor *t = us_const_tensor(g, n->in[k]);
        if (!t || (!t->data && us_tensor_count(t) > 0)) return false;
        vals[k] = us_value_of(t);
        in[k] = &vals[k];
        *bytes += us_tensor_bytes(t);
    }
    return true;
}

static bool foldable(const fold_env *env, const us_rewire *r, const us_node *n)
{
    if (env->keeps_quantised && us_is_op(n, "", "DequantizeLinear")) return false;
    if (n->dead || !n->op || !n->op->eval || n->n_in > MAX_ENDS || n->n_out > MAX_ENDS)
        return false;
    if (n->op->flags & (US_OP_NOFOLD | US_OP_RANDOM | US_OP_SUBGRAPH)) return false;
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] != US_NIL && us_rewire_is_output(r, n->out[k])) return false;
    return true;
}

static bool worth_keeping(const us_node *n, const us_value *out, size_t in_bytes, size_t *spent)
{
    size_t bytes = 0;
    for (uint32_t k = 0; k < n->n_out; k++) {
        if (n->out[k] == US_NIL) continue;
        if (out[k].kind != US_KIND_TENSOR) return false;
        bytes += us_tensor_bytes(&out[k].t);
    }
    bool from_attribute = n->n_in == 0; /* bounded by the file itself */
    if (bytes > GROWTH_FREE && bytes > 2 * in_bytes && !from_attribute) return false;
    if (bytes > GROWTH_TOTAL - *spent) return false;
    *spent += bytes;
    return true;
}

/* What lies in the scratch arena is copied; else a constant's own memory or an attribute's was given out, which lasts. */
static us_err lasting(us_ctx *c, us_model *m, const us_arena *scratch, const us_tensor *from,
                      us_tensor *to)
{
    if (us_arena_holds(scratch, from->data) || !us_tensor_contiguous(from))
        return us_tensor_dup(c, m->arena, from, to);
    *to = *from;
    return US_OK;
}

static us_err keep(us_ctx *c, us_model *m, us_graph *g, us_nid nid, const us_arena *scratch,
                   const us_value *out, us_rewire *r)
{
    for (uint32_t k = 0; k < g->nodes.at[nid].n_out; k++) {
        us_vid y = g->nodes.at[nid].out[k], v;
        if (y == US_NIL) continue;
        us_tensor t;
        US_TRY(lasting(c, m, scratch, &out[k].t, &t));
        US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &t, &v));
        g->vals.at[y].data = g->vals.at[v].data; /* what it was, for who asks (facts.c) */
        g->vals.at[y].type = g->vals.at[v].type;
        us_rewire_set(r, y, v);
    }
    us_rewire_drop(r, nid);
    return US_OK;
}

/* A vector of shape arithmetic whose elements inference found, all of them numbers: Shape of a value with a known shape and
 * what is made of it. */
static bool known_numbers(const us_val *v)
{
    const us_type *t = &v->type;
    if (!v->known || t->kind != US_KIND_TENSOR || (t->rank != 0 && t->rank != 1)) return false;
    if (t->dtype != US_I64 && t->dtype != US_I32 && t->dtype != US_BOOL) return false;
    if (t->rank == 0 ? v->n_known != 1
                     : !us_dim_known(t->dims[0]) || t->dims[0].add != (int64_t)v->n_known)
        return false;
    for (uint32_t i = 0; i < v->n_known; i++)
        if (!us_dim_known(v->known[i])) return false;
    return true;
}

static us_err fold_known(us_ctx *c, us_model *m, us_graph *g, us_nid nid, us_arena *a,
                         us_rewire *r)
{
    const us_val *v = &g->vals.at[g->nodes.at[nid].out[0]];
    int64_t n = (int64_t)v->n_known;
    us_tensor t;
    US_TRY(us_tensor_new(c, a, v->type.dtype, v->type.rank, &n, &t));
    for (int64_t i = 0; i < n; i++)
        us_dtype_get(t.dtype)->from_i64(t.data, (size_t)i, 1, &v->known[i].add);
    us_value out = us_value_of(&t);
    return keep(c, m, g, nid, a, &out, r);
}

/* The tensor that a node only hands out, or NULL: it is shared, whatever its size. */
static const us_tensor *handed_out(const us_node *n)
{
    const us_attr *value = us_is_op(n, "", "Constant") ? us_node_attr(n, "value") : NULL;
    bool is = value && value->kind == US_AT_TENSOR && n->n_attrs == 1 && n->n_out == 1;
    return is && value->n == 1 && value->tensors->data ? value->tensors : NULL;
}

static us_err fold_node(us_ctx *c, us_model *m, us_graph *g, us_nid nid, fold_env *env,
                        us_rewire *r, size_t *spent, bool *changed)
{
    const us_node *n = &g->nodes.at[nid];
    us_value vals[MAX_ENDS], results[MAX_ENDS] = {{0}};
    const us_value *in[MAX_ENDS];
    us_value *out[MAX_ENDS];
    size_t in_bytes;
    if (foldable(env, r, n) && n->n_out == 1 && n->out[0] != US_NIL &&
        known_numbers(&g->vals.at[n->out[0]])) {
        *changed = true;
        return fold_known(c, m, g, nid, env->arena, r);
    }
    if (!foldable(env, r, n) || !gather_inputs(g, n, vals, in, &in_bytes)) return US_OK;
    if (handed_out(n)) {
        results[0] = us_value_of(handed_out(n));
        *changed = true;
        return keep(c, m, g, nid, env->arena, results, r);
    }
    for (uint32_t k = 0; k < n->n_out; k++)
        out[k] = n->out[k] == US_NIL ? NULL : &results[k];
    us_eval k = {.c = c,
                 .n = n,
                 .params = n->params,
                 .in = in,
                 .n_in = n->n_in,
                 .out = out,
                 .n_out = n->n_out,
                 .env = &env->env};
    us_mark mark = us_arena_mark(env->arena);
    us_err e = us_eval_check(&k);
    if (e == US_OK) e = n->op->eval(&k);
    if (e == US_OK && worth_keeping(n, results, in_bytes, spent)) {
        e = keep(c, m, g, nid, env->arena, results, r);
        *changed = true;
    } else if (e != US_NOMEM && e != US_CANCELLED) {
        if (e != US_OK) us_trace(c, PASS, 2, "not folded: %s", c->diag.text);
        e = US_OK;
    }
    us_arena_reset(env->arena, mark);
    return e;
}

static us_err fold(us_ctx *c, us_model *m, us_graph *g, bool keeps_quantised, bool *changed)
{
    fold_env env = {.env = {.out_tensor = env_out_tensor,
                            .scratch = env_scratch,
                            .dynamic = env_dynamic,
                            .sub_run = env_sub_run,
                            .release = env_release,
                            .seed = env_seed,
                            .work_left = &env.work_left},
                    .work_left = WORK_FREE + WORK_PER_BYTE * const_bytes(g),
                    .keeps_quantised = keeps_quantised};
    US_TRY(us_arena_new(c, "constant folding", SCRATCH_CAP, &env.arena));
    us_rewire r = {0};
    us_err e = us_rewire_begin(c, g, env.arena, &r);
    size_t spent = 0;
    for (size_t i = 0; i < g->order.n && e == US_OK; i++) {
        us_rewire_node(&r, g->order.at[i]);
        e = fold_node(c, m, g, g->order.at[i], &env, &r, &spent, changed);
    }
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(env.arena);
    return e;
}

us_err us_pass_fold_const(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    return fold(c, m, g, false, changed);
}

us_err us_pass_fold_params(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    return fold(c, m, g, true, changed);
}
