/* pass/fuse_map.c - chains and graphs of elementwise operators as one usta.Map: one pass over memory instead of one for each.
 *
 * A group grows backwards from its last node: the node that makes an input joins when it has a recipe (ir/ewise.h), when its result has
 * the shape of the group's, provably for all shapes, and when nobody outside the group reads that result. So what is left
 * to read are inputs of any shape that broadcasts, and the last result keeps its name. x * sigmoid(x), GELU in all its spellings, HardSwish by
 * Add, Clip, Mul, Div and normalisations by scale and shift become one node for no reason of their own.
 *
 * A result of a smaller shape does not join: it would be computed again for each element it is broadcast to.
 */
#include <string.h>

#include "pass/fuse_tail.h"

typedef struct fuse {
    us_ctx *c;
    us_graph *g;
    us_arena *a;
    us_rewire r;
    const uint32_t *uses;
    uint32_t *place; /* in the order, per node */
    bool *taken;     /* per node: in a group */
} fuse;

typedef struct group {
    us_nid nodes[US_EW_INS]; /* sorted by place */
    size_t n;
} group;

static const us_type *type_of(const fuse *f, us_vid v)
{
    return &f->g->vals.at[v].type;
}

static bool same_shape(const us_type *a, const us_type *b)
{
    if (a->kind != US_KIND_TENSOR || b->kind != US_KIND_TENSOR || a->rank < 0 ||
        a->rank != b->rank)
        return false;
    for (int32_t d = 0; d < a->rank; d++)
        if (!us_dim_eq(a->dims[d], b->dims[d])) return false;
    return true;
}

static uint32_t reads_inside(const fuse *f, const group *q, us_vid v)
{
    uint32_t n = 0;
    for (size_t i = 0; i < q->n; i++) {
        const us_node *nd = &f->g->nodes.at[q->nodes[i]];
        for (uint32_t k = 0; k < nd->n_in; k++)
            n += nd->in[k] == v;
    }
    return n;
}

static us_vid output_of(const fuse *f, const group *q)
{
    return f->g->nodes.at[q->nodes[q->n - 1]].out[0];
}

static bool may_join(const fuse *f, const group *q, us_nid nid)
{
    const us_node *n = &f->g->nodes.at[nid];
    if (f->taken[nid] || !us_ew_takes_node(f->g, nid)) return false;
    us_vid v = n->out[0];
    return same_shape(type_of(f, v), type_of(f, output_of(f, q))) &&
           f->uses[v] == reads_inside(f, q, v);
}

static void insert(const fuse *f, group *q, us_nid nid)
{
    size_t at = q->n++;
    while (at > 0 && f->place[q->nodes[at - 1]] > f->place[nid]) {
        q->nodes[at] = q->nodes[at - 1];
        at--;
    }
    q->nodes[at] = nid;
}

/* One producer more, if there is one that fits. */
static bool grow(const fuse *f, group *q)
{
    for (size_t i = q->n; i-- > 0;) {
        const us_node *n = &f->g->nodes.at[q->nodes[i]];
        for (uint32_t k = 0; k < n->n_in; k++) {
            us_vid v = n->in[k];
            if (v == US_NIL || f->g->vals.at[v].storage != US_ST_TEMP) continue;
            us_nid by = f->g->vals.at[v].def;
            if (by == US_NIL || q->n == US_LEN(q->nodes) || !may_join(f, q, by)) continue;
            group more = *q;
            us_ew_join j;
            insert(f, &more, by);
            if (!us_ew_join_nodes(f->g, more.n, more.nodes, US_NIL, &j)) continue;
            *q = more;
            f->taken[by] = true;
            return true;
        }
    }
    return false;
}

/* An input of the result's shape, one made in this graph if possible: it stands first, where memory may be shared. Without one the
 * immediates, whose rank is lost, might have given the result its rank. */
static bool main_input(const fuse *f, const group *q, us_vid *x)
{
    us_ew_join j;
    if (!us_ew_join_nodes(f->g, q->n, q->nodes, US_NIL, &j)) return false;
    *x = US_NIL;
    for (size_t i = 0; i < j.n_in; i++) {
        if (!same_shape(type_of(f, j.in[i]), type_of(f, output_of(f, q)))) continue;
        bool made = f->g->vals.at[j.in[i]].storage == US_ST_TEMP &&
                    type_of(f, j.in[i])->dtype == US_F32;
        if (made || *x == US_NIL) *x = j.in[i];
        if (made) return true;
    }
    return *x != US_NIL;
}

static us_err set_attrs(fuse *f, us_node *n, const us_ew_writer *w, bool truth)
{
    us_attr *attrs = us_new_n(f->g->model->arena, us_attr, 3);
    if (!attrs) return us_arena_fail(f->c, f->g->model->arena);
    US_TRY(us_tail_program(f->c, f->g, w, attrs));
    attrs[2] = (us_attr){.name = US_SV("truth"), .kind = US_AT_INT, .i = truth};
    n->attrs = attrs;
    n->n_attrs = 3;
    return US_OK;
}

/* The last node becomes the map. */
static us_err write_group(fuse *f, const group *q, bool *changed)
{
    us_ew_join j;
    us_vid x;
    if (!main_input(f, q, &x) || !us_ew_join_nodes(f->g, q->n, q->nodes, x, &j)) return US_OK;
    us_vid *in = us_new_n(f->g->model->arena, us_vid, j.n_in);
    if (!in) return us_arena_fail(f->c, f->g->model->arena);
    memcpy(in, j.in, j.n_in * sizeof *in);
    us_node *n = &f->g->nodes.at[q->nodes[q->n - 1]];
    US_TRY(set_attrs(f, n, &j.w, type_of(f, n->out[0])->dtype == US_BOOL));
    n->domain = US_SV("usta");
    n->version = 1;
    n->in = in;
    n->n_in = (uint32_t)j.n_in;
    us_node_set_op(n, "Map");
    for (size_t i = 0; i + 1 < q->n; i++)
        us_rewire_drop(&f->r, q->nodes[i]);
    *changed = true;
    return US_OK;
}

static us_err fuse_all(fuse *f, bool *changed)
{
    for (size_t i = 0; i < f->g->order.n; i++)
        f->place[f->g->order.at[i]] = (uint32_t)i;
    for (size_t i = f->g->order.n; i-- > 0;) {
        us_nid nid = f->g->order.at[i];
        if (f->taken[nid] || !us_ew_takes_node(f->g, nid)) continue;
        group q = {.nodes = {nid}, .n = 1};
        f->taken[nid] = true;
        while (grow(f, &q)) {
        }
        if (q.n < 2) continue;
        US_TRY(write_group(f, &q, changed));
    }
    return US_OK;
}

us_err us_pass_fuse_map(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    fuse f = {.c = c, .g = g};
    uint32_t *uses = NULL;
    US_TRY(us_arena_new(c, "fuse-map", (size_t)1 << 30, &f.a));
    us_err e = us_graph_uses(c, g, f.a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, f.a, &f.r);
    f.uses = uses;
    f.place = us_new_n(f.a, uint32_t, g->nodes.n);
    f.taken = us_new_n(f.a, bool, g->nodes.n);
    if (e == US_OK && (!f.place || !f.taken)) e = us_arena_fail(c, f.a);
    if (e == US_OK) e = fuse_all(&f, changed);
    if (e == US_OK) us_rewire_end(&f.r);
    us_arena_free(f.a);
    return e;
}
