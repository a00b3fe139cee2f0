/* ir/text_scan.h - within ir: the cursor over the text form and its tokens. */
#ifndef USTA_IR_TEXT_SCAN_H
#define USTA_IR_TEXT_SCAN_H

#include "ir/text_words.h"

typedef struct us_scan {
    us_ctx *c;
    us_model *m;
    const char *begin, *p, *end;
} us_scan;

us_err us_scan_fail(us_scan *s, const char *what); /* US_FORMAT with line and column */
void us_scan_space(us_scan *s);                    /* blanks, lines, comments */
bool us_scan_take(us_scan *s, char ch);            /* after space */
us_err us_scan_expect(us_scan *s, char ch) US_MUST;
bool us_scan_word(us_scan *s, const char *word); /* this very word */
/* A word or "quoted" text. */
us_err us_scan_name(us_scan *s, us_sv *out, bool *was_quoted) US_MUST;
us_err us_scan_int(us_scan *s, int64_t *out) US_MUST;
us_err us_scan_type(us_scan *s, us_type *out) US_MUST;
us_err us_scan_hex(us_scan *s, us_sv *out) US_MUST; /* hex"..." */
bool us_scan_at(const us_scan *s, char ch);         /* the next byte, no space skipped */
/* The number or word that stands here, as text. */
us_sv us_scan_token(us_scan *s);

/* {...} contents of a tensor of this type and shape; dims + data in the model's arena. */
us_err us_scan_contents(us_scan *s, us_tensor *t) US_MUST;
/* {a=1, b=[2.0]}, sub-graphs get `parent`; nothing there: none. */
us_err us_scan_attrs(us_scan *s, us_graph *parent, us_attr **out, uint32_t *n) US_MUST;
us_err us_scan_graph(us_scan *s, us_graph *g) US_MUST; /* from the name on */

#endif
