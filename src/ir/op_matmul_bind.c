/* ir/op_matmul_bind.c - MatMul and Gemm of floats for known shapes: constant weights packed once per plan, the rest settled per shape.
 *
 * Of constant weights the alpha of Gemm is part, and its beta of a constant C; so is nothing else, for what is not constant may be
 * of any shape that broadcasts. Whatever these do not take (other types, a C per row) runs as it comes.
 */
#include "ir/op_util.h"
#include "ir/product.h"

/* --- MatMul -------------------------------------------------------------------------------------- */

us_err matmul_prepare(us_eval *k, const void **out)
{
    const us_tensor *b = us_eval_dense_f32(k, 1);
    if (!b || b->rank == 0 || us_dims_product(b->dims, 0, b->rank - 2) != 1) return US_OK;
    us_gemm_weights g = {.n = b->rank == 1 ? 1 : (size_t)b->dims[b->rank - 1],
                         .k = (size_t)b->dims[b->rank == 1 ? 0 : b->rank - 2],
                         .b = b->data,
                         .scale = 1};
    g.ldb = g.n;
    us_weights *w;
    US_TRY(us_weights_choose(k, &g, NULL, &w));
    *out = w;
    return US_OK;
}

/* A batch as MatMul broadcasts it; declined when it does not. */
static us_err bind_batch(us_eval *k, const us_tensor *a, const us_tensor *b, us_product *p,
                         us_call *call)
{
    int64_t dims[US_MAX_RANK];
    size_t steps[US_MAX_RANK][3], item[3] = {p->m * p->k, p->k * p->n, p->m * p->n};
    int ra = a->rank - 2, rb = b->rank - 2, r = US_MAX(ra, rb);
    if (p->batch > US_PRODUCT_ITEMS) {
        call->kernel = "a batch of more than 65536";
        return US_OK;
    }
    for (int i = r - 1; i >= 0; i--) {
        int ia = i - (r - ra), ib = i - (r - rb);
        int64_t x = ia < 0 ? 1 : a->dims[ia], y = ib < 0 ? 1 : b->dims[ib];
        if (x != y && x != 1 && y != 1) return US_OK;
        dims[i] = US_MAX(x, y);
        int64_t own[3] = {x, y, dims[i]};
        for (int s = 0; s < 3; s++) {
            steps[i][s] = own[s] == 1 ? 0 : item[s];
            item[s] *= (size_t)own[s];
        }
    }
    if (item[2] != p->batch * p->m * p->n) return US_OK;
    US_TRY(us_product_items(k, p, r, dims, (const size_t(*)[3])steps));
    return us_product_bind(k, p, call);
}

/* By packed weights: any dims of A before the last are rows. */
static bool weighted(const us_weights *w, const us_tensor *a, us_product *p)
{
    p->w = w;
    p->n = w->n;
    p->k = w->k;
    if (a->rank == 0 || (size_t)a->dims[a->rank - 1] != w->k) return false;
    p->m = (size_t)us_tensor_count(a) / w->k;
    return true;
}

us_err matmul_bind(us_eval *k, us_call *call)
{
    const us_tensor *a = us_eval_dense_f32(k, 0), *b = us_eval_dense_f32(k, 1),
                    *y = us_eval_opt_out(k, 0);
    us_product p = us_product_none;
    if (!a || !b || !y) {
        call->kernel = "not float32";
        return US_OK;
    }
    if (k->prepared) {
        if (!weighted(k->prepared, a, &p) || (size_t)us_tensor_count(y) != p.m * p.n)
            return US_OK;
        return us_product_bind(k, &p, call);
    }
    if (a->rank < 2 || b->rank < 2 || a->dims[a->rank - 1] != b->dims[b->rank - 2]) {
        call->kernel = "a vector times a matrix";
        return US_OK;
    }
    p.m = (size_t)a->dims[a->rank - 2];
    p.k = (size_t)a->dims[a->rank - 1];
    p.n = (size_t)b->dims[b->rank - 1];
    p.batch = (size_t)us_tensor_count(y) / (p.m * p.n);
    if (us_dims_product(b->dims, 0, b->rank - 2) == 1) {
        p.m = (size_t)us_tensor_count(a) / p.k; /* all of A's rows are one matrix */
        p.batch = 1;
    }
    if (p.m * p.n * p.batch != (size_t)us_tensor_count(y)) return US_OK;
    us_product_dense(&p);
    return p.batch == 1 ? us_product_bind(k, &p, call) : bind_batch(k, a, b, &p, call);
}

/* --- Gemm ---------------------------------------------------------------------------------------- */

us_err gemm_prepare(us_eval *k, const void **out)
{
    const us_p_gemm *p = k->params;
    us_weights *w = NULL;
    if (!p->transA) US_TRY(us_weights_of(k, p->transB != 0, p->alpha, p->beta, &w));
    *out = w;
    return US_OK;
}

/* C of these dims: a row for all rows, or a matrix like Y. */
typedef enum c_form { C_NONE, C_ROW, C_MATRIX, C_OTHER } c_form;

static c_form form_of(const us_tensor *c, size_t m, size_t n)
{
    if (!c) return C_NONE;
    size_t count = (size_t)us_tensor_count(c);
    if (c->rank == 2 && (size_t)c->dims[0] == m && (size_t)c->dims[1] == n) return C_MATRIX;
    if (c->rank >= 1 && (size_t)c->dims[c->rank - 1] == n && count == n) return C_ROW;
    return C_OTHER;
}

static us_err bind_weighted_gemm(us_eval *k, const us_tensor *a, const us_tensor *c,
                                 us_product *p, bool *done, us_call *call)
{
    const us_p_gemm *g = k->params;
    const us_weights *w = k->prepared;
    *done = false;
    if (!weighted(w, a, p)) return US_OK;
    c_form form = w->bias ? C_NONE : form_of(c, p->m, p->n);
    if (form == C_OTHER || (form != C_NONE && g->beta != 1.0F)) return US_OK;
    p->in_bias = form == C_ROW ? 2 : -1;
    p->in_res = form == C_MATRIX ? 2 : -1;
    *done = true;
    return us_product_bind(k, p, call);
}

us_err gemm_bind(us_eval *k, us_call *call)
{
    const us_p_gemm *g = k->params;
    const us_tensor *a = us_eval_dense_f32(k, 0), *b = us_eval_dense_f32(k, 1),
                    *c = us_eval_opt(k, 2);
    us_product p = us_product_none;
    if (!a || !b || a->rank != 2 || b->rank != 2 || (c && !us_eval_dense_f32(k, 2)) ||
        !us_eval_opt_out(k, 0)) {
        call->kernel = "not float32 matrices";
        return US_OK;
    }
    if (k->prepared) {
        bool done;
        US_TRY(bind_weighted_gemm(k, a, c, &p, &done, call));
        if (done) return US_OK;
    }
    p = us_product_none;
    p.m = (size_t)a->dims[g->transA != 0];
    p.k = (size_t)a->dims[!g->transA];
    p.n = (size_t)b->dims[!g->transB];
    c_form form = form_of(c, p.m, p.n);
    if ((size_t)b->dims[g->transB != 0] != p.k || form == C_OTHER) {
        call->kernel = "C is neither a row nor a matrix";
        return US_OK;
    }
    p.trans_a = g->transA != 0;
    p.trans_b = g->transB != 0;
    p.alpha = g->alpha;
    us_product_dense(&p);
    if (form != C_NONE) {
        p.beta = g->beta;
        p.in_c = 2;
        p.c_rows = form == C_ROW ? 1 : p.m;
    }
    return us_product_bind(k, &p, call);
}
