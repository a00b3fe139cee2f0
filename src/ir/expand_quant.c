/* ir/expand_quant.c - what quantised products are made of: integer products, and one rounding to the output's scale. */
#include "ir/op_util.h"

/* The integers themselves, less their zero point (input iz; `spread`: the axes it gets behind it). */
static us_err add_centred(us_ctx *c, const us_graph *g, us_nid n, us_expand_buf *b, char name,
                          size_t i, size_t iz, const char *spread, us_dtype t)
{
    int rank = us_expand_rank(g, n, iz);
    us_expand_add(b, "%c = Cast<to=%d>(x%zu);", name, (int)t, i);
    if (!us_expand_has(g, n, iz)) return US_OK;
    if (rank < 0) return us_expand_refuse(c, g, n, "the rank of a zero point is not known");
    bool one = rank == 1 && spread;
    us_expand_add(b, "%c = Sub(%c, Cast<to=%d>(%sx%zu%s%s%s));", name, name, (int)t,
                  one ? "Unsqueeze(" : "", iz, one ? ", " : "", one ? spread : "",
                  one ? ")" : "");
    return US_OK;
}

us_err matmul_integer_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    US_TRY(add_centred(c, g, n, &b, 'a', 0, 2, us_expand_rank(g, n, 0) > 1 ? "[1]" : NULL,
                       US_I32));
    US_TRY(add_centred(c, g, n, &b, 'b', 1, 3, NULL, US_I32));
    us_expand_add(&b, "y = MatMul(a, b)");
    return us_expand_buffer(c, m, g, n, &b);
}

#define CONV                                                                                   \
    "<auto_pad=$auto_pad,dilations=[$dilations],group=$group,kernel_shape=[$kernel_shape],"    \
    "pads=[$pads],strides=[$strides]>"

/* In double every product and every sum a convolution can have is exact. */
us_err conv_integer_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    int rank = us_expand_rank(g, n, 1);
    if (rank < 3) return us_expand_refuse(c, g, n, "the rank of its weight is not known");
    US_TRY(add_centred(c, g, n, &b, 'a', 0, 2, NULL, US_F64));
    US_TRY(add_centred(c, g, n, &b, 'b', 1, 3, us_expand_axes_text(1, rank).text, US_F64));
    us_expand_add(&b, "y = Cast<to=6>(Conv" CONV "(a, b))");
    return us_expand_buffer(c, m, g, n, &b);
}

/* The output's scale and zero point: one number each. */
static us_err check_output(us_ctx *c, const us_graph *g, us_nid n, size_t i)
{
    for (size_t k = i; k < i + 2; k++) {
        int rank = us_expand_rank(g, n, k);
        if (rank != 0 && !(rank == 1 && us_expand_dim(g, n, k, 0) == 1))
            return us_expand_refuse(c, g, n,
                                    "the output's scale is not known to be one number");
    }
    if (us_dtype_get(us_expand_dtype(g, n, 0))->cls == US_DC_FLOAT)
        return us_expand_refuse(c, g, n, "its numbers are no integers");
    return US_OK;
}

us_err qlinear_matmul_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    US_TRY(check_output(c, g, n, 6));
    bool rows = us_expand_rank(g, n, 1) == 1 && us_expand_rank(g, n, 0) > 1;
    return us_expand_fmt(
        c, m, g, n,
        "p = Cast<to=1>(MatMulInteger(x0, x3, x2, x5));"
        "s = Mul(Cast<to=1>(%s), Cast<to=1>(x4));"
        "y = QuantizeLinear(Mul(p, s), Cast<to=1>(Reshape(x6, [])), Reshape(x7, []))",
        rows ? "Unsqueeze(x1, [1])" : "x1");
}

us_err qlinear_conv_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    US_TRY(check_output(c, g, n, 6));
    int rank = us_expand_rank(g, n, 3);
    if (rank < 3 || us_expand_rank(g, n, 4) < 0)
        return us_expand_refuse(c, g, n, "the rank of its weight is not known");
    us_axes_text axes = us_expand_axes_text(1, rank - 1);
    us_expand_buf b = {.n = 0};
    us_expand_add(&b, "p = ConvInteger" CONV "(x0, x3, x2, x5);");
    if (us_expand_has(g, n, 8)) us_expand_add(&b, "p = Add(p, Unsqueeze(x8, %s));", axes.text);
    if (us_expand_rank(g, n, 4))
        us_expand_add(&b, "w = Cast<to=1>(Unsqueeze(x4, %s));", axes.text);
    else
        us_expand_add(&b, "w = Cast<to=1>(x4);");
    us_expand_add(&b,
                  "y = QuantizeLinear(Mul(Cast<to=1>(p), Mul(Cast<to=1>(Reshape(x1, [])), w)),"
                  " Cast<to=1>(Reshape(x6, [])), Reshape(x7, []))");
    return us_expand_buffer(c, m, g, n, &b);
}

/* The range, widened to hold 0, onto 0..255. Source: the operator's definition as a function. */
US_EXPAND(dynamic_quantize_linear,
          "lo = Min(ReduceMin<keepdims=0>(x0), 0); hi = Max(ReduceMax<keepdims=0>(x0), 0);"
          "s = Where(Equal(lo, hi), 1, Div(Sub(hi, lo), 255));"
          "z = Cast<to=2>(Round(Clip(Div(Sub(0, lo), s), 0, 255)));"
          "y = QuantizeLinear(x0, s, z); y1 = s; y2 = z")
