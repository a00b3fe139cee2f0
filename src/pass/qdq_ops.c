/* pass/qdq_ops.c - what becomes of each operator's group: the rows of qdq.c.
 *
 * Products become QLinearConv, QLinearMatMul and com.microsoft's QGemm, whose int32 bias has the scale of the product; elementwise
 * operators and averages com.microsoft's QLinear forms; what only moves values, or takes the largest, runs on the
 * integers when scale and zero point are the same before and after.
 */
#include "pass/qdq.h"

#include <math.h>
#include <string.h>

#define MS "com.microsoft"

static us_err take(us_qdq *p, const us_quant *q, us_vid *in)
{
    in[0] = q->x;
    in[1] = q->scale;
    return us_qdq_zero(p, q, &in[2]);
}

/* --- products ------------------------------------------------------------------------------------------------ */

static int rank_of(const us_graph *g, us_vid v)
{
    const us_type *t = &g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR ? t->rank : -1;
}

/* One scale, or one for each index of `axis`. */
static bool is_along(const us_graph *g, const us_quant *q, int axis)
{
    int rank = rank_of(g, q->x);
    if (us_quant_is_one(q)) return true;
    if (rank < 1 || q->s->rank != 1) return false;
    const us_dim *d = &g->vals.at[q->x].type.dims[axis];
    int64_t at = q->axis < 0 ? q->axis + rank : q->axis;
    return at == axis && us_dim_known(*d) && d->add == us_tensor_count(q->s);
}

/* Types that the integer products take: signed values want signed weights. */
static bool right_types(const us_qdq *p)
{
    return us_quant_is_8bit(&p->in[0]) && us_quant_is_8bit(&p->in[1]) &&
           us_quant_is_one(&p->in[0]) && p->y.type == p->in[0].type &&
           (p->in[0].type == US_U8 || p->in[1].type == US_I8);
}

static double product_scale(const us_qdq *p, int64_t i)
{
    const us_tensor *w = p->in[1].s;
    return us_tensor_f64_at(p->in[0].s, 0) *
           us_tensor_f64_at(w, us_tensor_count(w) == 1 ? 0 : i);
}

/* An int32 bias with the product's scale and no zero point. */
static bool is_bias(const us_qdq *p, const us_quant *b)
{
    const us_tensor *w = p->in[1].s;
    if (b->type != US_I32) return false;
    for (int64_t i = 0; b->z && i < us_tensor_count(b->z); i++)
        if (us_tensor_i64_at(b->z, i) != 0) return false;
    if (!us_quant_is_one(b) && us_tensor_count(b->s) < us_tensor_count(w)) return false;
    for (int64_t i = 0; i < US_MAX(us_tensor_count(b->s), us_tensor_count(w)); i++) {
        double want = product_scale(p, i),
               got = us_tensor_f64_at(b->s, us_quant_is_one(b) ? 0 : i);
        if (us_tensor_count(w) != 1 && i >= us_tensor_count(w)) return false;
        if (!(fabs(got - want) <= 1e-4 * want)) return false;
    }
    return true;
}

/* A constant float bias as integers: what a quantiser that leaves the bias alone means. */
static us_err round_bias(us_qdq *p, const us_tensor *b, us_vid *out)
{
    us_tensor t;
    US_TRY(us_tensor_new(p->c, p->m->arena, US_I32, b->rank, b->dims, &t));
    for (int64_t i = 0; i < us_tensor_count(b); i++) {
        double q = nearbyint(us_tensor_f64_at(b, i) / product_scale(p, i));
        q = isnan(q) ? 0 : fmin(fmax(q, INT32_MIN), INT32_MAX);
        ((int32_t *)t.data)[i] = (int32_t)q;
    }
    return us_graph_add_const(p->c, p->g, (us_sv){0}, US_ST_CONST, &t, out);
}

/* The bias as input of the integer operator; false: none that it takes. */
static us_err bias(us_qdq *p, us_vid *out, bool *good)
{
    const us_node *n = &p->g->nodes.at[p->op];
    *out = US_NIL;
    *good = true;
    if (n->n_in < 3 || n->in[2] == US_NIL) return US_OK;
    if (p->in[2].node != US_NIL) {
        *out = p->in[2].x;
        *good = is_bias(p, &p->in[2]);
        return US_OK;
    }
    const us_tensor *b = us_const_tensor(p->g, n->in[2]), *w = p->in[1].s;
    *good = b && b->data && b->dtype == US_F32 && b->rank == 1 &&
            (us_tensor_count(w) == 1 || us_tensor_count(w) == us_tensor_count(b));
    return *good ? round_bias(p, b, out) : US_OK;
}

static const char *const other_types =
    "not as integers: types or scales of the operands that integer products do not take";
static const char *const other_axis =
    "not as integers: weights are scaled along another axis than that of the results";
static const char *const other_bias = "not as integers: the bias is not of the product's scale";

us_err us_qdq_conv(us_qdq *p, bool *done)
{
    us_vid in[9], b;
    bool good;
    p->why = other_types;
    if (!right_types(p)) return US_OK;
    p->why = other_axis;
    if (!is_along(p->g, &p->in[1], 0)) return US_OK;
    p->why = other_bias;
    US_TRY(bias(p, &b, &good));
    if (!good) return US_OK;
    US_TRY(take(p, &p->in[0], in));
    US_TRY(take(p, &p->in[1], in + 3));
    in[6] = p->y.scale;
    US_TRY(us_qdq_zero(p, &p->y, &in[7]));
    in[8] = b;
    *done = true;
    return us_qdq_emit(p, "", US_SV("QLinearConv"), 10, b == US_NIL ? 8 : 9, in, NULL);
}

us_err us_qdq_matmul(us_qdq *p, bool *done)
{
    us_vid in[8];
    int rank = rank_of(p->g, p->in[1].x);
    p->why = other_types;
    if (!right_types(p)) return US_OK;
    p->why = other_axis;
    if (rank < 1 || !is_along(p->g, &p->in[1], rank - 1)) return US_OK;
    if (!us_quant_is_one(&p->in[1]) && rank != 2) return US_OK;
    US_TRY(take(p, &p->in[0], in));
    US_TRY(take(p, &p->in[1], in + 3));
    in[6] = p->y.scale;
    US_TRY(us_qdq_zero(p, &p->y, &in[7]));
    *done = true;
    return us_qdq_emit(p, "", US_SV("QLinearMatMul"), 10, 8, in, NULL);
}

us_err us_qdq_gemm(us_qdq *p, bool *done)
{
    const us_node *n = &p->g->nodes.at[p->op];
    const us_attr *beta = us_node_attr(n, "beta"), *tb = us_node_attr(n, "transB"),
                  *alpha = us_node_attr(n, "alpha");
    us_vid in[9], b;
    bool good;
    p->why = other_types;
    if (!right_types(p) || rank_of(p->g, p->in[1].x) != 2) return US_OK;
    p->why = other_axis;
    if (!is_along(p->g, &p->in[1], tb && tb->i != 0 ? 0 : 1)) return US_OK;
    p->why = other_bias;
    US_TRY(bias(p, &b, &good));
    /* the bias is added to the integers, so what it is multiplied by is alpha */
    if (!good || (b != US_NIL && ((beta && beta->f != 1.0F) || (alpha && alpha->f != 1.0F))))
        return US_OK;
    US_TRY(take(p, &p->in[0], in));
    US_TRY(take(p, &p->in[1], in + 3));
    in[6] = b;
    in[7] = p->y.scale;
    US_TRY(us_qdq_zero(p, &p->y, &in[8]));
    *done = true;
    return us_qdq_emit(p, MS, US_SV("QGemm"), 1, 9, in, "beta");
}

/* --- elementwise operators and averages ------------------------------------------------------------------------- */

static bool same_8bit(const us_qdq *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!us_quant_is_8bit(&p->in[i]) || !us_quant_is_one(&p->in[i]) ||
            p->in[i].type != p->y.type)
            return false;
    return true;
}

/* The operator's name with QLinear in front. */
static us_sv qlinear_name(const us_qdq *p)
{
    static const char *const names[] = {
        "QLinearAdd",       "QLinearMul",     "QLinearAveragePool", "QLinearGlobalAveragePool",
        "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax"};
    us_sv op = p->g->nodes.at[p->op].op_type;
    for (size_t i = 0; i < US_LEN(names); i++)
        if (us_sv_is(op, names[i] + strlen("QLinear"))) return us_sv_of(names[i]);
    return (us_sv){0};
}

us_err us_qdq_two(us_qdq *p, bool *done)
{
    us_vid in[8];
    if (!same_8bit(p, 2)) return US_OK;
    US_TRY(take(p, &p->in[0], in));
    US_TRY(take(p, &p->in[1], in + 3));
    in[6] = p->y.scale;
    US_TRY(us_qdq_zero(p, &p->y, &in[7]));
    *done = true;
    return us_qdq_emit(p, MS, qlinear_name(p), 1, 8, in, NULL);
}

static us_err one(us_qdq *p, bool *done)
{
    us_vid in[5];
    US_TRY(take(p, &p->in[0], in));
    in[3] = p->y.scale;
    US_TRY(us_qdq_zero(p, &p->y, &in[4]));
    *done = true;
    return us_qdq_emit(p, MS, qlinear_name(p), 1, 5, in, "dilations");
}

us_err us_qdq_one(us_qdq *p, bool *done)
{
    const us_attr *d = us_node_attr(&p->g->nodes.at[p->op], "dilations");
    for (size_t i = 0; d && i < d->n; i++)
        if (d->ints[i] != 1) return US_OK; /* QLinearAveragePool has none */
    return same_8bit(p, 1) ? one(p, done) : US_OK;
}

/* QLinearSoftmax asks in which version's way the axis is meant; nodes are in the current one. */
us_err us_qdq_softmax(us_qdq *p, bool *done)
{
    static const us_attr opset = {.name = {"opset", 5}, .kind = US_AT_INT, .i = 13};
    if (!same_8bit(p, 1)) return US_OK;
    US_TRY(us_node_set_attr(p->c, p->g, p->op, &opset)); /* the node goes now */
    return one(p, done);
}

/* --- what moves values ------------------------------------------------------------------------------------------ */

/* The same operator on the first n inputs' integers. */
static us_err on_integers(us_qdq *p, uint32_t n, bool *done)
{
    const us_node *op = &p->g->nodes.at[p->op];
    us_vid in[US_QDQ_MAX_IN];
    p->why = "not as integers: the scale is another before and after";
    for (uint32_t i = 0; i < n; i++)
        if (!us_quant_is_8bit(&p->in[i]) || !us_quant_eq(&p->in[i], &p->y)) return US_OK;
    for (uint32_t i = 0; i < op->n_in; i++)
        in[i] = i < n ? p->in[i].x : op->in[i];
    *done = true;
    return us_qdq_emit(p, "", op->op_type, op->version, op->n_in, in, NULL);
}

us_err us_qdq_move(us_qdq *p, bool *done)
{
    return on_integers(p, 1, done);
}

/* On integers when nothing changes the scale, else through QLinearConcat. */
us_err us_qdq_concat(us_qdq *p, bool *done)
{
    uint32_t n = p->g->nodes.at[p->op].n_in;
    us_vid in[2 + 3 * US_QDQ_MAX_IN];
    bool same = true;
    for (uint32_t i = 0; i < n; i++) {
        if (p->in[i].node == US_NIL || !us_quant_is_8bit(&p->in[i]) ||
            !us_quant_is_one(&p->in[i]) || p->in[i].type != p->y.type)
            return US_OK;
        same = same && us_quant_eq(&p->in[i], &p->y);
    }
    if (same) return on_integers(p, n, done);
    in[0] = p->y.scale;
    US_TRY(us_qdq_zero(p, &p->y, &in[1]));
    for (uint32_t i = 0; i < n; i++)
        US_TRY(take(p, &p->in[i], in + 2 + 3 * (size_t)i));
    *done = true;
    return us_qdq_emit(p, MS, US_SV("QLinearConcat"), 1, 2 + 3 * (size_t)n, in, NULL);
}

/* The largest stays the largest under a positive scale. */
us_err us_qdq_maxpool(us_qdq *p, bool *done)
{
    return us_tensor_f64_at(p->in[0].s, 0) > 0 ? on_integers(p, 1, done) : US_OK;
}

us_err us_qdq_resize(us_qdq *p, bool *done)
{
    const us_attr *mode = us_node_attr(&p->g->nodes.at[p->op], "mode"),
                  *crop =
                      us_node_attr(&p->g->nodes.at[p->op], "coordinate_transformation_mode");
    if (mode && !us_sv_is(mode->s, "nearest")) return US_OK;
    if (crop && us_sv_is(crop->s, "tf_crop_and_resize"))
        return US_OK; /* a float beyond the border */
    return on_integers(p, 1, done);
}
