/* pass/fuse_gemm.c - MatMul of a matrix by constant weights, then Add of a constant vector: one Gemm.
 *
 * The form that training frameworks export for a dense layer. One step instead of two, and no pass over memory for the
 * bias. Holds for rank 2 float inputs, when nobody else reads the product.
 */
#include "pass/passes.h"

static bool is_bias(const us_tensor *b, int64_t n)
{
    return b && b->dtype == US_F32 && (b->rank == 1 || (b->rank == 2 && b->dims[0] == 1)) &&
           b->dims[b->rank - 1] == n;
}

static us_err fuse(us_ctx *c, us_graph *g, us_rewire *r, us_nid nid, const uint32_t *uses,
                   bool *changed)
{
    const us_node *add = &g->nodes.at[nid];
    if (!us_is_op(add, "", "Add")) return US_OK;
    for (uint32_t k = 0; k < 2; k++) {
        us_vid x = add->in[k], bias = add->in[1 - k];
        if (x == US_NIL || bias == US_NIL || g->vals.at[x].storage != US_ST_TEMP ||
            uses[x] != 1)
            continue;
        const us_node *mm = &g->nodes.at[g->vals.at[x].def];
        if (!us_is_op(mm, "", "MatMul")) continue;
        const us_type *a = &g->vals.at[mm->in[0]].type;
        const us_tensor *w = us_const_tensor(g, mm->in[1]);
        if (a->kind != US_KIND_TENSOR || a->rank != 2 || a->dtype != US_F32 || !w ||
            w->rank != 2)
            continue;
        if (!is_bias(us_const_tensor(g, bias), w->dims[1])) continue;
        us_vid in[3] = {mm->in[0], mm->in[1], bias}, out = add->out[0], gemm_out;
        us_nid product = g->vals.at[x].def, gemm;
        US_TRY(
            us_graph_add_val(c, g, (us_sv){0}, US_ST_TEMP, &g->vals.at[out].type, &gemm_out));
        US_TRY(us_graph_add_node(c, g, US_SV(""), US_SV("Gemm"), g->nodes.at[nid].version,
                                 g->nodes.at[product].name, 3, in, 1, &gemm_out, nid, &gemm));
        us_rewire_set(r, out, gemm_out);
        us_rewire_drop(r, nid);
        us_rewire_drop(r, product);
        *changed = true;
        return US_OK;
    }
    return US_OK;
}

us_err us_pass_fuse_gemm(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    uint32_t *uses;
    us_rewire r = {0};
    US_TRY(us_arena_new(c, "fuse-gemm", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        us_nid nid = g->order.at[i];
        us_rewire_node(&r, nid);
        if (us_is_op(&g->nodes.at[nid], "", "Add") &&
            us_rewire_is_output(&r, g->nodes.at[nid].out[0]))
            continue; /* an output keeps its name */
        size_t before = g->order.n;
        e = fuse(c, g, &r, nid, uses, changed);
        i += g->order.n - before; /* the new node stands in front of the Add */
    }
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(a);
    return e;
}
