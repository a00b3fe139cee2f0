/* kernel/arm/map_neon.c - map instructions with NEON. */
#include "kernel/arm/words_neon.h"
#include "kernel/variants.h"

#define TABLE      us_ew__neon
#define TABLE_NAME "us_ew__neon"

#include "kernel/simd/map.inc"
