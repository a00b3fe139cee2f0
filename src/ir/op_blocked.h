/* ir/op_blocked.h - tensors whose channels lie in blocks: [N, ceil(C / B), H, W, B].
 *
 * The operators of domain "usta" that make and take them (passes put them into a plan; no file has them). Lanes past the last
 * channel hold anything.
 */
#ifndef USTA_IR_OP_BLOCKED_H
#define USTA_IR_OP_BLOCKED_H

#include "ir/op_util.h"
#include "ir/op_window.h"
#include "ir/params_blocked.h"
#include "kernel/conv.h"

static inline int64_t us_blocks_of(int64_t channels, int64_t block)
{
    return (channels + block - 1) / block;
}

/* Plain x of rank 3 or 4 into y [n, blocks, h, w, block], and y into x: dense f32, all dims set. */
void us_block_tensor(const us_tensor *x, us_tensor *y);
void us_unblock_tensor(const us_tensor *y, us_tensor *x);

/* --- usta.Conv and usta.ConvTranspose: inputs X, W, B and the residual Z; see op_blocked.c ------------------ */

/* What both say in their attributes. */
typedef struct us_blocked {
    int64_t block, group;
    bool transposed;       /* W is [C, M / group, ...], else [M, C / group, ...] */
    bool plain, plain_out; /* X, Y do not lie in blocks */
    float lo, hi;
} us_blocked;

/* As it is meant: everything taken apart, `plain` (Conv, ConvTranspose) run with its params, then residual and clamp. */
us_err us_blocked_eval(us_eval *k, const us_blocked *b, us_eval_fn *plain,
                       const void *params) US_MUST;
/* In prepare: W and B (NULL: none) where they are constant and fit each other and the kernels' block. */
bool us_blocked_weights(us_eval *k, const us_blocked *b, const us_tensor **w,
                        const us_tensor **bias);
/* In bind: sizes of X and Y into s, which has c and m already; false: X, Y or Z are not of the dims that follow. */
bool us_blocked_settle(us_eval *k, const us_blocked *b, const us_window *win, us_conv_dims *s);
/* In a call: what the kernels are to read and write. */
us_conv_args us_blocked_args(const us_eval *k, const float *packed, float lo, float hi,
                             void *scratch);

#endif
