/* capi/graph.c - graphs, nodes, values and attributes of a model, as they were read.
 *
 * Names of attributes are few and repeat; each is copied once, terminated, when the model is opened. Everything else that is told
 * is the reader's own memory.
 */
#include "capi/capi.h"

#include "ir/op.h"

_Static_assert(USTA_NO_VALUE == US_NIL && USTA_NO_NODE == US_NIL, "one nothing");
_Static_assert(USTA_FROM_INPUT == 0 && (int)US_ST_INPUT == 0, "sources[] is by storage");
_Static_assert(USTA_ATTRIBUTE_FLOAT == (int)US_AT_FLOAT &&
                   USTA_ATTRIBUTE_TENSOR == (int)US_AT_TENSOR &&
                   USTA_ATTRIBUTE_TYPES == (int)US_AT_TYPES,
               "one list of attribute kinds");

static usta_str str(us_sv s)
{
    return (usta_str){s.p, s.n};
}

static const char *text(us_sv s)
{
    return s.p ? s.p : "";
}

/* --- making them ----------------------------------------------------------------------------------------- */

typedef struct namer {
    us_ctx *c;
    us_arena *a;
    us_map seen; /* name -> number in names */
    US_VEC(us_sv) names;
} namer;

static us_err once(namer *k, us_sv *name)
{
    uint32_t at = us_map_get(&k->seen, *name);
    if (at == US_MAP_NONE) {
        us_sv own;
        US_TRY(us_sv_dup(k->c, k->a, *name, &own));
        at = (uint32_t)k->names.n;
        US_TRY(us_vec_push(k->c, k->a, &k->names, own));
        US_TRY(us_map_put(k->c, &k->seen, own, at, NULL));
    }
    *name = k->names.at[at];
    return US_OK;
}

static us_err name_attributes(namer *k, us_graph *g)
{
    US_TRY(us_sv_dup(k->c, k->a, g->name, &g->name));
    for (size_t i = 0; i < g->order.n; i++) {
        us_node *n = &g->nodes.at[g->order.at[i]];
        for (uint32_t a = 0; a < n->n_attrs; a++)
            US_TRY(once(k, &n->attrs[a].name));
    }
    return US_OK;
}

static us_err place_nodes(us_ctx *c, us_arena *a, const us_graph *g, const uint32_t **out)
{
    uint32_t *place = us_new_n(a, uint32_t, g->nodes.n);
    if (!place) return us_arena_fail(c, a);
    for (size_t i = 0; i < g->nodes.n; i++)
        place[i] = USTA_NO_NODE;
    for (size_t i = 0; i < g->order.n; i++)
        place[g->order.at[i]] = (uint32_t)i;
    *out = place;
    return US_OK;
}

us_err us_capi_graphs(us_ctx *c, usta_model *m)
{
    us_model *ir = m->ir;
    namer k = {.c = c, .a = m->arena};
    us_map_init(&k.seen, m->arena);
    m->graphs = us_new_n(m->arena, usta_graph, ir->graphs.n);
    if (!m->graphs) return us_arena_fail(c, m->arena);
    for (size_t i = 0; i < ir->graphs.n; i++) {
        m->graphs[i].m = m;
        m->graphs[i].g = ir->graphs.at[i];
        US_TRY(name_attributes(&k, ir->graphs.at[i]));
        US_TRY(place_nodes(c, m->arena, ir->graphs.at[i], &m->graphs[i].place));
    }
    return US_OK;
}

/* Whether a says at least as much of a tensor as b. */
static bool says_more(const us_type *a, const us_type *b)
{
    if (a->kind == US_KIND_NONE) return false;
    return a->kind != US_KIND_TENSOR || a->rank >= 0 || b->rank < 0;
}

static us_err infer_graph(us_ctx *c, const usta_model *m, const us_graph *g,
                          const us_graph *from, const us_type *const **out)
{
    const us_type **types = us_new_n(m->arena, const us_type *, g->vals.n);
    if (!types) return us_arena_fail(c, m->arena);
    for (size_t v = 0; v < g->vals.n; v++) {
        types[v] = &g->vals.at[v].type;
        if (says_more(&from->vals.at[v].type, types[v])) types[v] = &from->vals.at[v].type;
    }
    for (size_t i = 0; i < g->outputs.n; i++) { /* passes may have put others in their place */
        const us_type *t = &from->vals.at[from->outputs.at[i]].type;
        if (says_more(t, types[g->outputs.at[i]])) types[g->outputs.at[i]] = t;
    }
    *out = types;
    return US_OK;
}

us_err us_capi_infer_types(us_ctx *c, usta_model *m, const us_model *inferred)
{
    const us_type *const **all = us_new_n(m->arena, const us_type *const *, m->ir->graphs.n);
    if (!all) return us_arena_fail(c, m->arena);
    for (size_t i = 0; i < m->ir->graphs.n; i++)
        US_TRY(infer_graph(c, m, m->graphs[i].g, inferred->graphs.at[i], &all[i]));
    for (size_t i = 0; i < m->ir->graphs.n; i++) /* now that nothing fails */
        m->graphs[i].types = all[i];
    return US_OK;
}

/* --- graphs ------------------------------------------------------------------------------------------------- */

static const usta_graph *graph_of(const usta_model *m, const us_graph *g)
{
    return g ? &m->graphs[g->index] : NULL;
}

const usta_graph *usta_model_graph(const usta_model *m)
{
    return m ? graph_of(m, m->ir->main) : NULL;
}

const char *usta_graph_name(const usta_graph *g)
{
    return g ? text(g->g->name) : "";
}

const usta_graph *usta_graph_parent(const usta_graph *g)
{
    return g ? graph_of(g->m, g->g->parent) : NULL;
}

size_t usta_graph_n_nodes(const usta_graph *g)
{
    return g ? g->g->order.n : 0;
}

size_t usta_graph_n_values(const usta_graph *g)
{
    return g ? g->g->vals.n : 0;
}

static const uint32_t *list(const uint32_t *at, size_t n_at, size_t *n)
{
    if (n) *n = n_at;
    return at;
}

const uint32_t *usta_graph_inputs(const usta_graph *g, size_t *n)
{
    return g ? list(g->g->inputs.at, g->g->inputs.n, n) : list(NULL, 0, n);
}

const uint32_t *usta_graph_outputs(const usta_graph *g, size_t *n)
{
    return g ? list(g->g->outputs.at, g->g->outputs.n, n) : list(NULL, 0, n);
}

/* --- values ------------------------------------------------------------------------------------------------- */

const us_type *us_capi_type(const usta_graph *g, us_vid v)
{
    return g->types ? g->types[v] : &g->g->vals.at[v].type;
}

static usta_value_place place_of(const usta_graph *g, const us_val *val)
{
    static const int32_t sources[] = {
        [US_ST_INPUT] = USTA_FROM_INPUT,          [US_ST_CONST] = USTA_FROM_INITIALISER,
        [US_ST_VARIABLE] = USTA_FROM_INITIALISER, [US_ST_TEMP] = USTA_FROM_NODE,
        [US_ST_OUTER] = USTA_FROM_OUTER,
    };
    usta_value_place p = {.source = sources[val->storage],
                          .node = USTA_NO_NODE,
                          .outer = USTA_NO_VALUE,
                          .also_input = val->also_input,
                          .declared = val->declared,
                          .doc = str(val->doc)};
    if (p.source == USTA_FROM_NODE && val->def != US_NIL) {
        p.node = g->place[val->def];
        p.node_output = val->def_out;
    }
    if (p.source == USTA_FROM_OUTER) p.outer = val->outer;
    return p;
}

usta_err usta_graph_value(const usta_graph *g, uint32_t v, usta_value_info *info,
                          usta_value_place *place)
{
    if (!g || v >= g->g->vals.n || (info && info->struct_size <= sizeof(size_t)) ||
        (place && place->struct_size <= sizeof(size_t)))
        return USTA_ARG;
    const us_val *val = &g->g->vals.at[v];
    if (info) {
        usta_value_info i;
        us_capi_describe(g->m, text(val->name), us_capi_type(g, v), &i);
        (void)us_capi_give(info, &i, sizeof i);
    }
    if (place) {
        usta_value_place p = place_of(g, val);
        (void)us_capi_give(place, &p, sizeof p);
    }
    return USTA_OK;
}

uint32_t usta_graph_find(const usta_graph *g, const char *name)
{
    return g && name ? us_graph_find(g->g, us_sv_of(name)) : USTA_NO_VALUE;
}

usta_err usta_graph_tensor(const usta_graph *g, uint32_t v, usta_tensor *out)
{
    if (!g || v >= g->g->vals.n || !out) return USTA_ARG;
    const us_val *val = &g->g->vals.at[v];
    if ((val->storage != US_ST_CONST && val->storage != US_ST_VARIABLE) || !val->data)
        return USTA_NOTFOUND;
    if (val->data->kind != US_KIND_TENSOR) return USTA_UNSUPP;
    us_err e = g->m->plan ? us_plan_recall(&g->m->env->c, g->m->plan) : US_OK;
    if (e != US_OK) return (usta_err)e;
    us_capi_public(&val->data->t, out);
    return USTA_OK;
}

/* --- nodes -------------------------------------------------------------------------------------------------- */

static const us_node *node_at(const usta_graph *g, size_t i)
{
    return g && i < g->g->order.n ? &g->g->nodes.at[g->g->order.at[i]] : NULL;
}

static int32_t known(const usta_model *m, const us_node *n)
{
    for (size_t i = 0; i < m->ir->functions.n; i++) {
        const us_function *f = &m->ir->functions.at[i];
        if (us_sv_eq(f->name, n->op_type) && us_sv_eq(f->domain, n->domain)) return 2;
    }
    return n->op && n->schema && (n->op->eval || n->op->expand);
}

usta_err usta_graph_node(const usta_graph *g, size_t i, usta_node_info *out)
{
    const us_node *n = node_at(g, i);
    if (!n || !out) return USTA_ARG;
    usta_node_info info = {.name = text(n->name),
                           .op_type = text(n->op_type),
                           .domain = text(n->domain),
                           .version = n->version,
                           .known = known(g->m, n),
                           .inputs = n->in,
                           .outputs = n->out,
                           .n_inputs = n->n_in,
                           .n_outputs = n->n_out,
                           .n_attributes = n->n_attrs,
                           .offset = n->offset,
                           .doc = str(n->doc)};
    return us_capi_give(out, &info, sizeof info) ? USTA_OK : USTA_ARG;
}

/* --- attributes --------------------------------------------------------------------------------------------- */

static const us_attr *attr_at(const usta_graph *g, size_t i, size_t a)
{
    const us_node *n = node_at(g, i);
    return n && a < n->n_attrs ? &n->attrs[a] : NULL;
}

static bool is_list(int32_t kind)
{
    return (kind >= US_AT_FLOATS && kind <= US_AT_GRAPHS) || kind == US_AT_TYPES;
}

usta_err usta_graph_attribute(const usta_graph *g, size_t i, size_t a, usta_attribute_info *out)
{
    const us_attr *at = attr_at(g, i, a);
    if (!at || !out) return USTA_ARG;
    bool plain = !at->ref.n;
    usta_attribute_info info = {
        .name = text(at->name), .kind = at->kind, .ref = str(at->ref), .doc = str(at->doc)};
    if (plain) {
        info.n = is_list(at->kind) ? at->n : 1;
        info.f = at->f;
        info.i = at->i;
        info.s = str(at->s);
        info.floats = at->floats;
        info.ints = at->ints;
        info.strings = (const usta_str *)at->strs;
    }
    return us_capi_give(out, &info, sizeof info) ? USTA_OK : USTA_ARG;
}

usta_err usta_graph_attribute_tensor(const usta_graph *g, size_t i, size_t a, size_t k,
                                     usta_tensor *out)
{
    const us_attr *at = attr_at(g, i, a);
    if (!at || !out) return USTA_ARG;
    if (!at->tensors) return USTA_NOTFOUND;
    if (k >= at->n) return USTA_ARG;
    us_capi_public(&at->tensors[k], out);
    return USTA_OK;
}

usta_err usta_graph_attribute_type(const usta_graph *g, size_t i, size_t a, size_t k,
                                   usta_value_info *out)
{
    const us_attr *at = attr_at(g, i, a);
    usta_value_info info;
    if (!at || !out || out->struct_size <= sizeof(size_t)) return USTA_ARG;
    if (!at->types) return USTA_NOTFOUND;
    if (k >= at->n) return USTA_ARG;
    us_capi_describe(g->m, "", &at->types[k], &info);
    (void)us_capi_give(out, &info, sizeof info);
    return USTA_OK;
}

const usta_graph *usta_graph_attribute_graph(const usta_graph *g, size_t i, size_t a, size_t k)
{
    const us_attr *at = attr_at(g, i, a);
    return at && at->graphs && k < at->n ? graph_of(g->m, at->graphs[k]) : NULL;
}

/* --- functions ---------------------------------------------------------------------------------------------- */

usta_err usta_model_function(const usta_model *m, size_t i, usta_function_info *out)
{
    if (!m || i >= m->ir->functions.n || !out) return USTA_ARG;
    const us_function *f = &m->ir->functions.at[i];
    usta_function_info info = {.name = text(f->name),
                               .domain = text(f->domain),
                               .overload = text(f->overload),
                               .body = graph_of(m, f->body),
                               .n_attributes = f->attr_names.n,
                               .attributes = (const usta_str *)f->attr_names.at,
                               .doc = str(f->doc)};
    return us_capi_give(out, &info, sizeof info) ? USTA_OK : USTA_ARG;
}
