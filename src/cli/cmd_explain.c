/* cli/cmd_explain.c - `usta explain MODEL`: what a run is made of, step by step, and why.
 *
 * The model is planned as for any run and run until the figures settle; each step's row says what runs it, how long it takes at best,
 * and, where it is made of products, how near to the processor's peak it comes. The peak is what this build's matrix products reach on panels
 * that lie in the first-level cache, measured here and now: multiply-adds per second, of floats and of 8-bit numbers. The
 * shortest time of many runs is what a step takes on this machine when nobody else is at work.
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
#include "kernel/conv.h"
#include "kernel/gemm.h"
#include "kernel/int8.h"

enum { MIN_RUNS = 5, PEAK_WINDOWS = 60, PEAK_K = 256, PEAK_K_BYTES = 512, MAX_NODE = 40 };

typedef struct explain_args {
    us_texts in;
    us_textmap dims;
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
    us_inputs in;
    us_value *out;
    const us_profile_row *all; /* of the session */
    size_t n_all;
    uint64_t *best;              /* per row of it: ns in the run where that was least */
    const us_profile_row **rows; /* those that ran, as they are printed */
    size_t n_rows;
    bool any_bytes, any_blocks;
    uint64_t n_runs;
    double run_ns, mean_ns, steps_ns; /* of the shortest run, of one on average; of all rows */
    double peak, peak_bytes;          /* multiply-adds per nanosecond; 0: not known */
    size_t block;                     /* channels of one where they lie in blocks */
} explain;

#define F(f) offsetof(explain_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXTS, 'i', "input", F(in), "[]", 0, 0, "NAME=FILE", "", NULL,
     "an input: .npy, .json for strings, or a picture; random contents for those not given"},
    {US_OPT_INT, 0, "seed", F(seed), "0", 0, 9e15, "", "", NULL, "of the random contents"},
    US_DIM_OPT(explain_args, dims),
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

static us_err measure_peak_bytes(explain *k)
{
    const us_int8_kernels *f = us_kernels_get(k->c)->int8;
    size_t m = 4 * f->mr, n = f->layout.nr, bytes;
    if (!us_int8_pack_bytes(&f->layout, n, PEAK_K_BYTES, &bytes)) return US_OK;
    uint8_t *a = us_new_n(k->a, uint8_t, m * PEAK_K_BYTES);
    int8_t *b = us_new_n(k->a, int8_t, n * PEAK_K_BYTES),
           *w = us_arena_alloc(k->a, 1, bytes, 64);
    int32_t *add = us_new_n(k->a, int32_t, n), *y = us_new_n(k->a, int32_t, m * n);
    if (!a || !b || !w || !add || !y) return us_arena_fail(k->c, k->a);
    us_int8_weights from = {.n = n, .k = PEAK_K_BYTES, .b = b, .ldb = n};
    us_int8_end end = {.type = US_INT8_I32, .add = add};
    f->pack(&from, w);
    us_int8_args p = {
        .m = m, .n = n, .k = PEAK_K_BYTES, .j1 = n, .a = a, .lda = PEAK_K_BYTES, .w = w};
    p.end = &end;
    p.c = y;
    p.ldc = n;
    for (int i = 0; i < PEAK_WINDOWS; i++) {
        enum { CALLS = 20 };
        uint64_t t = us_now_ns();
        for (int j = 0; j < CALLS; j++)
            f->gemm(&p);
        double rate =
            (double)CALLS * (double)(m * n * PEAK_K_BYTES) / (double)(us_now_ns() - t + 1);
        k->peak_bytes = US_MAX(k->peak_bytes, rate);
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
    us_input_args in = {k->args->in, k->args->dims, true, k->args->seed, &k->args->images};
    k->out = us_new_n(k->a, us_value, us_plan_n_outputs(k->plan));
    if (!k->out) return us_arena_fail(k->c, k->a);
    return us_inputs_open(k->c, k->a, k->plan, &in, &k->in);
}

static void keep_best(explain *k)
{
    for (size_t i = 0; i < k->n_all; i++)
        if (k->all[i].n_calls > 0) k->best[i] = US_MIN(k->best[i], k->all[i].ns);
}

/* The first runs bind and warm up; they do not count. */
static us_err run(explain *k, const char *path)
{
    enum { WARM_RUNS = 2 };
    for (int i = 0; i < WARM_RUNS; i++) {
        us_err e = us_inputs_run(&k->in, k->session, k->out);
        if (e != US_OK) return us_wrap(k->c, e, "%s", path);
    }
    k->n_all = us_session_profile(k->session, &k->all);
    k->best = us_new_n(k->a, uint64_t, k->n_all);
    if (!k->best) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < k->n_all; i++)
        k->best[i] = UINT64_MAX;
    uint64_t t0 = us_now_ns(), until = t0 + (uint64_t)k->args->millis * 1000000, now = t0;
    k->run_ns = (double)INFINITY;
    while (k->n_runs < MIN_RUNS || now < until) {
        us_session_profile_reset(k->session);
        uint64_t begin = us_now_ns();
        US_TRY(us_session_run(k->c, k->session, k->in.in, k->out));
        now = us_now_ns();
        keep_best(k);
        k->run_ns = fmin(k->run_ns, (double)(now - begin));
        k->n_runs++;
    }
    k->mean_ns = (double)(now - t0) / (double)k->n_runs;
    return US_OK;
}

static double best_of(const explain *k, const us_profile_row *r)
{
    return (double)k->best[r - k->all];
}

typedef struct ranked {
    const us_profile_row *row;
    uint64_t ns;
} ranked;

static int by_time(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->ns != y->ns) return x->ns < y->ns ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Five dimensions that end in a block: channels that lie so. */
static bool is_blocked(const explain *k, const us_type *t)
{
    return k->block && t->kind == US_KIND_TENSOR && t->rank == 5 && us_dim_known(t->dims[4]) &&
           t->dims[4].add == (int64_t)k->block;
}

static bool has_blocks(const explain *k)
{
    const us_graph *g = us_plan_model(k->plan)->main;
    for (size_t i = 0; i < g->order.n; i++) {
        us_op_id id = us_op_index(g->nodes.at[g->order.at[i]].op);
        if (id == US_OP_BLOCKED_CONV || id == US_OP_REORDER_IN) return true;
    }
    return false;
}

static us_err pick_rows(explain *k)
{
    k->rows = us_new_n(k->a, const us_profile_row *, k->n_all);
    ranked *ranks = us_new_n(k->a, ranked, k->n_all);
    if (!k->rows || !ranks) return us_arena_fail(k->c, k->a);
    if (has_blocks(k)) k->block = us_kernels_get(k->c)->conv->block;
    for (size_t i = 0; i < k->n_all; i++) {
        const us_profile_row *r = &k->all[i];
        if (k->best[i] == UINT64_MAX) continue;
        ranks[k->n_rows++] = (ranked){r, k->best[i]};
        k->any_bytes = k->any_bytes || r->bytes;
        k->any_blocks = k->any_blocks || is_blocked(k, &r->out_type);
        k->steps_ns += (double)k->best[i];
    }
    if (!k->args->order) qsort(ranks, k->n_rows, sizeof *ranks, by_time);
    for (size_t i = 0; i < k->n_rows; i++)
        k->rows[i] = ranks[i].row;
    return US_OK;
}

/* --- shares and names ------------------------------------------------------------------------------------ */

/* Of all threads' peak; 0: not made of products. */
static double share_of_peak(const explain *k, const us_profile_row *r)
{
    double threads = us_pool_n_threads(k->c->pool);
    double ns = best_of(k, r), peak = r->bytes ? k->peak_bytes : k->peak;
    return peak > 0 && ns > 0 && r->n_calls ? r->macs * (double)r->n_calls / ns / peak / threads
                                            : 0;
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

static void say_us(us_buf *b, double ns)
{
    us_buf_addf(b, ns < 1e5 ? "%.2f" : "%.0f", ns / 1e3);
}

/* The model's choice where that is another, and of the rest the one that took least time. */
static void say_times(us_buf *b, const us_kernel_choice *x)
{
    size_t next = x->n, n = 0;
    us_buf_addf(b, "timed: %s ", x->list[x->chosen].name);
    say_us(b, x->ns[x->chosen]);
    for (size_t i = 0; i < x->n; i++) {
        if (i == x->chosen || !(x->ns[i] > 0)) continue;
        n++;
        if (i != x->best && (next == x->n || x->ns[i] < x->ns[next])) next = i;
    }
    if (x->best != x->chosen && x->ns[x->best] > 0) {
        us_buf_addf(b, ", model's %s ", x->list[x->best].name);
        say_us(b, x->ns[x->best]);
        n--;
    }
    if (next < x->n) {
        us_buf_addf(b, ", %s ", x->list[next].name);
        say_us(b, x->ns[next]);
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

/* --- 8-bit numbers -------------------------------------------------------------------------------------- */

/* Where a quantised model's time goes: its products, those left in float, and steps that only change the form of numbers. */
typedef struct bytes_facts {
    double macs, macs_bytes, form_ns;
    size_t n_form;
} bytes_facts;

static bool changes_form(const us_profile_row *r)
{
    static const char *const ops[] = {"QuantizeLinear", "DequantizeLinear",
                                      "DynamicQuantizeLinear"};
    for (size_t i = 0; i < US_LEN(ops); i++)
        if (us_sv_is(r->op, ops[i])) return true;
    return false;
}

static bytes_facts count_bytes(const explain *k)
{
    bytes_facts f = {0};
    for (size_t i = 0; i < k->n_rows; i++) {
        const us_profile_row *r = k->rows[i];
        double macs = r->macs * (double)r->n_calls;
        f.macs += macs;
        f.macs_bytes += r->bytes ? macs : 0;
        if (!changes_form(r)) continue;
        f.form_ns += best_of(k, r);
        f.n_form++;
    }
    return f;
}

/* Nothing for a model of floats. */
static void print_bytes(explain *k)
{
    bytes_facts f = count_bytes(k);
    if (!k->any_bytes && f.n_form == 0) return;
    us_outf(k->cli->out, "8-bit: %.1f %% of multiply-adds are of 8-bit numbers",
            f.macs > 0 ? 100 * f.macs_bytes / f.macs : 0);
    if (f.n_form)
        us_outf(k->cli->out, "; %zu step%s only between them and floats, %.1f %% of the time",
                f.n_form, f.n_form == 1 ? " goes" : "s go",
                k->steps_ns > 0 ? 100 * f.form_ns / k->steps_ns : 0);
    us_outf(k->cli->out, "\n");
}

/* --- the answer ---------------------------------------------------------------------------------------- */

static json_t *row_json(explain *k, const us_profile_row *r, us_buf *type)
{
    double share = share_of_peak(k, r);
    if (print_type(k, &r->out_type, type) != US_OK) return NULL;
    json_t *row = json_pack("{s:o, s:o, s:s, s:s?, s:o, s:s, s:f, s:f, s:f, s:f, s:o}", "node",
                            us_text_json(r->node), "operator", us_text_json(r->op), "kernel",
                            r->kernel, "why", r->why, "type", us_text_json(us_buf_sv(type)),
                            "layout", is_blocked(k, &r->out_type) ? "blocks" : "plain", "us",
                            best_of(k, r) / 1e3, "calls", (double)r->n_calls, "work", r->work,
                            "macs", r->macs, "choice", choice_json(r->choice));
    if (row && share > 0) json_object_set_new(row, "of_peak", json_real(share));
    return row;
}

static us_err print_json(explain *k, us_buf *type)
{
    bytes_facts f = count_bytes(k);
    json_t *list = json_array();
    for (size_t i = 0; i < k->n_rows; i++) {
        json_t *row = row_json(k, k->rows[i], type);
        if (!row || json_array_append_new(list, row) != 0) {
            json_decref(list);
            return us_nomem(k->c);
        }
    }
    json_t *all =
        json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "file",
                  k->cli->args[0], "level", level(k), "runs", (json_int_t)k->n_runs, "us",
                  k->run_ns / 1e3, "mean_us", k->mean_ns / 1e3, "steps_us", k->steps_ns / 1e3,
                  "peak_gmac_s", k->peak, "peak_8bit_gmac_s", k->peak_bytes, "macs", f.macs,
                  "macs_8bit", f.macs_bytes, "steps", list);
    US_TRY(us_json_keep(k->c, k->a, all));
    return us_out_json(k->cli, all);
}

static us_err add_row(explain *k, us_rtable *t, const us_profile_row *r, bool why, bool choice,
                      us_buf *type)
{
    double us = best_of(k, r) / 1e3, peak = share_of_peak(k, r);
    US_TRY(print_type(k, &r->out_type, type));
    us_rtable_cellf(t, us < 100 ? "%.2f" : "%.0f", us);
    us_rtable_cellf(t, "%.1f", k->steps_ns > 0 ? us * 1e5 / k->steps_ns : 0);
    if (peak > 0)
        us_rtable_cellf(t, peak < 0.1 ? "%.1f" : "%.0f", 100 * peak);
    else
        us_rtable_cell(t, "-");
    us_rtable_cellsv(t, r->op);
    us_rtable_cell(t, r->kernel);
    if (strcmp(r->kernel, "ref") == 0) us_rtable_tone(t, US_FAINT);
    us_rtable_cellsv(t, us_buf_sv(type));
    if (r->node.n > MAX_NODE)
        us_rtable_cellf(t, "%.*s...", MAX_NODE - 3, r->node.p);
    else
        us_rtable_cellsv(t, r->node);
    if (why) us_rtable_cell(t, r->why ? r->why : "");
    if (choice) {
        US_TRY(print_choice(r->choice, type));
        us_rtable_cellsv(t, us_buf_sv(type));
    }
    return US_OK;
}

/* What was run is told where it was ours to choose. */
static void print_sizes(explain *k)
{
    us_buf b;
    us_buf_init(&b, k->c, 4096);
    us_inputs_print(&k->in, &b);
    us_sv s = us_buf_sv(&b);
    if (s.n)
        us_outf(k->cli->out, "inputs of " US_SV_FMT "%s; --dim NAME=SIZE sets others\n",
                US_SV_ARG(s), k->in.step ? " (smaller ones do not run)" : "");
    us_buf_deinit(&b);
}

static void print_head(explain *k)
{
    char run[32], mean[32];
    int threads = us_pool_n_threads(k->c->pool);
    us_outf(k->cli->out,
            "%s: %s a run at best, %s on average of %llu; %zu steps, %s, %d thread%s\n",
            k->cli->args[0], us_print_duration((int64_t)k->run_ns, run),
            us_print_duration((int64_t)k->mean_ns, mean), (unsigned long long)k->n_runs,
            k->n_rows, level(k), threads, threads == 1 ? "" : "s");
    us_outf(k->cli->out, "peak of each thread: %.0f billion multiply-adds a second", k->peak);
    if (k->any_bytes) us_outf(k->cli->out, ", %.0f of 8-bit numbers", k->peak_bytes);
    us_outf(k->cli->out, "\n");
    print_sizes(k);
    print_bytes(k);
    us_outf(k->cli->out, "\n");
}

static us_err print_table(explain *k, us_buf *type)
{
    us_rtable *t;
    size_t most = k->args->order || k->args->top == 0 ? k->n_rows : (size_t)k->args->top;
    size_t n = US_MIN(k->n_rows, most);
    bool any_why = false, any_choice = false;
    for (size_t i = 0; i < n; i++) {
        any_why = any_why || k->rows[i]->why;
        any_choice = any_choice || k->rows[i]->choice;
    }
    print_head(k);
    const char *columns =
        us_str_printf(k->a, ">us|>%% time|>%% peak|operator|kernel|output|node%s%s",
                      any_why ? "|why" : "", any_choice ? "|choice" : "");
    if (!columns) return us_arena_fail(k->c, k->a);
    US_TRY(us_rtable_new(k->c, k->a, NULL, columns, &t));
    for (size_t i = 0; i < n; i++)
        US_TRY(add_row(k, t, k->rows[i], any_why, any_choice, type));
    US_TRY(us_out_table(k->cli, t));
    if (n < k->n_rows || k->any_blocks) us_outf(k->cli->out, "\n");
    if (k->any_blocks)
        us_outf(k->cli->out, "five dimensions that end in %zu: channels lie in blocks\n",
                k->block);
    if (n < k->n_rows)
        us_outf(k->cli->out, "%zu more steps: --top 0 prints all\n", k->n_rows - n);
    return US_OK;
}

static us_err explain_all(explain *k)
{
    const char *path = k->cli->args[0];
    us_buf type;
    US_TRY(load(k, path));
    US_TRY(run(k, path));
    US_TRY(measure_peak(k));
    US_TRY(measure_peak_bytes(k));
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
