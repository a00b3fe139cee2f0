/* serve/server.c - routes, workers, and what happens around a prediction: log, window, counters. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "serve/server.h"

/* --- around a prediction --------------------------------------------------------------------------------- */

static void lock(us_server *s)
{
    while (atomic_flag_test_and_set_explicit(&s->busy, memory_order_acquire)) {
    }
}

static void unlock(us_server *s)
{
    atomic_flag_clear_explicit(&s->busy, memory_order_release);
}

/* A full window becomes the last one; its former sketches are emptied and filled next. */
static void turn_window(us_server *s)
{
    us_window w = s->last;
    s->last = s->window;
    s->window = w;
    us_window_clear(&s->window);
    s->has_last = true;
}

static void watch(us_call *k)
{
    us_server *s = k->s;
    int64_t now = us_wall_us();
    us_buf line;
    us_buf_init(&line, k->c, US_REQLOG_MAX_LINE);
    if (s->o.log_path)
        us_reqlog_print(&line, &k->p->decoder, k->in, &k->y, &k->p->passport, now);
    lock(s);
    us_window_add(&s->window, &k->p->decoder, k->in, &k->y, now);
    if (s->window.n_rows >= s->o.window_rows) turn_window(s);
    us_err e = US_OK;
    if (s->o.log_path && us_buf_check(&line) == US_OK)
        e = us_reqlog_append(k->c, s->o.log_path, &line, s->o.log_max_bytes);
    unlock(s);
    /* The answer is right even when the log is not: say so, go on. */
    if (e != US_OK || line.err != US_OK)
        us_logf(k->c, US_LOG_ERROR, "request log: %s", k->c->diag.text);
    us_buf_deinit(&line);
}

/* An answer that is no number is none: numbers beyond float32 make one, and the caller must hear of it. */
static us_err check_finite(us_call *k)
{
    const us_predictions *y = &k->y;
    size_t per_row = y->task == US_TASK_CLASSES ? y->k : 1;
    const float *v = y->task == US_TASK_CLASSES ? y->prob : y->value;
    for (size_t i = 0; i < k->n * per_row; i++)
        if (!isfinite(v[i]))
            return us_fail(k->c, US_ARG,
                           "row %zu: the model has no finite answer; a value of this row is "
                           "too large for it",
                           i / per_row + 1);
    return US_OK;
}

us_err us_call_predict(us_call *k)
{
    uint64_t t = us_now_ns();
    US_TRY(us_predict(k->c, k->p, k->req->arena, k->in, k->n, &k->y));
    atomic_fetch_add(&k->s->metrics.infer_ns, us_now_ns() - t);
    US_TRY(check_finite(k));
    watch(k);
    return US_OK;
}

/* --- handlers ---------------------------------------------------------------------------------------------- */

static us_err get_server(us_call *k)
{
    us_buf_addf(&k->res->body, "{\"name\":\"usta\",\"version\":\"%s\",\"extensions\":[]}\n",
                US_VERSION);
    return US_OK;
}

static us_err get_live(us_call *k)
{
    us_buf_adds(&k->res->body, "{\"live\":true}\n");
    return US_OK;
}

static us_err get_ready(us_call *k)
{
    us_buf_adds(&k->res->body, "{\"ready\":true}\n");
    return US_OK;
}

static us_err get_model_ready(us_call *k)
{
    us_buf_adds(&k->res->body, "{\"name\":");
    us_json_add_text(&k->res->body, us_sv_of(k->s->o.model_name));
    us_buf_adds(&k->res->body, ",\"ready\":true}\n");
    return US_OK;
}

/* The window worth reporting: the last full one, else what there is. */
static us_err report(us_call *k, us_drift_report *out)
{
    us_server *s = k->s;
    lock(s);
    us_err e = us_window_report(k->c, k->req->arena, s->has_last ? &s->last : &s->window,
                                s->o.alpha, out);
    unlock(s);
    return e;
}

static us_err get_metrics(us_call *k)
{
    us_drift_report r;
    us_server *s = k->s;
    k->res->content_type = "text/plain; version=0.0.4; charset=utf-8";
    US_TRY(report(k, &r));
    us_metrics_print(&s->metrics, s->o.model_name, s->o.version, &k->res->body);
    if (r.enough) us_drift_prometheus(&r, s->o.model_name, &k->res->body);
    return US_OK;
}

static us_err get_monitor(us_call *k)
{
    us_drift_report r;
    json_t *j;
    US_TRY(report(k, &r));
    US_TRY(us_drift_json(k->c, k->req->arena, &r, &j));
    US_TRY(us_json_print(k->c, j, &k->res->body));
    us_buf_addc(&k->res->body, '\n');
    return US_OK;
}

/* --- routes ------------------------------------------------------------------------------------------------ */

typedef struct route {
    const char *method;
    const char *path; /* {m} model's name, {v} its version */
    us_err (*run)(us_call *k);
    bool predicts; /* counted among the prediction requests */
} route;

static const route routes[] = {
    {"GET", "/v2", get_server, false},
    {"GET", "/v2/health/live", get_live, false},
    {"GET", "/v2/health/ready", get_ready, false},
    {"GET", "/v2/models/{m}", us_oip_metadata, false},
    {"GET", "/v2/models/{m}/ready", get_model_ready, false},
    {"POST", "/v2/models/{m}/infer", us_oip_infer, true},
    {"POST", "/v2/models/{m}/predict", us_rows_predict, true},
    {"GET", "/v2/models/{m}/versions/{v}", us_oip_metadata, false},
    {"GET", "/v2/models/{m}/versions/{v}/ready", get_model_ready, false},
    {"POST", "/v2/models/{m}/versions/{v}/infer", us_oip_infer, true},
    {"POST", "/predict", us_rows_predict, true},
    {"GET", "/metrics", get_metrics, false},
    {"GET", "/monitor", get_monitor, false},
};

/* Does the path fit the pattern? Names in braces stand for this model's own. */
static bool fits(const us_server *s, us_sv path, const char *pattern)
{
    while (*pattern) {
        const char *want = NULL;
        if (!strncmp(pattern, "{m}", 3)) want = s->o.model_name;
        if (!strncmp(pattern, "{v}", 3)) want = s->o.version;
        if (!want) {
            if (!path.n || path.p[0] != *pattern) return false;
            path.p++;
            path.n--;
            pattern++;
            continue;
        }
        size_t n = strlen(want);
        if (path.n < n || memcmp(path.p, want, n)) return false;
        path.p += n;
        path.n -= n;
        pattern += 3;
    }
    return path.n == 0;
}

static void error_body(us_http_res *res, int status, us_sv text)
{
    us_buf_clear(&res->body);
    res->status = status;
    us_buf_adds(&res->body, "{\"error\":");
    us_json_add_text(&res->body, text);
    us_buf_adds(&res->body, "}\n");
}

/* What went wrong, as a status: the caller's mistakes are 4xx, ours 5xx. */
static int status_of(us_err e)
{
    static const struct {
        us_err e;
        int status;
    } map[] = {{US_LIMIT, 413}, {US_NOMEM, 503}, {US_BUG, 500}, {US_IO, 500}};
    for (size_t i = 0; i < US_LEN(map); i++)
        if (map[i].e == e) return map[i].status;
    return 400;
}

static void answer(us_call *k, const route *r)
{
    uint64_t t = us_now_ns();
    us_err e = US_OK;
    k->in = us_new_n(k->req->arena, us_value, k->p->decoder.n_inputs);
    e = k->in ? r->run(k) : us_arena_fail(k->c, k->req->arena);
    if (e == US_OK) e = us_buf_check(&k->res->body);
    if (e != US_OK) {
        us_sv text = us_sv_of(k->c->diag.text);
        error_body(k->res, status_of(e), text);
        us_logf(k->c, k->res->status >= 500 ? US_LOG_ERROR : US_LOG_INFO, "%s: %s", r->path,
                k->c->diag.text);
    }
    if (!r->predicts) return;
    us_outcome o = e == US_OK             ? US_OUT_OK
                   : k->res->status < 500 ? US_OUT_BAD_REQUEST
                                          : US_OUT_ERROR;
    us_metrics_request(&k->s->metrics, o, k->n, us_now_ns() - t);
}

us_err us_server_handle(us_server *s, us_http_worker *w, const us_http_req *req,
                        us_http_res *res)
{
    us_server_worker *mine = w->ud;
    us_call k = {.s = s, .c = &w->c, .p = &mine->p, .req = req, .res = res};
    bool known = false;
    us_sv path = req->path;
    if (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    for (size_t i = 0; i < US_LEN(routes); i++) {
        if (!fits(s, path, routes[i].path)) continue;
        known = true;
        res->allow = routes[i].method;
        if (!us_sv_is(req->method, routes[i].method)) continue;
        res->allow = NULL;
        answer(&k, &routes[i]);
        return US_OK;
    }
    char text[512];
    us_buf b;
    us_buf_init(&b, &w->c, sizeof text - 1);
    us_buf_addf(&b, known ? US_SV_FMT " does not take this method" : "no such path: " US_SV_FMT,
                (int)US_MIN(path.n, 200), path.n ? path.p : "");
    if (!known)
        us_buf_addf(&b, "; this server has model '%s' at /v2/models/%s", s->o.model_name,
                    s->o.model_name);
    error_body(res, known ? 405 : 404, us_buf_sv(&b));
    us_buf_deinit(&b);
    return US_OK;
}

static us_err handle(void *ud, us_http_worker *w, const us_http_req *req, us_http_res *res)
{
    return us_server_handle(ud, w, req, res);
}

/* --- workers and life ---------------------------------------------------------------------------------------- */

static us_err worker_init(void *ud, us_http_worker *w)
{
    us_server *s = ud;
    us_arena *a;
    US_TRY(us_arena_new(&w->c, "server worker", (size_t)1 << 30, &a));
    us_server_worker *mine = us_new(a, us_server_worker);
    us_err e =
        mine ? us_predictor_share(&w->c, a, &s->owner, &mine->p) : us_arena_fail(&w->c, a);
    if (e != US_OK) {
        us_arena_free(a);
        return e;
    }
    mine->arena = a;
    w->ud = mine;
    return US_OK;
}

static void worker_deinit(void *ud, us_http_worker *w)
{
    (void)ud;
    us_server_worker *mine = w->ud;
    if (!mine) return;
    us_predictor_close(&mine->p);
    us_arena_free(mine->arena);
    w->ud = NULL;
}

static us_err check_name(us_ctx *c, const char *what, const char *name)
{
    size_t n = strlen(name);
    size_t ok =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (!n || n > 100 || ok != n)
        return us_fail(c, US_ARG, "%s '%s': expected 1 to 100 letters, digits, '.', '_' or '-'",
                       what, name);
    return US_OK;
}

static us_err open_parts(us_server *s)
{
    us_ctx *c = &s->c;
    US_TRY(check_name(c, "model name", s->o.model_name));
    US_TRY(check_name(c, "model version", s->o.version));
    US_TRY(us_arena_new(c, "server", (size_t)4 << 30, &s->arena));
    US_TRY(us_predictor_open(c, s->arena, s->o.model_name, s->o.model, &s->owner));
    US_TRY(us_window_new(c, s->arena, &s->owner.passport, &s->window));
    US_TRY(us_window_new(c, s->arena, &s->owner.passport, &s->last));
    atomic_flag_clear(&s->busy);
    s->metrics.started_us = us_wall_us();
    return US_OK;
}

static us_err server_new(us_ctx *c, const us_server_opts *o, us_server **out)
{
    us_server *s = us_mem_get(&c->alloc, 1, sizeof *s);
    if (!s) return us_nomem(c);
    us_ctx_init(&s->c);
    s->c.alloc = c->alloc;
    s->c.log = c->log;
    s->o = *o;
    us_err e = open_parts(s);
    if (e != US_OK) {
        (void)us_fail(c, e, "%s", s->c.diag.text);
        us_server_stop(s);
        return e;
    }
    *out = s;
    return US_OK;
}

us_err us_server_start(us_ctx *c, const us_server_opts *o, us_server **out)
{
    us_server *s;
    US_TRY(server_new(c, o, &s));
    us_http_opts h = {.host = o->host,
                      .port = o->port,
                      .n_threads = o->n_threads,
                      .max_body = o->max_body,
                      .handler = handle,
                      .ud = s,
                      .worker_init = worker_init,
                      .worker_deinit = worker_deinit};
    us_err e = us_http_start(c, &h, &s->http);
    if (e != US_OK) {
        us_server_stop(s);
        return e;
    }
    *out = s;
    return US_OK;
}

us_err us_server_open(us_ctx *c, const us_server_opts *o, us_server **out,
                      us_http_worker **worker)
{
    us_server *s;
    US_TRY(server_new(c, o, &s));
    us_ctx_init(&s->solo.c);
    s->solo.c.alloc = c->alloc;
    s->has_solo = true;
    us_err e = worker_init(s, &s->solo);
    if (e != US_OK) {
        (void)us_fail(c, e, "%s", s->solo.c.diag.text);
        us_server_stop(s);
        return e;
    }
    *worker = &s->solo;
    *out = s;
    return US_OK;
}

int us_server_port(const us_server *s)
{
    return us_http_port(s->http);
}

void us_server_stop(us_server *s)
{
    if (!s) return;
    us_http_stop(s->http);
    if (s->has_solo) {
        worker_deinit(s, &s->solo);
        us_ctx_deinit(&s->solo.c);
    }
    us_predictor_close(&s->owner);
    us_arena_free(s->arena);
    us_alloc a = s->c.alloc;
    us_ctx_deinit(&s->c);
    us_mem_put(&a, s, 1, sizeof *s);
}
