/* bench/threads.c - two threads beside one, and with a busy neighbour: the measured side of `make bench-threads`.
 *
 *     bench_threads [--pairs N] MODEL.onnx ...
 *
 * A pair is a window of the model at one thread and one at two, the order within pairs alternating; the figure is the median over the
 * pairs of (one / two), of wall time. Measured twice: with the processor as it is, and with a process beside us that does nothing but
 * count, as somebody else's work would. One line of JSON per model on stdout.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <usta/usta.h>

enum { MAX_IO = 64, MAX_PAIRS = 201 };
#define WINDOW_NS 30e6

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_threads: %s: %s\n", what, why);
    exit(2);
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef struct side {
    usta_env *env;
    usta_model *model;
    usta_session *session;
    usta_tensor in[MAX_IO], out[MAX_IO];
    size_t n_in, n_out, n_runs;
} side;

static void make_up(const usta_model *m, size_t i, usta_tensor *t)
{
    usta_value_info v = {.struct_size = sizeof v};
    if (usta_model_input(m, i, &v) != USTA_OK) die("input", "cannot be read");
    *t = (usta_tensor){.type = v.type, .rank = v.rank < 0 ? 1 : v.rank};
    for (int d = 0; d < t->rank; d++)
        t->dims[d] = v.rank >= 0 && v.dims[d] > 0 ? v.dims[d] : 1;
    t->data = calloc(usta_tensor_bytes(t) + 1, 1);
    if (!t->data) die(v.name, "no memory");
    int64_t n = v.type == USTA_TYPE_FLOAT ? usta_tensor_count(t) : 0;
    for (int64_t k = 0; k < n; k++)
        ((float *)t->data)[k] = (float)(k * 7919 % 1000) / 1000.0F;
}

static void run(side *s)
{
    if (usta_session_run(s->session, s->in, s->n_in, s->out, s->n_out) != USTA_OK)
        die("run", usta_session_error(s->session));
}

static void open_side(side *s, const char *path, int threads)
{
    usta_env_settings set;
    usta_env_defaults(&set);
    set.n_threads = threads;
    if (usta_env_new(&set, &s->env) != USTA_OK) die("usta", "no environment");
    if (usta_model_open(s->env, path, NULL, &s->model) != USTA_OK ||
        usta_session_new(s->model, NULL, &s->session) != USTA_OK)
        die(path, usta_env_error(s->env));
    s->n_in = usta_model_n_inputs(s->model);
    s->n_out = usta_model_n_outputs(s->model);
    if (s->n_in > MAX_IO || s->n_out > MAX_IO) die(path, "too many inputs or outputs");
    for (size_t i = 0; i < s->n_in; i++)
        make_up(s->model, i, &s->in[i]);
    run(s);
    double t = now_ns();
    run(s);
    s->n_runs = (size_t)(WINDOW_NS / (now_ns() - t)) + 1;
}

static void close_side(side *s)
{
    usta_session_free(s->session);
    usta_model_free(s->model);
    usta_env_free(s->env);
    for (size_t i = 0; i < s->n_in; i++)
        free(s->in[i].data);
}

static double window(side *s)
{
    double t = now_ns();
    for (size_t i = 0; i < s->n_runs; i++)
        run(s);
    return (now_ns() - t) / (double)s->n_runs;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double compare(side *one, side *two, int pairs)
{
    double ratio[MAX_PAIRS];
    for (int i = 0; i < pairs; i++) {
        double a = 0, b;
        if (i % 2 == 0) a = window(one);
        b = window(two);
        if (i % 2 == 1) a = window(one);
        ratio[i] = a / b;
    }
    qsort(ratio, (size_t)pairs, sizeof *ratio, by_value);
    return ratio[pairs / 2];
}

static pid_t neighbour(void)
{
    pid_t pid = fork();
    if (pid < 0) die("fork", "no process");
    for (volatile unsigned i = 0; pid == 0;)
        i++;
    return pid;
}

static void bench(const char *path, int pairs)
{
    static side one, two;
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    open_side(&one, path, 1);
    open_side(&two, path, 2);
    two.n_runs = one.n_runs;
    double idle = compare(&one, &two, pairs), us = window(&one) / 1e3;
    pid_t pid = neighbour();
    double busy = compare(&one, &two, pairs);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    const char *name = strrchr(path, '/');
    (void)printf("{\"model\":\"%s\",\"one_us\":%.1f,\"idle\":%.3f,\"neighbour\":%.3f}\n",
                 name ? name + 1 : path, us, idle, busy);
    (void)fflush(stdout);
    close_side(&one);
    close_side(&two);
}

int main(int argc, char **argv)
{
    int pairs = 15, i = 1;
    if (argc > 2 && strcmp(argv[1], "--pairs") == 0) {
        pairs = (int)strtol(argv[2], NULL, 10);
        i = 3;
    }
    if (i >= argc || pairs < 1 || pairs > MAX_PAIRS)
        die("usage", "bench_threads [--pairs N] MODEL.onnx ...");
    for (; i < argc; i++)
        bench(argv[i], pairs);
    return 0;
}
