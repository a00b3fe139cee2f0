/* ir/op_order.c - operators that compare or run along one axis: ArgMax, ArgMin, TopK, CumSum, CumProd. */
#include "ir/op_util.h"

#include <math.h>
#include <string.h>

static us_upgrade_fn upgrade_k;

/* clang-format off */
static const us_param arg_max_in[] = {{"data", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_param arg_max_out[] = {{"reduced", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_attr_row arg_max_attrs[] = {
    US_AI(us_p_arg_max, axis, "axis", 0), US_AI(us_p_arg_max, keepdims, "keepdims", 1), US_ATTR_END};
static const us_attr_row arg_max_attrs_12[] = {
    US_AI(us_p_arg_max, axis, "axis", 0), US_AI(us_p_arg_max, keepdims, "keepdims", 1),
    US_AI(us_p_arg_max, select_last_index, "select_last_index", 0), US_ATTR_END};
const us_schema arg_max_schemas[] = {
    {1, arg_max_in, arg_max_out, arg_max_attrs, sizeof(us_p_arg_max), NULL},
    {11, arg_max_in, arg_max_out, arg_max_attrs, sizeof(us_p_arg_max), NULL},
    {12, arg_max_in, arg_max_out, arg_max_attrs_12, sizeof(us_p_arg_max), NULL},
    {13, arg_max_in, arg_max_out, arg_max_attrs_12, sizeof(us_p_arg_max), NULL},
    {0}};

const us_schema arg_min_schemas[] = {
    {1, arg_max_in, arg_max_out, arg_max_attrs, sizeof(us_p_arg_max), NULL},
    {11, arg_max_in, arg_max_out, arg_max_attrs, sizeof(us_p_arg_max), NULL},
    {12, arg_max_in, arg_max_out, arg_max_attrs_12, sizeof(us_p_arg_max), NULL},
    {13, arg_max_in, arg_max_out, arg_max_attrs_12, sizeof(us_p_arg_max), NULL},
    {0}};

static const us_param topk_in[] = {{"X", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_param topk_out[] = {{"Values", 'T', US_M_NUM, 0}, {"Indices", 'I', US_M(I64), 0}, US_PARAM_END};
static const us_attr_row topk_attrs[] = {
    US_AI(us_p_topk, axis, "axis", -1),
    {.name = "k", .kind = US_AT_INT, .offset = offsetof(us_p_topk, k), .required = true}, US_ATTR_END};
static const us_param topk_in_10[] = {{"X", 'T', US_M_NUM, 0}, {"K", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_attr_row topk_attrs_10[] = {US_AI(us_p_topk, axis, "axis", -1), US_ATTR_END};
static const us_attr_row topk_attrs_11[] = {
    US_AI(us_p_topk, axis, "axis", -1), US_AI(us_p_topk, largest, "largest", 1),
    US_AI(us_p_topk, sorted, "sorted", 1), US_ATTR_END};
const us_schema topk_schemas[] = {
    {1, topk_in, topk_out, topk_attrs, sizeof(us_p_topk), upgrade_k},
    {10, topk_in_10, topk_out, topk_attrs_10, sizeof(us_p_topk), NULL},
    {11, topk_in_10, topk_out, topk_attrs_11, sizeof(us_p_topk), NULL},
    {24, topk_in_10, topk_out, topk_attrs_11, sizeof(us_p_topk), NULL},
    {0}};

static const us_param cum_sum_in[] = {
    {"x", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"axis", '2', US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_param cum_sum_out[] = {
    {"y", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
static const us_attr_row cum_sum_attrs[] = {
    US_AI(us_p_cum_sum, exclusive, "exclusive", 0), US_AI(us_p_cum_sum, reverse, "reverse", 0), US_ATTR_END};
const us_schema cum_sum_schemas[] = {
    {11, cum_sum_in, cum_sum_out, cum_sum_attrs, sizeof(us_p_cum_sum), NULL},
    {14, cum_sum_in, cum_sum_out, cum_sum_attrs, sizeof(us_p_cum_sum), NULL},
    {0}};
const us_schema cum_prod_schemas[] = {
    {26, cum_sum_in, cum_sum_out, cum_sum_attrs, sizeof(us_p_cum_sum), NULL},
    {0}};
/* clang-format on */

/* Rows along an axis: outer x n x inner. */
typedef struct lines {
    int axis;
    int64_t outer, n, inner;
} lines;
static us_err lines_of(us_eval *k, const us_tensor *x, int64_t axis, lines *l)
{
    US_TRY(us_eval_axis(k, axis, x->rank, &l->axis));
    *l = (lines){l->axis, us_dims_product(x->dims, 0, l->axis), x->dims[l->axis],
                 us_dims_product(x->dims, l->axis + 1, x->rank)};
    return US_OK;
}

/* a before b: numbers as such, NaN largest of all (as NumPy and ONNX Runtime order it). */
#define BEFORE(name, T)                                                                        \
    static bool name(const void *p, int64_t a, int64_t b, bool largest)                        \
    {                                                                                          \
        const T *v = p;                                                                        \
        if (v[a] != v[a] || v[b] != v[b])                                                      \
            return largest ? v[b] == v[b] && v[a] != v[a] : v[a] == v[a] && v[b] != v[b];      \
        return largest ? v[a] > v[b] : v[a] < v[b];                                            \
    }
#define BEFORE_INT(name, T)                                                                    \
    static bool name(const void *p, int64_t a, int64_t b, bool largest)                        \
    {                                                                                          \
        const T *v = p;                                                                        \
        return largest ? v[a] > v[b] : v[a] < v[b];                                            \
    }
BEFORE(before_f32, float)
BEFORE(before_f64, double)
BEFORE_INT(before_i8, int8_t)
BEFORE_INT(before_i16, int16_t)
BEFORE_INT(before_i32, int32_t)
BEFORE_INT(before_i64, int64_t)
BEFORE_INT(before_u8, uint8_t)
BEFORE_INT(before_u16, uint16_t)
BEFORE_INT(before_u32, uint32_t)
BEFORE_INT(before_u64, uint64_t)
typedef bool before_fn(const void *, int64_t, int64_t, bool);
static before_fn *const before[US_DTYPE_N] = {
    [US_F32] = before_f32, [US_F64] = before_f64, [US_I8] = before_i8, [US_I16] = before_i16,
    [US_I32] = before_i32, [US_I64] = before_i64, [US_U8] = before_u8, [US_U16] = before_u16,
    [US_U32] = before_u32, [US_U64] = before_u64};

/* --- ArgMax, ArgMin ------------------------------------------------------------------------------ */

static us_err arg_infer(us_infer *k)
{
    const us_p_arg_max *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    int axis, r = 0;
    us_dim d[US_MAX_RANK];
    if (!x) return us_infer_out(k, 0, US_I64, -1, NULL);
    US_TRY(us_infer_axis(k, p->axis, x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        if (i != axis)
            d[r++] = x->dims[i];
        else if (p->keepdims)
            d[r++] = US_DIM(1);
    }
    return us_infer_out(k, 0, US_I64, r, d);
}

static us_err arg(us_eval *k, bool largest, us_eval_fn *self)
{
    const us_p_arg_max *p = k->params;
    us_tensor x, *y;
    lines l;
    int r = 0;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, self);
    before_fn *first = before[x.dtype];
    if (!first) return us_eval_no_type(k, x.dtype);
    US_TRY(lines_of(k, &x, p->axis, &l));
    if (l.n == 0) return us_eval_fail(k, US_SHAPE, "axis %d is empty", l.axis);
    for (int i = 0; i < x.rank; i++)
        if (i != l.axis || p->keepdims) dims[r++] = i == l.axis ? 1 : x.dims[i];
    US_TRY(us_eval_out(k, 0, US_I64, r, dims, &y));
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t j = 0; j < l.inner; j++) {
            int64_t base = o * l.n * l.inner + j, best = 0;
            for (int64_t i = 1; i < l.n; i++) {
                int64_t a = base + i * l.inner, b = base + best * l.inner;
                if (first(x.data, a, b, largest) ||
                    (p->select_last_index && !first(x.data, b, a, largest)))
                    best = i;
            }
            ((int64_t *)y->data)[o * l.inner + j] = best;
        }
    return US_OK;
}

US_INFER_AS(arg_max, arg_infer)
us_err arg_max_eval(us_eval *k)
{
    return arg(k, true, arg_max_eval);
}
US_INFER_AS(arg_min, arg_infer)
us_err arg_min_eval(us_eval *k)
{
    return arg(k, false, arg_min_eval);
}

/* --- TopK ---------------------------------------------------------------------------------------- */

static us_err upgrade_k(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_attr *a = us_node_attr(&g->nodes.at[n], "k");
    us_builder b = us_b_begin(c, g, "k");
    us_vid v = us_b_i64s(&b, 1, (int64_t[]){a ? a->i : 1});
    US_TRY(us_b_end(&b));
    us_node_del_attr(&g->nodes.at[n], "k");
    return us_node_set_input(c, m, g, n, 1, v);
}

us_err topk_infer(us_infer *k)
{
    const us_p_topk *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    const us_dim *count;
    size_t n;
    int axis;
    us_dim d[US_MAX_RANK];
    if (!x) {
        US_TRY(us_infer_out(k, 0, US_DT_NONE, -1, NULL));
        return us_infer_out(k, 1, US_I64, -1, NULL);
    }
    US_TRY(us_infer_axis(k, p->axis, x->rank, &axis));
    us_copy_dims(d, x);
    if (us_infer_in_dims(k, 1, &n, &count) && n == 1)
        d[axis] = count[0];
    else
        US_TRY(us_infer_fresh(k, &d[axis]));
    US_TRY(us_infer_out(k, 0, US_DT_NONE, x->rank, d));
    return us_infer_out(k, 1, US_I64, x->rank, d);
}

typedef struct top_line {
    before_fn *first;
    const void *x;
    int64_t base, step;
    bool largest;
} top_line;

/* Ties: the lower index first. */
static bool ranks_before(const top_line *t, int64_t a, int64_t b)
{
    if (t->first(t->x, t->base + a * t->step, t->base + b * t->step, t->largest)) return true;
    return a < b && !t->first(t->x, t->base + b * t->step, t->base + a * t->step, t->largest);
}

/* heap[0] is the worst of those kept. */
static void sift(const top_line *t, int64_t *heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t worst = i, l = 2 * i + 1, r = l + 1;
        if (l < n && ranks_before(t, heap[worst], heap[l])) worst = l;
        if (r < n && ranks_before(t, heap[worst], heap[r])) worst = r;
        if (worst == i) return;
        int64_t h = heap[i];
        heap[i] = heap[worst];
        heap[worst] = h;
        i = worst;
    }
}

/* The `count` first of n in order, by a heap of that size. */
static void top_of_line(const top_line *t, int64_t n, int64_t count, int64_t *heap)
{
    for (int64_t i = 0; i < count; i++)
        heap[i] = i;
    for (int64_t i = count / 2 - 1; i >= 0; i--)
        sift(t, heap, count, i);
    for (int64_t i = count; i < n; i++)
        if (ranks_before(t, i, heap[0])) {
            heap[0] = i;
            sift(t, heap, count, 0);
        }
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t h = heap[0];
        heap[0] = heap[i];
        heap[i] = h;
        sift(t, heap, i, 0);
    }
}

us_err topk_eval(us_eval *k)
{
    const us_p_topk *p = k->params;
    us_tensor x, *y = NULL, *yi = NULL;
    lines l;
    double want;
    int64_t dims[US_MAX_RANK], *heap;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, topk_eval);
    if (!before[x.dtype]) return us_eval_no_type(k, x.dtype);
    US_TRY(lines_of(k, &x, p->axis, &l));
    US_TRY(us_eval_scalar(k, 1, 1, &want));
    if (!(want >= 0 && want <= (double)l.n))
        return us_eval_fail(k, US_SHAPE, "k is %g for an axis of %lld", want, (long long)l.n);
    memcpy(dims, x.dims, sizeof dims);
    int64_t count = dims[l.axis] = (int64_t)want;
    if (us_eval_wants(k, 0)) US_TRY(us_eval_out(k, 0, x.dtype, x.rank, dims, &y));
    if (us_eval_wants(k, 1)) US_TRY(us_eval_out(k, 1, US_I64, x.rank, dims, &yi));
    US_TRY(us_eval_scratch(k, ((size_t)count + 1) * sizeof *heap, (void **)&heap));
    size_t size = us_dtype_get(x.dtype)->bits / 8;
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t j = 0; j < l.inner && count; j++) {
            top_line t = {before[x.dtype], x.data, o * l.n * l.inner + j, l.inner,
                          p->largest != 0};
            top_of_line(&t, l.n, count, heap);
            for (int64_t i = 0; i < count; i++) {
                int64_t to = (o * count + i) * l.inner + j;
                if (y) memcpy(us_at(y, to), us_at(&x, t.base + heap[i] * l.inner), size);
                if (yi) ((int64_t *)yi->data)[to] = heap[i];
            }
        }
    return US_OK;
}

/* --- CumSum, CumProd -------------------------------------------------------------------------------------- */

static void fill(us_tensor *y, int64_t at, int64_t n, double v)
{
    for (int64_t i = 0; i < n; i++)
        us_dtype_get(y->dtype)->from_f64(y->data, (size_t)(at + i), 1, &v);
}

static us_err cumulate(us_eval *k, us_binary f, double start, us_eval_fn *self)
{
    const us_p_cum_sum *p = k->params;
    us_tensor x, *y;
    lines l;
    double axis;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, self);
    us_bin_fn *fn = us_ref_binary(f, x.dtype);
    if (!fn) return us_eval_no_type(k, x.dtype);
    US_TRY(us_eval_scalar(k, 1, 0, &axis));
    if (!(fabs(axis) <= US_MAX_RANK))
        return us_eval_fail(k, US_SHAPE, "axis %g of a tensor of rank %d", axis, x.rank);
    US_TRY(lines_of(k, &x, (int64_t)axis, &l));
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    size_t row = (size_t)l.inner * (us_dtype_get(x.dtype)->bits / 8);
    for (int64_t o = 0; o < l.outer && row; o++)
        for (int64_t s = 0; s < l.n; s++) { /* whole rows of `inner` at a time */
            int64_t i = p->reverse ? l.n - 1 - s : s, back = p->reverse ? 1 : -1;
            int64_t at = (o * l.n + i) * l.inner, was = at + back * l.inner;
            if (s == 0 && p->exclusive)
                fill(y, at, l.inner, start);
            else if (s == 0)
                memcpy(us_at(y, at), us_at(&x, at), row);
            else
                fn(us_at(y, at), us_at(y, was), us_at(&x, p->exclusive ? was : at), l.inner, 1,
                   1);
        }
    return US_OK;
}

US_INFER_AS(cum_sum, us_infer_same)
us_err cum_sum_eval(us_eval *k)
{
    return cumulate(k, US_BIN_ADD, 0, cum_sum_eval);
}
US_INFER_AS(cum_prod, us_infer_same)
us_err cum_prod_eval(us_eval *k)
{
    return cumulate(k, US_BIN_MUL, 1, cum_prod_eval);
}
