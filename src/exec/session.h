/* exec/session.h - from a graph to results: plan, binding, session.
 *
 *   plan      once per model: passes applied, kernels chosen, constants packed, steps in order; If, Loop and Scan are
 *             steps that hold sub-plans. Immutable, may be shared by sessions and threads.
 *   binding   per shape signature of the inputs, in a capped cache: sizes, arena offsets (liveness, one arena, in
 *             place where an input dies). Steps whose output size is known only when they run draw from the
 *             session's capped dynamic arena.
 *   run       walk a flat array of calls; in static parts no allocation, no look-up by name, no lock.
 *
 * Threading: a session belongs to one thread at a time; sessions of one plan share its constants.
 */
#ifndef USTA_EXEC_SESSION_H
#define USTA_EXEC_SESSION_H

#include "ir/graph.h"

typedef struct us_plan us_plan;
typedef struct us_session us_session;

typedef struct us_plan_opts {
    /* training: variables stay writable, nothing that depends on them is folded */
    bool keep_variables;
    /* only what running needs: functions inlined, current forms (tests of passes) */
    bool no_passes;
    /* further values whose contents the caller wants (gradients), as outputs after the graph's */
    size_t n_extra;
    const us_vid *extra; /* ids in the main graph before passes */
    /* initialisers listed as graph inputs (val.also_input) that the caller gives */
    size_t n_override;
    const us_sv *override_names; /* at every run; they come after the graph's own inputs */
    /* NULL, or the model of which the one given is a fresh copy (us_model_clone), when nothing else here is asked for:
     * memory of weights that the plan has packed is then given back, and they can be read in neither before us_plan_recall. It outlives the plan. */
    const us_model *source;
} us_plan_opts;

/* Operators this build can run. */
size_t us_plan_n_operators(void);

/* Takes over the model (freed with the plan; on failure it stays the caller's). opts NULL: defaults. */
us_err us_plan_new(us_ctx *c, us_model *m, const us_plan_opts *opts, us_plan **out) US_MUST;
void us_plan_free(us_plan *p);
const us_model *us_plan_model(const us_plan *p);
/* Contents of all weights are there again (opts.source). From any thread. */
us_err us_plan_recall(us_ctx *c, us_plan *p) US_MUST;
size_t us_plan_n_inputs(const us_plan *p);  /* graph inputs without constants */
size_t us_plan_n_outputs(const us_plan *p); /* graph outputs, then extras */
us_sv us_plan_input_name(const us_plan *p, size_t i);
us_sv us_plan_output_name(const us_plan *p, size_t i);
const us_type *us_plan_input_type(const us_plan *p, size_t i);
const us_type *us_plan_output_type(const us_plan *p, size_t i);

/* Shape signatures kept; the least recently used goes. A few in any case, more while they take little memory. */
#define US_SESSION_BINDINGS      64
#define US_SESSION_BINDINGS_SURE 8
#define US_SESSION_BINDING_BYTES ((size_t)4 << 20)
#define US_SESSION_DYNAMIC_CAP   ((size_t)4 << 30)  /* bytes of the dynamic arena, default */
#define US_SESSION_STATIC_CAP    ((size_t)16 << 30) /* bytes of one binding's arena, default */
#define US_SESSION_MAX_STEPS                                                                   \
    ((uint64_t)1000000000)       /* nodes of one run, loops included, default */
#define US_SESSION_MAX_WORK 1e15 /* elementary steps of one run (us_eval_work), default */

/* Told each value right after it was made, in order, those of sub-graphs at every run of theirs: for looking into a run (it
 * works for one that fails later, too). The value may be read during the call only; an error ends the run. */
typedef us_err us_watch_fn(void *arg, us_ctx *c, const us_graph *g, const us_node *n, us_vid v,
                           const us_value *value);

typedef struct us_session_opts {
    size_t dynamic_cap_bytes; /* 0: default */
    size_t static_cap_bytes;
    uint64_t max_steps; /* limit on steps per run, loops included; 0: default */
    /* limit on elements written, products summed and the like per run; 0: default */
    double max_work;
    uint64_t seed; /* for random operators without a seed of their own */
    bool profile;
    const struct us_image_codec *
        images; /* for ImageDecoder (ir/image.h), borrowed for the session's life; NULL: no session for such models */
    bool plain; /* every step by its operator's eval, the reference: no calls bound to shapes */
    us_watch_fn *watch; /* NULL: nobody watches */
    void *watch_arg;
} us_session_opts;

us_err us_session_new(us_ctx *c, us_plan *p, const us_session_opts *opts,
                      us_session **out) US_MUST;
void us_session_free(us_session *s);

/* Inputs in the plan's order; every one must be there and agree with its declared type (US_SHAPE, US_ARG say which and
 * how). Inputs are borrowed during the call. out[i] (n_outputs) are filled with views into the session, valid until the next run
 * or free (an output is no input of the same session's next run: US_ARG; copy it). When an output is wanted in the caller's memory: us_session_run_into, dense tensors of the right type and shape. */
us_err us_session_run(us_ctx *c, us_session *s, const us_value *in, us_value *out) US_MUST;
us_err us_session_run_into(us_ctx *c, us_session *s, const us_value *in,
                           us_tensor *out) US_MUST;
/* us_session_run that copies nothing: outputs are then looked at where they lie, until the next run or free. The elements of one that
 * is no tensor may be those of an input. */
us_err us_session_call(us_ctx *c, us_session *s, const us_value *in) US_MUST;
/* The same for inputs that are those of the call before, the last and one of this session, but for the places of their data, of maps also
 * of what is in them. */
us_err us_session_again(us_ctx *c, us_session *s, const us_value *in) US_MUST;
const us_value *const *us_session_outputs(const us_session *s);
/* Of output i, a sequence or a map: a number that is told again only for items that are the same in all but the contents of their
 * elements, where they lie at the same address; the run after the next may write those. 0: made anew in the last run. */
uint64_t us_session_output_kept(const us_session *s, size_t i);

/* Memory of a variable (training), shared by all sessions of the plan. v: id before passes. */
us_err us_plan_variable(us_ctx *c, us_plan *p, us_vid v, us_tensor *out) US_MUST;

/* A step that several kernels could do (us_eval_choose), with the one that does. */
typedef struct us_kernel_choice {
    size_t row; /* of the step in a profile */
    size_t n;
    const struct us_candidate *list; /* ir/op.h */
    size_t best, chosen;             /* by the static model; in force */
    /* a step's time with each, when they were timed (exec/tune.h; 0: this one was not); NULL: they were not */
    const double *ns;
} us_kernel_choice;
size_t us_plan_choices(const us_plan *p, const us_kernel_choice **out);

typedef struct us_profile_row {
    us_sv node, op;
    const char *kernel; /* what runs; of a step as it comes "ref" */
    /* why it is a step as it comes, or not fused, or what a pass says of it (us_node.note); NULL: nothing to say */
    const char *why;
    /* elementary steps of the last call: elements written, products summed and the like */
    double work;
    double macs; /* multiply-adds of products in a call; 0: it is not made of them */
    bool bytes;  /* of 8-bit numbers */
    uint64_t n_calls, ns;
    us_type out_type;
    const us_kernel_choice *choice; /* NULL: there was none */
} us_profile_row;
size_t us_session_profile(const us_session *s,
                          const us_profile_row **rows); /* 0 rows unless opts.profile */
void us_session_profile_reset(us_session *s);           /* all calls and times to 0 */

typedef struct us_session_stats {
    size_t n_steps, n_static_steps;
    size_t arena_bytes;     /* planned block of the current binding */
    size_t live_peak_bytes; /* lower bound: peak of live bytes */
    size_t const_bytes;
    size_t n_bindings;
    double work; /* elementary steps of the last run, as max_work counts them */
} us_session_stats;
void us_session_stats_get(const us_session *s, us_session_stats *out);

#endif
