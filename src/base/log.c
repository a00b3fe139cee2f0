/* base/log.c - log lines and traces, one write per line so that threads do not mix them. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ctx.h"
#include "base/str.h"

static const char *const trace_names[] = {
#define X(id, name) name,
    US_TRACE_LIST(X)
#undef X
};

/* line[n_words..] is the text without the words of its level. */
static void emit(const us_log *log, us_log_level level, char *line, size_t n_words, size_t cap)
{
    if (log->tell) {
        log->tell(log->ud, level, line + n_words);
        return;
    }
    if (log->sink) {
        log->sink(log->ud, line);
        return;
    }
    size_t n = strnlen(line, cap - 1);
    line[n] = '\n';
    ssize_t w = write(STDERR_FILENO, line, n + 1);
    (void)w; /* nowhere to report a failing stderr */
}

void us_logf(us_ctx *c, us_log_level level, const char *fmt, ...)
{
    static const char *const words[] = {"debug: ", "", "warning: ", "error: ", ""};
    if (level < c->log.level || level >= US_LOG_NONE) return;
    char line[1024];
    int n = snprintf(line, sizeof line, "usta: %s", words[level]);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    emit(&c->log, level, line, (size_t)n, sizeof line);
}

void us_tracef_at(us_ctx *c, us_trace_cat cat, const char *file, int line_no, const char *fmt,
                  ...)
{
    char line[1024];
    double ms = (double)us_now_ns() / 1e6;
    const char *slash = strrchr(file, '/');
    int n = snprintf(line, sizeof line, "%.3f %s:%d %s: ", ms, slash ? slash + 1 : file,
                     line_no, trace_names[cat]);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    emit(&c->log, US_LOG_DEBUG, line, 0, sizeof line);
}

static us_err unknown_category(us_ctx *c, us_sv word)
{
    char known[256];
    size_t n = 0;
    for (size_t i = 0; i < US_TRACE_N && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, " %s", trace_names[i]);
    return us_fail(c, US_ARG, "unknown trace category '" US_SV_FMT "'; known: all%s",
                   US_SV_ARG(word), known);
}

static us_err trace_word(us_ctx *c, us_sv word, uint8_t *trace)
{
    int64_t level = 1;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] != ':') continue;
        us_sv digits = {word.p + i + 1, word.n - i - 1};
        if (!us_parse_i64(digits, &level) || level < 0 || level > 9)
            return us_fail(c, US_ARG, "trace level '" US_SV_FMT "': expected 0 to 9",
                           US_SV_ARG(digits));
        word.n = i;
    }
    bool any = false;
    for (size_t i = 0; i < US_TRACE_N; i++) {
        if (!us_sv_is(word, trace_names[i]) && !us_sv_is(word, "all")) continue;
        trace[i] = (uint8_t)level;
        any = true;
    }
    return any ? US_OK : unknown_category(c, word);
}

us_err us_log_trace_parse(us_ctx *c, const char *spec)
{
    uint8_t trace[US_TRACE_N];
    memcpy(trace, c->log.trace, sizeof trace);
    while (*spec) {
        size_t n = strcspn(spec, ",");
        us_sv word = us_sv_trim((us_sv){spec, n});
        if (word.n) US_TRY(trace_word(c, word, trace));
        spec += n + (spec[n] == ',');
    }
    memcpy(c->log.trace, trace, sizeof trace);
    return US_OK;
}
