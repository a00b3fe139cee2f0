/* us_test.h - the test harness: one header, TAP on stdout, nothing to link.
 *
 *     static void test_buf_append__empty(void) { us_buf b = {0}; ... CHECK_EQ_U64(b.n, 0); }
 *     static const us_test_case cases[] = {US_CASE(test_buf_append__empty), ...};
 *     int main(int argc, char **argv) { return us_test_main(cases, US_LEN(cases), argc, argv); }
 *
 * A test program is its own process. `prog` runs all cases, `prog NAME...` those, `prog --list` prints
 * the names. A CHECK that fails prints both values with file and line and ends its case (longjmp, so
 * helpers may check too); the next case still runs. What a failed case held is leaked on purpose.
 * Why not cmocka: no dependency, values printed on failure, skips with a reason, torture and corpus
 * helpers in the same place; see HACKING.md. Include it in one .c file per program.
 */
#ifndef US_TEST_H
#define US_TEST_H

#include "base/ctx.h"
#include "base/err.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct us_test_case {
    const char *name;
    void (*fn)(void);
} us_test_case;
#define US_CASE(fn)                                                                            \
    {                                                                                          \
#        fn, fn                                                                                \
    }

/* The one piece of state of a test program. */
static struct {
    jmp_buf end;
    const char *skip; /* reason, when the case asked to be skipped */
    char tmp[256];    /* the program's temporary folder, made on first use */
} us_test;

_Noreturn static inline void us_test_end(void)
{
    fflush(stdout);
    longjmp(us_test.end, 1);
}

#define US_TEST_FAIL(...)                                                                      \
    do {                                                                                       \
        printf("# %s:%d: ", __FILE__, __LINE__);                                               \
        printf(__VA_ARGS__);                                                                   \
        printf("\n");                                                                          \
        us_test_end();                                                                         \
    } while (0)

#define US_SKIP(reason)                                                                        \
    do {                                                                                       \
        us_test.skip = (reason);                                                               \
        us_test_end();                                                                         \
    } while (0)

/* Under a sanitizer its own memory is measured, too. */
#if defined(__SANITIZE_ADDRESS__)
#    define US_TEST_SANITIZED true
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define US_TEST_SANITIZED true
#    endif
#endif
#ifndef US_TEST_SANITIZED
#    define US_TEST_SANITIZED false
#endif

/* All take (got, want); arguments are evaluated once. */
#define CHECK(e)                                                                               \
    do {                                                                                       \
        if (!(e)) US_TEST_FAIL("%s is false", #e);                                             \
    } while (0)
#define CHECK_EQ_I64(a, b)                                                                     \
    do {                                                                                       \
        int64_t a_ = (int64_t)(a), b_ = (int64_t)(b);                                          \
        if (a_ != b_)                                                                          \
            US_TEST_FAIL("%s is %" PRId64 ", expected %s = %" PRId64, #a, a_, #b, b_);         \
    } while (0)
#define CHECK_EQ_U64(a, b)                                                                     \
    do {                                                                                       \
        uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);                                       \
        if (a_ != b_)                                                                          \
            US_TEST_FAIL("%s is %" PRIu64 " (0x%" PRIx64 "), expected %s = %" PRIu64           \
                         " (0x%" PRIx64 ")",                                                   \
                         #a, a_, a_, #b, b_, b_);                                              \
    } while (0)
#define CHECK_EQ_STR(a, b)                                                                     \
    do {                                                                                       \
        const char *a_ = (a), *b_ = (b);                                                       \
        if (a_ != b_ && (!a_ || !b_ || strcmp(a_, b_) != 0))                                   \
            US_TEST_FAIL("%s is \"%s\", expected \"%s\"", #a, a_ ? a_ : "(null)",              \
                         b_ ? b_ : "(null)");                                                  \
    } while (0)
#define CHECK_EQ_MEM(a, b, n)                                                                  \
    do {                                                                                       \
        const unsigned char *a_ = (const unsigned char *)(a);                                  \
        const unsigned char *b_ = (const unsigned char *)(b);                                  \
        for (size_t n_ = (n), i_ = 0; i_ < n_; i_++)                                           \
            if (a_[i_] != b_[i_])                                                              \
                US_TEST_FAIL("%s differs from %s at byte %zu of %zu: %02x, expected %02x", #a, \
                             #b, i_, n_, a_[i_], b_[i_]);                                      \
    } while (0)
/* |a - b| <= tol; equal infinities are near, a NaN is near nothing. */
#define CHECK_NEAR(a, b, tol)                                                                  \
    do {                                                                                       \
        double a_ = (double)(a), b_ = (double)(b), t_ = (double)(tol);                         \
        bool near_ = fabs(a_ - b_) <= t_ || (isinf(a_) && isinf(b_) && (a_ > 0) == (b_ > 0));  \
        if (!near_)                                                                            \
            US_TEST_FAIL("%s is %.9g, expected %s = %.9g within %.3g (off by %.3g)", #a, a_,   \
                         #b, b_, t_, fabs(a_ - b_));                                           \
    } while (0)
/* The call succeeds; otherwise the context's last failure is printed. */
#define CHECK_OK(ctx, expr)                                                                    \
    do {                                                                                       \
        us_err e_ = (expr);                                                                    \
        const us_ctx *c_ = (ctx);                                                              \
        if (e_ != US_OK)                                                                       \
            US_TEST_FAIL("%s gave %s: %s (from %s:%d)", #expr, us_test_err_name(e_),           \
                         c_->diag.text, c_->diag.file ? c_->diag.file : "?", c_->diag.line);   \
    } while (0)
/* The call fails with exactly this code. */
#define CHECK_ERR(expr, code)                                                                  \
    do {                                                                                       \
        us_err e_ = (expr), w_ = (code);                                                       \
        if (e_ != w_)                                                                          \
            US_TEST_FAIL("%s gave %s, expected %s", #expr, us_test_err_name(e_),               \
                         us_test_err_name(w_));                                                \
    } while (0)

static inline const char *us_test_err_name(us_err e)
{
    static const struct {
        int value;
        const char *name;
    } names[] = {
#define X(name, value, text) {value, #name},
        US_ERR_LIST(X)
#undef X
    };
    for (size_t i = 0; i < US_LEN(names); i++)
        if (names[i].value == (int)e) return names[i].name;
    return "an unknown code";
}

/* USTA_TORTURE=1 (make torture) asks for the long forms. */
static inline bool us_test_long(void)
{
    const char *v = getenv("USTA_TORTURE");
    return v && v[0] && strcmp(v, "0") != 0;
}

static inline void us_test_remove_tree(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) return;
    if (S_ISDIR(st.st_mode)) {
        DIR *d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d));) {
            char sub[1024];
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
            int n = snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
            if (n > 0 && (size_t)n < sizeof sub) us_test_remove_tree(sub);
        }
        if (d) closedir(d);
    }
    (void)remove(path);
}

/* The program's own temporary folder: made on first use, emptied and removed at the end. */
static inline const char *us_test_tmpdir(void)
{
    if (!us_test.tmp[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(us_test.tmp, sizeof us_test.tmp, "%s/usta-test-XXXXXX",
                 base && base[0] && strlen(base) < 200 ? base : "/tmp");
        if (!mkdtemp(us_test.tmp)) {
            us_test.tmp[0] = 0;
            US_TEST_FAIL("cannot make a temporary folder");
        }
    }
    return us_test.tmp;
}

/* A path in `out` (1024 bytes are plenty): below the temporary folder, the source root, the corpus.
 * US_TEST_SOURCE_ROOT comes from tests/meson.build. */
static inline const char *us_test_path(char *out, size_t n, const char *dir, const char *name)
{
    int k = snprintf(out, n, "%s/%s", dir, name);
    if (k < 0 || (size_t)k >= n) US_TEST_FAIL("path too long: %s/%s", dir, name);
    return out;
}
static inline const char *us_test_tmp(char *out, size_t n, const char *name)
{
    return us_test_path(out, n, us_test_tmpdir(), name);
}
static inline const char *us_test_source(char *out, size_t n, const char *name)
{
    return us_test_path(out, n, US_TEST_SOURCE_ROOT, name);
}
/* Larger real files live outside the repository: $USTA_CORPUS, else ../shared/corpus beside the source.
 * A missing file skips the case with a clear line (in CI a skip is a failure, tools/run-tests). */
static inline const char *us_test_corpus(char *out, size_t n, const char *name)
{
    static char why[1200];
    const char *dir = getenv("USTA_CORPUS");
    us_test_path(out, n, dir && dir[0] ? dir : US_TEST_SOURCE_ROOT "/../shared/corpus", name);
    if (access(out, R_OK) != 0) {
        snprintf(why, sizeof why, "no corpus file %s (set USTA_CORPUS)", name);
        US_SKIP(why);
    }
    return out;
}

/* The Python with ONNX Runtime in it (tools/setup --peers), to compare with; skips without it. */
static inline const char *us_test_peers_python(char *out, size_t n)
{
    const char *py = getenv("USTA_PEERS_PYTHON");
    if (!py || !py[0]) py = US_TEST_SOURCE_ROOT "/build/peers/bin/python";
    if (access(py, X_OK) != 0) US_SKIP("no build/peers (tools/setup --peers)");
    int k = snprintf(out, n, "%s", py);
    if (k < 0 || (size_t)k >= n) US_TEST_FAIL("path too long: %s", py);
    return out;
}

static inline void us_test_write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    bool ok = f && (n == 0 || fwrite(p, 1, n, f) == n);
    if (f && fclose(f) != 0) ok = false;
    if (!ok) US_TEST_FAIL("cannot write %s", path);
}

static inline bool us_test_run_case(const us_test_case *t, size_t number)
{
    us_test.skip = NULL;
    bool ended = setjmp(us_test.end) != 0;
    if (!ended) t->fn();
    bool ok = !ended || us_test.skip;
    printf("%s %zu - %s", ok ? "ok" : "not ok", number, t->name);
    if (us_test.skip) printf(" # SKIP %s", us_test.skip);
    printf("\n");
    fflush(stdout);
    return ok;
}

static inline bool us_test_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return true;
    return argc < 2;
}

static inline int us_test_main(const us_test_case *cases, size_t n, int argc, char **argv)
{
    size_t n_run = 0, n_bad = 0, n_wanted = 0;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < n; i++)
            printf("%s\n", cases[i].name);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        n_wanted += us_test_wanted(cases[i].name, argc, argv);
    if (n_wanted == 0) {
        fprintf(stderr, "%s: no such case; --list prints the names\n", argv[0]);
        return 2;
    }
    printf("1..%zu\n", n_wanted);
    for (size_t i = 0; i < n; i++)
        if (us_test_wanted(cases[i].name, argc, argv))
            n_bad += !us_test_run_case(&cases[i], ++n_run);
    if (us_test.tmp[0]) us_test_remove_tree(us_test.tmp);
    return n_bad ? 1 : 0;
}

#endif
