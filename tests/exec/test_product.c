/* Matrix products of operators as bound calls: every form against sums in double precision, with weights and without, as planned (fused)
 * and as they come, and the same bytes at 1, 2 and 3 threads.
 */
#include "exec_fixture.h"

#include <float.h>

#include "ir/op.h"

typedef struct form {
    const char *op; /* MatMul or Gemm */
    int64_t a[5], b[5];
    bool ta, tb, const_b;
    float alpha, beta;
    int64_t c[3]; /* -2: none */
} form;
#define NO_C                                                                                   \
    {                                                                                          \
        -2                                                                                     \
    }

static us_vid operand(us_builder *b, us_model *m, const char *name, const int64_t *dims,
                      bool constant, const us_value *v)
{
    int rank = 0;
    us_dim d[US_MAX_RANK];
    us_vid x;
    while (dims[rank] >= 0)
        rank++;
    if (constant) return us_b_const(b, NULL, US_F32, rank, dims, v->t.data);
    for (int i = 0; i < rank; i++)
        d[i] = US_DIM(dims[i]);
    us_type t = us_type_tensor(US_F32, rank, d);
    CHECK_OK(b->c, us_graph_add_input(b->c, m->main, us_sv_of(name), &t, &x));
    return x;
}

static us_err set_attrs(us_ctx *c, us_model *m, const form *f)
{
    us_nid n = m->main->order.at[m->main->order.n - 1];
    us_attr rows[] = {{.name = US_SV("alpha"), .kind = US_AT_FLOAT, .f = f->alpha},
                      {.name = US_SV("beta"), .kind = US_AT_FLOAT, .f = f->beta},
                      {.name = US_SV("transA"), .kind = US_AT_INT, .i = f->ta},
                      {.name = US_SV("transB"), .kind = US_AT_INT, .i = f->tb}};
    for (size_t i = 0; i < US_LEN(rows); i++)
        US_TRY(us_node_set_attr(c, m->main, n, &rows[i]));
    return US_OK;
}

typedef struct operands {
    us_value a, b, c;
} operands;

static us_model *model_for(us_ctx *c, const form *f, const operands *v)
{
    us_model *m;
    CHECK_OK(c, us_model_new(c, &m));
    us_builder b = us_b_begin(c, m->main, "t");
    us_vid x = operand(&b, m, "a", f->a, false, &v->a),
           w = operand(&b, m, "b", f->b, f->const_b, &v->b), y;
    if (f->c[0] != -2)
        y = us_b3(&b, f->op, x, w, operand(&b, m, "c", f->c, f->const_b, &v->c));
    else
        y = us_b2(&b, f->op, x, w);
    if (f->op[0] == 'G') CHECK_OK(c, set_attrs(c, m, f));
    us_b_name(&b, y, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, y));
    return m;
}

/* Runs it; the output is copied into the fixture's arena. */
static us_value run_form(fixture *f, const form *t, const operands *v, int threads,
                         bool no_passes)
{
    us_plan *p;
    us_session *s;
    us_pool *pool = NULL;
    us_value in[3] = {v->a}, y;
    size_t n = 1;
    if (!t->const_b) in[n++] = v->b;
    if (!t->const_b && t->c[0] != -2) in[n++] = v->c;
    if (threads > 1) CHECK_OK(&f->c, us_pool_new(&f->c, threads, &pool));
    f->c.pool = pool;
    us_plan_opts po = {.no_passes = no_passes};
    CHECK_OK(&f->c, us_plan_new(&f->c, model_for(&f->c, t, v), &po, &p));
    us_session_opts so = {.profile = true};
    CHECK_OK(&f->c, us_session_new(&f->c, p, &so, &s));
    CHECK_OK(&f->c, us_session_run(&f->c, s, in, &y));
    CHECK_OK(&f->c, us_session_run(&f->c, s, in, &y));
    const us_profile_row *rows;
    CHECK_EQ_U64(us_session_profile(s, &rows), 1);
    CHECK(rows[0].kernel && strstr(rows[0].kernel, "gemm"));
    us_value out = tensor_of(f, US_F32, DIMS(us_tensor_count(&y.t)), y.t.data);
    us_session_free(s);
    us_plan_free(p);
    us_pool_free(pool);
    f->c.pool = NULL;
    return out;
}

static int rank_of(const int64_t *d)
{
    int r = 0;
    while (d[r] >= 0)
        r++;
    return r;
}

/* Element i, j of item x (batches broadcast from the right, A's dims before the last two over B's). */
static void check_form(fixture *f, const form *t, const operands *v, const us_value *y)
{
    int ra = rank_of(t->a), rb = rank_of(t->b);
    int64_t m = t->a[ra - 2 + t->ta], k = t->a[ra - 1 - t->ta], n = t->b[rb - 1 - t->tb];
    int64_t na = us_tensor_count(&v->a.t) / (m * k), nb = us_tensor_count(&v->b.t) / (n * k);
    int64_t items = us_tensor_count(&y->t) / (m * n);
    (void)f;
    CHECK_EQ_I64(items, US_MAX(na, nb));
    for (int64_t x = 0; x < items; x++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                const float *a = f32_at(&v->a) + x % na * m * k,
                            *b = f32_at(&v->b) + x % nb * k * n;
                double sum = 0, sum_abs = 0, c = 0;
                for (int64_t p = 0; p < k; p++) {
                    double e = (double)a[t->ta ? p * m + i : i * k + p] *
                               (double)b[t->tb ? j * k + p : p * n + j];
                    sum += e;
                    sum_abs += fabs(e);
                }
                if (t->c[0] != -2) {
                    int64_t count = us_tensor_count(&v->c.t);
                    c = (double)t->beta * (double)f32_at(&v->c)[count == 1   ? 0
                                                                : count == n ? j
                                                                             : i * n + j];
                }
                double bound = ((double)k + 6) * (double)FLT_EPSILON *
                               (fabs((double)t->alpha) * sum_abs + fabs(c));
                CHECK_NEAR(f32_at(y)[(x * m + i) * n + j], (double)t->alpha * sum + c, bound);
            }
}

static const form forms[] = {
    {"MatMul", {130, 300, -1}, {300, 170, -1}, .const_b = true, .alpha = 1, .c = NO_C},
    {"MatMul", {3, 50, 200, -1}, {200, 130, -1}, .const_b = true, .alpha = 1, .c = NO_C},
    {"MatMul", {1, 600, -1}, {600, 1100, -1}, .const_b = true, .alpha = 1, .c = NO_C},
    {"MatMul", {4, 7, -1}, {7, 2, -1}, .const_b = true, .alpha = 1, .c = NO_C},
    {"MatMul", {130, 300, -1}, {300, 170, -1}, .alpha = 1, .c = NO_C},
    {"MatMul", {2, 5, 70, 40, -1}, {5, 40, 90, -1}, .alpha = 1, .c = NO_C},
    {"MatMul", {30, 20, 17, -1}, {30, 17, 33, -1}, .alpha = 1, .c = NO_C},
    {"MatMul", {1, 3, 5, -1}, {9, 5, 4, -1}, .alpha = 1, .c = NO_C},
    {"MatMul", {200, 130, 60, -1}, {1, 60, 90, -1}, .alpha = 1, .c = NO_C},
    {"Gemm",
     {130, 200, -1},
     {200, 170, -1},
     .const_b = true,
     .alpha = 1,
     .beta = 1,
     .c = {170, -1}},
    {"Gemm",
     {130, 200, -1},
     {170, 200, -1},
     .tb = true,
     .const_b = true,
     .alpha = -0.5F,
     .beta = 0.25F,
     .c = {1, 170}},
    {"Gemm", {13, 20, -1}, {20, 17, -1}, .const_b = true, .alpha = 2, .beta = 3, .c = {1, -1}},
    {"Gemm", {13, 20, -1}, {20, 17, -1}, .const_b = true, .alpha = 1, .beta = 1, .c = {13, 17}},
    {"Gemm",
     {20, 13, -1},
     {20, 17, -1},
     .ta = true,
     .const_b = true,
     .alpha = 1,
     .beta = 1,
     .c = {17, -1}},
    {"Gemm",
     {200, 130, -1},
     {170, 200, -1},
     .ta = true,
     .tb = true,
     .alpha = 0.5F,
     .beta = 2,
     .c = {130, 170}},
    {"Gemm", {60, 33, -1}, {60, 65, -1}, .ta = true, .alpha = 1, .beta = 1, .c = {65, -1}},
    {"Gemm", {33, 60, -1}, {65, 60, -1}, .tb = true, .alpha = 1, .c = NO_C},
};

static void test_products__every_form_as_defined_and_alike_at_any_number_of_threads(void)
{
    for (size_t i = 0; i < US_LEN(forms); i++) {
        fixture f;
        fixture_begin(&f);
        form t = forms[i];
        if (t.c[0] != -2) t.c[2] = -1;
        operands v = {random_f32(&f, t.a, 3 * i), random_f32(&f, t.b, 3 * i + 1)};
        if (t.c[0] != -2) v.c = random_f32(&f, t.c, 3 * i + 2);
        for (int no_passes = 0; no_passes < 2; no_passes++) {
            us_value one = run_form(&f, &t, &v, 1, no_passes);
            check_form(&f, &t, &v, &one);
            for (int n = 2; n < 4; n++) {
                us_value more = run_form(&f, &t, &v, n, no_passes);
                CHECK(memcmp(one.t.data, more.t.data, us_tensor_bytes(&one.t)) == 0);
            }
        }
        fixture_end(&f);
    }
}

/* What may follow a product p of 2 x 90 x 140; z has its shape. */
typedef us_vid after_fn(us_builder *b, us_vid p, us_vid z);
static us_vid residual_relu(us_builder *b, us_vid p, us_vid z)
{
    return us_b1(b, "Relu", us_b2(b, "Add", z, p));
}
static us_vid swish_times(us_builder *b, us_vid p, us_vid z)
{
    return us_b2(b, "Mul", us_b2(b, "Mul", us_b1(b, "Sigmoid", p), p), z);
}
static us_vid relu_tanh(us_builder *b, us_vid p, us_vid z)
{
    return us_b2(b, "Add", us_b1(b, "Tanh", us_b1(b, "Relu", p)), z);
}

typedef struct layer {
    us_value x, z, w, bias;
} layer;

static us_model *layer_model(us_ctx *c, const layer *v, after_fn *after)
{
    us_model *m;
    CHECK_OK(c, us_model_new(c, &m));
    us_builder b = us_b_begin(c, m->main, "t");
    us_vid a = operand(&b, m, "a", DIMS(2, 90, 120), false, NULL);
    us_vid z = operand(&b, m, "z", DIMS(2, 90, 140), false, NULL);
    us_vid w = us_b_const(&b, NULL, US_F32, 2, (int64_t[]){120, 140}, v->w.t.data);
    us_vid bias = us_b_const(&b, NULL, US_F32, 1, (int64_t[]){140}, v->bias.t.data);
    us_vid y = after(&b, us_b2(&b, "Add", us_b2(&b, "MatMul", a, w), bias), z);
    us_b_name(&b, y, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, y));
    return m;
}

static us_value run_layer(fixture *f, const layer *v, after_fn *after, us_pool *pool,
                          bool no_passes)
{
    us_plan *p;
    us_session *s;
    us_value out;
    const us_profile_row *rows;
    us_session_opts so = {.profile = true};
    f->c.pool = pool;
    us_plan_opts po = {.no_passes = no_passes};
    CHECK_OK(&f->c, us_plan_new(&f->c, layer_model(&f->c, v, after), &po, &p));
    CHECK_OK(&f->c, us_session_new(&f->c, p, &so, &s));
    CHECK_OK(&f->c, us_session_run(&f->c, s, (us_value[]){v->x, v->z}, &out));
    size_t n = us_session_profile(s, &rows);
    CHECK(no_passes ? n > 3 : n == 1);
    out = tensor_of(f, US_F32, DIMS(us_tensor_count(&out.t)), out.t.data);
    us_session_free(s);
    us_plan_free(p);
    f->c.pool = NULL;
    return out;
}

/* In parts for threads, too; the plain plan is the measure. */
static void test_products__what_follows_is_in_the_tile(void)
{
    static after_fn *const after[] = {residual_relu, swish_times, relu_tanh};
    for (size_t i = 0; i < US_LEN(after); i++) {
        fixture f;
        us_pool *pool;
        fixture_begin(&f);
        layer v = {random_f32(&f, DIMS(2, 90, 120), 1), random_f32(&f, DIMS(2, 90, 140), 2),
                   random_f32(&f, DIMS(120, 140), 3), random_f32(&f, DIMS(140), 4)};
        CHECK_OK(&f.c, us_pool_new(&f.c, 2, &pool));
        us_value plain = run_layer(&f, &v, after[i], NULL, true);
        us_value one = run_layer(&f, &v, after[i], NULL, false);
        us_value two = run_layer(&f, &v, after[i], pool, false);
        us_pool_free(pool);
        CHECK(memcmp(one.t.data, two.t.data, us_tensor_bytes(&one.t)) == 0);
        for (int64_t j = 0; j < us_tensor_count(&one.t); j++)
            CHECK_NEAR(f32_at(&one)[j], f32_at(&plain)[j], 1e-4);
        fixture_end(&f);
    }
}

static const us_test_case cases[] = {
    US_CASE(test_products__every_form_as_defined_and_alike_at_any_number_of_threads),
    US_CASE(test_products__what_follows_is_in_the_tile),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
