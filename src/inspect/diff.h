/* inspect/diff.h - what differs between two models, whose nodes are matched by structure and not by name.
 *
 * Names of nodes and inner values, and the order of nodes, are no differences. Nor are: an attribute at its default against
 * none, the inputs of a commutative operator swapped, a constant in a Constant node against an initialiser (their number is
 * told as one fact), a value that is read from a twin that computes the same. Names of the model's inputs and outputs are.
 * Where opset imports differ, both models are compared in current form (pass "upgrade"), so that a version by itself is one
 * fact and not a change of every node. Sub-graphs are compared with the sub-graphs of the matched node, functions by name, then by body.
 */
#ifndef USTA_INSPECT_DIFF_H
#define USTA_INSPECT_DIFF_H

#include "inspect/cost.h"

typedef struct us_diff_opts {
    /* weights whose largest difference is at most this share of A's largest element are equal */
    double tolerance;
    bool structure_only; /* contents of constants are neither read nor compared */
    bool weights_only;   /* constants of matched nodes are all that counts */
    bool cost;           /* multiply-accumulates of matched nodes, too */
} us_diff_opts;

/* Something that is said once. a or b with p NULL: not there. */
typedef struct us_diff_fact {
    /* "opset", "metadata", "input", ...; of nodes: "operator", "attribute", "input", "output" */
    const char *what;
    us_sv name;
    us_sv a, b;
} us_diff_fact;

typedef enum us_diff_state { US_DIFF_REMOVED, US_DIFF_ADDED, US_DIFF_CHANGED } us_diff_state;

typedef struct us_diff_node {
    us_diff_state state;
    us_sv graph;           /* where; "" for the main graph */
    const us_node *a, *b;  /* ADDED: a is NULL; REMOVED: b is */
    us_sv name_a, name_b;  /* of the node, else of its first output */
    us_sv from, to;        /* ADDED, REMOVED: what it reads, what reads it */
    us_diff_fact *changes; /* CHANGED */
    size_t n_changes;
} us_diff_node;

typedef struct us_diff_shape { /* of a result of a matched node */
    us_sv graph, op;
    us_sv value_a, value_b;
    us_sv a, b; /* types as text */
} us_diff_shape;

typedef struct us_diff_weight { /* constants that a matched node reads */
    us_sv graph, op;
    us_sv name_a, name_b; /* of the constants */
    us_sv type_a, type_b;
    bool compared;  /* the numbers below are known: same number of elements, both numbers */
    bool quantised; /* one side was put through its DequantizeLinear */
    uint64_t n, n_changed, n_nan_a, n_nan_b;
    double largest,
        mean; /* |a - b| over the finite; infinity where one is not finite and the other is another */
    double relative; /* largest / largest |a| */
    double cosine;   /* NaN when either is all zeros */
} us_diff_weight;

typedef struct us_diff_cost { /* a matched node whose cost changed */
    us_sv graph, op, name;
    double macs_a, macs_b;
} us_diff_cost;

typedef struct us_diff {
    /* what is said lies here, in the models and in copies of them that go with the diff */
    us_arena *arena;
    us_model *copies[6];
    bool same;             /* nothing of what was asked for differs */
    bool current;          /* compared in current form, for imports differ */
    bool types_a, types_b; /* types were inferred; else those declared were compared */
    US_VEC(us_diff_fact) facts;
    US_VEC(us_diff_node) nodes;
    US_VEC(us_diff_shape) shapes;
    US_VEC(us_diff_weight) weights; /* those that differ, in order of execution */
    US_VEC(us_diff_cost) costs;
    size_t n_nodes_a, n_nodes_b,
        n_matched; /* of all graphs and functions, Constant nodes left out */
    size_t n_state[3];
    size_t n_weights, n_elements; /* constants compared, their elements in A */
    double macs_a, macs_b;        /* cost: of the whole */
} us_diff;

/* Both models must outlive the result. Differences are no error. Time is near linear in nodes, edges and bytes of constants. */
us_err us_diff_models(us_ctx *c, const us_model *a, const us_model *b, const us_diff_opts *opts,
                      us_diff **out) US_MUST;
void us_diff_free(us_diff *d); /* NULL is fine */

#endif
