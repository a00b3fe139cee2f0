/* kernel/arm/fft_neon.c - Fourier transforms with NEON. */
#include "kernel/arm/words_neon.h"
#include "kernel/variants.h"

#define TABLE      us_fft__neon
#define TABLE_NAME "us_fft__neon"

#include "kernel/simd/fft.inc"
