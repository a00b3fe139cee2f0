/* ir/op_pad.c - Pad (constant, reflect, edge, wrap; negative pads cut) and Dropout. */
#include "ir/op_util.h"

#include "base/rng.h"

#include <string.h>

static us_upgrade_fn upgrade_paddings, upgrade_pads, upgrade_ratio;

/* clang-format off */
static const us_param pad_in[] = {{"data", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_param pad_out[] = {{"output", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row pad_attrs[] = {
    US_AS(us_p_pad, mode, "mode", "constant"),
    {.name = "paddings", .kind = US_AT_INTS, .offset = offsetof(us_p_pad, paddings), .required = true},
    US_AF(us_p_pad, value, "value", 0.0F), US_ATTR_END};
static const us_attr_row pad_attrs_2[] = {
    US_AS(us_p_pad, mode, "mode", "constant"),
    {.name = "pads", .kind = US_AT_INTS, .offset = offsetof(us_p_pad, pads), .required = true},
    US_AF(us_p_pad, value, "value", 0.0F), US_ATTR_END};
static const us_param pad_in_11[] = {
    {"data", 'T', US_M_ALL, 0}, {"pads", '\0', US_M(I64), 0}, {"constant_value", 'T', US_M_ALL, US_P_OPTIONAL},
    US_PARAM_END};
static const us_attr_row pad_attrs_11[] = {US_AS(us_p_pad, mode, "mode", "constant"), US_ATTR_END};
static const us_param pad_in_18[] = {
    {"data", 'T', US_M_ALL, 0}, {"pads", '\0', US_M(I64), 0}, {"constant_value", 'T', US_M_ALL, US_P_OPTIONAL},
    {"axes", 'A', US_M(I32) | US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
const us_schema pad_schemas[] = {
    {1, pad_in, pad_out, pad_attrs, sizeof(us_p_pad), upgrade_paddings},
    {2, pad_in, pad_out, pad_attrs_2, sizeof(us_p_pad), upgrade_pads},
    {11, pad_in_11, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {13, pad_in_11, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {18, pad_in_18, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {19, pad_in_18, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {21, pad_in_18, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {23, pad_in_18, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {24, pad_in_18, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {25, pad_in_18, pad_out, pad_attrs_11, sizeof(us_p_pad), NULL},
    {0}};

static const us_param dropout_in[] = {
    {"data", 'T', US_M_FLOATS | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), 0}, US_PARAM_END};
static const us_param dropout_out[] = {
    {"output", 'T', US_M_FLOATS | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), 0},
    {"mask", 'T', US_M_FLOATS | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), US_P_OPTIONAL},
    US_PARAM_END};
static const us_attr_row dropout_attrs[] = {
    US_AIS(us_p_dropout, consumed_inputs, "consumed_inputs"), US_AI(us_p_dropout, is_test, "is_test", 0),
    US_AF(us_p_dropout, ratio, "ratio", 0.5F), US_ATTR_END};
static const us_attr_row dropout_attrs_6[] = {
    US_AI(us_p_dropout, is_test, "is_test", 0), US_AF(us_p_dropout, ratio, "ratio", 0.5F), US_ATTR_END};
static const us_attr_row dropout_attrs_7[] = {US_AF(us_p_dropout, ratio, "ratio", 0.5F), US_ATTR_END};
static const us_param dropout_out_10[] = {
    {"output", 'T', US_M_FLOATS | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), 0},
    {"mask", '1', US_M_FLOATS | US_M(BOOL) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), US_P_OPTIONAL},
    US_PARAM_END};
static const us_param dropout_in_12[] = {
    {"data", 'T', US_M_FLOATS | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), 0},
    {"ratio", '1', US_M_FLOATS | US_M(BOOL) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), US_P_OPTIONAL},
    {"training_mode", '2', US_M(BOOL), US_P_OPTIONAL}, US_PARAM_END};
static const us_param dropout_out_12[] = {
    {"output", 'T', US_M_FLOATS | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ), 0},
    {"mask", '2', US_M(BOOL), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row dropout_attrs_12[] = {
    {.name = "seed", .kind = US_AT_INT, .offset = offsetof(us_p_dropout, seed), .has_offset = offsetof(us_p_dropout, has_seed)},
    US_ATTR_END};
const us_schema dropout_schemas[] = {
    {1, dropout_in, dropout_out, dropout_attrs, sizeof(us_p_dropout), us_upgrade_drop},
    {6, dropout_in, dropout_out, dropout_attrs_6, sizeof(us_p_dropout), us_upgrade_drop},
    {7, dropout_in, dropout_out, dropout_attrs_7, sizeof(us_p_dropout), NULL},
    {10, dropout_in, dropout_out_10, dropout_attrs_7, sizeof(us_p_dropout), upgrade_ratio},
    {12, dropout_in_12, dropout_out_12, dropout_attrs_12, sizeof(us_p_dropout), NULL},
    {13, dropout_in_12, dropout_out_12, dropout_attrs_12, sizeof(us_p_dropout), NULL},
    {22, dropout_in_12, dropout_out_12, dropout_attrs_12, sizeof(us_p_dropout), NULL},
    {0}};
/* clang-format on */

/* --- Pad ----------------------------------------------------------------------------------------- */

static us_err upgrade_paddings(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    const us_attr *a = us_node_attr(&g->nodes.at[n], "paddings");
    if (!a) return US_OK;
    us_attr pads = *a;
    pads.name = US_SV("pads");
    US_TRY(us_node_set_attr(c, g, n, &pads));
    us_node_del_attr(&g->nodes.at[n], "paddings");
    return US_OK;
}

static us_err upgrade_pads(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    US_TRY(us_upgrade_ints_to_input(c, m, g, n, "pads", 1));
    const us_attr *a = us_node_attr(&g->nodes.at[n], "value");
    if (!a || a->f == 0) return us_upgrade_drop(c, m, g, n);
    us_dtype t = g->vals.at[g->nodes.at[n].in[0]].type.dtype;
    double v = (double)a->f;
    us_tensor k;
    us_vid id;
    if (t == US_DT_NONE) t = US_F32;
    if (!us_dtype_get(t)->from_f64)
        return us_upgrade_fail(c, g, n, "its input does not hold numbers");
    US_TRY(us_tensor_new(c, m->arena, t, 0, NULL, &k));
    us_dtype_get(t)->from_f64(k.data, 0, 1, &v);
    US_TRY(us_graph_add_const(c, g, US_SV(""), US_ST_CONST, &k, &id));
    US_TRY(us_node_set_input(c, m, g, n, 2, id));
    return us_upgrade_drop(c, m, g, n);
}

/* pads and axes to begin and end of every dimension; false: they do not fit. */
static bool pads_of(int rank, const int64_t *pads, size_t n, const int64_t *axes, size_t n_axes,
                    int64_t *begin, int64_t *end)
{
    size_t m = axes ? n_axes : (size_t)rank;
    memset(begin, 0, (size_t)rank * sizeof *begin);
    memset(end, 0, (size_t)rank * sizeof *end);
    if (n != 2 * m) return false;
    for (size_t i = 0; i < m; i++) {
        int a;
        if (!us_axis_norm(axes ? axes[i] : (int64_t)i, rank, &a)) return false;
        if (pads[i] < -US_MAX_ELEMENTS || pads[i] > US_MAX_ELEMENTS ||
            pads[m + i] < -US_MAX_ELEMENTS || pads[m + i] > US_MAX_ELEMENTS)
            return false;
        begin[a] = pads[i];
        end[a] = pads[m + i];
    }
    return true;
}

us_err pad_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    int64_t pads[2 * US_MAX_RANK], axes[US_MAX_RANK], begin[US_MAX_RANK], end[US_MAX_RANK];
    size_t n, n_axes = 0;
    us_dim d[US_MAX_RANK];
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    bool known = us_infer_ints(k, 1, 2 * US_MAX_RANK, pads, &n);
    bool by_axes = us_infer_has(k, 3);
    if (by_axes) known = us_infer_ints(k, 3, US_MAX_RANK, axes, &n_axes) && known;
    if (!known) return us_infer_rank(k, 0, US_DT_NONE, x->rank);
    if (!pads_of(x->rank, pads, n, by_axes ? axes : NULL, n_axes, begin, end))
        return us_infer_fail(k, US_SHAPE, "pads do not fit the input's rank");
    for (int i = 0; i < x->rank; i++)
        US_TRY(us_dim_add(k->c, &k->m->syms, x->dims[i], US_DIM(begin[i] + end[i]), &d[i]));
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

enum { CONSTANT, REFLECT, EDGE, WRAP };

int us_pad_mode(us_sv name)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    for (int m = 0; m < (int)US_LEN(names); m++)
        if (us_sv_is(name, names[m])) return m;
    return -1;
}

int64_t us_pad_shows(int mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n) return i;
    if (mode == CONSTANT || n == 0) return -1;
    if (mode == EDGE) return i < 0 ? 0 : n - 1;
    int64_t period = mode == WRAP ? n : 2 * (n - 1);
    if (period == 0) return 0;
    i %= period;
    if (i < 0) i += period;
    return mode == REFLECT && i >= n ? period - i : i;
}

us_err pad_eval(us_eval *k)
{
    const us_p_pad *p = k->params;
    us_tensor x, *y;
    const us_tensor *fill = us_eval_opt(k, 2);
    const int64_t *pads, *axes;
    int64_t begin[US_MAX_RANK], end[US_MAX_RANK], dims[US_MAX_RANK], at[US_MAX_RANK] = {0};
    size_t n, n_axes;
    int mode = us_pad_mode(p->mode);
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_packed(x.dtype)) return us_eval_unpacked(k, x.dtype, pad_eval);
    US_TRY(us_eval_ints(k, 1, &n, &pads));
    US_TRY(us_eval_ints(k, 3, &n_axes, &axes));
    if (mode < 0) return us_eval_fail(k, US_ARG, "mode '" US_SV_FMT "'", US_SV_ARG(p->mode));
    if (!pads_of(x.rank, pads, n, axes, n_axes, begin, end))
        return us_eval_fail(k, US_SHAPE, "pads do not fit an input of rank %d", x.rank);
    if (fill && (fill->dtype != x.dtype || us_tensor_count(fill) != 1))
        return us_eval_fail(k, US_ARG,
                            "constant_value must be one element of the input's type");
    for (int i = 0; i < x.rank; i++) {
        dims[i] = x.dims[i] + begin[i] + end[i];
        if (dims[i] < 0)
            return us_eval_fail(k, US_SHAPE, "dimension %d would be %lld", i,
                                (long long)dims[i]);
        if (dims[i] > 0 && x.dims[i] == 0 && mode != CONSTANT)
            return us_eval_fail(k, US_SHAPE, "nothing to show in dimension %d", i);
    }
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, dims, &y));
    size_t size = us_dtype_get(x.dtype)->bits / 8;
    static const char zeros[16] = {0};
    const void *value = fill ? fill->data : zeros;
    for (int64_t i = 0, all = us_tensor_count(y); i < all; i++) {
        int64_t from = 0;
        for (int j = 0; j < x.rank && from >= 0; j++) {
            int64_t s = us_pad_shows(mode, at[j] - begin[j], x.dims[j]);
            from = s < 0 ? -1 : from + s * x.strides[j];
        }
        memcpy(us_at(y, i), from < 0 ? value : us_at(&x, from), size);
        for (int j = x.rank - 1; j >= 0; j--) {
            if (++at[j] < dims[j]) break;
            at[j] = 0;
        }
    }
    return US_OK;
}

/* --- Dropout ------------------------------------------------------------------------------------- */

/* The attribute ratio becomes an input; without a training flag the operator passes its input through. */
static us_err upgrade_ratio(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_upgrade_drop(c, m, g, n);
}

us_err dropout_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    US_TRY(us_infer_same(k));
    if (k->g->nodes.at[k->n].n_out < 2) return US_OK;
    return x ? us_infer_out(k, 1, US_BOOL, x->rank, x->dims)
             : us_infer_out(k, 1, US_BOOL, -1, NULL);
}

us_err dropout_eval(us_eval *k)
{
    const us_p_dropout *p = k->params;
    us_tensor x, *y, *mask = NULL;
    double ratio, training;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_is_half(x.dtype)) return us_eval_widened(k, x.dtype, dropout_eval);
    US_TRY(us_eval_scalar(k, 1, 0.5, &ratio));
    US_TRY(us_eval_scalar(k, 2, 0, &training));
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    if (us_eval_wants(k, 1)) US_TRY(us_eval_out(k, 1, US_BOOL, x.rank, x.dims, &mask));
    int64_t n = us_tensor_count(&x);
    if (training == 0 || ratio == 0) {
        if (y->data != x.data) US_TRY(us_tensor_copy(k->c, y, &x));
        if (mask && n) memset(mask->data, 1, (size_t)n);
        return US_OK;
    }
    if (x.dtype != US_F32 && x.dtype != US_F64) return us_eval_no_type(k, x.dtype);
    /* keyed by the seed alone: the same bytes on every run and every number of threads */
    us_rng r = us_rng_new(p->has_seed ? (uint64_t)p->seed : 0, "dropout", 0);
    const double scale = 1 / (1 - ratio);
    for (int64_t i = 0; i < n; i++) {
        bool keep = us_rng_f64(&r) >= ratio;
        double v = keep ? us_tensor_f64_at(&x, i) * scale : 0;
        us_dtype_get(x.dtype)->from_f64(y->data, (size_t)i, 1, &v);
        if (mask) ((uint8_t *)mask->data)[i] = keep;
    }
    return US_OK;
}
