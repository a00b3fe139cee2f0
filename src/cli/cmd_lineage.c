/* cli/cmd_lineage.c - `usta lineage ID`: what made this, and what it made. */
#include <string.h>

#include "cli/cli.h"
#include "store/store.h"

typedef struct lineage_args {
    const char *way;
} lineage_args;

static const us_opt lineage_opts[] = {{US_OPT_CHOICE, 0, "way", offsetof(lineage_args, way),
                                       "both", 0, 0, "", "both|up|down", NULL,
                                       "up: what made it; down: what it made"},
                                      {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

/* An id, the path of a file (by its contents), or nothing: the newest model. */
static us_err start_of(us_cli *cli, us_hash *out)
{
    if (!cli->n_args) {
        us_model_rec m;
        US_TRY(us_store_current_model(cli->store, cli->c, cli->arena, &m));
        *out = m.hash;
        return US_OK;
    }
    us_err e = us_store_resolve(cli->store, cli->c, cli->args[0], out);
    if (e == US_OK || !us_path_exists(cli->args[0])) return e;
    us_hash h;
    US_TRY(us_hash_file(cli->c, cli->args[0], &h));
    return us_store_resolve(cli->store, cli->c, h.hex, out);
}

static us_err way_json(us_cli *cli, const us_lineage_row *rows, size_t n, const char *way,
                       json_t *list)
{
    for (size_t i = 0; i < n; i++) {
        json_t *j =
            json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i}", "way", i ? way : "start", "id",
                      rows[i].hash.hex, "kind", rows[i].kind, "label", rows[i].label, "via",
                      rows[i].via, "from", rows[i].from.hex, "depth", rows[i].depth);
        if (!j || json_array_append_new(list, j)) return us_nomem(cli->c);
    }
    return US_OK;
}

static us_err way_table(us_cli *cli, const us_lineage_row *rows, size_t n, const char *title)
{
    us_rtable *t = NULL;
    US_TRY(us_rtable_new(cli->c, cli->arena, title, ">steps|kind|id|by|what", &t));
    for (size_t i = 0; i < n; i++) {
        us_rtable_cellf(t, "%d", rows[i].depth);
        us_rtable_cell(t, rows[i].kind);
        us_rtable_cellsv(t, (us_sv){rows[i].hash.hex, 12});
        us_rtable_cell(t, rows[i].via);
        us_rtable_cell(t, rows[i].label);
    }
    return us_out_table(cli, t);
}

static us_err run(us_cli *cli, void *args_)
{
    const lineage_args *args = args_;
    us_hash start;
    json_t *list = NULL;
    US_TRY(start_of(cli, &start));
    US_TRY(us_json_keep(cli->c, cli->arena, list = json_array()));
    for (int up = 1; up >= 0; up--) {
        us_lineage_row *rows = NULL;
        size_t n = 0;
        const char *way = up ? "up" : "down";
        if (strcmp(args->way, "both") != 0 && strcmp(args->way, way) != 0) continue;
        US_TRY(us_store_lineage(cli->store, cli->c, cli->arena, &start, up, &rows, &n));
        if (cli->json) {
            US_TRY(way_json(cli, rows, n, way, list));
        } else {
            if (!up && strcmp(args->way, "both") == 0) us_out_text(cli->out, "\n");
            US_TRY(way_table(cli, rows, n, up ? "made by" : "made"));
        }
    }
    return cli->json ? us_out_json(cli, list) : US_OK;
}

const us_cmd us_cmd_lineage = {"lineage",
                               "[ID|FILE]",
                               "what made this, what it made (default: the newest model)",
                               US_NEED_PROJECT | US_NEED_STORE_THERE,
                               0,
                               1,
                               lineage_opts,
                               sizeof(lineage_args),
                               run};
