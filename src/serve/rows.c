/* serve/rows.c - predictions for raw rows: JSON (an object or array per row, or {"rows": [...]}) and CSV, through the one
 * row decoder; the answer is one JSON object per row. */
#include "base/clock.h"
#include "serve/server.h"

static us_err decode_csv(us_call *k)
{
    const char *header = us_http_query(k->req, "header");
    bool first_line = true;
    if (header && !us_parse_bool(us_sv_of(header), &first_line))
        return us_fail(k->c, US_ARG, "query header=%s: expected yes or no", header);
    return us_decode_csv(k->c, k->req->arena, &k->p->decoder, k->req->body, first_line, &k->n,
                         k->in);
}

static us_err decode_json(us_call *k)
{
    json_t *body;
    US_TRY(us_json_parse(k->c, k->req->arena, "request body", k->req->body, 0, &body));
    const json_t *rows = json_is_object(body) ? json_object_get(body, "rows") : NULL;
    return us_decode_json(k->c, k->req->arena, &k->p->decoder,
                          json_is_array(rows) ? rows : body, &k->n, k->in);
}

static void print_classes(us_buf *b, const us_passport *pp, const us_predictions *y, size_t i)
{
    const float *p = y->prob + i * y->k;
    us_buf_adds(b, "{\"label\":");
    us_json_add_text(b, pp->classes[y->label[i]]);
    us_buf_adds(b, ",\"confidence\":");
    us_json_add_f32(b, p[y->label[i]]);
    us_buf_adds(b, ",\"probabilities\":{");
    for (size_t j = 0; j < y->k; j++) {
        if (j) us_buf_addc(b, ',');
        us_json_add_text(b, pp->classes[j]);
        us_buf_addc(b, ':');
        us_json_add_f32(b, p[j]);
    }
    us_buf_adds(b, "}}");
}

static void print_answer(us_call *k)
{
    us_buf *b = &k->res->body;
    us_buf_adds(b, "{\"model\":");
    us_json_add_text(b, us_sv_of(k->s->o.model_name));
    us_buf_adds(b, ",\"version\":");
    us_json_add_text(b, us_sv_of(k->s->o.version));
    us_buf_adds(b, ",\"predictions\":[");
    for (size_t i = 0; i < k->n; i++) {
        if (i) us_buf_addc(b, ',');
        if (k->y.task == US_TASK_CLASSES) {
            print_classes(b, &k->p->passport, &k->y, i);
        } else {
            us_buf_adds(b, "{\"prediction\":");
            us_json_add_f32(b, k->y.value[i]);
            us_buf_addc(b, '}');
        }
    }
    us_buf_adds(b, "]}\n");
}

us_err us_rows_predict(us_call *k)
{
    uint64_t t = us_now_ns();
    bool csv = us_sv_is(k->req->content_type, "text/csv");
    US_TRY(csv ? decode_csv(k) : decode_json(k));
    atomic_fetch_add(&k->s->metrics.decode_ns, us_now_ns() - t);
    US_TRY(us_call_predict(k));
    t = us_now_ns();
    print_answer(k);
    atomic_fetch_add(&k->s->metrics.encode_ns, us_now_ns() - t);
    return US_OK;
}
