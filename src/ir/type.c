/* ir/type.c - types of values: copies, equality, text form.
 *
 * Grammar of the text: type = "?" | dtype-or-"tensor" [ "[" dim,* "]" ] | "sparse(" tensor ")" | "seq(" type ")" |
 * "opt(" type ")" | "map(" dtype "," type ")"; dim = number | [number "*"] name [("+"|"-") number]; a name is
 * a word or 'quoted' with \xHH escapes. "tensor" stands for an element type not known.
 */
#include "ir/type.h"

#include <string.h>

#include "base/ctx.h"

us_type us_type_tensor(us_dtype dtype, int rank, us_dim *dims)
{
    return (us_type){US_KIND_TENSOR, dtype, rank, rank > 0 ? dims : NULL, NULL};
}

static us_err dup_at(us_ctx *c, us_arena *a, const us_type *t, int depth, us_type *out)
{
    if (depth > US_MAX_VALUE_DEPTH)
        return us_fail(c, US_LIMIT, "a type is nested deeper than %d", US_MAX_VALUE_DEPTH);
    us_type r = *t;
    r.dims = NULL;
    r.elem = NULL;
    if (t->rank > 0) {
        r.dims = us_new_n(a, us_dim, (size_t)t->rank);
        if (!r.dims) return us_arena_fail(c, a);
        memcpy(r.dims, t->dims, (size_t)t->rank * sizeof *r.dims);
    }
    if (t->elem) {
        us_type *elem = us_new(a, us_type);
        if (!elem) return us_arena_fail(c, a);
        US_TRY(dup_at(c, a, t->elem, depth + 1, elem));
        r.elem = elem;
    }
    *out = r;
    return US_OK;
}

us_err us_type_dup(us_ctx *c, us_arena *a, const us_type *t, us_type *out)
{
    return dup_at(c, a, t, 0, out);
}

bool us_type_eq(const us_type *a, const us_type *b)
{
    if (a->kind != b->kind || a->dtype != b->dtype) return false;
    if (a->kind == US_KIND_TENSOR || a->kind == US_KIND_SPARSE) {
        if (a->rank != b->rank) return false;
        for (int i = 0; i < a->rank; i++)
            if (!us_dim_eq(a->dims[i], b->dims[i])) return false;
    }
    if (!a->elem != !b->elem) return false;
    return !a->elem || us_type_eq(a->elem, b->elem);
}

/* Words in front of the element type, by kind. */
static const char *const kind_words[] = {
    [US_KIND_NONE] = "?",  [US_KIND_TENSOR] = "",      [US_KIND_SEQUENCE] = "seq",
    [US_KIND_MAP] = "map", [US_KIND_OPTIONAL] = "opt", [US_KIND_SPARSE] = "sparse",
};

static void print_tensor(const us_syms *s, const us_type *t, us_buf *b)
{
    us_buf_adds(b, t->dtype == US_DT_NONE ? "tensor" : us_dtype_get(t->dtype)->name);
    if (t->rank < 0) return;
    us_buf_addc(b, '[');
    for (int i = 0; i < t->rank; i++) {
        if (i) us_buf_addc(b, ',');
        us_dim_print(s, t->dims[i], b);
    }
    us_buf_addc(b, ']');
}

void us_type_print(const us_syms *s, const us_type *t, us_buf *b)
{
    static const us_type unknown = {.kind = US_KIND_NONE, .rank = -1};
    us_buf_adds(b, kind_words[t->kind]);
    if (t->kind == US_KIND_NONE) return;
    if (t->kind == US_KIND_TENSOR) {
        print_tensor(s, t, b);
        return;
    }
    us_buf_addc(b, '(');
    if (t->kind == US_KIND_SPARSE) {
        print_tensor(s, t, b);
    } else {
        if (t->kind == US_KIND_MAP)
            us_buf_addf(b, "%s,",
                        t->dtype == US_DT_NONE ? "tensor" : us_dtype_get(t->dtype)->name);
        us_type_print(s, t->elem ? t->elem : &unknown, b);
    }
    us_buf_addc(b, ')');
}

/* --- parsing ---------------------------------------------------------------------------------------- */

typedef struct scan {
    us_ctx *c;
    us_syms *syms;
    us_arena *arena;
    const char *p, *end;
} scan;

static bool take(scan *s, char ch)
{
    if (s->p == s->end || *s->p != ch) return false;
    s->p++;
    return true;
}

static us_err expect(scan *s, char ch)
{
    if (take(s, ch)) return US_OK;
    us_sv rest = {s->p, US_MIN((size_t)(s->end - s->p), (size_t)20)};
    return us_fail(s->c, US_FORMAT, "type: expected '%c' before '" US_SV_FMT "'", ch,
                   US_SV_ARG(rest));
}

static bool word_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_' || ch == '.' || ch == '?' || ch == ':' || ch == '/';
}

static us_sv word(scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && word_char(*s->p))
        s->p++;
    return (us_sv){from, (size_t)(s->p - from)};
}

static int hex(char ch)
{
    if (ch >= '0' && ch <= '9') return ch - '0';
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static us_err quoted(scan *s, us_sv *out)
{
    const char *close = s->p;
    while (close < s->end && *close != '\'')
        close++;
    char *z = us_new_n(s->arena, char, (size_t)(close - s->p) + 1);
    if (!z) return us_arena_fail(s->c, s->arena);
    size_t n = 0;
    while (s->p < close) {
        char ch = *s->p++;
        if (ch == '\\') {
            if (close - s->p < 3 || s->p[0] != 'x' || hex(s->p[1]) < 0 || hex(s->p[2]) < 0)
                return us_fail(s->c, US_FORMAT, "type: bad escape in a quoted name");
            ch = (char)(hex(s->p[1]) * 16 + hex(s->p[2]));
            s->p += 3;
        }
        z[n++] = ch;
    }
    *out = (us_sv){z, n};
    return expect(s, '\'');
}

static us_err integer(scan *s, int64_t *out)
{
    const char *from = s->p;
    if (s->p < s->end && (*s->p == '-' || *s->p == '+')) s->p++;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    us_sv t = {from, (size_t)(s->p - from)};
    if (t.n && t.p[0] == '+') {
        t.p++;
        t.n--;
    }
    if (us_parse_i64(t, out)) return US_OK;
    return us_fail(s->c, US_FORMAT, "type: '" US_SV_FMT "' is no dimension", US_SV_ARG(t));
}

static us_err dim(scan *s, us_dim *out)
{
    int64_t mul = 1, add = 0;
    char ch = s->p < s->end ? *s->p : 0;
    if ((ch >= '0' && ch <= '9') || ch == '-') {
        int64_t n;
        US_TRY(integer(s, &n));
        if (!take(s, '*')) {
            if (n > US_MAX_ELEMENTS || n < -US_MAX_ELEMENTS)
                return us_fail(s->c, US_FORMAT, "type: dimension %lld is out of range",
                               (long long)n);
            *out = US_DIM(n);
            return US_OK;
        }
        mul = n;
    }
    us_sv name;
    if (take(s, '\''))
        US_TRY(quoted(s, &name));
    else
        name = word(s);
    if (!name.n || mul < INT32_MIN || mul > INT32_MAX || mul == 0)
        return us_fail(s->c, US_FORMAT,
                       "type: a dimension is a number or [number*]name[+number]");
    if (s->p < s->end && (*s->p == '+' || *s->p == '-')) US_TRY(integer(s, &add));
    us_sym sym;
    US_TRY(us_syms_named(s->c, s->syms, name, &sym));
    *out = (us_dim){sym, (int32_t)mul, add};
    return US_OK;
}

static us_err tensor_type(scan *s, us_sv name, us_type *out)
{
    us_dtype dt = us_sv_is(name, "tensor") ? US_DT_NONE : us_dtype_find(name);
    if (dt == US_DT_NONE && !us_sv_is(name, "tensor"))
        return us_fail(s->c, US_FORMAT, "type: '" US_SV_FMT "' is no element type",
                       US_SV_ARG(name));
    us_dim dims[US_MAX_RANK];
    int rank = -1;
    if (take(s, '[')) {
        rank = 0;
        while (!take(s, ']')) {
            if (rank) US_TRY(expect(s, ','));
            while (take(s, ' ')) {
            }
            if (rank == US_MAX_RANK)
                return us_fail(s->c, US_FORMAT, "type: more than %d dimensions", US_MAX_RANK);
            US_TRY(dim(s, &dims[rank++]));
        }
    }
    us_type t = us_type_tensor(dt, rank, dims);
    return us_type_dup(s->c, s->arena, &t, out);
}

static us_err type_at(scan *s, int depth, us_type *out);

/* What stands in the parentheses of a kind that has them. */
static us_err inner(scan *s, us_kind kind, int depth, us_type *out)
{
    us_type t = {.kind = kind, .rank = -1};
    US_TRY(expect(s, '('));
    if (kind == US_KIND_SPARSE) {
        US_TRY(tensor_type(s, word(s), &t));
        t.kind = kind;
    } else {
        if (kind == US_KIND_MAP) {
            us_sv key = word(s);
            t.dtype = us_dtype_find(key);
            if (t.dtype == US_DT_NONE && !us_sv_is(key, "tensor")) /* a key type not known */
                return us_fail(s->c, US_FORMAT, "type: '" US_SV_FMT "' is no key type",
                               US_SV_ARG(key));
            US_TRY(expect(s, ','));
        }
        us_type *elem = us_new(s->arena, us_type);
        if (!elem) return us_arena_fail(s->c, s->arena);
        US_TRY(type_at(s, depth + 1, elem));
        t.elem = elem;
    }
    US_TRY(expect(s, ')'));
    *out = t;
    return US_OK;
}

static us_err type_at(scan *s, int depth, us_type *out)
{
    if (depth > US_MAX_VALUE_DEPTH)
        return us_fail(s->c, US_LIMIT, "type: nested deeper than %d", US_MAX_VALUE_DEPTH);
    while (take(s, ' ')) {
    }
    us_sv name = word(s);
    if (us_sv_is(name, "?")) {
        *out = (us_type){.kind = US_KIND_NONE, .rank = -1};
        return US_OK;
    }
    for (us_kind k = US_KIND_SEQUENCE; k <= US_KIND_SPARSE; k++)
        if (us_sv_is(name, kind_words[k])) return inner(s, k, depth, out);
    return tensor_type(s, name, out);
}

us_err us_type_scan(us_ctx *c, us_syms *syms, us_arena *a, us_sv *text, us_type *out)
{
    scan s = {c, syms, a, text->p, text->p + text->n};
    US_TRY(type_at(&s, 0, out));
    *text = (us_sv){s.p, (size_t)(s.end - s.p)};
    return US_OK;
}

us_err us_type_parse(us_ctx *c, us_syms *syms, us_arena *a, us_sv text, us_type *out)
{
    us_sv rest = text;
    us_type t;
    US_TRY(us_type_scan(c, syms, a, &rest, &t));
    if (rest.n)
        return us_fail(c, US_FORMAT, "type '" US_SV_FMT "': '" US_SV_FMT "' is left over",
                       US_SV_ARG(text), US_SV_ARG(rest));
    *out = t;
    return US_OK;
}
