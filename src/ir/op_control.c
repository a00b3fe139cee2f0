/* ir/op_control.c - If, Loop and Scan: sub-graphs run by whoever evaluates (env->sub_run).
 *
 * Results of a sub-graph live in the dynamic arena until the run ends, so values are carried from one
 * iteration to the next by reference; scan outputs are gathered and stacked at the end.
 */
#include "ir/op_util.h"

#include <string.h>

/* clang-format off */
static const us_param if_in[] = {{"cond", 'B', US_M(BOOL), 0}, US_PARAM_END};
static const us_param if_out[] = {
    {"outputs", 'V', US_M_ALL, US_P_HETERO | US_P_OPT | US_P_SEQ | US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row if_attrs[] = {
    US_AG(us_p_if, else_branch, "else_branch"), US_AG(us_p_if, then_branch, "then_branch"), US_ATTR_END};
const us_schema if_schemas[] = {
    {1, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {11, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {13, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {16, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {19, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {21, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {23, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {24, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {25, if_in, if_out, if_attrs, sizeof(us_p_if), NULL},
    {0}};

static const us_param loop_in[] = {
    {"M", 'I', US_M(I64), US_P_OPTIONAL}, {"cond", 'B', US_M(BOOL), US_P_OPTIONAL},
    {"v_initial", 'V', US_M_ALL, US_P_HETERO | US_P_OPT | US_P_SEQ | US_P_VARIADIC}, US_PARAM_END};
static const us_param loop_out[] = {
    {"v_final_and_scan_outputs", 'V', US_M_ALL, US_P_HETERO | US_P_OPT | US_P_SEQ | US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row loop_attrs[] = {US_AG(us_p_loop, body, "body"), US_ATTR_END};
static const us_param loop_in_11[] = {
    {"M", 'I', US_M(I64), US_P_OPTIONAL}, {"cond", 'B', US_M(BOOL), US_P_OPTIONAL},
    {"v_initial", 'V', US_M_ALL, US_P_HETERO | US_P_OPT | US_P_OPTIONAL | US_P_SEQ | US_P_VARIADIC}, US_PARAM_END};
const us_schema loop_schemas[] = {
    {1, loop_in, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {11, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {13, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {16, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {19, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {21, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {23, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {24, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {25, loop_in_11, loop_out, loop_attrs, sizeof(us_p_loop), NULL},
    {0}};

static const us_param scan_out[] = {
    {"final_state_and_scan_outputs", 'V', US_M_ALL, US_P_HETERO | US_P_VARIADIC}, US_PARAM_END};
static const us_param scan_in[] = {
    {"initial_state_and_scan_inputs", 'V', US_M_ALL, US_P_HETERO | US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row scan_attrs[] = {
    US_AG(us_p_scan, body, "body"),
    {.name = "num_scan_inputs", .kind = US_AT_INT, .offset = offsetof(us_p_scan, num_scan_inputs), .required = true},
    US_AIS(us_p_scan, scan_input_axes, "scan_input_axes"),
    US_AIS(us_p_scan, scan_input_directions, "scan_input_directions"),
    US_AIS(us_p_scan, scan_output_axes, "scan_output_axes"),
    US_AIS(us_p_scan, scan_output_directions, "scan_output_directions"), US_ATTR_END};
static const us_param scan_in_8[] = {
    {"sequence_lens", 'I', US_M(I64), US_P_OPTIONAL},
    {"initial_state_and_scan_inputs", 'V', US_M_ALL, US_P_HETERO | US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row scan_attrs_8[] = {
    US_AG(us_p_scan, body, "body"), US_AIS(us_p_scan, scan_input_directions, "directions"),
    {.name = "num_scan_inputs", .kind = US_AT_INT, .offset = offsetof(us_p_scan, num_scan_inputs), .required = true},
    US_ATTR_END};
const us_schema scan_schemas[] = {
    {8, scan_in_8, scan_out, scan_attrs_8, sizeof(us_p_scan), us_upgrade_scan_batch},
    {9, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {11, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {16, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {19, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {21, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {23, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {24, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {25, scan_in, scan_out, scan_attrs, sizeof(us_p_scan), NULL},
    {0}};
/* clang-format on */

static us_err sub_run(us_eval *k, us_graph *sub, size_t n_in, const us_value *const *in,
                      size_t n_out, us_value *out)
{
    if (!k->env->sub_run) return us_eval_fail(k, US_UNSUPP, "no sub-graphs can run here");
    return k->env->sub_run(k->env, k, sub, n_in, in, n_out, out);
}

/* Output i gets this value: tensors are copied, everything else is taken as it is. */
static us_err give(us_eval *k, size_t i, const us_value *v)
{
    if (!us_eval_wants(k, i)) return US_OK;
    if (v->kind == US_KIND_TENSOR) return us_eval_put_view(k, i, &v->t);
    *k->out[i] = *v;
    return US_OK;
}

static us_err truth(us_eval *k, const us_value *v, bool *out)
{
    if (!v || v->kind != US_KIND_TENSOR || us_tensor_count(&v->t) != 1 || v->t.dtype != US_BOOL)
        return us_eval_fail(k, US_ARG, "the condition is not one bool");
    *out = *(const uint8_t *)v->t.data != 0;
    return US_OK;
}

static us_value *new_values(us_eval *k, size_t n)
{
    return us_new_n(k->env->dynamic(k->env, k), us_value, n);
}

/* --- If ------------------------------------------------------------------------------------------ */

/* A single truth value that is known now. */
static bool known_truth(us_infer *k, size_t i, bool *yes)
{
    int64_t x;
    size_t n;
    if (!us_infer_ints(k, i, 1, &x, &n) || n != 1) return false;
    *yes = x != 0;
    return true;
}

/* Of a condition that is known now, only the branch it takes. */
us_err if_infer(us_infer *k)
{
    const us_p_if *p = k->params;
    const us_graph *a = p->then_branch, *b = p->else_branch;
    size_t n = k->g->nodes.at[k->n].n_out;
    bool yes;
    if (a->outputs.n < n || b->outputs.n < n)
        return us_infer_fail(k, US_SHAPE, "a branch has fewer outputs than the node");
    if (known_truth(k, 0, &yes)) {
        a = yes ? a : b;
        b = a;
    }
    for (size_t i = 0; i < n; i++) {
        us_type t;
        US_TRY(us_infer_join(k, &a->vals.at[a->outputs.at[i]].type,
                             &b->vals.at[b->outputs.at[i]].type, &t));
        US_TRY(us_infer_out_type(k, i, &t));
    }
    return US_OK;
}

us_err if_eval(us_eval *k)
{
    const us_p_if *p = k->params;
    bool yes;
    US_TRY(truth(k, k->n_in ? k->in[0] : NULL, &yes));
    us_graph *g = yes ? p->then_branch : p->else_branch;
    us_value *out = new_values(k, k->n_out);
    if (!out) return us_arena_fail(k->c, k->env->dynamic(k->env, k));
    if (g->outputs.n < k->n_out)
        return us_eval_fail(k, US_SHAPE, "the branch has %zu outputs", g->outputs.n);
    US_TRY(sub_run(k, g, 0, NULL, k->n_out, out));
    for (size_t i = 0; i < k->n_out; i++)
        US_TRY(give(k, i, &out[i]));
    return US_OK;
}

/* --- stacking of scan outputs -------------------------------------------------------------------- */

typedef US_VEC(us_tensor) tensor_vec;

/* Equal tensors side by side along a new axis; none: an empty tensor of the declared element type. */
static us_err stack(us_eval *k, size_t i, const tensor_vec *v, int64_t axis_attr,
                    bool backwards, const us_type *declared)
{
    us_tensor *y;
    int64_t dims[US_MAX_RANK + 1] = {0};
    int axis = 0, rank = v->n ? v->at[0].rank : US_MAX(declared->rank, 0);
    if (!us_eval_wants(k, i)) return US_OK;
    if (rank + 1 > US_MAX_RANK)
        return us_eval_fail(k, US_SHAPE, "scan output of rank %d", rank + 1);
    US_TRY(us_eval_axis(k, axis_attr, rank + 1, &axis));
    for (int j = 0, from = 0; j <= rank; j++) {
        if (j == axis)
            dims[j] = (int64_t)v->n;
        else if (v->n)
            dims[j] = v->at[0].dims[from++];
        else {
            us_dim d =
                declared->rank > from && declared->dims ? declared->dims[from] : US_DIM(0);
            dims[j] = us_dim_known(d) ? d.add : 0;
            from++;
        }
    }
    us_dtype t = v->n ? v->at[0].dtype : declared->dtype;
    US_TRY(us_eval_out(k, i, t, rank + 1, dims, &y));
    for (size_t j = 0; j < v->n; j++) {
        us_tensor to = v->at[j]; /* dims of the part, strides of the whole without the axis */
        for (int q = 0, r = 0; q <= rank; q++)
            if (q != axis) to.strides[r++] = y->strides[q];
        int64_t place = backwards ? (int64_t)(v->n - 1 - j) : (int64_t)j;
        if (v->at[j].dtype != t || !us_tensor_same_dims(&v->at[j], &v->at[0]))
            return us_eval_fail(k, US_SHAPE, "scan output %zu changes its shape", i);
        to.data = us_at(y, place * y->strides[axis]);
        if (us_tensor_count(&to)) US_TRY(us_tensor_copy(k->c, &to, &v->at[j]));
    }
    return US_OK;
}

/* A tensor that a later iteration cannot overwrite. */
static us_err keep(us_eval *k, tensor_vec *v, const us_value *from)
{
    us_arena *a = k->env->dynamic(k->env, k);
    us_tensor t;
    if (from->kind != US_KIND_TENSOR)
        return us_eval_fail(k, US_ARG, "a scan output is not a tensor");
    US_TRY(us_tensor_dup(k->c, a, &from->t, &t));
    return us_vec_push(k->c, a, v, t);
}

/* Results of an iteration that nobody needs any more: their memory goes back while the loop runs. */
static void drop(us_eval *k, us_value *v, size_t n)
{
    for (size_t i = 0; i < n && k->env->release; i++)
        k->env->release(k->env, k, &v[i]);
}

/* --- Loop ---------------------------------------------------------------------------------------- */

/* A value that is true whenever the body's condition is, for it is that or a constant. */
static bool goes_on(const us_graph *b, us_vid v)
{
    for (size_t i = 0; i < b->nodes.n && v != US_NIL; i++) {
        const us_val *val = &b->vals.at[v];
        if (b->inputs.n > 1 && v == b->inputs.at[1]) return true;
        if (val->storage == US_ST_CONST && val->data && val->data->kind == US_KIND_TENSOR) {
            const us_tensor *t = &val->data->t;
            return t->dtype == US_BOOL && us_tensor_count(t) == 1 && t->data &&
                   *(const uint8_t *)t->data != 0;
        }
        const us_node *n = val->def == US_NIL ? NULL : &b->nodes.at[val->def];
        if (!n || n->domain.n || !us_sv_is(n->op_type, "Identity") || n->n_in != 1)
            return false;
        v = n->in[0];
    }
    return v != US_NIL && b->inputs.n > 1 && v == b->inputs.at[1];
}

/* How often the body runs, when nothing can end the loop early. */
static us_err trips(us_infer *k, const us_graph *b, us_dim *out)
{
    const us_dim *d;
    size_t n;
    bool yes, endless = !us_infer_has(k, 1) || (known_truth(k, 1, &yes) && yes);
    if (endless && goes_on(b, b->outputs.at[0]) && us_infer_in_dims(k, 0, &n, &d) && n == 1 &&
        d[0].add >= 0 && d[0].mul >= 0 && d[0].add <= US_MAX_ELEMENTS) {
        *out = d[0];
        return US_OK;
    }
    return us_infer_fresh(k, out);
}

/* Results side by side along an axis of this size. */
static us_err infer_stack(us_infer *k, size_t i, const us_graph *b, const us_type *part,
                          int64_t axis_attr, us_dim count)
{
    us_type t;
    us_dim d[US_MAX_RANK];
    int axis;
    if (part->kind != US_KIND_TENSOR) return US_OK;
    US_TRY(us_infer_leaves(k, b, part, &t));
    if (t.rank < 0 || t.rank >= US_MAX_RANK) return us_infer_out(k, i, t.dtype, -1, NULL);
    US_TRY(us_infer_axis(k, axis_attr, t.rank + 1, &axis));
    for (int j = 0, from = 0; j <= t.rank; j++)
        d[j] = j == axis ? count : t.dims[from++];
    return us_infer_out(k, i, t.dtype, t.rank + 1, d);
}

/* What is carried has the type of its first value, or of what the body makes of it. An optional that begins without a value ends as
 * what it is an optional of. */
static us_err infer_carried(us_infer *k, size_t i, const us_type *first, const us_type *last)
{
    us_type t;
    if (!first || first->kind == US_KIND_NONE) return US_OK;
    if (first->kind == US_KIND_TENSOR && last->kind != US_KIND_TENSOR)
        return us_infer_out(k, i, first->dtype, -1, NULL);
    if (first->kind == US_KIND_OPTIONAL && first->elem && last->kind == first->elem->kind)
        first = first->elem;
    US_TRY(us_infer_join(k, first, last, &t));
    return us_infer_out_type(k, i, &t);
}

us_err loop_infer(us_infer *k)
{
    const us_p_loop *p = k->params;
    const us_graph *b = p->body;
    size_t n_out = k->g->nodes.at[k->n].n_out, n_in = us_infer_n_in(k),
           n_carried = n_in > 2 ? n_in - 2 : 0;
    us_dim count;
    if (b->outputs.n < 1 + n_out)
        return us_infer_fail(k, US_SHAPE, "the body has too few outputs");
    US_TRY(trips(k, b, &count));
    for (size_t i = 0; i < n_out; i++) {
        const us_type *t = &b->vals.at[b->outputs.at[1 + i]].type;
        if (i < n_carried)
            US_TRY(infer_carried(k, i, us_infer_in(k, 2 + i), t));
        else
            US_TRY(infer_stack(k, i, b, t, 0, count));
    }
    return US_OK;
}

us_err loop_eval(us_eval *k)
{
    const us_p_loop *p = k->params;
    us_arena *a = k->env->dynamic(k->env, k);
    size_t n_carried = k->n_in > 2 ? k->n_in - 2 : 0, n_body_out = p->body->outputs.n;
    double trips_d;
    bool go = true;
    if (n_body_out < 1 + n_carried || p->body->inputs.n != 2 + n_carried ||
        k->n_out + 1 > n_body_out)
        return us_eval_fail(k, US_SHAPE, "the body's inputs and outputs do not fit the node's");
    US_TRY(us_eval_scalar(k, 0, 9.2e18, &trips_d));
    if (k->n_in > 1 && k->in[1] && k->in[1]->kind != US_KIND_NONE)
        US_TRY(truth(k, k->in[1], &go));
    size_t n_scan = n_body_out - 1 - n_carried;
    const us_value **in = us_new_n(a, const us_value *, 2 + n_carried);
    us_value *now = us_new_n(a, us_value, n_carried + 1);
    tensor_vec *scans = us_new_n(a, tensor_vec, n_scan + 1);
    if (!in || !now || !scans) return us_arena_fail(k->c, a);
    for (size_t i = 0; i < n_carried; i++)
        if (k->in[2 + i]) now[i] = *k->in[2 + i];
    us_value *head = us_new_n(a, us_value, 2), *out = us_new_n(a, us_value, n_body_out);
    int64_t *count = us_new(a, int64_t);
    bool *cond = us_new(a, bool);
    us_tensor t;
    if (!count || !cond || !head || !out) return us_arena_fail(k->c, a);
    US_TRY(us_tensor_init(k->c, &t, US_I64, 0, NULL, count));
    head[0] = us_value_of(&t);
    US_TRY(us_tensor_init(k->c, &t, US_BOOL, 0, NULL, cond));
    head[1] = us_value_of(&t);
    in[0] = &head[0];
    in[1] = &head[1];
    for (size_t i = 0; i < n_carried; i++)
        in[2 + i] = &now[i];
    for (int64_t trip = 0; go && (double)trip < trips_d; trip++) {
        US_TRY(us_ctx_poll(k->c));
        *count = trip;
        *cond = go;
        US_TRY(sub_run(k, p->body, 2 + n_carried, in, n_body_out, out));
        US_TRY(truth(k, &out[0], &go));
        for (size_t i = 0; i < n_scan; i++)
            US_TRY(keep(k, &scans[i], &out[1 + n_carried + i]));
        drop(k, &out[0], 1);
        drop(k, &out[1 + n_carried], n_scan);
        if (trip > 0) drop(k, now, n_carried); /* the first ones are the node's inputs */
        memcpy(now, out + 1, n_carried * sizeof *now);
    }
    for (size_t i = 0; i < n_carried && i < k->n_out; i++)
        US_TRY(give(k, i, &now[i]));
    for (size_t i = 0; i < n_scan && n_carried + i < k->n_out; i++)
        US_TRY(stack(k, n_carried + i, &scans[i], 0, false,
                     &p->body->vals.at[p->body->outputs.at[1 + n_carried + i]].type));
    return US_OK;
}

/* --- Scan ---------------------------------------------------------------------------------------- */

/* The size of the first scan input along its axis; all have the same. */
static us_err scan_length(us_infer *k, size_t n_state, us_dim *out)
{
    const us_p_scan *p = k->params;
    US_TRY(us_infer_fresh(k, out));
    for (size_t i = 0; n_state + i < us_infer_n_in(k); i++) {
        const us_type *t = us_infer_ranked(k, n_state + i);
        int axis;
        if (!t) continue;
        US_TRY(us_infer_axis(k, i < p->scan_input_axes.n ? p->scan_input_axes.p[i] : 0, t->rank,
                             &axis));
        if (i == 0 || us_dim_known(t->dims[axis])) *out = t->dims[axis];
    }
    return US_OK;
}

us_err scan_infer(us_infer *k)
{
    const us_p_scan *p = k->params;
    const us_graph *b = p->body;
    size_t n_in = us_infer_n_in(k), n_out = k->g->nodes.at[k->n].n_out;
    us_dim count;
    if (p->num_scan_inputs < 1 || (size_t)p->num_scan_inputs > n_in || b->outputs.n < n_out)
        return us_infer_fail(k, US_SHAPE, "num_scan_inputs does not fit the inputs");
    size_t n_state = n_in - (size_t)p->num_scan_inputs;
    US_TRY(scan_length(k, n_state, &count));
    for (size_t i = 0; i < n_out; i++) {
        const us_type *t = &b->vals.at[b->outputs.at[i]].type;
        size_t s = i - n_state;
        if (i < n_state)
            US_TRY(infer_carried(k, i, us_infer_in(k, i), t));
        else
            US_TRY(infer_stack(
                k, i, b, t, s < p->scan_output_axes.n ? p->scan_output_axes.p[s] : 0, count));
    }
    return US_OK;
}

us_err scan_eval(us_eval *k)
{
    const us_p_scan *p = k->params;
    us_arena *a = k->env->dynamic(k->env, k);
    size_t n_seq = p->num_scan_inputs > 0 ? (size_t)p->num_scan_inputs : 0;
    if (n_seq < 1 || n_seq > k->n_in || p->body->inputs.n != k->n_in ||
        p->body->outputs.n < k->n_out)
        return us_eval_fail(k, US_SHAPE, "num_scan_inputs does not fit the inputs");
    size_t n_state = k->n_in - n_seq, n_body_out = p->body->outputs.n;
    if (n_body_out < n_state) return us_eval_fail(k, US_SHAPE, "the body has too few outputs");
    size_t n_scan = n_body_out - n_state;
    const us_value **in = us_new_n(a, const us_value *, k->n_in);
    us_value *now = us_new_n(a, us_value, n_state + 1), *slices = us_new_n(a, us_value, n_seq);
    tensor_vec *scans = us_new_n(a, tensor_vec, n_scan + 1);
    if (!in || !now || !slices || !scans) return us_arena_fail(k->c, a);
    int64_t length = -1;
    int axes[64];
    for (size_t i = 0; i < n_seq; i++) {
        const us_tensor *x;
        if (n_seq > US_LEN(axes)) return us_eval_fail(k, US_LIMIT, "%zu scan inputs", n_seq);
        US_TRY(us_eval_in(k, n_state + i, &x));
        US_TRY(us_eval_axis(k, i < p->scan_input_axes.n ? p->scan_input_axes.p[i] : 0, x->rank,
                            &axes[i]));
        if (length >= 0 && x->dims[axes[i]] != length)
            return us_eval_fail(k, US_SHAPE, "scan inputs differ in length");
        length = x->dims[axes[i]];
    }
    for (size_t i = 0; i < n_state; i++)
        if (k->in[i]) now[i] = *k->in[i];
    us_value *out = us_new_n(a, us_value, n_body_out);
    if (!out) return us_arena_fail(k->c, a);
    for (int64_t step = 0; step < length; step++) {
        US_TRY(us_ctx_poll(k->c));
        for (size_t i = 0; i < n_state; i++)
            in[i] = &now[i];
        for (size_t i = 0; i < n_seq; i++) {
            us_tensor t = k->in[n_state + i]->t, dense;
            bool back = i < p->scan_input_directions.n && p->scan_input_directions.p[i];
            t.data = us_at(&t, (back ? length - 1 - step : step) * t.strides[axes[i]]);
            for (int j = axes[i]; j + 1 < t.rank; j++) {
                t.dims[j] = t.dims[j + 1];
                t.strides[j] = t.strides[j + 1];
            }
            t.rank--;
            US_TRY(us_tensor_dup(k->c, a, &t, &dense));
            slices[i] = us_value_of(&dense);
            in[n_state + i] = &slices[i];
        }
        US_TRY(sub_run(k, p->body, k->n_in, in, n_body_out, out));
        for (size_t i = 0; i < n_scan; i++)
            US_TRY(keep(k, &scans[i], &out[n_state + i]));
        drop(k, &out[n_state], n_scan);
        if (step > 0) drop(k, now, n_state); /* the first ones are the node's inputs */
        memcpy(now, out, n_state * sizeof *now);
    }
    for (size_t i = 0; i < n_state && i < k->n_out; i++)
        US_TRY(give(k, i, &now[i]));
    for (size_t i = 0; i < n_scan && n_state + i < k->n_out; i++)
        US_TRY(stack(k, n_state + i, &scans[i],
                     i < p->scan_output_axes.n ? p->scan_output_axes.p[i] : 0,
                     i < p->scan_output_directions.n && p->scan_output_directions.p[i],
                     &p->body->vals.at[p->body->outputs.at[n_state + i]].type));
    return US_OK;
}
