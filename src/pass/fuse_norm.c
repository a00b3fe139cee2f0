/* pass/fuse_norm.c - a LayerNormalization written out becomes one again.
 *
 *   d = x - ReduceMean(x)    over the last axis
 *   y = d / Sqrt(ReduceMean(d * d) + e) * g + b    (d * d also as Pow(d, 2); b may be missing)
 *
 * As exporters wrote it before opset 17. One node reads x twice from the first-level cache instead of nine passes over memory. What stands
 * between must have no other reader; g and b are constants, a number per element of the last axis. Sums are taken in
 * another order and the root's inverse is rounded once less: as near as any two ways to sum.
 */
#include "pass/fuser.h"

/* Who makes v, when that is this operator and v has `readers` readers. */
static const us_node *maker(const us_fuser *f, us_vid v, const char *op, uint32_t readers)
{
    us_nid nid = us_fuse_maker(f, v, readers);
    const us_node *n = nid == US_NIL ? NULL : &f->g->nodes.at[nid];
    return n && us_is_op(n, "", op) ? n : NULL;
}

static bool number(const us_graph *g, us_vid v, float *out)
{
    const us_tensor *t = us_const_tensor(g, v);
    if (!t || !t->data || t->dtype != US_F32 || us_tensor_count(t) != 1) return false;
    *out = (float)us_tensor_f64_at(t, 0);
    return true;
}

/* ReduceMean over the last axis, which stays as 1. */
static bool is_mean(const us_fuser *f, const us_node *n, int32_t rank)
{
    const us_tensor *axes = n->n_in > 1 ? us_const_tensor(f->g, n->in[1]) : NULL;
    const us_attr *keep = us_node_attr(n, "keepdims");
    if (!axes || !axes->data || axes->dtype != US_I64 || us_tensor_count(axes) != 1 ||
        (keep && keep->i == 0))
        return false;
    int64_t a = (int64_t)us_tensor_f64_at(axes, 0);
    return a == -1 || a == rank - 1;
}

/* Is v x - mean(x)? Then x. */
static us_vid centred(const us_fuser *f, us_vid v)
{
    const us_node *sub = maker(f, v, "Sub", v < f->r.n ? f->uses[v] : 0);
    if (!sub || sub->in[0] == US_NIL) return US_NIL;
    const us_type *t = &f->g->vals.at[sub->in[0]].type;
    const us_node *mean = maker(f, sub->in[1], "ReduceMean", 1);
    bool ok = mean && mean->in[0] == sub->in[0] && t->kind == US_KIND_TENSOR &&
              t->dtype == US_F32 && t->rank >= 1 && is_mean(f, mean, t->rank);
    return ok ? sub->in[0] : US_NIL;
}

/* Is v the mean of the squares of d, whose readers but one are here? */
static bool is_variance(const us_fuser *f, us_vid v, us_vid d)
{
    const us_node *mean = maker(f, v, "ReduceMean", 1);
    const us_node *pow = mean ? maker(f, mean->in[0], "Pow", 1) : NULL;
    const us_node *mul = mean ? maker(f, mean->in[0], "Mul", 1) : NULL;
    float two = 0;
    if (pow && (pow->in[0] != d || !number(f->g, pow->in[1], &two) || two != 2.0F))
        return false;
    if (mul && (mul->in[0] != d || mul->in[1] != d)) return false;
    return (pow || mul) && f->uses[d] == (pow ? 2 : 3) &&
           is_mean(f, mean, f->g->vals.at[d].type.rank);
}

/* Is v d / sqrt(variance + e)? Then x. */
static us_vid normal(const us_fuser *f, us_vid v, float *epsilon)
{
    const us_node *div = maker(f, v, "Div", 1);
    const us_node *root = div ? maker(f, div->in[1], "Sqrt", 1) : NULL;
    const us_node *add = root ? maker(f, root->in[0], "Add", 1) : NULL;
    for (uint32_t i = 0; add && i < 2; i++)
        if (number(f->g, add->in[i], epsilon) && *epsilon >= 0 &&
            is_variance(f, add->in[1 - i], div->in[0]))
            return centred(f, div->in[0]);
    return US_NIL;
}

/* A constant with a number for each element of t's last axis. */
static bool is_row(const us_fuser *f, us_vid v, const us_type *t)
{
    const us_tensor *k = us_const_tensor(f->g, v);
    us_dim n = t->dims[t->rank - 1];
    return k && k->data && k->dtype == US_F32 && k->rank == 1 && us_dim_known(n) &&
           k->dims[0] == n.add;
}

static us_err become(us_fuser *f, us_nid nid, uint32_t n_in, const us_vid *from)
{
    us_node *n = &f->g->nodes.at[nid];
    us_vid *in = us_new_n(f->g->model->arena, us_vid, n_in);
    if (!in) return us_arena_fail(f->c, f->g->model->arena);
    for (uint32_t i = 0; i < n_in; i++)
        in[i] = from[i];
    n->in = in;
    n->n_in = n_in;
    *f->changed = true;
    return US_OK;
}

static us_err take_scale(us_fuser *f, us_nid nid)
{
    us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "Mul")) return US_OK;
    for (uint32_t i = 0; i < 2; i++) {
        float epsilon = 0;
        us_vid x = normal(f, n->in[i], &epsilon);
        if (x == US_NIL || !is_row(f, n->in[1 - i], &f->g->vals.at[x].type)) continue;
        US_TRY(become(f, nid, 2, (us_vid[]){x, n->in[1 - i]}));
        n->version = 17;
        us_node_set_op(n, "LayerNormalization");
        us_attr axis = {.name = US_SV("axis"), .kind = US_AT_INT, .i = -1},
                e = {.name = US_SV("epsilon"), .kind = US_AT_FLOAT, .f = epsilon};
        US_TRY(us_node_set_attr(f->c, f->g, nid, &axis));
        return us_node_set_attr(f->c, f->g, nid, &e);
    }
    return US_OK;
}

static us_err take_bias(us_fuser *f, us_nid nid)
{
    us_node *n = &f->g->nodes.at[nid];
    if (!us_is_op(n, "", "Add")) return US_OK;
    for (uint32_t i = 0; i < 2; i++) {
        const us_node *p = maker(f, n->in[i], "LayerNormalization", 1);
        if (!p || p->n_in != 2 || !is_row(f, n->in[1 - i], &f->g->vals.at[n->in[i]].type))
            continue;
        us_nid old = f->g->vals.at[n->in[i]].def;
        us_vid in[3] = {p->in[0], p->in[1], n->in[1 - i]};
        us_node_become(n, p, 2, p->in);
        n->params = NULL; /* decoded by the driver */
        us_rewire_drop(&f->r, old);
        return become(f, nid, 3, in);
    }
    return US_OK;
}

static us_err rewrite(us_fuser *f, us_nid nid)
{
    US_TRY(take_scale(f, nid));
    return take_bias(f, nid);
}

us_err us_pass_fuse_norm(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    US_TRY(us_fuse(c, g, "fuse-norm", rewrite, NULL, changed));
    return *changed ? us_pass_dce(c, m, g, changed) : US_OK; /* what nobody reads now */
}
