/* pass/block_ops.c - block-layout's table: operators that go on in blocks, each exactly as it was on the real channels.
 *
 * Elementwise operators need no row: they take blocks as they take anything, once their other operands are laid out alike (constants
 * here, once; [N, 1, H, W] by a last axis of 1). Windows get an axis of lanes that they do not look along.
 */
#include "pass/block.h"

#include <math.h>
#include <string.h>

#include "ir/params.h"

/* --- elementwise ------------------------------------------------------------------------------------------------- */

static bool one_number(const us_type *t)
{
    for (int32_t i = 0; i < t->rank; i++)
        if (!us_dim_known(t->dims[i]) || t->dims[i].add != 1) return false;
    return true;
}

/* Constant of at most `rank` dimensions, seen as [n, c, h, w] (or [n, c, w]): channels in blocks, lanes past them 1. */
static us_err block_constant(us_blocker *b, const us_tensor *t, int32_t rank, int64_t channels,
                             us_vid *out, bool *ok)
{
    int64_t d[4] = {1, 1, 1, 1}, size = b->size; /* n, c, h, w */
    for (int32_t i = 0; i < t->rank; i++) {
        int32_t axis = rank - t->rank + i;
        d[rank == 3 && axis == 2 ? 3 : axis] = t->dims[i];
    }
    *ok = d[1] == 1 || d[1] == channels;
    if (!*ok) return US_OK;
    bool lanes = d[1] == channels && channels > 1;
    int64_t blocks = lanes ? (channels + size - 1) / size : 1, width = lanes ? size : 1;
    int64_t dims[5] = {d[0], blocks, d[2], d[3], width};
    us_tensor y;
    US_TRY(us_tensor_new(b->c, b->m->arena, US_F32, 5, dims, &y));
    float *to = y.data;
    int64_t pixels = d[2] * d[3], n = us_tensor_count(&y);
    for (int64_t i = 0; i < n; i++) {
        int64_t lane = i % width, p = i / width % pixels, c = i / width / pixels % blocks,
                image = i / width / pixels / blocks, ch = c * width + lane;
        to[i] = ch < d[1] ? (float)us_tensor_f64_at(t, (image * d[1] + ch) * pixels + p) : 1.0F;
    }
    return us_graph_add_const(b->c, b->g, (us_sv){0}, US_ST_CONST, &y, out);
}

/* A plain operand with one channel against many: [N, 1, H, W] as [N, 1, H, W, 1]. */
static us_err one_channel(us_blocker *b, us_vid v, us_vid *out)
{
    int64_t axis = 4, one = 1;
    us_vid axes;
    us_nid keep = b->replaced;
    US_TRY(us_block_const(b, US_I64, 1, &one, &axis, &axes));
    US_TRY(us_block_out(b, v));
    US_TRY(us_block_node(b, "", "Unsqueeze", 2, (us_vid[]){v, axes}, out));
    b->replaced = keep;
    return US_OK;
}

static bool same_dims(const us_type *x, const us_type *y)
{
    if (x->rank != y->rank) return false;
    for (int32_t i = 0; i < x->rank; i++)
        if (!us_dim_eq(x->dims[i], y->dims[i])) return false;
    return true;
}

enum { MAX_OPERANDS = 8 };

/* How operand v goes along with blocks of `lead`; KEEP: as it is. */
typedef enum way { NO, KEEP, BLOCKED, CONSTANT, ONE_CHANNEL, REORDER } way;

static way way_of(const us_blocker *b, const us_node *n, us_vid v, const us_blocked *lead,
                  const us_type *lead_type)
{
    const us_type *t = us_block_type(b, v);
    const us_blocked *have = us_block_of(b, v);
    if (!t) return NO;
    if (have && have->channels == lead->channels && have->rank == lead->rank) return BLOCKED;
    if (one_number(t) && t->rank <= lead->rank && !have) return KEEP;
    const us_tensor *con = us_const_tensor(b->g, v);
    if (con) return us_tensor_contiguous(con) && t->rank <= lead->rank ? CONSTANT : NO;
    if (t->rank != lead->rank) return NO;
    if (t->rank == 4 && us_dim_known(t->dims[1]) && t->dims[1].add == 1 && lead->channels > 1)
        return ONE_CHANNEL;
    bool channels = us_dim_known(t->dims[1]) && t->dims[1].add == lead->channels;
    return !have && t->rank > 2 && channels && same_dims(t, lead_type) && b->wanted[n->out[0]]
               ? REORDER
               : NO;
}

static us_err operand(us_blocker *b, way how, us_vid v, const us_blocked *lead, us_vid *out,
                      bool *ok)
{
    us_blocked xb;
    *out = v;
    if (how == CONSTANT)
        return block_constant(b, us_const_tensor(b->g, v), lead->rank, lead->channels, out, ok);
    if (how == ONE_CHANNEL) return one_channel(b, v, out);
    if (how == BLOCKED || how == REORDER) {
        US_TRY(us_block_in(b, v, &xb));
        *out = xb.v;
    }
    return US_OK;
}

/* Functions that cost more than passing over the value once more. */
static const char *const dear[] = {"Celu", "Elu",     "Erf",  "Exp",      "Gelu", "Log",
                                   "Mish", "Sigmoid", "Selu", "Softplus", "Tanh"};

/* Of few channels, and nobody goes on in blocks: on the value as it was, the function is not computed for lanes of padding. Behind a
 * convolution it would go along (fuse-conv-act), so there it takes more padding. */
static bool better_plain(const us_blocker *b, const us_node *n, const us_blocked *x)
{
    bool costs = false;
    for (size_t i = 0; i < US_LEN(dear); i++)
        costs = costs || us_sv_is(n->op_type, dear[i]);
    us_nid def = b->g->vals.at[x->v].def;
    bool conv = def != US_NIL && us_is_op(&b->g->nodes.at[def], "usta", "Conv");
    int64_t lanes = (x->channels + b->size - 1) / b->size * b->size;
    return costs && n->n_in == 1 && !b->wanted[n->out[0]] &&
           lanes >= (conv ? 4 : 2) * x->channels;
}

static us_err elementwise(us_blocker *b, const us_node *n)
{
    us_vid in[MAX_OPERANDS], y;
    way how[MAX_OPERANDS];
    us_blocked lead = {.v = US_NIL};
    const us_type *lead_type = NULL, *out = us_block_type(b, n->out[0]);
    if (!out || n->n_in > MAX_OPERANDS || n->n_out != 1) return US_OK;
    for (uint32_t k = 0; k < n->n_in && lead.v == US_NIL; k++) {
        const us_blocked *x = n->in[k] == US_NIL ? NULL : us_block_of(b, n->in[k]);
        if (!x || (x->channels == 1 && n->n_in > 1)) continue;
        lead = *x;
        lead_type = us_block_type(b, n->in[k]);
    }
    if (lead.v == US_NIL || !lead_type || out->rank != lead.rank) return US_OK;
    if (better_plain(b, n, &lead)) return US_OK;
    for (uint32_t k = 0; k < n->n_in; k++) {
        how[k] = n->in[k] == US_NIL ? KEEP : way_of(b, n, n->in[k], &lead, lead_type);
        if (how[k] == NO) return US_OK;
    }
    bool ok = true;
    for (uint32_t k = 0; k < n->n_in && ok; k++) {
        in[k] = US_NIL;
        if (n->in[k] != US_NIL) US_TRY(operand(b, how[k], n->in[k], &lead, &in[k], &ok));
    }
    if (!ok) return US_OK;
    US_TRY(us_block_node(b, n->domain.n ? "com.microsoft" : "", n->op->name, n->n_in, in, &y));
    for (uint32_t k = 0; k < n->n_attrs; k++)
        US_TRY(us_block_attr(b, &n->attrs[k]));
    us_block_done(b, y, lead.channels, lead.rank);
    return US_OK;
}

/* --- windows --------------------------------------------------------------------------------------------------------- */

/* A list of an attribute with the axes that blocks add: [h,] w, lanes; `times` parts (pads have two). */
static us_err window_list(us_blocker *b, const us_node *n, const char *name, int32_t rank,
                          size_t times, int64_t filler)
{
    const us_attr *a = us_node_attr(n, name);
    size_t space = (size_t)rank - 2;
    int64_t v[6];
    if (!a || a->n == 0) return US_OK;
    for (size_t t = 0; t < times; t++) {
        v[3 * t] = space == 2 ? a->ints[t * space] : filler;
        v[3 * t + 1] = a->ints[t * space + space - 1];
        v[3 * t + 2] = filler;
    }
    return us_block_attr_ints(b, name, 3 * times, v);
}

static bool list_fits(const us_node *n, const char *name, size_t want)
{
    const us_attr *a = us_node_attr(n, name);
    return !a || a->n == 0 || a->n == want;
}

static us_err pool(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    for (uint32_t k = 1; k < n->n_out; k++)
        if (n->out[k] != US_NIL) return US_OK;
    if (!x || x->rank < 3) return US_OK;
    size_t space = (size_t)x->rank - 2;
    us_blocked in = *x;
    us_vid y;
    if (!list_fits(n, "kernel_shape", space) || !list_fits(n, "strides", space) ||
        !list_fits(n, "dilations", space) || !list_fits(n, "pads", 2 * space))
        return US_OK;
    US_TRY(us_block_node(b, "", n->op->name, 1, &in.v, &y));
    for (uint32_t k = 0; k < n->n_attrs; k++)
        if (n->attrs[k].kind != US_AT_INTS) US_TRY(us_block_attr(b, &n->attrs[k]));
    US_TRY(window_list(b, n, "kernel_shape", in.rank, 1, 1));
    US_TRY(window_list(b, n, "strides", in.rank, 1, 1));
    US_TRY(window_list(b, n, "dilations", in.rank, 1, 1));
    US_TRY(window_list(b, n, "pads", in.rank, 2, 0));
    us_block_done(b, y, in.channels, in.rank);
    return US_OK;
}

/* v over height and width, both kept as 1: a window as large as the image where that is known (t: the plain type). */
static us_err space_node(us_blocker *b, const us_type *t, bool max, us_vid v, us_vid *y)
{
    int64_t axes[2] = {2, 3}, two = 2, window[3] = {1, 1, 1};
    us_vid in[2] = {v};
    bool known = t != NULL;
    for (int32_t i = 2; known && i < t->rank; i++)
        known = us_dim_known(t->dims[i]) && t->dims[i].add > 0;
    if (known) {
        if (t->rank == 4) window[0] = t->dims[2].add;
        window[1] = t->dims[t->rank - 1].add;
        US_TRY(us_block_node(b, "", max ? "MaxPool" : "AveragePool", 1, in, y));
        return us_block_attr_ints(b, "kernel_shape", 3, window);
    }
    US_TRY(us_block_const(b, US_I64, 1, &two, axes, &in[1]));
    US_TRY(us_block_node(b, "", max ? "ReduceMax" : "ReduceMean", 2, in, y));
    return us_block_attr_int(b, "keepdims", 1);
}

static us_err reduce_space(us_blocker *b, const us_node *n, const us_blocked *x, bool max)
{
    us_blocked in = *x;
    us_vid y;
    US_TRY(space_node(b, us_block_type(b, n->in[0]), max, in.v, &y));
    us_block_done(b, y, in.channels, in.rank);
    return US_OK;
}

static us_err global_average(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    return x && x->rank > 2 ? reduce_space(b, n, x, false) : US_OK;
}

static us_err global_max(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    return x && x->rank > 2 ? reduce_space(b, n, x, true) : US_OK;
}

/* ReduceMean and ReduceMax over exactly all of space. */
static us_err reduce(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    const us_tensor *axes = n->n_in > 1 ? us_const_tensor(b->g, n->in[1]) : NULL;
    const us_attr *keep = us_node_attr(n, "keepdims");
    if (!x || !axes || axes->dtype != US_I64 || axes->rank != 1 || axes->dims[0] != x->rank - 2)
        return US_OK;
    unsigned seen = 0;
    for (int64_t i = 0; i < axes->dims[0]; i++) {
        int64_t a = (int64_t)us_tensor_f64_at(axes, i);
        a += a < 0 ? x->rank : 0;
        if (a < 2 || a >= x->rank) return US_OK;
        seen |= 1u << a;
    }
    if (seen != (x->rank == 4 ? 12u : 4u)) return US_OK;
    bool keeps = !keep || keep->i != 0;
    US_TRY(reduce_space(b, n, x, us_sv_is(n->op_type, "ReduceMax")));
    if (!keeps) b->blocked[n->out[0]].rank = 2;
    return US_OK;
}

/* --- channels ------------------------------------------------------------------------------------------------------ */

static us_err concat(us_blocker *b, const us_node *n)
{
    const us_attr *axis = us_node_attr(n, "axis");
    size_t n_blocked = 0;
    int32_t rank = 0;
    int64_t channels = 0;
    for (uint32_t k = 0; k < n->n_in; k++) {
        const us_blocked *x = us_block_of(b, n->in[k]);
        const us_type *t = us_block_type(b, n->in[k]);
        if (!t || t->rank < 3 || t->rank > 4 || !us_dim_known(t->dims[1])) return US_OK;
        if (x && x->rank != t->rank) return US_OK;
        rank = t->rank;
        n_blocked += x != NULL;
        if (k + 1 < n->n_in && t->dims[1].add % b->size) return US_OK;
        channels += t->dims[1].add;
    }
    if (!axis || (axis->i != 1 && axis->i != 1 - rank) || 2 * n_blocked < n->n_in) return US_OK;
    us_vid *in = us_new_n(b->m->arena, us_vid, n->n_in), y;
    if (!in) return us_arena_fail(b->c, b->m->arena);
    for (uint32_t k = 0; k < n->n_in; k++) {
        us_blocked x;
        US_TRY(us_block_in(b, n->in[k], &x));
        in[k] = x.v;
    }
    US_TRY(us_block_node(b, "", "Concat", n->n_in, in, &y));
    US_TRY(us_block_attr_int(b, "axis", 1));
    us_block_done(b, y, channels, rank);
    return US_OK;
}

/* --- a normalisation that stands alone: x * k + d with a k and a d per channel ------------------------------------- */

static us_err batch_norm(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    const us_p_batch_normalization *p = n->params;
    const us_tensor *t[4];
    if (!x || p->training_mode || n->n_in != 5) return US_OK;
    us_blocked in = *x;
    for (uint32_t k = 1; k < n->n_out; k++)
        if (n->out[k] != US_NIL) return US_OK;
    for (int i = 0; i < 4; i++) {
        t[i] = us_const_tensor(b->g, n->in[1 + i]);
        if (!t[i] || t[i]->dtype != US_F32 || us_tensor_count(t[i]) != in.channels)
            return US_OK;
    }
    us_tensor k, d;
    US_TRY(us_tensor_new(b->c, b->m->arena, US_F32, 1, &in.channels, &k));
    US_TRY(us_tensor_new(b->c, b->m->arena, US_F32, 1, &in.channels, &d));
    for (int64_t i = 0; i < in.channels; i++) {
        double f =
            us_tensor_f64_at(t[0], i) / sqrt(us_tensor_f64_at(t[3], i) + (double)p->epsilon);
        ((float *)k.data)[i] = (float)f;
        ((float *)d.data)[i] =
            (float)(us_tensor_f64_at(t[1], i) - us_tensor_f64_at(t[2], i) * f);
    }
    us_vid v[2] = {in.v}, y;
    bool ok = true;
    k.rank = d.rank = in.rank - 1; /* [C, 1, 1] */
    for (int i = 1; i < k.rank; i++)
        k.dims[i] = d.dims[i] = k.strides[i] = d.strides[i] = 1;
    US_TRY(block_constant(b, &k, in.rank, in.channels, &v[1], &ok));
    US_TRY(us_block_node(b, "", "Mul", 2, v, &y));
    v[0] = y;
    US_TRY(block_constant(b, &d, in.rank, in.channels, &v[1], &ok));
    US_TRY(us_block_node(b, "", "Add", 2, v, &y));
    us_block_done(b, y, in.channels, in.rank);
    return US_OK;
}

/* --- InstanceNormalization: (x - mean) * (scale / sqrt(mean of squares + epsilon)) + bias, its sums by pooling --------- */

static us_err two(us_blocker *b, const char *op, us_vid x, us_vid y, us_vid *out)
{
    return us_block_node(b, "", op, 2, (us_vid[]){x, y}, out);
}

static us_err instance_norm(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    const us_p_instance_normalization *p = n->params;
    const us_type *t = us_block_type(b, n->in[0]);
    us_vid par[2], mean, d, s, y;
    bool ok = true;
    if (!x || x->rank < 3 || n->n_in != 3) return US_OK;
    us_blocked in = *x;
    for (int i = 0; i < 2; i++) {
        const us_tensor *c = us_const_tensor(b->g, n->in[1 + i]);
        if (!c || c->dtype != US_F32 || c->rank != 1 || c->dims[0] != in.channels ||
            !us_tensor_contiguous(c))
            return US_OK;
        us_tensor column = *c;
        column.rank = in.rank - 1; /* [C, 1, 1] */
        for (int k = 1; k < column.rank; k++)
            column.dims[k] = column.strides[k] = 1;
        US_TRY(block_constant(b, &column, in.rank, in.channels, &par[i], &ok));
    }
    float eps = p->epsilon;
    us_vid ev;
    US_TRY(us_block_const(b, US_F32, 0, NULL, &eps, &ev));
    US_TRY(space_node(b, t, false, in.v, &mean));
    US_TRY(two(b, "Sub", in.v, mean, &d));
    US_TRY(two(b, "Mul", d, d, &s));
    US_TRY(space_node(b, t, false, s, &y));
    US_TRY(two(b, "Add", y, ev, &s));
    US_TRY(us_block_node(b, "", "Sqrt", 1, &s, &y));
    US_TRY(two(b, "Div", par[0], y, &s));
    US_TRY(two(b, "Mul", d, s, &y));
    US_TRY(two(b, "Add", y, par[1], &s));
    us_block_done(b, s, in.channels, in.rank);
    return US_OK;
}

/* --- sizes ----------------------------------------------------------------------------------------------------------- */

/* Factors or sizes of an axis that is neither batch nor channels stay; those two must be left as they are. */
static us_err resize(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    const us_p_resize *p = n->params;
    const us_type *xt = us_block_type(b, n->in[0]), *yt = us_block_type(b, n->out[0]);
    if (!x || x->rank != 4 || !xt || !yt || yt->rank != 4 || p->axes.n ||
        us_sv_is(p->coordinate_transformation_mode, "tf_crop_and_resize") ||
        us_sv_is(p->mode, "cubic") || !us_sv_is(p->keep_aspect_ratio_policy, "stretch"))
        return US_OK;
    us_blocked in = *x;
    us_vid v[4] = {in.v, US_NIL, US_NIL, US_NIL}, y;
    const us_tensor *scales = n->n_in > 2 ? us_const_tensor(b->g, n->in[2]) : NULL;
    int64_t two = 2, axes[2] = {2, 3}, sizes[2];
    if (scales && scales->dtype == US_F32 && us_tensor_count(scales) == 4 &&
        us_tensor_f64_at(scales, 0) == 1 && us_tensor_f64_at(scales, 1) == 1) {
        float s[2] = {(float)us_tensor_f64_at(scales, 2), (float)us_tensor_f64_at(scales, 3)};
        US_TRY(us_block_const(b, US_F32, 1, &two, s, &v[2]));
    } else if (n->n_in > 3 && n->in[3] != US_NIL && us_dim_eq(xt->dims[0], yt->dims[0]) &&
               us_dim_eq(xt->dims[1], yt->dims[1]) && us_dim_known(yt->dims[2]) &&
               us_dim_known(yt->dims[3])) {
        sizes[0] = yt->dims[2].add;
        sizes[1] = yt->dims[3].add;
        US_TRY(us_block_const(b, US_I64, 1, &two, sizes, &v[3]));
    } else {
        return US_OK;
    }
    US_TRY(us_block_node(b, "", "Resize", v[3] == US_NIL ? 3 : 4, v, &y));
    for (uint32_t k = 0; k < n->n_attrs; k++)
        US_TRY(us_block_attr(b, &n->attrs[k]));
    US_TRY(us_block_attr_ints(b, "axes", 2, axes));
    us_block_done(b, y, in.channels, in.rank);
    return US_OK;
}

/* Of space alone: pads of batch and channels are zero. */
static us_err pad(us_blocker *b, const us_node *n)
{
    const us_blocked *x = us_block_of(b, n->in[0]);
    const us_tensor *pads = us_const_tensor(b->g, n->in[1]);
    bool axes = n->n_in > 3 && n->in[3] != US_NIL;
    if (!x || x->rank != 4 || !pads || pads->dtype != US_I64 || us_tensor_count(pads) != 8 ||
        axes)
        return US_OK;
    int64_t now[10] = {0}, ten = 10;
    for (int i = 0; i < 8; i++) {
        int64_t v = (int64_t)us_tensor_f64_at(pads, i);
        if (i % 4 < 2 && v != 0) return US_OK;
        now[i / 4 * 5 + i % 4] = v;
    }
    us_blocked in = *x;
    us_vid v[3] = {in.v, US_NIL, n->n_in > 2 ? n->in[2] : US_NIL}, y;
    US_TRY(us_block_const(b, US_I64, 1, &ten, now, &v[1]));
    US_TRY(us_block_node(b, "", "Pad", v[2] == US_NIL ? 2 : 3, v, &y));
    for (uint32_t k = 0; k < n->n_attrs; k++)
        US_TRY(us_block_attr(b, &n->attrs[k]));
    us_block_done(b, y, in.channels, in.rank);
    return US_OK;
}

/* --- the table --------------------------------------------------------------------------------------------------------- */

static const us_block_row rows[] = {
    {"AveragePool", pool},
    {"BatchNormalization", batch_norm},
    {"Concat", concat},
    {"Conv", us_block_conv},
    {"ConvTranspose", us_block_deconv},
    {"GlobalAveragePool", global_average},
    {"GlobalMaxPool", global_max},
    {"InstanceNormalization", instance_norm},
    {"MaxPool", pool},
    {"Pad", pad},
    {"ReduceMax", reduce},
    {"ReduceMean", reduce},
    {"Resize", resize},
    {"Slice", us_block_slice},
    {"Split", us_block_split},
};

us_block_fn *us_block_find(const us_node *n)
{
    if (!n->op || n->n_in == 0 || n->in[0] == US_NIL) return NULL;
    for (size_t i = 0; i < US_LEN(rows) && n->domain.n == 0; i++)
        if (us_sv_is(n->op_type, rows[i].op)) return rows[i].fn;
    bool known = n->domain.n == 0 || us_sv_is(n->domain, "com.microsoft");
    return known && (n->op->flags & US_OP_ELEMENTWISE) ? elementwise : NULL;
}
