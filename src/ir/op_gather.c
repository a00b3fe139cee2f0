/* ir/op_gather.c - reading and writing at positions given by an index tensor.
 *
 * Indices may be negative (from the end) and are checked one by one: out of range is an error of the
 * input, never a read outside. Elements are moved as bytes, so every type with whole bytes works; only the
 * reductions of Scatter look at values.
 */
#include "ir/op_util.h"

#include <string.h>

/* clang-format off */
static const us_param gather_in[] = {
    {"data", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"indices", 'A', US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_param gather_out[] = {
    {"output", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row gather_attrs[] = {US_AI(us_p_gather, axis, "axis", 0), US_ATTR_END};
const us_schema gather_schemas[] = {
    {1, gather_in, gather_out, gather_attrs, sizeof(us_p_gather), NULL},
    {11, gather_in, gather_out, gather_attrs, sizeof(us_p_gather), NULL},
    {13, gather_in, gather_out, gather_attrs, sizeof(us_p_gather), NULL},
    {0}};

const us_schema gather_elements_schemas[] = {
    {11, gather_in, gather_out, gather_attrs, sizeof(us_p_gather), NULL},
    {13, gather_in, gather_out, gather_attrs, sizeof(us_p_gather), NULL},
    {0}};

static const us_param gather_nd_in[] = {
    {"data", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, {"indices", '\0', US_M(I64), 0},
    US_PARAM_END};
static const us_attr_row gather_nd_attrs[] = {US_AI(us_p_gather_nd, batch_dims, "batch_dims", 0), US_ATTR_END};
const us_schema gather_nd_schemas[] = {
    {11, gather_nd_in, gather_out, NULL, sizeof(us_p_gather_nd), NULL},
    {12, gather_nd_in, gather_out, gather_nd_attrs, sizeof(us_p_gather_nd), NULL},
    {13, gather_nd_in, gather_out, gather_nd_attrs, sizeof(us_p_gather_nd), NULL},
    {0}};

static const us_param scatter_elements_in[] = {
    {"data", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"indices", 'A', US_M(I32) | US_M(I64), 0},
    {"updates", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row scatter_elements_attrs[] = {US_AI(us_p_scatter, axis, "axis", 0), US_ATTR_END};
static const us_attr_row scatter_elements_attrs_16[] = {
    US_AI(us_p_scatter, axis, "axis", 0), US_AS(us_p_scatter, reduction, "reduction", "none"), US_ATTR_END};
const us_schema scatter_elements_schemas[] = {
    {11, scatter_elements_in, gather_out, scatter_elements_attrs, sizeof(us_p_scatter), NULL},
    {13, scatter_elements_in, gather_out, scatter_elements_attrs, sizeof(us_p_scatter), NULL},
    {16, scatter_elements_in, gather_out, scatter_elements_attrs_16, sizeof(us_p_scatter), NULL},
    {18, scatter_elements_in, gather_out, scatter_elements_attrs_16, sizeof(us_p_scatter), NULL},
    {0}};

static const us_param scatter_in[] = {
    {"data", 'T', US_M_INTS | US_M_FLOAT3 | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"indices", 'A', US_M(I32) | US_M(I64), 0},
    {"updates", 'T', US_M_INTS | US_M_FLOAT3 | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param scatter_out[] = {
    {"output", 'T', US_M_INTS | US_M_FLOAT3 | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
const us_schema scatter_schemas[] = {
    {9, scatter_in, scatter_out, scatter_elements_attrs, sizeof(us_p_scatter), NULL},
    {0}};

static const us_param scatter_nd_in[] = {
    {"data", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, {"indices", '\0', US_M(I64), 0},
    {"updates", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row scatter_nd_attrs[] = {US_AS(us_p_scatter_nd, reduction, "reduction", "none"), US_ATTR_END};
const us_schema scatter_nd_schemas[] = {
    {11, scatter_nd_in, gather_out, NULL, sizeof(us_p_scatter_nd), NULL},
    {13, scatter_nd_in, gather_out, NULL, sizeof(us_p_scatter_nd), NULL},
    {16, scatter_nd_in, gather_out, scatter_nd_attrs, sizeof(us_p_scatter_nd), NULL},
    {18, scatter_nd_in, gather_out, scatter_nd_attrs, sizeof(us_p_scatter_nd), NULL},
    {0}};
/* clang-format on */

static us_err index_error(us_eval *k, int64_t i, int64_t n)
{
    return us_eval_fail(k, US_ARG, "index %lld of a dimension of %lld", (long long)i,
                        (long long)n);
}
/* Into 0..n-1; false when out of range. */
static bool wrap(int64_t *i, int64_t n)
{
    if (*i < 0) *i += n;
    return *i >= 0 && *i < n;
}

/* --- Gather -------------------------------------------------------------------------------------- */

us_err gather_infer(us_infer *k)
{
    const us_p_gather *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *i = us_infer_ranked(k, 1);
    int axis;
    us_dim d[2 * US_MAX_RANK];
    if (!x || !i) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    US_TRY(us_infer_axis(k, p->axis, x->rank, &axis));
    int rank = x->rank - 1 + i->rank;
    if (rank > US_MAX_RANK) return us_infer_fail(k, US_SHAPE, "result has too many dimensions");
    for (int j = 0; j < axis; j++)
        d[j] = x->dims[j];
    for (int j = 0; j < i->rank; j++)
        d[axis + j] = i->dims[j];
    for (int j = axis + 1; j < x->rank; j++)
        d[j - 1 + i->rank] = x->dims[j];
    return us_infer_out(k, 0, US_DT_NONE, rank, d);
}

us_err gather_eval(us_eval *k)
{
    const us_p_gather *p = k->params;
    us_tensor x, *y;
    const us_tensor *it;
    const int64_t *index;
    size_t n;
    int axis, rank;
    int64_t dims[2 * US_MAX_RANK];
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &it));
    US_TRY(us_eval_ints(k, 1, &n, &index));
    US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    rank = x.rank - 1 + it->rank;
    if (rank > US_MAX_RANK) return us_eval_fail(k, US_SHAPE, "result of rank %d", rank);
    for (int j = 0; j < x.rank - 1 + it->rank; j++)
        dims[j] = j < axis              ? x.dims[j]
                  : j < axis + it->rank ? it->dims[j - axis]
                                        : x.dims[j + 1 - it->rank];
    US_TRY(us_eval_out(k, 0, x.dtype, rank, dims, &y));
    size_t bytes =
        (size_t)us_dims_product(x.dims, axis + 1, x.rank) * (us_dtype_get(x.dtype)->bits / 8);
    int64_t outer = us_dims_product(x.dims, 0, axis), len = x.dims[axis];
    for (size_t j = 0; j < n; j++) {
        int64_t i = index[j];
        if (!wrap(&i, len)) return index_error(k, index[j], len);
        for (int64_t o = 0; o < outer && bytes; o++)
            memcpy((char *)y->data + ((size_t)o * n + j) * bytes,
                   (const char *)x.data + (size_t)(o * len + i) * bytes, bytes);
    }
    return US_OK;
}

/* --- GatherElements ------------------------------------------------------------------------------ */

us_err gather_elements_infer(us_infer *k)
{
    const us_type *i = us_infer_ranked(k, 1);
    if (!i) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    return us_infer_out(k, 0, US_DT_NONE, i->rank, i->dims);
}

/* Walks the positions of a shape in row-major order; at[] is the position, false after the last. */
static bool step(int rank, const int64_t *dims, int64_t *at)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++at[i] < dims[i]) return true;
        at[i] = 0;
    }
    return false;
}
static int64_t offset_of(int rank, const int64_t *strides, const int64_t *at)
{
    int64_t o = 0;
    for (int i = 0; i < rank; i++)
        o += at[i] * strides[i];
    return o;
}
static bool inside(const us_tensor *small, const us_tensor *big, int axis)
{
    if (small->rank != big->rank) return false;
    for (int i = 0; i < small->rank; i++)
        if (i != axis && small->dims[i] > big->dims[i]) return false;
    return true;
}

us_err gather_elements_eval(us_eval *k)
{
    const us_p_gather *p = k->params;
    us_tensor x, *y;
    const us_tensor *it;
    const int64_t *index;
    size_t n;
    int axis;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &it));
    US_TRY(us_eval_ints(k, 1, &n, &index));
    US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    if (!inside(it, &x, axis)) return us_eval_fail(k, US_SHAPE, "indices do not fit into data");
    US_TRY(us_eval_out(k, 0, x.dtype, it->rank, it->dims, &y));
    size_t size = us_dtype_get(x.dtype)->bits / 8;
    int64_t at[US_MAX_RANK] = {0};
    for (size_t j = 0; j < n; j++, step(it->rank, it->dims, at)) {
        int64_t i = index[j], keep = at[axis];
        if (!wrap(&i, x.dims[axis])) return index_error(k, index[j], x.dims[axis]);
        at[axis] = i;
        memcpy((char *)y->data + j * size, us_at(&x, offset_of(x.rank, x.strides, at)), size);
        at[axis] = keep;
    }
    return US_OK;
}

/* --- GatherND ------------------------------------------------------------------------------------ */

us_err gather_nd_infer(us_infer *k)
{
    const us_p_gather_nd *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *i = us_infer_ranked(k, 1);
    if (!x || !i || i->rank < 1 || !us_dim_known(i->dims[i->rank - 1]))
        return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int64_t depth = i->dims[i->rank - 1].add;
    if (p->batch_dims < 0 || p->batch_dims > x->rank || depth < 0 || depth > x->rank ||
        p->batch_dims + depth > x->rank)
        return us_infer_fail(k, US_SHAPE, "index tuples are longer than the data's rank");
    int64_t used = p->batch_dims + depth;
    if (i->rank - 1 + x->rank - used > US_MAX_RANK)
        return us_infer_fail(k, US_SHAPE, "result has too many dimensions");
    us_dim d[2 * US_MAX_RANK];
    int r = 0;
    for (int j = 0; j + 1 < i->rank; j++)
        d[r++] = i->dims[j];
    for (int j = (int)used; j < x->rank; j++)
        d[r++] = x->dims[j];
    return us_infer_out(k, 0, US_DT_NONE, r, d);
}

us_err gather_nd_eval(us_eval *k)
{
    const us_p_gather_nd *p = k->params;
    us_tensor x, *y;
    const us_tensor *it;
    const int64_t *index;
    size_t n;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &it));
    US_TRY(us_eval_ints(k, 1, &n, &index));
    int64_t depth = it->rank ? it->dims[it->rank - 1] : 0;
    int b = (int)US_MIN(US_MAX(p->batch_dims, 0), US_MAX_RANK);
    if (depth > US_MAX_RANK) depth = US_MAX_RANK + 1;
    int64_t used = b + depth;
    int rank = (int)(it->rank - 1 + x.rank - used);
    if (it->rank < 1 || depth < 1 || used > x.rank || b >= it->rank || rank > US_MAX_RANK)
        return us_eval_fail(k, US_SHAPE, "index tuples of %lld for data of rank %d",
                            (long long)depth, x.rank);
    int64_t dims[2 * US_MAX_RANK];
    for (int j = 0; j < b; j++)
        if (x.dims[j] != it->dims[j])
            return us_eval_fail(k, US_SHAPE, "batch dimensions differ");
    for (int j = 0; j < rank; j++)
        dims[j] = j < it->rank - 1 ? it->dims[j] : x.dims[(int)used + j - (it->rank - 1)];
    US_TRY(us_eval_out(k, 0, x.dtype, rank, dims, &y));
    size_t bytes =
        (size_t)us_dims_product(x.dims, (int)used, x.rank) * (us_dtype_get(x.dtype)->bits / 8);
    int64_t n_tuples = (int64_t)n / depth, n_batch = us_dims_product(x.dims, 0, b);
    int64_t per_batch = n_batch ? n_tuples / n_batch : 0,
            area = us_dims_product(x.dims, b, (int)used);
    for (int64_t j = 0; j < n_tuples; j++) {
        int64_t at = 0;
        for (int64_t q = 0; q < depth; q++) {
            int64_t i = index[j * depth + q], len = x.dims[b + q];
            if (!wrap(&i, len)) return index_error(k, index[j * depth + q], len);
            at = at * len + i;
        }
        at += j / per_batch * area;
        if (bytes)
            memcpy((char *)y->data + (size_t)j * bytes,
                   (const char *)x.data + (size_t)at * bytes, bytes);
    }
    return US_OK;
}

/* --- Scatter ------------------------------------------------------------------------------------- */

/* What happens to n elements at `to` when updates arrive: overwrite, or a binary kernel; texts are joined or compared. */
typedef struct reduction {
    us_bin_fn *fn;   /* NULL: overwrite */
    us_binary texts; /* of strings; US_BIN_N: they are no strings, or overwritten */
} reduction;

static us_err reduction_of(us_eval *k, us_sv name, us_dtype t, reduction *out)
{
    static const struct {
        const char *name;
        us_binary f;
    } rows[] = {
        {"add", US_BIN_ADD}, {"mul", US_BIN_MUL}, {"max", US_BIN_MAX}, {"min", US_BIN_MIN}};
    *out = (reduction){.texts = US_BIN_N};
    if (name.n == 0 || us_sv_is(name, "none")) return US_OK;
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_sv_is(name, rows[i].name)) {
            if (t == US_STRING && rows[i].f != US_BIN_MUL)
                out->texts = rows[i].f;
            else
                out->fn = us_binary_plain(rows[i].f, t);
            return out->fn || out->texts != US_BIN_N ? US_OK : us_eval_no_type(k, t);
        }
    return us_eval_fail(k, US_ARG, "reduction '" US_SV_FMT "'", US_SV_ARG(name));
}

/* n updates arrive; `bytes` of them. */
static us_err arrive(us_eval *k, const reduction *r, void *to, const void *from, int64_t n,
                     size_t bytes)
{
    us_sv *a = to;
    const us_sv *b = from;
    if (r->fn) {
        r->fn(to, to, from, n, 1, 1);
        return US_OK;
    }
    if (r->texts == US_BIN_N) {
        memcpy(to, from, bytes);
        return US_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        int d = us_sv_cmp(a[i], b[i]);
        if (r->texts == US_BIN_ADD) {
            us_arena *dynamic = k->env->dynamic(k->env, k);
            US_TRY(us_eval_work(k, (double)a[i].n + (double)b[i].n));
            char *z = us_arena_alloc(dynamic, a[i].n + b[i].n + 1, 1, 1);
            if (!z) return us_arena_fail(k->c, dynamic);
            if (a[i].n) memcpy(z, a[i].p, a[i].n);
            if (b[i].n) memcpy(z + a[i].n, b[i].p, b[i].n);
            a[i] = (us_sv){z, a[i].n + b[i].n};
        } else if (r->texts == US_BIN_MAX ? d < 0 : d > 0) {
            a[i] = b[i];
        }
    }
    return US_OK;
}

static us_err scatter(us_eval *k, us_sv name, us_eval_fn *self)
{
    const us_p_scatter *p = k->params;
    us_tensor x, up, *y;
    const us_tensor *it;
    const int64_t *index;
    size_t n;
    int axis;
    reduction how;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, self);
    US_TRY(us_eval_in(k, 1, &it));
    US_TRY(us_eval_in_dense(k, 2, &up));
    US_TRY(us_eval_ints(k, 1, &n, &index));
    US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    if (!inside(it, &x, axis) || !us_tensor_same_dims(it, &up) || up.dtype != x.dtype)
        return us_eval_fail(k, US_SHAPE, "indices, updates and data do not fit together");
    US_TRY(reduction_of(k, name, x.dtype, &how));
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    if (y->data != x.data) US_TRY(us_tensor_copy(k->c, y, &x));
    size_t size = us_dtype_get(x.dtype)->bits / 8;
    int64_t at[US_MAX_RANK] = {0};
    for (size_t j = 0; j < n; j++, step(it->rank, it->dims, at)) {
        int64_t i = index[j], keep = at[axis];
        if (!wrap(&i, x.dims[axis])) return index_error(k, index[j], x.dims[axis]);
        at[axis] = i;
        void *to = us_at(y, offset_of(y->rank, y->strides, at));
        US_TRY(arrive(k, &how, to, us_at(&up, (int64_t)j), 1, size));
        at[axis] = keep;
    }
    return US_OK;
}

US_INFER_AS(scatter_elements, us_infer_same)
us_err scatter_elements_eval(us_eval *k)
{
    return scatter(k, ((const us_p_scatter *)k->params)->reduction, scatter_elements_eval);
}
US_INFER_AS(scatter, us_infer_same)
us_err scatter_eval(us_eval *k)
{
    return scatter(k, US_SV("none"), scatter_eval);
}

US_INFER_AS(scatter_nd, us_infer_same)
us_err scatter_nd_eval(us_eval *k)
{
    const us_p_scatter_nd *p = k->params;
    us_tensor x, up, *y;
    const us_tensor *it;
    const int64_t *index;
    size_t n;
    reduction how;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, scatter_nd_eval);
    US_TRY(us_eval_in(k, 1, &it));
    US_TRY(us_eval_in_dense(k, 2, &up));
    US_TRY(us_eval_ints(k, 1, &n, &index));
    US_TRY(reduction_of(k, p->reduction, x.dtype, &how));
    int64_t depth = it->rank ? it->dims[it->rank - 1] : 0;
    if (depth < 1 || depth > x.rank || up.dtype != x.dtype)
        return us_eval_fail(k, US_SHAPE, "index tuples of %lld for data of rank %d",
                            (long long)depth, x.rank);
    int64_t slice = us_dims_product(x.dims, (int)depth, x.rank), n_tuples = (int64_t)n / depth;
    if (us_tensor_count(&up) != n_tuples * slice)
        return us_eval_fail(k, US_SHAPE, "%lld updates for %lld positions of %lld",
                            (long long)us_tensor_count(&up), (long long)n_tuples,
                            (long long)slice);
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    if (y->data != x.data) US_TRY(us_tensor_copy(k->c, y, &x));
    size_t bytes = (size_t)slice * (us_dtype_get(x.dtype)->bits / 8);
    for (int64_t j = 0; j < n_tuples && bytes; j++) {
        int64_t at = 0;
        for (int64_t q = 0; q < depth; q++) {
            int64_t i = index[j * depth + q];
            if (!wrap(&i, x.dims[q])) return index_error(k, index[j * depth + q], x.dims[q]);
            at = at * x.dims[q] + i;
        }
        void *to = us_at(y, at * slice);
        US_TRY(arrive(k, &how, to, us_at(&up, j * slice), slice, bytes));
    }
    return US_OK;
}
