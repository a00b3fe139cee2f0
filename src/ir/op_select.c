/* ir/op_select.c - Compress, ReverseSequence, TensorScatter, BitCast, Unique. */
#include "ir/op_util.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define PLAIN (US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL))
static const us_param compress_in[] = {{"input", 'T', PLAIN, 0}, {"condition", '\0', US_M(BOOL), 0}, US_PARAM_END};
static const us_param compress_out[] = {{"output", 'T', PLAIN, 0}, US_PARAM_END};
static const us_attr_row compress_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_compress, axis),
     .has_offset = offsetof(us_p_compress, has_axis)}, US_ATTR_END};
const us_schema compress_schemas[] = {
    {9, compress_in, compress_out, compress_attrs, sizeof(us_p_compress), NULL},
    {11, compress_in, compress_out, compress_attrs, sizeof(us_p_compress), NULL},
    {0}};

static const us_param reverse_in[] = {{"input", 'T', PLAIN, 0}, {"sequence_lens", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_param reverse_out[] = {{"Y", 'T', PLAIN, 0}, US_PARAM_END};
static const us_attr_row reverse_attrs[] = {
    US_AI(us_p_reverse_sequence, batch_axis, "batch_axis", 1),
    US_AI(us_p_reverse_sequence, time_axis, "time_axis", 0), US_ATTR_END};
const us_schema reverse_sequence_schemas[] = {
    {10, reverse_in, reverse_out, reverse_attrs, sizeof(us_p_reverse_sequence), NULL},
    {0}};

static const us_param scatter_in[] = {
    {"past_cache", 'T', US_M_ALL, 0}, {"update", 'T', US_M_ALL, 0},
    {"write_indices", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_param scatter_out[] = {{"present_cache", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row scatter_attrs[] = {
    US_AI(us_p_tensor_scatter, axis, "axis", -2), US_AS(us_p_tensor_scatter, mode, "mode", "linear"), US_ATTR_END};
const us_schema tensor_scatter_schemas[] = {
    {24, scatter_in, scatter_out, scatter_attrs, sizeof(us_p_tensor_scatter), NULL},
    {0}};

static const us_param bit_cast_in[] = {{"input", '1', US_M_ALL & ~US_M(STRING), 0}, US_PARAM_END};
static const us_param bit_cast_out[] = {{"output", '2', US_M_ALL & ~US_M(STRING), 0}, US_PARAM_END};
static const us_attr_row bit_cast_attrs[] = {
    {.name = "to", .kind = US_AT_INT, .offset = offsetof(us_p_bit_cast, to), .required = true}, US_ATTR_END};
const us_schema bit_cast_schemas[] = {
    {26, bit_cast_in, bit_cast_out, bit_cast_attrs, sizeof(us_p_bit_cast), NULL},
    {0}};

static const us_param unique_in[] = {{"X", 'T', PLAIN, 0}, US_PARAM_END};
static const us_param unique_out[] = {
    {"Y", 'T', PLAIN, 0}, {"indices", '\0', US_M(I64), US_P_OPTIONAL},
    {"inverse_indices", '\0', US_M(I64), US_P_OPTIONAL}, {"counts", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row unique_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_unique, axis),
     .has_offset = offsetof(us_p_unique, has_axis)},
    US_AI(us_p_unique, sorted, "sorted", 1), US_ATTR_END};
const us_schema unique_schemas[] = {{11, unique_in, unique_out, unique_attrs, sizeof(us_p_unique), NULL}, {0}};
/* clang-format on */

static us_err whole_bytes(us_eval *k, const us_tensor *x)
{
    return us_dtype_get(x->dtype)->bits < 8 ? us_eval_no_type(k, x->dtype) : US_OK;
}

/* x as one dimension. */
static void flatten(us_tensor *x)
{
    x->dims[0] = us_tensor_count(x);
    x->strides[0] = 1;
    x->rank = 1;
}

/* One dimension along `axis` becomes unknown; without an axis the result is a vector. */
static us_err infer_fewer(us_infer *k, bool has_axis, int64_t axis_attr)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK];
    int axis = 0;
    if (!has_axis) return us_infer_rank(k, 0, US_DT_NONE, 1);
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    US_TRY(us_infer_axis(k, axis_attr, x->rank, &axis));
    us_copy_dims(d, x);
    US_TRY(us_infer_fresh(k, &d[axis]));
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

/* --- Compress ---------------------------------------------------------------------------------------- */

us_err compress_infer(us_infer *k)
{
    const us_p_compress *p = k->params;
    return infer_fewer(k, p->has_axis, p->axis);
}

us_err compress_eval(us_eval *k)
{
    const us_p_compress *p = k->params;
    us_tensor x, cond, *y;
    int axis = 0;
    int64_t dims[US_MAX_RANK], kept = 0;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_in_dense(k, 1, &cond));
    US_TRY(whole_bytes(k, &x));
    if (cond.dtype != US_BOOL || cond.rank != 1)
        return us_eval_fail(k, US_ARG, "the condition is not a vector of bool");
    if (!p->has_axis) flatten(&x);
    if (p->has_axis) US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    if (cond.dims[0] > x.dims[axis])
        return us_eval_fail(k, US_SHAPE, "%lld conditions for an axis of %lld",
                            (long long)cond.dims[0], (long long)x.dims[axis]);
    const uint8_t *yes = cond.data;
    for (int64_t i = 0; i < cond.dims[0]; i++)
        kept += yes[i] != 0;
    memcpy(dims, x.dims, sizeof dims);
    dims[axis] = kept;
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, dims, &y));
    int64_t outer = us_dims_product(x.dims, 0, axis),
            inner = us_dims_product(x.dims, axis + 1, x.rank), at = 0;
    size_t row = (size_t)inner * (us_dtype_get(x.dtype)->bits / 8);
    for (int64_t o = 0; o < outer && row; o++)
        for (int64_t i = 0; i < cond.dims[0]; i++) {
            if (!yes[i]) continue;
            memcpy(us_at(y, at), us_at(&x, (o * x.dims[axis] + i) * inner), row);
            at += inner;
        }
    return US_OK;
}

/* --- ReverseSequence --------------------------------------------------------------------------------- */

US_INFER_AS(reverse_sequence, us_infer_same)
us_err reverse_sequence_eval(us_eval *k)
{
    const us_p_reverse_sequence *p = k->params;
    us_tensor x, *y;
    size_t n_lens = 0;
    const int64_t *lens = NULL;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(whole_bytes(k, &x));
    US_TRY(us_eval_ints(k, 1, &n_lens, &lens));
    bool axes_ok =
        (p->batch_axis == 0 && p->time_axis == 1) || (p->batch_axis == 1 && p->time_axis == 0);
    if (!axes_ok || x.rank < 2)
        return us_eval_fail(k, US_ARG, "batch_axis and time_axis must be 0 and 1 of a matrix");
    int64_t batch = x.dims[p->batch_axis], time = x.dims[p->time_axis];
    if (!lens || (int64_t)n_lens != batch)
        return us_eval_fail(k, US_SHAPE, "%zu lengths for a batch of %lld", n_lens,
                            (long long)batch);
    for (size_t i = 0; i < n_lens; i++)
        if (lens[i] < 0 || lens[i] > time)
            return us_eval_fail(k, US_ARG, "length %lld of %lld steps", (long long)lens[i],
                                (long long)time);
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    int64_t inner = us_dims_product(x.dims, 2, x.rank);
    size_t row = (size_t)inner * (us_dtype_get(x.dtype)->bits / 8);
    for (int64_t i = 0; i < x.dims[0] && row; i++)
        for (int64_t j = 0; j < x.dims[1]; j++) {
            int64_t b = p->batch_axis == 0 ? i : j, t = p->batch_axis == 0 ? j : i;
            int64_t from = t < lens[b] ? lens[b] - 1 - t : t;
            int64_t cell = p->batch_axis == 0 ? i * x.dims[1] + from : from * x.dims[1] + j;
            memcpy(us_at(y, (i * x.dims[1] + j) * inner), us_at(&x, cell * inner), row);
        }
    return US_OK;
}

/* --- TensorScatter ----------------------------------------------------------------------------------- */

US_INFER_AS(tensor_scatter, us_infer_same)

static us_err check_update(us_eval *k, const us_tensor *x, const us_tensor *u, int axis)
{
    bool fits = x->rank == u->rank && x->dtype == u->dtype && axis > 0;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis ? u->dims[i] <= x->dims[i] : u->dims[i] == x->dims[i];
    if (!fits) return us_eval_fail(k, US_SHAPE, "the update does not fit the cache");
    return US_OK;
}

us_err tensor_scatter_eval(us_eval *k)
{
    const us_p_tensor_scatter *p = k->params;
    us_tensor x, u, *y;
    int axis = 0;
    size_t n_at = 0;
    const int64_t *at = NULL;
    bool circular = us_sv_is(p->mode, "circular");
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_packed(x.dtype)) return us_eval_unpacked(k, x.dtype, tensor_scatter_eval);
    US_TRY(us_eval_in_dense(k, 1, &u));
    US_TRY(us_eval_ints(k, 2, &n_at, &at));
    US_TRY(whole_bytes(k, &x));
    if (!circular && !us_sv_is(p->mode, "linear"))
        return us_eval_fail(k, US_ARG, "mode '" US_SV_FMT "'", US_SV_ARG(p->mode));
    US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    US_TRY(check_update(k, &x, &u, axis));
    if (at && (int64_t)n_at != x.dims[0])
        return us_eval_fail(k, US_SHAPE, "%zu write_indices for a batch of %lld", n_at,
                            (long long)x.dims[0]);
    int64_t len = u.dims[axis], room = x.dims[axis];
    for (size_t i = 0; i < n_at; i++)
        if (at[i] < 0 || at[i] > (circular ? room : room - len))
            return us_eval_fail(k, US_ARG, "write index %lld of %lld places", (long long)at[i],
                                (long long)room);
    US_TRY(us_eval_put_view(k, 0, &x));
    if (!us_eval_wants(k, 0)) return US_OK;
    y = &k->out[0]->t;
    int64_t outer = us_dims_product(x.dims, 0, axis),
            inner = us_dims_product(x.dims, axis + 1, x.rank);
    int64_t per_batch = x.dims[0] ? outer / x.dims[0] : 0;
    size_t row = (size_t)inner * (us_dtype_get(x.dtype)->bits / 8);
    for (int64_t o = 0; o < outer && row; o++)
        for (int64_t i = 0; i < len; i++) {
            int64_t to = (at ? at[o / per_batch] : 0) + i;
            if (to >= room) to -= room;
            memcpy(us_at(y, (o * room + to) * inner), us_at(&u, (o * len + i) * inner), row);
        }
    return US_OK;
}

/* --- BitCast ----------------------------------------------------------------------------------------- */

us_err bit_cast_infer(us_infer *k)
{
    const us_p_bit_cast *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    if (p->to <= 0 || p->to >= US_DTYPE_N || p->to == US_STRING)
        return us_infer_fail(k, US_ARG, "attribute to is no type of numbers");
    return us_infer_out(k, 0, (us_dtype)p->to, x ? x->rank : -1, x ? x->dims : NULL);
}

us_err bit_cast_eval(us_eval *k)
{
    const us_p_bit_cast *p = k->params;
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (p->to <= 0 || p->to >= US_DTYPE_N || p->to == US_STRING || x.dtype == US_STRING)
        return us_eval_fail(k, US_ARG, "attribute to is no type of numbers");
    us_dtype to = (us_dtype)p->to;
    if (us_dtype_get(to)->bits != us_dtype_get(x.dtype)->bits)
        return us_eval_fail(k, US_ARG, "%s and %s differ in width", us_dtype_get(x.dtype)->name,
                            us_dtype_get(to)->name);
    US_TRY(us_eval_out(k, 0, to, x.rank, x.dims, &y));
    size_t n = us_tensor_bytes(y);
    if (n) memcpy(y->data, x.data, n);
    return US_OK;
}

/* --- Unique ------------------------------------------------------------------------------------------ */

us_err unique_infer(us_infer *k)
{
    const us_p_unique *p = k->params;
    US_TRY(infer_fewer(k, p->has_axis, p->axis));
    for (size_t i = 1; i < 4; i++)
        US_TRY(us_infer_rank(k, i, US_I64, 1));
    return US_OK;
}

/* n rows of outer * inner parts each, kept as what they are compared by. */
typedef struct rows {
    int64_t n, outer, inner;
    us_tensor x; /* strings: us_sv; whole numbers: int64; all else: double */
    bool is_unsigned;
} rows;

static int compare_f64(double a, double b)
{
    if (isnan(a) || isnan(b)) return isnan(a) - isnan(b); /* all NaN are one value, the last */
    return (a > b) - (a < b);
}

static int compare_part(const rows *r, int64_t i, int64_t j)
{
    if (r->x.dtype == US_STRING) {
        const us_sv *s = r->x.data;
        return us_sv_cmp(s[i], s[j]);
    }
    if (r->x.dtype == US_F64) {
        const double *d = r->x.data;
        return compare_f64(d[i], d[j]);
    }
    const int64_t *v = r->x.data;
    if (r->is_unsigned)
        return ((uint64_t)v[i] > (uint64_t)v[j]) - ((uint64_t)v[i] < (uint64_t)v[j]);
    return (v[i] > v[j]) - (v[i] < v[j]);
}

static int compare_rows(const rows *r, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < r->outer; o++)
        for (int64_t i = 0; i < r->inner; i++) {
            int d =
                compare_part(r, (o * r->n + a) * r->inner + i, (o * r->n + b) * r->inner + i);
            if (d) return d;
        }
    return 0;
}

/* Stable merge sort of row numbers, from runs of one upwards. */
static int64_t *sort_rows(const rows *r, int64_t *at, int64_t *spare)
{
    for (int64_t run = 1; run < r->n; run *= 2) {
        for (int64_t lo = 0; lo < r->n; lo += 2 * run) {
            int64_t i = lo, mid = US_MIN(lo + run, r->n), j = mid,
                    end = US_MIN(lo + 2 * run, r->n);
            for (int64_t to = lo; to < end; to++) {
                bool left = i < mid && (j >= end || compare_rows(r, at[i], at[j]) <= 0);
                spare[to] = left ? at[i] : at[j];
                i += left;
                j += !left;
            }
        }
        int64_t *h = at;
        at = spare;
        spare = h;
    }
    return at;
}

static us_err rows_of(us_eval *k, const us_tensor *x, int axis, rows *r)
{
    const us_dtype_info *info = us_dtype_get(x->dtype);
    *r = (rows){.n = x->dims[axis],
                .outer = us_dims_product(x->dims, 0, axis),
                .inner = us_dims_product(x->dims, axis + 1, x->rank),
                .is_unsigned = info->cls == US_DC_UINT};
    us_dtype t = x->dtype == US_STRING                               ? US_STRING
                 : info->cls == US_DC_INT || info->cls == US_DC_UINT ? US_I64
                                                                     : US_F64;
    if (info->cls == US_DC_COMPLEX) { /* ordered by the real part, then by the imaginary one */
        r->inner *= 2;
        return us_eval_parts(k, x, &r->x);
    }
    return us_eval_as(k, x, t, &r->x);
}

/* What was found: for every row its class, for every class its first row and its size. */
typedef struct classes {
    int64_t n, *of_row, *first, *count;
} classes;

static us_err classify(us_eval *k, const rows *r, bool sorted, classes *q)
{
    int64_t *at, *spare, *renumber;
    size_t bytes = (size_t)r->n * sizeof *at;
    US_TRY(us_eval_scratch(k, bytes, (void **)&at));
    US_TRY(us_eval_scratch(k, bytes, (void **)&spare));
    US_TRY(us_eval_scratch(k, bytes, (void **)&q->of_row));
    US_TRY(us_eval_scratch(k, bytes, (void **)&q->first));
    US_TRY(us_eval_scratch(k, bytes, (void **)&q->count));
    for (int64_t i = 0; i < r->n; i++)
        at[i] = i;
    const int64_t *order = sort_rows(r, at, spare);
    for (int64_t i = 0; i < r->n; i++) {
        if (i == 0 || compare_rows(r, order[i - 1], order[i]) != 0) q->n++;
        q->of_row[order[i]] = q->n - 1;
    }
    /* in the order of appearance: classes are numbered anew as they turn up */
    US_TRY(us_eval_scratch(k, bytes, (void **)&renumber));
    for (int64_t i = 0; i < q->n; i++) {
        renumber[i] = sorted ? i : -1;
        q->count[i] = 0;
    }
    int64_t seen = 0;
    for (int64_t i = 0; i < r->n; i++) {
        int64_t *to = &renumber[q->of_row[i]];
        if (*to < 0) *to = seen++;
        q->of_row[i] = *to;
        if (q->count[*to]++ == 0) q->first[*to] = i;
    }
    return US_OK;
}

static us_err put_ints(us_eval *k, size_t i, int64_t n, const int64_t *v)
{
    us_tensor *y;
    if (!us_eval_wants(k, i)) return US_OK;
    US_TRY(us_eval_out(k, i, US_I64, 1, &n, &y));
    if (n) memcpy(y->data, v, (size_t)n * sizeof *v);
    return US_OK;
}

us_err unique_eval(us_eval *k)
{
    const us_p_unique *p = k->params;
    us_tensor x, *y;
    int axis = 0;
    rows r;
    classes q = {0};
    int64_t dims[US_MAX_RANK];
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(whole_bytes(k, &x));
    if (!p->has_axis) flatten(&x);
    if (p->has_axis) US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    US_TRY(rows_of(k, &x, axis, &r));
    US_TRY(classify(k, &r, p->sorted != 0, &q));
    memcpy(dims, x.dims, sizeof dims);
    dims[axis] = q.n;
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, dims, &y));
    int64_t inner = us_dims_product(x.dims, axis + 1, x.rank);
    size_t row = (size_t)inner * (us_dtype_get(x.dtype)->bits / 8);
    for (int64_t o = 0; o < r.outer && row; o++)
        for (int64_t i = 0; i < q.n; i++)
            memcpy(us_at(y, (o * q.n + i) * inner), us_at(&x, (o * r.n + q.first[i]) * inner),
                   row);
    US_TRY(put_ints(k, 1, q.n, q.first));
    US_TRY(put_ints(k, 2, r.n, q.of_row));
    return put_ints(k, 3, q.n, q.count);
}
