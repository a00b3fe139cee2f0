/* inspect/extract.h - a part of a graph, between named values, as a model of its own.
 *
 * Wanted are the values `to`; what they need is followed upwards until a value of `from`, a constant or an input of the
 * model. `from` values become inputs with the types that inference finds (the declared ones where it cannot run). Names,
 * metadata and opset imports that are still used stay; so do the functions and weights that are needed.
 */
#ifndef USTA_INSPECT_EXTRACT_H
#define USTA_INSPECT_EXTRACT_H

#include "ir/graph.h"

#define US_EXTRACT_MAX_ENDS 4096 /* names in from, and in to */

typedef struct us_extract_opts {
    const us_sv *from,
        *to; /* of values of the main graph; from may be empty: the model's inputs */
    size_t n_from, n_to;
    bool add_inputs; /* inputs of the model that are needed and not named become inputs, too */
} us_extract_opts;

typedef struct us_extract_report {
    size_t nodes_before, nodes_after;
    size_t n_added;   /* inputs that add_inputs brought */
    size_t n_unused;  /* values of from that nothing needs: inputs all the same */
    us_sv unused;     /* the first of them */
    bool as_declared; /* types could not be inferred: they are what the file says */
} us_extract_report;

/* The result shares names and weights with m, which must outlive it. US_ARG: a name that is not there, with the nearest;
 * what is missing when `from` does not cut the graph off. */
us_err us_extract(us_ctx *c, const us_model *m, const us_extract_opts *opts, us_model **out,
                  us_extract_report *report) US_MUST;

/* For messages: the value of g whose name is nearest to `name`; empty when none is near. */
us_sv us_nearest_value(us_ctx *c, const us_graph *g, us_sv name);

#endif
