/* test_rng.c - Philox and CRC-32C against published answers, what is drawn from them, clock and calendar. */
#include <string.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/rng.h"
#include "us_test.h"

/* Random123-1.14, tests/kat_vectors, lines philox4x32 10. */
static void test_philox__known_answers(void)
{
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < US_LEN(rows); i++) {
        uint32_t out[4];
        us_philox4x32(rows[i].ctr, rows[i].key, out);
        for (int k = 0; k < 4; k++)
            CHECK_EQ_U64(out[k], rows[i].out[k]);
    }
}

static void test_rng__streams_differ_and_repeat(void)
{
    us_rng a = us_rng_new(1, "split", 0), b = us_rng_new(1, "split", 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ_U64(us_rng_u64(&a), us_rng_u64(&b));
    us_rng other[] = {us_rng_new(2, "split", 0), us_rng_new(1, "init", 0),
                      us_rng_new(1, "split", 1)};
    for (size_t i = 0; i < US_LEN(other); i++) {
        us_rng first = us_rng_new(1, "split", 0);
        CHECK(us_rng_u64(&first) != us_rng_u64(&other[i]));
    }
}

static void test_rng__counter_carries(void)
{
    us_rng r = us_rng_new(3, "x", 9);
    r.ctr[0] = UINT32_MAX;
    (void)us_rng_u32(&r);
    CHECK_EQ_U64(r.ctr[0], 0);
    CHECK_EQ_U64(r.ctr[1], 1);
    CHECK_EQ_U64(r.ctr[2], 9); /* the index is not reached */
}

static void test_rng__distributions(void)
{
    us_rng r = us_rng_new(4, "dist", 0);
    double sum = 0, sum2 = 0, u = 0;
    const int n = 200000;
    uint32_t hits[7] = {0};
    for (int i = 0; i < n; i++) {
        double x = us_rng_f64(&r), z = us_rng_normal(&r);
        float f = us_rng_f32(&r);
        CHECK(x >= 0 && x < 1 && f >= 0 && f < 1);
        u += x;
        sum += z;
        sum2 += z * z;
        hits[us_rng_below(&r, 7)]++;
    }
    CHECK_NEAR(u / n, 0.5, 0.004); /* 6 standard errors */
    CHECK_NEAR(sum / n, 0.0, 0.014);
    CHECK_NEAR(sum2 / n, 1.0, 0.02);
    for (int i = 0; i < 7; i++)
        CHECK_NEAR(hits[i], n / 7.0, 6 * 157.0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ_U64(us_rng_below(&r, 1), 0);
        CHECK(us_rng_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

static void test_rng__shuffle_is_a_permutation(void)
{
    uint32_t p[257];
    bool seen[257] = {false};
    us_rng r = us_rng_new(5, "shuffle", 0);
    for (uint32_t i = 0; i < US_LEN(p); i++)
        p[i] = i;
    us_rng_shuffle_u32(&r, p, US_LEN(p));
    size_t moved = 0;
    for (uint32_t i = 0; i < US_LEN(p); i++) {
        CHECK(!seen[p[i]]);
        seen[p[i]] = true;
        moved += p[i] != i;
    }
    CHECK(moved > 200);
    us_rng_shuffle_u32(&r, p, 0);
}

/* Check value of the CRC catalogue; RFC 3720 B.4 for the 32-byte patterns. */
static void test_crc__known_answers(void)
{
    uint8_t b[32];
    CHECK_EQ_U64(us_crc32c(0, "123456789", 9), 0xE3069283);
    memset(b, 0, sizeof b);
    CHECK_EQ_U64(us_crc32c(0, b, 32), 0x8A9136AA);
    memset(b, 0xFF, sizeof b);
    CHECK_EQ_U64(us_crc32c(0, b, 32), 0x62A8AB43);
    CHECK_EQ_U64(us_crc32c(0, b, 0), 0);
}

/* Bit by bit from the polynomial: the definition. */
static uint32_t crc_definition(const uint8_t *p, size_t n)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
    }
    return ~c;
}

static void test_crc__any_length_offset_and_cut(void)
{
    uint8_t b[200];
    us_rng r = us_rng_new(6, "crc", 0);
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)us_rng_u32(&r);
    for (size_t off = 0; off < 9; off++)
        for (size_t n = 0; n + off <= 150; n++) {
            uint32_t want = crc_definition(b + off, n);
            CHECK_EQ_U64(us_crc32c(0, b + off, n), want);
            CHECK_EQ_U64(us_crc32c(us_crc32c(0, b + off, n / 3), b + off + n / 3, n - n / 3),
                         want);
        }
}

static void test_clock__moves(void)
{
    uint64_t t = us_now_ns(), cpu = us_cpu_ns();
    while (us_now_ns() < t + 2000000) {
    }
    CHECK(us_cpu_ns() > cpu);
    CHECK(us_wall_us() > INT64_C(1700000000000000));
    CHECK(us_rss_bytes() > 100000 && us_rss_peak_bytes() >= us_rss_bytes() / 2);
    CHECK(us_cpu_count() >= 1);
}

static void test_calendar__known_days(void)
{
    char text[32];
    CHECK_EQ_I64(us_civil_to_us(1970, 1, 1, 0, 0, 0, 0), 0);
    CHECK_EQ_I64(us_civil_to_us(2000, 2, 29, 12, 30, 15, 7), INT64_C(951827415000007));
    CHECK_EQ_I64(us_civil_to_us(1969, 12, 31, 23, 59, 59, 999999), -1);
    CHECK_EQ_I64(us_civil_to_us(1, 1, 1, 0, 0, 0, 0), INT64_C(-62135596800000000));
    CHECK_EQ_STR(us_print_time(-1, text), "1969-12-31T23:59:59Z");
    CHECK_EQ_STR(us_print_time(INT64_C(951827415000007), text), "2000-02-29T12:30:15Z");
}

static void test_calendar__round_trip(void)
{
    for (int64_t us = INT64_C(-70000000000000000); us < INT64_C(90000000000000000);
         us += INT64_C(1234567890123457)) {
        int64_t y;
        int mo, d, h, mi, s, u;
        us_us_to_civil(us, &y, &mo, &d, &h, &mi, &s, &u);
        CHECK(mo >= 1 && mo <= 12 && d >= 1 && d <= 31 && h < 24 && mi < 60 && s < 60);
        CHECK_EQ_I64(us_civil_to_us(y, mo, d, h, mi, s, u), us);
    }
}

static const us_test_case cases[] = {
    US_CASE(test_philox__known_answers),          US_CASE(test_rng__streams_differ_and_repeat),
    US_CASE(test_rng__counter_carries),           US_CASE(test_rng__distributions),
    US_CASE(test_rng__shuffle_is_a_permutation),  US_CASE(test_crc__known_answers),
    US_CASE(test_crc__any_length_offset_and_cut), US_CASE(test_clock__moves),
    US_CASE(test_calendar__known_days),           US_CASE(test_calendar__round_trip),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
