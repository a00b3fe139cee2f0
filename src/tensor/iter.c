/* tensor/iter.c - the walk over several views at once: dimensions that lie together in all of them are merged, so
 * dense tensors are one run. Negative strides make negative offsets from the view's data pointer: signed arithmetic. */
#include <string.h>

#include "tensor/tensor.h"

void us_nd_iter_init(us_nd_iter *it, int n, const us_tensor *const *views)
{
    memset(it, 0, sizeof *it);
    US_ASSERT(n >= 1 && n <= 4);
    const us_tensor *v0 = views[0];
    int64_t dims[US_MAX_RANK];
    int64_t strides[4][US_MAX_RANK];
    int rank = 0;
    it->n = n;
    for (int i = 0; i < v0->rank; i++)
        it->done |= v0->dims[i] == 0;
    if (it->done) return;
    for (int i = 0; i < v0->rank; i++) {
        if (v0->dims[i] == 1) continue;
        bool merge = rank > 0;
        for (int k = 0; k < n && merge; k++)
            merge = strides[k][rank - 1] == views[k]->strides[i] * v0->dims[i];
        if (merge)
            dims[rank - 1] *= v0->dims[i];
        else
            dims[rank++] = v0->dims[i];
        for (int k = 0; k < n; k++)
            strides[k][rank - 1] = views[k]->strides[i];
    }
    it->inner = rank ? dims[rank - 1] : 1;
    for (int k = 0; k < n; k++)
        it->inner_stride[k] = rank ? strides[k][rank - 1] : 1;
    it->rank = rank ? rank - 1 : 0;
    memcpy(it->dims, dims, (size_t)it->rank * sizeof *dims);
    for (int k = 0; k < n; k++)
        memcpy(it->strides[k], strides[k], (size_t)it->rank * sizeof *dims);
}

void us_nd_iter_next(us_nd_iter *it)
{
    for (int i = it->rank - 1; i >= 0; i--) {
        for (int k = 0; k < it->n; k++)
            it->offset[k] += it->strides[k][i];
        if (++it->at[i] < it->dims[i]) return;
        for (int k = 0; k < it->n; k++)
            it->offset[k] -= it->strides[k][i] * it->dims[i];
        it->at[i] = 0;
    }
    it->done = true;
}
