/* onnx/proto.c - one table per message. A field without a row is kept as bytes and written back. */
#include "onnx/proto.h"

/* clang-format off */
#define BYTES(S, num, f, nm) {(num), US_PB_BYTES,  US_PB_SV,    (uint16_t)offsetof(S, f), (nm)}
#define INT(S, num, f, nm)   {(num), US_PB_VARINT, US_PB_I64,   (uint16_t)offsetof(S, f), (nm)}
#define INT32(S, num, f, nm) {(num), US_PB_VARINT, US_PB_I32,   (uint16_t)offsetof(S, f), (nm)}
#define MANY(S, num, f, nm)  {(num), US_PB_BYTES,  US_PB_SPANS, (uint16_t)offsetof(S, f), (nm)}
#define INTS(S, num, f, nm)  {(num), US_PB_VARINT, US_PB_LIST,  (uint16_t)offsetof(S, f), (nm)}
#define F32S(S, num, f, nm)  {(num), US_PB_FIXED32, US_PB_LIST, (uint16_t)offsetof(S, f), (nm)}
#define F64S(S, num, f, nm)  {(num), US_PB_FIXED64, US_PB_LIST, (uint16_t)offsetof(S, f), (nm)}

#define S us_pb_model
static const us_pb_row model_rows[] = {
    INT(S, 1, ir_version, "ir_version"), BYTES(S, 2, producer_name, "producer_name"),
    BYTES(S, 3, producer_version, "producer_version"), BYTES(S, 4, domain, "domain"),
    INT(S, 5, model_version, "model_version"), BYTES(S, 6, doc, "doc_string"), BYTES(S, 7, graph, "graph"),
    MANY(S, 8, opsets, "opset_import"), MANY(S, 14, props, "metadata_props"), MANY(S, 25, functions, "functions"), {0},
};
#undef S
#define S us_pb_graph
static const us_pb_row graph_rows[] = {
    MANY(S, 1, nodes, "node"), BYTES(S, 2, name, "name"), MANY(S, 5, inits, "initializer"), BYTES(S, 10, doc, "doc_string"),
    MANY(S, 11, inputs, "input"), MANY(S, 12, outputs, "output"), MANY(S, 13, infos, "value_info"),
    MANY(S, 15, sparse, "sparse_initializer"), {0},
};
#undef S
#define S us_pb_function
static const us_pb_row function_rows[] = {
    BYTES(S, 1, name, "name"), MANY(S, 4, inputs, "input"), MANY(S, 5, outputs, "output"), MANY(S, 6, attrs, "attribute"),
    MANY(S, 7, nodes, "node"), BYTES(S, 8, doc, "doc_string"), MANY(S, 9, opsets, "opset_import"),
    BYTES(S, 10, domain, "domain"), MANY(S, 11, attr_protos, "attribute_proto"), MANY(S, 12, infos, "value_info"),
    BYTES(S, 13, overload, "overload"), {0},
};
#undef S
#define S us_pb_node
static const us_pb_row node_rows[] = {
    MANY(S, 1, inputs, "input"), MANY(S, 2, outputs, "output"), BYTES(S, 3, name, "name"), BYTES(S, 4, op_type, "op_type"),
    MANY(S, 5, attrs, "attribute"), BYTES(S, 6, doc, "doc_string"), BYTES(S, 7, domain, "domain"), {0},
};
#undef S
#define S us_pb_attr
static const us_pb_row attr_rows[] = {
    BYTES(S, 1, name, "name"), {2, US_PB_FIXED32, US_PB_F32, (uint16_t)offsetof(S, f), "f"}, INT(S, 3, i, "i"),
    BYTES(S, 4, s, "s"), BYTES(S, 5, t, "t"), BYTES(S, 6, g, "g"), F32S(S, 7, floats, "floats"), INTS(S, 8, ints, "ints"),
    MANY(S, 9, strings, "strings"), MANY(S, 10, tensors, "tensors"), MANY(S, 11, graphs, "graphs"),
    BYTES(S, 13, doc, "doc_string"), BYTES(S, 14, tp, "tp"), MANY(S, 15, types, "type_protos"), INT32(S, 20, type, "type"),
    BYTES(S, 21, ref, "ref_attr_name"), {0},
};
#undef S
#define S us_pb_tensor
static const us_pb_row tensor_rows[] = {
    INTS(S, 1, dims, "dims"), INT32(S, 2, data_type, "data_type"), F32S(S, 4, f32s, "float_data"),
    INTS(S, 5, i32s, "int32_data"), MANY(S, 6, strings, "string_data"), INTS(S, 7, i64s, "int64_data"),
    BYTES(S, 8, name, "name"), BYTES(S, 9, raw, "raw_data"), F64S(S, 10, f64s, "double_data"),
    INTS(S, 11, u64s, "uint64_data"), BYTES(S, 12, doc, "doc_string"), MANY(S, 13, external, "external_data"),
    INT32(S, 14, location, "data_location"), {0},
};
#undef S
#define S us_pb_info
static const us_pb_row info_rows[] = {
    BYTES(S, 1, name, "name"), BYTES(S, 2, type, "type"), BYTES(S, 3, doc, "doc_string"), {0},
};
#undef S
#define S us_pb_type
static const us_pb_row type_rows[] = {
    BYTES(S, 1, tensor, "tensor_type"), BYTES(S, 4, sequence, "sequence_type"), BYTES(S, 5, map, "map_type"),
    BYTES(S, 8, sparse, "sparse_tensor_type"), BYTES(S, 9, optional, "optional_type"), {0},
};
#undef S
static const us_pb_row tensor_type_rows[] = {
    INT32(us_pb_tensor_type, 1, elem, "elem_type"), BYTES(us_pb_tensor_type, 2, shape, "shape"), {0},
};
static const us_pb_row map_type_rows[] = { /* the same struct: key type and the value's type */
    INT32(us_pb_tensor_type, 1, elem, "key_type"), BYTES(us_pb_tensor_type, 2, shape, "value_type"), {0},
};
static const us_pb_row elem_rows[] = { BYTES(us_pb_elem, 1, elem, "elem_type"), {0} };
static const us_pb_row shape_rows[] = { MANY(us_pb_shape, 1, dims, "dim"), {0} };
static const us_pb_row dim_rows[] = {
    INT(us_pb_dim, 1, value, "dim_value"), BYTES(us_pb_dim, 2, param, "dim_param"), {0},
};
static const us_pb_row opset_rows[] = {
    BYTES(us_pb_pair, 1, a, "domain"), INT(us_pb_pair, 2, version, "version"), {0},
};
static const us_pb_row entry_rows[] = { BYTES(us_pb_pair, 1, a, "key"), BYTES(us_pb_pair, 2, b, "value"), {0} };
static const us_pb_row sparse_rows[] = {
    BYTES(us_pb_sparse, 1, values, "values"), BYTES(us_pb_sparse, 2, indices, "indices"),
    INTS(us_pb_sparse, 3, dims, "dims"), {0},
};
#define S us_pb_seq
static const us_pb_row seq_rows[] = {
    BYTES(S, 1, name, "name"), INT32(S, 2, elem_type, "elem_type"), MANY(S, 3, tensors, "tensor_values"),
    MANY(S, 4, sparses, "sparse_tensor_values"), MANY(S, 5, sequences, "sequence_values"), MANY(S, 6, maps, "map_values"),
    MANY(S, 7, optionals, "optional_values"), {0},
};
#undef S
#define S us_pb_map
static const us_pb_row map_rows[] = {
    BYTES(S, 1, name, "name"), INT32(S, 2, key_type, "key_type"), INTS(S, 3, keys, "keys"),
    MANY(S, 4, string_keys, "string_keys"), BYTES(S, 5, values, "values"), {0},
};
#undef S

const us_pb_msg us_pb_model_msg = {"ModelProto", model_rows};
const us_pb_msg us_pb_graph_msg = {"GraphProto", graph_rows};
const us_pb_msg us_pb_function_msg = {"FunctionProto", function_rows};
const us_pb_msg us_pb_node_msg = {"NodeProto", node_rows};
const us_pb_msg us_pb_attr_msg = {"AttributeProto", attr_rows};
const us_pb_msg us_pb_tensor_msg = {"TensorProto", tensor_rows};
const us_pb_msg us_pb_info_msg = {"ValueInfoProto", info_rows};
const us_pb_msg us_pb_type_msg = {"TypeProto", type_rows};
const us_pb_msg us_pb_tensor_type_msg = {"TypeProto.Tensor", tensor_type_rows};
const us_pb_msg us_pb_elem_msg = {"TypeProto.Sequence", elem_rows};
const us_pb_msg us_pb_map_type_msg = {"TypeProto.Map", map_type_rows};
const us_pb_msg us_pb_shape_msg = {"TensorShapeProto", shape_rows};
const us_pb_msg us_pb_dim_msg = {"TensorShapeProto.Dimension", dim_rows};
const us_pb_msg us_pb_opset_msg = {"OperatorSetIdProto", opset_rows};
const us_pb_msg us_pb_entry_msg = {"StringStringEntryProto", entry_rows};
const us_pb_msg us_pb_sparse_msg = {"SparseTensorProto", sparse_rows};
const us_pb_msg us_pb_seq_msg = {"SequenceProto", seq_rows};
const us_pb_msg us_pb_map_msg = {"MapProto", map_rows};
/* clang-format on */
