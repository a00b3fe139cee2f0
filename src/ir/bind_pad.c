/* ir/bind_pad.c - the call of Pad: where each index of the result comes from is written down per axis when the shapes are known.
 *
 * Axes behind the last padded one are moved as one unit (channels in a block, say). A row along the last padded axis is a stretch of
 * the input copied whole, with what stands before and behind it taken unit by unit: the constant, or the index that the mode shows there.
 */
#include <string.h>

#include "base/pool.h"
#include "ir/op_util.h"

enum { MOST = 1 << 22 };    /* indices of an axis that are written down */
#define SERIAL_BYTES 400000 /* below, waking a helper costs more than it gives */

typedef struct pad_state {
    int rank;    /* axes up to the last padded one */
    size_t unit; /* bytes */
    int64_t dims[US_MAX_RANK];
    ptrdiff_t step[US_MAX_RANK]; /* bytes in the input */
    /* per index of the result: of the input, -1: the constant */
    const int64_t *shows[US_MAX_RANK];
    int64_t copy_at, copy_n; /* the stretch of a row that follows itself in the input */
    const char *fill;        /* a unit of the constant */
    size_t rows, grain;
} pad_state;

typedef struct pad_job {
    const pad_state *s;
    const char *x;
    char *y;
} pad_job;

static void pad_row(const pad_state *s, const char *x, char *y)
{
    int last = s->rank - 1;
    const int64_t *shows = s->shows[last];
    for (int64_t i = 0; i < s->dims[last]; i++) {
        if (i == s->copy_at && s->copy_n > 0) {
            memcpy(y + (size_t)i * s->unit, x + shows[i] * s->step[last],
                   (size_t)s->copy_n * s->unit);
            i += s->copy_n - 1;
            continue;
        }
        const char *from = shows[i] < 0 ? s->fill : x + shows[i] * s->step[last];
        memcpy(y + (size_t)i * s->unit, from, s->unit);
    }
}

static void pad_rows(void *arg, size_t from, size_t to)
{
    const pad_job *j = arg;
    const pad_state *s = j->s;
    size_t row = (size_t)s->dims[s->rank - 1] * s->unit;
    for (size_t r = from; r < to; r++) {
        const char *x = j->x;
        char *y = j->y + r * row;
        size_t left = r;
        for (int d = s->rank - 2; d >= 0 && x; d--) {
            int64_t at = s->shows[d][left % (size_t)s->dims[d]];
            left /= (size_t)s->dims[d];
            x = at < 0 ? NULL : x + at * s->step[d];
        }
        if (x) {
            pad_row(s, x, y);
            continue;
        }
        for (size_t i = 0; i < row; i += s->unit)
            memcpy(y + i, s->fill, s->unit);
    }
}

static us_err run_pad(us_eval *k, const void *state, void *scratch)
{
    const pad_state *s = state;
    pad_job j = {s, k->in[0]->t.data, k->out[0]->t.data};
    (void)scratch;
    us_pool_run(k->c->pool, s->rows, s->grain, pad_rows, &j);
    return US_OK;
}

/* --- making it ------------------------------------------------------------------------------------------ */

/* What stands in front of each axis; behind follows from the result's dims. */
static bool read_pads(us_eval *k, const us_tensor *x, const us_tensor *y, int64_t *begin)
{
    const us_tensor *pads = us_eval_opt(k, 1), *axes = us_eval_opt(k, 3);
    if (!pads || !pads->data || pads->dtype != US_I64) return false;
    if (axes && (!axes->data || (axes->dtype != US_I64 && axes->dtype != US_I32))) return false;
    int64_t n = axes ? us_tensor_count(axes) : x->rank;
    if (us_tensor_count(pads) != 2 * n) return false;
    const int64_t *p = pads->data;
    bool seen[US_MAX_RANK] = {false};
    for (int d = 0; d < x->rank; d++)
        begin[d] = 0;
    for (int64_t i = 0; i < n; i++) {
        int a;
        int64_t axis = axes ? us_tensor_i64_at(axes, i) : i;
        bool small = p[i] >= -MOST && p[i] <= MOST && p[n + i] >= -MOST && p[n + i] <= MOST;
        if (!us_axis_norm(axis, x->rank, &a) || seen[a] || !small) return false;
        seen[a] = true;
        begin[a] = p[i];
        if (y->dims[a] != x->dims[a] + p[i] + p[n + i]) return false;
    }
    for (int d = 0; d < x->rank; d++)
        if ((!seen[d] && y->dims[d] != x->dims[d]) || y->dims[d] > MOST) return false;
    return true;
}

static us_err find_shows(us_eval *k, pad_state *s, int mode, const us_tensor *x,
                         const int64_t *begin)
{
    for (int d = 0; d < s->rank; d++) {
        void *mem;
        US_TRY(us_eval_keep(k, (size_t)s->dims[d] * sizeof(int64_t), &mem));
        int64_t *to = mem;
        for (int64_t i = 0; i < s->dims[d]; i++)
            to[i] = us_pad_shows(mode, i - begin[d], x->dims[d]);
        s->shows[d] = to;
    }
    int last = s->rank - 1;
    s->copy_at = US_MAX(begin[last], 0);
    int64_t end = US_MIN(begin[last] + x->dims[last], s->dims[last]);
    s->copy_n = US_MAX(end - s->copy_at, 0);
    return US_OK;
}

static us_err make_fill(us_eval *k, pad_state *s, size_t bytes)
{
    void *mem;
    const us_tensor *value = us_eval_opt(k, 2);
    US_TRY(us_eval_keep(k, s->unit, &mem));
    for (size_t i = 0; value && i < s->unit; i += bytes)
        memcpy((char *)mem + i, value->data, bytes);
    s->fill = mem;
    return US_OK;
}

us_err pad_bind(us_eval *k, us_call *call)
{
    enum { UNIT_MOST = 65536 };
    const us_p_pad *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0),
                    *value = us_eval_opt(k, 2);
    int64_t begin[US_MAX_RANK];
    int mode = us_pad_mode(p->mode);
    call->kernel = "pads not known";
    if (!x || !y || x->rank < 1 || y->rank != x->rank || y->dtype != x->dtype || mode < 0 ||
        !read_pads(k, x, y, begin))
        return US_OK;
    const us_dtype_info *info = us_dtype_get(x->dtype);
    bool has_value =
        value && value->data && value->dtype == x->dtype && us_tensor_count(value) == 1;
    if (info->cls == US_DC_STRING || info->bits < 8 || (value && !has_value)) return US_OK;
    pad_state s = {.rank = x->rank, .unit = info->bits / 8};
    while (s.rank > 1 && y->dims[s.rank - 1] == x->dims[s.rank - 1] && begin[s.rank - 1] == 0 &&
           s.unit * (size_t)y->dims[s.rank - 1] <= UNIT_MOST)
        s.unit *= (size_t)y->dims[--s.rank];
    s.rows = 1;
    for (int d = 0; d < s.rank; d++) {
        s.dims[d] = y->dims[d];
        s.step[d] = (ptrdiff_t)x->strides[d] * (ptrdiff_t)(info->bits / 8);
        if (d + 1 < s.rank) s.rows *= (size_t)y->dims[d];
    }
    US_TRY(find_shows(k, &s, mode, x, begin));
    US_TRY(make_fill(k, &s, info->bits / 8));
    double pieces = (double)us_tensor_bytes(y);
    pieces = pieces < SERIAL_BYTES ? 1 : pieces / 200000;
    s.grain = US_MAX((size_t)((double)s.rows / pieces), (size_t)1);
    return us_call_make(k, call, run_pad, &s, sizeof s, "rows and borders");
}
