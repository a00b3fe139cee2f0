/* cli/cmd_info.c - `usta info MODEL`: what a model file is: inputs, outputs, operators, parameters, origin.
 *
 * The file is read, not planned: models with operators we cannot run are shown too. Everything is gathered into one JSON tree,
 * which --json prints and from which the pages for people are made, so the two cannot disagree.
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/info_values.h"
#include "cli/models.h"
#include "cli/passport_page.h"
#include "data/passport.h"
#include "inspect/cost.h"
#include "ir/text.h"
#include "onnx/onnx.h"

#define TEXT_MAX ((size_t)1 << 20)

typedef struct info_args {
    bool layers, values;
    us_textmap dims;
} info_args;

#define F(f) offsetof(info_args, f)
static const us_opt opts[] = {
    {US_OPT_BOOL, 0, "layers", F(layers), "false", 0, 0, "", "", NULL,
     "every node with its output, parameters, multiply-accumulates and bytes"},
    {US_OPT_BOOL, 0, "values", F(values), "false", 0, 0, "", "", NULL,
     "every value with its inferred type, those of sub-graphs too, and what is known of "
     "contents"},
    {US_OPT_TEXTMAP, 0, "dim", F(dims), "{}", 0, 0, "NAME=SIZE,...", "", NULL,
     "sizes of symbolic dimensions, for counting; 1 where none is given"},
    {US_OPT_END}};
#undef F

#define DIM_MAX ((int64_t)1 << 31)

typedef struct info {
    us_cli *cli;
    const info_args *args;
    us_layers layers;
    us_values values;
    us_ctx *c;
    us_arena *a;
    const us_model *m;
    us_tally *ops;
    int64_t n_nodes, n_params, n_bytes, n_graphs;
} info;

/* --- counting ------------------------------------------------------------------------------------------ */

static us_err count_graph(info *k, const us_graph *g, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(k->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    k->n_graphs++;
    for (size_t v = 0; v < g->vals.n; v++) {
        const us_value *d = g->vals.at[v].data;
        if (!d || d->kind != US_KIND_TENSOR) continue;
        k->n_params += us_tensor_count(&d->t);
        k->n_bytes += (int64_t)us_tensor_bytes(&d->t);
    }
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        US_TRY(us_tally_add(k->c, k->ops, 0, n));
        k->n_nodes++;
        for (uint32_t j = 0; j < n->n_attrs; j++)
            for (size_t s = 0; n->attrs[j].graphs && s < n->attrs[j].n; s++)
                US_TRY(count_graph(k, n->attrs[j].graphs[s], depth + 1));
    }
    return US_OK;
}

/* --- the tree ------------------------------------------------------------------------------------------- */

/* Our own properties are JSON texts and shown as trees; others are texts. */
static us_err props_json(info *k, json_t **out)
{
    json_t *all = json_object();
    US_TRY(us_json_keep(k->c, k->a, all));
    for (size_t i = 0; i < k->m->props.n; i++) {
        const us_prop *p = &k->m->props.at[i];
        json_t *tree = NULL;
        if (us_sv_starts(p->key, "usta.") &&
            us_json_parse(k->c, k->a, "metadata", p->value, 0, &tree) == US_OK)
            json_incref(tree);
        else
            tree = us_text_json(p->value);
        if (json_object_setn_new_nocheck(all, p->key.n ? p->key.p : "", p->key.n, tree))
            return us_nomem(k->c);
    }
    *out = all;
    return US_OK;
}

static us_err ops_json(info *k, json_t **out)
{
    json_t *all = json_object();
    US_TRY(us_json_keep(k->c, k->a, all));
    for (size_t i = 0; i < k->ops->names.items.n; i++) {
        us_sv name = k->ops->names.items.at[i].key;
        if (json_object_setn_new_nocheck(all, name.n ? name.p : "", name.n,
                                         json_integer(k->ops->n[0][i])))
            return us_nomem(k->c);
    }
    *out = all;
    return US_OK;
}

static us_err opsets_json(info *k, json_t **out)
{
    json_t *all = json_object();
    US_TRY(us_json_keep(k->c, k->a, all));
    for (size_t i = 0; i < k->m->opsets.n; i++) {
        us_sv d = k->m->opsets.at[i].domain;
        if (d.n == 0) d = US_SV("ai.onnx");
        if (json_object_setn_new_nocheck(all, d.p, d.n,
                                         json_integer(k->m->opsets.at[i].version)))
            return us_nomem(k->c);
    }
    *out = all;
    return US_OK;
}

/* "float[1,64,?]": sizes are put in, what depends on contents is not known. */
static void add_shape(us_buf *b, const us_type *t)
{
    if (t->kind != US_KIND_TENSOR) {
        us_buf_adds(b, t->kind == US_KIND_NONE ? "?" : "no tensor");
        return;
    }
    us_buf_adds(b, us_dtype_get(t->dtype)->name);
    if (t->rank < 0) return;
    us_buf_addc(b, '[');
    for (int32_t d = 0; d < t->rank; d++) {
        if (d) us_buf_addc(b, ',');
        if (us_dim_known(t->dims[d]))
            us_buf_addf(b, "%lld", (long long)t->dims[d].add);
        else
            us_buf_addc(b, '?');
    }
    us_buf_addc(b, ']');
}

static json_t *cost_json(const us_layer *l)
{
    return json_pack("{s:I, s:I, s:f, s:f, s:I, s:b}", "parameters", (json_int_t)l->n_params,
                     "weight_bytes", (json_int_t)l->weight_bytes, "macs", l->cost.macs,
                     "operations", l->cost.ops, "activation_bytes",
                     (json_int_t)l->activation_bytes, "known", (int)l->known);
}

static us_err layers_json(info *k, json_t **out)
{
    json_t *list = json_array();
    us_buf b;
    us_err e = us_json_keep(k->c, k->a, list);
    us_buf_init(&b, k->c, TEXT_MAX);
    for (size_t i = 0; e == US_OK && i < k->layers.n; i++) {
        const us_layer *l = &k->layers.at[i];
        us_buf_clear(&b);
        add_shape(&b, &l->type);
        e = us_buf_check(&b);
        json_t *row = e == US_OK ? cost_json(l) : NULL;
        if (row && (json_object_set_new(row, "node", us_text_json(l->node)) ||
                    json_object_set_new(row, "graph", us_text_json(l->graph)) ||
                    json_object_set_new(row, "domain", us_text_json(l->domain)) ||
                    json_object_set_new(row, "operator", us_text_json(l->op)) ||
                    json_object_set_new(row, "output", us_text_json(l->output)) ||
                    json_object_set_new(row, "type", us_text_json(us_buf_sv(&b)))))
            e = us_nomem(k->c);
        if (json_array_append_new(list, row) && e == US_OK) e = us_nomem(k->c);
    }
    us_buf_deinit(&b);
    if (e == US_OK) *out = list;
    return e;
}

static us_err dims_json(info *k, json_t **out)
{
    json_t *all = json_object();
    US_TRY(us_json_keep(k->c, k->a, all));
    for (size_t i = 0; i < k->layers.n_dims; i++) {
        us_sv name = k->layers.dims[i].name;
        if (json_object_setn_new_nocheck(all, name.n ? name.p : "", name.n,
                                         json_integer(k->layers.dims[i].size)))
            return us_nomem(k->c);
    }
    *out = all;
    return US_OK;
}

/* What all layers cost together, for which sizes; each layer with --layers. */
static us_err add_costs(info *k, json_t *all)
{
    json_t *dims = NULL, *list = NULL, *sum = cost_json(&k->layers.sum);
    US_TRY(dims_json(k, &dims));
    if (!sum || json_object_set(sum, "dims", dims) ||
        json_object_set_new(sum, "layers_unknown",
                            json_integer((json_int_t)k->layers.n_unknown)) ||
        json_object_set_new(all, "cost", sum))
        return us_nomem(k->c);
    if (!k->args->layers) return US_OK;
    US_TRY(layers_json(k, &list));
    return json_object_set(all, "layers", list) ? us_nomem(k->c) : US_OK;
}

static us_err get_layers(info *k)
{
    const us_textmap *d = &k->args->dims;
    us_dim_size *sizes = us_new_n(k->a, us_dim_size, d->n);
    if (!sizes) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < d->n; i++) {
        sizes[i] = (us_dim_size){.name = us_sv_of(d->key[i]), .given = true};
        if (!us_parse_i64(us_sv_of(d->at[i]), &sizes[i].size) || sizes[i].size < 0 ||
            sizes[i].size > DIM_MAX)
            return us_fail(k->c, US_ARG, "--dim %s=%s: expected a size of 0 to %lld", d->key[i],
                           d->at[i], (long long)DIM_MAX);
    }
    return us_layers_get(k->c, k->a, k->m, sizes, d->n, &k->layers);
}

static us_err gather(info *k, const char *path, json_t **out)
{
    US_TRY(get_layers(k));
    json_t *in = NULL, *result = NULL, *ops = NULL, *opsets = NULL, *props = NULL;
    US_TRY(count_graph(k, k->m->main, 0));
    US_TRY(us_ends_json(k->c, k->a, k->m, true, &in));
    US_TRY(us_ends_json(k->c, k->a, k->m, false, &result));
    US_TRY(ops_json(k, &ops));
    US_TRY(opsets_json(k, &opsets));
    US_TRY(props_json(k, &props));
    json_t *all = json_pack(
        "{s:s, s:I, s:o, s:o, s:O, s:O, s:O, s:I, s:I, s:I, s:I, s:I, s:O, s:O}", "file", path,
        "ir_version", (json_int_t)k->m->ir_version, "producer",
        us_text_json(k->m->producer_name), "producer_version",
        us_text_json(k->m->producer_version), "opsets", opsets, "inputs", in, "outputs", result,
        "nodes", (json_int_t)k->n_nodes, "graphs", (json_int_t)k->n_graphs, "functions",
        (json_int_t)k->m->functions.n, "parameters", (json_int_t)k->n_params, "parameter_bytes",
        (json_int_t)k->n_bytes, "operators", ops, "properties", props);
    US_TRY(us_json_keep(k->c, k->a, all));
    US_TRY(add_costs(k, all));
    if (k->args->values) {
        US_TRY(us_values_get(k->c, k->a, k->m, &k->values));
        US_TRY(us_cli_values_json(k->cli, &k->values, all));
    }
    *out = all;
    return US_OK;
}

/* --- the page ---------------------------------------------------------------------------------------------- */

static us_err print_ends(us_cli *cli, const char *title, const json_t *list)
{
    us_rtable *t;
    US_TRY(us_rtable_new(cli->c, cli->arena, title, "name|type", &t));
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        us_rtable_cell(t, us_json_text_or(row, "name", ""));
        us_rtable_cell(t, us_json_text_or(row, "type", ""));
    }
    return us_out_table(cli, t);
}

/* "1.23 G", "45.6 k". */
static void cell_amount(us_rtable *t, double v)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E"};
    size_t u = 0;
    char text[32];
    while (v >= 1000 && u + 1 < US_LEN(units)) {
        v /= 1000;
        u++;
    }
    us_rtable_cellf(t, "%s%s", us_print_sig(v, v >= 1 || v == 0 ? 3 : 1, text), units[u]);
}

static void cell_bytes(us_rtable *t, uint64_t n)
{
    char text[32];
    us_rtable_cell(t, us_print_bytes(n, text));
}

static void cell_share(us_rtable *t, double part, double whole)
{
    if (whole > 0)
        us_rtable_cellf(t, "%.1f %%", 100 * part / whole);
    else
        us_rtable_cell(t, "-");
}

static void cell_macs(us_rtable *t, const us_layer *l)
{
    if (l->known)
        cell_amount(t, l->cost.macs);
    else
        us_rtable_cell(t, "?");
}

static us_err print_ops(info *k, const json_t *ops)
{
    us_cli *cli = k->cli;
    us_rtable *t;
    US_TRY(us_rtable_new(cli->c, cli->arena, "Operators",
                         "operator|>nodes|>parameters|>MACs|>of all", &t));
    const char *name;
    json_t *n;
    json_object_foreach((json_t *)(uintptr_t)ops, name, n)
    {
        us_layer sum = {.known = true};
        for (size_t i = 0; i < k->layers.n; i++) {
            const us_layer *l = &k->layers.at[i];
            size_t dot = l->domain.n ? l->domain.n + 1 : 0;
            if (strlen(name) != dot + l->op.n || memcmp(name + dot, l->op.p, l->op.n) != 0 ||
                (dot && memcmp(name, l->domain.p, l->domain.n) != 0))
                continue;
            sum.n_params += l->n_params;
            sum.cost.macs += l->cost.macs;
            sum.known = sum.known && l->known;
        }
        us_rtable_cell(t, name);
        us_rtable_cellf(t, "%lld", (long long)json_integer_value(n));
        us_rtable_cellf(t, "%lld", (long long)sum.n_params);
        cell_macs(t, &sum);
        cell_share(t, sum.cost.macs, k->layers.sum.cost.macs);
    }
    return us_out_table(cli, t);
}

static us_err layer_row(info *k, us_rtable *t, const us_layer *l)
{
    us_buf b;
    us_buf_init(&b, k->c, TEXT_MAX);
    add_shape(&b, &l->type);
    us_err e = us_buf_check(&b);
    us_rtable_cellsv(t, l->node.n ? l->node : l->output);
    us_rtable_cellsv(t, l->op);
    us_rtable_cellsv(t, us_buf_sv(&b));
    us_rtable_cellf(t, "%lld", (long long)l->n_params);
    cell_macs(t, l);
    cell_share(t, l->cost.macs, k->layers.sum.cost.macs);
    cell_amount(t, l->cost.ops);
    cell_bytes(t, l->weight_bytes);
    cell_bytes(t, l->activation_bytes);
    us_buf_deinit(&b);
    return e;
}

static us_err print_layers(info *k)
{
    us_rtable *t;
    const us_layer *s = &k->layers.sum;
    US_TRY(us_rtable_new(k->c, k->a, "Layers",
                         "node|operator|output|>parameters|>MACs|>of all|>other "
                         "operations|>weights|>activations",
                         &t));
    for (size_t i = 0; i < k->layers.n; i++)
        US_TRY(layer_row(k, t, &k->layers.at[i]));
    us_rtable_rule(t);
    us_rtable_cell(t, "all");
    us_rtable_cell(t, "");
    us_rtable_cell(t, "");
    us_rtable_cellf(t, "%lld", (long long)s->n_params);
    cell_amount(t, s->cost.macs);
    us_rtable_cell(t, "");
    cell_amount(t, s->cost.ops);
    cell_bytes(t, s->weight_bytes);
    cell_bytes(t, s->activation_bytes);
    return us_out_table(k->cli, t);
}

/* For which sizes the figures hold, and what could not be counted. */
static void print_assumed(info *k)
{
    us_out *o = k->cli->out;
    const us_layers *l = &k->layers;
    for (size_t i = 0; i < l->n_dims; i++)
        us_outf(o, "%s " US_SV_FMT " = %lld", i ? "," : "counted for",
                US_SV_ARG(l->dims[i].name), (long long)l->dims[i].size);
    if (l->n_unnamed)
        us_outf(o, "%s dimensions without a name = 1", l->n_dims ? "," : "counted for");
    if (l->n_dims)
        us_out_text(o, " (--dim NAME=SIZE sets others)\n");
    else if (l->n_unnamed)
        us_out_text(o, "\n");
    if (!l->inferred)
        us_outf(o, "costs are not known, shapes are what the file declares: %s\n", l->why);
    else if (l->n_unknown)
        us_outf(o, "not counted: %zu of %zu nodes, whose operators or shapes are not known\n",
                l->n_unknown, l->n);
}

static us_err print_props(us_cli *cli, const json_t *props)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)props, name, v)
    {
        if (json_is_string(v)) {
            us_outf(cli->out, "%s: %s\n", name, json_string_value(v));
            continue;
        }
        if (strcmp(name, US_PASSPORT_KEY) == 0) {
            US_TRY(us_cli_print_passport(cli, v));
            continue;
        }
        us_buf b;
        us_buf_init(&b, cli->c, TEXT_MAX * 64);
        us_err e = us_json_print_pretty(cli->c, v, &b);
        if (e == US_OK) e = us_buf_check(&b);
        if (e == US_OK) {
            us_outf(cli->out, "\n%s\n", name);
            us_out_bytes(cli->out, b.p, b.n);
            us_out_text(cli->out, "\n");
        }
        us_buf_deinit(&b);
        US_TRY(e);
    }
    return US_OK;
}

static us_err print_page(info *k, const json_t *all)
{
    us_cli *cli = k->cli;
    char count[32], bytes[32], held[32];
    const char *domain;
    json_t *version;
    us_outf(cli->out, "%s: ONNX, IR %lld", us_json_text_or(all, "file", ""),
            (long long)us_json_i64_or(all, "ir_version", 0));
    json_object_foreach(json_object_get(all, "opsets"), domain, version)
        us_outf(cli->out, ", %s %lld", domain, (long long)json_integer_value(version));
    const char *producer = us_json_text_or(all, "producer", "");
    if (producer[0])
        us_outf(cli->out, "; by %s %s", producer, us_json_text_or(all, "producer_version", ""));
    us_outf(cli->out, "\n%lld nodes, %s parameters (%s)\n",
            (long long)us_json_i64_or(all, "nodes", 0),
            us_print_count(us_json_i64_or(all, "parameters", 0), count),
            us_print_bytes((uint64_t)us_json_i64_or(all, "parameter_bytes", 0), bytes));
    us_outf(cli->out, "%s multiply-accumulates, %s other operations, %s of activations\n",
            us_print_count((int64_t)US_MIN(k->layers.sum.cost.macs, 9e18), count),
            us_print_count((int64_t)US_MIN(k->layers.sum.cost.ops, 9e18), bytes),
            us_print_bytes(k->layers.sum.activation_bytes, held));
    print_assumed(k);
    us_out_text(cli->out, "\n");
    US_TRY(print_ends(cli, "Inputs", json_object_get(all, "inputs")));
    us_out_text(cli->out, "\n");
    US_TRY(print_ends(cli, "Outputs", json_object_get(all, "outputs")));
    us_out_text(cli->out, "\n");
    US_TRY(print_ops(k, json_object_get(all, "operators")));
    if (k->args->layers) {
        us_out_text(cli->out, "\n");
        US_TRY(print_layers(k));
    }
    if (k->args->values) {
        us_out_text(cli->out, "\n");
        US_TRY(us_cli_print_values(cli, &k->values));
    }
    const json_t *props = json_object_get(all, "properties");
    if (json_object_size(props) > 0) us_out_text(cli->out, "\n");
    return print_props(cli, props);
}

static us_err run(us_cli *cli, void *args)
{
    us_onnx_opts o = {.descriptors_only = true};
    us_model *m;
    US_TRY(us_onnx_read(cli->c, cli->args[0], &o, &m));
    us_err e = US_OK;
    json_t *all;
    info *k = us_new(cli->arena, info);
    if (!k) {
        e = us_arena_fail(cli->c, cli->arena);
        goto out;
    }
    k->cli = cli;
    k->args = args;
    k->c = cli->c;
    k->a = cli->arena;
    k->m = m;
    US_GO(us_tally_new(k->c, k->a, &k->ops));
    US_GO(gather(k, cli->args[0], &all));
    e = cli->json ? us_out_json(cli, all) : print_page(k, all);
out:
    if (k) us_values_free(&k->values);
    us_model_free(m);
    return e;
}

const us_cmd us_cmd_info = {"info",
                            "MODEL.onnx",
                            "what a model file is and where it comes from",
                            0,
                            1,
                            1,
                            opts,
                            sizeof(info_args),
                            run};
