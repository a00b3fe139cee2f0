/* onnx/write.h - within onnx: the state of one write. */
#ifndef USTA_ONNX_WRITE_H
#define USTA_ONNX_WRITE_H

#include "onnx/onnx.h"
#include "onnx/wire.h"

#define US_ONNX_EXTERNAL_ALIGN 64u /* of tensors in the data file */

typedef struct us_onnx_writer {
    const us_model *m;
    us_sv location;      /* name of the data file; empty: everything inside */
    us_onnx_put_fn *put; /* while counting, tensors go here */
    void *put_ud;
    uint64_t data_from; /* where the first tensor lies */
    uint64_t data_at;   /* bytes of the data file so far, in either pass */
    bool plan;          /* us_onnx_print_plan */
} us_onnx_writer;

void us_onnx_emit(us_pb_out *o, void *writer); /* the whole model */

#endif
