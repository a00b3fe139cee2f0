/* usta/types.h - what all other headers speak of: version, error codes, strings, tensors, values.
 *
 * A tensor and a value are plain structs that own nothing: they may lie on the stack, be copied and be thrown away. Memory they
 * point to belongs to whoever made it; each function says for how long it is borrowed or lent.
 *
 * Structs that may grow carry their size. `struct_size` comes first, is set by a function whose name ends in defaults, or by the caller to the sizeof of
 * the struct it was compiled with, and the library reads and writes no more than that. So a program runs with a newer library
 * without being compiled again, and a newer program with an older library finds fields that it does not know left as they were.
 * usta_str, usta_tensor and usta_value have no such field: they are passed in arrays and never change.
 *
 * Threading: everything in this header may be called from any thread at any time.
 */
#ifndef USTA_TYPES_H
#define USTA_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#    define USTA_API  __attribute__((visibility("default")))
#    define USTA_MUST __attribute__((warn_unused_result))
#else
#    define USTA_API
#    define USTA_MUST
#endif

/* --- version and features --------------------------------------------------------------------- */

/* The version of these headers.
 * Since:   0.1 */
#define USTA_VERSION_MAJOR 0
#define USTA_VERSION_MINOR 1
#define USTA_VERSION_PATCH 0

/* "0.1.0": the version of the library at run time; never NULL, never freed.
 * Since:   0.1 */
USTA_API const char *usta_version(void);

/* What this build can use on this processor, as bits.
 * Since:   0.1 */
#define USTA_FEATURE_AVX2    ((uint64_t)1) /* AVX2, FMA, F16C kernels */
#define USTA_FEATURE_AVX512  ((uint64_t)2) /* AVX-512 F, BW, DQ, VL kernels */
#define USTA_FEATURE_THREADS ((uint64_t)4) /* a thread pool */
#define USTA_FEATURE_NEON    ((uint64_t)8) /* NEON kernels, on 64-bit ARM */
USTA_API uint64_t usta_features(void);

/* --- errors ------------------------------------------------------------------------------------- */

/* What a call that can fail returns. Numbers are ABI: appended to, never reused.
 * Since:   0.1 */
typedef int32_t usta_err;
#define USTA_OK        0
#define USTA_NOMEM     (-1)  /* out of memory */
#define USTA_ARG       (-2)  /* a caller's mistake: NULL, an index out of range, a wrong type */
#define USTA_SHAPE     (-3)  /* shapes do not agree */
#define USTA_FORMAT    (-4)  /* malformed input */
#define USTA_UNSUPP    (-5)  /* well-formed, but not supported here */
#define USTA_IO        (-6)  /* reading failed */
#define USTA_LIMIT     (-7)  /* a limit was exceeded */
#define USTA_NOTFOUND  (-8)  /* no such thing */
#define USTA_NO        (-9)  /* the answer is no */
#define USTA_CANCELLED (-10) /* the caller asked to stop */
#define USTA_BUG       (-99) /* an internal invariant is broken: please report */

/* "shapes do not agree"; never NULL, also for numbers that are no code.
 * Since:   0.1 */
USTA_API const char *usta_err_text(usta_err e);

/* "SHAPE"; "UNKNOWN" for numbers that are no code.
 * Since:   0.1 */
USTA_API const char *usta_err_name(usta_err e);

/* --- strings ------------------------------------------------------------------------------------ */

/* Bytes, usually UTF-8, not terminated; p may be NULL when n is 0. Names are plain C strings instead: a name with a zero byte in
 * it ends there. For printf: printf("%.*s", USTA_STR_ARG(s)).
 * Since:   0.1 */
typedef struct usta_str {
    const char *p;
    size_t n;
} usta_str;
#define USTA_STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

/* --- tensors ------------------------------------------------------------------------------------ */

/* Element types; the numbers of ONNX TensorProto.DataType. Types of less than a byte are packed, first element in the low bits.
 * A string element is a usta_str, complex ones are pairs (real, imaginary).
 * Since:   0.1 */
typedef int32_t usta_type;
#define USTA_TYPE_NONE           0 /* not known, or not a tensor */
#define USTA_TYPE_FLOAT          1
#define USTA_TYPE_UINT8          2
#define USTA_TYPE_INT8           3
#define USTA_TYPE_UINT16         4
#define USTA_TYPE_INT16          5
#define USTA_TYPE_INT32          6
#define USTA_TYPE_INT64          7
#define USTA_TYPE_STRING         8
#define USTA_TYPE_BOOL           9
#define USTA_TYPE_FLOAT16        10
#define USTA_TYPE_DOUBLE         11
#define USTA_TYPE_UINT32         12
#define USTA_TYPE_UINT64         13
#define USTA_TYPE_COMPLEX64      14
#define USTA_TYPE_COMPLEX128     15
#define USTA_TYPE_BFLOAT16       16
#define USTA_TYPE_FLOAT8E4M3FN   17
#define USTA_TYPE_FLOAT8E4M3FNUZ 18
#define USTA_TYPE_FLOAT8E5M2     19
#define USTA_TYPE_FLOAT8E5M2FNUZ 20
#define USTA_TYPE_UINT4          21
#define USTA_TYPE_INT4           22
#define USTA_TYPE_FLOAT4E2M1     23
#define USTA_TYPE_FLOAT8E8M0     24
#define USTA_TYPE_UINT2          25
#define USTA_TYPE_INT2           26

/* "float", "int64"; "invalid" for numbers that are no type.
 * Since:   0.1 */
USTA_API const char *usta_type_name(usta_type t);

/* A dense row-major array.
 * Since:   0.1 */
#define USTA_MAX_RANK 12
typedef struct usta_tensor {
    usta_type type;
    int32_t rank;                /* 0 for a scalar */
    int64_t dims[USTA_MAX_RANK]; /* the first `rank` count */
    void *data; /* product(dims) elements; may be NULL only when there are none */
} usta_tensor;

/* Bytes that the elements take, for any type (for strings: of the usta_str, not of what they point to); 0 when t is NULL or makes
 * no sense.
 * Since:   0.1 */
USTA_API size_t usta_tensor_bytes(const usta_tensor *t);

/* Elements: product(dims), 1 for a scalar; -1 when t is NULL or makes no sense.
 * Since:   0.1 */
USTA_API int64_t usta_tensor_count(const usta_tensor *t);

/* --- values ------------------------------------------------------------------------------------- */

/* Everything that can be an input or output of a model. What is no tensor takes usta_session_run_values.
 * Since:   0.1 */
typedef int32_t usta_kind;
#define USTA_KIND_NONE                                                                         \
    0 /* not there: an optional value that is empty, an input left out; of types: not known */
#define USTA_KIND_TENSOR   1
#define USTA_KIND_SEQUENCE 2 /* items, n_items of them, of one type */
#define USTA_KIND_MAP                                                                          \
    3 /* tensor holds the keys (rank 1: integers or strings), items one value per key */
#define USTA_KIND_OPTIONAL 4 /* of types only: an optional value that is there is its content */
#define USTA_KIND_SPARSE   5 /* of types only: cannot be passed */

/* One of them. Items lie in an array of their own, may be nested 16 deep, and belong to whoever made them, as data of tensors do.
 *
 *     float p[2] = {0.25f, 0.75f};
 *     int64_t k[2] = {0, 1};
 *     usta_value item[2] = {{.kind = USTA_KIND_TENSOR, .tensor = {.type = USTA_TYPE_FLOAT, .data = &p[0]}}, ...};
 *     usta_value map = {.kind = USTA_KIND_MAP, .n_items = 2, .items = item,
 *                       .tensor = {.type = USTA_TYPE_INT64, .rank = 1, .dims = {2}, .data = k}};
 *
 * Since:   0.1 */
typedef struct usta_value {
    usta_kind kind;
    usta_tensor tensor;             /* TENSOR; MAP: the keys */
    const struct usta_value *items; /* SEQUENCE, MAP */
    size_t n_items;
} usta_value;

#ifdef __cplusplus
}
#endif

#endif
