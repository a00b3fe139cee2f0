/* exec/release.c - a plan whose weights are packed gives back the memory of the originals.
 *
 * What calls need of a weight lies in the plan's packed copy, so its original is read only where a step runs as it comes, which
 * is rare. Originals stay where they are, but their pages are dropped: the file's (they come back by themselves), those of copies that
 * the reader made of badly placed weights, and those of weights that passes computed. A step that does run as it comes has them
 * back before: copies from the file, computed ones by running the same passes once more over the model as read. So nothing depends on
 * a promise that a call is always there.
 *
 * A range is dropped only when no constant that is still read, and no tensor among the attributes, shares a byte with it.
 */
#include <stdlib.h>
#include <string.h>

#include "exec/plan.h"
#include "ir/later.h"

#define RELEASE_CAP ((size_t)1 << 30)

/* Operators whose calls find all of an input in what prepare made. */
static const struct {
    us_op_id op;
    uint32_t input;
} packs[] = {{US_OP_BLOCKED_CONV, 1}, {US_OP_USTA_GEMM, 1}, {US_OP_LSTM, 1}, {US_OP_LSTM, 2},
             {US_OP_GRU, 1},          {US_OP_GRU, 2},       {US_OP_RNN, 1},  {US_OP_RNN, 2}};

bool us_op_packs(const us_op *op, uint32_t i)
{
    for (size_t k = 0; k < US_LEN(packs); k++)
        if (op == us_op_get(packs[k].op) && packs[k].input == i) return true;
    return false;
}

bool us_step_packs(const us_step *s, uint32_t i)
{
    return s->prepared && us_op_packs(s->op, i);
}

/* --- ranges ------------------------------------------------------------------------------------------- */

typedef struct span {
    uintptr_t from, to;
} span;

typedef struct spans {
    US_VEC(span) v;
} spans;

typedef struct releaser {
    us_ctx *c;
    us_arena *a;
    us_plan *p;
    spans kept;   /* bytes that are still read */
    spans source; /* bytes of the model as read */
} releaser;

static us_err add_span(releaser *r, spans *to, const us_tensor *t)
{
    size_t bytes = us_tensor_bytes(t);
    uintptr_t at = (uintptr_t)t->data;
    if (!t->data || bytes == 0) return US_OK;
    return us_vec_push(r->c, r->a, &to->v, (span){at, at + bytes});
}

static int by_start(const void *pa, const void *pb)
{
    const span *a = pa, *b = pb;
    return (a->from > b->from) - (a->from < b->from);
}

/* Sorted, those that touch as one. */
static void merge(spans *s)
{
    size_t n = 0;
    span *at = s->v.at;
    if (s->v.n == 0) return;
    qsort(at, s->v.n, sizeof *at, by_start);
    for (size_t i = 1; i < s->v.n; i++)
        if (at[i].from <= at[n].to)
            at[n].to = US_MAX(at[n].to, at[i].to);
        else
            at[++n] = at[i];
    s->v.n = n + 1;
}

static bool meets(const spans *s, const void *p, size_t bytes)
{
    uintptr_t from = (uintptr_t)p, to = from + bytes;
    size_t lo = 0, hi = s->v.n; /* the first that ends after `from` */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->v.at[mid].to <= from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->v.n && s->v.at[lo].from < to;
}

/* --- what is still read ---------------------------------------------------------------------------------- */

static us_err keep_attributes(releaser *r, spans *to, const us_graph *g)
{
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        for (uint32_t k = 0; k < n->n_attrs; k++) {
            const us_attr *at = &n->attrs[k];
            bool tensors = at->kind == US_AT_TENSOR || at->kind == US_AT_TENSORS;
            for (size_t j = 0; tensors && j < at->n; j++)
                US_TRY(add_span(r, to, &at->tensors[j]));
        }
    }
    return US_OK;
}

/* Values of gp that something reads but calls by packed weights. */
static us_err mark_read(releaser *r, const us_gplan *gp, bool **out)
{
    bool *read = us_new_n(r->a, bool, gp->n_vals);
    if (!read) return us_arena_fail(r->c, r->a);
    for (size_t i = 0; i < gp->n_steps; i++) {
        const us_step *s = &gp->steps[i];
        for (uint32_t k = 0; k < s->n_in; k++) {
            us_vid v = gp->vids[s->at0 + k];
            if (v != US_NIL && (gp->parent || !us_step_packs(s, k))) read[v] = true;
        }
        for (uint32_t j = 0; j < s->n_sub; j++) {
            const us_graph *sub = gp->subs[s->sub0 + j]->g;
            for (size_t v = 0; v < sub->vals.n; v++)
                if (sub->vals.at[v].storage == US_ST_OUTER && sub->vals.at[v].outer != US_NIL)
                    read[sub->vals.at[v].outer] = true;
        }
    }
    for (size_t i = 0; i < gp->g->outputs.n; i++)
        read[gp->g->outputs.at[i]] = true;
    *out = read;
    return US_OK;
}

static bool *gone_of(releaser *r, const us_gplan *gp)
{
    return gp->parent ? NULL : r->p->gone;
}

static us_err keep_read(releaser *r, const us_gplan *gp)
{
    bool *read = NULL;
    US_TRY(mark_read(r, gp, &read));
    for (size_t v = 0; v < gp->n_vals; v++) {
        const us_value *d = gp->g->vals.at[v].data;
        if (!d) continue;
        if (read[v] && d->kind == US_KIND_TENSOR) US_TRY(add_span(r, &r->kept, &d->t));
        bool *gone = gone_of(r, gp);
        if (gone) gone[v] = !read[v] && d->kind == US_KIND_TENSOR && d->t.dtype != US_STRING;
    }
    return keep_attributes(r, &r->kept, gp->g);
}

static us_err list_source(releaser *r)
{
    const us_model *m = r->p->source;
    for (size_t i = 0; i < m->graphs.n; i++) {
        const us_graph *g = m->graphs.at[i];
        for (size_t v = 0; v < g->vals.n; v++)
            if (g->vals.at[v].data && g->vals.at[v].data->kind == US_KIND_TENSOR)
                US_TRY(add_span(r, &r->source, &g->vals.at[v].data->t));
        US_TRY(keep_attributes(r, &r->source, g));
    }
    return US_OK;
}

/* --- dropping ------------------------------------------------------------------------------------------------ */

/* Weights that passes computed and packing has used up; of the others, those that are no value's own stay in `gone` for nothing. */
static size_t drop_computed(releaser *r)
{
    us_plan *p = r->p;
    size_t sum = 0;
    for (size_t v = 0; v < p->main->n_vals; v++) {
        const us_value *d = p->main->g->vals.at[v].data;
        if (!p->gone[v]) continue;
        size_t bytes = us_tensor_bytes(&d->t);
        p->gone[v] = bytes >= US_STAY_MIN && !meets(&r->kept, d->t.data, bytes) &&
                     !meets(&r->source, d->t.data, bytes);
        if (!p->gone[v]) continue;
        us_pages_drop(d->t.data, bytes);
        p->any_computed_gone = true;
        sum += bytes;
    }
    return sum;
}

/* Weights that were never written down (ir/later.h) stay so where only packing read them. */
static void settle_read(releaser *r)
{
    us_plan *p = r->p;
    for (size_t v = 0; v < p->main->n_vals; v++) {
        const us_value *d = p->main->g->vals.at[v].data;
        us_later *x = p->gone[v] ? us_later_find(p->m, d->t.data) : NULL;
        if (x) x->done = true;
    }
    for (size_t i = 0; i < p->m->later.n; i++)
        us_later_settle(&p->m->later.at[i]);
}

/* Copies lie one behind the other, a line's alignment apart, in memory of their own. */
static bool follows(const us_copy *a, const us_copy *b)
{
    uintptr_t end = (uintptr_t)a->to + a->bytes, next = (uintptr_t)b->to;
    return next >= end && next - end < 64;
}

static us_err drop_copies(releaser *r, size_t *sum)
{
    us_plan *p = r->p;
    const us_model *m = p->source;
    p->gone_copies = us_new_n(p->arena, bool, m->copies.n);
    if (!p->gone_copies) return us_arena_fail(r->c, p->arena);
    for (size_t i = 0; i < m->copies.n; i++) {
        const us_copy *y = &m->copies.at[i];
        p->gone_copies[i] = !meets(&r->kept, y->to, y->bytes);
        if (p->gone_copies[i]) *sum += y->bytes;
    }
    for (size_t i = 0, j; i < m->copies.n; i = j) {
        const us_copy *first = &m->copies.at[i];
        for (j = i + 1; j < m->copies.n && p->gone_copies[i] && p->gone_copies[j]; j++)
            if (!follows(&m->copies.at[j - 1], &m->copies.at[j])) break;
        uintptr_t end = (uintptr_t)m->copies.at[j - 1].to + m->copies.at[j - 1].bytes;
        if (p->gone_copies[i]) us_pages_drop(first->to, end - (uintptr_t)first->to);
    }
    return US_OK;
}

static us_err release(releaser *r)
{
    us_plan *p = r->p;
    p->gone = us_new_n(p->arena, bool, p->main->n_vals);
    if (!p->gone) return us_arena_fail(r->c, p->arena);
    for (size_t i = 0; i < p->n_all; i++)
        US_TRY(keep_read(r, p->all[i]));
    US_TRY(list_source(r));
    merge(&r->kept);
    merge(&r->source);
    size_t sum = 0;
    US_TRY(drop_copies(r, &sum));
    sum += drop_computed(r);
    settle_read(r);
    if (p->source->file) us_file_drop_pages(p->source->file);
    for (size_t i = 0; i < p->source->externals.n; i++)
        us_file_drop_pages(p->source->externals.at[i]);
    atomic_store(&p->released, sum > 0);
    us_trace(r->c, PLAN, 1, "%zu bytes of packed weights given back", sum);
    return US_OK;
}

us_err us_plan_release(us_ctx *c, us_plan *p)
{
    releaser r = {.c = c, .p = p};
    US_TRY(us_arena_new(c, "release", RELEASE_CAP, &r.a));
    us_err e = release(&r);
    us_arena_free(r.a);
    us_heap_trim();
    return e;
}

/* --- and back -------------------------------------------------------------------------------------------------- */

static us_err compute_again(us_ctx *c, us_plan *p)
{
    us_model *m;
    US_TRY(us_model_clone(c, p->source, &m));
    us_err e = us_plan_transform(c, m, &(us_plan_opts){0});
    if (e == US_OK) e = us_model_squeeze(c, m); /* the same numbers as the plan's */
    const us_graph *g = p->main->g;
    for (size_t v = 0; v < g->vals.n && e == US_OK; v++) {
        if (!p->gone[v]) continue;
        const us_value *d = v < m->main->vals.n ? m->main->vals.at[v].data : NULL;
        const us_tensor *to = &g->vals.at[v].data->t;
        if (!d || d->kind != US_KIND_TENSOR || us_tensor_bytes(&d->t) != us_tensor_bytes(to))
            e = us_fail(c, US_BUG, "the passes made another weight the second time");
        else
            memcpy(to->data, d->t.data, us_tensor_bytes(to));
    }
    us_model_free(m);
    return e;
}

static us_err recall(us_ctx *c, us_plan *p)
{
    for (size_t i = 0; i < p->source->copies.n; i++) {
        const us_copy *y = &p->source->copies.at[i];
        if (p->gone_copies[i]) memcpy(y->to, y->from, y->bytes);
    }
    if (p->any_computed_gone) US_TRY(compute_again(c, p));
    us_trace(c, PLAN, 1, "weights are had back: a step runs as it comes");
    atomic_store(&p->released, false);
    return US_OK;
}

us_err us_plan_recall(us_ctx *c, us_plan *p)
{
    if (!atomic_load(&p->released)) return US_OK;
    us_lock_take(&p->lock);
    us_err e = atomic_load(&p->released) ? recall(c, p) : US_OK;
    us_lock_give(&p->lock);
    return e;
}
