/* check/relations.c - what operators ask of shapes beyond what inference needs to know: ranks, axes in range, dimensions of
 * different inputs that must be equal, branches that give the same types. Rows from docs/Operators.md of ONNX. */
#include "check/checker.h"

const us_type *us_ck_tensor_type(const us_graph *now, const us_vid *ids, uint32_t n, size_t i)
{
    if (i >= n || ids[i] == US_NIL || ids[i] >= now->vals.n) return NULL;
    const us_type *t = &now->vals.at[ids[i]].type;
    return t->kind == US_KIND_TENSOR && t->rank >= 0 ? t : NULL;
}

/* --- ranks ---------------------------------------------------------------------------------------------------- */

static const struct {
    us_op_id op;
    uint8_t in;
    int8_t lo, hi;
} ranks[] = {
    {US_OP_IMAGE_DECODER, 0, 1, 1},
    {US_OP_COL2IM, 1, 1, 1},
    {US_OP_COL2IM, 2, 1, 1},
    {US_OP_CONSTANT_OF_SHAPE, 0, 1, 1},
    {US_OP_DEPTH_TO_SPACE, 0, 4, 4},
    {US_OP_SPACE_TO_DEPTH, 0, 4, 4},
    {US_OP_REVERSE_SEQUENCE, 1, 1, 1},
    {US_OP_RESIZE, 3, 1, 1},
    {US_OP_RNN, 0, 3, 3},
    {US_OP_GRU, 0, 3, 3},
    {US_OP_LSTM, 0, 3, 3},
    {US_OP_DROPOUT, 1, 0, 0},
    {US_OP_DROPOUT, 2, 0, 0},
    {US_OP_CONV, 0, 3, US_MAX_RANK},
    {US_OP_ATTENTION, 4, 4, 4},
    {US_OP_ATTENTION, 5, 4, 4},
    {US_OP_RESHAPE, 1, 1, 1},
    {US_OP_EXPAND, 1, 1, 1},
    {US_OP_ONE_HOT, 2, 1, 1},
    {US_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, 2, 1, 1},
    {US_OP_TILE, 1, 0, 1},
    {US_OP_SOFTMAX_CROSS_ENTROPY_LOSS, 2, 1, 1},
    {US_OP_BATCH_NORMALIZATION, 1, 1, 1},
    {US_OP_BATCH_NORMALIZATION, 2, 1, 1},
    {US_OP_BATCH_NORMALIZATION, 3, 1, 1},
    {US_OP_BATCH_NORMALIZATION, 4, 1, 1},
};

static us_err check_ranks(us_checker *k, us_op_id op, const us_graph *now, const us_node *n)
{
    for (size_t i = 0; i < US_LEN(ranks); i++) {
        const us_type *t = us_ck_tensor_type(now, n->in, n->n_in, ranks[i].in);
        if (ranks[i].op != op || !t || (t->rank >= ranks[i].lo && t->rank <= ranks[i].hi))
            continue;
        if (ranks[i].lo == ranks[i].hi)
            US_TRY(us_ck_found(k, US_RULE_INFERENCE, n->offset,
                               "input %d has %d dimensions, %d expected", ranks[i].in, t->rank,
                               ranks[i].lo));
        else
            US_TRY(us_ck_found(k, US_RULE_INFERENCE, n->offset,
                               "input %d has %d dimensions, %d to %d expected", ranks[i].in,
                               t->rank, ranks[i].lo, ranks[i].hi));
    }
    return US_OK;
}

/* --- dimensions that must be equal ------------------------------------------------------------------------------- */

#define REST 99 /* all from there on */
static const struct {
    us_op_id op;
    uint8_t a, dim_a, b, dim_b, rest;
} equal[] = {
    {US_OP_BATCH_NORMALIZATION, 0, 1, 1, 0, 0},
    {US_OP_BATCH_NORMALIZATION, 0, 1, 2, 0, 0},
    {US_OP_BATCH_NORMALIZATION, 0, 1, 3, 0, 0},
    {US_OP_BATCH_NORMALIZATION, 0, 1, 4, 0, 0},
    {US_OP_INSTANCE_NORMALIZATION, 0, 1, 1, 0, 0},
    {US_OP_INSTANCE_NORMALIZATION, 0, 1, 2, 0, 0},
    {US_OP_GRID_SAMPLE, 0, 0, 1, 0, 0},
    {US_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, 0, 0, 1, 0, 0},
    {US_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, 0, 2, 1, 1, REST},
    {US_OP_SOFTMAX_CROSS_ENTROPY_LOSS, 0, 0, 1, 0, 0},
    {US_OP_SOFTMAX_CROSS_ENTROPY_LOSS, 0, 2, 1, 1, REST},
};

static us_err check_equal(us_checker *k, us_op_id op, const us_graph *now, const us_node *n)
{
    for (size_t i = 0; i < US_LEN(equal); i++) {
        const us_type *a = us_ck_tensor_type(now, n->in, n->n_in, equal[i].a);
        const us_type *b = us_ck_tensor_type(now, n->in, n->n_in, equal[i].b);
        if (equal[i].op != op || !a || !b) continue;
        for (int j = 0; j <= equal[i].rest; j++) {
            int da = equal[i].dim_a + j, db = equal[i].dim_b + j;
            if (da >= a->rank || db >= b->rank) break;
            us_dim x = a->dims[da], y = b->dims[db];
            if (us_dim_known(x) && us_dim_known(y) && x.add != y.add)
                US_TRY(us_ck_found(k, US_RULE_INFERENCE, n->offset,
                                   "dimension %d of input %d is %lld, dimension %d of input %d "
                                   "is %lld; they must be equal",
                                   da, equal[i].a, (long long)x.add, db, equal[i].b,
                                   (long long)y.add));
        }
    }
    return US_OK;
}

/* --- ranks of one another ------------------------------------------------------------------------------------------ */

/* Labels have no dimension of classes; a shape has as many elements as the result has dimensions. */
static us_err check_relative(us_checker *k, us_op_id op, const us_graph *now, const us_node *n)
{
    const us_type *x = us_ck_tensor_type(now, n->in, n->n_in, 0),
                  *y = us_ck_tensor_type(now, n->in, n->n_in, 1);
    const us_type *z = us_ck_tensor_type(now, n->out, n->n_out, 0);
    bool loss =
        op == US_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS || op == US_OP_SOFTMAX_CROSS_ENTROPY_LOSS;
    if (loss && x && y && y->rank != x->rank - 1)
        return us_ck_found(k, US_RULE_INFERENCE, n->offset,
                           "labels of %d dimensions for scores of %d", y->rank, x->rank);
    if (op == US_OP_RESHAPE && n->schema->since >= 5 && y && z && y->rank == 1 &&
        us_dim_known(y->dims[0]) && y->dims[0].add != z->rank)
        return us_ck_found(k, US_RULE_INFERENCE, n->offset,
                           "a shape of %lld elements for a result of %d dimensions",
                           (long long)y->dims[0].add, z->rank);
    if (op == US_OP_EXPAND && x && y && z && y->rank == 1 && us_dim_known(y->dims[0]) &&
        z->rank != US_MAX(x->rank, y->dims[0].add))
        return us_ck_found(k, US_RULE_INFERENCE, n->offset,
                           "a shape of %lld elements for a result of %d dimensions",
                           (long long)y->dims[0].add, z->rank);
    return US_OK;
}

/* --- axes ----------------------------------------------------------------------------------------------------------- */

static us_err check_axis(us_checker *k, us_op_id op, const us_graph *now, const us_node *n)
{
    static const us_op_id with_axis[] = {US_OP_SOFTMAX,           US_OP_LOG_SOFTMAX,
                                         US_OP_HARDMAX,           US_OP_SPLIT_TO_SEQUENCE,
                                         US_OP_RMS_NORMALIZATION, US_OP_LAYER_NORMALIZATION};
    const us_attr *a = us_node_attr(n, "axis");
    const us_type *t = us_ck_tensor_type(now, n->in, n->n_in, 0);
    if (!a || !t || a->ref.n) return US_OK;
    for (size_t i = 0; i < US_LEN(with_axis); i++)
        if (with_axis[i] == op &&
            (a->i < -t->rank || a->i > t->rank - (n->schema->since >= 11)))
            return us_ck_found(k, US_RULE_INFERENCE, n->offset,
                               "axis %lld of a tensor with %d dimensions", (long long)a->i,
                               t->rank);
    return US_OK;
}

/* --- branches ------------------------------------------------------------------------------------------------------- */

static const us_type *output_type(const us_model *inferred, const us_graph *g, size_t i)
{
    if (g->index >= inferred->graphs.n) return NULL;
    const us_graph *now = inferred->graphs.at[g->index];
    if (i >= now->outputs.n) return NULL;
    const us_type *t = &now->vals.at[now->outputs.at[i]].type;
    return t->kind == US_KIND_NONE || (t->kind == US_KIND_TENSOR && !t->dtype) ? NULL : t;
}

/* What a sub-graph gives is what the node gives; a Loop's first output is its condition. */
static us_err check_given(us_checker *k, const us_model *inferred, const us_graph *now,
                          const us_node *n, const char *name, size_t skip)
{
    const us_attr *a = us_node_attr(n, name);
    for (uint32_t i = 0; a && a->graphs && i < n->n_out; i++) {
        if (n->out[i] == US_NIL || n->out[i] >= now->vals.n) continue;
        const us_type *x = output_type(inferred, a->graphs[0], i + skip);
        const us_type *y = &now->vals.at[n->out[i]].type;
        if (!x || y->kind != x->kind || !y->dtype || x->dtype == y->dtype) continue;
        US_TRY(us_ck_found(k, US_RULE_INFERENCE, n->offset,
                           "%s gives output %u as %s, the node as %s", name, i,
                           us_dtype_get(x->dtype)->name, us_dtype_get(y->dtype)->name));
    }
    return US_OK;
}

/* The element type in a tensor or sequence; NONE when that is not known. */
static us_dtype element(const us_type *t)
{
    while (t && t->kind != US_KIND_TENSOR)
        t = t->elem;
    return t ? t->dtype : US_DT_NONE;
}

/* What a body declares of its inputs is what the node hands on: of Loop its values, of Scan and SequenceMap their elements. */
static us_err check_taken(us_checker *k, us_op_id op, const us_graph *now, const us_node *n)
{
    const us_attr *a = us_node_attr(n, "body");
    uint32_t from = op == US_OP_LOOP ? 2 : 0, skip = op == US_OP_SCAN && n->schema->since == 8;
    bool takes = op == US_OP_LOOP || op == US_OP_SCAN || op == US_OP_SEQUENCE_MAP;
    for (uint32_t i = from; takes && a && a->graphs && i + skip < n->n_in; i++) {
        const us_graph *body = a->graphs[0];
        us_vid in = n->in[i + skip];
        if (in == US_NIL || in >= now->vals.n || i >= body->inputs.n) continue;
        us_dtype gives = element(&now->vals.at[in].type);
        us_dtype wants = element(&body->vals.at[body->inputs.at[i]].type);
        if (gives && wants && gives != wants)
            US_TRY(us_ck_found(k, US_RULE_INFERENCE, n->offset,
                               "its body declares input %u as %s, the node gives %s", i,
                               us_dtype_get(wants)->name, us_dtype_get(gives)->name));
    }
    return US_OK;
}

/* Both branches of an If give the same kinds. */
static us_err check_branches(us_checker *k, us_op_id op, const us_model *inferred,
                             const us_graph *now, const us_node *n)
{
    const us_attr *a = us_node_attr(n, "then_branch"), *b = us_node_attr(n, "else_branch");
    if (op == US_OP_LOOP) return check_given(k, inferred, now, n, "body", 1);
    if (op != US_OP_IF || !a || !b || !a->graphs || !b->graphs) return US_OK;
    for (uint32_t i = 0; i < n->n_out; i++) {
        const us_type *x = output_type(inferred, a->graphs[0], i);
        const us_type *y = output_type(inferred, b->graphs[0], i);
        if (!x || !y || (x->kind == y->kind && x->dtype == y->dtype)) continue;
        US_TRY(us_ck_found(k, US_RULE_INFERENCE, n->offset,
                           "its branches give output %u of different types", i));
    }
    US_TRY(check_given(k, inferred, now, n, "then_branch", 0));
    return check_given(k, inferred, now, n, "else_branch", 0);
}

us_err us_ck_relations(us_checker *k, const us_model *inferred, const us_graph *now,
                       const us_node *n)
{
    us_op_id op = us_op_index(n->op);
    US_TRY(check_ranks(k, op, now, n));
    US_TRY(check_equal(k, op, now, n));
    US_TRY(check_relative(k, op, now, n));
    US_TRY(check_axis(k, op, now, n));
    US_TRY(check_taken(k, op, now, n));
    return check_branches(k, op, inferred, now, n);
}
