/* conf/json.h - JSON: parse with limits, print in one canonical form.
 *
 * A thin layer over jansson: trees are jansson's own json_t, so its accessors and json_pack serve as they are.
 * What is ours: limits and messages of the reader, lifetime (a tree read here belongs to an arena), and the
 * printer: jansson prints reals with 17 digits, we print the shortest text that reads back as the same number,
 * because stage keys and passports are compared and hashed byte by byte.
 */
#ifndef USTA_CONF_JSON_H
#define USTA_CONF_JSON_H

#include <jansson.h>

#include "base/ctx.h"
#include "base/str.h"

#define US_JSON_MAX_BYTES ((size_t)256 << 20) /* of a whole text */
#define US_JSON_MAX_DEPTH 64                  /* nested arrays and objects */

/* Parse a text (RFC 8259; duplicate keys, NaN and a second value after the first are refused). The tree belongs to
 * the arena. name: for messages, which give line and column. max_bytes 0: US_JSON_MAX_BYTES. */
us_err us_json_parse(us_ctx *c, us_arena *a, const char *name, us_sv text, size_t max_bytes,
                     json_t **out) US_MUST;
us_err us_json_read(us_ctx *c, us_arena *a, const char *path, json_t **out) US_MUST;
/* Give a tree built by hand to an arena. j NULL (jansson ran out of memory) is US_NOMEM, so that
 * `US_TRY(us_json_keep(c, a, j = json_pack(...)))` needs no other check. On failure j is released. */
us_err us_json_keep(us_ctx *c, us_arena *a, json_t *j) US_MUST;

/* Canonical: keys sorted bytewise, no blanks, shortest numbers (reals keep a '.' or an exponent), UTF-8 as it is, control
 * characters escaped; the same tree gives the same bytes. NaN and infinities become null. Appended to b. */
us_err us_json_print(us_ctx *c, const json_t *j, us_buf *b) US_MUST;
/* For people: two blanks of indentation, keys in the order they were put in, short arrays of scalars on one line. */
us_err us_json_print_pretty(us_ctx *c, const json_t *j, us_buf *b) US_MUST;

/* Pieces for those who write JSON by hand (large arrays, streams). Errors stick to the buffer. */
void us_json_add_text(us_buf *b,
                      us_sv s); /* quoted and escaped; bytes that are no UTF-8 become U+FFFD */
void us_json_add_f64(us_buf *b, double v); /* NaN and infinities: null */
void us_json_add_f32(us_buf *b, float v);

/* Members of an object, with words for what is wrong: US_FORMAT "WHAT: 'key' is missing / is a string, expected a number".
 * Borrowed from the tree. The _or forms take a default when the key is absent or null. */
us_err us_json_get(us_ctx *c, const json_t *obj, const char *what, const char *key,
                   json_type type, json_t **out) US_MUST;
us_err us_json_get_text(us_ctx *c, const json_t *obj, const char *what, const char *key,
                        const char **out) US_MUST;
us_err us_json_get_f64(us_ctx *c, const json_t *obj, const char *what, const char *key,
                       double *out) US_MUST; /* integers are taken as well */
us_err us_json_get_i64(us_ctx *c, const json_t *obj, const char *what, const char *key,
                       int64_t *out) US_MUST;
us_err us_json_get_bool(us_ctx *c, const json_t *obj, const char *what, const char *key,
                        bool *out) US_MUST;
double us_json_f64_or(const json_t *obj, const char *key, double def);
int64_t us_json_i64_or(const json_t *obj, const char *key, int64_t def);
const char *us_json_text_or(const json_t *obj, const char *key, const char *def);

#endif
