/* ir/params_ms.h - decoded attributes of the com.microsoft operators; see params.h. */
#ifndef USTA_IR_PARAMS_MS_H
#define USTA_IR_PARAMS_MS_H

#include "ir/params.h"

/* QLinearAveragePool, QLinearGlobalAveragePool */
typedef struct us_p_ms_qlinear_pool {
    us_p_average_pool pool; /* first: read by AveragePool's functions */
    int64_t channels_last;
} us_p_ms_qlinear_pool;

typedef struct us_p_ms_qlinear_softmax { /* com.microsoft.QLinearSoftmax */
    int64_t axis;
    int64_t opset;
} us_p_ms_qlinear_softmax;

typedef struct us_p_ms_fused_gemm { /* com.microsoft.FusedGemm */
    us_p_gemm gemm;                 /* first: read by Gemm's functions */
    us_sv activation;
    float activation_alpha, activation_beta, activation_gamma;
} us_p_ms_fused_gemm;

typedef struct us_p_ms_fused_conv { /* com.microsoft.FusedConv */
    us_p_conv conv;                 /* first: read by Conv's functions */
    us_sv activation;
    us_floats activation_params;
} us_p_ms_fused_conv;

typedef struct us_p_ms_fused_matmul { /* com.microsoft.FusedMatMul, TransposeMatMul */
    float alpha;
    int64_t transA;
    int64_t transB;
    int64_t transBatchA;
    int64_t transBatchB;
} us_p_ms_fused_matmul;

typedef struct us_p_ms_qgemm { /* com.microsoft.QGemm */
    float alpha;
    int64_t transA;
    int64_t transB;
} us_p_ms_qgemm;

typedef struct us_p_ms_nbits { /* com.microsoft.MatMulNBits, MatMulBnb4, GatherBlockQuantized */
    int64_t n_cols;            /* N */
    int64_t n_rows;            /* K */
    int64_t accuracy_level;
    int64_t bits;
    int64_t block_size;
    int64_t gather_axis;
    int64_t quant_type;
    int64_t quantize_axis;
    int64_t training_mode;
    int64_t transB;
} us_p_ms_nbits;

typedef struct us_p_ms_qlinear_conv { /* com.microsoft.QLinearConv */
    us_p_conv conv;                   /* first: read by QLinearConv's functions */
    int64_t channels_last;
} us_p_ms_qlinear_conv;

typedef struct us_p_ms_skip_layer_norm { /* com.microsoft.SkipLayerNormalization */
    float epsilon;
} us_p_ms_skip_layer_norm;

typedef struct us_p_ms_quick_gelu { /* com.microsoft.QuickGelu */
    float alpha;
} us_p_ms_quick_gelu;

typedef struct
    us_p_ms_embed_norm { /* com.microsoft.EmbedLayerNormalization, QEmbedLayerNormalization */
    float epsilon;
    int64_t mask_index_type;
} us_p_ms_embed_norm;

typedef struct us_p_ms_attention { /* com.microsoft.Attention, QAttention */
    int64_t do_rotary;
    float mask_filter_value;
    int64_t num_heads;
    int64_t past_present_share_buffer;
    us_ints qkv_hidden_sizes;
    int64_t rotary_embedding_dim;
    float scale;
    int64_t unidirectional;
} us_p_ms_attention;

/* com.microsoft.MultiHeadAttention, DecoderMaskedMultiHeadAttention */
typedef struct us_p_ms_mha {
    float mask_filter_value;
    int64_t num_heads;
    int64_t output_qk;
    int64_t past_present_share_buffer;
    float scale;
    int64_t unidirectional;
} us_p_ms_mha;

typedef struct us_p_ms_gqa { /* com.microsoft.GroupQueryAttention */
    int64_t do_rotary;
    int64_t kv_num_heads;
    int64_t local_window_size;
    int64_t num_heads;
    int64_t qk_output;
    int64_t rotary_interleaved;
    float scale;
    int64_t smooth_softmax;
    float softcap;
} us_p_ms_gqa;

typedef struct us_p_ms_rotary { /* com.microsoft.RotaryEmbedding */
    int64_t interleaved;
    int64_t is_packed_batching;
    int64_t num_heads;
    int64_t rotary_embedding_dim;
    float scale;
} us_p_ms_rotary;

typedef struct us_p_ms_generate { /* com.microsoft.BeamSearch, GreedySearch, Sampling */
    us_graph *decoder;
    int64_t decoder_start_token_id;
    int64_t early_stopping;
    us_graph *encoder; /* NULL: none */
    int64_t eos_token_id;
    us_graph *init_decoder; /* NULL: none */
    int64_t model_type;
    int64_t no_repeat_ngram_size;
    int64_t pad_token_id;
    int64_t vocab_size;
    int64_t custom; /* the rest is Sampling's */
    float filter_value;
    int64_t min_tokens_to_keep;
    float presence_penalty;
    float temperature;
    float top_p;
} us_p_ms_generate;

#endif
