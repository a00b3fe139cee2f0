/* report/report.c - numbers, widths and the terminal. */
#include "report/report.h"

#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "report/width.h"

const char *us_print_duration(int64_t ns, char out[32])
{
    double s = (double)ns / 1e9;
    if (ns < 0)
        snprintf(out, 32, "-");
    else if (ns < 1000000)
        snprintf(out, 32, "%.0f us", (double)ns / 1e3);
    else if (ns < 1000000000)
        snprintf(out, 32, "%.*f ms", ns < 10000000 ? 1 : 0, (double)ns / 1e6);
    else if (s < 120)
        snprintf(out, 32, "%.*f s", s < 10 ? 2 : 1, s);
    else if (s < 7200)
        snprintf(out, 32, "%d min %02d s", (int)(s / 60), (int)fmod(s, 60));
    else
        snprintf(out, 32, "%lld h %02d min", (long long)(s / 3600), (int)fmod(s / 60, 60));
    return out;
}

const char *us_print_count(int64_t n, char out[32])
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), k = 0;
    int first = digits[0] == '-';
    for (int i = 0; i < len && k < 30; i++) {
        if (i > first && (len - i) % 3 == 0) out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = 0;
    return out;
}

const char *us_print_sig(double v, int digits, char out[32])
{
    double m = fabs(v);
    if (isnan(v))
        snprintf(out, 32, "-");
    else if (isinf(v))
        snprintf(out, 32, v < 0 ? "-inf" : "inf");
    else if (m != 0 && (m < 1e-4 || m >= 1e9))
        snprintf(out, 32, "%.*e", US_MIN(digits - 1, 15), v);
    else {
        int before = m >= 1 ? (int)floor(log10(m)) + 1 : m > 0 ? (int)floor(log10(m)) + 1 : 1;
        snprintf(out, 32, "%.*f", US_MIN(US_MAX(digits - before, 0), 15), v);
    }
    return out;
}

/* Decode one UTF-8 character; bytes that are none count one. */
static size_t next_char(us_sv s, size_t i, uint32_t *ch)
{
    unsigned char b = (unsigned char)s.p[i];
    size_t n = b >= 0xF0 ? 4 : b >= 0xE0 ? 3 : b >= 0xC0 ? 2 : 1;
    if (i + n > s.n) n = 1;
    uint32_t v = n == 1 ? b : b & (0xFFu >> (n + 1));
    for (size_t k = 1; k < n; k++)
        v = (v << 6) | ((unsigned char)s.p[i + k] & 0x3F);
    *ch = v;
    return n;
}

/* Columns of one character: combining marks 0, East Asian wide and emoji 2. The ranges are the common ones of Unicode's
 * EastAsianWidth (W, F) and general category Mn; exact tables would be larger than the rest of this file. */
static int char_width(uint32_t ch)
{
    static const struct {
        uint32_t lo, hi;
        int width;
    } ranges[] = {{0x0300, 0x036F, 0},   {0x200B, 0x200F, 0},   {0x20D0, 0x20FF, 0},
                  {0xFE00, 0xFE0F, 0},   {0x1100, 0x115F, 2},   {0x2E80, 0x303E, 2},
                  {0x3041, 0xA4CF, 2},   {0xAC00, 0xD7A3, 2},   {0xF900, 0xFAFF, 2},
                  {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2},
                  {0x1F300, 0x1F64F, 2}, {0x1F900, 0x1F9FF, 2}, {0x20000, 0x3FFFD, 2}};
    for (size_t i = 0; i < US_LEN(ranges); i++)
        if (ch >= ranges[i].lo && ch <= ranges[i].hi) return ranges[i].width;
    return 1;
}

int us_text_width(us_sv s)
{
    int w = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t ch = 0;
        i += next_char(s, i, &ch);
        w += char_width(ch);
    }
    return w;
}

size_t us_text_cut(us_sv s, int width)
{
    int w = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t ch = 0;
        size_t n = next_char(s, i, &ch);
        w += char_width(ch);
        if (w > width) return i;
        i += n;
    }
    return s.n;
}

bool us_tty(int fd)
{
    return isatty(fd) == 1;
}

int us_tty_width(int fd)
{
    struct winsize ws;
    if (ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0) return ws.ws_col;
    return 80;
}
