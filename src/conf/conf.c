/* conf/conf.c - the rows of every section, and loading the project file through them.
 *
 * The structs of conf.h and the rows here are expansions of the same options.def, so a field without a row or a row
 * without a field cannot exist.
 */
#include "conf/conf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* ---- the rows ---- */
/* clang-format off */
#define END_ROW {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}
#define ROW(kind, S, field, k, def, lo, hi, unit, choices, record, help) \
    {kind, 0, k, offsetof(us_conf_##S, field), def, lo, hi, unit, choices, record, help},
#define US_SECTION_BEGIN(S, help)                         static const us_opt S##_rows[] = {
#define US_SECTION_END(S)                                 END_ROW};
#define US_RECORD_BEGIN(S)                                static const us_opt S##_rows[] = {
#define US_RECORD_END(S)                                  END_ROW}; \
    static const us_record_def S##_record = {#S, sizeof(us_conf_##S), S##_rows};
#define US_BOOL(S, field, k, def, help)                   ROW(US_OPT_BOOL, S, field, k, def, 0, 0, "", "", NULL, help)
#define US_INT(S, field, k, def, lo, hi, unit, help)      ROW(US_OPT_INT, S, field, k, def, lo, hi, unit, "", NULL, help)
#define US_F64(S, field, k, def, lo, hi, unit, help)      ROW(US_OPT_F64, S, field, k, def, lo, hi, unit, "", NULL, help)
#define US_TEXT(S, field, k, def, help)                   ROW(US_OPT_TEXT, S, field, k, def, 0, 0, "", "", NULL, help)
#define US_CHOICE(S, field, k, def, choices, help)        ROW(US_OPT_CHOICE, S, field, k, def, 0, 0, "", choices, NULL, help)
#define US_TEXTS(S, field, k, def, help)                  ROW(US_OPT_TEXTS, S, field, k, def, 0, 0, "", "", NULL, help)
#define US_INTS(S, field, k, def, lo, hi, unit, help)     ROW(US_OPT_INTS, S, field, k, def, lo, hi, unit, "", NULL, help)
#define US_TEXTMAP(S, field, k, def, help)                ROW(US_OPT_TEXTMAP, S, field, k, def, 0, 0, "", "", NULL, help)
#define US_RECORDS(S, field, k, record, help)             ROW(US_OPT_RECORDS, S, field, k, "", 0, 0, "", "", &record##_record, help)
#define US_RECORDMAP(S, field, k, record, help)           ROW(US_OPT_RECORDMAP, S, field, k, "", 0, 0, "", "", &record##_record, help)
#include "conf/options.def"
#include "conf/options_undef.h"

static const us_section sections[] = {
#define US_SECTION_BEGIN(S, help) {#S, help, offsetof(us_conf, S), S##_rows},
#include "conf/options_empty.h"
#include "conf/options.def"
#include "conf/options_undef.h"
};
/* clang-format on */

const us_section *us_conf_sections(size_t *n)
{
    *n = US_LEN(sections);
    return sections;
}

const us_section *us_conf_section_find(const char *name)
{
    for (size_t i = 0; i < US_LEN(sections); i++)
        if (strcmp(sections[i].name, name) == 0) return &sections[i];
    return NULL;
}

static void *section_base(us_conf *conf, const us_section *s)
{
    return (char *)conf + s->offset;
}

static us_err unknown_section(us_ctx *c, const char *file, int line, us_sv name)
{
    const char *names[US_LEN(sections)];
    for (size_t i = 0; i < US_LEN(sections); i++)
        names[i] = sections[i].name;
    const char *near = us_nearest(name, names, US_LEN(names));
    if (near)
        return us_fail(c, US_ARG,
                       "%s: line %d: unknown section '" US_SV_FMT "'; did you mean '%s'?", file,
                       line, US_SV_ARG(name), near);
    return us_fail(c, US_ARG,
                   "%s: line %d: unknown section '" US_SV_FMT
                   "'; there are requirements, data, features, model, train, ...",
                   file, line, US_SV_ARG(name));
}

/* ---- layers of values ---- */

typedef struct note {
    us_arena *a;
    us_conf *conf;
    const us_section *section;
    const char *file;
    bool failed;
} note;

static bool note_origin(us_conf *conf, const us_section *s, const us_opt *r, const char *text)
{
    char key[128];
    const char *dot = r->key[0] ? "." : "";
    size_t n_s = strlen(s->name), n_d = strlen(dot), n_k = strlen(r->key);
    if (n_s + n_d + n_k >= sizeof key) return false;
    memcpy(key, s->name, n_s);
    memcpy(key + n_s, dot, n_d);
    memcpy(key + n_s + n_d, r->key, n_k + 1);
    return json_object_set_new(conf->origins, key, json_string(text)) == 0;
}

static void note_line(void *ud, size_t i_row, int line)
{
    note *n = ud;
    const char *base = strrchr(n->file, '/');
    const char *text = us_str_printf(n->a, "%s:%d", base ? base + 1 : n->file, line);
    if (!text || !note_origin(n->conf, n->section, &n->section->rows[i_row], text))
        n->failed = true;
}

static us_err defaults(us_ctx *c, us_arena *a, us_conf *conf)
{
    US_TRY(us_json_keep(c, a, conf->origins = json_object()));
    for (size_t i = 0; i < US_LEN(sections); i++)
        US_TRY(us_opt_defaults(c, a, sections[i].rows, section_base(conf, &sections[i])));
    return US_OK;
}

static us_err apply_yaml(us_ctx *c, us_arena *a, us_conf *conf, const us_yaml *root,
                         const char *file)
{
    if (root->kind != US_YAML_MAP)
        return us_fail(c, US_ARG, "%s: expected sections (data:, model:, train:, ...)", file);
    for (size_t i = 0; i < root->n; i++) {
        const us_section *s = NULL;
        for (size_t k = 0; k < US_LEN(sections); k++)
            if (us_sv_is(root->key[i]->text, sections[k].name)) s = &sections[k];
        if (!s) return unknown_section(c, file, root->key[i]->line, root->key[i]->text);
        note n = {a, conf, s, file, false};
        US_TRY(us_opt_set_map(c, a, s->rows, section_base(conf, s), root->at[i], file, s->name,
                              note_line, &n));
        if (n.failed) return us_nomem(c);
    }
    return US_OK;
}

/* USTA_DATA_SPLIT_KIND for data, split.kind. */
static char *env_name(us_arena *a, const us_section *s, const us_opt *r)
{
    char *z = us_str_printf(a, "USTA_%s%s%s", s->name, r->key[0] ? "_" : "", r->key);
    for (char *p = z; p && *p; p++) {
        if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
        if (*p == '.') *p = '_';
    }
    return z;
}

static us_err apply_environment(us_ctx *c, us_arena *a, us_conf *conf)
{
    for (size_t i = 0; i < US_LEN(sections); i++) {
        const us_section *s = &sections[i];
        for (const us_opt *r = s->rows; r->kind != US_OPT_END; r++) {
            us_mark m = us_arena_mark(a);
            char *name = env_name(a, s, r);
            if (!name) return us_arena_fail(c, a);
            const char *value = us_env(name);
            if (!value) {
                us_arena_reset(a, m);
                continue;
            }
            char *where = us_str_printf(a, "environment %s", name);
            if (!where) return us_arena_fail(c, a);
            US_TRY(
                us_opt_set_text(c, a, r, section_base(conf, s), us_sv_of(value), false, where));
            if (!note_origin(conf, s, r, where)) return us_nomem(c);
        }
    }
    return US_OK;
}

static us_err unknown_setting(us_ctx *c, us_arena *a, us_sv key)
{
    US_VEC(const char *) names = {0};
    for (size_t i = 0; i < US_LEN(sections); i++)
        for (const us_opt *r = sections[i].rows; r->kind != US_OPT_END; r++) {
            char *z =
                us_str_printf(a, "%s%s%s", sections[i].name, r->key[0] ? "." : "", r->key);
            if (!z) return us_arena_fail(c, a);
            US_TRY(us_vec_push(c, a, &names, z));
        }
    const char *near = us_nearest(key, names.at, names.n);
    if (near)
        return us_fail(c, US_ARG, "unknown setting '--" US_SV_FMT "'; did you mean '--%s'?",
                       US_SV_ARG(key), near);
    return us_fail(c, US_ARG, "unknown setting '--" US_SV_FMT "'", US_SV_ARG(key));
}

static us_err apply_setting(us_ctx *c, us_arena *a, us_conf *conf, const us_setting *set)
{
    for (size_t i = 0; i < US_LEN(sections); i++) {
        const us_section *s = &sections[i];
        size_t n = strlen(s->name);
        if (!us_sv_starts(set->key, s->name)) continue;
        us_sv rest = {set->key.p + n, set->key.n - n};
        if (rest.n && rest.p[0] != '.') continue;
        if (rest.n) rest = (us_sv){rest.p + 1, rest.n - 1};
        for (const us_opt *r = s->rows; r->kind != US_OPT_END; r++) {
            if (!us_sv_is(rest, r->key)) continue;
            char *where = us_str_printf(a, "flag --" US_SV_FMT, US_SV_ARG(set->key));
            if (!where) return us_arena_fail(c, a);
            US_TRY(us_opt_set_text(c, a, r, section_base(conf, s), set->value, false, where));
            return note_origin(conf, s, r, where) ? US_OK : us_nomem(c);
        }
    }
    return unknown_setting(c, a, set->key);
}

us_err us_conf_load(us_ctx *c, us_arena *a, const char *path, const us_setting *set,
                    size_t n_set, us_conf *out)
{
    us_conf conf = {0};
    US_TRY(defaults(c, a, &conf));
    conf.dir = ".";
    if (path) {
        us_yaml *root = NULL;
        char *own = us_str_dup(a, us_sv_of(path)), *dir = us_path_dir(a, path);
        if (!own || !dir) return us_arena_fail(c, a);
        conf.path = own;
        conf.dir = dir;
        US_TRY(us_yaml_read(c, a, path, &root));
        US_TRY(apply_yaml(c, a, &conf, root, path));
    }
    US_TRY(apply_environment(c, a, &conf));
    for (size_t i = 0; i < n_set; i++)
        US_TRY(apply_setting(c, a, &conf, &set[i]));
    *out = conf;
    return US_OK;
}

us_err us_conf_parse(us_ctx *c, us_arena *a, const char *name, us_sv text, us_conf *out)
{
    us_conf conf = {0};
    us_yaml *root = NULL;
    US_TRY(defaults(c, a, &conf));
    conf.dir = ".";
    US_TRY(us_yaml_parse(c, a, name, text, &root));
    US_TRY(apply_yaml(c, a, &conf, root, name));
    *out = conf;
    return US_OK;
}

/* ---- looking ---- */

us_err us_conf_locate(us_ctx *c, us_arena *a, const char *start, char **path)
{
    char dir[PATH_MAX];
    char *file = strcmp(start, ".") == 0 ? us_str_dup(a, US_SV(US_PROJECT_FILE))
                                         : us_path_join(a, start, US_PROJECT_FILE);
    if (!file) return us_arena_fail(c, a);
    if (!us_path_exists(file)) file = NULL;
    if (!realpath(start, dir))
        return us_fail(c, US_NOTFOUND, "folder '%s' is not there", start);
    while (!file && dir[1]) {
        char *slash = strrchr(dir, '/');
        slash[slash == dir ? 1 : 0] = 0;
        char *up = us_path_join(a, dir, US_PROJECT_FILE);
        if (!up) return us_arena_fail(c, a);
        if (us_path_exists(up)) file = up;
    }
    if (!file)
        return us_fail(c, US_NOTFOUND,
                       "no %s in '%s' or any folder above it; `usta init` makes a project",
                       US_PROJECT_FILE, start);
    *path = file;
    return US_OK;
}

const char *us_conf_origin(const us_conf *conf, const char *key)
{
    return us_json_text_or(conf->origins, key, "default");
}

us_err us_conf_section_json(us_ctx *c, const us_conf *conf, const char *name, json_t **out)
{
    const us_section *s = us_conf_section_find(name);
    if (!s) return us_fail(c, US_BUG, "no section '%s'", name);
    return us_opt_json(c, s->rows, (const char *)conf + s->offset, out);
}

us_err us_conf_path(us_ctx *c, us_arena *a, const us_conf *conf, const char *path, char **out)
{
    bool plain = strcmp(conf->dir, ".") == 0 && path[0] != '/';
    char *z = plain ? us_str_dup(a, us_sv_of(path)) : us_path_join(a, conf->dir, path);
    if (!z) return us_arena_fail(c, a);
    *out = z;
    return US_OK;
}
