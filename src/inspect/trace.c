/* inspect/trace.c - watches a session and keeps figures per value; compares with a reference as values are made.
 *
 * Nothing is kept of the values themselves, so tracing costs the memory of a run. Numbers go through double in blocks.
 */
#include "inspect/trace.h"

#include <math.h>

#include "base/ctx.h"
#include "ir/op.h"

#define TRACE_CAP ((size_t)1 << 30)
#define BLOCK     512 /* numbers converted at a time */

struct us_trace {
    us_arena *arena;
    us_trace_opts o;
    const us_model *m; /* as it was read */
    us_plan *plan;
    us_session *session;
    us_value *out;
    US_VEC(us_trace_row) rows;
    uint32_t **at; /* per graph of the plan's model: row + 1 of each value, 0 = none yet */
    size_t n_graphs;
    uint32_t first_bad, first_diff; /* row + 1 */
};

/* --- figures ---------------------------------------------------------------------------------------------- */

/* Numbers of a tensor in row-major order, a block at a time. */
static size_t next_block(const us_tensor *t, int64_t at, int64_t n, double *x)
{
    size_t k = (size_t)US_MIN(n - at, BLOCK);
    if (us_tensor_contiguous(t)) {
        const us_dtype_info *d = us_dtype_get(t->dtype);
        bool packed = d->bits < 8;
        const char *p = t->data;
        d->to_f64(packed ? p : p + (size_t)at * d->bits / 8, packed ? (size_t)at : 0, k, x);
        return k;
    }
    for (size_t i = 0; i < k; i++)
        x[i] = us_tensor_f64_at(t, at + (int64_t)i);
    return k;
}

static bool has_numbers(const us_tensor *t)
{
    return us_dtype_get(t->dtype)->to_f64 != NULL;
}

static void measure(us_trace_row *r, const us_tensor *t)
{
    double x[BLOCK], sum = 0;
    int64_t n = us_tensor_count(t);
    uint64_t finite = r->n_numbers - r->n_nan - r->n_inf, more = 0;
    if (!has_numbers(t)) return;
    for (int64_t at = 0; at < n;) {
        size_t k = next_block(t, at, n, x);
        for (size_t i = 0; i < k; i++) {
            if (isnan(x[i])) {
                r->n_nan++;
            } else if (isinf(x[i])) {
                r->n_inf++;
            } else {
                if (!(x[i] >= r->min)) r->min = x[i]; /* NaN at first */
                if (!(x[i] <= r->max)) r->max = x[i];
                sum += x[i];
                more++;
            }
        }
        at += (int64_t)k;
    }
    r->n_numbers += (uint64_t)n;
    if (more == 0) return;
    double before = finite ? r->mean * (double)finite : 0;
    r->mean = (before + sum) / (double)(finite + more);
}

static void measure_value(us_trace_row *r, const us_value *v, int depth)
{
    if (v->kind == US_KIND_TENSOR) measure(r, &v->t);
    for (size_t i = 0; i < v->n_items && depth < US_MAX_VALUE_DEPTH; i++)
        measure_value(r, &v->items[i], depth + 1);
}

/* --- comparison --------------------------------------------------------------------------------------------- */

typedef struct sums {
    double largest, total, top, aa, bb, ab;
    uint64_t n;
    bool lost; /* a number against NaN, or infinities that are not the same */
} sums;

static void add_pair(sums *s, double a, double b)
{
    bool same = a == b || (isnan(a) && isnan(b));
    if (isfinite(b) && fabs(b) > s->top) s->top = fabs(b);
    s->n++;
    if (!isfinite(a) || !isfinite(b)) {
        s->lost = s->lost || !same;
        return;
    }
    double d = fabs(a - b);
    if (d > s->largest) s->largest = d;
    s->total += d;
    s->aa += a * a;
    s->bb += b * b;
    s->ab += a * b;
}

static void compare_numbers(us_trace_row *r, const us_tensor *a, const us_tensor *b, double tol)
{
    double x[BLOCK], y[BLOCK];
    sums s = {0};
    int64_t n = us_tensor_count(a);
    for (int64_t at = 0; at < n;) {
        size_t k = next_block(a, at, n, x);
        (void)next_block(b, at, n, y);
        for (size_t i = 0; i < k; i++)
            add_pair(&s, x[i], y[i]);
        at += (int64_t)k;
    }
    r->largest = s.largest;
    r->average = s.n ? s.total / (double)s.n : 0;
    r->relative = s.largest > 0 ? s.largest / (s.top > 0 ? s.top : 1) : 0;
    r->cosine = s.aa > 0 && s.bb > 0 ? s.ab / (sqrt(s.aa) * sqrt(s.bb)) : (double)NAN;
    if (s.aa == 0 && s.bb == 0) r->cosine = 1;
    r->match = s.lost || r->relative > tol ? US_TRACE_DIFFERS : US_TRACE_SAME;
    if (s.lost) r->largest = r->relative = (double)INFINITY;
}

/* Floats of any width may be compared, and bits that a .npy file could only hold as integers. */
static bool comparable(const us_tensor *a, us_tensor *b)
{
    const us_dtype_info *x = us_dtype_get(a->dtype), *y = us_dtype_get(b->dtype);
    if (x->cls == US_DC_FLOAT && y->cls == US_DC_UINT && x->bits == y->bits)
        b->dtype = a->dtype;
    else if (a->dtype != b->dtype && (x->cls != US_DC_FLOAT || y->cls != US_DC_FLOAT))
        return false;
    return has_numbers(a);
}

static us_err compare(us_ctx *c, us_trace *t, us_trace_row *r, const us_value *a,
                      const us_value *b)
{
    us_tensor other = b->t;
    bool tensors = a->kind == US_KIND_TENSOR && b->kind == US_KIND_TENSOR;
    r->largest = r->average = r->relative = r->cosine = (double)NAN;
    if (a->kind != b->kind) {
        r->match = US_TRACE_TYPE;
    } else if (tensors && !us_tensor_same_dims(&a->t, &b->t)) {
        r->match = US_TRACE_SHAPE;
    } else if (tensors && comparable(&a->t, &other)) {
        compare_numbers(r, &a->t, &other, t->o.tolerance);
    } else if (tensors && a->t.dtype != b->t.dtype) {
        r->match = US_TRACE_TYPE;
    } else {
        us_err e = us_value_compare(c, a, b, t->o.tolerance, t->o.tolerance);
        if (e != US_OK && e != US_NO) return e;
        r->match = e == US_OK ? US_TRACE_SAME : US_TRACE_DIFFERS;
    }
    return US_OK;
}

static us_err look_up(us_ctx *c, us_trace *t, uint32_t row, const us_value *v)
{
    us_value b;
    bool found = false;
    us_trace_row *r = &t->rows.at[row];
    US_TRY(t->o.reference(t->o.arg, c, r->name, v, &b, &found));
    if (!found) return US_OK;
    US_TRY(compare(c, t, r, v, &b));
    if (r->match != US_TRACE_SAME && !t->first_diff) t->first_diff = row + 1;
    return US_OK;
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

/* The node that makes the value in the file; n, the plan's, may be an upgraded form of it. */
static void name_row(const us_trace *t, const us_graph *g, const us_node *n, us_vid v,
                     us_trace_row *r)
{
    const us_graph *was = g->index < t->m->graphs.n ? t->m->graphs.at[g->index] : NULL;
    r->name = g->vals.at[v].name;
    r->graph = g->parent ? g->name : (us_sv){0};
    r->made = !was || v >= was->vals.n || !us_sv_eq(was->vals.at[v].name, r->name);
    if (!r->made && was->vals.at[v].def != US_NIL) n = &was->nodes.at[was->vals.at[v].def];
    r->op = n->op_type;
    r->node = n->name;
}

static us_err row_of(us_ctx *c, us_trace *t, const us_graph *g, const us_node *n, us_vid v,
                     uint32_t *out)
{
    if (g->index >= t->n_graphs || v >= g->vals.n)
        return us_fail(c, US_BUG, "a value of a graph that was not planned");
    if (!t->at[g->index]) {
        t->at[g->index] = us_new_n(t->arena, uint32_t, g->vals.n);
        if (!t->at[g->index]) return us_arena_fail(c, t->arena);
    }
    uint32_t *at = &t->at[g->index][v];
    if (*at == 0) {
        us_trace_row r = {.min = (double)NAN, .max = (double)NAN, .mean = (double)NAN};
        if (t->rows.n >= US_TRACE_MAX_ROWS)
            return us_fail(c, US_LIMIT, "more than %zu values", US_TRACE_MAX_ROWS);
        name_row(t, g, n, v, &r);
        US_TRY(us_vec_push(c, t->arena, &t->rows, r));
        *at = (uint32_t)t->rows.n;
    }
    *out = *at - 1;
    return US_OK;
}

static us_err watch(void *arg, us_ctx *c, const us_graph *g, const us_node *n, us_vid v,
                    const us_value *value)
{
    us_trace *t = arg;
    uint32_t row;
    US_TRY(row_of(c, t, g, n, v, &row));
    us_trace_row *r = &t->rows.at[row];
    r->kind = value->kind;
    r->dtype = value->t.dtype;
    r->rank = value->kind == US_KIND_TENSOR ? value->t.rank : -1;
    for (int32_t d = 0; d < r->rank; d++)
        r->dims[d] = value->t.dims[d];
    r->n_items = value->n_items;
    r->n_runs++;
    measure_value(r, value, 0);
    if ((r->n_nan || r->n_inf) && !t->first_bad) t->first_bad = row + 1;
    if (g->parent) return US_OK;
    if (t->o.see) US_TRY(t->o.see(t->o.arg, c, r->name, value));
    return t->o.reference ? look_up(c, t, row, value) : US_OK;
}

/* --- the trace -------------------------------------------------------------------------------------------------- */

static us_err open_session(us_ctx *c, us_trace *t)
{
    us_model *copy;
    us_plan_opts po = {.no_passes = true};
    us_session_opts so = {
        .seed = t->o.seed, .images = t->o.images, .watch = watch, .watch_arg = t};
    US_TRY(us_model_clone(c, t->m, &copy));
    us_err e = us_plan_new(c, copy, &po, &t->plan);
    if (e != US_OK) {
        us_model_free(copy);
        return e;
    }
    t->n_graphs = copy->graphs.n;
    t->at = us_new_n(t->arena, uint32_t *, t->n_graphs);
    t->out = us_new_n(t->arena, us_value, us_plan_n_outputs(t->plan));
    if (!t->at || !t->out) return us_arena_fail(c, t->arena);
    return us_session_new(c, t->plan, &so, &t->session);
}

us_err us_trace_new(us_ctx *c, const us_model *m, const us_trace_opts *opts, us_trace **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "trace", TRACE_CAP, &a));
    us_trace *t = us_new(a, us_trace);
    if (!t) {
        us_err e = us_arena_fail(c, a);
        us_arena_free(a);
        return e;
    }
    *t = (us_trace){.arena = a, .m = m};
    if (opts) t->o = *opts;
    if (!(t->o.tolerance > 0)) t->o.tolerance = US_TRACE_TOLERANCE;
    us_err e = open_session(c, t);
    if (e != US_OK) {
        us_trace_free(t);
        return e;
    }
    *out = t;
    return US_OK;
}

void us_trace_free(us_trace *t)
{
    if (!t) return;
    us_session_free(t->session);
    us_plan_free(t->plan);
    us_arena_free(t->arena);
}

const us_plan *us_trace_plan(const us_trace *t)
{
    return t->plan;
}

us_err us_trace_run(us_ctx *c, us_trace *t, const us_value *in)
{
    return us_session_run(c, t->session, in, t->out);
}

size_t us_trace_rows(const us_trace *t, const us_trace_row **rows)
{
    *rows = t->rows.at;
    return t->rows.n;
}

const us_trace_row *us_trace_first_bad(const us_trace *t)
{
    return t->first_bad ? &t->rows.at[t->first_bad - 1] : NULL;
}

const us_trace_row *us_trace_first_diff(const us_trace *t)
{
    return t->first_diff ? &t->rows.at[t->first_diff - 1] : NULL;
}
