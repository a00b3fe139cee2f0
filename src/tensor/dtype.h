/* tensor/dtype.h - element types, one row each.
 *
 * Numbers are those of ONNX TensorProto.DataType, so the reader needs no translation. Sub-byte types
 * (int4, uint4, float4) are stored packed, first element in the low bits, as ONNX stores them.
 */
#ifndef USTA_TENSOR_DTYPE_H
#define USTA_TENSOR_DTYPE_H

#include "base/ctx.h"
#include "base/str.h"

/* X(id, number, name, bits per element, class): name as in ONNX text and in our text form */
/* clang-format off */
#define US_DTYPE_LIST(X)                              \
    X(F32,      1, "float",          32, FLOAT)       \
    X(U8,       2, "uint8",           8, UINT)        \
    X(I8,       3, "int8",            8, INT)         \
    X(U16,      4, "uint16",         16, UINT)        \
    X(I16,      5, "int16",          16, INT)         \
    X(I32,      6, "int32",          32, INT)         \
    X(I64,      7, "int64",          64, INT)         \
    X(STRING,   8, "string",        128, STRING)      \
    X(BOOL,     9, "bool",            8, BOOL)        \
    X(F16,     10, "float16",        16, FLOAT)       \
    X(F64,     11, "double",         64, FLOAT)       \
    X(U32,     12, "uint32",         32, UINT)        \
    X(U64,     13, "uint64",         64, UINT)        \
    X(C64,     14, "complex64",      64, COMPLEX)     \
    X(C128,    15, "complex128",    128, COMPLEX)     \
    X(BF16,    16, "bfloat16",       16, FLOAT)       \
    X(F8E4M3FN,   17, "float8e4m3fn",   8, FLOAT)     \
    X(F8E4M3FNUZ, 18, "float8e4m3fnuz", 8, FLOAT)     \
    X(F8E5M2,     19, "float8e5m2",     8, FLOAT)     \
    X(F8E5M2FNUZ, 20, "float8e5m2fnuz", 8, FLOAT)     \
    X(U4,      21, "uint4",           4, UINT)        \
    X(I4,      22, "int4",            4, INT)         \
    X(F4E2M1,  23, "float4e2m1",      4, FLOAT)       \
    X(F8E8M0,  24, "float8e8m0",      8, FLOAT)       \
    X(U2,      25, "uint2",           2, UINT)        \
    X(I2,      26, "int2",            2, INT)
/* clang-format on */

typedef enum us_dtype {
    US_DT_NONE = 0,
#define X(id, number, name, bits, cls) US_##id = number,
    US_DTYPE_LIST(X)
#undef X
        US_DTYPE_N
} us_dtype;

typedef enum us_dclass {
    US_DC_NONE,
    US_DC_FLOAT,
    US_DC_INT,
    US_DC_UINT,
    US_DC_BOOL,
    US_DC_STRING,
    US_DC_COMPLEX
} us_dclass;

typedef struct us_dtype_info {
    const char *name;
    uint8_t bits;  /* per element; a STRING element is a us_sv */
    uint8_t cls;   /* us_dclass */
    uint8_t align; /* natural alignment in bytes */
    /* n elements at src (contiguous, this type, starting at element i0 for packed types) to and from
     * double; NULL for strings and complex. Integers beyond 2^53 lose digits: use the i64 pair. From
     * double: floats round to nearest even (overflow: infinity; the 8-bit and 4-bit floats saturate at the
     * largest finite, as ONNX Cast does by default), integers truncate and saturate, bool is x != 0. */
    void (*to_f64)(const void *src, size_t i0, size_t n, double *dst);
    void (*from_f64)(void *dst, size_t i0, size_t n, const double *src);
    void (*to_i64)(const void *src, size_t i0, size_t n, int64_t *dst); /* uint64 wraps */
    void (*from_i64)(void *dst, size_t i0, size_t n,
                     const int64_t *src); /* wraps to the type's width */
} us_dtype_info;

/* Row of t; t outside the list gives a row with name "invalid" and bits 0. */
const us_dtype_info *us_dtype_get(us_dtype t);
us_dtype us_dtype_find(us_sv name); /* US_DT_NONE when unknown */
/* Bytes that n elements take (packed types round up); false on overflow. */
bool us_dtype_bytes(us_dtype t, size_t n, size_t *out);

/* Sets of types, for operator signatures: bit (1 << number). */
typedef uint32_t us_dtype_mask;
#define US_M(id)     ((us_dtype_mask)1 << US_##id)
#define US_M_FLOAT3  (US_M(F16) | US_M(F32) | US_M(F64))
#define US_M_FLOATS  (US_M_FLOAT3 | US_M(BF16))
#define US_M_SINTS   (US_M(I8) | US_M(I16) | US_M(I32) | US_M(I64))
#define US_M_UINTS   (US_M(U8) | US_M(U16) | US_M(U32) | US_M(U64))
#define US_M_INTS    (US_M_SINTS | US_M_UINTS)
#define US_M_NUM     (US_M_FLOATS | US_M_INTS)
#define US_M_COMPLEX (US_M(C64) | US_M(C128))
#define US_M_SMALLF                                                                            \
    (US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(F4E2M1) |      \
     US_M(F8E8M0))
#define US_M_SMALLI (US_M(U4) | US_M(I4) | US_M(U2) | US_M(I2))
#define US_M_ALL    ((us_dtype_mask)0x07FFFFFE)

/* Single values. */
float us_f16_to_f32(uint16_t h);
uint16_t us_f32_to_f16(float x); /* nearest even */
float us_bf16_to_f32(uint16_t h);
uint16_t us_f32_to_bf16(float x); /* nearest even; NaN stays NaN */

#endif
