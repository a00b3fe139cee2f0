/* data/passport.c - see passport.h. */
#include "data/passport.h"

#include <math.h>
#include <string.h>

#include "data/jsonout.h"

#define MAX_LIST ((size_t)1 << 20) /* names of entries, metrics, sketches */

/* --- sketches -------------------------------------------------------------------------------------------- */

us_err us_sketch_to_json(us_ctx *c, us_arena *a, const us_sketch *s, json_t **out)
{
    us_jout o = {0};
    json_t *j = us_jo_object(&o);
    us_jo_set(&o, j, "name", us_jo_sv(&o, s->name));
    us_jo_set(&o, j, "kind", us_jo_z(&o, us_sketch_kind_name(s->kind)));
    us_jo_set(&o, j, "n", us_jo_int(&o, s->n));
    us_jo_set(&o, j, "n_missing", us_jo_int(&o, s->n_missing));
    if (s->kind == US_SK_CATEGORICAL) {
        us_jo_set(&o, j, "categories", us_jo_svs(&o, s->cats, s->n_cats));
        us_jo_set(&o, j, "counts", us_jo_counts(&o, s->cat_counts, s->n_cats));
        us_jo_set(&o, j, "n_other", us_jo_int(&o, s->n_other));
    } else {
        us_jo_set(&o, j, "mean", us_jo_num(&o, s->moments.n ? s->moments.mean : (double)NAN));
        us_jo_set(&o, j, "m2", us_jo_num(&o, s->moments.n ? s->moments.m2 : (double)NAN));
        us_jo_set(&o, j, "min", us_jo_num(&o, s->moments.min));
        us_jo_set(&o, j, "max", us_jo_num(&o, s->moments.max));
        us_jo_set(&o, j, "edges", us_jo_nums(&o, s->edges, s->n_edges));
        us_jo_set(&o, j, "counts", us_jo_counts(&o, s->counts, s->n_edges + 1));
    }
    US_TRY(us_json_keep(c, a, j));
    if (o.failed) return us_nomem(c);
    *out = j;
    return US_OK;
}

static us_err read_moments(us_ctx *c, const json_t *j, const char *what, us_sketch *s)
{
    us_moments *m = &s->moments;
    us_moments_init(m);
    m->n_missing = s->n_missing;
    if (s->n_missing > s->n) return us_fail(c, US_FORMAT, "%s: more missing than rows", what);
    m->n = s->n - s->n_missing;
    if (m->n == 0) return US_OK;
    US_TRY(us_json_get_f64(c, j, what, "mean", &m->mean));
    US_TRY(us_json_get_f64(c, j, what, "m2", &m->m2));
    US_TRY(us_json_get_f64(c, j, what, "min", &m->min));
    return us_json_get_f64(c, j, what, "max", &m->max);
}

static us_err read_bins(us_ctx *c, us_arena *a, const json_t *j, const char *what, us_sketch *s)
{
    size_t n;
    uint64_t sum = 0;
    US_TRY(read_moments(c, j, what, s));
    US_TRY(us_ji_nums(c, a, j, what, "edges", US_SKETCH_MAX_BINS, &s->edges, &s->n_edges));
    US_TRY(us_ji_counts(c, a, j, what, "counts", US_SKETCH_MAX_BINS + 1, &s->counts, &n));
    for (size_t i = 1; i < s->n_edges; i++)
        if (!(s->edges[i - 1] < s->edges[i]))
            return us_fail(c, US_FORMAT, "%s: edges do not rise", what);
    for (size_t i = 0; i < n; i++)
        sum += s->counts[i];
    if (n != s->n_edges + 1 || sum != s->moments.n)
        return us_fail(c, US_FORMAT, "%s: %zu counts for %zu edges, or their sum is wrong",
                       what, n, s->n_edges);
    return US_OK;
}

us_err us_sketch_from_json(us_ctx *c, us_arena *a, const json_t *j, us_sketch *out)
{
    static const char what[] = "sketch";
    us_sketch s = {0};
    const char *kind;
    size_t n;
    if (!json_is_object(j)) return us_fail(c, US_FORMAT, "%s: not an object", what);
    US_TRY(us_ji_sv(c, a, j, what, "name", &s.name));
    US_TRY(us_json_get_text(c, j, what, "kind", &kind));
    if (!us_sketch_kind_find(us_sv_of(kind), &s.kind))
        return us_fail(c, US_FORMAT, "%s: unknown kind '%.40s'", what, kind);
    US_TRY(us_ji_count(c, j, what, "n", &s.n));
    US_TRY(us_ji_count(c, j, what, "n_missing", &s.n_missing));
    if (s.kind == US_SK_CATEGORICAL) {
        us_moments_init(&s.moments);
        US_TRY(us_ji_svs(c, a, j, what, "categories", US_SKETCH_MAX_CATS, &s.cats, &s.n_cats));
        US_TRY(us_ji_counts(c, a, j, what, "counts", US_SKETCH_MAX_CATS, &s.cat_counts, &n));
        US_TRY(us_ji_count(c, j, what, "n_other", &s.n_other));
        if (n != s.n_cats)
            return us_fail(c, US_FORMAT, "%s: %zu categories, %zu counts", what, s.n_cats, n);
    } else {
        US_TRY(read_bins(c, a, j, what, &s));
    }
    US_TRY(us_sketch_index(c, a, &s));
    *out = s;
    return US_OK;
}

/* --- the passport ------------------------------------------------------------------------------------------ */

static us_err sketches_json(us_ctx *c, us_arena *a, us_jout *o, const us_sketch *s, size_t n,
                            json_t *list)
{
    for (size_t i = 0; i < n; i++) {
        json_t *j = NULL;
        US_TRY(us_sketch_to_json(c, a, &s[i], &j));
        us_jo_push(o, list, json_incref(j));
    }
    return US_OK;
}

static us_err config_json(us_ctx *c, us_arena *a, us_sv text, json_t **out)
{
    if (text.n == 0) text = US_SV("{}");
    us_err e = us_json_parse(c, a, "passport configuration", text, US_PASSPORT_MAX_BYTES, out);
    return e;
}

static us_err fill(us_ctx *c, us_arena *a, const us_passport *p, us_jout *o, json_t *j)
{
    json_t *schema, *config, *sketches = us_jo_array(o), *outputs = us_jo_array(o);
    json_t *metrics = us_jo_array(o);
    us_jo_set(o, j, "sketches", sketches);
    us_jo_set(o, j, "outputs", outputs);
    us_jo_set(o, j, "metrics", metrics);
    us_jo_set(o, j, "version", us_jo_int(o, US_PASSPORT_VERSION));
    us_jo_set(o, j, "program", us_jo_sv(o, p->program));
    us_jo_set(o, j, "task", us_jo_z(o, us_task_name(p->task)));
    us_jo_set(o, j, "target", us_jo_sv(o, p->target));
    us_jo_set(o, j, "classes", us_jo_svs(o, p->classes, p->n_classes));
    us_jo_set(o, j, "snapshot", us_jo_sv(o, p->snapshot));
    us_jo_set(o, j, "seed", us_jo_int(o, p->seed));
    us_jo_set(o, j, "packed", us_jo_bool(o, p->packed));
    us_jo_set(o, j, "features", us_jo_svs(o, p->features, p->n_features));
    if (p->seed > INT64_MAX) return us_fail(c, US_ARG, "passport: a seed over 2^63");
    US_TRY(us_schema_to_json(c, a, &p->schema, &schema));
    US_TRY(config_json(c, a, p->config, &config));
    us_jo_set(o, j, "schema", json_incref(schema));
    us_jo_set(o, j, "config", json_incref(config));
    US_TRY(sketches_json(c, a, o, p->sketches, p->n_sketches, sketches));
    US_TRY(sketches_json(c, a, o, p->outputs, p->n_outputs, outputs));
    for (size_t i = 0; i < p->n_metrics; i++) {
        json_t *m = us_jo_object(o);
        us_jo_set(o, m, "part", us_jo_sv(o, p->metrics[i].part));
        us_jo_set(o, m, "name", us_jo_sv(o, p->metrics[i].name));
        us_jo_set(o, m, "value", us_jo_num(o, p->metrics[i].value));
        us_jo_push(o, metrics, m);
    }
    return US_OK;
}

us_err us_passport_print(us_ctx *c, const us_passport *p, us_buf *b)
{
    us_jout o = {0};
    us_arena *a = NULL;
    json_t *j = us_jo_object(&o);
    us_err e = us_arena_new(c, "passport", (size_t)1 << 30, &a);
    if (e == US_OK) e = fill(c, a, p, &o, j);
    if (e == US_OK && o.failed) e = us_nomem(c);
    if (e == US_OK) e = us_json_print(c, j, b);
    json_decref(j);
    us_arena_free(a);
    return e;
}

static us_err read_sketches(us_ctx *c, us_arena *a, const json_t *j, const char *key,
                            us_sketch **out, size_t *n)
{
    json_t *list;
    US_TRY(us_ji_array(c, j, "passport", key, MAX_LIST, &list, n));
    us_sketch *s = us_new_n(a, us_sketch, *n);
    if (!s) return us_arena_fail(c, a);
    for (size_t i = 0; i < *n; i++)
        US_TRY(us_sketch_from_json(c, a, json_array_get(list, i), &s[i]));
    *out = s;
    return US_OK;
}

static us_err read_metrics(us_ctx *c, us_arena *a, const json_t *j, us_passport *p)
{
    json_t *list;
    US_TRY(us_ji_array(c, j, "passport", "metrics", MAX_LIST, &list, &p->n_metrics));
    p->metrics = us_new_n(a, us_passport_metric, p->n_metrics);
    if (!p->metrics) return us_arena_fail(c, a);
    for (size_t i = 0; i < p->n_metrics; i++) {
        const json_t *m = json_array_get(list, i);
        us_passport_metric *x = &p->metrics[i];
        if (!json_is_object(m)) return us_fail(c, US_FORMAT, "passport metric: not an object");
        US_TRY(us_ji_sv(c, a, m, "passport metric", "part", &x->part));
        US_TRY(us_ji_sv(c, a, m, "passport metric", "name", &x->name));
        US_TRY(us_ji_num(c, m, "passport metric", "value", &x->value));
    }
    return US_OK;
}

static us_err read_config(us_ctx *c, us_arena *a, const json_t *j, us_passport *p)
{
    us_buf b;
    json_t *config;
    US_TRY(us_json_get(c, j, "passport", "config", JSON_OBJECT, &config));
    us_buf_init(&b, c, US_PASSPORT_MAX_BYTES);
    us_err e = us_json_print(c, config, &b);
    if (e == US_OK) e = us_sv_dup(c, a, us_buf_sv(&b), &p->config);
    us_buf_deinit(&b);
    return e;
}

static us_err read_all(us_ctx *c, us_arena *a, const json_t *j, us_passport *p)
{
    static const char what[] = "passport";
    uint64_t version;
    const char *task;
    json_t *schema;
    US_TRY(us_ji_count(c, j, what, "version", &version));
    if (version != US_PASSPORT_VERSION)
        return us_fail(c, US_FORMAT, "passport of version %llu, this program reads %d",
                       (unsigned long long)version, US_PASSPORT_VERSION);
    p->version = US_PASSPORT_VERSION;
    US_TRY(us_ji_sv(c, a, j, what, "program", &p->program));
    US_TRY(us_json_get_text(c, j, what, "task", &task));
    if (!us_task_find(us_sv_of(task), &p->task))
        return us_fail(c, US_FORMAT, "passport: unknown task '%.40s'", task);
    US_TRY(us_ji_sv(c, a, j, what, "target", &p->target));
    US_TRY(us_ji_svs(c, a, j, what, "classes", MAX_LIST, &p->classes, &p->n_classes));
    US_TRY(us_ji_sv(c, a, j, what, "snapshot", &p->snapshot));
    US_TRY(us_ji_count(c, j, what, "seed", &p->seed));
    US_TRY(us_json_get_bool(c, j, what, "packed", &p->packed));
    US_TRY(us_ji_svs(c, a, j, what, "features", MAX_LIST, &p->features, &p->n_features));
    US_TRY(us_json_get(c, j, what, "schema", JSON_OBJECT, &schema));
    US_TRY(us_schema_from_json(c, a, schema, &p->schema));
    US_TRY(read_sketches(c, a, j, "sketches", &p->sketches, &p->n_sketches));
    US_TRY(read_sketches(c, a, j, "outputs", &p->outputs, &p->n_outputs));
    US_TRY(read_metrics(c, a, j, p));
    US_TRY(read_config(c, a, j, p));
    if (p->n_sketches != us_schema_n_features(&p->schema))
        return us_fail(c, US_FORMAT, "passport: %zu sketches for %zu features", p->n_sketches,
                       us_schema_n_features(&p->schema));
    if (p->task == US_TASK_CLASSES && p->n_classes < 2)
        return us_fail(c, US_FORMAT, "passport: %zu classes", p->n_classes);
    return US_OK;
}

us_err us_passport_parse(us_ctx *c, us_arena *a, us_sv json, us_passport *out)
{
    us_passport p = {0};
    json_t *j;
    US_TRY(us_json_parse(c, a, "passport", json, US_PASSPORT_MAX_BYTES, &j));
    if (!json_is_object(j)) return us_fail(c, US_FORMAT, "passport: not an object");
    US_TRY(read_all(c, a, j, &p));
    *out = p;
    return US_OK;
}

us_err us_passport_set(us_ctx *c, us_model *m, const us_passport *p)
{
    us_buf b;
    us_buf_init(&b, c, US_PASSPORT_MAX_BYTES);
    us_err e = us_passport_print(c, p, &b);
    if (e == US_OK) e = us_model_set_prop(c, m, us_sv_of(US_PASSPORT_KEY), us_buf_sv(&b));
    us_buf_deinit(&b);
    return e;
}

us_err us_passport_get(us_ctx *c, us_arena *a, const us_model *m, us_passport *out)
{
    us_sv text;
    if (!us_model_prop(m, US_PASSPORT_KEY, &text))
        return us_fail(c, US_NOTFOUND,
                       "the model has no passport (metadata '%s'): it was not made by usta",
                       US_PASSPORT_KEY);
    return us_passport_parse(c, a, text, out);
}
