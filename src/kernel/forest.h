/* kernel/forest.h - walks down decision trees, many at once.
 *
 * Numbers are compared as integers that are in the same order ("keys"): a comparison is then free of NaN. A branch goes to its second
 * child where the row's key is below the threshold's, else to its first. A leaf stays where it is: its key is the highest of all, and what
 * it leads to is itself. So walks of different lengths can run together without a branch, and US_FOREST_GROUP of them do: one walk waits
 * for each of its loads, or for a branch that was guessed wrong, takes several times as long.
 *
 * Trees of few leaves are quicker without any walk ("sets"), and the upper levels of many trees done together, a tree in each byte of a vector
 * ("tops"); where trees have no more than six levels, those below the third are one step more ("hops"). For all these the row is first put in ranks: a
 * column holds the thresholds of one feature in order, at most US_FOREST_LIMITS, and the row's rank in it is how many of them are not above its
 * number. A node then is two bytes, a column and a limit: to the second child where the rank is not above the limit, which is where the
 * number is below the threshold. All nodes of the upper levels are looked at, those that the row does not pass too: a whole tree of six
 * levels costs less than two steps of a walk.
 * Source of the idea of sets of leaves: Lucchese et al., "QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of
 * Regression Trees", SIGIR 2015; here the nodes of a column are put together before, for each rank.
 */
#ifndef USTA_KERNEL_FOREST_H
#define USTA_KERNEL_FOREST_H

#include "base/err.h"

/* --- walks ------------------------------------------------------------------------------------------ */

typedef struct us_tree_node {
    uint32_t t;     /* of a branch: a key. Of a leaf: whatever the caller counts */
    uint32_t key;   /* which of the row's */
    uint32_t child; /* the first of two, or the leaf itself */
} us_tree_node;

enum { US_FOREST_GROUP = 8 };     /* walks at once */
#define US_FOREST_LAST UINT32_MAX /* key of NaN and of leaves */

/* Keys of x[which[i]] for n of them: -0 and 0 have one, NaN is above all others; in low, if not NULL, it is below all. */
void us_forest_keys(size_t n, const uint32_t *which, const float *x, uint32_t *keys,
                    uint32_t *low);
/* at: n places, a multiple of the group, where walks begin and then where they end. depth: for each group the steps to the lowest
 * leaf. */
void us_forest_walk_trees(const us_tree_node *nodes, size_t n, const uint32_t *depth,
                          const uint32_t *keys, uint32_t *at);
/* The same for one tree and the rows keys, keys + d, ..., a multiple of the group. */
void us_forest_walk_rows(const us_tree_node *nodes, uint32_t depth, size_t rows,
                         const uint32_t *keys, size_t d, uint32_t *at);

/* --- tops ------------------------------------------------------------------------------------------- */

enum {
    US_FOREST_WIDE = 64, /* trees at once */
    US_FOREST_LEAST = 3,
    US_FOREST_LEVELS = 6,
    US_FOREST_COLUMNS = 64, /* at most */
    US_FOREST_LIMITS = 240, /* of a column, at most */
    US_FOREST_HEADS = US_FOREST_LIMITS / 16 - 1,
    US_FOREST_STRIDE = 16 + US_FOREST_LIMITS
};

/* The same for kernels that take all columns of a feature at once, where its limits are spread well enough: the span of the limits is in buckets
 * of one width, and the rank is that of the first limit in the number's bucket and how many from there on are not above the
 * number, of which US_FOREST_CLOSE are looked at. Feature i has the columns from column[i] on, at most two. n = 0: not so. */
enum { US_FOREST_BUCKETS = 256, US_FOREST_CLOSE = 8 };
typedef struct us_tree_features {
    size_t n_high, n;
    const uint32_t *x;
    bool straight;              /* x are numbers one after the other */
    const float *least, *scale; /* as us_forest_bucket takes them; 16 at a time are read */
    const uint16_t *ranks;      /* of each the buckets' */
    /* of each: where its limits begin, which US_FOREST_CLOSE times NaN follow */
    const uint32_t *first;
    const float *limits;
    const uint8_t *column;
} us_tree_features;

/* Never falls while x rises. */
static inline size_t us_forest_bucket(float x, float least, float scale)
{
    float at = (x - least) * scale;
    return !(at > 0) ? 0 : at < US_FOREST_BUCKETS - 1 ? (size_t)at : US_FOREST_BUCKETS - 1;
}

/* Columns, US_FOREST_STRIDE numbers each: the limits 15, 31, ... of which there are US_FOREST_HEADS, two numbers that do not count, then the limits
 * in rising order; NaN where there are no more. */
typedef struct us_tree_columns {
    const float *limits;
    const uint32_t *x; /* of each: which of the row's numbers */
    size_t n_high,
        n; /* NaN is above all numbers in the first n_high, below all in the others */
    us_tree_features features;
} us_tree_columns;

/* Ranks of a row in all columns; of ranks US_FOREST_COLUMNS may be written. */
typedef void us_tree_ranks_fn(const us_tree_columns *c, const float *x, uint8_t *ranks);
/* nodes: of each node of a perfect tree of `levels` levels, level by level, of US_FOREST_WIDE trees the columns, then the limits, then the steps:
 * how many ends lie under the first child. Children are as in walks, the second of node i is 2 i + 2. even: all ends are on the lowest
 * level, so that steps need not be read. base: of each tree the number of its first end; at: where the row comes to. Of ranks
 * US_FOREST_COLUMNS are read. levels: US_FOREST_LEAST to US_FOREST_LEVELS. */
typedef struct us_tree_tops {
    unsigned levels;
    bool even;
    const uint8_t *nodes;
    const uint32_t *base;
} us_tree_tops;
typedef void us_tree_tops_fn(const us_tree_tops *t, const uint8_t *ranks, uint32_t *at);

/* --- hops -------------------------------------------------------------------------------------------- */

/* Trees of at most US_FOREST_LEVELS levels, taken for perfect ones: the upper three as in tops, then the three below at once. A subtree there is
 * US_FOREST_HOP bytes: seven columns and, from the middle on, their limits; the root's, its children's, theirs. Tree i of n has
 * the ends from first + i * US_FOREST_ENDS on. Trees of three levels are done without `under`, and have US_FOREST_SUBTREES ends. */
enum {
    US_FOREST_ENDS = 1 << US_FOREST_LEVELS,
    US_FOREST_SUBTREES = 8,
    US_FOREST_HOP = 16,
    US_FOREST_MANY = 256 /* trees at once, at most */
};
typedef struct us_tree_hops {
    /* nodes of us_tree_tops, even, of US_FOREST_WIDE trees after the other */
    const uint8_t *tops;
    /* of each tree its subtrees, up to a multiple of US_FOREST_WIDE trees; or NULL */
    const uint8_t *under;
    uint32_t first, n;
} us_tree_hops;
/* Of at, a multiple of US_FOREST_WIDE may be written. */
typedef void us_tree_hops_fn(const us_tree_hops *h, const uint8_t *ranks, uint32_t *at);

/* --- sets ------------------------------------------------------------------------------------------- */

/* Trees of at most US_FOREST_FEW leaves: what a rank says of the nodes in its column rules out leaves, and all columns together leave one. */
enum { US_FOREST_FEW = 16 };
typedef struct us_tree_sets {
    /* US_FOREST_WIDE sets each: the leaves of each tree that a rank leaves */
    const uint16_t *rows;
    const uint32_t *first; /* of each column: its row for rank 0 */
    size_t n;              /* columns */
    const uint16_t *all;   /* of each tree: all leaves */
    const uint32_t *base;  /* at: what is added to the leaf's bit */
} us_tree_sets;
typedef void us_tree_sets_fn(const us_tree_sets *s, const uint8_t *ranks, uint32_t *at);

/* --- sums ------------------------------------------------------------------------------------------- */

/* Sums over trees run in this many parts, tree i in part i % US_FOREST_PARTS, which are then added as us_forest_total does: one sum would wait for
 * itself. */
enum { US_FOREST_PARTS = 4 };
static inline double us_forest_total(const double *parts, size_t stride)
{
    return (parts[0] + parts[stride]) + (parts[2 * stride] + parts[3 * stride]);
}

/* Adds row leaves[i] of values to part i % US_FOREST_PARTS, for n leaves. Rows and parts have d doubles. */
typedef void us_tree_add_fn(size_t n, const uint32_t *leaves, const double *values, size_t d,
                            double *parts);

typedef struct us_forest_kernels {
    const char *name;
    bool tops_pay;    /* they are quicker than walks */
    bool by_features; /* ranks reads what us_tree_features there are */
    double rank;      /* cycles, some, that one takes */
    us_tree_ranks_fn *ranks;
    us_tree_tops_fn *tops;
    us_tree_hops_fn *hops;
    us_tree_sets_fn *sets;
    us_tree_add_fn *add;
} us_forest_kernels;

#endif
