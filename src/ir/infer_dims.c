/* ir/infer_dims.c - contents of small integer vectors as symbolic dimensions.
 *
 * Exported models compute shapes in the graph (Shape, Gather, Concat, Reshape). Following those few operators over
 * vectors of us_dim makes most shapes known before anything runs. A row per operator; an operator without a row
 * makes contents that are not known, which is always right. Results lie in us_val.known.
 */
#include "ir/infer_dims.h"

#include "base/ctx.h"

const us_tensor *us_known_tensor(const us_graph *g, us_vid v)
{
    while (v != US_NIL && g->vals.at[v].storage == US_ST_OUTER && g->parent) {
        v = g->vals.at[v].outer;
        g = g->parent;
    }
    if (v == US_NIL) return NULL;
    const us_val *val = &g->vals.at[v];
    if (val->storage == US_ST_CONST && val->data && val->data->kind == US_KIND_TENSOR) {
        const us_tensor *t = &val->data->t;
        return t->data || us_tensor_count(t) == 0 ? t : NULL;
    }
    if (val->def == US_NIL) return NULL;
    const us_node *n = &g->nodes.at[val->def];
    if (n->domain.n || !us_sv_is(n->op_type, "Constant")) return NULL;
    const us_attr *a = us_node_attr(n, "value");
    bool one = a && a->kind == US_AT_TENSOR && a->tensors && a->n == 1;
    return one && (a->tensors[0].data || us_tensor_count(&a->tensors[0]) == 0) ? &a->tensors[0]
                                                                               : NULL;
}

static us_err set_known(us_ctx *c, us_graph *g, us_vid v, size_t n, const us_dim *d)
{
    us_dim *copy = us_new_n(g->model->arena, us_dim, n);
    if (!copy) return us_arena_fail(c, g->model->arena);
    for (size_t i = 0; i < n; i++)
        copy[i] = d[i];
    g->vals.at[v].known = copy;
    g->vals.at[v].n_known = (uint32_t)n;
    return US_OK;
}

us_err us_known_of(us_ctx *c, us_graph *g, us_vid v, bool *known)
{
    *known = false;
    if (v == US_NIL) return US_OK;
    if (g->vals.at[v].known) {
        *known = true;
        return US_OK;
    }
    if (g->vals.at[v].storage == US_ST_OUTER && g->parent) {
        const us_val *o = &g->parent->vals.at[g->vals.at[v].outer];
        US_TRY(us_known_of(c, g->parent, g->vals.at[v].outer, known));
        if (*known) US_TRY(set_known(c, g, v, o->n_known, o->known));
        return US_OK;
    }
    const us_tensor *t = us_known_tensor(g, v);
    if (!t || (t->dtype != US_I64 && t->dtype != US_I32) || t->rank > 1) return US_OK;
    int64_t n = us_tensor_count(t);
    if (n > US_MAX_KNOWN) return US_OK;
    us_dim d[US_MAX_KNOWN];
    for (int64_t i = 0; i < n; i++)
        d[i] = US_DIM(us_tensor_i64_at(t, i));
    *known = true;
    return set_known(c, g, v, (size_t)n, d);
}

/* --- one function per operator: fills d and *n; *n stays SIZE_MAX when not known ------------------------- */

typedef struct vec {
    us_dim *d; /* US_MAX_KNOWN of them */
    size_t n;  /* SIZE_MAX: not known */
} vec;

static bool in_dims(us_infer *k, size_t i, size_t *n, const us_dim **d)
{
    return us_infer_in_dims(k, i, n, d);
}

/* An integer attribute or the default. */
static int64_t attr_int(const us_infer *k, const char *name, int64_t def)
{
    const us_attr *a = us_node_attr(&k->g->nodes.at[k->n], name);
    return a && a->kind == US_AT_INT ? a->i : def;
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static us_err known_shape(us_infer *k, vec *v)
{
    const us_type *t = us_infer_in(k, 0);
    if (!t || t->kind != US_KIND_TENSOR || t->rank < 0) return US_OK;
    int64_t from = attr_int(k, "start", 0), to = attr_int(k, "end", t->rank);
    from = clamp(from < 0 ? from + t->rank : from, 0, t->rank);
    to = clamp(to < 0 ? to + t->rank : to, 0, t->rank);
    v->n = 0;
    for (int64_t i = from; i < to; i++)
        v->d[v->n++] = t->dims[i];
    return US_OK;
}

static us_err known_size(us_infer *k, vec *v)
{
    const us_type *t = us_infer_in(k, 0);
    if (!t || t->kind != US_KIND_TENSOR || t->rank < 0) return US_OK;
    us_dim size = US_DIM(1);
    for (int i = 0; i < t->rank; i++)
        US_TRY(us_dim_mul(k->c, &k->m->syms, size, t->dims[i], &size));
    v->d[0] = size;
    v->n = 1;
    return US_OK;
}

/* Identity, Cast, Squeeze, Unsqueeze, Reshape: the same elements (rank is in the type). */
static us_err known_same(us_infer *k, vec *v)
{
    size_t n;
    const us_dim *d;
    if (!in_dims(k, 0, &n, &d)) return US_OK;
    for (v->n = 0; v->n < n; v->n++)
        v->d[v->n] = d[v->n];
    return US_OK;
}

static us_err known_concat(us_infer *k, vec *v)
{
    size_t total = 0;
    for (size_t i = 0; i < us_infer_n_in(k); i++) {
        size_t n;
        const us_dim *d;
        if (!in_dims(k, i, &n, &d) || n > US_MAX_KNOWN - total) return US_OK;
        for (size_t j = 0; j < n; j++)
            v->d[total++] = d[j];
    }
    v->n = total;
    return US_OK;
}

static us_err known_gather(us_infer *k, vec *v)
{
    size_t n, n_idx;
    const us_dim *d, *idx;
    if (!in_dims(k, 0, &n, &d) || !in_dims(k, 1, &n_idx, &idx)) return US_OK;
    for (size_t i = 0; i < n_idx; i++) {
        if (!us_dim_known(idx[i])) return US_OK;
        int64_t at = idx[i].add < 0 ? idx[i].add + (int64_t)n : idx[i].add;
        if (at < 0 || at >= (int64_t)n) return US_OK;
        v->d[i] = d[at];
    }
    v->n = n_idx;
    return US_OK;
}

/* One number given as input i; false when it is not a single known constant. */
static bool single(us_infer *k, size_t i, int64_t *out)
{
    size_t n;
    const us_dim *d;
    if (!in_dims(k, i, &n, &d) || n != 1 || !us_dim_known(d[0])) return false;
    *out = d[0].add;
    return true;
}

static us_err known_slice(us_infer *k, vec *v)
{
    size_t n;
    const us_dim *d;
    int64_t from, to, step = 1;
    if (!in_dims(k, 0, &n, &d) || !single(k, 1, &from) || !single(k, 2, &to)) return US_OK;
    if (us_infer_in(k, 4) && !single(k, 4, &step)) return US_OK;
    if (step <= 0) return US_OK;
    int64_t len = (int64_t)n;
    from = clamp(from < 0 ? clamp(from, -len, 0) + len : from, 0, len);
    to = clamp(to < 0 ? clamp(to, -len, 0) + len : to, 0, len);
    size_t m = 0;
    for (int64_t i = from; i < to; i += US_MIN(step, len))
        v->d[m++] = d[i];
    v->n = m;
    return US_OK;
}

typedef us_err dim_fn(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out);

/* Elementwise with broadcasting of single numbers. */
static us_err pairwise(us_infer *k, vec *v, dim_fn *fn)
{
    size_t na, nb;
    const us_dim *a, *b;
    if (!in_dims(k, 0, &na, &a) || !in_dims(k, 1, &nb, &b)) return US_OK;
    if (na != nb && na != 1 && nb != 1) return US_OK;
    size_t n = na == 1 ? nb : na;
    for (size_t i = 0; i < n; i++)
        if (fn(k->c, &k->m->syms, a[na == 1 ? 0 : i], b[nb == 1 ? 0 : i], &v->d[i]) != US_OK)
            return k->c->diag.code == US_SHAPE ? US_OK
                                               : k->c->diag.code; /* overflow: not known */
    v->n = n;
    return US_OK;
}

static us_err dim_sub(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    us_dim minus;
    US_TRY(us_dim_mul(c, s, b, US_DIM(-1), &minus));
    return us_dim_add(c, s, a, minus, out);
}

/* Integer division truncates in ONNX; dimensions are not negative where it matters, but a sum may be. */
static us_err dim_div(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    if (!us_dim_known(b) || b.add <= 0 || (us_dim_known(a) && a.add < 0))
        return us_fail(c, US_SHAPE, "a quotient of dimensions is not known");
    return us_dim_div(c, s, a, b.add, out);
}

static us_err known_add(us_infer *k, vec *v)
{
    return pairwise(k, v, us_dim_add);
}

static us_err known_sub(us_infer *k, vec *v)
{
    return pairwise(k, v, dim_sub);
}

static us_err known_mul(us_infer *k, vec *v)
{
    return pairwise(k, v, us_dim_mul);
}

static us_err known_div(us_infer *k, vec *v)
{
    return pairwise(k, v, dim_div);
}

static const struct {
    const char *op;
    us_err (*fn)(us_infer *k, vec *v);
} rows[] = {
    {"Add", known_add},   {"Cast", known_same},      {"Concat", known_concat},
    {"Div", known_div},   {"Gather", known_gather},  {"Identity", known_same},
    {"Mul", known_mul},   {"Reshape", known_same},   {"Shape", known_shape},
    {"Size", known_size}, {"Slice", known_slice},    {"Squeeze", known_same},
    {"Sub", known_sub},   {"Unsqueeze", known_same},
};

/* Only integers of rank at most 1 are shapes. */
static bool shape_like(const us_type *t)
{
    return t->kind == US_KIND_TENSOR && (t->dtype == US_I64 || t->dtype == US_I32) &&
           (t->rank == 0 || t->rank == 1);
}

us_err us_known_infer(us_infer *k)
{
    const us_node *n = &k->g->nodes.at[k->n];
    if (n->domain.n || !n->n_out || n->out[0] == US_NIL) return US_OK;
    us_vid out = n->out[0];
    if (!shape_like(&k->g->vals.at[out].type)) return US_OK;
    for (size_t i = 0; i < US_LEN(rows); i++) {
        if (!us_sv_is(n->op_type, rows[i].op)) continue;
        us_dim d[US_MAX_KNOWN];
        vec v = {d, SIZE_MAX};
        US_TRY(rows[i].fn(k, &v));
        if (v.n != SIZE_MAX) return set_known(k->c, k->g, out, v.n, d);
        return US_OK;
    }
    return US_OK;
}
