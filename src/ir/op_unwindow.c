/* ir/op_unwindow.c - Col2Im and MaxUnpool: from what windows saw back to the picture.
 *
 * Source: the ONNX documents. MaxUnpool's indices count in the picture that kernel, strides and pads give; a
 * larger output_shape only adds zeros at the ends (the official test).
 */
#include "ir/op_f64.h"
#include "ir/op_window.h"

#include <string.h>

/* clang-format off */
static const us_param col2im_in[] = {
    {"input", 'T', US_M_ALL, 0}, {"image_shape", '\0', US_M(I64), 0}, {"block_shape", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_param col2im_out[] = {{"output", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row col2im_attrs[] = {
    US_AIS(us_p_col2im, dilations, "dilations"), US_AIS(us_p_col2im, pads, "pads"),
    US_AIS(us_p_col2im, strides, "strides"), US_ATTR_END};
const us_schema col2im_schemas[] = {
    {18, col2im_in, col2im_out, col2im_attrs, sizeof(us_p_col2im), NULL},
    {0}};

static const us_param max_unpool_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"I", 'I', US_M(I64), 0}, {"output_shape", 'I', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_param max_unpool_out[] = {{"output", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row max_unpool_attrs[] = {
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_max_unpool, kernel_shape), .required = true},
    US_AIS(us_p_max_unpool, pads, "pads"), US_AIS(us_p_max_unpool, strides, "strides"), US_ATTR_END};
const us_schema max_unpool_schemas[] = {
    {9, max_unpool_in, max_unpool_out, max_unpool_attrs, sizeof(us_p_max_unpool), NULL},
    {11, max_unpool_in, max_unpool_out, max_unpool_attrs, sizeof(us_p_max_unpool), NULL},
    {22, max_unpool_in, max_unpool_out, max_unpool_attrs, sizeof(us_p_max_unpool), NULL},
    {0}};
/* clang-format on */

/* --- Col2Im -------------------------------------------------------------------------------------- */

us_err col2im_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    int64_t block[US_MAX_RANK], taps = 1;
    us_dim image[US_MAX_RANK], d[US_MAX_RANK];
    size_t n, m;
    bool blocks = us_infer_ints(k, 2, US_MAX_RANK, block, &m), known;
    US_TRY(us_infer_shape(k, 1, &known, &n, image));
    if (!known) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (n + 2 > US_MAX_RANK || (blocks && m != n) || (x && x->rank != 3))
        return us_infer_fail(k, US_SHAPE, "image_shape, block_shape and input do not fit");
    for (size_t i = 0; blocks && i < m; i++) {
        if (block[i] < 1 || taps > US_MAX_ELEMENTS / block[i])
            return us_infer_fail(k, US_SHAPE, "block_shape out of range");
        taps *= block[i];
    }
    for (int i = 0; i < 2; i++)
        US_TRY(us_infer_fresh(k, &d[i]));
    if (x) d[0] = x->dims[0];
    if (x && blocks && us_dim_known(x->dims[1])) d[1] = US_DIM(x->dims[1].add / taps);
    memcpy(d + 2, image, n * sizeof *d);
    return us_infer_out(k, 0, US_DT_NONE, (int)n + 2, d);
}

/* Adds the columns of one plane, elements of `size` bytes, to its picture. */
static void add_columns(const us_window *w, int64_t taps, int64_t places, const char *x,
                        char *y, int64_t size, us_bin_fn *add)
{
    int64_t kp[US_MAX_RANK] = {0};
    for (int64_t t = 0; t < taps; t++, us_window_next(w->n, w->kernel, kp)) {
        int64_t op[US_MAX_RANK] = {0};
        for (int64_t o = 0; o < places; o++, us_window_next(w->n, w->out, op)) {
            int64_t at = 0;
            bool inside = true;
            for (int i = 0; i < w->n; i++) {
                int64_t q = op[i] * w->stride[i] - w->begin[i] + kp[i] * w->dilation[i];
                inside = inside && q >= 0 && q < w->in[i];
                at = at * w->in[i] + q;
            }
            if (inside) add(y + at * size, y + at * size, x + (t * places + o) * size, 1, 1, 1);
        }
    }
}

us_err col2im_eval(us_eval *k)
{
    const us_p_col2im *p = k->params;
    const us_tensor *in;
    us_tensor x, *y, sums;
    us_window w;
    const int64_t *image, *block;
    size_t n, m;
    int64_t dims[US_MAX_RANK], taps, places, size;
    US_TRY(us_eval_in(k, 0, &in));
    /* floats are summed in double; integers wrap and stay exact, as in every other sum of them */
    bool is_float = us_dtype_get(in->dtype)->cls == US_DC_FLOAT;
    us_dtype t = is_float ? US_F64 : in->dtype;
    us_bin_fn *add = us_binary_plain(US_BIN_ADD, t);
    if (!add) return us_eval_no_type(k, t);
    if (in->rank != 3) return us_eval_fail(k, US_SHAPE, "input of rank %d", (int)in->rank);
    US_TRY(us_eval_as(k, in, t, &x));
    US_TRY(us_eval_ints(k, 1, &n, &image));
    US_TRY(us_eval_ints(k, 2, &m, &block));
    if (n < 1 || n + 2 > US_MAX_RANK || n != m)
        return us_eval_fail(k, US_SHAPE, "image_shape has %zu sizes, block_shape %zu", n, m);
    for (size_t i = 0; i < n; i++)
        if (image[i] < 0 || image[i] > US_MAX_ELEMENTS)
            return us_eval_fail(k, US_SHAPE, "image_shape out of range");
    us_window_attrs a = {{block, m}, p->strides, p->dilations, p->pads, US_SV("NOTSET"), false};
    const char *bad = us_window_set(&w, (int)n, image, &a);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    if (!us_dims_count(w.n, w.kernel, &taps) || !us_dims_count(w.n, w.out, &places) ||
        !us_dims_count(w.n, w.in, &size))
        return us_eval_fail(k, US_LIMIT, "block or picture too large");
    if (x.dims[1] % taps || x.dims[2] != places)
        return us_eval_fail(
            k, US_SHAPE,
            "input of %lld rows and %lld columns for blocks of %lld at %lld places",
            (long long)x.dims[1], (long long)x.dims[2], (long long)taps, (long long)places);
    dims[0] = x.dims[0];
    dims[1] = x.dims[1] / taps;
    memcpy(dims + 2, image, n * sizeof *dims);
    US_TRY(us_eval_out(k, 0, in->dtype, w.n + 2, dims, &y));
    sums = *y;
    if (is_float) {
        US_TRY(us_tensor_init(k->c, &sums, t, w.n + 2, dims, NULL));
        US_TRY(us_eval_scratch(k, us_tensor_bytes(&sums) + 1, &sums.data));
    }
    size_t bytes = us_tensor_bytes(&sums);
    if (bytes) memset(sums.data, 0, bytes);
    US_TRY(us_eval_work(k, (double)us_tensor_count(&x) * w.n));
    const bool any = bytes && us_tensor_count(&x); /* else dimensions may be absurd */
    for (int64_t i = 0; any && i < dims[0] * dims[1]; i++)
        add_columns(&w, taps, places, us_at(&x, i * taps * places), us_at(&sums, i * size),
                    us_dtype_get(t)->bits / 8, add);
    return is_float ? us_tensor_convert(k->c, y, &sums) : US_OK;
}

/* --- MaxUnpool ----------------------------------------------------------------------------------- */

/* Sizes of the picture before pooling, one per spatial dimension. NULL, or what is wrong. */
static const char *before_pooling(const us_p_max_unpool *p, int n, const int64_t *in,
                                  int64_t *out)
{
    const int64_t most = (int64_t)1 << 20;
    size_t m = (size_t)n;
    if (p->kernel_shape.n != m || (p->strides.n && p->strides.n != m) ||
        (p->pads.n && p->pads.n != 2 * m))
        return "kernel_shape, strides or pads do not fit the input's rank";
    for (int i = 0; i < n; i++) {
        int64_t stride = p->strides.n ? p->strides.p[i] : 1, kernel = p->kernel_shape.p[i];
        int64_t b = p->pads.n ? p->pads.p[i] : 0, e = p->pads.n ? p->pads.p[n + i] : 0;
        if (stride < 1 || stride > most || kernel < 1 || kernel > most || b < 0 || b > most ||
            e < 0 || e > most)
            return "kernel, stride or padding out of range";
        if (in[i] < 0) {
            out[i] = -1;
            continue;
        }
        if (in[i] > most) return "a dimension is out of range";
        out[i] = (in[i] - 1) * stride + kernel - b - e;
        if (out[i] < 0) return "the picture would have a negative size";
    }
    return NULL;
}

us_err max_unpool_infer(us_infer *k)
{
    const us_p_max_unpool *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_dim shape[US_MAX_RANK], d[US_MAX_RANK];
    int64_t in[US_MAX_RANK], out[US_MAX_RANK];
    size_t n;
    bool known;
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (us_infer_has(k, 2)) {
        US_TRY(us_infer_shape(k, 2, &known, &n, shape));
        if (!known) return us_infer_rank(k, 0, US_DT_NONE, x->rank);
        if (n != (size_t)x->rank)
            return us_infer_fail(k, US_SHAPE, "output_shape does not fit the input's rank");
        return us_infer_out(k, 0, US_DT_NONE, x->rank, shape);
    }
    if (x->rank < 3) return us_infer_fail(k, US_SHAPE, "input needs batch, channels, space");
    for (int i = 2; i < x->rank; i++)
        in[i - 2] = us_dim_known(x->dims[i]) ? x->dims[i].add : -1;
    const char *bad = before_pooling(p, x->rank - 2, in, out);
    if (bad) return us_infer_fail(k, US_SHAPE, bad);
    us_copy_dims(d, x);
    for (int i = 2; i < x->rank; i++) {
        if (out[i - 2] >= 0)
            d[i] = US_DIM(out[i - 2]);
        else
            US_TRY(us_infer_fresh(k, &d[i]));
    }
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

us_err max_unpool_eval(us_eval *k)
{
    const us_p_max_unpool *p = k->params;
    us_tensor x;
    const us_tensor *it;
    const int64_t *index, *shape;
    int64_t small[US_MAX_RANK], dims[US_MAX_RANK], strides[US_MAX_RANK], count;
    size_t n, n_shape;
    double *y;
    US_TRY(us_eval_f64(k, 0, -1, &x, NULL));
    US_TRY(us_eval_in(k, 1, &it));
    US_TRY(us_eval_ints(k, 1, &n, &index));
    US_TRY(us_eval_ints(k, 2, &n_shape, &shape));
    if (x.rank < 3) return us_eval_fail(k, US_SHAPE, "input of rank %d", x.rank);
    US_TRY(us_eval_want_dims(k, 1, it, x.rank, x.dims));
    memcpy(small, x.dims, 2 * sizeof *small);
    const char *bad = before_pooling(p, x.rank - 2, x.dims + 2, small + 2);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    if (!us_dims_count(x.rank, small, &count))
        return us_eval_fail(k, US_LIMIT, "picture too large");
    if (n_shape && n_shape != (size_t)x.rank)
        return us_eval_fail(k, US_SHAPE, "output_shape has %zu sizes", n_shape);
    for (int i = 0; i < x.rank; i++) {
        dims[i] = n_shape ? shape[i] : small[i];
        if (dims[i] < small[i])
            return us_eval_fail(k, US_SHAPE, "output_shape is smaller than the picture");
    }
    US_TRY(us_eval_room(k, x.rank, dims, &y));
    us_dims_strides(x.rank, dims, strides);
    for (size_t i = 0; i < n; i++) {
        int64_t pos[US_MAX_RANK], at = 0;
        if (index[i] < 0 || index[i] >= count)
            return us_eval_fail(k, US_ARG, "index %lld of %lld", (long long)index[i],
                                (long long)count);
        us_window_at(x.rank, small, index[i], pos);
        for (int j = 0; j < x.rank; j++)
            at += pos[j] * strides[j];
        y[at] = ((const double *)x.data)[i];
    }
    return us_eval_put_f64(k, 0, us_eval_opt(k, 0)->dtype, x.rank, dims, y);
}
