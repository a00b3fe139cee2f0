/* pass/fuse_conv.c - what follows a blocked convolution into its registers (fuse_tail.h).
 *
 *   fuse-conv-add   Add(usta.Conv(x), z) of one shape   usta.Conv(x, z)
 *   fuse-conv-act   Relu or Clip by constants behind it   its lo and hi
 *   fuse-conv-map   any elementwise operator or usta.Map: its program, run over each row of a block; what else that reads (of the
 *                   same shape, or a constant per channel) becomes its further inputs
 *
 * usta.ConvTranspose takes the first two. A residual goes into blocks only, not into a result that lies as it did.
 */
#include "ir/params_blocked.h"
#include "kernel/conv.h"
#include "kernel/kernels.h"
#include "pass/fuse_tail.h"

static bool is_conv(const us_node *n)
{
    return us_is_op(n, "usta", "Conv") || us_is_op(n, "usta", "ConvTranspose");
}

static bool in_blocks(const us_type *y)
{
    return y->rank == 5;
}

/* x goes along with rows of a block of y, whatever the sizes are: y's shape, or a constant per channel. */
static bool goes_along(const us_fuser *f, us_vid y, us_vid x)
{
    const us_graph *g = f->g;
    const us_kernels *kernels = us_kernels_get(f->c);
    const us_type *t = &g->vals.at[x].type, *o = &g->vals.at[y].type;
    const us_tensor *k = us_const_tensor(g, x);
    if (us_tail_same_type(g, x, y)) return true;
    if (!k || k->dtype != US_F32 || k->rank > o->rank || k->rank + 1 < o->rank) return false;
    if (o->rank != 5 || kernels->map->width != kernels->conv->block)
        return false;                 /* a block is a vector */
    int axis = k->rank - o->rank + 1; /* of the channels */
    for (int i = 0; i < k->rank; i++) {
        us_dim n = o->dims[i - k->rank + o->rank];
        bool lanes = i == k->rank - 1;
        if ((i == axis || lanes) ? !us_dim_eq(n, US_DIM(k->dims[i])) : k->dims[i] != 1)
            return false;
    }
    return t->kind == US_KIND_TENSOR;
}

/* What a row needs on the stack of a thread is bounded (ir/op_blocked_conv.c). */
static bool runs(const us_node *product, const us_ew_writer *w)
{
    us_ew_prog p;
    return us_is_op(product, "usta", "Conv") && us_ew_end(w, &p) &&
           us_ew_ready_scratch(&p) <= US_CONV_TAIL_SCRATCH;
}

static const us_tail conv_tail = {is_conv, in_blocks, runs, goes_along};

us_err us_pass_fuse_conv_add(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "fuse-conv-add", us_tail_add, &conv_tail, changed);
}

us_err us_pass_fuse_conv_act(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "fuse-conv-act", us_tail_act, &conv_tail, changed);
}

us_err us_pass_fuse_conv_map(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    return us_fuse(c, g, "fuse-conv-map", us_tail_map, &conv_tail, changed);
}
