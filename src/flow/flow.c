/* flow/flow.c - walking the table of stages: keys, finished records, running, recording.
 *
 * Nothing a stage does is visible in the workspace's records before its one transaction at the end; objects it wrote before
 * that are harmless, since they are named by their contents. So the only state a kill can leave is "this stage has not
 * run", and the next run starts there.
 */
#include "flow/flow.h"

#include <string.h>

#include "base/clock.h"
#include "flow/stage.h"

#define LOCK_WAIT_MS 10000

const char *us_stage_state_name(us_stage_state st)
{
    static const char *const names[] = {"-", "cached", "ran", "stale", "failed"};
    return names[st];
}

const char *us_flow_stage_name(size_t i)
{
    return i < us_n_stages ? us_stages[i].name : NULL;
}

/* ---- for the stages ---- */

us_err us_flow_input(us_flow *f, const char *name, us_hash *out)
{
    for (size_t i = 0; i < f->n_have; i++)
        if (strcmp(f->have[i].name, name) == 0) {
            *out = f->have[i].hash;
            return US_OK;
        }
    return us_fail(f->c, US_BUG, "no earlier stage makes '%s'", name);
}

bool us_flow_has_input(const us_flow *f, const char *name)
{
    for (size_t i = 0; i < f->n_have; i++)
        if (strcmp(f->have[i].name, name) == 0) return true;
    return false;
}

us_err us_made_add(us_flow *f, us_made *m, const char *name, const us_hash *h)
{
    if (m->n_out == US_FLOW_MAX_IO) return us_fail(f->c, US_BUG, "a stage makes too much");
    m->out[m->n_out++] = (us_io){name, *h};
    return US_OK;
}

us_err us_made_evidence(us_flow *f, us_made *m, const char *fmt, ...)
{
    us_buf b;
    us_buf_init(&b, f->c, 4096);
    va_list ap;
    va_start(ap, fmt);
    us_buf_addfv(&b, fmt, ap);
    va_end(ap);
    us_err e = us_buf_check(&b);
    if (e == US_OK && json_object_set_new(m->facts, "evidence", json_string(b.p)))
        e = us_nomem(f->c);
    us_buf_deinit(&b);
    return e;
}

/* ---- keys ---- */

/* Calls fn for each word of a blank-separated list. */
static us_err each_word(us_flow *f, const char *words,
                        us_err (*fn)(us_flow *f, const char *word, void *ud), void *ud)
{
    for (const char *p = words; *p;) {
        const char *end = strchr(p, ' ');
        us_sv word = {p, end ? (size_t)(end - p) : strlen(p)};
        char *z = us_str_dup(f->a, word);
        if (!z) return us_arena_fail(f->c, f->a);
        US_TRY(fn(f, z, ud));
        p = end ? end + 1 : p + word.n;
    }
    return US_OK;
}

static us_err add_section(us_flow *f, const char *word, void *ud)
{
    json_t *j = NULL;
    US_TRY(us_conf_section_json(f->c, f->conf, word, &j));
    return json_object_set_new(ud, word, j) ? us_nomem(f->c) : US_OK;
}

typedef struct inputs {
    us_io io[US_FLOW_MAX_IO];
    size_t n;
} inputs;

static us_err add_input(us_flow *f, const char *word, void *ud)
{
    inputs *in = ud;
    bool optional = word[0] == '?';
    if (optional && !us_flow_has_input(f, word + 1)) return US_OK;
    us_io io = {word + optional, {{0}}};
    US_TRY(us_flow_input(f, io.name, &io.hash));
    if (in->n == US_FLOW_MAX_IO) return us_fail(f->c, US_BUG, "a stage takes too much");
    in->io[in->n++] = io;
    return US_OK;
}

static us_err stage_key(us_flow *f, const us_stage *st, const json_t *config, const inputs *in,
                        us_hash *out)
{
    us_buf b;
    us_buf_init(&b, f->c, US_JSON_MAX_BYTES);
    us_err e = us_json_print(f->c, config, &b);
    if (e == US_OK) {
        us_hasher h;
        us_hasher_init(&h);
        us_hasher_add(&h, US_VERSION, strlen(US_VERSION));
        us_hasher_add(&h, st->name, strlen(st->name));
        us_hasher_add(&h, &st->version, sizeof st->version);
        us_hasher_add(&h, b.p, b.n);
        for (size_t i = 0; i < in->n; i++) {
            us_hasher_add(&h, in->io[i].name, strlen(in->io[i].name));
            us_hasher_add(&h, in->io[i].hash.hex, US_HASH_HEX);
        }
        us_hasher_done(&h, out);
    }
    us_buf_deinit(&b);
    return e;
}

/* Configuration, inputs and key of a stage. */
static us_err prepare(us_flow *f, const us_stage *st, json_t **config, inputs *in, us_hash *key)
{
    US_TRY(us_json_keep(f->c, f->a, *config = json_object()));
    US_TRY(each_word(f, st->sections, add_section, *config));
    in->n = 0;
    US_TRY(each_word(f, st->inputs, add_input, in));
    if (st->files) {
        size_t n = US_FLOW_MAX_IO - in->n;
        US_TRY(st->files(f, in->io + in->n, &n));
        in->n += n;
    }
    return stage_key(f, st, *config, in, key);
}

/* ---- one stage ---- */

static us_err take_outputs(us_flow *f, const us_io *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (f->n_have == US_FLOW_MAX_IO) return us_fail(f->c, US_BUG, "too many outputs");
        f->have[f->n_have++] = out[i];
    }
    return US_OK;
}

static us_err record_entities(us_flow *f, const us_made *m)
{
    if (m->snapshot) US_TRY(us_store_put_snapshot(f->s, f->c, m->snapshot));
    if (m->split) US_TRY(us_store_put_split(f->s, f->c, m->split));
    if (m->run) US_TRY(us_store_put_run(f->s, f->c, m->run));
    if (m->model) US_TRY(us_store_put_model(f->s, f->c, m->model));
    if (m->validation) US_TRY(us_store_put_validation(f->s, f->c, m->validation));
    if (m->deployment) US_TRY(us_store_put_deployment(f->s, f->c, m->deployment));
    return US_OK;
}

static us_err record(us_flow *f, const us_made *m, const us_stage_rec *rec)
{
    US_TRY(us_store_begin(f->s, f->c));
    us_err e = record_entities(f, m);
    if (e == US_OK && !m->refused) e = us_store_put_stage(f->s, f->c, rec);
    if (e == US_OK && !m->refused) e = us_store_set_current(f->s, f->c, rec->stage, &rec->key);
    if (e == US_OK) e = us_store_commit(f->s, f->c);
    if (e != US_OK) us_store_rollback(f->s);
    return e;
}

static us_err execute(us_flow *f, const us_stage *st, us_stage_rec *rec, us_flow_row *row)
{
    us_made m = {0};
    US_TRY(us_json_keep(f->c, f->a, m.facts = json_object()));
    uint64_t wall = us_now_ns(), cpu = us_cpu_ns();
    rec->start_us = us_wall_us();
    f->key = rec->key;
    us_err e = st->run(f, &m);
    rec->wall_ns = (int64_t)(us_now_ns() - wall);
    rec->cpu_ns = (int64_t)(us_cpu_ns() - cpu);
    row->wall_ns = rec->wall_ns;
    row->facts = m.facts;
    row->evidence = us_json_text_or(m.facts, "evidence", "");
    US_TRY(e);
    rec->facts = m.facts;
    rec->out = us_new_n(f->a, us_io, m.n_out);
    if (!rec->out) return us_arena_fail(f->c, f->a);
    memcpy(rec->out, m.out, m.n_out * sizeof *m.out);
    rec->n_out = m.n_out;
    US_TRY(record(f, &m, rec));
    if (m.refused)
        return us_fail(f->c, US_NO, "stage %s: %s", st->name,
                       row->evidence[0] ? row->evidence : "a requirement is not met");
    return US_OK;
}

static us_err find_finished(us_flow *f, const us_hash *key, us_stage_rec *rec, bool *found,
                            const char **gone)
{
    us_err e = us_store_find_stage(f->s, f->c, f->a, key, rec);
    *found = false;
    *gone = NULL;
    if (e == US_NOTFOUND) return US_OK;
    US_TRY(e);
    for (size_t i = 0; i < rec->n_out; i++)
        if (!us_store_has(f->s, &rec->out[i].hash)) *gone = rec->out[i].name;
    *found = *gone == NULL;
    return US_OK;
}

static us_err make_current(us_flow *f, const us_stage *st, const us_hash *key)
{
    us_stage_rec now;
    us_err e = us_store_current_stage(f->s, f->c, f->a, st->name, &now);
    if (e == US_OK && us_hash_eq(&now.key, key)) return US_OK;
    if (e != US_OK && e != US_NOTFOUND) return e;
    return us_store_set_current(f->s, f->c, st->name, key);
}

static us_err why_text(us_flow *f, const us_stage *st, const json_t *config, const inputs *in,
                       const char *gone, const char **out)
{
    if (f->opts->force && !f->opts->dry) {
        *out = "--force";
        return US_OK;
    }
    if (gone) {
        *out = us_str_printf(f->a, "its output '%s' is missing in the workspace", gone);
        return *out ? US_OK : us_arena_fail(f->c, f->a);
    }
    return us_flow_why(f, st, config, in->io, in->n, out);
}

static us_err one_stage(us_flow *f, const us_stage *st, us_flow_row *row)
{
    inputs in = {0};
    json_t *config = NULL;
    us_stage_rec rec = {0};
    bool found = false;
    const char *gone = NULL;
    row->state = US_STAGE_FAILED;
    US_TRY(us_ctx_poll(f->c));
    US_TRY(prepare(f, st, &config, &in, &row->key));
    US_TRY(find_finished(f, &row->key, &rec, &found, &gone));
    if (found && !(f->opts->force && !f->opts->dry)) {
        row->facts = rec.facts;
        row->evidence = us_json_text_or(rec.facts, "evidence", "");
        if (!f->opts->dry) US_TRY(make_current(f, st, &row->key));
        row->state = US_STAGE_CACHED;
    } else {
        US_TRY(why_text(f, st, config, &in, gone, &row->why));
        if (f->opts->dry) {
            row->state = US_STAGE_STALE;
            return US_OK;
        }
        if (f->opts->tell) {
            us_flow_row begin = *row;
            begin.state = US_STAGE_PENDING;
            f->opts->tell(f->opts->ud, &begin);
        }
        rec = (us_stage_rec){.stage = st->name,
                             .key = row->key,
                             .program = US_VERSION,
                             .config = config,
                             .in = in.io,
                             .n_in = in.n};
        US_TRY(execute(f, st, &rec, row));
        row->state = US_STAGE_RAN;
    }
    US_TRY(take_outputs(f, rec.out, rec.n_out));
    if (st->settle && !f->opts->dry) {
        us_err e = st->settle(f, &rec, row);
        if (e != US_OK) row->state = US_STAGE_FAILED;
        US_TRY(e);
    }
    return US_OK;
}

/* ---- all of them ---- */

static us_err check_until(us_ctx *c, const char *until)
{
    if (!until) return US_OK;
    const char *names[64];
    size_t n = 0;
    for (; n < us_n_stages && n < US_LEN(names); n++) {
        names[n] = us_stages[n].name;
        if (strcmp(until, names[n]) == 0) return US_OK;
    }
    const char *near = us_nearest(us_sv_of(until), names, n);
    if (near) return us_fail(c, US_ARG, "no stage '%s'; did you mean '%s'?", until, near);
    return us_fail(c, US_ARG, "no stage '%s'; they begin with %s and end with %s", until,
                   names[0], names[n - 1]);
}

/* The model file is written over what is there: only where a model belongs, never over the data or the project. */
static us_err check_package_path(const us_flow *f)
{
    const char *path = f->conf->package.path;
    if (us_sv_ends(us_sv_of(path), ".onnx")) return US_OK;
    return us_fail(f->c, US_ARG,
                   "package.path: '%s' would be overwritten by the model; expected a name that "
                   "ends in .onnx",
                   path);
}

static us_err follow(us_flow *f, const char *stage, us_flow_row *row)
{
    row->state = US_STAGE_STALE;
    row->why = us_str_printf(f->a, "follows %s", stage);
    return row->why ? US_OK : us_arena_fail(f->c, f->a);
}

static us_err walk(us_flow *f, us_flow_result *out)
{
    const char *stale = NULL; /* status: the first stage that would run */
    for (size_t i = 0; i < us_n_stages; i++) {
        us_flow_row *row = &out->rows[i];
        us_err e = stale ? follow(f, stale, row) : one_stage(f, &us_stages[i], row);
        if (row->wall_ns > 0) out->n_ran++;
        if (row->state == US_STAGE_STALE && !stale) stale = row->stage;
        if (e == US_NO) out->gate_ok = false;
        if (f->opts->tell && !f->opts->dry) f->opts->tell(f->opts->ud, row);
        US_TRY(e);
        if (f->opts->until && strcmp(f->opts->until, row->stage) == 0) break;
    }
    return US_OK;
}

us_err us_flow_run(us_ctx *c, us_arena *a, us_store *s, const us_conf *conf,
                   const us_flow_opts *opts, us_flow_result *out)
{
    us_flow_result r = {.gate_ok = true};
    us_flow f = {.c = c, .a = a, .s = s, .conf = conf, .opts = opts};
    r.rows = us_new_n(a, us_flow_row, us_n_stages);
    if (!r.rows) return us_arena_fail(c, a);
    r.n = us_n_stages;
    for (size_t i = 0; i < r.n; i++)
        r.rows[i] = (us_flow_row){.stage = us_stages[i].name, .evidence = "", .why = ""};
    *out = r;
    US_TRY(check_until(c, opts->until));
    US_TRY(check_package_path(&f));
    if (opts->dry) return walk(&f, out);
    US_TRY(us_store_lock(s, c, "usta run", LOCK_WAIT_MS));
    us_err e = walk(&f, out);
    us_store_unlock(s);
    return e;
}
