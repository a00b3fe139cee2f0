/* cli/bench_page.c - see bench_page.h. */
#include "cli/bench_page.h"

#include <math.h>

#include "stats/earlystop.h"

static const double percentiles[] = {0.5, 0.9, 0.95, 0.99, 0.999};

/* Times of a few microseconds need their digits. */
static const char *time_text(us_cli *cli, double ns)
{
    char z[32];
    if (isnan(ns)) return "-";
    const char *t = ns >= 1e5
                        ? us_str_printf(cli->arena, "%s", us_print_duration((int64_t)ns, z))
                        : us_str_printf(cli->arena, "%s us", us_print_sig(ns / 1e3, 3, z));
    return t ? t : "-";
}

static const char *rate_text(double v, char z[32])
{
    return v < 1000 ? us_print_sig(v, 4, z) : us_print_count((int64_t)v, z);
}

/* --- JSON ------------------------------------------------------------------------------------------ */

static json_t *us_of(double ns)
{
    return isnan(ns) ? json_null() : json_real(ns / 1e3);
}

static json_t *latency_json(const us_load_result *r)
{
    json_t *list = json_array();
    for (size_t i = 0; r->latency && i < US_LEN(percentiles); i++) {
        double p = percentiles[i];
        json_t *row = json_pack("{s:f, s:o, s:o}", "percentile", 100 * p, "us",
                                us_of(us_load_percentile(r, p)), "at_most_us",
                                us_of(us_load_estimate(r, p)));
        if (!row || json_array_append_new(list, row)) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:f, s:f, s:o, s:o, s:o}", "mean_us", r->mean / 1e3, "std_us",
                     r->std / 1e3, "min_us", us_of(us_load_percentile(r, 0)), "max_us",
                     us_of(us_load_percentile(r, 1)), "percentiles", list);
}

static json_t *scenario_json(const us_load_result *r)
{
    json_t *j =
        json_pack("{s:s, s:b, s:s, s:I, s:I, s:f, s:f}", "scenario", us_load_title(r->kind),
                  "valid", r->valid, "why", r->why, "queries", (json_int_t)r->n_queries,
                  "samples_per_query", (json_int_t)r->per_query, "seconds",
                  (double)r->duration_ns / 1e9, "samples_per_second", r->samples_per_s);
    if (!j) return NULL;
    int bad = 0;
    if (r->latency) bad |= json_object_set_new(j, "latency", latency_json(r));
    if (r->percentile > 0)
        bad |= json_object_set_new(j, "early_stopping",
                                   json_pack("{s:f, s:f, s:f, s:I, s:o}", "percentile",
                                             100 * r->percentile, "confidence",
                                             US_ES_CONFIDENCE, "tolerance", US_ES_TOLERANCE,
                                             "queries_needed", (json_int_t)r->n_needed,
                                             "estimate_us", us_of(r->estimate_ns)));
    if (r->kind == US_LOAD_SERVER)
        bad |= json_object_set_new(j, "server",
                                   json_pack("{s:f, s:f, s:I, s:I}", "queries_per_second",
                                             r->qps, "bound_us", r->bound_ns / 1e3,
                                             "over_bound", (json_int_t)r->n_over, "rates_tried",
                                             (json_int_t)r->n_trials));
    if (bad) {
        json_decref(j);
        return NULL;
    }
    return j;
}

us_err us_bench_json(us_cli *cli, const us_bench_facts *f, const us_load_result *r, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(list, scenario_json(&r[i]))) {
            json_decref(list);
            return us_nomem(cli->c);
        }
    json_t *j = json_pack(
        "{s:s, s:s, s:{s:s, s:i, s:s, s:i}, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:o}", "file",
        f->file, "hash", f->hash, "machine", "processor", f->processor, "processors",
        f->processors, "level", f->level, "threads", f->threads, "seed", (json_int_t)f->seed,
        "samples", (json_int_t)f->n_samples, "least_seconds", f->seconds, "limit_seconds",
        f->limit_seconds, "load_us", f->load_ns / 1e3, "first_run_us", f->first_ns / 1e3,
        "resident_bytes", (json_int_t)f->rss_bytes, "scenarios", list);
    US_TRY(us_json_keep(cli->c, cli->arena, j));
    return us_out_json(cli, j);
}

/* --- the table --------------------------------------------------------------------------------------- */

static void add_figure(us_cli *cli, us_rtable *t, const us_load_result *r)
{
    char z[32];
    if (r->kind == US_LOAD_OFFLINE)
        us_rtable_cellf(t, "%s samples/s", rate_text(r->samples_per_s, z));
    else if (r->kind == US_LOAD_SERVER)
        us_rtable_cellf(t, "%s queries/s, 99 %% within %s", rate_text(r->qps, z),
                        time_text(cli, r->bound_ns));
    else if (isnan(r->estimate_ns))
        us_rtable_cell(t, "-");
    else
        us_rtable_cellf(t, "%.0f %% within %s", 100 * r->percentile,
                        time_text(cli, r->estimate_ns));
    us_rtable_tone(t, r->valid ? US_PLAIN : US_BAD);
}

static void add_scenario(us_cli *cli, us_rtable *t, const us_load_result *r, bool any_why)
{
    char z[32];
    us_rtable_cell(t, us_load_title(r->kind));
    add_figure(cli, t, r);
    for (size_t i = 0; i < US_LEN(percentiles); i++)
        us_rtable_cell(t, time_text(cli, us_load_percentile(r, percentiles[i])));
    us_rtable_cell(t, time_text(cli, r->latency ? r->mean : (double)NAN));
    size_t n = r->kind == US_LOAD_OFFLINE ? r->per_query : r->n_queries;
    us_rtable_cell(t, us_print_count((int64_t)n, z));
    us_rtable_cell(t, us_print_duration((int64_t)r->duration_ns, z));
    if (any_why) us_rtable_cell(t, r->why);
}

us_err us_bench_table(us_cli *cli, const us_bench_facts *f, const us_load_result *r, size_t n)
{
    us_rtable *t;
    char load[32], first[32], rss[32];
    bool any_why = false;
    for (size_t i = 0; i < n; i++)
        any_why = any_why || r[i].why[0];
    us_outf(cli->out,
            "%s (%.12s): loaded in %s, first run %s, then %s resident\n"
            "%s, %s, %d of %d processors, seed %llu, %zu sample%s\n\n",
            f->file, f->hash, us_print_duration((int64_t)f->load_ns, load),
            us_print_duration((int64_t)f->first_ns, first), us_print_bytes(f->rss_bytes, rss),
            f->processor, f->level, f->threads, f->processors, (unsigned long long)f->seed,
            f->n_samples, f->n_samples == 1 ? "" : "s");
    US_TRY(us_rtable_new(
        cli->c, cli->arena, NULL,
        any_why
            ? "scenario|figure|>50 %|>90 %|>95 %|>99 %|>99.9 %|>mean|>queries|>time|not valid"
            : "scenario|figure|>50 %|>90 %|>95 %|>99 %|>99.9 %|>mean|>queries|>time",
        &t));
    for (size_t i = 0; i < n; i++)
        add_scenario(cli, t, &r[i], any_why);
    return us_out_table(cli, t);
}
