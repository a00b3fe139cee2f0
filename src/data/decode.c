/* data/decode.c - the decoder itself: cells into input tensors; tables, CSV, targets. decode_json.c has JSON and tensors. */
#include "data/decode.h"

#include <math.h>
#include <string.h>

#include "data/cell.h"
#include "data/decode_sink.h"

us_err us_decoder_init(us_ctx *c, us_arena *a, const us_data_schema *s, us_pack pack,
                       us_decoder *out)
{
    us_decoder d = {.schema = s, .n_features = us_schema_n_features(s), .packed = true};
    size_t j = 0;
    if (d.n_features == 0)
        return us_fail(c, US_ARG,
                       "the schema has no feature: every column is target or excluded");
    d.features = us_new_n(a, const us_data_col *, d.n_features);
    d.inputs = us_new_n(a, us_decode_input, d.n_features);
    if (!d.features || !d.inputs) return us_arena_fail(c, a);
    us_map_init(&d.by_name, a);
    for (size_t i = 0; i < s->n_cols; i++) {
        const us_data_col *k = &s->cols[i];
        if (k->role != US_DR_FEATURE) continue;
        d.packed &= !us_data_kind_is_string(k->kind) && k->kind != US_DK_TIMESTAMP;
        US_TRY(us_map_put(c, &d.by_name, k->name, (uint32_t)j, NULL));
        d.features[j++] = k;
    }
    d.packed &= pack == US_PACK_AUTO;
    d.n_inputs = d.packed ? 1 : d.n_features;
    if (d.packed) {
        d.inputs[0] = (us_decode_input){US_SV("features"), US_F32, (int64_t)d.n_features, 0};
    }
    for (size_t i = 0; i < d.n_features && !d.packed; i++) {
        us_data_kind k = d.features[i]->kind;
        us_dtype t = us_data_kind_is_string(k) ? US_STRING
                     : k == US_DK_TIMESTAMP    ? US_I64
                                               : US_F32;
        d.inputs[i] = (us_decode_input){d.features[i]->name, t, 1, i};
    }
    *out = d;
    return US_OK;
}

/* --- the sink: where cells go ------------------------------------------------------------------------- */

us_err us_sink_init(us_ctx *c, us_arena *a, const us_decoder *d, size_t n, us_sink *s)
{
    us_sink r = {.c = c, .a = a, .d = d, .n = n};
    if (n > US_TABLE_MAX_ROWS) return us_fail(c, US_LIMIT, "%zu rows at once", n);
    r.in = us_new_n(a, us_value, d->n_inputs);
    if (!r.in) return us_arena_fail(c, a);
    for (size_t i = 0; i < d->n_inputs; i++) {
        us_tensor t;
        int64_t dims[2] = {(int64_t)n, d->inputs[i].width};
        US_TRY(us_tensor_new(c, a, d->inputs[i].dtype, 2, dims, &t));
        r.in[i] = us_value_of(&t);
    }
    us_buf_init(&r.buf, c, US_CSV_MAX_FIELD + 64);
    *s = r;
    return US_OK;
}

void us_sink_deinit(us_sink *s)
{
    us_buf_deinit(&s->buf);
}

static us_tensor *tensor_of(us_sink *s, size_t f)
{
    return &s->in[s->d->packed ? 0 : f].t;
}

void us_sink_number(us_sink *s, size_t f, size_t row, double x)
{
    size_t at = s->d->packed ? row * s->d->n_features + f : row;
    ((float *)tensor_of(s, f)->data)[at] = (float)us_cell_canonical(x);
}

void us_sink_time(us_sink *s, size_t f, size_t row, int64_t us)
{
    ((int64_t *)tensor_of(s, f)->data)[row] = us;
}

us_err us_sink_string(us_sink *s, size_t f, size_t row, us_sv x)
{
    us_sv own = {0};
    if (x.n) US_TRY(us_sv_dup(s->c, s->a, x, &own));
    ((us_sv *)tensor_of(s, f)->data)[row] = own;
    return US_OK;
}

us_err us_sink_bad(us_sink *s, size_t f, size_t row, us_sv found)
{
    static const char *const expected[] = {
        [US_DK_NUMERIC] = "a number",
        [US_DK_INTEGER] = "an integer",
        [US_DK_BOOLEAN] = "true or false",
        [US_DK_CATEGORICAL] = "a text",
        [US_DK_TEXT] = "a text",
        [US_DK_TIMESTAMP] = "a time in ISO 8601 (2011-01-01T05:00:00Z)",
    };
    const us_data_col *k = s->d->features[f];
    us_sv cut = {found.p, US_MIN(found.n, (size_t)60)};
    return us_fail(
        s->c, US_FORMAT, "row %zu, column '" US_SV_FMT "': found '" US_SV_FMT "', expected %s",
        row + 1, US_SV_ARG(k->name), US_SV_ARG(cut),
        k->kind == US_DK_TIMESTAMP && k->epoch_s ? "seconds since 1970" : expected[k->kind]);
}

void us_sink_missing(us_sink *s, size_t f, size_t row)
{
    us_data_kind k = s->d->features[f]->kind;
    if (k == US_DK_TIMESTAMP)
        us_sink_time(s, f, row, US_TIME_MISSING);
    else if (!us_data_kind_is_string(k))
        us_sink_number(s, f, row, (double)NAN);
}

us_err us_sink_text(us_sink *s, size_t f, size_t row, us_sv v)
{
    const us_data_schema *sc = s->d->schema;
    const us_data_col *k = s->d->features[f];
    double x;
    int64_t t;
    v = us_cell_map(v, k->name, sc->maps, sc->n_maps);
    if (us_cell_missing(v, sc->missing, sc->n_missing)) {
        us_sink_missing(s, f, row);
        return US_OK;
    }
    if (v.n > US_CSV_MAX_FIELD) return us_sink_bad(s, f, row, v);
    if (us_data_kind_is_string(k->kind)) {
        if (!us_utf8_valid(v)) return us_sink_bad(s, f, row, v);
        us_sv text = us_cell_text_category(k, v, &s->buf);
        US_TRY(us_buf_check(&s->buf));
        return us_sink_string(s, f, row, text);
    }
    if (k->kind == US_DK_TIMESTAMP) {
        if (!us_cell_text_time(k, v, &t)) return us_sink_bad(s, f, row, v);
        us_sink_time(s, f, row, t);
        return US_OK;
    }
    if (!us_cell_text_number(k, v, &x)) return us_sink_bad(s, f, row, v);
    us_sink_number(s, f, row, x);
    return US_OK;
}

/* --- tables ------------------------------------------------------------------------------------------- */

static us_err table_cell(us_sink *s, size_t f, size_t row, const us_column *col, size_t i)
{
    const us_data_schema *sc = s->d->schema;
    const us_data_col *k = s->d->features[f];
    bool ok = true;
    double x;
    int64_t t;
    if (us_data_kind_is_string(k->kind)) {
        us_sv v = us_cell_column_text(sc, k, col, i, &s->buf);
        US_TRY(us_buf_check(&s->buf));
        return us_sink_string(s, f, row, v);
    }
    if (k->kind == US_DK_TIMESTAMP) {
        ok = us_cell_column_time(sc, k, col, i, &t);
        us_sink_time(s, f, row, t);
    } else {
        ok = us_cell_column_number(sc, k, col, i, &x);
        us_sink_number(s, f, row, x);
    }
    if (ok) return US_OK;
    us_buf_clear(&s->buf);
    us_col_print(col, i, &s->buf);
    return us_sink_bad(s, f, row, us_buf_sv(&s->buf));
}

static us_err table_rows(us_sink *s, const us_table *t, const uint32_t *rows)
{
    for (size_t f = 0; f < s->d->n_features; f++) {
        const us_column *col;
        US_TRY(us_table_get(s->c, t, s->d->features[f]->name, &col));
        for (size_t j = 0; j < s->n; j++) {
            size_t i = rows ? rows[j] : j;
            if (i >= t->n_rows)
                return us_fail(s->c, US_ARG, "row %zu of a table of %zu rows", i, t->n_rows);
            US_TRY(table_cell(s, f, j, col, i));
        }
    }
    return US_OK;
}

us_err us_decode_table(us_ctx *c, us_arena *a, const us_decoder *d, const us_table *t,
                       const uint32_t *rows, size_t n, us_value *in)
{
    us_sink s;
    US_TRY(us_sink_init(c, a, d, n, &s));
    us_err e = table_rows(&s, t, rows);
    if (e == US_OK) memcpy(in, s.in, d->n_inputs * sizeof *in);
    us_sink_deinit(&s);
    return e;
}

/* --- CSV ---------------------------------------------------------------------------------------------- */

typedef struct csv_plan {
    size_t n_fields;
    uint32_t *feature; /* per field: which feature, US_MAP_NONE: not used */
} csv_plan;

static us_err plan_by_header(us_ctx *c, us_arena *a, const us_decoder *d, const us_csv_walk *w,
                             csv_plan *p)
{
    bool *seen = us_new_n(a, bool, d->n_features);
    p->n_fields = w->fields.n;
    p->feature = us_new_n(a, uint32_t, w->fields.n);
    if (!seen || !p->feature) return us_arena_fail(c, a);
    for (size_t i = 0; i < w->fields.n; i++) {
        us_sv name = us_sv_trim(w->fields.at[i]);
        uint32_t f = us_map_get(&d->by_name, name);
        if (f != US_MAP_NONE && seen[f])
            return us_fail(c, US_FORMAT, "the header names column '" US_SV_FMT "' twice",
                           US_SV_ARG(name));
        if (f != US_MAP_NONE) seen[f] = true;
        p->feature[i] = f;
    }
    for (size_t f = 0; f < d->n_features; f++)
        if (!seen[f])
            return us_fail(c, US_FORMAT, "the header lacks column '" US_SV_FMT "'",
                           US_SV_ARG(d->features[f]->name));
    return US_OK;
}

/* Without a header: the features in order, or all columns of the schema, or all but the target. */
static us_err plan_by_order(us_ctx *c, us_arena *a, const us_decoder *d, size_t n, csv_plan *p)
{
    const us_data_schema *s = d->schema;
    size_t n_target = us_schema_target(s) != NULL, at = 0;
    p->n_fields = n;
    p->feature = us_new_n(a, uint32_t, US_MAX(n, 1));
    if (!p->feature) return us_arena_fail(c, a);
    if (n == d->n_features) {
        for (size_t i = 0; i < n; i++)
            p->feature[i] = (uint32_t)i;
        return US_OK;
    }
    if (n != s->n_cols && n + n_target != s->n_cols)
        return us_fail(c, US_FORMAT, "row 1 has %zu fields, expected the %zu features", n,
                       d->n_features);
    for (size_t i = 0; i < s->n_cols && at < n; i++) {
        if (n != s->n_cols && s->cols[i].role == US_DR_TARGET) continue;
        p->feature[at++] = s->cols[i].role == US_DR_FEATURE
                               ? us_map_get(&d->by_name, s->cols[i].name)
                               : US_MAP_NONE;
    }
    return US_OK;
}

/* Two walks: one counts, so that the tensors have their size; one fills. */
static us_err csv_count(us_csv_walk w, size_t *n)
{
    bool more;
    for (*n = 0;; ++*n) {
        US_TRY(us_csv_walk_next(&w, &more));
        if (!more) return US_OK;
        if (*n == US_DECODE_MAX_ROWS)
            return us_fail(w.c, US_LIMIT, "more than %zu rows", US_DECODE_MAX_ROWS);
    }
}

static us_err csv_fill(us_sink *s, us_csv_walk *w, const csv_plan *p)
{
    bool more;
    for (size_t row = 0; row < s->n; row++) {
        US_TRY(us_csv_walk_next(w, &more));
        if (w->fields.n != p->n_fields)
            return us_fail(s->c, US_FORMAT, "row %zu has %zu fields, expected %zu", row + 1,
                           w->fields.n, p->n_fields);
        for (size_t i = 0; i < p->n_fields; i++)
            if (p->feature[i] != US_MAP_NONE)
                US_TRY(us_sink_text(s, p->feature[i], row, w->fields.at[i]));
    }
    return US_OK;
}

us_err us_decode_csv(us_ctx *c, us_arena *a, const us_decoder *d, us_sv text, bool header,
                     size_t *n_rows, us_value *in)
{
    us_csv_opts o = {.delimiter = d->schema->delimiter, .trim = d->schema->trim};
    us_csv_walk w;
    csv_plan p = {0};
    us_sink s;
    size_t n;
    bool more = false;
    US_TRY(us_csv_walk_init(c, a, "rows", text, &o, &w));
    if (header) {
        US_TRY(us_csv_walk_next(&w, &more));
        if (!more) return us_fail(c, US_FORMAT, "no header line in the rows");
        US_TRY(plan_by_header(c, a, d, &w, &p));
    }
    US_TRY(csv_count(w, &n));
    if (n == 0) return us_fail(c, US_FORMAT, "no rows");
    if (!header) {
        us_csv_walk first = w;
        first.fields.at = NULL;
        first.fields.cap = first.fields.n = 0;
        US_TRY(us_csv_walk_next(&first, &more));
        US_TRY(plan_by_order(c, a, d, first.fields.n, &p));
    }
    US_TRY(us_sink_init(c, a, d, n, &s));
    us_err e = csv_fill(&s, &w, &p);
    if (e == US_OK) {
        memcpy(in, s.in, d->n_inputs * sizeof *in);
        *n_rows = n;
    }
    us_sink_deinit(&s);
    return e;
}

/* --- reading decoded inputs back ------------------------------------------------------------------------ */

bool us_decoded_is_string(const us_decoder *d, size_t f)
{
    return us_data_kind_is_string(d->features[f]->kind);
}

double us_decoded_number(const us_decoder *d, const us_value *in, size_t f, size_t row)
{
    if (d->packed) return (double)((const float *)in[0].t.data)[row * d->n_features + f];
    if (d->features[f]->kind == US_DK_TIMESTAMP) {
        int64_t t = ((const int64_t *)in[f].t.data)[row];
        return t == US_TIME_MISSING ? (double)NAN : (double)t;
    }
    return (double)((const float *)in[f].t.data)[row];
}

us_sv us_decoded_string(const us_decoder *d, const us_value *in, size_t f, size_t row)
{
    (void)d;
    return ((const us_sv *)in[f].t.data)[row];
}

/* --- targets -------------------------------------------------------------------------------------------- */

static us_err need_target(us_ctx *c, const us_data_schema *s, const us_data_col **k)
{
    *k = us_schema_target(s);
    return *k ? US_OK : us_fail(c, US_ARG, "the schema names no target column");
}

us_err us_target_classes(us_ctx *c, us_arena *a, const us_data_schema *s, us_sv **classes,
                         size_t *k)
{
    const us_data_col *t;
    US_TRY(need_target(c, s, &t));
    if (t->n_vocab < 2)
        return us_fail(c, US_ARG,
                       "target '" US_SV_FMT "' (%s) has %zu class%s; classification needs at "
                       "least two%s",
                       US_SV_ARG(t->name), us_data_kind_name(t->kind), t->n_vocab,
                       t->n_vocab == 1 ? "" : "es",
                       t->kind == US_DK_NUMERIC
                           ? "; declare its kind as category, or use regression"
                           : "");
    us_sv *r = us_new_n(a, us_sv, t->n_vocab);
    if (!r) return us_arena_fail(c, a);
    for (size_t i = 0; i < t->n_vocab; i++)
        US_TRY(us_sv_dup(c, a, t->vocab[i], &r[i]));
    *classes = r;
    *k = t->n_vocab;
    return US_OK;
}

static us_err target_text(us_ctx *c, const us_data_schema *s, const us_data_col *k,
                          const us_column *col, size_t i, us_buf *buf, us_sv *out)
{
    double x;
    if (k->kind != US_DK_INTEGER && k->kind != US_DK_BOOLEAN) {
        *out = us_cell_column_text(s, k, col, i, buf);
        return us_buf_check(buf);
    }
    us_buf_clear(buf);
    if (!us_cell_column_number(s, k, col, i, &x))
        return us_fail(c, US_FORMAT, "target '" US_SV_FMT "', row %zu: not %s",
                       US_SV_ARG(k->name), i + 1, us_data_kind_name(k->kind));
    if (k->kind == US_DK_BOOLEAN && !isnan(x)) us_buf_adds(buf, x != 0 ? "true" : "false");
    if (k->kind == US_DK_INTEGER && !isnan(x)) us_buf_addf(buf, "%lld", (long long)x);
    *out = us_buf_sv(buf);
    return us_buf_check(buf);
}

us_err us_target_index(us_ctx *c, const us_data_schema *s, const us_table *t,
                       const us_sv *classes, size_t k, const uint32_t *rows, size_t n,
                       bool allow_missing, int32_t *out)
{
    const us_data_col *tc;
    const us_column *col;
    us_arena *a = NULL;
    us_map at;
    us_buf buf;
    us_err e = US_OK;
    US_TRY(need_target(c, s, &tc));
    US_TRY(us_table_get(c, t, tc->name, &col));
    US_TRY(us_arena_new(c, "classes", (size_t)1 << 28, &a));
    us_map_init(&at, a);
    us_buf_init(&buf, c, US_CSV_MAX_FIELD);
    for (size_t i = 0; i < k; i++)
        US_GO(us_map_put(c, &at, classes[i], (uint32_t)i, NULL));
    for (size_t j = 0; j < n; j++) {
        size_t i = rows ? rows[j] : j;
        us_sv v = {0};
        US_GO(target_text(c, s, tc, col, i, &buf, &v));
        if (v.n == 0 && !allow_missing) {
            e = us_fail(c, US_FORMAT,
                        "target '" US_SV_FMT "' is missing in row %zu; it must be known in "
                        "every row that is used: fill it in or delete the row",
                        US_SV_ARG(tc->name), i + 1);
            goto out;
        }
        uint32_t x = us_map_get(&at, v);
        out[j] = x == US_MAP_NONE ? -1 : (int32_t)x;
    }
out:
    us_buf_deinit(&buf);
    us_arena_free(a);
    return e;
}

us_err us_target_number(us_ctx *c, const us_data_schema *s, const us_table *t,
                        const uint32_t *rows, size_t n, double *out)
{
    const us_data_col *k;
    const us_column *col;
    US_TRY(need_target(c, s, &k));
    US_TRY(us_table_get(c, t, k->name, &col));
    if (us_data_kind_is_string(k->kind) || k->kind == US_DK_TIMESTAMP)
        return us_fail(c, US_ARG, "target '" US_SV_FMT "' is %s, regression needs a number",
                       US_SV_ARG(k->name), us_data_kind_name(k->kind));
    for (size_t j = 0; j < n; j++) {
        size_t i = rows ? rows[j] : j;
        if (!us_cell_column_number(s, k, col, i, &out[j]) || isnan(out[j]))
            return us_fail(c, US_FORMAT,
                           "target '" US_SV_FMT "' has no number in row %zu; it must be known "
                           "in every row that is used: fill it in or delete the row",
                           US_SV_ARG(k->name), i + 1);
    }
    return US_OK;
}

us_err us_target_task(us_ctx *c, const us_data_schema *s, us_task *out)
{
    const us_data_col *k;
    US_TRY(need_target(c, s, &k));
    bool few = k->kind == US_DK_INTEGER && k->n_vocab > 0 && k->n_vocab <= 20;
    *out = few || k->kind == US_DK_BOOLEAN || us_data_kind_is_string(k->kind) ? US_TASK_CLASSES
                                                                              : US_TASK_VALUE;
    return US_OK;
}
