/* pass/block_conv.c - block-layout's row for Conv: constant weights, one or two dimensions of space, float32. */
#include "pass/block.h"

#include <math.h>

#include "ir/params.h"

/* A constant of this graph, which a plan may pack. */
static bool dense_f32(const us_blocker *b, us_vid v)
{
    const us_tensor *t = us_const_shape(b->g, v);
    return t && b->g->vals.at[v].storage == US_ST_CONST && t->dtype == US_F32 && t->data &&
           us_tensor_contiguous(t) && us_tensor_count(t) > 0;
}

static size_t entry(us_ints a, int n, int i)
{
    return a.n == (size_t)n ? (size_t)a.p[i] : 1;
}

/* What is known of the shape; false: this is not for the kernels. */
static bool dims_of(const us_blocker *b, const us_node *n, const us_tensor *w, us_conv_dims *s)
{
    const us_p_conv *p = n->params;
    int k = w->rank - 2;
    if (p->group < 1 || w->dims[0] % p->group) return false;
    *s = (us_conv_dims){.groups = (size_t)p->group,
                        .m = (size_t)w->dims[0],
                        .c = (size_t)(w->dims[1] * p->group),
                        .kh = k == 2 ? (size_t)w->dims[2] : 1,
                        .kw = (size_t)w->dims[w->rank - 1],
                        .sh = k == 2 ? entry(p->strides, 2, 0) : 1,
                        .sw = entry(p->strides, k, k - 1),
                        .dh = k == 2 ? entry(p->dilations, 2, 0) : 1,
                        .dw = entry(p->dilations, k, k - 1)};
    const us_type *y = us_block_type(b, n->out[0]);
    if (y && y->rank == w->rank && us_dim_known(y->dims[w->rank - 1]) &&
        (k == 1 || us_dim_known(y->dims[2]))) {
        s->oh = k == 2 ? (size_t)y->dims[2].add : 1;
        s->ow = (size_t)y->dims[w->rank - 1].add;
    }
    return true;
}

static bool takes(const us_blocker *b, us_conv_dims s, bool plain, bool *plain_out)
{
    us_conv_choice choice;
    s.plain = plain;
    us_conv_choose(b->f, &s, &choice);
    *plain_out = us_conv_plain_out(&choice);
    return choice.algo != NULL;
}

/* A matrix product already, and nobody around it goes on in blocks. */
static bool alone(const us_blocker *b, const us_node *n, const us_conv_dims *s)
{
    return !us_block_of(b, n->in[0]) && !b->wanted[n->out[0]] && s->groups == 1 &&
           s->kh * s->kw * s->sh * s->sw == 1;
}

static us_err set_attrs(us_blocker *b, const us_node *n, const us_conv_dims *s, bool plain)
{
    for (uint32_t k = 0; k < n->n_attrs; k++)
        US_TRY(us_block_attr(b, &n->attrs[k]));
    US_TRY(us_block_attr_int(b, "block", b->size));
    US_TRY(us_block_attr_int(b, "plain", plain));
    int64_t hint[2] = {(int64_t)s->oh, (int64_t)s->ow};
    return s->ow ? us_block_attr_ints(b, "hint", 2, hint) : US_OK;
}

us_err us_block_conv(us_blocker *b, const us_node *n)
{
    const us_type *x = us_block_type(b, n->in[0]);
    const us_tensor *w = us_const_shape(b->g, n->in[1]);
    bool has_bias = n->n_in > 2 && n->in[2] != US_NIL;
    us_conv_dims s;
    if (!x || !dense_f32(b, n->in[1]) || w->rank < 3 || w->rank > 4 || x->rank != w->rank ||
        (has_bias && !dense_f32(b, n->in[2])) || !dims_of(b, n, w, &s))
        return US_OK;
    if (alone(b, n, &s)) return US_OK;
    const us_blocked *have = us_block_of(b, n->in[0]);
    if (have && have->channels != (int64_t)s.c) return US_OK;
    bool few = s.c < (size_t)b->size, plain_out,
         plain = !have && few && takes(b, s, true, &plain_out);
    if (!plain && !takes(b, s, false, &plain_out)) {
        if (!takes(b, s, true, &plain_out)) return US_OK;
        plain = true;
    }
    us_vid in[3] = {n->in[0], n->in[1], has_bias ? n->in[2] : US_NIL}, y;
    if (plain) {
        US_TRY(us_block_out(b, n->in[0]));
    } else {
        us_blocked xb;
        if (!have && (!us_dim_known(x->dims[1]) || x->dims[1].add != (int64_t)s.c))
            return US_OK; /* the reorder must know what inference does not */
        US_TRY(us_block_in(b, n->in[0], &xb));
        in[0] = xb.v;
    }
    US_TRY(us_block_node(b, "usta", "Conv", has_bias ? 3 : 2, in, &y));
    US_TRY(set_attrs(b, n, &s, plain));
    if (plain_out) return us_block_done_plain(b, y);
    us_block_done(b, y, (int64_t)s.m, w->rank);
    return US_OK;
}
