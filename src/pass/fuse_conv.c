/* pass/fuse_conv.c - what follows a blocked convolution into its registers: a residual, a clamp.
 *
 *   fuse-conv-add   Add(usta.Conv(x), z) of one shape   usta.Conv(x, z)
 *   fuse-conv-act   Relu or Clip by constants behind it   its lo and hi
 *   fuse-conv-map   any elementwise operator or usta.Map: its program, run over each row of a block; what else that reads (of the
 *                   same shape, or a constant per channel) becomes its further inputs
 *
 * The convolution's result must have no other reader, and nothing may be fused behind it yet that would come after. With two
 * convolutions at an Add the later one takes the other's result. The last node becomes the convolution, so everything it reads
 * is there.
 */
#include "pass/passes.h"

#include <math.h>
#include <string.h>

#include "ir/ewise.h"
#include "ir/params_blocked.h"
#include "kernel/conv.h"
#include "kernel/kernels.h"

typedef struct fuser {
    us_ctx *c;
    us_graph *g;
    us_rewire r;
    uint32_t *uses;
    uint32_t *place; /* of a node in the order */
    bool *changed;
} fuser;

static const us_node *conv_of(const fuser *f, us_vid v)
{
    if (v == US_NIL || v >= f->r.n || f->uses[v] != 1) return NULL;
    const us_val *val = &f->g->vals.at[v];
    if (val->storage != US_ST_TEMP || val->def == US_NIL) return NULL;
    const us_node *n = &f->g->nodes.at[val->def];
    return us_is_op(n, "usta", "Conv") || us_is_op(n, "usta", "ConvTranspose") ? n : NULL;
}

/* Nothing after the sum yet. */
static bool open_range(const us_node *conv)
{
    if (us_node_attr(conv, "code")) return false;
    const us_attr *lo = us_node_attr(conv, "lo"), *hi = us_node_attr(conv, "hi");
    return (!lo || lo->f == -INFINITY) && (!hi || hi->f == INFINITY);
}

static bool same_type(const us_graph *g, us_vid x, us_vid y)
{
    const us_type *a = &g->vals.at[x].type, *b = &g->vals.at[y].type;
    if (a->kind != US_KIND_TENSOR || b->kind != US_KIND_TENSOR || a->dtype != b->dtype ||
        a->rank != b->rank || a->rank < 3)
        return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (!us_dim_eq(a->dims[i], b->dims[i])) return false;
    return true;
}

/* Node nid becomes the convolution that makes v, with these inputs. */
static void become(fuser *f, us_nid nid, us_vid v, uint32_t n_in, us_vid *in)
{
    us_nid conv = f->g->vals.at[v].def;
    us_node_become(&f->g->nodes.at[nid], &f->g->nodes.at[conv], n_in, in);
    f->g->nodes.at[nid].params = NULL;
    us_rewire_drop(&f->r, conv);
    *f->changed = true;
}

static us_err fuse_add(fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "Add") || n->in[0] == US_NIL || n->in[1] == US_NIL ||
        !same_type(f->g, n->in[0], n->in[1]) || n->in[0] == n->in[1] ||
        f->g->vals.at[n->in[0]].type.rank != 5)
        return US_OK;
    us_vid best = US_NIL;
    for (uint32_t k = 0; k < 2; k++) {
        const us_node *conv = conv_of(f, n->in[k]);
        bool free_ = conv && open_range(conv) && (conv->n_in < 4 || conv->in[3] == US_NIL);
        if (!free_) continue;
        if (best == US_NIL ||
            f->place[f->g->vals.at[n->in[k]].def] > f->place[f->g->vals.at[best].def])
            best = n->in[k];
    }
    if (best == US_NIL) return US_OK;
    const us_node *conv = &f->g->nodes.at[f->g->vals.at[best].def];
    us_vid *in = us_new_n(f->g->model->arena, us_vid, 4);
    if (!in) return us_arena_fail(f->c, f->g->model->arena);
    for (uint32_t k = 0; k < 3; k++)
        in[k] = k < conv->n_in ? conv->in[k] : US_NIL;
    in[3] = n->in[0] == best ? n->in[1] : n->in[0];
    become(f, nid, best, 4, in);
    return US_OK;
}

static us_err set_float(fuser *f, us_nid nid, const char *name, float v)
{
    us_attr a = {.name = us_sv_of(name), .kind = US_AT_FLOAT, .f = v};
    return us_node_set_attr(f->c, f->g, nid, &a);
}

static us_err fuse_act(fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    float lo, hi;
    if (!us_const_range(f->g, n, &lo, &hi)) return US_OK;
    const us_node *conv = conv_of(f, n->in[0]);
    if (!conv || !open_range(conv)) return US_OK;
    become(f, nid, n->in[0], conv->n_in, conv->in);
    US_TRY(set_float(f, nid, "lo", lo));
    return set_float(f, nid, "hi", hi);
}

/* --- programs ----------------------------------------------------------------------------------------- */

/* x goes along with rows of a block of y, whatever the sizes are: y's shape, or a constant per channel. */
static bool goes_along(const fuser *f, us_vid y, us_vid x)
{
    const us_graph *g = f->g;
    const us_kernels *kernels = us_kernels_get(f->c);
    const us_type *t = &g->vals.at[x].type, *o = &g->vals.at[y].type;
    const us_tensor *k = us_const_tensor(g, x);
    if (same_type(g, x, y)) return true;
    if (!k || k->dtype != US_F32 || k->rank > o->rank || k->rank + 1 < o->rank) return false;
    if (o->rank != 5 || kernels->map->width != kernels->conv->block)
        return false;                 /* a block is a vector */
    int axis = k->rank - o->rank + 1; /* of the channels */
    for (int i = 0; i < k->rank; i++) {
        us_dim n = o->dims[i - k->rank + o->rank];
        bool lanes = i == k->rank - 1;
        if ((i == axis || lanes) ? !us_dim_eq(n, US_DIM(k->dims[i])) : k->dims[i] != 1)
            return false;
    }
    return t->kind == US_KIND_TENSOR;
}

static us_err set_program(fuser *f, us_nid nid, const us_ew_writer *w)
{
    us_arena *a = f->g->model->arena;
    int64_t *code = us_new_n(a, int64_t, 4 * US_EW_INS);
    float *imm = us_new_n(a, float, US_EW_IMM);
    if (!code || !imm) return us_arena_fail(f->c, a);
    memcpy(imm, w->imm, sizeof w->imm);
    us_attr c = {.name = US_SV("code"), .kind = US_AT_INTS, .ints = code},
            i = {.name = US_SV("imm"), .kind = US_AT_FLOATS, .floats = imm, .n = w->n_imm};
    c.n = us_ew_put(w, code);
    US_TRY(us_node_set_attr(f->c, f->g, nid, &c));
    return us_node_set_attr(f->c, f->g, nid, &i);
}

/* What a row needs on the stack of a thread is bounded (ir/op_blocked_conv.c). */
static bool small(const us_ew_writer *w)
{
    us_ew_prog p;
    return us_ew_end(w, &p) && us_ew_ready_scratch(&p) <= US_CONV_TAIL_SCRATCH;
}

static us_err fuse_map(fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    us_ew_join j;
    if (!us_ew_takes_node(f->g, nid)) return US_OK;
    for (uint32_t k = 0; k < n->n_in; k++) {
        us_vid x = n->in[k];
        const us_node *conv = conv_of(f, x);
        if (!conv || !us_is_op(conv, "usta", "Conv") || us_node_attr(conv, "code") ||
            !same_type(f->g, x, n->out[0]) || !us_ew_join_nodes(f->g, 1, &nid, x, &j) ||
            !small(&j.w))
            continue;
        bool fits = true;
        for (size_t i = 1; i < j.n_in; i++)
            fits = fits && goes_along(f, x, j.in[i]);
        if (!fits) continue;
        uint32_t n_in = j.n_in > 1 ? 4 + (uint32_t)j.n_in - 1 : conv->n_in;
        us_vid *in = us_new_n(f->g->model->arena, us_vid, n_in);
        if (!in) return us_arena_fail(f->c, f->g->model->arena);
        for (uint32_t i = 0; i < n_in; i++)
            in[i] = i < 4 && i < conv->n_in ? conv->in[i] : i < 4 ? US_NIL : j.in[i - 3];
        become(f, nid, x, n_in, in);
        return set_program(f, nid, &j.w);
    }
    return US_OK;
}

static us_err fuse(us_ctx *c, us_graph *g, bool *changed, us_err (*one)(fuser *, us_nid))
{
    us_arena *a;
    fuser f = {.c = c, .g = g, .changed = changed};
    US_TRY(us_arena_new(c, "fuse-conv", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &f.uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &f.r);
    f.place = us_new_n(a, uint32_t, g->nodes.n);
    if (e == US_OK && !f.place) e = us_arena_fail(c, a);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        f.place[g->order.at[i]] = (uint32_t)i;
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        e = one(&f, g->order.at[i]);
    if (e == US_OK) us_rewire_end(&f.r);
    us_arena_free(a);
    return e;
}

us_err us_pass_fuse_conv_add(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return fuse(c, g, changed, fuse_add);
}

us_err us_pass_fuse_conv_act(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return fuse(c, g, changed, fuse_act);
}

us_err us_pass_fuse_conv_map(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return fuse(c, g, changed, fuse_map);
}
