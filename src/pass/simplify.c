/* pass/simplify.c - rounds of facts and passes until nothing changes.
 *
 * Folding is undone by trying again with a lower limit on what is folded: whether a constant pays depends on what dies
 * with it, which only the end shows.
 */
#include "pass/simplify.h"

#include "pass/facts.h"
#include "pass/passes.h"

#define MAX_ROUNDS  16
#define GROWTH_FREE ((size_t)64 << 10)

typedef struct census {
    size_t nodes, bytes;
} census;

/* Weights may also lie in Constant nodes. */
static size_t tensor_attr_bytes(const us_node *n)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; n->attrs[i].tensors && j < n->attrs[i].n; j++)
            bytes += us_tensor_bytes(&n->attrs[i].tensors[j]);
    return bytes;
}

static us_err count_graph(us_ctx *c, us_graph *g, void *arg)
{
    census *k = arg;
    (void)c;
    k->nodes += g->order.n;
    for (size_t i = 0; i < g->order.n; i++)
        k->bytes += tensor_attr_bytes(&g->nodes.at[g->order.at[i]]);
    for (size_t v = 0; v < g->vals.n; v++) {
        const us_val *val = &g->vals.at[v];
        bool stored = val->storage == US_ST_CONST || val->storage == US_ST_VARIABLE;
        if (stored && val->data && val->data->kind == US_KIND_TENSOR)
            k->bytes += us_tensor_bytes(&val->data->t);
    }
    return US_OK;
}

/* Files of IR version 3 list every initialiser among the inputs, so that a caller might replace it; hardly one means it, and
 * nothing could be folded. Here they become constants, in the first version that knows such. */
static void settle_initialisers(us_model *m)
{
    us_graph *g = m->main;
    size_t n = 0;
    for (size_t i = 0; i < g->inputs.n; i++) {
        us_val *v = &g->vals.at[g->inputs.at[i]];
        if (v->also_input)
            v->also_input = false;
        else
            g->inputs.at[n++] = g->inputs.at[i];
    }
    g->inputs.n = n;
    m->ir_version = US_MAX(m->ir_version, 4);
}

/* The declared types of outputs are part of what the model promises: the names of their dimensions stay, and a loop that does not
 * run once has nothing else to go by. */
static void restore_outputs(us_model *s, const us_model *m)
{
    for (size_t i = 0; i < m->graphs.n; i++) {
        us_graph *g = s->graphs.at[i];
        const us_graph *from = m->graphs.at[i];
        for (size_t k = 0; k < g->outputs.n && k < from->outputs.n; k++) {
            us_val *v = &g->vals.at[g->outputs.at[k]];
            const us_val *was = &from->vals.at[from->outputs.at[k]];
            if (v->storage != US_ST_TEMP) continue;
            v->type = was->type;
            v->declared = was->declared;
        }
    }
}

static us_err attempt(us_ctx *c, const us_model *m, const us_simplify_opts *o, size_t max_fold,
                      us_model **out, us_simplify_report *r)
{
    us_model *s;
    US_TRY(us_model_clone(c, m, &s));
    us_err e = US_OK;
    settle_initialisers(s);
    us_pass_watch w = {.after = o->after, .arg = o->arg, .changed = true};
    for (r->rounds = 0; e == US_OK && w.changed && r->rounds < MAX_ROUNDS; r->rounds++) {
        w.changed = false;
        e = us_facts_take(c, s, max_fold, &w.changed);
        if (e == US_OK && w.changed && o->after) e = o->after(o->arg, "facts", s);
        if (e == US_OK)
            e = us_pass_run_watched(c, s, o->passes ? o->passes : US_SIMPLIFY_PASSES, &w);
    }
    if (e == US_OK) {
        restore_outputs(s, m);
        *out = s;
    } else {
        us_model_free(s);
    }
    return e;
}

us_err us_simplify(us_ctx *c, const us_model *m, const us_simplify_opts *opts, us_model **out,
                   us_simplify_report *report)
{
    static const size_t max_fold[] = {SIZE_MAX, 1024, 64, 0};
    us_simplify_opts o = opts ? *opts : (us_simplify_opts){0};
    if (o.growth == 0) o.growth = US_SIMPLIFY_GROWTH;
    census before = {0};
    US_TRY(us_graph_each(c, m->main, count_graph, &before));
    for (size_t i = 0;; i++) {
        us_simplify_report r = {.nodes_before = before.nodes,
                                .const_bytes_before = before.bytes};
        us_model *s;
        US_TRY(attempt(c, m, &o, max_fold[i], &s, &r));
        census after = {0};
        us_err e = us_graph_each(c, s->main, count_graph, &after);
        r.nodes_after = after.nodes;
        r.const_bytes_after = after.bytes;
        bool fits =
            (double)after.bytes <= (double)before.bytes * o.growth + (double)GROWTH_FREE;
        if (e == US_OK && (fits || i + 1 == US_LEN(max_fold))) {
            *out = s;
            *report = r;
            return US_OK;
        }
        us_model_free(s);
        US_TRY(e);
    }
}
