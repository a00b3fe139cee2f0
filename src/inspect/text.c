/* inspect/text.c - texts in drawings: how wide they are, how they are cut and escaped.
 *
 * No font is asked: widths are those of DejaVu Sans, the widest of the fonts a page may get, by classes of letters.
 */
#include <string.h>

#include "inspect/scene.h"
#include "ir/op.h"

#define REPLACEMENT "\xEF\xBF\xBD"
#define DIM_MAX     24   /* characters of one dimension */
#define STRING_MAX  4096 /* bytes of a string that are shown */

static void add_string(us_buf *b, us_sv s)
{
    us_buf_addsv(b, (us_sv){s.p, US_MIN(s.n, STRING_MAX)});
}

/* Bytes of the character at s (at least 1); *ok: it is UTF-8 and printable. */
static size_t character(us_sv s, bool *ok)
{
    unsigned char ch = (unsigned char)s.p[0];
    size_t n = ch < 0x80 ? 1 : ch >= 0xF0 ? 4 : ch >= 0xE0 ? 3 : 2;
    *ok = false;
    if (n == 1) {
        *ok = ch >= 0x20 && ch != 0x7F;
        return 1;
    }
    if (n > s.n || !us_utf8_valid((us_sv){s.p, n})) return 1;
    /* U+FFFE and U+FFFF are no XML; U+202A..U+202E and U+2066..U+2069 turn text round */
    *ok = !(memcmp(s.p, "\xEF\xBF\xBE", US_MIN(n, 3)) == 0 ||
            memcmp(s.p, "\xEF\xBF\xBF", US_MIN(n, 3)) == 0) &&
          !(n == 3 && memcmp(s.p, "\xE2\x80", 2) == 0 && (unsigned char)s.p[2] >= 0xAA &&
            (unsigned char)s.p[2] <= 0xAE) &&
          !(n == 3 && memcmp(s.p, "\xE2\x81", 2) == 0 && (unsigned char)s.p[2] >= 0xA6 &&
            (unsigned char)s.p[2] <= 0xA9) &&
          !(n == 2 && ch == 0xC2 && (unsigned char)s.p[1] < 0xA0);
    return n;
}

float us_view_width(us_sv s, float size)
{
    float w = 0;
    for (size_t i = 0; i < s.n;) {
        bool ok;
        unsigned char ch = (unsigned char)s.p[i];
        i += character((us_sv){s.p + i, s.n - i}, &ok);
        if (ch >= 0xE3)
            w += 1.0F; /* mostly ideographs */
        else if (ch >= 0x80)
            w += 0.7F;
        else if (strchr("ijl.,:;|'![]()ftI", ch))
            w += 0.38F;
        else if (strchr("mwMW@%", ch))
            w += 0.95F;
        else if (ch >= 'A' && ch <= 'Z')
            w += 0.7F;
        else
            w += 0.61F;
    }
    return w * size;
}

us_err us_view_clip(us_ctx *c, us_arena *a, us_sv s, size_t max, us_sv *out)
{
    us_buf b;
    size_t n = 0;
    us_buf_init(&b, c, max * 4 + 16);
    for (size_t i = 0; i < s.n; n++) {
        bool ok;
        if (n + 1 >= max && i + 1 < s.n) {
            us_buf_adds(&b, "\xE2\x80\xA6");
            break;
        }
        size_t step = character((us_sv){s.p + i, s.n - i}, &ok);
        if (ok)
            us_buf_add(&b, s.p + i, step);
        else
            us_buf_adds(&b, REPLACEMENT);
        i += step;
    }
    us_err e = us_buf_check(&b);
    if (e == US_OK) e = us_sv_dup(c, a, us_buf_sv(&b), out);
    us_buf_deinit(&b);
    return e;
}

void us_view_xml(us_buf *b, us_sv s)
{
    for (size_t i = 0; i < s.n;) {
        bool ok;
        size_t n = character((us_sv){s.p + i, s.n - i}, &ok);
        char ch = s.p[i];
        if (!ok)
            us_buf_adds(b, REPLACEMENT);
        else if (ch == '&')
            us_buf_adds(b, "&amp;");
        else if (ch == '<')
            us_buf_adds(b, "&lt;");
        else if (ch == '>')
            us_buf_adds(b, "&gt;");
        else if (ch == '"')
            us_buf_adds(b, "&quot;");
        else
            us_buf_add(b, s.p + i, n);
        i += n;
    }
}

void us_view_shape(const us_view *v, const us_type *t, us_buf *b)
{
    if (t->kind != US_KIND_TENSOR || t->rank < 0) return;
    if (t->rank == 0) us_buf_adds(b, "scalar");
    if (t->rank == 1) us_buf_addc(b, '['); /* "int64 3" would read as a number */
    for (int i = 0; i < t->rank; i++) {
        size_t n = b->n;
        if (i) us_buf_adds(b, "\xC3\x97");
        us_dim_print(&v->typed->syms, t->dims[i], b);
        if (b->n - n <= DIM_MAX && !(b->n > n && memchr(b->p + n, '?', b->n - n))) continue;
        b->n = n; /* a long formula or a made-up name: no help in a picture */
        us_buf_adds(b, i ? "\xC3\x97?" : "?");
    }
    if (t->rank == 1) us_buf_addc(b, ']');
}

void us_view_tensor(const us_tensor *t, size_t max, us_buf *b)
{
    int64_t n = us_tensor_count(t);
    const us_dtype_info *d = us_dtype_get(t->dtype);
    char text[32];
    if (t->rank > 0) us_buf_addc(b, '[');
    for (int64_t i = 0; i < n; i++) {
        if (i) us_buf_adds(b, ", ");
        if ((uint64_t)i >= max) {
            us_buf_adds(b, "\xE2\x80\xA6");
            break;
        }
        if (t->dtype == US_STRING)
            add_string(b, us_tensor_str_at(t, i));
        else if (d->cls == US_DC_FLOAT)
            us_buf_add(b, text, us_print_f32((float)us_tensor_f64_at(t, i), text));
        else if (d->cls == US_DC_BOOL)
            us_buf_adds(b, us_tensor_i64_at(t, i) ? "true" : "false");
        else if (t->dtype == US_I64 && us_tensor_i64_at(t, i) == INT64_MAX)
            us_buf_adds(b, "max"); /* the end, to Slice */
        else if (d->cls == US_DC_INT || d->cls == US_DC_UINT)
            us_buf_addf(b, "%lld", (long long)us_tensor_i64_at(t, i));
        else
            us_buf_addc(b, '?');
    }
    if (t->rank > 0) us_buf_addc(b, ']');
}

static void element(const us_view *v, const us_attr *a, size_t i, size_t max, us_buf *b)
{
    char text[32];
    if (a->kind == US_AT_INTS) us_buf_addf(b, "%lld", (long long)a->ints[i]);
    if (a->kind == US_AT_FLOATS) us_buf_add(b, text, us_print_f32(a->floats[i], text));
    if (a->kind == US_AT_STRINGS) add_string(b, a->strs[i]);
    if (a->kind == US_AT_GRAPHS) us_buf_adds(b, "graph");
    if (a->kind == US_AT_TYPE || a->kind == US_AT_TYPES)
        us_type_print(&v->typed->syms, &a->types[i], b);
    if (a->kind != US_AT_TENSOR && a->kind != US_AT_TENSORS) return;
    const us_tensor *t = &a->tensors[i];
    char dims[160];
    us_buf_adds(b, us_dtype_get(t->dtype)->name);
    us_buf_adds(b, us_dims_print(t->rank, t->dims, dims, sizeof dims));
    if (!t->data || max < 2) return;
    us_buf_addc(b, ' ');
    us_view_tensor(t, max, b);
}

void us_view_attr(const us_view *v, const us_attr *a, size_t max, us_buf *b)
{
    char text[32];
    if (a->ref.n) {
        us_buf_adds(b, "$");
        add_string(b, a->ref);
    } else if (a->kind == US_AT_INT) {
        us_buf_addf(b, "%lld", (long long)a->i);
    } else if (a->kind == US_AT_FLOAT) {
        us_buf_add(b, text, us_print_f32(a->f, text));
    } else if (a->kind == US_AT_STRING) {
        add_string(b, a->s);
    } else if (a->kind == US_AT_GRAPH) {
        us_buf_adds(b, "graph");
    } else if (a->kind == US_AT_TENSOR || a->kind == US_AT_TYPE) {
        if (a->n) element(v, a, 0, max, b);
    } else if (a->raw.n) {
        us_buf_addf(b, "%zu bytes", a->raw.n);
    } else {
        us_buf_addc(b, '[');
        for (size_t i = 0; i < a->n; i++) {
            if (i) us_buf_adds(b, ", ");
            if (i >= max) {
                us_buf_addf(b, "\xE2\x80\xA6 %zu in all", a->n);
                break;
            }
            element(v, a, i, 1, b);
        }
        us_buf_addc(b, ']');
    }
}

void us_view_fail(us_buf *b, us_buf *part)
{
    us_err e = us_buf_check(part);
    if (e != US_OK && b->err == US_OK) b->err = e;
    us_buf_deinit(part);
}
