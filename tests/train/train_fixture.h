/* train_fixture.h - a context, an arena, options and rows made by a formula. */
#ifndef US_TRAIN_FIXTURE_H
#define US_TRAIN_FIXTURE_H

#include "us_test.h"

#include "base/pool.h"
#include "base/rng.h"
#include "train/net.h"

typedef struct trial {
    us_ctx c;
    us_arena *a;
    us_pool *pool;
    us_train_opts o;
    us_train_data d;
    us_train_hooks h;
    us_train_result r;
} trial;

static inline void trial_begin(trial *t, us_task task, size_t d, size_t k)
{
    memset(t, 0, sizeof *t);
    us_ctx_init(&t->c);
    t->c.log.level = US_LOG_ERROR;
    CHECK_OK(&t->c, us_arena_new(&t->c, "test", (size_t)1 << 30, &t->a));
    CHECK_OK(&t->c, us_train_opts_default(&t->c, &t->o));
    t->o.patience = 0;
    t->d = (us_train_data){.task = task, .n_features = d, .n_classes = k};
    t->h.no_baselines = true;
}

static inline void trial_threads(trial *t, int n)
{
    CHECK_OK(&t->c, us_pool_new(&t->c, n, &t->pool));
    t->c.pool = t->pool;
}

static inline void trial_end(trial *t)
{
    us_arena_free(t->a);
    t->c.pool = NULL;
    us_pool_free(t->pool);
    us_ctx_deinit(&t->c);
}

/* n rows of standard normal features; f gives the class or value of a row. */
static inline us_train_rows trial_rows(trial *t, const char *stream, size_t n,
                                       double (*f)(const float *x))
{
    float *x = us_new_n(t->a, float, n * t->d.n_features), *y = us_new_n(t->a, float, n);
    int32_t *cls = us_new_n(t->a, int32_t, n);
    CHECK(x && y && cls);
    us_rng r = us_rng_new(11, stream, 0);
    for (size_t i = 0; i < n * t->d.n_features; i++)
        x[i] = (float)us_rng_normal(&r);
    for (size_t i = 0; i < n; i++) {
        double v = f(x + i * t->d.n_features);
        y[i] = (float)v;
        cls[i] = t->d.task == US_TASK_CLASSES ? (int32_t)v : 0;
    }
    us_train_rows rows = {.n = n, .x = x};
    if (t->d.task == US_TASK_CLASSES)
        rows.cls = cls;
    else
        rows.value = y;
    return rows;
}

static inline void trial_run(trial *t)
{
    CHECK_OK(&t->c, us_train(&t->c, &t->o, 1, &t->d, &t->h, t->a, &t->r));
}

static inline void trial_same_weights(const us_net *a, const us_net *b)
{
    CHECK_EQ_U64(a->n_layers, b->n_layers);
    for (size_t i = 0; i < a->n_layers; i++) {
        const us_layer *x = &a->layers[i], *y = &b->layers[i];
        CHECK_EQ_MEM(x->w, y->w, x->n_in * x->n_out * sizeof(float));
        CHECK_EQ_MEM(x->b, y->b, x->n_out * sizeof(float));
    }
}

/* noise: nothing to learn but the rows themselves */
static inline double last_bits(const float *x)
{
    uint32_t bits;
    memcpy(&bits, x, 4);
    return (double)(bits % 4);
}

/* A bit of everything: two layers, dropout, smoothing, class weights, batches that do not fit. */
static inline void noisy_setup(trial *t)
{
    trial_begin(t, US_TASK_CLASSES, 6, 4);
    t->d.train = trial_rows(t, "train", 333, last_bits);
    t->d.valid = trial_rows(t, "valid", 77, last_bits);
    t->o.n_hidden = 2;
    t->o.hidden[0] = 33;
    t->o.hidden[1] = 17;
    t->o.dropout = 0.2;
    t->o.label_smoothing = 0.1;
    t->o.balanced = true;
    t->o.epochs = 7;
    t->o.batch = 50;
}

#endif
