/* ir/op_ms_matmul.c - com.microsoft matrix products: FusedMatMul, TransposeMatMul, and those of 8-bit numbers with float results
 * that ONNX Runtime's dynamic quantiser writes: DynamicQuantizeMatMul, MatMulIntegerToFloat, QGemm, MatMulInteger16.
 *
 * Integer sums are exact; ONNX Runtime multiplies them by the product of the scales as one float, and adds the bias.
 */
#include "ir/op_qint.h"
#include "ir/params_ms.h"

#include <math.h>

/* clang-format off */
#define M_8 (US_M(U8) | US_M(I8))
static const us_param fused_in[] = {{"A", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param fused_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row fused_attrs[] = {
    US_AF(us_p_ms_fused_matmul, alpha, "alpha", 1.0F), US_AI(us_p_ms_fused_matmul, transA, "transA", 0),
    US_AI(us_p_ms_fused_matmul, transB, "transB", 0), US_AI(us_p_ms_fused_matmul, transBatchA, "transBatchA", 0),
    US_AI(us_p_ms_fused_matmul, transBatchB, "transBatchB", 0), US_ATTR_END};
static const us_attr_row transpose_attrs[] = {
    US_AF(us_p_ms_fused_matmul, alpha, "alpha", 1.0F), US_AI(us_p_ms_fused_matmul, transA, "transA", 0),
    US_AI(us_p_ms_fused_matmul, transB, "transB", 0), US_ATTR_END};
const us_schema ms_fused_matmul_schemas[] = {
    {1, fused_in, fused_out, fused_attrs, sizeof(us_p_ms_fused_matmul), NULL},
    {0}};
const us_schema ms_transpose_matmul_schemas[] = {
    {1, fused_in, fused_out, transpose_attrs, sizeof(us_p_ms_fused_matmul), NULL},
    {0}};

static const us_param float_out[] = {{"Y", 'F', US_M(F32) | US_M(F16), 0}, US_PARAM_END};
static const us_param dynamic_in[] = {
    {"A", 'F', US_M(F32), 0}, {"B", 'B', M_8, 0}, {"b_scale", 'F', US_M(F32), 0}, {"b_zero_point", 'B', M_8, US_P_OPTIONAL},
    {"bias", 'F', US_M(F32), US_P_OPTIONAL}, US_PARAM_END};
const us_schema ms_dynamic_quantize_matmul_schemas[] = {
    {1, dynamic_in, float_out, NULL, 0, NULL},
    {0}};
static const us_param to_float_in[] = {
    {"A", 'A', M_8, 0}, {"B", 'B', M_8, 0}, {"a_scale", 'F', US_M(F32) | US_M(F16), 0}, {"b_scale", 'F', US_M(F32) | US_M(F16), 0},
    {"a_zero_point", 'A', M_8, US_P_OPTIONAL}, {"b_zero_point", 'B', M_8, US_P_OPTIONAL},
    {"bias", 'F', US_M(F32) | US_M(F16), US_P_OPTIONAL}, US_PARAM_END};
const us_schema ms_matmul_integer_to_float_schemas[] = {
    {1, to_float_in, float_out, NULL, 0, NULL},
    {0}};

static const us_param qgemm_in[] = {
    {"A", 'A', M_8, 0}, {"a_scale", '\0', US_M(F32), 0}, {"a_zero_point", 'A', M_8, 0},
    {"B", 'B', M_8, 0}, {"b_scale", '\0', US_M(F32), 0}, {"b_zero_point", 'B', M_8, 0},
    {"C", '\0', US_M(I32), US_P_OPTIONAL}, {"y_scale", '\0', US_M(F32), US_P_OPTIONAL},
    {"y_zero_point", '\0', M_8, US_P_OPTIONAL}, US_PARAM_END};
static const us_param qgemm_out[] = {{"Y", '\0', M_8 | US_M(F32), 0}, US_PARAM_END};
static const us_attr_row qgemm_attrs[] = {
    US_AF(us_p_ms_qgemm, alpha, "alpha", 1.0F), US_AI(us_p_ms_qgemm, transA, "transA", 0),
    US_AI(us_p_ms_qgemm, transB, "transB", 0), US_ATTR_END};
const us_schema ms_qgemm_schemas[] = {
    {1, qgemm_in, qgemm_out, qgemm_attrs, sizeof(us_p_ms_qgemm), NULL},
    {0}};

static const us_param short_in[] = {
    {"A", '\0', US_M(I16) | US_M(U16), 0}, {"B", '\0', US_M(I16) | US_M(U16), 0}, US_PARAM_END};
static const us_param short_out[] = {{"Y", '\0', US_M(I32) | US_M(U32), 0}, US_PARAM_END};
const us_schema ms_matmul_integer16_schemas[] = {
    {1, short_in, short_out, NULL, 0, NULL},
    {0}};
/* clang-format on */

/* --- FusedMatMul, TransposeMatMul ------------------------------------------------------------------ */

/* Where axis i of an operand of FusedMatMul comes from: transBatch moves the first axis behind the batch, trans exchanges the
 * last two. */
static void axes_of(int rank, bool batch, bool trans, int *perm)
{
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    for (int i = 0; batch && i + 2 < rank; i++)
        perm[i] = i + 1;
    if (batch && rank > 2) perm[rank - 2] = 0;
    if (trans && rank > 1) {
        int t = perm[rank - 1];
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = t;
    }
}

us_err ms_fused_matmul_infer(us_infer *k)
{
    const us_p_ms_fused_matmul *p = k->params;
    const us_type *a = us_infer_ranked(k, 0), *b = us_infer_ranked(k, 1);
    int pa[US_MAX_RANK], pb[US_MAX_RANK], n = 0;
    us_dim d[US_MAX_RANK + 2];
    if (!a || !b) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (!a->rank || !b->rank) return us_infer_fail(k, US_SHAPE, "operand is a scalar");
    axes_of(a->rank, p->transBatchA, p->transA, pa);
    axes_of(b->rank, p->transBatchB, p->transB, pb);
    int ba = US_MAX(a->rank - 2, 0), bb = US_MAX(b->rank - 2, 0), r = US_MAX(ba, bb);
    for (; n < r; n++) {
        us_dim one = US_DIM(1), x = n < r - ba ? one : a->dims[pa[n - (r - ba)]],
               y = n < r - bb ? one : b->dims[pb[n - (r - bb)]];
        d[n] = us_dim_eq(x, one) || (us_dim_known(y) && !us_dim_eq(y, one)) ? y : x;
    }
    if (a->rank > 1) d[n++] = a->dims[pa[a->rank - 2]];
    if (b->rank > 1) d[n++] = b->dims[pb[b->rank - 1]];
    if (n > US_MAX_RANK) return us_infer_fail(k, US_SHAPE, "result has too many dimensions");
    return us_infer_out(k, 0, US_DT_NONE, n, d);
}
US_INFER_AS(ms_transpose_matmul, ms_fused_matmul_infer)

static us_err operand(us_eval *k, size_t i, bool batch, bool trans, us_tensor *out)
{
    const us_tensor *x;
    int perm[US_MAX_RANK];
    US_TRY(us_eval_in(k, i, &x));
    axes_of(x->rank, batch, trans, perm);
    *out = *x;
    for (int j = 0; j < x->rank; j++) {
        out->dims[j] = x->dims[perm[j]];
        out->strides[j] = x->strides[perm[j]];
    }
    return US_OK;
}

us_err ms_fused_matmul_eval(us_eval *k)
{
    const us_p_ms_fused_matmul *p = k->params;
    us_tensor a, b, y, alpha;
    void *one;
    double factor = (double)p->alpha;
    US_TRY(operand(k, 0, p->transBatchA, p->transA, &a));
    US_TRY(operand(k, 1, p->transBatchB, p->transB, &b));
    if (us_is_half(a.dtype)) return us_eval_widened(k, a.dtype, ms_fused_matmul_eval);
    US_TRY(us_eval_inner(k, matmul_eval, NULL, 2, (const us_tensor *[]){&a, &b}, &y));
    US_TRY(us_eval_scratch(k, sizeof factor, &one));
    us_dtype_get(a.dtype)->from_f64(one, 0, 1, &factor);
    US_TRY(us_tensor_init(k->c, &alpha, a.dtype, 0, NULL, one));
    if (factor != 1) US_TRY(us_eval_binary_into(k, US_BIN_MUL, &y, &y, &alpha));
    return us_eval_put_view(k, 0, &y);
}
us_err ms_transpose_matmul_eval(us_eval *k)
{
    return ms_fused_matmul_eval(k);
}

static us_err fused_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    const us_p_ms_fused_matmul *p = g->nodes.at[n].params;
    const int64_t flags[2][2] = {{p->transBatchA, p->transA}, {p->transBatchB, p->transB}};
    for (size_t i = 0; i < 2; i++) {
        int rank = us_expand_rank(g, n, i), perm[US_MAX_RANK];
        if (rank < 1)
            return us_expand_refuse(c, g, n, "the ranks of its operands are not known");
        axes_of(rank, flags[i][0], flags[i][1], perm);
        us_expand_add(&b, "o%zu = Transpose<perm=[", i);
        for (int j = 0; j < rank; j++)
            us_expand_add(&b, "%s%d", j ? "," : "", perm[j]);
        us_expand_add(&b, "]>(x%zu);", i);
    }
    us_expand_add(&b, "y = Mul(MatMul(o0, o1), $alpha)");
    return us_expand_buffer(c, m, g, n, &b);
}
us_err ms_fused_matmul_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return fused_expand(c, m, g, n);
}
us_err ms_transpose_matmul_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return fused_expand(c, m, g, n);
}

/* --- 8-bit numbers in, floats out ------------------------------------------------------------------ */

/* Output 0: the sums times sa * sb, plus the bias when there is one; all broadcast. */
static us_err put_float(us_eval *k, us_tensor *sums, const us_tensor *sa, const us_tensor *sb,
                        size_t i_bias)
{
    const us_tensor *bias = us_eval_opt(k, i_bias);
    us_tensor one, scale, y, wide;
    void *mem;
    US_TRY(us_eval_scratch(k, sizeof(float), &mem));
    *(float *)mem = 1;
    US_TRY(us_tensor_init(k->c, &one, US_F32, 0, NULL, mem));
    US_TRY(us_q_scale(k, sa, sb, &one, &scale));
    US_TRY(us_eval_as(k, sums, US_F32, &y));
    US_TRY(us_eval_binary_into(k, US_BIN_MUL, &y, &y, &scale));
    if (bias) {
        US_TRY(us_eval_as(k, bias, US_F32, &wide));
        US_TRY(us_eval_binary_into(k, US_BIN_ADD, &y, &y, &wide));
    }
    const us_tensor *type;
    US_TRY(us_eval_in(k, k->n_in > 3 && i_bias == 6 ? 3 : 2, &type));
    US_TRY(us_eval_as(k, &y, type->dtype, &wide));
    return us_eval_put_view(k, 0, &wide);
}

/* Operand x, less zero point iz, whose numbers lie along the rows (trailing 1) or the columns (0). */
static us_err centred(us_eval *k, const us_tensor *x, size_t iz, int trailing, us_tensor *out)
{
    const us_tensor *z = us_eval_opt(k, iz);
    us_tensor zero;
    if (z) US_TRY(us_q_along(k, z, x->rank > 1 ? trailing : 0, &zero));
    return us_q_centre(k, x, z ? &zero : NULL, out);
}

us_err ms_dynamic_quantize_matmul_infer(us_infer *k)
{
    return us_infer_product(k, 1, US_DT_NONE);
}

us_err ms_dynamic_quantize_matmul_eval(us_eval *k)
{
    const us_tensor *b, *sb;
    us_tensor x, a, cb, sums, scale, along;
    void *mem;
    float zero;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &b));
    US_TRY(us_eval_in(k, 2, &sb));
    US_TRY(us_q_along(k, sb, 0, &along));
    US_TRY(us_eval_scratch(k, sizeof(float), &mem));
    US_TRY(us_tensor_init(k->c, &scale, US_F32, 0, NULL, mem));
    US_TRY(us_tensor_init(k->c, &a, US_I16, x.rank, x.dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&a), &a.data));
    us_q_range(x.data, us_tensor_count(&x), mem, &zero);
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++)
        ((int16_t *)a.data)[i] =
            (int16_t)(us_q_byte(((const float *)x.data)[i], *(float *)mem, zero) - (int)zero);
    US_TRY(centred(k, b, 3, 0, &cb));
    US_TRY(us_q_multiply(k, &a, &cb, &sums));
    return put_float(k, &sums, &scale, &along, 4);
}

us_err ms_dynamic_quantize_matmul_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_expand_fmt(c, m, g, n,
                         "q, s, z = DynamicQuantizeLinear(x0);"
                         "%s = Mul(Cast<to=1>(MatMulInteger(q, x1, z, %s)), Mul(s, x2)); %s",
                         us_expand_has(g, n, 4) ? "p" : "y",
                         us_expand_has(g, n, 3) ? "x3" : "_",
                         us_expand_has(g, n, 4) ? "y = Add(p, x4)" : "");
}

US_INFER_AS(ms_matmul_integer_to_float, ms_dynamic_quantize_matmul_infer)

us_err ms_matmul_integer_to_float_eval(us_eval *k)
{
    const us_tensor *a, *b, *s;
    us_tensor ca, cb, sa, sb, sums;
    US_TRY(us_eval_in(k, 0, &a));
    US_TRY(us_eval_in(k, 1, &b));
    US_TRY(centred(k, a, 4, 1, &ca));
    US_TRY(centred(k, b, 5, 0, &cb));
    US_TRY(us_eval_in(k, 2, &s));
    US_TRY(us_q_along(k, s, a->rank > 1, &sa));
    US_TRY(us_eval_in(k, 3, &s));
    US_TRY(us_q_along(k, s, 0, &sb));
    US_TRY(us_q_multiply(k, &ca, &cb, &sums));
    return put_float(k, &sums, &sa, &sb, 6);
}

us_err ms_matmul_integer_to_float_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    bool rows = us_expand_rank(g, n, 2) == 1 && us_expand_dim(g, n, 2, 0) != 1 &&
                us_expand_rank(g, n, 0) > 1;
    bool half = us_expand_dtype(g, n, 2) == US_F16, bias = us_expand_has(g, n, 6);
    return us_expand_fmt(c, m, g, n,
                         "p = Mul(Cast<to=1>(MatMulInteger(x0, x1, %s, %s)),"
                         " Mul(Cast<to=1>(%s), Cast<to=1>(x3)));%sy = Cast<to=%d>(p)",
                         us_expand_has(g, n, 4) ? "x4" : "_",
                         us_expand_has(g, n, 5) ? "x5" : "_",
                         rows ? "Unsqueeze(x2, [1])" : "x2",
                         bias ? "p = Add(p, Cast<to=1>(x6));" : "", half ? US_F16 : US_F32);
}

/* --- QGemm ------------------------------------------------------------------------------------------ */

us_err ms_qgemm_infer(us_infer *k)
{
    const us_p_ms_qgemm *p = k->params;
    const us_type *a = us_infer_ranked(k, 0), *b = us_infer_ranked(k, 3),
                  *z = us_infer_in(k, 8);
    us_dtype t = us_infer_has(k, 7) ? (z ? z->dtype : US_DT_NONE) : US_F32;
    if (t == US_DT_NONE) return US_OK;
    if (!a || !b) return us_infer_rank(k, 0, t, 2);
    if (a->rank != 2 || b->rank != 2)
        return us_infer_fail(k, US_SHAPE, "A and B must be matrices");
    return us_infer_out(k, 0, t, 2,
                        (us_dim[]){a->dims[p->transA != 0], b->dims[p->transB == 0]});
}

/* C is in units of the sums. */
static us_err add_c(us_eval *k, us_tensor *sums)
{
    const us_tensor *c = us_eval_opt(k, 6);
    us_tensor wide;
    if (!c) return US_OK;
    US_TRY(us_eval_as(k, c, US_I64, &wide));
    return us_eval_binary_into(k, US_BIN_ADD, sums, sums, &wide);
}

us_err ms_qgemm_eval(us_eval *k)
{
    const us_p_ms_qgemm *p = k->params;
    const us_tensor *s, *z = us_eval_opt(k, 8);
    us_tensor a, b, ca, cb, sa, sb, sy, sums, scale, zero;
    void *mem;
    double alpha;
    US_TRY(operand(k, 0, false, p->transA, &a));
    US_TRY(operand(k, 3, false, p->transB, &b));
    if (a.rank != 2 || b.rank != 2)
        return us_eval_fail(k, US_SHAPE, "A and B must be matrices");
    US_TRY(centred(k, &a, 2, 0, &ca));
    US_TRY(centred(k, &b, 5, 0, &cb));
    US_TRY(us_q_multiply(k, &ca, &cb, &sums));
    US_TRY(add_c(k, &sums));
    US_TRY(us_eval_scalar(k, 1, 1, &alpha));
    US_TRY(us_eval_scratch(k, 2 * sizeof(float), &mem));
    ((float *)mem)[0] = p->alpha * (float)alpha;
    ((float *)mem)[1] = 1;
    US_TRY(us_tensor_init(k->c, &sa, US_F32, 0, NULL, mem));
    US_TRY(us_eval_in(k, 4, &s));
    US_TRY(us_q_along(k, s, 0, &sb));
    if (us_eval_opt(k, 7) && !z)
        return us_eval_fail(k, US_ARG, "y_scale is given without y_zero_point");
    if (z) {
        US_TRY(us_eval_in(k, 7, &s));
        US_TRY(us_q_along(k, s, 0, &sy));
        US_TRY(us_q_along(k, z, 0, &zero));
        US_TRY(us_q_scale(k, &sa, &sb, &sy, &scale));
        return us_q_put(k, &sums, &scale, &zero);
    }
    us_tensor one, y;
    US_TRY(us_tensor_init(k->c, &one, US_F32, 0, NULL, (float *)mem + 1));
    US_TRY(us_q_scale(k, &sa, &sb, &one, &scale));
    US_TRY(us_eval_as(k, &sums, US_F32, &y));
    US_TRY(us_eval_binary_into(k, US_BIN_MUL, &y, &y, &scale));
    return us_eval_put_view(k, 0, &y);
}

us_err ms_qgemm_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    const us_p_ms_qgemm *p = g->nodes.at[n].params;
    us_expand_add(&b, "a = %s(x0); b = %s(x3);",
                  p->transA ? "Transpose<perm=[1,0]>" : "Identity",
                  p->transB ? "Transpose<perm=[1,0]>" : "Identity");
    us_expand_add(&b, "p = MatMulInteger(a, b, Reshape(x2, []), x5);");
    if (us_expand_has(g, n, 6)) us_expand_add(&b, "p = Add(p, x6);");
    us_expand_add(&b, "f = Mul(Cast<to=1>(p), Mul(Mul(%.9g@1, Reshape(x1, [])), x4));",
                  (double)p->alpha);
    if (us_expand_has(g, n, 8))
        us_expand_add(&b, "y = QuantizeLinear(f, Reshape(x7, []), Reshape(x8, []))");
    else
        us_expand_add(&b, "y = Identity(f)");
    return us_expand_buffer(c, m, g, n, &b);
}

/* --- MatMulInteger16 -------------------------------------------------------------------------------- */

static us_dtype short_sum(us_dtype a, us_dtype b)
{
    return a == US_U16 && b == US_U16 ? US_U32 : US_I32;
}

us_err ms_matmul_integer16_infer(us_infer *k)
{
    const us_type *a = us_infer_in(k, 0), *b = us_infer_in(k, 1);
    if (!a || !b || a->dtype == US_DT_NONE || b->dtype == US_DT_NONE) return US_OK;
    return us_infer_product(k, 1, short_sum(a->dtype, b->dtype));
}

us_err ms_matmul_integer16_eval(us_eval *k)
{
    const us_tensor *a, *b;
    us_tensor wa, wb, y;
    US_TRY(us_eval_in(k, 0, &a));
    US_TRY(us_eval_in(k, 1, &b));
    us_dtype t = short_sum(a->dtype, b->dtype);
    US_TRY(us_eval_as(k, a, t, &wa));
    US_TRY(us_eval_as(k, b, t, &wb));
    US_TRY(us_eval_inner(k, matmul_eval, NULL, 2, (const us_tensor *[]){&wa, &wb}, &y));
    return us_eval_put_view(k, 0, &y);
}

us_err ms_matmul_integer16_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int t = (int)short_sum(us_expand_dtype(g, n, 0), us_expand_dtype(g, n, 1));
    return us_expand_fmt(c, m, g, n, "y = MatMul(Cast<to=%d>(x0), Cast<to=%d>(x1))", t, t);
}
