/* test_tune.c - choices of kernels: by the model, by time, stored and made again; every candidate gives the results of the others. */
#include "exec_fixture.h"

#include <math.h>

#include "base/file.h"
#include "exec/plan.h"
#include "exec/planfile.h"
#include "exec/planhead.h"
#include "exec/tune.h"
#include "us_torture.h"

static us_vid conv(us_builder *b, us_rng *r, const char *op, us_vid x, int64_t from, int64_t to)
{
    int64_t k = op[4] ? 2 : 3, dims[4] = {op[4] ? from : to, op[4] ? to : from, k, k};
    us_vid y = us_b2(b, op, x, random_weights(b, r, 4, dims));
    us_b_ints(b, "kernel_shape", 2, dims + 2);
    us_b_ints(b, "strides", 2, (int64_t[]){k / 3 + (k == 2) * 2, k / 3 + (k == 2) * 2});
    if (k == 3) us_b_ints(b, "pads", 4, (int64_t[]){1, 1, 1, 1});
    return us_b1(b, "Relu", y);
}

/* Convolutions, one of them with few outputs, a transposed one, and a dense layer at the end. */
static us_model *net(us_ctx *c)
{
    us_model *m;
    us_vid x;
    us_rng r = us_rng_new(3, "tune", 0);
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_model_set_opset(c, m, (us_sv){0}, 17));
    us_dim dims[4] = {US_DIM(1), US_DIM(3), US_DIM(12), US_DIM(10)};
    us_type t = us_type_tensor(US_F32, 4, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    us_vid h = conv(&b, &r, "Conv", x, 3, 40);
    h = conv(&b, &r, "Conv", h, 40, 40);
    h = conv(&b, &r, "ConvTranspose", h, 40, 20);
    h = conv(&b, &r, "Conv", h, 20, 2);
    us_vid flat = us_b1(&b, "Flatten", h);
    us_vid y =
        us_b2(&b, "MatMul", flat, random_weights(&b, &r, 2, (int64_t[]){2 * 24 * 20, 20}));
    us_b_name(&b, y, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, y));
    return m;
}

enum { N_Y = 20 };

static void run(fixture *f, us_plan *p, float y[N_Y])
{
    us_session *s;
    us_value in[1] = {random_f32(f, DIMS(1, 3, 12, 10), 5)}, out[1];
    CHECK_OK(&f->c, us_session_new(&f->c, p, NULL, &s));
    CHECK_OK(&f->c, us_session_run(&f->c, s, in, out));
    CHECK_EQ_U64(us_tensor_count(&out[0].t), N_Y);
    memcpy(y, out[0].t.data, N_Y * sizeof *y);
    us_session_free(s);
}

/* Sums in another order: each a few ulps of the terms. */
static void close_to(const float *got, const float *want)
{
    float most = 0;
    for (int i = 0; i < N_Y; i++)
        most = fmaxf(most, fabsf(want[i]));
    for (int i = 0; i < N_Y; i++)
        CHECK(fabsf(got[i] - want[i]) <= 2e-5F * most);
}

static void begin(fixture *f)
{
    fixture_begin(f);
    CHECK_OK(&f->c, us_plan_new(&f->c, net(&f->c), NULL, &f->plan));
}

/* Choices of p with candidate `j` (or the last) taken everywhere, said to be timed; in f's arena. */
static us_kernel_choice *take(fixture *f, const us_plan *p, size_t j, size_t *n)
{
    const us_kernel_choice *all;
    *n = us_plan_choices(p, &all);
    us_kernel_choice *to = us_new_n(f->a, us_kernel_choice, *n);
    for (size_t i = 0; i < *n; i++) {
        double *ns = us_new_n(f->a, double, all[i].n);
        to[i] = all[i];
        to[i].chosen = US_MIN(j, all[i].n - 1);
        for (size_t k = 0; k < all[i].n; k++)
            ns[k] = 1000.0 + (double)k;
        to[i].ns = ns;
    }
    return to;
}

static void test_tune__every_candidate_gives_the_results(void)
{
    fixture f;
    float want[N_Y], got[N_Y];
    size_t n = 0, most = 0;
    begin(&f);
    run(&f, f.plan, want);
    const us_kernel_choice *all;
    n = us_plan_choices(f.plan, &all);
    CHECK(n >= 4); /* and one more where the level has more than one way to make few outputs */
    for (size_t i = 0; i < n; i++) {
        CHECK(all[i].n >= 2 && all[i].chosen == all[i].best && !all[i].ns);
        most = US_MAX(most, all[i].n);
    }
    for (size_t j = 0; j < most; j++) {
        us_plan *p;
        us_kernel_choice *x = take(&f, f.plan, j, &n);
        CHECK_OK(&f.c, us_plan_vary(&f.c, f.plan, x, n, &p));
        run(&f, p, got);
        close_to(got, want);
        CHECK_EQ_U64(us_plan_choices(p, &all), n);
        for (size_t i = 0; i < n; i++)
            CHECK(all[i].chosen == x[i].chosen && all[i].ns && all[i].ns[0] == 1000);
        us_plan_free(p);
    }
    fixture_end(&f);
}

static void read_bytes(fixture *f, const char *path, us_buf *b)
{
    us_buf_init(b, &f->c, (size_t)1 << 24);
    CHECK_OK(&f->c, us_file_read(&f->c, path, b));
}

static void test_tune__stored_and_made_again(void)
{
    fixture f;
    char path[512], again[512];
    float want[N_Y], got[N_Y];
    us_buf a, b;
    begin(&f);
    us_test_tmp(path, sizeof path, "tuned.plan");
    us_test_tmp(again, sizeof again, "again.plan");
    for (size_t j = 0; j < 3; j++) {
        us_plan *p;
        const us_kernel_choice *all;
        size_t n;
        us_kernel_choice *x = take(&f, f.plan, j, &n);
        CHECK_OK(&f.c, us_plan_vary(&f.c, f.plan, x, n, &p));
        run(&f, p, want);
        CHECK_OK(&f.c, us_planfile_write(&f.c, p, path, NULL));
        us_plan_free(p);
        for (int load = 0; load < 2; load++) {
            CHECK_OK(&f.c, us_planfile_read(&f.c, path, &p));
            CHECK_EQ_U64(us_plan_choices(p, &all), n);
            for (size_t i = 0; i < n; i++) {
                CHECK_EQ_U64(all[i].chosen, x[i].chosen);
                CHECK_EQ_MEM(all[i].ns, x[i].ns, x[i].n * sizeof(double));
            }
            run(&f, p, got);
            CHECK_EQ_MEM(got, want, sizeof want);
            CHECK_OK(&f.c, us_planfile_write(&f.c, p, again, NULL));
            us_plan_free(p);
        }
        read_bytes(&f, path, &a);
        read_bytes(&f, again, &b);
        CHECK_EQ_U64(a.n, b.n);
        CHECK_EQ_MEM(a.p, b.p, a.n);
        us_buf_deinit(&a);
        us_buf_deinit(&b);
    }
    fixture_end(&f);
}

static void test_tune__times_every_candidate(void)
{
    fixture f;
    us_plan *p;
    us_tune_info info;
    float want[N_Y], got[N_Y];
    const us_kernel_choice *all;
    begin(&f);
    run(&f, f.plan, want);
    us_value in[1] = {random_f32(&f, DIMS(1, 3, 12, 10), 6)};
    us_tune_opts o = {.seconds = 0.05};
    CHECK_OK(&f.c, us_plan_tune(&f.c, f.plan, in, &o, &p, &info));
    f.plan = p;
    size_t n = us_plan_choices(p, &all), n_other = 0;
    CHECK_EQ_U64(info.n_choices, n);
    CHECK(info.model_ns > 0 && info.tuned_ns > 0 && info.tuned_ns <= info.model_ns);
    for (size_t i = 0; i < n; i++) {
        n_other += all[i].chosen != all[i].best;
        CHECK(all[i].ns[all[i].chosen] <= all[i].ns[all[i].best]);
        for (size_t k = 0; k < all[i].n; k++) /* one thread: parts for others are not timed */
            CHECK((all[i].ns[k] > 0) == !all[i].list[k].threads);
    }
    CHECK_EQ_U64(info.n_other, n_other);
    run(&f, p, got);
    close_to(got, want);
    CHECK_ERR(us_plan_tune(&f.c, p, in, &o, &p, &info), US_UNSUPP);
    fixture_end(&f);
}

static void test_tune__nothing_to_choose(void)
{
    fixture f;
    us_plan *p;
    us_tune_info info;
    us_tune_opts o = {.seconds = 1};
    fixture_begin(&f);
    fixture_open(&f,
                 "model ir=8 opset=17\n"
                 "graph main(x: float[4]) -> (y) {\n"
                 "  y = Sin(x)\n"
                 "}\n",
                 NULL, NULL);
    us_value in[1] = {F32S(&f, DIMS(4), 1, 2, 3, 4)};
    CHECK_OK(&f.c, us_plan_tune(&f.c, f.plan, in, &o, &p, &info));
    CHECK(p == f.plan && info.n_choices == 0);
    fixture_end(&f);
}

static void test_tune__wrong_inputs(void)
{
    fixture f;
    us_plan *p;
    us_tune_info info;
    us_tune_opts o = {.seconds = 1};
    begin(&f);
    us_value in[1] = {F32S(&f, DIMS(2), 1, 2)};
    CHECK_ERR(us_plan_tune(&f.c, f.plan, in, &o, &p, &info), US_SHAPE);
    fixture_end(&f); /* the plan is still ours */
}

/* --- refused ------------------------------------------------------------------------------------- */

typedef struct file {
    fixture f;
    us_block block; /* 64-byte aligned */
    size_t n, n_cands;
    us_plancand *cands; /* in it */
} file;

static void file_begin(file *x)
{
    char path[512];
    us_buf b;
    us_planhead h;
    us_plan *p;
    size_t n;
    memset(x, 0, sizeof *x);
    begin(&x->f);
    us_test_tmp(path, sizeof path, "bad.plan");
    us_kernel_choice *c = take(&x->f, x->f.plan, 1, &n);
    CHECK_OK(&x->f.c, us_plan_vary(&x->f.c, x->f.plan, c, n, &p));
    CHECK_OK(&x->f.c, us_planfile_write(&x->f.c, p, path, NULL));
    us_plan_free(p);
    read_bytes(&x->f, path, &b);
    x->n = b.n;
    CHECK_OK(&x->f.c, us_block_get(&x->f.c, &x->block, b.n, 64, false));
    memcpy(x->block.p, b.p, b.n);
    us_buf_deinit(&b);
    memcpy(&h, x->block.p, sizeof h);
    x->n_cands = (size_t)h.n_choices;
    x->cands = (us_plancand *)(void *)((char *)x->block.p + h.choices_at);
}

static void file_end(file *x)
{
    us_block_put(&x->f.c.alloc, &x->block);
    fixture_end(&x->f);
}

static void refused(file *x, const char *words)
{
    us_plan *p;
    CHECK_ERR(us_planfile_parse(&x->f.c, "t", x->block.p, x->n, true, &p), US_FORMAT);
    if (!strstr(x->f.c.diag.text, words)) US_TEST_FAIL("%s", x->f.c.diag.text);
    CHECK(strstr(x->f.c.diag.text, "compile the model again") != NULL);
}

static void test_tune__choices_that_are_none(void)
{
    file x;
    us_plan *p;
    file_begin(&x);
    us_plancand *c = x.cands;
    size_t n_bytes = x.n_cands * sizeof *c;
    us_plancand *was = us_arena_alloc(x.f.a, 1, n_bytes, 8);
    memcpy(was, c, n_bytes);
    c[1].name[0] = 'X';
    refused(&x, "none of this step's");
    memcpy(c, was, n_bytes);
    us_plancand endless = was[0];
    memset(endless.name, 'a', sizeof endless.name);
    c[0] = endless;
    refused(&x, "without a name");
    memcpy(c, was, n_bytes);
    c[0].ns = (double)NAN;
    refused(&x, "without a name or a time");
    memcpy(c, was, n_bytes);
    c[0].ns = -1;
    refused(&x, "without a name or a time");
    memcpy(c, was, n_bytes);
    c[0].flags |= US_PLANCAND_CHOSEN; /* beside the second */
    refused(&x, "not one candidate");
    memcpy(c, was, n_bytes);
    c[1].flags &= ~(uint32_t)US_PLANCAND_CHOSEN;
    refused(&x, "not one candidate");
    memcpy(c, was, n_bytes);
    size_t best = 0;
    while (!(c[best].flags & US_PLANCAND_BEST))
        best++;
    c[best].flags ^= US_PLANCAND_BEST;
    c[best ? 0 : 1].flags ^= US_PLANCAND_BEST;
    refused(&x, "none of this step's");
    memcpy(c, was, n_bytes);
    for (size_t i = 0; i < x.n_cands; i++) /* a step that has no choice */
        if (was[i].row == was[0].row) c[i].row = 1000;
    refused(&x, "a choice for step 1000");
    memcpy(c, was, n_bytes);
    for (size_t i = 0; i < x.n_cands; i++)
        c[i].row = was[0].row;
    refused(&x, "a step"); /* of which several are chosen, or which has too many */
    memcpy(c, was, n_bytes);
    CHECK_OK(&x.f.c, us_planfile_parse(&x.f.c, "t", x.block.p, x.n, true, &p));
    us_plan_free(p);
    file_end(&x);
}

/* Whatever one bit of the candidates becomes: the sum finds it, and without the sum the plan is refused or runs. */
static void test_tune__every_bit_of_the_choices(void)
{
    file x;
    us_plan *p;
    float y[N_Y];
    file_begin(&x);
    uint8_t *at = (uint8_t *)x.cands;
    for (size_t i = 0; i < 8 * sizeof *x.cands * US_MIN(x.n_cands, (size_t)4); i++) {
        at[i / 8] ^= (uint8_t)(1U << i % 8);
        CHECK_ERR(us_planfile_parse(&x.f.c, "t", x.block.p, x.n, false, &p), US_FORMAT);
        us_err e = us_planfile_parse(&x.f.c, "t", x.block.p, x.n, true, &p);
        if (e == US_OK) {
            if (i % 7 == 0) run(&x.f, p, y);
            us_plan_free(p);
        } else if (e != US_FORMAT) {
            US_TEST_FAIL("bit %zu: %s", i, us_test_err_name(e));
        }
        at[i / 8] ^= (uint8_t)(1U << i % 8);
    }
    file_end(&x);
}

/* --- memory --------------------------------------------------------------------------------------- */

static const char small[] = "model ir=8 opset=17\n"
                            "graph main(x: float[2,4]) -> (y) {\n"
                            "  const w: float[4,3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}\n"
                            "  y = MatMul(x, w)\n"
                            "}\n";

static us_err vary_and_store(us_ctx *c, void *arg)
{
    us_plan *p, *q;
    const us_kernel_choice *all;
    us_kernel_choice one;
    double ns[US_CANDIDATES] = {1};
    us_model *m;
    US_TRY(us_model_parse(c, us_sv_of(small), &m));
    us_err made = us_plan_new(c, m, NULL, &p);
    if (made != US_OK) us_model_free(m);
    US_TRY(made);
    CHECK_EQ_U64(us_plan_choices(p, &all), 1);
    one = all[0];
    one.chosen = one.n - 1;
    one.ns = ns;
    us_err e = us_plan_vary(c, p, &one, 1, &q);
    if (e == US_OK) {
        e = us_planfile_write(c, q, arg, NULL);
        us_plan_free(q);
    }
    us_plan_free(p);
    US_TRY(e);
    US_TRY(us_planfile_read(c, arg, &p));
    us_plan_free(p);
    return US_OK;
}

static void test_tune__nomem(void)
{
    char path[512];
    us_test_tmp(path, sizeof path, "nomem.plan");
    us_torture_with("vary_and_store", vary_and_store, path, (us_torture_opts){.step = 7});
}

static const us_test_case cases[] = {
    US_CASE(test_tune__every_candidate_gives_the_results),
    US_CASE(test_tune__stored_and_made_again),
    US_CASE(test_tune__times_every_candidate),
    US_CASE(test_tune__nothing_to_choose),
    US_CASE(test_tune__wrong_inputs),
    US_CASE(test_tune__choices_that_are_none),
    US_CASE(test_tune__every_bit_of_the_choices),
    US_CASE(test_tune__nomem),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
