/* data/arrow.c - see arrow.h. One block per export holds children, buffer pointers and names; the parent and each child count
 * as its users, because a consumer may move a child out and keep it longer than the parent. */
#include "data/arrow.h"

#include <string.h>

/* What a release callback needs: the allocator, and the block to give back. */
typedef struct holder {
    us_alloc alloc;
    size_t bytes;
    _Atomic(size_t) n_users;
} holder;

static const char *format_of(us_coltype t)
{
    static const char *const formats[] = {[US_COL_F64] = "g",
                                          [US_COL_I64] = "l",
                                          [US_COL_BOOL] = "b",
                                          [US_COL_STR] = "U",
                                          [US_COL_TIME] = "tsu:UTC"};
    return formats[t];
}

static void give_back(void *private_data)
{
    holder *h = private_data;
    if (--h->n_users > 0) return;
    us_alloc a = h->alloc;
    us_mem_put(&a, h, 1, h->bytes);
}

static void release_child_schema(struct ArrowSchema *s)
{
    s->release = NULL;
    give_back(s->private_data);
}

static void release_schema(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++)
        if (s->children[i]->release) s->children[i]->release(s->children[i]);
    s->release = NULL;
    give_back(s->private_data);
}

static void release_child_array(struct ArrowArray *a)
{
    a->release = NULL;
    give_back(a->private_data);
}

static void release_array(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release) a->children[i]->release(a->children[i]);
    a->release = NULL;
    give_back(a->private_data);
}

static holder *block_of(us_ctx *c, size_t bytes, size_t n_users)
{
    holder *h = us_mem_get(&c->alloc, 1, sizeof *h + bytes);
    if (!h) return NULL;
    h->alloc = c->alloc;
    h->bytes = sizeof *h + bytes;
    h->n_users = n_users;
    return h;
}

static us_err export_schema(us_ctx *c, const us_table *t, struct ArrowSchema *out)
{
    size_t n = t->n_cols, names = 0;
    for (size_t i = 0; i < n; i++)
        names += t->cols[i].name.n + 1;
    holder *h = block_of(c, n * (sizeof(struct ArrowSchema) + sizeof(void *)) + names, n + 1);
    if (!h) return us_nomem(c);
    struct ArrowSchema *kids = (struct ArrowSchema *)(h + 1);
    struct ArrowSchema **list = (struct ArrowSchema **)(kids + n);
    char *text = (char *)(list + n);
    for (size_t i = 0; i < n; i++) {
        const us_column *k = &t->cols[i];
        memcpy(text, k->name.p, k->name.n);
        kids[i] = (struct ArrowSchema){.format = format_of(k->type),
                                       .name = text,
                                       .flags = ARROW_FLAG_NULLABLE,
                                       .release = release_child_schema,
                                       .private_data = h};
        list[i] = &kids[i];
        text += k->name.n + 1;
    }
    *out = (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = (int64_t)n,
                                .children = list,
                                .release = release_schema,
                                .private_data = h};
    return US_OK;
}

static us_err export_array(us_ctx *c, const us_table *t, struct ArrowArray *out)
{
    size_t n = t->n_cols;
    size_t per = sizeof(struct ArrowArray) + sizeof(void *) + 3 * sizeof(void *);
    holder *h = block_of(c, n * per + sizeof(void *), n + 1);
    if (!h) return us_nomem(c);
    struct ArrowArray *kids = (struct ArrowArray *)(h + 1);
    struct ArrowArray **list = (struct ArrowArray **)(kids + n);
    const void **buffers = (const void **)(void *)(list + n);
    for (size_t i = 0; i < n; i++) {
        const us_column *k = &t->cols[i];
        bool text = k->type == US_COL_STR;
        kids[i] = (struct ArrowArray){.length = (int64_t)k->n,
                                      .null_count = (int64_t)k->n_null,
                                      .n_buffers = text ? 3 : 2,
                                      .buffers = buffers,
                                      .release = release_child_array,
                                      .private_data = h};
        buffers[0] = k->valid;
        buffers[1] = text ? (const void *)k->offsets : k->data;
        if (text) buffers[2] = k->data;
        list[i] = &kids[i];
        buffers += 3;
    }
    *out =
        (struct ArrowArray){.length = (int64_t)t->n_rows,
                            .n_buffers = 1,
                            .buffers = buffers, /* one NULL: no row of the struct is missing */
                            .n_children = (int64_t)n,
                            .children = list,
                            .release = release_array,
                            .private_data = h};
    return US_OK;
}

us_err us_table_export(us_ctx *c, const us_table *t, struct ArrowSchema *schema,
                       struct ArrowArray *array)
{
    struct ArrowSchema s;
    US_TRY(export_schema(c, t, &s));
    us_err e = export_array(c, t, array);
    if (e != US_OK) {
        s.release(&s);
        return e;
    }
    *schema = s;
    return US_OK;
}
