/* pass/block_cut.c - block-layout's rows for Slice and Split: of space and batch as they are, of channels where the cut begins at a block.
 *
 * Where it ends does not matter: lanes past the last channel hold anything. A Split becomes a Slice for each output that is read.
 */
#include "pass/block.h"

#include "ir/params.h"

enum { MOST = 8 };

/* Constant integers of input i, at most MOST; -1: not that. */
static int numbers(const us_blocker *b, const us_node *n, uint32_t i, int64_t *out)
{
    const us_tensor *t = i < n->n_in ? us_const_tensor(b->g, n->in[i]) : NULL;
    if (!t || !t->data || (t->dtype != US_I64 && t->dtype != US_I32) || t->rank != 1 ||
        t->dims[0] > MOST || !us_tensor_contiguous(t))
        return -1;
    for (int64_t k = 0; k < t->dims[0]; k++)
        out[k] = t->dtype == US_I64
                     ? ((const int64_t *)t->data)[k] /* to the last bit: "to the end" */
                     : ((const int32_t *)t->data)[k];
    return (int)t->dims[0];
}

static int64_t clip(int64_t at, int64_t n)
{
    at += at < 0 ? n : 0;
    return at < 0 ? 0 : US_MIN(at, n);
}

static us_err cut(us_blocker *b, us_vid x, int n, const int64_t *const lists[4], us_vid *y)
{
    us_vid in[5] = {x};
    int64_t dims[1] = {n};
    for (int i = 0; i < 4; i++)
        US_TRY(us_block_const(b, US_I64, 1, dims, lists[i], &in[1 + i]));
    return us_block_node(b, "", "Slice", 5, in, y);
}

us_err us_block_slice(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    int64_t from[MOST], to[MOST], axes[MOST], steps[MOST];
    if (!x || x->rank < 3) return US_OK;
    us_blocked in = *x;
    int count = numbers(b, n, 1, from);
    bool has_axes = n->n_in > 3 && n->in[3] != US_NIL,
         has_steps = n->n_in > 4 && n->in[4] != US_NIL;
    if (count < 1 || numbers(b, n, 2, to) != count ||
        (has_axes && numbers(b, n, 3, axes) != count) ||
        (has_steps && numbers(b, n, 4, steps) != count))
        return US_OK;
    for (int i = 0; i < count; i++) {
        int64_t axis = has_axes ? axes[i] : i;
        axis += axis < 0 ? in.rank : 0;
        if (!has_steps) steps[i] = 1;
        if (axis == 1) {
            from[i] = clip(from[i], in.channels);
            to[i] = clip(to[i], in.channels);
            if (steps[i] != 1 || from[i] % b->size || to[i] <= from[i]) return US_OK;
            in.channels = to[i] - from[i];
            from[i] /= b->size;
            to[i] = (to[i] + b->size - 1) / b->size;
        }
        axes[i] = axis > 1 && in.rank == 3 ? axis + 1 : axis;
    }
    us_vid y;
    US_TRY(cut(b, in.v, count, (const int64_t *const[]){from, to, axes, steps}, &y));
    us_block_done(b, y, in.channels, in.rank);
    return US_OK;
}

/* Sizes of the outputs of a Split along channels; false: not known, or a cut inside of a block. */
static bool sizes(const us_blocker *b, const us_node *n, int64_t channels, int64_t *out)
{
    int64_t count = n->n_out, at = 0;
    if (n->n_in > 1 && n->in[1] != US_NIL) {
        if (numbers(b, n, 1, out) != count) return false;
    } else {
        int64_t each = (channels + count - 1) / count;
        for (int64_t i = 0; i < count; i++)
            out[i] = US_MIN(each, channels - i * each);
    }
    for (int64_t i = 0; i < count; i++) {
        if (out[i] < 1 || at % b->size) return false;
        at += out[i];
    }
    return at == channels;
}

us_err us_block_split(us_blocker *b, const us_node *n)
{
    const us_p_split *p = n->params;
    const us_blocked *x = us_block_of(b, n->in[0]);
    int64_t size[MOST], one = 1, at = 0;
    if (!x || x->rank < 3 || n->n_out > MOST || (p->axis != 1 && p->axis != 1 - x->rank))
        return US_OK;
    us_blocked in = *x;
    if (!sizes(b, n, in.channels, size)) return US_OK;
    for (uint32_t i = 0; i < n->n_out; at += size[i++]) {
        us_vid y;
        if (n->out[i] == US_NIL) continue;
        int64_t from = at / b->size, to = (at + size[i] + b->size - 1) / b->size;
        US_TRY(cut(b, in.v, 1, (const int64_t *const[]){&from, &to, &one, &one}, &y));
        b->blocked[n->out[i]] = (us_blocked){y, size[i], in.rank};
        b->plain[n->out[i]] = false;
    }
    return US_OK;
}
