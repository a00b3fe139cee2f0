/* onnx/onnx.h - ONNX files: protobuf wire format <-> ir.
 *
 * Weights are used where they lie in the file when aligned for their type, else copied once. External data is
 * taken only from inside the model's folder (no absolute paths, no "..", no links that lead out). Fields
 * we do not know and opset imports are kept for rewriting. Limits bound what a hostile file can cost.
 * Source: onnx.proto3 of ONNX (field numbers), docs/IR.md, docs/ExternalData.md.
 */
#ifndef USTA_ONNX_ONNX_H
#define USTA_ONNX_ONNX_H

#include "ir/graph.h"

#define US_ONNX_NO_PLAN                                                                        \
    "\x89uplan\r\n" /* how a compiled plan (exec/planfile.h) begins: no model */
#define US_ONNX_MAX_FILE  ((uint64_t)64 << 30)
#define US_ONNX_MAX_DEPTH 64   /* nested messages */
#define US_ONNX_MAX_ATTRS 4096 /* of one node */
#define US_ONNX_MAX_PATH  4096 /* of an external data file, bytes */
#define US_ONNX_SMALL                                                                          \
    ((size_t)65536) /* bytes of a tensor that are read even with descriptors_only */

typedef struct us_onnx_opts {
    /* tensors over US_ONNX_SMALL bytes keep dims and type, data NULL; external files may be missing */
    bool descriptors_only;
    /* Of a compiled plan (exec/planfile.h): operators of domain "usta" may be there, and external data of any location lie in these bytes. */
    bool plan;
    const void *data;
    size_t data_bytes;
} us_onnx_opts;

us_err us_onnx_read(us_ctx *c, const char *path, const us_onnx_opts *opts,
                    us_model **out) US_MUST;
/* From memory, which must stay unchanged while the model lives (weights may point into it). dir: where external data may
 * lie; NULL: none allowed. name: for messages. */
us_err us_onnx_parse(us_ctx *c, const char *name, const void *p, size_t n, const char *dir,
                     const us_onnx_opts *opts, us_model **out) US_MUST;
/* Deterministic: the same model gives the same bytes. */
us_err us_onnx_print(us_ctx *c, const us_model *m, us_buf *b) US_MUST;
/* Atomic. Weights past external_over bytes in sum go to `<file>.data` beside it (0: never external below 2 GB). */
us_err us_onnx_write(us_ctx *c, const us_model *m, const char *path,
                     uint64_t external_over) US_MUST;

/* The message of a compiled plan: operators of domain "usta" as they are, all types that are known, and weights of
 * US_ONNX_EXTERNAL_MIN bytes or more given to `put` one after the other, at offsets from `from` on that are multiples of 64
 * (zeros between them are put, too). */
#define US_ONNX_EXTERNAL_MIN 1024u /* bytes: smaller tensors stay in the model */
typedef us_err us_onnx_put_fn(void *ud, const void *p, size_t n);
us_err us_onnx_print_plan(us_ctx *c, const us_model *m, us_onnx_put_fn *put, void *ud,
                          uint64_t from, us_buf *b) US_MUST;

/* A single TensorProto (test data of the ONNX project), and a value of any kind: type decides. */
us_err us_onnx_parse_tensor(us_ctx *c, us_arena *a, const char *name, const void *p, size_t n,
                            us_tensor *out) US_MUST;
us_err us_onnx_parse_value(us_ctx *c, us_arena *a, const char *name, const us_type *type,
                           const void *p, size_t n, us_value *out) US_MUST;

#endif
