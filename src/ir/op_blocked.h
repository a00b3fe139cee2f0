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

#endif
