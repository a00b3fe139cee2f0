/* grad/grad_none.c - operators without a gradient, said aloud.
 *
 * Most give integers or booleans, where no gradient can flow and the driver never asks. The others are named with the reason.
 */
#include "grad/grad_table.h"
#include "grad/util.h"

US_NO_GRAD(and)
US_NO_GRAD(arg_max)
US_NO_GRAD(bit_shift)
US_NO_GRAD(bitwise_and)
US_NO_GRAD(bitwise_not)
US_NO_GRAD(constant)
US_NO_GRAD(equal)
US_NO_GRAD(greater)
US_NO_GRAD(hardmax) /* flat almost everywhere */
US_NO_GRAD(image_decoder)
US_NO_GRAD(is_inf)
US_NO_GRAD(is_nan)
US_NO_GRAD(less)
US_NO_GRAD(non_zero)
US_NO_GRAD(not )
US_NO_GRAD(range)
US_NO_GRAD(reduce_prod) /* needs the product of the others without dividing by zero */
US_NO_GRAD(shape)

/* Preprocessing and finished models: nothing behind them is trained. */
US_NO_GRAD(ml_cast_map)
US_NO_GRAD(ml_category_mapper)
US_NO_GRAD(ml_label_encoder)
US_NO_GRAD(ml_one_hot_encoder)
US_NO_GRAD(ml_svm_classifier)
US_NO_GRAD(ml_svm_regressor)
US_NO_GRAD(ml_tree_ensemble_classifier)
US_NO_GRAD(ml_tree_ensemble_regressor)
US_NO_GRAD(ml_zip_map)

/* Selection by values, and products that expansions into core products would train through. */
US_NO_GRAD(bit_cast)
US_NO_GRAD(cum_prod)
US_NO_GRAD(det)
US_NO_GRAD(unique)

/* Text has no gradient. */
US_NO_GRAD(regex_full_match)
US_NO_GRAD(string_concat)
US_NO_GRAD(string_normalizer)
US_NO_GRAD(string_split)

/* Counting words has none either. */
US_NO_GRAD(tfidf_vectorizer)

/* Maps have none. */
US_NO_GRAD(ml_dict_vectorizer)

/* Finished trees. */
US_NO_GRAD(ml_tree_ensemble)

/* Control flow: the sub-graphs would have to be differentiated too. */
US_NO_GRAD(if)
US_NO_GRAD(loop)
US_NO_GRAD(scan)

/* Nobody trains through these yet. */
US_NO_GRAD(flex_attention)
US_NO_GRAD(gru)
US_NO_GRAD(linear_attention)
US_NO_GRAD(lstm)
US_NO_GRAD(rnn)
US_NO_GRAD(conv_transpose)

/* Steps of training themselves: a plan has replaced each Gradient by what computes it, and that can be differentiated. */
US_NO_GRAD(train_gradient)

/* Rounding has none that is of use; training with quantisation writes its own. */
US_NO_GRAD(dequantize_linear)
US_NO_GRAD(quantize_linear)

/* Sequences and optional values carry tensors that gradients would have to follow through lists. */
US_NO_GRAD(concat_from_sequence)
US_NO_GRAD(optional)
US_NO_GRAD(optional_get_element)
US_NO_GRAD(optional_has_element)
US_NO_GRAD(sequence_at)
US_NO_GRAD(sequence_construct)
US_NO_GRAD(sequence_empty)
US_NO_GRAD(sequence_erase)
US_NO_GRAD(sequence_insert)
US_NO_GRAD(sequence_length)
US_NO_GRAD(sequence_map)
US_NO_GRAD(split_to_sequence)

/* Pictures: they come before what is trained, or after it. */
US_NO_GRAD(col2im)
US_NO_GRAD(deform_conv)
US_NO_GRAD(grid_sample)
US_NO_GRAD(max_roi_pool)
US_NO_GRAD(max_unpool)
US_NO_GRAD(non_max_suppression)
US_NO_GRAD(resize)
US_NO_GRAD(roi_align)
/* Drawn, made from sizes, or in front of what is trained. */
US_NO_GRAD(dft)
US_NO_GRAD(mel_weight_matrix)
US_NO_GRAD(multinomial)
US_NO_GRAD(random_normal_like)
US_NO_GRAD(random_uniform_like)

/* com.microsoft: finished models. */
US_NO_GRAD(ms_matmul_nbits)
US_NO_GRAD(ms_matmul_bnb4)
US_NO_GRAD(ms_gather_block_quantized)
US_NO_GRAD(ms_attention)
US_NO_GRAD(ms_decoder_masked_mha)
US_NO_GRAD(ms_group_query_attention)
US_NO_GRAD(ms_multi_head_attention)
US_NO_GRAD(ms_qattention)
US_NO_GRAD(ms_rotary_embedding)
US_NO_GRAD(ms_beam_search)
US_NO_GRAD(ms_greedy_search)
US_NO_GRAD(ms_sampling)

/* Made for a plan, after gradients. */
US_NO_GRAD(usta_map)
US_NO_GRAD(blocked_conv)
US_NO_GRAD(blocked_deconv)
US_NO_GRAD(reorder_in)
US_NO_GRAD(reorder_out)
US_NO_GRAD(usta_attention)
US_NO_GRAD(usta_gemm)
US_NO_GRAD(usta_matmul)
