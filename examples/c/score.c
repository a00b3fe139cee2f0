/* score.c - scores a CSV file with a model: batches, several threads, a profile, every error said.
 *
 *     cc score.c $(pkg-config --cflags --libs usta) -lpthread -o score
 *     ./score [-t THREADS] [-b ROWS_PER_BATCH] [-p] MODEL.onnx ROWS.csv
 *
 * The model takes one input, float32 [N, D] (models that `usta run` makes of numeric columns do). The file has a header line and
 * at least D numbers in each row; what follows them is not looked at. Prints the row's number and the first output for each row,
 * in the file's order; -p prints where the time went, on stderr.
 *
 * How it works: one environment and one model; each thread has a session of its own, takes the next batch under a lock, and writes
 * the results to where the batch belongs, so the order of threads does not show. Ctrl-C stops the runs that are going on.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <usta/usta.h>

#define MAX_THREADS 64

typedef struct table { /* rows of D numbers, one after the other */
    float *cells;
    size_t n_rows, n_cols;
} table;

typedef struct job {
    const char *model_path, *csv_path;
    int n_threads, profile;
    size_t batch;
    usta_env *env;
    usta_model *model;
    size_t n_outputs;
    table rows;
    char (*answers)[32]; /* one text per row */
    pthread_mutex_t lock;
    size_t next; /* first row that nobody has taken; under lock */
    int failed;  /* somebody gave up; under lock */
} job;

typedef struct worker {
    job *k;
    usta_session *session;
    usta_tensor *out;
    pthread_t thread;
} worker;

static worker workers[MAX_THREADS]; /* a signal handler has no other way to find them */

static void on_interrupt(int signo)
{
    (void)signo;
    for (int i = 0; i < MAX_THREADS; i++)
        usta_session_cancel(workers[i].session);
}

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "score: %s: %s\n", what, why);
    return 1;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int add_row(table *t, char *line, size_t *cap)
{
    if ((t->n_rows + 1) * t->n_cols > *cap) {
        *cap = (t->n_rows + 1) * t->n_cols * 2;
        float *more = (float *)realloc(t->cells, *cap * sizeof *more);
        if (!more) return 0;
        t->cells = more;
    }
    for (size_t i = 0; i < t->n_cols; i++) {
        char *end;
        t->cells[t->n_rows * t->n_cols + i] = strtof(line, &end);
        if (end == line) return 0;
        line = end + (*end == ',');
    }
    t->n_rows++;
    return 1;
}

static int read_csv(job *k)
{
    char line[65536], what[64];
    size_t cap = 0, n_lines = 1;
    FILE *f = fopen(k->csv_path, "r");
    if (!f) return complain(k->csv_path, strerror(errno));
    int bad = !fgets(line, sizeof line, f); /* the header */
    while (!bad && fgets(line, sizeof line, f)) {
        n_lines++;
        bad = !add_row(&k->rows, line, &cap);
    }
    fclose(f);
    snprintf(what, sizeof what, "line %zu does not begin with %zu numbers", n_lines,
             k->rows.n_cols);
    return bad ? complain(k->csv_path, what) : 0;
}

/* --- the model -------------------------------------------------------------------------------- */

static int open_model(job *k)
{
    usta_env_settings s;
    usta_value_info x;
    char type[128];
    memset(&x, 0, sizeof x);
    x.struct_size = sizeof x;
    usta_env_defaults(&s);
    s.n_threads = 1; /* the threads are ours: each runs whole batches */
    usta_err e = usta_env_new(&s, &k->env);
    if (e != USTA_OK) return complain("environment", usta_err_text(e));
    if (usta_model_open(k->env, k->model_path, NULL, &k->model) != USTA_OK)
        return complain("model", usta_env_error(k->env));
    if (usta_model_n_inputs(k->model) != 1 || usta_model_input(k->model, 0, &x) != USTA_OK)
        return complain(k->model_path, "expected a model with one input");
    usta_typing_text(k->model, x.typing, type, sizeof type);
    if (x.type != USTA_TYPE_FLOAT || x.rank != 2 || x.dims[1] < 1 || x.dims[0] >= 0) {
        fprintf(stderr, "score: %s: input '%s' is %s, expected float[N,D]\n", k->model_path,
                x.name, type);
        return 1;
    }
    k->rows.n_cols = (size_t)x.dims[1];
    k->n_outputs = usta_model_n_outputs(k->model);
    return 0;
}

/* --- scoring ---------------------------------------------------------------------------------- */

/* Row i of the first output as text; of several numbers, the place of the largest. */
static void answer(const usta_tensor *y, size_t i, char *text, size_t n)
{
    size_t width = y->rank > 1 ? (size_t)y->dims[1] : 1, best = 0;
    if (y->type == USTA_TYPE_INT64) {
        snprintf(text, n, "%lld", (long long)((const int64_t *)y->data)[i * width]);
    } else if (y->type == USTA_TYPE_STRING) {
        snprintf(text, n, "%.*s", USTA_STR_ARG(((const usta_str *)y->data)[i * width]));
    } else if (y->type == USTA_TYPE_FLOAT) {
        const float *p = (const float *)y->data + i * width;
        for (size_t k = 1; k < width; k++)
            if (p[k] > p[best]) best = k;
        if (width == 1)
            snprintf(text, n, "%g", (double)p[0]);
        else
            snprintf(text, n, "%zu", best);
    } else {
        snprintf(text, n, "%s", usta_type_name(y->type));
    }
}

static size_t take_batch(job *k, size_t *first)
{
    pthread_mutex_lock(&k->lock);
    size_t left = k->failed ? 0 : k->rows.n_rows - k->next;
    size_t n = left < k->batch ? left : k->batch;
    *first = k->next;
    k->next += n;
    pthread_mutex_unlock(&k->lock);
    return n;
}

static void *score(void *arg)
{
    worker *w = (worker *)arg;
    job *k = w->k;
    size_t first, n;
    while ((n = take_batch(k, &first)) > 0) {
        usta_tensor x;
        memset(&x, 0, sizeof x);
        x.type = USTA_TYPE_FLOAT;
        x.rank = 2;
        x.dims[0] = (int64_t)n;
        x.dims[1] = (int64_t)k->rows.n_cols;
        x.data = k->rows.cells + first * k->rows.n_cols;
        usta_err e = usta_session_run(w->session, &x, 1, w->out, k->n_outputs);
        if (e != USTA_OK) {
            complain(usta_err_name(e), usta_session_error(w->session));
            pthread_mutex_lock(&k->lock);
            k->failed = 1;
            pthread_mutex_unlock(&k->lock);
            return NULL;
        }
        for (size_t i = 0; i < n; i++)
            answer(&w->out[0], i, k->answers[first + i], sizeof k->answers[0]);
    }
    return NULL;
}

static int make_workers(job *k)
{
    usta_session_settings s;
    usta_session_defaults(&s);
    s.profile = k->profile;
    for (int i = 0; i < k->n_threads; i++) { /* sessions are made in the environment's thread */
        workers[i].k = k;
        workers[i].out = (usta_tensor *)calloc(k->n_outputs, sizeof(usta_tensor));
        if (!workers[i].out) return complain("sessions", "out of memory");
        if (usta_session_new(k->model, &s, &workers[i].session) != USTA_OK)
            return complain("session", usta_env_error(k->env));
    }
    return 0;
}

static int run_workers(job *k)
{
    int n_started = 0;
    k->answers = (char(*)[32])calloc(k->rows.n_rows + 1, sizeof k->answers[0]);
    if (!k->answers) return complain("answers", "out of memory");
    signal(SIGINT, on_interrupt);
    for (; n_started < k->n_threads; n_started++)
        if (pthread_create(&workers[n_started].thread, NULL, score, &workers[n_started])) break;
    if (n_started == 0) score(&workers[0]); /* no threads to be had: alone, then */
    for (int i = 0; i < n_started; i++)
        pthread_join(workers[i].thread, NULL);
    signal(SIGINT, SIG_DFL);
    return k->failed;
}

/* --- what came of it -------------------------------------------------------------------------- */

/* The sessions have the same rows: all have one plan. */
static void print_profile(const job *k)
{
    fprintf(stderr, "%-24s %-20s %-22s %8s %10s\n", "node", "operator", "kernel", "calls",
            "us");
    for (size_t i = 0; i < usta_session_n_profile(workers[0].session); i++) {
        uint64_t n_calls = 0, ns = 0;
        usta_profile_row row;
        memset(&row, 0, sizeof row);
        row.struct_size = sizeof row;
        for (int t = 0; t < k->n_threads; t++) {
            if (usta_session_profile(workers[t].session, i, &row) != USTA_OK) return;
            n_calls += row.n_calls;
            ns += row.ns;
        }
        fprintf(stderr, "%-24.24s %-20.20s %-22.22s %8llu %10.1f\n", row.node, row.op_type,
                row.kernel, (unsigned long long)n_calls, (double)ns / 1e3);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: score [-t THREADS] [-b ROWS] [-p] MODEL.onnx ROWS.csv\n");
    return 2;
}

static int parse(job *k, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "-p"))
            k->profile = 1;
        else if (!strcmp(argv[i], "-t") && i + 1 < argc)
            k->n_threads = (int)strtol(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "-b") && i + 1 < argc)
            k->batch = strtoul(argv[++i], NULL, 10);
        else
            return 0;
    }
    if (argc - i != 2 || k->n_threads < 1 || k->n_threads > MAX_THREADS || k->batch < 1)
        return 0;
    k->model_path = argv[i];
    k->csv_path = argv[i + 1];
    return 1;
}

int main(int argc, char **argv)
{
    job k;
    memset(&k, 0, sizeof k);
    k.n_threads = 2;
    k.batch = 64;
    pthread_mutex_init(&k.lock, NULL);
    if (!parse(&k, argc, argv)) return usage();
    int status = open_model(&k) || read_csv(&k) || make_workers(&k) || run_workers(&k);
    for (size_t i = 0; !status && i < k.rows.n_rows; i++)
        printf("%zu,%s\n", i + 1, k.answers[i]);
    if (!status && k.profile) print_profile(&k);
    for (int i = 0; i < MAX_THREADS; i++) {
        usta_session *s = workers[i].session;
        workers[i].session = NULL; /* before it goes: a signal may come */
        usta_session_free(s);
        free(workers[i].out);
    }
    usta_model_free(k.model);
    usta_env_free(k.env);
    pthread_mutex_destroy(&k.lock);
    free(k.rows.cells);
    free(k.answers);
    return status;
}
