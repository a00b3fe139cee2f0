/* ir/params_blocked.h - attributes of the operators over blocked channels (domain "usta"). */
#ifndef USTA_IR_PARAMS_BLOCKED_H
#define USTA_IR_PARAMS_BLOCKED_H

#include "ir/params.h"

enum {
    US_CONV_TAIL_SCRATCH = 24 << 10
}; /* bytes of a program behind a convolution, on a thread's stack */

typedef struct us_p_blocked_conv { /* usta.Conv */
    us_p_conv conv;                /* first: Conv's functions read it as their own */
    int64_t block;
    int64_t plain;     /* X is [N, C, ...], else [N, C/block, H, W, block] */
    int64_t plain_out; /* likewise Y; no residual then */
    float lo, hi;      /* clamp of the result */
    us_ints code;      /* program of what follows (ir/ewise.h); none: empty */
    us_floats imm;
    /* height and width of the output where they are known: for the choice of a kernel */
    us_ints hint;
} us_p_blocked_conv;

typedef struct us_p_blocked_deconv { /* usta.ConvTranspose */
    us_p_conv_transpose conv;        /* first, likewise */
    int64_t block;
    int64_t plain_out; /* Y is [N, M, ...] */
    float lo, hi;
} us_p_blocked_deconv;

typedef struct us_p_reorder { /* usta.ReorderIn, usta.ReorderOut */
    int64_t block;
    int64_t channels; /* ReorderOut: how many are real */
    int64_t rank;     /* ReorderOut: of the plain tensor: 2 (of one pixel), 3 or 4 */
} us_p_reorder;

#endif
