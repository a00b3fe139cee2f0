/* The sum of bytes: the same in pieces of any size, another for any change, the same on every machine. */
#include "us_test.h"

#include "base/sum.h"

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 131 + (i >> 8));
}

static void test_sum__pieces(void)
{
    uint8_t p[1000];
    us_sum s;
    fill(p, sizeof p);
    for (size_t n = 0; n <= 300; n++) {
        uint64_t whole = us_sum_of(p, n);
        for (size_t cut = 1; cut < 140; cut += 7) {
            us_sum_init(&s);
            for (size_t at = 0; at < n; at += cut)
                us_sum_add(&s, p + at, US_MIN(cut, n - at));
            CHECK_EQ_U64(us_sum_done(&s), whole);
        }
    }
}

static void test_sum__every_bit_counts(void)
{
    uint8_t p[200];
    fill(p, sizeof p);
    uint64_t was = us_sum_of(p, sizeof p);
    for (size_t i = 0; i < sizeof p * 8; i++) {
        p[i / 8] ^= (uint8_t)(1u << i % 8);
        CHECK(us_sum_of(p, sizeof p) != was);
        p[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

/* Zeros at the end count, and so does where pieces lie. */
static void test_sum__length_and_order(void)
{
    uint8_t p[256] = {0};
    for (size_t n = 1; n < sizeof p; n++)
        CHECK(us_sum_of(p, n) != us_sum_of(p, n - 1));
    p[3] = 1;
    uint64_t a = us_sum_of(p, sizeof p);
    p[3] = 0;
    p[67] = 1;
    CHECK(us_sum_of(p, sizeof p) != a);
}

/* Stored in files: a change of these is a change of the format. */
static void test_sum__known(void)
{
    uint8_t p[1000];
    fill(p, sizeof p);
    CHECK_EQ_U64(us_sum_of(NULL, 0), 0x4cbd20031b4bde46);
    CHECK_EQ_U64(us_sum_of("123456789", 9), 0x22bfaa726aabc3eb);
    CHECK_EQ_U64(us_sum_of(p, sizeof p), 0xc87aa61e6a3c6b1a);
}

static const us_test_case cases[] = {
    US_CASE(test_sum__pieces),
    US_CASE(test_sum__every_bit_counts),
    US_CASE(test_sum__length_and_order),
    US_CASE(test_sum__known),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
