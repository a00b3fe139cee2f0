/* ir/ewise_walk.c - a program over tensors: axes merged, cut for threads; and the call that elementwise operators and usta.Map are bound to.
 *
 * Axes that every operand walks alike become one, so an Add of equal shapes is one long row, a bias over the last axis rows with a repeated
 * operand, a number per channel rows with a number each. What is left around the two innermost axes is an outer loop.
 *
 * Threads get whole rows, or stretches of the one long row: no element's result depends on where the cuts are (kernel/map.h).
 */
#include <string.h>

#include "base/pool.h"
#include "ir/ewise.h"
#include "ir/op_util.h"

enum { CHUNKS = 16 };     /* at most: each has a scratch of its own */
#define CHUNK_NS  20000.0 /* work worth a helper */
#define SERIAL_NS 50000.0 /* below, waking one costs more than it gives */

bool us_ew_strides(int rank, const int64_t *out, int in_rank, const int64_t *in,
                   int64_t *strides)
{
    if (in_rank > rank) return false;
    int64_t at = 1;
    for (int d = rank - 1; d >= 0; d--) {
        int e = d - (rank - in_rank);
        int64_t n = e >= 0 ? in[e] : 1;
        if (n != out[d] && n != 1) return false;
        strides[d] = n == 1 ? 0 : at;
        at *= n;
    }
    return true;
}

/* Nanoseconds: loads and stores of a tile, vector functions, functions of libm. */
double us_ew_cost(const us_ew_prog *p)
{
    static const uint8_t kind[US_EW_N] = {
        [US_EW_EXP] = 1,      [US_EW_EXPM1] = 1, [US_EW_LOG] = 1,   [US_EW_TANH] = 1,
        [US_EW_SIGMOID] = 1,  [US_EW_ERF] = 1,   [US_EW_SIN] = 1,   [US_EW_COS] = 1,
        [US_EW_SOFTPLUS] = 1, [US_EW_DIV] = 1,   [US_EW_SQRT] = 1,  [US_EW_TAN] = 2,
        [US_EW_ASIN] = 2,     [US_EW_ACOS] = 2,  [US_EW_ATAN] = 2,  [US_EW_SINH] = 2,
        [US_EW_COSH] = 2,     [US_EW_ASINH] = 2, [US_EW_ACOSH] = 2, [US_EW_ATANH] = 2,
        [US_EW_GELU] = 1,     [US_EW_SILU] = 1,  [US_EW_POW] = 2,   [US_EW_MOD] = 2,
        [US_EW_FMOD] = 2};
    static const double ns[] = {0.05, 0.4, 12};
    double sum = 0.1 * (p->n_in + 1);
    for (size_t i = 0; i < p->n_ins; i++)
        sum += ns[kind[p->ins[i].code]];
    return sum;
}

/* --- axes ------------------------------------------------------------------------------------------- */

typedef struct axes {
    int n;
    int64_t dims[US_MAX_RANK], in[US_EW_IN][US_MAX_RANK];
} axes;

static bool walks_on(const axes *a, size_t n_in, int64_t dim, const int64_t *steps)
{
    if (a->n == 0) return false;
    for (size_t i = 0; i < n_in; i++)
        if (a->in[i][a->n - 1] != steps[i] * dim) return false;
    return true;
}

/* Outermost first. Axes of 1 vanish. */
static void merge(axes *a, size_t n_in, int rank, const int64_t *dims,
                  int64_t strides[US_EW_IN][US_MAX_RANK])
{
    a->n = 0;
    for (int d = 0; d < rank; d++) {
        if (dims[d] == 1) continue;
        int64_t steps[US_EW_IN];
        for (size_t i = 0; i < n_in; i++)
            steps[i] = strides[i][d];
        if (walks_on(a, n_in, dims[d], steps))
            a->dims[a->n - 1] *= dims[d];
        else
            a->dims[a->n++] = dims[d];
        for (size_t i = 0; i < n_in; i++)
            a->in[i][a->n - 1] = steps[i];
    }
    if (a->n > 0) return;
    a->n = 1;
    a->dims[0] = 1;
    for (size_t i = 0; i < n_in; i++)
        a->in[i][0] = 0;
}

static void cut(us_ew_walk *w, size_t all_rows)
{
    bool flat = all_rows == 1;
    w->units = flat ? w->n : all_rows;
    double ns = us_ew_cost(&w->prog) * (double)w->n * (double)all_rows;
    double chunks = ns < SERIAL_NS ? 1 : US_MIN(ns / CHUNK_NS, CHUNKS);
    w->grain = (size_t)((double)w->units / chunks) + 1;
    if (flat) w->grain = (w->grain + 63) / 64 * 64;
    w->grain = US_MAX(US_MIN(w->grain, w->units), (size_t)1);
    size_t n = (w->units + w->grain - 1) / w->grain;
    w->scratch_each = us_ew_scratch(&w->prog);
    w->scratch = w->scratch_each * n;
}

static bool type_of(us_dtype t, us_ew_type *out)
{
    *out = t == US_BOOL ? US_EW_BOOL : US_EW_F32;
    return t == US_BOOL || t == US_F32;
}

bool us_ew_walk_init(us_ew_walk *w, const us_ew_kernels *k, const us_ew_prog *prog,
                     const us_tensor *const *in, const us_tensor *out)
{
    int64_t strides[US_EW_IN][US_MAX_RANK];
    memset(w, 0, sizeof *w);
    w->kernels = k;
    w->prog = *prog;
    if (!type_of(out->dtype, &w->out_type)) return false;
    for (size_t i = 0; i < prog->n_in; i++)
        if (!type_of(in[i]->dtype, &w->types[i]) ||
            !us_ew_strides(out->rank, out->dims, in[i]->rank, in[i]->dims, strides[i]))
            return false;
    axes a;
    merge(&a, prog->n_in, out->rank, out->dims, strides);
    w->n = (size_t)a.dims[a.n - 1];
    w->rows = a.n > 1 ? (size_t)a.dims[a.n - 2] : 1;
    w->row_out = (ptrdiff_t)w->n;
    for (size_t i = 0; i < prog->n_in; i++) {
        w->step[i] = a.in[i][a.n - 1] != 0;
        w->row_in[i] = a.n > 1 ? (ptrdiff_t)a.in[i][a.n - 2] : 0;
    }
    size_t all = w->rows;
    w->n_outer = a.n > 2 ? a.n - 2 : 0;
    for (int d = w->n_outer - 1; d >= 0; d--) {
        w->outer[d] = a.dims[d];
        w->outer_out[d] = (int64_t)(all * w->n);
        all *= (size_t)a.dims[d];
        for (size_t i = 0; i < prog->n_in; i++)
            w->outer_in[i][d] = a.in[i][d];
    }
    cut(w, all);
    return true;
}

/* --- running ---------------------------------------------------------------------------------------- */

typedef struct job {
    const us_ew_walk *w;
    const void *const *in;
    void *out;
    char *scratch;
} job;

static const void *moved(const void *p, us_ew_type t, int64_t by)
{
    return (const char *)p + (t == US_EW_F32 ? by * (int64_t)sizeof(float) : by);
}

static void one_row(const job *j, us_ew_args *a, size_t from, size_t to)
{
    const us_ew_walk *w = j->w;
    a->rows = 1;
    a->n = to - from;
    for (size_t i = 0; i < w->prog.n_in; i++)
        a->in[i].p = moved(j->in[i], w->types[i], w->step[i] ? (int64_t)from : 0);
    a->out = (char *)j->out + from * (w->out_type == US_EW_F32 ? sizeof(float) : 1);
    us_ew_run(w->kernels, a);
}

/* Rows from .. to of all, block by block: in each, the outer axes stand still. */
static void many_rows(const job *j, us_ew_args *a, size_t from, size_t to)
{
    const us_ew_walk *w = j->w;
    while (from < to) {
        size_t block = from / w->rows, r = from % w->rows;
        int64_t at[US_EW_IN];
        for (size_t i = 0; i < w->prog.n_in; i++)
            at[i] = (int64_t)r * w->row_in[i];
        size_t left = block;
        for (int d = w->n_outer - 1; d >= 0; d--) {
            int64_t x = (int64_t)(left % (size_t)w->outer[d]);
            left /= (size_t)w->outer[d];
            for (size_t i = 0; i < w->prog.n_in; i++)
                at[i] += x * w->outer_in[i][d];
        }
        a->rows = US_MIN(w->rows - r, to - from);
        a->n = w->n;
        for (size_t i = 0; i < w->prog.n_in; i++)
            a->in[i].p = moved(j->in[i], w->types[i], at[i]);
        a->out = (char *)j->out + from * w->n * (w->out_type == US_EW_F32 ? sizeof(float) : 1);
        us_ew_run(w->kernels, a);
        from += a->rows;
    }
}

static void chunk(void *arg, size_t from, size_t to)
{
    const job *j = arg;
    const us_ew_walk *w = j->w;
    us_ew_args a = {.prog = &w->prog, .out_row = w->row_out, .out_type = w->out_type};
    a.scratch = j->scratch + from / w->grain * w->scratch_each;
    for (size_t i = 0; i < w->prog.n_in; i++)
        a.in[i] = (us_ew_in){NULL, w->row_in[i], w->step[i], (uint8_t)w->types[i]};
    bool flat = w->rows == 1 && w->n_outer == 0;
    if (flat)
        one_row(j, &a, from, to);
    else
        many_rows(j, &a, from, to);
}

void us_ew_walk_run(const us_ew_walk *w, us_pool *pool, const void *const *in, void *out,
                    void *scratch)
{
    job j = {w, in, out, scratch};
    if (w->grain >= w->units)
        chunk(&j, 0, w->units);
    else
        us_pool_run(pool, w->units, w->grain, chunk, &j);
}

/* --- the call --------------------------------------------------------------------------------------- */

typedef struct ew_state {
    us_ew_walk walk;
    uint8_t input[US_EW_IN]; /* of the node, by input of the program */
} ew_state;

static us_err run_walk(us_eval *k, const void *state, void *scratch)
{
    const ew_state *s = state;
    const void *in[US_EW_IN];
    for (size_t i = 0; i < s->walk.prog.n_in; i++)
        in[i] = k->in[s->input[i]]->t.data;
    us_ew_walk_run(&s->walk, k->c->pool, in, k->out[0]->t.data, scratch);
    return US_OK;
}

static us_err bind_program(us_eval *k, const us_ew_prog *p, const uint8_t *input, us_call *call)
{
    const us_tensor *in[US_EW_IN], *y = us_eval_opt_out(k, 0);
    for (size_t i = 0; i < p->n_in; i++)
        in[i] = us_eval_opt(k, input[i]);
    us_ew_walk w;
    const us_ew_kernels *kernels = us_kernels_get(k->c)->map;
    if (!us_ew_walk_init(&w, kernels, p, in, y)) return US_OK;
    void *mem;
    US_TRY(us_eval_keep(k, sizeof(ew_state), &mem));
    ew_state *s = mem;
    s->walk = w;
    memcpy(s->input, input, p->n_in);
    US_TRY(us_eval_work(k, (double)us_tensor_count(y) * p->n_ins));
    *call =
        (us_call){.run = run_walk, .state = s, .scratch = w.scratch, .kernel = kernels->name};
    return US_OK;
}

/* Every operator with a recipe. Constants of one number become immediates. */
us_err ewise_bind(us_eval *k, us_call *call)
{
    const us_tensor *y = us_eval_opt_out(k, 0);
    us_ew_writer w;
    us_ew_operand in[US_EW_IN];
    uint8_t input[US_EW_IN], n = 0;
    call->kernel = "not of float32";
    if (!y || k->n_in > US_EW_IN) return US_OK;
    us_ew_begin(&w, k->n_in);
    for (size_t i = 0; i < k->n_in; i++) {
        const us_tensor *t = us_eval_opt(k, i);
        in[i] = (us_ew_operand){US_DT_NONE, US_EW_ABSENT};
        if (!t || us_ew_take_number(&w, k->n->op, i, t, &in[i])) continue;
        in[i] = (us_ew_operand){t->dtype, n};
        input[n++] = (uint8_t)i;
    }
    w.n_in = n;
    us_ew_prog p;
    int result;
    if (!us_ew_write_op(&w, k->n->op, k->params, k->n_in, in, y->dtype, &result) ||
        !us_ew_end(&w, &p))
        return plain_bind(k, call);
    return bind_program(k, &p, input, call);
}

us_err usta_map_bind(us_eval *k, us_call *call)
{
    us_ew_prog p;
    uint8_t input[US_EW_IN];
    if (!us_eval_opt_out(k, 0) || !us_ew_of_map(k->params, k->n_in, &p)) return US_OK;
    for (size_t i = 0; i < k->n_in; i++) {
        if (!us_eval_opt(k, i)) return US_OK;
        input[i] = (uint8_t)i;
    }
    return bind_program(k, &p, input, call);
}

/* Where shapes are known at run time only. */
us_err usta_map_eval(us_eval *k)
{
    us_ew_prog p;
    const us_p_usta_map *attrs = k->params;
    if (!us_ew_of_map(k->params, k->n_in, &p))
        return us_eval_fail(k, US_ARG, "its program is not one");
    const us_tensor *in[US_EW_IN];
    us_tensor dense[US_EW_IN], *y;
    const void *data[US_EW_IN];
    int rank = 0;
    int64_t dims[US_MAX_RANK];
    for (size_t i = 0; i < k->n_in; i++) {
        US_TRY(us_eval_in_dense(k, i, &dense[i]));
        in[i] = &dense[i];
        data[i] = dense[i].data;
        US_TRY(us_dims_broadcast(k->c, rank, dims, in[i]->rank, in[i]->dims, &rank, dims));
    }
    US_TRY(us_eval_out(k, 0, attrs->truth ? US_BOOL : US_F32, rank, dims, &y));
    us_ew_walk w;
    void *scratch;
    if (us_tensor_count(y) == 0) return US_OK;
    if (!us_ew_walk_init(&w, us_kernels_get(k->c)->map, &p, in, y))
        return us_eval_fail(k, US_ARG, "its inputs are neither float32 nor bool");
    US_TRY(us_eval_scratch(k, w.scratch, &scratch));
    us_ew_walk_run(&w, k->c->pool, data, y->data, scratch);
    return US_OK;
}
