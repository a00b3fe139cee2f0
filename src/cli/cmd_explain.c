/* cli/cmd_explain.c - `usta explain MODEL`: what a run is made of, step by step, and why.
 *
 * The model is planned as for any run and run until the figures settle; each step's row says what runs it, how long it takes, and how
 * near to the processor's peak it comes. The peak is what this build's matrix product reaches on panels that lie in the
 * first-level cache, measured here and now: multiply-adds per second. Work is counted as sessions count it (us_eval_work): a
 * product summed or an element written is one step, so elementwise operators stay far below the peak by nature.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/models.h"
#include "exec/planfile.h"
#include "ir/op.h"
#include "ir/type.h"
#include "kernel/gemm.h"

enum { MIN_RUNS = 5, PEAK_WINDOWS = 60, PEAK_K = 256, MAX_NODE = 40 };

typedef struct explain_args {
    us_texts in;
    int64_t seed, top, millis;
    bool order;
    us_image_args images;
} explain_args;

typedef struct explain {
    us_cli *cli;
    us_ctx *c;
    us_arena *a;
    const explain_args *args;
    us_plan *plan;
    us_session *session;
    us_value *in, *out;
    const us_profile_row **rows; /* those that ran, as they are printed */
    size_t n_rows;
    bool any_why, any_choice;
    uint64_t n_runs;
    double run_ns, steps_ns; /* of one run; of all rows in one run */
    double peak;             /* multiply-adds per nanosecond; 0: not known */
} explain;

#define F(f) offsetof(explain_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXTS, 'i', "input", F(in), "[]", 0, 0, "NAME=FILE", "", NULL,
     "an input: .npy, .json for strings, or a picture; random contents for those not given"},
    {US_OPT_INT, 0, "seed", F(seed), "0", 0, 9e15, "", "", NULL, "of the random contents"},
    {US_OPT_INT, 0, "top", F(top), "20", 0, 1e9, "N", "", NULL,
     "print the N steps that take longest; 0: all"},
    {US_OPT_BOOL, 0, "order", F(order), "false", 0, 0, "", "", NULL,
     "print steps in the order in which they run, all of them"},
    {US_OPT_INT, 0, "time", F(millis), "300", 1, 1e7, "", "ms", NULL, "run for this long"},
    US_IMAGE_OPTS(explain_args, images),
    {US_OPT_END}};
#undef F

/* --- the peak ------------------------------------------------------------------------------------- */

static us_err measure_peak(explain *k)
{
    const us_gemm_kernels *g = us_kernels_get(k->c)->gemm;
    size_t m = 4 * g->mr, n = g->layout.nr, bytes;
    if (!us_gemm_pack_bytes(&g->layout, n, PEAK_K, &bytes)) return US_OK;
    float *a = us_new_n(k->a, float, m *PEAK_K), *b = us_new_n(k->a, float, n *PEAK_K);
    float *y = us_new_n(k->a, float, m *n), *w = us_arena_alloc(k->a, 1, bytes, 64);
    void *scratch = us_arena_alloc(k->a, 1, g->scratch(m, n, PEAK_K) + 1, 64);
    if (!a || !b || !y || !w || !scratch) return us_arena_fail(k->c, k->a);
    us_gemm_pack(&g->layout,
                 &(us_gemm_weights){.n = n, .k = PEAK_K, .b = b, .ldb = n, .scale = 1}, w);
    us_pgemm_args p = {.m = m, .n = n, .k = PEAK_K, .j1 = n, .a = a, .lda = PEAK_K, .w = w};
    p.lo = -INFINITY;
    p.hi = INFINITY;
    p.c = y;
    p.ldc = n;
    p.scratch = scratch;
    for (int i = 0; i < PEAK_WINDOWS; i++) {
        enum { CALLS = 20 };
        uint64_t t = us_now_ns();
        for (int j = 0; j < CALLS; j++)
            g->run(&p);
        double rate = (double)CALLS * (double)(m * n * PEAK_K) / (double)(us_now_ns() - t + 1);
        k->peak = US_MAX(k->peak, rate);
    }
    return US_OK;
}

/* --- running ------------------------------------------------------------------------------------------ */

static us_err load(explain *k, const char *path)
{
    US_TRY(us_plan_open(k->c, path, NULL, &k->plan));
    us_session_opts so = {
        .seed = (uint64_t)k->args->seed, .images = &us_image_codecs, .profile = true};
    US_TRY(us_session_new(k->c, k->plan, &so, &k->session));
    us_input_args in = {k->args->in, true, k->args->seed, &k->args->images};
    k->out = us_new_n(k->a, us_value, us_plan_n_outputs(k->plan));
    if (!k->out) return us_arena_fail(k->c, k->a);
    return us_inputs_fill(k->c, k->a, k->plan, &in, &k->in);
}

/* The first run binds and warms up; it does not count. */
static us_err run(explain *k, const char *path)
{
    us_err e = us_session_run(k->c, k->session, k->in, k->out);
    if (e != US_OK) return us_wrap(k->c, e, "%s", path);
    us_session_profile_reset(k->session);
    uint64_t t0 = us_now_ns(), until = t0 + (uint64_t)k->args->millis * 1000000, now = t0;
    while (k->n_runs < MIN_RUNS || now < until) {
        US_TRY(us_session_run(k->c, k->session, k->in, k->out));
        k->n_runs++;
        now = us_now_ns();
    }
    k->run_ns = (double)(now - t0) / (double)k->n_runs;
    return US_OK;
}

static int by_time(const void *a, const void *b)
{
    const us_profile_row *const *x = a, *const *y = b;
    if ((*x)->ns != (*y)->ns) return (*x)->ns < (*y)->ns ? 1 : -1;
    return (*x > *y) - (*x < *y);
}

static us_err pick_rows(explain *k)
{
    const us_profile_row *rows = NULL;
    size_t n = us_session_profile(k->session, &rows);
    k->rows = us_new_n(k->a, const us_profile_row *, n);
    if (!k->rows) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].n_calls == 0) continue;
        k->rows[k->n_rows++] = &rows[i];
        k->any_why = k->any_why || rows[i].why;
        k->any_choice = k->any_choice || rows[i].choice;
        k->steps_ns += (double)rows[i].ns / (double)k->n_runs;
    }
    if (!k->args->order) qsort(k->rows, k->n_rows, sizeof *k->rows, by_time);
    return US_OK;
}

/* --- the answer ---------------------------------------------------------------------------------------- */

static double share_of_peak(const explain *k, const us_profile_row *r)
{
    double ns = (double)r->ns / (double)r->n_calls;
    return k->peak > 0 && ns > 0 ? r->work / ns / k->peak : 0;
}

static us_err print_type(explain *k, const us_type *t, us_buf *b)
{
    us_buf_clear(b);
    us_type_print(&us_plan_model(k->plan)->syms, t, b);
    return us_buf_check(b);
}

static const char *level(const explain *k)
{
    return us_cpu_level(us_kernels_get(k->c)->cpu);
}

/* --- choices --------------------------------------------------------------------------------------------- */

/* Candidates and what they took; null where nobody chose. */
static json_t *choice_json(const us_kernel_choice *x)
{
    if (!x) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < x->n; i++) {
        json_t *one = json_pack("{s:s}", "name", x->list[i].name);
        if (one && x->ns && x->ns[i] > 0)
            json_object_set_new(one, "us", json_real(x->ns[i] / 1e3));
        if (!one || json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "by", x->ns ? "time" : "model", "chosen",
                     x->list[x->chosen].name, "model", x->list[x->best].name, "candidates",
                     list);
}

/* Of the others the one that took least time, and the model's where that is another. */
static void say_times(us_buf *b, const us_kernel_choice *x)
{
    size_t next = x->n, n = 0;
    us_buf_addf(b, "timed: %s %.3g us", x->list[x->chosen].name, x->ns[x->chosen] / 1e3);
    for (size_t i = 0; i < x->n; i++) {
        if (i == x->chosen || !(x->ns[i] > 0)) continue;
        n++;
        if (i != x->best && (next == x->n || x->ns[i] < x->ns[next])) next = i;
    }
    if (x->best != x->chosen && x->ns[x->best] > 0) {
        us_buf_addf(b, ", %s (the model's) %.3g", x->list[x->best].name, x->ns[x->best] / 1e3);
        n--;
    }
    if (next < x->n) {
        us_buf_addf(b, ", %s %.3g", x->list[next].name, x->ns[next] / 1e3);
        n--;
    }
    if (n > 0) us_buf_addf(b, ", %zu more", n);
}

static us_err print_choice(const us_kernel_choice *x, us_buf *b)
{
    us_buf_clear(b);
    if (!x) return US_OK;
    if (x->ns && x->ns[x->chosen] > 0)
        say_times(b, x);
    else
        us_buf_addf(b, "model: %s of %zu", x->list[x->chosen].name, x->n);
    return us_buf_check(b);
}

static us_err print_json(explain *k, us_buf *type)
{
    json_t *list = json_array();
    for (size_t i = 0; i < k->n_rows; i++) {
        const us_profile_row *r = k->rows[i];
        us_err e = print_type(k, &r->out_type, type);
        json_t *row =
            e == US_OK
                ? json_pack("{s:o, s:o, s:s, s:s?, s:o, s:f, s:f, s:f, s:f, s:o}", "node",
                            us_text_json(r->node), "operator", us_text_json(r->op), "kernel",
                            r->kernel, "why", r->why, "type", us_text_json(us_buf_sv(type)),
                            "us", (double)r->ns / 1e3 / (double)k->n_runs, "calls",
                            (double)r->n_calls / (double)k->n_runs, "work", r->work, "of_peak",
                            share_of_peak(k, r), "choice", choice_json(r->choice))
                : NULL;
        if (!row || json_array_append_new(list, row) != 0) {
            json_decref(list);
            return us_nomem(k->c);
        }
    }
    json_t *all =
        json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:o}", "file", k->cli->args[0], "level",
                  level(k), "runs", (json_int_t)k->n_runs, "us", k->run_ns / 1e3, "steps_us",
                  k->steps_ns / 1e3, "peak_gmac_s", k->peak, "steps", list);
    US_TRY(us_json_keep(k->c, k->a, all));
    return us_out_json(k->cli, all);
}

static us_err add_row(explain *k, us_rtable *t, const us_profile_row *r, us_buf *type)
{
    double us = (double)r->ns / 1e3 / (double)k->n_runs;
    double peak = share_of_peak(k, r);
    US_TRY(print_type(k, &r->out_type, type));
    us_rtable_cellf(t, us < 100 ? "%.2f" : "%.0f", us);
    us_rtable_cellf(t, "%.1f", k->steps_ns > 0 ? us * 1e5 / k->steps_ns : 0);
    us_rtable_cellf(t, peak < 0.1 ? "%.1f" : "%.0f", 100 * peak);
    us_rtable_cellsv(t, r->op);
    us_rtable_cell(t, r->kernel);
    if (strcmp(r->kernel, "ref") == 0) us_rtable_tone(t, US_FAINT);
    us_rtable_cellsv(t, us_buf_sv(type));
    if (r->node.n > MAX_NODE)
        us_rtable_cellf(t, "%.*s...", MAX_NODE - 3, r->node.p);
    else
        us_rtable_cellsv(t, r->node);
    if (k->any_why) us_rtable_cell(t, r->why ? r->why : "");
    if (k->any_choice) {
        US_TRY(print_choice(r->choice, type));
        us_rtable_cellsv(t, us_buf_sv(type));
    }
    return US_OK;
}

static us_err print_table(explain *k, us_buf *type)
{
    us_rtable *t;
    char run[32];
    size_t most = k->args->order || k->args->top == 0 ? k->n_rows : (size_t)k->args->top;
    size_t n = US_MIN(k->n_rows, most);
    us_outf(k->cli->out,
            "%s: %s a run (%llu runs), %zu steps, %s, %d thread%s; peak %.0f billion "
            "multiply-adds a second\n\n",
            k->cli->args[0], us_print_duration((int64_t)k->run_ns, run),
            (unsigned long long)k->n_runs, k->n_rows, level(k), us_pool_n_threads(k->c->pool),
            us_pool_n_threads(k->c->pool) == 1 ? "" : "s", k->peak);
    const char *columns =
        us_str_printf(k->a, ">us|>%% time|>%% peak|operator|kernel|output|node%s%s",
                      k->any_why ? "|why" : "", k->any_choice ? "|choice" : "");
    if (!columns) return us_arena_fail(k->c, k->a);
    US_TRY(us_rtable_new(k->c, k->a, NULL, columns, &t));
    for (size_t i = 0; i < n; i++)
        US_TRY(add_row(k, t, k->rows[i], type));
    US_TRY(us_out_table(k->cli, t));
    if (n < k->n_rows)
        us_outf(k->cli->out, "\n%zu more steps: --top 0 prints all\n", k->n_rows - n);
    return US_OK;
}

static us_err explain_all(explain *k)
{
    const char *path = k->cli->args[0];
    us_buf type;
    US_TRY(load(k, path));
    US_TRY(run(k, path));
    US_TRY(measure_peak(k));
    US_TRY(pick_rows(k));
    us_buf_init(&type, k->c, 4096);
    us_err e = k->cli->json ? print_json(k, &type) : print_table(k, &type);
    us_buf_deinit(&type);
    return e;
}

static us_err explain_main(us_cli *cli, void *args)
{
    explain k = {.cli = cli, .c = cli->c, .a = cli->arena, .args = args};
    us_err e = explain_all(&k);
    us_session_free(k.session);
    us_plan_free(k.plan);
    return e;
}

const us_cmd us_cmd_explain = {.name = "explain",
                               .args = "MODEL",
                               .help = "what each step of a run costs, what runs it and why",
                               .needs = US_NEED_POOL,
                               .min_args = 1,
                               .max_args = 1,
                               .opts = opts,
                               .args_size = sizeof(explain_args),
                               .run = explain_main};
