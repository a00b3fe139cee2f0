/* kernel/forest.c - see forest.h. Nodes are known to be trees: whoever packs them has looked (ir/forest.c). */
#include "kernel/forest.h"

#include <string.h>

#define NAN_KEY UINT32_MAX

bool us_forest_keys(size_t n, const float *x, uint32_t *keys)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] + 0.0F; /* -0 becomes 0 */
        uint32_t bits, odd = 0U - (uint32_t)(v != v);
        memcpy(&bits, &v, sizeof bits);
        keys[i] = (bits ^ ((0U - (bits >> 31)) | 0x80000000U)) | odd;
        any |= odd;
    }
    return any != 0;
}

static inline __attribute__((always_inline)) uint32_t next(const us_tree_node *nodes, bool nan,
                                                           uint32_t at, const uint32_t *keys)
{
    const us_tree_node *n = nodes + at;
    uint32_t v = keys[n->feature];
    if (!nan) return n->child + (v < n->t);
    uint32_t odd = (uint32_t)(v == NAN_KEY) & n->more & (uint32_t)(n->child != at);
    return n->child + ((uint32_t)(v < n->t) | odd);
}

/* X(i) for each walk of a group: names, so that all stay in registers. */
#define WALKS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define BEGIN(i) uint32_t a##i = from[i];
#define STEP(i)  a##i = next(nodes, nan, a##i, keys + (i)*d);
#define LAST(i)                                                                                \
    {                                                                                          \
        uint32_t to = next(nodes, nan, a##i, keys + (i)*d);                                    \
        moved |= to ^ a##i;                                                                    \
        a##i = to;                                                                             \
    }
#define END(i) leaves[i] = a##i;

/* Eight walks from `from`, each in its row. Now and then a look whether all have arrived: few leaves are as low as the lowest. */
static inline __attribute__((always_inline)) void group(const us_tree_node *nodes, bool nan,
                                                        const uint32_t *from, uint32_t depth,
                                                        const uint32_t *keys, size_t d,
                                                        uint32_t *leaves)
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

void us_forest_walk_trees(const us_tree_node *nodes, bool nan, size_t n, const uint32_t *roots,
                          const uint32_t *depth, const uint32_t *keys, uint32_t *leaves)
{
    for (size_t i = 0; i < n && nan; i += US_FOREST_GROUP)
        group(nodes, true, roots + i, depth[i / US_FOREST_GROUP], keys, 0, leaves + i);
    for (size_t i = 0; i < n && !nan; i += US_FOREST_GROUP)
        group(nodes, false, roots + i, depth[i / US_FOREST_GROUP], keys, 0, leaves + i);
}

void us_forest_walk_rows(const us_tree_node *nodes, bool nan, uint32_t root, uint32_t depth,
                         size_t rows, const uint32_t *keys, size_t d, uint32_t *leaves)
{
    const uint32_t from[US_FOREST_GROUP] = {root, root, root, root, root, root, root, root};
    for (size_t i = 0; i < rows && nan; i += US_FOREST_GROUP)
        group(nodes, true, from, depth, keys + i * d, d, leaves + i);
    for (size_t i = 0; i < rows && !nan; i += US_FOREST_GROUP)
        group(nodes, false, from, depth, keys + i * d, d, leaves + i);
}
