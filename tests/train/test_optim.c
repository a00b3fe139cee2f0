/* Optimisers against steps computed by hand, the schedule at its corners. */
#include "us_test.h"

#include "train/optim.h"

static void test_sum_squares__sizes(void)
{
    float x[37];
    for (size_t n = 0; n <= US_LEN(x); n++) {
        double want = 0;
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)i - 3.5F;
            want += ((double)i - 3.5) * ((double)i - 3.5);
        }
        CHECK_NEAR(us_sum_squares(x, n), want, 1e-9 * want);
    }
}

static void test_sgd__momentum(void)
{
    float w[2] = {1, -1}, g[2] = {0.5F, 1}, v[2] = {0.2F, 0};
    float *slots[2] = {v, NULL};
    us_optim_step s = {.kind = US_OPTIM_SGD,
                       .lr = 0.1F,
                       .grad_scale = 1,
                       .momentum = 0.9F,
                       .weight_decay = 0.1F};
    us_optim_apply(&s, 2, w, g, slots);
    /* d = 0.5 + 0.1 * 1 = 0.6; v = 0.9 * 0.2 + 0.6 = 0.78; w = 1 - 0.078 */
    CHECK_NEAR(v[0], 0.78, 1e-6);
    CHECK_NEAR(w[0], 0.922, 1e-6);
    CHECK_NEAR(v[1], 0.9, 1e-6);
    CHECK_NEAR(w[1], -1.09, 1e-6);
}

static void test_sgd__nesterov(void)
{
    float w = 1, g = 0.5F, v = 0.2F;
    float *slots[2] = {&v, NULL};
    us_optim_step s = {
        .kind = US_OPTIM_SGD, .lr = 0.1F, .grad_scale = 2, .momentum = 0.5F, .nesterov = true};
    us_optim_apply(&s, 1, &w, &g, slots);
    /* d = 1; v = 1.1; step = d + 0.5 v = 1.55 */
    CHECK_NEAR(v, 1.1, 1e-6);
    CHECK_NEAR(w, 0.845, 1e-6);
}

/* The first step of Adam is lr * sign(g), whatever the gradient's size. */
static void test_adam__first_step(void)
{
    float w[3] = {1, 2, 3}, g[3] = {1e-3F, -20, 4}, m[3] = {0}, v[3] = {0};
    float *slots[2] = {m, v};
    us_optim_step s = {.kind = US_OPTIM_ADAM,
                       .lr = 0.01F,
                       .grad_scale = 1,
                       .beta1 = 0.9F,
                       .beta2 = 0.999F,
                       .eps = 1e-8F,
                       .t = 1};
    us_optim_apply(&s, 3, w, g, slots);
    CHECK_NEAR(w[0], 0.99, 1e-5);
    CHECK_NEAR(w[1], 2.01, 1e-5);
    CHECK_NEAR(w[2], 2.99, 1e-5);
}

/* Decay apart from the gradient: with gradient 0 the weight only shrinks; Adam's L2 goes through its normalisation instead. */
static void test_adamw__decay_apart(void)
{
    float w[2] = {2, 2}, g[2] = {0, 0}, m[2] = {0}, v[2] = {0};
    float *first[2] = {m, v}, *second[2] = {m + 1, v + 1};
    us_optim_step s = {.kind = US_OPTIM_ADAMW,
                       .lr = 0.1F,
                       .grad_scale = 1,
                       .weight_decay = 0.5F,
                       .beta1 = 0.9F,
                       .beta2 = 0.999F,
                       .eps = 1e-8F,
                       .t = 1};
    us_optim_apply(&s, 1, w, g, first);
    CHECK_NEAR(w[0], 2 * (1 - 0.05), 1e-6);
    s.kind = US_OPTIM_ADAM;
    us_optim_apply(&s, 1, w + 1, g + 1, second);
    CHECK_NEAR(w[1], 2 - 0.1, 1e-5);
}

/* Three steps against the algorithm in double. */
static void test_adam__three_steps(void)
{
    float w = 0.3F, m = 0, v = 0;
    float *slots[2] = {&m, &v};
    double dw = (double)0.3F, dm = 0, dv = 0;
    const float g[3] = {0.7F, -0.2F, 1.5F};
    for (int t = 1; t <= 3; t++) {
        us_optim_step s = {.kind = US_OPTIM_ADAM,
                           .lr = 0.05F,
                           .grad_scale = 0.5F,
                           .weight_decay = 0.01F,
                           .beta1 = 0.8F,
                           .beta2 = 0.95F,
                           .eps = 1e-6F,
                           .t = (uint64_t)t};
        us_optim_apply(&s, 1, &w, &g[t - 1], slots);
        double d = (double)g[t - 1] * 0.5 + 0.01 * dw;
        dm = 0.8 * dm + 0.2 * d;
        dv = 0.95 * dv + 0.05 * d * d;
        dw -= 0.05 * (dm / (1 - pow(0.8, t))) / (sqrt(dv / (1 - pow(0.95, t))) + 1e-6);
        CHECK_NEAR(w, dw, 2e-6);
    }
}

static void test_lr__schedule(void)
{
    us_train_opts o = {
        .lr = 0.1, .lr_final = 0.1, .warmup = 2, .epochs = 10, .schedule = US_SCHED_COSINE};
    CHECK_NEAR(us_lr_at(&o, 0, 10), 0.1 * 0.05, 1e-9);
    CHECK(us_lr_at(&o, 9, 10) < us_lr_at(&o, 15, 10));
    CHECK_NEAR(us_lr_at(&o, 50, 10), 0.1 * (0.1 + 0.9 * 0.5), 1e-9); /* half way */
    CHECK(us_lr_at(&o, 99, 10) < 0.0102);
    CHECK(us_lr_at(&o, 99, 10) > 0.01);
    o.schedule = US_SCHED_CONSTANT;
    CHECK_NEAR(us_lr_at(&o, 99, 10), 0.1, 0);
    o.warmup = 0;
    CHECK_NEAR(us_lr_at(&o, 0, 10), 0.1, 0);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_sum_squares__sizes), US_CASE(test_sgd__momentum),
        US_CASE(test_sgd__nesterov),      US_CASE(test_adam__first_step),
        US_CASE(test_adamw__decay_apart), US_CASE(test_adam__three_steps),
        US_CASE(test_lr__schedule),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
