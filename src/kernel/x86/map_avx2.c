/* kernel/x86/map_avx2.c - map instructions with AVX2 and FMA. */
#include "kernel/variants.h"
#include "kernel/x86/words_avx2.h"

#define TABLE      us_ew__avx2
#define TABLE_NAME "us_ew__avx2"

#include "kernel/simd/map.inc"
