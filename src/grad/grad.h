/* grad/grad.h - reverse-mode differentiation, ir -> ir.
 *
 * Adds to a graph the nodes that compute d(loss)/d(v) for chosen values: each core operator's row gives a
 * function that writes the nodes of its vector-Jacobian product; composites are expanded first. Operators
 * without a gradient say so by name. Checked against central differences in double precision.
 */
#ifndef USTA_GRAD_GRAD_H
#define USTA_GRAD_GRAD_H

#include "ir/build.h"
#include "ir/op.h"

typedef struct us_grad {
    us_ctx *c;
    us_graph *g;
    us_nid n; /* the forward node */
    const void *params;
    us_builder *b;      /* gradient nodes go here */
    const us_vid *dy;   /* per output: its gradient, US_NIL when it gets none */
    us_vid *dx;         /* per input: to be filled; US_NIL = no gradient flows */
    const bool *wanted; /* per input: whether anybody needs it */
} us_grad;
typedef us_err us_grad_fn(us_grad *k);

/* loss: a scalar float value of g. wrt[i]: values whose gradients are wanted; dwrt[i] gets the value that holds it
 * (US_NIL when the loss does not depend on it). The graph must be in current form with types inferred. */
us_err us_grad_build(us_ctx *c, us_model *m, us_graph *g, us_vid loss, size_t n,
                     const us_vid *wrt, us_vid *dwrt) US_MUST;

#endif
