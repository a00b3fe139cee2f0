/* ir/infer_dims.h - within ir: contents of integer values as dimensions, followed through shape arithmetic. */
#ifndef USTA_IR_INFER_DIMS_H
#define USTA_IR_INFER_DIMS_H

#include "ir/op.h"

#define US_MAX_KNOWN 1024 /* elements; longer vectors are no shapes */

/* Contents of value v of the graph, from data or from what inference found before; false when not known. */
us_err us_known_of(us_ctx *c, us_graph *g, us_vid v, bool *known) US_MUST;
/* Follow the node's output 0 when it is shape arithmetic. Never fails because something is not known. */
us_err us_known_infer(us_infer *k) US_MUST;
/* Constant tensor behind a value: data, a captured constant, or a Constant node; NULL when there is none. */
const us_tensor *us_known_tensor(const us_graph *g, us_vid v);

/* Types inside a body that runs many times (infer_body.c), for nodes that have one. fn infers the body; tentative: with types that
 * may turn out to be too narrow, so a contradiction is returned and nothing reported. once: without looking for a fixed point. */
typedef us_err us_body_fn(void *arg, us_graph *body, bool tentative);
bool us_body_has(const us_node *n);
us_err us_body_infer(us_infer *k, bool once, us_body_fn *fn, void *arg) US_MUST;

#endif
