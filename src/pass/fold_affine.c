/* pass/fold_affine.c - what is done per channel after a Conv, ConvTranspose, Gemm or MatMul with constant weights disappears
 * into them: BatchNormalization (fold-bn), and Mul, Div, Add and Sub of a constant (fold-scale).
 *
 * All are y = k z + s with one k and one s per output channel of z = W x + b, so y = (k W) x + (k b + s). For
 * BatchNormalization k = scale / sqrt(var + eps) and s = beta - k mean. The new weights are computed in double and rounded once, so the
 * result differs from the original by rounding only. Holds when nobody else reads z and all parameters are constants;
 * MatMul has no bias, so its s must be zero. The later node becomes the product: its output, a graph's perhaps, keeps its name.
 */
#include "pass/passes.h"

#include <math.h>
#include <string.h>

#include "ir/later.h"

typedef struct affine {
    double *k, *s; /* per channel */
    int64_t n;
    bool scales, shifts; /* some k is not 1; some s is not 0 */
} affine;

/* z = W x + b, as far as this can be said of a node. */
typedef struct product {
    const us_tensor *w, *b; /* b: NULL, or n numbers */
    int axis;               /* of W: the output channel */
    int64_t n;              /* channels */
    bool channel_last;      /* the channel is the last axis of z, else the second */
    bool no_bias;           /* cannot have one */
} product;

/* --- products ---------------------------------------------------------------------------------------------- */

static bool f32_vector(const us_tensor *t, int64_t n)
{
    return t && t->dtype == US_F32 && t->rank == 1 && t->dims[0] == n && t->data;
}

/* alpha and beta are 1, A is not transposed into something else by an old broadcast. */
static bool plain_gemm(const us_node *n)
{
    const us_attr *alpha = us_node_attr(n, "alpha"), *beta = us_node_attr(n, "beta");
    return n->version >= 7 && (!alpha || alpha->f == 1.0f) && (!beta || beta->f == 1.0f);
}

/* Which axis of the weights is the output channel; -1 when the node is not one to fold into. */
static int channel_axis(const us_node *n, const us_tensor *w)
{
    if (us_is_op(n, "", "Conv")) return w->rank >= 3 ? 0 : -1;
    if (us_is_op(n, "", "ConvTranspose")) { /* [C_in, C_out / group, ...] */
        const us_attr *group = us_node_attr(n, "group");
        return w->rank >= 3 && (!group || group->i == 1) ? 1 : -1;
    }
    if (us_is_op(n, "", "MatMul")) return w->rank == 2 ? 1 : -1;
    if (!us_is_op(n, "", "Gemm") || w->rank != 2 || !plain_gemm(n)) return -1;
    const us_attr *tb = us_node_attr(n, "transB");
    return tb && tb->i != 0 ? 0 : 1;
}

static bool read_product(const us_graph *g, const us_node *n, product *p)
{
    const us_tensor *w = n->n_in >= 2 ? us_const_shape(g, n->in[1]) : NULL;
    if (!w || w->dtype != US_F32 || !w->data || n->n_out != 1 || !us_tensor_contiguous(w))
        return false;
    *p = (product){.w = w, .axis = channel_axis(n, w)};
    if (p->axis < 0) return false;
    p->n = w->dims[p->axis];
    p->no_bias = us_is_op(n, "", "MatMul");
    p->channel_last = p->no_bias;
    if (n->n_in < 3 || n->in[2] == US_NIL) return true;
    p->b = us_const_tensor(g, n->in[2]);
    return f32_vector(p->b, p->n);
}

/* --- what follows them ---------------------------------------------------------------------------------------- */

static us_err affine_new(us_ctx *c, us_arena *a, int64_t n, affine *f)
{
    f->n = n;
    f->k = us_new_n(a, double, (size_t)n);
    f->s = us_new_n(a, double, (size_t)n);
    return f->k && f->s ? US_OK : us_arena_fail(c, a);
}

/* Numbers that a file can hold; what they change. */
static bool settle(affine *f)
{
    for (int64_t i = 0; i < f->n; i++) {
        if (!isfinite(f->k[i]) || !isfinite(f->s[i])) return false;
        f->scales = f->scales || f->k[i] != 1;
        f->shifts = f->shifts || f->s[i] != 0;
    }
    return true;
}

static bool read_bn(const us_graph *g, const us_node *n, affine *f)
{
    const us_attr *training = us_node_attr(n, "training_mode"),
                  *eps = us_node_attr(n, "epsilon");
    const us_tensor *t[4];
    if (n->n_in != 5 || (training && training->i != 0)) return false;
    for (uint32_t k = 1; k < n->n_out; k++)
        if (n->out[k] != US_NIL) return false;
    for (uint32_t k = 0; k < 4; k++) {
        t[k] = us_const_tensor(g, n->in[k + 1]);
        if (!f32_vector(t[k], f->n)) return false;
    }
    for (int64_t i = 0; i < f->n; i++) {
        f->k[i] = us_tensor_f64_at(t[0], i) /
                  sqrt(us_tensor_f64_at(t[3], i) + (eps ? (double)eps->f : 1e-5));
        f->s[i] = us_tensor_f64_at(t[1], i) - us_tensor_f64_at(t[2], i) * f->k[i];
    }
    return settle(f);
}

/* A constant that is one number, or one per channel, seen from a value of `rank` axes: *per_channel says which. */
static bool by_channel(const us_tensor *t, int32_t rank, bool last, int64_t n,
                       bool *per_channel)
{
    if (!t || t->dtype != US_F32 || !t->data || rank < 2 || t->rank > rank) return false;
    int32_t channel = (last ? rank - 1 : 1) - (rank - t->rank);
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] != 1 && (d != channel || t->dims[d] != n)) return false;
    *per_channel = us_tensor_count(t) != 1;
    return true;
}

/* z op t, or t op z where the order does not matter. */
static bool read_scale(const us_graph *g, const us_node *n, uint32_t at, const product *p,
                       affine *f)
{
    const us_type *z = &g->vals.at[n->in[at]].type;
    const us_tensor *t = us_const_tensor(g, n->in[1 - at]);
    bool mul = us_is_op(n, "", "Mul"), div = us_is_op(n, "", "Div"),
         add = us_is_op(n, "", "Add");
    bool per_channel;
    int32_t rank = z->kind == US_KIND_TENSOR ? z->rank : -1;
    if ((at == 1 && !mul && !add) || !by_channel(t, rank, p->channel_last, f->n, &per_channel))
        return false;
    for (int64_t i = 0; i < f->n; i++) {
        double v = us_tensor_f64_at(t, per_channel ? i : 0);
        f->k[i] = mul ? v : div ? 1 / v : 1;
        f->s[i] = mul || div ? 0 : add ? v : -v;
    }
    return settle(f);
}

static bool is_scale(const us_node *n)
{
    return n->version >= 7 && n->n_in == 2 &&
           (us_is_op(n, "", "Mul") || us_is_op(n, "", "Div") || us_is_op(n, "", "Add") ||
            us_is_op(n, "", "Sub"));
}

/* --- the new weights --------------------------------------------------------------------------------------------- */

/* What they are to be; to: not there yet. */
static void scaling(us_model *m, const product *p, const affine *f, us_later *x)
{
    us_later_settle(us_later_find(m, p->w->data));
    *x = (us_later){.from = p->w->data,
                    .k = f->k,
                    .n = (size_t)f->n,
                    .inner = 1,
                    .count = (size_t)us_tensor_count(p->w)};
    for (int32_t d = p->axis + 1; d < p->w->rank; d++)
        x->inner *= (size_t)p->w->dims[d];
}

static us_err note_later(us_ctx *c, us_model *m, us_later *x)
{
    double *k = us_new_n(m->arena, double, x->n);
    if (!k) return us_arena_fail(c, m->arena);
    memcpy(k, x->k, x->n * sizeof *k);
    x->k = k;
    return us_vec_push(c, m->arena, &m->later, *x);
}

static us_err scaled_weights(us_ctx *c, us_model *m, const product *p, const affine *f,
                             us_tensor *out, bool *fits)
{
    us_later x;
    scaling(m, p, f, &x);
    x.to = us_arena_alloc_raw(m->arena, x.count, sizeof *x.to, 64);
    if (!x.to) return us_arena_fail(c, m->arena);
    *out = *p->w;
    out->data = x.to;
    if (m->defers && us_tensor_bytes(p->w) >= US_STAY_MIN && us_later_fits(&x))
        return note_later(c, m, &x);
    *fits = us_later_compute(&x, x.to) && *fits;
    return US_OK;
}

static us_err new_bias(us_ctx *c, us_model *m, const product *p, const affine *f,
                       us_tensor *out, bool *fits)
{
    US_TRY(us_tensor_new(c, m->arena, US_F32, 1, &f->n, out));
    float *y = out->data;
    for (int64_t i = 0; i < f->n; i++) {
        y[i] = (float)((p->b ? us_tensor_f64_at(p->b, i) : 0) * f->k[i] + f->s[i]);
        *fits = *fits && isfinite(y[i]);
    }
    return US_OK;
}

/* The node at hand becomes the product with these inputs. */
static us_err become(us_ctx *c, us_graph *g, us_rewire *r, us_nid nid, us_nid lin, us_vid w,
                     us_vid b)
{
    us_vid *in = us_new_n(g->model->arena, us_vid, 3);
    if (!in) return us_arena_fail(c, g->model->arena);
    const us_node *from = &g->nodes.at[lin];
    in[0] = from->in[0];
    in[1] = w;
    in[2] = b;
    us_node_become(&g->nodes.at[nid], from, b == US_NIL ? 2 : 3, in);
    us_rewire_drop(r, lin);
    return US_OK;
}

/* A constant in place of `old` (US_NIL: of none); it takes the name over when there is no other reader. */
static us_err replacement(us_ctx *c, us_graph *g, const uint32_t *uses, size_t n_uses,
                          us_vid old, const us_tensor *t, us_vid *v)
{
    US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, t, v));
    bool free_name = old < n_uses && uses[old] == 1 && g->vals.at[old].storage == US_ST_CONST &&
                     !g->vals.at[old].also_input;
    return free_name ? us_take_name(c, g, old, *v) : US_OK;
}

static us_err put(us_ctx *c, us_graph *g, us_rewire *r, const uint32_t *uses, us_nid nid,
                  us_nid lin, const product *p, const affine *f, bool *changed)
{
    us_tensor w, b;
    us_vid wv = g->nodes.at[lin].in[1], bv = US_NIL;
    bool fits = true;
    if (f->scales) US_TRY(scaled_weights(c, g->model, p, f, &w, &fits));
    if (!p->no_bias) US_TRY(new_bias(c, g->model, p, f, &b, &fits));
    if (!fits) return US_OK;
    const us_vid *old = g->nodes.at[lin].in;
    if (f->scales) US_TRY(replacement(c, g, uses, r->n, old[1], &w, &wv));
    if (!p->no_bias) US_TRY(replacement(c, g, uses, r->n, p->b ? old[2] : US_NIL, &b, &bv));
    *changed = true;
    return become(c, g, r, nid, lin, wv, bv);
}

/* --- the passes ------------------------------------------------------------------------------------------------------ */

typedef struct folder {
    us_graph *g;
    us_arena *a;
    us_rewire r;
    const uint32_t *uses;
    bool scale; /* fold-scale; else fold-bn */
} folder;

/* Try input `at` of the node as the product's output. */
static us_err fold_input(us_ctx *c, folder *k, us_nid nid, uint32_t at, bool *changed)
{
    us_graph *g = k->g;
    const us_node *n = &g->nodes.at[nid];
    us_vid z = n->in[at];
    if (z == US_NIL || z >= k->r.n || g->vals.at[z].storage != US_ST_TEMP || k->uses[z] != 1)
        return US_OK;
    us_nid lin = g->vals.at[z].def;
    product p;
    affine f = {0};
    if (lin == US_NIL || !read_product(g, &g->nodes.at[lin], &p)) return US_OK;
    if (!k->scale && p.no_bias) return US_OK; /* BatchNormalization shifts */
    us_mark mark = us_arena_mark(k->a);
    us_err e = affine_new(c, k->a, p.n, &f);
    bool known = e == US_OK && (k->scale ? read_scale(g, n, at, &p, &f) : read_bn(g, n, &f));
    if (known && k->scale) {
        us_vid w = g->nodes.at[lin].in[1]; /* weights of others too would be stored twice */
        known = !(f.scales && (w >= k->r.n || k->uses[w] != 1)) && !(f.shifts && p.no_bias);
    }
    if (known) e = put(c, g, &k->r, k->uses, nid, lin, &p, &f, changed);
    us_arena_reset(k->a, mark);
    return e;
}

static us_err fold(us_ctx *c, folder *k, us_nid nid, bool *changed)
{
    const us_node *n = &k->g->nodes.at[nid];
    if (!k->scale)
        return us_is_op(n, "", "BatchNormalization") ? fold_input(c, k, nid, 0, changed)
                                                     : US_OK;
    if (!is_scale(n)) return US_OK;
    US_TRY(fold_input(c, k, nid, 0, changed));
    return is_scale(&k->g->nodes.at[nid]) ? fold_input(c, k, nid, 1, changed) : US_OK;
}

static us_err run(us_ctx *c, us_graph *g, bool scale, bool *changed)
{
    folder k = {.g = g, .scale = scale};
    uint32_t *uses;
    US_TRY(us_arena_new(c, scale ? "fold-scale" : "fold-bn", (size_t)1 << 30, &k.a));
    us_err e = us_graph_uses(c, g, k.a, &uses);
    k.uses = uses;
    if (e == US_OK) e = us_rewire_begin(c, g, k.a, &k.r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        e = fold(c, &k, g->order.at[i], changed);
    if (e == US_OK) us_rewire_end(&k.r);
    us_arena_free(k.a);
    return e;
}

us_err us_pass_fold_bn(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return run(c, g, false, changed);
}

us_err us_pass_fold_scale(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return run(c, g, true, changed);
}
