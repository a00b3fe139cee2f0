/* kernel/arm/move_neon.c - transposes of 4-byte elements, 8 x 8 at a time. */
#include "kernel/arm/turn_neon.h"
#include "kernel/variants.h"

#define TABLE      us_move__neon
#define TABLE_NAME "us_move__neon"

#include "kernel/simd/move.inc"
