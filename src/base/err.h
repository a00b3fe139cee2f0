/* base/err.h - the one way to report a failure.
 *
 * Everything that can fail returns us_err and leaves its results untouched on failure. The code says
 * which kind of failure it is (and so the program's exit status); the detail, one sentence with what
 * was found, what was expected and where, lies in the context's us_diag. Input is never asserted: a
 * file, a request, a flag or a caller's mistake gives an error. US_ASSERT is for our own invariants.
 */
#ifndef USTA_BASE_ERR_H
#define USTA_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are ABI (usta/usta.h mirrors them): append, never reuse. */
#define US_ERR_LIST(X)                                                                         \
    X(OK, 0, "ok")                                                                             \
    X(NOMEM, -1, "out of memory")                                                              \
    X(ARG, -2, "invalid argument")                                                             \
    X(SHAPE, -3, "shapes do not agree")                                                        \
    X(FORMAT, -4, "malformed input")                                                           \
    X(UNSUPP, -5, "not supported here")                                                        \
    X(IO, -6, "input/output failed")                                                           \
    X(LIMIT, -7, "a limit was exceeded")                                                       \
    X(NOTFOUND, -8, "not found")                                                               \
    X(NO, -9, "the answer is no")                                                              \
    X(CANCELLED, -10, "cancelled")                                                             \
    X(BUG, -99, "internal invariant broken")

typedef enum us_err {
#define X(name, value, text) US_##name = value,
    US_ERR_LIST(X)
#undef X
} us_err;

#if defined(__GNUC__)
#    define US_MUST             __attribute__((warn_unused_result))
#    define US_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#else
#    define US_MUST
#    define US_PRINTF(fmt, arg)
#endif

/* The detail of the last failure: filled by us_fail, read by whoever reports it. */
typedef struct us_diag {
    us_err code;
    const char *file; /* source file and line of the us_fail that spoke */
    int line;
    char text[4096]; /* room to list what a model lacks; most details are a line */
} us_diag;

struct us_ctx;

/* us_fail(ctx, US_SHAPE, "Conv '%s': input has %lld channels, weight expects %lld", ...) returns the
 * code, so that `return us_fail(...)` is the usual form. A later us_fail overwrites an earlier one.
 * us_wrap puts words in front of the detail already there ("model.onnx: ..."); returns `code`. */
#define us_fail(ctx, code, ...) us_fail_at((ctx), (code), __FILE__, __LINE__, __VA_ARGS__)
us_err us_fail_at(struct us_ctx *c, us_err code, const char *file, int line, const char *fmt,
                  ...) US_PRINTF(5, 6);
us_err us_wrap(struct us_ctx *c, us_err code, const char *fmt, ...) US_PRINTF(3, 4);

/* Standard words for the two failures that occur everywhere. */
us_err us_nomem_at(struct us_ctx *c, const char *file, int line);
#define us_nomem(ctx) us_nomem_at((ctx), __FILE__, __LINE__)

const char *us_err_name(us_err e); /* "SHAPE" */
const char *us_err_text(us_err e); /* "shapes do not agree" */

#define US_TRY(expr)                                                                           \
    do {                                                                                       \
        us_err e_ = (expr);                                                                    \
        if (e_ != US_OK) return e_;                                                            \
    } while (0)

/* For functions that hold resources: `if ((e = f()) != US_OK) goto out;` in one word. */
#define US_GO(expr)                                                                            \
    do {                                                                                       \
        if ((e = (expr)) != US_OK) goto out;                                                   \
    } while (0)

/* Own invariants only; on in debug and test builds. */
#ifdef NDEBUG
#    define US_ASSERT(x) ((void)0)
#else
void us_assert_failed(const char *expr, const char *file, int line);
#    define US_ASSERT(x) ((x) ? (void)0 : us_assert_failed(#    x, __FILE__, __LINE__))
#endif

#define US_LEN(a)    (sizeof(a) / sizeof((a)[0]))
#define US_MIN(a, b) ((a) < (b) ? (a) : (b))
#define US_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
