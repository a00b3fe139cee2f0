/* pass/fuse_tail.c - the rewrites behind a product that do not depend on which it is (fuse_conv.c, fuse_gemm_tail.c). */
#include "pass/fuse_tail.h"

#include <math.h>
#include <string.h>

/* --- the product ------------------------------------------------------------------------------------------ */

const us_node *us_tail_product(const us_fuser *f, us_vid v)
{
    const us_tail *t = f->arg;
    us_nid nid = us_fuse_maker(f, v, 1);
    return nid != US_NIL && t->is(&f->g->nodes.at[nid]) ? &f->g->nodes.at[nid] : NULL;
}

bool us_tail_open(const us_node *product)
{
    if (us_node_attr(product, "code")) return false;
    const us_attr *lo = us_node_attr(product, "lo"), *hi = us_node_attr(product, "hi");
    return (!lo || lo->f == -INFINITY) && (!hi || hi->f == INFINITY);
}

bool us_tail_has(const us_node *product, uint32_t input)
{
    return input < product->n_in && product->in[input] != US_NIL;
}

us_err us_tail_become(us_fuser *f, us_nid nid, us_vid v, uint32_t at, uint32_t n_with,
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

bool us_tail_same_type(const us_graph *g, us_vid x, us_vid y)
{
    const us_type *a = &g->vals.at[x].type, *b = &g->vals.at[y].type;
    return a->kind == US_KIND_TENSOR && a->rank >= 0 && us_type_eq(a, b);
}

/* --- residual ----------------------------------------------------------------------------------------------- */

us_err us_tail_add(us_fuser *f, us_nid nid)
{
    const us_tail *t = f->arg;
    const us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "Add") || n->in[0] == US_NIL || n->in[1] == US_NIL ||
        n->in[0] == n->in[1] || !us_tail_same_type(f->g, n->in[0], n->in[1]) ||
        !t->adds(&f->g->vals.at[n->in[0]].type))
        return US_OK;
    us_vid best = US_NIL;
    for (uint32_t k = 0; k < 2; k++) {
        const us_node *p = us_tail_product(f, n->in[k]);
        if (!p || !us_tail_open(p) || us_tail_has(p, 3)) continue;
        if (best == US_NIL ||
            f->place[f->g->vals.at[n->in[k]].def] > f->place[f->g->vals.at[best].def])
            best = n->in[k];
    }
    if (best == US_NIL) return US_OK;
    us_vid other = n->in[0] == best ? n->in[1] : n->in[0];
    return us_tail_become(f, nid, best, 3, 1, &other);
}

/* --- clamp -------------------------------------------------------------------------------------------------- */

us_err us_tail_act(us_fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    float lo, hi;
    if (!us_const_range(f->g, n, &lo, &hi)) return US_OK;
    const us_node *p = us_tail_product(f, n->in[0]);
    if (!p || !us_tail_open(p)) return US_OK;
    US_TRY(us_tail_become(f, nid, n->in[0], 0, 0, NULL));
    US_TRY(us_fuse_set_float(f, nid, "lo", lo));
    return us_fuse_set_float(f, nid, "hi", hi);
}

/* --- programs ----------------------------------------------------------------------------------------------- */

us_err us_tail_program(us_ctx *c, us_graph *g, const us_ew_writer *w, us_attr out[2])
{
    us_arena *a = g->model->arena;
    int64_t *code = us_new_n(a, int64_t, 4 * US_EW_INS);
    float *imm = us_new_n(a, float, US_EW_IMM);
    if (!code || !imm) return us_arena_fail(c, a);
    memcpy(imm, w->imm, sizeof w->imm);
    out[0] = (us_attr){.name = US_SV("code"), .kind = US_AT_INTS, .ints = code};
    out[0].n = us_ew_put(w, code);
    out[1] =
        (us_attr){.name = US_SV("imm"), .kind = US_AT_FLOATS, .floats = imm, .n = w->n_imm};
    return US_OK;
}

static us_err set_program(us_fuser *f, us_nid nid, const us_ew_writer *w)
{
    us_attr a[2];
    US_TRY(us_tail_program(f->c, f->g, w, a));
    US_TRY(us_node_set_attr(f->c, f->g, nid, &a[0]));
    return us_node_set_attr(f->c, f->g, nid, &a[1]);
}

us_err us_tail_map(us_fuser *f, us_nid nid)
{
    const us_tail *t = f->arg;
    const us_node *n = &f->g->nodes.at[nid];
    us_ew_join j;
    if (!us_ew_takes_node(f->g, nid)) return US_OK;
    for (uint32_t k = 0; k < n->n_in; k++) {
        us_vid x = n->in[k];
        const us_node *p = us_tail_product(f, x);
        if (!p || us_node_attr(p, "code") || !us_tail_same_type(f->g, x, n->out[0]) ||
            !us_ew_join_nodes(f->g, 1, &nid, x, &j) || !t->runs(p, &j.w))
            continue;
        bool fits = true;
        for (size_t i = 1; i < j.n_in; i++)
            fits = fits && t->goes_along(f, x, j.in[i]);
        if (!fits) continue;
        US_TRY(us_tail_become(f, nid, x, 4, (uint32_t)j.n_in - 1, j.in + 1));
        return set_program(f, nid, &j.w);
    }
    return US_OK;
}
