/* ir/op_center_crop_pad.c - CenterCropPad: cut or padded with zeros on both sides to the shape asked for.
 *
 * Source: the ONNX document; an odd pixel goes to the end, when cutting as when padding.
 */
#include "ir/op_util.h"

#include <string.h>

/* clang-format off */
static const us_param crop_in[] = {
    {"input_data", 'T', US_M_ALL, 0}, {"shape", 'I', US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_param crop_out[] = {{"output_data", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row crop_attrs[] = {US_AIS(us_p_center_crop_pad, axes, "axes"), US_ATTR_END};
const us_schema center_crop_pad_schemas[] = {
    {18, crop_in, crop_out, crop_attrs, sizeof(us_p_center_crop_pad), NULL},
    {0}};
/* clang-format on */

static bool axis_of(const us_p_center_crop_pad *p, size_t i, int rank, int *axis)
{
    return us_axis_norm(p->axes.n ? p->axes.p[i] : (int64_t)i, rank, axis);
}

us_err center_crop_pad_infer(us_infer *k)
{
    const us_p_center_crop_pad *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_dim shape[US_MAX_RANK], d[US_MAX_RANK];
    size_t m, n;
    bool known;
    int a;
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    n = p->axes.n ? p->axes.n : (size_t)x->rank;
    us_copy_dims(d, x);
    US_TRY(us_infer_shape(k, 1, &known, &m, shape));
    if (known && m != n) return us_infer_fail(k, US_SHAPE, "shape and axes differ in length");
    for (size_t i = 0; i < n; i++) {
        if (!axis_of(p, i, x->rank, &a))
            return us_infer_fail(k, US_SHAPE, "axes do not fit the input's rank");
        if (known)
            d[a] = shape[i];
        else
            US_TRY(us_infer_fresh(k, &d[a]));
    }
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

/* Where the shared middle begins in something of size n, of which `part` are taken. */
static int64_t middle(int64_t n, int64_t part)
{
    return (n - part) / 2;
}

us_err center_crop_pad_eval(us_eval *k)
{
    const us_p_center_crop_pad *p = k->params;
    const us_tensor *x;
    us_tensor *y;
    const int64_t *shape;
    size_t m;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &m, &shape));
    if (us_dtype_get(x->dtype)->bits % 8) return us_eval_no_type(k, x->dtype);
    if (m != (p->axes.n ? p->axes.n : (size_t)x->rank))
        return us_eval_fail(k, US_SHAPE, "shape has %zu sizes", m);
    memcpy(dims, x->dims, sizeof dims);
    for (size_t i = 0; i < m; i++) {
        int a;
        if (!axis_of(p, i, x->rank, &a))
            return us_eval_fail(k, US_SHAPE, "axes do not fit an input of rank %d", x->rank);
        if (shape[i] < 0) return us_eval_fail(k, US_SHAPE, "a size is negative");
        dims[a] = shape[i];
    }
    US_TRY(us_eval_out(k, 0, x->dtype, x->rank, dims, &y));
    if (us_tensor_bytes(y)) memset(y->data, 0, us_tensor_bytes(y));
    us_tensor from = *x, to = *y;
    for (int i = 0; i < x->rank; i++) {
        int64_t part = US_MIN(x->dims[i], dims[i]);
        from.data = us_at(&from, middle(x->dims[i], part) * from.strides[i]);
        to.data = us_at(&to, middle(dims[i], part) * to.strides[i]);
        from.dims[i] = to.dims[i] = part;
    }
    return us_tensor_count(&to) ? us_tensor_copy(k->c, &to, &from) : US_OK;
}
