/* ir/op_qconv.c - ConvInteger and QLinearConv: convolutions of 8-bit numbers, for any number of spatial dimensions.
 *
 * As Conv: output positions are unrolled into columns, at most COL_BYTES at a time, and multiplied by the weights. Operands
 * are centred first, so padding is zero whatever the zero point. Scale and zero point of the weights are one number
 * or one per output channel. This is the plain reference: plans give constant weights to the packed kernels
 * (pass/quant_layout.c, op_qconv_bind.c).
 */
#include "ir/op_qint.h"
#include "ir/op_window.h"

#include <string.h>

/* clang-format off */
#define M_8 (US_M(U8) | US_M(I8))
static const us_param conv_integer_in[] = {
    {"x", '1', M_8, 0}, {"w", '2', M_8, 0}, {"x_zero_point", '1', M_8, US_P_OPTIONAL},
    {"w_zero_point", '2', M_8, US_P_OPTIONAL}, US_PARAM_END};
static const us_param conv_integer_out[] = {{"y", '3', US_M(I32), 0}, US_PARAM_END};
static const us_attr_row conv_integer_attrs[] = {
    US_AS(us_p_conv, auto_pad, "auto_pad", "NOTSET"), US_AIS(us_p_conv, dilations, "dilations"),
    US_AI(us_p_conv, group, "group", 1), US_AIS(us_p_conv, kernel_shape, "kernel_shape"),
    US_AIS(us_p_conv, pads, "pads"), US_AIS(us_p_conv, strides, "strides"), US_ATTR_END};
const us_schema conv_integer_schemas[] = {
    {10, conv_integer_in, conv_integer_out, conv_integer_attrs, sizeof(us_p_conv), NULL},
    {0}};

static const us_param qlinear_conv_in[] = {
    {"x", '1', M_8, 0}, {"x_scale", '\0', US_M(F32), 0}, {"x_zero_point", '1', M_8, 0},
    {"w", '2', M_8, 0}, {"w_scale", '\0', US_M(F32), 0}, {"w_zero_point", '2', M_8, 0},
    {"y_scale", '\0', US_M(F32), 0}, {"y_zero_point", '3', M_8, 0}, {"B", '4', US_M(I32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param qlinear_conv_out[] = {{"y", '3', M_8, 0}, US_PARAM_END};
const us_schema qlinear_conv_schemas[] = {
    {10, qlinear_conv_in, qlinear_conv_out, conv_integer_attrs, sizeof(us_p_conv), NULL},
    {0}};
/* clang-format on */

#define COL_BYTES ((int64_t)2 << 20)

typedef struct qconv {
    us_tensor x, w; /* centred */
    us_conv_shape d;
    int64_t rows; /* cg * taps */
    bool direct;  /* the input is the matrix of columns already */
} qconv;

us_err conv_integer_infer(us_infer *k)
{
    return us_infer_conv(k, 1);
}

us_err qlinear_conv_infer(us_infer *k)
{
    return us_infer_conv(k, 3);
}

static us_err geometry(us_eval *k, qconv *v, const us_tensor *x, const us_tensor *w)
{
    US_TRY(us_conv_shape_of(k, x, w, &v->d));
    v->rows = v->d.cg * v->d.taps;
    v->direct = us_window_is_point(&v->d.win);
    return US_OK;
}

/* Rows (channel, tap), columns: output positions p0..p1. */
static void unroll(const qconv *v, const int16_t *x, int64_t p0, int64_t p1, int16_t *col)
{
    const us_window *w = &v->d.win;
    int64_t kp[US_MAX_RANK], op[US_MAX_RANK], first[US_MAX_RANK] = {0};
    us_window_at(w->n, w->out, p0, first);
    for (int64_t c = 0; c < v->d.cg; c++, x += v->d.in_size) {
        memset(kp, 0, sizeof kp);
        for (int64_t t = 0; t < v->d.taps; t++, us_window_next(w->n, w->kernel, kp)) {
            memcpy(op, first, sizeof op);
            for (int64_t p = p0; p < p1; p++, us_window_next(w->n, w->out, op)) {
                int64_t at = us_window_source(w, kp, op);
                *col++ = at < 0 ? (int16_t)0 : x[at];
            }
        }
    }
}

/* One group of one image: its matrix of sums, a block of positions at a time. */
static us_err convolve(us_eval *k, const qconv *v, us_q_product *p, const int16_t *x,
                       int16_t *col, int64_t *part, int64_t *sums, int64_t step)
{
    for (int64_t at = 0; at < v->d.out_size; at += step) {
        p->n = US_MIN(step, v->d.out_size - at);
        if (!v->direct) unroll(v, x, at, at + p->n, col);
        p->b = v->direct ? x : col;
        p->c = part;
        US_TRY(us_q_product_run(k, p));
        for (int64_t m = 0; m < v->d.mg; m++)
            memcpy(sums + m * v->d.out_size + at, part + m * p->n, (size_t)p->n * sizeof *sums);
    }
    return US_OK;
}

/* All sums, contiguous, in scratch; x and w are the inputs, zw one number or one per output channel. */
static us_err multiply(us_eval *k, const us_tensor *x, const us_tensor *zx, const us_tensor *w,
                       const us_tensor *zw, us_tensor *sums)
{
    qconv v;
    us_q_product p;
    us_tensor zero;
    void *col = NULL, *part;
    US_TRY(geometry(k, &v, x, w));
    if (zx && us_tensor_count(zx) != 1)
        return us_eval_fail(k, US_SHAPE, "the input has %lld zero points, expected one",
                            (long long)us_tensor_count(zx));
    if (zx) US_TRY(us_q_along(k, zx, 0, &zero));
    US_TRY(us_q_centre(k, x, zx ? &zero : NULL, &v.x));
    if (zw) US_TRY(us_q_along(k, zw, w->rank - 1, &zero));
    US_TRY(us_q_centre(k, w, zw ? &zero : NULL, &v.w));
    int64_t dims[US_MAX_RANK];
    us_conv_shape_out(&v.d, dims);
    US_TRY(us_tensor_init(k->c, sums, US_I64, x->rank, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(sums), &sums->data));
    if (us_tensor_count(sums) == 0) return US_OK;
    int64_t step = v.direct
                       ? v.d.out_size
                       : US_MAX(COL_BYTES / (int64_t)sizeof(int16_t) / US_MAX(v.rows, 1), 16);
    step = US_MAX(US_MIN(step, v.d.out_size), 1);
    if (!v.direct) US_TRY(us_eval_scratch(k, (size_t)(v.rows * step) * sizeof(int16_t), &col));
    US_TRY(us_eval_scratch(k, (size_t)(v.d.mg * step) * sizeof(int64_t), &part));
    US_TRY(us_q_product_open(k, v.d.mg, step, &p));
    p.k = v.rows;
    for (int64_t i = 0; i < v.d.n * v.d.groups; i++) {
        p.a = (const int16_t *)v.w.data + i % v.d.groups * v.d.mg * v.rows;
        US_TRY(convolve(k, &v, &p, (const int16_t *)v.x.data + i * v.d.cg * v.d.in_size, col,
                        part, (int64_t *)sums->data + i * v.d.mg * v.d.out_size, step));
    }
    return US_OK;
}

us_err conv_integer_eval(us_eval *k)
{
    const us_tensor *x, *w;
    us_tensor sums;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &w));
    US_TRY(multiply(k, x, us_eval_opt(k, 2), w, us_eval_opt(k, 3), &sums));
    return us_q_put_i32(k, &sums);
}

static us_err add_bias(us_eval *k, us_tensor *sums)
{
    const int64_t *bias;
    size_t n;
    int64_t m = sums->dims[1], inner = us_dims_product(sums->dims, 2, sums->rank);
    US_TRY(us_eval_ints(k, 8, &n, &bias));
    if (!bias) return US_OK;
    if ((int64_t)n != m)
        return us_eval_fail(k, US_SHAPE, "bias of %zu for %lld outputs", n, (long long)m);
    int64_t *to = sums->data;
    for (int64_t i = 0; i < sums->dims[0] * m; i++)
        for (int64_t j = 0; j < inner; j++)
            to[i * inner + j] += bias[i % m];
    return US_OK;
}

us_err qlinear_conv_eval(us_eval *k)
{
    const us_tensor *in[8];
    us_tensor sums, sa, sb, sy, zero, s;
    for (size_t i = 0; i < US_LEN(in); i++)
        US_TRY(us_eval_in(k, i, &in[i]));
    US_TRY(multiply(k, in[0], in[2], in[3], in[5], &sums));
    US_TRY(add_bias(k, &sums));
    US_TRY(us_q_along(k, in[1], 0, &sa));
    US_TRY(us_q_along(k, in[4], sums.rank - 2, &sb));
    US_TRY(us_q_along(k, in[6], 0, &sy));
    US_TRY(us_q_along(k, in[7], 0, &zero));
    US_TRY(us_q_scale(k, &sa, &sb, &sy, &s));
    return us_q_put(k, &sums, &s, &zero);
}
