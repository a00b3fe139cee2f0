/* ir/op_blocked.c - what usta.Conv and usta.ConvTranspose share: the plain form, and what their weights and shapes have to be.
 *
 * Y = min(hi, max(lo, plain(X, W, B) + Z)), where X, Y and Z lie in blocks of channels, or do not. The two differ in how W lies and
 * in the window; see op_blocked_conv.c and op_blocked_deconv.c.
 */
#include "ir/op_blocked.h"

#include <string.h>

/* --- as it is meant -------------------------------------------------------------------------------------- */

/* Input 0 as the plain operator reads it. */
static us_err plain_input(us_eval *k, const us_blocked *b, const us_tensor *w, us_tensor *out)
{
    us_tensor x;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (b->plain) {
        *out = x;
        return US_OK;
    }
    int64_t c = b->transposed ? w->dims[0] : w->dims[1] * b->group;
    if (x.rank != 5 || x.dims[1] != us_blocks_of(c, x.dims[4]) ||
        (w->rank == 3 && x.dims[2] != 1))
        return us_eval_fail(k, US_SHAPE, "input of rank %d is not %lld blocked channels",
                            x.rank, (long long)c);
    int64_t d[4] = {x.dims[0], c, x.dims[2], x.dims[3]};
    if (w->rank == 3) d[2] = x.dims[3];
    US_TRY(us_tensor_init(k->c, out, US_F32, w->rank, d, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(out), &out->data));
    if (us_tensor_count(out)) us_unblock_tensor(&x, out);
    return US_OK;
}

/* Dims of the output from those of the plain one; the rank. */
static int dims_out(const us_blocked *b, int rank, const int64_t *plain, int64_t *out)
{
    int64_t d[5] = {plain[0], us_blocks_of(plain[1], b->block), rank == 4 ? plain[2] : 1,
                    plain[rank - 1], b->block};
    int n = b->plain_out ? rank : 5;
    memcpy(out, b->plain_out ? plain : d, (size_t)n * sizeof *out);
    return n;
}

/* Output 0 from the plain one: the residual added, clamped, in blocks unless plain_out. */
static us_err finish(us_eval *k, const us_blocked *b, const us_tensor *plain)
{
    us_tensor z, *y;
    int64_t d[5];
    int rank = dims_out(b, plain->rank, plain->dims, d);
    bool res = us_eval_opt(k, 3) != NULL;
    if (res) US_TRY(us_eval_in_dense(k, 3, &z));
    for (int i = 0; i < rank && res; i++)
        if (z.rank != rank || z.dims[i] != d[i])
            return us_eval_fail(k, US_SHAPE, "a residual that is not of the output's shape");
    US_TRY(us_eval_out(k, 0, US_F32, rank, d, &y));
    int64_t n = us_tensor_count(y);
    if (n == 0) return US_OK;
    if (b->plain_out)
        memcpy(y->data, plain->data, us_tensor_bytes(y));
    else
        us_block_tensor(plain, y);
    float *to = y->data;
    for (int64_t i = 0; i < n; i++) {
        float v = res ? to[i] + ((const float *)z.data)[i] : to[i];
        v = v < b->lo ? b->lo : v;
        to[i] = v > b->hi ? b->hi : v;
    }
    return US_OK;
}

us_err us_blocked_eval(us_eval *k, const us_blocked *b, us_eval_fn *plain, const void *params)
{
    us_tensor x, w, y;
    US_TRY(us_eval_in_dense(k, 1, &w));
    if (w.rank < 3 || w.rank > 4 || b->block < 1 || b->block > 64)
        return us_eval_fail(k, US_SHAPE, "weight of rank %d, blocks of %lld", w.rank,
                            (long long)b->block);
    US_TRY(plain_input(k, b, &w, &x));
    const us_tensor *in[3] = {&x, &w, us_eval_opt(k, 2)};
    US_TRY(us_eval_inner(k, plain, params, 3, in, &y));
    return finish(k, b, &y);
}

/* --- prepared and bound ------------------------------------------------------------------------------------ */

bool us_blocked_weights(us_eval *k, const us_blocked *b, const us_tensor **w,
                        const us_tensor **bias)
{
    const us_tensor *v = *w = us_eval_opt(k, 1), *c = *bias = us_eval_opt(k, 2);
    bool has_bias = k->n->n_in > 2 && k->n->in[2] != US_NIL;
    if (!v || (has_bias && !c) || (size_t)b->block != us_kernels_get(k->c)->conv->block ||
        v->dtype != US_F32 || v->rank < 3 || v->rank > 4 || !us_tensor_contiguous(v) ||
        us_tensor_count(v) <= 0 || b->group < 1 || v->dims[0] % b->group)
        return false;
    int64_t m = b->transposed ? v->dims[1] * b->group : v->dims[0];
    return !c || (us_tensor_contiguous(c) && us_tensor_count(c) == m);
}

bool us_blocked_settle(us_eval *k, const us_blocked *b, const us_window *win, us_conv_dims *s)
{
    const us_tensor *x = us_eval_opt(k, 0), *z = us_eval_opt(k, 3), *y = us_eval_opt_out(k, 0);
    int n = win->n;
    s->n = (size_t)x->dims[0];
    s->h = n == 2 ? (size_t)win->in[0] : 1;
    s->w = (size_t)win->in[n - 1];
    s->oh = n == 2 ? (size_t)win->out[0] : 1;
    s->ow = (size_t)win->out[n - 1];
    s->top = n == 2 ? (ptrdiff_t)win->begin[0] : 0;
    s->left = (ptrdiff_t)win->begin[n - 1];
    int64_t c = (int64_t)s->c, d[4] = {x->dims[0], (int64_t)s->m, win->out[0], win->out[n - 1]},
            want[5];
    int rank = dims_out(b, n + 2, d, want);
    if (y->rank != rank || (z && z->rank != rank)) return false;
    for (int i = 0; i < rank; i++)
        if (y->dims[i] != want[i] || (z && z->dims[i] != want[i])) return false;
    return x->dims[1] == (b->plain ? c : us_blocks_of(c, b->block)) &&
           (b->plain || (x->dims[4] == b->block && (n == 2 || x->dims[2] == 1)));
}

us_conv_args us_blocked_args(const us_eval *k, const float *packed, float lo, float hi,
                             void *scratch)
{
    return (us_conv_args){.x = k->in[0]->t.data,
                          .packed = packed,
                          .res = k->n_in > 3 && k->in[3] ? k->in[3]->t.data : NULL,
                          .y = k->out[0]->t.data,
                          .lo = lo,
                          .hi = hi,
                          .scratch = scratch};
}
