/* train/optim.c - optimisers as fused loops: read gradient and state once, write state and weight once.
 *
 * Element by element and in float, so neither threads nor the order of variables can change a result.
 * Sources: Kingma, Ba, "Adam", ICLR 2015, algorithm 1; Loshchilov, Hutter, "Decoupled weight decay regularization",
 * ICLR 2019, algorithm 2; Sutskever et al., ICML 2013, for Nesterov's momentum in the form that needs no second evaluation.
 */
#include "train/optim.h"

#include <math.h>

/* Eight independent sums let the processor overlap the additions; the order is fixed by n. */
double us_sum_squares(const float *x, size_t n)
{
    double s[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++)
            s[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++)
        s[0] += (double)x[i] * (double)x[i];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

size_t us_optim_slots(us_optim kind)
{
    return kind == US_OPTIM_SGD ? 1 : 2;
}

static void sgd(const us_optim_step *s, size_t n, float *restrict w, const float *restrict g,
                float *restrict v)
{
    const float lr = s->lr, mu = s->momentum, wd = s->weight_decay, gs = s->grad_scale;
    const float now = s->nesterov ? 1.0F : 0, past = s->nesterov ? mu : 1.0F;
    for (size_t i = 0; i < n; i++) {
        float d = g[i] * gs + wd * w[i];
        v[i] = mu * v[i] + d;
        w[i] -= lr * (now * d + past * v[i]);
    }
}

/* The bias corrections 1 / (1 - beta^t) are folded into the rate and into the scale of v. l2: decay in the gradient (Adam);
 * apart: decay apart from it (AdamW). */
static void adam(const us_optim_step *s, size_t n, float *restrict w, const float *restrict g,
                 float *restrict m, float *restrict v)
{
    const double t = (double)s->t;
    const float c1 = (float)(1 / (1 - pow((double)s->beta1, t)));
    const float c2 = (float)(1 / (1 - pow((double)s->beta2, t)));
    const float b1 = s->beta1, b2 = s->beta2, a1 = 1.0F - b1, a2 = 1.0F - b2;
    const float rate = s->lr * c1, gs = s->grad_scale, eps = s->eps;
    const float l2 = s->kind == US_OPTIM_ADAM ? s->weight_decay : 0;
    const float keep = s->kind == US_OPTIM_ADAMW ? 1.0F - s->lr * s->weight_decay : 1.0F;
    for (size_t i = 0; i < n; i++) {
        float d = g[i] * gs + l2 * w[i];
        m[i] = b1 * m[i] + a1 * d;
        v[i] = b2 * v[i] + a2 * (d * d);
        w[i] = w[i] * keep - rate * m[i] / (sqrtf(v[i] * c2) + eps);
    }
}

void us_optim_apply(const us_optim_step *s, size_t n, float *w, const float *g,
                    float *const slot[2])
{
    if (s->kind == US_OPTIM_SGD) {
        sgd(s, n, w, g, slot[0]);
    } else {
        adam(s, n, w, g, slot[0], slot[1]);
    }
}

double us_lr_at(const us_train_opts *o, uint64_t step, uint64_t steps_per_epoch)
{
    double at = ((double)step + 1) / (double)steps_per_epoch; /* epochs, this step included */
    double rise = o->warmup > 0 && at < o->warmup ? at / o->warmup : 1;
    if (o->schedule == US_SCHED_CONSTANT) return o->lr * rise;
    double part = (double)step / ((double)steps_per_epoch * (double)o->epochs);
    double fall =
        o->lr_final + (1 - o->lr_final) * 0.5 * (1 + cos(3.14159265358979323846 * part));
    return o->lr * rise * fall;
}
