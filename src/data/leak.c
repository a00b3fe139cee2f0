/* data/leak.c - columns that give the target away.
 *
 * One column: an affine relation (R2), or a grouping by its values in which the target never varies. Several: orthogonal matching
 * pursuit (Pati, Rezaiifar, Krishnaprasad 1993) on the correlation matrix picks number columns until the residual is nothing,
 * then every column that is not needed is taken out again; what is left is fitted and checked on all rows. Found columns are
 * set aside and the search repeats, so a second sum is found too. The matrix is built from at most SAMPLE rows.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/cell.h"
#include "data/decode.h"
#include "data/profile.h"
#include "stats/quantile.h"

#define SAMPLE      20000
#define MAX_COLS    200 /* number columns that enter the search for sums */
#define MAX_SUM     8   /* columns of one sum */
#define MIN_ROWS    30  /* fewer: anything fits */
#define R2_ONE      0.9999
#define R2_SUM      (1 - 1e-7)
#define MAX_MISSING 0.2

typedef struct finder {
    us_ctx *c;
    us_arena *a, *scratch;
    const us_data_schema *s;
    const us_table *t;
    const uint32_t *rows;
    size_t n;
    us_sv target;
    us_task task;
    double *y;    /* VALUE */
    int32_t *cls; /* CLASSES */
    size_t k;
    us_leaks *out;
} finder;

/* --- telling it ------------------------------------------------------------------------------------------- */

static us_err found(finder *f, us_leak_kind kind, const us_sv *cols, const double *coef,
                    size_t n, double intercept, const char *what)
{
    us_leak l = {.kind = kind, .n_cols = n, .intercept = intercept};
    l.cols = us_new_n(f->a, us_sv, n);
    l.coef = us_new_n(f->a, double, n);
    if (!l.cols || !l.coef) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < n; i++) {
        US_TRY(us_sv_dup(f->c, f->a, cols[i], &l.cols[i]));
        l.coef[i] = coef ? coef[i] : 0;
    }
    US_TRY(us_sv_dup(f->c, f->a, us_sv_of(what), &l.text));
    return us_vec_push(f->c, f->a, &f->out->v, l);
}

static us_err found_linear(finder *f, us_leak_kind kind, const us_sv *cols, const double *coef,
                           size_t n, double intercept, double r2)
{
    us_buf b;
    us_buf_init(&b, f->c, 65536);
    us_buf_addf(&b, "the target leaks: " US_SV_FMT " = ", US_SV_ARG(f->target));
    for (size_t i = 0; i < n; i++) {
        us_buf_adds(&b, i ? coef[i] < 0 ? " - " : " + " : coef[i] < 0 ? "-" : "");
        if (fabs(fabs(coef[i]) - 1) > 1e-6) us_buf_addf(&b, "%.6g * ", fabs(coef[i]));
        us_buf_addsv(&b, cols[i]);
    }
    if (fabs(intercept) > 1e-6 * (1 + fabs(f->y[0])))
        us_buf_addf(&b, " %c %.6g", intercept < 0 ? '-' : '+', fabs(intercept));
    us_buf_addf(&b, " (R2 %.6f); exclude %s unless known before the target is", r2,
                n > 1 ? "these columns" : "this column");
    us_err e = us_buf_check(&b);
    if (e == US_OK) e = found(f, kind, cols, coef, n, intercept, b.p);
    us_buf_deinit(&b);
    return e;
}

static us_err found_single(finder *f, us_leak_kind kind, us_sv col, const char *how)
{
    us_buf b;
    us_buf_init(&b, f->c, 65536);
    us_buf_addf(&b,
                "the target leaks: " US_SV_FMT " alone %s " US_SV_FMT
                "; exclude it unless it is known before the target is",
                US_SV_ARG(col), how, US_SV_ARG(f->target));
    us_err e = us_buf_check(&b);
    if (e == US_OK) e = found(f, kind, &col, NULL, 1, 0, b.p);
    us_buf_deinit(&b);
    return e;
}

/* --- one column -------------------------------------------------------------------------------------------- */

static us_err column_numbers(finder *f, const us_data_col *k, double *x)
{
    const us_column *col;
    US_TRY(us_table_get(f->c, f->t, k->name, &col));
    for (size_t j = 0; j < f->n; j++)
        if (!us_cell_column_number(f->s, k, col, f->rows ? f->rows[j] : j, &x[j]))
            x[j] = (double)NAN;
    return US_OK;
}

/* y = slope * x + offset over rows where both are there; R2, NaN when one of them does not vary. */
static double affine(const double *x, const double *y, size_t n, double *slope, double *offset)
{
    double k = 0, mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) continue;
        k++;
        mx += x[i];
        my += y[i];
    }
    mx /= k;
    my /= k;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) continue;
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
        yy += (y[i] - my) * (y[i] - my);
    }
    if (!(k >= MIN_ROWS) || !(xx > 0) || !(yy > 0)) return (double)NAN;
    *slope = xy / xx;
    *offset = my - *slope * mx;
    return xy * xy / (xx * yy);
}

/* Sorted by x, every class is one unbroken stretch of its own values. */
static bool separates(finder *f, const double *x, uint32_t *order, uint64_t *key, uint64_t *tmp,
                      uint32_t *tmp_index)
{
    size_t n = 0, changes = 0, seen = 0;
    us_sort_index_f64(x, order, f->n, key, tmp, tmp_index);
    while (n < f->n && !isnan(x[order[n]]))
        n++;
    if (n < MIN_ROWS || (double)n < (1 - MAX_MISSING) * (double)f->n) return false;
    for (size_t i = 1; i < n; i++) {
        if (f->cls[order[i]] == f->cls[order[i - 1]]) continue;
        if (x[order[i]] == x[order[i - 1]]) return false;
        changes++;
    }
    bool *is = us_new_n(f->scratch, bool, f->k);
    for (size_t i = 0; is && i < n; i++)
        if (f->cls[order[i]] >= 0 && !is[f->cls[order[i]]]) {
            is[f->cls[order[i]]] = true;
            seen++;
        }
    return seen > 1 && changes == seen - 1;
}

/* Rows grouped by text (or by number printed): does the target never vary within a group of a few? */
static us_err maps_to_target(finder *f, const us_data_col *k, bool *out, bool *one_to_one)
{
    const us_column *col;
    us_map seen;
    us_buf buf;
    us_err e = US_OK;
    size_t n = 0, n_groups = 0, n_values = 0;
    bool pure = true;
    US_TRY(us_table_get(f->c, f->t, k->name, &col));
    us_map_init(&seen, f->scratch);
    us_buf_init(&buf, f->c, US_CSV_MAX_FIELD + 64);
    uint32_t *first = us_new_n(f->scratch, uint32_t, f->n);
    if (!first) {
        e = us_arena_fail(f->c, f->scratch);
        goto out;
    }
    for (size_t j = 0; j < f->n && pure; j++) {
        us_sv v = us_cell_column_text(f->s, k, col, f->rows ? f->rows[j] : j, &buf);
        if (v.n == 0) continue;
        n++;
        uint32_t at = us_map_get(&seen, v);
        if (at == US_MAP_NONE) {
            us_sv own = {0};
            US_GO(us_sv_dup(f->c, f->scratch, v, &own));
            US_GO(us_map_put(f->c, &seen, own, (uint32_t)j, NULL));
            first[n_groups++] = (uint32_t)j;
            pure = n_groups * 5 <= f->n; /* many values, few rows each: that says nothing */
        } else {
            pure = f->task == US_TASK_CLASSES ? f->cls[j] == f->cls[at] : f->y[j] == f->y[at];
        }
    }
    US_GO(us_buf_check(&buf));
    for (size_t i = 0; i < n_groups && pure; i++) {
        bool repeated = false;
        for (size_t j = 0; j < i && !repeated; j++)
            repeated = f->task == US_TASK_CLASSES ? f->cls[first[j]] == f->cls[first[i]]
                                                  : f->y[first[j]] == f->y[first[i]];
        n_values += !repeated;
    }
    *out =
        pure && n_values > 1 && n >= MIN_ROWS && (double)n >= (1 - MAX_MISSING) * (double)f->n;
    *one_to_one = n_values == n_groups;
out:
    us_buf_deinit(&buf);
    return e;
}

/* Sets *leaks for a column that was reported. */
static us_err single_column(finder *f, const us_data_col *k, bool *leaks)
{
    us_mark mark = us_arena_mark(f->scratch);
    bool text = us_data_kind_is_string(k->kind), few = text || k->n_vocab > 0, one = false;
    double slope = 0, offset = 0, r2 = (double)NAN;
    us_err e = US_OK;
    *leaks = false;
    if (!text) {
        double *x = us_new_n(f->scratch, double, f->n);
        uint64_t *key = us_new_n(f->scratch, uint64_t, f->n),
                 *tmp = us_new_n(f->scratch, uint64_t, f->n);
        uint32_t *ix = us_new_n(f->scratch, uint32_t, f->n),
                 *ti = us_new_n(f->scratch, uint32_t, f->n);
        if (!x || !key || !tmp || !ix || !ti) {
            e = us_arena_fail(f->c, f->scratch);
            goto out;
        }
        US_GO(column_numbers(f, k, x));
        if (f->task == US_TASK_VALUE)
            r2 = affine(x, f->y, f->n, &slope, &offset);
        else
            *leaks = separates(f, x, ix, key, tmp, ti);
        if (r2 > R2_ONE) {
            *leaks = true;
            US_GO(found_linear(f, US_LEAK_AFFINE, &k->name, &slope, 1, offset, r2));
        } else if (*leaks) {
            US_GO(found_single(f, US_LEAK_SEPARATES, k->name, "separates the classes of"));
        }
    }
    if (!*leaks && few) {
        US_GO(maps_to_target(f, k, leaks, &one));
        if (*leaks)
            US_GO(found_single(f, one ? US_LEAK_MAP : US_LEAK_SEPARATES, k->name,
                               one ? "maps one-to-one to" : "determines"));
    }
out:
    us_arena_reset(f->scratch, mark);
    return e;
}

/* --- sums of columns ----------------------------------------------------------------------------------------- */

typedef struct sums {
    size_t d; /* candidate columns; index d is the target */
    us_sv *names;
    double **x; /* d columns of n rows */
    double *mean, *sd;
    double *corr;    /* (d + 1)^2 */
    bool *out_of_it; /* set aside */
} sums;

static double corr(const sums *q, size_t i, size_t j)
{
    return q->corr[i * (q->d + 1) + j];
}

/* Weights of the chosen columns (standardised) by Cholesky; R2, or -1 when they are dependent. */
static double fit(const sums *q, const size_t *set, size_t n, double *w)
{
    double l[MAX_SUM][MAX_SUM], z[MAX_SUM], r2 = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double v = corr(q, set[i], set[j]);
            for (size_t k = 0; k < j; k++)
                v -= l[i][k] * l[j][k];
            if (i == j && v < 1e-10) return -1;
            l[i][j] = i == j ? sqrt(v) : v / l[j][j];
        }
        z[i] = corr(q, set[i], q->d);
        for (size_t k = 0; k < i; k++)
            z[i] -= l[i][k] * z[k];
        z[i] /= l[i][i];
        r2 += z[i] * z[i];
    }
    for (size_t i = n; i-- > 0;) {
        w[i] = z[i];
        for (size_t k = i + 1; k < n; k++)
            w[i] -= l[k][i] * w[k];
        w[i] /= l[i][i];
    }
    return r2;
}

/* The column that lowers the residual most together with the set; its new R2, or what it was. */
static double best_addition(const sums *q, size_t *set, size_t n, double r2, size_t *which)
{
    double w[MAX_SUM], best = r2;
    for (size_t j = 0; j < q->d; j++) {
        bool in = q->out_of_it[j];
        for (size_t i = 0; i < n && !in; i++)
            in = set[i] == j;
        if (in) continue;
        set[n] = j;
        double v = fit(q, set, n + 1, w);
        if (v > best) {
            best = v;
            *which = j;
        }
    }
    return best;
}

static size_t prune(const sums *q, size_t *set, size_t n)
{
    double w[MAX_SUM];
    for (size_t i = 0; i < n && n > 1;) {
        size_t less[MAX_SUM], k = 0;
        for (size_t j = 0; j < n; j++)
            if (j != i) less[k++] = set[j];
        if (fit(q, less, k, w) > R2_SUM) {
            memcpy(set, less, k * sizeof *set);
            n = k;
            i = 0;
        } else {
            i++;
        }
    }
    return n;
}

static size_t search(const sums *q, size_t *set)
{
    size_t n = 0, which = 0;
    double r2 = 0;
    while (n < MAX_SUM) {
        double v = best_addition(q, set, n, r2, &which);
        if (v <= r2) return 0;
        set[n++] = which;
        r2 = v;
        if (r2 > R2_SUM) return prune(q, set, n);
    }
    return 0;
}

/* On all rows, with the weights in the columns' own units. */
static double check_on_all(const finder *f, const sums *q, const size_t *set, size_t n,
                           const double *coef, double *intercept)
{
    double mean = 0, total = 0, left = 0, k = 0, shift = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < f->n; i++) {
            double v = f->y[i];
            for (size_t j = 0; j < n; j++)
                v -= coef[j] * q->x[set[j]][i];
            if (isnan(v)) continue;
            if (pass == 0) {
                mean += f->y[i];
                shift += v;
                k++;
            } else {
                total += (f->y[i] - mean) * (f->y[i] - mean);
                left += (v - shift) * (v - shift);
            }
        }
        if (pass == 0) {
            mean /= k;
            shift /= k;
        }
    }
    *intercept = shift;
    return total > 0 ? 1 - left / total : 0;
}

/* Columns that sum up to the target often correlate with it in falling order: tell them so. */
static us_err report_sum(finder *f, sums *q, const size_t *set, size_t n)
{
    double w[MAX_SUM], coef[MAX_SUM], intercept;
    us_sv names[MAX_SUM];
    size_t sorted[MAX_SUM];
    memcpy(sorted, set, n * sizeof *set);
    for (size_t i = 1; i < n; i++) /* file order */
        for (size_t j = i; j > 0 && sorted[j - 1] > sorted[j]; j--) {
            size_t t = sorted[j];
            sorted[j] = sorted[j - 1];
            sorted[j - 1] = t;
        }
    (void)fit(q, sorted, n, w);
    for (size_t i = 0; i < n; i++) {
        coef[i] = w[i] * q->sd[q->d] / q->sd[sorted[i]];
        names[i] = q->names[sorted[i]];
        q->out_of_it[sorted[i]] = true;
    }
    double r2 = check_on_all(f, q, sorted, n, coef, &intercept);
    if (!(r2 > R2_SUM)) return US_OK;
    for (size_t i = 0; i < n; i++) /* 1.0000000003 is 1 */
        if (fabs(coef[i] - round(coef[i])) < 1e-6) coef[i] = round(coef[i]);
    return found_linear(f, n > 1 ? US_LEAK_SUM : US_LEAK_AFFINE, names, coef, n, intercept, r2);
}

static us_err correlations(finder *f, sums *q)
{
    size_t d = q->d, step = f->n / SAMPLE + 1, m = 0;
    const double **col = us_new_n(f->scratch, const double *, d + 1);
    double *sum = us_new_n(f->scratch, double, (d + 1) * (d + 1)),
           *v = us_new_n(f->scratch, double, d + 1);
    if (!col || !sum || !v) return us_arena_fail(f->c, f->scratch);
    for (size_t j = 0; j < d; j++)
        col[j] = q->x[j];
    col[d] = f->y;
    for (int pass = 0; pass < 2; pass++) {
        m = 0;
        for (size_t i = 0; i < f->n; i += step) {
            bool whole = true;
            for (size_t j = 0; j <= d && whole; j++) {
                v[j] = col[j][i] - q->mean[j];
                whole = !isnan(v[j]);
            }
            if (!whole) continue;
            m++;
            for (size_t j = 0; j <= d; j++) {
                if (pass == 0) sum[j] += v[j];
                for (size_t k = 0; pass == 1 && k <= j; k++)
                    q->corr[j * (d + 1) + k] += v[j] * v[k];
            }
        }
        for (size_t j = 0; pass == 0 && j <= d && m; j++)
            q->mean[j] = sum[j] / (double)m;
    }
    for (size_t j = 0; j <= d; j++)
        q->sd[j] = m ? sqrt(q->corr[j * (d + 1) + j] / (double)m) : 0;
    for (size_t j = 0; j <= d; j++)
        for (size_t k = 0; k <= j; k++) {
            double s = q->sd[j] * q->sd[k] * (double)m;
            double r = s > 0 ? q->corr[j * (d + 1) + k] / s : 0;
            q->corr[j * (d + 1) + k] = q->corr[k * (d + 1) + j] = r;
        }
    for (size_t j = 0; j < d; j++)
        q->out_of_it[j] |= !(q->sd[j] > 0) || m < MIN_ROWS + 2 * d;
    return US_OK;
}

static us_err sum_columns(finder *f, const bool *alone)
{
    sums q = {0};
    size_t n_cols = f->s->n_cols;
    q.names = us_new_n(f->scratch, us_sv, MAX_COLS);
    q.x = us_new_n(f->scratch, double *, MAX_COLS);
    q.out_of_it = us_new_n(f->scratch, bool, MAX_COLS);
    q.mean = us_new_n(f->scratch, double, MAX_COLS + 1);
    q.sd = us_new_n(f->scratch, double, MAX_COLS + 1);
    q.corr = us_new_n(f->scratch, double, (MAX_COLS + 1) * (MAX_COLS + 1));
    if (!q.names || !q.x || !q.out_of_it || !q.mean || !q.sd || !q.corr)
        return us_arena_fail(f->c, f->scratch);
    for (size_t i = 0; i < n_cols && q.d < MAX_COLS; i++) {
        const us_data_col *k = &f->s->cols[i];
        bool number =
            k->kind == US_DK_NUMERIC || k->kind == US_DK_INTEGER || k->kind == US_DK_BOOLEAN;
        if (k->role != US_DR_FEATURE || alone[i] || !number) continue;
        if ((double)k->n_missing > MAX_MISSING * (double)k->n) continue;
        double *x = us_new_n(f->scratch, double, f->n);
        if (!x) return us_arena_fail(f->c, f->scratch);
        US_TRY(column_numbers(f, k, x));
        q.x[q.d] = x;
        q.names[q.d++] = k->name;
    }
    if (q.d < 2) return US_OK;
    US_TRY(correlations(f, &q));
    for (int again = 0; again < 4; again++) {
        size_t set[MAX_SUM + 1], n = search(&q, set);
        if (n == 0) return US_OK;
        US_TRY(report_sum(f, &q, set, n));
    }
    return US_OK;
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static us_err load_target(finder *f)
{
    us_sv *classes;
    f->target = us_schema_target(f->s)->name;
    if (f->task == US_TASK_VALUE) {
        f->y = us_new_n(f->scratch, double, f->n);
        if (!f->y) return us_arena_fail(f->c, f->scratch);
        return us_target_number(f->c, f->s, f->t, f->rows, f->n, f->y);
    }
    f->cls = us_new_n(f->scratch, int32_t, f->n);
    if (!f->cls) return us_arena_fail(f->c, f->scratch);
    US_TRY(us_target_classes(f->c, f->scratch, f->s, &classes, &f->k));
    return us_target_index(f->c, f->s, f->t, classes, f->k, f->rows, f->n, true, f->cls);
}

static us_err find_all(finder *f)
{
    bool *alone = us_new_n(f->scratch, bool, f->s->n_cols);
    if (!alone) return us_arena_fail(f->c, f->scratch);
    US_TRY(load_target(f));
    for (size_t i = 0; i < f->s->n_cols; i++) {
        const us_data_col *k = &f->s->cols[i];
        if (k->role != US_DR_FEATURE || k->kind == US_DK_TEXT) continue;
        US_TRY(single_column(f, k, &alone[i]));
    }
    return f->task == US_TASK_VALUE ? sum_columns(f, alone) : US_OK;
}

us_err us_leaks_find(us_ctx *c, us_arena *a, const us_data_schema *s, const us_table *t,
                     const uint32_t *rows, size_t n_rows, us_task task, us_leaks *out)
{
    us_leaks r = {0};
    finder f = {.c = c,
                .a = a,
                .s = s,
                .t = t,
                .rows = rows,
                .n = rows ? n_rows : t->n_rows,
                .task = task,
                .out = &r};
    if (!us_schema_target(s)) return us_fail(c, US_ARG, "no target column: nothing can leak");
    if (f.n < MIN_ROWS) {
        *out = r;
        return US_OK;
    }
    US_TRY(us_arena_new(c, "leaks", US_TABLE_CAP, &f.scratch));
    us_err e = find_all(&f);
    us_arena_free(f.scratch);
    if (e == US_OK) *out = r;
    return e;
}
