/* check/check.h - does a model file keep the rules of ONNX?
 *
 * The rules are read off the wire form, message by message, because a broken file has to be described, not repaired: the
 * reader (src/onnx) refuses at the first thing it cannot represent, and forgets where things stood. So malformed bytes are
 * an error of us_check_*, and everything else is a finding: rule, place in the file, node, sentence. All findings are
 * listed. When the rules of form hold, the model is read, brought to current operator forms and inferred, and types
 * and shapes are compared with what the file declares.
 * Sources: onnx.proto3, docs/IR.md, docs/Operators.md of ONNX; what the onnx package's checker refuses is refused here.
 */
#ifndef USTA_CHECK_CHECK_H
#define USTA_CHECK_CHECK_H

#include "base/ctx.h"
#include "base/str.h"

#define US_CHECK_MAX_FINDINGS ((size_t)10000) /* kept; the rest is counted */
#define US_CHECK_NEWEST_IR    13              /* of the standard, opset 25 */

typedef enum us_severity { US_SEV_ERROR, US_SEV_ADVICE } us_severity;

/* clang-format off */
typedef enum us_rule {
#define US_RULE(id, name, severity, help) US_RULE_##id,
#include "check/rules.def"
#undef US_RULE
    US_RULE_N
} us_rule;
/* clang-format on */

typedef struct us_rule_info {
    const char *name; /* stable: "single-assignment" */
    us_severity severity;
    const char *help;
} us_rule_info;
const us_rule_info *us_rule_get(us_rule r);

typedef struct us_finding {
    us_rule rule;
    uint64_t offset;     /* of the message concerned, in the file */
    us_sv graph;         /* name of the graph or function it stands in; empty: the model */
    us_sv op_type, node; /* empty: not about a node */
    const char *text;
} us_finding;

typedef struct us_check_report {
    us_arena *arena; /* holds everything below */
    US_VEC(us_finding) found;
    size_t n_errors, n_advice; /* all, those not kept too */
    size_t n_nodes, n_graphs, n_weights;
    bool inferred; /* types and shapes were looked at */
    bool complete; /* every check was made: nothing was skipped because of an error */
} us_check_report;

/* A file, with external data beside it. US_FORMAT: not an ONNX model, malformed. */
us_err us_check_file(us_ctx *c, const char *path, us_check_report **out) US_MUST;
/* Bytes. dir: where external data may lie; NULL: none allowed. name: for messages. Nothing of the report points into p. */
us_err us_check_bytes(us_ctx *c, const char *name, const void *p, size_t n, const char *dir,
                      us_check_report **out) US_MUST;
void us_check_free(us_check_report *r); /* NULL is fine */

#endif
