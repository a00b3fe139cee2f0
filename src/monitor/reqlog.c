/* monitor/reqlog.c - see reqlog.h. */
#include "monitor/reqlog.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

us_err us_reqlog_path(us_ctx *c, us_arena *a, const char *workspace, const char *model_hash,
                      char **out)
{
    char *z = us_str_printf(a, "%s/served/%.16s.jsonl", workspace, model_hash);
    if (!z) return us_arena_fail(c, a);
    *out = z;
    return US_OK;
}

static void print_cell(us_buf *b, const us_decoder *d, const us_value *in, size_t i_feature,
                       size_t i_row)
{
    if (us_decoded_is_string(d, i_feature)) {
        us_sv s = us_decoded_string(d, in, i_feature, i_row);
        if (s.n)
            us_json_add_text(b, s);
        else
            us_buf_adds(b, "null");
        return;
    }
    double v = us_decoded_number(d, in, i_feature, i_row);
    if (d->features[i_feature]->kind == US_DK_TIMESTAMP && !isnan(v)) {
        char time[40];
        us_json_add_text(b, us_sv_of(us_print_time_iso((int64_t)v, time)));
        return;
    }
    us_json_add_f32(b, (float)v);
}

void us_reqlog_print(us_buf *b, const us_decoder *d, const us_value *in,
                     const us_predictions *y, const us_passport *p, int64_t at_us)
{
    us_buf_addf(b, "{\"t\":%lld,\"in\":[", (long long)at_us);
    for (size_t i = 0; i < y->n; i++) {
        us_buf_adds(b, i ? ",[" : "[");
        for (size_t k = 0; k < d->n_features; k++) {
            if (k) us_buf_addc(b, ',');
            print_cell(b, d, in, k, i);
        }
        us_buf_addc(b, ']');
    }
    bool classes = y->task == US_TASK_CLASSES;
    us_buf_adds(b, classes ? "],\"label\":[" : "],\"prediction\":[");
    for (size_t i = 0; i < y->n; i++) {
        if (i) us_buf_addc(b, ',');
        if (classes)
            us_json_add_text(b, p->classes[y->label[i]]);
        else
            us_json_add_f32(b, y->value[i]);
    }
    us_buf_adds(b, "]}\n");
}

us_err us_reqlog_append(us_ctx *c, const char *path, const us_buf *b, uint64_t max_bytes)
{
    struct stat st;
    if (stat(path, &st)) {
        char dir[4096];
        const char *slash = strrchr(path, '/');
        if (slash && (size_t)(slash - path) < sizeof dir) {
            memcpy(dir, path, (size_t)(slash - path));
            dir[slash - path] = 0;
            US_TRY(us_mkdirs(c, dir));
        }
    } else if ((uint64_t)st.st_size > max_bytes) {
        char old[4096];
        if ((size_t)snprintf(old, sizeof old, "%s.1", path) < sizeof old && rename(path, old))
            us_logf(c, US_LOG_WARN, "%s: cannot be rotated", path);
    }
    return us_file_append(c, path, b->p, b->n);
}

/* Did the model answer then as it answers now? */
static uint64_t count_skewed(const json_t *line, const us_predictor *p, const us_predictions *y)
{
    bool classes = y->task == US_TASK_CLASSES;
    const json_t *then = json_object_get(line, classes ? "label" : "prediction");
    uint64_t n = 0;
    for (size_t i = 0; i < y->n; i++) {
        const json_t *v = json_array_get(then, i);
        if (classes)
            n += !json_is_string(v) ||
                 !us_sv_is(p->passport.classes[y->label[i]], json_string_value(v));
        else
            n += !json_is_number(v) || (float)json_number_value(v) != y->value[i];
    }
    return n;
}

typedef struct state {
    us_ctx *c;
    us_predictor *p;
    us_window *w;
    us_arena *tmp;
    us_replay *r;
} state;

static us_err turn_window(state *s)
{
    US_TRY(s->r->full(s->r->ud, s->w));
    us_window_clear(s->w);
    return US_OK;
}

static us_err replay_line(state *s, const char *name, us_sv text)
{
    us_ctx *c = s->c;
    json_t *line, *rows;
    int64_t at;
    size_t n;
    us_predictions y;
    US_TRY(us_json_parse(c, s->tmp, name, text, US_REQLOG_MAX_LINE, &line));
    US_TRY(us_json_get_i64(c, line, name, "t", &at));
    if (at < s->r->since_us) return US_OK;
    US_TRY(us_json_get(c, line, name, "in", JSON_ARRAY, &rows));
    us_value *in = us_new_n(s->tmp, us_value, s->p->decoder.n_inputs);
    if (!in) return us_arena_fail(c, s->tmp);
    US_TRY(us_decode_json(c, s->tmp, &s->p->decoder, rows, &n, in));
    US_TRY(us_predict(c, s->p, s->tmp, in, n, &y));
    us_window_add(s->w, &s->p->decoder, in, &y, at);
    s->r->n_requests++;
    s->r->n_rows += n;
    s->r->n_skewed += count_skewed(line, s->p, &y);
    return US_OK;
}

static us_err replay_text(state *s, const char *path, us_sv rest)
{
    while (rest.n) {
        const char *nl = memchr(rest.p, '\n', rest.n);
        if (!nl) break; /* a line still being written, or cut off by a kill */
        us_sv line = {rest.p, (size_t)(nl - rest.p)};
        us_mark mark = us_arena_mark(s->tmp);
        us_err e = replay_line(s, path, line);
        us_arena_reset(s->tmp, mark);
        if (e == US_NOMEM || e == US_BUG) return e;
        s->r->n_bad += e != US_OK;
        if (s->w->n_rows >= s->r->window_rows) US_TRY(turn_window(s));
        rest.n -= line.n + 1;
        rest.p = nl + 1;
        US_TRY(us_ctx_poll(s->c));
    }
    return US_OK;
}

static us_err replay_file(state *s, const char *path)
{
    us_file *f;
    US_TRY(us_file_open(s->c, path, US_REQLOG_MAX_FILE, &f));
    us_err e = replay_text(s, path, (us_sv){(const char *)us_file_data(f), us_file_size(f)});
    us_file_close(f);
    return e;
}

static us_err replay_all(state *s, const char *path)
{
    char *old = us_str_printf(s->tmp, "%s.1", path);
    if (!old) return us_arena_fail(s->c, s->tmp);
    bool has_old = us_path_exists(old), has_new = us_path_exists(path);
    if (!has_old && !has_new)
        return us_fail(s->c, US_NOTFOUND, "%s: nothing has been served yet", path);
    if (has_old) US_TRY(replay_file(s, old));
    if (has_new) US_TRY(replay_file(s, path));
    return s->w->n_rows ? turn_window(s) : US_OK;
}

us_err us_reqlog_replay(us_ctx *c, const char *path, us_predictor *p, us_window *w,
                        us_replay *r)
{
    state s = {.c = c, .p = p, .w = w, .r = r};
    US_TRY(us_arena_new(c, "request log", (size_t)2 << 30, &s.tmp));
    us_err e = replay_all(&s, path);
    us_arena_free(s.tmp);
    return e;
}
