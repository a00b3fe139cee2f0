/* ir/infer_dims.c - contents of small vectors of numbers as symbolic dimensions.
 *
 * Exported models compute shapes in the graph (Shape, Gather, Concat, Where, Reshape). Following those operators over vectors of
 * us_dim makes most shapes known before anything runs. A row per operator; an operator without a row makes contents that
 * are not known, which is always right, and so is US_DIM_ANY for an element. Followed are integers, truth values (0 and 1) and floats
 * that hold whole numbers, as in Floor(Cast(size) * 2). Results lie in us_val.known.
 */
#include "ir/infer_dims.h"

#include <math.h>

#include "base/ctx.h"

#define MAX_EXACT 9007199254740992.0 /* whole numbers below have their double */

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

static bool is_float(us_dtype t)
{
    return t == US_F32 || t == US_F64;
}

static bool is_followed(us_dtype t)
{
    return t == US_I64 || t == US_I32 || t == US_BOOL || is_float(t);
}

static us_dim element(const us_tensor *t, int64_t i)
{
    if (!is_float(t->dtype)) return US_DIM(us_tensor_i64_at(t, i));
    double x = us_tensor_f64_at(t, i);
    return fabs(x) < MAX_EXACT && x == floor(x) ? US_DIM((int64_t)x) : US_DIM_ANY;
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
    if (!t || !is_followed(t->dtype) || t->rank > 1) return US_OK;
    int64_t n = us_tensor_count(t);
    if (n > US_MAX_KNOWN) return US_OK;
    us_dim d[US_MAX_KNOWN];
    for (int64_t i = 0; i < n; i++)
        d[i] = element(t, i);
    *known = true;
    return set_known(c, g, v, (size_t)n, d);
}

/* --- one function per operator: fills d and n for an output; n stays SIZE_MAX when not known ------------------- */

typedef struct vec {
    us_dim *d;  /* US_MAX_KNOWN of them */
    size_t n;   /* SIZE_MAX: not known */
    size_t out; /* which output of the node */
} vec;

/* Elements of input i; not known ones where only their number is known. */
static bool elems(us_infer *k, size_t i, size_t *n, const us_dim **d)
{
#define FOUR                                                                                   \
    {UINT32_MAX, 1, 0}, {UINT32_MAX, 1, 0}, {UINT32_MAX, 1, 0},                                \
    {                                                                                          \
        UINT32_MAX, 1, 0                                                                       \
    }
    static const us_dim nothing[16] = {FOUR, FOUR, FOUR, FOUR}; /* US_DIM_ANY */
#undef FOUR
    const us_type *t = us_infer_in(k, i);
    if (us_infer_in_elems(k, i, n, d)) return true;
    if (!t || t->kind != US_KIND_TENSOR || t->rank < 0 || t->rank > 1) return false;
    if (t->rank == 1 && !us_dim_known(t->dims[0])) return false;
    int64_t len = t->rank ? t->dims[0].add : 1;
    if (len > (int64_t)US_LEN(nothing)) return false;
    *n = (size_t)len;
    *d = nothing;
    return true;
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

/* Identity, Cast, Squeeze, Unsqueeze, Reshape: the same elements (rank is in the type). Floats that are followed are whole. */
static us_err known_same(us_infer *k, vec *v)
{
    size_t n;
    const us_dim *d;
    if (!elems(k, 0, &n, &d)) return US_OK;
    for (v->n = 0; v->n < n; v->n++)
        v->d[v->n] = d[v->n];
    return US_OK;
}

/* To bool, what is not zero is 1. */
static us_err known_cast(us_infer *k, vec *v)
{
    US_TRY(known_same(k, v));
    int64_t to = attr_int(k, "to", 0);
    for (size_t i = 0; v->n != SIZE_MAX && i < v->n; i++) {
        us_dim *d = &v->d[i];
        int64_t least = 0;
        bool number = us_dim_known(*d);
        if (to == US_BOOL)
            *d = number                                               ? US_DIM(d->add != 0)
                 : us_dim_least(&k->m->syms, *d, &least) && least > 0 ? US_DIM(1)
                                                                      : US_DIM_ANY;
    }
    return US_OK;
}

static us_err known_concat(us_infer *k, vec *v)
{
    size_t total = 0;
    for (size_t i = 0; i < us_infer_n_in(k); i++) {
        size_t n;
        const us_dim *d;
        if (!elems(k, i, &n, &d) || n > US_MAX_KNOWN - total) return US_OK;
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
    if (!elems(k, 0, &n, &d) || !elems(k, 1, &n_idx, &idx)) return US_OK;
    for (size_t i = 0; i < n_idx; i++) {
        v->d[i] = US_DIM_ANY;
        if (!us_dim_known(idx[i])) continue;
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
    if (!us_infer_in_elems(k, i, &n, &d) || n != 1 || !us_dim_known(d[0])) return false;
    *out = d[0].add;
    return true;
}

static us_err known_slice(us_infer *k, vec *v)
{
    size_t n, m = 0;
    const us_dim *d;
    int64_t from, to, step = 1;
    if (!elems(k, 0, &n, &d) || !single(k, 1, &from) || !single(k, 2, &to)) return US_OK;
    if (us_infer_in(k, 4) && !single(k, 4, &step)) return US_OK;
    if (step == 0) return US_OK;
    int64_t len = (int64_t)n, lo = step > 0 ? 0 : -1, hi = step > 0 ? len : len - 1;
    step = clamp(step, -len - 1, len + 1);
    from = clamp(from < 0 ? clamp(from, -len - 1, 0) + len : from, step > 0 ? 0 : lo, hi);
    to = clamp(to < 0 ? clamp(to, -len - 1, 0) + len : to, lo, hi);
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step)
        v->d[m++] = d[i];
    v->n = m;
    return US_OK;
}

/* Along the only axis: parts as given, or as equal as they can be. */
static us_err known_split(us_infer *k, vec *v)
{
    size_t n, n_parts, n_out = k->g->nodes.at[k->n].n_out;
    const us_dim *d, *parts = NULL;
    int64_t from = 0, size = 0;
    if (!elems(k, 0, &n, &d)) return US_OK;
    bool given = us_infer_in(k, 1) != NULL;
    if (given && (!us_infer_in_elems(k, 1, &n_parts, &parts) || n_parts <= v->out))
        return US_OK;
    for (size_t i = 0; i <= v->out; i++) {
        if (given && !us_dim_known(parts[i])) return US_OK;
        from += size;
        size = given ? parts[i].add : ((int64_t)n + (int64_t)n_out - 1) / (int64_t)n_out;
        if (size < 0 || from > (int64_t)n) return US_OK;
    }
    size_t m = 0;
    for (int64_t i = from; i < from + size && i < (int64_t)n; i++)
        v->d[m++] = d[i];
    v->n = m;
    return US_OK;
}

/* --- elementwise ----------------------------------------------------------------------------------------------- */

typedef us_err dim_fn(us_infer *k, us_dim a, us_dim b, us_dim *out);

/* With broadcasting of single numbers; numbers that do not fit are not known. */
static us_err pairwise(us_infer *k, vec *v, dim_fn *fn)
{
    size_t na, nb;
    const us_dim *a, *b;
    if (!elems(k, 0, &na, &a) || !elems(k, 1, &nb, &b)) return US_OK;
    if (na != nb && na != 1 && nb != 1) return US_OK;
    size_t n = na == 1 ? nb : na;
    for (size_t i = 0; i < n; i++) {
        us_dim x = a[na == 1 ? 0 : i], y = b[nb == 1 ? 0 : i];
        v->d[i] = US_DIM_ANY;
        if (us_dim_is_any(x) || us_dim_is_any(y)) continue;
        us_err e = fn(k, x, y, &v->d[i]);
        if (e != US_OK && e != US_SHAPE) return e;
        if (e != US_OK) v->d[i] = US_DIM_ANY;
    }
    v->n = n;
    return US_OK;
}

static us_err dim_add(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    return us_dim_add(k->c, &k->m->syms, a, b, out);
}

static us_err dim_sub(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    return us_dim_sub(k->c, &k->m->syms, a, b, out);
}

static us_err dim_mul(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    return us_dim_mul(k->c, &k->m->syms, a, b, out);
}

static us_err dim_min(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    return us_dim_min(k->c, &k->m->syms, a, b, out);
}

static us_err dim_max(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    return us_dim_max(k->c, &k->m->syms, a, b, out);
}

static bool is_at_least(const us_infer *k, us_dim d, int64_t least)
{
    int64_t x;
    return us_dim_least(&k->m->syms, d, &x) && x >= least;
}

/* Integer division truncates in ONNX: only of what is not negative it is the floor. Floats must divide without rest. */
static us_err dim_div(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    bool whole = is_float(us_infer_in(k, 0)->dtype);
    if (!us_dim_known(b) || b.add <= 0) return US_OK;
    if (whole && (a.add % b.add || a.mul % b.add)) return US_OK;
    if (!whole && !is_at_least(k, a, 0)) return US_OK;
    return us_dim_div(k->c, &k->m->syms, a, b.add, out);
}

static us_err dim_mod(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    us_dim q;
    if (!us_dim_known(b) || b.add <= 0 || !is_at_least(k, a, 0)) return US_OK;
    US_TRY(us_dim_div(k->c, &k->m->syms, a, b.add, &q));
    US_TRY(us_dim_mul(k->c, &k->m->syms, q, b, &q));
    return us_dim_sub(k->c, &k->m->syms, a, q, out);
}

/* Which of the two is greater, if that is sure: +1, -1, 0 for equal; 2: it is not. */
static us_err order(us_infer *k, us_dim a, us_dim b, int *out)
{
    us_dim over, under;
    US_TRY(us_dim_sub(k->c, &k->m->syms, a, b, &over));
    US_TRY(us_dim_sub(k->c, &k->m->syms, b, a, &under));
    *out = us_dim_eq(a, b)            ? 0
           : is_at_least(k, over, 1)  ? 1
           : is_at_least(k, under, 1) ? -1
                                      : 2;
    return US_OK;
}

static us_err dim_equal(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    int o;
    US_TRY(order(k, a, b, &o));
    if (o != 2) *out = US_DIM(o == 0);
    return US_OK;
}

static us_err dim_greater(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    int o;
    US_TRY(order(k, a, b, &o));
    if (o != 2) *out = US_DIM(o > 0);
    return US_OK;
}

static us_err dim_less(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    return dim_greater(k, b, a, out);
}

static us_err dim_and(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    (void)k;
    if (us_dim_known(a) && us_dim_known(b)) *out = US_DIM(a.add && b.add);
    return US_OK;
}

static us_err dim_or(us_infer *k, us_dim a, us_dim b, us_dim *out)
{
    (void)k;
    if (us_dim_known(a) && us_dim_known(b)) *out = US_DIM(a.add || b.add);
    return US_OK;
}

#define PAIRWISE(op)                                                                           \
    static us_err known_##op(us_infer *k, vec *v)                                              \
    {                                                                                          \
        return pairwise(k, v, dim_##op);                                                       \
    }
PAIRWISE(add)
PAIRWISE(sub)
PAIRWISE(mul)
PAIRWISE(div)
PAIRWISE(mod)
PAIRWISE(equal)
PAIRWISE(greater)
PAIRWISE(less)
PAIRWISE(and)
PAIRWISE(or)

/* Any number of inputs; of more than two nothing is known. */
static us_err known_min(us_infer *k, vec *v)
{
    if (us_infer_n_in(k) == 1) return known_same(k, v);
    return us_infer_n_in(k) == 2 ? pairwise(k, v, dim_min) : US_OK;
}

static us_err known_max(us_infer *k, vec *v)
{
    if (us_infer_n_in(k) == 1) return known_same(k, v);
    return us_infer_n_in(k) == 2 ? pairwise(k, v, dim_max) : US_OK;
}

static us_err known_not(us_infer *k, vec *v)
{
    US_TRY(known_same(k, v));
    for (size_t i = 0; v->n != SIZE_MAX && i < v->n; i++)
        if (us_dim_known(v->d[i])) v->d[i] = US_DIM(!v->d[i].add);
    return US_OK;
}

static us_err known_neg(us_infer *k, vec *v)
{
    US_TRY(known_same(k, v));
    for (size_t i = 0; v->n != SIZE_MAX && i < v->n; i++)
        if (!us_dim_is_any(v->d[i]) &&
            us_dim_mul(k->c, &k->m->syms, v->d[i], US_DIM(-1), &v->d[i]) != US_OK)
            v->d[i] = US_DIM_ANY;
    return US_OK;
}

static us_err known_where(us_infer *k, vec *v)
{
    size_t nc, na, nb;
    const us_dim *c, *a, *b;
    if (!elems(k, 0, &nc, &c) || !elems(k, 1, &na, &a) || !elems(k, 2, &nb, &b)) return US_OK;
    size_t n = nc != 1 ? nc : na != 1 ? na : nb;
    if ((nc != 1 && nc != n) || (na != 1 && na != n) || (nb != 1 && nb != n)) return US_OK;
    for (size_t i = 0; i < n; i++) {
        us_dim q = c[nc == 1 ? 0 : i], x = a[na == 1 ? 0 : i], y = b[nb == 1 ? 0 : i];
        v->d[i] = us_dim_known(q) ? (q.add ? x : y) : us_dim_eq(x, y) ? x : US_DIM_ANY;
    }
    v->n = n;
    return US_OK;
}

/* --- made of one number ------------------------------------------------------------------------------------------- */

/* As many as the output has. */
static us_err known_fill(us_infer *k, vec *v, us_dim what)
{
    const us_type *t = &k->g->vals.at[k->g->nodes.at[k->n].out[0]].type;
    int64_t n = t->rank == 0 ? 1 : us_dim_known(t->dims[0]) ? t->dims[0].add : -1;
    if (n < 0 || n > US_MAX_KNOWN) return US_OK;
    for (v->n = 0; v->n < (size_t)n; v->n++)
        v->d[v->n] = what;
    return US_OK;
}

/* Written as a tensor, one number or a list. */
static us_err known_constant(us_infer *k, vec *v)
{
    const us_node *n = &k->g->nodes.at[k->n];
    const us_attr *one = us_node_attr(n, "value_int"), *all = us_node_attr(n, "value_ints");
    if (n->n_attrs != 1) return US_OK; /* which is meant? */
    if (one && one->kind == US_AT_INT) return known_fill(k, v, US_DIM(one->i));
    if (!all || all->kind != US_AT_INTS || all->n > US_MAX_KNOWN) return US_OK;
    for (v->n = 0; v->n < all->n; v->n++)
        v->d[v->n] = US_DIM(all->ints[v->n]);
    return US_OK;
}

static us_err known_constant_of_shape(us_infer *k, vec *v)
{
    const us_attr *a = us_node_attr(&k->g->nodes.at[k->n], "value");
    if (!a) return known_fill(k, v, US_DIM(0));
    bool one = a->kind == US_AT_TENSOR && a->tensors && a->n == 1 && a->tensors[0].data &&
               us_tensor_count(&a->tensors[0]) == 1 && is_followed(a->tensors[0].dtype);
    return one ? known_fill(k, v, element(&a->tensors[0], 0)) : US_OK;
}

static us_err known_expand(us_infer *k, vec *v)
{
    size_t n;
    const us_dim *d;
    if (!elems(k, 0, &n, &d)) return US_OK;
    return n == 1 ? known_fill(k, v, d[0]) : known_same(k, v);
}

static us_err known_range(us_infer *k, vec *v)
{
    int64_t from, to, step;
    if (!single(k, 0, &from) || !single(k, 1, &to) || !single(k, 2, &step) || step == 0)
        return US_OK;
    size_t n = 0;
    for (; step > 0 ? from < to : from > to; n++) {
        if (n == US_MAX_KNOWN) return US_OK;
        v->d[n] = US_DIM(from);
        if (step > 0 ? to - from <= step : to - from >= step) {
            n++;
            break;
        }
        from += step;
    }
    v->n = n;
    return US_OK;
}

/* All elements of a vector into one. */
static us_err reduce(us_infer *k, vec *v, us_dim start, dim_fn *fn)
{
    size_t n;
    const us_dim *d;
    const us_type *t = us_infer_in(k, 0);
    bool axes = us_infer_in(k, 1) != NULL;
    if (!elems(k, 0, &n, &d) || t->rank != 1 || n == 0 ||
        (axes && attr_int(k, "keepdims", 1) < 0))
        return US_OK;
    if (!axes && attr_int(k, "noop_with_empty_axes", 0)) return US_OK;
    us_dim all = start;
    for (size_t i = 0; i < n; i++) {
        if (us_dim_is_any(d[i])) return US_OK;
        us_err e = us_dim_is_any(all) ? US_OK : fn(k, all, d[i], &all);
        if (us_dim_is_any(start) && i == 0) all = d[0];
        if (e == US_SHAPE) return US_OK;
        US_TRY(e);
    }
    v->d[0] = all;
    v->n = 1;
    return US_OK;
}

static us_err known_sum(us_infer *k, vec *v)
{
    return reduce(k, v, US_DIM(0), dim_add);
}

static us_err known_product(us_infer *k, vec *v)
{
    return reduce(k, v, US_DIM(1), dim_mul);
}

static us_err known_least(us_infer *k, vec *v)
{
    return reduce(k, v, US_DIM_ANY, dim_min);
}

static us_err known_greatest(us_infer *k, vec *v)
{
    return reduce(k, v, US_DIM_ANY, dim_max);
}

static const struct {
    const char *op;
    us_err (*fn)(us_infer *k, vec *v);
} rows[] = {
    {"Add", known_add},
    {"And", known_and},
    {"Cast", known_cast},
    {"Ceil", known_same},
    {"Concat", known_concat},
    {"Constant", known_constant},
    {"ConstantOfShape", known_constant_of_shape},
    {"Div", known_div},
    {"Equal", known_equal},
    {"Expand", known_expand},
    {"Floor", known_same},
    {"Gather", known_gather},
    {"Greater", known_greater},
    {"Identity", known_same},
    {"Less", known_less},
    {"Max", known_max},
    {"Min", known_min},
    {"Mod", known_mod},
    {"Mul", known_mul},
    {"Neg", known_neg},
    {"Not", known_not},
    {"Or", known_or},
    {"Range", known_range},
    {"ReduceMax", known_greatest},
    {"ReduceMin", known_least},
    {"ReduceProd", known_product},
    {"ReduceSum", known_sum},
    {"Reshape", known_same},
    {"Round", known_same},
    {"Shape", known_shape},
    {"Size", known_size},
    {"Slice", known_slice},
    {"Split", known_split},
    {"Squeeze", known_same},
    {"Sub", known_sub},
    {"Unsqueeze", known_same},
    {"Where", known_where},
};

/* Only vectors and single numbers are followed. */
static bool shape_like(const us_type *t)
{
    return t->kind == US_KIND_TENSOR && is_followed(t->dtype) && (t->rank == 0 || t->rank == 1);
}

/* Numbers that the type cannot hold, or that its arithmetic may have rounded, are not known. */
static void limit(const vec *v, us_dtype t)
{
    int64_t most = t == US_I32   ? INT32_MAX
                   : t == US_F32 ? 1 << 24
                   : t == US_F64 ? 1LL << 53
                                 : INT64_MAX;
    for (size_t i = 0; v->n != SIZE_MAX && i < v->n; i++)
        if (us_dim_known(v->d[i]) && (v->d[i].add > most || v->d[i].add < -most))
            v->d[i] = US_DIM_ANY;
}

/* What is kept has the number of elements of the type, and something is known of them. */
static bool worth_keeping(const vec *v, const us_type *t)
{
    if (v->n == SIZE_MAX) return false;
    int64_t n = t->rank == 0 ? 1 : us_dim_known(t->dims[0]) ? t->dims[0].add : (int64_t)v->n;
    if (n != (int64_t)v->n) return false;
    for (size_t i = 0; i < v->n; i++)
        if (!us_dim_is_any(v->d[i])) return true;
    return v->n == 0;
}

us_err us_known_infer(us_infer *k)
{
    const us_node *n = &k->g->nodes.at[k->n];
    size_t row = 0;
    while (row < US_LEN(rows) && !us_sv_is(n->op_type, rows[row].op))
        row++;
    if (n->domain.n || row == US_LEN(rows)) return US_OK;
    for (uint32_t i = 0; i < n->n_out; i++) {
        us_dim d[US_MAX_KNOWN];
        vec v = {d, SIZE_MAX, i};
        if (n->out[i] == US_NIL) continue;
        const us_type *t = &k->g->vals.at[n->out[i]].type;
        if (!shape_like(t)) continue;
        us_err e = rows[row].fn(k, &v);
        if (e != US_OK && e != US_SHAPE) return e; /* numbers that do not fit are not known */
        limit(&v, t->dtype);
        if (e == US_OK && worth_keeping(&v, t))
            US_TRY(set_known(k->c, k->g, n->out[i], v.n, d));
    }
    return US_OK;
}
