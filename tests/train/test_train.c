/* Training as a whole: it learns what it must, repeats itself exactly, and says what is wrong. */
#include "train_fixture.h"
#include "us_torture.h"

static double xor_class(const float *x)
{
    return (x[0] > 0) != (x[1] > 0);
}

static double line(const float *x)
{
    return 3 * (double)x[0] - 2 * (double)x[1] + 50;
}

static double bowl(const float *x)
{
    return (double)(x[0] * x[0]) + (double)(x[1] * x[1]);
}

static double first_sign(const float *x)
{
    return x[0] > 0;
}

static void test_mlp__xor(void)
{
    trial t;
    trial_begin(&t, US_TASK_CLASSES, 2, 2);
    t.d.train = trial_rows(&t, "train", 400, xor_class);
    t.d.valid = trial_rows(&t, "valid", 200, xor_class);
    t.o.hidden[0] = 16;
    t.o.n_hidden = 1;
    t.o.lr = 0.02;
    t.o.epochs = 40;
    t.h.no_baselines = false;
    trial_run(&t);
    CHECK(t.r.valid.accuracy > 0.95);
    CHECK(t.r.valid.auc > 0.97);
    /* and a line cannot: the comparison says so */
    CHECK_EQ_U64(t.r.n_baselines, 2);
    CHECK(t.r.baselines[1].beaten);
    CHECK(!t.r.simpler_as_good);
    CHECK(t.r.baselines[1].valid.accuracy < 0.7);
    trial_end(&t);
}

static void test_mlp__loss_falls(void)
{
    trial t;
    trial_begin(&t, US_TASK_VALUE, 2, 0);
    t.d.train = trial_rows(&t, "train", 500, bowl);
    t.o.epochs = 20;
    t.o.lr = 0.005;
    trial_run(&t);
    CHECK_EQ_U64(t.r.n_epochs, 20);
    CHECK_EQ_U64(t.r.best_epoch, 20);
    CHECK(t.r.history[19].train_loss < 0.2 * t.r.history[0].train_loss);
    CHECK(isnan(t.r.history[0].valid_loss));
    CHECK(t.r.train.r2 > 0.9);
    trial_end(&t);
}

/* Every activation and every optimiser trains, and memorises 32 rows of noise. */
static void test_mlp__overfits_32_rows(void)
{
    static const struct {
        us_act act;
        us_optim optim;
        bool nesterov;
        double lr;
    } rows[] = {{US_ACT_RELU, US_OPTIM_ADAMW, false, 0.01},
                {US_ACT_TANH, US_OPTIM_ADAM, false, 0.01},
                {US_ACT_GELU, US_OPTIM_SGD, true, 0.1},
                {US_ACT_SIGMOID, US_OPTIM_ADAM, false, 0.05},
                {US_ACT_RELU, US_OPTIM_SGD, false, 0.1}};
    for (size_t i = 0; i < US_LEN(rows); i++) {
        trial t;
        trial_begin(&t, US_TASK_CLASSES, 8, 4);
        t.d.train = trial_rows(&t, "train", 32, last_bits);
        t.o.hidden[0] = 64;
        t.o.n_hidden = 1;
        t.o.activation = rows[i].act;
        t.o.optim = rows[i].optim;
        t.o.nesterov = rows[i].nesterov;
        t.o.lr = rows[i].lr;
        t.o.weight_decay = 0;
        t.o.schedule = US_SCHED_CONSTANT;
        t.o.batch = 8;
        t.o.epochs = 200;
        trial_run(&t);
        if (!(t.r.train.accuracy > 0.999))
            US_TEST_FAIL("row %zu: accuracy %g on the training rows", i, t.r.train.accuracy);
        trial_end(&t);
    }
}

static void test_linear__exact_coefficients(void)
{
    trial t;
    trial_begin(&t, US_TASK_VALUE, 2, 0);
    t.d.train = trial_rows(&t, "train", 200, line);
    t.o.family = US_FAMILY_LINEAR;
    t.o.n_hidden = 0;
    t.o.weight_decay = 0;
    trial_run(&t);
    CHECK_NEAR(t.r.net.layers[0].w[0], 3, 1e-4);
    CHECK_NEAR(t.r.net.layers[0].w[1], -2, 1e-4);
    CHECK_NEAR(t.r.net.layers[0].b[0], 50, 1e-4);
    CHECK_NEAR(t.r.train.r2, 1, 1e-9);
    trial_end(&t);
}

/* The same by steps: the target's scale is undone in the weights. */
static void test_linear__by_steps(void)
{
    trial t;
    trial_begin(&t, US_TASK_VALUE, 2, 0);
    t.d.train = trial_rows(&t, "train", 400, line);
    t.o.family = US_FAMILY_LINEAR;
    t.o.n_hidden = 0;
    t.o.optim = US_OPTIM_ADAM;
    t.o.lr = 0.05;
    t.o.weight_decay = 0;
    t.o.epochs = 60;
    trial_run(&t);
    CHECK_NEAR(t.r.net.layers[0].w[0], 3, 1e-2);
    CHECK_NEAR(t.r.net.layers[0].w[1], -2, 1e-2);
    CHECK_NEAR(t.r.net.layers[0].b[0], 50, 1e-2);
    trial_end(&t);
}

static void test_verdict__line_is_as_good(void)
{
    trial t;
    trial_begin(&t, US_TASK_VALUE, 2, 0);
    t.d.train = trial_rows(&t, "train", 200, line);
    t.d.valid = trial_rows(&t, "valid", 100, line);
    t.o.epochs = 10;
    t.h.no_baselines = false;
    trial_run(&t);
    CHECK(t.r.simpler_as_good);
    CHECK_EQ_STR(t.r.baselines[0].name, "mean");
    CHECK_EQ_STR(t.r.baselines[1].name, "linear regression");
    CHECK(!t.r.baselines[1].beaten);
    CHECK(strstr(t.r.verdict, "simpler model is as good") != NULL);
    trial_end(&t);
}

static void test_constant__majority_share(void)
{
    trial t;
    trial_begin(&t, US_TASK_CLASSES, 3, 3);
    t.d.train = trial_rows(&t, "train", 300, first_sign);
    t.d.valid = trial_rows(&t, "valid", 50, first_sign);
    t.o.family = US_FAMILY_LINEAR;
    t.o.n_hidden = 0;
    t.h.no_baselines = false;
    trial_run(&t);
    CHECK_EQ_U64(t.r.n_baselines, 1);
    size_t ones = 0, valid_ones = 0;
    for (size_t i = 0; i < 300; i++)
        ones += (size_t)t.d.train.cls[i];
    for (size_t i = 0; i < 50; i++)
        valid_ones += (size_t)t.d.valid.cls[i];
    double want = 2 * ones > 300 ? (double)valid_ones / 50 : 1 - (double)valid_ones / 50;
    CHECK_NEAR(t.r.baselines[0].valid.accuracy, want, 1e-9);
    CHECK(t.r.valid.accuracy > 0.95);
    trial_end(&t);
}

/* --- exactly the same ------------------------------------------------------------------------------------ */

static void test_same_bytes__repeated_and_threads(void)
{
    trial t[3];
    for (int i = 0; i < 3; i++) {
        noisy_setup(&t[i]);
        if (i) trial_threads(&t[i], i == 1 ? 2 : 4);
        trial_run(&t[i]);
    }
    trial_same_weights(&t[0].r.net, &t[1].r.net);
    trial_same_weights(&t[0].r.net, &t[2].r.net);
    for (int i = 0; i < 3; i++)
        trial_end(&t[i]);
}

static void test_same_bytes__other_seed_differs(void)
{
    trial t[2];
    for (int i = 0; i < 2; i++) {
        noisy_setup(&t[i]);
        CHECK_OK(&t[i].c,
                 us_train(&t[i].c, &t[i].o, (uint64_t)i, &t[i].d, &t[i].h, t[i].a, &t[i].r));
    }
    CHECK(memcmp(t[0].r.net.layers[0].w, t[1].r.net.layers[0].w, 33 * 6 * sizeof(float)) != 0);
    for (int i = 0; i < 2; i++)
        trial_end(&t[i]);
}

/* Stopped after every possible epoch and resumed: weights and history as without the stop. */
static void test_resume__same_bytes(void)
{
    trial whole;
    noisy_setup(&whole);
    trial_run(&whole);
    for (int64_t stop = 1; stop < 7; stop++) {
        trial t;
        char path[1024];
        noisy_setup(&t);
        us_test_tmp(path, sizeof path, "resume.ckpt");
        t.h.checkpoint = path;
        t.h.stop_after = stop;
        CHECK_ERR(us_train(&t.c, &t.o, 1, &t.d, &t.h, t.a, &t.r), US_CANCELLED);
        t.h.stop_after = 0;
        t.h.resume = true;
        trial_run(&t);
        CHECK(t.r.resumed);
        trial_same_weights(&whole.r.net, &t.r.net);
        CHECK_EQ_U64(t.r.n_epochs, whole.r.n_epochs);
        CHECK_EQ_U64(t.r.best_epoch, whole.r.best_epoch);
        CHECK_EQ_MEM(t.r.history, whole.r.history, whole.r.n_epochs * sizeof(us_train_epoch));
        remove(path);
        trial_end(&t);
    }
    trial_end(&whole);
}

/* A checkpoint of other options, or a damaged one, is not continued. */
static void test_resume__not_this_run(void)
{
    trial t, whole;
    char path[1024];
    noisy_setup(&whole);
    whole.o.lr = 0.002;
    trial_run(&whole);
    noisy_setup(&t);
    us_test_tmp(path, sizeof path, "other.ckpt");
    t.h.checkpoint = path;
    t.h.stop_after = 3;
    CHECK_ERR(us_train(&t.c, &t.o, 1, &t.d, &t.h, t.a, &t.r), US_CANCELLED);
    t.o.lr = 0.002;
    t.h.stop_after = 0;
    t.h.resume = true;
    trial_run(&t);
    CHECK(!t.r.resumed);
    trial_same_weights(&whole.r.net, &t.r.net);
    us_test_write_file(path, "USTACKPT nonsense", 17);
    trial_run(&t);
    CHECK(!t.r.resumed);
    trial_same_weights(&whole.r.net, &t.r.net);
    remove(path);
    trial_end(&t);
    trial_end(&whole);
}

static void test_patience__best_weights_come_back(void)
{
    trial t;
    trial_begin(&t, US_TASK_CLASSES, 6, 4);
    t.d.train = trial_rows(&t, "train", 100, last_bits); /* memorised: validation gets worse */
    t.d.valid = trial_rows(&t, "valid", 100, last_bits);
    t.o.epochs = 300;
    t.o.lr = 0.01;
    t.o.patience = 5;
    trial_run(&t);
    CHECK(t.r.stopped_early);
    CHECK_EQ_U64(t.r.n_epochs, t.r.best_epoch + 5);
    double best = t.r.history[t.r.best_epoch - 1].valid_loss;
    for (size_t i = 0; i < t.r.n_epochs; i++)
        CHECK(t.r.history[i].valid_loss >= best);
    CHECK_NEAR(t.r.valid.loss, best, 1e-5);
    trial_end(&t);
}

static bool always(void *ud)
{
    return ++*(int *)ud > 5;
}

static void test_cancel__poll(void)
{
    trial t;
    int polls = 0;
    noisy_setup(&t);
    t.c.cancelled = always;
    t.c.cancel_ud = &polls;
    CHECK_ERR(us_train(&t.c, &t.o, 1, &t.d, &t.h, t.a, &t.r), US_CANCELLED);
    trial_end(&t);
}

typedef struct told {
    int n;
    int64_t last_epoch;
} told;

static void tell(void *ud, const us_train_progress *p)
{
    told *t = ud;
    CHECK(p->epoch >= t->last_epoch && p->epoch <= p->n_epochs);
    CHECK(p->step >= 1 && p->step <= p->n_steps);
    CHECK_EQ_STR(p->metric_name, "accuracy");
    t->last_epoch = p->epoch;
    t->n++;
}

static void test_progress__every_epoch(void)
{
    trial t;
    told seen = {0};
    noisy_setup(&t);
    t.h.progress = tell;
    t.h.ud = &seen;
    trial_run(&t);
    CHECK(seen.n >= 7);
    CHECK_EQ_I64(seen.last_epoch, 7);
    trial_end(&t);
}

/* --- memory ---------------------------------------------------------------------------------------------------- */

static uint64_t allocations(int64_t epochs)
{
    trial t;
    us_alloc_count count = {.fail_at = 0};
    noisy_setup(&t);
    us_alloc heap = t.c.alloc;
    t.o.epochs = epochs;
    t.c.alloc = us_alloc_counting(&count, heap);
    trial_run(&t);
    t.c.alloc = heap;
    trial_end(&t);
    return count.n_allocs;
}

/* Steps and epochs allocate nothing: four times as many cost no allocation more. */
static void test_memory__none_per_step(void)
{
    uint64_t few = allocations(5), many = allocations(20);
    printf("# %llu allocations\n", (unsigned long long)few);
    CHECK_EQ_U64(many, few);
}

static us_err small_run(us_ctx *c, void *arg)
{
    const trial *t = arg;
    us_train_result r;
    us_arena *a;
    US_TRY(us_arena_new(c, "test", (size_t)1 << 24, &a));
    us_err e = us_train(c, &t->o, 1, &t->d, &t->h, a, &r);
    us_arena_free(a);
    return e;
}

static void test_memory__every_refusal_is_an_error(void)
{
    trial t;
    noisy_setup(&t);
    t.o.epochs = 2;
    t.h.no_baselines = false;
    us_torture_with("training", small_run, &t, (us_torture_opts){.step = 7});
    trial_end(&t);
}

/* --- what goes wrong ---------------------------------------------------------------------------------------- */

static void refuses(trial *t, us_err code, const char *word)
{
    CHECK_ERR(us_train(&t->c, &t->o, 1, &t->d, &t->h, t->a, &t->r), code);
    if (!strstr(t->c.diag.text, word))
        US_TEST_FAIL("'%s' does not mention '%s'", t->c.diag.text, word);
    CHECK(t->r.net.layers == NULL);
}

static void test_diverged__says_what_to_try(void)
{
    trial t;
    trial_begin(&t, US_TASK_VALUE, 2, 0);
    t.d.train = trial_rows(&t, "train", 200, line);
    t.o.optim = US_OPTIM_SGD;
    t.o.lr = 10;
    t.o.warmup = 0;
    t.o.clip_norm = 0;
    refuses(&t, US_NO, "train.lr");
    CHECK(strstr(t.c.diag.text, "epoch") != NULL);
    trial_end(&t);
}

static void test_bad_data__named(void)
{
    trial t;
    trial_begin(&t, US_TASK_CLASSES, 2, 2);
    t.d.train = trial_rows(&t, "train", 20, first_sign);
    float *x = us_new_n(t.a, float, 40);
    CHECK(x != NULL);
    memcpy(x, t.d.train.x, 40 * sizeof(float));
    x[7] = NAN;
    t.d.train.x = x;
    us_sv names[2] = {US_SV("age"), US_SV("income")};
    t.d.feature_names = names;
    refuses(&t, US_ARG, "income");
    x[7] = 0;
    int32_t cls[20] = {0};
    cls[3] = 2;
    t.d.train.cls = cls;
    refuses(&t, US_ARG, "class 2");
    cls[3] = -1;
    refuses(&t, US_ARG, "class -1");
    cls[3] = 1;
    t.d.train.n = 1;
    refuses(&t, US_ARG, "at least 2");
    t.d.train.n = 20;
    t.d.n_classes = 1;
    refuses(&t, US_ARG, "nothing to learn");
    trial_end(&t);
}

static void test_bad_options__for_the_task(void)
{
    trial t;
    trial_begin(&t, US_TASK_VALUE, 2, 0);
    t.d.train = trial_rows(&t, "train", 20, line);
    t.o.label_smoothing = 0.1;
    refuses(&t, US_ARG, "label_smoothing");
    t.o.label_smoothing = 0;
    t.o.balanced = true;
    refuses(&t, US_ARG, "class_weight");
    t.o.balanced = false;
    t.o.family = US_FAMILY_LINEAR;
    t.o.n_hidden = 0;
    t.o.logistic = true;
    refuses(&t, US_ARG, "logistic");
    t.o.family = US_FAMILY_CONSTANT;
    refuses(&t, US_ARG, "baseline");
    trial_end(&t);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_mlp__xor),
        US_CASE(test_mlp__loss_falls),
        US_CASE(test_mlp__overfits_32_rows),
        US_CASE(test_linear__exact_coefficients),
        US_CASE(test_linear__by_steps),
        US_CASE(test_verdict__line_is_as_good),
        US_CASE(test_constant__majority_share),
        US_CASE(test_same_bytes__repeated_and_threads),
        US_CASE(test_same_bytes__other_seed_differs),
        US_CASE(test_resume__same_bytes),
        US_CASE(test_resume__not_this_run),
        US_CASE(test_patience__best_weights_come_back),
        US_CASE(test_cancel__poll),
        US_CASE(test_progress__every_epoch),
        US_CASE(test_memory__none_per_step),
        US_CASE(test_memory__every_refusal_is_an_error),
        US_CASE(test_diverged__says_what_to_try),
        US_CASE(test_bad_data__named),
        US_CASE(test_bad_options__for_the_task),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
