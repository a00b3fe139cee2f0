/* ir/op_rnn.c - RNN, GRU and LSTM: one sequence of one direction at a time, in double.
 *
 * What the three share (shapes, directions, lengths, layout, activations) is one driver; a cell makes the next
 * hidden state from gate sums. Gates stand in ONNX's order: i o f c for LSTM, z r h for GRU.
 *
 * Where the standard leaves room we follow ONNX Runtime: activation_alpha and activation_beta are consumed by
 * those activations that have such a number, in order; a reversed sequence is reversed within its length; the clip
 * holds for the gate sums, the inputs of f and g, but not for LSTM's cell on its way through h; names of
 * activations ignore case.
 */
#include "ir/op_f64.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define HEAD                                                                                                \
    {"X", 'T', US_M_FLOATS, 0}, {"W", 'T', US_M_FLOATS, 0}, {"R", 'T', US_M_FLOATS, 0},                      \
    {"B", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"sequence_lens", 'I', US_M(I32), US_P_OPTIONAL},                \
    {"initial_h", 'T', US_M_FLOATS, US_P_OPTIONAL}
#define ATTRS                                                                                               \
    US_AFS(us_p_rnn, activation_alpha, "activation_alpha"), US_AFS(us_p_rnn, activation_beta, "activation_beta"), \
    US_ASS(us_p_rnn, activations, "activations"), US_AF(us_p_rnn, clip, "clip", 0),                          \
    US_AI(us_p_rnn, hidden_size, "hidden_size", 0)
#define FORWARD US_AS(us_p_rnn, direction, "direction", "forward")
/* The first forms said whether Y was wanted; since 7 its name does. */
#define SEQUENCE US_AI(us_p_rnn, output_sequence, "output_sequence", 0)
#define LAYOUT US_AI(us_p_rnn, layout, "layout", 0)
#define LBR US_AI(us_p_rnn, linear_before_reset, "linear_before_reset", 0)
#define COUPLED US_AI(us_p_rnn, input_forget, "input_forget", 0)

static const us_param rnn_in[] = {HEAD, US_PARAM_END};
static const us_param rnn_out[] = {
    {"Y", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"Y_h", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row rnn_attrs_7[] = {ATTRS, FORWARD, US_ATTR_END};
static const us_attr_row rnn_attrs[] = {ATTRS, FORWARD, LAYOUT, US_ATTR_END};
static const us_attr_row rnn_attrs_1[] = {ATTRS, FORWARD, SEQUENCE, US_ATTR_END};
const us_schema rnn_schemas[] = {
    {1, rnn_in, rnn_out, rnn_attrs_1, sizeof(us_p_rnn), us_upgrade_drop},
    {7, rnn_in, rnn_out, rnn_attrs_7, sizeof(us_p_rnn), NULL},
    {14, rnn_in, rnn_out, rnn_attrs, sizeof(us_p_rnn), NULL},
    {22, rnn_in, rnn_out, rnn_attrs, sizeof(us_p_rnn), NULL},
    {0}};

static const us_attr_row gru_attrs_7[] = {ATTRS, FORWARD, LBR, US_ATTR_END};
static const us_attr_row gru_attrs[] = {ATTRS, FORWARD, LBR, LAYOUT, US_ATTR_END};
/* The registry misspells the default of version 1: it means forward, and only what a file says itself is upgraded. */
static const us_attr_row gru_attrs_1[] = {
    ATTRS, US_AS(us_p_rnn, direction, "direction", "foward"), SEQUENCE, US_ATTR_END};
static const us_attr_row gru_attrs_3[] = {ATTRS, FORWARD, LBR, SEQUENCE, US_ATTR_END};
const us_schema gru_schemas[] = {
    {1, rnn_in, rnn_out, gru_attrs_1, sizeof(us_p_rnn), NULL},
    {3, rnn_in, rnn_out, gru_attrs_3, sizeof(us_p_rnn), us_upgrade_drop},
    {7, rnn_in, rnn_out, gru_attrs_7, sizeof(us_p_rnn), NULL},
    {14, rnn_in, rnn_out, gru_attrs, sizeof(us_p_rnn), NULL},
    {22, rnn_in, rnn_out, gru_attrs, sizeof(us_p_rnn), NULL},
    {0}};

static const us_param lstm_in[] = {
    HEAD, {"initial_c", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"P", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param lstm_out[] = {
    {"Y", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"Y_h", 'T', US_M_FLOATS, US_P_OPTIONAL},
    {"Y_c", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row lstm_attrs_7[] = {ATTRS, FORWARD, COUPLED, US_ATTR_END};
static const us_attr_row lstm_attrs[] = {ATTRS, FORWARD, COUPLED, LAYOUT, US_ATTR_END};
static const us_attr_row lstm_attrs_1[] = {ATTRS, FORWARD, COUPLED, SEQUENCE, US_ATTR_END};
const us_schema lstm_schemas[] = {
    {1, lstm_in, lstm_out, lstm_attrs_1, sizeof(us_p_rnn), us_upgrade_drop},
    {7, lstm_in, lstm_out, lstm_attrs_7, sizeof(us_p_rnn), NULL},
    {14, lstm_in, lstm_out, lstm_attrs, sizeof(us_p_rnn), NULL},
    {22, lstm_in, lstm_out, lstm_attrs, sizeof(us_p_rnn), NULL},
    {0}};
/* clang-format on */

/* --- inference ------------------------------------------------------------------------------------- */

static us_err rnn_shapes(us_infer *k)
{
    const us_p_rnn *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1),
                  *r = us_infer_ranked(k, 2);
    if ((x && x->rank != 3) || (w && w->rank != 3) || (r && r->rank != 3))
        return us_infer_fail(k, US_SHAPE, "X, W and R have three dimensions");
    us_dim t, n, h, dirs = US_DIM(us_sv_is(p->direction, "bidirectional") ? 2 : 1);
    if (x) {
        t = x->dims[p->layout ? 1 : 0];
        n = x->dims[p->layout ? 0 : 1];
    } else {
        US_TRY(us_infer_fresh(k, &t));
        US_TRY(us_infer_fresh(k, &n));
    }
    if (r)
        h = r->dims[2];
    else if (p->hidden_size > 0)
        h = US_DIM(p->hidden_size);
    else
        US_TRY(us_infer_fresh(k, &h));
    us_dim y[4] = {t, dirs, n, h}, y_batch[4] = {n, t, dirs, h};
    us_dim last[3] = {dirs, n, h}, last_batch[3] = {n, dirs, h};
    US_TRY(us_infer_out(k, 0, US_DT_NONE, 4, p->layout ? y_batch : y));
    for (size_t i = 1; i < k->g->nodes.at[k->n].n_out; i++)
        US_TRY(us_infer_out(k, i, US_DT_NONE, 3, p->layout ? last_batch : last));
    return US_OK;
}
US_INFER_AS(rnn, rnn_shapes)
US_INFER_AS(gru, rnn_shapes)
US_INFER_AS(lstm, rnn_shapes)

/* --- activations ----------------------------------------------------------------------------------- */

typedef struct activation {
    const char *name;
    double (*fn)(double x, double a, double b);
    bool has_a, has_b;
    double a, b; /* defaults, then the values in force */
} activation;

static double act_relu(double x, double a, double b)
{
    (void)a, (void)b;
    return x < 0 ? 0 : x;
}
static double act_tanh(double x, double a, double b)
{
    (void)a, (void)b;
    return tanh(x);
}
static double act_sigmoid(double x, double a, double b)
{
    (void)a, (void)b;
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}
static double act_affine(double x, double a, double b)
{
    return a * x + b;
}
static double act_leaky_relu(double x, double a, double b)
{
    (void)b;
    return x < 0 ? a * x : x;
}
static double act_thresholded_relu(double x, double a, double b)
{
    (void)b;
    return x > a ? x : 0;
}
static double act_scaled_tanh(double x, double a, double b)
{
    return a * tanh(b * x);
}
static double act_hard_sigmoid(double x, double a, double b)
{
    double y = a * x + b;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}
static double act_elu(double x, double a, double b)
{
    (void)b;
    return x < 0 ? a * expm1(x) : x;
}
static double act_softsign(double x, double a, double b)
{
    (void)a, (void)b;
    return x / (1 + fabs(x));
}
static double act_softplus(double x, double a, double b)
{
    (void)a, (void)b;
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static const activation activations[] = {
    {"relu", act_relu, false, false, 0, 0},
    {"tanh", act_tanh, false, false, 0, 0},
    {"sigmoid", act_sigmoid, false, false, 0, 0},
    {"affine", act_affine, true, true, 1, 0},
    {"leakyrelu", act_leaky_relu, true, false, 0.01, 0},
    {"thresholdedrelu", act_thresholded_relu, true, false, 1, 0},
    {"scaledtanh", act_scaled_tanh, true, true, 1, 1},
    {"hardsigmoid", act_hard_sigmoid, true, true, 0.2, 0.5},
    {"elu", act_elu, true, false, 1, 0},
    {"softsign", act_softsign, false, false, 0, 0},
    {"softplus", act_softplus, false, false, 0, 0},
};

static const activation *find_activation(us_sv name)
{
    for (size_t i = 0; i < US_LEN(activations); i++) {
        const char *n = activations[i].name;
        size_t j = 0;
        while (j < name.n && n[j] &&
               (name.p[j] == n[j] ||
                (name.p[j] >= 'A' && name.p[j] <= 'Z' && name.p[j] - 'A' + 'a' == n[j])))
            j++;
        if (j == name.n && !n[j]) return &activations[i];
    }
    return NULL;
}

/* --- one call --------------------------------------------------------------------------------------- */

enum { MAX_ACTS = 3 };

typedef struct run run;
typedef void cell_fn(const run *u, const double *x, double *h, double *c);

/* What the driver knows of an operator. */
typedef struct recurrent {
    int64_t gates;
    size_t n_acts;
    const char *acts[MAX_ACTS]; /* defaults */
    cell_fn *cell;
    bool has_c;
} recurrent;

/* One direction's operands; the cell works on one sequence of the batch. */
struct run {
    const us_p_rnn *p;
    const recurrent *op;
    int64_t t, n, in, h, dirs;
    activation act[2 * MAX_ACTS]; /* of both directions */
    const activation *f;          /* of this direction */
    const double *w, *r, *b, *peep;
    double *gate; /* gates * h sums */
    double *aux;  /* h */
    double clip;  /* infinity: none */
};

static double limited(const run *u, double x)
{
    return x > u->clip ? u->clip : x < -u->clip ? -u->clip : x;
}
static double apply(const run *u, size_t i, double x)
{
    return u->f[i].fn(limited(u, x), u->f[i].a, u->f[i].b);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

/* Gate sums of rows from..to: W x + Wb, and R h + Rb where h is given. */
static void sums(const run *u, int64_t from, int64_t to, const double *x, const double *h)
{
    int64_t rows = u->op->gates * u->h;
    for (int64_t i = from; i < to; i++) {
        double s = dot(u->w + i * u->in, x, u->in);
        if (u->b) s += u->b[i];
        if (h) s += dot(u->r + i * u->h, h, u->h) + (u->b ? u->b[rows + i] : 0);
        u->gate[i] = s;
    }
}

static void rnn_cell(const run *u, const double *x, double *h, double *c)
{
    (void)c;
    sums(u, 0, u->h, x, h);
    for (int64_t i = 0; i < u->h; i++)
        h[i] = apply(u, 0, u->gate[i]);
}

static void gru_cell(const run *u, const double *x, double *h, double *c)
{
    int64_t n = u->h;
    double *z = u->gate, *r = u->gate + n, *y = u->gate + 2 * n;
    (void)c;
    sums(u, 0, 2 * n, x, h);
    sums(u, 2 * n, 3 * n, x, NULL);
    for (int64_t i = 0; i < 2 * n; i++)
        u->gate[i] = apply(u, 0, u->gate[i]);
    for (int64_t i = 0; i < n; i++)
        u->aux[i] = u->p->linear_before_reset ? h[i] : r[i] * h[i];
    for (int64_t i = 0; i < n; i++) {
        double s = dot(u->r + (2 * n + i) * n, u->aux, n) + (u->b ? u->b[5 * n + i] : 0);
        y[i] = apply(u, 1, y[i] + (u->p->linear_before_reset ? r[i] * s : s));
    }
    for (int64_t i = 0; i < n; i++)
        h[i] = (1 - z[i]) * y[i] + z[i] * h[i];
}

static void lstm_cell(const run *u, const double *x, double *h, double *c)
{
    int64_t n = u->h;
    const double *gi = u->gate, *go = u->gate + n, *gf = u->gate + 2 * n, *gc = u->gate + 3 * n;
    const double *p = u->peep;
    sums(u, 0, 4 * n, x, h);
    for (int64_t j = 0; j < n; j++) {
        double i = apply(u, 0, gi[j] + (p ? p[j] * c[j] : 0));
        double f =
            u->p->input_forget ? 1 - i : apply(u, 0, gf[j] + (p ? p[2 * n + j] * c[j] : 0));
        c[j] = f * c[j] + i * apply(u, 1, gc[j]);
        double o = apply(u, 0, go[j] + (p ? p[n + j] * c[j] : 0));
        h[j] = o * u->f[2].fn(c[j], u->f[2].a, u->f[2].b);
    }
}

static us_err read_activations(us_eval *k, run *u)
{
    const us_p_rnn *p = u->p;
    size_t n = u->op->n_acts * (size_t)u->dirs, at_a = 0, at_b = 0;
    if (p->activations.n && p->activations.n != n)
        return us_eval_fail(k, US_ARG, "%zu activations, expected %zu", p->activations.n, n);
    for (size_t i = 0; i < n; i++) {
        us_sv name =
            p->activations.n ? p->activations.p[i] : us_sv_of(u->op->acts[i % u->op->n_acts]);
        const activation *a = find_activation(name);
        if (!a)
            return us_eval_fail(k, US_UNSUPP, "no activation is called '" US_SV_FMT "'",
                                US_SV_ARG(name));
        u->act[i] = *a;
        if (a->has_a && at_a < p->activation_alpha.n)
            u->act[i].a = (double)p->activation_alpha.p[at_a++];
        if (a->has_b && at_b < p->activation_beta.n)
            u->act[i].b = (double)p->activation_beta.p[at_b++];
    }
    return US_OK;
}

/* Optional input i of these dims; *out NULL when absent. */
static us_err optional(us_eval *k, size_t i, int rank, const int64_t *dims, const double **out)
{
    us_tensor t;
    bool there;
    *out = NULL;
    US_TRY(us_eval_f64(k, i, -1, &t, &there));
    if (!there) return US_OK;
    US_TRY(us_eval_want_dims(k, i, &t, rank, dims));
    *out = t.data;
    return US_OK;
}

static us_err read_lengths(us_eval *k, const run *u, const int64_t **out)
{
    size_t n;
    US_TRY(us_eval_ints(k, 4, &n, out));
    if (!*out) return US_OK;
    if (n != (size_t)u->n)
        return us_eval_fail(k, US_SHAPE, "%zu sequence lengths for a batch of %lld", n,
                            (long long)u->n);
    for (size_t i = 0; i < n; i++)
        if ((*out)[i] < 0 || (*out)[i] > u->t)
            return us_eval_fail(k, US_ARG, "sequence length %lld of %lld steps",
                                (long long)(*out)[i], (long long)u->t);
    return US_OK;
}

static us_err read_direction(us_eval *k, const us_p_rnn *p, int64_t *dirs)
{
    if (!us_sv_is(p->direction, "forward") && !us_sv_is(p->direction, "reverse") &&
        !us_sv_is(p->direction, "bidirectional"))
        return us_eval_fail(k, US_ARG, "direction '" US_SV_FMT "'", US_SV_ARG(p->direction));
    *dirs = us_sv_is(p->direction, "bidirectional") ? 2 : 1;
    return US_OK;
}

/* The states h and c of all directions and sequences, [dirs,n,h], from the optional input i. */
static us_err read_state(us_eval *k, const run *u, size_t i, double **out)
{
    const int64_t dims[] = {u->dirs, u->n, u->h}, batch[] = {u->n, u->dirs, u->h};
    const double *from;
    US_TRY(optional(k, i, 3, u->p->layout ? batch : dims, &from));
    US_TRY(us_eval_room(k, 3, dims, out));
    for (int64_t d = 0; from && d < u->dirs; d++)
        for (int64_t j = 0; j < u->n; j++)
            memcpy(*out + (d * u->n + j) * u->h,
                   from + (u->p->layout ? j * u->dirs + d : d * u->n + j) * u->h,
                   (size_t)u->h * sizeof **out);
    return US_OK;
}

static us_err put_state(us_eval *k, const run *u, size_t i, us_dtype t, const double *v)
{
    const int64_t dims[] = {u->dirs, u->n, u->h}, batch[] = {u->n, u->dirs, u->h};
    double *turned;
    if (!u->p->layout) return us_eval_put_f64(k, i, t, 3, dims, v);
    US_TRY(us_eval_room(k, 3, batch, &turned));
    for (int64_t d = 0; d < u->dirs; d++)
        for (int64_t j = 0; j < u->n; j++)
            memcpy(turned + (j * u->dirs + d) * u->h, v + (d * u->n + j) * u->h,
                   (size_t)u->h * sizeof *turned);
    return us_eval_put_f64(k, i, t, 3, batch, turned);
}

/* Sequence j of direction d: steps through its length, writing each state into y. */
static void sequence(const run *u, int64_t d, int64_t j, int64_t len, const double *x,
                     double *h, double *c, double *y)
{
    bool back = d == 1 || us_sv_is(u->p->direction, "reverse");
    for (int64_t s = 0; s < len; s++) {
        int64_t t = back ? len - 1 - s : s;
        u->op->cell(u, x + (u->p->layout ? j * u->t + t : t * u->n + j) * u->in, h, c);
        if (y)
            memcpy(y + (u->p->layout ? (j * u->t + t) * u->dirs + d
                                     : (t * u->dirs + d) * u->n + j) *
                           u->h,
                   h, (size_t)u->h * sizeof *y);
    }
}

static us_err read_sizes(us_eval *k, run *u, us_tensor *x, us_tensor *w, us_tensor *r)
{
    US_TRY(read_direction(k, u->p, &u->dirs));
    US_TRY(us_eval_f64(k, 0, 3, x, NULL));
    US_TRY(us_eval_f64(k, 1, 3, w, NULL));
    US_TRY(us_eval_f64(k, 2, 3, r, NULL));
    u->t = x->dims[u->p->layout ? 1 : 0];
    u->n = x->dims[u->p->layout ? 0 : 1];
    u->in = x->dims[2];
    u->h = r->dims[2];
    if (u->p->hidden_size && u->p->hidden_size != u->h)
        return us_eval_fail(k, US_SHAPE, "hidden_size is %lld, R has %lld",
                            (long long)u->p->hidden_size, (long long)u->h);
    const int64_t wd[] = {u->dirs, u->op->gates * u->h, u->in},
                  rd[] = {u->dirs, u->op->gates * u->h, u->h};
    US_TRY(us_eval_want_dims(k, 1, w, 3, wd));
    return us_eval_want_dims(k, 2, r, 3, rd);
}

static us_err recur(us_eval *k, const recurrent *op)
{
    run u = {.p = k->params, .op = op};
    us_tensor x, w, r;
    double *h, *c = NULL, *y = NULL;
    const double *b, *peep = NULL;
    const int64_t *len;
    US_TRY(read_sizes(k, &u, &x, &w, &r));
    US_TRY(read_activations(k, &u));
    u.clip = u.p->clip > 0 ? (double)u.p->clip : (double)INFINITY;
    int64_t rows = op->gates * u.h;
    const int64_t bd[] = {u.dirs, 2 * rows}, pd[] = {u.dirs, 3 * u.h};
    US_TRY(optional(k, 3, 2, bd, &b));
    US_TRY(read_lengths(k, &u, &len));
    US_TRY(read_state(k, &u, 5, &h));
    if (op->has_c) US_TRY(read_state(k, &u, 6, &c));
    if (op->has_c) US_TRY(optional(k, 7, 2, pd, &peep));
    US_TRY(us_eval_room(k, 1, &rows, &u.gate));
    US_TRY(us_eval_room(k, 1, &u.h, &u.aux));
    US_TRY(us_eval_work(k, (double)u.dirs * (double)u.n * (double)u.t * (double)rows *
                               (double)(u.in + u.h + 1)));
    const int64_t yd[] = {u.t, u.dirs, u.n, u.h}, yb[] = {u.n, u.t, u.dirs, u.h};
    if (us_eval_wants(k, 0)) US_TRY(us_eval_room(k, 4, yd, &y));
    for (int64_t d = 0; d < u.dirs; d++) {
        u.w = (const double *)w.data + d * rows * u.in;
        u.r = (const double *)r.data + d * rows * u.h;
        u.b = b ? b + d * 2 * rows : NULL;
        u.peep = peep ? peep + d * 3 * u.h : NULL;
        u.f = u.act + (size_t)d * op->n_acts;
        for (int64_t j = 0; j < u.n; j++)
            sequence(&u, d, j, len ? len[j] : u.t, x.data, h + (d * u.n + j) * u.h,
                     c ? c + (d * u.n + j) * u.h : NULL, y);
    }
    us_dtype t = k->in[0]->t.dtype;
    US_TRY(us_eval_put_f64(k, 0, t, 4, u.p->layout ? yb : yd, y));
    US_TRY(put_state(k, &u, 1, t, h));
    return op->has_c ? put_state(k, &u, 2, t, c) : US_OK;
}

us_err rnn_eval(us_eval *k)
{
    static const recurrent op = {1, 1, {"Tanh"}, rnn_cell, false};
    return recur(k, &op);
}
us_err gru_eval(us_eval *k)
{
    static const recurrent op = {3, 2, {"Sigmoid", "Tanh"}, gru_cell, false};
    return recur(k, &op);
}
us_err lstm_eval(us_eval *k)
{
    static const recurrent op = {4, 3, {"Sigmoid", "Tanh", "Tanh"}, lstm_cell, true};
    return recur(k, &op);
}
