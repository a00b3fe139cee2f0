/* ir/type.h - types of values: kind, element type, shape with symbolic dimensions.
 *
 * A dimension is affine in at most one symbol: mul * sym + add. That covers "N", "2*N+1" and constants;
 * what does not fit (N*T, N/2) gets a symbol of its own whose name is the expression. Symbol 0 means "no
 * symbol": the dimension is the constant `add`. Two dimensions are equal only if proved equal.
 */
#ifndef USTA_IR_TYPE_H
#define USTA_IR_TYPE_H

#include "base/map.h"
#include "tensor/value.h"

typedef uint32_t us_sym; /* index into the model's symbols; 0 = none */

typedef struct us_dim {
    us_sym sym;
    int32_t mul; /* 0 when sym is 0 */
    int64_t add;
} us_dim;

#define US_DIM(n)     ((us_dim){0, 0, (n)})
#define US_DIM_SYM(s) ((us_dim){(s), 1, 0})
bool us_dim_known(us_dim d);        /* a constant */
bool us_dim_eq(us_dim a, us_dim b); /* provably equal */

typedef struct us_type {
    us_kind kind;               /* NONE: not known yet */
    us_dtype dtype;             /* TENSOR: elements; MAP: keys; NONE: not known */
    int32_t rank;               /* TENSOR: -1 = not known */
    us_dim *dims;               /* rank of them */
    const struct us_type *elem; /* SEQUENCE, OPTIONAL: element; MAP: value */
} us_type;

/* Symbols of a model: names, and fresh ones for dimensions nobody named. */
typedef struct us_syms {
    us_arena *arena;
    US_VEC(us_sv) names; /* [0] is "" */
    us_map by_name;
    uint32_t n_fresh;
} us_syms;

us_err us_syms_init(us_ctx *c, us_syms *s, us_arena *a) US_MUST;
us_err us_syms_named(us_ctx *c, us_syms *s, us_sv name,
                     us_sym *out) US_MUST;                        /* same name, same symbol */
us_err us_syms_fresh(us_ctx *c, us_syms *s, us_sym *out) US_MUST; /* "?0", "?1", ... */

/* Arithmetic on dimensions; not affine in one symbol: a fresh or expression symbol. US_SHAPE on overflow. */
us_err us_dim_add(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out) US_MUST;
us_err us_dim_mul(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out) US_MUST;
us_err us_dim_div(us_ctx *c, us_syms *s, us_dim a, int64_t by, us_dim *out) US_MUST; /* floor */

us_err us_type_dup(us_ctx *c, us_arena *a, const us_type *t, us_type *out) US_MUST;
bool us_type_eq(const us_type *a, const us_type *b);
us_type us_type_tensor(us_dtype dtype, int rank, us_dim *dims);
/* "float[N,3,224,224]", "seq(map(int64,float[]))", "float" when the rank is unknown, "float[]" for a scalar. */
void us_type_print(const us_syms *s, const us_type *t, us_buf *b);
us_err us_type_parse(us_ctx *c, us_syms *s, us_arena *a, us_sv text, us_type *out) US_MUST;
/* The type at the front of *text, which is moved past it: for readers of larger texts. */
us_err us_type_scan(us_ctx *c, us_syms *s, us_arena *a, us_sv *text, us_type *out) US_MUST;
/* "N", "2*N+1", "7"; names that are not plain words are quoted. */
void us_dim_print(const us_syms *s, us_dim d, us_buf *b);

#endif
