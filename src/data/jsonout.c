/* data/jsonout.c - see jsonout.h. */
#include "data/jsonout.h"

#include <math.h>

static json_t *made(us_jout *o, json_t *j)
{
    o->failed |= j == NULL;
    return j;
}

json_t *us_jo_num(us_jout *o, double v)
{
    return made(o, isfinite(v) ? json_real(v) : json_null());
}

json_t *us_jo_int(us_jout *o, uint64_t v)
{
    return made(o, json_integer((json_int_t)v));
}

json_t *us_jo_sv(us_jout *o, us_sv s)
{
    return made(o, json_stringn(s.n ? s.p : "", s.n));
}

json_t *us_jo_z(us_jout *o, const char *s)
{
    return made(o, json_string(s));
}

json_t *us_jo_bool(us_jout *o, bool v)
{
    return made(o, json_boolean(v));
}

json_t *us_jo_object(us_jout *o)
{
    return made(o, json_object());
}

json_t *us_jo_array(us_jout *o)
{
    return made(o, json_array());
}

void us_jo_set(us_jout *o, json_t *object, const char *key, json_t *v)
{
    if (json_object_set_new(object, key, v) != 0) o->failed = true;
}

void us_jo_push(us_jout *o, json_t *array, json_t *v)
{
    if (json_array_append_new(array, v) != 0) o->failed = true;
}

json_t *us_jo_svs(us_jout *o, const us_sv *v, size_t n)
{
    json_t *a = us_jo_array(o);
    for (size_t i = 0; i < n; i++)
        us_jo_push(o, a, us_jo_sv(o, v[i]));
    return a;
}

json_t *us_jo_counts(us_jout *o, const uint64_t *v, size_t n)
{
    json_t *a = us_jo_array(o);
    for (size_t i = 0; i < n; i++)
        us_jo_push(o, a, us_jo_int(o, v[i]));
    return a;
}

json_t *us_jo_nums(us_jout *o, const double *v, size_t n)
{
    json_t *a = us_jo_array(o);
    for (size_t i = 0; i < n; i++)
        us_jo_push(o, a, us_jo_num(o, v[i]));
    return a;
}

/* --- reading ------------------------------------------------------------------------------------------- */

us_err us_ji_sv(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                us_sv *out)
{
    json_t *j;
    US_TRY(us_json_get(c, o, what, key, JSON_STRING, &j));
    return us_sv_dup(c, a, (us_sv){json_string_value(j), json_string_length(j)}, out);
}

us_err us_ji_count(us_ctx *c, const json_t *o, const char *what, const char *key, uint64_t *out)
{
    int64_t v;
    US_TRY(us_json_get_i64(c, o, what, key, &v));
    if (v < 0)
        return us_fail(c, US_FORMAT, "%s: '%s' is %lld, expected a count", what, key,
                       (long long)v);
    *out = (uint64_t)v;
    return US_OK;
}

us_err us_ji_num(us_ctx *c, const json_t *o, const char *what, const char *key, double *out)
{
    const json_t *j = json_object_get(o, key);
    if (j && json_is_null(j)) {
        *out = (double)NAN;
        return US_OK;
    }
    return us_json_get_f64(c, o, what, key, out);
}

us_err us_ji_array(us_ctx *c, const json_t *o, const char *what, const char *key, size_t max,
                   json_t **out, size_t *n)
{
    json_t *j;
    US_TRY(us_json_get(c, o, what, key, JSON_ARRAY, &j));
    if (json_array_size(j) > max)
        return us_fail(c, US_LIMIT, "%s: '%s' has %zu entries, at most %zu", what, key,
                       json_array_size(j), max);
    *n = json_array_size(j);
    *out = j;
    return US_OK;
}

static us_err wrong(us_ctx *c, const char *what, const char *key, size_t i,
                    const char *expected)
{
    return us_fail(c, US_FORMAT, "%s: '%s', entry %zu: expected %s", what, key, i, expected);
}

us_err us_ji_svs(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                 size_t max, us_sv **out, size_t *n)
{
    json_t *j;
    size_t k;
    US_TRY(us_ji_array(c, o, what, key, max, &j, &k));
    us_sv *v = us_new_n(a, us_sv, k);
    if (!v) return us_arena_fail(c, a);
    for (size_t i = 0; i < k; i++) {
        const json_t *s = json_array_get(j, i);
        if (!json_is_string(s)) return wrong(c, what, key, i, "a text");
        US_TRY(us_sv_dup(c, a, (us_sv){json_string_value(s), json_string_length(s)}, &v[i]));
    }
    *out = v;
    *n = k;
    return US_OK;
}

us_err us_ji_counts(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                    size_t max, uint64_t **out, size_t *n)
{
    json_t *j;
    size_t k;
    US_TRY(us_ji_array(c, o, what, key, max, &j, &k));
    uint64_t *v = us_new_n(a, uint64_t, k);
    if (!v) return us_arena_fail(c, a);
    for (size_t i = 0; i < k; i++) {
        const json_t *s = json_array_get(j, i);
        if (!json_is_integer(s) || json_integer_value(s) < 0)
            return wrong(c, what, key, i, "a count");
        v[i] = (uint64_t)json_integer_value(s);
    }
    *out = v;
    *n = k;
    return US_OK;
}

us_err us_ji_nums(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                  size_t max, double **out, size_t *n)
{
    json_t *j;
    size_t k;
    US_TRY(us_ji_array(c, o, what, key, max, &j, &k));
    double *v = us_new_n(a, double, k);
    if (!v) return us_arena_fail(c, a);
    for (size_t i = 0; i < k; i++) {
        const json_t *s = json_array_get(j, i);
        if (!json_is_number(s)) return wrong(c, what, key, i, "a number");
        v[i] = json_number_value(s);
    }
    *out = v;
    *n = k;
    return US_OK;
}
