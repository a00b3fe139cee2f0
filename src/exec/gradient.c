/* exec/gradient.c - Gradient of ai.onnx.preview.training becomes the nodes that compute it.
 *
 * The operator names values of its own graph: xs and zs, the independent variables, and y, a function of them. Its
 * inputs are the point at which the derivatives of y by the xs are wanted, which need not be the values that the
 * graph computes. So, per node:
 *
 *   1. Each x gets a value of its own, a copy of its input: a point may be given twice.
 *   2. What lies between the named values and y is written once more with the inputs in place of the xs and zs. Nodes
 *      that read none of those are shared; where the point is the forward one, pass cse makes both copies one.
 *   3. The sum of the new y is differentiated (src/grad) and the node's outputs are what came out: zeros for an x that y does
 *      not depend on.
 *
 * The first Gradient in execution order is done first, so a Gradient of a Gradient finds ordinary nodes.
 *
 * Names do not survive rewriting: inlining makes new ones, an upgrade may put another value in the place of a named one. So
 * the names are looked up first of all, in functions too, and stand as further inputs of the node (as many as it
 * has, then y), which every rewrite keeps right.
 */
#include "exec/plan.h"
#include "grad/util.h"
#include "ir/params_train.h"
#include "pass/pass.h"

#include <string.h>

#define MAX_GRADIENTS ((size_t)256)
#define MAX_MADE      ((size_t)1 << 18) /* nodes: each Gradient of a Gradient multiplies them */

static bool is_gradient(const us_node *n)
{
    return n->op && us_op_index(n->op) == US_OP_TRAIN_GRADIENT;
}

static us_err in_node(us_ctx *c, us_err e, us_sv name)
{
    return e == US_OK ? e : us_wrap(c, e, "Gradient '" US_SV_FMT "'", US_SV_ARG(name));
}

/* --- names to values ------------------------------------------------------------------------------ */

static us_err look_up(us_ctx *c, const us_graph *g, const char *what, us_sv name, us_vid *out)
{
    us_vid v = us_graph_find(g, name);
    if (v == US_NIL)
        return us_fail(c, US_FORMAT,
                       "%s names '" US_SV_FMT "', which is no value of the graph '" US_SV_FMT
                       "'; a Gradient names values of the graph it stands in",
                       what, US_SV_ARG(name), US_SV_ARG(g->name));
    *out = v;
    return US_OK;
}

static us_err check_once(us_ctx *c, const us_vid *v, size_t i, us_sv name)
{
    for (size_t j = 0; j < i; j++)
        if (v[j] == v[i])
            return us_fail(c, US_FORMAT, "xs and zs name '" US_SV_FMT "' twice",
                           US_SV_ARG(name));
    return US_OK;
}

/* Inputs of the node: what it had, then the values named by xs and zs, then y. */
static us_err bind_node(us_ctx *c, us_graph *g, us_node *n)
{
    if (!n->params) US_TRY(us_node_decode(c, g->model, n));
    const us_p_gradient *p = n->params;
    size_t n_named = p->xs.n + p->zs.n;
    if (n->n_in != n_named)
        return us_fail(c, US_FORMAT, "it has %u inputs for %zu names in xs and zs",
                       (unsigned)n->n_in, n_named);
    if (n->n_out > p->xs.n)
        return us_fail(c, US_FORMAT, "it has %u outputs for %zu names in xs",
                       (unsigned)n->n_out, p->xs.n);
    us_vid *in = us_new_n(g->model->arena, us_vid, 2 * n_named + 1);
    if (!in) return us_arena_fail(c, g->model->arena);
    for (size_t i = 0; i < n_named; i++) {
        us_sv name = i < p->xs.n ? p->xs.p[i] : p->zs.p[i - p->xs.n];
        if (n->in[i] == US_NIL)
            return us_fail(c, US_FORMAT, "the input for '" US_SV_FMT "' is left out",
                           US_SV_ARG(name));
        in[i] = n->in[i];
        US_TRY(look_up(c, g, i < p->xs.n ? "xs" : "zs", name, &in[n_named + i]));
        US_TRY(check_once(c, in + n_named, i, name));
    }
    US_TRY(look_up(c, g, "y", p->y, &in[2 * n_named]));
    n->in = in;
    n->n_in = (uint32_t)(2 * n_named + 1);
    return US_OK;
}

static us_err bind_graph(us_ctx *c, us_graph *g, void *arg)
{
    size_t *count = arg, before = *count;
    for (size_t i = 0; i < g->order.n; i++) {
        us_node *n = &g->nodes.at[g->order.at[i]];
        if (!is_gradient(n)) continue;
        if (++*count > MAX_GRADIENTS)
            return us_fail(c, US_LIMIT, "the model has more than %zu Gradient nodes",
                           MAX_GRADIENTS);
        US_TRY(in_node(c, bind_node(c, g, n), n->name));
    }
    return *count > before ? us_graph_sort(c, g) : US_OK; /* y may have stood behind */
}

/* --- the function between the names, once more ------------------------------------------------------ */

typedef struct again {
    us_ctx *c;
    us_graph *g;
    us_arena *tmp;
    us_nid nid;
    us_sv name;
    size_t n_x, n_named, n_out;
    const us_vid *at, *named; /* per name: the point, the value it stands for */
    us_vid y;
    const us_vid *out; /* the node's outputs */
    us_vid *x;         /* per x: its own value */
    us_vid *map;       /* per value of before: what stands for it in the new function */
    bool *fixed;       /* per value of before: it is named, so nothing before it counts */
    bool *needed;      /* per value of before: y is computed from it */
} again;

static us_err not_float(again *s, const char *what, us_vid v)
{
    const us_val *val = &s->g->vals.at[v];
    bool tensor = val->type.kind == US_KIND_TENSOR && val->type.dtype != US_DT_NONE;
    return us_fail(s->c, US_UNSUPP,
                   "%s '" US_SV_FMT "' is %s: only floating-point tensors have derivatives",
                   what, US_SV_ARG(val->name),
                   tensor ? us_dtype_get(val->type.dtype)->name : "of no known element type");
}

static bool is_float(const us_graph *g, us_vid v)
{
    const us_type *t = &g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR && us_dtype_get(t->dtype)->cls == US_DC_FLOAT;
}

/* A copy of what the node says, for nodes move when some are added. */
static us_err open_node(again *s, us_nid nid)
{
    const us_node *n = &s->g->nodes.at[nid];
    const us_p_gradient *p = n->params;
    s->nid = nid;
    s->n_x = p->xs.n;
    s->n_named = p->xs.n + p->zs.n;
    s->n_out = n->n_out;
    s->at = n->in;
    s->named = n->in + s->n_named;
    s->y = n->in[2 * s->n_named];
    s->out = n->out;
    s->x = us_new_n(s->tmp, us_vid, s->n_x + 1);
    s->map = us_new_n(s->tmp, us_vid, s->g->vals.n);
    s->fixed = us_new_n(s->tmp, bool, s->g->vals.n);
    s->needed = us_new_n(s->tmp, bool, s->g->vals.n);
    if (!s->x || !s->map || !s->fixed || !s->needed) return us_arena_fail(s->c, s->tmp);
    for (us_vid v = 0; v < s->g->vals.n; v++)
        s->map[v] = v;
    return US_OK;
}

static us_err place_point(again *s)
{
    us_builder b = us_b_begin(s->c, s->g, "point");
    for (size_t i = 0; i < s->n_named; i++) {
        s->fixed[s->named[i]] = true;
        if (i >= s->n_x) {
            s->map[s->named[i]] = s->at[i];
            continue;
        }
        if (!is_float(s->g, s->at[i])) return not_float(s, "x", s->at[i]);
        s->x[i] = us_b1(&b, "Identity", s->at[i]);
        s->map[s->named[i]] = s->x[i];
    }
    return us_b_end(&b);
}

/* Values that a node reads, captures of its sub-graphs included. */
typedef void read_fn(again *s, us_vid v, bool captured, bool *any);

static void each_read(again *s, const us_node *n, read_fn *fn, bool *any)
{
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != US_NIL) fn(s, n->in[i], false, any);
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++) {
            const us_graph *sub = n->attrs[i].graphs[j];
            for (size_t v = 0; v < sub->vals.n; v++)
                if (sub->vals.at[v].storage == US_ST_OUTER && sub->vals.at[v].outer != US_NIL)
                    fn(s, sub->vals.at[v].outer, true, any);
        }
}

static void need(again *s, us_vid v, bool captured, bool *any)
{
    (void)captured;
    (void)any;
    s->needed[v] = true;
}

static void reads_moved(again *s, us_vid v, bool captured, bool *any)
{
    (void)captured;
    *any = *any || s->map[v] != v;
}

static void mark_needed(again *s, size_t n_order)
{
    s->needed[s->y] = true;
    for (size_t i = n_order; i-- > 0;) {
        const us_node *n = &s->g->nodes.at[s->g->order.at[i]];
        bool wanted = false;
        for (uint32_t k = 0; k < n->n_out; k++)
            wanted =
                wanted || (n->out[k] != US_NIL && s->needed[n->out[k]] && !s->fixed[n->out[k]]);
        if (wanted) each_read(s, n, need, NULL);
    }
}

static us_err write_again(again *s, us_nid id)
{
    us_node n = s->g->nodes.at[id];
    for (uint32_t i = 0; i < n.n_attrs; i++)
        if (n.attrs[i].graphs)
            return us_fail(s->c, US_UNSUPP,
                           US_SV_FMT " '" US_SV_FMT
                                     "' lies between xs and y: derivatives do not go through "
                                     "sub-graphs",
                           US_SV_ARG(n.op_type), US_SV_ARG(n.name));
    us_vid *in = us_new_n(s->tmp, us_vid, n.n_in + (size_t)1);
    us_vid *out = us_new_n(s->tmp, us_vid, n.n_out + (size_t)1);
    if (!in || !out) return us_arena_fail(s->c, s->tmp);
    for (uint32_t i = 0; i < n.n_in; i++)
        in[i] = n.in[i] == US_NIL ? US_NIL : s->map[n.in[i]];
    for (uint32_t i = 0; i < n.n_out; i++) {
        out[i] = US_NIL;
        if (n.out[i] == US_NIL) continue;
        US_TRY(us_graph_add_val(s->c, s->g, (us_sv){0}, US_ST_TEMP, NULL, &out[i]));
        if (!s->fixed[n.out[i]]) s->map[n.out[i]] = out[i];
    }
    us_nid made;
    US_TRY(us_graph_add_node(s->c, s->g, n.domain, n.op_type, n.version, n.name, n.n_in, in,
                             n.n_out, out, US_NIL, &made));
    for (uint32_t i = 0; i < n.n_attrs; i++)
        US_TRY(us_node_set_attr(s->c, s->g, made, &n.attrs[i]));
    return us_node_decode(s->c, s->g->model, &s->g->nodes.at[made]);
}

static us_err write_function(again *s)
{
    size_t n_order = s->g->order.n; /* those before; new ones follow */
    us_nid *order = us_new_n(s->tmp, us_nid, n_order + 1);
    if (!order) return us_arena_fail(s->c, s->tmp);
    if (n_order) memcpy(order, s->g->order.at, n_order * sizeof *order);
    US_TRY(place_point(s));
    mark_needed(s, n_order);
    for (size_t i = 0; i < n_order && order[i] != s->nid; i++) {
        const us_node *n = &s->g->nodes.at[order[i]];
        bool wanted = false, moved = false;
        for (uint32_t k = 0; k < n->n_out; k++)
            wanted =
                wanted || (n->out[k] != US_NIL && s->needed[n->out[k]] && !s->fixed[n->out[k]]);
        if (wanted) each_read(s, n, reads_moved, &moved);
        if (moved) US_TRY(write_again(s, order[i]));
    }
    return US_OK;
}

/* --- its derivatives ---------------------------------------------------------------------------------- */

/* Output i of the node is now made by an Identity of `dx`. */
static us_err give(again *s, size_t i, us_vid dx)
{
    us_nid made;
    return us_graph_add_node(s->c, s->g, US_SV(""), US_SV("Identity"), 0, (us_sv){0}, 1, &dx, 1,
                             &s->out[i], US_NIL, &made);
}

static us_err differentiate(again *s)
{
    US_TRY(us_graph_sort(s->c, s->g));
    US_TRY(us_graph_infer(s->c, s->g));
    us_vid y = s->map[s->y];
    if (!is_float(s->g, y)) return not_float(s, "y", s->y);
    us_builder b = us_b_begin(s->c, s->g, "gradient");
    us_vid sum = us_b1(&b, "ReduceSum", y);
    us_b_int(&b, "keepdims", 0);
    US_TRY(us_b_end(&b));
    US_TRY(us_graph_infer(s->c, s->g));
    us_vid *dx = us_new_n(s->tmp, us_vid, s->n_x + 1);
    if (!dx) return us_arena_fail(s->c, s->tmp);
    US_TRY(us_grad_build(s->c, s->g->model, s->g, sum, s->n_x, s->x, dx));
    us_grad k = {.c = s->c, .g = s->g, .b = &b};
    us_graph_remove_node(s->g, s->nid);
    for (size_t i = 0; i < s->n_out; i++) {
        if (s->out[i] == US_NIL) continue;
        if (dx[i] == US_NIL) dx[i] = us_g_zeros_like(&k, s->x[i]);
        US_TRY(us_b_end(&b));
        US_TRY(give(s, i, dx[i]));
    }
    US_TRY(us_graph_sort(s->c, s->g));
    return us_graph_infer(s->c, s->g);
}

static us_err replace_one(us_ctx *c, us_graph *g, us_nid nid)
{
    us_sv name = g->nodes.at[nid].name;
    us_arena *tmp;
    US_TRY(us_arena_new(c, "Gradient", (size_t)1 << 30, &tmp));
    again s = {.c = c, .g = g, .tmp = tmp};
    us_err e = open_node(&s, nid);
    if (e == US_OK) e = write_function(&s);
    if (e == US_OK) e = differentiate(&s);
    us_arena_free(tmp);
    return in_node(c, e, name);
}

static us_nid first_gradient(const us_graph *g)
{
    for (size_t i = 0; i < g->order.n; i++)
        if (is_gradient(&g->nodes.at[g->order.at[i]])) return g->order.at[i];
    return US_NIL;
}

static us_err replace_in_graph(us_ctx *c, us_graph *g, void *arg)
{
    (void)arg;
    size_t n_before = g->nodes.n;
    for (us_nid nid = first_gradient(g); nid != US_NIL; nid = first_gradient(g)) {
        US_TRY(replace_one(c, g, nid));
        if (g->nodes.n - n_before > MAX_MADE)
            return us_fail(c, US_LIMIT,
                           "the Gradient nodes of the model make more than %zu nodes",
                           MAX_MADE);
    }
    return us_graph_verify(c, g);
}

us_err us_plan_gradients(us_ctx *c, us_model *m)
{
    size_t count = 0;
    US_TRY(us_graph_each(c, m->main, bind_graph, &count));
    for (size_t i = 0; i < m->functions.n; i++)
        US_TRY(us_graph_each(c, m->functions.at[i].body, bind_graph, &count));
    if (count == 0) return US_OK;
    if (us_model_opset(m, US_SV("")) == 0) US_TRY(us_model_set_opset(c, m, US_SV(""), 1));
    US_TRY(us_pass_run(c, m, "inline,upgrade"));
    return us_graph_each(c, m->main, replace_in_graph, NULL);
}
