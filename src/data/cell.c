/* data/cell.c - see cell.h; and ISO 8601. */
#include "data/cell.h"

#include <string.h>

#include "base/clock.h"

bool us_cell_missing(us_sv s, const us_sv *tokens, size_t n_tokens)
{
    if (s.n == 0) return true;
    for (size_t i = 0; i < n_tokens; i++)
        if (us_sv_eq(s, tokens[i])) return true;
    return false;
}

us_sv us_cell_map(us_sv s, us_sv column, const us_csv_map *maps, size_t n_maps)
{
    for (size_t i = 0; i < n_maps; i++)
        if (us_sv_eq(s, maps[i].from) &&
            (maps[i].column.n == 0 || us_sv_eq(maps[i].column, column)))
            return maps[i].to;
    return s;
}

bool us_cell_number(us_sv s, double *out)
{
    double v;
    s = us_sv_trim(s);
    if (!us_parse_f64(s, &v) || isinf(v)) return false;
    *out = us_cell_canonical(v);
    return true;
}

static bool is_word(us_sv s, const char *z)
{
    size_t n = strlen(z);
    if (s.n != n) return false;
    for (size_t i = 0; i < n; i++) {
        char ch = s.p[i];
        if (ch >= 'A' && ch <= 'Z') ch = (char)(ch + 32);
        if (ch != z[i]) return false;
    }
    return true;
}

bool us_cell_bool(us_sv s, bool *out)
{
    s = us_sv_trim(s);
    bool yes = is_word(s, "true");
    if (!yes && !is_word(s, "false")) return false;
    *out = yes;
    return true;
}

/* --- cells of a schema's column ------------------------------------------------------------------------ */

bool us_data_kind_is_string(us_data_kind k)
{
    return k == US_DK_CATEGORICAL || k == US_DK_TEXT;
}

bool us_cell_text_time(const us_data_col *k, us_sv text, int64_t *out)
{
    double v;
    if (!k->epoch_s) return us_parse_time(text, out);
    if (!us_cell_number(text, &v) || !(fabs(v) < 9e12)) return false;
    *out = (int64_t)llround(v * 1e6);
    return true;
}

bool us_cell_text_number(const us_data_col *k, us_sv text, double *out)
{
    int64_t t;
    bool b;
    *out = (double)NAN;
    if (k->kind == US_DK_TIMESTAMP) {
        if (!us_cell_text_time(k, text, &t)) return false;
        *out = (double)t;
        return true;
    }
    if (k->kind == US_DK_BOOLEAN && us_parse_bool(us_sv_trim(text), &b)) {
        *out = b;
        return true;
    }
    if (!us_cell_number(text, out)) return false;
    return (k->kind != US_DK_BOOLEAN || *out == 0 || *out == 1 || isnan(*out)) &&
           (k->kind != US_DK_INTEGER || *out == floor(*out) || isnan(*out));
}

/* A number column used as categories: every way of writing the number is the same category. */
us_sv us_cell_text_category(const us_data_col *k, us_sv text, us_buf *buf)
{
    int64_t i;
    double v;
    bool b;
    us_buf_clear(buf);
    if (k->storage == US_COL_I64 && us_parse_i64(us_sv_trim(text), &i))
        us_buf_addf(buf, "%lld", (long long)i);
    else if (k->storage == US_COL_BOOL && us_cell_bool(text, &b))
        us_buf_adds(buf, b ? "true" : "false");
    else if ((k->storage == US_COL_F64 || k->storage == US_COL_I64) &&
             us_cell_number(text, &v)) {
        char z[32];
        us_buf_add(buf, z, us_print_f64(v, z));
    } else {
        return text;
    }
    return us_buf_sv(buf);
}

static us_sv column_text(const us_data_schema *s, const us_data_col *k, const us_column *col,
                         size_t i)
{
    us_sv v = us_cell_map(us_col_str(col, i), k->name, s->maps, s->n_maps);
    return us_cell_missing(v, s->missing, s->n_missing) ? (us_sv){0} : v;
}

bool us_cell_column_time(const us_data_schema *s, const us_data_col *k, const us_column *col,
                         size_t i, int64_t *out)
{
    *out = US_TIME_MISSING;
    if (!us_col_valid(col, i)) return true;
    if (col->type == US_COL_TIME) {
        *out = ((const int64_t *)col->data)[i];
        return true;
    }
    if (col->type == US_COL_STR) {
        us_sv v = column_text(s, k, col, i);
        return v.n == 0 || us_cell_text_time(k, v, out);
    }
    double v = us_col_f64(col, i);
    if (!k->epoch_s || col->type == US_COL_BOOL || !(fabs(v) < 9e12)) return isnan(v);
    *out = (int64_t)llround(v * 1e6);
    return true;
}

bool us_cell_column_number(const us_data_schema *s, const us_data_col *k, const us_column *col,
                           size_t i, double *out)
{
    int64_t t;
    *out = (double)NAN;
    if (k->kind == US_DK_TIMESTAMP) {
        if (!us_cell_column_time(s, k, col, i, &t)) return false;
        if (t != US_TIME_MISSING) *out = (double)t;
        return true;
    }
    if (!us_col_valid(col, i)) return true;
    if (col->type == US_COL_STR) {
        us_sv v = column_text(s, k, col, i);
        return v.n == 0 || us_cell_text_number(k, v, out);
    }
    if (col->type == US_COL_TIME) return false;
    double v = us_cell_canonical(us_col_f64(col, i));
    if (k->kind == US_DK_BOOLEAN && v != 0 && v != 1) return isnan(v);
    if (k->kind == US_DK_INTEGER && v != floor(v)) return isnan(v);
    *out = v;
    return !isinf(v);
}

us_sv us_cell_column_text(const us_data_schema *s, const us_data_col *k, const us_column *col,
                          size_t i, us_buf *buf)
{
    if (!us_col_valid(col, i)) return (us_sv){0};
    if (col->type == US_COL_STR) {
        us_sv v = column_text(s, k, col, i);
        return v.n ? us_cell_text_category(k, v, buf) : v;
    }
    us_buf_clear(buf);
    if (col->type == US_COL_F64) {
        char z[32];
        us_buf_add(buf, z, us_print_f64(us_cell_canonical(us_col_f64(col, i)), z));
    } else {
        us_col_print(col, i, buf);
    }
    return us_buf_sv(buf);
}

/* --- ISO 8601 --------------------------------------------------------------------------------------- */

/* Exactly n digits at *p. */
static bool digits(const char **p, const char *end, int n, int *out)
{
    int v = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (*p >= end || **p < '0' || **p > '9') return false;
        v = v * 10 + (**p - '0');
    }
    *out = v;
    return true;
}

static bool eat(const char **p, const char *end, char ch)
{
    if (*p >= end || **p != ch) return false;
    (*p)++;
    return true;
}

/* .123456789: microseconds, further digits are cut */
static bool fraction(const char **p, const char *end, int *us)
{
    int v = 0, n = 0;
    if (!eat(p, end, '.') && !eat(p, end, ',')) return true;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, n++)
        if (n < 6) v = v * 10 + (**p - '0');
    for (int i = n; i < 6; i++)
        v *= 10;
    *us = v;
    return n > 0;
}

static bool zone(const char **p, const char *end, int64_t *offset_us)
{
    int h, m = 0;
    if (eat(p, end, 'Z') || eat(p, end, 'z') || *p == end) return true;
    bool minus = **p == '-';
    if (!minus && **p != '+') return false;
    (*p)++;
    if (!digits(p, end, 2, &h)) return false;
    (void)eat(p, end, ':');
    if (*p < end && !digits(p, end, 2, &m)) return false;
    if (h > 23 || m > 59) return false;
    *offset_us = (int64_t)(h * 60 + m) * 60000000 * (minus ? -1 : 1);
    return true;
}

static bool month_has(int y, int m, int d)
{
    static const int n[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m >= 1 && m <= 12 && d >= 1 && d <= n[m - 1] + (m == 2 && leap);
}

bool us_parse_time(us_sv s, int64_t *out_us)
{
    int y, mo, d, h = 0, mi = 0, sec = 0, us = 0;
    int64_t offset = 0;
    s = us_sv_trim(s);
    const char *p = s.p, *end = s.p + s.n;
    if (s.n < 10 || !digits(&p, end, 4, &y) || !eat(&p, end, '-') || !digits(&p, end, 2, &mo) ||
        !eat(&p, end, '-') || !digits(&p, end, 2, &d) || !month_has(y, mo, d))
        return false;
    if (p < end) {
        if (!eat(&p, end, 'T') && !eat(&p, end, 't') && !eat(&p, end, ' ')) return false;
        if (!digits(&p, end, 2, &h) || !eat(&p, end, ':') || !digits(&p, end, 2, &mi))
            return false;
        if (eat(&p, end, ':') && (!digits(&p, end, 2, &sec) || !fraction(&p, end, &us)))
            return false;
        if (h > 23 || mi > 59 || sec > 60 || !zone(&p, end, &offset)) return false;
    }
    if (p != end) return false;
    *out_us = us_civil_to_us(y, mo, d, h, mi, sec, us) - offset;
    return true;
}

/* Two digits, or n, zero-padded. */
static char *put(char *p, int64_t v, int n)
{
    for (int i = n - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + n;
}

const char *us_print_time_iso(int64_t us, char out[40])
{
    int64_t y;
    int mo, d, h, mi, s, micro;
    us_us_to_civil(us, &y, &mo, &d, &h, &mi, &s, &micro);
    char *p = out;
    if (y < 0) {
        *p++ = '-';
        y = -y;
    }
    p = put(p, y, y > 9999 ? 6 : 4);
    *p++ = '-';
    p = put(p, mo, 2);
    *p++ = '-';
    p = put(p, d, 2);
    *p++ = 'T';
    p = put(p, h, 2);
    *p++ = ':';
    p = put(p, mi, 2);
    *p++ = ':';
    p = put(p, s, 2);
    if (micro) {
        *p++ = '.';
        p = put(p, micro, 6);
    }
    *p++ = 'Z';
    *p = 0;
    return out;
}
