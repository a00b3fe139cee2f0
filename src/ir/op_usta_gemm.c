/* ir/op_usta_gemm.c - usta.Gemm: a product by constant weights with what follows it, made by passes for a plan of this processor.
 *
 *     Y = program(clamp(alpha * A W + beta * C + R, lo, hi), X...)
 *
 * A has any number of dims before its last, W is [K,N] or, with transB, [N,K]; C is constant, a number per column or one for all;
 * R has Y's shape. The program, if there is one, is elementwise (ir/ewise.h) and is run over each tile while that is in the first-level cache;
 * the X are its further inputs: of Y's shape, a number per row, per column, or one for all. The passes: own-gemm makes it of MatMul and Gemm, fuse-gemm-* add the rest.
 */
#include "base/alloc.h"
#include "ir/ewise.h"
#include "ir/op_util.h"
#include "ir/product.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param usta_gemm_in[] = {
    {"A", 'T', US_M(F32), 0}, {"W", 'T', US_M(F32), 0}, {"C", 'T', US_M(F32), US_P_OPTIONAL},
    {"R", 'T', US_M(F32), US_P_OPTIONAL},
    {"X", 'U', US_M(F32) | US_M(BOOL), US_P_OPTIONAL | US_P_VARIADIC | US_P_HETERO}, US_PARAM_END};
static const us_param usta_gemm_out[] = {{"Y", 'T', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row usta_gemm_attrs[] = {
    US_AF(us_p_usta_gemm, alpha, "alpha", 1.0F), US_AF(us_p_usta_gemm, beta, "beta", 1.0F),
    US_AF(us_p_usta_gemm, lo, "lo", -INFINITY), US_AF(us_p_usta_gemm, hi, "hi", INFINITY),
    US_AI(us_p_usta_gemm, transB, "transB", 0), US_AIS(us_p_usta_gemm, code, "code"),
    US_AFS(us_p_usta_gemm, imm, "imm"), US_ATTR_END};
const us_schema usta_gemm_schemas[] = {
    {1, usta_gemm_in, usta_gemm_out, usta_gemm_attrs, sizeof(us_p_usta_gemm), NULL},
    {0}};
/* clang-format on */

us_err usta_gemm_infer(us_infer *k)
{
    const us_p_usta_gemm *p = k->params;
    const us_type *a = us_infer_ranked(k, 0), *b = us_infer_ranked(k, 1);
    if (!a || !b) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (a->rank < 1 || a->rank > US_MAX_RANK || b->rank != 2)
        return us_infer_fail(k, US_SHAPE, "A has no row or W is no matrix");
    us_dim d[US_MAX_RANK], ka = a->dims[a->rank - 1], kb = b->dims[p->transB != 0];
    if (us_dim_known(ka) && us_dim_known(kb) && ka.add != kb.add)
        return us_infer_fail(k, US_SHAPE, "inner dimensions differ");
    us_copy_dims(d, a);
    d[a->rank - 1] = b->dims[!p->transB];
    return us_infer_out(k, 0, US_DT_NONE, a->rank, d);
}

us_err usta_gemm_prepare(us_eval *k, const void **out)
{
    const us_p_usta_gemm *p = k->params;
    us_weights *w = NULL;
    US_TRY(us_weights_of(k, p->transB != 0, p->alpha, p->beta, &w));
    *out = w;
    return US_OK;
}

/* --- the program over a tile --------------------------------------------------------------------------- */

enum { FIRST_X = 4, MOST_IN = FIRST_X + US_EW_IN };

typedef struct tile_tail {
    const us_ew_kernels *kernels;
    us_ew_prog prog;
    us_ew_in x[US_EW_IN]; /* p is not set; 0 is the tile */
} tile_tail;

static void run_tail(const void *state, us_eval *k, void *scratch, size_t i0, size_t rows,
                     size_t j0, size_t cols, float *c, size_t ldc)
{
    const tile_tail *t = state;
    us_ew_args a;
    a.prog = &t->prog;
    a.rows = rows;
    a.n = cols;
    a.in[0] = (us_ew_in){.p = c, .row = (ptrdiff_t)ldc, .step = 1, .type = US_EW_F32};
    for (size_t i = 1; i < t->prog.n_in; i++) {
        const us_ew_in *x = &t->x[i];
        size_t at = i0 * (size_t)x->row + j0 * x->step,
               each = x->type == US_EW_BOOL ? 1 : sizeof(float);
        a.in[i] = *x;
        a.in[i].p = (const char *)k->in[FIRST_X + i - 1]->t.data + at * each;
    }
    a.out = c;
    a.out_row = (ptrdiff_t)ldc;
    a.out_type = US_EW_F32;
    a.scratch = scratch;
    us_ew_run(t->kernels, &a);
}

/* Where x stands as rows and columns of Y: its steps over all axes but the last must be those of one long axis. */
static bool place(const us_tensor *x, int rank, const int64_t *dims, us_ew_in *out)
{
    int64_t steps[US_MAX_RANK], row = 0, n_rows = 1;
    if (!us_tensor_contiguous(x) || (x->dtype != US_F32 && x->dtype != US_BOOL) ||
        !us_ew_strides(rank, dims, x->rank, x->dims, steps))
        return false;
    for (int d = rank - 2; d >= 0; d--) {
        if (dims[d] == 1) continue;
        if (n_rows == 1) row = steps[d];
        if (steps[d] != row * n_rows) return false;
        n_rows *= dims[d];
    }
    *out = (us_ew_in){.row = (ptrdiff_t)row,
                      .step = steps[rank - 1] != 0,
                      .type = x->dtype == US_BOOL ? US_EW_BOOL : US_EW_F32};
    return true;
}

static bool set_tail(us_eval *k, int rank, const int64_t *dims, tile_tail *t, us_product *p)
{
    const us_p_usta_gemm *g = k->params;
    if (g->code.n == 0) return true;
    size_t n_in = k->n_in > FIRST_X ? k->n_in - FIRST_X + 1 : 1;
    if (!us_ew_read(n_in, g->code.n, g->code.p, g->imm.n, g->imm.p, &t->prog)) return false;
    t->kernels = us_kernels_get(k->c)->map;
    for (size_t i = 1; i < n_in; i++) {
        const us_tensor *x = us_eval_opt(k, FIRST_X + i - 1);
        if (!x || !place(x, rank, dims, &t->x[i])) return false;
    }
    p->tail = run_tail;
    p->tail_state = t;
    p->tail_scratch = (us_ew_scratch(&t->prog) + 63) & ~(size_t)63;
    return true;
}

/* --- the product ------------------------------------------------------------------------------------------ */

static bool same_dims(const us_tensor *x, int rank, const int64_t *dims)
{
    if (x->rank != rank || !us_tensor_contiguous(x)) return false;
    for (int i = 0; i < rank; i++)
        if (x->dims[i] != dims[i]) return false;
    return true;
}

static void dims_of_y(const us_tensor *a, const us_weights *w, int64_t *dims)
{
    memcpy(dims, a->dims, sizeof a->dims);
    dims[a->rank - 1] = (int64_t)w->n;
}

/* The product of this node for these dims of A; false: something does not fit. */
static bool describe(us_eval *k, const us_weights *w, tile_tail *t, us_product *out)
{
    const us_p_usta_gemm *p = k->params;
    const us_tensor *a = us_eval_opt(k, 0), *r = us_eval_opt(k, 3);
    int64_t dims[US_MAX_RANK];
    if (!w || !a || a->rank == 0 || !us_tensor_contiguous(a) ||
        (size_t)a->dims[a->rank - 1] != w->k)
        return false;
    dims_of_y(a, w, dims);
    if ((us_eval_opt(k, 2) && !w->bias) || (r && !same_dims(r, a->rank, dims))) return false;
    *out = us_product_none;
    out->w = w;
    out->n = w->n;
    out->k = w->k;
    out->m = (size_t)us_dims_product(a->dims, 0, a->rank - 1);
    out->lo = p->lo;
    out->hi = p->hi;
    out->in_res = r ? 3 : -1;
    return set_tail(k, a->rank, dims, t, out);
}

us_err usta_gemm_bind(us_eval *k, us_call *call)
{
    us_product p;
    void *t;
    US_TRY(us_eval_keep(k, sizeof(tile_tail), &t));
    if (!us_eval_opt_out(k, 0) || !describe(k, k->prepared, t, &p)) return US_OK;
    return us_product_bind(k, &p, call);
}

us_err usta_gemm_eval(us_eval *k)
{
    const us_weights *w = k->prepared;
    us_tensor dense[MOST_IN], *y;
    us_value values[MOST_IN];
    const us_value *in[MOST_IN] = {NULL};
    if (!w) {
        const void *made;
        US_TRY(usta_gemm_prepare(k, &made));
        w = made;
    }
    for (size_t i = 0; i < k->n_in && i < MOST_IN; i++) {
        if (!us_eval_opt(k, i)) continue;
        US_TRY(us_eval_in_dense(k, i, &dense[i]));
        values[i] = us_value_of(&dense[i]);
        in[i] = &values[i];
    }
    us_eval d = *k;
    d.in = in;
    tile_tail t;
    us_product p;
    if (k->n_in > MOST_IN || !describe(&d, w, &t, &p))
        return us_eval_fail(k, US_SHAPE, "A, W, C, R and X do not fit");
    int64_t dims[US_MAX_RANK];
    dims_of_y(&dense[0], w, dims);
    US_TRY(us_eval_out(k, 0, US_F32, dense[0].rank, dims, &y));
    return us_product_eval(&d, &p);
}
