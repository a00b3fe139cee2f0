/* ir/regex.h - whole-string matching of regular expressions in time linear in the text.
 *
 * RE2's syntax as far as it says something about a whole string: literals, ., classes [a-z] [^...] with [:alpha:] names and
 * escapes, \d \D \w \W \s \S, \t \n \r \f \v \a, \xHH \x{H...} \OOO, \Q...\E, groups ( ) (?: ) (?P<name> ), |, * + ? {m} {m,}
 * {m,n} and their lazy forms (the same here), ^ $ \A \z, \b \B (ASCII words), flags (?i) (?s) (?m) (?U) and (?flags: ). (?i) knows the
 * cases of ir/letters.h. Not supported: \p{...} and \C (back references RE2 has none). Text and classes are code points; bytes that
 * are not UTF-8 match as one code point each.
 */
#ifndef USTA_IR_REGEX_H
#define USTA_IR_REGEX_H

#include "base/ctx.h"
#include "base/str.h"

#define US_REGEX_MAX_PATTERN 4096  /* bytes */
#define US_REGEX_MAX_STATES  20000 /* after counted repeats are written out */

typedef struct us_regex us_regex;

/* In the arena. US_ARG: malformed; US_UNSUPP: not in the subset; US_LIMIT: too large. */
us_err us_regex_new(us_ctx *c, us_arena *a, us_sv pattern, us_regex **out) US_MUST;
/* Whether all of `text` matches; time is states times length. */
bool us_regex_full_match(us_regex *r, us_sv text);

#endif
