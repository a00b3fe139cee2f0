/* pass/fuse_tail.h - inside of pass: what follows a product of ours (usta.Conv, usta.Gemm) goes into it.
 *
 * The product's result must have no other reader, and nothing may be fused behind it yet that would come after: first a
 * residual (input 3), then a clamp (lo, hi), then a program (code, imm, its further inputs from 4 on). The last node becomes
 * the product, so everything it reads is there.
 */
#ifndef USTA_PASS_FUSE_TAIL_H
#define USTA_PASS_FUSE_TAIL_H

#include "ir/ewise.h"
#include "pass/fuser.h"

/* What one kind of product takes; the arg of the fuser. */
typedef struct us_tail {
    bool (*is)(const us_node *n);
    bool (*adds)(const us_type *y); /* a residual to a result of this type */
    bool (*runs)(const us_node *product, const us_ew_writer *w);
    /* May x, which a program of the result y reads too, be an input? */
    bool (*goes_along)(const us_fuser *f, us_vid y, us_vid x);
} us_tail;

/* Add of a value of the same shape. With two products the later one takes the other's result, so that neither waits. */
us_fuse_fn us_tail_add;
us_fuse_fn us_tail_act; /* Relu, or Clip by constants */
us_fuse_fn us_tail_map; /* an elementwise operator or usta.Map */

/* The product that makes v; NULL: none, or v has other readers. */
const us_node *us_tail_product(const us_fuser *f, us_vid v);
/* Nothing after the sum yet. */
bool us_tail_open(const us_node *product);
bool us_tail_has(const us_node *product, uint32_t input);
/* Node nid becomes the product that makes v, with the values `with` as its inputs from `at` on. */
us_err us_tail_become(us_fuser *f, us_nid nid, us_vid v, uint32_t at, uint32_t n_with,
                      const us_vid *with) US_MUST;
/* A program as the attributes code and imm, in the model's memory. */
us_err us_tail_program(us_ctx *c, us_graph *g, const us_ew_writer *w, us_attr out[2]) US_MUST;
/* Two tensors of one type and one known rank, alike for all sizes. */
bool us_tail_same_type(const us_graph *g, us_vid x, us_vid y);

#endif
