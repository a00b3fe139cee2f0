/* ir/verify.c - the invariants of graph.h, and the rules of the operators' schemas.
 *
 * Verification reads everything and changes nothing but the decoded parameters. Every message names the graph,
 * the node or value, and the rule.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

typedef struct verifier {
    us_ctx *c;
    us_graph *g;
    uint8_t *placed; /* per node: stands earlier in `order` */
} verifier;

static us_err bad_value(verifier *v, const us_val *val, const char *rule)
{
    return us_fail(v->c, US_FORMAT, "graph '" US_SV_FMT "': value '" US_SV_FMT "' %s",
                   US_SV_ARG(v->g->name), US_SV_ARG(val->name), rule);
}

static us_err bad_node(verifier *v, const us_node *n, const char *what, size_t i,
                       const char *rule)
{
    return us_fail(v->c, US_FORMAT,
                   "graph '" US_SV_FMT "': " US_SV_FMT " '" US_SV_FMT
                   "' (file offset %llu): %s %zu %s",
                   US_SV_ARG(v->g->name), US_SV_ARG(n->op_type), US_SV_ARG(n->name),
                   (unsigned long long)n->offset, what, i, rule);
}

static us_err check_data(verifier *v, const us_val *val)
{
    const us_value *d = val->data;
    if (!d) return bad_value(v, val, "is a constant without data");
    if (d->kind != US_KIND_TENSOR) return US_OK; /* sparse and the like are kept as they are */
    const us_type *t = &val->type;
    if (t->kind != US_KIND_TENSOR || t->dtype != d->t.dtype)
        return bad_value(v, val, "has data of another type than it declares");
    if (t->rank >= 0 && t->rank != d->t.rank)
        return bad_value(v, val, "has data of another rank than it declares");
    for (int i = 0; i < t->rank; i++)
        if (us_dim_known(t->dims[i]) && t->dims[i].add != d->t.dims[i])
            return bad_value(v, val, "has data of another shape than it declares");
    return US_OK;
}

static us_err check_temp(verifier *v, us_vid id, const us_val *val)
{
    if (val->def == US_NIL) return US_OK; /* not defined: only wrong when somebody reads it */
    if (val->def >= v->g->nodes.n) return bad_value(v, val, "is defined by no node");
    const us_node *n = &v->g->nodes.at[val->def];
    if (n->dead || val->def_out >= n->n_out || n->out[val->def_out] != id)
        return bad_value(v, val, "is not an output of the node said to define it");
    return US_OK;
}

static us_err check_value(verifier *v, us_vid id)
{
    const us_graph *g = v->g;
    const us_val *val = &g->vals.at[id];
    if (!val->name.n) return bad_value(v, val, "has no name");
    if (us_graph_find(g, val->name) != id) return bad_value(v, val, "shares its name");
    bool has_def = val->def != US_NIL;
    if (has_def && val->storage != US_ST_TEMP)
        return bad_value(v, val, "is defined by a node and elsewhere");
    if (val->storage == US_ST_TEMP) return check_temp(v, id, val);
    if (val->storage == US_ST_CONST || val->storage == US_ST_VARIABLE)
        return check_data(v, val);
    if (val->storage == US_ST_OUTER && (!g->parent || val->outer >= g->parent->vals.n))
        return bad_value(v, val, "captures nothing of an enclosing graph");
    return US_OK;
}

/* A value read here must be there already. */
static bool readable(const verifier *v, us_vid id)
{
    const us_val *val = &v->g->vals.at[id];
    if (val->storage != US_ST_TEMP) return true;
    return val->def != US_NIL && v->placed[val->def];
}

static us_err check_inputs(verifier *v, const us_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == US_NIL) continue;
        if (n->in[i] >= v->g->vals.n) return bad_node(v, n, "input", i, "is no value");
        if (!readable(v, n->in[i]))
            return bad_node(v, n, "input", i, "is read before it is defined");
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        us_vid o = n->out[i];
        if (o == US_NIL) continue;
        if (o >= v->g->vals.n || v->g->vals.at[o].def != (us_nid)(n - v->g->nodes.at))
            return bad_node(v, n, "output", i, "is not defined by this node");
    }
    return US_OK;
}

/* Required formal parameters must be there. */
static us_err check_given(verifier *v, const us_node *n, const us_param *p, const us_vid *ids,
                          uint32_t n_ids, const char *what)
{
    for (uint32_t i = 0; p && p->name && i < n_ids; i++, p++) {
        if (p->flags & US_P_VARIADIC) break;
        if (ids[i] == US_NIL && !(p->flags & US_P_OPTIONAL))
            return bad_node(v, n, what, i, "is required and left out");
    }
    return US_OK;
}

static us_err check_schema(verifier *v, us_node *n)
{
    if (!n->op) return US_OK;
    if (!n->schema)
        return us_fail(v->c, US_FORMAT,
                       US_SV_FMT " '" US_SV_FMT "': there is no such operator in version %d",
                       US_SV_ARG(n->op_type), US_SV_ARG(n->name), n->version);
    size_t lo, hi = us_schema_n_in(n->schema, &lo);
    if (n->n_in < lo || n->n_in > hi)
        return bad_node(v, n, "has a number of inputs it cannot have:", n->n_in, "");
    hi = us_schema_n_out(n->schema, &lo);
    if (n->n_out < lo || n->n_out > hi)
        return bad_node(v, n, "has a number of outputs it cannot have:", n->n_out, "");
    US_TRY(check_given(v, n, n->schema->in, n->in, n->n_in, "input"));
    US_TRY(check_given(v, n, n->schema->out, n->out, n->n_out, "output"));
    return n->params ? US_OK : us_node_decode(v->c, v->g->model, n);
}

static us_err check_subgraphs(verifier *v, const us_node *n)
{
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const us_attr *a = &n->attrs[i];
        for (size_t j = 0; a->graphs && j < a->n; j++) {
            us_graph *sub = a->graphs[j];
            if (sub->parent != v->g)
                return bad_node(v, n, "attribute", i, "holds a graph of another parent");
            for (size_t k = 0; k < sub->vals.n; k++) {
                const us_val *val = &sub->vals.at[k];
                if (val->storage == US_ST_OUTER && val->outer < v->g->vals.n &&
                    !readable(v, val->outer))
                    return bad_node(v, n, "attribute", i, "captures a value not yet defined");
            }
            US_TRY(us_graph_verify(v->c, sub));
        }
    }
    return US_OK;
}

static us_err check_nodes(verifier *v)
{
    us_graph *g = v->g;
    size_t n_live = 0;
    for (size_t i = 0; i < g->nodes.n; i++)
        n_live += !g->nodes.at[i].dead;
    if (n_live != g->order.n)
        return us_fail(v->c, US_FORMAT, "graph '" US_SV_FMT "': %zu nodes, %zu in its order",
                       US_SV_ARG(g->name), n_live, g->order.n);
    for (size_t i = 0; i < g->order.n; i++) {
        us_nid id = g->order.at[i];
        if (id >= g->nodes.n || g->nodes.at[id].dead || v->placed[id])
            return us_fail(v->c, US_FORMAT,
                           "graph '" US_SV_FMT "': its order names node %u wrongly",
                           US_SV_ARG(g->name), id);
        us_node *n = &g->nodes.at[id];
        US_TRY(check_inputs(v, n));
        US_TRY(check_schema(v, n));
        US_TRY(check_subgraphs(v, n));
        v->placed[id] = 1;
    }
    return US_OK;
}

static us_err check_interface(verifier *v)
{
    us_graph *g = v->g;
    for (size_t i = 0; i < g->inputs.n; i++) {
        us_vid id = g->inputs.at[i];
        if (id >= g->vals.n ||
            (g->vals.at[id].storage != US_ST_INPUT && !g->vals.at[id].also_input))
            return us_fail(v->c, US_FORMAT, "graph '" US_SV_FMT "': input %zu is not an input",
                           US_SV_ARG(g->name), i);
    }
    for (size_t i = 0; i < g->outputs.n; i++) {
        us_vid id = g->outputs.at[i];
        if (id >= g->vals.n || !readable(v, id))
            return us_fail(v->c, US_FORMAT,
                           "graph '" US_SV_FMT "': output %zu is never defined",
                           US_SV_ARG(g->name), i);
    }
    return US_OK;
}

us_err us_graph_verify(us_ctx *c, us_graph *g)
{
    verifier v = {.c = c, .g = g};
    v.placed = us_mem_get(&c->alloc, g->nodes.n, 1);
    if (!v.placed) return us_nomem(c);
    us_err e = US_OK;
    for (size_t i = 0; i < g->vals.n && e == US_OK; i++)
        e = check_value(&v, (us_vid)i);
    if (e == US_OK) e = check_nodes(&v);
    if (e == US_OK) e = check_interface(&v);
    us_mem_put(&c->alloc, v.placed, g->nodes.n, 1);
    return e;
}
