/* pass/fuse_gelu.c - a Gelu written out becomes one again: one vector function instead of five passes over a tile.
 *
 *   x * (Erf(x / sqrt 2) + 1) * 0.5    in any order of factors; x / sqrt 2 also as a product
 *
 * The constants count as meant when they are within 1e-6. What stands between must have no other reader.
 */
#include "pass/fuser.h"

#include <math.h>

#define ROOT_OF_HALF 0.70710678118654752

/* Who makes v, when nobody else reads it. */
static const us_node *maker(const us_fuser *f, us_vid v)
{
    us_nid nid = us_fuse_maker(f, v, 1);
    return nid == US_NIL ? NULL : &f->g->nodes.at[nid];
}

static bool is_number(const us_fuser *f, us_vid v, double want)
{
    const us_tensor *t = us_const_tensor(f->g, v);
    return t && t->data && t->dtype == US_F32 && us_tensor_count(t) == 1 && t->rank <= 1 &&
           fabs(us_tensor_f64_at(t, 0) - want) < 1e-6;
}

/* Is v x / sqrt 2? */
static bool is_scaled(const us_fuser *f, us_vid v, us_vid x)
{
    const us_node *n = maker(f, v);
    if (!n) return false;
    if (us_is_op(n, "", "Div"))
        return n->in[0] == x && is_number(f, n->in[1], 2 * ROOT_OF_HALF);
    if (!us_is_op(n, "", "Mul")) return false;
    return (n->in[0] == x && is_number(f, n->in[1], ROOT_OF_HALF)) ||
           (n->in[1] == x && is_number(f, n->in[0], ROOT_OF_HALF));
}

/* Is v Erf(x / sqrt 2) + 1? */
static bool is_bell(const us_fuser *f, us_vid v, us_vid x)
{
    const us_node *add = maker(f, v);
    if (!add || !us_is_op(add, "", "Add")) return false;
    for (uint32_t i = 0; i < 2; i++) {
        const us_node *erf = maker(f, add->in[i]);
        if (erf && us_is_op(erf, "", "Erf") && is_number(f, add->in[1 - i], 1.0))
            return is_scaled(f, erf->in[0], x);
    }
    return false;
}

/* The three factors of two Muls; false: there are not just three. */
static bool factors(const us_fuser *f, const us_node *n, us_vid out[3])
{
    for (uint32_t i = 0; i < 2; i++) {
        const us_node *inner = maker(f, n->in[i]);
        if (!inner || !us_is_op(inner, "", "Mul")) continue;
        out[0] = inner->in[0];
        out[1] = inner->in[1];
        out[2] = n->in[1 - i];
        return true;
    }
    return false;
}

/* x of a Gelu; US_NIL: it is none. */
static us_vid gelu_of(const us_fuser *f, const us_node *n)
{
    us_vid v[3];
    if (!us_is_op(n, "", "Mul") || !factors(f, n, v)) return US_NIL;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            if (i != k && is_number(f, v[3 - i - k], 0.5) && is_bell(f, v[i], v[k]) &&
                f->g->vals.at[v[k]].type.kind == US_KIND_TENSOR &&
                f->g->vals.at[v[k]].type.dtype == US_F32)
                return v[k];
    return US_NIL;
}

static us_err rewrite(us_fuser *f, us_nid nid)
{
    us_node *n = &f->g->nodes.at[nid];
    us_vid x = gelu_of(f, n);
    if (x == US_NIL) return US_OK;
    us_vid *in = us_new_n(f->g->model->arena, us_vid, 1);
    if (!in) return us_arena_fail(f->c, f->g->model->arena);
    in[0] = x;
    n->in = in;
    n->n_in = 1;
    n->version = 20;
    us_node_set_op(n, "Gelu");
    *f->changed = true;
    return US_OK;
}

us_err us_pass_fuse_gelu(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    US_TRY(us_fuse(c, g, "fuse-gelu", rewrite, NULL, changed));
    return *changed ? us_pass_dce(c, m, g, changed) : US_OK; /* what nobody reads now */
}
