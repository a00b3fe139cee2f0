/* base/alloc.h - the one door to memory.
 *
 * All memory of a context comes from its us_alloc, so that limits, counting and failing the n-th
 * allocation on purpose (tests/us_torture.h) need no change elsewhere. Sizes are given back on free.
 */
#ifndef USTA_BASE_ALLOC_H
#define USTA_BASE_ALLOC_H

#include "base/err.h"

/* realloc_fn: p == NULL allocates, now == 0 frees and returns NULL, else resizes (contents kept up to
 * the smaller size). Returns NULL when there is no memory; then p stays valid. Must be thread-safe. */
typedef struct us_alloc {
    void *(*realloc_fn)(void *ud, void *p, size_t old_bytes, size_t now_bytes);
    void *ud;
} us_alloc;

us_alloc us_alloc_heap(void); /* the C library's heap */

/* Counts allocations and live bytes in front of another allocator; may refuse from a given one on.
 * The caller owns the struct; it must outlive every allocation. Atomic, so pools may share it. */
typedef struct us_alloc_count {
    us_alloc under;
    _Atomic(uint64_t) n_allocs;   /* allocations and growths so far */
    _Atomic(uint64_t) live_bytes; /* handed out and not given back */
    _Atomic(uint64_t) peak_bytes;
    uint64_t fail_at; /* the fail_at-th (1, 2, ...) and all later allocations fail; 0 = never */
} us_alloc_count;
us_alloc us_alloc_counting(us_alloc_count *state, us_alloc under);

/* n * size bytes, zeroed; NULL when out of memory or n * size overflows. n or size 0 gives a valid
 * pointer. us_mem_grow keeps the contents and zeroes the new part. */
void *us_mem_get(us_alloc *a, size_t n, size_t size) US_MUST;
void *us_mem_grow(us_alloc *a, void *p, size_t n_old, size_t n_now, size_t size) US_MUST;
void us_mem_put(us_alloc *a, void *p, size_t n, size_t size); /* NULL is fine */

/* A block aligned to `align` (a power of two, at least sizeof(void*)); contents zeroed when `zero`. */
typedef struct us_block {
    void *p;      /* aligned start */
    size_t bytes; /* usable */
    void *raw;    /* what the allocator gave */
    size_t raw_bytes;
} us_block;
us_err us_block_get(struct us_ctx *c, us_block *out, size_t bytes, size_t align,
                    bool zero) US_MUST;
void us_block_put(us_alloc *a, us_block *b); /* zeroed struct is fine */

/* What lies in these bytes is not needed any more: whole pages among them take no memory until they are written again. What is read there
 * meanwhile is not said; of a mapped file it is the file. */
void us_pages_drop(void *p, size_t bytes);
/* These bytes are about to be written for the first time: large pages, where the system has them, save most of the faults. */
void us_pages_large(void *p, size_t bytes);
/* Memory that the C library keeps for later goes back to the system: after work that took much more than its result. */
void us_heap_trim(void);

/* a * b and a + b; false on overflow (result untouched). */
bool us_mul_size(size_t a, size_t b, size_t *out);
bool us_add_size(size_t a, size_t b, size_t *out);

#endif
