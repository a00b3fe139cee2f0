/* ir/op_qmatmul_bind.c - matrix products of 8-bit numbers bound: MatMulInteger, QLinearMatMul, MatMulIntegerToFloat, QGemm.
 *
 * The second operand is a matrix: packed once where it is constant, at every run where not. Batches of the first are rows of one matrix.
 */
#include "ir/op_util.h"
#include "ir/params_ms.h"
#include "ir/qproduct.h"

us_err matmul_integer_prepare(us_eval *k, const void **out)
{
    const us_qpacked *w = NULL;
    US_TRY(us_qpacked_of(k, 1, 3, false, &w));
    *out = w;
    return US_OK;
}

us_err qlinear_matmul_prepare(us_eval *k, const void **out)
{
    const us_qpacked *w = NULL;
    US_TRY(us_qpacked_of(k, 3, 5, false, &w));
    *out = w;
    return US_OK;
}

us_err ms_matmul_integer_to_float_prepare(us_eval *k, const void **out)
{
    const us_qpacked *w = NULL;
    US_TRY(us_qpacked_of(k, 1, 5, false, &w));
    *out = w;
    return US_OK;
}

us_err ms_qgemm_prepare(us_eval *k, const void **out)
{
    const us_p_ms_qgemm *p = k->params;
    const us_qpacked *w = NULL;
    US_TRY(us_qpacked_of(k, 3, 5, p->transB != 0, &w));
    *out = w;
    return US_OK;
}

static us_err decline(us_call *call, const char *why)
{
    *call = (us_call){.kernel = why};
    return US_OK;
}

/* Packed at every run: dense, one zero point or one per column. */
static bool packs_now(us_eval *k, const us_qproduct *p)
{
    const us_tensor *b = us_eval_opt(k, (size_t)p->b),
                    *zero = us_eval_opt(k, (size_t)p->b_zero);
    if (!us_tensor_contiguous(b)) return false;
    if (!zero) return true;
    int64_t count = us_tensor_count(zero);
    return zero->dtype == b->dtype && us_tensor_contiguous(zero) &&
           (count == 1 || (count == b->dims[1] && zero->rank == 1));
}

static us_err bind(us_eval *k, us_qproduct *p, bool trans, us_call *call)
{
    const us_tensor *a = us_eval_opt(k, (size_t)p->terms.a), *b = us_eval_opt(k, (size_t)p->b),
                    *y = us_eval_opt_out(k, 0);
    p->w = k->prepared;
    if (!us_is_8bit(a) || !us_is_8bit(b) || !y)
        return decline(call, "operands that are not of 8 bits");
    if (a->rank < 1 || b->rank != 2) return decline(call, "a second operand that is no matrix");
    p->n = (size_t)b->dims[!trans];
    p->k = (size_t)b->dims[trans];
    p->m = (size_t)us_dims_product(a->dims, 0, a->rank - 1);
    if ((size_t)a->dims[a->rank - 1] != p->k || (size_t)us_tensor_count(y) != p->m * p->n)
        return decline(call, NULL); /* eval has the words */
    if (!p->w && (trans || !packs_now(k, p)))
        return decline(call, "a second operand that is packed at every run and not by rows");
    p->b_flip = b->dtype == US_U8;
    return us_qproduct_bind(k, p, call);
}

us_err matmul_integer_bind(us_eval *k, us_call *call)
{
    us_qproduct p = {.terms = us_qterms_none, .b = 1, .b_zero = 3};
    p.terms.a_zero = 2;
    return bind(k, &p, false, call);
}

us_err qlinear_matmul_bind(us_eval *k, us_call *call)
{
    us_qproduct p = {.terms = us_qterms_none, .b = 3, .b_zero = 5};
    p.terms.a_scale = 1;
    p.terms.a_zero = 2;
    p.terms.b_scale = 4;
    p.terms.y_scale = 6;
    p.terms.y_zero = 7;
    return bind(k, &p, false, call);
}

us_err ms_matmul_integer_to_float_bind(us_eval *k, us_call *call)
{
    us_qproduct p = {.terms = us_qterms_none, .b = 1, .b_zero = 5};
    p.terms.a_scale = 2;
    p.terms.b_scale = 3;
    p.terms.a_zero = 4;
    p.terms.bias = 6;
    return bind(k, &p, false, call);
}

us_err ms_qgemm_bind(us_eval *k, us_call *call)
{
    const us_p_ms_qgemm *g = k->params;
    us_qproduct p = {.terms = us_qterms_none, .b = 3, .b_zero = 5};
    p.terms.a_scale = 1;
    p.terms.a_zero = 2;
    p.terms.b_scale = 4;
    p.terms.bias = 6;
    p.terms.y_scale = 7;
    p.terms.y_zero = 8;
    p.terms.alpha = g->alpha;
    if (g->transA) return decline(call, "a first operand that is transposed");
    return bind(k, &p, g->transB != 0, call);
}
