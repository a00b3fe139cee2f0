/* pass/concat.c - Concat meets Concat, Split and Slice.
 *
 *   Concat of a Concat along the same axis that nobody else reads    one Concat
 *   Concat of all parts of a Split, in order, along its axis         what was split
 *   Slice of a Concat that takes just one of its inputs              that input
 */
#include "pass/passes.h"

#define MAX_PARTS 4096 /* inputs of a Concat that is put together */

static const us_node *maker(const us_graph *g, us_vid v)
{
    const us_val *val = v == US_NIL ? NULL : &g->vals.at[v];
    return val && val->storage == US_ST_TEMP && val->def != US_NIL ? &g->nodes.at[val->def]
                                                                   : NULL;
}

static int32_t rank_of(const us_graph *g, us_vid v)
{
    const us_type *t = &g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR ? t->rank : -1;
}

/* The attribute `axis` counted from the front, or -1 (given or not, the rank not known). */
static int64_t axis_of(const us_node *n, int32_t rank, int64_t absent)
{
    const us_attr *a = us_node_attr(n, "axis");
    int64_t axis = a ? a->i : absent;
    if (rank < 0 || axis < -rank || axis >= rank) return -1;
    return axis < 0 ? axis + rank : axis;
}

static int64_t concat_axis(const us_graph *g, const us_node *n)
{
    return axis_of(n, rank_of(g, n->out[0]), n->version < 4 ? 1 : -1 - US_MAX_RANK);
}

/* --- Concat of Concat --------------------------------------------------------------------------------------- */

/* The Concat that makes v along this axis, for nobody else; NULL. */
static const us_node *inner(const us_graph *g, us_vid v, int64_t axis, const uint32_t *uses)
{
    const us_node *p = maker(g, v);
    return p && us_is_op(p, "", "Concat") && uses[v] == 1 && concat_axis(g, p) == axis ? p
                                                                                       : NULL;
}

static us_err flatten(us_ctx *c, us_graph *g, us_nid nid, const uint32_t *uses, size_t n_uses,
                      bool *changed)
{
    us_node *n = &g->nodes.at[nid];
    int64_t axis = concat_axis(g, n);
    size_t total = 0;
    bool any = false;
    for (uint32_t i = 0; axis >= 0 && i < n->n_in; i++) {
        if (n->in[i] == US_NIL || n->in[i] >= n_uses) return US_OK;
        const us_node *p = inner(g, n->in[i], axis, uses);
        total += p ? p->n_in : 1;
        any = any || p;
    }
    if (!any || total > MAX_PARTS) return US_OK;
    us_vid *in = us_new_n(g->model->arena, us_vid, total);
    if (!in) return us_arena_fail(c, g->model->arena);
    size_t k = 0;
    for (uint32_t i = 0; i < n->n_in; i++) {
        const us_node *p = inner(g, n->in[i], axis, uses);
        for (uint32_t j = 0; p && j < p->n_in; j++)
            in[k++] = p->in[j];
        if (!p) in[k++] = n->in[i];
    }
    n->in = in;
    n->n_in = (uint32_t)total;
    *changed = true;
    return US_OK;
}

/* --- Concat of Split ------------------------------------------------------------------------------------------ */

static void undo_split(us_graph *g, us_nid nid, us_rewire *r, bool *changed)
{
    const us_node *n = &g->nodes.at[nid], *s = maker(g, n->in[0]);
    if (!s || !us_is_op(s, "", "Split") || s->n_out != n->n_in || s->in[0] == US_NIL ||
        us_rewire_is_output(r, n->out[0]))
        return;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != s->out[i]) return;
    int64_t axis = concat_axis(g, n);
    if (axis < 0 || axis_of(s, rank_of(g, s->in[0]), 0) != axis) return;
    us_rewire_set(r, n->out[0], s->in[0]);
    us_rewire_drop(r, nid);
    *changed = true;
}

/* --- Slice of Concat -------------------------------------------------------------------------------------------- */

/* A list of one integer: attribute or input i. */
static bool one_int(const us_graph *g, const us_node *n, const char *name, uint32_t i,
                    int64_t *x)
{
    const us_attr *a = us_node_attr(n, name);
    if (a) {
        *x = a->n == 1 && a->ints ? a->ints[0] : 0;
        return a->n == 1 && a->ints;
    }
    const us_tensor *t =
        i < n->n_in && n->in[i] != US_NIL ? us_const_tensor(g, n->in[i]) : NULL;
    if (!t || !t->data || us_tensor_count(t) != 1) return false;
    *x = us_tensor_i64_at(t, 0);
    return true;
}

/* Where the Slice begins and ends along the axis of a dimension of n elements. */
static bool slice_range(const us_graph *g, const us_node *s, int64_t axis, int32_t rank,
                        int64_t n, int64_t *from, int64_t *to)
{
    int64_t at = 0, step = 1;
    bool has_axes = us_node_attr(s, "axes") || (s->n_in > 3 && s->in[3] != US_NIL);
    if (has_axes && !one_int(g, s, "axes", 3, &at)) return false;
    if (s->n_in > 4 && s->in[4] != US_NIL && !one_int(g, s, "steps", 4, &step)) return false;
    if (!one_int(g, s, "starts", 1, from) || !one_int(g, s, "ends", 2, to)) return false;
    if (at < 0) at += rank;
    if (at != axis || step != 1) return false;
    if (*from < 0) *from += n;
    if (*to < 0) *to += n;
    *to = US_MIN(*to, n);
    return *from >= 0 && *from <= *to;
}

static bool dim_at(const us_graph *g, us_vid v, int64_t axis, int64_t *n)
{
    const us_type *t = &g->vals.at[v].type;
    if (t->kind != US_KIND_TENSOR || t->rank <= axis || !us_dim_known(t->dims[axis]))
        return false;
    *n = t->dims[axis].add;
    return true;
}

static void pick(us_graph *g, us_nid nid, us_rewire *r, bool *changed)
{
    const us_node *s = &g->nodes.at[nid], *p = maker(g, s->in[0]);
    int64_t total, from, to, at = 0, len;
    if (!p || !us_is_op(p, "", "Concat") || us_rewire_is_output(r, s->out[0])) return;
    int64_t axis = concat_axis(g, p);
    if (axis < 0 || !dim_at(g, s->in[0], axis, &total) ||
        !slice_range(g, s, axis, rank_of(g, s->in[0]), total, &from, &to))
        return;
    for (uint32_t i = 0; i < p->n_in && i < MAX_PARTS && at <= from; i++, at += len) {
        if (p->in[i] == US_NIL || !dim_at(g, p->in[i], axis, &len)) return;
        if (at != from || at + len != to || len == 0) continue;
        us_rewire_set(r, s->out[0], p->in[i]);
        us_rewire_drop(r, nid);
        *changed = true;
        return;
    }
}

static us_err look(us_ctx *c, us_graph *g, us_nid nid, us_rewire *r, const uint32_t *uses,
                   bool *changed)
{
    const us_node *n = &g->nodes.at[nid];
    if (n->n_in == 0 || n->in[0] == US_NIL || n->n_out != 1 || n->out[0] == US_NIL)
        return US_OK;
    if (us_is_op(n, "", "Slice")) pick(g, nid, r, changed);
    if (!us_is_op(n, "", "Concat")) return US_OK;
    undo_split(g, nid, r, changed);
    return n->dead ? US_OK : flatten(c, g, nid, uses, r->n, changed);
}

us_err us_pass_concat(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    us_rewire r = {0};
    uint32_t *uses;
    US_TRY(us_arena_new(c, "concat", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        us_rewire_node(&r, g->order.at[i]);
        e = look(c, g, g->order.at[i], &r, uses, changed);
    }
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(a);
    return e;
}
