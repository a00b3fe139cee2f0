/* base/log.h - messages for people (levels) and for developers (trace categories).
 *
 * Logs go to stderr, never to stdout: stdout belongs to a command's answer. USTA_LOG=debug|info|warn|
 * error sets the level; USTA_TRACE=plan,onnx:2 turns on categories ("all" for every one), printed as
 * `time file:line category: text`.
 */
#ifndef USTA_BASE_LOG_H
#define USTA_BASE_LOG_H

#include "base/err.h"

typedef enum us_log_level {
    US_LOG_DEBUG,
    US_LOG_INFO,
    US_LOG_WARN,
    US_LOG_ERROR,
    US_LOG_NONE
} us_log_level;

#define US_TRACE_LIST(X)                                                                       \
    X(BASE, "base")                                                                            \
    X(ONNX, "onnx")                                                                            \
    X(IR, "ir")                                                                                \
    X(PASS, "pass")                                                                            \
    X(PLAN, "plan")                                                                            \
    X(EXEC, "exec")                                                                            \
    X(DATA, "data")                                                                            \
    X(TRAIN, "train")                                                                          \
    X(STORE, "store")                                                                          \
    X(FLOW, "flow")                                                                            \
    X(SERVE, "serve")                                                                          \
    X(MONITOR, "monitor")

typedef enum us_trace_cat {
#define X(id, name) US_TRACE_##id,
    US_TRACE_LIST(X)
#undef X
        US_TRACE_N
} us_trace_cat;

typedef struct us_log {
    us_log_level level;
    uint8_t trace[US_TRACE_N]; /* 0 off, 1, 2, ... */
    /* where lines go; NULL = stderr. One complete line without the newline. Must be thread-safe. */
    void (*sink)(void *ud, const char *line);
    void *ud;
    /* instead of sink, for whoever wants level and text apart (traces: debug). Must be thread-safe. */
    void (*tell)(void *ud, us_log_level level, const char *text);
} us_log;

void us_logf(struct us_ctx *c, us_log_level level, const char *fmt, ...) US_PRINTF(3, 4);
void us_tracef_at(struct us_ctx *c, us_trace_cat cat, const char *file, int line,
                  const char *fmt, ...) US_PRINTF(5, 6);
#define us_trace(c, cat, lvl, ...)                                                             \
    do {                                                                                       \
        if ((c)->log.trace[US_TRACE_##cat] >= (lvl))                                           \
            us_tracef_at((c), US_TRACE_##cat, __FILE__, __LINE__, __VA_ARGS__);                \
    } while (0)

/* Apply a USTA_TRACE text. US_ARG names the unknown category and lists the known ones. */
us_err us_log_trace_parse(struct us_ctx *c, const char *spec) US_MUST;

#endif
