/* data/decode_json.c - rows as JSON values and as tensors of a request, through the same sink as CSV and tables. */
#include <math.h>
#include <string.h>

#include "data/cell.h"
#include "data/decode_sink.h"

/* --- JSON --------------------------------------------------------------------------------------------- */

static us_err number_cell(us_sink *s, size_t f, size_t row, double x, us_sv text)
{
    const us_data_col *k = s->d->features[f];
    if (us_data_kind_is_string(k->kind) || k->kind == US_DK_TIMESTAMP)
        return us_sink_text(s, f, row, text);
    if (isnan(x)) {
        us_sink_missing(s, f, row);
        return US_OK;
    }
    bool ok = !isinf(x) && (k->kind != US_DK_INTEGER || x == floor(x)) &&
              (k->kind != US_DK_BOOLEAN || x == 0 || x == 1);
    if (!ok) return us_sink_bad(s, f, row, text);
    us_sink_number(s, f, row, x);
    return US_OK;
}

static us_err json_cell(us_sink *s, size_t f, size_t row, const json_t *v)
{
    char z[40];
    us_sv text = {z, 0};
    if (!v || json_is_null(v)) {
        us_sink_missing(s, f, row);
        return US_OK;
    }
    if (json_is_string(v)) {
        text = (us_sv){json_string_value(v), json_string_length(v)};
        return us_sink_text(s, f, row, s->d->schema->trim ? us_sv_trim(text) : text);
    }
    if (json_is_boolean(v)) {
        text = us_sv_of(json_is_true(v) ? "true" : "false");
        if (us_data_kind_is_string(s->d->features[f]->kind))
            return us_sink_text(s, f, row, text);
        return number_cell(s, f, row, json_is_true(v), text);
    }
    if (json_is_integer(v)) {
        us_buf b;
        us_buf_init(&b, s->c, 64);
        us_buf_addf(&b, "%lld", (long long)json_integer_value(v));
        us_err e = us_buf_check(&b);
        if (e == US_OK)
            e = number_cell(s, f, row, (double)json_integer_value(v), us_buf_sv(&b));
        us_buf_deinit(&b);
        return e;
    }
    if (json_is_real(v)) {
        text.n = us_print_f64(json_real_value(v), z);
        return number_cell(s, f, row, json_real_value(v), text);
    }
    return us_sink_bad(s, f, row, us_sv_of(json_is_array(v) ? "[...]" : "{...}"));
}

static us_err unknown_name(us_sink *s, size_t row, const char *key)
{
    const us_decoder *d = s->d;
    us_arena *a = NULL;
    US_TRY(us_arena_new(s->c, "names", (size_t)1 << 26, &a));
    const char **names = us_new_n(a, const char *, d->n_features);
    size_t n = 0;
    for (; names && n < d->n_features; n++)
        if (!(names[n] = us_str_dup(a, d->features[n]->name))) break;
    const char *near = names ? us_nearest(us_sv_of(key), names, n) : NULL;
    us_err e = us_fail(s->c, US_FORMAT, "row %zu: no column '%.100s'%s%s%s", row + 1, key,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    us_arena_free(a);
    return e;
}

static us_err json_object_row(us_sink *s, size_t row, const json_t *o)
{
    const us_decoder *d = s->d;
    void *it = json_object_iter((json_t *)(uintptr_t)o);
    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)o, it)) {
        us_sv key = us_sv_of(json_object_iter_key(it));
        if (us_map_get(&d->by_name, key) == US_MAP_NONE && !us_schema_find(d->schema, key))
            return unknown_name(s, row, json_object_iter_key(it));
    }
    for (size_t f = 0; f < d->n_features; f++) {
        char name[4100];
        us_sv n = d->features[f]->name;
        if (n.n >= sizeof name)
            return us_fail(s->c, US_LIMIT, "a column name of %zu bytes", n.n);
        memcpy(name, n.p, n.n);
        name[n.n] = 0;
        US_TRY(json_cell(s, f, row, json_object_get(o, name)));
    }
    return US_OK;
}

static us_err json_row(us_sink *s, size_t row, const json_t *r)
{
    if (json_is_object(r)) return json_object_row(s, row, r);
    if (!json_is_array(r))
        return us_fail(s->c, US_FORMAT, "row %zu is neither an object nor an array", row + 1);
    if (json_array_size(r) != s->d->n_features)
        return us_fail(s->c, US_FORMAT, "row %zu has %zu values, expected the %zu features",
                       row + 1, json_array_size(r), s->d->n_features);
    for (size_t f = 0; f < s->d->n_features; f++)
        US_TRY(json_cell(s, f, row, json_array_get(r, f)));
    return US_OK;
}

us_err us_decode_json(us_ctx *c, us_arena *a, const us_decoder *d, const json_t *rows,
                      size_t *n_rows, us_value *in)
{
    us_sink s;
    us_err e = US_OK;
    const json_t *first = json_is_array(rows) ? json_array_get(rows, 0) : NULL;
    bool many = first && (json_is_object(first) || json_is_array(first));
    size_t n = many ? json_array_size(rows) : 1;
    if (json_is_array(rows) && !first) return us_fail(c, US_FORMAT, "no rows");
    if (n > US_DECODE_MAX_ROWS)
        return us_fail(c, US_LIMIT, "more than %zu rows", US_DECODE_MAX_ROWS);
    US_TRY(us_sink_init(c, a, d, n, &s));
    for (size_t i = 0; i < n && e == US_OK; i++)
        e = json_row(&s, i, many ? json_array_get(rows, i) : rows);
    if (e == US_OK) {
        memcpy(in, s.in, d->n_inputs * sizeof *in);
        *n_rows = n;
    }
    us_sink_deinit(&s);
    return e;
}

/* --- tensors ------------------------------------------------------------------------------------------ */

/* Rows of a request's tensor: [N], [N,1], or [N,width]. */
static us_err tensor_rows(us_ctx *c, us_sv name, const us_tensor *t, int64_t width, size_t *n)
{
    char dims[160];
    bool ok = (t->rank == 1 && width == 1) || (t->rank == 2 && t->dims[1] == width);
    if (!ok)
        return us_fail(c, US_SHAPE, "input '" US_SV_FMT "' has shape %s, expected [N,%lld]",
                       US_SV_ARG(name), us_dims_print(t->rank, t->dims, dims, sizeof dims),
                       (long long)width);
    if (t->dims[0] < 1 || (uint64_t)t->dims[0] > US_DECODE_MAX_ROWS)
        return us_fail(c, US_LIMIT, "input '" US_SV_FMT "' has %lld rows, expected 1 to %zu",
                       US_SV_ARG(name), (long long)t->dims[0], US_DECODE_MAX_ROWS);
    *n = (size_t)t->dims[0];
    return US_OK;
}

static us_err tensor_cell(us_sink *s, size_t f, size_t row, const us_tensor *t, int64_t i)
{
    const us_dtype_info *info = us_dtype_get(t->dtype);
    const us_data_col *k = s->d->features[f];
    char z[40];
    us_sv text = {z, 0};
    if (t->dtype == US_STRING) return us_sink_text(s, f, row, us_tensor_str_at(t, i));
    if (info->cls == US_DC_INT && k->kind == US_DK_TIMESTAMP) {
        us_sink_time(s, f, row, us_tensor_i64_at(t, i)); /* microseconds already */
        return US_OK;
    }
    double x = us_tensor_f64_at(t, i);
    if (info->cls == US_DC_BOOL && us_data_kind_is_string(k->kind))
        return us_sink_text(s, f, row, us_sv_of(x != 0 ? "true" : "false"));
    text.n = us_print_f64(x, z);
    return number_cell(s, f, row, x, text);
}

static us_err tensor_column(us_sink *s, us_sv name, const us_tensor *t, size_t f, size_t width)
{
    us_dclass cls = us_dtype_get(t->dtype)->cls;
    if (cls == US_DC_COMPLEX || cls == US_DC_NONE)
        return us_fail(s->c, US_ARG, "input '" US_SV_FMT "' has elements of type %s",
                       US_SV_ARG(name), us_dtype_get(t->dtype)->name);
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < width; j++)
            US_TRY(tensor_cell(s, f + j, i, t, (int64_t)(i * width + j)));
    return US_OK;
}

static us_err tensors_fill(us_sink *s, size_t n, const us_sv *names, const us_tensor *t,
                           bool *seen)
{
    const us_decoder *d = s->d;
    for (size_t i = 0; i < n; i++) {
        size_t rows = 0;
        bool all = d->packed && us_sv_eq(names[i], d->inputs[0].name);
        uint32_t f = all ? 0 : us_map_get(&d->by_name, names[i]);
        size_t width = all ? d->n_features : 1;
        if (f == US_MAP_NONE)
            return us_fail(s->c, US_NOTFOUND, "the model has no input '" US_SV_FMT "'",
                           US_SV_ARG(names[i]));
        US_TRY(tensor_rows(s->c, names[i], &t[i], (int64_t)width, &rows));
        if (rows != s->n)
            return us_fail(s->c, US_SHAPE,
                           "input '" US_SV_FMT "' has %zu rows, the first has %zu",
                           US_SV_ARG(names[i]), rows, s->n);
        for (size_t j = f; j < f + width; j++) {
            if (seen[j])
                return us_fail(s->c, US_ARG, "input '" US_SV_FMT "' is given twice",
                               US_SV_ARG(names[i]));
            seen[j] = true;
        }
        US_TRY(tensor_column(s, names[i], &t[i], f, width));
    }
    for (size_t f = 0; f < d->n_features; f++)
        if (!seen[f])
            return us_fail(
                s->c, US_NOTFOUND, "input '" US_SV_FMT "' is not given",
                US_SV_ARG(d->packed && n == 0 ? d->inputs[0].name : d->features[f]->name));
    return US_OK;
}

us_err us_decode_tensors(us_ctx *c, us_arena *a, const us_decoder *d, size_t n_tensors,
                         const us_sv *names, const us_tensor *tensors, size_t *n_rows,
                         us_value *in)
{
    us_sink s;
    size_t n = 0;
    bool *seen = us_new_n(a, bool, d->n_features);
    if (!seen) return us_arena_fail(c, a);
    if (n_tensors) {
        bool all = d->packed && us_sv_eq(names[0], d->inputs[0].name);
        US_TRY(tensor_rows(c, names[0], &tensors[0], all ? d->inputs[0].width : 1, &n));
    }
    US_TRY(us_sink_init(c, a, d, n, &s));
    us_err e = tensors_fill(&s, n_tensors, names, tensors, seen);
    if (e == US_OK) {
        memcpy(in, s.in, d->n_inputs * sizeof *in);
        *n_rows = n;
    }
    us_sink_deinit(&s);
    return e;
}
