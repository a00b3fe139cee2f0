/* check/demands.c - what single operators ask that no table of relations.c says: sizes in attributes against the shapes of
 * inputs, numbers of outputs, operators from before broadcasting. One function per operator or family, called by a table;
 * sources: docs/Operators.md and docs/Changelog.md of ONNX, and what the onnx package's inference refuses. */
#include "check/checker.h"

typedef struct ask {
    us_checker *k;
    const us_graph *now;
    const us_node *n;
} ask;

static const us_type *in(const ask *q, size_t i)
{
    return us_ck_tensor_type(q->now, q->n->in, q->n->n_in, i);
}

static const us_type *out(const ask *q, size_t i)
{
    return us_ck_tensor_type(q->now, q->n->out, q->n->n_out, i);
}

static bool given(const ask *q, size_t i)
{
    return i < q->n->n_in && q->n->in[i] != US_NIL;
}

/* The dimension when it is known; -1. */
static int64_t dim(const us_type *t, int i)
{
    return t && i >= 0 && i < t->rank && us_dim_known(t->dims[i]) ? t->dims[i].add : -1;
}

static us_err clash(const ask *q, const char *what, int64_t is, int64_t expected)
{
    if (is < 0 || expected < 0 || is == expected) return US_OK;
    return us_ck_found(q->k, US_RULE_INFERENCE, q->n->offset, "%s is %lld, expected %lld", what,
                       (long long)is, (long long)expected);
}

/* --- recurrent ------------------------------------------------------------------------------------------------ */

static us_err recurrent(const ask *q, int64_t gates)
{
    const us_attr *a = us_node_attr(q->n, "hidden_size");
    int64_t r = dim(in(q, 2), 2), w = dim(in(q, 1), 1), hidden = a && !a->ref.n ? a->i : -1;
    if (hidden > INT32_MAX) hidden = -1;
    if (a && !a->ref.n && a->i <= 0)
        return us_ck_found(q->k, US_RULE_INFERENCE, q->n->offset, "hidden_size is %lld",
                           (long long)a->i);
    US_TRY(clash(q, "dimension 2 of R (hidden_size)", r, hidden));
    US_TRY(clash(q, "dimension 1 of R", dim(in(q, 2), 1), hidden < 0 ? -1 : gates * hidden));
    US_TRY(clash(q, "dimension 1 of W", w, hidden < 0 ? -1 : gates * hidden));
    return clash(q, "dimension 2 of W", dim(in(q, 1), 2), dim(in(q, 0), 2));
}

static us_err rnn(const ask *q)
{
    return recurrent(q, 1);
}

static us_err gru(const ask *q)
{
    return recurrent(q, 3);
}

static us_err lstm(const ask *q)
{
    return recurrent(q, 4);
}

/* --- windows -------------------------------------------------------------------------------------------------- */

/* Lists that hold a number for each of n dimensions a window moves in, pads two. */
static us_err lists(const ask *q, int64_t n)
{
    static const struct {
        const char *attr, *what;
        int each;
    } rows[] = {
        {"kernel_shape", "the length of kernel_shape", 1},
        {"strides", "the length of strides", 1},
        {"dilations", "the length of dilations", 1},
        {"pads", "the length of pads", 2},
    };
    for (size_t i = 0; i < US_LEN(rows); i++) {
        const us_attr *a = us_node_attr(q->n, rows[i].attr);
        if (a && a->kind == US_AT_INTS && !a->ref.n)
            US_TRY(clash(q, rows[i].what, (int64_t)a->n, n < 0 ? -1 : n * rows[i].each));
    }
    return US_OK;
}

static us_err pool(const ask *q)
{
    const us_type *x = in(q, 0);
    return x && x->rank >= 2 ? lists(q, x->rank - 2) : US_OK;
}

static us_err convolution(const ask *q)
{
    const us_type *x = in(q, 0), *w = in(q, 1);
    US_TRY(clash(q, "the number of dimensions of W", w ? w->rank : -1, x ? x->rank : -1));
    return pool(q);
}

static us_err col2im(const ask *q)
{
    return lists(q, dim(in(q, 1), 0));
}

/* --- numbers of things -------------------------------------------------------------------------------------------- */

static us_err split(const ask *q)
{
    const us_attr *sizes = us_node_attr(q->n, "split"), *n = us_node_attr(q->n, "num_outputs");
    const us_attr *axis = us_node_attr(q->n, "axis");
    const us_type *x = in(q, 0);
    int64_t at = axis ? axis->i : 0;
    if (q->n->schema->since >= 18 && given(q, 1) == (n != NULL))
        return us_ck_found(q->k, US_RULE_REQUIRED, q->n->offset,
                           "either 'split' or 'num_outputs' says how to split, %s given",
                           n ? "both are" : "neither is");
    if (sizes && sizes->kind == US_AT_INTS)
        return clash(q, "the number of sizes in 'split'", (int64_t)sizes->n, q->n->n_out);
    if (n && !n->ref.n) US_TRY(clash(q, "num_outputs", n->i, q->n->n_out));
    if (given(q, 1))
        return clash(q, "the number of sizes in 'split'", dim(in(q, 1), 0), q->n->n_out);
    if (!x || at < -x->rank || at >= x->rank || q->n->schema->since >= 18 || !q->n->n_out)
        return US_OK;
    int64_t all = dim(x, (int)(at < 0 ? at + x->rank : at));
    if (all < 0 || all % q->n->n_out == 0) return US_OK;
    return us_ck_found(q->k, US_RULE_INFERENCE, q->n->offset,
                       "%lld elements cannot be split into %u equal parts", (long long)all,
                       q->n->n_out);
}

static us_err batch_normalization(const ask *q)
{
    const us_attr *training = us_node_attr(q->n, "training_mode");
    bool old = q->n->schema->since < 14, trains = training && (training->ref.n || training->i);
    uint32_t all = old ? 5 : 3;
    if (!old && !trains && q->n->n_out > 1)
        return us_ck_found(
            q->k, US_RULE_ARITY, q->n->offset,
            "%u outputs, but only training (training_mode=1) gives more than one", q->n->n_out);
    if (q->n->n_out == 1 || q->n->n_out == all) return US_OK;
    return us_ck_found(q->k, US_RULE_ARITY, q->n->offset, "%u outputs, 1 or %u expected",
                       q->n->n_out, all);
}

static us_err resize(const ask *q)
{
    const us_attr *axes = us_node_attr(q->n, "axes");
    bool old = q->n->schema->since < 11;
    if (old) return US_OK;
    /* an empty tensor says as much as none */
    bool scales = given(q, 2) && dim(in(q, 2), 0) != 0,
         sizes = given(q, 3) && dim(in(q, 3), 0) != 0;
    if (!scales && !sizes)
        return us_ck_found(q->k, US_RULE_REQUIRED, q->n->offset,
                           "it has neither scales nor sizes, one of them is needed");
    if (scales && sizes)
        return us_ck_found(q->k, US_RULE_REQUIRED, q->n->offset,
                           "it has scales and sizes, only one of them can count");
    const us_type *x = in(q, 0);
    int64_t n = axes && axes->kind == US_AT_INTS ? (int64_t)axes->n : x ? x->rank : -1;
    US_TRY(clash(q, "the number of sizes", sizes ? dim(in(q, 3), 0) : -1, n));
    return clash(q, "the number of scales", scales ? dim(in(q, 2), 0) : -1, n);
}

static us_err constant_of_shape(const ask *q)
{
    const us_type *y = out(q, 0);
    return clash(q, "the number of dimensions asked for", dim(in(q, 0), 0), y ? y->rank : -1);
}

/* Adagrad, Adam, Momentum: after rate and count each tensor, its gradient and its state; each result is of the type of what it
 * replaces. */
static us_err optimizer(const ask *q)
{
    uint32_t per = us_op_index(q->n->op) == US_OP_TRAIN_ADAM ? 4 : 3;
    if (q->n->n_in < 2 || (q->n->n_in - 2) % per != 0 ||
        q->n->n_out != (q->n->n_in - 2) / per * (per - 1))
        return us_ck_found(
            q->k, US_RULE_ARITY, q->n->offset,
            "%u inputs and %u outputs: after R and T there are %u lists of the same "
            "length, and all but the gradients come back",
            q->n->n_in, q->n->n_out, per);
    uint32_t n = (q->n->n_in - 2) / per;
    for (uint32_t i = 0; i < q->n->n_out; i++) {
        const us_type *x = in(q, 2 + (i < n ? i : i + n)), *y = out(q, i);
        if (x && y && x->dtype && y->dtype && x->dtype != y->dtype)
            US_TRY(us_ck_found(q->k, US_RULE_OPERAND, q->n->offset,
                               "output %u is of %s, what it replaces of %s", i,
                               us_dtype_get(y->dtype)->name, us_dtype_get(x->dtype)->name));
    }
    return US_OK;
}

static us_err one_hot(const ask *q)
{
    return clash(q, "the number of values (off and on)", dim(in(q, 2), 0), 2);
}

/* --- shapes ---------------------------------------------------------------------------------------------------------- */

/* As far as the shape asked for is known: one dimension at most follows from the others (-1), none is below. */
static us_err reshape(const ask *q)
{
    if (!given(q, 1) || q->n->in[1] >= q->now->vals.n) return US_OK;
    const us_val *shape = &q->now->vals.at[q->n->in[1]];
    uint32_t open = 0;
    for (uint32_t i = 0; shape->known && i < shape->n_known; i++) {
        if (!us_dim_known(shape->known[i])) continue;
        open += shape->known[i].add == -1;
        if (shape->known[i].add < -1)
            return us_ck_found(q->k, US_RULE_INFERENCE, q->n->offset,
                               "dimension %u of the shape asked for is %lld", i,
                               (long long)shape->known[i].add);
    }
    if (open < 2) return US_OK;
    return us_ck_found(q->k, US_RULE_INFERENCE, q->n->offset,
                       "%u dimensions of the shape asked for are -1, one is possible", open);
}

/* Dimensions of x that are not 1 stay. */
static us_err expand(const ask *q)
{
    const us_type *x = in(q, 0), *y = out(q, 0);
    for (int i = 1; x && y && i <= x->rank && i <= y->rank; i++)
        if (dim(x, x->rank - i) > 1)
            US_TRY(clash(q, "a dimension of the result", dim(y, y->rank - i),
                         dim(x, x->rank - i)));
    return US_OK;
}

/* Keys and values kept from before continue those of now: of one shape but for the length, which is the sum of both. */
static us_err attention(const ask *q)
{
    const us_type *key = in(q, 1), *value = in(q, 2);
    int64_t now = key ? dim(key, key->rank == 4 ? 2 : 1) : -1, past = 0;
    if (given(q, 4) != given(q, 5))
        return us_ck_found(q->k, US_RULE_REQUIRED, q->n->offset,
                           "past_key and past_value come together, only one is given");
    US_TRY(clash(q, "the length of V", value ? dim(value, value->rank == 4 ? 2 : 1) : -1, now));
    for (size_t i = 0; i < 2; i++)
        for (int d = 0; d < 4; d++)
            if (d != 2)
                US_TRY(clash(q, i ? "a dimension of past_value" : "a dimension of past_key",
                             dim(in(q, 4 + i), d), dim(out(q, 1 + i), d)));
    if (given(q, 4)) past = dim(in(q, 4), 2);
    int64_t all = now < 0 || past < 0 ? -1 : now + past;
    US_TRY(clash(q, "the length of present_key", dim(out(q, 1), 2), all));
    US_TRY(clash(q, "the length of present_value", dim(out(q, 2), 2), all));
    return clash(q, "dimension 3 of qk_matmul_output", dim(out(q, 3), 3), all);
}

/* The last dimension of the grid holds a place in the picture. */
static us_err grid_sample(const ask *q)
{
    const us_type *grid = in(q, 1);
    return grid ? clash(q, "the last dimension of the grid", dim(grid, grid->rank - 1),
                        grid->rank - 2)
                : US_OK;
}

/* One element is a condition, or a number of rounds. */
static us_err single(const ask *q, size_t i, const char *what)
{
    const us_type *t = in(q, i);
    int64_t n = 1;
    for (int j = 0; t && j < t->rank && n == 1; j++)
        n = dim(t, j) < 0 ? 1 : dim(t, j);
    if (n == 1) return US_OK;
    return us_ck_found(q->k, US_RULE_INFERENCE, q->n->offset,
                       "%s is a tensor of several elements, one expected", what);
}

static us_err condition(const ask *q)
{
    return single(q, 0, "the condition");
}

static us_err loop(const ask *q)
{
    US_TRY(single(q, 0, "the number of rounds"));
    return single(q, 1, "the condition");
}

/* The dimension along which a Scan walks: axes lists it, by number; 0 when it does not. */
static int64_t along(const us_type *t, const us_attr *axes, uint32_t i)
{
    int64_t axis = axes && axes->kind == US_AT_INTS && i < axes->n ? axes->ints[i] : 0;
    if (!t || axis < -t->rank || axis >= t->rank) return -1;
    return dim(t, (int)(axis < 0 ? axis + t->rank : axis));
}

/* All that a Scan walks along is of one length, and what it collects, too; its states keep their shape. */
static us_err scan(const ask *q)
{
    const us_attr *m = us_node_attr(q->n, "num_scan_inputs");
    if (q->n->schema->since < 9 || !m || m->ref.n || m->i < 0 || m->i > q->n->n_in)
        return US_OK;
    uint32_t walked = (uint32_t)m->i, states = q->n->n_in - walked;
    int64_t length = -1;
    for (uint32_t i = 0; i < walked; i++) {
        int64_t d = along(in(q, states + i), us_node_attr(q->n, "scan_input_axes"), i);
        US_TRY(clash(q, "the length of an input to walk along", d, length));
        if (d >= 0) length = d;
    }
    for (uint32_t i = 0; i < states; i++)
        for (int j = 0; in(q, i) && j < in(q, i)->rank; j++)
            US_TRY(clash(q, "a dimension of a state", dim(out(q, i), j), dim(in(q, i), j)));
    for (uint32_t i = states; i < q->n->n_out; i++)
        US_TRY(clash(q, "the length of what is collected",
                     along(out(q, i), us_node_attr(q->n, "scan_output_axes"), i - states),
                     length));
    return US_OK;
}

/* Before opset 7 shapes are equal unless the node says broadcast=1. */
static us_err no_broadcast(const ask *q)
{
    const us_attr *a = us_node_attr(q->n, "broadcast");
    const us_type *x = in(q, 0), *y = in(q, 1);
    if (q->n->schema->since >= 7 || (a && a->i == 1) || !x || !y) return US_OK;
    US_TRY(clash(q, "the number of dimensions of B", y->rank, x->rank));
    for (int i = 0; x->rank == y->rank && i < x->rank; i++)
        US_TRY(clash(q, "a dimension of B (no broadcasting before opset 7)", dim(y, i),
                     dim(x, i)));
    return US_OK;
}

us_err us_ck_demands(us_checker *k, const us_graph *now, const us_node *n)
{
    static const struct {
        us_op_id op;
        us_err (*asks)(const ask *q);
    } rows[] = {
        {US_OP_RNN, rnn},
        {US_OP_GRU, gru},
        {US_OP_LSTM, lstm},
        {US_OP_SPLIT, split},
        {US_OP_BATCH_NORMALIZATION, batch_normalization},
        {US_OP_RESIZE, resize},
        {US_OP_CONSTANT_OF_SHAPE, constant_of_shape},
        {US_OP_EXPAND, expand},
        {US_OP_RESHAPE, reshape},
        {US_OP_ATTENTION, attention},
        {US_OP_GRID_SAMPLE, grid_sample},
        {US_OP_TRAIN_ADAGRAD, optimizer},
        {US_OP_TRAIN_ADAM, optimizer},
        {US_OP_TRAIN_MOMENTUM, optimizer},
        {US_OP_IF, condition},
        {US_OP_LOOP, loop},
        {US_OP_ONE_HOT, one_hot},
        {US_OP_CONV, convolution},
        {US_OP_CONV_TRANSPOSE, convolution},
        {US_OP_MAX_POOL, pool},
        {US_OP_AVERAGE_POOL, pool},
        {US_OP_LP_POOL, pool},
        {US_OP_COL2IM, col2im},
        {US_OP_SCAN, scan},
        {US_OP_ADD, no_broadcast},
        {US_OP_SUB, no_broadcast},
        {US_OP_MUL, no_broadcast},
        {US_OP_DIV, no_broadcast},
        {US_OP_POW, no_broadcast},
        {US_OP_AND, no_broadcast},
        {US_OP_OR, no_broadcast},
        {US_OP_XOR, no_broadcast},
        {US_OP_EQUAL, no_broadcast},
        {US_OP_GREATER, no_broadcast},
        {US_OP_LESS, no_broadcast},
    };
    ask q = {k, now, n};
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (rows[i].op == us_op_index(n->op)) US_TRY(rows[i].asks(&q));
    return US_OK;
}
