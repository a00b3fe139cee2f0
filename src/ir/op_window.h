/* ir/op_window.h - the geometry that convolution and pooling share. */
#ifndef USTA_IR_OP_WINDOW_H
#define USTA_IR_OP_WINDOW_H

#include "ir/op_util.h"

typedef struct us_window {
    int n;                   /* spatial dimensions */
    int64_t in[US_MAX_RANK]; /* -1: not known (inference) */
    int64_t kernel[US_MAX_RANK];
    int64_t stride[US_MAX_RANK];
    int64_t dilation[US_MAX_RANK];
    int64_t begin[US_MAX_RANK], end[US_MAX_RANK]; /* padding */
    int64_t out[US_MAX_RANK];                     /* -1 where in is */
} us_window;

/* Attributes of a window operator; empty lists mean the defaults. */
typedef struct us_window_attrs {
    us_ints kernel, strides, dilations, pads;
    us_sv auto_pad;
    bool ceil;
} us_window_attrs;

/* Fills w for n spatial dims of sizes in[]. NULL, or what is wrong. */
const char *us_window_set(us_window *w, int n, const int64_t *in, const us_window_attrs *a);
/* Output 0.. = x's first dimension, `channels`, the window's outputs. */
us_err us_window_infer(us_infer *k, const us_window_attrs *a, const us_dim *channels,
                       size_t n_out) US_MUST;
/* Asks for the work of `planes` outputs that each look through the window, and *taps: positions in it (kernel_shape of a pool
 * is bound to nothing, so the product may be past all bounds). US_LIMIT. */
us_err us_window_work(us_eval *k, const us_window *w, double planes, int64_t *taps) US_MUST;
/* Input offset that tap `kp` sees from output `op`, or -1 in the padding. */
int64_t us_window_source(const us_window *w, const int64_t *kp, const int64_t *op);
/* Every output sees its own input only. */
bool us_window_is_point(const us_window *w);
/* Position `at` (row-major) of a shape, one dimension per entry. */
void us_window_at(int n, const int64_t *dims, int64_t at, int64_t *pos);
/* The next position, in row-major order. */
void us_window_next(int n, const int64_t *dims, int64_t *pos);

/* --- transposed convolutions --------------------------------------------------------------------------- */

/* out[] of w holds the output's sizes, in[] the input's; begin[] what is cut off at the front. NULL, or what is wrong. */
const char *us_transposed_window(us_window *w, int n, const int64_t *in, us_ints kernel,
                                 const us_p_conv_transpose *p);
/* The output's n dims of space from the input's and the kernel's; *known false: the kernel's are symbols. */
us_err us_transposed_dims(us_infer *k, const us_p_conv_transpose *p, int n, const us_dim *x,
                          const us_dim *kernel, us_dim *out, bool *known) US_MUST;

/* --- convolutions ------------------------------------------------------------------------------------ */

/* Of x [n, c, in...] with weights [m, c / groups, kernel...]. */
typedef struct us_conv_shape {
    us_window win;
    int64_t n, c, m, groups, cg, mg; /* channels in and out, per group */
    int64_t taps, in_size, out_size; /* products of kernel, input and output dims */
} us_conv_shape;

/* As the attributes (us_p_conv) say; asks for the work. US_SHAPE, US_LIMIT. */
us_err us_conv_shape_of(us_eval *k, const us_tensor *x, const us_tensor *w,
                        us_conv_shape *out) US_MUST;
/* The output's dims: n, m, out... */
void us_conv_shape_out(const us_conv_shape *d, int64_t *dims);

#endif
