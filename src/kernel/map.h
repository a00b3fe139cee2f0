/* kernel/map.h - elementwise programs (us_ew_...): any chain or graph of float functions in one pass over memory.
 *
 * A map is a short list of instructions, each one vector kernel over a tile of at most US_EW_TILE numbers. Operands are slots:
 *
 *     0 .. n_in - 1                inputs
 *     n_in .. n_in + n_imm - 1     immediates (constants)
 *     n_in + n_imm ..              registers: tiles in the first-level cache
 *
 * The last instruction writes the output, whatever its `to` says. Inputs that lie as the output does are read where they are,
 * an output without gaps is written where it is: a map of one instruction touches no register at all.
 *
 * Who makes one: us_ew_begin, us_ew_imm and us_ew_emit write it down in any order of values (each emit gives a new
 * value; no register is named), us_ew_end finds registers. Programs are plain data: no pointer, may be copied and compared.
 *
 * What it computes: element by element, so the same bytes however the data is split, at whatever position in a vector an element
 * stands. Numbers out of a comparison are 0 and 1; a condition is anything but 0 (NaN is true). MIN, MAX, CLAMP and RELU pass NaN
 * on. Errors of the transcendental functions are bounded in ULP by US_EW_CODES (0: correctly rounded as IEEE 754 has it), over all floats,
 * for every level; tests/kernel/check_map.c measures them.
 */
#ifndef USTA_KERNEL_MAP_H
#define USTA_KERNEL_MAP_H

#include "base/err.h"

enum {
    US_EW_TILE = 512,
    US_EW_INS = 48, /* instructions of a program */
    US_EW_IN = 8,   /* inputs */
    US_EW_IMM = 24, /* different immediates */
    US_EW_REGS = 12,
    US_EW_SPLAT = 16
};

/* X(code, operands, bound in ULP). a, b, c are the operands. */
/* clang-format off */
#define US_EW_CODES(X)                                                                        \
    X(COPY, 1, 0)       X(NEG, 1, 0)        X(ABS, 1, 0)        X(SQRT, 1, 0)                  \
    X(RECIPROCAL, 1, 0) X(FLOOR, 1, 0)      X(CEIL, 1, 0)       X(ROUND, 1, 0) /* to even */   \
    X(SIGN, 1, 0)       X(RELU, 1, 0)       X(NOT, 1, 0)        X(IS_NAN, 1, 0)                \
    X(IS_INF, 1, 0)     X(EXP, 1, 1.02)      X(EXPM1, 1, 2)      X(LOG, 1, 1)                   \
    X(TANH, 1, 6)       X(SIGMOID, 1, 3)    X(ERF, 1, 2)        X(SOFTPLUS, 1, 3)              \
    X(SIN, 1, 2)        X(COS, 1, 2)        X(TAN, 1, 2)        X(ASIN, 1, 1)                  \
    X(ACOS, 1, 1)       X(ATAN, 1, 1)       X(SINH, 1, 3)       X(COSH, 1, 3)                  \
    X(ASINH, 1, 3)      X(ACOSH, 1, 3)      X(ATANH, 1, 3)                                     \
    X(SILU, 1, 4) /* a sigmoid(a); in ULP of a */                                              \
    X(HARDSWISH, 1, 4) /* a clamp(a/6 + 1/2, 0, 1); in ULP of a */                             \
    X(GELU, 1, 4) /* a/2 (1 + erf(a/sqrt 2)); in ULP of a: below 0 the sum cancels */          \
    X(ADD, 2, 0)        X(SUB, 2, 0)        X(MUL, 2, 0)        X(DIV, 2, 0)                   \
    X(MIN, 2, 0)        X(MAX, 2, 0)        X(POW, 2, 1)        X(MOD, 2, 0) /* of b's sign */ \
    X(FMOD, 2, 0)       X(PRELU, 2, 0) /* a < 0 ? a * b : a */                                 \
    X(EQ, 2, 0)         X(GT, 2, 0)         X(GE, 2, 0)         X(LT, 2, 0)                    \
    X(LE, 2, 0)         X(AND, 2, 0)        X(OR, 2, 0)         X(XOR, 2, 0)                   \
    X(FMA, 3, 0) /* a * b + c, rounded once */                                                 \
    X(SELECT, 3, 0) /* a ? b : c */                                                            \
    X(CLAMP, 3, 0) /* min(max(a, b), c) */
/* clang-format on */

typedef enum us_ew_code {
#define X(code, n, ulp) US_EW_##code,
    US_EW_CODES(X)
#undef X
        US_EW_N
} us_ew_code;

extern const uint8_t us_ew_operands[US_EW_N];
const char *us_ew_code_name(us_ew_code code); /* "EXP" */

typedef struct us_ew_ins {
    uint8_t code, to; /* to: a slot */
    uint8_t arg[3];   /* slots; those past the operands are 0 */
} us_ew_ins;

typedef struct us_ew_prog {
    uint8_t n_in, n_imm, n_regs, n_ins; /* n_ins == 0: not a program */
    us_ew_ins ins[US_EW_INS];
    float imm[US_EW_IMM];
} us_ew_prog;

/* --- writing one down ----------------------------------------------------------------------------- */

typedef struct us_ew_writer {
    uint8_t n_in, n_imm, n_ins;
    bool full; /* something did not fit: us_ew_end says no */
    float imm[US_EW_IMM];
    struct {
        uint8_t code;
        int16_t arg[3];
    } ins[US_EW_INS];
} us_ew_writer;

/* Values are numbers: inputs 0 .. n_in - 1, immediates -1, -2, ..., results n_in, n_in + 1, ... in order of writing. */
void us_ew_begin(us_ew_writer *w, size_t n_in);
int us_ew_imm(us_ew_writer *w, float value);
int us_ew_emit(us_ew_writer *w, us_ew_code code, int a, int b, int c); /* 0 where none */
/* The program whose output is the last value written. What nothing reads is left out. False: it does not fit. */
bool us_ew_end(const us_ew_writer *w,
               us_ew_prog *out) US_MUST; /* x sigmoid(x) and the like become one instruction */

/* A program as numbers for an attribute (code, a, b, c per instruction, values numbered as above), and back. Reading checks everything.
 * us_ew_put: ints has room for 4 * US_EW_INS. */
size_t us_ew_put(const us_ew_writer *w, int64_t *ints);
bool us_ew_read(size_t n_in, size_t n_ints, const int64_t *ints, size_t n_imm, const float *imm,
                us_ew_prog *out) US_MUST;

/* --- running one ---------------------------------------------------------------------------------- */

typedef enum us_ew_type { US_EW_F32, US_EW_BOOL /* bytes; read as 0 and 1 */ } us_ew_type;

/* Element (r, i) is at p[r * row + i * step], counted in elements. step is 0 or 1; row anything. */
typedef struct us_ew_in {
    const void *p;
    ptrdiff_t row;
    uint8_t step, type;
} us_ew_in;

/* out[r * out_row + i] = program(in[0](r, i), in[1](r, i), ...) for r < rows, i < n.
 *
 * As an epilogue: in[0] is the tile just written (row = its leading dimension, step 1), out the same place; a number per column has
 * row 0 and step 1, a number per row has row 1 and step 0, one for all row 0 and step 0, a residual is like in[0]. out may be an input
 * exactly (same place, row and step 1); it must not overlap one otherwise. Rows that follow each other without gap (row == n,
 * and inputs that allow it) are run as one long row, short rows are gathered into tiles, so n may be as small as it likes.
 * scratch: US_EW_SCRATCH bytes, aligned to 64; contents do not matter. */
typedef struct us_ew_args {
    const us_ew_prog *prog;
    size_t rows, n;
    us_ew_in in[US_EW_IN];
    void *out;
    ptrdiff_t out_row;
    us_ew_type out_type;
    void *scratch;
} us_ew_args;

enum {
    US_EW_SLOTS = US_EW_IN + US_EW_IMM + US_EW_REGS,
    US_EW_SCRATCH = 4 * US_EW_TILE * (US_EW_IN + US_EW_REGS + 1) + 64 * (US_EW_IN + US_EW_IMM)
};

/* One instruction on n numbers: y = f(a, b, c). An operand is read as vectors of the level's width, `step` floats apart: the width itself
 * for one that is contiguous, 0 for a constant, of which there are US_EW_SPLAT copies. y may be an operand. */
typedef void us_ew_code_fn(size_t n, float *y, const float *a, size_t sa, const float *b,
                           size_t sb, const float *c, size_t sc);

/* The same for codes of one operand on short rows that lie apart, as the tiles of a product do. */
typedef void us_ew_tile_fn(size_t rows, size_t n, float *y, ptrdiff_t y_row, const float *x,
                           ptrdiff_t x_row);

/* The family in us_kernels. */
typedef struct us_ew_kernels {
    const char *name;
    size_t width; /* numbers in a vector: the step of a contiguous operand */
    us_ew_code_fn *const codes[US_EW_N]; /* one per code, none missing */
    us_ew_tile_fn *const tiles[US_EW_N]; /* NULL: by the code's own function */
} us_ew_kernels;

/* The same for whoever calls it on many short runs, as an epilogue: everything but the operands is settled once. Inputs are floats, input i n of
 * them, or, where `repeats`, one vector (of width numbers) again and again; n is a multiple of the width then. */
typedef struct us_ew_ready {
    const us_ew_kernels *kernels;
    us_ew_prog prog;
    bool repeats[US_EW_IN];
    float splat[US_EW_IMM][US_EW_SPLAT];
} us_ew_ready;
void us_ew_ready_init(us_ew_ready *r, const us_ew_kernels *k, const us_ew_prog *prog);
size_t us_ew_ready_scratch(const us_ew_prog *p); /* bytes */
void us_ew_ready_run(const us_ew_ready *r, size_t n, float *out, const float *const *in,
                     void *scratch);

size_t
us_ew_scratch(const us_ew_prog *p); /* bytes that this one needs: at most US_EW_SCRATCH */
void us_ew_run(const us_ew_kernels *k, const us_ew_args *a);

#endif
