/* base/arena.c - chunked arenas with a cap.
 *
 * Chunks double from 4 KB to 1 MB; a larger request gets a chunk of its own, of large pages where there are any. Memory is zeroed
 * when handed out, so a reset needs no clearing. Deferred functions live in the arena itself as a linked list, newest first.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <string.h>

#include "base/ctx.h"
#include "base/str.h"

#define CHUNK_MIN ((size_t)4 << 10)
#define CHUNK_MAX ((size_t)1 << 20)

typedef struct chunk {
    struct chunk *prev;
    size_t size; /* of the whole block */
    size_t used; /* from the block's start */
} chunk;

typedef struct defer {
    struct defer *prev;
    void (*fn)(void *);
    void *arg;
} defer;

struct us_arena {
    us_alloc alloc;
    const char *name;
    size_t cap;
    size_t total; /* sum of the chunks' sizes */
    size_t next;  /* size of the next chunk */
    chunk *top;
    defer *defers;
    bool past_cap; /* why the last allocation failed */
};

us_err us_arena_new(us_ctx *c, const char *name, size_t cap_bytes, us_arena **out)
{
    us_arena *a = us_mem_get(&c->alloc, 1, sizeof *a);
    if (!a) return us_nomem(c);
    a->alloc = c->alloc;
    a->name = name;
    a->cap = cap_bytes;
    a->next = CHUNK_MIN;
    *out = a;
    return US_OK;
}

static chunk *chunk_new(us_arena *a, size_t need)
{
    size_t size = a->next;
    size_t whole;
    if (!us_add_size(need, sizeof(chunk), &whole)) return NULL;
    if (size < whole) size = whole;
    if (size > a->cap || a->total > a->cap - size) {
        size = whole; /* no generous chunk fits: try the bare need */
        if (size > a->cap || a->total > a->cap - size) {
            a->past_cap = true;
            return NULL;
        }
    }
    chunk *k = a->alloc.realloc_fn(a->alloc.ud, NULL, 0, size);
    if (!k) return NULL;
    us_pages_large(k, size);
    *k = (chunk){a->top, size, sizeof(chunk)};
    a->top = k;
    a->total += size;
    if (a->next < CHUNK_MAX) a->next *= 2;
    return k;
}

/* Place for n bytes at this alignment in k, or NULL. */
static void *place(chunk *k, size_t n, size_t align)
{
    uintptr_t base = (uintptr_t)k;
    uintptr_t at = (base + k->used + align - 1) & ~(uintptr_t)(align - 1);
    if (at - base > k->size || n > k->size - (at - base)) return NULL;
    k->used = at - base + n;
    return (void *)at;
}

static void *take(us_arena *a, size_t n, size_t size, size_t align, size_t *taken)
{
    size_t bytes, need;
    a->past_cap = false;
    US_ASSERT(align && align <= 4096 && !(align & (align - 1)));
    if (!us_mul_size(n, size, &bytes) || !us_add_size(bytes, align, &need)) return NULL;
    if (!bytes) bytes = 1;
    void *p = a->top ? place(a->top, bytes, align) : NULL;
    if (!p) {
        chunk *k = chunk_new(a, need);
        if (!k) return NULL;
        p = place(k, bytes, align);
    }
    *taken = bytes;
    return p;
}

void *us_arena_alloc(us_arena *a, size_t n, size_t size, size_t align)
{
    size_t bytes;
    void *p = take(a, n, size, align, &bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

void us_arena_expect(us_arena *a, size_t bytes)
{
    if (bytes > a->next && !chunk_new(a, bytes)) a->past_cap = false;
}

void *us_arena_alloc_raw(us_arena *a, size_t n, size_t size, size_t align)
{
    size_t bytes;
    return take(a, n, size, align, &bytes);
}

us_err us_arena_fail_at(us_ctx *c, us_arena *a, const char *file, int line)
{
    char cap[32];
    if (!a->past_cap) return us_nomem_at(c, file, line);
    return us_fail_at(c, US_LIMIT, file, line, "memory for '%s' would exceed its limit of %s",
                      a->name, us_print_bytes(a->cap, cap));
}

us_mark us_arena_mark(const us_arena *a)
{
    return (us_mark){a->top, a->top ? a->top->used : 0, a->total, a->defers};
}

void us_arena_reset(us_arena *a, us_mark m)
{
    while (a->defers != m.defers) {
        defer *d = a->defers;
        a->defers = d->prev;
        d->fn(d->arg);
    }
    while (a->top != m.chunk) {
        chunk *k = a->top;
        a->top = k->prev;
        if (a->next > CHUNK_MIN)
            a->next /= 2; /* used again and again, an arena does not grow */
        (void)a->alloc.realloc_fn(a->alloc.ud, k, k->size, 0);
    }
    if (a->top) a->top->used = m.used;
    a->total = m.total;
}

void us_arena_recycle(us_arena *a)
{
    size_t total = a->total;
    if (a->top && !a->top->prev) {
        us_arena_reset(a, (us_mark){a->top, sizeof(chunk), total, NULL});
        return;
    }
    us_arena_reset(a, (us_mark){0});
    if (total > sizeof(chunk) && !chunk_new(a, total - sizeof(chunk))) a->past_cap = false;
}

void us_arena_free(us_arena *a)
{
    if (!a) return;
    us_arena_reset(a, (us_mark){0});
    us_alloc alloc = a->alloc;
    us_mem_put(&alloc, a, 1, sizeof *a);
}

us_err us_arena_defer(us_ctx *c, us_arena *a, void (*fn)(void *), void *arg)
{
    defer *d = us_new(a, defer);
    if (!d) return us_arena_fail(c, a);
    *d = (defer){a->defers, fn, arg};
    a->defers = d;
    return US_OK;
}

size_t us_arena_used(const us_arena *a)
{
    return a->total;
}

static bool in_chunk(const chunk *k, const void *p)
{
    return (uintptr_t)p - (uintptr_t)k < k->size;
}

bool us_arena_holds(const us_arena *a, const void *p)
{
    for (const chunk *k = a->top; k; k = k->prev)
        if (in_chunk(k, p)) return true;
    return false;
}

/* The first of the pieces that does not lie before p. */
static size_t first_from(size_t n, const us_piece *kept, const void *p)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if ((uintptr_t)kept[mid].p < (uintptr_t)p)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void drop_between(char *from, const char *to)
{
    if (to > from) us_pages_drop(from, (size_t)(to - from));
}

/* Drops what lies between k's pieces; false: it has none. */
static bool thin(chunk *k, size_t n, const us_piece *kept)
{
    char *base = (char *)k, *from = base + sizeof(chunk);
    size_t i = first_from(n, kept, k);
    if (i == n || !in_chunk(k, kept[i].p)) return false;
    for (; i < n && in_chunk(k, kept[i].p); i++) {
        char *at = base + ((uintptr_t)kept[i].p - (uintptr_t)k);
        drop_between(from, at);
        if (at + kept[i].bytes > from) from = at + kept[i].bytes;
    }
    drop_between(from, base + k->size);
    return true;
}

void us_arena_keep_only(us_arena *a, size_t n, const us_piece *kept)
{
    if (a->defers) return;
    for (chunk **at = &a->top; *at;) {
        chunk *k = *at;
        if (thin(k, n, kept)) {
            at = &k->prev;
            continue;
        }
        *at = k->prev;
        a->total -= k->size;
        (void)a->alloc.realloc_fn(a->alloc.ud, k, k->size, 0);
    }
}

us_err us_vec_reserve_at(us_ctx *c, us_arena *a, void **at, size_t *cap, size_t n, size_t want,
                         size_t size, size_t align)
{
    if (want <= *cap) return US_OK;
    size_t now = *cap;
    if (!now) now = US_MAX(want, (size_t)8); /* who knows at first how many gets as many */
    while (now < want) {
        if (now > SIZE_MAX / 2) return us_nomem(c);
        now *= 2;
    }
    void *p = us_arena_alloc_raw(a, now, size, align); /* room for more is not touched */
    if (!p) return us_arena_fail(c, a);
    if (n) memcpy(p, *at, n * size);
    *at = p;
    *cap = now;
    return US_OK;
}
