/* ir/op.h - what an operator is: one row in ops.def, one op_<name>.c, its versions as schema rows.
 *
 * ops.def lists each operator once, core or composite. Each layer expands its own column from the list
 * (here: schemas, infer, eval, expand; src/grad: grad; ...), so a forgotten function is a link error.
 * A new operator is a row, a file src/ir/op_<name>.c and a test case.
 *
 * Versions: an operator's schemas are ordered by `since`; the last is the current form, the only one that
 * infer, eval and expand understand. Older forms carry an `upgrade` that rewrites a node in place to the
 * next row; the upgrade pass applies them for whoever wants the current form.
 */
#ifndef USTA_IR_OP_H
#define USTA_IR_OP_H

#include "ir/graph.h"

/* --- parameters and attributes ------------------------------------------------------------------ */

enum {
    US_P_OPTIONAL = 1,
    US_P_VARIADIC = 2,
    US_P_HETERO = 4,
    US_P_SEQ = 8,
    US_P_MAP = 16,
    US_P_OPT = 32
};

/* A formal input or output. Parameters with the same type variable have the same element type; an output's
 * element type follows from it, so infer functions give shapes only. var '\0': type of its own. */
typedef struct us_param {
    const char *name;
    char var;            /* 'T', 'I', ... */
    us_dtype_mask types; /* what the variable may be */
    uint8_t flags;
} us_param;

typedef enum us_attr_kind { /* numbers of ONNX AttributeProto.AttributeType */
                            US_AT_NONE = 0,
                            US_AT_FLOAT = 1,
                            US_AT_INT = 2,
                            US_AT_STRING = 3,
                            US_AT_TENSOR = 4,
                            US_AT_GRAPH = 5,
                            US_AT_FLOATS = 6,
                            US_AT_INTS = 7,
                            US_AT_STRINGS = 8,
                            US_AT_TENSORS = 9,
                            US_AT_GRAPHS = 10,
                            US_AT_SPARSE = 11,
                            US_AT_SPARSES = 12,
                            US_AT_TYPE = 13,
                            US_AT_TYPES = 14
} us_attr_kind;

typedef struct us_ints {
    const int64_t *p;
    size_t n;
} us_ints;
typedef struct us_floats {
    const float *p;
    size_t n;
} us_floats;
typedef struct us_strs {
    const us_sv *p;
    size_t n;
} us_strs;

/* One attribute of a schema: decoded into the operator's parameter struct at `offset`, whose field is int64_t
 * (INT), float (FLOAT), us_sv (STRING), us_ints, us_floats, us_strs, const us_tensor * (TENSOR, NULL when
 * absent), us_graph * (GRAPH) or const us_type * (TYPE). has_offset: where a bool goes that tells whether it was given, or 0.
 * Small: there are more than a thousand. */
typedef struct us_attr_row {
    const char *name;
    union { /* the default, by kind; of other kinds there is none */
        int64_t def_i;
        float def_f;
        const char *def_s;
    };
    uint16_t offset, has_offset;
    uint8_t kind; /* us_attr_kind */
    bool required;
} us_attr_row;

/* An operator as of one opset version. Tables end with a row whose name is NULL. */
typedef struct us_schema {
    int since; /* 0 ends the list of schemas */
    const us_param *in, *out;
    const us_attr_row *attrs; /* NULL: none */
    uint32_t params_bytes;    /* size of the struct that attrs decode into */
    us_err (*upgrade)(us_ctx *c, us_model *m, us_graph *g,
                      us_nid n); /* to the next row; NULL: only `version` changes */
} us_schema;

/* --- shape inference ------------------------------------------------------------------------------ */

typedef struct us_infer {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_nid n;
    us_arena *arena;    /* the model's: types live there */
    const void *params; /* decoded attributes */
} us_infer;

size_t us_infer_n_in(const us_infer *k);
const us_type *us_infer_in(const us_infer *k,
                           size_t i); /* NULL: absent; kind NONE: not known */
const us_tensor *us_infer_const(const us_infer *k,
                                size_t i); /* known contents (constant), else NULL */
/* Known contents of an integer vector as dimensions, symbols included; false when not known. */
bool us_infer_in_dims(const us_infer *k, size_t i, size_t *n, const us_dim **dims);
/* The same where some elements may be US_DIM_ANY. */
bool us_infer_in_elems(const us_infer *k, size_t i, size_t *n, const us_dim **dims);
/* Set output i: a tensor of this shape, element type by the schema's variable (US_DT_NONE) or given. Merges with
 * what is already known; US_SHAPE when they contradict. rank -1: rank not known. */
us_err us_infer_out(us_infer *k, size_t i, us_dtype dtype, int rank,
                    const us_dim *dims) US_MUST;
us_err us_infer_out_type(us_infer *k, size_t i, const us_type *t) US_MUST;
/* Standard inferences, usable directly in ops.def rows' files. */
us_err us_infer_same(us_infer *k);      /* output 0 has the shape of input 0 */
us_err us_infer_broadcast(us_infer *k); /* NumPy broadcasting of all inputs */
us_err us_infer_broadcast_dim(us_infer *k, us_dim a, us_dim b, us_dim *out) US_MUST;

/* --- evaluation ------------------------------------------------------------------------------------ */

/* One node run through the kernels. The caller (plan or constant folding) gives inputs; outputs are made by
 * us_eval_out: planned memory when the plan knows the shape, else the dynamic arena. Results are the same. */
typedef struct us_eval {
    us_ctx *c;
    const us_node *n;          /* for names in messages and attributes */
    const void *params;        /* decoded attributes */
    const us_value *const *in; /* n_in; NULL = absent */
    size_t n_in;
    us_value *const *out; /* n_out; NULL = not wanted */
    size_t n_out;
    struct us_eval_env *env; /* memory, sub-graphs, random numbers: exec's */
    const void *prepared; /* what the operator's prepare made of this node; NULL: nothing yet */
} us_eval;

/* One of several ways to do what a node asks for. */
typedef struct us_candidate {
    const char *name; /* lasting; shorter than US_CANDIDATE_NAME */
    bool threads;     /* the same as `best` for one thread */
} us_candidate;
enum { US_CANDIDATES = 32, US_CANDIDATE_NAME = 28 };

typedef struct us_eval_env {
    /* Memory of output i for this type and shape: t->data is set. */
    us_err (*out_tensor)(struct us_eval_env *env, us_eval *k, size_t i, us_tensor *t);
    /* Working memory until the end of this eval, 64-byte aligned, not zeroed. */
    us_err (*scratch)(struct us_eval_env *env, us_eval *k, size_t bytes, void **out);
    /* Arena that lives as long as the outputs (dynamic parts: strings, sequences). */
    us_arena *(*dynamic)(struct us_eval_env *env, us_eval *k);
    /* Run a sub-graph attribute of this node; results live in the dynamic arena until the run ends. */
    us_err (*sub_run)(struct us_eval_env *env, us_eval *k, us_graph *sub, size_t n_in,
                      const us_value *const *in, size_t n_out, us_value *out);
    /* The operator is through with a result of sub_run: its memory may go back now. */
    void (*release)(struct us_eval_env *env, us_eval *k, us_value *v);
    /* Seed for a random operator without one of its own: the same for the same session seed, node and number of
     * the call, else different. */
    uint64_t (*seed)(struct us_eval_env *env, us_eval *k);
    /* As us_eval_packed; NULL: us_eval_keep_raw, and nothing is there. */
    us_err (*packed)(struct us_eval_env *env, us_eval *k, size_t bytes, void **out,
                     bool *there);
    /* As us_eval_choose; NULL: always `best`. */
    us_err (*choose)(struct us_eval_env *env, us_eval *k, size_t n, const us_candidate *list,
                     size_t best, size_t *out);
    const struct us_image_codec *images; /* decoder (ir/image.h); NULL: none given */
    double *work_left; /* of us_eval_work, shared by all nodes of a run; NULL: no limit */
} us_eval_env;

/* Input i as a tensor: US_ARG when absent or not a tensor. us_eval_opt: NULL when absent. */
us_err us_eval_in(us_eval *k, size_t i, const us_tensor **out) US_MUST;
const us_tensor *us_eval_opt(us_eval *k, size_t i);
/* The same, contiguous: a copy in scratch when it is not. */
us_err us_eval_in_dense(us_eval *k, size_t i, us_tensor *out) US_MUST;
/* Element types of the inputs against the current schema: what a variable may be, and one type per variable. Whoever calls eval
 * asks before, when types are new: kernels look at one input's type and trust the others to fit. */
us_err us_eval_check(us_eval *k) US_MUST;
bool us_eval_wants(const us_eval *k, size_t i); /* output i exists and is used */
/* In bind: output i as it will be (no data yet), NULL when nobody wants it. */
const us_tensor *us_eval_opt_out(const us_eval *k, size_t i);
/* Output i as contiguous tensor of this type and shape. */
us_err us_eval_out(us_eval *k, size_t i, us_dtype dtype, int rank, const int64_t *dims,
                   us_tensor **out) US_MUST;
us_err us_eval_scratch(us_eval *k, size_t bytes, void **out) US_MUST;
/* Ask before work that is not in proportion to the outputs and the scratch, which count by themselves: products summed,
 * windows looked at, pairs compared. US_LIMIT when the run has no such number of steps left. A double, so that factors
 * multiply without overflow. */
us_err us_eval_work(us_eval *k, double steps) US_MUST;
/* us_fail with the node's operator and name in front. */
#define us_eval_fail(k, code, ...) us_eval_fail_at((k), (code), __FILE__, __LINE__, __VA_ARGS__)
us_err us_eval_fail_at(us_eval *k, us_err code, const char *file, int line, const char *fmt,
                       ...) US_PRINTF(5, 6);

/* Zeroed memory that lives as long as `prepared` does, or as the outputs when an eval has to prepare for itself. */
us_err us_eval_keep(us_eval *k, size_t bytes, void **out) US_MUST;
/* The same, not zeroed: for what is written whole at once, such as packed weights. */
us_err us_eval_keep_raw(us_eval *k, size_t bytes, void **out) US_MUST;
/* In prepare: memory like us_eval_keep_raw's for what is dear to make (packed weights), plain numbers without pointers that follow from the
 * node, its constants and the kernels in force alone. A compiled plan (exec/planfile.h) stores it: then *there is true, the
 * memory holds what was made when the plan was compiled, must not be written, and the constants it was made of need not be
 * touched. An operator that does not ask for its memory this way prepares anew whenever a plan is loaded. */
us_err us_eval_packed(us_eval *k, size_t bytes, void **out, bool *there) US_MUST;

/* In prepare, once: which of n candidates (1 to US_CANDIDATES, names that differ) does it. That is `best`, what the static model says, but
 * for a plan whose candidates were timed (exec/tune.h): then it is the one that was chosen there. List and best follow from the node,
 * its constants and the kernels in force alone. Candidates may sum in different orders. */
us_err us_eval_choose(us_eval *k, size_t n, const us_candidate *list, size_t best,
                      size_t *out) US_MUST;

typedef us_err us_infer_fn(us_infer *k);
typedef us_err us_eval_fn(us_eval *k);
/* Makes of attributes and constant inputs what each evaluation of the node would make again (indices of a forest, a hash
 * table of keys, packed weights): once per plan, shared by its sessions and threads, so never written after. k is as for eval, but
 * inputs that are not constant are NULL, there are no outputs, and an error is one of the plan. Eval finds the result in
 * k->prepared; that is NULL where no plan is (constant folding, an operator run inside another), and eval then prepares for
 * itself: results do not depend on it. */
typedef us_err us_prepare_fn(us_eval *k, const void **out);

/* One node for one signature of shapes: what is left to do at every run. The data of inputs and outputs is found at k->in[i]->t.data and
 * k->out[i]->t.data (aligned to the element only, for it may be the caller's); types, dims and dense strides are those that bind
 * saw. Output 0 may lie over input 0 where the operator has US_OP_INPLACE. No memory is asked for and no shape looked at;
 * it fails for contents only (an index out of range). */
typedef us_err us_call_fn(us_eval *k, const void *state, void *scratch);
typedef struct us_call {
    us_call_fn *run;   /* NULL: declined, the operator's eval runs */
    const void *state; /* from us_eval_keep */
    size_t scratch;    /* bytes that run may write, 64-byte aligned */
    /* what runs, for profile and explain; of a declined call why, or NULL: a lasting string */
    const char *kernel;
    /* multiply-adds of products in a run, to compare with the peak; 0: it is not made of them */
    double macs;
    bool bytes; /* they are of 8-bit numbers */
} us_call;
/* Called once when a binding is made, if every input and output is a dense tensor of known type and dims with at least one element
 * (or an absent optional). Constants have their data, other inputs and outputs have none yet. us_eval_keep gives memory that lasts as long as the
 * call; us_eval_work is charged to every run (the elements of outputs are counted already); us_eval_out and us_eval_scratch are not there. A bind declines
 * whatever it is not made for, wrong shapes included: eval then says what is wrong. The only error is memory that runs out.
 * With US_OP_BINDS_VALUES, in the main graph, an input or output may be a sequence or a map by its type: bind sees its kind alone and, of a map,
 * the keys' type. The call then looks at what comes (US_ARG), and writes the whole value, whose items are memory of its own: they are
 * the same at every other call, but for the contents of their elements, and untouched by the call in between, whose input they may be. */
typedef us_err us_bind_fn(us_eval *k, us_call *call);
/* Replace node n by core nodes (added before it, outputs rewired; n removed by the caller). */
typedef us_err us_expand_fn(us_ctx *c, us_model *m, us_graph *g, us_nid n);

/* The operator's expand on node n, its attributes decoded before; n is still there. */
us_err us_node_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n) US_MUST;

/* --- the table -------------------------------------------------------------------------------------- */

enum {
    US_OP_ELEMENTWISE = 1, /* output element i depends on (broadcast) element i of each input */
    US_OP_COMMUTES = 2,
    US_OP_VIEW = 4,    /* output may share the input's memory (Reshape, Identity, ...) */
    US_OP_INPLACE = 8, /* output 0 may overwrite input 0 when that dies here */
    US_OP_NOFOLD = 16, /* never folded at compile time (random, control flow with effects) */
    US_OP_RANDOM = 32,
    US_OP_SUBGRAPH = 64,    /* has graph attributes */
    US_OP_SHAPE_ONLY = 128, /* reads only the shape of input 0 (Shape, Size) */
    US_OP_COMPOSITE = 256,  /* set by the row's macro */
    US_OP_IMAGES = 512,     /* needs env->images */
    US_OP_JOINS = 8192,     /* the output is its inputs, one behind the other along an axis */
    US_OP_PARTS =
        16384, /* the outputs are parts of input 0, one behind the other along an axis */
    US_OP_EXPANDS =
        2048, /* plans expand it although it has an eval: other passes know its parts */
    US_OP_BINDS_VALUES =
        4096, /* bind also where an input or output is a sequence or a map: see us_bind_fn */
    US_OP_INTERNAL =
        1024 /* of domain "usta": made by passes for a plan, never read from a file or written to one */
};

/* Why a core operator is one: the kinds of ir/core.def with what they mean. */
#define US_CORE_KINDS(X)                                                                       \
    X(NONE, "")                                                                                \
    X(PRIMITIVE, "cannot be written with other core operators")                                \
    X(CONTROL, "runs a graph")                                                                 \
    X(VALUES, "works on strings, sequences, maps or optionals: there is nothing below it")     \
    X(DATA, "the shape of the result depends on the contents of the inputs")                   \
    X(MOVES, "moves or selects elements without arithmetic; other ways to say it cost an "     \
             "index per element or copies")                                                    \
    X(RANDOM, "draws numbers")                                                                 \
    X(NUMERICS, "an expansion exists but loses accuracy, range or speed of a higher order")    \
    X(WHOLE, "an expansion exists; kept whole for the reason given")
/* clang-format off */
typedef enum us_core_kind {
#define X(name, meaning) US_WHY_##name,
    US_CORE_KINDS(X)
#undef X
    US_WHY_N
} us_core_kind;
/* clang-format on */

typedef struct us_op {
    const char *domain; /* "" is ai.onnx */
    const char *name;
    uint32_t flags;
    const us_schema *schemas; /* ascending; ends with since 0 */
    us_infer_fn *infer;
    us_eval_fn *eval;     /* NULL: no kernel as a whole (composites that are always expanded) */
    us_expand_fn *expand; /* NULL: core */
} us_op;

typedef enum us_op_id {
    US_OP_NONE,
#define US_CORE(id, domain, name, flags, fn)      US_OP_##id,
#define US_COMPOSITE(id, domain, name, flags, fn) US_OP_##id,
#include "ir/ops.def"
#undef US_CORE
#undef US_COMPOSITE
    US_OP_N
} us_op_id;

/* What op_*.c define for the rows. */
#define US_CORE(id, domain, name, flags, fn)                                                   \
    extern const us_schema fn##_schemas[];                                                     \
    us_infer_fn fn##_infer;                                                                    \
    us_eval_fn fn##_eval;
#define US_COMPOSITE(id, domain, name, flags, fn)                                              \
    US_CORE(id, domain, name, flags, fn)                                                       \
    us_expand_fn fn##_expand;
#include "ir/ops.def"
#undef US_CORE
#undef US_COMPOSITE

const us_op *us_op_get(us_op_id id);
us_prepare_fn *us_op_prepare(const us_op *op); /* NULL: nothing to prepare (ir/prepare.def) */
us_bind_fn *us_op_bind(const us_op *op);       /* NULL: always eval (ir/bind.def) */
/* NULL when unknown. "ai.onnx" and "" are the same domain. */
const us_op *us_op_find(us_sv domain, us_sv name);
us_op_id us_op_index(const us_op *op);
/* Why it is core (ir/core.def). Composites: US_WHY_NONE and "". */
us_core_kind us_op_why(const us_op *op, const char **reason);
/* The schema in force for an opset version: the last with since <= version; NULL when older than all. */
const us_schema *us_op_schema(const us_op *op, int version);
const us_schema *us_op_current(const us_op *op);
size_t
us_schema_n_in(const us_schema *s,
               size_t *n_min); /* formal inputs (variadic counts SIZE_MAX); fewest allowed */
size_t us_schema_n_out(const us_schema *s, size_t *n_min);

/* Attribute rows: US_AI(struct, field, "name", default) and so on. */
/* clang-format off */
#define US_AI(S, f, nm, d)  { .name = (nm), .kind = US_AT_INT,    .offset = offsetof(S, f), .def_i = (d) }
#define US_AF(S, f, nm, d)  { .name = (nm), .kind = US_AT_FLOAT,  .offset = offsetof(S, f), .def_f = (d) }
#define US_AS(S, f, nm, d)  { .name = (nm), .kind = US_AT_STRING, .offset = offsetof(S, f), .def_s = (d) }
#define US_AIS(S, f, nm)    { .name = (nm), .kind = US_AT_INTS,    .offset = offsetof(S, f) }
#define US_AFS(S, f, nm)    { .name = (nm), .kind = US_AT_FLOATS,  .offset = offsetof(S, f) }
#define US_ASS(S, f, nm)    { .name = (nm), .kind = US_AT_STRINGS, .offset = offsetof(S, f) }
#define US_AT(S, f, nm)     { .name = (nm), .kind = US_AT_TENSOR,  .offset = offsetof(S, f) }
#define US_AG(S, f, nm)     { .name = (nm), .kind = US_AT_GRAPH,   .offset = offsetof(S, f), .required = true }
#define US_ATTR_END         { .name = NULL }
#define US_PARAM_END        { .name = NULL }
/* clang-format on */

#endif
