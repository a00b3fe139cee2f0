/* ir/params_ms.h - decoded attributes of the com.microsoft operators; see params.h. */
#ifndef USTA_IR_PARAMS_MS_H
#define USTA_IR_PARAMS_MS_H

#include "ir/params.h"

/* QLinearAveragePool, QLinearGlobalAveragePool */
typedef struct us_p_ms_qlinear_pool {
    us_p_average_pool pool; /* first: read by AveragePool's functions */
    int64_t channels_last;
} us_p_ms_qlinear_pool;

typedef struct us_p_ms_qlinear_softmax { /* com.microsoft.QLinearSoftmax */
    int64_t axis;
    int64_t opset;
} us_p_ms_qlinear_softmax;

typedef struct us_p_ms_fused_gemm { /* com.microsoft.FusedGemm */
    us_p_gemm gemm;                 /* first: read by Gemm's functions */
    us_sv activation;
    float activation_alpha, activation_beta, activation_gamma;
} us_p_ms_fused_gemm;

typedef struct us_p_ms_fused_conv { /* com.microsoft.FusedConv */
    us_p_conv conv;                 /* first: read by Conv's functions */
    us_sv activation;
    us_floats activation_params;
} us_p_ms_fused_conv;

typedef struct us_p_ms_skip_layer_norm { /* com.microsoft.SkipLayerNormalization */
    float epsilon;
} us_p_ms_skip_layer_norm;

#endif
