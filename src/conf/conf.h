/* conf/conf.h - the project file as one struct, filled from the option table.
 *
 * Precedence: defaults < project file < environment (USTA_TRAIN_LR) < flags (--train.lr=...). Every value remembers where it
 * came from. Adding a setting is a row in options.def; it then appears here as a field.
 */
#ifndef USTA_CONF_CONF_H
#define USTA_CONF_CONF_H

#include "conf/opt.h"

#define US_PROJECT_FILE "usta.yaml"

/* one struct per section and per record: us_conf_train, us_conf_requirement, ... */
/* clang-format off */
#define US_SECTION_BEGIN(name, help)                  typedef struct us_conf_##name {
#define US_SECTION_END(name)                          } us_conf_##name;
#define US_RECORD_BEGIN(name)                         typedef struct us_conf_##name {
#define US_RECORD_END(name)                           } us_conf_##name;
#define US_BOOL(S, field, k, def, help)                  bool field;
#define US_INT(S, field, k, def, lo, hi, unit, help)     int64_t field;
#define US_F64(S, field, k, def, lo, hi, unit, help)     double field;
#define US_TEXT(S, field, k, def, help)                  const char *field;
#define US_CHOICE(S, field, k, def, choices, help)       const char *field;
#define US_TEXTS(S, field, k, def, help)                 us_texts field;
#define US_INTS(S, field, k, def, lo, hi, unit, help)    us_intlist field;
#define US_TEXTMAP(S, field, k, def, help)               us_textmap field;
#define US_RECORDS(S, field, k, record, help)            struct { us_conf_##record *at; size_t n; } field;
#define US_RECORDMAP(S, field, k, record, help)          struct { const char **key; us_conf_##record *at; size_t n; } field;
#include "conf/options.def"
#include "conf/options_undef.h"
/* clang-format on */

typedef struct us_section {
    const char *name, *help;
    size_t offset;      /* in us_conf */
    const us_opt *rows; /* ends with US_OPT_END */
} us_section;

typedef struct us_conf {
    const char *path; /* project file; NULL: none */
    const char *dir;  /* its folder, "." without one: what relative paths start from */
    /* "train.lr" -> "usta.yaml:12", "environment USTA_TRAIN_LR", "flag --train.lr"; absent = default */
    json_t *origins;
/* clang-format off */
#define US_SECTION_BEGIN(name, help) us_conf_##name name;
#include "conf/options_empty.h"
#include "conf/options.def"
#include "conf/options_undef.h"
    /* clang-format on */
} us_conf;

const us_section *us_conf_sections(size_t *n); /* in the order of the lifecycle */
const us_section *us_conf_section_find(const char *name);

/* path NULL: no project file, defaults and the rest only. Everything lies in the arena. */
us_err us_conf_load(us_ctx *c, us_arena *a, const char *path, const us_setting *set,
                    size_t n_set, us_conf *out) US_MUST;
/* The same from a text in memory (tests, fuzzing). The environment is left out. */
us_err us_conf_parse(us_ctx *c, us_arena *a, const char *name, us_sv text,
                     us_conf *out) US_MUST;
/* usta.yaml in `start` or the nearest folder above it; US_NOTFOUND says where it looked. */
us_err us_conf_locate(us_ctx *c, us_arena *a, const char *start, char **path) US_MUST;
/* Where a value came from: "default", "usta.yaml:12", ... key: "train.lr". */
const char *us_conf_origin(const us_conf *conf, const char *key);
/* A section's effective values as JSON (a new reference); print it with us_json_print for hashing. */
us_err us_conf_section_json(us_ctx *c, const us_conf *conf, const char *name,
                            json_t **out) US_MUST;
/* A path of the project file: relative ones start from its folder. */
us_err us_conf_path(us_ctx *c, us_arena *a, const us_conf *conf, const char *path,
                    char **out) US_MUST;

/* --help of all sections; the commented file that `usta init` writes (given: values to put in, may be NULL: an
 * object per section). */
void us_conf_print_help(us_buf *b);
us_err us_conf_print_template(us_ctx *c, const json_t *given, us_buf *b) US_MUST;

#endif
