/* ir/text_scan.c - tokens of the text form, contents of tensors. */
#include "ir/text_scan.h"

#include <string.h>

#include "base/ctx.h"

us_err us_scan_fail(us_scan *s, const char *what)
{
    size_t line = 1, col = 1;
    for (const char *p = s->begin; p < s->p; p++) {
        col = *p == '\n' ? 1 : col + 1;
        line += *p == '\n';
    }
    return us_fail(s->c, US_FORMAT, "line %zu, column %zu: %s", line, col, what);
}

void us_scan_space(us_scan *s)
{
    while (s->p < s->end) {
        char ch = *s->p;
        if (ch == '#')
            while (s->p < s->end && *s->p != '\n')
                s->p++;
        else if (ch == ' ' || ch == '\n' || ch == '\t' || ch == '\r')
            s->p++;
        else
            return;
    }
}

bool us_scan_at(const us_scan *s, char ch)
{
    return s->p < s->end && *s->p == ch;
}

bool us_scan_take(us_scan *s, char ch)
{
    us_scan_space(s);
    if (!us_scan_at(s, ch)) return false;
    s->p++;
    return true;
}

us_err us_scan_expect(us_scan *s, char ch)
{
    char text[] = "expected ' '";
    if (us_scan_take(s, ch)) return US_OK;
    text[sizeof text - 3] = ch;
    return us_scan_fail(s, text);
}

us_sv us_scan_token(us_scan *s)
{
    us_scan_space(s);
    const char *from = s->p;
    while (s->p < s->end && (us_text_word_char(*s->p) || *s->p == '+'))
        s->p++;
    return (us_sv){from, (size_t)(s->p - from)};
}

bool us_scan_word(us_scan *s, const char *word)
{
    us_scan_space(s);
    const char *was = s->p;
    if (us_sv_is(us_scan_token(s), word)) return true;
    s->p = was;
    return false;
}

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9') return ch - '0';
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* One character of quoted text; the closing quote is not one. */
static us_err quoted_char(us_scan *s, char *out)
{
    char ch = *s->p++;
    if (ch == '\\') {
        if (s->end - s->p >= 3 && s->p[0] == 'x' && hex_digit(s->p[1]) >= 0 &&
            hex_digit(s->p[2]) >= 0) {
            ch = (char)(hex_digit(s->p[1]) * 16 + hex_digit(s->p[2]));
            s->p += 3;
        } else if (us_scan_at(s, '"') || us_scan_at(s, '\\')) {
            ch = *s->p++;
        } else {
            return us_scan_fail(s, "expected \\\", \\\\ or \\x and two hex digits");
        }
    }
    *out = ch;
    return US_OK;
}

static us_err quoted(us_scan *s, us_sv *out)
{
    const char *close = s->p;
    while (close < s->end && *close != '"')
        close += *close == '\\' && close + 1 < s->end ? 2 : 1;
    if (close >= s->end) return us_scan_fail(s, "a quote is not closed");
    char *z = us_new_n(s->m->arena, char, (size_t)(close - s->p) + 1);
    if (!z) return us_arena_fail(s->c, s->m->arena);
    size_t n = 0;
    while (s->p < close)
        US_TRY(quoted_char(s, &z[n++]));
    s->p = close + 1;
    *out = (us_sv){z, n};
    return US_OK;
}

us_err us_scan_name(us_scan *s, us_sv *out, bool *was_quoted)
{
    us_scan_space(s);
    bool q = us_scan_at(s, '"');
    if (was_quoted) *was_quoted = q;
    if (q) {
        s->p++;
        return quoted(s, out);
    }
    const char *from = s->p;
    while (s->p < s->end && us_text_word_char(*s->p))
        s->p++;
    if (s->p == from) return us_scan_fail(s, "expected a name");
    *out = (us_sv){from, (size_t)(s->p - from)};
    return US_OK;
}

us_err us_scan_int(us_scan *s, int64_t *out)
{
    us_scan_space(s);
    const char *was = s->p;
    if (us_parse_i64(us_scan_token(s), out)) return US_OK;
    s->p = was;
    return us_scan_fail(s, "expected an integer");
}

us_err us_scan_type(us_scan *s, us_type *out)
{
    us_scan_space(s);
    us_sv rest = {s->p, (size_t)(s->end - s->p)};
    us_err e = us_type_scan(s->c, &s->m->syms, s->m->arena, &rest, out);
    if (e == US_FORMAT) return us_scan_fail(s, "this is no type");
    US_TRY(e);
    s->p = rest.p;
    return US_OK;
}

us_err us_scan_hex(us_scan *s, us_sv *out)
{
    us_scan_space(s);
    if (s->end - s->p < 4 || memcmp(s->p, "hex\"", 4) != 0)
        return us_scan_fail(s, "expected hex\"...\"");
    s->p += 4;
    const char *from = s->p;
    while (s->p < s->end && hex_digit(*s->p) >= 0)
        s->p++;
    size_t n = (size_t)(s->p - from);
    if (n % 2 || !us_scan_at(s, '"'))
        return us_scan_fail(s, "expected pairs of hex digits and '\"'");
    s->p++;
    char *z = us_arena_alloc(s->m->arena, n / 2, 1, 64);
    if (!z) return us_arena_fail(s->c, s->m->arena);
    for (size_t i = 0; i < n / 2; i++)
        z[i] = (char)(hex_digit(from[2 * i]) * 16 + hex_digit(from[2 * i + 1]));
    *out = (us_sv){z, n / 2};
    return US_OK;
}

/* --- contents ---------------------------------------------------------------------------------------------------- */

static us_err element(us_scan *s, us_tensor *t, int64_t i)
{
    const us_dtype_info *info = us_dtype_get(t->dtype);
    if (t->dtype == US_STRING) {
        us_scan_space(s);
        if (!us_scan_at(s, '"')) return us_scan_fail(s, "expected a quoted string");
        return us_scan_name(s, &((us_sv *)t->data)[i], NULL);
    }
    us_scan_space(s);
    const char *was = s->p;
    us_sv token = us_scan_token(s);
    char *at = (char *)t->data + (size_t)i * (info->bits / 8);
    double d;
    int64_t n;
    uint64_t u;
    if (info->cls == US_DC_FLOAT && us_parse_f64(token, &d)) {
        info->from_f64(at, 0, 1, &d);
    } else if (t->dtype == US_U64 && us_parse_u64(token, &u)) {
        memcpy(at, &u, sizeof u);
    } else if (info->cls != US_DC_FLOAT && info->from_i64 && us_parse_i64(token, &n)) {
        info->from_i64(at, 0, 1, &n);
    } else {
        s->p = was;
        return us_scan_fail(s, "expected a number of the tensor's type");
    }
    return US_OK;
}

us_err us_scan_contents(us_scan *s, us_tensor *t)
{
    int64_t n = us_tensor_count(t);
    size_t bytes = us_tensor_bytes(t);
    const us_dtype_info *info = us_dtype_get(t->dtype);
    US_TRY(us_scan_expect(s, '{'));
    us_scan_space(s);
    if (us_scan_at(s, '.')) return us_scan_fail(s, "the contents were cut when printed");
    if (us_scan_at(s, 'h')) {
        us_sv raw;
        US_TRY(us_scan_hex(s, &raw));
        if (t->dtype == US_STRING || raw.n != bytes)
            return us_scan_fail(s, "another number of bytes than the shape says");
        memcpy(&t->data, &raw.p, sizeof raw.p);
        return us_scan_expect(s, '}');
    }
    /* An element takes two characters at least, so a shape cannot ask for more than the text can give. */
    if (n > (s->end - s->p) / 2 + 1)
        return us_scan_fail(s, "fewer elements than the shape says");
    if (n > 0 && info->bits < 8) return us_scan_fail(s, "packed types are written as hex");
    t->data = us_arena_alloc(s->m->arena, bytes, 1, 64);
    if (!t->data) return us_arena_fail(s->c, s->m->arena);
    for (int64_t i = 0; i < n; i++) {
        if (i) US_TRY(us_scan_expect(s, ','));
        US_TRY(element(s, t, i));
    }
    return us_scan_expect(s, '}');
}
