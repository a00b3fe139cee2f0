/* inspect/diff_node.c - what differs between nodes that were matched, and what is said of those that were not.
 *
 * An input that comes from a node that was added or removed is that node's doing: where passing through such nodes leads to the
 * same value on both sides, the reader's input is not reported.
 */
#include <string.h>

#include "base/ctx.h"
#include "inspect/diff_in.h"

typedef struct changes {
    US_VEC(us_diff_fact) v;
} changes;

/* --- texts -------------------------------------------------------------------------------------------------- */

static void add_name(us_buf *b, us_sv s)
{
    us_buf_addf(b, " '%.*s'", (int)US_MIN(s.n, 400), s.n ? s.p : "");
}

static void add_value(const us_dgraph *x, us_vid v, us_buf *b)
{
    if (v == US_NIL) {
        us_buf_adds(b, "nothing");
        return;
    }
    const us_dval *d = &x->val[v];
    const us_val *val = &x->g->vals.at[v];
    if (d->is_const) {
        us_buf_adds(b, "constant ");
        if (d->t)
            us_dtensor_type(d->t, b);
        else
            us_buf_adds(b, "(sparse)");
        if (val->name.n) add_name(b, val->name);
    } else if (d->def != US_NIL) {
        us_buf_addsv(b, x->node[d->def]->op_type);
        add_name(b, us_dnode_name(x, x->node[d->def]));
        if (d->def_out) us_buf_addf(b, " output %u", (unsigned)d->def_out);
    } else {
        us_buf_adds(b, val->storage == US_ST_OUTER ? "outer value" : "input");
        add_name(b, val->name);
    }
}

us_err us_dvalue_text(us_dwork *k, const us_dgraph *x, us_vid v, us_sv *out)
{
    us_buf b;
    us_buf_init(&b, k->c, 65536);
    add_value(x, v, &b);
    return us_dtext(k, &b, out);
}

us_err us_dtype_text(us_dwork *k, const us_dside *s, const us_type *t, us_sv *out)
{
    us_buf b;
    us_buf_init(&b, k->c, 65536);
    us_type_print(&s->typed->syms, t, &b);
    return us_dtext(k, &b, out);
}

/* What the schema calls input i. */
static us_err slot_name(us_dwork *k, const us_node *n, uint32_t i, us_sv *out)
{
    const us_param *p = n->schema ? n->schema->in : NULL;
    uint32_t at = 0;
    while (p && p->name && at < i && !(p->flags & US_P_VARIADIC)) {
        p++;
        at++;
    }
    bool named = p && p->name && at == i && !(p->flags & US_P_VARIADIC);
    char *z = named ? us_str_printf(k->d->arena, "%u (%s)", (unsigned)i, p->name)
                    : us_str_printf(k->d->arena, "%u", (unsigned)i);
    if (!z) return us_arena_fail(k->c, k->d->arena);
    *out = us_sv_of(z);
    return US_OK;
}

static us_err add_change(us_dwork *k, changes *ch, const char *what, us_sv name, us_sv a,
                         us_sv b)
{
    return us_vec_push(k->c, k->d->arena, &ch->v, (us_diff_fact){what, name, a, b});
}

/* --- nodes of one side ------------------------------------------------------------------------------------------ */

static us_err reads_text(us_dwork *k, const us_dgraph *x, const us_node *n, us_sv *out)
{
    us_buf b;
    size_t shown = 0, more = 0;
    us_buf_init(&b, k->c, 65536);
    for (uint32_t i = 0; i < n->n_in; i++) {
        us_vid v = n->in[i];
        if (v == US_NIL || x->val[v].is_const) continue;
        if (shown == 2) {
            more++;
            continue;
        }
        if (shown++) us_buf_adds(&b, ", ");
        add_value(x, v, &b);
    }
    if (more) us_buf_addf(&b, " and %zu more", more);
    return us_dtext(k, &b, out);
}

static us_err readers_text(us_dwork *k, const us_dgraph *x, const us_node *n, us_sv *out)
{
    us_buf b;
    size_t shown = 0, more = 0;
    us_buf_init(&b, k->c, 65536);
    for (uint32_t o = 0; o < n->n_out; o++) {
        us_vid v = n->out[o];
        if (v == US_NIL) continue;
        if (x->foot[v]) {
            us_buf_addf(&b, "%soutput", shown++ ? ", " : "");
            add_name(&b, x->g->vals.at[v].name);
        }
        for (uint32_t u = x->use0[v]; u < x->use0[v + 1]; u++) {
            const us_node *r = x->node[x->uses[u].node];
            if (shown >= 2) {
                more++;
                continue;
            }
            us_buf_addf(&b, "%s" US_SV_FMT, shown++ ? ", " : "", US_SV_ARG(r->op_type));
            add_name(&b, us_dnode_name(x, r));
        }
    }
    if (more) us_buf_addf(&b, " and %zu more", more);
    return us_dtext(k, &b, out);
}

static us_err lone_node(us_dwork *k, const us_dgraph *x, uint32_t i, us_sv label, bool added)
{
    const us_node *n = x->node[i];
    us_diff_node r = {.state = added ? US_DIFF_ADDED : US_DIFF_REMOVED, .graph = label};
    *(added ? &r.b : &r.a) = n;
    *(added ? &r.name_b : &r.name_a) = us_dnode_name(x, n);
    US_TRY(reads_text(k, x, n, &r.from));
    US_TRY(readers_text(k, x, n, &r.to));
    k->d->n_state[r.state]++;
    return us_vec_push(k->c, k->d->arena, &k->d->nodes, r);
}

/* --- constants ---------------------------------------------------------------------------------------------------- */

static us_err tensor_text(us_dwork *k, const us_tensor *t, us_sv *out)
{
    us_buf b;
    us_buf_init(&b, k->c, 4096);
    us_dtensor_type(t, &b);
    return us_dtext(k, &b, out);
}

/* True the first time that this pair of constants is met. */
static us_err first_time(us_dwork *k, const us_dval *a, const us_dval *b, bool *first)
{
    uint32_t key[4] = {a->root_g->index, a->root, b->root_g->index, b->root}, was;
    us_sv s, raw = {(const char *)key, sizeof key};
    *first = false;
    if (us_map_get(&k->seen, raw) != US_MAP_NONE) return US_OK;
    *first = true;
    US_TRY(us_sv_dup(k->c, k->d->arena, raw, &s));
    return us_map_put(k->c, &k->seen, s, 1, &was);
}

static us_err note_weight(us_dwork *k, const us_tensor *a, const us_dquant *qa,
                          const us_tensor *b, const us_dquant *qb, us_diff_weight *w)
{
    bool differs;
    k->d->n_weights++;
    k->d->n_elements += (size_t)us_tensor_count(a);
    if (!qa && !qb && us_dtensor_equal(a, b)) return US_OK;
    US_TRY(us_dweight(k, a, qa, b, qb, w, &differs));
    if (!differs) return US_OK;
    US_TRY(tensor_text(k, a, &w->type_a));
    US_TRY(tensor_text(k, b, &w->type_b));
    return us_vec_push(k->c, k->d->arena, &k->d->weights, *w);
}

us_err us_dconsts(us_dwork *k, us_dgraph *x, us_dgraph *y, us_vid va, us_vid vb, us_sv label,
                  us_sv op)
{
    const us_dval *a = &x->val[va], *b = &y->val[vb];
    us_diff_weight w = {.graph = label,
                        .op = op,
                        .name_a = x->g->vals.at[va].name,
                        .name_b = y->g->vals.at[vb].name};
    bool first;
    if (x->val[va].pair == US_NIL && y->val[vb].pair == US_NIL) {
        x->val[va].pair = vb;
        y->val[vb].pair = va;
    }
    US_TRY(first_time(k, a, b, &first));
    if (!first) return US_OK;
    if (a->t && b->t) return note_weight(k, a->t, NULL, b->t, NULL, &w);
    us_sv p = a->root_g->vals.at[a->root].unknown, q = b->root_g->vals.at[b->root].unknown;
    k->d->n_weights++;
    if (!a->t && !b->t && us_sv_eq(p, q)) return US_OK;
    w.type_a = w.type_b = US_SV("sparse");
    if (a->t) US_TRY(tensor_text(k, a->t, &w.type_a));
    if (b->t) US_TRY(tensor_text(k, b->t, &w.type_b));
    w.cosine = 0.0 / 1.0;
    return us_vec_push(k->c, k->d->arena, &k->d->weights, w);
}

/* What v is dequantised from, when all of that is constant. */
static bool quant_of(const us_dgraph *x, us_vid v, us_dquant *q)
{
    const us_dval *val = &x->val[v];
    if (val->is_const || val->def == US_NIL) return false;
    const us_node *n = x->node[val->def];
    if (!us_sv_is(n->op_type, "DequantizeLinear") || n->n_in < 2) return false;
    const us_tensor *t[3] = {NULL, NULL, NULL};
    for (uint32_t i = 0; i < n->n_in && i < 3; i++) {
        if (n->in[i] == US_NIL) continue;
        t[i] = x->val[n->in[i]].t;
        if (!t[i]) return false;
    }
    if (!t[0] || !t[1]) return false;
    const us_attr *axis = us_node_attr(n, "axis"), *block = us_node_attr(n, "block_size");
    *q = (us_dquant){.x = t[0], .scale = t[1], .zero = t[2], .axis = axis ? axis->i : 1};
    if (q->axis < 0) q->axis += t[0]->rank;
    q->block = block ? block->i : 0;
    return true;
}

/* Weights that were quantised, or are no more. */
static us_err quantised(us_dwork *k, us_dgraph *x, us_dgraph *y, us_vid va, us_vid vb,
                        us_sv label, us_sv op, bool *done)
{
    us_dquant qa, qb;
    bool first, da = quant_of(x, va, &qa), db = quant_of(y, vb, &qb);
    const us_tensor *a = da ? qa.x : x->val[va].t, *b = db ? qb.x : y->val[vb].t;
    *done = false;
    if (da == db || !a || !b) return US_OK;
    us_diff_weight w = {.graph = label, .op = op};
    us_vid ra = da ? x->node[x->val[va].def]->in[0] : va;
    us_vid rb = db ? y->node[y->val[vb].def]->in[0] : vb;
    w.name_a = x->g->vals.at[ra].name;
    w.name_b = y->g->vals.at[rb].name;
    *done = true;
    US_TRY(first_time(k, &x->val[ra], &y->val[rb], &first));
    return first ? note_weight(k, a, da ? &qa : NULL, b, db ? &qb : NULL, &w) : US_OK;
}

/* --- matched nodes --------------------------------------------------------------------------------------------------- */

static us_err compare_operators(us_dwork *k, const us_dgraph *x, const us_dgraph *y,
                                const us_node *a, const us_node *b, changes *ch, bool *same)
{
    uint64_t ha, hb;
    US_TRY(us_dnode_op(k, x->side, a, &ha));
    US_TRY(us_dnode_op(k, y->side, b, &hb));
    *same = ha == hb;
    if (*same) return US_OK;
    us_sv name = us_sv_eq(a->op_type, b->op_type) ? US_SV("domain") : (us_sv){0};
    return add_change(k, ch, "operator", name, name.n ? a->domain : a->op_type,
                      name.n ? b->domain : b->op_type);
}

static us_err compare_counts(us_dwork *k, changes *ch, us_sv name, const char *what, size_t a,
                             size_t b)
{
    if (a == b) return US_OK;
    char *x = us_str_printf(k->d->arena, "%zu %s", a, what);
    char *y = us_str_printf(k->d->arena, "%zu %s", b, what);
    if (!x || !y) return us_arena_fail(k->c, k->d->arena);
    return add_change(k, ch, "attribute", name, us_sv_of(x), us_sv_of(y));
}

static us_err compare_graphs(us_dwork *k, us_dgraph *x, us_dgraph *y, const us_node *n,
                             const us_attr *a, const us_attr *b, us_sv label, int depth,
                             changes *ch)
{
    US_TRY(compare_counts(k, ch, a->name, "graphs", a->n, b->n));
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        const us_graph *p = a->graphs[i], *q = b->graphs[i];
        us_sv name = us_dnode_name(x, n);
        char *z = us_str_printf(k->d->arena,
                                US_SV_FMT " of " US_SV_FMT " '" US_SV_FMT "'%s" US_SV_FMT,
                                US_SV_ARG(a->name), US_SV_ARG(n->op_type), US_SV_ARG(name),
                                label.n ? " in " : "", US_SV_ARG(label));
        if (!z) return us_arena_fail(k->c, k->d->arena);
        US_TRY(compare_counts(k, ch, a->name, "inputs", p->inputs.n, q->inputs.n));
        US_TRY(compare_counts(k, ch, a->name, "outputs", p->outputs.n, q->outputs.n));
        US_TRY(us_dpair(k, x, y, p, q, us_sv_of(z), depth + 1));
    }
    return US_OK;
}

static const us_attr *attr_named(const us_node *n, us_sv name)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (us_sv_eq(n->attrs[i].name, name)) return &n->attrs[i];
    return NULL;
}

static us_err compare_attrs(us_dwork *k, us_dgraph *x, us_dgraph *y, const us_node *na,
                            const us_node *nb, us_sv label, int depth, changes *ch)
{
    us_sv ta, tb, none = {0};
    for (uint32_t i = 0; i < na->n_attrs; i++) {
        const us_attr *a = &na->attrs[i], *b = attr_named(nb, a->name);
        if (b && a->graphs && b->graphs) {
            US_TRY(compare_graphs(k, x, y, na, a, b, label, depth, ch));
            continue;
        }
        if (b ? us_dattr_equal(k, a, b) : us_dattr_default(na, a)) continue;
        if (b && us_dattr_default(na, a) && us_dattr_default(nb, b)) continue;
        tb = none;
        US_TRY(us_dattr_text(k, x->side, a, &ta));
        if (b) US_TRY(us_dattr_text(k, y->side, b, &tb));
        US_TRY(add_change(k, ch, "attribute", a->name, ta, tb));
    }
    for (uint32_t i = 0; i < nb->n_attrs; i++) {
        const us_attr *b = &nb->attrs[i];
        if (attr_named(na, b->name) || us_dattr_default(nb, b)) continue;
        US_TRY(us_dattr_text(k, y->side, b, &tb));
        US_TRY(add_change(k, ch, "attribute", b->name, none, tb));
    }
    return US_OK;
}

static us_vid in_of(const us_node *n, uint32_t i)
{
    return i < n->n_in ? n->in[i] : US_NIL;
}

static bool agrees(const us_dgraph *x, const us_dgraph *y, us_vid a, us_vid b)
{
    if (a != US_NIL && b != US_NIL && x->val[a].is_const && y->val[b].is_const) return true;
    return us_dsame(x, y, a, b) || us_dreach(x, y, a, b);
}

static us_err compare_input(us_dwork *k, us_dgraph *x, us_dgraph *y, const us_node *na,
                            uint32_t i, us_vid a, us_vid b, us_sv label, changes *ch)
{
    bool done;
    us_sv name, ta, tb;
    if (a != US_NIL && b != US_NIL) {
        if (x->val[a].is_const && y->val[b].is_const)
            return us_dconsts(k, x, y, a, b, label, na->op_type);
        US_TRY(quantised(k, x, y, a, b, label, na->op_type, &done));
        if (done) return US_OK;
    }
    if (agrees(x, y, a, b)) return US_OK;
    US_TRY(slot_name(k, na, i, &name));
    US_TRY(us_dvalue_text(k, x, a, &ta));
    US_TRY(us_dvalue_text(k, y, b, &tb));
    return add_change(k, ch, "input", name, ta, tb);
}

static us_err compare_inputs(us_dwork *k, us_dgraph *x, us_dgraph *y, const us_node *na,
                             const us_node *nb, us_sv label, changes *ch)
{
    bool pair = na->op && (na->op->flags & US_OP_COMMUTES) && na->n_in == 2 && nb->n_in == 2;
    bool swap = pair &&
                !(agrees(x, y, na->in[0], nb->in[0]) && agrees(x, y, na->in[1], nb->in[1])) &&
                agrees(x, y, na->in[0], nb->in[1]) && agrees(x, y, na->in[1], nb->in[0]);
    for (uint32_t i = 0; i < na->n_in || i < nb->n_in; i++)
        US_TRY(compare_input(k, x, y, na, i, in_of(na, i), in_of(nb, swap ? 1 - i : i), label,
                             ch));
    return US_OK;
}

static bool is_used(const us_dgraph *x, const us_node *n, uint32_t o)
{
    us_vid v = o < n->n_out ? n->out[o] : US_NIL;
    return v != US_NIL && (x->foot[v] || x->use0[v + 1] > x->use0[v]);
}

static us_err compare_outputs(us_dwork *k, const us_dgraph *x, const us_dgraph *y,
                              const us_node *na, const us_node *nb, changes *ch)
{
    for (uint32_t o = 0; o < na->n_out || o < nb->n_out; o++) {
        bool a = is_used(x, na, o), b = is_used(y, nb, o);
        bool there =
            o < na->n_out && o < nb->n_out && na->out[o] != US_NIL && nb->out[o] != US_NIL;
        if (a == b || there) continue;
        char *z = us_str_printf(k->d->arena, "%u", (unsigned)o);
        if (!z) return us_arena_fail(k->c, k->d->arena);
        US_TRY(add_change(k, ch, "output", us_sv_of(z), a ? US_SV("used") : US_SV("not there"),
                          b ? US_SV("used") : US_SV("not there")));
    }
    return US_OK;
}

/* --- shapes of results ------------------------------------------------------------------------------------------------ */

static bool plain_name(us_sv s)
{
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
        if (!letter && !(i && ch >= '0' && ch <= '9')) return false;
    }
    return s.n > 0;
}

/* Both known and not equal. A symbol is known by its name; one that stands for an expression, or for nothing with a name, is not. */
static bool dims_differ(const us_dside *s, const us_dim *a, const us_dim *b)
{
    us_sv x = s[0].typed->syms.names.at[a->sym], y = s[1].typed->syms.names.at[b->sym];
    bool ka = us_dim_known(*a), kb = us_dim_known(*b);
    if (ka && kb) return a->add != b->add;
    if ((!ka && !plain_name(x)) || (!kb && !plain_name(y))) return false;
    return ka != kb || a->mul != b->mul || a->add != b->add;
}

static bool types_differ(const us_dside *s, const us_type *a, const us_type *b)
{
    if (a->kind == US_KIND_NONE || b->kind == US_KIND_NONE) return false;
    if (a->kind != b->kind) return true;
    if (a->kind != US_KIND_TENSOR) return false;
    if (a->dtype != b->dtype && a->dtype != US_DT_NONE && b->dtype != US_DT_NONE) return true;
    if (a->rank < 0 || b->rank < 0) return false;
    if (a->rank != b->rank) return true;
    for (int32_t d = 0; d < a->rank; d++)
        if (dims_differ(s, &a->dims[d], &b->dims[d])) return true;
    return false;
}

static us_err compare_types(us_dwork *k, const us_dgraph *x, const us_dgraph *y,
                            const us_node *na, const us_node *nb, us_sv label)
{
    const us_graph *p = x->side->typed->graphs.at[x->g->index];
    const us_graph *q = y->side->typed->graphs.at[y->g->index];
    for (uint32_t o = 0; o < na->n_out && o < nb->n_out; o++) {
        us_vid a = na->out[o], b = nb->out[o];
        if (a == US_NIL || b == US_NIL || a >= p->vals.n || b >= q->vals.n) continue;
        if (!types_differ(k->side, &p->vals.at[a].type, &q->vals.at[b].type)) continue;
        us_diff_shape s = {.graph = label,
                           .op = na->op_type,
                           .value_a = p->vals.at[a].name,
                           .value_b = q->vals.at[b].name};
        US_TRY(us_dtype_text(k, x->side, &p->vals.at[a].type, &s.a));
        US_TRY(us_dtype_text(k, y->side, &q->vals.at[b].type, &s.b));
        US_TRY(us_vec_push(k->c, k->d->arena, &k->d->shapes, s));
    }
    return US_OK;
}

/* --- costs --------------------------------------------------------------------------------------------------------------- */

static const us_layer *layer_of(const us_dwork *k, int side, const us_dgraph *x,
                                const us_node *n)
{
    size_t i = (size_t)(n - x->g->nodes.at);
    if (!k->layer_of[side] || !k->layer_of[side][x->g->index]) return NULL;
    uint32_t at = k->layer_of[side][x->g->index][i];
    return at ? &k->layers[side].at[at - 1] : NULL;
}

static us_err compare_costs(us_dwork *k, const us_dgraph *x, const us_dgraph *y,
                            const us_node *na, const us_node *nb, us_sv label)
{
    const us_layer *a = layer_of(k, 0, x, na), *b = layer_of(k, 1, y, nb);
    if (!a || !b || !a->known || !b->known ||
        !(a->cost.macs < b->cost.macs || a->cost.macs > b->cost.macs))
        return US_OK;
    return us_vec_push(
        k->c, k->d->arena, &k->d->costs,
        (us_diff_cost){label, na->op_type, us_dnode_name(x, na), a->cost.macs, b->cost.macs});
}

static us_err matched_node(us_dwork *k, us_dgraph *x, us_dgraph *y, uint32_t i, us_sv label,
                           int depth)
{
    const us_node *a = x->node[i], *b = y->node[x->match[i]];
    changes ch = {0};
    bool same;
    k->d->n_matched++;
    US_TRY(compare_operators(k, x, y, a, b, &ch, &same));
    US_TRY(compare_attrs(k, x, y, a, b, label, depth, &ch));
    if (same) {
        US_TRY(compare_inputs(k, x, y, a, b, label, &ch));
        US_TRY(compare_outputs(k, x, y, a, b, &ch));
    }
    US_TRY(compare_types(k, x, y, a, b, label));
    US_TRY(compare_costs(k, x, y, a, b, label));
    if (!ch.v.n) return US_OK;
    us_diff_node r = {.state = US_DIFF_CHANGED,
                      .graph = label,
                      .a = a,
                      .b = b,
                      .name_a = us_dnode_name(x, a),
                      .name_b = us_dnode_name(y, b),
                      .changes = ch.v.at,
                      .n_changes = ch.v.n};
    k->d->n_state[US_DIFF_CHANGED]++;
    return us_vec_push(k->c, k->d->arena, &k->d->nodes, r);
}

/* Those of B alone come before the next matched node of B that is met in A's order, so both read in order of execution. */
us_err us_dnodes(us_dwork *k, us_dgraph *x, us_dgraph *y, us_sv label, int depth)
{
    uint32_t j = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        if (i % 1024 == 0) US_TRY(us_ctx_poll(k->c));
        if (x->match[i] == US_NIL) {
            US_TRY(lone_node(k, x, i, label, false));
            continue;
        }
        for (; j < x->match[i]; j++)
            if (y->match[j] == US_NIL) US_TRY(lone_node(k, y, j, label, true));
        US_TRY(matched_node(k, x, y, i, label, depth));
    }
    for (; j < y->n; j++)
        if (y->match[j] == US_NIL) US_TRY(lone_node(k, y, j, label, true));
    return US_OK;
}
