/* Truncation at every byte, every bit flipped, limits, and refused allocations. */
#include "pb.h"
#include "us_torture.h"

#include "ir/text.h"
#include "onnx/onnx.h"

/* A model with one of everything: sub-graph, captures, function, attributes of all kinds, sequence types. */
static void rich(pb *m)
{
    static const float f2[] = {1, 2};
    const int64_t dims[] = {2};
    pb sub = {.n = 0}, a = {.n = 0}, b = {.n = 0}, d = {.n = 0}, e = {.n = 0}, t = {.n = 0},
       n = {.n = 0}, g = {.n = 0}, fn = {.n = 0}, fnode = {.n = 0}, ref = {.n = 0},
       info = {.n = 0}, ty = {.n = 0}, seq = {.n = 0}, elem = {.n = 0}, tt = {.n = 0},
       sparse = {.n = 0};
    pb_str(&sub, 2, "body");
    pb_node(&sub, "Neg", "h", NULL, "inner", NULL);
    pb_info(&sub, 12, "inner", 3);
    pb_str(&a, 1, "then_branch");
    pb_msg(&a, 6, &sub);
    pb_int(&a, 20, 5);
    pb_str(&b, 1, "words");
    pb_str(&b, 9, "one");
    pb_str(&b, 9, "two");
    pb_int(&b, 20, 8);
    pb_tensor_head(&t, "attr tensor", 1, 1, dims);
    pb_bytes(&t, 4, f2, sizeof f2);
    pb_str(&d, 1, "value");
    pb_msg(&d, 5, &t);
    pb_int(&d, 20, 4);
    pb_str(&e, 1, "numbers");
    pb_bytes(&e, 7, f2, sizeof f2);
    pb_int(&e, 20, 6);
    pb_str(&n, 1, "x");
    pb_str(&n, 1, "");
    pb_str(&n, 2, "y");
    pb_str(&n, 4, "Odd");
    pb_str(&n, 7, "my.domain");
    pb_msg(&n, 5, &a);
    pb_msg(&n, 5, &b);
    pb_msg(&n, 5, &d);
    pb_msg(&n, 5, &e);
    pb_node(&g, "Relu", "x", NULL, "h", NULL);
    pb_msg(&g, 1, &n);
    pb t2 = {.n = 0};
    pb_tensor_head(&t2, "w", 1, 1, dims);
    pb_bytes(&t2, 9, f2, sizeof f2);
    pb_msg(&g, 5, &t2);
    pb_info(&g, 11, "x", 3);
    pb_info(&g, 12, "y", 3);
    pb_int(&tt, 1, 1);
    pb_msg(&elem, 1, &tt);
    pb_msg(&seq, 1, &elem);
    pb_msg(&ty, 4, &seq);
    pb_str(&info, 1, "h");
    pb_msg(&info, 2, &ty);
    pb_msg(&g, 13, &info);
    pb_tensor_head(&sparse, "s", 1, 1, dims);
    pb_bytes(&sparse, 9, f2, sizeof f2);
    pb sp = {.n = 0};
    pb_msg(&sp, 1, &sparse);
    pb_msg(&g, 15, &sp);
    pb_model(m, &g);
    pb_str(&fn, 1, "MyFunction");
    pb_str(&fn, 4, "a");
    pb_str(&fn, 5, "b");
    pb_str(&fn, 6, "alpha");
    pb_str(&ref, 1, "alpha");
    pb_str(&ref, 21, "alpha");
    pb_int(&ref, 20, 1);
    pb_str(&fnode, 1, "a");
    pb_str(&fnode, 2, "b");
    pb_str(&fnode, 4, "Scale");
    pb_str(&fnode, 7, "my.domain");
    pb_msg(&fnode, 5, &ref);
    pb_msg(&fn, 7, &fnode);
    pb_msg(m, 25, &fn);
}

/* Read, verify, write, read what was written, print, parse: none may fail where an earlier one succeeded. */
static us_err life(us_ctx *c, const void *p, size_t n)
{
    us_model *m = NULL, *back = NULL, *from_text = NULL;
    us_buf b, t;
    us_buf_init(&b, c, (size_t)1 << 24);
    us_buf_init(&t, c, (size_t)1 << 24);
    us_err e = us_onnx_parse(c, "test", p, n, NULL, NULL, &m);
    if (e == US_OK) e = us_onnx_print(c, m, &b);
    if (e == US_OK) e = us_onnx_parse(c, "again", b.p, b.n, NULL, NULL, &back);
    if (e == US_OK) us_model_print(c, m, SIZE_MAX, &t);
    if (e == US_OK) e = us_buf_check(&t);
    if (e == US_OK) e = us_model_parse(c, us_buf_sv(&t), &from_text);
    us_model_free(m);
    us_model_free(back);
    us_model_free(from_text);
    us_buf_deinit(&b);
    us_buf_deinit(&t);
    return e;
}

static us_err torture_life(us_ctx *c, void *arg)
{
    const pb *m = arg;
    return life(c, m->p, m->n);
}

static void test_hostile__nomem(void)
{
    pb small = {.n = 0}, all = {.n = 0};
    pb_small(&small);
    rich(&all);
    us_torture("read, write, text: small", torture_life, &small);
    us_torture("read, write, text: rich", torture_life, &all);
}

/* Each input in an allocation of its own size, so that sanitizers see a byte too far. */
static us_err try_bytes(const uint8_t *p, size_t n, char text[512])
{
    us_ctx c;
    us_alloc_count count = {0};
    us_ctx_init(&c);
    c.alloc = us_alloc_counting(&count, us_alloc_heap());
    uint8_t *copy = malloc(n ? n : 1);
    CHECK(copy != NULL);
    memcpy(copy, p, n);
    us_err e = life(&c, copy, n);
    snprintf(text, 512, "%.500s", e == US_OK ? "" : c.diag.text);
    free(copy);
    CHECK_EQ_U64(count.live_bytes, 0);
    us_ctx_deinit(&c);
    return e;
}

static void test_hostile__cut_at_every_byte(void)
{
    pb m = {.n = 0};
    char text[512];
    size_t n_ok = 0;
    rich(&m);
    CHECK_EQ_I64(try_bytes(m.p, m.n, text), US_OK);
    for (size_t i = 0; i < m.n; i++) {
        us_err e = try_bytes(m.p, i, text);
        n_ok += e == US_OK;
        if (e != US_OK && (e != US_FORMAT || !strstr(text, "test")))
            US_TEST_FAIL("cut at %zu gave %s: %s", i, us_test_err_name(e), text);
    }
    CHECK(n_ok <= 8); /* only between the last top-level fields */
}

static void test_hostile__every_bit_flipped(void)
{
    pb m = {.n = 0};
    char text[512];
    rich(&m);
    for (size_t i = 0; i < m.n * 8; i++) {
        m.p[i / 8] ^= (uint8_t)(1u << (i % 8));
        us_err e = try_bytes(m.p, m.n, text);
        if (e != US_OK && e != US_FORMAT && e != US_LIMIT && e != US_UNSUPP && e != US_SHAPE)
            US_TEST_FAIL("bit %zu gave %s: %s", i, us_test_err_name(e), text);
        m.p[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
}

static void test_hostile__wire(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } rows[] = {
        {"\x08", 1, "cut short"},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "cut short"},
        {"\x3a\x05xx", 4, "wants 5 bytes, only 2"},
        {"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "only 0 are left"},
        {"\x0b\x01", 2, "wire type 3"},
        {"\x02\x00", 2, "field number 0"},
        {"\x0a\x00", 2, "field ir_version has wire type 2, expected 0"},
        {"\x38\x01", 2, "field graph has wire type 0, expected 2"},
    };
    for (size_t i = 0; i < US_LEN(rows); i++) {
        char text[512];
        CHECK_EQ_I64(try_bytes((const uint8_t *)rows[i].bytes, rows[i].n, text), US_FORMAT);
        if (!strstr(text, rows[i].words))
            US_TEST_FAIL("row %zu: \"%s\" does not say \"%s\"", i, text, rows[i].words);
    }
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_hostile__nomem),
        US_CASE(test_hostile__cut_at_every_byte),
        US_CASE(test_hostile__every_bit_flipped),
        US_CASE(test_hostile__wire),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
