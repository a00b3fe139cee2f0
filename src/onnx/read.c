/* onnx/read.c - ModelProto: the outermost message, opset imports, properties, functions. */
#include "onnx/read.h"

#include <string.h>

#include "base/ctx.h"

us_err us_onnx_opsets(us_onnx_reader *r, const us_pb_spans *spans, us_opset *out)
{
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_pair p = {0};
        US_TRY(us_pb_parse(&r->pb, &us_pb_opset_msg, spans->at[i], &p));
        if (p.version < 0 || p.version > INT32_MAX)
            return us_pb_fail(&r->pb, US_FORMAT, "OperatorSetIdProto", r->pb.base + p.h.offset,
                              "version %lld of '" US_SV_FMT "' is no version",
                              (long long)p.version, US_SV_ARG(p.a));
        out[i] = (us_opset){p.a, (int32_t)p.version};
    }
    return US_OK;
}

static us_err props(us_onnx_reader *r, const us_pb_spans *spans)
{
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_pair p = {0};
        US_TRY(us_pb_parse(&r->pb, &us_pb_entry_msg, spans->at[i], &p));
        US_TRY(us_vec_push(r->pb.c, r->m->arena, &r->m->props, (us_prop){p.a, p.b}));
    }
    return US_OK;
}

static us_err model(us_onnx_reader *r, us_sv span)
{
    us_model *m = r->m;
    us_pb_model p = {0};
    US_TRY(us_pb_parse(&r->pb, &us_pb_model_msg, span, &p));
    if (!us_pb_has(&p.h, 7))
        return us_pb_fail(&r->pb, US_FORMAT, "ModelProto", NULL,
                          "no graph: is this an ONNX model?");
    m->ir_version = p.ir_version;
    m->model_version = p.model_version;
    m->producer_name = p.producer_name;
    m->producer_version = p.producer_version;
    m->domain = p.domain;
    m->doc = p.doc;
    m->unknown = p.h.unknown;
    m->opsets.n = 0; /* what a new model imports is replaced by what the file says */
    US_TRY(us_vec_reserve(r->pb.c, m->arena, &m->opsets, p.opsets.n));
    US_TRY(us_onnx_opsets(r, &p.opsets, m->opsets.at));
    m->opsets.n = p.opsets.n;
    US_TRY(props(r, &p.props));
    for (size_t i = 0; i < p.functions.n; i++)
        US_TRY(us_onnx_function(r, p.functions.at[i]));
    return us_onnx_graph(r, p.graph, m->main);
}

us_err us_onnx_parse(us_ctx *c, const char *name, const void *p, size_t n, const char *dir,
                     const us_onnx_opts *opts, us_model **out)
{
    us_arena *tmp;
    us_model *m = NULL;
    if (n >= 8 && memcmp(p, US_ONNX_NO_PLAN, 8) == 0)
        return us_fail(
            c, US_UNSUPP,
            "%s: this is a plan that `usta compile` made; here the model itself is needed",
            name);
    US_TRY(us_arena_new(c, "reading a model", US_MODEL_ARENA_CAP, &tmp));
    us_err e = us_model_new(c, &m);
    if (e == US_OK) {
        us_onnx_reader r = {.pb = {c, name, p, m->arena, tmp, 0}, .m = m, .dir = dir};
        r.n_bytes = n;
        if (opts) {
            r.descriptors_only = opts->descriptors_only;
            r.plan = opts->plan;
            r.data = (us_sv){opts->data, opts->data_bytes};
        }
        us_map_init(&r.external_names, m->arena); /* parts of tmp come and go */
        e = model(&r, (us_sv){p, n});
    }
    us_arena_free(tmp);
    if (e == US_OK)
        *out = m;
    else
        us_model_free(m);
    return e;
}

us_err us_onnx_read(us_ctx *c, const char *path, const us_onnx_opts *opts, us_model **out)
{
    us_err e;
    us_file *f = NULL;
    us_arena *a = NULL;
    us_model *m = NULL;
    char *dir;
    US_GO(us_file_open(c, path, US_ONNX_MAX_FILE, &f));
    US_GO(us_arena_new(c, "path", (size_t)1 << 20, &a));
    dir = us_path_dir(a, path);
    US_GO(dir ? US_OK : us_arena_fail(c, a));
    US_GO(us_onnx_parse(c, path, us_file_data(f), us_file_size(f), dir, opts, &m));
    US_GO(us_file_ok(f) ? US_OK
                        : us_fail(c, US_IO, "%s: the file shrank while it was read", path));
    us_arena_free(a);
    m->file = f;
    *out = m;
    return US_OK;
out:
    us_model_free(m);
    us_arena_free(a);
    us_file_close(f);
    return e;
}
