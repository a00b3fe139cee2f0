/* ir/op_qint.h - integer products that MatMulInteger, ConvInteger, the QLinear operators and their kin share.
 *
 * Operands are centred first (value minus zero point, which fits int16), multiplied exactly, and requantised once:
 * round half to even of sum * (sa * sb / sy) in float, as ONNX Runtime does it, plus the zero point, saturated.
 */
#ifndef USTA_IR_OP_QINT_H
#define USTA_IR_OP_QINT_H

#include "ir/op_util.h"

#include <math.h>

/* A scale or zero point of one dimension as a view along the axis that has `trailing` axes behind it; a single number
 * as a scalar; anything else as it is. */
us_err us_q_along(us_eval *k, const us_tensor *t, int trailing, us_tensor *out) US_MUST;
/* x - zero (broadcast; NULL: 0) as int16, contiguous, in scratch. US_UNSUPP unless both are of the same 8-bit type. */
us_err us_q_centre(us_eval *k, const us_tensor *x, const us_tensor *zero,
                   us_tensor *out) US_MUST;

/* c[m,n] = a[m,k] b[k,n], exact for any k. Opened once per evaluation: it owns the scratch rows. */
typedef struct us_q_product {
    const int16_t *a, *b;
    int64_t *c;
    int32_t *rows;
    int64_t m, n, k; /* n at most what it was opened for */
    size_t grain;
} us_q_product;
us_err us_q_product_open(us_eval *k, int64_t m, int64_t n, us_q_product *p) US_MUST;
us_err us_q_product_run(us_eval *k, const us_q_product *p) US_MUST;

/* The sums of all matrix products of centred a and b, batches broadcast as MatMul does; contiguous int64, in scratch. */
us_err us_q_multiply(us_eval *k, const us_tensor *a, const us_tensor *b,
                     us_tensor *sums) US_MUST;

/* Inputs i, i + 1, i + 2 (value, scale, zero point) as float; output 0 of type t from floats (contiguous) by inputs i, i + 1
 * (scale, zero point). One scale and zero point each. */
us_err us_q_load(us_eval *k, size_t i, us_tensor *out) US_MUST;
us_err us_q_store(us_eval *k, us_dtype t, const us_tensor *x, size_t i) US_MUST;
/* DynamicQuantizeLinear's scale and zero point for these numbers. */
void us_q_range(const float *x, int64_t n, float *scale, float *zero);
/* Of numbers from lo <= 0 to hi >= 0. */
void us_q_range_scale(float lo, float hi, float *scale, float *zero);
static inline uint8_t us_q_byte(float x, float scale, float zero)
{
    return (uint8_t)fminf(fmaxf(nearbyintf(x / scale) + zero, 0), 255);
}

/* Tensor x with its channels (axis 1) last, or with the last axis as axis 1: contiguous, in scratch when it is not already. */
us_err us_ms_channels(us_eval *k, const us_tensor *x, bool last, us_tensor *out) US_MUST;

/* sa * sb / sy, broadcast to each other. */
us_err us_q_scale(us_eval *k, const us_tensor *sa, const us_tensor *sb, const us_tensor *sy,
                  us_tensor *out) US_MUST;
/* Output 0 of zero's type: sums (contiguous int64) times scale, rounded, plus zero; both broadcast. */
us_err us_q_put(us_eval *k, const us_tensor *sums, const us_tensor *scale,
                const us_tensor *zero) US_MUST;
/* Output 0: the sums as int32, wrapped as the standard's accumulator does. */
us_err us_q_put_i32(us_eval *k, const us_tensor *sums) US_MUST;

/* Output 0 of a matrix product or a convolution whose second operand or weight is input `second` or `iw`. */
us_err us_infer_product(us_infer *k, size_t second, us_dtype t) US_MUST;
us_err us_infer_conv(us_infer *k, size_t iw) US_MUST;
/* What `plain` infers, where input 0 and output 0 have their channels last. */
us_err us_infer_channels_last(us_infer *k, us_infer_fn *plain) US_MUST;

#endif
