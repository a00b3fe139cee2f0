/* onnx/read_tensor.c - TensorProto: raw bytes, typed fields, strings, external data.
 *
 * Bytes aligned for their type are used where they lie; else they are copied once into the model's arena. Typed fields
 * follow onnx.proto3: small types travel in int32_data, one storage unit each (half floats as their bits, 4-bit types
 * as packed bytes); complex numbers as pairs.
 */
#include <string.h>

#include "base/ctx.h"
#include "onnx/read.h"

static us_err bad(us_onnx_reader *r, const us_pb_tensor *t, const char *what)
{
    return us_pb_fail(&r->pb, US_FORMAT, "TensorProto", r->pb.base + t->h.offset,
                      "tensor '" US_SV_FMT "' %s", US_SV_ARG(t->name), what);
}

/* Data used in place is never written: constants are read-only by contract of US_ST_CONST. */
static void *in_place(const void *p)
{
    union {
        const void *in;
        void *out;
    } alias = {.in = p};
    return alias.out;
}

static bool aligned(const void *p, us_dtype t)
{
    size_t a = us_dtype_get(t)->align;
    return a <= 1 || (uintptr_t)p % a == 0;
}

/* Memory for large weights: what may still come of them is at most the rest of what holds them. */
static us_err get_heavy(us_onnx_reader *r, const void *p, size_t bytes, void **out)
{
    us_model *m = r->m;
    if (!m->heavy) {
        US_TRY(us_arena_new(r->pb.c, "weights", US_MODEL_ARENA_CAP, &m->heavy));
        uintptr_t at = (uintptr_t)p, base = (uintptr_t)r->pb.base;
        bool inside = at >= base && at - base < r->n_bytes;
        us_arena_expect(m->heavy, inside ? r->n_bytes - (at - base) : bytes);
    }
    void *q = us_arena_alloc_raw(m->heavy, bytes, 1, 64);
    if (!q) return us_arena_fail(r->pb.c, m->heavy);
    *out = q;
    return us_vec_push(r->pb.c, m->arena, &m->copies, (us_copy){q, p, bytes});
}

/* Use or copy `bytes` bytes at p. */
static us_err adopt(us_onnx_reader *r, us_tensor *t, const void *p, size_t bytes)
{
    if (aligned(p, t->dtype)) {
        t->data = in_place(p);
        return US_OK;
    }
    void *q = NULL;
    if (r->m && r->pb.keep == r->m->arena && bytes >= US_COPY_MIN) {
        US_TRY(get_heavy(r, p, bytes, &q));
    } else {
        q = us_arena_alloc_raw(r->pb.keep, bytes, 1, 64);
        if (!q) return us_arena_fail(r->pb.c, r->pb.keep);
    }
    memcpy(q, p, bytes);
    t->data = q;
    return US_OK;
}

/* With descriptors only, what is large stays where it is: not a page of it is touched. */
static bool leave_out(const us_onnx_reader *r, size_t bytes)
{
    return r->descriptors_only && bytes > US_ONNX_SMALL;
}

static us_err from_raw(us_onnx_reader *r, const us_pb_tensor *p, us_tensor *t, size_t bytes)
{
    if (t->dtype == US_STRING) return bad(r, p, "has strings as raw data");
    if (p->raw.n != bytes)
        return us_pb_fail(&r->pb, US_FORMAT, "TensorProto", p->raw.p,
                          "tensor '" US_SV_FMT
                          "' has %zu bytes of raw data, its shape needs %zu",
                          US_SV_ARG(p->name), p->raw.n, bytes);
    return leave_out(r, bytes) ? US_OK : adopt(r, t, p->raw.p, bytes);
}

static us_err from_strings(us_onnx_reader *r, const us_pb_tensor *p, us_tensor *t, size_t n)
{
    if (p->strings.n != n)
        return bad(r, p, "has another number of strings than its shape says");
    us_sv *s = us_new_n(r->pb.keep, us_sv, n);
    if (!s) return us_arena_fail(r->pb.c, r->pb.keep);
    if (n) memcpy(s, p->strings.at, n * sizeof *s);
    t->data = s;
    return US_OK;
}

/* One piece of fixed-size numbers, aligned: as good as raw data. */
static us_err from_fixed(us_onnx_reader *r, const us_pb_spans *s, us_tensor *t, size_t size,
                         size_t bytes)
{
    if (s->n == 1 && s->at[0].n == bytes) return adopt(r, t, s->at[0].p, bytes);
    void *q = us_arena_alloc(r->pb.keep, bytes, 1, 64);
    if (!q) return us_arena_fail(r->pb.c, r->pb.keep);
    t->data = q;
    return us_pb_fixed(&r->pb, s, size, bytes / size, q);
}

/* Varints, cut to `unit` bytes each (two's complement; the machine is little-endian, as the format is). */
static us_err from_varints(us_onnx_reader *r, const us_pb_spans *s, us_tensor *t, size_t unit,
                           size_t bytes)
{
    char *q = us_arena_alloc(r->pb.keep, bytes, 1, 64);
    if (!q) return us_arena_fail(r->pb.c, r->pb.keep);
    size_t at = 0;
    for (size_t i = 0; i < s->n; i++) {
        const uint8_t *p = (const uint8_t *)s->at[i].p, *end = p + s->at[i].n;
        while (p < end) {
            uint64_t v;
            const uint8_t *from = p;
            if (!us_pb_varint(&p, end, &v))
                return us_pb_fail(&r->pb, US_FORMAT, "TensorProto", from,
                                  "a number is cut short or too long");
            if (at + unit > bytes)
                return us_pb_fail(&r->pb, US_FORMAT, "TensorProto", from,
                                  "more numbers than the shape says");
            memcpy(q + at, &v, unit);
            at += unit;
        }
    }
    if (at != bytes)
        return us_pb_fail(&r->pb, US_FORMAT, "TensorProto", NULL,
                          "%zu numbers, the shape says %zu", at / unit, bytes / unit);
    t->data = q;
    return US_OK;
}

/* Which typed field holds which element type. */
enum { BY_I32, BY_F32, BY_F64, BY_I64, BY_U64 };
static const struct {
    us_dtype_mask types;
    int by;
} typed[] = {
    {US_M(F32) | US_M(C64), BY_F32},
    {US_M(F64) | US_M(C128), BY_F64},
    {US_M(I64), BY_I64},
    {US_M(U32) | US_M(U64), BY_U64},
    {US_M_ALL, BY_I32},
};

static us_err from_typed(us_onnx_reader *r, const us_pb_tensor *p, us_tensor *t, size_t bytes)
{
    const us_dtype_info *info = us_dtype_get(t->dtype);
    size_t unit = info->bits < 8 ? 1 : (size_t)info->bits / 8, i = 0;
    while (!(typed[i].types & (us_dtype_mask)1 << t->dtype))
        i++;
    int by = typed[i].by;
    if (leave_out(r, bytes)) return US_OK;
    if (by == BY_F32) return from_fixed(r, &p->f32s, t, 4, bytes);
    if (by == BY_F64) return from_fixed(r, &p->f64s, t, 8, bytes);
    return from_varints(r,
                        by == BY_I64   ? &p->i64s
                        : by == BY_U64 ? &p->u64s
                                       : &p->i32s,
                        t, unit, bytes);
}

/* Small external data may say shapes; a description does without when it is not there. */
static us_err from_external(us_onnx_reader *r, const us_pb_tensor *p, us_tensor *t,
                            size_t bytes)
{
    const void *ext;
    us_err e = us_onnx_external(r, p, bytes, &ext);
    if (r->descriptors_only && e != US_OK && e != US_NOMEM) return US_OK;
    US_TRY(e);
    return adopt(r, t, ext, bytes);
}

us_err us_onnx_tensor(us_onnx_reader *r, us_sv span, us_pb_tensor *head, us_tensor *out)
{
    us_pb_tensor p = {0};
    us_tensor t;
    const int64_t *dims;
    size_t rank, bytes;
    US_TRY(us_pb_parse(&r->pb, &us_pb_tensor_msg, span, &p));
    if (p.data_type <= 0 || p.data_type >= US_DTYPE_N)
        return us_pb_fail(&r->pb, US_FORMAT, "TensorProto", r->pb.base + p.h.offset,
                          "tensor '" US_SV_FMT "' has unknown element type %d",
                          US_SV_ARG(p.name), p.data_type);
    US_TRY(us_pb_count(&r->pb, &p.dims, US_PB_VARINT, &rank));
    if (rank > US_MAX_RANK) return bad(r, &p, "has too many dimensions");
    US_TRY(us_pb_i64s(&r->pb, r->pb.tmp, &p.dims, &dims, &rank));
    us_err e = us_tensor_init(r->pb.c, &t, (us_dtype)p.data_type, (int)rank, dims, NULL);
    if (e != US_OK)
        return us_wrap(r->pb.c, US_FORMAT, "%s: tensor '" US_SV_FMT "'", r->pb.name,
                       US_SV_ARG(p.name));
    if (!us_dtype_bytes(t.dtype, (size_t)us_tensor_count(&t), &bytes))
        return bad(r, &p, "is too large");
    if (t.dtype == US_STRING)
        US_TRY(p.raw.n ? bad(r, &p, "has strings as raw data")
                       : from_strings(r, &p, &t, (size_t)us_tensor_count(&t)));
    else if (p.location == 1) {
        US_TRY(leave_out(r, bytes) ? US_OK : from_external(r, &p, &t, bytes));
    } else if (us_pb_has(&p.h, 9))
        US_TRY(from_raw(r, &p, &t, bytes));
    else
        US_TRY(from_typed(r, &p, &t, bytes));
    if (!t.data && us_tensor_count(&t) == 0) /* somewhere: kernels add offsets */
        t.data = us_arena_alloc(r->pb.keep, 1, 1, 64);
    if (head) *head = p;
    *out = t;
    return US_OK;
}
