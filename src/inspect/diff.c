/* inspect/diff.c - what differs between two models: what is said once, functions, and pairs of graphs.
 *
 * A pair of graphs is laid flat, hashed, matched and told (diff_in.h has the list); its sub-graphs follow, pair by pair, each with what
 * is known of the values it captures. Types come from a clone whose large weights are left out, so inference costs no memory
 * of weights and computes with none.
 */
#include "inspect/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "inspect/diff_in.h"
#include "pass/facts.h"
#include "pass/pass.h"

#define RESULT_CAP ((size_t)16 << 30)
#define WORK_CAP   ((size_t)16 << 30)
#define BIG        ((size_t)65536) /* bytes of a constant that inference does without */

enum { LEAF_IN = 101, LEAF_OUTER, LEAF_ALONE };

static us_err add_fact(us_dwork *k, const char *what, us_sv name, us_sv a, us_sv b)
{
    return us_vec_push(k->c, k->d->arena, &k->d->facts, (us_diff_fact){what, name, a, b});
}

static us_err texts_fact(us_dwork *k, const char *what, us_sv a, us_sv b)
{
    return us_sv_eq(a, b) ? US_OK : add_fact(k, what, (us_sv){0}, a, b);
}

static us_err number_text(us_dwork *k, int64_t v, us_sv *out)
{
    char *z = us_str_printf(k->d->arena, "%lld", (long long)v);
    if (!z) return us_arena_fail(k->c, k->d->arena);
    *out = us_sv_of(z);
    return US_OK;
}

static us_err numbers_fact(us_dwork *k, const char *what, us_sv name, int64_t a, int64_t b)
{
    us_sv x, y;
    if (a == b) return US_OK;
    US_TRY(number_text(k, a, &x));
    US_TRY(number_text(k, b, &y));
    return add_fact(k, what, name, x, y);
}

/* --- leaves --------------------------------------------------------------------------------------------------- */

static void set_leaf(us_dgraph *x, us_vid v, uint64_t label)
{
    for (int l = 0; l < US_DH_LEVELS; l++)
        x->label[l][v] = label;
}

static void pair_leaves(us_dgraph *x, us_dgraph *y, us_vid a, us_vid b, uint64_t label)
{
    x->val[a].pair = b;
    y->val[b].pair = a;
    set_leaf(x, a, label);
    set_leaf(y, b, label);
}

/* Leaves that nothing is known of are like no other. */
static void lone_leaves(us_dgraph *x, uint64_t side)
{
    for (us_vid v = 0; v < x->g->vals.n; v++)
        if (x->val[v].def == US_NIL && !x->val[v].is_const)
            set_leaf(x, v, us_dmix(us_dmix(LEAF_ALONE, side), v));
}

typedef struct captured {
    us_vid outer, v;
} captured;

static int by_outer(const void *p, const void *q)
{
    const captured *a = p, *b = q;
    return (a->outer > b->outer) - (a->outer < b->outer);
}

/* Captures of values that are each other's counterparts in the enclosing graphs. */
static us_err pair_captures(us_dwork *k, const us_dgraph *px, us_dgraph *x, us_dgraph *y)
{
    captured *list = us_new_n(k->a, captured, y->g->vals.n);
    size_t n = 0;
    if (!list) return us_arena_fail(k->c, k->a);
    for (us_vid v = 0; v < y->g->vals.n; v++)
        if (y->g->vals.at[v].storage == US_ST_OUTER && !y->val[v].is_const)
            list[n++] = (captured){y->g->vals.at[v].outer, v};
    qsort(list, n, sizeof *list, by_outer);
    for (us_vid v = 0; v < x->g->vals.n; v++) {
        const us_val *val = &x->g->vals.at[v];
        if (val->storage != US_ST_OUTER || x->val[v].is_const || x->g->parent != px->g ||
            val->outer >= px->g->vals.n)
            continue;
        captured want = {px->val[val->outer].pair, 0};
        const captured *hit =
            want.outer == US_NIL ? NULL : bsearch(&want, list, n, sizeof *list, by_outer);
        if (hit) pair_leaves(x, y, v, hit->v, us_dmix(LEAF_OUTER, val->outer));
    }
    return US_OK;
}

/* --- ends: inputs and outputs ---------------------------------------------------------------------------------------- */

typedef struct ends {
    const us_dgraph *g[2];
    US_VEC(us_vid) all[2]; /* of either side, constants among the inputs left out */
    US_VEC(us_duse) pairs; /* positions in all */
    bool *taken[2];
} ends;

static us_err collect_ends(us_dwork *k, ends *e, int side, const us_vid *at, size_t n,
                           bool inputs)
{
    for (size_t i = 0; i < n; i++)
        if (!inputs || !e->g[side]->val[at[i]].is_const)
            US_TRY(us_vec_push(k->c, k->a, &e->all[side], at[i]));
    e->taken[side] = us_new_n(k->a, bool, e->all[side].n);
    return e->taken[side] ? US_OK : us_arena_fail(k->c, k->a);
}

static us_err pair_ends_at(us_dwork *k, ends *e, size_t i, size_t j)
{
    e->taken[0][i] = e->taken[1][j] = true;
    return us_vec_push(k->c, k->a, &e->pairs, (us_duse){(uint32_t)i, (uint32_t)j});
}

static us_sv end_name(const ends *e, int side, size_t i)
{
    return e->g[side]->g->vals.at[e->all[side].at[i]].name;
}

/* By name (a name may come twice: the same place first), then those left over in order. */
static us_err pair_ends(us_dwork *k, ends *e, bool names)
{
    us_map by_name;
    us_map_init(&by_name, k->a);
    for (size_t i = 0; names && i < e->all[0].n && i < e->all[1].n; i++)
        if (us_sv_eq(end_name(e, 0, i), end_name(e, 1, i))) US_TRY(pair_ends_at(k, e, i, i));
    for (size_t j = 0; names && j < e->all[1].n; j++)
        if (!e->taken[1][j])
            US_TRY(us_map_put(k->c, &by_name, end_name(e, 1, j), (uint32_t)j, NULL));
    for (size_t i = 0; names && i < e->all[0].n; i++) {
        uint32_t j = e->taken[0][i] ? US_MAP_NONE : us_map_get(&by_name, end_name(e, 0, i));
        if (j != US_MAP_NONE && !e->taken[1][j]) US_TRY(pair_ends_at(k, e, i, j));
    }
    for (size_t i = 0, j = 0; i < e->all[0].n; i++) {
        if (e->taken[0][i]) continue;
        while (j < e->all[1].n && e->taken[1][j])
            j++;
        if (j == e->all[1].n) break;
        US_TRY(pair_ends_at(k, e, i, j));
    }
    return US_OK;
}

static us_err gather(us_dwork *k, ends *e, const us_dgraph *x, const us_dgraph *y, bool inputs,
                     bool names)
{
    *e = (ends){.g = {x, y}};
    for (int s = 0; s < 2; s++) {
        const us_graph *g = e->g[s]->g;
        US_TRY(collect_ends(k, e, s, inputs ? g->inputs.at : g->outputs.at,
                            inputs ? g->inputs.n : g->outputs.n, inputs));
    }
    return pair_ends(k, e, names);
}

static us_err end_text(us_dwork *k, const ends *e, int side, size_t i, bool named, us_sv *out)
{
    const us_val *v = &e->g[side]->g->vals.at[e->all[side].at[i]];
    us_buf b;
    us_buf_init(&b, k->c, 65536);
    if (named) us_buf_addf(&b, "'" US_SV_FMT "' ", US_SV_ARG(v->name));
    us_type_print(&k->side[side].m->syms, &v->type, &b);
    return us_dtext(k, &b, out);
}

/* Inputs or outputs of the models: names and declared types. */
static us_err tell_ends(us_dwork *k, const ends *e, const char *what)
{
    us_sv a, b;
    for (size_t i = 0; i < e->pairs.n; i++) {
        us_duse p = e->pairs.at[i];
        us_sv name = end_name(e, 0, p.node);
        bool renamed = !us_sv_eq(name, end_name(e, 1, p.slot));
        US_TRY(end_text(k, e, 0, p.node, renamed, &a));
        US_TRY(end_text(k, e, 1, p.slot, renamed, &b));
        if (!us_sv_eq(a, b))
            US_TRY(add_fact(k, what, renamed ? (us_sv){0} : name, a, b));
        else if (p.node != p.slot)
            US_TRY(numbers_fact(k, what, name, p.node, p.slot));
    }
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < e->all[s].n; i++) {
            if (e->taken[s][i]) continue;
            US_TRY(end_text(k, e, s, i, false, &a));
            US_TRY(
                add_fact(k, what, end_name(e, s, i), s ? (us_sv){0} : a, s ? a : (us_sv){0}));
        }
    return US_OK;
}

static us_err mark_outputs(us_dwork *k, const ends *e, us_dgraph *x, us_dgraph *y)
{
    x->n_ends = y->n_ends = e->pairs.n;
    x->ends = us_new_n(k->a, us_vid, e->pairs.n);
    y->ends = us_new_n(k->a, us_vid, e->pairs.n);
    if (!x->ends || !y->ends) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < e->pairs.n; i++) {
        x->ends[i] = e->all[0].at[e->pairs.at[i].node];
        y->ends[i] = e->all[1].at[e->pairs.at[i].slot];
        x->foot[x->ends[i]] = y->foot[y->ends[i]] = (uint32_t)i + 1;
    }
    return US_OK;
}

/* Where outputs come from. */
static us_err tell_sources(us_dwork *k, us_dgraph *x, us_dgraph *y, us_sv label)
{
    us_sv ta, tb;
    for (size_t i = 0; i < x->n_ends; i++) {
        us_vid a = x->ends[i], b = y->ends[i];
        if (x->val[a].is_const && y->val[b].is_const) {
            US_TRY(us_dconsts(k, x, y, a, b, label, US_SV("output")));
            continue;
        }
        if (us_dsame(x, y, a, b) || us_dreach(x, y, a, b)) continue;
        US_TRY(us_dvalue_text(k, x, a, &ta));
        US_TRY(us_dvalue_text(k, y, b, &tb));
        US_TRY(add_fact(k, "made by", x->g->vals.at[a].name, ta, tb));
    }
    return US_OK;
}

/* --- a pair of graphs ---------------------------------------------------------------------------------------------------- */

static us_err compare_pair(us_dwork *k, const us_dgraph *px, const us_dgraph *py, us_dgraph *x,
                           us_dgraph *y, us_sv label, int depth)
{
    bool top = x->g == k->side[0].m->main;
    ends in, out;
    lone_leaves(x, 0);
    lone_leaves(y, 1);
    US_TRY(gather(k, &in, x, y, true, top));
    for (size_t i = 0; i < in.pairs.n; i++)
        pair_leaves(x, y, in.all[0].at[in.pairs.at[i].node], in.all[1].at[in.pairs.at[i].slot],
                    us_dmix(LEAF_IN, i));
    if (px && py && y->g->parent == py->g) US_TRY(pair_captures(k, px, x, y));
    US_TRY(gather(k, &out, x, y, false, top));
    US_TRY(mark_outputs(k, &out, x, y));
    if (top) US_TRY(tell_ends(k, &in, "input"));
    if (top) US_TRY(tell_ends(k, &out, "output"));
    US_TRY(us_dgraph_hash(k, x));
    US_TRY(us_dgraph_hash(k, y));
    US_TRY(us_dmatch(k, x, y));
    k->d->n_nodes_a += x->n;
    k->d->n_nodes_b += y->n;
    US_TRY(us_dnodes(k, x, y, label, depth));
    return tell_sources(k, x, y, label);
}

us_err us_dpair(us_dwork *k, const us_dgraph *px, const us_dgraph *py, const us_graph *a,
                const us_graph *b, us_sv label, int depth)
{
    us_dgraph x, y;
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(k->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    us_mark mark = us_arena_mark(k->a);
    US_TRY(us_dgraph_flat(k, &k->side[0], a, &x));
    US_TRY(us_dgraph_flat(k, &k->side[1], b, &y));
    US_TRY(compare_pair(k, px, py, &x, &y, label, depth));
    us_arena_reset(k->a, mark);
    return US_OK;
}

/* --- functions ------------------------------------------------------------------------------------------------------------ */

static us_err function_key(us_dwork *k, const us_function *f, us_sv *out)
{
    us_sv domain = us_sv_is(f->domain, "ai.onnx") ? (us_sv){0} : f->domain;
    us_buf b;
    us_buf_init(&b, k->c, 1 << 20);
    us_buf_addf(&b, US_SV_FMT "/" US_SV_FMT, US_SV_ARG(domain), US_SV_ARG(f->name));
    return us_dtext(k, &b, out);
}

typedef struct functions {
    us_sv *key[2];
    uint32_t *pair; /* per function of A: that of B, US_NIL */
    bool *taken;    /* of B */
} functions;

/* Those left over, by what they do. */
static us_err pair_by_body(us_dwork *k, functions *f)
{
    const us_model *a = k->side[0].m, *b = k->side[1].m;
    us_map sums;
    uint64_t h;
    us_sv key;
    us_map_init(&sums, k->a);
    for (size_t j = 0; j < b->functions.n; j++) {
        if (f->taken[j]) continue;
        US_TRY(us_dgraph_sum(k, &k->side[1], b->functions.at[j].body, NULL, 0, &h));
        US_TRY(us_sv_dup(k->c, k->a, (us_sv){(const char *)&h, sizeof h}, &key));
        if (us_map_get(&sums, key) == US_MAP_NONE)
            US_TRY(us_map_put(k->c, &sums, key, (uint32_t)j, NULL));
    }
    for (size_t i = 0; i < a->functions.n; i++) {
        if (f->pair[i] != US_NIL) continue;
        US_TRY(us_dgraph_sum(k, &k->side[0], a->functions.at[i].body, NULL, 0, &h));
        uint32_t j = us_map_get(&sums, (us_sv){(const char *)&h, sizeof h});
        if (j == US_MAP_NONE || f->taken[j]) continue;
        f->pair[i] = j;
        f->taken[j] = true;
    }
    return US_OK;
}

/* Numbers for the operators that calls name: shared by a pair. */
static us_err number_functions(us_dwork *k, const functions *f)
{
    const us_model *a = k->side[0].m, *b = k->side[1].m;
    for (size_t i = 0; i < a->functions.n; i++) {
        US_TRY(us_map_put(k->c, &k->side[0].functions, f->key[0][i], (uint32_t)i, NULL));
        if (f->pair[i] != US_NIL)
            US_TRY(us_map_put(k->c, &k->side[1].functions, f->key[1][f->pair[i]], (uint32_t)i,
                              NULL));
    }
    for (size_t j = 0; j < b->functions.n; j++)
        if (!f->taken[j])
            US_TRY(us_map_put(k->c, &k->side[1].functions, f->key[1][j],
                              (uint32_t)(a->functions.n + j), NULL));
    return US_OK;
}

static us_err pair_functions(us_dwork *k, functions *f)
{
    const us_model *m[2] = {k->side[0].m, k->side[1].m};
    us_map by_key;
    us_map_init(&by_key, k->a);
    f->pair = us_new_n(k->a, uint32_t, m[0]->functions.n);
    f->taken = us_new_n(k->a, bool, m[1]->functions.n);
    for (int s = 0; s < 2; s++) {
        f->key[s] = us_new_n(k->a, us_sv, m[s]->functions.n);
        if (!f->key[s] || !f->pair || !f->taken) return us_arena_fail(k->c, k->a);
        for (size_t i = 0; i < m[s]->functions.n; i++)
            US_TRY(function_key(k, &m[s]->functions.at[i], &f->key[s][i]));
    }
    for (size_t j = 0; j < m[1]->functions.n; j++)
        US_TRY(us_map_put(k->c, &by_key, f->key[1][j], (uint32_t)j, NULL));
    for (size_t i = 0; i < m[0]->functions.n; i++) {
        uint32_t j = us_map_get(&by_key, f->key[0][i]);
        bool hit = j != US_MAP_NONE && !f->taken[j];
        f->pair[i] = hit ? j : US_NIL;
        if (hit) f->taken[j] = true;
    }
    US_TRY(pair_by_body(k, f));
    return number_functions(k, f);
}

static us_err size_text(us_dwork *k, const us_function *f, us_sv *out)
{
    char *z = us_str_printf(k->d->arena, "%zu nodes", f->body->order.n);
    if (!z) return us_arena_fail(k->c, k->d->arena);
    *out = us_sv_of(z);
    return US_OK;
}

/* Attribute parameters and imports in one text. */
static us_err signature_text(us_dwork *k, const us_function *f, us_sv *out)
{
    us_buf b;
    us_buf_init(&b, k->c, 1 << 20);
    for (size_t i = 0; i < f->opsets.n; i++)
        us_buf_addf(&b, US_SV_FMT ":%d ", US_SV_ARG(f->opsets.at[i].domain),
                    f->opsets.at[i].version);
    us_buf_addf(&b, "%zu in, %zu out (", f->body->inputs.n, f->body->outputs.n);
    for (size_t i = 0; i < f->attr_names.n; i++)
        us_buf_addf(&b, "%s" US_SV_FMT, i ? ", " : "", US_SV_ARG(f->attr_names.at[i]));
    us_buf_addc(&b, ')');
    for (size_t i = 0; i < f->attr_defaults.n; i++)
        us_buf_addf(&b, " " US_SV_FMT, US_SV_ARG(f->attr_defaults.at[i].name));
    return us_dtext(k, &b, out);
}

static us_err compare_functions(us_dwork *k, const functions *f)
{
    const us_model *a = k->side[0].m, *b = k->side[1].m;
    us_sv x, y, none = {0};
    for (size_t i = 0; i < a->functions.n; i++) {
        const us_function *p = &a->functions.at[i];
        if (f->pair[i] == US_NIL) {
            US_TRY(size_text(k, p, &x));
            US_TRY(add_fact(k, "function", f->key[0][i], x, none));
            continue;
        }
        const us_function *q = &b->functions.at[f->pair[i]];
        char *z = us_str_printf(k->d->arena, "function " US_SV_FMT, US_SV_ARG(f->key[0][i]));
        if (!z) return us_arena_fail(k->c, k->d->arena);
        US_TRY(texts_fact(k, "function", f->key[0][i], f->key[1][f->pair[i]]));
        US_TRY(signature_text(k, p, &x));
        US_TRY(signature_text(k, q, &y));
        if (!us_sv_eq(x, y)) US_TRY(add_fact(k, "function", f->key[0][i], x, y));
        US_TRY(us_dpair(k, NULL, NULL, p->body, q->body, us_sv_of(z), 0));
    }
    for (size_t j = 0; j < b->functions.n; j++)
        if (!f->taken[j]) {
            US_TRY(size_text(k, &b->functions.at[j], &y));
            US_TRY(add_fact(k, "function", f->key[1][j], none, y));
        }
    return US_OK;
}

/* --- what is said once ------------------------------------------------------------------------------------------------------ */

static us_sv domain_of(us_sv d)
{
    return d.n ? d : US_SV("ai.onnx");
}

static us_err imports_of(us_dwork *k, const us_model *m, us_map *map)
{
    us_map_init(map, k->a);
    for (size_t i = 0; i < m->opsets.n; i++)
        US_TRY(us_map_put(k->c, map, domain_of(m->opsets.at[i].domain), (uint32_t)i, NULL));
    return US_OK;
}

static us_err compare_opsets(us_dwork *k, const us_model *a, const us_model *b)
{
    us_map pa, pb;
    us_sv x;
    US_TRY(imports_of(k, a, &pa));
    US_TRY(imports_of(k, b, &pb));
    for (size_t i = 0; i < pa.items.n; i++) {
        us_map_slot o = pa.items.at[i];
        uint32_t j = us_map_get(&pb, o.key);
        int32_t v = a->opsets.at[o.value].version;
        if (j != US_MAP_NONE) {
            US_TRY(numbers_fact(k, "opset", o.key, v, b->opsets.at[j].version));
            continue;
        }
        US_TRY(number_text(k, v, &x));
        US_TRY(add_fact(k, "opset", o.key, x, (us_sv){0}));
    }
    for (size_t i = 0; i < pb.items.n; i++) {
        us_map_slot o = pb.items.at[i];
        if (us_map_get(&pa, o.key) != US_MAP_NONE) continue;
        US_TRY(number_text(k, b->opsets.at[o.value].version, &x));
        US_TRY(add_fact(k, "opset", o.key, (us_sv){0}, x));
    }
    return US_OK;
}

static us_err props_of(us_dwork *k, const us_model *m, us_map *map)
{
    us_map_init(map, k->a);
    for (size_t i = 0; i < m->props.n; i++)
        US_TRY(us_map_put(k->c, map, m->props.at[i].key, (uint32_t)i, NULL));
    return US_OK;
}

static us_err compare_props(us_dwork *k, const us_model *a, const us_model *b)
{
    us_map pa, pb;
    US_TRY(props_of(k, a, &pa));
    US_TRY(props_of(k, b, &pb));
    for (size_t i = 0; i < pa.items.n; i++) {
        const us_prop *p = &a->props.at[pa.items.at[i].value];
        uint32_t j = us_map_get(&pb, p->key);
        us_sv other = j == US_MAP_NONE ? (us_sv){0} : b->props.at[j].value;
        if (j != US_MAP_NONE && us_sv_eq(p->value, other)) continue;
        if (j != US_MAP_NONE && !other.n) other = US_SV("");
        US_TRY(add_fact(k, "metadata", p->key, p->value.n ? p->value : US_SV(""), other));
    }
    for (size_t i = 0; i < pb.items.n; i++) {
        const us_prop *p = &b->props.at[pb.items.at[i].value];
        if (us_map_get(&pa, p->key) == US_MAP_NONE)
            US_TRY(
                add_fact(k, "metadata", p->key, (us_sv){0}, p->value.n ? p->value : US_SV("")));
    }
    return US_OK;
}

typedef struct census {
    int64_t const_nodes, listed; /* Constant nodes; weights listed among the inputs */
} census;

static census count_odd(const us_model *m)
{
    census n = {0};
    for (size_t i = 0; i < m->graphs.n; i++) {
        const us_graph *g = m->graphs.at[i];
        for (size_t j = 0; j < g->order.n; j++) {
            const us_node *node = &g->nodes.at[g->order.at[j]];
            n.const_nodes += !node->domain.n && us_sv_is(node->op_type, "Constant");
        }
    }
    for (size_t v = 0; v < m->main->vals.n; v++)
        n.listed += m->main->vals.at[v].also_input;
    return n;
}

static us_err compare_heads(us_dwork *k, const us_model *a, const us_model *b)
{
    census x = count_odd(a), y = count_odd(b);
    us_sv none = {0};
    US_TRY(numbers_fact(k, "ir version", none, a->ir_version, b->ir_version));
    US_TRY(compare_opsets(k, a, b));
    US_TRY(texts_fact(k, "producer", a->producer_name, b->producer_name));
    US_TRY(texts_fact(k, "producer version", a->producer_version, b->producer_version));
    US_TRY(texts_fact(k, "domain", a->domain, b->domain));
    US_TRY(numbers_fact(k, "model version", none, a->model_version, b->model_version));
    US_TRY(texts_fact(k, "description", a->doc, b->doc));
    US_TRY(numbers_fact(k, "Constant nodes", none, x.const_nodes, y.const_nodes));
    US_TRY(numbers_fact(k, "weights listed as inputs", none, x.listed, y.listed));
    return compare_props(k, a, b);
}

/* --- sides -------------------------------------------------------------------------------------------------------------------- */

static us_err imports_differ(us_dwork *k, const us_model *a, const us_model *b, bool *differ)
{
    us_map pb;
    *differ = false;
    US_TRY(imports_of(k, b, &pb));
    for (size_t i = 0; i < a->opsets.n; i++) {
        uint32_t j = us_map_get(&pb, domain_of(a->opsets.at[i].domain));
        if (j != US_MAP_NONE && b->opsets.at[j].version != a->opsets.at[i].version)
            *differ = true;
    }
    return US_OK;
}

/* Failures other than these say that a model cannot be upgraded or inferred: then it is compared as it is. */
static bool stops(us_err e)
{
    return e == US_NOMEM || e == US_CANCELLED || e == US_BUG;
}

/* Large constants without their contents: inference does not miss them, and folding cannot take long. */
static us_err hollow(us_ctx *c, us_model *m)
{
    for (size_t i = 0; i < m->graphs.n; i++) {
        us_graph *g = m->graphs.at[i];
        for (us_vid v = 0; v < g->vals.n; v++) {
            us_val *val = &g->vals.at[v];
            if (!val->data || val->data->kind != US_KIND_TENSOR ||
                us_tensor_bytes(&val->data->t) <= BIG)
                continue;
            us_value *without = us_new(m->arena, us_value);
            if (!without) return us_arena_fail(c, m->arena);
            *without = *val->data;
            without->t.data = NULL;
            val->data = without;
        }
    }
    return us_facts_hollow(c, m);
}

/* Large constants of m in their places again. */
static void refill(us_model *m, const us_model *from)
{
    for (size_t i = 0; i < from->graphs.n; i++)
        for (us_vid v = 0; v < from->graphs.at[i]->vals.n; v++)
            if (from->graphs.at[i]->vals.at[v].data)
                m->graphs.at[i]->vals.at[v].data = from->graphs.at[i]->vals.at[v].data;
}

/* Some upgrades are simpler where ranks are known, so types are inferred before. */
static us_err upgrade_side(us_dwork *k, int s)
{
    us_model **typed = &k->d->copies[4 + s], **up = &k->d->copies[s];
    const us_model *m = k->side[s].m;
    bool changed = false;
    US_TRY(us_model_clone(k->c, m, typed));
    us_err e = hollow(k->c, *typed);
    if (e == US_OK) e = us_facts_take(k->c, *typed, 0, &changed);
    if (e != US_OK && stops(e)) return e;
    US_TRY(us_model_clone(k->c, e == US_OK ? *typed : m, up));
    refill(*up, m);
    return us_pass_run(k->c, *up, "upgrade");
}

static us_err upgrade_both(us_dwork *k)
{
    us_err e = upgrade_side(k, 0);
    if (e == US_OK) e = upgrade_side(k, 1);
    if (e != US_OK) return stops(e) ? e : US_OK;
    k->d->current = true;
    for (int s = 0; s < 2; s++)
        k->side[s].m = k->d->copies[s];
    return US_OK;
}

static us_err infer_side(us_dwork *k, int s, bool *inferred)
{
    us_model **copy = &k->d->copies[2 + s];
    bool changed = false;
    US_TRY(us_model_clone(k->c, k->side[s].m, copy));
    us_err e = hollow(k->c, *copy);
    if (e == US_OK) e = us_facts_take(k->c, *copy, 0, &changed);
    *inferred = e == US_OK;
    k->side[s].typed = e == US_OK ? *copy : k->side[s].m;
    return stops(e) ? e : US_OK;
}

static us_err open_sides(us_dwork *k, const us_model *a, const us_model *b)
{
    const us_model *m[2] = {a, b};
    bool differ;
    for (int s = 0; s < 2; s++) {
        k->side[s] = (us_dside){.m = m[s], .no_contents = k->o.structure_only};
        us_map_init(&k->side[s].functions, k->d->arena);
    }
    US_TRY(imports_differ(k, a, b, &differ));
    if (differ) US_TRY(upgrade_both(k));
    for (int s = 0; s < 2; s++) {
        k->side[s].consts = us_new_n(k->a, uint64_t *, k->side[s].m->graphs.n);
        if (!k->side[s].consts) return us_arena_fail(k->c, k->a);
    }
    US_TRY(infer_side(k, 0, &k->d->types_a));
    return infer_side(k, 1, &k->d->types_b);
}

/* --- costs ---------------------------------------------------------------------------------------------------------------------- */

/* Layers come in the order in which us_layers_get walks: a node, then its sub-graphs. */
static us_err number_layers(us_dwork *k, int s, const us_graph *g, uint32_t *at, int depth)
{
    uint32_t **of = &k->layer_of[s][g->index];
    if (depth > US_MAX_GRAPH_DEPTH) return US_OK;
    if (!*of) *of = us_new_n(k->a, uint32_t, k->side[s].m->graphs.at[g->index]->nodes.n);
    if (!*of) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        (*of)[g->order.at[i]] = ++*at;
        for (uint32_t j = 0; j < n->n_attrs; j++)
            for (size_t x = 0; n->attrs[j].graphs && x < n->attrs[j].n; x++)
                US_TRY(number_layers(k, s, n->attrs[j].graphs[x], at, depth + 1));
    }
    return US_OK;
}

static us_err count_costs(us_dwork *k, int s, const us_model *m, double *macs)
{
    uint32_t at = 0;
    us_err e = us_layers_get(k->c, k->d->arena, m, NULL, 0, &k->layers[s]);
    *macs = (double)NAN;
    if (e != US_OK) return stops(e) ? e : US_OK;
    k->layer_of[s] = us_new_n(k->a, uint32_t *, k->side[s].m->graphs.n);
    if (!k->layer_of[s]) return us_arena_fail(k->c, k->a);
    US_TRY(number_layers(k, s, m->main, &at, 0));
    if (k->layers[s].inferred) *macs = k->layers[s].sum.cost.macs;
    return US_OK;
}

/* --- all of it --------------------------------------------------------------------------------------------------------------------- */

static us_err compare_all(us_dwork *k, const us_model *a, const us_model *b)
{
    functions f = {0};
    US_TRY(open_sides(k, a, b));
    if (k->o.cost) {
        US_TRY(count_costs(k, 0, a, &k->d->macs_a));
        US_TRY(count_costs(k, 1, b, &k->d->macs_b));
    }
    US_TRY(compare_heads(k, a, b));
    US_TRY(pair_functions(k, &f));
    US_TRY(us_dpair(k, NULL, NULL, k->side[0].m->main, k->side[1].m->main, (us_sv){0}, 0));
    return compare_functions(k, &f);
}

/* Only what was asked for stays. */
static void narrow(us_dwork *k)
{
    us_diff *d = k->d;
    if (k->o.weights_only) {
        d->facts.n = d->nodes.n = d->shapes.n = d->costs.n = 0;
        memset(d->n_state, 0, sizeof d->n_state);
    }
    d->same = !d->facts.n && !d->nodes.n && !d->shapes.n && !d->weights.n;
}

us_err us_diff_models(us_ctx *c, const us_model *a, const us_model *b, const us_diff_opts *opts,
                      us_diff **out)
{
    us_arena *keep;
    us_dwork k = {.c = c};
    if (opts) k.o = *opts;
    US_TRY(us_arena_new(c, "diff", RESULT_CAP, &keep));
    k.d = us_new(keep, us_diff);
    if (!k.d) {
        us_err e = us_arena_fail(c, keep);
        us_arena_free(keep);
        return e;
    }
    k.d->arena = keep;
    us_map_init(&k.seen, keep);
    us_err e = us_arena_new(c, "comparing", WORK_CAP, &k.a);
    if (e == US_OK) e = compare_all(&k, a, b);
    us_arena_free(k.a);
    if (e != US_OK) {
        us_diff_free(k.d);
        return e;
    }
    narrow(&k);
    *out = k.d;
    return US_OK;
}

void us_diff_free(us_diff *d)
{
    if (!d) return;
    for (size_t i = 0; i < US_LEN(d->copies); i++)
        us_model_free(d->copies[i]);
    us_arena_free(d->arena);
}
