/* ir/op_ml_svm.c - ai.onnx.ml.SVMClassifier and SVMRegressor.
 *
 * The ONNX document names the attributes and no more; the forms are those of libsvm's model files, and where even
 * those leave a choice ONNX Runtime is followed. With support vectors a classifier has one decision per pair of
 * classes (one against one); without, one row of coefficients per class. Probabilities: Platt's sigmoid per pair,
 * then pairwise coupling. Source: T.-F. Wu, C.-J. Lin, R. C. Weng, "Probability estimates for multi-class
 * classification by pairwise coupling", 2004, algorithm 2, with libsvm's limits (100 rounds, 0.005/K).
 * Sums run in double.
 */
#include "ir/ml_post.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param svm_classifier_in[] = {
    {"X", '1', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_param svm_classifier_out[] = {
    {"Y", '2', US_M(I64) | US_M(STRING), 0}, {"Z", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row svm_classifier_attrs[] = {
    US_AIS(us_p_ml_svm_classifier, classlabels_ints, "classlabels_ints"),
    US_ASS(us_p_ml_svm_classifier, classlabels_strings, "classlabels_strings"),
    US_AFS(us_p_ml_svm_classifier, coefficients, "coefficients"),
    US_AFS(us_p_ml_svm_classifier, kernel_params, "kernel_params"),
    US_AS(us_p_ml_svm_classifier, kernel_type, "kernel_type", "LINEAR"),
    US_AS(us_p_ml_svm_classifier, post_transform, "post_transform", "NONE"),
    US_AFS(us_p_ml_svm_classifier, prob_a, "prob_a"), US_AFS(us_p_ml_svm_classifier, prob_b, "prob_b"),
    US_AFS(us_p_ml_svm_classifier, rho, "rho"),
    US_AFS(us_p_ml_svm_classifier, support_vectors, "support_vectors"),
    US_AIS(us_p_ml_svm_classifier, vectors_per_class, "vectors_per_class"), US_ATTR_END};
const us_schema ml_svm_classifier_schemas[] = {
    {1, svm_classifier_in, svm_classifier_out, svm_classifier_attrs, sizeof(us_p_ml_svm_classifier), NULL},
    {0}};

static const us_param svm_regressor_in[] = {
    {"X", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_param svm_regressor_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row svm_regressor_attrs[] = {
    US_AFS(us_p_ml_svm_regressor, coefficients, "coefficients"),
    US_AFS(us_p_ml_svm_regressor, kernel_params, "kernel_params"),
    US_AS(us_p_ml_svm_regressor, kernel_type, "kernel_type", "LINEAR"),
    US_AI(us_p_ml_svm_regressor, n_supports, "n_supports", 0),
    US_AI(us_p_ml_svm_regressor, one_class, "one_class", 0),
    US_AS(us_p_ml_svm_regressor, post_transform, "post_transform", "NONE"),
    US_AFS(us_p_ml_svm_regressor, rho, "rho"),
    US_AFS(us_p_ml_svm_regressor, support_vectors, "support_vectors"), US_ATTR_END};
const us_schema ml_svm_regressor_schemas[] = {
    {1, svm_regressor_in, svm_regressor_out, svm_regressor_attrs, sizeof(us_p_ml_svm_regressor), NULL},
    {0}};
/* clang-format on */

/* --- kernels ------------------------------------------------------------------------------------- */

typedef enum kernel_type { LINEAR, POLY, RBF, SIGMOID, N_KERNELS } kernel_type;

typedef struct kernel {
    kernel_type type;
    double gamma, coef0, degree;
} kernel;

static us_err kernel_of(us_eval *k, us_sv name, us_floats params, kernel *out)
{
    static const char *const names[N_KERNELS] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    size_t type = 0;
    while (type < N_KERNELS && !us_sv_is(name, names[type]))
        type++;
    if (type == N_KERNELS)
        return us_eval_fail(k, US_ARG, "kernel_type '" US_SV_FMT "'", US_SV_ARG(name));
    if (params.n != 0 && params.n != 3)
        return us_eval_fail(k, US_ARG, "%zu kernel_params, expected gamma, coef0 and degree",
                            params.n);
    *out = (kernel){.type = (kernel_type)type};
    if (params.n) {
        out->gamma = (double)params.p[0];
        out->coef0 = (double)params.p[1];
        out->degree = (double)params.p[2];
    }
    return US_OK;
}

static double dot(const double *x, const float *v, size_t d)
{
    double s = 0;
    for (size_t i = 0; i < d; i++)
        s += x[i] * (double)v[i];
    return s;
}

static double squared_distance(const double *x, const float *v, size_t d)
{
    double s = 0;
    for (size_t i = 0; i < d; i++)
        s += (x[i] - (double)v[i]) * (x[i] - (double)v[i]);
    return s;
}

static double kernel_at(const kernel *q, const double *x, const float *v, size_t d)
{
    if (q->type == LINEAR) return dot(x, v, d);
    if (q->type == RBF) return exp(-q->gamma * squared_distance(x, v, d));
    double s = q->gamma * dot(x, v, d) + q->coef0;
    return q->type == POLY ? pow(s, q->degree) : tanh(s);
}

/* Input 0 as rows of doubles. */
static us_err rows_of(us_eval *k, size_t want, us_tensor *x, int64_t *n)
{
    us_tensor t;
    int64_t d;
    US_TRY(us_ml_rows(k, &t, n, &d));
    if ((uint64_t)d != want)
        return us_eval_fail(k, US_SHAPE, "input of %lld columns, the model has %zu",
                            (long long)d, want);
    return us_eval_as(k, &t, US_F64, x);
}

/* Columns of a matrix of `n` numbers in `rows` rows. */
static us_err columns_of(us_eval *k, const char *what, size_t n, size_t rows, size_t *out)
{
    if (rows == 0 || n == 0 || n % rows)
        return us_eval_fail(k, US_ARG, "%zu %s for %zu rows", n, what, rows);
    *out = n / rows;
    return US_OK;
}

/* --- SVMRegressor -------------------------------------------------------------------------------- */

us_err ml_svm_regressor_infer(us_infer *k)
{
    us_dim n;
    US_TRY(us_ml_infer_rows(k, &n));
    return us_infer_out(k, 0, US_F32, 2, (us_dim[]){n, US_DIM(1)});
}

/* Without support vectors the coefficients are the one vector. */
us_err ml_svm_regressor_eval(us_eval *k)
{
    const us_p_ml_svm_regressor *p = k->params;
    us_tensor x, *y;
    kernel q;
    us_post post;
    int64_t n;
    size_t d = 0, n_vectors = (size_t)US_MAX(p->n_supports, 0);
    us_floats vectors = n_vectors ? p->support_vectors : p->coefficients;
    US_TRY(us_ml_post_find(k, p->post_transform, &post));
    US_TRY(kernel_of(k, p->kernel_type, p->kernel_params, &q));
    US_TRY(columns_of(k, n_vectors ? "support_vectors" : "coefficients", vectors.n,
                      n_vectors ? n_vectors : 1, &d));
    if (p->rho.n < 1 || (n_vectors && p->coefficients.n != n_vectors))
        return us_eval_fail(k, US_ARG, "no rho, or %zu coefficients for %zu vectors",
                            p->coefficients.n, n_vectors);
    US_TRY(rows_of(k, d, &x, &n));
    US_TRY(us_eval_work(k, (double)n * (double)d * (double)(n_vectors + 1)));
    US_TRY(us_eval_out(k, 0, US_F32, 2, (int64_t[]){n, 1}, &y));
    for (int64_t i = 0; i < n; i++) {
        const double *row = (const double *)x.data + i * (int64_t)d;
        double s = n_vectors ? 0 : dot(row, vectors.p, d);
        for (size_t v = 0; v < n_vectors; v++)
            s += (double)p->coefficients.p[v] * kernel_at(&q, row, vectors.p + v * d, d);
        s += (double)p->rho.p[0];
        if (p->one_class)
            s = s > 0 ? 1 : -1;
        else
            us_ml_post(post, &s, 1);
        ((float *)y->data)[i] = (float)s;
    }
    return US_OK;
}

/* --- SVMClassifier ------------------------------------------------------------------------------- */

typedef struct classifier {
    const us_p_ml_svm_classifier *p;
    us_labels labels;
    kernel q;
    us_post post;
    size_t n_classes, n_pairs;
    size_t n_vectors; /* 0: a row of coefficients per class instead of pairs */
    size_t d;         /* columns */
    size_t width;     /* of a row of Z */
    bool proba, all_positive;
    /* working memory of one row */
    double *kernels; /* of each vector */
    double *pairs;   /* decision of each pair */
    double *scores;  /* of the row, up to max(width, 2) */
    double *q_matrix, *r_matrix, *qp;
    size_t *votes;
} classifier;

/* Sum of vectors_per_class; 0 when there are none or a count is out of range. */
static size_t count_vectors(us_ints per_class)
{
    size_t n = 0;
    for (size_t i = 0; i < per_class.n; i++) {
        if (per_class.p[i] < 0 || per_class.p[i] > INT32_MAX) return 0;
        n += (size_t)per_class.p[i];
    }
    return n;
}

/* One column per class or, for decisions of more than two classes, per pair. */
static size_t width_of(size_t n_classes, size_t n_vectors, bool proba)
{
    if (n_vectors == 0 || proba) return n_classes;
    return n_classes > 2 ? n_classes * (n_classes - 1) / 2 : 2;
}

us_err ml_svm_classifier_infer(us_infer *k)
{
    const us_p_ml_svm_classifier *p = k->params;
    us_labels l = {p->classlabels_ints, p->classlabels_strings};
    size_t width =
        width_of(us_labels_count(&l), count_vectors(p->vectors_per_class), p->prob_a.n > 0);
    us_dim n;
    US_TRY(us_ml_infer_rows(k, &n));
    US_TRY(us_infer_out(k, 0, us_labels_type(&l), 1, &n));
    return us_infer_out(k, 1, US_F32, 2, (us_dim[]){n, US_DIM((int64_t)width)});
}

static us_err check_pairs(us_eval *k, const classifier *s)
{
    const us_p_ml_svm_classifier *p = s->p;
    if (p->vectors_per_class.n != s->n_classes)
        return us_eval_fail(k, US_ARG, "vectors_per_class has %zu entries for %zu classes",
                            p->vectors_per_class.n, s->n_classes);
    if (p->coefficients.n / s->n_vectors < s->n_classes - 1 || p->rho.n < s->n_pairs)
        return us_eval_fail(k, US_ARG,
                            "%zu coefficients and %zu rho are too few for %zu vectors of %zu "
                            "classes",
                            p->coefficients.n, p->rho.n, s->n_vectors, s->n_classes);
    if (s->proba && (p->prob_a.n < s->n_pairs || p->prob_b.n != p->prob_a.n))
        return us_eval_fail(k, US_ARG, "%zu prob_a and %zu prob_b for %zu pairs of classes",
                            p->prob_a.n, p->prob_b.n, s->n_pairs);
    return US_OK;
}

static us_err room(us_eval *k, classifier *s)
{
    size_t c = s->n_classes, matrix = s->proba && s->n_vectors ? c * c : 1;
    US_TRY(us_eval_scratch(k, (s->n_vectors + 1) * sizeof(double), (void **)&s->kernels));
    US_TRY(us_eval_scratch(k, (s->n_pairs + 1) * sizeof(double), (void **)&s->pairs));
    US_TRY(us_eval_scratch(k, (s->width + 2) * sizeof(double), (void **)&s->scores));
    US_TRY(us_eval_scratch(k, matrix * sizeof(double), (void **)&s->q_matrix));
    US_TRY(us_eval_scratch(k, matrix * sizeof(double), (void **)&s->r_matrix));
    US_TRY(us_eval_scratch(k, c * sizeof(double), (void **)&s->qp));
    return us_eval_scratch(k, c * sizeof *s->votes, (void **)&s->votes);
}

static us_err open_classifier(us_eval *k, classifier *s)
{
    const us_p_ml_svm_classifier *p = k->params;
    *s = (classifier){.p = p,
                      .labels = {p->classlabels_ints, p->classlabels_strings},
                      .n_vectors = count_vectors(p->vectors_per_class),
                      .proba = p->prob_a.n > 0,
                      .all_positive = true};
    s->n_classes = us_labels_count(&s->labels);
    if (s->n_classes < 1 || s->n_classes > UINT16_MAX)
        return us_eval_fail(k, US_ARG, "%zu class labels, expected 1 to 65535", s->n_classes);
    s->n_pairs = s->n_classes * (s->n_classes - 1) / 2;
    s->width = width_of(s->n_classes, s->n_vectors, s->proba);
    for (size_t i = 0; i < p->coefficients.n; i++)
        s->all_positive = s->all_positive && p->coefficients.p[i] >= 0;
    US_TRY(us_ml_post_find(k, p->post_transform, &s->post));
    US_TRY(kernel_of(k, p->kernel_type, p->kernel_params, &s->q));
    if (s->n_vectors) {
        US_TRY(check_pairs(k, s));
        US_TRY(columns_of(k, "support_vectors", p->support_vectors.n, s->n_vectors, &s->d));
    } else {
        US_TRY(columns_of(k, "coefficients", p->coefficients.n, s->n_classes, &s->d));
        if (p->rho.n < 1) return us_eval_fail(k, US_ARG, "no rho");
    }
    return room(k, s);
}

/* Decision of each pair i < j: the vectors of i with row j-1 of the coefficients, those of j with row i. Above 0
 * is a vote for i. */
static void decide_pairs(classifier *s, const double *x)
{
    const us_p_ml_svm_classifier *p = s->p;
    const int64_t *count = p->vectors_per_class.p;
    size_t pair = 0, from_i = 0;
    for (size_t v = 0; v < s->n_vectors; v++)
        s->kernels[v] = kernel_at(&s->q, x, p->support_vectors.p + v * s->d, s->d);
    memset(s->votes, 0, s->n_classes * sizeof *s->votes);
    for (size_t i = 0; i < s->n_classes; from_i += (size_t)count[i], i++) {
        size_t from_j = from_i + (size_t)count[i];
        for (size_t j = i + 1; j < s->n_classes; from_j += (size_t)count[j], j++, pair++) {
            const float *coef_i = p->coefficients.p + s->n_vectors * (j - 1) + from_i,
                        *coef_j = p->coefficients.p + s->n_vectors * i + from_j;
            double sum = 0;
            for (size_t v = 0; v < (size_t)count[i]; v++)
                sum += (double)coef_i[v] * s->kernels[from_i + v];
            for (size_t v = 0; v < (size_t)count[j]; v++)
                sum += (double)coef_j[v] * s->kernels[from_j + v];
            s->pairs[pair] = sum + (double)p->rho.p[pair];
            s->votes[s->pairs[pair] > 0 ? i : j]++;
        }
    }
}

/* Probability of the first class of each pair, kept from 0 and 1. */
static void pair_probabilities(classifier *s)
{
    const double least = 1e-7;
    size_t c = s->n_classes, pair = 0;
    for (size_t i = 0; i < c; i++)
        for (size_t j = i + 1; j < c; j++, pair++) {
            double v =
                s->pairs[pair] * (double)s->p->prob_a.p[pair] + (double)s->p->prob_b.p[pair];
            double r = v >= 0 ? exp(-v) / (1 + exp(-v)) : 1 / (1 + exp(v));
            r = fmin(fmax(r, least), 1 - least);
            s->r_matrix[i * c + j] = r;
            s->r_matrix[j * c + i] = 1 - r;
        }
}

/* One round of algorithm 2: each p[i] in turn is set to its minimum, then all are scaled to the sum 1. */
static void couple_round(classifier *s, double *p, double pqp)
{
    size_t c = s->n_classes;
    for (size_t i = 0; i < c; i++) {
        double diag = s->q_matrix[i * c + i], diff = (pqp - s->qp[i]) / diag;
        p[i] += diff;
        pqp = (pqp + diff * (diff * diag + 2 * s->qp[i])) / (1 + diff) / (1 + diff);
        for (size_t j = 0; j < c; j++) {
            s->qp[j] = (s->qp[j] + diff * s->q_matrix[i * c + j]) / (1 + diff);
            p[j] /= 1 + diff;
        }
    }
}

/* Probabilities of the classes from those of the pairs. */
static void couple(classifier *s, double *p)
{
    enum { ROUNDS = 100 };
    size_t c = s->n_classes;
    const double eps = 0.005 / (double)c, *r = s->r_matrix;
    double *q = s->q_matrix;
    for (size_t i = 0; i < c; i++) {
        p[i] = 1 / (double)c;
        q[i * c + i] = 0;
        for (size_t j = 0; j < c; j++) {
            if (j == i) continue;
            q[i * c + i] += r[j * c + i] * r[j * c + i];
            q[i * c + j] = -r[j * c + i] * r[i * c + j];
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        double pqp = 0, error = 0;
        for (size_t i = 0; i < c; i++) {
            s->qp[i] = 0;
            for (size_t j = 0; j < c; j++)
                s->qp[i] += q[i * c + j] * p[j];
            pqp += p[i] * s->qp[i];
        }
        for (size_t i = 0; i < c; i++)
            error = fmax(error, fabs(s->qp[i] - pqp));
        if (error < eps) return;
        couple_round(s, p, pqp);
    }
}

static size_t most_votes(const classifier *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->n_classes; i++)
        if (s->votes[i] > s->votes[best]) best = i;
    return best;
}

/* Scores and label by pairs. */
static size_t row_by_pairs(classifier *s, const double *x)
{
    decide_pairs(s, x);
    if (s->proba) {
        pair_probabilities(s);
        couple(s, s->scores);
        us_ml_post(s->post, s->scores, s->n_classes);
    } else if (s->n_classes > 2) {
        memcpy(s->scores, s->pairs, s->n_pairs * sizeof *s->scores);
        us_ml_post(s->post, s->scores, s->n_pairs);
    } else if (s->n_classes == 2) {
        /* ONNX Runtime: any transform, LOGISTIC too, makes {1-s, s} of it */
        bool probit = s->post == US_POST_PROBIT;
        us_ml_post_pair(probit ? US_POST_PROBIT : US_POST_NONE, s->post != US_POST_NONE,
                        s->pairs[0], s->scores);
    } else {
        s->scores[0] = s->scores[1] = 0; /* one class: there is nothing to decide */
    }
    return most_votes(s);
}

/* Scores and label by a row of coefficients per class. Of two classes ONNX Runtime names the second as soon as the
 * larger score is positive (0.5 when no coefficient is negative). */
static size_t row_by_class(classifier *s, const double *x)
{
    size_t best = 0;
    for (size_t i = 0; i < s->n_classes; i++) {
        s->scores[i] = dot(x, s->p->coefficients.p + i * s->d, s->d) + (double)s->p->rho.p[0];
        if (s->scores[i] > s->scores[best]) best = i;
    }
    double top = s->scores[best];
    us_ml_post(s->post, s->scores, s->n_classes);
    if (s->n_classes == 2 && !s->proba && (s->all_positive ? top >= 0.5 : top > 0)) return 1;
    return best;
}

us_err ml_svm_classifier_eval(us_eval *k)
{
    classifier s;
    us_tensor x, *yl = NULL, *ys = NULL;
    int64_t n;
    US_TRY(open_classifier(k, &s));
    US_TRY(rows_of(k, s.d, &x, &n));
    double c = (double)s.n_classes, per_row = (double)(s.n_vectors + 1) * ((double)s.d + c);
    US_TRY(us_eval_work(k, (double)n * (per_row + (s.proba ? 200 * c * c : c * (double)s.d))));
    if (us_eval_wants(k, 0)) US_TRY(us_eval_out(k, 0, us_labels_type(&s.labels), 1, &n, &yl));
    if (us_eval_wants(k, 1))
        US_TRY(us_eval_out(k, 1, US_F32, 2, (int64_t[]){n, (int64_t)s.width}, &ys));
    for (int64_t i = 0; i < n; i++) {
        US_TRY(us_ctx_poll(k->c));
        const double *row = (const double *)x.data + i * (int64_t)s.d;
        size_t label = s.n_vectors ? row_by_pairs(&s, row) : row_by_class(&s, row);
        if (yl) us_labels_put(&s.labels, label, yl, i);
        for (size_t e = 0; ys && e < s.width; e++)
            ((float *)ys->data)[i * (int64_t)s.width + (int64_t)e] = (float)s.scores[e];
    }
    return US_OK;
}
