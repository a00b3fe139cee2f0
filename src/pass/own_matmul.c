/* pass/own_matmul.c - transposes and a factor around a MatMul of two values that change go into it (usta.MatMul).
 *
 *   MatMul(Transpose(q), Transpose(k))              strides of its operands
 *   Transpose(MatMul(p, v))                         strides of its result
 *   Mul or Div of MatMul(q, k) by a constant        its factor
 *
 * As attention is exported: heads are moved in front and back again, scores are divided by a root. Holds for floats of one known rank,
 * when the innermost axis of an operand stays among the last two and the columns of the result stay innermost; a result must have
 * no other reader. A product with nothing around it stays a MatMul. The batch is limited where it is known (as many items
 * are written down).
 */
#include "pass/fuser.h"

#include <math.h>

enum { MOST_ITEMS = 1 << 16 };

static const us_node *maker(const us_fuser *f, us_vid v)
{
    const us_val *val = v == US_NIL ? NULL : &f->g->vals.at[v];
    return val && val->storage == US_ST_TEMP && val->def != US_NIL ? &f->g->nodes.at[val->def]
                                                                   : NULL;
}

/* The permutation of a Transpose of this rank. */
static const us_attr *perm_of(const us_node *n, int32_t rank)
{
    const us_attr *a = n && us_is_op(n, "", "Transpose") ? us_node_attr(n, "perm") : NULL;
    return a && a->n == (size_t)rank ? a : NULL;
}

/* An operand that may be read through its Transpose: the last axis ends among the last two. */
static const us_attr *operand_perm(const us_fuser *f, us_vid v, int32_t rank)
{
    const us_attr *a = perm_of(maker(f, v), rank);
    bool ok = a && (a->ints[rank - 1] == rank - 1 || a->ints[rank - 2] == rank - 1);
    return ok ? a : NULL;
}

/* Input i of the product reads what its Transpose reads; that goes when nobody else reads it. */
static void skip_transpose(us_fuser *f, us_node *n, uint32_t i)
{
    us_vid v = n->in[i];
    us_nid t = f->g->vals.at[v].def;
    n->in[i] = f->g->nodes.at[t].in[0];
    if (--f->uses[v] == 0)
        us_rewire_drop(&f->r, t);
    else
        f->uses[n->in[i]]++;
}

static bool known_floats(const us_type *t)
{
    return t->kind == US_KIND_TENSOR && t->dtype == US_F32 && t->rank >= 2;
}

static bool batch_fits(const us_type *t)
{
    double n = 1;
    for (int32_t i = 0; i + 2 < t->rank; i++)
        n *= us_dim_known(t->dims[i]) ? (double)t->dims[i].add : 1;
    return n <= MOST_ITEMS;
}

/* --- operands ----------------------------------------------------------------------------------------- */

static us_err own(us_fuser *f, us_nid nid)
{
    us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "MatMul") || n->in[0] == US_NIL || n->in[1] == US_NIL) return US_OK;
    const us_type *a = &f->g->vals.at[n->in[0]].type, *b = &f->g->vals.at[n->in[1]].type;
    if (!known_floats(a) || !known_floats(b) || a->rank != b->rank || !batch_fits(a) ||
        !batch_fits(b))
        return US_OK;
    const us_attr *pa = operand_perm(f, n->in[0], a->rank),
                  *pb = operand_perm(f, n->in[1], a->rank);
    if (!pa && !pb) return US_OK;
    us_attr keep_a = pa ? *pa : (us_attr){0}, keep_b = pb ? *pb : (us_attr){0};
    if (pa) skip_transpose(f, n, 0);
    if (pb) skip_transpose(f, n, 1);
    n->domain = US_SV("usta");
    n->version = 1;
    us_node_set_op(n, "MatMul");
    *f->changed = true;
    US_TRY(us_fuse_set_as(f, nid, "permA", pa ? &keep_a : NULL));
    return us_fuse_set_as(f, nid, "permB", pb ? &keep_b : NULL);
}

/* --- results ------------------------------------------------------------------------------------------ */

static bool takes_result(const us_fuser *f, us_vid v, const us_node **out)
{
    us_nid nid = us_fuse_maker(f, v, 1);
    if (nid == US_NIL || f->g->nodes.at[nid].n_out != 1) return false;
    const us_node *n = &f->g->nodes.at[nid];
    bool plain = us_is_op(n, "", "MatMul"), mine = us_is_op(n, "usta", "MatMul");
    if ((!plain && !mine) || us_node_attr(n, "permY")) return false;
    const us_type *a = &f->g->vals.at[n->in[0]].type, *b = &f->g->vals.at[n->in[1]].type;
    *out = n;
    return known_floats(a) && known_floats(b) && a->rank == b->rank && batch_fits(a) &&
           batch_fits(b);
}

/* Node nid becomes the product n. */
static us_err become(us_fuser *f, us_nid nid, us_vid v)
{
    us_nid product = f->g->vals.at[v].def;
    us_node *to = &f->g->nodes.at[nid];
    us_vid *in = us_new_n(f->g->model->arena, us_vid, 2);
    if (!in) return us_arena_fail(f->c, f->g->model->arena);
    const us_node *from = &f->g->nodes.at[product];
    in[0] = from->in[0];
    in[1] = from->in[1];
    us_node_become(to, from, 2, in);
    to->domain = US_SV("usta");
    to->version = 1;
    us_node_set_op(to, "MatMul");
    us_rewire_drop(&f->r, product);
    *f->changed = true;
    return US_OK;
}

/* The constant that n multiplies by; 0: it does not. */
static float factor_of(const us_graph *g, const us_node *n, us_vid *x)
{
    bool mul = us_is_op(n, "", "Mul"), div = us_is_op(n, "", "Div");
    if (!mul && !div) return 0;
    for (uint32_t i = 0; i < 2; i++) {
        const us_tensor *t = us_const_tensor(g, n->in[1 - i]);
        if (!t || !t->data || t->dtype != US_F32 || us_tensor_count(t) != 1 || t->rank > 1 ||
            (div && i == 1))
            continue;
        float v = (float)us_tensor_f64_at(t, 0);
        v = div ? 1.0F / v : v;
        *x = n->in[i];
        return isnormal(v) ? v : 0;
    }
    return 0;
}

static us_err take_factor(us_fuser *f, us_nid nid)
{
    us_vid x = US_NIL;
    const us_node *p;
    float v = factor_of(f->g, &f->g->nodes.at[nid], &x);
    if (v == 0 || !takes_result(f, x, &p)) return US_OK;
    const us_attr *old = us_node_attr(p, "alpha");
    v *= old ? old->f : 1.0F;
    US_TRY(become(f, nid, x));
    return us_fuse_set_float(f, nid, "alpha", v);
}

static us_err take_transpose(us_fuser *f, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid], *p;
    if (!us_is_op(n, "", "Transpose")) return US_OK;
    us_vid x = n->in[0];
    if (!takes_result(f, x, &p)) return US_OK;
    int32_t rank = f->g->vals.at[x].type.rank;
    const us_attr *perm = perm_of(n, rank);
    if (!perm || perm->ints[rank - 1] != rank - 1) return US_OK;
    us_attr keep = *perm;
    US_TRY(become(f, nid, x));
    return us_fuse_set_as(f, nid, "permY", &keep);
}

static us_err rewrite(us_fuser *f, us_nid nid)
{
    US_TRY(own(f, nid));
    US_TRY(take_factor(f, nid));
    return take_transpose(f, nid);
}

us_err us_pass_own_matmul(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "own-matmul", rewrite, NULL, changed);
}
