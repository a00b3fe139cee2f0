/* usta/session.h - running a model: plan once, run many times, on the caller's buffers.
 *
 *     usta_session *session;
 *     usta_tensor x = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {1, 64}, .data = pixels};
 *     usta_tensor y;
 *     if (usta_session_new(model, NULL, &session) != USTA_OK) puts(usta_env_error(env));
 *     else if (usta_session_run(session, &x, 1, &y, 1) != USTA_OK) puts(usta_session_error(session));
 *     else printf("%g\n", ((float *)y.data)[0]);
 *     usta_session_free(session);
 *
 * The first run with new shapes lays out memory; further runs with the same shapes allocate nothing when the model's shapes follow
 * from its inputs'. The same inputs give the same bytes at any number of threads.
 *
 * Threading: a session belongs to one thread at a time, but for usta_session_cancel. Several sessions of one model run at once in
 * several threads; they share its weights and its plan. Their helpers are those of the environment: one run at a time has them,
 * the others work alone meanwhile.
 */
#ifndef USTA_SESSION_H
#define USTA_SESSION_H

#include "usta/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- images ------------------------------------------------------------------------------------- */

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

/* --- sessions ----------------------------------------------------------------------------------- */

/* Opaque.
 * Since:   0.1 */
typedef struct usta_session usta_session;

/* Settings of a session; usta_session_defaults fills them.
 * Since:   0.1 */
typedef struct usta_session_settings {
    size_t struct_size;
    size_t max_memory;  /* bytes of intermediate values in a run; 0: the default (16 GiB) */
    uint64_t max_steps; /* operators of a run, loops included; 0: the default (10^9) */
    uint64_t seed;      /* of random operators that have none */
    /* NULL: models with ImageDecoder get no session (USTA_UNSUPP) */
    usta_decode_image_fn *decode_image;
    void *decode_image_user; /* its first argument; must outlive the session */
    double max_work; /* elements written, products summed ... in a run; 0: the default, 10^15 */
    int32_t profile; /* not 0: time every node (usta_session_profile) */
} usta_session_settings;

/* Fills *s, struct_size included; NULL is fine.
 * Since:   0.1 */
USTA_API void usta_session_defaults(usta_session_settings *s);

/* Makes a session: the memory that a model runs in. The first one plans the model: passes, kernels, constants.
 *
 * m        must outlive the session. Call it in the thread of the model's environment, which keeps the error text.
 * s        borrowed for the call; NULL: the defaults.
 * out      the session; the caller frees it with usta_session_free, in any one thread.
 *
 * Errors:  USTA_UNSUPP  operators this build lacks (the text names them), no decoder of images, a model without weights
 *          USTA_SHAPE, USTA_FORMAT  the model contradicts itself   USTA_ARG, USTA_NOMEM, USTA_LIMIT, USTA_CANCELLED
 * Since:   0.1 */
USTA_API usta_err usta_session_new(usta_model *m, const usta_session_settings *s,
                                   usta_session **out) USTA_MUST;

/* NULL is fine.
 * Since:   0.1 */
USTA_API void usta_session_free(usta_session *s);

/* One sentence about the session's last failure; "" when there was none, or s is NULL. Valid until its next call.
 * Since:   0.1 */
USTA_API const char *usta_session_error(const usta_session *s);

/* --- runs --------------------------------------------------------------------------------------- */

/* Runs once, on tensors.
 *
 * s        changed by the call; stays usable after any error.
 * in       n_in tensors: all of the model's inputs in its order; borrowed for the call.
 * out      n_out tensors: all of the outputs in order; filled with views into the session (or into an input that an output passes
 *          through), valid until the session's next run or its end; to feed one back as an input, copy it first (USTA_ARG).
 *
 * Errors:  USTA_ARG    wrong number or type of inputs, no data   USTA_SHAPE  dims that the model does not take
 *          USTA_LIMIT  max_memory, max_steps or max_work   USTA_UNSUPP  an input or output is not a tensor: usta_session_run_values
 *          USTA_CANCELLED, USTA_NOMEM, USTA_FORMAT  (an operator refuses what a value holds)
 * Since:   0.1 */
USTA_API usta_err usta_session_run(usta_session *s, const usta_tensor *in, size_t n_in,
                                   usta_tensor *out, size_t n_out) USTA_MUST;

/* The same with outputs in the caller's memory.
 *
 * out      type and the very dims of the results (USTA_SHAPE says what they are when not); data is written, and belongs to the
 *          caller. The bytes of string elements are lent until the session's next run.
 *
 * Errors:  as for usta_session_run; on an error what data holds is not said
 * Since:   0.1 */
USTA_API usta_err usta_session_run_into(usta_session *s, const usta_tensor *in, size_t n_in,
                                        usta_tensor *out, size_t n_out) USTA_MUST;

/* The same for models whose inputs or outputs are sequences, maps or optional values.
 *
 * in       n_in values, borrowed for the call; USTA_KIND_NONE: an optional input that is empty.
 * out      n_out values, filled with views into the session, items included; valid until the session's next run or its end.
 *
 * Errors:  as for usta_session_run; USTA_ARG  also for a map whose keys and items differ in number, for values nested over 16 deep
 * Since:   0.1 */
USTA_API usta_err usta_session_run_values(usta_session *s, const usta_value *in, size_t n_in,
                                          usta_value *out, size_t n_out) USTA_MUST;

/* Asks the run that is going on to stop: it returns USTA_CANCELLED before its next operator. Without effect when none is going on
 * (a run that starts later is not stopped by it). NULL is fine.
 *
 * Threading: from any thread, also from a signal handler, while the session lives.
 * Since:   0.1 */
USTA_API void usta_session_cancel(usta_session *s);

/* --- figures ------------------------------------------------------------------------------------ */

/* What one node has cost since the session was made, or usta_session_profile_reset. Strings are owned by the session.
 * Since:   0.1 */
typedef struct usta_profile_row {
    size_t struct_size;  /* set by the caller */
    const char *node;    /* its name, or that of its first output */
    const char *op_type; /* after planning: the file's own may have been fused or expanded */
    const char *kernel;  /* "ref" for plain C, else the kernel of this processor */
    const char *output;  /* type of its first output: "float[N,10]" */
    uint64_t n_calls;    /* loops call their nodes many times */
    uint64_t ns; /* wall time in all, nanoseconds; nodes with sub-graphs include theirs */
} usta_profile_row;

/* Rows of a profile: one per node of the plan, those of sub-graphs after those of the graph around. 0 unless the settings said
 * profile.
 * Since:   0.1 */
USTA_API size_t usta_session_n_profile(const usta_session *s);

/* Row i.
 *
 * i        below usta_session_n_profile.
 * out      filled as far as its struct_size goes.
 *
 * Errors:  USTA_ARG  NULL, i out of range, struct_size not set
 * Since:   0.1 */
USTA_API usta_err usta_session_profile(const usta_session *s, size_t i,
                                       usta_profile_row *out) USTA_MUST;

/* Sets all calls and times to 0, after runs that were only to warm up. NULL is fine.
 * Since:   0.1 */
USTA_API void usta_session_profile_reset(usta_session *s);

/* Memory and steps of a session.
 * Since:   0.1 */
typedef struct usta_session_info {
    size_t struct_size;    /* set by the caller */
    size_t n_steps;        /* nodes of the main graph after planning */
    size_t n_static_steps; /* of them, those whose outputs had a place before the last run */
    size_t planned_bytes;  /* one block for all intermediate values of the last run's shapes */
    size_t least_bytes;    /* what no layout could do without */
    size_t constant_bytes; /* of weights; shared by all sessions of the model */
    size_t n_bindings;     /* sets of input shapes for which memory is laid out, 16 at most */
} usta_session_info;

/* Fills *out as far as its struct_size goes.
 *
 * Errors:  USTA_ARG  NULL or struct_size not set
 * Since:   0.1 */
USTA_API usta_err usta_session_about(const usta_session *s, usta_session_info *out) USTA_MUST;

#ifdef __cplusplus
}
#endif

#endif
