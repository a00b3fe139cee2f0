/* base/file.c - whole files in, whole files out, folders, environment.
 *
 * Replacement is temporary file + fsync + rename + fsync of the folder: at any moment, also after a kill or
 * a power cut, the name means the old or the new contents. Mapped files are in filemap.c.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"

struct us_writer {
    us_ctx *c;
    us_alloc alloc;
    int fd;
    char path[4096];
    char temp[4096 + 32];
};

const char *us_env(const char *name)
{
    return getenv(name);
}

bool us_path_exists(const char *path)
{
    struct stat st;
    return !stat(path, &st);
}

bool us_path_is_dir(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

char *us_path_join(us_arena *a, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (name[0] == '/' || !n) return us_str_dup(a, us_sv_of(name));
    return us_str_printf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *us_path_dir(us_arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return us_str_dup(a, US_SV("."));
    return us_str_dup(a, (us_sv){path, slash == path ? 1 : (size_t)(slash - path)});
}

us_err us_mkdirs(us_ctx *c, const char *path)
{
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part) return us_fail(c, US_ARG, "path of %zu bytes is too long", n);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            return us_fail(c, US_IO, "%s: cannot make the folder: %s", part, strerror(errno));
    }
    if (n && !us_path_is_dir(path))
        return us_fail(c, US_IO, "%s: exists and is not a folder", path);
    return US_OK;
}

/* Everything from fd, appended. */
static us_err read_fd(us_ctx *c, int fd, const char *path, us_buf *out)
{
    char piece[65536];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return us_fail(c, US_IO, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0) break;
        us_buf_add(out, piece, (size_t)n);
        us_err e = us_buf_check(out);
        if (e != US_OK) return us_wrap(c, e, "%s", path);
    }
    return US_OK;
}

us_err us_file_read(us_ctx *c, const char *path, us_buf *out)
{
    if (!strcmp(path, "-")) return read_fd(c, STDIN_FILENO, "standard input", out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return us_fail(c, errno == ENOENT ? US_NOTFOUND : US_IO, "%s: cannot open: %s", path,
                       strerror(errno));
    us_err e = read_fd(c, fd, path, out);
    (void)close(fd);
    return e;
}

us_err us_writer_open(us_ctx *c, const char *path, us_writer **out)
{
    us_writer *w = us_mem_get(&c->alloc, 1, sizeof *w);
    if (!w) return us_nomem(c);
    w->c = c;
    w->alloc = c->alloc;
    w->fd = -1;
    us_err e = US_OK;
    if ((size_t)snprintf(w->path, sizeof w->path, "%s", path) >= sizeof w->path) {
        e = us_fail(c, US_ARG, "path of %zu bytes is too long", strlen(path));
        goto out;
    }
    for (unsigned i = 0; w->fd < 0 && i < 1000; i++) {
        (void)snprintf(w->temp, sizeof w->temp, "%s.tmp%ld-%u", w->path, (long)getpid(), i);
        w->fd = open(w->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd < 0 && errno != EEXIST) break;
    }
    if (w->fd < 0) {
        e = us_fail(c, US_IO, "%s: cannot write here: %s", path, strerror(errno));
        goto out;
    }
    *out = w;
    w = NULL;
out:
    us_writer_abort(w);
    return e;
}

us_err us_writer_write(us_writer *w, const void *p, size_t n)
{
    const char *s = p;
    while (n) {
        ssize_t k = write(w->fd, s, n > (size_t)1 << 30 ? (size_t)1 << 30 : n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0)
            return us_fail(w->c, US_IO, "%s: cannot write: %s", w->path, strerror(errno));
        s += k;
        n -= (size_t)k;
    }
    return US_OK;
}

us_err us_writer_seek(us_writer *w, uint64_t offset)
{
    if (lseek(w->fd, (off_t)offset, SEEK_SET) < 0)
        return us_fail(w->c, US_IO, "%s: cannot seek: %s", w->path, strerror(errno));
    return US_OK;
}

void us_writer_abort(us_writer *w)
{
    if (!w) return;
    if (w->fd >= 0) {
        (void)close(w->fd);
        (void)unlink(w->temp);
    }
    us_alloc a = w->alloc;
    us_mem_put(&a, w, 1, sizeof *w);
}

/* The rename itself must survive a power cut. */
static void sync_folder(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (!slash)
        (void)snprintf(dir, sizeof dir, ".");
    else
        (void)snprintf(dir, sizeof dir, "%.*s", (int)(n ? n : 1), path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    (void)close(fd);
}

us_err us_writer_commit(us_writer *w)
{
    us_err e = US_OK;
    if (fsync(w->fd)) {
        e = us_fail(w->c, US_IO, "%s: cannot write: %s", w->path, strerror(errno));
    } else if (rename(w->temp, w->path)) {
        e = us_fail(w->c, US_IO, "%s: cannot replace: %s", w->path, strerror(errno));
    } else {
        (void)close(w->fd);
        w->fd = -1; /* the temporary name is gone: nothing to remove */
        sync_folder(w->path);
    }
    us_writer_abort(w);
    return e;
}

us_err us_file_replace(us_ctx *c, const char *path, const void *p, size_t n)
{
    us_writer *w;
    US_TRY(us_writer_open(c, path, &w));
    us_err e = us_writer_write(w, p, n);
    if (e != US_OK) {
        us_writer_abort(w);
        return e;
    }
    return us_writer_commit(w);
}

us_err us_file_append(us_ctx *c, const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return us_fail(c, US_IO, "%s: cannot open: %s", path, strerror(errno));
    ssize_t k = write(fd, p, n);
    us_err e = US_OK;
    if (k < 0 || (size_t)k != n)
        e = us_fail(c, US_IO, "%s: cannot append: %s", path,
                    k < 0 ? strerror(errno) : "short write");
    (void)close(fd);
    return e;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

us_err us_dir_list(us_ctx *c, us_arena *a, const char *path, char ***names, size_t *n)
{
    DIR *d = opendir(path);
    if (!d)
        return us_fail(c, errno == ENOENT ? US_NOTFOUND : US_IO, "%s: cannot list: %s", path,
                       strerror(errno));
    US_VEC(char *) v = {0};
    us_err e = US_OK;
    for (struct dirent *x; (x = readdir(d));) {
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..")) continue;
        char *name = us_str_dup(a, us_sv_of(x->d_name));
        if (!name) {
            e = us_arena_fail(c, a);
            goto out;
        }
        US_GO(us_vec_push(c, a, &v, name));
    }
    if (v.n) qsort(v.at, v.n, sizeof *v.at, by_name);
    *names = v.at;
    *n = v.n;
out:
    (void)closedir(d);
    return e;
}
