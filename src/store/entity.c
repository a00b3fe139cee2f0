/* store/entity.c - snapshots, splits, runs, models, validations, deployments, monitor windows.
 *
 * Each is named by a hash and written by an upsert, so that a stage that is repeated after a kill writes the same rows again.
 * The parent's hash is a foreign key and an edge of the lineage.
 */
#include <string.h>

#include "store/db.h"

static us_err edge(us_store *s, us_ctx *c, const us_hash *src, const us_hash *dst,
                   const char *via)
{
    if (!us_hash_is(src) || us_hash_eq(src, dst)) return US_OK;
    return us_db_run(s, c, "INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", "hht", src, dst,
                     via);
}

us_err us_store_put_snapshot(us_store *s, us_ctx *c, const us_snapshot_rec *r)
{
    return us_db_run(
        s, c,
        "INSERT INTO snapshots(hash, schema, source, n_rows, n_columns, facts, created_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(hash) DO UPDATE SET source=excluded.source,"
        " schema=excluded.schema, facts=excluded.facts",
        "hhtiiti", &r->hash, &r->schema, r->source, r->n_rows, r->n_columns, r->facts,
        r->created_us);
}

us_err us_store_put_split(us_store *s, us_ctx *c, const us_split_rec *r)
{
    US_TRY(us_db_run(s, c,
                     "INSERT INTO splits(hash, snapshot, kind, seed, n_train, n_validation, "
                     "n_test, created_us)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(hash) DO UPDATE SET "
                     "snapshot=excluded.snapshot,"
                     " kind=excluded.kind, seed=excluded.seed",
                     "hhtiiiii", &r->hash, &r->snapshot, r->kind, r->seed, r->n_train,
                     r->n_validation, r->n_test, r->created_us));
    return edge(s, c, &r->snapshot, &r->hash, "split");
}

us_err us_store_put_run(us_store *s, us_ctx *c, const us_run_rec *r)
{
    US_TRY(us_db_run(
        s, c,
        "INSERT INTO runs(id, split, family, config, metrics, seed, created_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET split=excluded.split,"
        " config=excluded.config, metrics=excluded.metrics",
        "hhtttii", &r->id, &r->split, r->family, r->config, r->metrics, r->seed,
        r->created_us));
    return edge(s, c, &r->split, &r->id, "train");
}

us_err us_store_put_model(us_store *s, us_ctx *c, const us_model_rec *r)
{
    US_TRY(us_db_run(
        s, c,
        "INSERT INTO models(hash, run, name, task, facts, created_us) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(hash) DO UPDATE SET run=coalesce(excluded.run, run), name=excluded.name,"
        " facts=excluded.facts",
        "hhttti", &r->hash, &r->run, r->name, r->task, r->facts, r->created_us));
    return edge(s, c, &r->run, &r->hash, "package");
}

us_err us_store_put_validation(us_store *s, us_ctx *c, const us_validation_rec *r)
{
    US_TRY(us_db_run(
        s, c,
        "INSERT INTO validations(hash, model, passed, facts, created_us) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT(hash) DO UPDATE SET passed=excluded.passed, facts=excluded.facts,"
        " created_us=excluded.created_us",
        "hhiti", &r->hash, &r->model, (int64_t)r->passed, r->facts, r->created_us));
    return edge(s, c, &r->model, &r->hash, "validate");
}

us_err us_store_put_deployment(us_store *s, us_ctx *c, const us_deployment_rec *r)
{
    US_TRY(us_db_run(
        s, c,
        "INSERT INTO deployments(hash, model, validation, state, endpoint, facts, pid, "
        "created_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(hash) DO UPDATE SET state=excluded.state,"
        " endpoint=excluded.endpoint, facts=excluded.facts, pid=excluded.pid",
        "hhhtttii", &r->hash, &r->model, &r->validation, r->state, r->endpoint, r->facts,
        r->pid, r->created_us));
    US_TRY(edge(s, c, &r->model, &r->hash, "deploy"));
    return edge(s, c, &r->validation, &r->hash, "deploy");
}

us_err us_store_put_window(us_store *s, us_ctx *c, const us_window_rec *r)
{
    US_TRY(us_db_run(
        s, c,
        "INSERT INTO monitor_windows(hash, model, source, n_rows, from_us, to_us, drift, facts,"
        " created_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(hash) DO UPDATE SET"
        " drift=excluded.drift, facts=excluded.facts",
        "hhtiiiiti", &r->hash, &r->model, r->source, r->n_rows, r->from_us, r->to_us,
        (int64_t)r->drift, r->facts, r->created_us));
    return edge(s, c, &r->model, &r->hash, "monitor");
}

us_err us_store_set_deployment(us_store *s, us_ctx *c, const us_hash *deployment,
                               const char *state, int64_t pid)
{
    return us_db_run(s, c, "UPDATE deployments SET state=?, pid=? WHERE hash=?", "tih", state,
                     pid, deployment);
}

/* ---- reading: one function per row type, one loop for all ---- */

typedef us_err read_row(us_ctx *c, us_arena *a, sqlite3_stmt *st, void *out);

static us_err read_all(us_store *s, us_ctx *c, us_arena *a, sqlite3_stmt *st, read_row *read,
                       size_t size, void **out, size_t *n)
{
    us_err e = US_OK;
    char *rows = NULL;
    size_t n_rows = 0, cap = 0;
    bool row = false;
    for (;;) {
        US_GO(us_db_step(s, c, st, &row));
        if (!row) break;
        US_GO(us_vec_reserve_at(c, a, (void **)&rows, &cap, n_rows, n_rows + 1, size,
                                _Alignof(max_align_t)));
        memset(rows + n_rows * size, 0, size);
        US_GO(read(c, a, st, rows + n_rows * size));
        n_rows++;
    }
    *out = rows;
    *n = n_rows;
out:
    sqlite3_finalize(st);
    return e;
}

/* The first row, or US_NOTFOUND with these words. */
static us_err read_one(us_store *s, us_ctx *c, us_arena *a, sqlite3_stmt *st, read_row *read,
                       void *out, const char *what)
{
    bool row = false;
    us_err e = us_db_step(s, c, st, &row);
    if (e == US_OK && !row) e = us_fail(c, US_NOTFOUND, "%s", what);
    if (e == US_OK) e = read(c, a, st, out);
    sqlite3_finalize(st);
    return e;
}

static us_err read_model(us_ctx *c, us_arena *a, sqlite3_stmt *st, void *out)
{
    us_model_rec r = {0};
    us_db_hash(st, 0, &r.hash);
    us_db_hash(st, 1, &r.run);
    US_TRY(us_db_text(c, a, st, 2, false, &r.name));
    US_TRY(us_db_text(c, a, st, 3, false, &r.task));
    US_TRY(us_db_text(c, a, st, 4, true, &r.facts));
    r.created_us = sqlite3_column_int64(st, 5);
    memcpy(out, &r, sizeof r);
    return US_OK;
}

static us_err read_validation(us_ctx *c, us_arena *a, sqlite3_stmt *st, void *out)
{
    us_validation_rec r = {0};
    us_db_hash(st, 0, &r.hash);
    us_db_hash(st, 1, &r.model);
    r.passed = sqlite3_column_int64(st, 2) != 0;
    US_TRY(us_db_text(c, a, st, 3, true, &r.facts));
    r.created_us = sqlite3_column_int64(st, 4);
    memcpy(out, &r, sizeof r);
    return US_OK;
}

static us_err read_deployment(us_ctx *c, us_arena *a, sqlite3_stmt *st, void *out)
{
    us_deployment_rec r = {0};
    us_db_hash(st, 0, &r.hash);
    us_db_hash(st, 1, &r.model);
    us_db_hash(st, 2, &r.validation);
    US_TRY(us_db_text(c, a, st, 3, false, &r.state));
    US_TRY(us_db_text(c, a, st, 4, false, &r.endpoint));
    US_TRY(us_db_text(c, a, st, 5, true, &r.facts));
    r.pid = sqlite3_column_int64(st, 6);
    r.created_us = sqlite3_column_int64(st, 7);
    memcpy(out, &r, sizeof r);
    return US_OK;
}

static us_err read_window(us_ctx *c, us_arena *a, sqlite3_stmt *st, void *out)
{
    us_window_rec r = {0};
    us_db_hash(st, 0, &r.hash);
    us_db_hash(st, 1, &r.model);
    US_TRY(us_db_text(c, a, st, 2, false, &r.source));
    r.n_rows = sqlite3_column_int64(st, 3);
    r.from_us = sqlite3_column_int64(st, 4);
    r.to_us = sqlite3_column_int64(st, 5);
    r.drift = sqlite3_column_int64(st, 6) != 0;
    US_TRY(us_db_text(c, a, st, 7, true, &r.facts));
    r.created_us = sqlite3_column_int64(st, 8);
    memcpy(out, &r, sizeof r);
    return US_OK;
}

#define MODEL_COLUMNS "SELECT hash, run, name, task, facts, created_us FROM models"

static int64_t sql_limit(size_t limit)
{
    return limit ? (int64_t)limit : -1;
}

us_err us_store_models(us_store *s, us_ctx *c, us_arena *a, size_t limit, us_model_rec **out,
                       size_t *n)
{
    sqlite3_stmt *st = NULL;
    void *rows = NULL;
    US_TRY(us_db_prepare(s, c, &st,
                         MODEL_COLUMNS " ORDER BY created_us DESC, rowid DESC LIMIT ?", "i",
                         sql_limit(limit)));
    US_TRY(read_all(s, c, a, st, read_model, sizeof(us_model_rec), &rows, n));
    *out = rows;
    return US_OK;
}

us_err us_store_model(us_store *s, us_ctx *c, us_arena *a, const us_hash *h, us_model_rec *out)
{
    sqlite3_stmt *st = NULL;
    US_TRY(us_db_prepare(s, c, &st, MODEL_COLUMNS " WHERE hash=?", "h", h));
    return read_one(s, c, a, st, read_model, out, "this model is not in the workspace");
}

us_err us_store_current_model(us_store *s, us_ctx *c, us_arena *a, us_model_rec *out)
{
    sqlite3_stmt *st = NULL;
    US_TRY(us_db_prepare(
        s, c, &st,
        MODEL_COLUMNS
        " ORDER BY hash IN (SELECT io.hash FROM current k JOIN stages g ON g.key=k.key"
        " JOIN stage_io io ON io.stage_id=g.id WHERE k.stage='package' AND io.is_out=1"
        " AND io.name='model') DESC, created_us DESC, rowid DESC LIMIT 1",
        ""));
    return read_one(s, c, a, st, read_model, out,
                    "no model in this workspace yet; `usta run` makes one");
}

us_err us_store_validation_of(us_store *s, us_ctx *c, us_arena *a, const us_hash *model,
                              us_validation_rec *out)
{
    sqlite3_stmt *st = NULL;
    US_TRY(us_db_prepare(
        s, c, &st,
        "SELECT hash, model, passed, facts, created_us FROM validations WHERE model=?"
        " ORDER BY created_us DESC, rowid DESC LIMIT 1",
        "h", model));
    return read_one(
        s, c, a, st, read_validation, out,
        "no validation record of this model; `usta run` or `usta validate` makes one");
}

us_err us_store_deployments(us_store *s, us_ctx *c, us_arena *a, size_t limit,
                            us_deployment_rec **out, size_t *n)
{
    sqlite3_stmt *st = NULL;
    void *rows = NULL;
    US_TRY(us_db_prepare(s, c, &st,
                         "SELECT hash, model, validation, state, endpoint, facts, pid, "
                         "created_us FROM deployments"
                         " ORDER BY created_us DESC, rowid DESC LIMIT ?",
                         "i", sql_limit(limit)));
    US_TRY(read_all(s, c, a, st, read_deployment, sizeof(us_deployment_rec), &rows, n));
    *out = rows;
    return US_OK;
}

us_err us_store_windows(us_store *s, us_ctx *c, us_arena *a, size_t limit, us_window_rec **out,
                        size_t *n)
{
    sqlite3_stmt *st = NULL;
    void *rows = NULL;
    US_TRY(us_db_prepare(
        s, c, &st,
        "SELECT hash, model, source, n_rows, from_us, to_us, drift, facts, created_us"
        " FROM monitor_windows ORDER BY created_us DESC, rowid DESC LIMIT ?",
        "i", sql_limit(limit)));
    US_TRY(read_all(s, c, a, st, read_window, sizeof(us_window_rec), &rows, n));
    *out = rows;
    return US_OK;
}
