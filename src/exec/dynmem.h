/* exec/dynmem.h - memory for values whose size is known only when they are made.
 *
 * Blocks come one by one from the context's allocator, 64-byte aligned, counted against a cap, and lie in lists,
 * so that whatever was not given back early goes at the end of the run. A block knows its list: moving it from
 * a sub-graph's results to the node that keeps it costs nothing.
 *
 * What is given back is kept for the next of its size, sizes being rounded up by a quarter at most, until a whole run has passed
 * without a use for it: runs like the one before ask the allocator for nothing, and others keep nothing they do not need. What is kept
 * goes at once where it stands between a value and the cap.
 */
#ifndef USTA_EXEC_DYNMEM_H
#define USTA_EXEC_DYNMEM_H

#include "base/ctx.h"
#include "base/str.h"

typedef struct us_dyn_block us_dyn_block;
typedef struct us_dyn_list {
    us_dyn_block *first;
} us_dyn_list;

#define US_DYN_SIZES 208 /* classes of sizes: four for each power of two from 256 bytes on */

typedef struct us_dynmem {
    us_alloc alloc;
    size_t cap_bytes;
    size_t used_bytes;  /* blocks handed out, headers included */
    size_t spare_bytes; /* blocks kept */
    uint64_t n_runs;
    us_dyn_block *spare[US_DYN_SIZES];
} us_dynmem;

/* data is not zeroed. US_LIMIT past the cap, with both figures. */
us_err us_dyn_get(us_ctx *c, us_dynmem *d, us_dyn_list *list, size_t bytes,
                  us_dyn_block **out) US_MUST;
void us_dyn_put(us_dynmem *d, us_dyn_block *b);
void us_dyn_put_all(us_dynmem *d, us_dyn_list *list);
void us_dyn_begin_run(us_dynmem *d); /* what the last run had no use for goes */
void us_dyn_deinit(us_dynmem *d);    /* what is kept goes; no block may be out */
void us_dyn_move(us_dyn_block *b, us_dyn_list *to);
void *us_dyn_data(us_dyn_block *b);
us_dyn_block *us_dyn_next(us_dyn_block *b); /* NULL at the end of its list */

#endif
