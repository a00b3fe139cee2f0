/* ir/op_ml_map.c - ai.onnx.ml operators on maps: ZipMap makes them of rows, DictVectorizer and CastMap make rows of them.
 *
 * A map is a vector of keys in t and one value per key in items, in any order. CastMap follows ONNX Runtime where the
 * standard is silent: a float becomes text with six decimals, text may begin with blanks and end with anything behind the
 * number, and places without a key hold 0, in text "0.f".
 */
#include "ir/ml_post.h"

#include <math.h>
#include <string.h>

#include "base/map.h"

/* clang-format off */
static const us_param zip_map_in[] = {{"X", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_param zip_map_out[] = {{"Z", 'T', 0, US_P_MAP | US_P_SEQ}, US_PARAM_END};
static const us_attr_row zip_map_attrs[] = {
    US_AIS(us_p_ml_zip_map, classlabels_int64s, "classlabels_int64s"),
    US_ASS(us_p_ml_zip_map, classlabels_strings, "classlabels_strings"), US_ATTR_END};
const us_schema ml_zip_map_schemas[] = {
    {1, zip_map_in, zip_map_out, zip_map_attrs, sizeof(us_p_ml_zip_map), NULL},
    {0}};

static const us_param dict_in[] = {{"X", '1', US_M(I64) | US_M(STRING), US_P_MAP}, US_PARAM_END};
static const us_param dict_out[] = {
    {"Y", '2', US_M(I64) | US_M(F32) | US_M(F64) | US_M(STRING), 0}, US_PARAM_END};
static const us_attr_row dict_attrs[] = {
    US_AIS(us_p_ml_dict_vectorizer, int64_vocabulary, "int64_vocabulary"),
    US_ASS(us_p_ml_dict_vectorizer, string_vocabulary, "string_vocabulary"), US_ATTR_END};
const us_schema ml_dict_vectorizer_schemas[] = {
    {1, dict_in, dict_out, dict_attrs, sizeof(us_p_ml_dict_vectorizer), NULL},
    {0}};

static const us_param cast_map_in[] = {{"X", '1', US_M(I64), US_P_MAP}, US_PARAM_END};
static const us_param cast_map_out[] = {{"Y", '2', US_M(F32) | US_M(I64) | US_M(STRING), 0}, US_PARAM_END};
static const us_attr_row cast_map_attrs[] = {
    US_AS(us_p_ml_cast_map, cast_to, "cast_to", "TO_FLOAT"),
    US_AS(us_p_ml_cast_map, map_form, "map_form", "DENSE"),
    US_AI(us_p_ml_cast_map, max_map, "max_map", 1), US_ATTR_END};
const us_schema ml_cast_map_schemas[] = {
    {1, cast_map_in, cast_map_out, cast_map_attrs, sizeof(us_p_ml_cast_map), NULL},
    {0}};
/* clang-format on */

/* --- ZipMap -------------------------------------------------------------------------------------- */

us_err ml_zip_map_infer(us_infer *k)
{
    const us_p_ml_zip_map *p = k->params;
    us_type *value = us_new(k->arena, us_type), *map = us_new(k->arena, us_type);
    if (!value || !map) return us_arena_fail(k->c, k->arena);
    *value = us_type_tensor(US_F32, 0, NULL);
    *map = (us_type){.kind = US_KIND_MAP,
                     .dtype = p->classlabels_strings.n ? US_STRING : US_I64,
                     .elem = value};
    us_type seq = {.kind = US_KIND_SEQUENCE, .elem = map};
    return us_infer_out_type(k, 0, &seq);
}

/* Row i of [N, K] becomes a map from label to number; [K] is one row. */
us_err ml_zip_map_eval(us_eval *k)
{
    const us_p_ml_zip_map *p = k->params;
    us_labels l = {p->classlabels_int64s, p->classlabels_strings};
    us_tensor x;
    int64_t n, d, n_labels = (int64_t)us_labels_count(&l);
    US_TRY(us_ml_rows(k, &x, &n, &d));
    if (d != n_labels)
        return us_eval_fail(k, US_SHAPE, "%lld columns for %lld labels", (long long)d,
                            (long long)n_labels);
    if (!us_eval_wants(k, 0)) return US_OK;
    us_arena *a = k->env->dynamic(k->env, k);
    us_value *maps = us_new_n(a, us_value, (size_t)n);
    us_tensor labels;
    US_TRY(us_tensor_new(k->c, a, us_labels_type(&l), 1, &d, &labels));
    if (!maps) return us_arena_fail(k->c, a);
    for (int64_t j = 0; j < d; j++)
        us_labels_put(&l, (size_t)j, &labels, j);
    us_tensor number, as;
    US_TRY(us_tensor_init(k->c, &number, US_F32, 0, NULL, NULL));
    US_TRY(us_eval_as(k, &x, US_F32, &as));
    us_value one = us_value_of(&number);
    float *f = us_new_n(a, float, (size_t)(n * d));
    if (!f && n * d > 0) return us_arena_fail(k->c, a);
    if (n * d > 0) memcpy(f, as.data, (size_t)(n * d) * sizeof *f);
    for (int64_t i = 0; i < n; i++, f += d) {
        us_value *items = us_new_n(a, us_value, (size_t)d);
        if (!items) return us_arena_fail(k->c, a);
        for (int64_t j = 0; j < d; j++) {
            items[j] = one;
            items[j].t.data = &f[j];
        }
        maps[i] =
            (us_value){.kind = US_KIND_MAP, .t = labels, .items = items, .n_items = (size_t)d};
    }
    *k->out[0] = (us_value){.kind = US_KIND_SEQUENCE, .items = maps, .n_items = (size_t)n};
    return US_OK;
}

/* Two sequences of maps that are there before, filled in turn: what one run gave may be an input of the next. */
enum { MOST_ITEMS = 1024 };
typedef struct zipped {
    us_value maps[2];
    float *numbers[2];
    size_t bytes;
} zipped;

static us_err make_maps(us_eval *k, const us_tensor *labels, size_t n, us_value *out,
                        float **numbers)
{
    size_t d = (size_t)labels->dims[0];
    void *items, *maps, *f;
    US_TRY(us_eval_keep(k, n * sizeof(us_value), &maps));
    US_TRY(us_eval_keep(k, n * d * sizeof(us_value), &items));
    US_TRY(us_eval_keep(k, n * d * sizeof(float), &f));
    us_value *number = items, *map = maps;
    for (size_t i = 0; i < n * d; i++) {
        number[i].kind = US_KIND_TENSOR;
        US_TRY(us_tensor_init(k->c, &number[i].t, US_F32, 0, NULL, (float *)f + i));
    }
    for (size_t i = 0; i < n; i++)
        map[i] = (us_value){
            .kind = US_KIND_MAP, .t = *labels, .items = number + i * d, .n_items = d};
    *out = (us_value){.kind = US_KIND_SEQUENCE, .items = maps, .n_items = n};
    *numbers = f;
    return US_OK;
}

static us_err run_zip_map(us_eval *k, const void *state, void *scratch)
{
    const zipped *z = state;
    int i = k->out[0]->items == z->maps[0].items;
    (void)scratch;
    memcpy(z->numbers[i], k->in[0]->t.data, z->bytes);
    *k->out[0] = z->maps[i];
    return US_OK;
}

us_err ml_zip_map_bind(us_eval *k, us_call *call)
{
    const us_p_ml_zip_map *p = k->params;
    us_labels l = {p->classlabels_int64s, p->classlabels_strings};
    const us_tensor *x = us_eval_dense_f32(k, 0);
    zipped z;
    void *names;
    us_tensor labels;
    if (!x || x->rank < 1 || x->rank > 2 || us_tensor_count(x) > MOST_ITEMS ||
        !us_eval_wants(k, 0))
        return US_OK;
    int64_t n = x->rank == 2 ? x->dims[0] : 1, d = x->dims[x->rank - 1];
    if (d != (int64_t)us_labels_count(&l)) return US_OK;
    US_TRY(us_eval_keep(k, (size_t)d * sizeof(us_sv), &names));
    US_TRY(us_tensor_init(k->c, &labels, us_labels_type(&l), 1, &d, names));
    for (int64_t j = 0; j < d; j++)
        us_labels_put(&l, (size_t)j, &labels, j);
    for (int i = 0; i < 2; i++)
        US_TRY(make_maps(k, &labels, (size_t)n, &z.maps[i], &z.numbers[i]));
    z.bytes = (size_t)(n * d) * sizeof(float);
    return us_call_make(k, call, run_zip_map, &z, sizeof z, "us_zip_map");
}

/* --- DictVectorizer ---------------------------------------------------------------------------------- */

us_err ml_dict_vectorizer_infer(us_infer *k)
{
    const us_p_ml_dict_vectorizer *p = k->params;
    const us_type *x = us_infer_in(k, 0);
    us_dtype t = x && x->kind == US_KIND_MAP && x->elem ? x->elem->dtype : US_DT_NONE;
    size_t n = p->string_vocabulary.n ? p->string_vocabulary.n : p->int64_vocabulary.n;
    us_dim d[2] = {US_DIM(1), US_DIM((int64_t)n)};
    return us_infer_out(k, 0, t, 2, d);
}

/* The place in the map of each key. */
static us_err index_keys(us_eval *k, const us_tensor *keys, us_map *m)
{
    us_map_init(m, k->env->dynamic(k->env, k));
    for (int64_t i = 0, n = us_tensor_count(keys); i < n; i++) {
        us_sv key = {(const char *)keys->data + (size_t)i * sizeof(int64_t), sizeof(int64_t)};
        if (keys->dtype == US_STRING) key = us_tensor_str_at(keys, i);
        US_TRY(us_map_put(k->c, m, key, (uint32_t)i, NULL));
    }
    return US_OK;
}

/* One row: for each word of the vocabulary the map's value, or zero. */
us_err ml_dict_vectorizer_eval(us_eval *k)
{
    const us_p_ml_dict_vectorizer *p = k->params;
    const us_value *x = k->n_in ? k->in[0] : NULL;
    bool strings = p->string_vocabulary.n > 0;
    us_map at;
    us_tensor *y;
    if (!x || x->kind != US_KIND_MAP || (x->t.dtype == US_STRING) != strings ||
        (!strings && x->t.dtype != US_I64) || !us_tensor_contiguous(&x->t))
        return us_eval_fail(k, US_ARG, "the input is not a map with keys like the vocabulary");
    us_dtype t = x->n_items ? x->items[0].t.dtype : US_F32;
    US_TRY(index_keys(k, &x->t, &at));
    int64_t n = (int64_t)(strings ? p->string_vocabulary.n : p->int64_vocabulary.n);
    US_TRY(us_eval_out(k, 0, t, 2, (int64_t[]){1, n}, &y));
    size_t size = us_dtype_get(t)->bits / 8;
    if (us_tensor_bytes(y)) memset(y->data, 0, us_tensor_bytes(y));
    for (int64_t i = 0; i < n; i++) {
        us_sv key = strings ? p->string_vocabulary.p[i]
                            : (us_sv){(const char *)&p->int64_vocabulary.p[i], sizeof(int64_t)};
        uint32_t j = us_map_get(&at, key);
        if (j == US_MAP_NONE) continue;
        const us_value *v = j < x->n_items ? &x->items[j] : NULL;
        if (!v || v->kind != US_KIND_TENSOR || v->t.dtype != t || us_tensor_count(&v->t) != 1)
            return us_eval_fail(k, US_ARG, "a value of the map is not one element of one type");
        memcpy(us_at(y, i), v->t.data, size);
    }
    return US_OK;
}

/* A vocabulary of whole numbers close to each other: places by number. */
typedef struct spread {
    int64_t least;
    size_t range, n;
    const uint32_t *place; /* plus 1; 0: no such word */
    us_dtype dtype;
    size_t size;
} spread;

/* The usual sizes are known where they are copied. */
static inline void put_number(char *to, const char *from, size_t size)
{
    if (size == 4)
        memcpy(to, from, 4);
    else if (size == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, size);
}

static us_err run_dict_vectorizer(us_eval *k, const void *state, void *scratch)
{
    const spread *s = state;
    const us_value *x = k->in[0];
    char *y = k->out[0]->t.data;
    (void)scratch;
    if (x->kind != US_KIND_MAP || x->t.dtype != US_I64 || !us_tensor_contiguous(&x->t) ||
        (size_t)us_tensor_count(&x->t) != x->n_items)
        return us_eval_fail(k, US_ARG, "the input is not a map with keys like the vocabulary");
    const int64_t *keys = x->t.data;
    memset(y, 0, s->n * s->size);
    for (size_t i = 0; i < x->n_items; i++) {
        uint64_t at = (uint64_t)keys[i] - (uint64_t)s->least;
        if (at >= s->range || !s->place[at]) continue;
        const us_tensor *t = &x->items[i].t;
        if (x->items[i].kind != US_KIND_TENSOR || t->dtype != s->dtype ||
            (t->rank > 0 && us_tensor_count(t) != 1))
            return us_eval_fail(k, US_ARG, "a value of the map is not one element of one type");
        put_number(y + (s->place[at] - 1) * s->size, t->data, s->size);
    }
    return US_OK;
}

static bool find_range(us_ints words, spread *s)
{
    int64_t least = words.p[0], most = words.p[0];
    for (size_t i = 1; i < words.n; i++) {
        least = US_MIN(least, words.p[i]);
        most = US_MAX(most, words.p[i]);
    }
    s->n = words.n;
    s->least = least;
    s->range = (size_t)((uint64_t)most - (uint64_t)least);
    if (s->range >= 4 * words.n + 64) return false;
    s->range++;
    return true;
}

us_err ml_dict_vectorizer_bind(us_eval *k, us_call *call)
{
    const us_p_ml_dict_vectorizer *p = k->params;
    const us_tensor *y = us_eval_opt_out(k, 0);
    us_ints words = p->int64_vocabulary;
    spread s;
    void *place;
    if (p->string_vocabulary.n || !words.n || !y || y->dtype == US_STRING ||
        k->in[0]->kind != US_KIND_MAP || us_tensor_count(y) != (int64_t)words.n ||
        !find_range(words, &s))
        return US_OK;
    US_TRY(us_eval_keep(k, s.range * sizeof(uint32_t), &place));
    for (size_t i = 0; i < words.n; i++) {
        uint32_t *to = (uint32_t *)place + (words.p[i] - s.least);
        if (*to) return US_OK; /* one number has several places */
        *to = (uint32_t)i + 1;
    }
    s.place = place;
    s.dtype = y->dtype;
    s.size = us_dtype_get(y->dtype)->bits / 8;
    return us_call_make(k, call, run_dict_vectorizer, &s, sizeof s, "us_dict_vectorizer");
}

/* --- CastMap ------------------------------------------------------------------------------------- */

static us_dtype cast_to_type(us_sv name)
{
    return us_sv_is(name, "TO_FLOAT")    ? US_F32
           : us_sv_is(name, "TO_INT64")  ? US_I64
           : us_sv_is(name, "TO_STRING") ? US_STRING
                                         : US_DT_NONE;
}

us_err ml_cast_map_infer(us_infer *k)
{
    const us_p_ml_cast_map *p = k->params;
    us_dim d[2] = {US_DIM(1), US_DIM(p->max_map)};
    if (cast_to_type(p->cast_to) == US_DT_NONE)
        return us_infer_fail(k, US_ARG, "cast_to is none of TO_FLOAT, TO_INT64, TO_STRING");
    if (!us_sv_is(p->map_form, "SPARSE")) US_TRY(us_infer_fresh(k, &d[1]));
    return us_infer_out(k, 0, cast_to_type(p->cast_to), 2, d);
}

/* The number a text begins with, after blanks. */
static us_err number_of(us_eval *k, us_sv s, double *out)
{
    const char *p = s.p, *end = s.p + s.n;
    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
        p++;
    if (p < end && us_parse_f64_prefix(p, end, out) > p) return US_OK;
    return us_eval_fail(k, US_ARG, "'" US_SV_FMT "' is not a number", US_SV_ARG(s));
}

static us_err text_of(us_eval *k, double v, us_sv *out)
{
    us_arena *a = k->env->dynamic(k->env, k);
    char *p = us_str_printf(a, "%f", v);
    if (!p) return us_arena_fail(k->c, a);
    *out = us_sv_of(p);
    return US_OK;
}

/* Element i of y from a value of the map. */
static us_err put_cast(us_eval *k, const us_value *v, us_tensor *y, int64_t i)
{
    us_sv text = {0};
    double f = 0;
    if (v->kind != US_KIND_TENSOR || us_tensor_count(&v->t) != 1 ||
        (v->t.dtype != US_STRING && v->t.dtype != US_F32))
        return us_eval_fail(k, US_ARG, "a value of the map is neither a float nor a string");
    if (v->t.dtype == US_STRING)
        text = us_tensor_str_at(&v->t, 0);
    else
        f = us_tensor_f64_at(&v->t, 0);
    if (y->dtype == US_STRING) {
        if (v->t.dtype != US_STRING) US_TRY(text_of(k, f, &text));
        ((us_sv *)y->data)[i] = text;
        return US_OK;
    }
    if (v->t.dtype == US_STRING) US_TRY(number_of(k, text, &f));
    if (y->dtype == US_F32) {
        ((float *)y->data)[i] = (float)f;
        return US_OK;
    }
    if (!(fabs(f) < 9.2e18)) return us_eval_fail(k, US_ARG, "%g is no int64", f);
    ((int64_t *)y->data)[i] = (int64_t)f;
    return US_OK;
}

/* Places of the keys in ascending order: a merge sort by halves, from runs of one. */
static us_err sorted_places(us_eval *k, const int64_t *keys, size_t n, uint32_t **out)
{
    uint32_t *a, *b;
    US_TRY(us_eval_scratch(k, n * sizeof *a, (void **)&a));
    US_TRY(us_eval_scratch(k, n * sizeof *b, (void **)&b));
    for (size_t i = 0; i < n; i++)
        a[i] = (uint32_t)i;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t from = 0; from < n; from += 2 * run) {
            size_t i = from, mid = US_MIN(from + run, n), j = mid, end = US_MIN(mid + run, n);
            for (size_t at = from; at < end; at++)
                b[at] = j >= end || (i < mid && keys[a[i]] <= keys[a[j]]) ? a[i++] : a[j++];
        }
        uint32_t *t = a;
        a = b;
        b = t;
    }
    *out = a;
    return US_OK;
}

static us_err check_cast_map(us_eval *k, const us_value *x, bool *sparse)
{
    const us_p_ml_cast_map *p = k->params;
    *sparse = us_sv_is(p->map_form, "SPARSE");
    if (!*sparse && !us_sv_is(p->map_form, "DENSE"))
        return us_eval_fail(k, US_ARG, "map_form '" US_SV_FMT "'", US_SV_ARG(p->map_form));
    if (*sparse && (p->max_map < 1 || p->max_map > INT32_MAX))
        return us_eval_fail(k, US_ARG, "max_map is %lld", (long long)p->max_map);
    if (!x || x->kind != US_KIND_MAP || x->t.dtype != US_I64 || !us_tensor_contiguous(&x->t) ||
        (size_t)us_tensor_count(&x->t) != x->n_items || x->n_items >= UINT32_MAX)
        return us_eval_fail(k, US_ARG, "the input is not a map with int64 keys");
    return US_OK;
}

/* Places no key names hold zero. */
static void put_zeros(us_tensor *y)
{
    if (us_tensor_bytes(y)) memset(y->data, 0, us_tensor_bytes(y));
    for (int64_t i = 0; y->dtype == US_STRING && i < us_tensor_count(y); i++)
        ((us_sv *)y->data)[i] = US_SV("0.f");
}

us_err ml_cast_map_eval(us_eval *k)
{
    const us_p_ml_cast_map *p = k->params;
    const us_value *x = k->n_in ? k->in[0] : NULL;
    us_tensor *y;
    bool sparse;
    uint32_t *order;
    US_TRY(check_cast_map(k, x, &sparse));
    US_TRY(sorted_places(k, x->t.data, x->n_items, &order));
    int64_t width = sparse ? p->max_map : (int64_t)x->n_items;
    US_TRY(us_eval_out(k, 0, cast_to_type(p->cast_to), 2, (int64_t[]){1, width}, &y));
    put_zeros(y);
    for (size_t i = 0; i < x->n_items; i++) {
        int64_t key = us_tensor_i64_at(&x->t, order[i]);
        if (sparse && (key < 0 || key >= width))
            return us_eval_fail(k, US_ARG, "key %lld with max_map %lld", (long long)key,
                                (long long)width);
        US_TRY(put_cast(k, &x->items[order[i]], y, sparse ? key : (int64_t)i));
    }
    return US_OK;
}
