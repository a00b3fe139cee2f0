/* ir/op_clip.c - Clip: bounds are inputs since opset 11, attributes before. */
#include "ir/op_util.h"

static us_upgrade_fn upgrade_bounds;

/* clang-format off */
static const us_param clip_in[] = {{"input", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_param clip_out[] = {{"output", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_attr_row clip_attrs[] = {
    US_AIS(us_p_clip, consumed_inputs, "consumed_inputs"),
    {.name = "max", .kind = US_AT_FLOAT, .offset = offsetof(us_p_clip, max), .has_offset = offsetof(us_p_clip, has_max)},
    {.name = "min", .kind = US_AT_FLOAT, .offset = offsetof(us_p_clip, min), .has_offset = offsetof(us_p_clip, has_min)},
    US_ATTR_END};
static const us_attr_row clip_attrs_6[] = {
    US_AF(us_p_clip, max, "max", 3.4028235e+38F), US_AF(us_p_clip, min, "min", -3.4028235e+38F), US_ATTR_END};
static const us_param clip_in_11[] = {
    {"input", 'T', US_M_NUM, 0}, {"min", 'T', US_M_NUM, US_P_OPTIONAL}, {"max", 'T', US_M_NUM, US_P_OPTIONAL},
    US_PARAM_END};
const us_schema clip_schemas[] = {
    {1, clip_in, clip_out, clip_attrs, sizeof(us_p_clip), us_upgrade_drop},
    {6, clip_in, clip_out, clip_attrs_6, sizeof(us_p_clip), upgrade_bounds},
    {11, clip_in_11, clip_out, NULL, sizeof(us_p_clip), NULL},
    {12, clip_in_11, clip_out, NULL, sizeof(us_p_clip), NULL},
    {13, clip_in_11, clip_out, NULL, sizeof(us_p_clip), NULL},
    {0}};
/* clang-format on */

static us_err bound_to_input(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *name,
                             size_t i)
{
    us_node *nd = &g->nodes.at[n];
    const us_attr *a = us_node_attr(nd, name);
    if (!a) return US_OK;
    us_dtype t = g->vals.at[nd->in[0]].type.dtype;
    if (t == US_DT_NONE) t = g->vals.at[nd->out[0]].type.dtype;
    if (t == US_DT_NONE)
        t = US_F32; /* the type nearly every such model has; a wrong one is found by infer */
    double v = (double)a->f;
    us_tensor k;
    us_vid id;
    if (!us_dtype_get(t)->from_f64)
        return us_upgrade_fail(c, g, n, "its input does not hold numbers");
    US_TRY(us_tensor_new(c, m->arena, t, 0, NULL, &k));
    us_dtype_get(t)->from_f64(k.data, 0, 1, &v);
    US_TRY(us_graph_add_const(c, g, US_SV(""), US_ST_CONST, &k, &id));
    us_node_del_attr(&g->nodes.at[n], name);
    return us_node_set_input(c, m, g, n, i, id);
}

static us_err upgrade_bounds(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    US_TRY(bound_to_input(c, m, g, n, "min", 1));
    US_TRY(bound_to_input(c, m, g, n, "max", 2));
    return us_upgrade_drop(c, m, g, n);
}

US_INFER_AS(clip, us_infer_same)

us_err clip_eval(us_eval *k)
{
    const us_tensor *x, *lo = us_eval_opt(k, 1), *hi = us_eval_opt(k, 2);
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, clip_eval);
    us_tensor *y;
    US_TRY(us_eval_out(k, 0, x->dtype, x->rank, x->dims, &y));
    if (lo) US_TRY(us_eval_binary_into(k, US_BIN_MAX, y, x, lo));
    if (hi) US_TRY(us_eval_binary_into(k, US_BIN_MIN, y, lo ? y : x, hi));
    return lo || hi ? US_OK : us_tensor_copy(k->c, y, x);
}

us_err clip_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_node *nd = &g->nodes.at[n];
    bool lo = nd->n_in > 1 && nd->in[1] != US_NIL, hi = nd->n_in > 2 && nd->in[2] != US_NIL;
    if (lo && hi) return us_expand_text(c, m, g, n, "y = Min(Max(x0, x1), x2)");
    if (lo) return us_expand_text(c, m, g, n, "y = Max(x0, x1)");
    return us_expand_text(c, m, g, n, hi ? "y = Min(x0, x2)" : "y = x0");
}
