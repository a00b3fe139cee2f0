/* onnx_functions.h - the operators that the ONNX standard itself defines by other operators.
 *
 * From the schemas of the onnx package (has_function, has_context_dependent_function), 1.12 and 1.19, which
 * tests/ir/onnx_functions.py compares with what is installed; those of later versions from the official cases
 * that have an expanded twin (test_..._expanded). Sorted. */
/* clang-format off */
static const char *const onnx_functions[] = {
    "AffineGrid", "Attention", "Bernoulli", "BlackmanWindow", "CastLike", "CausalConvWithState", "Celu", "CenterCropPad",
    "Clip", "DynamicQuantizeLinear", "Elu", "FlexAttention", "Gelu", "GreaterOrEqual", "GroupNormalization",
    "HammingWindow", "HannWindow", "HardSigmoid", "HardSwish", "LayerNormalization", "LeakyRelu", "LessOrEqual",
    "LinearAttention", "LogSoftmax", "MeanVarianceNormalization", "Mish", "NegativeLogLikelihoodLoss", "PRelu",
    "RMSNormalization", "Range", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare",
    "Relu", "RotaryEmbedding", "Selu", "SequenceMap", "Shrink", "Softmax", "SoftmaxCrossEntropyLoss", "Softplus",
    "Softsign", "SwiGLU", "Swish", "ThresholdedRelu",
};
/* clang-format on */
