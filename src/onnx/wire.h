/* onnx/wire.h - the protobuf wire format, both ways, driven by tables.
 *
 * Reading: a message is described by rows (field number, how it is stored, where). us_pb_parse fills a plain
 * struct with what it finds and copies nothing: strings and sub-messages are spans of the input, to be parsed when
 * somebody wants them, so deep or huge inputs cost nothing by themselves. Every struct starts with us_pb_head.
 * Fields without a row are kept as bytes (head.unknown) for rewriting.
 * Writing: one emitting function is run twice, once to learn the sizes of sub-messages and once to write.
 * Source: protobuf's "Encoding" document.
 */
#ifndef USTA_ONNX_WIRE_H
#define USTA_ONNX_WIRE_H

#include "base/ctx.h"
#include "base/file.h"

enum { US_PB_VARINT = 0, US_PB_FIXED64 = 1, US_PB_BYTES = 2, US_PB_FIXED32 = 5 };

typedef struct us_pb {
    us_ctx *c;
    const char *name; /* of the input, for messages */
    const uint8_t *base;
    us_arena *keep; /* lives with the result */
    us_arena *tmp;  /* lives while parsing */
    int depth;      /* nested messages entered */
} us_pb;

typedef US_VEC(us_sv) us_pb_spans;

typedef struct us_pb_head {
    uint64_t seen;   /* bit per field number below 64 */
    us_sv unknown;   /* fields without a row: tag and contents */
    uint64_t offset; /* of the message in the input */
} us_pb_head;

typedef enum us_pb_store {
    US_PB_SV,    /* us_sv: bytes, string or message; the last one counts */
    US_PB_I64,   /* int64_t from a varint */
    US_PB_I32,   /* int32_t likewise */
    US_PB_F32,   /* float */
    US_PB_SPANS, /* us_pb_spans: repeated bytes, string or message */
    US_PB_LIST /* us_pb_spans: repeated numbers, packed or one by one; element type US_PB_* in `wire` */
} us_pb_store;

typedef struct us_pb_row {
    uint32_t num;
    uint8_t wire;
    uint8_t store;
    uint16_t offset;
    const char *name;
} us_pb_row;

typedef struct us_pb_msg {
    const char *name;
    const us_pb_row *rows; /* ends with num 0 */
} us_pb_msg;

/* Parse the message in `span` into *out (zeroed by the caller). US_FORMAT names offset, message and field. */
us_err us_pb_parse(us_pb *r, const us_pb_msg *m, us_sv span, void *out) US_MUST;
/* US_FORMAT with input, offset of p and message in front of the text. */
us_err us_pb_fail(us_pb *r, us_err code, const char *msg, const void *p, const char *fmt, ...)
    US_PRINTF(5, 6);
bool us_pb_has(const us_pb_head *h, uint32_t num);

/* Numbers of a LIST in an arena: count, then values. */
us_err us_pb_count(us_pb *r, const us_pb_spans *s, int wire, size_t *n) US_MUST;
us_err us_pb_i64s(us_pb *r, us_arena *a, const us_pb_spans *s, const int64_t **out,
                  size_t *n) US_MUST;
us_err us_pb_fixed(us_pb *r, const us_pb_spans *s, size_t size, size_t n, void *out) US_MUST;
/* The varint at *p, which moves past it; false when cut short or longer than ten bytes. */
bool us_pb_varint(const uint8_t **p, const uint8_t *end, uint64_t *out);

/* --- writing ------------------------------------------------------------------------------------------------ */

#define US_PB_MAX_NEST 256

typedef struct us_pb_out {
    us_ctx *c;
    us_arena *a; /* for the sizes */
    us_err err;  /* sticky */
    bool counting;
    uint64_t n; /* bytes of this pass */
    US_VEC(uint64_t) sizes;
    size_t i_size;
    size_t open[US_PB_MAX_NEST]; /* indices into sizes */
    uint64_t start[US_PB_MAX_NEST];
    size_t depth;
    us_buf *buf; /* one of both takes the bytes */
    us_writer *writer;
} us_pb_out;

void us_pb_bytes(us_pb_out *o, const void *p, size_t n); /* as they are */
void us_pb_put_i64(us_pb_out *o, uint32_t num, int64_t v);
void us_pb_put_f32(us_pb_out *o, uint32_t num, float v);
void us_pb_put_sv(us_pb_out *o, uint32_t num, us_sv s);
void us_pb_put_sv_if(us_pb_out *o, uint32_t num, us_sv s); /* not when empty */
void us_pb_put_i64s(us_pb_out *o, uint32_t num, size_t n, const int64_t *v); /* packed */
void us_pb_put_f32s(us_pb_out *o, uint32_t num, size_t n, const float *v);
void us_pb_open(us_pb_out *o, uint32_t num); /* a sub-message */
void us_pb_close(us_pb_out *o);
/* Runs emit twice; bytes go to buf or writer. */
us_err us_pb_emit(us_pb_out *o, void (*emit)(us_pb_out *o, void *ud), void *ud) US_MUST;

#endif
