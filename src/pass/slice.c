/* pass/slice.c - a Slice of a Slice reads what the first one reads.
 *
 *   over other axes                  one Slice over the axes of both
 *   over an axis of the first        starts are added, the nearer end holds, when both go forward by one from known places
 * Exporters write x[::2, ::2] as two nodes, and [a:][b:c] when views are views of views. The first node stays for its
 * other readers; no work is done twice, for a Slice costs what it gives.
 */
#include "pass/passes.h"

typedef struct cut {
    int64_t n; /* axes */
    int64_t axis[US_MAX_RANK], from[US_MAX_RANK], to[US_MAX_RANK], step[US_MAX_RANK];
} cut;

/* A list of integers, attribute or constant input i; its length, -1 when it is not known, 0 when absent. */
static int64_t ints(const us_graph *g, const us_node *n, const char *name, uint32_t i,
                    int64_t *out)
{
    const us_attr *a = us_node_attr(n, name);
    if (a) {
        if (a->n > US_MAX_RANK || !a->ints) return -1;
        for (size_t k = 0; k < a->n; k++)
            out[k] = a->ints[k];
        return (int64_t)a->n;
    }
    if (i >= n->n_in || n->in[i] == US_NIL) return 0;
    const us_tensor *t = us_const_tensor(g, n->in[i]);
    if (!t || !t->data || t->rank != 1 || t->dims[0] > US_MAX_RANK) return -1;
    for (int64_t k = 0; k < t->dims[0]; k++)
        out[k] = us_tensor_i64_at(t, k);
    return t->dims[0];
}

static bool read_cut(const us_graph *g, const us_node *s, int32_t rank, cut *c)
{
    c->n = ints(g, s, "starts", 1, c->from);
    int64_t n_axes = ints(g, s, "axes", 3, c->axis), n_steps = ints(g, s, "steps", 4, c->step);
    if (c->n <= 0 || ints(g, s, "ends", 2, c->to) != c->n || rank < 0 || c->n > rank)
        return false;
    if ((n_axes != 0 && n_axes != c->n) || (n_steps != 0 && n_steps != c->n)) return false;
    for (int64_t i = 0; i < c->n; i++) {
        if (n_axes == 0) c->axis[i] = i;
        if (n_steps == 0) c->step[i] = 1;
        if (c->axis[i] < 0) c->axis[i] += rank;
        if (c->axis[i] < 0 || c->axis[i] >= rank) return false;
        for (int64_t j = 0; j < i; j++)
            if (c->axis[j] == c->axis[i]) return false;
    }
    return true;
}

/* Adds entry i of `then` to the first cut; false when they do not make one. */
static bool add_cut(cut *c, const cut *then, int64_t i)
{
    int64_t at = 0;
    while (at < c->n && c->axis[at] != then->axis[i])
        at++;
    if (at == US_MAX_RANK) return false;
    if (at == c->n) {
        c->axis[at] = then->axis[i];
        c->from[at] = then->from[i];
        c->to[at] = then->to[i];
        c->step[at] = then->step[i];
        c->n++;
        return true;
    }
    if (c->step[at] != 1 || then->step[i] != 1 || c->from[at] < 0 || c->to[at] < 0 ||
        then->from[i] < 0 || then->to[i] < 0)
        return false; /* counted from an end that is not known here */
    int64_t start = c->from[at];
    bool far = then->from[i] > INT64_MAX - start;
    c->from[at] = far ? INT64_MAX : start + then->from[i];
    if (then->to[i] <= INT64_MAX - start) c->to[at] = US_MIN(c->to[at], start + then->to[i]);
    return true;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static us_err vector(us_ctx *c, us_graph *g, int64_t n, const int64_t *v, us_vid *out)
{
    us_tensor t;
    US_TRY(us_tensor_new(c, g->model->arena, US_I64, 1, &n, &t));
    for (int64_t i = 0; i < n; i++)
        ((int64_t *)t.data)[i] = v[i];
    return us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &t, out);
}

static us_err write_inputs(us_ctx *c, us_graph *g, us_nid nid, us_vid x, const cut *k)
{
    us_vid *in = us_new_n(g->model->arena, us_vid, 5);
    bool steps = false;
    if (!in) return us_arena_fail(c, g->model->arena);
    for (int64_t i = 0; i < k->n; i++)
        steps = steps || k->step[i] != 1;
    in[0] = x;
    US_TRY(vector(c, g, k->n, k->from, &in[1]));
    US_TRY(vector(c, g, k->n, k->to, &in[2]));
    US_TRY(vector(c, g, k->n, k->axis, &in[3]));
    if (steps) US_TRY(vector(c, g, k->n, k->step, &in[4]));
    g->nodes.at[nid].in = in;
    g->nodes.at[nid].n_in = steps ? 5 : 4;
    return US_OK;
}

static us_err write_attrs(us_ctx *c, us_graph *g, us_nid nid, us_vid x, const cut *k)
{
    const struct {
        const char *name;
        const int64_t *v;
    } rows[] = {{"starts", k->from}, {"ends", k->to}, {"axes", k->axis}};
    us_vid *in = us_new_n(g->model->arena, us_vid, 1);
    if (!in) return us_arena_fail(c, g->model->arena);
    for (size_t i = 0; i < US_LEN(rows); i++) {
        int64_t *v = us_new_n(g->model->arena, int64_t, (size_t)k->n);
        if (!v) return us_arena_fail(c, g->model->arena);
        for (int64_t j = 0; j < k->n; j++)
            v[j] = rows[i].v[j];
        us_attr a = {
            .name = us_sv_of(rows[i].name), .kind = US_AT_INTS, .ints = v, .n = (size_t)k->n};
        US_TRY(us_node_set_attr(c, g, nid, &a));
    }
    in[0] = x;
    g->nodes.at[nid].in = in;
    return US_OK;
}

static us_err join(us_ctx *c, us_graph *g, us_nid nid, bool *changed)
{
    const us_node *n = &g->nodes.at[nid];
    if (!us_is_op(n, "", "Slice") || n->in[0] == US_NIL) return US_OK;
    const us_val *x = &g->vals.at[n->in[0]];
    int32_t rank = x->type.kind == US_KIND_TENSOR ? x->type.rank : -1;
    if (x->storage != US_ST_TEMP || x->def == US_NIL) return US_OK;
    const us_node *p = &g->nodes.at[x->def];
    cut first, then;
    if (!us_is_op(p, "", "Slice") || p->in[0] == US_NIL || !read_cut(g, p, rank, &first) ||
        !read_cut(g, n, rank, &then))
        return US_OK;
    for (int64_t i = 0; i < then.n; i++)
        if (!add_cut(&first, &then, i)) return US_OK;
    *changed = true;
    bool by_attrs = n->version < 10;
    return by_attrs ? write_attrs(c, g, nid, p->in[0], &first)
                    : write_inputs(c, g, nid, p->in[0], &first);
}

us_err us_pass_slice(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    for (size_t i = 0; i < g->order.n; i++)
        US_TRY(join(c, g, g->order.at[i], changed));
    return US_OK;
}
