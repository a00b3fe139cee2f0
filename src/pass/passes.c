/* pass/passes.c - the table of rewrites and the one driver that runs them.
 *
 * The driver keeps two facts about the model, order and types, makes what the next pass needs and forgets what a pass
 * that changed something breaks. It visits sub-graphs, innermost first, decodes the attributes of nodes a pass made,
 * and verifies every graph after every pass that changed one: a pass that breaks an invariant is caught at once
 * and by name, and verification costs little beside the passes themselves.
 */
#include "pass/passes.h"

#include <math.h>
#include <string.h>

#include "ir/later.h"

/* ORDER as the lists `default` and `cpu` run them. What a plan wants of a model: current forms, only operators with kernels, constants
 * folded, nothing superfluous. */
/* clang-format off */
static const us_pass passes[] = {
    { US_LIST_DEFAULT, "inline",      0,             US_FACT_ORDER | US_FACT_TYPES, us_pass_inline,      "replace calls of the model's own functions by their nodes" },
    { US_LIST_DEFAULT, "upgrade",     0,             US_FACT_ORDER | US_FACT_TYPES, us_pass_upgrade,     "bring nodes of older operator versions to the current form" },
    { US_LIST_DEFAULT, "expand",      US_FACT_TYPES, US_FACT_ORDER | US_FACT_TYPES, us_pass_expand,      "replace composite operators without a kernel by core ones" },
    { US_LIST_DEFAULT, "fold-params", US_FACT_TYPES, US_FACT_TYPES,                 us_pass_fold_params, "fold-const, but for DequantizeLinear, whose integers qdq looks for" },
    { US_LIST_DEFAULT, "qdq",         US_FACT_TYPES, US_FACT_TYPES,                 us_pass_qdq,         "run what stands between DequantizeLinear and QuantizeLinear as integers" },
    { US_LIST_DEFAULT, "fold-const",  US_FACT_TYPES, US_FACT_TYPES,                 us_pass_fold_const,  "evaluate nodes whose inputs are all constant" },
    { US_LIST_DEFAULT, "if-const",    0,             US_FACT_ORDER | US_FACT_TYPES, us_pass_if_const,    "replace an If whose condition is constant by its branch" },
    { US_LIST_DEFAULT, "static-reshape", US_FACT_TYPES, US_FACT_TYPES,              us_pass_static_reshape, "give Reshape a constant shape where inference knows the result" },
    { US_LIST_DEFAULT, "identity",    US_FACT_TYPES, US_FACT_TYPES,                 us_pass_identity,    "remove nodes that give back their input" },
    { US_LIST_DEFAULT, "cancel",      US_FACT_TYPES, US_FACT_TYPES,                 us_pass_cancel,      "join transposes, reshapes, casts and functions that undo each other" },
    { US_LIST_DEFAULT, "concat",      US_FACT_TYPES, US_FACT_TYPES,                 us_pass_concat,      "join Concat with Concat, Split and Slice" },
    { US_LIST_DEFAULT, "slice",       US_FACT_TYPES, US_FACT_TYPES,                 us_pass_slice,       "join a Slice with the Slice before it" },
    { US_LIST_DEFAULT, "cse",         US_FACT_ORDER, US_FACT_TYPES,                 us_pass_cse,         "keep equal constants and compute equal expressions once" },
    { US_LIST_DEFAULT, "fold-bn",     US_FACT_TYPES, US_FACT_TYPES,                 us_pass_fold_bn,     "fold BatchNormalization into the Conv or Gemm before it" },
    { US_LIST_DEFAULT, "fold-scale",  US_FACT_TYPES, US_FACT_TYPES,                 us_pass_fold_scale,  "fold Mul, Div, Add and Sub of a constant into the Conv, Gemm or MatMul before them" },
    { US_LIST_DEFAULT, "chain",       US_FACT_TYPES, US_FACT_TYPES,                 us_pass_chain,       "join Mul and Div, Add and Sub of constants in a row" },
    { US_LIST_DEFAULT, "fold-pad",    US_FACT_TYPES, US_FACT_TYPES,                 us_pass_fold_pad,    "make Pad with zeros the padding of the Conv after it" },
    { US_LIST_DEFAULT, "fuse-gemm",   US_FACT_TYPES, US_FACT_TYPES,                 us_pass_fuse_gemm,   "make MatMul and Add of a constant bias, and Transpose and Gemm, one Gemm" },
    { US_LIST_DEFAULT, "dce",         0,             0,                             us_pass_dce,         "remove nodes nobody uses" },
    /* What only this processor wants: operators of its own (domain "usta"), its layouts. Rows of US_LIST_CPU stand below. */
    { US_LIST_CPU,     "fuse-int",      US_FACT_TYPES, US_FACT_ORDER | US_FACT_TYPES, us_pass_fuse_int,    "products of integers and what makes floats of them as one operator" },
    { US_LIST_CPU,     "quant-layout",  US_FACT_TYPES, US_FACT_TYPES,               us_pass_quant_layout,  "8-bit convolutions and what stands between them with channels last" },
    { US_LIST_CPU,     "fuse-norm",     US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_norm,     "make a LayerNormalization that is written out one operator" },
    { US_LIST_CPU,     "fuse-gelu",     US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_gelu,     "make a Gelu that is written out one operator" },
    { US_LIST_CPU,     "block-layout",  US_FACT_TYPES, US_FACT_TYPES,               us_pass_block_layout,  "convolutions and what stands between them on channels in blocks, reorders at the borders" },
    { US_LIST_CPU,     "fuse-conv-add", US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_conv_add, "make Add of a tensor of the same shape the residual of the convolution before it" },
    { US_LIST_CPU,     "fuse-conv-act", US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_conv_act, "make Relu and Clip the clamp of the convolution before them" },
    { US_LIST_CPU,     "own-gemm",    US_FACT_TYPES, US_FACT_TYPES,                 us_pass_own_gemm,    "make MatMul and Gemm by constant weights usta.Gemm, which takes what follows" },
    { US_LIST_CPU,     "own-matmul",  US_FACT_TYPES, US_FACT_TYPES,                 us_pass_own_matmul,  "put Transposes and a factor around MatMul of two values that change into its strides" },
    { US_LIST_CPU,     "transpose-weights", 0,       US_FACT_TYPES,             us_pass_transpose_weights, "store constant weights of other Gemms as its product reads them" },
    { US_LIST_CPU,     "own-attention", US_FACT_TYPES, US_FACT_TYPES,               us_pass_own_attention, "make two products with a softmax between them one usta.Attention" },
    { US_LIST_CPU,     "fuse-gemm-bias", US_FACT_TYPES, US_FACT_TYPES,              us_pass_fuse_gemm_bias, "put Add of a constant per column into the product before it" },
    { US_LIST_CPU,     "fuse-gemm-add", US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_gemm_add, "put Add of a value of the same shape into the product before it" },
    { US_LIST_CPU,     "fuse-gemm-act", US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_gemm_act, "put Relu and Clip into the product before them" },
    { US_LIST_CPU, "fuse-map",        US_FACT_TYPES, US_FACT_TYPES,                 us_pass_fuse_map,    "run chains of elementwise operators as one pass over memory" },
    { US_LIST_CPU,     "fuse-conv-map", US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_conv_map, "run elementwise programs over the rows of the convolution before them" },
    { US_LIST_CPU,     "fuse-gemm-map", US_FACT_TYPES, US_FACT_TYPES,               us_pass_fuse_gemm_map, "run elementwise programs over the tiles of the product before them" },
};
/* clang-format on */

const us_pass *us_pass_find(us_sv name)
{
    for (size_t i = 0; i < US_LEN(passes); i++)
        if (us_sv_is(name, passes[i].name)) return &passes[i];
    return NULL;
}

const us_pass *us_pass_at(size_t i)
{
    return i < US_LEN(passes) ? &passes[i] : NULL;
}

/* --- visiting graphs -------------------------------------------------------------------------------- */

static us_err sort_graph(us_ctx *c, us_graph *g, void *arg)
{
    (void)arg;
    return us_graph_sort(c, g);
}

static us_err decode_new(us_ctx *c, us_graph *g)
{
    for (size_t i = 0; i < g->order.n; i++) {
        us_node *n = &g->nodes.at[g->order.at[i]];
        if (!n->op || !n->params) US_TRY(us_node_decode(c, g->model, n));
    }
    return US_OK;
}

typedef struct pass_run {
    const us_pass *p;
    us_model *m;
    bool changed;
} pass_run;

static us_err run_on_graph(us_ctx *c, us_graph *g, void *arg)
{
    pass_run *r = arg;
    bool changed = false;
    us_err e = r->p->run(c, r->m, g, &changed);
    if (e != US_OK) return us_wrap(c, e, "%s", r->p->name);
    if (!changed) return US_OK;
    r->changed = true;
    US_TRY(decode_new(c, g));
    e = us_graph_verify(c, g);
    return e == US_OK ? US_OK : us_wrap(c, e, "after pass %s", r->p->name);
}

/* --- the driver ---------------------------------------------------------------------------------------- */

static us_err run_pass(us_ctx *c, us_model *m, const us_pass *p, uint32_t *facts,
                       us_pass_watch *w)
{
    if ((p->needs & ~*facts) != 0 && !(*facts & US_FACT_ORDER)) {
        US_TRY(us_graph_each(c, m->main, sort_graph, NULL));
        *facts |= US_FACT_ORDER;
    }
    if (p->needs & ~*facts & US_FACT_TYPES) {
        US_TRY(us_graph_infer(c, m->main));
        *facts |= US_FACT_TYPES;
    }
    pass_run r = {.p = p, .m = m};
    US_TRY(us_graph_each(c, m->main, run_on_graph, &r));
    if (r.changed) {
        *facts &= ~p->breaks;
        w->changed = true;
        if (w->after) US_TRY(w->after(w->arg, p->name, m));
    }
    us_trace(c, PASS, 1, "%s: %s, %zu nodes", p->name, r.changed ? "changed" : "nothing to do",
             m->main->order.n);
    return US_OK;
}

static const char *const list_names[] = {[US_LIST_DEFAULT] = "default", [US_LIST_CPU] = "cpu"};

/* The rows of the list of that name, if it is one. */
static us_err run_list(us_ctx *c, us_model *m, us_sv name, uint32_t *facts, us_pass_watch *w,
                       bool *is_list)
{
    for (size_t l = 0; l < US_LEN(list_names); l++) {
        if (!us_sv_is(name, list_names[l])) continue;
        *is_list = true;
        for (size_t i = 0; i < US_LEN(passes); i++)
            if ((size_t)passes[i].list == l) US_TRY(run_pass(c, m, &passes[i], facts, w));
    }
    return US_OK;
}

static us_sv next_name(us_sv *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ',')
        n++;
    us_sv word = us_sv_trim((us_sv){rest->p, n});
    n += n < rest->n;
    rest->p += n;
    rest->n -= n;
    return word;
}

static us_err unknown_pass(us_ctx *c, us_sv name)
{
    const char *names[US_LEN(passes)];
    for (size_t i = 0; i < US_LEN(passes); i++)
        names[i] = passes[i].name;
    const char *near = us_nearest(name, names, US_LEN(names));
    return us_fail(c, US_ARG, "there is no pass '" US_SV_FMT "'%s%s%s", US_SV_ARG(name),
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

us_err us_pass_run(us_ctx *c, us_model *m, const char *names)
{
    us_pass_watch w = {0};
    return us_pass_run_watched(c, m, names, &w);
}

us_err us_pass_run_watched(us_ctx *c, us_model *m, const char *names, us_pass_watch *w)
{
    us_sv rest = us_sv_of(names);
    uint32_t facts = 0;
    US_TRY(us_graph_verify(c, m->main)); /* passes rely on arity and definitions */
    while (rest.n > 0) {
        us_sv word = next_name(&rest);
        if (word.n == 0) continue;
        bool is_list = false;
        US_TRY(run_list(c, m, word, &facts, w, &is_list));
        if (is_list) continue;
        if (us_sv_is(word,
                     "infer")) { /* a fact rather than a rewrite, but callers may ask for it */
            US_TRY(us_graph_each(c, m->main, sort_graph, NULL));
            US_TRY(us_graph_infer(c, m->main));
            facts |= US_FACT_ORDER | US_FACT_TYPES;
            continue;
        }
        const us_pass *p = us_pass_find(word);
        if (!p) return unknown_pass(c, word);
        US_TRY(run_pass(c, m, p, &facts, w));
    }
    if (!(facts & US_FACT_ORDER)) US_TRY(us_graph_each(c, m->main, sort_graph, NULL));
    if (!(facts & US_FACT_TYPES)) US_TRY(us_graph_infer(c, m->main));
    return US_OK;
}

us_err us_pass_current(us_ctx *c, us_model *m)
{
    us_pass_watch w = {0};
    uint32_t facts = US_FACT_TYPES;
    US_TRY(run_pass(c, m, us_pass_find(US_SV("inline")), &facts, &w));
    US_TRY(run_pass(c, m, us_pass_find(US_SV("upgrade")), &facts, &w));
    return us_graph_each(c, m->main, sort_graph, NULL);
}

/* --- small questions passes share ---------------------------------------------------------------------- */

bool us_is_op(const us_node *n, const char *domain, const char *name)
{
    return !n->dead && us_sv_is(n->domain, domain) && us_sv_is(n->op_type, name);
}

const us_tensor *us_const_shape(const us_graph *g, us_vid v)
{
    if (v == US_NIL) return NULL;
    const us_val *val = &g->vals.at[v];
    if (val->storage == US_ST_OUTER)
        return g->parent ? us_const_shape(g->parent, val->outer) : NULL;
    if (val->storage != US_ST_CONST || !val->data || val->data->kind != US_KIND_TENSOR)
        return NULL;
    return &val->data->t;
}

const us_tensor *us_const_tensor(const us_graph *g, us_vid v)
{
    const us_tensor *t = us_const_shape(g, v);
    if (t && g->model->later.n) us_later_settle(us_later_find(g->model, t->data));
    return t;
}

void us_node_become(us_node *n, const us_node *from, uint32_t n_in, us_vid *in)
{
    n->name = from->name;
    n->domain = from->domain;
    n->op_type = from->op_type;
    n->version = from->version;
    n->attrs = from->attrs;
    n->n_attrs = from->n_attrs;
    n->op = from->op;
    n->schema = from->schema;
    n->params = from->params;
    n->in = in;
    n->n_in = n_in;
}

void us_node_set_op(us_node *n, const char *name)
{
    n->op_type = us_sv_of(name);
    n->op = us_op_find(n->domain, n->op_type);
    n->schema = n->op ? us_op_schema(n->op, n->version) : NULL;
    n->params = NULL; /* decoded by the driver */
}

us_err us_each_read(const us_node *n, us_read_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != US_NIL) US_TRY(fn(arg, n->in[i]));
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++) {
            const us_graph *sub = n->attrs[i].graphs[j];
            for (size_t v = 0; v < sub->vals.n; v++)
                if (sub->vals.at[v].storage == US_ST_OUTER && sub->vals.at[v].outer != US_NIL)
                    US_TRY(fn(arg, sub->vals.at[v].outer));
        }
    return US_OK;
}

us_err us_take_name(us_ctx *c, us_graph *g, us_vid from, us_vid to)
{
    us_sv name = g->vals.at[from].name, other = us_graph_fresh_name(c, g, "v");
    if (!name.n) return US_OK;
    if (!other.n) return us_arena_fail(c, g->model->arena);
    US_TRY(us_graph_rename(c, g, from, other));
    return us_graph_rename(c, g, to, name);
}

bool us_const_range(const us_graph *g, const us_node *n, float *lo, float *hi)
{
    *lo = 0;
    *hi = INFINITY;
    if (us_is_op(n, "", "Relu")) return true;
    if (!us_is_op(n, "", "Clip")) return false;
    *lo = -INFINITY;
    for (uint32_t k = 1; k < n->n_in; k++) {
        if (n->in[k] == US_NIL) continue;
        const us_tensor *t = us_const_tensor(g, n->in[k]);
        if (!t || t->dtype != US_F32 || !t->data || us_tensor_count(t) != 1) return false;
        float v = (float)us_tensor_f64_at(t, 0);
        if (isnan(v)) return false;
        *(k == 1 ? lo : hi) = v;
    }
    return *lo <= *hi; /* min above max is a case of its own */
}

/* --- rewiring ---------------------------------------------------------------------------------------------- */

us_err us_rewire_begin(us_ctx *c, us_graph *g, us_arena *a, us_rewire *r)
{
    r->g = g;
    r->n = g->vals.n;
    r->to = us_new_n(a, us_vid, r->n);
    r->is_output = us_new_n(a, bool, r->n);
    if (!r->to || !r->is_output) return us_arena_fail(c, a);
    for (size_t i = 0; i < g->outputs.n; i++)
        r->is_output[g->outputs.at[i]] = true;
    for (size_t v = 0; v < r->n; v++)
        r->to[v] = (us_vid)v;
    return US_OK;
}

static us_vid rewired(const us_rewire *r, us_vid v)
{
    return v < r->n ? r->to[v] : v;
}

bool us_rewire_is_output(const us_rewire *r, us_vid v)
{
    return v < r->n && r->is_output[v];
}

void us_rewire_set(us_rewire *r, us_vid from, us_vid to)
{
    if (from < r->n) r->to[from] = rewired(r, to);
}

void us_rewire_node(us_rewire *r, us_nid nid)
{
    us_node *n = &r->g->nodes.at[nid];
    for (uint32_t k = 0; k < n->n_in; k++)
        if (n->in[k] != US_NIL) n->in[k] = rewired(r, n->in[k]);
    for (uint32_t k = 0; k < n->n_attrs; k++) {
        if (n->attrs[k].kind != US_AT_GRAPH && n->attrs[k].kind != US_AT_GRAPHS) continue;
        for (size_t j = 0; j < n->attrs[k].n; j++) {
            us_graph *sub = n->attrs[k].graphs[j];
            for (size_t v = 0; v < sub->vals.n; v++)
                if (sub->vals.at[v].storage == US_ST_OUTER)
                    sub->vals.at[v].outer = rewired(r, sub->vals.at[v].outer);
        }
    }
}

void us_rewire_drop(us_rewire *r, us_nid nid)
{
    us_node *n = &r->g->nodes.at[nid];
    n->dead = true;
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] != US_NIL && r->g->vals.at[n->out[k]].def == nid)
            r->g->vals.at[n->out[k]].def = US_NIL;
    r->dropped = true;
}

void us_rewire_end(us_rewire *r)
{
    us_graph *g = r->g;
    for (size_t i = 0; i < g->outputs.n; i++)
        g->outputs.at[i] = rewired(r, g->outputs.at[i]);
    if (!r->dropped) return;
    size_t n = 0;
    for (size_t i = 0; i < g->order.n; i++)
        if (!g->nodes.at[g->order.at[i]].dead) g->order.at[n++] = g->order.at[i];
    g->order.n = n;
}
