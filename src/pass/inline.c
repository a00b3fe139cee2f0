/* pass/inline.c - calls of the model's own functions become the functions' nodes, and an If whose condition is constant
 * the nodes of its branch.
 *
 * A body's values get values of the calling graph: parameters are the call's inputs, results the call's outputs, the rest
 * is made anew. An attribute that stands for a parameter of the function takes the call's attribute, else the
 * function's default, else it is left out. Sub-graphs in a body are copied, for a function may be called often.
 * Functions may call functions, not themselves; what they come to is counted first and limited, because a few lines can ask for
 * 2^60 nodes.
 */
#include "pass/passes.h"

#include <string.h>

#define MAX_MADE  ((size_t)1 << 16) /* nodes that functions may add to a graph */
#define MAX_DEPTH 32                /* calls within calls; recursion is not allowed in ONNX */

typedef struct splice {
    us_ctx *c;
    us_model *m;
    const us_function *fn; /* NULL: a branch, which has no parameters */
    const us_graph *body;
    const us_node *call; /* a copy: the graph's nodes move */
    us_arena *scratch;
} splice;

static const us_function *find_function(const us_model *m, const us_node *n)
{
    if (n->dead || n->op) return NULL;
    for (size_t i = 0; i < m->functions.n; i++) {
        const us_function *f = &m->functions.at[i];
        if (us_sv_eq(f->name, n->op_type) && us_sv_eq(f->domain, n->domain)) return f;
    }
    return NULL;
}

static us_err copy_node(splice *s, us_graph *to, const us_node *n, us_vid *map, us_nid before);

/* A value of `to` for value v of a body. */
static us_err new_value(splice *s, us_graph *to, const us_val *v, us_vid *out)
{
    if (v->data && v->data->kind == US_KIND_TENSOR)
        return us_graph_add_const(s->c, to, (us_sv){0}, US_ST_CONST, &v->data->t, out);
    if (v->data)
        return us_fail(s->c, US_UNSUPP, "a function holds a constant that is not a tensor");
    return us_graph_add_val(s->c, to, (us_sv){0}, US_ST_TEMP, NULL, out);
}

/* Copy of a sub-graph of the body under `parent`; map: the parent's values for those of the body's graph. */
static us_err copy_graph(splice *s, const us_graph *src, us_graph *parent, const us_vid *map,
                         us_graph **out)
{
    us_graph *g;
    US_TRY(us_graph_new(s->c, s->m, parent, src->name, &g));
    us_vid *mine = us_new_n(s->scratch, us_vid, src->vals.n);
    if (!mine) return us_arena_fail(s->c, s->scratch);
    for (us_vid v = 0; v < src->vals.n; v++) {
        const us_val *val = &src->vals.at[v];
        if (val->storage == US_ST_INPUT) continue; /* in the order of the inputs, below */
        if (val->storage == US_ST_OUTER) {
            US_TRY(us_graph_add_val(s->c, g, (us_sv){0}, US_ST_OUTER, NULL, &mine[v]));
            g->vals.at[mine[v]].outer = val->outer == US_NIL ? US_NIL : map[val->outer];
        } else {
            US_TRY(new_value(s, g, val, &mine[v]));
        }
    }
    for (size_t i = 0; i < src->inputs.n; i++)
        US_TRY(us_graph_add_input(s->c, g, (us_sv){0}, &src->vals.at[src->inputs.at[i]].type,
                                  &mine[src->inputs.at[i]]));
    for (size_t i = 0; i < src->order.n; i++)
        US_TRY(copy_node(s, g, &src->nodes.at[src->order.at[i]], mine, US_NIL));
    for (size_t i = 0; i < src->outputs.n; i++)
        US_TRY(us_graph_add_output(s->c, g, mine[src->outputs.at[i]]));
    *out = g;
    return US_OK;
}

/* The attribute that `a` stands for in this call; NULL: none. */
static const us_attr *resolve_attr(const splice *s, const us_attr *a)
{
    if (a->ref.n == 0 || !s->fn) return a;
    for (uint32_t i = 0; i < s->call->n_attrs; i++)
        if (us_sv_eq(s->call->attrs[i].name, a->ref)) return &s->call->attrs[i];
    for (size_t i = 0; i < s->fn->attr_defaults.n; i++)
        if (us_sv_eq(s->fn->attr_defaults.at[i].name, a->ref))
            return &s->fn->attr_defaults.at[i];
    return NULL;
}

static us_err copy_attr(splice *s, us_graph *to, us_nid n, const us_attr *a, const us_vid *map)
{
    const us_attr *from = resolve_attr(s, a);
    if (!from) return US_OK;
    us_attr copy = *from;
    copy.name = a->name;
    copy.ref = (us_sv){0};
    if (from == a && (a->kind == US_AT_GRAPH || a->kind == US_AT_GRAPHS)) {
        copy.graphs = us_new_n(s->m->arena, us_graph *, a->n);
        if (!copy.graphs) return us_arena_fail(s->c, s->m->arena);
        for (size_t i = 0; i < a->n; i++)
            US_TRY(copy_graph(s, a->graphs[i], to, map, &copy.graphs[i]));
    }
    return us_node_set_attr(s->c, to, n, &copy);
}

static us_err copy_node(splice *s, us_graph *to, const us_node *n, us_vid *map, us_nid before)
{
    us_vid *in = us_new_n(s->scratch, us_vid, n->n_in),
           *out = us_new_n(s->scratch, us_vid, n->n_out);
    if (!in || !out) return us_arena_fail(s->c, s->scratch);
    for (uint32_t k = 0; k < n->n_in; k++)
        in[k] = n->in[k] == US_NIL ? US_NIL : map[n->in[k]];
    for (uint32_t k = 0; k < n->n_out; k++)
        out[k] = n->out[k] == US_NIL ? US_NIL : map[n->out[k]];
    us_nid nid;
    US_TRY(us_graph_add_node(s->c, to, n->domain, n->op_type, n->version, n->name, n->n_in, in,
                             n->n_out, out, before, &nid));
    for (uint32_t k = 0; k < n->n_attrs; k++)
        US_TRY(copy_attr(s, to, nid, &n->attrs[k], map));
    return us_node_decode(s->c, s->m, &to->nodes.at[nid]);
}

static us_vid given(const us_node *call, size_t i)
{
    return i < call->n_in ? call->in[i] : US_NIL;
}

/* Result i of the body is result i of the call: the body's value takes the call's place where it is a node's own. */
static us_err map_results(splice *s, us_graph *g, us_vid *map, us_nid before)
{
    const us_graph *body = s->body;
    for (size_t i = 0; i < s->call->n_out; i++) {
        us_vid out = s->call->out[i], from = body->outputs.at[i];
        if (out == US_NIL) continue;
        if (body->vals.at[from].storage == US_ST_TEMP && map[from] == US_NIL) {
            map[from] = out;
            continue;
        }
        /* A parameter, a constant, or a result listed twice: passed on. Placed last, it reads what is there. */
        us_vid src = map[from];
        us_nid id;
        if (src == US_NIL) US_TRY(new_value(s, g, &body->vals.at[from], &src));
        map[from] = src;
        US_TRY(us_graph_add_node(s->c, g, US_SV(""), US_SV("Identity"), 0, s->call->name, 1,
                                 &src, 1, &out, before, &id));
        US_TRY(us_node_decode(s->c, s->m, &g->nodes.at[id]));
    }
    return US_OK;
}

static us_err splice_body(splice *s, us_graph *g, us_nid before)
{
    const us_graph *body = s->body;
    us_vid *map = us_new_n(s->scratch, us_vid, body->vals.n);
    if (!map) return us_arena_fail(s->c, s->scratch);
    for (size_t v = 0; v < body->vals.n; v++)
        map[v] = body->vals.at[v].storage == US_ST_OUTER ? body->vals.at[v].outer : US_NIL;
    for (size_t i = 0; i < body->inputs.n; i++)
        map[body->inputs.at[i]] = given(s->call, i);
    if (s->call->n_out > body->outputs.n || (s->fn && s->call->n_in > body->inputs.n))
        return us_fail(s->c, US_FORMAT,
                       "'" US_SV_FMT "' is called with more inputs or outputs than it has",
                       US_SV_ARG(s->fn ? s->fn->name : s->call->name));
    size_t first = g->order.n;
    US_TRY(map_results(s, g, map, before));
    us_nid passed = g->order.n > first ? (us_nid)(g->nodes.n - (g->order.n - first)) : before;
    for (size_t v = 0; v < body->vals.n; v++) {
        bool input = body->vals.at[v].storage == US_ST_INPUT;
        if (map[v] == US_NIL && !input) US_TRY(new_value(s, g, &body->vals.at[v], &map[v]));
    }
    for (size_t i = 0; i < body->order.n; i++)
        US_TRY(copy_node(s, g, &body->nodes.at[body->order.at[i]], map, passed));
    return US_OK;
}

/* The node at place i of the order becomes the nodes of body. */
static us_err inline_call(us_ctx *c, us_model *m, us_graph *g, size_t i, const us_function *fn,
                          const us_graph *body, us_arena *scratch)
{
    us_nid nid = g->order.at[i];
    us_node call = g->nodes.at[nid];
    splice s = {.c = c, .m = m, .fn = fn, .body = body, .call = &call, .scratch = scratch};
    us_graph_remove_node(g, nid);
    us_nid before = i < g->order.n ? g->order.at[i] : US_NIL;
    us_mark mark = us_arena_mark(scratch);
    us_err e = splice_body(&s, g, before);
    us_arena_reset(scratch, mark);
    if (e == US_OK || !fn) return e;
    return us_wrap(c, e, "function '" US_SV_FMT "'", US_SV_ARG(fn->name));
}

/* Every call that is there now; what comes in its place waits for the next round. */
static us_err one_round(us_ctx *c, us_model *m, us_graph *g, us_arena *scratch, bool *any)
{
    for (size_t i = 0; i < g->order.n;) {
        const us_function *fn = find_function(m, &g->nodes.at[g->order.at[i]]);
        size_t before = g->order.n;
        if (!fn) {
            i++;
            continue;
        }
        US_TRY(inline_call(c, m, g, i, fn, fn->body, scratch));
        i += g->order.n + 1 - before;
        *any = true;
    }
    return US_OK;
}

/* --- how much there will be, before any of it is made --------------------------------------------------- */

/* Nodes made for a call of a function, those of calls within among them; 0: not counted yet. */
typedef struct sizes {
    us_ctx *c;
    const us_model *m;
    size_t *of;
} sizes;

#define UNDER_WAY SIZE_MAX

static us_err size_of_function(sizes *s, const us_function *f, int depth, size_t *out);

static us_err add_sizes(sizes *s, const us_graph *g, int depth, size_t *sum)
{
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        const us_function *f = find_function(s->m, n);
        size_t inside = 0;
        if (f) US_TRY(size_of_function(s, f, depth + 1, &inside));
        *sum += inside + (depth > 0); /* depth 0: the node is there already */
        for (uint32_t k = 0; k < n->n_attrs; k++) {
            const us_attr *a = &n->attrs[k];
            if (a->kind != US_AT_GRAPH && a->kind != US_AT_GRAPHS) continue;
            for (size_t j = 0; j < a->n; j++)
                US_TRY(add_sizes(s, a->graphs[j], depth, sum));
        }
        if (*sum > MAX_MADE)
            return us_fail(s->c, US_LIMIT, "functions of the model make more than %zu nodes",
                           MAX_MADE);
    }
    return US_OK;
}

static us_err size_of_function(sizes *s, const us_function *f, int depth, size_t *out)
{
    size_t *size = &s->of[f - s->m->functions.at], sum = 0;
    if (*size == UNDER_WAY)
        return us_fail(s->c, US_FORMAT,
                       "function '" US_SV_FMT "' calls itself, which ONNX forbids",
                       US_SV_ARG(f->name));
    if (depth > MAX_DEPTH)
        return us_fail(s->c, US_LIMIT,
                       "functions of the model call each other more than %d deep", MAX_DEPTH);
    if (!*size) {
        *size = UNDER_WAY;
        US_TRY(add_sizes(s, f->body, depth, &sum));
        *size = sum;
    }
    *out = *size;
    return US_OK;
}

/* A few lines can ask for 2^60 nodes. */
static us_err check_sizes(us_ctx *c, const us_model *m, const us_graph *g, us_arena *scratch)
{
    sizes s = {.c = c, .m = m, .of = us_new_n(scratch, size_t, m->functions.n)};
    size_t sum = 0;
    return s.of ? add_sizes(&s, g, 0, &sum) : us_arena_fail(c, scratch);
}

us_err us_pass_inline(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    if (m->functions.n == 0) return US_OK;
    us_arena *scratch;
    US_TRY(us_arena_new(c, "inline", (size_t)1 << 28, &scratch));
    us_err e = check_sizes(c, m, g, scratch);
    for (bool any = true; e == US_OK && any;) {
        any = false;
        e = one_round(c, m, g, scratch, &any);
        *changed = *changed || any;
    }
    us_arena_free(scratch);
    return e;
}

/* --- If ------------------------------------------------------------------------------------------------------ */

static const us_graph *taken_branch(const us_graph *g, const us_node *n)
{
    if (!us_is_op(n, "", "If") || n->n_in != 1 || n->in[0] == US_NIL) return NULL;
    const us_tensor *t = us_const_tensor(g, n->in[0]);
    if (!t || t->dtype != US_BOOL || us_tensor_count(t) != 1) return NULL;
    const us_attr *a = us_node_attr(n, us_tensor_i64_at(t, 0) ? "then_branch" : "else_branch");
    return a && a->n == 1 && a->graphs ? a->graphs[0] : NULL;
}

us_err us_pass_if_const(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *scratch;
    US_TRY(us_arena_new(c, "if-const", (size_t)1 << 28, &scratch));
    us_err e = US_OK;
    for (size_t i = 0; e == US_OK && i < g->order.n;) {
        const us_graph *body = taken_branch(g, &g->nodes.at[g->order.at[i]]);
        if (!body) {
            i++; /* an If within the branch is looked at when its turn comes */
            continue;
        }
        e = inline_call(c, m, g, i, NULL, body, scratch);
        *changed = true;
    }
    us_arena_free(scratch);
    return e;
}
