/* kernel/x86/quad_sse2.h - bytes of rows of weights put side by side, for int8.inc. */
#ifndef USTA_KERNEL_X86_QUAD_SSE2_H
#define USTA_KERNEL_X86_QUAD_SSE2_H

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

/* 16 columns of `rows` rows (1 to 4; the others are zeros), ldb bytes apart: the four bytes of a column together. `flip` changes bits of
 * each byte that there is. */
static inline __attribute__((always_inline)) void
quads_of_16(const uint8_t *b, size_t ldb, size_t rows, uint8_t flip, int8_t *to)
{
    const __m128i f = _mm_set1_epi8((char)flip);
    __m128i r[4];
    for (size_t i = 0; i < 4; i++)
        r[i] = i < rows ? _mm_xor_si128(_mm_loadu_si128((const void *)(b + i * ldb)), f)
                        : _mm_setzero_si128();
    const __m128i ab0 = _mm_unpacklo_epi8(r[0], r[1]), ab1 = _mm_unpackhi_epi8(r[0], r[1]),
                  cd0 = _mm_unpacklo_epi8(r[2], r[3]), cd1 = _mm_unpackhi_epi8(r[2], r[3]);
    _mm_storeu_si128((void *)to, _mm_unpacklo_epi16(ab0, cd0));
    _mm_storeu_si128((void *)(to + 16), _mm_unpackhi_epi16(ab0, cd0));
    _mm_storeu_si128((void *)(to + 32), _mm_unpacklo_epi16(ab1, cd1));
    _mm_storeu_si128((void *)(to + 48), _mm_unpackhi_epi16(ab1, cd1));
}

#endif
