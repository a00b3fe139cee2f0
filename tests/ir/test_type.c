/* Symbols, dimensions, types and their text. */
#include "us_test.h"

#include "ir/graph.h"

typedef struct fixture {
    us_ctx c;
    us_model *m;
} fixture;

static void begin(fixture *f)
{
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, us_model_new(&f->c, &f->m));
}

static void end(fixture *f)
{
    us_model_free(f->m);
    us_ctx_deinit(&f->c);
}

static us_dim sym(fixture *f, const char *name)
{
    us_sym s;
    CHECK_OK(&f->c, us_syms_named(&f->c, &f->m->syms, us_sv_of(name), &s));
    return US_DIM_SYM(s);
}

static void is_text(fixture *f, us_dim d, const char *want)
{
    us_buf b;
    us_buf_init(&b, &f->c, 1000);
    us_dim_print(&f->m->syms, d, &b);
    CHECK_OK(&f->c, us_buf_check(&b));
    CHECK_EQ_STR(b.p, want);
    us_buf_deinit(&b);
}

static void test_dim__affine(void)
{
    fixture f;
    us_dim d;
    begin(&f);
    us_syms *s = &f.m->syms;
    us_dim n = sym(&f, "N");
    CHECK_OK(&f.c, us_dim_mul(&f.c, s, n, US_DIM(2), &d));
    CHECK_OK(&f.c, us_dim_add(&f.c, s, d, US_DIM(3), &d));
    is_text(&f, d, "2*N+3");
    CHECK_OK(&f.c, us_dim_add(&f.c, s, d, n, &d));
    is_text(&f, d, "3*N+3");
    CHECK_OK(&f.c, us_dim_div(&f.c, s, d, 3, &d));
    is_text(&f, d, "N+1");
    CHECK_OK(&f.c, us_dim_mul(&f.c, s, n, US_DIM(-1), &d));
    CHECK_OK(&f.c, us_dim_add(&f.c, s, d, n, &d));
    CHECK(us_dim_known(d) && us_dim_eq(d, US_DIM(0)));
    CHECK_OK(&f.c, us_dim_div(&f.c, s, US_DIM(-7), 2, &d));
    CHECK_EQ_I64(d.add, -4); /* floor */
    CHECK_OK(&f.c, us_dim_mul(&f.c, s, US_DIM(0), n, &d));
    CHECK(us_dim_known(d) && d.add == 0);
    end(&f);
}

static void test_dim__equal_expressions_are_proved_equal(void)
{
    fixture f;
    us_dim a, b, n2, t2;
    begin(&f);
    us_syms *s = &f.m->syms;
    us_dim n = sym(&f, "N"), t = sym(&f, "T");
    CHECK_OK(&f.c, us_dim_mul(&f.c, s, n, t, &a));
    CHECK_OK(&f.c, us_dim_mul(&f.c, s, t, n, &b));
    CHECK(us_dim_eq(a, b) && !us_dim_eq(a, n));
    CHECK_OK(&f.c, us_dim_add(&f.c, s, n, t, &a));
    CHECK_OK(&f.c, us_dim_add(&f.c, s, t, n, &b));
    CHECK(us_dim_eq(a, b));
    CHECK_OK(&f.c, us_dim_div(&f.c, s, n, 2, &n2));
    CHECK_OK(&f.c, us_dim_div(&f.c, s, t, 2, &t2));
    CHECK(!us_dim_eq(n2, t2));
    end(&f);
}

static void test_dim__overflow(void)
{
    fixture f;
    us_dim d;
    begin(&f);
    us_syms *s = &f.m->syms;
    CHECK_ERR(us_dim_add(&f.c, s, US_DIM(INT64_MAX), US_DIM(1), &d), US_SHAPE);
    CHECK_ERR(us_dim_mul(&f.c, s, US_DIM(INT64_MIN), US_DIM(-1), &d), US_SHAPE);
    CHECK_ERR(us_dim_mul(&f.c, s, US_DIM((int64_t)1 << 33), US_DIM((int64_t)1 << 33), &d),
              US_SHAPE);
    CHECK_ERR(us_dim_div(&f.c, s, US_DIM(1), 0, &d), US_SHAPE);
    CHECK_ERR(us_dim_div(&f.c, s, US_DIM(INT64_MIN), -1, &d), US_SHAPE);
    /* a factor past 32 bits makes an expression, not a wrong number */
    CHECK_OK(&f.c, us_dim_mul(&f.c, s, sym(&f, "N"), US_DIM((int64_t)1 << 40), &d));
    CHECK_EQ_I64(d.mul, 1);
    end(&f);
}

static void test_dim__expressions_do_not_grow_without_end(void)
{
    fixture f;
    us_dim d;
    begin(&f);
    d = sym(&f, "N");
    for (int i = 0; i < 40; i++)
        CHECK_OK(&f.c, us_dim_mul(&f.c, &f.m->syms, d, d, &d));
    CHECK(f.m->syms.names.at[d.sym].n <= 200);
    end(&f);
}

static void test_type__text_round_trip(void)
{
    static const char *const texts[] = {
        "float[N,3,224,224]",
        "float",
        "float[]",
        "tensor[2]",
        "?",
        "seq(map(int64,float[]))",
        "opt(seq(string[N]))",
        "sparse(double[3,N])",
        "bfloat16[2*N+1,N-1,-3*M]",
        "float['a b',0,'it\\x27s']",
        "int4[?7]",
    };
    fixture f;
    begin(&f);
    for (size_t i = 0; i < US_LEN(texts); i++) {
        us_type t, u;
        us_buf b;
        us_buf_init(&b, &f.c, 1000);
        CHECK_OK(&f.c, us_type_parse(&f.c, &f.m->syms, f.m->arena, us_sv_of(texts[i]), &t));
        us_type_print(&f.m->syms, &t, &b);
        CHECK_EQ_STR(b.p, texts[i]);
        CHECK_OK(&f.c, us_type_dup(&f.c, f.m->arena, &t, &u));
        CHECK(us_type_eq(&t, &u));
        us_buf_deinit(&b);
    }
    end(&f);
}

static void test_type__bad_text(void)
{
    static const char *const texts[] = {
        "",
        "flot[2]",
        "float[",
        "float[2",
        "float[2,]",
        "float[*N]",
        "seq",
        "seq(float",
        "map(float)",
        "float[2]x",
        "float[1,1,1,1,1,1,1,1,1,1,1,1,1]",
        "float['a]",
        "float[99999999999999999999]",
    };
    fixture f;
    us_type t;
    begin(&f);
    for (size_t i = 0; i < US_LEN(texts); i++)
        if (us_type_parse(&f.c, &f.m->syms, f.m->arena, us_sv_of(texts[i]), &t) != US_FORMAT)
            US_TEST_FAIL("'%s' was taken", texts[i]);
    char deep[400] = "";
    for (size_t i = 0; i < 80; i++)
        memcpy(deep + 4 * i, "seq(", 4);
    CHECK_ERR(us_type_parse(&f.c, &f.m->syms, f.m->arena, us_sv_of(deep), &t), US_LIMIT);
    end(&f);
}

static void test_type__merge(void)
{
    static const struct {
        const char *a, *b, *want; /* NULL: they contradict */
    } rows[] = {
        {"?", "float[N]", "float[N]"},
        {"float", "float[N]", "float[N]"},
        {"tensor[3]", "float", "float[3]"},
        {"float[N]", "float[4]", "float[4]"},
        {"float[4]", "float[N]", "float[4]"},
        {"float[N]", "float[?9]", "float[N]"},
        {"float[?9]", "float[N]", "float[N]"},
        {"float[M]", "float[N]", "float[N]"},
        {"float[3]", "float[4]", NULL},
        {"float[3]", "float[3,1]", NULL},
        {"float", "double", NULL},
        {"seq(float)", "seq(tensor[2])", "seq(float[2])"},
        {"seq(float)", "float", NULL},
    };
    fixture f;
    begin(&f);
    for (size_t i = 0; i < US_LEN(rows); i++) {
        us_type a, b, r;
        us_buf t;
        us_buf_init(&t, &f.c, 1000);
        CHECK_OK(&f.c, us_type_parse(&f.c, &f.m->syms, f.m->arena, us_sv_of(rows[i].a), &a));
        CHECK_OK(&f.c, us_type_parse(&f.c, &f.m->syms, f.m->arena, us_sv_of(rows[i].b), &b));
        us_err e = us_type_merge(&f.c, f.m, &a, &b, US_SV("v"), &r);
        CHECK_EQ_I64(e, rows[i].want ? US_OK : US_SHAPE);
        if (e == US_OK) us_type_print(&f.m->syms, &r, &t);
        if (e == US_OK) CHECK_EQ_STR(t.p, rows[i].want);
        us_buf_deinit(&t);
    }
    end(&f);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_dim__affine),
        US_CASE(test_dim__equal_expressions_are_proved_equal),
        US_CASE(test_dim__overflow),
        US_CASE(test_dim__expressions_do_not_grow_without_end),
        US_CASE(test_type__text_round_trip),
        US_CASE(test_type__bad_text),
        US_CASE(test_type__merge),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
