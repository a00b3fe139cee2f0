/* train/exact.c - convex models have one optimum: go there instead of near it.
 *
 * Least squares: normal equations of the centred features in double, with Cholesky's factorisation and a ridge far below the
 * data's own scale where columns repeat each other (one-hot columns always do). Past MAX_CHOLESKY features or MAX_WORK, and for
 * cross-entropy: L-BFGS with a backtracking line search. Rows are summed in blocks of fixed size, block after block, so the
 * number of threads changes nothing.
 * Sources: Golub, Van Loan, "Matrix Computations", 4.2; Nocedal, Wright, "Numerical Optimization", algorithms 7.4, 7.5 and 3.1.
 */
#include "train/exact.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"

#define MAX_CHOLESKY 1024 /* features; D^2 doubles and N D^2 / 2 multiplications */
#define MAX_WORK     2e10 /* multiplications of the above: seconds */
#define MEMORY       10   /* pairs that L-BFGS keeps */
#define MAX_ROUNDS   300
#define TOLERANCE    1e-6 /* of the gradient, against max(1, |w|) */
#define STILL        1e-9 /* a fall of the loss that is none ... */
#define STILL_ROUNDS 5    /* ... when it is all for so many rounds */
#define BLOCK        512  /* rows per sum */
#define MAX_BLOCKS   64   /* partial gradients held at a time ... */
#define MAX_PARTIAL                                                                            \
    (1 << 22) /* ... and the doubles they may take in all, unless one alone takes more */

typedef struct problem {
    const us_train_data *d;
    const us_train_rows *rows;
    const double *class_weight;
    size_t n_w; /* D * K */
    size_t k;   /* outputs */
    double l2;
    double total;       /* sum of row weights */
    double mean, scale; /* VALUE: the target is (y - mean) / scale */
    const double *w;    /* where the function is asked: W [D,K] then b [K] */
    size_t n_parts;     /* blocks worked on at a time: no influence on the result */
    size_t *row_at; /* the features that are not 0, row by row: one-hot columns are mostly 0 */
    uint32_t *column;
    float *entry;
    double *part; /* n_parts x (n_w + k + 1 + k): gradient, loss, one row's outputs */
    size_t first_block;
} problem;

static double row_weight(const problem *p, size_t i)
{
    double w = p->rows->weight ? (double)p->rows->weight[i] : 1;
    return p->class_weight ? w * p->class_weight[p->rows->cls[i]] : w;
}

/* z: outputs of a row; becomes d loss / d z. Returns the row's loss. */
static double row_loss(const problem *p, size_t i, double *z)
{
    if (p->d->task == US_TASK_VALUE) {
        double r = z[0] - ((double)p->rows->value[i] - p->mean) / p->scale;
        z[0] = 2 * r;
        return r * r;
    }
    double top = z[0], sum = 0;
    for (size_t j = 1; j < p->k; j++)
        top = US_MAX(top, z[j]);
    double at = z[p->rows->cls[i]];
    for (size_t j = 0; j < p->k; j++) {
        z[j] = exp(z[j] - top);
        sum += z[j];
    }
    for (size_t j = 0; j < p->k; j++)
        z[j] /= sum;
    z[p->rows->cls[i]] -= 1;
    return log(sum) + top - at;
}

/* Loss and gradient of one block of rows into its part. */
static void one_block(problem *p, size_t block, double *part)
{
    size_t k = p->k, stride = p->n_w + k;
    double *gw = part, *gb = part + p->n_w, *loss = part + stride, *z = part + stride + 1;
    memset(part, 0, (stride + 1) * sizeof(double));
    size_t end = US_MIN(p->rows->n, (block + 1) * BLOCK);
    for (size_t i = block * BLOCK; i < end; i++) {
        double weight = row_weight(p, i) / p->total;
        for (size_t j = 0; j < k; j++)
            z[j] = p->w[p->n_w + j];
        for (size_t e = p->row_at[i]; e < p->row_at[i + 1]; e++) {
            const double *w = p->w + p->column[e] * k, v = (double)p->entry[e];
            for (size_t j = 0; j < k; j++)
                z[j] += v * w[j];
        }
        *loss += weight * row_loss(p, i, z);
        for (size_t j = 0; j < k; j++) {
            z[j] *= weight;
            gb[j] += z[j];
        }
        for (size_t e = p->row_at[i]; e < p->row_at[i + 1]; e++) {
            double *g = gw + p->column[e] * k, v = (double)p->entry[e];
            for (size_t j = 0; j < k; j++)
                g[j] += v * z[j];
        }
    }
}

static void some_blocks(void *arg, size_t i0, size_t i1)
{
    problem *p = arg;
    for (size_t i = i0; i < i1; i++)
        one_block(p, p->first_block + i, p->part + i * (p->n_w + 2 * p->k + 1));
}

/* Loss at w and its gradient g, all rows. */
static double evaluate(us_ctx *c, problem *p, const double *w, double *g)
{
    size_t n = p->n_w + p->k, stride = p->n_w + 2 * p->k + 1;
    size_t n_blocks = (p->rows->n + BLOCK - 1) / BLOCK;
    double loss = 0;
    p->w = w;
    memset(g, 0, n * sizeof(double));
    for (size_t b = 0; b < n_blocks; b += p->n_parts) {
        size_t now = US_MIN(p->n_parts, n_blocks - b);
        p->first_block = b;
        us_pool_run(c->pool, now, 1, some_blocks, p);
        for (size_t i = 0; i < now; i++) {
            const double *part = p->part + i * stride;
            for (size_t j = 0; j < n; j++)
                g[j] += part[j];
            loss += part[n];
        }
    }
    for (size_t j = 0; j < p->n_w; j++) {
        loss += 0.5 * p->l2 * w[j] * w[j];
        g[j] += p->l2 * w[j];
    }
    return loss;
}

static double dot(const double *a, const double *b, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

/* --- L-BFGS ------------------------------------------------------------------------------------------------ */

typedef struct lbfgs {
    size_t n;
    size_t kept; /* pairs held, newest at index (next - 1) mod MEMORY */
    size_t next;
    double *s, *y; /* MEMORY x n */
    double rho[MEMORY];
    double *w, *g, *w2, *g2, *dir;
} lbfgs;

/* dir = - H g by the two-loop recursion. */
static void direction(lbfgs *l)
{
    double alpha[MEMORY];
    for (size_t i = 0; i < l->n; i++)
        l->dir[i] = -l->g[i];
    for (size_t i = 0; i < l->kept; i++) {
        size_t at = (l->next + MEMORY - 1 - i) % MEMORY;
        alpha[at] = l->rho[at] * dot(l->s + at * l->n, l->dir, l->n);
        for (size_t j = 0; j < l->n; j++)
            l->dir[j] -= alpha[at] * l->y[at * l->n + j];
    }
    if (l->kept) {
        size_t at = (l->next + MEMORY - 1) % MEMORY;
        const double *y = l->y + at * l->n;
        double scale = 1 / (l->rho[at] * dot(y, y, l->n));
        for (size_t j = 0; j < l->n; j++)
            l->dir[j] *= scale;
    }
    for (size_t i = l->kept; i-- > 0;) {
        size_t at = (l->next + MEMORY - 1 - i) % MEMORY;
        double beta = l->rho[at] * dot(l->y + at * l->n, l->dir, l->n);
        for (size_t j = 0; j < l->n; j++)
            l->dir[j] += (alpha[at] - beta) * l->s[at * l->n + j];
    }
}

/* Keeps (w2 - w, g2 - g) when it has positive curvature, and moves on. */
static void remember(lbfgs *l)
{
    double *s = l->s + l->next * l->n, *y = l->y + l->next * l->n;
    for (size_t j = 0; j < l->n; j++) {
        s[j] = l->w2[j] - l->w[j];
        y[j] = l->g2[j] - l->g[j];
    }
    double sy = dot(s, y, l->n);
    if (sy > 1e-14 * dot(y, y, l->n)) {
        l->rho[l->next] = 1 / sy;
        l->next = (l->next + 1) % MEMORY;
        l->kept = US_MIN(l->kept + 1, (size_t)MEMORY);
    }
    memcpy(l->w, l->w2, l->n * sizeof(double));
    memcpy(l->g, l->g2, l->n * sizeof(double));
}

/* Halves the step until the loss falls enough (Armijo); false when no step does: we are at the optimum's noise. */
static bool line_search(us_ctx *c, problem *p, lbfgs *l, double *loss)
{
    double slope = dot(l->g, l->dir, l->n);
    double step = l->kept ? 1 : US_MIN(1, 1 / sqrt(dot(l->g, l->g, l->n)));
    for (int tries = 0; tries < 30 && slope < 0; tries++, step *= 0.5) {
        for (size_t j = 0; j < l->n; j++)
            l->w2[j] = l->w[j] + step * l->dir[j];
        double now = evaluate(c, p, l->w2, l->g2);
        if (now <= *loss + 1e-4 * step * slope) {
            *loss = now;
            return true;
        }
    }
    return false;
}

static us_err compress(us_ctx *c, us_arena *a, problem *p)
{
    size_t n = p->rows->n, d = p->d->n_features, count = 0, at = 0;
    for (size_t i = 0; i < n * d; i++)
        count += p->rows->x[i] != 0;
    p->row_at = us_new_n(a, size_t, n + 1);
    p->column = us_new_n(a, uint32_t, count);
    p->entry = us_new_n(a, float, count);
    if (!p->row_at || !p->column || !p->entry) return us_arena_fail(c, a);
    for (size_t i = 0; i < n; i++) {
        const float *x = p->rows->x + i * d;
        for (size_t f = 0; f < d; f++) {
            if (x[f] == 0) continue;
            p->column[at] = (uint32_t)f;
            p->entry[at++] = x[f];
        }
        p->row_at[i + 1] = at;
    }
    return US_OK;
}

static us_err minimise(us_ctx *c, us_arena *a, problem *p, double *w)
{
    lbfgs l = {.n = p->n_w + p->k, .w = w};
    l.s = us_new_n(a, double, MEMORY *l.n);
    l.y = us_new_n(a, double, MEMORY *l.n);
    l.g = us_new_n(a, double, l.n);
    l.w2 = us_new_n(a, double, l.n);
    l.g2 = us_new_n(a, double, l.n);
    l.dir = us_new_n(a, double, l.n);
    size_t stride = p->n_w + 2 * p->k + 1;
    p->n_parts = US_MAX((size_t)1, US_MIN((size_t)MAX_BLOCKS, (size_t)MAX_PARTIAL / stride));
    p->part = us_new_n(a, double, p->n_parts *stride);
    if (!l.s || !l.y || !l.g || !l.w2 || !l.g2 || !l.dir || !p->part)
        return us_arena_fail(c, a);
    US_TRY(compress(c, a, p));
    double loss = evaluate(c, p, l.w, l.g);
    int still = 0;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        US_TRY(us_ctx_poll(c));
        double size = US_MAX(1, sqrt(dot(l.w, l.w, l.n)));
        if (sqrt(dot(l.g, l.g, l.n)) <= TOLERANCE * size) break;
        direction(&l);
        double before = loss;
        if (!line_search(c, p, &l, &loss)) {
            if (!l.kept) break;
            l.kept = 0; /* forget the curvature and try the gradient itself */
            continue;
        }
        still = before - loss > STILL * US_MAX(1, fabs(loss)) ? 0 : still + 1;
        remember(&l);
        if (still == STILL_ROUNDS) break;
    }
    return US_OK;
}

/* --- least squares ------------------------------------------------------------------------------------------ */

/* Weighted means of the features, and the centred moments X'X (lower half) and X'y. */
static us_err moments(us_ctx *c, const problem *p, double *mean, double *xx, double *xy,
                      double *row)
{
    size_t d = p->d->n_features;
    for (size_t i = 0; i < p->rows->n; i++) {
        double w = row_weight(p, i) / p->total;
        for (size_t f = 0; f < d; f++)
            mean[f] += w * (double)p->rows->x[i * d + f];
    }
    for (size_t i = 0; i < p->rows->n; i++) {
        if (i % 4096 == 0) US_TRY(us_ctx_poll(c));
        double w = row_weight(p, i) / p->total;
        double y = ((double)p->rows->value[i] - p->mean) / p->scale;
        for (size_t f = 0; f < d; f++)
            row[f] = (double)p->rows->x[i * d + f] - mean[f];
        for (size_t f = 0; f < d; f++) {
            double v = w * row[f];
            xy[f] += v * y;
            for (size_t h = 0; h <= f; h++)
                xx[f * d + h] += v * row[h];
        }
    }
    return US_OK;
}

/* xx = L L' in place; a pivot that is not positive against the diagonal's size was removed by the ridge before. */
static bool cholesky(double *a, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        double s = a[j * n + j] - dot(a + j * n, a + j * n, j);
        if (!(s > 0)) return false;
        a[j * n + j] = sqrt(s);
        for (size_t i = j + 1; i < n; i++)
            a[i * n + j] = (a[i * n + j] - dot(a + i * n, a + j * n, j)) / a[j * n + j];
    }
    return true;
}

static void solve(const double *l, size_t n, double *b)
{
    for (size_t i = 0; i < n; i++)
        b[i] = (b[i] - dot(l + i * n, b, i)) / l[i * n + i];
    for (size_t i = n; i-- > 0;) {
        for (size_t j = i + 1; j < n; j++)
            b[i] -= l[j * n + i] * b[j];
        b[i] /= l[i * n + i];
    }
}

static us_err least_squares(us_ctx *c, us_arena *a, problem *p, double *w)
{
    size_t d = p->d->n_features;
    double *mean = us_new_n(a, double, d), *xx = us_new_n(a, double, d *d);
    double *keep = us_new_n(a, double, d *d), *row = us_new_n(a, double, d);
    if (!mean || !xx || !keep || !row) return us_arena_fail(c, a);
    US_TRY(moments(c, p, mean, xx, w, row));
    double top = 0;
    for (size_t f = 0; f < d; f++)
        top = US_MAX(top, xx[f * d + f]);
    memcpy(keep, xx, d * d * sizeof(double));
    /* The least ridge that makes the matrix positive: 1e-10 of its size is enough for repeated columns. */
    for (double ridge = 1e-10; ridge < 1; ridge *= 100) {
        for (size_t f = 0; f < d; f++)
            xx[f * d + f] += 0.5 * p->l2 + ridge * (top > 0 ? top : 1);
        if (cholesky(xx, d)) {
            solve(xx, d, w);
            w[d] = -dot(w, mean, d);
            return US_OK;
        }
        memcpy(xx, keep, d * d * sizeof(double));
    }
    return us_fail(c, US_NO,
                   "linear regression: the features' covariance could not be factorised; look "
                   "for columns of huge range");
}

/* --- both ------------------------------------------------------------------------------------------------------ */

static us_err target_scale(us_ctx *c, problem *p)
{
    for (size_t i = 0; i < p->rows->n; i++)
        p->total += row_weight(p, i);
    if (!(p->total > 0))
        return us_fail(c, US_ARG, "training rows: the sum of their weights is 0");
    p->scale = 1;
    if (p->d->task != US_TASK_VALUE) return US_OK;
    double var = 0;
    for (size_t i = 0; i < p->rows->n; i++)
        p->mean += row_weight(p, i) / p->total * (double)p->rows->value[i];
    for (size_t i = 0; i < p->rows->n; i++) {
        double r = (double)p->rows->value[i] - p->mean;
        var += row_weight(p, i) / p->total * r * r;
    }
    if (var > 0) p->scale = sqrt(var);
    return US_OK;
}

static us_err fit(us_ctx *c, us_arena *a, problem *p, us_net *net)
{
    double *w = us_new_n(a, double, p->n_w + p->k);
    double d = (double)p->d->n_features, work = d * d * (double)p->rows->n;
    if (!w) return us_arena_fail(c, a);
    if (p->d->task == US_TASK_VALUE && d <= MAX_CHOLESKY && work <= MAX_WORK) {
        US_TRY(least_squares(c, a, p, w));
    } else {
        US_TRY(minimise(c, a, p, w));
    }
    us_layer *l = &net->layers[0];
    for (size_t i = 0; i < p->n_w; i++)
        l->w[i] = (float)(w[i] * p->scale);
    for (size_t j = 0; j < p->k; j++)
        l->b[j] = (float)(w[p->n_w + j] * p->scale + p->mean);
    return US_OK;
}

us_err us_exact_fit(us_ctx *c, const us_train_data *d, const us_train_rows *rows, double l2,
                    const double *class_weight, us_net *net)
{
    problem p = {.d = d,
                 .rows = rows,
                 .class_weight = class_weight,
                 .l2 = l2,
                 .k = net->n_out,
                 .n_w = d->n_features * net->n_out};
    us_arena *a;
    US_TRY(target_scale(c, &p));
    US_TRY(us_arena_new(c, "exact solver", (size_t)64 << 30, &a));
    us_err e = fit(c, a, &p, net);
    us_arena_free(a);
    return e;
}
