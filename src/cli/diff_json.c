/* cli/diff_json.c - what `usta diff` found, as JSON: everything, in order of execution. */
#include <math.h>

#include "cli/diff_page.h"
#include "conf/json.h"

static json_t *text(us_sv s)
{
    json_t *j = json_stringn(s.n ? s.p : "", s.n);
    return j ? j : json_string("\xEF\xBF\xBD"); /* bytes that are no UTF-8 */
}

static json_t *side(us_sv s)
{
    return s.p ? text(s) : json_null();
}

static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *facts(const us_diff_fact *f, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o}", "what", f[i].what,
                                                    "name", text(f[i].name), "a", side(f[i].a),
                                                    "b", side(f[i].b)));
    return list;
}

static json_t *node(const us_diff_node *n)
{
    static const char *const states[] = {[US_DIFF_REMOVED] = "removed",
                                         [US_DIFF_ADDED] = "added",
                                         [US_DIFF_CHANGED] = "changed"};
    const us_node *any = n->a ? n->a : n->b;
    json_t *j =
        json_pack("{s:s, s:o, s:o, s:o}", "state", states[n->state], "graph", text(n->graph),
                  "operator", text(any->op_type), "domain", text(any->domain));
    if (!j) return NULL;
    if (n->a) (void)json_object_set_new(j, "a", text(n->name_a));
    if (n->b) (void)json_object_set_new(j, "b", text(n->name_b));
    if (n->state == US_DIFF_CHANGED) {
        (void)json_object_set_new(j, "changes", facts(n->changes, n->n_changes));
    } else {
        (void)json_object_set_new(j, "reads", text(n->from));
        (void)json_object_set_new(j, "read_by", text(n->to));
    }
    return j;
}

static json_t *weight(const us_diff_weight *w)
{
    json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:b}", "graph", text(w->graph),
                          "operator", text(w->op), "a", text(w->name_a), "b", text(w->name_b),
                          "type_a", text(w->type_a), "type_b", text(w->type_b), "elements",
                          (json_int_t)w->n, "quantised", (int)w->quantised);
    if (!j || !w->compared) return j;
    json_t *more = json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "largest", real(w->largest),
                             "mean", real(w->mean), "relative", real(w->relative), "cosine",
                             real(w->cosine), "changed", (json_int_t)w->n_changed, "nan_a",
                             (json_int_t)w->n_nan_a, "nan_b", (json_int_t)w->n_nan_b);
    (void)json_object_update(j, more);
    json_decref(more);
    return j;
}

static json_t *lists(const us_diff *d)
{
    json_t *nodes = json_array(), *shapes = json_array(), *weights = json_array(),
           *costs = json_array();
    for (size_t i = 0; i < d->nodes.n; i++)
        (void)json_array_append_new(nodes, node(&d->nodes.at[i]));
    for (size_t i = 0; i < d->shapes.n; i++) {
        const us_diff_shape *s = &d->shapes.at[i];
        (void)json_array_append_new(
            shapes, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "graph", text(s->graph),
                              "operator", text(s->op), "value_a", text(s->value_a), "value_b",
                              text(s->value_b), "a", text(s->a), "b", text(s->b)));
    }
    for (size_t i = 0; i < d->weights.n; i++)
        (void)json_array_append_new(weights, weight(&d->weights.at[i]));
    for (size_t i = 0; i < d->costs.n; i++) {
        const us_diff_cost *c = &d->costs.at[i];
        (void)json_array_append_new(costs, json_pack("{s:o, s:o, s:o, s:f, s:f}", "graph",
                                                     text(c->graph), "operator", text(c->op),
                                                     "node", text(c->name), "macs_a", c->macs_a,
                                                     "macs_b", c->macs_b));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "facts", facts(d->facts.at, d->facts.n),
                     "nodes", nodes, "types", shapes, "constants", weights, "costs", costs);
}

us_err us_diff_json(us_cli *cli, const us_diff *d, const us_diff_page *p)
{
    bool same = p->identical || d->same;
    json_t *sum, *all = json_pack("{s:s, s:s, s:b, s:b}", "a", p->a, "b", p->b, "same",
                                  (int)same, "identical_files", (int)p->identical);
    US_TRY(us_json_keep(cli->c, cli->arena, all));
    if (!d) return us_out_json(cli, all);
    sum = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "nodes_a",
        (json_int_t)d->n_nodes_a, "nodes_b", (json_int_t)d->n_nodes_b, "matched",
        (json_int_t)d->n_matched, "removed", (json_int_t)d->n_state[US_DIFF_REMOVED], "added",
        (json_int_t)d->n_state[US_DIFF_ADDED], "changed",
        (json_int_t)d->n_state[US_DIFF_CHANGED], "constants", (json_int_t)d->n_weights,
        "constants_differ", (json_int_t)d->weights.n, "numbers", (json_int_t)d->n_elements,
        "types_differ", (json_int_t)d->shapes.n, "current_form", (int)d->current,
        "types_inferred", (int)(d->types_a && d->types_b));
    if (!sum || json_object_set_new(all, "summary", sum)) return us_nomem(cli->c);
    if (p->cost) {
        (void)json_object_set_new(sum, "macs_a", real(d->macs_a));
        (void)json_object_set_new(sum, "macs_b", real(d->macs_b));
    }
    json_t *more = lists(d);
    if (!more || json_object_update(all, more)) {
        json_decref(more);
        return us_nomem(cli->c);
    }
    json_decref(more);
    return us_out_json(cli, all);
}
