/* exec/why.c - why a step is a step of its own, for profiles: what `usta explain` says of it.
 *
 * Facts of the plan as it is, not a record of what passes tried: who makes what the step reads, who else reads that, and what the
 * maker could take along. The same conditions are in pass/fuse_tail.c and fuse_map.c.
 */
#include "exec/plan.h"
#include "ir/ewise.h"

/* What a step can have behind it in the same loop. */
typedef enum takes { TAKES_NOTHING, TAKES_CLAMP, TAKES_PROGRAM } takes;

static takes takes_along(const us_gplan *gp, const us_step *s)
{
    us_op_id id = us_op_index(s->op);
    if (id == US_OP_BLOCKED_CONV || id == US_OP_USTA_GEMM) return TAKES_PROGRAM;
    if (id == US_OP_BLOCKED_DECONV) return TAKES_CLAMP;
    us_nid nid = (us_nid)(s->node - gp->g->nodes.at);
    return us_ew_takes_node(gp->g, nid) ? TAKES_PROGRAM : TAKES_NOTHING;
}

static bool same_dims(const us_type *a, const us_type *b)
{
    if (a->kind != US_KIND_TENSOR || b->kind != US_KIND_TENSOR || a->rank < 0 ||
        a->rank != b->rank)
        return false;
    for (int32_t d = 0; d < a->rank; d++)
        if (!us_dim_eq(a->dims[d], b->dims[d])) return false;
    return true;
}

/* Why v, which an elementwise step reads and another makes, is made by itself. */
static const char *why_apart(const us_gplan *gp, const us_step *s, us_vid v,
                             const uint32_t *reads)
{
    const us_step *by = &gp->steps[gp->def[v]];
    const us_val *vals = gp->g->vals.at;
    us_vid y = gp->vids[s->at0 + s->n_in];
    takes t = takes_along(gp, by);
    if (t == TAKES_NOTHING) return NULL;
    if (gp->last[v] == gp->n_steps) return "not fused: what it reads is an output, too";
    if (reads[v] > 1) return "not fused: another step reads what it reads, too";
    if (t == TAKES_CLAMP) return "not fused: what is before takes a residual and a clamp only";
    if (y == US_NIL || !same_dims(&vals[v].type, &vals[y].type))
        return "not fused: it spreads what it reads over more elements";
    return "not fused: its program or its inputs are more than what is before takes along";
}

static const char *why_alone(const us_gplan *gp, const us_step *s, const uint32_t *reads)
{
    const char *why = NULL;
    bool any_step = false;
    for (uint32_t i = 0; i < s->n_in && !why; i++) {
        us_vid v = gp->vids[s->at0 + i];
        if (v == US_NIL || gp->def[v] == US_STEP_NEVER) continue;
        any_step = true;
        why = why_apart(gp, s, v, reads);
    }
    if (why) return why;
    return any_step ? "not fused: what is before takes nothing along"
                    : "not fused: it reads inputs of the graph";
}

static const char *why_plain(const us_gplan *gp, const us_step *s)
{
    const us_graph *g = gp->g;
    if (s->n_sub > 0 || (s->op->flags & US_OP_VIEW)) return NULL;
    if (!us_op_bind(s->op)) return "no kernel but the reference";
    for (uint32_t i = 0; i < s->n_in; i++) {
        us_vid v = gp->vids[s->at0 + i];
        if (v != US_NIL && g->vals.at[v].type.kind != US_KIND_TENSOR)
            return "an input that is no tensor";
    }
    return "a shape that is known only when it runs, or inputs its kernel does not take";
}

const char *us_step_why(const us_gplan *gp, size_t i, const us_call *call,
                        const uint32_t *reads)
{
    const us_step *s = &gp->steps[i];
    us_op_id id = us_op_index(s->op);
    if (!call->run && call->kernel) return call->kernel;
    if (s->node->note) return s->node->note;
    if (!call->run) return why_plain(gp, s);
    if (id == US_OP_REORDER_IN) return "what makes it has plain channels";
    if (id == US_OP_REORDER_OUT) return "what reads it takes plain channels";
    bool joins = us_ew_takes_node(gp->g, (us_nid)(s->node - gp->g->nodes.at));
    return joins ? why_alone(gp, s, reads) : NULL;
}

void us_step_reads(const us_gplan *gp, uint32_t *reads)
{
    for (size_t i = 0; i < gp->n_steps; i++) {
        const us_step *s = &gp->steps[i];
        for (uint32_t j = 0; j < s->n_in; j++)
            if (gp->vids[s->at0 + j] != US_NIL) reads[gp->vids[s->at0 + j]]++;
        for (uint32_t j = 0; j < s->n_sub; j++) {
            const us_graph *sub = gp->subs[s->sub0 + j]->g;
            for (size_t v = 0; v < sub->vals.n; v++)
                if (sub->vals.at[v].storage == US_ST_OUTER && sub->vals.at[v].outer != US_NIL)
                    reads[sub->vals.at[v].outer]++;
        }
    }
}
