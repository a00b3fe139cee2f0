/* onnx/write_file.c - to a buffer, to a file, and weights past a limit to a data file beside it.
 *
 * protobuf messages end at 2 GB, so larger models must keep their weights outside. The data file is complete before
 * the model that names it is put in place.
 */
#include <string.h>

#include "base/ctx.h"
#include "onnx/write.h"

#define MESSAGE_MAX                                                                            \
    ((uint64_t)2000 << 20) /* below protobuf's 2 GB, with room for everything else */

us_err us_onnx_print(us_ctx *c, const us_model *m, us_buf *b)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "writing a model", US_MODEL_ARENA_CAP, &a));
    us_onnx_writer w = {.m = m};
    us_pb_out o = {.c = c, .a = a, .buf = b};
    us_err e = us_pb_emit(&o, us_onnx_emit, &w);
    us_arena_free(a);
    return e;
}

static uint64_t weight_bytes(const us_model *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->graphs.n; i++) {
        const us_graph *g = m->graphs.at[i];
        for (size_t j = 0; j < g->vals.n; j++) {
            const us_val *v = &g->vals.at[j];
            if (v->data && v->data->kind == US_KIND_TENSOR) sum += us_tensor_bytes(&v->data->t);
        }
    }
    return sum;
}

static us_sv base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return us_sv_of(slash ? slash + 1 : path);
}

static us_err put_data(void *ud, const void *p, size_t n)
{
    return us_writer_write(ud, p, n);
}

/* Opens the data file beside path and gives the writer its name. */
static us_err open_data(us_pb_out *o, us_onnx_writer *w, const char *path, us_writer **data)
{
    us_sv base = base_name(path);
    char *data_path = us_str_printf(o->a, "%s.data", path);
    char *name = us_str_printf(o->a, US_SV_FMT ".data", US_SV_ARG(base));
    if (!data_path || !name) return us_arena_fail(o->c, o->a);
    w->location = us_sv_of(name);
    w->put = put_data;
    return us_writer_open(o->c, data_path, data);
}

us_err us_onnx_write(us_ctx *c, const us_model *m, const char *path, uint64_t external_over)
{
    us_arena *a;
    us_writer *data = NULL;
    US_TRY(us_arena_new(c, "writing a model", US_MODEL_ARENA_CAP, &a));
    uint64_t limit = external_over ? US_MIN(external_over, MESSAGE_MAX) : MESSAGE_MAX;
    us_onnx_writer w = {.m = m};
    us_pb_out o = {.c = c, .a = a};
    us_err e = weight_bytes(m) > limit ? open_data(&o, &w, path, &data) : US_OK;
    w.put_ud = data;
    if (e == US_OK) e = us_writer_open(c, path, &o.writer);
    if (e == US_OK) e = us_pb_emit(&o, us_onnx_emit, &w);
    /* commit frees, whatever its result; what is not committed is aborted */
    if (e == US_OK && data) {
        us_writer *done = data;
        data = NULL;
        e = us_writer_commit(done);
    }
    if (e == US_OK) {
        us_writer *whole = o.writer;
        o.writer = NULL;
        e = us_writer_commit(whole);
    }
    us_writer_abort(data);
    us_writer_abort(o.writer);
    us_arena_free(a);
    return e;
}

us_err us_onnx_print_plan(us_ctx *c, const us_model *m, us_onnx_put_fn *put, void *ud,
                          uint64_t from, us_buf *b)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "writing a plan", US_MODEL_ARENA_CAP, &a));
    us_onnx_writer w = {.m = m,
                        .location = US_SV("plan"),
                        .put = put,
                        .put_ud = ud,
                        .data_from = from,
                        .plan = true};
    us_pb_out o = {.c = c, .a = a, .buf = b};
    us_err e = us_pb_emit(&o, us_onnx_emit, &w);
    us_arena_free(a);
    return e;
}
