/* ir/expand_shape.c - what shape operators, movements and made values are made of.
 *
 * Most are a Reshape whose target is a constant where the inferred output says so (one dimension may be open), else worked
 * out from Shape as the graph runs. allowzero=1 throughout: the targets are exact, so a 0 in them is a size.
 */
#include "ir/op_util.h"
#include "ir/params_signal.h"

/* y = x0 under the output's inferred dims, or under what `otherwise` (an int64 vector) says as the graph runs. */
static us_err as_reshape(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *otherwise)
{
    const us_type *t = &g->vals.at[g->nodes.at[n].out[0]].type;
    us_expand_buf b = {.n = 0};
    int open = 0;
    bool empty = false;
    for (int i = 0; t->kind == US_KIND_TENSOR && i < t->rank; i++) {
        open += !us_dim_known(t->dims[i]);
        empty = empty || (us_dim_known(t->dims[i]) && t->dims[i].add == 0);
    }
    bool fixed =
        t->kind == US_KIND_TENSOR && t->rank >= 0 && (open == 0 || (open == 1 && !empty));
    us_expand_add(&b, "y = Reshape<allowzero=1>(x0, ");
    if (!fixed) us_expand_add(&b, "%s", otherwise);
    for (int i = 0; fixed && i < t->rank; i++)
        us_expand_add(&b, "%s%lld", i ? "," : "[",
                      us_dim_known(t->dims[i]) ? (long long)t->dims[i].add : -1LL);
    us_expand_add(&b, fixed ? "%s])" : "%s)", fixed && t->rank == 0 ? "[" : "");
    return us_expand_buffer(c, m, g, n, &b);
}

us_err flatten_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return as_reshape(c, m, g, n,
                      "Concat<axis=0>(ReduceProd(Shape<end=$axis>(x0)),"
                      " ReduceProd(Shape<start=$axis>(x0)))");
}

/* Axes that are known: which dimensions stay; else those that are marked, or are 1 when no axes are given. */
us_err squeeze_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int rank = us_expand_rank(g, n, 0), a;
    int64_t axes[US_MAX_RANK];
    size_t n_axes;
    bool gone[US_MAX_RANK] = {false};
    us_expand_buf b = {.n = 0};
    if (!us_expand_has(g, n, 1))
        return as_reshape(c, m, g, n, "Compress(Shape(x0), Not(Equal(Shape(x0), [1])))");
    if (rank < 0 || !us_expand_const_ints(g, n, 1, US_MAX_RANK, axes, &n_axes))
        return as_reshape(c, m, g, n,
                          "Compress(Shape(x0), Equal(ScatterElements(Mul(Shape(x0), [0]),"
                          " Reshape(x1, [-1]), Expand([1], Shape(Reshape(x1, [-1])))), [0]))");
    for (size_t i = 0; i < n_axes; i++) {
        if (!us_axis_norm(axes[i], rank, &a))
            return us_expand_refuse(c, g, n, "an axis is out of range");
        gone[a] = true;
    }
    us_expand_add(&b, "Gather(Shape(x0), [");
    for (int i = 0; i < rank; i++)
        if (!gone[i]) us_expand_add(&b, "%d,", i);
    us_expand_add(&b, "])");
    return as_reshape(c, m, g, n, b.text);
}

/* The 1 behind the shape stands for every new dimension. */
us_err unsqueeze_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int rank = us_expand_rank(g, n, 0), a, from = 0;
    int64_t axes[US_MAX_RANK];
    size_t n_axes;
    bool fresh[US_MAX_RANK] = {false};
    us_expand_buf b = {.n = 0};
    if (rank < 0 || !us_expand_const_ints(g, n, 1, US_MAX_RANK, axes, &n_axes))
        return us_expand_text(
            c, m, g, n,
            "s = Shape(x0); axes = Reshape(x1, [-1]); r = Add(Shape(s), Shape(axes));"
            "new = ScatterElements(Expand([0], r), axes, Expand([1], Shape(axes)));"
            "old = Reshape(NonZero(Equal(new, [0])), [-1]);"
            "y = Reshape<allowzero=1>(x0, ScatterElements(Expand([1], r), old, s))");
    int all = rank + (int)n_axes;
    if (all > US_MAX_RANK) return us_expand_refuse(c, g, n, "too many dimensions");
    for (size_t i = 0; i < n_axes; i++) {
        if (!us_axis_norm(axes[i], all, &a))
            return us_expand_refuse(c, g, n, "an axis is out of range");
        fresh[a] = true;
    }
    us_expand_add(&b, "Gather(Concat<axis=0>(Shape(x0), [1]), [");
    for (int i = 0; i < all; i++)
        us_expand_add(&b, "%d,", fresh[i] ? rank : from++);
    us_expand_add(&b, "])");
    return as_reshape(c, m, g, n, b.text);
}

US_EXPAND(size, "y = ReduceProd<keepdims=0>(Shape(x0))")

/* --- movements -------------------------------------------------------------------------------------- */

static us_err regroup(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text)
{
    if (us_expand_rank(g, n, 0) != 4)
        return us_expand_refuse(c, g, n, "its input is not known to have four dimensions");
    us_dim_text d[4];
    for (int i = 0; i < 4; i++)
        d[i] = us_expand_dim_text(g, n, 0, i);
    us_expand_buf b = {.n = 0};
    us_expand_add(&b, "n = %s; c = %s; h = %s; w = %s; b = [$blocksize]; bb = Mul(b, b);%s",
                  d[0].text, d[1].text, d[2].text, d[3].text, text);
    return us_expand_buffer(c, m, g, n, &b);
}

us_err depth_to_space_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_depth_to_space *p = g->nodes.at[n].params;
    bool crd = us_sv_is(p->mode, "CRD");
    return regroup(
        c, m, g, n,
        crd ? "k = Div(c, bb); s = Reshape<allowzero=1>(x0, Concat<axis=0>(n, k, b, b, h, w));"
              "t = Transpose<perm=[0,1,4,2,5,3]>(s);"
              "y = Reshape<allowzero=1>(t, Concat<axis=0>(n, k, Mul(h, b), Mul(w, b)))"
            : "k = Div(c, bb); s = Reshape<allowzero=1>(x0, Concat<axis=0>(n, b, b, k, h, w));"
              "t = Transpose<perm=[0,3,4,1,5,2]>(s);"
              "y = Reshape<allowzero=1>(t, Concat<axis=0>(n, k, Mul(h, b), Mul(w, b)))");
}

us_err space_to_depth_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_space_to_depth *p = g->nodes.at[n].params;
    bool crd = us_sv_is(p->mode, "CRD");
    return regroup(c, m, g, n,
                   crd ? "p = Div(h, b); q = Div(w, b);"
                         "s = Reshape<allowzero=1>(x0, Concat<axis=0>(n, c, p, b, q, b));"
                         "t = Transpose<perm=[0,1,3,5,2,4]>(s);"
                         "y = Reshape<allowzero=1>(t, Concat<axis=0>(n, Mul(c, bb), p, q))"
                       : "p = Div(h, b); q = Div(w, b);"
                         "s = Reshape<allowzero=1>(x0, Concat<axis=0>(n, c, p, b, q, b));"
                         "t = Transpose<perm=[0,3,5,1,2,4]>(s);"
                         "y = Reshape<allowzero=1>(t, Concat<axis=0>(n, Mul(c, bb), p, q))");
}

/* [d0, d1, ...] as [1, d0, 1, d1, ...], the ones stretched to the repeats, and the pairs joined. */
us_err tile_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int rank = us_expand_rank(g, n, 0);
    if (rank < 0 || 2 * rank > US_MAX_RANK)
        return us_expand_refuse(c, g, n, "the rank of its input is not known or too high");
    return us_expand_text(
        c, m, g, n,
        "s = Shape(x0); d = Unsqueeze(s, [1]);"
        "a = Reshape(Concat<axis=1>(Expand([1], Shape(d)), d), [-1]);"
        "b = Reshape(Concat<axis=1>(Unsqueeze(x1, [1]), d), [-1]);"
        "y = Reshape<allowzero=1>(Expand(Reshape<allowzero=1>(x0, a), b), Mul(s, x1))");
}

/* Where part i begins and ends: known numbers, shares of the size, or sums of the sizes given. */
us_err split_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_split *p = g->nodes.at[n].params;
    uint32_t n_out = g->nodes.at[n].n_out;
    int64_t sizes[256], at = 0;
    size_t n_sizes = 0;
    bool given = us_expand_has(g, n, 1),
         known = given && us_expand_const_ints(g, n, 1, US_LEN(sizes), sizes, &n_sizes);
    us_expand_buf b = {.n = 0};
    if (n_out > 64 || (known && n_sizes != n_out))
        return us_expand_refuse(c, g, n, "too many parts, or too few");
    if (!given)
        us_expand_add(&b, "c = Div(Add(Gather(Shape(x0), [%lld]), [%u]), [%u]);",
                      (long long)p->axis, n_out - 1, n_out);
    for (uint32_t i = 0; i < n_out; i++) {
        us_expand_add(&b, "y%u = Slice(x0, ", i);
        if (known)
            us_expand_add(&b, "[%lld], [%lld]", (long long)at, (long long)(at + sizes[i]));
        else if (given)
            us_expand_add(&b,
                          "ReduceSum(Slice(x1, [0], [%u])), ReduceSum(Slice(x1, [0], [%u]))", i,
                          i + 1);
        else
            us_expand_add(&b, "Mul(c, [%u]), Mul(c, [%u])", i, i + 1);
        us_expand_add(&b, ", [%lld]);", (long long)p->axis);
        if (known) at += sizes[i];
    }
    return us_expand_buffer(c, m, g, n, &b);
}

/* Where the shared middle begins and ends, and what goes round it, as numbers; false: something is not known yet. */
static bool add_middle(const us_graph *g, us_nid n, us_expand_buf *b)
{
    const us_p_center_crop_pad *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0), a;
    int64_t want[US_MAX_RANK];
    size_t count, n_axes = p->axes.n ? p->axes.n : (size_t)US_MAX(rank, 0);
    us_expand_buf cut = {.n = 0}, end = {.n = 0}, before = {.n = 0}, after = {.n = 0};
    if (rank < 0 || !us_expand_const_ints(g, n, 1, US_MAX_RANK, want, &count) ||
        count != n_axes)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!us_axis_norm(p->axes.n ? p->axes.p[i] : (int64_t)i, rank, &a)) return false;
        int64_t d = us_expand_dim(g, n, 0, a), part = US_MIN(d, want[i]);
        if (part < 0) return false;
        us_expand_add(&cut, "%lld,", (long long)((d - part) / 2));
        us_expand_add(&end, "%lld,", (long long)((d - part) / 2 + part));
        us_expand_add(&before, "%lld,", (long long)((want[i] - part) / 2));
        us_expand_add(&after, "%lld,", (long long)(want[i] - part - (want[i] - part) / 2));
    }
    us_expand_add(b, "cut = Slice(x0, [%s], [%s], %s); pads = [%s%s];", cut.text, end.text,
                  p->axes.n ? "$axes" : "_", before.text, after.text);
    return true;
}

/* Cut to the shared middle, then padded round it; the odd element goes to the end. */
us_err center_crop_pad_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_center_crop_pad *p = g->nodes.at[n].params;
    bool all = p->axes.n == 0;
    us_expand_buf b = {.n = 0};
    if (!add_middle(g, n, &b))
        us_expand_add(
            &b,
            "s = %s; t = Cast<to=7>(x1); part = Min(s, t); a = Div(Sub(s, part), [2]);"
            "cut = Slice(x0, a, Add(a, part), %s); b = Div(Sub(t, part), [2]);"
            "pads = Concat<axis=0>(b, Sub(Sub(t, part), b));",
            all ? "Shape(x0)" : "Gather(Shape(x0), $axes)", all ? "_" : "$axes");
    us_expand_add(&b, "y = Pad(cut, pads, _, %s)", all ? "_" : "$axes");
    return us_expand_buffer(c, m, g, n, &b);
}

us_err compress_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_compress *p = g->nodes.at[n].params;
    return us_expand_text(c, m, g, n,
                          p->has_axis
                              ? "y = Gather<axis=$axis>(x0, Reshape(NonZero(x1), [-1]))"
                              : "y = Gather(Reshape(x0, [-1]), Reshape(NonZero(x1), [-1]))");
}

/* Step t of a sequence of length n comes from n - 1 - t; what lies behind the sequence stays. */
us_err reverse_sequence_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_reverse_sequence *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0), time = p->time_axis != 0;
    if (rank < 2) return us_expand_refuse(c, g, n, "the rank of its input is not known");
    return us_expand_fmt(
        c, m, g, n,
        "t = Unsqueeze(Range(#0, Gather(Shape(x0), #%d), #1), [%d]); l = Unsqueeze(x1, [%d]);"
        "i = Where(Less(t, l), Sub(Sub(l, #1), t), t);"
        "y = GatherElements<axis=%d>(x0, Expand(Unsqueeze(i, %s), Shape(x0)))",
        time, 1 - time, time, time, us_expand_axes_text(2, rank).text);
}

/* Row i of the update goes to place i behind the sequence's write index. */
us_err tensor_scatter_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_tensor_scatter *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0), axis;
    bool each = us_expand_has(g, n, 2);
    us_expand_buf b = {.n = 0};
    if (rank < 2 || !us_axis_norm(p->axis, rank, &axis) || axis == 0)
        return us_expand_refuse(c, g, n, "the rank of its input is not known");
    us_expand_add(&b, "at = Range(#0, Gather(Shape(x1), #%d), #1);", axis);
    if (each) us_expand_add(&b, "at = Add(at, Unsqueeze(x2, [1]));");
    if (us_sv_is(p->mode, "circular"))
        us_expand_add(&b, "at = Mod(at, Gather(Shape(x0), #%d));", axis);
    us_expand_add(&b, "at = Unsqueeze(at, [");
    for (int i = each ? 1 : 0; i < rank; i++)
        if (i != axis) us_expand_add(&b, "%d,", i);
    us_expand_add(&b, "]); y = ScatterElements<axis=%d>(x0, Expand(at, Shape(x1)), x1)", axis);
    return us_expand_buffer(c, m, g, n, &b);
}

US_EXPAND(scatter, "y = ScatterElements<axis=$axis>(x0, x1, x2)")

/* --- made values -------------------------------------------------------------------------------------- */

us_err constant_of_shape_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_constant_of_shape *p = g->nodes.at[n].params;
    if (p->value && us_dtype_get(p->value->dtype)->bits < 8)
        return us_expand_refuse(c, g, n, "packed elements do not broadcast");
    return us_expand_text(
        c, m, g, n, p->value ? "y = Expand(Reshape($value, []), x0)" : "y = Expand(0@1, x0)");
}

/* Positions along the new axis against the indices; a negative index counts from the end. */
us_err one_hot_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_one_hot *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0);
    if (p->axis >= 0 && rank < 0)
        return us_expand_refuse(c, g, n, "the rank of its input is not known");
    int behind = -1;
    if (p->axis >= -US_MAX_RANK - 1 && p->axis <= US_MAX_RANK)
        behind = (int)(p->axis < 0 ? -p->axis - 1 : rank - p->axis);
    if (behind < 0 || behind >= US_MAX_RANK)
        return us_expand_refuse(c, g, n, "axis out of range");
    return us_expand_fmt(
        c, m, g, n,
        "d = Reshape(Cast<to=7>(x1), []); i = Cast<to=7>(x0); w = Where(Less(i, #0), Add(i, "
        "d), i);"
        "at = Unsqueeze(Range(#0, d, #1), %s);"
        "y = Where(Equal(Unsqueeze(w, [$axis]), at), Gather(x2, #1), Gather(x2, #0))",
        us_expand_axes_text(1, 1 + behind).text);
}

/* d = column - row; 0 on the diagonal. */
#define DIAGONALS                                                                              \
    "d = Sub(Range(#0, Gather(Shape(x0), #-1), #1),"                                           \
    " Unsqueeze(Range(#0, Gather(Shape(x0), #-2), #1), [1]));"

us_err eye_like_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_eye_like *p = g->nodes.at[n].params;
    us_dtype t = p->has_dtype ? (us_dtype)p->dtype : us_expand_dtype(g, n, 0);
    return us_expand_fmt(c, m, g, n, DIAGONALS "y = Cast<to=%d>(Equal(d, #$k))", (int)t);
}

us_err trilu_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_trilu *p = g->nodes.at[n].params;
    return us_expand_fmt(c, m, g, n, DIAGONALS "y = Where(%s(d, %s), x0, 0)",
                         p->upper ? "GreaterOrEqual" : "LessOrEqual",
                         us_expand_has(g, n, 1) ? "Reshape(x1, [])" : "#0");
}

/* --- random numbers ------------------------------------------------------------------------------------- */

static us_err random_like(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *call)
{
    const us_p_random *p = g->nodes.at[n].params;
    return us_expand_fmt(c, m, g, n, "y = %s%s>(Expand(0@1, $shape))", call,
                         p->has_seed ? ",seed=$seed" : "");
}

us_err random_normal_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return random_like(c, m, g, n, "RandomNormalLike<dtype=$dtype,mean=$mean,scale=$scale");
}

us_err random_uniform_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return random_like(c, m, g, n, "RandomUniformLike<dtype=$dtype,low=$low,high=$high");
}

us_err bernoulli_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_random *p = g->nodes.at[n].params;
    us_dtype t = p->dtype ? (us_dtype)p->dtype : us_expand_dtype(g, n, 0);
    return us_expand_fmt(c, m, g, n,
                         "u = RandomUniformLike<dtype=@x0,low=0,high=1%s>(x0);"
                         "y = Cast<to=%d>(Less(u, x0))",
                         p->has_seed ? ",seed=$seed" : "", (int)t);
}
