/* bench/infer.c - one model in usta and in ONNX Runtime, alternating: the measured side of `make bench-infer`.
 *
 *     bench_infer --ort LIB [--pairs N] [--threads N] [--scaling 1] USTA.onnx ORT.onnx [NAME=FILE.npy ...]
 *     bench_infer --ort LIB --first usta|ort [--plan FILE] USTA.onnx ORT.onnx [NAME=FILE.npy ...]
 *
 * The two files hold the same model; ONNX Runtime gets its initialisers as constants, without which it optimises nothing. Both
 * sides run through their C interfaces, on the same inputs (files, or numbers in [0, 1)), ONNX Runtime into outputs it made before
 * where it takes them. One line of JSON on stdout.
 *
 * The first form times. A pair is a window of each engine of at least WINDOW_NS, after a run that is not timed, the order within pairs
 * alternating; at least N pairs (15), more until BUDGET_NS are spent. The figure is the median over the pairs of (theirs / ours), of wall
 * time and of processor time. `apart` is the largest difference of their outputs relative to the largest magnitude of that output.
 * With --scaling, models over a millisecond are also timed against themselves with two threads, in pairs likewise.
 *
 * The second form is a process for one engine alone: milliseconds from the file to the first result (library and environment are
 * there before), and what its resident memory grew by when the session was there, and after the first result. Inputs are made and
 * names looked up before, in the same way for both. --plan: usta opens this compiled form of USTA.onnx instead.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <usta/usta.h>

#include "base/ctx.h"
#include "infer_ort.h"
#include "tensor/npy.h"

enum { MAX_PAIRS = 401 };
#define WINDOW_NS                                                                              \
    1e6 /* short: most windows are over before another process gets the processor */
#define BUDGET_NS 6e8 /* of all pairs of a contest */
#define WARM_NS   2e7 /* longer runs need no run before */

/* A session of ours; `plain`: tensors alone go in and out. */
typedef struct side {
    usta_session *session;
    usta_value in[MAX_IO], out[MAX_IO];
    usta_tensor t_in[MAX_IO], t_out[MAX_IO];
    size_t n_in, n_out;
    bool plain;
} side;

/* --- usta ----------------------------------------------------------------------------------------- */

static usta_env *env_new(int threads)
{
    usta_env_settings s;
    usta_env *e;
    usta_env_defaults(&s);
    s.n_threads = threads;
    s.log_level = USTA_LOG_ERROR;
    if (usta_env_new(&s, &e) != USTA_OK) die("usta", "no environment");
    return e;
}

static usta_model *model_open(usta_env *env, const char *path, bool weights)
{
    usta_model *m;
    usta_model_settings s;
    usta_model_defaults(&s);
    s.no_weights = !weights;
    if (usta_model_open(env, path, &s, &m) != USTA_OK) die(path, usta_env_error(env));
    return m;
}

static usta_session *session_new(usta_env *env, usta_model *m)
{
    usta_session *s;
    if (usta_session_new(m, NULL, &s) != USTA_OK) die("session", usta_env_error(env));
    return s;
}

static void usta_run(side *u)
{
    usta_err e = u->plain
                     ? usta_session_run(u->session, u->t_in, u->n_in, u->t_out, u->n_out)
                     : usta_session_run_values(u->session, u->in, u->n_in, u->out, u->n_out);
    if (e != USTA_OK) die("usta", usta_session_error(u->session));
}

/* Outputs as values, whichever way they came. */
static const usta_value *outputs(side *u)
{
    for (size_t i = 0; u->plain && i < u->n_out; i++)
        u->out[i] = (usta_value){.kind = USTA_KIND_TENSOR, .tensor = u->t_out[i]};
    return u->out;
}

/* --- inputs ------------------------------------------------------------------------------------------ */

/* Bytes of a counter through a multiplicative hash: the same for every run and machine. */
static double next_unit(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15U;
    uint64_t z = (*state ^ (*state >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static void make_up(const usta_value_info *v, usta_tensor *t)
{
    uint64_t state = 7;
    *t = (usta_tensor){.type = v->type, .rank = v->rank < 0 ? 1 : v->rank};
    for (int d = 0; d < t->rank; d++)
        t->dims[d] = v->rank >= 0 && v->dims[d] > 0 ? v->dims[d] : 1;
    size_t n = (size_t)usta_tensor_count(t), bytes = usta_tensor_bytes(t);
    t->data = calloc(bytes + 1, 1);
    if (!t->data) die(v->name, "no memory");
    for (size_t i = 0; i < n && v->type == USTA_TYPE_FLOAT; i++)
        ((float *)t->data)[i] = (float)next_unit(&state);
    for (size_t i = 0; i < n && v->type == USTA_TYPE_DOUBLE; i++)
        ((double *)t->data)[i] = next_unit(&state);
    for (size_t i = 0; i < bytes && (v->type == USTA_TYPE_UINT8 || v->type == USTA_TYPE_INT8);
         i++)
        ((unsigned char *)t->data)[i] = (unsigned char)(next_unit(&state) * 128);
    for (size_t i = 0; i < n && v->type == USTA_TYPE_INT64; i++)
        ((int64_t *)t->data)[i] = (int64_t)(next_unit(&state) * 2);
    for (size_t i = 0; i < n && v->type == USTA_TYPE_INT32; i++)
        ((int32_t *)t->data)[i] = (int32_t)(next_unit(&state) * 2);
}

static void from_file(us_ctx *c, us_arena *a, const char *path, usta_tensor *t)
{
    us_tensor x;
    if (us_npy_read(c, a, path, &x) != US_OK) die(path, c->diag.text);
    *t = (usta_tensor){.type = (usta_type)x.dtype, .rank = x.rank, .data = x.data};
    memcpy(t->dims, x.dims, (size_t)x.rank * sizeof *t->dims);
}

/* A map from whole numbers to numbers: the features 0 to 7 of a DictVectorizer. */
static void make_map(const usta_value_info *v, usta_value *out)
{
    enum { N = 8 };
    static int64_t keys[N];
    static float numbers[N];
    static usta_value items[N];
    if (v->type != USTA_TYPE_INT64) die(v->name, "a map with keys that are not made here");
    for (int64_t i = 0; i < N; i++) {
        keys[i] = i;
        numbers[i] = (float)i / N;
        items[i] = (usta_value){.kind = USTA_KIND_TENSOR,
                                .tensor = {.type = USTA_TYPE_FLOAT, .data = &numbers[i]}};
    }
    *out = (usta_value){.kind = USTA_KIND_MAP, .items = items, .n_items = N};
    out->tensor = (usta_tensor){.type = USTA_TYPE_INT64, .rank = 1, .dims = {N}, .data = keys};
}

static void make_input(us_ctx *c, us_arena *a, const usta_value_info *v, char **given,
                       int n_given, usta_value *out)
{
    size_t n = strlen(v->name);
    int g = 0;
    while (g < n_given && !(strncmp(given[g], v->name, n) == 0 && given[g][n] == '='))
        g++;
    *out = (usta_value){.kind = USTA_KIND_TENSOR};
    if (g < n_given)
        from_file(c, a, given[g] + n + 1, &out->tensor);
    else if (v->kind == USTA_KIND_MAP)
        make_map(v, out);
    else
        make_up(v, &out->tensor);
}

static void make_inputs(us_ctx *c, us_arena *a, const usta_model *m, char **given, int n_given,
                        side *u)
{
    u->n_in = usta_model_n_inputs(m);
    u->n_out = usta_model_n_outputs(m);
    u->plain = true;
    if (u->n_in > MAX_IO || u->n_out > MAX_IO) die("model", "too many inputs or outputs");
    for (size_t i = 0; i < u->n_in + u->n_out; i++) {
        usta_value_info v = {.struct_size = sizeof v};
        bool is_in = i < u->n_in;
        usta_err e = is_in ? usta_model_input(m, i, &v) : usta_model_output(m, i - u->n_in, &v);
        if (e != USTA_OK) die("model", "inputs or outputs cannot be read");
        if (is_in) {
            make_input(c, a, &v, given, n_given, &u->in[i]);
            u->t_in[i] = u->in[i].tensor;
        }
        u->plain = u->plain && v.kind != USTA_KIND_MAP && v.kind != USTA_KIND_SEQUENCE &&
                   v.kind != USTA_KIND_OPTIONAL;
    }
}

/* --- timing ---------------------------------------------------------------------------------------------- */

static double now_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef struct window {
    double wall, cpu; /* nanoseconds per run */
} window;

typedef void run_fn(void *side);
static void run_ours(void *s)
{
    usta_run(s);
}
static void run_theirs(void *s)
{
    ort_run(s);
}

/* One run that is not counted brings back what the other side drove from the caches; long runs bring it back themselves. */
static window measure(run_fn *run, void *s, size_t n, bool warm)
{
    if (warm) run(s);
    double w = now_ns(CLOCK_MONOTONIC), p = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < n; i++)
        run(s);
    return (window){(now_ns(CLOCK_MONOTONIC) - w) / (double)n,
                    (now_ns(CLOCK_PROCESS_CPUTIME_ID) - p) / (double)n};
}

/* Runs that fill a window. */
static size_t runs_for(run_fn *run, void *s)
{
    size_t n = 1;
    for (;;) {
        double total = measure(run, s, n, false).wall * (double)n;
        if (total >= WINDOW_NS || n > ((size_t)1 << 24)) return n;
        n = total < WINDOW_NS / 20 ? n * 10 : (size_t)((double)n * WINDOW_NS / total * 1.1) + 1;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double least(const double *v, size_t n)
{
    double m = v[0];
    for (size_t i = 1; i < n; i++)
        m = v[i] < m ? v[i] : m;
    return m;
}

/* Medians of b / a over pairs of windows, and the least time of each in microseconds. */
typedef struct contest {
    double ratio, cpu_ratio, a_us, b_us;
    size_t pairs;
} contest;

static contest compare(run_fn *run_a, void *a, run_fn *run_b, void *b, size_t pairs,
                       double budget_ns)
{
    static double ratio[MAX_PAIRS], cpu_ratio[MAX_PAIRS], ta[MAX_PAIRS], tb[MAX_PAIRS];
    size_t n_a = runs_for(run_a, a), n_b = runs_for(run_b, b), n = 0;
    double start = now_ns(CLOCK_MONOTONIC), one = WARM_NS / 2;
    while (n < pairs || (n < MAX_PAIRS && now_ns(CLOCK_MONOTONIC) - start < budget_ns)) {
        bool warm = one < WARM_NS;
        window x = {0}, y;
        if (n % 2 == 0) x = measure(run_a, a, n_a, warm);
        y = measure(run_b, b, n_b, warm);
        if (n % 2 == 1) x = measure(run_a, a, n_a, warm);
        ratio[n] = y.wall / x.wall;
        cpu_ratio[n] = y.cpu / x.cpu;
        ta[n] = x.wall / 1e3;
        tb[n++] = y.wall / 1e3;
        one = fmax(x.wall, y.wall);
    }
    return (contest){median(ratio, n), median(cpu_ratio, n), least(ta, n), least(tb, n), n};
}

/* --- first results ------------------------------------------------------------------------------------- */

static double resident_mb(void)
{
    long pages[2] = {0};
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages[0], &pages[1]) != 2)
        die("/proc/self/statm", "unreadable");
    (void)fclose(f);
    return (double)pages[1] * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

typedef struct args {
    const char *ort, *first, *plan, *ours, *theirs;
    char **given;
    int n_given, pairs, threads, scaling;
} args;

/* Both ways are: file to session, note memory, run, note memory. */
static void first_result(const args *a, side *u, ort_side *o, usta_env *env,
                         const usta_model *names)
{
    bool ours = strcmp(a->first, "usta") == 0;
    usta_model *m = NULL;
    if (!ours) ort_load(o, a->ort, a->threads);
    double before = resident_mb(), t = now_ns(CLOCK_MONOTONIC);
    if (ours) {
        m = model_open(env, a->plan ? a->plan : a->ours, true);
        u->session = session_new(env, m);
    } else
        ort_open(o, a->theirs);
    double opened = now_ns(CLOCK_MONOTONIC) - t, loaded = resident_mb() - before;
    t = now_ns(CLOCK_MONOTONIC);
    if (ours)
        usta_run(u);
    else {
        ort_bind(o, names, u->in, u->n_in);
        ort_run(o);
    }
    double ran = now_ns(CLOCK_MONOTONIC) - t;
    (void)printf("{\"open_ms\":%.3f,\"first_ms\":%.3f,\"load_mb\":%.3f,\"first_mb\":%.3f}\n",
                 opened / 1e6, (opened + ran) / 1e6, loaded, resident_mb() - before);
    if (ours) {
        usta_session_free(u->session);
        usta_model_free(m);
    } else
        ort_close(o);
}

/* --- main --------------------------------------------------------------------------------------------------- */

static args parse(int argc, char **argv)
{
    args a = {.pairs = 15, .threads = 1};
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--ort") == 0)
            a.ort = argv[i + 1];
        else if (strcmp(argv[i], "--first") == 0)
            a.first = argv[i + 1];
        else if (strcmp(argv[i], "--plan") == 0)
            a.plan = argv[i + 1];
        else if (strcmp(argv[i], "--pairs") == 0)
            a.pairs = (int)strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            a.threads = (int)strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--scaling") == 0)
            a.scaling = (int)strtol(argv[i + 1], NULL, 10);
        else
            die(argv[i], "no such option");
    }
    if (!a.ort || i + 2 > argc || a.pairs < 1 || a.pairs > MAX_PAIRS)
        die("usage",
            "bench_infer --ort LIB [--first usta|ort [--plan FILE]] [--pairs N] [--threads N] "
            "[--scaling 1] USTA.onnx ORT.onnx [NAME=FILE.npy ...]");
    a.ours = argv[i];
    a.theirs = argv[i + 1];
    a.given = argv + i + 2;
    a.n_given = argc - i - 2;
    return a;
}

/* Our time with one thread over our time with two. */
static double scaling(const args *a, side *u, size_t pairs)
{
    static side two;
    usta_env *env = env_new(2);
    usta_model *m = model_open(env, a->ours, true);
    two = *u;
    two.session = session_new(env, m);
    usta_run(&two);
    double r = compare(run_ours, &two, run_ours, u, pairs, 0).ratio;
    usta_session_free(two.session);
    usta_model_free(m);
    usta_env_free(env);
    return r;
}

static void contest_of(const args *a, side *u, ort_side *o, usta_env *env)
{
    usta_model *m = model_open(env, a->ours, true);
    u->session = session_new(env, m);
    usta_run(u);
    ort_load(o, a->ort, a->threads);
    ort_open(o, a->theirs);
    ort_bind(o, m, u->in, u->n_in);
    ort_run(o);
    double apart = ort_apart(o, outputs(u));
    ort_settle(o);
    contest r = compare(run_ours, u, run_theirs, o, (size_t)a->pairs, BUDGET_NS);
    apart = fmax(apart, ort_apart(o, outputs(u)));
    double two = a->scaling && r.a_us > 1000 ? scaling(a, u, (size_t)a->pairs) : 0;
    (void)printf(
        "{\"usta_us\":%.3f,\"ort_us\":%.3f,\"ratio\":%.3f,\"cpu_ratio\":%.3f,\"pairs\":%zu,"
        "\"threads\":%d,\"two_threads\":%.3f,\"apart\":%.2g,\"ort_outputs_kept\":%s}\n",
        r.a_us, r.b_us, r.ratio, r.cpu_ratio, r.pairs, a->threads, two,
        isfinite(apart) ? apart : 1e30, o->renew ? "false" : "true");
    ort_close(o);
    usta_session_free(u->session);
    usta_model_free(m);
}

int main(int argc, char **argv)
{
    static side u;
    static ort_side o;
    args a = parse(argc, argv);
    us_ctx c;
    us_arena *arena;
    us_ctx_init(&c);
    if (us_arena_new(&c, "bench", (size_t)1 << 30, &arena) != US_OK) die("bench", c.diag.text);
    usta_env *env = env_new(a.threads);
    usta_model *names = model_open(env, a.ours, false);
    make_inputs(&c, arena, names, a.given, a.n_given, &u);
    if (a.first)
        first_result(&a, &u, &o, env, names);
    else
        contest_of(&a, &u, &o, env);
    usta_model_free(names);
    usta_env_free(env);
    us_arena_free(arena);
    us_ctx_deinit(&c);
    return 0;
}
