/* onnx/read_attr.c - AttributeProto: decoded by kind; kinds we do not decode stay bytes in us_attr.raw. */
#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"
#include "onnx/read.h"

/* Files before IR 4 may leave the kind out: the field that is there tells. */
static int32_t kind_of(const us_pb_attr *p)
{
    static const struct {
        uint32_t num;
        int32_t kind;
    } rows[] = {
        {2, US_AT_FLOAT},    {3, US_AT_INT},     {4, US_AT_STRING}, {5, US_AT_TENSOR},
        {6, US_AT_GRAPH},    {7, US_AT_FLOATS},  {8, US_AT_INTS},   {9, US_AT_STRINGS},
        {10, US_AT_TENSORS}, {11, US_AT_GRAPHS}, {14, US_AT_TYPE},  {15, US_AT_TYPES},
    };
    if (p->type) return p->type;
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_pb_has(&p->h, rows[i].num)) return rows[i].kind;
    return US_AT_NONE;
}

static us_err floats(us_onnx_reader *r, const us_pb_attr *p, us_attr *a)
{
    size_t n;
    US_TRY(us_pb_count(&r->pb, &p->floats, US_PB_FIXED32, &n));
    float *v = us_new_n(r->pb.keep, float, n);
    if (!v) return us_arena_fail(r->pb.c, r->pb.keep);
    US_TRY(us_pb_fixed(&r->pb, &p->floats, sizeof *v, n, v));
    a->floats = v;
    a->n = n;
    return US_OK;
}

static us_err strings(us_onnx_reader *r, const us_pb_attr *p, us_attr *a)
{
    us_sv *v = us_new_n(r->pb.keep, us_sv, p->strings.n);
    if (!v) return us_arena_fail(r->pb.c, r->pb.keep);
    if (p->strings.n) memcpy(v, p->strings.at, p->strings.n * sizeof *v);
    a->strs = v;
    a->n = p->strings.n;
    return US_OK;
}

static us_err tensors(us_onnx_reader *r, const us_sv *spans, size_t n, us_attr *a)
{
    us_tensor *v = us_new_n(r->pb.keep, us_tensor, n);
    if (!v) return us_arena_fail(r->pb.c, r->pb.keep);
    for (size_t i = 0; i < n; i++)
        US_TRY(us_onnx_tensor(r, spans[i], NULL, &v[i]));
    a->tensors = v;
    a->n = n;
    return US_OK;
}

static us_err graphs(us_onnx_reader *r, us_graph *parent, const us_sv *spans, size_t n,
                     us_attr *a)
{
    us_graph **v = us_new_n(r->pb.keep, us_graph *, n);
    if (!v) return us_arena_fail(r->pb.c, r->pb.keep);
    for (size_t i = 0; i < n; i++) {
        US_TRY(us_graph_new(r->pb.c, r->m, parent, (us_sv){0}, &v[i]));
        US_TRY(us_onnx_graph(r, spans[i], v[i]));
    }
    a->graphs = v;
    a->n = n;
    return US_OK;
}

static us_err types(us_onnx_reader *r, const us_sv *spans, size_t n, us_attr *a)
{
    us_type *v = us_new_n(r->pb.keep, us_type, n);
    if (!v) return us_arena_fail(r->pb.c, r->pb.keep);
    for (size_t i = 0; i < n; i++)
        US_TRY(us_onnx_type(r, spans[i], &v[i]));
    a->types = v;
    a->n = n;
    return US_OK;
}

static us_err contents(us_onnx_reader *r, us_graph *parent, const us_pb_attr *p, us_attr *a)
{
    static const us_sv none;
    a->i = p->i;
    a->f = p->f;
    a->s = p->s;
    if (a->kind == US_AT_FLOATS) return floats(r, p, a);
    if (a->kind == US_AT_INTS) return us_pb_i64s(&r->pb, r->pb.keep, &p->ints, &a->ints, &a->n);
    if (a->kind == US_AT_STRINGS) return strings(r, p, a);
    if (a->kind == US_AT_TENSOR) return tensors(r, p->t.p ? &p->t : &none, 1, a);
    if (a->kind == US_AT_TENSORS) return tensors(r, p->tensors.at, p->tensors.n, a);
    if (a->kind == US_AT_GRAPH) return graphs(r, parent, p->g.p ? &p->g : &none, 1, a);
    if (a->kind == US_AT_GRAPHS) return graphs(r, parent, p->graphs.at, p->graphs.n, a);
    if (a->kind == US_AT_TYPE) return types(r, p->tp.p ? &p->tp : &none, 1, a);
    if (a->kind == US_AT_TYPES) return types(r, p->types.at, p->types.n, a);
    return US_OK;
}

static us_err one(us_onnx_reader *r, us_graph *parent, us_sv span, us_map *names, us_attr *out)
{
    us_pb_attr p = {0};
    uint32_t was;
    US_TRY(us_pb_parse(&r->pb, &us_pb_attr_msg, span, &p));
    const uint8_t *at = r->pb.base + p.h.offset;
    if (!p.name.n)
        return us_pb_fail(&r->pb, US_FORMAT, "AttributeProto", at,
                          "an attribute without a name");
    US_TRY(us_map_put(r->pb.c, names, p.name, 0, &was));
    if (was != US_MAP_NONE)
        return us_pb_fail(&r->pb, US_FORMAT, "AttributeProto", at,
                          "attribute '" US_SV_FMT "' is given twice", US_SV_ARG(p.name));
    us_attr a = {
        .name = p.name, .kind = kind_of(&p), .ref = p.ref, .doc = p.doc, .raw = p.h.unknown};
    if (a.kind < US_AT_NONE || a.kind > US_AT_TYPES)
        return us_pb_fail(&r->pb, US_FORMAT, "AttributeProto", at,
                          "attribute '" US_SV_FMT "' is of unknown kind %d", US_SV_ARG(p.name),
                          (int)a.kind);
    if (!a.ref.n) US_TRY(contents(r, parent, &p, &a));
    *out = a;
    return US_OK;
}

us_err us_onnx_attrs(us_onnx_reader *r, us_graph *parent, const us_pb_spans *spans,
                     us_attr **out, uint32_t *n)
{
    us_map names;
    if (spans->n > US_ONNX_MAX_ATTRS)
        return us_pb_fail(&r->pb, US_LIMIT, "AttributeProto", spans->at[0].p,
                          "a node has %zu attributes, at most %d are possible", spans->n,
                          US_ONNX_MAX_ATTRS);
    us_map_init(&names, r->pb.tmp);
    us_attr *v = us_new_n(r->pb.keep, us_attr, spans->n);
    if (!v) return us_arena_fail(r->pb.c, r->pb.keep);
    for (size_t i = 0; i < spans->n; i++)
        US_TRY(one(r, parent, spans->at[i], &names, &v[i]));
    *out = v;
    *n = (uint32_t)spans->n;
    return US_OK;
}
