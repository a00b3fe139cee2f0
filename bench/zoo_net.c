/* bench/zoo_net.c - layers for the makers of bench/zoo.h. */
#include <math.h>

#include "zoo.h"

/* --- ends ------------------------------------------------------------------------------------------- */

us_vid zoo_input(zoo_net *n, const char *name, const char *type)
{
    us_type t;
    us_vid v = US_NIL;
    if (n->b.err != US_OK) return US_NIL;
    n->b.err = us_type_parse(n->c, &n->m->syms, n->m->arena, us_sv_of(type), &t);
    if (n->b.err == US_OK)
        n->b.err = us_graph_add_input(n->c, n->m->main, us_sv_of(name), &t, &v);
    return v;
}

void zoo_output(zoo_net *n, us_vid v, const char *name, const char *type)
{
    us_type t;
    (void)us_b_name(&n->b, v, name);
    if (n->b.err != US_OK) return;
    n->b.err = us_type_parse(n->c, &n->m->syms, n->m->arena, us_sv_of(type), &t);
    if (n->b.err != US_OK) return;
    n->m->main->vals.at[v].type = t;
    n->m->main->vals.at[v].declared = true;
    n->b.err = us_graph_add_output(n->c, n->m->main, v);
}

/* --- weights ---------------------------------------------------------------------------------------- */

static float *numbers(zoo_net *n, int64_t count, double lo, double hi)
{
    if (n->b.err != US_OK) return NULL;
    float *p = us_arena_alloc(n->m->arena, (size_t)count, sizeof *p, _Alignof(float));
    if (!p) {
        n->b.err = us_fail(n->c, US_NOMEM, "weights: no memory");
        return NULL;
    }
    us_rng r = us_rng_new(1, "zoo", n->n_weights++);
    for (int64_t i = 0; i < count; i++)
        p[i] = (float)(lo + (hi - lo) * (double)us_rng_f32(&r));
    return p;
}

static us_vid constant(zoo_net *n, int rank, const int64_t *dims, float *data)
{
    us_tensor t;
    us_vid v = US_NIL;
    if (n->b.err == US_OK) n->b.err = us_tensor_init(n->c, &t, US_F32, rank, dims, data);
    us_sv name = n->b.err == US_OK ? us_graph_fresh_name(n->c, n->m->main, "w") : (us_sv){0};
    if (n->b.err == US_OK)
        n->b.err = us_graph_add_const(n->c, n->m->main, name, US_ST_CONST, &t, &v);
    return v;
}

/* Even numbers of this deviation. */
static float *spread(zoo_net *n, double deviation, int rank, const int64_t *dims)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    return numbers(n, count, -deviation * sqrt(3), deviation * sqrt(3));
}

us_vid zoo_weights(zoo_net *n, double deviation, int rank, const int64_t *dims)
{
    return constant(n, rank, dims, spread(n, deviation, rank, dims));
}

us_vid zoo_vector(zoo_net *n, int64_t len, double lo, double hi)
{
    return constant(n, 1, &len, numbers(n, len, lo, hi));
}

/* --- activations -------------------------------------------------------------------------------------- */

us_vid zoo_act_of(zoo_net *n, us_vid x, zoo_act act, int64_t channels)
{
    us_builder *b = &n->b;
    switch (act) {
    case ZOO_LINEAR: return x;
    case ZOO_RELU: return us_b1(b, "Relu", x);
    case ZOO_RELU6: return us_b3(b, "Clip", x, us_b_f32(b, 0), us_b_f32(b, 6));
    case ZOO_SILU: return us_b2(b, "Mul", x, us_b1(b, "Sigmoid", x));
    case ZOO_HSWISH: return us_b1(b, "HardSwish", x);
    case ZOO_HSWISH3: {
        us_vid up = us_b2(b, "Add", x, us_b_f32(b, 3));
        us_vid cut = us_b3(b, "Clip", up, us_b_f32(b, 0), us_b_f32(b, 6));
        return us_b2(b, "Div", us_b2(b, "Mul", x, cut), us_b_f32(b, 6));
    }
    case ZOO_PRELU: {
        float *slopes = numbers(n, channels, 0.05, 0.45);
        return us_b2(b, "PRelu", x, constant(n, 3, (int64_t[]){channels, 1, 1}, slopes));
    }
    default: return US_NIL;
    }
}

/* What a quantised range implies is left out. */
static us_vid act_and_point(zoo_net *n, us_vid y, zoo_act act, int64_t channels)
{
    bool implied = n->form == ZOO_QDQ && (act == ZOO_RELU || act == ZOO_RELU6);
    return zoo_point(n, implied ? y : zoo_act_of(n, y, act, channels));
}

/* --- layers ------------------------------------------------------------------------------------------- */

static us_vid batch_norm(zoo_net *n, us_vid x, int64_t channels)
{
    us_vid in[5] = {x, zoo_vector(n, channels, 0.8, 1.2), zoo_vector(n, channels, -0.1, 0.1),
                    zoo_vector(n, channels, -0.1, 0.1), zoo_vector(n, channels, 0.8, 1.2)};
    us_vid y = us_b_node(&n->b, "", "BatchNormalization", 5, in, 1, NULL);
    us_b_float(&n->b, "epsilon", 1e-5F);
    return y;
}

/* Weights and bias of a layer in this form: floats, or integers behind DequantizeLinear. */
static void parameters(zoo_net *n, us_vid x, double deviation, int rank, const int64_t *dims,
                       bool bias, us_vid out[2])
{
    float *w = spread(n, deviation, rank, dims);
    float *b = bias ? numbers(n, dims[0], -0.1, 0.1) : NULL;
    out[1] = US_NIL;
    if (n->b.err != US_OK) return;
    if (n->form != ZOO_QDQ) {
        out[0] = constant(n, rank, dims, w);
        if (b) out[1] = constant(n, 1, dims, b);
        return;
    }
    float x_scale = zoo_scale(zoo_range_of(n, x));
    float *scales =
        us_arena_alloc(n->m->arena, (size_t)dims[0], sizeof *scales, sizeof *scales);
    if (!scales) {
        n->b.err = us_fail(n->c, US_NOMEM, "scales: no memory");
        return;
    }
    out[0] = zoo_int8_weights(n, rank, dims, w, scales);
    if (b) out[1] = zoo_int32_bias(n, dims[0], b, scales, x_scale);
}

us_vid zoo_conv(zoo_net *n, us_vid x, zoo_conv_spec s)
{
    int64_t groups = s.groups ? s.groups : 1, stride = s.stride ? s.stride : 1;
    int64_t kw = s.kw ? s.kw : s.k;
    int64_t dims[4] = {s.out, s.in / groups, s.k, kw};
    int64_t ph = s.pad < 0 ? 0 : s.pad ? s.pad : (s.k - 1) / 2;
    int64_t pw = s.pad < 0 ? 0 : s.pad ? s.pad : (kw - 1) / 2;
    bool folded = s.plain || n->form != ZOO_FLOAT;
    /* halving activations lose half of the power; the others little of it */
    double power = s.act == ZOO_LINEAR ? 1 : 2;
    us_vid in[3] = {x, US_NIL, US_NIL};
    parameters(n, x, sqrt(power / (double)(s.in / groups * s.k * kw)), 4, dims, folded, in + 1);
    us_vid y = us_b_node(&n->b, "", "Conv", folded ? 3 : 2, in, 1, NULL);
    us_b_ints(&n->b, "dilations", 2, (int64_t[]){1, 1});
    us_b_int(&n->b, "group", groups);
    us_b_ints(&n->b, "kernel_shape", 2, (int64_t[]){s.k, kw});
    us_b_ints(&n->b, "pads", 4, (int64_t[]){ph, pw, ph, pw});
    us_b_ints(&n->b, "strides", 2, (int64_t[]){stride, stride});
    if (!folded) y = batch_norm(n, y, s.out);
    return act_and_point(n, y, s.act, s.out);
}

us_vid zoo_dense(zoo_net *n, us_vid x, int64_t in, int64_t out)
{
    us_vid args[3] = {x, US_NIL, US_NIL};
    parameters(n, x, sqrt(1 / (double)in), 2, (int64_t[]){out, in}, true, args + 1);
    us_vid y = us_b_node(&n->b, "", "Gemm", 3, args, 1, NULL);
    us_b_int(&n->b, "transB", 1);
    return zoo_point(n, y);
}

us_vid zoo_product(zoo_net *n, us_vid x, int64_t in, int64_t out)
{
    us_vid w = zoo_weights(n, sqrt(1 / (double)in), 2, (int64_t[]){in, out});
    us_vid y = us_b2(&n->b, "MatMul", x, w);
    return us_b2(&n->b, "Add", zoo_vector(n, out, -0.1, 0.1), y);
}

us_vid zoo_gelu(zoo_net *n, us_vid x)
{
    us_builder *b = &n->b;
    us_vid e = us_b1(b, "Erf", us_b2(b, "Div", x, us_b_f32(b, 1.41421354F)));
    us_vid y = us_b2(b, "Mul", x, us_b2(b, "Add", e, us_b_f32(b, 1)));
    return us_b2(b, "Mul", y, us_b_f32(b, 0.5F));
}

us_vid zoo_joined(zoo_net *n, us_vid x, us_vid y)
{
    us_vid z = us_b2(&n->b, "Concat", x, y);
    us_b_int(&n->b, "axis", 1);
    return z;
}

us_vid zoo_transpose(zoo_net *n, us_vid x, size_t rank, const int64_t *perm)
{
    us_vid y = us_b1(&n->b, "Transpose", x);
    us_b_ints(&n->b, "perm", rank, perm);
    return y;
}

us_vid zoo_add(zoo_net *n, us_vid x, us_vid y, zoo_act act)
{
    return act_and_point(n, us_b2(&n->b, "Add", x, y), act, 0);
}

us_vid zoo_max_pool(zoo_net *n, us_vid x, int64_t k, int64_t stride, int64_t pad, bool ceil)
{
    us_vid y = us_b1(&n->b, "MaxPool", x);
    us_b_int(&n->b, "ceil_mode", ceil);
    us_b_ints(&n->b, "kernel_shape", 2, (int64_t[]){k, k});
    us_b_ints(&n->b, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    us_b_ints(&n->b, "strides", 2, (int64_t[]){stride, stride});
    return zoo_point_as(n, y, x);
}

us_vid zoo_mean_pool(zoo_net *n, us_vid x)
{
    return zoo_point(n, us_b1(&n->b, "GlobalAveragePool", x));
}

us_vid zoo_flatten(zoo_net *n, us_vid x)
{
    us_vid y = us_b1(&n->b, "Flatten", x);
    us_b_int(&n->b, "axis", 1);
    return zoo_point_as(n, y, x);
}
