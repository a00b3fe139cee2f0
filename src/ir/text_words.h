/* ir/text_words.h - within ir: what printer and parser of the text form agree on. */
#ifndef USTA_IR_TEXT_WORDS_H
#define USTA_IR_TEXT_WORDS_H

#include "ir/op.h"

#define US_TEXT_KEYWORDS "const", "var", "sparse", "graph", "model", "prop", "function"

bool us_text_word_char(char ch);
bool us_text_plain(us_sv s); /* needs no quotes */

/* How an empty list attribute begins, by kind; a full one begins with "[". */
static const char *const us_text_empty[] = {
    [US_AT_FLOATS] = "floats[",   [US_AT_INTS] = "ints[",     [US_AT_STRINGS] = "strings[",
    [US_AT_TENSORS] = "tensors[", [US_AT_GRAPHS] = "graphs[", [US_AT_TYPES] = "types[",
};

#endif
