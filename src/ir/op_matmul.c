/* ir/op_matmul.c - MatMul and Gemm: float through the kernel table, other types through plain loops.
 *
 * Batches of MatMul broadcast as NumPy's do. When B has no batch, all of A's rows form one matrix. Rows are
 * cut into at most PARTS chunks for the pool; a kernel sums over k in an order of its own whatever the
 * chunk, so the bytes do not depend on the number of threads.
 */
#include <string.h>

#include "base/pool.h"
#include "ir/op_qint.h"
#include "kernel/kernels.h"

/* clang-format off */
static const us_param matmul_in[] = {
    {"A", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"B", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
static const us_param matmul_out[] = {
    {"Y", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
const us_schema matmul_schemas[] = {
    {1, matmul_in, matmul_out, NULL, 0, NULL},
    {9, matmul_in, matmul_out, NULL, 0, NULL},
    {13, matmul_in, matmul_out, NULL, 0, NULL},
    {0}};

static const us_param gemm_in[] = {
    {"A", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"B", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"C", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
static const us_attr_row gemm_attrs[] = {
    US_AF(us_p_gemm, alpha, "alpha", 1.0F), US_AF(us_p_gemm, beta, "beta", 1.0F),
    US_AI(us_p_gemm, broadcast, "broadcast", 0), US_AI(us_p_gemm, transA, "transA", 0),
    US_AI(us_p_gemm, transB, "transB", 0), US_ATTR_END};
static const us_attr_row gemm_attrs_7[] = {
    US_AF(us_p_gemm, alpha, "alpha", 1.0F), US_AF(us_p_gemm, beta, "beta", 1.0F),
    US_AI(us_p_gemm, transA, "transA", 0), US_AI(us_p_gemm, transB, "transB", 0), US_ATTR_END};
static const us_param gemm_in_11[] = {
    {"A", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"B", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"C", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), US_P_OPTIONAL}, US_PARAM_END};
const us_schema gemm_schemas[] = {
    {1, gemm_in, matmul_out, gemm_attrs, sizeof(us_p_gemm), NULL},
    {6, gemm_in, matmul_out, gemm_attrs, sizeof(us_p_gemm), us_upgrade_drop},
    {7, gemm_in, matmul_out, gemm_attrs_7, sizeof(us_p_gemm), NULL},
    {9, gemm_in, matmul_out, gemm_attrs_7, sizeof(us_p_gemm), NULL},
    {11, gemm_in_11, matmul_out, gemm_attrs_7, sizeof(us_p_gemm), NULL},
    {13, gemm_in_11, matmul_out, gemm_attrs_7, sizeof(us_p_gemm), NULL},
    {0}};
/* clang-format on */

enum { PARTS = 8 };
#define PARALLEL_FROM                                                                          \
    ((double)(1 << 21)) /* multiply-adds below which threads cost more than they bring */

typedef struct gemm_job {
    const us_kernels *table;
    us_gemm_args g;
    char *scratch;
    size_t grain, scratch_bytes;
} gemm_job;

static void gemm_rows(void *arg, size_t i0, size_t i1)
{
    const gemm_job *j = arg;
    us_gemm_args g = j->g;
    g.m = i1 - i0;
    g.a += g.trans_a ? i0 : i0 * g.lda;
    g.c += i0 * g.ldc;
    g.scratch = j->scratch_bytes ? j->scratch + i0 / j->grain * j->scratch_bytes : NULL;
    j->table->f32_gemm(&g);
}

/* One product; scratch is taken from the node. */
us_err us_eval_gemm(us_eval *k, const us_gemm_args *g)
{
    gemm_job j = {.table = us_kernels_get(k->c), .g = *g, .grain = g->m ? g->m : 1};
    if ((double)g->m * (double)g->n * (double)g->k >= PARALLEL_FROM && g->m > 12)
        j.grain = ((g->m + PARTS - 1) / PARTS + 5) / 6 * 6;
    US_TRY(us_eval_work(k, (double)g->m * (double)g->n * (double)g->k));
    size_t n_parts = (g->m + j.grain - 1) / j.grain, bytes;
    j.scratch_bytes = j.table->f32_gemm_scratch(j.grain, g->n, g->k);
    j.scratch_bytes = (j.scratch_bytes + 63) & ~(size_t)63;
    if (!us_mul_size(j.scratch_bytes, n_parts, &bytes))
        return us_eval_fail(k, US_LIMIT, "too large");
    void *p = NULL;
    if (bytes) US_TRY(us_eval_scratch(k, bytes, &p));
    j.scratch = p;
    us_pool_run(k->c->pool, g->m, j.grain, gemm_rows, &j);
    return US_OK;
}

/* c[m,n] = a[m,k] b[k,n] with wrapping integers or doubles. */
#define PLAIN(name, T, ACC)                                                                    \
    static void name(const void *a_, const void *b_, void *c_, size_t m, size_t n, size_t kk)  \
    {                                                                                          \
        const T *a = a_, *b = b_;                                                              \
        T *c = c_;                                                                             \
        for (size_t i = 0; i < m; i++)                                                         \
            for (size_t j = 0; j < n; j++) {                                                   \
                ACC s = 0;                                                                     \
                for (size_t p = 0; p < kk; p++)                                                \
                    s += (ACC)a[i * kk + p] * (ACC)b[p * n + j];                               \
                c[i * n + j] = (T)s;                                                           \
            }                                                                                  \
    }
PLAIN(product_f64, double, double)
PLAIN(product_i32, int32_t, uint64_t)
PLAIN(product_i64, int64_t, uint64_t)
PLAIN(product_u32, uint32_t, uint64_t)
PLAIN(product_u64, uint64_t, uint64_t)
typedef void product_fn(const void *, const void *, void *, size_t, size_t, size_t);
static product_fn *const products[US_DTYPE_N] = {[US_F64] = product_f64,
                                                 [US_I32] = product_i32,
                                                 [US_I64] = product_i64,
                                                 [US_U32] = product_u32,
                                                 [US_U64] = product_u64};

/* --- MatMul -------------------------------------------------------------------------------------- */

us_err us_infer_product(us_infer *k, size_t second, us_dtype t)
{
    const us_type *a = us_infer_ranked(k, 0), *b = us_infer_ranked(k, second);
    if (!a || !b) return us_infer_out(k, 0, t, -1, NULL);
    if (a->rank == 0 || b->rank == 0) return us_infer_fail(k, US_SHAPE, "operand is a scalar");
    us_dim ka = a->dims[a->rank - 1], kb = b->dims[b->rank == 1 ? 0 : b->rank - 2];
    if (us_dim_known(ka) && us_dim_known(kb) && ka.add != kb.add)
        return us_infer_fail(k, US_SHAPE, "inner dimensions differ");
    int ba = US_MAX(a->rank - 2, 0), bb = US_MAX(b->rank - 2, 0), r = US_MAX(ba, bb);
    us_dim d[US_MAX_RANK + 2];
    for (int i = 0; i < r; i++) {
        int ia = i - (r - ba), ib = i - (r - bb);
        us_dim one = US_DIM(1), x = ia < 0 ? one : a->dims[ia], y = ib < 0 ? one : b->dims[ib];
        if (us_dim_eq(x, y) || us_dim_eq(y, one))
            d[i] = x;
        else if (us_dim_eq(x, one))
            d[i] = y;
        else if (us_dim_known(x) && us_dim_known(y))
            return us_infer_fail(k, US_SHAPE, "batch dimensions differ");
        else
            d[i] = us_dim_known(x) ? x : y; /* a number other than 1 wins over a symbol */
    }
    if (a->rank > 1) d[r++] = a->dims[a->rank - 2];
    if (b->rank > 1) d[r++] = b->dims[b->rank - 1];
    return us_infer_out(k, 0, t, r, d);
}

us_err matmul_infer(us_infer *k)
{
    return us_infer_product(k, 1, US_DT_NONE);
}

us_err matmul_eval(us_eval *k)
{
    us_tensor a, b, *y;
    US_TRY(us_eval_in_dense(k, 0, &a));
    US_TRY(us_eval_in_dense(k, 1, &b));
    if (us_is_half(a.dtype)) return us_eval_widened(k, a.dtype, matmul_eval);
    if (a.rank == 0 || b.rank == 0) return us_eval_fail(k, US_SHAPE, "operand is a scalar");
    if (a.dtype != b.dtype || (a.dtype != US_F32 && !products[a.dtype]))
        return us_eval_no_type(k, a.dtype);
    int64_t da[US_MAX_RANK] = {1, a.dims[0]}, db[US_MAX_RANK] = {b.dims[0], 1};
    int ra = US_MAX(a.rank, 2), rb = US_MAX(b.rank, 2), r;
    for (int i = 0; i < a.rank && a.rank > 1; i++)
        da[i] = a.dims[i];
    for (int i = 0; i < b.rank && b.rank > 1; i++)
        db[i] = b.dims[i];
    int64_t m = da[ra - 2], kk = da[ra - 1], n = db[rb - 1], dims[US_MAX_RANK + 2];
    if (db[rb - 2] != kk)
        return us_eval_fail(k, US_SHAPE, "A has %lld columns, B has %lld rows", (long long)kk,
                            (long long)db[rb - 2]);
    US_TRY(us_dims_broadcast(k->c, ra - 2, da, rb - 2, db, &r, dims));
    us_tensor va, vb;
    US_TRY(us_tensor_init(k->c, &va, a.dtype, ra - 2, da, a.data));
    US_TRY(us_tensor_init(k->c, &vb, b.dtype, rb - 2, db, b.data));
    US_TRY(us_tensor_broadcast_view(k->c, &va, r, dims, &va));
    US_TRY(us_tensor_broadcast_view(k->c, &vb, r, dims, &vb));
    int batch_rank = r;
    int64_t n_batch = us_dims_product(dims, 0, r);
    if (a.rank > 1) dims[r++] = m;
    if (b.rank > 1) dims[r++] = n;
    US_TRY(us_eval_out(k, 0, a.dtype, r, dims, &y));
    if (us_dims_product(db, 0, rb - 2) == 1 && us_dims_product(da, 0, ra - 2) == n_batch) {
        m *= n_batch;
        n_batch = 1;
    }
    size_t size = us_dtype_get(a.dtype)->bits / 8;
    if (a.dtype != US_F32)
        US_TRY(us_eval_work(k, (double)n_batch * (double)m * (double)n * (double)kk));
    for (int64_t i = 0; i < n_batch; i++) {
        int64_t rest = i, oa = 0, ob = 0;
        for (int j = batch_rank - 1; j >= 0 && n_batch > 1; j--) {
            oa += rest % dims[j] * va.strides[j];
            ob += rest % dims[j] * vb.strides[j];
            rest /= dims[j];
        }
        const char *pa = (const char *)a.data + (size_t)(oa * da[ra - 2] * kk) * size;
        const char *pb = (const char *)b.data + (size_t)(ob * kk * n) * size;
        char *pc = (char *)y->data + (size_t)(i * m * n) * size;
        if (a.dtype == US_F32)
            US_TRY(us_eval_gemm(k, &(us_gemm_args){.m = (size_t)m,
                                                   .n = (size_t)n,
                                                   .k = (size_t)kk,
                                                   .alpha = 1,
                                                   .a = (const void *)pa,
                                                   .lda = (size_t)kk,
                                                   .b = (const void *)pb,
                                                   .ldb = (size_t)n,
                                                   .c = (void *)pc,
                                                   .ldc = (size_t)n}));
        else
            products[a.dtype](pa, pb, pc, (size_t)m, (size_t)n, (size_t)kk);
    }
    return US_OK;
}

/* --- Gemm ---------------------------------------------------------------------------------------- */

us_err gemm_infer(us_infer *k)
{
    const us_p_gemm *p = k->params;
    const us_type *a = us_infer_ranked(k, 0), *b = us_infer_ranked(k, 1);
    if (!a || !b) return us_infer_rank(k, 0, US_DT_NONE, 2);
    if (a->rank != 2 || b->rank != 2)
        return us_infer_fail(k, US_SHAPE, "A and B must be matrices");
    us_dim ka = a->dims[!p->transA], kb = b->dims[p->transB != 0];
    if (us_dim_known(ka) && us_dim_known(kb) && ka.add != kb.add)
        return us_infer_fail(k, US_SHAPE, "inner dimensions differ");
    return us_infer_out(k, 0, US_DT_NONE, 2,
                        (us_dim[]){a->dims[p->transA != 0], b->dims[!p->transB]});
}

/* Types other than float: in double, converted back. */
static us_err gemm_wide(us_eval *k, const us_tensor *a, const us_tensor *b, const us_tensor *c,
                        us_tensor *y)
{
    const us_p_gemm *p = k->params;
    us_tensor wa, wb, wc = {0}, wy;
    US_TRY(us_eval_as(k, a, US_F64, &wa));
    US_TRY(us_eval_as(k, b, US_F64, &wb));
    US_TRY(us_tensor_init(k->c, &wy, US_F64, 2, y->dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&wy), &wy.data));
    int64_t m = y->dims[0], n = y->dims[1], kk = p->transA ? a->dims[0] : a->dims[1];
    US_TRY(us_eval_work(k, (double)m * (double)n * (double)kk));
    if (c) {
        US_TRY(us_eval_as(k, c, US_F64, &wc));
        US_TRY(us_tensor_broadcast_view(k->c, &wc, 2, y->dims, &wc));
    }
    const double *pa = wa.data, *pb = wb.data, *pc = wc.data;
    double *py = wy.data;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double s = 0;
            for (int64_t q = 0; q < kk; q++)
                s += (p->transA ? pa[q * m + i] : pa[i * kk + q]) *
                     (p->transB ? pb[j * kk + q] : pb[q * n + j]);
            py[i * n + j] = (double)p->alpha * s;
            if (c) py[i * n + j] += (double)p->beta * pc[i * wc.strides[0] + j * wc.strides[1]];
        }
    return us_tensor_convert(k->c, y, &wy);
}

/* y = c, broadcast. A bias per column, as dense layers have, is worth its own loop: the general copy costs more than a small
 * product. */
static us_err spread(us_eval *k, const us_tensor *c, us_tensor *y)
{
    us_tensor view;
    if (c->rank == 1 && c->dims[0] == y->dims[1] && c->strides[0] == 1 && c->dtype == US_F32) {
        size_t row = (size_t)y->dims[1];
        for (int64_t i = 0; i < y->dims[0] && row; i++)
            memcpy((float *)y->data + (size_t)i * row, c->data, row * sizeof(float));
        return US_OK;
    }
    US_TRY(us_tensor_broadcast_view(k->c, c, 2, y->dims, &view));
    return us_tensor_copy(k->c, y, &view);
}

us_err gemm_eval(us_eval *k)
{
    const us_p_gemm *p = k->params;
    us_tensor a, b, *y;
    const us_tensor *c = us_eval_opt(k, 2);
    US_TRY(us_eval_in_dense(k, 0, &a));
    US_TRY(us_eval_in_dense(k, 1, &b));
    if (us_is_half(a.dtype)) return us_eval_widened(k, a.dtype, gemm_eval);
    if (a.rank != 2 || b.rank != 2)
        return us_eval_fail(k, US_SHAPE, "A has rank %d and B rank %d, expected matrices",
                            a.rank, b.rank);
    int64_t m = a.dims[p->transA != 0], kk = a.dims[!p->transA], n = b.dims[!p->transB];
    if (b.dims[p->transB != 0] != kk)
        return us_eval_fail(k, US_SHAPE, "A has inner dimension %lld, B %lld", (long long)kk,
                            (long long)b.dims[p->transB != 0]);
    if (c && (c->dtype != a.dtype || c->rank > 2))
        return us_eval_fail(k, US_SHAPE, "C must be a matrix or less of A's type");
    US_TRY(us_eval_out(k, 0, a.dtype, 2, (int64_t[]){m, n}, &y));
    if (a.dtype != US_F32) return gemm_wide(k, &a, &b, c, y);
    if (c) US_TRY(spread(k, c, y));
    return us_eval_gemm(k, &(us_gemm_args){.trans_a = p->transA != 0,
                                           .trans_b = p->transB != 0,
                                           .m = (size_t)m,
                                           .n = (size_t)n,
                                           .k = (size_t)kk,
                                           .alpha = p->alpha,
                                           .beta = c ? p->beta : 0,
                                           .a = a.data,
                                           .lda = (size_t)a.dims[1],
                                           .b = b.data,
                                           .ldb = (size_t)b.dims[1],
                                           .c = y->data,
                                           .ldc = (size_t)n});
}
