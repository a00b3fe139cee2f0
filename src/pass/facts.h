/* pass/facts.h - what can be known of the values of a model that stays as it was read.
 *
 * Shape inference and constant folding understand operators in their current form only, and a file that is to be written
 * again must keep the versions it declares. So the model is cloned, the clone is inlined, upgraded, inferred and
 * folded, and what that says of values is taken over: a value has the same number in both.
 */
#ifndef USTA_PASS_FACTS_H
#define USTA_PASS_FACTS_H

#include "ir/graph.h"

/* That clone of m: types of computed values inferred anew and not as the file claims, constants folded, to be freed by the caller;
 * m must outlive it. Tensors may have been left unread. */
us_err us_facts_infer(us_ctx *c, const us_model *m, us_model **out) US_MUST;

/* Types of m's computed values as far as they can be inferred, in place of what the file declares. Values that are
 * constant, of at most max_bytes, become constants of m; what made them is left to dce. *changed: one did. */
us_err us_facts_take(us_ctx *c, us_model *m, size_t max_bytes, bool *changed) US_MUST;

/* Constant nodes whose tensor was not read (descriptors_only) become constants that were not, so that passes and inference,
 * which know those, can work on the rest. */
us_err us_facts_hollow(us_ctx *c, us_model *m) US_MUST;

#endif
