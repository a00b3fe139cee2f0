/* ir/ml_post.h - what the classifiers and regressors of ai.onnx.ml share: post transforms and class labels. */
#ifndef USTA_IR_ML_POST_H
#define USTA_IR_ML_POST_H

#include "ir/op_util.h"

typedef enum us_post {
    US_POST_NONE,
    US_POST_SOFTMAX,
    US_POST_LOGISTIC,
    US_POST_SOFTMAX_ZERO,
    US_POST_PROBIT
} us_post;

us_err us_ml_post_find(us_eval *k, us_sv name, us_post *out) US_MUST;
/* Applies the transform to n scores in place; a single score is changed by PROBIT only, as in ONNX Runtime. */
void us_ml_post(us_post post, double *s, size_t n);
/* One score of a two-class model becomes two: {1-s, s} where `complement`, else {-s, s}, as in ONNX Runtime, which
 * applies no SOFTMAX to a single score. LOGISTIC gives the logistic of {-s, s}, PROBIT that of {1-s, s}: the standard has
 * them applied, ONNX Runtime leaves them out or half out. */
void us_ml_post_pair(us_post post, bool complement, double s, double out[2]);

typedef struct us_labels {
    us_ints ints;
    us_strs strs;
} us_labels;
size_t us_labels_count(const us_labels *l);
us_dtype us_labels_type(const us_labels *l);
void us_labels_put(const us_labels *l, size_t i_class, us_tensor *y, int64_t row);

/* Input 0 as float or double rows [N, D] (a vector is one row). */
us_err us_ml_rows(us_eval *k, us_tensor *x, int64_t *n, int64_t *d) US_MUST;
/* Rows as us_infer sees them: first dimension N, or 1 for a vector. */
us_err us_ml_infer_rows(us_infer *k, us_dim *n) US_MUST;

#endif
