/* data/decode_sink.h - where decoded cells go; inside the decoder only. */
#ifndef USTA_DATA_DECODE_SINK_H
#define USTA_DATA_DECODE_SINK_H

#include "data/decode.h"

typedef struct us_sink {
    us_ctx *c;
    us_arena *a;
    const us_decoder *d;
    size_t n;     /* rows */
    us_value *in; /* n_inputs */
    us_buf buf;   /* texts of single cells */
} us_sink;

us_err us_sink_init(us_ctx *c, us_arena *a, const us_decoder *d, size_t n, us_sink *s) US_MUST;
void us_sink_deinit(us_sink *s);
void us_sink_missing(us_sink *s, size_t f, size_t row);
void us_sink_number(us_sink *s, size_t f, size_t row, double x);
void us_sink_time(us_sink *s, size_t f, size_t row, int64_t us);
us_err us_sink_string(us_sink *s, size_t f, size_t row, us_sv x) US_MUST; /* copied */
/* A raw text: maps, missing tokens, then what the feature's kind wants. */
us_err us_sink_text(us_sink *s, size_t f, size_t row, us_sv v) US_MUST;
us_err us_sink_bad(us_sink *s, size_t f, size_t row, us_sv found); /* the message */

#endif
