/* ir/op_unary.c - functions of one number that have no parameters and no simpler form. */
#include "ir/op_util.h"

/* clang-format off */
static const us_param neg_in[] = {{"X", 'T', US_M_FLOATS | US_M_SINTS, 0}, US_PARAM_END};
static const us_param neg_out[] = {{"Y", 'T', US_M_FLOATS | US_M_SINTS, 0}, US_PARAM_END};
static const us_attr_row neg_attrs[] = {US_AIS(us_p_legacy, consumed_inputs, "consumed_inputs"), US_ATTR_END};
const us_schema neg_schemas[] = {
    {1, neg_in, neg_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, neg_in, neg_out, NULL, sizeof(us_p_legacy), NULL},
    {13, neg_in, neg_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param abs_in[] = {{"X", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_param abs_out[] = {{"Y", 'T', US_M_NUM, 0}, US_PARAM_END};
const us_schema abs_schemas[] = {
    {1, abs_in, abs_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, abs_in, abs_out, NULL, sizeof(us_p_legacy), NULL},
    {13, abs_in, abs_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param sqrt_in[] = {{"X", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param sqrt_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
const us_schema sqrt_schemas[] = {
    {1, sqrt_in, sqrt_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {13, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param exp_in[] = {{"input", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param exp_out[] = {{"output", 'T', US_M_FLOATS, 0}, US_PARAM_END};
const us_schema exp_schemas[] = {
    {1, exp_in, exp_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, exp_in, exp_out, NULL, sizeof(us_p_legacy), NULL},
    {13, exp_in, exp_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema log_schemas[] = {
    {1, exp_in, exp_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, exp_in, exp_out, NULL, sizeof(us_p_legacy), NULL},
    {13, exp_in, exp_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema reciprocal_schemas[] = {
    {1, sqrt_in, sqrt_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {13, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema floor_schemas[] = {
    {1, sqrt_in, sqrt_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {13, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema ceil_schemas[] = {
    {1, sqrt_in, sqrt_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {13, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema round_schemas[] = {
    {11, sqrt_in, sqrt_out, NULL, 0, NULL},
    {22, sqrt_in, sqrt_out, NULL, 0, NULL},
    {0}};

static const us_param sign_in[] = {{"input", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_param sign_out[] = {{"output", 'T', US_M_NUM, 0}, US_PARAM_END};
const us_schema sign_schemas[] = {
    {9, sign_in, sign_out, NULL, 0, NULL},
    {13, sign_in, sign_out, NULL, 0, NULL},
    {0}};

const us_schema erf_schemas[] = {
    {9, sign_in, sign_out, NULL, 0, NULL},
    {13, sign_in, sign_out, NULL, 0, NULL},
    {0}};

const us_schema sin_schemas[] = {
    {7, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema cos_schemas[] = {
    {7, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema tan_schemas[] = {
    {7, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema asin_schemas[] = {
    {7, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema acos_schemas[] = {
    {7, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema atan_schemas[] = {
    {7, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema sinh_schemas[] = {
    {9, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema cosh_schemas[] = {
    {9, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema asinh_schemas[] = {
    {9, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema acosh_schemas[] = {
    {9, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema atanh_schemas[] = {
    {9, exp_in, exp_out, NULL, 0, NULL},
    {22, exp_in, exp_out, NULL, 0, NULL},
    {0}};

const us_schema tanh_schemas[] = {
    {1, exp_in, exp_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, exp_in, exp_out, NULL, sizeof(us_p_legacy), NULL},
    {13, exp_in, exp_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema sigmoid_schemas[] = {
    {1, sqrt_in, sqrt_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {13, sqrt_in, sqrt_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema relu_schemas[] = {
    {1, neg_in, neg_out, neg_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, neg_in, neg_out, NULL, sizeof(us_p_legacy), NULL},
    {13, neg_in, neg_out, NULL, sizeof(us_p_legacy), NULL},
    {14, neg_in, neg_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param bitwise_not_in[] = {{"X", 'T', US_M_INTS, 0}, US_PARAM_END};
static const us_param bitwise_not_out[] = {{"Y", 'T', US_M_INTS, 0}, US_PARAM_END};
const us_schema bitwise_not_schemas[] = {
    {18, bitwise_not_in, bitwise_not_out, NULL, 0, NULL},
    {0}};
/* clang-format on */

#define UNARY(fn, id)                                                                          \
    US_INFER_AS(fn, us_infer_same)                                                             \
    us_err fn##_eval(us_eval *k)                                                               \
    {                                                                                          \
        return us_eval_unary(k, US_UN_##id, NULL, fn##_eval);                                  \
    }
UNARY(neg, NEG)
UNARY(abs, ABS)
UNARY(sqrt, SQRT)
UNARY(exp, EXP)
UNARY(log, LOG)
UNARY(reciprocal, RECIPROCAL)
UNARY(floor, FLOOR)
UNARY(ceil, CEIL)
UNARY(round, ROUND)
UNARY(sign, SIGN)

/* The standard has integers here: what is behind the point is cut off. */
US_INFER_AS(erf, us_infer_same)
us_err erf_eval(us_eval *k)
{
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    uint8_t cls = us_dtype_get(x->dtype)->cls;
    if (cls == US_DC_INT || cls == US_DC_UINT)
        return us_eval_through(k, x->dtype, US_F32, erf_eval);
    return us_eval_unary(k, US_UN_ERF, NULL, erf_eval);
}

UNARY(sin, SIN)
UNARY(cos, COS)
UNARY(tan, TAN)
UNARY(asin, ASIN)
UNARY(acos, ACOS)
UNARY(atan, ATAN)
UNARY(sinh, SINH)
UNARY(cosh, COSH)
UNARY(asinh, ASINH)
UNARY(acosh, ACOSH)
UNARY(atanh, ATANH)
UNARY(tanh, TANH)
UNARY(sigmoid, SIGMOID)
UNARY(relu, RELU)
UNARY(bitwise_not, BITNOT)
