/* ir/op_arith.c - arithmetic of two or more tensors with NumPy broadcasting. */
#include "ir/op_util.h"

/* clang-format off */
static const us_param add_in[] = {{"A", 'T', US_M_NUM, 0}, {"B", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_param add_out[] = {{"C", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_attr_row add_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_legacy, axis), .has_offset = offsetof(us_p_legacy, has_axis)},
    US_AI(us_p_legacy, broadcast, "broadcast", 0), US_AIS(us_p_legacy, consumed_inputs, "consumed_inputs"),
    US_ATTR_END};
static const us_attr_row add_attrs_6[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_legacy, axis), .has_offset = offsetof(us_p_legacy, has_axis)},
    US_AI(us_p_legacy, broadcast, "broadcast", 0), US_ATTR_END};
const us_schema add_schemas[] = {
    {1, add_in, add_out, add_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, add_in, add_out, add_attrs_6, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {13, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {14, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema sub_schemas[] = {
    {1, add_in, add_out, add_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, add_in, add_out, add_attrs_6, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {13, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {14, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema mul_schemas[] = {
    {1, add_in, add_out, add_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, add_in, add_out, add_attrs_6, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {13, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {14, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

const us_schema div_schemas[] = {
    {1, add_in, add_out, add_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, add_in, add_out, add_attrs_6, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {13, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {14, add_in, add_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param pow_in[] = {
    {"X", 'T', US_M_FLOATS | US_M(I32) | US_M(I64), 0}, {"Y", 'T', US_M_FLOATS | US_M(I32) | US_M(I64), 0},
    US_PARAM_END};
static const us_param pow_out[] = {{"Z", 'T', US_M_FLOATS | US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_param pow_in_12[] = {
    {"X", 'T', US_M_FLOATS | US_M(I32) | US_M(I64), 0}, {"Y", '1', US_M_NUM, 0}, US_PARAM_END};
const us_schema pow_schemas[] = {
    {1, pow_in, pow_out, add_attrs_6, sizeof(us_p_legacy), us_upgrade_broadcast},
    {7, pow_in, pow_out, NULL, sizeof(us_p_legacy), NULL},
    {12, pow_in_12, pow_out, NULL, sizeof(us_p_legacy), NULL},
    {13, pow_in_12, pow_out, NULL, sizeof(us_p_legacy), NULL},
    {15, pow_in_12, pow_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_attr_row mod_attrs[] = {US_AI(us_p_mod, fmod, "fmod", 0), US_ATTR_END};
const us_schema mod_schemas[] = {
    {10, add_in, add_out, mod_attrs, sizeof(us_p_mod), NULL},
    {13, add_in, add_out, mod_attrs, sizeof(us_p_mod), NULL},
    {28, add_in, add_out, mod_attrs, sizeof(us_p_mod), NULL},
    {0}};

static const us_param min_in[] = {{"data_0", 'T', US_M_NUM, US_P_VARIADIC}, US_PARAM_END};
static const us_param min_out[] = {{"min", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_attr_row min_attrs[] = {US_AIS(us_p_legacy, consumed_inputs, "consumed_inputs"), US_ATTR_END};
const us_schema min_schemas[] = {
    {1, min_in, min_out, min_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, min_in, min_out, NULL, sizeof(us_p_legacy), NULL},
    {8, min_in, min_out, NULL, sizeof(us_p_legacy), NULL},
    {12, min_in, min_out, NULL, sizeof(us_p_legacy), NULL},
    {13, min_in, min_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param max_out[] = {{"max", 'T', US_M_NUM, 0}, US_PARAM_END};
const us_schema max_schemas[] = {
    {1, min_in, max_out, min_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, min_in, max_out, NULL, sizeof(us_p_legacy), NULL},
    {8, min_in, max_out, NULL, sizeof(us_p_legacy), NULL},
    {12, min_in, max_out, NULL, sizeof(us_p_legacy), NULL},
    {13, min_in, max_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param sum_in[] = {{"data_0", 'T', US_M_FLOATS, US_P_VARIADIC}, US_PARAM_END};
static const us_param sum_out[] = {{"sum", 'T', US_M_FLOATS, 0}, US_PARAM_END};
const us_schema sum_schemas[] = {
    {1, sum_in, sum_out, min_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, sum_in, sum_out, NULL, sizeof(us_p_legacy), NULL},
    {8, sum_in, sum_out, NULL, sizeof(us_p_legacy), NULL},
    {13, sum_in, sum_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};

static const us_param mean_out[] = {{"mean", 'T', US_M_FLOATS, 0}, US_PARAM_END};
const us_schema mean_schemas[] = {
    {1, sum_in, mean_out, min_attrs, sizeof(us_p_legacy), us_upgrade_drop},
    {6, sum_in, mean_out, NULL, sizeof(us_p_legacy), NULL},
    {8, sum_in, mean_out, NULL, sizeof(us_p_legacy), NULL},
    {13, sum_in, mean_out, NULL, sizeof(us_p_legacy), NULL},
    {0}};
/* clang-format on */

US_INFER_AS(add, us_infer_broadcast)
US_INFER_AS(sub, us_infer_broadcast)
US_INFER_AS(mul, us_infer_broadcast)
US_INFER_AS(div, us_infer_broadcast)
US_INFER_AS(pow, us_infer_broadcast)
US_INFER_AS(mod, us_infer_broadcast)
US_INFER_AS(min, us_infer_broadcast)
US_INFER_AS(max, us_infer_broadcast)
US_INFER_AS(sum, us_infer_broadcast)
US_INFER_AS(mean, us_infer_broadcast)

#define BINARY(fn, id)                                                                         \
    us_err fn##_eval(us_eval *k)                                                               \
    {                                                                                          \
        return us_eval_binary(k, US_BIN_##id, fn##_eval);                                      \
    }
BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)

us_err mod_eval(us_eval *k)
{
    const us_p_mod *p = k->params;
    return us_eval_binary(k, p->fmod ? US_BIN_FMOD : US_BIN_MOD, mod_eval);
}

/* The exponent may have another type than the base, whose type the result has. It is converted to the base's,
 * except that an integer base with a fractional exponent goes through double. */
us_err pow_eval(us_eval *k)
{
    const us_tensor *a, *b;
    US_TRY(us_eval_in(k, 0, &a));
    US_TRY(us_eval_in(k, 1, &b));
    if (us_is_half(a->dtype)) return us_eval_widened(k, a->dtype, pow_eval);
    bool via = us_dtype_get(a->dtype)->cls != US_DC_FLOAT &&
               us_dtype_get(b->dtype)->cls == US_DC_FLOAT;
    us_dtype t = via ? US_F64 : a->dtype;
    us_tensor va = *a, vb = *b;
    if (a->dtype != t) US_TRY(us_eval_as(k, a, t, &va));
    if (b->dtype != t) US_TRY(us_eval_as(k, b, t, &vb));
    int rank;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_dims_broadcast(k->c, a->rank, a->dims, b->rank, b->dims, &rank, dims));
    us_tensor *y, wide;
    US_TRY(us_eval_out(k, 0, a->dtype, rank, dims, &y));
    if (!via) return us_eval_binary_into(k, US_BIN_POW, y, &va, &vb);
    US_TRY(us_tensor_init(k->c, &wide, t, rank, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&wide), &wide.data));
    US_TRY(us_eval_binary_into(k, US_BIN_POW, &wide, &va, &vb));
    return us_tensor_convert(k->c, y, &wide);
}

/* y = in[0] f in[1] f ...: the running result is the left operand, element on element. */
static us_err fold(us_eval *k, us_binary f, us_tensor **out)
{
    int rank = 0;
    int64_t dims[US_MAX_RANK];
    const us_tensor *first, *t;
    US_TRY(us_eval_in(k, 0, &first));
    for (size_t i = 0; i < k->n_in; i++) {
        US_TRY(us_eval_in(k, i, &t));
        if (t->dtype != first->dtype)
            return us_eval_fail(k, US_ARG, "input %zu is %s, input 0 is %s", i,
                                us_dtype_get(t->dtype)->name, us_dtype_get(first->dtype)->name);
        US_TRY(us_dims_broadcast(k->c, rank, dims, t->rank, t->dims, &rank, dims));
    }
    us_tensor *y, v;
    US_TRY(us_eval_out(k, 0, first->dtype, rank, dims, &y));
    US_TRY(us_tensor_broadcast_view(k->c, first, rank, dims, &v));
    if (v.data != y->data) US_TRY(us_tensor_copy(k->c, y, &v));
    for (size_t i = 1; i < k->n_in; i++)
        US_TRY(us_eval_binary_into(k, f, y, y, &k->in[i]->t));
    *out = y;
    return US_OK;
}

static us_err fold_op(us_eval *k, us_binary f, us_eval_fn *self)
{
    const us_tensor *x;
    us_tensor *y;
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, self);
    return fold(k, f, &y);
}
us_err min_eval(us_eval *k)
{
    return fold_op(k, US_BIN_MIN, min_eval);
}
us_err max_eval(us_eval *k)
{
    return fold_op(k, US_BIN_MAX, max_eval);
}
us_err sum_eval(us_eval *k)
{
    return fold_op(k, US_BIN_ADD, sum_eval);
}

us_err mean_eval(us_eval *k)
{
    const us_tensor *x;
    us_tensor *y, n;
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, mean_eval);
    US_TRY(fold(k, US_BIN_ADD, &y));
    double count = (double)k->n_in, room;
    US_TRY(us_tensor_init(k->c, &n, y->dtype, 0, NULL, &room));
    us_dtype_get(y->dtype)->from_f64(&room, 0, 1, &count);
    return us_eval_binary_into(k, US_BIN_DIV, y, y, &n);
}

/* Variadic forms as chains; done by hand because the number of inputs is open. */
static us_err expand_chain(us_ctx *c, us_model *m, us_graph *g, us_nid n, bool mean)
{
    enum { MOST = 64 };
    char text[MOST * 12 + 64];
    size_t n_in = g->nodes.at[n].n_in, at = 0;
    if (n_in > 10) return us_upgrade_fail(c, g, n, "expanding more than 10 inputs");
    static const char open[] = "Add(";
    const char *head = mean ? "y = Div(" : "y = ";
    for (const char *s = head; *s; s++)
        text[at++] = *s;
    for (size_t i = 1; i < n_in; i++)
        for (const char *s = open; *s; s++)
            text[at++] = *s;
    for (size_t i = 0; i < n_in; i++) {
        if (i) text[at++] = ',';
        text[at++] = 'x';
        text[at++] = (char)('0' + i);
        if (i) text[at++] = ')';
    }
    if (mean) {
        text[at++] = ',';
        if (n_in == 10) text[at++] = '1';
        text[at++] = (char)('0' + n_in % 10);
        text[at++] = ')';
    }
    text[at] = 0;
    return us_expand_text(c, m, g, n, text);
}
us_err sum_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return expand_chain(c, m, g, n, false);
}
us_err mean_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return expand_chain(c, m, g, n, true);
}
