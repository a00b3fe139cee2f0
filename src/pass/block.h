/* pass/block.h - inside of block-layout: which values lie in blocks, and what the converters of operators are given. */
#ifndef USTA_PASS_BLOCK_H
#define USTA_PASS_BLOCK_H

#include "kernel/conv.h"
#include "pass/passes.h"

typedef struct us_blocked {
    us_vid v;         /* the value in blocks, or US_NIL */
    int64_t channels; /* real ones */
    int32_t rank;     /* of the plain value: 3 or 4 */
} us_blocked;

typedef struct us_blocker {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    const us_conv_kernels *f;
    int64_t size;        /* B */
    us_nid at;           /* the node looked at: new nodes go before it */
    size_t n;            /* values as the pass found them; made ones are never looked up */
    us_blocked *blocked; /* per value */
    bool *plain;         /* per value: it has a definition as it was */
    bool *wanted;        /* per value: a reader could take it in blocks */
    us_nid replaced;     /* what the node at hand became, or US_NIL */
} us_blocker;

const us_blocked *us_block_of(const us_blocker *b, us_vid v); /* NULL: not in blocks now */
const us_type *us_block_type(const us_blocker *b,
                             us_vid v); /* of a float32 tensor of known rank, else NULL */
/* v in blocks: as it is, or by a ReorderIn. Needs a rank of 3 or 4 and known channels. */
us_err us_block_in(us_blocker *b, us_vid v, us_blocked *out) US_MUST;
/* v as it was, by a ReorderOut where needed. */
us_err us_block_out(us_blocker *b, us_vid v) US_MUST;
/* A new node in front of the one at hand; its output's value. Attributes are set on b->replaced. */
us_err us_block_node(us_blocker *b, const char *domain, const char *op, size_t n_in,
                     const us_vid *in, us_vid *out) US_MUST;
us_err us_block_attr(us_blocker *b, const us_attr *a) US_MUST;
us_err us_block_attr_ints(us_blocker *b, const char *name, size_t n, const int64_t *v) US_MUST;
us_err us_block_attr_int(us_blocker *b, const char *name, int64_t v) US_MUST;
us_err us_block_const(us_blocker *b, us_dtype t, int rank, const int64_t *dims,
                      const void *data, us_vid *out) US_MUST;
/* The node's output 0 is y now, in blocks. */
void us_block_done(us_blocker *b, us_vid y, int64_t channels, int32_t rank);
/* The node's output 0 is y, which lies as it did: few channels would mostly be padding. */
us_err us_block_done_plain(us_blocker *b, us_vid y) US_MUST;

/* A row per operator: makes the node at hand one over blocks, or leaves b->replaced US_NIL. */
typedef us_err us_block_fn(us_blocker *b, const us_node *n);
typedef struct us_block_row {
    const char *op;
    us_block_fn *fn;
} us_block_row;
/* NULL: the operator is not in the table and not elementwise. */
us_block_fn *us_block_find(const us_node *n);
us_block_fn us_block_conv, us_block_deconv, us_block_slice,
    us_block_split; /* block_conv.c, block_deconv.c, block_cut.c */

#endif
