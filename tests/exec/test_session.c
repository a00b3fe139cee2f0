/* Sessions: results, shapes, memory, limits, errors. */
#include "exec_fixture.h"
#include "us_torture.h"

static const char *const net = "model ir=8 opset=17\n"
                               "graph main(x: float[N,2]) -> (y) {\n"
                               "  const w: float[2,3] = {1, 2, 3, 4, 5, 6}\n"
                               "  const b: float[3] = {0.5, -100, 0}\n"
                               "  h = Gemm(x, w, b)\n"
                               "  y = Relu(h)\n"
                               "}\n";

static void test_run__small_net(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, net, NULL, NULL);
    CHECK_EQ_U64(us_plan_n_inputs(f.plan), 1);
    CHECK_EQ_U64(us_plan_n_outputs(f.plan), 1);
    us_value x = F32S(&f, DIMS(2, 2), 1, 1, 0, 2), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    const float want[] = {5.5f, 0, 9, 8.5f, 0, 12};
    CHECK_EQ_I64(y.t.dims[0], 2);
    CHECK_EQ_I64(y.t.dims[1], 3);
    for (int i = 0; i < 6; i++)
        CHECK_NEAR(f32_at(&y)[i], want[i], 1e-6);
    fixture_end(&f);
}

static void test_run__nan_stays(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, net, NULL, NULL);
    us_value x = F32S(&f, DIMS(2, 2), NAN, 1, 0, 2), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    CHECK(isnan(f32_at(&y)[0]));
    CHECK_NEAR(f32_at(&y)[3], 8.5, 1e-6);
    fixture_end(&f);
}

static void test_run__empty_batch(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, net, NULL, NULL);
    us_value x = tensor_of(&f, US_F32, DIMS(0, 2), NULL), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    CHECK_EQ_I64(us_tensor_count(&y.t), 0);
    CHECK_EQ_I64(y.t.dims[1], 3);
    fixture_end(&f);
}

/* One error names each operator that is missing, with its nodes, those of sub-graphs too. */
static void test_plan__names_all_missing_operators(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m =
        model_of(&f.c, "model ir=8 opset=17,my.domain:1\n"
                       "graph main(x: float[2], k: bool[]) -> (y) {\n"
                       "  a = my.domain.Wonder@1(x)\n"
                       "  b = my.domain.Wonder@1(a)\n"
                       "  d = my.domain.Wonder@1(b)\n"
                       "  e = my.domain.Wonder@1(d)\n"
                       "  y = If(k) {then_branch=graph t () -> (p) { p = NoSuch(^e) }, "
                       "else_branch=graph u () -> (q) { q = Identity(^e) }}\n"
                       "}\n");
    CHECK_ERR(us_plan_new(&f.c, m, NULL, &f.plan), US_UNSUPP);
    const char *text = f.c.diag.text;
    CHECK(strstr(text, "my.domain.Wonder@1 (4 nodes: 'a', 'b', 'd', ...)") != NULL);
    CHECK(strstr(text, "NoSuch@17 (1 node: 'p')") != NULL);
    f.plan = NULL;
    us_model_free(m);
    fixture_end(&f);
}

/* main has n_ops operators of its own, four nodes each; a branch and a function have one more each. */
static us_model *lacking(fixture *f, int n_ops, const char *stem)
{
    us_buf b;
    us_buf_init(&b, &f->c, (size_t)1 << 20);
    us_buf_adds(&b, "model ir=8 opset=17,my.domain:1\n"
                    "function my.domain \"\" opset=17,my.domain:1 [] {} body(u) -> (v) {\n"
                    "  v = my.domain.InFunction@1(u)\n}\n"
                    "graph main(x: float[2], k: bool[]) -> (y, z) {\n");
    char last[32] = "x";
    for (int i = 0; i < n_ops; i++)
        for (int j = 0; j < 4; j++) {
            us_buf_addf(&b, "  n%d_%d = my.domain.%s%d@1(%s)\n", i, j, stem, i, last);
            (void)snprintf(last, sizeof last, "n%d_%d", i, j);
        }
    us_buf_addf(&b, "  z = my.domain.body(%s)\n", last);
    us_buf_adds(&b,
                "  y = If(k) {then_branch=graph t () -> (p) { p = my.domain.InBranch@1(^x) }, "
                "else_branch=graph u () -> (^x) {}}\n}\n");
    CHECK_OK(&f->c, us_buf_check(&b));
    us_model *m = model_of(&f->c, b.p);
    us_buf_deinit(&b);
    return m;
}

static void test_plan__names_thirty_missing_operators(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = lacking(&f, 30, "Wonder");
    CHECK_ERR(us_plan_new(&f.c, m, NULL, &f.plan), US_UNSUPP);
    for (int i = 0; i < 30; i++) {
        char want[96];
        (void)snprintf(want, sizeof want,
                       "my.domain.Wonder%d@1 (4 nodes: 'n%d_0', 'n%d_1', 'n%d_2', ...)", i, i,
                       i, i);
        if (!strstr(f.c.diag.text, want)) CHECK_EQ_STR(f.c.diag.text, want);
    }
    CHECK(strstr(f.c.diag.text, "my.domain.InFunction@1 (1 node: 'z')") != NULL);
    CHECK(strstr(f.c.diag.text, "my.domain.InBranch@1 (1 node: 'p')") != NULL);
    CHECK(strstr(f.c.diag.text, "of others") == NULL);
    f.plan = NULL;
    us_model_free(m);
    fixture_end(&f);
}

/* More than an error can hold: what is left out is counted, and the text ends as it should. */
static void test_plan__counts_what_it_does_not_name(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = lacking(&f, 100, "AnOperatorWithARatherLongName");
    CHECK_ERR(us_plan_new(&f.c, m, NULL, &f.plan), US_UNSUPP);
    CHECK(strstr(f.c.diag.text, "LongName50@1 (4 nodes)") != NULL);
    const char *end = strstr(f.c.diag.text, " nodes of others");
    CHECK(end != NULL && end[strlen(" nodes of others")] == 0);
    f.plan = NULL;
    us_model_free(m);
    fixture_end(&f);
}

static void test_run__wrong_inputs(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, net, NULL, NULL);
    us_value y = {0};
    us_value wide = F32S(&f, DIMS(1, 3), 1, 2, 3), flat = F32S(&f, DIMS(2), 1, 2);
    us_value ints = I64S(&f, DIMS(1, 2), 1, 2), none = {0}, right = F32S(&f, DIMS(1, 2), 1, 1);
    us_value hollow = right;
    hollow.t.data = NULL;
    CHECK_ERR(us_session_run(&f.c, f.s, &wide, &y), US_SHAPE);
    CHECK(strstr(f.c.diag.text, "'x'") != NULL);
    CHECK_ERR(us_session_run(&f.c, f.s, &flat, &y), US_SHAPE);
    CHECK_ERR(us_session_run(&f.c, f.s, &ints, &y), US_ARG);
    CHECK_ERR(us_session_run(&f.c, f.s, &none, &y), US_ARG);
    CHECK_ERR(us_session_run(&f.c, f.s, &hollow, &y), US_ARG);
    CHECK_EQ_I64(y.kind, US_KIND_NONE);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &right, &y)); /* usable after errors */
    CHECK_NEAR(f32_at(&y)[0], 5.5, 1e-6);
    fixture_end(&f);
}

static void test_run__symbol_has_one_size(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f,
                 "model ir=8 opset=17\n"
                 "graph main(a: float[N], b: float[N]) -> (y) {\n  y = Add(a, b)\n}\n",
                 NULL, NULL);
    us_value in[2] = {F32S(&f, DIMS(2), 1, 2), F32S(&f, DIMS(3), 1, 2, 3)}, y;
    CHECK_ERR(us_session_run(&f.c, f.s, in, &y), US_SHAPE);
    in[1] = F32S(&f, DIMS(2), 10, 20);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
    CHECK_NEAR(f32_at(&y)[1], 22, 0);
    fixture_end(&f);
}

static void test_run__output_is_no_input(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, "model ir=8 opset=17\ngraph main(x: float[4]) -> (y) {\n  y = Neg(x)\n}\n",
                 NULL, NULL);
    us_value x = F32S(&f, DIMS(4), 1, 2, 3, 4), y, z;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    CHECK_ERR(us_session_run(&f.c, f.s, &y, &z), US_ARG);
    CHECK_NEAR(f32_at(&y)[3], -4, 0); /* still there */
    fixture_end(&f);
}

static void test_run_into__callers_memory(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, net, NULL, NULL);
    us_value x = F32S(&f, DIMS(1, 2), 1, 1);
    us_tensor out = tensor_of(&f, US_F32, DIMS(1, 3), NULL).t,
              bad = tensor_of(&f, US_F32, DIMS(3), NULL).t;
    CHECK_OK(&f.c, us_session_run_into(&f.c, f.s, &x, &out));
    CHECK_NEAR(((float *)out.data)[2], 9, 1e-6);
    CHECK_ERR(us_session_run_into(&f.c, f.s, &x, &bad), US_SHAPE);
    fixture_end(&f);
}

/* --- memory ------------------------------------------------------------------------------------------- */

static void test_run__allocates_nothing_after_the_first(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = mlp_model(&f.c, (int64_t[]){20, 64, 64, 1}, 3, US_ST_CONST, NULL);
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    us_value x = random_f32(&f, DIMS(64, 20), 1), x2 = random_f32(&f, DIMS(17, 20), 2), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x2, &y));
    uint64_t before = f.count.n_allocs;
    for (int i = 0; i < 100; i++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x2, &y));
    }
    CHECK_EQ_U64(f.count.n_allocs, before);
    us_session_stats st;
    us_session_stats_get(f.s, &st);
    CHECK_EQ_U64(st.n_bindings, 2);
    CHECK_EQ_U64(st.n_static_steps, st.n_steps);
    CHECK_EQ_U64(st.arena_bytes, st.live_peak_bytes);
    fixture_end(&f);
}

static void test_run__many_shapes_stay_capped(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, net, NULL, NULL);
    us_session_stats st;
    for (int round = 0; round < 2; round++)
        for (int64_t n = 1; n <= 3 * US_SESSION_BINDINGS; n++) {
            us_value x = random_f32(&f, DIMS(n, 2), (uint64_t)n), y;
            CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
            CHECK_EQ_I64(y.t.dims[0], n);
            const float *in = x.t.data;
            float want = in[0] * 1 + in[1] * 4 + 0.5f;
            CHECK_NEAR(f32_at(&y)[0], want > 0 ? want : 0, 1e-5);
        }
    us_session_stats_get(f.s, &st);
    CHECK_EQ_U64(st.n_bindings, US_SESSION_BINDINGS);
    fixture_end(&f);
}

static void test_run__in_place_chain_is_one_buffer(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f,
                 "model ir=8 opset=17\n"
                 "graph main(x: float[1000]) -> (y) {\n"
                 "  a = Exp(x)\n  b = Relu(a)\n  c = Neg(b)\n  d = Tanh(c)\n  y = Abs(d)\n}\n",
                 NULL, NULL);
    us_value x = random_f32(&f, DIMS(1000), 1), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    us_session_stats st;
    us_session_stats_get(f.s, &st);
    CHECK_EQ_U64(st.arena_bytes, 4032);
    for (int i = 0; i < 1000; i++)
        CHECK_NEAR(f32_at(&y)[i], tanh(exp((double)((float *)x.t.data)[i])), 1e-6);
    fixture_end(&f);
}

/* Concat's inputs are made where its output has them, Split's outputs stay where its input is. */
static void test_run__parts_lie_in_the_whole(void)
{
    fixture f;
    fixture_begin(&f);
    us_plan_opts po = {.no_passes = true};
    fixture_open(&f,
                 "model ir=8 opset=18\n"
                 "graph main(x: float[1, 64]) -> (y) {\n"
                 "  a = Exp(x)\n  b = Neg(x)\n  c = Concat(a, b) {axis=1}\n"
                 "  d = Abs(c)\n  y, z = Split(d) {axis=1, num_outputs=2}\n}\n",
                 &po, NULL);
    us_value x = random_f32(&f, DIMS(1, 64), 1), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    us_session_stats st;
    us_session_stats_get(f.s, &st);
    CHECK_EQ_U64(st.arena_bytes, 2 * 64 * sizeof(float));
    for (int i = 0; i < 64; i++)
        CHECK_NEAR(f32_at(&y)[i], exp((double)f32_at(&x)[i]), 1e-6);
    fixture_end(&f);
}

/* Parts that others read before and after, that lie in two wholes, twice in one, or in a whole that is written over; and joined
 * along an axis that has ones before it, and one that has not. */
static void check_parts(int64_t batch)
{
    fixture f;
    fixture_begin(&f);
    us_plan_opts po = {.no_passes = true};
    fixture_open(&f,
                 "model ir=8 opset=18\n"
                 "graph main(x: float[N, 48]) -> (c, e, h, y) {\n"
                 "  a = Exp(x)\n  b = Neg(x)\n  c = Concat(a, b) {axis=1}\n"
                 "  d = Concat(c, a, a) {axis=1}\n  e = Abs(a)\n  g = Neg(d)\n"
                 "  p, q, r, s = Split(g) {axis=1, num_outputs=4}\n"
                 "  h = Relu(q)\n  t = Exp(p)\n  y = Concat(s, t, q, x, r) {axis=1}\n}\n",
                 &po, NULL);
    us_value x = random_f32(&f, DIMS(batch, 48), 1), out[4];
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
    for (int64_t n = 0; n < batch; n++)
        for (int i = 0; i < 48; i++) {
            double v = (double)f32_at(&x)[n * 48 + i], a = exp(v);
            const double want[] = {-a, exp(-a), v, v, -a};
            CHECK_NEAR(f32_at(&out[0])[n * 96 + i], a, 1e-5);
            CHECK_NEAR(f32_at(&out[0])[n * 96 + 48 + i], -v, 1e-6);
            CHECK_NEAR(f32_at(&out[1])[n * 48 + i], a, 1e-5);
            CHECK_NEAR(f32_at(&out[2])[n * 48 + i], v > 0 ? v : 0, 1e-6);
            for (int k = 0; k < 5; k++)
                CHECK_NEAR(f32_at(&out[3])[n * 240 + k * 48 + i], want[k], 1e-5);
        }
    fixture_end(&f);
}

static void test_run__parts_that_others_read(void)
{
    check_parts(1);
    check_parts(3);
}

/* `a` is read again after Relu, so Relu may not write over it. */
static void test_run__not_in_place_while_needed(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f,
                 "model ir=8 opset=17\n"
                 "graph main(x: float[4]) -> (y, b) {\n"
                 "  a = Neg(x)\n  b = Relu(a)\n  c = Relu(b)\n  y = Sub(a, c)\n}\n",
                 NULL, NULL);
    us_value x = F32S(&f, DIMS(4), 1, -2, 3, -4), out[2];
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
    const float y[] = {-1, 0, -3, 0}, b[] = {0, 2, 0, 4};
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR(f32_at(&out[0])[i], y[i], 0);
        CHECK_NEAR(f32_at(&out[1])[i], b[i], 0);
    }
    CHECK_NEAR(((float *)x.t.data)[0], 1, 0); /* inputs are never written */
    fixture_end(&f);
}

static void test_run__views_share_memory(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f,
                 "model ir=8 opset=17\n"
                 "graph main(x: float[2,500]) -> (y) {\n"
                 "  const s: int64[1] = {1000}\n  const t: int64[2] = {500, 2}\n"
                 "  a = Exp(x)\n  b = Reshape(a, s)\n  c = Neg(b)\n  d = Reshape(c, t)\n  y = "
                 "Relu(d)\n}\n",
                 NULL, NULL);
    us_value x = random_f32(&f, DIMS(2, 500), 1), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    CHECK_EQ_I64(y.t.dims[0], 500);
    CHECK_NEAR(f32_at(&y)[7], 0, 0);
    us_session_stats st;
    us_session_stats_get(f.s, &st);
    CHECK_EQ_U64(st.arena_bytes, 4032);
    fixture_end(&f);
}

/* A view of an input is the input: nothing may be written over it. */
static void test_run__view_of_input_is_not_overwritten(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f,
                 "model ir=8 opset=17\n"
                 "graph main(x: float[2,2]) -> (y, v) {\n"
                 "  const s: int64[1] = {4}\n  v = Reshape(x, s)\n  y = Neg(v)\n}\n",
                 NULL, NULL);
    us_value x = F32S(&f, DIMS(2, 2), 1, 2, 3, 4), out[2];
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
    CHECK_NEAR(((float *)x.t.data)[0], 1, 0);
    CHECK_NEAR(f32_at(&out[0])[3], -4, 0);
    CHECK_NEAR(f32_at(&out[1])[3], 4, 0);
    fixture_end(&f);
}

/* Shapes that only the run knows: memory comes and goes with the run. */
static void test_run__shape_from_data(void)
{
    fixture f;
    fixture_begin(&f);
    us_session_opts so = {.dynamic_cap_bytes = (size_t)1 << 20};
    fixture_open(&f,
                 "model ir=8 opset=17\n"
                 "graph main(x: float[N], s: int64[K]) -> (y) {\n"
                 "  a = Expand(x, s)\n  b = Neg(a)\n  c = Exp(b)\n  y = Relu(c)\n}\n",
                 NULL, &so);
    us_value in[2] = {F32S(&f, DIMS(1), 0), I64S(&f, DIMS(2), 3, 5)}, y;
    for (int i = 0; i < 10; i++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
        CHECK_EQ_I64(us_tensor_count(&y.t), 15);
        CHECK_NEAR(f32_at(&y)[14], 1, 0);
    }
    uint64_t live = f.count.live_bytes;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
    CHECK_EQ_U64(f.count.live_bytes, live); /* nothing piles up */
    in[1] = I64S(&f, DIMS(2), 1000000, 1000000);
    CHECK_ERR(us_session_run(&f.c, f.s, in, &y), US_LIMIT);
    in[1] = I64S(&f, DIMS(2), 1, 2);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
    CHECK_EQ_I64(us_tensor_count(&y.t), 2);
    fixture_end(&f);
}

static void test_run__huge_constant_shape(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = model_of(&f.c, "model ir=8 opset=17\n"
                                 "graph main(x: float[1]) -> (y) {\n"
                                 "  const s: int64[2] = {1000000, 1000000}\n"
                                 "  a = Expand(x, s)\n  b = Neg(a)\n  y = ReduceSum(b)\n}\n");
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    us_value x = F32S(&f, DIMS(1), 1), y;
    CHECK_ERR(us_session_run(&f.c, f.s, &x, &y), US_LIMIT);
    CHECK(f.count.peak_bytes < (uint64_t)64 << 20);
    fixture_end(&f);
}

/* --- determinism, training ------------------------------------------------------------------------------- */

static void test_run__same_bytes_at_any_number_of_threads(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = mlp_model(&f.c, (int64_t[]){300, 257, 130, 10}, 3, US_ST_CONST, NULL);
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    us_value x = random_f32(&f, DIMS(201, 300), 1), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    us_tensor first;
    CHECK_OK(&f.c, us_tensor_dup(&f.c, f.a, &y.t, &first));
    us_pool *pool;
    CHECK_OK(&f.c, us_pool_new(&f.c, 2, &pool));
    f.c.pool = pool;
    for (int i = 0; i < 5; i++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
        CHECK_EQ_MEM(y.t.data, first.data, us_tensor_bytes(&first));
    }
    f.c.pool = NULL;
    us_pool_free(pool);
    fixture_end(&f);
}

static void test_plan__variables_stay_writable(void)
{
    fixture f;
    fixture_begin(&f);
    us_vid vars[4];
    us_model *m = mlp_model(&f.c, (int64_t[]){2, 2, 1}, 2, US_ST_VARIABLE, vars);
    us_plan_opts po = {.keep_variables = true, .n_extra = 1, .extra = &vars[3]};
    CHECK_OK(&f.c, us_plan_new(&f.c, m, &po, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    CHECK_EQ_U64(us_plan_n_outputs(f.plan), 2);
    us_value x = F32S(&f, DIMS(1, 2), 1, 1), out[2];
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
    float y0 = f32_at(&out[0])[0], b0 = f32_at(&out[1])[0];
    us_tensor bias;
    CHECK_OK(&f.c, us_plan_variable(&f.c, f.plan, vars[3], &bias));
    ((float *)bias.data)[0] += 2;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
    CHECK_NEAR(f32_at(&out[0])[0], y0 + 2, 1e-6);
    CHECK_NEAR(f32_at(&out[1])[0], b0 + 2, 1e-6);
    us_tensor none;
    CHECK_ERR(us_plan_variable(&f.c, f.plan, 100000, &none), US_ARG);
    fixture_end(&f);
}

static void test_plan__extra_outputs(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = model_of(&f.c, net);
    us_vid h = us_graph_find(m->main, US_SV("h")), x_id = us_graph_find(m->main, US_SV("x"));
    us_vid extra[2] = {h, x_id};
    us_plan_opts po = {.n_extra = 2, .extra = extra};
    CHECK_OK(&f.c, us_plan_new(&f.c, m, &po, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    us_value x = F32S(&f, DIMS(1, 2), 1, 1), out[3];
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
    CHECK_NEAR(f32_at(&out[0])[1], 0, 0);
    CHECK_NEAR(f32_at(&out[1])[1], -93, 1e-5);
    CHECK_NEAR(f32_at(&out[2])[0], 1, 0);
    fixture_end(&f);
}

/* --- the rest -------------------------------------------------------------------------------------------------- */

static void test_plan__unknown_operator(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m =
        model_of(&c, "model ir=8 opset=17,my.domain:1\n"
                     "graph main(x: float[2]) -> (y) {\n  y = my.domain.Wonder@1(x)\n}\n");
    us_plan *p;
    CHECK_ERR(us_plan_new(&c, m, NULL, &p), US_UNSUPP);
    CHECK(strstr(c.diag.text, "my.domain.Wonder") != NULL);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_run__profile(void)
{
    fixture f;
    fixture_begin(&f);
    us_session_opts so = {.profile = true};
    us_plan_opts po = {.no_passes = true}; /* else it is one node */
    fixture_open(&f, net, &po, &so);
    us_value x = F32S(&f, DIMS(1, 2), 1, 1), y;
    for (int i = 0; i < 3; i++)
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    const us_profile_row *rows;
    CHECK_EQ_U64(us_session_profile(f.s, &rows), 2);
    CHECK(us_sv_is(rows[0].op, "Gemm") && us_sv_is(rows[1].op, "Relu"));
    CHECK_EQ_U64(rows[0].n_calls, 3);
    CHECK(rows[0].kernel != NULL);
    fixture_end(&f);
}

static us_err whole_life(us_ctx *c, void *arg)
{
    us_model *m;
    us_plan *p = NULL;
    us_session *s = NULL;
    US_TRY(us_model_parse(c, us_sv_of(arg), &m));
    us_err e = us_plan_new(c, m, NULL, &p);
    if (e != US_OK) {
        us_model_free(m);
        return e;
    }
    float data[2] = {1, 2};
    us_tensor t;
    us_value y, x;
    US_GO(us_session_new(c, p, NULL, &s));
    US_GO(us_tensor_init(c, &t, US_F32, 2, (int64_t[]){1, 2}, data));
    x = us_value_of(&t);
    US_GO(us_session_run(c, s, &x, &y));
out:
    us_session_free(s);
    us_plan_free(p);
    return e;
}

static void test_session__nomem(void)
{
    static char text[512];
    snprintf(text, sizeof text, "%s", net);
    us_torture("plan, session, run", whole_life, text);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_run__small_net),
        US_CASE(test_run__nan_stays),
        US_CASE(test_run__empty_batch),
        US_CASE(test_plan__names_all_missing_operators),
        US_CASE(test_plan__names_thirty_missing_operators),
        US_CASE(test_plan__counts_what_it_does_not_name),
        US_CASE(test_run__wrong_inputs),
        US_CASE(test_run__symbol_has_one_size),
        US_CASE(test_run__output_is_no_input),
        US_CASE(test_run_into__callers_memory),
        US_CASE(test_run__allocates_nothing_after_the_first),
        US_CASE(test_run__many_shapes_stay_capped),
        US_CASE(test_run__in_place_chain_is_one_buffer),
        US_CASE(test_run__parts_lie_in_the_whole),
        US_CASE(test_run__parts_that_others_read),
        US_CASE(test_run__not_in_place_while_needed),
        US_CASE(test_run__views_share_memory),
        US_CASE(test_run__view_of_input_is_not_overwritten),
        US_CASE(test_run__shape_from_data),
        US_CASE(test_run__huge_constant_shape),
        US_CASE(test_run__same_bytes_at_any_number_of_threads),
        US_CASE(test_plan__variables_stay_writable),
        US_CASE(test_plan__extra_outputs),
        US_CASE(test_plan__unknown_operator),
        US_CASE(test_run__profile),
        US_CASE(test_session__nomem),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
