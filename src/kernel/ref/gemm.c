/* kernel/ref/gemm.c - the matrix product as it is defined: the yardstick for every variant.
 *
 * A row of C is first scaled by beta (or cleared), then gains alpha*a[i,k] times row k of B, k ascending;
 * that order reads B by rows and lets the compiler use whatever vectors the target has. A transposed B
 * is read by columns, as a dot product, in the same order of k.
 */
#include "kernel/variants.h"

size_t us_f32_gemm_scratch__ref(size_t m, size_t n, size_t k)
{
    (void)m, (void)n, (void)k;
    return 0;
}

static void scale_row(float *c, size_t n, float beta)
{
    if (beta == 0.0F)
        for (size_t j = 0; j < n; j++)
            c[j] = 0.0F;
    else if (beta != 1.0F)
        for (size_t j = 0; j < n; j++)
            c[j] *= beta;
}

void us_f32_gemm__ref(const us_gemm_args *g)
{
    for (size_t i = 0; i < g->m; i++) {
        float *c = g->c + i * g->ldc;
        scale_row(c, g->n, g->beta);
        for (size_t p = 0; p < g->k; p++) {
            float a = g->alpha * (g->trans_a ? g->a[p * g->lda + i] : g->a[i * g->lda + p]);
            if (g->trans_b)
                for (size_t j = 0; j < g->n; j++)
                    c[j] += a * g->b[j * g->ldb + p];
            else
                for (size_t j = 0; j < g->n; j++)
                    c[j] += a * g->b[p * g->ldb + j];
        }
    }
}
