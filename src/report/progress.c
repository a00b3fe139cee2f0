/* report/progress.c - the bar on stderr. Only when a person watches (a terminal) and only once it is worth it (a second). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "report/report.h"

#define SHOW_AFTER_NS 1000000000u
#define REDRAW_NS     100000000u
#define BAR           24

static void put(const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(STDERR_FILENO, p, n);
        if (k <= 0) return;
        p += k;
        n -= (size_t)k;
    }
}

void us_progress_start(us_progress *p, const char *what, uint64_t total)
{
    memset(p, 0, sizeof *p);
    p->what = what;
    p->total = total;
    p->start_ns = us_now_ns();
    p->tty = us_tty(STDERR_FILENO);
}

static void draw(us_progress *p, uint64_t now)
{
    char line[256], bar[BAR * 3 + 1], left[32] = "";
    size_t n_bar = 0;
    double share = p->total ? US_MIN((double)p->done / (double)p->total, 1.0) : 0;
    for (int i = 0; i < BAR; i++) {
        const char *cell =
            (double)i < share * BAR ? "\xE2\x96\x88" : "\xE2\x96\x91"; /* full, light */
        memcpy(bar + n_bar, cell, 3);
        n_bar += 3;
    }
    bar[n_bar] = 0;
    if (share > 0)
        us_print_duration((int64_t)((double)(now - p->start_ns) * (1 / share - 1)), left);
    int n = p->total ? snprintf(line, sizeof line, "\r\033[K%s %s %3.0f %% %s%s%s", p->what,
                                bar, share * 100, left, left[0] ? " left  " : "", p->note)
                     : snprintf(line, sizeof line, "\r\033[K%s %llu %s", p->what,
                                (unsigned long long)p->done, p->note);
    if (n > 0) put(line, US_MIN((size_t)n, sizeof line - 1));
    p->shown = true;
    p->last_ns = now;
}

void us_progress_set(us_progress *p, uint64_t done, const char *note)
{
    p->done = done;
    if (!p->tty) return;
    if (note) snprintf(p->note, sizeof p->note, "%s", note);
    uint64_t now = us_now_ns();
    if (now - p->start_ns < SHOW_AFTER_NS || now - p->last_ns < REDRAW_NS) return;
    draw(p, now);
}

void us_progress_end(us_progress *p)
{
    if (p->shown) put("\r\033[K", 4);
    p->shown = false;
}
