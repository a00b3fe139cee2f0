/* data/features.c - from rules and training rows to nodes; features_time.c has timestamps.
 *
 *     numbers      concat [N,k] -> Imputer -> Scaler            one chain for all of them
 *     categories   OneHotEncoder -> Flatten, or LabelEncoder (string -> scaled number)
 *     integers     Imputer -> Cast -> OneHotEncoder -> Flatten when told to be one-hot
 */
#include "data/features.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/cell.h"
#include "data/features_build.h"
#include "stats/moments.h"
#include "stats/quantile.h"

#define MAX_ONEHOT 256

/* --- names and rules ----------------------------------------------------------------------------------- */

typedef struct word {
    const char *name;
    int value;
} word;

static const word impute_words[] = {
    {"none", US_IMPUTE_NONE},     {"mean", US_IMPUTE_MEAN},
    {"median", US_IMPUTE_MEDIAN}, {"most_frequent", US_IMPUTE_MOST_FREQUENT},
    {"zero", US_IMPUTE_ZERO},     {"constant", US_IMPUTE_CONSTANT}};
static const word scale_words[] = {{"none", US_SCALE_NONE},
                                   {"standard", US_SCALE_STANDARD},
                                   {"minmax", US_SCALE_MINMAX},
                                   {"robust", US_SCALE_ROBUST}};
static const word encode_words[] = {{"auto", US_ENCODE_AUTO},
                                    {"onehot", US_ENCODE_ONEHOT},
                                    {"ordinal", US_ENCODE_ORDINAL},
                                    {"number", US_ENCODE_NUMBER},
                                    {"none", US_ENCODE_DROP}};
static const word time_words[] = {
    {"hour", US_TP_HOUR},   {"weekday", US_TP_DAYOFWEEK}, {"dayofweek", US_TP_DAYOFWEEK},
    {"month", US_TP_MONTH}, {"day", US_TP_DAY},           {"dayofyear", US_TP_DAYOFYEAR},
    {"year", US_TP_YEAR},   {"epoch", US_TP_EPOCH},       {"cyclic", US_TP_CYCLIC}};

static us_err find_word(us_ctx *c, const char *what, const word *words, size_t n, us_sv s,
                        int *out)
{
    us_buf b;
    for (size_t i = 0; i < n; i++)
        if (us_sv_is(s, words[i].name)) {
            *out = words[i].value;
            return US_OK;
        }
    us_buf_init(&b, c, 1024);
    for (size_t i = 0; i < n; i++)
        us_buf_addf(&b, "%s%s", i ? ", " : "", words[i].name);
    us_err e = us_fail(c, US_ARG, "%s '" US_SV_FMT "'; there are %s", what, US_SV_ARG(s),
                       b.p ? b.p : "");
    us_buf_deinit(&b);
    return e;
}

us_err us_impute_parse(us_ctx *c, us_sv s, us_impute *out)
{
    int v;
    US_TRY(find_word(c, "impute", impute_words, US_LEN(impute_words), s, &v));
    *out = (us_impute)v;
    return US_OK;
}

us_err us_scale_parse(us_ctx *c, us_sv s, us_scale *out)
{
    int v;
    US_TRY(find_word(c, "scale", scale_words, US_LEN(scale_words), s, &v));
    *out = (us_scale)v;
    return US_OK;
}

us_err us_encode_parse(us_ctx *c, us_sv s, us_encode *out)
{
    int v;
    US_TRY(find_word(c, "encode", encode_words, US_LEN(encode_words), s, &v));
    *out = (us_encode)v;
    return US_OK;
}

us_err us_time_parts_parse(us_ctx *c, us_sv s, uint32_t *out)
{
    int v;
    US_TRY(find_word(c, "part of a timestamp", time_words, US_LEN(time_words), s, &v));
    *out = (uint32_t)v;
    return US_OK;
}

void us_feature_rule_defaults(us_feature_rule *r)
{
    *r = (us_feature_rule){.impute = US_IMPUTE_MEAN,
                           .scale = US_SCALE_STANDARD,
                           .encode = US_ENCODE_AUTO,
                           .time_parts = US_TP_HOUR | US_TP_DAYOFWEEK | US_TP_MONTH |
                                         US_TP_CYCLIC | US_TP_EPOCH};
}

static us_feature_rule rule_of(const us_feature_opts *o, us_sv column)
{
    us_feature_rule r;
    us_feature_rule_defaults(&r);
    for (int exact = 0; exact < 2; exact++)
        for (size_t i = 0; o && i < o->n_rules; i++)
            if (exact ? us_sv_eq(o->rules[i].column, column) : o->rules[i].column.n == 0)
                r = o->rules[i];
    return r;
}

/* What becomes of a column; text and dropped ones: DROP. */
static us_encode encode_of(const us_data_col *k, us_encode told)
{
    if (told == US_ENCODE_DROP) return told;
    if (k->kind == US_DK_TIMESTAMP) return US_ENCODE_NUMBER;
    if (us_data_kind_is_string(k->kind)) {
        if (told == US_ENCODE_ONEHOT || told == US_ENCODE_ORDINAL) return told;
        return k->kind == US_DK_TEXT ? US_ENCODE_DROP : US_ENCODE_ONEHOT;
    }
    return told == US_ENCODE_ONEHOT ? told : US_ENCODE_NUMBER;
}

void us_features_drop(us_data_schema *s, const us_feature_opts *opts, size_t *n)
{
    size_t k = 0;
    for (size_t i = 0; i < s->n_cols; i++) {
        us_data_col *col = &s->cols[i];
        if (col->role != US_DR_FEATURE) continue;
        if (encode_of(col, rule_of(opts, col->name).encode) != US_ENCODE_DROP) continue;
        col->role = US_DR_EXCLUDED;
        k++;
    }
    if (n) *n = k;
}

/* --- training values ------------------------------------------------------------------------------------ */

static us_err find_column(us_fbuild *k, size_t f, const us_column **col)
{
    return us_table_get(k->c, k->t, k->f->decoder.features[f]->name, col);
}

/* The float32 values the model will see, as doubles. */
static us_err training_numbers(us_fbuild *k, size_t f, double *x)
{
    const us_column *col;
    const us_data_col *d = k->f->decoder.features[f];
    US_TRY(find_column(k, f, &col));
    for (size_t j = 0; j < k->n_fit; j++) {
        size_t i = k->rows ? k->rows[j] : j;
        if (!us_cell_column_number(k->s, d, col, i, &x[j]))
            return us_fail(k->c, US_FORMAT, "column '" US_SV_FMT "', row %zu: not %s",
                           US_SV_ARG(d->name), i + 1, us_data_kind_name(d->kind));
        x[j] = (double)(float)x[j];
    }
    return US_OK;
}

static double most_frequent(const double *sorted, size_t n)
{
    size_t best = 0, best_n = 0;
    for (size_t i = 0; i < n;) {
        size_t j = i;
        while (j < n && sorted[j] == sorted[i])
            j++;
        if (j - i > best_n) {
            best = i;
            best_n = j - i;
        }
        i = j;
    }
    return n ? sorted[best] : 0;
}

us_fit us_fit_scale(us_scale how, double *x, double *tmp, size_t n)
{
    us_moments m;
    double offset = 0, spread = 1;
    us_moments_init(&m);
    us_moments_add_f64(&m, x, n);
    us_sort_f64(x, tmp, n);
    if (m.n == 0 || how == US_SCALE_NONE) return (us_fit){0, 1};
    if (how == US_SCALE_STANDARD) {
        offset = m.mean;
        spread = sqrt(m.m2 / (double)m.n);
    } else if (how == US_SCALE_MINMAX) {
        offset = m.min;
        spread = m.max - m.min;
    } else {
        offset = us_quantile_sorted(x, (size_t)m.n, 0.5);
        spread =
            us_quantile_sorted(x, (size_t)m.n, 0.75) - us_quantile_sorted(x, (size_t)m.n, 0.25);
    }
    double factor = 1 / spread;
    if (!(spread > 0) || factor > (double)FLT_MAX) factor = 1; /* a constant column */
    return (us_fit){(float)offset, (float)factor};
}

static us_err impute_value(us_fbuild *k, const us_data_col *col, const us_feature_rule *r,
                           double *x, double *tmp, float *out)
{
    us_moments m;
    us_moments_init(&m);
    us_moments_add_f64(&m, x, k->n_fit);
    us_sort_f64(x, tmp, k->n_fit);
    size_t n = (size_t)m.n;
    if (r->impute == US_IMPUTE_NONE && m.n_missing)
        return us_fail(k->c, US_ARG,
                       "column '" US_SV_FMT
                       "' misses %llu of %zu training values; choose how to "
                       "impute it (mean, median, most_frequent, zero)",
                       US_SV_ARG(col->name), (unsigned long long)m.n_missing, k->n_fit);
    double v = 0;
    if (r->impute == US_IMPUTE_NONE)
        v = (double)NAN; /* stays missing */
    else if (r->impute == US_IMPUTE_CONSTANT)
        v = r->impute_value;
    else if (n == 0 || r->impute == US_IMPUTE_ZERO)
        v = 0;
    else if (r->impute == US_IMPUTE_MEAN && col->kind != US_DK_BOOLEAN)
        v = m.mean;
    else if (r->impute == US_IMPUTE_MEDIAN)
        v = us_quantile_sorted(x, n, 0.5);
    else
        v = most_frequent(x, n); /* booleans: the more frequent one instead of a mean */
    *out = (float)v;
    return US_OK;
}

/* --- nodes ----------------------------------------------------------------------------------------------- */

us_err us_fbuild_name(us_fbuild *k, const char *fmt, us_sv column, const char *part)
{
    us_buf b;
    us_sv own = {0};
    us_buf_init(&b, k->c, (size_t)1 << 20);
    us_buf_addsv(&b, column);
    us_buf_addf(&b, "%s%s", fmt, part);
    us_err e = us_buf_check(&b);
    if (e == US_OK) e = us_sv_dup(k->c, k->a, us_buf_sv(&b), &own);
    us_buf_deinit(&b);
    US_TRY(e);
    return us_vec_push(k->c, k->a, &k->names, own);
}

us_err us_fbuild_part(us_fbuild *k, us_vid v)
{
    return us_vec_push(k->c, k->scratch, &k->parts, v);
}

/* Feature f as a value [N,1]: its own input, or a column of the packed one. */
static us_vid feature_value(us_fbuild *k, size_t f)
{
    if (!k->f->decoder.packed) return k->inputs[f];
    int64_t at = (int64_t)f;
    us_vid v = us_b2(&k->b, "Gather", k->inputs[0], us_b_i64s(&k->b, 1, &at));
    us_b_int(&k->b, "axis", 1);
    return v;
}

/* All features in `list` side by side, [N,n]. */
static us_vid side_by_side(us_fbuild *k, const size_t *list, size_t n)
{
    const us_decoder *d = &k->f->decoder;
    if (d->packed && n == d->n_features) return k->inputs[0];
    if (d->packed) {
        int64_t *at = us_new_n(k->scratch, int64_t, n);
        for (size_t i = 0; at && i < n; i++)
            at[i] = (int64_t)list[i];
        if (!at) {
            k->b.err = us_arena_fail(k->c, k->scratch);
            return US_NIL;
        }
        us_vid v = us_b2(&k->b, "Gather", k->inputs[0], us_b_i64s(&k->b, n, at));
        us_b_int(&k->b, "axis", 1);
        return v;
    }
    if (n == 1) return k->inputs[list[0]];
    us_vid *in = us_new_n(k->scratch, us_vid, n);
    for (size_t i = 0; in && i < n; i++)
        in[i] = k->inputs[list[i]];
    if (!in) {
        k->b.err = us_arena_fail(k->c, k->scratch);
        return US_NIL;
    }
    us_vid v = us_b_node(&k->b, "", "Concat", n, in, 1, NULL);
    us_b_int(&k->b, "axis", 1);
    return v;
}

static us_err numbers(us_fbuild *k, const size_t *list, size_t n)
{
    float *fill = us_new_n(k->scratch, float, n), *offset = us_new_n(k->scratch, float, n);
    float *factor = us_new_n(k->scratch, float, n);
    double *x = us_new_n(k->scratch, double, k->n_fit),
           *tmp = us_new_n(k->scratch, double, k->n_fit);
    bool fills = false, scales = false;
    if (!fill || !offset || !factor || !x || !tmp) return us_arena_fail(k->c, k->scratch);
    for (size_t i = 0; i < n; i++) {
        const us_data_col *col = k->f->decoder.features[list[i]];
        us_feature_rule r = rule_of(k->o, col->name);
        us_fit fit = {0, 1};
        US_TRY(training_numbers(k, list[i], x));
        US_TRY(impute_value(k, col, &r, x, tmp, &fill[i]));
        if (col->kind != US_DK_BOOLEAN) fit = us_fit_scale(r.scale, x, tmp, k->n_fit);
        offset[i] = fit.offset;
        factor[i] = fit.factor;
        fills |= !isnan(fill[i]);
        scales |= fit.offset != 0 || fit.factor != 1;
        US_TRY(us_fbuild_name(k, "", col->name, ""));
    }
    us_vid v = side_by_side(k, list, n);
    if (fills) {
        v = us_b_node(&k->b, "ai.onnx.ml", "Imputer", 1, &v, 1, NULL);
        us_b_floats(&k->b, "imputed_value_floats", n, fill);
        us_b_float(&k->b, "replaced_value_float", NAN);
    }
    if (scales) {
        v = us_b_node(&k->b, "ai.onnx.ml", "Scaler", 1, &v, 1, NULL);
        us_b_floats(&k->b, "offset", n, offset);
        us_b_floats(&k->b, "scale", n, factor);
    }
    return us_fbuild_part(k, v);
}

typedef struct category {
    us_sv text;
    uint64_t n;
} category;

static int by_count(const void *a, const void *b)
{
    const category *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return us_sv_cmp(x->text, y->text);
}

static int by_text(const void *a, const void *b)
{
    return us_sv_cmp(((const category *)a)->text, ((const category *)b)->text);
}

/* Categories of the training rows, at most the limit (the most frequent), by text. */
static us_err categories(us_fbuild *k, size_t f, category **out, size_t *n)
{
    const us_column *col;
    const us_data_col *d = k->f->decoder.features[f];
    US_VEC(category) v = {0};
    us_map seen;
    us_buf buf;
    us_err e = US_OK;
    size_t limit = k->o && k->o->max_onehot ? k->o->max_onehot : MAX_ONEHOT;
    US_TRY(find_column(k, f, &col));
    us_map_init(&seen, k->scratch);
    us_buf_init(&buf, k->c, US_CSV_MAX_FIELD + 64);
    for (size_t j = 0; j < k->n_fit; j++) {
        us_sv s = us_cell_column_text(k->s, d, col, k->rows ? k->rows[j] : j, &buf);
        uint32_t at = s.n ? us_map_get(&seen, s) : US_MAP_NONE;
        if (s.n == 0) continue;
        if (at != US_MAP_NONE) {
            v.at[at].n++;
            continue;
        }
        category x = {s, 1};
        US_GO(us_sv_dup(k->c, k->scratch, s, &x.text));
        US_GO(us_map_put(k->c, &seen, x.text, (uint32_t)v.n, NULL));
        US_GO(us_vec_push(k->c, k->scratch, &v, x));
    }
    US_GO(us_buf_check(&buf));
    if (v.n) qsort(v.at, v.n, sizeof *v.at, by_count);
    if (v.n > limit) v.n = limit;
    if (v.n) qsort(v.at, v.n, sizeof *v.at, by_text);
    *out = v.at;
    *n = v.n;
out:
    us_buf_deinit(&buf);
    return e;
}

static us_err onehot_strings(us_fbuild *k, size_t f)
{
    category *cat;
    size_t n;
    us_sv name = k->f->decoder.features[f]->name;
    US_TRY(categories(k, f, &cat, &n));
    if (n == 0) return US_OK; /* only missing values: nothing to learn from */
    us_sv *texts = us_new_n(k->scratch, us_sv, n);
    if (!texts) return us_arena_fail(k->c, k->scratch);
    for (size_t i = 0; i < n; i++) {
        char *z = us_str_dup(k->scratch, cat[i].text);
        if (!z) return us_arena_fail(k->c, k->scratch);
        texts[i] = cat[i].text;
        US_TRY(us_fbuild_name(k, "=", name, z));
    }
    us_vid in = k->inputs[f];
    us_vid v = us_b_node(&k->b, "ai.onnx.ml", "OneHotEncoder", 1, &in, 1, NULL);
    us_b_strs(&k->b, "cats_strings", n, texts);
    us_b_int(&k->b, "zeros", 1);
    v = us_b1(&k->b, "Flatten", v);
    us_b_int(&k->b, "axis", 1);
    return us_fbuild_part(k, v);
}

/* String -> its place among the sorted categories, scaled; unknown and missing: the middle (0 after standard scaling). */
static us_err ordinal(us_fbuild *k, size_t f)
{
    category *cat;
    size_t n, at = 0;
    us_sv name = k->f->decoder.features[f]->name;
    us_feature_rule r = rule_of(k->o, name);
    US_TRY(categories(k, f, &cat, &n));
    if (n == 0) return US_OK;
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += cat[i].n;
    us_sv *texts = us_new_n(k->scratch, us_sv, n);
    float *values = us_new_n(k->scratch, float, n);
    double *x = us_new_n(k->scratch, double, total), *tmp = us_new_n(k->scratch, double, total);
    if (!texts || !values || !x || !tmp) return us_arena_fail(k->c, k->scratch);
    for (size_t i = 0; i < n; i++) {
        texts[i] = cat[i].text;
        for (uint64_t j = 0; j < cat[i].n; j++)
            x[at++] = (double)i;
    }
    us_fit fit = us_fit_scale(r.scale, x, tmp, total);
    for (size_t i = 0; i < n; i++)
        values[i] = ((float)i - fit.offset) * fit.factor;
    us_vid in = k->inputs[f];
    us_vid v = us_b_node(&k->b, "ai.onnx.ml", "LabelEncoder", 1, &in, 1, NULL);
    us_b_strs(&k->b, "keys_strings", n, texts);
    us_b_floats(&k->b, "values_floats", n, values);
    us_b_float(&k->b, "default_float", r.scale == US_SCALE_NONE ? -1.0f : 0.0f);
    US_TRY(us_fbuild_name(k, "", name, ""));
    return us_fbuild_part(k, v);
}

/* Whole numbers as categories. A missing value becomes a number outside the list, so its row is zeros. */
static us_err onehot_integers(us_fbuild *k, size_t f)
{
    size_t n = 0, limit = k->o && k->o->max_onehot ? k->o->max_onehot : MAX_ONEHOT;
    const us_data_col *col = k->f->decoder.features[f];
    double *x = us_new_n(k->scratch, double, k->n_fit),
           *tmp = us_new_n(k->scratch, double, k->n_fit);
    int64_t *values = us_new_n(k->scratch, int64_t, limit);
    if (!x || !tmp || !values) return us_arena_fail(k->c, k->scratch);
    US_TRY(training_numbers(k, f, x));
    us_sort_f64(x, tmp, k->n_fit);
    for (size_t i = 0; i < k->n_fit && !isnan(x[i]); i++) {
        if (i && x[i] == x[i - 1]) continue;
        if (x[i] != floor(x[i]) || fabs(x[i]) > 16777216)
            return us_fail(k->c, US_ARG,
                           "column '" US_SV_FMT
                           "' cannot be one-hot: it holds %g, expected whole "
                           "numbers up to 2^24",
                           US_SV_ARG(col->name), x[i]);
        if (n == limit)
            return us_fail(k->c, US_LIMIT,
                           "column '" US_SV_FMT
                           "' cannot be one-hot: more than %zu different values",
                           US_SV_ARG(col->name), limit);
        values[n++] = (int64_t)x[i];
    }
    if (n == 0) return US_OK;
    for (size_t i = 0; i < n; i++) {
        char *z = us_str_printf(k->scratch, "%lld", (long long)values[i]);
        if (!z) return us_arena_fail(k->c, k->scratch);
        US_TRY(us_fbuild_name(k, "=", col->name, z));
    }
    float outside = (float)(values[n - 1] + 1);
    us_vid v = feature_value(k, f);
    v = us_b_node(&k->b, "ai.onnx.ml", "Imputer", 1, &v, 1, NULL);
    us_b_floats(&k->b, "imputed_value_floats", 1, &outside);
    us_b_float(&k->b, "replaced_value_float", NAN);
    v = us_b1(&k->b, "Cast", v);
    us_b_int(&k->b, "to", US_I64);
    v = us_b_node(&k->b, "ai.onnx.ml", "OneHotEncoder", 1, &v, 1, NULL);
    us_b_ints(&k->b, "cats_int64s", n, values);
    us_b_int(&k->b, "zeros", 1);
    v = us_b1(&k->b, "Flatten", v);
    us_b_int(&k->b, "axis", 1);
    return us_fbuild_part(k, v);
}

/* --- the whole ------------------------------------------------------------------------------------------- */

static us_err add_inputs(us_fbuild *k, us_model *m)
{
    const us_decoder *d = &k->f->decoder;
    us_sym n;
    US_TRY(us_syms_named(k->c, &m->syms, US_SV("N"), &n));
    k->inputs = us_new_n(k->scratch, us_vid, d->n_inputs);
    if (!k->inputs) return us_arena_fail(k->c, k->scratch);
    for (size_t i = 0; i < d->n_inputs; i++) {
        us_dim dims[2] = {US_DIM_SYM(n), US_DIM(d->inputs[i].width)};
        us_type local = us_type_tensor(d->inputs[i].dtype, 2, dims), type;
        US_TRY(us_type_dup(k->c, m->arena, &local, &type));
        US_TRY(us_graph_add_input(k->c, m->main, d->inputs[i].name, &type, &k->inputs[i]));
    }
    return US_OK;
}

static us_err add_parts(us_fbuild *k)
{
    const us_decoder *d = &k->f->decoder;
    size_t *list = us_new_n(k->scratch, size_t, d->n_features), n = 0;
    if (!list) return us_arena_fail(k->c, k->scratch);
    for (size_t f = 0; f < d->n_features; f++) {
        us_feature_rule r = rule_of(k->o, d->features[f]->name);
        us_encode how = encode_of(d->features[f], r.encode);
        if (how == US_ENCODE_NUMBER && d->features[f]->kind != US_DK_TIMESTAMP) list[n++] = f;
    }
    if (n) US_TRY(numbers(k, list, n));
    for (size_t f = 0; f < d->n_features; f++) {
        const us_data_col *col = d->features[f];
        us_feature_rule r = rule_of(k->o, col->name);
        us_encode how = encode_of(col, r.encode);
        if (how == US_ENCODE_DROP) {
            k->f->skipped[k->f->n_skipped++] = col->name;
        } else if (col->kind == US_DK_TIMESTAMP) {
            US_TRY(us_features_time(k, f, &r));
        } else if (us_data_kind_is_string(col->kind)) {
            US_TRY(how == US_ENCODE_ORDINAL ? ordinal(k, f) : onehot_strings(k, f));
        } else if (how == US_ENCODE_ONEHOT) {
            US_TRY(onehot_integers(k, f));
        }
    }
    return US_OK;
}

static us_err join_parts(us_fbuild *k)
{
    if (k->names.n == 0)
        return us_fail(k->c, US_ARG,
                       "no column is left to learn from (%zu features, %zu not used)",
                       k->f->decoder.n_features, k->f->n_skipped);
    us_vid v = k->parts.at[0];
    if (k->parts.n > 1) {
        v = us_b_node(&k->b, "", "Concat", k->parts.n, k->parts.at, 1, NULL);
        us_b_int(&k->b, "axis", 1);
    }
    US_TRY(us_b_end(&k->b));
    k->f->out = v;
    k->f->d = k->names.n;
    k->f->names = k->names.at;
    return US_OK;
}

us_err us_features_build(us_ctx *c, us_arena *a, us_model *m, const us_data_schema *s,
                         const us_table *t, const uint32_t *fit_rows, size_t n_fit,
                         const us_feature_opts *opts, us_features *out)
{
    us_features f = {0};
    us_fbuild k = {.c = c,
                   .a = a,
                   .f = &f,
                   .s = s,
                   .t = t,
                   .rows = fit_rows,
                   .n_fit = fit_rows ? n_fit : t->n_rows,
                   .o = opts};
    us_err e = US_OK;
    US_TRY(us_decoder_init(c, a, s, opts ? opts->pack : US_PACK_AUTO, &f.decoder));
    f.skipped = us_new_n(a, us_sv, f.decoder.n_features);
    if (!f.skipped) return us_arena_fail(c, a);
    if (us_model_opset(m, US_SV("ai.onnx.ml")) == 0)
        US_TRY(us_model_set_opset(c, m, US_SV("ai.onnx.ml"), 3));
    US_TRY(us_arena_new(c, "features", US_TABLE_CAP, &k.scratch));
    k.b = us_b_begin(c, m->main, "feat");
    US_GO(add_inputs(&k, m));
    US_GO(add_parts(&k));
    US_GO(join_parts(&k));
    *out = f;
out:
    us_arena_free(k.scratch);
    return e;
}
