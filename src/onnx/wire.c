/* onnx/wire.c - reading the protobuf wire format by tables. */
#include "onnx/wire.h"

#include <stdio.h>
#include <string.h>

#include "base/ctx.h"
#include "onnx/onnx.h"

us_err us_pb_fail(us_pb *r, us_err code, const char *msg, const void *p, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    unsigned long long at = p ? (unsigned long long)((uintptr_t)p - (uintptr_t)r->base) : 0;
    return us_fail(r->c, code, "%s: offset %llu: %s: %s", r->name, at, msg, text);
}

bool us_pb_has(const us_pb_head *h, uint32_t num)
{
    return num < 64 && (h->seen >> num & 1);
}

bool us_pb_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    const uint8_t *q = *p;
    for (int shift = 0; shift < 70 && q < end; shift += 7) {
        uint8_t b = *q++;
        v |= shift < 64 ? (uint64_t)(b & 127) << shift : 0;
        if (!(b & 128)) {
            *p = q;
            *out = v;
            return true;
        }
    }
    return false;
}

typedef struct field {
    uint32_t num, wire;
    uint64_t value; /* VARINT */
    us_sv bytes;    /* contents, without tag and length */
    us_sv whole;    /* with them */
} field;

static us_err next_field(us_pb *r, const us_pb_msg *m, const uint8_t **p, const uint8_t *end,
                         field *f)
{
    const uint8_t *q = *p;
    uint64_t tag, n = 0;
    if (!us_pb_varint(&q, end, &tag))
        return us_pb_fail(r, US_FORMAT, m->name, *p, "a field's tag is cut short or too long");
    f->wire = (uint32_t)(tag & 7);
    if (tag >> 3 == 0 || tag >> 3 > 536870911)
        return us_pb_fail(r, US_FORMAT, m->name, *p, "field number %llu does not exist",
                          (unsigned long long)(tag >> 3));
    f->num = (uint32_t)(tag >> 3);
    const uint8_t *from = q;
    if (f->wire == US_PB_VARINT) {
        if (!us_pb_varint(&q, end, &f->value))
            return us_pb_fail(r, US_FORMAT, m->name, *p, "the number of field %u is cut short",
                              f->num);
        n = (uint64_t)(q - from);
    } else if (f->wire == US_PB_BYTES) {
        if (!us_pb_varint(&q, end, &n))
            return us_pb_fail(r, US_FORMAT, m->name, *p, "the length of field %u is cut short",
                              f->num);
        from = q;
    } else if (f->wire == US_PB_FIXED64 || f->wire == US_PB_FIXED32) {
        n = f->wire == US_PB_FIXED64 ? 8 : 4;
    } else {
        return us_pb_fail(r, US_FORMAT, m->name, *p,
                          "field %u has wire type %u, expected 0, 1, 2 or 5", f->num, f->wire);
    }
    if (n > (uint64_t)(end - from))
        return us_pb_fail(r, US_FORMAT, m->name, *p,
                          "field %u wants %llu bytes, only %llu are left", f->num,
                          (unsigned long long)n, (unsigned long long)(end - from));
    f->bytes = (us_sv){(const char *)from, (size_t)n};
    f->whole = (us_sv){(const char *)*p, (size_t)(from - *p) + (size_t)n};
    *p = from + n;
    return US_OK;
}

/* Notes bytes to be kept: neighbours become one piece. */
static us_err note_unknown(us_pb *r, us_pb_spans *pieces, us_sv more)
{
    us_sv *last = pieces->n ? &pieces->at[pieces->n - 1] : NULL;
    if (last && last->p + last->n == more.p) {
        last->n += more.n;
        return US_OK;
    }
    return us_vec_push(r->c, r->tmp, pieces, more);
}

/* One piece is used where it lies; several are copied together. */
static us_err join_unknown(us_pb *r, const us_pb_spans *pieces, us_sv *out)
{
    size_t n = 0;
    if (pieces->n == 1) *out = pieces->at[0];
    if (pieces->n < 2) return US_OK;
    for (size_t i = 0; i < pieces->n; i++)
        n += pieces->at[i].n;
    char *p = us_new_n(r->keep, char, n);
    if (!p) return us_arena_fail(r->c, r->keep);
    *out = (us_sv){p, n};
    for (size_t i = 0; i < pieces->n; p += pieces->at[i++].n)
        memcpy(p, pieces->at[i].p, pieces->at[i].n);
    return US_OK;
}

static us_err store(us_pb *r, const us_pb_row *row, const field *f, char *out)
{
    char *at = out + row->offset;
    if (row->store == US_PB_SPANS || row->store == US_PB_LIST)
        return us_vec_push(r->c, r->tmp, (us_pb_spans *)(void *)at, f->bytes);
    if (row->store == US_PB_SV) memcpy(at, &f->bytes, sizeof f->bytes);
    if (row->store == US_PB_I64) memcpy(at, &f->value, sizeof f->value);
    if (row->store == US_PB_F32) memcpy(at, f->bytes.p, 4);
    if (row->store == US_PB_I32) {
        uint32_t low = (uint32_t)f->value;
        memcpy(at, &low, sizeof low);
    }
    return US_OK;
}

static const us_pb_row *find_row(const us_pb_msg *m, uint32_t num)
{
    for (const us_pb_row *row = m->rows; row->num; row++)
        if (row->num == num) return row;
    return NULL;
}

us_err us_pb_parse(us_pb *r, const us_pb_msg *m, us_sv span, void *out)
{
    us_pb_head *h = out;
    us_pb_spans unknown = {0};
    if (!span.n) return US_OK; /* an empty message, or a field left out */
    const uint8_t *p = (const uint8_t *)span.p, *end = p + span.n;
    h->offset = (uint64_t)((uintptr_t)p - (uintptr_t)r->base);
    while (p < end) {
        field f = {0};
        US_TRY(next_field(r, m, &p, end, &f));
        const us_pb_row *row = find_row(m, f.num);
        if (!row) {
            US_TRY(note_unknown(r, &unknown, f.whole));
            continue;
        }
        bool packed = row->store == US_PB_LIST && f.wire == US_PB_BYTES;
        if (f.wire != row->wire && !packed)
            return us_pb_fail(r, US_FORMAT, m->name, f.whole.p,
                              "field %s has wire type %u, expected %u", row->name, f.wire,
                              row->wire);
        if (f.num < 64) h->seen |= (uint64_t)1 << f.num;
        US_TRY(store(r, row, &f, out));
    }
    return join_unknown(r, &unknown, &h->unknown);
}

us_err us_pb_count(us_pb *r, const us_pb_spans *s, int wire, size_t *n)
{
    size_t total = 0;
    for (size_t i = 0; i < s->n; i++) {
        us_sv b = s->at[i];
        size_t size = wire == US_PB_FIXED32 ? 4 : 8;
        if (wire != US_PB_VARINT) {
            if (b.n % size)
                return us_pb_fail(r, US_FORMAT, "numbers", b.p,
                                  "%zu bytes are no whole count of %zu-byte numbers", b.n,
                                  size);
            total += b.n / size;
            continue;
        }
        for (size_t j = 0; j < b.n; j++) /* a varint ends with the byte that has no high bit */
            total += !((unsigned char)b.p[j] & 128);
    }
    *n = total;
    return US_OK;
}

us_err us_pb_i64s(us_pb *r, us_arena *a, const us_pb_spans *s, const int64_t **out, size_t *n)
{
    size_t want, k = 0;
    US_TRY(us_pb_count(r, s, US_PB_VARINT, &want));
    int64_t *v = us_new_n(a, int64_t, want);
    if (!v) return us_arena_fail(r->c, a);
    for (size_t i = 0; i < s->n; i++) {
        const uint8_t *p = (const uint8_t *)s->at[i].p, *end = p + s->at[i].n;
        while (p < end) {
            uint64_t u;
            if (!us_pb_varint(&p, end, &u))
                return us_pb_fail(r, US_FORMAT, "numbers", p,
                                  "a number is cut short or too long");
            memcpy(&v[k++], &u, sizeof u);
        }
    }
    *out = v;
    *n = k;
    return US_OK;
}

us_err us_pb_fixed(us_pb *r, const us_pb_spans *s, size_t size, size_t n, void *out)
{
    size_t k = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t m = s->at[i].n / size;
        if (s->at[i].n % size || m > n - k)
            return us_pb_fail(r, US_FORMAT, "numbers", s->at[i].p,
                              "more or other than the %zu numbers expected", n);
        if (m) memcpy((char *)out + k * size, s->at[i].p, m * size);
        k += m;
    }
    if (k != n)
        return us_pb_fail(r, US_FORMAT, "numbers", NULL, "%zu numbers, expected %zu", k, n);
    return US_OK;
}
