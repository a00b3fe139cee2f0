/* bench/exec.c - the measured side of `make bench-exec`: what a run costs beside its arithmetic.
 *
 * An MLP 20-64-64-1 with Relu, as small as served models get: time per run at batch 1 and 64 on one thread (the fastest of
 * ROUNDS rounds: interruptions only ever add), the first run (shapes, memory plan), planning, and the arithmetic alone
 * (the same matrix products, called directly). One line of JSON on stdout.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/rng.h"
#include "exec/session.h"
#include "ir/build.h"
#include "kernel/kernels.h"

enum { N_LAYERS = 3, ROUNDS = 15, RUNS = 2000, MAX_BATCH = 64 };
static const int64_t widths[N_LAYERS + 1] = {20, 64, 64, 1};

static us_err mlp(us_ctx *c, us_model *m)
{
    us_sym n;
    us_vid x;
    US_TRY(us_syms_named(c, &m->syms, US_SV("N"), &n));
    us_dim dims[2] = {US_DIM_SYM(n), US_DIM(widths[0])};
    us_type t = us_type_tensor(US_F32, 2, dims);
    US_TRY(us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "mlp");
    us_rng r = us_rng_new(1, "bench", 0);
    for (int i = 0; i < N_LAYERS; i++) {
        float w[64 * 64], bias[64];
        for (int64_t k = 0; k < widths[i] * widths[i + 1]; k++)
            w[k] = us_rng_f32(&r) - 0.5F;
        for (int64_t k = 0; k < widths[i + 1]; k++)
            bias[k] = us_rng_f32(&r);
        us_vid wv = us_b_const(&b, NULL, US_F32, 2, (int64_t[]){widths[i], widths[i + 1]}, w);
        us_vid bv = us_b_const(&b, NULL, US_F32, 1, (int64_t[]){widths[i + 1]}, bias);
        x = us_b3(&b, "Gemm", x, wv, bv);
        if (i + 1 < N_LAYERS) x = us_b1(&b, "Relu", x);
    }
    US_TRY(us_b_end(&b));
    return us_graph_add_output(c, m->main, x);
}

/* Microseconds per run. */
static us_err time_runs(us_ctx *c, us_session *s, us_arena *a, int64_t batch, double *first,
                        double *best)
{
    us_tensor x;
    us_value y;
    US_TRY(us_tensor_new(c, a, US_F32, 2, (int64_t[]){batch, widths[0]}, &x));
    us_value in = us_value_of(&x);
    uint64_t t = us_now_ns();
    US_TRY(us_session_run(c, s, &in, &y));
    *first = (double)(us_now_ns() - t) / 1e3;
    *best = 1e9;
    for (int k = 0; k < ROUNDS; k++) {
        t = us_now_ns();
        for (int i = 0; i < RUNS; i++)
            US_TRY(us_session_run(c, s, &in, &y));
        *best = US_MIN(*best, (double)(us_now_ns() - t) / 1e3 / RUNS);
    }
    return US_OK;
}

static us_err time_products(us_ctx *c, us_arena *a, int64_t batch, double *best)
{
    const us_kernels *k = us_kernels_get(c);
    float *x = us_new_n(a, float, MAX_BATCH * 64), *w = us_new_n(a, float, 64 * 64),
          *y = us_new_n(a, float, MAX_BATCH * 64);
    void *scratch = us_arena_alloc(a, k->f32_gemm_scratch((size_t)batch, 64, 64) + 1, 1, 64);
    if (!x || !w || !y || !scratch) return us_arena_fail(c, a);
    *best = 1e9;
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t t = us_now_ns();
        for (int i = 0; i < RUNS; i++)
            for (int l = 0; l < N_LAYERS; l++) {
                us_gemm_args g = {.m = (size_t)batch,
                                  .n = (size_t)widths[l + 1],
                                  .k = (size_t)widths[l],
                                  .alpha = 1,
                                  .beta = 1,
                                  .a = x,
                                  .lda = (size_t)widths[l],
                                  .b = w,
                                  .ldb = (size_t)widths[l + 1],
                                  .c = y,
                                  .ldc = (size_t)widths[l + 1],
                                  .scratch = scratch};
                k->f32_gemm(&g);
            }
        *best = US_MIN(*best, (double)(us_now_ns() - t) / 1e3 / RUNS);
    }
    return US_OK;
}

static us_err bench(us_ctx *c, us_arena *a, us_model *m)
{
    us_plan *p = NULL;
    us_session *s = NULL;
    double first1, run1, first64, run64, gemm1, gemm64;
    uint64_t t = us_now_ns();
    us_err e = us_plan_new(c, m, NULL, &p);
    if (e != US_OK) us_model_free(m);
    double plan = (double)(us_now_ns() - t) / 1e3;
    if (e == US_OK) e = us_session_new(c, p, NULL, &s);
    if (e == US_OK) e = time_runs(c, s, a, 1, &first1, &run1);
    if (e == US_OK) e = time_runs(c, s, a, MAX_BATCH, &first64, &run64);
    if (e == US_OK) e = time_products(c, a, 1, &gemm1);
    if (e == US_OK) e = time_products(c, a, MAX_BATCH, &gemm64);
    if (e == US_OK)
        (void)printf("{\"plan_us\":%.0f,\"first_run_us\":%.1f,\"run_b1_us\":%.3f,\"products_b1_"
                     "us\":%.3f,"
                     "\"run_b64_us\":%.2f,\"products_b64_us\":%.2f}\n",
                     plan, first1, run1, gemm1, run64, gemm64);
    us_session_free(s);
    us_plan_free(p);
    return e;
}

int main(void)
{
    us_ctx c;
    us_arena *a = NULL;
    us_model *m = NULL;
    us_ctx_init(&c);
    us_err e = us_arena_new(&c, "bench", (size_t)64 << 20, &a);
    if (e == US_OK) e = us_model_new(&c, &m);
    if (e == US_OK && (e = mlp(&c, m)) != US_OK) us_model_free(m);
    if (e == US_OK) e = bench(&c, a, m);
    if (e != US_OK) (void)fprintf(stderr, "bench_exec: %s\n", c.diag.text);
    us_arena_free(a);
    us_ctx_deinit(&c);
    return e == US_OK ? 0 : 2;
}
