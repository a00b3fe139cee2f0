/* ir/op_util.h - what operator files are written with: upgrades, axes, element types, expansions.
 *
 * Every operator's functions are declared in ir/op.h from ops.def, the preparing ones here.
 */
#ifndef USTA_IR_OP_UTIL_H
#define USTA_IR_OP_UTIL_H

#include "ir/build.h"
#include "ir/op.h"
#include "ir/params.h"
#include "kernel/kernels.h"
#include "kernel/ref.h"

#define US_PREPARE(id, fn) us_prepare_fn fn##_prepare;
#include "ir/prepare.def"
#undef US_PREPARE
#define US_BIND(id, fn) us_bind_fn fn##_bind;
#include "ir/bind.def"
#undef US_BIND

/* --- upgrades ------------------------------------------------------------------------------------ */

typedef us_err us_upgrade_fn(us_ctx *c, us_model *m, us_graph *g, us_nid n);
us_upgrade_fn us_upgrade_drop; /* removes attributes that the next version does not know */
us_upgrade_fn
    us_upgrade_broadcast;      /* broadcast=1, axis=k of opset 6: Unsqueeze of B, or nothing */
us_upgrade_fn us_upgrade_axes; /* attribute axes becomes input 1 */
us_upgrade_fn
    us_upgrade_scan_batch; /* opset 8's Scan: a Scan over the batch around one over time */
/* Make attribute `name` (INTS) input i as an int64 vector and delete it; absent: input left out. */
us_err us_upgrade_ints_to_input(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *name,
                                size_t i) US_MUST;
/* Set input i of a node, growing its list with absent inputs. */
us_err us_node_set_input(us_ctx *c, us_model *m, us_graph *g, us_nid n, size_t i,
                         us_vid v) US_MUST;
us_err us_upgrade_fail(us_ctx *c, const us_graph *g, us_nid n, const char *why);

/* --- inference ----------------------------------------------------------------------------------- */

bool us_axis_norm(int64_t axis, int rank, int *out); /* -rank..rank-1 to 0..rank-1 */
us_err us_infer_axis(us_infer *k, int64_t axis, int rank, int *out) US_MUST;
/* The caller names the node. */
us_err us_infer_fail(us_infer *k, us_err code, const char *why);
us_err us_infer_fresh(us_infer *k, us_dim *out) US_MUST; /* a dimension nobody knows yet */
/* Output i with fresh dims (rank known) or rank -1. */
us_err us_infer_rank(us_infer *k, size_t i, us_dtype dtype, int rank) US_MUST;
/* Tensor input with known rank, else NULL. */
const us_type *us_infer_ranked(us_infer *k, size_t i);
/* The shape that the elements of input i ask for, at most US_MAX_RANK: elements that are not known give fresh dimensions; false
 * when not even their number is known, or it is larger. */
us_err us_infer_shape(us_infer *k, size_t i, bool *known, size_t *n, us_dim *d) US_MUST;
/* Integers of an input that are known now, constant or by shape arithmetic; false when they are not. */
bool us_infer_ints(us_infer *k, size_t i, size_t max, int64_t *out, size_t *n);
/* How many elements the vector that is input i has; false when not known. */
bool us_infer_length(us_infer *k, size_t i, int64_t *out);
bool us_infer_has(us_infer *k, size_t i);
/* What holds for values of either type. */
us_err us_infer_join(us_infer *k, const us_type *a, const us_type *b, us_type *out) US_MUST;
/* t of a body's result, as it is outside: symbols made inside are others each time. */
us_err us_infer_leaves(us_infer *k, const us_graph *body, const us_type *t,
                       us_type *out) US_MUST;
/* An element of a sequence: a named dimension is another size in each element, official tests use them so. */
us_err us_infer_element(us_infer *k, const us_type *seq, us_type *out) US_MUST;
us_err us_infer_sequence(us_infer *k, size_t i, const us_type *elem) US_MUST; /* output i */
/* The dimensions of a ranked type into d; a scalar's may be NULL, which memcpy does not take. */
static inline void us_copy_dims(us_dim *d, const us_type *t)
{
    for (int i = 0; i < t->rank; i++)
        d[i] = t->dims[i];
}

/* --- evaluation ---------------------------------------------------------------------------------- */

bool us_is_half(us_dtype t); /* float16 or bfloat16 */
/* Run fn with every half-precision input converted to float; float outputs are rounded back. Types come from
 * `half`, usually input 0's. */
us_err us_eval_widened(us_eval *k, us_dtype half, us_eval_fn *fn) US_MUST;
/* fn with the inputs of type `narrow` as ones of type `wide`, and its outputs of that type made narrow again. */
us_err us_eval_through(us_eval *k, us_dtype narrow, us_dtype wide, us_eval_fn *fn) US_MUST;
/* For operators that only move elements: fn on packed elements (fewer than 8 bits), each in a byte or a float. */
bool us_is_packed(us_dtype t);
us_err us_eval_unpacked(us_eval *k, us_dtype packed, us_eval_fn *fn) US_MUST;
/* Another operator's function on these tensors (NULL: absent) with these attributes; its output 0 is in scratch. */
us_err us_eval_inner(us_eval *k, us_eval_fn *fn, const void *params, size_t n_in,
                     const us_tensor *const *in, us_tensor *out) US_MUST;
us_err us_eval_axis(us_eval *k, int64_t axis, int rank, int *out) US_MUST;
/* An integer tensor input as int64 values (scratch, or in place). Absent: *p NULL, n 0. */
us_err us_eval_ints(us_eval *k, size_t i, size_t *n, const int64_t **p) US_MUST;
us_err us_eval_scalar(us_eval *k, size_t i, double fallback,
                      double *out) US_MUST; /* one number, or absent */
/* Output 0 = view, made contiguous. */
us_err us_eval_put_view(us_eval *k, size_t i, const us_tensor *view) US_MUST;
us_err us_eval_no_type(us_eval *k, us_dtype t); /* US_UNSUPP: no kernel for this type */
/* Fills scratch with tensor t converted to another type (contiguous); t itself when it is that already. */
us_err us_eval_as(us_eval *k, const us_tensor *t, us_dtype to, us_tensor *out) US_MUST;

us_err us_eval_unary(us_eval *k, us_unary f, const double *par, us_eval_fn *self) US_MUST;
us_err us_eval_binary(us_eval *k, us_binary f, us_eval_fn *self) US_MUST;
/* out (contiguous) = f(a, b) with broadcasting; same types. */
us_err us_eval_binary_into(us_eval *k, us_binary f, us_tensor *out, const us_tensor *a,
                           const us_tensor *b) US_MUST;

/* Numbers to an 8-bit float of Cast's table (y, contiguous); what is too large becomes the largest, or infinity or NaN. */
us_err us_cast_f8(us_eval *k, const us_tensor *x, us_tensor *y, bool saturate) US_MUST;
/* As us_ref_binary, and ADD, MUL, MAX, MIN of complex numbers and truth values (op_plain.c). */
us_bin_fn *us_binary_plain(us_binary f, us_dtype t);
/* A contiguous tensor of complex numbers as doubles, real and imaginary parts in turn, of rank 1. */
us_err us_eval_parts(us_eval *k, const us_tensor *x, us_tensor *parts) US_MUST;

/* A float matrix product through the kernel table and the pool; g->scratch is filled in. */
us_err us_eval_gemm(us_eval *k, const us_gemm_args *g) US_MUST;

/* Pad: its modes in the order of the standard (constant, reflect, edge, wrap), -1: none; which of n indices is shown at i, which may lie
 * outside, -1: the constant. */
int us_pad_mode(us_sv name);
int64_t us_pad_shows(int mode, int64_t i, int64_t n);

/* Element pointers by byte arithmetic, for kernels that do not know the type. */
static inline void *us_at(const us_tensor *t, int64_t i)
{
    return (char *)t->data + i * (int64_t)(us_dtype_get(t->dtype)->bits / 8);
}
static inline int64_t us_dims_product(const int64_t *d, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= d[i];
    return n;
}

/* --- binding ------------------------------------------------------------------------------------- */

static inline bool us_is_f32(const us_tensor *t)
{
    return t && t->dtype == US_F32;
}
static inline bool us_is_8bit(const us_tensor *t)
{
    return t && (t->dtype == US_U8 || t->dtype == US_I8);
}
/* Input i where it is floats without gaps, and not empty; else NULL. */
const us_tensor *us_eval_dense_f32(us_eval *k, size_t i);
/* *call: run with a copy of state. Its scratch is left for the caller to set. */
us_err us_call_make(us_eval *k, us_call *call, us_call_fn *run, const void *state, size_t bytes,
                    const char *kernel) US_MUST;

/* --- expansion ----------------------------------------------------------------------------------- */

/* Replaces node n by expressions over other operators of ai.onnx, in a small language:
 *     "y = Where(Less(x0, 0), Mul(x0, $alpha), x0)"
 * Statements are divided by `;`. `t = expr` names a value, `a, b = Call(...)` the results of one call; `y`, `y1`, ... are the node's
 * outputs. x0, x1 are its inputs, one that is absent may stand where an argument may be left out, as `_` does.
 * Constants: a number is a scalar of x0's element type, `2@x1` of x1's, `2@7` of the type with that number (inf, -inf too);
 * `#2` is a scalar int64, `[1,2]` an int64 vector. `$name` is the node's attribute: a number likewise, a list as a
 * vector of its own type, a tensor. Attributes of calls, by the schema of the operator called:
 * Name<axis=1,to=@x1,perm=[0,2,1],mode='x',p=$p>(...); a list may hold `$name`.
 * "@11 ..." at the beginning: numbers are of that type where they do not say.
 * An expansion that cannot be written for a node (a rank that is not known) refuses before it adds anything: US_UNSUPP. */
us_err us_expand_text(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text) US_MUST;
us_err us_expand_fmt(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *fmt,
                     ...) US_MUST US_PRINTF(5, 6);
/* Text put together in steps; too much of it is refused at the end. */
enum { US_EXPAND_TEXT = 8192 };
typedef struct us_expand_buf {
    char text[US_EXPAND_TEXT];
    size_t n;
    bool full;
} us_expand_buf;
void us_expand_add(us_expand_buf *b, const char *fmt, ...) US_PRINTF(2, 3);
us_err us_expand_buffer(us_ctx *c, us_model *m, us_graph *g, us_nid n,
                        const us_expand_buf *b) US_MUST;
us_err us_expand_refuse(us_ctx *c, const us_graph *g, us_nid n, const char *why);

bool us_expand_has(const us_graph *g, us_nid n, size_t i);   /* input i is given */
bool us_expand_gives(const us_graph *g, us_nid n, size_t i); /* output i is wanted */
const us_type *us_expand_type(const us_graph *g, us_nid n,
                              size_t i); /* of input i; NULL: not known to be a tensor */
us_dtype us_expand_dtype(const us_graph *g, us_nid n, size_t i);        /* US_DT_NONE */
int us_expand_rank(const us_graph *g, us_nid n, size_t i);              /* -1: not known */
int64_t us_expand_dim(const us_graph *g, us_nid n, size_t i, int axis); /* likewise */
bool us_expand_const_ints(const us_graph *g, us_nid n, size_t i, size_t max, int64_t *out,
                          size_t *count); /* input i is a constant */
/* Dimension `axis` of input i as text for an int64 vector of one element: "[3]", or taken from the shape at run time. */
typedef struct us_dim_text {
    char text[48];
} us_dim_text;
us_dim_text us_expand_dim_text(const us_graph *g, us_nid n, size_t i, int axis);
typedef struct us_axes_text {
    char text[64];
} us_axes_text;
us_axes_text us_expand_axes_text(int from, int to); /* "[2,3]" */

#define US_EXPAND(fn, text)                                                                    \
    us_err fn##_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)                          \
    {                                                                                          \
        return us_expand_text(c, m, g, n, text);                                               \
    }
#define US_INFER_AS(fn, impl)                                                                  \
    us_err fn##_infer(us_infer *k)                                                             \
    {                                                                                          \
        return impl(k);                                                                        \
    }

#endif
