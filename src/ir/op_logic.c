/* ir/op_logic.c - truth values: comparison, logic, bits, selection, tests for NaN and infinity. */
#include "ir/op_util.h"

#include <math.h>

/* clang-format off */
static const us_param not_in[] = {{"X", 'T', US_M(BOOL), 0}, US_PARAM_END};
static const us_param not_out[] = {{"Y", 'T', US_M(BOOL), 0}, US_PARAM_END};
const us_schema not_schemas[] = {
    {1, not_in, not_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param and_in[] = {{"A", 'T', US_M(BOOL), 0}, {"B", 'T', US_M(BOOL), 0}, US_PARAM_END};
static const us_param and_out[] = {{"C", '1', US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row and_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_legacy, axis), .has_offset = offsetof(us_p_legacy, has_axis)},
    US_AI(us_p_legacy, broadcast, "broadcast", 0), US_ATTR_END};
const us_schema and_schemas[] = {
    {1, and_in, and_out, and_attrs, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, and_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema or_schemas[] = {
    {1, and_in, and_out, and_attrs, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, and_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema xor_schemas[] = {
    {1, and_in, and_out, and_attrs, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, and_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param bitwise_and_in[] = {{"A", 'T', US_M_INTS, 0}, {"B", 'T', US_M_INTS, 0}, US_PARAM_END};
static const us_param bitwise_and_out[] = {{"C", 'T', US_M_INTS, 0}, US_PARAM_END};
const us_schema bitwise_and_schemas[] = {
    {18, bitwise_and_in, bitwise_and_out, NULL, 0, NULL},
    {0}};

const us_schema bitwise_or_schemas[] = {
    {18, bitwise_and_in, bitwise_and_out, NULL, 0, NULL},
    {0}};

const us_schema bitwise_xor_schemas[] = {
    {18, bitwise_and_in, bitwise_and_out, NULL, 0, NULL},
    {0}};

static const us_param bit_shift_in[] = {{"X", 'T', US_M_INTS, 0}, {"Y", 'T', US_M_INTS, 0}, US_PARAM_END};
static const us_param bit_shift_out[] = {{"Z", 'T', US_M_INTS, 0}, US_PARAM_END};
static const us_attr_row bit_shift_attrs[] = {
    {.name = "direction", .kind = US_AT_STRING, .offset = offsetof(us_p_bit_shift, direction), .required = true},
    US_ATTR_END};
const us_schema bit_shift_schemas[] = {
    {11, bit_shift_in, bit_shift_out, bit_shift_attrs, sizeof(us_p_bit_shift), NULL},
    {28, bit_shift_in, bit_shift_out, bit_shift_attrs, sizeof(us_p_bit_shift), NULL},
    {0}};

static const us_param equal_in[] = {
    {"A", 'T', US_M_NUM | US_M(STRING) | US_M(BOOL), 0}, {"B", 'T', US_M_NUM | US_M(STRING) | US_M(BOOL), 0},
    US_PARAM_END};
const us_schema equal_schemas[] = {
    {1, equal_in, and_out, and_attrs, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, equal_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {11, equal_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {13, equal_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {19, equal_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param greater_in[] = {{"A", 'T', US_M_NUM, 0}, {"B", 'T', US_M_NUM, 0}, US_PARAM_END};
const us_schema greater_schemas[] = {
    {1, greater_in, and_out, and_attrs, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {9, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {13, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema greater_or_equal_schemas[] = {
    {12, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {16, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema less_schemas[] = {
    {1, greater_in, and_out, and_attrs, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {9, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {13, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema less_or_equal_schemas[] = {
    {12, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {16, greater_in, and_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param where_in[] = {
    {"condition", 'B', US_M(BOOL), 0}, {"X", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"Y", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param where_out[] = {
    {"output", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
const us_schema where_schemas[] = {
    {9, where_in, where_out, NULL, sizeof(us_p_legacy), NULL},
    {16, where_in, where_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param is_nan_in[] = {
    {"X", '1', US_M_FLOATS | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), 0}, US_PARAM_END};
static const us_param is_nan_out[] = {{"Y", '2', US_M(BOOL), 0}, US_PARAM_END};
const us_schema is_nan_schemas[] = {
    {9, is_nan_in, is_nan_out, NULL, sizeof(us_p_legacy), NULL},
    {13, is_nan_in, is_nan_out, NULL, sizeof(us_p_legacy), NULL},
    {20, is_nan_in, is_nan_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_attr_row is_inf_attrs[] = {
    US_AI(us_p_is_inf, detect_negative, "detect_negative", 1),
    US_AI(us_p_is_inf, detect_positive, "detect_positive", 1), US_ATTR_END};
const us_schema is_inf_schemas[] = {
    {10, is_nan_in, is_nan_out, is_inf_attrs, sizeof(us_p_is_inf), NULL},
    {20, is_nan_in, is_nan_out, is_inf_attrs, sizeof(us_p_is_inf), NULL},
    {0}};
/* clang-format on */

#define BINARY(fn, id)                                                                         \
    US_INFER_AS(fn, us_infer_broadcast)                                                        \
    us_err fn##_eval(us_eval *k)                                                               \
    {                                                                                          \
        return us_eval_binary(k, US_BIN_##id, fn##_eval);                                      \
    }
BINARY(and, AND)
BINARY(or, OR)
BINARY(xor, XOR)
BINARY(bitwise_and, BITAND)
BINARY(bitwise_or, BITOR)
BINARY(bitwise_xor, BITXOR)
BINARY(equal, EQ)
BINARY(greater, GT)
BINARY(less, LT)
BINARY(greater_or_equal, GE)
BINARY(less_or_equal, LE)
US_EXPAND(greater_or_equal, "y = Or(Greater(x0, x1), Equal(x0, x1))")
US_EXPAND(less_or_equal, "y = Or(Less(x0, x1), Equal(x0, x1))")

US_INFER_AS(bit_shift, us_infer_broadcast)
us_err bit_shift_eval(us_eval *k)
{
    const us_p_bit_shift *p = k->params;
    bool left = us_sv_is(p->direction, "LEFT");
    if (!left && !us_sv_is(p->direction, "RIGHT"))
        return us_eval_fail(k, US_ARG, "direction is '" US_SV_FMT "', expected LEFT or RIGHT",
                            US_SV_ARG(p->direction));
    return us_eval_binary(k, left ? US_BIN_SHL : US_BIN_SHR, bit_shift_eval);
}

US_INFER_AS(not, us_infer_same)
us_err not_eval(us_eval *k)
{
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.dtype != US_BOOL) return us_eval_no_type(k, x.dtype);
    US_TRY(us_eval_out(k, 0, US_BOOL, x.rank, x.dims, &y));
    const uint8_t *in = x.data;
    uint8_t *out = y->data;
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++)
        out[i] = !in[i];
    return US_OK;
}

/* Which numbers a test is true for; half precision goes through float. */
static us_err test_floats(us_eval *k, bool nan, bool plus, bool minus)
{
    const us_tensor *in;
    us_tensor x, *y;
    US_TRY(us_eval_in(k, 0, &in));
    if (us_dtype_get(in->dtype)->cls != US_DC_FLOAT) return us_eval_no_type(k, in->dtype);
    US_TRY(us_eval_as(k, in, in->dtype == US_F64 ? US_F64 : US_F32, &x));
    US_TRY(us_eval_out(k, 0, US_BOOL, x.rank, x.dims, &y));
    uint8_t *out = y->data;
    int64_t n = us_tensor_count(&x);
    for (int64_t i = 0; i < n; i++) {
        double v = x.dtype == US_F64 ? ((double *)x.data)[i] : (double)((float *)x.data)[i];
        out[i] = (nan && isnan(v)) || (isinf(v) && (v > 0 ? plus : minus));
    }
    return US_OK;
}

US_INFER_AS(is_nan, us_infer_same)
us_err is_nan_eval(us_eval *k)
{
    return test_floats(k, true, false, false);
}

US_INFER_AS(is_inf, us_infer_same)
us_err is_inf_eval(us_eval *k)
{
    const us_p_is_inf *p = k->params;
    return test_floats(k, false, p->detect_positive != 0, p->detect_negative != 0);
}

US_INFER_AS(where, us_infer_broadcast)
us_err where_eval(us_eval *k)
{
    const us_tensor *t[3];
    int rank = 0;
    int64_t dims[US_MAX_RANK];
    us_tensor v[3], *y;
    for (size_t i = 0; i < 3; i++) {
        US_TRY(us_eval_in(k, i, &t[i]));
        US_TRY(us_dims_broadcast(k->c, rank, dims, t[i]->rank, t[i]->dims, &rank, dims));
    }
    size_t bits = us_dtype_get(t[1]->dtype)->bits;
    if (t[0]->dtype != US_BOOL || t[1]->dtype != t[2]->dtype || bits < 8)
        return us_eval_fail(k, US_ARG, "inputs are %s, %s and %s",
                            us_dtype_get(t[0]->dtype)->name, us_dtype_get(t[1]->dtype)->name,
                            us_dtype_get(t[2]->dtype)->name);
    US_TRY(us_eval_out(k, 0, t[1]->dtype, rank, dims, &y));
    for (size_t i = 0; i < 3; i++)
        US_TRY(us_tensor_broadcast_view(k->c, t[i], rank, dims, &v[i]));
    us_nd_iter it;
    for (us_nd_iter_init(&it, 4, (const us_tensor *[]){y, &v[0], &v[1], &v[2]}); !it.done;
         us_nd_iter_next(&it))
        us_ref_where(us_at(y, it.offset[0]), us_at(&v[0], it.offset[1]),
                     us_at(&v[1], it.offset[2]), us_at(&v[2], it.offset[3]), it.inner,
                     it.inner_stride[1], it.inner_stride[2], it.inner_stride[3], bits / 8);
    return US_OK;
}
