/* data/predict.c - see predict.h. */
#include "data/predict.h"

#include <string.h>

#include "onnx/onnx.h"

static size_t find_output(const us_plan *p, const char *name)
{
    for (size_t i = 0; i < us_plan_n_outputs(p); i++)
        if (us_sv_is(us_plan_output_name(p, i), name)) return i;
    return SIZE_MAX;
}

/* Each plan input is one of the decoder's, and the other way round. */
static us_err tie_inputs(us_ctx *c, us_arena *a, us_predictor *p)
{
    const us_decoder *d = &p->decoder;
    p->n_inputs = us_plan_n_inputs(p->plan);
    if (p->n_inputs != d->n_inputs)
        return us_fail(c, US_FORMAT, "the model has %zu inputs, its passport describes %zu",
                       p->n_inputs, d->n_inputs);
    p->input_at = us_new_n(a, size_t, p->n_inputs);
    if (!p->input_at) return us_arena_fail(c, a);
    for (size_t i = 0; i < p->n_inputs; i++) {
        us_sv name = us_plan_input_name(p->plan, i);
        size_t k = 0;
        while (k < d->n_inputs && !us_sv_eq(d->inputs[k].name, name))
            k++;
        if (k == d->n_inputs)
            return us_fail(c, US_FORMAT,
                           "the model's input '" US_SV_FMT "' is not in its passport",
                           US_SV_ARG(name));
        p->input_at[i] = k;
    }
    return US_OK;
}

static us_err tie_outputs(us_ctx *c, us_predictor *p)
{
    p->out_label = find_output(p->plan, "label");
    p->out_prob = find_output(p->plan, "probabilities");
    p->out_pred = find_output(p->plan, "prediction");
    bool classes = p->passport.task == US_TASK_CLASSES;
    if (classes ? p->out_label == SIZE_MAX || p->out_prob == SIZE_MAX : p->out_pred == SIZE_MAX)
        return us_fail(c, US_FORMAT, "the model lacks the output%s of a %s model",
                       classes ? "s 'label' and 'probabilities'" : " 'prediction'",
                       us_task_name(p->passport.task));
    return US_OK;
}

/* Session and scratch over a plan that is there. */
static us_err open_session(us_ctx *c, us_arena *a, us_predictor *p)
{
    p->in = us_new_n(a, us_value, us_plan_n_inputs(p->plan));
    p->out = us_new_n(a, us_value, us_plan_n_outputs(p->plan));
    if (!p->in || !p->out) return us_arena_fail(c, a);
    return us_session_new(c, p->plan, NULL, &p->session);
}

static us_err open_model(us_ctx *c, us_arena *a, us_model *m, us_predictor *p, bool *taken)
{
    US_TRY(us_passport_get(c, a, m, &p->passport));
    US_TRY(us_plan_new(c, m, NULL, &p->plan));
    *taken = true;
    US_TRY(us_decoder_init(c, a, &p->passport.schema,
                           p->passport.packed ? US_PACK_AUTO : US_PACK_NEVER, &p->decoder));
    US_TRY(tie_inputs(c, a, p));
    US_TRY(tie_outputs(c, p));
    return open_session(c, a, p);
}

/* The decoder refers to the schema beside it, so a predictor's place is where it is used. */
static void settle(const us_predictor *p, us_predictor *out)
{
    *out = *p;
    out->decoder.schema = &out->passport.schema;
}

us_err us_predictor_open(us_ctx *c, us_arena *a, const char *name, us_sv bytes,
                         us_predictor *out)
{
    us_predictor p = {0};
    us_model *m = NULL;
    bool taken = false;
    US_TRY(us_onnx_parse(c, name, bytes.p, bytes.n, NULL, NULL, &m));
    us_err e = open_model(c, a, m, &p, &taken);
    if (!taken) us_model_free(m);
    if (e != US_OK) {
        us_predictor_close(&p);
        return us_wrap(c, e, "%s", name);
    }
    settle(&p, out);
    return US_OK;
}

us_err us_predictor_share(us_ctx *c, us_arena *a, const us_predictor *owner, us_predictor *out)
{
    us_predictor p = *owner;
    p.shared = true;
    p.session = NULL;
    US_TRY(open_session(c, a, &p));
    settle(&p, out);
    return US_OK;
}

void us_predictor_close(us_predictor *p)
{
    us_session_free(p->session);
    if (!p->shared) us_plan_free(p->plan);
    *p = (us_predictor){0};
}

static us_err wrong_output(us_ctx *c, const char *name, const us_tensor *t, size_t n)
{
    char dims[200];
    return us_fail(c, US_FORMAT, "output '%s' is %s %s for %zu rows", name,
                   us_dtype_get(t->dtype)->name,
                   us_dims_print(t->rank, t->dims, dims, sizeof dims), n);
}

/* The float output `name` of n * k elements, copied. */
static us_err take_floats(us_ctx *c, us_arena *a, const us_value *v, const char *name, size_t n,
                          size_t k, float **out)
{
    if (v->kind != US_KIND_TENSOR || v->t.dtype != US_F32 ||
        us_tensor_count(&v->t) != (int64_t)(n * k))
        return wrong_output(c, name, &v->t, n);
    us_tensor dense;
    US_TRY(us_tensor_dup(c, a, &v->t, &dense));
    *out = dense.data;
    return US_OK;
}

/* Label i as the text of a class. */
static us_sv label_text(const us_tensor *t, int64_t i, char buf[32])
{
    if (t->dtype == US_STRING) return us_tensor_str_at(t, i);
    size_t n = us_print_f64((double)us_tensor_i64_at(t, i), buf);
    return (us_sv){buf, n};
}

static us_err take_labels(us_ctx *c, us_arena *a, const us_passport *pp, const us_value *v,
                          size_t n, int32_t **out)
{
    if (v->kind != US_KIND_TENSOR || (v->t.dtype != US_STRING && v->t.dtype != US_I64) ||
        us_tensor_count(&v->t) != (int64_t)n)
        return wrong_output(c, "label", &v->t, n);
    int32_t *label = us_new_n(a, int32_t, n);
    if (!label) return us_arena_fail(c, a);
    for (size_t i = 0; i < n; i++) {
        char buf[32];
        us_sv text = label_text(&v->t, (int64_t)i, buf);
        size_t k = 0;
        while (k < pp->n_classes && !us_sv_eq(pp->classes[k], text))
            k++;
        if (k == pp->n_classes)
            return us_fail(c, US_FORMAT,
                           "the model answered label '" US_SV_FMT
                           "', which is none of its %zu classes",
                           US_SV_ARG(text), pp->n_classes);
        label[i] = (int32_t)k;
    }
    *out = label;
    return US_OK;
}

us_err us_predict(us_ctx *c, us_predictor *p, us_arena *a, const us_value *in, size_t n,
                  us_predictions *out)
{
    us_predictions y = {.task = p->passport.task, .n = n, .k = p->passport.n_classes};
    for (size_t i = 0; i < p->n_inputs; i++)
        p->in[i] = in[p->input_at[i]];
    US_TRY(us_session_run(c, p->session, p->in, p->out));
    if (y.task == US_TASK_CLASSES) {
        US_TRY(take_floats(c, a, &p->out[p->out_prob], "probabilities", n, y.k, &y.prob));
        US_TRY(take_labels(c, a, &p->passport, &p->out[p->out_label], n, &y.label));
    } else {
        US_TRY(take_floats(c, a, &p->out[p->out_pred], "prediction", n, 1, &y.value));
    }
    *out = y;
    return US_OK;
}

/* Put one batch's predictions behind those before it. */
static void append(us_predictions *all, size_t at, const us_predictions *part)
{
    if (all->task == US_TASK_CLASSES) {
        memcpy(all->prob + at * all->k, part->prob, part->n * all->k * sizeof *all->prob);
        memcpy(all->label + at, part->label, part->n * sizeof *all->label);
    } else {
        memcpy(all->value + at, part->value, part->n * sizeof *all->value);
    }
}

static us_err predict_batch(us_ctx *c, us_predictor *p, us_arena *tmp, const us_table *t,
                            const uint32_t *rows, size_t n, us_predictions *all, size_t at)
{
    us_predictions part;
    us_value *in = us_new_n(tmp, us_value, p->decoder.n_inputs);
    if (!in) return us_arena_fail(c, tmp);
    US_TRY(us_decode_table(c, tmp, &p->decoder, t, rows, n, in));
    US_TRY(us_predict(c, p, tmp, in, n, &part));
    append(all, at, &part);
    return US_OK;
}

us_err us_predict_table(us_ctx *c, us_predictor *p, us_arena *a, const us_table *t,
                        const uint32_t *rows, size_t n, us_predictions *out)
{
    us_predictions y = {.task = p->passport.task, .n = n, .k = p->passport.n_classes};
    bool classes = y.task == US_TASK_CLASSES;
    if (classes) {
        y.prob = us_new_n(a, float, n *y.k);
        y.label = us_new_n(a, int32_t, n);
    } else {
        y.value = us_new_n(a, float, n);
    }
    uint32_t *piece = us_new_n(a, uint32_t, US_PREDICT_BATCH);
    if (!piece || (classes ? !y.prob || !y.label : !y.value)) return us_arena_fail(c, a);
    us_arena *tmp;
    US_TRY(us_arena_new(c, "prediction batch", US_TABLE_CAP, &tmp));
    us_err e = US_OK;
    for (size_t at = 0; at < n && e == US_OK; at += US_PREDICT_BATCH) {
        size_t m = US_MIN(n - at, (size_t)US_PREDICT_BATCH);
        us_mark mark = us_arena_mark(tmp);
        for (size_t i = 0; i < m; i++)
            piece[i] = rows ? rows[at + i] : (uint32_t)(at + i);
        e = predict_batch(c, p, tmp, t, piece, m, &y, at);
        us_arena_reset(tmp, mark);
        if (e == US_OK) e = us_ctx_poll(c);
    }
    us_arena_free(tmp);
    if (e == US_OK) *out = y;
    return e;
}

us_err us_predictions_score(us_ctx *c, us_arena *a, const us_predictor *p,
                            const us_predictions *y, const us_table *t, const uint32_t *rows,
                            us_scores *out)
{
    const us_passport *pp = &p->passport;
    us_scores s = {.task = y->task, .n = y->n, .k = y->k, .prob = y->prob, .label = y->label};
    if (y->task == US_TASK_CLASSES) {
        int32_t *truth = us_new_n(a, int32_t, y->n);
        if (!truth) return us_arena_fail(c, a);
        US_TRY(us_target_index(c, &pp->schema, t, pp->classes, pp->n_classes, rows, y->n, false,
                               truth));
        s.truth = truth;
    } else {
        double *truth = us_new_n(a, double, y->n), *pred = us_new_n(a, double, y->n);
        if (!truth || !pred) return us_arena_fail(c, a);
        US_TRY(us_target_number(c, &pp->schema, t, rows, y->n, truth));
        for (size_t i = 0; i < y->n; i++)
            pred[i] = (double)y->value[i];
        s.y = truth;
        s.pred = pred;
    }
    US_TRY(us_scores_prepare(c, a, &s));
    *out = s;
    return US_OK;
}
