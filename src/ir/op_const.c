/* ir/op_const.c - operators that make values from attributes, shapes or positions. */
#include "ir/op_util.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param constant_in[] = {US_PARAM_END};
static const us_param constant_out[] = {{"output", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row constant_attrs[] = {
    {.name = "value", .kind = US_AT_TENSOR, .offset = offsetof(us_p_constant, value), .required = true}, US_ATTR_END};
static const us_attr_row constant_attrs_11[] = {US_AT(us_p_constant, value, "value"), US_ATTR_END};
static const us_attr_row constant_attrs_12[] = {
    US_AT(us_p_constant, value, "value"),
    {.name = "value_float", .kind = US_AT_FLOAT, .offset = offsetof(us_p_constant, value_float), .has_offset = offsetof(us_p_constant, has_value_float)},
    US_AFS(us_p_constant, value_floats, "value_floats"),
    {.name = "value_int", .kind = US_AT_INT, .offset = offsetof(us_p_constant, value_int), .has_offset = offsetof(us_p_constant, has_value_int)},
    US_AIS(us_p_constant, value_ints, "value_ints"),
    {.name = "value_string", .kind = US_AT_STRING, .offset = offsetof(us_p_constant, value_string), .has_offset = offsetof(us_p_constant, has_value_string)},
    US_ASS(us_p_constant, value_strings, "value_strings"), US_ATTR_END};
const us_schema constant_schemas[] = {
    {1, constant_in, constant_out, constant_attrs, sizeof(us_p_constant), NULL},
    {9, constant_in, constant_out, constant_attrs, sizeof(us_p_constant), NULL},
    {11, constant_in, constant_out, constant_attrs_11, sizeof(us_p_constant), NULL},
    {12, constant_in, constant_out, constant_attrs_12, sizeof(us_p_constant), NULL},
    {13, constant_in, constant_out, constant_attrs_12, sizeof(us_p_constant), NULL},
    {19, constant_in, constant_out, constant_attrs_12, sizeof(us_p_constant), NULL},
    {21, constant_in, constant_out, constant_attrs_12, sizeof(us_p_constant), NULL},
    {23, constant_in, constant_out, constant_attrs_12, sizeof(us_p_constant), NULL},
    {24, constant_in, constant_out, constant_attrs_12, sizeof(us_p_constant), NULL},
    {25, constant_in, constant_out, constant_attrs_12, sizeof(us_p_constant), NULL},
    {0}};

static const us_param constant_of_shape_in[] = {{"input", '1', US_M(I64), 0}, US_PARAM_END};
static const us_param constant_of_shape_out[] = {
    {"output", '2', US_M_NUM | US_M_SMALLF | US_M_SMALLI | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row constant_of_shape_attrs[] = {US_AT(us_p_constant_of_shape, value, "value"), US_ATTR_END};
const us_schema constant_of_shape_schemas[] = {
    {9, constant_of_shape_in, constant_of_shape_out, constant_of_shape_attrs, sizeof(us_p_constant_of_shape), NULL},
    {20, constant_of_shape_in, constant_of_shape_out, constant_of_shape_attrs, sizeof(us_p_constant_of_shape), NULL},
    {21, constant_of_shape_in, constant_of_shape_out, constant_of_shape_attrs, sizeof(us_p_constant_of_shape), NULL},
    {23, constant_of_shape_in, constant_of_shape_out, constant_of_shape_attrs, sizeof(us_p_constant_of_shape), NULL},
    {24, constant_of_shape_in, constant_of_shape_out, constant_of_shape_attrs, sizeof(us_p_constant_of_shape), NULL},
    {25, constant_of_shape_in, constant_of_shape_out, constant_of_shape_attrs, sizeof(us_p_constant_of_shape), NULL},
    {0}};

static const us_param range_in[] = {
    {"start", 'T', US_M_FLOATS | US_M(I16) | US_M(I32) | US_M(I64), 0},
    {"limit", 'T', US_M_FLOATS | US_M(I16) | US_M(I32) | US_M(I64), 0},
    {"delta", 'T', US_M_FLOATS | US_M(I16) | US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_param range_out[] = {
    {"output", 'T', US_M_FLOATS | US_M(I16) | US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_attr_row range_attrs[] = {US_AI(us_p_range, stash_type, "stash_type", 1), US_ATTR_END};
const us_schema range_schemas[] = {
    {11, range_in, range_out, NULL, sizeof(us_p_range), NULL},
    {27, range_in, range_out, range_attrs, sizeof(us_p_range), NULL},
    {0}};

static const us_param one_hot_in[] = {
    {"indices", '1', US_M_INTS | US_M_FLOAT3, 0}, {"depth", '2', US_M_INTS | US_M_FLOAT3, 0},
    {"values", '3', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param one_hot_out[] = {
    {"output", '3', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row one_hot_attrs[] = {US_AI(us_p_one_hot, axis, "axis", -1), US_ATTR_END};
const us_schema one_hot_schemas[] = {
    {9, one_hot_in, one_hot_out, one_hot_attrs, sizeof(us_p_one_hot), NULL},
    {11, one_hot_in, one_hot_out, one_hot_attrs, sizeof(us_p_one_hot), NULL},
    {28, one_hot_in, one_hot_out, one_hot_attrs, sizeof(us_p_one_hot), NULL},
    {0}};

static const us_param eye_like_in[] = {{"input", '1', US_M_NUM | US_M(BOOL), 0}, US_PARAM_END};
static const us_param eye_like_out[] = {{"output", '2', US_M_NUM | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row eye_like_attrs[] = {
    {.name = "dtype", .kind = US_AT_INT, .offset = offsetof(us_p_eye_like, dtype), .has_offset = offsetof(us_p_eye_like, has_dtype)},
    US_AI(us_p_eye_like, k, "k", 0), US_ATTR_END};
const us_schema eye_like_schemas[] = {
    {9, eye_like_in, eye_like_out, eye_like_attrs, sizeof(us_p_eye_like), NULL},
    {22, eye_like_in, eye_like_out, eye_like_attrs, sizeof(us_p_eye_like), NULL},
    {0}};

static const us_param non_zero_in[] = {
    {"X", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param non_zero_out[] = {{"Y", '\0', US_M(I64), 0}, US_PARAM_END};
const us_schema non_zero_schemas[] = {
    {9, non_zero_in, non_zero_out, NULL, 0, NULL},
    {13, non_zero_in, non_zero_out, NULL, 0, NULL},
    {0}};

static const us_param trilu_in[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, {"k", '\0', US_M(I64), US_P_OPTIONAL},
    US_PARAM_END};
static const us_param trilu_out[] = {
    {"output", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row trilu_attrs[] = {US_AI(us_p_trilu, upper, "upper", 1), US_ATTR_END};
const us_schema trilu_schemas[] = {
    {14, trilu_in, trilu_out, trilu_attrs, sizeof(us_p_trilu), NULL},
    {0}};
/* clang-format on */

/* --- Constant ------------------------------------------------------------------------------------ */

/* How many attributes give a value; the last of them as a tensor that borrows from the node. */
static int constant_of(us_ctx *c, const us_p_constant *p, us_tensor *t)
{
    const struct {
        bool given;
        us_dtype type;
        int rank;
        size_t n;
        const void *data;
    } forms[] = {
        {p->has_value_float, US_F32, 0, 1, &p->value_float},
        {p->has_value_int, US_I64, 0, 1, &p->value_int},
        {p->has_value_string, US_STRING, 0, 1, &p->value_string},
        {p->value_floats.n > 0, US_F32, 1, p->value_floats.n, p->value_floats.p},
        {p->value_ints.n > 0, US_I64, 1, p->value_ints.n, p->value_ints.p},
        {p->value_strings.n > 0, US_STRING, 1, p->value_strings.n, p->value_strings.p}};
    int n = p->value != NULL;
    if (p->value) *t = *p->value;
    for (size_t i = 0; i < US_LEN(forms); i++) {
        if (!forms[i].given) continue;
        union {
            const void *in;
            void *out;
        } borrowed = {.in = forms[i].data}; /* only read through the tensor */
        n += us_tensor_init(c, t, forms[i].type, forms[i].rank,
                            (int64_t[]){(int64_t)forms[i].n}, borrowed.out) == US_OK;
    }
    return n;
}

/* Why a Constant cannot be told; NULL when it can. Two values would leave it open which is meant. */
static const char *constant_why_not(int n)
{
    return n == 1 ? NULL
           : n    ? "several attributes give its value, expected one"
                  : "holds no dense value";
}

us_err constant_infer(us_infer *k)
{
    us_tensor t;
    us_dim d[US_MAX_RANK];
    const char *why = constant_why_not(constant_of(k->c, k->params, &t));
    if (why) return us_infer_fail(k, US_UNSUPP, why);
    for (int i = 0; i < t.rank; i++)
        d[i] = US_DIM(t.dims[i]);
    return us_infer_out(k, 0, t.dtype, t.rank, d);
}

us_err constant_eval(us_eval *k)
{
    us_tensor t;
    const char *why = constant_why_not(constant_of(k->c, k->params, &t));
    if (why) return us_eval_fail(k, US_UNSUPP, "%s", why);
    return us_eval_put_view(k, 0, &t);
}

us_err constant_of_shape_infer(us_infer *k)
{
    const us_p_constant_of_shape *p = k->params;
    us_dtype t = p->value ? p->value->dtype : US_F32;
    us_dim d[US_MAX_RANK];
    size_t n;
    bool known;
    US_TRY(us_infer_shape(k, 0, &known, &n, d));
    return us_infer_out(k, 0, t, known ? (int)n : -1, d);
}

us_err constant_of_shape_eval(us_eval *k)
{
    const us_p_constant_of_shape *p = k->params;
    const int64_t *d;
    size_t n;
    float zero = 0;
    us_tensor v, *y;
    US_TRY(us_eval_ints(k, 0, &n, &d));
    if (n > US_MAX_RANK) return us_eval_fail(k, US_SHAPE, "%zu dimensions", n);
    if (p->value && us_tensor_count(p->value) == 1)
        v = *p->value;
    else if (p->value)
        return us_eval_fail(k, US_SHAPE, "value must have one element");
    else
        US_TRY(us_tensor_init(k->c, &v, US_F32, 0, NULL, &zero));
    v.rank = 0;
    US_TRY(us_eval_out(k, 0, v.dtype, (int)n, d, &y));
    if (us_dtype_get(v.dtype)->bits < 8) { /* packed: no strides, so element by element */
        int64_t x = us_tensor_i64_at(&v, 0);
        for (int64_t i = 0, all = us_tensor_count(y); i < all; i++)
            us_dtype_get(v.dtype)->from_i64(y->data, (size_t)i, 1, &x);
        return US_OK;
    }
    US_TRY(us_tensor_broadcast_view(k->c, &v, (int)n, d, &v));
    return us_tensor_copy(k->c, y, &v);
}

/* --- Range --------------------------------------------------------------------------------------- */

/* One whole number or size given as input i. */
static bool one_dim(us_infer *k, size_t i, us_dim *out)
{
    const us_dim *d;
    size_t n;
    if (!us_infer_in_dims(k, i, &n, &d) || n != 1) return false;
    *out = d[0];
    return true;
}

/* max(ceil((to - from) / step), 0) of sizes that are symbols. */
static us_err range_symbol(us_infer *k, us_dim from, us_dim to, int64_t step, us_dim *out)
{
    us_syms *s = &k->m->syms;
    US_TRY(step > 0 ? us_dim_sub(k->c, s, to, from, out) : us_dim_sub(k->c, s, from, to, out));
    int64_t pace = step > 0 ? step : -step;
    US_TRY(us_dim_add(k->c, s, *out, US_DIM(pace - 1), out));
    US_TRY(us_dim_div(k->c, s, *out, pace, out));
    return us_dim_max(k->c, s, *out, US_DIM(0), out);
}

us_err range_infer(us_infer *k)
{
    const us_tensor *a = us_infer_const(k, 0), *b = us_infer_const(k, 1),
                    *s = us_infer_const(k, 2);
    us_dim from, to, step, n_dim;
    if (!a || !b || !s || us_tensor_count(a) != 1 || us_tensor_count(b) != 1 ||
        us_tensor_count(s) != 1) {
        bool known = one_dim(k, 0, &from) && one_dim(k, 1, &to) && one_dim(k, 2, &step) &&
                     us_dim_known(step) && step.add != 0 && step.add > INT32_MIN &&
                     step.add <= INT32_MAX;
        if (!known) return us_infer_rank(k, 0, US_DT_NONE, 1);
        US_TRY(range_symbol(k, from, to, step.add, &n_dim));
        return us_infer_out(k, 0, US_DT_NONE, 1, &n_dim);
    }
    double n = ceil((us_tensor_f64_at(b, 0) - us_tensor_f64_at(a, 0)) / us_tensor_f64_at(s, 0));
    if (!(n < (double)US_MAX_ELEMENTS)) return us_infer_fail(k, US_SHAPE, "endless range");
    return us_infer_out(k, 0, US_DT_NONE, 1, (us_dim[]){US_DIM(n > 0 ? (int64_t)n : 0)});
}

us_err range_eval(us_eval *k)
{
    const us_tensor *t;
    us_tensor *y;
    double a, b, s;
    US_TRY(us_eval_in(k, 0, &t));
    US_TRY(us_eval_scalar(k, 0, 0, &a));
    US_TRY(us_eval_scalar(k, 1, 0, &b));
    US_TRY(us_eval_scalar(k, 2, 1, &s));
    double n = ceil((b - a) / s);
    if (s == 0 || !(n < (double)US_MAX_ELEMENTS))
        return us_eval_fail(k, US_SHAPE, "endless range");
    int64_t count = n > 0 ? (int64_t)n : 0, from = us_tensor_i64_at(t, 0);
    US_TRY(us_eval_out(k, 0, t->dtype, 1, &count, &y));
    const us_dtype_info *info = us_dtype_get(t->dtype);
    for (int64_t i = 0; i < count; i++) {
        double v = a + (double)i * s;
        int64_t w = (int64_t)((uint64_t)from +
                              (uint64_t)i * (uint64_t)us_tensor_i64_at(&k->in[2]->t, 0));
        if (info->cls == US_DC_FLOAT)
            info->from_f64(y->data, (size_t)i, 1, &v);
        else
            info->from_i64(y->data, (size_t)i, 1, &w);
    }
    return US_OK;
}

/* --- OneHot -------------------------------------------------------------------------------------- */

us_err one_hot_infer(us_infer *k)
{
    const us_p_one_hot *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    const us_tensor *depth = us_infer_const(k, 1);
    int axis;
    us_dim d[US_MAX_RANK + 1];
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (x->rank + 1 > US_MAX_RANK)
        return us_infer_fail(k, US_SHAPE, "result has too many dimensions");
    US_TRY(us_infer_axis(k, p->axis, x->rank + 1, &axis));
    for (int i = 0, j = 0; i <= x->rank; i++)
        if (i != axis) d[i] = x->dims[j++];
    double n = depth && us_tensor_count(depth) == 1 ? us_tensor_f64_at(depth, 0) : -1;
    if (n >= 0 && n <= (double)US_MAX_ELEMENTS)
        d[axis] = US_DIM((int64_t)n);
    else
        US_TRY(us_infer_fresh(k, &d[axis]));
    return us_infer_out(k, 0, US_DT_NONE, x->rank + 1, d);
}

us_err one_hot_eval(us_eval *k)
{
    const us_p_one_hot *p = k->params;
    const us_tensor *x;
    us_tensor index, values, *y;
    double depth_d;
    int axis;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_as(k, x, US_F64, &index));
    US_TRY(us_eval_scalar(k, 1, 0, &depth_d));
    US_TRY(us_eval_in_dense(k, 2, &values));
    if (us_tensor_count(&values) != 2 || !(depth_d >= 0 && depth_d < 1e12) ||
        x->rank + 1 > US_MAX_RANK)
        return us_eval_fail(k, US_SHAPE, "needs a depth and two values");
    US_TRY(us_eval_axis(k, p->axis, x->rank + 1, &axis));
    int64_t dims[US_MAX_RANK], depth = (int64_t)depth_d;
    for (int i = 0, j = 0; i <= x->rank; i++)
        dims[i] = i == axis ? depth : x->dims[j++];
    US_TRY(us_eval_out(k, 0, values.dtype, x->rank + 1, dims, &y));
    us_tensor off = values;
    off.rank = 0;
    US_TRY(us_tensor_broadcast_view(k->c, &off, y->rank, y->dims, &off));
    US_TRY(us_tensor_copy(k->c, y, &off));
    size_t size = us_dtype_get(values.dtype)->bits / 8;
    int64_t inner = us_dims_product(dims, axis + 1, y->rank), n = us_tensor_count(x);
    for (int64_t i = 0; i < n; i++) {
        double v = ((double *)index.data)[i];
        int64_t hot = v >= -depth_d && v < depth_d ? (int64_t)v : depth;
        if (hot < 0) hot += depth;
        if (hot < depth)
            memcpy(us_at(y, (i / inner * depth + hot) * inner + i % inner), us_at(&values, 1),
                   size);
    }
    return US_OK;
}

/* --- EyeLike, Trilu, NonZero --------------------------------------------------------------------- */

us_err eye_like_infer(us_infer *k)
{
    const us_p_eye_like *p = k->params;
    const us_type *x = us_infer_in(k, 0);
    us_dtype t = p->has_dtype ? (us_dtype)p->dtype : x ? x->dtype : US_DT_NONE;
    if (!x || x->kind != US_KIND_TENSOR || x->rank < 0) return us_infer_rank(k, 0, t, 2);
    return us_infer_out(k, 0, t, x->rank, x->dims);
}

us_err eye_like_eval(us_eval *k)
{
    const us_p_eye_like *p = k->params;
    const us_tensor *x;
    us_tensor *y;
    US_TRY(us_eval_in(k, 0, &x));
    us_dtype t = p->has_dtype ? (us_dtype)p->dtype : x->dtype;
    if (x->rank != 2) return us_eval_fail(k, US_SHAPE, "input of rank %d, expected 2", x->rank);
    if (!us_dtype_get(t)->from_f64) return us_eval_no_type(k, t);
    US_TRY(us_eval_out(k, 0, t, 2, x->dims, &y));
    for (int64_t i = 0, n = us_tensor_count(y); i < n; i++) {
        double v = i % x->dims[1] - i / x->dims[1] == p->k;
        us_dtype_get(t)->from_f64(y->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

US_INFER_AS(trilu, us_infer_same)
us_err trilu_eval(us_eval *k)
{
    const us_p_trilu *p = k->params;
    us_tensor x, *y;
    double diagonal;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_scalar(k, 1, 0, &diagonal));
    if (x.rank < 2)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, expected 2 or more", x.rank);
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    if (y->data != x.data) US_TRY(us_tensor_copy(k->c, y, &x));
    int64_t rows = x.dims[x.rank - 2], cols = x.dims[x.rank - 1], n = us_tensor_count(&x);
    size_t size = us_dtype_get(x.dtype)->bits / 8;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)(i % cols - i / cols % rows);
        if (p->upper ? d < diagonal : d > diagonal) memset(us_at(y, i), 0, size);
    }
    return US_OK;
}

us_err non_zero_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[2];
    if (!x) return us_infer_rank(k, 0, US_I64, 2);
    d[0] = US_DIM(x->rank ? x->rank : 1);
    US_TRY(us_infer_fresh(k, &d[1]));
    return us_infer_out(k, 0, US_I64, 2, d);
}

/* Input 0 as numbers that are 0 where it has nothing: 0, false, an empty text. */
static us_err presence(us_eval *k, const double **out)
{
    us_tensor x, wide;
    double *v;
    US_TRY(us_eval_in_dense(k, 0, &x));
    const us_dclass cls = (us_dclass)us_dtype_get(x.dtype)->cls;
    if (cls != US_DC_COMPLEX && x.dtype != US_STRING) {
        US_TRY(us_eval_as(k, &x, US_F64, &wide));
        *out = wide.data;
        return US_OK;
    }
    size_t n = (size_t)us_tensor_count(&x);
    US_TRY(us_eval_scratch(k, (n + 1) * sizeof *v, (void **)&v));
    if (cls == US_DC_COMPLEX) US_TRY(us_eval_parts(k, &x, &wide));
    for (size_t i = 0; i < n; i++) {
        const double *c = cls == US_DC_COMPLEX ? (const double *)wide.data + 2 * i : NULL;
        v[i] = c ? c[0] != 0 || c[1] != 0 : ((const us_sv *)x.data)[i].n != 0;
    }
    *out = v;
    return US_OK;
}

us_err non_zero_eval(us_eval *k)
{
    const us_tensor *x;
    us_tensor *y;
    const double *v;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(presence(k, &v));
    int64_t n = us_tensor_count(x), count = 0, rank = x->rank ? x->rank : 1;
    for (int64_t i = 0; i < n; i++)
        count += v[i] != 0;
    US_TRY(us_eval_out(k, 0, US_I64, 2, (int64_t[]){rank, count}, &y));
    int64_t *out = y->data, at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (v[i] == 0) continue;
        int64_t rest = i;
        if (x->rank == 0) out[at] = 0;
        for (int j = x->rank - 1; j >= 0; j--) {
            out[j * count + at] = rest % x->dims[j];
            rest /= x->dims[j];
        }
        at++;
    }
    return US_OK;
}
