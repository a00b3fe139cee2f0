/* conf/opt_print.c - rows of an option table as JSON (recorded configuration) and as lines of --help. */
#include <math.h>
#include <string.h>

#include "conf/opt.h"
#include "conf/opt_kinds.h"

static const void *at(const us_opt *row, const void *base)
{
    return (const char *)base + row->offset;
}

static json_t *texts_json(const us_texts *l)
{
    json_t *j = json_array();
    for (size_t i = 0; j && i < l->n; i++)
        json_array_append_new(j, json_string(l->at[i]));
    return j;
}

static json_t *ints_json(const us_intlist *l)
{
    json_t *j = json_array();
    for (size_t i = 0; j && i < l->n; i++)
        json_array_append_new(j, json_integer(l->at[i]));
    return j;
}

static json_t *textmap_json(const us_textmap *m)
{
    json_t *j = json_object();
    for (size_t i = 0; j && i < m->n; i++)
        json_object_set_new(j, m->key[i], json_string(m->at[i]));
    return j;
}

static us_err records_json(us_ctx *c, const us_opt *row, const char *const *key,
                           const void *items, size_t n, json_t **out)
{
    json_t *all = key ? json_object() : json_array();
    for (size_t i = 0; all && i < n; i++) {
        json_t *one = NULL;
        us_err e = us_opt_json(c, row->record->rows,
                               (const char *)items + i * row->record->size, &one);
        int bad = e != US_OK ? 1
                  : key      ? json_object_set_new(all, key[i], one)
                             : json_array_append_new(all, one);
        if (bad) {
            json_decref(all);
            return e != US_OK ? e : us_nomem(c);
        }
    }
    if (!all) return us_nomem(c);
    *out = all;
    return US_OK;
}

/* Kinds without records; *is_unset when there is no value. */
static json_t *plain_json(const us_opt *row, const void *p, bool *is_unset)
{
    if (row->kind == US_OPT_BOOL) return json_boolean(*(const bool *)p);
    if (row->kind == US_OPT_INT) {
        int64_t v = *(const int64_t *)p;
        *is_unset = v == US_UNSET;
        return json_integer(v);
    }
    if (row->kind == US_OPT_F64) {
        double v = *(const double *)p;
        *is_unset = isnan(v);
        return *is_unset ? NULL : json_real(v);
    }
    if (row->kind == US_OPT_TEXT || row->kind == US_OPT_CHOICE) {
        const char *z = *(const char *const *)p;
        *is_unset = !z[0];
        return json_string(z);
    }
    if (row->kind == US_OPT_TEXTS) return texts_json(p);
    if (row->kind == US_OPT_INTS) return ints_json(p);
    return textmap_json(p);
}

us_err us_opt_value_json(us_ctx *c, const us_opt *row, const void *base, json_t **out)
{
    const void *p = at(row, base);
    if (row->kind == US_OPT_RECORDS) {
        const us_records *l = p;
        return records_json(c, row, NULL, l->at, l->n, out);
    }
    if (row->kind == US_OPT_RECORDMAP) {
        const us_recordmap *m = p;
        static const char *const none[1] = {""};
        return records_json(c, row, m->key ? m->key : none, m->at, m->n, out);
    }
    bool is_unset = false;
    json_t *j = plain_json(row, p, &is_unset);
    if (is_unset) {
        json_decref(j);
        *out = NULL;
        return US_OK;
    }
    if (!j) return us_nomem(c);
    *out = j;
    return US_OK;
}

/* Put a value under a dotted key, making the groups on the way. Takes v. */
static int set_dotted(json_t *obj, const char *key, json_t *v)
{
    const char *dot = strchr(key, '.');
    if (!dot) return json_object_set_new(obj, key, v);
    json_t *group = json_object_getn(obj, key, (size_t)(dot - key));
    if (!group) {
        group = json_object();
        if (json_object_setn_new(obj, key, (size_t)(dot - key), group)) {
            json_decref(v);
            return -1;
        }
    }
    return set_dotted(group, dot + 1, v);
}

us_err us_opt_json(us_ctx *c, const us_opt *rows, const void *base, json_t **out)
{
    if (rows[0].kind != US_OPT_END && !rows[0].key[0])
        return us_opt_value_json(c, &rows[0], base, out);
    json_t *obj = json_object();
    if (!obj) return us_nomem(c);
    for (const us_opt *r = rows; r->kind != US_OPT_END; r++) {
        json_t *v = NULL;
        us_err e = us_opt_value_json(c, r, base, &v);
        if (e == US_OK && v && set_dotted(obj, r->key, v)) e = us_nomem(c);
        if (e != US_OK) {
            json_decref(obj);
            return e;
        }
    }
    *out = obj;
    return US_OK;
}

/* ---- help ---- */

static void add_range(us_buf *b, const us_opt *r)
{
    const char *sep = " (";
    if (r->def[0]) {
        us_buf_addf(b, "%sdefault %s", sep, r->def);
        sep = "; ";
    }
    if (r->lo < r->hi) {
        char lo[32], hi[32];
        us_print_f64(r->lo, lo);
        us_print_f64(r->hi, hi);
        us_buf_addf(b, "%s%s to %s", sep, lo, hi);
        sep = "; ";
    }
    if (r->unit && r->unit[0] && r->kind != US_OPT_TEXT && r->kind != US_OPT_TEXTS) {
        us_buf_addf(b, "%sin %s", sep, r->unit);
        sep = "; ";
    }
    if (sep[0] == ';') us_buf_addc(b, ')');
}

void us_opt_print_help(us_buf *b, const us_opt *rows, const char *prefix)
{
    for (const us_opt *r = rows; r->kind != US_OPT_END; r++) {
        size_t start = b->n;
        if (r->letter)
            us_buf_addf(b, "  -%c, --%s%s", r->letter, prefix, r->key);
        else
            us_buf_addf(b, "      --%s%s", prefix, r->key);
        const char *word = us_opt_kind_word(r->kind);
        if (r->kind == US_OPT_CHOICE)
            us_buf_addf(b, "=%s", r->choices);
        else if (word[0])
            us_buf_addf(b, "=%s",
                        r->unit && r->unit[0] &&
                                (r->kind == US_OPT_TEXT || r->kind == US_OPT_TEXTS)
                            ? r->unit
                            : word);
        if (b->n - start > 30) {
            us_buf_addc(b, '\n');
            start = b->n;
        }
        while (b->n - start < 32 && b->err == US_OK)
            us_buf_addc(b, ' ');
        us_buf_adds(b, r->help);
        add_range(b, r);
        us_buf_addc(b, '\n');
    }
}
