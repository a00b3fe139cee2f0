/* kernel/forest.c - see forest.h. Nodes are known to be trees: whoever packs them has looked (ir/forest_pack.c). */
#include "kernel/forest.h"

#include <string.h>

void us_forest_keys(size_t n, const uint32_t *which, const float *x, uint32_t *keys,
                    uint32_t *low)
{
    for (size_t i = 0; i < n; i++) {
        float v = x[which[i]] + 0.0F; /* -0 becomes 0 */
        uint32_t bits, odd = 0U - (uint32_t)(v != v);
        memcpy(&bits, &v, sizeof bits);
        bits ^= (0U - (bits >> 31)) | 0x80000000U;
        keys[i] = bits | odd;
        if (low) low[i] = bits & ~odd;
    }
}

static inline __attribute__((always_inline)) uint32_t next(const us_tree_node *nodes,
                                                           uint32_t at, const uint32_t *keys)
{
    const us_tree_node *n = nodes + at;
    return n->child + (keys[n->key] < n->t);
}

/* X(i) for each walk of a group: names, so that all stay in registers. */
#define WALKS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define BEGIN(i) uint32_t a##i = at[i];
#define STEP(i)  a##i = next(nodes, a##i, keys + (i)*d);
#define LAST(i)                                                                                \
    {                                                                                          \
        uint32_t to = next(nodes, a##i, keys + (i)*d);                                         \
        moved |= to ^ a##i;                                                                    \
        a##i = to;                                                                             \
    }
#define END(i) at[i] = a##i;

/* Eight walks, each in its row. Now and then a look whether all have arrived: few leaves are as low as the lowest. */
static inline __attribute__((always_inline)) void
group(const us_tree_node *nodes, uint32_t depth, const uint32_t *keys, size_t d, uint32_t *at)
{
    WALKS(BEGIN)
    uint32_t moved = 1;
    for (; depth > 4 && moved; depth -= 4) {
        for (int i = 0; i < 3; i++) {
            WALKS(STEP)
        }
        moved = 0;
        WALKS(LAST)
    }
    for (; depth > 0 && moved; depth--) {
        WALKS(STEP)
    }
    WALKS(END)
}

void us_forest_walk_trees(const us_tree_node *nodes, size_t n, const uint32_t *depth,
                          const uint32_t *keys, uint32_t *at)
{
    for (size_t i = 0; i < n; i += US_FOREST_GROUP)
        group(nodes, depth[i / US_FOREST_GROUP], keys, 0, at + i);
}

void us_forest_walk_rows(const us_tree_node *nodes, uint32_t depth, size_t rows,
                         const uint32_t *keys, size_t d, uint32_t *at)
{
    for (size_t i = 0; i < rows; i += US_FOREST_GROUP)
        group(nodes, depth, keys + i * d, d, at + i);
}
