/* ir/ewise.c - the recipes: each float elementwise operator as instructions.
 *
 * The formulas are those of kernel/ref.h, with fused multiply-adds where they fit, so a program differs from the operator's eval by rounding
 * only (bounds of the functions: kernel/map.h).
 */
#include "ir/ewise.h"

#include <math.h>
#include <string.h>

#include "ir/params.h"
#include "ir/params_ms.h"

typedef struct recipe_args {
    us_ew_writer *w;
    const void *params;
    size_t n_in;
    int in[US_EW_IN];
} args;

static int emit1(args *a, us_ew_code code, int x)
{
    return us_ew_emit(a->w, code, x, 0, 0);
}
static int emit2(args *a, us_ew_code code, int x, int y)
{
    return us_ew_emit(a->w, code, x, y, 0);
}
static int emit3(args *a, us_ew_code code, int x, int y, int z)
{
    return us_ew_emit(a->w, code, x, y, z);
}
static int imm(args *a, float x)
{
    return us_ew_imm(a->w, x);
}

/* --- one instruction -------------------------------------------------------------------------------- */

#define UNARY(name, code)                                                                      \
    static int name(args *a)                                                                   \
    {                                                                                          \
        return emit1(a, US_EW_##code, a->in[0]);                                               \
    }
#define BINARY(name, code)                                                                     \
    static int name(args *a)                                                                   \
    {                                                                                          \
        return emit2(a, US_EW_##code, a->in[0], a->in[1]);                                     \
    }
/* clang-format off */
UNARY(neg, NEG)         UNARY(absolute, ABS)    UNARY(square_root, SQRT) UNARY(exponential, EXP)
UNARY(logarithm, LOG)   UNARY(reciprocal, RECIPROCAL) UNARY(floor_of, FLOOR) UNARY(ceil_of, CEIL)
UNARY(round_of, ROUND)  UNARY(sign, SIGN)       UNARY(error_function, ERF) UNARY(sine, SIN)
UNARY(cosine, COS)      UNARY(tangent, TAN)     UNARY(arc_sine, ASIN)   UNARY(arc_cosine, ACOS)
UNARY(arc_tangent, ATAN) UNARY(sine_h, SINH)    UNARY(cosine_h, COSH)   UNARY(arc_sine_h, ASINH)
UNARY(arc_cosine_h, ACOSH) UNARY(arc_tangent_h, ATANH) UNARY(tangent_h, TANH) UNARY(sigmoid, SIGMOID)
UNARY(relu, RELU)       UNARY(softplus, SOFTPLUS) UNARY(not_of, NOT)       UNARY(is_nan, IS_NAN)
BINARY(add, ADD)        BINARY(sub, SUB)        BINARY(mul, MUL)        BINARY(divide, DIV)
BINARY(prelu, PRELU)    BINARY(equal, EQ)       BINARY(greater, GT)     BINARY(less, LT)
BINARY(greater_equal, GE) BINARY(less_equal, LE) BINARY(and_of, AND)       BINARY(or_of, OR)
BINARY(xor_of, XOR)
    /* clang-format on */

    static int where(args *a)
{
    return emit3(a, US_EW_SELECT, a->in[0], a->in[1], a->in[2]);
}

static int mod(args *a)
{
    const us_p_mod *p = a->params;
    return emit2(a, p->fmod ? US_EW_FMOD : US_EW_MOD, a->in[0], a->in[1]);
}

/* --- many operands ---------------------------------------------------------------------------------- */

static int fold(args *a, us_ew_code code)
{
    int y = a->in[0];
    for (size_t i = 1; i < a->n_in; i++)
        y = emit2(a, code, y, a->in[i]);
    return a->n_in == 1 ? emit1(a, US_EW_COPY, y) : y;
}
static int minimum(args *a)
{
    return fold(a, US_EW_MIN);
}
static int maximum(args *a)
{
    return fold(a, US_EW_MAX);
}
static int sum(args *a)
{
    return fold(a, US_EW_ADD);
}
static int mean(args *a)
{
    return emit2(a, US_EW_DIV, fold(a, US_EW_ADD), imm(a, (float)a->n_in));
}

/* --- powers ----------------------------------------------------------------------------------------- */

/* x^0.5 differs from the root at -0 and -inf. */
static int power_half(args *a, int x)
{
    int root = emit1(a, US_EW_SQRT, emit2(a, US_EW_ADD, x, imm(a, 0.0F)));
    int low = emit2(a, US_EW_EQ, x, imm(a, -INFINITY));
    return emit3(a, US_EW_SELECT, low, imm(a, INFINITY), root);
}

static int power(args *a)
{
    int x = a->in[0];
    bool is_imm = a->in[1] < 0 && -a->in[1] <= a->w->n_imm;
    float e = is_imm ? a->w->imm[-a->in[1] - 1] : NAN;
    if (e == 1.0F) return emit1(a, US_EW_COPY, x);
    if (e == 2.0F) return emit2(a, US_EW_MUL, x, x);
    if (e == 3.0F) return emit2(a, US_EW_MUL, emit2(a, US_EW_MUL, x, x), x);
    if (e == -1.0F) return emit1(a, US_EW_RECIPROCAL, x);
    if (e == 0.5F) return power_half(a, x);
    return emit2(a, US_EW_POW, x, a->in[1]);
}

/* --- activations ------------------------------------------------------------------------------------ */

static int hard_sigmoid(args *a)
{
    const us_p_hard_sigmoid *p = a->params;
    int x = emit3(a, US_EW_FMA, imm(a, p->alpha), a->in[0], imm(a, p->beta));
    return emit3(a, US_EW_CLAMP, x, imm(a, 0), imm(a, 1));
}

static int hard_swish(args *a)
{
    int x = emit3(a, US_EW_FMA, a->in[0], imm(a, 1.0F / 6), imm(a, 0.5F));
    return emit2(a, US_EW_MUL, a->in[0], emit3(a, US_EW_CLAMP, x, imm(a, 0), imm(a, 1)));
}

static int leaky_relu(args *a)
{
    const us_p_leaky_relu *p = a->params;
    return emit2(a, US_EW_PRELU, a->in[0], imm(a, p->alpha));
}

/* x < 0 ? alpha * (e^(x / over) - 1) : x */
static int elu_of(args *a, float alpha, float over)
{
    int x = a->in[0], t = over == 1.0F ? x : emit2(a, US_EW_DIV, x, imm(a, over));
    int low = emit1(a, US_EW_EXPM1, t);
    if (alpha != 1.0F) low = emit2(a, US_EW_MUL, imm(a, alpha), low);
    return emit3(a, US_EW_SELECT, emit2(a, US_EW_LT, x, imm(a, 0)), low, x);
}
static int elu(args *a)
{
    const us_p_elu *p = a->params;
    return elu_of(a, p->alpha, 1);
}
static int celu(args *a)
{
    const us_p_celu *p = a->params;
    return elu_of(a, p->alpha, p->alpha);
}
static int selu(args *a)
{
    const us_p_selu *p = a->params;
    return emit2(a, US_EW_MUL, imm(a, p->gamma), elu_of(a, p->alpha, 1));
}

static int thresholded_relu(args *a)
{
    const us_p_thresholded_relu *p = a->params;
    int c = emit2(a, US_EW_GT, a->in[0], imm(a, p->alpha));
    return emit3(a, US_EW_SELECT, c, a->in[0], imm(a, 0));
}

static int softsign(args *a)
{
    int d = emit2(a, US_EW_ADD, imm(a, 1), emit1(a, US_EW_ABS, a->in[0]));
    return emit2(a, US_EW_DIV, a->in[0], d);
}

static int mish(args *a)
{
    int t = emit1(a, US_EW_TANH, emit1(a, US_EW_SOFTPLUS, a->in[0]));
    return emit2(a, US_EW_MUL, a->in[0], t);
}

static int times_sigmoid(args *a, float alpha)
{
    int x = a->in[0], t = alpha == 1.0F ? x : emit2(a, US_EW_MUL, imm(a, alpha), x);
    return emit2(a, US_EW_MUL, x, emit1(a, US_EW_SIGMOID, t));
}
static int swish(args *a)
{
    const us_p_swish *p = a->params;
    return times_sigmoid(a, p->alpha);
}

/* x / 2 + x / 2 * y */
static int half_times_1_plus(args *a, int y)
{
    int x = emit2(a, US_EW_MUL, imm(a, 0.5F), a->in[0]);
    return emit3(a, US_EW_FMA, x, y, x);
}
static int gelu_erf(args *a)
{
    return emit1(a, US_EW_GELU, a->in[0]);
}
/* k (x + c x^3) = x (k + k c x^2) */
static int gelu_tanh(args *a)
{
    const double k = 0.79788456080286535588;
    int x = a->in[0], s = emit2(a, US_EW_MUL, x, x);
    int t = emit3(a, US_EW_FMA, s, imm(a, (float)(k * 0.044715)), imm(a, (float)k));
    return half_times_1_plus(a, emit1(a, US_EW_TANH, emit2(a, US_EW_MUL, x, t)));
}
static int gelu(args *a)
{
    const us_p_gelu *p = a->params;
    return us_sv_is(p->approximate, "none") ? gelu_erf(a) : gelu_tanh(a);
}

/* --- com.microsoft ---------------------------------------------------------------------------------- */

/* Input 0 with the bias, which may be left out, in its place. */
static args *biased(args *a)
{
    if (a->n_in > 1 && a->in[1] != US_EW_ABSENT) a->in[0] = add(a);
    return a;
}
static int bias_gelu(args *a)
{
    return gelu_erf(biased(a));
}
static int fast_gelu(args *a)
{
    return gelu_tanh(biased(a));
}
static int quick_gelu(args *a)
{
    const us_p_ms_quick_gelu *p = a->params;
    return times_sigmoid(a, p->alpha);
}

/* --- the rest ---------------------------------------------------------------------------------------- */

static int shrink(args *a)
{
    const us_p_shrink *p = a->params;
    int x = a->in[0];
    int low = emit2(a, US_EW_ADD, x, imm(a, p->bias)),
        high = emit2(a, US_EW_SUB, x, imm(a, p->bias));
    int y = emit3(a, US_EW_SELECT, emit2(a, US_EW_GT, x, imm(a, p->lambd)), high, imm(a, 0));
    return emit3(a, US_EW_SELECT, emit2(a, US_EW_LT, x, imm(a, -p->lambd)), low, y);
}

static int clip(args *a)
{
    bool lo = a->n_in > 1 && a->in[1] != US_EW_ABSENT;
    bool hi = a->n_in > 2 && a->in[2] != US_EW_ABSENT;
    if (lo && hi) return emit3(a, US_EW_CLAMP, a->in[0], a->in[1], a->in[2]);
    if (lo) return emit2(a, US_EW_MAX, a->in[0], a->in[1]);
    return hi ? emit2(a, US_EW_MIN, a->in[0], a->in[2]) : emit1(a, US_EW_COPY, a->in[0]);
}

static int is_inf(args *a)
{
    const us_p_is_inf *p = a->params;
    int x = a->in[0];
    if (p->detect_positive && p->detect_negative) return emit1(a, US_EW_IS_INF, x);
    if (p->detect_positive) return emit2(a, US_EW_EQ, x, imm(a, INFINITY));
    if (p->detect_negative) return emit2(a, US_EW_EQ, x, imm(a, -INFINITY));
    return emit2(a, US_EW_LT, x, x);
}

static int cast(args *a)
{
    const us_p_cast *p = a->params;
    return p->to == US_BOOL ? emit2(a, US_EW_AND, a->in[0], a->in[0])
                            : emit1(a, US_EW_COPY, a->in[0]);
}

/* --- the table -------------------------------------------------------------------------------------- */

/* Element types of operands and result: F floats to float; C floats to bool; L bools to bool; S bool, float, float to float;
 * E either of C and L; K any of the two to any. */
typedef enum kind { F = 1, C, L, S, E, K } kind;
typedef struct recipe {
    int (*write)(args *a);
    kind kind;
} recipe;

/* clang-format off */
static const recipe recipes[US_OP_N] = {
    [US_OP_ADD] = {add, F},                  [US_OP_MUL] = {mul, F},
    [US_OP_SUB] = {sub, F},                  [US_OP_DIV] = {divide, F},
    [US_OP_POW] = {power, F},                [US_OP_MOD] = {mod, F},
    [US_OP_MIN] = {minimum, F},              [US_OP_MAX] = {maximum, F},
    [US_OP_SUM] = {sum, F},                  [US_OP_MEAN] = {mean, F},
    [US_OP_NEG] = {neg, F},                  [US_OP_ABS] = {absolute, F},
    [US_OP_SQRT] = {square_root, F},         [US_OP_EXP] = {exponential, F},
    [US_OP_LOG] = {logarithm, F},            [US_OP_RECIPROCAL] = {reciprocal, F},
    [US_OP_FLOOR] = {floor_of, F},           [US_OP_CEIL] = {ceil_of, F},
    [US_OP_ROUND] = {round_of, F},           [US_OP_SIGN] = {sign, F},
    [US_OP_ERF] = {error_function, F},       [US_OP_SIN] = {sine, F},
    [US_OP_COS] = {cosine, F},               [US_OP_TAN] = {tangent, F},
    [US_OP_ASIN] = {arc_sine, F},            [US_OP_ACOS] = {arc_cosine, F},
    [US_OP_ATAN] = {arc_tangent, F},         [US_OP_SINH] = {sine_h, F},
    [US_OP_COSH] = {cosine_h, F},            [US_OP_ASINH] = {arc_sine_h, F},
    [US_OP_ACOSH] = {arc_cosine_h, F},       [US_OP_ATANH] = {arc_tangent_h, F},
    [US_OP_TANH] = {tangent_h, F},           [US_OP_SIGMOID] = {sigmoid, F},
    [US_OP_RELU] = {relu, F},                [US_OP_HARD_SIGMOID] = {hard_sigmoid, F},
    [US_OP_LEAKY_RELU] = {leaky_relu, F},    [US_OP_PRELU] = {prelu, F},
    [US_OP_ELU] = {elu, F},                  [US_OP_SELU] = {selu, F},
    [US_OP_CELU] = {celu, F},                [US_OP_THRESHOLDED_RELU] = {thresholded_relu, F},
    [US_OP_SOFTPLUS] = {softplus, F},        [US_OP_SOFTSIGN] = {softsign, F},
    [US_OP_HARD_SWISH] = {hard_swish, F},    [US_OP_MISH] = {mish, F},
    [US_OP_GELU] = {gelu, F},                [US_OP_SWISH] = {swish, F},
    [US_OP_SHRINK] = {shrink, F},            [US_OP_CLIP] = {clip, F},
    [US_OP_NOT] = {not_of, L},                  [US_OP_AND] = {and_of, L},
    [US_OP_OR] = {or_of, L},                    [US_OP_XOR] = {xor_of, L},
    [US_OP_EQUAL] = {equal, E},              [US_OP_GREATER] = {greater, C},
    [US_OP_LESS] = {less, C},                [US_OP_GREATER_OR_EQUAL] = {greater_equal, C},
    [US_OP_LESS_OR_EQUAL] = {less_equal, C}, [US_OP_WHERE] = {where, S},
    [US_OP_IS_NAN] = {is_nan, C},            [US_OP_IS_INF] = {is_inf, C},
    [US_OP_CAST] = {cast, K},                [US_OP_MS_GELU] = {gelu_erf, F},
    [US_OP_MS_BIAS_GELU] = {bias_gelu, F},   [US_OP_MS_FAST_GELU] = {fast_gelu, F},
    [US_OP_MS_QUICK_GELU] = {quick_gelu, F}, [US_OP_MS_BIAS_ADD] = {sum, F},
};
/* clang-format on */

static bool types_fit(kind k, size_t n_in, const us_ew_operand *in, us_dtype out)
{
    us_dtype first = in[0].dtype;
    if (k == K)
        return (first == US_F32 || first == US_BOOL) && (out == US_F32 || out == US_BOOL);
    if (k == E) k = first == US_BOOL ? L : C;
    if (out != (k == C || k == L ? US_BOOL : US_F32)) return false;
    for (size_t i = 0; i < n_in; i++) {
        us_dtype want = k == L || (k == S && i == 0) ? US_BOOL : US_F32;
        if (in[i].at == US_EW_ABSENT ? i == 0 : in[i].dtype != want) return false;
    }
    return true;
}

bool us_ew_write_op(us_ew_writer *w, const us_op *op, const void *params, size_t n_in,
                    const us_ew_operand *in, us_dtype out, int *result)
{
    const recipe *r = op ? &recipes[us_op_index(op)] : NULL;
    if (!r || !r->write || n_in == 0 || n_in > US_EW_IN || !types_fit(r->kind, n_in, in, out))
        return false;
    args a = {.w = w, .params = params, .n_in = n_in};
    for (size_t i = 0; i < n_in; i++)
        a.in[i] = in[i].at;
    *result = r->write(&a);
    return true;
}

bool us_ew_take_number(us_ew_writer *w, const us_op *op, size_t i, const us_tensor *t,
                       us_ew_operand *out)
{
    double x;
    const us_dtype_info *d = us_dtype_get(t->dtype);
    bool exponent = i == 1 && us_op_index(op) == US_OP_POW && d->cls == US_DC_INT;
    if (!t->data || us_tensor_count(t) != 1 || !d->to_f64) return false;
    if (t->dtype != US_F32 && t->dtype != US_BOOL && !exponent) return false;
    d->to_f64(t->data, 0, 1, &x);
    if (exponent && fabs(x) > 0x1p24) return false;
    if (t->dtype == US_BOOL) x = x != 0;
    *out = (us_ew_operand){t->dtype == US_BOOL ? US_BOOL : US_F32, us_ew_imm(w, (float)x)};
    return true;
}
