/* test_dtype.c - element types: sizes, conversions, and the small floats against their definition.
 *
 * Rounding is checked by search: the encoder must give a neighbour that no other value of the format beats,
 * and of two equally near ones the even. Every value of every format must survive a round trip. */
#include <string.h>

#include "base/rng.h"
#include "tensor/dtype.h"
#include "us_test.h"

static void test_dtype__names_and_sizes(void)
{
    size_t n;
#define X(id, number, nm, bits_, class_)                                                       \
    {                                                                                          \
        const us_dtype_info *d = us_dtype_get(US_##id);                                        \
        CHECK_EQ_STR(d->name, nm);                                                             \
        CHECK_EQ_U64(d->bits, bits_);                                                          \
        CHECK_EQ_U64(d->cls, US_DC_##class_);                                                  \
        CHECK(us_dtype_find(us_sv_of(nm)) == US_##id);                                         \
        CHECK(us_dtype_bytes(US_##id, 8, &n) && n == bits_);                                   \
    }
    US_DTYPE_LIST(X)
#undef X
    CHECK_EQ_STR(us_dtype_get((us_dtype)99)->name, "invalid");
    CHECK_EQ_STR(us_dtype_get((us_dtype)-1)->name, "invalid");
    CHECK(us_dtype_find(US_SV("floa")) == US_DT_NONE);
    CHECK(us_dtype_bytes(US_I4, 3, &n) && n == 2);
    CHECK(us_dtype_bytes(US_U2, 5, &n) && n == 2);
    CHECK(us_dtype_bytes(US_U4, SIZE_MAX, &n) && n == SIZE_MAX / 2 + 1);
    CHECK(!us_dtype_bytes(US_F64, SIZE_MAX / 4, &n));
}

static double decode(us_dtype t, uint32_t bits)
{
    uint16_t v = (uint16_t)bits;
    uint8_t b = (uint8_t)bits;
    double out;
    us_dtype_get(t)->to_f64(us_dtype_get(t)->bits == 16 ? (void *)&v : (void *)&b, 0, 1, &out);
    return out;
}
static uint32_t encode(us_dtype t, double x)
{
    uint16_t v = 0;
    uint8_t b = 0;
    us_dtype_get(t)->from_f64(us_dtype_get(t)->bits == 16 ? (void *)&v : (void *)&b, 0, 1, &x);
    return us_dtype_get(t)->bits == 16 ? v : b;
}

static const us_dtype small[] = {US_F16,    US_BF16,       US_F8E4M3FN, US_F8E4M3FNUZ,
                                 US_F8E5M2, US_F8E5M2FNUZ, US_F4E2M1,   US_F8E8M0};

static void test_smallfloat__every_value_survives(void)
{
    for (size_t i = 0; i < US_LEN(small); i++) {
        us_dtype t = small[i];
        uint32_t n = 1u << us_dtype_get(t)->bits;
        for (uint32_t b = 0; b < n; b++) {
            double v = decode(t, b);
            if (isnan(v)) {
                CHECK(isnan(decode(t, encode(t, v))));
            } else if (isinf(v) && t == US_F8E5M2) {
                CHECK_NEAR(decode(t, encode(t, v)), copysign(57344, v), 0); /* saturates */
            } else {
                CHECK_EQ_U64(encode(t, v), b);
            }
        }
    }
}

/* Known values of each format: ONNX's table of float8 (docs, "Float stored in 8 bits"), OCP MX 1.0. */
static void test_smallfloat__known_values(void)
{
    static const struct {
        us_dtype t;
        uint32_t bits;
        double v;
    } rows[] = {
        {US_F16, 0x3C00, 1},
        {US_F16, 0x7BFF, 65504},
        {US_F16, 1, 0x1p-24},
        {US_F16, 0xFC00, -(double)INFINITY},
        {US_BF16, 0x3F80, 1},
        {US_BF16, 1, 0x1p-133},
        {US_BF16, 0x7F80, (double)INFINITY},
        {US_F8E4M3FN, 0x7E, 448},
        {US_F8E4M3FN, 1, 0x1p-9},
        {US_F8E4M3FN, 0xB8, -1},
        {US_F8E4M3FNUZ, 0x7F, 240},
        {US_F8E4M3FNUZ, 1, 0x1p-10},
        {US_F8E5M2, 0x7B, 57344},
        {US_F8E5M2, 0x7C, (double)INFINITY},
        {US_F8E5M2, 1, 0x1p-16},
        {US_F8E5M2FNUZ, 0x7F, 57344},
        {US_F8E5M2FNUZ, 1, 0x1p-17},
        {US_F4E2M1, 7, 6},
        {US_F4E2M1, 1, 0.5},
        {US_F4E2M1, 0xF, -6},
        {US_F8E8M0, 127, 1},
        {US_F8E8M0, 0, 0x1p-127},
        {US_F8E8M0, 254, 0x1p127},
    };
    for (size_t i = 0; i < US_LEN(rows); i++)
        CHECK_NEAR(decode(rows[i].t, rows[i].bits), rows[i].v, 0);
    CHECK(isnan(decode(US_F8E4M3FN, 0x7F)) && isnan(decode(US_F8E4M3FN, 0xFF)));
    CHECK(isnan(decode(US_F8E4M3FNUZ, 0x80)) && isnan(decode(US_F8E5M2FNUZ, 0x80)));
    CHECK(isnan(decode(US_F8E5M2, 0x7D)) && isnan(decode(US_F8E8M0, 0xFF)));
}

/* No other value of the format is nearer; of two equally near ones the even bit pattern is taken. */
static void check_nearest(us_dtype t, double x)
{
    uint32_t n = 1u << us_dtype_get(t)->bits, got = encode(t, x);
    double d = fabs(decode(t, got) - x);
    for (uint32_t b = 0; b < n; b++) {
        double v = decode(t, b);
        if (!isfinite(v)) continue;
        double other = fabs(v - x);
        bool even_wins = other == d && v != decode(t, got) && (got & 1) && !(b & 1);
        if (other < d || even_wins)
            US_TEST_FAIL("%s: %.17g became %.17g (0x%x), nearer or even is %.17g (0x%x)",
                         us_dtype_get(t)->name, x, decode(t, got), got, v, b);
    }
}

static void test_smallfloat__rounds_to_nearest_even(void)
{
    us_rng r = us_rng_new(1, "dtype", 0);
    for (size_t i = 2; i < US_LEN(small) - 1; i++) { /* 8 and 4 bits, without E8M0 */
        us_dtype t = small[i];
        uint32_t n = 1u << us_dtype_get(t)->bits;
        double max = 0;
        for (uint32_t b = 0; b + 1 < n / 2; b++) {
            double v = decode(t, b), w = decode(t, b + 1);
            if (!isfinite(v) || !isfinite(w)) continue;
            max = w;
            check_nearest(t, (v + w) / 2);
            check_nearest(t, nextafter((v + w) / 2, 0));
            check_nearest(t, -nextafter((v + w) / 2, w));
        }
        for (int k = 0; k < 300; k++)
            check_nearest(t, (us_rng_f64(&r) * 2 - 1) * max *
                                 pow(2, -(double)us_rng_below(&r, 12)));
        CHECK_NEAR(decode(t, encode(t, max * 64)), max, 0); /* saturates */
        CHECK_NEAR(decode(t, encode(t, -1e300)), -max, 0);
    }
}

/* Through double, against the hardware's own float -> float16 rule worked out on the grid. */
static void test_f16__ties_overflow_and_nan(void)
{
    CHECK_EQ_U64(us_f32_to_f16(65519.996f), 0x7BFF);
    CHECK_EQ_U64(us_f32_to_f16(65520), 0x7C00);
    CHECK_EQ_U64(us_f32_to_f16(-1e30f), 0xFC00);
    CHECK_EQ_U64(us_f32_to_f16(0x1p-25f), 0);
    CHECK_EQ_U64(us_f32_to_f16(0x1.000002p-25f), 1);
    CHECK_EQ_U64(us_f32_to_f16(0x1.8p-24f), 2);
    CHECK_EQ_U64(us_f32_to_f16(1 + 0x1p-11f), 0x3C00);
    CHECK_EQ_U64(us_f32_to_f16(1 + 0x3p-11f), 0x3C02);
    CHECK_EQ_U64(us_f32_to_f16(-0.0f), 0x8000);
    CHECK(isnan(us_f16_to_f32(us_f32_to_f16(NAN))));
    for (uint32_t b = 0; b < 65536; b++) {
        float v = us_f16_to_f32((uint16_t)b);
        if (!isnan(v)) CHECK_EQ_U64(us_f32_to_f16(v), b);
    }
}

static void test_bf16__ties_overflow_and_nan(void)
{
    union {
        uint32_t u;
        float f;
    } v = {.u = 0x7F800001}; /* its NaN bits all lie below bfloat16's */
    CHECK(isnan(us_bf16_to_f32(us_f32_to_bf16(v.f))));
    CHECK_EQ_U64(us_f32_to_bf16(1 + 0x1p-8f), 0x3F80);
    CHECK_EQ_U64(us_f32_to_bf16(1 + 0x3p-8f), 0x3F82);
    CHECK_EQ_U64(us_f32_to_bf16(3.4e38f), 0x7F80);
    us_rng r = us_rng_new(2, "bf16", 0);
    for (int i = 0; i < 20000; i++) {
        v.u = us_rng_u32(&r);
        if (isnan(v.f)) continue;
        CHECK_EQ_U64(us_f32_to_bf16(v.f), encode(US_BF16, (double)v.f)); /* both ways agree */
    }
}

static void test_integers__saturate_and_wrap(void)
{
    static const double in[] = {-1e300, -128.9, -1.5,  -0.0,       1.99,
                                127.5,  300,    1e300, (double)NAN};
    static const int8_t want[] = {-128, -128, -1, 0, 1, 127, 127, 127, 0};
    static const uint8_t uwant[] = {0, 0, 0, 0, 1, 127, 255, 255, 0};
    int8_t i8[US_LEN(in)];
    uint8_t u8[US_LEN(in)];
    us_dtype_get(US_I8)->from_f64(i8, 0, US_LEN(in), in);
    us_dtype_get(US_U8)->from_f64(u8, 0, US_LEN(in), in);
    CHECK_EQ_MEM(i8, want, sizeof i8);
    CHECK_EQ_MEM(u8, uwant, sizeof u8);
    int64_t i64[3], wide[] = {-1, 256 + 7, INT64_MIN};
    static const double edge[] = {0x1p63, -0x1p63, 0x1p62};
    us_dtype_get(US_I64)->from_f64(i64, 0, 3, edge);
    CHECK(i64[0] == INT64_MAX && i64[1] == INT64_MIN && i64[2] == INT64_C(1) << 62);
    us_dtype_get(US_U8)->from_i64(u8, 0, 3, wide);
    CHECK(u8[0] == 255 && u8[1] == 7 && u8[2] == 0);
    us_dtype_get(US_BOOL)->from_i64(u8, 0, 3, wide);
    CHECK(u8[0] == 1 && u8[1] == 1 && u8[2] == 1);
    uint64_t u64;
    us_dtype_get(US_U64)->from_f64(&u64, 0, 1, &(double){0x1p64});
    CHECK_EQ_U64(u64, UINT64_MAX);
}

static void test_packed__neighbours_stay(void)
{
    static const us_dtype types[] = {US_U4, US_I4, US_U2, US_I2, US_F4E2M1};
    for (size_t k = 0; k < US_LEN(types); k++) {
        const us_dtype_info *d = us_dtype_get(types[k]);
        uint8_t mem[7]; /* 13 elements of 4 bits */
        for (size_t i0 = 0; i0 < 9; i0++)
            for (size_t n = 0; n <= 5; n++) {
                double v[5], back[5];
                for (size_t i = 0; i < n; i++)
                    v[i] = d->cls == US_DC_INT ? -(double)(i % 3) : (double)(i % 3);
                memset(mem, 0x5A, sizeof mem);
                d->from_f64(mem, i0, n, v);
                d->to_f64(mem, i0, n, back);
                for (size_t i = 0; i < n; i++)
                    CHECK_NEAR(back[i], v[i], 0);
                for (size_t bit = 0; bit < sizeof mem * 8; bit++)
                    if (bit < i0 * d->bits || bit >= (i0 + n) * d->bits)
                        CHECK_EQ_U64(mem[bit / 8] >> bit % 8 & 1, 0x5A >> bit % 8 & 1);
            }
    }
    uint8_t low_first;
    us_dtype_get(US_I4)->from_i64(&low_first, 0, 2, (int64_t[]){1, -2});
    CHECK_EQ_U64(low_first, 0xE1);
}

static const us_test_case cases[] = {
    US_CASE(test_dtype__names_and_sizes),      US_CASE(test_smallfloat__every_value_survives),
    US_CASE(test_smallfloat__known_values),    US_CASE(test_smallfloat__rounds_to_nearest_even),
    US_CASE(test_f16__ties_overflow_and_nan),  US_CASE(test_bf16__ties_overflow_and_nan),
    US_CASE(test_integers__saturate_and_wrap), US_CASE(test_packed__neighbours_stay),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
