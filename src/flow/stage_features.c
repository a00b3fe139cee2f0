/* flow/stage_features.c - from the schema to the nodes in front of the model, and evaluating them once per row.
 *
 * The stage's result is a model file whose one output is the matrix of features; training reads rows through it and
 * packaging puts the network behind it, so training and serving run the same nodes.
 */
#include <string.h>

#include "data/features.h"
#include "exec/session.h"
#include "flow/matrix.h"
#include "flow/stage.h"
#include "onnx/onnx.h"

#define BATCH 4096 /* rows per evaluation */

/* ---- rules from the project file ---- */

static us_err default_rule(us_flow *f, us_feature_rule *r)
{
    const us_conf_features *k = &f->conf->features;
    us_feature_rule_defaults(r);
    US_TRY(us_impute_parse(f->c, us_sv_of(k->numeric_impute), &r->impute));
    US_TRY(us_scale_parse(f->c, us_sv_of(k->numeric_scale), &r->scale));
    r->time_parts = 0;
    for (size_t i = 0; i < k->timestamp_parts.n; i++) {
        uint32_t part = 0;
        US_TRY(us_time_parts_parse(f->c, us_sv_of(k->timestamp_parts.at[i]), &part));
        r->time_parts |= part;
    }
    return US_OK;
}

/* What the project file says of one column; "" keeps the default. */
static us_err column_rule(us_flow *f, const char *column, const us_conf_column_features *k,
                          us_feature_rule *r)
{
    r->column = us_sv_of(column);
    if (k->impute[0]) US_TRY(us_impute_parse(f->c, us_sv_of(k->impute), &r->impute));
    if (k->scale[0]) US_TRY(us_scale_parse(f->c, us_sv_of(k->scale), &r->scale));
    if (k->encode[0]) US_TRY(us_encode_parse(f->c, us_sv_of(k->encode), &r->encode));
    return US_OK;
}

static us_err make_rules(us_flow *f, const us_data_schema *s, us_feature_opts *o)
{
    const us_conf_features *k = &f->conf->features;
    us_feature_rule *rules = us_new_n(f->a, us_feature_rule, 1 + k->columns.n + s->n_cols);
    size_t n = 0;
    if (!rules) return us_arena_fail(f->c, f->a);
    US_TRY(default_rule(f, &rules[n++]));
    for (size_t i = 0; i < k->columns.n; i++) {
        if (!us_schema_find(s, us_sv_of(k->columns.key[i])))
            return us_fail(f->c, US_ARG, "features.columns.%s: the data have no such column",
                           k->columns.key[i]);
        rules[n] = rules[0];
        US_TRY(column_rule(f, k->columns.key[i], &k->columns.at[i], &rules[n]));
        n++;
    }
    us_encode encode = US_ENCODE_AUTO;
    US_TRY(us_encode_parse(f->c, us_sv_of(k->categorical_encode), &encode));
    for (size_t i = 0; i < s->n_cols && encode != US_ENCODE_ONEHOT; i++) {
        bool own = false;
        for (size_t r = 1; r < n; r++)
            own = own || us_sv_eq(rules[r].column, s->cols[i].name);
        if (own || s->cols[i].kind != US_DK_CATEGORICAL) continue;
        rules[n] = rules[0];
        rules[n].column = s->cols[i].name;
        rules[n++].encode = encode;
    }
    *o = (us_feature_opts){.rules = rules,
                           .n_rules = n,
                           .pack = US_PACK_AUTO,
                           .max_onehot = (size_t)k->categorical_max};
    return US_OK;
}

/* ---- the stage ---- */

static us_err names_json(us_flow *f, const us_features *x, json_t **out)
{
    json_t *j = NULL, *names = NULL;
    US_TRY(us_json_keep(
        f->c, f->a,
        j = json_pack("{s:I,s:b}", "d", (json_int_t)x->d, "packed", (int)x->decoder.packed)));
    if (json_object_set_new(j, "names", names = json_array())) return us_nomem(f->c);
    for (size_t i = 0; i < x->d; i++)
        if (json_array_append_new(names, json_stringn(x->names[i].p, x->names[i].n)))
            return us_nomem(f->c);
    *out = j;
    return US_OK;
}

static us_err put_model(us_flow *f, us_made *m, const char *name, const us_model *model)
{
    us_hash h;
    us_buf b;
    us_buf_init(&b, f->c, SIZE_MAX / 2);
    us_err e = us_onnx_print(f->c, model, &b);
    if (e == US_OK) e = us_store_put_buf(f->s, f->c, &b, &h);
    us_buf_deinit(&b);
    return e == US_OK ? us_made_add(f, m, name, &h) : e;
}

static us_err build(us_flow *f, us_made *m, us_model *model, us_material *mat)
{
    us_feature_opts o;
    us_features x;
    uint32_t *rows = NULL;
    size_t n = 0, n_dropped = 0;
    json_t *j = NULL;
    us_hash h;
    US_TRY(make_rules(f, &mat->schema, &o));
    us_features_drop(&mat->schema, &o, &n_dropped);
    US_TRY(us_split_rows(f->c, f->a, &mat->split, US_PART_TRAIN, &rows, &n));
    US_TRY(us_features_build(f->c, f->a, model, &mat->schema, mat->table, rows, n, &o, &x));
    US_TRY(us_graph_add_output(f->c, model->main, x.out));
    US_TRY(put_model(f, m, "features", model));
    US_TRY(us_schema_to_json(f->c, f->a, &mat->schema, &j));
    US_TRY(us_store_put_json(f->s, f->c, j, &h));
    US_TRY(us_made_add(f, m, "inputs", &h));
    US_TRY(names_json(f, &x, &j));
    US_TRY(us_store_put_json(f->s, f->c, j, &h));
    US_TRY(us_made_add(f, m, "feature_names", &h));
    if (n_dropped)
        return us_made_evidence(f, m,
                                "%zu columns -> %zu numbers, as nodes of the model; %zu unused",
                                x.decoder.n_features, x.d, n_dropped);
    return us_made_evidence(f, m, "%zu columns -> %zu numbers, as nodes of the model",
                            x.decoder.n_features, x.d);
}

us_err us_stage_features(us_flow *f, us_made *m)
{
    us_material mat;
    us_model *model = NULL;
    us_err e = us_material_open(f, &mat);
    if (e == US_OK) e = us_model_new(f->c, &model);
    if (e == US_OK) e = build(f, m, model, &mat);
    us_model_free(model);
    us_material_close(&mat);
    return e;
}

/* ---- evaluating ---- */

typedef struct evaluator {
    us_plan *plan;
    us_session *session;
    us_decoder decoder;
    us_value *in, *out;
    size_t *input_at;
} evaluator;

static us_err tie(us_flow *f, evaluator *x)
{
    size_t n = us_plan_n_inputs(x->plan);
    x->input_at = us_new_n(f->a, size_t, n);
    x->in = us_new_n(f->a, us_value, n);
    x->out = us_new_n(f->a, us_value, us_plan_n_outputs(x->plan));
    if (!x->input_at || !x->in || !x->out) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < n; i++) {
        us_sv name = us_plan_input_name(x->plan, i);
        size_t k = 0;
        while (k < x->decoder.n_inputs && !us_sv_eq(x->decoder.inputs[k].name, name))
            k++;
        if (k == x->decoder.n_inputs)
            return us_fail(f->c, US_BUG, "features ask for an unknown input '" US_SV_FMT "'",
                           US_SV_ARG(name));
        x->input_at[i] = k;
    }
    return US_OK;
}

static us_err batch(us_flow *f, evaluator *x, const us_material *mat, const uint32_t *rows,
                    size_t n, size_t d, float *to)
{
    us_mark mark = us_arena_mark(f->a);
    us_value *decoded = us_new_n(f->a, us_value, x->decoder.n_inputs);
    if (!decoded) return us_arena_fail(f->c, f->a);
    us_err e = us_decode_table(f->c, f->a, &x->decoder, mat->table, rows, n, decoded);
    for (size_t i = 0; e == US_OK && i < us_plan_n_inputs(x->plan); i++)
        x->in[i] = decoded[x->input_at[i]];
    if (e == US_OK) e = us_session_run(f->c, x->session, x->in, x->out);
    if (e == US_OK) {
        const us_tensor *t = &x->out[0].t;
        if (t->dtype != US_F32 || !us_tensor_contiguous(t) ||
            us_tensor_count(t) != (int64_t)(n * d))
            e = us_fail(f->c, US_BUG, "features gave %lld numbers for %zu rows of %zu",
                        (long long)us_tensor_count(t), n, d);
        else
            memcpy(to, t->data, n * d * sizeof *to);
    }
    us_arena_reset(f->a, mark);
    return e;
}

us_err us_flow_matrix(us_flow *f, const us_material *mat, us_sv features, const uint32_t *rows,
                      size_t n, size_t d, float **out)
{
    evaluator x = {0};
    us_model *model = NULL;
    us_err e = US_OK;
    float *m = us_arena_alloc(f->a, n, d * sizeof *m, 64);
    if (!m) return us_arena_fail(f->c, f->a);
    US_GO(us_onnx_parse(f->c, "features", features.p, features.n, NULL, NULL, &model));
    US_GO(us_plan_new(f->c, model, NULL, &x.plan));
    model = NULL;
    US_GO(us_session_new(f->c, x.plan, NULL, &x.session));
    US_GO(us_decoder_init(f->c, f->a, &mat->schema, US_PACK_AUTO, &x.decoder));
    US_GO(tie(f, &x));
    for (size_t i = 0; i < n; i += BATCH) {
        US_GO(us_ctx_poll(f->c));
        US_GO(batch(f, &x, mat, rows + i, US_MIN((size_t)BATCH, n - i), d, m + i * d));
    }
    *out = m;
out:
    us_session_free(x.session);
    us_plan_free(x.plan);
    us_model_free(model);
    return e;
}
