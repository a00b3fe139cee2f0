/* data/csv.c - CSV text into a typed table.
 *
 * Columns are typed while they are parsed. A column starts unknown; its first value makes it integer, float, boolean or
 * text; integers turn into floats in place; a number column that meets a text is marked and parsed once more, alone, as
 * text (at most one more walk over the input). Memory is bounded beforehand: a record of D fields takes at least D bytes,
 * so rows * columns <= bytes. Numbers are read where they stand by a short loop that ends at the delimiter (up to 18
 * digits, exact by Clinger's rule: mantissa < 2^53 and a power of ten <= 10^22); anything else takes the slow way.
 */
#include "data/csv.h"

#include <string.h>

#include "data/cell.h"
#include "data/csv_scan.h"

typedef enum mode { M_UNKNOWN, M_I64, M_F64, M_BOOL, M_STR, M_FAILED, M_SKIP } mode;

typedef struct col {
    mode mode;
    us_sv name;
    union {
        int64_t *i64;
        double *f64;
    } num;          /* n_cap values */
    us_sv *text;    /* n_cap views */
    uint8_t *valid; /* NULL while nothing is missing */
    bool keep_text;
    bool has_maps;
} col;

typedef struct reader {
    us_ctx *c;
    const us_csv_opts *o;
    us_csv_scan s;
    us_arena *scratch;
    us_table *t;
    col *cols;
    size_t n_cols, n_cap, n_rows;
    const char *body; /* first data record */
    us_csv_report report;
} reader;

void us_csv_defaults(us_csv_opts *o)
{
    *o = (us_csv_opts){0};
}

/* --- the first record: delimiter, names ------------------------------------------------------------ */

static bool names_equal(const us_csv_walk *w, const us_csv_opts *o)
{
    if (w->fields.n != o->n_names) return false;
    for (size_t i = 0; i < o->n_names; i++)
        if (!us_sv_eq(us_sv_trim(w->fields.at[i]), us_sv_trim(o->names[i]))) return false;
    return true;
}

static us_err looks_like_header(reader *r, const us_csv_walk *w, bool *out)
{
    us_map seen;
    us_map_init(&seen, r->scratch);
    *out = false;
    if (r->o->n_names) {
        *out = names_equal(w, r->o);
        return US_OK;
    }
    for (size_t i = 0; i < w->fields.n; i++) {
        double v;
        uint32_t was = US_MAP_NONE;
        us_sv f = us_sv_trim(w->fields.at[i]);
        if (f.n == 0) continue;
        if (us_cell_number(f, &v)) return US_OK;
        US_TRY(us_map_put(r->c, &seen, f, 0, &was));
        if (was != US_MAP_NONE) return US_OK;
    }
    *out = true;
    return US_OK;
}

static us_err name_columns(reader *r, const us_csv_walk *w, bool header)
{
    size_t n = w->fields.n;
    if (r->o->n_names && r->o->n_names != n)
        return us_fail(r->c, US_FORMAT, "%s:%zu: %zu fields, but %zu column names were given",
                       r->s.name, us_csv_line(w), n, r->o->n_names);
    r->n_cols = n;
    r->cols = us_new_n(r->scratch, col, n);
    if (!r->cols) return us_arena_fail(r->c, r->scratch);
    for (size_t i = 0; i < n; i++) {
        us_sv name = {0};
        if (r->o->n_names)
            name = us_sv_trim(r->o->names[i]);
        else if (header)
            name = us_sv_trim(w->fields.at[i]);
        if (name.n > 4096)
            return us_fail(r->c, US_LIMIT,
                           "%s: the name of column %zu has %zu bytes, at most 4096", r->s.name,
                           i + 1, name.n);
        if (!us_utf8_valid(name))
            return us_fail(r->c, US_FORMAT, "%s: the name of column %zu is not UTF-8",
                           r->s.name, i + 1);
        if (name.n == 0) {
            char *z = us_str_printf(r->scratch, "c%zu", i);
            if (!z) return us_arena_fail(r->c, r->scratch);
            name = us_sv_of(z);
        } else {
            US_TRY(us_sv_dup(r->c, r->scratch, name, &name));
        }
        r->cols[i].name = name;
    }
    return US_OK;
}

static void column_options(reader *r)
{
    for (size_t i = 0; i < r->n_cols; i++) {
        col *k = &r->cols[i];
        for (size_t j = 0; j < r->o->n_as_text; j++)
            k->keep_text |= us_sv_eq(r->o->as_text[j], k->name);
        for (size_t j = 0; j < r->o->n_maps; j++)
            k->has_maps |=
                r->o->maps[j].column.n == 0 || us_sv_eq(r->o->maps[j].column, k->name);
    }
}

static us_err read_head(reader *r, us_sv text)
{
    us_csv_walk w;
    bool more, header = r->o->header == US_CSV_HEADER_YES;
    US_TRY(us_csv_walk_init(r->c, r->scratch, r->s.name, text, r->o, &w));
    US_TRY(us_csv_walk_next(&w, &more));
    if (!more)
        return us_fail(r->c, US_FORMAT, "%s: no records; expected at least a header line",
                       r->s.name);
    if (r->o->header == US_CSV_HEADER_AUTO) US_TRY(looks_like_header(r, &w, &header));
    US_TRY(name_columns(r, &w, header));
    column_options(r);
    r->s.begin = w.begin;
    r->s.delimiter = w.delimiter;
    r->body = header ? w.p : w.record;
    r->report.delimiter = w.delimiter;
    r->report.had_header = header;
    return US_OK;
}

/* Line ends in the body bound the records (CR alone counts when there is no LF at all). */
static size_t count_ends(const char *p, const char *end)
{
    size_t n = 1;
    for (const char *q = p; q < end && (q = memchr(q, '\n', (size_t)(end - q))); q++)
        n++;
    if (n > 1) {
        /* a lone CR ends a record as well; files that mix both are rare but must not overflow */
        for (const char *q = p; q < end && (q = memchr(q, '\r', (size_t)(end - q))); q++)
            n += q + 1 == end || q[1] != '\n';
        return n;
    }
    for (const char *q = p; q < end && (q = memchr(q, '\r', (size_t)(end - q))); q++)
        n++;
    return n;
}

/* --- cells ------------------------------------------------------------------------------------------ */

static us_err need_num(reader *r, col *k)
{
    if (k->num.i64) return US_OK;
    k->num.i64 = us_arena_alloc(r->t->arena, US_MAX(r->n_cap, 1), 8, 64);
    return k->num.i64 ? US_OK : us_arena_fail(r->c, r->t->arena);
}

static us_err set_missing(reader *r, col *k)
{
    size_t n = (r->n_cap + 7) / 8;
    if (!k->valid) {
        k->valid = us_arena_alloc(r->t->arena, US_MAX(n, 1), 1, 64);
        if (!k->valid) return us_arena_fail(r->c, r->t->arena);
        memset(k->valid, 0xFF, n);
    }
    size_t i = r->n_rows;
    k->valid[i >> 3] = (uint8_t)(k->valid[i >> 3] & ~(1u << (i & 7)));
    return US_OK;
}

static us_err begin_text(reader *r, col *k)
{
    k->mode = M_STR;
    if (k->text) return US_OK;
    k->text = us_new_n(r->scratch, us_sv, US_MAX(r->n_cap, 1));
    return k->text ? US_OK : us_arena_fail(r->c, r->scratch);
}

/* The first value of a column decides what it may be. */
static us_err decide(reader *r, col *k, us_sv v)
{
    int64_t i;
    double d;
    bool b;
    if (k->keep_text) return begin_text(r, k);
    if (us_parse_i64(us_sv_trim(v), &i))
        k->mode = M_I64;
    else if (us_cell_number(v, &d))
        k->mode = M_F64;
    else if (us_cell_bool(v, &b))
        k->mode = M_BOOL;
    else
        return begin_text(r, k);
    return need_num(r, k);
}

static void to_floats(reader *r, col *k)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        int64_t v = k->num.i64[i];
        k->num.f64[i] = (double)v;
    }
    k->mode = M_F64;
}

static us_err set_cell(reader *r, col *k, us_sv v)
{
    size_t i = r->n_rows;
    double d;
    bool b;
    if (k->mode == M_UNKNOWN) US_TRY(decide(r, k, v));
    if (k->mode == M_STR) {
        k->text[i] = v;
        return US_OK;
    }
    if (k->mode == M_BOOL) {
        if (us_cell_bool(v, &b))
            k->num.i64[i] = b;
        else
            k->mode = M_FAILED;
        return US_OK;
    }
    if (k->mode == M_I64) {
        if (us_parse_i64(us_sv_trim(v), &k->num.i64[i])) return US_OK;
        if (us_cell_number(v, &d)) to_floats(r, k);
    }
    if (k->mode == M_F64 && us_cell_number(v, &d)) {
        if (isnan(d)) return set_missing(r, k);
        k->num.f64[i] = d;
    } else {
        k->mode = M_FAILED;
    }
    return US_OK;
}

static us_err slow_cell(reader *r, col *k, const char **p, bool *last)
{
    us_sv v;
    US_TRY(us_csv_field(&r->s, p, &v, last));
    if (k->mode >= M_FAILED) return US_OK;
    if (k->has_maps) v = us_cell_map(v, k->name, r->o->maps, r->o->n_maps);
    if (us_cell_missing(v, r->o->missing, r->o->n_missing)) return set_missing(r, k);
    return set_cell(r, k, v);
}

#define FAST_BYTES                                                                             \
    40 /* must be left in the buffer: sign, 18 digits, point, line end, and to spare */

static const double pow10_table[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Plain decimal number that ends right at a delimiter or line feed; false: take the slow way. */
static bool fast_cell(reader *r, col *k, const char **pp, bool *last)
{
    const char *p = *pp;
    bool neg = *p == '-';
    p += neg;
    const char *start = p;
    uint64_t m = 0;
    unsigned d;
    while ((d = (unsigned)*p - '0') < 10 && p < start + 18) {
        m = m * 10 + d;
        p++;
    }
    size_t n_digits = (size_t)(p - start), n_frac = 0;
    if (*p == '.') {
        const char *dot = ++p;
        while ((d = (unsigned)*p - '0') < 10 && p < dot + 18) {
            m = m * 10 + d;
            p++;
        }
        n_frac = (size_t)(p - dot);
        if (k->mode == M_I64) return false;
        n_digits += n_frac;
    }
    if (n_digits == 0 || n_digits > 18) return false;
    bool eol = *p == '\n';
    if (!eol && *p != r->s.delimiter) return false;
    if (k->mode == M_I64) {
        k->num.i64[r->n_rows] = neg ? -(int64_t)m : (int64_t)m;
    } else {
        if (m >> 53) return false;
        double v = (double)m / pow10_table[n_frac];
        k->num.f64[r->n_rows] = neg ? 0.0 - v : v;
    }
    *last = eol;
    *pp = p + 1;
    return true;
}

/* --- records ---------------------------------------------------------------------------------------- */

static us_err bad_record(reader *r, const char *record, size_t n)
{
    return us_fail(r->c, US_FORMAT, "%s:%zu: %zu field%s, expected %zu", r->s.name,
                   us_csv_line_of(&r->s, record), n, n == 1 ? "" : "s", r->n_cols);
}

/* With skip_bad a record is counted before it may touch any column. */
static us_err record_ok(reader *r, const char **p, bool *ok)
{
    size_t n, max = r->o->max_bad ? r->o->max_bad : 1000;
    const char *next;
    US_TRY(us_csv_count(&r->s, *p, &n, &next));
    *ok = n == r->n_cols;
    if (*ok) return US_OK;
    if (r->report.n_bad++ == 0) r->report.first_bad_line = us_csv_line_of(&r->s, *p);
    if (r->report.n_bad > max)
        return us_fail(r->c, US_FORMAT,
                       "%s: more than %zu records with a wrong number of fields (the first at "
                       "line %zu); expected %zu fields: is the delimiter '%c' right?",
                       r->s.name, max, r->report.first_bad_line, r->n_cols, r->s.delimiter);
    *p = next;
    return US_OK;
}

static us_err read_record(reader *r, const char **pp)
{
    const char *p = *pp, *safe_end = r->s.end;
    bool last = false;
    for (size_t j = 0; j < r->n_cols; j++) {
        col *k = &r->cols[j];
        if (last) return bad_record(r, *pp, j);
        if (r->s.trim)
            while (p < safe_end && *p == ' ' && r->s.delimiter != ' ')
                p++;
        bool number = (k->mode == M_I64 || k->mode == M_F64) && !k->has_maps;
        if (number && safe_end - p >= FAST_BYTES && fast_cell(r, k, &p, &last)) continue;
        US_TRY(slow_cell(r, k, &p, &last));
    }
    if (!last) {
        size_t n;
        US_TRY(us_csv_count(&r->s, *pp, &n, &p));
        return bad_record(r, *pp, n);
    }
    *pp = p;
    return US_OK;
}

static us_err read_records(reader *r)
{
    size_t max_rows = r->o->max_rows ? r->o->max_rows : US_TABLE_MAX_ROWS;
    const char *p = r->body;
    r->n_rows = 0;
    r->report.n_bad = 0;
    while ((p = us_csv_skip(&r->s, p)) < r->s.end) {
        bool ok = true;
        if (r->o->skip_bad) US_TRY(record_ok(r, &p, &ok));
        if (!ok) continue;
        if (r->n_rows >= max_rows)
            return us_fail(r->c, US_LIMIT, "%s: more than %zu rows", r->s.name, max_rows);
        if (r->n_rows >= r->n_cap)
            return us_fail(r->c, US_BUG, "%s: more records than line ends", r->s.name);
        US_TRY(read_record(r, &p));
        if ((++r->n_rows & 0xFFFF) == 0) US_TRY(us_ctx_poll(r->c));
    }
    return US_OK;
}

/* --- from parsed cells to Arrow buffers ------------------------------------------------------------ */

/* Bits past the last row are zero: the bytes of a table are a function of its contents. */
static void clear_tail(uint8_t *bits, size_t n)
{
    if (bits && (n & 7)) bits[n >> 3] = (uint8_t)(bits[n >> 3] & ((1u << (n & 7)) - 1));
}

static us_err check_utf8(reader *r, const col *k)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (!us_utf8_valid(k->text[i]))
            return us_fail(r->c, US_FORMAT,
                           "%s: column '" US_SV_FMT "', data row %zu: the text is not UTF-8; "
                           "convert the file (iconv -f latin1 -t utf8)",
                           r->s.name, US_SV_ARG(k->name), i + 1);
    return US_OK;
}

static us_err finish_text(reader *r, col *k, us_column *out)
{
    size_t n_bytes = 0, n = r->n_rows;
    US_TRY(check_utf8(r, k));
    for (size_t i = 0; i < n; i++)
        n_bytes += k->text[i].n;
    char *data = us_arena_alloc(r->t->arena, US_MAX(n_bytes, 1), 1, 64);
    int64_t *offsets = us_arena_alloc(r->t->arena, n + 1, 8, 64);
    if (!data || !offsets) return us_arena_fail(r->c, r->t->arena);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (k->text[i].n) memcpy(data + at, k->text[i].p, k->text[i].n);
        at += k->text[i].n;
        offsets[i + 1] = (int64_t)at;
    }
    out->type = US_COL_STR;
    out->data = data;
    out->offsets = offsets;
    return US_OK;
}

/* All texts are times: an int64 column instead. */
static us_err try_times(reader *r, const col *k, us_column *out, bool *done)
{
    size_t n = r->n_rows, first = 0;
    int64_t v;
    *done = false;
    while (first < n && k->text[first].n == 0)
        first++;
    if (first == n || !us_parse_time(k->text[first], &v)) return US_OK;
    for (size_t i = first; i < n; i++)
        if (k->text[i].n && !us_parse_time(k->text[i], &v)) return US_OK;
    int64_t *data = us_arena_alloc(r->t->arena, US_MAX(n, 1), 8, 64);
    if (!data) return us_arena_fail(r->c, r->t->arena);
    for (size_t i = first; i < n; i++)
        if (k->text[i].n && us_parse_time(k->text[i], &v)) data[i] = v;
    out->type = US_COL_TIME;
    out->data = data;
    *done = true;
    return US_OK;
}

static us_err finish_bool(reader *r, col *k, us_column *out)
{
    uint8_t *bits = us_arena_alloc(r->t->arena, US_MAX((r->n_rows + 7) / 8, 1), 1, 64);
    if (!bits) return us_arena_fail(r->c, r->t->arena);
    for (size_t i = 0; i < r->n_rows; i++)
        if (k->num.i64[i]) bits[i >> 3] = (uint8_t)(bits[i >> 3] | 1u << (i & 7));
    out->type = US_COL_BOOL;
    out->data = bits;
    return US_OK;
}

static us_err finish_column(reader *r, col *k, us_column *out)
{
    bool done = false;
    *out = (us_column){.n = r->n_rows, .valid = k->valid};
    US_TRY(us_sv_dup(r->c, r->t->arena, k->name, &out->name));
    clear_tail(k->valid, r->n_rows);
    if (k->mode == M_UNKNOWN) { /* nothing but missing values */
        US_TRY(need_num(r, k));
        k->mode = M_F64;
    }
    if (k->mode == M_STR) {
        if (!r->o->no_times && !k->keep_text) US_TRY(try_times(r, k, out, &done));
        if (!done) US_TRY(finish_text(r, k, out));
    } else if (k->mode == M_BOOL) {
        US_TRY(finish_bool(r, k, out));
    } else {
        out->type = k->mode == M_I64 ? US_COL_I64 : US_COL_F64;
        out->data = k->num.i64;
    }
    us_column_count_null(out);
    return US_OK;
}

static us_err finish(reader *r)
{
    us_column *cols = us_new_n(r->t->arena, us_column, r->n_cols);
    if (!cols) return us_arena_fail(r->c, r->t->arena);
    for (size_t j = 0; j < r->n_cols; j++)
        US_TRY(finish_column(r, &r->cols[j], &cols[j]));
    r->t->n_rows = r->n_rows;
    r->t->n_cols = r->n_cols;
    r->t->cols = cols;
    us_err e = us_table_index(r->c, r->t);
    if (e != US_OK) return us_wrap(r->c, e, "%s: ", r->s.name);
    return US_OK;
}

/* Marked columns are read again as text, the others left alone. */
static us_err read_again(reader *r)
{
    bool any = false;
    for (size_t j = 0; j < r->n_cols; j++)
        any |= r->cols[j].mode == M_FAILED;
    if (!any) return US_OK;
    mode *kept = us_new_n(r->scratch, mode, r->n_cols);
    if (!kept) return us_arena_fail(r->c, r->scratch);
    for (size_t j = 0; j < r->n_cols; j++) {
        col *k = &r->cols[j];
        kept[j] = k->mode;
        if (k->mode != M_FAILED) {
            k->mode = M_SKIP;
            continue;
        }
        k->valid = NULL;
        kept[j] = M_STR;
        US_TRY(begin_text(r, k));
    }
    US_TRY(read_records(r));
    for (size_t j = 0; j < r->n_cols; j++)
        r->cols[j].mode = kept[j];
    return US_OK;
}

static us_err parse(reader *r, us_sv text)
{
    r->s.end = text.p + text.n;
    r->s.comment = r->o->comment;
    r->s.trim = r->o->trim;
    r->s.arena = r->scratch;
    r->s.c = r->c;
    r->report.n_bytes = text.n;
    US_TRY(read_head(r, text));
    size_t body = (size_t)(r->s.end - r->body);
    r->n_cap = US_MIN(count_ends(r->body, r->s.end), body / r->n_cols + 1);
    US_TRY(us_table_new(r->c, 0, 0, &r->t));
    US_TRY(read_records(r));
    US_TRY(read_again(r));
    return finish(r);
}

us_err us_csv_parse(us_ctx *c, const char *name, us_sv text, const us_csv_opts *opts,
                    us_table **out, us_csv_report *report)
{
    us_csv_opts none = {0};
    reader r = {.c = c, .o = opts ? opts : &none};
    size_t max = r.o->max_bytes ? r.o->max_bytes : US_CSV_MAX_BYTES;
    if (text.n > max)
        return us_fail(c, US_LIMIT, "%s: %zu bytes, at most %zu are read", name, text.n, max);
    US_TRY(us_arena_new(c, "csv", US_TABLE_CAP, &r.scratch));
    r.s.name = name;
    us_err e = parse(&r, text);
    us_arena_free(r.scratch);
    if (e != US_OK) {
        us_table_free(r.t);
        return e;
    }
    r.report.n_rows = r.n_rows;
    if (report) *report = r.report;
    *out = r.t;
    return US_OK;
}

us_err us_csv_read(us_ctx *c, const char *path, const us_csv_opts *opts, us_table **out,
                   us_csv_report *report)
{
    size_t max = opts && opts->max_bytes ? opts->max_bytes : US_CSV_MAX_BYTES;
    us_file *f = NULL;
    US_TRY(us_file_open(c, path, max, &f));
    const uint8_t *p = us_file_data(f);
    size_t n = us_file_size(f);
    us_err e;
    if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
        us_buf b;
        us_buf_init(&b, c, US_CSV_MAX_BYTES);
        e = us_gunzip(c, path, p, n, max, &b);
        us_file_close(f);
        if (e == US_OK) e = us_csv_parse(c, path, us_buf_sv(&b), opts, out, report);
        us_buf_deinit(&b);
        return e;
    }
    e = us_csv_parse(c, path, (us_sv){(const char *)p, n}, opts, out, report);
    if (e == US_OK && !us_file_ok(f)) {
        us_table_free(*out);
        *out = NULL;
        e = us_fail(c, US_IO, "%s: the file changed while it was read", path);
    }
    us_file_close(f);
    return e;
}
