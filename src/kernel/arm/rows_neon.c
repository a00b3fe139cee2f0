/* kernel/arm/rows_neon.c - softmax, normalisations, reductions with NEON. */
#include <string.h>

#include "kernel/arm/words_neon.h"
#include "kernel/variants.h"

#define TABLE      us_rows__neon
#define TABLE_NAME "us_rows__neon"

#include "kernel/simd/rows.inc"
