/* bench/core.c - the measured side of `make bench-core`: one job per call, its processor time on stdout as JSON.
 *
 *     bench_core gen FILE ROWS COLS        a CSV of numbers (seeded)
 *     bench_core parse FILE                CSV to table
 *     bench_core profile FILE              CSV to table, schema, statistics
 *     bench_core train STEPS               MLP 64-128-10, batch 64, cross-entropy, Adam
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "data/csv.h"
#include "data/profile.h"
#include "data/schema.h"
#include "train/train.h"

static int fail(const us_ctx *c)
{
    (void)fprintf(stderr, "bench_core: %s\n", c->diag.text);
    return 2;
}

static us_err gen(us_ctx *c, const char *path, int64_t rows, int64_t cols)
{
    us_writer *w;
    us_buf b;
    us_rng r = us_rng_new(1, "bench", 0);
    US_TRY(us_writer_open(c, path, &w));
    us_buf_init(&b, c, (size_t)64 << 20);
    us_err e = US_OK;
    for (int64_t k = 0; k < cols; k++)
        us_buf_addf(&b, k ? ",c%d" : "c%d", (int)k);
    us_buf_addc(&b, '\n');
    for (int64_t i = 0; i < rows && e == US_OK; i++) {
        for (int64_t k = 0; k < cols; k++)
            us_buf_addf(&b, k ? ",%.6f" : "%.6f", us_rng_normal(&r) * 10);
        us_buf_addc(&b, '\n');
        if (b.n < (size_t)1 << 20 && i + 1 < rows) continue;
        e = us_buf_check(&b);
        if (e == US_OK) e = us_writer_write(w, b.p, b.n);
        us_buf_clear(&b);
    }
    us_buf_deinit(&b);
    if (e == US_OK) return us_writer_commit(w);
    us_writer_abort(w);
    return e;
}

static us_err csv(us_ctx *c, const char *path, bool profile)
{
    us_table *t = NULL;
    us_csv_report rep;
    us_arena *a = NULL;
    us_err e = US_OK;
    uint64_t wall = us_now_ns(), cpu = us_cpu_ns(), distinct = 0;
    US_TRY(us_arena_new(c, "bench", (size_t)16 << 30, &a));
    US_GO(us_csv_read(c, path, NULL, &t, &rep));
    if (profile) {
        us_schema_opts o = {0};
        us_data_schema s;
        us_profile p;
        US_GO(us_schema_infer(c, a, t, &o, &s));
        US_GO(us_profile_make(c, a, t, &p));
        distinct = (uint64_t)p.cols[0].n_distinct;
    }
    printf("{\"cpu_s\": %.4f, \"wall_s\": %.4f, \"bytes\": %zu, \"rows\": %zu, \"distinct\": "
           "%llu}\n",
           (double)(us_cpu_ns() - cpu) / 1e9, (double)(us_now_ns() - wall) / 1e9, rep.n_bytes,
           rep.n_rows, (unsigned long long)distinct);
out:
    us_table_free(t);
    us_arena_free(a);
    return e;
}

#define N_ROWS 4096
#define N_IN   64
#define N_OUT  10

static us_err fit(us_ctx *c, us_arena *a, int64_t steps)
{
    us_train_opts o;
    us_train_result r;
    float *x = us_new_n(a, float, (size_t)N_ROWS *N_IN);
    int32_t *cls = us_new_n(a, int32_t, N_ROWS);
    if (!x || !cls) return us_arena_fail(c, a);
    us_rng g = us_rng_new(1, "bench", 1);
    for (size_t i = 0; i < (size_t)N_ROWS * N_IN; i++)
        x[i] = (float)us_rng_normal(&g);
    for (size_t i = 0; i < N_ROWS; i++)
        cls[i] = (int32_t)us_rng_below(&g, N_OUT);
    US_TRY(us_train_opts_default(c, &o));
    o.family = US_FAMILY_MLP;
    o.n_hidden = 1;
    o.hidden[0] = 128;
    o.optim = US_OPTIM_ADAM;
    o.weight_decay = 0;
    o.clip_norm = 0;
    o.batch = 64;
    o.patience = 0;
    o.epochs = steps / (N_ROWS / 64) + 1;
    us_train_data d = {.task = US_TASK_CLASSES,
                       .n_features = N_IN,
                       .n_classes = N_OUT,
                       .train = {.n = N_ROWS, .x = x, .cls = cls}};
    us_train_hooks h = {.no_baselines = true};
    uint64_t cpu = us_cpu_ns(), wall = us_now_ns();
    US_TRY(us_train(c, &o, 1, &d, &h, a, &r));
    double n = (double)o.epochs * (N_ROWS / 64);
    printf("{\"steps\": %.0f, \"cpu_us_per_step\": %.3f, \"wall_us_per_step\": %.3f}\n", n,
           (double)(us_cpu_ns() - cpu) / 1e3 / n, (double)(us_now_ns() - wall) / 1e3 / n);
    return US_OK;
}

static us_err train(us_ctx *c, int64_t steps)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "bench", (size_t)1 << 30, &a));
    us_err e = fit(c, a, steps);
    us_arena_free(a);
    return e;
}

static int64_t number(const char *z)
{
    int64_t v = 0;
    return us_parse_i64(us_sv_of(z), &v) ? v : 0;
}

int main(int argc, char **argv)
{
    us_ctx c;
    us_ctx_init(&c);
    us_err e = us_fail(
        &c, US_ARG,
        "usage: bench_core gen FILE ROWS COLS | parse FILE | profile FILE | train STEPS");
    if (argc == 5 && !strcmp(argv[1], "gen"))
        e = gen(&c, argv[2], number(argv[3]), number(argv[4]));
    if (argc == 3 && !strcmp(argv[1], "parse")) e = csv(&c, argv[2], false);
    if (argc == 3 && !strcmp(argv[1], "profile")) e = csv(&c, argv[2], true);
    if (argc == 3 && !strcmp(argv[1], "train")) e = train(&c, number(argv[2]));
    return e == US_OK ? 0 : fail(&c);
}
