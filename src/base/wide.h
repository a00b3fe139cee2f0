/* base/wide.h - products of 64-bit numbers, whole: by the compiler's 128-bit integers where it has them (not on 32-bit processors). */
#ifndef USTA_BASE_WIDE_H
#define USTA_BASE_WIDE_H

#include <stdint.h>

typedef struct us_wide {
    uint64_t hi, lo;
} us_wide;

/* Schoolbook, in halves of 32 bits: no sum here passes 64 bits. */
static inline us_wide us_wide_product_by_parts(uint64_t a, uint64_t b)
{
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t low = a0 * b0, mid = a1 * b0 + (low >> 32), more = a0 * b1 + (uint32_t)mid;
    return (us_wide){a1 * b1 + (mid >> 32) + (more >> 32), more << 32 | (uint32_t)low};
}

static inline us_wide us_wide_product(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 u128;
    u128 p = (u128)a * b;
    return (us_wide){(uint64_t)(p >> 64), (uint64_t)p};
#else
    return us_wide_product_by_parts(a, b);
#endif
}

#endif
