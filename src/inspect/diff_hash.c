/* inspect/diff_hash.c - a graph laid flat; hashes of its nodes by what is above and what is below them.
 *
 * A node has two Merkle hashes per level of detail: `up` covers its operator, its attributes and, through its inputs, all it is
 * computed from; `down` covers the same and, through its users, all that is computed from it. After one change in a graph, every
 * other node still has one of the two: no node is both above and below it. (Hash-consing of terms, Filliatre and Conchon 2006; both
 * directions for anchors, as in Falleri et al., "Fine-grained and accurate source code differencing", 2014.)
 *
 * Names take no part. Inputs of a commutative operator of two, and users of a value, are summed, so order takes none either.
 */
#include <string.h>

#include "base/ctx.h"
#include "inspect/diff_in.h"

enum {
    SEED_CONST = 11,
    SEED_NODE,
    SEED_FUNCTION,
    SEED_OUT,
    SEED_USE,
    SEED_ABSENT,
    SEED_CYCLE,
    SEED_GRAPH,
    SEED_INPUT,
    SEED_CAPTURE
};

/* --- constants ----------------------------------------------------------------------------------------------- */

/* A tensor of the arena that borrows the attribute's numbers. */
static const us_tensor *borrow(us_dwork *k, us_dtype type, int rank, size_t n, const void *data,
                               us_err *e)
{
    union {
        const void *in;
        void *out;
    } p = {.in = data}; /* only read through the tensor */
    us_tensor *t = us_new(k->a, us_tensor);
    if (!t) {
        *e = us_arena_fail(k->c, k->a);
        return NULL;
    }
    *e = us_tensor_init(k->c, t, type, rank, (int64_t[]){(int64_t)n}, p.out);
    return *e == US_OK ? t : NULL;
}

bool us_dconst_node(us_dwork *k, const us_node *n, const us_tensor **t, us_err *e)
{
    *e = US_OK;
    *t = NULL;
    if (n->domain.n || !us_sv_is(n->op_type, "Constant") || n->n_in || n->n_out != 1 ||
        n->n_attrs != 1 || n->out[0] == US_NIL || n->attrs[0].ref.n)
        return false;
    const us_attr *a = &n->attrs[0];
    if (us_sv_is(a->name, "value") && a->kind == US_AT_TENSOR && a->n == 1)
        *t = &a->tensors[0];
    else if (us_sv_is(a->name, "value_float") && a->kind == US_AT_FLOAT)
        *t = borrow(k, US_F32, 0, 1, &a->f, e);
    else if (us_sv_is(a->name, "value_int") && a->kind == US_AT_INT)
        *t = borrow(k, US_I64, 0, 1, &a->i, e);
    else if (us_sv_is(a->name, "value_string") && a->kind == US_AT_STRING)
        *t = borrow(k, US_STRING, 0, 1, &a->s, e);
    else if (us_sv_is(a->name, "value_floats") && a->kind == US_AT_FLOATS && a->n)
        *t = borrow(k, US_F32, 1, a->n, a->floats, e);
    else if (us_sv_is(a->name, "value_ints") && a->kind == US_AT_INTS && a->n)
        *t = borrow(k, US_I64, 1, a->n, a->ints, e);
    else if (us_sv_is(a->name, "value_strings") && a->kind == US_AT_STRINGS && a->n)
        *t = borrow(k, US_STRING, 1, a->n, a->strs, e);
    return *t != NULL;
}

/* The label of a constant at a level; contents are read once. */
static us_err const_label(us_dwork *k, us_dside *s, const us_graph *g, us_vid v,
                          const us_tensor *t, int level, uint64_t *out)
{
    uint64_t *kept;
    *out = SEED_CONST;
    if (level == US_DH_OP) return US_OK;
    if (!t) { /* sparse: as bytes */
        us_sv raw = g->vals.at[v].unknown;
        *out = us_dmix(SEED_CONST, us_hash64(raw.n ? raw.p : "", raw.n, 1));
        return US_OK;
    }
    if (level == US_DH_SHAPE) {
        *out = us_dmix(SEED_CONST, us_dtensor_hash(t, false));
        return US_OK;
    }
    if (!s->consts[g->index]) {
        s->consts[g->index] = us_new_n(k->d->arena, uint64_t, g->vals.n);
        if (!s->consts[g->index]) return us_arena_fail(k->c, k->d->arena);
    }
    kept = &s->consts[g->index][v];
    if (!*kept) *kept = us_dmix(SEED_CONST, us_dtensor_hash(t, !s->no_contents)) | 1;
    *out = *kept;
    return US_OK;
}

static bool is_const(const us_val *v)
{
    return (v->storage == US_ST_CONST || v->storage == US_ST_VARIABLE) && v->data;
}

static const us_tensor *const_of(const us_val *v)
{
    return v->data->kind == US_KIND_TENSOR ? &v->data->t : NULL;
}

/* --- one node --------------------------------------------------------------------------------------------------- */

us_sv us_dnode_name(const us_dgraph *x, const us_node *n)
{
    if (n->name.n) return n->name;
    for (uint32_t o = 0; o < n->n_out; o++)
        if (n->out[o] != US_NIL) return x->g->vals.at[n->out[o]].name;
    return (us_sv){0};
}

us_err us_dnode_op(us_dwork *k, const us_dside *s, const us_node *n, uint64_t *hash)
{
    us_sv domain = us_sv_is(n->domain, "ai.onnx") ? (us_sv){0} : n->domain;
    uint64_t h = us_hash64(domain.n ? domain.p : "", domain.n, SEED_NODE);
    *hash = us_dmix(h, us_hash64(n->op_type.n ? n->op_type.p : "", n->op_type.n, SEED_NODE));
    if (!s->functions.items.n || n->op) return US_OK;
    us_buf key;
    us_buf_init(&key, k->c, 1 << 20);
    us_buf_addsv(&key, domain);
    us_buf_addc(&key, '/');
    us_buf_addsv(&key, n->op_type);
    us_err e = us_buf_check(&key);
    uint32_t f = e == US_OK ? us_map_get(&s->functions, us_buf_sv(&key)) : US_MAP_NONE;
    us_buf_deinit(&key);
    if (f != US_MAP_NONE) *hash = us_dmix(SEED_FUNCTION, f);
    return e;
}

/* Operator and attributes. labels: of the graph's values, for what sub-graphs capture; read at the exact level only. */
static us_err sig_of(us_dwork *k, us_dside *s, const us_node *n, int level,
                     const uint64_t *labels, int depth, uint64_t *out)
{
    uint64_t h, sum = 0, sub;
    US_TRY(us_dnode_op(k, s, n, &h));
    for (uint32_t i = 0; i < n->n_attrs && level != US_DH_OP; i++) {
        const us_attr *a = &n->attrs[i];
        if (us_dattr_default(n, a)) continue;
        uint64_t x = us_dattr_hash(k, s, a, level);
        for (size_t j = 0; a->graphs && j < a->n && level == US_DH_EXACT; j++) {
            US_TRY(us_dgraph_sum(k, s, a->graphs[j], labels, depth + 1, &sub));
            x = us_dmix(x, sub);
        }
        sum += x;
    }
    *out = us_dmix(h, sum);
    return US_OK;
}

static bool commutes(const us_node *n)
{
    return n->op && (n->op->flags & US_OP_COMMUTES) && n->n_in == 2;
}

/* Signature and what is above. At the level of the operator constants and inputs left out do not count: a bias that was folded
 * in, a limit that became an input. */
static uint64_t up_of(const us_node *n, uint64_t sig, const uint64_t *labels, int level)
{
    uint64_t h = sig, sum = 0;
    uint32_t slot = 0;
    for (uint32_t i = 0; i < n->n_in; i++) {
        us_vid v = n->in[i];
        uint64_t x = v == US_NIL ? SEED_ABSENT : labels[v] ? labels[v] : SEED_CYCLE;
        bool leaf = x == SEED_ABSENT || x == SEED_CONST;
        slot = level == US_DH_OP ? slot + !leaf : i;
        if ((leaf && level == US_DH_OP) || v == US_NIL) continue;
        if (commutes(n))
            sum += us_dmix(SEED_USE, x);
        else
            h = us_dmix(us_dmix(h, slot), x);
    }
    return us_dmix(h, sum);
}

static void label_outputs(const us_node *n, uint64_t up, uint64_t *labels)
{
    for (uint32_t o = 0; o < n->n_out; o++)
        if (n->out[o] != US_NIL) labels[n->out[o]] = us_dmix(us_dmix(up, SEED_OUT), o);
}

/* A sub-graph with all it captures, names and order left out. */
us_err us_dgraph_sum(us_dwork *k, us_dside *s, const us_graph *g, const uint64_t *outer,
                     int depth, uint64_t *out)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(k->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    us_mark mark = us_arena_mark(k->a);
    uint64_t *labels = us_new_n(k->a, uint64_t, g->vals.n), sig, sum = 0, h = SEED_GRAPH;
    us_err e;
    if (!labels) return us_arena_fail(k->c, k->a);
    for (us_vid v = 0; v < g->vals.n; v++) {
        const us_val *val = &g->vals.at[v];
        if (is_const(val))
            US_TRY(const_label(k, s, g, v, const_of(val), US_DH_EXACT, &labels[v]));
        else if (val->storage == US_ST_OUTER && outer && g->parent &&
                 val->outer < g->parent->vals.n)
            labels[v] = outer[val->outer];
    }
    for (size_t i = 0; i < g->inputs.n; i++)
        if (!is_const(&g->vals.at[g->inputs.at[i]]))
            labels[g->inputs.at[i]] = us_dmix(SEED_INPUT, i);
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        const us_tensor *t;
        if (us_dconst_node(k, n, &t, &e)) {
            US_TRY(const_label(k, s, g, n->out[0], t, US_DH_EXACT, &labels[n->out[0]]));
            continue;
        }
        US_TRY(e);
        US_TRY(sig_of(k, s, n, US_DH_EXACT, labels, depth, &sig));
        sig = up_of(n, sig, labels, US_DH_EXACT);
        label_outputs(n, sig, labels);
        sum += us_dmix(SEED_NODE, sig);
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        h = us_dmix(h, labels[g->outputs.at[i]]);
    *out = us_dmix(us_dmix(h, sum), g->inputs.n);
    us_arena_reset(k->a, mark);
    return US_OK;
}

/* --- laid flat ---------------------------------------------------------------------------------------------------- */

static us_err take_nodes(us_dwork *k, us_dgraph *x)
{
    us_err e;
    for (size_t i = 0; i < x->g->order.n; i++) {
        const us_node *n = &x->g->nodes.at[x->g->order.at[i]];
        const us_tensor *t;
        if (us_dconst_node(k, n, &t, &e)) {
            x->val[n->out[0]].t = t;
            x->val[n->out[0]].is_const = true;
            continue;
        }
        US_TRY(e);
        for (uint32_t o = 0; o < n->n_out; o++)
            if (n->out[o] != US_NIL) {
                x->val[n->out[o]].def = x->n;
                x->val[n->out[o]].def_out = o;
            }
        x->node[x->n++] = n;
    }
    return US_OK;
}

/* A capture of a constant is a constant. */
static us_err take_root(us_dwork *k, us_dgraph *x, us_vid v)
{
    const us_graph *g = x->g;
    us_dval *val = &x->val[v];
    us_err e = US_OK;
    us_vid at = v;
    for (int d = 0;
         g->vals.at[at].storage == US_ST_OUTER && g->parent && d <= US_MAX_GRAPH_DEPTH; d++) {
        at = g->vals.at[at].outer;
        g = g->parent;
        if (at >= g->vals.n) return US_OK;
    }
    const us_val *from = &g->vals.at[at];
    val->root_g = g;
    val->root = at;
    if (is_const(from)) {
        val->is_const = true;
        val->t = const_of(from);
    } else if (g != x->g && from->storage == US_ST_TEMP && from->def < g->nodes.n) {
        val->is_const = us_dconst_node(k, &g->nodes.at[from->def], &val->t, &e);
    }
    return e;
}

typedef void use_fn(us_dgraph *x, us_vid v, uint32_t node, uint32_t slot);

static void count_use(us_dgraph *x, us_vid v, uint32_t node, uint32_t slot)
{
    (void)node, (void)slot;
    x->use0[v + 1]++;
}

/* use0[v] is where the next of v goes; put right afterwards. */
static void put_use(us_dgraph *x, us_vid v, uint32_t node, uint32_t slot)
{
    x->uses[x->use0[v]++] = (us_duse){node, slot};
}

static void each_use(us_dgraph *x, use_fn *fn)
{
    for (uint32_t i = 0; i < x->n; i++) {
        const us_node *n = x->node[i];
        for (uint32_t j = 0; j < n->n_in; j++)
            if (n->in[j] != US_NIL) fn(x, n->in[j], i, j);
        for (uint32_t j = 0; j < n->n_attrs; j++)
            for (size_t s = 0; n->attrs[j].graphs && s < n->attrs[j].n; s++) {
                const us_graph *sub = n->attrs[j].graphs[s];
                for (us_vid v = 0; v < sub->vals.n; v++)
                    if (sub->vals.at[v].storage == US_ST_OUTER && sub->parent == x->g &&
                        sub->vals.at[v].outer < x->g->vals.n)
                        fn(x, sub->vals.at[v].outer, i, US_DUSE_CAPTURE);
            }
    }
}

static us_err take_uses(us_dwork *k, us_dgraph *x)
{
    size_t n_vals = x->g->vals.n;
    x->use0 = us_new_n(k->a, uint32_t, n_vals + 2);
    if (!x->use0) return us_arena_fail(k->c, k->a);
    each_use(x, count_use);
    for (size_t v = 0; v < n_vals; v++)
        x->use0[v + 1] += x->use0[v];
    x->uses = us_new_n(k->a, us_duse, x->use0[n_vals]);
    if (!x->uses) return us_arena_fail(k->c, k->a);
    each_use(x, put_use);
    for (size_t v = n_vals; v > 0; v--)
        x->use0[v] = x->use0[v - 1];
    x->use0[0] = 0;
    return US_OK;
}

us_err us_dgraph_flat(us_dwork *k, us_dside *s, const us_graph *g, us_dgraph *out)
{
    us_dgraph x = {.side = s, .g = g};
    size_t n_vals = g->vals.n, n_nodes = g->order.n;
    x.node = us_new_n(k->a, const us_node *, n_nodes);
    x.val = us_new_n(k->a, us_dval, n_vals);
    x.foot = us_new_n(k->a, uint32_t, n_vals);
    x.match = us_new_n(k->a, uint32_t, n_nodes);
    if (!x.node || !x.val || !x.foot || !x.match) return us_arena_fail(k->c, k->a);
    for (int l = 0; l < US_DH_LEVELS; l++) {
        x.label[l] = us_new_n(k->a, uint64_t, n_vals);
        x.sig[l] = us_new_n(k->a, uint64_t, n_nodes);
        x.up[l] = us_new_n(k->a, uint64_t, n_nodes);
        x.down[l] = us_new_n(k->a, uint64_t, n_nodes);
        if (!x.label[l] || !x.sig[l] || !x.up[l] || !x.down[l])
            return us_arena_fail(k->c, k->a);
    }
    for (size_t i = 0; i < n_nodes; i++)
        x.match[i] = US_NIL;
    for (us_vid v = 0; v < n_vals; v++) {
        x.val[v] = (us_dval){.def = US_NIL, .pair = US_NIL};
        US_TRY(take_root(k, &x, v));
    }
    US_TRY(take_nodes(k, &x));
    US_TRY(take_uses(k, &x));
    *out = x;
    return US_OK;
}

/* --- both ways ------------------------------------------------------------------------------------------------------ */

/* Constants stand beside a node, so both of its hashes hold them. */
static uint64_t consts_beside(const us_dgraph *x, const us_node *n, int level)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n->n_in && level != US_DH_OP; i++)
        if (n->in[i] != US_NIL && x->val[n->in[i]].is_const)
            sum += us_dmix(x->label[level][n->in[i]], commutes(n) ? 0 : i);
    return sum;
}

static uint64_t down_of(const us_dgraph *x, uint32_t i, int level)
{
    const us_node *n = x->node[i];
    uint64_t h = us_dmix(x->sig[level][i], consts_beside(x, n, level));
    for (uint32_t o = 0; o < n->n_out; o++) {
        us_vid v = n->out[o];
        uint64_t sum = 0;
        if (v == US_NIL) continue;
        for (uint32_t u = x->use0[v]; u < x->use0[v + 1]; u++) {
            us_duse use = x->uses[u];
            uint64_t slot = use.slot == US_DUSE_CAPTURE ? SEED_CAPTURE : use.slot;
            uint64_t below = x->down[level][use.node] ? x->down[level][use.node] : SEED_CYCLE;
            sum += us_dmix(us_dmix(SEED_USE, below), commutes(x->node[use.node]) ? 0 : slot);
        }
        if (sum || x->foot[v]) h = us_dmix(us_dmix(us_dmix(h, o), sum), x->foot[v]);
    }
    return h;
}

us_err us_dgraph_hash(us_dwork *k, us_dgraph *x)
{
    for (int l = 0; l < US_DH_LEVELS; l++) {
        for (us_vid v = 0; v < x->g->vals.n; v++)
            if (x->val[v].is_const)
                US_TRY(const_label(k, x->side, x->val[v].root_g, x->val[v].root, x->val[v].t, l,
                                   &x->label[l][v]));
        for (uint32_t i = 0; i < x->n; i++) {
            US_TRY(sig_of(k, x->side, x->node[i], l, x->label[l], 0, &x->sig[l][i]));
            x->up[l][i] = up_of(x->node[i], x->sig[l][i], x->label[l], l);
            label_outputs(x->node[i], x->up[l][i], x->label[l]);
        }
        for (uint32_t i = x->n; i-- > 0;)
            x->down[l][i] = down_of(x, i, l);
        US_TRY(us_ctx_poll(k->c));
    }
    return US_OK;
}
