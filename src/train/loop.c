/* train/loop.c - the epochs of training.
 *
 * State between epochs is: weights, optimiser state, best weights, history. All of it is in a checkpoint, and everything random
 * is keyed by (seed, epoch or step), so a run that goes on from a checkpoint does exactly what it would have done.
 * Validation loss decides when to stop and which weights are kept: it moves earlier and more smoothly than accuracy.
 * Numeric targets are trained in units of their deviation; the last layer is scaled back at the end.
 */
#include "train/loop.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"

#define PROGRESS_NS ((uint64_t)50 * 1000 * 1000)

typedef struct loop {
    us_ctx *c;
    const us_train_opts *o;
    const us_train_data *d;
    const us_train_hooks *hooks;
    uint64_t seed, fingerprint;
    us_arena *arena, *tmp; /* results; everything else */
    us_net *net;
    us_stepper *stepper;
    us_net_predictor *predictor;
    double mean, scale; /* of numeric targets */
    uint32_t *order;
    float *pred;
    us_ckpt state;
    uint64_t steps_per_epoch, steps_here;
    uint64_t t0_ns, told_ns;
} loop;

/* --- identity of a run ------------------------------------------------------------------------------------ */

static uint64_t hash_rows(const us_train_rows *r, size_t n_features, uint64_t h)
{
    h = us_hash64(r->x, r->n * n_features * sizeof(float), h);
    if (r->cls) h = us_hash64(r->cls, r->n * sizeof(int32_t), h);
    if (r->value) h = us_hash64(r->value, r->n * sizeof(float), h);
    if (r->weight) h = us_hash64(r->weight, r->n * sizeof(float), h);
    return h;
}

/* Everything that decides what a run does, so that a checkpoint of another run is never continued. */
static uint64_t fingerprint(const us_train_opts *o, uint64_t seed, const us_train_data *d)
{
    const double numbers[] = {
        (double)o->family,
        (double)o->activation,
        (double)o->init,
        o->dropout,
        (double)o->optim,
        o->lr,
        o->lr_final,
        o->warmup,
        (double)o->schedule,
        o->momentum,
        (double)o->nesterov,
        o->beta1,
        o->beta2,
        o->eps,
        o->weight_decay,
        o->clip_norm,
        o->label_smoothing,
        (double)o->balanced,
        (double)o->batch,
        (double)o->epochs,
        (double)o->patience,
        o->min_delta,
        (double)d->task,
        (double)d->n_features,
        (double)d->n_classes,
        (double)d->train.n,
        (double)d->valid.n,
        US_CKPT_VERSION,
    };
    uint64_t h = us_hash64(numbers, sizeof(numbers), seed);
    h = us_hash64(o->hidden, o->n_hidden * sizeof(o->hidden[0]), h);
    h = hash_rows(&d->train, d->n_features, h);
    return hash_rows(&d->valid, d->n_features, h);
}

/* --- setting up --------------------------------------------------------------------------------------------- */

static void scale_target(loop *l)
{
    l->scale = 1;
    if (l->d->task != US_TASK_VALUE) return;
    const us_train_rows *t = &l->d->train;
    double var = 0;
    for (size_t i = 0; i < t->n; i++)
        l->mean += (double)t->value[i] / (double)t->n;
    for (size_t i = 0; i < t->n; i++) {
        double r = (double)t->value[i] - l->mean;
        var += r * r / (double)t->n;
    }
    if (var > 0) l->scale = sqrt(var);
}

static us_err get_floats(loop *l, size_t n, float **out)
{
    *out = us_new_n(l->tmp, float, n);
    return *out ? US_OK : us_arena_fail(l->c, l->tmp);
}

static us_err start(loop *l, const double *class_weight)
{
    us_ckpt *k = &l->state;
    scale_target(l);
    us_net_init(l->net, l->o->init, l->seed);
    US_TRY(us_stepper_new(l->c, l->o, l->seed, l->d, class_weight, l->mean, l->scale, l->net,
                          &l->stepper));
    k->fingerprint = l->fingerprint;
    k->n_values = us_stepper_n_values(l->stepper);
    k->n_slots = us_stepper_n_slots(l->stepper);
    k->best_loss = (double)INFINITY;
    US_TRY(get_floats(l, k->n_values, &k->values));
    US_TRY(get_floats(l, k->n_values, &k->best));
    for (size_t i = 0; i < k->n_slots; i++)
        k->slots[i] = us_stepper_slot(l->stepper, i);
    us_stepper_get(l->stepper, k->best);
    k->history = us_new_n(l->arena, us_train_epoch, (size_t)l->o->epochs);
    l->order = us_new_n(l->tmp, uint32_t, l->d->train.n);
    if (!k->history || !l->order) return us_nomem(l->c);
    size_t width = l->d->task == US_TASK_CLASSES ? l->d->n_classes : 1;
    US_TRY(get_floats(l, l->d->valid.n * width, &l->pred));
    if (l->d->valid.n) US_TRY(us_net_predictor_new(l->c, l->net, &l->predictor));
    return US_OK;
}

/* Takes over a checkpoint of this very run; anything else is left alone, with a word about it. */
static us_err resume(loop *l, bool *resumed)
{
    *resumed = false;
    if (!l->hooks->checkpoint || !l->hooks->resume || !us_path_exists(l->hooks->checkpoint))
        return US_OK;
    us_ckpt k;
    us_err e = us_ckpt_read(l->c, l->tmp, l->hooks->checkpoint, &k);
    if (e == US_NOMEM || e == US_LIMIT) return e;
    if (e != US_OK) {
        us_logf(l->c, US_LOG_WARN, "%s; training starts over", l->c->diag.text);
        return US_OK;
    }
    us_ckpt *s = &l->state;
    if (k.fingerprint != s->fingerprint || k.n_values != s->n_values ||
        k.n_slots != s->n_slots || k.n_history > (size_t)l->o->epochs) {
        us_logf(l->c, US_LOG_INFO, "%s belongs to other options or data; training starts over",
                l->hooks->checkpoint);
        return US_OK;
    }
    us_stepper_set(l->stepper, k.values);
    memcpy(s->best, k.best, k.n_values * sizeof(float));
    for (size_t i = 0; i < k.n_slots; i++)
        memcpy(s->slots[i], k.slots[i], k.n_values * sizeof(float));
    for (size_t i = 0; i < k.n_history; i++)
        s->history[i] = k.history[i];
    s->n_history = k.n_history;
    s->epochs = k.epochs;
    s->steps = k.steps;
    s->best_epoch = k.best_epoch;
    s->best_loss = k.best_loss;
    *resumed = true;
    return US_OK;
}

/* --- one epoch ------------------------------------------------------------------------------------------------ */

static const char *metric_name(const loop *l)
{
    return l->d->task == US_TASK_CLASSES ? "accuracy" : "r2";
}

static void tell(loop *l, int64_t step, double loss, bool always)
{
    if (!l->hooks->progress) return;
    uint64_t now = us_now_ns();
    if (!always && now - l->told_ns < PROGRESS_NS) return;
    l->told_ns = now;
    size_t n = l->state.n_history;
    us_train_progress p = {.epoch = (int64_t)l->state.epochs + (always ? 0 : 1),
                           .n_epochs = l->o->epochs,
                           .step = step,
                           .n_steps = (int64_t)l->steps_per_epoch,
                           .loss = loss,
                           .metric = n ? l->state.history[n - 1].metric : (double)NAN,
                           .metric_name = metric_name(l)};
    l->hooks->progress(l->hooks->ud, &p);
}

static void shuffle(loop *l)
{
    for (size_t i = 0; i < l->d->train.n; i++)
        l->order[i] = (uint32_t)i;
    us_rng r = us_rng_new(l->seed, "shuffle", l->state.epochs);
    us_rng_shuffle_u32(&r, l->order, l->d->train.n);
}

static us_err diverged(loop *l, int64_t step)
{
    return us_wrap(
        l->c, US_NO,
        "training diverged in epoch %lld, step %lld (train.lr %g): try a smaller train.lr, "
        "train.clip_norm: 1, or scaled features",
        (long long)l->state.epochs + 1, (long long)step, l->o->lr);
}

static us_err train_epoch(loop *l, us_train_epoch *h)
{
    size_t n = l->d->train.n, batch = (size_t)l->o->batch;
    double sum = 0, norm = 0;
    int64_t step = 0;
    shuffle(l);
    for (size_t i = 0; i < n; i += batch) {
        size_t rows = US_MIN(batch, n - i);
        us_step_info info;
        US_TRY(us_ctx_poll(l->c));
        us_err e = us_stepper_run(l->c, l->stepper, l->state.steps, l->steps_per_epoch,
                                  l->order + i, rows, &info);
        step++;
        if (e == US_NO) return diverged(l, step);
        if (e != US_OK) return e;
        l->state.steps++;
        l->steps_here++;
        sum += info.loss * (double)rows;
        norm += info.grad_norm;
        h->lr = info.lr;
        tell(l, step, sum / (double)(i + rows), false);
    }
    h->train_loss = sum / (double)n;
    h->grad_norm = norm / (double)step;
    return US_OK;
}

static void score_classes(const loop *l, us_train_epoch *h)
{
    const us_train_rows *v = &l->d->valid;
    size_t k = l->d->n_classes, right = 0;
    double loss = 0;
    for (size_t i = 0; i < v->n; i++) {
        const float *p = l->pred + i * k;
        size_t top = 0;
        for (size_t j = 1; j < k; j++)
            if (p[j] > p[top]) top = j;
        if (top == (size_t)v->cls[i]) right++;
        loss -= log(US_MAX((double)p[v->cls[i]], 1e-15));
    }
    h->valid_loss = loss / (double)v->n;
    h->metric = (double)right / (double)v->n;
}

static void score_values(const loop *l, us_train_epoch *h)
{
    const us_train_rows *v = &l->d->valid;
    double mean = 0, sse = 0, spread = 0;
    for (size_t i = 0; i < v->n; i++)
        mean += (double)v->value[i] / (double)v->n;
    for (size_t i = 0; i < v->n; i++) {
        double r = ((double)v->value[i] - l->mean) / l->scale - (double)l->pred[i];
        double s = ((double)v->value[i] - mean) / l->scale;
        sse += r * r;
        spread += s * s;
    }
    h->valid_loss = sse / (double)v->n;
    h->metric = spread > 0 ? 1 - sse / spread : (double)NAN;
}

static us_err validate(loop *l, us_train_epoch *h)
{
    h->valid_loss = h->metric = (double)NAN;
    if (!l->d->valid.n) return US_OK;
    us_net_unflatten(l->net, l->state.values);
    US_TRY(us_net_predictor_set(l->c, l->predictor, l->net));
    US_TRY(us_net_predictor_run(l->c, l->predictor, l->d->valid.n, l->d->valid.x, l->pred));
    if (l->d->task == US_TASK_CLASSES) {
        score_classes(l, h);
    } else {
        score_values(l, h);
    }
    return US_OK;
}

/* Without validation rows the last epoch is the best. A NaN never is. */
static void keep_best(loop *l, const us_train_epoch *h)
{
    us_ckpt *k = &l->state;
    bool better = !l->d->valid.n || h->valid_loss < k->best_loss - l->o->min_delta ||
                  (k->best_epoch == 0 && h->valid_loss < k->best_loss);
    if (!better) return;
    if (l->d->valid.n) k->best_loss = h->valid_loss;
    k->best_epoch = k->epochs;
    memcpy(k->best, k->values, k->n_values * sizeof(float));
}

static bool out_of_patience(const loop *l)
{
    return l->o->patience > 0 && l->d->valid.n > 0 &&
           l->state.epochs - l->state.best_epoch >= (uint64_t)l->o->patience;
}

static us_err one_epoch(loop *l)
{
    us_ckpt *k = &l->state;
    us_train_epoch h = {0};
    US_TRY(train_epoch(l, &h));
    us_stepper_get(l->stepper, k->values);
    US_TRY(validate(l, &h));
    k->epochs++;
    k->history[k->n_history++] = h;
    keep_best(l, &h);
    tell(l, (int64_t)l->steps_per_epoch, h.train_loss, true);
    us_trace(l->c, TRAIN, 1,
             "epoch %llu: loss %.6g, validation %.6g, %s %.6g, lr %.3g, gradient %.3g",
             (unsigned long long)k->epochs, h.train_loss, h.valid_loss, metric_name(l),
             h.metric, h.lr, h.grad_norm);
    bool due = k->epochs % (uint64_t)l->o->checkpoint_every == 0;
    if (l->hooks->checkpoint && due) US_TRY(us_ckpt_write(l->c, l->hooks->checkpoint, k));
    return US_OK;
}

static us_err epochs(loop *l, us_train_result *r)
{
    int64_t here = 0;
    while (l->state.epochs < (uint64_t)l->o->epochs) {
        if (out_of_patience(l)) {
            r->stopped_early = true;
            break;
        }
        if (l->hooks->stop_after > 0 && here++ == l->hooks->stop_after)
            return us_fail(l->c, US_CANCELLED, "training stopped after %lld epochs, as asked",
                           (long long)l->hooks->stop_after);
        US_TRY(one_epoch(l));
    }
    return US_OK;
}

/* The network gives raw units: y = (x w + b) scale + mean. */
static void unscale(us_net *net, double mean, double scale)
{
    us_layer *l = &net->layers[net->n_layers - 1];
    for (size_t i = 0; i < l->n_in * l->n_out; i++)
        l->w[i] = (float)((double)l->w[i] * scale);
    for (size_t i = 0; i < l->n_out; i++)
        l->b[i] = (float)((double)l->b[i] * scale + mean);
}

static void finish(loop *l, us_train_result *r)
{
    us_ckpt *k = &l->state;
    us_net_unflatten(l->net, k->best);
    if (l->d->task == US_TASK_VALUE) unscale(l->net, l->mean, l->scale);
    r->history = k->history;
    r->n_epochs = k->n_history;
    r->best_epoch = (size_t)k->best_epoch;
    r->seconds = (double)(us_now_ns() - l->t0_ns) * 1e-9;
    r->steps_per_second = r->seconds > 0 ? (double)l->steps_here / r->seconds : 0;
}

us_err us_loop_run(us_ctx *c, const us_train_opts *o, uint64_t seed, const us_train_data *d,
                   const double *class_weight, const us_train_hooks *hooks, us_arena *a,
                   us_net *net, us_train_result *r)
{
    loop l = {.c = c, .o = o, .d = d, .hooks = hooks, .seed = seed, .arena = a, .net = net};
    us_err e;
    l.fingerprint = fingerprint(o, seed, d);
    l.steps_per_epoch = (d->train.n + (size_t)o->batch - 1) / (size_t)o->batch;
    US_TRY(us_arena_new(c, "training", (size_t)64 << 30, &l.tmp));
    US_GO(start(&l, class_weight));
    US_GO(resume(&l, &r->resumed));
    l.t0_ns = us_now_ns();
    US_GO(epochs(&l, r));
    finish(&l, r);
out:
    us_net_predictor_free(c, l.predictor);
    us_stepper_free(l.stepper);
    us_arena_free(l.tmp);
    return e;
}
