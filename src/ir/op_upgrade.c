/* ir/op_upgrade.c - the upgrades that many operators share.
 *
 * Between opsets most changes are of three kinds: an attribute is dropped, an attribute becomes an input, or
 * the old explicit broadcasting (opset 6 and before) becomes NumPy's. Each function brings a node from
 * its version to the next row of its schemas; the caller then sets the version and decodes again.
 */
#include "ir/op_util.h"

#include <string.h>

us_err us_upgrade_fail(us_ctx *c, const us_graph *g, us_nid n, const char *why)
{
    const us_node *nd = &g->nodes.at[n];
    return us_fail(c, US_UNSUPP, US_SV_FMT " '" US_SV_FMT "' of version %d: %s",
                   US_SV_ARG(nd->op_type), US_SV_ARG(nd->name), nd->version, why);
}

us_err us_node_set_input(us_ctx *c, us_model *m, us_graph *g, us_nid n, size_t i, us_vid v)
{
    us_node *nd = &g->nodes.at[n];
    if (i >= nd->n_in) {
        us_vid *in = us_new_n(m->arena, us_vid, i + 1);
        if (!in) return us_arena_fail(c, m->arena);
        for (size_t j = 0; j <= i; j++)
            in[j] = j < nd->n_in ? nd->in[j] : US_NIL;
        nd->in = in;
        nd->n_in = (uint32_t)(i + 1);
    }
    nd->in[i] = v;
    return US_OK;
}

static bool next_row_knows(const us_node *nd, us_sv name)
{
    const us_schema *next = nd->schema + 1;
    for (const us_attr_row *r = next->attrs; r && r->name; r++)
        if (us_sv_is(name, r->name)) return true;
    return false;
}

us_err us_upgrade_drop(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)c, (void)m;
    us_node *nd = &g->nodes.at[n];
    for (uint32_t i = 0; i < nd->n_attrs;) {
        if (next_row_knows(nd, nd->attrs[i].name)) {
            i++;
            continue;
        }
        memmove(nd->attrs + i, nd->attrs + i + 1, (nd->n_attrs - i - 1) * sizeof *nd->attrs);
        nd->n_attrs--;
    }
    return US_OK;
}

us_err us_upgrade_ints_to_input(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *name,
                                size_t i)
{
    const us_attr *a = us_node_attr(&g->nodes.at[n], name);
    if (!a) return US_OK;
    us_builder b = us_b_begin(c, g, name);
    us_vid v = us_b_i64s(&b, a->n, a->ints);
    US_TRY(us_b_end(&b));
    US_TRY(us_node_set_input(c, m, g, n, i, v));
    us_node_del_attr(&g->nodes.at[n], name);
    return US_OK;
}

us_err us_upgrade_axes(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_upgrade_ints_to_input(c, m, g, n, "axes", 1);
}

/* Opset 6: with broadcast=1, B's dimensions match A's from `axis` on (default: the last ones, which is NumPy's
 * rule already). B gets trailing dimensions of size 1. */
us_err us_upgrade_broadcast(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_node *nd = &g->nodes.at[n];
    const us_attr *on = us_node_attr(nd, "broadcast"), *axis = us_node_attr(nd, "axis");
    bool plain = !on || on->i == 0 || !axis;
    if (!plain && nd->n_in == 2) {
        const us_type *a = &g->vals.at[nd->in[0]].type, *b = &g->vals.at[nd->in[1]].type;
        if (a->kind != US_KIND_TENSOR || b->kind != US_KIND_TENSOR || a->rank < 0 ||
            b->rank < 0)
            return us_upgrade_fail(c, g, n,
                                   "broadcasting along an axis needs the ranks of A and B");
        int first = 0;
        bool fits = us_axis_norm(axis->i, a->rank, &first);
        int64_t pad = a->rank - first - b->rank;
        if (!fits || pad < 0)
            return us_upgrade_fail(c, g, n, "B does not fit into A at this axis");
        int64_t axes[US_MAX_RANK];
        for (int64_t i = 0; i < pad; i++)
            axes[i] = b->rank + i;
        if (pad > 0) {
            us_builder bl = us_b_begin(c, g, "broadcast");
            bl.before = n;
            us_vid v = us_b1(&bl, "Unsqueeze", nd->in[1]);
            us_b_ints(&bl, "axes", (size_t)pad, axes);
            US_TRY(us_b_end(&bl));
            g->nodes.at[n].in[1] = v;
        }
    }
    return us_upgrade_drop(c, m, g, n);
}
