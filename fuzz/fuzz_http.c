/* fuzz_http.c - bodies of prediction requests through the server's handler: the first byte picks the route. */
#include "tiny_model.h"

#include <stdlib.h>

#include "serve/serve.h"

static const struct {
    const char *path, *type;
} routes[] = {
    {"/predict", "application/json"},
    {"/predict", "text/csv"},
    {"/v2/models/tiny/infer", "application/json"},
};

/* One server for all inputs: what it keeps (counters, windows) is bounded and part of what is tested. */
typedef struct world {
    us_ctx c;
    tiny t;
    us_server *s;
    us_http_worker *w;
    bool ready;
} world;

static world *the_world(void)
{
    static world w;
    if (w.ready) return &w;
    us_ctx_init(&w.c);
    w.c.log.level = US_LOG_NONE;
    if (tiny_new(&w.c, 200, &w.t) != US_OK) return NULL;
    us_server_opts o = {.model_name = "tiny",
                        .version = "1",
                        .model = us_buf_sv(&w.t.onnx),
                        .n_threads = 1,
                        .alpha = 0.01,
                        .window_rows = 100};
    w.ready = us_server_open(&w.c, &o, &w.s, &w.w) == US_OK;
    return w.ready ? &w : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world *w = the_world();
    if (!w || !size) return 0;
    size_t r = data[0] % US_LEN(routes);
    us_http_req req = {.method = US_SV("POST"),
                       .path = us_sv_of(routes[r].path),
                       .content_type = us_sv_of(routes[r].type),
                       .body = {(const char *)data + 1, size - 1}};
    us_http_res res = {.status = 200};
    us_buf_init(&res.body, &w->c, (size_t)64 << 20);
    if (us_arena_new(&w->c, "request", (size_t)256 << 20, &req.arena) == US_OK) {
        us_err e = us_server_handle(w->s, w->w, &req, &res);
        if (e != US_OK || res.status >= 500)
            abort(); /* input is the caller's fault, never ours */
        us_arena_free(req.arena);
    }
    us_buf_deinit(&res.body);
    return 0;
}
