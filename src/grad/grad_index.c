/* grad/grad_index.c - gradients of look-ups: what was taken from a place is added back to it.
 *
 * Elements taken several times receive the sum (reduction "add"); indices themselves have no gradient.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

/* zeros like x, with d added at at along axis. */
static us_vid add_at(us_grad *k, us_vid x, us_vid at, us_vid d, int64_t axis)
{
    us_vid r = us_b3(k->b, "ScatterElements", us_g_zeros_like(k, x), at, d);
    us_b_int(k->b, "axis", axis);
    us_b_str(k->b, "reduction", "add");
    return r;
}

us_err gather_elements_grad(us_grad *k)
{
    k->dx[0] = add_at(k, us_gx(k, 0), us_gx(k, 1), k->dy[0], us_g_int(k, "axis", 0));
    return US_OK;
}

us_err topk_grad(us_grad *k) /* values; indices are the second output */
{
    if (k->dy[0] == US_NIL) return US_OK;
    if (us_gy(k, 1) == US_NIL) return us_g_fail(k, "it needs its second output, the indices");
    k->dx[0] = add_at(k, us_gx(k, 0), us_gy(k, 1), k->dy[0], us_g_int(k, "axis", -1));
    return US_OK;
}

static us_err add_nd(us_grad *k, us_vid at)
{
    us_vid zeros = us_g_zeros_like(k, us_gx(k, 0));
    k->dx[0] = us_b3(k->b, "ScatterND", zeros, at, k->dy[0]);
    us_b_str(k->b, "reduction", "add");
    return US_OK;
}

us_err gather_nd_grad(us_grad *k)
{
    if (us_g_int(k, "batch_dims", 0)) return us_g_fail(k, "with batch dimensions");
    return add_nd(k, us_gx(k, 1));
}

/* Along axis 0 this is ScatterND with one more index dimension; otherwise the axis is brought to the front in both. */
us_err gather_grad(us_grad *k)
{
    us_vid x = us_gx(k, 0), at = us_gx(k, 1);
    int rank = us_g_rank(k, x), rank_at = us_g_rank(k, at), axis = (int)us_g_int(k, "axis", 0);
    if (rank < 1 || rank_at < 0) return us_g_fail(k, "an input's rank is not known");
    if (axis < 0) axis += rank;
    us_vid places = US_G2("Unsqueeze", at, us_b_i64s(k->b, 1, (int64_t[]){-1}));
    if (axis == 0) return add_nd(k, places);
    int rank_y = rank - 1 + rank_at;
    if (rank_y > US_MAX_RANK) return us_g_fail(k, "the output's rank is too high");
    int64_t perm[US_MAX_RANK], front[US_MAX_RANK], back[US_MAX_RANK];
    for (int i = 0; i < rank_at; i++)
        perm[i] = axis + i;
    for (int i = 0; i < axis; i++)
        perm[rank_at + i] = i;
    for (int i = rank_at + axis; i < rank_y; i++)
        perm[i] = i;
    front[0] = axis;
    for (int i = 0; i < rank; i++) {
        if (i < axis) front[i + 1] = i;
        if (i > axis) front[i] = i;
    }
    for (int i = 0; i < rank; i++)
        back[front[i]] = i;
    us_vid zeros = us_g_transpose(k, us_g_zeros_like(k, x), rank, front);
    us_vid d = us_g_transpose(k, k->dy[0], rank_y, perm);
    us_vid sum = us_b3(k->b, "ScatterND", zeros, places, d);
    us_b_str(k->b, "reduction", "add");
    k->dx[0] = us_g_transpose(k, sum, rank, back);
    return US_OK;
}

static bool plain(us_grad *k)
{
    us_sv r = us_g_str(k, "reduction");
    return !r.n || us_sv_is(r, "none");
}

/* y = x with updates put at places. x's gradient is dy without those places (kept when updates were added). */
us_err scatter_elements_grad(us_grad *k)
{
    us_vid at = us_gx(k, 1), updates = us_gx(k, 2), dy = k->dy[0];
    int64_t axis = us_g_int(k, "axis", 0);
    bool set = plain(k);
    if (!set && !us_sv_is(us_g_str(k, "reduction"), "add"))
        return us_g_fail(k, "only for reduction none and add");
    if (us_g_wants(k, 0)) {
        us_vid d = dy;
        if (set) {
            d = us_b3(k->b, "ScatterElements", dy, at, us_g_zeros_like(k, updates));
            us_b_int(k->b, "axis", axis);
        }
        k->dx[0] = d;
    }
    if (us_g_wants(k, 2)) {
        k->dx[2] = US_G2("GatherElements", dy, at);
        us_b_int(k->b, "axis", axis);
    }
    return US_OK;
}

us_err scatter_nd_grad(us_grad *k)
{
    us_vid at = us_gx(k, 1), updates = us_gx(k, 2), dy = k->dy[0];
    bool set = plain(k);
    if (!set && !us_sv_is(us_g_str(k, "reduction"), "add"))
        return us_g_fail(k, "only for reduction none and add");
    if (us_g_wants(k, 0))
        k->dx[0] = set ? us_b3(k->b, "ScatterND", dy, at, us_g_zeros_like(k, updates)) : dy;
    if (us_g_wants(k, 2)) k->dx[2] = US_G2("GatherND", dy, at);
    return US_OK;
}
