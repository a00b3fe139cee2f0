/* kernel/x86/map_avx512.c - map instructions with AVX-512 (F, DQ). */
#include "kernel/variants.h"
#include "kernel/x86/words_avx512.h"

#define TABLE      us_ew__avx512
#define TABLE_NAME "us_ew__avx512"

#include "kernel/simd/map.inc"
