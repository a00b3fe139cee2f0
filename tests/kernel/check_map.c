/* check_map - elementwise programs: every instruction of every level against its definition in double precision, and the walk over
 * operands (rows, gaps, broadcasts, bytes, in place) against the plainest loop.
 *
 * ULP here: |got - exact| over the distance of floats at the exact result, whose double stands for it. 0.5 is correctly rounded.
 * `check_map --exhaustive [CODE [STEP]]` looks at all 2^32 floats, or every STEP-th, and prints the largest error found: minutes per code, not a
 * part of make test.
 */
#include "levels.h"

#include <float.h>

#include "kernel/map.h"

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* --- the definition in double ------------------------------------------------------------------------ */

static double mod_sign(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static double sigmoid(double x)
{
    double e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
static double softplus(double x)
{
    return log1p(exp(-fabs(x))) + (x > 0 || x != x ? x : 0);
}
static double gelu(double x)
{
    return isinf(x) ? (x > 0 ? x : (double)NAN)
                    : 0.5 * x * (1 + erf(x * 0.70710678118654752440));
}
/* a * b is exact in double; where the sum is not, its low part says how the float has to be rounded: kept by rounding to odd. */
static double fma_exact(double a, double b, double c)
{
    double p = a * b, s = p + c, t = s - p, low = (p - (s - t)) + (c - t);
    if (low == 0 || !isfinite(s)) return s;
    uint64_t u;
    memcpy(&u, &s, 8);
    if (!(u & 1)) {
        bool away = (low > 0) == (s > 0);
        u = away ? u + 1 : u - 1;
        memcpy(&s, &u, 8);
    }
    return s;
}

/* clang-format off */
#define EXACT(X)                                                                               \
    X(COPY, a) X(NEG, -a) X(ABS, fabs(a)) X(SQRT, sqrt(a)) X(RECIPROCAL, 1 / a)                \
    X(FLOOR, floor(a)) X(CEIL, ceil(a)) X(ROUND, nearbyint(a))                                 \
    X(SIGN, isnan(a) ? a : (a > 0) - (a < 0)) X(RELU, a < 0 ? 0 : a) X(NOT, a == 0)            \
    X(IS_NAN, isnan(a)) X(IS_INF, isinf(a) != 0) X(EXP, exp(a)) X(EXPM1, expm1(a))             \
    X(LOG, log(a)) X(TANH, tanh(a)) X(SIGMOID, sigmoid(a)) X(ERF, erf(a))                      \
    X(SOFTPLUS, softplus(a)) X(SIN, sin(a)) X(COS, cos(a)) X(TAN, tan(a)) X(ASIN, asin(a))     \
    X(ACOS, acos(a)) X(ATAN, atan(a)) X(SINH, sinh(a)) X(COSH, cosh(a)) X(ASINH, asinh(a))     \
    X(ACOSH, acosh(a)) X(ATANH, atanh(a)) X(GELU, gelu(a)) X(SILU, a * sigmoid(a)) \
    X(HARDSWISH, a * fmin(fmax(a / 6 + 0.5, 0), 1)) X(ADD, a + b) X(SUB, a - b) X(MUL, a * b)            \
    X(DIV, a / b) X(MIN, b < a || isnan(b) ? b : a) X(MAX, b > a || isnan(b) ? b : a)          \
    X(POW, pow(a, b)) X(MOD, mod_sign(a, b)) X(FMOD, fmod(a, b)) X(PRELU, a < 0 ? a * b : a)   \
    X(EQ, a == b) X(GT, a > b) X(GE, a >= b) X(LT, a < b) X(LE, a <= b)                        \
    X(AND, a != 0 && b != 0) X(OR, a != 0 || b != 0) X(XOR, (a != 0) != (b != 0))              \
    X(FMA, fma_exact(a, b, c)) X(SELECT, a != 0 ? b : c)                                       \
    X(CLAMP, isnan(a) || isnan(b) || isnan(c) ? a + b + c : fmin(fmax(a, b), c))
/* clang-format on */

typedef double exact_fn(double a, double b, double c);
#define X(code, formula)                                                                       \
    static double exact_##code(double a, double b, double c)                                   \
    {                                                                                          \
        (void)a, (void)b, (void)c;                                                             \
        return (double)(formula);                                                              \
    }
EXACT(X)
#undef X

static exact_fn *const exact[US_EW_N] = {
#define X(code, formula) [US_EW_##code] = exact_##code,
    EXACT(X)
#undef X
};
static const double bounds[US_EW_N] = {
#define X(code, n, ulp) (ulp),
    US_EW_CODES(X)
#undef X
};

static double ulp_at(double x)
{
    int e;
    frexp(x, &e);
    return ldexp(1, e - 24 < -149 ? -149 : e - 24);
}

static double ulp_error(float got, double want)
{
    if (isnan(want)) return isnan(got) ? 0 : (double)INFINITY;
    if (isnan(got)) return (double)INFINITY;
    if (want == 0 || isinf(want)) return (double)got == want ? 0 : (double)INFINITY;
    if (isinf(got) && got == (float)want) return 0; /* too large for a float */
    /* Infinity stands for the number after the largest. */
    double g = isinf(got) ? copysign(ldexp(1, 128), (double)got) : (double)got;
    return fabs(g - want) / ulp_at(want);
}

/* As map.h counts it: some in ULP of their operand. */
static double code_error(int code, float a, float got, double want)
{
    bool of_a = code == US_EW_GELU || code == US_EW_SILU || code == US_EW_HARDSWISH;
    if (of_a && isfinite(want) && isfinite(got))
        return fabs((double)got - want) / ulp_at((double)a);
    return ulp_error(got, want);
}

/* --- instructions -------------------------------------------------------------------------------------- */

enum { BATCH = 1024 };

typedef struct worst {
    double ulp;
    float a, b, c, got;
    double want;
} worst;

static void measure(const level *l, int code, size_t n, const float *a, const float *b,
                    const float *c, worst *w)
{
    float y[BATCH];
    size_t s = l->k.map->width;
    l->k.map->codes[code](n, y, a, s, b, s, c, s);
    for (size_t i = 0; i < n; i++) {
        double want = exact[code]((double)a[i], (double)b[i], (double)c[i]);
        double e = code_error(code, a[i], y[i], want);
        if (e > w->ulp || isnan(e))
            *w = (worst){.ulp = e, .a = a[i], .b = b[i], .c = c[i], .got = y[i], .want = want};
    }
}

/* 0.5 for rounding; the ULP of the double's own function and of its rounding to float do not matter beside it. */
static void judge(const level *l, int code, const worst *w)
{
    double bound = bounds[code] == 0 ? 0.5 : bounds[code];
    if (!(w->ulp <= bound))
        printf("# %s %s(%a, %a, %a): got %a, exact %a: %.3g ULP, allowed %g\n", l->name,
               us_ew_code_name((us_ew_code)code), (double)w->a, (double)w->b, (double)w->c,
               (double)w->got, w->want, w->ulp, bound);
    CHECK(w->ulp <= bound);
}

static void check_unary(const level *l)
{
    enum { SAMPLES = 1 << 17 };
    float a[BATCH];
    for (int code = 0; code < US_EW_N; code++) {
        if (us_ew_operands[code] != 1) continue;
        worst w = {.ulp = -1};
        for (uint32_t i = 0; i < SAMPLES; i += BATCH) { /* every exponent; odd steps */
            for (uint32_t j = 0; j < BATCH; j++)
                a[j] = from_bits((i + j) * 32771U);
            measure(l, code, BATCH, a, a, a, &w);
        }
        for (uint32_t i = 0; i < SAMPLES; i += BATCH) { /* where something happens */
            for (uint32_t j = 0; j < BATCH; j++)
                a[j] = ((float)(i + j) / SAMPLES - 0.5F) * 220.0F;
            measure(l, code, BATCH, a, a, a, &w);
            for (uint32_t j = 0; j < BATCH; j++)
                a[j] /= 32;
            measure(l, code, BATCH, a, a, a, &w);
        }
        judge(l, code, &w);
    }
}
static void test_codes__one_operand(void)
{
    each_level(check_unary);
}

static const float specials[] = {0,        -0.0F,    1,         -1,       0.5F,      -0.5F,
                                 2,        -2,       3,         -3,       2.5F,      -2.5F,
                                 NAN,      INFINITY, -INFINITY, FLT_MAX,  -FLT_MAX,  FLT_MIN,
                                 -FLT_MIN, 1e-45F,   -1e-45F,   1e-40F,   8388608,   8388609,
                                 16777216, 1e10F,    -1e10F,    0x1p-24F, 0.9999999F};

static void check_several(const level *l)
{
    enum { N = US_LEN(specials) };
    float a[BATCH], b[BATCH], c[BATCH];
    us_rng r = us_rng_new(7, "map", 0);
    for (int code = 0; code < US_EW_N; code++) {
        if (us_ew_operands[code] == 1) continue;
        worst w = {.ulp = -1};
        for (int round = 0; round < 60; round++) {
            for (size_t j = 0; j < BATCH; j++) {
                uint32_t u = us_rng_u32(&r);
                a[j] = round < 20 ? specials[u % N] : us_rng_f32(&r) * 20 - 10;
                b[j] = round < 20 ? specials[u / N % N] : us_rng_f32(&r) * 20 - 10;
                c[j] = round < 20 ? specials[u / N / N % N] : us_rng_f32(&r) * 20 - 10;
                if (round >= 40) {
                    a[j] = from_bits(us_rng_u32(&r));
                    b[j] = from_bits(u);
                }
            }
            measure(l, code, BATCH, a, b, c, &w);
        }
        judge(l, code, &w);
    }
}
static void test_codes__two_and_three_operands(void)
{
    each_level(check_several);
}

/* The sign of zero is not seen by ==. */
static void check_zeros(const level *l)
{
    static const us_ew_code keep[] = {US_EW_COPY,  US_EW_SQRT, US_EW_FLOOR, US_EW_CEIL,
                                      US_EW_ROUND, US_EW_TANH, US_EW_ERF,   US_EW_EXPM1,
                                      US_EW_SIN,   US_EW_RELU, US_EW_ATAN};
    float a[3] = {-0.0F, 0.0F, -0.0F}, y[3];
    size_t s = l->k.map->width;
    for (size_t i = 0; i < US_LEN(keep); i++) {
        l->k.map->codes[keep[i]](3, y, a, s, a, s, a, s);
        if (!signbit(y[0]) || signbit(y[1]) || !signbit(y[2]))
            printf("# %s %s\n", l->name, us_ew_code_name(keep[i]));
        CHECK(signbit(y[0]) && !signbit(y[1]) && signbit(y[2]));
    }
    l->k.map->codes[US_EW_NEG](2, y, a, s, a, s, a, s);
    CHECK(!signbit(y[0]) && signbit(y[1]));
    l->k.map->codes[US_EW_ABS](2, y, a, s, a, s, a, s);
    CHECK(!signbit(y[0]));
    float half = -0.5F;
    l->k.map->codes[US_EW_ROUND](1, y, &half, s, &half, s, &half, s);
    CHECK(y[0] == 0 && signbit(y[0]));
}
static void test_codes__sign_of_zero(void)
{
    each_level(check_zeros);
}

/* The same element at every position of a vector and of a tail gives the same bits; nothing outside is touched. */
static void check_positions(const level *l)
{
    enum { N = 67, PAD = 16 };
    us_rng r = us_rng_new(8, "map", 0);
    float a[N], y[N + 2 * PAD], first[N];
    size_t s = l->k.map->width;
    for (size_t i = 0; i < N; i++)
        a[i] = (us_rng_f32(&r) - 0.5F) * 30;
    for (int code = 0; code < US_EW_N; code++) {
        us_ew_code_fn *f = l->k.map->codes[code];
        f(N, first, a, s, a, s, a, s);
        for (size_t from = 0; from < 20; from++)
            for (size_t n = 0; n + from <= N; n += 1 + n / 3) {
                for (size_t i = 0; i < US_LEN(y); i++)
                    y[i] = 12345;
                f(n, y + PAD, a + from, s, a + from, s, a + from, s);
                CHECK(memcmp(y + PAD, first + from, n * sizeof *y) == 0);
                for (size_t i = 0; i < PAD; i++)
                    CHECK(y[i] == 12345 && y[PAD + n + i] == 12345);
            }
        memcpy(y, a, sizeof a); /* in place */
        f(N, y, y, s, y, s, y, s);
        CHECK(memcmp(y, first, sizeof first) == 0);
    }
}
static void test_codes__position_does_not_matter(void)
{
    each_level(check_positions);
}

/* The vector levels share their text: equal bits, so that a result does not depend on which of them ran. */
static void test_codes__vector_levels_agree(void)
{
    enum { ROUNDS = 40 };
    us_rng r = us_rng_new(10, "map", 0);
    float a[BATCH], b[BATCH], c[BATCH], y[2][BATCH];
    for (int code = 0; code < US_EW_N; code++)
        for (int k = 0; k < ROUNDS; k++) {
            for (size_t i = 0; i < BATCH; i++) {
                a[i] = k & 1 ? from_bits(us_rng_u32(&r)) : us_rng_f32(&r) * 40 - 20;
                b[i] = k & 2 ? from_bits(us_rng_u32(&r)) : us_rng_f32(&r) * 40 - 20;
                c[i] = us_rng_f32(&r) * 40 - 20;
            }
            int n = 0;
            for (size_t v = 1; v < US_LEN(levels) && n < 2; v++) {
                if (!can_run(&levels[v])) continue;
                size_t s = levels[v].k.map->width;
                levels[v].k.map->codes[code](BATCH, y[n++], a, s, b, s, c, s);
            }
            if (n < 2) US_SKIP("this processor has one vector level at most");
            for (size_t i = 0; i < BATCH; i++)
                CHECK(bits_of(y[0][i]) == bits_of(y[1][i]) ||
                      (isnan(y[0][i]) && isnan(y[1][i])));
        }
}

/* --- the walk -------------------------------------------------------------------------------------------- */

typedef struct lay {
    ptrdiff_t row;
    uint8_t step, type;
} lay;

static float read_in(const us_ew_in *in, size_t r, size_t i)
{
    ptrdiff_t at = (ptrdiff_t)r * in->row + (ptrdiff_t)(i * in->step);
    return in->type == US_EW_F32 ? ((const float *)in->p)[at]
                                 : ((const uint8_t *)in->p)[at] != 0;
}

/* (x * y + 3) > z ? x : y - 2, or only its condition */
static us_ew_prog some_program(bool condition)
{
    us_ew_writer w;
    us_ew_prog p;
    us_ew_begin(&w, 3);
    int m = us_ew_emit(&w, US_EW_MUL, 0, 1, 0);
    int s = us_ew_emit(&w, US_EW_ADD, m, us_ew_imm(&w, 3), 0);
    us_ew_emit(&w, US_EW_EXP, s, 0, 0); /* nobody reads it */
    int c = us_ew_emit(&w, US_EW_GT, s, 2, 0);
    if (!condition) {
        int d = us_ew_emit(&w, US_EW_SUB, 1, us_ew_imm(&w, 2), 0);
        us_ew_emit(&w, US_EW_SELECT, c, 0, d);
    }
    CHECK(us_ew_end(&w, &p));
    CHECK_EQ_I64(p.n_ins, condition ? 3 : 5);
    return p;
}

static float some_result(const us_ew_args *a, size_t r, size_t i, bool condition)
{
    float x = read_in(&a->in[0], r, i), y = read_in(&a->in[1], r, i),
          z = read_in(&a->in[2], r, i);
    float m = x * y, s = m + 3;
    if (condition) return s > z;
    return s > z ? x : y - 2;
}

static void check_walk_of(const level *l, size_t rows, size_t n, const lay *lays,
                          ptrdiff_t out_row, bool bytes, us_rng *r)
{
    size_t room = rows * (n + 8) + 64;
    us_ew_prog p = some_program(bytes);
    us_ew_args a = {.prog = &p,
                    .rows = rows,
                    .n = n,
                    .out_row = out_row,
                    .out_type = bytes ? US_EW_BOOL : US_EW_F32};
    void *mem[3];
    for (int k = 0; k < 3; k++) {
        mem[k] = malloc(room * 4);
        for (size_t i = 0; i < room; i++)
            if (lays[k].type == US_EW_F32)
                ((float *)mem[k])[i] = (float)(us_rng_u32(r) % 64) - 32;
            else
                ((uint8_t *)mem[k])[i] = (uint8_t)(us_rng_u32(r) % 3);
        a.in[k] = (us_ew_in){mem[k], lays[k].row, lays[k].step, lays[k].type};
    }
    size_t size = bytes ? 1 : 4, out_n = room * size;
    char *out = malloc(out_n), *want = malloc(out_n);
    memset(out, 0x55, out_n);
    memcpy(want, out, out_n);
    a.out = out;
    a.scratch = aligned_alloc(64, US_EW_SCRATCH);
    for (size_t j = 0; j < rows; j++)
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)((ptrdiff_t)j * out_row) + i;
            if (bytes)
                want[at] = (char)some_result(&a, j, i, true);
            else
                ((float *)(void *)want)[at] = some_result(&a, j, i, false);
        }
    us_ew_run(l->k.map, &a);
    CHECK(memcmp(out, want, out_n) == 0);
    if (!bytes && lays[0].type == US_EW_F32 && lays[0].step == 1 && lays[0].row == out_row) {
        a.out = mem[0]; /* in place of the first input */
        us_ew_run(l->k.map, &a);
        for (size_t j = 0; j < rows; j++)
            CHECK(memcmp((float *)mem[0] + (ptrdiff_t)j * out_row,
                         (float *)(void *)want + (ptrdiff_t)j * out_row, n * 4) == 0);
    }
    for (int k = 0; k < 3; k++)
        free(mem[k]);
    free(out);
    free(want);
    free(a.scratch);
}

/* One instruction on rows that lie apart gives the bits that it gives on one row. */
static void check_apart(const level *l)
{
    enum { ROWS = 5, MOST = 70, GAP = 3, N = ROWS * (MOST + GAP) };
    us_rng r = us_rng_new(10, "map", 0);
    float x[N], y[N], want[N];
    for (int i = 0; i < N; i++)
        x[i] = (us_rng_f32(&r) - 0.5F) * 20;
    x[7] = NAN;
    x[11] = -1000;
    for (int code = 0; code < US_EW_N; code++) {
        us_ew_writer w;
        us_ew_prog p;
        us_ew_begin(&w, 1);
        if (us_ew_operands[code] != 1) continue;
        us_ew_emit(&w, (us_ew_code)code, 0, 0, 0);
        CHECK(us_ew_end(&w, &p));
        void *scratch = aligned_alloc(64, US_EW_SCRATCH);
        for (size_t n = 1; n <= MOST; n += 1 + n / 4) {
            const size_t width = l->k.map->width;
            us_ew_args a = {.prog = &p,
                            .rows = ROWS,
                            .n = n,
                            .out = y,
                            .out_row = MOST + GAP,
                            .scratch = scratch};
            a.in[0] = (us_ew_in){x, (ptrdiff_t)n + 1, 1, US_EW_F32};
            memset(y, 0x55, sizeof y);
            memset(want, 0x55, sizeof want);
            us_ew_run(l->k.map, &a);
            for (size_t j = 0; j < ROWS; j++)
                l->k.map->codes[code](n, want + j * (MOST + GAP), x + j * (n + 1), width, x,
                                      width, x, width);
            CHECK(memcmp(y, want, sizeof y) == 0);
        }
        free(scratch);
    }
}
static void test_run__rows_apart_have_the_bits_of_one_row(void)
{
    each_level(check_apart);
}

static void check_walk(const level *l)
{
    static const size_t sizes[] = {0,   1,   2,   3,   7,   8,   16,  31,  49,
                                   100, 255, 256, 257, 511, 512, 513, 1300};
    us_rng r = us_rng_new(9, "map", 0);
    for (size_t i = 0; i < US_LEN(sizes); i++)
        for (size_t rows = 0; rows < 40; rows += 1 + rows * 2)
            for (int x = 0; x < 24; x++) {
                size_t n = sizes[i];
                lay lays[3];
                for (int k = 0; k < 3; k++) {
                    uint32_t u = us_rng_u32(&r);
                    ptrdiff_t full = (ptrdiff_t)n + (x % 3 == 0 ? 0 : (ptrdiff_t)(u >> 8 & 3));
                    lays[k] = (lay){u & 1 ? full : 0, 1, 0};
                    if ((u & 6) == 0) lays[k] = (lay){u & 1, 0, 0};
                    lays[k].type = (u >> 12 & 7) == 0;
                }
                ptrdiff_t out_row = (ptrdiff_t)n + (x & 1 ? 5 : 0);
                check_walk_of(l, rows, n, lays, out_row, x % 5 == 4, &r);
            }
}
static void test_run__rows_gaps_and_broadcasts(void)
{
    each_level(check_walk);
}

/* --- programs as data ------------------------------------------------------------------------------------ */

static void test_program__numbers_and_back(void)
{
    us_ew_writer w;
    us_ew_prog p, q;
    int64_t ints[4 * US_EW_INS];
    us_ew_begin(&w, 2);
    int v = us_ew_emit(&w, US_EW_ADD, 0, 1, 0);
    us_ew_emit(&w, US_EW_CLAMP, v, us_ew_imm(&w, 0), us_ew_imm(&w, 6));
    CHECK(us_ew_end(&w, &p));
    size_t n = us_ew_put(&w, ints);
    CHECK_EQ_U64(n, 8);
    CHECK(us_ew_read(2, n, ints, w.n_imm, w.imm, &q));
    CHECK(memcmp(&p, &q, sizeof p) == 0);
    CHECK(!us_ew_read(2, n - 1, ints, w.n_imm, w.imm, &q));
    CHECK(!us_ew_read(0, n, ints, w.n_imm, w.imm, &q));
    CHECK(!us_ew_read(2, n, ints, 1, w.imm, &q)); /* an immediate that is not there */
    CHECK(!us_ew_read(2, 0, ints, 0, w.imm, &q));
    int64_t bad[] = {US_EW_N, -1, INT64_MAX, INT64_MIN, 2};
    for (size_t i = 0; i < US_LEN(bad);
         i++) { /* a code that is none; values that are not there yet */
        int64_t copy[8];
        memcpy(copy, ints, sizeof copy);
        copy[i == 0 ? 0 : 1] = i == 1 ? -3 : bad[i];
        CHECK(!us_ew_read(2, n, copy, w.n_imm, w.imm, &q));
    }
}

static void test_program__too_large_is_refused(void)
{
    us_ew_writer w;
    us_ew_prog p;
    us_ew_begin(&w, US_EW_IN + 1);
    us_ew_emit(&w, US_EW_NEG, 0, 0, 0);
    CHECK(!us_ew_end(&w, &p));
    us_ew_begin(&w, 1);
    CHECK(!us_ew_end(&w, &p)); /* nothing written */
    for (int i = 0, v = 0; i <= US_EW_INS; i++)
        v = us_ew_emit(&w, US_EW_NEG, v, 0, 0);
    CHECK(!us_ew_end(&w, &p));
    us_ew_begin(&w, 1);
    for (int i = 0; i <= US_EW_IMM; i++)
        us_ew_emit(&w, US_EW_ADD, 0, us_ew_imm(&w, (float)i), 0);
    CHECK(!us_ew_end(&w, &p));
    us_ew_begin(&w, 1); /* more values alive at once than registers */
    int v[US_EW_REGS + 1];
    for (int i = 0; i <= US_EW_REGS; i++)
        v[i] = us_ew_emit(&w, US_EW_NEG, 0, 0, 0);
    int s = v[0];
    for (int i = 1; i <= US_EW_REGS; i++)
        s = us_ew_emit(&w, US_EW_ADD, s, v[i], 0);
    CHECK(!us_ew_end(&w, &p));
}

/* --- all floats -------------------------------------------------------------------------------------------- */

/* The exact results are shared by the levels: they are what takes the time. */
static void all_floats(int code, uint32_t step)
{
    static float a[BATCH], y[BATCH];
    static double want[BATCH];
    worst w[US_LEN(levels)];
    for (size_t v = 0; v < US_LEN(levels); v++)
        w[v] = (worst){.ulp = -1};
    for (uint64_t u = 0; u < (uint64_t)1 << 32; u += (uint64_t)BATCH * step) {
        for (uint32_t j = 0; j < BATCH; j++) {
            a[j] = from_bits((uint32_t)u + j * step);
            want[j] = exact[code]((double)a[j], 0, 0);
        }
        for (size_t v = 0; v < US_LEN(levels); v++) {
            if (!can_run(&levels[v])) continue;
            size_t s = levels[v].k.map->width;
            levels[v].k.map->codes[code](BATCH, y, a, s, a, s, a, s);
            for (size_t j = 0; j < BATCH; j++) {
                double e = code_error(code, a[j], y[j], want[j]);
                if (e > w[v].ulp) w[v] = (worst){.ulp = e, .a = a[j]};
            }
        }
    }
    for (size_t v = 0; v < US_LEN(levels); v++)
        if (can_run(&levels[v]))
            printf("%-10s %-7s %.4f ULP at %a (0x%08" PRIx32 "), stated %g\n",
                   us_ew_code_name((us_ew_code)code), levels[v].name, w[v].ulp, (double)w[v].a,
                   bits_of(w[v].a), bounds[code]);
    fflush(stdout);
}

static int exhaustive(const char *only, uint32_t step)
{
    for (int code = 0; code < US_EW_N; code++)
        if (us_ew_operands[code] == 1 &&
            (!only || strcmp(only, us_ew_code_name((us_ew_code)code)) == 0))
            all_floats(code, step);
    return 0;
}

static const us_test_case cases[] = {
    US_CASE(test_codes__one_operand),
    US_CASE(test_codes__two_and_three_operands),
    US_CASE(test_codes__sign_of_zero),
    US_CASE(test_codes__position_does_not_matter),
    US_CASE(test_codes__vector_levels_agree),
    US_CASE(test_run__rows_gaps_and_broadcasts),
    US_CASE(test_program__numbers_and_back),
    US_CASE(test_program__too_large_is_refused),
    US_CASE(test_run__rows_apart_have_the_bits_of_one_row),
};
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--exhaustive") == 0)
        return exhaustive(argc > 2 ? argv[2] : NULL,
                          argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1);
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
