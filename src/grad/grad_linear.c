/* grad/grad_linear.c - gradients of matrix products and batch normalisation.
 *
 * Two-dimensional products use Gemm, which reads its factors transposed without moving them.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

static us_vid gemm(us_grad *k, us_vid a, bool ta, us_vid b, bool tb, double alpha)
{
    us_vid r = us_b2(k->b, "Gemm", a, b);
    if (ta) us_b_int(k->b, "transA", 1);
    if (tb) us_b_int(k->b, "transB", 1);
    if (alpha < 1 || alpha > 1) us_b_float(k->b, "alpha", (float)alpha);
    return r;
}

/* Y = alpha A' B' + beta C. */
us_err gemm_grad(us_grad *k)
{
    us_vid a = us_gx(k, 0), b = us_gx(k, 1), cc = us_gx(k, 2), dy = k->dy[0];
    bool ta = us_g_int(k, "transA", 0) != 0, tb = us_g_int(k, "transB", 0) != 0;
    double alpha = us_g_float(k, "alpha", 1), beta = us_g_float(k, "beta", 1);
    if (us_g_wants(k, 0))
        k->dx[0] = ta ? gemm(k, b, tb, dy, true, alpha) : gemm(k, dy, false, b, !tb, alpha);
    if (us_g_wants(k, 1))
        k->dx[1] = tb ? gemm(k, dy, true, a, ta, alpha) : gemm(k, a, !ta, dy, false, alpha);
    if (us_g_wants(k, 2)) {
        us_vid d = us_g_sum_to(k, dy, us_gy(k, 0), cc);
        k->dx[2] = beta < 1 || beta > 1 ? US_G2("Mul", d, us_g_num(k, a, beta)) : d;
    }
    return US_OK;
}

static us_vid swap_last(us_grad *k, us_vid v, int rank)
{
    int64_t perm[US_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return us_g_transpose(k, v, rank, perm);
}

/* d, shaped like y in its batch dimensions, summed to those of v (rank rv, its matrix dimensions agree already). The
 * batch dimensions of v and y broadcast like any others, so the rule is us_g_sum_to's, over fewer dimensions. */
static us_vid sum_batch(us_grad *k, us_vid d, us_vid y, us_vid v)
{
    int ry = us_g_rank(k, y), rv = us_g_rank(k, v), shift = ry - rv;
    int64_t axes[US_MAX_RANK], lead[US_MAX_RANK];
    size_t n = 0, n_lead = 0;
    for (int i = 0; i < ry - 2; i++) {
        us_dim dy = us_g_type(k, y)->dims[i];
        if (i < shift) {
            lead[n_lead++] = i;
            axes[n++] = i;
            continue;
        }
        us_dim dv = us_g_type(k, v)->dims[i - shift];
        if (us_dim_eq(dv, dy)) continue;
        if (us_dim_known(dv) && dv.add == 1) axes[n++] = i;
        if (!us_dim_known(dv) && !us_dim_known(dy)) {
            k->b->err =
                us_g_fail(k, "cannot tell whether a symbolic batch dimension is broadcast");
            return US_NIL;
        }
    }
    if (!n) return d;
    us_vid r = us_g_reduce_sum(k, d, n, axes, n > n_lead);
    return n > n_lead && n_lead ? US_G2("Squeeze", r, us_b_i64s(k->b, n_lead, lead)) : r;
}

/* N-d by 2-d: one product over all rows. */
static us_err matmul_rows(us_grad *k, us_vid a, us_vid b, us_vid dy)
{
    if (us_g_wants(k, 0)) k->dx[0] = US_G2("MatMul", dy, swap_last(k, b, 2));
    if (!us_g_wants(k, 1)) return US_OK;
    int64_t kk = us_g_dim(k, b, 0), n = us_g_dim(k, b, 1);
    if (kk < 0 || n < 0) return us_g_fail(k, "the matrix' size is not known");
    us_vid rows_a = us_g_reshape(k, a, 2, (int64_t[]){-1, kk});
    us_vid rows_y = us_g_reshape(k, dy, 2, (int64_t[]){-1, n});
    k->dx[1] = gemm(k, rows_a, true, rows_y, false, 1);
    return US_OK;
}

static us_err matmul_batched(us_grad *k, us_vid a, us_vid b, us_vid dy)
{
    us_vid y = us_gy(k, 0);
    if (us_g_wants(k, 0)) {
        us_vid d = US_G2("MatMul", dy, swap_last(k, b, us_g_rank(k, b)));
        k->dx[0] = sum_batch(k, d, y, a);
    }
    if (us_g_wants(k, 1)) {
        us_vid d = US_G2("MatMul", swap_last(k, a, us_g_rank(k, a)), dy);
        k->dx[1] = sum_batch(k, d, y, b);
    }
    return US_OK;
}

/* A vector on one side. x: [K] with [.., K, N] or [.., M, K] with [K]; both: a dot product. */
static us_err matmul_vector(us_grad *k, us_vid a, us_vid b, us_vid dy)
{
    int ra = us_g_rank(k, a), rb = us_g_rank(k, b);
    if (ra > 2 || rb > 2)
        return us_g_fail(k, "a vector times a batch of matrices; unsqueeze it first");
    if (ra == 1 && rb == 1) {
        if (us_g_wants(k, 0)) k->dx[0] = US_G2("Mul", b, dy);
        if (us_g_wants(k, 1)) k->dx[1] = US_G2("Mul", a, dy);
        return US_OK;
    }
    us_vid first = us_b_i64s(k->b, 1, (int64_t[]){0}),
           last = us_b_i64s(k->b, 1, (int64_t[]){1});
    if (ra == 1) { /* [K] x [K,N] -> [N] */
        if (us_g_wants(k, 0)) k->dx[0] = US_G2("MatMul", b, dy);
        if (us_g_wants(k, 1))
            k->dx[1] = US_G2("Mul", US_G2("Unsqueeze", a, last), US_G2("Unsqueeze", dy, first));
        return US_OK;
    }
    if (us_g_wants(k, 0))
        k->dx[0] = US_G2("Mul", US_G2("Unsqueeze", dy, last), US_G2("Unsqueeze", b, first));
    if (us_g_wants(k, 1)) k->dx[1] = US_G2("MatMul", dy, a);
    return US_OK;
}

us_err matmul_grad(us_grad *k)
{
    us_vid a = us_gx(k, 0), b = us_gx(k, 1), dy = k->dy[0];
    int ra = us_g_rank(k, a), rb = us_g_rank(k, b);
    if (ra < 1 || rb < 1) return us_g_fail(k, "an input's rank is not known");
    if (ra == 1 || rb == 1) return matmul_vector(k, a, b, dy);
    if (ra == 2 && rb == 2) {
        if (us_g_wants(k, 0)) k->dx[0] = gemm(k, dy, false, b, true, 1);
        if (us_g_wants(k, 1)) k->dx[1] = gemm(k, a, true, dy, false, 1);
        return US_OK;
    }
    return rb == 2 ? matmul_rows(k, a, b, dy) : matmul_batched(k, a, b, dy);
}
