/* tensor/npy.h - NumPy's .npy files (format 1.0, 2.0, 3.0).
 *
 * Read: bool, integers, floats (f2 f4 f8), complex, <U and |S strings; both byte orders; Fortran order.
 * Written: version 1.0, little-endian, C order, 64-byte aligned data. bfloat16 and
 * the small floats are written as their bits in uint types, packed types as bytes; strings as <U.
 * Source: numpy/lib/format.py's documented format.
 */
#ifndef USTA_TENSOR_NPY_H
#define USTA_TENSOR_NPY_H

#include "tensor/tensor.h"

#define US_NPY_MAX_HEADER 65536 /* bytes of header dictionary we read */

/* From bytes: data is copied into the arena. `name` is for messages. */
us_err us_npy_parse(us_ctx *c, us_arena *a, const char *name, const void *p, size_t n,
                    us_tensor *out) US_MUST;
us_err us_npy_read(us_ctx *c, us_arena *a, const char *path, us_tensor *out) US_MUST;
/* Appends the file's bytes to b. */
us_err us_npy_print(us_ctx *c, const us_tensor *t, us_buf *b) US_MUST;
us_err us_npy_write(us_ctx *c, const char *path, const us_tensor *t) US_MUST; /* atomic */

#endif
