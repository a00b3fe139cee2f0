/* exec/dynmem.c - counted, listed blocks; the header lies in the 64 bytes in front of the data. */
#include "exec/dynmem.h"

#define HEADER ((size_t)64)

struct us_dyn_block {
    us_dyn_list *list;
    us_dyn_block *prev, *next;
    us_block mem;
    size_t counted; /* against the cap */
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

us_err us_dyn_get(us_ctx *c, us_dynmem *d, us_dyn_list *list, size_t bytes, us_dyn_block **out)
{
    size_t want;
    if (!us_add_size(bytes, HEADER, &want) || want > d->cap_bytes ||
        d->used_bytes > d->cap_bytes - want) {
        char a[32], b[32], u[32];
        return us_fail(
            c, US_LIMIT,
            "a value of %s, with %s in use, exceeds the cap of %s for values sized at run time",
            us_print_bytes(bytes, a), us_print_bytes(d->used_bytes, u),
            us_print_bytes(d->cap_bytes, b));
    }
    us_block mem = {0};
    US_TRY(us_block_get(c, &mem, want, HEADER, false));
    us_dyn_block *b = mem.p;
    b->mem = mem;
    b->counted = want;
    link_block(b, list);
    d->used_bytes += want;
    *out = b;
    return US_OK;
}

void us_dyn_put(us_dynmem *d, us_dyn_block *b)
{
    us_block mem = b->mem;
    unlink_block(b);
    d->used_bytes -= b->counted;
    us_block_put(&d->alloc, &mem);
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
