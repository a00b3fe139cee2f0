/* ir/op_qconv.h - inside of QLinearConv: its geometry, and the way that sums in 32 bits and rounds at once. */
#ifndef USTA_IR_OP_QCONV_H
#define USTA_IR_OP_QCONV_H

#include "ir/op_qint.h"
#include "ir/op_window.h"

typedef struct us_qconv {
    us_tensor x, w; /* centred, where they are made so as a whole */
    us_conv_shape d;
    int64_t rows; /* cg * taps */
    bool direct;  /* the input is the matrix of columns already */
} us_qconv;

/* Largest number of products whose sum is sure to fit 32 bits, with `bias` beside them. */
int64_t us_qconv_max_rows(int64_t bias);

/* What the sums become. */
typedef struct us_qconv_end {
    const int32_t *bias; /* one per output channel; NULL: none */
    const float *scale;
    int64_t n_scale; /* 1, or one per output channel */
    int zero;
    us_dtype type;
} us_qconv_end;

/* y = the convolution of x (contiguous) and v->w (centred), requantised; zx: the input's zero point. */
us_err us_qconv_run(us_eval *k, const us_qconv *v, const us_tensor *x, int zx,
                    const us_qconv_end *end, us_tensor *y) US_MUST;

#endif
