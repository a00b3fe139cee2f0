/* onnx/read_value.c - single values: TensorProto, SequenceProto, OptionalProto, MapProto (onnx-data.proto3). */
#include <string.h>

#include "base/ctx.h"
#include "onnx/read.h"

static us_err value_at(us_onnx_reader *r, const us_type *type, us_sv span, us_value *out);

/* Element kinds of SequenceProto and OptionalProto, in the numbers of the format. */
enum { OF_NOTHING, OF_TENSOR, OF_SPARSE, OF_SEQUENCE, OF_MAP, OF_OPTIONAL };

static const us_pb_spans *elements(const us_pb_seq *p)
{
    static const us_pb_spans none;
    const us_pb_spans *const by_kind[] = {
        [OF_NOTHING] = &none,          [OF_TENSOR] = &p->tensors, [OF_SPARSE] = &p->sparses,
        [OF_SEQUENCE] = &p->sequences, [OF_MAP] = &p->maps,       [OF_OPTIONAL] = &p->optionals,
    };
    return p->elem_type >= 0 && (size_t)p->elem_type < US_LEN(by_kind) ? by_kind[p->elem_type]
                                                                       : &none;
}

static const us_type any_tensor = {.kind = US_KIND_TENSOR, .rank = -1};

/* The type of an element: as declared, else by what the file says it is. */
static us_type elem_type(const us_type *type, int32_t kind)
{
    static const us_kind kinds[] = {US_KIND_NONE,     US_KIND_TENSOR, US_KIND_SPARSE,
                                    US_KIND_SEQUENCE, US_KIND_MAP,    US_KIND_OPTIONAL};
    if (type->elem) return *type->elem;
    us_type t = any_tensor;
    if (kind >= 0 && (size_t)kind < US_LEN(kinds)) t.kind = kinds[kind];
    return t;
}

static us_err sequence(us_onnx_reader *r, const us_type *type, us_sv span, us_value *out)
{
    us_pb_seq p = {0};
    US_TRY(us_pb_parse(&r->pb, &us_pb_seq_msg, span, &p));
    const us_pb_spans *e = elements(&p);
    us_type t = elem_type(type, p.elem_type);
    us_value v = {.kind = US_KIND_SEQUENCE, .n_items = e->n};
    v.items = us_new_n(r->pb.keep, us_value, e->n);
    if (!v.items) return us_arena_fail(r->pb.c, r->pb.keep);
    for (size_t i = 0; i < e->n; i++)
        US_TRY(value_at(r, &t, e->at[i], &v.items[i]));
    *out = v;
    return US_OK;
}

static us_err optional(us_onnx_reader *r, const us_type *type, us_sv span, us_value *out)
{
    us_pb_seq p = {0};
    US_TRY(us_pb_parse(&r->pb, &us_pb_seq_msg, span, &p));
    const us_pb_spans *e = elements(&p);
    us_type t = elem_type(type, p.elem_type);
    if (e->n == 0) {
        *out = (us_value){.kind = US_KIND_NONE};
        return US_OK;
    }
    return value_at(r, &t, e->at[e->n - 1], out);
}

static us_err map_keys(us_onnx_reader *r, const us_pb_map *p, us_tensor *out)
{
    us_ctx *c = r->pb.c;
    if (p->key_type == US_STRING) {
        const int64_t n = (int64_t)p->string_keys.n;
        US_TRY(us_tensor_new(c, r->pb.keep, US_STRING, 1, &n, out));
        if (n) memcpy(out->data, p->string_keys.at, (size_t)n * sizeof(us_sv));
        return US_OK;
    }
    us_dtype dt =
        p->key_type > 0 && p->key_type < US_DTYPE_N ? (us_dtype)p->key_type : US_DT_NONE;
    const us_dtype_info *info = us_dtype_get(dt);
    const int64_t *keys;
    size_t count;
    if (!info->from_i64 || (info->cls != US_DC_INT && info->cls != US_DC_UINT))
        return us_pb_fail(&r->pb, US_FORMAT, "MapProto", r->pb.base + p->h.offset,
                          "key type %d, expected integers or strings", p->key_type);
    US_TRY(us_pb_i64s(&r->pb, r->pb.tmp, &p->keys, &keys, &count));
    const int64_t n = (int64_t)count;
    US_TRY(us_tensor_new(c, r->pb.keep, dt, 1, &n, out));
    info->from_i64(out->data, 0, count, keys);
    return US_OK;
}

static us_err map(us_onnx_reader *r, const us_type *type, us_sv span, us_value *out)
{
    us_pb_map p = {0};
    us_value values, v = {.kind = US_KIND_MAP};
    const us_type seq = {.kind = US_KIND_SEQUENCE, .elem = type->elem};
    US_TRY(us_pb_parse(&r->pb, &us_pb_map_msg, span, &p));
    US_TRY(map_keys(r, &p, &v.t));
    US_TRY(sequence(r, &seq, p.values, &values));
    if ((int64_t)values.n_items != v.t.dims[0])
        return us_pb_fail(&r->pb, US_FORMAT, "MapProto", r->pb.base + p.h.offset,
                          "%lld keys and %zu values", (long long)v.t.dims[0], values.n_items);
    v.items = values.items;
    v.n_items = values.n_items;
    *out = v;
    return US_OK;
}

static us_err tensor(us_onnx_reader *r, const us_type *type, us_sv span, us_value *out)
{
    us_tensor t;
    (void)type;
    US_TRY(us_onnx_tensor(r, span, NULL, &t));
    *out = us_value_of(&t);
    return US_OK;
}

static us_err value_at(us_onnx_reader *r, const us_type *type, us_sv span, us_value *out)
{
    static us_err (*const readers[])(us_onnx_reader *, const us_type *, us_sv, us_value *) = {
        [US_KIND_TENSOR] = tensor,
        [US_KIND_SEQUENCE] = sequence,
        [US_KIND_MAP] = map,
        [US_KIND_OPTIONAL] = optional,
    };
    if (r->pb.depth >= US_MAX_VALUE_DEPTH)
        return us_pb_fail(&r->pb, US_LIMIT, "value", span.p, "values are nested deeper than %d",
                          US_MAX_VALUE_DEPTH);
    if ((size_t)type->kind >= US_LEN(readers) || !readers[type->kind])
        return us_pb_fail(&r->pb, US_UNSUPP, "value", span.p,
                          "values of this kind are not read");
    r->pb.depth++;
    us_err e = readers[type->kind](r, type, span, out);
    r->pb.depth--;
    return e;
}

us_err us_onnx_parse_value(us_ctx *c, us_arena *a, const char *name, const us_type *type,
                           const void *p, size_t n, us_value *out)
{
    us_arena *tmp;
    US_TRY(us_arena_new(c, "reading a value", US_MODEL_ARENA_CAP, &tmp));
    us_onnx_reader r = {.pb = {c, name, p, a, tmp, 0}};
    us_value shared, v;
    us_err e = value_at(&r, type, (us_sv){p, n}, &shared);
    if (e == US_OK) e = us_value_dup(c, a, &shared, &v); /* the input may go */
    us_arena_free(tmp);
    if (e == US_OK) *out = v;
    return e;
}

us_err us_onnx_parse_tensor(us_ctx *c, us_arena *a, const char *name, const void *p, size_t n,
                            us_tensor *out)
{
    us_value v;
    US_TRY(us_onnx_parse_value(c, a, name, &any_tensor, p, n, &v));
    *out = v.t;
    return US_OK;
}
