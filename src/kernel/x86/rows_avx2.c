/* kernel/x86/rows_avx2.c - softmax, normalisations, reductions with AVX2 and FMA. */
#include <string.h>

#include "kernel/variants.h"
#include "kernel/x86/words_avx2.h"

#define TABLE      us_rows__avx2
#define TABLE_NAME "us_rows__avx2"

#include "kernel/simd/rows.inc"
