/* Exact solvers: known coefficients come back, repeated columns do no harm, threads change no bit. */
#include "us_test.h"

#include "base/pool.h"
#include "base/rng.h"
#include "train/exact.h"
#include "train/net.h"

typedef struct fixture {
    us_ctx c;
    us_arena *a;
    us_train_data d;
    float *x, *y;
    int32_t *cls;
    us_net net;
} fixture;

static void begin(fixture *f, us_task task, size_t n, size_t d, size_t k)
{
    memset(f, 0, sizeof *f);
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, us_arena_new(&f->c, "test", (size_t)1 << 28, &f->a));
    f->x = us_new_n(f->a, float, n *d);
    f->y = us_new_n(f->a, float, n);
    f->cls = us_new_n(f->a, int32_t, n);
    CHECK(f->x && f->y && f->cls);
    us_rng r = us_rng_new(3, "test", 0);
    for (size_t i = 0; i < n * d; i++)
        f->x[i] = (float)us_rng_normal(&r);
    f->d = (us_train_data){.task = task, .n_features = d, .n_classes = k};
    f->d.train = (us_train_rows){.n = n, .x = f->x};
    CHECK_OK(&f->c, us_net_new(&f->c, f->a, task, US_FAMILY_LINEAR, US_ACT_RELU, d,
                               task == US_TASK_CLASSES ? k : 1, 0, NULL, &f->net));
}

static void end(fixture *f)
{
    us_arena_free(f->a);
    us_ctx_deinit(&f->c);
}

static void line_target(fixture *f)
{
    for (size_t i = 0; i < f->d.train.n; i++) {
        double y = 100;
        for (size_t j = 0; j < f->d.n_features; j++)
            y += ((double)j - 2) * (double)f->x[i * f->d.n_features + j];
        f->y[i] = (float)y;
    }
    f->d.train.value = f->y;
}

static void test_least_squares__recovers(void)
{
    fixture f;
    begin(&f, US_TASK_VALUE, 400, 6, 0);
    line_target(&f);
    CHECK_OK(&f.c, us_exact_fit(&f.c, &f.d, &f.d.train, 0, NULL, &f.net));
    for (size_t j = 0; j < 6; j++)
        CHECK_NEAR(f.net.layers[0].w[j], (double)j - 2, 1e-5);
    CHECK_NEAR(f.net.layers[0].b[0], 100, 1e-4);
    end(&f);
}

/* Columns that repeat each other have no unique solution; predictions must be right all the same. */
static void test_least_squares__repeated_columns(void)
{
    fixture f;
    begin(&f, US_TASK_VALUE, 300, 4, 0);
    for (size_t i = 0; i < 300; i++)
        f.x[4 * i + 3] = f.x[4 * i] + f.x[4 * i + 1];
    line_target(&f);
    CHECK_OK(&f.c, us_exact_fit(&f.c, &f.d, &f.d.train, 0, NULL, &f.net));
    for (size_t i = 0; i < 300; i++) {
        double y = (double)f.net.layers[0].b[0];
        for (size_t j = 0; j < 4; j++)
            y += (double)f.net.layers[0].w[j] * (double)f.x[4 * i + j];
        CHECK_NEAR(y, f.y[i], 1e-3);
    }
    end(&f);
}

static void test_least_squares__constant_column_and_target(void)
{
    fixture f;
    begin(&f, US_TASK_VALUE, 50, 2, 0);
    for (size_t i = 0; i < 50; i++) {
        f.x[2 * i] = 7;
        f.y[i] = 5;
    }
    f.d.train.value = f.y;
    CHECK_OK(&f.c, us_exact_fit(&f.c, &f.d, &f.d.train, 0, NULL, &f.net));
    CHECK_NEAR(f.net.layers[0].b[0] + 7 * f.net.layers[0].w[0], 5, 1e-4);
    CHECK_NEAR(f.net.layers[0].w[1], 0, 1e-5);
    end(&f);
}

static void test_least_squares__row_weights(void)
{
    fixture f;
    begin(&f, US_TASK_VALUE, 100, 1, 0);
    float w[100];
    for (size_t i = 0; i < 100; i++) { /* a second line that does not count */
        f.y[i] = i % 2 != 0 ? 3.0F * f.x[i] + 1.0F : -9.0F * f.x[i];
        w[i] = i % 2 != 0 ? 2.0F : 0.0F;
    }
    f.d.train.value = f.y;
    f.d.train.weight = w;
    CHECK_OK(&f.c, us_exact_fit(&f.c, &f.d, &f.d.train, 0, NULL, &f.net));
    CHECK_NEAR(f.net.layers[0].w[0], 3, 1e-4);
    CHECK_NEAR(f.net.layers[0].b[0], 1, 1e-4);
    end(&f);
}

/* At the optimum the residuals are orthogonal to every feature: the gradient of the unpenalised loss is zero. */
static void test_logistic__gradient_is_zero(void)
{
    fixture f;
    begin(&f, US_TASK_CLASSES, 500, 3, 3);
    us_rng r = us_rng_new(5, "labels", 0);
    for (size_t i = 0; i < 500; i++) {
        double s = (double)f.x[3 * i] + 0.5 * us_rng_normal(&r);
        f.cls[i] = s < -0.5 ? 0 : s < 0.5 ? 1 : 2;
    }
    f.d.train.cls = f.cls;
    CHECK_OK(&f.c, us_exact_fit(&f.c, &f.d, &f.d.train, 1e-9, NULL, &f.net));
    double grad[3][3] = {{0}};
    for (size_t i = 0; i < 500; i++) {
        double z[3], sum = 0;
        for (size_t k = 0; k < 3; k++) {
            z[k] = (double)f.net.layers[0].b[k];
            for (size_t j = 0; j < 3; j++)
                z[k] += (double)f.net.layers[0].w[3 * j + k] * (double)f.x[3 * i + j];
            z[k] = exp(z[k]);
            sum += z[k];
        }
        for (size_t k = 0; k < 3; k++)
            for (size_t j = 0; j < 3; j++)
                grad[j][k] +=
                    (z[k] / sum - ((size_t)f.cls[i] == k)) * (double)f.x[3 * i + j] / 500;
    }
    for (size_t j = 0; j < 3; j++)
        for (size_t k = 0; k < 3; k++)
            CHECK_NEAR(grad[j][k], 0, 1e-5);
    end(&f);
}

static void test_exact__same_bytes_with_threads(void)
{
    us_net nets[2];
    fixture f[2];
    for (int t = 0; t < 2; t++) {
        us_pool *pool = NULL;
        begin(&f[t], US_TASK_CLASSES, 3000, 5, 4);
        for (size_t i = 0; i < 3000; i++)
            f[t].cls[i] = (int32_t)(i % 4);
        f[t].d.train.cls = f[t].cls;
        if (t) CHECK_OK(&f[t].c, us_pool_new(&f[t].c, 2, &pool));
        f[t].c.pool = pool;
        CHECK_OK(&f[t].c, us_exact_fit(&f[t].c, &f[t].d, &f[t].d.train, 1e-4, NULL, &f[t].net));
        f[t].c.pool = NULL;
        us_pool_free(pool);
        nets[t] = f[t].net;
    }
    CHECK_EQ_MEM(nets[0].layers[0].w, nets[1].layers[0].w, 20 * sizeof(float));
    CHECK_EQ_MEM(nets[0].layers[0].b, nets[1].layers[0].b, 4 * sizeof(float));
    end(&f[0]);
    end(&f[1]);
}

/* Past the size of Cholesky the same problem is solved by L-BFGS. */
static void test_least_squares__wide(void)
{
    fixture f;
    begin(&f, US_TASK_VALUE, 1300, 1030, 0);
    for (size_t i = 0; i < 1300; i++)
        f.y[i] = 2 * f.x[i * 1030 + 5] - f.x[i * 1030 + 1000] + 4;
    f.d.train.value = f.y;
    CHECK_OK(&f.c, us_exact_fit(&f.c, &f.d, &f.d.train, 0, NULL, &f.net));
    CHECK_NEAR(f.net.layers[0].w[5], 2, 1e-2);
    CHECK_NEAR(f.net.layers[0].w[1000], -1, 1e-2);
    CHECK_NEAR(f.net.layers[0].b[0], 4, 1e-2);
    end(&f);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_least_squares__recovers),
        US_CASE(test_least_squares__repeated_columns),
        US_CASE(test_least_squares__constant_column_and_target),
        US_CASE(test_least_squares__row_weights),
        US_CASE(test_logistic__gradient_is_zero),
        US_CASE(test_exact__same_bytes_with_threads),
        US_CASE(test_least_squares__wide),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
