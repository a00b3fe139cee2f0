/* pass/fuse_int.c - products of integers that go on as floats become one operator.
 *
 *   MatMulInteger, Cast to float, Mul by a scale [, Add of a bias]   com.microsoft.MatMulIntegerToFloat
 *   DynamicQuantizeMatMul                                            DynamicQuantizeLinear and MatMulIntegerToFloat
 * which is what quantisers with ranges found at run time write. The scale is one number or one per column, and stays one input:
 * the other factor is 1. So sums, products and roundings are those of the nodes that were there.
 */
#include "pass/passes.h"

#define MS "com.microsoft"

typedef struct fuser {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_rewire r;
    uint32_t *uses;
    us_vid one; /* the number 1, once it is wanted */
} fuser;

/* The node whose output 0 is v, which nobody else reads; US_NIL. */
static us_nid maker(const fuser *f, us_vid v, const char *name)
{
    if (v == US_NIL || v >= f->r.n || f->uses[v] != 1 || us_rewire_is_output(&f->r, v))
        return US_NIL;
    const us_val *val = &f->g->vals.at[v];
    if (val->storage != US_ST_TEMP || val->def == US_NIL || val->def_out != 0) return US_NIL;
    return us_is_op(&f->g->nodes.at[val->def], "", name) ? val->def : US_NIL;
}

static bool is_row(const fuser *f, us_vid v)
{
    const us_type *t = v == US_NIL ? NULL : &f->g->vals.at[v].type;
    return t && t->kind == US_KIND_TENSOR && t->dtype == US_F32 &&
           (t->rank == 0 || t->rank == 1);
}

/* Of a node of two inputs, the one made by `name` alone; *other the other. */
static us_nid either(const fuser *f, const us_node *n, const char *name, us_vid *other)
{
    if (n->n_in != 2) return US_NIL;
    for (uint32_t i = 0; i < 2; i++) {
        us_nid by = maker(f, n->in[i], name);
        *other = n->in[1 - i];
        if (by != US_NIL && is_row(f, *other)) return by;
    }
    return US_NIL;
}

static us_err number_one(fuser *f, us_vid *out)
{
    us_tensor t;
    if (f->one == US_NIL) {
        US_TRY(us_tensor_new(f->c, f->m->arena, US_F32, 0, NULL, &t));
        *(float *)t.data = 1;
        US_TRY(us_graph_add_const(f->c, f->g, (us_sv){0}, US_ST_CONST, &t, &f->one));
    }
    *out = f->one;
    return US_OK;
}

/* MatMulIntegerToFloat in the place of `last`: product, and the nodes between. */
static us_err emit(fuser *f, us_nid product, us_nid cast, us_nid mul, us_nid last, us_vid scale,
                   us_vid bias)
{
    us_nid made;
    const us_node *p = &f->g->nodes.at[product];
    us_vid out = f->g->nodes.at[last].out[0];
    us_vid in[7] = {p->in[0],
                    p->in[1],
                    US_NIL,
                    scale,
                    p->n_in > 2 ? p->in[2] : US_NIL,
                    p->n_in > 3 ? p->in[3] : US_NIL,
                    bias};
    us_sv name = p->name;
    US_TRY(number_one(f, &in[2]));
    us_rewire_drop(&f->r, last);
    US_TRY(us_graph_add_node(f->c, f->g, US_SV(MS), US_SV("MatMulIntegerToFloat"), 1, name,
                             bias == US_NIL ? 6 : 7, in, 1, &out, last, &made));
    us_rewire_drop(&f->r, product);
    us_rewire_drop(&f->r, cast);
    if (mul != last) us_rewire_drop(&f->r, mul);
    return US_OK;
}

static us_err visit(fuser *f, us_nid nid, bool *changed)
{
    const us_node *n = &f->g->nodes.at[nid];
    us_vid scale, bias = US_NIL;
    us_nid mul = nid;
    if (us_is_op(n, "", "Add")) mul = either(f, n, "Mul", &bias);
    if (mul == US_NIL || !us_is_op(&f->g->nodes.at[mul], "", "Mul")) return US_OK;
    us_nid cast = either(f, &f->g->nodes.at[mul], "Cast", &scale);
    if (cast == US_NIL) return US_OK;
    const us_node *c = &f->g->nodes.at[cast];
    us_nid product = maker(f, c->in[0], "MatMulInteger");
    if (product == US_NIL || f->g->vals.at[c->out[0]].type.dtype != US_F32) return US_OK;
    *changed = true;
    return emit(f, product, cast, mul, nid, scale, bias);
}

/* The Add behind a Mul first: the Mul goes with it. */
static us_err sweep(fuser *f, bool *changed)
{
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < f->g->order.n; i++) {
            us_nid nid = f->g->order.at[i];
            const us_node *n = &f->g->nodes.at[nid];
            if (n->dead || !us_is_op(n, "", pass ? "Mul" : "Add")) continue;
            size_t before = f->g->order.n;
            US_TRY(visit(f, nid, changed));
            i += f->g->order.n - before;
        }
    return US_OK;
}

/* --- DynamicQuantizeMatMul ------------------------------------------------------------------------------ */

static us_err split(fuser *f, us_nid nid, bool *changed)
{
    us_node n = f->g->nodes.at[nid]; /* a copy: nodes are added */
    us_vid q[3];
    us_nid made;
    for (size_t i = 0; i < US_LEN(q); i++)
        US_TRY(us_graph_add_val(f->c, f->g, (us_sv){0}, US_ST_TEMP, NULL, &q[i]));
    us_sv name = US_SV("DynamicQuantizeLinear");
    int version = us_op_current(us_op_find(US_SV(""), name))->since;
    US_TRY(us_graph_add_node(f->c, f->g, US_SV(""), name, version, n.name, 1, n.in, 3, q, nid,
                             &made));
    us_vid in[7] = {q[0],
                    n.in[1],
                    q[1],
                    n.in[2],
                    q[2],
                    n.n_in > 3 ? n.in[3] : US_NIL,
                    n.n_in > 4 ? n.in[4] : US_NIL};
    us_rewire_drop(&f->r, nid);
    *changed = true;
    return us_graph_add_node(f->c, f->g, US_SV(MS), US_SV("MatMulIntegerToFloat"), 1, n.name,
                             in[6] == US_NIL ? 6 : 7, in, 1, n.out, nid, &made);
}

static us_err split_all(fuser *f, bool *changed)
{
    for (size_t i = 0; i < f->g->order.n; i++) {
        us_nid nid = f->g->order.at[i];
        const us_node *n = &f->g->nodes.at[nid];
        if (n->dead || !us_is_op(n, MS, "DynamicQuantizeMatMul") || n->n_in < 3) continue;
        size_t before = f->g->order.n;
        US_TRY(split(f, nid, changed));
        i += f->g->order.n - before;
    }
    return US_OK;
}

us_err us_pass_fuse_int(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *a;
    fuser f = {.c = c, .m = m, .g = g, .one = US_NIL};
    US_TRY(us_arena_new(c, "fuse-int", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &f.uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &f.r);
    if (e == US_OK) e = sweep(&f, changed);
    if (e == US_OK) e = split_all(&f, changed);
    if (e == US_OK) us_rewire_end(&f.r);
    us_arena_free(a);
    return e;
}
