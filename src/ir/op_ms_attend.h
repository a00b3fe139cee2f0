/* ir/op_ms_attend.h - what the attention operators of com.microsoft share: softmax(scale Q K' + added) V over heads in
 * float, and the masks they take.
 *
 * Products go through the kernel table, heads through the pool. Masks are numbers that are added (mask_filter_value for keys
 * that are padding, the lowest float for keys that come later), as ONNX Runtime adds them: a row whose keys are all padding is
 * a softmax over its scores, not zeros.
 */
#ifndef USTA_IR_OP_MS_ATTEND_H
#define USTA_IR_OP_MS_ATTEND_H

#include "ir/op_f64.h"
#include "ir/params_ms.h"

/* Queries, keys or values: element (b, h, l, e) lies at p[b * sn + h * sh + l * sl + e]. */
typedef struct us_ms_heads {
    const float *p;
    int64_t n, h, len, d;
    int64_t sn, sh, sl;
} us_ms_heads;

/* [n,len,h*d] and [n,h,len,d], contiguous. */
us_ms_heads us_ms_heads_packed(const float *p, int64_t n, int64_t len, int64_t h, int64_t d);
us_ms_heads us_ms_heads_apart(const float *p, int64_t n, int64_t h, int64_t len, int64_t d);
static inline const float *us_ms_row(const us_ms_heads *a, int64_t b, int64_t h, int64_t l)
{
    return a->p + b * a->sn + h * a->sh + l * a->sl;
}

/* One call. Everything but q, k, v and y may be left zero. */
typedef struct us_ms_attend {
    us_ms_heads q, k, v;
    double scale;   /* 0: 1 / sqrt(size of a head) */
    double softcap; /* 0: none */
    /* added to the scores: [n or 1, len or 1, keys] by these strides; NULL: none */
    const float *mask;
    int64_t mask_n, mask_l;
    const float *bias; /* added too: [n or 1, h or 1, len, keys] */
    int64_t bias_n, bias_h, bias_l;
    const int64_t *end; /* [n, len]: keys in sight end here; NULL: all are in sight */
    int64_t window;     /* at most so many keys before the end are in sight; 0: all */
    const float *sink;  /* [h]: a score of no key, that takes part in the sum of the softmax */
    float *y;           /* [n, len, h * v.d] */
    /* [n, h, len, keys], zeroed by the caller: what goes into the softmax, or comes out; NULL: not wanted */
    float *scores;
    bool after_softmax;
} us_ms_attend;

us_err us_ms_attend_run(us_eval *k, const us_ms_attend *a) US_MUST;

/* Input i as contiguous floats of this rank (-1: any); *there false when absent (NULL: US_ARG then). */
us_err us_ms_floats(us_eval *k, size_t i, int rank, us_tensor *out, bool *there) US_MUST;
/* n floats in scratch; factors may be absurd. */
us_err us_ms_room(us_eval *k, int rank, const int64_t *dims, float **out) US_MUST;

typedef struct us_ms_masking {
    size_t input; /* which one is the mask */
    float filter; /* added where it is 0 */
    bool causal;
    int64_t n, len, past, keys;
} us_ms_masking;
/* The mask input in any of its forms (lengths; ends and starts; [n,keys]; [n,len,keys]; [n,1,max,max]) and causality as one
 * added mask of a. */
us_err us_ms_mask(us_eval *k, const us_ms_masking *m, us_ms_attend *a) US_MUST;
/* Input i, [n or 1, h or 1, len, keys], as bias of a. */
us_err us_ms_bias(us_eval *k, size_t i, const us_ms_attend *shape, us_ms_attend *a) US_MUST;

/* to[n,h,len,d] = `past` rows of old ([n,h,old_len,d], may be NULL when past is 0), then the rows of now; what is left of
 * len is zero. */
void us_ms_join(float *to, int64_t len, const float *old, int64_t old_len, int64_t past,
                const us_ms_heads *now);

#endif
