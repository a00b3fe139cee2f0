/* ir/later.h - weights that are multiplied by a number per channel where they are read, not before.
 *
 * Folding a normalisation into a convolution makes new weights, of which packing makes another copy: for a plan that keeps only packed
 * weights the copy between them is memory touched for nothing, which costs more than the products. So in a model that `defers`
 * a pass may put down what the weights are to be; the tensor has its room (of memory not touched yet), and whoever reads its contents settles it before.
 * us_const_tensor, by which passes look at constants, does; a plan has them computed into working memory for packing, and
 * settles those that something reads as they are. A plan that releases weights may leave the rest as they are: having weights back
 * computes them by running the passes again (exec/release.c).
 */
#ifndef USTA_IR_LATER_H
#define USTA_IR_LATER_H

#include "ir/graph.h"

/* to[i] = from[i] * k[i / inner % n], each product in double and rounded once. False: one of a finite number is not finite. */
bool us_later_compute(const us_later *x, float *to);
/* All of them surely are finite where from is. */
bool us_later_fits(const us_later *x);
/* What is still to be computed at `data`, or NULL. */
us_later *us_later_find(const us_model *m, const void *data);
void us_later_settle(us_later *x); /* NULL is fine */

#endif
