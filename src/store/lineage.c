/* store/lineage.c - walking the edges either way, names for hashes, and looking whether everything is whole. */
#include <string.h>

#include "base/file.h"
#include "base/map.h"
#include "store/db.h"

#define MAX_NODES 100000

/* Every table that names a hash, with one line for people; the stage outputs and files outside come last. */
#define NAMES                                                                                  \
    "SELECT 'snapshot', n_rows || ' rows, ' || n_columns || ' columns of ' || source FROM "    \
    "snapshots WHERE hash=?1 "                                                                 \
    "UNION ALL SELECT 'split', kind || ', seed ' || seed || ': ' || n_train || ' + ' || "      \
    "n_validation || ' + ' || "                                                                \
    "n_test FROM splits WHERE hash=?1 "                                                        \
    "UNION ALL SELECT 'run', family || ', seed ' || seed FROM runs WHERE id=?1 "               \
    "UNION ALL SELECT 'model', name || ' (' || task || ')' FROM models WHERE hash=?1 "         \
    "UNION ALL SELECT 'validation', CASE passed WHEN 1 THEN 'passed' ELSE 'failed' END FROM "  \
    "validations WHERE hash=?1 "                                                               \
    "UNION ALL SELECT 'deployment', state || ' ' || endpoint FROM deployments WHERE hash=?1 "  \
    "UNION ALL SELECT 'window', n_rows || ' rows, ' || CASE drift WHEN 1 THEN 'drift' ELSE "   \
    "'no drift' END "                                                                          \
    "FROM monitor_windows WHERE hash=?1 "                                                      \
    "UNION ALL SELECT 'file', path FROM file_hashes WHERE hash=?1 "                            \
    "UNION ALL SELECT name, 'of stage ' || stage FROM stage_io JOIN stages ON id=stage_id "    \
    "WHERE hash=?1 LIMIT 1"

static us_err describe(us_store *s, us_ctx *c, us_arena *a, us_lineage_row *r)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    us_err e = US_OK;
    US_TRY(us_db_prepare(s, c, &st, NAMES, "h", &r->hash));
    US_GO(us_db_step(s, c, st, &row));
    r->kind = "object";
    r->label = "";
    if (row) {
        US_GO(us_db_text(c, a, st, 0, false, &r->kind));
        US_GO(us_db_text(c, a, st, 1, false, &r->label));
    }
out:
    sqlite3_finalize(st);
    return e;
}

typedef US_VEC(us_lineage_row) rows_vec;

/* Neighbours of row i that are new. Rows move when the vector grows: copies only. */
static us_err visit(us_store *s, us_ctx *c, us_arena *a, bool up, us_map *seen, rows_vec *v,
                    size_t i)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    us_err e = US_OK;
    us_lineage_row at = v->at[i];
    US_TRY(us_db_prepare(s, c, &st,
                         up ? "SELECT src, via FROM edges WHERE dst=? ORDER BY via, src"
                            : "SELECT dst, via FROM edges WHERE src=? ORDER BY via, dst",
                         "h", &at.hash));
    for (;;) {
        US_GO(us_db_step(s, c, st, &row));
        if (!row) break;
        us_lineage_row r = {.from = at.hash, .depth = at.depth + 1};
        us_db_hash(st, 0, &r.hash);
        if (us_map_get(seen, us_sv_of(r.hash.hex)) != US_MAP_NONE) continue;
        if (v->n >= MAX_NODES) {
            e = us_fail(c, US_LIMIT, "more than %d objects hang together", MAX_NODES);
            goto out;
        }
        US_GO(us_db_text(c, a, st, 1, false, &r.via));
        US_GO(describe(s, c, a, &r));
        us_sv key = {0};
        US_GO(us_sv_dup(c, a, us_sv_of(r.hash.hex), &key));
        US_GO(us_map_put(c, seen, key, (uint32_t)v->n, NULL));
        US_GO(us_vec_push(c, a, v, r));
    }
out:
    sqlite3_finalize(st);
    return e;
}

us_err us_store_lineage(us_store *s, us_ctx *c, us_arena *a, const us_hash *start, bool up,
                        us_lineage_row **out, size_t *n)
{
    us_map seen;
    us_map_init(&seen, a);
    rows_vec v = {0};
    us_lineage_row first = {.hash = *start, .via = ""};
    US_TRY(describe(s, c, a, &first));
    us_sv key = {0};
    US_TRY(us_sv_dup(c, a, us_sv_of(start->hex), &key));
    US_TRY(us_map_put(c, &seen, key, 0, NULL));
    US_TRY(us_vec_push(c, a, &v, first));
    for (size_t i = 0; i < v.n; i++)
        US_TRY(visit(s, c, a, up, &seen, &v, i));
    *out = v.at;
    *n = v.n;
    return US_OK;
}

us_err us_store_resolve(us_store *s, us_ctx *c, const char *prefix, us_hash *out)
{
    size_t n = strlen(prefix);
    if (n < 4 || n > US_HASH_HEX || strspn(prefix, "0123456789abcdef") != n)
        return us_fail(c, US_ARG, "'%s' is no id: expected 4 to %d of the digits 0-9 a-f",
                       prefix, US_HASH_HEX);
    sqlite3_stmt *st = NULL;
    char upto[US_HASH_HEX + 2];
    memcpy(upto, prefix, n);
    upto[n] = 'g'; /* sorts after every digit */
    upto[n + 1] = 0;
    US_TRY(us_db_prepare(s, c, &st,
                         "SELECT hash FROM stage_io WHERE hash>=?1 AND hash<?2 UNION"
                         " SELECT src FROM edges WHERE src>=?1 AND src<?2 UNION"
                         " SELECT dst FROM edges WHERE dst>=?1 AND dst<?2 LIMIT 2",
                         "tt", prefix, upto));
    us_hash found = {{0}};
    bool row = false;
    us_err e = us_db_step(s, c, st, &row);
    if (e == US_OK && !row)
        e = us_fail(c, US_NOTFOUND, "nothing in '%s' has an id that begins with '%s'", s->dir,
                    prefix);
    if (e == US_OK) {
        us_db_hash(st, 0, &found);
        e = us_db_step(s, c, st, &row);
        if (e == US_OK && row)
            e = us_fail(c, US_ARG, "several ids begin with '%s'; give more digits", prefix);
    }
    sqlite3_finalize(st);
    if (e == US_OK) *out = found;
    return e;
}

/* ---- check ---- */

static us_err finding(us_ctx *c, us_arena *a, us_store_report *r, const char *fmt,
                      const char *what)
{
    if (r->first) return US_OK;
    char *z = us_str_printf(a, "%s: %s", fmt, what);
    if (!z) return us_arena_fail(c, a);
    r->first = z;
    return US_OK;
}

static us_err check_db(us_store *s, us_ctx *c, us_arena *a, us_store_report *r)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    const char *text = "";
    US_TRY(us_db_prepare(s, c, &st, "PRAGMA integrity_check(1)", ""));
    us_err e = us_db_step(s, c, st, &row);
    if (e == US_OK && row) e = us_db_text(c, a, st, 0, false, &text);
    sqlite3_finalize(st);
    US_TRY(e);
    r->db_ok = strcmp(text, "ok") == 0;
    if (!r->db_ok) US_TRY(finding(c, a, r, "usta.db", text));
    US_TRY(us_db_prepare(s, c, &st, "PRAGMA foreign_key_check", ""));
    e = us_db_step(s, c, st, &row);
    if (e == US_OK && row) {
        r->db_ok = false;
        e = us_db_text(c, a, st, 0, false, &text);
        if (e == US_OK)
            e = finding(c, a, r, "usta.db: a row without its parent in table", text);
    }
    sqlite3_finalize(st);
    return e;
}

static us_err check_object(us_store *s, us_ctx *c, us_arena *a, const char *dir,
                           const char *name, us_store_report *r)
{
    us_hash want = {{0}}, now;
    memcpy(want.hex, dir, 2);
    memcpy(want.hex + 2, name, US_HASH_HEX - 2);
    us_file *f = NULL;
    US_TRY(us_store_get(s, c, &want, false, &f));
    us_hash_bytes(us_file_data(f), us_file_size(f), &now);
    r->n_objects++;
    r->n_bytes += us_file_size(f);
    us_file_close(f);
    if (us_hash_eq(&want, &now)) return US_OK;
    r->n_bad++;
    return finding(c, a, r, "object damaged (contents differ from its name's hash)", want.hex);
}

static us_err check_objects(us_store *s, us_ctx *c, us_arena *a, us_store_report *r)
{
    char *objects = us_path_join(a, s->dir, "objects");
    if (!objects) return us_arena_fail(c, a);
    char **dirs = NULL, **names = NULL;
    size_t n_dirs = 0, n_names = 0;
    US_TRY(us_dir_list(c, a, objects, &dirs, &n_dirs));
    for (size_t i = 0; i < n_dirs; i++) {
        if (strlen(dirs[i]) != 2) continue;
        char *path = us_path_join(a, objects, dirs[i]);
        if (!path) return us_arena_fail(c, a);
        US_TRY(us_dir_list(c, a, path, &names, &n_names));
        for (size_t k = 0; k < n_names; k++)
            if (strlen(names[k]) == US_HASH_HEX - 2)
                US_TRY(check_object(s, c, a, dirs[i], names[k], r));
    }
    return US_OK;
}

/* Outputs that records promise. */
static us_err check_promised(us_store *s, us_ctx *c, us_arena *a, us_store_report *r)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    us_err e = US_OK;
    US_TRY(us_db_prepare(s, c, &st, "SELECT DISTINCT hash FROM stage_io WHERE is_out=1", ""));
    for (;;) {
        us_hash h;
        US_GO(us_db_step(s, c, st, &row));
        if (!row) break;
        us_db_hash(st, 0, &h);
        if (us_store_has(s, &h)) continue;
        r->n_missing++;
        US_GO(finding(c, a, r, "object missing (`usta run` makes it again)", h.hex));
    }
out:
    sqlite3_finalize(st);
    return e;
}

us_err us_store_check(us_store *s, us_ctx *c, us_arena *a, us_store_report *out)
{
    us_store_report r = {0};
    US_TRY(check_db(s, c, a, &r));
    US_TRY(check_objects(s, c, a, &r));
    US_TRY(check_promised(s, c, a, &r));
    *out = r;
    return US_OK;
}
