/* store/db.h - the inside of the store: the open database and how statements are run. */
#ifndef USTA_STORE_DB_H
#define USTA_STORE_DB_H

#include <sqlite3.h>

#include "store/store.h"

struct us_store {
    us_alloc alloc;
    sqlite3 *db;
    char *dir; /* "<project>/.usta" */
    size_t dir_bytes;
    char *lock_path;
    size_t lock_path_bytes;
    char *path; /* scratch for one object's path: looking must not need memory */
    size_t path_bytes;
    int lock_fd; /* -1: not held */
    bool in_txn;
};

/* What SQLite said last, as an error of ours: corrupt and not-a-database are US_FORMAT, busy says who to wait for. */
us_err us_db_fail(us_store *s, us_ctx *c, const char *what) US_MUST;
/* Prepare and bind by letters: t const char * (NULL: null), i int64_t, h const us_hash * (empty: null). */
us_err us_db_prepare(us_store *s, us_ctx *c, sqlite3_stmt **out, const char *sql,
                     const char *fmt, ...) US_MUST;
/* The same, run to its end without looking at rows. */
us_err us_db_run(us_store *s, us_ctx *c, const char *sql, const char *fmt, ...) US_MUST;
/* One step: *row tells whether there is a row. On failure the statement is still the caller's to finalize. */
us_err us_db_step(us_store *s, us_ctx *c, sqlite3_stmt *st, bool *row) US_MUST;
void us_db_hash(sqlite3_stmt *st, int i_col, us_hash *out);
/* Text of a column, copied; NULL stays NULL when `null_ok`, else "". */
us_err us_db_text(us_ctx *c, us_arena *a, sqlite3_stmt *st, int i_col, bool null_ok,
                  const char **out) US_MUST;

us_err us_db_migrate(us_store *s, us_ctx *c) US_MUST;

#endif
