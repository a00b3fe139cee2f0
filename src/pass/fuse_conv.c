/* pass/fuse_conv.c - what follows a blocked convolution into its registers: a residual, a clamp.
 *
 *   fuse-conv-add   Add(usta.Conv(x), z) of one shape   usta.Conv(x, z)
 *   fuse-conv-act   Relu or Clip by constants behind it   its lo and hi
 *
 * The convolution's result must have no other reader, and nothing may be fused behind it yet that would come after. With two
 * convolutions at an Add the later one takes the other's result. The last node becomes the convolution, so everything it reads
 * is there.
 */
#include "pass/passes.h"

#include <math.h>

#include "ir/params_blocked.h"

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

static bool open_range(const us_node *conv)
{
    const us_attr *lo = us_node_attr(conv, "lo"), *hi = us_node_attr(conv, "hi");
    return (!lo || lo->f == -INFINITY) && (!hi || hi->f == INFINITY);
}

static bool same_type(const us_graph *g, us_vid x, us_vid y)
{
    const us_type *a = &g->vals.at[x].type, *b = &g->vals.at[y].type;
    if (a->kind != US_KIND_TENSOR || b->kind != US_KIND_TENSOR || a->dtype != b->dtype ||
        a->rank != 5 || b->rank != 5)
        return false;
    for (int32_t i = 0; i < 5; i++)
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
    if (!us_is_op(n, "", "Add") || !same_type(f->g, n->in[0], n->in[1]) || n->in[0] == n->in[1])
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
