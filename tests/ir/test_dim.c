/* Arithmetic on symbolic dimensions: normal forms, bounds, values under sizes. */
#include "us_test.h"

#include "ir/type.h"

typedef struct fixture {
    us_ctx c;
    us_arena *a;
    us_syms s;
    us_dim n, m, k;
} fixture;

static void open_fixture(fixture *f)
{
    us_sym s;
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, us_arena_new(&f->c, "test", (size_t)1 << 24, &f->a));
    CHECK_OK(&f->c, us_syms_init(&f->c, &f->s, f->a));
    CHECK_OK(&f->c, us_syms_named(&f->c, &f->s, US_SV("N"), &s));
    f->n = US_DIM_SYM(s);
    CHECK_OK(&f->c, us_syms_named(&f->c, &f->s, US_SV("M"), &s));
    f->m = US_DIM_SYM(s);
    CHECK_OK(&f->c, us_syms_named(&f->c, &f->s, US_SV("K"), &s));
    f->k = US_DIM_SYM(s);
}

static void close_fixture(fixture *f)
{
    us_arena_free(f->a);
    us_ctx_deinit(&f->c);
}

#define OP(name)                                                                               \
    static us_dim name(fixture *f, us_dim a, us_dim b)                                         \
    {                                                                                          \
        us_dim r = US_DIM(0);                                                                  \
        CHECK_OK(&f->c, us_dim_##name(&f->c, &f->s, a, b, &r));                                \
        return r;                                                                              \
    }
OP(add)
OP(sub)
OP(mul)
OP(min)
OP(max)

static us_dim quot(fixture *f, us_dim a, int64_t by)
{
    us_dim r = US_DIM(0);
    CHECK_OK(&f->c, us_dim_div(&f->c, &f->s, a, by, &r));
    return r;
}

static us_dim lit(int64_t n)
{
    return US_DIM(n);
}

static void spells(fixture *f, us_dim d, const char *want)
{
    us_buf b;
    us_buf_init(&b, &f->c, 1000);
    us_dim_spell(&f->s, d, &b);
    CHECK_EQ_STR(b.p, want);
    us_buf_deinit(&b);
}

static void test_dim__names_survive(void)
{
    fixture f;
    open_fixture(&f);
    spells(&f, add(&f, mul(&f, f.n, lit(2)), lit(1)), "2*N+1");
    spells(&f, quot(&f, add(&f, f.n, lit(1)), 2), "(N+1)/2");
    spells(&f, add(&f, f.n, f.m), "N+M");
    spells(&f, sub(&f, f.n, f.m), "N-M");
    spells(&f, mul(&f, add(&f, f.n, lit(1)), f.m), "(N+1)*M");
    spells(&f, mul(&f, quot(&f, f.n, 2), lit(2)), "2*(N/2)");
    spells(&f, mul(&f, quot(&f, f.n, 2), f.m), "M*(N/2)");
    spells(&f, add(&f, mul(&f, f.n, lit(4)), mul(&f, f.m, lit(6))), "2*(2*N+3*M)");
    spells(&f, min(&f, f.n, f.m), "min(N, M)");
    spells(&f, max(&f, f.n, lit(5)), "max(5, N)");
    close_fixture(&f);
}

static void test_dim__the_same_size_is_the_same_symbol(void)
{
    fixture f;
    open_fixture(&f);
    us_dim a = add(&f, add(&f, f.n, f.m), f.k), b = add(&f, f.k, add(&f, f.m, f.n));
    CHECK(us_dim_eq(a, b));
    CHECK(us_dim_eq(sub(&f, a, f.m), add(&f, f.n, f.k)));
    CHECK(us_dim_eq(sub(&f, a, b), US_DIM(0)));
    a = mul(&f, mul(&f, f.n, f.m), mul(&f, f.k, lit(3)));
    b = mul(&f, mul(&f, lit(3), f.k), mul(&f, f.m, f.n));
    CHECK(us_dim_eq(a, b));
    /* two halvings are a quarter: (floor((n + 1) / 2) + 1) / 2 = (n + 3) / 4 */
    a = quot(&f, add(&f, quot(&f, add(&f, f.n, lit(1)), 2), lit(1)), 2);
    CHECK(us_dim_eq(a, quot(&f, add(&f, f.n, lit(3)), 4)));
    /* a convolution of 3 with stride 2, (n - 1) / 2 + 1, is (n + 1) / 2 */
    CHECK(us_dim_eq(add(&f, quot(&f, sub(&f, f.n, lit(1)), 2), lit(1)),
                    quot(&f, add(&f, f.n, lit(1)), 2)));
    CHECK(us_dim_eq(quot(&f, mul(&f, f.n, lit(6)), 4), quot(&f, mul(&f, f.n, lit(3)), 2)));
    close_fixture(&f);
}

static void test_dim__ratio_cancels(void)
{
    fixture f;
    us_dim r;
    bool done;
    open_fixture(&f);
    us_dim all = mul(&f, mul(&f, f.n, f.m), lit(768));
    CHECK_OK(&f.c, us_dim_ratio(&f.c, &f.s, all, mul(&f, f.n, lit(64)), &r, &done));
    CHECK(done);
    CHECK(us_dim_eq(r, mul(&f, f.m, lit(12))));
    CHECK_OK(&f.c, us_dim_ratio(&f.c, &f.s, all, f.k, &r, &done));
    CHECK(!done);
    CHECK_OK(&f.c, us_dim_ratio(&f.c, &f.s, all, all, &r, &done));
    CHECK(done && us_dim_eq(r, US_DIM(1)));
    close_fixture(&f);
}

static void test_dim__bounds(void)
{
    fixture f;
    int64_t x;
    open_fixture(&f);
    CHECK(us_dim_least(&f.s, add(&f, f.n, lit(3)), &x) && x == 3);
    CHECK(us_dim_least(&f.s, quot(&f, add(&f, f.n, lit(5)), 2), &x) && x == 2);
    CHECK(us_dim_least(&f.s, max(&f, sub(&f, f.n, lit(4)), lit(1)), &x) && x == 1);
    CHECK(!us_dim_least(&f.s, sub(&f, f.n, f.m), &x));
    CHECK(!us_dim_least(&f.s, US_DIM_ANY, &x));
    CHECK(us_dim_eq(min(&f, f.n, add(&f, f.n, lit(2))), f.n));
    CHECK(us_dim_eq(max(&f, add(&f, f.n, f.m), f.m), add(&f, f.n, f.m)));
    close_fixture(&f);
}

/* Whatever the form, the value is that of plain arithmetic. */
static void test_dim__values(void)
{
    fixture f;
    open_fixture(&f);
    for (int64_t n = 0; n < 9; n++)
        for (int64_t m = 0; m < 5; m++)
            for (int64_t by = 1; by < 5; by++) {
                int64_t sizes[200], x, inner = (3 * n + 2 * m - 4) - (m - n) * by;
                for (size_t i = 0; i < US_LEN(sizes); i++)
                    sizes[i] = -1;
                sizes[f.n.sym] = n;
                sizes[f.m.sym] = m;
                us_dim d = sub(&f, add(&f, mul(&f, f.n, lit(3)), mul(&f, f.m, lit(2))), lit(4));
                d = sub(&f, d, mul(&f, sub(&f, f.m, f.n), lit(by)));
                CHECK(us_dim_eval(&f.s, d, sizes, &x) && x == inner);
                int64_t half = inner < 0 ? -((1 - inner) / 2) : inner / 2;
                us_dim q = quot(&f, d, 2);
                CHECK(us_dim_eval(&f.s, q, sizes, &x));
                CHECK_EQ_I64(x, half);
                q = quot(&f, add(&f, q, lit(7)), by);
                int64_t again = half + 7 < 0 ? -((by - 1 - (half + 7)) / by) : (half + 7) / by;
                CHECK(us_dim_eval(&f.s, q, sizes, &x));
                CHECK_EQ_I64(x, again);
                CHECK(us_dim_eval(&f.s, mul(&f, q, d), sizes, &x) && x == again * inner);
                CHECK(!us_dim_eval(&f.s, add(&f, q, f.k), sizes, &x));
                CHECK(f.s.names.n < US_LEN(sizes));
            }
    close_fixture(&f);
}

/* A name of the file that looks like an expression is not that expression. */
static void test_dim__a_name_is_a_name(void)
{
    fixture f;
    us_sym s;
    open_fixture(&f);
    CHECK_OK(&f.c, us_syms_named(&f.c, &f.s, US_SV("N+M"), &s));
    us_dim sum = add(&f, f.n, f.m);
    CHECK(!us_dim_eq(sum, US_DIM_SYM(s)));
    CHECK(us_dim_eq(sum, add(&f, f.m, f.n)));
    us_dim fresh;
    CHECK_OK(&f.c, us_syms_fresh(&f.c, &f.s, &s));
    fresh = US_DIM_SYM(s);
    CHECK(us_sym_made_up(&f.s, add(&f, f.n, fresh).sym));
    CHECK(!us_sym_made_up(&f.s, sum.sym));
    close_fixture(&f);
}

static void test_dim__overflow_is_refused(void)
{
    fixture f;
    us_dim r;
    open_fixture(&f);
    us_dim big = add(&f, f.n, lit(INT64_MAX));
    CHECK_ERR(us_dim_add(&f.c, &f.s, big, big, &r), US_SHAPE);
    CHECK_ERR(us_dim_mul(&f.c, &f.s, big, lit(2), &r), US_SHAPE);
    CHECK_ERR(us_dim_div(&f.c, &f.s, f.n, 0, &r), US_SHAPE);
    us_dim p = f.n; /* past the longest name: still a size, of which nothing is known */
    for (int i = 0; i < 200; i++)
        p = mul(&f, p, i % 2 ? f.n : f.m);
    CHECK(p.sym != 0);
    close_fixture(&f);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_dim__names_survive),
        US_CASE(test_dim__the_same_size_is_the_same_symbol),
        US_CASE(test_dim__ratio_cancels),
        US_CASE(test_dim__bounds),
        US_CASE(test_dim__values),
        US_CASE(test_dim__a_name_is_a_name),
        US_CASE(test_dim__overflow_is_refused),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
