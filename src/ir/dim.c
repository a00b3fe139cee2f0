/* ir/dim.c - symbols and arithmetic on symbolic dimensions.
 *
 * A dimension that is not affine in one symbol gets an expression symbol: a symbol whose name is the
 * expression in a fixed spelling. The same expression over the same symbols so gives the same symbol, and
 * two values computed alike are proved equal. Long expressions (past MAX_EXPR) become fresh symbols.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/type.h"

#define MAX_EXPR 200 /* bytes of an expression symbol's name */

bool us_dim_known(us_dim d)
{
    return d.sym == 0;
}

bool us_dim_eq(us_dim a, us_dim b)
{
    return a.sym == b.sym && a.add == b.add && (a.sym == 0 || a.mul == b.mul);
}

us_err us_syms_init(us_ctx *c, us_syms *s, us_arena *a)
{
    *s = (us_syms){.arena = a};
    us_map_init(&s->by_name, a);
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
        US_TRY(us_vec_push(c, s->arena, &s->names, copy));
        us_err e = us_map_put(c, &s->by_name, copy, at, NULL);
        if (e != US_OK) {
            s->names.n--;
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

/* The symbol that stands for the expression `front a mid b back`. */
static us_err expression(us_ctx *c, us_syms *s, us_dim a, const char *mid, us_dim b,
                         us_dim *out)
{
    us_buf t;
    us_buf_init(&t, c, (size_t)1 << 16);
    us_dim_print(s, a, &t);
    us_buf_adds(&t, mid);
    us_dim_print(s, b, &t);
    us_sym sym = 0;
    us_err e = us_buf_check(&t);
    if (e == US_OK)
        e = t.n > MAX_EXPR ? us_syms_fresh(c, s, &sym)
                           : us_syms_named(c, s, us_buf_sv(&t), &sym);
    us_buf_deinit(&t);
    if (e == US_OK) *out = US_DIM_SYM(sym);
    return e;
}

us_err us_dim_add(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    int64_t add;
    if (!add_i64(a.add, b.add, &add)) return overflow(c);
    if (!a.sym || !b.sym || a.sym == b.sym) {
        us_sym sym = a.sym ? a.sym : b.sym;
        int64_t mul = (a.sym ? (int64_t)a.mul : 0) + (b.sym ? (int64_t)b.mul : 0);
        if (affine(sym, mul, add, out)) return US_OK;
    }
    bool swap = a.sym > b.sym; /* one spelling for a + b and b + a */
    return expression(c, s, swap ? b : a, " + ", swap ? a : b, out);
}

us_err us_dim_mul(us_ctx *c, us_syms *s, us_dim a, us_dim b, us_dim *out)
{
    if (a.sym && b.sym) {
        bool swap = a.sym > b.sym || (a.sym == b.sym && a.mul > b.mul);
        return expression(c, s, swap ? b : a, " * ", swap ? a : b, out);
    }
    int64_t k = a.sym ? b.add : a.add; /* the constant factor */
    us_dim d = a.sym ? a : b;
    int64_t mul, add;
    if (!mul_i64(d.add, k, &add)) return overflow(c);
    if (!mul_i64(d.sym ? (int64_t)d.mul : 0, k, &mul)) return overflow(c);
    if (affine(d.sym, mul, add, out)) return US_OK;
    return expression(c, s, d, " * ", US_DIM(k), out);
}

us_err us_dim_div(us_ctx *c, us_syms *s, us_dim a, int64_t by, us_dim *out)
{
    if (by == 0) return us_fail(c, US_SHAPE, "a dimension is divided by zero");
    if (by == -1 && a.add == INT64_MIN) return overflow(c);
    if (a.sym == 0) {
        *out = US_DIM(floor_div(a.add, by));
        return US_OK;
    }
    /* floor((m*k*s + r) / k) = m*s + floor(r / k), m*s being whole */
    if (a.mul % by == 0 && affine(a.sym, a.mul / by, floor_div(a.add, by), out)) return US_OK;
    return expression(c, s, a, " / ", US_DIM(by), out);
}

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

void us_dim_print(const us_syms *s, us_dim d, us_buf *b)
{
    if (d.sym == 0) {
        us_buf_addf(b, "%lld", (long long)d.add);
        return;
    }
    if (d.mul != 1) us_buf_addf(b, "%d*", (int)d.mul);
    print_name(d.sym < s->names.n ? s->names.at[d.sym] : US_SV("?"), b);
    if (d.add) us_buf_addf(b, "%+lld", (long long)d.add);
}
