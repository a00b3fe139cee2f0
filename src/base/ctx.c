/* base/ctx.c - contexts and the reporting of failures. */
#include "base/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static us_log_level level_from_env(void)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "none"};
    const char *z = us_env("USTA_LOG");
    for (int i = 0; z && i <= US_LOG_NONE; i++)
        if (!strcmp(z, names[i])) return (us_log_level)i;
    return US_LOG_WARN;
}

void us_ctx_init(us_ctx *c)
{
    memset(c, 0, sizeof *c);
    c->alloc = us_alloc_heap();
    c->log.level = level_from_env();
    const char *trace = us_env("USTA_TRACE");
    if (trace && us_log_trace_parse(c, trace) != US_OK) {
        us_logf(c, US_LOG_WARN, "USTA_TRACE: %s", c->diag.text);
        c->diag = (us_diag){0};
    }
}

void us_ctx_deinit(us_ctx *c)
{
    memset(c, 0, sizeof *c);
}

us_err us_ctx_poll(us_ctx *c)
{
    if (c->cancelled && c->cancelled(c->cancel_ud))
        return us_fail(c, US_CANCELLED, "stopped on request");
    return US_OK;
}

us_err us_fail_at(us_ctx *c, us_err code, const char *file, int line, const char *fmt, ...)
{
    char text[sizeof c->diag.text]; /* apart: an argument may be the former text */
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(c->diag.text, text, strlen(text) + 1);
    c->diag.code = code;
    c->diag.file = file;
    c->diag.line = line;
    us_trace(c, BASE, 1, "%s at %s:%d: %s", us_err_name(code), file, line, text);
    return code;
}

us_err us_wrap(us_ctx *c, us_err code, const char *fmt, ...)
{
    char text[sizeof c->diag.text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof text) {
        int room = (int)(sizeof text - (size_t)n) - 3; /* a long tail is cut */
        if (room > 0)
            (void)snprintf(text + n, sizeof text - (size_t)n, ": %.*s", room,
                           c->diag.text[0] ? c->diag.text : us_err_text(code));
    }
    memcpy(c->diag.text, text, strlen(text) + 1);
    c->diag.code = code;
    return code;
}

us_err us_nomem_at(us_ctx *c, const char *file, int line)
{
    return us_fail_at(c, US_NOMEM, file, line, "out of memory");
}

typedef struct err_row {
    us_err code;
    const char *name, *text;
} err_row;

static const err_row rows[] = {
#define X(name, value, text) {US_##name, #name, text},
    US_ERR_LIST(X)
#undef X
};

const char *us_err_name(us_err e)
{
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (rows[i].code == e) return rows[i].name;
    return "UNKNOWN";
}

const char *us_err_text(us_err e)
{
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (rows[i].code == e) return rows[i].text;
    return "unknown error";
}

#ifndef NDEBUG
void us_assert_failed(const char *expr, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: assertion failed: %s (a bug in usta, please report it)\n",
                  file, line, expr);
    abort();
}
#endif
