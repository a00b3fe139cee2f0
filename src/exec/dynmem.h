/* exec/dynmem.h - memory for values whose size is known only when they are made.
 *
 * Blocks come one by one from the context's allocator, 64-byte aligned, counted against a cap, and lie in lists,
 * so that whatever was not given back early goes at the end of the run. A block knows its list: moving it from
 * a sub-graph's results to the node that keeps it costs nothing.
 */
#ifndef USTA_EXEC_DYNMEM_H
#define USTA_EXEC_DYNMEM_H

#include "base/ctx.h"
#include "base/str.h"

typedef struct us_dyn_block us_dyn_block;
typedef struct us_dyn_list {
    us_dyn_block *first;
} us_dyn_list;

typedef struct us_dynmem {
    us_alloc alloc;
    size_t cap_bytes;
    size_t used_bytes; /* blocks handed out, headers included */
} us_dynmem;

/* data is not zeroed. US_LIMIT past the cap, with both figures. */
us_err us_dyn_get(us_ctx *c, us_dynmem *d, us_dyn_list *list, size_t bytes,
                  us_dyn_block **out) US_MUST;
void us_dyn_put(us_dynmem *d, us_dyn_block *b);
void us_dyn_put_all(us_dynmem *d, us_dyn_list *list);
void us_dyn_move(us_dyn_block *b, us_dyn_list *to);
void *us_dyn_data(us_dyn_block *b);
us_dyn_block *us_dyn_next(us_dyn_block *b); /* NULL at the end of its list */

#endif
