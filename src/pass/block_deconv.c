/* pass/block_deconv.c - block-layout's row for ConvTranspose: constant weights, one or two dimensions of space, no dilation, float32. */
#include "pass/block.h"

#include "ir/params.h"

static bool dense_f32(const us_blocker *b, us_vid v)
{
    const us_tensor *t = us_const_tensor(b->g, v);
    return t && b->g->vals.at[v].storage == US_ST_CONST && t->dtype == US_F32 && t->data &&
           us_tensor_contiguous(t) && us_tensor_count(t) > 0;
}

/* The stride along dimension i of n; 0: out of range. */
static size_t stride(us_ints a, int n, int i)
{
    if (a.n != (size_t)n) return a.n == 0;
    return a.p[i] >= 1 && a.p[i] <= US_CONV_MAX_PHASES ? (size_t)a.p[i] : 0;
}

static bool takes(const us_blocker *b, const us_p_conv_transpose *p, const us_tensor *w,
                  bool *plain_out)
{
    int n = w->rank - 2;
    us_deconv_choice choice;
    us_conv_dims s = {.groups = (size_t)p->group,
                      .m = (size_t)(w->dims[1] * p->group),
                      .c = (size_t)w->dims[0],
                      .kh = n == 2 ? (size_t)w->dims[2] : 1,
                      .kw = (size_t)w->dims[w->rank - 1],
                      .sh = n == 2 ? stride(p->strides, n, 0) : 1,
                      .sw = stride(p->strides, n, n - 1),
                      .dh = 1,
                      .dw = 1};
    for (size_t i = 0; i < p->dilations.n; i++)
        if (p->dilations.p[i] != 1) return false;
    if (s.sh * s.sw == 0) return false;
    us_deconv_choose(b->f, &s, &choice);
    *plain_out = us_deconv_plain_out(&choice);
    return choice.n > 0;
}

us_err us_block_deconv(us_blocker *b, const us_node *n)
{
    const us_p_conv_transpose *p = n->params;
    const us_type *x = us_block_type(b, n->in[0]);
    const us_tensor *w = us_const_tensor(b->g, n->in[1]);
    const us_blocked *have = us_block_of(b, n->in[0]);
    bool has_bias = n->n_in > 2 && n->in[2] != US_NIL, plain_out;
    if (!x || !dense_f32(b, n->in[1]) || w->rank < 3 || w->rank > 4 || x->rank != w->rank ||
        (has_bias && !dense_f32(b, n->in[2])) || p->group < 1 || w->dims[0] % p->group ||
        (has_bias && us_tensor_count(us_const_tensor(b->g, n->in[2])) != w->dims[1] * p->group))
        return US_OK;
    bool known = have || us_dim_known(x->dims[1]);
    int64_t channels = have ? have->channels : known ? x->dims[1].add : -1;
    if (channels != w->dims[0] || !takes(b, p, w, &plain_out)) return US_OK;
    us_blocked xb;
    us_vid in[3] = {US_NIL, n->in[1], has_bias ? n->in[2] : US_NIL}, y;
    US_TRY(us_block_in(b, n->in[0], &xb));
    in[0] = xb.v;
    US_TRY(us_block_node(b, "usta", "ConvTranspose", has_bias ? 3 : 2, in, &y));
    for (uint32_t k = 0; k < n->n_attrs; k++)
        US_TRY(us_block_attr(b, &n->attrs[k]));
    US_TRY(us_block_attr_int(b, "block", b->size));
    if (plain_out) return us_block_done_plain(b, y);
    us_block_done(b, y, w->dims[1] * p->group, w->rank);
    return US_OK;
}
