/* pass/pass.h - rewrites of a model, one per file, in one visible table (passes.c).
 *
 * Each row says what the pass needs and what it breaks; the driver provides and invalidates those facts and
 * verifies the graph after each pass in test builds. USTA_TRACE=pass prints what changed.
 */
#ifndef USTA_PASS_PASS_H
#define USTA_PASS_PASS_H

#include "ir/op.h"

enum { US_FACT_ORDER = 1, US_FACT_TYPES = 2 }; /* topological order; inferred types */

/* Which list a pass is in: `default` is what any plan wants; `cpu`, after it, what a plan for this processor wants: fusions into and layouts
 * of operators that no file may name (domain "usta"). */
typedef enum us_pass_list { US_LIST_DEFAULT, US_LIST_CPU } us_pass_list;

typedef struct us_pass {
    us_pass_list list;
    const char *name;
    uint32_t needs, breaks;
    us_err (*run)(us_ctx *c, us_model *m, us_graph *g,
                  bool *changed); /* sub-graphs are visited by the driver */
    const char *help;
} us_pass;

const us_pass *us_pass_find(us_sv name);
const us_pass *us_pass_at(size_t i); /* NULL past the end */

/* Run the comma-separated passes in order; "default" and "cpu" stand for the lists. */
us_err us_pass_run(us_ctx *c, us_model *m, const char *names) US_MUST;
/* Calls of functions replaced and all nodes in current form ("inline,upgrade"), sorted; types are not looked at. */
us_err us_pass_current(us_ctx *c, us_model *m) US_MUST;

/* Expand every composite that `keep` does not keep, in all graphs, until none is left. Nodes in current form with
 * inferred types ("upgrade,infer"); types are inferred afterwards too. */
typedef bool us_keep_fn(const us_op *op);
typedef struct us_expanded {
    size_t n_expanded;
    size_t n_refused; /* left whole: their expansion needs to know more (a rank, a constant) */
} us_expanded;
us_err us_expand_model(us_ctx *c, us_model *m, us_keep_fn *keep, us_expanded *sum) US_MUST;

/* The same, watched: after is called after each pass that changed something (NULL: not). */
typedef struct us_pass_watch {
    us_err (*after)(void *arg, const char *pass, const us_model *m);
    void *arg;
    bool changed; /* set when a pass changed something, else left alone */
} us_pass_watch;
us_err us_pass_run_watched(us_ctx *c, us_model *m, const char *names, us_pass_watch *w) US_MUST;

#endif
