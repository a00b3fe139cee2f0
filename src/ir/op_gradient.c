/* ir/op_gradient.c - ai.onnx.preview.training: Gradient, the derivatives of a named value of the graph by others.
 *
 * It says which derivatives are wanted, by names; what computes them is written when a plan is made (exec/gradient.c), for it
 * takes the graph around the node. So there is nothing to run here.
 */
#include "ir/op_util.h"
#include "ir/params_train.h"

/* clang-format off */
#define POINT (US_M(U8) | US_M(U16) | US_M(U32) | US_M(U64) | US_M(I8) | US_M(I16) | US_M(I32) | US_M(I64) | \
               US_M(F16) | US_M(F32) | US_M(F64) | US_M(STRING) | US_M(BOOL) | US_M(C64) | US_M(C128))
static const us_param gradient_in[] = {{"Inputs", 'T', POINT, US_P_HETERO | US_P_VARIADIC}, US_PARAM_END};
static const us_param gradient_out[] = {{"Outputs", 'U', US_M_FLOAT3, US_P_HETERO | US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row gradient_attrs[] = {
    {.name = "xs", .kind = US_AT_STRINGS, .offset = offsetof(us_p_gradient, xs), .required = true},
    {.name = "y", .kind = US_AT_STRING, .offset = offsetof(us_p_gradient, y), .required = true},
    US_ASS(us_p_gradient, zs, "zs"), US_ATTR_END};
const us_schema train_gradient_schemas[] = {
    {1, gradient_in, gradient_out, gradient_attrs, sizeof(us_p_gradient), NULL},
    {0}};
/* clang-format on */

/* Output i is a derivative by the tensor of input i. */
us_err train_gradient_infer(us_infer *k)
{
    size_t n_out = k->g->nodes.at[k->n].n_out;
    if (n_out > us_infer_n_in(k))
        return us_infer_fail(k, US_ARG, "there are more outputs than inputs");
    for (size_t i = 0; i < n_out; i++) {
        const us_type *x = us_infer_in(k, i);
        if (x && x->kind == US_KIND_TENSOR)
            US_TRY(us_infer_out(k, i, x->dtype, x->rank, x->dims));
    }
    return US_OK;
}

us_err train_gradient_eval(us_eval *k)
{
    return us_eval_fail(
        k, US_UNSUPP,
        "a Gradient has no value by itself: a plan of the whole model writes the "
        "nodes that compute it");
}
