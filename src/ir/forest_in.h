/* ir/forest_in.h - a packed forest, for forest_pack.c and forest_upper.c, which make it, and forest.c, which runs it.
 *
 * Where all trees have few leaves, each row finds them by sets (kernel/forest.h), where they have few levels by hops, else by tops and walks.
 * Trees go in chunks of f->wide, US_FOREST_WIDE but for hops. Of each tree the first f->levels levels are in its chunk's tops (kernel/forest.h); with none, walks
 * begin at the roots. A chunk's trees that go on below its tops are listed as deep: walks go on from their ends, those of the others
 * are leaves.
 */
#ifndef USTA_IR_FOREST_IN_H
#define USTA_IR_FOREST_IN_H

#include "ir/forest.h"
#include "kernel/kernels.h"

typedef struct us_tree_chunk {
    us_tree_sets sets; /* where f->sets: nothing else is needed then */
    us_tree_hops hops; /* where f->hops: likewise */
    /* ends: of a deep tree in f->starts, of others leaves. No levels: base are the roots */
    us_tree_tops tops;
    const uint8_t *deep;   /* n_deep trees; then the last again up to a multiple of the group */
    const uint32_t *depth; /* of these trees below the tops, */
    const uint32_t *deepest; /* and of each group of them */
    uint32_t n, n_deep;
} us_tree_chunk;

struct us_forest {
    const us_forest_kernels *kernels;
    const us_tree_node *nodes;
    const uint32_t *starts; /* nodes to walk on from */
    bool sets;              /* all trees have few leaves, or */
    bool hops;              /* few levels; else by tops and walks */
    unsigned levels;
    size_t wide;            /* trees of a chunk */
    const uint32_t *which;  /* the row's numbers that are compared below the tops */
    size_t n_which, n_keys; /* n_keys: with those that take NaN for low, and the last of all */
    us_tree_columns columns;
    const us_tree_chunk *chunks;
    bool any_deep;
    size_t n_chunks, n_roots, n_out;
    size_t block; /* rows at once */
    bool rows;    /* leaf i has the row values[i * width ...]: all outputs, or f->only */
    size_t width; /* of a row and of a part of the sums */
    size_t only;  /* the one output that leaves have values for, or SIZE_MAX */
    const double *values;
    const uint32_t *ids,
        *leaf_at; /* else leaf i has values leaf_at[i] .. leaf_at[i + 1], each for the output in ids */
    const uint8_t *has; /* per output */
};

/* --- packing ---------------------------------------------------------------------------------------- */

typedef struct us_placed {
    float t;
    uint32_t feature;
    uint32_t child;        /* the first of two; 0: a leaf */
    uint32_t leaf;         /* a leaf's number */
    uint32_t level;        /* steps from the root */
    bool low;              /* NaN is below t */
    uint8_t column, limit; /* in the columns */
} us_placed;

typedef struct us_packer {
    us_eval *k;
    const us_raw_forest *raw;
    us_forest *f;
    us_placed *at; /* n, by place; gaps are leaves that nobody comes to */
    size_t n, n_leaves;
    uint32_t *queue;      /* raw nodes in the order they are placed in */
    uint32_t *places;     /* where each of these goes */
    uint32_t *leaf_of;    /* raw node of each leaf */
    uint32_t *roots;      /* by tree: its place */
    uint32_t *first_leaf; /* by tree, and the end */
    uint32_t *first_end;  /* by tree: of a deep one in starts, else a leaf */
    uint32_t *starts;
    uint32_t n_starts;
    uint32_t *depth;          /* by tree */
    const us_placed **sorted; /* branches that columns may be made of by column and limit */
    size_t n_sorted;
    size_t most_leaves;  /* of a tree */
    uint16_t *under;     /* by place: the leaves there, where all trees have few */
    uint32_t *first_row; /* of each column, and the end */
    uint8_t *seen;
    bool any_low, odd;
} us_packer;

/* Zeroed, until the prepare is over. */
us_err us_forest_room(us_eval *k, size_t n, size_t size, void **out) US_MUST;

/* forest_upper.c: chooses how rows find leaves (f->sets, f->hops, f->levels) and makes the columns, and what ends there are. */
us_err us_forest_choose(us_packer *p) US_MUST;
/* What of that the trees of a chunk, those from `from` on, have. */
us_err us_forest_upper(const us_packer *p, size_t from, us_tree_chunk *c) US_MUST;

#endif
