/* exec/planhead.h - inside of exec: the header of a compiled plan, byte for byte (little-endian, as all machines we run on). */
#ifndef USTA_EXEC_PLANHEAD_H
#define USTA_EXEC_PLANHEAD_H

#include "ir/op.h"
#include "kernel/kernels.h"
#include "onnx/onnx.h"

#define US_PLANHEAD_MAGIC US_ONNX_NO_PLAN /* 8 bytes; text transfers damage it first */
#define US_PLANHEAD_ROOM  4096u           /* where data begin */

typedef struct us_planhead {
    char magic[8];
    uint32_t format, packing;
    char version[24], level[16]; /* texts, the rest zeros */
    uint32_t block, panel;       /* channels of a block; columns of a panel of packed weights */
    uint64_t file_bytes;
    uint64_t data_at, data_bytes, data_sum;
    uint64_t graph_at, graph_bytes;
    uint64_t index_at, n_index;
    uint64_t choices_at, n_choices; /* candidates of the steps that were tuned */
    uint64_t sum; /* of the header with 0 here, the graph, the index and the candidates */
} us_planhead;

typedef struct us_planpiece { /* of the index */
    uint64_t row, at, bytes;
} us_planpiece;

/* A candidate; those of a step follow each other, one of them is chosen and one the model's. */
enum { US_PLANCAND_CHOSEN = 1, US_PLANCAND_BEST = 2 };
typedef struct us_plancand {
    uint64_t row;
    double ns; /* 0: not timed */
    uint32_t flags;
    char name[US_CANDIDATE_NAME]; /* the rest zeros */
} us_plancand;

_Static_assert(sizeof(us_planhead) == 152 && sizeof(us_planpiece) == 24 &&
                   sizeof(us_plancand) == 48,
               "no padding");

extern const uint32_t
    us_packing_sum; /* of the sources that decide what a plan holds: packing_sum.sh */

/* What this process writes and takes. */
void us_planhead_own(const us_kernels *k, us_planhead *h);
uint64_t us_planhead_sum(const us_planhead *h, const void *graph, const void *index,
                         const void *choices);

#endif
