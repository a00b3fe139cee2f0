/* data/profile.c - statistics of a table, one row per column. leak.c has the search for leaks. */
#include "data/profile.h"

#include <math.h>
#include <string.h>

#include "data/cell.h"
#include "data/jsonout.h"
#include "stats/distinct.h"
#include "stats/moments.h"
#include "stats/quantile.h"

#define MAX_COUNTED                                                                            \
    ((size_t)100000) /* different texts of one column counted exactly for `top` */

typedef struct profiler {
    us_ctx *c;
    us_arena *a;
    us_arena *scratch;
    double *x, *tmp; /* n_rows each */
} profiler;

static us_err numbers(profiler *p, const us_column *col, us_profile_col *k)
{
    us_moments m;
    US_TRY(us_col_to_f64(p->c, col, NULL, col->n, p->x));
    us_moments_init(&m);
    us_moments_add_f64(&m, p->x, col->n);
    us_sort_f64(p->x, p->tmp, col->n); /* missing ones go last */
    size_t n = (size_t)m.n;
    k->n_missing = m.n_missing;
    k->n_distinct = (double)us_distinct_sorted(p->x, n);
    k->distinct_exact = true;
    if (n == 0) return US_OK;
    k->mean = m.mean;
    k->std = us_moments_std(&m);
    k->min = m.min;
    k->max = m.max;
    k->q25 = us_quantile_sorted(p->x, n, 0.25);
    k->median = us_quantile_sorted(p->x, n, 0.5);
    k->q75 = us_quantile_sorted(p->x, n, 0.75);
    return US_OK;
}

static us_err texts(profiler *p, const us_column *col, us_profile_col *k)
{
    us_map seen;
    us_distinct d;
    US_VEC(uint64_t) counts = {0};
    us_sv lo = {0}, hi = {0};
    us_map_init(&seen, p->scratch);
    US_TRY(us_distinct_init(p->c, p->scratch, &d));
    for (size_t i = 0; i < col->n; i++) {
        if (!us_col_valid(col, i)) {
            k->n_missing++;
            continue;
        }
        us_sv s = us_col_str(col, i);
        if (!lo.p || s.n < lo.n) lo = s;
        if (!hi.p || s.n > hi.n) hi = s;
        uint32_t at = us_map_get(&seen, s);
        if (at != US_MAP_NONE) {
            counts.at[at]++;
            continue;
        }
        us_distinct_add(&d, us_hash64(s.p, s.n, 0));
        if (counts.n == MAX_COUNTED) continue;
        US_TRY(us_map_put(p->c, &seen, s, (uint32_t)counts.n, NULL));
        US_TRY(us_vec_push(p->c, p->scratch, &counts, 1));
    }
    us_sv top = {0};
    for (size_t i = 0; i < counts.n; i++) {
        us_sv s = seen.items.at[i].key;
        bool more = counts.at[i] > k->top_count;
        if (more || (counts.at[i] == k->top_count && us_sv_cmp(s, top) < 0)) {
            top = s;
            k->top_count = counts.at[i];
        }
    }
    k->distinct_exact = counts.n < MAX_COUNTED;
    k->n_distinct = k->distinct_exact ? (double)counts.n : us_distinct_count(&d, NULL);
    US_TRY(us_sv_dup(p->c, p->a, top, &k->top));
    US_TRY(us_sv_dup(p->c, p->a, lo, &k->shortest));
    return us_sv_dup(p->c, p->a, hi, &k->longest);
}

static us_err profile_column(profiler *p, const us_column *col, us_profile_col *k)
{
    double none = (double)NAN;
    *k = (us_profile_col){.type = col->type,
                          .n = col->n,
                          .mean = none,
                          .std = none,
                          .min = none,
                          .q25 = none,
                          .median = none,
                          .q75 = none,
                          .max = none};
    US_TRY(us_sv_dup(p->c, p->a, col->name, &k->name));
    us_mark mark = us_arena_mark(p->scratch);
    us_err e = col->type == US_COL_STR ? texts(p, col, k) : numbers(p, col, k);
    us_arena_reset(p->scratch, mark);
    return e;
}

us_err us_profile_make(us_ctx *c, us_arena *a, const us_table *t, us_profile *out)
{
    us_profile r = {.n_rows = t->n_rows, .n_cols = t->n_cols};
    profiler p = {.c = c, .a = a};
    us_err e = US_OK;
    r.cols = us_new_n(a, us_profile_col, t->n_cols);
    if (!r.cols) return us_arena_fail(c, a);
    US_TRY(us_arena_new(c, "profile", US_TABLE_CAP, &p.scratch));
    p.x = us_new_n(p.scratch, double, t->n_rows);
    p.tmp = us_new_n(p.scratch, double, t->n_rows);
    if (!p.x || !p.tmp) {
        e = us_arena_fail(c, p.scratch);
        goto out;
    }
    for (size_t i = 0; i < t->n_cols; i++)
        US_GO(profile_column(&p, &t->cols[i], &r.cols[i]));
    *out = r;
out:
    us_arena_free(p.scratch);
    return e;
}

/* --- telling it ------------------------------------------------------------------------------------------- */

const char *const us_profile_heads[US_PROFILE_N_HEADS] = {
    "column", "type", "missing", "distinct", "mean", "std",
    "min",    "q25",  "median",  "q75",      "max"};

/* Six digits are plenty to read. */
static us_err number_cell(us_ctx *c, us_arena *a, const us_profile_col *k, double v, us_sv *out)
{
    char time[40];
    const char *z = "";
    if (isnan(v)) {
        *out = us_sv_of(z);
        return US_OK;
    }
    if (k->type == US_COL_TIME)
        z = us_str_dup(a, us_sv_of(us_print_time_iso((int64_t)v, time)));
    else
        z = us_str_printf(a, "%.6g", v);
    if (!z) return us_arena_fail(c, a);
    *out = us_sv_of(z);
    return US_OK;
}

us_err us_profile_cells(us_ctx *c, us_arena *a, const us_profile_col *k,
                        us_sv out[US_PROFILE_N_HEADS])
{
    const double v[] = {k->mean, k->std, k->min, k->q25, k->median, k->q75, k->max};
    double share = k->n ? 100.0 * (double)k->n_missing / (double)k->n : 0;
    char *missing =
        k->n_missing ? us_str_printf(a, "%.1f %%", share) : us_str_dup(a, US_SV("0"));
    char *distinct = us_str_printf(a, "%s%.0f", k->distinct_exact ? "" : "~", k->n_distinct);
    if (!missing || !distinct) return us_arena_fail(c, a);
    out[0] = k->name;
    out[1] = us_sv_of(us_coltype_name(k->type));
    out[2] = us_sv_of(missing);
    out[3] = us_sv_of(distinct);
    for (size_t i = 0; i < US_LEN(v); i++)
        US_TRY(number_cell(c, a, k, v[i], &out[4 + i]));
    if (k->type == US_COL_TIME) out[5] = (us_sv){0}; /* a deviation is no date */
    if (k->type == US_COL_STR && k->top_count) {
        us_sv cut = {k->top.p, US_MIN(k->top.n, (size_t)24)};
        char *top = us_str_printf(a, "top '" US_SV_FMT "' %llu times", US_SV_ARG(cut),
                                  (unsigned long long)k->top_count);
        if (!top) return us_arena_fail(c, a);
        out[4] = us_sv_of(top);
    }
    return US_OK;
}

us_err us_profile_to_json(us_ctx *c, us_arena *a, const us_profile *p, json_t **out)
{
    us_jout o = {0};
    json_t *j = us_jo_object(&o), *cols = us_jo_array(&o);
    for (size_t i = 0; i < p->n_cols; i++) {
        const us_profile_col *k = &p->cols[i];
        json_t *r = us_jo_object(&o);
        us_jo_set(&o, r, "name", us_jo_sv(&o, k->name));
        us_jo_set(&o, r, "type", us_jo_z(&o, us_coltype_name(k->type)));
        us_jo_set(&o, r, "n", us_jo_int(&o, k->n));
        us_jo_set(&o, r, "n_missing", us_jo_int(&o, k->n_missing));
        us_jo_set(&o, r, "n_distinct", us_jo_num(&o, k->n_distinct));
        us_jo_set(&o, r, "distinct_exact", us_jo_bool(&o, k->distinct_exact));
        us_jo_set(&o, r, "mean", us_jo_num(&o, k->mean));
        us_jo_set(&o, r, "std", us_jo_num(&o, k->std));
        us_jo_set(&o, r, "min", us_jo_num(&o, k->min));
        us_jo_set(&o, r, "q25", us_jo_num(&o, k->q25));
        us_jo_set(&o, r, "median", us_jo_num(&o, k->median));
        us_jo_set(&o, r, "q75", us_jo_num(&o, k->q75));
        us_jo_set(&o, r, "max", us_jo_num(&o, k->max));
        if (k->type == US_COL_STR) {
            us_jo_set(&o, r, "top", us_jo_sv(&o, k->top));
            us_jo_set(&o, r, "top_count", us_jo_int(&o, k->top_count));
        }
        us_jo_push(&o, cols, r);
    }
    us_jo_set(&o, j, "n_rows", us_jo_int(&o, p->n_rows));
    us_jo_set(&o, j, "columns", cols);
    US_TRY(us_json_keep(c, a, j));
    if (o.failed) return us_nomem(c);
    *out = j;
    return US_OK;
}
