/* check/graph.c - one graph: its scope, inputs, initialisers, nodes in order, outputs, and what nobody reads. */
#include "check/checker.h"

/* --- scopes ----------------------------------------------------------------------------------------------------- */

us_ck_value *us_ck_lookup(us_ck_scope *s, us_sv name, bool outwards)
{
    for (; s; s = outwards ? s->up : NULL) {
        uint32_t i = us_map_get(&s->names, name);
        if (i != US_MAP_NONE) return &s->values.at[i];
    }
    return NULL;
}

us_err us_ck_define(us_checker *k, us_sv name, us_ck_def def, uint64_t offset, size_t i_node)
{
    us_ck_scope *s = k->scope;
    US_TRY(us_map_put(k->c, &s->names, name, (uint32_t)s->values.n, NULL));
    return us_vec_push(k->c, k->r.pb.keep, &s->values,
                       (us_ck_value){name, def, offset, i_node, {0}, false, false});
}

static us_err unused_nodes(us_checker *k)
{
    us_ck_scope *s = k->scope;
    bool *read = us_new_n(k->r.pb.keep, bool, s->nodes.n + 1);
    if (!read) return us_arena_fail(k->c, k->r.pb.keep);
    for (size_t i = 0; i < s->values.n; i++)
        if (s->values.at[i].def == US_CK_RESULT && s->values.at[i].used)
            read[s->values.at[i].i_node] = true;
    for (size_t i = 0; i < s->nodes.n; i++) {
        if (read[i]) continue;
        k->at = s->nodes.at[i];
        US_TRY(us_ck_found(k, US_RULE_UNUSED_NODE, k->at.offset,
                           "nothing reads what it computes"));
    }
    return US_OK;
}

us_err us_ck_unused(us_checker *k)
{
    us_ck_scope *s = k->scope;
    us_ck_node was = k->at;
    k->at = (us_ck_node){0};
    for (size_t i = 0; i < s->values.n; i++) {
        const us_ck_value *v = &s->values.at[i];
        if (v->def == US_CK_INIT && !v->used)
            US_TRY(us_ck_found(k, US_RULE_UNUSED_INIT, v->offset,
                               "nothing reads initialiser '" US_SV_FMT "'",
                               US_SV_ARG(v->name)));
    }
    us_err e = unused_nodes(k);
    k->at = was;
    return e;
}

/* --- inputs and initialisers -------------------------------------------------------------------------------------- */

static us_err shadows(us_checker *k, us_sv name, uint64_t offset, const char *what)
{
    if (!k->scope->up || !us_ck_lookup(k->scope->up, name, true)) return US_OK;
    return us_ck_found(k, US_RULE_SHADOWED, offset,
                       "%s '" US_SV_FMT "' hides a value of the graph around", what,
                       US_SV_ARG(name));
}

static us_err info(us_checker *k, us_sv span, const char *what, us_pb_info *p)
{
    *p = (us_pb_info){0};
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_info_msg, span, p));
    bool strict = !k->scope->up;
    if (!p->name.n) return us_ck_found(k, US_RULE_NAME, p->h.offset, "%s without a name", what);
    if (us_pb_has(&p->h, 2)) return us_ck_type(k, p->type, p->name, strict, 0);
    if (strict)
        return us_ck_found(k, US_RULE_VALUE_TYPE, p->h.offset, "%s '" US_SV_FMT "' has no type",
                           what, US_SV_ARG(p->name));
    return US_OK;
}

static us_err inputs(us_checker *k, const us_pb_spans *spans)
{
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_info p;
        US_TRY(info(k, spans->at[i], "a graph input", &p));
        if (!p.name.n) continue;
        if (us_ck_lookup(k->scope, p.name, false)) {
            US_TRY(us_ck_found(k, US_RULE_SINGLE, p.h.offset,
                               "graph input '" US_SV_FMT "' is listed twice",
                               US_SV_ARG(p.name)));
            continue;
        }
        US_TRY(shadows(k, p.name, p.h.offset, "graph input"));
        US_TRY(us_ck_define(k, p.name, US_CK_INPUT, p.h.offset, 0));
        k->scope->values.at[k->scope->values.n - 1].type = p.type;
    }
    return US_OK;
}

/* The type a graph input declares (in `type`), and the data's. */
static us_err agree(us_checker *k, us_sv type, const us_pb_tensor *t)
{
    us_pb_type p = {0};
    us_pb_tensor_type tt = {0};
    us_pb_shape shape = {0};
    const int64_t *dims;
    size_t rank;
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_type_msg, type, &p));
    if (!us_pb_has(&p.h, 1)) return US_OK;
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_tensor_type_msg, p.tensor, &tt));
    US_TRY(us_pb_i64s(&k->r.pb, k->r.pb.tmp, &t->dims, &dims, &rank));
    bool differs = tt.elem && tt.elem != t->data_type;
    if (us_pb_has(&tt.h, 2)) {
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_shape_msg, tt.shape, &shape));
        differs |= shape.dims.n != rank;
        for (size_t j = 0; !differs && j < rank; j++) {
            us_pb_dim d = {0};
            US_TRY(us_pb_parse(&k->r.pb, &us_pb_dim_msg, shape.dims.at[j], &d));
            differs = us_pb_has(&d.h, 1) && d.value != dims[j];
        }
    }
    if (!differs) return US_OK;
    return us_ck_found(k, US_RULE_INIT_TYPE, t->h.offset,
                       "initialiser '" US_SV_FMT
                       "' is of another type or shape than the graph input declares",
                       US_SV_ARG(t->name));
}

static us_err define_init(us_checker *k, us_sv name, uint64_t offset)
{
    us_ck_value *v = us_ck_lookup(k->scope, name, false);
    if (!name.n) return us_ck_found(k, US_RULE_NAME, offset, "an initialiser without a name");
    if (v && v->def == US_CK_INIT)
        return us_ck_found(k, US_RULE_SINGLE, offset,
                           "initialiser '" US_SV_FMT "' is there twice", US_SV_ARG(name));
    if (v) { /* an input that has a default */
        v->def = US_CK_INIT;
        v->also_input = true;
        if (!k->overridable.n++) {
            k->overridable.name = name;
            k->overridable.offset = offset;
        }
        return US_OK;
    }
    if (k->ir < 4)
        US_TRY(us_ck_found(k, US_RULE_INIT_INPUT, offset,
                           "initialiser '" US_SV_FMT
                           "' is no graph input; IR %lld wants it to be one",
                           US_SV_ARG(name), (long long)k->ir));
    US_TRY(shadows(k, name, offset, "initialiser"));
    return us_ck_define(k, name, US_CK_INIT, offset, 0);
}

static us_err inits(us_checker *k, const us_pb_graph *p)
{
    for (size_t i = 0; i < p->inits.n; i++) {
        us_mark mark = us_arena_mark(k->r.pb.tmp);
        us_pb_tensor t;
        US_TRY(us_ck_tensor(k, p->inits.at[i], true, &t));
        k->rep->n_weights++;
        US_TRY(define_init(k, t.name, t.h.offset));
        const us_ck_value *v = us_ck_lookup(k->scope, t.name, false);
        if (v && v->also_input) US_TRY(agree(k, v->type, &t));
        us_arena_reset(k->r.pb.tmp, mark);
    }
    for (size_t i = 0; i < p->sparse.n; i++) {
        us_sv name;
        US_TRY(us_ck_sparse(k, p->sparse.at[i], &name));
        US_TRY(define_init(k, name,
                           (uint64_t)((uintptr_t)p->sparse.at[i].p - (uintptr_t)k->r.pb.base)));
    }
    return US_OK;
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

static us_err reads(us_checker *k, const us_pb_node *n)
{
    for (size_t i = 0; i < n->inputs.n; i++) {
        us_sv name = n->inputs.at[i];
        if (!name.n) continue;
        us_ck_value *v = us_ck_lookup(k->scope, name, true);
        if (v)
            v->used = true;
        else
            US_TRY(
                us_ck_found(k, US_RULE_ORDER, n->h.offset,
                            "its input '" US_SV_FMT
                            "' is no result of a node before it, no input and no initialiser",
                            US_SV_ARG(name)));
    }
    return US_OK;
}

static us_err results(us_checker *k, const us_pb_node *n, size_t i_node)
{
    for (size_t i = 0; i < n->outputs.n; i++) {
        us_sv name = n->outputs.at[i];
        if (!name.n) continue;
        if (us_ck_lookup(k->scope, name, true)) {
            US_TRY(
                us_ck_found(k, US_RULE_SINGLE, n->h.offset,
                            "its output '" US_SV_FMT "' is defined already%s", US_SV_ARG(name),
                            us_ck_lookup(k->scope, name, false) ? "" : " in a graph around"));
            continue;
        }
        US_TRY(us_ck_define(k, name, US_CK_RESULT, n->h.offset, i_node));
    }
    return US_OK;
}

static us_err node(us_checker *k, us_sv span)
{
    us_pb_node n = {0};
    us_ck_scope *s = k->scope;
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_node_msg, span, &n));
    if (!span.n) n.h.offset = 0;
    k->at = (us_ck_node){n.op_type, n.name, n.h.offset};
    k->rep->n_nodes++;
    US_TRY(us_vec_push(k->c, k->r.pb.keep, &s->nodes, k->at));
    US_TRY(reads(k, &n));
    if (!n.op_type.n)
        US_TRY(us_ck_found(k, US_RULE_NAME, n.h.offset, "a node without op_type"));
    else
        US_TRY(us_ck_op(k, &n));
    if (!n.inputs.n && !n.outputs.n)
        US_TRY(us_ck_found(k, US_RULE_EMPTY_NODE, n.h.offset,
                           "it has neither inputs nor outputs"));
    return results(k, &n, s->nodes.n - 1);
}

us_err us_ck_nodes(us_checker *k, const us_pb_spans *nodes)
{
    us_ck_node was = k->at;
    for (size_t i = 0; i < nodes->n; i++) {
        us_mark mark = us_arena_mark(k->r.pb.tmp);
        US_TRY(us_ctx_poll(k->c));
        US_TRY(node(k, nodes->at[i]));
        us_arena_reset(k->r.pb.tmp, mark);
    }
    k->at = was;
    return US_OK;
}

/* --- outputs ------------------------------------------------------------------------------------------------------ */

static us_err outputs(us_checker *k, const us_pb_spans *spans)
{
    us_map seen;
    us_map_init(&seen, k->r.pb.keep);
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_info p;
        uint32_t was;
        US_TRY(info(k, spans->at[i], "a graph output", &p));
        if (!p.name.n) continue;
        US_TRY(us_map_put(k->c, &seen, p.name, 0, &was));
        if (was != US_MAP_NONE)
            US_TRY(us_ck_found(k, US_RULE_OUTPUT_TWICE, p.h.offset,
                               "graph output '" US_SV_FMT "' is listed twice",
                               US_SV_ARG(p.name)));
        us_ck_value *v = us_ck_lookup(k->scope, p.name, false);
        if (v)
            v->used = true;
        else
            US_TRY(us_ck_found(k, US_RULE_OUTPUT, p.h.offset,
                               "graph output '" US_SV_FMT "' is made by no node of the graph",
                               US_SV_ARG(p.name)));
    }
    return US_OK;
}

static us_err infos(us_checker *k, const us_pb_spans *spans)
{
    us_map seen;
    us_map_init(&seen, k->r.pb.keep);
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_info p = {0};
        uint32_t was;
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_info_msg, spans->at[i], &p));
        if (!p.name.n) {
            US_TRY(us_ck_found(k, US_RULE_NAME, p.h.offset, "a value_info without a name"));
            continue;
        }
        if (us_pb_has(&p.h, 2)) US_TRY(us_ck_type(k, p.type, p.name, false, 0));
        US_TRY(us_map_put(k->c, &seen, p.name, 0, &was));
        if (was != US_MAP_NONE || !us_ck_lookup(k->scope, p.name, false))
            US_TRY(us_ck_found(k, US_RULE_UNKNOWN_INFO, p.h.offset,
                               "value_info '" US_SV_FMT "' %s", US_SV_ARG(p.name),
                               was != US_MAP_NONE ? "is there twice"
                                                  : "describes no value of the graph"));
    }
    return US_OK;
}

static us_err contents(us_checker *k, const us_pb_graph *p)
{
    if (!p->name.n) US_TRY(us_ck_found(k, US_RULE_NAME, p->h.offset, "a graph without a name"));
    US_TRY(inputs(k, &p->inputs));
    US_TRY(inits(k, p));
    US_TRY(us_ck_nodes(k, &p->nodes));
    US_TRY(outputs(k, &p->outputs));
    US_TRY(infos(k, &p->infos));
    return us_ck_unused(k);
}

us_err us_ck_graph(us_checker *k, us_sv span, us_ck_sides *sides)
{
    us_ck_scope scope = {.up = k->scope};
    us_pb_graph p = {0};
    *sides = (us_ck_sides){0};
    if (k->depth >= US_MAX_GRAPH_DEPTH)
        return us_ck_found(k, US_RULE_LIMITS, k->at.offset, "graphs are nested deeper than %d",
                           US_MAX_GRAPH_DEPTH);
    us_sv graph = k->graph;
    us_map_init(&scope.names, k->r.pb.keep);
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_graph_msg, span, &p));
    *sides = (us_ck_sides){p.inputs.n, p.outputs.n};
    k->graph = p.name;
    k->scope = &scope;
    k->depth++;
    k->rep->n_graphs++;
    us_err e = contents(k, &p);
    k->depth--;
    k->scope = scope.up;
    if (k->depth) k->graph = graph;
    return e;
}
