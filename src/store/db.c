/* store/db.c - opening the workspace, its schema by numbered migrations, and running statements.
 *
 * A migration is one SQL script and one row in `migrations`, both in one transaction; a workspace with a number we do not know was
 * written by a newer usta and is refused, never guessed. WAL lets a server read while a run writes; synchronous=FULL because a
 * commit is one per stage and a record must survive a power cut, too.
 */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define BUSY_MS 10000

/* ---- statements ---- */

us_err us_db_fail(us_store *s, us_ctx *c, const char *what)
{
    int code = sqlite3_errcode(s->db) & 0xFF;
    if (code == SQLITE_NOMEM) return us_nomem(c);
    us_err e = code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? US_FORMAT
               : code == SQLITE_CONSTRAINT                     ? US_ARG
                                                               : US_IO;
    return us_fail(c, e, "workspace '%s/usta.db': %s: %s", s->dir, what, sqlite3_errmsg(s->db));
}

static void bind_all(sqlite3_stmt *st, const char *fmt, va_list ap)
{
    for (int i = 1; *fmt; fmt++, i++) {
        if (*fmt == 'i') {
            sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
        } else if (*fmt == 't') {
            const char *z = va_arg(ap, const char *);
            if (z) sqlite3_bind_text(st, i, z, -1, SQLITE_TRANSIENT);
        } else {
            const us_hash *h = va_arg(ap, const us_hash *);
            if (us_hash_is(h)) sqlite3_bind_text(st, i, h->hex, US_HASH_HEX, SQLITE_TRANSIENT);
        }
    }
}

static us_err prepare(us_store *s, us_ctx *c, sqlite3_stmt **out, const char *sql,
                      const char *fmt, va_list ap)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        return us_db_fail(s, c, "preparing a statement");
    bind_all(st, fmt, ap);
    *out = st;
    return US_OK;
}

us_err us_db_prepare(us_store *s, us_ctx *c, sqlite3_stmt **out, const char *sql,
                     const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    us_err e = prepare(s, c, out, sql, fmt, ap);
    va_end(ap);
    return e;
}

us_err us_db_step(us_store *s, us_ctx *c, sqlite3_stmt *st, bool *row)
{
    int r = sqlite3_step(st);
    if (r != SQLITE_ROW && r != SQLITE_DONE) return us_db_fail(s, c, "running a statement");
    *row = r == SQLITE_ROW;
    return US_OK;
}

us_err us_db_run(us_store *s, us_ctx *c, const char *sql, const char *fmt, ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    va_start(ap, fmt);
    us_err e = prepare(s, c, &st, sql, fmt, ap);
    va_end(ap);
    bool row = true;
    while (e == US_OK && row)
        e = us_db_step(s, c, st, &row);
    sqlite3_finalize(st);
    return e;
}

void us_db_hash(sqlite3_stmt *st, int i_col, us_hash *out)
{
    const char *z = (const char *)sqlite3_column_text(st, i_col);
    memset(out, 0, sizeof *out);
    if (z && strlen(z) == US_HASH_HEX) memcpy(out->hex, z, US_HASH_HEX);
}

us_err us_db_text(us_ctx *c, us_arena *a, sqlite3_stmt *st, int i_col, bool null_ok,
                  const char **out)
{
    const char *z = (const char *)sqlite3_column_text(st, i_col);
    if (!z && null_ok) {
        *out = NULL;
        return US_OK;
    }
    char *own = us_str_dup(a, us_sv_of(z));
    if (!own) return us_arena_fail(c, a);
    *out = own;
    return US_OK;
}

/* ---- migrations ---- */

typedef struct migration {
    int number;
    const char *name;
    const char *sql;
} migration;

static const migration migrations[] = {
    {1, "first",
     "CREATE TABLE stages ("
     "  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, stage TEXT NOT NULL, program TEXT "
     "NOT NULL,"
     "  config TEXT NOT NULL, facts TEXT NOT NULL, start_us INTEGER NOT NULL, wall_ns INTEGER "
     "NOT NULL,"
     "  cpu_ns INTEGER NOT NULL);"
     "CREATE INDEX stages_by_name ON stages(stage, start_us);"
     "CREATE TABLE stage_io ("
     "  stage_id INTEGER NOT NULL REFERENCES stages(id) ON DELETE CASCADE, is_out INTEGER NOT "
     "NULL,"
     "  pos INTEGER NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL,"
     "  PRIMARY KEY (stage_id, is_out, pos)) WITHOUT ROWID;"
     "CREATE INDEX stage_io_by_hash ON stage_io(hash);"
     "CREATE TABLE current (stage TEXT PRIMARY KEY, key TEXT NOT NULL REFERENCES stages(key) "
     "ON DELETE CASCADE);"
     "CREATE TABLE edges (src TEXT NOT NULL, dst TEXT NOT NULL, via TEXT NOT NULL,"
     "  PRIMARY KEY (src, dst, via)) WITHOUT ROWID;"
     "CREATE INDEX edges_by_dst ON edges(dst);"
     "CREATE TABLE snapshots (hash TEXT PRIMARY KEY, schema TEXT, source TEXT NOT NULL, n_rows "
     "INTEGER NOT NULL,"
     "  n_columns INTEGER NOT NULL, facts TEXT, created_us INTEGER NOT NULL);"
     "CREATE TABLE splits (hash TEXT PRIMARY KEY, snapshot TEXT NOT NULL REFERENCES "
     "snapshots(hash),"
     "  kind TEXT NOT NULL, seed INTEGER NOT NULL, n_train INTEGER NOT NULL, n_validation "
     "INTEGER NOT NULL,"
     "  n_test INTEGER NOT NULL, created_us INTEGER NOT NULL);"
     "CREATE TABLE runs (id TEXT PRIMARY KEY, split TEXT NOT NULL REFERENCES splits(hash), "
     "family TEXT NOT NULL,"
     "  config TEXT, metrics TEXT, seed INTEGER NOT NULL, created_us INTEGER NOT NULL);"
     "CREATE TABLE models (hash TEXT PRIMARY KEY, run TEXT REFERENCES runs(id), name TEXT NOT "
     "NULL,"
     "  task TEXT NOT NULL, facts TEXT, created_us INTEGER NOT NULL);"
     "CREATE TABLE validations (hash TEXT PRIMARY KEY, model TEXT NOT NULL REFERENCES "
     "models(hash),"
     "  passed INTEGER NOT NULL, facts TEXT, created_us INTEGER NOT NULL);"
     "CREATE INDEX validations_by_model ON validations(model, created_us);"
     "CREATE TABLE deployments (hash TEXT PRIMARY KEY, model TEXT NOT NULL REFERENCES "
     "models(hash),"
     "  validation TEXT REFERENCES validations(hash), state TEXT NOT NULL, endpoint TEXT NOT "
     "NULL, facts TEXT,"
     "  pid INTEGER NOT NULL, created_us INTEGER NOT NULL);"
     "CREATE TABLE monitor_windows (hash TEXT PRIMARY KEY, model TEXT NOT NULL REFERENCES "
     "models(hash),"
     "  source TEXT NOT NULL, n_rows INTEGER NOT NULL, from_us INTEGER NOT NULL, to_us INTEGER "
     "NOT NULL,"
     "  drift INTEGER NOT NULL, facts TEXT, created_us INTEGER NOT NULL);"
     "CREATE TABLE file_hashes (path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER "
     "NOT NULL,"
     "  inode INTEGER NOT NULL, hash TEXT NOT NULL);"},
};
_Static_assert(sizeof migrations / sizeof migrations[0] == US_STORE_VERSION,
               "US_STORE_VERSION is the number of the newest migration");

/* Number of the newest migration in the file; 0: none yet. */
static us_err version_of(us_store *s, us_ctx *c, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    int64_t v = 0;
    US_TRY(us_db_prepare(
        s, c, &st,
        "SELECT count(*) FROM sqlite_master WHERE type='table' AND name='migrations'", ""));
    us_err e = us_db_step(s, c, st, &row);
    bool there = e == US_OK && row && sqlite3_column_int64(st, 0) > 0;
    sqlite3_finalize(st);
    if (e == US_OK && there) {
        US_TRY(us_db_prepare(s, c, &st, "SELECT coalesce(max(number), 0) FROM migrations", ""));
        e = us_db_step(s, c, st, &row);
        if (e == US_OK) v = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
    }
    if (e == US_OK) *out = v;
    return e;
}

static us_err exec(us_store *s, us_ctx *c, const char *sql)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return us_db_fail(s, c, "running a script");
    return US_OK;
}

static us_err apply(us_store *s, us_ctx *c, int64_t have)
{
    US_TRY(exec(
        s, c,
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " applied_us INTEGER NOT NULL)"));
    for (size_t i = 0; i < US_LEN(migrations); i++) {
        if (migrations[i].number <= have) continue;
        US_TRY(exec(s, c, migrations[i].sql));
        US_TRY(us_db_run(s, c, "INSERT INTO migrations VALUES (?, ?, ?)", "iti",
                         (int64_t)migrations[i].number, migrations[i].name, us_wall_us()));
    }
    return US_OK;
}

us_err us_db_migrate(us_store *s, us_ctx *c)
{
    int64_t have = 0;
    US_TRY(version_of(s, c, &have));
    if (have == US_STORE_VERSION) return US_OK;
    if (have < US_STORE_VERSION) {
        /* take the write lock first and look again: another process may have been faster */
        US_TRY(us_store_begin(s, c));
        us_err e = version_of(s, c, &have);
        if (e == US_OK && have < US_STORE_VERSION) e = apply(s, c, have);
        if (e == US_OK) e = us_store_commit(s, c);
        if (e != US_OK) us_store_rollback(s);
        US_TRY(e);
    }
    if (have > US_STORE_VERSION)
        return us_fail(c, US_UNSUPP,
                       "workspace '%s' was written by a newer usta (version %lld, this one "
                       "knows up to %d); "
                       "use the newer program, nothing was changed",
                       s->dir, (long long)have, US_STORE_VERSION);
    return US_OK;
}

/* ---- open and close ---- */

static char *own_text(us_store *s, const char *a, const char *b, size_t *n)
{
    size_t na = strlen(a), nb = strlen(b);
    char *z = us_mem_get(&s->alloc, na + nb + 1, 1);
    if (!z) return NULL;
    memcpy(z, a, na);
    memcpy(z + na, b, nb + 1);
    *n = na + nb + 1;
    return z;
}

static us_err open_db(us_store *s, us_ctx *c, bool create)
{
    size_t n = 0;
    char *path = own_text(s, s->dir, "/usta.db", &n);
    if (!path) return us_nomem(c);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    bool fresh = !us_path_exists(path);
    us_err e = US_OK;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
        e = us_db_fail(s, c, "opening");
    us_mem_put(&s->alloc, path, n, 1);
    US_TRY(e);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    if (fresh) US_TRY(exec(s, c, "PRAGMA journal_mode=WAL"));
    return exec(s, c,
                "PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF");
}

static us_err make_dirs(us_store *s, us_ctx *c)
{
    size_t n = 0;
    char *objects = own_text(s, s->dir, "/objects", &n);
    if (!objects) return us_nomem(c);
    us_err e = us_mkdirs(c, objects);
    us_mem_put(&s->alloc, objects, n, 1);
    return e;
}

us_err us_store_open(us_ctx *c, const char *dir, bool create, us_store **out)
{
    us_err e = US_OK;
    us_store *s = us_mem_get(&c->alloc, 1, sizeof *s);
    if (!s) return us_nomem(c);
    s->alloc = c->alloc;
    s->lock_fd = -1;
    bool here = strcmp(dir, ".") == 0;
    s->dir =
        own_text(s, here ? "" : dir, here ? US_STORE_DIR : "/" US_STORE_DIR, &s->dir_bytes);
    s->lock_path = s->dir ? own_text(s, s->dir, "/lock", &s->lock_path_bytes) : NULL;
    s->path_bytes = s->dir_bytes + sizeof "/objects/ab/" + US_HASH_HEX;
    s->path = us_mem_get(&s->alloc, s->path_bytes, 1);
    if (!s->lock_path || !s->path) {
        e = us_nomem(c);
        goto out;
    }
    if (!create && !us_path_is_dir(s->dir)) {
        e = us_fail(c, US_NOTFOUND, "no workspace '%s' yet; `usta run` makes one", s->dir);
        goto out;
    }
    if (sodium_init() < 0) {
        e = us_fail(c, US_BUG, "libsodium does not start");
        goto out;
    }
    if (create) US_GO(make_dirs(s, c));
    US_GO(open_db(s, c, create));
    US_GO(us_db_migrate(s, c));
out:
    if (e != US_OK)
        us_store_close(s);
    else
        *out = s;
    return e;
}

void us_store_close(us_store *s)
{
    if (!s) return;
    us_store_rollback(s);
    sqlite3_close(s->db);
    us_store_unlock(s);
    us_alloc a = s->alloc;
    us_mem_put(&a, s->dir, s->dir_bytes, 1);
    us_mem_put(&a, s->lock_path, s->lock_path_bytes, 1);
    us_mem_put(&a, s->path, s->path_bytes, 1);
    us_mem_put(&a, s, 1, sizeof *s);
}

const char *us_store_dir(const us_store *s)
{
    return s->dir;
}

us_err us_store_begin(us_store *s, us_ctx *c)
{
    US_ASSERT(!s->in_txn);
    US_TRY(exec(s, c, "BEGIN IMMEDIATE"));
    s->in_txn = true;
    return US_OK;
}

us_err us_store_commit(us_store *s, us_ctx *c)
{
    US_TRY(exec(s, c, "COMMIT"));
    s->in_txn = false;
    return US_OK;
}

void us_store_rollback(us_store *s)
{
    if (!s->in_txn) return;
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    s->in_txn = false;
}

/* ---- the lock of a run ---- */

static us_err lock_held(us_store *s, us_ctx *c)
{
    char who[128];
    ssize_t n = pread(s->lock_fd, who, sizeof who - 1, 0);
    who[n > 0 ? n : 0] = 0;
    char *line = strchr(who, '\n');
    if (line) *line = 0;
    return us_fail(c, US_NO, "workspace '%s' is in use by %s; wait for it or stop it", s->dir,
                   who[0] ? who : "another process");
}

static us_err wait_lock(us_store *s, us_ctx *c, int64_t wait_ms)
{
    uint64_t start = us_now_ns();
    while (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return us_fail(c, US_IO, "could not lock '%s': %s", s->lock_path, strerror(errno));
        if ((int64_t)((us_now_ns() - start) / 1000000) >= wait_ms) return lock_held(s, c);
        US_TRY(us_ctx_poll(c));
        struct timespec nap = {0, 20000000};
        nanosleep(&nap, NULL);
    }
    return US_OK;
}

/* For the message of whoever comes second; the lock itself needs no contents. */
static void sign_lock(us_store *s, us_ctx *c, const char *who)
{
    us_buf b;
    us_buf_init(&b, c, 256);
    us_buf_addf(&b, "%s, process %lld\n", who, (long long)getpid());
    bool ok = b.err == US_OK && ftruncate(s->lock_fd, 0) == 0 &&
              pwrite(s->lock_fd, b.p, b.n, 0) == (ssize_t)b.n;
    us_buf_deinit(&b);
    if (!ok) us_logf(c, US_LOG_WARN, "could not write who holds '%s'", s->lock_path);
}

us_err us_store_lock(us_store *s, us_ctx *c, const char *who, int64_t wait_ms)
{
    if (s->lock_fd >= 0) return us_fail(c, US_BUG, "the workspace's lock is taken twice");
    s->lock_fd = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (s->lock_fd < 0)
        return us_fail(c, US_IO, "could not open '%s': %s", s->lock_path, strerror(errno));
    us_err e = wait_lock(s, c, wait_ms);
    if (e == US_OK)
        sign_lock(s, c, who);
    else
        us_store_unlock(s);
    return e;
}

void us_store_unlock(us_store *s)
{
    if (s->lock_fd < 0) return;
    close(s->lock_fd); /* the lock goes with the last descriptor */
    s->lock_fd = -1;
}
