/* flow/matrix.h - rows of the snapshot through the feature graph. */
#ifndef USTA_FLOW_MATRIX_H
#define USTA_FLOW_MATRIX_H

#include "flow/stage.h"

/* float32 [n, d] in the run's arena. features: bytes of the features stage's model. */
us_err us_flow_matrix(us_flow *f, const us_material *mat, us_sv features, const uint32_t *rows,
                      size_t n, size_t d, float **out) US_MUST;

#endif
