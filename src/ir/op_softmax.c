/* ir/op_softmax.c - Softmax, LogSoftmax, Hardmax along one axis.
 *
 * The maximum is taken out first, so no exponential overflows; sums run in double for doubles and in float
 * with double accumulation for floats. Before opset 13 the operators worked on a matrix made by folding the
 * dimensions at `axis`; the upgrade writes that out as Flatten and Reshape.
 */
#include "ir/op_util.h"

#include <math.h>

static us_upgrade_fn upgrade_flatten;

/* clang-format off */
static const us_param softmax_in[] = {{"input", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param softmax_out[] = {{"output", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row softmax_attrs[] = {US_AI(us_p_softmax, axis, "axis", 1), US_ATTR_END};
static const us_attr_row softmax_attrs_13[] = {US_AI(us_p_softmax, axis, "axis", -1), US_ATTR_END};
const us_schema softmax_schemas[] = {
    {1, softmax_in, softmax_out, softmax_attrs, sizeof(us_p_softmax), NULL},
    {11, softmax_in, softmax_out, softmax_attrs, sizeof(us_p_softmax), upgrade_flatten},
    {13, softmax_in, softmax_out, softmax_attrs_13, sizeof(us_p_softmax), NULL},
    {0}};

const us_schema log_softmax_schemas[] = {
    {1, softmax_in, softmax_out, softmax_attrs, sizeof(us_p_softmax), NULL},
    {11, softmax_in, softmax_out, softmax_attrs, sizeof(us_p_softmax), upgrade_flatten},
    {13, softmax_in, softmax_out, softmax_attrs_13, sizeof(us_p_softmax), NULL},
    {0}};

const us_schema hardmax_schemas[] = {
    {1, softmax_in, softmax_out, softmax_attrs, sizeof(us_p_softmax), NULL},
    {11, softmax_in, softmax_out, softmax_attrs, sizeof(us_p_softmax), upgrade_flatten},
    {13, softmax_in, softmax_out, softmax_attrs_13, sizeof(us_p_softmax), NULL},
    {0}};
/* clang-format on */

static us_err upgrade_flatten(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    us_node *nd = &g->nodes.at[n];
    const us_attr *a = us_node_attr(nd, "axis");
    const us_type *x = &g->vals.at[nd->in[0]].type;
    int64_t axis = a ? a->i : 1;
    bool last =
        axis == -1 || (x->kind == US_KIND_TENSOR && x->rank >= 0 && axis == x->rank - 1);
    us_attr now = {.name = US_SV("axis"), .kind = US_AT_INT, .i = -1};
    US_TRY(us_node_set_attr(c, g, n, &now));
    if (last) return US_OK;
    us_builder b = us_b_begin(c, g, "softmax");
    b.before = n;
    us_vid in = g->nodes.at[n].in[0], shape = us_b1(&b, "Shape", in),
           flat = us_b1(&b, "Flatten", in);
    us_b_int(&b, "axis", axis);
    us_vid y = g->nodes.at[n].out[0], back = us_b2(&b, "Reshape", flat, shape);
    US_TRY(us_b_end(&b));
    us_nid reshape = g->vals.at[back].def;
    /* The Reshape must come after the softmax: swap the two nodes' places in the order and their outputs. */
    nd = &g->nodes.at[n];
    nd->in[0] = flat;
    nd->out[0] = back;
    g->vals.at[back].def = n;
    g->nodes.at[reshape].in[0] = back;
    g->nodes.at[reshape].out[0] = y;
    g->vals.at[y].def = reshape;
    return us_graph_sort(c, g);
}

US_INFER_AS(softmax, us_infer_same)
US_INFER_AS(log_softmax, us_infer_same)
US_INFER_AS(hardmax, us_infer_same)

typedef enum kind { PLAIN, LOGARITHM, HARD } kind;

#define LINE(name, T, EXP, LOG)                                                                \
    static void name(const T *x, T *y, int64_t n, int64_t step, kind what)                     \
    {                                                                                          \
        int64_t best = 0;                                                                      \
        for (int64_t i = 1; i < n; i++)                                                        \
            if (x[i * step] > x[best * step]) best = i;                                        \
        const T top = x[best * step];                                                          \
        if (what == HARD) {                                                                    \
            for (int64_t i = 0; i < n; i++)                                                    \
                y[i * step] = i == best;                                                       \
            return;                                                                            \
        }                                                                                      \
        double sum = 0;                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                      \
            T d = x[i * step] - top;                                                           \
            T e = EXP(d);                                                                      \
            sum += (double)e;                                                                  \
            y[i * step] = what == PLAIN ? e : d;                                               \
        }                                                                                      \
        T s = what == PLAIN ? (T)(1 / sum) : (T)log(sum);                                      \
        for (int64_t i = 0; i < n; i++)                                                        \
            y[i * step] = what == PLAIN ? y[i * step] * s : y[i * step] - s;                   \
    }
LINE(line_f32, float, expf, logf)
LINE(line_f64, double, exp, log)

static us_err along_axis(us_eval *k, kind what, us_eval_fn *self)
{
    const us_p_softmax *p = k->params;
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, self);
    if (x.dtype != US_F32 && x.dtype != US_F64) return us_eval_no_type(k, x.dtype);
    int axis = 0;
    if (x.rank > 0) US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    int64_t n = x.rank ? x.dims[axis] : 1, inner = us_dims_product(x.dims, axis + 1, x.rank);
    int64_t outer = us_dims_product(x.dims, 0, axis);
    if (n == 0) return US_OK;
    for (int64_t i = 0; i < outer; i++)
        for (int64_t j = 0; j < inner; j++) {
            int64_t at = i * n * inner + j;
            if (x.dtype == US_F32)
                line_f32((const float *)x.data + at, (float *)y->data + at, n, inner, what);
            else
                line_f64((const double *)x.data + at, (double *)y->data + at, n, inner, what);
        }
    return US_OK;
}
us_err softmax_eval(us_eval *k)
{
    return along_axis(k, PLAIN, softmax_eval);
}
us_err log_softmax_eval(us_eval *k)
{
    return along_axis(k, LOGARITHM, log_softmax_eval);
}
us_err hardmax_eval(us_eval *k)
{
    return along_axis(k, HARD, hardmax_eval);
}
