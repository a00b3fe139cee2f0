/* ir/text_attr.c - attributes in the text form: the way a value is written tells its kind. */
#include <string.h>

#include "base/ctx.h"
#include "ir/text_scan.h"

typedef US_VEC(us_attr) attr_vec;

static us_err tensor_value(us_scan *s, us_attr *a)
{
    us_type t;
    int64_t dims[US_MAX_RANK];
    us_tensor *v = us_new(s->m->arena, us_tensor);
    if (!v) return us_arena_fail(s->c, s->m->arena);
    US_TRY(us_scan_type(s, &t));
    if (t.kind != US_KIND_TENSOR || t.rank < 0 || t.dtype == US_DT_NONE)
        return us_scan_fail(s, "expected the type and shape of a tensor");
    for (int i = 0; i < t.rank; i++) {
        if (!us_dim_known(t.dims[i])) return us_scan_fail(s, "expected a known shape");
        dims[i] = t.dims[i].add;
    }
    us_err e = us_tensor_init(s->c, v, t.dtype, t.rank, dims, NULL);
    if (e != US_OK) return us_scan_fail(s, "this shape is not possible");
    US_TRY(us_scan_contents(s, v));
    *a = (us_attr){.kind = US_AT_TENSOR, .tensors = v, .n = 1};
    return US_OK;
}

static us_err graph_value(us_scan *s, us_graph *parent, us_attr *a)
{
    us_graph **v = us_new(s->m->arena, us_graph *);
    if (!v) return us_arena_fail(s->c, s->m->arena);
    US_TRY(us_graph_new(s->c, s->m, parent, (us_sv){0}, v));
    US_TRY(us_scan_graph(s, *v));
    *a = (us_attr){.kind = US_AT_GRAPH, .graphs = v, .n = 1};
    return US_OK;
}

static us_err type_value(us_scan *s, us_attr *a)
{
    us_type *v = us_new(s->m->arena, us_type);
    if (!v) return us_arena_fail(s->c, s->m->arena);
    US_TRY(us_scan_type(s, v));
    *a = (us_attr){.kind = US_AT_TYPE, .types = v, .n = 1};
    return US_OK;
}

static us_err raw_value(us_scan *s, us_attr *a)
{
    int64_t kind;
    US_TRY(us_scan_int(s, &kind));
    if (kind < US_AT_NONE || kind > US_AT_TYPES) return us_scan_fail(s, "no such kind");
    *a = (us_attr){.kind = (int32_t)kind};
    return us_scan_hex(s, &a->raw);
}

static us_err number(us_scan *s, us_attr *a)
{
    us_scan_space(s);
    const char *was = s->p;
    us_sv t = us_scan_token(s);
    double d;
    int64_t i;
    if (us_parse_i64(t, &i)) {
        *a = (us_attr){.kind = US_AT_INT, .i = i};
        return US_OK;
    }
    if (us_parse_f64(t, &d)) {
        *a = (us_attr){.kind = US_AT_FLOAT};
        us_dtype_get(US_F32)->from_f64(&a->f, 0, 1, &d);
        return US_OK;
    }
    s->p = was;
    return us_scan_fail(s, "expected the value of an attribute");
}

/* A sub-graph may be written without the word graph: name (...) -> (...) {...}. */
static bool at_graph(us_scan *s)
{
    const char *was = s->p;
    (void)us_scan_token(s);
    us_scan_space(s);
    bool yes = us_scan_at(s, '(');
    s->p = was;
    return yes;
}

/* One value that is no list. */
static us_err single(us_scan *s, us_graph *parent, us_attr *a)
{
    us_scan_space(s);
    if (us_scan_at(s, '"')) {
        *a = (us_attr){.kind = US_AT_STRING};
        return us_scan_name(s, &a->s, NULL);
    }
    if (us_scan_word(s, "tensor")) return tensor_value(s, a);
    if (us_scan_word(s, "graph") || at_graph(s)) return graph_value(s, parent, a);
    if (us_scan_word(s, "type")) return type_value(s, a);
    if (us_scan_word(s, "raw")) return raw_value(s, a);
    return number(s, a);
}

/* The list kind of an element's kind. */
static int32_t list_kind(int32_t kind)
{
    static const int32_t kinds[] = {
        [US_AT_FLOAT] = US_AT_FLOATS,   [US_AT_INT] = US_AT_INTS,
        [US_AT_STRING] = US_AT_STRINGS, [US_AT_TENSOR] = US_AT_TENSORS,
        [US_AT_GRAPH] = US_AT_GRAPHS,   [US_AT_TYPE] = US_AT_TYPES,
    };
    return kind >= 0 && (size_t)kind < US_LEN(kinds) ? kinds[kind] : 0;
}

static us_err collect(us_scan *s, const us_attr *items, size_t n, int32_t kind, us_attr *a)
{
    us_arena *m = s->m->arena;
    *a = (us_attr){.kind = kind, .n = n};
    int64_t *ints = kind == US_AT_INTS ? us_new_n(m, int64_t, n) : NULL;
    float *floats = kind == US_AT_FLOATS ? us_new_n(m, float, n) : NULL;
    us_sv *strs = kind == US_AT_STRINGS ? us_new_n(m, us_sv, n) : NULL;
    if (kind == US_AT_TENSORS) a->tensors = us_new_n(m, us_tensor, n);
    if (kind == US_AT_GRAPHS) a->graphs = us_new_n(m, us_graph *, n);
    if (kind == US_AT_TYPES) a->types = us_new_n(m, us_type, n);
    if (!ints && !floats && !strs && !a->tensors && !a->graphs && !a->types)
        return us_arena_fail(s->c, m);
    for (size_t i = 0; i < n; i++) {
        if (ints) ints[i] = items[i].i;
        if (floats) floats[i] = items[i].f;
        if (strs) strs[i] = items[i].s;
        if (a->tensors) a->tensors[i] = items[i].tensors[0];
        if (a->graphs) a->graphs[i] = items[i].graphs[0];
        if (a->types) a->types[i] = items[i].types[0];
    }
    a->ints = ints;
    a->floats = floats;
    a->strs = strs;
    return US_OK;
}

static us_err list_value(us_scan *s, us_graph *parent, us_attr *a)
{
    attr_vec items = {0};
    while (!us_scan_take(s, ']')) {
        us_attr item;
        if (items.n) US_TRY(us_scan_expect(s, ','));
        US_TRY(single(s, parent, &item));
        if (!list_kind(item.kind) || (items.n && items.at[0].kind != item.kind))
            return us_scan_fail(s, "elements of a list are of one kind");
        US_TRY(us_vec_push(s->c, s->m->arena, &items, item));
    }
    if (!items.n) return us_scan_fail(s, "an empty list says its kind: ints[]");
    return collect(s, items.at, items.n, list_kind(items.at[0].kind), a);
}

/* ints[] and the like. */
static bool empty_list(us_scan *s, int32_t *kind)
{
    for (size_t k = 0; k < US_LEN(us_text_empty); k++) {
        const char *word = us_text_empty[k];
        size_t n = word ? strlen(word) : 0;
        if (!n || (size_t)(s->end - s->p) <= n || memcmp(s->p, word, n) != 0) continue;
        if (s->p[n] != ']') continue;
        s->p += n + 1;
        *kind = (int32_t)k;
        return true;
    }
    return false;
}

static us_err value(us_scan *s, us_graph *parent, us_attr *a)
{
    int32_t kind;
    us_scan_space(s);
    if (us_scan_take(s, '$')) { /* a parameter of the function */
        int64_t k;
        us_sv ref;
        US_TRY(us_scan_int(s, &k));
        US_TRY(us_scan_name(s, &ref, NULL));
        if (k < US_AT_NONE || k > US_AT_TYPES || !ref.n) return us_scan_fail(s, "no such kind");
        *a = (us_attr){.kind = (int32_t)k, .ref = ref};
        return US_OK;
    }
    if (us_scan_take(s, '[')) return list_value(s, parent, a);
    if (empty_list(s, &kind)) return collect(s, NULL, 0, kind, a);
    return single(s, parent, a);
}

us_err us_scan_attrs(us_scan *s, us_graph *parent, us_attr **out, uint32_t *n)
{
    attr_vec v = {0};
    *out = NULL;
    *n = 0;
    if (!us_scan_take(s, '{')) return US_OK;
    while (!us_scan_take(s, '}')) {
        us_sv name;
        us_attr a;
        if (v.n) US_TRY(us_scan_expect(s, ','));
        US_TRY(us_scan_name(s, &name, NULL));
        US_TRY(us_scan_expect(s, '='));
        US_TRY(value(s, parent, &a));
        a.name = name;
        if (!name.n) return us_scan_fail(s, "an attribute without a name");
        for (size_t i = 0; i < v.n; i++)
            if (us_sv_eq(v.at[i].name, name))
                return us_scan_fail(s, "an attribute is given twice");
        if (v.n >= 4096) return us_scan_fail(s, "too many attributes");
        US_TRY(us_vec_push(s->c, s->m->arena, &v, a));
    }
    *out = v.at;
    *n = (uint32_t)v.n;
    return US_OK;
}
