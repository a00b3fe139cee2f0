/* ir/op_shape.c - operators that change or tell the shape and leave the elements as they are. */
#include "ir/op_util.h"

#include <string.h>

static us_upgrade_fn upgrade_shape;

/* clang-format off */
static const us_param reshape_in[] = {{"data", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_param reshape_out[] = {{"reshaped", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row reshape_attrs[] = {
    US_AIS(us_p_reshape, consumed_inputs, "consumed_inputs"), US_AIS(us_p_reshape, shape, "shape"), US_ATTR_END};
static const us_param reshape_in_5[] = {{"data", 'T', US_M_ALL, 0}, {"shape", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_attr_row reshape_attrs_14[] = {US_AI(us_p_reshape, allowzero, "allowzero", 0), US_ATTR_END};
const us_schema reshape_schemas[] = {
    {1, reshape_in, reshape_out, reshape_attrs, sizeof(us_p_reshape), upgrade_shape},
    {5, reshape_in_5, reshape_out, NULL, sizeof(us_p_reshape), NULL},
    {13, reshape_in_5, reshape_out, NULL, sizeof(us_p_reshape), NULL},
    {14, reshape_in_5, reshape_out, reshape_attrs_14, sizeof(us_p_reshape), NULL},
    {19, reshape_in_5, reshape_out, reshape_attrs_14, sizeof(us_p_reshape), NULL},
    {21, reshape_in_5, reshape_out, reshape_attrs_14, sizeof(us_p_reshape), NULL},
    {23, reshape_in_5, reshape_out, reshape_attrs_14, sizeof(us_p_reshape), NULL},
    {24, reshape_in_5, reshape_out, reshape_attrs_14, sizeof(us_p_reshape), NULL},
    {25, reshape_in_5, reshape_out, reshape_attrs_14, sizeof(us_p_reshape), NULL},
    {0}};

static const us_param flatten_in[] = {{"input", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_param flatten_out[] = {{"output", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row flatten_attrs[] = {US_AI(us_p_flatten, axis, "axis", 1), US_ATTR_END};
const us_schema flatten_schemas[] = {
    {1, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {9, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {11, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {13, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {21, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {23, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {24, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {25, flatten_in, flatten_out, flatten_attrs, sizeof(us_p_flatten), NULL},
    {0}};

static const us_param squeeze_out[] = {{"squeezed", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row squeeze_attrs[] = {US_AIS(us_p_squeeze, axes, "axes"), US_ATTR_END};
static const us_param squeeze_in_13[] = {
    {"data", 'T', US_M_ALL, 0}, {"axes", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
const us_schema squeeze_schemas[] = {
    {1, reshape_in, squeeze_out, squeeze_attrs, sizeof(us_p_squeeze), NULL},
    {11, reshape_in, squeeze_out, squeeze_attrs, sizeof(us_p_squeeze), us_upgrade_axes},
    {13, squeeze_in_13, squeeze_out, NULL, sizeof(us_p_squeeze), NULL},
    {21, squeeze_in_13, squeeze_out, NULL, sizeof(us_p_squeeze), NULL},
    {23, squeeze_in_13, squeeze_out, NULL, sizeof(us_p_squeeze), NULL},
    {24, squeeze_in_13, squeeze_out, NULL, sizeof(us_p_squeeze), NULL},
    {25, squeeze_in_13, squeeze_out, NULL, sizeof(us_p_squeeze), NULL},
    {0}};

static const us_param unsqueeze_out[] = {{"expanded", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row unsqueeze_attrs[] = {
    {.name = "axes", .kind = US_AT_INTS, .offset = offsetof(us_p_unsqueeze, axes), .required = true}, US_ATTR_END};
static const us_param unsqueeze_in_13[] = {{"data", 'T', US_M_ALL, 0}, {"axes", '\0', US_M(I64), 0}, US_PARAM_END};
const us_schema unsqueeze_schemas[] = {
    {1, reshape_in, unsqueeze_out, unsqueeze_attrs, sizeof(us_p_unsqueeze), NULL},
    {11, reshape_in, unsqueeze_out, unsqueeze_attrs, sizeof(us_p_unsqueeze), us_upgrade_axes},
    {13, unsqueeze_in_13, unsqueeze_out, NULL, sizeof(us_p_unsqueeze), NULL},
    {21, unsqueeze_in_13, unsqueeze_out, NULL, sizeof(us_p_unsqueeze), NULL},
    {23, unsqueeze_in_13, unsqueeze_out, NULL, sizeof(us_p_unsqueeze), NULL},
    {24, unsqueeze_in_13, unsqueeze_out, NULL, sizeof(us_p_unsqueeze), NULL},
    {25, unsqueeze_in_13, unsqueeze_out, NULL, sizeof(us_p_unsqueeze), NULL},
    {0}};

static const us_param shape_out[] = {{"shape", '1', US_M(I64), 0}, US_PARAM_END};
static const us_attr_row shape_attrs[] = {
    {.name = "end", .kind = US_AT_INT, .offset = offsetof(us_p_shape, end), .has_offset = offsetof(us_p_shape, has_end)},
    US_AI(us_p_shape, start, "start", 0), US_ATTR_END};
const us_schema shape_schemas[] = {
    {1, reshape_in, shape_out, NULL, sizeof(us_p_shape), NULL},
    {13, reshape_in, shape_out, NULL, sizeof(us_p_shape), NULL},
    {15, reshape_in, shape_out, shape_attrs, sizeof(us_p_shape), NULL},
    {19, reshape_in, shape_out, shape_attrs, sizeof(us_p_shape), NULL},
    {21, reshape_in, shape_out, shape_attrs, sizeof(us_p_shape), NULL},
    {23, reshape_in, shape_out, shape_attrs, sizeof(us_p_shape), NULL},
    {24, reshape_in, shape_out, shape_attrs, sizeof(us_p_shape), NULL},
    {25, reshape_in, shape_out, shape_attrs, sizeof(us_p_shape), NULL},
    {0}};

static const us_param size_out[] = {{"size", '1', US_M(I64), 0}, US_PARAM_END};
const us_schema size_schemas[] = {
    {1, reshape_in, size_out, NULL, 0, NULL},
    {13, reshape_in, size_out, NULL, 0, NULL},
    {19, reshape_in, size_out, NULL, 0, NULL},
    {21, reshape_in, size_out, NULL, 0, NULL},
    {23, reshape_in, size_out, NULL, 0, NULL},
    {24, reshape_in, size_out, NULL, 0, NULL},
    {25, reshape_in, size_out, NULL, 0, NULL},
    {0}};

static const us_param identity_in[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param identity_out[] = {
    {"output", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param identity_in_14[] = {{"input", 'V', US_M_ALL, US_P_OPT | US_P_SEQ}, US_PARAM_END};
static const us_param identity_out_14[] = {{"output", 'V', US_M_ALL, US_P_OPT | US_P_SEQ}, US_PARAM_END};
const us_schema identity_schemas[] = {
    {1, identity_in, identity_out, NULL, 0, NULL},
    {13, identity_in, identity_out, NULL, 0, NULL},
    {14, identity_in_14, identity_out_14, NULL, 0, NULL},
    {16, identity_in_14, identity_out_14, NULL, 0, NULL},
    {19, identity_in_14, identity_out_14, NULL, 0, NULL},
    {21, identity_in_14, identity_out_14, NULL, 0, NULL},
    {23, identity_in_14, identity_out_14, NULL, 0, NULL},
    {24, identity_in_14, identity_out_14, NULL, 0, NULL},
    {25, identity_in_14, identity_out_14, NULL, 0, NULL},
    {0}};
/* clang-format on */

static us_err upgrade_shape(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    US_TRY(us_upgrade_ints_to_input(c, m, g, n, "shape", 1));
    return us_upgrade_drop(c, m, g, n);
}

/* The same elements under other dims. */
static us_err put_shape(us_eval *k, int rank, const int64_t *dims)
{
    us_tensor x, *y, v;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_out(k, 0, x.dtype, rank, dims, &y));
    if (us_tensor_count(y) != us_tensor_count(&x))
        return us_eval_fail(k, US_SHAPE, "%lld elements do not fill a shape of %lld",
                            (long long)us_tensor_count(&x), (long long)us_tensor_count(y));
    if (y->data == x.data) return US_OK;
    US_TRY(us_tensor_init(k->c, &v, x.dtype, rank, dims, x.data));
    return us_tensor_copy(k->c, y, &v);
}

/* --- Reshape ------------------------------------------------------------------------------------- */

us_err reshape_infer(us_infer *k)
{
    const us_p_reshape *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_dim want[US_MAX_RANK];
    size_t n;
    bool all;
    US_TRY(us_infer_shape(k, 1, &all, &n, want));
    if (!all) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    us_dim d[US_MAX_RANK], given = US_DIM(1), all_in = US_DIM(1);
    int open = -1;
    bool done = false;
    for (size_t i = 0; i < n; i++) {
        d[i] = want[i];
        if (us_dim_known(want[i]) && want[i].add == -1) {
            open = (int)i;
        } else if (us_dim_known(want[i]) && want[i].add == 0 && !p->allowzero) {
            if (x && (int)i < x->rank)
                d[i] = x->dims[i];
            else
                US_TRY(us_infer_fresh(k, &d[i]));
        }
    }
    if (open < 0) return us_infer_out(k, 0, US_DT_NONE, (int)n, d);
    /* The open dimension: elements in over elements out, what occurs on both sides cancelled. */
    for (size_t i = 0; i < n; i++)
        if ((int)i != open) US_TRY(us_dim_mul(k->c, &k->m->syms, given, d[i], &given));
    for (int j = 0; x && j < x->rank; j++)
        US_TRY(us_dim_mul(k->c, &k->m->syms, all_in, x->dims[j], &all_in));
    if (x) US_TRY(us_dim_ratio(k->c, &k->m->syms, all_in, given, &d[open], &done));
    if (!done) US_TRY(us_infer_fresh(k, &d[open]));
    return us_infer_out(k, 0, US_DT_NONE, (int)n, d);
}

us_err reshape_eval(us_eval *k)
{
    const us_p_reshape *p = k->params;
    const us_tensor *x;
    const int64_t *want;
    size_t n;
    int64_t d[US_MAX_RANK], known = 1, total;
    int open = -1;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &n, &want));
    if (n > US_MAX_RANK) return us_eval_fail(k, US_SHAPE, "%zu dimensions", n);
    total = us_tensor_count(x);
    for (size_t i = 0; i < n; i++) {
        d[i] = want[i];
        if (want[i] == 0 && !p->allowzero) {
            if ((int)i >= x->rank)
                return us_eval_fail(k, US_SHAPE, "0 at position %zu copies nothing", i);
            d[i] = x->dims[i];
        }
        if (d[i] == -1 && open < 0)
            open = (int)i;
        else if (d[i] < 0)
            return us_eval_fail(k, US_SHAPE, "dimension %lld", (long long)d[i]);
        else if (d[i] > 0 && known > US_MAX_ELEMENTS / d[i])
            return us_eval_fail(k, US_SHAPE, "the shape asked for has too many elements");
        else
            known *= d[i];
    }
    if (open >= 0) {
        if (known == 0 || total % known)
            return us_eval_fail(k, US_SHAPE, "%lld elements cannot be cut into %lld",
                                (long long)total, (long long)known);
        d[open] = total / known;
    }
    return put_shape(k, (int)n, d);
}

/* --- Flatten ------------------------------------------------------------------------------------- */

static bool flatten_axis(int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis > rank) return false;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

us_err flatten_infer(us_infer *k)
{
    const us_p_flatten *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    int axis;
    us_dim d[2] = {US_DIM(1), US_DIM(1)};
    if (!x) return us_infer_rank(k, 0, US_DT_NONE, 2);
    if (!flatten_axis(p->axis, x->rank, &axis))
        return us_infer_fail(k, US_SHAPE, "axis out of range");
    for (int i = 0; i < x->rank; i++)
        US_TRY(us_dim_mul(k->c, &k->m->syms, d[i >= axis], x->dims[i], &d[i >= axis]));
    return us_infer_out(k, 0, US_DT_NONE, 2, d);
}

us_err flatten_eval(us_eval *k)
{
    const us_p_flatten *p = k->params;
    const us_tensor *x;
    int axis;
    US_TRY(us_eval_in(k, 0, &x));
    if (!flatten_axis(p->axis, x->rank, &axis))
        return us_eval_fail(k, US_SHAPE, "axis %lld of rank %d", (long long)p->axis, x->rank);
    return put_shape(k, 2,
                     (int64_t[]){us_dims_product(x->dims, 0, axis),
                                 us_dims_product(x->dims, axis, x->rank)});
}

/* --- Squeeze, Unsqueeze -------------------------------------------------------------------------- */

us_err squeeze_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    int64_t axes[US_MAX_RANK], m;
    size_t n = 0;
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (us_infer_has(k, 1) && !us_infer_ints(k, 1, US_MAX_RANK, axes, &n)) {
        if (us_infer_length(k, 1, &m) && m <= x->rank)
            return us_infer_rank(k, 0, US_DT_NONE, x->rank - (int)m);
        return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    }
    bool gone[US_MAX_RANK] = {false};
    for (int i = 0; i < x->rank && !us_infer_has(k, 1); i++) {
        if (!us_dim_known(x->dims[i])) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
        gone[i] = x->dims[i].add == 1;
    }
    for (size_t i = 0; i < n; i++) {
        int a;
        US_TRY(us_infer_axis(k, axes[i], x->rank, &a));
        if (us_dim_known(x->dims[a]) && x->dims[a].add != 1)
            return us_infer_fail(k, US_SHAPE, "a squeezed dimension is not 1");
        gone[a] = true;
    }
    us_dim d[US_MAX_RANK];
    int r = 0;
    for (int i = 0; i < x->rank; i++)
        if (!gone[i]) d[r++] = x->dims[i];
    return us_infer_out(k, 0, US_DT_NONE, r, d);
}

us_err squeeze_eval(us_eval *k)
{
    const us_tensor *x;
    const int64_t *axes;
    size_t n;
    bool gone[US_MAX_RANK] = {false};
    int64_t d[US_MAX_RANK];
    int r = 0;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &n, &axes));
    for (int i = 0; i < x->rank && !us_eval_opt(k, 1); i++)
        gone[i] = x->dims[i] == 1;
    for (size_t i = 0; i < n; i++) {
        int a;
        US_TRY(us_eval_axis(k, axes[i], x->rank, &a));
        if (x->dims[a] != 1)
            return us_eval_fail(k, US_SHAPE, "dimension %d is %lld, expected 1", a,
                                (long long)x->dims[a]);
        gone[a] = true;
    }
    for (int i = 0; i < x->rank; i++)
        if (!gone[i]) d[r++] = x->dims[i];
    return put_shape(k, r, d);
}

/* Where the new dimensions go; false: an axis is out of range or given twice. */
static bool new_axes(const int64_t *axes, size_t n, int rank, bool *fresh)
{
    for (int i = 0; i < rank; i++)
        fresh[i] = false;
    for (size_t i = 0; i < n; i++) {
        int a;
        if (!us_axis_norm(axes[i], rank, &a) || fresh[a]) return false;
        fresh[a] = true;
    }
    return true;
}

us_err unsqueeze_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    int64_t axes[US_MAX_RANK], m;
    size_t n;
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (!us_infer_ints(k, 1, US_MAX_RANK, axes, &n)) {
        if (us_infer_length(k, 1, &m) && m <= US_MAX_RANK - x->rank)
            return us_infer_rank(k, 0, US_DT_NONE, x->rank + (int)m);
        return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    }
    int rank = x->rank + (int)n;
    bool fresh[US_MAX_RANK];
    if (rank > US_MAX_RANK || !new_axes(axes, n, rank, fresh))
        return us_infer_fail(k, US_SHAPE, "axes out of range or given twice");
    us_dim d[US_MAX_RANK];
    for (int i = 0, j = 0; i < rank; i++)
        d[i] = fresh[i] ? US_DIM(1) : x->dims[j++];
    return us_infer_out(k, 0, US_DT_NONE, rank, d);
}

us_err unsqueeze_eval(us_eval *k)
{
    const us_tensor *x;
    const int64_t *axes;
    size_t n;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &n, &axes));
    bool fresh[US_MAX_RANK];
    int64_t d[US_MAX_RANK];
    if (n + (size_t)x->rank > US_MAX_RANK || !new_axes(axes, n, x->rank + (int)n, fresh))
        return us_eval_fail(k, US_SHAPE, "axes out of range or given twice");
    int rank = x->rank + (int)n;
    for (int i = 0, j = 0; i < rank; i++)
        d[i] = fresh[i] ? 1 : x->dims[j++];
    return put_shape(k, rank, d);
}

/* --- Shape, Size, Identity ----------------------------------------------------------------------- */

static void shape_range(const us_p_shape *p, int rank, int *from, int *to)
{
    int64_t a = p->start < 0 ? p->start + rank : p->start;
    int64_t b = !p->has_end ? rank : p->end < 0 ? p->end + rank : p->end;
    *from = (int)US_MIN(US_MAX(a, 0), (int64_t)rank);
    *to = (int)US_MAX(US_MIN(US_MAX(b, 0), (int64_t)rank), (int64_t)*from);
}

us_err shape_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    if (!x) return us_infer_rank(k, 0, US_I64, 1);
    int from, to;
    shape_range(k->params, x->rank, &from, &to);
    return us_infer_out(k, 0, US_I64, 1, (us_dim[]){US_DIM(to - from)});
}

us_err shape_eval(us_eval *k)
{
    const us_tensor *x;
    us_tensor *y;
    int from, to;
    US_TRY(us_eval_in(k, 0, &x));
    shape_range(k->params, x->rank, &from, &to);
    US_TRY(us_eval_out(k, 0, US_I64, 1, (int64_t[]){to - from}, &y));
    if (to > from) memcpy(y->data, x->dims + from, (size_t)(to - from) * sizeof(int64_t));
    return US_OK;
}

/* Integers that are known before the run. */
typedef struct ready_ints {
    size_t n;
    int64_t at[US_MAX_RANK];
} ready_ints;

static us_err give_ints(us_eval *k, const void *state, void *scratch)
{
    const ready_ints *r = state;
    (void)scratch;
    memcpy(k->out[0]->t.data, r->at, r->n * sizeof *r->at);
    return US_OK;
}

us_err shape_bind(us_eval *k, us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    int from, to;
    void *p;
    if (!x || !y) return US_OK;
    shape_range(k->params, x->rank, &from, &to);
    if (to <= from || us_tensor_count(y) != to - from) return US_OK;
    US_TRY(us_eval_keep(k, sizeof(ready_ints), &p));
    ready_ints *r = p;
    r->n = (size_t)(to - from);
    memcpy(r->at, x->dims + from, r->n * sizeof *r->at);
    *call = (us_call){.run = give_ints, .state = r, .kernel = "known"};
    return US_OK;
}

us_err size_infer(us_infer *k)
{
    return us_infer_out(k, 0, US_I64, 0, NULL);
}

us_err size_eval(us_eval *k)
{
    const us_tensor *x;
    us_tensor *y;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_out(k, 0, US_I64, 0, NULL, &y));
    *(int64_t *)y->data = us_tensor_count(x);
    return US_OK;
}

us_err size_bind(us_eval *k, us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0);
    void *p;
    if (!x || !us_eval_opt_out(k, 0)) return US_OK;
    US_TRY(us_eval_keep(k, sizeof(ready_ints), &p));
    ready_ints *r = p;
    r->n = 1;
    r->at[0] = us_tensor_count(x);
    *call = (us_call){.run = give_ints, .state = r, .kernel = "known"};
    return US_OK;
}

us_err identity_infer(us_infer *k)
{
    const us_type *x = us_infer_in(k, 0);
    return x ? us_infer_out_type(k, 0, x) : US_OK;
}

us_err identity_eval(us_eval *k)
{
    if (k->n_in && k->in[0] && k->in[0]->kind != US_KIND_TENSOR && us_eval_wants(k, 0))
        return us_value_dup(k->c, k->env->dynamic(k->env, k), k->in[0], k->out[0]);
    const us_tensor *x;
    us_tensor *y;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_out(k, 0, x->dtype, x->rank, x->dims, &y));
    return y->data == x->data ? US_OK : us_tensor_copy(k->c, y, x);
}
