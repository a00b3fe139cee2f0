/* ir/expand_train.c - what losses, Dropout, steps of training, windows and frames of signals, and affine grids are made of. */
#include "ir/op_util.h"
#include "ir/params_signal.h"
#include "ir/params_train.h"

/* --- losses -------------------------------------------------------------------------------------------- */

/* After `logp` (log-probabilities): each target's, negative, with the weight of its class, reduced. An ignored target becomes
 * class 0 with weight 0, so that any number may mark it. */
static us_err add_loss(us_ctx *c, const us_graph *g, us_nid n, us_expand_buf *b)
{
    const us_p_negative_log_likelihood_loss *p = g->nodes.at[n].params;
    bool weights = us_expand_has(g, n, 2), weighted = weights || p->has_ignore_index;
    bool none = us_sv_is(p->reduction, "none"), sum = us_sv_is(p->reduction, "sum");
    if (!none && !sum && !us_sv_is(p->reduction, "mean"))
        return us_expand_refuse(c, g, n, "no such reduction");
    us_expand_add(b, "%s",
                  p->has_ignore_index
                      ? "skip = Equal(x1, $ignore_index@x1); t = Where(skip, 0@x1, x1);"
                      : "t = x1;");
    us_expand_add(b, "%s", weights ? "k = Gather(x2, t);" : "k = 1;");
    us_expand_add(b, "%s", p->has_ignore_index ? "w = Where(skip, 0, k);" : "w = k;");
    us_expand_add(b, "i = Cast<to=7>(Unsqueeze(t, [1]));"
                     "l = Neg(Squeeze(GatherElements<axis=1>(logp, i), [1]));");
    us_expand_add(b, "%s", weighted ? "z = Mul(l, w);" : "z = l;");
    us_expand_add(b, "%s",
                  none       ? "y = Identity(z)"
                  : sum      ? "y = ReduceSum<keepdims=0>(z)"
                  : weighted ? "y = Div(ReduceSum<keepdims=0>(z), ReduceSum<keepdims=0>(w))"
                             : "y = ReduceMean<keepdims=0>(z)");
    return US_OK;
}

us_err negative_log_likelihood_loss_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    us_expand_add(&b, "logp = x0;");
    US_TRY(add_loss(c, g, n, &b));
    return us_expand_buffer(c, m, g, n, &b);
}

us_err softmax_cross_entropy_loss_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    us_expand_add(&b, "logp = LogSoftmax<axis=1>(x0); y1 = logp;");
    US_TRY(add_loss(c, g, n, &b));
    return us_expand_buffer(c, m, g, n, &b);
}

/* --- Dropout ------------------------------------------------------------------------------------------- */

us_err dropout_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_dropout *p = g->nodes.at[n].params;
    int64_t training;
    size_t count;
    bool known = us_expand_const_ints(g, n, 2, 1, &training, &count) && count == 1;
    if (!us_expand_has(g, n, 2) || (known && !training))
        return us_expand_text(c, m, g, n, "y = Identity(x0); y1 = Expand(1@9, Shape(x0))");
    return us_expand_fmt(c, m, g, n,
                         "r = %s; u = RandomUniformLike<low=0,high=1%s>(x0);"
                         "keep = Or(Not(x2), GreaterOrEqual(u, r)); y1 = keep;"
                         "y = Where(keep, Mul(x0, Where(x2, Div(1, Sub(1, r)), 1)), 0)",
                         us_expand_has(g, n, 1) ? "Cast<to=@x0>(x1)" : "0.5",
                         p->has_seed ? ",seed=$seed" : "");
}

/* --- windows of signals -------------------------------------------------------------------------------- */

/* a0 - a1 cos(t) + a2 cos(2t), t going round once; a window of one point is where t is half way round. */
static us_err cosines(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *a0,
                      const char *a1, const char *a2)
{
    const us_p_window *p = g->nodes.at[n].params;
    return us_expand_fmt(
        c, m, g, n,
        "@11 n = Cast<to=7>(Reshape(x0, [])); i = Cast<to=11>(Range(#0, n, #1));"
        "d = Sub(Cast<to=11>(n), %s);"
        "t = Where(Greater(d, 0), Div(Mul(i, 6.283185307179586), d), 3.141592653589793);"
        "y = Cast<to=$output_datatype>(Add(Sub(%s, Mul(Cos(t), %s)), Mul(Cos(Add(t, t)), %s)))",
        p->periodic ? "0" : "1", a0, a1, a2);
}

us_err hann_window_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return cosines(c, m, g, n, "0.5", "0.5", "0");
}
us_err hamming_window_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return cosines(c, m, g, n, "0.5434782608695652", "0.45652173913043476", "0");
}
us_err blackman_window_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return cosines(c, m, g, n, "0.42", "0.5", "0.08");
}

/* --- AffineGrid ----------------------------------------------------------------------------------------- */

/* Every place's coordinates, x first, and a 1, times the matrices. */
us_err affine_grid_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_affine_grid *p = g->nodes.at[n].params;
    int64_t space = us_expand_dim(g, n, 0, 1);
    us_expand_buf b = {.n = 0};
    bool half = us_is_half(us_expand_dtype(g, n, 0));
    int t = half ? (int)US_F32 : (int)us_expand_dtype(g, n, 0);
    if (space != 2 && space != 3)
        return us_expand_refuse(c, g, n, "the number of spatial dimensions is not known");
    us_expand_add(&b, "@%d one = Expand(1, Slice(x1, [2], [%d]));", t, (int)space + 2);
    for (int i = (int)space - 1; i >= 0; i--) {
        us_expand_add(
            &b, "n = Gather(x1, #%d); d = Cast<to=%d>(n); i = Cast<to=%d>(Range(#0, n, #1));",
            i + 2, t, t);
        us_expand_add(&b, "%s",
                      p->align_corners
                          ? "p = Where(Greater(d, 1), Sub(Div(Add(i, i), Sub(d, 1)), 1), 0);"
                          : "p = Sub(Div(Add(Add(i, i), 1), d), 1);");
        us_expand_add(&b, "c%d = Unsqueeze(Mul(one, Unsqueeze(p, %s)), [-1]);", i,
                      us_expand_axes_text(1, (int)space - i).text);
    }
    us_expand_add(&b, "base = Reshape(Concat<axis=-1>(%s, Unsqueeze(one, [-1])), [-1, %d]);",
                  space == 2 ? "c1, c0" : "c2, c1, c0", (int)space + 1);
    us_expand_add(&b,
                  "z = MatMul(base, Transpose<perm=[0,2,1]>(Cast<to=%d>(x0)));"
                  "y = Cast<to=@x0>(Reshape<allowzero=1>(z, Concat<axis=0>(Slice(x1, [0], [1]),"
                  " Slice(x1, [2], [%d]), [%d])))",
                  t, (int)space + 2, (int)space);
    return us_expand_buffer(c, m, g, n, &b);
}

/* --- steps of training ------------------------------------------------------------------------------------ */

/* One tensor of n, in double: its value v, gradient d and states s (and h); the texts say what becomes of them. */
static us_err steps(us_ctx *c, us_model *m, us_graph *g, us_nid n, size_t groups,
                    const char *rate, const char *text)
{
    static const char names[] = {'v', 'd', 's', 'h'};
    static const char *const results[] = {"w", "p", "q"};
    size_t n_in = g->nodes.at[n].n_in;
    us_expand_buf b = {.n = 0};
    if (n_in < 2 + groups || (n_in - 2) % groups)
        return us_expand_refuse(c, g, n, "its inputs do not come in equal groups");
    size_t each = (n_in - 2) / groups;
    us_expand_add(
        &b, "@11 r = Cast<to=11>(Reshape(x0, [])); t = Cast<to=11>(Reshape(x1, []));%s", rate);
    for (size_t i = 0; i < each; i++) {
        for (size_t k = 0; k < groups; k++)
            us_expand_add(&b, "%c = Cast<to=11>(x%zu);", names[k], 2 + k * each + i);
        us_expand_add(&b, "g = Add(Mul(v, $norm_coefficient), d);%s", text);
        for (size_t k = 0; k + 1 < groups; k++)
            us_expand_add(&b, "y%zu = Cast<to=@x%zu>(%s);", k * each + i, 2 + i, results[k]);
    }
    return us_expand_buffer(c, m, g, n, &b);
}

us_err train_adagrad_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return steps(c, m, g, n, 3, "r = Div(r, Add(Mul(t, $decay_factor), 1));",
                 "p = Add(s, Mul(g, g));"
                 "w = Sub(v, Div(Mul(g, r), Add(Sqrt(p), $epsilon)));");
}

us_err train_adam_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return steps(c, m, g, n, 4,
                 "f = Div(Sqrt(Sub(1, Pow($beta, t))), Sub(1, Pow($alpha, t)));"
                 "r = Where(Greater(t, 0), Mul(r, f), r);",
                 "p = Add(Mul(s, $alpha), Mul(g, Sub(1, $alpha)));"
                 "q = Add(Mul(h, $beta), Mul(Mul(g, g), Sub(1, $beta)));"
                 "w = Mul(Sub(v, Div(Mul(p, r), Add(Sqrt(q), $epsilon))),"
                 " Sub(1, $norm_coefficient_post));");
}

us_err train_momentum_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_optimizer *p = g->nodes.at[n].params;
    bool nesterov = us_sv_is(p->mode, "nesterov");
    return steps(c, m, g, n, 3, "f = Where(Greater(t, 0), $beta, 1);",
                 nesterov ? "p = Add(Mul(s, $alpha), Mul(g, f));"
                            "w = Sub(v, Mul(Add(g, Mul(p, $alpha)), r));"
                          : "p = Add(Mul(s, $alpha), Mul(g, f)); w = Sub(v, Mul(p, r));");
}

/* --- STFT ------------------------------------------------------------------------------------------------- */

us_err stft_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int rank = us_expand_rank(g, n, 0);
    bool window = us_expand_has(g, n, 2);
    if (rank != 2 && rank != 3)
        return us_expand_refuse(c, g, n, "the rank of the signal is not known");
    return us_expand_fmt(
        c, m, g, n,
        "step = Reshape(Cast<to=7>(x1), []); len = %s;"
        "n = Add(Div(Sub(Gather(Shape(x0), #1), len), step), #1);"
        "at = Add(Unsqueeze(Mul(Range(#0, n, #1), step), [1]), Range(#0, len, #1));"
        "f = Gather<axis=1>(%s, at); %s y = DFT<onesided=$onesided>(f, _, #2)",
        us_expand_has(g, n, 3) ? "Reshape(Cast<to=7>(x3), [])" : "Gather(Shape(x2), #0)",
        rank == 2 ? "Unsqueeze(x0, [2])" : "x0",
        window ? "f = Mul(f, Unsqueeze(x2, [1]));" : "");
}
