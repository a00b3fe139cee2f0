/* ir/expand_math.c - what functions of numbers, comparisons, bits, extremes and softmaxes are made of.
 *
 * The expansions hold the kernels' accuracy: where the schoolbook formula loses digits or overflows, another is used, and the
 * reason stands beside it. Order is turned round exactly (-x, and ~x for integers, which has no value that it cannot turn).
 */
#include "ir/op_util.h"

/* --- functions of one number ------------------------------------------------------------------------- */

US_EXPAND(neg, "y = Mul(x0, -1)")
US_EXPAND(reciprocal, "y = Div(1, x0)")
US_EXPAND(ceil, "y = Neg(Floor(Neg(x0)))")
US_EXPAND(sign, "y = Where(Greater(x0, 0), 1, Where(Less(x0, 0), -1, x0))")
US_EXPAND(tan, "y = Div(Sin(x0), Cos(x0))")

/* Below 1 the exponentials cancel: there 2 t / (1 - t^2) with t = tanh(x / 2). The square of exp(x / 2) in place of exp(x)
 * overflows only where the result does. */
US_EXPAND(sinh, "a = Abs(x0); t = Tanh(Mul(x0, 0.5)); e = Exp(Mul(a, 0.5));"
                "y = Where(Less(a, 1), Div(Add(t, t), Sub(1, Mul(t, t))),"
                " Mul(Sign(x0), Sub(Mul(e, Mul(e, 0.5)), Div(0.5, Mul(e, e)))))")
US_EXPAND(cosh, "e = Exp(Mul(Abs(x0), 0.5)); y = Add(Mul(e, Mul(e, 0.5)), Div(0.5, Mul(e, e)))")

/* y = factor log(1 + u) for u >= 0, good for small u too: with w = 1 + u as rounded, u log(w) / (w - 1).
 * Source: Goldberg, "What every computer scientist should know about floating-point arithmetic", theorem 4. */
#define LOG1P(factor)                                                                          \
    "w = Add(u, 1);"                                                                           \
    "y = Mul(" factor ", Where(Less(u, 1), Where(Equal(w, 1), u,"                              \
    " Div(Mul(u, Log(w)), Sub(w, 1))), Log(w)))"
/* asinh |x| = log(1 + u), u = |x| + x^2 / (1 + sqrt(1 + x^2)); above 1 by 1 / x, where x^2 could overflow. */
US_EXPAND(asinh, "a = Abs(x0); b = Min(a, 1); r = Div(1, Max(a, 1));"
                 "u = Add(a, Where(Less(a, 1), Div(Mul(b, b), Add(1, Sqrt(Add(1, Mul(b, b))))),"
                 " Div(a, Add(r, Sqrt(Add(1, Mul(r, r)))))));" LOG1P("Sign(x0)"))
US_EXPAND(acosh, "t = Sub(x0, 1); u = Add(t, Mul(Sqrt(t), Sqrt(Add(t, 2))));" LOG1P("1"))
US_EXPAND(atanh, "a = Abs(x0); u = Div(Add(a, a), Sub(1, a));" LOG1P("Mul(Sign(x0), 0.5)"))

/* --- truth values and bits ------------------------------------------------------------------------- */

US_EXPAND(less, "y = Greater(x1, x0)")
US_EXPAND(or, "y = Not(And(Not(x0), Not(x1)))")
US_EXPAND(xor, "y = Not(Equal(x0, x1))")
US_EXPAND(bitwise_or, "y = BitwiseNot(BitwiseAnd(BitwiseNot(x0), BitwiseNot(x1)))")
US_EXPAND(bitwise_xor, "y = BitwiseAnd(BitwiseOr(x0, x1), BitwiseNot(BitwiseAnd(x0, x1)))")

/* The small floats have no arithmetic of their own. */
static us_dtype comparable(const us_graph *g, us_nid n)
{
    us_dtype t = us_expand_dtype(g, n, 0);
    return us_dtype_get(t)->bits > 8 ? t : US_F32;
}

us_err is_nan_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_expand_fmt(c, m, g, n, "v = Cast<to=%d>(x0); y = Not(Equal(v, v))",
                         (int)comparable(g, n));
}

us_err is_inf_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_is_inf *p = g->nodes.at[n].params;
    const int t = (int)comparable(g, n);
    const char *test = !p->detect_positive && !p->detect_negative ? "Less(v, v)"
                       : !p->detect_negative                      ? "Equal(v, i)"
                       : !p->detect_positive                      ? "Equal(Neg(v), i)"
                                                                  : "Equal(Abs(v), i)";
    return us_expand_fmt(c, m, g, n, "v = Cast<to=%d>(x0); i = inf@%d; y = %s", t, t, test);
}

/* --- extremes -------------------------------------------------------------------------------------- */

/* A function that turns the order of the input's type round, and back again. */
static us_err turn_round(us_ctx *c, const us_graph *g, us_nid n, const char **f)
{
    uint8_t cls = us_dtype_get(us_expand_dtype(g, n, 0))->cls;
    if (cls == US_DC_NONE)
        return us_expand_refuse(c, g, n, "the type of its input is not known");
    *f = cls == US_DC_FLOAT ? "Neg" : cls == US_DC_BOOL ? "Not" : "BitwiseNot";
    return US_OK;
}

us_err reduce_min_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const char *f;
    US_TRY(turn_round(c, g, n, &f));
    return us_expand_fmt(
        c, m, g, n,
        "y = "
        "%s(ReduceMax<keepdims=$keepdims,noop_with_empty_axes=$noop_with_empty_axes>(%s(x0), "
        "x1))",
        f, f);
}

us_err arg_min_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const char *f;
    US_TRY(turn_round(c, g, n, &f));
    return us_expand_fmt(
        c, m, g, n,
        "y = "
        "ArgMax<axis=$axis,keepdims=$keepdims,select_last_index=$select_last_index>(%s(x0))",
        f);
}

us_err min_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const char *f;
    us_expand_buf b = {.n = 0};
    US_TRY(turn_round(c, g, n, &f));
    us_expand_add(&b, "y = %s(Max(", f);
    for (uint32_t i = 0; i < g->nodes.at[n].n_in; i++)
        us_expand_add(&b, "%s%s(x%u)", i ? ", " : "", f, (unsigned)i);
    us_expand_add(&b, "))");
    return us_expand_buffer(c, m, g, n, &b);
}

/* --- softmaxes --------------------------------------------------------------------------------------- */

/* The top is taken off first: no exponential overflows, and the sum is at least 1. */
US_EXPAND(softmax, "e = Exp(Sub(x0, ReduceMax<keepdims=1>(x0, [$axis])));"
                   "y = Div(e, ReduceSum<keepdims=1>(e, [$axis]))")
US_EXPAND(log_softmax, "d = Sub(x0, ReduceMax<keepdims=1>(x0, [$axis]));"
                       "y = Sub(d, Log(ReduceSum<keepdims=1>(Exp(d), [$axis])))")
US_EXPAND(hardmax, "y = OneHot<axis=$axis>(ArgMax<axis=$axis,keepdims=0>(x0),"
                   " Gather(Shape(x0), #$axis), Cast<to=@x0>([0,1]))")
