/* tensor/tensor.h - an n-dimensional array: type, dims, strides, a pointer.
 *
 * A us_tensor is a view: copying the struct copies no data, and it never owns memory; whoever made the
 * memory (arena, block, plan, caller) owns it. Strides are in elements, may be zero (broadcast) or
 * negative (reversed slices); packed sub-byte types are always contiguous. Strings are arrays of us_sv.
 */
#ifndef USTA_TENSOR_TENSOR_H
#define USTA_TENSOR_TENSOR_H

#include "tensor/dtype.h"

#define US_MAX_RANK     12                 /* dims of a tensor; tested */
#define US_MAX_ELEMENTS ((int64_t)1 << 40) /* of one tensor */

typedef struct us_tensor {
    us_dtype dtype;
    int32_t rank;
    int64_t dims[US_MAX_RANK];
    int64_t strides[US_MAX_RANK]; /* in elements */
    void *data;                   /* NULL only when there are no elements, or no memory yet */
} us_tensor;

/* Describe contiguous memory. US_SHAPE: rank > US_MAX_RANK, a negative dim, too many elements. */
us_err us_tensor_init(us_ctx *c, us_tensor *t, us_dtype dtype, int rank, const int64_t *dims,
                      void *data) US_MUST;
/* The same with zeroed memory from the arena (64-byte aligned). */
us_err us_tensor_new(us_ctx *c, us_arena *a, us_dtype dtype, int rank, const int64_t *dims,
                     us_tensor *out) US_MUST;

int64_t us_tensor_count(const us_tensor *t);   /* elements */
size_t us_tensor_bytes(const us_tensor *t);    /* contiguous size, packed types rounded up */
bool us_tensor_contiguous(const us_tensor *t); /* row-major, no gaps */
bool us_tensor_same_dims(const us_tensor *a, const us_tensor *b);

/* Row-major strides for dims. Elements = product; false when a dim is negative or the product of all that are not 0 is past
 * US_MAX_ELEMENTS, as in NumPy: so the product of any of a tensor's dims fits, whoever multiplies them. */
bool us_dims_count(int rank, const int64_t *dims, int64_t *out);
void us_dims_strides(int rank, const int64_t *dims, int64_t *strides);
/* NumPy broadcasting of two shapes into out (US_MAX_RANK long). US_SHAPE names both. */
us_err us_dims_broadcast(us_ctx *c, int ra, const int64_t *a, int rb, const int64_t *b,
                         int *rank, int64_t *out) US_MUST;
/* "[2,3,4]" into out (>= 160 bytes); returns out. */
const char *us_dims_print(int rank, const int64_t *dims, char *out, size_t out_bytes);

/* Copies any view into any view of the same dims and type (strings: the views, not the bytes). */
us_err us_tensor_copy(us_ctx *c, us_tensor *dst, const us_tensor *src) US_MUST;
/* Deep copy, contiguous, in the arena (string bytes too). */
us_err us_tensor_dup(us_ctx *c, us_arena *a, const us_tensor *src, us_tensor *out) US_MUST;
/* Converts element types (numeric and bool, either way), any views of the same dims. */
us_err us_tensor_convert(us_ctx *c, us_tensor *dst, const us_tensor *src) US_MUST;
/* A view of src with broadcast dims (zero strides). */
us_err us_tensor_broadcast_view(us_ctx *c, const us_tensor *src, int rank, const int64_t *dims,
                                us_tensor *out) US_MUST;
/* Element i (row-major index) as double / int64; any numeric or bool type. For small tensors and tests. */
double us_tensor_f64_at(const us_tensor *t, int64_t i);
int64_t us_tensor_i64_at(const us_tensor *t, int64_t i);
us_sv us_tensor_str_at(const us_tensor *t, int64_t i); /* STRING only */

/* Walks n_t views of equal dims in row-major order, giving maximal inner runs: for each run, fn gets
 * pointers' element offsets, the run length and each view's inner stride. The shape of every
 * elementwise reference kernel. */
typedef struct us_nd_iter {
    int n;    /* views, at most 4 */
    int rank; /* outer dims after merging */
    int64_t dims[US_MAX_RANK];
    int64_t strides[4][US_MAX_RANK];
    int64_t inner;           /* length of a run */
    int64_t inner_stride[4]; /* element strides within a run */
    int64_t at[US_MAX_RANK];
    int64_t offset[4]; /* element offset of the current run */
    bool done;
} us_nd_iter;
void us_nd_iter_init(us_nd_iter *it, int n,
                     const us_tensor *const *views); /* dims of views[0] */
void us_nd_iter_next(us_nd_iter *it);                /* sets done after the last run */

#endif
