/* conf/opt.h - options as rows of a table.
 *
 * One row says everything there is to know about one setting: kind, key, where its value lies in a struct, default, range,
 * unit, help. The project file, the environment, flags, --help, the file that `usta init` writes and the recorded
 * configuration are all read off the rows, so none of them can disagree. Two kinds of tables exist: the sections of the
 * project file (conf/options.def, conf/conf.h) and a command's own flags (src/cli/cmd_<name>.c).
 *
 * The default is a text that the same parser reads; "" means unset (NaN, US_UNSET, empty text, empty list).
 */
#ifndef USTA_CONF_OPT_H
#define USTA_CONF_OPT_H

#include "conf/json.h"
#include "conf/yaml.h"

#define US_UNSET                                                                               \
    INT64_MIN /* an integer nobody gave; the unset float is NaN, the unset text "" */

typedef struct us_texts {
    const char **at;
    size_t n;
} us_texts;
typedef struct us_intlist {
    int64_t *at;
    size_t n;
} us_intlist;
typedef struct us_textmap {
    const char **key;
    const char **at;
    size_t n;
} us_textmap;
/* What lies behind a list or a map of records: the typed twins are made by US_RECORDS and US_RECORDMAP in conf.h. */
typedef struct us_records {
    void *at;
    size_t n;
} us_records;
typedef struct us_recordmap {
    const char **key;
    void *at;
    size_t n;
} us_recordmap;

typedef enum us_opt_kind {
    US_OPT_BOOL,      /* bool */
    US_OPT_INT,       /* int64_t; also written 1e6, 10k is not taken */
    US_OPT_F64,       /* double */
    US_OPT_TEXT,      /* const char *, never NULL */
    US_OPT_CHOICE,    /* const char *, one of choices */
    US_OPT_TEXTS,     /* us_texts; in flags "a,b" or repeated or YAML "[a, b]" */
    US_OPT_INTS,      /* us_intlist; in flags "64,64" */
    US_OPT_TEXTMAP,   /* us_textmap; in flags "a=b,c=d" or YAML "{a: b}" */
    US_OPT_RECORDS,   /* us_records; in flags YAML "[{metric: accuracy, min: 0.9}]" */
    US_OPT_RECORDMAP, /* us_recordmap; in flags YAML */
    US_OPT_END
} us_opt_kind;

struct us_record_def;

typedef struct us_opt {
    us_opt_kind kind;
    char letter;     /* short flag of a command, 0 = none */
    const char *key; /* "lr", "split.kind"; "" = the section itself is the value */
    size_t offset;   /* in the section's or command's struct */
    const char *def; /* default as text, "" = unset */
    double lo, hi;   /* range of numbers, of each item of lists; lo == hi: any */
    /* "rows", "ms"; "" = none. For texts of commands: the word shown in help (FILE) */
    const char *unit;
    const char *choices; /* "random|stratified|time|group" */
    const struct us_record_def *record;
    const char *help;
} us_opt;

typedef struct us_record_def {
    const char *name;
    size_t size;
    const us_opt *rows; /* ends with US_OPT_END */
} us_record_def;

/* Set every row of a table to its default. rows end with US_OPT_END. what: "train", for messages. */
us_err us_opt_defaults(us_ctx *c, us_arena *a, const us_opt *rows, void *base) US_MUST;
/* Set one row from a text (flag, environment); where: "flag --train.lr", "environment USTA_TRAIN_LR". append: add to a list. */
us_err us_opt_set_text(us_ctx *c, us_arena *a, const us_opt *row, void *base, us_sv text,
                       bool append, const char *where) US_MUST;
/* Set rows from a mapping: dotted keys are groups, unknown keys are errors that name the nearest known key and
 * the line. what: "train" (for messages). set (may be NULL): called with each row index and line that was set. */
us_err us_opt_set_map(us_ctx *c, us_arena *a, const us_opt *rows, void *base,
                      const us_yaml *map, const char *file, const char *what,
                      void (*set)(void *ud, size_t i_row, int line), void *ud) US_MUST;
/* The values of a table as JSON: groups as objects, unset values left out. A new reference. */
us_err us_opt_json(us_ctx *c, const us_opt *rows, const void *base, json_t **out) US_MUST;
/* One value as JSON, NULL when unset. A new reference. */
us_err us_opt_value_json(us_ctx *c, const us_opt *row, const void *base, json_t **out) US_MUST;

/* Flags of a command: "--key=value", "--key value", "--flag", "--no-flag", "-k value", "-kvalue"; "--" ends them; "-" alone is
 * a positional. A key with a dot that is not a row is kept as a setting of the project file. Unknown ones are errors
 * that name the nearest. Positionals keep their order. argv's texts are borrowed. */
typedef struct us_setting {
    us_sv key, value;
} us_setting;
typedef struct us_args {
    const char **pos;
    size_t n_pos;
    us_setting *set;
    size_t n_set;
    bool help;
} us_args;
us_err us_args_parse(us_ctx *c, us_arena *a, const us_opt *const *tables, void *const *bases,
                     size_t n_tables, int argc, const char *const *argv, us_args *out) US_MUST;

/* Lines of --help for the rows of a table. prefix: "" or "train." */
void us_opt_print_help(us_buf *b, const us_opt *rows, const char *prefix);

#endif
