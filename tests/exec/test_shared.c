/* test_shared.c - sessions of one plan in two threads at once: each gives the bytes that it gives alone. Made for the thread sanitizer (make
 * tsan), which sees what two threads touch; elsewhere it looks at results only.
 *
 * Shapes change from run to run, so bindings are made while the other thread runs; threads have a pool of their own, or share one; a
 * plan that gave its weights back has them back while another thread runs. */
#include "exec_fixture.h"

#include <pthread.h>

#include "onnx/onnx.h"

enum { RUNS = 12, THREADS = 2, MOST_Y = 256 };

/* Convolutions in blocks, a pool, an LSTM over what is left, a product; N and W are open. */
static us_model *net(us_ctx *c)
{
    us_model *m;
    us_vid x;
    us_sym s[2];
    us_rng r = us_rng_new(9, "shared", 0);
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_model_set_opset(c, m, (us_sv){0}, 17));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &s[0]));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("W"), &s[1]));
    us_dim dims[4] = {US_DIM_SYM(s[0]), US_DIM(3), US_DIM(16), US_DIM_SYM(s[1])};
    us_type t = us_type_tensor(US_F32, 4, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    us_vid h = us_b2(&b, "Conv", x, random_weights(&b, &r, 4, (int64_t[]){32, 3, 3, 3}));
    us_b_ints(&b, "pads", 4, (int64_t[]){1, 1, 1, 1});
    h = us_b1(&b, "Relu", h);
    h = us_b2(&b, "Conv", h, random_weights(&b, &r, 4, (int64_t[]){32, 32, 3, 3}));
    us_b_ints(&b, "pads", 4, (int64_t[]){1, 1, 1, 1});
    h = us_b1(&b, "MaxPool", us_b1(&b, "HardSwish", h));
    us_b_ints(&b, "kernel_shape", 2, (int64_t[]){2, 2});
    us_b_ints(&b, "strides", 2, (int64_t[]){2, 2});
    h = us_b1(&b, "ReduceMean", h);
    us_b_ints(&b, "axes", 1, (int64_t[]){2});
    us_b_int(&b, "keepdims", 0);
    h = us_b1(&b, "Transpose", h);
    us_b_ints(&b, "perm", 3, (int64_t[]){2, 0, 1});
    us_vid in[3] = {h, random_weights(&b, &r, 3, (int64_t[]){1, 96, 32}),
                    random_weights(&b, &r, 3, (int64_t[]){1, 96, 24})},
           outs[2];
    (void)us_b_node(&b, "", "LSTM", 3, in, 2, outs);
    us_b_int(&b, "hidden_size", 24);
    us_vid last = us_b2(&b, "Squeeze", outs[1], us_b_i64s(&b, 1, (int64_t[]){0}));
    us_vid y = us_b2(&b, "MatMul", last, random_weights(&b, &r, 2, (int64_t[]){24, 40}));
    us_b_name(&b, us_b1(&b, "Softmax", y), "y");
    CHECK_OK(c, us_b_end(&b));
    us_vid named = us_graph_find(m->main, US_SV("y"));
    CHECK_OK(c, us_graph_add_output(c, m->main, named));
    return m;
}

typedef struct runner {
    us_plan *plan;
    us_pool *pool;
    bool plain; /* as steps come: weights are read where they were */
    size_t n[RUNS];
    float *y[RUNS];
    us_err e;
} runner;

static us_err run_some(runner *k, us_ctx *c)
{
    us_session *s;
    us_arena *a;
    us_session_opts o = {.plain = k->plain};
    US_TRY(us_arena_new(c, "runs", (size_t)1 << 28, &a));
    us_err e = us_session_new(c, k->plan, &o, &s);
    for (int i = 0; e == US_OK && i < RUNS; i++) {
        int64_t dims[4] = {1 + i % 3, 3, 16, 8 + 6 * (i % 4)};
        us_tensor t;
        us_value out[1];
        us_rng r = us_rng_new((uint64_t)i, "x", 0);
        e = us_tensor_new(c, a, US_F32, 4, dims, &t);
        if (e != US_OK) break;
        for (int64_t j = 0; j < us_tensor_count(&t); j++)
            ((float *)t.data)[j] = us_rng_f32(&r) - 0.5F;
        us_value in[1] = {us_value_of(&t)};
        e = us_session_run(c, s, in, out);
        if (e != US_OK) break;
        k->n[i] = (size_t)us_tensor_count(&out[0].t);
        CHECK(k->n[i] <= MOST_Y);
        memcpy(k->y[i], out[0].t.data, k->n[i] * sizeof(float));
    }
    us_session_free(s);
    us_arena_free(a);
    return e;
}

static void *in_thread(void *arg)
{
    runner *k = arg;
    us_ctx c;
    us_ctx_init(&c);
    c.pool = k->pool;
    k->e = run_some(k, &c);
    if (k->e != US_OK) printf("# %s\n", c.diag.text);
    us_ctx_deinit(&c);
    return NULL;
}

static void runner_init(fixture *f, runner *k, us_plan *p, us_pool *pool, bool plain)
{
    *k = (runner){.plan = p, .pool = pool, .plain = plain};
    for (int i = 0; i < RUNS; i++)
        k->y[i] = us_new_n(f->a, float, MOST_Y);
}

static void same(const runner *a, const runner *b)
{
    for (int i = 0; i < RUNS; i++) {
        CHECK_EQ_U64(a->n[i], b->n[i]);
        CHECK(a->n[i] > 0 && a->n[i] <= MOST_Y);
        CHECK_EQ_MEM(a->y[i], b->y[i], a->n[i] * sizeof(float));
    }
}

static void together(runner k[THREADS])
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, in_thread, &k[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(t[i], NULL) == 0);
        CHECK_EQ_I64(k[i].e, US_OK);
    }
}

static void test_shared__pools_of_their_own(void)
{
    fixture f;
    runner alone, k[THREADS];
    us_pool *pool[THREADS];
    fixture_begin(&f);
    CHECK_OK(&f.c, us_plan_new(&f.c, net(&f.c), NULL, &f.plan));
    runner_init(&f, &alone, f.plan, NULL, false);
    CHECK_OK(&f.c, run_some(&alone, &f.c));
    for (int i = 0; i < THREADS; i++) {
        CHECK_OK(&f.c, us_pool_new(&f.c, 2, &pool[i]));
        runner_init(&f, &k[i], f.plan, pool[i], false);
    }
    together(k);
    for (int i = 0; i < THREADS; i++) {
        same(&k[i], &alone);
        us_pool_free(pool[i]);
    }
    fixture_end(&f);
}

static void test_shared__one_pool(void)
{
    fixture f;
    runner alone, k[THREADS];
    us_pool *pool;
    fixture_begin(&f);
    CHECK_OK(&f.c, us_plan_new(&f.c, net(&f.c), NULL, &f.plan));
    CHECK_OK(&f.c, us_pool_new(&f.c, 2, &pool));
    runner_init(&f, &alone, f.plan, NULL, false);
    CHECK_OK(&f.c, run_some(&alone, &f.c));
    for (int i = 0; i < THREADS; i++)
        runner_init(&f, &k[i], f.plan, pool, false);
    together(k);
    for (int i = 0; i < THREADS; i++)
        same(&k[i], &alone);
    us_pool_free(pool);
    fixture_end(&f);
}

/* One thread runs calls by packed weights, the other steps as they come, which want the weights back. */
static void test_shared__weights_given_back(void)
{
    fixture f;
    runner calls, plain, k[THREADS];
    us_buf b;
    us_model *source, *copy, *written;
    us_plan *released;
    fixture_begin(&f);
    us_buf_init(&b, &f.c, (size_t)1 << 24);
    written = net(&f.c);
    CHECK_OK(&f.c, us_onnx_print(&f.c, written, &b));
    us_model_free(written);
    CHECK_OK(&f.c, us_onnx_parse(&f.c, "net", b.p, b.n, NULL, NULL, &source));
    CHECK_OK(&f.c, us_model_clone(&f.c, source, &copy));
    CHECK_OK(&f.c, us_plan_new(&f.c, net(&f.c), NULL, &f.plan));
    us_plan_opts o = {.source = source};
    CHECK_OK(&f.c, us_plan_new(&f.c, copy, &o, &released));
    runner_init(&f, &calls, f.plan, NULL, false);
    runner_init(&f, &plain, f.plan, NULL, true);
    CHECK_OK(&f.c, run_some(&calls, &f.c));
    CHECK_OK(&f.c, run_some(&plain, &f.c));
    runner_init(&f, &k[0], released, NULL, false);
    runner_init(&f, &k[1], released, NULL, true);
    together(k);
    same(&k[0], &calls);
    same(&k[1], &plain);
    us_plan_free(released);
    us_model_free(source);
    us_buf_deinit(&b);
    fixture_end(&f);
}

static const us_test_case cases[] = {
    US_CASE(test_shared__pools_of_their_own),
    US_CASE(test_shared__one_pool),
    US_CASE(test_shared__weights_given_back),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
