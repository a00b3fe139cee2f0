/* base/crc.c - CRC-32C, the processor's instruction where there is one, else a nibble table: the same result.
 * The table is small enough to be a constant of the program; no state, no start-up. */
#include "base/crc.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#    include <nmmintrin.h>
#    define HAVE_SSE42 1
#endif

static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t n)
{
    /* remainders of the 16 nibbles under the reflected polynomial 0x82F63B78 */
    static const uint32_t t[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
                                   0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
                                   0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
                                   0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
    while (n--) {
        crc ^= *p++;
        crc = t[crc & 15] ^ (crc >> 4);
        crc = t[crc & 15] ^ (crc >> 4);
    }
    return crc;
}

#ifdef HAVE_SSE42
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p,
                                                            size_t n)
{
    uint64_t c = crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        c = _mm_crc32_u64(c, w);
    }
    crc = (uint32_t)c;
    while (n--)
        crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
#endif

uint32_t us_crc32c(uint32_t crc, const void *p, size_t n)
{
    crc = ~crc;
#ifdef HAVE_SSE42
    if (__builtin_cpu_supports("sse4.2")) return ~crc_sse42(crc, p, n);
#endif
    return ~crc_table(crc, p, n);
}
