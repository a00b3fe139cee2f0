/* train/net.c - a network as numbers: memory, first weights, and its nodes in a graph.
 *
 * One function writes the nodes for training, for prediction and for the exported model, so the three cannot differ.
 */
#include "train/net.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

us_err us_net_new(us_ctx *c, us_arena *a, us_task task, us_family family, us_act act,
                  size_t n_features, size_t n_out, size_t n_hidden, const int64_t *hidden,
                  us_net *out)
{
    us_net n = {.task = task,
                .family = family,
                .activation = act,
                .n_features = n_features,
                .n_out = n_out,
                .n_layers = n_hidden + 1};
    n.layers = us_new_n(a, us_layer, n.n_layers);
    size_t n_all = 0;
    if (!n.layers) return us_arena_fail(c, a);
    for (size_t i = 0; i < n.n_layers; i++) {
        us_layer *l = &n.layers[i];
        l->n_in = i ? n.layers[i - 1].n_out : n_features;
        l->n_out = i < n_hidden ? (size_t)hidden[i] : n_out;
        size_t n_w;
        if (!us_mul_size(l->n_in, l->n_out, &n_w) || n_w > US_TRAIN_MAX_WEIGHTS - n_all)
            return us_fail(c, US_LIMIT,
                           "model: layer %zu brings %zu x %zu weights, a network may have %zu; "
                           "make model.hidden smaller",
                           i + 1, l->n_in, l->n_out, US_TRAIN_MAX_WEIGHTS);
        n_all += n_w;
        l->w = us_new_n(a, float, n_w);
        l->b = us_new_n(a, float, l->n_out);
        if (!l->w || !l->b) return us_arena_fail(c, a);
    }
    *out = n;
    return US_OK;
}

void us_net_copy(us_net *to, const us_net *from)
{
    for (size_t i = 0; i < to->n_layers; i++) {
        const us_layer *s = &from->layers[i];
        memcpy(to->layers[i].w, s->w, s->n_in * s->n_out * sizeof(float));
        memcpy(to->layers[i].b, s->b, s->n_out * sizeof(float));
    }
}

size_t us_net_n_values(const us_net *n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n->n_layers; i++)
        sum += (n->layers[i].n_in + 1) * n->layers[i].n_out;
    return sum;
}

void us_net_flatten(const us_net *n, float *out)
{
    for (size_t i = 0; i < n->n_layers; i++) {
        const us_layer *l = &n->layers[i];
        memcpy(out, l->w, l->n_in * l->n_out * sizeof(float));
        out += l->n_in * l->n_out;
        memcpy(out, l->b, l->n_out * sizeof(float));
        out += l->n_out;
    }
}

void us_net_unflatten(us_net *n, const float *in)
{
    for (size_t i = 0; i < n->n_layers; i++) {
        us_layer *l = &n->layers[i];
        memcpy(l->w, in, l->n_in * l->n_out * sizeof(float));
        in += l->n_in * l->n_out;
        memcpy(l->b, in, l->n_out * sizeof(float));
        in += l->n_out;
    }
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

bool us_net_finite(const us_net *n)
{
    for (size_t i = 0; i < n->n_layers; i++)
        if (!all_finite(n->layers[i].w, n->layers[i].n_in * n->layers[i].n_out) ||
            !all_finite(n->layers[i].b, n->layers[i].n_out))
            return false;
    return true;
}

void us_net_init(us_net *n, us_init init, uint64_t seed)
{
    bool rectified = n->activation == US_ACT_RELU || n->activation == US_ACT_GELU;
    bool he = init == US_INIT_HE || (init == US_INIT_AUTO && rectified);
    for (size_t i = 0; i < n->n_layers; i++) {
        us_layer *l = &n->layers[i];
        us_rng r = us_rng_new(seed, "init", i);
        double fan = he && i + 1 < n->n_layers ? (double)l->n_in : (double)(l->n_in + l->n_out);
        double spread = sqrt(2 / fan);
        for (size_t j = 0; j < l->n_in * l->n_out; j++)
            l->w[j] = (float)(us_rng_normal(&r) * spread);
        memset(l->b, 0, l->n_out * sizeof(float));
    }
}

static us_vid act_relu(us_builder *b, us_vid x)
{
    return us_b1(b, "Relu", x);
}

static us_vid act_tanh(us_builder *b, us_vid x)
{
    return us_b1(b, "Tanh", x);
}

/* x/2 (1 + erf(x / sqrt 2)): the operator Gelu is younger than the opset new models are written in. */
static us_vid act_gelu(us_builder *b, us_vid x)
{
    us_vid e = us_b1(b, "Erf", us_b2(b, "Mul", x, us_b_f32(b, 0.70710678F)));
    us_vid half = us_b2(b, "Mul", x, us_b_f32(b, 0.5F));
    return us_b2(b, "Mul", half, us_b2(b, "Add", e, us_b_f32(b, 1.0F)));
}

static us_vid act_sigmoid(us_builder *b, us_vid x)
{
    return us_b1(b, "Sigmoid", x);
}

static us_vid (*const acts[])(us_builder *, us_vid) = {
    [US_ACT_RELU] = act_relu,
    [US_ACT_TANH] = act_tanh,
    [US_ACT_GELU] = act_gelu,
    [US_ACT_SIGMOID] = act_sigmoid,
};

us_vid us_net_nodes(us_builder *b, const us_net *net, us_vid x, const us_vid *w,
                    const us_vid *bias, const us_vid *mask)
{
    for (size_t i = 0; i < net->n_layers; i++) {
        x = us_b3(b, "Gemm", x, w[i], bias[i]);
        if (i + 1 == net->n_layers) break;
        x = acts[net->activation](b, x);
        if (mask) x = us_b2(b, "Mul", x, mask[i]);
    }
    return x;
}
