/* Regular expressions of model attributes: the first line is the pattern, the rest the text. */
#include <string.h>

#include "base/ctx.h"
#include "ir/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_arena *a = NULL;
    us_regex *r = NULL;
    const char *nl = size ? memchr(data, '\n', size) : NULL;
    if (!nl) return 0;
    us_sv pattern = {(const char *)data, (size_t)(nl - (const char *)data)};
    us_sv text = {nl + 1, size - pattern.n - 1};
    if (text.n > 4096) text.n = 4096; /* time is states times length */
    us_ctx_init(&c);
    if (us_arena_new(&c, "regex", (size_t)64 << 20, &a) == US_OK &&
        us_regex_new(&c, a, pattern, &r) == US_OK)
        (void)us_regex_full_match(r, text);
    us_arena_free(a);
    us_ctx_deinit(&c);
    return 0;
}
