/* The snapshot reader, with and without checksums of buffers; what it accepts must be safe to read through. */
#include <string.h>

#include "base/ctx.h"
#include "data/snapshot.h"
#include "data/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_one(us_ctx *c, const void *p, size_t n, bool check)
{
    us_table *t = NULL;
    us_buf b;
    if (us_snapshot_parse(c, "fuzz", p, n, check, &t) != US_OK) return;
    us_buf_init(&b, c, (size_t)1 << 26);
    for (size_t j = 0; j < t->n_cols; j++)
        for (size_t i = 0; i < t->n_rows && i < 1000; i++)
            us_col_print(&t->cols[j], i, &b);
    us_buf_deinit(&b);
    us_table_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_block block = {0};
    us_arena *a;
    us_split s;
    us_ctx_init(&c);
    if (us_block_get(&c, &block, size + 1, 64, true) == US_OK) {
        if (size) memcpy(block.p, data, size);
        try_one(&c, block.p, size, true);
        try_one(&c, block.p, size, false);
        us_block_put(&c.alloc, &block);
    }
    if (us_arena_new(&c, "fuzz", (size_t)1 << 26, &a) == US_OK) {
        (void)(us_split_parse(&c, a, "fuzz", (us_sv){(const char *)data, size}, &s) == US_OK);
        us_arena_free(a);
    }
    us_ctx_deinit(&c);
    return 0;
}
