/* ir/bind_plain.c - integers, truth values and doubles elementwise: the loops that eval has, with types, broadcasting and addresses settled once.
 *
 * Such nodes compute shapes, indices and masks: a few elements, where finding out what to do takes longer than doing it. Axes that all operands walk
 * alike are merged, so most calls are one loop. Half precision and whatever else eval brings into another type first stays there.
 */
#include "ir/ewise.h"
#include "ir/op_util.h"

enum { MOST_IN = 3 };

/* The walk: around rows of n elements some outer axes; steps in elements. in 0 is the output. */
typedef struct plain {
    int64_t n, step[MOST_IN + 1];
    int n_outer;
    int64_t dims[US_MAX_RANK], steps[MOST_IN + 1][US_MAX_RANK];
    size_t bytes[MOST_IN + 1]; /* of an element */
    size_t n_in;
    us_un_fn *unary;
    us_bin_fn *binary;
    const us_dtype_info *from, *to; /* Cast */
    bool integers;
} plain;

/* --- axes ------------------------------------------------------------------------------------------- */

static bool settle(plain *p, const us_tensor *y, const us_tensor *const *in)
{
    int64_t steps[MOST_IN + 1][US_MAX_RANK];
    int n = 0;
    const us_tensor *all[MOST_IN + 1] = {y, in[0], in[1], in[2]};
    for (size_t i = 0; i <= p->n_in; i++) {
        if (!us_ew_strides(y->rank, y->dims, all[i]->rank, all[i]->dims, steps[i]))
            return false;
        p->bytes[i] = us_dtype_get(all[i]->dtype)->bits / 8;
    }
    for (int d = 0; d < y->rank; d++) {
        if (y->dims[d] == 1) continue;
        bool joins = n > 0;
        for (size_t i = 0; i <= p->n_in && joins; i++)
            joins = p->steps[i][n - 1] == steps[i][d] * y->dims[d];
        if (!joins) p->dims[n++] = 1;
        p->dims[n - 1] *= y->dims[d];
        for (size_t i = 0; i <= p->n_in; i++)
            p->steps[i][n - 1] = steps[i][d];
    }
    p->n = n ? p->dims[n - 1] : 1;
    for (size_t i = 0; i <= p->n_in; i++)
        p->step[i] = n ? p->steps[i][n - 1] : 1;
    p->n_outer = n ? n - 1 : 0;
    return true;
}

typedef void row_fn(const plain *p, char *const *at);

/* Calls row for each row: at[0] the output, then the inputs. */
static void each_row(const plain *p, us_eval *k, row_fn *row)
{
    char *at[MOST_IN + 1] = {k->out[0]->t.data};
    int64_t index[US_MAX_RANK] = {0};
    for (size_t i = 0; i < p->n_in; i++)
        at[i + 1] = k->in[i]->t.data;
    for (;;) {
        row(p, at);
        int d = p->n_outer - 1;
        for (; d >= 0; d--) {
            bool more = ++index[d] < p->dims[d];
            int64_t by = more ? 1 : 1 - p->dims[d];
            for (size_t i = 0; i <= p->n_in; i++)
                at[i] += by * p->steps[i][d] * (int64_t)p->bytes[i];
            if (more) break;
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

/* --- calls -------------------------------------------------------------------------------------------- */

static void unary_row(const plain *p, char *const *at)
{
    p->unary(at[0], at[1], p->n, p->step[1], NULL);
}
static us_err run_unary(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    each_row(state, k, unary_row);
    return US_OK;
}

static void binary_row(const plain *p, char *const *at)
{
    p->binary(at[0], at[1], at[2], p->n, p->step[1], p->step[2]);
}
static us_err run_binary(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    each_row(state, k, binary_row);
    return US_OK;
}

static void where_row(const plain *p, char *const *at)
{
    us_ref_where(at[0], (const uint8_t *)at[1], at[2], at[3], p->n, p->step[1], p->step[2],
                 p->step[3], p->bytes[0]);
}
static us_err run_where(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    each_row(state, k, where_row);
    return US_OK;
}

static void not_row(const plain *p, char *const *at)
{
    const uint8_t *x = (const uint8_t *)at[1];
    uint8_t *y = (uint8_t *)at[0];
    for (int64_t i = 0; i < p->n; i++)
        y[i] = !x[i];
}
static us_err run_not(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    each_row(state, k, not_row);
    return US_OK;
}

/* --- Cast ------------------------------------------------------------------------------------------------ */

/* Pairs that are met often: X(from, its type, to, its type, value of x) */
#define CASTS(X)                                                                               \
    X(I64, int64_t, F32, float, (float)(double)x)                                              \
    X(I32, int32_t, F32, float, (float)x)                                                      \
    X(U8, uint8_t, F32, float, (float)x)                                                       \
    X(I8, int8_t, F32, float, (float)x)                                                        \
    X(I64, int64_t, I32, int32_t, (int32_t)(uint32_t)(uint64_t)x)                              \
    X(I32, int32_t, I64, int64_t, (int64_t)x)                                                  \
    X(BOOL, uint8_t, I64, int64_t, (int64_t)(x != 0))                                          \
    X(BOOL, uint8_t, I32, int32_t, (int32_t)(x != 0))                                          \
    X(I64, int64_t, BOOL, uint8_t, (uint8_t)(x != 0))                                          \
    X(I32, int32_t, BOOL, uint8_t, (uint8_t)(x != 0))                                          \
    X(F64, double, F32, float, (float)x)                                                       \
    X(F32, float, F64, double, (double)x)                                                      \
    X(F16, uint16_t, F32, float, us_f16_to_f32(x))                                             \
    X(F32, float, F16, uint16_t, us_f32_to_f16(x))                                             \
    X(BF16, uint16_t, F32, float, us_bf16_to_f32(x))                                           \
    X(F32, float, BF16, uint16_t, us_f32_to_bf16(x))

#define X(from, T, to, U, value)                                                               \
    static us_err cast_##from##_##to(us_eval *k, const void *state, void *scratch)             \
    {                                                                                          \
        const plain *p = state;                                                                \
        const T *in = k->in[0]->t.data;                                                        \
        U *out = k->out[0]->t.data;                                                            \
        (void)scratch;                                                                         \
        for (int64_t i = 0; i < p->n; i++) {                                                   \
            T x = in[i];                                                                       \
            out[i] = (value);                                                                  \
        }                                                                                      \
        return US_OK;                                                                          \
    }
CASTS(X)
#undef X

static us_call_fn *cast_of(us_dtype from, us_dtype to)
{
    static const struct {
        us_dtype from, to;
        us_call_fn *run;
    } rows[] = {
#define X(from, T, to, U, value) {US_##from, US_##to, cast_##from##_##to},
        CASTS(X)
#undef X
    };
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (rows[i].from == from && rows[i].to == to) return rows[i].run;
    return NULL;
}

/* By way of double or int64, in pieces. */
static us_err run_cast(us_eval *k, const void *state, void *scratch)
{
    enum { PIECE = 64 };
    const plain *p = state;
    const void *x = k->in[0]->t.data;
    void *y = k->out[0]->t.data;
    (void)scratch;
    for (size_t i = 0; i < (size_t)p->n; i += PIECE) {
        size_t n = US_MIN((size_t)PIECE, (size_t)p->n - i);
        if (p->integers) {
            int64_t v[PIECE];
            p->from->to_i64(x, i, n, v);
            p->to->from_i64(y, i, n, v);
        } else {
            double v[PIECE];
            p->from->to_f64(x, i, n, v);
            p->to->from_f64(y, i, n, v);
        }
    }
    return US_OK;
}

static bool is_plain_number(us_dtype t)
{
    const us_dtype_info *d = us_dtype_get(t);
    return d->bits >= 16 ? d->cls == US_DC_FLOAT || d->cls == US_DC_INT || d->cls == US_DC_UINT
                         : t == US_I8 || t == US_U8 || t == US_BOOL;
}

static us_call_fn *find_cast(plain *p, const us_tensor *x, const us_tensor *y)
{
    if (!x || x->dtype == y->dtype || !is_plain_number(x->dtype) || !is_plain_number(y->dtype))
        return NULL;
    p->from = us_dtype_get(x->dtype);
    p->to = us_dtype_get(y->dtype);
    p->integers = p->from->cls != US_DC_FLOAT && p->to->cls != US_DC_FLOAT;
    us_call_fn *run = cast_of(x->dtype, y->dtype);
    return run ? run : run_cast;
}

/* --- which ------------------------------------------------------------------------------------------------ */

typedef struct row {
    us_op_id op;
    bool unary;
    int f; /* of us_unary or us_binary */
} row;

static const row rows[] = {
    {US_OP_ADD, false, US_BIN_ADD},
    {US_OP_SUB, false, US_BIN_SUB},
    {US_OP_MUL, false, US_BIN_MUL},
    {US_OP_DIV, false, US_BIN_DIV},
    {US_OP_POW, false, US_BIN_POW},
    {US_OP_MOD, false, US_BIN_MOD},
    {US_OP_MIN, false, US_BIN_MIN},
    {US_OP_MAX, false, US_BIN_MAX},
    {US_OP_EQUAL, false, US_BIN_EQ},
    {US_OP_GREATER, false, US_BIN_GT},
    {US_OP_GREATER_OR_EQUAL, false, US_BIN_GE},
    {US_OP_LESS, false, US_BIN_LT},
    {US_OP_LESS_OR_EQUAL, false, US_BIN_LE},
    {US_OP_AND, false, US_BIN_AND},
    {US_OP_OR, false, US_BIN_OR},
    {US_OP_XOR, false, US_BIN_XOR},
    {US_OP_BITWISE_AND, false, US_BIN_BITAND},
    {US_OP_BITWISE_OR, false, US_BIN_BITOR},
    {US_OP_BITWISE_XOR, false, US_BIN_BITXOR},
    {US_OP_NEG, true, US_UN_NEG},
    {US_OP_ABS, true, US_UN_ABS},
    {US_OP_SIGN, true, US_UN_SIGN},
    {US_OP_SQRT, true, US_UN_SQRT},
    {US_OP_FLOOR, true, US_UN_FLOOR},
    {US_OP_CEIL, true, US_UN_CEIL},
    {US_OP_ROUND, true, US_UN_ROUND},
    {US_OP_EXP, true, US_UN_EXP},
    {US_OP_LOG, true, US_UN_LOG},
    {US_OP_RELU, true, US_UN_RELU},
    {US_OP_BITWISE_NOT, true, US_UN_BITNOT},
};

static us_call_fn *find_loop(us_eval *k, us_op_id id, plain *p, const us_tensor *const *in,
                             const us_tensor *y)
{
    const row *r = NULL;
    for (size_t i = 0; i < US_LEN(rows) && !r; i++)
        if (rows[i].op == id) r = &rows[i];
    if (!r || us_dtype_get(in[0]->dtype)->bits < 8) return NULL;
    if (r->unary) {
        p->unary = y->dtype == in[0]->dtype ? us_ref_unary((us_unary)r->f, y->dtype) : NULL;
        return p->n_in == 1 && p->unary ? run_unary : NULL;
    }
    us_binary f = (us_binary)r->f;
    if (id == US_OP_MOD && ((const us_p_mod *)k->params)->fmod) f = US_BIN_FMOD;
    bool compares = f >= US_BIN_EQ;
    if (p->n_in != 2 || in[0]->dtype != in[1]->dtype ||
        y->dtype != (compares ? US_BOOL : in[0]->dtype))
        return NULL;
    p->binary = us_ref_binary(f, in[0]->dtype);
    return p->binary ? run_binary : NULL;
}

static us_call_fn *find(us_eval *k, us_op_id id, plain *p, const us_tensor *const *in,
                        const us_tensor *y)
{
    if (id == US_OP_CAST || id == US_OP_CAST_LIKE) {
        p->n_in = 1; /* the other only says a type */
        return find_cast(p, in[0], y);
    }
    if (id == US_OP_NOT) return in[0]->dtype == US_BOOL && y->dtype == US_BOOL ? run_not : NULL;
    if (id != US_OP_WHERE) return find_loop(k, id, p, in, y);
    return p->n_in == 3 && in[0]->dtype == US_BOOL && in[1]->dtype == in[2]->dtype &&
                   y->dtype == in[1]->dtype && us_dtype_get(y->dtype)->bits >= 8
               ? run_where
               : NULL;
}

us_err plain_bind(us_eval *k, us_call *call)
{
    const us_tensor *in[MOST_IN] = {NULL}, *y = us_eval_opt_out(k, 0);
    plain p = {.n_in = k->n_in};
    if (!y || k->n_in < 1 || k->n_in > MOST_IN) return US_OK;
    for (size_t i = 0; i < k->n_in; i++) {
        in[i] = us_eval_opt(k, i);
        if (!in[i] || !us_tensor_contiguous(in[i])) return US_OK;
    }
    us_call_fn *run = find(k, us_op_index(k->n->op), &p, in, y);
    if (!run || !settle(&p, y, in)) return US_OK;
    if (p.from && p.n_outer > 0) return US_OK; /* a cast has one row */
    return us_call_make(k, call, run, &p, sizeof p, "us_plain");
}
