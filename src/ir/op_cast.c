/* ir/op_cast.c - conversion between element types, strings included.
 *
 * Numbers follow the table of the ONNX document: to float8 with or without saturation, float to integer by
 * truncation (out of range: as the conversion through int64 wraps), to bool by != 0, to string in the
 * shortest form that reads back ("NaN", "INF", "-INF" for specials), from string by the usual number syntax.
 */
#include "ir/op_util.h"

#include <math.h>

static us_upgrade_fn upgrade_to;

/* clang-format off */
static const us_param cast_in[] = {
    {"input", '1', US_M_NUM | US_M_SMALLF | US_M_SMALLI | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param cast_out[] = {
    {"output", '2', US_M_NUM | US_M_SMALLF | US_M_SMALLI | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row cast_attrs[] = {
    {.name = "to", .kind = US_AT_STRING, .offset = offsetof(us_p_cast, to_1), .required = true}, US_ATTR_END};
static const us_attr_row cast_attrs_6[] = {
    {.name = "to", .kind = US_AT_INT, .offset = offsetof(us_p_cast, to), .required = true}, US_ATTR_END};
static const us_attr_row cast_attrs_19[] = {
    US_AI(us_p_cast, saturate, "saturate", 1),
    {.name = "to", .kind = US_AT_INT, .offset = offsetof(us_p_cast, to), .required = true}, US_ATTR_END};
static const us_attr_row cast_attrs_24[] = {
    US_AS(us_p_cast, round_mode, "round_mode", "up"), US_AI(us_p_cast, saturate, "saturate", 1),
    {.name = "to", .kind = US_AT_INT, .offset = offsetof(us_p_cast, to), .required = true}, US_ATTR_END};
const us_schema cast_schemas[] = {
    {1, cast_in, cast_out, cast_attrs, sizeof(us_p_cast), upgrade_to},
    {6, cast_in, cast_out, cast_attrs_6, sizeof(us_p_cast), NULL},
    {9, cast_in, cast_out, cast_attrs_6, sizeof(us_p_cast), NULL},
    {13, cast_in, cast_out, cast_attrs_6, sizeof(us_p_cast), NULL},
    {19, cast_in, cast_out, cast_attrs_19, sizeof(us_p_cast), NULL},
    {21, cast_in, cast_out, cast_attrs_19, sizeof(us_p_cast), NULL},
    {23, cast_in, cast_out, cast_attrs_19, sizeof(us_p_cast), NULL},
    {24, cast_in, cast_out, cast_attrs_24, sizeof(us_p_cast), NULL},
    {25, cast_in, cast_out, cast_attrs_24, sizeof(us_p_cast), NULL},
    {28, cast_in, cast_out, cast_attrs_24, sizeof(us_p_cast), NULL},
    {0}};

static const us_param cast_like_in[] = {
    {"input", '1', US_M_NUM | US_M_SMALLF | US_M_SMALLI | US_M(STRING) | US_M(BOOL), 0},
    {"target_type", '2', US_M_NUM | US_M_SMALLF | US_M_SMALLI | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row cast_like_attrs[] = {US_AI(us_p_cast_like, saturate, "saturate", 1), US_ATTR_END};
static const us_attr_row cast_like_attrs_24[] = {
    US_AS(us_p_cast_like, round_mode, "round_mode", "up"), US_AI(us_p_cast_like, saturate, "saturate", 1),
    US_ATTR_END};
const us_schema cast_like_schemas[] = {
    {15, cast_like_in, cast_out, NULL, sizeof(us_p_cast_like), NULL},
    {19, cast_like_in, cast_out, cast_like_attrs, sizeof(us_p_cast_like), NULL},
    {21, cast_like_in, cast_out, cast_like_attrs, sizeof(us_p_cast_like), NULL},
    {23, cast_like_in, cast_out, cast_like_attrs, sizeof(us_p_cast_like), NULL},
    {24, cast_like_in, cast_out, cast_like_attrs_24, sizeof(us_p_cast_like), NULL},
    {25, cast_like_in, cast_out, cast_like_attrs_24, sizeof(us_p_cast_like), NULL},
    {0}};
/* clang-format on */

/* Version 1 named the type: to="FLOAT". */
static us_err upgrade_to(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    static const struct {
        const char *name;
        us_dtype t;
    } names[] = {{"FLOAT", US_F32},   {"UINT8", US_U8},      {"INT8", US_I8},
                 {"UINT16", US_U16},  {"INT16", US_I16},     {"INT32", US_I32},
                 {"INT64", US_I64},   {"STRING", US_STRING}, {"BOOL", US_BOOL},
                 {"FLOAT16", US_F16}, {"DOUBLE", US_F64},    {"UINT32", US_U32},
                 {"UINT64", US_U64},  {"COMPLEX64", US_C64}, {"COMPLEX128", US_C128}};
    const us_attr *a = us_node_attr(&g->nodes.at[n], "to");
    for (size_t i = 0; a && i < US_LEN(names); i++)
        if (us_sv_is(a->s, names[i].name)) {
            us_attr to = {.name = US_SV("to"), .kind = US_AT_INT, .i = names[i].t};
            return us_node_set_attr(c, g, n, &to);
        }
    return us_upgrade_fail(c, g, n, "unknown type in attribute to");
}

us_err cast_infer(us_infer *k)
{
    const us_p_cast *p = k->params;
    const us_type *x = us_infer_in(k, 0);
    if (p->to <= 0 || p->to >= US_DTYPE_N)
        return us_infer_fail(k, US_ARG, "unknown type in to");
    if (!x || x->kind != US_KIND_TENSOR) return us_infer_out(k, 0, (us_dtype)p->to, -1, NULL);
    return us_infer_out(k, 0, (us_dtype)p->to, x->rank, x->dims);
}

us_err cast_like_infer(us_infer *k)
{
    const us_type *x = us_infer_in(k, 0);
    if (!x || x->kind != US_KIND_TENSOR) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    return us_infer_out(k, 0, US_DT_NONE, x->rank, x->dims);
}

static us_sv special(double v)
{
    if (isnan(v)) return US_SV("NaN");
    return v > 0 ? US_SV("INF") : US_SV("-INF");
}

static us_err to_strings(us_eval *k, const us_tensor *x, us_tensor *y)
{
    us_arena *a = k->env->dynamic(k->env, k);
    us_sv *out = y->data;
    us_dclass cls = (us_dclass)us_dtype_get(x->dtype)->cls;
    for (int64_t i = 0, n = us_tensor_count(x); i < n; i++) {
        char text[32];
        us_sv s = {text, 0};
        double v = cls == US_DC_FLOAT ? us_tensor_f64_at(x, i) : 0;
        if (cls == US_DC_FLOAT && !isfinite(v)) {
            s = special(v);
        } else if (cls == US_DC_FLOAT) {
            s.n = x->dtype == US_F64 ? us_print_f64(v, text) : us_print_f32((float)v, text);
        } else if (cls == US_DC_BOOL) {
            s = us_tensor_i64_at(x, i) ? US_SV("True") : US_SV("False");
        } else {
            int64_t j = us_tensor_i64_at(x, i);
            const char *z = x->dtype == US_U64 ? us_str_printf(a, "%llu", (unsigned long long)j)
                                               : us_str_printf(a, "%lld", (long long)j);
            if (!z) return us_arena_fail(k->c, a);
            out[i] = us_sv_of(z);
            continue;
        }
        US_TRY(us_sv_dup(k->c, a, s, &out[i]));
    }
    return US_OK;
}

static us_err from_strings(us_eval *k, const us_tensor *x, us_tensor *y)
{
    const us_dtype_info *to = us_dtype_get(y->dtype);
    for (int64_t i = 0, n = us_tensor_count(x); i < n; i++) {
        us_sv s = us_sv_trim(us_tensor_str_at(x, i));
        double v;
        int64_t j;
        bool whole = to->cls == US_DC_INT || to->cls == US_DC_UINT;
        if (whole && us_parse_i64(s, &j)) {
            to->from_i64(y->data, (size_t)i, 1, &j);
            continue;
        }
        if (!us_parse_f64(s, &v))
            return us_eval_fail(k, US_FORMAT, "'" US_SV_FMT "' is not a number", US_SV_ARG(s));
        to->from_f64(y->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

/* Largest finite of the 8-bit floats and what overflow gives without saturation. */
static bool small_limits(us_dtype t, double *most, double *over)
{
    static const struct {
        us_dtype t;
        double most, over;
    } rows[] = {{US_F8E4M3FN, 448, (double)NAN},
                {US_F8E4M3FNUZ, 240, (double)NAN},
                {US_F8E5M2, 57344, (double)INFINITY},
                {US_F8E5M2FNUZ, 57344, (double)NAN}};
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (rows[i].t == t) {
            *most = rows[i].most;
            *over = rows[i].over;
            return true;
        }
    return false;
}

/* To an 8-bit float through double: half a step past the largest finite rounds to even, which is overflow except for E4M3FN. */
static us_err to_small(us_eval *k, const us_tensor *x, us_tensor *y, bool saturate, double most,
                       double over)
{
    us_tensor wide;
    US_TRY(us_eval_as(k, x, US_F64, &wide));
    double *v = wide.data, *w;
    int64_t n = us_tensor_count(&wide);
    US_TRY(us_eval_scratch(k, (size_t)(n + 1) * sizeof *w, (void **)&w));
    double half = y->dtype == US_F8E4M3FN     ? 16
                  : y->dtype == US_F8E4M3FNUZ ? 8
                                              : 4096; /* half a step above the largest finite */
    for (int64_t i = 0; i < n; i++) {
        double a = fabs(v[i]);
        bool beyond = y->dtype == US_F8E4M3FN ? a > most + half : a >= most + half;
        w[i] = v[i];
        if (a > most) w[i] = copysign(beyond && !saturate ? over : most, v[i]);
    }
    us_dtype_get(y->dtype)->from_f64(y->data, 0, (size_t)n, w);
    for (int64_t i = 0; i < n; i++) /* from_f64 keeps to finite values; E5M2 has infinities */
        if (y->dtype == US_F8E5M2 && isinf(w[i]))
            ((uint8_t *)y->data)[i] = w[i] > 0 ? 0x7c : 0xfc;
    return US_OK;
}

us_err us_cast_f8(us_eval *k, const us_tensor *x, us_tensor *y, bool saturate)
{
    double most, over;
    if (!small_limits(y->dtype, &most, &over)) return us_eval_no_type(k, y->dtype);
    return to_small(k, x, y, saturate, most, over);
}

/* E8M0 holds powers of two from 2^-127 on: byte = exponent + 127, 255 is NaN. */
static uint8_t to_e8m0(double x, us_sv mode)
{
    int e;
    if (isnan(x)) return 255;
    if (x <= 0) return 0;
    if (isinf(x)) return 254;
    double m = frexp(x, &e); /* x = m 2^e, m in [0.5, 1) */
    int up = us_sv_is(mode, "up") ? m > 0.5 : us_sv_is(mode, "nearest") ? m >= 0.75 : 0;
    return (uint8_t)US_MIN(US_MAX(e - 1 + up + 127, 0), 254);
}

/* Types whose conversion the table of element types does not settle; false: not one of them. */
static bool to_special(const us_tensor *x, us_tensor *y, us_sv mode)
{
    const us_dtype_info *from = us_dtype_get(x->dtype), *to = us_dtype_get(y->dtype);
    bool packed_int = to->bits < 8 && to->cls != US_DC_FLOAT && from->cls == US_DC_FLOAT;
    bool mine = packed_int || y->dtype == US_F8E8M0 || y->dtype == US_F4E2M1;
    for (int64_t i = 0, n = us_tensor_count(x); mine && i < n; i++) {
        double v = us_tensor_f64_at(x, i);
        if (y->dtype == US_F8E8M0) {
            ((uint8_t *)y->data)[i] = to_e8m0(v, mode);
        } else if (packed_int) { /* truncated, then the low bits, as wider integers do */
            int64_t j = fabs(v) < 9.2e18 ? (int64_t)v : 0;
            to->from_i64(y->data, (size_t)i, 1, &j);
        } else { /* float4 has no NaN: it becomes -0, as in the standard's reference */
            double w = isnan(v) ? -0.0 : v;
            to->from_f64(y->data, (size_t)i, 1, &w);
        }
    }
    return mine;
}

static us_err cast_to(us_eval *k, us_dtype to, bool saturate, us_sv mode)
{
    const us_tensor *in;
    us_tensor x, *y;
    double most, over;
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_out(k, 0, to, x.rank, x.dims, &y));
    if (x.dtype == to) return us_tensor_copy(k->c, y, &x);
    us_dclass from_c = (us_dclass)us_dtype_get(x.dtype)->cls,
              to_c = (us_dclass)us_dtype_get(to)->cls;
    if (from_c == US_DC_COMPLEX || to_c == US_DC_COMPLEX) return us_eval_no_type(k, US_C64);
    if (to == US_STRING) return to_strings(k, &x, y);
    if (x.dtype == US_STRING) return from_strings(k, &x, y);
    if (small_limits(to, &most, &over)) return to_small(k, &x, y, saturate, most, over);
    return to_special(&x, y, mode) ? US_OK : us_tensor_convert(k->c, y, &x);
}

us_err cast_eval(us_eval *k)
{
    const us_p_cast *p = k->params;
    if (p->to <= 0 || p->to >= US_DTYPE_N)
        return us_eval_fail(k, US_ARG, "unknown type %lld", (long long)p->to);
    return cast_to(k, (us_dtype)p->to, p->saturate != 0, p->round_mode);
}

us_err cast_like_eval(us_eval *k)
{
    const us_p_cast_like *p = k->params;
    const us_tensor *like;
    US_TRY(us_eval_in(k, 1, &like));
    return cast_to(k, like->dtype, p->saturate != 0, p->round_mode);
}

us_err cast_like_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_dtype t = us_expand_dtype(g, n, 1);
    if (t <= 0 || t >= US_DTYPE_N)
        return us_expand_refuse(c, g, n, "the target type is not known");
    return us_expand_text(c, m, g, n,
                          "y = Cast<to=@x1,saturate=$saturate,round_mode=$round_mode>(x0)");
}
