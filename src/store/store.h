/* store/store.h - the workspace: what was done, with which inputs, and every byte it produced.
 *
 * `.usta/` beside the project file holds `usta.db` (SQLite, write-ahead log, foreign keys on) and `objects/ab/cdef...`, files
 * named by the BLAKE2b-256 of their contents. An object is complete under its name or it is not there (temporary file,
 * fsync, rename) and never changes; a record is one transaction. So a kill at any moment loses at most the stage in progress, and
 * what it left behind are objects nobody refers to. The only user of sqlite3.h.
 *
 * Every entity has a table of its own and is named by a hash: snapshot, split, model, validation by the content of their
 * object, run by the key of its training stage, deployment and monitor window by the content of their record. Edges lead
 * from what was used to what was made, so one query walks the chain either way.
 *
 * A store belongs to one thread. Several processes may hold the same one (WAL); `usta run` takes the project's lock.
 */
#ifndef USTA_STORE_STORE_H
#define USTA_STORE_STORE_H

#include "base/file.h"
#include "conf/json.h"

#define US_STORE_DIR        ".usta"
#define US_STORE_VERSION    1 /* the newest migration; a newer workspace is refused */
#define US_HASH_HEX         64
#define US_STORE_MAX_OBJECT ((uint64_t)64 << 30)

typedef struct us_store us_store;
typedef struct us_hash {
    char hex[US_HASH_HEX + 1];
} us_hash; /* 64 lower-case hex digits, zero-terminated; "" = none */

/* ---- hashing (BLAKE2b-256) ---- */
void us_hash_bytes(const void *p, size_t n, us_hash *out);
us_err us_hash_file(us_ctx *c, const char *path, us_hash *out) US_MUST;
bool us_hash_is(const us_hash *h); /* not empty */
bool us_hash_eq(const us_hash *a, const us_hash *b);
/* Several parts, each with its length, so that ("ab","c") and ("a","bc") differ. */
typedef struct us_hasher {
    _Alignas(64) unsigned char state[384];
} us_hasher;
void us_hasher_init(us_hasher *h);
void us_hasher_add(us_hasher *h, const void *p, size_t n);
void us_hasher_done(us_hasher *h, us_hash *out);

/* ---- opening ---- */
/* dir: the project's folder. create: make .usta when it is not there, else US_NOTFOUND. Migrates an older workspace in one
 * transaction; refuses a newer one. */
us_err us_store_open(us_ctx *c, const char *dir, bool create, us_store **out) US_MUST;
void us_store_close(us_store *s); /* NULL is fine; an open transaction is rolled back */
const char *us_store_dir(const us_store *s); /* "<dir>/.usta" */

/* One `usta run` at a time. wait_ms 0: fail at once with US_NO and who holds it. Released by close or by the process's death. */
us_err us_store_lock(us_store *s, us_ctx *c, const char *who, int64_t wait_ms) US_MUST;
void us_store_unlock(us_store *s);

/* ---- objects ---- */
us_err us_store_put(us_store *s, us_ctx *c, const void *p, size_t n, us_hash *out) US_MUST;
us_err us_store_put_buf(us_store *s, us_ctx *c, const us_buf *b, us_hash *out) US_MUST;
us_err us_store_put_json(us_store *s, us_ctx *c, const json_t *j,
                         us_hash *out) US_MUST; /* canonical */
us_err us_store_put_file(us_store *s, us_ctx *c, const char *path,
                         us_hash *out) US_MUST; /* copies */
bool us_store_has(us_store *s, const us_hash *h);
/* Path of an object's file, in the arena; US_NOTFOUND when it is not there. */
us_err us_store_path(us_store *s, us_ctx *c, us_arena *a, const us_hash *h, char **out) US_MUST;
/* Contents; verify: hash them and compare (US_FORMAT when they differ). Close the file when done. */
us_err us_store_get(us_store *s, us_ctx *c, const us_hash *h, bool verify,
                    us_file **out) US_MUST;
us_err us_store_get_json(us_store *s, us_ctx *c, us_arena *a, const us_hash *h,
                         json_t **out) US_MUST;
/* The full hash for a prefix of at least 4 digits, over objects and entities; US_NOTFOUND, or US_ARG when several fit. */
us_err us_store_resolve(us_store *s, us_ctx *c, const char *prefix, us_hash *out) US_MUST;

/* Contents' hash of a file outside, remembered by (path, size, mtime, inode): a second call reads nothing. */
us_err us_store_hash_input(us_store *s, us_ctx *c, const char *path, us_hash *out) US_MUST;

/* ---- records ---- */
/* A transaction around several writes; not nested. us_store_rollback after a failure is always safe. */
us_err us_store_begin(us_store *s, us_ctx *c) US_MUST;
us_err us_store_commit(us_store *s, us_ctx *c) US_MUST;
void us_store_rollback(us_store *s);

typedef struct us_io { /* one input or output of a stage */
    const char *name;  /* "snapshot", "model" */
    us_hash hash;
} us_io;

typedef struct us_stage_rec {
    const char *stage; /* "train" */
    us_hash key;
    const char *program; /* version of the program */
    /* effective values of its sections; borrowed from the caller, or the arena given to find */
    json_t *config;
    json_t *facts;    /* evidence: figures for tables and status */
    int64_t start_us; /* wall clock */
    int64_t wall_ns, cpu_ns;
    us_io *in, *out;
    size_t n_in, n_out;
} us_stage_rec;

/* Finished stages. put: inside a transaction, replaces a record of the same key; every output becomes an edge from every
 * input. find: the finished record of a key, US_NOTFOUND when there is none. last: newest record of a stage. */
us_err us_store_put_stage(us_store *s, us_ctx *c, const us_stage_rec *rec) US_MUST;
us_err us_store_find_stage(us_store *s, us_ctx *c, us_arena *a, const us_hash *key,
                           us_stage_rec *out) US_MUST;
us_err us_store_last_stage(us_store *s, us_ctx *c, us_arena *a, const char *stage,
                           us_stage_rec *out) US_MUST;
/* All outputs of the record exist as objects. */
bool us_store_stage_whole(us_store *s, const us_stage_rec *rec);
/* Which record is the current one of a stage in this project (what the last `usta run` ran or found). */
us_err us_store_set_current(us_store *s, us_ctx *c, const char *stage,
                            const us_hash *key) US_MUST;
us_err us_store_current_stage(us_store *s, us_ctx *c, us_arena *a, const char *stage,
                              us_stage_rec *out) US_MUST;

/* Entities. Each is an upsert by its hash; facts: canonical JSON text or NULL; borrowed. A parent that is not there is an error
 * (foreign keys). parents become edges. */
typedef struct us_snapshot_rec {
    us_hash hash, schema;
    const char *source;
    int64_t n_rows, n_columns, created_us;
    const char *facts;
} us_snapshot_rec;
typedef struct us_split_rec {
    us_hash hash, snapshot;
    const char *kind;
    int64_t seed, n_train, n_validation, n_test, created_us;
} us_split_rec;
typedef struct us_run_rec {
    us_hash id, split;
    const char *family, *config, *metrics;
    int64_t seed, created_us;
} us_run_rec;
typedef struct us_model_rec {
    us_hash hash, run; /* run may be empty: a model from elsewhere */
    const char *name, *task, *facts;
    int64_t created_us;
} us_model_rec;
typedef struct us_validation_rec {
    us_hash hash, model;
    bool passed;
    const char *facts;
    int64_t created_us;
} us_validation_rec; /* hash: of the JSON record, an object */
typedef struct us_deployment_rec {
    us_hash hash, model, validation; /* validation may be empty: forced */
    const char *state, *endpoint, *facts;
    int64_t pid, created_us;
} us_deployment_rec;
typedef struct us_window_rec {
    us_hash hash, model;
    const char *source;
    int64_t n_rows, from_us, to_us, created_us;
    bool drift;
    const char *facts;
} us_window_rec;
us_err us_store_put_snapshot(us_store *s, us_ctx *c, const us_snapshot_rec *r) US_MUST;
us_err us_store_put_split(us_store *s, us_ctx *c, const us_split_rec *r) US_MUST;
us_err us_store_put_run(us_store *s, us_ctx *c, const us_run_rec *r) US_MUST;
us_err us_store_put_model(us_store *s, us_ctx *c, const us_model_rec *r) US_MUST;
us_err us_store_put_validation(us_store *s, us_ctx *c, const us_validation_rec *r) US_MUST;
us_err us_store_put_deployment(us_store *s, us_ctx *c, const us_deployment_rec *r) US_MUST;
us_err us_store_put_window(us_store *s, us_ctx *c, const us_window_rec *r) US_MUST;
us_err us_store_set_deployment(us_store *s, us_ctx *c, const us_hash *deployment,
                               const char *state, int64_t pid) US_MUST;

/* Newest first; limit 0: all. Texts lie in the arena. */
us_err us_store_models(us_store *s, us_ctx *c, us_arena *a, size_t limit, us_model_rec **out,
                       size_t *n) US_MUST;
us_err us_store_model(us_store *s, us_ctx *c, us_arena *a, const us_hash *h,
                      us_model_rec *out) US_MUST;
/* The model the last `usta run` ended with (made then or found finished); the newest when no run packaged one. */
us_err us_store_current_model(us_store *s, us_ctx *c, us_arena *a, us_model_rec *out) US_MUST;
/* The newest validation record of a model; US_NOTFOUND when there is none. */
us_err us_store_validation_of(us_store *s, us_ctx *c, us_arena *a, const us_hash *model,
                              us_validation_rec *out) US_MUST;
us_err us_store_deployments(us_store *s, us_ctx *c, us_arena *a, size_t limit,
                            us_deployment_rec **out, size_t *n) US_MUST;
us_err us_store_windows(us_store *s, us_ctx *c, us_arena *a, size_t limit, us_window_rec **out,
                        size_t *n) US_MUST;

/* ---- lineage ---- */
typedef struct us_lineage_row {
    us_hash hash;
    const char *kind;  /* "snapshot", "run", "model", ..., "file", "object" */
    const char *label; /* one line for people */
    const char *via;   /* stage that made the edge */
    us_hash from;      /* the row it was reached from; empty for the start */
    int depth;         /* 0 = the start */
} us_lineage_row;
/* Breadth first from a hash: up = what made it, else what it made. Every node once, with its shortest depth. */
us_err us_store_lineage(us_store *s, us_ctx *c, us_arena *a, const us_hash *start, bool up,
                        us_lineage_row **out, size_t *n) US_MUST;

/* ---- check ---- */
typedef struct us_store_report {
    size_t n_objects, n_bad,
        n_missing; /* bad: contents differ from the name; missing: recorded but not there */
    uint64_t n_bytes;
    bool db_ok;        /* integrity_check and foreign_key_check */
    const char *first; /* the first finding, in the arena; NULL when clean */
} us_store_report;
/* Reads every object. Findings are in the report; failure only when it could not look. */
us_err us_store_check(us_store *s, us_ctx *c, us_arena *a, us_store_report *out) US_MUST;

#endif
