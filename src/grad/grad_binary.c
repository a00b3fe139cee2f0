/* grad/grad_binary.c - gradients of functions of two or more values, with NumPy broadcasting.
 *
 * The gradient of an input that was broadcast is summed back over the dimensions it was repeated along (us_g_sum_to).
 */
#include "grad/grad_table.h"
#include "grad/util.h"

/* Input i gets d, summed to its shape. d is written only when somebody wants it: pass an expression through this macro. */
#define GIVE(i, d)                                                                             \
    do {                                                                                       \
        if (us_g_wants(k, (i))) k->dx[i] = us_g_sum_to(k, (d), us_gy(k, 0), us_gx(k, (i)));    \
    } while (0)

us_err add_grad(us_grad *k)
{
    GIVE(0, k->dy[0]);
    GIVE(1, k->dy[0]);
    return US_OK;
}

us_err sub_grad(us_grad *k)
{
    GIVE(0, k->dy[0]);
    GIVE(1, US_G1("Neg", k->dy[0]));
    return US_OK;
}

us_err mul_grad(us_grad *k)
{
    GIVE(0, US_G2("Mul", k->dy[0], us_gx(k, 1)));
    GIVE(1, US_G2("Mul", k->dy[0], us_gx(k, 0)));
    return US_OK;
}

us_err div_grad(us_grad *k)
{
    us_vid b = us_gx(k, 1), dy = k->dy[0];
    GIVE(0, US_G2("Div", dy, b));
    GIVE(1, US_G1("Neg", US_G2("Div", US_G2("Mul", dy, us_gy(k, 0)), b)));
    return US_OK;
}

/* z = a^e. The exponent may have another type than the base. da = dy e a^(e-1); de = dy z log a, 0 where a <= 0 (there z is
 * not differentiable in e, or the limit is 0). */
us_err pow_grad(us_grad *k)
{
    us_vid a = us_gx(k, 0), e = us_gx(k, 1), dy = k->dy[0];
    if (us_g_wants(k, 0)) {
        us_vid ea = e;
        if (us_g_dtype(k, e) != us_g_dtype(k, a)) {
            ea = US_G1("Cast", e);
            us_b_int(k->b, "to", us_g_dtype(k, a));
        }
        us_vid power = US_G2("Pow", a, US_G2("Sub", ea, us_g_num(k, a, 1)));
        GIVE(0, US_G2("Mul", dy, US_G2("Mul", ea, power)));
    }
    if (us_g_wants(k, 1)) {
        us_vid t = US_G2("Mul", us_gy(k, 0), US_G1("Log", a));
        us_vid d = US_G2(
            "Mul", dy, US_G_SEL(US_G2("Greater", a, us_g_num(k, a, 0)), t, us_g_num(k, a, 0)));
        if (us_g_dtype(k, e) != us_g_dtype(k, a)) {
            d = US_G1("Cast", d);
            us_b_int(k->b, "to", us_g_dtype(k, e));
        }
        GIVE(1, d);
    }
    return US_OK;
}

us_err where_grad(us_grad *k)
{
    us_vid cond = us_gx(k, 0), dy = k->dy[0];
    if (us_g_wants(k, 1)) GIVE(1, US_G_SEL(cond, dy, us_g_num(k, us_gx(k, 1), 0)));
    if (us_g_wants(k, 2)) GIVE(2, US_G_SEL(cond, us_g_num(k, us_gx(k, 2), 0), dy));
    return US_OK;
}

/* fmod: z = a - b trunc(a/b), the quotient is flat almost everywhere. */
us_err mod_grad(us_grad *k)
{
    us_vid a = us_gx(k, 0), b = us_gx(k, 1), dy = k->dy[0];
    GIVE(0, dy);
    if (us_g_wants(k, 1)) {
        us_vid quotient = US_G2("Div", US_G2("Sub", us_gy(k, 0), a), b); /* -trunc(a/b) */
        GIVE(1, US_G2("Mul", dy, quotient));
    }
    return US_OK;
}

us_err sum_grad(us_grad *k)
{
    for (size_t i = 0; i < k->g->nodes.at[k->n].n_in; i++)
        GIVE(i, k->dy[0]);
    return US_OK;
}

/* Max and Min of any number: the inputs that reach the extreme share its gradient equally. */
static us_err extreme_grad(us_grad *k)
{
    size_t n = k->g->nodes.at[k->n].n_in;
    us_vid y = us_gy(k, 0), dy = k->dy[0], count = US_NIL;
    us_vid one = us_g_num(k, y, 1), zero = us_g_num(k, y, 0);
    for (size_t i = 0; i < n; i++) {
        us_vid hit = US_G_SEL(US_G2("Equal", us_gx(k, i), y), one, zero);
        count = count == US_NIL ? hit : US_G2("Add", count, hit);
    }
    us_vid share = US_G2("Div", dy, count);
    for (size_t i = 0; i < n; i++)
        GIVE(i, US_G_SEL(US_G2("Equal", us_gx(k, i), y), share, zero));
    return US_OK;
}

us_err max_grad(us_grad *k)
{
    return extreme_grad(k);
}

us_err min_grad(us_grad *k)
{
    return extreme_grad(k);
}
