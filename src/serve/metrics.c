/* serve/metrics.c - counters and their Prometheus text: our own names in base units, and the nv_inference_* set that
 * existing dashboards know (microseconds, as Triton counts them). */
#include "base/clock.h"
#include "serve/server.h"

/* Upper bounds in seconds. */
static const double bounds[US_LATENCY_BUCKETS] = {
    25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.5, 1};

void us_metrics_request(us_metrics *m, us_outcome o, uint64_t n_rows, uint64_t ns)
{
    atomic_fetch_add(&m->requests[o], 1);
    if (o != US_OUT_OK) return;
    size_t i = 0;
    while (i < US_LATENCY_BUCKETS && (double)ns * 1e-9 > bounds[i])
        i++;
    atomic_fetch_add(&m->bucket[i], 1);
    atomic_fetch_add(&m->latency_ns, ns);
    atomic_fetch_add(&m->rows, n_rows);
}

static void head(us_buf *b, const char *name, const char *type, const char *help)
{
    us_buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(us_buf *b, const char *name, const char *help, const char *labels, double v)
{
    char text[32];
    head(b, name, "counter", help);
    us_buf_addf(b, "%s{%s} ", name, labels);
    us_buf_add(b, text, us_print_f64(v, text));
    us_buf_addc(b, '\n');
}

static void latency(const us_metrics *m, const char *labels, us_buf *b)
{
    char text[32];
    uint64_t sum = 0;
    head(b, "usta_request_duration_seconds", "histogram",
         "Time from the whole request to the whole answer.");
    for (size_t i = 0; i < US_LATENCY_BUCKETS; i++) {
        sum += atomic_load(&m->bucket[i]);
        us_buf_addf(b, "usta_request_duration_seconds_bucket{%s,le=\"", labels);
        us_buf_add(b, text, us_print_f64(bounds[i], text));
        us_buf_addf(b, "\"} %llu\n", (unsigned long long)sum);
    }
    sum += atomic_load(&m->bucket[US_LATENCY_BUCKETS]);
    us_buf_addf(b, "usta_request_duration_seconds_bucket{%s,le=\"+Inf\"} %llu\n", labels,
                (unsigned long long)sum);
    us_buf_addf(b, "usta_request_duration_seconds_sum{%s} ", labels);
    us_buf_add(b, text, us_print_f64((double)atomic_load(&m->latency_ns) * 1e-9, text));
    us_buf_addf(b, "\nusta_request_duration_seconds_count{%s} %llu\n", labels,
                (unsigned long long)sum);
}

void us_metrics_print(const us_metrics *m, const char *model, const char *version, us_buf *b)
{
    static const char *const outcomes[US_OUT_N] = {"ok", "bad_request", "error"};
    char labels[256];
    us_buf name;
    us_buf_init(&name, b->c, sizeof labels - 1);
    us_buf_addf(&name, "model=\"%s\",version=\"%s\"", model, version);
    const char *l = us_buf_sv(&name).n ? us_buf_sv(&name).p : "";
    uint64_t ok = atomic_load(&m->requests[US_OUT_OK]);
    uint64_t failed =
        atomic_load(&m->requests[US_OUT_BAD_REQUEST]) + atomic_load(&m->requests[US_OUT_ERROR]);
    head(b, "usta_requests_total", "counter", "Prediction requests by outcome.");
    for (size_t i = 0; i < US_OUT_N; i++)
        us_buf_addf(b, "usta_requests_total{%s,outcome=\"%s\"} %llu\n", l, outcomes[i],
                    (unsigned long long)atomic_load(&m->requests[i]));
    counter(b, "usta_rows_total", "Rows predicted.", l, (double)atomic_load(&m->rows));
    latency(m, l, b);
    counter(b, "nv_inference_request_success", "Requests answered.", l, (double)ok);
    counter(b, "nv_inference_request_failure", "Requests refused or failed.", l,
            (double)failed);
    counter(b, "nv_inference_count", "Rows predicted.", l, (double)atomic_load(&m->rows));
    counter(b, "nv_inference_exec_count", "Runs of the model.", l, (double)ok);
    counter(b, "nv_inference_request_duration_us", "Time of answered requests.", l,
            (double)(atomic_load(&m->latency_ns) / 1000));
    counter(b, "nv_inference_compute_input_duration_us", "Time of decoding.", l,
            (double)(atomic_load(&m->decode_ns) / 1000));
    counter(b, "nv_inference_compute_infer_duration_us", "Time of running the model.", l,
            (double)(atomic_load(&m->infer_ns) / 1000));
    counter(b, "nv_inference_compute_output_duration_us", "Time of encoding.", l,
            (double)(atomic_load(&m->encode_ns) / 1000));
    char text[32];
    head(b, "usta_uptime_seconds", "gauge", "Time since the server started.");
    us_buf_addf(b, "usta_uptime_seconds{%s} ", l);
    us_buf_add(b, text, us_print_f64((double)(us_wall_us() - m->started_us) * 1e-6, text));
    us_buf_addc(b, '\n');
    us_buf_deinit(&name);
}
