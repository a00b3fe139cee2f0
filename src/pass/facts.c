/* pass/facts.c - types and constants of a model by way of an upgraded clone. */
#include "pass/facts.h"

#include "pass/passes.h"

/* The clone's symbols are the model's and then its own. */
static us_err take_symbols(us_ctx *c, us_model *m, const us_model *from)
{
    us_syms *s = &m->syms;
    for (size_t i = s->names.n; i < from->syms.names.n; i++) {
        us_sv name;
        US_TRY(us_sv_dup(c, m->arena, from->syms.names.at[i], &name));
        US_TRY(us_map_put(c, &s->by_name, name, (uint32_t)i, NULL));
        US_TRY(us_vec_push(c, m->arena, &s->names, name));
    }
    s->n_fresh = from->syms.n_fresh;
    return US_OK;
}

/* An output's declared type is part of what the model promises: its names of dimensions stay. */
static bool is_settled(const us_val *v, bool is_output)
{
    if (v->storage == US_ST_TEMP)
        return is_output && v->type.kind != US_KIND_NONE &&
               (v->type.kind != US_KIND_TENSOR || v->type.rank >= 0);
    return v->storage != US_ST_OUTER;
}

static us_err take_types(us_ctx *c, us_graph *g, const us_graph *from, const us_rewire *r)
{
    for (us_vid v = 0; v < from->vals.n && v < g->vals.n; v++) {
        us_val *val = &g->vals.at[v];
        const us_type *t = &from->vals.at[v].type;
        if (!is_settled(val, us_rewire_is_output(r, v)) && t->kind != US_KIND_NONE)
            US_TRY(us_type_dup(c, g->model->arena, t, &val->type));
    }
    return US_OK;
}

/* What value v of the clone holds, when that was found out; NULL. */
static const us_tensor *folded(const us_graph *from, us_vid v, size_t max_bytes)
{
    const us_val *val = &from->vals.at[v];
    if (val->storage != US_ST_TEMP || val->def != US_NIL || !val->data ||
        us_tensor_bytes(&val->data->t) > max_bytes)
        return NULL;
    return &val->data->t;
}

static us_err fold_input(us_ctx *c, us_graph *g, const us_graph *from, us_vid v, size_t max_bytes,
                         us_rewire *r, bool *changed)
{
    const us_tensor *t = folded(from, v, max_bytes);
    us_tensor copy;
    us_vid k;
    if (!t || r->to[v] != v) return US_OK;
    US_TRY(us_tensor_dup(c, g->model->arena, t, &copy));
    US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &copy, &k));
    us_rewire_set(r, v, k);
    *changed = true;
    return US_OK;
}

/* A node none of whose results is needed once constants are constants: nothing is folded for its sake. */
static bool will_die(const us_graph *from, const us_node *n, size_t max_bytes)
{
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] != US_NIL && !folded(from, n->out[k], max_bytes)) return false;
    return n->n_out > 0;
}

static us_err fold_for_node(us_ctx *c, us_graph *g, const us_graph *from, us_nid nid,
                            size_t max_bytes, us_rewire *r, bool *changed)
{
    for (uint32_t k = 0; k < g->nodes.at[nid].n_in; k++) {
        us_vid v = g->nodes.at[nid].in[k];
        if (v != US_NIL) US_TRY(fold_input(c, g, from, v, max_bytes, r, changed));
    }
    for (uint32_t i = 0; i < g->nodes.at[nid].n_attrs; i++) { /* what its sub-graphs capture */
        const us_attr *a = &g->nodes.at[nid].attrs[i];
        for (size_t j = 0; a->graphs && j < a->n; j++) {
            const us_graph *sub = a->graphs[j];
            for (size_t v = 0; v < sub->vals.n; v++)
                if (sub->vals.at[v].storage == US_ST_OUTER)
                    US_TRY(fold_input(c, g, from, sub->vals.at[v].outer, max_bytes, r, changed));
        }
    }
    return US_OK;
}

static us_err take_graph(us_ctx *c, us_graph *g, const us_graph *from, size_t max_bytes,
                         bool *changed)
{
    us_arena *a;
    us_rewire r = {0};
    US_TRY(us_arena_new(c, "facts", (size_t)1 << 30, &a));
    us_err e = us_rewire_begin(c, g, a, &r);
    if (e == US_OK) e = take_types(c, g, from, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        us_nid nid = g->order.at[i];
        if (will_die(from, &g->nodes.at[nid], max_bytes)) continue;
        e = fold_for_node(c, g, from, nid, max_bytes, &r, changed);
        us_rewire_node(&r, nid);
    }
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(a);
    return e;
}

us_err us_facts_take(us_ctx *c, us_model *m, size_t max_bytes, bool *changed)
{
    us_model *from;
    size_t n_graphs = m->graphs.n;
    US_TRY(us_model_clone(c, m, &from));
    us_err e = us_pass_run(c, from, "inline,upgrade,fold-const");
    if (e == US_OK) e = take_symbols(c, m, from);
    for (size_t i = 0; e == US_OK && i < n_graphs; i++)
        e = take_graph(c, m->graphs.at[i], from->graphs.at[i], max_bytes, changed);
    us_model_free(from);
    return e;
}
