/* bench/zoo.h - well-known networks with made-up weights, for make bench-infer.
 *
 * A maker builds one network in n->m through the helpers here. Weights are numbers of a counter, keyed by the order in which they are
 * asked for, with the spread that keeps sizes of activations level from layer to layer; so a network is the same on every machine.
 *
 * A maker that leaves all its layers to zoo_conv, zoo_dense, zoo_add, the pools and zoo_flatten has an int8 form for nothing. It is made three
 * times then: FLOAT as it is; RANGES with normalisations folded, as quantisers want their input, to see what each tensor's values
 * lie between; QDQ with every tensor in a QuantizeLinear-DequantizeLinear pair, the form that ONNX Runtime's static quantiser
 * writes: activations uint8, weights int8 by output channel, bias int32, activations that the range implies left out.
 */
#ifndef USTA_BENCH_ZOO_H
#define USTA_BENCH_ZOO_H

#include "base/ctx.h"
#include "base/rng.h"
#include "ir/build.h"

typedef enum zoo_form { ZOO_FLOAT, ZOO_RANGES, ZOO_QDQ } zoo_form;
typedef enum zoo_act {
    ZOO_LINEAR,
    ZOO_RELU,
    ZOO_RELU6,
    ZOO_SILU,    /* x * Sigmoid(x) */
    ZOO_HSWISH,  /* the operator */
    ZOO_HSWISH3, /* x * Clip(x + 3, 0, 6) / 6, as PaddlePaddle writes it */
    ZOO_PRELU    /* a slope per channel */
} zoo_act;

enum { ZOO_MAX_POINTS = 256 };
typedef struct zoo_range {
    float lo, hi;
} zoo_range;

typedef struct zoo_net {
    us_ctx *c;
    us_model *m;
    us_builder b;
    zoo_form form;
    uint64_t n_weights;               /* tensors of weights made so far */
    us_vid points[ZOO_MAX_POINTS];    /* RANGES: the tensors whose ranges are wanted */
    zoo_range ranges[ZOO_MAX_POINTS]; /* of points */
    size_t n_points;
    us_vid pairs[2 * ZOO_MAX_POINTS];          /* QDQ: what came out of pairs, */
    zoo_range pair_ranges[2 * ZOO_MAX_POINTS]; /* and of which range they are */
    size_t n_pairs;
} zoo_net;

/* A convolution, a BatchNormalization (or a bias: `plain`) and an activation. 0 stands for 1 in stride, kw (as kh), groups. */
typedef struct zoo_conv_spec {
    int64_t in, out, k, stride, groups;
    int64_t kw,
        pad; /* kw: width of the kernel when not k; pad: -1 none, 0 keeps the size, else as said */
    zoo_act act;
    bool plain;
} zoo_conv_spec;

us_vid zoo_input(zoo_net *n, const char *name, const char *type);
void zoo_output(zoo_net *n, us_vid v, const char *name, const char *type);

us_vid zoo_weights(zoo_net *n, double deviation, int rank, const int64_t *dims);
us_vid zoo_vector(zoo_net *n, int64_t len, double lo, double hi);
us_vid zoo_conv(zoo_net *n, us_vid x, zoo_conv_spec s);
us_vid zoo_act_of(zoo_net *n, us_vid x, zoo_act act, int64_t channels);
us_vid zoo_dense(zoo_net *n, us_vid x, int64_t in, int64_t out); /* Gemm with transB */
us_vid zoo_add(zoo_net *n, us_vid x, us_vid y, zoo_act act);
/* Parts of transformers, in floats only: MatMul and Add of a bias; GELU by Erf in its parts. */
us_vid zoo_product(zoo_net *n, us_vid x, int64_t in, int64_t out);
us_vid zoo_gelu(zoo_net *n, us_vid x);
us_vid zoo_joined(zoo_net *n, us_vid x, us_vid y); /* Concat along axis 1 */
us_vid zoo_transpose(zoo_net *n, us_vid x, size_t rank, const int64_t *perm);
us_vid zoo_max_pool(zoo_net *n, us_vid x, int64_t k, int64_t stride, int64_t pad, bool ceil);
us_vid zoo_mean_pool(zoo_net *n, us_vid x); /* GlobalAveragePool */
us_vid zoo_flatten(zoo_net *n, us_vid x);

/* zoo_quant.c: what becomes of a tensor and of weights in this form. */
us_vid zoo_point(zoo_net *n, us_vid v);
us_vid zoo_point_as(zoo_net *n, us_vid v,
                    us_vid x);                /* of x's range: pooling and reshaping keep it */
zoo_range zoo_range_of(zoo_net *n, us_vid v); /* of what came out of a pair */
us_vid zoo_int8_weights(zoo_net *n, int rank, const int64_t *dims, const float *w,
                        float *scales);
us_vid zoo_int32_bias(zoo_net *n, int64_t len, const float *b, const float *scales,
                      float x_scale);
float zoo_scale(zoo_range r);

typedef void zoo_maker(zoo_net *n);
/* zoo_vision.c */
zoo_maker zoo_resnet18, zoo_resnet50, zoo_mobilenet_v2, zoo_efficientnet_b0, zoo_squeezenet,
    zoo_kws;
zoo_maker zoo_prelu_segment, zoo_hardswish_v3, zoo_hardswish_paddle, zoo_resize_pyramid,
    zoo_convtranspose_unet;
/* zoo_more.c: others of the same kinds, which no target speaks of */
zoo_maker zoo_resnext, zoo_densenet, zoo_shufflenet, zoo_tcn, zoo_vit;
/* zoo_text.c */
zoo_maker zoo_bert_mini, zoo_minilm;
/* zoo_small.c */
zoo_maker zoo_mlp, zoo_linear, zoo_trees, zoo_lstm, zoo_gru;

#endif
