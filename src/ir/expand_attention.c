/* ir/expand_attention.c - what Attention is made of: two products, a bias, a softmax.
 *
 * Worked out in float, or in double when the inputs are. Scores that the mask or the attributes exclude are -inf, as in the
 * kernel; a row without any key gives zeros, so its softmax is written out with a sum that is not divided by when it is 0.
 */
#include "ir/op_util.h"

typedef struct attention {
    const us_p_attention *p;
    us_graph *g;
    us_nid n;
    int t; /* type to work in */
    us_expand_buf b;
    bool masked; /* a row may have no key left */
} attention;

/* Input i as [N, heads, length, size], called `name`. */
static us_err add_heads(us_ctx *c, attention *a, size_t i, char name, int64_t heads)
{
    int rank = us_expand_rank(a->g, a->n, i);
    int64_t width = us_expand_dim(a->g, a->n, i, 2);
    if (rank == 4) {
        us_expand_add(&a->b, "%c = x%zu;", name, i);
        return US_OK;
    }
    if (rank != 3 || heads < 1)
        return us_expand_refuse(c, a->g, a->n, "the ranks of its inputs are not known");
    us_expand_add(&a->b, "%c = Transpose<perm=[0,2,1,3]>(Reshape(x%zu, [0,0,%lld,%lld]));",
                  name, i, (long long)heads, width < 0 ? -1LL : (long long)(width / heads));
    return US_OK;
}

static int64_t heads_of(const attention *a, size_t i, int64_t attr)
{
    return us_expand_rank(a->g, a->n, i) == 4 ? us_expand_dim(a->g, a->n, i, 1) : attr;
}

/* Keys and values that several query heads share are repeated for each. */
static us_err add_shared(us_ctx *c, attention *a, const char *name)
{
    int64_t q = heads_of(a, 0, a->p->q_num_heads), k = heads_of(a, 1, a->p->kv_num_heads);
    us_expand_add(&a->b, "%s = Cast<to=%d>(%c);", name, a->t, name[0]);
    if (q == k && q > 0) return US_OK;
    if (q < 1 || k < 1 || q % k)
        return us_expand_refuse(c, a->g, a->n, "the numbers of its heads are not known");
    us_expand_add(&a->b,
                  "%s = Reshape(Expand(Unsqueeze(%s, [2]), [1,1,%lld,1,1]),"
                  " Concat<axis=0>(Shape<end=1>(%s), [%lld], Shape<start=2>(%s)));",
                  name, name, (long long)(q / k), name, (long long)q, name);
    return US_OK;
}

static void add_scores(attention *a)
{
    int rank = us_expand_rank(a->g, a->n, 0);
    int64_t d = us_expand_dim(a->g, a->n, 0, rank - 1);
    if (a->p->has_scale)
        us_expand_add(&a->b, "scale = $scale;");
    else if (d > 0)
        us_expand_add(&a->b, "scale = Div(1, Sqrt(%lld));",
                      (long long)(rank == 3 ? d / a->p->q_num_heads : d));
    else
        us_expand_add(&a->b, "scale = Div(1, Sqrt(Cast<to=%d>(Gather(Shape(q), #3))));", a->t);
    us_expand_add(
        &a->b, "s = MatMul(Mul(Cast<to=%d>(q), scale), Transpose<perm=[0,1,3,2]>(kk));", a->t);
}

/* Output 3, when this is the state of the scores it asks for. */
static void add_shown(attention *a, int64_t mode, const char *name)
{
    if (a->p->qk_matmul_output_mode == mode)
        us_expand_add(&a->b, "y3 = Cast<to=@x0>(%s);", name);
}

/* How many keys there are beyond those the mask speaks of; -1: not known yet. */
static int64_t keys_unmasked(const attention *a)
{
    int64_t keys = us_expand_dim(a->g, a->n, 1, us_expand_rank(a->g, a->n, 1) == 4 ? 2 : 1);
    int64_t past = us_expand_has(a->g, a->n, 4) ? us_expand_dim(a->g, a->n, 4, 2) : 0;
    int64_t mask = us_expand_dim(a->g, a->n, 3, us_expand_rank(a->g, a->n, 3) - 1);
    return keys < 0 || past < 0 || mask < 0 ? -1 : US_MAX(keys + past - mask, -1);
}

/* The mask as numbers to add, as long as the keys: what it does not speak of is excluded. */
static us_err add_mask(us_ctx *c, attention *a)
{
    int rank = us_expand_rank(a->g, a->n, 3);
    if (!us_expand_has(a->g, a->n, 3)) return US_OK;
    if (rank < 1 || rank > 4)
        return us_expand_refuse(c, a->g, a->n, "the rank of its mask is not known");
    bool truth = us_expand_dtype(a->g, a->n, 3) == US_BOOL;
    us_expand_add(&a->b, truth ? "m = Where(x3, 0, -inf);" : "m = Cast<to=%d>(x3);", a->t);
    int64_t more = keys_unmasked(a);
    if (more > 0)
        us_expand_add(&a->b, "m = Pad(m, [0,%lld], -inf, [-1]);", (long long)more);
    else if (more < 0)
        us_expand_add(&a->b,
                      "more = Sub(Shape<start=2,end=3>(kk), Shape<start=%d>(x3));"
                      "m = Pad(m, Concat<axis=0>([0], more), -inf, [-1]);",
                      rank - 1);
    us_expand_add(&a->b, "s = Where(Equal(m, -inf), -inf, Add(s, m));");
    a->masked = true;
    return US_OK;
}

/* Which key j a query at position `at` may look at. */
static void add_sight(attention *a)
{
    bool valid = us_expand_has(a->g, a->n, 6), past = us_expand_has(a->g, a->n, 4);
    bool left = a->p->left_window_size >= 0, right = a->p->right_window_size >= 0;
    if (!valid && !left && !right && !a->p->is_causal) return;
    us_expand_add(&a->b, "j = Range(#0, Gather(Shape(kk), #2), #1); len = Gather(Shape(q), #2);"
                         "at = Unsqueeze(Range(#0, len, #1), [1]); see = Equal(j, j);");
    if (valid)
        us_expand_add(&a->b, "n = Reshape(x6, [-1,1,1,1]); at = Add(at, Sub(n, len));"
                             "see = And(see, Less(j, n));");
    else if (past)
        us_expand_add(&a->b, "at = Add(at, Gather(Shape(x4), #2));");
    if (a->p->is_causal) us_expand_add(&a->b, "see = And(see, LessOrEqual(j, at));");
    if (left)
        us_expand_add(&a->b, "see = And(see, LessOrEqual(Sub(at, j), #$left_window_size));");
    if (right)
        us_expand_add(&a->b, "see = And(see, LessOrEqual(Sub(j, at), #$right_window_size));");
    us_expand_add(&a->b, "s = Where(see, s, -inf);");
    a->masked = a->masked || valid || left || right;
}

static void add_result(attention *a)
{
    bool packed = us_expand_rank(a->g, a->n, 0) == 3;
    us_expand_add(&a->b, "%s",
                  a->masked ? "top = ReduceMax<keepdims=1>(s, [-1]);"
                              "e = Exp(Sub(s, Where(Equal(top, -inf), 0, top)));"
                              "sum = ReduceSum<keepdims=1>(e, [-1]);"
                              "p = Div(e, Where(Equal(sum, 0), 1, sum));"
                            : "p = Softmax<axis=-1>(s);");
    add_shown(a, 3, "p");
    if (a->masked) /* what no query sees may hold anything, and 0 times NaN or infinity is NaN */
        us_expand_add(&a->b, "seen = Greater(ReduceMax<keepdims=0>(p, [-2]), 0);"
                             "vv = Where(Unsqueeze(seen, [-1]), vv, 0);");
    us_expand_add(&a->b, "o = MatMul(p, vv);");
    if (packed)
        us_expand_add(&a->b,
                      "o = Transpose<perm=[0,2,1,3]>(o); w = Mul(Shape<start=2,end=3>(o),"
                      " Shape<start=3>(o));"
                      "o = Reshape<allowzero=1>(o, Concat<axis=0>(Shape<end=2>(o), w));");
    us_expand_add(&a->b, "y = Cast<to=@x0>(o)");
}

us_err attention_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    attention a = {.p = g->nodes.at[n].params, .g = g, .n = n};
    a.t = us_expand_dtype(g, n, 0) == US_F64 ? US_F64 : US_F32;
    us_expand_add(&a.b, "@%d ", a.t);
    US_TRY(add_heads(c, &a, 0, 'q', a.p->q_num_heads));
    US_TRY(add_heads(c, &a, 1, 'k', a.p->kv_num_heads));
    US_TRY(add_heads(c, &a, 2, 'v', a.p->kv_num_heads));
    if (us_expand_has(g, n, 4)) us_expand_add(&a.b, "k = Concat<axis=2>(x4, k);");
    if (us_expand_has(g, n, 5)) us_expand_add(&a.b, "v = Concat<axis=2>(x5, v);");
    us_expand_add(&a.b, "y1 = k; y2 = v;");
    US_TRY(add_shared(c, &a, "kk"));
    US_TRY(add_shared(c, &a, "vv"));
    add_scores(&a);
    add_shown(&a, 0, "s");
    if (a.p->softcap > 0) us_expand_add(&a.b, "s = Mul(Tanh(Div(s, $softcap)), $softcap);");
    add_shown(&a, 1, "s");
    US_TRY(add_mask(c, &a));
    add_sight(&a);
    add_shown(&a, 2, "s");
    add_result(&a);
    return us_expand_buffer(c, m, g, n, &a.b);
}
