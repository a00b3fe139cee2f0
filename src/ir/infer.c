/* ir/infer.c - types and shapes of a whole graph, and what operators' infer functions use.
 *
 * One walk in execution order: each node's function says the shapes of its outputs; element types follow from the
 * schema's type variables; the result is merged with what is known already (a declared type, an earlier walk).
 * A second walk over a changed graph is safe: merging only adds. Messages name the node.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/infer_dims.h"

/* --- merging ---------------------------------------------------------------------------------------------- */

static bool made_up(const us_syms *s, us_dim d)
{
    return d.sym && us_sym_made_up(s, d.sym);
}

/* Where both are known constants they must agree; a constant says more than a symbol, a named symbol more
 * than a made-up one, and else the second (what inference derived) wins over the first (what a file claims). */
static bool merge_dim(const us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    if (us_dim_known(a) && us_dim_known(b)) {
        *out = b;
        return a.add == b.add;
    }
    bool take_a = us_dim_known(a) || (!us_dim_known(b) && made_up(s, b) && !made_up(s, a));
    *out = take_a ? a : b;
    return true;
}

static us_err clash(us_ctx *c, us_model *m, const us_type *a, const us_type *b, us_sv what)
{
    us_buf t;
    us_buf_init(&t, c, 4096);
    us_type_print(&m->syms, a, &t);
    us_buf_adds(&t, ", but here it is ");
    us_type_print(&m->syms, b, &t);
    us_err e = us_buf_check(&t);
    if (e == US_OK)
        e = us_fail(c, US_SHAPE, "value '" US_SV_FMT "' was known as " US_SV_FMT,
                    US_SV_ARG(what), US_SV_ARG(us_buf_sv(&t)));
    us_buf_deinit(&t);
    return e;
}

static us_err merge_dims(us_ctx *c, us_model *m, const us_type *a, const us_type *b, us_sv what,
                         us_type *r)
{
    if (a->rank < 0 || b->rank < 0) {
        const us_type *t = a->rank < 0 ? b : a;
        r->rank = t->rank;
        r->dims = t->dims;
        return US_OK;
    }
    if (a->rank != b->rank) return clash(c, m, a, b, what);
    r->rank = a->rank;
    r->dims = us_new_n(m->arena, us_dim, (size_t)a->rank);
    if (!r->dims) return us_arena_fail(c, m->arena);
    for (int i = 0; i < a->rank; i++)
        if (!merge_dim(&m->syms, a->dims[i], b->dims[i], &r->dims[i]))
            return clash(c, m, a, b, what);
    return US_OK;
}

us_err us_type_merge(us_ctx *c, us_model *m, const us_type *a, const us_type *b, us_sv what,
                     us_type *out)
{
    if (a->kind == US_KIND_NONE || b->kind == US_KIND_NONE)
        return us_type_dup(c, m->arena, a->kind == US_KIND_NONE ? b : a, out);
    if (us_type_eq(a, b)) {
        *out = *a;
        return US_OK;
    }
    us_type r = *b;
    if (a->kind != b->kind) return clash(c, m, a, b, what);
    if (a->dtype && b->dtype && a->dtype != b->dtype) return clash(c, m, a, b, what);
    r.dtype = b->dtype ? b->dtype : a->dtype;
    if (a->kind == US_KIND_TENSOR || a->kind == US_KIND_SPARSE)
        US_TRY(merge_dims(c, m, a, b, what, &r));
    if (a->elem && b->elem) {
        us_type *elem = us_new(m->arena, us_type);
        if (!elem) return us_arena_fail(c, m->arena);
        US_TRY(us_type_merge(c, m, a->elem, b->elem, what, elem));
        r.elem = elem;
    } else if (a->elem) {
        r.elem = a->elem;
    }
    *out = r;
    return US_OK;
}

/* --- what infer functions use --------------------------------------------------------------------------------- */

static const us_node *node_of(const us_infer *k)
{
    return &k->g->nodes.at[k->n];
}

size_t us_infer_n_in(const us_infer *k)
{
    return node_of(k)->n_in;
}

const us_type *us_infer_in(const us_infer *k, size_t i)
{
    const us_node *n = node_of(k);
    if (i >= n->n_in || n->in[i] == US_NIL) return NULL;
    return &k->g->vals.at[n->in[i]].type;
}

const us_tensor *us_infer_const(const us_infer *k, size_t i)
{
    const us_node *n = node_of(k);
    return i < n->n_in && n->in[i] != US_NIL ? us_known_tensor(k->g, n->in[i]) : NULL;
}

bool us_infer_in_elems(const us_infer *k, size_t i, size_t *n, const us_dim **dims)
{
    const us_node *node = node_of(k);
    bool known = false;
    if (i >= node->n_in || node->in[i] == US_NIL) return false;
    if (us_known_of(k->c, k->g, node->in[i], &known) != US_OK || !known) return false;
    const us_val *v = &k->g->vals.at[node->in[i]];
    *n = v->n_known;
    *dims = v->known;
    return true;
}

bool us_infer_in_dims(const us_infer *k, size_t i, size_t *n, const us_dim **dims)
{
    const us_dim *d;
    size_t m;
    if (!us_infer_in_elems(k, i, &m, &d)) return false;
    for (size_t j = 0; j < m; j++)
        if (us_dim_is_any(d[j])) return false;
    *n = m;
    *dims = d;
    return true;
}

/* The formal parameter of actual input or output i: a variadic last one takes all the rest. */
static const us_param *param_at(const us_param *p, size_t i)
{
    for (; p && p->name; p++, i--)
        if (i == 0 || (p->flags & US_P_VARIADIC)) return p;
    return NULL;
}

/* The element type a value's type gives for a parameter, through sequences and optionals. */
static us_dtype dtype_of(const us_type *t)
{
    while (t && (t->kind == US_KIND_SEQUENCE || t->kind == US_KIND_OPTIONAL))
        t = t->elem;
    return t && t->kind != US_KIND_NONE ? t->dtype : US_DT_NONE;
}

/* The only type of a mask, or NONE. */
static us_dtype single_type(us_dtype_mask m)
{
    if (!m || (m & (m - 1))) return US_DT_NONE;
    us_dtype t = US_DT_NONE;
    while (m >>= 1)
        t = (us_dtype)((int)t + 1);
    return t;
}

static us_dtype dtype_by_schema(const us_infer *k, size_t i_out)
{
    const us_node *n = node_of(k);
    if (!n->schema) return US_DT_NONE;
    const us_param *out = param_at(n->schema->out, i_out);
    if (!out) return US_DT_NONE;
    if (out->var && !(out->flags & US_P_HETERO))
        for (size_t i = 0; i < n->n_in; i++) {
            const us_param *in = param_at(n->schema->in, i);
            if (!in || in->var != out->var || (in->flags & US_P_HETERO)) continue;
            us_dtype t = dtype_of(us_infer_in(k, i));
            if (t != US_DT_NONE) return t;
        }
    return single_type(out->types);
}

us_err us_infer_out_type(us_infer *k, size_t i, const us_type *t)
{
    const us_node *n = node_of(k);
    if (i >= n->n_out || n->out[i] == US_NIL) return US_OK;
    us_val *v = &k->g->vals.at[n->out[i]];
    us_type r;
    US_TRY(us_type_merge(k->c, k->m, &v->type, t, v->name, &r));
    v->type = r;
    return US_OK;
}

us_err us_infer_out(us_infer *k, size_t i, us_dtype dtype, int rank, const us_dim *dims)
{
    us_type t = {
        .kind = US_KIND_TENSOR, .dtype = dtype ? dtype : dtype_by_schema(k, i), .rank = rank};
    if (rank > US_MAX_RANK)
        return us_fail(k->c, US_SHAPE,
                       "output %zu would have %d dimensions, at most %d are possible", i, rank,
                       US_MAX_RANK);
    if (rank > 0) {
        t.dims = us_new_n(k->arena, us_dim, (size_t)rank);
        if (!t.dims) return us_arena_fail(k->c, k->arena);
        memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
        for (int d = 0; d < rank; d++)
            if (us_dim_known(dims[d]) && (dims[d].add < 0 || dims[d].add > US_MAX_ELEMENTS))
                return us_fail(k->c, US_SHAPE, "output %zu: dimension %d would be %lld", i, d,
                               (long long)dims[d].add);
    }
    return us_infer_out_type(k, i, &t);
}

us_err us_infer_same(us_infer *k)
{
    const us_type *t = us_infer_in(k, 0);
    if (!t || t->kind == US_KIND_NONE) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (t->kind != US_KIND_TENSOR) return us_infer_out_type(k, 0, t);
    return us_infer_out(k, 0, US_DT_NONE, t->rank, t->dims);
}

/* max(a, b) where one of them must be 1 or both equal. */
us_err us_infer_broadcast_dim(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    if (us_dim_eq(a, b) || (us_dim_known(b) && b.add == 1)) {
        *out = a;
        return US_OK;
    }
    if (us_dim_known(a) && a.add == 1) {
        *out = b;
        return US_OK;
    }
    if (us_dim_known(a) && us_dim_known(b))
        return us_fail(k->c, US_SHAPE, "dimensions %lld and %lld do not broadcast",
                       (long long)a.add, (long long)b.add);
    if (us_dim_known(a) || us_dim_known(b)) { /* the other one is equal or 1 */
        *out = us_dim_known(a) ? a : b;
        return US_OK;
    }
    us_sym s;
    US_TRY(us_syms_fresh(k->c, &k->m->syms, &s));
    *out = US_DIM_SYM(s);
    return US_OK;
}

/* Merges one more shape into acc (aligned at the end). */
static us_err broadcast_into(us_infer *k, const us_type *t, int *rank, us_dim *acc)
{
    us_dim r[US_MAX_RANK];
    int n = US_MAX(*rank, t->rank);
    for (int i = 0; i < n; i++) {
        int ia = i - (n - *rank), ib = i - (n - t->rank);
        if (ia < 0)
            r[i] = t->dims[ib];
        else if (ib < 0)
            r[i] = acc[ia];
        else
            US_TRY(us_infer_broadcast_dim(k, acc[ia], t->dims[ib], &r[i]));
    }
    memcpy(acc, r, (size_t)n * sizeof *r);
    *rank = n;
    return US_OK;
}

us_err us_infer_broadcast(us_infer *k)
{
    us_dim acc[US_MAX_RANK];
    int rank = 0;
    for (size_t i = 0; i < us_infer_n_in(k); i++) {
        const us_type *t = us_infer_in(k, i);
        if (!t) continue;
        if (t->kind != US_KIND_TENSOR || t->rank < 0)
            return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
        US_TRY(broadcast_into(k, t, &rank, acc));
    }
    return us_infer_out(k, 0, US_DT_NONE, rank, acc);
}

/* --- the walk ------------------------------------------------------------------------------------------------ */

/* In the current form, or in an older one that differs from it by nothing but its number. */
static bool current_form(const us_node *n)
{
    const us_schema *s = n->schema;
    if (!s) return false;
    while (s[1].since && !s->upgrade)
        s++;
    return s[1].since == 0;
}

/* One walk, and what becomes of failures: NULL, the first one ends it. */
typedef struct walk {
    us_ctx *c;
    us_infer_fail_fn *failed;
    void *arg;
    int loops; /* around what is being inferred */
} walk;
#define MAX_FIXED_POINTS                                                                       \
    2 /* loops in loops for whose bodies one is looked for: rounds multiply */

static us_err infer_graph(walk *w, us_graph *g);

/* What contradicts itself in a branch is reported when the branch runs, for it may never run at these shapes. */
static us_err infer_sub_graph(walk *w, us_graph *sub)
{
    us_err e = infer_graph(w, sub);
    if (!w->failed && (e == US_SHAPE || e == US_ARG || e == US_FORMAT)) {
        us_trace(w->c, IR, 1, "sub-graph not inferred: %s", w->c->diag.text);
        return US_OK;
    }
    return e;
}

static us_err infer_sub_graphs(walk *w, const us_node *n)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++)
            US_TRY(infer_sub_graph(w, n->attrs[i].graphs[j]));
    return US_OK;
}

static us_err infer_body(void *arg, us_graph *body, bool tentative)
{
    walk *w = arg, quiet = {.c = w->c, .loops = w->loops};
    return tentative ? infer_graph(&quiet, body) : infer_sub_graph(w, body);
}

/* Sub-graphs first: the node's own function reads their outputs' types. */
static us_err infer_node(walk *w, us_graph *g, us_nid id)
{
    us_ctx *c = w->c;
    us_node *n = &g->nodes.at[id];
    if (!n->op || !n->op->infer || !current_form(n)) return infer_sub_graphs(w, n);
    if (!n->params) US_TRY(us_node_decode(c, g->model, n));
    us_infer k = {c, g->model, g, id, g->model->arena, n->params};
    if (us_body_has(n)) {
        w->loops++;
        us_err e = us_body_infer(&k, w->loops > MAX_FIXED_POINTS, infer_body, w);
        w->loops--;
        US_TRY(e);
    } else {
        US_TRY(infer_sub_graphs(w, n));
    }
    US_TRY(n->op->infer(&k));
    return us_known_infer(&k);
}

/* Captured values have the type of the value they stand for. */
static us_err infer_captures(us_ctx *c, us_graph *g)
{
    for (size_t i = 0; g->parent && i < g->vals.n; i++) {
        us_val *v = &g->vals.at[i];
        if (v->storage != US_ST_OUTER) continue;
        US_TRY(us_type_dup(c, g->model->arena, &g->parent->vals.at[v->outer].type, &v->type));
        v->known = NULL;
    }
    return US_OK;
}

static us_err infer_graph(walk *w, us_graph *g)
{
    US_TRY(infer_captures(w->c, g));
    for (size_t i = 0; i < g->order.n; i++) {
        us_nid id = g->order.at[i];
        us_err e = infer_node(w, g, id);
        if (e == US_OK) continue;
        const us_node *n = &g->nodes.at[id];
        if (!w->failed)
            return us_wrap(w->c, e, US_SV_FMT " '" US_SV_FMT "'", US_SV_ARG(n->op_type),
                           US_SV_ARG(n->name));
        US_TRY(w->failed(w->arg, g, id, e));
    }
    return US_OK;
}

us_err us_graph_infer(us_ctx *c, us_graph *g)
{
    walk w = {.c = c};
    return infer_graph(&w, g);
}

us_err us_graph_infer_all(us_ctx *c, us_graph *g, us_infer_fail_fn *failed, void *arg)
{
    walk w = {.c = c, .failed = failed, .arg = arg};
    return infer_graph(&w, g);
}
