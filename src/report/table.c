/* report/table.c - aligned tables: cells are collected, widths measured in terminal columns, then printed. */
#include <stdio.h>
#include <string.h>

#include "report/report.h"
#include "report/width.h"

#define MAX_COLUMNS 64
#define GAP         2 /* blanks between columns */
#define NARROWEST   8 /* a column is not cut below this */

typedef struct cell {
    us_sv text;
    us_tone tone;
    bool rule; /* a line before this row (first cell of a row) */
} cell;

struct us_rtable {
    us_ctx *c;
    us_arena *a;
    const char *title;
    size_t n_columns;
    us_sv name[MAX_COLUMNS];
    us_align align[MAX_COLUMNS];
    US_VEC(cell) cells;
    bool rule_next;
    us_err err;
};

us_err us_rtable_new(us_ctx *c, us_arena *a, const char *title, const char *columns,
                     us_rtable **out)
{
    us_rtable *t = us_new(a, us_rtable);
    if (!t) return us_arena_fail(c, a);
    t->c = c;
    t->a = a;
    t->title = title;
    us_sv all = {0};
    US_TRY(us_sv_dup(c, a, us_sv_of(columns), &all));
    for (size_t i = 0, start = 0; i <= all.n && t->n_columns < MAX_COLUMNS; i++) {
        if (i < all.n && all.p[i] != '|') continue;
        us_sv one = {all.p + start, i - start};
        bool right = one.n && one.p[0] == '>';
        t->align[t->n_columns] = right ? US_RIGHT : US_LEFT;
        t->name[t->n_columns++] = right ? (us_sv){one.p + 1, one.n - 1} : one;
        start = i + 1;
    }
    *out = t;
    return US_OK;
}

void us_rtable_cellsv(us_rtable *t, us_sv text)
{
    if (t->err != US_OK) return;
    cell x = {.tone = US_PLAIN, .rule = t->rule_next};
    t->rule_next = false;
    t->err = us_sv_dup(t->c, t->a, text, &x.text);
    if (t->err == US_OK) t->err = us_vec_push(t->c, t->a, &t->cells, x);
}

void us_rtable_cell(us_rtable *t, const char *text)
{
    us_rtable_cellsv(t, us_sv_of(text));
}

void us_rtable_cellf(us_rtable *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    us_rtable_cellsv(t, (us_sv){text, n < 0 ? 0 : US_MIN((size_t)n, sizeof text - 1)});
}

void us_rtable_f64(us_rtable *t, double v, int digits)
{
    char text[32];
    us_rtable_cell(t, us_print_sig(v, digits, text));
}

void us_rtable_tone(us_rtable *t, us_tone tone)
{
    if (t->err == US_OK && t->cells.n) t->cells.at[t->cells.n - 1].tone = tone;
}

void us_rtable_rule(us_rtable *t)
{
    t->rule_next = true;
}

size_t us_rtable_rows(const us_rtable *t)
{
    return (t->cells.n + t->n_columns - 1) / t->n_columns;
}

/* Widths that fit: the widest column gives way until the sum does. */
static void measure(const us_rtable *t, int width, int w[MAX_COLUMNS])
{
    for (size_t k = 0; k < t->n_columns; k++)
        w[k] = us_text_width(t->name[k]);
    for (size_t i = 0; i < t->cells.n; i++) {
        int wi = us_text_width(t->cells.at[i].text);
        if (wi > w[i % t->n_columns]) w[i % t->n_columns] = wi;
    }
    if (width <= 0) return;
    for (;;) {
        int sum = GAP * ((int)t->n_columns - 1);
        size_t widest = 0;
        for (size_t k = 0; k < t->n_columns; k++) {
            sum += w[k];
            if (w[k] > w[widest]) widest = k;
        }
        if (sum <= width || w[widest] <= NARROWEST) return;
        w[widest] = US_MAX(w[widest] - (sum - width), US_MAX(NARROWEST, w[widest] / 2));
    }
}

static void blanks(us_buf *b, int n)
{
    while (n-- > 0)
        us_buf_addc(b, ' ');
}

static void print_cell(us_buf *b, us_sv text, int w, us_align align, us_tone tone, bool last,
                       bool colour)
{
    static const char *const tones[] = {"", "\033[32m", "\033[31m", "\033[90m"};
    int wt = us_text_width(text);
    bool cut = wt > w;
    if (cut) {
        text.n = us_text_cut(text, w - 1);
        wt = us_text_width(text) + 1;
    }
    if (align == US_RIGHT) blanks(b, w - wt);
    if (colour) us_buf_adds(b, tones[tone]);
    us_buf_addsv(b, text);
    if (cut) us_buf_adds(b, "\xE2\x80\xA6");
    if (colour && tone != US_PLAIN) us_buf_adds(b, "\033[0m");
    if (align == US_LEFT && !last) blanks(b, w - wt);
}

static void print_rule(us_buf *b, const us_rtable *t, const int w[])
{
    for (size_t k = 0; k < t->n_columns; k++) {
        if (k) blanks(b, GAP);
        for (int i = 0; i < w[k]; i++)
            us_buf_adds(b, "\xE2\x94\x80");
    }
    us_buf_addc(b, '\n');
}

us_err us_rtable_print(us_ctx *c, const us_rtable *t, const us_rtable_opts *opts, us_buf *b)
{
    us_rtable_opts o = opts ? *opts : (us_rtable_opts){false, 0};
    int w[MAX_COLUMNS];
    if (t->err != US_OK) return t->err;
    if (!t->n_columns) return us_fail(c, US_BUG, "a table without columns");
    measure(t, o.width, w);
    if (t->title) us_buf_addf(b, "%s\n", t->title);
    for (size_t k = 0; k < t->n_columns; k++) {
        if (k) blanks(b, GAP);
        print_cell(b, t->name[k], w[k], t->align[k], US_PLAIN, k + 1 == t->n_columns, false);
    }
    us_buf_addc(b, '\n');
    print_rule(b, t, w);
    for (size_t i = 0; i < t->cells.n; i++) {
        size_t k = i % t->n_columns;
        const cell *x = &t->cells.at[i];
        if (!k && x->rule) print_rule(b, t, w);
        if (k) blanks(b, GAP);
        bool last = k + 1 == t->n_columns || i + 1 == t->cells.n;
        print_cell(b, x->text, w[k], t->align[k], x->tone, last, o.colour);
        if (last) us_buf_addc(b, '\n');
    }
    return us_buf_check(b);
}
