/* check_rows - rows and moves: every level against the definition in double precision, at sizes around vectors, in guarded buffers. */
#include "levels.h"

#include "kernel/move.h"
#include "kernel/rows.h"

enum { GUARD = 32 };
#define GUARD_VALUE 12345.0F
static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129, 300};

/* n floats between guards. */
static float *guarded(size_t n)
{
    float *p = malloc((n + 2 * GUARD) * sizeof *p);
    for (size_t i = 0; i < n + 2 * GUARD; i++)
        p[i] = GUARD_VALUE;
    return p + GUARD;
}
static void release(float *p, size_t n)
{
    for (size_t i = 0; i < GUARD; i++)
        CHECK(p[-1 - (ptrdiff_t)i] == GUARD_VALUE && p[n + i] == GUARD_VALUE);
    free(p - GUARD);
}
static float *random_floats(us_rng *r, size_t n, float scale)
{
    float *p = guarded(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (us_rng_f32(r) - 0.5F) * scale;
    return p;
}

/* --- softmax ------------------------------------------------------------------------------------------ */

static void check_softmax_of(const level *l, us_rng *r, size_t rows, size_t n, size_t inner,
                             bool logarithm, bool in_place)
{
    size_t all = rows * n * inner;
    float *x = random_floats(r, all, 30), *y = guarded(all), *keep = malloc(all * sizeof *keep);
    memcpy(keep, x, all * sizeof *keep);
    us_softmax_args a = {.rows = rows,
                         .n = n,
                         .inner = inner,
                         .j1 = inner,
                         .logarithm = logarithm,
                         .x = x,
                         .y = in_place ? x : y};
    l->k.rows->softmax(&a);
    for (size_t o = 0; o < rows; o++)
        for (size_t j = 0; j < inner; j++) {
            const float *from = keep + o * n * inner + j, *to = a.y + o * n * inner + j;
            double top = -(double)INFINITY, sum = 0;
            for (size_t i = 0; i < n; i++)
                top = fmax(top, (double)from[i * inner]);
            for (size_t i = 0; i < n; i++)
                sum += exp((double)from[i * inner] - top);
            for (size_t i = 0; i < n; i++) {
                double d = (double)from[i * inner] - top;
                double want = logarithm ? d - log(sum) : exp(d) / sum;
                CHECK_NEAR(to[i * inner], want,
                           2e-6 * (fabs(want) + (logarithm ? 1 : 0)) + 1e-44);
            }
        }
    release(x, all);
    release(y, all);
    free(keep);
}
static void check_softmax(const level *l)
{
    us_rng r = us_rng_new(1, "rows", 0);
    for (size_t i = 0; i < US_LEN(sizes); i++) {
        check_softmax_of(l, &r, 3, sizes[i], 1, i & 1, i & 2);
        check_softmax_of(l, &r, 2, 1 + i % 5, sizes[i], i & 1, i & 2);
    }
}
static void test_softmax__along_and_across(void)
{
    each_level(check_softmax);
}

static void check_softmax_specials(const level *l)
{
    float x[40], y[40];
    us_softmax_args a = {.rows = 1, .n = 40, .inner = 1, .j1 = 1, .x = x, .y = y};
    for (int i = 0; i < 40; i++)
        x[i] = i == 37 ? 1000 : -INFINITY;
    l->k.rows->softmax(&a);
    CHECK(y[37] == 1 && y[0] == 0 && y[39] == 0);
    x[3] = NAN;
    l->k.rows->softmax(&a);
    CHECK(isnan(y[0]) && isnan(y[37]));
    x[3] = INFINITY;
    l->k.rows->softmax(&a);
    CHECK(isnan(y[3]));
}
static void test_softmax__infinities_and_nan(void)
{
    each_level(check_softmax_specials);
}

/* Columns may be done in parts. */
static void check_softmax_split(const level *l)
{
    enum { N = 5, INNER = 77 };
    us_rng r = us_rng_new(2, "rows", 0);
    float *x = random_floats(&r, N * INNER, 9), y[N * INNER], z[N * INNER];
    us_softmax_args a = {.rows = 1, .n = N, .inner = INNER, .j1 = INNER, .x = x, .y = y};
    l->k.rows->softmax(&a);
    size_t cuts[] = {0, 1, 20, 64, 77};
    for (size_t i = 0; i + 1 < US_LEN(cuts); i++) {
        a.y = z;
        a.j0 = cuts[i];
        a.j1 = cuts[i + 1];
        l->k.rows->softmax(&a);
    }
    CHECK(memcmp(y, z, sizeof y) == 0);
    release(x, N * INNER);
}
static void test_softmax__splitting_columns_changes_no_bit(void)
{
    each_level(check_softmax_split);
}

/* --- scores ------------------------------------------------------------------------------------------- */

/* kind: bits for one or two addends, a range of keys per row, a sink. */
static void check_scores_of(const level *l, us_rng *r, size_t rows, size_t n, unsigned kind)
{
    size_t ld = n + kind % 3, all = rows * ld, begin[4], end[4];
    float *s = random_floats(r, all, 20), *x = random_floats(r, rows * n, 4),
          *y = random_floats(r, n, 4), *inverse = guarded(rows), sink = 1.5F;
    double *want = malloc(all * sizeof *want);
    for (size_t i = 0; i < rows; i++) {
        begin[i] = i * 3 % (n + 1);
        end[i] = i == 2 ? begin[i] : n - i % n;
    }
    us_scores_args a = {.rows = rows, .n = n, .ld = ld, .s = s, .scale = 0.25F};
    a.add[0] = kind & 3 ? x : NULL;
    a.add[1] = kind & 2 ? y : NULL;
    a.add_row[0] = n;
    a.begin = kind & 4 ? begin : NULL;
    a.end = kind & 4 ? end : NULL;
    a.sink = kind & 8 ? &sink : NULL;
    a.inverse = inverse;
    for (size_t i = 0; i < all; i++)
        want[i] = (double)s[i];
    for (size_t i = 0; i < rows; i++) {
        size_t lo = a.begin ? begin[i] : 0, hi = a.end ? end[i] : n;
        double *w = want + i * ld, top = a.sink ? (double)sink : -(double)INFINITY, sum;
        for (size_t j = lo; j < hi; j++) {
            w[j] = 0.25 * w[j] + (a.add[0] ? (double)x[i * n + j] : 0) +
                   (a.add[1] ? (double)y[j] : 0);
            top = fmax(top, w[j]);
        }
        sum = a.sink ? exp((double)sink - top) : 0;
        for (size_t j = 0; j < n; j++) {
            w[j] = j >= lo && j < hi ? exp(w[j] - top) : 0;
            sum += w[j];
        }
        if (lo >= hi) sum = HUGE_VAL;
        a.inverse[i] = (float)(1 / sum); /* compared below */
    }
    float *made = guarded(rows);
    a.inverse = made;
    l->k.rows->scores(&a);
    for (size_t i = 0; i < all; i++)
        CHECK_NEAR(s[i], want[i], i % ld < n ? 2e-6 * want[i] + 1e-30 : 0);
    for (size_t i = 0; i < rows; i++)
        CHECK_NEAR(made[i], (double)inverse[i], 2e-6 * (double)inverse[i]);
    l->k.rows->scale(rows, n, s, ld, made);
    for (size_t i = 0; i < all; i++)
        if (i % ld < n)
            CHECK_NEAR(s[i], want[i] * (double)inverse[i / ld], 4e-6 * want[i] + 1e-30);
    release(s, all);
    release(x, rows * n);
    release(y, n);
    release(inverse, rows);
    release(made, rows);
    free(want);
}
static void check_scores(const level *l)
{
    us_rng r = us_rng_new(5, "rows", 0);
    for (size_t i = 0; i < US_LEN(sizes); i++)
        for (unsigned kind = 0; kind < 16; kind++)
            check_scores_of(l, &r, 1 + i % 4, sizes[i], kind);
}
static void test_scores__addends_ranges_and_sinks(void)
{
    each_level(check_scores);
}

static void check_scores_specials(const level *l)
{
    enum { N = 37 };
    float s[N], inverse;
    us_scores_args a = {
        .rows = 1, .n = N, .ld = N, .s = s, .scale = 1, .zeros = true, .inverse = &inverse};
    for (int i = 0; i < N; i++)
        s[i] = -INFINITY;
    l->k.rows->scores(&a);
    CHECK(inverse == 0 && s[0] == 0 && s[N - 1] == 0);
    for (int i = 0; i < N; i++)
        s[i] = i == 20 ? -3e38F : -INFINITY;
    l->k.rows->scores(&a);
    CHECK(inverse == 1 && s[20] == 1 && s[0] == 0 && s[N - 1] == 0);
    for (int zeros = 0; zeros < 2; zeros++) {
        a.zeros = zeros != 0;
        for (int i = 0; i < N; i++)
            s[i] = i == 36 && zeros ? NAN : -INFINITY; /* no key, or one that is no number */
        l->k.rows->scores(&a);
        CHECK(isnan(inverse));
        CHECK(isnan(s[36]));
    }
}
static void test_scores__infinities_and_nan(void)
{
    each_level(check_scores_specials);
}

/* --- normalisation ------------------------------------------------------------------------------------ */

static void check_norm_of(const level *l, us_rng *r, size_t rows, size_t n, int kind)
{
    float *x = random_floats(r, rows * n, 4), *y = guarded(rows * n),
          *s = random_floats(r, n, 2), *b = random_floats(r, n, 2), *mean = guarded(rows),
          *inv = guarded(rows);
    for (size_t i = 0; i < rows * n; i++)
        x[i] += 100; /* where the difference of two sums would fail */
    us_norm_args a = {.rows = rows,
                      .n = n,
                      .centre = kind != 1,
                      .epsilon = 1e-5F,
                      .x = x,
                      .scale = kind >= 2 ? NULL : s,
                      .bias = kind == 0 ? b : NULL,
                      .y = y,
                      .mean = mean,
                      .inverse = inv};
    if (kind == 3) { /* numbers per row, of two channels */
        a.row_scale = s;
        a.row_bias = b;
        a.first = 1;
        a.period = 2;
    }
    l->k.rows->norm(&a);
    for (size_t o = 0; o < rows; o++) {
        double mu = 0, var = 0;
        for (size_t i = 0; a.centre && i < n; i++)
            mu += (double)x[o * n + i] / (double)n;
        for (size_t i = 0; i < n; i++)
            var += ((double)x[o * n + i] - mu) * ((double)x[o * n + i] - mu) / (double)n;
        double inverse = 1 / sqrt(var + (double)a.epsilon);
        CHECK_NEAR(mean[o], mu, 1e-4);
        CHECK_NEAR(inv[o], inverse, 2e-4 * inverse);
        for (size_t i = 0; i < n; i++) {
            double v = ((double)x[o * n + i] - mu) * inverse;
            if (a.scale) v *= (double)s[i];
            if (a.bias) v += (double)b[i];
            if (kind == 3) v = v * (double)s[(1 + o) % 2] + (double)b[(1 + o) % 2];
            CHECK_NEAR(y[o * n + i], v, n == 1 ? 1e-2 : 2e-4);
        }
    }
    release(x, rows * n);
    release(y, rows * n);
    release(s, n);
    release(b, n);
    release(mean, rows);
    release(inv, rows);
}
static void check_norm(const level *l)
{
    us_rng r = us_rng_new(3, "rows", 0);
    for (size_t i = 1; i < US_LEN(sizes); i++)
        for (int kind = 0; kind < 4; kind++)
            check_norm_of(l, &r, 3, sizes[i], kind);
}
static void test_norm__sizes_and_parts_left_out(void)
{
    each_level(check_norm);
}

/* --- reductions --------------------------------------------------------------------------------------- */

static double reduced(us_reduction what, size_t n, size_t step, const float *x, double *size)
{
    double a = what == US_RED_MAX   ? -(double)INFINITY
               : what == US_RED_MIN ? (double)INFINITY
                                    : what == US_RED_PROD;
    *size = 0;
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i * step];
        switch (what) {
        case US_RED_SUM: a += v; break;
        case US_RED_SQUARES: a += v * v; break;
        case US_RED_ABS: a += fabs(v); break;
        case US_RED_MAX: a = fmax(a, v); break;
        case US_RED_MIN: a = fmin(a, v); break;
        case US_RED_PROD: a *= v; break;
        case US_RED_N: break;
        }
        *size += what == US_RED_SQUARES ? v * v : fabs(v);
    }
    if (what == US_RED_MAX || what == US_RED_MIN) *size = 0;
    if (what == US_RED_PROD) *size = fabs(a) * (double)n;
    return a;
}

static void check_reduce_of(const level *l, us_rng *r, us_reduction what, size_t n,
                            size_t other)
{
    float *x = random_floats(r, n * other, what == US_RED_PROD ? 4 : 10), *y = guarded(other);
    double size;
    l->k.rows->along(what, other, n, x, y);
    for (size_t i = 0; i < other; i++) {
        double want = reduced(what, n, 1, x + i * n, &size);
        CHECK_NEAR(y[i], want, 3e-7 * size + 1e-37);
    }
    l->k.rows->across(what, n, other, other, x, y);
    for (size_t i = 0; i < other; i++) {
        double want = reduced(what, n, other, x + i, &size);
        CHECK_NEAR(y[i], want, 3e-6 * size + 1e-37);
    }
    x[(n - 1) * other] = NAN;
    l->k.rows->across(what, n, other, other, x, y);
    CHECK(isnan(y[0]) && (other < 2 || !isnan(y[1])));
    release(x, n * other);
    release(y, other);
}
static void check_reduce(const level *l)
{
    us_rng r = us_rng_new(4, "rows", 0);
    for (int what = 0; what < US_RED_N; what++) {
        for (size_t i = 0; i < US_LEN(sizes); i++)
            check_reduce_of(l, &r, (us_reduction)what, sizes[i],
                            sizes[(i * 5 + 3) % US_LEN(sizes)]);
        if (what != US_RED_PROD) check_reduce_of(l, &r, (us_reduction)what, 9001, 3);
    }
}
static void test_reduce__along_and_across(void)
{
    each_level(check_reduce);
}

/* --- moves ---------------------------------------------------------------------------------------------- */

static void check_transpose_of(const level *l, size_t bytes, size_t rows, size_t columns,
                               size_t pad)
{
    size_t x_row = columns + pad, y_row = rows + pad, n_x = rows * x_row, n_y = columns * y_row;
    uint8_t *x = malloc(n_x * bytes), *y = malloc(n_y * bytes), *want = malloc(n_y * bytes);
    for (size_t i = 0; i < n_x * bytes; i++)
        x[i] = (uint8_t)(i * 37 + i / 251);
    memset(y, 0x55, n_y * bytes);
    memset(want, 0x55, n_y * bytes);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            memcpy(want + (c * y_row + r) * bytes, x + (r * x_row + c) * bytes, bytes);
    l->k.move->transpose(bytes, rows, columns, x, (ptrdiff_t)x_row, y, (ptrdiff_t)y_row);
    CHECK(memcmp(y, want, n_y * bytes) == 0);
    free(x);
    free(y);
    free(want);
}
static void check_transpose(const level *l)
{
    for (size_t bytes = 1; bytes <= 16; bytes *= 2)
        for (size_t i = 0; i < US_LEN(sizes); i++)
            check_transpose_of(l, bytes, sizes[i], sizes[(i * 7 + 2) % US_LEN(sizes)], i % 3);
}
static void test_transpose__sizes_and_gaps(void)
{
    each_level(check_transpose);
}

static const us_test_case cases[] = {
    US_CASE(test_softmax__along_and_across),
    US_CASE(test_softmax__infinities_and_nan),
    US_CASE(test_softmax__splitting_columns_changes_no_bit),
    US_CASE(test_scores__addends_ranges_and_sinks),
    US_CASE(test_scores__infinities_and_nan),
    US_CASE(test_norm__sizes_and_parts_left_out),
    US_CASE(test_reduce__along_and_across),
    US_CASE(test_transpose__sizes_and_gaps),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
