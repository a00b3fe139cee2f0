/* onnx/read_type.c - TypeProto. A dimension with neither value nor name, or a negative value, gets a fresh symbol; and so does one
 * whose name begins with ?: exporters write that, for several sizes, where they do not know any. */
#include "base/ctx.h"
#include "onnx/read.h"

static us_err elem_dtype(us_onnx_reader *r, int32_t n, const us_pb_head *h, us_dtype *out)
{
    if (n < 0 || n >= US_DTYPE_N)
        return us_pb_fail(&r->pb, US_FORMAT, "TypeProto", r->pb.base + h->offset,
                          "unknown element type %d", n);
    *out = (us_dtype)n; /* 0: not said */
    return US_OK;
}

static us_err dimension(us_onnx_reader *r, us_sv span, us_dim *out)
{
    us_pb_dim d = {0};
    us_sym s;
    US_TRY(us_pb_parse(&r->pb, &us_pb_dim_msg, span, &d));
    /* no tensor has more; other numbers say as little as none */
    if (us_pb_has(&d.h, 1) && d.value >= 0 && d.value <= US_MAX_ELEMENTS) {
        *out = US_DIM(d.value);
        return US_OK;
    }
    if (d.param.n && !us_sv_starts(d.param, "?"))
        US_TRY(us_syms_named(r->pb.c, &r->m->syms, d.param, &s));
    else
        US_TRY(us_syms_fresh(r->pb.c, &r->m->syms, &s));
    *out = US_DIM_SYM(s);
    return US_OK;
}

static us_err tensor(us_onnx_reader *r, us_sv span, us_kind kind, us_type *out)
{
    us_pb_tensor_type p = {0};
    us_pb_shape shape = {0};
    us_type t = {.kind = kind, .rank = -1};
    US_TRY(us_pb_parse(&r->pb, &us_pb_tensor_type_msg, span, &p));
    US_TRY(elem_dtype(r, p.elem, &p.h, &t.dtype));
    if (us_pb_has(&p.h, 2)) {
        US_TRY(us_pb_parse(&r->pb, &us_pb_shape_msg, p.shape, &shape));
        if (shape.dims.n > US_MAX_RANK)
            return us_pb_fail(&r->pb, US_LIMIT, "TensorShapeProto", p.shape.p,
                              "%zu dimensions, at most %d are possible", shape.dims.n,
                              US_MAX_RANK);
        t.rank = (int32_t)shape.dims.n;
        t.dims = us_new_n(r->pb.keep, us_dim, shape.dims.n);
        if (!t.dims) return us_arena_fail(r->pb.c, r->pb.keep);
        for (size_t i = 0; i < shape.dims.n; i++)
            US_TRY(dimension(r, shape.dims.at[i], &t.dims[i]));
        if (t.rank == 0) t.dims = NULL;
    }
    *out = t;
    return US_OK;
}

static us_err inner(us_onnx_reader *r, us_sv span, us_type *out)
{
    us_type *elem = us_new(r->pb.keep, us_type);
    if (!elem) return us_arena_fail(r->pb.c, r->pb.keep);
    US_TRY(us_onnx_type(r, span, elem));
    out->elem = elem;
    return US_OK;
}

static us_err one_of(us_onnx_reader *r, const us_pb_type *p, us_type *out)
{
    us_type t = {.kind = US_KIND_NONE, .rank = -1};
    if (us_pb_has(&p->h, 1)) return tensor(r, p->tensor, US_KIND_TENSOR, out);
    if (us_pb_has(&p->h, 8)) return tensor(r, p->sparse, US_KIND_SPARSE, out);
    if (us_pb_has(&p->h, 5)) {
        us_pb_tensor_type map = {0};
        t.kind = US_KIND_MAP;
        US_TRY(us_pb_parse(&r->pb, &us_pb_map_type_msg, p->map, &map));
        US_TRY(elem_dtype(r, map.elem, &map.h, &t.dtype));
        US_TRY(inner(r, map.shape, &t));
    } else if (us_pb_has(&p->h, 4) || us_pb_has(&p->h, 9)) {
        us_pb_elem e = {0};
        bool seq = us_pb_has(&p->h, 4);
        t.kind = seq ? US_KIND_SEQUENCE : US_KIND_OPTIONAL;
        US_TRY(us_pb_parse(&r->pb, &us_pb_elem_msg, seq ? p->sequence : p->optional, &e));
        US_TRY(inner(r, e.elem, &t));
    }
    *out = t;
    return US_OK;
}

us_err us_onnx_type(us_onnx_reader *r, us_sv span, us_type *out)
{
    us_pb_type p = {0};
    if (r->pb.depth >= US_MAX_VALUE_DEPTH)
        return us_pb_fail(&r->pb, US_LIMIT, "TypeProto", span.p,
                          "types are nested deeper than %d", US_MAX_VALUE_DEPTH);
    US_TRY(us_pb_parse(&r->pb, &us_pb_type_msg, span, &p));
    r->pb.depth++;
    us_err e = one_of(r, &p, out);
    r->pb.depth--;
    return e;
}
