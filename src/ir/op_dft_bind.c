/* ir/op_dft_bind.c - STFT and DFT of real float signals whose length is a power of two, for known shapes: tables made once, as many
 * frames at a time as a vector has lanes. Other lengths, complex signals and inverse transforms run as they come, in double (op_dft.c).
 */
#include "base/pool.h"
#include "ir/op_util.h"
#include "ir/params_signal.h"
#include "kernel/fft.h"

enum { MOST_PARTS = 16 };
#define PART_WORK 3e5 /* samples times stages that are worth a thread */

typedef struct spectrum {
    const us_fft_kernels *kernels;
    size_t n, bins; /* samples of a frame; bins wanted */
    size_t frames, step,
        signal;  /* of a signal: frames, their distance; samples from a signal to the next */
    size_t all;  /* frames of all signals */
    bool window; /* input 2 */
    const float *roots;
    const uint32_t *order;
    size_t parts, groups, each; /* groups of lanes in a part; bytes of scratch of a part */
} spectrum;

/* --- running ---------------------------------------------------------------------------------------- */

/* Samples of the frames from `first` on, a lane each; lanes without a frame repeat the last. */
static void load(const spectrum *s, const float *x, const float *w, size_t first, float *to)
{
    enum { MOST_LANES = 16 };
    const float *from[MOST_LANES];
    size_t lanes = s->kernels->lanes;
    for (size_t l = 0; l < lanes; l++) {
        size_t f = US_MIN(first + l, s->all - 1);
        from[l] = x + f / s->frames * s->signal + f % s->frames * s->step;
    }
    for (size_t j = 0; j < s->n / 2; j++) {
        float *row = to + 2 * lanes * s->order[j], a = w ? w[2 * j] : 1,
              b = w ? w[2 * j + 1] : 1;
        for (size_t l = 0; l < lanes; l++) {
            row[l] = a * from[l][2 * j];
            row[lanes + l] = b * from[l][2 * j + 1];
        }
    }
}

/* Bins of lane l; those of the second half mirror the first. */
static void store(const spectrum *s, const float *x, size_t l, float *y)
{
    size_t lanes = s->kernels->lanes, half = US_MIN(s->bins, s->n / 2 + 1);
    const float *re = x + l, *im = x + lanes + l;
    for (size_t k = 0; k < half; k++) {
        y[2 * k] = re[2 * lanes * k];
        y[2 * k + 1] = im[2 * lanes * k];
    }
    for (size_t k = half; k < s->bins; k++) {
        y[2 * k] = y[2 * (s->n - k)];
        y[2 * k + 1] = -y[2 * (s->n - k) + 1];
    }
}

typedef struct job {
    const spectrum *s;
    const float *x, *w;
    float *y;
    char *scratch;
} job;

static void run_parts(void *arg, size_t p0, size_t p1)
{
    const job *j = arg;
    const spectrum *s = j->s;
    size_t lanes = s->kernels->lanes;
    for (size_t p = p0; p < p1; p++) {
        float *x = (void *)(j->scratch + p * s->each);
        size_t from = p * s->groups * lanes, to = US_MIN(s->all, from + s->groups * lanes);
        for (size_t f = from; f < to; f += lanes) {
            load(s, j->x, j->w, f, x);
            s->kernels->real(s->n, s->roots, x);
            for (size_t l = 0; l < US_MIN(lanes, to - f); l++)
                store(s, x, l, j->y + (f + l) * s->bins * 2);
        }
    }
}

static us_err run(us_eval *k, const void *state, void *scratch)
{
    const spectrum *s = state;
    job j = {s, k->in[0]->t.data, s->window ? k->in[2]->t.data : NULL, k->out[0]->t.data,
             scratch};
    us_pool_run(k->c->pool, s->parts, 1, run_parts, &j);
    return US_OK;
}

/* --- binding ---------------------------------------------------------------------------------------- */

/* Input i, an integer that is known now, or `fallback` when absent; false: not known, or not positive. */
static bool number(us_eval *k, size_t i, int64_t fallback, int64_t *out)
{
    const us_tensor *t = us_eval_opt(k, i);
    *out = fallback;
    if (t &&
        (!t->data || us_tensor_count(t) != 1 || (t->dtype != US_I64 && t->dtype != US_I32)))
        return false;
    if (t) *out = us_tensor_i64_at(t, 0);
    return *out > 0;
}

static bool is_power(size_t n)
{
    return n >= US_FFT_LEAST && n <= US_FFT_MOST && (n & (n - 1)) == 0;
}

/* s is filled in up to `window`. */
static us_err bind(us_eval *k, spectrum *s, us_call *call)
{
    void *roots, *order;
    s->kernels = us_kernels_get(k->c)->fft;
    size_t lanes = s->kernels->lanes, in_all = (s->all + lanes - 1) / lanes;
    double work = 16 * (double)s->n * (double)s->all;
    size_t n = work < 2 * PART_WORK ? 1 : US_MIN(in_all, (size_t)MOST_PARTS);
    s->groups = (in_all + n - 1) / n;
    s->parts = (in_all + s->groups - 1) / s->groups;
    s->each = ((s->n / 2 + 1) * 2 * lanes * sizeof(float) + 63) / 64 * 64;
    US_TRY(us_eval_keep(k, 2 * s->n * sizeof(float), &roots));
    US_TRY(us_eval_keep(k, s->n / 2 * sizeof(uint32_t), &order));
    us_fft_tables(s->n, roots, order);
    s->roots = roots;
    s->order = order;
    US_TRY(us_eval_work(k, work));
    call->scratch = s->parts * s->each;
    return us_call_make(k, call, run, s, sizeof *s, s->kernels->name);
}

us_err stft_bind(us_eval *k, us_call *call)
{
    const us_p_stft *p = k->params;
    const us_tensor *x = us_eval_dense_f32(k, 0), *w = us_eval_opt(k, 2),
                    *y = us_eval_opt_out(k, 0);
    int64_t step, n;
    call->kernel = "not real float32 in frames of a known power of two";
    if (!x || !y || y->dtype != US_F32 || (w && !us_eval_dense_f32(k, 2))) return US_OK;
    if (x->rank < 2 || (x->rank == 3 && x->dims[2] != 1) || x->rank > 3) return US_OK;
    if (!number(k, 1, 0, &step) || !number(k, 3, w ? us_tensor_count(w) : 0, &n)) return US_OK;
    if (!is_power((size_t)n) || x->dims[1] < n || (w && us_tensor_count(w) != n)) return US_OK;
    spectrum s = {.n = (size_t)n, .step = (size_t)step, .window = w != NULL};
    s.bins = p->onesided ? s.n / 2 + 1 : s.n;
    s.signal = (size_t)x->dims[1];
    s.frames = (s.signal - s.n) / s.step + 1;
    s.all = s.frames * (size_t)x->dims[0];
    if ((size_t)us_tensor_count(y) != s.all * s.bins * 2) return US_OK;
    return bind(k, &s, call);
}

/* Over the last axis but one: lines lie one after the other. */
us_err dft_bind(us_eval *k, us_call *call)
{
    const us_p_dft *p = k->params;
    const us_tensor *x = us_eval_dense_f32(k, 0), *axis = us_eval_opt(k, 2),
                    *y = us_eval_opt_out(k, 0);
    int64_t at = -2, n;
    call->kernel = "not a real float32 signal of a power of two along the last axis";
    if (!x || !y || y->dtype != US_F32 || x->rank < 2 || x->dims[x->rank - 1] != 1 ||
        p->inverse)
        return US_OK;
    if (axis && (!axis->data || us_tensor_count(axis) != 1)) return US_OK;
    if (axis) at = us_tensor_i64_at(axis, 0);
    if (at != -2 && at != x->rank - 2) return US_OK;
    int64_t width = x->dims[x->rank - 2];
    if (!number(k, 1, width, &n) || n != width || !is_power((size_t)n)) return US_OK;
    spectrum s = {.n = (size_t)n, .step = (size_t)n, .signal = (size_t)n, .frames = 1};
    s.bins = p->onesided ? s.n / 2 + 1 : s.n;
    s.all = (size_t)us_tensor_count(x) / s.n;
    if ((size_t)us_tensor_count(y) != s.all * s.bins * 2) return US_OK;
    return bind(k, &s, call);
}
