/* ir/op_ms_gelu.c - com.microsoft activations: Gelu, BiasGelu, FastGelu, QuickGelu; and BiasAdd.
 *
 * Composites that the CPU keeps whole: a loop for evaluation, an expression for whoever knows only the core.
 */
#include "ir/op_util.h"
#include "ir/params_ms.h"

/* clang-format off */
static const us_param gelu_in[] = {{"X", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param bias_gelu_in[] = {{"A", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param fast_gelu_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"bias", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param bias_add_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"bias", 'T', US_M_FLOATS, 0}, {"skip", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param gelu_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row quick_gelu_attrs[] = {US_AF(us_p_ms_quick_gelu, alpha, "alpha", 1.702F), US_ATTR_END};
const us_schema ms_gelu_schemas[] = {
    {1, gelu_in, gelu_out, NULL, 0, NULL},
    {0}};
const us_schema ms_bias_gelu_schemas[] = {
    {1, bias_gelu_in, gelu_out, NULL, 0, NULL},
    {0}};
const us_schema ms_fast_gelu_schemas[] = {
    {1, fast_gelu_in, gelu_out, NULL, 0, NULL},
    {0}};
const us_schema ms_quick_gelu_schemas[] = {
    {1, gelu_in, gelu_out, quick_gelu_attrs, sizeof(us_p_ms_quick_gelu), NULL},
    {0}};
const us_schema ms_bias_add_schemas[] = {
    {1, bias_add_in, gelu_out, NULL, 0, NULL},
    {0}};
/* clang-format on */

US_INFER_AS(ms_gelu, us_infer_same)
US_INFER_AS(ms_bias_gelu, us_infer_same)
US_INFER_AS(ms_fast_gelu, us_infer_same)
US_INFER_AS(ms_quick_gelu, us_infer_same)
US_INFER_AS(ms_bias_add, us_infer_same)

/* f of input 0, plus input 1 where there is one. */
static us_err gelu(us_eval *k, us_unary f, us_eval_fn *self)
{
    const us_tensor *bias = us_eval_opt(k, 1);
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, self);
    us_un_fn *fn = us_ref_unary(f, x.dtype);
    if (!fn) return us_eval_no_type(k, x.dtype);
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    if (bias) {
        US_TRY(us_eval_binary_into(k, US_BIN_ADD, y, &x, bias));
        x.data = y->data;
    }
    if (us_tensor_count(y)) fn(y->data, x.data, us_tensor_count(y), 1, NULL);
    return US_OK;
}
us_err ms_gelu_eval(us_eval *k)
{
    return gelu(k, US_UN_GELU, ms_gelu_eval);
}
us_err ms_bias_gelu_eval(us_eval *k)
{
    return gelu(k, US_UN_GELU, ms_bias_gelu_eval);
}
us_err ms_fast_gelu_eval(us_eval *k)
{
    return gelu(k, US_UN_GELU_TANH, ms_fast_gelu_eval);
}
us_err ms_quick_gelu_eval(us_eval *k)
{
    const us_p_ms_quick_gelu *p = k->params;
    return us_eval_unary(k, US_UN_SWISH, (const double[]){(double)p->alpha, 0},
                         ms_quick_gelu_eval);
}

us_err ms_bias_add_eval(us_eval *k)
{
    const us_tensor *x, *bias, *skip;
    us_tensor *y;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &bias));
    US_TRY(us_eval_in(k, 2, &skip));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, ms_bias_add_eval);
    US_TRY(us_eval_out(k, 0, x->dtype, x->rank, x->dims, &y));
    US_TRY(us_eval_binary_into(k, US_BIN_ADD, y, x, bias));
    return us_eval_binary_into(k, US_BIN_ADD, y, y, skip);
}

#define EXACT(x) "y = Mul(Mul(0.5, " x "), Add(1, Erf(Mul(" x ", 0.7071067811865476))))"
#define TANH_1(x)                                                                              \
    "i = Mul(0.7978845608028654, Add(" x ", Mul(0.044715, Mul(" x ", Mul(" x ", " x ")))));"
#define TANH(x) TANH_1(x) "y = Mul(Mul(0.5, " x "), Add(1, Tanh(i)))"

US_EXPAND(ms_gelu, EXACT("x0"))
US_EXPAND(ms_bias_gelu, "s = Add(x0, x1);" EXACT("s"))
US_EXPAND(ms_quick_gelu, "y = Mul(x0, Sigmoid(Mul(x0, $alpha)))")
US_EXPAND(ms_bias_add, "y = Add(Add(x0, x1), x2)")
us_err ms_fast_gelu_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_expand_text(c, m, g, n,
                          us_expand_has(g, n, 1) ? "s = Add(x0, x1);" TANH("s") : TANH("x0"));
}
