/* pass/simplify.h - a smaller model with the same meaning, in the versions its file declares.
 *
 * Rounds of facts (types, constants; facts.h) and of the passes below, until nothing changes. What a user may rely on stays:
 * names of inputs and outputs, their declared types with symbolic dimensions, metadata, opset imports.
 */
#ifndef USTA_PASS_SIMPLIFY_H
#define USTA_PASS_SIMPLIFY_H

#include "ir/graph.h"

/* The default, in order. */
#define US_SIMPLIFY_PASSES                                                                     \
    "if-const,static-reshape,identity,cancel,concat,slice,cse,fold-bn,fold-scale,chain,"       \
    "fold-pad,fuse-gemm,dce"
#define US_SIMPLIFY_GROWTH 1.1 /* constants may take this many times their bytes, and 64 KiB */

typedef struct us_simplify_opts {
    const char *passes; /* names from the table of passes, comma-separated; NULL: the default */
    double growth;      /* 0: US_SIMPLIFY_GROWTH */
    /* Called after each pass that changed something; NULL: not. */
    us_err (*after)(void *arg, const char *pass, const us_model *m);
    void *arg;
} us_simplify_opts;

typedef struct us_simplify_report {
    size_t nodes_before, nodes_after; /* sub-graphs included */
    size_t const_bytes_before, const_bytes_after;
    size_t rounds;
} us_simplify_report;

/* *out is a simplified copy; m stays as it is and must outlive it (weights are shared). */
us_err us_simplify(us_ctx *c, const us_model *m, const us_simplify_opts *opts, us_model **out,
                   us_simplify_report *report) US_MUST;

#endif
