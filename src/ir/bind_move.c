/* ir/bind_move.c - calls of operators that only move elements: Transpose, Slice, Split, Concat, Expand, DepthToSpace, Gather ...
 *
 * All but Gather are copies between two strided views. Axes are merged where both walk on alike; what is then innermost says how: rows
 * without gaps on both sides are copied whole, an axis that is without gaps on one side only is a transpose with the one that is on the other,
 * one that repeats is a fill. The axes around are counted through, their number cut for threads; where they are few, the
 * innermost is cut as well.
 */
#include <string.h>

#include "base/pool.h"
#include "ir/op_util.h"
#include "kernel/move.h"

#define SERIAL_BYTES 100000 /* below, a helper costs more than it gives */
#define PIECE_BYTES  25000
enum { LINE = 64, MOST_AXES = 2 * US_MAX_RANK };

typedef enum way { COPY, TRANSPOSE, STRIDED } way;

typedef struct move {
    way way;
    int n;        /* axes counted through */
    size_t bytes; /* of an element */
    size_t dims[MOST_AXES];
    ptrdiff_t from[MOST_AXES], to[MOST_AXES]; /* bytes */
    size_t length;  /* COPY: bytes of a row; else elements of the innermost axis */
    ptrdiff_t step; /* of the source along it, in elements; the target's is 1 or `to_step` */
    ptrdiff_t to_step;
    size_t columns; /* TRANSPOSE: elements of the other axis, without gaps in the source */
    ptrdiff_t column_step; /* in the target, elements */
    size_t whole,
        piece; /* COPY: bytes, TRANSPOSE: columns, STRIDED: elements; in one go at most a piece */
    size_t units, grain;
    size_t at_from, at_to; /* bytes from the tensor's beginning */
    int input, output;
} move;

typedef struct move_state {
    const us_move_kernels *kernels;
    size_t n;
    move moves[];
} move_state;

/* --- making a move ---------------------------------------------------------------------------------- */

typedef struct view {
    int rank;
    int64_t dims[2 * US_MAX_RANK], from[2 * US_MAX_RANK], to[2 * US_MAX_RANK];
} view;

static void merge(view *v)
{
    int n = 0;
    for (int d = 0; d < v->rank; d++) {
        if (v->dims[d] == 1) continue;
        bool joins = n > 0 && v->from[n - 1] == v->from[d] * v->dims[d] &&
                     v->to[n - 1] == v->to[d] * v->dims[d];
        if (joins) n--;
        v->dims[n] = joins ? v->dims[n] * v->dims[d] : v->dims[d];
        v->from[n] = v->from[d];
        v->to[n++] = v->to[d];
    }
    v->rank = n;
}

static void drop_axis(view *v, int axis)
{
    for (int d = axis; d + 1 < v->rank; d++) {
        v->dims[d] = v->dims[d + 1];
        v->from[d] = v->from[d + 1];
        v->to[d] = v->to[d + 1];
    }
    v->rank--;
}

/* An axis whose elements lie side by side in the source, worth a transpose. */
static int side_by_side(const view *v)
{
    for (int d = 0; d + 1 < v->rank; d++)
        if (v->from[d] == 1 && v->dims[d] >= 4) return d;
    return -1;
}

static void choose(move *m, view *v)
{
    int last = v->rank - 1, other = side_by_side(v);
    m->way = STRIDED;
    m->length = 1;
    m->to_step = 1;
    if (last < 0) { /* one element */
        m->way = COPY;
        m->length = m->bytes;
        return;
    }
    m->length = (size_t)v->dims[last];
    m->step = (ptrdiff_t)v->from[last];
    m->to_step = (ptrdiff_t)v->to[last];
    if (m->step == 1 && m->to_step == 1) {
        m->way = COPY;
        m->length *= m->bytes;
    } else if (other >= 0 && m->to_step == 1 && m->step > 1) {
        m->way = TRANSPOSE;
        m->columns = (size_t)v->dims[other];
        m->column_step = (ptrdiff_t)v->to[other];
    }
    drop_axis(v, last);
    if (m->way == TRANSPOSE) drop_axis(v, other);
}

/* At least so many units: pieces of the innermost axis are one more axis to count through. */
static void cut(move *m, size_t units)
{
    size_t pieces = (units + m->units - 1) / m->units;
    m->piece = ((m->whole + pieces - 1) / pieces + LINE - 1) / LINE * LINE;
    if (m->piece >= m->whole) return;
    ptrdiff_t piece = (ptrdiff_t)m->piece, bytes = (ptrdiff_t)m->bytes;
    m->dims[m->n] = (m->whole + m->piece - 1) / m->piece;
    m->from[m->n] = m->way == COPY ? piece : piece * bytes * (m->way == STRIDED ? m->step : 1);
    m->to[m->n] = m->way == COPY
                      ? piece
                      : piece * bytes * (m->way == STRIDED ? m->to_step : m->column_step);
    m->units *= m->dims[m->n++];
}

static void make_move(move *m, view *v, size_t bytes)
{
    m->bytes = bytes;
    merge(v);
    double total = (double)bytes;
    for (int d = 0; d < v->rank; d++)
        total *= (double)v->dims[d];
    choose(m, v);
    m->whole = m->way == TRANSPOSE ? m->columns : m->length;
    m->piece = m->whole;
    m->n = v->rank;
    m->units = 1;
    for (int d = 0; d < v->rank; d++) {
        m->dims[d] = (size_t)v->dims[d];
        m->from[d] = (ptrdiff_t)v->from[d] * (ptrdiff_t)bytes;
        m->to[d] = (ptrdiff_t)v->to[d] * (ptrdiff_t)bytes;
        m->units *= m->dims[d];
    }
    double pieces = total < SERIAL_BYTES ? 1 : total / PIECE_BYTES;
    if ((double)m->units < pieces && m->units > 0) cut(m, (size_t)pieces);
    m->grain = US_MAX((size_t)((double)m->units / pieces), (size_t)1);
}

/* --- moving ----------------------------------------------------------------------------------------- */

#define STRIDED_LOOP(size)                                                                     \
    for (size_t i = 0; i < n; i++)                                                             \
    memcpy(to + (ptrdiff_t)i * m->to_step * (size), from + (ptrdiff_t)i * m->step * (size),    \
           (size))

/* n of what the innermost axis has. */
static void one(const us_move_kernels *k, const move *m, size_t n, const char *from, char *to)
{
    if (m->way == COPY)
        memcpy(to, from, n);
    else if (m->way == TRANSPOSE)
        k->transpose(m->bytes, m->length, n, from, m->step, to, m->column_step);
    else if (m->bytes == 1)
        STRIDED_LOOP(1);
    else if (m->bytes == 2)
        STRIDED_LOOP(2);
    else if (m->bytes == 4)
        STRIDED_LOOP(4);
    else if (m->bytes == 8)
        STRIDED_LOOP(8);
    else
        STRIDED_LOOP(16);
}

typedef struct move_job {
    const us_move_kernels *k;
    const move *m;
    const char *from;
    char *to;
} move_job;

static void move_part(void *arg, size_t u0, size_t u1)
{
    const move_job *j = arg;
    const move *m = j->m;
    size_t at[MOST_AXES], left = u0;
    const char *from = j->from;
    char *to = j->to;
    for (int d = m->n - 1; d >= 0; d--) {
        at[d] = left % m->dims[d];
        left /= m->dims[d];
        from += (ptrdiff_t)at[d] * m->from[d];
        to += (ptrdiff_t)at[d] * m->to[d];
    }
    for (size_t u = u0;;) {
        size_t done = m->piece < m->whole ? at[m->n - 1] * m->piece : 0;
        one(j->k, m, US_MIN(m->piece, m->whole - done), from, to);
        if (++u == u1) return;
        for (int d = m->n - 1; d >= 0; d--) {
            from += m->from[d];
            to += m->to[d];
            if (++at[d] < m->dims[d]) break;
            from -= (ptrdiff_t)m->dims[d] * m->from[d];
            to -= (ptrdiff_t)m->dims[d] * m->to[d];
            at[d] = 0;
        }
    }
}

static us_err run_moves(us_eval *k, const void *state, void *scratch)
{
    const move_state *s = state;
    (void)scratch;
    for (size_t i = 0; i < s->n; i++) {
        const move *m = &s->moves[i];
        move_job j = {s->kernels, m, (const char *)k->in[m->input]->t.data + m->at_from,
                      (char *)k->out[m->output]->t.data + m->at_to};
        if (m->way == COPY && j.from == j.to) continue; /* planned to lie there: exec/bind.c */
        if (m->grain >= m->units)
            move_part(&j, 0, m->units);
        else
            us_pool_run(k->c->pool, m->units, m->grain, move_part, &j);
    }
    return US_OK;
}

/* --- calls ------------------------------------------------------------------------------------------ */

/* Bytes of an element that may be moved as such; 0: texts, or several to a byte. */
static size_t element_bytes(us_dtype t)
{
    const us_dtype_info *d = us_dtype_get(t);
    return d->cls == US_DC_STRING || d->bits < 8 ? 0 : (size_t)d->bits / 8;
}

static us_err new_moves(us_eval *k, size_t n, move_state **out)
{
    void *mem;
    US_TRY(us_eval_keep(k, sizeof(move_state) + n * sizeof(move), &mem));
    *out = mem;
    (*out)->kernels = us_kernels_get(k->c)->move;
    (*out)->n = n;
    return US_OK;
}

static void give(us_call *call, const move_state *s)
{
    *call = (us_call){.run = run_moves, .state = s, .kernel = s->kernels->name};
}

/* Output 0 is a view of input 0: its dims and the source's strides, `offset` elements in. */
static us_err bind_view(us_eval *k, us_call *call, const view *source, int64_t offset)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    size_t bytes = element_bytes(x->dtype);
    view v = *source;
    int64_t step = 1;
    move_state *s;
    for (int d = v.rank - 1; d >= 0; d--) {
        v.to[d] = step;
        step *= v.dims[d];
    }
    if (bytes == 0 || y->dtype != x->dtype || us_tensor_count(y) != step) return US_OK;
    US_TRY(new_moves(k, 1, &s));
    make_move(&s->moves[0], &v, bytes);
    s->moves[0].at_from = (size_t)offset * bytes;
    give(call, s);
    return US_OK;
}

static bool both(us_eval *k, const us_tensor **x, const us_tensor **y)
{
    *x = us_eval_opt(k, 0);
    *y = us_eval_opt_out(k, 0);
    return *x && *y;
}

us_err transpose_bind(us_eval *k, us_call *call)
{
    const us_p_transpose *p = k->params;
    const us_tensor *x, *y;
    if (!both(k, &x, &y) || y->rank != x->rank) return US_OK;
    view v = {.rank = x->rank};
    for (int d = 0; d < x->rank; d++) {
        int64_t from = p->perm.n ? p->perm.p[d] : x->rank - 1 - d;
        if ((p->perm.n && p->perm.n != (size_t)x->rank) || from < 0 || from >= x->rank)
            return US_OK;
        v.dims[d] = x->dims[from];
        v.from[d] = x->strides[from];
        if (v.dims[d] != y->dims[d]) return US_OK;
    }
    return bind_view(k, call, &v, 0);
}

us_err expand_bind(us_eval *k, us_call *call)
{
    const us_tensor *x, *y;
    if (!both(k, &x, &y) || x->rank > y->rank) return US_OK;
    view v = {.rank = y->rank};
    for (int d = 0; d < y->rank; d++) {
        int e = d - (y->rank - x->rank);
        int64_t n = e < 0 ? 1 : x->dims[e];
        if (n != 1 && n != y->dims[d]) return US_OK;
        v.dims[d] = y->dims[d];
        v.from[d] = n == 1 ? 0 : x->strides[e];
    }
    return bind_view(k, call, &v, 0);
}

/* The input with a repeated axis in front of each of its own. */
us_err tile_bind(us_eval *k, us_call *call)
{
    const us_tensor *x, *y;
    if (!both(k, &x, &y) || x->rank != y->rank) return US_OK;
    view v = {.rank = 2 * x->rank};
    for (int d = 0; d < x->rank; d++) {
        if (y->dims[d] % x->dims[d] != 0) return US_OK;
        v.dims[2 * d] = y->dims[d] / x->dims[d];
        v.dims[2 * d + 1] = x->dims[d];
        v.from[2 * d + 1] = x->strides[d];
    }
    return bind_view(k, call, &v, 0);
}

/* Integers of a constant input. */
static bool integers(us_eval *k, size_t i, size_t n, int64_t *out)
{
    const us_tensor *t = us_eval_opt(k, i);
    if (!t || !t->data || (t->dtype != US_I64 && t->dtype != US_I32) ||
        us_tensor_count(t) != (int64_t)n)
        return false;
    for (size_t j = 0; j < n; j++)
        out[j] = us_tensor_i64_at(t, (int64_t)j);
    return true;
}

/* The output's dims are right: inference took them from the same constants; starts and steps are what is left to find. */
us_err slice_bind(us_eval *k, us_call *call)
{
    const us_tensor *x, *y, *t = us_eval_opt(k, 1);
    int64_t start[US_MAX_RANK], axes[US_MAX_RANK], steps[US_MAX_RANK], offset = 0;
    call->kernel = "starts, axes or steps not known";
    if (!both(k, &x, &y) || y->rank != x->rank || !t || us_tensor_count(t) > x->rank)
        return US_OK;
    size_t n = (size_t)us_tensor_count(t);
    for (size_t i = 0; i < n; i++) {
        axes[i] = (int64_t)i;
        steps[i] = 1;
    }
    if (!integers(k, 1, n, start) || (us_eval_opt(k, 3) && !integers(k, 3, n, axes)) ||
        (us_eval_opt(k, 4) && !integers(k, 4, n, steps)))
        return US_OK;
    view v = {.rank = x->rank};
    for (int d = 0; d < x->rank; d++) {
        v.dims[d] = y->dims[d];
        v.from[d] = x->strides[d];
    }
    for (size_t i = 0; i < n; i++) {
        int a;
        if (!us_axis_norm(axes[i], x->rank, &a) || steps[i] == 0) return US_OK;
        int64_t size = x->dims[a], s = start[i] < 0 ? start[i] + size : start[i];
        s = US_MIN(US_MAX(s, 0), steps[i] > 0 ? size : size - 1);
        int64_t last = s + (v.dims[a] - 1) * steps[i];
        if (s >= size || last < 0 || last >= size) return US_OK;
        v.from[a] = x->strides[a] * steps[i];
        offset += s * x->strides[a];
    }
    return bind_view(k, call, &v, offset);
}

/* Blocks of space and of channels change places: axes in the output's order, given by their place in the input's six. */
static us_err bind_blocks(us_eval *k, us_call *call, const int64_t *dims, const int *order)
{
    int64_t strides[6], step = 1;
    view v = {.rank = 6};
    for (int d = 5; d >= 0; d--) {
        strides[d] = step;
        step *= dims[d];
    }
    for (int d = 0; d < 6; d++) {
        v.dims[d] = dims[order[d]];
        v.from[d] = strides[order[d]];
    }
    return bind_view(k, call, &v, 0);
}

us_err depth_to_space_bind(us_eval *k, us_call *call)
{
    const us_p_depth_to_space *p = k->params;
    const us_tensor *x, *y;
    int64_t b = p->blocksize;
    if (!both(k, &x, &y) || x->rank != 4 || b < 1 || x->dims[1] % (b * b) != 0) return US_OK;
    int64_t n = x->dims[0], c = x->dims[1] / (b * b), h = x->dims[2], w = x->dims[3];
    if (us_sv_is(p->mode, "CRD"))
        return bind_blocks(k, call, (int64_t[]){n, c, b, b, h, w}, (int[]){0, 1, 4, 2, 5, 3});
    if (!us_sv_is(p->mode, "DCR")) return US_OK;
    return bind_blocks(k, call, (int64_t[]){n, b, b, c, h, w}, (int[]){0, 3, 4, 1, 5, 2});
}

/* --- several parts ------------------------------------------------------------------------------------ */

/* Rows of one tensor between rows of another: outer times, `length` elements. */
static void part(move *m, size_t bytes, int64_t outer, int64_t length, int64_t from_step,
                 int64_t to_step)
{
    view v = {.rank = 2, .dims = {outer, length}, .from = {from_step, 1}, .to = {to_step, 1}};
    make_move(m, &v, bytes);
}

us_err concat_bind(us_eval *k, us_call *call)
{
    const us_p_concat *p = k->params;
    const us_tensor *x, *y;
    move_state *s;
    int axis;
    if (!both(k, &x, &y) || y->rank < 1 || !us_axis_norm(p->axis, y->rank, &axis)) return US_OK;
    size_t bytes = element_bytes(y->dtype);
    int64_t sum = 0;
    for (size_t i = 0; i < k->n_in; i++) {
        x = us_eval_opt(k, i);
        if (!x || x->rank != y->rank || x->dtype != y->dtype) return US_OK;
        for (int d = 0; d < y->rank; d++)
            if (d != axis && x->dims[d] != y->dims[d]) return US_OK;
        sum += x->dims[axis];
    }
    if (bytes == 0 || sum != y->dims[axis]) return US_OK;
    US_TRY(new_moves(k, k->n_in, &s));
    int64_t outer = us_dims_product(y->dims, 0, axis),
            inner = us_dims_product(y->dims, axis + 1, y->rank), at = 0;
    for (size_t i = 0; i < k->n_in; i++) {
        int64_t length = us_eval_opt(k, i)->dims[axis] * inner;
        part(&s->moves[i], bytes, outer, length, length, y->dims[axis] * inner);
        s->moves[i].input = (int)i;
        s->moves[i].at_to = (size_t)at * bytes;
        at += length;
    }
    give(call, s);
    return US_OK;
}

/* Sizes are those of the outputs, which inference found; one that nobody wants has none. */
us_err split_bind(us_eval *k, us_call *call)
{
    const us_p_split *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0);
    move_state *s;
    int axis;
    if (!x || x->rank < 1 || !us_axis_norm(p->axis, x->rank, &axis)) return US_OK;
    size_t bytes = element_bytes(x->dtype);
    int64_t sum = 0;
    for (size_t i = 0; i < k->n_out; i++) {
        const us_tensor *y = us_eval_opt_out(k, i);
        if (!y || y->rank != x->rank || y->dtype != x->dtype) return US_OK;
        for (int d = 0; d < x->rank; d++)
            if (d != axis && x->dims[d] != y->dims[d]) return US_OK;
        sum += y->dims[axis];
    }
    if (bytes == 0 || sum != x->dims[axis]) return US_OK;
    US_TRY(new_moves(k, k->n_out, &s));
    int64_t outer = us_dims_product(x->dims, 0, axis),
            inner = us_dims_product(x->dims, axis + 1, x->rank), at = 0;
    for (size_t i = 0; i < k->n_out; i++) {
        int64_t length = us_eval_opt_out(k, i)->dims[axis] * inner;
        part(&s->moves[i], bytes, outer, length, x->dims[axis] * inner, length);
        s->moves[i].output = (int)i;
        s->moves[i].at_from = (size_t)at * bytes;
        at += length;
    }
    give(call, s);
    return US_OK;
}

/* --- Gather --------------------------------------------------------------------------------------------- */

typedef struct gather_state {
    size_t outer, n, bytes; /* bytes: of what one index picks */
    int64_t length;
    bool wide; /* indices of 64 bits */
} gather_state;

/* Single elements are usual: their sizes are known where they are copied. */
static inline void copy(char *to, const char *from, size_t bytes)
{
    if (bytes == 8)
        memcpy(to, from, 8);
    else if (bytes == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, bytes);
}

static us_err run_gather(us_eval *k, const void *state, void *scratch)
{
    const gather_state *s = state;
    const char *x = k->in[0]->t.data;
    const void *index = k->in[1]->t.data;
    char *y = k->out[0]->t.data;
    (void)scratch;
    for (size_t j = 0; j < s->n; j++) {
        int64_t given = s->wide ? ((const int64_t *)index)[j] : ((const int32_t *)index)[j];
        int64_t i = given < 0 ? given + s->length : given;
        if (i < 0 || i >= s->length)
            return us_eval_fail(k, US_ARG, "index %lld of a dimension of %lld",
                                (long long)given, (long long)s->length);
        for (size_t o = 0; o < s->outer; o++)
            copy(y + (o * s->n + j) * s->bytes,
                 x + (o * (size_t)s->length + (size_t)i) * s->bytes, s->bytes);
    }
    return US_OK;
}

us_err gather_bind(us_eval *k, us_call *call)
{
    const us_p_gather *p = k->params;
    const us_tensor *x, *y, *i = us_eval_opt(k, 1);
    int axis;
    if (!both(k, &x, &y) || !i || x->rank < 1 || !us_axis_norm(p->axis, x->rank, &axis) ||
        (i->dtype != US_I64 && i->dtype != US_I32) || y->dtype != x->dtype)
        return US_OK;
    size_t bytes = element_bytes(x->dtype);
    void *mem;
    if (bytes == 0) return US_OK;
    US_TRY(us_eval_keep(k, sizeof(gather_state), &mem));
    gather_state *s = mem;
    *s = (gather_state){.outer = (size_t)us_dims_product(x->dims, 0, axis),
                        .n = (size_t)us_tensor_count(i),
                        .bytes = bytes * (size_t)us_dims_product(x->dims, axis + 1, x->rank),
                        .length = x->dims[axis],
                        .wide = i->dtype == US_I64};
    if (us_tensor_bytes(y) != s->outer * s->n * s->bytes) return US_OK;
    *call = (us_call){.run = run_gather, .state = s, .kernel = "rows by index"};
    return US_OK;
}
