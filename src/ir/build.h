/* ir/build.h - writing graphs by hand: features, gradients, expansions, tests.
 *
 * Errors are sticky: after the first failure every call returns US_NIL and does nothing, so a whole
 * expression is written without checks and us_b_end tells. Nodes are added in the version the model
 * imports for their domain.
 *
 *     us_builder b = us_b_begin(c, g, "net");
 *     us_vid h = us_b1(&b, "Relu", us_b2(&b, "MatMul", x, w));
 *     us_vid y = us_b1(&b, "Softmax", h); us_b_int(&b, "axis", 1);
 *     US_TRY(us_b_end(&b));
 */
#ifndef USTA_IR_BUILD_H
#define USTA_IR_BUILD_H

#include "ir/graph.h"

typedef struct us_builder {
    us_ctx *c;
    us_graph *g;
    const char *stem; /* front of made-up node and value names; borrowed */
    us_nid before;    /* where nodes go; US_NIL appends */
    us_nid last;      /* the node the attribute calls refer to */
    us_err err;
} us_builder;

us_builder us_b_begin(us_ctx *c, us_graph *g, const char *stem);
us_err us_b_end(us_builder *b) US_MUST;

/* domain "" is ai.onnx; out names may be NULL (made up). Returns output 0; all of them in outs when not NULL. */
us_vid us_b_node(us_builder *b, const char *domain, const char *op, size_t n_in,
                 const us_vid *in, size_t n_out, us_vid *outs);
us_vid us_b1(us_builder *b, const char *op, us_vid x);
us_vid us_b2(us_builder *b, const char *op, us_vid x, us_vid y);
us_vid us_b3(us_builder *b, const char *op, us_vid x, us_vid y, us_vid z);
us_vid us_b_name(us_builder *b, us_vid v,
                 const char *name); /* rename the value (must be unique); returns v */

/* Attributes of the last node; arrays are copied. */
void us_b_int(us_builder *b, const char *name, int64_t v);
void us_b_float(us_builder *b, const char *name, float v);
void us_b_str(us_builder *b, const char *name, const char *v);
void us_b_ints(us_builder *b, const char *name, size_t n, const int64_t *v);
void us_b_floats(us_builder *b, const char *name, size_t n, const float *v);
void us_b_strs(us_builder *b, const char *name, size_t n, const us_sv *v);
void us_b_tensor(us_builder *b, const char *name, const us_tensor *t);
void us_b_graph(us_builder *b, const char *name, us_graph *sub);

/* Constants; data is copied. name NULL: made up. */
us_vid us_b_const(us_builder *b, const char *name, us_dtype t, int rank, const int64_t *dims,
                  const void *data);
us_vid us_b_f32(us_builder *b, float v);                     /* scalar */
us_vid us_b_i64s(us_builder *b, size_t n, const int64_t *v); /* vector */
us_vid us_b_i64(us_builder *b, int64_t v);                   /* scalar */
us_vid us_b_var(us_builder *b, const char *name, int rank,
                const int64_t *dims); /* float32 variable, zeroed */

#endif
