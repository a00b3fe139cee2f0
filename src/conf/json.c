/* conf/json.c - reading JSON with limits, and the canonical printer.
 *
 * jansson parses; before it sees a text we count nesting ourselves, because its own bound (2048) is a compile-time constant of
 * the library and deeper than anything we mean to read. The printer is ours: see json.h. It recurses, bounded by
 * US_JSON_MAX_DEPTH, over trees that were either read under that bound or built by our own code.
 */
#include "conf/json.h"

#include <math.h>
#include <string.h>

#include "base/file.h"

/* Deepest nesting of brackets outside strings; stops counting past the bound. */
static int depth_of(us_sv t)
{
    int depth = 0, deepest = 0;
    bool in_text = false;
    for (size_t i = 0; i < t.n && deepest <= US_JSON_MAX_DEPTH; i++) {
        char ch = t.p[i];
        if (in_text) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                in_text = false;
        } else if (ch == '"') {
            in_text = true;
        } else if (ch == '[' || ch == '{') {
            if (++depth > deepest) deepest = depth;
        } else if (ch == ']' || ch == '}') {
            depth--;
        }
    }
    return deepest;
}

static void drop_json(void *j)
{
    json_decref((json_t *)j);
}

us_err us_json_keep(us_ctx *c, us_arena *a, json_t *j)
{
    if (!j) return us_nomem(c);
    us_err e = us_arena_defer(c, a, drop_json, j);
    if (e != US_OK) json_decref(j);
    return e;
}

us_err us_json_parse(us_ctx *c, us_arena *a, const char *name, us_sv text, size_t max_bytes,
                     json_t **out)
{
    size_t max = max_bytes ? max_bytes : US_JSON_MAX_BYTES;
    if (text.n > max)
        return us_fail(c, US_LIMIT, "%s: %zu bytes of JSON, at most %zu are read", name, text.n,
                       max);
    if (depth_of(text) > US_JSON_MAX_DEPTH)
        return us_fail(c, US_LIMIT, "%s: JSON nested deeper than %d levels", name,
                       US_JSON_MAX_DEPTH);
    json_error_t err;
    json_t *j = json_loadb(text.n ? text.p : "", text.n,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &err);
    if (!j) {
        if (json_error_code(&err) == json_error_out_of_memory) return us_nomem(c);
        return us_fail(c, US_FORMAT, "%s: line %d, column %d: %s", name, err.line, err.column,
                       err.text);
    }
    US_TRY(us_json_keep(c, a, j));
    *out = j;
    return US_OK;
}

us_err us_json_read(us_ctx *c, us_arena *a, const char *path, json_t **out)
{
    us_buf b;
    us_buf_init(&b, c, US_JSON_MAX_BYTES);
    us_err e = us_file_read(c, path, &b);
    if (e == US_OK) e = us_json_parse(c, a, path, us_buf_sv(&b), 0, out);
    us_buf_deinit(&b);
    return e;
}

/* ---- printing ---- */

void us_json_add_text(us_buf *b, us_sv s)
{
    static const char hex[] = "0123456789abcdef";
    us_buf_addc(b, '"');
    size_t start = 0;
    for (size_t i = 0; i < s.n;) {
        unsigned char ch = (unsigned char)s.p[i];
        size_t n_char = 1;
        char esc[8];
        size_t n_esc = 0;
        if (ch == '"' || ch == '\\') {
            esc[n_esc++] = '\\';
            esc[n_esc++] = (char)ch;
        } else if (ch < 0x20) {
            static const char letters[] = "btn\0fr";
            esc[n_esc++] = '\\';
            if (ch >= 8 && ch <= 13 && ch != 11) {
                esc[n_esc++] = letters[ch - 8];
            } else {
                memcpy(esc + n_esc, "u00", 3);
                esc[4] = hex[ch >> 4];
                esc[5] = hex[ch & 15];
                n_esc = 6;
            }
        } else if (ch >= 0x80) {
            size_t want = ch >= 0xF0 ? 4 : ch >= 0xE0 ? 3 : 2;
            if (i + want <= s.n && us_utf8_valid((us_sv){s.p + i, want})) {
                n_char = want;
            } else {
                memcpy(esc, "\xEF\xBF\xBD", 3);
                n_esc = 3;
            }
        }
        if (n_esc) {
            us_buf_add(b, s.p + start, i - start);
            us_buf_add(b, esc, n_esc);
            start = i + n_char;
        }
        i += n_char;
    }
    if (s.n > start) us_buf_add(b, s.p + start, s.n - start);
    us_buf_addc(b, '"');
}

/* A real stays a real when read back: digits alone get ".0". */
static void add_number(us_buf *b, char *text, size_t n)
{
    us_buf_add(b, text, n);
    for (size_t i = 0; i < n; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E') return;
    us_buf_adds(b, ".0");
}

void us_json_add_f64(us_buf *b, double v)
{
    char t[32];
    if (!isfinite(v))
        us_buf_adds(b, "null");
    else
        add_number(b, t, us_print_f64(v, t));
}

void us_json_add_f32(us_buf *b, float v)
{
    char t[32];
    if (!isfinite(v))
        us_buf_adds(b, "null");
    else
        add_number(b, t, us_print_f32(v, t));
}

static us_err print_value(us_ctx *c, const json_t *j, us_buf *b, bool pretty, int depth);

static void add_line(us_buf *b, int depth)
{
    us_buf_addc(b, '\n');
    for (int i = 0; i < depth; i++)
        us_buf_adds(b, "  ");
}

/* Arrays of a few scalars read better on one line. */
static bool is_short(const json_t *j)
{
    size_t n = json_array_size(j);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(j, i);
        if (json_is_array(v) || json_is_object(v)) return false;
    }
    return n <= 16;
}

static us_err print_array(us_ctx *c, const json_t *j, us_buf *b, bool pretty, int depth)
{
    size_t n = json_array_size(j);
    bool lines = pretty && n && !is_short(j);
    us_buf_addc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) us_buf_adds(b, pretty && !lines ? ", " : ",");
        if (lines) add_line(b, depth + 1);
        US_TRY(print_value(c, json_array_get(j, i), b, pretty, depth + 1));
    }
    if (lines) add_line(b, depth);
    us_buf_addc(b, ']');
    return US_OK;
}

typedef struct member {
    us_sv key;
    const json_t *value;
} member;

/* Heap sort: no memory of its own and no bad case, whatever keys a hostile text brings. */
static void sift(member *m, size_t i, size_t n)
{
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= n) return;
        if (k + 1 < n && us_sv_cmp(m[k].key, m[k + 1].key) < 0) k++;
        if (us_sv_cmp(m[i].key, m[k].key) >= 0) return;
        member t = m[i];
        m[i] = m[k];
        m[k] = t;
        i = k;
    }
}

static void sort_members(member *m, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(m, i, n);
    for (size_t i = n; i-- > 1;) {
        member t = m[0];
        m[0] = m[i];
        m[i] = t;
        sift(m, 0, i);
    }
}

static us_err print_members(us_ctx *c, const member *m, size_t n, us_buf *b, bool pretty,
                            int depth)
{
    us_buf_addc(b, '{');
    for (size_t i = 0; i < n; i++) {
        if (i) us_buf_addc(b, ',');
        if (pretty) add_line(b, depth + 1);
        us_json_add_text(b, m[i].key);
        us_buf_adds(b, pretty ? ": " : ":");
        US_TRY(print_value(c, m[i].value, b, pretty, depth + 1));
    }
    if (pretty && n) add_line(b, depth);
    us_buf_addc(b, '}');
    return US_OK;
}

static us_err print_object(us_ctx *c, const json_t *j, us_buf *b, bool pretty, int depth)
{
    size_t n = json_object_size(j), i = 0;
    member *m = us_mem_get(&c->alloc, n, sizeof *m);
    if (!m) return us_nomem(c);
    /* jansson's iterators take a non-const object but change nothing */
    json_t *obj = json_incref((json_t *)(uintptr_t)j);
    for (void *it = json_object_iter(obj); it && i < n; it = json_object_iter_next(obj, it))
        m[i++] = (member){us_sv_of(json_object_iter_key(it)), json_object_iter_value(it)};
    json_decref(obj);
    if (!pretty) sort_members(m, i);
    us_err e = print_members(c, m, i, b, pretty, depth);
    us_mem_put(&c->alloc, m, n, sizeof *m);
    return e;
}

static us_err print_value(us_ctx *c, const json_t *j, us_buf *b, bool pretty, int depth)
{
    if (depth > US_JSON_MAX_DEPTH)
        return us_fail(c, US_LIMIT, "JSON to print is nested deeper than %d levels",
                       US_JSON_MAX_DEPTH);
    if (json_is_object(j)) return print_object(c, j, b, pretty, depth);
    if (json_is_array(j)) return print_array(c, j, b, pretty, depth);
    if (json_is_string(j))
        us_json_add_text(b, (us_sv){json_string_value(j), json_string_length(j)});
    else if (json_is_integer(j))
        us_buf_addf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
    else if (json_is_real(j))
        us_json_add_f64(b, json_real_value(j));
    else
        us_buf_adds(b, json_is_true(j) ? "true" : json_is_false(j) ? "false" : "null");
    return US_OK;
}

us_err us_json_print(us_ctx *c, const json_t *j, us_buf *b)
{
    US_TRY(print_value(c, j, b, false, 0));
    return us_buf_check(b);
}

us_err us_json_print_pretty(us_ctx *c, const json_t *j, us_buf *b)
{
    US_TRY(print_value(c, j, b, true, 0));
    return us_buf_check(b);
}

/* ---- members ---- */

static const char *type_name(json_type t)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array", [JSON_STRING] = "a text",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null"};
    return (size_t)t < US_LEN(names) ? names[t] : "something else";
}

static us_err find(us_ctx *c, const json_t *obj, const char *what, const char *key,
                   const char *wanted, json_t **out)
{
    if (!json_is_object(obj))
        return us_fail(c, US_FORMAT, "%s: is %s, expected an object", what,
                       obj ? type_name(json_typeof(obj)) : "missing");
    json_t *v = json_object_get(obj, key);
    if (!v) return us_fail(c, US_FORMAT, "%s: '%s' is missing, expected %s", what, key, wanted);
    *out = v;
    return US_OK;
}

static us_err wrong(us_ctx *c, const char *what, const char *key, const json_t *v,
                    const char *wanted)
{
    return us_fail(c, US_FORMAT, "%s: '%s' is %s, expected %s", what, key,
                   v ? type_name(json_typeof(v)) : "missing", wanted);
}

us_err us_json_get(us_ctx *c, const json_t *obj, const char *what, const char *key,
                   json_type type, json_t **out)
{
    json_t *v = NULL;
    US_TRY(find(c, obj, what, key, type_name(type), &v));
    if (json_typeof(v) != type) return wrong(c, what, key, v, type_name(type));
    *out = v;
    return US_OK;
}

us_err us_json_get_text(us_ctx *c, const json_t *obj, const char *what, const char *key,
                        const char **out)
{
    json_t *v = NULL;
    US_TRY(us_json_get(c, obj, what, key, JSON_STRING, &v));
    *out = json_string_value(v);
    return US_OK;
}

us_err us_json_get_f64(us_ctx *c, const json_t *obj, const char *what, const char *key,
                       double *out)
{
    json_t *v = NULL;
    US_TRY(find(c, obj, what, key, "a number", &v));
    if (!json_is_number(v)) return wrong(c, what, key, v, "a number");
    *out = json_number_value(v);
    return US_OK;
}

us_err us_json_get_i64(us_ctx *c, const json_t *obj, const char *what, const char *key,
                       int64_t *out)
{
    json_t *v = NULL;
    US_TRY(us_json_get(c, obj, what, key, JSON_INTEGER, &v));
    *out = (int64_t)json_integer_value(v);
    return US_OK;
}

us_err us_json_get_bool(us_ctx *c, const json_t *obj, const char *what, const char *key,
                        bool *out)
{
    json_t *v = NULL;
    US_TRY(find(c, obj, what, key, "true or false", &v));
    if (!json_is_boolean(v)) return wrong(c, what, key, v, "true or false");
    *out = json_is_true(v);
    return US_OK;
}

double us_json_f64_or(const json_t *obj, const char *key, double def)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : def;
}

int64_t us_json_i64_or(const json_t *obj, const char *key, int64_t def)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : def;
}

const char *us_json_text_or(const json_t *obj, const char *key, const char *def)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? json_string_value(v) : def;
}
