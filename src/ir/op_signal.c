/* ir/op_signal.c - HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix.
 *
 * A window of one point that is not periodic is 1 (the formula divides by zero; NumPy's windows say 1).
 */
#include "ir/op_util.h"
#include "ir/params_signal.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param window_in[] = {{"size", '1', US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_param window_out[] = {{"output", '2', US_M_NUM, 0}, US_PARAM_END};
static const us_attr_row window_attrs[] = {
    US_AI(us_p_window, output_datatype, "output_datatype", 1), US_AI(us_p_window, periodic, "periodic", 1), US_ATTR_END};
const us_schema hann_window_schemas[] = {
    {17, window_in, window_out, window_attrs, sizeof(us_p_window), NULL},
    {0}};
const us_schema hamming_window_schemas[] = {
    {17, window_in, window_out, window_attrs, sizeof(us_p_window), NULL},
    {0}};
const us_schema blackman_window_schemas[] = {
    {17, window_in, window_out, window_attrs, sizeof(us_p_window), NULL},
    {0}};

static const us_param mel_weight_matrix_in[] = {
    {"num_mel_bins", '1', US_M(I32) | US_M(I64), 0}, {"dft_length", '1', US_M(I32) | US_M(I64), 0},
    {"sample_rate", '1', US_M(I32) | US_M(I64), 0}, {"lower_edge_hertz", '2', US_M_FLOATS, 0},
    {"upper_edge_hertz", '2', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param mel_weight_matrix_out[] = {{"output", '3', US_M_NUM, 0}, US_PARAM_END};
static const us_attr_row mel_weight_matrix_attrs[] = {
    US_AI(us_p_mel_weight_matrix, output_datatype, "output_datatype", 1), US_ATTR_END};
const us_schema mel_weight_matrix_schemas[] = {
    {17, mel_weight_matrix_in, mel_weight_matrix_out, mel_weight_matrix_attrs, sizeof(us_p_mel_weight_matrix), NULL},
    {0}};
/* clang-format on */

#define PI 3.14159265358979323846

/* Beyond this a size is a mistake or an attack; an hour of sound at 192 kHz has half as many points. */
#define POINTS_MAX ((int64_t)1 << 30)

static bool number_type(int64_t t)
{
    return t > 0 && t < US_DTYPE_N && (US_M_NUM >> t & 1);
}

/* --- windows ------------------------------------------------------------------------------------- */

static us_err window_infer(us_infer *k)
{
    const us_p_window *p = k->params;
    int64_t size;
    size_t n;
    if (!number_type(p->output_datatype))
        return us_infer_fail(k, US_ARG, "output_datatype is not a type of numbers");
    if (us_infer_ints(k, 0, 1, &size, &n) && n == 1 && size >= 0)
        return us_infer_out(k, 0, (us_dtype)p->output_datatype, 1, (us_dim[]){US_DIM(size)});
    return us_infer_rank(k, 0, (us_dtype)p->output_datatype, 1);
}
US_INFER_AS(hann_window, window_infer)
US_INFER_AS(hamming_window, window_infer)
US_INFER_AS(blackman_window, window_infer)

/* a[0] - a[1] cos(t) + a[2] cos(2t), t going round once. */
static us_err window_eval(us_eval *k, const double a[3])
{
    const us_p_window *p = k->params;
    us_tensor *y;
    double size;
    if (!number_type(p->output_datatype))
        return us_eval_fail(k, US_ARG, "output_datatype %lld", (long long)p->output_datatype);
    us_dtype t = (us_dtype)p->output_datatype;
    US_TRY(us_eval_scalar(k, 0, 0, &size));
    if (!(size >= 0 && size <= (double)POINTS_MAX))
        return us_eval_fail(k, US_LIMIT, "%g points, from 0 to %lld are possible", size,
                            (long long)POINTS_MAX);
    int64_t n = (int64_t)size, round = p->periodic ? n : n - 1;
    US_TRY(us_eval_out(k, 0, t, 1, &n, &y));
    for (int64_t i = 0; i < n; i++) {
        double angle = round > 0 ? 2 * PI * (double)i / (double)round : PI;
        double v = a[0] - a[1] * cos(angle) + a[2] * cos(2 * angle);
        us_dtype_get(t)->from_f64(y->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

us_err hann_window_eval(us_eval *k)
{
    return window_eval(k, (const double[]){0.5, 0.5, 0});
}
us_err hamming_window_eval(us_eval *k)
{
    return window_eval(k, (const double[]){25.0 / 46, 21.0 / 46, 0});
}
us_err blackman_window_eval(us_eval *k)
{
    return window_eval(k, (const double[]){0.42, 0.5, 0.08});
}

/* --- MelWeightMatrix ----------------------------------------------------------------------------- */

us_err mel_weight_matrix_infer(us_infer *k)
{
    const us_p_mel_weight_matrix *p = k->params;
    int64_t bins, points;
    size_t n, m;
    if (!number_type(p->output_datatype))
        return us_infer_fail(k, US_ARG, "output_datatype is not a type of numbers");
    us_dtype t = (us_dtype)p->output_datatype;
    bool known = us_infer_ints(k, 0, 1, &bins, &n) && us_infer_ints(k, 1, 1, &points, &m) &&
                 n == 1 && m == 1 && bins >= 0 && points >= 0;
    if (!known) return us_infer_rank(k, 0, t, 2);
    return us_infer_out(k, 0, t, 2, (us_dim[]){US_DIM(points / 2 + 1), US_DIM(bins)});
}

/* Column `col` of a matrix of `rows` rows: a triangle from lo over mid (1) to hi, cut off at the matrix' edge. */
static void triangle(us_tensor *y, int64_t col, int64_t lo, int64_t mid, int64_t hi)
{
    const us_dtype_info *t = us_dtype_get(y->dtype);
    int64_t rows = y->dims[0], n = y->dims[1];
    for (int64_t r = US_MAX(lo, 0); r < US_MIN(US_MAX(hi, mid + 1), rows); r++) {
        double v = r == mid  ? 1
                   : r < mid ? (double)(r - lo) / (double)(mid - lo)
                             : (double)(hi - r) / (double)(hi - mid);
        t->from_f64(y->data, (size_t)(r * n + col), 1, &v);
    }
}

us_err mel_weight_matrix_eval(us_eval *k)
{
    const us_p_mel_weight_matrix *p = k->params;
    us_tensor *y;
    double in[5];
    if (!number_type(p->output_datatype))
        return us_eval_fail(k, US_ARG, "output_datatype %lld", (long long)p->output_datatype);
    for (size_t i = 0; i < US_LEN(in); i++)
        US_TRY(us_eval_scalar(k, i, -1, &in[i]));
    double bins = in[0], points = in[1], rate = in[2];
    if (!(bins >= 0 && bins <= (double)POINTS_MAX && points >= 0 &&
          points <= (double)POINTS_MAX && rate > 0 && in[3] >= 0 && in[4] >= in[3] &&
          in[4] <= 1e12))
        return us_eval_fail(k, US_ARG,
                            "%g bins, %g points, %g samples a second, from %g to %g Hz", bins,
                            points, rate, in[3], in[4]);
    int64_t dims[2] = {(int64_t)points / 2 + 1, (int64_t)bins}, edge[3] = {0};
    US_TRY(us_eval_out(k, 0, (us_dtype)p->output_datatype, 2, dims, &y));
    memset(y->data, 0, us_tensor_bytes(y));
    double low = 2595 * log10(1 + in[3] / 700), high = 2595 * log10(1 + in[4] / 700);
    double step = (high - low) / (bins + 2);
    for (int64_t i = 0; i < dims[1] + 2; i++) {
        double hertz = 700 * (pow(10, (low + step * (double)i) / 2595) - 1);
        double at = floor((points + 1) * hertz / rate);
        edge[0] = edge[1];
        edge[1] = edge[2];
        edge[2] = (int64_t)fmin(at, (double)((int64_t)1 << 40));
        if (i >= 2) triangle(y, i - 2, edge[0], edge[1], edge[2]);
    }
    return US_OK;
}
