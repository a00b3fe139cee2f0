/* train/predict.c - the network as part of a model, and its answers on rows in memory.
 *
 * us_net_append is what the exported model gets; the predictor builds a model of nothing else and runs it through a session,
 * so metrics are those of the nodes that will serve.
 */
#include <string.h>

#include "train/net.h"

#define CHUNK 1024 /* rows per run: two bindings at most, and small enough to stay in cache */

static us_vid tensor_of(us_builder *b, const char *what, size_t layer, int rank,
                        const int64_t *dims, const float *data, us_storage storage)
{
    char *name = us_str_printf(b->g->model->arena, "net.%zu.%s", layer, what);
    if (!name) {
        if (b->err == US_OK) b->err = us_arena_fail(b->c, b->g->model->arena);
        return US_NIL;
    }
    if (storage == US_ST_VARIABLE) return us_b_var(b, name, rank, dims);
    return us_b_const(b, name, US_F32, rank, dims, data);
}

/* Makes the layers' values; w and bias have room for n_layers. */
static void layer_values(us_builder *b, const us_net *net, us_storage storage, us_vid *w,
                         us_vid *bias)
{
    for (size_t i = 0; i < net->n_layers; i++) {
        const us_layer *l = &net->layers[i];
        int64_t dims[2] = {(int64_t)l->n_in, (int64_t)l->n_out};
        w[i] = tensor_of(b, "weight", i, 2, dims, l->w, storage);
        bias[i] = tensor_of(b, "bias", i, 1, dims + 1, l->b, storage);
    }
}

/* From the last layer to what the model gives: probabilities [N,K] or predictions [N]. */
static us_vid answer(us_builder *b, const us_net *net, us_vid out)
{
    if (net->task == US_TASK_VALUE) {
        int64_t axis = 1;
        return us_b2(b, "Squeeze", out, us_b_i64s(b, 1, &axis));
    }
    us_vid p = us_b1(b, "Softmax", out);
    us_b_int(b, "axis", 1);
    return p;
}

static us_vid label_of(us_builder *b, const us_net *net, us_vid probabilities,
                       const us_net_labels *labels)
{
    us_vid at = us_b1(b, "ArgMax", probabilities);
    us_b_int(b, "axis", 1);
    us_b_int(b, "keepdims", 0);
    int64_t k = (int64_t)net->n_out;
    if (labels && labels->names)
        return us_b2(b, "Gather", us_b_const(b, "net.labels", US_STRING, 1, &k, labels->names),
                     at);
    if (labels && labels->ids)
        return us_b2(b, "Gather", us_b_const(b, "net.labels", US_I64, 1, &k, labels->ids), at);
    return at;
}

/* A model's output of shape [N] (k 0) or [N,k]; the standard wants outputs to say their type. */
static us_err add_output(us_ctx *c, us_model *m, us_vid v, us_dtype dtype, size_t k)
{
    us_sym rows;
    US_TRY(us_syms_named(c, &m->syms, US_SV("N"), &rows));
    us_dim *dims = us_new_n(m->arena, us_dim, 2);
    if (!dims) return us_arena_fail(c, m->arena);
    dims[0] = US_DIM_SYM(rows);
    dims[1] = US_DIM((int64_t)k);
    m->main->vals.at[v].type = us_type_tensor(dtype, k ? 2 : 1, dims);
    return us_graph_add_output(c, m->main, v);
}

/* Other tools infer no types through some operators of ai.onnx.ml: say what arrives here. */
static us_err declare_features(us_ctx *c, us_model *m, us_vid features, const us_net *net)
{
    us_val *v = &m->main->vals.at[features];
    if (v->storage != US_ST_TEMP) return US_OK; /* an input declares itself */
    us_sym rows;
    US_TRY(us_syms_named(c, &m->syms, US_SV("N"), &rows));
    us_dim *dims = us_new_n(m->arena, us_dim, 2);
    if (!dims) return us_arena_fail(c, m->arena);
    dims[0] = US_DIM_SYM(rows);
    dims[1] = US_DIM((int64_t)net->n_features);
    v->type = us_type_tensor(US_F32, 2, dims);
    v->declared = true;
    return US_OK;
}

static us_err append_nodes(us_ctx *c, us_model *m, us_arena *tmp, us_vid features,
                           const us_net *net, const us_net_labels *labels)
{
    us_builder b = us_b_begin(c, m->main, "net");
    us_vid *w = us_new_n(tmp, us_vid, net->n_layers);
    us_vid *bias = us_new_n(tmp, us_vid, net->n_layers);
    if (!w || !bias) return us_arena_fail(c, tmp);
    US_TRY(declare_features(c, m, features, net));
    layer_values(&b, net, US_ST_CONST, w, bias);
    us_vid y = answer(&b, net, us_net_nodes(&b, net, features, w, bias, NULL));
    if (net->task == US_TASK_VALUE) {
        us_b_name(&b, y, "prediction");
        US_TRY(us_b_end(&b));
        return add_output(c, m, y, US_F32, 0);
    }
    us_b_name(&b, y, "probabilities");
    us_vid label = us_b_name(&b, label_of(&b, net, y, labels), "label");
    US_TRY(us_b_end(&b));
    US_TRY(add_output(c, m, label, labels && labels->names ? US_STRING : US_I64, 0));
    return add_output(c, m, y, US_F32, net->n_out);
}

us_err us_net_append(us_ctx *c, us_model *m, us_vid features, const us_net *net,
                     const us_net_labels *labels)
{
    us_arena *tmp;
    US_TRY(us_arena_new(c, "network nodes", (size_t)1 << 24, &tmp));
    us_err e = append_nodes(c, m, tmp, features, net, labels);
    us_arena_free(tmp);
    return e;
}

/* --- prediction ---------------------------------------------------------------------------------------- */

struct us_net_predictor {
    us_arena *arena;
    us_plan *plan;
    us_session *session;
    us_task task;
    size_t n_features, n_out, n_layers;
    us_tensor *w, *bias; /* the plan's variables */
};

static us_err predictor_graph(us_ctx *c, us_arena *a, const us_net *net, us_model *m, us_vid *w,
                              us_vid *bias)
{
    us_sym rows;
    US_TRY(us_syms_named(c, &m->syms, US_SV("N"), &rows));
    us_dim *dims = us_new_n(a, us_dim, 2);
    if (!dims) return us_arena_fail(c, a);
    dims[0] = US_DIM_SYM(rows);
    dims[1] = US_DIM((int64_t)net->n_features);
    us_type type = us_type_tensor(US_F32, 2, dims);
    us_vid x;
    US_TRY(us_graph_add_input(c, m->main, US_SV("features"), &type, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    layer_values(&b, net, US_ST_VARIABLE, w, bias);
    us_vid y = answer(&b, net, us_net_nodes(&b, net, x, w, bias, NULL));
    US_TRY(us_b_end(&b));
    return us_graph_add_output(c, m->main, y);
}

static us_err predictor_fill(us_ctx *c, us_net_predictor *p, const us_net *net)
{
    const us_plan_opts opts = {.keep_variables = true};
    us_model *m = NULL;
    us_err e;
    us_vid *w = us_new_n(p->arena, us_vid, net->n_layers);
    us_vid *bias = us_new_n(p->arena, us_vid, net->n_layers);
    p->w = us_new_n(p->arena, us_tensor, net->n_layers);
    p->bias = us_new_n(p->arena, us_tensor, net->n_layers);
    if (!w || !bias || !p->w || !p->bias) return us_arena_fail(c, p->arena);
    US_TRY(us_model_new(c, &m));
    US_GO(predictor_graph(c, p->arena, net, m, w, bias));
    US_GO(us_plan_new(c, m, &opts, &p->plan));
    m = NULL;
    US_GO(us_session_new(c, p->plan, NULL, &p->session));
    for (size_t i = 0; i < net->n_layers; i++) {
        US_GO(us_plan_variable(c, p->plan, w[i], &p->w[i]));
        US_GO(us_plan_variable(c, p->plan, bias[i], &p->bias[i]));
    }
    e = us_net_predictor_set(c, p, net);
out:
    us_model_free(m);
    return e;
}

us_err us_net_predictor_new(us_ctx *c, const us_net *net, us_net_predictor **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "predictor", (size_t)1 << 24, &a));
    us_net_predictor *p = us_new(a, us_net_predictor);
    if (!p) {
        us_err e = us_arena_fail(c, a);
        us_arena_free(a);
        return e;
    }
    *p = (us_net_predictor){.arena = a,
                            .task = net->task,
                            .n_features = net->n_features,
                            .n_out = net->n_out,
                            .n_layers = net->n_layers};
    us_err e = predictor_fill(c, p, net);
    if (e != US_OK) {
        us_net_predictor_free(c, p);
        return e;
    }
    *out = p;
    return US_OK;
}

void us_net_predictor_free(us_ctx *c, us_net_predictor *p)
{
    (void)c;
    if (!p) return;
    us_session_free(p->session);
    us_plan_free(p->plan);
    us_arena_free(p->arena);
}

us_err us_net_predictor_set(us_ctx *c, us_net_predictor *p, const us_net *net)
{
    if (p->n_layers != net->n_layers)
        return us_fail(c, US_BUG, "predictor of %zu layers was given %zu", p->n_layers,
                       net->n_layers);
    for (size_t i = 0; i < net->n_layers; i++) {
        memcpy(p->w[i].data, net->layers[i].w, us_tensor_bytes(&p->w[i]));
        memcpy(p->bias[i].data, net->layers[i].b, us_tensor_bytes(&p->bias[i]));
    }
    return US_OK;
}

us_err us_net_predictor_run(us_ctx *c, us_net_predictor *p, size_t n, const float *x,
                            float *out)
{
    size_t width = p->task == US_TASK_CLASSES ? p->n_out : 1;
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t rows = US_MIN((size_t)CHUNK, n - i);
        us_tensor in, got;
        /* cast: an input is only read */
        US_TRY(us_tensor_init(c, &in, US_F32, 2,
                              (int64_t[]){(int64_t)rows, (int64_t)p->n_features},
                              (void *)(uintptr_t)(x + i * p->n_features)));
        if (p->task == US_TASK_CLASSES) {
            US_TRY(us_tensor_init(c, &got, US_F32, 2,
                                  (int64_t[]){(int64_t)rows, (int64_t)width}, out + i * width));
        } else {
            US_TRY(us_tensor_init(c, &got, US_F32, 1, (int64_t[]){(int64_t)rows}, out + i));
        }
        us_value v = us_value_of(&in);
        US_TRY(us_session_run_into(c, p->session, &v, &got));
        US_TRY(us_ctx_poll(c));
    }
    return US_OK;
}

us_err us_net_predict(us_ctx *c, const us_net *net, size_t n, const float *x, float *out)
{
    us_net_predictor *p;
    US_TRY(us_net_predictor_new(c, net, &p));
    us_err e = us_net_predictor_run(c, p, n, x, out);
    us_net_predictor_free(c, p);
    return e;
}
