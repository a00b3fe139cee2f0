/* cli/stages.c - the table of stages with their evidence, and the gate's table when it was reached. */
#include "cli/stages.h"

#include <string.h>

static us_tone tone_of(us_stage_state st)
{
    return st == US_STAGE_FAILED ? US_BAD : st == US_STAGE_PENDING ? US_FAINT : US_GOOD;
}

static us_err stage_rows(us_cli *cli, const us_flow_result *r, us_rtable **out)
{
    us_rtable *t = NULL;
    char time[32];
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "stage|state|>time|evidence", &t));
    for (size_t i = 0; i < r->n; i++) {
        const us_flow_row *row = &r->rows[i];
        us_rtable_cell(t, row->stage);
        us_rtable_cell(t, us_stage_state_name(row->state));
        us_rtable_tone(t, tone_of(row->state));
        us_rtable_cell(t, row->wall_ns > 0 ? us_print_duration(row->wall_ns, time) : "");
        us_rtable_cell(t, row->state == US_STAGE_STALE ? row->why : row->evidence);
    }
    *out = t;
    return US_OK;
}

/* Sentences that belong to the evidence but not into a table: leaks, and whether a simpler model is as good. */
static void remarks(us_cli *cli, const us_flow_result *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const json_t *leaks = json_object_get(r->rows[i].facts, "leaks");
        /* when the stage ran just now its leaks went to stderr; its verdict was said then and only then */
        bool now = r->rows[i].wall_ns > 0;
        const char *verdict = now ? us_json_text_or(r->rows[i].facts, "verdict", "") : "";
        for (size_t k = 0; !now && k < json_array_size(leaks); k++)
            us_outf(cli->out, "\nWARNING, leakage: %s\n",
                    json_string_value(json_array_get(leaks, k)));
        if (verdict[0]) us_outf(cli->out, "\n%s: %s\n", r->rows[i].stage, verdict);
    }
}

/* The gate as the validate stage left it when it ran just now; NULL otherwise. */
static const json_t *gate_of(const us_flow_result *r)
{
    const json_t *rows = NULL;
    for (size_t i = 0; i < r->n; i++)
        if (r->rows[i].wall_ns > 0 && json_object_get(r->rows[i].facts, "gate"))
            rows = json_object_get(r->rows[i].facts, "gate");
    return json_array_size(rows) ? rows : NULL;
}

void us_gate_row_cells(us_rtable *t, const json_t *row)
{
    bool passed = json_is_true(json_object_get(row, "passed"));
    us_rtable_cell(t, us_json_text_or(row, "what", ""));
    us_rtable_cell(t, us_json_text_or(row, "required", ""));
    us_rtable_cell(t, us_json_text_or(row, "found", ""));
    us_rtable_cell(t, passed ? "yes" : "NO");
    us_rtable_tone(t, passed ? US_GOOD : US_BAD);
    us_rtable_cell(t, us_json_text_or(row, "evidence", ""));
}

/* required / found / evidence of each requirement; of the standing checks only those that failed. */
static us_err gate_rows(us_cli *cli, const us_flow_result *r)
{
    const json_t *rows = gate_of(r);
    us_rtable *t = NULL;
    size_t n_standing = 0;
    if (!rows) return US_OK;
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "gate|required|found|passed|evidence", &t));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (json_is_true(json_object_get(row, "passed")) &&
            !json_is_true(json_object_get(row, "requirement"))) {
            n_standing++;
            continue;
        }
        us_gate_row_cells(t, row);
    }
    us_out_text(cli->out, "\n");
    if (us_rtable_rows(t)) US_TRY(us_out_table(cli, t));
    us_outf(cli->out,
            "%zu standing checks passed: bad inputs, batches, consistent answers (--json has "
            "each)\n",
            n_standing);
    return US_OK;
}

us_err us_stages_table(us_cli *cli, const us_flow_result *r, int64_t wall_ns)
{
    us_rtable *t = NULL;
    char time[32];
    size_t n_stale = 0;
    US_TRY(stage_rows(cli, r, &t));
    US_TRY(us_out_table(cli, t));
    remarks(cli, r);
    US_TRY(gate_rows(cli, r));
    for (size_t i = 0; i < r->n; i++)
        n_stale += r->rows[i].state == US_STAGE_STALE;
    if (wall_ns >= 0)
        us_outf(cli->out, "\n%zu stage%s executed in %s\n", r->n_ran, r->n_ran == 1 ? "" : "s",
                us_print_duration(wall_ns, time));
    else if (n_stale)
        us_outf(cli->out, "\n`usta run` would execute %zu stage%s\n", n_stale,
                n_stale == 1 ? "" : "s");
    else
        us_outf(cli->out, "\nup to date\n");
    return US_OK;
}

static us_err row_json(us_cli *cli, const us_flow_row *row, json_t *list)
{
    json_t *j = json_pack("{s:s,s:s,s:s,s:f,s:s,s:s,s:O}", "stage", row->stage, "state",
                          us_stage_state_name(row->state), "key", row->key.hex, "seconds",
                          (double)row->wall_ns / 1e9, "evidence", row->evidence, "why",
                          row->why, "facts", row->facts ? row->facts : json_null());
    return !j || json_array_append_new(list, j) ? us_nomem(cli->c) : US_OK;
}

us_err us_stages_json(us_cli *cli, const us_flow_result *r, us_err e, const char *error)
{
    json_t *all = NULL, *list = NULL;
    US_TRY(us_json_keep(cli->c, cli->arena, all = json_object()));
    if (json_object_set_new(all, "stages", list = json_array())) return us_nomem(cli->c);
    for (size_t i = 0; i < r->n; i++)
        US_TRY(row_json(cli, &r->rows[i], list));
    json_object_set_new(all, "executed", json_integer((json_int_t)r->n_ran));
    json_object_set_new(all, "ok", json_boolean(e == US_OK));
    if (e != US_OK) json_object_set_new(all, "error", json_string(error));
    return us_out_json(cli, all);
}
