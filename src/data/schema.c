/* data/schema.c - inferring a schema from a table; names of kinds and roles. */
#include "data/schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/cell.h"
#include "stats/distinct.h"
#include "stats/moments.h"
#include "stats/quantile.h"

/* ORDER us_data_kind, us_data_role, us_violation_kind; the second is what people also write */
static const char *const kind_names[][2] = {
    {"numeric", "number"},       {"integer", "int"}, {"boolean", "bool"},
    {"categorical", "category"}, {"text", "string"}, {"timestamp", "time"},
};
static const char *const role_names[] = {"feature", "target", "excluded", "group", "time"};
static const char *const violation_names[] = {
    "missing_column", "new_column", "type", "range", "unknown_category", "missing_value"};

const char *us_data_kind_name(us_data_kind k)
{
    return (size_t)k < US_LEN(kind_names) ? kind_names[k][0] : "invalid";
}

bool us_data_kind_find(us_sv name, us_data_kind *out)
{
    for (size_t i = 0; i < US_LEN(kind_names); i++)
        if (us_sv_is(name, kind_names[i][0]) || us_sv_is(name, kind_names[i][1])) {
            *out = (us_data_kind)i;
            return true;
        }
    return false;
}

const char *us_data_role_name(us_data_role r)
{
    return (size_t)r < US_LEN(role_names) ? role_names[r] : "invalid";
}

bool us_data_role_find(us_sv name, us_data_role *out)
{
    for (size_t i = 0; i < US_LEN(role_names); i++)
        if (us_sv_is(name, role_names[i])) {
            *out = (us_data_role)i;
            return true;
        }
    return false;
}

const char *us_violation_name(us_violation_kind k)
{
    return (size_t)k < US_LEN(violation_names) ? violation_names[k] : "invalid";
}

bool us_violation_fatal(us_violation_kind k)
{
    return k == US_VIO_MISSING_COLUMN || k == US_VIO_TYPE;
}

const us_data_col *us_schema_find(const us_data_schema *s, us_sv name)
{
    for (size_t i = 0; i < s->n_cols; i++)
        if (us_sv_eq(s->cols[i].name, name)) return &s->cols[i];
    return NULL;
}

const us_data_col *us_schema_target(const us_data_schema *s)
{
    for (size_t i = 0; i < s->n_cols; i++)
        if (s->cols[i].role == US_DR_TARGET) return &s->cols[i];
    return NULL;
}

size_t us_schema_n_features(const us_data_schema *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_cols; i++)
        n += s->cols[i].role == US_DR_FEATURE;
    return n;
}

/* Vocabularies are sorted by text, or by value when the column holds integers: look for both orders with one loop over at
 * most log2(n) entries when it is text, else over all. Few calls are hot; the decoder does not need this one. */
uint32_t us_vocab_find(const us_data_col *k, us_sv text)
{
    bool by_text = k->storage == US_COL_STR || k->storage == US_COL_BOOL;
    size_t lo = 0, hi = k->n_vocab;
    while (by_text && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = us_sv_cmp(k->vocab[mid], text);
        if (d == 0) return (uint32_t)mid;
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (size_t i = 0; !by_text && i < k->n_vocab; i++)
        if (us_sv_eq(k->vocab[i], text)) return (uint32_t)i;
    return US_MAP_NONE;
}

/* --- inference --------------------------------------------------------------------------------------- */

typedef struct infer {
    us_ctx *c;
    us_arena *a;       /* the schema's */
    us_arena *scratch; /* reset after each column */
    const us_table *t;
    const us_schema_opts *o;
    us_data_schema *s;
    double *x; /* n_rows, of one column */
} infer;

static us_data_kind kind_of_storage(us_coltype t)
{
    if (t == US_COL_F64) return US_DK_NUMERIC;
    if (t == US_COL_I64) return US_DK_INTEGER;
    if (t == US_COL_BOOL) return US_DK_BOOLEAN;
    return t == US_COL_TIME ? US_DK_TIMESTAMP : US_DK_CATEGORICAL;
}

static const us_schema_override *override_of(const us_schema_opts *o, us_sv name)
{
    for (size_t i = 0; i < o->n_overrides; i++)
        if (us_sv_eq(o->overrides[i].column, name)) return &o->overrides[i];
    return NULL;
}

static us_err check_names(const infer *f)
{
    const us_column *k;
    const us_schema_opts *o = f->o;
    if (o->target.n) US_TRY(us_table_get(f->c, f->t, o->target, &k));
    if (o->group.n) US_TRY(us_table_get(f->c, f->t, o->group, &k));
    if (o->time.n) US_TRY(us_table_get(f->c, f->t, o->time, &k));
    for (size_t i = 0; i < o->n_excluded; i++)
        US_TRY(us_table_get(f->c, f->t, o->excluded[i], &k));
    for (size_t i = 0; i < o->n_overrides; i++)
        US_TRY(us_table_get(f->c, f->t, o->overrides[i].column, &k));
    return US_OK;
}

static us_data_role role_of(const us_schema_opts *o, us_sv name)
{
    if (o->target.n && us_sv_eq(o->target, name)) return US_DR_TARGET;
    for (size_t i = 0; i < o->n_excluded; i++)
        if (us_sv_eq(o->excluded[i], name)) return US_DR_EXCLUDED;
    if (o->group.n && us_sv_eq(o->group, name)) return US_DR_GROUP;
    if (o->time.n && us_sv_eq(o->time, name) && !o->time_is_feature) return US_DR_TIME;
    return US_DR_FEATURE;
}

typedef struct entry {
    us_sv text;
    uint64_t n;
} entry;

static int entry_cmp(const void *a, const void *b)
{
    return us_sv_cmp(((const entry *)a)->text, ((const entry *)b)->text);
}

static us_err keep_vocab(infer *f, us_data_col *k, const entry *e, size_t n)
{
    k->vocab = us_new_n(f->a, us_sv, n);
    k->vocab_counts = us_new_n(f->a, uint64_t, n);
    if (!k->vocab || !k->vocab_counts) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < n; i++) {
        US_TRY(us_sv_dup(f->c, f->a, e[i].text, &k->vocab[i]));
        k->vocab_counts[i] = e[i].n;
    }
    k->n_vocab = n;
    return US_OK;
}

static size_t category_limit(const infer *f, const us_data_col *k, bool told)
{
    if (told || k->role == US_DR_TARGET) return US_DATA_MAX_VOCAB;
    if (f->o->max_categories) return US_MIN(f->o->max_categories, US_DATA_MAX_VOCAB);
    size_t n = f->t->n_rows / 20;
    return n < 20 ? 20 : n > 200 ? 200 : n;
}

/* Counts texts; past the limit the column is text and only the number of different values goes on. */
static us_err infer_texts(infer *f, us_data_col *k, const us_column *col, bool told)
{
    us_ctx *c = f->c;
    us_map seen;
    US_VEC(entry) v = {0};
    us_distinct d;
    us_moments len;
    us_buf buf;
    us_err e = US_OK;
    size_t limit = category_limit(f, k, told);
    bool open = k->kind == US_DK_CATEGORICAL;
    us_map_init(&seen, f->scratch);
    us_moments_init(&len);
    us_buf_init(&buf, c, 256);
    US_TRY(us_distinct_init(c, f->scratch, &d));
    for (size_t i = 0; i < col->n; i++) {
        us_sv s = us_cell_column_text(f->s, k, col, i, &buf);
        if (s.n == 0) {
            k->n_missing++;
            continue;
        }
        us_moments_add(&len, (double)s.n);
        uint32_t at = open ? us_map_get(&seen, s) : US_MAP_NONE;
        if (at != US_MAP_NONE) {
            v.at[at].n++;
            continue;
        }
        us_distinct_add(&d, us_hash64(s.p, s.n, 0));
        if (open && v.n == limit) open = false;
        if (!open) continue;
        entry x = {s, 1};
        if (col->type != US_COL_STR || s.p == buf.p)
            US_GO(us_sv_dup(c, f->scratch, s, &x.text));
        US_GO(us_map_put(c, &seen, x.text, (uint32_t)v.n, NULL));
        US_GO(us_vec_push(c, f->scratch, &v, x));
    }
    US_GO(us_buf_check(&buf));
    k->n_distinct = us_distinct_count(&d, &k->distinct_exact);
    if (len.n) {
        k->min = len.min;
        k->max = len.max;
        k->mean = len.mean;
        k->std = us_moments_std(&len);
    }
    if (!open && k->kind == US_DK_CATEGORICAL) {
        if (told || k->role == US_DR_TARGET) {
            e = us_fail(c, US_LIMIT,
                        "column '" US_SV_FMT
                        "' has more than %zu different values; too many for "
                        "categories",
                        US_SV_ARG(k->name), limit);
            goto out;
        }
        k->kind = US_DK_TEXT;
    }
    if (open && v.n) {
        qsort(v.at, v.n, sizeof *v.at, entry_cmp);
        US_GO(keep_vocab(f, k, v.at, v.n));
    }
out:
    us_buf_deinit(&buf);
    return e;
}

static us_err cannot_read(infer *f, const us_data_col *k, const us_column *col, size_t i)
{
    us_buf b;
    us_buf_init(&b, f->c, US_CSV_MAX_FIELD + 64);
    us_col_print(col, i, &b);
    us_err e = us_fail(
        f->c, US_FORMAT,
        "column '" US_SV_FMT "', row %zu: '" US_SV_FMT "' cannot be read as %s%s",
        US_SV_ARG(k->name), i + 1, (int)US_MIN(b.n, 60), b.p ? b.p : "",
        us_data_kind_name(k->kind),
        k->kind == US_DK_TIMESTAMP ? "; ISO 8601, or seconds since 1970 when told" : "");
    us_buf_deinit(&b);
    return e;
}

/* Integers of few values list them (a class target of digits, an hour of the day). x sorted. */
static us_err vocab_of_numbers(infer *f, us_data_col *k, const double *x, size_t n)
{
    size_t m = us_distinct_sorted(x, n), j = 0;
    entry *v = us_new_n(f->scratch, entry, m);
    if (!v) return us_arena_fail(f->c, f->scratch);
    for (size_t i = 0; i < n; i++) {
        if (i && x[i] == x[i - 1]) {
            v[j - 1].n++;
            continue;
        }
        char *z = k->kind == US_DK_BOOLEAN
                      ? us_str_printf(f->scratch, "%s", x[i] != 0 ? "true" : "false")
                      : us_str_printf(f->scratch, "%lld", (long long)x[i]);
        if (!z) return us_arena_fail(f->c, f->scratch);
        v[j++] = (entry){us_sv_of(z), 1};
    }
    return keep_vocab(f, k, v, m);
}

static us_err infer_numbers(infer *f, us_data_col *k, const us_column *col)
{
    us_moments m;
    us_distinct d;
    const double *x = f->x;
    us_moments_init(&m);
    US_TRY(us_distinct_init(f->c, f->scratch, &d));
    if (col->type == US_COL_F64 && k->kind == US_DK_NUMERIC) {
        if (col->valid)
            US_TRY(us_col_to_f64(f->c, col, NULL, col->n, f->x));
        else
            x = col->data; /* in place */
    } else {
        for (size_t i = 0; i < col->n; i++)
            if (!us_cell_column_number(f->s, k, col, i, &f->x[i]))
                return cannot_read(f, k, col, i);
    }
    us_moments_add_f64(&m, x, col->n);
    for (size_t i = 0; i < col->n; i++)
        us_distinct_add_f64(&d, x[i]);
    k->n_missing = m.n_missing;
    k->n_distinct = us_distinct_count(&d, &k->distinct_exact);
    if (m.n) {
        k->min = m.min;
        k->max = m.max;
        k->mean = m.mean;
        k->std = us_moments_std(&m);
    }
    if (isinf(k->min) || isinf(k->max))
        return us_fail(f->c, US_FORMAT, "column '" US_SV_FMT "' holds infinity",
                       US_SV_ARG(k->name));
    bool few = k->distinct_exact && k->n_distinct <= US_DATA_MAX_INT_VOCAB && m.n > 0;
    if (!few || (k->kind != US_DK_INTEGER && k->kind != US_DK_BOOLEAN)) return US_OK;
    double *tmp = us_new_n(f->scratch, double, col->n);
    if (!tmp) return us_arena_fail(f->c, f->scratch);
    us_sort_f64(f->x, tmp, col->n); /* missing ones last */
    return vocab_of_numbers(f, k, f->x, m.n);
}

static us_err infer_column(infer *f, size_t i)
{
    const us_column *col = &f->t->cols[i];
    const us_schema_override *v = override_of(f->o, col->name);
    us_data_col *k = &f->s->cols[i];
    *k = (us_data_col){.kind = kind_of_storage(col->type),
                       .role = role_of(f->o, col->name),
                       .storage = col->type,
                       .n = col->n,
                       .min = (double)NAN,
                       .max = (double)NAN,
                       .mean = (double)NAN,
                       .std = (double)NAN};
    US_TRY(us_sv_dup(f->c, f->a, col->name, &k->name));
    bool told = v && v->has_kind;
    if (told) k->kind = v->kind;
    if (k->kind == US_DK_TIMESTAMP)
        k->epoch_s = (v && v->epoch_s) || col->type == US_COL_I64 || col->type == US_COL_F64;
    us_mark mark = us_arena_mark(f->scratch);
    us_err e = us_data_kind_is_string(k->kind) ? infer_texts(f, k, col, told)
                                               : infer_numbers(f, k, col);
    us_arena_reset(f->scratch, mark);
    return e;
}

static us_err copy_reading(infer *f)
{
    const us_csv_opts *o = f->o->csv;
    us_data_schema *s = f->s;
    s->delimiter = ',';
    if (!o) return US_OK;
    s->delimiter = o->delimiter ? o->delimiter : ',';
    s->trim = o->trim;
    s->missing = us_new_n(f->a, us_sv, o->n_missing);
    s->maps = us_new_n(f->a, us_csv_map, o->n_maps);
    if (!s->missing || !s->maps) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < o->n_missing; i++)
        US_TRY(us_sv_dup(f->c, f->a, o->missing[i], &s->missing[i]));
    for (size_t i = 0; i < o->n_maps; i++) {
        US_TRY(us_sv_dup(f->c, f->a, o->maps[i].column, &s->maps[i].column));
        US_TRY(us_sv_dup(f->c, f->a, o->maps[i].from, &s->maps[i].from));
        US_TRY(us_sv_dup(f->c, f->a, o->maps[i].to, &s->maps[i].to));
    }
    s->n_missing = o->n_missing;
    s->n_maps = o->n_maps;
    return US_OK;
}

us_err us_schema_infer(us_ctx *c, us_arena *a, const us_table *t, const us_schema_opts *o,
                       us_data_schema *out)
{
    us_schema_opts none = {0};
    us_data_schema s = {
        .version = US_DATA_SCHEMA_VERSION, .n_rows = t->n_rows, .n_cols = t->n_cols};
    infer f = {.c = c, .a = a, .t = t, .o = o ? o : &none, .s = &s};
    us_err e = US_OK;
    US_TRY(check_names(&f));
    US_TRY(us_arena_new(c, "schema", US_TABLE_CAP, &f.scratch));
    s.cols = us_new_n(a, us_data_col, t->n_cols);
    f.x = us_new_n(f.scratch, double, t->n_rows);
    if (!s.cols || !f.x) {
        e = us_arena_fail(c, s.cols ? f.scratch : a);
        goto out;
    }
    US_GO(copy_reading(&f));
    for (size_t i = 0; i < t->n_cols; i++)
        US_GO(infer_column(&f, i));
    *out = s;
out:
    us_arena_free(f.scratch);
    return e;
}
