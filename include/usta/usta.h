/* usta/usta.h - load an ONNX model and run it.
 *
 * The engine under the program `usta`, as a C library without dependencies beyond libc, libm and threads.
 * It reads a model file, plans it once and runs it many times on the caller's buffers:
 *
 *     usta_env *env;
 *     usta_model *model;
 *     usta_session *session;
 *     usta_tensor x = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {1, 64}, .data = pixels};
 *     usta_tensor y;
 *
 *     usta_env_new(NULL, &env);
 *     if (usta_model_open(env, "digits.onnx", &model) != USTA_OK) puts(usta_env_error(env));
 *     usta_session_new(model, NULL, &session);
 *     if (usta_session_run(session, &x, 1, &y, 1) != USTA_OK) puts(usta_session_error(session));
 *     ... ((float *)y.data)[0] ...
 *     usta_session_free(session); usta_model_free(model); usta_env_free(env);
 *
 * Errors: every call that can fail returns a usta_err and leaves its results untouched on failure; one
 * sentence about what was found and what was expected is kept in the object the call was made on.
 *
 * Threading: an environment belongs to one thread at a time. A model never changes once opened and may be
 * shared by sessions in several threads. A session belongs to one thread at a time. Free sessions before
 * their model, models before their environment.
 *
 * Not here: training, data, serving (the program does those); sequences, maps and optional values as
 * inputs or outputs (USTA_UNSUPP).
 *
 * Versions: before 1.0 this interface may change between minor versions; CHANGELOG says so.
 */
#ifndef USTA_USTA_H
#define USTA_USTA_H

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

#define USTA_VERSION_MAJOR 0
#define USTA_VERSION_MINOR 1
#define USTA_VERSION_PATCH 0

/* "0.1.0": the version of the library at run time; never NULL, never freed.
 * Since: 0.1 */
USTA_API const char *usta_version(void);

/* What this build can use on this processor, as bits.
 * Since: 0.1 */
#define USTA_FEATURE_AVX2    ((uint64_t)1) /* AVX2, FMA, F16C kernels */
#define USTA_FEATURE_AVX512  ((uint64_t)2) /* AVX-512 F, BW, DQ, VL kernels */
#define USTA_FEATURE_THREADS ((uint64_t)4) /* a thread pool */
USTA_API uint64_t usta_features(void);

/* --- errors ------------------------------------------------------------------------------------- */

/* Numbers are ABI: appended to, never reused. */
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
 * Since: 0.1 */
USTA_API const char *usta_err_text(usta_err e);

/* --- environment -------------------------------------------------------------------------------- */

typedef struct usta_env usta_env;

/* Settings of an environment; usta_env_defaults fills them. */
typedef struct usta_env_settings {
    size_t struct_size; /* of this struct as the caller was compiled with it */
    int32_t
        n_threads; /* threads that work on one run, the caller's counted; 0: one per processor; default 1 */
} usta_env_settings;

/* Fills *s, struct_size included.
 * Since: 0.1 */
USTA_API void usta_env_defaults(usta_env_settings *s);

/* Makes an environment: allocator, threads, last error.
 *
 * s        NULL: the defaults.
 * out      the environment; free it with usta_env_free after everything made in it.
 *
 * Errors:  USTA_ARG  out is NULL, or s is not filled by usta_env_defaults   USTA_NOMEM
 * Since:   0.1 */
USTA_API usta_err usta_env_new(const usta_env_settings *s, usta_env **out) USTA_MUST;
USTA_API void usta_env_free(usta_env *env); /* NULL is fine */

/* One sentence about the last failure of a call on this environment or on a model opened in it; "" when there was
 * none. Valid until the next call.
 * Since: 0.1 */
USTA_API const char *usta_env_error(const usta_env *env);

/* --- types -------------------------------------------------------------------------------------- */

/* Element types; numbers of ONNX TensorProto.DataType. Sub-byte types are packed, first element in the low
 * bits. A string element is a usta_str. */
typedef int32_t usta_type;
#define USTA_TYPE_NONE     0 /* not known, or not a tensor */
#define USTA_TYPE_FLOAT    1
#define USTA_TYPE_UINT8    2
#define USTA_TYPE_INT8     3
#define USTA_TYPE_UINT16   4
#define USTA_TYPE_INT16    5
#define USTA_TYPE_INT32    6
#define USTA_TYPE_INT64    7
#define USTA_TYPE_STRING   8
#define USTA_TYPE_BOOL     9
#define USTA_TYPE_FLOAT16  10
#define USTA_TYPE_DOUBLE   11
#define USTA_TYPE_UINT32   12
#define USTA_TYPE_UINT64   13
#define USTA_TYPE_BFLOAT16 16

/* "float", "int64"; "invalid" for numbers that are no type.
 * Since: 0.1 */
USTA_API const char *usta_type_name(usta_type t);

typedef struct usta_str { /* bytes, usually UTF-8, not terminated */
    const char *p;
    size_t n;
} usta_str;

#define USTA_MAX_RANK 12

/* A dense row-major array. The struct owns nothing. */
typedef struct usta_tensor {
    usta_type type;
    int32_t rank;
    int64_t dims[USTA_MAX_RANK];
    void *data; /* product(dims) elements; may be NULL only when there are none */
} usta_tensor;

/* Bytes that the elements take, for any type; 0 when the struct makes no sense.
 * Since: 0.1 */
USTA_API size_t usta_tensor_bytes(const usta_tensor *t);

/* --- model -------------------------------------------------------------------------------------- */

typedef struct usta_model usta_model;

/* Reads and plans a model.
 *
 * path     an ONNX file; external data is taken only from inside its folder.
 * out      free with usta_model_free, after its sessions.
 *
 * The file is checked, never trusted: malformed or hostile files give an error within bounded memory.
 * Errors:  USTA_NOTFOUND  no such file   USTA_IO  cannot be read   USTA_FORMAT  not an ONNX model, or a broken one
 *          USTA_UNSUPP  uses operators this build lacks; the text names them   USTA_LIMIT, USTA_NOMEM, USTA_ARG
 * Since:   0.1 */
USTA_API usta_err usta_model_open(usta_env *env, const char *path, usta_model **out) USTA_MUST;

/* The same from memory, which must stay unchanged until usta_model_free (weights are used where they lie).
 * name: for messages; may be NULL.
 * Since: 0.1 */
USTA_API usta_err usta_model_parse(usta_env *env, const char *name, const void *bytes,
                                   size_t n_bytes, usta_model **out) USTA_MUST;
USTA_API void usta_model_free(usta_model *m); /* NULL is fine */

USTA_API size_t usta_model_n_inputs(const usta_model *m);
USTA_API size_t usta_model_n_outputs(const usta_model *m);

/* What the model says about an input or output. */
typedef struct usta_value_info {
    size_t struct_size;          /* set by the caller to sizeof(usta_value_info) */
    const char *name;            /* owned by the model */
    usta_type type;              /* USTA_TYPE_NONE: not a tensor, or not known before a run */
    int32_t rank;                /* -1: not known */
    int64_t dims[USTA_MAX_RANK]; /* -1: decided at run time */
    const char *dim_names[USTA_MAX_RANK]; /* "N" where a dimension has a name, else NULL */
} usta_value_info;

/* Description of input or output i, in the order in which runs take them.
 * Errors:  USTA_ARG  i out of range, NULL, or struct_size not set
 * Since:   0.1 */
USTA_API usta_err usta_model_input(const usta_model *m, size_t i,
                                   usta_value_info *out) USTA_MUST;
USTA_API usta_err usta_model_output(const usta_model *m, size_t i,
                                    usta_value_info *out) USTA_MUST;

/* A property of the model's metadata_props (the passport's keys start with "usta."); false when absent.
 * value is owned by the model.
 * Since: 0.1 */
USTA_API int usta_model_prop(const usta_model *m, const char *key, usta_str *value);

/* --- session ------------------------------------------------------------------------------------ */

typedef struct usta_session usta_session;

/* Decoding of image files, for models with the operator ImageDecoder: the library has no codecs, the caller lends one.
 *
 * bytes    a whole file of n_bytes, borrowed for the call.
 * pixels   what is wanted: USTA_PIXELS_RGB, _BGR (3 bytes a pixel) or _GRAY (1).
 * place    to be called once, with place_arg, height and width, before pixels are written: gives memory for height * width
 *          pixels, rows from the top, without gaps. When it fails, return what it returned.
 *
 * Returns  USTA_OK; USTA_FORMAT or USTA_UNSUPP when the bytes cannot be decoded: the operator then gives an empty image, as ONNX
 *          wants it; any other error ends the run.
 * Since:   0.1 */
#define USTA_PIXELS_RGB  0
#define USTA_PIXELS_BGR  1
#define USTA_PIXELS_GRAY 2
typedef usta_err usta_place_image_fn(void *place_arg, int64_t height, int64_t width,
                                     uint8_t **pixels);
typedef usta_err usta_decode_image_fn(void *user, const void *bytes, size_t n_bytes,
                                      int32_t pixels, usta_place_image_fn *place,
                                      void *place_arg);

typedef struct usta_session_settings {
    size_t struct_size;
    size_t
        max_memory; /* bytes a run may use for intermediate values; 0: the default (16 GiB) */
    uint64_t max_steps; /* operators a run may execute, loops included; 0: the default (10^9) */
    uint64_t seed;      /* of random operators that have none */
    usta_decode_image_fn
        *decode_image;       /* NULL: models with ImageDecoder get no session (USTA_UNSUPP) */
    void *decode_image_user; /* its first argument; must outlive the session */
    double
        max_work; /* elements written, products summed and the like per run; 0: the default (10^15) */
} usta_session_settings;

/* Fills *s, struct_size included.
 * Since: 0.1 */
USTA_API void usta_session_defaults(usta_session_settings *s);

/* Makes a session: the memory a model runs in. Sessions of one model share its weights.
 * s NULL: the defaults.
 * Errors:  USTA_ARG, USTA_NOMEM: the text is in the model's environment, so make sessions in its thread.
 * Since:   0.1 */
USTA_API usta_err usta_session_new(const usta_model *m, const usta_session_settings *s,
                                   usta_session **out) USTA_MUST;
USTA_API void usta_session_free(usta_session *s);               /* NULL is fine */
USTA_API const char *usta_session_error(const usta_session *s); /* like usta_env_error */

/* Run once.
 *
 * in       n_in tensors, all of the model's inputs in its order; borrowed for the call.
 * out      n_out tensors, all of the outputs in order; filled with views into the session (or into an input
 *          that an output passes through), valid until the session's next run or its end; to feed one
 *          back as an input, copy it first (USTA_ARG).
 *
 * The first run with new shapes plans memory; further runs with the same shapes allocate nothing when the
 * model's shapes follow from its inputs'. The same inputs give the same bytes at any number of threads.
 * Errors:  USTA_ARG  wrong number or type of inputs   USTA_SHAPE  dims the model does not take
 *          USTA_LIMIT  max_memory, max_steps or max_work   USTA_UNSUPP  an input or output is not a tensor
 *          The session stays usable after any error.
 * Since:   0.1 */
USTA_API usta_err usta_session_run(usta_session *s, const usta_tensor *in, size_t n_in,
                                   usta_tensor *out, size_t n_out) USTA_MUST;

/* The same with outputs in the caller's memory: out[i] must have the type and the very dims of the result
 * (USTA_SHAPE says what they are when not); its data is written.
 * Since: 0.1 */
USTA_API usta_err usta_session_run_into(usta_session *s, const usta_tensor *in, size_t n_in,
                                        usta_tensor *out, size_t n_out) USTA_MUST;

#ifdef __cplusplus
}
#endif

#endif
