/* ir/params.h - decoded attributes: one struct per operator (or family), filled by the schema's rows.
 *
 * us_node.params points to the struct of its operator; the field names are the attributes' names, so the
 * meaning is that of the ONNX operator document. A field marked "older versions" is only filled for
 * nodes of an earlier version; the upgrade functions read it, nobody else does. has_x: x was given.
 */
#ifndef USTA_IR_PARAMS_H
#define USTA_IR_PARAMS_H

#include "ir/op.h"

typedef struct us_p_legacy { /* elementwise operators: attributes that early versions had */
    int64_t axis;            /* older versions */
    int64_t broadcast;       /* older versions */
    us_ints consumed_inputs; /* older versions */
    bool has_axis;
} us_p_legacy;

typedef struct us_p_mod { /* Mod */
    int64_t fmod;
} us_p_mod;

typedef struct us_p_hard_sigmoid { /* HardSigmoid */
    float alpha;
    float beta;
    us_ints consumed_inputs; /* older versions */
} us_p_hard_sigmoid;

typedef struct us_p_leaky_relu { /* LeakyRelu */
    float alpha;
    us_ints consumed_inputs; /* older versions */
} us_p_leaky_relu;

typedef struct us_p_elu { /* Elu */
    float alpha;
    us_ints consumed_inputs; /* older versions */
} us_p_elu;

typedef struct us_p_selu { /* Selu */
    float alpha;
    float gamma;
    us_ints consumed_inputs; /* older versions */
} us_p_selu;

typedef struct us_p_celu { /* Celu */
    float alpha;
} us_p_celu;

typedef struct us_p_thresholded_relu { /* ThresholdedRelu */
    float alpha;
} us_p_thresholded_relu;

typedef struct us_p_gelu { /* Gelu */
    us_sv approximate;
} us_p_gelu;

typedef struct us_p_swish { /* Swish */
    float alpha;
} us_p_swish;

typedef struct us_p_shrink { /* Shrink */
    float bias;
    float lambd;
} us_p_shrink;

typedef struct us_p_clip {   /* Clip */
    float max;               /* older versions */
    float min;               /* older versions */
    us_ints consumed_inputs; /* older versions */
    bool has_max, has_min;
} us_p_clip;

typedef struct us_p_bit_shift { /* BitShift */
    us_sv direction;
} us_p_bit_shift;

typedef struct us_p_is_inf { /* IsInf */
    int64_t detect_negative;
    int64_t detect_positive;
} us_p_is_inf;

typedef struct us_p_cast { /* Cast */
    us_sv round_mode;
    int64_t saturate;
    int64_t to;
    us_sv to_1; /* older versions */
} us_p_cast;

typedef struct us_p_cast_like { /* CastLike */
    us_sv round_mode;
    int64_t saturate;
} us_p_cast_like;

typedef struct us_p_gemm { /* Gemm */
    float alpha;
    float beta;
    int64_t transA;
    int64_t transB;
    int64_t broadcast; /* older versions */
} us_p_gemm;

typedef struct us_p_conv { /* Conv */
    us_sv auto_pad;
    us_ints dilations;
    int64_t group;
    us_ints kernel_shape;
    us_ints pads;
    us_ints strides;
} us_p_conv;

typedef struct us_p_conv_transpose { /* ConvTranspose */
    us_sv auto_pad;
    us_ints dilations;
    int64_t group;
    us_ints kernel_shape;
    us_ints output_padding;
    us_ints output_shape;
    us_ints pads;
    us_ints strides;
} us_p_conv_transpose;

typedef struct us_p_max_pool { /* MaxPool */
    us_sv auto_pad;
    int64_t ceil_mode;
    us_ints dilations;
    us_ints kernel_shape;
    us_ints pads;
    int64_t storage_order;
    us_ints strides;
} us_p_max_pool;

typedef struct us_p_average_pool { /* AveragePool */
    us_sv auto_pad;
    int64_t ceil_mode;
    int64_t count_include_pad;
    us_ints dilations;
    us_ints kernel_shape;
    us_ints pads;
    us_ints strides;
} us_p_average_pool;

typedef struct us_p_lp_pool { /* LpPool */
    us_sv auto_pad;
    int64_t ceil_mode;
    us_ints dilations;
    us_ints kernel_shape;
    int64_t p;
    us_ints pads;
    us_ints strides;
    float p_1; /* older versions */
} us_p_lp_pool;

typedef struct us_p_global_pool { /* GlobalLpPool */
    int64_t p;
    float p_1; /* older versions */
} us_p_global_pool;

typedef struct us_p_batch_normalization { /* BatchNormalization */
    float epsilon;
    float momentum;
    int64_t training_mode;
    int64_t spatial;         /* older versions */
    int64_t is_test;         /* older versions */
    us_ints consumed_inputs; /* older versions */
} us_p_batch_normalization;

typedef struct us_p_layer_normalization { /* LayerNormalization */
    int64_t axis;
    float epsilon;
    int64_t stash_type;
} us_p_layer_normalization;

typedef struct us_p_instance_normalization { /* InstanceNormalization */
    float epsilon;
    us_ints consumed_inputs; /* older versions */
} us_p_instance_normalization;

typedef struct us_p_group_normalization { /* GroupNormalization */
    float epsilon;
    int64_t num_groups;
    int64_t stash_type;
} us_p_group_normalization;

typedef struct us_p_rms_normalization { /* RMSNormalization */
    int64_t axis;
    float epsilon;
    int64_t stash_type;
} us_p_rms_normalization;

typedef struct us_p_lp_normalization { /* LpNormalization */
    int64_t axis;
    int64_t p;
} us_p_lp_normalization;

typedef struct us_p_mean_variance_normalization { /* MeanVarianceNormalization */
    us_ints axes;
} us_p_mean_variance_normalization;

typedef struct us_p_lrn { /* LRN */
    float alpha;
    float beta;
    float bias;
    int64_t size;
} us_p_lrn;

typedef struct us_p_rnn { /* RNN GRU LSTM */
    us_floats activation_alpha;
    us_floats activation_beta;
    us_strs activations;
    float clip;
    us_sv direction;
    int64_t hidden_size;
    int64_t input_forget; /* LSTM */
    int64_t layout;
    int64_t linear_before_reset; /* GRU */
    int64_t output_sequence;     /* before version 7; the names of the outputs say it */
} us_p_rnn;

typedef struct us_p_attention { /* Attention */
    int64_t is_causal;
    int64_t kv_num_heads;
    int64_t left_window_size;
    int64_t q_num_heads;
    int64_t qk_matmul_output_mode;
    int64_t right_window_size;
    float scale;
    float softcap;
    int64_t softmax_precision;
    bool has_scale;
} us_p_attention;

typedef struct us_p_flex_attention { /* ai.onnx.preview.FlexAttention */
    us_graph *prob_mod;
    float scale;
    us_graph *score_mod;
    int64_t softmax_precision;
    bool has_scale;
} us_p_flex_attention;

typedef struct us_p_rotary_embedding { /* RotaryEmbedding */
    int64_t interleaved;
    int64_t num_heads;
    int64_t rotary_embedding_dim;
} us_p_rotary_embedding;

typedef struct us_p_linear_attention { /* LinearAttention */
    int64_t chunk_size;
    int64_t kv_num_heads;
    int64_t q_num_heads;
    float scale;
    us_sv update_rule;
} us_p_linear_attention;

typedef struct us_p_causal_conv_with_state { /* CausalConvWithState */
    us_sv activation;
} us_p_causal_conv_with_state;

typedef struct us_p_swiglu { /* SwiGLU */
    float alpha;
} us_p_swiglu;

typedef struct us_p_softmax { /* Softmax LogSoftmax Hardmax */
    int64_t axis;
} us_p_softmax;

typedef struct
    us_p_reduce { /* ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare */
    int64_t keepdims;
    int64_t noop_with_empty_axes;
    us_ints axes; /* older versions */
} us_p_reduce;

typedef struct us_p_arg_max { /* ArgMax ArgMin */
    int64_t axis;
    int64_t keepdims;
    int64_t select_last_index;
} us_p_arg_max;

typedef struct us_p_topk { /* TopK */
    int64_t axis;
    int64_t largest;
    int64_t sorted;
    int64_t k; /* older versions */
} us_p_topk;

typedef struct us_p_cum_sum { /* CumSum CumProd */
    int64_t exclusive;
    int64_t reverse;
} us_p_cum_sum;

typedef struct us_p_reshape { /* Reshape */
    int64_t allowzero;
    us_ints consumed_inputs; /* older versions */
    us_ints shape;           /* older versions */
} us_p_reshape;

typedef struct us_p_flatten { /* Flatten */
    int64_t axis;
} us_p_flatten;

typedef struct us_p_squeeze { /* Squeeze */
    us_ints axes;             /* older versions */
} us_p_squeeze;

typedef struct us_p_unsqueeze { /* Unsqueeze */
    us_ints axes;               /* older versions */
} us_p_unsqueeze;

typedef struct us_p_shape { /* Shape */
    int64_t end;
    int64_t start;
    bool has_end;
} us_p_shape;

typedef struct us_p_dropout { /* Dropout */
    int64_t seed;
    float ratio;             /* older versions */
    int64_t is_test;         /* older versions */
    us_ints consumed_inputs; /* older versions */
    bool has_seed;
} us_p_dropout;

typedef struct us_p_transpose { /* Transpose */
    us_ints perm;
} us_p_transpose;

typedef struct us_p_concat { /* Concat */
    int64_t axis;
    bool has_axis;
} us_p_concat;

typedef struct us_p_split { /* Split */
    int64_t axis;
    int64_t num_outputs;
    us_ints split; /* older versions */
    bool has_axis, has_num_outputs;
} us_p_split;

typedef struct us_p_slice { /* Slice */
    us_ints axes;           /* older versions */
    us_ints ends;           /* older versions */
    us_ints starts;         /* older versions */
} us_p_slice;

typedef struct us_p_pad { /* Pad */
    us_sv mode;
    us_ints pads;     /* older versions */
    float value;      /* older versions */
    us_ints paddings; /* older versions */
} us_p_pad;

typedef struct us_p_depth_to_space { /* DepthToSpace */
    int64_t blocksize;
    us_sv mode;
} us_p_depth_to_space;

typedef struct us_p_space_to_depth { /* SpaceToDepth */
    int64_t blocksize;
    us_sv mode;
} us_p_space_to_depth;

typedef struct us_p_trilu { /* Trilu */
    int64_t upper;
} us_p_trilu;

typedef struct us_p_reverse_sequence { /* ReverseSequence */
    int64_t batch_axis;
    int64_t time_axis;
} us_p_reverse_sequence;

typedef struct us_p_gather { /* Gather GatherElements */
    int64_t axis;
} us_p_gather;

typedef struct us_p_gather_nd { /* GatherND */
    int64_t batch_dims;
} us_p_gather_nd;

typedef struct us_p_scatter { /* ScatterElements Scatter */
    int64_t axis;
    us_sv reduction;
} us_p_scatter;

typedef struct us_p_scatter_nd { /* ScatterND */
    us_sv reduction;
} us_p_scatter_nd;

typedef struct us_p_constant { /* Constant */
    const us_tensor *value;
    float value_float;
    us_floats value_floats;
    int64_t value_int;
    us_ints value_ints;
    us_sv value_string;
    us_strs value_strings;
    bool has_value_float, has_value_int, has_value_string;
} us_p_constant;

typedef struct us_p_constant_of_shape { /* ConstantOfShape */
    const us_tensor *value;
} us_p_constant_of_shape;

typedef struct us_p_range { /* Range */
    int64_t stash_type;
} us_p_range;

typedef struct us_p_one_hot { /* OneHot */
    int64_t axis;
} us_p_one_hot;

typedef struct us_p_eye_like { /* EyeLike */
    int64_t dtype;
    int64_t k;
    bool has_dtype;
} us_p_eye_like;

typedef struct us_p_softmax_cross_entropy_loss { /* SoftmaxCrossEntropyLoss */
    int64_t ignore_index;
    us_sv reduction;
    bool has_ignore_index;
} us_p_softmax_cross_entropy_loss;

typedef struct us_p_negative_log_likelihood_loss { /* NegativeLogLikelihoodLoss */
    int64_t ignore_index;
    us_sv reduction;
    bool has_ignore_index;
} us_p_negative_log_likelihood_loss;

typedef struct us_p_if { /* If */
    us_graph *else_branch;
    us_graph *then_branch;
} us_p_if;

typedef struct us_p_loop { /* Loop */
    us_graph *body;
} us_p_loop;

typedef struct us_p_scan { /* Scan */
    us_graph *body;
    int64_t num_scan_inputs;
    us_ints scan_input_axes;
    us_ints scan_input_directions;
    us_ints scan_output_axes;
    us_ints scan_output_directions;
    us_ints directions; /* older versions */
} us_p_scan;

typedef struct us_p_quantize_linear { /* QuantizeLinear */
    int64_t axis;
    int64_t block_size;
    int64_t output_dtype;
    int64_t precision;
    int64_t saturate;
} us_p_quantize_linear;

typedef struct us_p_dequantize_linear { /* DequantizeLinear */
    int64_t axis;
    int64_t block_size;
    int64_t output_dtype;
} us_p_dequantize_linear;

typedef struct us_p_sequence_empty { /* SequenceEmpty */
    int64_t dtype;
    bool has_dtype;
} us_p_sequence_empty;

typedef struct us_p_split_to_sequence { /* SplitToSequence */
    int64_t axis;
    int64_t keepdims;
} us_p_split_to_sequence;

typedef struct us_p_concat_from_sequence { /* ConcatFromSequence */
    int64_t axis;
    int64_t new_axis;
} us_p_concat_from_sequence;

typedef struct us_p_sequence_map { /* SequenceMap */
    us_graph *body;
} us_p_sequence_map;

typedef struct us_p_optional { /* Optional */
    const us_type *type;
} us_p_optional;

typedef struct us_p_einsum { /* Einsum */
    us_sv equation;
} us_p_einsum;

typedef struct us_p_compress { /* Compress */
    int64_t axis;
    bool has_axis;
} us_p_compress;

typedef struct us_p_unique { /* Unique */
    int64_t axis;
    int64_t sorted;
    bool has_axis;
} us_p_unique;

typedef struct us_p_tensor_scatter { /* TensorScatter */
    int64_t axis;
    us_sv mode;
} us_p_tensor_scatter;

typedef struct us_p_bit_cast { /* BitCast */
    int64_t to;
} us_p_bit_cast;

typedef struct us_p_string_normalizer { /* StringNormalizer */
    us_sv case_change_action;
    int64_t is_case_sensitive;
    us_sv locale;
    us_strs stopwords;
} us_p_string_normalizer;

typedef struct us_p_string_split { /* StringSplit */
    us_sv delimiter;
    int64_t maxsplit;
    bool has_maxsplit;
} us_p_string_split;

typedef struct us_p_regex_full_match { /* RegexFullMatch */
    us_sv pattern;
} us_p_regex_full_match;

typedef struct us_p_tfidf_vectorizer { /* TfIdfVectorizer */
    int64_t max_gram_length;
    int64_t max_skip_count;
    int64_t min_gram_length;
    us_sv mode;
    us_ints ngram_counts;
    us_ints ngram_indexes;
    us_ints pool_int64s;
    us_strs pool_strings;
    us_floats weights;
} us_p_tfidf_vectorizer;

typedef struct us_p_ml_imputer { /* ai.onnx.ml.Imputer */
    us_floats imputed_value_floats;
    us_ints imputed_value_int64s;
    float replaced_value_float;
    int64_t replaced_value_int64;
} us_p_ml_imputer;

typedef struct us_p_ml_scaler { /* ai.onnx.ml.Scaler */
    us_floats offset;
    us_floats scale;
} us_p_ml_scaler;

typedef struct us_p_ml_one_hot_encoder { /* ai.onnx.ml.OneHotEncoder */
    us_ints cats_int64s;
    us_strs cats_strings;
    int64_t zeros;
} us_p_ml_one_hot_encoder;

typedef struct us_p_ml_label_encoder { /* ai.onnx.ml.LabelEncoder */
    float default_float;
    int64_t default_int64;
    us_sv default_string;
    const us_tensor *default_tensor;
    us_floats keys_floats;
    us_ints keys_int64s;
    us_strs keys_strings;
    const us_tensor *keys_tensor;
    us_floats values_floats;
    us_ints values_int64s;
    us_strs values_strings;
    const us_tensor *values_tensor;
    us_strs classes_strings; /* older versions */
} us_p_ml_label_encoder;

typedef struct us_p_ml_normalizer { /* ai.onnx.ml.Normalizer */
    us_sv norm;
} us_p_ml_normalizer;

typedef struct us_p_ml_binarizer { /* ai.onnx.ml.Binarizer */
    float threshold;
} us_p_ml_binarizer;

typedef struct us_p_ml_feature_vectorizer { /* ai.onnx.ml.FeatureVectorizer */
    us_ints inputdimensions;
} us_p_ml_feature_vectorizer;

typedef struct us_p_ml_category_mapper { /* ai.onnx.ml.CategoryMapper */
    us_ints cats_int64s;
    us_strs cats_strings;
    int64_t default_int64;
    us_sv default_string;
} us_p_ml_category_mapper;

typedef struct us_p_ml_linear_classifier { /* ai.onnx.ml.LinearClassifier */
    us_ints classlabels_ints;
    us_strs classlabels_strings;
    us_floats coefficients;
    us_floats intercepts;
    int64_t multi_class;
    us_sv post_transform;
} us_p_ml_linear_classifier;

typedef struct us_p_ml_linear_regressor { /* ai.onnx.ml.LinearRegressor */
    us_floats coefficients;
    us_floats intercepts;
    us_sv post_transform;
    int64_t targets;
} us_p_ml_linear_regressor;

typedef struct us_p_ml_svm_classifier { /* ai.onnx.ml.SVMClassifier */
    us_ints classlabels_ints;
    us_strs classlabels_strings;
    us_floats coefficients;
    us_floats kernel_params;
    us_sv kernel_type;
    us_sv post_transform;
    us_floats prob_a;
    us_floats prob_b;
    us_floats rho;
    us_floats support_vectors;
    us_ints vectors_per_class;
} us_p_ml_svm_classifier;

typedef struct us_p_ml_svm_regressor { /* ai.onnx.ml.SVMRegressor */
    us_floats coefficients;
    us_floats kernel_params;
    us_sv kernel_type;
    int64_t n_supports;
    int64_t one_class;
    us_sv post_transform;
    us_floats rho;
    us_floats support_vectors;
} us_p_ml_svm_regressor;

typedef struct us_p_ml_tree_ensemble_classifier { /* ai.onnx.ml.TreeEnsembleClassifier */
    us_floats base_values;
    const us_tensor *base_values_as_tensor;
    us_ints class_ids;
    us_ints class_nodeids;
    us_ints class_treeids;
    us_floats class_weights;
    const us_tensor *class_weights_as_tensor;
    us_ints classlabels_int64s;
    us_strs classlabels_strings;
    us_ints nodes_falsenodeids;
    us_ints nodes_featureids;
    us_floats nodes_hitrates;
    const us_tensor *nodes_hitrates_as_tensor;
    us_ints nodes_missing_value_tracks_true;
    us_strs nodes_modes;
    us_ints nodes_nodeids;
    us_ints nodes_treeids;
    us_ints nodes_truenodeids;
    us_floats nodes_values;
    const us_tensor *nodes_values_as_tensor;
    us_sv post_transform;
} us_p_ml_tree_ensemble_classifier;

typedef struct us_p_ml_tree_ensemble_regressor { /* ai.onnx.ml.TreeEnsembleRegressor */
    us_sv aggregate_function;
    us_floats base_values;
    const us_tensor *base_values_as_tensor;
    int64_t n_targets;
    us_ints nodes_falsenodeids;
    us_ints nodes_featureids;
    us_floats nodes_hitrates;
    const us_tensor *nodes_hitrates_as_tensor;
    us_ints nodes_missing_value_tracks_true;
    us_strs nodes_modes;
    us_ints nodes_nodeids;
    us_ints nodes_treeids;
    us_ints nodes_truenodeids;
    us_floats nodes_values;
    const us_tensor *nodes_values_as_tensor;
    us_sv post_transform;
    us_ints target_ids;
    us_ints target_nodeids;
    us_ints target_treeids;
    us_floats target_weights;
    const us_tensor *target_weights_as_tensor;
    bool has_n_targets;
} us_p_ml_tree_ensemble_regressor;

typedef struct us_p_ml_tree_ensemble { /* ai.onnx.ml.TreeEnsemble */
    int64_t aggregate_function;
    us_ints leaf_targetids;
    const us_tensor *leaf_weights;
    const us_tensor *membership_values;
    int64_t n_targets;
    us_ints nodes_falseleafs;
    us_ints nodes_falsenodeids;
    us_ints nodes_featureids;
    const us_tensor *nodes_hitrates;
    us_ints nodes_missing_value_tracks_true;
    const us_tensor *nodes_modes;
    const us_tensor *nodes_splits;
    us_ints nodes_trueleafs;
    us_ints nodes_truenodeids;
    int64_t post_transform;
    us_ints tree_roots;
    bool has_n_targets;
} us_p_ml_tree_ensemble;

typedef struct us_p_ml_zip_map { /* ai.onnx.ml.ZipMap */
    us_ints classlabels_int64s;
    us_strs classlabels_strings;
} us_p_ml_zip_map;

typedef struct us_p_ml_cast_map { /* ai.onnx.ml.CastMap */
    us_sv cast_to;
    us_sv map_form;
    int64_t max_map;
} us_p_ml_cast_map;

typedef struct us_p_ml_dict_vectorizer { /* ai.onnx.ml.DictVectorizer */
    us_ints int64_vocabulary;
    us_strs string_vocabulary;
} us_p_ml_dict_vectorizer;

typedef struct us_p_resize { /* Resize */
    int64_t antialias;
    us_ints axes;
    us_sv coordinate_transformation_mode;
    float cubic_coeff_a;
    int64_t exclude_outside;
    float extrapolation_value;
    us_sv keep_aspect_ratio_policy;
    us_sv mode;
    us_sv nearest_mode;
} us_p_resize;

typedef struct us_p_upsample { /* Upsample */
    us_sv mode;
    us_floats scales;   /* older versions */
    float height_scale; /* older versions */
    float width_scale;  /* older versions */
} us_p_upsample;

typedef struct us_p_grid_sample { /* GridSample */
    int64_t align_corners;
    us_sv mode;
    us_sv padding_mode;
} us_p_grid_sample;

typedef struct us_p_affine_grid { /* AffineGrid */
    int64_t align_corners;
} us_p_affine_grid;

typedef struct us_p_roi_align { /* RoiAlign */
    us_sv coordinate_transformation_mode;
    us_sv mode;
    int64_t output_height;
    int64_t output_width;
    int64_t sampling_ratio;
    float spatial_scale;
} us_p_roi_align;

typedef struct us_p_max_roi_pool { /* MaxRoiPool */
    us_ints pooled_shape;
    float spatial_scale;
} us_p_max_roi_pool;

typedef struct us_p_max_unpool { /* MaxUnpool */
    us_ints kernel_shape;
    us_ints pads;
    us_ints strides;
} us_p_max_unpool;

typedef struct us_p_deform_conv { /* DeformConv */
    us_ints dilations;
    int64_t group;
    us_ints kernel_shape;
    int64_t offset_group;
    us_ints pads;
    us_ints strides;
} us_p_deform_conv;

typedef struct us_p_col2im { /* Col2Im */
    us_ints dilations;
    us_ints pads;
    us_ints strides;
} us_p_col2im;

typedef struct us_p_center_crop_pad { /* CenterCropPad */
    us_ints axes;
} us_p_center_crop_pad;

typedef struct us_p_non_max_suppression { /* NonMaxSuppression */
    int64_t center_point_box;
} us_p_non_max_suppression;
#endif
