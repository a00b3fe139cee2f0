/* ir/op_qmatmul.c - MatMulInteger and QLinearMatMul: matrix products of 8-bit numbers.
 *
 * Scale and zero point of A are one number, one per row, or [..., M, 1]; those of B one number, one per column, or
 * [..., 1, N]. Where the document leaves the arithmetic of the scales open, ONNX Runtime's is followed (float).
 */
#include <string.h>

#include "ir/op_qint.h"

/* clang-format off */
#define M_8 (US_M(U8) | US_M(I8))
#define M_F8 (US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ))
#define M_SCALE (US_M(F32) | US_M(F16) | US_M(BF16))
static const us_param matmul_integer_in[] = {
    {"A", '1', M_8, 0}, {"B", '2', M_8, 0}, {"a_zero_point", '1', M_8, US_P_OPTIONAL},
    {"b_zero_point", '2', M_8, US_P_OPTIONAL}, US_PARAM_END};
static const us_param matmul_integer_out[] = {{"Y", '3', US_M(I32), 0}, US_PARAM_END};
const us_schema matmul_integer_schemas[] = {
    {10, matmul_integer_in, matmul_integer_out, NULL, 0, NULL},
    {0}};

static const us_param qlinear_matmul_in[] = {
    {"a", '1', M_8, 0}, {"a_scale", '\0', US_M(F32), 0}, {"a_zero_point", '1', M_8, 0},
    {"b", '2', M_8, 0}, {"b_scale", '\0', US_M(F32), 0}, {"b_zero_point", '2', M_8, 0},
    {"y_scale", '\0', US_M(F32), 0}, {"y_zero_point", '3', M_8, 0}, US_PARAM_END};
static const us_param qlinear_matmul_out[] = {{"y", '3', M_8, 0}, US_PARAM_END};
static const us_param qlinear_matmul_in_21[] = {
    {"a", '1', M_8 | M_F8, 0}, {"a_scale", 'S', M_SCALE, 0}, {"a_zero_point", '1', M_8 | M_F8, 0},
    {"b", '2', M_8 | M_F8, 0}, {"b_scale", 'S', M_SCALE, 0}, {"b_zero_point", '2', M_8 | M_F8, 0},
    {"y_scale", 'S', M_SCALE, 0}, {"y_zero_point", '3', M_8 | M_F8, 0}, US_PARAM_END};
static const us_param qlinear_matmul_out_21[] = {{"y", '3', M_8 | M_F8, 0}, US_PARAM_END};
const us_schema qlinear_matmul_schemas[] = {
    {10, qlinear_matmul_in, qlinear_matmul_out, NULL, 0, NULL},
    {21, qlinear_matmul_in_21, qlinear_matmul_out_21, NULL, 0, NULL},
    {0}};
/* clang-format on */

us_err matmul_integer_infer(us_infer *k)
{
    return us_infer_product(k, 1, US_I32);
}

us_err qlinear_matmul_infer(us_infer *k)
{
    return us_infer_product(k, 3, US_DT_NONE);
}

/* Where each batch's matrices start, and how large they are. */
typedef struct layout {
    int64_t m, k, n, n_batch;
    us_tensor a, b; /* views over the batch dims: strides count matrices */
    int rank;
    int64_t dims[US_MAX_RANK + 2]; /* batch dims, then those of the result */
    int out_rank;
} layout;

static us_err lay_out(us_eval *k, const us_tensor *a, const us_tensor *b, layout *l)
{
    if (a->rank == 0 || b->rank == 0) return us_eval_fail(k, US_SHAPE, "operand is a scalar");
    int64_t da[US_MAX_RANK] = {1, a->dims[0]}, db[US_MAX_RANK] = {b->dims[0], 1};
    int ra = US_MAX(a->rank, 2), rb = US_MAX(b->rank, 2);
    if (a->rank > 1) memcpy(da, a->dims, (size_t)ra * sizeof *da);
    if (b->rank > 1) memcpy(db, b->dims, (size_t)rb * sizeof *db);
    l->m = da[ra - 2];
    l->k = da[ra - 1];
    l->n = db[rb - 1];
    if (db[rb - 2] != l->k)
        return us_eval_fail(k, US_SHAPE, "A has %lld columns, B has %lld rows", (long long)l->k,
                            (long long)db[rb - 2]);
    US_TRY(us_dims_broadcast(k->c, ra - 2, da, rb - 2, db, &l->rank, l->dims));
    US_TRY(us_tensor_init(k->c, &l->a, US_I16, ra - 2, da, a->data));
    US_TRY(us_tensor_init(k->c, &l->b, US_I16, rb - 2, db, b->data));
    US_TRY(us_tensor_broadcast_view(k->c, &l->a, l->rank, l->dims, &l->a));
    US_TRY(us_tensor_broadcast_view(k->c, &l->b, l->rank, l->dims, &l->b));
    l->n_batch = us_dims_product(l->dims, 0, l->rank);
    l->out_rank = l->rank;
    if (a->rank > 1) l->dims[l->out_rank++] = l->m;
    if (b->rank > 1) l->dims[l->out_rank++] = l->n;
    return US_OK;
}

us_err us_q_multiply(us_eval *k, const us_tensor *a, const us_tensor *b, us_tensor *sums)
{
    layout l;
    us_q_product p;
    US_TRY(lay_out(k, a, b, &l));
    if (l.out_rank > US_MAX_RANK)
        return us_eval_fail(k, US_SHAPE, "result has too many dimensions");
    US_TRY(us_tensor_init(k->c, sums, US_I64, l.out_rank, l.dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(sums), &sums->data));
    US_TRY(us_q_product_open(k, l.m, l.n, &p));
    p.k = l.k;
    for (int64_t i = 0; i < l.n_batch; i++) {
        int64_t rest = i, oa = 0, ob = 0;
        for (int j = l.rank - 1; j >= 0; j--) {
            oa += rest % l.dims[j] * l.a.strides[j];
            ob += rest % l.dims[j] * l.b.strides[j];
            rest /= l.dims[j];
        }
        p.a = (const int16_t *)a->data + oa * l.m * l.k;
        p.b = (const int16_t *)b->data + ob * l.k * l.n;
        p.c = (int64_t *)sums->data + i * l.m * l.n;
        US_TRY(us_q_product_run(k, &p));
    }
    return US_OK;
}

/* Input i, centred on input iz (absent: 0), whose numbers lie along the rows or the columns. */
static us_err operand(us_eval *k, size_t i, size_t iz, int trailing, us_tensor *out)
{
    const us_tensor *x, *z = us_eval_opt(k, iz);
    us_tensor zero;
    US_TRY(us_eval_in(k, i, &x));
    if (z) US_TRY(us_q_along(k, z, x->rank > 1 ? trailing : 0, &zero));
    return us_q_centre(k, x, z ? &zero : NULL, out);
}

us_err matmul_integer_eval(us_eval *k)
{
    us_tensor a, b, sums;
    US_TRY(operand(k, 0, 2, 1, &a));
    US_TRY(operand(k, 1, 3, 0, &b));
    US_TRY(us_q_multiply(k, &a, &b, &sums));
    return us_q_put_i32(k, &sums);
}

/* r = f(a, b) in double, broadcast, in scratch. */
static us_err in_double(us_eval *k, us_binary f, const us_tensor *a, const us_tensor *b,
                        us_tensor *r)
{
    us_tensor wa, wb;
    int rank;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_eval_as(k, a, US_F64, &wa));
    US_TRY(us_eval_as(k, b, US_F64, &wb));
    US_TRY(us_dims_broadcast(k->c, a->rank, a->dims, b->rank, b->dims, &rank, dims));
    US_TRY(us_tensor_init(k->c, r, US_F64, rank, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(r) + 1, &r->data));
    return us_eval_binary_into(k, f, r, &wa, &wb);
}

/* As operand, for 8-bit floats, whose differences no int16 holds. */
static us_err float_operand(us_eval *k, size_t i, size_t iz, int trailing, us_tensor *out)
{
    const us_tensor *x, *z;
    us_tensor zero;
    US_TRY(us_eval_in(k, i, &x));
    US_TRY(us_eval_in(k, iz, &z));
    US_TRY(us_q_along(k, z, x->rank > 1 ? trailing : 0, &zero));
    return in_double(k, US_BIN_SUB, x, &zero, out);
}

/* Output 0 of zero's type from v * s + zero; integers are rounded before the zero point is added. */
static us_err put_float(us_eval *k, const us_tensor *v, const us_tensor *s,
                        const us_tensor *zero)
{
    us_tensor scaled, sum, *y;
    US_TRY(in_double(k, US_BIN_MUL, v, s, &scaled));
    bool whole = us_dtype_get(zero->dtype)->cls != US_DC_FLOAT;
    double *q = scaled.data;
    for (int64_t i = 0, n = us_tensor_count(&scaled); i < n && whole; i++)
        q[i] = isnan(q[i]) ? 0 : nearbyint(q[i]);
    US_TRY(in_double(k, US_BIN_ADD, &scaled, zero, &sum));
    US_TRY(us_eval_out(k, 0, zero->dtype, sum.rank, sum.dims, &y));
    return whole ? us_tensor_convert(k->c, y, &sum) : us_cast_f8(k, &sum, y, true);
}

static bool is_float(us_eval *k, size_t i)
{
    const us_tensor *t = us_eval_opt(k, i);
    return t && us_dtype_get(t->dtype)->cls == US_DC_FLOAT;
}

us_err qlinear_matmul_eval(us_eval *k)
{
    const us_tensor *scale, *z, *a_in;
    us_tensor a, b, sums, sa, sb, sy, zero, s;
    US_TRY(us_eval_in(k, 0, &a_in));
    const int trailing = a_in->rank > 1;
    US_TRY(us_eval_in(k, 1, &scale));
    US_TRY(us_q_along(k, scale, trailing, &sa));
    US_TRY(us_eval_in(k, 4, &scale));
    US_TRY(us_q_along(k, scale, 0, &sb));
    US_TRY(us_eval_in(k, 6, &scale));
    US_TRY(us_q_along(k, scale, trailing, &sy));
    US_TRY(us_eval_in(k, 7, &z));
    US_TRY(us_q_along(k, z, trailing, &zero));
    US_TRY(us_q_scale(k, &sa, &sb, &sy, &s));
    if (is_float(k, 0) || is_float(k, 3) || is_float(k, 7)) {
        US_TRY(float_operand(k, 0, 2, 1, &a));
        US_TRY(float_operand(k, 3, 5, 0, &b));
        US_TRY(us_eval_inner(k, matmul_eval, NULL, 2, (const us_tensor *[]){&a, &b}, &sums));
        return put_float(k, &sums, &s, &zero);
    }
    US_TRY(operand(k, 0, 2, 1, &a));
    US_TRY(operand(k, 3, 5, 0, &b));
    US_TRY(us_q_multiply(k, &a, &b, &sums));
    return us_q_put(k, &sums, &s, &zero);
}
