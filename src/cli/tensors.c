/* cli/tensors.c - tensors of files: .npy for numbers, .json for strings and structures. */
#include "cli/tensors.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "tensor/npy.h"

/* --- reading ---------------------------------------------------------------------------------------- */

/* Dims of nested arrays, by their first elements; the fill checks the others. */
static us_err json_dims(us_ctx *c, const char *path, const json_t *j, int32_t *rank,
                        int64_t *dims)
{
    *rank = 0;
    while (json_is_array(j)) {
        if (*rank == US_MAX_RANK)
            return us_fail(c, US_FORMAT, "%s: arrays are nested deeper than %d", path,
                           US_MAX_RANK);
        dims[(*rank)++] = (int64_t)json_array_size(j);
        if (json_array_size(j) == 0) break;
        j = json_array_get(j, 0);
    }
    return US_OK;
}

static const json_t *first_scalar(const json_t *j)
{
    while (json_is_array(j))
        j = json_array_get(j, 0);
    return j;
}

static us_dtype json_dtype(const json_t *j)
{
    const json_t *s = first_scalar(j);
    if (json_is_string(s)) return US_STRING;
    if (json_is_boolean(s)) return US_BOOL;
    return json_is_integer(s) ? US_I64 : US_F32;
}

static us_err put_scalar(us_ctx *c, const char *path, const json_t *j, us_tensor *t, int64_t i)
{
    const us_dtype_info *d = us_dtype_get(t->dtype);
    if (t->dtype == US_STRING) {
        if (!json_is_string(j))
            return us_fail(c, US_FORMAT, "%s: element %lld is not a string", path,
                           (long long)i);
        ((us_sv *)t->data)[i] = (us_sv){json_string_value(j), json_string_length(j)};
        return US_OK;
    }
    char *at = (char *)t->data + (size_t)i * d->bits / 8;
    bool whole = d->cls == US_DC_INT || d->cls == US_DC_UINT;
    if (json_is_integer(j) && whole) {
        int64_t v = json_integer_value(j);
        d->from_i64(at, 0, 1, &v);
        return US_OK;
    }
    double v = json_is_null(j) && d->cls == US_DC_FLOAT ? (double)NAN : json_number_value(j);
    if (json_is_boolean(j))
        v = json_is_true(j) ? 1 : 0;
    else if (!json_is_number(j) && !(json_is_null(j) && d->cls == US_DC_FLOAT))
        return us_fail(c, US_FORMAT, "%s: element %lld is not a number", path, (long long)i);
    d->from_f64(at, 0, 1, &v);
    return US_OK;
}

static us_err fill_json(us_ctx *c, const char *path, const json_t *j, us_tensor *t,
                        int32_t level, int64_t *at)
{
    if (level == t->rank) {
        if (json_is_array(j))
            return us_fail(c, US_FORMAT, "%s: arrays are not equally deep", path);
        return put_scalar(c, path, j, t, (*at)++);
    }
    if (!json_is_array(j) || (int64_t)json_array_size(j) != t->dims[level])
        return us_fail(c, US_FORMAT, "%s: arrays of one level are not equally long", path);
    for (size_t i = 0; i < json_array_size(j); i++)
        US_TRY(fill_json(c, path, json_array_get(j, i), t, level + 1, at));
    return US_OK;
}

/* Nested arrays as a tensor. */
static us_err tensor_of_json(us_ctx *c, us_arena *a, const char *path, const json_t *j,
                             const us_type *want, us_tensor *out)
{
    int32_t rank;
    int64_t dims[US_MAX_RANK], at = 0;
    US_TRY(json_dims(c, path, j, &rank, dims));
    us_dtype type =
        want && want->kind == US_KIND_TENSOR && want->dtype ? want->dtype : json_dtype(j);
    const us_dtype_info *d = us_dtype_get(type);
    if (type != US_STRING && (!d->from_f64 || d->bits < 8))
        return us_fail(c, US_UNSUPP, "%s: %s values are not read from JSON; give a .npy file",
                       path, d->name);
    us_tensor t;
    US_TRY(us_tensor_new(c, a, type, rank, dims, &t));
    US_TRY(fill_json(c, path, j, &t, 0, &at));
    *out = t;
    return US_OK;
}

static us_err value_of_json(us_ctx *c, us_arena *a, const char *path, json_t *j,
                            const us_type *want, us_value *out);

static us_err sequence_of_json(us_ctx *c, us_arena *a, const char *path, json_t *j,
                               const us_type *want, us_value *out)
{
    size_t n = json_array_size(j);
    if (!json_is_array(j))
        return us_fail(c, US_FORMAT, "%s: expected an array for a sequence", path);
    us_value v = {.kind = US_KIND_SEQUENCE, .items = us_new_n(a, us_value, n + 1)};
    if (!v.items) return us_arena_fail(c, a);
    for (; v.n_items < n; v.n_items++)
        US_TRY(value_of_json(c, a, path, json_array_get(j, v.n_items), want->elem,
                             &v.items[v.n_items]));
    *out = v;
    return US_OK;
}

/* An object; keys of an integer type are written as text, as JSON wants it. */
static us_err map_of_json(us_ctx *c, us_arena *a, const char *path, json_t *j,
                          const us_type *want, us_value *out)
{
    int64_t n = (int64_t)json_object_size(j);
    if (!json_is_object(j))
        return us_fail(c, US_FORMAT, "%s: expected an object for a map", path);
    us_value v = {.kind = US_KIND_MAP, .items = us_new_n(a, us_value, (size_t)n + 1)};
    if (!v.items) return us_arena_fail(c, a);
    US_TRY(us_tensor_new(c, a, want->dtype ? want->dtype : US_STRING, 1, &n, &v.t));
    const char *key;
    json_t *item;
    json_object_foreach(j, key, item)
    {
        int64_t number = 0;
        us_sv text = us_sv_of(key);
        if (v.t.dtype == US_STRING)
            ((us_sv *)v.t.data)[v.n_items] = text;
        else if (us_dtype_get(v.t.dtype)->from_i64 && us_parse_i64(text, &number))
            us_dtype_get(v.t.dtype)->from_i64(v.t.data, v.n_items, 1, &number);
        else
            return us_fail(c, US_FORMAT, "%s: key \"%s\" is not of type %s", path, key,
                           us_dtype_get(v.t.dtype)->name);
        US_TRY(value_of_json(c, a, path, item, want->elem, &v.items[v.n_items++]));
    }
    *out = v;
    return US_OK;
}

/* By the type the model wants: arrays for sequences, objects for maps, else a tensor. Depth is that of the type. */
static us_err value_of_json(us_ctx *c, us_arena *a, const char *path, json_t *j,
                            const us_type *want, us_value *out)
{
    us_tensor t;
    if (want && want->kind == US_KIND_SEQUENCE)
        return sequence_of_json(c, a, path, j, want, out);
    if (want && want->kind == US_KIND_MAP) return map_of_json(c, a, path, j, want, out);
    US_TRY(tensor_of_json(c, a, path, j, want, &t));
    *out = us_value_of(&t);
    return US_OK;
}

/* Whether every value of type `from` has its like in `to`, rounding of floats aside. */
static bool converts(us_dtype from, us_dtype to)
{
    const us_dtype_info *f = us_dtype_get(from), *t = us_dtype_get(to);
    if (!f->to_f64 || !t->from_f64 || f->bits < 8 || t->bits < 8) return false;
    if (t->cls == US_DC_FLOAT)
        return f->cls == US_DC_FLOAT || f->cls == US_DC_INT || f->cls == US_DC_UINT;
    if (t->cls == US_DC_INT)
        return (f->cls == US_DC_INT || f->cls == US_DC_UINT) && f->bits <= t->bits;
    if (t->cls == US_DC_UINT) return f->cls == US_DC_UINT && f->bits <= t->bits;
    return false;
}

/* A .npy file; numbers of another type are converted when that loses nothing by kind. */
static us_err read_npy(us_ctx *c, us_arena *a, const char *path, const us_type *want,
                       us_tensor *out)
{
    us_tensor t, as;
    US_TRY(us_npy_read(c, a, path, &t));
    bool other = want && want->kind == US_KIND_TENSOR && want->dtype && want->dtype != t.dtype;
    if (!other || !converts(t.dtype, want->dtype)) {
        *out = t;
        return US_OK;
    }
    US_TRY(us_tensor_new(c, a, want->dtype, t.rank, t.dims, &as));
    US_TRY(us_tensor_convert(c, &as, &t));
    *out = as;
    return US_OK;
}

us_err us_value_file_read(us_ctx *c, us_arena *a, const char *path, const us_type *want,
                          us_value *out)
{
    us_tensor t;
    json_t *j;
    if (us_sv_ends(us_sv_of(path), ".json")) {
        US_TRY(us_json_read(c, a, path, &j));
        return value_of_json(c, a, path, j, want, out);
    }
    US_TRY(read_npy(c, a, path, want, &t));
    *out = us_value_of(&t);
    return US_OK;
}

/* --- writing ------------------------------------------------------------------------------------------ */

static json_t *scalar_json(const us_tensor *t, int64_t i)
{
    uint8_t cls = us_dtype_get(t->dtype)->cls;
    if (cls == US_DC_STRING) {
        us_sv s = us_tensor_str_at(t, i);
        json_t *j = json_stringn(s.p ? s.p : "", s.n);
        return j ? j : json_string("\xEF\xBF\xBD"); /* bytes that are no UTF-8 */
    }
    if (cls == US_DC_BOOL) return json_boolean(us_tensor_i64_at(t, i) != 0);
    if (cls == US_DC_INT) return json_integer(us_tensor_i64_at(t, i));
    if (cls == US_DC_UINT && us_tensor_i64_at(t, i) >= 0)
        return json_integer(us_tensor_i64_at(t, i));
    double v = us_tensor_f64_at(t, i);
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *level_json(const us_tensor *t, int32_t level, int64_t *at)
{
    if (level == t->rank) return scalar_json(t, (*at)++);
    json_t *j = json_array();
    for (int64_t i = 0; j && i < t->dims[level]; i++)
        if (json_array_append_new(j, level_json(t, level + 1, at)) != 0) {
            json_decref(j);
            return NULL;
        }
    return j;
}

static us_err items_json(us_ctx *c, const us_value *v, json_t *j)
{
    for (size_t i = 0; i < v->n_items; i++) {
        json_t *item;
        US_TRY(us_value_json(c, &v->items[i], &item));
        int bad;
        if (v->kind == US_KIND_MAP) {
            char num[32];
            bool text = v->t.dtype == US_STRING;
            us_sv key = text ? us_tensor_str_at(&v->t, (int64_t)i) : (us_sv){0};
            if (!text) {
                us_buf b;
                us_buf_init(&b, c, sizeof num);
                us_buf_addf(&b, "%lld", (long long)us_tensor_i64_at(&v->t, (int64_t)i));
                bad = json_object_setn_new(j, b.p, b.n, item);
                us_buf_deinit(&b);
            } else {
                bad = json_object_setn_new(j, key.p ? key.p : "", key.n, item);
            }
        } else {
            bad = json_array_append_new(j, item);
        }
        if (bad) return us_nomem(c);
    }
    return US_OK;
}

us_err us_value_json(us_ctx *c, const us_value *v, json_t **out)
{
    int64_t at = 0;
    json_t *j;
    if (v->kind == US_KIND_TENSOR) {
        us_tensor t = v->t;
        j = level_json(&t, 0, &at);
    } else if (v->kind == US_KIND_SEQUENCE) {
        j = json_array();
    } else if (v->kind == US_KIND_MAP) {
        j = json_object();
    } else {
        j = json_null();
    }
    if (!j) return us_nomem(c);
    if (v->kind == US_KIND_SEQUENCE || v->kind == US_KIND_MAP) {
        us_err e = items_json(c, v, j);
        if (e != US_OK) {
            json_decref(j);
            return e;
        }
    }
    *out = j;
    return US_OK;
}

/* File systems take 255 bytes: longer names are cut and told apart by a hash. */
#define FILE_NAME_MAX 230
#define FILE_NAME_CUT 200

static char *file_name(us_arena *a, us_sv name, const char *ext)
{
    us_sv cut = {name.p, US_MIN(name.n, FILE_NAME_CUT)};
    char *z = name.n <= FILE_NAME_MAX
                  ? us_str_printf(a, US_SV_FMT "%s", US_SV_ARG(name), ext)
                  : us_str_printf(a, US_SV_FMT "-%016llx%s", US_SV_ARG(cut),
                                  (unsigned long long)us_hash64(name.p, name.n, 0), ext);
    for (size_t i = 0; z && z[i]; i++)
        if (z[i] == '/' || z[i] == ':') z[i] = '_';
    return z;
}

static us_err write_json(us_ctx *c, const char *path, const us_value *v)
{
    json_t *j;
    US_TRY(us_value_json(c, v, &j));
    us_buf b;
    us_buf_init(&b, c, US_TENSOR_FILE_MAX);
    us_err e = us_json_print(c, j, &b);
    us_buf_addc(&b, '\n');
    if (e == US_OK) e = us_buf_check(&b);
    if (e == US_OK) e = us_file_replace(c, path, b.p, b.n);
    us_buf_deinit(&b);
    json_decref(j);
    return e;
}

static bool goes_to_npy(const us_value *v)
{
    return v->kind == US_KIND_TENSOR && v->t.dtype != US_STRING;
}

us_err us_value_file_path(us_ctx *c, us_arena *a, const char *dir, us_sv name,
                          const us_value *v, char **path)
{
    char *file = file_name(a, name, goes_to_npy(v) ? ".npy" : ".json");
    char *full = file ? us_path_join(a, dir, file) : NULL;
    if (!full) return us_arena_fail(c, a);
    *path = full;
    return US_OK;
}

us_err us_value_file_write(us_ctx *c, us_arena *a, const char *dir, us_sv name,
                           const us_value *v, char **path)
{
    char *full;
    US_TRY(us_value_file_path(c, a, dir, name, v, &full));
    if (goes_to_npy(v))
        US_TRY(us_npy_write(c, full, &v->t));
    else
        US_TRY(write_json(c, full, v));
    *path = full;
    return US_OK;
}

/* --- random ---------------------------------------------------------------------------------------------- */

/* The first number and how many from there on, of ten at most. */
typedef struct range {
    double from, n;
} range;

static range range_of(const us_dtype_info *d, int64_t lo, int64_t hi)
{
    int64_t from = lo > 0 || hi < 0 ? lo : 0;
    if (from == INT64_MIN) from = hi; /* only what is below is asked */
    uint64_t room = (uint64_t)hi - (uint64_t)from;
    double most = d->bits < 8 ? 2 : 10;
    return (range){(double)from, room < 9 ? fmin((double)room + 1, most) : most};
}

static void random_element(us_rng *r, us_tensor *t, int64_t i, range in)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    const us_dtype_info *d = us_dtype_get(t->dtype);
    if (t->dtype == US_STRING) {
        ((us_sv *)t->data)[i] = (us_sv){&letters[us_rng_below(r, 26)], 1};
        return;
    }
    double v = us_rng_f64(r);
    if (d->cls == US_DC_INT || d->cls == US_DC_UINT) v = in.from + floor(v * in.n);
    if (d->cls == US_DC_BOOL) v = v < 0.5;
    if (d->bits >= 8)
        d->from_f64((char *)t->data + (size_t)i * d->bits / 8, 0, 1, &v);
    else
        d->from_f64(t->data, (size_t)i, 1, &v);
}

us_err us_tensor_random(us_ctx *c, us_arena *a, const us_type *t, us_sv name, uint64_t seed,
                        uint64_t index, int64_t lo, int64_t hi, us_tensor *out)
{
    if (t->kind != US_KIND_TENSOR || t->dtype == US_DT_NONE ||
        (t->dtype != US_STRING && !us_dtype_get(t->dtype)->from_f64))
        return us_fail(c, US_UNSUPP,
                       "input '" US_SV_FMT
                       "' is not a tensor of numbers or strings; give it with -i",
                       US_SV_ARG(name));
    int64_t dims[US_MAX_RANK];
    int32_t rank = US_MAX(t->rank, 0);
    for (int32_t d = 0; d < rank; d++)
        dims[d] = us_dim_known(t->dims[d]) ? t->dims[d].add : 1;
    us_tensor x;
    US_TRY(us_tensor_new(c, a, t->dtype, rank, dims, &x));
    us_rng r = us_rng_new(seed, "infer", index);
    int64_t n = us_tensor_count(&x);
    range in = range_of(us_dtype_get(t->dtype), lo, hi);
    for (int64_t i = 0; i < n; i++)
        random_element(&r, &x, i, in);
    *out = x;
    return US_OK;
}
