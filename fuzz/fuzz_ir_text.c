/* fuzz_ir_text.c - bytes as the text form: parse, verify, infer, print, parse again.
 *
 * What was parsed prints to text that parses and prints the same; anything else is a finding (abort).
 */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "ir/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(us_ctx *c, const us_model *m)
{
    us_buf a, b;
    us_model *back = NULL;
    us_buf_init(&a, c, (size_t)1 << 26);
    us_buf_init(&b, c, (size_t)1 << 26);
    us_model_print(c, m, SIZE_MAX, &a);
    if (us_buf_check(&a) == US_OK) {
        us_err e = us_model_parse(c, us_buf_sv(&a), &back);
        if (e != US_OK && e != US_NOMEM && e != US_LIMIT) abort();
        if (e == US_OK) us_model_print(c, back, SIZE_MAX, &b);
        if (e == US_OK && us_buf_check(&b) == US_OK &&
            (a.n != b.n || memcmp(a.p, b.p, a.n) != 0))
            abort();
    }
    us_model_free(back);
    us_buf_deinit(&a);
    us_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_model *m = NULL;
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    if (us_model_parse(&c, (us_sv){(const char *)data, size}, &m) == US_OK) {
        again(&c, m);
        us_err e = us_graph_verify(&c, m->main);
        if (e == US_OK) e = us_graph_infer(&c, m->main);
        (void)e; /* any answer will do, as long as there is one */
    }
    us_model_free(m);
    us_ctx_deinit(&c);
    return 0;
}
