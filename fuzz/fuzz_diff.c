/* fuzz_diff.c - a model against itself, and against a mutation of itself: the first pair has no difference, the second gives the same
 * answer twice, and every node is matched or told. */
#include <stdlib.h>

#include "fuzz_model.h"
#include "inspect/diff.h"
#include "onnx/onnx.h"

#define FILE_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_onnx(data, size, max_size, seed);
}

static us_diff *diff(us_ctx *c, const us_model *a, const us_model *b)
{
    us_diff *d = NULL;
    us_err e = us_diff_models(c, a, b, &(us_diff_opts){.cost = true}, &d);
    fuzz_check(c, e);
    return d;
}

static void check_sums(const us_diff *d)
{
    size_t lone_a = d->n_state[US_DIFF_REMOVED], lone_b = d->n_state[US_DIFF_ADDED];
    if (d->n_matched + lone_a != d->n_nodes_a || d->n_matched + lone_b != d->n_nodes_b) abort();
    if (d->n_state[0] + d->n_state[1] + d->n_state[2] != d->nodes.n) abort();
}

/* Changed, written and read again: what is compared came from a file. The result may point into b. */
static us_err mutated(us_ctx *c, us_model *from, uint64_t seed, us_buf *b, us_model **out)
{
    US_TRY(fuzz_mutate(c, from, seed));
    US_TRY(us_onnx_print(c, from, b));
    us_sv bytes = us_buf_sv(b);
    return us_onnx_parse(c, "mutated", bytes.p, bytes.n, NULL, NULL, out);
}

static void compare_mutated(us_ctx *c, const us_model *a, us_model *from, uint64_t seed)
{
    us_model *m = NULL;
    us_buf b;
    us_buf_init(&b, c, FILE_MAX);
    us_err e = mutated(c, from, seed, &b, &m);
    fuzz_check(c, e);
    us_diff *d = e == US_OK ? diff(c, a, m) : NULL, *again = e == US_OK ? diff(c, a, m) : NULL;
    if (d && again) {
        check_sums(d);
        if (d->nodes.n != again->nodes.n || d->facts.n != again->facts.n ||
            d->weights.n != again->weights.n || d->same != again->same)
            abort();
    }
    us_diff_free(d);
    us_diff_free(again);
    us_model_free(m);
    us_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_model *a = NULL, *b = NULL;
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &a);
    if (e == US_OK) e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &b);
    fuzz_check(&c, e);
    if (e == US_OK) {
        us_diff *d = diff(&c, a, b);
        if (d && !d->same) abort();
        if (d) check_sums(d);
        us_diff_free(d);
        compare_mutated(&c, a, b, us_hash64(data, size, 0));
    }
    us_model_free(a);
    us_model_free(b);
    us_ctx_deinit(&c);
    return 0;
}
