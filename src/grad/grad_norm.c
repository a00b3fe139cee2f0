/* grad/grad_norm.c - gradient of BatchNormalization, with given statistics and in training.
 *
 * Source: Ioffe, Szegedy, "Batch normalization", ICML 2015, section 3.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

/* [C] -> [C, 1, 1, ...] so that it broadcasts along x's channels. */
static us_vid per_channel(us_grad *k, us_vid v, int rank)
{
    int64_t dims[US_MAX_RANK];
    dims[0] = -1;
    for (int i = 1; i < rank - 1; i++)
        dims[i] = 1;
    return us_g_reshape(k, v, (size_t)(rank - 1), dims);
}

static us_vid over_channel(us_grad *k, us_vid v, int rank, bool keep)
{
    int64_t axes[US_MAX_RANK] = {0};
    size_t n = 1;
    for (int i = 2; i < rank; i++)
        axes[n++] = i;
    return us_g_reduce_sum(k, v, n, axes, keep);
}

typedef struct batch_norm {
    us_vid x, scale, mean, dy;
    us_vid inv;  /* 1 / sqrt(var + eps), per channel */
    us_vid xhat; /* (x - mean) * inv */
    int rank;
} batch_norm;

/* With given statistics they are inputs like any other. */
static void batch_norm_fixed(us_grad *k, const batch_norm *n)
{
    us_vid scaled =
        US_G2("Mul", n->dy, US_G2("Mul", per_channel(k, n->scale, n->rank), n->inv));
    if (us_g_wants(k, 0)) k->dx[0] = scaled;
    if (us_g_wants(k, 3)) k->dx[3] = US_G1("Neg", over_channel(k, scaled, n->rank, false));
    if (us_g_wants(k, 4)) { /* d/dvar of (var + eps)^(-1/2) */
        us_vid t = US_G2("Mul", US_G2("Mul", scaled, n->xhat), n->inv);
        k->dx[4] = US_G2("Mul", over_channel(k, t, n->rank, false), us_g_num(k, n->x, -0.5));
    }
}

/* Statistics of the batch: dx = scale inv (dy - mean(dy) - xhat mean(dy xhat)). */
static void batch_norm_training(us_grad *k, const batch_norm *n, us_vid count)
{
    if (!us_g_wants(k, 0)) return;
    us_vid m1 = US_G2("Div", over_channel(k, n->dy, n->rank, true), count);
    us_vid m2 =
        US_G2("Div", over_channel(k, US_G2("Mul", n->dy, n->xhat), n->rank, true), count);
    us_vid centred = US_G2("Sub", US_G2("Sub", n->dy, m1), US_G2("Mul", n->xhat, m2));
    k->dx[0] = US_G2("Mul", centred, US_G2("Mul", per_channel(k, n->scale, n->rank), n->inv));
}

us_err batch_normalization_grad(us_grad *k)
{
    batch_norm n = {.x = us_gx(k, 0), .scale = us_gx(k, 1), .dy = k->dy[0]};
    if (n.dy == US_NIL) return us_g_fail(k, "through its running statistics");
    n.rank = us_g_rank(k, n.x);
    if (n.rank < 2) return us_g_fail(k, "the input's rank is not known");
    bool training = us_g_int(k, "training_mode", 0) != 0;
    us_vid count = US_NIL, mean = us_gx(k, 3), var = us_gx(k, 4);
    if (training) {
        us_vid per = US_G2("Div", US_G1("Size", n.x), US_G1("Size", n.scale));
        count = US_G1("Cast", per);
        us_b_int(k->b, "to", us_g_dtype(k, n.x));
        mean = US_G2("Div", over_channel(k, n.x, n.rank, true), count);
        us_vid diff = US_G2("Sub", n.x, mean);
        var = US_G2("Div", over_channel(k, US_G2("Mul", diff, diff), n.rank, true), count);
    } else {
        mean = per_channel(k, mean, n.rank);
        var = per_channel(k, var, n.rank);
    }
    us_vid eps = us_g_num(k, n.x, us_g_float(k, "epsilon", 1e-5));
    n.inv = US_G1("Reciprocal", US_G1("Sqrt", US_G2("Add", var, eps)));
    n.xhat = US_G2("Mul", US_G2("Sub", n.x, mean), n.inv);
    if (us_g_wants(k, 1)) k->dx[1] = over_channel(k, US_G2("Mul", n.dy, n.xhat), n.rank, false);
    if (us_g_wants(k, 2)) k->dx[2] = over_channel(k, n.dy, n.rank, false);
    if (training) {
        batch_norm_training(k, &n, count);
    } else {
        batch_norm_fixed(k, &n);
    }
    return US_OK;
}
