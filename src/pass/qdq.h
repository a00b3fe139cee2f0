/* pass/qdq.h - inside of pass: what the files of the pass qdq share.
 *
 * A group is DequantizeLinear -> operator [-> Relu or Clip] -> QuantizeLinear with constant scales and zero points. A row of the table
 * in qdq.c says for an operator which inputs are to be dequantised and what becomes of the group.
 */
#ifndef USTA_PASS_QDQ_H
#define USTA_PASS_QDQ_H

#include "pass/passes.h"

enum { US_QDQ_MAX_IN = 16 };

/* Integers x that stand for (x - zero) * scale. */
typedef struct us_quant {
    us_vid x;               /* what DequantizeLinear reads */
    us_vid scale, zero;     /* zero US_NIL: 0 */
    us_dtype type;          /* of x */
    const us_tensor *s, *z; /* their contents; z NULL: 0 */
    int64_t axis;           /* as the node says it */
    us_nid node;
} us_quant;

typedef struct us_qdq {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_rewire r;
    uint32_t *uses;
    us_nid op; /* the operator */
    /* whose output the new node makes: QuantizeLinear; the operator itself where there is none */
    us_nid last;
    us_quant in[US_QDQ_MAX_IN];
    us_quant y;      /* x: the output; node US_NIL: it stays float */
    const char *why; /* why the group stays as it is */
} us_qdq;

/* Replaces the group, or says why not. */
typedef us_err us_qdq_fn(us_qdq *p, bool *done);
us_qdq_fn us_qdq_conv, us_qdq_matmul, us_qdq_gemm, us_qdq_two, us_qdq_one, us_qdq_softmax,
    us_qdq_move, us_qdq_maxpool, us_qdq_resize, us_qdq_concat;

bool us_quant_read(const us_graph *g, us_nid n, us_quant *q);
bool us_quant_is_one(const us_quant *q);                /* one scale for the whole tensor */
bool us_quant_eq(const us_quant *a, const us_quant *b); /* same type, scale and zero point */
bool us_quant_is_8bit(const us_quant *q);

/* The zero point as an input: a constant 0 of the type where none is given. */
us_err us_qdq_zero(us_qdq *p, const us_quant *q, us_vid *out) US_MUST;
/* A node in the place of the group, with the operator's attributes other than `without` (NULL: with all). */
us_err us_qdq_emit(us_qdq *p, const char *domain, us_sv type, int version, size_t n_in,
                   const us_vid *in, const char *without) US_MUST;

#endif
