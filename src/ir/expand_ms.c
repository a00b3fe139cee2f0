/* ir/expand_ms.c - what fused and quantised operators of com.microsoft are made of: the plain ones, and what was fused on. */
#include "ir/op_util.h"
#include "ir/params_ms.h"

/* --- Gemm and Conv with an activation -------------------------------------------------------------- */

/* z through the activation with up to two numbers; NULL-terminated rows of what may stand there. */
static const struct {
    const char *name;
    int n; /* numbers it takes, by these names */
    const char *a, *b;
} activations[] = {{"Relu", 0, NULL, NULL},
                   {"Tanh", 0, NULL, NULL},
                   {"Sigmoid", 0, NULL, NULL},
                   {"Softplus", 0, NULL, NULL},
                   {"Softsign", 0, NULL, NULL},
                   {"Gelu", 0, NULL, NULL},
                   {"LeakyRelu", 1, "alpha", NULL},
                   {"Elu", 1, "alpha", NULL},
                   {"ThresholdedRelu", 1, "alpha", NULL},
                   {"HardSigmoid", 2, "alpha", "beta"}};

static us_err add_activation(us_ctx *c, const us_graph *g, us_nid n, us_expand_buf *b,
                             us_sv name, const double par[2])
{
    if (name.n == 0) {
        us_expand_add(b, "y = Identity(z)");
        return US_OK;
    }
    if (us_sv_is(name, "Clip")) {
        us_expand_add(b, "y = Clip(z, %.9g, %.9g)", par[0], par[1]);
        return US_OK;
    }
    for (size_t i = 0; i < US_LEN(activations); i++) {
        if (!us_sv_is(name, activations[i].name)) continue;
        us_expand_add(b, "y = %s", activations[i].name);
        if (activations[i].n) us_expand_add(b, "<%s=%.9g", activations[i].a, par[0]);
        if (activations[i].n > 1) us_expand_add(b, ",%s=%.9g", activations[i].b, par[1]);
        us_expand_add(b, "%s(z)", activations[i].n ? ">" : "");
        return US_OK;
    }
    return us_expand_refuse(c, g, n, "its activation is not known");
}

us_err ms_fused_gemm_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ms_fused_gemm *p = g->nodes.at[n].params;
    const double par[2] = {(double)p->activation_alpha, (double)p->activation_beta};
    us_expand_buf b = {.n = 0};
    us_expand_add(
        &b, "z = Gemm<alpha=$alpha,beta=$beta,transA=$transA,transB=$transB>(x0, x1, x2);");
    US_TRY(add_activation(c, g, n, &b, p->activation, par));
    return us_expand_buffer(c, m, g, n, &b);
}

us_err ms_fused_conv_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ms_fused_conv *p = g->nodes.at[n].params;
    double par[2] = {0, 0};
    us_expand_buf b = {.n = 0};
    for (size_t i = 0; i < p->activation_params.n && i < US_LEN(par); i++)
        par[i] = (double)p->activation_params.p[i];
    us_expand_add(&b,
                  "z = Conv<auto_pad=$auto_pad,dilations=[$dilations],group=$group,"
                  "kernel_shape=[$kernel_shape],pads=[$pads],strides=[$strides]>(x0, x1, x2);");
    if (us_expand_has(g, n, 3)) us_expand_add(&b, "z = Add(z, x3);");
    US_TRY(add_activation(c, g, n, &b, p->activation, par));
    return us_expand_buffer(c, m, g, n, &b);
}

/* --- through float and back ------------------------------------------------------------------------ */

/* Input i with its scale and zero point behind it, as float called `name`. */
static void add_float(us_expand_buf *b, const us_graph *g, us_nid n, size_t i, char name)
{
    us_expand_add(b, "%c = DequantizeLinear(x%zu, Reshape(x%zu, [])", name, i, i + 1);
    if (us_expand_has(g, n, i + 2)) us_expand_add(b, ", Reshape(x%zu, [])", i + 2);
    us_expand_add(b, ");");
}

/* z to the input's type by the scale and zero point in inputs i and i + 1. */
static us_err finish(us_ctx *c, us_model *m, us_graph *g, us_nid n, us_expand_buf *b, size_t i)
{
    if (us_expand_has(g, n, i + 1))
        us_expand_add(b, "y = QuantizeLinear(z, Reshape(x%zu, []), Reshape(x%zu, []))", i,
                      i + 1);
    else
        us_expand_add(b, "y = QuantizeLinear<output_dtype=@x0>(z, Reshape(x%zu, []))", i);
    return us_expand_buffer(c, m, g, n, b);
}

static us_err of_two(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *op)
{
    us_expand_buf b = {.n = 0};
    add_float(&b, g, n, 0, 'a');
    add_float(&b, g, n, 3, 'b');
    us_expand_add(&b, "z = %s(a, b);", op);
    return finish(c, m, g, n, &b, 6);
}

us_err ms_qlinear_add_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return of_two(c, m, g, n, "Add");
}
us_err ms_qlinear_mul_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return of_two(c, m, g, n, "Mul");
}

static us_err of_one(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text)
{
    us_expand_buf b = {.n = 0};
    add_float(&b, g, n, 0, 'a');
    us_expand_add(&b, "%s", text);
    return finish(c, m, g, n, &b, 3);
}

us_err ms_qlinear_sigmoid_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return of_one(c, m, g, n, "z = Sigmoid(a);");
}
us_err ms_qlinear_leaky_relu_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return of_one(c, m, g, n, "z = LeakyRelu<alpha=$alpha>(a);");
}

/* Before opset 13 the axes from `axis` on were one. */
us_err ms_qlinear_softmax_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ms_qlinear_softmax *p = g->nodes.at[n].params;
    return of_one(c, m, g, n,
                  p->opset < 13
                      ? "z = Reshape<allowzero=1>(Softmax<axis=1>(Flatten<axis=$axis>(a)),"
                        " Shape(x0));"
                      : "z = Softmax<axis=$axis>(a);");
}

static us_err of_pool(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text)
{
    const us_p_ms_qlinear_pool *p = g->nodes.at[n].params;
    if (p->channels_last) return us_expand_refuse(c, g, n, "channels come last");
    return of_one(c, m, g, n, text);
}

us_err ms_qlinear_average_pool_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return of_pool(
        c, m, g, n,
        "z = AveragePool<auto_pad=$auto_pad,ceil_mode=$ceil_mode,"
        "count_include_pad=$count_include_pad,kernel_shape=[$kernel_shape],pads=[$pads],"
        "strides=[$strides]>(a);");
}
/* The sum is exact and is scaled and rounded once. */
us_err ms_qlinear_global_average_pool_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ms_qlinear_pool *p = g->nodes.at[n].params;
    int rank = us_expand_rank(g, n, 0);
    us_expand_buf b = {.n = 0};
    if (p->channels_last) return us_expand_refuse(c, g, n, "channels come last");
    if (rank < 2) return us_expand_refuse(c, g, n, "the rank of its input is not known");
    if (rank == 2) /* nothing to sum over: an average of one */
        us_expand_add(&b, "k = 1@1; a = Cast<to=7>(x0);");
    else
        us_expand_add(&b,
                      "k = Cast<to=1>(ReduceProd<keepdims=0>(Shape<start=2>(x0)));"
                      "a = ReduceSum(Cast<to=7>(x0), %s);",
                      us_expand_axes_text(2, rank).text);
    if (us_expand_has(g, n, 2))
        us_expand_add(&b, "a = Sub(a, Cast<to=7>(Mul(k, Cast<to=1>(Reshape(x2, [])))));");
    us_expand_add(&b, "f = Mul(Cast<to=1>(a), Div(Reshape(x1, []), Mul(Reshape(x3, []), k)));");
    if (us_expand_has(g, n, 4))
        us_expand_add(&b, "y = QuantizeLinear(f, 1@1, Reshape(x4, []))");
    else
        us_expand_add(&b, "y = QuantizeLinear<output_dtype=@x0>(f, 1@1)");
    return us_expand_buffer(c, m, g, n, &b);
}
