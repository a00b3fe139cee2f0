/* grad/grad_loss.c - gradients of the loss operators.
 *
 * With W_i the weight of row i's class (1 without weights, 0 for ignored rows) and g the incoming gradient as the reduction
 * spreads it, loss_i = -W_i x[i, t_i] gives dx = -onehot(t) W g; behind a softmax it is (softmax - onehot(t)) W g.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

typedef struct picked {
    us_vid onehot; /* [N, C, ...] */
    us_vid share;  /* W g, [N, 1, ...] */
} picked;

static us_vid onehot_of(us_grad *k, us_vid x, us_vid t, int64_t classes)
{
    us_dtype type = us_g_dtype(k, x);
    const double off_on[2] = {0, 1};
    const int64_t dims[1] = {2};
    uint64_t room[2]; /* widest elements */
    if (k->b->err == US_OK && !us_dtype_get(type)->from_f64)
        k->b->err =
            us_fail(k->c, US_UNSUPP, "there is no gradient of %s", us_dtype_get(type)->name);
    if (k->b->err != US_OK) return US_NIL;
    us_dtype_get(type)->from_f64(room, 0, 2, off_on);
    us_vid depth = us_b_i64(k->b, classes);
    us_vid values = us_b_const(k->b, NULL, type, 1, dims, room);
    us_vid r = us_b3(k->b, "OneHot", t, depth, values);
    us_b_int(k->b, "axis", 1);
    return r;
}

/* Ignored rows become class 0 with weight 0, so that any number may mark them. */
static us_err pick(us_grad *k, picked *p)
{
    us_vid x = us_gx(k, 0), t = us_gx(k, 1), weight = us_gx(k, 2), g = k->dy[0];
    int64_t classes = us_g_dim(k, x, 1);
    if (us_g_wants(k, 2)) return us_g_fail(k, "with respect to the weights");
    if (classes < 1) return us_g_fail(k, "the number of classes is not known");
    us_vid one = us_g_num(k, x, 1), zero = us_g_num(k, x, 0);
    us_vid w = US_G2("Expand", one, us_g_shape(k, t));
    if (us_node_attr(&k->g->nodes.at[k->n], "ignore_index")) {
        us_vid ignore = us_g_num(k, t, (double)us_g_int(k, "ignore_index", 0));
        us_vid skip = US_G2("Equal", t, ignore);
        w = US_G_SEL(skip, zero, w);
        t = US_G_SEL(skip, us_g_num(k, us_gx(k, 1), 0), t);
    }
    if (weight != US_NIL) w = US_G2("Mul", w, US_G2("Gather", weight, t));
    us_sv reduction = us_g_str(k, "reduction");
    if (!reduction.n || us_sv_is(reduction, "mean")) {
        us_vid total = US_G1("ReduceSum", w);
        us_b_int(k->b, "keepdims", 0);
        g = US_G2("Div", g, total);
    }
    const int64_t axis = 1;
    p->onehot = onehot_of(k, x, t, classes);
    p->share = US_G2("Unsqueeze", US_G2("Mul", w, g), us_b_i64s(k->b, 1, &axis));
    return US_OK;
}

us_err negative_log_likelihood_loss_grad(us_grad *k)
{
    picked p;
    US_TRY(pick(k, &p));
    k->dx[0] = US_G1("Neg", US_G2("Mul", p.onehot, p.share));
    return US_OK;
}

us_err softmax_cross_entropy_loss_grad(us_grad *k)
{
    picked p;
    if (us_gy(k, 1) != US_NIL && k->dy[1] != US_NIL)
        return us_g_fail(k, "through its second output; use LogSoftmax for that");
    US_TRY(pick(k, &p));
    us_vid soft = US_G1("Softmax", us_gx(k, 0));
    us_b_int(k->b, "axis", 1);
    k->dx[0] = US_G2("Mul", US_G2("Sub", soft, p.onehot), p.share);
    return US_OK;
}
