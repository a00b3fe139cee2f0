/* store/stage.c - finished stages: what went in, what came out, with which configuration and figures. */
#include <string.h>

#include "store/db.h"

static us_err add_io(us_store *s, us_ctx *c, int64_t id, const us_io *io, size_t n, bool is_out)
{
    for (size_t i = 0; i < n; i++)
        US_TRY(us_db_run(s, c, "INSERT INTO stage_io VALUES (?, ?, ?, ?, ?)", "iiith", id,
                         (int64_t)is_out, (int64_t)i, io[i].name, &io[i].hash));
    return US_OK;
}

static us_err add_edges(us_store *s, us_ctx *c, const us_stage_rec *r)
{
    for (size_t i = 0; i < r->n_in; i++)
        for (size_t k = 0; k < r->n_out; k++)
            if (!us_hash_eq(&r->in[i].hash, &r->out[k].hash))
                US_TRY(us_db_run(s, c, "INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", "hht",
                                 &r->in[i].hash, &r->out[k].hash, r->stage));
    return US_OK;
}

static us_err upsert(us_store *s, us_ctx *c, const us_stage_rec *r, int64_t *id)
{
    us_buf config, facts;
    us_buf_init(&config, c, US_JSON_MAX_BYTES);
    us_buf_init(&facts, c, US_JSON_MAX_BYTES);
    us_err e = us_json_print(c, r->config, &config);
    if (e == US_OK) e = us_json_print(c, r->facts, &facts);
    sqlite3_stmt *st = NULL;
    if (e == US_OK)
        e = us_db_prepare(
            s, c, &st,
            "INSERT INTO stages(key, stage, program, config, facts, start_us, wall_ns, cpu_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET "
            "config=excluded.config,"
            " facts=excluded.facts, start_us=excluded.start_us, wall_ns=excluded.wall_ns,"
            " cpu_ns=excluded.cpu_ns RETURNING id",
            "htttt"
            "iii",
            &r->key, r->stage, r->program, config.p, facts.p, r->start_us, r->wall_ns,
            r->cpu_ns);
    bool row = false;
    if (e == US_OK) e = us_db_step(s, c, st, &row);
    if (e == US_OK) *id = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    us_buf_deinit(&config);
    us_buf_deinit(&facts);
    return e;
}

us_err us_store_put_stage(us_store *s, us_ctx *c, const us_stage_rec *r)
{
    int64_t id = 0;
    US_TRY(upsert(s, c, r, &id));
    US_TRY(us_db_run(s, c, "DELETE FROM stage_io WHERE stage_id=?", "i", id));
    US_TRY(add_io(s, c, id, r->in, r->n_in, false));
    US_TRY(add_io(s, c, id, r->out, r->n_out, true));
    return add_edges(s, c, r);
}

/* ---- reading ---- */

static us_err read_io(us_store *s, us_ctx *c, us_arena *a, int64_t id, bool is_out, us_io **out,
                      size_t *n)
{
    sqlite3_stmt *st = NULL;
    US_VEC(us_io) v = {0};
    bool row = false;
    US_TRY(us_db_prepare(
        s, c, &st, "SELECT name, hash FROM stage_io WHERE stage_id=? AND is_out=? ORDER BY pos",
        "ii", id, (int64_t)is_out));
    us_err e = US_OK;
    for (;;) {
        us_io io = {0};
        US_GO(us_db_step(s, c, st, &row));
        if (!row) break;
        US_GO(us_db_text(c, a, st, 0, false, &io.name));
        us_db_hash(st, 1, &io.hash);
        US_GO(us_vec_push(c, a, &v, io));
    }
    *out = v.at;
    *n = v.n;
out:
    sqlite3_finalize(st);
    return e;
}

static us_err read_json(us_ctx *c, us_arena *a, sqlite3_stmt *st, int i_col, json_t **out)
{
    us_sv text = {(const char *)sqlite3_column_text(st, i_col),
                  (size_t)sqlite3_column_bytes(st, i_col)};
    return us_json_parse(c, a, "workspace record", text, 0, out);
}

#define COLUMNS                                                                                \
    "s.id, s.key, s.stage, s.program, s.config, s.facts, s.start_us, s.wall_ns, s.cpu_ns"

static us_err read_stage(us_store *s, us_ctx *c, us_arena *a, sqlite3_stmt *st,
                         const char *what, us_stage_rec *out)
{
    us_stage_rec r = {0};
    bool row = false;
    us_err e = US_OK;
    int64_t id = 0;
    US_GO(us_db_step(s, c, st, &row));
    if (!row) {
        e = us_fail(c, US_NOTFOUND, "no finished record of %s", what);
        goto out;
    }
    id = sqlite3_column_int64(st, 0);
    us_db_hash(st, 1, &r.key);
    US_GO(us_db_text(c, a, st, 2, false, &r.stage));
    US_GO(us_db_text(c, a, st, 3, false, &r.program));
    US_GO(read_json(c, a, st, 4, &r.config));
    US_GO(read_json(c, a, st, 5, &r.facts));
    r.start_us = sqlite3_column_int64(st, 6);
    r.wall_ns = sqlite3_column_int64(st, 7);
    r.cpu_ns = sqlite3_column_int64(st, 8);
    US_GO(read_io(s, c, a, id, false, &r.in, &r.n_in));
    US_GO(read_io(s, c, a, id, true, &r.out, &r.n_out));
    *out = r;
out:
    sqlite3_finalize(st);
    return e;
}

us_err us_store_find_stage(us_store *s, us_ctx *c, us_arena *a, const us_hash *key,
                           us_stage_rec *out)
{
    sqlite3_stmt *st = NULL;
    US_TRY(
        us_db_prepare(s, c, &st, "SELECT " COLUMNS " FROM stages s WHERE s.key=?", "h", key));
    return read_stage(s, c, a, st, "this key", out);
}

us_err us_store_last_stage(us_store *s, us_ctx *c, us_arena *a, const char *stage,
                           us_stage_rec *out)
{
    sqlite3_stmt *st = NULL;
    US_TRY(us_db_prepare(
        s, c, &st,
        "SELECT " COLUMNS
        " FROM stages s WHERE s.stage=? ORDER BY s.start_us DESC, s.id DESC LIMIT 1",
        "t", stage));
    return read_stage(s, c, a, st, stage, out);
}

bool us_store_stage_whole(us_store *s, const us_stage_rec *r)
{
    for (size_t i = 0; i < r->n_out; i++)
        if (!us_store_has(s, &r->out[i].hash)) return false;
    return true;
}

us_err us_store_set_current(us_store *s, us_ctx *c, const char *stage, const us_hash *key)
{
    return us_db_run(
        s, c,
        "INSERT INTO current VALUES (?1, ?2) ON CONFLICT(stage) DO UPDATE SET key=?2"
        " WHERE key<>?2",
        "th", stage, key);
}

us_err us_store_current_stage(us_store *s, us_ctx *c, us_arena *a, const char *stage,
                              us_stage_rec *out)
{
    sqlite3_stmt *st = NULL;
    US_TRY(us_db_prepare(s, c, &st,
                         "SELECT " COLUMNS
                         " FROM stages s JOIN current k ON k.key=s.key WHERE k.stage=?",
                         "t", stage));
    return read_stage(s, c, a, st, stage, out);
}
