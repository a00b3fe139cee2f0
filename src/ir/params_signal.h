/* ir/params_signal.h - decoded attributes of signal and random operators; see params.h. */
#ifndef USTA_IR_PARAMS_SIGNAL_H
#define USTA_IR_PARAMS_SIGNAL_H

#include "ir/params.h"

typedef struct us_p_dft { /* DFT */
    int64_t inverse;
    int64_t onesided;
    int64_t axis; /* older versions */
} us_p_dft;

typedef struct us_p_stft { /* STFT */
    int64_t onesided;
} us_p_stft;

typedef struct us_p_window { /* HannWindow, HammingWindow, BlackmanWindow */
    int64_t output_datatype;
    int64_t periodic;
} us_p_window;

typedef struct us_p_mel_weight_matrix { /* MelWeightMatrix */
    int64_t output_datatype;
} us_p_mel_weight_matrix;

typedef struct us_p_random { /* the random operators */
    int64_t dtype;
    float a, b; /* mean and scale, or low and high */
    float seed;
    us_ints shape;
    int64_t sample_size;
    bool has_seed;
} us_p_random;

#endif
