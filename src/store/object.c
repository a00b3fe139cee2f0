/* store/object.c - files named by their contents, and remembered hashes of files outside.
 *
 * Writing: temporary file beside the place, fsync, rename (base/file.c), then read-only. Two writers of the same contents
 * race to the same name with the same bytes, so nobody has to lock.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/db.h"

#define SETTLED_NS                                                                             \
    1000000000 /* a file changed less than a second ago may change again within its time stamp */

/* dir/objects/ab/cdef...; buf holds path_bytes. n_dir: length of the folder's part. */
static void object_path(const us_store *s, const us_hash *h, char *buf, size_t *n_dir)
{
    size_t n = s->dir_bytes - 1;
    memcpy(buf, s->dir, n);
    memcpy(buf + n, "/objects/", 9);
    n += 9;
    memcpy(buf + n, h->hex, 2);
    n += 2;
    if (n_dir) *n_dir = n;
    buf[n++] = '/';
    memcpy(buf + n, h->hex + 2, US_HASH_HEX - 1); /* with its zero */
}

us_err us_store_path(us_store *s, us_ctx *c, us_arena *a, const us_hash *h, char **out)
{
    char *path = us_new_n(a, char, s->path_bytes);
    if (!path) return us_arena_fail(c, a);
    if (!us_hash_is(h)) return us_fail(c, US_NOTFOUND, "no object is named");
    object_path(s, h, path, NULL);
    if (!us_path_exists(path))
        return us_fail(c, US_NOTFOUND, "object %.12s is not in '%s'; `usta run` makes it again",
                       h->hex, s->dir);
    *out = path;
    return US_OK;
}

bool us_store_has(us_store *s, const us_hash *h)
{
    if (!us_hash_is(h)) return false;
    object_path(s, h, s->path, NULL);
    return us_path_exists(s->path);
}

us_err us_store_put(us_store *s, us_ctx *c, const void *p, size_t n, us_hash *out)
{
    us_hash h;
    size_t n_dir = 0;
    us_hash_bytes(p, n, &h);
    object_path(s, &h, s->path, &n_dir);
    if (!us_path_exists(s->path)) {
        s->path[n_dir] = 0;
        US_TRY(us_mkdirs(c, s->path));
        s->path[n_dir] = '/';
        US_TRY(us_file_replace(c, s->path, p, n));
        if (chmod(s->path, 0444) != 0)
            us_logf(c, US_LOG_WARN, "could not make '%s' read-only: %s", s->path,
                    strerror(errno));
    }
    *out = h;
    return US_OK;
}

us_err us_store_put_buf(us_store *s, us_ctx *c, const us_buf *b, us_hash *out)
{
    if (b->err != US_OK) return us_fail(c, b->err, "a text for the workspace is not whole");
    return us_store_put(s, c, b->n ? b->p : "", b->n, out);
}

us_err us_store_put_json(us_store *s, us_ctx *c, const json_t *j, us_hash *out)
{
    us_buf b;
    us_buf_init(&b, c, US_JSON_MAX_BYTES);
    us_err e = us_json_print(c, j, &b);
    if (e == US_OK) e = us_store_put_buf(s, c, &b, out);
    us_buf_deinit(&b);
    return e;
}

us_err us_store_put_file(us_store *s, us_ctx *c, const char *path, us_hash *out)
{
    us_file *f = NULL;
    US_TRY(us_file_open(c, path, US_STORE_MAX_OBJECT, &f));
    us_err e = us_store_put(s, c, us_file_data(f), us_file_size(f), out);
    if (e == US_OK && !us_file_ok(f))
        e = us_fail(c, US_IO, "'%s' became shorter while it was read", path);
    us_file_close(f);
    return e;
}

us_err us_store_get(us_store *s, us_ctx *c, const us_hash *h, bool verify, us_file **out)
{
    us_arena *a = NULL;
    us_file *f = NULL;
    char *path = NULL;
    US_TRY(us_arena_new(c, "object path", (size_t)1 << 20, &a));
    us_err e = us_store_path(s, c, a, h, &path);
    if (e == US_OK) e = us_file_open(c, path, US_STORE_MAX_OBJECT, &f);
    if (e == US_OK && verify) {
        us_hash now;
        us_hash_bytes(us_file_data(f), us_file_size(f), &now);
        if (!us_hash_eq(&now, h))
            e = us_fail(
                c, US_FORMAT,
                "object %.12s in '%s' is damaged: its contents no longer have its name's hash; "
                "delete '%s' and run again",
                h->hex, s->dir, path);
    }
    us_arena_free(a);
    if (e != US_OK)
        us_file_close(f);
    else
        *out = f;
    return e;
}

us_err us_store_get_json(us_store *s, us_ctx *c, us_arena *a, const us_hash *h, json_t **out)
{
    us_file *f = NULL;
    US_TRY(us_store_get(s, c, h, true, &f));
    char name[32] = "object ";
    memcpy(name + 7, h->hex, 12);
    us_err e = us_json_parse(c, a, name,
                             (us_sv){(const char *)us_file_data(f), us_file_size(f)}, 0, out);
    us_file_close(f);
    return e;
}

/* ---- files outside ---- */

static us_err remembered(us_store *s, us_ctx *c, const char *path, const struct stat *st,
                         us_hash *out)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    memset(out, 0, sizeof *out);
    US_TRY(us_db_prepare(
        s, c, &q,
        "SELECT hash FROM file_hashes WHERE path=? AND size=? AND mtime_ns=? AND inode=?",
        "tiii", path, (int64_t)st->st_size,
        (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec, (int64_t)st->st_ino));
    us_err e = us_db_step(s, c, q, &row);
    if (e == US_OK && row) us_db_hash(q, 0, out);
    sqlite3_finalize(q);
    return e;
}

us_err us_store_hash_input(us_store *s, us_ctx *c, const char *path, us_hash *out)
{
    struct stat st, after;
    if (stat(path, &st) != 0)
        return us_fail(c, errno == ENOENT ? US_NOTFOUND : US_IO, "'%s': %s", path,
                       strerror(errno));
    us_hash h;
    US_TRY(remembered(s, c, path, &st, &h));
    if (us_hash_is(&h)) {
        *out = h;
        return US_OK;
    }
    US_TRY(us_hash_file(c, path, &h));
    int64_t mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    bool same = stat(path, &after) == 0 && after.st_size == st.st_size &&
                after.st_mtim.tv_sec == st.st_mtim.tv_sec &&
                after.st_mtim.tv_nsec == st.st_mtim.tv_nsec;
    if (same && us_wall_us() * 1000 - mtime_ns > SETTLED_NS)
        US_TRY(us_db_run(s, c, "INSERT OR REPLACE INTO file_hashes VALUES (?, ?, ?, ?, ?)",
                         "tiiih", path, (int64_t)st.st_size, mtime_ns, (int64_t)st.st_ino, &h));
    *out = h;
    return US_OK;
}
