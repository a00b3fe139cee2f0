/* bench/infer.c - one model in usta and in ONNX Runtime, alternating: the measured side of `make bench-infer`.
 *
 *     bench_infer --ort LIB [--pairs N] [--threads N] USTA.onnx ORT.onnx [NAME=FILE.npy ...]
 *
 * The two files hold the same model; ONNX Runtime gets its initialisers as constants, without which it optimises nothing. Both
 * sides run through their C interfaces, on the same inputs (files, or numbers in [0, 1)), ONNX Runtime into outputs it made before. A pair is a
 * window of each of at least WINDOW_NS, the order within pairs alternating; the figure is the median over the pairs of (theirs /
 * ours), of wall time and of processor time. One line of JSON on stdout.
 *
 * ONNX Runtime's library is loaded at run time. Its interface is a table of functions whose order is fixed for good (an addition
 * goes to the end), so the few that are needed are named here by their place and no header of theirs is.
 */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <usta/usta.h>

#include "base/ctx.h"
#include "tensor/npy.h"

enum { MAX_IO = 64, MAX_PAIRS = 201 };
#define WINDOW_NS 4e6

/* --- ONNX Runtime by number ----------------------------------------------------------------------- */

enum ort_place {
    ORT_ERROR_TEXT = 2,
    ORT_CREATE_ENV = 3,
    ORT_CREATE_SESSION = 7,
    ORT_RUN = 9,
    ORT_CREATE_OPTIONS = 10,
    ORT_LOG_SEVERITY = 22,
    ORT_OPTIMISE = 23,
    ORT_INTRA_THREADS = 24,
    ORT_INTER_THREADS = 25,
    ORT_N_INPUTS = 30,
    ORT_N_OUTPUTS = 31,
    ORT_INPUT_NAME = 36,
    ORT_OUTPUT_NAME = 37,
    ORT_TENSOR_OVER_DATA = 49,
    ORT_IS_TENSOR = 50,
    ORT_TENSOR_DATA = 51,
    ORT_CPU_MEMORY = 69,
    ORT_ALLOCATOR = 78,
    ORT_RELEASE_SESSION = 95
};
enum {
    ORT_ALL_OPTIMISATIONS = 99,
    ORT_ARENA = 1,
    ORT_DEFAULT_MEMORY = 0,
    ORT_SEVERITY_ERROR = 3
};
typedef void (*ort_fn)(void);
typedef struct ort_base {
    const ort_fn *(*api)(uint32_t version);
    const char *(*version)(void);
} ort_base;

typedef struct side {
    void *session;
    usta_tensor in[MAX_IO], out[MAX_IO];
    size_t n_in, n_out;
} side;

typedef struct ort_side {
    const ort_fn *f;
    void *env, *options, *session, *memory, *allocator;
    const char *in_name[MAX_IO], *out_name[MAX_IO];
    void *in[MAX_IO], *out[MAX_IO];
    size_t n_in, n_out;
} ort_side;

#define ORT(o, place, args, ...)                                                               \
    ort_check((o), ((void *(*)args)(o)->f[place])(__VA_ARGS__), #place)

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_infer: %s: %s\n", what, why);
    exit(2);
}

static void ort_check(const ort_side *o, void *status, const char *what)
{
    if (status) die(what, ((const char *(*)(const void *))o->f[ORT_ERROR_TEXT])(status));
}

static void ort_load(ort_side *o, const char *lib)
{
    void *h = dlopen(lib, RTLD_NOW | RTLD_LOCAL);
    if (!h) die(lib, dlerror());
    void *entry = dlsym(h, "OrtGetApiBase");
    if (!entry) die(lib, "has no OrtGetApiBase");
    const ort_base *(*base)(void);
    memcpy(&base, &entry, sizeof base);
    o->f = base()->api(17);
    if (!o->f) die(lib, "does not offer version 17 of its interface");
    ORT(o, ORT_CREATE_ENV, (int, const char *, void **), ORT_SEVERITY_ERROR, "bench", &o->env);
}

static void ort_options(ort_side *o, int threads)
{
    ORT(o, ORT_CREATE_OPTIONS, (void **), &o->options);
    ORT(o, ORT_LOG_SEVERITY, (void *, int), o->options, ORT_SEVERITY_ERROR);
    ORT(o, ORT_OPTIMISE, (void *, int), o->options, ORT_ALL_OPTIMISATIONS);
    ORT(o, ORT_INTRA_THREADS, (void *, int), o->options, threads);
    ORT(o, ORT_INTER_THREADS, (void *, int), o->options, 1);
}

static void ort_open(ort_side *o, const char *model)
{
    ORT(o, ORT_CREATE_SESSION, (const void *, const char *, const void *, void **), o->env,
        model, o->options, &o->session);
}

static void ort_close(ort_side *o)
{
    ((void (*)(void *))o->f[ORT_RELEASE_SESSION])(o->session);
    o->session = NULL;
}

static void ort_run(ort_side *o)
{
    ORT(o, ORT_RUN,
        (void *, const void *, const char *const *, const void *const *, size_t,
         const char *const *, size_t, void **),
        o->session, NULL, o->in_name, (const void *const *)o->in, o->n_in, o->out_name,
        o->n_out, o->out);
}

/* Inputs over our tensors, by name; outputs by our order of names. */
static void ort_bind(ort_side *o, const side *u, usta_model *m)
{
    ORT(o, ORT_CPU_MEMORY, (int, int, void **), ORT_ARENA, ORT_DEFAULT_MEMORY, &o->memory);
    o->n_in = u->n_in;
    o->n_out = u->n_out;
    for (size_t i = 0; i < u->n_in + u->n_out; i++) {
        usta_value_info v = {.struct_size = sizeof v};
        bool is_in = i < u->n_in;
        usta_err e = is_in ? usta_model_input(m, i, &v) : usta_model_output(m, i - u->n_in, &v);
        if (e != USTA_OK) die("names", "cannot be read");
        if (is_in)
            o->in_name[i] = v.name;
        else
            o->out_name[i - u->n_in] = v.name;
    }
    for (size_t i = 0; i < u->n_in; i++)
        ORT(o, ORT_TENSOR_OVER_DATA,
            (const void *, void *, size_t, const int64_t *, size_t, int, void **), o->memory,
            u->in[i].data, usta_tensor_bytes(&u->in[i]), u->in[i].dims, (size_t)u->in[i].rank,
            u->in[i].type, &o->in[i]);
}

/* --- usta ----------------------------------------------------------------------------------------- */

static usta_env *env_new(int threads)
{
    usta_env_settings s;
    usta_env *e;
    usta_env_defaults(&s);
    s.n_threads = threads;
    if (usta_env_new(&s, &e) != USTA_OK) die("usta", "no environment");
    return e;
}

static usta_model *model_open(usta_env *env, const char *path)
{
    usta_model *m;
    if (usta_model_open(env, path, NULL, &m) != USTA_OK) die(path, usta_env_error(env));
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
    if (usta_session_run(u->session, u->in, u->n_in, u->out, u->n_out) != USTA_OK)
        die("usta", usta_session_error(u->session));
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

static void make_inputs(us_ctx *c, us_arena *a, const usta_model *m, char **given, int n_given,
                        side *u)
{
    u->n_in = usta_model_n_inputs(m);
    u->n_out = usta_model_n_outputs(m);
    if (u->n_in > MAX_IO || u->n_out > MAX_IO) die("model", "too many inputs or outputs");
    for (size_t i = 0; i < u->n_in; i++) {
        usta_value_info v = {.struct_size = sizeof v};
        if (usta_model_input(m, i, &v) != USTA_OK) die("input", "cannot be read");
        size_t n = strlen(v.name);
        int g = 0;
        while (g < n_given && !(strncmp(given[g], v.name, n) == 0 && given[g][n] == '='))
            g++;
        if (g < n_given)
            from_file(c, a, given[g] + n + 1, &u->in[i]);
        else
            make_up(&v, &u->in[i]);
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

static window measure(run_fn *run, void *s, size_t n)
{
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
        double total = measure(run, s, n).wall * (double)n;
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

/* --- agreement -------------------------------------------------------------------------------------------- */

/* The largest difference of an output relative to its largest magnitude; -1 when one is no float tensor. */
static double difference(const side *u, const ort_side *o)
{
    double worst = 0;
    for (size_t i = 0; i < u->n_out; i++) {
        const usta_tensor *t = &u->out[i];
        void *p;
        if (t->type != USTA_TYPE_FLOAT) continue;
        ORT(o, ORT_TENSOR_DATA, (void *, void **), o->out[i], &p);
        int64_t n = usta_tensor_count(t);
        const float *x = t->data, *y = p;
        double top = 1e-30, d = 0;
        for (int64_t k = 0; k < n; k++) {
            top = fmax(top, fabs((double)y[k]));
            d = fmax(d, fabs((double)x[k] - (double)y[k]));
        }
        worst = fmax(worst, d / top);
    }
    return worst;
}

/* --- main --------------------------------------------------------------------------------------------------- */

typedef struct args {
    const char *ort, *ours, *theirs;
    char **given;
    int n_given, pairs, threads;
} args;

static args parse(int argc, char **argv)
{
    args a = {.pairs = 15, .threads = 1};
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--ort") == 0)
            a.ort = argv[i + 1];
        else if (strcmp(argv[i], "--pairs") == 0)
            a.pairs = (int)strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            a.threads = (int)strtol(argv[i + 1], NULL, 10);
        else
            die(argv[i], "no such option");
    }
    if (!a.ort || i + 2 > argc || a.pairs < 1 || a.pairs > MAX_PAIRS)
        die("usage", "bench_infer --ort LIB [--pairs N] [--threads N] USTA.onnx ORT.onnx "
                     "[NAME=FILE.npy ...]");
    a.ours = argv[i];
    a.theirs = argv[i + 1];
    a.given = argv + i + 2;
    a.n_given = argc - i - 2;
    return a;
}

int main(int argc, char **argv)
{
    static side u;
    static ort_side o;
    static double ratio[MAX_PAIRS], cpu_ratio[MAX_PAIRS], ours[MAX_PAIRS], theirs[MAX_PAIRS];
    args a = parse(argc, argv);
    us_ctx c;
    us_arena *arena;
    us_ctx_init(&c);
    if (us_arena_new(&c, "bench", (size_t)1 << 30, &arena) != US_OK) die("bench", c.diag.text);
    usta_env *env = env_new(a.threads);

    ort_load(&o, a.ort);
    ort_options(&o, a.threads);
    double t0 = now_ns(CLOCK_MONOTONIC);
    usta_model *m = model_open(env, a.ours);
    double opened = now_ns(CLOCK_MONOTONIC) - t0;
    make_inputs(&c, arena, m, a.given, a.n_given, &u);
    double t1 = now_ns(CLOCK_MONOTONIC);
    u.session = session_new(env, m);
    usta_run(&u);
    double t2 = now_ns(CLOCK_MONOTONIC);
    ort_open(&o, a.theirs);
    ort_bind(&o, &u, m);
    ort_run(&o);
    double t3 = now_ns(CLOCK_MONOTONIC);
    double apart = difference(&u, &o);

    size_t n_ours = runs_for(run_ours, &u), n_theirs = runs_for(run_theirs, &o);
    size_t n = (size_t)a.pairs;
    for (size_t i = 0; i < n; i++) {
        window x, y;
        if (i % 2 == 0) x = measure(run_ours, &u, n_ours);
        y = measure(run_theirs, &o, n_theirs);
        if (i % 2 == 1) x = measure(run_ours, &u, n_ours);
        ratio[i] = y.wall / x.wall;
        cpu_ratio[i] = y.cpu / x.cpu;
        ours[i] = x.wall / 1e3;
        theirs[i] = y.wall / 1e3;
    }
    (void)printf("{\"usta_us\":%.3f,\"ort_us\":%.3f,\"ratio\":%.3f,\"cpu_ratio\":%.3f,"
                 "\"usta_first_ms\":%.3f,\"ort_first_ms\":%.3f,\"apart\":%.2g,\"pairs\":%d,"
                 "\"threads\":%d}\n",
                 least(ours, n), least(theirs, n), median(ratio, n), median(cpu_ratio, n),
                 (t2 - t1 + opened) / 1e6, (t3 - t2) / 1e6, apart, a.pairs, a.threads);
    ort_close(&o);
    usta_session_free(u.session);
    usta_model_free(m);
    usta_env_free(env);
    us_arena_free(arena);
    us_ctx_deinit(&c);
    return 0;
}
