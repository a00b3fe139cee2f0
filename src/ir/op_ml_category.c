/* ir/op_ml_category.c - categories: OneHotEncoder, LabelEncoder, CategoryMapper.
 *
 * Look-up is by a hash table over the keys, which are attributes: it is made once per plan (CategoryMapper's with each
 * evaluation, since the input's type decides which way it maps).
 */
#include "ir/ml_post.h"

#include <math.h>
#include <string.h>

static us_upgrade_fn upgrade_classes;

/* clang-format off */
static const us_param one_hot_encoder_in[] = {
    {"X", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(STRING) | US_M(F64), 0}, US_PARAM_END};
static const us_param one_hot_encoder_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row one_hot_encoder_attrs[] = {
    US_AIS(us_p_ml_one_hot_encoder, cats_int64s, "cats_int64s"),
    US_ASS(us_p_ml_one_hot_encoder, cats_strings, "cats_strings"),
    US_AI(us_p_ml_one_hot_encoder, zeros, "zeros", 1), US_ATTR_END};
const us_schema ml_one_hot_encoder_schemas[] = {
    {1, one_hot_encoder_in, one_hot_encoder_out, one_hot_encoder_attrs, sizeof(us_p_ml_one_hot_encoder), NULL},
    {0}};

static const us_param label_encoder_in[] = {{"X", '1', US_M(I64) | US_M(STRING), 0}, US_PARAM_END};
static const us_param label_encoder_out[] = {{"Y", '2', US_M(I64) | US_M(STRING), 0}, US_PARAM_END};
static const us_param label_encoder_in_2[] = {{"X", '1', US_M(F32) | US_M(I64) | US_M(STRING), 0}, US_PARAM_END};
static const us_param label_encoder_out_2[] = {{"Y", '2', US_M(F32) | US_M(I64) | US_M(STRING), 0}, US_PARAM_END};
static const us_param label_encoder_in_4[] = {
    {"X", '1', US_M(F32) | US_M(I16) | US_M(I32) | US_M(I64) | US_M(STRING) | US_M(F64), 0}, US_PARAM_END};
static const us_param label_encoder_out_4[] = {
    {"Y", '2', US_M(F32) | US_M(I16) | US_M(I32) | US_M(I64) | US_M(STRING) | US_M(F64), 0}, US_PARAM_END};
static const us_attr_row label_encoder_attrs[] = {
    US_ASS(us_p_ml_label_encoder, classes_strings, "classes_strings"),
    US_AI(us_p_ml_label_encoder, default_int64, "default_int64", -1),
    US_AS(us_p_ml_label_encoder, default_string, "default_string", "_Unused"), US_ATTR_END};
static const us_attr_row label_encoder_attrs_2[] = {
    US_AF(us_p_ml_label_encoder, default_float, "default_float", -0.0F),
    US_AI(us_p_ml_label_encoder, default_int64, "default_int64", -1),
    US_AS(us_p_ml_label_encoder, default_string, "default_string", "_Unused"),
    US_AFS(us_p_ml_label_encoder, keys_floats, "keys_floats"),
    US_AIS(us_p_ml_label_encoder, keys_int64s, "keys_int64s"),
    US_ASS(us_p_ml_label_encoder, keys_strings, "keys_strings"),
    US_AFS(us_p_ml_label_encoder, values_floats, "values_floats"),
    US_AIS(us_p_ml_label_encoder, values_int64s, "values_int64s"),
    US_ASS(us_p_ml_label_encoder, values_strings, "values_strings"), US_ATTR_END};
static const us_attr_row label_encoder_attrs_4[] = {
    US_AF(us_p_ml_label_encoder, default_float, "default_float", -0.0F),
    US_AI(us_p_ml_label_encoder, default_int64, "default_int64", -1),
    US_AS(us_p_ml_label_encoder, default_string, "default_string", "_Unused"),
    US_AT(us_p_ml_label_encoder, default_tensor, "default_tensor"),
    US_AFS(us_p_ml_label_encoder, keys_floats, "keys_floats"),
    US_AIS(us_p_ml_label_encoder, keys_int64s, "keys_int64s"),
    US_ASS(us_p_ml_label_encoder, keys_strings, "keys_strings"),
    US_AT(us_p_ml_label_encoder, keys_tensor, "keys_tensor"),
    US_AFS(us_p_ml_label_encoder, values_floats, "values_floats"),
    US_AIS(us_p_ml_label_encoder, values_int64s, "values_int64s"),
    US_ASS(us_p_ml_label_encoder, values_strings, "values_strings"),
    US_AT(us_p_ml_label_encoder, values_tensor, "values_tensor"), US_ATTR_END};
const us_schema ml_label_encoder_schemas[] = {
    {1, label_encoder_in, label_encoder_out, label_encoder_attrs, sizeof(us_p_ml_label_encoder), upgrade_classes},
    {2, label_encoder_in_2, label_encoder_out_2, label_encoder_attrs_2, sizeof(us_p_ml_label_encoder), NULL},
    {4, label_encoder_in_4, label_encoder_out_4, label_encoder_attrs_4, sizeof(us_p_ml_label_encoder), NULL},
    {0}};

static const us_param category_mapper_in[] = {{"X", '1', US_M(I64) | US_M(STRING), 0}, US_PARAM_END};
static const us_param category_mapper_out[] = {{"Y", '2', US_M(I64) | US_M(STRING), 0}, US_PARAM_END};
static const us_attr_row category_mapper_attrs[] = {
    US_AIS(us_p_ml_category_mapper, cats_int64s, "cats_int64s"),
    US_ASS(us_p_ml_category_mapper, cats_strings, "cats_strings"),
    US_AI(us_p_ml_category_mapper, default_int64, "default_int64", -1),
    US_AS(us_p_ml_category_mapper, default_string, "default_string", "_Unused"), US_ATTR_END};
const us_schema ml_category_mapper_schemas[] = {
    {1, category_mapper_in, category_mapper_out, category_mapper_attrs, sizeof(us_p_ml_category_mapper), NULL},
    {0}};
/* clang-format on */

/* --- keys ---------------------------------------------------------------------------------------- */

/* A column of keys of one type: int64, float (double here) or string. */
typedef struct keys {
    us_dtype type; /* US_I64, US_F64 or US_STRING */
    size_t n;
    const int64_t *ints;
    const double *floats;
    const us_sv *strs;
    uint32_t *table; /* index + 1; 0 = free */
    size_t mask;
} keys;

static uint64_t hash_i64(int64_t v)
{
    return us_hash64(&v, sizeof v, 1);
}
static uint64_t hash_f64(double v)
{
    if (isnan(v)) v = (double)NAN; /* all NaN are one key */
    if (v == 0) v = 0;             /* and so are both zeros */
    return us_hash64(&v, sizeof v, 2);
}
static bool same_f64(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static uint64_t key_hash(const keys *q, size_t i)
{
    if (q->type == US_STRING) return us_hash64(q->strs[i].p, q->strs[i].n, 3);
    return q->type == US_I64 ? hash_i64(q->ints[i]) : hash_f64(q->floats[i]);
}

static bool key_is(const keys *q, size_t i, const int64_t *i64, const double *f64,
                   const us_sv *str)
{
    return str   ? us_sv_eq(q->strs[i], *str)
           : i64 ? q->ints[i] == *i64
                 : same_f64(q->floats[i], *f64);
}

/* Where the key with this hash is in the table, or the free place for it. */
static size_t place(const keys *q, uint64_t hash, const int64_t *i64, const double *f64,
                    const us_sv *str)
{
    size_t at = (size_t)hash & q->mask;
    while (q->table[at] && !key_is(q, q->table[at] - 1, i64, f64, str))
        at = (at + 1) & q->mask;
    return at;
}

/* Of equal keys the last stays, as the standard has it. */
static us_err keys_index(us_eval *k, keys *q)
{
    size_t size = 8;
    while (size < 2 * q->n)
        size *= 2;
    US_TRY(us_eval_keep(k, size * sizeof *q->table, (void **)&q->table));
    q->mask = size - 1;
    for (size_t i = 0; i < q->n; i++) {
        const int64_t *i64 = q->type == US_I64 ? &q->ints[i] : NULL;
        const double *f64 = q->type == US_F64 ? &q->floats[i] : NULL;
        const us_sv *str = q->type == US_STRING ? &q->strs[i] : NULL;
        q->table[place(q, key_hash(q, i), i64, f64, str)] = (uint32_t)i + 1;
    }
    return US_OK;
}

/* Index of the value or SIZE_MAX. */
static size_t find(const keys *q, uint64_t hash, const int64_t *i64, const double *f64,
                   const us_sv *str)
{
    uint32_t i = q->table[place(q, hash, i64, f64, str)];
    return i ? i - 1 : SIZE_MAX;
}

/* Element i of x among the keys. x: dense, of the keys' class. */
static size_t find_at(const keys *q, const us_tensor *x, int64_t i)
{
    if (q->type == US_STRING) {
        us_sv s = ((const us_sv *)x->data)[i];
        return find(q, us_hash64(s.p, s.n, 3), NULL, NULL, &s);
    }
    if (q->type == US_I64) {
        double f = us_dtype_get(x->dtype)->cls == US_DC_FLOAT ? us_tensor_f64_at(x, i) : 0;
        if (!(f > -9.2e18 && f < 9.2e18)) return SIZE_MAX;
        int64_t v =
            us_dtype_get(x->dtype)->cls == US_DC_FLOAT ? (int64_t)f : us_tensor_i64_at(x, i);
        return find(q, hash_i64(v), &v, NULL, NULL);
    }
    double v = us_tensor_f64_at(x, i);
    return find(q, hash_f64(v), NULL, &v, NULL);
}

static us_err floats_to_f64(us_eval *k, us_floats f, const double **out)
{
    double *v;
    US_TRY(us_eval_keep(k, (f.n + 1) * sizeof *v, (void **)&v));
    for (size_t i = 0; i < f.n; i++)
        v[i] = (double)f.p[i];
    *out = v;
    return US_OK;
}

static us_err tensor_keys(us_eval *k, const us_tensor *t, keys *q)
{
    us_tensor v;
    void *p;
    US_TRY(us_eval_as(k, t, q->type, &v));
    US_TRY(us_eval_keep(k, us_tensor_bytes(&v), &p));
    if (q->n) memcpy(p, v.data, us_tensor_bytes(&v));
    if (q->type == US_F64)
        q->floats = p;
    else
        q->ints = p;
    return US_OK;
}

/* Keys from whichever of the attributes is given. */
static us_err keys_from(us_eval *k, us_ints ints, us_floats floats, us_strs strs,
                        const us_tensor *t, keys *q)
{
    *q = (keys){.type = US_I64, .n = ints.n, .ints = ints.p};
    if (strs.n) *q = (keys){.type = US_STRING, .n = strs.n, .strs = strs.p};
    if (floats.n) {
        *q = (keys){.type = US_F64, .n = floats.n};
        US_TRY(floats_to_f64(k, floats, &q->floats));
    }
    if (t && t->dtype == US_STRING) {
        *q = (keys){.type = US_STRING, .n = (size_t)us_tensor_count(t), .strs = t->data};
    } else if (t) {
        bool real = us_dtype_get(t->dtype)->cls == US_DC_FLOAT;
        *q = (keys){.type = real ? US_F64 : US_I64, .n = (size_t)us_tensor_count(t)};
        US_TRY(tensor_keys(k, t, q));
    }
    if (q->n == 0) return us_eval_fail(k, US_ARG, "no keys are given");
    return keys_index(k, q);
}

/* The keys that the plan prepared, or made now. */
static us_err keys_of(us_eval *k, us_prepare_fn *prepare, const keys **out)
{
    const void *q = k->prepared;
    if (!q) US_TRY(prepare(k, &q));
    *out = q;
    return US_OK;
}

static us_err same_class(us_eval *k, const keys *q, const us_tensor *x)
{
    if ((q->type == US_STRING) == (x->dtype == US_STRING)) return US_OK;
    return us_eval_fail(k, US_ARG, "input is %s, keys are %s", us_dtype_get(x->dtype)->name,
                        us_dtype_get(q->type)->name);
}

/* --- OneHotEncoder ------------------------------------------------------------------------------- */

us_err ml_one_hot_encoder_infer(us_infer *k)
{
    const us_p_ml_one_hot_encoder *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK + 1];
    if (!x) return us_infer_out(k, 0, US_F32, -1, NULL);
    if (x->rank + 1 > US_MAX_RANK)
        return us_infer_fail(k, US_SHAPE, "result has too many dimensions");
    us_copy_dims(d, x);
    d[x->rank] = US_DIM((int64_t)(p->cats_strings.n ? p->cats_strings.n : p->cats_int64s.n));
    return us_infer_out(k, 0, US_F32, x->rank + 1, d);
}

us_err ml_one_hot_encoder_prepare(us_eval *k, const void **out)
{
    const us_p_ml_one_hot_encoder *p = k->params;
    keys *q;
    US_TRY(us_eval_keep(k, sizeof *q, (void **)&q));
    US_TRY(keys_from(k, p->cats_int64s, (us_floats){0}, p->cats_strings, NULL, q));
    *out = q;
    return US_OK;
}

us_err ml_one_hot_encoder_eval(us_eval *k)
{
    const us_p_ml_one_hot_encoder *p = k->params;
    us_tensor x, *y;
    const keys *q = NULL;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(keys_of(k, ml_one_hot_encoder_prepare, &q));
    US_TRY(same_class(k, q, &x));
    if (x.rank + 1 > US_MAX_RANK) return us_eval_fail(k, US_SHAPE, "input of rank %d", x.rank);
    memcpy(dims, x.dims, sizeof dims);
    dims[x.rank] = (int64_t)q->n;
    US_TRY(us_eval_out(k, 0, US_F32, x.rank + 1, dims, &y));
    memset(y->data, 0, us_tensor_bytes(y));
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        size_t at = find_at(q, &x, i);
        if (at != SIZE_MAX)
            ((float *)y->data)[i * (int64_t)q->n + (int64_t)at] = 1;
        else if (!p->zeros)
            return us_eval_fail(k, US_ARG, "element %lld is of no known category",
                                (long long)i);
    }
    return US_OK;
}

/* --- LabelEncoder -------------------------------------------------------------------------------- */

static us_dtype value_type(const us_p_ml_label_encoder *p)
{
    if (p->values_tensor) return p->values_tensor->dtype;
    return p->values_strings.n ? US_STRING : p->values_floats.n ? US_F32 : US_I64;
}

us_err ml_label_encoder_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dtype t = value_type(k->params);
    if (!x) return us_infer_out(k, 0, t, -1, NULL);
    return us_infer_out(k, 0, t, x->rank, x->dims);
}

/* The values as a tensor of their type, and the default as one element. */
static us_err label_values(us_eval *k, us_tensor *values, us_tensor *missing)
{
    const us_p_ml_label_encoder *p = k->params;
    union {
        const void *in;
        void *out;
    } v = {.in = p->values_strings.n  ? (const void *)p->values_strings.p
                 : p->values_floats.n ? (const void *)p->values_floats.p
                                      : (const void *)p->values_int64s.p},
      d = {.in = p->values_strings.n  ? (const void *)&p->default_string
                 : p->values_floats.n ? (const void *)&p->default_float
                                      : (const void *)&p->default_int64};
    int64_t n =
        (int64_t)US_MAX(US_MAX(p->values_strings.n, p->values_floats.n), p->values_int64s.n);
    us_dtype t = value_type(p);
    if (p->values_tensor)
        *values = *p->values_tensor;
    else
        US_TRY(us_tensor_init(k->c, values, t, 1, &n, v.out));
    if (p->default_tensor && p->default_tensor->dtype == t) {
        *missing = *p->default_tensor;
        return US_OK;
    }
    if (!p->values_tensor || t == US_STRING || t == US_F32 || t == US_I64) {
        d.in = t == US_STRING ? (const void *)&p->default_string
               : t == US_F32  ? (const void *)&p->default_float
                              : (const void *)&p->default_int64;
        return us_tensor_init(k->c, missing, t, 0, NULL, d.out);
    }
    us_tensor room;
    double zero = t == US_F64 ? (double)p->default_float : (double)p->default_int64;
    US_TRY(us_tensor_init(k->c, &room, t, 0, NULL, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&room), &room.data));
    us_dtype_get(t)->from_f64(room.data, 0, 1, &zero);
    *missing = room;
    return US_OK;
}

us_err ml_label_encoder_prepare(us_eval *k, const void **out)
{
    const us_p_ml_label_encoder *p = k->params;
    keys *q;
    US_TRY(us_eval_keep(k, sizeof *q, (void **)&q));
    US_TRY(keys_from(k, p->keys_int64s, p->keys_floats, p->keys_strings, p->keys_tensor, q));
    *out = q;
    return US_OK;
}

us_err ml_label_encoder_eval(us_eval *k)
{
    us_tensor x, *y, values, missing;
    const keys *q = NULL;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(keys_of(k, ml_label_encoder_prepare, &q));
    US_TRY(same_class(k, q, &x));
    US_TRY(label_values(k, &values, &missing));
    if ((size_t)us_tensor_count(&values) != q->n)
        return us_eval_fail(k, US_ARG, "%zu keys for %lld values", q->n,
                            (long long)us_tensor_count(&values));
    US_TRY(us_eval_out(k, 0, values.dtype, x.rank, x.dims, &y));
    size_t size = us_dtype_get(values.dtype)->bits / 8;
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        size_t at = find_at(q, &x, i);
        memcpy(us_at(y, i), at == SIZE_MAX ? missing.data : us_at(&values, (int64_t)at), size);
    }
    return US_OK;
}

/* Version 1: classes_strings maps a string to its position or a position to its string, by the input's type. */
static us_err upgrade_classes(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_node *nd = &g->nodes.at[n];
    const us_attr *a = us_node_attr(nd, "classes_strings");
    us_dtype in = g->vals.at[nd->in[0]].type.dtype, out = g->vals.at[nd->out[0]].type.dtype;
    if (in == US_DT_NONE && out == US_DT_NONE)
        return us_upgrade_fail(c, g, n, "the direction needs the type of the input");
    bool from_string = in == US_STRING || out == US_I64;
    size_t count = a ? a->n : 0;
    int64_t *index = us_new_n(m->arena, int64_t, count);
    if (!index) return us_arena_fail(c, m->arena);
    for (size_t i = 0; i < count; i++)
        index[i] = (int64_t)i;
    us_attr strs = {.name = from_string ? US_SV("keys_strings") : US_SV("values_strings"),
                    .kind = US_AT_STRINGS,
                    .strs = a ? a->strs : NULL,
                    .n = count};
    us_attr ints = {.name = from_string ? US_SV("values_int64s") : US_SV("keys_int64s"),
                    .kind = US_AT_INTS,
                    .ints = index,
                    .n = count};
    US_TRY(us_node_set_attr(c, g, n, &strs));
    US_TRY(us_node_set_attr(c, g, n, &ints));
    us_node_del_attr(&g->nodes.at[n], "classes_strings");
    return US_OK;
}

/* --- CategoryMapper ------------------------------------------------------------------------------ */

us_err ml_category_mapper_infer(us_infer *k)
{
    const us_type *x = us_infer_in(k, 0);
    us_dtype t = !x                      ? US_DT_NONE
                 : x->dtype == US_STRING ? US_I64
                 : x->dtype == US_I64    ? US_STRING
                                         : US_DT_NONE;
    if (!x || x->kind != US_KIND_TENSOR || x->rank < 0) return us_infer_out(k, 0, t, -1, NULL);
    return us_infer_out(k, 0, t, x->rank, x->dims);
}

us_err ml_category_mapper_eval(us_eval *k)
{
    const us_p_ml_category_mapper *p = k->params;
    us_tensor x, *y;
    keys q;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (p->cats_int64s.n != p->cats_strings.n)
        return us_eval_fail(k, US_ARG, "%zu numbers for %zu strings", p->cats_int64s.n,
                            p->cats_strings.n);
    bool from_string = x.dtype == US_STRING;
    US_TRY(keys_from(k, from_string ? (us_ints){0} : p->cats_int64s, (us_floats){0},
                     from_string ? p->cats_strings : (us_strs){0}, NULL, &q));
    US_TRY(us_eval_out(k, 0, from_string ? US_I64 : US_STRING, x.rank, x.dims, &y));
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        size_t at = find_at(&q, &x, i);
        if (from_string)
            ((int64_t *)y->data)[i] = at == SIZE_MAX ? p->default_int64 : p->cats_int64s.p[at];
        else
            ((us_sv *)y->data)[i] = at == SIZE_MAX ? p->default_string : p->cats_strings.p[at];
    }
    return US_OK;
}
