/* ir/forest_in.h - a packed forest, for forest_pack.c, which makes it, and forest.c, which runs it.
 *
 * Trees go in chunks of US_FOREST_WIDE. Of each tree the first f->levels levels are in its chunk's tops (kernel/forest.h); with none, walks
 * begin at the roots. A chunk's trees that go on below its tops are listed as deep: walks go on from their ends, those of the others
 * are leaves.
 */
#ifndef USTA_IR_FOREST_IN_H
#define USTA_IR_FOREST_IN_H

#include "ir/forest.h"
#include "kernel/kernels.h"

typedef struct us_tree_chunk {
    us_tree_tops
        tops; /* ends: of a deep tree in f->starts, of others leaves. No levels: base are the roots */
    const uint8_t *deep;   /* n_deep trees; then the last again up to a multiple of the group */
    const uint32_t *depth; /* of these trees below the tops, */
    const uint32_t *deepest; /* and of each group of them */
    uint32_t n, n_deep;
} us_tree_chunk;

typedef enum us_leaf_kind {
    US_LEAVES_ROWS, /* leaf i has the row values[i * width ...]: all outputs, or the output f->only */
    US_LEAVES_ONE, /* leaf i has values[i] for the output ids[i] */
    US_LEAVES_LISTS /* leaf i has values leaf_at[i] .. leaf_at[i + 1], each for the output in ids */
} us_leaf_kind;

struct us_forest {
    const us_forest_kernels *kernels;
    const us_tree_node *nodes;
    const uint32_t *starts; /* nodes to walk on from */
    unsigned levels;
    const uint32_t *which;  /* the row's numbers that are compared below the tops */
    size_t n_which, n_keys; /* n_keys: with those that take NaN for low, and the last of all */
    us_tree_columns columns;
    const us_tree_chunk *chunks;
    bool any_deep;
    size_t n_chunks, n_roots, n_out;
    size_t block; /* rows at once */
    us_leaf_kind kind;
    size_t width; /* of a row of values and of a part of the sums */
    size_t only;  /* the one output that leaves have values for, or SIZE_MAX */
    const double *values;
    const uint32_t *ids, *leaf_at;
    const uint8_t *has; /* per output */
};

#endif
