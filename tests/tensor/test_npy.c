/* test_npy.c - .npy files: what NumPy writes, what we write, and what nobody should. */
#include <string.h>

#include "tensor/npy.h"
#include "us_torture.h"

typedef struct fix {
    us_ctx c;
    us_arena *a;
    us_tensor t;
} fix;

static void begin(fix *f)
{
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, us_arena_new(&f->c, "t", (size_t)1 << 24, &f->a));
}
static void end(fix *f)
{
    us_arena_free(f->a);
}

/* A file of this version with this header text and these bytes; returns its length. */
static size_t file_of(uint8_t *out, int version, const char *header, const void *data, size_t n)
{
    size_t len = strlen(header), at = 8;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version;
    out[7] = 0;
    for (int i = 0; i < (version == 1 ? 2 : 4); i++)
        out[at++] = (uint8_t)(len >> (8 * i));
    memcpy(out + at, header, len);
    if (n) memcpy(out + at + len, data, n);
    return at + len + n;
}

static us_err parse(fix *f, int version, const char *header, const void *data, size_t n)
{
    uint8_t *b = malloc(strlen(header) + n + 12);
    if (!b) US_TEST_FAIL("out of memory");
    size_t len = file_of(b, version, header, data, n);
    us_err e = us_npy_parse(&f->c, f->a, "x.npy", b, len, &f->t);
    free(b);
    return e;
}
#define HEAD(descr, fortran, shape)                                                            \
    "{'descr': '" descr "', 'fortran_order': " fortran ", 'shape': " shape ", }"

static void test_read__types_and_byte_orders(void)
{
    fix f;
    begin(&f);
    CHECK_OK(&f.c, parse(&f, 1, HEAD("<f4", "False", "(2,)"), (float[]){1.5f, -2}, 8));
    CHECK(f.t.dtype == US_F32 && f.t.rank == 1 && us_tensor_f64_at(&f.t, 1) == -2);
    CHECK_OK(&f.c, parse(&f, 2, HEAD(">i4", "False", "(1,)"), "\0\0\1\2", 4));
    CHECK_EQ_I64(us_tensor_i64_at(&f.t, 0), 258);
    CHECK_OK(&f.c, parse(&f, 3, HEAD(">f8", "False", "()"), "\x3f\xf8\0\0\0\0\0\0", 8));
    CHECK(f.t.rank == 0 && us_tensor_f64_at(&f.t, 0) == 1.5);
    CHECK_OK(&f.c, parse(&f, 1, HEAD("|b1", "False", "(3,)"), "\0\1\7", 3));
    CHECK_EQ_MEM(f.t.data, "\0\1\1", 3); /* any other byte is true */
    CHECK_OK(&f.c, parse(&f, 1, HEAD(">c8", "False", "(1,)"), "\x3f\x80\0\0\xc0\0\0\0", 8));
    CHECK(((float *)f.t.data)[0] == 1 && ((float *)f.t.data)[1] == -2);
    CHECK_OK(&f.c, parse(&f, 1, HEAD("<f2", "False", "(1,)"), "\0\x3c", 2));
    CHECK(f.t.dtype == US_F16 && us_tensor_f64_at(&f.t, 0) == 1);
    CHECK_OK(&f.c, parse(&f, 1, "{\"shape\":(2L,3L),\"descr\":\"|u1\",\"fortran_order\":True}",
                         "\0\1\2\3\4\5", 6));
    CHECK_EQ_MEM(f.t.data, "\0\2\4\1\3\5", 6);
    CHECK_OK(&f.c, parse(&f, 1, HEAD("<i8", "False", "(0, 1099511627776, 1)"), "", 0));
    CHECK_EQ_I64(us_tensor_count(&f.t), 0);
    CHECK_OK(&f.c, parse(&f, 1, HEAD("<i8", "True", "(1048576, 4, 0)"), "", 0));
    CHECK_ERR(parse(&f, 1, HEAD("<i8", "False", "(0, 9223372036854775807, 4)"), "", 0),
              US_LIMIT);
    end(&f);
}

static void test_read__texts(void)
{
    fix f;
    begin(&f);
    static const uint8_t u[] = {'a', 0, 0, 0, 0xAC, 0x20, 0, 0, 0, 0, 0, 0, 0, 0xF6, 1, 0};
    CHECK_OK(&f.c, parse(&f, 1, HEAD("<U2", "False", "(2,)"), u, 16));
    CHECK(us_sv_is(us_tensor_str_at(&f.t, 0), "a\xE2\x82\xAC"));
    us_sv inner = us_tensor_str_at(&f.t, 1); /* a zero inside stays, at the end it is padding */
    CHECK(inner.n == 5 && !memcmp(inner.p, "\0\xF0\x9F\x98\x80", 5));
    CHECK_OK(&f.c, parse(&f, 1, HEAD(">U1", "False", "(1,)"), "\0\0\0z", 4));
    CHECK(us_sv_is(us_tensor_str_at(&f.t, 0), "z"));
    CHECK_OK(&f.c, parse(&f, 1, HEAD("|S3", "False", "(2,)"), "ab\0cde", 6));
    CHECK(us_sv_is(us_tensor_str_at(&f.t, 0), "ab") &&
          us_sv_is(us_tensor_str_at(&f.t, 1), "cde"));
    CHECK_OK(&f.c, parse(&f, 1, HEAD("<U1", "False", "(1,)"), "\xff\xff\xff\xff", 4));
    CHECK(us_sv_is(us_tensor_str_at(&f.t, 0), "\xEF\xBF\xBD")); /* no code point: U+FFFD */
    CHECK_OK(&f.c, parse(&f, 1, HEAD("<U0", "False", "(2,)"), "", 0));
    CHECK_EQ_U64(us_tensor_str_at(&f.t, 1).n, 0);
    CHECK_ERR(parse(&f, 1, HEAD("<U0", "False", "(9999999999,)"), "", 0), US_LIMIT);
    end(&f);
}

static void test_read__malformed(void)
{
    static const struct {
        const char *header;
        us_err code;
    } rows[] = {
        {"", US_FORMAT},
        {"{", US_FORMAT},
        {"{}", US_FORMAT},
        {"[]", US_FORMAT},
        {"{'descr': '<f4'}", US_FORMAT},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}", US_FORMAT},
        {HEAD("<f4", "Maybe", "(1,)"), US_FORMAT},
        {HEAD("<f4", "False", "1"), US_FORMAT},
        {HEAD("<f4", "False", "(1"), US_FORMAT},
        {HEAD("<f4", "False", "(-1,)"), US_FORMAT},
        {HEAD("<f4", "False", "(1 1)"), US_FORMAT},
        {HEAD("<f4", "False", "(99999999999999999999,)"), US_FORMAT},
        {HEAD("<f4", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1)"), US_FORMAT},
        {HEAD("<f4", "False", "(3,)"), US_FORMAT}, /* only two are there */
        {HEAD("<f4", "False", "(1099511627777,)"), US_LIMIT},
        {HEAD("<f4", "False", "(4294967296, 4294967296)"), US_LIMIT},
        {HEAD("<f3", "False", "(1,)"), US_UNSUPP},
        {HEAD("|O8", "False", "(1,)"), US_UNSUPP},
        {HEAD("<M8[ns]", "False", "(1,)"), US_FORMAT},
        {HEAD("<f99999999999999999999", "False", "(1,)"), US_FORMAT},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", US_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", US_FORMAT},
        {"{'shape': (1,), 'shape': (1,), 'descr': '<f4', 'fortran_order': False}", US_FORMAT},
    };
    fix f;
    begin(&f);
    f.t.rank = 55;
    for (size_t i = 0; i < US_LEN(rows); i++) {
        us_err e = parse(&f, 1, rows[i].header, "12345678", 8);
        if (e != rows[i].code)
            US_TEST_FAIL("%s gave %s, expected %s", rows[i].header, us_err_name(e),
                         us_err_name(rows[i].code));
        CHECK(strstr(f.c.diag.text, "x.npy") != NULL);
    }
    CHECK_ERR(parse(&f, 4, HEAD("<f4", "False", "(1,)"), "1234", 4), US_UNSUPP);
    CHECK_ERR(us_npy_parse(&f.c, f.a, "x.npy", "PK\3\4, a zip file", 16, &f.t), US_FORMAT);
    CHECK_EQ_I64(f.t.rank, 55); /* untouched by failures */
    end(&f);
}

/* Every prefix of a good file is refused, whatever the cut. */
static void test_read__cut_anywhere(void)
{
    fix f;
    begin(&f);
    uint8_t file[256];
    size_t n = file_of(file, 2, HEAD("<f8", "False", "(2,)"), "0123456789abcdef", 16);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *p = malloc(cut ? cut : 1); /* its own allocation: reads past it are seen */
        CHECK(p != NULL);
        memcpy(p, file, cut);
        CHECK_ERR(us_npy_parse(&f.c, f.a, "x.npy", p, cut, &f.t), US_FORMAT);
        free(p);
    }
    CHECK_OK(&f.c, us_npy_parse(&f.c, f.a, "x.npy", file, n, &f.t));
    end(&f);
}

static void round_trip(fix *f, const us_tensor *t)
{
    char path[1024];
    us_tensor back;
    us_test_tmp(path, sizeof path, "round.npy");
    CHECK_OK(&f->c, us_npy_write(&f->c, path, t));
    CHECK_OK(&f->c, us_npy_read(&f->c, f->a, path, &back));
    CHECK(back.dtype == t->dtype && us_tensor_same_dims(&back, t));
    for (int64_t i = 0; i < us_tensor_count(t); i++) {
        if (t->dtype == US_STRING)
            CHECK(us_sv_eq(us_tensor_str_at(&back, i), us_tensor_str_at(t, i)));
        else
            CHECK_NEAR(us_tensor_f64_at(&back, i), us_tensor_f64_at(t, i), 0);
    }
}

static void test_write__reads_back(void)
{
    static const us_dtype types[] = {US_F32, US_U8,  US_I8,  US_U16, US_I16, US_I32,
                                     US_I64, US_F16, US_F64, US_U32, US_U64, US_BOOL};
    fix f;
    begin(&f);
    for (size_t k = 0; k < US_LEN(types); k++)
        for (int rank = 0; rank <= 12; rank += 3) {
            int64_t dims[12] = {2, 1, 3, 1, 2, 1, 1, 1, 1, 1, 1, 2};
            us_tensor t;
            CHECK_OK(&f.c, us_tensor_new(&f.c, f.a, types[k], rank, dims, &t));
            for (int64_t i = 0; i < us_tensor_count(&t); i++)
                us_dtype_get(types[k])->from_i64(t.data, (size_t)i, 1, &i);
            round_trip(&f, &t);
            if (rank < 3) continue;
            us_tensor v = t; /* a transposed view is written in its own order */
            v.dims[0] = t.dims[2];
            v.dims[2] = t.dims[0];
            v.strides[0] = t.strides[2];
            v.strides[2] = t.strides[0];
            round_trip(&f, &v);
        }
    us_sv words[] = {US_SV("plain"), US_SV(""), US_SV("\xC3\xA9t\xC3\xA9 \xF0\x9F\x98\x80")};
    us_tensor s;
    CHECK_OK(&f.c, us_tensor_init(&f.c, &s, US_STRING, 1, (int64_t[]){3}, words));
    round_trip(&f, &s);
    s.dims[0] = 0;
    round_trip(&f, &s);
    end(&f);
}

static void test_write__layout(void)
{
    fix f;
    us_buf b;
    begin(&f);
    us_buf_init(&b, &f.c, 1 << 20);
    float v[6] = {0};
    CHECK_OK(&f.c, us_tensor_init(&f.c, &f.t, US_F32, 2, (int64_t[]){2, 3}, v));
    CHECK_OK(&f.c, us_npy_print(&f.c, &f.t, &b));
    CHECK_EQ_U64(b.n, 128 + 24); /* data starts at a multiple of 64 */
    CHECK_EQ_MEM(
        b.p, "\x93NUMPY\1\0\x76\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", 65);
    CHECK_EQ_I64(b.p[127], '\n');
    us_buf_deinit(&b);
    us_buf_init(&b, &f.c, 100); /* too small: said, not cut */
    CHECK_ERR(us_npy_print(&f.c, &f.t, &b), US_LIMIT);
    us_buf_deinit(&b);
    end(&f);
}

static us_err write_and_read(us_ctx *c, void *path)
{
    us_arena *a;
    us_tensor t, back;
    us_sv words[] = {US_SV("one"), US_SV("three")};
    const int64_t dims[] = {30, 40}, two = 2;
    us_err e;
    US_TRY(us_arena_new(c, "t", (size_t)1 << 24, &a));
    US_GO(us_tensor_new(c, a, US_F32, 2, dims, &t));
    t.dims[0] = 40; /* a transposed view needs a dense copy to be written */
    t.dims[1] = 30;
    t.strides[0] = 1;
    t.strides[1] = 40;
    US_GO(us_npy_write(c, path, &t));
    US_GO(us_npy_read(c, a, path, &back));
    US_GO(us_tensor_init(c, &t, US_STRING, 1, &two, words));
    US_GO(us_npy_write(c, path, &t));
    US_GO(us_npy_read(c, a, path, &back));
out:
    us_arena_free(a);
    return e;
}

static void test_npy__nomem(void)
{
    char path[1024];
    us_torture("npy", write_and_read,
               (void *)(uintptr_t)us_test_tmp(path, sizeof path, "nomem.npy"));
}

static const us_test_case cases[] = {
    US_CASE(test_read__types_and_byte_orders),
    US_CASE(test_read__texts),
    US_CASE(test_read__malformed),
    US_CASE(test_read__cut_anywhere),
    US_CASE(test_write__reads_back),
    US_CASE(test_write__layout),
    US_CASE(test_npy__nomem),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
