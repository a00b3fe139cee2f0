/* The server's answers, through its handler without a network, and one round through a real socket. */
#include "us_test.h"

#include "serve/serve.h"
#include "tiny_model.h"

typedef struct fixture {
    us_ctx c;
    tiny t;
    us_server *s;
    us_http_worker *w;
    us_http_res res;
} fixture;

static us_server_opts options(fixture *f)
{
    return (us_server_opts){.model_name = "tiny",
                            .version = "0011",
                            .model = us_buf_sv(&f->t.onnx),
                            .n_threads = 2,
                            .alpha = 0.01,
                            .window_rows = 100};
}

static void setup(fixture *f)
{
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, tiny_new(&f->c, 500, &f->t));
    us_server_opts o = options(f);
    CHECK_OK(&f->c, us_server_open(&f->c, &o, &f->s, &f->w));
    us_buf_init(&f->res.body, &f->c, 1 << 22);
}

static void teardown(fixture *f)
{
    us_buf_deinit(&f->res.body);
    us_server_stop(f->s);
    tiny_free(&f->t);
    us_ctx_deinit(&f->c);
}

static const char *ask(fixture *f, const char *method, const char *path, const char *type,
                       const char *body)
{
    us_http_req req = {.method = us_sv_of(method),
                       .path = us_sv_of(path),
                       .content_type = us_sv_of(type),
                       .body = us_sv_of(body)};
    CHECK_OK(&f->c, us_arena_new(&f->c, "request", 1 << 26, &req.arena));
    us_buf_clear(&f->res.body);
    f->res.status = 200;
    f->res.content_type = "application/json";
    CHECK_OK(&f->c, us_server_handle(f->s, f->w, &req, &f->res));
    us_arena_free(req.arena);
    us_buf_addc(&f->res.body, 0);
    return f->res.body.p;
}

static void test_get__health_and_metadata(void)
{
    fixture f;
    setup(&f);
    CHECK(strstr(ask(&f, "GET", "/v2", "", ""), "\"name\":\"usta\""));
    CHECK(strstr(ask(&f, "GET", "/v2/health/live", "", ""), "true"));
    CHECK(strstr(ask(&f, "GET", "/v2/health/ready/", "", ""), "true"));
    const char *m = ask(&f, "GET", "/v2/models/tiny/versions/0011", "", "");
    CHECK(strstr(m, "\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,1]}"));
    CHECK(strstr(m, "{\"name\":\"colour\",\"datatype\":\"BYTES\",\"shape\":[-1,1]}"));
    CHECK(strstr(m, "probabilities"));
    CHECK(strstr(ask(&f, "GET", "/v2/models/tiny/ready", "", ""), "\"ready\":true"));
    teardown(&f);
}

static void test_infer__tensors(void)
{
    fixture f;
    setup(&f);
    const char *y = ask(&f, "POST", "/v2/models/tiny/infer", "application/json",
                        "{\"id\":\"42\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
                        "\"shape\":[2,1],\"data\":[[2.5],[-2]]},"
                        "{\"name\":\"colour\",\"datatype\":\"BYTES\",\"shape\":[2,1],\"data\":["
                        "\"red\",\"blue\"]}]}");
    CHECK_EQ_I64(f.res.status, 200);
    CHECK(strstr(y, "\"id\":\"42\""));
    CHECK(strstr(
        y,
        "{\"name\":\"label\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"yes\",\"no\"]}"));
    y = ask(&f, "POST", "/v2/models/tiny/infer", "application/json",
            "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[3]},"
            "{\"name\":\"colour\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"\"]}],"
            "\"outputs\":[{\"name\":\"label\"}]}");
    CHECK_EQ_I64(f.res.status, 200);
    CHECK(!strstr(y, "probabilities"));
    teardown(&f);
}

static void test_predict__rows(void)
{
    fixture f;
    setup(&f);
    CHECK(
        strstr(ask(&f, "POST", "/predict", "application/json", "{\"x\":2,\"colour\":\"red\"}"),
               "\"label\":\"yes\""));
    CHECK(strstr(ask(&f, "POST", "/predict", "application/json", "{\"rows\":[{\"x\":-2}]}"),
                 "\"label\":\"no\""));
    CHECK(strstr(ask(&f, "POST", "/predict", "application/json", "[[2,\"red\"],[null,null]]"),
                 "\"label\":\"yes\""));
    CHECK(strstr(
        ask(&f, "POST", "/v2/models/tiny/predict", "text/csv", "colour,x\nred,2\nblue,-2\n"),
        "\"label\":\"no\""));
    CHECK_EQ_I64(f.res.status, 200);
    teardown(&f);
}

typedef struct bad {
    const char *method, *path, *type, *body;
    int status;
    const char *words;
} bad;

static void test_bad__is_told_why(void)
{
    static const bad list[] = {
        {"POST", "/predict", "application/json", "", 400, ""},
        {"POST", "/predict", "application/json", "{\"x\":", 400, "line"},
        {"POST", "/predict", "application/json", "{\"x\":\"tall\"}", 400, "x"},
        {"POST", "/predict", "application/json", "{\"y\":1}", 400, "y"},
        {"POST", "/predict", "application/json", "[[1,\"red\",3]]", 400, ""},
        {"POST", "/predict", "application/json", "17", 400, ""},
        {"POST", "/predict", "text/csv", "colour\nred\n", 400, "x"},
        {"POST", "/predict", "text/csv", "x,colour\n1,red,2\n", 400, ""},
        {"POST", "/v2/models/tiny/infer", "application/json", "{}", 400, "inputs"},
        {"POST", "/v2/models/tiny/infer", "application/json", "{\"inputs\":[]}", 400, ""},
        {"POST", "/v2/models/tiny/infer", "application/json",
         "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1000000000000],"
         "\"data\":[1]}]}",
         400, "shape"},
        {"POST", "/v2/models/tiny/infer", "application/json",
         "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1],\"data\":[1]}]}",
         400, "shape"},
        {"POST", "/v2/models/tiny/infer", "application/json",
         "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[1]}]}",
         400, "1 elements"},
        {"POST", "/v2/models/tiny/infer", "application/json",
         "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FLOAT\",\"shape\":[1],\"data\":[1]}]}",
         400, "datatype"},
        {"POST", "/v2/models/tiny/infer", "application/json",
         "{\"inputs\":[],\"outputs\":[{\"name\":\"nothing\"}]}", 400, "nothing"},
        {"GET", "/v2/models/other", "", "", 404, "tiny"},
        {"GET", "/", "", "", 404, "no such path"},
        {"GET", "/predict", "", "", 405, "method"},
        {"DELETE", "/v2", "", "", 405, "method"},
    };
    fixture f;
    setup(&f);
    for (size_t i = 0; i < US_LEN(list); i++) {
        const char *y = ask(&f, list[i].method, list[i].path, list[i].type, list[i].body);
        if (f.res.status != list[i].status || !strstr(y, "\"error\":") ||
            !strstr(y, list[i].words))
            US_TEST_FAIL("case %zu: status %d, answer %s", i, f.res.status, y);
    }
    /* and none of it has hurt */
    CHECK(strstr(ask(&f, "POST", "/predict", "application/json", "{\"x\":2}"), "yes"));
    const char *m = ask(&f, "GET", "/metrics", "", "");
    CHECK(strstr(
        m, "usta_requests_total{model=\"tiny\",version=\"0011\",outcome=\"bad_request\"} 15"));
    CHECK(strstr(m, "nv_inference_request_success{model=\"tiny\",version=\"0011\"} 1"));
    teardown(&f);
}

static void test_monitor__windows_turn(void)
{
    fixture f;
    us_buf b;
    setup(&f);
    us_buf_init(&b, &f.c, 1 << 20);
    tiny_csv(&b, 120, 5, 0);
    (void)ask(&f, "POST", "/predict", "text/csv", b.p);
    CHECK(strstr(ask(&f, "GET", "/monitor", "", ""), "\"drift\":false"));
    us_buf_clear(&b);
    tiny_csv(&b, 120, 6, 3);
    (void)ask(&f, "POST", "/predict", "text/csv", b.p);
    CHECK(strstr(ask(&f, "GET", "/monitor", "", ""), "\"drift\":true"));
    CHECK(strstr(ask(&f, "GET", "/metrics", "", ""),
                 "usta_feature_drift{model=\"tiny\",feature=\"x\",stat=\"psi\"}"));
    us_buf_deinit(&b);
    teardown(&f);
}

static void test_start__socket(void)
{
    fixture f;
    us_server *s, *second;
    setup(&f);
    us_server_opts o = options(&f);
    CHECK_OK(&f.c, us_server_start(&f.c, &o, &s));
    CHECK(us_server_port(s) > 0);
    char cmd[512], got[4096] = "";
    (void)snprintf(cmd, sizeof cmd,
                   "curl -sS -m 10 -H 'Content-Type: application/json' -d '{\"x\":2}' "
                   "http://127.0.0.1:%d/predict",
                   us_server_port(s));
    FILE *p = popen(cmd, "r");
    CHECK(p != NULL);
    size_t n = fread(got, 1, sizeof got - 1, p);
    got[n] = 0;
    CHECK_EQ_I64(pclose(p), 0);
    CHECK(strstr(got, "\"label\":\"yes\""));
    o.port = us_server_port(s);
    CHECK_ERR(us_server_start(&f.c, &o, &second), US_IO);
    us_server_stop(s);
    o.port = 0;
    o.host = "no.such.host";
    CHECK_ERR(us_server_start(&f.c, &o, &second), US_ARG);
    o.host = NULL;
    o.model_name = "a/b";
    CHECK_ERR(us_server_start(&f.c, &o, &second), US_ARG);
    teardown(&f);
}

static const us_test_case cases[] = {
    US_CASE(test_get__health_and_metadata),
    US_CASE(test_infer__tensors),
    US_CASE(test_predict__rows),
    US_CASE(test_bad__is_told_why),
    US_CASE(test_monitor__windows_turn),
    US_CASE(test_start__socket),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
