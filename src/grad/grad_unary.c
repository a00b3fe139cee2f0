/* grad/grad_unary.c - gradients of functions of one value, element by element.
 *
 * Each is dx = dy * f'(x), written with the forward result y where that is cheaper than x. At a kink (Relu at 0, Clip at a
 * bound) the derivative from one side is taken: 0 for Relu, as everybody does. Formulas: the operators' definitions in ONNX.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

/* One gradient: x, y, dy are at hand, `num(v)` is a constant of the right type, the expression is dx. */
#define UNARY(fn, expr)                                                                        \
    us_err fn##_grad(us_grad *k)                                                               \
    {                                                                                          \
        us_vid x = us_gx(k, 0), y = us_gy(k, 0), dy = k->dy[0];                                \
        (void)x, (void)y, (void)dy;                                                            \
        k->dx[0] = (expr);                                                                     \
        return US_OK;                                                                          \
    }
#define ADD(u, v) US_G2("Add", u, v)
#define SUB(u, v) US_G2("Sub", u, v)
#define MUL(u, v) US_G2("Mul", u, v)
#define DIV(u, v) US_G2("Div", u, v)
#define SQUARE(u) square(k, u)
#define NUM(v)    us_g_num(k, us_gx(k, 0), (v))

static us_vid square(us_grad *k, us_vid a)
{
    return us_b2(k->b, "Mul", a, a);
}

UNARY(abs, MUL(dy, US_G1("Sign", x)))
UNARY(neg, US_G1("Neg", dy))
UNARY(exp, MUL(dy, y))
UNARY(log, DIV(dy, x))
UNARY(sqrt, DIV(MUL(dy, NUM(0.5)), y))
UNARY(reciprocal, US_G1("Neg", MUL(dy, SQUARE(y))))
UNARY(sin, MUL(dy, US_G1("Cos", x)))
UNARY(cos, US_G1("Neg", MUL(dy, US_G1("Sin", x))))
UNARY(tan, MUL(dy, ADD(NUM(1), SQUARE(y))))
UNARY(asin, DIV(dy, US_G1("Sqrt", SUB(NUM(1), SQUARE(x)))))
UNARY(acos, US_G1("Neg", DIV(dy, US_G1("Sqrt", SUB(NUM(1), SQUARE(x))))))
UNARY(atan, DIV(dy, ADD(NUM(1), SQUARE(x))))
UNARY(sinh, MUL(dy, US_G1("Cosh", x)))
UNARY(cosh, MUL(dy, US_G1("Sinh", x)))
UNARY(asinh, DIV(dy, US_G1("Sqrt", ADD(SQUARE(x), NUM(1)))))
UNARY(acosh, DIV(dy, US_G1("Sqrt", SUB(SQUARE(x), NUM(1)))))
UNARY(atanh, DIV(dy, SUB(NUM(1), SQUARE(x))))
UNARY(tanh, MUL(dy, SUB(NUM(1), SQUARE(y))))
UNARY(sigmoid, MUL(dy, MUL(y, SUB(NUM(1), y))))
UNARY(erf, MUL(dy, MUL(NUM(1.12837916709551257390), US_G1("Exp", US_G1("Neg", SQUARE(x))))))
UNARY(relu, us_g_mask(k, US_G2("Greater", y, NUM(0)),
                      dy)) /* y > 0 just where x > 0, and x may be gone */
UNARY(softplus, MUL(dy, US_G1("Sigmoid", x)))
UNARY(identity, dy)

/* Flat almost everywhere: no gradient flows. */
UNARY(sign, US_NIL)
UNARY(floor, US_NIL)
UNARY(ceil, US_NIL)
UNARY(round, US_NIL)

us_err leaky_relu_grad(us_grad *k)
{
    us_vid x = us_gx(k, 0), dy = k->dy[0];
    k->dx[0] =
        US_G_SEL(US_G2("Greater", x, NUM(0)), dy, MUL(dy, NUM(us_g_float(k, "alpha", 0.01))));
    return US_OK;
}

/* x Phi(x), or its approximation x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3). */
us_err gelu_grad(us_grad *k)
{
    us_vid x = us_gx(k, 0), slope;
    if (us_sv_is(us_g_str(k, "approximate"), "tanh")) {
        const double r = 0.79788456080286535588, q = 0.044715;
        us_vid xx = SQUARE(x);
        us_vid t = US_G1("Tanh", MUL(MUL(x, NUM(r)), ADD(NUM(1), MUL(xx, NUM(q)))));
        us_vid du = MUL(NUM(r), ADD(NUM(1), MUL(xx, NUM(3 * q))));
        us_vid half = MUL(NUM(0.5), ADD(NUM(1), t));
        slope = ADD(half, MUL(MUL(MUL(x, NUM(0.5)), SUB(NUM(1), SQUARE(t))), du));
    } else {
        us_vid cdf =
            MUL(NUM(0.5), ADD(NUM(1), US_G1("Erf", MUL(x, NUM(0.70710678118654752440)))));
        us_vid bell = US_G1("Exp", MUL(SQUARE(x), NUM(-0.5)));
        slope = ADD(cdf, MUL(MUL(x, NUM(0.39894228040143267794)), bell));
    }
    k->dx[0] = MUL(k->dy[0], slope);
    return US_OK;
}

us_err prelu_grad(us_grad *k)
{
    us_vid x = us_gx(k, 0), slope = us_gx(k, 1), y = us_gy(k, 0), dy = k->dy[0];
    us_vid over = US_G2("Greater", x, NUM(0));
    if (us_g_wants(k, 0)) k->dx[0] = US_G_SEL(over, dy, MUL(dy, slope));
    if (us_g_wants(k, 1))
        k->dx[1] = us_g_sum_to(k, US_G_SEL(over, NUM(0), MUL(dy, x)), y, slope);
    return US_OK;
}

/* A bound that is left out never holds. Its own gradient is what it stopped. */
us_err clip_grad(us_grad *k)
{
    us_vid x = us_gx(k, 0), lo = us_gx(k, 1), hi = us_gx(k, 2), dy = k->dy[0];
    us_vid low = lo == US_NIL ? US_NIL : US_G2("Less", x, lo);
    us_vid high = hi == US_NIL ? US_NIL : US_G2("Greater", x, hi);
    if (us_g_wants(k, 0)) {
        us_vid d = dy;
        if (low != US_NIL) d = US_G_SEL(low, NUM(0), d);
        if (high != US_NIL) d = US_G_SEL(high, NUM(0), d);
        k->dx[0] = d;
    }
    us_vid y = us_gy(k, 0);
    if (us_g_wants(k, 1)) k->dx[1] = us_g_sum_to(k, us_g_mask(k, low, dy), y, lo);
    if (us_g_wants(k, 2)) k->dx[2] = us_g_sum_to(k, us_g_mask(k, high, dy), y, hi);
    return US_OK;
}

us_err cast_grad(us_grad *k) /* between floating-point types; others never get here */
{
    k->dx[0] = US_G1("Cast", k->dy[0]);
    us_b_int(k->b, "to", us_g_dtype(k, us_gx(k, 0)));
    return US_OK;
}

/* Inference: the identity. In training the mask is the node's second output. */
us_err dropout_grad(us_grad *k)
{
    us_vid dy = k->dy[0], training = us_gx(k, 2), ratio = us_gx(k, 1);
    if (training == US_NIL) {
        k->dx[0] = dy;
        return US_OK;
    }
    us_vid mask = us_gy(k, 1);
    if (mask == US_NIL) return us_g_fail(k, "in training it needs its second output, the mask");
    us_vid keep = ratio == US_NIL ? NUM(0.5) : us_b1(k->b, "Cast", ratio);
    if (ratio != US_NIL) us_b_int(k->b, "to", us_g_dtype(k, us_gx(k, 0)));
    if (ratio != US_NIL) keep = SUB(NUM(1), keep);
    us_vid scaled = us_g_mask(k, mask, DIV(dy, keep));
    k->dx[0] = US_G_SEL(training, scaled, dy);
    return US_OK;
}
