/* ir/expand_norm.c - what normalisations and norms over windows are made of.
 *
 * Half precision is worked out in float and rounded once at the end, as the kernels do: sums of squares overflow in float16,
 * and the small terms that keep divisions away from zero vanish.
 */
#include "ir/op_util.h"
#include "ir/op_window.h"

#include <stdio.h>

/* v is the input in the type to work in; open and close go round the result. */
typedef struct wide {
    const char *head, *open, *close;
} wide;

static wide wide_of(const us_graph *g, us_nid n)
{
    if (us_is_half(us_expand_dtype(g, n, 0)))
        return (wide){"@1 v = Cast<to=1>(x0);", "Cast<to=@x0>(", ")"};
    return (wide){"v = x0;", "", ""};
}

/* Input i in that type, under the name of a letter. */
static void name_input(us_expand_buf *b, const us_graph *g, us_nid n, size_t i, char name)
{
    us_dtype t = us_expand_dtype(g, n, 0);
    if (us_is_half(t)) t = US_F32;
    if (us_expand_dtype(g, n, i) == t)
        us_expand_add(b, "%c = x%zu;", name, i);
    else
        us_expand_add(b, "%c = Cast<to=%d>(x%zu);", name, (int)t, i);
}

/* All axes but that of the channels. */
static us_axes_text not_channels(int rank)
{
    us_axes_text s;
    size_t at = (size_t)snprintf(s.text, sizeof s.text, "[0");
    for (int i = 2; i < rank; i++)
        at += (size_t)snprintf(s.text + at, sizeof s.text - at, ",%d", i);
    (void)snprintf(s.text + at, sizeof s.text - at, "]");
    return s;
}

us_err batch_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_batch_normalization *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0);
    if (rank < 2) return us_expand_refuse(c, g, n, "the rank of its input is not known");
    wide w = wide_of(g, n);
    us_expand_buf b = {.n = 0};
    us_axes_text axes = not_channels(rank), spread = us_expand_axes_text(1, rank - 1);
    us_expand_add(&b, "%s", w.head);
    name_input(&b, g, n, 1, 's');
    name_input(&b, g, n, 2, 'b');
    name_input(&b, g, n, 3, 'e');
    name_input(&b, g, n, 4, 'q');
    if (p->training_mode)
        us_expand_add(&b,
                      "mean = ReduceMean<keepdims=1>(v, %s); d = Sub(v, mean);"
                      "var = ReduceMean<keepdims=1>(Mul(d, d), %s);"
                      "y1 = Cast<to=@x3>(Add(Mul(e, $momentum), Mul(Reshape(mean, [-1]), "
                      "Sub(1, $momentum))));"
                      "y2 = Cast<to=@x3>(Add(Mul(q, $momentum), Mul(Reshape(var, [-1]), Sub(1, "
                      "$momentum))));",
                      axes.text, axes.text);
    else
        us_expand_add(&b, "d = Sub(v, Unsqueeze(e, %s)); var = Unsqueeze(q, %s);", spread.text,
                      spread.text);
    us_expand_add(&b,
                  "a = Div(Unsqueeze(s, %s), Sqrt(Add(var, $epsilon)));"
                  "y = %sAdd(Mul(d, a), Unsqueeze(b, %s))%s",
                  spread.text, w.open, spread.text, w.close);
    return us_expand_buffer(c, m, g, n, &b);
}

/* Product of dimensions `from` and on of input 0 as text for a vector of one element, divided by `by`. */
static us_dim_text product_text(const us_graph *g, us_nid n, int from, int64_t by)
{
    us_dim_text s;
    int64_t all = 1;
    int rank = us_expand_rank(g, n, 0);
    for (int i = from; i < rank && all >= 0; i++) {
        int64_t d = us_expand_dim(g, n, 0, i);
        all = d < 0 || (d && all > INT64_MAX / d) ? -1 : all * d;
    }
    if (all >= 0)
        (void)snprintf(s.text, sizeof s.text, "[%lld]", (long long)(all / by));
    else
        (void)snprintf(s.text, sizeof s.text, "Div(ReduceProd(Shape<start=%d>(x0)), [%lld])",
                       from, (long long)by);
    return s;
}

/* [N, G, the rest]: each group one row to be normalised. */
us_err group_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_group_normalization *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0);
    if (rank < 2 || p->num_groups < 1 || p->num_groups > INT32_MAX)
        return us_expand_refuse(c, g, n, "the rank of its input is not known, or no groups");
    wide w = wide_of(g, n);
    us_expand_buf b = {.n = 0};
    us_axes_text spread = us_expand_axes_text(1, rank - 1);
    us_expand_add(&b, "%s", w.head);
    name_input(&b, g, n, 1, 's');
    name_input(&b, g, n, 2, 'b');
    us_expand_add(&b,
                  "r = Reshape<allowzero=1>(v, Concat<axis=0>(%s, [$num_groups], %s));"
                  "d = Sub(r, ReduceMean<keepdims=1>(r, [2]));"
                  "var = ReduceMean<keepdims=1>(Mul(d, d), [2]);"
                  "z = Reshape<allowzero=1>(Div(d, Sqrt(Add(var, $epsilon))), Shape(x0));"
                  "y = %sAdd(Mul(z, Unsqueeze(s, %s)), Unsqueeze(b, %s))%s",
                  us_expand_dim_text(g, n, 0, 0).text,
                  product_text(g, n, 1, p->num_groups).text, w.open, spread.text, spread.text,
                  w.close);
    return us_expand_buffer(c, m, g, n, &b);
}

/* What has the norm 0 is all zeros and stays so. */
us_err lp_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_lp_normalization *p = g->nodes.at[n].params;
    wide w = wide_of(g, n);
    if (p->p != 1 && p->p != 2) return us_expand_refuse(c, g, n, "p is neither 1 nor 2");
    return us_expand_fmt(
        c, m, g, n,
        "%s s = ReduceL%d<keepdims=1>(v, [$axis]); y = %sDiv(v, Where(Equal(s, 0), 1, s))%s",
        w.head, (int)p->p, w.open, w.close);
}

us_err mean_variance_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_mean_variance_normalization *p = g->nodes.at[n].params;
    wide w = wide_of(g, n);
    const char *axes = p->axes.n ? "$axes" : "[0,2,3]";
    return us_expand_fmt(c, m, g, n,
                         "%s d = Sub(v, ReduceMean<keepdims=1>(v, %s));"
                         "s = Sqrt(ReduceMean<keepdims=1>(Mul(d, d), %s));"
                         "y = %sDiv(d, Add(s, 1e-9))%s",
                         w.head, axes, axes, w.open, w.close);
}

/* The mean of squares over a window of channels, seen as an image [C, the rest]: alpha / size times the sum. */
us_err lrn_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_lrn *p = g->nodes.at[n].params;
    wide w = wide_of(g, n);
    if (us_expand_rank(g, n, 0) < 2 || p->size < 1)
        return us_expand_refuse(c, g, n, "the rank of its input is not known");
    return us_expand_fmt(
        c, m, g, n,
        "%s q = Reshape<allowzero=1>(Mul(v, v), Concat<axis=0>(%s, [1], %s, %s));"
        "a = AveragePool<kernel_shape=[$size,1],pads=[%lld,0,%lld,0],count_include_pad=1>(q);"
        "z = Reshape<allowzero=1>(a, Shape(x0));"
        "y = %sDiv(v, Pow(Add(Mul(z, $alpha), $bias), $beta))%s",
        w.head, us_expand_dim_text(g, n, 0, 0).text, us_expand_dim_text(g, n, 0, 1).text,
        product_text(g, n, 2, 1).text, (long long)((p->size - 1) / 2), (long long)(p->size / 2),
        w.open, w.close);
}

/* --- norms over windows -------------------------------------------------------------------------------- */

static const char *power(int64_t p)
{
    return p == 1 ? "Abs(v)" : p == 2 ? "Mul(v, v)" : "Pow(Abs(v), $p)";
}

static const char *root(int64_t p)
{
    return p == 1 ? "r = s;" : p == 2 ? "r = Sqrt(s);" : "r = Pow(s, Div(1, $p));";
}

static void add_list(us_expand_buf *b, const char *name, us_ints v)
{
    us_expand_add(b, ",%s=[", name);
    for (size_t i = 0; i < v.n; i++)
        us_expand_add(b, "%s%lld", i ? "," : "", (long long)v.p[i]);
    us_expand_add(b, "]");
}

/* Padding, written out, under which windows laid without rounding up are those of the node: begins, then ends. */
static us_err explicit_pads(us_ctx *c, const us_graph *g, us_nid n, const us_p_lp_pool *p,
                            int64_t *pads)
{
    int space = us_expand_rank(g, n, 0) - 2;
    int64_t in[US_MAX_RANK];
    us_window w;
    if (space < 1) return us_expand_refuse(c, g, n, "the rank of its input is not known");
    bool plain = !p->ceil_mode && (p->auto_pad.n == 0 || us_sv_is(p->auto_pad, "NOTSET"));
    for (int i = 0; i < space; i++) {
        in[i] = us_expand_dim(g, n, 0, i + 2);
        if (in[i] < 0 && !plain)
            return us_expand_refuse(c, g, n, "the padding depends on a size that is not known");
    }
    us_window_attrs a = {p->kernel_shape, p->strides,  p->dilations,
                         p->pads,         p->auto_pad, p->ceil_mode != 0};
    const char *why = us_window_set(&w, space, in, &a);
    if (why) return us_expand_refuse(c, g, n, why);
    for (int i = 0; i < space; i++) {
        int64_t span = (w.kernel[i] - 1) * w.dilation[i] + 1;
        pads[i] = w.begin[i];
        pads[space + i] = w.end[i];
        if (in[i] >= 0)
            pads[space + i] =
                US_MAX((w.out[i] - 1) * w.stride[i] + span - in[i] - w.begin[i], 0);
    }
    return US_OK;
}

/* Zeros of the padding add nothing to a sum of powers; the average over the whole window, times its size, is the sum. */
us_err lp_pool_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_lp_pool *p = g->nodes.at[n].params;
    int64_t pads[2 * US_MAX_RANK], taps = 1;
    us_expand_buf b = {.n = 0};
    wide w = wide_of(g, n);
    if (p->p < 1) return us_expand_refuse(c, g, n, "p is not positive");
    US_TRY(explicit_pads(c, g, n, p, pads));
    for (size_t i = 0; i < p->kernel_shape.n; i++)
        taps *= p->kernel_shape.p[i];
    us_expand_add(&b, "%s a = AveragePool<count_include_pad=1", w.head);
    add_list(&b, "kernel_shape", p->kernel_shape);
    add_list(&b, "strides", p->strides);
    add_list(&b, "dilations", p->dilations);
    add_list(&b, "pads", (us_ints){pads, 2 * p->kernel_shape.n});
    us_expand_add(&b, ">(%s); s = Mul(a, %lld); %s y = %sIdentity(r)%s", power(p->p),
                  (long long)taps, root(p->p), w.open, w.close);
    return us_expand_buffer(c, m, g, n, &b);
}

us_err global_lp_pool_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_global_pool *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0);
    wide w = wide_of(g, n);
    if (rank < 3 || p->p < 1)
        return us_expand_refuse(c, g, n, "the rank of its input is not known");
    return us_expand_fmt(
        c, m, g, n, "%s s = ReduceSum<keepdims=1>(%s, %s); %s y = %sIdentity(r)%s", w.head,
        power(p->p), us_expand_axes_text(2, rank).text, root(p->p), w.open, w.close);
}
