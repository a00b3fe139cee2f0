/* ir/infer_body.c - types inside the bodies of Loop, Scan and SequenceMap.
 *
 * A body's inputs have the types of what the node gives them. What is carried from one iteration to the next may change
 * its shape, so a fixed point is looked for: assume the type of the first value, infer the body, and where the result is not
 * what was assumed, assume less (a dimension becomes any, then the rank is open) and infer again from the state before. After
 * MAX_ROUNDS nothing but element types is assumed. Declared types of inputs hold besides.
 *
 * A symbol made in a body stands for another size in each iteration: it never leaves the body (us_infer_leaves).
 */
#include "ir/infer_dims.h"

#include <string.h>

#include "base/ctx.h"
#include "ir/op_util.h"

#define MAX_ROUNDS 4
#define SAVE_CAP   ((size_t)1 << 30)

typedef struct bodies {
    us_infer *k;
    us_graph *body;
    us_type *in;  /* assumed, one per input of the body */
    us_type *was; /* types of the inputs before */
    size_t n_carried, first_in,
        first_out;   /* input first_in + i is carried from output first_out + i */
    uint32_t n_syms; /* later symbols were made here */
} bodies;

/* --- what two values have in common ------------------------------------------------------------------------------ */

static bool free_dim(us_dim d, uint32_t n_syms)
{
    return d.sym >= n_syms && d.mul == 1 && d.add == 0;
}

/* Dimensions with symbols from n_syms on in `a` fit anything. */
static us_err join_dims(us_infer *k, const us_type *a, const us_type *b, uint32_t n_syms,
                        us_type *r)
{
    r->rank = -1;
    r->dims = NULL;
    if (a->rank < 0 || a->rank != b->rank) return US_OK;
    us_dim *d = us_new_n(k->arena, us_dim, (size_t)a->rank);
    if (!d) return us_arena_fail(k->c, k->arena);
    for (int i = 0; i < a->rank; i++) {
        d[i] = a->dims[i];
        if (!us_dim_eq(a->dims[i], b->dims[i]) && !free_dim(a->dims[i], n_syms))
            US_TRY(us_infer_fresh(k, &d[i]));
    }
    r->rank = a->rank;
    r->dims = d;
    return US_OK;
}

static us_err join(us_infer *k, const us_type *a, const us_type *b, uint32_t n_syms,
                   us_type *out)
{
    us_type r = {.kind = US_KIND_NONE, .rank = -1};
    if (a->kind != b->kind || a->kind == US_KIND_NONE) {
        *out = r;
        return US_OK;
    }
    r.kind = a->kind;
    r.dtype = a->dtype == b->dtype ? a->dtype : US_DT_NONE;
    if (a->kind == US_KIND_TENSOR || a->kind == US_KIND_SPARSE)
        US_TRY(join_dims(k, a, b, n_syms, &r));
    if (a->elem && b->elem) {
        us_type *elem = us_new(k->arena, us_type);
        if (!elem) return us_arena_fail(k->c, k->arena);
        US_TRY(join(k, a->elem, b->elem, n_syms, elem));
        r.elem = elem;
    }
    *out = r;
    return US_OK;
}

us_err us_infer_join(us_infer *k, const us_type *a, const us_type *b, us_type *out)
{
    return join(k, a, b, UINT32_MAX, out);
}

/* Every value of type b is one of type a as assumed. */
static bool covers(const us_type *a, const us_type *b, uint32_t n_syms)
{
    if (a->kind == US_KIND_NONE) return true;
    if (a->kind != b->kind || (a->dtype && a->dtype != b->dtype)) return false;
    if (a->elem) return b->elem && covers(a->elem, b->elem, n_syms);
    if (a->rank < 0) return true;
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (!us_dim_eq(a->dims[i], b->dims[i]) && !free_dim(a->dims[i], n_syms)) return false;
    return true;
}

/* --- what may leave a body ------------------------------------------------------------------------------------------- */

static bool type_has(const us_type *t, us_sym s)
{
    for (; t; t = t->elem)
        for (int i = 0; i < t->rank && t->dims; i++)
            if (t->dims[i].sym == s) return true;
    return false;
}

/* A symbol means outside what it means inside when it came in from there, or when the file named it. */
static bool stays(const us_infer *k, const us_graph *body, us_sym s)
{
    if (!us_sym_made_up(&k->m->syms, s)) return true;
    for (size_t i = 0; i < us_infer_n_in(k); i++)
        if (us_infer_in(k, i) && type_has(us_infer_in(k, i), s)) return true;
    for (size_t v = 0; v < body->vals.n; v++)
        if (body->vals.at[v].storage == US_ST_OUTER && type_has(&body->vals.at[v].type, s))
            return true;
    return false;
}

us_err us_infer_leaves(us_infer *k, const us_graph *body, const us_type *t, us_type *out)
{
    us_type r;
    US_TRY(us_type_dup(k->c, k->arena, t, &r));
    for (us_type *p = &r; p; p = (us_type *)(uintptr_t)p->elem)
        for (int i = 0; i < p->rank && p->dims; i++)
            if (!us_dim_known(p->dims[i]) && !stays(k, body, p->dims[i].sym))
                US_TRY(us_infer_fresh(k, &p->dims[i]));
    *out = r;
    return US_OK;
}

/* --- the state of a body ----------------------------------------------------------------------------------------------- */

typedef struct saved {
    struct saved *next;
    us_graph *g;
    us_val *vals;
} saved;

static us_err save(us_infer *k, us_graph *g, us_arena *a, saved **list)
{
    saved *s = us_new(a, saved);
    if (!s) return us_arena_fail(k->c, a);
    *s = (saved){*list, g, us_new_n(a, us_val, g->vals.n)};
    if (!s->vals) return us_arena_fail(k->c, a);
    if (g->vals.n) memcpy(s->vals, g->vals.at, g->vals.n * sizeof *s->vals);
    *list = s;
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        for (uint32_t j = 0; j < n->n_attrs; j++)
            for (size_t q = 0; n->attrs[j].graphs && q < n->attrs[j].n; q++)
                US_TRY(save(k, n->attrs[j].graphs[q], a, list));
    }
    return US_OK;
}

static void restore(const saved *s)
{
    for (; s; s = s->next)
        if (s->g->vals.n) memcpy(s->g->vals.at, s->vals, s->g->vals.n * sizeof *s->vals);
}

/* --- rounds -------------------------------------------------------------------------------------------------------------- */

/* What is declared and assumed at once; where they contradict, what is assumed: the node gives it. */
static us_err put_inputs(bodies *b)
{
    for (size_t i = 0; i < b->body->inputs.n; i++) {
        us_val *v = &b->body->vals.at[b->body->inputs.at[i]];
        us_type r;
        us_err e = us_type_merge(b->k->c, b->k->m, &b->was[i], &b->in[i], v->name, &r);
        if (e != US_OK && e != US_SHAPE) return e;
        v->type = e == US_OK ? r : b->in[i];
    }
    return US_OK;
}

static const us_type *result(const bodies *b, size_t i)
{
    return &b->body->vals.at[b->body->outputs.at[b->first_out + i]].type;
}

static bool stable(const bodies *b)
{
    for (size_t i = 0; i < b->n_carried; i++)
        if (!covers(&b->in[b->first_in + i], result(b, i), b->n_syms)) return false;
    return true;
}

/* Element types do not change while a loop runs. */
static void forget_shape(us_type *t)
{
    for (; t; t = (us_type *)(uintptr_t)t->elem) {
        t->rank = -1;
        t->dims = NULL;
    }
}

/* failed: of the results nothing is known. */
static us_err weaken(bodies *b, bool failed, bool fully)
{
    for (size_t i = 0; i < b->n_carried; i++) {
        us_type *t = &b->in[b->first_in + i], had = *t;
        bool known = !failed && result(b, i)->kind == t->kind;
        if (covers(t, result(b, i), b->n_syms) && !failed && !fully) continue;
        if (known && !fully) US_TRY(join(b->k, &had, result(b, i), b->n_syms, t));
        if (known && !fully) continue;
        US_TRY(us_type_dup(b->k->c, b->k->arena, &had, t));
        forget_shape(t);
    }
    return US_OK;
}

static bool is_models(us_err e)
{
    return e == US_SHAPE || e == US_ARG || e == US_FORMAT || e == US_UNSUPP;
}

static us_err rounds(bodies *b, us_arena *a, bool once, us_body_fn *fn, void *arg, bool *done)
{
    saved *state = NULL;
    US_TRY(save(b->k, b->body, a, &state));
    for (int round = once ? MAX_ROUNDS - 1 : 0; round < MAX_ROUNDS; round++) {
        restore(state);
        if (round == MAX_ROUNDS - 1) break;
        US_TRY(put_inputs(b));
        us_err e = fn(arg, b->body, true);
        if (e != US_OK && !is_models(e)) return e;
        *done = e == US_OK && stable(b);
        if (*done) return US_OK;
        US_TRY(weaken(b, e != US_OK, false));
    }
    return weaken(b, true, true);
}

/* --- which operators, and what they give ------------------------------------------------------------------------------------ */

static us_err give(bodies *b, size_t i, const us_type *t)
{
    return i < b->body->inputs.n && t ? us_type_dup(b->k->c, b->k->arena, t, &b->in[i]) : US_OK;
}

static us_err give_loop(bodies *b)
{
    us_type count = us_type_tensor(US_I64, 0, NULL), cond = us_type_tensor(US_BOOL, 0, NULL);
    size_t n = us_infer_n_in(b->k);
    US_TRY(give(b, 0, &count));
    US_TRY(give(b, 1, &cond));
    for (size_t i = 2; i < n; i++)
        US_TRY(give(b, i, us_infer_in(b->k, i)));
    b->first_in = 2;
    b->first_out = 1;
    b->n_carried = n > 2 ? n - 2 : 0;
    return US_OK;
}

static us_err without_axis(bodies *b, size_t i, const us_type *t, int64_t axis)
{
    us_dim d[US_MAX_RANK];
    int at, n = 0;
    if (!t || t->kind != US_KIND_TENSOR) return US_OK;
    us_type r = us_type_tensor(t->dtype, -1, NULL);
    if (t->rank > 0 && us_axis_norm(axis, t->rank, &at)) {
        for (int j = 0; j < t->rank; j++)
            if (j != at) d[n++] = t->dims[j];
        r = us_type_tensor(t->dtype, n, d);
    }
    return give(b, i, &r);
}

static us_err give_scan(bodies *b)
{
    const us_p_scan *p = b->k->params;
    size_t n = us_infer_n_in(b->k);
    if (p->num_scan_inputs < 1 || (size_t)p->num_scan_inputs > n) return US_OK;
    b->n_carried = n - (size_t)p->num_scan_inputs;
    for (size_t i = 0; i < n; i++) {
        const us_type *t = us_infer_in(b->k, i);
        size_t s = i - b->n_carried;
        if (i < b->n_carried)
            US_TRY(give(b, i, t));
        else
            US_TRY(
                without_axis(b, i, t, s < p->scan_input_axes.n ? p->scan_input_axes.p[s] : 0));
    }
    return US_OK;
}

static us_err give_map(bodies *b)
{
    for (size_t i = 0; i < us_infer_n_in(b->k); i++) {
        us_type t;
        const us_type *x = us_infer_in(b->k, i);
        if (!x || x->kind != US_KIND_SEQUENCE || !x->elem) {
            US_TRY(give(b, i, x));
            continue;
        }
        US_TRY(us_infer_element(b->k, x, &t));
        US_TRY(give(b, i, &t));
    }
    return US_OK;
}

static const struct {
    const char *op;
    size_t body; /* where the parameters have the graph */
    us_err (*give)(bodies *b);
} rows[] = {
    {"Loop", offsetof(us_p_loop, body), give_loop},
    {"Scan", offsetof(us_p_scan, body), give_scan},
    {"SequenceMap", offsetof(us_p_sequence_map, body), give_map},
};

static size_t row_of(const us_node *n)
{
    size_t i = 0;
    while (i < US_LEN(rows) && (n->domain.n || !us_sv_is(n->op_type, rows[i].op)))
        i++;
    return i;
}

bool us_body_has(const us_node *n)
{
    return n->op && row_of(n) < US_LEN(rows);
}

static us_err in_arena(bodies *b, size_t row, us_arena *a, bool once, us_body_fn *fn, void *arg)
{
    size_t n = b->body->inputs.n;
    bool done = false;
    b->in = us_new_n(a, us_type, n);
    b->was = us_new_n(a, us_type, n);
    if (!b->in || !b->was) return us_arena_fail(b->k->c, a);
    for (size_t i = 0; i < n; i++) {
        b->in[i] = (us_type){.kind = US_KIND_NONE, .rank = -1};
        b->was[i] = b->body->vals.at[b->body->inputs.at[i]].type;
    }
    US_TRY(rows[row].give(b));
    if (b->first_in + b->n_carried > n || b->first_out + b->n_carried > b->body->outputs.n)
        b->n_carried = 0;
    if (b->n_carried) US_TRY(rounds(b, a, once, fn, arg, &done));
    if (!done) US_TRY(put_inputs(b));
    return fn(arg, b->body, false);
}

us_err us_body_infer(us_infer *k, bool once, us_body_fn *fn, void *arg)
{
    size_t row = row_of(&k->g->nodes.at[k->n]);
    us_arena *a;
    bodies b = {.k = k, .n_syms = (uint32_t)k->m->syms.names.n};
    memcpy(&b.body, (const char *)k->params + rows[row].body, sizeof b.body);
    US_TRY(us_arena_new(k->c, "inference of a body", SAVE_CAP, &a));
    us_err e = in_arena(&b, row, a, once, fn, arg);
    us_arena_free(a);
    return e;
}
