/* ir/params_train.h - decoded attributes of ai.onnx.preview.training; see params.h. */
#ifndef USTA_IR_PARAMS_TRAIN_H
#define USTA_IR_PARAMS_TRAIN_H

#include "ir/params.h"

typedef struct us_p_optimizer { /* ai.onnx.preview.training: Adagrad Adam Momentum */
    float alpha;
    float beta;
    float decay_factor;
    float epsilon;
    us_sv mode;
    float norm_coefficient;
    float norm_coefficient_post;
} us_p_optimizer;

typedef struct
    us_p_gradient { /* ai.onnx.preview.training: names of values of the node's graph */
    us_strs xs;
    us_sv y;
    us_strs zs;
} us_p_gradient;

#endif
