/* base/arena.h - memory whose lifetime is decided by structure.
 *
 * An arena hands out zeroed memory and frees all of it at once. Five lifetimes exist (HACKING.md,
 * "Memory"): process, model, scratch, plan, request. Every arena has a cap: growing past it fails
 * like running out of memory, so a hostile input is bounded by construction.
 */
#ifndef USTA_BASE_ARENA_H
#define USTA_BASE_ARENA_H

#include "base/alloc.h"

typedef struct us_arena us_arena;

/* name is for messages and must outlive the arena. cap_bytes: the most it may hold in all. */
us_err us_arena_new(struct us_ctx *c, const char *name, size_t cap_bytes,
                    us_arena **out) US_MUST;
void us_arena_free(
    us_arena *a); /* runs the deferred functions, last in first out; NULL is fine */

/* n * size zeroed bytes aligned to align (power of two <= 4096); NULL when out of memory, past the cap,
 * or on overflow. The usual form: `x = us_new(a, T); if (!x) return us_arena_fail(c, a);` */
void *us_arena_alloc(us_arena *a, size_t n, size_t size, size_t align) US_MUST;
/* The same, but not zeroed: for what is written whole at once. */
void *us_arena_alloc_raw(us_arena *a, size_t n, size_t size, size_t align) US_MUST;
/* As many bytes are going to be allocated, in pieces: they will lie in one chunk, of large pages where there are any. A hint: it may
 * come to nothing. */
void us_arena_expect(us_arena *a, size_t bytes);
#define us_new(a, T)      ((T *)us_arena_alloc((a), 1, sizeof(T), _Alignof(T)))
#define us_new_n(a, T, n) ((T *)us_arena_alloc((a), (n), sizeof(T), _Alignof(T)))

/* Says why the last us_arena_alloc failed: US_NOMEM, or US_LIMIT with the arena's name and cap. */
us_err us_arena_fail_at(struct us_ctx *c, us_arena *a, const char *file, int line);
#define us_arena_fail(c, a) us_arena_fail_at((c), (a), __FILE__, __LINE__)

/* Free everything allocated after the mark. Deferred functions registered after it run. */
typedef struct us_mark {
    void *chunk;
    size_t used;
    size_t total;
    void *defers;
} us_mark;
us_mark us_arena_mark(const us_arena *a);
void us_arena_reset(us_arena *a, us_mark m);

/* Frees everything, but keeps as much room as there was, in one chunk: the same use again asks for no memory. */
void us_arena_recycle(us_arena *a);

/* Run fn(arg) when the arena is freed or reset past this point. NOMEM: fn was not registered. */
us_err us_arena_defer(struct us_ctx *c, us_arena *a, void (*fn)(void *), void *arg) US_MUST;

size_t us_arena_used(const us_arena *a); /* bytes held, chunk overhead included */

/* Whether p points into memory of this arena. */
bool us_arena_holds(const us_arena *a, const void *p);
/* Of all that was allocated only what lies in these n pieces is needed any more: sorted by address, none of nothing. Chunks without
 * one are freed, of the others pages without one are dropped (us_pages_drop). For an arena that is to grow no more; one with deferred functions
 * stays as it is, for they may need anything. */
typedef struct us_piece {
    const void *p;
    size_t bytes;
} us_piece;
void us_arena_keep_only(us_arena *a, size_t n, const us_piece *kept);

/* Growing array in an arena. `US_VEC(T) v = {0};` then US_TRY(us_vec_push(c, a, &v, x)). Growth leaves
 * the old storage in the arena (at most as much again). What lies past n is not zeroed. */
#define US_VEC(T)                                                                              \
    struct {                                                                                   \
        T *at;                                                                                 \
        size_t n;                                                                              \
        size_t cap;                                                                            \
    }
us_err us_vec_reserve_at(struct us_ctx *c, us_arena *a, void **at, size_t *cap, size_t n,
                         size_t want, size_t size, size_t align) US_MUST;
#define us_vec_reserve(c, a, v, want)                                                          \
    us_vec_reserve_at((c), (a), (void **)&(v)->at, &(v)->cap, (v)->n, (want),                  \
                      sizeof(*(v)->at), _Alignof(max_align_t))
#define us_vec_push(c, a, v, ...)                                                              \
    (us_vec_reserve((c), (a), (v), (v)->n + 1) == US_OK                                        \
         ? ((v)->at[(v)->n++] = __VA_ARGS__, US_OK)                                            \
         : (c)->diag.code)

#endif
