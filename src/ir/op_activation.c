/* ir/op_activation.c - activation functions: composites that the CPU keeps whole.
 *
 * Each has its formula twice: as a loop (kernel/ref.h) for evaluation and as an expression over core operators
 * for whoever knows only those. tests/ir/test_expand.c compares the two.
 */
#include "ir/op_util.h"

static us_upgrade_fn upgrade_slope;

/* clang-format off */
static const us_param hard_sigmoid_in[] = {{"X", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param hard_sigmoid_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row hard_sigmoid_attrs[] = {
    US_AF(us_p_hard_sigmoid, alpha, "alpha", 0.2F), US_AF(us_p_hard_sigmoid, beta, "beta", 0.5F),
    US_AIS(us_p_hard_sigmoid, consumed_inputs, "consumed_inputs"), US_ATTR_END};
static const us_attr_row hard_sigmoid_attrs_6[] = {
    US_AF(us_p_hard_sigmoid, alpha, "alpha", 0.2F), US_AF(us_p_hard_sigmoid, beta, "beta", 0.5F), US_ATTR_END};
const us_schema hard_sigmoid_schemas[] = {
    {1, hard_sigmoid_in, hard_sigmoid_out, hard_sigmoid_attrs, sizeof(us_p_hard_sigmoid), us_upgrade_drop},
    {6, hard_sigmoid_in, hard_sigmoid_out, hard_sigmoid_attrs_6, sizeof(us_p_hard_sigmoid), NULL},
    {22, hard_sigmoid_in, hard_sigmoid_out, hard_sigmoid_attrs_6, sizeof(us_p_hard_sigmoid), NULL},
    {0}};

static const us_attr_row leaky_relu_attrs[] = {
    US_AF(us_p_leaky_relu, alpha, "alpha", 0.01F), US_AIS(us_p_leaky_relu, consumed_inputs, "consumed_inputs"),
    US_ATTR_END};
static const us_attr_row leaky_relu_attrs_6[] = {US_AF(us_p_leaky_relu, alpha, "alpha", 0.01F), US_ATTR_END};
const us_schema leaky_relu_schemas[] = {
    {1, hard_sigmoid_in, hard_sigmoid_out, leaky_relu_attrs, sizeof(us_p_leaky_relu), us_upgrade_drop},
    {6, hard_sigmoid_in, hard_sigmoid_out, leaky_relu_attrs_6, sizeof(us_p_leaky_relu), NULL},
    {16, hard_sigmoid_in, hard_sigmoid_out, leaky_relu_attrs_6, sizeof(us_p_leaky_relu), NULL},
    {0}};

static const us_param prelu_in[] = {
    {"X", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"slope", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
static const us_param prelu_out[] = {
    {"Y", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
static const us_attr_row prelu_attrs[] = {US_AIS(us_p_legacy, consumed_inputs, "consumed_inputs"), US_ATTR_END};
const us_schema prelu_schemas[] = {
    {1, prelu_in, prelu_out, prelu_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, prelu_in, prelu_out, NULL, sizeof(us_p_legacy), upgrade_slope},
    {7, prelu_in, prelu_out, NULL, sizeof(us_p_legacy), NULL},
    {9, prelu_in, prelu_out, NULL, sizeof(us_p_legacy), NULL},
    {16, prelu_in, prelu_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_attr_row elu_attrs[] = {
    US_AF(us_p_elu, alpha, "alpha", 1.0F), US_AIS(us_p_elu, consumed_inputs, "consumed_inputs"), US_ATTR_END};
static const us_attr_row elu_attrs_6[] = {US_AF(us_p_elu, alpha, "alpha", 1.0F), US_ATTR_END};
const us_schema elu_schemas[] = {
    {1, hard_sigmoid_in, hard_sigmoid_out, elu_attrs, sizeof(us_p_elu), us_upgrade_drop},
    {6, hard_sigmoid_in, hard_sigmoid_out, elu_attrs_6, sizeof(us_p_elu), NULL},
    {22, hard_sigmoid_in, hard_sigmoid_out, elu_attrs_6, sizeof(us_p_elu), NULL},
    {0}};

static const us_attr_row selu_attrs[] = {
    US_AF(us_p_selu, alpha, "alpha", 1.6732F), US_AIS(us_p_selu, consumed_inputs, "consumed_inputs"),
    US_AF(us_p_selu, gamma, "gamma", 1.0507F), US_ATTR_END};
static const us_attr_row selu_attrs_6[] = {
    US_AF(us_p_selu, alpha, "alpha", 1.6732632F), US_AF(us_p_selu, gamma, "gamma", 1.050701F), US_ATTR_END};
const us_schema selu_schemas[] = {
    {1, hard_sigmoid_in, hard_sigmoid_out, selu_attrs, sizeof(us_p_selu), us_upgrade_drop},
    {6, hard_sigmoid_in, hard_sigmoid_out, selu_attrs_6, sizeof(us_p_selu), NULL},
    {22, hard_sigmoid_in, hard_sigmoid_out, selu_attrs_6, sizeof(us_p_selu), NULL},
    {0}};

static const us_attr_row celu_attrs[] = {US_AF(us_p_celu, alpha, "alpha", 1.0F), US_ATTR_END};
const us_schema celu_schemas[] = {
    {12, hard_sigmoid_in, hard_sigmoid_out, celu_attrs, sizeof(us_p_celu), NULL},
    {28, hard_sigmoid_in, hard_sigmoid_out, celu_attrs, sizeof(us_p_celu), NULL},
    {0}};

static const us_attr_row thresholded_relu_attrs[] = {US_AF(us_p_thresholded_relu, alpha, "alpha", 1.0F), US_ATTR_END};
const us_schema thresholded_relu_schemas[] = {
    {10, hard_sigmoid_in, hard_sigmoid_out, thresholded_relu_attrs, sizeof(us_p_thresholded_relu), NULL},
    {22, hard_sigmoid_in, hard_sigmoid_out, thresholded_relu_attrs, sizeof(us_p_thresholded_relu), NULL},
    {0}};

const us_schema softplus_schemas[] = {
    {1, hard_sigmoid_in, hard_sigmoid_out, NULL, sizeof(us_p_legacy), NULL},
    {22, hard_sigmoid_in, hard_sigmoid_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param softsign_in[] = {{"input", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param softsign_out[] = {{"output", 'T', US_M_FLOATS, 0}, US_PARAM_END};
const us_schema softsign_schemas[] = {
    {1, softsign_in, softsign_out, NULL, sizeof(us_p_legacy), NULL},
    {22, softsign_in, softsign_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema hard_swish_schemas[] = {
    {14, hard_sigmoid_in, hard_sigmoid_out, NULL, 0, NULL},
    {22, hard_sigmoid_in, hard_sigmoid_out, NULL, 0, NULL},
    {0}};

const us_schema mish_schemas[] = {
    {18, hard_sigmoid_in, hard_sigmoid_out, NULL, 0, NULL},
    {22, hard_sigmoid_in, hard_sigmoid_out, NULL, 0, NULL},
    {0}};

static const us_attr_row gelu_attrs[] = {US_AS(us_p_gelu, approximate, "approximate", "none"), US_ATTR_END};
const us_schema gelu_schemas[] = {
    {20, hard_sigmoid_in, hard_sigmoid_out, gelu_attrs, sizeof(us_p_gelu), NULL},
    {0}};

static const us_attr_row swish_attrs[] = {US_AF(us_p_swish, alpha, "alpha", 1.0F), US_ATTR_END};
const us_schema swish_schemas[] = {
    {24, hard_sigmoid_in, hard_sigmoid_out, swish_attrs, sizeof(us_p_swish), NULL},
    {0}};

static const us_param shrink_in[] = {{"input", 'T', US_M_INTS | US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param shrink_out[] = {{"output", 'T', US_M_INTS | US_M_FLOAT3, 0}, US_PARAM_END};
static const us_attr_row shrink_attrs[] = {
    US_AF(us_p_shrink, bias, "bias", 0.0F), US_AF(us_p_shrink, lambd, "lambd", 0.5F), US_ATTR_END};
const us_schema shrink_schemas[] = {
    {9, shrink_in, shrink_out, shrink_attrs, sizeof(us_p_shrink), NULL},
    {0}};
/* clang-format on */

#define ACTIVATION(fn, id, text)                                                               \
    US_INFER_AS(fn, us_infer_same)                                                             \
    us_err fn##_eval(us_eval *k)                                                               \
    {                                                                                          \
        return us_eval_unary(k, US_UN_##id, NULL, fn##_eval);                                  \
    }                                                                                          \
    US_EXPAND(fn, text)
#define ACTIVATION_P(fn, id, p0, p1, text)                                                     \
    US_INFER_AS(fn, us_infer_same)                                                             \
    us_err fn##_eval(us_eval *k)                                                               \
    {                                                                                          \
        const us_p_##fn *p = k->params;                                                        \
        return us_eval_unary(k, US_UN_##id, (const double[]){(double)(p0), (double)(p1)},      \
                             fn##_eval);                                                       \
    }                                                                                          \
    US_EXPAND(fn, text)

/* The expressions keep NaN: Where's condition is false for NaN, so the branch that computes with x is second. */
ACTIVATION_P(hard_sigmoid, HARD_SIGMOID, p->alpha, p->beta,
             "y = Max(0, Min(1, Add(Mul(x0, $alpha), $beta)))")
ACTIVATION_P(leaky_relu, LEAKY_RELU, p->alpha, 0, "y = Where(Less(x0, 0), Mul(x0, $alpha), x0)")
ACTIVATION_P(elu, ELU, p->alpha, 0,
             "y = Where(Less(x0, 0), Mul($alpha, Sub(Exp(Min(x0, 0)), 1)), x0)")
ACTIVATION_P(selu, SELU, p->alpha, p->gamma,
             "y = Mul($gamma, Where(Greater(x0, 0), x0, Mul($alpha, Sub(Exp(Min(x0, 0)), 1))))")
ACTIVATION_P(celu, CELU, p->alpha, 0,
             "y = Where(Less(x0, 0), Mul($alpha, Sub(Exp(Div(Min(x0, 0), $alpha)), 1)), x0)")
ACTIVATION_P(thresholded_relu, THRESHOLDED_RELU, p->alpha, 0,
             "y = Where(Greater(x0, $alpha), x0, 0)")
ACTIVATION(softplus, SOFTPLUS, "y = Add(Max(x0, 0), Log(Add(Exp(Neg(Abs(x0))), 1)))")
ACTIVATION(softsign, SOFTSIGN, "y = Div(x0, Add(Abs(x0), 1))")
ACTIVATION(hard_swish, HARD_SWISH, "y = Mul(x0, Max(0, Min(1, Add(Mul(x0, 0.16666667), 0.5))))")
ACTIVATION(mish, MISH, "y = Mul(x0, Tanh(Add(Max(x0, 0), Log(Add(Exp(Neg(Abs(x0))), 1)))))")
ACTIVATION_P(swish, SWISH, p->alpha, 0, "y = Mul(x0, Sigmoid(Mul(x0, $alpha)))")
ACTIVATION_P(shrink, SHRINK, p->bias, p->lambd,
             "y = Where(Less(x0, Neg($lambd)), Add(x0, $bias), "
             "Where(Greater(x0, $lambd), Sub(x0, $bias), Mul(x0, 0)))")

US_INFER_AS(gelu, us_infer_same)
us_err gelu_eval(us_eval *k)
{
    const us_p_gelu *p = k->params;
    if (!us_sv_is(p->approximate, "none") && !us_sv_is(p->approximate, "tanh"))
        return us_eval_fail(k, US_ARG, "approximate is '" US_SV_FMT "', expected none or tanh",
                            US_SV_ARG(p->approximate));
    return us_eval_unary(k, us_sv_is(p->approximate, "tanh") ? US_UN_GELU_TANH : US_UN_GELU,
                         NULL, gelu_eval);
}
us_err gelu_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_gelu *p = g->nodes.at[n].params;
    return us_expand_text(
        c, m, g, n,
        us_sv_is(p->approximate, "tanh")
            ? "i = Mul(0.7978845608028654, Add(x0, Mul(0.044715, Mul(x0, Mul(x0, x0)))));"
              "y = Mul(Mul(0.5, x0), Add(1, Tanh(i)))"
            : "y = Mul(Mul(0.5, x0), Add(1, Erf(Mul(x0, 0.7071067811865476))))");
}

/* Before opset 7 the slope was one number or one per channel (dimension 1 of X). */
static us_err upgrade_slope(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_node *nd = &g->nodes.at[n];
    const us_type *x = &g->vals.at[nd->in[0]].type, *s = &g->vals.at[nd->in[1]].type;
    bool vector = s->kind == US_KIND_TENSOR && s->rank == 1 &&
                  !(us_dim_known(s->dims[0]) && s->dims[0].add == 1);
    if (vector && x->rank != 2) {
        if (x->kind != US_KIND_TENSOR || x->rank < 2)
            return us_upgrade_fail(c, g, n, "a slope per channel needs the rank of X");
        int64_t axes[US_MAX_RANK];
        for (int i = 0; i < x->rank - 2; i++)
            axes[i] = i + 1;
        us_builder b = us_b_begin(c, g, "slope");
        b.before = n;
        size_t n_axes = (size_t)(x->rank - 2);
        us_vid v = us_b1(&b, "Unsqueeze", nd->in[1]); /* as of opset 6: axes is an attribute */
        us_b_ints(&b, "axes", n_axes, axes);
        US_TRY(us_b_end(&b));
        US_TRY(us_node_set_input(c, m, g, n, 1, v));
    }
    return us_upgrade_drop(c, m, g, n);
}

US_INFER_AS(prelu, us_infer_same)
us_err prelu_eval(us_eval *k)
{
    const us_tensor *x, *slope;
    us_tensor each;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &slope));
    US_TRY(us_tensor_broadcast_view(k->c, slope, x->rank, x->dims, &each)); /* to x only */
    return us_eval_binary(k, US_BIN_PRELU, prelu_eval);
}
US_EXPAND(prelu, "y = Where(Less(x0, 0), Mul(x0, x1), x0)")
