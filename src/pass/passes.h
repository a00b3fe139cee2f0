/* pass/passes.h - inside of pass: the passes' functions, one file each, and what they share. */
#ifndef USTA_PASS_PASSES_H
#define USTA_PASS_PASSES_H

#include "ir/op.h"
#include "pass/pass.h"

typedef us_err us_pass_fn(us_ctx *c, us_model *m, us_graph *g, bool *changed);
us_pass_fn us_pass_fuse_norm, us_pass_fuse_gelu, us_pass_own_attention;
us_pass_fn us_pass_block_layout, us_pass_fuse_conv_add, us_pass_fuse_conv_act,
    us_pass_fuse_conv_map;
us_pass_fn us_pass_inline, us_pass_upgrade, us_pass_expand, us_pass_fold_const,
    us_pass_if_const, us_pass_concat, us_pass_fold_pad, us_pass_cancel, us_pass_static_reshape,
    us_pass_identity, us_pass_cse, us_pass_fold_bn, us_pass_fold_scale, us_pass_chain,
    us_pass_slice, us_pass_fuse_gemm, us_pass_transpose_weights, us_pass_fold_params,
    us_pass_qdq, us_pass_quant_layout, us_pass_fuse_int, us_pass_dce, us_pass_fuse_map,
    us_pass_own_gemm, us_pass_own_matmul, us_pass_fuse_gemm_bias, us_pass_fuse_gemm_add,
    us_pass_fuse_gemm_act, us_pass_fuse_gemm_map;

bool us_is_op(const us_node *n, const char *domain, const char *name); /* alive, too */
/* The tensor a value always holds: constant here or captured from an enclosing graph; NULL when it is not one. */
const us_tensor *us_const_tensor(const us_graph *g, us_vid v);
/* The same for who asks for type and shape alone: its numbers may be for later (ir/later.h). */
const us_tensor *us_const_shape(const us_graph *g, us_vid v);

/* What a Relu or a Clip with constant bounds lets through; false: n is neither, or a bound is NaN or above the other. */
bool us_const_range(const us_graph *g, const us_node *n, float *lo, float *hi);

/* n gets the name, the operator and the attributes of `from`, and these inputs; its outputs stay. */
void us_node_become(us_node *n, const us_node *from, uint32_t n_in, us_vid *in);
/* Another standard operator in n's version, which knows n's attributes; name: of static storage. */
void us_node_set_op(us_node *n, const char *name);

/* Calls fn for every value that n reads: inputs, then what its sub-graphs capture. n: a copy when fn adds nodes. */
typedef us_err us_read_fn(void *arg, us_vid v);
us_err us_each_read(const us_node *n, us_read_fn *fn, void *arg) US_MUST;

/* `to` gets the name of `from`, which nobody is going to read any more and which gets a made-up one. */
us_err us_take_name(us_ctx *c, us_graph *g, us_vid from, us_vid to) US_MUST;

/* Many replacements in one sweep over the order: O(nodes), where us_graph_replace_uses costs that for each one.
 *     us_rewire_begin; for each node in order { us_rewire_node; look at it; us_rewire_set; us_rewire_drop } us_rewire_end.
 * Uses come after definitions, so a node looked at already reads the replacements. Nodes and values may be added on
 * the way; nodes added before the one at hand must use rewired values, as what is read from nodes already is. */
typedef struct us_rewire {
    us_graph *g;
    us_vid *to;
    bool *is_output; /* of the graph, as it was at the beginning */
    size_t n;
    bool dropped;
} us_rewire;
us_err us_rewire_begin(us_ctx *c, us_graph *g, us_arena *a, us_rewire *r) US_MUST;
bool us_rewire_is_output(const us_rewire *r, us_vid v);
void us_rewire_set(us_rewire *r, us_vid from, us_vid to);
void us_rewire_node(us_rewire *r, us_nid n);
void us_rewire_drop(us_rewire *r, us_nid n); /* dead now, out of the order at the end */
void us_rewire_end(us_rewire *r);

#endif
