/* check_kernels - every row of kernel/levels.def against the definition, computed in double precision.
 *
 * The bound is the classical one: |err| <= (k + 4) * eps * sum |a||b| (Higham, "Accuracy and Stability of
 * Numerical Algorithms", 2002, section 3.5) times |alpha|, plus a few ulps of the beta term. Sizes lie
 * around the tile and block borders; guard values around C must survive; NaN and infinities must reach
 * exactly the rows and columns that they touch; splitting m and n must not change a bit.
 */
#include "levels.h"

#include <float.h>

#include "kernel/ref.h"

enum { GUARD = 17 };
#define GUARD_VALUE 12345.0F

typedef struct gemm_case {
    size_t m, n, k;
    bool ta, tb;
    float alpha, beta;
    size_t pad; /* added to leading dimensions */
} gemm_case;

typedef struct buffers {
    float *a, *b, *c, *c0;
    size_t lda, ldb, ldc, n_c;
} buffers;

static buffers make(const gemm_case *t, us_rng *r)
{
    buffers b = {.lda = (t->ta ? t->m : t->k) + t->pad,
                 .ldb = (t->tb ? t->k : t->n) + t->pad,
                 .ldc = t->n + t->pad};
    b.a = some_floats(r, (t->ta ? t->k : t->m) * b.lda);
    b.b = some_floats(r, (t->tb ? t->n : t->k) * b.ldb);
    b.n_c = t->m * b.ldc + 2 * GUARD;
    b.c = some_floats(r, b.n_c);
    for (size_t i = 0; i < b.n_c; i++) {
        bool inside = i >= GUARD && i < b.n_c - GUARD && (i - GUARD) % b.ldc < t->n;
        if (!inside) b.c[i] = GUARD_VALUE;
    }
    b.c0 = malloc(b.n_c * sizeof(float));
    memcpy(b.c0, b.c, b.n_c * sizeof(float));
    return b;
}

static void drop(buffers *b)
{
    free(b->a);
    free(b->b);
    free(b->c);
    free(b->c0);
}

static void run(const level *l, const gemm_case *t, buffers *b, size_t i0, size_t i1, size_t j0,
                size_t j1)
{
    us_gemm_args g = {.trans_a = t->ta,
                      .trans_b = t->tb,
                      .m = i1 - i0,
                      .n = j1 - j0,
                      .k = t->k,
                      .alpha = t->alpha,
                      .beta = t->beta,
                      .lda = b->lda,
                      .ldb = b->ldb,
                      .ldc = b->ldc};
    g.a = b->a + (t->ta ? i0 : i0 * b->lda);
    g.b = b->b + (t->tb ? j0 * b->ldb : j0);
    g.c = b->c + GUARD + i0 * b->ldc + j0;
    size_t bytes = l->k.f32_gemm_scratch(g.m, g.n, g.k);
    g.scratch = bytes ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL;
    l->k.f32_gemm(&g);
    free(g.scratch);
}

static float at_a(const gemm_case *t, const buffers *b, size_t i, size_t p)
{
    return t->ta ? b->a[p * b->lda + i] : b->a[i * b->lda + p];
}
static float at_b(const gemm_case *t, const buffers *b, size_t p, size_t j)
{
    return t->tb ? b->b[j * b->ldb + p] : b->b[p * b->ldb + j];
}

static void compare(const level *l, const gemm_case *t, const buffers *b)
{
    for (size_t x = 0; x < b->n_c; x++) {
        size_t at = x - GUARD;
        bool inside = x >= GUARD && x < b->n_c - GUARD && at % b->ldc < t->n;
        if (!inside) {
            CHECK(b->c[x] == GUARD_VALUE);
            continue;
        }
        size_t i = at / b->ldc, j = at % b->ldc;
        double sum = 0, sum_abs = 0;
        for (size_t p = 0; p < t->k; p++) {
            double v = (double)at_a(t, b, i, p) * (double)at_b(t, b, p, j);
            sum += v;
            sum_abs += fabs(v);
        }
        double old = t->beta == 0 ? 0 : (double)t->beta * (double)b->c0[x];
        double want = (double)t->alpha * sum + old;
        double bound = ((double)t->k + 4) * (double)FLT_EPSILON *
                           (fabs((double)t->alpha) * sum_abs + fabs(old)) +
                       1e-30;
        if (!(fabs((double)b->c[x] - want) <= bound))
            printf("# %s m=%zu n=%zu k=%zu ta=%d tb=%d at %zu,%zu: %g, expected %g\n", l->name,
                   t->m, t->n, t->k, t->ta, t->tb, i, j, (double)b->c[x], want);
        CHECK(fabs((double)b->c[x] - want) <= bound);
    }
}

/* A size from the interesting ones: 0, 1, around the tile, odd, past a block. */
static const size_t sizes_m[] = {0, 1, 2, 4, 5, 6, 7, 12, 13, 37, 121};
static const size_t sizes_n[] = {0, 1, 7, 8, 15, 16, 17, 31, 33, 65, 153};
static const size_t sizes_k[] = {0, 1, 2, 3, 8, 63, 320, 321, 645};
static const float scales[] = {1.0F, 0.0F, -0.5F};

static void check_level(const level *l)
{
    us_rng r = us_rng_new(1, "gemm", 0);
    for (size_t i = 0; i < US_LEN(sizes_m); i++)
        for (size_t j = 0; j < US_LEN(sizes_n); j++)
            for (size_t p = 0; p < US_LEN(sizes_k); p++) {
                size_t x = i + 2 * j + 3 * p;
                gemm_case t = {sizes_m[i],    sizes_n[j],
                               sizes_k[p],    x & 1,
                               x & 2,         scales[(x + 2) % 3 == 1 ? 0 : (x + 2) % 3],
                               scales[x % 3], x % 5 == 0 ? 3 : 0};
                buffers b = make(&t, &r);
                run(l, &t, &b, 0, t.m, 0, t.n);
                compare(l, &t, &b);
                drop(&b);
            }
}

static void test_gemm__sizes_around_tiles(void)
{
    each_level(check_level);
}

static void check_specials(const level *l)
{
    us_rng r = us_rng_new(2, "gemm", 0);
    gemm_case t = {13, 19, 37, false, false, 1, 0, 0};
    buffers b = make(&t, &r);
    b.a[5 * b.lda + 3] = NAN;       /* row 5 */
    b.b[7 * b.ldb + 18] = INFINITY; /* column 18, the last of an edge tile */
    for (size_t x = GUARD; x < b.n_c - GUARD; x++)
        b.c[x] = NAN; /* beta 0 must not read it */
    run(l, &t, &b, 0, t.m, 0, t.n);
    for (size_t i = 0; i < t.m; i++)
        for (size_t j = 0; j < t.n; j++) {
            float y = b.c[GUARD + i * b.ldc + j];
            if (i == 5)
                CHECK(isnan(y));
            else if (j == 18)
                CHECK(isinf(y));
            else
                CHECK(isfinite(y));
        }
    drop(&b);
}
static void test_gemm__nan_and_infinity_stay_in_their_rows(void)
{
    each_level(check_specials);
}

static void check_split(const level *l)
{
    us_rng r = us_rng_new(3, "gemm", 0);
    gemm_case t = {29, 41, 700, false, true, 1, 0.5F, 2};
    buffers b = make(&t, &r);
    run(l, &t, &b, 0, t.m, 0, t.n);
    float *whole = malloc(b.n_c * sizeof(float));
    memcpy(whole, b.c, b.n_c * sizeof(float));
    memcpy(b.c, b.c0, b.n_c * sizeof(float));
    size_t cut_m[] = {0, 1, 8, 21, 29}, cut_n[] = {0, 17, 40, 41};
    for (size_t i = 0; i + 1 < US_LEN(cut_m); i++)
        for (size_t j = 0; j + 1 < US_LEN(cut_n); j++)
            run(l, &t, &b, cut_m[i], cut_m[i + 1], cut_n[j], cut_n[j + 1]);
    CHECK(memcmp(whole, b.c, b.n_c * sizeof(float)) == 0);
    free(whole);
    drop(&b);
}
static void test_gemm__splitting_rows_and_columns_changes_no_bit(void)
{
    each_level(check_split);
}

static void check_scratch(const level *l)
{
    for (size_t n = 1; n < 300; n += 37)
        for (size_t k = 1; k < 3000; k += 499)
            for (size_t m = 1, last = 0; m < 700; m++) {
                size_t now = l->k.f32_gemm_scratch(m, n, k);
                CHECK(now >= last && now >= l->k.f32_gemm_scratch(m, (n + 1) / 2, k));
                last = now;
            }
}
static void test_gemm__scratch_is_enough_for_fewer_rows_and_columns(void)
{
    each_level(check_scratch);
}

static void test_cpu_mask__limits_and_refuses(void)
{
    us_ctx c;
    us_ctx_init(&c);
    unsigned f = ~0u;
    for (size_t i = US_LEN(levels); i-- > 0;) {
        CHECK(us_cpu_mask(&c, "sse9", &f) == US_ARG);
        CHECK(us_cpu_mask(&c, levels[i].name, &f) == US_OK);
        CHECK(f == levels[i].k.cpu);
        CHECK(strcmp(us_cpu_level(f), levels[i].name) == 0);
    }
    CHECK(f == 0);
    us_kernels k;
    us_kernels_init(&k, 0);
    CHECK(strcmp(k.f32_gemm_name, "us_f32_gemm__ref") == 0);
    us_ctx_deinit(&c);
}

static void test_elementwise__integers_never_trap(void)
{
    int32_t a[] = {INT32_MIN, 7, -7, 5}, b[] = {-1, 0, 3, -3}, y[4];
    us_ref_binary(US_BIN_DIV, US_I32)(y, a, b, 4, 1, 1);
    CHECK(y[0] == INT32_MIN && y[1] == 0 && y[2] == -2 && y[3] == -1);
    us_ref_binary(US_BIN_MOD, US_I32)(y, a, b, 4, 1, 1);
    CHECK(y[0] == 0 && y[1] == 0 && y[2] == 2 && y[3] == -1);
    us_ref_binary(US_BIN_FMOD, US_I32)(y, a, b, 4, 1, 1);
    CHECK(y[0] == 0 && y[1] == 0 && y[2] == -1 && y[3] == 2);
    us_ref_binary(US_BIN_ADD, US_I32)(y, a, a, 1, 1, 1);
    CHECK(y[0] == 0);
    us_ref_unary(US_UN_ABS, US_I32)(y, a, 3, 1, NULL);
    CHECK(y[0] == INT32_MIN && y[2] == 7);
}

static void test_elementwise__strides_and_nan(void)
{
    float a[] = {1, -2, NAN, 4, -0.0F, INFINITY}, b = 2, y[6];
    us_ref_binary(US_BIN_MUL, US_F32)(y, a, &b, 3, 2, 0);
    CHECK(y[0] == 2 && isnan(y[1]) && y[2] == 0);
    us_ref_binary(US_BIN_MAX, US_F32)(y, a, &b, 6, 1, 0);
    CHECK(y[0] == 2 && y[1] == 2 && isnan(y[2]) && y[3] == 4 && isinf(y[5]));
    us_ref_unary(US_UN_RELU, US_F32)(y, a, 6, 1, NULL);
    CHECK(y[1] == 0 && isnan(y[2]) && isinf(y[5]));
    us_ref_unary(US_UN_SIGMOID, US_F32)(y, a, 6, 1, NULL);
    CHECK(y[5] == 1 && isnan(y[2]) && y[4] == 0.5F);
    float big[] = {1000, -1000};
    us_ref_unary(US_UN_SOFTPLUS, US_F32)(y, big, 2, 1, NULL);
    CHECK(y[0] == 1000 && y[1] == 0);
    us_ref_unary(US_UN_SIGN, US_F32)(y, a, 6, 1, NULL);
    CHECK(y[0] == 1 && y[1] == -1 && isnan(y[2]) && y[5] == 1);
}

static const us_test_case cases[] = {
    US_CASE(test_gemm__sizes_around_tiles),
    US_CASE(test_gemm__nan_and_infinity_stay_in_their_rows),
    US_CASE(test_gemm__splitting_rows_and_columns_changes_no_bit),
    US_CASE(test_gemm__scratch_is_enough_for_fewer_rows_and_columns),
    US_CASE(test_cpu_mask__limits_and_refuses),
    US_CASE(test_elementwise__integers_never_trap),
    US_CASE(test_elementwise__strides_and_nan),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
