/* ir/op_reorder.c - usta.ReorderIn and usta.ReorderOut: channels into blocks and back.
 *
 * The borders of blocked parts of a plan. One dimension of space is a height of 1; ReorderOut also makes matrices [N, C] of
 * single pixels, as behind a pooling over the whole image.
 */
#include "ir/op_blocked.h"

#include "base/ctx.h"
#include "base/pool.h"

/* clang-format off */
static const us_param reorder_x[] = {{"X", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_param reorder_y[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row reorder_in_attrs[] = {US_AI(us_p_reorder, block, "block", 16), US_ATTR_END};
const us_schema reorder_in_schemas[] = {
    {1, reorder_x, reorder_y, reorder_in_attrs, sizeof(us_p_reorder), NULL},
    {0}};
static const us_attr_row reorder_out_attrs[] = {
    US_AI(us_p_reorder, block, "block", 16), US_AI(us_p_reorder, channels, "channels", 0),
    US_AI(us_p_reorder, rank, "rank", 4), US_ATTR_END};
const us_schema reorder_out_schemas[] = {
    {1, reorder_x, reorder_y, reorder_out_attrs, sizeof(us_p_reorder), NULL},
    {0}};
/* clang-format on */

us_err reorder_in_infer(us_infer *k)
{
    const us_p_reorder *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    if (!x || x->rank < 3 || x->rank > 4) return us_infer_rank(k, 0, US_F32, 5);
    us_dim d[5] = {x->dims[0], x->dims[1], US_DIM(1), x->dims[x->rank - 1], US_DIM(p->block)};
    if (x->rank == 4) d[2] = x->dims[2];
    if (us_dim_known(d[1]))
        d[1] = US_DIM(us_blocks_of(d[1].add, p->block));
    else
        US_TRY(us_infer_fresh(k, &d[1]));
    return us_infer_out(k, 0, US_F32, 5, d);
}

us_err reorder_out_infer(us_infer *k)
{
    const us_p_reorder *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    if (p->rank < 2 || p->rank > 4)
        return us_infer_fail(k, US_SHAPE, "a rank that is not 2, 3 or 4");
    if (!x) return us_infer_rank(k, 0, US_F32, (int)p->rank);
    if (x->rank != 5) return us_infer_fail(k, US_SHAPE, "input is not blocked");
    us_dim d[4] = {x->dims[0], US_DIM(p->channels), x->dims[2], x->dims[3]};
    if (p->rank == 3) d[2] = x->dims[3];
    return us_infer_out(k, 0, US_F32, (int)p->rank, d);
}

/* --- the work ---------------------------------------------------------------------------------------- */

typedef struct job {
    const float *from;
    float *to;
    size_t block, blocks, c, pixels;
    bool out;
    us_conv_reorder_fn *fn; /* NULL: the plain way */
} job;

/* One block of channels of one image. */
static void one_block(void *arg, size_t i0, size_t i1)
{
    const job *j = arg;
    for (size_t i = i0; i < i1; i++) {
        size_t n = i / j->blocks, c0 = i % j->blocks * j->block;
        size_t plain = (n * j->c + c0) * j->pixels, blocked = i * j->block * j->pixels;
        size_t lanes = US_MIN(j->block, j->c - c0);
        const float *from = j->from + (j->out ? blocked : plain);
        float *to = j->to + (j->out ? plain : blocked);
        if (j->fn)
            j->fn(lanes, j->pixels, from, to);
        else if (j->out)
            us_conv_unblock(j->block, lanes, j->pixels, from, to);
        else
            us_conv_block(j->block, lanes, j->pixels, from, to);
    }
}

/* Threads for what is larger than a second-level cache. */
#define PARALLEL_FLOATS 100000

static void reorder(job *j, size_t n, us_pool *pool)
{
    size_t items = n * j->blocks;
    us_pool_run(items * j->block * j->pixels < PARALLEL_FLOATS ? NULL : pool, items, 1,
                one_block, j);
}

static job job_of(const us_tensor *plain, const us_tensor *blocked, bool out)
{
    return (job){.from = out ? blocked->data : plain->data,
                 .to = out ? plain->data : blocked->data,
                 .block = (size_t)blocked->dims[4],
                 .blocks = (size_t)blocked->dims[1],
                 .c = (size_t)plain->dims[1],
                 .pixels = (size_t)(blocked->dims[2] * blocked->dims[3]),
                 .out = out};
}

void us_block_tensor(const us_tensor *x, us_tensor *y)
{
    job j = job_of(x, y, false);
    reorder(&j, (size_t)y->dims[0], NULL);
}

void us_unblock_tensor(const us_tensor *y, us_tensor *x)
{
    job j = job_of(x, y, true);
    reorder(&j, (size_t)y->dims[0], NULL);
}

us_err reorder_in_eval(us_eval *k)
{
    const us_p_reorder *p = k->params;
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.rank < 3 || x.rank > 4 || p->block < 1 || p->block > 64)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, blocks of %lld", x.rank,
                            (long long)p->block);
    int64_t d[5] = {x.dims[0], us_blocks_of(x.dims[1], p->block), x.rank == 4 ? x.dims[2] : 1,
                    x.dims[x.rank - 1], p->block};
    US_TRY(us_eval_out(k, 0, US_F32, 5, d, &y));
    if (us_tensor_count(y)) us_block_tensor(&x, y);
    return US_OK;
}

us_err reorder_out_eval(us_eval *k)
{
    const us_p_reorder *p = k->params;
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.rank != 5 || x.dims[1] != us_blocks_of(p->channels, x.dims[4]) || p->rank < 2 ||
        p->rank > 4 || (p->rank < 4 && x.dims[2] != 1) || (p->rank < 3 && x.dims[3] != 1))
        return us_eval_fail(k, US_SHAPE, "input of rank %d is not %lld blocked channels",
                            x.rank, (long long)p->channels);
    int64_t d[4] = {x.dims[0], p->channels, x.dims[2], x.dims[3]};
    if (p->rank == 3) d[2] = x.dims[3];
    US_TRY(us_eval_out(k, 0, US_F32, (int)p->rank, d, &y));
    if (us_tensor_count(y)) us_unblock_tensor(&x, y);
    return US_OK;
}

/* --- bound ---------------------------------------------------------------------------------------------- */

typedef struct bound {
    job j;
    size_t n;
} bound;

static us_err run_bound(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const bound *b = state;
    job j = b->j;
    j.from = k->in[0]->t.data;
    j.to = k->out[0]->t.data;
    reorder(&j, b->n, k->c->pool);
    return US_OK;
}

static us_err bind_reorder(us_eval *k, bool out, us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    if (!x || !y || x->dtype != US_F32) return US_OK;
    const us_tensor *blocked = out ? x : y, *plain = out ? y : x;
    if (blocked->rank != 5 || plain->rank < 2 || plain->rank > 4 ||
        us_blocks_of(plain->dims[1], blocked->dims[4]) != blocked->dims[1] ||
        us_tensor_count(plain) !=
            blocked->dims[0] * plain->dims[1] * blocked->dims[2] * blocked->dims[3])
        return US_OK;
    void *p;
    US_TRY(us_eval_keep(k, sizeof(bound), &p));
    bound *b = p;
    *b = (bound){job_of(plain, blocked, out), (size_t)blocked->dims[0]};
    const us_conv_kernels *f = us_kernels_get(k->c)->conv;
    if (f->block == b->j.block) b->j.fn = out ? f->block_out : f->block_in;
    *call = (us_call){.run = run_bound, .state = b, .kernel = out ? "unblock" : "block"};
    return US_OK;
}

us_err reorder_in_bind(us_eval *k, us_call *call)
{
    return bind_reorder(k, false, call);
}

us_err reorder_out_bind(us_eval *k, us_call *call)
{
    return bind_reorder(k, true, call);
}
