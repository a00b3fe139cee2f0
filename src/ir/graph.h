/* ir/graph.h - the graph: values and nodes by index, sub-graphs, a model around them.
 *
 * Invariants, checked by us_graph_verify:
 *  1. A value has one definition: a graph input, a constant or variable with data, an outer value, or one node.
 *  2. `order` lists every live node once, each after the definitions of its inputs.
 *  3. A sub-graph refers to the enclosing graph's values only through its own US_ST_OUTER values.
 *  4. Names of values are unique within a graph; "" names nothing (an input left out is US_NIL).
 * Everything lives in the model's arena; removing a node marks it dead and takes it out of `order`.
 * Nodes keep what was read (domain, operator, version), so a file can be written as it came.
 */
#ifndef USTA_IR_GRAPH_H
#define USTA_IR_GRAPH_H

#include "base/file.h"
#include "base/map.h"
#include "ir/type.h"

typedef uint32_t us_vid; /* a value of one graph */
typedef uint32_t us_nid; /* a node of one graph */
#define US_NIL UINT32_MAX

/* Limits for graphs from outside; tested. */
#define US_MAX_NODES       ((size_t)1 << 22)
#define US_MAX_VALUES      ((size_t)1 << 23)
#define US_MAX_GRAPH_DEPTH 32 /* sub-graph nesting */

typedef struct us_graph us_graph;
typedef struct us_model us_model;
struct us_op;
struct us_schema;

typedef enum us_storage {
    US_ST_INPUT,    /* given by the caller */
    US_ST_CONST,    /* never changes: may be folded and packed */
    US_ST_VARIABLE, /* trained: has data, written by the optimiser; exported as initialiser */
    US_ST_TEMP,     /* made by a node */
    US_ST_OUTER     /* a value of the enclosing graph, captured */
} us_storage;

typedef struct us_val {
    us_sv name;
    us_type type;
    us_storage storage;
    us_nid def;       /* TEMP: the node; else US_NIL */
    uint32_t def_out; /* which of its outputs */
    us_vid outer;     /* OUTER: the value in the enclosing graph */
    us_value *data;   /* CONST, VARIABLE; of a TEMP that was folded away: what it held */
    /* contents of an integer vector or scalar as dimensions, found by inference; US_DIM_ANY among them */
    const us_dim *known;
    uint32_t n_known;
    bool declared; /* type came from the file (value_info), is written back */
    /* CONST listed among the graph inputs too (IR < 4): the caller may override */
    bool also_input;
    us_sv doc;
    us_sv unknown; /* protobuf fields we do not know, kept for rewriting */
} us_val;

typedef struct us_attr {
    us_sv name;
    int32_t kind; /* us_attr_kind */
    us_sv ref;    /* inside functions: the function's attribute it stands for */
    int64_t i;
    float f;
    us_sv s;
    const int64_t *ints; /* n of them */
    const float *floats;
    const us_sv *strs;
    us_tensor *tensors; /* TENSOR(S) */
    us_graph **graphs;  /* GRAPH(S) */
    us_type *types;     /* TYPE(S) */
    size_t n;
    us_sv raw; /* kinds we keep but do not decode (sparse): the protobuf bytes */
    us_sv doc;
} us_attr;

typedef struct us_node {
    us_sv name;
    us_sv domain; /* "" for ai.onnx */
    us_sv op_type;
    int32_t version;                /* opset version of its domain as read */
    const struct us_op *op;         /* NULL: not in ops.def (a function, or unknown) */
    const struct us_schema *schema; /* row for `version`; NULL when op is */
    us_vid *in;                     /* US_NIL = left out */
    us_vid *out;
    uint32_t n_in, n_out;
    us_attr *attrs;
    uint32_t n_attrs;
    void *params; /* attributes decoded by the schema's rows; see us_node_decode */
    us_sv doc;
    us_sv unknown;
    uint64_t offset; /* where in the file, for messages; 0 = made here */
    /* what a pass has to say of it, for `usta explain`: a lasting string; NULL: nothing */
    const char *note;
    bool dead;
} us_node;

struct us_graph {
    us_model *model;
    uint32_t index;   /* in model.graphs */
    us_graph *parent; /* NULL: a main graph or a function body */
    us_sv name;
    US_VEC(us_val) vals;
    US_VEC(us_node) nodes;
    US_VEC(us_nid) order; /* live nodes in execution order */
    US_VEC(us_vid) inputs;
    US_VEC(us_vid) outputs;
    us_map by_name; /* value names */
    us_sv doc;
    us_sv unknown;
    us_sv quant;      /* quantization_annotation and the like: bytes kept as they are */
    uint32_t n_fresh; /* counter for made-up names */
};

typedef struct us_opset {
    us_sv domain;
    int32_t version;
} us_opset;
typedef struct us_prop {
    us_sv key, value;
} us_prop;

typedef struct us_function { /* model-local function: a named graph with attribute parameters */
    us_sv domain, name, overload;
    us_graph *body;
    US_VEC(us_opset) opsets;
    US_VEC(us_sv) attr_names;
    US_VEC(us_attr) attr_defaults;
    us_sv doc, unknown;
} us_function;

/* Bytes of a file that were copied into the model's arena: where pages of the copy are dropped, they can be had again. */
typedef struct us_copy {
    void *to;
    const void *from;
    size_t bytes;
} us_copy;
#define US_COPY_MIN ((size_t)4 << 10) /* smaller ones are not worth a note */
/* Weights that passes compute keep their place from this size on, for pages of theirs may go and come back. */
#define US_STAY_MIN ((size_t)32 << 10)

/* Weights that a pass has computed, but not written down: ir/later.h. */
typedef struct us_later {
    float *to; /* `count` numbers: room, not touched before it is `done` */
    const float *from;
    const double *k; /* n: to[i] = from[i] * k[i / inner % n] */
    size_t n, inner, count;
    bool done;
} us_later;

struct us_model {
    us_arena *arena;
    us_graph *main;
    us_syms syms;
    int64_t ir_version;
    US_VEC(us_opset) opsets;
    us_sv producer_name, producer_version, domain, doc;
    int64_t model_version;
    US_VEC(us_prop) props; /* metadata_props, in order */
    US_VEC(us_function) functions;
    US_VEC(us_graph *) graphs; /* every graph made for this model, main first */
    us_sv unknown;
    us_file *file;               /* weights may point into it; closed with the model */
    US_VEC(us_file *) externals; /* external data files likewise */
    US_VEC(us_copy) copies;      /* of large weights that lay badly in their file */
    /* for them alone, made with the first; of a squeezed model: its weights; or NULL */
    us_arena *heavy;
    bool defers; /* who runs the passes asks for what is `later` before reading it */
    US_VEC(us_later) later;
};

/* Cap of a model's arena: descriptors and small weights; weights of files stay in the file. */
#define US_MODEL_ARENA_CAP ((size_t)8 << 30)

us_err us_model_new(us_ctx *c, us_model **out) US_MUST; /* empty main graph, opset 17, IR 8 */
void us_model_free(us_model *m);                        /* NULL is fine */
int us_model_opset(const us_model *m, us_sv domain);    /* 0 when not imported */
us_err us_model_set_opset(us_ctx *c, us_model *m, us_sv domain, int version) US_MUST;
us_err us_model_set_prop(us_ctx *c, us_model *m, us_sv key,
                         us_sv value) US_MUST; /* insert or replace; copied */
bool us_model_prop(const us_model *m, const char *key, us_sv *value);

/* A copy to try things on: values, nodes and graphs have the same numbers as in m. Names, types, weights and the
 * contents of attributes are m's own, so m must outlive the copy; what is changed in the copy does not show in m. */
us_err us_model_clone(us_ctx *c, const us_model *m, us_model **out) US_MUST;

/* A clone that passes are done with shrinks to what a plan of it needs: values and nodes get new numbers in the old order, dead ones go,
 * functions too. Weights of US_STAY_MIN bytes and more stay where they are; every other pointer into the clone is void, m itself is
 * not. On failure it is as it was. */
us_err us_model_squeeze(us_ctx *c, us_model *m) US_MUST;

us_err us_graph_new(us_ctx *c, us_model *m, us_graph *parent, us_sv name,
                    us_graph **out) US_MUST;

/* As many values and nodes are going to be added to g, about: arrays of that size now are none outgrown later. */
us_err us_graph_expect(us_ctx *c, us_graph *g, size_t n_vals, size_t n_nodes) US_MUST;

/* Values. Names are copied; "" gives a made-up unique name. US_FORMAT when the name is taken. */
us_err us_graph_add_val(us_ctx *c, us_graph *g, us_sv name, us_storage st, const us_type *type,
                        us_vid *out) US_MUST;
us_err us_graph_add_input(us_ctx *c, us_graph *g, us_sv name, const us_type *type,
                          us_vid *out) US_MUST;
/* Constant or variable holding this tensor: the struct is copied, the data is not. */
us_err us_graph_add_const(us_ctx *c, us_graph *g, us_sv name, us_storage st, const us_tensor *t,
                          us_vid *out) US_MUST;
us_err us_graph_add_output(us_ctx *c, us_graph *g, us_vid v) US_MUST;
/* The value of g that stands for `name` of the nearest enclosing graph that has it, captures made on the way down;
 * US_NOTFOUND when none has. */
us_err us_graph_capture(us_ctx *c, us_graph *g, us_sv name, us_vid *out) US_MUST;
us_err us_graph_rename(us_ctx *c, us_graph *g, us_vid v,
                       us_sv name) US_MUST;          /* US_FORMAT: taken */
us_vid us_graph_find(const us_graph *g, us_sv name); /* US_NIL when absent */
us_sv us_graph_fresh_name(us_ctx *c, us_graph *g,
                          const char *stem); /* unique; empty when out of memory */

/* Nodes. `out` are TEMP values without a definition (us_graph_add_val), US_NIL = left out. version 0: as the model
 * imports the domain. before: US_NIL appends. Pointers to nodes and values are good until the next addition. */
us_err us_graph_add_node(us_ctx *c, us_graph *g, us_sv domain, us_sv op_type, int version,
                         us_sv name, size_t n_in, const us_vid *in, size_t n_out,
                         const us_vid *out, us_nid before, us_nid *node) US_MUST;
void us_graph_remove_node(us_graph *g, us_nid n);
/* Node inputs, graph outputs, captures in sub-graphs. When `from` is a graph output, `to` takes its name over (they
 * swap names), so the graph's interface stays; where it cannot (`to` is an input, a constant, an outer value or an
 * output itself) that output goes on being `from`. */
void us_graph_replace_uses(us_graph *g, us_vid from, us_vid to);
/* Sort `order` topologically (stable); US_FORMAT names a node on a cycle. */
us_err us_graph_sort(us_ctx *c, us_graph *g) US_MUST;
/* Number of uses of each value (graph outputs and captures count), array of vals.n in the arena. */
us_err us_graph_uses(us_ctx *c, const us_graph *g, us_arena *a, uint32_t **out) US_MUST;

/* fn on every live sub-graph of g, innermost first, then on g itself. */
typedef us_err us_graph_fn(us_ctx *c, us_graph *g, void *arg);
us_err us_graph_each(us_ctx *c, us_graph *g, us_graph_fn *fn, void *arg) US_MUST;

us_err us_node_set_attr(us_ctx *c, us_graph *g, us_nid n,
                        const us_attr *a) US_MUST; /* insert or replace; shallow copy */
const us_attr *us_node_attr(const us_node *n, const char *name); /* NULL when absent */
void us_node_del_attr(us_node *n, const char *name);
/* Look up op and schema for (domain, op_type, version) and decode the attributes into params by the schema's
 * rows. US_FORMAT: wrong kind, missing or unknown attribute, named. Nodes without an op are left alone. */
us_err us_node_decode(us_ctx *c, us_model *m, us_node *n) US_MUST;

/* The invariants above, arity and attribute rules, types of constants; message names node, offset, rule. */
us_err us_graph_verify(us_ctx *c, us_graph *g) US_MUST;

/* Infer types and shapes of every value from the inputs on (declared types are merged and checked). Nodes in
 * current form only (after the upgrade pass); unknown operators leave their outputs unknown. */
us_err us_graph_infer(us_ctx *c, us_graph *g) US_MUST;
/* The same for whoever wants to know of every contradiction, those in sub-graphs too: `failed` is called for each node that
 * cannot be inferred, with c->diag saying why, and returns US_OK to go on. */
typedef us_err us_infer_fail_fn(void *arg, const us_graph *g, us_nid n, us_err e);
us_err us_graph_infer_all(us_ctx *c, us_graph *g, us_infer_fail_fn *failed, void *arg) US_MUST;
/* A type that says at least what both say, for the value `what`; US_SHAPE when they contradict. */
us_err us_type_merge(us_ctx *c, us_model *m, const us_type *a, const us_type *b, us_sv what,
                     us_type *out) US_MUST;

#endif
