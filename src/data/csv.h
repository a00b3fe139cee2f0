/* data/csv.h - comma-separated values (RFC 4180 and what people call so) into a table.
 *
 * Types are found while parsing: a column is integers until a field is not one, then floats, then strings; true/false is
 * boolean; strings that are all ISO 8601 become timestamps. A column that fails late is parsed again alone, so no field is
 * ever allocated. Quotes protect delimiters and line ends, "" inside is one quote; CRLF, LF and CR end a record; a UTF-8
 * byte order mark is skipped; blank lines are skipped; the last record needs no line end. NUL bytes are an error
 * (probably UTF-16 or a binary file). A name that ends in .gz, or gzip's magic bytes, is inflated first.
 */
#ifndef USTA_DATA_CSV_H
#define USTA_DATA_CSV_H

#include "data/table.h"

#define US_CSV_MAX_BYTES ((size_t)32 << 30) /* of text after inflating */
#define US_CSV_MAX_FIELD ((size_t)16 << 20) /* bytes of one field */
#define US_CSV_MAX_COLS  US_TABLE_MAX_COLS

typedef struct us_csv_map { /* a field text that means another one: "<=50K." is "<=50K" */
    us_sv column;           /* empty: every column */
    us_sv from, to;
} us_csv_map;

/* AUTO: the first record names the columns unless a field of it is a number or there twice, or `names` are given and it
 * is not those. An empty name becomes cI (I counts from 0). */
typedef enum us_csv_header {
    US_CSV_HEADER_AUTO,
    US_CSV_HEADER_YES,
    US_CSV_HEADER_NO
} us_csv_header;

typedef struct us_csv_opts {
    char delimiter; /* 0: found by looking at the first record (, ; tab |) */
    us_csv_header header;
    /* without a header: names of the columns (default c0, c1, ...); with one: replace it */
    const us_sv *names;
    size_t n_names;
    bool trim;            /* blanks and tabs around unquoted fields */
    const us_sv *missing; /* texts that mean missing, besides the empty field */
    size_t n_missing;
    const us_csv_map *maps;
    size_t n_maps;
    /* columns to keep as strings whatever they look like (codes, categories) */
    const us_sv *as_text;
    size_t n_as_text;
    char comment;     /* records that begin with it are skipped; 0: none */
    bool no_times;    /* leave ISO timestamps as strings */
    bool skip_bad;    /* records with a wrong number of fields are skipped, else US_FORMAT */
    size_t max_bad;   /* skipped records before it is an error after all; 0: 1000 */
    size_t max_rows;  /* 0: US_TABLE_MAX_ROWS */
    size_t max_bytes; /* 0: US_CSV_MAX_BYTES */
} us_csv_opts;
void us_csv_defaults(us_csv_opts *o);

typedef struct us_csv_report {
    size_t n_rows, n_bad, n_bytes; /* bytes after inflating */
    size_t first_bad_line;
    char delimiter; /* found or given */
    bool had_header;
} us_csv_report;

/* opts NULL: defaults. report may be NULL. Messages give name and line. */
us_err us_csv_read(us_ctx *c, const char *path, const us_csv_opts *opts, us_table **out,
                   us_csv_report *report) US_MUST;
us_err us_csv_parse(us_ctx *c, const char *name, us_sv text, const us_csv_opts *opts,
                    us_table **out, us_csv_report *report) US_MUST;

/* Walk records without typing (served rows). Fields are unquoted views into the text or into the arena, trimmed when asked,
 * valid until the next call (doubled quotes resolved: until the arena goes). more = false at the end. */
typedef struct us_csv_walk {
    us_ctx *c;
    us_arena *arena; /* of the fields' list and of texts with doubled quotes */
    const char *name;
    const char *begin, *p, *end;
    const char *record; /* where the record just given begins; us_csv_line tells its line */
    char delimiter, comment;
    bool trim;
    US_VEC(us_sv) fields;
} us_csv_walk;
us_err us_csv_walk_init(us_ctx *c, us_arena *a, const char *name, us_sv text,
                        const us_csv_opts *opts, us_csv_walk *w) US_MUST;
us_err us_csv_walk_next(us_csv_walk *w, bool *more) US_MUST;
size_t
us_csv_line(const us_csv_walk *w); /* of the record just given, 1-based; walks the text */

/* A field with what a CSV needs around it (quotes doubled where needed); appended. */
void us_csv_print_field(us_buf *b, us_sv s, char delimiter);
/* gzip or plain bytes: whole contents into out. US_FORMAT: truncated or damaged; US_LIMIT past max_bytes. */
us_err us_gunzip(us_ctx *c, const char *name, const void *p, size_t n, size_t max_bytes,
                 us_buf *out) US_MUST;

#endif
