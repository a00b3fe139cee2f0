/* check/tensor.c - TensorProto and SparseTensorProto: type, dims, the one field with the data, its size, files beside the
 * model; and what is worth knowing of weights. */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

#include "check/checker.h"

#define BIG_INT64 1024u /* elements: below, shapes and indices */

static us_err bad(us_checker *k, const us_pb_tensor *t, us_rule rule, const char *what)
{
    return us_ck_found(k, rule, t->h.offset, "tensor '" US_SV_FMT "' %s", US_SV_ARG(t->name),
                       what);
}

/* --- which field --------------------------------------------------------------------------------------------------- */

typedef struct field {
    const char *name;
    const us_pb_spans *spans;
    int wire;
    us_dtype_mask types;
} field;

#define BY_I32                                                                                 \
    (US_M_ALL & ~(US_M(F32) | US_M(C64) | US_M(F64) | US_M(C128) | US_M(I64) | US_M(U32) |     \
                  US_M(U64) | US_M(STRING)))

/* Numbers, or strings, that a field holds. */
static us_err count(us_checker *k, const field *f, size_t *n)
{
    if (f->wire == US_PB_BYTES) {
        *n = f->spans->n;
        return US_OK;
    }
    for (size_t i = 0; f->wire == US_PB_VARINT && i < f->spans->n; i++) {
        us_sv s = f->spans->at[i];
        size_t run = 0;
        for (size_t j = 0; j < s.n && run < 10; j++)
            run = (unsigned char)s.p[j] & 128 ? run + 1 : 0;
        if (run)
            return us_pb_fail(&k->r.pb, US_FORMAT, "numbers", s.p,
                              "a number is cut short or too long");
    }
    return us_pb_count(&k->r.pb, f->spans, f->wire, n);
}

/* How many storage units of typed data n elements take. */
static size_t units(us_dtype t, size_t n)
{
    int bits = us_dtype_get(t)->bits;
    if (t == US_C64 || t == US_C128) return 2 * n;
    return t != US_STRING && bits < 8 ? (n * (size_t)bits + 7) / 8 : n;
}

static us_err typed(us_checker *k, const us_pb_tensor *t, const field *f, size_t has, size_t n)
{
    us_dtype type = (us_dtype)t->data_type;
    if (!(f->types & (us_dtype_mask)1 << type))
        return us_ck_found(k, US_RULE_TENSOR_FIELD, t->h.offset,
                           "tensor '" US_SV_FMT "' of %s has its data in %s",
                           US_SV_ARG(t->name), us_dtype_get(type)->name, f->name);
    if (has == units(type, n)) return US_OK;
    return us_ck_found(k, US_RULE_TENSOR_SIZE, t->h.offset,
                       "tensor '" US_SV_FMT "' has %zu numbers in %s, its shape needs %zu",
                       US_SV_ARG(t->name), has, f->name, units(type, n));
}

static us_err raw(us_checker *k, const us_pb_tensor *t, size_t bytes)
{
    if (t->data_type == US_STRING)
        return bad(k, t, US_RULE_TENSOR_FIELD, "has strings as raw data");
    if (t->raw.n == bytes) return US_OK;
    return us_ck_found(k, US_RULE_TENSOR_SIZE, t->h.offset,
                       "tensor '" US_SV_FMT "' has %zu bytes of raw data, its shape needs %zu",
                       US_SV_ARG(t->name), t->raw.n, bytes);
}

static us_err data(us_checker *k, const us_pb_tensor *t, size_t n, size_t bytes)
{
    const field fields[] = {
        {"float_data", &t->f32s, US_PB_FIXED32, US_M(F32) | US_M(C64)},
        {"double_data", &t->f64s, US_PB_FIXED64, US_M(F64) | US_M(C128)},
        {"int64_data", &t->i64s, US_PB_VARINT, US_M(I64)},
        {"uint64_data", &t->u64s, US_PB_VARINT, US_M(U32) | US_M(U64)},
        {"string_data", &t->strings, US_PB_BYTES, US_M(STRING)},
        {"int32_data", &t->i32s, US_PB_VARINT, BY_I32},
    };
    const field *one = NULL;
    size_t has = 0, n_fields = t->raw.n > 0;
    for (size_t i = 0; i < US_LEN(fields); i++) {
        size_t m;
        US_TRY(count(k, &fields[i], &m));
        if (!m) continue;
        n_fields++;
        one = &fields[i];
        has = m;
    }
    if (t->location == 1)
        return n_fields ? bad(k, t, US_RULE_EXTERNAL, "has external data and data of its own")
                        : US_OK;
    if (n_fields > 1) return bad(k, t, US_RULE_TENSOR_FIELD, "has data in more than one field");
    if (n && !n_fields) return bad(k, t, US_RULE_TENSOR_FIELD, "has no data");
    if (!n_fields) return US_OK;
    return one ? typed(k, t, one, has, n) : raw(k, t, bytes);
}

/* --- files beside the model ------------------------------------------------------------------------------------------ */

static us_err external(us_checker *k, const us_pb_tensor *t, size_t bytes, const void **out)
{
    us_err e = us_onnx_external(&k->r, t, bytes, out);
    if (e == US_OK || e == US_NOMEM || e == US_CANCELLED) return e;
    *out = NULL;
    us_sv text = us_sv_of(k->c->diag.text);
    for (size_t i = 0; i + 13 < text.n; i++) /* without our own name for the place */
        if (us_sv_starts((us_sv){text.p + i, text.n - i}, "external_data")) {
            text = (us_sv){text.p + i + 15, text.n - i - 15};
            break;
        }
    return us_ck_found(k, US_RULE_EXTERNAL, t->h.offset, US_SV_FMT, US_SV_ARG(text));
}

/* --- what is worth knowing ------------------------------------------------------------------------------------------- */

static void sum(us_ck_sum *s, const us_pb_tensor *t, size_t bytes)
{
    s->n++;
    s->bytes += bytes;
    if (bytes < s->largest) return;
    s->largest = bytes;
    s->name = t->name;
    s->offset = t->h.offset;
}

static us_err non_finite(us_checker *k, const us_pb_tensor *t, const void *p, size_t n)
{
    us_dtype type = (us_dtype)t->data_type;
    size_t size = us_dtype_get(type)->bits / 8, n_nan = 0, n_inf = 0;
    union {
        double align;
        char bytes[4096];
    } in;
    double v[512];
    for (size_t i = 0; i < n; i += 512) {
        size_t m = US_MIN(n - i, (size_t)512);
        memcpy(in.bytes, (const char *)p + i * size, m * size);
        us_dtype_get(type)->to_f64(in.bytes, 0, m, v);
        for (size_t j = 0; j < m; j++) {
            n_nan += isnan(v[j]) != 0;
            n_inf += isinf(v[j]) != 0;
        }
    }
    if (!n_nan && !n_inf) return US_OK;
    return us_ck_found(k, US_RULE_NON_FINITE, t->h.offset,
                       "tensor '" US_SV_FMT
                       "' has %zu NaN and %zu infinities among %zu elements",
                       US_SV_ARG(t->name), n_nan, n_inf, n);
}

static us_err advise(us_checker *k, const us_pb_tensor *t, bool weight, size_t n, size_t bytes,
                     const void *p)
{
    const us_dtype_mask odd = US_M(U4) | US_M(I4) | US_M(U2) | US_M(I2) | US_M(U16) |
                              US_M(I16) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) |
                              US_M(F8E5M2FNUZ) | US_M(F4E2M1) | US_M(F8E8M0);
    us_dtype_mask is = (us_dtype_mask)1 << t->data_type;
    if (is & US_M(F64)) sum(&k->f64, t, bytes);
    if (weight && is & US_M(I64) && n >= BIG_INT64) sum(&k->i64, t, bytes);
    if (weight && is & odd) sum(&k->odd[t->data_type], t, bytes);
    if (p && is & (US_M(F32) | US_M(F64) | US_M(F16) | US_M(BF16)))
        return non_finite(k, t, p, n);
    return US_OK;
}

static us_err say(us_checker *k, us_rule rule, const us_ck_sum *s, const char *type)
{
    char b[32];
    return us_ck_found(k, rule, s->offset,
                       "%zu tensors of %s, %s in all; the largest is '" US_SV_FMT "'", s->n,
                       type, us_print_bytes(s->bytes, b), US_SV_ARG(s->name));
}

us_err us_ck_weights(us_checker *k)
{
    k->at = (us_ck_node){0};
    if (k->overridable.n)
        US_TRY(us_ck_found(k, US_RULE_OVERRIDABLE, k->overridable.offset,
                           "%zu initialisers are graph inputs too ('" US_SV_FMT
                           "' first): constants here unless the caller overrides them; other "
                           "runtimes neither fold nor pack them, which costs speed",
                           k->overridable.n, US_SV_ARG(k->overridable.name)));
    if (k->f64.n) US_TRY(say(k, US_RULE_FLOAT64, &k->f64, "float64"));
    if (k->i64.n) US_TRY(say(k, US_RULE_INT64, &k->i64, "int64"));
    for (int i = 0; i < US_DTYPE_N; i++)
        if (k->odd[i].n)
            US_TRY(say(k, US_RULE_ODD_TYPE, &k->odd[i], us_dtype_get((us_dtype)i)->name));
    return US_OK;
}

/* --- tensors ----------------------------------------------------------------------------------------------------------- */

/* Elements by the dims; *ok: they make sense. */
static us_err elements(us_checker *k, const us_pb_tensor *t, size_t *n, size_t *bytes, bool *ok)
{
    const int64_t *dims;
    size_t rank;
    int64_t count;
    *ok = false;
    if (t->data_type <= 0 || t->data_type >= US_DTYPE_N)
        return us_ck_found(k, US_RULE_TENSOR_TYPE, t->h.offset, "tensor '" US_SV_FMT "' %s %d",
                           US_SV_ARG(t->name),
                           us_pb_has(&t->h, 2) ? "has an element type that does not exist:"
                                               : "says no element type:",
                           (int)t->data_type);
    US_TRY(us_pb_i64s(&k->r.pb, k->r.pb.tmp, &t->dims, &dims, &rank));
    if (rank > US_MAX_RANK)
        return us_ck_found(k, US_RULE_LIMITS, t->h.offset,
                           "tensor '" US_SV_FMT "' has %zu dimensions, at most %d are possible",
                           US_SV_ARG(t->name), rank, US_MAX_RANK);
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0)
            return us_ck_found(k, US_RULE_TENSOR_DIMS, t->h.offset,
                               "tensor '" US_SV_FMT "': dimension %zu is %lld",
                               US_SV_ARG(t->name), i, (long long)dims[i]);
    if (!us_dims_count((int)rank, dims, &count) ||
        !us_dtype_bytes((us_dtype)t->data_type, (size_t)count, bytes))
        return bad(k, t, US_RULE_TENSOR_DIMS,
                   "would have more elements than any machine holds");
    *n = (size_t)count;
    *ok = true;
    return US_OK;
}

us_err us_ck_tensor(us_checker *k, us_sv span, bool weight, us_pb_tensor *head)
{
    us_pb_tensor t = {0};
    size_t n = 0, bytes = 0;
    bool ok;
    const void *p = NULL;
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_tensor_msg, span, &t));
    if (head) *head = t;
    US_TRY(elements(k, &t, &n, &bytes, &ok));
    if (!ok) return US_OK;
    size_t before = k->rep->n_errors;
    US_TRY(data(k, &t, n, bytes));
    if (t.location == 1 && k->rep->n_errors == before) US_TRY(external(k, &t, bytes, &p));
    if (k->rep->n_errors != before) return US_OK;
    if (t.raw.n) p = t.raw.p;
    if (t.f32s.n == 1 && t.f32s.at[0].n == bytes) p = t.f32s.at[0].p;
    if (t.f64s.n == 1 && t.f64s.at[0].n == bytes) p = t.f64s.at[0].p;
    return advise(k, &t, weight, n, bytes, p);
}

/* --- sparse ------------------------------------------------------------------------------------------------------------ */

static us_err bad_sparse(us_checker *k, const us_pb_sparse *s, us_sv name, const char *what)
{
    return us_ck_found(k, US_RULE_SPARSE, s->h.offset, "sparse tensor '" US_SV_FMT "' %s",
                       US_SV_ARG(name), what);
}

/* Indices as numbers, from either field. */
static us_err indices(us_checker *k, const us_pb_tensor *t, const int64_t **out, size_t *n)
{
    if (!t->raw.n) return us_pb_i64s(&k->r.pb, k->r.pb.tmp, &t->i64s, out, n);
    int64_t *v = us_new_n(k->r.pb.tmp, int64_t, t->raw.n / 8);
    if (!v) return us_arena_fail(k->c, k->r.pb.tmp);
    if (t->raw.n >= 8) memcpy(v, t->raw.p, t->raw.n / 8 * 8);
    *out = v;
    *n = t->raw.n / 8;
    return US_OK;
}

/* Each index within the dims, in rising order; per_value: coordinates, else one flat index each. */
static us_err sorted(us_checker *k, const us_pb_sparse *s, us_sv name, const int64_t *v,
                     size_t n, size_t per_value, const int64_t *dims, int64_t all)
{
    int64_t last = -1;
    for (size_t i = 0; i < n; i++) {
        int64_t flat = 0;
        for (size_t j = 0; j < per_value; j++) {
            int64_t at = v[i * per_value + j], limit = dims ? dims[j] : all;
            if (at < 0 || at >= limit)
                return bad_sparse(k, s, name, "has an index outside its dimensions");
            flat = flat * limit + at;
        }
        if (flat <= last) return bad_sparse(k, s, name, "has indices that do not rise");
        last = flat;
    }
    return US_OK;
}

static us_err sparse_indices(us_checker *k, const us_pb_sparse *s, us_sv name,
                             const us_pb_tensor *values, const us_pb_tensor *index)
{
    const int64_t *dims, *vd, *id, *v;
    size_t rank, vr, ir, n;
    int64_t all;
    US_TRY(us_pb_i64s(&k->r.pb, k->r.pb.tmp, &s->dims, &dims, &rank));
    US_TRY(us_pb_i64s(&k->r.pb, k->r.pb.tmp, &values->dims, &vd, &vr));
    US_TRY(us_pb_i64s(&k->r.pb, k->r.pb.tmp, &index->dims, &id, &ir));
    if (!rank || rank > US_MAX_RANK)
        return bad_sparse(k, s, name, "has no dimensions, or too many");
    if (!us_dims_count((int)rank, dims, &all))
        return bad_sparse(k, s, name, "has dimensions below 0, or too large");
    if (vr != 1) return bad_sparse(k, s, name, "has values that are no vector");
    if (index->location == 1) return US_OK;
    if (index->data_type != US_I64)
        return bad_sparse(k, s, name, "has indices that are not int64");
    bool flat = ir == 1 && id[0] == vd[0];
    bool coordinates = ir == 2 && id[0] == vd[0] && id[1] == (int64_t)rank;
    if (!flat && !coordinates)
        return bad_sparse(k, s, name,
                          "needs one index, or one row of coordinates, for each value");
    US_TRY(indices(k, index, &v, &n));
    size_t per_value = flat ? 1 : rank;
    if (n != (size_t)vd[0] * per_value)
        return bad_sparse(k, s, name, "has another number of indices than its shape says");
    return sorted(k, s, name, v, (size_t)vd[0], per_value, flat ? NULL : dims, all);
}

us_err us_ck_sparse(us_checker *k, us_sv span, us_sv *name)
{
    us_pb_sparse s = {0};
    us_pb_tensor values, index;
    us_mark mark = us_arena_mark(k->r.pb.tmp);
    size_t before = k->rep->n_errors;
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_sparse_msg, span, &s));
    US_TRY(us_ck_tensor(k, s.values, false, &values));
    US_TRY(us_ck_tensor(k, s.indices, false, &index));
    if (name) *name = values.name;
    if (k->rep->n_errors == before) US_TRY(sparse_indices(k, &s, values.name, &values, &index));
    us_arena_reset(k->r.pb.tmp, mark);
    return US_OK;
}
