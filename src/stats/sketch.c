/* stats/sketch.c - see sketch.h. */
#include "stats/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/quantile.h"

/* ORDER us_sketch_kind */
static const char *const kind_names[] = {"numeric", "categorical", "text", "timestamp",
                                         "boolean"};

const char *us_sketch_kind_name(us_sketch_kind k)
{
    return (size_t)k < US_LEN(kind_names) ? kind_names[k] : "invalid";
}

bool us_sketch_kind_find(us_sv name, us_sketch_kind *out)
{
    for (size_t i = 0; i < US_LEN(kind_names); i++)
        if (us_sv_is(name, kind_names[i])) {
            *out = (us_sketch_kind)i;
            return true;
        }
    return false;
}

/* Bin of x: the first edge that is not below it. */
static size_t bin_of(const us_sketch *s, double x)
{
    size_t lo = 0, hi = s->n_edges;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->edges[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void us_sketch_add_missing(us_sketch *s, uint64_t n)
{
    s->n += n;
    s->n_missing += n;
    us_moments_missing(&s->moments, n);
}

void us_sketch_add_number(us_sketch *s, double x)
{
    if (!isfinite(x)) {
        us_sketch_add_missing(s, 1);
        return;
    }
    s->n++;
    us_moments_add(&s->moments, x);
    s->counts[bin_of(s, x)]++;
}

void us_sketch_add_string(us_sketch *s, us_sv x)
{
    if (x.n == 0) {
        us_sketch_add_missing(s, 1);
    } else if (s->kind == US_SK_TEXT) {
        us_sketch_add_number(s, (double)x.n);
    } else {
        uint32_t i = us_map_get(&s->cat_index, x);
        s->n++;
        if (i == US_MAP_NONE)
            s->n_other++;
        else
            s->cat_counts[i]++;
    }
}

void us_sketch_clear(us_sketch *s)
{
    s->n = s->n_missing = s->n_other = 0;
    us_moments_init(&s->moments);
    if (s->kind != US_SK_CATEGORICAL)
        memset(s->counts, 0, (s->n_edges + 1) * sizeof *s->counts);
    if (s->n_cats) memset(s->cat_counts, 0, s->n_cats * sizeof *s->cat_counts);
}

us_err us_sketch_index(us_ctx *c, us_arena *a, us_sketch *s)
{
    us_map_init(&s->cat_index, a);
    for (size_t i = 0; i < s->n_cats; i++) {
        uint32_t was = US_MAP_NONE;
        US_TRY(us_map_put(c, &s->cat_index, s->cats[i], (uint32_t)i, &was));
        if (was != US_MAP_NONE)
            return us_fail(c, US_FORMAT,
                           "sketch of '" US_SV_FMT "' lists '" US_SV_FMT "' twice",
                           US_SV_ARG(s->name), US_SV_ARG(s->cats[i]));
    }
    return US_OK;
}

/* --- references ------------------------------------------------------------------------------------------ */

/* Quantiles of the sorted values, equal ones merged, the largest value left out (the last bin is open), so few different
 * values give one bin each. */
static us_err choose_edges(us_ctx *c, us_arena *a, const double *x, size_t n, size_t n_bins,
                           us_sketch *s)
{
    s->edges = us_new_n(a, double, US_MAX(n_bins, 2));
    if (!s->edges) return us_arena_fail(c, a);
    size_t n_values = us_distinct_sorted(x, n);
    if (n_values <= n_bins) {
        for (size_t i = 0; i + 1 < n; i++)
            if (x[i] != x[i + 1]) s->edges[s->n_edges++] = x[i];
        return US_OK;
    }
    for (size_t i = 1; i < n_bins; i++) {
        double e = x[US_MIN(n - 1, n * i / n_bins)];
        if (e < x[n - 1] && (s->n_edges == 0 || e > s->edges[s->n_edges - 1]))
            s->edges[s->n_edges++] = e;
    }
    return US_OK;
}

/* About 20 values a bin at least, so that few rows do not give bins of nothing. */
static size_t bins_for(size_t n, size_t asked)
{
    size_t b = asked ? US_MIN(asked, (size_t)US_SKETCH_MAX_BINS) : US_SKETCH_BINS;
    return US_MAX(US_MIN(b, n / 20), 2);
}

us_err us_sketch_of_numbers(us_ctx *c, us_arena *a, us_sv name, us_sketch_kind kind,
                            const double *x, size_t n, size_t n_bins, us_sketch *out)
{
    us_sketch s = {.kind = kind, .n = n};
    us_arena *tmp = NULL;
    us_err e = US_OK;
    size_t m;
    US_TRY(us_arena_new(c, "sketch", (size_t)1 << 37, &tmp));
    double *y = us_new_n(tmp, double, n), *work = us_new_n(tmp, double, n);
    if (!y || !work) {
        e = us_arena_fail(c, tmp);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        y[i] = isfinite(x[i]) ? x[i] : (double)NAN;
    us_moments_init(&s.moments);
    us_moments_add_f64(&s.moments, y, n);
    s.n_missing = s.moments.n_missing;
    us_sort_f64(y, work, n);
    m = (size_t)s.moments.n;
    US_GO(us_sv_dup(c, a, name, &s.name));
    US_GO(choose_edges(c, a, y, m, bins_for(m, n_bins), &s));
    s.counts = us_new_n(a, uint64_t, s.n_edges + 1);
    if (!s.counts) {
        e = us_arena_fail(c, a);
        goto out;
    }
    for (size_t i = 0; i < m; i++)
        s.counts[bin_of(&s, y[i])]++;
    us_map_init(&s.cat_index, a);
    *out = s;
out:
    us_arena_free(tmp);
    return e;
}

typedef struct category {
    us_sv text;
    uint64_t n;
} category;

static int by_count(const void *a, const void *b)
{
    const category *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return us_sv_cmp(x->text, y->text);
}

static us_err keep_categories(us_ctx *c, us_arena *a, const category *v, size_t n, us_sketch *s)
{
    s->n_cats = US_MIN(n, (size_t)US_SKETCH_CATS);
    s->cats = us_new_n(a, us_sv, s->n_cats);
    s->cat_counts = us_new_n(a, uint64_t, s->n_cats);
    if (!s->cats || !s->cat_counts) return us_arena_fail(c, a);
    for (size_t i = 0; i < n; i++) {
        if (i >= s->n_cats) {
            s->n_other += v[i].n;
            continue;
        }
        US_TRY(us_sv_dup(c, a, v[i].text, &s->cats[i]));
        s->cat_counts[i] = v[i].n;
    }
    return us_sketch_index(c, a, s);
}

static us_err of_categories(us_ctx *c, us_arena *a, us_arena *tmp, const us_sv *x, size_t n,
                            us_sketch *s)
{
    US_VEC(category) v = {0};
    us_map seen;
    us_map_init(&seen, tmp);
    us_moments_init(&s->moments);
    for (size_t i = 0; i < n; i++) {
        uint32_t at = x[i].n ? us_map_get(&seen, x[i]) : US_MAP_NONE;
        s->n++;
        s->n_missing += x[i].n == 0;
        if (x[i].n == 0) continue;
        if (at == US_MAP_NONE) {
            US_TRY(us_map_put(c, &seen, x[i], (uint32_t)v.n, NULL));
            US_TRY(us_vec_push(c, tmp, &v, (category){x[i], 1}));
        } else {
            v.at[at].n++;
        }
    }
    if (v.n) qsort(v.at, v.n, sizeof *v.at, by_count);
    return keep_categories(c, a, v.at, v.n, s);
}

us_err us_sketch_of_strings(us_ctx *c, us_arena *a, us_sv name, us_sketch_kind kind,
                            const us_sv *x, size_t n, us_sketch *out)
{
    us_sketch s = {.kind = kind};
    us_arena *tmp = NULL;
    us_err e = US_OK;
    US_TRY(us_arena_new(c, "sketch", (size_t)1 << 37, &tmp));
    if (kind == US_SK_CATEGORICAL) {
        US_GO(us_sv_dup(c, a, name, &s.name));
        US_GO(of_categories(c, a, tmp, x, n, &s));
    } else {
        double *len = us_new_n(tmp, double, n);
        if (!len) {
            e = us_arena_fail(c, tmp);
            goto out;
        }
        for (size_t i = 0; i < n; i++)
            len[i] = x[i].n ? (double)x[i].n : (double)NAN;
        US_GO(us_sketch_of_numbers(c, a, name, kind, len, n, 0, &s));
    }
    *out = s;
out:
    us_arena_free(tmp);
    return e;
}

us_err us_sketch_like(us_ctx *c, us_arena *a, const us_sketch *ref, us_sketch *out)
{
    us_sketch s = {.kind = ref->kind, .n_edges = ref->n_edges, .n_cats = ref->n_cats};
    US_TRY(us_sv_dup(c, a, ref->name, &s.name));
    s.edges = us_new_n(a, double, s.n_edges);
    s.counts = us_new_n(a, uint64_t, s.n_edges + 1);
    s.cats = us_new_n(a, us_sv, s.n_cats);
    s.cat_counts = us_new_n(a, uint64_t, s.n_cats);
    if (!s.edges || !s.counts || !s.cats || !s.cat_counts) return us_arena_fail(c, a);
    if (s.n_edges) memcpy(s.edges, ref->edges, s.n_edges * sizeof *s.edges);
    for (size_t i = 0; i < s.n_cats; i++)
        US_TRY(us_sv_dup(c, a, ref->cats[i], &s.cats[i]));
    us_moments_init(&s.moments);
    US_TRY(us_sketch_index(c, a, &s));
    *out = s;
    return US_OK;
}

static bool alike(const us_sketch *a, const us_sketch *b)
{
    bool same = a->kind == b->kind && a->n_edges == b->n_edges && a->n_cats == b->n_cats;
    for (size_t i = 0; same && i < a->n_edges; i++)
        same = a->edges[i] == b->edges[i];
    for (size_t i = 0; same && i < a->n_cats; i++)
        same = us_sv_eq(a->cats[i], b->cats[i]);
    return same;
}

us_err us_sketch_merge(us_ctx *c, us_sketch *s, const us_sketch *o)
{
    if (!alike(s, o))
        return us_fail(c, US_SHAPE,
                       "sketches of '" US_SV_FMT "' and '" US_SV_FMT
                       "' have different bins or categories",
                       US_SV_ARG(s->name), US_SV_ARG(o->name));
    s->n += o->n;
    s->n_missing += o->n_missing;
    s->n_other += o->n_other;
    us_moments_merge(&s->moments, &o->moments);
    for (size_t i = 0; s->kind != US_SK_CATEGORICAL && i <= s->n_edges; i++)
        s->counts[i] += o->counts[i];
    for (size_t i = 0; i < s->n_cats; i++)
        s->cat_counts[i] += o->cat_counts[i];
    return US_OK;
}
