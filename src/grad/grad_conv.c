/* grad/grad_conv.c - gradients of convolution and pooling, for any number of spatial dimensions.
 *
 * With y[n,m,o] = sum_{c,j} x[n,c, o s + j d - p] w[m,c,j]:
 *   dx is a convolution of dy, spread out by the stride with zeros, with w turned round and its channels exchanged;
 *   dw is a convolution of x with dy in which batch and channels exchange places, and stride and dilation as well.
 * Both use only Conv and movements, so whatever runs the forward pass runs the backward pass. Pooling: the average
 * is a convolution with equal weights; the maximum sends its gradient to the index it came from.
 * Source: Dumoulin, Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, chapter 4.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

#define MAX_SPATIAL 4 /* more than anybody has; spreading needs 2 + 2 * spatial dimensions */

typedef struct window {
    int n; /* spatial dimensions */
    int64_t in[MAX_SPATIAL], out[MAX_SPATIAL], kernel[MAX_SPATIAL];
    int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL], before[MAX_SPATIAL], after[MAX_SPATIAL];
} window;

/* SAME_UPPER and SAME_LOWER: what makes the output ceil(in / stride). */
static void same_pads(window *w, int i, bool lower)
{
    int64_t need =
        (w->out[i] - 1) * w->stride[i] + w->dilation[i] * (w->kernel[i] - 1) + 1 - w->in[i];
    if (need < 0) need = 0;
    w->before[i] = lower ? need - need / 2 : need / 2;
    w->after[i] = need - w->before[i];
}

#define MOST ((int64_t)1 << 31) /* of a size or a step: products of two fit */

static bool fits(int64_t v, int64_t least)
{
    return v >= least && v <= MOST;
}

static us_err window_of(us_grad *k, us_ints kernel, window *w)
{
    us_vid x = us_gx(k, 0), y = us_gy(k, 0);
    us_ints strides = us_g_ints(k, "strides"), dil = us_g_ints(k, "dilations"),
            pads = us_g_ints(k, "pads");
    us_sv automatic = us_g_str(k, "auto_pad");
    bool same = us_sv_starts(automatic, "SAME");
    *w = (window){.n = us_g_rank(k, x) - 2};
    if (w->n < 1 || w->n > MAX_SPATIAL)
        return us_g_fail(k, "1 to 4 spatial dimensions are supported");
    for (int i = 0; i < w->n; i++) {
        size_t u = (size_t)i;
        w->in[i] = us_g_dim(k, x, i + 2);
        w->out[i] = us_g_dim(k, y, i + 2);
        w->kernel[i] = u < kernel.n ? kernel.p[u] : -1;
        w->stride[i] = u < strides.n ? strides.p[u] : 1;
        w->dilation[i] = u < dil.n ? dil.p[u] : 1;
        bool given = pads.n == 2 * (size_t)w->n && !same && !us_sv_is(automatic, "VALID");
        w->before[i] = given ? pads.p[u] : 0;
        w->after[i] = given ? pads.p[u + (size_t)w->n] : 0;
        if (w->in[i] < 0 || w->out[i] < 0 || w->kernel[i] < 1)
            return us_g_fail(k, "spatial sizes must be known when the gradient is built");
        if (!fits(w->in[i], 0) || !fits(w->out[i], 0) || !fits(w->kernel[i], 1) ||
            !fits(w->stride[i], 1) || !fits(w->dilation[i], 1) || !fits(w->before[i], -MOST) ||
            !fits(w->after[i], -MOST))
            return us_g_fail(k, "sizes, strides, dilations or pads are out of range");
        if (same) same_pads(w, i, us_sv_is(automatic, "SAME_LOWER"));
    }
    return US_OK;
}

static void window_attrs(us_grad *k, const window *w, const int64_t *stride,
                         const int64_t *dilation, const int64_t *before, const int64_t *after)
{
    int64_t pads[2 * MAX_SPATIAL];
    for (int i = 0; i < w->n; i++) {
        pads[i] = before ? before[i] : 0;
        pads[i + w->n] = after ? after[i] : 0;
    }
    if (stride) us_b_ints(k->b, "strides", (size_t)w->n, stride);
    if (dilation) us_b_ints(k->b, "dilations", (size_t)w->n, dilation);
    us_b_ints(k->b, "pads", 2 * (size_t)w->n, pads);
}

/* v [N, C, out..] with stride - 1 zeros after each element: [N, C, (out * stride)..]. channels >= 1. */
static us_vid spread(us_grad *k, us_vid v, const window *w, int64_t channels)
{
    int rank = 2 + 2 * w->n;
    int64_t wide[US_MAX_RANK], pads[2 * US_MAX_RANK] = {0}, flat[US_MAX_RANK];
    bool any = false;
    wide[0] = flat[0] = -1;
    wide[1] = flat[1] = channels;
    for (int i = 0; i < w->n; i++) {
        wide[2 + 2 * i] = w->out[i];
        wide[3 + 2 * i] = 1;
        pads[rank + 3 + 2 * i] = w->stride[i] - 1;
        flat[2 + i] = w->out[i] * w->stride[i];
        any = any || w->stride[i] > 1;
    }
    if (!any) return v;
    us_vid padded = us_g_pad(k, us_g_reshape(k, v, (size_t)rank, wide), rank, pads);
    return us_g_reshape(k, padded, (size_t)(2 + w->n), flat);
}

/* Weights [M, C/g, kernel..] -> [C, M/g, kernel reversed..]. */
static us_vid turned(us_grad *k, us_vid weights, const window *w, int64_t m, int64_t cg,
                     int64_t g)
{
    int64_t axes[MAX_SPATIAL], first[MAX_SPATIAL], last[MAX_SPATIAL], step[MAX_SPATIAL];
    int64_t split[US_MAX_RANK] = {g, m / g, cg}, perm[US_MAX_RANK] = {0, 2, 1};
    int64_t flat[US_MAX_RANK] = {g * cg, m / g};
    for (int i = 0; i < w->n; i++) {
        axes[i] = 2 + i;
        first[i] = -1;
        last[i] = INT64_MIN + 1;
        step[i] = -1;
        split[3 + i] = flat[2 + i] = w->kernel[i];
        perm[3 + i] = 3 + i;
    }
    us_vid r = us_g_slice(k, weights, (size_t)w->n, axes, first, last, step);
    r = us_g_reshape(k, r, (size_t)(3 + w->n), split);
    r = us_g_transpose(k, r, 3 + w->n, perm);
    return us_g_reshape(k, r, (size_t)(2 + w->n), flat);
}

/* The gradient with respect to x: conv(spread dy, turned weights); pads may be negative, so they are a Pad of their own. */
static us_vid conv_dx(us_grad *k, us_vid dy, us_vid weights, const window *w, int64_t m,
                      int64_t cg, int64_t g)
{
    int64_t pads[2 * US_MAX_RANK] = {0};
    for (int i = 0; i < w->n; i++) {
        int64_t reach = w->dilation[i] * (w->kernel[i] - 1);
        pads[2 + i] = reach - w->before[i];
        pads[2 + w->n + 2 + i] = w->in[i] + reach - w->out[i] * w->stride[i] - pads[2 + i];
    }
    us_vid d = us_g_pad(k, spread(k, dy, w, m), 2 + w->n, pads);
    us_vid dx = US_G2("Conv", d, turned(k, weights, w, m, cg, g));
    if (g != 1) us_b_int(k->b, "group", g);
    window_attrs(k, w, NULL, w->dilation, NULL, NULL);
    return dx;
}

/* The gradient with respect to the weights: batch as channels, channels as batch, stride and dilation exchanged. */
static us_vid conv_dw(us_grad *k, us_vid x, us_vid dy, const window *w, int64_t m, int64_t cg,
                      int64_t g)
{
    int s = w->n;
    int64_t xs[US_MAX_RANK] = {-1, g, cg}, xp[US_MAX_RANK] = {2, 1, 0},
            xf[US_MAX_RANK] = {cg, -1};
    int64_t ys[US_MAX_RANK] = {-1, g, m / g}, yp[US_MAX_RANK] = {1, 2, 0},
            yf[US_MAX_RANK] = {m, -1};
    int64_t back[US_MAX_RANK] = {1, 0};
    int64_t axes[MAX_SPATIAL], from[MAX_SPATIAL];
    for (int i = 0; i < s; i++) {
        xs[3 + i] = xf[2 + i] = w->in[i];
        ys[3 + i] = yf[2 + i] = w->out[i];
        xp[3 + i] = yp[3 + i] = 3 + i;
        back[2 + i] = 2 + i;
        axes[i] = 2 + i;
        from[i] = 0;
    }
    us_vid xt = us_g_transpose(k, us_g_reshape(k, x, (size_t)(3 + s), xs), 3 + s, xp);
    us_vid yt = us_g_transpose(k, us_g_reshape(k, dy, (size_t)(3 + s), ys), 3 + s, yp);
    xt = us_g_reshape(k, xt, (size_t)(2 + s), xf); /* [C/g, g N, in..] */
    yt = us_g_reshape(k, yt, (size_t)(2 + s), yf); /* [M, N, out..] */
    us_vid dw = US_G2("Conv", xt, yt);             /* [C/g, M, at least kernel..] */
    if (g != 1) us_b_int(k->b, "group", g);
    window_attrs(k, w, w->dilation, w->stride, w->before, w->after);
    dw = us_g_slice(k, dw, (size_t)s, axes, from, w->kernel, NULL);
    return us_g_transpose(k, dw, 2 + s, back);
}

us_err conv_grad(us_grad *k)
{
    us_vid x = us_gx(k, 0), weights = us_gx(k, 1), dy = k->dy[0];
    int64_t sizes[MAX_SPATIAL];
    int rank = us_g_rank(k, weights);
    if (rank < 3 || rank > 2 + MAX_SPATIAL)
        return us_g_fail(k, "1 to 4 spatial dimensions are supported");
    for (int i = 2; i < rank; i++)
        sizes[i - 2] = us_g_dim(k, weights, i);
    window w;
    US_TRY(window_of(k, (us_ints){sizes, (size_t)(rank - 2)}, &w));
    int64_t g = us_g_int(k, "group", 1), m = us_g_dim(k, weights, 0),
            cg = us_g_dim(k, weights, 1);
    if (m < 1 || cg < 1) return us_g_fail(k, "the weights' size is not known");
    if (g < 1 || m % g || !fits(g, 1) || !fits(cg, 1))
        return us_g_fail(k, "the groups do not fit the weights");
    if (us_g_wants(k, 0)) k->dx[0] = conv_dx(k, dy, weights, &w, m, cg, g);
    if (us_g_wants(k, 1)) k->dx[1] = conv_dw(k, x, dy, &w, m, cg, g);
    if (us_g_wants(k, 2)) {
        int64_t axes[US_MAX_RANK] = {0};
        for (int i = 0; i < w.n; i++)
            axes[1 + i] = 2 + i;
        k->dx[2] = us_g_reduce_sum(k, dy, (size_t)(1 + w.n), axes, false);
    }
    return US_OK;
}

/* 1 / (elements under the window) per output position along one axis. */
static void counts_along(const window *w, int axis, bool with_pads, double *count)
{
    for (int64_t o = 0; o < w->out[axis]; o++) {
        int64_t n = 0, lo = with_pads ? -w->before[axis] : 0;
        int64_t hi = with_pads ? w->in[axis] + w->after[axis] : w->in[axis];
        for (int64_t j = 0; j < w->kernel[axis]; j++) {
            int64_t at = o * w->stride[axis] + j * w->dilation[axis] - w->before[axis];
            if (at >= lo && at < hi) n++;
        }
        count[o] = n ? 1 / (double)n : 0;
    }
}

#define MAX_POOL_OUT 4096 /* output positions along one axis */

static us_err divide_by_counts(us_grad *k, us_vid *d, const window *w)
{
    bool with_pads = us_g_int(k, "count_include_pad", 0) != 0;
    us_dtype t = us_g_dtype(k, us_gx(k, 0));
    for (int i = 0; i < w->n; i++) {
        if (w->out[i] > MAX_POOL_OUT)
            return us_g_fail(k, "at most 4096 output positions along an axis");
        double count[MAX_POOL_OUT], room[MAX_POOL_OUT];
        int64_t dims[US_MAX_RANK];
        for (int j = 0; j < w->n; j++)
            dims[j] = j == i ? w->out[i] : 1;
        counts_along(w, i, with_pads, count);
        us_dtype_get(t)->from_f64(room, 0, (size_t)w->out[i], count);
        *d = US_G2("Mul", *d, us_b_const(k->b, NULL, t, w->n, dims, room));
    }
    return US_OK;
}

/* Every channel alone: [N, C, ..] -> [N C, 1, ..], a convolution's dx with weights 1, and back. */
us_err average_pool_grad(us_grad *k)
{
    window w;
    us_ints kernel = us_g_ints(k, "kernel_shape");
    US_TRY(window_of(k, kernel, &w));
    us_vid d = k->dy[0];
    US_TRY(divide_by_counts(k, &d, &w));
    int64_t single[US_MAX_RANK] = {-1, 1}, ones[US_MAX_RANK] = {1, 1};
    for (int i = 0; i < w.n; i++) {
        single[2 + i] = w.out[i];
        ones[2 + i] = w.kernel[i];
    }
    us_vid weights = us_b2(k->b, "Expand", us_g_num(k, us_gx(k, 0), 1),
                           us_b_i64s(k->b, (size_t)(2 + w.n), ones));
    d = conv_dx(k, us_g_reshape(k, d, (size_t)(2 + w.n), single), weights, &w, 1, 1, 1);
    k->dx[0] = us_g_reshape_like(k, d, us_gx(k, 0));
    return US_OK;
}

/* A second MaxPool gives the indices into the whole of x; dy is added there. */
us_err max_pool_grad(us_grad *k)
{
    if (us_g_int(k, "storage_order", 0)) return us_g_fail(k, "column-major indices");
    us_vid x = us_gx(k, 0), pair[2];
    us_node *n = &k->g->nodes.at[k->n];
    us_attr *attrs = n->attrs;
    uint32_t n_attrs = n->n_attrs;
    us_b_node(k->b, "", "MaxPool", 1, &x, 2, pair);
    for (uint32_t i = 0; i < n_attrs && k->b->err == US_OK; i++)
        US_TRY(us_node_set_attr(k->c, k->g, k->b->last, &attrs[i]));
    us_vid flat = us_b_i64s(k->b, 1, (int64_t[]){-1});
    us_vid size = us_b2(k->b, "Reshape", US_G1("Size", x), us_b_i64s(k->b, 1, (int64_t[]){1}));
    us_vid zeros = US_G2("Expand", us_g_num(k, x, 0), size);
    us_vid at = US_G2("Reshape", pair[1], flat), d = US_G2("Reshape", k->dy[0], flat);
    us_vid sum = us_b3(k->b, "ScatterElements", zeros, at, d);
    us_b_int(k->b, "axis", 0);
    us_b_str(k->b, "reduction", "add");
    k->dx[0] = us_g_reshape_like(k, sum, x);
    return US_OK;
}
