/* ir/op_ms_nbits.c - com.microsoft products with weights of few bits: MatMulNBits, MatMulBnb4; GatherBlockQuantized.
 *
 * A weight is a number of `bits` bits, the first in the low bits of a byte (MatMulBnb4: in the high ones), times the scale of
 * its block of block_size numbers along K, after the block's zero point was taken off. They are unpacked to floats and
 * multiplied as those; accuracy_level allows less than that and is not made use of. Core rows: the packed weights are the point.
 * Source of the tables of MatMulBnb4: the QLoRA paper (nf4) and bitsandbytes (fp4).
 */
#include "ir/op_qint.h"
#include "ir/params_ms.h"

/* clang-format off */
#define M_SCALE (US_M(F32) | US_M(F16) | US_M(BF16))
#define NBITS(f, nm) {.name = (nm), .kind = US_AT_INT, .offset = offsetof(us_p_ms_nbits, f), .required = true}
static const us_param nbits_in[] = {
    {"A", 'T', M_SCALE, 0}, {"B", '\0', US_M(U8), 0}, {"scales", 'T', M_SCALE, 0},
    {"zero_points", '\0', US_M(U8) | M_SCALE, US_P_OPTIONAL}, {"g_idx", '\0', US_M(I32), US_P_OPTIONAL},
    {"bias", 'T', M_SCALE, US_P_OPTIONAL}, US_PARAM_END};
static const us_param nbits_out[] = {{"Y", 'T', M_SCALE, 0}, US_PARAM_END};
static const us_attr_row nbits_attrs[] = {
    NBITS(n_rows, "K"), NBITS(n_cols, "N"), US_AI(us_p_ms_nbits, accuracy_level, "accuracy_level", 0),
    US_AI(us_p_ms_nbits, bits, "bits", 4), NBITS(block_size, "block_size"), US_ATTR_END};
const us_schema ms_matmul_nbits_schemas[] = {
    {1, nbits_in, nbits_out, nbits_attrs, sizeof(us_p_ms_nbits), NULL},
    {0}};

static const us_param bnb4_in[] = {
    {"A", 'T', M_SCALE, 0}, {"B", '\0', US_M(U8), 0}, {"absmax", 'T', M_SCALE, 0}, US_PARAM_END};
static const us_attr_row bnb4_attrs[] = {
    NBITS(n_rows, "K"), NBITS(n_cols, "N"), NBITS(block_size, "block_size"), NBITS(quant_type, "quant_type"),
    US_AI(us_p_ms_nbits, training_mode, "training_mode", 0), US_AI(us_p_ms_nbits, transB, "transB", 1), US_ATTR_END};
const us_schema ms_matmul_bnb4_schemas[] = {
    {1, bnb4_in, nbits_out, bnb4_attrs, sizeof(us_p_ms_nbits), NULL},
    {0}};

static const us_param gather_in[] = {
    {"data", 'D', US_M(I4) | US_M(U4) | US_M(U8), 0}, {"indices", '\0', US_M(I32) | US_M(I64), 0},
    {"scales", 'T', M_SCALE, 0}, {"zero_points", 'D', US_M(I4) | US_M(U4) | US_M(U8), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row gather_attrs[] = {
    US_AI(us_p_ms_nbits, bits, "bits", 4), US_AI(us_p_ms_nbits, block_size, "block_size", 128),
    US_AI(us_p_ms_nbits, gather_axis, "gather_axis", 0), US_AI(us_p_ms_nbits, quantize_axis, "quantize_axis", 1), US_ATTR_END};
const us_schema ms_gather_block_quantized_schemas[] = {
    {1, gather_in, nbits_out, gather_attrs, sizeof(us_p_ms_nbits), NULL},
    {0}};

static const float fp4[16] = {0.0F, 5.208333333e-03F, 0.66666667F, 1.0F, 0.33333333F, 0.5F, 0.16666667F, 0.25F,
    -0.0F, -5.208333333e-03F, -0.66666667F, -1.0F, -0.33333333F, -0.5F, -0.16666667F, -0.25F};
static const float nf4[16] = {-1.0F, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F,
    -0.28444138169288635F, -0.18477343022823334F, -0.09105003625154495F, 0.0F, 0.07958029955625534F, 0.16093020141124725F,
    0.24611230194568634F, 0.33791524171829224F, 0.44070982933044434F, 0.5626170039176941F, 0.7229568362236023F, 1.0F};
/* clang-format on */

/* --- MatMulNBits, MatMulBnb4 ------------------------------------------------------------------------ */

static us_err product_infer(us_infer *k)
{
    const us_p_ms_nbits *p = k->params;
    const us_type *a = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK];
    if (!a) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (a->rank == 0 || p->n_cols < 0)
        return us_infer_fail(k, US_SHAPE, "A is a scalar, or N is negative");
    for (int i = 0; i < a->rank - 1; i++)
        d[i] = a->dims[i];
    d[a->rank - 1] = US_DIM(p->n_cols);
    return us_infer_out(k, 0, US_DT_NONE, a->rank, d);
}
US_INFER_AS(ms_matmul_nbits, product_infer)
US_INFER_AS(ms_matmul_bnb4, product_infer)

/* Sizes that the attributes promise; none of the products below overflows. */
static us_err check(us_eval *k, const us_p_ms_nbits *p)
{
    enum { LIMIT = 1 << 30 };
    if (p->n_cols < 1 || p->n_rows < 1 || p->n_cols > LIMIT || p->n_rows > LIMIT)
        return us_eval_fail(k, US_SHAPE, "K = %lld, N = %lld, expected 1 to 2^30",
                            (long long)p->n_rows, (long long)p->n_cols);
    if (p->block_size < 2 || p->block_size > LIMIT || (p->block_size & (p->block_size - 1)))
        return us_eval_fail(k, US_ARG, "block_size is %lld, expected a power of 2",
                            (long long)p->block_size);
    return US_OK;
}

static us_err want(us_eval *k, const us_tensor *t, const char *what, int64_t n)
{
    if (us_tensor_count(t) == n) return US_OK;
    return us_eval_fail(k, US_SHAPE, "%lld numbers of %s, expected %lld",
                        (long long)us_tensor_count(t), what, (long long)n);
}

/* Y = A W, W [K,N] contiguous floats, plus the bias of input i_bias. */
static us_err multiply(us_eval *k, const us_p_ms_nbits *p, void *w, size_t i_bias)
{
    const us_tensor *a, *bias = i_bias ? us_eval_opt(k, i_bias) : NULL;
    us_tensor t, y;
    US_TRY(us_eval_in(k, 0, &a));
    US_TRY(us_tensor_init(k->c, &t, US_F32, 2, (int64_t[]){p->n_rows, p->n_cols}, w));
    US_TRY(us_eval_inner(k, matmul_eval, NULL, 2, (const us_tensor *[]){a, &t}, &y));
    if (bias) {
        US_TRY(want(k, bias, "bias", p->n_cols));
        US_TRY(us_eval_binary_into(k, US_BIN_ADD, &y, &y, bias));
    }
    return us_eval_put_view(k, 0, &y);
}

static us_err weights(us_eval *k, const us_p_ms_nbits *p, float **out)
{
    void *w;
    if (p->n_rows > INT64_MAX / (int64_t)sizeof(float) / p->n_cols)
        return us_eval_fail(k, US_LIMIT, "too large");
    US_TRY(us_eval_work(k, (double)p->n_rows * (double)p->n_cols));
    US_TRY(us_eval_scratch(k, (size_t)(p->n_rows * p->n_cols) * sizeof(float), &w));
    *out = w;
    return US_OK;
}

static int unpack(const uint8_t *p, int64_t i, int bits)
{
    int per = 8 / bits;
    return p[i / per] >> (int)(i % per) * bits & ((1 << bits) - 1);
}

/* The zero points of column n: packed, floats, or the middle of the range. */
typedef struct zeros {
    const us_tensor *t; /* NULL: none */
    us_tensor dense;
    int bits;
    int64_t row; /* numbers of a row, its padding included */
} zeros;

static us_err zeros_open(us_eval *k, const us_p_ms_nbits *p, int64_t n_blocks, zeros *z)
{
    int64_t per = 8 / p->bits;
    *z = (zeros){.t = us_eval_opt(k, 3), .bits = (int)p->bits, .row = n_blocks};
    if (!z->t) return US_OK;
    bool packed = z->t->dtype == US_U8;
    if (packed) z->row = (n_blocks + per - 1) / per * per;
    US_TRY(want(k, z->t, "zero_points",
                packed ? p->n_cols * (z->row / per) : p->n_cols * n_blocks));
    return us_eval_as(k, z->t, packed ? US_U8 : US_F32, &z->dense);
}

static float zero_at(const zeros *z, int64_t n, int64_t block)
{
    if (!z->t) return (float)(1 << (z->bits - 1));
    if (z->dense.dtype == US_F32) return ((const float *)z->dense.data)[n * z->row + block];
    return (float)unpack(z->dense.data, n * z->row + block, z->bits);
}

us_err ms_matmul_nbits_eval(us_eval *k)
{
    const us_p_ms_nbits *p = k->params;
    const us_tensor *a, *in;
    us_tensor b, scales;
    zeros z;
    float *w;
    size_t n_g;
    const int64_t *g;
    US_TRY(us_eval_in(k, 0, &a));
    if (us_is_half(a->dtype)) return us_eval_widened(k, a->dtype, ms_matmul_nbits_eval);
    US_TRY(check(k, p));
    if (p->bits != 2 && p->bits != 4 && p->bits != 8)
        return us_eval_fail(k, US_UNSUPP, "weights of %lld bits, expected 2, 4 or 8",
                            (long long)p->bits);
    int64_t n_blocks = (p->n_rows + p->block_size - 1) / p->block_size,
            per_col = n_blocks * p->block_size;
    US_TRY(us_eval_in(k, 1, &in));
    if (in->dtype != US_U8) return us_eval_no_type(k, in->dtype);
    US_TRY(us_eval_as(k, in, US_U8, &b));
    US_TRY(want(k, &b, "B", p->n_cols * (per_col * p->bits / 8)));
    US_TRY(us_eval_in(k, 2, &in));
    US_TRY(us_eval_as(k, in, US_F32, &scales));
    US_TRY(want(k, &scales, "scales", p->n_cols * n_blocks));
    US_TRY(zeros_open(k, p, n_blocks, &z));
    US_TRY(us_eval_ints(k, 4, &n_g, &g));
    if (g && (int64_t)n_g < p->n_rows)
        return us_eval_fail(k, US_SHAPE, "g_idx has %zu numbers, expected %lld", n_g,
                            (long long)p->n_rows);
    US_TRY(weights(k, p, &w));
    for (int64_t n = 0; n < p->n_cols; n++)
        for (int64_t r = 0; r < p->n_rows; r++) {
            int64_t block = g ? g[r] : r / p->block_size;
            if (block < 0 || block >= n_blocks)
                return us_eval_fail(k, US_ARG, "g_idx %lld of %lld blocks", (long long)block,
                                    (long long)n_blocks);
            float q = (float)unpack(b.data, n * per_col + r, (int)p->bits);
            w[r * p->n_cols + n] = (q - zero_at(&z, n, block)) *
                                   ((const float *)scales.data)[n * n_blocks + block];
        }
    return multiply(k, p, w, 5);
}

us_err ms_matmul_bnb4_eval(us_eval *k)
{
    const us_p_ms_nbits *p = k->params;
    const us_tensor *a, *in;
    us_tensor b, absmax;
    float *w;
    US_TRY(us_eval_in(k, 0, &a));
    if (us_is_half(a->dtype)) return us_eval_widened(k, a->dtype, ms_matmul_bnb4_eval);
    US_TRY(check(k, p));
    if (p->quant_type != 0 && p->quant_type != 1)
        return us_eval_fail(k, US_ARG, "quant_type is %lld, expected 0 (fp4) or 1 (nf4)",
                            (long long)p->quant_type);
    int64_t count = p->n_cols * p->n_rows;
    US_TRY(us_eval_in(k, 1, &in));
    US_TRY(us_eval_as(k, in, US_U8, &b));
    US_TRY(want(k, &b, "B", (count + 1) / 2));
    US_TRY(us_eval_in(k, 2, &in));
    US_TRY(us_eval_as(k, in, US_F32, &absmax));
    US_TRY(want(k, &absmax, "absmax", (count + p->block_size - 1) / p->block_size));
    US_TRY(weights(k, p, &w));
    const float *table = p->quant_type ? nf4 : fp4, *by = absmax.data;
    const uint8_t *q = b.data;
    for (int64_t i = 0; i < count; i++) {
        float v = table[i % 2 ? q[i / 2] & 15 : q[i / 2] >> 4] * by[i / p->block_size];
        w[p->transB ? i % p->n_rows * p->n_cols + i / p->n_rows : i] = v;
    }
    return multiply(k, p, w, 0);
}

/* --- GatherBlockQuantized --------------------------------------------------------------------------- */

us_err ms_gather_block_quantized_infer(us_infer *k)
{
    const us_p_ms_nbits *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *ix = us_infer_ranked(k, 1);
    us_dim d[2 * US_MAX_RANK];
    int axis = 0, n = 0;
    if (!x || !ix) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    US_TRY(us_infer_axis(k, p->gather_axis, x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        if (i == axis)
            for (int j = 0; j < ix->rank; j++)
                d[n++] = ix->dims[j];
        else if (i == x->rank - 1 && x->dtype == US_U8 && p->bits == 4) {
            us_dim e = x->dims[i];
            if (us_dim_known(e))
                e = US_DIM(e.add * 2);
            else
                US_TRY(us_infer_fresh(k, &e));
            d[n++] = e;
        } else
            d[n++] = x->dims[i];
    }
    if (n > US_MAX_RANK) return us_infer_fail(k, US_SHAPE, "result has too many dimensions");
    return us_infer_out(k, 0, US_DT_NONE, n, d);
}

typedef struct gather {
    us_tensor x, scales, zeros; /* x and zeros in the type of a number */
    bool has_zero;
    double zero;                             /* where there are none */
    int64_t inner, along, n_blocks, zeros_n; /* of the quantised axis */
    int64_t block;
} gather;

/* Bytes that hold two numbers each are read as the type of 4 bits. */
static us_err read_packed(us_eval *k, const us_tensor *t, bool packed, us_tensor *out)
{
    int64_t dims[US_MAX_RANK] = {0};
    us_tensor dense;
    US_TRY(us_eval_as(k, t, t->dtype, &dense));
    *out = dense;
    if (!packed) return US_OK;
    for (int i = 0; i < dense.rank; i++)
        dims[i] = dense.dims[i];
    if (dense.rank == 0) return us_eval_fail(k, US_SHAPE, "data is a scalar");
    dims[dense.rank - 1] *= 2;
    return us_tensor_init(k->c, out, US_U4, dense.rank, dims, dense.data);
}

static us_err gather_open(us_eval *k, const us_p_ms_nbits *p, gather *g)
{
    const us_tensor *x, *s, *z = us_eval_opt(k, 3);
    int axis = 0;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_in(k, 2, &s));
    if (p->bits != 4 && !(p->bits == 8 && x->dtype == US_U8))
        return us_eval_fail(k, US_UNSUPP, "numbers of %lld bits, expected 4 or 8",
                            (long long)p->bits);
    bool packed = x->dtype == US_U8 && p->bits == 4;
    US_TRY(read_packed(k, x, packed, &g->x));
    US_TRY(us_eval_axis(k, p->quantize_axis, g->x.rank, &axis));
    if (x->dtype == US_U8 && axis != x->rank - 1)
        return us_eval_fail(k, US_ARG, "quantize_axis of bytes must be the last");
    g->block = p->block_size;
    if (g->block < 1) return us_eval_fail(k, US_ARG, "block_size must be positive");
    g->inner = us_dims_product(g->x.dims, axis + 1, g->x.rank);
    g->along = g->x.dims[axis];
    g->n_blocks = g->along / g->block + (g->along % g->block != 0);
    int64_t rows = us_dims_product(g->x.dims, 0, axis);
    US_TRY(us_eval_as(k, s, US_F32, &g->scales));
    US_TRY(want(k, &g->scales, "scales", rows * g->n_blocks * g->inner));
    g->zero = x->dtype == US_U8 ? (double)(1 << (p->bits - 1)) : 0;
    g->has_zero = z != NULL;
    g->zeros_n = packed ? (g->n_blocks + 1) / 2 * 2 : g->n_blocks;
    if (!z) return US_OK;
    US_TRY(read_packed(k, z, packed, &g->zeros));
    return want(k, &g->zeros, "zero_points", rows * g->zeros_n * g->inner);
}

/* Number `at` of the data, as a float. */
static float number(const gather *g, int64_t at)
{
    int64_t i = at % g->inner, row = at / g->inner / g->along,
            block = at / g->inner % g->along / g->block;
    double v, zero = g->zero;
    us_dtype_get(g->x.dtype)->to_f64(g->x.data, (size_t)at, 1, &v);
    if (g->has_zero)
        us_dtype_get(g->zeros.dtype)
            ->to_f64(g->zeros.data, (size_t)((row * g->zeros_n + block) * g->inner + i), 1,
                     &zero);
    return (float)(v - zero) *
           ((const float *)g->scales.data)[(row * g->n_blocks + block) * g->inner + i];
}

us_err ms_gather_block_quantized_eval(us_eval *k)
{
    const us_p_ms_nbits *p = k->params;
    const us_tensor *ix, *s;
    gather g = {.has_zero = false};
    us_tensor y;
    int axis = 0, n = 0;
    size_t n_index;
    const int64_t *index;
    int64_t d[2 * US_MAX_RANK];
    US_TRY(us_eval_in(k, 2, &s));
    if (us_is_half(s->dtype))
        return us_eval_widened(k, s->dtype, ms_gather_block_quantized_eval);
    US_TRY(gather_open(k, p, &g));
    US_TRY(us_eval_in(k, 1, &ix));
    US_TRY(us_eval_ints(k, 1, &n_index, &index));
    US_TRY(us_eval_axis(k, p->gather_axis, g.x.rank, &axis));
    for (int i = 0; i < g.x.rank; i++) {
        for (int j = 0; i == axis && j < ix->rank; j++)
            d[n++] = ix->dims[j];
        if (i != axis) d[n++] = g.x.dims[i];
    }
    US_TRY(us_tensor_init(k->c, &y, US_F32, n, d, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&y), &y.data));
    int64_t outer = us_dims_product(g.x.dims, 0, axis), size = g.x.dims[axis],
            inner = us_dims_product(g.x.dims, axis + 1, g.x.rank);
    float *to = y.data;
    for (int64_t o = 0; o < outer; o++)
        for (size_t j = 0; j < n_index; j++) {
            int64_t at = index[j] < 0 ? index[j] + size : index[j];
            if (at < 0 || at >= size)
                return us_eval_fail(k, US_ARG, "index %lld of %lld", (long long)index[j],
                                    (long long)size);
            for (int64_t i = 0; i < inner; i++)
                *to++ = number(&g, (o * size + at) * inner + i);
        }
    return us_eval_put_view(k, 0, &y);
}
