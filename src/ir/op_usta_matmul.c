/* ir/op_usta_matmul.c - usta.MatMul: a product of two matrices that both change, with the transposes and the factor around it, made by the
 * pass own-matmul for a plan of this processor.
 *
 *     Y = Transpose(alpha * MatMul(Transpose(A, permA), Transpose(B, permB)), permY)
 *
 * Nothing is moved: products read and write with strides. So the axis that lies innermost in A or B stays among the last two, and
 * columns of the product stay innermost in Y. A and B have the same rank, 2 or more; axes before the last two broadcast.
 */
#include "base/alloc.h"
#include "ir/op_util.h"
#include "ir/product.h"

#include <string.h>

/* clang-format off */
static const us_param usta_matmul_in[] = {{"A", 'T', US_M(F32), 0}, {"B", 'T', US_M(F32), 0}, US_PARAM_END};
static const us_param usta_matmul_out[] = {{"Y", 'T', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row usta_matmul_attrs[] = {
    US_AF(us_p_usta_matmul, alpha, "alpha", 1.0F), US_AIS(us_p_usta_matmul, permA, "permA"),
    US_AIS(us_p_usta_matmul, permB, "permB"), US_AIS(us_p_usta_matmul, permY, "permY"), US_ATTR_END};
const us_schema usta_matmul_schemas[] = {
    {1, usta_matmul_in, usta_matmul_out, usta_matmul_attrs, sizeof(us_p_usta_matmul), NULL},
    {0}};
/* clang-format on */

bool us_perm_axes(const us_ints *perm, int rank, int *out)
{
    unsigned seen = 0;
    if (perm->n && perm->n != (size_t)rank) return false;
    for (int i = 0; i < rank; i++) {
        int64_t x = perm->n ? perm->p[i] : i;
        if (x < 0 || x >= rank || (seen & 1U << x)) return false;
        seen |= 1U << x;
        out[i] = (int)x;
    }
    return true;
}

us_err usta_matmul_infer(us_infer *k)
{
    const us_p_usta_matmul *p = k->params;
    const us_type *a = us_infer_ranked(k, 0), *b = us_infer_ranked(k, 1);
    int pa[US_MAX_RANK], pb[US_MAX_RANK], py[US_MAX_RANK];
    if (!a || !b) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int r = a->rank;
    if (r < 2 || r > US_MAX_RANK || b->rank != r || !us_perm_axes(&p->permA, r, pa) ||
        !us_perm_axes(&p->permB, r, pb) || !us_perm_axes(&p->permY, r, py))
        return us_infer_fail(k, US_SHAPE, "ranks and permutations do not fit");
    us_dim d[US_MAX_RANK], y[US_MAX_RANK], one = US_DIM(1);
    for (int i = 0; i + 2 < r; i++) {
        us_dim x = a->dims[pa[i]], z = b->dims[pb[i]];
        bool first = us_dim_eq(z, one) || (us_dim_known(x) && !us_dim_eq(x, one));
        d[i] = us_dim_eq(x, z) || first ? x : z; /* a number other than 1 wins over a symbol */
    }
    d[r - 2] = a->dims[pa[r - 2]];
    d[r - 1] = b->dims[pb[r - 1]];
    for (int i = 0; i < r; i++)
        y[i] = d[py[i]];
    return us_infer_out(k, 0, US_DT_NONE, r, y);
}

void us_perm_view(int rank, const int64_t *from, const int *perm, int64_t *dims, size_t *steps)
{
    size_t at = 1, own[US_MAX_RANK];
    for (int i = rank - 1; i >= 0; i--) {
        own[i] = at;
        at *= (size_t)from[i];
    }
    for (int i = 0; i < rank; i++) {
        dims[i] = from[perm[i]];
        steps[i] = own[perm[i]];
    }
}

typedef struct views {
    int rank;
    int64_t a[US_MAX_RANK], b[US_MAX_RANK], d[US_MAX_RANK],
        y[US_MAX_RANK]; /* d: of the product; y: of the output */
    size_t sa[US_MAX_RANK], sb[US_MAX_RANK], sd[US_MAX_RANK];
} views;

static bool make_views(us_eval *k, views *v)
{
    const us_p_usta_matmul *p = k->params;
    const us_tensor *a = us_eval_opt(k, 0), *b = us_eval_opt(k, 1);
    int pa[US_MAX_RANK], pb[US_MAX_RANK], py[US_MAX_RANK];
    if (!a || !b || a->rank < 2 || b->rank != a->rank || !us_tensor_contiguous(a) ||
        !us_tensor_contiguous(b))
        return false;
    int r = v->rank = a->rank;
    if (!us_perm_axes(&p->permA, r, pa) || !us_perm_axes(&p->permB, r, pb) ||
        !us_perm_axes(&p->permY, r, py))
        return false;
    us_perm_view(r, a->dims, pa, v->a, v->sa);
    us_perm_view(r, b->dims, pb, v->b, v->sb);
    for (int i = 0; i + 2 < r; i++) {
        if (v->a[i] != v->b[i] && v->a[i] != 1 && v->b[i] != 1) return false;
        v->d[i] = v->a[i] == 1 ? v->b[i] : v->a[i];
    }
    v->d[r - 2] = v->a[r - 2];
    v->d[r - 1] = v->b[r - 1];
    size_t at = 1;
    for (int i = r - 1; i >= 0; i--) {
        v->y[i] = v->d[py[i]];
        v->sd[py[i]] = at;
        at *= (size_t)v->y[i];
    }
    return v->a[r - 1] == v->b[r - 2] && v->sd[r - 1] == 1;
}

/* The product for these dims; *fits false: eval says what is wrong. */
static us_err describe(us_eval *k, const views *v, us_product *p, bool *fits)
{
    int r = v->rank;
    size_t steps[US_MAX_RANK][3];
    *p = us_product_none;
    p->m = (size_t)v->d[r - 2];
    p->n = (size_t)v->d[r - 1];
    p->k = (size_t)v->a[r - 1];
    p->trans_a = v->sa[r - 1] != 1;
    p->trans_b = v->sb[r - 1] != 1;
    p->lda = v->sa[p->trans_a ? r - 1 : r - 2];
    p->ldb = v->sb[p->trans_b ? r - 1 : r - 2];
    p->ldc = v->sd[r - 2];
    p->alpha = ((const us_p_usta_matmul *)k->params)->alpha;
    p->batch = (size_t)us_dims_product(v->d, 0, r - 2);
    *fits = (!p->trans_a || v->sa[r - 2] == 1) && (!p->trans_b || v->sb[r - 2] == 1) &&
            p->batch <= US_PRODUCT_ITEMS;
    for (int i = 0; i + 2 < r; i++) {
        steps[i][0] = v->a[i] == 1 ? 0 : v->sa[i];
        steps[i][1] = v->b[i] == 1 ? 0 : v->sb[i];
        steps[i][2] = v->sd[i];
    }
    return *fits ? us_product_items(k, p, r - 2, v->d, (const size_t(*)[3])steps) : US_OK;
}

us_err usta_matmul_bind(us_eval *k, us_call *call)
{
    us_product p;
    views v;
    bool fits;
    if (!us_eval_opt_out(k, 0) || !make_views(k, &v)) return US_OK;
    US_TRY(describe(k, &v, &p, &fits));
    return fits ? us_product_bind(k, &p, call) : US_OK;
}

us_err usta_matmul_eval(us_eval *k)
{
    us_tensor a, b, *y;
    us_product p;
    views v;
    bool fits;
    US_TRY(us_eval_in_dense(k, 0, &a));
    US_TRY(us_eval_in_dense(k, 1, &b));
    us_value va = us_value_of(&a), vb = us_value_of(&b);
    const us_value *in[2] = {&va, &vb};
    us_eval d = *k;
    d.in = in;
    if (!make_views(&d, &v)) return us_eval_fail(k, US_SHAPE, "A and B do not fit");
    US_TRY(us_eval_out(k, 0, US_F32, v.rank, v.y, &y));
    if (us_tensor_count(y) == 0) return US_OK;
    US_TRY(describe(&d, &v, &p, &fits));
    if (!fits)
        return us_eval_fail(k, US_UNSUPP, "a batch of more than %d, or an axis out of place",
                            (int)US_PRODUCT_ITEMS);
    return us_product_eval(&d, &p);
}
