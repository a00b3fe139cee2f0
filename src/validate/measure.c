/* validate/measure.c - latency of single rows and memory of a fresh load, measured here and now.
 *
 * Latency: one row at a time through decoder and model, as a server meets them; the first tenth warms up. Memory: the model is
 * loaded again under a counting allocator, which sees every byte the engine holds for it: file, graph, plan, arenas.
 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "validate/gate.h"

#define LATENCY_BUDGET_NS 2000000000u /* measuring stops after two seconds */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static us_err one_row(us_gate *g, us_arena *tmp, uint32_t row)
{
    us_predictions y;
    us_value *in = us_new_n(tmp, us_value, g->p.decoder.n_inputs);
    if (!in) return us_arena_fail(g->c, tmp);
    US_TRY(us_decode_table(g->c, tmp, &g->p.decoder, g->in->table, &row, 1, in));
    return us_predict(g->c, &g->p, tmp, in, 1, &y);
}

static us_err time_rows(us_gate *g, us_arena *tmp, size_t n, uint64_t *ns, size_t *n_done)
{
    uint64_t begin = us_now_ns();
    size_t i = 0;
    for (; i < n && us_now_ns() - begin < LATENCY_BUDGET_NS; i++) {
        us_mark mark = us_arena_mark(tmp);
        uint64_t t = us_now_ns();
        us_err e = one_row(g, tmp, g->in->rows[i % g->in->n_rows]);
        ns[i] = us_now_ns() - t;
        us_arena_reset(tmp, mark);
        if (e != US_OK) return e;
    }
    *n_done = i;
    return US_OK;
}

static us_err measure_latency(us_gate *g)
{
    size_t n = g->in->n_latency_runs ? g->in->n_latency_runs : 2000, done = 0;
    uint64_t *ns = us_new_n(g->a, uint64_t, n);
    us_arena *tmp;
    if (!ns) return us_arena_fail(g->c, g->a);
    US_TRY(us_arena_new(g->c, "latency", (size_t)1 << 30, &tmp));
    us_err e = time_rows(g, tmp, n, ns, &done);
    us_arena_free(tmp);
    if (e != US_OK) return e;
    size_t warm = done / 10;
    size_t m = done - warm;
    if (!m)
        return us_fail(g->c, US_IO,
                       "latency could not be measured: one prediction takes over two seconds");
    qsort(ns + warm, m, sizeof *ns, by_value);
    g->latency_p50_ms = (double)ns[warm + (m - 1) / 2] / 1e6;
    g->latency_p99_ms = (double)ns[warm + (size_t)ceil(0.99 * (double)m) - 1] / 1e6;
    return US_OK;
}

static us_err load_and_run(us_ctx *c, us_gate *g)
{
    us_arena *a;
    us_predictor p = {0};
    us_predictions y;
    US_TRY(us_arena_new(c, "memory measurement", (size_t)4 << 30, &a));
    us_err e = us_predictor_open(c, a, g->in->name, g->in->model, &p);
    if (e == US_OK) e = us_predict_table(c, &p, a, g->in->table, g->in->rows, 1, &y);
    us_predictor_close(&p);
    us_arena_free(a);
    return e;
}

static us_err measure_memory(us_gate *g)
{
    us_alloc_count count = {0};
    us_ctx c;
    us_ctx_init(&c);
    c.kernels = g->c->kernels;
    c.alloc = us_alloc_counting(&count, g->c->alloc);
    us_err e = load_and_run(&c, g);
    if (e != US_OK) (void)us_fail(g->c, e, "%s", c.diag.text);
    us_ctx_deinit(&c);
    g->memory_peak_bytes =
        count.peak_bytes + g->in->model.n; /* the file's bytes lie in memory, too */
    return e;
}

us_err us_gate_measure(us_gate *g)
{
    US_TRY(measure_latency(g));
    return measure_memory(g);
}
