/* onnx/read.h - within onnx: the state of one read and its parts. */
#ifndef USTA_ONNX_READ_H
#define USTA_ONNX_READ_H

#include "onnx/onnx.h"
#include "onnx/proto.h"

typedef struct us_onnx_reader {
    us_pb pb;
    us_model *m;     /* NULL for single values */
    const char *dir; /* where external data may lie; NULL: none allowed */
    size_t n_bytes;  /* of what is read, from pb.base on */
    bool descriptors_only, plan;
    us_sv data;            /* of a plan: where external data lie */
    us_map external_names; /* location -> index into m->externals */
} us_onnx_reader;

/* TensorProto in `span`; name and unknown fields are given out when not NULL. */
us_err us_onnx_tensor(us_onnx_reader *r, us_sv span, us_pb_tensor *head,
                      us_tensor *out) US_MUST;
/* The bytes of external data for a tensor of `bytes` bytes. */
us_err us_onnx_external(us_onnx_reader *r, const us_pb_tensor *t, size_t bytes,
                        const void **out) US_MUST;
us_err us_onnx_type(us_onnx_reader *r, us_sv span, us_type *out) US_MUST;
/* All attributes of a node or function; sub-graphs get `parent`. */
us_err us_onnx_attrs(us_onnx_reader *r, us_graph *parent, const us_pb_spans *spans,
                     us_attr **out, uint32_t *n) US_MUST;
us_err us_onnx_graph(us_onnx_reader *r, us_sv span, us_graph *g) US_MUST;
us_err us_onnx_function(us_onnx_reader *r, us_sv span) US_MUST;
us_err us_onnx_opsets(us_onnx_reader *r, const us_pb_spans *spans, us_opset *out) US_MUST;

#endif
