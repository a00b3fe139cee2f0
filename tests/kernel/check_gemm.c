/* check_gemm - products by packed weights, every level of kernel/levels.def against sums in double precision.
 *
 * The bound is Higham's ("Accuracy and Stability of Numerical Algorithms", 2002, section 3.5): |err| <= (k + 4) eps times the
 * sum of absolute terms, bias and residual among them. Weights come by rows and by columns, scaled or not. C, A, the
 * residual and the bias end where their memory ends (a sanitizer sees one float too many), C has guard values before it and behind its rows;
 * NaN and infinities reach exactly their rows and columns; a split of M and N changes no bit.
 */
#include "levels.h"

#include <float.h>

enum { GUARD = 17 };
#define GUARD_VALUE 12345.0F

typedef struct gemm_case {
    size_t m, n, k, pad; /* pad: added to leading dimensions */
    bool trans, bias, res, in_place;
    float scale, lo, hi;
} gemm_case;

typedef struct buffers {
    float *a, *b, *bias, *res, *w, *c, *own;
    size_t lda, ldb, ldc, n_c;
} buffers;

/* Floats that a matrix takes up: the last row has no padding behind it. */
static size_t spread(size_t rows, size_t cols, size_t ld)
{
    return rows && cols ? (rows - 1) * ld + cols : 0;
}

static buffers make(const us_gemm_kernels *k, const gemm_case *t, us_rng *r)
{
    buffers b = {
        .lda = t->k + t->pad, .ldb = (t->trans ? t->k : t->n) + t->pad, .ldc = t->n + t->pad};
    b.a = some_floats(r, spread(t->m, t->k, b.lda));
    b.b = some_floats(r, spread(t->trans ? t->n : t->k, t->trans ? t->k : t->n, b.ldb));
    b.bias = some_floats(r, t->n);
    size_t n_own = spread(t->m, t->n, b.ldc);
    b.n_c = n_own + GUARD;
    b.c = malloc(b.n_c * sizeof(float));
    for (size_t i = 0; i < b.n_c; i++)
        b.c[i] = GUARD_VALUE;
    b.own = some_floats(r, n_own);
    b.res = b.own;
    if (t->in_place) b.res = b.c + GUARD;
    for (size_t i = 0; i < t->m && t->in_place; i++)
        for (size_t j = 0; j < t->n; j++)
            b.res[i * b.ldc + j] = b.own[i * b.ldc + j];
    size_t bytes;
    CHECK(us_gemm_pack_bytes(&k->layout, t->n, t->k, &bytes));
    b.w = aligned_alloc(64, (bytes + 64) / 64 * 64);
    us_gemm_weights w = {
        .n = t->n, .k = t->k, .b = b.b, .ldb = b.ldb, .trans = t->trans, .scale = t->scale};
    us_gemm_pack(&k->layout, &w, b.w);
    float *own = aligned_alloc(64, (bytes + 64) / 64 * 64);
    k->pack(&w, own);
    CHECK(memcmp(own, b.w, bytes) == 0);
    free(own);
    return b;
}

static void drop(buffers *b)
{
    free(b->a);
    free(b->b);
    free(b->bias);
    free(b->own);
    free(b->w);
    free(b->c);
}

/* Rows [i0, i1) and columns [j0, j1) of the product. */
static void run(const us_gemm_kernels *k, const gemm_case *t, const buffers *b, size_t i0,
                size_t i1, size_t j0, size_t j1, us_gemm_tail_fn *tail, void *arg)
{
    size_t bytes = k->scratch(i1 - i0, j1 - j0, t->k);
    us_pgemm_args g = {.m = i1 - i0,
                       .n = t->n,
                       .k = t->k,
                       .j0 = j0,
                       .j1 = j1,
                       .a = b->a + i0 * b->lda,
                       .lda = b->lda,
                       .w = b->w,
                       .bias = t->bias ? b->bias : NULL,
                       .res = t->res ? b->res + i0 * b->ldc : NULL,
                       .ldres = b->ldc,
                       .lo = t->lo,
                       .hi = t->hi,
                       .c = b->c + GUARD + i0 * b->ldc,
                       .ldc = b->ldc,
                       .tail = tail,
                       .tail_arg = arg,
                       .scratch = bytes ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL};
    k->run(&g);
    free(g.scratch);
}

static double wanted(const gemm_case *t, const buffers *b, size_t i, size_t j, double *bound)
{
    double sum = t->bias ? (double)b->bias[j] : 0, sum_abs = fabs(sum);
    for (size_t p = 0; p < t->k; p++) {
        float w = t->trans ? b->b[j * b->ldb + p] : b->b[p * b->ldb + j];
        double v = (double)b->a[i * b->lda + p] * (double)w * (double)t->scale;
        sum += v;
        sum_abs += fabs(v);
    }
    if (t->res) {
        sum += (double)b->own[i * b->ldc + j];
        sum_abs += fabs((double)b->own[i * b->ldc + j]);
    }
    *bound = ((double)t->k + 4) * (double)FLT_EPSILON * sum_abs;
    return fmin(fmax(sum, (double)t->lo), (double)t->hi);
}

static void compare(const us_gemm_kernels *k, const gemm_case *t, const buffers *b)
{
    for (size_t x = 0; x < b->n_c; x++) {
        if (x < GUARD || (x - GUARD) % b->ldc >= t->n) {
            CHECK(b->c[x] == GUARD_VALUE);
            continue;
        }
        size_t i = (x - GUARD) / b->ldc, j = (x - GUARD) % b->ldc;
        double bound, want = wanted(t, b, i, j, &bound);
        if (!(fabs((double)b->c[x] - want) <= bound))
            printf("# %s m=%zu n=%zu k=%zu at %zu,%zu: %g, expected %g\n", k->name, t->m, t->n,
                   t->k, i, j, (double)b->c[x], want);
        CHECK(fabs((double)b->c[x] - want) <= bound);
    }
}

static void check_sizes(const level *l)
{
    const us_gemm_kernels *k = l->k.gemm;
    static const size_t ms[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 29, 61};
    static const size_t ns[] = {0,  1,  2,  4,  5,  8,  15, 16,  17,  31, 32,
                                33, 48, 49, 64, 65, 96, 97, 128, 145, 300};
    static const size_t ks[] = {0, 1, 2, 3, 4, 5, 8, 17, 64, 67};
    us_rng r = us_rng_new(1, "pgemm", 0);
    for (size_t i = 0; i < US_LEN(ms); i++)
        for (size_t j = 0; j < US_LEN(ns); j++)
            for (size_t p = 0; p < US_LEN(ks); p++) {
                size_t x = i + 3 * j + 7 * p;
                gemm_case t = {.m = ms[i],
                               .n = ns[j],
                               .k = ks[p],
                               .pad = x % 5 == 0 ? 3 : 0,
                               .trans = x & 1,
                               .bias = x & 2,
                               .res = x & 4,
                               .in_place = x & 8,
                               .scale = x % 3 == 0 ? -0.5F : 1.0F,
                               .lo = x % 7 == 0 ? 0.0F : -INFINITY,
                               .hi = x % 11 == 0 ? 0.75F : INFINITY};
                buffers b = make(k, &t, &r);
                run(k, &t, &b, 0, t.m, 0, t.n, NULL, NULL);
                compare(k, &t, &b);
                drop(&b);
            }
}
static void test_pgemm__sizes_around_tiles(void)
{
    each_level(check_sizes);
}

/* Past the blocks of every level, where sums are carried on and rows may be copied. */
static void check_blocks(const level *l)
{
    const us_gemm_kernels *k = l->k.gemm;
    static const size_t sizes[][3] = {{1, 130, 1500}, {15, 40, 1025}, {70, 33, 2048},
                                      {300, 65, 600}, {40, 700, 512}, {29, 16, 1300}};
    us_rng r = us_rng_new(2, "pgemm", 0);
    for (size_t i = 0; i < 2 * US_LEN(sizes); i++) {
        const size_t *s = sizes[i / 2];
        gemm_case t = {.m = s[0],
                       .n = s[1],
                       .k = s[2],
                       .bias = true,
                       .res = true,
                       .in_place = i & 1,
                       .trans = i & 1,
                       .scale = 1,
                       .lo = -3,
                       .hi = 3};
        buffers b = make(k, &t, &r);
        run(k, &t, &b, 0, t.m, 0, t.n, NULL, NULL);
        compare(k, &t, &b);
        drop(&b);
    }
}
static void test_pgemm__past_the_blocks(void)
{
    each_level(check_blocks);
}

/* NaN in row 5 of A, infinity in the weights of the last column. */
static void check_specials(const level *l)
{
    const us_gemm_kernels *k = l->k.gemm;
    static const size_t ns[] = {1, 3, 19, 32, 50, 100};
    us_rng r = us_rng_new(3, "pgemm", 0);
    for (size_t s = 0; s < US_LEN(ns); s++) {
        gemm_case t = {.m = 13, .n = ns[s], .k = 37, .scale = 1, .lo = -1e30F, .hi = INFINITY};
        buffers b = make(k, &t, &r);
        b.a[5 * b.lda + 3] = NAN;
        b.b[7 * b.ldb + t.n - 1] = INFINITY;
        us_gemm_pack(&k->layout,
                     &(us_gemm_weights){.n = t.n, .k = t.k, .b = b.b, .ldb = b.ldb, .scale = 1},
                     b.w);
        run(k, &t, &b, 0, t.m, 0, t.n, NULL, NULL);
        for (size_t i = 0; i < t.m; i++)
            for (size_t j = 0; j < t.n; j++) {
                float y = b.c[GUARD + i * b.ldc + j];
                if (i == 5)
                    CHECK(isnan(y));
                else if (j == t.n - 1)
                    CHECK(b.a[i * b.lda + 7] > 0 ? y == INFINITY : y == -1e30F);
                else
                    CHECK(isfinite(y));
            }
        drop(&b);
    }
}
static void test_pgemm__nan_and_infinity_stay_in_their_rows(void)
{
    each_level(check_specials);
}

static void check_split(const level *l)
{
    const us_gemm_kernels *k = l->k.gemm;
    static const size_t ns[] = {3, 12, 30, 141};
    us_rng r = us_rng_new(4, "pgemm", 0);
    for (size_t s = 0; s < US_LEN(ns); s++) {
        gemm_case t = {.m = 47,
                       .n = ns[s],
                       .k = 1030,
                       .bias = true,
                       .res = true,
                       .scale = 1,
                       .lo = -5,
                       .hi = INFINITY};
        buffers b = make(k, &t, &r);
        run(k, &t, &b, 0, t.m, 0, t.n, NULL, NULL);
        float *whole = malloc(b.n_c * sizeof(float));
        memcpy(whole, b.c, b.n_c * sizeof(float));
        for (size_t i = GUARD; i < b.n_c; i++)
            b.c[i] = -1;
        size_t cut_m[] = {0, 1, 3, 8, 21, 47};
        for (size_t i = 0; i + 1 < US_LEN(cut_m); i++)
            for (size_t j = 0; j < t.n;) {
                size_t to = t.n <= k->layout.thin
                                ? t.n
                                : US_MIN(t.n, j + (1 + (i + j) % 3) * k->layout.nr);
                run(k, &t, &b, cut_m[i], cut_m[i + 1], j, to, NULL, NULL);
                j = to;
            }
        CHECK(memcmp(whole, b.c, b.n_c * sizeof(float)) == 0);
        free(whole);
        drop(&b);
    }
}
static void test_pgemm__splitting_rows_and_panels_changes_no_bit(void)
{
    each_level(check_split);
}

typedef struct seen {
    size_t n;
    unsigned char *count;
    bool too_large;
} seen;

static void see(void *arg, size_t i0, size_t rows, size_t j0, size_t cols, float *c, size_t ldc)
{
    seen *s = arg;
    s->too_large = s->too_large || rows * cols > US_GEMM_PIECE;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            s->count[(i0 + i) * s->n + j0 + j]++;
            c[i * ldc + j] *= 2;
        }
}

static void check_tail(const level *l)
{
    const us_gemm_kernels *k = l->k.gemm;
    static const size_t sizes[][3] = {
        {1, 1, 20}, {1, 300, 64}, {3, 150, 9}, {33, 90, 1100}, {300, 20, 70}};
    us_rng r = us_rng_new(5, "pgemm", 0);
    for (size_t x = 0; x < US_LEN(sizes); x++) {
        const size_t *z = sizes[x];
        gemm_case t = {
            .m = z[0], .n = z[1], .k = z[2], .scale = 1, .lo = -INFINITY, .hi = INFINITY};
        buffers b = make(k, &t, &r);
        run(k, &t, &b, 0, t.m, 0, t.n, NULL, NULL);
        float *whole = malloc(b.n_c * sizeof(float));
        memcpy(whole, b.c, b.n_c * sizeof(float));
        seen s = {.n = t.n, .count = calloc(t.m * t.n, 1)};
        run(k, &t, &b, 0, t.m, 0, t.n, see, &s);
        CHECK(!s.too_large);
        for (size_t i = 0; i < t.m * t.n; i++) {
            CHECK_EQ_I64(s.count[i], 1);
            size_t at = GUARD + i / t.n * b.ldc + i % t.n;
            CHECK(b.c[at] == 2 * whole[at]);
        }
        free(s.count);
        free(whole);
        drop(&b);
    }
}
static void test_pgemm__the_tail_sees_each_element_once_when_it_is_done(void)
{
    each_level(check_tail);
}

static void check_scratch(const level *l)
{
    const us_gemm_kernels *k = l->k.gemm;
    for (size_t n = 0; n < 300; n += 37)
        for (size_t kk = 0; kk < 3000; kk += 499)
            for (size_t m = 1, last = 0; m < 700; m++) {
                size_t now = k->scratch(m, n, kk);
                CHECK(now >= last && now >= k->scratch(m, n / 2, kk));
                last = now;
            }
}
static void test_pgemm__scratch_is_enough_for_fewer_rows_and_columns(void)
{
    each_level(check_scratch);
}

static void test_pack__a_size_past_all_bounds_is_refused(void)
{
    size_t bytes = 7;
    us_gemm_layout l = {.nr = 32, .vw = 16, .thin = 4};
    CHECK(!us_gemm_pack_bytes(&l, SIZE_MAX / 8, 16, &bytes));
    CHECK(!us_gemm_pack_bytes(&l, SIZE_MAX, 1, &bytes));
    CHECK(!us_gemm_pack_bytes(&l, 3, SIZE_MAX - 3, &bytes));
    CHECK(us_gemm_pack_bytes(&l, 33, 10, &bytes));
    CHECK_EQ_U64(bytes, 48 * 10 * 4);
    CHECK(us_gemm_pack_bytes(&l, 3, 10, &bytes));
    CHECK_EQ_U64(bytes, 3 * 16 * 4);
}

static const us_test_case cases[] = {
    US_CASE(test_pgemm__sizes_around_tiles),
    US_CASE(test_pgemm__past_the_blocks),
    US_CASE(test_pgemm__nan_and_infinity_stay_in_their_rows),
    US_CASE(test_pgemm__splitting_rows_and_panels_changes_no_bit),
    US_CASE(test_pgemm__the_tail_sees_each_element_once_when_it_is_done),
    US_CASE(test_pgemm__scratch_is_enough_for_fewer_rows_and_columns),
    US_CASE(test_pack__a_size_past_all_bounds_is_refused),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
