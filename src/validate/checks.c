/* validate/checks.c - what every served model must withstand, asked for or not.
 *
 * Each check is a row of the table below. Wrong inputs (type, shape, count) must be refused with an error; odd but legal ones
 * (missing everywhere, infinities, unknown categories, extreme numbers) must be answered with finite numbers or refused.
 * A crash would end the validation, which is the point of running it before anything is deployed.
 */
#include <math.h>
#include <string.h>

#include "validate/gate.h"

#define CHECK_ROWS 64 /* rows used by checks that compare predictions */

typedef struct check {
    const char *what, *required;
    us_err (*run)(us_gate *g, us_arena *tmp, bool *passed, const char **found);
} check;

/* A result in words. */
static us_err verdict(us_gate *g, us_err e, bool want_refusal, bool *passed, const char **found)
{
    if (e == US_NOMEM || e == US_BUG) return e;
    *passed = (e != US_OK) == want_refusal;
    *found = e == US_OK ? "accepted" : us_gate_text(g, "refused: %.80s", g->c->diag.text);
    return US_OK;
}

/* The first test row, decoded. */
static us_err first_row(us_gate *g, us_arena *tmp, us_value **in)
{
    *in = us_new_n(tmp, us_value, g->p.decoder.n_inputs);
    if (!*in) return us_arena_fail(g->c, tmp);
    return us_decode_table(g->c, tmp, &g->p.decoder, g->in->table, g->in->rows, 1, *in);
}

static us_err wrong_type(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    us_value *in;
    us_predictions y;
    us_tensor t;
    US_TRY(first_row(g, tmp, &in));
    US_TRY(us_tensor_new(g->c, tmp, US_U8, in[0].t.rank, in[0].t.dims, &t));
    in[0] = us_value_of(&t);
    return verdict(g, us_predict(g->c, &g->p, tmp, in, 1, &y), true, passed, found);
}

static us_err wrong_shape(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    us_value *in;
    us_predictions y;
    us_tensor t;
    US_TRY(first_row(g, tmp, &in));
    US_TRY(us_tensor_new(g->c, tmp, in[0].t.dtype, 3,
                         (const int64_t[]){1, in[0].t.dims[1] + 1, 2}, &t));
    in[0] = us_value_of(&t);
    return verdict(g, us_predict(g->c, &g->p, tmp, in, 1, &y), true, passed, found);
}

static us_err missing_input(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    us_value *in;
    us_predictions y;
    US_TRY(first_row(g, tmp, &in));
    in[0] = (us_value){.kind = US_KIND_NONE};
    return verdict(g, us_predict(g->c, &g->p, tmp, in, 1, &y), true, passed, found);
}

static bool finite_answers(const us_predictions *y)
{
    const float *v = y->task == US_TASK_CLASSES ? y->prob : y->value;
    size_t n = y->task == US_TASK_CLASSES ? y->n * y->k : y->n;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

/* Fill every cell of a decoded row: numbers with v, strings with s, times with t. */
static void fill(us_value *in, size_t n, float v, us_sv s, int64_t t)
{
    for (size_t i = 0; i < n; i++)
        for (int64_t k = 0; k < us_tensor_count(&in[i].t); k++) {
            if (in[i].t.dtype == US_F32) ((float *)in[i].t.data)[k] = v;
            if (in[i].t.dtype == US_STRING) ((us_sv *)in[i].t.data)[k] = s;
            if (in[i].t.dtype == US_I64) ((int64_t *)in[i].t.data)[k] = t;
        }
}

static us_err odd_row(us_gate *g, us_arena *tmp, float v, us_sv s, int64_t t, bool *passed,
                      const char **found)
{
    us_value *in;
    us_predictions y;
    US_TRY(first_row(g, tmp, &in));
    fill(in, g->p.decoder.n_inputs, v, s, t);
    us_err e = us_predict(g->c, &g->p, tmp, in, 1, &y);
    if (e != US_OK) return verdict(g, e, true, passed, found);
    *passed = finite_answers(&y);
    *found = *passed ? "finite answer" : "NaN or infinity in the answer";
    return US_OK;
}

static us_err all_missing(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    return odd_row(g, tmp, NAN, (us_sv){0}, US_TIME_MISSING, passed, found);
}

static us_err unknown_category(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    return odd_row(g, tmp, 0, US_SV("\xE2\x98\x83 never seen in training"), 0, passed, found);
}

static us_err extreme_numbers(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    return odd_row(g, tmp, 1e30f, US_SV("x"), INT64_C(253402300799000000), passed, found);
}

static double answer_distance(const us_predictions *a, size_t i, const us_predictions *b,
                              size_t j)
{
    if (a->task == US_TASK_VALUE)
        return fabs((double)a->value[i] - (double)b->value[j]) /
               (1 + fabs((double)a->value[i]));
    double worst = 0;
    for (size_t k = 0; k < a->k; k++) {
        double d = fabs((double)a->prob[i * a->k + k] - (double)b->prob[j * b->k + k]);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

/* The same rows one by one and all at once: sums may be ordered otherwise, hence the bound of a few ULP of 1. */
static us_err batch_agrees(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    double worst = 0;
    size_t n = US_MIN(g->in->n_rows, (size_t)CHECK_ROWS);
    for (size_t i = 0; i < n; i++) {
        us_predictions y;
        US_TRY(us_predict_table(g->c, &g->p, tmp, g->in->table, g->in->rows + i, 1, &y));
        double d = answer_distance(&g->y, i, &y, 0);
        if (!(d <= worst)) worst = d;
    }
    *passed = worst <= 1e-5;
    *found = us_gate_text(g, "largest difference %.2g", worst);
    return US_OK;
}

static us_err label_agrees(us_gate *g, us_arena *tmp, bool *passed, const char **found)
{
    (void)tmp;
    size_t bad = 0;
    if (g->y.task == US_TASK_VALUE) {
        *passed = finite_answers(&g->y);
        *found = *passed ? "finite" : "NaN or infinity";
        return US_OK;
    }
    for (size_t i = 0; i < g->y.n; i++) {
        const float *p = g->y.prob + i * g->y.k;
        double sum = 0;
        bool best = true;
        for (size_t k = 0; k < g->y.k; k++) {
            sum += (double)p[k];
            best = best && p[k] <= p[g->y.label[i]];
        }
        bad += !best || !(fabs(sum - 1) <= 1e-4);
    }
    *passed = bad == 0;
    *found = us_gate_text(g, "%zu of %zu rows disagree", bad, g->y.n);
    return US_OK;
}

static const check checks[] = {
    {"bad input: wrong type", "refused", wrong_type},
    {"bad input: wrong shape", "refused", wrong_shape},
    {"bad input: one input missing", "refused", missing_input},
    {"bad input: every value missing", "finite answer or refused", all_missing},
    {"bad input: unknown category", "finite answer or refused", unknown_category},
    {"bad input: extreme numbers", "finite answer or refused", extreme_numbers},
    {"one row = its row in a batch", "difference <= 1e-05", batch_agrees},
    {"answers are consistent", "label is likeliest, sums are 1", label_agrees},
};

us_err us_gate_checks(us_gate *g)
{
    us_arena *tmp;
    us_err e = US_OK;
    US_TRY(us_arena_new(g->c, "checks", (size_t)1 << 30, &tmp));
    for (size_t i = 0; i < US_LEN(checks) && e == US_OK; i++) {
        us_mark mark = us_arena_mark(tmp);
        us_gate_row row = {.what = checks[i].what,
                           .required = checks[i].required,
                           .evidence = "",
                           .found = ""};
        e = checks[i].run(g, tmp, &row.passed, &row.found);
        us_arena_reset(tmp, mark);
        if (e == US_OK) e = us_gate_add(g, row);
    }
    us_arena_free(tmp);
    return e;
}
