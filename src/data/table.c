/* data/table.c - building, reading and re-arranging columnar tables. */
#include "data/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/schema.h"

static const char *const type_names[] = {
    [US_COL_F64] = "float64", [US_COL_I64] = "int64",      [US_COL_BOOL] = "bool",
    [US_COL_STR] = "utf8",    [US_COL_TIME] = "timestamp",
};

const char *us_coltype_name(us_coltype t)
{
    return (size_t)t < US_LEN(type_names) && type_names[t] ? type_names[t] : "invalid";
}

us_err us_table_new(us_ctx *c, size_t n_rows, size_t n_cols, us_table **out)
{
    if (n_cols > US_TABLE_MAX_COLS || n_rows > US_TABLE_MAX_ROWS)
        return us_fail(c, US_LIMIT, "a table of %zu rows x %zu columns; at most %zu x %zu",
                       n_rows, n_cols, US_TABLE_MAX_ROWS, US_TABLE_MAX_COLS);
    us_arena *a = NULL;
    US_TRY(us_arena_new(c, "table", US_TABLE_CAP, &a));
    us_table *t = us_new(a, us_table);
    us_column *cols = us_new_n(a, us_column, n_cols);
    if (!t || !cols) {
        us_err e = us_arena_fail(c, a);
        us_arena_free(a);
        return e;
    }
    t->arena = a;
    t->n_rows = n_rows;
    t->n_cols = n_cols;
    t->cols = cols;
    us_map_init(&t->by_name, a);
    *out = t;
    return US_OK;
}

void us_table_free(us_table *t)
{
    if (!t) return;
    us_file *f = t->file;
    us_arena_free(t->arena); /* t lies in it */
    us_file_close(f);
}

us_err us_table_index(us_ctx *c, us_table *t)
{
    for (size_t i = 0; i < t->n_cols; i++) {
        if (t->cols[i].name.n == 0)
            return us_fail(c, US_FORMAT, "column %zu has no name; name it in the header",
                           i + 1);
        uint32_t was = US_MAP_NONE;
        US_TRY(us_map_put(c, &t->by_name, t->cols[i].name, (uint32_t)i, &was));
        if (was != US_MAP_NONE)
            return us_fail(c, US_FORMAT, "columns %zu and %zu are both named '" US_SV_FMT "'",
                           (size_t)was + 1, i + 1, US_SV_ARG(t->cols[i].name));
    }
    return US_OK;
}

const us_column *us_table_find(const us_table *t, us_sv name)
{
    uint32_t i = us_map_get(&t->by_name, name);
    return i == US_MAP_NONE ? NULL : &t->cols[i];
}

/* "age, city, ...": as many names as fit, for who asked for another. */
static const char *first_names(const us_table *t, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < t->n_cols; i++) {
        us_sv s = t->cols[i].name;
        const char *comma = i ? ", " : "";
        if (n + s.n + sizeof ", , ..." > cap) {
            (void)snprintf(out + n, cap - n, "%s...", comma);
            break;
        }
        n += (size_t)snprintf(out + n, cap - n, "%s" US_SV_FMT, comma, US_SV_ARG(s));
    }
    return out;
}

us_err us_table_get(us_ctx *c, const us_table *t, us_sv name, const us_column **out)
{
    const us_column *k = us_table_find(t, name);
    if (k) {
        *out = k;
        return US_OK;
    }
    us_arena *a = NULL;
    US_TRY(us_arena_new(c, "names", (size_t)1 << 26, &a));
    const char **names = us_new_n(a, const char *, t->n_cols);
    const char *near = NULL;
    size_t n = 0;
    for (; names && n < t->n_cols; n++)
        if (!(names[n] = us_str_dup(a, t->cols[n].name))) break;
    if (names) near = us_nearest(name, names, n);
    char list[120];
    us_err e = us_fail(c, US_NOTFOUND, "no column '" US_SV_FMT "' among %zu columns%s%s%s",
                       US_SV_ARG(name), t->n_cols, near ? "; did you mean '" : ": ",
                       near ? near : first_names(t, list, sizeof list), near ? "'?" : "");
    us_arena_free(a);
    return e;
}

static bool data_bytes(us_coltype type, size_t n, size_t n_str, size_t *out)
{
    if (type == US_COL_STR) {
        *out = n_str;
        return true;
    }
    if (type == US_COL_BOOL) {
        *out = (n + 7) / 8;
        return true;
    }
    return us_mul_size(n, 8, out);
}

us_err us_column_alloc(us_ctx *c, us_table *t, size_t i_col, us_sv name, us_coltype type,
                       bool with_valid, size_t n_bytes, us_column_mem *out)
{
    us_column_mem m = {0};
    size_t bytes;
    us_sv own = {0};
    if (!data_bytes(type, t->n_rows, n_bytes, &bytes)) return us_nomem(c);
    US_TRY(us_sv_dup(c, t->arena, name, &own));
    m.data = us_arena_alloc(t->arena, US_MAX(bytes, 1), 1, 64);
    if (!m.data) return us_arena_fail(c, t->arena);
    if (type == US_COL_STR) {
        m.offsets = us_arena_alloc(t->arena, t->n_rows + 1, 8, 64);
        if (!m.offsets) return us_arena_fail(c, t->arena);
    }
    if (with_valid) {
        m.valid = us_arena_alloc(t->arena, US_MAX((t->n_rows + 7) / 8, 1), 1, 64);
        if (!m.valid) return us_arena_fail(c, t->arena);
    }
    t->cols[i_col] = (us_column){.name = own,
                                 .type = type,
                                 .n = t->n_rows,
                                 .valid = m.valid,
                                 .data = m.data,
                                 .offsets = m.offsets};
    *out = m;
    return US_OK;
}

void us_column_count_null(us_column *k)
{
    size_t n_set = 0;
    if (!k->valid) {
        k->n_null = 0;
        return;
    }
    for (size_t i = 0; i < (k->n + 7) / 8; i++) {
        unsigned v = k->valid[i];
        for (; v; v &= v - 1)
            n_set++;
    }
    k->n_null = k->n - n_set;
    if (k->n_null == 0) k->valid = NULL;
}

double us_col_f64(const us_column *k, size_t i)
{
    if (!us_col_valid(k, i) || k->type == US_COL_STR) return (double)NAN;
    if (k->type == US_COL_F64) return ((const double *)k->data)[i];
    if (k->type == US_COL_BOOL) return us_col_bool(k, i) ? 1 : 0;
    return (double)((const int64_t *)k->data)[i];
}

us_err us_col_to_f64(us_ctx *c, const us_column *k, const uint32_t *rows, size_t n, double *out)
{
    if (k->type == US_COL_STR)
        return us_fail(c, US_ARG, "column '" US_SV_FMT "' holds text, expected numbers",
                       US_SV_ARG(k->name));
    if (!rows && !k->valid && k->type == US_COL_F64 && n) {
        memcpy(out, k->data, n * sizeof *out);
        return US_OK;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = us_col_f64(k, rows ? rows[i] : i);
    return US_OK;
}

void us_col_print(const us_column *k, size_t i, us_buf *b)
{
    char text[40];
    if (!us_col_valid(k, i)) return;
    if (k->type == US_COL_STR) {
        us_buf_addsv(b, us_col_str(k, i));
    } else if (k->type == US_COL_BOOL) {
        us_buf_adds(b, us_col_bool(k, i) ? "true" : "false");
    } else if (k->type == US_COL_F64) {
        size_t n = us_print_f64(((const double *)k->data)[i], text);
        us_buf_add(b, text, n);
    } else if (k->type == US_COL_TIME) {
        us_buf_adds(b, us_print_time_iso(((const int64_t *)k->data)[i], text));
    } else {
        us_buf_addf(b, "%lld", (long long)((const int64_t *)k->data)[i]);
    }
}

/* --- new tables from old ones ----------------------------------------------------------------------- */

static void set_bit(uint8_t *bits, size_t i)
{
    bits[i >> 3] = (uint8_t)(bits[i >> 3] | 1u << (i & 7));
}

/* Copies cell i of k to place j of a column of the same type; returns the string position after it. */
static int64_t copy_cell(const us_column *k, size_t i, us_coltype type, us_column_mem *m,
                         size_t j, int64_t at)
{
    bool ok = us_col_valid(k, i);
    if (ok && m->valid) set_bit(m->valid, j);
    if (type == US_COL_STR) {
        us_sv s = us_col_str(k, i);
        if (s.n) memcpy((char *)m->data + at, s.p, s.n);
        at += (int64_t)s.n;
        m->offsets[j + 1] = at;
    } else if (type == US_COL_BOOL) {
        if (ok && us_col_bool(k, i)) set_bit(m->data, j);
    } else if (type == US_COL_F64) {
        ((double *)m->data)[j] = ok ? us_col_f64(k, i) : 0;
    } else {
        ((int64_t *)m->data)[j] = ok ? ((const int64_t *)k->data)[i] : 0;
    }
    return at;
}

static us_err take_column(us_ctx *c, const us_column *k, const uint32_t *rows, size_t n,
                          us_table *t, size_t i_col)
{
    us_column_mem m;
    size_t n_bytes = 0;
    int64_t at = 0;
    if (k->type == US_COL_STR)
        for (size_t i = 0; i < n; i++)
            n_bytes += us_col_str(k, rows[i]).n;
    US_TRY(us_column_alloc(c, t, i_col, k->name, k->type, k->valid != NULL, n_bytes, &m));
    for (size_t i = 0; i < n; i++)
        at = copy_cell(k, rows[i], k->type, &m, i, at);
    us_column_count_null(&t->cols[i_col]);
    return US_OK;
}

us_err us_table_take(us_ctx *c, const us_table *t, const uint32_t *rows, size_t n,
                     us_table **out)
{
    us_table *r = NULL;
    us_err e = US_OK;
    US_TRY(us_table_new(c, n, t->n_cols, &r));
    for (size_t i = 0; i < n; i++)
        if (rows[i] >= t->n_rows) {
            e = us_fail(c, US_ARG, "row %u of a table of %zu rows", rows[i], t->n_rows);
            goto out;
        }
    for (size_t i = 0; i < t->n_cols; i++)
        US_GO(take_column(c, &t->cols[i], rows, n, r, i));
    US_GO(us_table_index(c, r));
    *out = r;
    return US_OK;
out:
    us_table_free(r);
    return e;
}

static us_coltype meet(us_coltype a, us_coltype b)
{
    if (a == b) return a;
    bool num = (a == US_COL_F64 || a == US_COL_I64) && (b == US_COL_F64 || b == US_COL_I64);
    return num ? US_COL_F64 : US_COL_STR;
}

/* A column that misses every value fits any type: it takes the other side's. */
static us_coltype meet_columns(const us_column *a, const us_column *b)
{
    if (a->n_null == a->n) return b->type;
    if (b->n_null == b->n) return a->type;
    return meet(a->type, b->type);
}

/* Cells of k, whatever its type, at places j0.. of a column of type `type`. */
static us_err append_cells(us_ctx *c, const us_column *k, us_coltype type, us_column_mem *m,
                           size_t j0, int64_t *at)
{
    if (k->type == type || (type == US_COL_F64 && k->type == US_COL_I64)) {
        for (size_t i = 0; i < k->n; i++)
            *at = copy_cell(k, i, type, m, j0 + i, *at);
        return US_OK;
    }
    us_buf b;
    us_buf_init(&b, c, (size_t)1 << 20);
    for (size_t i = 0; i < k->n; i++) {
        us_buf_clear(&b);
        if (type == US_COL_STR) us_col_print(k, i, &b);
        if (type == US_COL_STR) {
            if (us_col_valid(k, i)) set_bit(m->valid, j0 + i);
            if (b.n) memcpy((char *)m->data + *at, b.p, b.n);
            *at += (int64_t)b.n;
            m->offsets[j0 + i + 1] = *at;
        } /* else: k misses every value, the zeroed memory says so */
    }
    us_err e = us_buf_check(&b);
    us_buf_deinit(&b);
    return e;
}

static us_err text_bytes(us_ctx *c, const us_column *k, size_t *n)
{
    if (k->type == US_COL_STR) {
        *n += (size_t)k->offsets[k->n];
        return US_OK;
    }
    us_buf b;
    us_buf_init(&b, c, (size_t)1 << 20);
    for (size_t i = 0; i < k->n; i++) {
        us_buf_clear(&b);
        us_col_print(k, i, &b);
        *n += b.n;
    }
    us_err e = us_buf_check(&b);
    us_buf_deinit(&b);
    return e;
}

static us_err concat_column(us_ctx *c, const us_column *a, const us_column *b, us_table *t,
                            size_t i_col)
{
    us_column_mem m;
    size_t n_bytes = 0;
    int64_t at = 0;
    us_coltype type = meet_columns(a, b);
    if (type == US_COL_STR) {
        US_TRY(text_bytes(c, a, &n_bytes));
        US_TRY(text_bytes(c, b, &n_bytes));
    }
    US_TRY(us_column_alloc(c, t, i_col, a->name, type, true, n_bytes, &m));
    US_TRY(append_cells(c, a, type, &m, 0, &at));
    US_TRY(append_cells(c, b, type, &m, a->n, &at));
    us_column_count_null(&t->cols[i_col]);
    return US_OK;
}

us_err us_table_concat(us_ctx *c, const us_table *a, const us_table *b, us_table **out)
{
    us_table *t = NULL;
    us_err e = US_OK;
    if (a->n_cols != b->n_cols)
        return us_fail(c, US_SHAPE, "tables of %zu and %zu columns cannot be put together",
                       a->n_cols, b->n_cols);
    US_TRY(us_table_new(c, a->n_rows + b->n_rows, a->n_cols, &t));
    for (size_t i = 0; i < a->n_cols; i++) {
        if (!us_sv_eq(a->cols[i].name, b->cols[i].name)) {
            e = us_fail(c, US_SHAPE,
                        "column %zu is '" US_SV_FMT "' in the first table, '" US_SV_FMT
                        "' in the second",
                        i + 1, US_SV_ARG(a->cols[i].name), US_SV_ARG(b->cols[i].name));
            goto out;
        }
        US_GO(concat_column(c, &a->cols[i], &b->cols[i], t, i));
    }
    US_GO(us_table_index(c, t));
    *out = t;
    return US_OK;
out:
    us_table_free(t);
    return e;
}
