/* ir/dim.c - symbols and arithmetic on symbolic dimensions.
 *
 * A dimension that is not affine in one symbol gets an expression symbol: one defined as a sum, product, floored quotient,
 * minimum or maximum of dimensions. Expressions have a normal form, so that sizes computed in different ways are proved equal:
 *  - sums are flat: sorted terms, their common factor taken out, the constant outside;
 *  - products are flat: sorted factors, the number outside;
 *  - quotients: floor((k*q*s + r) / k) = q*s + floor(r / k); floor((floor(x / k) + r) / by) = floor((x + k*r) / (k*by));
 *    common factors of all but the constant go, and the constant inside is less than the divisor.
 * The name of an expression is its text, and the same text is the same symbol. Long ones (past MAX_EXPR) become fresh symbols.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/type.h"

#define MAX_EXPR  200 /* bytes of an expression symbol's name */
#define MAX_TERMS 16  /* of a sum or product in normal form */

bool us_dim_known(us_dim d)
{
    return d.sym == 0;
}

bool us_dim_is_any(us_dim d)
{
    return d.sym == UINT32_MAX;
}

bool us_dim_eq(us_dim a, us_dim b)
{
    return !us_dim_is_any(a) && a.sym == b.sym && a.add == b.add &&
           (a.sym == 0 || a.mul == b.mul);
}

us_err us_syms_init(us_ctx *c, us_syms *s, us_arena *a)
{
    *s = (us_syms){.arena = a};
    us_map_init(&s->by_name, a);
    US_TRY(us_vec_push(c, a, &s->defs, (us_sym_def){.op = US_SYM_NAME}));
    return us_vec_push(c, a, &s->names, (us_sv){"", 0});
}

us_err us_syms_named(us_ctx *c, us_syms *s, us_sv name, us_sym *out)
{
    if (!name.n) return us_syms_fresh(c, s, out);
    uint32_t at = us_map_get(&s->by_name, name);
    if (at == US_MAP_NONE) {
        us_sv copy;
        US_TRY(us_sv_dup(c, s->arena, name, &copy));
        if (s->names.n >= US_MAP_NONE) return us_fail(c, US_LIMIT, "too many symbols");
        at = (uint32_t)s->names.n;
        US_TRY(us_vec_push(c, s->arena, &s->defs, (us_sym_def){.op = US_SYM_NAME}));
        us_err e = us_vec_push(c, s->arena, &s->names, copy);
        if (e == US_OK) {
            e = us_map_put(c, &s->by_name, copy, at, NULL);
            if (e != US_OK) s->names.n--;
        }
        if (e != US_OK) {
            s->defs.n--;
            return e;
        }
    }
    *out = at;
    return US_OK;
}

us_err us_syms_fresh(us_ctx *c, us_syms *s, us_sym *out)
{
    for (;;) {
        char *name = us_str_printf(s->arena, "?%u", s->n_fresh++);
        if (!name) return us_arena_fail(c, s->arena);
        if (us_map_get(&s->by_name, us_sv_of(name)) == US_MAP_NONE)
            return us_syms_named(c, s, us_sv_of(name), out);
    }
}

us_err us_syms_take(us_ctx *c, us_syms *s, const us_syms *from)
{
    for (size_t i = s->names.n; i < from->names.n; i++) {
        us_sym at;
        US_TRY(us_syms_named(c, s, from->names.at[i], &at));
        s->defs.at[at] = from->defs.at[i];
    }
    s->n_fresh = from->n_fresh;
    return US_OK;
}

bool us_sym_made_up(const us_syms *s, us_sym sym)
{
    if (sym >= s->names.n) return true;
    const us_sym_def *d = &s->defs.at[sym];
    if (d->op == US_SYM_NAME) return us_sv_starts(s->names.at[sym], "?");
    return (d->a.sym && us_sym_made_up(s, d->a.sym)) ||
           (d->b.sym && us_sym_made_up(s, d->b.sym));
}

/* --- numbers ---------------------------------------------------------------------------------------------------- */

static bool add_i64(int64_t a, int64_t b, int64_t *out)
{
    if ((b > 0 && a > INT64_MAX - b) || (b < 0 && a < INT64_MIN - b)) return false;
    *out = a + b;
    return true;
}

static bool mul_i64(int64_t a, int64_t b, int64_t *out)
{
    if (a == 0 || b == 0) {
        *out = 0;
        return true;
    }
    if (a == INT64_MIN || b == INT64_MIN) return false;
    int64_t ua = a < 0 ? -a : a, ub = b < 0 ? -b : b;
    if (ua > INT64_MAX / ub) return false;
    *out = a * b;
    return true;
}

static int64_t floor_div(int64_t a, int64_t by)
{
    int64_t q = a / by;
    return a % by != 0 && ((a < 0) != (by < 0)) ? q - 1 : q;
}

/* mul * sym + add, in canonical form; false when the numbers do not fit. */
static bool affine(us_sym sym, int64_t mul, int64_t add, us_dim *out)
{
    if (mul < INT32_MIN || mul > INT32_MAX) return false;
    *out = mul == 0 ? US_DIM(add) : (us_dim){sym, (int32_t)mul, add};
    return true;
}

static us_err overflow(us_ctx *c)
{
    return us_fail(c, US_SHAPE, "a dimension does not fit into 64 bits");
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

/* --- expressions -------------------------------------------------------------------------------------------------- */

static bool same_def(const us_sym_def *x, us_sym_op op, us_dim a, us_dim b)
{
    return x->op == op && us_dim_eq(x->a, a) && us_dim_eq(x->b, b);
}

static void spell_operand(const us_syms *s, us_sym_op op, us_dim d, us_buf *t)
{
    us_sym_op in = d.sym && d.mul == 1 ? s->defs.at[d.sym].op : US_SYM_NAME;
    bool tight = op == US_SYM_PRODUCT || op == US_SYM_QUOTIENT;
    bool brackets =
        tight && d.sym &&
        (d.add || in == US_SYM_SUM || (op == US_SYM_PRODUCT && in == US_SYM_QUOTIENT));
    if (brackets) us_buf_addc(t, '(');
    us_dim_spell(s, d, t);
    if (brackets) us_buf_addc(t, ')');
}

static void spell_expression(const us_syms *s, us_sym_op op, us_dim a, us_dim b, us_buf *t)
{
    static const char *const signs[] = {
        [US_SYM_NAME] = "",      [US_SYM_SUM] = "+",  [US_SYM_PRODUCT] = "*",
        [US_SYM_QUOTIENT] = "/", [US_SYM_MIN] = ", ", [US_SYM_MAX] = ", "};
    bool call = op == US_SYM_MIN || op == US_SYM_MAX;
    if (call) us_buf_adds(t, op == US_SYM_MIN ? "min(" : "max(");
    spell_operand(s, op, a, t);
    if (op != US_SYM_SUM || !b.sym || b.mul >= 0) us_buf_adds(t, signs[op]);
    spell_operand(s, op, b, t);
    if (call) us_buf_addc(t, ')');
}

/* The symbol of an expression in normal form. A name that the file gave to something else is not taken. */
static us_err expression(us_ctx *c, us_syms *s, us_sym_op op, us_dim a, us_dim b, us_dim *out)
{
    us_buf t;
    us_sym sym = 0;
    us_buf_init(&t, c, (size_t)1 << 16);
    spell_expression(s, op, a, b, &t);
    us_err e = us_buf_check(&t);
    while (e == US_OK && t.n <= MAX_EXPR) {
        uint32_t at = us_map_get(&s->by_name, us_buf_sv(&t));
        if (at != US_MAP_NONE && !same_def(&s->defs.at[at], op, a, b)) {
            us_buf_addc(&t, ' ');
            e = us_buf_check(&t);
            continue;
        }
        e = us_syms_named(c, s, us_buf_sv(&t), &sym);
        if (e == US_OK) s->defs.at[sym] = (us_sym_def){op, a, b};
        break;
    }
    if (e == US_OK && !sym) e = us_syms_fresh(c, s, &sym);
    us_buf_deinit(&t);
    if (e == US_OK) *out = US_DIM_SYM(sym);
    return e;
}

/* --- sums ------------------------------------------------------------------------------------------------------------ */

typedef struct terms {
    us_dim at[MAX_TERMS]; /* sums: mul * sym; products: factors */
    size_t n;
    int64_t number; /* added or multiplied */
    bool fits;
} terms;

static void add_term(terms *t, us_sym sym, int64_t mul)
{
    size_t i = 0;
    while (i < t->n && t->at[i].sym < sym)
        i++;
    if (i < t->n && t->at[i].sym == sym) {
        us_dim d = US_DIM(0);
        t->fits = t->fits && affine(sym, (int64_t)t->at[i].mul + mul, 0, &d);
        if (d.sym) {
            t->at[i] = d;
            return;
        }
        t->n--;
        memmove(&t->at[i], &t->at[i + 1], (t->n - i) * sizeof *t->at);
        return;
    }
    if (t->n == MAX_TERMS || mul < INT32_MIN || mul > INT32_MAX) {
        t->fits = false;
        return;
    }
    memmove(&t->at[i + 1], &t->at[i], (t->n - i) * sizeof *t->at);
    t->at[i] = (us_dim){sym, (int32_t)mul, 0};
    t->n++;
}

static void open_sum(const us_syms *s, us_dim d, int64_t times, terms *t)
{
    int64_t add, mul;
    if (!mul_i64(d.add, times, &add) || !add_i64(t->number, add, &t->number) ||
        !mul_i64(d.sym ? d.mul : 0, times, &mul)) {
        t->fits = false;
        return;
    }
    if (!d.sym || !t->fits) return;
    const us_sym_def *def = &s->defs.at[d.sym];
    if (def->op != US_SYM_SUM) {
        add_term(t, d.sym, mul);
        return;
    }
    open_sum(s, def->a, mul, t);
    open_sum(s, def->b, mul, t);
}

static us_err close_sum(us_ctx *c, us_syms *s, terms *t, us_dim *out)
{
    if (t->n == 0) {
        *out = US_DIM(t->number);
        return US_OK;
    }
    int64_t common = 0;
    for (size_t i = 0; i < t->n; i++)
        common = gcd(t->at[i].mul, common);
    if (t->n == 1 || t->at[0].mul < 0) common = t->n == 1 ? t->at[0].mul : -common;
    us_dim sum = {t->at[0].sym, (int32_t)(t->at[0].mul / common), 0};
    for (size_t i = 1; i < t->n; i++) {
        us_dim term = {t->at[i].sym, (int32_t)(t->at[i].mul / common), 0};
        US_TRY(expression(c, s, US_SYM_SUM, sum, term, &sum));
    }
    *out = (us_dim){sum.sym, (int32_t)common, t->number};
    return US_OK;
}

us_err us_dim_add(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    terms t = {.fits = true};
    int64_t add;
    if (!add_i64(a.add, b.add, &add)) return overflow(c);
    open_sum(s, a, 1, &t);
    open_sum(s, b, 1, &t);
    if (t.fits) return close_sum(c, s, &t, out);
    bool swap = a.sym > b.sym; /* one spelling for a + b and b + a */
    return expression(c, s, US_SYM_SUM, swap ? b : a, swap ? a : b, out);
}

us_err us_dim_sub(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    us_dim minus;
    US_TRY(us_dim_mul(c, s, b, US_DIM(-1), &minus));
    return us_dim_add(c, s, a, minus, out);
}

/* --- products ---------------------------------------------------------------------------------------------------------- */

static bool before(us_dim a, us_dim b)
{
    if (a.sym != b.sym) return a.sym < b.sym;
    return a.mul != b.mul ? a.mul < b.mul : a.add < b.add;
}

static void open_product(const us_syms *s, us_dim d, terms *t)
{
    if (!d.sym || !d.add) { /* a number times a symbol, or a number */
        t->fits = t->fits && mul_i64(t->number, d.sym ? d.mul : d.add, &t->number);
        if (!d.sym || !t->fits) return;
        d.mul = 1;
        const us_sym_def *def = &s->defs.at[d.sym];
        if (def->op == US_SYM_PRODUCT) {
            open_product(s, def->a, t);
            open_product(s, def->b, t);
            return;
        }
    }
    if (t->n == MAX_TERMS) {
        t->fits = false;
        return;
    }
    size_t i = t->n++;
    for (; i > 0 && before(d, t->at[i - 1]); i--)
        t->at[i] = t->at[i - 1];
    t->at[i] = d;
}

static us_err close_product(us_ctx *c, us_syms *s, terms *t, us_dim *out)
{
    us_dim all = t->n ? t->at[0] : US_DIM(1);
    int64_t mul, add;
    for (size_t i = 1; i < t->n; i++)
        US_TRY(expression(c, s, US_SYM_PRODUCT, all, t->at[i], &all));
    if (!mul_i64(all.add, t->number, &add) || !mul_i64(all.sym ? all.mul : 0, t->number, &mul))
        return overflow(c);
    if (affine(all.sym, mul, add, out)) return US_OK;
    return expression(c, s, US_SYM_PRODUCT, all, US_DIM(t->number), out);
}

us_err us_dim_mul(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    if (!a.sym || !b.sym) {
        int64_t k = a.sym ? b.add : a.add, mul, add; /* the constant factor */
        us_dim d = a.sym ? a : b;
        if (!mul_i64(d.add, k, &add)) return overflow(c);
        if (!mul_i64(d.sym ? (int64_t)d.mul : 0, k, &mul)) return overflow(c);
        if (affine(d.sym, mul, add, out)) return US_OK;
        return expression(c, s, US_SYM_PRODUCT, d, US_DIM(k), out);
    }
    terms t = {.number = 1, .fits = true};
    open_product(s, a, &t);
    open_product(s, b, &t);
    if (t.fits) return close_product(c, s, &t, out);
    bool swap = before(b, a);
    return expression(c, s, US_SYM_PRODUCT, swap ? b : a, swap ? a : b, out);
}

us_err us_dim_ratio(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out, bool *done)
{
    terms x = {.number = 1, .fits = true}, y = x;
    *done = false;
    if (!b.sym) { /* whatever the form of a */
        if (b.add <= 0) return US_OK;
        *done = true;
        return us_dim_div(c, s, a, b.add, out);
    }
    open_product(s, a, &x);
    open_product(s, b, &y);
    if (!x.fits || !y.fits || y.number <= 0) return US_OK;
    for (size_t i = 0; i < y.n; i++) {
        size_t j = 0;
        while (j < x.n && !us_dim_eq(x.at[j], y.at[i]))
            j++;
        if (j == x.n) return US_OK;
        x.n--;
        memmove(&x.at[j], &x.at[j + 1], (x.n - j) * sizeof *x.at);
    }
    us_dim rest;
    US_TRY(close_product(c, s, &x, &rest));
    *done = true;
    return us_dim_div(c, s, rest, y.number, out);
}

/* --- quotients ----------------------------------------------------------------------------------------------------------- */

us_err us_dim_div(us_ctx *c, us_syms *s, us_dim a, int64_t by, us_dim *out)
{
    int64_t k, r, all;
    if (by == 0) return us_fail(c, US_SHAPE, "a dimension is divided by zero");
    if (by == -1 && a.add == INT64_MIN) return overflow(c);
    if (a.sym == 0) {
        *out = US_DIM(floor_div(a.add, by));
        return US_OK;
    }
    if (by < 0) return expression(c, s, US_SYM_QUOTIENT, a, US_DIM(by), out);
    if (a.mul % by == 0 && affine(a.sym, a.mul / by, floor_div(a.add, by), out)) return US_OK;
    us_sym_def def = s->defs.at[a.sym];
    if (def.op == US_SYM_QUOTIENT && a.mul == 1 && def.b.add > 0) {
        k = def.b.add;
        if (mul_i64(a.add, k, &r) && mul_i64(k, by, &all)) {
            us_dim x;
            US_TRY(us_dim_add(c, s, def.a, US_DIM(r), &x));
            return us_dim_div(c, s, x, all, out);
        }
    }
    k = gcd(a.mul, by);
    by /= k;
    us_dim part = {a.sym, (int32_t)(a.mul / k), floor_div(a.add, k)};
    int64_t whole = floor_div(part.add, by);
    part.add -= whole * by;
    US_TRY(expression(c, s, US_SYM_QUOTIENT, part, US_DIM(by), out));
    out->add = whole;
    return US_OK;
}

/* --- bounds -------------------------------------------------------------------------------------------------------------- */

static bool symbol_least(const us_syms *s, us_sym sym, int64_t *out)
{
    const us_sym_def *d = &s->defs.at[sym];
    int64_t x = 0, y = 0;
    if (d->op == US_SYM_NAME) {
        *out = 0;
        return true;
    }
    bool a = us_dim_least(s, d->a, &x), b = us_dim_least(s, d->b, &y);
    if (d->op == US_SYM_MAX && (a || b)) {
        *out = a && b ? US_MAX(x, y) : a ? x : y;
        return true;
    }
    if (!a || !b) return false;
    if (d->op == US_SYM_SUM) return add_i64(x, y, out);
    if (d->op == US_SYM_PRODUCT) return x >= 0 && y >= 0 && mul_i64(x, y, out);
    if (d->op == US_SYM_QUOTIENT && d->b.add <= 0) return false;
    *out = d->op == US_SYM_QUOTIENT ? floor_div(x, d->b.add) : US_MIN(x, y);
    return true;
}

bool us_dim_least(const us_syms *s, us_dim d, int64_t *out)
{
    int64_t x;
    if (us_dim_is_any(d)) return false;
    if (!d.sym) {
        *out = d.add;
        return true;
    }
    return d.mul >= 0 && symbol_least(s, d.sym, &x) && mul_i64(x, d.mul, &x) &&
           add_i64(x, d.add, out);
}

/* The lesser (sign -1) or greater (+1) of two. */
static us_err extreme(us_ctx *c, us_syms *s, us_sym_op op, us_dim a, us_dim b, us_dim *out)
{
    us_dim over, under;
    int64_t least;
    if (us_dim_eq(a, b)) {
        *out = a;
        return US_OK;
    }
    US_TRY(us_dim_sub(c, s, a, b, &over));
    US_TRY(us_dim_sub(c, s, b, a, &under));
    bool a_more = us_dim_least(s, over, &least) && least >= 0,
         b_more = us_dim_least(s, under, &least) && least >= 0;
    if (a_more || b_more) {
        *out = a_more == (op == US_SYM_MAX) ? a : b;
        return US_OK;
    }
    bool swap = before(b, a);
    return expression(c, s, op, swap ? b : a, swap ? a : b, out);
}

us_err us_dim_min(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    return extreme(c, s, US_SYM_MIN, a, b, out);
}

us_err us_dim_max(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    return extreme(c, s, US_SYM_MAX, a, b, out);
}

static bool symbol_eval(const us_syms *s, us_sym sym, const int64_t *sizes, int64_t *out)
{
    const us_sym_def *d = &s->defs.at[sym];
    int64_t x, y;
    if (d->op == US_SYM_NAME) {
        *out = sizes[sym];
        return *out >= 0;
    }
    if (!us_dim_eval(s, d->a, sizes, &x) || !us_dim_eval(s, d->b, sizes, &y)) return false;
    if (d->op == US_SYM_SUM) return add_i64(x, y, out);
    if (d->op == US_SYM_PRODUCT) return mul_i64(x, y, out);
    if (d->op == US_SYM_QUOTIENT && (y == 0 || (y == -1 && x == INT64_MIN))) return false;
    *out = d->op == US_SYM_QUOTIENT ? floor_div(x, y)
           : d->op == US_SYM_MIN    ? US_MIN(x, y)
                                    : US_MAX(x, y);
    return true;
}

bool us_dim_eval(const us_syms *s, us_dim d, const int64_t *sizes, int64_t *out)
{
    int64_t x;
    if (us_dim_is_any(d)) return false;
    if (!d.sym) {
        *out = d.add;
        return true;
    }
    return symbol_eval(s, d.sym, sizes, &x) && mul_i64(x, d.mul, &x) && add_i64(x, d.add, out);
}

/* --- printing -------------------------------------------------------------------------------------------------------------- */

/* A name that needs no quotes: a word of letters, digits and _ . ? : /, not beginning with a digit. */
static bool plain(us_sv s)
{
    if (!s.n || (s.p[0] >= '0' && s.p[0] <= '9')) return false;
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool word = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || ch == '_' || ch == '.' || ch == '?' ||
                    ch == ':' || ch == '/';
        if (!word) return false;
    }
    return true;
}

static void print_name(us_sv s, us_buf *b)
{
    if (plain(s)) {
        us_buf_addsv(b, s);
        return;
    }
    us_buf_addc(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '\'' || ch == '\\' || ch < 32 || ch == 127)
            us_buf_addf(b, "\\x%02x", ch);
        else
            us_buf_addc(b, (char)ch);
    }
    us_buf_addc(b, '\'');
}

static us_sv name_of(const us_syms *s, us_sym sym)
{
    return sym < s->names.n ? s->names.at[sym] : US_SV("?");
}

void us_dim_print(const us_syms *s, us_dim d, us_buf *b)
{
    if (d.sym == 0) {
        us_buf_addf(b, "%lld", (long long)d.add);
        return;
    }
    if (d.mul != 1) us_buf_addf(b, "%d*", (int)d.mul);
    print_name(name_of(s, d.sym), b);
    if (d.add) us_buf_addf(b, "%+lld", (long long)d.add);
}

void us_dim_spell(const us_syms *s, us_dim d, us_buf *b)
{
    if (d.sym == 0) {
        us_buf_addf(b, "%lld", (long long)d.add);
        return;
    }
    us_sym_op op = d.sym < s->defs.n ? s->defs.at[d.sym].op : US_SYM_NAME;
    bool brackets = d.mul != 1 && (op == US_SYM_SUM || op == US_SYM_QUOTIENT);
    if (d.mul == -1)
        us_buf_addc(b, '-');
    else if (d.mul != 1)
        us_buf_addf(b, "%d*", (int)d.mul);
    if (brackets) us_buf_addc(b, '(');
    us_buf_addsv(b, name_of(s, d.sym));
    if (brackets) us_buf_addc(b, ')');
    if (d.add) us_buf_addf(b, "%+lld", (long long)d.add);
}
