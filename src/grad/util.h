/* grad/util.h - what gradient functions are written with.
 *
 * Gradient functions work on the forward node's own types (a gradient has the type of what it belongs to), so no
 * inference is needed between nodes. The builder's errors are sticky: functions write whole expressions and
 * the driver looks once. Node and value arrays may move when nodes are added: nothing here keeps pointers into them.
 */
#ifndef USTA_GRAD_UTIL_H
#define USTA_GRAD_UTIL_H

#include "grad/grad.h"

/* Short forms for expressions: nodes of one and two inputs, and a choice. k is the us_grad at hand. */
#define US_G1(op, u)         us_b1(k->b, op, (u))
#define US_G2(op, u, v)      us_b2(k->b, op, (u), (v))
#define US_G_SEL(cond, u, v) us_b3(k->b, "Where", (cond), (u), (v))

us_vid us_gx(const us_grad *k, size_t i); /* forward input i; US_NIL when absent */
us_vid us_gy(const us_grad *k, size_t i); /* forward output i; US_NIL when absent */
bool us_g_wants(const us_grad *k, size_t i);
const us_type *us_g_type(const us_grad *k, us_vid v);
int us_g_rank(const us_grad *k, us_vid v); /* -1 when not known */
int64_t us_g_dim(const us_grad *k, us_vid v,
                 int axis); /* -1 when not a known number; axis may be negative */
us_dtype us_g_dtype(const us_grad *k, us_vid v);
/* US_UNSUPP with the operator and the node's name in front. */
us_err us_g_fail(us_grad *k, const char *why);

/* Decoded attributes by name, defaults applied; the name must be in the schema (else the fallback). */
int64_t us_g_int(const us_grad *k, const char *name, int64_t fallback);
double us_g_float(const us_grad *k, const char *name, double fallback);
us_sv us_g_str(const us_grad *k, const char *name);
us_ints us_g_ints(const us_grad *k, const char *name);

/* Integers of a constant input; false when absent or not known now. At most max. */
bool us_g_const_ints(const us_grad *k, us_vid v, size_t max, int64_t *out, size_t *n);

/* Scalar constant of the element type of `like`. */
us_vid us_g_num(us_grad *k, us_vid like, double v);
us_vid us_g_zeros_like(us_grad *k, us_vid v); /* run-time shape of v */
us_vid us_g_shape(us_grad *k, us_vid v);      /* Shape(v) */
us_vid us_g_dim_of(us_grad *k, us_vid v,
                   int axis); /* one-element int64 vector: the run-time size */
/* Where(cond, a, 0) in the type of a. */
us_vid us_g_mask(us_grad *k, us_vid cond, us_vid a);
/* dy in the shape `out`'s type has -> shape of v: sums over the dimensions that broadcasting made. */
us_vid us_g_sum_to(us_grad *k, us_vid dy, us_vid out, us_vid v);
us_vid us_g_reduce_sum(us_grad *k, us_vid x, size_t n, const int64_t *axes, bool keep);
us_vid us_g_transpose(us_grad *k, us_vid x, int rank, const int64_t *perm);
us_vid us_g_reshape(us_grad *k, us_vid x, size_t n,
                    const int64_t *dims); /* constant dims, 0 and -1 as in Reshape */
us_vid us_g_reshape_like(us_grad *k, us_vid x, us_vid like);
us_vid us_g_slice(us_grad *k, us_vid x, size_t n, const int64_t *axes, const int64_t *starts,
                  const int64_t *ends, const int64_t *steps);
us_vid us_g_pad(us_grad *k, us_vid x, int rank,
                const int64_t *pads); /* zeros; 2*rank of them */

#endif
