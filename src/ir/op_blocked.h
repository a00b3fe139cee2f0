/* ir/op_blocked.h - tensors whose channels lie in blocks: [N, ceil(C / B), H, W, B].
 *
 * The operators of domain "usta" that make and take them (passes put them into a plan; no file has them). Lanes past the last
 * channel hold anything.
 */
#ifndef USTA_IR_OP_BLOCKED_H
#define USTA_IR_OP_BLOCKED_H

#include "ir/op_util.h"
#include "ir/params_blocked.h"

static inline int64_t us_blocks_of(int64_t channels, int64_t block)
{
    return (channels + block - 1) / block;
}

/* Plain x of rank 3 or 4 into y [n, blocks, h, w, block], and y into x: dense f32, all dims set. */
void us_block_tensor(const us_tensor *x, us_tensor *y);
void us_unblock_tensor(const us_tensor *y, us_tensor *x);

/* Dims of a convolution's output from those of the plain one; the rank. */
int us_blocked_out(int rank, const int64_t *plain, int64_t block, bool plain_out, int64_t *out);
/* Output 0 from the plain one: the residual (input 3, if there is one) added, clamped, in blocks unless plain_out. */
us_err us_blocked_finish(us_eval *k, const us_tensor *plain, int64_t block, bool plain_out,
                         float lo, float hi) US_MUST;

#endif
