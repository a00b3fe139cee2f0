/* ir/op_quant_bind.c - QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear of 8 bits, bound.
 *
 * One scale for the tensor, or one per index of an axis. The kernels divide and multiply in float, which gives what the operators' doubles give:
 * a quotient of two floats rounded to double and then to float is the quotient rounded to float, and a difference of bytes times
 * a float fits a double.
 */
#include "ir/op_qint.h"

#include "base/pool.h"
#include "kernel/int8.h"

enum { CHUNK = 1 << 16 }; /* numbers that are worth a thread's while */

typedef struct convert {
    const us_int8_kernels *kernels;
    size_t n, inner,
        axis; /* numbers, in runs of `inner`, each run of the next of `axis` scales */
    bool is_signed;
    us_dtype zero_type; /* NONE: 0 */
} convert;

typedef struct job {
    const convert *v;
    const void *x;
    void *y;
    const float *scale;
    const void *zero;
} job;

static int32_t zero_of(const job *j, size_t i)
{
    if (!j->zero) return 0;
    return j->v->zero_type == US_I8 ? ((const int8_t *)j->zero)[i]
                                    : ((const uint8_t *)j->zero)[i];
}

typedef void piece_fn(const job *j, size_t from, size_t n, size_t i);

static void quantize_piece(const job *j, size_t from, size_t n, size_t i)
{
    bool is_signed = j->v->is_signed;
    j->v->kernels->quantize((const float *)j->x + from, n, j->scale[i], zero_of(j, i),
                            is_signed ? -128 : 0, is_signed ? 127 : 255,
                            (uint8_t *)j->y + from);
}

/* Signed x is read as x + 128. */
static void dequantize_piece(const job *j, size_t from, size_t n, size_t i)
{
    bool is_signed = j->v->is_signed;
    j->v->kernels->dequantize((const uint8_t *)j->x + from, n, is_signed ? 0x80 : 0,
                              j->scale[i], zero_of(j, i) + (is_signed ? 128 : 0),
                              (float *)j->y + from);
}

static void pieces(const job *j, piece_fn *f, size_t from, size_t to)
{
    const convert *v = j->v;
    while (from < to) {
        size_t run = from / v->inner, n = US_MIN(to, (run + 1) * v->inner) - from;
        f(j, from, n, run % v->axis);
        from += n;
    }
}

static void quantize_pieces(void *arg, size_t i0, size_t i1)
{
    pieces(arg, quantize_piece, i0, i1);
}

static void dequantize_pieces(void *arg, size_t i0, size_t i1)
{
    pieces(arg, dequantize_piece, i0, i1);
}

static us_err run(us_eval *k, const convert *v, us_pool_fn *f)
{
    job j = {v, k->in[0]->t.data, k->out[0]->t.data, k->in[1]->t.data,
             v->zero_type == US_DT_NONE ? NULL : k->in[2]->t.data};
    us_pool_run(k->c->pool, v->n, CHUNK, f, &j);
    return US_OK;
}

static us_err run_quantize(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    return run(k, state, quantize_pieces);
}

static us_err run_dequantize(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    return run(k, state, dequantize_pieces);
}

/* NULL, or why not. `axis` as the attribute has it. */
static const char *describe(us_eval *k, int64_t axis, convert *v)
{
    const us_tensor *x = us_eval_opt(k, 0), *s = us_eval_opt(k, 1), *z = us_eval_opt(k, 2);
    if (!x || !s || s->dtype != US_F32 || s->rank > 1)
        return "scales that are not float32, or of blocks";
    size_t n_scale = (size_t)us_tensor_count(s);
    if (z && (!us_is_8bit(z) || (size_t)us_tensor_count(z) != n_scale))
        return "zero points that are not of 8 bits";
    *v = (convert){.kernels = us_kernels_get(k->c)->int8,
                   .n = (size_t)us_tensor_count(x),
                   .axis = 1,
                   .zero_type = z ? z->dtype : US_DT_NONE};
    v->inner = v->n;
    if (n_scale == 1) return NULL;
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank || (size_t)x->dims[axis] != n_scale)
        return "scales that do not fit the axis";
    v->axis = n_scale;
    v->inner = (size_t)us_dims_product(x->dims, (int)axis + 1, x->rank);
    return v->inner < 8 ? "a scale for every few numbers" : NULL;
}

us_err quantize_linear_bind(us_eval *k, us_call *call)
{
    const us_p_quantize_linear *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    convert v;
    if (!x || !y || x->dtype != US_F32 || !us_is_8bit(y) || p->block_size != 0 ||
        (p->precision != 0 && p->precision != US_F32)) {
        call->kernel = "types other than float32 and 8 bits, or blocks";
        return US_OK;
    }
    call->kernel = describe(k, p->axis, &v);
    if (call->kernel) return US_OK;
    v.is_signed = y->dtype == US_I8;
    return us_call_make(k, call, run_quantize, &v, sizeof v, v.kernels->rows_name);
}

us_err dequantize_linear_bind(us_eval *k, us_call *call)
{
    const us_p_dequantize_linear *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    convert v;
    if (!x || !y || y->dtype != US_F32 || !us_is_8bit(x) || p->block_size != 0) {
        call->kernel = "types other than 8 bits and float32, or blocks";
        return US_OK;
    }
    call->kernel = describe(k, p->axis, &v);
    if (call->kernel) return US_OK;
    v.is_signed = x->dtype == US_I8;
    return us_call_make(k, call, run_dequantize, &v, sizeof v, v.kernels->rows_name);
}

/* --- DynamicQuantizeLinear ------------------------------------------------------------------------------ */

static us_err run_dynamic(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const us_int8_kernels *f = state;
    const us_tensor *x = &k->in[0]->t;
    size_t n = (size_t)us_tensor_count(x);
    float lo, hi, scale, zero;
    f->range(x->data, n, &lo, &hi);
    us_q_range_scale(lo, hi, &scale, &zero);
    if (us_eval_wants(k, 0))
        f->quantize(x->data, n, scale, (int32_t)zero, 0, 255, k->out[0]->t.data);
    if (us_eval_wants(k, 1)) *(float *)k->out[1]->t.data = scale;
    if (us_eval_wants(k, 2)) *(uint8_t *)k->out[2]->t.data = (uint8_t)zero;
    return US_OK;
}

us_err dynamic_quantize_linear_bind(us_eval *k, us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0);
    const us_int8_kernels *f = us_kernels_get(k->c)->int8;
    if (!x || x->dtype != US_F32) return US_OK;
    *call = (us_call){.run = run_dynamic, .state = f, .kernel = f->rows_name};
    return US_OK;
}
