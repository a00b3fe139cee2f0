/* usta/graph.h - the graphs of a model: nodes, values, attributes, initialisers, as viewers and checkers need them.
 *
 *     const usta_graph *g = usta_model_graph(model);
 *     for (size_t i = 0; i < usta_graph_n_nodes(g); i++) {
 *         usta_node_info n = {.struct_size = sizeof n};
 *         if (usta_graph_node(g, i, &n) == USTA_OK) printf("%s %s\n", n.op_type, n.name);
 *     }
 *
 * A value is a number in its graph, from 0 to usta_graph_n_values - 1; USTA_NO_VALUE stands for an input or output that a node
 * leaves out. A node is a number too: its place in an order in which every node comes after what it needs (the file's order where
 * that is one). A sub-graph (in an attribute of If, Loop, Scan ...) has values of its own; those it captures are of source
 * USTA_FROM_OUTER and name the value of the graph around.
 *
 * Nothing is copied: names, lists and data of tensors are the model's and live as long as it does.
 *
 * Threading: any threads at once. Errors: USTA_ARG for a NULL or a number out of range and, where said, USTA_NOTFOUND; no text is
 * kept.
 */
#ifndef USTA_GRAPH_H
#define USTA_GRAPH_H

#include "usta/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- graphs ------------------------------------------------------------------------------------- */

/* Opaque; owned by the model.
 * Since:   0.1 */
typedef struct usta_graph usta_graph;

/* The main graph; NULL when m is.
 * Since:   0.1 */
USTA_API const usta_graph *usta_model_graph(const usta_model *m);

/* The name that the file gives it, "" when none or g is NULL; the graph around a sub-graph, NULL for others.
 * Since:   0.1 */
USTA_API const char *usta_graph_name(const usta_graph *g);
USTA_API const usta_graph *usta_graph_parent(const usta_graph *g);

/* How many; 0 when g is NULL.
 * Since:   0.1 */
USTA_API size_t usta_graph_n_nodes(const usta_graph *g);
USTA_API size_t usta_graph_n_values(const usta_graph *g);

/* The values that are inputs and outputs, in order. Initialisers that the file lists as inputs are among the inputs.
 *
 * n        how many.
 *
 * Returns  the list, owned by the model; NULL with *n 0 when g is NULL. n may be NULL.
 * Since:   0.1 */
USTA_API const uint32_t *usta_graph_inputs(const usta_graph *g, size_t *n);
USTA_API const uint32_t *usta_graph_outputs(const usta_graph *g, size_t *n);

/* --- values ------------------------------------------------------------------------------------- */

#define USTA_NO_VALUE UINT32_MAX
#define USTA_NO_NODE  UINT32_MAX

/* Where a value comes from.
 * Since:   0.1 */
#define USTA_FROM_INPUT       0
#define USTA_FROM_INITIALISER 1
#define USTA_FROM_NODE        2
#define USTA_FROM_OUTER       3 /* the graph around */

/* Beyond its type, of a value.
 * Since:   0.1 */
typedef struct usta_value_place {
    size_t struct_size;   /* set by the caller */
    int32_t source;       /* USTA_FROM_... */
    uint32_t node;        /* FROM_NODE: which node makes it */
    uint32_t node_output; /* FROM_NODE: as which of its outputs */
    uint32_t outer;       /* FROM_OUTER: the value of usta_graph_parent */
    int32_t also_input;   /* FROM_INITIALISER: listed among the graph's inputs, too */
    int32_t declared;     /* the file says its type */
    usta_str doc;
} usta_value_place;

/* Type of a value, and where it comes from.
 *
 * v        below usta_graph_n_values.
 * info     may be NULL; filled as far as its struct_size goes.
 * place    likewise.
 *
 * Errors:  USTA_ARG  NULL g, v out of range, a struct_size not set
 * Since:   0.1 */
USTA_API usta_err usta_graph_value(const usta_graph *g, uint32_t v, usta_value_info *info,
                                   usta_value_place *place) USTA_MUST;

/* The value of that name; USTA_NO_VALUE when there is none, or an argument is NULL.
 * Since:   0.1 */
USTA_API uint32_t usta_graph_find(const usta_graph *g, const char *name);

/* What an initialiser holds.
 *
 * out      data points to where the weights lie, not to a copy: read only. data is NULL, with dims that are not, when the model was
 *          opened with no_weights.
 *
 * Errors:  USTA_ARG  USTA_NOTFOUND  the value is no initialiser   USTA_UNSUPP  a sparse one
 * Since:   0.1 */
USTA_API usta_err usta_graph_tensor(const usta_graph *g, uint32_t v,
                                    usta_tensor *out) USTA_MUST;

/* --- nodes -------------------------------------------------------------------------------------- */

/* A node. Strings and lists are owned by the model.
 * Since:   0.1 */
typedef struct usta_node_info {
    size_t struct_size; /* set by the caller */
    const char *name;   /* "" when the file gives none */
    const char *op_type;
    const char *domain; /* "" for ONNX's own operators */
    int32_t version;    /* of its operator set, as imported */
    /* 1: an operator of this build in that version; 2: a function of the model; 0: neither */
    int32_t known;
    const uint32_t *inputs; /* values; USTA_NO_VALUE: left out */
    const uint32_t *outputs;
    size_t n_inputs;
    size_t n_outputs;
    size_t n_attributes;
    uint64_t offset; /* of the node in the file, bytes */
    usta_str doc;
} usta_node_info;

/* Node i.
 *
 * i        below usta_graph_n_nodes.
 * out      filled as far as its struct_size goes.
 *
 * Errors:  USTA_ARG
 * Since:   0.1 */
USTA_API usta_err usta_graph_node(const usta_graph *g, size_t i, usta_node_info *out) USTA_MUST;

/* --- attributes --------------------------------------------------------------------------------- */

/* What an attribute holds; the numbers of ONNX AttributeProto.AttributeType.
 * Since:   0.1 */
#define USTA_ATTRIBUTE_NONE    0
#define USTA_ATTRIBUTE_FLOAT   1
#define USTA_ATTRIBUTE_INT     2
#define USTA_ATTRIBUTE_STRING  3
#define USTA_ATTRIBUTE_TENSOR  4
#define USTA_ATTRIBUTE_GRAPH   5
#define USTA_ATTRIBUTE_FLOATS  6
#define USTA_ATTRIBUTE_INTS    7
#define USTA_ATTRIBUTE_STRINGS 8
#define USTA_ATTRIBUTE_TENSORS 9
#define USTA_ATTRIBUTE_GRAPHS  10
#define USTA_ATTRIBUTE_SPARSE  11 /* these two: not decoded */
#define USTA_ATTRIBUTE_SPARSES 12
#define USTA_ATTRIBUTE_TYPE    13
#define USTA_ATTRIBUTE_TYPES   14

/* An attribute. Everything it points to is owned by the model.
 * Since:   0.1 */
typedef struct usta_attribute_info {
    size_t struct_size; /* set by the caller */
    const char *name;
    int32_t kind;            /* USTA_ATTRIBUTE_... */
    float f;                 /* FLOAT */
    int64_t i;               /* INT */
    usta_str s;              /* STRING */
    size_t n;                /* how many a list holds; 1 for single ones */
    const float *floats;     /* FLOATS */
    const int64_t *ints;     /* INTS */
    const usta_str *strings; /* STRINGS */
    /* In bodies of functions: the function's attribute that it stands for; then it holds nothing. */
    usta_str ref;
    usta_str doc;
} usta_attribute_info;

/* Attribute a of node i.
 *
 * a        below n_attributes of that node.
 * out      filled as far as its struct_size goes.
 *
 * Errors:  USTA_ARG
 * Since:   0.1 */
USTA_API usta_err usta_graph_attribute(const usta_graph *g, size_t i, size_t a,
                                       usta_attribute_info *out) USTA_MUST;

/* Element k of an attribute that holds tensors, graphs or types (k is 0 for single ones).
 *
 * out      the tensor: data is read only; the type: filled as far as its struct_size goes, name is "".
 *
 * Returns  of usta_graph_attribute_graph: the graph, or NULL for whatever is none.
 * Errors:  USTA_ARG  USTA_NOTFOUND  the attribute holds none of these
 * Since:   0.1 */
USTA_API usta_err usta_graph_attribute_tensor(const usta_graph *g, size_t i, size_t a, size_t k,
                                              usta_tensor *out) USTA_MUST;
USTA_API usta_err usta_graph_attribute_type(const usta_graph *g, size_t i, size_t a, size_t k,
                                            usta_value_info *out) USTA_MUST;
USTA_API const usta_graph *usta_graph_attribute_graph(const usta_graph *g, size_t i, size_t a,
                                                      size_t k);

/* --- functions ---------------------------------------------------------------------------------- */

/* A function of the model: an operator that the file itself defines.
 * Since:   0.1 */
typedef struct usta_function_info {
    size_t struct_size; /* set by the caller */
    const char *name, *domain, *overload;
    const usta_graph *body;
    size_t n_attributes;        /* parameters without a default */
    const usta_str *attributes; /* their names */
    usta_str doc;
} usta_function_info;

/* Function i.
 *
 * i        below n_functions of usta_model_about.
 * out      filled as far as its struct_size goes.
 *
 * Errors:  USTA_ARG
 * Since:   0.1 */
USTA_API usta_err usta_model_function(const usta_model *m, size_t i,
                                      usta_function_info *out) USTA_MUST;

#ifdef __cplusplus
}
#endif

#endif
