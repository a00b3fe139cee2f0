/* bench/zoo_vision.c - convolutional networks, as torchvision (and PaddlePaddle, where said) define and export them.
 *
 * Sources: He et al. 2015 (ResNet), Sandler et al. 2018 (MobileNetV2), Tan and Le 2019 (EfficientNet), Iandola et al. 2016 (SqueezeNet 1.1),
 * Zhang et al. 2017 (keyword spotting by depthwise convolutions), Howard et al. 2019 (MobileNetV3), Lin et al. 2016 (pyramids),
 * Ronneberger et al. 2015 (U-Net).
 */
#include "zoo.h"

typedef zoo_conv_spec spec;

static us_vid picture(zoo_net *n, const char *type)
{
    return zoo_point(n, zoo_input(n, "input", type));
}

static void classes(zoo_net *n, us_vid x, int64_t channels)
{
    x = zoo_flatten(n, zoo_mean_pool(n, x));
    zoo_output(n, zoo_dense(n, x, channels, 1000), "output", "float[N,1000]");
}

/* --- ResNet ------------------------------------------------------------------------------------------- */

static us_vid stem(zoo_net *n)
{
    us_vid x = picture(n, "float[N,3,224,224]");
    x = zoo_conv(n, x, (spec){.in = 3, .out = 64, .k = 7, .stride = 2, .act = ZOO_RELU});
    return zoo_max_pool(n, x, 3, 2, 1, false);
}

static us_vid shortcut(zoo_net *n, us_vid x, int64_t in, int64_t out, int64_t stride)
{
    if (in == out && stride == 1) return x;
    return zoo_conv(n, x, (spec){.in = in, .out = out, .k = 1, .stride = stride});
}

void zoo_resnet18(zoo_net *n)
{
    us_vid x = stem(n);
    int64_t in = 64;
    for (int64_t stage = 0, out = 64; stage < 4; stage++, out *= 2)
        for (int i = 0; i < 2; i++, in = out) {
            int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            us_vid y = zoo_conv(
                n, x, (spec){.in = in, .out = out, .k = 3, .stride = stride, .act = ZOO_RELU});
            y = zoo_conv(n, y, (spec){.in = out, .out = out, .k = 3});
            x = zoo_add(n, y, shortcut(n, x, in, out, stride), ZOO_RELU);
        }
    classes(n, x, 512);
}

void zoo_resnet50(zoo_net *n)
{
    static const int blocks[4] = {3, 4, 6, 3};
    us_vid x = stem(n);
    int64_t in = 64;
    for (int64_t stage = 0, mid = 64; stage < 4; stage++, mid *= 2)
        for (int i = 0; i < blocks[stage]; i++, in = 4 * mid) {
            int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            us_vid y = zoo_conv(n, x, (spec){.in = in, .out = mid, .k = 1, .act = ZOO_RELU});
            y = zoo_conv(
                n, y, (spec){.in = mid, .out = mid, .k = 3, .stride = stride, .act = ZOO_RELU});
            y = zoo_conv(n, y, (spec){.in = mid, .out = 4 * mid, .k = 1});
            x = zoo_add(n, y, shortcut(n, x, in, 4 * mid, stride), ZOO_RELU);
        }
    classes(n, x, 2048);
}

/* --- inverted bottlenecks --------------------------------------------------------------------------------- */

typedef struct stage {
    int64_t expand, out, repeats, stride, k;
} stage;

/* Squeeze and excite: a weight per channel from the channels' means. */
static us_vid excite(zoo_net *n, us_vid x, int64_t channels, int64_t squeezed, zoo_act act,
                     const char *gate)
{
    us_vid s = zoo_mean_pool(n, x);
    s = zoo_conv(n, s,
                 (spec){.in = channels, .out = squeezed, .k = 1, .act = act, .plain = true});
    s = zoo_conv(n, s, (spec){.in = squeezed, .out = channels, .k = 1, .plain = true});
    return us_b2(&n->b, "Mul", us_b1(&n->b, gate, s), x);
}

static us_vid inverted(zoo_net *n, us_vid x, int64_t in, const stage *s, int64_t stride,
                       zoo_act act, bool se)
{
    int64_t mid = in * s->expand;
    us_vid y = x;
    if (mid != in) y = zoo_conv(n, y, (spec){.in = in, .out = mid, .k = 1, .act = act});
    y = zoo_conv(
        n, y,
        (spec){.in = mid, .out = mid, .k = s->k, .stride = stride, .groups = mid, .act = act});
    if (se) y = excite(n, y, mid, in / 4, ZOO_SILU, "Sigmoid");
    y = zoo_conv(n, y, (spec){.in = mid, .out = s->out, .k = 1});
    return stride == 1 && in == s->out ? zoo_add(n, x, y, ZOO_LINEAR) : y;
}

static void stages(zoo_net *n, us_vid *x, int64_t *in, const stage *s, size_t n_stages,
                   zoo_act act, bool se)
{
    for (size_t i = 0; i < n_stages; i++)
        for (int64_t r = 0; r < s[i].repeats; r++, *in = s[i].out)
            *x = inverted(n, *x, *in, &s[i], r == 0 ? s[i].stride : 1, act, se);
}

void zoo_mobilenet_v2(zoo_net *n)
{
    static const stage all[] = {{1, 16, 1, 1, 3}, {6, 24, 2, 2, 3}, {6, 32, 3, 2, 3},
                                {6, 64, 4, 2, 3}, {6, 96, 3, 1, 3}, {6, 160, 3, 2, 3},
                                {6, 320, 1, 1, 3}};
    int64_t in = 32;
    us_vid x = picture(n, "float[N,3,224,224]");
    x = zoo_conv(n, x, (spec){.in = 3, .out = 32, .k = 3, .stride = 2, .act = ZOO_RELU6});
    stages(n, &x, &in, all, sizeof all / sizeof *all, ZOO_RELU6, false);
    classes(n, zoo_conv(n, x, (spec){.in = 320, .out = 1280, .k = 1, .act = ZOO_RELU6}), 1280);
}

void zoo_efficientnet_b0(zoo_net *n)
{
    static const stage all[] = {{1, 16, 1, 1, 3}, {6, 24, 2, 2, 3},  {6, 40, 2, 2, 5},
                                {6, 80, 3, 2, 3}, {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5},
                                {6, 320, 1, 1, 3}};
    int64_t in = 32;
    us_vid x = picture(n, "float[N,3,224,224]");
    x = zoo_conv(n, x, (spec){.in = 3, .out = 32, .k = 3, .stride = 2, .act = ZOO_SILU});
    stages(n, &x, &in, all, sizeof all / sizeof *all, ZOO_SILU, true);
    classes(n, zoo_conv(n, x, (spec){.in = 320, .out = 1280, .k = 1, .act = ZOO_SILU}), 1280);
}

/* --- SqueezeNet 1.1, keywords ---------------------------------------------------------------------------------- */

static us_vid fire(zoo_net *n, us_vid x, int64_t in, int64_t squeeze, int64_t half)
{
    us_vid s = zoo_conv(
        n, x, (spec){.in = in, .out = squeeze, .k = 1, .act = ZOO_RELU, .plain = true});
    us_vid y[2];
    for (int i = 0; i < 2; i++)
        y[i] = zoo_conv(
            n, s,
            (spec){.in = squeeze, .out = half, .k = i ? 3 : 1, .act = ZOO_RELU, .plain = true});
    return zoo_point(n, zoo_joined(n, y[0], y[1]));
}

void zoo_squeezenet(zoo_net *n)
{
    us_vid x = picture(n, "float[N,3,224,224]");
    x = zoo_conv(n, x,
                 (spec){.in = 3,
                        .out = 64,
                        .k = 3,
                        .stride = 2,
                        .pad = -1,
                        .act = ZOO_RELU,
                        .plain = true});
    x = zoo_max_pool(n, x, 3, 2, 0, true);
    x = fire(n, fire(n, x, 64, 16, 64), 128, 16, 64);
    x = zoo_max_pool(n, x, 3, 2, 0, true);
    x = fire(n, fire(n, x, 128, 32, 128), 256, 32, 128);
    x = zoo_max_pool(n, x, 3, 2, 0, true);
    x = fire(n, fire(n, x, 256, 48, 192), 384, 48, 192);
    x = fire(n, fire(n, x, 384, 64, 256), 512, 64, 256);
    x = zoo_conv(n, x, (spec){.in = 512, .out = 1000, .k = 1, .act = ZOO_RELU, .plain = true});
    zoo_output(n, zoo_flatten(n, zoo_mean_pool(n, x)), "output", "float[N,1000]");
}

void zoo_kws(zoo_net *n)
{
    us_vid x = picture(n, "float[N,1,49,10]");
    x = zoo_conv(
        n, x,
        (spec){.in = 1, .out = 64, .k = 10, .kw = 4, .stride = 2, .pad = 1, .act = ZOO_RELU});
    for (int i = 0; i < 4; i++) {
        x = zoo_conv(n, x, (spec){.in = 64, .out = 64, .k = 3, .groups = 64, .act = ZOO_RELU});
        x = zoo_conv(n, x, (spec){.in = 64, .out = 64, .k = 1, .act = ZOO_RELU});
    }
    x = zoo_flatten(n, zoo_mean_pool(n, x));
    us_vid y = us_b1(&n->b, "Softmax", zoo_dense(n, x, 64, 12));
    zoo_output(n, y, "output", "float[N,12]");
}

/* --- PRelu, HardSwish, Resize, ConvTranspose --------------------------------------------------------------------- */

/* Nearest or linear, twice as high and wide. */
static us_vid twice(zoo_net *n, us_vid x, const char *mode, const char *corners)
{
    us_vid in[3] = {x, US_NIL,
                    us_b_const(&n->b, NULL, US_F32, 1, (int64_t[]){4}, (float[]){1, 1, 2, 2})};
    us_vid y = us_b_node(&n->b, "", "Resize", 3, in, 1, NULL);
    us_b_str(&n->b, "mode", mode);
    us_b_str(&n->b, "coordinate_transformation_mode", corners);
    if (mode[0] == 'n') us_b_str(&n->b, "nearest_mode", "floor");
    return y;
}

/* As small segmentation networks are: half depthwise, PRelu after everything, a mask of the size of the picture. */
void zoo_prelu_segment(zoo_net *n)
{
    us_vid x = picture(n, "float[N,3,224,224]"), skip;
    x = zoo_conv(n, x, (spec){.in = 3, .out = 12, .k = 3, .stride = 2, .act = ZOO_PRELU});
    skip = x;
    x = zoo_conv(n, x, (spec){.in = 12, .out = 48, .k = 3, .stride = 2, .act = ZOO_PRELU});
    for (int i = 0; i < 6; i++) {
        us_vid y = zoo_conv(
            n, x,
            (spec){.in = 48, .out = 48, .k = 3 + 2 * (i % 2), .groups = 48, .act = ZOO_PRELU});
        y = zoo_conv(n, y, (spec){.in = 48, .out = 48, .k = 1});
        x = zoo_act_of(n, zoo_add(n, x, y, ZOO_LINEAR), ZOO_PRELU, 48);
    }
    x = twice(n, zoo_conv(n, x, (spec){.in = 48, .out = 12, .k = 1}), "linear", "half_pixel");
    x = zoo_act_of(n, zoo_add(n, x, skip, ZOO_LINEAR), ZOO_PRELU, 12);
    x = zoo_conv(n, x, (spec){.in = 12, .out = 2, .k = 3, .plain = true});
    x = us_b1(&n->b, "Softmax", twice(n, x, "linear", "half_pixel"));
    us_b_int(&n->b, "axis", 1);
    zoo_output(n, x, "output", "float[N,2,224,224]");
}

/* Rows of MobileNetV3-small: kernel, wide, out, excited, hard swish, stride. */
static void mobilenet_v3(zoo_net *n, zoo_act swish)
{
    static const struct {
        int64_t k, mid, out, stride;
        bool se, swish;
    } rows[] = {
        {3, 16, 16, 2, true, false}, {3, 72, 24, 2, false, false}, {3, 88, 24, 1, false, false},
        {5, 96, 40, 2, true, true},  {5, 240, 40, 1, true, true},  {5, 240, 40, 1, true, true},
        {5, 120, 48, 1, true, true}, {5, 144, 48, 1, true, true},  {5, 288, 96, 2, true, true},
        {5, 576, 96, 1, true, true}, {5, 576, 96, 1, true, true}};
    us_vid x = picture(n, "float[N,3,224,224]");
    x = zoo_conv(n, x, (spec){.in = 3, .out = 16, .k = 3, .stride = 2, .act = swish});
    int64_t in = 16;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t mid = rows[i].mid, out = rows[i].out;
        zoo_act act = rows[i].swish ? swish : ZOO_RELU;
        us_vid y = x;
        if (mid != in) y = zoo_conv(n, y, (spec){.in = in, .out = mid, .k = 1, .act = act});
        y = zoo_conv(n, y,
                     (spec){.in = mid,
                            .out = mid,
                            .k = rows[i].k,
                            .stride = rows[i].stride,
                            .groups = mid,
                            .act = act});
        if (rows[i].se) y = excite(n, y, mid, (mid / 4 + 7) / 8 * 8, ZOO_RELU, "HardSigmoid");
        y = zoo_conv(n, y, (spec){.in = mid, .out = out, .k = 1});
        x = rows[i].stride == 1 && in == out ? zoo_add(n, x, y, ZOO_LINEAR) : y;
        in = out;
    }
    classes(n, zoo_conv(n, x, (spec){.in = 96, .out = 576, .k = 1, .act = swish}), 576);
}

void zoo_hardswish_v3(zoo_net *n)
{
    mobilenet_v3(n, ZOO_HSWISH);
}

void zoo_hardswish_paddle(zoo_net *n)
{
    mobilenet_v3(n, ZOO_HSWISH3);
}

/* Features of four scales, each given to the finer one by doubling; maps resized to the size of the first. */
void zoo_resize_pyramid(zoo_net *n)
{
    enum { SCALES = 4 };
    us_vid x = picture(n, "float[N,3,256,256]"), side[SCALES];
    x = zoo_conv(n, x, (spec){.in = 3, .out = 16, .k = 3, .stride = 2, .act = ZOO_RELU});
    for (int64_t i = 0, c = 16; i < SCALES; i++, c *= 2) {
        x = zoo_conv(n, x, (spec){.in = c, .out = 2 * c, .k = 3, .stride = 2, .act = ZOO_RELU});
        side[i] = zoo_conv(n, x, (spec){.in = 2 * c, .out = 32, .k = 1, .plain = true});
    }
    for (int i = SCALES - 1; i-- > 0;)
        side[i] =
            zoo_add(n, side[i], twice(n, side[i + 1], "nearest", "asymmetric"), ZOO_LINEAR);
    x = zoo_joined(n, side[0], twice(n, side[1], "linear", "align_corners"));
    x = zoo_conv(n, x, (spec){.in = 64, .out = 8, .k = 3, .act = ZOO_RELU});
    x = twice(n, twice(n, x, "nearest", "asymmetric"), "linear", "half_pixel");
    zoo_output(n, us_b1(&n->b, "Sigmoid", x), "output", "float[N,8,256,256]");
}

static us_vid up(zoo_net *n, us_vid x, int64_t in, int64_t out)
{
    us_vid args[3] = {x, zoo_weights(n, 0.5 / 16, 4, (int64_t[]){in, out, 2, 2}),
                      zoo_vector(n, out, -0.1, 0.1)};
    us_vid y = us_b_node(&n->b, "", "ConvTranspose", 3, args, 1, NULL);
    us_b_ints(&n->b, "kernel_shape", 2, (int64_t[]){2, 2});
    us_b_ints(&n->b, "strides", 2, (int64_t[]){2, 2});
    return y;
}

void zoo_convtranspose_unet(zoo_net *n)
{
    enum { DEPTH = 3 };
    us_vid x = picture(n, "float[N,1,128,128]"), skip[DEPTH];
    int64_t in = 1, c = 16;
    for (int i = 0; i < DEPTH; i++, in = c, c *= 2) {
        x = zoo_conv(n, x, (spec){.in = in, .out = c, .k = 3, .act = ZOO_RELU});
        skip[i] = zoo_conv(n, x, (spec){.in = c, .out = c, .k = 3, .act = ZOO_RELU});
        x = zoo_max_pool(n, skip[i], 2, 2, 0, false);
    }
    x = zoo_conv(n, x, (spec){.in = in, .out = c, .k = 3, .act = ZOO_RELU});
    for (int i = DEPTH; i-- > 0; c /= 2) {
        x = zoo_joined(n, up(n, x, c, c / 2), skip[i]);
        x = zoo_conv(n, x, (spec){.in = c, .out = c / 2, .k = 3, .act = ZOO_RELU});
    }
    x = zoo_conv(n, x, (spec){.in = 16, .out = 1, .k = 1, .plain = true});
    zoo_output(n, us_b1(&n->b, "Sigmoid", x), "output", "float[N,1,128,128]");
}
