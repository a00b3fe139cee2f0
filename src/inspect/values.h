/* inspect/values.h - every value of a model with its inferred type.
 *
 * What a file claims of computed values is not believed (pass/facts.h): types are inferred anew from inputs and constants, through
 * functions, sub-graphs and shape arithmetic. Where that contradicts itself, the types are those of the file, and `why` says why.
 */
#ifndef USTA_INSPECT_VALUES_H
#define USTA_INSPECT_VALUES_H

#include "ir/graph.h"

typedef struct us_value_info {
    us_sv graph; /* name of the graph it is in; "" for the main graph */
    /* name of the first output of the node that holds that graph; "" for the main graph */
    us_sv holder;
    us_sv attribute; /* of that node: "body", "then_branch" */
    us_sv name;
    us_storage storage;
    us_type type;
    /* contents of an integer vector or scalar, as far as they follow from shapes; NULL: not known */
    const us_dim *known;
    uint32_t n_known;
} us_value_info;

typedef struct us_values {
    us_model *from; /* what the types belong to */
    us_value_info *at;
    size_t n;
    bool inferred;
    char why[512];
} us_values;

/* Of the main graph and its sub-graphs, in the order of execution. Rows live in the arena; m must outlive them. Constants may
 * have been left unread (descriptors_only). */
us_err us_values_get(us_ctx *c, us_arena *a, const us_model *m, us_values *out) US_MUST;
void us_values_free(us_values *v);

#endif
