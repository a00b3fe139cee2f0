/* pass/block_layout.c - convolutions and what stands between them work on channels in blocks (ir/op_blocked.h).
 *
 * One sweep in order. A Conv with constant weights becomes usta.Conv, whose result lies in blocks; an operator whose inputs do so
 * and which has a row in block_ops.c is carried over; every other reader, and the graph's outputs, get the value back by a
 * ReorderOut, made where the first of them stands. So reorders stand only at the borders of blocked parts.
 *
 * Every replaced operator is exact for all shapes: channels are known from weights, other dimensions may be symbols.
 * Greedy, with two looks ahead: a 1x1 Conv alone among plain operators is a matrix product already and stays, and a
 * plain value is reordered for an elementwise operator only if somebody goes on in blocks behind it.
 */
#include "pass/block.h"

#include "kernel/kernels.h"

/* --- values --------------------------------------------------------------------------------------------- */

const us_blocked *us_block_of(const us_blocker *b, us_vid v)
{
    return v < b->n && b->blocked[v].v != US_NIL ? &b->blocked[v] : NULL;
}

const us_type *us_block_type(const us_blocker *b, us_vid v)
{
    if (v == US_NIL) return NULL;
    const us_type *t = &b->g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR && t->dtype == US_F32 && t->rank >= 0 ? t : NULL;
}

us_err us_block_node(us_blocker *b, const char *domain, const char *op, size_t n_in,
                     const us_vid *in, us_vid *out)
{
    US_TRY(us_graph_add_val(b->c, b->g, (us_sv){0}, US_ST_TEMP, NULL, out));
    us_sv dom = us_sv_of(domain), name = us_sv_of(op);
    const us_op *o = us_op_find(dom, name);
    us_sv title = b->at == US_NIL ? (us_sv){0} : b->g->nodes.at[b->at].name;
    int version = 1;
    for (const us_schema *s = o->schemas; s->since; s++)
        version = s->since;
    return us_graph_add_node(b->c, b->g, dom, name, version, title, n_in, in, 1, out, b->at,
                             &b->replaced);
}

us_err us_block_attr(us_blocker *b, const us_attr *a)
{
    return us_node_set_attr(b->c, b->g, b->replaced, a);
}

us_err us_block_attr_int(us_blocker *b, const char *name, int64_t v)
{
    return us_block_attr(b, &(us_attr){.name = us_sv_of(name), .kind = US_AT_INT, .i = v});
}

us_err us_block_attr_ints(us_blocker *b, const char *name, size_t n, const int64_t *v)
{
    int64_t *own = us_new_n(b->m->arena, int64_t, n);
    if (!own) return us_arena_fail(b->c, b->m->arena);
    for (size_t i = 0; i < n; i++)
        own[i] = v[i];
    return us_block_attr(
        b, &(us_attr){.name = us_sv_of(name), .kind = US_AT_INTS, .ints = own, .n = n});
}

us_err us_block_const(us_blocker *b, us_dtype t, int rank, const int64_t *dims,
                      const void *data, us_vid *out)
{
    us_tensor x;
    US_TRY(us_tensor_new(b->c, b->m->arena, t, rank, dims, &x));
    const char *from = data;
    for (size_t i = 0; i < us_tensor_bytes(&x); i++)
        ((char *)x.data)[i] = from[i];
    return us_graph_add_const(b->c, b->g, (us_sv){0}, US_ST_CONST, &x, out);
}

us_err us_block_in(us_blocker *b, us_vid v, us_blocked *out)
{
    const us_blocked *have = us_block_of(b, v);
    if (have) {
        *out = *have;
        return US_OK;
    }
    const us_type *t = us_block_type(b, v);
    if (!t || t->rank < 3 || !us_dim_known(t->dims[1]))
        return us_fail(b->c, US_BUG, "a value of unknown channels is to be laid out in blocks");
    us_nid keep = b->replaced;
    us_blocked made = {.channels = t->dims[1].add, .rank = t->rank};
    US_TRY(us_block_node(b, "usta", "ReorderIn", 1, &v, &made.v));
    US_TRY(us_block_attr_int(b, "block", b->size));
    b->replaced = keep;
    if (v < b->n) b->blocked[v] = made;
    *out = made;
    return US_OK;
}

us_err us_block_out(us_blocker *b, us_vid v)
{
    if (v >= b->n || b->plain[v] || b->blocked[v].v == US_NIL) return US_OK;
    us_vid made;
    us_nid keep = b->replaced;
    US_TRY(us_block_node(b, "usta", "ReorderOut", 1, &b->blocked[v].v, &made));
    US_TRY(us_block_attr_int(b, "block", b->size));
    US_TRY(us_block_attr_int(b, "channels", b->blocked[v].channels));
    US_TRY(us_block_attr_int(b, "rank", b->blocked[v].rank));
    us_node *n = &b->g->nodes.at[b->replaced];
    n->out[0] = v; /* the value keeps its name */
    b->g->vals.at[made].def = US_NIL;
    b->g->vals.at[v].def = b->replaced;
    b->g->vals.at[v].def_out = 0;
    b->replaced = keep;
    b->plain[v] = true;
    return US_OK;
}

void us_block_done(us_blocker *b, us_vid y, int64_t channels, int32_t rank)
{
    us_vid old = b->g->nodes.at[b->at].out[0];
    b->blocked[old] = (us_blocked){y, channels, rank};
    b->plain[old] = false;
}

us_err us_block_done_plain(us_blocker *b, us_vid y)
{
    us_node *n = &b->g->nodes.at[b->replaced];
    us_vid old = b->g->nodes.at[b->at].out[0];
    n->out[0] = old; /* the value keeps its name */
    b->g->vals.at[y].def = US_NIL;
    b->g->vals.at[old].def = b->replaced;
    b->g->vals.at[old].def_out = 0;
    b->g->nodes.at[b->at].out[0] = US_NIL;
    return us_block_attr_int(b, "plain_out", 1);
}

/* --- the sweep ------------------------------------------------------------------------------------------------ */

static us_err as_it_was(void *b, us_vid v)
{
    return us_block_out(b, v);
}

static us_err visit(us_blocker *b, us_nid nid, bool *changed)
{
    us_node n = b->g->nodes.at[nid]; /* a copy: nodes are added */
    us_block_fn *fn = us_block_find(&n);
    b->at = nid;
    b->replaced = US_NIL;
    if (fn && n.n_out > 0 && n.out[0] != US_NIL) US_TRY(fn(b, &n));
    if (b->replaced == US_NIL) return us_each_read(&n, as_it_was, b);
    *changed = true;
    us_graph_remove_node(b->g, nid);
    return US_OK;
}

static void find_wanted(us_blocker *b)
{
    for (size_t i = 0; i < b->g->order.n; i++) {
        const us_node *n = &b->g->nodes.at[b->g->order.at[i]];
        if (!us_block_find(n)) continue;
        for (uint32_t k = 0; k < n->n_in; k++)
            if (n->in[k] != US_NIL) b->wanted[n->in[k]] = true;
    }
}

static us_err sweep(us_blocker *b, us_arena *a, bool *changed)
{
    b->n = b->g->vals.n;
    b->blocked = us_new_n(a, us_blocked, b->n);
    b->plain = us_new_n(a, bool, b->n);
    b->wanted = us_new_n(a, bool, b->n);
    size_t n = b->g->order.n;
    us_nid *order = us_new_n(a, us_nid, n);
    if (!b->blocked || !b->plain || !b->wanted || !order) return us_arena_fail(b->c, a);
    for (size_t v = 0; v < b->n; v++) {
        b->blocked[v].v = US_NIL;
        b->plain[v] = true;
    }
    for (size_t i = 0; i < n; i++)
        order[i] = b->g->order.at[i];
    find_wanted(b);
    for (size_t i = 0; i < n; i++)
        US_TRY(visit(b, order[i], changed));
    b->at = US_NIL;
    for (size_t i = 0; i < b->g->outputs.n; i++)
        US_TRY(us_block_out(b, b->g->outputs.at[i]));
    return US_OK;
}

us_err us_pass_block_layout(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *a;
    bool any = false;
    for (size_t i = 0; i < g->order.n && !any; i++)
        any = us_is_op(&g->nodes.at[g->order.at[i]], "", "Conv") ||
              us_is_op(&g->nodes.at[g->order.at[i]], "", "ConvTranspose");
    if (!any) return US_OK;
    us_blocker b = {.c = c, .m = m, .g = g, .f = us_kernels_get(c)->conv};
    b.size = (int64_t)b.f->block;
    US_TRY(us_arena_new(c, "block-layout", (size_t)1 << 30, &a));
    us_err e = sweep(&b, a, changed);
    us_arena_free(a);
    return e;
}
