/* Any bytes as JSON: refused with a message, or a tree whose canonical text reads back to the same text. */
#include <stdlib.h>
#include <string.h>

#include "conf/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_arena *a = NULL;
    json_t *j = NULL, *again = NULL;
    us_buf one, two;
    us_ctx_init(&c);
    us_buf_init(&one, &c, (size_t)64 << 20);
    us_buf_init(&two, &c, (size_t)64 << 20);
    if (us_arena_new(&c, "fuzz", (size_t)256 << 20, &a) == US_OK &&
        us_json_parse(&c, a, "fuzz", (us_sv){(const char *)data, size}, 0, &j) == US_OK &&
        us_json_print(&c, j, &one) == US_OK) {
        if (us_json_parse(&c, a, "again", us_buf_sv(&one), 0, &again) != US_OK ||
            us_json_print(&c, again, &two) != US_OK || one.n != two.n ||
            memcmp(one.p, two.p, one.n) != 0)
            abort();
        us_buf_clear(&two);
        if (us_json_print_pretty(&c, j, &two) != US_OK) abort();
    }
    us_buf_deinit(&one);
    us_buf_deinit(&two);
    us_arena_free(a);
    us_ctx_deinit(&c);
    return 0;
}
