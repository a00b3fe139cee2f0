/* pass/upgrade.c - nodes of older operator versions become the current form.
 *
 * Each schema row knows how to rewrite a node into the next row (ir/op.h); this pass walks a node up the rows. At the
 * end the model imports, per domain, at least the version in which the newest row known here appeared, so that nodes
 * made by later passes are current too.
 */
#include "pass/passes.h"

static us_err upgrade_node(us_ctx *c, us_model *m, us_graph *g, us_nid nid, bool *changed)
{
    for (;;) {
        us_node *n = &g->nodes.at[nid];
        if (n->dead || !n->op || !n->schema || n->schema[1].since == 0) return US_OK;
        const us_schema *row = n->schema;
        if (row->upgrade) US_TRY(row->upgrade(c, m, g, nid));
        *changed = true;
        n = &g->nodes.at[nid];
        if (n->dead) return US_OK;
        n->version = row[1].since;
        n->schema = us_op_schema(n->op, n->version);
        n->params = NULL;
        US_TRY(us_node_decode(c, m, n));
        if (n->op && n->schema == row)
            return us_fail(c, US_BUG, US_SV_FMT ": version %d does not lead to %d",
                           US_SV_ARG(n->op_type), row->since, row[1].since);
    }
}

static us_err raise_imports(us_ctx *c, us_model *m)
{
    for (size_t i = 0; i < m->opsets.n; i++) {
        int newest = m->opsets.at[i].version;
        us_sv domain = m->opsets.at[i].domain;
        if (us_sv_is(domain, "ai.onnx")) domain = US_SV("");
        for (int id = US_OP_NONE + 1; id < US_OP_N; id++) {
            const us_op *op = us_op_get((us_op_id)id);
            if (us_sv_is(domain, op->domain)) newest = US_MAX(newest, us_op_current(op)->since);
        }
        if (newest > m->opsets.at[i].version)
            US_TRY(us_model_set_opset(c, m, m->opsets.at[i].domain, newest));
    }
    return US_OK;
}

us_err us_pass_upgrade(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    for (us_nid n = 0; n < g->nodes.n; n++) /* grows: what an upgrade adds is looked at too */
        US_TRY(upgrade_node(c, m, g, n, changed));
    return g->parent ? US_OK : raise_imports(c, m);
}
