/* pass/qdq.c - islands of float between DequantizeLinear and QuantizeLinear run as integers.
 *
 * Quantisers mark the arithmetic they mean by such pairs around float operators. Run literally, a value beside a rounding border
 * depends on the order of a float sum; the integer operators sum exactly and round once, which is what ONNX Runtime runs at
 * its default optimisation and what a device with integer arithmetic gives. Which groups are replaced follows its selectors
 * (core/optimizer/qdq_transformer): every input that the operator computes with is dequantised, the result is read by one
 * QuantizeLinear only, and a Relu or Clip between them cuts off nothing that rounding to the type does not. Scales and zero
 * points must be constants. A DequantizeLinear that several nodes read serves each; it goes when the last does.
 *
 * Runs before constants are folded, which would make floats of quantised weights. Identity and Cast to the same type, as PyTorch
 * writes them between the pair, are looked through.
 */
#include "pass/qdq.h"

#include <math.h>
#include <string.h>

/* --- scales and zero points ------------------------------------------------------------------------------ */

/* v, or what it is a copy of. */
static us_vid origin(const us_graph *g, us_vid v)
{
    for (int i = 0; i < 8 && v != US_NIL && g->vals.at[v].storage == US_ST_TEMP; i++) {
        us_nid nid = g->vals.at[v].def;
        if (nid == US_NIL) break;
        const us_node *n = &g->nodes.at[nid];
        bool copy = us_is_op(n, "", "Identity") ||
                    (us_is_op(n, "", "Cast") && n->n_in == 1 && n->in[0] != US_NIL &&
                     g->vals.at[n->in[0]].type.kind == US_KIND_TENSOR &&
                     g->vals.at[n->in[0]].type.dtype != US_DT_NONE &&
                     g->vals.at[n->in[0]].type.dtype == g->vals.at[v].type.dtype);
        if (!copy || n->n_in != 1 || n->in[0] == US_NIL) break;
        v = n->in[0];
    }
    return v;
}

static bool some(const us_tensor *t)
{
    return t && t->data && us_tensor_count(t) > 0 && t->rank <= 1;
}

bool us_quant_read(const us_graph *g, us_nid nid, us_quant *q)
{
    const us_node *n = &g->nodes.at[nid];
    if (n->n_in < 2 || n->in[0] == US_NIL || n->in[1] == US_NIL || n->out[0] == US_NIL)
        return false;
    bool quantizes = us_is_op(n, "", "QuantizeLinear");
    if (!quantizes && !us_is_op(n, "", "DequantizeLinear")) return false;
    const us_attr *axis = us_node_attr(n, "axis"), *block = us_node_attr(n, "block_size");
    if (block && block->i != 0) return false;
    *q = (us_quant){.node = nid, .scale = origin(g, n->in[1]), .zero = US_NIL};
    q->axis = axis ? axis->i : 1;
    q->x = quantizes ? n->out[0] : origin(g, n->in[0]);
    q->type = g->vals.at[q->x].type.dtype;
    q->s = us_const_tensor(g, q->scale);
    if (!some(q->s) || q->s->dtype != US_F32) return false;
    if (n->n_in > 2 && n->in[2] != US_NIL) {
        q->zero = origin(g, n->in[2]);
        q->z = us_const_tensor(g, q->zero);
        if (!some(q->z) || q->z->dtype != q->type) return false;
        if (us_tensor_count(q->z) != us_tensor_count(q->s)) return false;
    }
    const us_type *real = &g->vals.at[quantizes ? n->in[0] : n->out[0]].type;
    return real->kind == US_KIND_TENSOR && real->dtype == US_F32;
}

bool us_quant_is_one(const us_quant *q)
{
    return us_tensor_count(q->s) == 1;
}

bool us_quant_is_8bit(const us_quant *q)
{
    return q->type == US_U8 || q->type == US_I8;
}

static int64_t zero_of(const us_quant *q)
{
    return q->z ? us_tensor_i64_at(q->z, 0) : 0;
}

bool us_quant_eq(const us_quant *a, const us_quant *b)
{
    return us_quant_is_one(a) && us_quant_is_one(b) && a->type == b->type &&
           us_tensor_f64_at(a->s, 0) == us_tensor_f64_at(b->s, 0) && zero_of(a) == zero_of(b);
}

us_err us_qdq_zero(us_qdq *p, const us_quant *q, us_vid *out)
{
    us_tensor t;
    *out = q->zero;
    if (q->zero != US_NIL) return US_OK;
    US_TRY(us_tensor_new(p->c, p->m->arena, q->type, q->s->rank, q->s->dims, &t));
    return us_graph_add_const(p->c, p->g, (us_sv){0}, US_ST_CONST, &t, out);
}

/* --- the group's end ---------------------------------------------------------------------------------------- */

static bool clip_bound(const us_graph *g, const us_node *n, uint32_t i, double fallback,
                       double *out)
{
    *out = fallback;
    if (i >= n->n_in || n->in[i] == US_NIL) return true;
    const us_tensor *t = us_const_tensor(g, origin(g, n->in[i]));
    if (!t || !t->data || us_tensor_count(t) != 1) return false;
    *out = us_tensor_f64_at(t, 0);
    return true;
}

/* Rounding to y's type cuts off all that this node does. */
static bool is_redundant(const us_graph *g, const us_node *n, const us_quant *y)
{
    double lo = 0, hi = (double)INFINITY, scale = us_tensor_f64_at(y->s, 0);
    bool is_signed = y->type == US_I8;
    double least = (double)((is_signed ? -128 : 0) - zero_of(y)) * scale,
           most = (double)((is_signed ? 127 : 255) - zero_of(y)) * scale;
    if (!us_quant_is_8bit(y) || !us_quant_is_one(y)) return false;
    if (us_is_op(n, "", "Clip")) {
        if (!clip_bound(g, n, 1, -(double)INFINITY, &lo) ||
            !clip_bound(g, n, 2, (double)INFINITY, &hi))
            return false;
    } else if (!us_is_op(n, "", "Relu")) {
        return false;
    }
    double slack = 255e-6 * scale; /* bounds are written in float */
    return scale > 0 && lo <= least + slack && hi >= most - slack;
}

static bool read_once(const us_qdq *p, us_vid v)
{
    return v < p->r.n && p->uses[v] == 1 && !us_rewire_is_output(&p->r, v) &&
           p->g->vals.at[v].storage == US_ST_TEMP && p->g->vals.at[v].def != US_NIL;
}

/* The operator whose result QuantizeLinear `q` reads, past one Relu or Clip. */
static us_nid group_op(const us_qdq *p, const us_node *q, const us_quant *y)
{
    if (!read_once(p, q->in[0])) return US_NIL;
    us_nid nid = p->g->vals.at[q->in[0]].def;
    const us_node *n = &p->g->nodes.at[nid];
    if (!is_redundant(p->g, n, y) || n->n_in < 1 || n->in[0] == US_NIL) return nid;
    return read_once(p, n->in[0]) ? p->g->vals.at[n->in[0]].def : US_NIL;
}

static void release(us_qdq *p, us_vid v)
{
    if (v >= p->r.n || p->uses[v] == 0 || --p->uses[v] > 0) return;
    us_nid def = p->g->vals.at[v].def;
    if (p->g->vals.at[v].storage != US_ST_TEMP || def == US_NIL ||
        us_rewire_is_output(&p->r, v))
        return;
    const us_node *n = &p->g->nodes.at[def];
    if (n->dead || n->n_out != 1) return;
    us_vid from[US_QDQ_MAX_IN];
    uint32_t n_in = US_MIN(n->n_in, (uint32_t)US_QDQ_MAX_IN);
    memcpy(from, n->in, n_in * sizeof *from);
    us_rewire_drop(&p->r, def);
    for (uint32_t i = 0; i < n_in; i++)
        if (from[i] != US_NIL) release(p, from[i]);
}

us_err us_qdq_emit(us_qdq *p, const char *domain, us_sv type, int version, size_t n_in,
                   const us_vid *in, const char *without)
{
    us_nid made;
    us_graph *g = p->g;
    us_vid out = g->nodes.at[p->last].out[0];
    us_sv name = g->nodes.at[p->op].name;
    us_vid old[US_QDQ_MAX_IN];
    uint32_t n_old = US_MIN(g->nodes.at[p->last].n_in, (uint32_t)US_QDQ_MAX_IN);
    memcpy(old, g->nodes.at[p->last].in, n_old * sizeof *old);
    us_rewire_drop(&p->r, p->last);
    US_TRY(us_graph_add_node(p->c, g, us_sv_of(domain), type, version, name, n_in, in, 1, &out,
                             p->last, &made));
    for (uint32_t i = 0; i < g->nodes.at[p->op].n_attrs; i++) {
        us_attr a = g->nodes.at[p->op].attrs[i];
        if (!without || !us_sv_is(a.name, without)) US_TRY(us_node_set_attr(p->c, g, made, &a));
    }
    for (size_t i = 0; i < n_in; i++)
        if (in[i] < p->r.n) p->uses[in[i]]++;
    for (uint32_t i = 0; i < n_old; i++)
        if (old[i] != US_NIL) release(p, old[i]);
    return US_OK;
}

/* --- the table -------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct row {
    const char *name;
    uint32_t n_min, n_max; /* inputs that are dequantised, from the first */
    us_qdq_fn *fuse;
} rows[] = {
    {"Conv", 2, 3, us_qdq_conv},           {"MatMul", 2, 2, us_qdq_matmul},
    {"Gemm", 2, 3, us_qdq_gemm},           {"Add", 2, 2, us_qdq_two},
    {"Mul", 2, 2, us_qdq_two},             {"AveragePool", 1, 1, us_qdq_one},
    {"GlobalAveragePool", 1, 1, us_qdq_one}, {"LeakyRelu", 1, 1, us_qdq_one},
    {"Sigmoid", 1, 1, us_qdq_one},         {"Softmax", 1, 1, us_qdq_softmax},
    {"Concat", 1, US_QDQ_MAX_IN, us_qdq_concat}, {"MaxPool", 1, 1, us_qdq_maxpool},
    {"Resize", 1, 1, us_qdq_resize},       {"Expand", 1, 1, us_qdq_move},
    {"Flatten", 1, 1, us_qdq_move},        {"Gather", 1, 1, us_qdq_move},
    {"GatherElements", 1, 1, us_qdq_move}, {"Reshape", 1, 1, us_qdq_move},
    {"Slice", 1, 1, us_qdq_move},          {"Squeeze", 1, 1, us_qdq_move},
    {"Tile", 1, 1, us_qdq_move},           {"Transpose", 1, 1, us_qdq_move},
    {"Unsqueeze", 1, 1, us_qdq_move},
};
/* clang-format on */

static const struct row *find_row(const us_node *n)
{
    if (n->dead || n->domain.n != 0 || n->n_out != 1 || n->n_in > US_QDQ_MAX_IN) return NULL;
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_sv_is(n->op_type, rows[i].name)) return &rows[i];
    return NULL;
}

/* The dequantised inputs of the operator; in[i].node US_NIL where an input is none. */
static bool read_inputs(us_qdq *p, const struct row *w)
{
    const us_node *n = &p->g->nodes.at[p->op];
    for (uint32_t i = 0; i < US_QDQ_MAX_IN; i++) {
        p->in[i] = (us_quant){.node = US_NIL};
        if (i >= n->n_in || i >= w->n_max || n->in[i] == US_NIL) continue;
        us_vid v = origin(p->g, n->in[i]);
        const us_val *val = &p->g->vals.at[v];
        us_nid def = val->storage == US_ST_TEMP ? val->def : US_NIL;
        if (def != US_NIL && us_is_op(&p->g->nodes.at[def], "", "DequantizeLinear") &&
            !us_quant_read(p->g, def, &p->in[i]))
            p->in[i].node = US_NIL;
    }
    for (uint32_t i = 0; i < w->n_min; i++)
        if (p->in[i].node == US_NIL) return false;
    return true;
}

static const char *const not_constant =
    "not as integers: a scale or zero point is not constant, or not float32";

/* Whether the group in front of QuantizeLinear nid can be looked at: the operator, its row, its inputs. */
static const struct row *look(us_qdq *p, us_nid nid)
{
    const us_node *n = &p->g->nodes.at[nid];
    p->why = not_constant;
    if (!us_quant_read(p->g, nid, &p->y)) return NULL;
    p->why = "not as integers: the result is not of 8 bits with one scale";
    if (!us_quant_is_8bit(&p->y) || !us_quant_is_one(&p->y)) return NULL;
    p->last = nid;
    p->op = group_op(p, n, &p->y);
    p->why = "not as integers: others read the float result too";
    if (p->op == US_NIL) return NULL;
    const struct row *w = find_row(&p->g->nodes.at[p->op]);
    p->why = "not as integers: the operator has no form for them";
    if (!w) return NULL;
    p->why = "not as integers: an operand is not dequantised, or not by constants";
    return read_inputs(p, w) ? w : NULL;
}

/* v is computed, in one step or two, of what was dequantised; else integers begin behind it. */
static bool is_island(const us_qdq *p, us_vid v)
{
    for (int steps = 0; steps < 2; steps++) {
        us_nid def = v == US_NIL ? US_NIL : p->g->vals.at[v].def;
        if (def == US_NIL) return false;
        const us_node *n = &p->g->nodes.at[def];
        for (uint32_t i = 0; i < n->n_in; i++) {
            us_vid x = n->in[i] == US_NIL ? US_NIL : origin(p->g, n->in[i]);
            us_nid by = x == US_NIL ? US_NIL : p->g->vals.at[x].def;
            if (by != US_NIL && us_is_op(&p->g->nodes.at[by], "", "DequantizeLinear"))
                return true;
        }
        v = n->n_in > 0 ? n->in[0] : US_NIL;
    }
    return false;
}

static us_err visit(us_qdq *p, us_nid nid, bool *changed)
{
    bool done = false;
    us_vid x = p->g->nodes.at[nid].n_in > 0 ? p->g->nodes.at[nid].in[0] : US_NIL;
    if (!us_is_op(&p->g->nodes.at[nid], "", "QuantizeLinear") || x == US_NIL) return US_OK;
    if (p->g->vals.at[x].def == US_NIL) return US_OK; /* an input becomes integers here */
    const struct row *w = look(p, nid);
    if (w) {
        p->why = "not as integers: types, scales or attributes that no form has";
        US_TRY(w->fuse(p, &done));
    }
    if (!done && is_island(p, x)) p->g->nodes.at[nid].note = p->why;
    *changed = *changed || done;
    return US_OK;
}

/* What is left of DequantizeLinear in front of operators: they compute in float. */
static void note_rest(us_qdq *p)
{
    for (size_t i = 0; i < p->g->order.n; i++) {
        const us_node *n = &p->g->nodes.at[p->g->order.at[i]];
        if (n->dead || us_is_op(n, "", "QuantizeLinear")) continue;
        for (uint32_t k = 0; k < n->n_in; k++) {
            us_vid v = n->in[k] == US_NIL ? US_NIL : origin(p->g, n->in[k]);
            us_nid def = v == US_NIL ? US_NIL : p->g->vals.at[v].def;
            if (def != US_NIL && us_is_op(&p->g->nodes.at[def], "", "DequantizeLinear"))
                p->g->nodes.at[def].note = "an operator that reads it runs in float: see its "
                                           "QuantizeLinear, if there is one";
        }
    }
}

us_err us_pass_qdq(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *a;
    us_qdq p = {.c = c, .m = m, .g = g};
    US_TRY(us_arena_new(c, "qdq", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &p.uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &p.r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        size_t before = g->order.n;
        if (!g->nodes.at[g->order.at[i]].dead) e = visit(&p, g->order.at[i], changed);
        i += g->order.n - before; /* the new node stands in front of the QuantizeLinear */
    }
    if (e == US_OK) note_rest(&p);
    if (e == US_OK) us_rewire_end(&p.r);
    us_arena_free(a);
    return e;
}
