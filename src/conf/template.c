/* conf/template.c - what is written about all settings at once: the commented project file of `usta init`, and --help.
 *
 * Every setting appears: those that were given with their value, the others as a comment with their default, so that the file
 * is its own manual and nothing in it can be out of date.
 */
#include <string.h>

#include "conf/conf.h"

#define COMMENT_COLUMN 40

/* Texts that YAML reads as themselves without quotes. */
static bool is_plain(us_sv s)
{
    if (!s.n || s.n > 200) return false;
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool word = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || ch == '_' || ch == '/';
        if (!word && !(i && (ch == '.' || ch == '-'))) return false;
    }
    return !us_sv_is(s, "null");
}

static us_err add_value(us_ctx *c, us_buf *b, const json_t *v)
{
    us_sv text = {json_string_value(v), json_string_length(v)};
    if (json_is_string(v) && is_plain(text)) {
        us_buf_addsv(b, text);
        return US_OK;
    }
    return us_json_print(c, v, b); /* JSON is flow YAML */
}

static void pad_to(us_buf *b, size_t line_start, size_t column)
{
    do
        us_buf_addc(b, ' ');
    while (b->n - line_start < column && b->err == US_OK);
}

static json_t *given_value(const json_t *section, const char *key)
{
    const char *dot = strchr(key, '.');
    if (!dot) return json_object_get(section, key);
    json_t *group = json_object_getn(section, key, (size_t)(dot - key));
    return json_object_get(group, dot + 1);
}

/* Has any row of the same group a value? Then the group's own line must not be a comment. */
static bool group_given(const json_t *section, const char *key)
{
    const char *dot = strchr(key, '.');
    return json_object_getn(section, key, (size_t)(dot - key)) != NULL;
}

static us_err print_row(us_ctx *c, us_buf *b, const us_opt *r, const json_t *section)
{
    json_t *v = given_value(section, r->key);
    const char *dot = strchr(r->key, '.');
    const char *name = dot ? dot + 1 : r->key;
    bool open_group = dot && group_given(section, r->key);
    size_t start = b->n;
    us_buf_adds(b, open_group ? "    " : "  ");
    if (!v) us_buf_adds(b, "# ");
    if (dot && !open_group) us_buf_adds(b, "  ");
    us_buf_addf(b, "%s: ", name);
    if (v)
        US_TRY(add_value(c, b, v));
    else
        us_buf_adds(b, r->kind == US_OPT_INTS && strchr(r->def, ',') ? "[" : "");
    if (!v) {
        us_buf_adds(b, r->def);
        if (r->kind == US_OPT_INTS && strchr(r->def, ',')) us_buf_addc(b, ']');
    }
    pad_to(b, start, COMMENT_COLUMN);
    us_buf_addf(b, "# %s", r->help);
    if (r->choices[0]) us_buf_addf(b, ": %s", r->choices);
    us_buf_addc(b, '\n');
    return us_buf_check(b);
}

static us_err print_section(us_ctx *c, us_buf *b, const us_section *s, const json_t *section)
{
    us_buf_addf(b, "\n# %s\n", s->help);
    if (!s->rows[0].key[0]) { /* the section is one list of records */
        us_buf_addf(b, "%s%s:\n", json_array_size(section) ? "" : "# ", s->name);
        for (size_t i = 0; i < json_array_size(section); i++) {
            us_buf_adds(b, "  - ");
            US_TRY(us_json_print(c, json_array_get(section, i), b));
            us_buf_addc(b, '\n');
        }
        for (const us_opt *r = s->rows[0].record->rows; r->kind != US_OPT_END; r++)
            us_buf_addf(b, "  #   %s: %s\n", r->key, r->help);
        return us_buf_check(b);
    }
    us_buf_addf(b, "%s:\n", s->name);
    const char *group = "";
    size_t n_group = 0;
    for (const us_opt *r = s->rows; r->kind != US_OPT_END; r++) {
        const char *dot = strchr(r->key, '.');
        size_t n = dot ? (size_t)(dot - r->key) : 0;
        if (dot && (n != n_group || strncmp(group, r->key, n) != 0))
            us_buf_addf(b, "  %s%.*s:\n", group_given(section, r->key) ? "" : "# ", (int)n,
                        r->key);
        group = r->key;
        n_group = n;
        US_TRY(print_row(c, b, r, section));
    }
    return us_buf_check(b);
}

us_err us_conf_print_template(us_ctx *c, const json_t *given, us_buf *b)
{
    us_buf_adds(b, "# A usta project: one section per stage of the lifecycle. `usta run` "
                   "executes it, `usta status`\n"
                   "# shows where it stands. Lines that are comments show a setting's default. "
                   "Settings can also be given\n"
                   "# as USTA_TRAIN_LR=0.01 in the environment or as --train.lr=0.01 on the "
                   "command line.\n");
    size_t n = 0;
    const us_section *s = us_conf_sections(&n);
    for (size_t i = 0; i < n; i++)
        US_TRY(print_section(c, b, &s[i], json_object_get(given, s[i].name)));
    return us_buf_check(b);
}

void us_conf_print_help(us_buf *b)
{
    size_t n = 0;
    const us_section *s = us_conf_sections(&n);
    for (size_t i = 0; i < n; i++) {
        us_buf_addf(b, "%s%s: %s\n", i ? "\n" : "", s[i].name, s[i].help);
        char prefix[64];
        size_t n_name = strlen(s[i].name);
        bool whole = !s[i].rows[0].key[0];
        memcpy(prefix, s[i].name, n_name);
        prefix[n_name] = whole ? 0 : '.';
        prefix[n_name + 1] = 0;
        us_opt_print_help(b, s[i].rows, prefix);
        if (whole)
            for (const us_opt *r = s[i].rows[0].record->rows; r->kind != US_OPT_END; r++)
                us_buf_addf(b, "          %-10s %s\n", r->key, r->help);
    }
}
