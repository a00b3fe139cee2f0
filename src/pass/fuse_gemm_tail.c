/* pass/fuse_gemm_tail.c - what follows a product by constant weights (usta.Gemm) into its tiles (fuse_tail.h).
 *
 *   fuse-gemm-bias   Add of a constant, a number per column or one for all: its C
 *   fuse-gemm-add    Add of a value of the same shape, a residual: its R
 *   fuse-gemm-act    Relu or Clip by constants: its lo and hi
 *   fuse-gemm-map    any elementwise operator or usta.Map: its program, run over each tile; what else that reads are its X
 */
#include "pass/fuse_tail.h"

static bool is_gemm(const us_node *n)
{
    return us_is_op(n, "usta", "Gemm");
}

static bool adds(const us_type *y)
{
    (void)y;
    return true;
}

static bool runs(const us_node *product, const us_ew_writer *w)
{
    (void)product;
    (void)w;
    return true;
}

/* v lies in a tile of the result as that does, or as a number per row, per column, or for all, whatever the sizes are. */
static bool lies_in_tiles(const us_fuser *f, us_vid result, us_vid v)
{
    const us_type *t = &f->g->vals.at[result].type, *x = &f->g->vals.at[v].type;
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

static const us_tail gemm_tail = {is_gemm, adds, runs, lies_in_tiles};

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

static us_err fuse_bias(us_fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "Add")) return US_OK;
    for (uint32_t k = 0; k < 2; k++) {
        us_vid x = n->in[k], bias = n->in[1 - k];
        const us_node *p = us_tail_product(f, x);
        if (!p || us_tail_has(p, 2) || us_tail_has(p, 3) || !us_tail_open(p) ||
            !is_bias(f->g, &f->g->vals.at[x].type, bias))
            continue;
        US_TRY(us_tail_become(f, nid, x, 2, 1, &bias));
        return us_fuse_set_float(f, nid, "beta", 1);
    }
    return US_OK;
}

us_err us_pass_fuse_gemm_bias(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "fuse-gemm-bias", fuse_bias, &gemm_tail, changed);
}

us_err us_pass_fuse_gemm_add(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "fuse-gemm-add", us_tail_add, &gemm_tail, changed);
}

us_err us_pass_fuse_gemm_act(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "fuse-gemm-act", us_tail_act, &gemm_tail, changed);
}

us_err us_pass_fuse_gemm_map(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "fuse-gemm-map", us_tail_map, &gemm_tail, changed);
}
