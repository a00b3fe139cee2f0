/* conf/yaml.h - a YAML text as a tree of nodes that remember their line.
 *
 * A small safe part of YAML 1.1 by libyaml: one document of mappings, sequences and scalars. Anchors, aliases, tags and merge
 * keys are refused (a project file needs none, and aliases are how a small file becomes a large tree). What a plain scalar
 * means (number, boolean, text) is decided by the option that takes it, so a column named `no` stays a column.
 */
#ifndef USTA_CONF_YAML_H
#define USTA_CONF_YAML_H

#include "base/ctx.h"
#include "base/str.h"

#define US_YAML_MAX_BYTES ((size_t)1 << 20)
#define US_YAML_MAX_DEPTH 32
#define US_YAML_MAX_NODES 100000

typedef enum us_yaml_kind { US_YAML_SCALAR, US_YAML_LIST, US_YAML_MAP } us_yaml_kind;

typedef struct us_yaml {
    us_yaml_kind kind;
    int line, column;     /* from 1 */
    bool quoted;          /* scalar in quotes, or a block: never null */
    us_sv text;           /* scalar */
    size_t n;             /* items of a list, pairs of a map */
    struct us_yaml **at;  /* items, or values of the pairs */
    struct us_yaml **key; /* scalars, all different; NULL for lists */
} us_yaml;

/* The tree lies in the arena. An empty text gives an empty map. name: for messages ("usta.yaml"). */
us_err us_yaml_parse(us_ctx *c, us_arena *a, const char *name, us_sv text,
                     us_yaml **out) US_MUST;
us_err us_yaml_read(us_ctx *c, us_arena *a, const char *path, us_yaml **out) US_MUST;
us_yaml *us_yaml_find(const us_yaml *map, const char *key); /* NULL: not there */
bool us_yaml_is_null(const us_yaml *y);                     /* plain empty, ~, null */

#endif
