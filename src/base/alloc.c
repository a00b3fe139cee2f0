/* base/alloc.c - the heap behind us_alloc, counting, aligned blocks. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __GLIBC__
#    include <malloc.h>
#endif

#include "base/ctx.h"

static void *heap_realloc(void *ud, void *p, size_t old_bytes, size_t now_bytes)
{
    (void)ud;
    (void)old_bytes;
    if (!now_bytes) {
        free(p);
        return NULL;
    }
    return realloc(p, now_bytes);
}

us_alloc us_alloc_heap(void)
{
    return (us_alloc){heap_realloc, NULL};
}

bool us_mul_size(size_t a, size_t b, size_t *out)
{
    if (b && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

bool us_add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

static void count_peak(us_alloc_count *s, uint64_t live)
{
    uint64_t peak = atomic_load_explicit(&s->peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak(&s->peak_bytes, &peak, live)) {
    }
}

static void *count_realloc(void *ud, void *p, size_t old_bytes, size_t now_bytes)
{
    us_alloc_count *s = ud;
    if (now_bytes > old_bytes || (!p && now_bytes)) {
        uint64_t n = atomic_fetch_add(&s->n_allocs, 1) + 1;
        if (s->fail_at && n >= s->fail_at) return NULL;
    }
    void *q = s->under.realloc_fn(s->under.ud, p, old_bytes, now_bytes);
    if (!q && now_bytes) return NULL;
    if (!p) old_bytes = 0;
    uint64_t live =
        atomic_fetch_add(&s->live_bytes, (uint64_t)now_bytes - (uint64_t)old_bytes) +
        ((uint64_t)now_bytes - (uint64_t)old_bytes);
    count_peak(s, live);
    return q;
}

us_alloc us_alloc_counting(us_alloc_count *state, us_alloc under)
{
    state->under = under;
    return (us_alloc){count_realloc, state};
}

/* An allocation of nothing still takes a byte, so that its pointer is valid and unique. */
static bool block_size(size_t n, size_t size, size_t *out)
{
    if (!us_mul_size(n, size, out)) return false;
    if (!*out) *out = 1;
    return true;
}

void *us_mem_get(us_alloc *a, size_t n, size_t size)
{
    size_t bytes;
    if (!block_size(n, size, &bytes)) return NULL;
    void *p = a->realloc_fn(a->ud, NULL, 0, bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void *us_mem_grow(us_alloc *a, void *p, size_t n_old, size_t n_now, size_t size)
{
    size_t was = 0, now;
    if (!block_size(n_now, size, &now) || (p && !block_size(n_old, size, &was))) return NULL;
    char *q = a->realloc_fn(a->ud, p, was, now);
    if (q && now > was) memset(q + was, 0, now - was);
    return q;
}

void us_mem_put(us_alloc *a, void *p, size_t n, size_t size)
{
    size_t bytes;
    if (p && block_size(n, size, &bytes)) (void)a->realloc_fn(a->ud, p, bytes, 0);
}

us_err us_block_get(us_ctx *c, us_block *out, size_t bytes, size_t align, bool zero)
{
    US_ASSERT(align && !(align & (align - 1)));
    size_t raw_bytes;
    if (!us_add_size(bytes ? bytes : 1, align, &raw_bytes)) return us_nomem(c);
    char *raw = c->alloc.realloc_fn(c->alloc.ud, NULL, 0, raw_bytes);
    if (!raw) return us_nomem(c);
    us_pages_large(raw, raw_bytes);
    char *p = raw + (align - (uintptr_t)raw % align) % align;
    if (zero) memset(p, 0, bytes);
    *out = (us_block){p, bytes, raw, raw_bytes};
    return US_OK;
}

void us_block_put(us_alloc *a, us_block *b)
{
    if (b->raw) (void)a->realloc_fn(a->ud, b->raw, b->raw_bytes, 0);
    *b = (us_block){0};
}

/* --- pages --------------------------------------------------------------------------------------------- */

#define LARGE_PAGE ((size_t)2 << 20)

/* Advice on the whole pages among these bytes. It may be refused, which changes nothing but memory and time. */
static void advise(void *p, size_t bytes, size_t page, int advice)
{
    uintptr_t at = ((uintptr_t)p + page - 1) / page * page,
              end = ((uintptr_t)p + bytes) / page * page;
    if (end > at) (void)madvise((char *)p + (at - (uintptr_t)p), end - at, advice);
}

void us_pages_drop(void *p, size_t bytes)
{
    advise(p, bytes, (size_t)sysconf(_SC_PAGESIZE), MADV_DONTNEED);
}

void us_pages_large(void *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    if (bytes >= 2 * LARGE_PAGE) advise(p, bytes, LARGE_PAGE, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

void us_heap_trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
