/* base/filemap.c - a file's bytes: small files read, large ones mapped behind a guard.
 *
 * Touching a mapped page that the file no longer has raises SIGBUS. The guard is a handler, installed once, that
 * looks the address up in a fixed table of our mappings, puts zero pages under the rest of that mapping,
 * marks it as broken and returns: the read then sees zeros. An address that is not ours goes to the handler that was there
 * before. The table is lock-free, for a handler may not wait: a slot is published by storing its size last.
 * A file that shrinks within its last page raises nothing: us_file_ok asks for the size as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/file.h"

#define GUARD_SLOTS 256
#define READ_MAX_LATE                                                                          \
    ((size_t)1 << 20) /* files up to this size are read, too, when all slots are taken */

typedef struct guard {
    _Atomic(uintptr_t) start;
    _Atomic(size_t) size; /* 0: free or not yet published */
    atomic_bool broken;
    atomic_bool taken;
    uintptr_t page_mask; /* of this machine: sysconf is not for handlers */
} guard;

/* The one mutable thing of the process here: signal handlers know no context. */
static guard guards[GUARD_SLOTS];
static struct sigaction former;
static atomic_flag installed = ATOMIC_FLAG_INIT;

struct us_file {
    us_alloc alloc;
    const uint8_t *p;
    size_t n;
    us_block block; /* read files */
    guard *g;       /* mapped files */
    int fd;         /* mapped files: to ask for the size again */
};

static bool heal(uintptr_t at)
{
    for (size_t i = 0; i < GUARD_SLOTS; i++) {
        guard *g = &guards[i];
        size_t size = atomic_load(&g->size);
        uintptr_t start = atomic_load(&g->start);
        if (!size || at < start || at - start >= size) continue;
        uintptr_t page = at & ~g->page_mask;
        void *q = mmap((void *)page, start + size - page, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        atomic_store(&g->broken, true);
        return q != MAP_FAILED;
    }
    return false;
}

static void on_sigbus(int sig, siginfo_t *info, void *uc)
{
    int keep = errno;
    if (info->si_code == BUS_ADRERR && heal((uintptr_t)info->si_addr)) {
        errno = keep;
        return;
    }
    if ((former.sa_flags & SA_SIGINFO) && former.sa_sigaction) {
        former.sa_sigaction(sig, info, uc);
    } else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN &&
               former.sa_handler) {
        former.sa_handler(sig);
    } else {
        (void)signal(
            SIGBUS,
            SIG_DFL); /* returning repeats the access, which now ends the process as it would have */
    }
    errno = keep;
}

static void install(void)
{
    if (atomic_flag_test_and_set(&installed)) return;
    struct sigaction sa = {0};
    sa.sa_sigaction = on_sigbus;
    sa.sa_flags = SA_SIGINFO;
    sigemptyset(&sa.sa_mask);
    (void)sigaction(SIGBUS, &sa, &former);
}

static guard *guard_take(void *p, size_t n)
{
    install();
    for (size_t i = 0; i < GUARD_SLOTS; i++) {
        guard *g = &guards[i];
        if (atomic_exchange(&g->taken, true)) continue;
        atomic_store(&g->broken, false);
        g->page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
        atomic_store(&g->start, (uintptr_t)p);
        atomic_store(&g->size, n);
        return g;
    }
    return NULL;
}

static void guard_give_back(guard *g)
{
    atomic_store(&g->size, 0);
    atomic_store(&g->taken, false);
}

static us_err read_whole(us_ctx *c, int fd, const char *path, us_file *f)
{
    US_TRY(us_block_get(c, &f->block, f->n, 64, false));
    f->p = f->block.p;
    for (size_t at = 0; at < f->n;) {
        ssize_t k = read(fd, (char *)f->block.p + at, f->n - at);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return us_fail(c, US_IO, "%s: cannot read: %s", path, strerror(errno));
        if (k == 0) return us_fail(c, US_IO, "%s: the file shrank while it was read", path);
        at += (size_t)k;
    }
    return US_OK;
}

static us_err map_whole(us_ctx *c, int fd, const char *path, us_file *f)
{
    void *p = mmap(NULL, f->n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return us_fail(c, US_IO, "%s: cannot map: %s", path, strerror(errno));
    f->g = guard_take(p, f->n);
    if (!f->g) {
        (void)munmap(p, f->n);
        if (f->n <= READ_MAX_LATE) return read_whole(c, fd, path, f);
        return us_fail(c, US_LIMIT, "%s: more than %d large files are open", path, GUARD_SLOTS);
    }
    f->p = p;
    f->fd = fd;
    return US_OK;
}

static us_err open_file(us_ctx *c, const char *path, uint64_t max_bytes, size_t read_max,
                        us_file **out)
{
    char have[32], most[32];
    us_file *f = NULL;
    us_err e = US_OK;
    bool mapped = false; /* the file keeps fd */
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return us_fail(c, errno == ENOENT ? US_NOTFOUND : US_IO, "%s: cannot open: %s", path,
                       strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        e = us_fail(c, US_IO, "%s: is not a regular file", path);
        goto out;
    }
    if ((uint64_t)st.st_size > max_bytes) {
        e = us_fail(c, US_LIMIT, "%s: %s, more than the limit of %s", path,
                    us_print_bytes((uint64_t)st.st_size, have),
                    us_print_bytes(max_bytes, most));
        goto out;
    }
    f = us_mem_get(&c->alloc, 1, sizeof *f);
    if (!f) {
        e = us_nomem(c);
        goto out;
    }
    f->alloc = c->alloc;
    f->n = (size_t)st.st_size;
    US_GO(f->n > read_max ? map_whole(c, fd, path, f) : read_whole(c, fd, path, f));
    *out = f;
    mapped = f->g != NULL;
    f = NULL;
out:
    us_file_close(f);
    if (!mapped) (void)close(fd);
    return e;
}

us_err us_file_peek(us_ctx *c, const char *path, void *p, size_t n, size_t *got)
{
    struct stat st;
    us_err e = US_OK;
    size_t at = 0;
    ssize_t k;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return us_fail(c, errno == ENOENT ? US_NOTFOUND : US_IO, "%s: cannot open: %s", path,
                       strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        e = us_fail(c, US_IO, "%s: is not a regular file", path);
    while (e == US_OK && at < n && (k = read(fd, (char *)p + at, n - at)) != 0)
        if (k > 0)
            at += (size_t)k;
        else if (errno != EINTR)
            e = us_fail(c, US_IO, "%s: cannot read: %s", path, strerror(errno));
    (void)close(fd);
    if (e == US_OK) *got = at;
    return e;
}

us_err us_file_open(us_ctx *c, const char *path, uint64_t max_bytes, us_file **out)
{
    return open_file(c, path, max_bytes, US_FILE_READ_MAX, out);
}

us_err us_file_map(us_ctx *c, const char *path, uint64_t max_bytes, us_file **out)
{
    return open_file(c, path, max_bytes, 0, out);
}

void us_file_close(us_file *f)
{
    if (!f) return;
    if (f->g) {
        guard_give_back(
            f->g); /* first: the address may be somebody else's right after munmap */
        (void)munmap((void *)(uintptr_t)f->p, f->n);
        (void)close(f->fd);
    }
    us_alloc a = f->alloc;
    us_block_put(&a, &f->block);
    us_mem_put(&a, f, 1, sizeof *f);
}

void us_file_drop_pages(us_file *f)
{
    if (f->g && !atomic_load(&f->g->broken)) us_pages_drop((void *)(uintptr_t)f->p, f->n);
}

const uint8_t *us_file_data(const us_file *f)
{
    return f->p;
}

size_t us_file_size(const us_file *f)
{
    return f->n;
}

bool us_file_ok(const us_file *f)
{
    struct stat st;
    if (!f->g) return true;
    if (atomic_load(&f->g->broken)) return false;
    return !fstat(f->fd, &st) && (uint64_t)st.st_size >= f->n;
}
