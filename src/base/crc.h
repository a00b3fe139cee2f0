/* base/crc.h - CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) for the engine's own files. */
#ifndef USTA_BASE_CRC_H
#define USTA_BASE_CRC_H

#include "base/err.h"

/* crc of the bytes before (0 to start); check value: "123456789" gives 0xE3069283. */
uint32_t us_crc32c(uint32_t crc, const void *p, size_t n);

#endif
