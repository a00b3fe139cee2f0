/* pass/facts.c - types and constants of a model by way of an upgraded clone. */
#include "pass/facts.h"

#include "pass/passes.h"

#define MAX_ROUNDS 8 /* of folding */

/* What a file claims of computed values is not known: shapes that depend on the contents of inputs are often recorded as
 * they once were. */
static void forget_shape(us_type *t)
{
    if (t->kind == US_KIND_TENSOR) t->rank = -1;
    if (t->kind != US_KIND_TENSOR) *t = (us_type){.kind = US_KIND_NONE, .rank = -1};
}

/* Of what a sub-graph is given the node around it knows more; element types of tensors are kept, for a node that nobody knows. */
static void forget_types(us_model *m)
{
    for (size_t i = 0; i < m->graphs.n; i++) {
        us_graph *g = m->graphs.at[i];
        for (us_vid v = 0; v < g->vals.n; v++) {
            us_val *val = &g->vals.at[v];
            if (val->storage == US_ST_TEMP)
                val->type = (us_type){.kind = US_KIND_NONE, .rank = -1};
            else if (val->storage == US_ST_INPUT && g->parent)
                forget_shape(&val->type);
        }
    }
}

static us_err take_types(us_ctx *c, us_graph *g, const us_graph *from)
{
    for (us_vid v = 0; v < from->vals.n && v < g->vals.n; v++) {
        us_val *val = &g->vals.at[v];
        bool computed = val->storage == US_ST_TEMP || val->storage == US_ST_OUTER;
        if (computed)
            US_TRY(us_type_dup(c, g->model->arena, &from->vals.at[v].type, &val->type));
    }
    return US_OK;
}

typedef struct taker {
    us_ctx *c;
    us_graph *g;
    const us_graph *from; /* its likeness in the clone */
    size_t max_bytes;
    bool *keep; /* per value: stays computed although constant */
    us_rewire r;
    bool *changed;
} taker;

/* What value v of the clone holds, when that was found out; NULL. */
static const us_tensor *folded(const taker *k, us_vid v)
{
    if (v >= k->from->vals.n || k->keep[v]) return NULL;
    const us_val *val = &k->from->vals.at[v];
    if (val->storage != US_ST_TEMP || val->def != US_NIL || !val->data ||
        us_tensor_bytes(&val->data->t) > k->max_bytes)
        return NULL;
    return &val->data->t;
}

/* Quantised weights stay so: what is made of DequantizeLinear is not stored. */
static void mark_dequantised(taker *k, const us_node *n)
{
    bool keep =
        us_is_op(n, "", "DequantizeLinear") || us_is_op(n, "com.microsoft", "DequantizeLinear");
    for (uint32_t i = 0; i < n->n_in && !keep; i++)
        keep = n->in[i] != US_NIL && k->keep[n->in[i]];
    for (uint32_t i = 0; i < n->n_out && keep; i++)
        if (n->out[i] != US_NIL) k->keep[n->out[i]] = true;
}

static us_err fold_input(void *arg, us_vid v)
{
    taker *k = arg;
    const us_tensor *t = folded(k, v);
    us_tensor copy;
    us_vid made;
    if (!t || k->r.to[v] != v) return US_OK;
    US_TRY(us_tensor_dup(k->c, k->g->model->arena, t, &copy));
    US_TRY(us_graph_add_const(k->c, k->g, (us_sv){0}, US_ST_CONST, &copy, &made));
    us_rewire_set(&k->r, v, made);
    *k->changed = true;
    return us_take_name(k->c, k->g, v, made);
}

/* A node none of whose results is needed once constants are constants: nothing is folded for its sake. */
static bool will_die(const taker *k, const us_node *n)
{
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i] != US_NIL && !folded(k, n->out[i])) return false;
    return n->n_out > 0;
}

static us_err fold_graph(taker *k)
{
    for (size_t i = 0; i < k->g->order.n; i++)
        mark_dequantised(k, &k->g->nodes.at[k->g->order.at[i]]);
    for (size_t i = 0; i < k->g->order.n; i++) {
        us_nid nid = k->g->order.at[i];
        if (will_die(k, &k->g->nodes.at[nid])) continue;
        US_TRY(us_each_read(&k->g->nodes.at[nid], fold_input, k));
        us_rewire_node(&k->r, nid);
    }
    us_rewire_end(&k->r);
    return US_OK;
}

static us_err take_graph(us_ctx *c, us_graph *g, const us_graph *from, size_t max_bytes,
                         bool *changed)
{
    us_arena *a;
    taker k = {.c = c, .g = g, .from = from, .max_bytes = max_bytes, .changed = changed};
    US_TRY(us_arena_new(c, "facts", (size_t)1 << 30, &a));
    us_err e = us_rewire_begin(c, g, a, &k.r);
    k.keep = us_new_n(a, bool, g->vals.n);
    if (e == US_OK && !k.keep) e = us_arena_fail(c, a);
    if (e == US_OK) e = take_types(c, g, from);
    if (e == US_OK) e = fold_graph(&k);
    us_arena_free(a);
    return e;
}

static us_err hollow_constants(us_ctx *c, us_graph *g, void *arg)
{
    (void)arg;
    for (size_t i = g->order.n; i-- > 0;) {
        us_nid nid = g->order.at[i];
        const us_node *n = &g->nodes.at[nid];
        const us_attr *a = n->domain.n ? NULL : us_node_attr(n, "value");
        if (!a || a->kind != US_AT_TENSOR || a->n != 1 || a->tensors[0].data) continue;
        if (!us_sv_is(n->op_type, "Constant") || n->n_out != 1 || n->out[0] == US_NIL) continue;
        us_vid made, v = n->out[0];
        US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &a->tensors[0], &made));
        us_graph_remove_node(g, nid);
        us_val *val = &g->vals.at[v];
        val->storage = US_ST_CONST;
        val->def = US_NIL;
        val->def_out = 0;
        val->type = g->vals.at[made].type;
        val->data = g->vals.at[made].data;
    }
    return US_OK;
}

us_err us_facts_hollow(us_ctx *c, us_model *m)
{
    return us_graph_each(c, m->main, hollow_constants, NULL);
}

/* Shapes found make constants that make shapes known: until nothing is folded any more. */
static us_err fold_and_infer(us_ctx *c, us_model *m)
{
    us_pass_watch w = {.changed = true};
    US_TRY(us_pass_run(c, m, "inline,upgrade,infer"));
    for (int i = 0; i < MAX_ROUNDS && w.changed; i++) {
        w.changed = false;
        US_TRY(us_pass_run_watched(c, m, "fold-const", &w));
    }
    return US_OK;
}

us_err us_facts_infer(us_ctx *c, const us_model *m, us_model **out)
{
    us_model *x;
    US_TRY(us_model_clone(c, m, &x));
    forget_types(x);
    us_err e = us_facts_hollow(c, x);
    if (e == US_OK) e = fold_and_infer(c, x);
    if (e == US_OK)
        *out = x;
    else
        us_model_free(x);
    return e;
}

us_err us_facts_take(us_ctx *c, us_model *m, size_t max_bytes, bool *changed)
{
    us_model *from;
    size_t n_graphs = m->graphs.n;
    US_TRY(us_facts_infer(c, m, &from));
    us_err e = us_syms_take(c, &m->syms, &from->syms); /* the model's and then its own */
    for (size_t i = 0; e == US_OK && i < n_graphs; i++)
        e = take_graph(c, m->graphs.at[i], from->graphs.at[i], max_bytes, changed);
    us_model_free(from);
    return e;
}
