/* inspect/extract.c - cut a clone of the model down to what the wanted values need.
 *
 * Steps: find the names; walk upwards from `to` and mark nodes; take types from an inferred second clone; make `from`
 * values inputs; drop nodes, constants, functions and imports nobody needs; verify.
 */
#include "inspect/extract.h"

#include "base/ctx.h"
#include "ir/op.h"
#include "pass/facts.h"
#include "pass/pass.h"

#define EXTRACT_CAP ((size_t)1 << 30)

typedef struct extract {
    us_ctx *c;
    us_arena *a;
    const us_extract_opts *o;
    us_extract_report *r;
    const us_model *m;
    us_model *x; /* the clone that becomes the result */
    us_graph *g; /* its main graph */
    us_vid *from, *to;
    bool *cut;    /* per value: of from */
    bool *needed; /* per value: read by something kept, or wanted */
    bool *keep;   /* per node */
    US_VEC(us_vid) stack;
    US_VEC(us_vid) added;
} extract;

/* --- names ------------------------------------------------------------------------------------------------------ */

us_sv us_nearest_value(us_ctx *c, const us_graph *g, us_sv name)
{
    us_arena *a;
    us_sv near = {0};
    if (us_arena_new(c, "names", EXTRACT_CAP, &a) != US_OK) return near;
    const char **z = us_new_n(a, const char *, g->vals.n);
    size_t n = 0;
    for (us_vid v = 0; z && v < g->vals.n; v++) {
        z[n] = us_str_dup(a, g->vals.at[v].name);
        if (!z[n++]) break;
    }
    const char *got = z && n == g->vals.n ? us_nearest(name, z, n) : NULL;
    for (us_vid v = 0; got && v < g->vals.n && !near.n; v++)
        if (us_sv_is(g->vals.at[v].name, got)) near = g->vals.at[v].name;
    us_arena_free(a);
    return near;
}

/* Whether a sub-graph has a value of this name, for the message. */
static bool in_subgraph(const us_model *m, us_sv name)
{
    for (size_t i = 0; i < m->graphs.n; i++)
        if (m->graphs.at[i] != m->main && us_graph_find(m->graphs.at[i], name) != US_NIL)
            return true;
    return false;
}

static us_err find(extract *k, us_sv name, const char *flag, us_vid *out)
{
    us_vid v = us_graph_find(k->g, name);
    const us_val *val = v == US_NIL ? NULL : &k->g->vals.at[v];
    bool there = val && (val->storage != US_ST_TEMP || val->def != US_NIL);
    if (there) {
        *out = v;
        return US_OK;
    }
    if (in_subgraph(k->m, name))
        return us_fail(k->c, US_ARG,
                       "%s: '" US_SV_FMT "' is a value of a sub-graph or function; only values "
                       "of the main graph can be cut at",
                       flag, US_SV_ARG(name));
    us_sv near = us_nearest_value(k->c, k->g, name);
    return us_fail(k->c, US_ARG, "%s: the model has no value '" US_SV_FMT "'%s" US_SV_FMT "%s",
                   flag, US_SV_ARG(name), near.n ? "; is it '" : "", US_SV_ARG(near),
                   near.n ? "'?" : "");
}

static us_err find_all(extract *k, const us_sv *names, size_t n, const char *flag, us_vid **out)
{
    if (n > US_EXTRACT_MAX_ENDS)
        return us_fail(k->c, US_LIMIT, "%s: more than %d names", flag, US_EXTRACT_MAX_ENDS);
    us_vid *v = us_new_n(k->a, us_vid, n);
    if (!v) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < n; i++) {
        US_TRY(find(k, names[i], flag, &v[i]));
        for (size_t j = 0; j < i; j++)
            if (v[j] == v[i])
                return us_fail(k->c, US_ARG, "%s: '" US_SV_FMT "' is named twice", flag,
                               US_SV_ARG(names[i]));
    }
    *out = v;
    return US_OK;
}

/* --- what is needed -------------------------------------------------------------------------------------------------- */

static us_err need(extract *k, us_vid v)
{
    if (v == US_NIL || k->needed[v]) return US_OK;
    k->needed[v] = true;
    return us_vec_push(k->c, k->a, &k->stack, v);
}

static us_err need_of_node(extract *k, us_nid nid)
{
    const us_node *n = &k->g->nodes.at[nid];
    if (k->keep[nid]) return US_OK;
    k->keep[nid] = true;
    for (uint32_t i = 0; i < n->n_in; i++)
        US_TRY(need(k, n->in[i]));
    for (uint32_t i = 0; i < n->n_attrs; i++) /* what its sub-graphs capture */
        for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++) {
            const us_graph *sub = n->attrs[i].graphs[j];
            for (us_vid v = 0; v < sub->vals.n; v++)
                if (sub->vals.at[v].storage == US_ST_OUTER)
                    US_TRY(need(k, sub->vals.at[v].outer));
        }
    return US_OK;
}

static us_err walk_up(extract *k)
{
    for (size_t i = 0; i < k->o->n_to; i++)
        US_TRY(need(k, k->to[i]));
    while (k->stack.n) {
        us_vid v = k->stack.at[--k->stack.n];
        us_nid def = k->g->vals.at[v].def;
        if (!k->cut[v] && def != US_NIL) US_TRY(need_of_node(k, def));
    }
    return US_OK;
}

/* Inputs of the model that are needed although `from` was to cut them off. */
static us_err check_missing(extract *k)
{
    us_buf names;
    us_buf_init(&names, k->c, 300);
    for (us_vid v = 0; v < k->g->vals.n; v++) {
        const us_val *val = &k->g->vals.at[v];
        if (!k->needed[v] || k->cut[v] || val->storage != US_ST_INPUT) continue;
        us_buf_addf(&names, "%s'" US_SV_FMT "'", k->added.n ? ", " : "", US_SV_ARG(val->name));
        us_err e = us_vec_push(k->c, k->a, &k->added, v);
        if (e != US_OK) {
            us_buf_deinit(&names);
            return e;
        }
    }
    us_err e = US_OK;
    k->r->n_added = k->added.n;
    if (k->added.n && k->o->n_from && !k->o->add_inputs)
        e = us_fail(k->c, US_ARG,
                    "--from does not cut the graph off: --to needs the input%s " US_SV_FMT
                    "%s, too; name %s in --from, or give --add-inputs",
                    k->added.n > 1 ? "s" : "", US_SV_ARG(us_buf_sv(&names)),
                    names.err == US_OK ? "" : " and more", k->added.n > 1 ? "them" : "it");
    us_buf_deinit(&names);
    return e;
}

static us_err mark(extract *k)
{
    k->cut = us_new_n(k->a, bool, k->g->vals.n);
    k->needed = us_new_n(k->a, bool, k->g->vals.n);
    k->keep = us_new_n(k->a, bool, k->g->nodes.n);
    if (!k->cut || !k->needed || !k->keep) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < k->o->n_from; i++)
        k->cut[k->from[i]] = true;
    US_TRY(walk_up(k));
    US_TRY(check_missing(k));
    for (size_t i = 0; i < k->o->n_from; i++) {
        if (k->needed[k->from[i]]) continue;
        if (!k->r->n_unused++) k->r->unused = k->g->vals.at[k->from[i]].name;
    }
    return US_OK;
}

/* --- types ------------------------------------------------------------------------------------------------------------ */

/* t of another model's symbols in x's. */
static us_err move_type(extract *k, const us_model *src, const us_type *t, us_type *out)
{
    us_type y;
    US_TRY(us_type_dup(k->c, k->x->arena, t, &y));
    for (int32_t d = 0; y.kind == US_KIND_TENSOR && d < y.rank; d++) {
        us_sym s = y.dims[d].sym;
        if (s >= k->m->syms.names.n &&
            s < src->syms.names.n) { /* new since they were the same */
            us_sv name;
            US_TRY(us_sv_dup(k->c, k->x->arena, src->syms.names.at[s], &name));
            US_TRY(us_syms_named(k->c, &k->x->syms, name, &y.dims[d].sym));
        }
    }
    *out = y;
    return US_OK;
}

static us_err take_type(extract *k, const us_model *facts, us_vid v)
{
    us_val *val = &k->g->vals.at[v];
    const us_type *known = &facts->main->vals.at[v].type;
    if (val->storage == US_ST_INPUT || val->storage == US_ST_CONST) return US_OK;
    if (known->kind != US_KIND_NONE) US_TRY(move_type(k, facts, known, &val->type));
    if (val->type.kind != US_KIND_NONE) return US_OK;
    return us_fail(k->c, US_UNSUPP,
                   "the type of '" US_SV_FMT
                   "' is neither declared nor can it be inferred, and "
                   "inputs and outputs of a model have types",
                   US_SV_ARG(val->name));
}

/* A model we cannot infer (operators we do not know) keeps the types its file declares. */
static us_err take_types(extract *k)
{
    us_model *facts;
    bool changed = false;
    US_TRY(us_model_clone(k->c, k->m, &facts));
    us_err e = us_facts_take(k->c, facts, 0, &changed);
    if (e != US_OK && e != US_NOMEM && e != US_CANCELLED) {
        us_model_free(facts);
        k->r->as_declared = true;
        US_TRY(us_model_clone(k->c, k->m, &facts));
        e = US_OK;
    }
    for (size_t i = 0; e == US_OK && i < k->o->n_from; i++)
        e = take_type(k, facts, k->from[i]);
    for (size_t i = 0; e == US_OK && i < k->o->n_to; i++)
        e = take_type(k, facts, k->to[i]);
    us_model_free(facts);
    return e;
}

/* --- the cut ------------------------------------------------------------------------------------------------------------ */

/* A node that is kept for its other outputs makes this one under another name. */
static us_err make_input(extract *k, us_vid v)
{
    us_graph *g = k->g;
    us_nid def = g->vals.at[v].def;
    if (def != US_NIL && k->keep[def]) {
        us_vid other;
        uint32_t at = g->vals.at[v].def_out;
        US_TRY(us_graph_add_val(k->c, g, (us_sv){0}, US_ST_TEMP, &g->vals.at[v].type, &other));
        g->nodes.at[def].out[at] = other;
        g->vals.at[other].def = def;
        g->vals.at[other].def_out = at;
    }
    us_val *val = &g->vals.at[v];
    val->storage = US_ST_INPUT;
    val->def = US_NIL;
    val->def_out = 0;
    val->data = NULL;
    val->also_input = false;
    return us_vec_push(k->c, k->x->arena, &g->inputs, v);
}

/* Inputs: `from`, what was added, and constants that old files list among the inputs. */
static us_err set_inputs(extract *k)
{
    us_graph *g = k->g;
    size_t n = g->inputs.n;
    us_vid *was = g->inputs.at;
    g->inputs.at = NULL;
    g->inputs.n = g->inputs.cap = 0;
    for (us_vid v = 0; v < g->vals.n; v++)
        if (g->vals.at[v].storage == US_ST_INPUT && !k->cut[v] && !k->needed[v]) {
            g->vals.at[v].storage = US_ST_TEMP; /* a name without a definition */
            g->vals.at[v].declared = false;
        }
    for (size_t i = 0; i < k->o->n_from; i++)
        US_TRY(make_input(k, k->from[i]));
    for (size_t i = 0; i < k->added.n; i++)
        US_TRY(us_vec_push(k->c, k->x->arena, &g->inputs, k->added.at[i]));
    for (size_t i = 0; i < n; i++) {
        us_val *val = &g->vals.at[was[i]];
        if (!val->also_input) continue;
        if (k->needed[was[i]])
            US_TRY(us_vec_push(k->c, k->x->arena, &g->inputs, was[i]));
        else
            val->also_input = false;
    }
    return US_OK;
}

static us_err cut_graph(extract *k)
{
    us_graph *g = k->g;
    size_t n = 0;
    US_TRY(set_inputs(k));
    for (size_t i = 0; i < g->order.n; i++) {
        us_nid nid = g->order.at[i];
        g->nodes.at[nid].dead = !k->keep[nid];
        if (k->keep[nid]) g->order.at[n++] = nid;
    }
    g->order.n = n;
    for (us_vid v = 0; v < g->vals.n; v++) {
        us_val *val = &g->vals.at[v];
        if (val->def != US_NIL && g->nodes.at[val->def].dead) val->def = US_NIL;
    }
    g->outputs.n = 0;
    for (size_t i = 0; i < k->o->n_to; i++)
        US_TRY(us_graph_add_output(k->c, g, k->to[i]));
    for (us_vid v = 0; v < g->vals.n; v++) {
        us_val *val = &g->vals.at[v];
        if (val->storage != US_ST_CONST || (v < k->m->main->vals.n && k->needed[v])) continue;
        val->storage = US_ST_TEMP;
        val->data = NULL;
    }
    return US_OK;
}

/* --- functions and imports ------------------------------------------------------------------------------------------------- */

typedef struct used {
    us_map domains;
    bool *functions;
    bool again;
} used;

static bool calls(const us_node *n, const us_function *f)
{
    return us_sv_eq(n->domain, f->domain) && us_sv_eq(n->op_type, f->name);
}

static us_err note_graph(extract *k, const us_graph *g, used *u, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(k->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        us_sv domain = us_sv_is(n->domain, "ai.onnx") ? (us_sv){"", 0} : n->domain;
        US_TRY(us_map_put(k->c, &u->domains, domain, 1, NULL));
        for (size_t f = 0; f < k->x->functions.n; f++)
            if (!u->functions[f] && calls(n, &k->x->functions.at[f]))
                u->functions[f] = u->again = true;
        for (uint32_t j = 0; j < n->n_attrs; j++)
            for (size_t s = 0; n->attrs[j].graphs && s < n->attrs[j].n; s++)
                US_TRY(note_graph(k, n->attrs[j].graphs[s], u, depth + 1));
    }
    return US_OK;
}

/* Functions call functions: looked at until no more are found. */
static us_err drop_unused(extract *k)
{
    us_model *x = k->x;
    used u = {.functions = us_new_n(k->a, bool, x->functions.n), .again = true};
    size_t n = 0;
    if (!u.functions) return us_arena_fail(k->c, k->a);
    us_map_init(&u.domains, k->a);
    US_TRY(note_graph(k, k->g, &u, 0));
    while (u.again) {
        u.again = false;
        for (size_t f = 0; f < x->functions.n; f++)
            if (u.functions[f]) US_TRY(note_graph(k, x->functions.at[f].body, &u, 0));
    }
    for (size_t f = 0; f < x->functions.n; f++)
        if (u.functions[f]) x->functions.at[n++] = x->functions.at[f];
    x->functions.n = n;
    n = 0;
    for (size_t i = 0; i < x->opsets.n; i++) {
        us_sv d = x->opsets.at[i].domain;
        bool standard = !d.n || us_sv_is(d, "ai.onnx");
        if (standard || us_map_get(&u.domains, d) != US_MAP_NONE)
            x->opsets.at[n++] = x->opsets.at[i];
    }
    x->opsets.n = n;
    return US_OK;
}

/* --- all of it ------------------------------------------------------------------------------------------------------------- */

static us_err work(extract *k)
{
    if (k->o->n_to == 0) return us_fail(k->c, US_ARG, "--to: name at least one value");
    US_TRY(us_model_clone(k->c, k->m, &k->x));
    k->g = k->x->main;
    US_TRY(find_all(k, k->o->from, k->o->n_from, "--from", &k->from));
    US_TRY(find_all(k, k->o->to, k->o->n_to, "--to", &k->to));
    US_TRY(mark(k));
    US_TRY(take_types(k));
    k->r->nodes_before = k->g->order.n;
    US_TRY(cut_graph(k));
    k->r->nodes_after = k->g->order.n;
    US_TRY(drop_unused(k));
    return us_graph_verify(k->c, k->g);
}

us_err us_extract(us_ctx *c, const us_model *m, const us_extract_opts *opts, us_model **out,
                  us_extract_report *report)
{
    us_extract_report r = {0};
    extract k = {.c = c, .o = opts, .r = &r, .m = m};
    US_TRY(us_arena_new(c, "extract", EXTRACT_CAP, &k.a));
    us_err e = work(&k);
    us_arena_free(k.a);
    if (e != US_OK) {
        us_model_free(k.x);
        return e;
    }
    *report = r;
    *out = k.x;
    return US_OK;
}
