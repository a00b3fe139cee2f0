/* inspect/cost.h - what a model costs, layer by layer: multiply-accumulates, operations, weights, activations.
 *
 * A layer is a node of the file, those of sub-graphs too (counted once, however often they run). What a node is made
 * of (a function's body, an expansion, helpers of an upgrade) counts for the node. Nodes that constant folding removes cost
 * nothing. Weights count for the first layer that reads them. Symbolic dimensions get a size from the caller, else 1.
 * Weights are not read: a model read with descriptors_only will do.
 */
#ifndef USTA_INSPECT_COST_H
#define USTA_INSPECT_COST_H

#include "ir/op.h"

typedef struct us_cost {
    double macs; /* multiplications whose products are summed */
    double ops;  /* other operations on numbers */
} us_cost;

/* The cost of one node in current form whose types are inferred; false when a shape it needs is not known. Composites that
 * have no row in cost.def: as if each output element were one operation. */
bool us_cost_of(const us_graph *g, const us_node *n, us_cost *out);
bool us_cost_has_row(const us_op *op);

typedef struct us_layer {
    us_sv graph; /* "" for the main graph */
    us_sv node, domain, op;
    us_sv output; /* name of its first output */
    us_type type; /* of that */
    int64_t n_params;
    uint64_t weight_bytes, activation_bytes;
    us_cost cost;
    bool known; /* the cost is */
} us_layer;

typedef struct us_dim_size {
    us_sv name;
    int64_t size;
    bool given; /* by the caller; else 1 by default */
} us_dim_size;

typedef struct us_layers {
    us_layer *at;
    size_t n, n_unknown; /* without a known cost */
    us_dim_size *dims;   /* every named dimension of the inputs */
    size_t n_dims;
    size_t n_unnamed; /* dimensions of inputs without a name: 1 */
    us_layer sum;
    /* else shapes are what the file declares, costs are not known, and `why` says why */
    bool inferred;
    char why[512];
} us_layers;

/* Everything in the arena but names, which are m's. US_ARG: a size for a dimension no input has. */
us_err us_layers_get(us_ctx *c, us_arena *a, const us_model *m, const us_dim_size *sizes,
                     size_t n_sizes, us_layers *out) US_MUST;

#endif
