/* kernel/forest.h - walks down decision trees: several at once, without a branch on what is compared.
 *
 * Nodes of all trees lie in one array, the two children of a node side by side. Numbers are compared as keys: unsigned integers in the same
 * order, which takes a third of the time of a float comparison whose outcome is needed as a number. A step is
 *
 *     at = node.child + (keys[node.feature] < node.t, or the key is NaN's and node.more says so)
 *
 * and a leaf is a node that this leads back to itself (t is 0, child its own index). So all walks of a group take the same steps,
 * and the processor has the loads of all of them in flight; a walk that waits for each of its loads, or for a branch that was guessed wrong,
 * takes several times as long.
 * The same C for all processors: gathers of AVX2 and AVX-512 are as many loads, and slower ones on most.
 */
#ifndef USTA_KERNEL_FOREST_H
#define USTA_KERNEL_FOREST_H

#include "base/err.h"

typedef struct us_tree_node {
    uint32_t t; /* a key */
    uint32_t feature;
    uint32_t child;
    uint32_t
        more; /* of a branch: 1 where NaN goes with the smaller numbers, else 0. Of a leaf: whatever the caller counts */
} us_tree_node;

enum { US_FOREST_GROUP = 8 }; /* walks at once */

/* Keys of n numbers: -0 and 0 have one, NaN is above all others. True when there is a NaN. */
bool us_forest_keys(size_t n, const float *x, uint32_t *keys);

/* The leaf, as an index, that a row comes to in each of n trees, a multiple of the group. depth: for each group of trees the steps to the
 * lowest leaf. nan: a key may be NaN's. */
void us_forest_walk_trees(const us_tree_node *nodes, bool nan, size_t n, const uint32_t *roots,
                          const uint32_t *depth, const uint32_t *keys, uint32_t *leaves);
/* The leaves that the rows keys, keys + d, ... come to in one tree; their number is a multiple of the group. */
void us_forest_walk_rows(const us_tree_node *nodes, bool nan, uint32_t root, uint32_t depth,
                         size_t rows, const uint32_t *keys, size_t d, uint32_t *leaves);

#endif
