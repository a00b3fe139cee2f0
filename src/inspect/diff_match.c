/* inspect/diff_match.c - which node of one graph is which of the other.
 *
 * From the surest to the loosest, each step on what the steps before left over:
 *  1. Anchors: hashes (above, below) that occur once on either side, at falling levels of detail. After each the match spreads along
 *     edges: producers slot by slot, users by (hash, slot) where that is unique.
 *  2. Twins, whose hashes both ways are equal at the same level: by name, then in order, spreading after each.
 *  3. Spreading along edges by operator, attributes and shapes of constants; then by operator alone.
 *  4. A longest common subsequence in order of execution, by operator and type of the result, then by family of operators
 *     (QLinearConv is of Conv's), for pairs that read the same once unmatched nodes are passed through.
 *  5. A node in the place of another: the same input, the same user, another operator.
 * (After GumTree, Falleri et al. 2014: top-down anchors, then containers; and patience diff.) Each step is a sort or one walk over edges:
 * near-linear in nodes and edges. Searches through unmatched nodes and among users stop at a limit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "inspect/diff_in.h"

#define NONE      US_DH_LEVELS /* this direction does not count */
#define MAX_REACH 48           /* values looked at on the way up through unmatched nodes */
#define MAX_USERS 8            /* users asked what stands in a node's place */

typedef struct item {
    uint64_t key;
    uint32_t side, i;
} item;

typedef struct matcher {
    us_dwork *k;
    us_dgraph *g[2];
    uint64_t *key[2];      /* per node: what must be equal now */
    US_VEC(us_duse) queue; /* pairs whose neighbours are to be looked at */
    size_t at;
    item *items, *near; /* room for all nodes; for the users of two values */
    bool weak;          /* aligned pairs are of one family only */
} matcher;

static us_err join(matcher *m, uint32_t a, uint32_t b)
{
    us_dgraph *x = m->g[0], *y = m->g[1];
    const us_node *na = x->node[a], *nb = y->node[b];
    x->match[a] = b;
    y->match[b] = a;
    for (uint32_t o = 0; o < na->n_out && o < nb->n_out; o++)
        if (na->out[o] != US_NIL && nb->out[o] != US_NIL) {
            x->val[na->out[o]].pair = nb->out[o];
            y->val[nb->out[o]].pair = na->out[o];
        }
    return us_vec_push(m->k->c, m->k->a, &m->queue, (us_duse){a, b});
}

static bool is_free(const matcher *m, int side, uint32_t i)
{
    return m->g[side]->match[i] == US_NIL;
}

static int by_key(const void *p, const void *q)
{
    const item *a = p, *b = q;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    if (a->side != b->side) return a->side < b->side ? -1 : 1;
    return (a->i > b->i) - (a->i < b->i);
}

/* The run of equal keys that begins at `from`: items of A are [from, *mid), of B [*mid, returned). */
static size_t run_of(const item *it, size_t n, size_t from, size_t *mid)
{
    size_t i = from;
    while (i < n && it[i].key == it[from].key && it[i].side == 0)
        i++;
    *mid = i;
    while (i < n && it[i].key == it[from].key)
        i++;
    return i;
}

/* --- spreading ------------------------------------------------------------------------------------------------ */

static us_err try_producers(matcher *m, us_vid va, us_vid vb)
{
    if (va == US_NIL || vb == US_NIL) return US_OK;
    const us_dval *a = &m->g[0]->val[va], *b = &m->g[1]->val[vb];
    if (a->def == US_NIL || b->def == US_NIL || a->def_out != b->def_out) return US_OK;
    if (!is_free(m, 0, a->def) || !is_free(m, 1, b->def)) return US_OK;
    return m->key[0][a->def] == m->key[1][b->def] ? join(m, a->def, b->def) : US_OK;
}

static bool commutes(const us_node *n)
{
    return n->op && (n->op->flags & US_OP_COMMUTES) && n->n_in == 2;
}

static size_t free_users(const matcher *m, int side, us_vid v, item *out)
{
    const us_dgraph *x = m->g[side];
    size_t n = 0;
    for (uint32_t u = x->use0[v]; u < x->use0[v + 1]; u++) {
        us_duse use = x->uses[u];
        uint64_t slot = commutes(x->node[use.node]) ? 0 : use.slot;
        if (is_free(m, side, use.node))
            out[n++] = (item){us_dmix(m->key[side][use.node], slot), (uint32_t)side, use.node};
    }
    return n;
}

static us_err try_users(matcher *m, us_vid va, us_vid vb)
{
    size_t n = free_users(m, 0, va, m->near), mid;
    if (!n) return US_OK;
    size_t more = free_users(m, 1, vb, m->near + n);
    if (!more) return US_OK;
    n += more;
    qsort(m->near, n, sizeof *m->near, by_key);
    for (size_t i = 0, to; i < n; i = to) {
        to = run_of(m->near, n, i, &mid);
        size_t na = mid - i, nb = to - mid;
        bool twice = na == 2 && nb == 2 && m->near[i].i == m->near[i + 1].i &&
                     m->near[mid].i == m->near[mid + 1].i; /* x + x */
        if (!(na == 1 && nb == 1) && !twice) continue;
        if (is_free(m, 0, m->near[i].i) && is_free(m, 1, m->near[mid].i))
            US_TRY(join(m, m->near[i].i, m->near[mid].i));
    }
    return US_OK;
}

static us_err spread(matcher *m)
{
    while (m->at < m->queue.n) {
        us_duse pair = m->queue.at[m->at++];
        const us_node *a = m->g[0]->node[pair.node], *b = m->g[1]->node[pair.slot];
        for (uint32_t s = 0; s < a->n_in && s < b->n_in; s++)
            US_TRY(try_producers(m, a->in[s], b->in[s]));
        for (uint32_t s = 0; s < 2 && commutes(a) && commutes(b); s++)
            US_TRY(try_producers(m, a->in[s], b->in[1 - s]));
        for (uint32_t o = 0; o < a->n_out && o < b->n_out; o++)
            if (a->out[o] != US_NIL && b->out[o] != US_NIL)
                US_TRY(try_users(m, a->out[o], b->out[o]));
    }
    return us_ctx_poll(m->k->c);
}

/* From every pair there is, and from the ends of the graphs. */
static us_err spread_all(matcher *m)
{
    const us_dgraph *x = m->g[0], *y = m->g[1];
    m->queue.n = m->at = 0;
    for (uint32_t i = 0; i < x->n; i++)
        if (x->match[i] != US_NIL)
            US_TRY(us_vec_push(m->k->c, m->k->a, &m->queue, (us_duse){i, x->match[i]}));
    for (us_vid v = 0; v < x->g->vals.n; v++)
        if (x->val[v].def == US_NIL && x->val[v].pair != US_NIL)
            US_TRY(try_users(m, v, x->val[v].pair));
    for (size_t i = 0; i < x->n_ends; i++)
        US_TRY(try_producers(m, x->ends[i], y->ends[i]));
    return spread(m);
}

/* --- anchors and twins --------------------------------------------------------------------------------------------- */

static void set_keys(matcher *m, int up, int down, bool names)
{
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < m->g[s]->n; i++) {
            if (!is_free(m, s, i)) continue;
            uint64_t h = 1;
            if (up != NONE) h = us_dmix(h, m->g[s]->up[up][i]);
            if (down != NONE) h = us_dmix(us_dmix(h, 2), m->g[s]->down[down][i]);
            us_sv name = names ? us_dnode_name(m->g[s], m->g[s]->node[i]) : (us_sv){0};
            if (names) h = us_dmix(h, us_hash64(name.n ? name.p : "", name.n, 3));
            m->key[s][i] = h;
        }
}

static size_t take_free(matcher *m)
{
    size_t n = 0;
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < m->g[s]->n; i++)
            if (is_free(m, s, i)) m->items[n++] = (item){m->key[s][i], (uint32_t)s, i};
    qsort(m->items, n, sizeof *m->items, by_key);
    return n;
}

/* Keys that occur once on either side; with `all`, the others as well, in order. */
static us_err anchors(matcher *m, bool all)
{
    size_t n = take_free(m), mid;
    for (size_t i = 0, to; i < n; i = to) {
        to = run_of(m->items, n, i, &mid);
        if (!all && (mid - i != 1 || to - mid != 1)) continue;
        for (size_t a = i, b = mid; a < mid && b < to;) {
            if (!is_free(m, 0, m->items[a].i)) {
                a++;
            } else if (!is_free(m, 1, m->items[b].i)) {
                b++;
            } else {
                US_TRY(join(m, m->items[a++].i, m->items[b++].i));
                if (all) US_TRY(spread(m));
            }
        }
    }
    return spread(m);
}

static us_err all_anchors(matcher *m)
{
    static const int8_t steps[][2] = {{US_DH_EXACT, US_DH_EXACT},
                                      {US_DH_EXACT, US_DH_SHAPE},
                                      {US_DH_SHAPE, US_DH_EXACT},
                                      {US_DH_SHAPE, US_DH_SHAPE},
                                      {US_DH_EXACT, NONE},
                                      {NONE, US_DH_EXACT},
                                      {US_DH_SHAPE, NONE},
                                      {NONE, US_DH_SHAPE},
                                      {US_DH_SHAPE, US_DH_OP},
                                      {US_DH_OP, US_DH_SHAPE},
                                      {US_DH_OP, US_DH_OP},
                                      {US_DH_OP, NONE},
                                      {NONE, US_DH_OP}};
    for (size_t i = 0; i < US_LEN(steps); i++) {
        set_keys(m, steps[i][0], steps[i][1], false);
        US_TRY(anchors(m, false));
    }
    return US_OK;
}

static us_err twins(matcher *m, int up, int down)
{
    set_keys(m, up, down, true);
    US_TRY(anchors(m, false));
    set_keys(m, up, down, false);
    return anchors(m, true);
}

/* --- by operator --------------------------------------------------------------------------------------------------- */

static void keys_by_operator(matcher *m, bool loose)
{
    for (int s = 0; s < 2; s++) {
        const us_dgraph *x = m->g[s];
        for (uint32_t i = 0; i < x->n; i++) {
            uint64_t h = x->sig[loose ? US_DH_OP : US_DH_SHAPE][i];
            for (uint32_t j = 0; j < x->node[i]->n_in && !loose; j++) {
                us_vid v = x->node[i]->in[j];
                if (v != US_NIL && x->val[v].is_const)
                    h += us_dmix(x->label[US_DH_SHAPE][v], j);
            }
            m->key[s][i] = h;
        }
    }
}

static us_err spread_by_operator(matcher *m, bool loose)
{
    keys_by_operator(m, false);
    US_TRY(spread_all(m));
    if (!loose) return US_OK;
    keys_by_operator(m, true);
    return spread_all(m);
}

/* --- values that are the same ---------------------------------------------------------------------------------------- */

bool us_dsame(const us_dgraph *x, const us_dgraph *y, us_vid va, us_vid vb)
{
    if (va == US_NIL || vb == US_NIL) return va == vb;
    if (x->val[va].is_const || y->val[vb].is_const) return false;
    if (x->val[va].pair == vb) return true;
    uint64_t h = x->label[US_DH_EXACT][va];
    return h && h == y->label[US_DH_EXACT][vb];
}

typedef struct reach {
    us_vid seen[MAX_REACH]; /* a list of what to look at, and was */
    us_vid ends[MAX_REACH];
    size_t n, n_ends;
} reach;

static void reach_add(reach *r, us_vid v)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->seen[i] == v) return;
    if (r->n < MAX_REACH) r->seen[r->n++] = v;
}

/* Upwards from what was added through nodes without a match, to values that are not made by one. */
static void reach_up(const us_dgraph *x, reach *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const us_dval *val = &x->val[r->seen[i]];
        if (val->is_const) continue;
        if (val->def == US_NIL || x->match[val->def] != US_NIL) {
            r->ends[r->n_ends++] = r->seen[i];
            continue;
        }
        const us_node *n = x->node[val->def];
        for (uint32_t j = 0; j < n->n_in && r->n < MAX_REACH; j++)
            if (n->in[j] != US_NIL) reach_add(r, n->in[j]);
    }
}

static bool meet(const us_dgraph *x, const us_dgraph *y, reach *a, reach *b)
{
    reach_up(x, a);
    reach_up(y, b);
    for (size_t i = 0; i < a->n_ends; i++)
        for (size_t j = 0; j < b->n_ends; j++)
            if (us_dsame(x, y, a->ends[i], b->ends[j])) return true;
    return false;
}

bool us_dreach(const us_dgraph *x, const us_dgraph *y, us_vid va, us_vid vb)
{
    reach a, b;
    if (va == US_NIL || vb == US_NIL) return va == vb;
    a.n = b.n = a.n_ends = b.n_ends = 0;
    reach_add(&a, va);
    reach_add(&b, vb);
    return meet(x, y, &a, &b);
}

/* --- in order of execution ------------------------------------------------------------------------------------------- */

/* What two nodes of the same name or with a common source may be. */
static bool related(const matcher *m, uint32_t a, uint32_t b)
{
    const us_dgraph *x = m->g[0], *y = m->g[1];
    const us_node *na = x->node[a], *nb = y->node[b];
    us_sv name = us_dnode_name(x, na);
    if (name.n && us_sv_eq(name, us_dnode_name(y, nb))) return true;
    reach r, q;
    r.n = q.n = r.n_ends = q.n_ends = 0;
    for (uint32_t i = 0; i < na->n_in && r.n < MAX_REACH; i++)
        if (na->in[i] != US_NIL) reach_add(&r, na->in[i]);
    for (uint32_t i = 0; i < nb->n_in && q.n < MAX_REACH; i++)
        if (nb->in[i] != US_NIL) reach_add(&q, nb->in[i]);
    return meet(x, y, &r, &q);
}

static uint64_t type_token(const us_dgraph *x, const us_node *n)
{
    const us_graph *g = x->side->typed->graphs.at[x->g->index];
    us_vid v = n->n_out ? n->out[0] : US_NIL;
    if (v == US_NIL || v >= g->vals.n || g->vals.at[v].type.kind != US_KIND_TENSOR) return 0;
    const us_type *t = &g->vals.at[v].type;
    uint64_t h = us_dmix(4, (uint64_t)(int64_t)t->rank);
    for (int32_t d = 0; d < t->rank; d++)
        h = us_dmix(h, us_dim_known(t->dims[d]) ? (uint64_t)t->dims[d].add : UINT64_MAX);
    return h;
}

/* "Conv" of QLinearConv, FusedConv, ConvInteger, DynamicQuantizeMatMul. */
static uint64_t family_token(const us_node *n)
{
    static const char *const front[] = {"QLinear", "Fused", "DynamicQuantize", "Q"};
    us_sv s = n->op_type;
    for (size_t i = 0; i < US_LEN(front); i++) {
        size_t w = strlen(front[i]);
        if (s.n > w && us_sv_starts(s, front[i]) && s.p[w] >= 'A' && s.p[w] <= 'Z') {
            s = (us_sv){s.p + w, s.n - w};
            break;
        }
    }
    if (s.n > 7 && us_sv_ends(s, "Integer")) s.n -= 7;
    return us_hash64(s.n ? s.p : "", s.n, 5);
}

static uint64_t *tokens_of(matcher *m, int side)
{
    const us_dgraph *x = m->g[side];
    uint64_t *t = us_new_n(m->k->a, uint64_t, x->n);
    for (uint32_t i = 0; t && i < x->n; i++) {
        if (x->match[i] != US_NIL)
            t[i] = us_dmix(6, side == 0 ? i : x->match[i]);
        else if (m->weak)
            t[i] = family_token(x->node[i]);
        else
            t[i] = us_dmix(x->sig[US_DH_OP][i], type_token(x, x->node[i]));
    }
    return t;
}

static us_err hit(void *arg, uint32_t a, uint32_t b)
{
    matcher *m = arg;
    if (!is_free(m, 0, a) || !is_free(m, 1, b) || !related(m, a, b)) return US_OK;
    US_TRY(join(m, a, b));
    return m->weak ? US_OK : spread(m);
}

static bool any_free(const matcher *m, int side)
{
    for (uint32_t i = 0; i < m->g[side]->n; i++)
        if (is_free(m, side, i)) return true;
    return false;
}

static us_err align(matcher *m, bool weak)
{
    if (!any_free(m, 0) || !any_free(m, 1)) return US_OK;
    m->weak = weak;
    uint64_t *ta = tokens_of(m, 0), *tb = tokens_of(m, 1);
    if (!ta || !tb) return us_arena_fail(m->k->c, m->k->a);
    m->queue.n = m->at = 0;
    US_TRY(us_dalign(m->k, m->g[0]->n, ta, m->g[1]->n, tb, hit, m));
    return spread_by_operator(m, true);
}

/* --- in another's place ----------------------------------------------------------------------------------------------- */

/* The node of B that a user of a's first output reads in its place, when it is free. */
static uint32_t in_place_of(const matcher *m, us_vid v)
{
    const us_dgraph *x = m->g[0], *y = m->g[1];
    for (uint32_t u = x->use0[v]; u < x->use0[v + 1] && u < x->use0[v] + MAX_USERS; u++) {
        us_duse use = x->uses[u];
        uint32_t b = x->match[use.node];
        if (b == US_NIL || use.slot >= y->node[b]->n_in) continue;
        us_vid w = y->node[b]->in[use.slot];
        if (w == US_NIL || y->val[w].def == US_NIL) continue;
        if (is_free(m, 1, y->val[w].def)) return y->val[w].def;
    }
    us_vid w = x->foot[v] ? y->ends[x->foot[v] - 1] : US_NIL;
    bool open = w != US_NIL && y->val[w].def != US_NIL && is_free(m, 1, y->val[w].def);
    return open ? y->val[w].def : US_NIL;
}

/* A common input; or inputs that are themselves made by nodes about to be paired. */
static bool same_source(const matcher *m, const us_node *a, const us_node *b)
{
    const us_dgraph *x = m->g[0], *y = m->g[1];
    for (uint32_t i = 0; i < a->n_in && i < b->n_in && i < MAX_USERS; i++) {
        us_vid va = a->in[i], vb = b->in[i];
        if (va == US_NIL || vb == US_NIL) continue;
        if (us_dsame(x, y, va, vb)) return true;
        const us_dval *p = &x->val[va], *q = &y->val[vb];
        bool open = p->def != US_NIL && q->def != US_NIL && is_free(m, 0, p->def) &&
                    is_free(m, 1, q->def);
        if (open && us_dreach(x, y, va, vb)) return true;
    }
    return false;
}

static us_err replaced(matcher *m)
{
    const us_dgraph *x = m->g[0];
    m->queue.n = m->at = 0;
    for (uint32_t i = x->n; i-- > 0;) {
        const us_node *n = x->node[i];
        if (!is_free(m, 0, i) || !n->n_out || n->out[0] == US_NIL) continue;
        uint32_t b = in_place_of(m, n->out[0]);
        if (b != US_NIL && same_source(m, n, m->g[1]->node[b])) US_TRY(join(m, i, b));
    }
    return US_OK;
}

us_err us_dmatch(us_dwork *k, us_dgraph *x, us_dgraph *y)
{
    matcher m = {.k = k, .g = {x, y}};
    size_t n_uses = (size_t)x->use0[x->g->vals.n] + y->use0[y->g->vals.n];
    m.key[0] = us_new_n(k->a, uint64_t, x->n);
    m.key[1] = us_new_n(k->a, uint64_t, y->n);
    m.items = us_new_n(k->a, item, (size_t)x->n + y->n);
    m.near = us_new_n(k->a, item, n_uses);
    if (!m.key[0] || !m.key[1] || !m.items || !m.near) return us_arena_fail(k->c, k->a);
    US_TRY(us_vec_reserve(k->c, k->a, &m.queue,
                          x->n)); /* all it will hold: others use the arena meanwhile */
    US_TRY(all_anchors(&m));
    US_TRY(twins(&m, US_DH_EXACT, US_DH_EXACT));
    US_TRY(spread_by_operator(&m, false));
    US_TRY(twins(&m, US_DH_EXACT, US_DH_SHAPE));
    US_TRY(twins(&m, US_DH_SHAPE, US_DH_EXACT));
    US_TRY(twins(&m, US_DH_SHAPE, US_DH_SHAPE));
    US_TRY(twins(&m, US_DH_EXACT, NONE));
    US_TRY(twins(&m, US_DH_OP, US_DH_OP));
    US_TRY(spread_by_operator(&m, true));
    US_TRY(align(&m, false));
    US_TRY(align(&m, true));
    US_TRY(replaced(&m));
    return spread_by_operator(&m, true);
}
