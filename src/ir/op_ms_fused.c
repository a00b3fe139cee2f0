/* ir/op_ms_fused.c - com.microsoft operators that ONNX Runtime's optimiser fuses: FusedGemm, FusedConv.
 *
 * Meaning from ONNX Runtime's ContribOperators document. Each runs the plain operator and what was fused into it. They are core
 * rows because optional inputs and activations by name have no expansion in the text form of composites.
 */
#include "ir/op_qint.h"
#include "ir/params_ms.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param gemm_in[] = {
    {"A", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, 0}, {"C", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param fused_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row gemm_attrs[] = {
    US_AS(us_p_ms_fused_gemm, activation, "activation", ""),
    US_AF(us_p_ms_fused_gemm, activation_alpha, "activation_alpha", 0.0F),
    US_AF(us_p_ms_fused_gemm, activation_beta, "activation_beta", 0.0F),
    US_AF(us_p_ms_fused_gemm, activation_gamma, "activation_gamma", 0.0F),
    US_AF(us_p_ms_fused_gemm, gemm.alpha, "alpha", 1.0F), US_AF(us_p_ms_fused_gemm, gemm.beta, "beta", 1.0F),
    US_AI(us_p_ms_fused_gemm, gemm.transA, "transA", 0), US_AI(us_p_ms_fused_gemm, gemm.transB, "transB", 0), US_ATTR_END};
const us_schema ms_fused_gemm_schemas[] = {
    {1, gemm_in, fused_out, gemm_attrs, sizeof(us_p_ms_fused_gemm), NULL},
    {0}};

static const us_param conv_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"W", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, US_P_OPTIONAL},
    {"Z", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row conv_attrs[] = {
    US_AS(us_p_ms_fused_conv, activation, "activation", ""), US_AFS(us_p_ms_fused_conv, activation_params, "activation_params"),
    US_AS(us_p_ms_fused_conv, conv.auto_pad, "auto_pad", "NOTSET"), US_AIS(us_p_ms_fused_conv, conv.dilations, "dilations"),
    US_AI(us_p_ms_fused_conv, conv.group, "group", 1), US_AIS(us_p_ms_fused_conv, conv.kernel_shape, "kernel_shape"),
    US_AIS(us_p_ms_fused_conv, conv.pads, "pads"), US_AIS(us_p_ms_fused_conv, conv.strides, "strides"), US_ATTR_END};
const us_schema ms_fused_conv_schemas[] = {
    {1, conv_in, fused_out, conv_attrs, sizeof(us_p_ms_fused_conv), NULL},
    {0}};
/* clang-format on */

/* --- activations by name -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    us_unary f;
} activations[] = {{"Relu", US_UN_RELU},
                   {"Tanh", US_UN_TANH},
                   {"Sigmoid", US_UN_SIGMOID},
                   {"LeakyRelu", US_UN_LEAKY_RELU},
                   {"HardSigmoid", US_UN_HARD_SIGMOID},
                   {"Elu", US_UN_ELU},
                   {"Softplus", US_UN_SOFTPLUS},
                   {"Softsign", US_UN_SOFTSIGN},
                   {"ThresholdedRelu", US_UN_THRESHOLDED_RELU},
                   {"Gelu", US_UN_GELU}};

/* y (contiguous float or double) through the activation, in place. */
static us_err activate(us_eval *k, us_sv name, const double par[4], us_tensor *y)
{
    int64_t n = us_tensor_count(y);
    if (name.n == 0 || n == 0) return US_OK;
    if (us_sv_is(name, "Clip") && y->dtype == US_F32) {
        for (int64_t i = 0; i < n; i++) {
            float *v = (float *)y->data + i;
            *v = fminf(fmaxf(*v, (float)par[0]), (float)par[1]);
        }
        return US_OK;
    }
    for (size_t i = 0; i < US_LEN(activations); i++) {
        us_un_fn *fn = us_ref_unary(activations[i].f, y->dtype);
        if (!us_sv_is(name, activations[i].name) || !fn) continue;
        fn(y->data, y->data, n, 1, par);
        return US_OK;
    }
    return us_eval_fail(k, US_UNSUPP, "no activation '" US_SV_FMT "'", US_SV_ARG(name));
}

/* --- Gemm, Conv ----------------------------------------------------------------------------------- */

/* The plain operators' parameters come first in the fused ones', so their functions read them as their own. */
_Static_assert(offsetof(us_p_ms_fused_gemm, gemm) == 0, "gemm must be first");
_Static_assert(offsetof(us_p_ms_fused_conv, conv) == 0, "conv must be first");

US_INFER_AS(ms_fused_gemm, gemm_infer)
US_INFER_AS(ms_fused_conv, conv_infer)

us_err ms_fused_gemm_eval(us_eval *k)
{
    const us_p_ms_fused_gemm *p = k->params;
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, ms_fused_gemm_eval);
    if (!us_eval_wants(k, 0)) return US_OK;
    US_TRY(gemm_eval(k));
    const double par[4] = {(double)p->activation_alpha, (double)p->activation_beta,
                           (double)p->activation_gamma};
    return activate(k, p->activation, par, &k->out[0]->t);
}

us_err ms_fused_conv_eval(us_eval *k)
{
    const us_p_ms_fused_conv *p = k->params;
    const us_tensor *x, *z = us_eval_opt(k, 3);
    double par[4] = {0};
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, ms_fused_conv_eval);
    if (!us_eval_wants(k, 0)) return US_OK;
    US_TRY(conv_eval(k));
    us_tensor *y = &k->out[0]->t;
    if (z) {
        if (!us_tensor_same_dims(z, y) || z->dtype != y->dtype)
            return us_eval_fail(k, US_SHAPE, "Z differs from the result in shape or type");
        US_TRY(us_eval_binary_into(k, US_BIN_ADD, y, y, z));
    }
    for (size_t i = 0; i < p->activation_params.n && i < US_LEN(par); i++)
        par[i] = (double)p->activation_params.p[i];
    return activate(k, p->activation, par, y);
}
