/* flow/stage_validate.c - the gate: the packaged file judged on the test rows.
 *
 * A pass is a finished stage. A refusal is kept as a validation record too (it is evidence), but the stage does not count as
 * finished: the next run judges again, since latency and memory depend on what else the machine was doing.
 */
#include <string.h>

#include "base/clock.h"
#include "flow/stage.h"
#include "validate/validate.h"

typedef struct gate {
    us_material mat;
    us_file *model;
    us_file *baseline_files[3];
    us_validate_baseline baselines[3];
    us_validate_in in;
    us_validation result;
} gate;

static us_err open_baselines(us_flow *f, gate *g)
{
    static const char *const kinds[] = {"majority", "mean", "linear"};
    for (size_t i = 0; i < US_LEN(kinds); i++) {
        us_hash h;
        char *name = us_str_printf(f->a, "packaged_%s", kinds[i]);
        if (!name) return us_arena_fail(f->c, f->a);
        if (!us_flow_has_input(f, name)) continue;
        us_file **file = &g->baseline_files[g->in.n_baselines];
        US_TRY(us_flow_input(f, name, &h));
        US_TRY(us_store_get(f->s, f->c, &h, true, file));
        g->baselines[g->in.n_baselines++] = (us_validate_baseline){
            kinds[i], {(const char *)us_file_data(*file), us_file_size(*file)}};
    }
    g->in.baselines = g->baselines;
    return US_OK;
}

static us_err judge(us_flow *f, gate *g, us_hash *model)
{
    uint32_t *rows = NULL;
    US_TRY(us_material_open(f, &g->mat));
    US_TRY(us_flow_input(f, "model", model));
    US_TRY(us_store_get(f->s, f->c, model, true, &g->model));
    US_TRY(us_split_rows(f->c, f->a, &g->mat.split, US_PART_TEST, &rows, &g->in.n_rows));
    US_TRY(open_baselines(f, g));
    g->in.name = "model.onnx";
    g->in.model = (us_sv){(const char *)us_file_data(g->model), us_file_size(g->model)};
    g->in.model_hash = model->hex;
    g->in.table = g->mat.table;
    g->in.rows = rows;
    g->in.reqs = f->conf->requirements.list.at;
    g->in.n_reqs = f->conf->requirements.list.n;
    g->in.seed = (uint64_t)f->conf->validate.seed;
    g->in.n_resamples = (uint32_t)f->conf->validate.resamples;
    g->in.confident = f->conf->validate.confident;
    return us_validate(f->c, f->a, &g->in, &g->result);
}

static us_err gate_facts(us_flow *f, us_made *m, const gate *g)
{
    static const char *const keys[] = {"gate", "metrics", "latency_p99_ms",
                                       "memory_peak_bytes"};
    const us_validation *v = &g->result;
    size_t n_asked = 0;
    for (size_t i = 0; i < US_LEN(keys); i++) {
        json_t *x = json_object_get(v->record, keys[i]);
        if (x && json_object_set(m->facts, keys[i], x)) return us_nomem(f->c);
    }
    for (size_t i = 0; i < v->n; i++)
        n_asked += v->rows[i].requirement;
    if (v->passed)
        return us_made_evidence(
            f, m, "passed: %zu requirements, %zu standing checks, on %zu test rows", n_asked,
            v->n - n_asked, g->in.n_rows);
    for (size_t i = 0; i < v->n; i++)
        if (!v->rows[i].passed)
            return us_made_evidence(f, m, "REFUSED, %zu of %zu not met: %s is %s, required %s",
                                    v->n_failed, v->n, v->rows[i].what, v->rows[i].found,
                                    v->rows[i].required);
    return us_fail(f->c, US_BUG, "a refusal without a reason");
}

static us_err keep(us_flow *f, us_made *m, const gate *g, const us_hash *model)
{
    us_hash h;
    m->validation = us_new(f->a, us_validation_rec);
    if (!m->validation) return us_arena_fail(f->c, f->a);
    US_TRY(us_store_put_json(f->s, f->c, g->result.record, &h));
    US_TRY(us_made_add(f, m, "validation", &h));
    *m->validation = (us_validation_rec){
        .hash = h, .model = *model, .passed = g->result.passed, .created_us = us_wall_us()};
    m->refused = !g->result.passed;
    return gate_facts(f, m, g);
}

us_err us_stage_validate(us_flow *f, us_made *m)
{
    gate g = {0};
    us_hash model;
    us_err e = judge(f, &g, &model);
    if (e == US_OK) e = keep(f, m, &g, &model);
    for (size_t i = 0; i < US_LEN(g.baseline_files); i++)
        us_file_close(g.baseline_files[i]);
    us_file_close(g.model);
    us_material_close(&g.mat);
    return e;
}
