/* Bytes -> compiled plan -> run, twice, under tight caps. Sums are not looked at, and the header is always made ours (this program's
 * version, the reference kernels), so what is behind both is reached by damaged and by hostile files alike. */
#include <string.h>

#include "exec/planfile.h"
#include "exec/planhead.h"
#include "fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static us_err run(us_ctx *c, const us_block *b, size_t n, fuzz_runner *r)
{
    us_value out[FUZZ_MAX_ENDS];
    us_plan *p;
    US_TRY(us_planfile_parse(c, "fuzz", b->p, n, true, &p));
    US_TRY(fuzz_open_plan(c, p, false, r));
    US_TRY(fuzz_run(c, r, out));
    return fuzz_run(c, r, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_block b = {0};
    us_kernels ref;
    us_planhead own;
    fuzz_runner r = {0};
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_kernels_init(&ref, 0);
    c.kernels = &ref;
    if (us_block_get(&c, &b, size + sizeof own, 64, false) == US_OK) {
        us_planhead_own(&ref, &own);
        if (size) memcpy(b.p, data, size);
        memcpy(b.p, &own, US_MIN(size, offsetof(us_planhead, file_bytes)));
        fuzz_check(&c, run(&c, &b, size, &r));
    }
    fuzz_close(&r);
    us_block_put(&c.alloc, &b);
    us_ctx_deinit(&c);
    return 0;
}
