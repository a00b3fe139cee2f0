/* ir/op_seq.c - sequences: SequenceEmpty, SequenceConstruct, SequenceAt, SequenceInsert, SequenceErase, SequenceLength,
 * SplitToSequence, ConcatFromSequence, SequenceMap.
 *
 * A sequence is never changed once made, so sequences share elements: elements lie in the dynamic arena (or in the
 * caller's input), which outlives every value of the run. A tensor that becomes an element is copied there.
 *
 * An insertion at the end would cost a copy of the whole list each time; a loop that builds a sequence does nothing
 * else. So lists made here have room to spare, said in the otherwise unused tensor of the value (data = the list,
 * dims[0] = its room), and an appended element takes the free place behind the last when nobody has taken it.
 */
#include "ir/op_util.h"

#include <string.h>

/* clang-format off */
#define PLAIN (US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL))
#define INDEX (US_M(I32) | US_M(I64))
static const us_param seq_out[] = {{"output_sequence", 'T', PLAIN, US_P_SEQ}, US_PARAM_END};
static const us_param seq_in[] = {{"input_sequence", 'T', PLAIN, US_P_SEQ}, US_PARAM_END};
static const us_param no_in[] = {US_PARAM_END};

static const us_param empty_out[] = {{"output", 'T', PLAIN, US_P_SEQ}, US_PARAM_END};
static const us_attr_row empty_attrs[] = {
    {.name = "dtype", .kind = US_AT_INT, .offset = offsetof(us_p_sequence_empty, dtype),
     .has_offset = offsetof(us_p_sequence_empty, has_dtype), .def_i = US_F32}, US_ATTR_END};
const us_schema sequence_empty_schemas[] = {
    {11, no_in, empty_out, empty_attrs, sizeof(us_p_sequence_empty), NULL},
    {0}};

static const us_param construct_in[] = {{"inputs", 'T', PLAIN, US_P_VARIADIC}, US_PARAM_END};
const us_schema sequence_construct_schemas[] = {{11, construct_in, seq_out, NULL, 0, NULL}, {0}};

static const us_param at_in[] = {
    {"input_sequence", 'T', PLAIN, US_P_SEQ}, {"position", 'I', INDEX, 0}, US_PARAM_END};
static const us_param at_out[] = {{"tensor", 'T', PLAIN, 0}, US_PARAM_END};
const us_schema sequence_at_schemas[] = {{11, at_in, at_out, NULL, 0, NULL}, {0}};

static const us_param insert_in[] = {
    {"input_sequence", 'T', PLAIN, US_P_SEQ}, {"tensor", 'T', PLAIN, 0},
    {"position", 'I', INDEX, US_P_OPTIONAL}, US_PARAM_END};
const us_schema sequence_insert_schemas[] = {{11, insert_in, seq_out, NULL, 0, NULL}, {0}};

static const us_param erase_in[] = {
    {"input_sequence", 'T', PLAIN, US_P_SEQ}, {"position", 'I', INDEX, US_P_OPTIONAL}, US_PARAM_END};
const us_schema sequence_erase_schemas[] = {{11, erase_in, seq_out, NULL, 0, NULL}, {0}};

static const us_param length_out[] = {{"length", '\0', US_M(I64), 0}, US_PARAM_END};
const us_schema sequence_length_schemas[] = {{11, seq_in, length_out, NULL, 0, NULL}, {0}};

static const us_param split_in[] = {
    {"input", 'T', PLAIN, 0}, {"split", 'I', INDEX, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row split_attrs[] = {
    US_AI(us_p_split_to_sequence, axis, "axis", 0), US_AI(us_p_split_to_sequence, keepdims, "keepdims", 1), US_ATTR_END};
static const us_param split_in_24[] = {
    {"input", 'T', PLAIN | US_M(BF16), 0}, {"split", 'I', INDEX, US_P_OPTIONAL}, US_PARAM_END};
const us_schema split_to_sequence_schemas[] = {
    {11, split_in, seq_out, split_attrs, sizeof(us_p_split_to_sequence), NULL},
    {24, split_in_24, seq_out, split_attrs, sizeof(us_p_split_to_sequence), NULL},
    {0}};

static const us_param concat_out[] = {{"concat_result", 'T', PLAIN, 0}, US_PARAM_END};
static const us_attr_row concat_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_concat_from_sequence, axis), .required = true},
    US_AI(us_p_concat_from_sequence, new_axis, "new_axis", 0), US_ATTR_END};
const us_schema concat_from_sequence_schemas[] = {
    {11, seq_in, concat_out, concat_attrs, sizeof(us_p_concat_from_sequence), NULL},
    {0}};

static const us_param map_in[] = {
    {"input_sequence", 'S', PLAIN, US_P_SEQ},
    {"additional_inputs", 'V', PLAIN, US_P_HETERO | US_P_OPTIONAL | US_P_SEQ | US_P_VARIADIC}, US_PARAM_END};
static const us_param map_out[] = {
    {"out_sequence", 'O', PLAIN, US_P_HETERO | US_P_SEQ | US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row map_attrs[] = {US_AG(us_p_sequence_map, body, "body"), US_ATTR_END};
const us_schema sequence_map_schemas[] = {{17, map_in, map_out, map_attrs, sizeof(us_p_sequence_map), NULL}, {0}};
/* clang-format on */

/* --- lists --------------------------------------------------------------------------------------- */

static size_t room_of(const us_value *s)
{
    return s->t.data && s->t.data == s->items ? (size_t)s->t.dims[0] : 0;
}

/* A list for n elements, all absent. */
static us_err list_new(us_eval *k, size_t n, us_value *out)
{
    us_arena *a = k->env->dynamic(k->env, k);
    size_t room = 4;
    while (room < n)
        room *= 2;
    us_value *items = us_new_n(a, us_value, room);
    if (!items) return us_arena_fail(k->c, a);
    *out = (us_value){.kind = US_KIND_SEQUENCE, .items = items, .n_items = n};
    out->t.data = items;
    out->t.dims[0] = (int64_t)room;
    return US_OK;
}

/* What becomes an element: a tensor's memory may be used again, all else lives as long as the run. */
static us_err element(us_eval *k, const us_value *v, us_value *out)
{
    if (v->kind != US_KIND_TENSOR) {
        *out = *v;
        return US_OK;
    }
    us_tensor t;
    US_TRY(us_tensor_dup(k->c, k->env->dynamic(k->env, k), &v->t, &t));
    *out = us_value_of(&t);
    return US_OK;
}

static us_err tensor_element(us_eval *k, const us_tensor *t, us_value *out)
{
    us_value v = us_value_of(t);
    return element(k, &v, out);
}

static us_err sequence(us_eval *k, size_t i, us_value *out)
{
    const us_value *v = i < k->n_in ? k->in[i] : NULL;
    if (!v || v->kind != US_KIND_SEQUENCE)
        return us_eval_fail(k, US_ARG, "input %zu is not a sequence", i);
    *out = *v;
    return US_OK;
}

/* Input i as a position among n places; absent: the default. */
static us_err position(us_eval *k, size_t i, size_t n, size_t missing, size_t *out)
{
    double p;
    if (!us_eval_opt(k, i)) {
        *out = missing;
        return US_OK;
    }
    US_TRY(us_eval_scalar(k, i, 0, &p));
    if (p < 0) p += (double)n;
    if (!(p >= 0 && p < (double)n))
        return us_eval_fail(k, US_ARG, "position %g of a sequence with %zu places", p, n);
    *out = (size_t)p;
    return US_OK;
}

static void put(us_eval *k, size_t i, const us_value *v)
{
    if (us_eval_wants(k, i)) *k->out[i] = *v;
}

/* --- inference ----------------------------------------------------------------------------------- */

us_err us_infer_sequence(us_infer *k, size_t i, const us_type *elem)
{
    us_type *copy = us_new(k->arena, us_type);
    if (!copy) return us_arena_fail(k->c, k->arena);
    US_TRY(us_type_dup(k->c, k->arena, elem, copy));
    us_type seq = {.kind = US_KIND_SEQUENCE, .rank = -1, .elem = copy};
    return us_infer_out_type(k, i, &seq);
}

us_err us_infer_element(us_infer *k, const us_type *seq, us_type *out)
{
    US_TRY(us_type_dup(k->c, k->arena, seq->elem, out));
    for (int i = 0; i < out->rank; i++)
        if (!us_dim_known(out->dims[i])) US_TRY(us_infer_fresh(k, &out->dims[i]));
    return US_OK;
}

/* The element type of sequence i; NULL: not known. */
static const us_type *element_of(us_infer *k, size_t i)
{
    const us_type *t = us_infer_in(k, i);
    return t && t->kind == US_KIND_SEQUENCE ? t->elem : NULL;
}

us_err sequence_construct_infer(us_infer *k)
{
    us_type t = us_type_tensor(US_DT_NONE, -1, NULL);
    for (size_t i = 0; i < us_infer_n_in(k); i++) {
        const us_type *x = us_infer_in(k, i);
        if (!x || x->kind != US_KIND_TENSOR) continue;
        if (i == 0) t = *x;
        US_TRY(us_infer_join(k, &t, x, &t));
    }
    return us_infer_sequence(k, 0, &t);
}

us_err sequence_at_infer(us_infer *k)
{
    const us_type *elem = element_of(k, 0);
    us_type t;
    if (!elem) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    US_TRY(us_infer_element(k, us_infer_in(k, 0), &t));
    return us_infer_out_type(k, 0, &t);
}

us_err sequence_erase_infer(us_infer *k)
{
    const us_type *elem = element_of(k, 0);
    return elem ? us_infer_sequence(k, 0, elem) : US_OK;
}

us_err sequence_empty_infer(us_infer *k)
{
    const us_p_sequence_empty *p = k->params;
    bool known = p->dtype > 0 && p->dtype < US_DTYPE_N;
    if (!known) return us_infer_fail(k, US_ARG, "dtype is no element type");
    us_type t = us_type_tensor((us_dtype)p->dtype, -1, NULL);
    return us_infer_sequence(k, 0, &t);
}

us_err sequence_insert_infer(us_infer *k)
{
    const us_type *elem = element_of(k, 0), *x = us_infer_in(k, 1);
    us_type t = us_type_tensor(US_DT_NONE, -1, NULL);
    if (elem && x && x->kind == US_KIND_TENSOR)
        US_TRY(us_infer_join(k, elem, x, &t));
    else if (elem || (x && x->kind == US_KIND_TENSOR))
        t.dtype = elem ? elem->dtype : x->dtype;
    if (t.kind != US_KIND_TENSOR) t = us_type_tensor(US_DT_NONE, -1, NULL);
    return us_infer_sequence(k, 0, &t);
}

/* Along the axis: pieces of one size, of 1, or of sizes that differ. Without keepdims and sizes the axis goes. */
us_err split_to_sequence_infer(us_infer *k)
{
    const us_p_split_to_sequence *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_type t =
        us_type_tensor(us_infer_in(k, 0) ? us_infer_in(k, 0)->dtype : US_DT_NONE, -1, NULL);
    us_dim d[US_MAX_RANK];
    const us_dim *sizes;
    size_t n;
    int axis, rank = 0;
    if (!x) return us_infer_sequence(k, 0, &t);
    US_TRY(us_infer_axis(k, p->axis, x->rank, &axis));
    bool drop = !us_infer_has(k, 1) && !p->keepdims;
    for (int i = 0; i < x->rank; i++)
        if (i != axis || !drop) d[rank++] = x->dims[i];
    if (!drop) {
        US_TRY(us_infer_fresh(k, &d[axis]));
        if (!us_infer_has(k, 1)) d[axis] = US_DIM(1);
        bool known = us_infer_in_dims(k, 1, &n, &sizes) && n > 0 && us_dim_known(sizes[0]) &&
                     sizes[0].add > 0;
        const us_type *s = us_infer_ranked(k, 1);
        if (known && s && s->rank == 0) /* the last piece may be shorter */
            known = us_dim_known(x->dims[axis]) && x->dims[axis].add % sizes[0].add == 0;
        for (size_t i = 1; known && i < n; i++)
            known = us_dim_eq(sizes[0], sizes[i]);
        if (known) d[axis] = sizes[0];
    }
    t = us_type_tensor(t.dtype, rank, d);
    return us_infer_sequence(k, 0, &t);
}

us_err concat_from_sequence_infer(us_infer *k)
{
    const us_p_concat_from_sequence *p = k->params;
    const us_type *elem = element_of(k, 0);
    us_type t;
    us_dim d[US_MAX_RANK];
    int axis, rank;
    if (!elem) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    US_TRY(us_infer_element(k, us_infer_in(k, 0), &t));
    rank = t.rank + (p->new_axis != 0);
    if (t.rank < 0 || rank > US_MAX_RANK) return us_infer_out(k, 0, t.dtype, -1, NULL);
    US_TRY(us_infer_axis(k, p->axis, rank, &axis));
    for (int i = 0, from = 0; i < rank; i++)
        if (!p->new_axis || i != axis) d[i] = t.dims[from++];
    US_TRY(us_infer_fresh(k, &d[axis]));
    return us_infer_out(k, 0, t.dtype, rank, d);
}

us_err sequence_length_infer(us_infer *k)
{
    return us_infer_out(k, 0, US_I64, 0, NULL);
}

us_err sequence_map_infer(us_infer *k)
{
    const us_p_sequence_map *p = k->params;
    size_t n_out = k->g->nodes.at[k->n].n_out;
    if (p->body->outputs.n < n_out)
        return us_infer_fail(k, US_SHAPE, "the body has too few outputs");
    for (size_t i = 0; i < n_out; i++) {
        us_type t;
        US_TRY(us_infer_leaves(k, p->body, &p->body->vals.at[p->body->outputs.at[i]].type, &t));
        if (t.kind == US_KIND_TENSOR) US_TRY(us_infer_sequence(k, i, &t));
    }
    return US_OK;
}

/* --- making and changing ------------------------------------------------------------------------- */

us_err sequence_empty_eval(us_eval *k)
{
    us_value y;
    US_TRY(list_new(k, 0, &y));
    put(k, 0, &y);
    return US_OK;
}

us_err sequence_construct_eval(us_eval *k)
{
    us_value y;
    US_TRY(list_new(k, k->n_in, &y));
    for (size_t i = 0; i < k->n_in; i++) {
        const us_tensor *t;
        US_TRY(us_eval_in(k, i, &t));
        if (i && t->dtype != y.items[0].t.dtype)
            return us_eval_fail(k, US_ARG, "elements are %s and %s",
                                us_dtype_get(y.items[0].t.dtype)->name,
                                us_dtype_get(t->dtype)->name);
        US_TRY(tensor_element(k, t, &y.items[i]));
    }
    put(k, 0, &y);
    return US_OK;
}

us_err sequence_at_eval(us_eval *k)
{
    us_value s = {0};
    size_t at = 0;
    US_TRY(sequence(k, 0, &s));
    US_TRY(position(k, 1, s.n_items, s.n_items, &at));
    if (at >= s.n_items) return us_eval_fail(k, US_ARG, "no position is given");
    if (s.items[at].kind == US_KIND_TENSOR) return us_eval_put_view(k, 0, &s.items[at].t);
    put(k, 0, &s.items[at]);
    return US_OK;
}

us_err sequence_insert_eval(us_eval *k)
{
    us_value s = {0};
    const us_tensor *t;
    us_value y;
    size_t at = 0;
    US_TRY(sequence(k, 0, &s));
    US_TRY(us_eval_in(k, 1, &t));
    size_t n = s.n_items;
    /* -1 is before the last element, so places count from the number of elements */
    const us_tensor *pos = us_eval_opt(k, 2);
    double p = (double)n;
    US_TRY(us_eval_scalar(k, 2, p, &p));
    if (pos && p < 0) p += (double)n;
    if (!(p >= 0 && p <= (double)n))
        return us_eval_fail(k, US_ARG, "position %g of a sequence with %zu elements", p, n);
    at = (size_t)p;
    if (n && s.items[0].kind == US_KIND_TENSOR && s.items[0].t.dtype != t->dtype)
        return us_eval_fail(k, US_ARG, "a tensor of %s for a sequence of %s",
                            us_dtype_get(t->dtype)->name,
                            us_dtype_get(s.items[0].t.dtype)->name);
    if (at == n && n < room_of(&s) && s.items[n].kind == US_KIND_NONE) {
        y = s;
        y.n_items++;
    } else {
        US_TRY(list_new(k, n + 1, &y));
        for (size_t i = 0; i < n; i++)
            y.items[i < at ? i : i + 1] = s.items[i];
    }
    US_TRY(tensor_element(k, t, &y.items[at]));
    put(k, 0, &y);
    return US_OK;
}

us_err sequence_erase_eval(us_eval *k)
{
    us_value s = {0};
    us_value y;
    size_t at = 0;
    US_TRY(sequence(k, 0, &s));
    if (s.n_items == 0) return us_eval_fail(k, US_ARG, "the sequence is empty");
    US_TRY(position(k, 1, s.n_items, s.n_items - 1, &at));
    US_TRY(list_new(k, s.n_items - 1, &y));
    for (size_t i = 0; i < y.n_items; i++)
        y.items[i] = s.items[i < at ? i : i + 1];
    put(k, 0, &y);
    return US_OK;
}

us_err sequence_length_eval(us_eval *k)
{
    us_value s = {0};
    us_tensor *y;
    US_TRY(sequence(k, 0, &s));
    US_TRY(us_eval_out(k, 0, US_I64, 0, NULL, &y));
    *(int64_t *)y->data = (int64_t)s.n_items;
    return US_OK;
}

/* --- between tensors and sequences ------------------------------------------------------------------ */

/* Lengths of the parts along an axis of n: all equal but perhaps the last, or as listed. */
static us_err part_lengths(us_eval *k, int64_t n, size_t *n_parts, int64_t *each,
                           const int64_t **listed)
{
    const us_tensor *t = us_eval_opt(k, 1);
    size_t count = 0;
    int64_t sum = 0;
    *listed = NULL;
    *each = 1;
    if (t) {
        US_TRY(us_eval_ints(k, 1, &count, listed));
        if (t->rank == 0) {
            *each = **listed;
            *listed = NULL;
        }
    }
    if (*each < 1) return us_eval_fail(k, US_ARG, "parts of length %lld", (long long)*each);
    *n_parts = (size_t)(n / *each + (n % *each != 0));
    if (!*listed) return US_OK;
    for (size_t i = 0; i < count; i++) {
        if ((*listed)[i] < 0 || (*listed)[i] > n - sum)
            return us_eval_fail(k, US_SHAPE, "the parts do not fit an axis of %lld",
                                (long long)n);
        sum += (*listed)[i];
    }
    if (sum != n)
        return us_eval_fail(k, US_SHAPE, "the parts have %lld of %lld together", (long long)sum,
                            (long long)n);
    *n_parts = count;
    return US_OK;
}

us_err split_to_sequence_eval(us_eval *k)
{
    const us_p_split_to_sequence *p = k->params;
    us_tensor x;
    us_value y;
    int axis;
    size_t n = 0;
    int64_t each = 1, from = 0;
    const int64_t *listed = NULL;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (us_dtype_get(x.dtype)->bits < 8) return us_eval_no_type(k, x.dtype);
    US_TRY(us_eval_axis(k, p->axis, x.rank, &axis));
    US_TRY(part_lengths(k, x.dims[axis], &n, &each, &listed));
    US_TRY(list_new(k, n, &y));
    bool squeeze = !us_eval_opt(k, 1) && !p->keepdims;
    for (size_t i = 0; i < n; i++) {
        us_tensor part = x;
        int64_t len = listed ? listed[i] : US_MIN(each, x.dims[axis] - from);
        part.dims[axis] = len;
        if (x.data) part.data = us_at(&x, from * x.strides[axis]);
        for (int j = axis; squeeze && j + 1 < part.rank; j++) {
            part.dims[j] = part.dims[j + 1];
            part.strides[j] = part.strides[j + 1];
        }
        if (squeeze) part.rank--;
        US_TRY(tensor_element(k, &part, &y.items[i]));
        from += len;
    }
    put(k, 0, &y);
    return US_OK;
}

/* The shape of all elements side by side along an axis, old or new. */
static us_err joint_shape(us_eval *k, const us_value *s, int axis, bool fresh, us_tensor *out)
{
    const us_tensor *a = &s->items[0].t;
    *out = *a;
    if (fresh) {
        for (int j = a->rank; j > axis; j--)
            out->dims[j] = a->dims[j - 1];
        out->rank++;
    }
    out->dims[axis] = 0;
    for (size_t i = 0; i < s->n_items; i++) {
        const us_tensor *t = &s->items[i].t;
        bool fits =
            s->items[i].kind == US_KIND_TENSOR && t->rank == a->rank && t->dtype == a->dtype;
        for (int j = 0; fits && j < a->rank; j++)
            fits = t->dims[j] == a->dims[j] || (j == axis && !fresh);
        if (!fits) return us_eval_fail(k, US_SHAPE, "element %zu does not fit the first", i);
        out->dims[axis] += fresh ? 1 : t->dims[axis];
        if (out->dims[axis] > US_MAX_ELEMENTS)
            return us_eval_fail(k, US_LIMIT, "the result is too large");
    }
    return US_OK;
}

us_err concat_from_sequence_eval(us_eval *k)
{
    const us_p_concat_from_sequence *p = k->params;
    us_value s = {0};
    us_tensor shape, *y;
    int axis;
    int64_t from = 0;
    bool fresh = p->new_axis != 0;
    US_TRY(sequence(k, 0, &s));
    if (s.n_items == 0 || s.items[0].kind != US_KIND_TENSOR)
        return us_eval_fail(k, US_ARG, "the sequence has no tensor to begin with");
    if (us_dtype_get(s.items[0].t.dtype)->bits < 8)
        return us_eval_no_type(k, s.items[0].t.dtype);
    if (s.items[0].t.rank + fresh > US_MAX_RANK)
        return us_eval_fail(k, US_SHAPE, "elements of rank %d", s.items[0].t.rank);
    US_TRY(us_eval_axis(k, p->axis, s.items[0].t.rank + fresh, &axis));
    US_TRY(joint_shape(k, &s, axis, fresh, &shape));
    US_TRY(us_eval_out(k, 0, shape.dtype, shape.rank, shape.dims, &y));
    for (size_t i = 0; i < s.n_items; i++) {
        us_tensor to = s.items[i].t; /* dims of the part, strides of the whole */
        for (int j = 0; j < to.rank; j++)
            to.strides[j] = y->strides[fresh && j >= axis ? j + 1 : j];
        int64_t len = fresh ? 1 : to.dims[axis];
        if (us_tensor_count(&to)) {
            to.data = us_at(y, from * y->strides[axis]);
            US_TRY(us_tensor_copy(k->c, &to, &s.items[i].t));
        }
        from += len;
    }
    return US_OK;
}

/* --- SequenceMap ------------------------------------------------------------------------------------ */

/* The body sees element i of every sequence of the same length; tensors are given as they are. */
static us_err map_step(us_eval *k, size_t i, const us_value **in, us_value *got, us_value *out)
{
    const us_p_sequence_map *p = k->params;
    for (size_t j = 0; j < k->n_in; j++) {
        const us_value *v = k->in[j];
        if (v && v->kind == US_KIND_SEQUENCE && i >= v->n_items)
            return us_eval_fail(k, US_SHAPE, "input %zu has only %zu elements", j, v->n_items);
        in[j] = v && v->kind == US_KIND_SEQUENCE ? &v->items[i] : v;
    }
    US_TRY(us_ctx_poll(k->c));
    US_TRY(k->env->sub_run(k->env, k, p->body, k->n_in, in, k->n_out, got));
    for (size_t j = 0; j < k->n_out; j++) {
        US_TRY(element(k, &got[j], &out[j].items[i]));
        if (k->env->release) k->env->release(k->env, k, &got[j]);
    }
    return US_OK;
}

us_err sequence_map_eval(us_eval *k)
{
    const us_p_sequence_map *p = k->params;
    const us_value **in;
    us_value s = {0};
    us_value *got, *out;
    us_arena *a = k->env->dynamic(k->env, k);
    US_TRY(sequence(k, 0, &s));
    if (!k->env->sub_run) return us_eval_fail(k, US_UNSUPP, "no sub-graphs can run here");
    if (p->body->inputs.n != k->n_in || p->body->outputs.n < k->n_out)
        return us_eval_fail(k, US_SHAPE, "the body's inputs and outputs do not fit the node's");
    in = us_new_n(a, const us_value *, k->n_in);
    got = us_new_n(a, us_value, k->n_out + 1);
    out = us_new_n(a, us_value, k->n_out + 1);
    if (!in || !got || !out) return us_arena_fail(k->c, a);
    for (size_t j = 0; j < k->n_out; j++)
        US_TRY(list_new(k, s.n_items, &out[j]));
    for (size_t i = 0; i < s.n_items; i++)
        US_TRY(map_step(k, i, in, got, out));
    for (size_t j = 0; j < k->n_out; j++)
        put(k, j, &out[j]);
    return US_OK;
}
