/* check/checker.h - within check: the state of one check and its parts.
 *
 * Findings about a node carry its operator, name and offset from `at`, which the walk over nodes sets. A scope holds the names
 * a graph has defined so far; sub-graphs are looked at where their node stands, so what they may capture is what is there by then.
 */
#ifndef USTA_CHECK_CHECKER_H
#define USTA_CHECK_CHECKER_H

#include "base/map.h"
#include "check/check.h"
#include "ir/op.h"
#include "onnx/proto.h"
#include "onnx/read.h"

typedef enum us_ck_def { US_CK_INPUT, US_CK_INIT, US_CK_RESULT } us_ck_def;

typedef struct us_ck_value {
    us_sv name;
    us_ck_def def;
    uint64_t offset;
    size_t i_node; /* RESULT: which node made it */
    us_sv type;    /* INPUT: the TypeProto */
    bool used;
    bool also_input; /* INIT */
} us_ck_value;

typedef struct us_ck_node { /* for those nobody reads */
    us_sv op_type, name;
    uint64_t offset;
} us_ck_node;

typedef struct us_ck_scope {
    struct us_ck_scope *up; /* the graph around; NULL: a main graph or a function */
    us_map names;           /* into values */
    US_VEC(us_ck_value) values;
    US_VEC(us_ck_node) nodes;
} us_ck_scope;

typedef struct us_ck_function {
    us_pb_function p;
    us_sv key; /* domain, name and overload */
    const us_opset *imports;
    size_t n_imports;
    us_map attrs;           /* names, those with a default too */
    US_VEC(uint32_t) calls; /* functions called */
    uint8_t mark;           /* 0 new, 1 on the path, 2 done */
    bool called;
} us_ck_function;

/* What is said once for many tensors. */
typedef struct us_ck_sum {
    size_t n;
    uint64_t bytes, largest;
    us_sv name; /* of the largest */
    uint64_t offset;
} us_ck_sum;

/* A cause that many nodes share, an import that is missing, say: one finding, for the first of them. */
typedef struct us_ck_cause {
    size_t finding; /* in rep->found; SIZE_MAX: not kept */
    size_t n;       /* nodes */
} us_ck_cause;

typedef struct us_checker {
    us_ctx *c;
    us_check_report *rep;
    /* r.pb.keep: names and scopes; r.pb.tmp: messages; r.m: a stand-in that holds files */
    us_onnx_reader r;
    int64_t ir;
    const us_opset *imports; /* of the model */
    size_t n_imports;
    US_VEC(us_ck_function) functions;
    us_map by_key;
    us_map missing; /* operators this build lacks, domain:name */
    us_map causes;  /* rule and what it is about -> all_causes */
    US_VEC(us_ck_cause) all_causes;
    us_ck_function *fn; /* whose body is looked at; NULL: the model's graphs */
    us_ck_scope *scope;
    us_sv graph; /* name, for findings */
    us_ck_node at;
    int depth; /* graphs entered */
    us_ck_sum f64, i64, overridable, odd[US_DTYPE_N];
} us_checker;

/* A finding about the message at `offset`. Fails only for want of memory. */
us_err us_ck_found(us_checker *k, us_rule rule, uint64_t offset, const char *fmt, ...) US_MUST
    US_PRINTF(4, 5);

/* The same, once for all nodes of the same `key` (a name, say) in the same function or the model; the finding tells how many. */
us_err us_ck_once(us_checker *k, us_rule rule, us_sv key, uint64_t offset, const char *fmt,
                  ...) US_MUST US_PRINTF(5, 6);
us_err us_ck_count_causes(us_checker *k) US_MUST; /* at the end: how many */

typedef struct us_ck_sides { /* of a graph */
    size_t n_in, n_out;
} us_ck_sides;
us_err us_ck_graph(us_checker *k, us_sv span, us_ck_sides *sides) US_MUST;
/* Nodes of a graph or a function body, in order. */
us_err us_ck_nodes(us_checker *k, const us_pb_spans *nodes) US_MUST;
us_err us_ck_define(us_checker *k, us_sv name, us_ck_def def, uint64_t offset,
                    size_t i_node) US_MUST;
us_ck_value *us_ck_lookup(us_ck_scope *s, us_sv name, bool outwards); /* NULL when absent */
us_err us_ck_unused(us_checker *k) US_MUST;

/* Operator, arity, attributes. */
us_err us_ck_op(us_checker *k, const us_pb_node *n) US_MUST;
us_err us_ck_attrs(us_checker *k, const us_pb_node *n, const us_op *op,
                   const us_schema *s) US_MUST;
us_err us_ck_call(us_checker *k, const us_pb_node *n, us_ck_function *f) US_MUST;
/* The version imported here; `exact`: not by the other name of the default domain. 0: none. */
int us_ck_import(const us_opset *imports, size_t n, us_sv domain, bool exact);

/* head (may be NULL) gets the message. weight: counted among the weights. */
us_err us_ck_tensor(us_checker *k, us_sv span, bool weight, us_pb_tensor *head) US_MUST;
us_err us_ck_sparse(us_checker *k, us_sv span, us_sv *name) US_MUST;
us_err us_ck_weights(us_checker *k) US_MUST; /* the sums */
/* strict: a value of the main graph's interface. */
us_err us_ck_type(us_checker *k, us_sv span, us_sv what, bool strict, int depth) US_MUST;

us_err us_ck_functions(us_checker *k,
                       const us_pb_spans *spans) US_MUST; /* reads the signatures */
us_err us_ck_bodies(us_checker *k) US_MUST;
us_err us_ck_function_find(us_checker *k, const us_pb_node *n,
                           us_ck_function **out) US_MUST; /* NULL */

us_err us_ck_infer(us_checker *k, us_sv span) US_MUST; /* types and shapes */
/* What inference itself does not ask: ranks, axes, dimensions that must be equal. n is a node of g as read, the types those
 * of `now`, the inferred copy of g. */
us_err us_ck_relations(us_checker *k, const us_model *inferred, const us_graph *now,
                       const us_node *n) US_MUST;
us_err us_ck_demands(us_checker *k, const us_graph *now, const us_node *n) US_MUST;
/* The type of value i of a list when it is a tensor of known rank; else NULL. */
const us_type *us_ck_tensor_type(const us_graph *now, const us_vid *ids, uint32_t n, size_t i);

/* Tables (tables.c). */
bool us_ck_deprecated(us_sv domain, us_sv name, int version, int *since);
bool us_ck_experimental(us_sv domain, us_sv name);
/* NULL when `value` is allowed or the attribute is free; else the values allowed. */
const char *us_ck_not_allowed(us_sv domain, us_sv op, us_sv attr, us_sv value);
bool us_ck_standard(us_sv domain); /* every operator of this domain is known */
int us_ck_ir_of_opset(int opset);
int us_ck_first_version(us_sv domain, us_sv name);
/* What the standard lists for an input, or for an output (US_CK_OUTPUT + i) whose type no input decides, where the engine
 * takes more; else all types. */
#define US_CK_OUTPUT 64
us_dtype_mask us_ck_standard_types(us_sv domain, us_sv name, int since, size_t operand);
const char *us_ck_runtime_for(us_sv domain, int opset); /* NULL: common runtimes take it */

#endif
