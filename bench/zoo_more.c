/* bench/zoo_more.c - networks of the same kinds that no target names: what was made fast for a list shows here whether it holds.
 *
 * Sources: Xie et al. 2017 (ResNeXt, groups of 32), Huang et al. 2017 (DenseNet, 40 layers), Ma et al. 2018 (ShuffleNet V2), Bai et al. 2018
 * (temporal convolutions), Dosovitskiy et al. 2021 (ViT-Tiny, as exporters of opset 17 write it).
 */
#include <math.h>

#include "zoo.h"

typedef zoo_conv_spec spec;

void zoo_resnext(zoo_net *n)
{
    us_vid x = zoo_point(n, zoo_input(n, "input", "float[N,3,224,224]"));
    x = zoo_conv(n, x, (spec){.in = 3, .out = 64, .k = 7, .stride = 2, .act = ZOO_RELU});
    x = zoo_max_pool(n, x, 3, 2, 1, false);
    int64_t in = 64;
    for (int64_t stage = 0, mid = 128; stage < 4; stage++, mid *= 2)
        for (int i = 0; i < 2; i++, in = 2 * mid) {
            int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            us_vid y = zoo_conv(n, x, (spec){.in = in, .out = mid, .k = 1, .act = ZOO_RELU});
            y = zoo_conv(n, y,
                         (spec){.in = mid,
                                .out = mid,
                                .k = 3,
                                .stride = stride,
                                .groups = 32,
                                .act = ZOO_RELU});
            y = zoo_conv(n, y, (spec){.in = mid, .out = 2 * mid, .k = 1});
            if (i == 0)
                x = zoo_conv(n, x, (spec){.in = in, .out = 2 * mid, .k = 1, .stride = stride});
            x = zoo_add(n, y, x, ZOO_RELU);
        }
    x = zoo_flatten(n, zoo_mean_pool(n, x));
    zoo_output(n, zoo_dense(n, x, 2048, 1000), "output", "float[N,1000]");
}

/* --- DenseNet: normalisation and activation before each convolution ------------------------------------------- */

static us_vid before(zoo_net *n, us_vid x, int64_t channels)
{
    us_vid in[5] = {x, zoo_vector(n, channels, 0.8, 1.2), zoo_vector(n, channels, -0.1, 0.1),
                    zoo_vector(n, channels, -0.1, 0.1), zoo_vector(n, channels, 0.8, 1.2)};
    return us_b1(&n->b, "Relu", us_b_node(&n->b, "", "BatchNormalization", 5, in, 1, NULL));
}

void zoo_densenet(zoo_net *n)
{
    enum { GROW = 12 };
    us_vid x = zoo_input(n, "input", "float[N,3,32,32]");
    int64_t c = 24;
    x = zoo_conv(n, x, (spec){.in = 3, .out = c, .k = 3, .plain = true});
    for (int block = 0; block < 3; block++) {
        for (int i = 0; i < 12; i++, c += GROW)
            x = zoo_joined(n, x,
                           zoo_conv(n, before(n, x, c),
                                    (spec){.in = c, .out = GROW, .k = 3, .plain = true}));
        x = before(n, x, c);
        if (block == 2) break;
        x = zoo_conv(n, x, (spec){.in = c, .out = c, .k = 1, .plain = true});
        x = us_b1(&n->b, "AveragePool", x);
        us_b_ints(&n->b, "kernel_shape", 2, (int64_t[]){2, 2});
        us_b_ints(&n->b, "strides", 2, (int64_t[]){2, 2});
    }
    x = zoo_flatten(n, zoo_mean_pool(n, x));
    zoo_output(n, zoo_dense(n, x, c, 10), "output", "float[N,10]");
}

/* --- ShuffleNet V2, x1.0 ----------------------------------------------------------------------------------------- */

/* Halves of the channels dealt like cards: Reshape, Transpose, Reshape. */
static us_vid shuffled(zoo_net *n, us_vid x, int64_t c, int64_t side)
{
    us_builder *b = &n->b;
    x = us_b2(b, "Reshape", x, us_b_i64s(b, 5, (int64_t[]){-1, 2, c / 2, side, side}));
    x = us_b1(b, "Transpose", x);
    us_b_ints(b, "perm", 5, (int64_t[]){0, 2, 1, 3, 4});
    return us_b2(b, "Reshape", x, us_b_i64s(b, 4, (int64_t[]){-1, c, side, side}));
}

static us_vid branch(zoo_net *n, us_vid x, int64_t in, int64_t out, int64_t stride)
{
    x = zoo_conv(n, x, (spec){.in = in, .out = out, .k = 1, .act = ZOO_RELU});
    x = zoo_conv(n, x, (spec){.in = out, .out = out, .k = 3, .stride = stride, .groups = out});
    return zoo_conv(n, x, (spec){.in = out, .out = out, .k = 1, .act = ZOO_RELU});
}

static us_vid shuffle_unit(zoo_net *n, us_vid x, int64_t in, int64_t out, int64_t side,
                           bool down)
{
    us_vid half[2] = {x, x};
    if (down) {
        half[0] =
            zoo_conv(n, x, (spec){.in = in, .out = in, .k = 3, .stride = 2, .groups = in});
        half[0] =
            zoo_conv(n, half[0], (spec){.in = in, .out = out / 2, .k = 1, .act = ZOO_RELU});
    } else {
        us_vid args[2] = {x, us_b_i64s(&n->b, 2, (int64_t[]){out / 2, out / 2})};
        (void)us_b_node(&n->b, "", "Split", 2, args, 2, half);
        us_b_int(&n->b, "axis", 1);
    }
    us_vid y = branch(n, half[1], down ? in : out / 2, out / 2, down ? 2 : 1);
    return shuffled(n, zoo_joined(n, half[0], y), out, side);
}

void zoo_shufflenet(zoo_net *n)
{
    static const struct {
        int64_t out, repeats, side;
    } stages[] = {{116, 4, 28}, {232, 8, 14}, {464, 4, 7}};
    us_vid x = zoo_input(n, "input", "float[N,3,224,224]");
    x = zoo_conv(n, x, (spec){.in = 3, .out = 24, .k = 3, .stride = 2, .act = ZOO_RELU});
    x = zoo_max_pool(n, x, 3, 2, 1, false);
    int64_t in = 24;
    for (size_t s = 0; s < sizeof stages / sizeof *stages; s++)
        for (int64_t i = 0; i < stages[s].repeats; i++, in = stages[s].out)
            x = shuffle_unit(n, x, in, stages[s].out, stages[s].side, i == 0);
    x = zoo_conv(n, x, (spec){.in = in, .out = 1024, .k = 1, .act = ZOO_RELU});
    x = zoo_flatten(n, zoo_mean_pool(n, x));
    zoo_output(n, zoo_dense(n, x, 1024, 1000), "output", "float[N,1000]");
}

/* --- temporal convolutions -------------------------------------------------------------------------------------------- */

/* One dimension, dilated, padded on the left only, then cut: causal. */
static us_vid causal(zoo_net *n, us_vid x, int64_t in, int64_t out, int64_t dilation)
{
    us_vid args[3] = {x, zoo_weights(n, sqrt(2 / (double)(3 * in)), 3, (int64_t[]){out, in, 3}),
                      zoo_vector(n, out, -0.1, 0.1)};
    us_vid y = us_b_node(&n->b, "", "Conv", 3, args, 1, NULL);
    us_b_ints(&n->b, "kernel_shape", 1, (int64_t[]){3});
    us_b_ints(&n->b, "dilations", 1, &dilation);
    us_b_ints(&n->b, "pads", 2, (int64_t[]){2 * dilation, 0});
    return us_b1(&n->b, "Relu", y);
}

void zoo_tcn(zoo_net *n)
{
    us_vid x = zoo_input(n, "input", "float[N,16,400]");
    x = causal(n, x, 16, 64, 1);
    for (int64_t d = 1; d <= 128; d *= 2)
        x = us_b2(&n->b, "Add", causal(n, causal(n, x, 64, 64, d), 64, 64, d), x);
    us_vid y = us_b2(&n->b, "Gather", x, us_b_i64(&n->b, -1));
    us_b_int(&n->b, "axis", 2);
    zoo_output(n, zoo_dense(n, y, 64, 8), "output", "float[N,8]");
}

/* --- ViT-Tiny ----------------------------------------------------------------------------------------------------------- */

enum { WIDE = 192, HEADS = 3, TOKENS = 197, LAYERS = 12 };

static us_vid normal(zoo_net *n, us_vid x)
{
    us_vid shift = zoo_vector(n, WIDE, -0.1, 0.1), gain = zoo_vector(n, WIDE, 0.8, 1.2);
    us_vid y = us_b3(&n->b, "LayerNormalization", x, gain, shift);
    us_b_int(&n->b, "axis", -1);
    us_b_float(&n->b, "epsilon", 1e-6F);
    return y;
}

/* One product for queries, keys and values, taken apart after it (timm's form). */
static us_vid self_attention(zoo_net *n, us_vid x)
{
    us_builder *b = &n->b;
    us_vid qkv = us_b2(b, "Reshape", zoo_product(n, x, WIDE, 3 * WIDE),
                       us_b_i64s(b, 5, (int64_t[]){-1, TOKENS, 3, HEADS, WIDE / HEADS}));
    qkv = zoo_transpose(n, qkv, 5, (int64_t[]){2, 0, 3, 1, 4});
    us_vid part[3];
    for (int64_t i = 0; i < 3; i++) {
        part[i] = us_b2(b, "Gather", qkv, us_b_i64(b, i));
        us_b_int(b, "axis", 0);
    }
    us_vid q = us_b2(b, "Mul", part[0], us_b_f32(b, 1 / sqrtf((float)WIDE / HEADS)));
    us_vid s = us_b2(b, "MatMul", q, zoo_transpose(n, part[1], 4, (int64_t[]){0, 1, 3, 2}));
    s = us_b1(b, "Softmax", s);
    us_b_int(b, "axis", -1);
    us_vid y = zoo_transpose(n, us_b2(b, "MatMul", s, part[2]), 4, (int64_t[]){0, 2, 1, 3});
    y = us_b2(b, "Reshape", y, us_b_i64s(b, 3, (int64_t[]){-1, TOKENS, WIDE}));
    return zoo_product(n, y, WIDE, WIDE);
}

void zoo_vit(zoo_net *n)
{
    us_builder *b = &n->b;
    us_vid x = zoo_input(n, "input", "float[1,3,224,224]");
    x = zoo_conv(n, x,
                 (spec){.in = 3, .out = WIDE, .k = 16, .stride = 16, .pad = -1, .plain = true});
    x = us_b2(b, "Reshape", x, us_b_i64s(b, 3, (int64_t[]){1, WIDE, TOKENS - 1}));
    x = zoo_transpose(n, x, 3, (int64_t[]){0, 2, 1});
    x = zoo_joined(n, zoo_weights(n, 0.3, 3, (int64_t[]){1, 1, WIDE}), x);
    x = us_b2(b, "Add", x, zoo_weights(n, 0.3, 3, (int64_t[]){1, TOKENS, WIDE}));
    for (int i = 0; i < LAYERS; i++) {
        x = us_b2(b, "Add", x, self_attention(n, normal(n, x)));
        us_vid y = zoo_product(n, zoo_gelu(n, zoo_product(n, normal(n, x), WIDE, 4 * WIDE)),
                               4 * WIDE, WIDE);
        x = us_b2(b, "Add", x, y);
    }
    us_vid y = us_b2(b, "Gather", normal(n, x), us_b_i64(b, 0));
    us_b_int(b, "axis", 1);
    zoo_output(n, zoo_dense(n, y, WIDE, 1000), "output", "float[1,1000]");
}
