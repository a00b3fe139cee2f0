/* data/csv_scan.h - cutting CSV text into fields: what the typed reader and the record walk share. */
#ifndef USTA_DATA_CSV_SCAN_H
#define USTA_DATA_CSV_SCAN_H

#include "data/csv.h"

typedef struct us_csv_scan {
    us_ctx *c;
    us_arena *arena; /* texts with doubled quotes are rebuilt here */
    const char *name;
    const char *begin, *end;
    char delimiter, comment;
    bool trim;
} us_csv_scan;

/* The field at *p: its text, and whether the record ended with it. *p moves behind the delimiter or line end. */
us_err us_csv_field(const us_csv_scan *s, const char **p, us_sv *out, bool *last) US_MUST;
/* Skips blank lines and comments; the start of the next record, or end. */
const char *us_csv_skip(const us_csv_scan *s, const char *p);
/* Fields of the record at p, and where the next one begins. */
us_err us_csv_count(const us_csv_scan *s, const char *p, size_t *n, const char **next) US_MUST;
size_t us_csv_line_of(const us_csv_scan *s, const char *at);
/* The delimiter that occurs most in the record at p. */
char us_csv_guess_delimiter(const char *p, const char *end);

#endif
