/* fuzz_check.c - bytes -> read -> check: the checker answers whatever it gets, twice the same, and what it finds clean the
 * engine's reader takes. */
#include <stdlib.h>

#include "base/ctx.h"
#include "check/check.h"
#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool excused(us_err e)
{
    return e == US_OK || e == US_NOMEM || e == US_LIMIT || e == US_UNSUPP;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_check_report *a = NULL, *b = NULL;
    us_model *m = NULL;
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    if (us_check_bytes(&c, "fuzz", data, size, NULL, &a) == US_OK) {
        if (!excused(us_check_bytes(&c, "fuzz", data, size, NULL, &b))) abort();
        if (b && (a->n_errors != b->n_errors || a->found.n != b->found.n)) abort();
        if (!a->n_errors && !excused(us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m)))
            abort();
    }
    us_model_free(m);
    us_check_free(b);
    us_check_free(a);
    us_ctx_deinit(&c);
    return 0;
}
