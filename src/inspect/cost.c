/* inspect/cost.c - the column `cost` of operators: a formula per row of cost.def, else elements of the outputs.
 *
 * Formulas look at shapes and attributes only. Counts are doubles: they are estimates for people, and products of hostile
 * dimensions must not overflow.
 */
#include "inspect/cost.h"

#include "ir/params.h"

typedef bool cost_fn(const us_graph *g, const us_node *n, us_cost *out);

/* --- shapes ----------------------------------------------------------------------------------------------------- */

static const us_type *type_of(const us_graph *g, const us_vid *ids, uint32_t n, uint32_t i)
{
    if (i >= n || ids[i] == US_NIL) return NULL;
    const us_type *t = &g->vals.at[ids[i]].type;
    if (t->kind != US_KIND_TENSOR || t->rank < 0) return NULL;
    for (int32_t d = 0; d < t->rank; d++)
        if (!us_dim_known(t->dims[d])) return NULL;
    return t;
}

static const us_type *in_type(const us_graph *g, const us_node *n, uint32_t i)
{
    return type_of(g, n->in, n->n_in, i);
}

static const us_type *out_type(const us_graph *g, const us_node *n, uint32_t i)
{
    return type_of(g, n->out, n->n_out, i);
}

/* Product of dims[from] .. */
static double count(const us_type *t, int32_t from)
{
    double x = 1;
    for (int32_t d = from; d < t->rank; d++)
        x *= (double)t->dims[d].add;
    return x;
}

static double last_dim(const us_type *t)
{
    return t->rank > 0 ? (double)t->dims[t->rank - 1].add : 1;
}

static double product(us_ints v)
{
    double x = 1;
    for (size_t i = 0; i < v.n; i++)
        x *= (double)v.p[i];
    return x;
}

/* --- formulas ----------------------------------------------------------------------------------------------------- */

/* Each element of the result sums over the last axis of the first factor. */
static bool matmul_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *x = in_type(g, n, 0), *y = out_type(g, n, 0);
    if (!x || !y) return false;
    out->macs = count(y, 0) * last_dim(x);
    return true;
}

static bool gemm_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *x = in_type(g, n, 0), *y = out_type(g, n, 0);
    const us_p_gemm *p = n->params;
    if (!x || !y || !p || x->rank != 2) return false;
    out->macs = count(y, 0) * (double)x->dims[p->transA ? 0 : 1].add;
    if (n->n_in > 2 && n->in[2] != US_NIL) out->ops = count(y, 0);
    return true;
}

/* W is [M, C / group, kernel...]: a result sums over all but M. */
static bool conv_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *w = in_type(g, n, 1), *y = out_type(g, n, 0);
    if (!w || !y) return false;
    out->macs = count(y, 0) * count(w, 1);
    if (n->n_in > 2 && n->in[2] != US_NIL) out->ops = count(y, 0);
    return true;
}

/* W is [C, M / group, kernel...]: an input element goes to all but C. */
static bool conv_transpose_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *x = in_type(g, n, 0), *w = in_type(g, n, 1), *y = out_type(g, n, 0);
    if (!x || !w || !y) return false;
    out->macs = count(x, 0) * count(w, 1);
    if (n->n_in > 2 && n->in[2] != US_NIL) out->ops = count(y, 0);
    return true;
}

static bool window_cost(const us_graph *g, const us_node *n, us_ints kernel, us_cost *out)
{
    const us_type *y = out_type(g, n, 0);
    if (!y) return false;
    out->ops = count(y, 0) * product(kernel);
    return true;
}

static bool max_pool_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_p_max_pool *p = n->params;
    return p && window_cost(g, n, p->kernel_shape, out);
}

static bool average_pool_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_p_average_pool *p = n->params;
    return p && window_cost(g, n, p->kernel_shape, out);
}

/* Per step and example all of W [directions, gates * H, inputs] and R [directions, gates * H, H]; a few operations per gate. */
static bool recurrent_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *x = in_type(g, n, 0), *w = in_type(g, n, 1), *r = in_type(g, n, 2);
    if (!x || !w || !r || x->rank != 3 || w->rank != 3 || r->rank != 3) return false;
    double steps = (double)x->dims[0].add * (double)x->dims[1].add;
    out->macs = steps * (count(w, 0) + count(r, 0));
    out->ops = steps * 4 * (double)w->dims[0].add * (double)w->dims[1].add;
    return true;
}

static bool inputs_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *x = in_type(g, n, 0);
    if (!x) return false;
    out->ops = count(x, 0);
    return true;
}

/* q k' and p v over all places, past ones too; q, k and y are [B,S,H] or [B,heads,S,size]. */
static bool attention_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *q = in_type(g, n, 0), *k = in_type(g, n, 1), *y = out_type(g, n, 0);
    const us_type *past = in_type(g, n, 4);
    if (!q || !k || !y || k->rank < 3) return false;
    double places = (double)k->dims[k->rank - 2].add;
    if (past && past->rank == 4) places += (double)past->dims[2].add;
    out->macs = (count(q, 0) + count(y, 0)) * places;
    return true;
}

/* x [B,S,E] times weights [E,3H], then q k' and p v, both over all earlier places. */
static bool ms_attention_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *x = in_type(g, n, 0), *w = in_type(g, n, 1), *y = out_type(g, n, 0);
    if (!x || !w || !y || x->rank != 3 || w->rank != 2) return false;
    out->macs = count(x, 0) * last_dim(w) + 2 * count(y, 0) * (double)x->dims[1].add;
    return true;
}

/* q [B,S,H], k [B,L,H]. */
static bool ms_multi_head_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *q = in_type(g, n, 0), *k = in_type(g, n, 1);
    if (!q || !k || q->rank != 3 || k->rank != 3) return false;
    out->macs = 2 * count(q, 0) * (double)k->dims[1].add;
    return true;
}

/* y [B,S,H] against the present keys [B,heads,L,size]. */
static bool ms_group_query_cost(const us_graph *g, const us_node *n, us_cost *out)
{
    const us_type *y = out_type(g, n, 0), *k = out_type(g, n, 1);
    if (!y || !k || k->rank != 4) return false;
    out->macs = 2 * count(y, 0) * (double)k->dims[2].add;
    return true;
}

/* --- the table ------------------------------------------------------------------------------------------------------ */

static cost_fn *const costs[US_OP_N] = {
#define US_COST(id, fn) [US_OP_##id] = fn##_cost,
#include "inspect/cost.def"
#undef US_COST
};

bool us_cost_has_row(const us_op *op)
{
    return op && costs[us_op_index(op)] != NULL;
}

static bool is_free(const us_op *op)
{
    static const bool by_kind[US_WHY_N] = {
        [US_WHY_CONTROL] = true, [US_WHY_VALUES] = true, [US_WHY_MOVES] = true};
    const char *reason;
    us_op_id id = us_op_index(op);
    return (op->flags & (US_OP_VIEW | US_OP_SHAPE_ONLY)) || by_kind[us_op_why(op, &reason)] ||
           id == US_OP_CONSTANT || id == US_OP_IDENTITY || id == US_OP_RESHAPE;
}

bool us_cost_of(const us_graph *g, const us_node *n, us_cost *out)
{
    us_cost x = {0};
    if (!n->op) return false;
    cost_fn *fn = costs[us_op_index(n->op)];
    bool known = true;
    if (fn) {
        known = fn(g, n, &x);
    } else if (!is_free(n->op)) {
        for (uint32_t i = 0; i < n->n_out; i++) {
            const us_type *y = out_type(g, n, i);
            if (n->out[i] == US_NIL) continue;
            if (!y) return false;
            x.ops += count(y, 0);
        }
    }
    if (known) *out = x;
    return known;
}
