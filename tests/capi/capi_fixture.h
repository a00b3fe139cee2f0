/* capi_fixture.h - a model from its text form, through the engine's own writer, in the hands of the public C API. */
#ifndef CAPI_FIXTURE_H
#define CAPI_FIXTURE_H

#include "us_test.h"

#include "ir/text.h"
#include "onnx/onnx.h"
#include "usta/usta.h"

typedef struct world {
    us_ctx c;
    us_buf bytes;
    usta_env *env;
    usta_model *model;
    usta_session *session;
} world;

#define CHECK_USTA(w, expr)                                                                    \
    do {                                                                                       \
        usta_err u_ = (expr);                                                                  \
        if (u_ != USTA_OK)                                                                     \
            US_TEST_FAIL("%s gave %d: %s / %s", #expr, (int)u_, usta_env_error((w)->env),      \
                         usta_session_error((w)->session));                                    \
    } while (0)

/* y = Relu(x w + b). */
static const char *const NET = "model ir=8 opset=17\n"
                               "graph main(x: float[N,2]) -> (y) {\n"
                               "  const w: float[2,3] = {1, 2, 3, 4, 5, 6}\n"
                               "  const b: float[3] = {0.5, -100, 0}\n"
                               "  h = Gemm(x, w, b) {alpha=1.0}\n"
                               "  y: float[N,3] = Relu(h)\n"
                               "}\n";

static inline void onnx_of(us_ctx *c, const char *text, us_buf *out)
{
    us_model *m;
    CHECK_OK(c, us_model_parse(c, us_sv_of(text), &m));
    CHECK_OK(c, us_graph_infer(c, m->main));
    CHECK_OK(c, us_model_set_prop(c, m, US_SV("colour"), US_SV("blue")));
    us_buf_init(out, c, (size_t)1 << 24);
    CHECK_OK(c, us_onnx_print(c, m, out));
    us_model_free(m);
}

/* Up to the model. */
static inline void world_read(world *w, const char *text, const usta_env_settings *es)
{
    memset(w, 0, sizeof *w);
    us_ctx_init(&w->c);
    onnx_of(&w->c, text, &w->bytes);
    CHECK_USTA(w, usta_env_new(es, &w->env));
    CHECK_USTA(w, usta_model_parse(w->env, w->bytes.p, w->bytes.n, NULL, &w->model));
}

static inline void world_begin(world *w, const char *text)
{
    world_read(w, text, NULL);
    CHECK_USTA(w, usta_session_new(w->model, NULL, &w->session));
}

static inline void world_end(world *w)
{
    usta_session_free(w->session);
    usta_model_free(w->model);
    usta_env_free(w->env);
    us_buf_deinit(&w->bytes);
    us_ctx_deinit(&w->c);
}

static inline usta_tensor f32(int64_t rows, int64_t cols, float *data)
{
    return (usta_tensor){
        .type = USTA_TYPE_FLOAT, .rank = 2, .dims = {rows, cols}, .data = data};
}

#endif
