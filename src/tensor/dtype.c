/* tensor/dtype.c - the traits table: a row per element type, conversions from a template per C type. */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

#include "tensor/smallfloat.h"

/* Saturating truncation: what a cast from double means here, also where C leaves it undefined. */
static int64_t saturate_i64(double x, int64_t lo, int64_t hi)
{
    if (isnan(x)) return 0;
    if (x <= (double)lo) return lo;
    if (x >= (double)hi) return hi;
    return (int64_t)x;
}

static uint64_t saturate_u64(double x, uint64_t hi)
{
    if (!(x > 0)) return 0;
    if (x >= (double)hi) return hi;
    return (uint64_t)x;
}

/* clang-format off */
#define CONVERSIONS(name, T, FROM_F64)                                                              \
    static void name##_to_f64(const void *src, size_t i0, size_t n, double *dst)                    \
    { const T *s = (const T *)src + i0; for (size_t i = 0; i < n; i++) dst[i] = (double)s[i]; }     \
    static void name##_from_f64(void *dst, size_t i0, size_t n, const double *src)                  \
    { T *d = (T *)dst + i0; for (size_t i = 0; i < n; i++) d[i] = (T)FROM_F64; }                    \
    static void name##_to_i64(const void *src, size_t i0, size_t n, int64_t *dst)                   \
    { const T *s = (const T *)src + i0; for (size_t i = 0; i < n; i++) dst[i] = TO_I64(T, s[i]); }  \
    static void name##_from_i64(void *dst, size_t i0, size_t n, const int64_t *src)                 \
    { T *d = (T *)dst + i0; for (size_t i = 0; i < n; i++) d[i] = (T)src[i]; }

#define TO_I64(T, v) (int64_t)(v)
CONVERSIONS(i8,  int8_t,   saturate_i64(src[i], INT8_MIN, INT8_MAX))
CONVERSIONS(i16, int16_t,  saturate_i64(src[i], INT16_MIN, INT16_MAX))
CONVERSIONS(i32, int32_t,  saturate_i64(src[i], INT32_MIN, INT32_MAX))
CONVERSIONS(i64, int64_t,  saturate_i64(src[i], INT64_MIN, INT64_MAX))
CONVERSIONS(u8,  uint8_t,  saturate_u64(src[i], UINT8_MAX))
CONVERSIONS(u16, uint16_t, saturate_u64(src[i], UINT16_MAX))
CONVERSIONS(u32, uint32_t, saturate_u64(src[i], UINT32_MAX))
CONVERSIONS(u64, uint64_t, saturate_u64(src[i], UINT64_MAX))
#undef TO_I64
#define TO_I64(T, v) saturate_i64((double)(v), INT64_MIN, INT64_MAX)
CONVERSIONS(f32, float,  src[i])
CONVERSIONS(f64, double, src[i])
#undef TO_I64
/* clang-format on */

static void bool_to_f64(const void *src, size_t i0, size_t n, double *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = ((const uint8_t *)src)[i0 + i] != 0;
}
static void bool_from_f64(void *dst, size_t i0, size_t n, const double *src)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)dst)[i0 + i] = src[i] != 0;
}
static void bool_to_i64(const void *src, size_t i0, size_t n, int64_t *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = ((const uint8_t *)src)[i0 + i] != 0;
}
static void bool_from_i64(void *dst, size_t i0, size_t n, const int64_t *src)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)dst)[i0 + i] = src[i] != 0;
}

/* 4-bit and 2-bit elements: `per` of them in a byte, the first in the low bits. */
static uint32_t packed_get(const void *src, size_t i, unsigned bits)
{
    unsigned per = 8 / bits;
    return (uint32_t)(((const uint8_t *)src)[i / per] >> (i % per * bits)) & ((1u << bits) - 1);
}
static void packed_set(void *dst, size_t i, unsigned bits, uint32_t v)
{
    unsigned per = 8 / bits, shift = (unsigned)(i % per) * bits,
             mask = ((1u << bits) - 1) << shift;
    uint8_t *b = (uint8_t *)dst + i / per;
    *b = (uint8_t)((*b & ~mask) | ((v << shift) & mask));
}
static int64_t sign_extend(uint32_t v, unsigned bits)
{
    return v >> (bits - 1) & 1 ? (int64_t)v - ((int64_t)1 << bits) : (int64_t)v;
}

/* clang-format off */
#define PACKED(name, bits, LO, HI, GET)                                                             \
    static void name##_to_f64(const void *src, size_t i0, size_t n, double *dst)                    \
    { for (size_t i = 0; i < n; i++) { uint32_t v = packed_get(src, i0 + i, bits); dst[i] = (double)(GET); } }   \
    static void name##_from_f64(void *dst, size_t i0, size_t n, const double *src)                  \
    { for (size_t i = 0; i < n; i++) packed_set(dst, i0 + i, bits, (uint32_t)saturate_i64(src[i], LO, HI)); }      \
    static void name##_to_i64(const void *src, size_t i0, size_t n, int64_t *dst)                   \
    { for (size_t i = 0; i < n; i++) { uint32_t v = packed_get(src, i0 + i, bits); dst[i] = (int64_t)(GET); } }  \
    static void name##_from_i64(void *dst, size_t i0, size_t n, const int64_t *src)                 \
    { for (size_t i = 0; i < n; i++) packed_set(dst, i0 + i, bits, (uint32_t)src[i]); }
PACKED(u4, 4, 0, 15, v)
PACKED(i4, 4, -8, 7, sign_extend(v, 4))
PACKED(u2, 2, 0, 3, v)
PACKED(i2, 2, -2, 1, sign_extend(v, 2))

#define SMALLFLOAT(name, T, FMT, SATURATE)                                                          \
    static void name##_to_f64(const void *src, size_t i0, size_t n, double *dst)                    \
    { for (size_t i = 0; i < n; i++) dst[i] = us_sf_decode(FMT, ((const T *)src)[i0 + i]); }        \
    static void name##_from_f64(void *dst, size_t i0, size_t n, const double *src)                  \
    { for (size_t i = 0; i < n; i++) ((T *)dst)[i0 + i] = (T)us_sf_encode(FMT, src[i], SATURATE); } \
    static void name##_to_i64(const void *src, size_t i0, size_t n, int64_t *dst)                   \
    { for (size_t i = 0; i < n; i++) dst[i] = saturate_i64(us_sf_decode(FMT, ((const T *)src)[i0 + i]), INT64_MIN, INT64_MAX); } \
    static void name##_from_i64(void *dst, size_t i0, size_t n, const int64_t *src)                 \
    { for (size_t i = 0; i < n; i++) ((T *)dst)[i0 + i] = (T)us_sf_encode(FMT, (double)src[i], SATURATE); }
SMALLFLOAT(f16, uint16_t, &us_sf_f16, false)
SMALLFLOAT(bf16, uint16_t, &us_sf_bf16, false)
SMALLFLOAT(f8e4m3fn, uint8_t, &us_sf_e4m3fn, true)
SMALLFLOAT(f8e4m3fnuz, uint8_t, &us_sf_e4m3fnuz, true)
SMALLFLOAT(f8e5m2, uint8_t, &us_sf_e5m2, true)
SMALLFLOAT(f8e5m2fnuz, uint8_t, &us_sf_e5m2fnuz, true)
SMALLFLOAT(f8e8m0, uint8_t, &us_sf_e8m0, true)
/* clang-format on */

static void f4e2m1_to_f64(const void *src, size_t i0, size_t n, double *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = us_sf_decode(&us_sf_e2m1, packed_get(src, i0 + i, 4));
}
static void f4e2m1_from_f64(void *dst, size_t i0, size_t n, const double *src)
{
    for (size_t i = 0; i < n; i++)
        packed_set(dst, i0 + i, 4, us_sf_encode(&us_sf_e2m1, src[i], true));
}
static void f4e2m1_to_i64(const void *src, size_t i0, size_t n, int64_t *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (int64_t)us_sf_decode(&us_sf_e2m1, packed_get(src, i0 + i, 4));
}
static void f4e2m1_from_i64(void *dst, size_t i0, size_t n, const int64_t *src)
{
    for (size_t i = 0; i < n; i++)
        packed_set(dst, i0 + i, 4, us_sf_encode(&us_sf_e2m1, (double)src[i], true));
}

#define ROW(nm, bits, cls, align, fn)                                                          \
    {                                                                                          \
        nm, bits, US_DC_##cls, align, fn##_to_f64, fn##_from_f64, fn##_to_i64, fn##_from_i64   \
    }
static const us_dtype_info infos[US_DTYPE_N] = {
    [US_F32] = ROW("float", 32, FLOAT, 4, f32),
    [US_U8] = ROW("uint8", 8, UINT, 1, u8),
    [US_I8] = ROW("int8", 8, INT, 1, i8),
    [US_U16] = ROW("uint16", 16, UINT, 2, u16),
    [US_I16] = ROW("int16", 16, INT, 2, i16),
    [US_I32] = ROW("int32", 32, INT, 4, i32),
    [US_I64] = ROW("int64", 64, INT, 8, i64),
    [US_STRING] = {"string", sizeof(us_sv) * 8, US_DC_STRING, _Alignof(us_sv), NULL, NULL, NULL,
                   NULL},
    [US_BOOL] = ROW("bool", 8, BOOL, 1, bool),
    [US_F16] = ROW("float16", 16, FLOAT, 2, f16),
    [US_F64] = ROW("double", 64, FLOAT, 8, f64),
    [US_U32] = ROW("uint32", 32, UINT, 4, u32),
    [US_U64] = ROW("uint64", 64, UINT, 8, u64),
    [US_C64] = {"complex64", 64, US_DC_COMPLEX, 4, NULL, NULL, NULL, NULL},
    [US_C128] = {"complex128", 128, US_DC_COMPLEX, 8, NULL, NULL, NULL, NULL},
    [US_BF16] = ROW("bfloat16", 16, FLOAT, 2, bf16),
    [US_F8E4M3FN] = ROW("float8e4m3fn", 8, FLOAT, 1, f8e4m3fn),
    [US_F8E4M3FNUZ] = ROW("float8e4m3fnuz", 8, FLOAT, 1, f8e4m3fnuz),
    [US_F8E5M2] = ROW("float8e5m2", 8, FLOAT, 1, f8e5m2),
    [US_F8E5M2FNUZ] = ROW("float8e5m2fnuz", 8, FLOAT, 1, f8e5m2fnuz),
    [US_U4] = ROW("uint4", 4, UINT, 1, u4),
    [US_I4] = ROW("int4", 4, INT, 1, i4),
    [US_F4E2M1] = ROW("float4e2m1", 4, FLOAT, 1, f4e2m1),
    [US_F8E8M0] = ROW("float8e8m0", 8, FLOAT, 1, f8e8m0),
    [US_U2] = ROW("uint2", 2, UINT, 1, u2),
    [US_I2] = ROW("int2", 2, INT, 1, i2),
};

#define X(id, number, name, bits, cls) _Static_assert(US_##id < US_DTYPE_N, "row missing");
US_DTYPE_LIST(X)
#undef X

const us_dtype_info *us_dtype_get(us_dtype t)
{
    static const us_dtype_info invalid = {.name = "invalid"};
    return (unsigned)t < US_DTYPE_N && infos[t].name ? &infos[t] : &invalid;
}

us_dtype us_dtype_find(us_sv name)
{
    for (int t = 1; t < US_DTYPE_N; t++)
        if (infos[t].name && us_sv_is(name, infos[t].name)) return (us_dtype)t;
    return US_DT_NONE;
}

bool us_dtype_bytes(us_dtype t, size_t n, size_t *out)
{
    unsigned bits = us_dtype_get(t)->bits;
    if (bits >= 8) return us_mul_size(n, bits / 8, out);
    if (!bits) {
        *out = 0;
        return n == 0;
    }
    unsigned per = 8 / bits;
    *out = n / per + (n % per != 0);
    return true;
}
