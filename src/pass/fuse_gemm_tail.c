/* pass/fuse_gemm_tail.c - what follows a product by constant weights (usta.Gemm) into its tiles.
 *
 *   fuse-gemm-bias   Add of a constant, a number per column or one for all: its C
 *   fuse-gemm-add    Add of a value of the same shape, a residual: its R
 *   fuse-gemm-act    Relu or Clip by constants: its lo and hi
 *   fuse-gemm-map    any elementwise operator or usta.Map: its program, run over each tile; what else that reads are its X
 *
 * The product's result must have no other reader, and nothing may be fused behind it yet that would come after. The last node becomes the
 * product, so everything it reads is there; with two products at an Add the later one takes the other's result, so that
 * neither has to wait.
 */
#include "pass/passes.h"

#include <math.h>
#include <string.h>

#include "ir/ewise.h"

typedef struct fuser {
    us_ctx *c;
    us_graph *g;
    us_rewire r;
    uint32_t *uses;
    uint32_t *place; /* of a node in the order */
    bool *changed;
} fuser;

static const us_node *product_of(const fuser *f, us_vid v)
{
    if (v == US_NIL || v >= f->r.n || f->uses[v] != 1) return NULL;
    const us_val *val = &f->g->vals.at[v];
    if (val->storage != US_ST_TEMP || val->def == US_NIL) return NULL;
    const us_node *n = &f->g->nodes.at[val->def];
    return us_is_op(n, "usta", "Gemm") ? n : NULL;
}

static bool has(const us_node *n, uint32_t i)
{
    return i < n->n_in && n->in[i] != US_NIL;
}

/* Nothing after the sum yet. */
static bool open_range(const us_node *n)
{
    if (us_node_attr(n, "code")) return false;
    const us_attr *lo = us_node_attr(n, "lo"), *hi = us_node_attr(n, "hi");
    return (!lo || lo->f == -INFINITY) && (!hi || hi->f == INFINITY);
}

static bool same_type(const us_graph *g, us_vid x, us_vid y)
{
    const us_type *a = &g->vals.at[x].type, *b = &g->vals.at[y].type;
    if (a->kind != US_KIND_TENSOR || b->kind != US_KIND_TENSOR || a->dtype != b->dtype ||
        a->rank != b->rank || a->rank < 0)
        return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (!us_dim_eq(a->dims[i], b->dims[i])) return false;
    return true;
}

/* Node nid becomes the product that makes v, with the values `with` as its inputs from `at` on. */
static us_err become(fuser *f, us_nid nid, us_vid v, uint32_t at, uint32_t n_with,
                     const us_vid *with)
{
    us_nid product = f->g->vals.at[v].def;
    const us_node *p = &f->g->nodes.at[product];
    uint32_t n_in = n_with ? US_MAX(p->n_in, at + n_with) : p->n_in;
    us_vid *in = us_new_n(f->g->model->arena, us_vid, n_in);
    if (!in) return us_arena_fail(f->c, f->g->model->arena);
    for (uint32_t k = 0; k < n_in; k++)
        in[k] = k >= at && k < at + n_with ? with[k - at] : k < p->n_in ? p->in[k] : US_NIL;
    us_node_become(&f->g->nodes.at[nid], p, n_in, in);
    f->g->nodes.at[nid].params = NULL; /* decoded by the driver */
    us_rewire_drop(&f->r, product);
    *f->changed = true;
    return US_OK;
}

static us_err set_float(fuser *f, us_nid nid, const char *name, float v)
{
    us_attr a = {.name = us_sv_of(name), .kind = US_AT_FLOAT, .f = v};
    return us_node_set_attr(f->c, f->g, nid, &a);
}

/* --- bias ------------------------------------------------------------------------------------------- */

/* A constant with a number per column of t, or one for all, that does not make t larger. */
static bool is_bias(const us_graph *g, const us_type *t, us_vid v)
{
    const us_tensor *b = us_const_tensor(g, v);
    if (t->kind != US_KIND_TENSOR || t->rank < 1 || !b || !b->data || b->dtype != US_F32 ||
        b->rank > t->rank)
        return false;
    us_dim n = t->dims[t->rank - 1];
    int64_t count = us_tensor_count(b);
    return count == 1 ||
           (us_dim_known(n) && count == n.add && b->rank > 0 && b->dims[b->rank - 1] == n.add);
}

static us_err fuse_bias(fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "Add")) return US_OK;
    for (uint32_t k = 0; k < 2; k++) {
        us_vid x = n->in[k], bias = n->in[1 - k];
        const us_node *p = product_of(f, x);
        if (!p || has(p, 2) || has(p, 3) || !open_range(p) ||
            !is_bias(f->g, &f->g->vals.at[x].type, bias))
            continue;
        US_TRY(become(f, nid, x, 2, 1, &bias));
        return set_float(f, nid, "beta", 1);
    }
    return US_OK;
}

/* --- residual ----------------------------------------------------------------------------------------- */

static us_err fuse_add(fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "Add") || n->in[0] == US_NIL || n->in[1] == US_NIL ||
        n->in[0] == n->in[1] || !same_type(f->g, n->in[0], n->in[1]))
        return US_OK;
    us_vid best = US_NIL;
    for (uint32_t k = 0; k < 2; k++) {
        const us_node *p = product_of(f, n->in[k]);
        if (!p || !open_range(p) || has(p, 3)) continue;
        if (best == US_NIL ||
            f->place[f->g->vals.at[n->in[k]].def] > f->place[f->g->vals.at[best].def])
            best = n->in[k];
    }
    if (best == US_NIL) return US_OK;
    us_vid other = n->in[0] == best ? n->in[1] : n->in[0];
    return become(f, nid, best, 3, 1, &other);
}

/* --- clamp ------------------------------------------------------------------------------------------------ */

static us_err fuse_act(fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    float lo, hi;
    if (!us_const_range(f->g, n, &lo, &hi)) return US_OK;
    const us_node *p = product_of(f, n->in[0]);
    if (!p || !open_range(p)) return US_OK;
    US_TRY(become(f, nid, n->in[0], 0, 0, NULL));
    US_TRY(set_float(f, nid, "lo", lo));
    return set_float(f, nid, "hi", hi);
}

/* --- programs ----------------------------------------------------------------------------------------------- */

/* x lies in a tile of t as t does, or as a number per row, per column, or for all, whatever the sizes are. */
static bool lies_in_tiles(const us_type *t, const us_type *x)
{
    if (x->kind != US_KIND_TENSOR || x->rank < 0 || x->rank > t->rank) return false;
    bool one_row = true, all_rows = x->rank == t->rank;
    us_dim one = US_DIM(1);
    for (int32_t d = 0; d + 1 < x->rank; d++) {
        one_row = one_row && us_dim_eq(x->dims[d], one);
        all_rows = all_rows && us_dim_eq(x->dims[d], t->dims[d]);
    }
    us_dim last = x->rank ? x->dims[x->rank - 1] : one, n = t->dims[t->rank - 1];
    return (one_row || all_rows) && (us_dim_eq(last, one) || us_dim_eq(last, n));
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

static us_err fuse_map(fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    us_ew_join j;
    if (!us_ew_takes_node(f->g, nid)) return US_OK;
    const us_type *y = &f->g->vals.at[n->out[0]].type;
    for (uint32_t k = 0; k < n->n_in; k++) {
        us_vid x = n->in[k];
        const us_node *p = product_of(f, x);
        if (!p || us_node_attr(p, "code") || !same_type(f->g, x, n->out[0]) ||
            !us_ew_join_nodes(f->g, 1, &nid, x, &j))
            continue;
        bool fits = true;
        for (size_t i = 1; i < j.n_in; i++)
            fits = fits && lies_in_tiles(y, &f->g->vals.at[j.in[i]].type);
        if (!fits) continue;
        US_TRY(become(f, nid, x, 4, (uint32_t)j.n_in - 1, j.in + 1));
        return set_program(f, nid, &j.w);
    }
    return US_OK;
}

static us_err fuse(us_ctx *c, us_graph *g, bool *changed, us_err (*one)(fuser *, us_nid))
{
    us_arena *a;
    fuser f = {.c = c, .g = g, .changed = changed};
    US_TRY(us_arena_new(c, "fuse-gemm", (size_t)1 << 30, &a));
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

us_err us_pass_fuse_gemm_bias(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return fuse(c, g, changed, fuse_bias);
}

us_err us_pass_fuse_gemm_add(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return fuse(c, g, changed, fuse_add);
}

us_err us_pass_fuse_gemm_act(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return fuse(c, g, changed, fuse_act);
}

us_err us_pass_fuse_gemm_map(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return fuse(c, g, changed, fuse_map);
}
