/* exec/plan.h - inside of exec: the plan of a graph, a binding's frames, the session.
 *
 *   us_gplan  one per graph (main and each sub-graph): steps in order with everything looked up. Immutable.
 *   us_frame  the run state of one gplan in one binding: values, where their memory is, ready-made calls.
 *   binding   a main frame with its sub-frames for one signature of the inputs.
 *
 * Where the memory of a value comes from, decided when the binding is made:
 *   ARENA    planned offset in the session's block: the shape is known
 *   VIEW     the memory of the node's input 0 (Reshape and the like)
 *   DYNAMIC  a block of its own, taken when the value is made, given back after its last use
 * A value whose plan does not hold at run time (shape inference was wrong, an input was not contiguous) falls back to
 * DYNAMIC, so a plan is never trusted for safety, only for speed.
 */
#ifndef USTA_EXEC_PLAN_H
#define USTA_EXEC_PLAN_H

#include <stdatomic.h>

#include "base/lock.h"
#include "exec/dynmem.h"
#include "exec/session.h"
#include "ir/op.h"

#define US_STEP_NEVER UINT32_MAX

typedef struct us_gplan us_gplan;

typedef struct us_step {
    us_eval_fn *eval;
    const us_node *node;
    const us_op *op;
    uint32_t at0;  /* first of its inputs, then outputs, in gplan.vids */
    uint32_t sub0; /* first of its sub-graphs in gplan.subs */
    uint32_t n_in, n_out, n_sub;
    const void *prepared; /* by the operator's prepare, in the plan's arena; NULL: nothing */
} us_step;

struct us_gplan {
    us_graph *g;
    us_gplan *parent;
    uint32_t index; /* in plan.all */
    size_t n_vals;
    us_step *steps;
    size_t n_steps;
    size_t row0; /* first of its rows in a profile */
    us_vid *vids;
    size_t n_vids;
    us_gplan **subs; /* n_subs; those of step s at sub0 */
    size_t n_subs;
    uint32_t *def; /* per value: step that makes it, or US_STEP_NEVER */
    /* per value: last step that reads its memory; n_steps for outputs; NEVER when none */
    uint32_t *last;
};

/* Memory that a step's prepare asked for with us_eval_packed. */
typedef struct us_packed {
    size_t row; /* of the step, as in a profile */
    const void *p;
    size_t bytes;
} us_packed;

/* What was made of the steps before, in the order in which they ask for it: in a compiled file, or by another plan of the graph. */
typedef struct us_stored {
    const us_packed *at;
    size_t n, next;
    const us_kernel_choice *choices; /* those that were timed; of others the model decides */
    size_t n_choices, next_choice;
} us_stored;

struct us_plan {
    us_alloc alloc;
    us_arena *arena;
    us_model *m;
    us_gplan *main;
    us_gplan **all;
    size_t n_all;
    size_t n_rows; /* steps of all graphs */
    size_t n_in, n_out;
    us_vid *in, *out;
    us_sv *in_name, *out_name;
    us_type *out_type; /* copies: an output may be one value twice */
    size_t const_bytes;
    US_VEC(us_packed) packed;         /* in order */
    US_VEC(us_kernel_choice) choices; /* in order */
    us_stored stored;                 /* while a plan is made of it */
    bool lent;                        /* the model is another plan's */
    us_plan *under;                   /* goes with this one; NULL: none */
    us_block room;                    /* while steps are made: prepare.c */
    const us_node *images;            /* a node that needs a decoder of images, or NULL */
    const us_model *source;           /* release.c; NULL: nothing is given back */
    us_lock lock;                     /* for having it back */
    atomic_bool released;
    bool any_computed_gone;
    bool *gone;        /* per value of the main graph: its contents are */
    bool *gone_copies; /* per source->copies */
};

typedef enum us_slot_kind {
    US_SLOT_NONE,
    US_SLOT_ARENA,
    US_SLOT_VIEW,
    US_SLOT_DYNAMIC
} us_slot_kind;

typedef struct us_slot {
    us_slot_kind kind;
    size_t bytes;      /* ARENA: room at data */
    size_t offset;     /* ARENA */
    void *data;        /* ARENA: block + offset */
    us_dyn_block *dyn; /* the block it owns now, or NULL */
} us_slot;

/* One entry of the walk over a frame (bound.c). */
typedef struct us_entry {
    us_call_fn *run;
    us_eval *k;
    const void *state;
    uint32_t step;
    bool poll; /* whether to go on is asked after it: enough work since the last time */
} us_entry;

typedef struct us_frame us_frame;
struct us_frame {
    us_eval_env env; /* first: an env is its frame */
    us_session *s;
    const us_gplan *gp;
    us_frame *parent;
    us_value *vals;
    us_slot *slots;
    us_eval *evals; /* per step */
    /* per step: signature of the element types that us_eval_check has passed */
    uint64_t *checked;
    /* n_steps + 1: values to give back after step i: free_ids[free_at[i] .. free_at[i+1]) */
    uint32_t *free_at;
    us_vid *free_ids;
    us_frame **subs;     /* as in gplan.subs */
    us_dyn_list blocks;  /* of its values */
    us_dyn_list results; /* of its sub-graphs, for the step now running */
    bool any_frees;      /* something is to be given back during a run */
    bool running;
    us_entry *list; /* NULL: steps as they come */
    size_t n_list;
    us_ctx *c;            /* what all evals have */
    const us_call *calls; /* per step, as bind left them */
    const double *costs;  /* per step: elementary steps of its call */
    /* per value: what it is at every run but for the place of its data; NONE: made anew */
    us_value *still;
    bool *held;                   /* per value: still's data are its contents */
    bool *expect;                 /* per value: made by a step as it comes, read by a call */
    bool walking;                 /* along the list */
    bool plain;                   /* inference was mistaken: steps as they come from now on */
    bool placed;                  /* values that stay are in their places */
    char *block;                  /* its part of the session's block */
    size_t block_bytes, block_at; /* at: in the block of the frame around it */
    size_t scratch;               /* bytes, the most that a call wants */
    double work;                  /* elementary steps of all calls */
    /* n_entry: values from outside that calls of a sub-graph read; compared at the start of a walk */
    us_vid *entry;
    size_t n_entry;
    bool mistaken; /* a value was not what inference had said */
};

typedef struct us_binding {
    us_arena *arena;
    us_frame *main;
    uint64_t used_at; /* for least recently used */
    void *base;       /* block that slot.data was computed for, if placed */
    bool placed;
    size_t block_bytes;
    size_t live_peak;
    size_t n_static;
    /* per input: dtype, rank, dims; kind other than tensor: rank -1, the kind in strides[0] */
    us_tensor *sig;
    const us_value **outs; /* per output of the plan: where it is found after a run */
    us_value **ins;        /* per input of the plan: where it is put */
    bool entered;          /* ins hold dense tensors: those of the last run, data apart */
    uint64_t serial;       /* among the session's, from 1 */
    /* per output of the plan: no tensor, and made by a call, in memory of the binding */
    bool *kept;
} us_binding;

struct us_session {
    us_alloc alloc;
    us_plan *p;
    us_session_opts opts;
    us_binding *bindings[US_SESSION_BINDINGS]; /* n_bindings */
    size_t n_bindings, binding_bytes;
    us_binding *now;
    bool called; /* the last run was by calls, */
    /* and left nothing to be given back: one like it may follow by us_frame_again */
    bool steady;
    uint64_t n_runs, n_made;
    us_block block; /* planned values of the binding in use */
    us_dynmem dyn;
    us_arena *dynamic; /* strings, sequences */
    us_mark dynamic_start;
    us_block scratch;
    size_t scratch_used;
    us_dyn_list scratch_more; /* what did not fit this time */
    size_t scratch_want;
    uint64_t n_steps_left;
    double work_left;
    uint64_t n_draws;
    us_arena *arena; /* of the session itself */
    us_profile_row *rows;
};

/* plan.c: the steps of one graph and its sub-graphs. */
us_err us_gplan_new(us_ctx *c, us_plan *p, us_graph *g, us_gplan *parent,
                    us_gplan **out) US_MUST;

us_err us_plan_transform(us_ctx *c, us_model *m, const us_plan_opts *o) US_MUST;

/* release.c: pages of weights that were packed, given back and had back. */
us_err us_plan_release(us_ctx *c, us_plan *p) US_MUST;
bool us_op_packs(const us_op *op, uint32_t i);
bool us_step_packs(const us_step *s, uint32_t i); /* calls read nothing of its input i */

/* gradient.c: every Gradient of the model becomes the nodes that compute it. Leaves models without one alone. */
us_err us_plan_gradients(us_ctx *c, us_model *m) US_MUST;

/* prepare.c: s->prepared, when the operator has something to prepare. */
us_err us_step_prepare(us_ctx *c, us_plan *p, const us_graph *g, us_step *s,
                       size_t row) US_MUST;

/* A plan of a graph that went through the passes before, when it was compiled. Takes over m as us_plan_new does. US_FORMAT: choices that
 * are none of its steps'. */
us_err us_plan_compiled(us_ctx *c, us_model *m, const us_stored *stored, us_plan **out) US_MUST;
/* Another plan of p's graph, for these choices, with what p has packed for steps whose choice is the same. p outlives it. */
us_err us_plan_vary(us_ctx *c, const us_plan *p, const us_kernel_choice *choices,
                    size_t n_choices, us_plan **out) US_MUST;

/* resolve.c: a copy of the main graph with the types of its values for inputs of these types (by plan input): kind NONE where not known,
 * val.known where inference found contents. Sub-graphs hang on the attributes of its nodes. */
us_err us_resolve_types(us_ctx *c, us_arena *a, const us_plan *p, const us_value *in,
                        us_graph **typed) US_MUST;
/* What stands in the copy for sub-graph j of a step. */
const us_graph *us_typed_sub(const us_graph *typed, const us_gplan *gp, const us_step *s,
                             uint32_t j);

/* bound.c: the lists of b's frames. */
us_err us_frame_bind(us_ctx *c, us_binding *b, const us_graph *typed,
                     us_arena *scratch) US_MUST;
/* The planned values of f and of its sub-frames lie in this block from now on. */
void us_frame_place(us_frame *f, char *block);
/* f's values that stay, in their places. */
void us_frame_settle(us_frame *f);

/* why.c: why step i of gp is one of its own, a lasting string; NULL: nothing to say. call: as bind left it; reads: by us_step_reads. */
const char *us_step_why(const us_gplan *gp, size_t i, const us_call *call,
                        const uint32_t *reads);
/* How many times each value of gp is read, by its steps and their sub-graphs: n_vals zeros before. */
void us_step_reads(const us_gplan *gp, uint32_t *reads);

/* bind.c */
/* Where value v of f is found, for good: constants in the model, captures in a frame around it. */
const us_value *us_frame_value(const us_frame *f, us_vid v);
us_err us_binding_new(us_ctx *c, us_session *s, const us_value *in, us_binding **out) US_MUST;
void us_binding_free(us_binding *b);
bool us_binding_takes(const us_binding *b, const us_plan *p, const us_value *in);

/* run.c */
us_err us_frame_run(us_ctx *c, us_frame *f,
                    bool plain) US_MUST; /* plain: steps as they come, whatever is bound */
/* The same walk of calls again: f has nothing but calls, and ran before in this very place. */
us_err us_frame_again(us_ctx *c, us_frame *f) US_MUST;
bool us_frame_is_steady(
    const us_frame *f); /* what has run leaves nothing behind and can be walked so */
us_call_fn us_run_step, us_run_frees; /* entries of a list */
void us_frame_release(us_frame *f);   /* every block it owns, sub-frames too */
void us_frame_env_init(us_frame *f);

#endif
