/* ir/text.h - the graph as text, for tests, `--dump-after` and people; parse(print(g)) gives the same graph.
 *
 *     model ir=8 opset=17,ai.onnx.ml:3
 *     graph main(x: float[N,4]) -> (y) {
 *       const w: float[4,3] = {0.5, 1, ...}            # contents in full up to a limit, then {...; crc=89ab12cd}
 *       var b: float[3] = {0, 0, 0}
 *       h: float[N,3] = Gemm(x, w, b) {alpha=1.0, transB=0}   # "first_layer"
 *       y = ai.onnx.ml.Scaler@1(h, _) {scale=[1.0, 2.0]}
 *     }
 * `_` is an input left out; sub-graphs are attributes of the form name=graph (...) -> (...) { ... }; a captured
 * outer value is written ^name.
 */
#ifndef USTA_IR_TEXT_H
#define USTA_IR_TEXT_H

#include "ir/graph.h"

/* max_elements: constants longer than this are cut (and then cannot be parsed back); SIZE_MAX: all. */
void us_model_print(us_ctx *c, const us_model *m, size_t max_elements, us_buf *b);
us_err us_model_parse(us_ctx *c, us_sv text,
                      us_model **out) US_MUST; /* US_FORMAT with line and column */

#endif
