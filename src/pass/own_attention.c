/* pass/own_attention.c - two products with a softmax between them become one operator (usta.Attention).
 *
 *   MatMul(Softmax(MatMul(q, k) + b), v)    b: a mask as exporters add it, or nothing
 *
 * After own-matmul, so the products have taken the Transposes and the factor around them already, whatever way an exporter wrote
 * heads; what Attention expands to looks the same. The softmax goes along the last axis; nothing between may have
 * another reader. b may be anything that broadcasts with the scores: the operator means what the nodes meant.
 */
#include "pass/fuser.h"

static bool floats_of_rank(const us_fuser *f, us_vid v, int32_t rank)
{
    if (v == US_NIL) return false;
    const us_type *t = &f->g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR && t->dtype == US_F32 && t->rank == rank;
}

static bool is_product(const us_node *n)
{
    return us_is_op(n, "", "MatMul") || us_is_op(n, "usta", "MatMul");
}

/* The product whose scores v are: q and k of this rank, as they come. */
static us_nid scores_of(const us_fuser *f, us_vid v, int32_t rank)
{
    us_nid nid = us_fuse_maker(f, v, 1);
    if (nid == US_NIL) return US_NIL;
    const us_node *n = &f->g->nodes.at[nid];
    bool ok = is_product(n) && !us_node_attr(n, "permY") && floats_of_rank(f, n->in[0], rank) &&
              floats_of_rank(f, n->in[1], rank);
    return ok ? nid : US_NIL;
}

typedef struct match {
    us_nid softmax, add, scores; /* add: US_NIL when there is none */
    us_vid bias;
} match;

static bool find(const us_fuser *f, const us_node *n, match *o)
{
    const us_attr *alpha = us_node_attr(n, "alpha"), *axis;
    if (!is_product(n) || us_node_attr(n, "permA") || (alpha && alpha->f != 1.0F) ||
        n->in[1] == US_NIL)
        return false;
    const us_type *v = &f->g->vals.at[n->in[1]].type;
    int32_t rank = v->kind == US_KIND_TENSOR && v->dtype == US_F32 ? v->rank : -1;
    o->softmax = us_fuse_maker(f, n->in[0], 1);
    if (rank < 2 || o->softmax == US_NIL || !floats_of_rank(f, n->in[0], rank)) return false;
    const us_node *soft = &f->g->nodes.at[o->softmax];
    axis = us_node_attr(soft, "axis");
    if (!us_is_op(soft, "", "Softmax") || (axis && axis->i != -1 && axis->i != rank - 1))
        return false;
    o->add = US_NIL;
    o->bias = US_NIL;
    o->scores = scores_of(f, soft->in[0], rank);
    if (o->scores != US_NIL) return true;
    us_nid add = us_fuse_maker(f, soft->in[0], 1);
    if (add == US_NIL || !us_is_op(&f->g->nodes.at[add], "", "Add")) return false;
    const us_node *sum = &f->g->nodes.at[add];
    for (uint32_t i = 0; i < 2 && o->scores == US_NIL; i++) {
        us_vid b = sum->in[1 - i];
        if (b == US_NIL) return false;
        const us_type *t = &f->g->vals.at[b].type;
        if (t->kind != US_KIND_TENSOR || t->dtype != US_F32 || t->rank < 0 || t->rank > rank)
            continue;
        o->scores = scores_of(f, sum->in[i], rank);
        o->bias = b;
    }
    o->add = add;
    return o->scores != US_NIL;
}

static us_err own(us_fuser *f, us_nid nid)
{
    match x;
    us_node *n = &f->g->nodes.at[nid];
    if (!find(f, n, &x)) return US_OK;
    const us_node *s = &f->g->nodes.at[x.scores];
    us_vid *in = us_new_n(f->g->model->arena, us_vid, 4);
    if (!in) return us_arena_fail(f->c, f->g->model->arena);
    in[0] = s->in[0];
    in[1] = s->in[1];
    in[2] = n->in[1];
    in[3] = x.bias;
    const us_attr *q = us_node_attr(s, "permA"), *key = us_node_attr(s, "permB"),
                  *find_v = us_node_attr(n, "permB"), *alpha = us_node_attr(s, "alpha");
    us_attr v =
        find_v ? *find_v : (us_attr){0}; /* before it is taken from n, whose permY stays */
    us_node_del_attr(n, "permB");
    us_node_del_attr(n, "alpha");
    n->in = in;
    n->n_in = x.bias == US_NIL ? 3 : 4;
    n->domain = US_SV("usta");
    n->version = 1;
    us_node_set_op(n, "Attention");
    US_TRY(us_fuse_set_float(f, nid, "alpha", alpha ? alpha->f : 1.0F));
    US_TRY(us_fuse_set_as(f, nid, "permQ", q));
    US_TRY(us_fuse_set_as(f, nid, "permK", key));
    US_TRY(us_fuse_set_as(f, nid, "permV", find_v ? &v : NULL));
    us_rewire_drop(&f->r, x.softmax);
    us_rewire_drop(&f->r, x.scores);
    if (x.add != US_NIL) us_rewire_drop(&f->r, x.add);
    *f->changed = true;
    return US_OK;
}

us_err us_pass_own_attention(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "own-attention", own, NULL, changed);
}
