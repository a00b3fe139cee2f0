/* ir/type.h - types of values: kind, element type, shape with symbolic dimensions.
 *
 * A dimension is affine in at most one symbol: mul * sym + add. That covers "N", "2*N+1" and constants;
 * what does not fit (N*T, N/2) gets a symbol of its own that is defined by the expression, in a normal form (ir/dim.c): the same
 * size computed in two ways mostly has one symbol. Symbol 0 means "no
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
/* In contents of values only, never in a shape: an element of which nothing is known; equal to none. */
#define US_DIM_ANY ((us_dim){UINT32_MAX, 1, 0})
bool us_dim_is_any(us_dim d);
bool us_dim_known(us_dim d);        /* a constant */
bool us_dim_eq(us_dim a, us_dim b); /* provably equal */

typedef struct us_type {
    us_kind kind;               /* NONE: not known yet */
    us_dtype dtype;             /* TENSOR: elements; MAP: keys; NONE: not known */
    int32_t rank;               /* TENSOR: -1 = not known */
    us_dim *dims;               /* rank of them */
    const struct us_type *elem; /* SEQUENCE, OPTIONAL: element; MAP: value */
} us_type;

/* What a symbol stands for: a size that is named, or one computed from others. */
typedef enum us_sym_op {
    US_SYM_NAME,
    US_SYM_SUM,
    US_SYM_PRODUCT,
    US_SYM_QUOTIENT, /* floor; b is a constant */
    US_SYM_MIN,
    US_SYM_MAX
} us_sym_op;
typedef struct us_sym_def {
    us_sym_op op;
    us_dim a, b;
} us_sym_def;

/* Symbols of a model: names, and fresh ones for dimensions nobody named. */
typedef struct us_syms {
    us_arena *arena;
    US_VEC(us_sv) names;     /* [0] is ""; of an expression, what it is: "(N+1)/2" */
    US_VEC(us_sym_def) defs; /* one per name */
    us_map by_name;
    uint32_t n_fresh;
} us_syms;

us_err us_syms_init(us_ctx *c, us_syms *s, us_arena *a) US_MUST;
us_err us_syms_named(us_ctx *c, us_syms *s, us_sv name,
                     us_sym *out) US_MUST;                        /* same name, same symbol */
us_err us_syms_fresh(us_ctx *c, us_syms *s, us_sym *out) US_MUST; /* "?0", "?1", ... */
/* Symbols of `from` that `s` does not have yet: numbers from s->names.n on. The earlier ones are the same in both. */
us_err us_syms_take(us_ctx *c, us_syms *s, const us_syms *from) US_MUST;
/* Nobody named it: fresh, or an expression over something fresh. */
bool us_sym_made_up(const us_syms *s, us_sym sym);

/* Arithmetic on dimensions; not affine in one symbol: a fresh or expression symbol. US_SHAPE on overflow. */
us_err us_dim_add(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out) US_MUST;
us_err us_dim_sub(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out) US_MUST;
us_err us_dim_mul(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out) US_MUST;
us_err us_dim_div(us_ctx *c, us_syms *s, us_dim a, int64_t by, us_dim *out) US_MUST; /* floor */
/* a / b where that is known to be whole: what is in both is cancelled. *done false: more cannot be said. */
us_err us_dim_ratio(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out, bool *done) US_MUST;
us_err us_dim_min(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out) US_MUST;
us_err us_dim_max(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out) US_MUST;
/* The least that d can be when named sizes are not negative; false: no bound known. */
bool us_dim_least(const us_syms *s, us_dim d, int64_t *out);
/* d where symbols that are names have these sizes (-1: not known); false: not known, or no 64-bit number. */
bool us_dim_eval(const us_syms *s, us_dim d, const int64_t *sizes, int64_t *out);

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
void us_dim_spell(const us_syms *s, us_dim d, us_buf *b); /* the same without quotes */

#endif
