/* fuzz_onnx.c - bytes as a model: read, verify, write, read again, print as text, parse that text.
 *
 * What was read must be writable and readable again, whatever it is; anything else is a finding (abort).
 */
#include <stdlib.h>

#include "base/ctx.h"
#include "ir/text.h"
#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Failures that say nothing about the input. */
static bool excused(us_err e)
{
    return e == US_OK || e == US_NOMEM || e == US_LIMIT;
}

static void again(us_ctx *c, const us_model *m)
{
    us_buf b, t;
    us_model *back = NULL, *parsed = NULL;
    us_buf_init(&b, c, (size_t)1 << 26);
    us_buf_init(&t, c, (size_t)1 << 26);
    us_err e = us_onnx_print(c, m, &b);
    if (!excused(e)) abort();
    if (e == US_OK && !excused(us_onnx_parse(c, "again", b.p, b.n, NULL, NULL, &back))) abort();
    us_model_print(c, m, SIZE_MAX, &t);
    e = us_buf_check(&t);
    if (e == US_OK && !excused(us_model_parse(c, us_buf_sv(&t), &parsed))) abort();
    us_model_free(back);
    us_model_free(parsed);
    us_buf_deinit(&b);
    us_buf_deinit(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_model *m = NULL;
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    if (us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m) == US_OK) {
        us_err e = us_graph_verify(&c, m->main);
        (void)e; /* any answer will do, as long as there is one */
        again(&c, m);
    }
    us_model_free(m);
    us_ctx_deinit(&c);
    return 0;
}
