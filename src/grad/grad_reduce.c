/* grad/grad_reduce.c - gradients of reductions, softmax, cumulative sums.
 *
 * A reduced gradient is first given its dimensions of size 1 back, then spread over x. Axes must be known when the graph is
 * built; sizes need not be.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

typedef struct reduction {
    us_vid x;
    bool none;    /* nothing is reduced: y is f(x) element by element */
    us_vid y, dy; /* with the reduced dimensions kept */
    size_t n_axes;
    int64_t axes[US_MAX_RANK];
} reduction;

static us_err all_axes(us_grad *k, reduction *r)
{
    int rank = us_g_rank(k, r->x);
    if (rank < 0) return us_g_fail(k, "the input's rank is not known");
    for (int i = 0; i < rank; i++)
        r->axes[r->n_axes++] = i;
    return US_OK;
}

static us_err axes_of(us_grad *k, reduction *r)
{
    us_vid v = us_gx(k, 1);
    if (v != US_NIL && !us_g_const_ints(k, v, US_MAX_RANK, r->axes, &r->n_axes))
        return us_g_fail(k, "its axes are not a constant");
    if (r->n_axes) return US_OK;
    r->none = us_g_int(k, "noop_with_empty_axes", 0) != 0;
    return r->none ? US_OK : all_axes(k, r);
}

static us_err reduction_begin(us_grad *k, reduction *r)
{
    *r = (reduction){.x = us_gx(k, 0), .y = us_gy(k, 0), .dy = k->dy[0]};
    US_TRY(axes_of(k, r));
    if (r->none || !r->n_axes || us_g_int(k, "keepdims", 1)) return US_OK;
    us_vid axes = us_b_i64s(k->b, r->n_axes, r->axes);
    r->y = US_G2("Unsqueeze", r->y, axes);
    r->dy = US_G2("Unsqueeze", r->dy, axes);
    return US_OK;
}

static us_vid spread(us_grad *k, us_vid v, us_vid x)
{
    return US_G2("Expand", v, us_g_shape(k, x));
}

/* r: the reduction; the expression is dx in any shape that broadcasts to x's. */
#define REDUCE(fn, expr)                                                                       \
    us_err fn##_grad(us_grad *k)                                                               \
    {                                                                                          \
        reduction r;                                                                           \
        US_TRY(reduction_begin(k, &r));                                                        \
        us_vid x = r.x, y = r.y, dy = r.dy;                                                    \
        (void)x, (void)y;                                                                      \
        k->dx[0] = (expr);                                                                     \
        return US_OK;                                                                          \
    }

REDUCE(reduce_sum, spread(k, dy, x))
REDUCE(reduce_log_sum_exp, US_G2("Mul", dy, US_G1("Exp", US_G2("Sub", x, y))))

/* x / ||x||, 0 where the norm is 0. */
us_err reduce_l2_grad(us_grad *k)
{
    reduction r;
    US_TRY(reduction_begin(k, &r));
    us_vid zero = us_g_num(k, r.x, 0), one = us_g_num(k, r.x, 1);
    us_vid safe = US_G_SEL(US_G2("Equal", r.y, zero), one, r.y);
    k->dx[0] = US_G2("Mul", r.x, US_G2("Div", r.dy, safe));
    return US_OK;
}

/* Elements of x per element of y, as a number of x's type; when sizes are symbolic it is computed as the graph runs. */
static us_vid reduced_count(us_grad *k, const reduction *r)
{
    double n = 1;
    for (size_t i = 0; i < r->n_axes && n > 0; i++)
        n *= (double)us_g_dim(k, r->x, (int)r->axes[i]);
    bool known = true;
    for (size_t i = 0; i < r->n_axes; i++)
        known = known && us_g_dim(k, r->x, (int)r->axes[i]) >= 0;
    if (known) return us_g_num(k, r->x, n);
    us_vid per = US_G2("Div", US_G1("Size", r->x), US_G1("Size", r->y));
    us_vid v = US_G1("Cast", per);
    us_b_int(k->b, "to", us_g_dtype(k, r->x));
    return v;
}

us_err reduce_mean_grad(us_grad *k)
{
    reduction r;
    US_TRY(reduction_begin(k, &r));
    k->dx[0] = spread(k, US_G2("Div", r.dy, reduced_count(k, &r)), r.x);
    return US_OK;
}

/* The elements that reach the extreme share its gradient equally. */
static us_err extreme_grad(us_grad *k)
{
    reduction r;
    US_TRY(reduction_begin(k, &r));
    us_vid one = us_g_num(k, r.x, 1), zero = us_g_num(k, r.x, 0);
    us_vid hit = US_G_SEL(US_G2("Equal", r.x, r.y), one, zero);
    us_vid count = r.n_axes ? us_g_reduce_sum(k, hit, r.n_axes, r.axes, true) : hit;
    k->dx[0] = US_G2("Mul", hit, US_G2("Div", r.dy, count));
    return US_OK;
}

us_err reduce_max_grad(us_grad *k)
{
    return extreme_grad(k);
}

us_err reduce_min_grad(us_grad *k)
{
    return extreme_grad(k);
}

us_err softmax_grad(us_grad *k) /* dx = y (dy - sum(dy y)) */
{
    us_vid y = us_gy(k, 0), dy = k->dy[0];
    int64_t axis = us_g_int(k, "axis", -1);
    us_vid s = us_g_reduce_sum(k, US_G2("Mul", dy, y), 1, &axis, true);
    k->dx[0] = US_G2("Mul", y, US_G2("Sub", dy, s));
    return US_OK;
}

us_err log_softmax_grad(us_grad *k) /* dx = dy - softmax * sum(dy) */
{
    us_vid y = us_gy(k, 0), dy = k->dy[0];
    int64_t axis = us_g_int(k, "axis", -1);
    us_vid s = us_g_reduce_sum(k, dy, 1, &axis, true);
    k->dx[0] = US_G2("Sub", dy, US_G2("Mul", US_G1("Exp", y), s));
    return US_OK;
}

us_err cum_sum_grad(us_grad *k) /* the same sum from the other end */
{
    k->dx[0] = US_G2("CumSum", k->dy[0], us_gx(k, 1));
    us_b_int(k->b, "exclusive", us_g_int(k, "exclusive", 0));
    us_b_int(k->b, "reverse", !us_g_int(k, "reverse", 0));
    return US_OK;
}
