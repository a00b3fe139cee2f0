/* ir/graph.c - building graphs: values, captures, nodes.
 *
 * Handles are indices into growing arrays; nothing is moved or freed before the model. A name stays reserved
 * for its value even when that value is no longer used.
 */
#include "ir/graph.h"

#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

static const us_type type_unknown = {.kind = US_KIND_NONE, .rank = -1};

us_err us_graph_new(us_ctx *c, us_model *m, us_graph *parent, us_sv name, us_graph **out)
{
    size_t depth = 0;
    for (const us_graph *p = parent; p; p = p->parent)
        if (++depth > US_MAX_GRAPH_DEPTH)
            return us_fail(c, US_LIMIT, "graphs are nested deeper than %d", US_MAX_GRAPH_DEPTH);
    us_graph *g = us_new(m->arena, us_graph);
    if (!g) return us_arena_fail(c, m->arena);
    g->model = m;
    g->parent = parent;
    us_map_init(&g->by_name, m->arena);
    US_TRY(us_sv_dup(c, m->arena, name, &g->name));
    g->index = (uint32_t)m->graphs.n;
    US_TRY(us_vec_push(c, m->arena, &m->graphs, g));
    *out = g;
    return US_OK;
}

us_err us_graph_expect(us_ctx *c, us_graph *g, size_t n_vals, size_t n_nodes)
{
    us_arena *a = g->model->arena;
    n_vals = US_MIN(n_vals, US_MAX_VALUES - g->vals.n);
    n_nodes = US_MIN(n_nodes, US_MAX_NODES - g->nodes.n);
    US_TRY(us_vec_reserve(c, a, &g->vals, g->vals.n + n_vals));
    US_TRY(us_map_reserve(c, &g->by_name, g->vals.n + n_vals));
    US_TRY(us_vec_reserve(c, a, &g->nodes, g->nodes.n + n_nodes));
    return us_vec_reserve(c, a, &g->order, g->order.n + n_nodes);
}

us_sv us_graph_fresh_name(us_ctx *c, us_graph *g, const char *stem)
{
    us_model *m = g->model;
    for (;;) {
        char *z = us_str_printf(m->arena, "%s_%u", stem, g->n_fresh++);
        if (!z) {
            (void)us_arena_fail(c, m->arena);
            return (us_sv){0};
        }
        us_sv name = us_sv_of(z);
        bool taken = false; /* in any graph: captures and shadowing never meet a made-up name */
        for (size_t i = 0; i < m->graphs.n && !taken; i++)
            taken = us_map_get(&m->graphs.at[i]->by_name, name) != US_MAP_NONE;
        if (!taken) return name;
    }
}

static us_err add_val(us_ctx *c, us_graph *g, us_sv name, us_val v, us_vid *out)
{
    us_arena *a = g->model->arena;
    if (g->vals.n >= US_MAX_VALUES)
        return us_fail(c, US_LIMIT, "graph '" US_SV_FMT "' has more than %zu values",
                       US_SV_ARG(g->name), US_MAX_VALUES);
    if (name.n) {
        if (us_graph_find(g, name) != US_NIL)
            return us_fail(c, US_FORMAT,
                           "value '" US_SV_FMT "' is defined twice in graph '" US_SV_FMT "'",
                           US_SV_ARG(name), US_SV_ARG(g->name));
        US_TRY(us_sv_dup(c, a, name, &v.name));
    } else {
        v.name = us_graph_fresh_name(c, g, "v");
        if (!v.name.n) return c->diag.code;
    }
    us_vid id = (us_vid)g->vals.n;
    US_TRY(us_vec_push(c, a, &g->vals, v));
    us_err e = us_map_put(c, &g->by_name, v.name, id, NULL);
    if (e != US_OK) {
        g->vals.n--;
        return e;
    }
    *out = id;
    return US_OK;
}

us_err us_graph_add_val(us_ctx *c, us_graph *g, us_sv name, us_storage st, const us_type *type,
                        us_vid *out)
{
    us_val v = {.storage = st, .def = US_NIL, .outer = US_NIL};
    US_TRY(us_type_dup(c, g->model->arena, type ? type : &type_unknown, &v.type));
    return add_val(c, g, name, v, out);
}

us_err us_graph_add_input(us_ctx *c, us_graph *g, us_sv name, const us_type *type, us_vid *out)
{
    us_vid v;
    US_TRY(us_vec_reserve(c, g->model->arena, &g->inputs, g->inputs.n + 1));
    US_TRY(us_graph_add_val(c, g, name, US_ST_INPUT, type, &v));
    g->inputs.at[g->inputs.n++] = v;
    *out = v;
    return US_OK;
}

us_err us_graph_add_const(us_ctx *c, us_graph *g, us_sv name, us_storage st, const us_tensor *t,
                          us_vid *out)
{
    us_arena *a = g->model->arena;
    us_val v = {.storage = st, .def = US_NIL, .outer = US_NIL};
    v.type = us_type_tensor(t->dtype, t->rank, NULL);
    if (t->rank > 0) {
        v.type.dims = us_new_n(a, us_dim, (size_t)t->rank);
        if (!v.type.dims) return us_arena_fail(c, a);
        for (int i = 0; i < t->rank; i++)
            v.type.dims[i] = US_DIM(t->dims[i]);
    }
    v.data = us_new(a, us_value);
    if (!v.data) return us_arena_fail(c, a);
    *v.data = us_value_of(t);
    return add_val(c, g, name, v, out);
}

us_err us_graph_add_output(us_ctx *c, us_graph *g, us_vid v)
{
    if (v >= g->vals.n)
        return us_fail(c, US_ARG, "graph '" US_SV_FMT "' has no value %u to give out",
                       US_SV_ARG(g->name), v);
    return us_vec_push(c, g->model->arena, &g->outputs, v);
}

us_vid us_graph_find(const us_graph *g, us_sv name)
{
    return us_map_get(&g->by_name, name);
}

us_err us_graph_capture(us_ctx *c, us_graph *g, us_sv name, us_vid *out)
{
    us_graph *chain[US_MAX_GRAPH_DEPTH + 2];
    size_t n = 0;
    us_graph *at = g;
    us_vid v = US_NIL;
    for (; at && n < US_LEN(chain); at = at->parent) {
        v = us_graph_find(at, name);
        if (v != US_NIL) break;
        chain[n++] = at;
    }
    if (v == US_NIL)
        return us_fail(c, US_NOTFOUND, "no value '" US_SV_FMT "' in this graph or around it",
                       US_SV_ARG(name));
    while (n > 0) { /* from the graph that has it down to g */
        us_graph *sub = chain[--n];
        us_val val = {.storage = US_ST_OUTER, .def = US_NIL, .outer = v, .type = type_unknown};
        US_TRY(add_val(c, sub, name, val, &v));
    }
    *out = v;
    return US_OK;
}

us_err us_graph_rename(us_ctx *c, us_graph *g, us_vid v, us_sv name)
{
    us_val *val = &g->vals.at[v];
    if (us_sv_eq(val->name, name)) return US_OK;
    if (!name.n || us_graph_find(g, name) != US_NIL)
        return us_fail(c, US_FORMAT, "the name '" US_SV_FMT "' is taken or empty",
                       US_SV_ARG(name));
    us_sv copy;
    US_TRY(us_sv_dup(c, g->model->arena, name, &copy));
    US_TRY(us_map_put(c, &g->by_name, copy, v, NULL));
    (void)us_map_set(&g->by_name, val->name, US_NIL);
    val->name = copy;
    return US_OK;
}

/* --- nodes ------------------------------------------------------------------------------------------- */

static us_err dup_ids(us_ctx *c, us_graph *g, size_t n, const us_vid *from, us_vid **out)
{
    *out = NULL;
    if (!n) return US_OK;
    us_vid *p = us_new_n(g->model->arena, us_vid, n);
    if (!p) return us_arena_fail(c, g->model->arena);
    memcpy(p, from, n * sizeof *p);
    *out = p;
    return US_OK;
}

/* The values a node is given must be there, and its outputs free to be defined. */
static us_err check_ids(us_ctx *c, const us_graph *g, us_sv op, size_t n_in, const us_vid *in,
                        size_t n_out, const us_vid *out)
{
    for (size_t i = 0; i < n_in; i++)
        if (in[i] != US_NIL && in[i] >= g->vals.n)
            return us_fail(c, US_ARG, US_SV_FMT ": input %zu is no value of this graph",
                           US_SV_ARG(op), i);
    for (size_t i = 0; i < n_out; i++) {
        if (out[i] == US_NIL) continue;
        if (out[i] >= g->vals.n)
            return us_fail(c, US_ARG, US_SV_FMT ": output %zu is no value of this graph",
                           US_SV_ARG(op), i);
        const us_val *v = &g->vals.at[out[i]];
        bool twice = v->storage != US_ST_TEMP || v->def != US_NIL;
        for (size_t j = 0; j < i && !twice; j++)
            twice = out[j] == out[i];
        if (twice)
            return us_fail(c, US_FORMAT,
                           US_SV_FMT ": its output '" US_SV_FMT
                                     "' is defined elsewhere already",
                           US_SV_ARG(op), US_SV_ARG(v->name));
    }
    return US_OK;
}

static us_err fill_node(us_ctx *c, us_graph *g, us_sv domain, us_sv op_type, int version,
                        us_sv name, us_node *n)
{
    us_model *m = g->model;
    if (us_sv_is(domain, "ai.onnx")) domain = US_SV("");
    n->op = us_op_find(domain, op_type);
    if (n->op) { /* the table's words live as long as the program */
        n->domain = us_sv_of(n->op->domain);
        n->op_type = us_sv_of(n->op->name);
    } else {
        US_TRY(us_sv_dup(c, m->arena, domain, &n->domain));
        US_TRY(us_sv_dup(c, m->arena, op_type, &n->op_type));
    }
    US_TRY(us_sv_dup(c, m->arena, name, &n->name));
    n->version = version ? version : us_model_opset(m, domain);
    n->schema = n->op ? us_op_schema(n->op, n->version) : NULL;
    return US_OK;
}

us_err us_graph_add_node(us_ctx *c, us_graph *g, us_sv domain, us_sv op_type, int version,
                         us_sv name, size_t n_in, const us_vid *in, size_t n_out,
                         const us_vid *out, us_nid before, us_nid *node)
{
    us_arena *a = g->model->arena;
    if (g->nodes.n >= US_MAX_NODES || n_in >= US_MAX_VALUES || n_out >= US_MAX_VALUES)
        return us_fail(c, US_LIMIT, "graph '" US_SV_FMT "' has more than %zu nodes",
                       US_SV_ARG(g->name), US_MAX_NODES);
    US_TRY(check_ids(c, g, op_type, n_in, in, n_out, out));
    us_node n = {.n_in = (uint32_t)n_in, .n_out = (uint32_t)n_out};
    US_TRY(fill_node(c, g, domain, op_type, version, name, &n));
    US_TRY(dup_ids(c, g, n_in, in, &n.in));
    US_TRY(dup_ids(c, g, n_out, out, &n.out));
    size_t at = g->order.n;
    if (before != US_NIL)
        while (at > 0 && g->order.at[at - 1] != before)
            at--;
    if (before != US_NIL && at-- == 0)
        return us_fail(c, US_ARG, US_SV_FMT ": node %u to stand before is not in the graph",
                       US_SV_ARG(op_type), before);
    us_nid id = (us_nid)g->nodes.n;
    US_TRY(us_vec_reserve(c, a, &g->order, g->order.n + 1));
    US_TRY(us_vec_push(c, a, &g->nodes, n));
    memmove(g->order.at + at + 1, g->order.at + at, (g->order.n - at) * sizeof *g->order.at);
    g->order.at[at] = id;
    g->order.n++;
    for (size_t i = 0; i < n_out; i++)
        if (out[i] != US_NIL) {
            g->vals.at[out[i]].def = id;
            g->vals.at[out[i]].def_out = (uint32_t)i;
        }
    *node = id;
    return US_OK;
}
