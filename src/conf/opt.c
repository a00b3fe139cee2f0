/* conf/opt.c - giving values to the rows of an option table.
 *
 * Two sources exist: a text (default, environment, flag) and a node of a YAML tree. Both end in the same scalar parser, so a
 * number is the same number wherever it was written. A list or map in a text is read as YAML when it looks like YAML, else split at
 * commas. Every failure names the place, what was found and what the row wants.
 */
#include "conf/opt.h"

#include <math.h>
#include <string.h>

#include "conf/opt_kinds.h"

/* Where a value comes from, for messages. */
typedef struct origin {
    us_ctx *c;
    us_arena *a;
    const char *where; /* "usta.yaml: line 12: train.lr" or "flag --train.lr" */
} origin;

static void *at(const us_opt *row, void *base)
{
    return (char *)base + row->offset;
}

static bool has_range(const us_opt *row)
{
    return row->lo < row->hi;
}

static us_err not_a(const origin *o, const us_opt *row, us_sv text, const char *kind)
{
    char lo[32], hi[32];
    us_print_f64(row->lo, lo);
    us_print_f64(row->hi, hi);
    return us_fail(o->c, US_ARG, "%s: '" US_SV_FMT "' is not %s%s%s%s%s%s", o->where,
                   US_SV_ARG(text), kind, has_range(row) ? " from " : "",
                   has_range(row) ? lo : "", has_range(row) ? " to " : "",
                   has_range(row) ? hi : "", "");
}

static us_err parse_f64(const origin *o, const us_opt *row, us_sv text, double *out)
{
    double v = 0;
    if (!us_parse_f64(text, &v) || !isfinite(v) ||
        (has_range(row) && (v < row->lo || v > row->hi)))
        return not_a(o, row, text, "a number");
    *out = v;
    return US_OK;
}

/* Integers may be written 1e6, too. */
static us_err parse_int(const origin *o, const us_opt *row, us_sv text, int64_t *out)
{
    int64_t v = 0;
    double d = 0;
    if (!us_parse_i64(text, &v)) {
        if (!us_parse_f64(text, &d) || !(fabs(d) <= 9007199254740992.0) || d != floor(d))
            return not_a(o, row, text, "an integer");
        v = (int64_t)d;
    }
    if (has_range(row) && ((double)v < row->lo || (double)v > row->hi))
        return not_a(o, row, text, "an integer");
    *out = v;
    return US_OK;
}

/* Is `text` one of "a|b|c"? */
static bool is_choice(const char *choices, us_sv text)
{
    for (const char *p = choices;;) {
        const char *bar = strchr(p, '|');
        us_sv one = {p, bar ? (size_t)(bar - p) : strlen(p)};
        if (us_sv_eq(one, text)) return true;
        if (!bar) return false;
        p = bar + 1;
    }
}

static us_err dup_text(const origin *o, us_sv text, const char **out)
{
    char *z = us_str_dup(o->a, text);
    if (!z) return us_arena_fail(o->c, o->a);
    *out = z;
    return US_OK;
}

static us_err set_bool(const origin *o, const us_opt *row, void *p, us_sv text)
{
    bool v = false;
    if (!us_parse_bool(text, &v)) return not_a(o, row, text, "true or false");
    *(bool *)p = v;
    return US_OK;
}

static us_err set_int(const origin *o, const us_opt *row, void *p, us_sv text)
{
    return parse_int(o, row, text, p);
}

static us_err set_f64(const origin *o, const us_opt *row, void *p, us_sv text)
{
    return parse_f64(o, row, text, p);
}

static us_err set_string(const origin *o, const us_opt *row, void *p, us_sv text)
{
    (void)row;
    return dup_text(o, text, p);
}

static us_err set_choice(const origin *o, const us_opt *row, void *p, us_sv text)
{
    if (!is_choice(row->choices, text))
        return us_fail(o->c, US_ARG, "%s: '" US_SV_FMT "' is not one of %s", o->where,
                       US_SV_ARG(text), row->choices);
    return dup_text(o, text, p);
}

/* ---- lists: grown by copying; they are short and read once ---- */

static us_err grow(const origin *o, void **p, size_t n, size_t size)
{
    void *now = us_arena_alloc(o->a, n + 1, size, _Alignof(max_align_t));
    if (!now) return us_arena_fail(o->c, o->a);
    if (n) memcpy(now, *p, n * size);
    *p = now;
    return US_OK;
}

static us_err push_text(const origin *o, const us_opt *row, void *p, us_sv text)
{
    us_texts *l = p;
    const char *z = NULL;
    US_TRY(dup_text(o, text, &z));
    if (row->choices && row->choices[0] && !is_choice(row->choices, text))
        return us_fail(o->c, US_ARG, "%s: '%s' is not one of %s", o->where, z, row->choices);
    void *now = (void *)(uintptr_t)l->at;
    US_TRY(grow(o, &now, l->n, sizeof *l->at));
    l->at = now;
    l->at[l->n++] = z;
    return US_OK;
}

static us_err push_int(const origin *o, const us_opt *row, void *p, us_sv text)
{
    us_intlist *l = p;
    int64_t v = 0;
    US_TRY(parse_int(o, row, text, &v));
    void *now = l->at;
    US_TRY(grow(o, &now, l->n, sizeof *l->at));
    l->at = now;
    l->at[l->n++] = v;
    return US_OK;
}

static us_err push_pair(const origin *o, us_textmap *m, us_sv key, us_sv value)
{
    const char *k = NULL, *v = NULL;
    US_TRY(dup_text(o, key, &k));
    US_TRY(dup_text(o, value, &v));
    void *keys = (void *)(uintptr_t)m->key, *values = (void *)(uintptr_t)m->at;
    US_TRY(grow(o, &keys, m->n, sizeof *m->key));
    US_TRY(grow(o, &values, m->n, sizeof *m->at));
    m->key = keys;
    m->at = values;
    m->key[m->n] = k;
    m->at[m->n++] = v;
    return US_OK;
}

/* ---- what each kind takes ---- */

typedef us_err scalar_fn(const origin *o, const us_opt *row, void *p, us_sv text);

typedef struct kind_row {
    const char *wanted; /* in messages */
    scalar_fn *set;     /* a scalar */
    scalar_fn *push;    /* an item of a list */
    size_t size;        /* of the field */
    const char *word;   /* in --help */
} kind_row;

static const kind_row kinds[] = {
    [US_OPT_BOOL] = {"true or false", set_bool, NULL, sizeof(bool), ""},
    [US_OPT_INT] = {"an integer", set_int, NULL, sizeof(int64_t), "N"},
    [US_OPT_F64] = {"a number", set_f64, NULL, sizeof(double), "NUMBER"},
    [US_OPT_TEXT] = {"a text", set_string, NULL, sizeof(char *), "TEXT"},
    [US_OPT_CHOICE] = {"a text", set_choice, NULL, sizeof(char *), ""},
    [US_OPT_TEXTS] = {"a list of texts", NULL, push_text, sizeof(us_texts), "A,B,..."},
    [US_OPT_INTS] = {"a list of integers", NULL, push_int, sizeof(us_intlist), "N,N,..."},
    [US_OPT_TEXTMAP] = {"a mapping of texts", NULL, NULL, sizeof(us_textmap), "A=B,..."},
    [US_OPT_RECORDS] = {"a list of records", NULL, NULL, sizeof(us_records), "YAML"},
    [US_OPT_RECORDMAP] = {"a mapping of records", NULL, NULL, sizeof(us_recordmap), "YAML"},
};

const char *us_opt_kind_word(us_opt_kind k)
{
    return kinds[k].word;
}

/* ---- unset ---- */

static void unset(const us_opt *row, void *base)
{
    void *p = at(row, base);
    memset(p, 0, kinds[row->kind].size);
    if (row->kind == US_OPT_INT) *(int64_t *)p = US_UNSET;
    if (row->kind == US_OPT_F64) *(double *)p = (double)NAN;
    if (row->kind == US_OPT_TEXT || row->kind == US_OPT_CHOICE) *(const char **)p = "";
}

us_err us_opt_defaults(us_ctx *c, us_arena *a, const us_opt *rows, void *base)
{
    for (const us_opt *r = rows; r->kind != US_OPT_END; r++) {
        unset(r, base);
        if (r->def[0]) US_TRY(us_opt_set_text(c, a, r, base, us_sv_of(r->def), false, r->key));
    }
    return US_OK;
}

/* ---- from YAML ---- */

static us_err set_node(us_ctx *c, us_arena *a, const us_opt *row, void *base, const us_yaml *y,
                       const char *file, const char *what);

static us_err wrong_shape(const origin *o, const us_opt *row, const us_yaml *y)
{
    static const char *const shapes[] = {"a text", "a list", "a mapping"};
    return us_fail(o->c, US_ARG, "%s: is %s, expected %s", o->where, shapes[y->kind],
                   kinds[row->kind].wanted);
}

static us_err set_list_node(const origin *o, const us_opt *row, void *p, const us_yaml *y)
{
    if (y->kind == US_YAML_MAP) return wrong_shape(o, row, y);
    if (y->kind == US_YAML_SCALAR) return kinds[row->kind].push(o, row, p, y->text);
    for (size_t i = 0; i < y->n; i++) {
        if (y->at[i]->kind != US_YAML_SCALAR) return wrong_shape(o, row, y->at[i]);
        US_TRY(kinds[row->kind].push(o, row, p, y->at[i]->text));
    }
    return US_OK;
}

static us_err set_map_node(const origin *o, const us_opt *row, void *p, const us_yaml *y)
{
    if (y->kind != US_YAML_MAP) return wrong_shape(o, row, y);
    for (size_t i = 0; i < y->n; i++) {
        if (y->at[i]->kind != US_YAML_SCALAR) return wrong_shape(o, row, y->at[i]);
        US_TRY(push_pair(o, p, y->key[i]->text, y->at[i]->text));
    }
    return US_OK;
}

static us_err set_record(const origin *o, const us_opt *row, void *at_, const us_yaml *y,
                         const char *file, const char *what)
{
    if (y->kind != US_YAML_MAP)
        return us_fail(o->c, US_ARG, "%s: line %d: %s: expected a mapping (key: value)", file,
                       y->line, what);
    US_TRY(us_opt_defaults(o->c, o->a, row->record->rows, at_));
    return us_opt_set_map(o->c, o->a, row->record->rows, at_, y, file, what, NULL, NULL);
}

static us_err set_records_node(const origin *o, const us_opt *row, void *p, const us_yaml *y,
                               const char *file, const char *what)
{
    us_records *l = p;
    if (y->kind != US_YAML_LIST) return wrong_shape(o, row, y);
    char *items = us_arena_alloc(o->a, y->n, row->record->size, _Alignof(max_align_t));
    if (!items) return us_arena_fail(o->c, o->a);
    for (size_t i = 0; i < y->n; i++)
        US_TRY(set_record(o, row, items + i * row->record->size, y->at[i], file, what));
    *l = (us_records){items, y->n};
    return US_OK;
}

static us_err set_recordmap_node(const origin *o, const us_opt *row, void *p, const us_yaml *y,
                                 const char *file, const char *what)
{
    us_recordmap *m = p;
    if (y->kind != US_YAML_MAP) return wrong_shape(o, row, y);
    char *items = us_arena_alloc(o->a, y->n, row->record->size, _Alignof(max_align_t));
    const char **key = us_new_n(o->a, const char *, y->n);
    if (!items || !key) return us_arena_fail(o->c, o->a);
    for (size_t i = 0; i < y->n; i++) {
        US_TRY(dup_text(o, y->key[i]->text, &key[i]));
        US_TRY(set_record(o, row, items + i * row->record->size, y->at[i], file, what));
    }
    *m = (us_recordmap){key, items, y->n};
    return US_OK;
}

static us_err set_node(us_ctx *c, us_arena *a, const us_opt *row, void *base, const us_yaml *y,
                       const char *file, const char *what)
{
    if (us_yaml_is_null(y)) return US_OK; /* "key:" with nothing keeps the default */
    const char *dot = what[0] && row->key[0] ? "." : "";
    char *full = us_str_printf(a, "%s%s%s", what, dot, row->key);
    char *where = us_str_printf(a, "%s: line %d: %s", file, y->line, full ? full : "");
    if (!full || !where) return us_arena_fail(c, a);
    origin o = {c, a, where};
    if (kinds[row->kind].set) {
        if (y->kind != US_YAML_SCALAR) return wrong_shape(&o, row, y);
        return kinds[row->kind].set(&o, row, at(row, base), y->text);
    }
    unset(row, base); /* a list replaces the former one */
    if (row->kind == US_OPT_TEXTMAP) return set_map_node(&o, row, at(row, base), y);
    if (row->kind == US_OPT_RECORDS)
        return set_records_node(&o, row, at(row, base), y, file, full);
    if (row->kind == US_OPT_RECORDMAP)
        return set_recordmap_node(&o, row, at(row, base), y, file, full);
    return set_list_node(&o, row, at(row, base), y);
}

/* ---- from a text ---- */

static us_err split_commas(const origin *o, const us_opt *row, void *p, us_sv text)
{
    for (size_t i = 0, start = 0; i <= text.n; i++) {
        if (i < text.n && text.p[i] != ',') continue;
        us_sv one = us_sv_trim((us_sv){text.p + start, i - start});
        start = i + 1;
        if (row->kind != US_OPT_TEXTMAP) {
            US_TRY(kinds[row->kind].push(o, row, p, one));
            continue;
        }
        const char *eq = one.n ? memchr(one.p, '=', one.n) : NULL;
        if (!eq)
            return us_fail(o->c, US_ARG, "%s: '" US_SV_FMT "' is not of the form name=value",
                           o->where, US_SV_ARG(one));
        size_t n_key = (size_t)(eq - one.p);
        US_TRY(push_pair(o, p, (us_sv){one.p, n_key}, (us_sv){eq + 1, one.n - n_key - 1}));
    }
    return US_OK;
}

us_err us_opt_set_text(us_ctx *c, us_arena *a, const us_opt *row, void *base, us_sv text,
                       bool append, const char *where)
{
    origin o = {c, a, where};
    if (kinds[row->kind].set) return kinds[row->kind].set(&o, row, at(row, base), text);
    us_sv t = us_sv_trim(text);
    bool records = row->kind == US_OPT_RECORDS || row->kind == US_OPT_RECORDMAP;
    if (records || (t.n && (t.p[0] == '[' || t.p[0] == '{'))) {
        us_yaml *y = NULL;
        US_TRY(us_yaml_parse(c, a, where, t, &y));
        return set_node(c, a, row, base, y, where, "");
    }
    if (!append) unset(row, base);
    if (!t.n) return US_OK;
    return split_commas(&o, row, at(row, base), t);
}

/* ---- a mapping of many rows ---- */

typedef struct walk {
    us_ctx *c;
    us_arena *a;
    const us_opt *rows;
    void *base;
    const char *file, *what;
    void (*set)(void *ud, size_t i_row, int line);
    void *ud;
} walk;

static us_err unknown_key(const walk *w, const char *key, int line)
{
    const char **names = NULL;
    size_t n = 0;
    while (w->rows[n].kind != US_OPT_END)
        n++;
    names = us_new_n(w->a, const char *, n);
    if (!names) return us_arena_fail(w->c, w->a);
    for (size_t i = 0; i < n; i++)
        names[i] = w->rows[i].key;
    const char *near = us_nearest(us_sv_of(key), names, n);
    const char *dot = w->what[0] ? "." : "";
    if (near && near[0])
        return us_fail(w->c, US_ARG,
                       "%s: line %d: unknown key '%s%s%s'; did you mean '%s%s%s'?", w->file,
                       line, w->what, dot, key, w->what, dot, near);
    return us_fail(w->c, US_ARG,
                   "%s: line %d: unknown key '%s%s%s'; `usta help settings` lists all keys",
                   w->file, line, w->what, dot, key);
}

static bool is_group(const us_opt *rows, const char *key)
{
    size_t n = strlen(key);
    for (const us_opt *r = rows; r->kind != US_OPT_END; r++)
        if (strncmp(r->key, key, n) == 0 && r->key[n] == '.') return true;
    return false;
}

static us_err walk_map(const walk *w, const us_yaml *map, const char *prefix)
{
    for (size_t i = 0; i < map->n; i++) {
        char *key = us_str_printf(w->a, "%s" US_SV_FMT, prefix, US_SV_ARG(map->key[i]->text));
        if (!key) return us_arena_fail(w->c, w->a);
        size_t r = 0;
        while (w->rows[r].kind != US_OPT_END && strcmp(w->rows[r].key, key) != 0)
            r++;
        if (w->rows[r].kind != US_OPT_END) {
            US_TRY(set_node(w->c, w->a, &w->rows[r], w->base, map->at[i], w->file, w->what));
            if (w->set && !us_yaml_is_null(map->at[i])) w->set(w->ud, r, map->key[i]->line);
        } else if (map->at[i]->kind == US_YAML_MAP && is_group(w->rows, key)) {
            char *group = us_str_printf(w->a, "%s.", key);
            if (!group) return us_arena_fail(w->c, w->a);
            US_TRY(walk_map(w, map->at[i], group));
        } else if (!(us_yaml_is_null(map->at[i]) && is_group(w->rows, key))) {
            return unknown_key(w, key, map->key[i]->line);
        }
    }
    return US_OK;
}

us_err us_opt_set_map(us_ctx *c, us_arena *a, const us_opt *rows, void *base,
                      const us_yaml *map, const char *file, const char *what,
                      void (*set)(void *ud, size_t i_row, int line), void *ud)
{
    walk w = {c, a, rows, base, file, what, set, ud};
    if (us_yaml_is_null(map)) return US_OK;
    if (rows[0].kind != US_OPT_END && rows[0].key[0] == 0) { /* the section is one value */
        US_TRY(set_node(c, a, &rows[0], base, map, file, what));
        if (set) set(ud, 0, map->line);
        return US_OK;
    }
    if (map->kind != US_YAML_MAP)
        return us_fail(c, US_ARG, "%s: line %d: '%s' must be a mapping (key: value)", file,
                       map->line, what);
    return walk_map(&w, map, "");
}
