/* conf/yaml.c - libyaml's events into a tree with lines.
 *
 * Built by an explicit stack, not recursion, so depth is a bound we choose. Anchors, aliases and tags are refused when their event
 * comes: nothing is ever expanded. Duplicate keys of a mapping are refused, since one of the two would be silently lost.
 */
#include "conf/yaml.h"

#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/map.h"

typedef struct level {
    us_yaml *node;
    US_VEC(us_yaml *) at;
    US_VEC(us_yaml *) key;
    us_yaml *pending; /* key that waits for its value */
    us_map seen;      /* keys so far */
} level;

typedef struct builder {
    us_ctx *c;
    us_arena *a;
    const char *name;
    level stack[US_YAML_MAX_DEPTH];
    int depth;
    size_t n_nodes;
    us_yaml *root;
} builder;

static us_err fail_at(builder *b, us_err code, yaml_mark_t at, const char *what)
{
    return us_fail(b->c, code, "%s: line %zu, column %zu: %s", b->name, at.line + 1,
                   at.column + 1, what);
}

static us_err node_new(builder *b, us_yaml_kind kind, yaml_mark_t at, us_yaml **out)
{
    if (++b->n_nodes > US_YAML_MAX_NODES) return fail_at(b, US_LIMIT, at, "too many values");
    us_yaml *y = us_new(b->a, us_yaml);
    if (!y) return us_arena_fail(b->c, b->a);
    y->kind = kind;
    y->line = (int)at.line + 1;
    y->column = (int)at.column + 1;
    *out = y;
    return US_OK;
}

/* Put a node where the open level wants one: document root, item, key or value. */
static us_err place(builder *b, us_yaml *y, yaml_mark_t at)
{
    if (b->depth == 0) {
        b->root = y;
        return US_OK;
    }
    level *l = &b->stack[b->depth - 1];
    if (l->node->kind == US_YAML_LIST) return us_vec_push(b->c, b->a, &l->at, y);
    if (l->pending) {
        US_TRY(us_vec_push(b->c, b->a, &l->key, l->pending));
        US_TRY(us_vec_push(b->c, b->a, &l->at, y));
        l->pending = NULL;
        return US_OK;
    }
    if (y->kind != US_YAML_SCALAR)
        return fail_at(b, US_FORMAT, at, "a key must be a plain text");
    uint32_t was = US_MAP_NONE;
    US_TRY(us_map_put(b->c, &l->seen, y->text, (uint32_t)y->line, &was));
    if (was != US_MAP_NONE)
        return us_fail(b->c, US_FORMAT,
                       "%s: line %d: key '" US_SV_FMT
                       "' is there a second time (first in line %u)",
                       b->name, y->line, US_SV_ARG(y->text), was);
    l->pending = y;
    return US_OK;
}

static us_err open_level(builder *b, us_yaml_kind kind, yaml_mark_t at)
{
    us_yaml *y = NULL;
    US_TRY(node_new(b, kind, at, &y));
    US_TRY(place(b, y, at));
    if (b->depth == US_YAML_MAX_DEPTH) return fail_at(b, US_LIMIT, at, "nested too deep");
    level *l = &b->stack[b->depth++];
    memset(l, 0, sizeof *l);
    l->node = y;
    us_map_init(&l->seen, b->a);
    return US_OK;
}

static void close_level(builder *b)
{
    level *l = &b->stack[--b->depth];
    l->node->n = l->at.n;
    l->node->at = l->at.at;
    l->node->key = l->node->kind == US_YAML_MAP ? l->key.at : NULL;
}

static us_err scalar(builder *b, const yaml_event_t *ev)
{
    us_yaml *y = NULL;
    US_TRY(node_new(b, US_YAML_SCALAR, ev->start_mark, &y));
    y->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    us_sv text = {(const char *)ev->data.scalar.value, ev->data.scalar.length};
    if (memchr(text.p, 0, text.n))
        return fail_at(b, US_FORMAT, ev->start_mark, "a NUL character");
    US_TRY(us_sv_dup(b->c, b->a, text, &y->text));
    return place(b, y, ev->start_mark);
}

/* One event; *end is set at the end of the stream. */
static us_err take(builder *b, const yaml_event_t *ev, bool *end, int *n_docs)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (ev->type == YAML_SCALAR_EVENT) {
        anchor = ev->data.scalar.anchor;
        tag = ev->data.scalar.tag;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        anchor = ev->data.sequence_start.anchor;
        tag = ev->data.sequence_start.tag;
    } else if (ev->type == YAML_MAPPING_START_EVENT) {
        anchor = ev->data.mapping_start.anchor;
        tag = ev->data.mapping_start.tag;
    } else if (ev->type == YAML_ALIAS_EVENT) {
        return fail_at(b, US_UNSUPP, ev->start_mark,
                       "aliases (*name) are not taken here; write the value out");
    }
    if (anchor)
        return fail_at(b, US_UNSUPP, ev->start_mark,
                       "anchors (&name) are not taken here; write the value out");
    if (tag)
        return fail_at(b, US_UNSUPP, ev->start_mark,
                       "tags (!name) are not taken here; quote a text that begins with '!'");
    if (ev->type == YAML_STREAM_END_EVENT) *end = true;
    if (ev->type == YAML_DOCUMENT_START_EVENT && ++*n_docs > 1)
        return fail_at(b, US_FORMAT, ev->start_mark, "a second document; one is expected");
    if (ev->type == YAML_SCALAR_EVENT) return scalar(b, ev);
    if (ev->type == YAML_SEQUENCE_START_EVENT)
        return open_level(b, US_YAML_LIST, ev->start_mark);
    if (ev->type == YAML_MAPPING_START_EVENT) return open_level(b, US_YAML_MAP, ev->start_mark);
    if (ev->type == YAML_SEQUENCE_END_EVENT || ev->type == YAML_MAPPING_END_EVENT)
        close_level(b);
    return US_OK;
}

static us_err parser_error(builder *b, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR) return us_nomem(b->c);
    const char *what = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_READER_ERROR)
        return us_fail(b->c, US_FORMAT, "%s: byte %zu: %s", b->name, p->problem_offset, what);
    return us_fail(b->c, US_FORMAT, "%s: line %zu, column %zu: %s%s%s", b->name,
                   p->problem_mark.line + 1, p->problem_mark.column + 1, what,
                   p->context ? ", " : "", p->context ? p->context : "");
}

us_err us_yaml_parse(us_ctx *c, us_arena *a, const char *name, us_sv text, us_yaml **out)
{
    if (text.n > US_YAML_MAX_BYTES)
        return us_fail(c, US_LIMIT, "%s: %zu bytes of YAML, at most %zu are read", name, text.n,
                       US_YAML_MAX_BYTES);
    yaml_parser_t p;
    if (!yaml_parser_initialize(&p)) return us_nomem(c);
    yaml_parser_set_input_string(&p, (const unsigned char *)(text.n ? text.p : ""), text.n);
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    us_err e = US_OK;
    bool end = false;
    int n_docs = 0;
    builder *b = us_new(a, builder);
    if (!b) {
        e = us_arena_fail(c, a);
        goto out;
    }
    b->c = c;
    b->a = a;
    b->name = name;
    while (!end && e == US_OK) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&p, &ev)) {
            e = parser_error(b, &p);
            break;
        }
        e = take(b, &ev, &end, &n_docs);
        yaml_event_delete(&ev);
    }
    if (e != US_OK) goto out;
    if (!b->root || us_yaml_is_null(b->root)) {
        yaml_mark_t zero = {0, 0, 0};
        US_GO(node_new(b, US_YAML_MAP, zero, &b->root));
    }
    *out = b->root;
out:
    yaml_parser_delete(&p);
    return e;
}

us_err us_yaml_read(us_ctx *c, us_arena *a, const char *path, us_yaml **out)
{
    us_buf b;
    us_buf_init(&b, c, US_YAML_MAX_BYTES);
    us_err e = us_file_read(c, path, &b);
    if (e == US_OK) e = us_yaml_parse(c, a, path, us_buf_sv(&b), out);
    us_buf_deinit(&b);
    return e;
}

us_yaml *us_yaml_find(const us_yaml *map, const char *key)
{
    if (!map || map->kind != US_YAML_MAP) return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (us_sv_is(map->key[i]->text, key)) return map->at[i];
    return NULL;
}

bool us_yaml_is_null(const us_yaml *y)
{
    return y->kind == US_YAML_SCALAR && !y->quoted &&
           (y->text.n == 0 || us_sv_is(y->text, "~") || us_sv_is(y->text, "null"));
}
