/* grad/grad_table.h - declarations of every gradient function, from ops.def. */
#ifndef USTA_GRAD_GRAD_TABLE_H
#define USTA_GRAD_GRAD_TABLE_H

#include "grad/grad.h"

/* Composites that have a better gradient than their expansion's. */
/* clang-format off */
#define US_GRAD_DIRECT(X)                                                                      \
    X(ACOSH, acosh)                                                                            \
    X(ASINH, asinh)                                                                            \
    X(ATANH, atanh)                                                                            \
    X(BATCH_NORMALIZATION, batch_normalization)                                                \
    X(CEIL, ceil)                                                                              \
    X(CLIP, clip)                                           /* one share at a bound, not half of it */\
    X(COSH, cosh)                                                                              \
    X(DEPTH_TO_SPACE, depth_to_space)                                                          \
    X(DROPOUT, dropout)                                                                        \
    X(FLATTEN, flatten)                                                                        \
    X(GELU, gelu)                                                                              \
    X(LEAKY_RELU, leaky_relu)                                                                  \
    X(LOG_SOFTMAX, log_softmax)                                                                \
    X(MIN, min)                                                                                \
    X(NEG, neg)                                                                                \
    X(NEGATIVE_LOG_LIKELIHOOD_LOSS, negative_log_likelihood_loss)                              \
    X(PRELU, prelu)                                                                            \
    X(RECIPROCAL, reciprocal)                                                                  \
    X(REDUCE_L2, reduce_l2)                                 /* 0 at 0, not 0/0 */              \
    X(REDUCE_LOG_SUM_EXP, reduce_log_sum_exp)               /* no overflow */                  \
    X(REDUCE_MIN, reduce_min)                                                                  \
    X(SIGN, sign)                                                                              \
    X(SINH, sinh)                                                                              \
    X(SOFTMAX, softmax)                                                                        \
    X(SOFTMAX_CROSS_ENTROPY_LOSS, softmax_cross_entropy_loss)                                  \
    X(SOFTPLUS, softplus)                                   /* no overflow */                  \
    X(SPACE_TO_DEPTH, space_to_depth)                                                          \
    X(SPLIT, split)                                                                            \
    X(SQUEEZE, squeeze)                                                                        \
    X(SUM, sum)                                                                                \
    X(TAN, tan)                                                                                \
    X(TILE, tile)                                                                              \
    X(TRILU, trilu)                                                                            \
    X(UNSQUEEZE, unsqueeze)
/* clang-format on */

#define US_CORE(id, domain, name, flags, fn)      us_err fn##_grad(us_grad *k) US_MUST;
#define US_COMPOSITE(id, domain, name, flags, fn) us_err fn##_grad(us_grad *k) US_MUST;
#include "ir/ops.def"
#undef US_CORE
#undef US_COMPOSITE

/* Says aloud that an operator has no gradient (or that nobody has written it). */
#define US_NO_GRAD(fn)                                                                         \
    us_err fn##_grad(us_grad *k)                                                               \
    {                                                                                          \
        return us_g_fail(k, "not defined");                                                    \
    }

#endif
