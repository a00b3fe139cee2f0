/* serve/deploy.c - see deploy.h. */
#include "serve/deploy.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/background.h"

static us_err choose_model(us_ctx *c, us_arena *a, us_store *s, const char *model,
                           us_model_rec *out)
{
    if (model && model[0]) {
        us_hash h;
        US_TRY(us_store_resolve(s, c, model, &h));
        return us_store_model(s, c, a, &h, out);
    }
    return us_store_current_model(s, c, a, out);
}

us_err us_deploy_choose(us_ctx *c, us_arena *a, us_store *s, const char *model, bool force,
                        us_choice *out)
{
    us_choice r = {0};
    US_TRY(choose_model(c, a, s, model, &r.model));
    us_err e = us_store_validation_of(s, c, a, &r.model.hash, &r.validation);
    if (e != US_OK && e != US_NOTFOUND) return e;
    bool passed = e == US_OK && r.validation.passed;
    if (e == US_NOTFOUND) r.validation = (us_validation_rec){0};
    if (!passed && !force)
        return us_fail(
            c, US_NO, "model %.12s %s; `usta run` validates it, --force serves it all the same",
            r.model.hash.hex,
            e == US_OK ? "did not pass its validation" : "has no validation record");
    if (!passed)
        us_logf(c, US_LOG_WARN,
                "model %.12s is served without a passing validation record, as --force asks",
                r.model.hash.hex);
    r.forced = !passed;
    *out = r;
    return US_OK;
}

us_err us_deploy_running(us_ctx *c, us_arena *a, us_store *s, us_deployment_rec *out)
{
    us_deployment_rec *all;
    size_t n;
    US_TRY(us_store_deployments(s, c, a, 0, &all, &n));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].state, "running") != 0) continue;
        if (us_serve_alive(all[i].pid)) {
            *out = all[i];
            return US_OK;
        }
        US_TRY(us_store_set_deployment(s, c, &all[i].hash, "gone", 0));
    }
    return us_fail(c, US_NOTFOUND, "no server of this project is running");
}

us_err us_deploy_stop(us_ctx *c, us_store *s, const us_deployment_rec *d)
{
    us_err e = us_serve_kill(c, d->pid);
    if (e != US_OK && e != US_NOTFOUND) return e;
    return us_store_set_deployment(s, c, &d->hash, "stopped", 0);
}

us_err us_deploy_record(us_ctx *c, us_arena *a, us_store *s, const us_choice *what,
                        const char *endpoint, us_hash *out)
{
    int64_t now = us_wall_us();
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "model", what->model.hash.hex, "validation",
                  what->validation.hash.hex, "endpoint", endpoint, "pid", (json_int_t)getpid(),
                  "started_us", (json_int_t)now, "forced", what->forced);
    us_deployment_rec r = {.model = what->model.hash,
                           .validation = what->validation.hash,
                           .state = "running",
                           .endpoint = endpoint,
                           .pid = getpid(),
                           .created_us = now,
                           .facts = what->forced ? "{\"forced\":true}" : "{\"forced\":false}"};
    US_TRY(us_json_keep(c, a, j));
    US_TRY(us_store_put_json(s, c, j, &r.hash));
    US_TRY(us_store_put_deployment(s, c, &r));
    *out = r.hash;
    return US_OK;
}

us_err us_deploy_name(us_ctx *c, us_arena *a, const us_model_rec *m, const char **out)
{
    us_sv name = us_sv_of(m->name);
    if (!name.n) name = US_SV("model");
    if (name.n > 100) name.n = 100;
    char *z = us_str_dup(a, name);
    if (!z) return us_arena_fail(c, a);
    for (size_t i = 0; i < name.n; i++) {
        char ch = z[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                  (ch >= '0' && ch <= '9') || ch == '.' || ch == '_' || ch == '-';
        if (!ok) z[i] = '-';
    }
    *out = z;
    return US_OK;
}
