/* cli/cmd_extract.c - `usta extract IN OUT --from a,b --to c,d`: a part of a model as a model. */
#include "cli/cli.h"
#include "cli/models.h"
#include "inspect/extract.h"
#include "onnx/onnx.h"

typedef struct extract_args {
    us_texts from, to;
    bool add_inputs;
} extract_args;

#define F(f) offsetof(extract_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXTS, 0, "from", F(from), "[]", 0, 0, "NAME,...", "", NULL,
     "values that become inputs (default: the model's own inputs, as far as needed)"},
    {US_OPT_TEXTS, 0, "to", F(to), "[]", 0, 0, "NAME,...", "", NULL,
     "values that become outputs (default: the model's own outputs)"},
    {US_OPT_BOOL, 0, "add-inputs", F(add_inputs), "false", 0, 0, "", "", NULL,
     "inputs of the model that are needed beside --from become inputs, too"},
    {US_OPT_END}};
#undef F

static us_err print_ends(us_cli *cli, const char *title, const json_t *list)
{
    us_rtable *t;
    size_t i;
    json_t *row;
    US_TRY(us_rtable_new(cli->c, cli->arena, title, "name|type", &t));
    json_array_foreach(list, i, row)
    {
        us_rtable_cell(t, us_json_text_or(row, "name", ""));
        us_rtable_cell(t, us_json_text_or(row, "type", ""));
    }
    return us_out_table(cli, t);
}

static us_err answer(us_cli *cli, const us_model *x, const us_extract_report *r)
{
    json_t *in, *out, *all;
    US_TRY(us_ends_json(cli->c, cli->arena, x, true, &in));
    US_TRY(us_ends_json(cli->c, cli->arena, x, false, &out));
    all = json_pack("{s:s, s:s, s:I, s:I, s:O, s:O, s:I, s:I, s:b}", "file", cli->args[0],
                    "written", cli->args[1], "nodes_before", (json_int_t)r->nodes_before,
                    "nodes_after", (json_int_t)r->nodes_after, "inputs", in, "outputs", out,
                    "inputs_added", (json_int_t)r->n_added, "unused", (json_int_t)r->n_unused,
                    "types_as_declared", (int)r->as_declared);
    US_TRY(us_json_keep(cli->c, cli->arena, all));
    if (cli->json) return us_out_json(cli, all);
    US_TRY(print_ends(cli, "Inputs", in));
    us_out_text(cli->out, "\n");
    US_TRY(print_ends(cli, "Outputs", out));
    us_outf(cli->out, "\n%zu of %zu nodes\n", r->nodes_after, r->nodes_before);
    if (r->n_unused)
        us_outf(cli->out, "of --from nothing needs '" US_SV_FMT "'%s: inputs all the same\n",
                US_SV_ARG(r->unused), r->n_unused > 1 ? " and others" : "");
    if (r->as_declared)
        us_out_text(cli->out, "types are what the file declares: they could not be inferred\n");
    us_outf(cli->out, "written: %s\n", cli->args[1]);
    return US_OK;
}

/* Names as given, or the model's outputs. */
static us_err fill_opts(us_cli *cli, const extract_args *a, const us_model *m,
                        us_extract_opts *o)
{
    size_t n_to = a->to.n ? a->to.n : m->main->outputs.n;
    us_sv *from = us_new_n(cli->arena, us_sv, a->from.n),
          *to = us_new_n(cli->arena, us_sv, n_to);
    if (!from || !to) return us_arena_fail(cli->c, cli->arena);
    for (size_t i = 0; i < a->from.n; i++)
        from[i] = us_sv_of(a->from.at[i]);
    for (size_t i = 0; i < n_to; i++)
        to[i] = a->to.n ? us_sv_of(a->to.at[i]) : m->main->vals.at[m->main->outputs.at[i]].name;
    *o = (us_extract_opts){
        .from = from, .n_from = a->from.n, .to = to, .n_to = n_to, .add_inputs = a->add_inputs};
    return US_OK;
}

static us_err run(us_cli *cli, void *args)
{
    const extract_args *a = args;
    us_model *m, *x = NULL;
    us_extract_opts o;
    us_extract_report r;
    if (!a->from.n && !a->to.n)
        return us_fail(cli->c, US_ARG,
                       "give --from, --to or both: names of values (usta trace "
                       "and usta info --layers list them)");
    US_TRY(us_onnx_read(cli->c, cli->args[0], NULL, &m));
    us_err e = fill_opts(cli, a, m, &o);
    if (e == US_OK) e = us_extract(cli->c, m, &o, &x, &r);
    if (e == US_OK) e = us_onnx_write(cli->c, x, cli->args[1], 0);
    if (e == US_OK) e = answer(cli, x, &r);
    us_model_free(x);
    us_model_free(m);
    return e;
}

const us_cmd us_cmd_extract = {"extract",
                               "IN.onnx OUT.onnx",
                               "a part of a model, between named values, as a model",
                               0,
                               2,
                               2,
                               opts,
                               sizeof(extract_args),
                               run};
