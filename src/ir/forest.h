/* ir/forest.h - tree ensembles of ai.onnx.ml as both generations of the operator have them, and packed for a call.
 *
 * Packing takes forests of the usual kind: every node has one parent, comparisons are <, <=, > or >= with finite numbers,
 * scores are added up. It also asks that which outputs get a score does not depend on the row. Others stay with the operator's eval,
 * which is the definition; a packed forest gives the same sums in the same order (US_FOREST_PARTS).
 */
#ifndef USTA_IR_FOREST_H
#define USTA_IR_FOREST_H

#include "ir/op.h"
#include "kernel/forest.h"

typedef enum us_tree_mode {
    US_TREE_LEQ,
    US_TREE_LT,
    US_TREE_GTE,
    US_TREE_GT,
    US_TREE_EQ,
    US_TREE_NEQ,
    US_TREE_LEAF,
    US_TREE_N
} us_tree_mode;

typedef struct us_raw_node {
    double value;
    uint32_t yes, no; /* indices of nodes */
    uint32_t feature;
    uint32_t w0, w1; /* leaf: its weights */
    uint8_t mode;
    bool nan_yes;
} us_raw_node;

typedef struct us_raw_weight {
    double value;
    uint32_t id; /* class or target */
} us_raw_weight;

typedef struct us_raw_forest {
    const us_raw_node *nodes;
    size_t n_nodes;
    const uint32_t *roots;
    size_t n_roots;
    const us_raw_weight *weights;
    size_t n_out;
} us_raw_forest;

typedef struct us_forest us_forest;

/* *out stays when the forest is of another kind. Lives as `prepared` does. */
us_err us_forest_pack(us_eval *k, const us_raw_forest *raw, const us_forest **out) US_MUST;

/* How a number of rows goes through a forest: parts, and where what lies in the scratch of one. */
typedef struct us_forest_run {
    size_t rows, part, n_parts; /* part: rows of one */
    size_t one, has, keys, leaves, ranks, bytes;
} us_forest_run;

/* scratch: bytes, 64-byte aligned; false: past all bounds. */
bool us_forest_plan(const us_forest *f, size_t rows, us_forest_run *run,
                    size_t *scratch) US_MUST;
/* Called with the sums of each row in turn (n_out and room for one more) and which of them have a score. */
typedef void us_forest_row_fn(void *arg, size_t row, double *sums, uint8_t *has);
/* Sums of all rows of x, d columns each, one after the other or, for many, in parts on the pool: f is called for different rows at once. */
void us_forest_sums(const us_forest *f, const us_forest_run *run, us_ctx *c, const float *x,
                    size_t d, void *scratch, us_forest_row_fn *row, void *arg);

#endif
