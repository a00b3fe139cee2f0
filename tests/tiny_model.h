/* tiny_model.h - a packaged model small enough to write by hand: two classes from x (a number) and colour (a category).
 *
 * Weights are chosen, not trained: logit(yes) = 4 * standardised x, so what a test expects can be worked out. Used by the
 * tests of prediction, validation, monitoring and serving, and by the HTTP fuzz target.
 */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include "base/rng.h"
#include "data/csv.h"
#include "data/features.h"
#include "data/passport.h"
#include "onnx/onnx.h"
#include "train/train.h"

typedef struct tiny {
    us_arena *a;
    us_table *t;
    us_data_schema schema;
    us_features f;
    us_buf onnx;
} tiny;

/* Rows of class yes have x around +1, of class no around -1; colour is red or blue, without meaning. */
static inline void tiny_csv(us_buf *b, size_t n, uint64_t seed, double shift)
{
    us_rng r = us_rng_new(seed, "tiny", 0);
    us_buf_adds(b, "x,colour,answer\n");
    for (size_t i = 0; i < n; i++) {
        bool yes = i % 2;
        us_buf_addf(b, "%.4f,%s,%s\n", (yes ? 1.0 : -1.0) + 0.7 * us_rng_normal(&r) + shift,
                    us_rng_below(&r, 2) ? "red" : "blue", yes ? "yes" : "no");
    }
}

static inline us_err tiny_net(us_ctx *c, const tiny *t, us_net *net, us_layer *layer)
{
    float *w = us_new_n(t->a, float, t->f.d * 2), *bias = us_new_n(t->a, float, 2);
    if (!w || !bias) return us_arena_fail(c, t->a);
    for (size_t i = 0; i < t->f.d; i++)
        if (us_sv_is(t->f.names[i], "x")) w[i * 2 + 1] = 4; /* class 1 is "yes" */
    *layer = (us_layer){.n_in = t->f.d, .n_out = 2, .w = w, .b = bias};
    *net = (us_net){.task = US_TASK_CLASSES,
                    .family = US_FAMILY_LINEAR,
                    .n_features = t->f.d,
                    .n_out = 2,
                    .n_layers = 1,
                    .layers = layer};
    return US_OK;
}

/* Reference sketches from the model's own rows; outputs are left to the inputs' sketches alone. */
static inline us_err tiny_passport(us_ctx *c, tiny *t, us_model *m)
{
    static const char hash[] =
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    us_passport p = {.version = US_PASSPORT_VERSION,
                     .program = US_SV("usta test"),
                     .task = US_TASK_CLASSES,
                     .target = US_SV("answer"),
                     .snapshot = {hash, sizeof hash - 1},
                     .seed = 1,
                     .schema = t->schema,
                     .packed = t->f.decoder.packed,
                     .n_features = t->f.d,
                     .features = t->f.names,
                     .config = US_SV("{}")};
    US_TRY(us_target_classes(c, t->a, &t->schema, &p.classes, &p.n_classes));
    us_value *in = us_new_n(t->a, us_value, t->f.decoder.n_inputs);
    if (!in) return us_arena_fail(c, t->a);
    US_TRY(us_decode_table(c, t->a, &t->f.decoder, t->t, NULL, t->t->n_rows, in));
    US_TRY(us_sketch_inputs(c, t->a, &t->f.decoder, in, t->t->n_rows, &p.sketches));
    p.n_sketches = t->f.decoder.n_features;
    return us_passport_set(c, m, &p);
}

static inline us_err tiny_build(us_ctx *c, tiny *t, us_model *m)
{
    us_net net;
    us_layer layer;
    us_sv *classes;
    size_t k;
    US_TRY(us_features_build(c, t->a, m, &t->schema, t->t, NULL, t->t->n_rows, NULL, &t->f));
    US_TRY(tiny_net(c, t, &net, &layer));
    US_TRY(us_target_classes(c, t->a, &t->schema, &classes, &k));
    us_net_labels labels = {.names = classes};
    US_TRY(us_net_append(c, m, t->f.out, &net, &labels));
    US_TRY(tiny_passport(c, t, m));
    return us_onnx_print(c, m, &t->onnx);
}

/* n rows of training data, and the model in t->onnx. Free with tiny_free. */
static inline us_err tiny_new(us_ctx *c, size_t n, tiny *t)
{
    *t = (tiny){0};
    us_buf csv;
    us_model *m = NULL;
    us_buf_init(&csv, c, (size_t)64 << 20);
    us_buf_init(&t->onnx, c, (size_t)64 << 20);
    tiny_csv(&csv, n, 1, 0);
    us_schema_opts o = {.target = US_SV("answer")};
    us_err e = us_arena_new(c, "tiny model", (size_t)1 << 30, &t->a);
    if (e == US_OK) e = us_csv_parse(c, "tiny.csv", us_buf_sv(&csv), NULL, &t->t, NULL);
    if (e == US_OK) e = us_schema_infer(c, t->a, t->t, &o, &t->schema);
    if (e == US_OK) e = us_model_new(c, &m);
    if (e == US_OK) e = tiny_build(c, t, m);
    us_model_free(m);
    us_buf_deinit(&csv);
    return e;
}

static inline void tiny_free(tiny *t)
{
    us_buf_deinit(&t->onnx);
    us_table_free(t->t);
    us_arena_free(t->a);
}

#endif
