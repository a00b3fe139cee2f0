/* ir/op_f64.h - operators whose reference computes in double, whatever floats go in and out.
 *
 * Inputs are read as contiguous doubles, results are rounded once, when they are put. That is more exact than
 * any of the types asked for, so one loop per operator serves them all.
 */
#ifndef USTA_IR_OP_F64_H
#define USTA_IR_OP_F64_H

#include "ir/op_util.h"

/* Input i, a tensor of numbers of this rank (-1: any), as contiguous doubles that must not be written to.
 * Absent: *there false, or US_ARG when there is NULL. US_LIMIT: no elements but absurd dimensions. */
us_err us_eval_f64(us_eval *k, size_t i, int rank, us_tensor *out, bool *there) US_MUST;
/* US_SHAPE unless the dims of input i are these; -1 fits every size. */
us_err us_eval_want_dims(us_eval *k, size_t i, const us_tensor *t, int rank,
                         const int64_t *dims) US_MUST;
/* n doubles in scratch, all zero; n from dims that may be absurd. */
us_err us_eval_room(us_eval *k, int rank, const int64_t *dims, double **out) US_MUST;
/* Output i of this type from doubles; nothing when it is not wanted. */
us_err us_eval_put_f64(us_eval *k, size_t i, us_dtype t, int rank, const int64_t *dims,
                       const double *v) US_MUST;
/* Weighted means for output of type t: an integer that came out a little below itself, because weights are rounded, is made
 * whole, so that cutting off the rest does not lose one; with `round` the nearest integer. Other types: nothing. */
void us_means_to(us_dtype t, bool round, int64_t n, double *v);

#endif
