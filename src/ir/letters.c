/* ir/letters.c - see letters.h. */
#include "ir/letters.h"

#include "base/ctx.h"

/* Letters whose cases are `distance` apart: upper case from..to. */
static const struct {
    uint32_t from, to, distance;
} cases[] = {{'A', 'Z', 32},     {0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},  {0x391, 0x3A1, 32},
             {0x3A3, 0x3AB, 32}, {0x410, 0x42F, 32}, {0x400, 0x40F, 80}};

uint32_t us_change_case(uint32_t ch, bool upper)
{
    for (size_t i = 0; i < US_LEN(cases); i++) {
        uint32_t d = cases[i].distance;
        if (upper && ch >= cases[i].from + d && ch <= cases[i].to + d) return ch - d;
        if (!upper && ch >= cases[i].from && ch <= cases[i].to) return ch + d;
    }
    return ch;
}

/* Signs that fold into a lower-case letter besides its upper case. */
static const struct {
    uint32_t letter, sign;
} folds[] = {{'s', 0x17F}, {'k', 0x212A}, {0xE5, 0x212B}, {0x3C3, 0x3C2}, {0x3BC, 0xB5}};

size_t us_case_variants(uint32_t ch, uint32_t out[4])
{
    size_t n = 0;
    uint32_t low = us_change_case(ch, false), up, sign = 0;
    for (size_t i = 0; i < US_LEN(folds); i++)
        if (ch == folds[i].sign) low = folds[i].letter;
    for (size_t i = 0; i < US_LEN(folds); i++)
        if (low == folds[i].letter) sign = folds[i].sign;
    up = us_change_case(low, true);
    out[n++] = ch;
    if (low != ch) out[n++] = low;
    if (up != ch && up != low) out[n++] = up;
    if (sign && sign != ch) out[n++] = sign;
    return n;
}
