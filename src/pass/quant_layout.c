/* pass/quant_layout.c - 8-bit convolutions and what stands between them have their channels last.
 *
 * With channels last a window's row is consecutive bytes, a 1x1 convolution is a matrix product as it lies, and a depthwise one works on
 * all channels at once. The operators for that are com.microsoft's own forms, so every node stays one that can be written to a file
 * and has a plain meaning. One sweep in order, as block_layout.c does for floats: a QLinearConv with constant weights is turned, an
 * operator of the table whose input is turned follows, every other reader gets the value back by a Transpose in
 * front of the first of them.
 */
#include "pass/passes.h"

#define MS "com.microsoft"

typedef struct turner {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_nid at, made; /* the node looked at, what it became (US_NIL: it stays) */
    size_t n;        /* values as the pass found them */
    us_vid *last;    /* per value: itself with channels last, or US_NIL */
    bool *plain;     /* per value: it is there as it was */
} turner;

static int32_t rank_of(const turner *t, us_vid v)
{
    if (v == US_NIL) return -1;
    const us_type *x = &t->g->vals.at[v].type;
    return x->kind == US_KIND_TENSOR ? x->rank : -1;
}

static bool has_channels(const turner *t, us_vid v)
{
    int32_t rank = rank_of(t, v);
    return rank >= 3 && rank <= 5;
}

static bool is_turned(const turner *t, us_vid v)
{
    return v != US_NIL && v < t->n && t->last[v] != US_NIL;
}

/* Transpose of v in front of the node at hand, into `out` (US_NIL: a new value). */
static us_err transpose(turner *t, us_vid v, int32_t rank, bool to_last, us_vid *out)
{
    us_nid made;
    us_sv name = US_SV("Transpose");
    const us_op *op = us_op_find(US_SV(""), name);
    int64_t *perm = us_new_n(t->m->arena, int64_t, (size_t)rank);
    if (!perm) return us_arena_fail(t->c, t->m->arena);
    for (int32_t i = 1; i < rank; i++)
        perm[i] = to_last ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
    us_attr a = {.name = US_SV("perm"), .kind = US_AT_INTS, .ints = perm, .n = (size_t)rank};
    us_vid fresh = *out;
    if (fresh == US_NIL)
        US_TRY(us_graph_add_val(t->c, t->g, (us_sv){0}, US_ST_TEMP, NULL, &fresh));
    US_TRY(us_graph_add_node(t->c, t->g, US_SV(""), name, us_op_current(op)->since, (us_sv){0},
                             1, &v, 1, &fresh, t->at, &made));
    US_TRY(us_node_set_attr(t->c, t->g, made, &a));
    *out = fresh;
    return US_OK;
}

static us_err with_last(turner *t, us_vid v, us_vid *out)
{
    if (!is_turned(t, v)) {
        us_vid fresh = US_NIL;
        US_TRY(transpose(t, v, rank_of(t, v), true, &fresh));
        t->last[v] = fresh;
    }
    *out = t->last[v];
    return US_OK;
}

static us_err with_first(void *arg, us_vid v)
{
    turner *t = arg;
    if (v >= t->n || t->plain[v] || t->last[v] == US_NIL) return US_OK;
    us_vid out = v;
    t->plain[v] = true;
    return transpose(t, t->last[v], rank_of(t, v), false, &out);
}

/* The node at hand as a node with channels last. */
static us_err emit(turner *t, const us_node *n, us_sv name, size_t n_in, const us_vid *in,
                   const us_attr *more, const char *without)
{
    us_vid y;
    US_TRY(us_graph_add_val(t->c, t->g, (us_sv){0}, US_ST_TEMP, NULL, &y));
    US_TRY(us_graph_add_node(t->c, t->g, us_sv_is(name, "Concat") ? US_SV("") : US_SV(MS), name,
                             us_sv_is(name, "Concat") ? n->version : 1, n->name, n_in, in, 1,
                             &y, t->at, &t->made));
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (!without || !us_sv_is(n->attrs[i].name, without))
            US_TRY(us_node_set_attr(t->c, t->g, t->made, &n->attrs[i]));
    if (more) US_TRY(us_node_set_attr(t->c, t->g, t->made, more));
    t->last[n->out[0]] = y;
    t->plain[n->out[0]] = false;
    return US_OK;
}

static const us_attr channels_last = {.name = {"channels_last", 13}, .kind = US_AT_INT, .i = 1};

enum { MOST_IN = 64 };

static bool is_on(const us_node *n, const char *attr)
{
    const us_attr *a = us_node_attr(n, attr);
    return a && a->i != 0;
}

/* A row per operator: turns the node at hand, or leaves t->made US_NIL. */
typedef us_err turn_fn(turner *t, const us_node *n);

static us_err turn_conv(turner *t, const us_node *n)
{
    us_vid in[MOST_IN];
    if (n->n_in < 8 || n->n_in > 9 || is_on(n, "channels_last") || !has_channels(t, n->in[0]) ||
        !us_const_tensor(t->g, n->in[3]) || !us_const_tensor(t->g, n->in[5]))
        return US_OK;
    for (uint32_t i = 1; i < n->n_in; i++)
        in[i] = n->in[i];
    US_TRY(with_last(t, n->in[0], &in[0]));
    return emit(t, n, US_SV("QLinearConv"), n->n_in, in, &channels_last, NULL);
}

static us_err turn_max_pool(turner *t, const us_node *n)
{
    if (n->n_out > 1 || !is_turned(t, n->in[0])) return US_OK;
    return emit(t, n, US_SV("NhwcMaxPool"), 1, &t->last[n->in[0]], NULL, "storage_order");
}

/* Pools, and functions of one tensor: input 0 is turned, the others are numbers. */
static us_err turn_one(turner *t, const us_node *n)
{
    us_vid in[MOST_IN];
    bool pool = us_sv_is(n->op_type, "QLinearAveragePool") ||
                us_sv_is(n->op_type, "QLinearGlobalAveragePool");
    if (n->n_in > 5 || is_on(n, "channels_last") || !is_turned(t, n->in[0])) return US_OK;
    for (uint32_t i = 0; i < n->n_in; i++)
        in[i] = i == 0 ? t->last[n->in[0]] : n->in[i];
    return emit(t, n, n->op_type, n->n_in, in, pool ? &channels_last : NULL, NULL);
}

/* Of one rank, and each pair of dims the same or one of them 1. */
static bool fit(const turner *t, us_vid a, us_vid b)
{
    const us_type *x = &t->g->vals.at[a].type, *y = &t->g->vals.at[b].type;
    const us_dim one = US_DIM(1);
    if (!has_channels(t, a) || rank_of(t, a) != rank_of(t, b)) return false;
    for (int32_t i = 0; i < x->rank; i++)
        if (!us_dim_eq(x->dims[i], y->dims[i]) && !us_dim_eq(x->dims[i], one) &&
            !us_dim_eq(y->dims[i], one))
            return false;
    return true;
}

static us_err turn_two(turner *t, const us_node *n)
{
    us_vid in[8];
    if (n->n_in < 7 || n->n_in > 8 || n->in[3] == US_NIL || !fit(t, n->in[0], n->in[3]) ||
        (!is_turned(t, n->in[0]) && !is_turned(t, n->in[3])))
        return US_OK;
    for (uint32_t i = 0; i < n->n_in; i++)
        in[i] = n->in[i];
    US_TRY(with_last(t, n->in[0], &in[0]));
    US_TRY(with_last(t, n->in[3], &in[3]));
    return emit(t, n, n->op_type, n->n_in, in, NULL, NULL);
}

/* Along the channels, of values that are turned; tensors are inputs from `first` on, one of `step`. */
static us_err turn_join(turner *t, const us_node *n, uint32_t first, uint32_t step)
{
    us_vid in[MOST_IN];
    const us_attr *axis = us_node_attr(n, "axis");
    int32_t rank = n->n_in > first ? rank_of(t, n->in[first]) : -1;
    us_attr last = {.name = US_SV("axis"), .kind = US_AT_INT, .i = rank - 1};
    if (!axis || rank < 3 || n->n_in > MOST_IN || (axis->i != 1 && axis->i != 1 - rank))
        return US_OK;
    for (uint32_t i = 0; i < n->n_in; i++) {
        bool tensor = i >= first && (i - first) % step == 0;
        if (tensor && (!is_turned(t, n->in[i]) || rank_of(t, n->in[i]) != rank)) return US_OK;
        in[i] = tensor ? t->last[n->in[i]] : n->in[i];
    }
    return emit(t, n, n->op_type, n->n_in, in, &last, NULL);
}

static us_err turn_concat(turner *t, const us_node *n)
{
    return turn_join(t, n, 0, 1);
}

static us_err turn_qlinear_concat(turner *t, const us_node *n)
{
    return turn_join(t, n, 2, 3);
}

/* clang-format off */
static const struct row {
    const char *domain, *op;
    turn_fn *fn;
} rows[] = {
    {"", "QLinearConv", turn_conv},            {MS, "QLinearConv", turn_conv},
    {"", "MaxPool", turn_max_pool},            {MS, "QLinearAveragePool", turn_one},
    {MS, "QLinearGlobalAveragePool", turn_one}, {MS, "QLinearSigmoid", turn_one},
    {MS, "QLinearLeakyRelu", turn_one},        {MS, "QLinearAdd", turn_two},
    {MS, "QLinearMul", turn_two},              {"", "Concat", turn_concat},
    {MS, "QLinearConcat", turn_qlinear_concat},
};
/* clang-format on */

static turn_fn *find_row(const us_node *n)
{
    if (n->n_in < 1 || n->in[0] == US_NIL || n->n_out < 1 || n->out[0] == US_NIL) return NULL;
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_is_op(n, rows[i].domain, rows[i].op)) return rows[i].fn;
    return NULL;
}

static us_err visit(turner *t, us_nid nid, bool *changed)
{
    us_node n = t->g->nodes.at[nid]; /* a copy: nodes are added */
    turn_fn *fn = find_row(&n);
    t->at = nid;
    t->made = US_NIL;
    if (fn) US_TRY(fn(t, &n));
    if (t->made == US_NIL) return us_each_read(&n, with_first, t); /* all as it was */
    *changed = true;
    us_graph_remove_node(t->g, nid);
    return US_OK;
}

static us_err sweep(turner *t, us_arena *a, bool *changed)
{
    size_t n = t->g->order.n;
    us_nid *order = us_new_n(a, us_nid, n);
    t->n = t->g->vals.n;
    t->last = us_new_n(a, us_vid, t->n);
    t->plain = us_new_n(a, bool, t->n);
    if (!order || !t->last || !t->plain) return us_arena_fail(t->c, a);
    for (size_t v = 0; v < t->n; v++) {
        t->last[v] = US_NIL;
        t->plain[v] = true;
    }
    for (size_t i = 0; i < n; i++)
        order[i] = t->g->order.at[i];
    for (size_t i = 0; i < n; i++)
        US_TRY(visit(t, order[i], changed));
    t->at = US_NIL;
    for (size_t i = 0; i < t->g->outputs.n; i++)
        US_TRY(with_first(t, t->g->outputs.at[i]));
    return US_OK;
}

us_err us_pass_quant_layout(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *a;
    bool any = false;
    for (size_t i = 0; i < g->order.n && !any; i++)
        any = find_row(&g->nodes.at[g->order.at[i]]) == turn_conv;
    if (!any) return US_OK;
    turner t = {.c = c, .m = m, .g = g};
    US_TRY(us_arena_new(c, "quant-layout", (size_t)1 << 30, &a));
    us_err e = sweep(&t, a, changed);
    us_arena_free(a);
    return e;
}
