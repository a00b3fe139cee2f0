/* data/csv_scan.c - fields and records of CSV text, untyped. */
#include "data/csv_scan.h"

#include <string.h>

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t';
}

static const char *after_eol(const char *p, const char *end)
{
    if (p < end && *p == '\r') {
        p++;
        return p < end && *p == '\n' ? p + 1 : p;
    }
    return p < end ? p + 1 : p;
}

size_t us_csv_line_of(const us_csv_scan *s, const char *at)
{
    size_t n = 1;
    for (const char *p = s->begin; p < at; p++)
        n += *p == '\n' || (*p == '\r' && (p + 1 == s->end || p[1] != '\n'));
    return n;
}

static us_err too_long(const us_csv_scan *s, const char *p)
{
    return us_fail(s->c, US_LIMIT, "%s:%zu: a field of more than %zu bytes", s->name,
                   us_csv_line_of(s, p), US_CSV_MAX_FIELD);
}

/* "" -> " */
static us_err undouble(const us_csv_scan *s, const char *p, size_t n, us_sv *out)
{
    char *q = us_arena_alloc(s->arena, n, 1, 1);
    size_t k = 0;
    if (!q) return us_arena_fail(s->c, s->arena);
    for (size_t i = 0; i < n; i++) {
        q[k++] = p[i];
        if (p[i] == '"') i++;
    }
    *out = (us_sv){q, k};
    return US_OK;
}

static us_err quoted(const us_csv_scan *s, const char **pp, us_sv *out, bool *last)
{
    const char *open = *pp, *p = open + 1, *end = s->end;
    bool doubled = false;
    for (;; p += 2) {
        p = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL;
        if (!p)
            return us_fail(s->c, US_FORMAT, "%s:%zu: a quote is opened here and never closed",
                           s->name, us_csv_line_of(s, open));
        if (p + 1 >= end || p[1] != '"') break;
        doubled = true;
    }
    size_t n = (size_t)(p - open - 1);
    if (n > US_CSV_MAX_FIELD) return too_long(s, open);
    us_sv v = {open + 1, n};
    if (doubled) US_TRY(undouble(s, open + 1, n, &v));
    p++;
    while (s->trim && p < end && is_blank(*p) && *p != s->delimiter)
        p++;
    if (p < end && *p != s->delimiter && *p != '\n' && *p != '\r')
        return us_fail(s->c, US_FORMAT,
                       "%s:%zu: '%c' after a closing quote, expected '%c' or a line end; a "
                       "quote inside quotes is written twice",
                       s->name, us_csv_line_of(s, p), *p > 31 && *p < 127 ? *p : '?',
                       s->delimiter);
    *last = p >= end || *p != s->delimiter;
    *pp = *last ? after_eol(p, end) : p + 1;
    *out = v;
    return US_OK;
}

us_err us_csv_field(const us_csv_scan *s, const char **pp, us_sv *out, bool *last)
{
    const char *p = *pp, *end = s->end;
    const char delimiter = s->delimiter;
    if (s->trim)
        while (p < end && is_blank(*p) && *p != delimiter)
            p++;
    if (p < end && *p == '"') {
        *pp = p;
        return quoted(s, pp, out, last);
    }
    const char *q = p;
    while (q < end && *q != delimiter && *q != '\n' && *q != '\r')
        q++;
    *last = q >= end || *q != delimiter;
    *pp = *last ? after_eol(q, end) : q + 1;
    if (s->trim)
        while (q > p && is_blank(q[-1]))
            q--;
    if ((size_t)(q - p) > US_CSV_MAX_FIELD) return too_long(s, p);
    *out = (us_sv){p, (size_t)(q - p)};
    return US_OK;
}

const char *us_csv_skip(const us_csv_scan *s, const char *p)
{
    while (p < s->end) {
        const char *q = p;
        while (s->trim && q < s->end && is_blank(*q) && *q != s->delimiter)
            q++;
        if (q == s->end) return q;
        if (*q == '\n' || *q == '\r') {
            p = after_eol(q, s->end);
        } else if (s->comment && *p == s->comment) {
            while (p < s->end && *p != '\n' && *p != '\r')
                p++;
            p = after_eol(p, s->end);
        } else {
            return p;
        }
    }
    return p;
}

us_err us_csv_count(const us_csv_scan *s, const char *p, size_t *n, const char **next)
{
    size_t k = 0;
    for (bool last = false; !last; k++) {
        us_sv v;
        US_TRY(us_csv_field(s, &p, &v, &last));
    }
    *n = k;
    *next = p;
    return US_OK;
}

char us_csv_guess_delimiter(const char *p, const char *end)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    size_t n[sizeof candidates] = {0}, best = 0;
    bool in = false;
    for (; p < end && (in || (*p != '\n' && *p != '\r')); p++) {
        if (*p == '"') in = !in;
        for (size_t i = 0; i < sizeof candidates && !in; i++)
            n[i] += *p == candidates[i];
    }
    for (size_t i = 1; i < sizeof candidates; i++)
        if (n[i] > n[best]) best = i;
    return candidates[best];
}

/* --- the record walk -------------------------------------------------------------------------------- */

static us_csv_scan scan_of(const us_csv_walk *w)
{
    return (us_csv_scan){.c = w->c,
                         .arena = w->arena,
                         .name = w->name,
                         .begin = w->begin,
                         .end = w->end,
                         .delimiter = w->delimiter,
                         .comment = w->comment,
                         .trim = w->trim};
}

us_err us_csv_walk_init(us_ctx *c, us_arena *a, const char *name, us_sv text,
                        const us_csv_opts *opts, us_csv_walk *w)
{
    us_csv_opts none = {0};
    const us_csv_opts *o = opts ? opts : &none;
    if (text.n && memchr(text.p, 0, text.n))
        return us_fail(c, US_FORMAT,
                       "%s: a zero byte; this is not CSV text (UTF-16 or binary?)", name);
    if (us_sv_starts(text, "\xEF\xBB\xBF")) {
        text.p += 3;
        text.n -= 3;
    }
    us_csv_walk r = {.c = c,
                     .arena = a,
                     .name = name,
                     .begin = text.p,
                     .p = text.p,
                     .end = text.p + text.n,
                     .record = text.p,
                     .delimiter = o->delimiter,
                     .comment = o->comment,
                     .trim = o->trim};
    if (!r.delimiter) {
        us_csv_scan s = scan_of(&r);
        r.delimiter = us_csv_guess_delimiter(us_csv_skip(&s, r.p), r.end);
    }
    *w = r;
    return US_OK;
}

us_err us_csv_walk_next(us_csv_walk *w, bool *more)
{
    us_csv_scan s = scan_of(w);
    const char *p = us_csv_skip(&s, w->p);
    w->fields.n = 0;
    w->record = p;
    *more = p < w->end;
    for (bool last = p >= w->end; !last;) {
        us_sv v = {0};
        US_TRY(us_csv_field(&s, &p, &v, &last));
        if (w->fields.n >= US_CSV_MAX_COLS)
            return us_fail(w->c, US_LIMIT, "%s:%zu: more than %zu fields", w->name,
                           us_csv_line_of(&s, w->record), US_CSV_MAX_COLS);
        US_TRY(us_vec_push(w->c, w->arena, &w->fields, v));
    }
    w->p = p;
    return US_OK;
}

size_t us_csv_line(const us_csv_walk *w)
{
    us_csv_scan s = scan_of(w);
    return us_csv_line_of(&s, w->record);
}

void us_csv_print_field(us_buf *b, us_sv s, char delimiter)
{
    bool plain = s.n > 0 && !is_blank(s.p[0]) && !is_blank(s.p[s.n - 1]);
    for (size_t i = 0; i < s.n && plain; i++)
        plain = s.p[i] != delimiter && s.p[i] != '"' && s.p[i] != '\n' && s.p[i] != '\r';
    if (plain || s.n == 0) {
        us_buf_addsv(b, s);
        return;
    }
    us_buf_addc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') us_buf_addc(b, '"');
        us_buf_addc(b, s.p[i]);
    }
    us_buf_addc(b, '"');
}
