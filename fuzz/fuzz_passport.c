/* The passport (and in it schema, sketches): what parses must print, parse again and print the same. */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "data/passport.h"
#include "stats/twosample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(us_ctx *c, us_arena *a, const us_passport *p)
{
    us_buf x, y;
    us_passport q;
    us_drift d;
    us_sketch now;
    us_buf_init(&x, c, (size_t)1 << 26);
    us_buf_init(&y, c, (size_t)1 << 26);
    if (us_passport_print(c, p, &x) == US_OK) {
        if (us_passport_parse(c, a, us_buf_sv(&x), &q) != US_OK) abort();
        if (us_passport_print(c, &q, &y) != US_OK || !us_sv_eq(us_buf_sv(&x), us_buf_sv(&y)))
            abort();
    }
    for (size_t i = 0; i < p->n_sketches; i++)
        if (us_sketch_like(c, a, &p->sketches[i], &now) == US_OK) {
            us_sketch_add_string(&now, US_SV("abc"));
            (void)(us_drift_compare(c, &p->sketches[i], &now, &d) == US_OK);
        }
    us_buf_deinit(&x);
    us_buf_deinit(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_arena *a;
    us_passport p;
    us_ctx_init(&c);
    if (us_arena_new(&c, "fuzz", (size_t)1 << 28, &a) == US_OK) {
        if (us_passport_parse(&c, a, (us_sv){(const char *)data, size}, &p) == US_OK)
            use(&c, a, &p);
        us_arena_free(a);
    }
    us_ctx_deinit(&c);
    return 0;
}
