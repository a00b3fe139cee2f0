/* data/passport_sketch.c - sketches of decoded inputs and of predictions: the passport's references and their live twins. */
#include <math.h>
#include <string.h>

#include "data/cell.h"
#include "data/decode.h"
#include "data/passport.h"

/* ORDER us_data_kind */
static const us_sketch_kind sketch_kinds[] = {US_SK_NUMERIC, US_SK_NUMERIC,
                                              US_SK_BOOLEAN, US_SK_CATEGORICAL,
                                              US_SK_TEXT,    US_SK_TIMESTAMP};

us_err us_sketch_inputs(us_ctx *c, us_arena *a, const struct us_decoder *d, const us_value *in,
                        size_t n_rows, us_sketch **out)
{
    us_arena *tmp = NULL;
    us_err e = US_OK;
    us_sketch *s = us_new_n(a, us_sketch, d->n_features);
    if (!s) return us_arena_fail(c, a);
    US_TRY(us_arena_new(c, "sketches", (size_t)1 << 37, &tmp));
    double *x = us_new_n(tmp, double, n_rows);
    us_sv *text = us_new_n(tmp, us_sv, n_rows);
    if (!x || !text) {
        e = us_arena_fail(c, tmp);
        goto out;
    }
    for (size_t f = 0; f < d->n_features; f++) {
        us_sv name = d->features[f]->name;
        us_sketch_kind kind = sketch_kinds[d->features[f]->kind];
        bool is_text = us_decoded_is_string(d, f);
        for (size_t i = 0; i < n_rows; i++) {
            if (is_text)
                text[i] = us_decoded_string(d, in, f, i);
            else
                x[i] = us_decoded_number(d, in, f, i);
        }
        if (is_text)
            US_GO(us_sketch_of_strings(c, a, name, kind, text, n_rows, &s[f]));
        else
            US_GO(us_sketch_of_numbers(c, a, name, kind, x, n_rows, 0, &s[f]));
    }
    *out = s;
out:
    us_arena_free(tmp);
    return e;
}

void us_sketch_update_inputs(us_sketch *live, const struct us_decoder *d, const us_value *in,
                             size_t n_rows)
{
    for (size_t f = 0; f < d->n_features; f++)
        for (size_t i = 0; i < n_rows; i++) {
            if (us_decoded_is_string(d, f))
                us_sketch_add_string(&live[f], us_decoded_string(d, in, f, i));
            else
                us_sketch_add_number(&live[f], us_decoded_number(d, in, f, i));
        }
}

static size_t argmax(const float *p, size_t k)
{
    size_t best = 0;
    for (size_t j = 1; j < k; j++)
        if (p[j] > p[best]) best = j;
    return best;
}

us_err us_sketch_outputs(us_ctx *c, us_arena *a, us_task task, const us_sv *classes, size_t k,
                         const float *prob, const float *pred, size_t n, us_sketch **out,
                         size_t *n_out)
{
    us_arena *tmp = NULL;
    us_err e = US_OK;
    us_sketch *s = us_new_n(a, us_sketch, 2);
    if (!s) return us_arena_fail(c, a);
    US_TRY(us_arena_new(c, "sketches", (size_t)1 << 37, &tmp));
    double *x = us_new_n(tmp, double, n);
    us_sv *text = us_new_n(tmp, us_sv, n);
    if (!x || !text) {
        e = us_arena_fail(c, tmp);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        size_t best = task == US_TASK_CLASSES ? argmax(prob + i * k, k) : 0;
        if (task == US_TASK_CLASSES) text[i] = classes[best];
        x[i] = (double)(task == US_TASK_CLASSES ? prob[i * k + best] : pred[i]);
    }
    if (task == US_TASK_CLASSES) {
        US_GO(us_sketch_of_strings(c, a, US_SV("label"), US_SK_CATEGORICAL, text, n, &s[0]));
        US_GO(us_sketch_of_numbers(c, a, US_SV("confidence"), US_SK_NUMERIC, x, n, 0, &s[1]));
    } else {
        US_GO(us_sketch_of_numbers(c, a, US_SV("prediction"), US_SK_NUMERIC, x, n, 0, &s[0]));
    }
    *out = s;
    *n_out = task == US_TASK_CLASSES ? 2 : 1;
out:
    us_arena_free(tmp);
    return e;
}

void us_sketch_update_outputs(us_sketch *live, us_task task, const us_sv *classes, size_t k,
                              const float *prob, const float *pred, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (task != US_TASK_CLASSES) {
            us_sketch_add_number(&live[0], (double)pred[i]);
            continue;
        }
        size_t best = argmax(prob + i * k, k);
        us_sketch_add_string(&live[0], classes[best]);
        us_sketch_add_number(&live[1], (double)prob[i * k + best]);
    }
}
