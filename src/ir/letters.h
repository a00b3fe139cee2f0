/* ir/letters.h - the two cases of letters, for operators on text.
 *
 * Covers ASCII, Latin-1, Greek and Cyrillic, whose cases are a fixed distance apart and, in UTF-8, equally long; other letters
 * stay as they are.
 */
#ifndef USTA_IR_LETTERS_H
#define USTA_IR_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The letter in the other case, or itself. */
uint32_t us_change_case(uint32_t ch, bool upper);
/* All letters that are this one but for case, itself first; also the signs that Unicode folds into a letter: the long s,
 * the sign for kelvin, the final sigma. Returns how many, at most 4. */
size_t us_case_variants(uint32_t ch, uint32_t out[4]);

#endif
