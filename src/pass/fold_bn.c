/* pass/fold_bn.c - BatchNormalization after a Conv, ConvTranspose or Gemm with constant weights disappears into them.
 *
 * y = s * (W x + b - mean) / sqrt(var + eps) + beta = (W k) x + (b - mean) k + beta with k = s / sqrt(var + eps), one k
 * per output channel. The new weights are computed in double and rounded once, so the result differs from the
 * original by rounding only. Holds when nobody else reads what Conv or Gemm gives and all parameters are constants.
 */
#include "pass/passes.h"

#include <math.h>
#include <string.h>

typedef struct bn {
    const us_tensor *scale, *beta, *mean, *var;
    double eps;
    int64_t channels;
} bn;

static bool f32_vector(const us_tensor *t, int64_t n)
{
    return t && t->dtype == US_F32 && t->rank == 1 && t->dims[0] == n && t->data;
}

static bool read_bn(const us_graph *g, const us_node *n, int64_t channels, bn *out)
{
    const us_attr *training = us_node_attr(n, "training_mode"),
                  *eps = us_node_attr(n, "epsilon");
    if (n->n_in != 5 || (training && training->i != 0)) return false;
    for (uint32_t k = 1; k < n->n_out; k++)
        if (n->out[k] != US_NIL) return false;
    *out = (bn){.scale = us_const_tensor(g, n->in[1]),
                .beta = us_const_tensor(g, n->in[2]),
                .mean = us_const_tensor(g, n->in[3]),
                .var = us_const_tensor(g, n->in[4]),
                .eps = eps ? (double)eps->f : 1e-5,
                .channels = channels};
    return f32_vector(out->scale, channels) && f32_vector(out->beta, channels) &&
           f32_vector(out->mean, channels) && f32_vector(out->var, channels);
}

/* Which axis of the weights is the output channel; -1 when the node is not one to fold into. */
static int channel_axis(const us_node *n, const us_tensor *w)
{
    if (us_is_op(n, "", "Conv")) return w->rank >= 3 ? 0 : -1;
    if (us_is_op(n, "", "ConvTranspose")) { /* [C_in, C_out / group, ...] */
        const us_attr *group = us_node_attr(n, "group");
        return w->rank >= 3 && (!group || group->i == 1) ? 1 : -1;
    }
    if (!us_is_op(n, "", "Gemm") || w->rank != 2) return -1;
    const us_attr *alpha = us_node_attr(n, "alpha"), *beta = us_node_attr(n, "beta"),
                  *tb = us_node_attr(n, "transB");
    if ((alpha && alpha->f != 1.0f) || (beta && beta->f != 1.0f)) return -1;
    return tb && tb->i != 0 ? 0 : 1;
}

static double factor(const bn *p, int64_t ch)
{
    return us_tensor_f64_at(p->scale, ch) / sqrt(us_tensor_f64_at(p->var, ch) + p->eps);
}

static us_err scaled_weights(us_ctx *c, us_model *m, const us_tensor *w, int axis, const bn *p,
                             us_tensor *out)
{
    US_TRY(us_tensor_dup(c, m->arena, w, out));
    float *x = out->data;
    int64_t inner = 1, n = us_tensor_count(out);
    for (int32_t d = axis + 1; d < out->rank; d++)
        inner *= out->dims[d];
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] * factor(p, i / inner % p->channels));
    return US_OK;
}

static us_err folded_bias(us_ctx *c, us_model *m, const us_tensor *b, const bn *p,
                          us_tensor *out)
{
    US_TRY(us_tensor_new(c, m->arena, US_F32, 1, &p->channels, out));
    float *y = out->data;
    for (int64_t i = 0; i < p->channels; i++) {
        double old = b ? us_tensor_f64_at(b, i) : 0;
        y[i] = (float)((old - us_tensor_f64_at(p->mean, i)) * factor(p, i) +
                       us_tensor_f64_at(p->beta, i));
    }
    return US_OK;
}

static us_err set_inputs(us_ctx *c, us_model *m, us_node *n, us_vid w, us_vid b)
{
    us_vid *in = us_new_n(m->arena, us_vid, 3);
    if (!in) return us_arena_fail(c, m->arena);
    in[0] = n->in[0];
    in[1] = w;
    in[2] = b;
    n->in = in;
    n->n_in = 3;
    return US_OK;
}

static us_err fold(us_ctx *c, us_model *m, us_graph *g, us_rewire *r, us_nid nid,
                   uint32_t *uses, bool *changed)
{
    const us_node *n = &g->nodes.at[nid];
    if (!us_is_op(n, "", "BatchNormalization") || n->in[0] == US_NIL ||
        us_rewire_is_output(r, n->out[0]))
        return US_OK;
    const us_val *x = &g->vals.at[n->in[0]];
    if (x->storage != US_ST_TEMP || n->in[0] >= r->n || uses[n->in[0]] != 1) return US_OK;
    us_node *lin = &g->nodes.at[x->def];
    const us_tensor *w = lin->n_in >= 2 ? us_const_tensor(g, lin->in[1]) : NULL;
    const us_tensor *b = NULL;
    if (!w || w->dtype != US_F32 || !w->data) return US_OK;
    int axis = channel_axis(lin, w);
    bn p;
    if (axis < 0 || !read_bn(g, n, w->dims[axis], &p)) return US_OK;
    if (lin->n_in > 2 && lin->in[2] != US_NIL) {
        b = us_const_tensor(g, lin->in[2]);
        if (!f32_vector(b, p.channels)) return US_OK;
    }
    us_tensor w2, b2;
    us_vid wv, bv;
    us_nid lin_id = x->def;
    us_vid y = n->out[0], from = n->in[0];
    US_TRY(scaled_weights(c, m, w, axis, &p, &w2));
    US_TRY(folded_bias(c, m, b, &p, &b2));
    US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &w2, &wv));
    US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &b2, &bv));
    US_TRY(set_inputs(c, m, &g->nodes.at[lin_id], wv, bv));
    uses[from] = y < r->n ? uses[y] : 2; /* for the next one in a chain */
    us_rewire_set(r, y, from);
    us_rewire_drop(r, nid);
    *changed = true;
    return US_OK;
}

us_err us_pass_fold_bn(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *a;
    uint32_t *uses;
    us_rewire r = {0};
    US_TRY(us_arena_new(c, "fold-bn", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        us_rewire_node(&r, g->order.at[i]);
        e = fold(c, m, g, &r, g->order.at[i], uses, changed);
    }
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(a);
    return e;
}
