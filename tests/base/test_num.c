/* test_num.c - numbers to and from text: the table worked out again, hard cases, strtod as the judge.
 *
 * glibc's strtod and printf are exact (arbitrary precision) and serve as the independent reference. */
#include <string.h>

#include "base/clock.h"
#include "base/pow10.h"
#include "base/rng.h"
#include "base/str.h"
#include "us_test.h"

/* Natural numbers of up to 1300 bits, enough for 5^342 and for 2^k / 5^342 to 128 bits. */
#define WORDS 64
typedef struct big {
    uint32_t w[WORDS];
} big;

static void big_mul5(big *b)
{
    uint64_t carry = 0;
    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t)b->w[i] * 5;
        b->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
}
static int big_bit(const big *b, int i)
{
    return i < 0 || i >= WORDS * 32 ? 0 : (int)(b->w[i / 32] >> i % 32 & 1);
}
static int big_length(const big *b)
{
    int n = WORDS * 32;
    while (n && !big_bit(b, n - 1))
        n--;
    return n;
}
/* r = 2r + bit; then, if r >= d, r -= d: one step of long division; returns the quotient's bit. */
static int big_divide_step(big *r, int bit, const big *d)
{
    uint32_t carry = (uint32_t)bit;
    for (int i = 0; i < WORDS; i++) {
        uint32_t top = r->w[i] >> 31;
        r->w[i] = r->w[i] << 1 | carry;
        carry = top;
    }
    for (int i = WORDS - 1; i >= 0; i--) {
        if (r->w[i] > d->w[i]) break;
        if (r->w[i] < d->w[i]) return 0;
    }
    int64_t borrow = 0;
    for (int i = 0; i < WORDS; i++) {
        borrow += (int64_t)r->w[i] - d->w[i];
        r->w[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    return 1;
}

/* 2v + bit */
static us_wide with_bit(us_wide v, int bit)
{
    return (us_wide){v.hi << 1 | v.lo >> 63, v.lo << 1 | (unsigned)bit};
}

static void check_row(int q, us_wide want)
{
    us_wide t = us_pow10_table[q - US_POW10_MIN];
    if (t.hi != want.hi || t.lo != want.lo)
        US_TEST_FAIL("10^%d is %016" PRIx64 "%016" PRIx64 ", expected %016" PRIx64
                     "%016" PRIx64,
                     q, t.hi, t.lo, want.hi, want.lo);
}

static void test_pow10__every_row(void)
{
    big p = {{1}};
    for (int q = 0; q <= US_POW10_MAX; q++, big_mul5(&p)) { /* the top 128 bits of 5^q */
        us_wide v = {0};
        int n = big_length(&p);
        for (int i = 1; i <= 128; i++)
            v = with_bit(v, big_bit(&p, n - i));
        check_row(q, v);
    }
    p = (big){{5}};
    for (int q = -1; q >= US_POW10_MIN;
         q--, big_mul5(&p)) { /* the first 128 bits of 1 / 5^-q */
        big r = {{1}};
        us_wide v = {0};
        int n = 0;
        while (n < 128) {
            v = with_bit(v, big_divide_step(&r, 0, &p));
            n += n || v.lo; /* counted from the first one */
        }
        if (q >= -27) v = (us_wide){v.hi + (v.lo == UINT64_MAX), v.lo + 1};
        check_row(q, v);
    }
}

static void check_parse(const char *z)
{
    double got = 77, want = strtod(z, NULL);
    uint64_t a, b;
    CHECK(us_parse_f64(us_sv_of(z), &got));
    memcpy(&a, &got, 8);
    memcpy(&b, &want, 8);
    if (a != b) US_TEST_FAIL("\"%.60s\" gave %a, expected %a", z, got, want);
}

static void test_parse_f64__hard(void)
{
    static const char *const rows[] = {
        "0",
        "-0",
        "0.0",
        "-0e5",
        "1",
        "+1.5",
        ".5",
        "5.",
        "1e22",
        "1e23",
        "8.5e22",
        "1e-22",
        "1e308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "5e-324",
        "1e-325",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "2.2250738585072014e-308",
        "9007199254740993",
        "9007199254740992.5",
        "9007199254740993.0000000000000000000000000000000000000000001",
        "9007199254740992.9999999999999999999999999999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "9999999999999999999",
        "99999999999999999999",
        "1e-342",
        "1e-343",
        "123456789012345678901234567890e-20",
        "0.000000000000000000000000000000000000123456789",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "1e999999999999999999999",
        "1e-999999999999999999999",
        "0e999999999999999999999",
        "6.0221409e+23",
        "1.3e-7",
        "89255.0e-22",
        "3.518437208883201171875e13",
        "30078505129381147446200",
        "1777820000000000000001",
        "0.500000000000000166533453693773481063544750213623046875",
        "7.3177701707893310e+15",
        "1448997445238699",
        "104110013277974872254e-225",
        "12345e-320",
    };
    for (size_t i = 0; i < US_LEN(rows); i++)
        check_parse(rows[i]);
}

/* Exact halfway points of the smallest numbers have 767 digits; one more digit far behind decides. */
static void test_parse_f64__halfway_with_a_long_tail(void)
{
    char z[3000];
    us_rng r = us_rng_new(1, "tail", 0);
    for (int k = 0; k < 60; k++) {
        uint64_t bits = us_rng_u64(&r) >> (12 + us_rng_below(&r, 40));
        double low, high;
        memcpy(&low, &bits, 8);
        bits++;
        memcpy(&high, &bits, 8);
        /* (low + high) / 2 written out exactly: subnormal spacing is 2^-1074, so twice the value has 1074 places */
        long double half = ((long double)low + (long double)high) / 2;
        int n = snprintf(z, sizeof z, "%.1080Lf", half);
        CHECK(n > 1000 && n < 1200);
        check_parse(z);
        z[n] = '1';
        z[n + 1] = 0;
        check_parse(z);
        memset(z + n, '0', 1500);
        memcpy(z + n + 1500, "1e0", 4);
        check_parse(z);
        while (z[n - 1] == '0')
            n--;
        z[n - 1]--; /* just below */
        memset(z + n, '9', 50);
        z[n + 50] = 0;
        check_parse(z);
    }
    memset(z, '0', 2000); /* 0.000...1e2000 and 1000...e-2000 */
    z[1] = '.';
    memcpy(z + 1999, "1e1998", 7);
    check_parse(z);
    memset(z, '0', 2000);
    z[0] = '7';
    memcpy(z + 1999, "e-1998", 7);
    check_parse(z);
}

static void test_parse_f64__random(void)
{
    us_rng r = us_rng_new(2, "parse", 0);
    int n = us_test_long() ? 20000000 : 200000;
    char z[64];
    for (int i = 0; i < n; i++) {
        double v;
        uint64_t bits = us_rng_u64(&r);
        memcpy(&v, &bits, 8);
        if (!isfinite(v)) continue;
        snprintf(z, sizeof z, "%.*e", (int)us_rng_below(&r, 24), v);
        check_parse(z);
        snprintf(z, sizeof z, "%" PRIu64 "e%d", us_rng_u64(&r) >> us_rng_below(&r, 64),
                 (int)us_rng_below(&r, 700) - 350);
        check_parse(z);
        snprintf(z, sizeof z, "%.*f", (int)us_rng_below(&r, 20), us_rng_f64(&r) * 1e6);
        check_parse(z);
    }
}

static void test_parse_f64__words_and_refusals(void)
{
    static const char *const bad[] = {"",    "-",     "+",    ".",       "e5", "1e",
                                      "1e+", "1.2.3", "0x10", "1 ",      " 1", "1,5",
                                      "--1", "inf1",  "na",   "infinit", "1f"};
    double v = 77;
    for (size_t i = 0; i < US_LEN(bad); i++)
        if (us_parse_f64(us_sv_of(bad[i]), &v)) US_TEST_FAIL("\"%s\" was taken", bad[i]);
    CHECK_NEAR(v, 77, 0);
    CHECK(us_parse_f64(US_SV("-InFinity"), &v) && isinf(v) && v < 0);
    CHECK(us_parse_f64(US_SV("inf"), &v) && isinf(v) && v > 0);
    CHECK(us_parse_f64(US_SV("NaN"), &v) && isnan(v));
    static const struct {
        const char *text;
        size_t taken;
    } rows[] = {{"1.5,2", 3}, {"1e", 1}, {"1e+x", 1}, {"-2e3;", 4}, {"7..", 2}, {"infx", 3}};
    for (size_t i = 0; i < US_LEN(rows); i++) {
        const char *p = rows[i].text, *q = us_parse_f64_prefix(p, p + strlen(p), &v);
        CHECK(q != NULL);
        CHECK_EQ_U64(q - p, rows[i].taken);
    }
    const char *digits = "123456";
    const char *q = us_parse_f64_prefix(digits, digits + 3, &v); /* never past the end */
    CHECK(q == digits + 3 && v == 123);
    CHECK(us_parse_f64_prefix(digits, digits, &v) == NULL);
}

static void test_parse_integers__edges(void)
{
    int64_t i = 5;
    uint64_t u = 5;
    CHECK(us_parse_i64(US_SV("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(us_parse_i64(US_SV("+9223372036854775807"), &i) && i == INT64_MAX);
    CHECK(!us_parse_i64(US_SV("9223372036854775808"), &i));
    CHECK(!us_parse_i64(US_SV("-9223372036854775809"), &i));
    CHECK(us_parse_u64(US_SV("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(!us_parse_u64(US_SV("18446744073709551616"), &u));
    CHECK(!us_parse_u64(US_SV("-1"), &u) && !us_parse_u64(US_SV(""), &u));
    CHECK(!us_parse_i64(US_SV("-"), &i) && !us_parse_i64(US_SV("1.0"), &i));
    CHECK(i == INT64_MAX && u == UINT64_MAX);
    bool b = false;
    CHECK(us_parse_bool(US_SV("YES"), &b) && b);
    CHECK(us_parse_bool(US_SV("off"), &b) && !b);
    CHECK(!us_parse_bool(US_SV("2"), &b) && !us_parse_bool(US_SV("tru"), &b));
}

static void test_print_f64__known(void)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-17, "-17"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {1e15, "1000000000000000"},
        {1e16, "1e+16"},
        {123456789012345680, "1.2345678901234568e+17"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {9007199254740994, "9007199254740994"},
        {1e23, "1e+23"},
        {-1.5, "-1.5"},
        {1234.5678, "1234.5678"},
        {(double)INFINITY, "inf"},
        {-(double)INFINITY, "-inf"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
    };
    char z[32];
    for (size_t i = 0; i < US_LEN(rows); i++) {
        size_t n = us_print_f64(rows[i].v, z);
        CHECK_EQ_STR(z, rows[i].text);
        CHECK_EQ_U64(n, strlen(z));
    }
    us_print_f64((double)NAN, z);
    CHECK_EQ_STR(z, "nan");
    us_print_f32(0.1f, z);
    CHECK_EQ_STR(z, "0.1");
    us_print_f32(3.4028235e38f, z);
    CHECK_EQ_STR(z, "3.4028235e+38");
    us_print_f32(1e-45f, z);
    CHECK_EQ_STR(z, "1e-45");
    us_print_f32(16777216, z);
    CHECK_EQ_STR(z, "16777216");
}

static int significant(const char *z)
{
    int n = 0, zeros = 0;
    for (; *z && *z != 'e'; z++) {
        if (*z < '0' || *z > '9' || (!n && *z == '0')) continue;
        zeros = *z == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

/* Reads back; no shorter correctly rounded text does. */
static void check_print(double v)
{
    char z[32], shorter[64];
    size_t n = us_print_f64(v, z);
    if (n >= 32 || strtod(z, NULL) != v) US_TEST_FAIL("%a became \"%s\"", v, z);
    int digits = significant(z);
    if (digits < 2) return;
    snprintf(shorter, sizeof shorter, "%.*e", digits - 2, v);
    if (strtod(shorter, NULL) == v)
        US_TEST_FAIL("%a became \"%s\", but %s is enough", v, z, shorter);
}

static void test_print_f64__shortest_on_random(void)
{
    us_rng r = us_rng_new(3, "print", 0);
    int n = us_test_long() ? 20000000 : 200000;
    for (int i = 0; i < n; i++) {
        double v;
        uint64_t bits = us_rng_u64(&r);
        memcpy(&v, &bits, 8);
        if (!isfinite(v) || v == 0) continue;
        check_print(v);
        check_print(ldexp(1, (int)us_rng_below(&r, 2098) - 1074)); /* the uneven intervals */
        check_print((double)(us_rng_u64(&r) >> us_rng_below(&r, 64) | 1) / 1000);
    }
}

static void test_print_f32__shortest_on_random(void)
{
    us_rng r = us_rng_new(4, "print", 0);
    int n = us_test_long() ? 20000000 : 200000;
    for (int i = 0; i < n; i++) {
        uint32_t bits = i < 512 ? (uint32_t)(i % 255) << 23 : us_rng_u32(&r);
        float v;
        char z[32], shorter[64];
        memcpy(&v, &bits, 4);
        if (!isfinite(v) || v == 0) continue;
        us_print_f32(v, z);
        if (strtof(z, NULL) != v) US_TEST_FAIL("%a became \"%s\"", (double)v, z);
        int digits = significant(z);
        if (digits < 2) continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, (double)v);
        if (strtof(shorter, NULL) == v) US_TEST_FAIL("%a became \"%s\"", (double)v, z);
    }
}

/* Not a bar, a figure: 17 digits are what programs print. */
static void test_parse_f64__speed(void)
{
    enum { N = 20000 };
    char *text = malloc((size_t)N * 32), *p = text, z[32];
    us_rng r = us_rng_new(5, "speed", 0);
    CHECK(text != NULL);
    for (int i = 0; i < N; i++) {
        size_t n = us_print_f64(us_rng_normal(&r), z);
        memcpy(p, z, n);
        p[n] = ',';
        p += n + 1;
    }
    uint64_t t0 = us_now_ns();
    double v, sum = 0;
    int n = 0;
    for (int k = 0; k < 20; k++)
        for (const char *q = text; q < p; q++, n++) {
            q = us_parse_f64_prefix(q, p, &v);
            CHECK(q && *q == ',');
            sum += v;
        }
    double s = (double)(us_now_ns() - t0) / 1e9;
    uint64_t t1 = us_now_ns();
    for (int i = 0; i < N; i++)
        sum += (double)us_print_f64(us_rng_f64(&r), z);
    printf("# parse %.0f MB/s, %.1f ns each; print %.0f ns each (%g)\n",
           (double)(p - text) * 20 / s / 1e6, s * 1e9 / n,
           (double)(us_now_ns() - t1) / (double)N, sum);
    CHECK_EQ_I64(n, N * 20);
    free(text);
}

/* The halves that 32-bit processors are given, beside the compiler's own where it has them; squares of what is known by hand. */
static void test_wide_product__by_parts(void)
{
    static const uint64_t ends[] = {
        0, 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
    us_rng r = us_rng_new(5, "wide", 0);
    us_wide most = us_wide_product_by_parts(UINT64_MAX, UINT64_MAX);
    CHECK(most.hi == UINT64_MAX - 1 && most.lo == 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t a = us_rng_u64(&r), b = us_rng_u64(&r);
        if (i < 36) {
            a = ends[i / 6];
            b = ends[i % 6];
        }
        us_wide p = us_wide_product(a, b), q = us_wide_product_by_parts(a, b);
        CHECK(p.hi == q.hi && p.lo == q.lo);
    }
}

static const us_test_case cases[] = {
    US_CASE(test_pow10__every_row),
    US_CASE(test_wide_product__by_parts),
    US_CASE(test_parse_f64__hard),
    US_CASE(test_parse_f64__halfway_with_a_long_tail),
    US_CASE(test_parse_f64__random),
    US_CASE(test_parse_f64__words_and_refusals),
    US_CASE(test_parse_integers__edges),
    US_CASE(test_print_f64__known),
    US_CASE(test_print_f64__shortest_on_random),
    US_CASE(test_print_f32__shortest_on_random),
    US_CASE(test_parse_f64__speed),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
