/* onnx/wire_out.c - writing the protobuf wire format in two passes: sizes, then bytes.
 *
 * The first pass records the size of every sub-message in the order they are opened; the second reads them in the
 * same order. Time and memory are linear in the number of sub-messages, and nothing is held back in buffers.
 */
#include <string.h>

#include "base/ctx.h"
#include "onnx/wire.h"

void us_pb_bytes(us_pb_out *o, const void *p, size_t n)
{
    if (o->err != US_OK) return;
    o->n += n;
    if (o->counting || !n) return;
    if (o->writer)
        o->err = us_writer_write(o->writer, p, n);
    else
        us_buf_add(o->buf, p, n);
}

static size_t varint(uint64_t v, uint8_t out[10])
{
    size_t n = 0;
    while (v >= 128) {
        out[n++] = (uint8_t)(v | 128);
        v >>= 7;
    }
    out[n++] = (uint8_t)v;
    return n;
}

static void put_varint(us_pb_out *o, uint64_t v)
{
    uint8_t b[10];
    us_pb_bytes(o, b, varint(v, b));
}

static void put_tag(us_pb_out *o, uint32_t num, unsigned wire)
{
    put_varint(o, (uint64_t)num << 3 | wire);
}

void us_pb_put_i64(us_pb_out *o, uint32_t num, int64_t v)
{
    put_tag(o, num, US_PB_VARINT);
    put_varint(o, (uint64_t)v);
}

void us_pb_put_f32(us_pb_out *o, uint32_t num, float v)
{
    put_tag(o, num, US_PB_FIXED32);
    us_pb_bytes(o, &v, sizeof v);
}

void us_pb_put_sv(us_pb_out *o, uint32_t num, us_sv s)
{
    put_tag(o, num, US_PB_BYTES);
    put_varint(o, s.n);
    us_pb_bytes(o, s.p, s.n);
}

void us_pb_put_sv_if(us_pb_out *o, uint32_t num, us_sv s)
{
    if (s.n) us_pb_put_sv(o, num, s);
}

void us_pb_put_i64s(us_pb_out *o, uint32_t num, size_t n, const int64_t *v)
{
    uint8_t b[10];
    uint64_t bytes = 0;
    if (!n) return;
    for (size_t i = 0; i < n; i++)
        bytes += varint((uint64_t)v[i], b);
    put_tag(o, num, US_PB_BYTES);
    put_varint(o, bytes);
    for (size_t i = 0; i < n; i++)
        put_varint(o, (uint64_t)v[i]);
}

void us_pb_put_f32s(us_pb_out *o, uint32_t num, size_t n, const float *v)
{
    if (n) us_pb_put_sv(o, num, (us_sv){(const char *)v, n * sizeof *v});
}

void us_pb_open(us_pb_out *o, uint32_t num)
{
    if (o->err != US_OK) return;
    put_tag(o, num, US_PB_BYTES);
    if (!o->counting) {
        put_varint(o, o->sizes.at[o->i_size++]);
        return;
    }
    if (o->depth >= US_PB_MAX_NEST) {
        o->err = us_fail(o->c, US_LIMIT, "the model is nested deeper than can be written");
        return;
    }
    o->open[o->depth] = o->sizes.n;
    o->start[o->depth++] = o->n;
    o->err = us_vec_push(o->c, o->a, &o->sizes, 0);
}

void us_pb_close(us_pb_out *o)
{
    uint8_t b[10];
    if (o->err != US_OK || !o->counting) return;
    o->depth--;
    uint64_t size = o->n - o->start[o->depth];
    o->sizes.at[o->open[o->depth]] = size;
    o->n += varint(size, b);
}

us_err us_pb_emit(us_pb_out *o, void (*emit)(us_pb_out *o, void *ud), void *ud)
{
    o->counting = true;
    emit(o, ud);
    uint64_t want = o->n;
    o->counting = false;
    o->n = 0;
    o->i_size = 0;
    if (o->err == US_OK) emit(o, ud);
    if (o->err == US_OK && o->buf) o->err = us_buf_check(o->buf);
    if (o->err == US_OK && o->n != want)
        o->err = us_fail(o->c, US_BUG, "wrote %llu bytes, had counted %llu",
                         (unsigned long long)o->n, (unsigned long long)want);
    return o->err;
}
