/* ir/op_move.c - operators that move elements without looking at them.
 *
 * All are copies between strided views, so they work for every element type that has whole bytes; packed ones, which
 * cannot be strided, are unpacked first where the standard has them (us_eval_unpacked), else refused by the view functions.
 */
#include "ir/op_util.h"

#include <string.h>

static us_upgrade_fn upgrade_slice, upgrade_sections, upgrade_sections_1, upgrade_num,
    upgrade_tile;

/* clang-format off */
static const us_param transpose_in[] = {{"data", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_param transpose_out[] = {{"transposed", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row transpose_attrs[] = {US_AIS(us_p_transpose, perm, "perm"), US_ATTR_END};
const us_schema transpose_schemas[] = {
    {1, transpose_in, transpose_out, transpose_attrs, sizeof(us_p_transpose), NULL},
    {13, transpose_in, transpose_out, transpose_attrs, sizeof(us_p_transpose), NULL},
    {21, transpose_in, transpose_out, transpose_attrs, sizeof(us_p_transpose), NULL},
    {23, transpose_in, transpose_out, transpose_attrs, sizeof(us_p_transpose), NULL},
    {24, transpose_in, transpose_out, transpose_attrs, sizeof(us_p_transpose), NULL},
    {25, transpose_in, transpose_out, transpose_attrs, sizeof(us_p_transpose), NULL},
    {0}};

static const us_param concat_in[] = {
    {"inputs", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), US_P_VARIADIC}, US_PARAM_END};
static const us_param concat_out[] = {
    {"concat_result", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row concat_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_concat, axis), .has_offset = offsetof(us_p_concat, has_axis)},
    US_ATTR_END};
static const us_attr_row concat_attrs_4[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_concat, axis), .required = true}, US_ATTR_END};
const us_schema concat_schemas[] = {
    {1, concat_in, concat_out, concat_attrs, sizeof(us_p_concat), NULL},
    {4, concat_in, concat_out, concat_attrs_4, sizeof(us_p_concat), NULL},
    {11, concat_in, concat_out, concat_attrs_4, sizeof(us_p_concat), NULL},
    {13, concat_in, concat_out, concat_attrs_4, sizeof(us_p_concat), NULL},
    {0}};

static const us_param split_in[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"split", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), US_P_OPTIONAL}, US_PARAM_END};
static const us_param split_out[] = {
    {"outputs...", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row split_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_split, axis), .has_offset = offsetof(us_p_split, has_axis)},
    US_AIS(us_p_split, split, "split"), US_ATTR_END};
static const us_param split_in_2[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param split_out_2[] = {
    {"outputs", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row split_attrs_2[] = {
    US_AI(us_p_split, axis, "axis", 0), US_AIS(us_p_split, split, "split"), US_ATTR_END};
static const us_param split_in_13[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"split", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row split_attrs_13[] = {US_AI(us_p_split, axis, "axis", 0), US_ATTR_END};
static const us_attr_row split_attrs_18[] = {
    US_AI(us_p_split, axis, "axis", 0),
    {.name = "num_outputs", .kind = US_AT_INT, .offset = offsetof(us_p_split, num_outputs), .has_offset = offsetof(us_p_split, has_num_outputs)},
    US_ATTR_END};
const us_schema split_schemas[] = {
    {1, split_in, split_out, split_attrs, sizeof(us_p_split), upgrade_sections_1},
    {2, split_in_2, split_out_2, split_attrs_2, sizeof(us_p_split), NULL},
    {11, split_in_2, split_out_2, split_attrs_2, sizeof(us_p_split), upgrade_sections},
    {13, split_in_13, split_out_2, split_attrs_13, sizeof(us_p_split), upgrade_num},
    {18, split_in_13, split_out_2, split_attrs_18, sizeof(us_p_split), NULL},
    {0}};

static const us_param slice_in[] = {
    {"data", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param slice_out[] = {
    {"output", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row slice_attrs[] = {
    US_AIS(us_p_slice, axes, "axes"),
    {.name = "ends", .kind = US_AT_INTS, .offset = offsetof(us_p_slice, ends), .required = true},
    {.name = "starts", .kind = US_AT_INTS, .offset = offsetof(us_p_slice, starts), .required = true}, US_ATTR_END};
static const us_param slice_in_10[] = {
    {"data", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"starts", 'A', US_M(I32) | US_M(I64), 0}, {"ends", 'A', US_M(I32) | US_M(I64), 0},
    {"axes", 'A', US_M(I32) | US_M(I64), US_P_OPTIONAL}, {"steps", 'A', US_M(I32) | US_M(I64), US_P_OPTIONAL},
    US_PARAM_END};
const us_schema slice_schemas[] = {
    {1, slice_in, slice_out, slice_attrs, sizeof(us_p_slice), upgrade_slice},
    {10, slice_in_10, slice_out, NULL, sizeof(us_p_slice), NULL},
    {11, slice_in_10, slice_out, NULL, sizeof(us_p_slice), NULL},
    {13, slice_in_10, slice_out, NULL, sizeof(us_p_slice), NULL},
    {0}};

static const us_param expand_in[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, {"shape", '\0', US_M(I64), 0},
    US_PARAM_END};
const us_schema expand_schemas[] = {
    {8, expand_in, slice_out, NULL, 0, NULL},
    {13, expand_in, slice_out, NULL, 0, NULL},
    {0}};

static const us_param tile_in[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"tiles", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0},
    {"axis", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, US_PARAM_END};
static const us_param tile_in_6[] = {
    {"input", 'T', US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL), 0}, {"repeats", '1', US_M(I64), 0},
    US_PARAM_END};
const us_schema tile_schemas[] = {
    {1, tile_in, slice_out, NULL, 0, upgrade_tile},
    {6, tile_in_6, slice_out, NULL, 0, NULL},
    {13, tile_in_6, slice_out, NULL, 0, NULL},
    {0}};

static const us_attr_row depth_to_space_attrs[] = {
    {.name = "blocksize", .kind = US_AT_INT, .offset = offsetof(us_p_depth_to_space, blocksize), .required = true},
    US_ATTR_END};
static const us_attr_row depth_to_space_attrs_11[] = {
    {.name = "blocksize", .kind = US_AT_INT, .offset = offsetof(us_p_depth_to_space, blocksize), .required = true},
    US_AS(us_p_depth_to_space, mode, "mode", "DCR"), US_ATTR_END};
const us_schema depth_to_space_schemas[] = {
    {1, split_in_2, slice_out, depth_to_space_attrs, sizeof(us_p_depth_to_space), NULL},
    {11, split_in_2, slice_out, depth_to_space_attrs_11, sizeof(us_p_depth_to_space), NULL},
    {13, split_in_2, slice_out, depth_to_space_attrs_11, sizeof(us_p_depth_to_space), NULL},
    {28, split_in_2, slice_out, depth_to_space_attrs_11, sizeof(us_p_depth_to_space), NULL},
    {0}};

static const us_attr_row space_to_depth_attrs[] = {
    {.name = "blocksize", .kind = US_AT_INT, .offset = offsetof(us_p_space_to_depth, blocksize), .required = true},
    US_ATTR_END};
static const us_attr_row space_to_depth_attrs_28[] = {
    {.name = "blocksize", .kind = US_AT_INT, .offset = offsetof(us_p_space_to_depth, blocksize), .required = true},
    US_AS(us_p_space_to_depth, mode, "mode", "DCR"), US_ATTR_END};
const us_schema space_to_depth_schemas[] = {
    {1, split_in_2, slice_out, space_to_depth_attrs, sizeof(us_p_space_to_depth), NULL},
    {13, split_in_2, slice_out, space_to_depth_attrs, sizeof(us_p_space_to_depth), NULL},
    {28, split_in_2, slice_out, space_to_depth_attrs_28, sizeof(us_p_space_to_depth), NULL},
    {0}};
/* clang-format on */

/* --- Transpose ----------------------------------------------------------------------------------- */

static bool permutation(us_ints p, int rank, int *perm)
{
    bool seen[US_MAX_RANK] = {false};
    if (p.n && p.n != (size_t)rank) return false;
    for (int i = 0; i < rank; i++) {
        int64_t a = p.n ? p.p[i] : rank - 1 - i;
        if (a < 0 || a >= rank || seen[a]) return false;
        seen[a] = true;
        perm[i] = (int)a;
    }
    return true;
}

us_err transpose_infer(us_infer *k)
{
    const us_p_transpose *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    int perm[US_MAX_RANK];
    us_dim d[US_MAX_RANK];
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (!permutation(p->perm, x->rank, perm))
        return us_infer_fail(k, US_SHAPE, "perm is no permutation");
    for (int i = 0; i < x->rank; i++)
        d[i] = x->dims[perm[i]];
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

us_err transpose_eval(us_eval *k)
{
    const us_p_transpose *p = k->params;
    const us_tensor *x;
    int perm[US_MAX_RANK];
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_packed(x->dtype)) return us_eval_unpacked(k, x->dtype, transpose_eval);
    if (!permutation(p->perm, x->rank, perm))
        return us_eval_fail(k, US_SHAPE, "perm is no permutation");
    us_tensor v = *x;
    for (int i = 0; i < x->rank; i++) {
        v.dims[i] = x->dims[perm[i]];
        v.strides[i] = x->strides[perm[i]];
    }
    return us_eval_put_view(k, 0, &v);
}

/* --- Concat, Split ------------------------------------------------------------------------------- */

us_err concat_infer(us_infer *k)
{
    const us_p_concat *p = k->params;
    us_dim d[US_MAX_RANK];
    int rank = -1, axis = 0;
    for (size_t i = 0; i < us_infer_n_in(k); i++) {
        const us_type *x = us_infer_ranked(k, i);
        if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
        if (i == 0) {
            rank = x->rank;
            US_TRY(us_infer_axis(k, p->axis, rank, &axis));
            us_copy_dims(d, x);
            continue;
        }
        if (x->rank != rank) return us_infer_fail(k, US_SHAPE, "inputs differ in rank");
        for (int j = 0; j < rank; j++) {
            if (j == axis)
                US_TRY(us_dim_add(k->c, &k->m->syms, d[j], x->dims[j], &d[j]));
            else if (!us_dim_known(d[j]))
                d[j] = x->dims[j];
            else if (us_dim_known(x->dims[j]) && x->dims[j].add != d[j].add)
                return us_infer_fail(k, US_SHAPE, "inputs differ beside the axis");
        }
    }
    return us_infer_out(k, 0, US_DT_NONE, rank, d);
}

us_err concat_eval(us_eval *k)
{
    const us_p_concat *p = k->params;
    const us_tensor *first, *x;
    int axis;
    int64_t dims[US_MAX_RANK];
    us_tensor *y;
    US_TRY(us_eval_in(k, 0, &first));
    US_TRY(us_eval_axis(k, p->axis, first->rank, &axis));
    memcpy(dims, first->dims, sizeof dims);
    for (size_t i = 1; i < k->n_in; i++) {
        US_TRY(us_eval_in(k, i, &x));
        bool same = x->rank == first->rank && x->dtype == first->dtype;
        for (int j = 0; same && j < x->rank; j++)
            same = j == axis || x->dims[j] == first->dims[j];
        if (!same) return us_eval_fail(k, US_SHAPE, "input %zu does not fit beside input 0", i);
        dims[axis] += x->dims[axis];
    }
    US_TRY(us_eval_out(k, 0, first->dtype, first->rank, dims, &y));
    us_tensor part = *y;
    for (size_t i = 0; i < k->n_in; i++) {
        x = &k->in[i]->t;
        part.dims[axis] = x->dims[axis];
        if (us_tensor_count(x)) US_TRY(us_tensor_copy(k->c, &part, x));
        part.data = us_at(&part, x->dims[axis] * part.strides[axis]);
    }
    return US_OK;
}

/* Version 1 took `split` as an attribute or a second input. */
static us_err upgrade_sections_1(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    if (g->nodes.at[n].n_in > 1) return us_upgrade_fail(c, g, n, "sizes of parts as an input");
    return US_OK;
}
static us_err upgrade_sections(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_upgrade_ints_to_input(c, m, g, n, "split", 1);
}
static us_err upgrade_num(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    us_node *nd = &g->nodes.at[n];
    if (nd->n_in > 1 && nd->in[1] != US_NIL) return US_OK;
    us_attr a = {.name = US_SV("num_outputs"), .kind = US_AT_INT, .i = nd->n_out};
    return us_node_set_attr(c, g, n, &a);
}

us_err split_infer(us_infer *k)
{
    const us_p_split *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    size_t n_out = k->g->nodes.at[k->n].n_out, n = 0;
    int axis;
    enum { MOST = 256 };
    int64_t sizes[MOST];
    bool given = us_infer_has(k, 1), known = us_infer_ints(k, 1, MOST, sizes, &n);
    for (size_t i = 0; i < n_out; i++) {
        if (!x) {
            US_TRY(us_infer_out(k, i, US_DT_NONE, -1, NULL));
            continue;
        }
        us_dim d[US_MAX_RANK];
        US_TRY(us_infer_axis(k, p->axis, x->rank, &axis));
        us_copy_dims(d, x);
        if (given && known && i < n) {
            d[axis] = US_DIM(sizes[i]);
        } else if (!given && us_dim_known(d[axis])) {
            int64_t size = (d[axis].add + (int64_t)n_out - 1) / (int64_t)n_out;
            int64_t rest = d[axis].add - size * (int64_t)i;
            d[axis] = US_DIM(US_MAX(US_MIN(size, rest), 0));
        } else {
            US_TRY(us_infer_fresh(k, &d[axis]));
        }
        US_TRY(us_infer_out(k, i, US_DT_NONE, x->rank, d));
    }
    return US_OK;
}

us_err split_eval(us_eval *k)
{
    const us_p_split *p = k->params;
    const us_tensor *x;
    const int64_t *sizes;
    size_t n;
    int axis;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_axis(k, p->axis, x->rank, &axis));
    US_TRY(us_eval_ints(k, 1, &n, &sizes));
    if (sizes && n != k->n_out)
        return us_eval_fail(k, US_SHAPE, "%zu sizes for %zu outputs", n, k->n_out);
    int64_t size = (x->dims[axis] + (int64_t)k->n_out - 1) / (int64_t)k->n_out, at = 0;
    for (size_t i = 0; i < k->n_out; i++) {
        int64_t part = sizes ? sizes[i] : US_MIN(size, x->dims[axis] - at);
        if (part < 0 || part > x->dims[axis] - at)
            return us_eval_fail(k, US_SHAPE, "parts do not add up to %lld",
                                (long long)x->dims[axis]);
        us_tensor v = *x;
        v.dims[axis] = part;
        v.data = part ? us_at(x, at * x->strides[axis]) : x->data;
        at += part;
        if (us_eval_wants(k, i)) US_TRY(us_eval_put_view(k, i, &v));
    }
    if (at != x->dims[axis])
        return us_eval_fail(k, US_SHAPE, "parts add up to %lld of %lld", (long long)at,
                            (long long)x->dims[axis]);
    return US_OK;
}

/* --- Slice --------------------------------------------------------------------------------------- */

static us_err upgrade_slice(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    US_TRY(us_upgrade_ints_to_input(c, m, g, n, "starts", 1));
    US_TRY(us_upgrade_ints_to_input(c, m, g, n, "ends", 2));
    return us_upgrade_ints_to_input(c, m, g, n, "axes", 3);
}

/* Python's rule: first index and number of steps for a dimension of this size. */
static void slice_range(int64_t size, int64_t start, int64_t end, int64_t step, int64_t *first,
                        int64_t *count)
{
    int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? size : size - 1;
    if (start < 0) start = start < -size ? lo : start + size;
    if (end < 0) end = end < -size ? lo : end + size;
    start = US_MIN(US_MAX(start, lo), hi);
    end = US_MIN(US_MAX(end, lo), hi);
    int64_t span = step > 0 ? end - start : start - end;
    uint64_t pace = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    *count = span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / pace) + 1;
    *first = start;
}

/* The larger of d and 0. */
static us_err not_below(us_infer *k, us_dim d, us_dim *out)
{
    return us_dim_max(k->c, &k->m->syms, d, US_DIM(0), out);
}

/* How many elements of a symbolic dimension are left: what the common forms of slices say. */
static us_err slice_symbol(us_infer *k, us_dim size, us_dim start, us_dim end, us_dim *out)
{
    us_syms *s = &k->m->syms;
    int64_t least;
    bool from0 = us_dim_eq(start, US_DIM(0)),
         to_end = us_dim_eq(end, size) || (us_dim_known(end) && end.add >= INT32_MAX);
    bool start_plus = us_dim_least(s, start, &least) && least >= 0,
         end_plus = us_dim_least(s, end, &least) && least >= 0;
    bool start_minus = us_dim_known(start) && start.add < 0,
         end_minus = us_dim_known(end) && end.add < 0;
    us_dim d;
    if (to_end && start_minus) return us_dim_min(k->c, s, size, US_DIM(-start.add), out);
    if (!start_plus) return us_infer_fresh(k, out);
    if (to_end || end_minus) {
        US_TRY(us_dim_sub(k->c, s, size, start, &d));
        if (end_minus) US_TRY(us_dim_add(k->c, s, d, end, &d));
        return not_below(k, d, out);
    }
    if (!end_plus) return us_infer_fresh(k, out);
    if (from0) return us_dim_min(k->c, s, size, end, out);
    US_TRY(us_dim_sub(k->c, s, end, start, &d));
    US_TRY(not_below(k, d, &d));
    US_TRY(us_dim_sub(k->c, s, size, start, out));
    US_TRY(not_below(k, *out, out));
    return us_dim_min(k->c, s, d, *out, out);
}

us_err slice_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int64_t axes[US_MAX_RANK], steps[US_MAX_RANK];
    const us_dim *start, *end;
    size_t n = 0, n_end = 0, n_axes, n_steps;
    bool known = us_infer_in_elems(k, 1, &n, &start) && us_infer_in_elems(k, 2, &n_end, &end) &&
                 n == n_end && n <= US_MAX_RANK;
    for (size_t i = 0; i < US_MAX_RANK; i++) {
        axes[i] = (int64_t)i;
        steps[i] = 1;
    }
    if (us_infer_has(k, 3))
        known = us_infer_ints(k, 3, US_MAX_RANK, axes, &n_axes) && known && n_axes == n;
    if (us_infer_has(k, 4))
        known = us_infer_ints(k, 4, US_MAX_RANK, steps, &n_steps) && known && n_steps == n;
    if (!known) return us_infer_rank(k, 0, US_DT_NONE, x->rank);
    us_dim d[US_MAX_RANK];
    us_copy_dims(d, x);
    for (size_t i = 0; i < n; i++) {
        int a;
        int64_t first, count;
        US_TRY(us_infer_axis(k, axes[i], x->rank, &a));
        if (steps[i] == 0) return us_infer_fail(k, US_ARG, "step 0");
        if (us_dim_known(x->dims[a]) && us_dim_known(start[i]) && us_dim_known(end[i])) {
            slice_range(x->dims[a].add, start[i].add, end[i].add, steps[i], &first, &count);
            d[a] = US_DIM(count);
        } else if (steps[i] == 1 && !us_dim_is_any(start[i]) && !us_dim_is_any(end[i])) {
            US_TRY(slice_symbol(k, x->dims[a], start[i], end[i], &d[a]));
        } else {
            US_TRY(us_infer_fresh(k, &d[a]));
        }
    }
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

us_err slice_eval(us_eval *k)
{
    const us_tensor *x;
    const int64_t *start, *end, *axes, *steps;
    size_t n, n_end, n_axes, n_steps;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &n, &start));
    US_TRY(us_eval_ints(k, 2, &n_end, &end));
    US_TRY(us_eval_ints(k, 3, &n_axes, &axes));
    US_TRY(us_eval_ints(k, 4, &n_steps, &steps));
    if (n_end != n || (axes && n_axes != n) || (steps && n_steps != n) ||
        (!axes && n > (size_t)x->rank))
        return us_eval_fail(k, US_SHAPE, "starts, ends, axes and steps differ in length");
    us_tensor v = *x;
    int64_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        int a;
        int64_t first, count, step = steps ? steps[i] : 1;
        US_TRY(us_eval_axis(k, axes ? axes[i] : (int64_t)i, x->rank, &a));
        if (step == 0) return us_eval_fail(k, US_ARG, "step 0 along axis %d", a);
        slice_range(x->dims[a], start[i], end[i], step, &first, &count);
        v.dims[a] = count;
        v.strides[a] = count > 1 ? x->strides[a] * step : 0;
        if (count > 0) offset += first * x->strides[a];
    }
    if (us_tensor_count(&v) > 0) v.data = us_at(x, offset);
    return us_eval_put_view(k, 0, &v);
}

/* --- Expand, Tile -------------------------------------------------------------------------------- */

us_err expand_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim want[US_MAX_RANK], d[US_MAX_RANK], one = US_DIM(1);
    size_t n;
    bool known;
    US_TRY(us_infer_shape(k, 1, &known, &n, want));
    if (!x || !known) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int rank = US_MAX(x->rank, (int)n);
    for (int i = 0; i < rank; i++) {
        us_dim a = i < rank - x->rank ? one : x->dims[i - (rank - x->rank)];
        us_dim b = i < rank - (int)n ? one : want[i - (rank - (int)n)];
        US_TRY(us_infer_broadcast_dim(k, a, b, &d[i]));
    }
    return us_infer_out(k, 0, US_DT_NONE, rank, d);
}

us_err expand_eval(us_eval *k)
{
    const us_tensor *x;
    const int64_t *want;
    size_t n;
    int rank;
    int64_t dims[US_MAX_RANK];
    us_tensor v;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &n, &want));
    if (n > US_MAX_RANK) return us_eval_fail(k, US_SHAPE, "%zu dimensions", n);
    US_TRY(us_dims_broadcast(k->c, x->rank, x->dims, (int)n, want, &rank, dims));
    US_TRY(us_tensor_broadcast_view(k->c, x, rank, dims, &v));
    return us_eval_put_view(k, 0, &v);
}

static us_err upgrade_tile(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    return us_upgrade_fail(c, g, n, "repeats along one axis only");
}

us_err tile_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    const us_dim *rep;
    size_t n;
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (!us_infer_in_elems(k, 1, &n, &rep) || n != (size_t)x->rank)
        return us_infer_rank(k, 0, US_DT_NONE, x->rank);
    us_dim d[US_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        if (us_dim_is_any(rep[i]))
            US_TRY(us_infer_fresh(k, &d[i]));
        else
            US_TRY(us_dim_mul(k->c, &k->m->syms, x->dims[i], rep[i], &d[i]));
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

/* A tile is the input seen with a repeated dimension in front of each: [r0, d0, r1, d1, ...] with stride 0. */
us_err tile_eval(us_eval *k)
{
    const us_tensor *x;
    const int64_t *rep;
    size_t n;
    int64_t dims[US_MAX_RANK];
    us_tensor *y;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &n, &rep));
    if (n != (size_t)x->rank)
        return us_eval_fail(k, US_SHAPE, "%zu repeats for rank %d", n, x->rank);
    for (int i = 0; i < x->rank; i++) {
        if (rep[i] < 0 || (x->dims[i] && rep[i] > US_MAX_ELEMENTS / x->dims[i]))
            return us_eval_fail(k, US_SHAPE, "repeats %lld", (long long)rep[i]);
        dims[i] = x->dims[i] * rep[i];
    }
    US_TRY(us_eval_out(k, 0, x->dtype, x->rank, dims, &y));
    if (us_tensor_count(y) == 0) return US_OK;
    us_tensor part = *y; /* first copy of the input, then each axis doubles what is there */
    memcpy(part.dims, x->dims, sizeof part.dims);
    US_TRY(us_tensor_copy(k->c, &part, x));
    for (int a = 0; a < x->rank; a++)
        for (int64_t r = 1; r < rep[a]; r++) {
            us_tensor to = part;
            to.data = us_at(y, r * x->dims[a] * y->strides[a]);
            for (int b = 0; b < a; b++)
                to.dims[b] = dims[b];
            us_tensor from = to;
            from.data = y->data;
            US_TRY(us_tensor_copy(k->c, &to, &from));
        }
    return US_OK;
}

/* --- DepthToSpace, SpaceToDepth ------------------------------------------------------------------ */

enum { BLOCK_MAX = 4096 };

us_err depth_to_space_infer(us_infer *k)
{
    const us_p_depth_to_space *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    if (p->blocksize < 1 || p->blocksize > BLOCK_MAX)
        return us_infer_fail(k, US_ARG, "blocksize is out of range");
    if (!x || x->rank != 4) return us_infer_rank(k, 0, US_DT_NONE, 4);
    us_dim d[4] = {x->dims[0]}, b = US_DIM(p->blocksize);
    US_TRY(us_dim_div(k->c, &k->m->syms, x->dims[1], p->blocksize * p->blocksize, &d[1]));
    US_TRY(us_dim_mul(k->c, &k->m->syms, x->dims[2], b, &d[2]));
    US_TRY(us_dim_mul(k->c, &k->m->syms, x->dims[3], b, &d[3]));
    return us_infer_out(k, 0, US_DT_NONE, 4, d);
}

us_err space_to_depth_infer(us_infer *k)
{
    const us_p_space_to_depth *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    if (p->blocksize < 1 || p->blocksize > BLOCK_MAX)
        return us_infer_fail(k, US_ARG, "blocksize is out of range");
    if (!x || x->rank != 4) return us_infer_rank(k, 0, US_DT_NONE, 4);
    us_dim d[4] = {x->dims[0]};
    US_TRY(
        us_dim_mul(k->c, &k->m->syms, x->dims[1], US_DIM(p->blocksize * p->blocksize), &d[1]));
    US_TRY(us_dim_div(k->c, &k->m->syms, x->dims[2], p->blocksize, &d[2]));
    US_TRY(us_dim_div(k->c, &k->m->syms, x->dims[3], p->blocksize, &d[3]));
    return us_infer_out(k, 0, US_DT_NONE, 4, d);
}

/* Output dims y (rank 4), copied through a rank-6 view of both: split[] and order[] say how. */
static us_err regroup(us_eval *k, const us_tensor *x, const int64_t y_dims[4],
                      const int64_t split[6], const int order[6])
{
    us_tensor v, p, *y, to;
    US_TRY(us_tensor_init(k->c, &v, x->dtype, 6, split, x->data));
    p = v;
    for (int i = 0; i < 6; i++) {
        p.dims[i] = v.dims[order[i]];
        p.strides[i] = v.strides[order[i]];
    }
    US_TRY(us_eval_out(k, 0, x->dtype, 4, y_dims, &y));
    US_TRY(us_tensor_init(k->c, &to, x->dtype, 6, p.dims, y->data));
    return us_tensor_copy(k->c, &to, &p);
}

us_err depth_to_space_eval(us_eval *k)
{
    const us_p_depth_to_space *p = k->params;
    us_tensor x;
    int64_t b = p->blocksize;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.rank != 4 || b < 1 || b > BLOCK_MAX || x.dims[1] % (b * b))
        return us_eval_fail(k, US_SHAPE,
                            "needs a rank-4 input with channels divisible by blocksize^2");
    int64_t *d = x.dims, y[4] = {d[0], d[1] / (b * b), d[2] * b, d[3] * b};
    if (us_sv_is(p->mode, "CRD"))
        return regroup(k, &x, y, (int64_t[]){d[0], y[1], b, b, d[2], d[3]},
                       (int[]){0, 1, 4, 2, 5, 3});
    return regroup(k, &x, y, (int64_t[]){d[0], b, b, y[1], d[2], d[3]},
                   (int[]){0, 3, 4, 1, 5, 2});
}

us_err space_to_depth_eval(us_eval *k)
{
    const us_p_space_to_depth *p = k->params;
    us_tensor x;
    int64_t b = p->blocksize;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.rank != 4 || b < 1 || b > BLOCK_MAX || x.dims[2] % b || x.dims[3] % b)
        return us_eval_fail(
            k, US_SHAPE, "needs a rank-4 input with height and width divisible by blocksize");
    int64_t *d = x.dims, y[4] = {d[0], d[1] * b * b, d[2] / b, d[3] / b};
    int64_t split[6] = {d[0], d[1], y[2], b, y[3], b};
    if (us_sv_is(p->mode, "CRD")) return regroup(k, &x, y, split, (int[]){0, 1, 3, 5, 2, 4});
    return regroup(k, &x, y, split, (int[]){0, 3, 5, 1, 2, 4});
}
