/* exec/dynmem.c - counted, listed blocks; the header lies in the 64 bytes in front of the data. */
#include "exec/dynmem.h"

#define HEADER   ((size_t)128)
#define SMALLEST ((size_t)256)
#define NO_CLASS US_DYN_SIZES

struct us_dyn_block {
    us_dyn_list *list; /* NULL: kept */
    us_dyn_block *prev, *next;
    us_block mem;
    size_t counted; /* against the cap */
    size_t class;
    uint64_t used_in; /* the run */
};
_Static_assert(sizeof(us_dyn_block) <= HEADER, "the header fits in front of the data");

static void link_block(us_dyn_block *b, us_dyn_list *list)
{
    b->list = list;
    b->prev = NULL;
    b->next = list->first;
    if (list->first) list->first->prev = b;
    list->first = b;
}

static void unlink_block(us_dyn_block *b)
{
    if (b->prev)
        b->prev->next = b->next;
    else
        b->list->first = b->next;
    if (b->next) b->next->prev = b->prev;
}

/* --- what is kept --------------------------------------------------------------------------------------- */

/* The class for so many bytes, and the bytes of its blocks. */
static size_t class_of(size_t want, size_t *bytes)
{
    size_t base = SMALLEST, class = 0;
    *bytes = want;
    if (want > SIZE_MAX / 4) return NO_CLASS;
    for (; want > 2 * base; base *= 2)
        class += 4;
    size_t step = base / 4, k = want <= base ? 0 : (want - base + step - 1) / step;
    if (class + k >= NO_CLASS) return NO_CLASS;
    *bytes = base + k * step;
    return class + k;
}

static void drop(us_dynmem *d, us_dyn_block *b)
{
    us_block mem = b->mem;
    d->spare_bytes -= mem.bytes;
    us_block_put(&d->alloc, &mem);
}

/* Kept blocks that were last used before run `since`. */
static void drop_older(us_dynmem *d, uint64_t since)
{
    for (size_t i = 0; i < US_DYN_SIZES && d->spare_bytes > 0; i++)
        for (us_dyn_block **at = &d->spare[i]; *at;) {
            us_dyn_block *b = *at;
            if (b->used_in >= since) {
                at = &b->next;
                continue;
            }
            *at = b->next;
            drop(d, b);
        }
}

void us_dyn_begin_run(us_dynmem *d)
{
    if (d->spare_bytes > 0) drop_older(d, d->n_runs);
    d->n_runs++;
}

void us_dyn_deinit(us_dynmem *d)
{
    drop_older(d, UINT64_MAX);
}

static us_err take_block(us_ctx *c, us_dynmem *d, size_t want, us_dyn_block **out)
{
    us_block mem = {0};
    size_t bytes, class = class_of(want, &bytes);
    us_dyn_block *b = class == NO_CLASS ? NULL : d->spare[class];
    if (b) {
        d->spare[class] = b->next;
        d->spare_bytes -= b->mem.bytes;
    } else {
        size_t room = d->cap_bytes - d->used_bytes; /* at least `want` */
        if (bytes > room) {
            bytes = want;
            class = NO_CLASS;
        }
        if (d->spare_bytes > room - bytes) drop_older(d, UINT64_MAX);
        US_TRY(us_block_get(c, &mem, bytes, 64, false));
        b = mem.p;
        b->mem = mem;
        b->class = class;
    }
    b->used_in = d->n_runs;
    *out = b;
    return US_OK;
}

/* --- blocks ------------------------------------------------------------------------------------------------- */

us_err us_dyn_get(us_ctx *c, us_dynmem *d, us_dyn_list *list, size_t bytes, us_dyn_block **out)
{
    size_t want;
    us_dyn_block *b;
    if (!us_add_size(bytes, HEADER, &want) || want > d->cap_bytes ||
        d->used_bytes > d->cap_bytes - want) {
        char text[32], cap[32], u[32];
        return us_fail(
            c, US_LIMIT,
            "a value of %s, with %s in use, exceeds the cap of %s for values sized at run time",
            us_print_bytes(bytes, text), us_print_bytes(d->used_bytes, u),
            us_print_bytes(d->cap_bytes, cap));
    }
    US_TRY(take_block(c, d, want, &b));
    b->counted = want;
    link_block(b, list);
    d->used_bytes += want;
    *out = b;
    return US_OK;
}

void us_dyn_put(us_dynmem *d, us_dyn_block *b)
{
    unlink_block(b);
    d->used_bytes -= b->counted;
    d->spare_bytes += b->mem.bytes;
    if (b->class == NO_CLASS) {
        drop(d, b);
        return;
    }
    b->list = NULL;
    b->next = d->spare[b->class];
    d->spare[b->class] = b;
}

void us_dyn_put_all(us_dynmem *d, us_dyn_list *list)
{
    while (list->first)
        us_dyn_put(d, list->first);
}

void us_dyn_move(us_dyn_block *b, us_dyn_list *to)
{
    unlink_block(b);
    link_block(b, to);
}

void *us_dyn_data(us_dyn_block *b)
{
    return (char *)b + HEADER;
}

us_dyn_block *us_dyn_next(us_dyn_block *b)
{
    return b->next;
}
