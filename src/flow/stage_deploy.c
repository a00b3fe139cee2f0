/* flow/stage_deploy.c - deploy and monitor: what is served, and whether what it meets is what it was trained on.
 *
 * The deploy stage records what may be served: the model together with the validation record it stands on. Starting a server is
 * not a result that can be cached, so it is settled after the stage, every time it is asked for.
 */
#include <string.h>

#include "base/clock.h"
#include "flow/stage.h"
#include "monitor/run.h"
#include "serve/background.h"
#include "serve/deploy.h"

us_err us_stage_deploy(us_flow *f, us_made *m)
{
    us_hash model, validation, h;
    json_t *settings = NULL, *j = NULL;
    US_TRY(us_flow_input(f, "model", &model));
    US_TRY(us_flow_input(f, "validation", &validation));
    US_TRY(us_conf_section_json(f->c, f->conf, "deploy", &settings));
    US_TRY(us_json_keep(f->c, f->a, settings));
    US_TRY(us_json_keep(f->c, f->a,
                        j = json_pack("{s:i,s:s,s:s,s:O}", "version", 1, "model", model.hex,
                                      "validation", validation.hex, "settings", settings)));
    US_TRY(us_store_put_json(f->s, f->c, j, &h));
    US_TRY(us_made_add(f, m, "deployment", &h));
    m->deployment = us_new(f->a, us_deployment_rec);
    if (!m->deployment) return us_arena_fail(f->c, f->a);
    *m->deployment = (us_deployment_rec){.hash = h,
                                         .model = model,
                                         .validation = validation,
                                         .state = "ready",
                                         .endpoint = "",
                                         .created_us = us_wall_us()};
    return us_made_evidence(f, m, "ready: `usta serve` serves model %.12s on %s:%lld",
                            model.hex, f->conf->deploy.host, (long long)f->conf->deploy.port);
}

static us_err start(us_flow *f, const us_hash *model, const char **endpoint)
{
    us_spawned p;
    const us_conf_deploy *d = &f->conf->deploy;
    const char *port = us_str_printf(f->a, "--deploy.port=%lld", (long long)d->port);
    const char *host = us_str_printf(f->a, "--deploy.host=%s", d->host);
    if (!port || !host) return us_arena_fail(f->c, f->a);
    const char *flags[] = {"--model", model->hex, port, host, NULL};
    US_TRY(us_serve_spawn(f->c, f->a, f->conf->dir, us_store_dir(f->s), flags, &p));
    *endpoint = p.endpoint;
    return US_OK;
}

/* A server with this very model is up; another model's server is replaced. */
us_err us_settle_deploy(us_flow *f, const us_stage_rec *rec, us_flow_row *row)
{
    us_deployment_rec d;
    us_hash model;
    const char *endpoint = NULL;
    (void)rec;
    if (!f->opts->serve && !f->conf->deploy.background) return US_OK;
    US_TRY(us_flow_input(f, "model", &model));
    us_err e = us_deploy_running(f->c, f->a, f->s, &d);
    if (e != US_OK && e != US_NOTFOUND) return e;
    if (e == US_OK && us_hash_eq(&d.model, &model)) {
        endpoint = d.endpoint;
    } else {
        if (e == US_OK) US_TRY(us_deploy_stop(f->c, f->s, &d));
        US_TRY(start(f, &model, &endpoint));
    }
    row->evidence = us_str_printf(f->a, "serving model %.12s at %s", model.hex, endpoint);
    return row->evidence ? US_OK : us_arena_fail(f->c, f->a);
}

/* ---- monitor ---- */

/* The request log of this model and its older part, when there are any. */
us_err us_stage_monitor_files(us_flow *f, us_io *in, size_t *n)
{
    us_hash model;
    char *path = NULL;
    size_t k = 0;
    US_TRY(us_flow_input(f, "model", &model));
    US_TRY(us_reqlog_path(f->c, f->a, us_store_dir(f->s), model.hex, &path));
    char *older = us_str_printf(f->a, "%s.1", path);
    if (!older) return us_arena_fail(f->c, f->a);
    if (us_path_exists(older)) {
        US_TRY(us_store_hash_input(f->s, f->c, older, &in[k].hash));
        in[k++].name = "older served requests";
    }
    if (us_path_exists(path)) {
        US_TRY(us_store_hash_input(f->s, f->c, path, &in[k].hash));
        in[k++].name = "served requests";
    }
    *n = k;
    return US_OK;
}

static us_err monitor_evidence(us_flow *f, us_made *m, const us_monitor_result *r)
{
    const char *sentence = NULL;
    json_t *j = NULL;
    if (!r->n_windows) return us_made_evidence(f, m, "nothing served yet");
    US_TRY(us_monitor_json(f->c, f->a, r, &j));
    if (json_object_set(m->facts, "monitor", j)) return us_nomem(f->c);
    US_TRY(us_drift_sentence(f->c, f->a, &r->windows[r->n_windows - 1], &sentence));
    return us_made_evidence(f, m, "%s%zu of %zu windows with drift; last: %s",
                            r->windows[r->n_windows - 1].n_drifted ? "ALARM: " : "",
                            r->n_alarms, r->n_windows, sentence);
}

us_err us_stage_monitor(us_flow *f, us_made *m)
{
    us_file *file = NULL;
    us_monitor_result r = {0};
    us_monitor_opts o = {.alpha = f->conf->monitor.alpha,
                         .window_rows = (uint64_t)f->conf->monitor.window};
    US_TRY(us_flow_input(f, "model", &o.model));
    US_TRY(us_store_get(f->s, f->c, &o.model, true, &file));
    o.bytes = (us_sv){(const char *)us_file_data(file), us_file_size(file)};
    us_err e = us_monitor_run(f->c, f->a, f->s, &o, &r);
    us_file_close(file);
    if (e == US_NOTFOUND) return us_made_evidence(f, m, "nothing served yet");
    return e == US_OK ? monitor_evidence(f, m, &r) : e;
}
