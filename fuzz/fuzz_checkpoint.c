/* Training checkpoints. The reader checks a CRC over everything, which hides the rest from random bytes; so the input is also
 * tried with its CRC put right. */
#include "base/crc.h"
#include "train/checkpoint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(us_ctx *c, const void *p, size_t n)
{
    us_arena *a;
    us_ckpt k;
    if (us_arena_new(c, "fuzz", (size_t)64 << 20, &a) != US_OK) return;
    if (us_ckpt_parse(c, a, "fuzz", p, n, &k) == US_OK) {
        us_buf b;
        us_buf_init(&b, c, (size_t)64 << 20);
        if (us_ckpt_print(c, &k, &b) == US_OK && (b.n != n || memcmp(b.p, p, n) != 0))
            abort(); /* what was read is what is written */
        us_buf_deinit(&b);
    }
    us_arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    parse(&c, data, size);
    if (size > 4) {
        us_buf b;
        us_buf_init(&b, &c, (size_t)64 << 20);
        us_buf_add(&b, data, size);
        uint32_t crc = us_crc32c(0, data, size - 4);
        if (us_buf_check(&b) == US_OK) {
            memcpy(b.p + size - 4, &crc, 4);
            parse(&c, b.p, b.n);
        }
        us_buf_deinit(&b);
    }
    us_ctx_deinit(&c);
    return 0;
}
