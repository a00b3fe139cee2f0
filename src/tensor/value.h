/* tensor/value.h - everything an ONNX value can be: tensor, sequence, map, optional, or absent. */
#ifndef USTA_TENSOR_VALUE_H
#define USTA_TENSOR_VALUE_H

#include "tensor/tensor.h"

typedef enum us_kind {
    US_KIND_NONE, /* not there: an optional input left out, or an empty optional */
    US_KIND_TENSOR,
    US_KIND_SEQUENCE,
    US_KIND_MAP,
    US_KIND_OPTIONAL, /* used in types; a present optional value is its content */
    US_KIND_SPARSE
} us_kind;

typedef struct us_value us_value;
struct us_value {
    us_kind kind;
    us_tensor t;     /* TENSOR; MAP: the keys, rank 1 */
    us_value *items; /* SEQUENCE: n_items elements; MAP: one value per key */
    size_t n_items;
};

us_value us_value_of(const us_tensor *t);
/* Deep copy into the arena. Depth is limited (US_MAX_VALUE_DEPTH). */
#define US_MAX_VALUE_DEPTH 16
us_err us_value_dup(us_ctx *c, us_arena *a, const us_value *src, us_value *out) US_MUST;

/* Compare for tests and goldens: same kind, type, dims; floats |a-b| <= atol + rtol*|b|, NaN equals NaN,
 * infinities equal by sign; everything else exact. US_NO says where and by how much they differ. */
us_err us_value_compare(us_ctx *c, const us_value *got, const us_value *want, double rtol,
                        double atol) US_MUST;

#endif
