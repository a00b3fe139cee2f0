/* ir/op_usta_attention.c - usta.Attention: two products of values that change with a softmax between them, made by the pass own-attention
 * for a plan of this processor.
 *
 *     S = alpha * MatMul(Transpose(Q, permQ), Transpose(K, permK)) + B      B broadcast with the product, or absent
 *     Y = Transpose(MatMul(Softmax(S), Transpose(V, permV)), permY)
 *
 * Q, K and V have the same rank, 2 or more; axes before the last two broadcast. Transposes are strides, as in usta.MatMul; what runs when it
 * is bound is ir/attend.h.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/ctx.h"
#include "ir/attend.h"
#include "ir/op_util.h"
#include "ir/product.h"

/* clang-format off */
static const us_param usta_attention_in[] = {
    {"Q", 'T', US_M(F32), 0}, {"K", 'T', US_M(F32), 0}, {"V", 'T', US_M(F32), 0},
    {"B", 'T', US_M(F32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param usta_attention_out[] = {{"Y", 'T', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row usta_attention_attrs[] = {
    US_AF(us_p_usta_attention, alpha, "alpha", 1.0F), US_AIS(us_p_usta_attention, permK, "permK"),
    US_AIS(us_p_usta_attention, permQ, "permQ"), US_AIS(us_p_usta_attention, permV, "permV"),
    US_AIS(us_p_usta_attention, permY, "permY"), US_ATTR_END};
const us_schema usta_attention_schemas[] = {
    {1, usta_attention_in, usta_attention_out, usta_attention_attrs, sizeof(us_p_usta_attention), NULL},
    {0}};
/* clang-format on */

/* --- shapes ---------------------------------------------------------------------------------------------- */

static us_dim broadcast(us_dim x, us_dim y)
{
    us_dim one = US_DIM(1);
    return us_dim_eq(x, y) || us_dim_eq(y, one) || (us_dim_known(x) && !us_dim_eq(x, one)) ? x
                                                                                           : y;
}

us_err usta_attention_infer(us_infer *k)
{
    const us_p_usta_attention *p = k->params;
    const us_type *q = us_infer_ranked(k, 0), *key = us_infer_ranked(k, 1),
                  *v = us_infer_ranked(k, 2),
                  *b = us_infer_n_in(k) > 3 ? us_infer_in(k, 3) : NULL;
    int pq[US_MAX_RANK], pk[US_MAX_RANK], pv[US_MAX_RANK], py[US_MAX_RANK];
    if (!q || !key || !v || (b && b->kind == US_KIND_TENSOR && b->rank < 0))
        return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int r = q->rank;
    if (r < 2 || r > US_MAX_RANK || key->rank != r || v->rank != r ||
        !us_perm_axes(&p->permQ, r, pq) || !us_perm_axes(&p->permK, r, pk) ||
        !us_perm_axes(&p->permV, r, pv) || !us_perm_axes(&p->permY, r, py))
        return us_infer_fail(k, US_SHAPE, "ranks and permutations do not fit");
    us_dim d[US_MAX_RANK], y[US_MAX_RANK];
    for (int i = 0; i < r - 1; i++) {
        d[i] = q->dims[pq[i]];
        if (i < r - 2) d[i] = broadcast(d[i], key->dims[pk[i]]);
        int at = b && b->kind == US_KIND_TENSOR ? i - (r - b->rank) : -1;
        if (at >= 0) d[i] = broadcast(d[i], b->dims[at]);
        if (i < r - 2) d[i] = broadcast(d[i], v->dims[pv[i]]);
    }
    d[r - 1] = v->dims[pv[r - 1]];
    for (int i = 0; i < r; i++)
        y[i] = d[py[i]];
    return us_infer_out(k, 0, US_DT_NONE, r, y);
}

/* A value's axes as the products see them; step 0 where one number serves for all. */
typedef struct view {
    int64_t dims[US_MAX_RANK];
    size_t steps[US_MAX_RANK];
} view;

typedef struct views {
    int rank;
    view q, k, v, b, y;     /* y: of the product before permY */
    int64_t s[US_MAX_RANK]; /* of the scores */
    int64_t out[US_MAX_RANK];
    bool has_b;
} views;

static bool view_of(const us_tensor *t, const us_ints *perm, int rank, view *o)
{
    int axes[US_MAX_RANK];
    if (!t || t->rank != rank || !us_tensor_contiguous(t) || !us_perm_axes(perm, rank, axes))
        return false;
    us_perm_view(rank, t->dims, axes, o->dims, o->steps);
    return true;
}

/* B with ones in front. */
static bool view_bias(const us_tensor *t, int rank, view *o)
{
    size_t at = 1;
    if (t->rank > rank || !us_tensor_contiguous(t)) return false;
    for (int i = rank - 1; i >= 0; i--) {
        int d = i - (rank - t->rank);
        o->dims[i] = d < 0 ? 1 : t->dims[d];
        o->steps[i] = at;
        at *= (size_t)o->dims[i];
    }
    return true;
}

static bool joins(int64_t *d, int64_t x)
{
    if (x != *d && x != 1 && *d != 1) return false;
    if (*d == 1) *d = x;
    return true;
}

static void still(view *v, int n)
{
    for (int i = 0; i < n; i++)
        if (v->dims[i] == 1) v->steps[i] = 0;
}

/* False: they do not fit. */
static bool make_views(us_eval *k, views *o)
{
    const us_p_usta_attention *p = k->params;
    const us_tensor *q = us_eval_opt(k, 0), *b = us_eval_opt(k, 3);
    int py[US_MAX_RANK];
    if (!q || q->rank < 2) return false;
    int r = o->rank = q->rank;
    o->has_b = b != NULL;
    if (!view_of(q, &p->permQ, r, &o->q) || !view_of(us_eval_opt(k, 1), &p->permK, r, &o->k) ||
        !view_of(us_eval_opt(k, 2), &p->permV, r, &o->v) || !us_perm_axes(&p->permY, r, py) ||
        (b && !view_bias(b, r, &o->b)) || o->q.dims[r - 1] != o->k.dims[r - 2])
        return false;
    for (int i = 0; i < r; i++) {
        o->s[i] = i == r - 1 ? o->k.dims[i] : o->q.dims[i];
        if (i < r - 2 && !joins(&o->s[i], o->k.dims[i])) return false;
        if (b && !joins(&o->s[i], o->b.dims[i])) return false;
        o->y.dims[i] = i == r - 1 ? o->v.dims[i] : o->s[i];
        if (i < r - 2 && !joins(&o->y.dims[i], o->v.dims[i])) return false;
    }
    if (o->v.dims[r - 2] != o->s[r - 1]) return false;
    size_t at = 1;
    for (int i = r - 1; i >= 0; i--) {
        o->out[i] = o->y.dims[py[i]];
        o->y.steps[py[i]] = at;
        at *= (size_t)o->out[i];
    }
    still(&o->q, r - 2);
    still(&o->k, r - 2);
    still(&o->v, r - 2);
    still(&o->b, r);
    return true;
}

/* Where item i of the batch begins in each. */
static void item_at(const views *o, size_t i, size_t at[5])
{
    memset(at, 0, 5 * sizeof *at);
    for (int d = o->rank - 3; d >= 0; d--) {
        size_t n = (size_t)o->y.dims[d], x = i % n;
        i /= n;
        at[0] += x * o->q.steps[d];
        at[1] += x * o->k.steps[d];
        at[2] += x * o->v.steps[d];
        at[3] += o->has_b ? x * o->b.steps[d] : 0;
        at[4] += x * o->y.steps[d];
    }
}

static double products(const views *o)
{
    int r = o->rank;
    double all = 1;
    for (int i = 0; i < r - 1; i++)
        all *= (double)o->y.dims[i];
    return all * (double)o->s[r - 1] * ((double)o->q.dims[r - 1] + (double)o->v.dims[r - 1]);
}

/* --- as it is meant -------------------------------------------------------------------------------------- */

typedef struct sides {
    const float *q, *k, *v, *b;
    float *y;
} sides;

/* Row i of the scores; an axis of the product that is 1 where B's is longer stands still. */
static void score_row(const views *o, const sides *x, float alpha, size_t i, double *s)
{
    int r = o->rank;
    size_t depth = (size_t)o->q.dims[r - 1], n = (size_t)o->s[r - 1];
    const float *q = x->q + (o->q.dims[r - 2] == 1 ? 0 : i * o->q.steps[r - 2]);
    double top = -(double)INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) {
        const float *key = x->k + (o->k.dims[r - 1] == 1 ? 0 : j * o->k.steps[r - 1]);
        double dot = 0;
        for (size_t e = 0; e < depth; e++)
            dot += (double)q[e * o->q.steps[r - 1]] * (double)key[e * o->k.steps[r - 2]];
        s[j] = (double)alpha * dot;
        if (x->b) s[j] += (double)x->b[i * o->b.steps[r - 2] + j * o->b.steps[r - 1]];
        if (s[j] > top || isnan(s[j])) top = s[j];
    }
    for (size_t j = 0; j < n; j++)
        sum += s[j] = exp(s[j] - top);
    for (size_t j = 0; j < n; j++)
        s[j] /= sum;
}

us_err usta_attention_eval(us_eval *k)
{
    const us_p_usta_attention *p = k->params;
    us_tensor t[4], *y;
    us_value val[4];
    const us_value *in[4] = {0};
    views o;
    for (size_t i = 0; i < US_MIN(k->n_in, (size_t)4); i++) {
        if (!us_eval_opt(k, i)) continue;
        US_TRY(us_eval_in_dense(k, i, &t[i]));
        val[i] = us_value_of(&t[i]);
        in[i] = &val[i];
    }
    us_eval d = *k;
    d.in = in;
    if (!make_views(&d, &o)) return us_eval_fail(k, US_SHAPE, "Q, K, V and B do not fit");
    US_TRY(us_eval_out(k, 0, US_F32, o.rank, o.out, &y));
    if (us_tensor_count(y) == 0) return US_OK;
    US_TRY(us_eval_work(k, products(&o)));
    int r = o.rank;
    size_t n = (size_t)o.s[r - 1], m = (size_t)o.y.dims[r - 2], dv = (size_t)o.v.dims[r - 1],
           items = (size_t)us_dims_product(o.y.dims, 0, r - 2), at[5];
    void *mem;
    US_TRY(us_eval_scratch(k, US_MAX(n, 1) * sizeof(double), &mem));
    double *s = mem;
    for (size_t item = 0; item < items; item++) {
        item_at(&o, item, at);
        sides x = {(const float *)t[0].data + at[0], (const float *)t[1].data + at[1],
                   (const float *)t[2].data + at[2],
                   o.has_b ? (const float *)t[3].data + at[3] : NULL, (float *)y->data + at[4]};
        for (size_t i = 0; i < m; i++) {
            score_row(&o, &x, p->alpha, i, s);
            for (size_t e = 0; e < dv; e++) {
                double sum = 0;
                for (size_t j = 0; j < n; j++)
                    sum += s[j] * (double)x.v[j * o.v.steps[r - 2] + e * o.v.steps[r - 1]];
                x.y[i * o.y.steps[r - 2] + e * o.y.steps[r - 1]] = (float)sum;
            }
        }
    }
    return US_OK;
}

/* --- bound ------------------------------------------------------------------------------------------------- */

typedef struct bound {
    us_attend a;
    bool has_b;
} bound;

static us_err run_bound(us_eval *k, const void *state, void *scratch)
{
    const bound *b = state;
    us_attend_data x = {.y = k->out[0]->t.data};
    x.p[US_ATTEND_Q] = k->in[0]->t.data;
    x.p[US_ATTEND_K] = k->in[1]->t.data;
    x.p[US_ATTEND_V] = k->in[2]->t.data;
    if (b->has_b) x.p[US_ATTEND_ADD] = k->in[3]->t.data;
    us_attend_run(&b->a, k->c->pool, &x, scratch);
    return US_OK;
}

/* Products of equal sizes on both sides of the softmax. */
static bool fits(const views *o)
{
    int r = o->rank;
    bool same = o->s[r - 2] == o->q.dims[r - 2] && o->s[r - 1] == o->k.dims[r - 1];
    bool bias = !o->has_b || o->b.dims[r - 1] == o->s[r - 1];
    return same && bias && o->y.steps[r - 1] == 1;
}

static void lay(us_attend *a, us_attend_side side, const view *v, int r, bool turned)
{
    us_attend_lies *l = &a->at[side];
    for (int i = 0; i < r - 2; i++)
        l->outer[i] = v->steps[i];
    l->row = v->steps[turned ? r - 1 : r - 2];
    l->col = v->steps[turned ? r - 2 : r - 1];
}

static void describe(const views *o, us_attend *a)
{
    int r = o->rank;
    a->n_outer = r - 2;
    for (int i = 0; i < r - 2; i++)
        a->outer[i] = (size_t)o->y.dims[i];
    a->len = (size_t)o->q.dims[r - 2];
    a->keys = (size_t)o->s[r - 1];
    a->d = (size_t)o->q.dims[r - 1];
    a->dv = (size_t)o->v.dims[r - 1];
    lay(a, US_ATTEND_Q, &o->q, r, false);
    lay(a, US_ATTEND_K, &o->k, r, true);
    lay(a, US_ATTEND_V, &o->v, r, false);
    lay(a, US_ATTEND_Y, &o->y, r, false);
    a->add = o->has_b;
    if (o->has_b) lay(a, US_ATTEND_ADD, &o->b, r, false);
}

us_err usta_attention_bind(us_eval *k, us_call *call)
{
    const us_p_usta_attention *p = k->params;
    bound b = {.a = {.scale = p->alpha}};
    views o;
    if (!us_eval_opt_out(k, 0)) return US_OK;
    call->kernel = "shapes or steps that products do not take";
    if (!make_views(k, &o) || !fits(&o)) return US_OK;
    describe(&o, &b.a);
    b.has_b = o.has_b;
    if (!us_attend_settle(&b.a, us_kernels_get(k->c), &call->scratch)) return US_OK;
    call->macs = products(&o);
    US_TRY(us_eval_work(k, call->macs));
    return us_call_make(k, call, run_bound, &b, sizeof b, "attention in blocks of queries");
}
