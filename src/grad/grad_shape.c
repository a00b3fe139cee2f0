/* grad/grad_shape.c - gradients of operators that only move elements.
 *
 * Where a shape is symbolic the inverse movement takes it from the forward value as the graph runs (Shape).
 */
#include "grad/grad_table.h"
#include "grad/util.h"

static us_err same_elements(us_grad *k)
{
    k->dx[0] = us_g_reshape_like(k, k->dy[0], us_gx(k, 0));
    return US_OK;
}

us_err reshape_grad(us_grad *k)
{
    return same_elements(k);
}

us_err flatten_grad(us_grad *k)
{
    return same_elements(k);
}

us_err squeeze_grad(us_grad *k)
{
    return same_elements(k);
}

us_err unsqueeze_grad(us_grad *k)
{
    return same_elements(k);
}

us_err transpose_grad(us_grad *k)
{
    us_ints perm = us_g_ints(k, "perm");
    int rank = us_g_rank(k, us_gx(k, 0));
    int64_t back[US_MAX_RANK];
    if (rank < 0) return us_g_fail(k, "the input's rank is not known");
    for (int i = 0; i < rank; i++)
        back[i] = rank - 1 - i;
    for (size_t i = 0; i < perm.n; i++) {
        if (perm.n != (size_t)rank || perm.p[i] < 0 || perm.p[i] >= rank)
            return us_g_fail(k, "perm is not a permutation");
        back[perm.p[i]] = (int64_t)i;
    }
    k->dx[0] = us_g_transpose(k, k->dy[0], rank, back);
    return US_OK;
}

us_err expand_grad(us_grad *k)
{
    k->dx[0] = us_g_sum_to(k, k->dy[0], us_gy(k, 0), us_gx(k, 0));
    return US_OK;
}

/* [d0 r0, d1 r1, ..] -> [r0, d0, r1, d1, ..], summed over the r. */
us_err tile_grad(us_grad *k)
{
    int64_t times[US_MAX_RANK], dims[2 * US_MAX_RANK], axes[US_MAX_RANK];
    size_t n = 0;
    us_vid x = us_gx(k, 0);
    if (!us_g_const_ints(k, us_gx(k, 1), US_MAX_RANK, times, &n))
        return us_g_fail(k, "its repeats are not a constant");
    if (us_g_rank(k, x) != (int)n || 2 * n > US_MAX_RANK)
        return us_g_fail(k, "the input's rank is not known or too high");
    size_t n_unknown = 0;
    for (size_t i = 0; i < n; i++) {
        dims[2 * i] = times[i];
        dims[2 * i + 1] = us_g_dim(k, x, (int)i);
        if (dims[2 * i + 1] < 0) n_unknown++;
        axes[i] = (int64_t)(2 * i);
    }
    if (n_unknown > 1) return us_g_fail(k, "more than one dimension is symbolic");
    if (n) {
        us_vid d = us_g_reshape(k, k->dy[0], 2 * n, dims);
        k->dx[0] = us_g_reduce_sum(k, d, n, axes, false);
    } else {
        k->dx[0] = k->dy[0];
    }
    return US_OK;
}

/* dy cut at the inputs' sizes along the axis: known ones as constants, else taken from the inputs. */
us_err concat_grad(us_grad *k)
{
    uint32_t n = k->g->nodes.at[k->n].n_in;
    int axis = (int)us_g_int(k, "axis", 0), rank = us_g_rank(k, us_gy(k, 0));
    if (rank < 0) return us_g_fail(k, "the output's rank is not known");
    if (axis < 0) axis += rank;
    us_vid dim = us_b_i64s(k->b, 1, (int64_t[]){axis});
    us_vid from = us_b_i64s(k->b, 1, (int64_t[]){0});
    int64_t at = 0;
    bool known = true;
    for (uint32_t i = 0; i < n; i++) {
        if (us_gx(k, i) == US_NIL) return us_g_fail(k, "an input is left out");
        int64_t size = us_g_dim(k, us_gx(k, i), axis);
        known = known && size >= 0;
        at += size;
        us_vid to = known ? us_b_i64s(k->b, 1, &at)
                          : US_G2("Add", from, us_g_dim_of(k, us_gx(k, i), axis));
        if (us_g_wants(k, i))
            k->dx[i] =
                us_b_node(k->b, "", "Slice", 4, (us_vid[]){k->dy[0], from, to, dim}, 1, NULL);
        from = to;
    }
    return US_OK;
}

us_err split_grad(us_grad *k)
{
    uint32_t n = k->g->nodes.at[k->n].n_out;
    us_vid parts[256];
    if (n > US_LEN(parts)) return us_g_fail(k, "more than 256 parts");
    for (uint32_t i = 0; i < n; i++) {
        if (us_gy(k, i) == US_NIL) return us_g_fail(k, "an output is left out");
        parts[i] = k->dy[i] == US_NIL ? us_g_zeros_like(k, us_gy(k, i)) : k->dy[i];
    }
    k->dx[0] = us_b_node(k->b, "", "Concat", n, parts, 1, NULL);
    us_b_int(k->b, "axis", us_g_int(k, "axis", 0));
    return US_OK;
}

/* One axis of a Slice with everything known: first index taken, step, how many. */
typedef struct cut {
    int64_t dim, first, step, n;
} cut;

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static bool cut_of(int64_t dim, int64_t start, int64_t end, int64_t step, cut *out)
{
    if (dim < 0 || step == 0) return false;
    if (start < 0) start += dim;
    if (end < 0 && end >= -dim)
        end += dim;
    else if (end < 0)
        end = -1;
    int64_t last = step > 0 ? dim : dim - 1, low = step > 0 ? 0 : -1;
    start = clamp(start, 0, last);
    end = clamp(end, low, dim);
    step = US_MAX(step, -INT64_MAX);
    int64_t span = step > 0 ? end - start : start - end, by = step > 0 ? step : -step;
    *out = (cut){
        .dim = dim, .first = start, .step = step, .n = span > 0 ? (span - 1) / by + 1 : 0};
    return true;
}

/* dy is added into zeros, axis by axis, at the rows the slice took (ScatterElements would need an index per element;
 * a matrix of zeros and ones per axis costs less than it looks, and only steps other than 1 need it). Step 1 is a Pad. */
static us_vid uncut_strided(us_grad *k, us_vid d, int rank, int axis, const cut *ct)
{
    int64_t perm[US_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
    us_vid ends[3] = {us_b_i64(k->b, ct->first), us_b_i64(k->b, ct->first + ct->n * ct->step),
                      us_b_i64(k->b, ct->step)};
    us_vid rows = us_b_node(k->b, "", "Range", 3, ends, 1, NULL);
    us_vid all[3] = {us_b_i64(k->b, 0), us_b_i64(k->b, ct->dim), us_b_i64(k->b, 1)};
    us_vid cols = us_b_node(k->b, "", "Range", 3, all, 1, NULL);
    us_vid hit = US_G2("Equal", us_g_reshape(k, rows, 2, (int64_t[]){-1, 1}), cols);
    us_vid pick = us_b1(k->b, "Cast", hit); /* [n, dim] */
    us_b_int(k->b, "to", us_g_dtype(k, us_gx(k, 0)));
    us_vid t = US_G2("MatMul", us_g_transpose(k, d, rank, perm), pick);
    return us_g_transpose(k, t, rank, perm);
}

static us_err slice_args(us_grad *k, size_t *n, int64_t *start, int64_t *end, int64_t *axis,
                         int64_t *step)
{
    size_t n_end = 0, n_axis = 0, n_step = 0;
    if (!us_g_const_ints(k, us_gx(k, 1), US_MAX_RANK, start, n) ||
        !us_g_const_ints(k, us_gx(k, 2), US_MAX_RANK, end, &n_end) || n_end != *n)
        return us_g_fail(k, "its starts and ends are not constants");
    for (size_t i = 0; i < *n; i++) {
        axis[i] = (int64_t)i;
        step[i] = 1;
    }
    if (us_gx(k, 3) != US_NIL &&
        (!us_g_const_ints(k, us_gx(k, 3), US_MAX_RANK, axis, &n_axis) || n_axis != *n))
        return us_g_fail(k, "its axes are not a constant");
    if (us_gx(k, 4) != US_NIL &&
        (!us_g_const_ints(k, us_gx(k, 4), US_MAX_RANK, step, &n_step) || n_step != *n))
        return us_g_fail(k, "its steps are not a constant");
    return US_OK;
}

us_err slice_grad(us_grad *k)
{
    int64_t start[US_MAX_RANK], end[US_MAX_RANK], axis[US_MAX_RANK], step[US_MAX_RANK];
    int64_t pads[2 * US_MAX_RANK] = {0};
    size_t n = 0;
    us_vid x = us_gx(k, 0), d = k->dy[0];
    int rank = us_g_rank(k, x);
    if (rank < 1) return us_g_fail(k, "the input's rank is not known");
    US_TRY(slice_args(k, &n, start, end, axis, step));
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        int at = (int)(axis[i] < 0 ? axis[i] + rank : axis[i]);
        cut ct;
        if (at < 0 || at >= rank || !cut_of(us_g_dim(k, x, at), start[i], end[i], step[i], &ct))
            return us_g_fail(k, "the size of a sliced dimension is not known");
        if (ct.step != 1) {
            d = uncut_strided(k, d, rank, at, &ct);
            continue;
        }
        pads[at] = ct.first;
        pads[at + rank] = ct.dim - ct.first - ct.n;
        any = true;
    }
    k->dx[0] = any ? us_g_pad(k, d, rank, pads) : d;
    return US_OK;
}

static us_err blocks_grad(us_grad *k, const char *inverse)
{
    k->dx[0] = US_G1(inverse, k->dy[0]);
    us_b_int(k->b, "blocksize", us_g_int(k, "blocksize", 1));
    return US_OK;
}

us_err space_to_depth_grad(us_grad *k)
{
    us_sv mode = us_g_str(k, "mode");
    if (mode.n && !us_sv_is(mode, "DCR")) return us_g_fail(k, "only for the mode DCR");
    return blocks_grad(k, "DepthToSpace");
}

us_err depth_to_space_grad(us_grad *k)
{
    us_sv mode = us_g_str(k, "mode");
    if (mode.n && !us_sv_is(mode, "DCR")) return us_g_fail(k, "only for the mode DCR");
    return blocks_grad(k, "SpaceToDepth");
}

us_err trilu_grad(us_grad *k)
{
    us_vid diagonal = us_gx(k, 1);
    us_vid in[2] = {k->dy[0], diagonal};
    k->dx[0] = us_b_node(k->b, "", "Trilu", diagonal == US_NIL ? 1 : 2, in, 1, NULL);
    us_b_int(k->b, "upper", us_g_int(k, "upper", 1));
    return US_OK;
}

/* Constant padding: cut the border off again. Negative pads had cut, so they pad now. */
us_err pad_grad(us_grad *k)
{
    int64_t pads[2 * US_MAX_RANK], axes[US_MAX_RANK], back[2 * US_MAX_RANK] = {0};
    size_t n = 0, n_axes = 0;
    int rank = us_g_rank(k, us_gx(k, 0));
    us_sv mode = us_g_str(k, "mode");
    if (mode.n && !us_sv_is(mode, "constant"))
        return us_g_fail(k, "only constant padding has one");
    if (us_g_wants(k, 2)) return us_g_fail(k, "with respect to the padding value");
    if (rank < 0 || !us_g_const_ints(k, us_gx(k, 1), 2 * US_MAX_RANK, pads, &n))
        return us_g_fail(k, "its pads are not a constant");
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    n_axes = (size_t)rank;
    if (us_gx(k, 3) != US_NIL && !us_g_const_ints(k, us_gx(k, 3), US_MAX_RANK, axes, &n_axes))
        return us_g_fail(k, "its axes are not a constant");
    if (n != 2 * n_axes) return us_g_fail(k, "pads and axes do not agree");
    for (size_t i = 0; i < n_axes; i++) {
        int64_t at = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (at < 0 || at >= rank) return us_g_fail(k, "an axis is out of range");
        back[at] = -pads[i];
        back[at + rank] = -pads[i + n_axes];
    }
    k->dx[0] = us_g_pad(k, k->dy[0], rank, back);
    return US_OK;
}
