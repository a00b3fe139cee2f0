/* data/schema_check.c - another table held against the schema. */
#include <math.h>

#include "data/cell.h"
#include "data/schema.h"

typedef struct checker {
    us_ctx *c;
    us_arena *a;
    const us_data_schema *s;
    us_violations *out;
    us_buf buf;
} checker;

/* One entry per column and kind: the first cell is told, the rest counted. */
static us_err report(checker *k, us_violation_kind kind, us_sv column, size_t row, us_sv found,
                     const char *expected)
{
    us_violations *o = k->out;
    for (size_t i = 0; i < o->v.n; i++)
        if (o->v.at[i].kind == kind && us_sv_eq(o->v.at[i].column, column)) {
            o->v.at[i].n++;
            return US_OK;
        }
    us_violation v = {.kind = kind, .n = 1, .row = row};
    US_TRY(us_sv_dup(k->c, k->a, column, &v.column));
    US_TRY(us_sv_dup(k->c, k->a, (us_sv){found.p, US_MIN(found.n, (size_t)80)}, &v.found));
    US_TRY(us_sv_dup(k->c, k->a, us_sv_of(expected), &v.expected));
    return us_vec_push(k->c, k->a, &o->v, v);
}

static us_err cell_text(checker *k, const us_column *col, size_t i, us_sv *out)
{
    us_buf_clear(&k->buf);
    us_col_print(col, i, &k->buf);
    *out = us_buf_sv(&k->buf);
    return us_buf_check(&k->buf);
}

static us_err check_number(checker *k, const us_data_col *d, const us_column *col, size_t i)
{
    double x;
    us_sv text;
    char lo[40], hi[40];
    if (!us_cell_column_number(k->s, d, col, i, &x)) {
        US_TRY(cell_text(k, col, i, &text));
        return report(k, US_VIO_TYPE, d->name, i, text, us_data_kind_name(d->kind));
    }
    if (isnan(x)) {
        if (d->n_missing > 0) return US_OK;
        return report(k, US_VIO_MISSING, d->name, i, US_SV("missing"), "a value in every row");
    }
    if (isnan(d->min) || (x >= d->min && x <= d->max)) return US_OK;
    US_TRY(cell_text(k, col, i, &text));
    if (d->kind == US_DK_TIMESTAMP) {
        us_print_time_iso((int64_t)d->min, lo);
        us_print_time_iso((int64_t)d->max, hi);
    } else {
        us_print_f64(d->min, lo);
        us_print_f64(d->max, hi);
    }
    char *range = us_str_printf(k->a, "%s to %s", lo, hi);
    if (!range) return us_arena_fail(k->c, k->a);
    return report(k, US_VIO_RANGE, d->name, i, text, range);
}

static us_err check_text(checker *k, const us_data_col *d, const us_column *col, size_t i,
                         const us_map *vocab)
{
    us_sv v = us_cell_column_text(k->s, d, col, i, &k->buf);
    US_TRY(us_buf_check(&k->buf));
    if (v.n == 0) {
        if (d->n_missing > 0) return US_OK;
        return report(k, US_VIO_MISSING, d->name, i, US_SV("missing"), "a value in every row");
    }
    if (d->kind == US_DK_TEXT || us_map_get(vocab, v) != US_MAP_NONE) return US_OK;
    return report(k, US_VIO_CATEGORY, d->name, i, v, "one of the known categories");
}

static us_err check_column(checker *k, const us_data_col *d, const us_column *col)
{
    us_map vocab;
    us_map_init(&vocab, k->a);
    bool text = us_data_kind_is_string(d->kind);
    for (size_t i = 0; text && i < d->n_vocab; i++)
        US_TRY(us_map_put(k->c, &vocab, d->vocab[i], (uint32_t)i, NULL));
    for (size_t i = 0; i < col->n; i++)
        US_TRY(text ? check_text(k, d, col, i, &vocab) : check_number(k, d, col, i));
    return US_OK;
}

static us_err check_all(checker *k, const us_table *t)
{
    for (size_t i = 0; i < k->s->n_cols; i++) {
        const us_data_col *d = &k->s->cols[i];
        const us_column *col = us_table_find(t, d->name);
        if (col) {
            if (d->role != US_DR_EXCLUDED) US_TRY(check_column(k, d, col));
        } else if (d->role == US_DR_FEATURE) {
            US_TRY(report(k, US_VIO_MISSING_COLUMN, d->name, 0, US_SV("no such column"),
                          us_data_kind_name(d->kind)));
        }
    }
    for (size_t i = 0; i < t->n_cols; i++)
        if (!us_schema_find(k->s, t->cols[i].name))
            US_TRY(report(k, US_VIO_NEW_COLUMN, t->cols[i].name, 0,
                          us_sv_of(us_coltype_name(t->cols[i].type)), "not in the schema"));
    return US_OK;
}

us_err us_schema_check(us_ctx *c, us_arena *a, const us_data_schema *s, const us_table *t,
                       us_violations *out)
{
    us_violations v = {0};
    checker k = {.c = c, .a = a, .s = s, .out = &v};
    us_buf_init(&k.buf, c, US_CSV_MAX_FIELD + 64);
    us_err e = check_all(&k, t);
    us_buf_deinit(&k.buf);
    if (e == US_OK) *out = v;
    return e;
}
