/* exec/memory.h - offsets of values in one block, from when they live.
 *
 * An item lives from step `first` to step `last`, both included; two items whose lives touch may not overlap in
 * memory. Offsets are multiples of US_MEM_ALIGN, so is the total.
 */
#ifndef USTA_EXEC_MEMORY_H
#define USTA_EXEC_MEMORY_H

#include "base/ctx.h"

#define US_MEM_ALIGN ((size_t)64)

typedef struct us_mem_item {
    size_t bytes; /* in: at least 1; rounded up to US_MEM_ALIGN */
    uint32_t first, last;
    size_t offset; /* out */
} us_mem_item;

/* total: bytes of the block. live_peak: the most bytes alive at one step, which no plan can beat. The result
 * depends on the items alone. US_LIMIT when sizes overflow. */
us_err us_mem_plan(us_ctx *c, us_mem_item *items, size_t n, size_t *total,
                   size_t *live_peak) US_MUST;

#endif
