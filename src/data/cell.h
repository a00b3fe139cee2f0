/* data/cell.h - one text, one cell: the conversions that training and serving share.
 *
 * Everything that turns a text into a number, a boolean or a time goes through here, whether it stood in a training
 * file, in a served CSV row or in a JSON string. A number read from a table column and the same text decoded alone give
 * the same bits: both are the correctly rounded double, minus zero made plus zero.
 */
#ifndef USTA_DATA_CELL_H
#define USTA_DATA_CELL_H

#include <math.h>

#include "data/schema.h"

/* Empty, or one of the tokens. */
bool us_cell_missing(us_sv s, const us_sv *tokens, size_t n_tokens);
/* The text that `maps` put in its place, or itself. */
us_sv us_cell_map(us_sv s, us_sv column, const us_csv_map *maps, size_t n_maps);
/* Blanks around are allowed; finite numbers only, "nan" in any case gives NaN. */
bool us_cell_number(us_sv s, double *out);
bool us_cell_bool(us_sv s, bool *out); /* true, false in any case */

/* Row i of a table column as a number of the schema column's kind (timestamps: microseconds, booleans: 0 and 1), whatever
 * the column is stored as. NaN when missing; false when it cannot be read so (then *out is NaN). */
bool us_cell_column_number(const us_data_schema *s, const us_data_col *k, const us_column *col,
                           size_t i, double *out);
/* Timestamps without the detour over double: US_TIME_MISSING when missing. */
bool us_cell_column_time(const us_data_schema *s, const us_data_col *k, const us_column *col,
                         size_t i, int64_t *out);
/* Row i as text: strings as they are (missing tokens: empty), others printed into buf, which the result may point to. */
us_sv us_cell_column_text(const us_data_schema *s, const us_data_col *k, const us_column *col,
                          size_t i, us_buf *buf);
/* The same three from a text (already mapped, not missing). */
bool us_cell_text_number(const us_data_col *k, us_sv text, double *out);
bool us_cell_text_time(const us_data_col *k, us_sv text, int64_t *out);
us_sv us_cell_text_category(const us_data_col *k, us_sv text, us_buf *buf);
bool us_data_kind_is_string(
    us_data_kind k); /* categorical, text: strings in the model's inputs */

static inline double us_cell_canonical(double x)
{
    return x + 0.0; /* -0 becomes +0, nothing else changes */
}

#endif
