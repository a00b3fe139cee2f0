/* onnx/proto.h - the messages of onnx.proto3 as tables and the structs they fill. Field numbers: onnx.proto3. */
#ifndef USTA_ONNX_PROTO_H
#define USTA_ONNX_PROTO_H

#include "onnx/wire.h"

typedef struct us_pb_model {
    us_pb_head h;
    int64_t ir_version, model_version;
    us_sv producer_name, producer_version, domain, doc, graph;
    us_pb_spans opsets, props, functions;
} us_pb_model;

typedef struct us_pb_graph {
    us_pb_head h;
    us_sv name, doc;
    us_pb_spans nodes, inits, inputs, outputs, infos, sparse;
} us_pb_graph;

typedef struct us_pb_function {
    us_pb_head h;
    us_sv name, domain, overload, doc;
    us_pb_spans inputs, outputs, attrs, attr_protos, nodes, opsets, infos;
} us_pb_function;

typedef struct us_pb_node {
    us_pb_head h;
    us_sv name, op_type, domain, doc;
    us_pb_spans inputs, outputs, attrs;
} us_pb_node;

typedef struct us_pb_attr {
    us_pb_head h; /* unknown: sparse tensors too */
    us_sv name, doc, ref, s, t, g, tp;
    float f;
    int64_t i;
    int32_t type;
    us_pb_spans floats, ints, strings, tensors, graphs, types;
} us_pb_attr;

typedef struct us_pb_tensor {
    us_pb_head h;
    us_sv name, doc, raw;
    int32_t data_type, location;
    us_pb_spans dims, f32s, i32s, strings, i64s, f64s, u64s, external;
} us_pb_tensor;

typedef struct us_pb_info {
    us_pb_head h;
    us_sv name, doc, type;
} us_pb_info;

typedef struct us_pb_type {
    us_pb_head h;
    us_sv tensor, sequence, map, optional, sparse;
} us_pb_type;

typedef struct
    us_pb_tensor_type { /* TypeProto.Tensor, .SparseTensor; .Sequence, .Optional, .Map alike */
    us_pb_head h;
    int32_t elem;
    us_sv shape;
} us_pb_tensor_type;

typedef struct us_pb_elem { /* TypeProto.Sequence, .Optional */
    us_pb_head h;
    us_sv elem;
} us_pb_elem;

typedef struct us_pb_shape {
    us_pb_head h;
    us_pb_spans dims;
} us_pb_shape;

typedef struct us_pb_dim {
    us_pb_head h;
    int64_t value;
    us_sv param;
} us_pb_dim;

typedef struct
    us_pb_pair { /* OperatorSetIdProto (text, number), StringStringEntryProto (text, text2) */
    us_pb_head h;
    us_sv a, b;
    int64_t version;
} us_pb_pair;

typedef struct us_pb_sparse {
    us_pb_head h;
    us_sv values, indices;
    us_pb_spans dims;
} us_pb_sparse;

typedef struct us_pb_seq { /* SequenceProto, OptionalProto: by element kind */
    us_pb_head h;
    us_sv name;
    int32_t elem_type;
    us_pb_spans tensors, sparses, sequences, maps, optionals;
} us_pb_seq;

typedef struct us_pb_map {
    us_pb_head h;
    us_sv name, values;
    int32_t key_type;
    us_pb_spans keys, string_keys;
} us_pb_map;

extern const us_pb_msg us_pb_model_msg, us_pb_graph_msg, us_pb_function_msg, us_pb_node_msg,
    us_pb_attr_msg, us_pb_tensor_msg, us_pb_info_msg, us_pb_type_msg, us_pb_tensor_type_msg,
    us_pb_elem_msg, us_pb_map_type_msg, us_pb_shape_msg, us_pb_dim_msg, us_pb_opset_msg,
    us_pb_entry_msg, us_pb_sparse_msg, us_pb_seq_msg, us_pb_map_msg;

#endif
