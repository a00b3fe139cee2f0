/* Decoding against what Pillow made of the same files (tests/image/make_data.py): lossless formats to the bit; lossy ones within
 * a stated bound, because decoders may round and upsample differently. Then broken files, limits, and ImageDecoder. */
#include "us_test.h"

#include "base/file.h"
#include "exec/session.h"
#include "image/image.h"
#include "ir/build.h"
#include "us_torture.h"

typedef struct world {
    us_ctx c;
    us_arena *a;
} world;

static void begin(world *w)
{
    us_ctx_init(&w->c);
    w->c.log.level = US_LOG_NONE;
    CHECK_OK(&w->c, us_arena_new(&w->c, "test", (size_t)64 << 20, &w->a));
}

static void end(world *w)
{
    us_arena_free(w->a);
    us_ctx_deinit(&w->c);
}

static us_sv data_file(world *w, const char *name)
{
    char path[1024], in_data[128];
    us_buf b;
    us_sv kept;
    snprintf(in_data, sizeof in_data, "tests/image/data/%s", name);
    us_buf_init(&b, &w->c, (size_t)1 << 20);
    CHECK_OK(&w->c, us_file_read(&w->c, us_test_source(path, sizeof path, in_data), &b));
    CHECK_OK(&w->c, us_sv_dup(&w->c, w->a, us_buf_sv(&b), &kept));
    us_buf_deinit(&b);
    return kept;
}

typedef struct picture {
    const char *name, *format;
    int off; /* largest difference allowed */
    const char *why;
} picture;

static const picture pictures[] = {
    {"rgb.png", "PNG", 0, ""},
    {"gray.png", "PNG", 0, ""},
    {"palette.png", "PNG", 0, ""},
    {"bits.png", "PNG", 0, ""},
    {"interlaced.png", "PNG", 0, ""},
    {"alpha.png", "PNG", 0, ""},
    {"deep.png", "PNG", 0, ""},
    {"rgb420.jpg", "JPEG", 2, "the inverse transform's rounding, then colours"},
    {"progressive.jpg", "JPEG", 2, "the same"},
    {"gray.jpg", "JPEG", 1, "the inverse transform's rounding"},
    {"cmyk.jpg", "JPEG", 3, "the same in four channels, multiplied"},
    {"lossy.webp", "WebP", 2, "chroma upsampling"},
    {"lossless.webp", "WebP", 0, ""},
    {"alpha.webp", "WebP", 0, ""},
    {"raw.tif", "TIFF", 0, ""},
    {"tiff_lzw.tif", "TIFF", 0, ""},
    {"tiff_adobe_deflate.tif", "TIFF", 0, ""},
    {"packbits.tif", "TIFF", 0, ""},
    {"palette.tif", "TIFF", 0, ""},
    {"gray.tif", "TIFF", 0, ""},
    {"bits.tif", "TIFF", 0, ""},
    {"rgb.jp2", "JPEG 2000", 0, ""},
    {"gray.j2k", "JPEG 2000", 0, ""},
    {"rgb.bmp", "BMP", 0, ""},
    {"palette.bmp", "BMP", 0, ""},
    {"bits.bmp", "BMP", 0, ""},
    {"rgb555_down.bmp", "BMP", 0, ""},
    {"fields32.bmp", "BMP", 0, ""},
    {"rle8.bmp", "BMP", 0, ""},
    {"rle4.bmp", "BMP", 0, ""},
    {"rgb.ppm6", "PNM", 0, ""},
    {"gray.pgm", "PNM", 0, ""},
    {"bits.pbm", "PNM", 0, ""},
    {"plain.pbm", "PNM", 0, ""},
    {"plain.pgm", "PNM", 0, ""},
    {"plain.ppm3", "PNM", 0, ""},
    {"deep.pgm", "PNM", 0, ""},
};

static bool in_this_build(const char *format)
{
    const char *name, *library;
    for (size_t i = 0; us_image_formats(i, &name, &library); i++)
        if (strcmp(name, format) == 0) return library != NULL;
    return false;
}

/* The pixels Pillow saw: a raw PPM beside the file, read by hand. */
static const uint8_t *expected(world *w, const char *name, int *h, int *wide)
{
    char ppm[100];
    int at = 0;
    snprintf(ppm, sizeof ppm, "%s.ppm", name);
    us_sv b = data_file(w, ppm);
    CHECK_EQ_I64(sscanf(b.p, "P6 %d %d 255%n", wide, h, &at), 2);
    CHECK_EQ_U64(b.n - (size_t)at - 1, (size_t)*h * (size_t)*wide * 3);
    return (const uint8_t *)b.p + at + 1;
}

static int farthest(const uint8_t *a, const uint8_t *b, size_t n)
{
    int worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = US_MAX(worst, abs((int)a[i] - (int)b[i]));
    return worst;
}

static void test_image_decode__as_pillow(void)
{
    world w;
    begin(&w);
    int n_bad = 0;
    for (size_t i = 0; i < US_LEN(pictures); i++) {
        const picture *p = &pictures[i];
        us_image im;
        int h, wide;
        if (!in_this_build(p->format)) continue;
        const uint8_t *want = expected(&w, p->name, &h, &wide);
        us_err e = us_image_decode(&w.c, w.a, p->name, data_file(&w, p->name), US_PIXELS_RGB,
                                   NULL, &im);
        int off = -1;
        if (e == US_OK && im.h == h && im.w == wide)
            off = farthest(im.data, want, (size_t)h * (size_t)wide * 3);
        if (e == US_OK) CHECK_EQ_STR(im.format, p->format);
        printf("# %-24s off by %d%s%s\n", p->name, off, e == US_OK ? "" : ": ",
               e == US_OK ? "" : w.c.diag.text);
        n_bad += off < 0 || off > p->off;
    }
    CHECK_EQ_I64(n_bad, 0);
    end(&w);
}

/* BGR is RGB turned round; gray follows the formula, whatever the format. */
static void test_image_decode__other_pixels(void)
{
    world w;
    begin(&w);
    for (size_t i = 0; i < US_LEN(pictures); i++) {
        const picture *p = &pictures[i];
        us_image rgb, bgr, gray;
        if (!in_this_build(p->format)) continue;
        us_sv file = data_file(&w, p->name);
        CHECK_OK(&w.c, us_image_decode(&w.c, w.a, p->name, file, US_PIXELS_RGB, NULL, &rgb));
        CHECK_OK(&w.c, us_image_decode(&w.c, w.a, p->name, file, US_PIXELS_BGR, NULL, &bgr));
        CHECK_OK(&w.c, us_image_decode(&w.c, w.a, p->name, file, US_PIXELS_GRAY, NULL, &gray));
        for (int64_t k = 0; k < rgb.h * rgb.w; k++) {
            const uint8_t *q = rgb.data + 3 * k;
            for (int ch = 0; ch < 3; ch++)
                CHECK_EQ_I64(bgr.data[3 * k + ch], q[2 - ch]);
            unsigned g = (19595u * q[0] + 38470u * q[1] + 7471u * q[2] + 32768u) >> 16;
            CHECK_EQ_I64(gray.data[k], g);
        }
    }
    end(&w);
}

/* Every prefix of every file is refused or, when only padding or an end marker is gone, decoded; nothing is read past
 * the end (the sanitizers look), and a picture is never half there. */
static void test_image_decode__cut_short(void)
{
    world w;
    begin(&w);
    for (size_t i = 0; i < US_LEN(pictures); i++) {
        if (!in_this_build(pictures[i].format)) continue;
        us_mark mark = us_arena_mark(w.a);
        us_sv file = data_file(&w, pictures[i].name);
        size_t n_whole = 0;
        for (size_t n = 0; n < file.n; n++) {
            us_image im;
            char *copy = malloc(n ? n : 1);
            memcpy(copy, file.p, n);
            us_err e =
                us_image_decode(&w.c, w.a, "cut", (us_sv){copy, n}, US_PIXELS_RGB, NULL, &im);
            free(copy);
            if (e == US_OK) n_whole++;
            if (e == US_OK && n < file.n / 2)
                US_TEST_FAIL("%s: %zu of %zu bytes are enough", pictures[i].name, n, file.n);
            CHECK(e == US_OK || e == US_FORMAT || e == US_UNSUPP);
            CHECK(e == US_OK || strncmp(w.c.diag.text, "cut: ", 5) == 0);
        }
        if (n_whole)
            printf("# %s: whole without its last %zu bytes\n", pictures[i].name, n_whole);
        us_arena_reset(w.a, mark);
    }
    end(&w);
}

static void says(world *w, us_sv file, us_err code, const char *words)
{
    us_image im;
    us_image_limits l = {.max_bytes = 100000, .max_pixels = 100000};
    CHECK_ERR(us_image_decode(&w->c, w->a, "x", file, US_PIXELS_RGB, &l, &im), code);
    if (!strstr(w->c.diag.text, words))
        US_TEST_FAIL("\"%s\" does not say \"%s\"", w->c.diag.text, words);
}

static void test_image_decode__words(void)
{
    world w;
    begin(&w);
    says(&w, US_SV(""), US_FORMAT, "are no image");
    says(&w, US_SV("GIF89a"), US_FORMAT, "start with 47 49 46 38 are no image");
    says(&w, US_SV("P6 400 300 255\n"), US_FORMAT, "too few");
    says(&w, US_SV("P6 0 3 255\n"), US_FORMAT, "no pixels");
    says(&w, US_SV("P5 99999999 3 255\n"), US_FORMAT, "the width");
    says(&w, US_SV("P2 2 1 7 1 8"), US_FORMAT, "is over 7");
    says(&w, US_SV("P2 2 1 0 1 8"), US_FORMAT, "largest value is 0");
    says(&w, US_SV("P1 2 1 1"), US_FORMAT, "0 or 1 expected");
    says(&w, US_SV("BM........................"), US_FORMAT, "header");
    uint8_t bmp[54] = {'B',         'M',         [10] = 54,   [14] = 40, [18] = 0xFF,
                       [19] = 0xFF, [22] = 0xFF, [23] = 0xFF, [26] = 1,  [28] = 24};
    us_sv file = {(char *)bmp, sizeof bmp};
    says(&w, file, US_FORMAT, "do not fit");
    bmp[28] = 7;
    says(&w, file, US_UNSUPP, "7 bits");
    bmp[28] = 24;
    memset(bmp + 18, 0, 8);
    says(&w, file, US_FORMAT, "no pixels");
    bmp[18] = 1;
    bmp[25] = 0x80; /* height -2^31 */
    says(&w, file, US_LIMIT, "pixels high");
    end(&w);
}

/* Sizes in headers are looked at before memory is asked for. */
static void test_image_decode__limits(void)
{
    world w;
    begin(&w);
    char big[200000] = "P5 400 400 255\n";
    says(&w, (us_sv){big, 160015}, US_LIMIT, "at most 100000 are taken");
    us_image_limits l = {.max_pixels = 399 * 400};
    us_image im;
    us_sv file = {big, 160015};
    CHECK_ERR(us_image_decode(&w.c, w.a, "x", file, US_PIXELS_GRAY, &l, &im), US_LIMIT);
    CHECK(strstr(w.c.diag.text, "400 pixels high and 400 wide") != NULL);
    l.max_pixels = 400 * 400;
    CHECK_OK(&w.c, us_image_decode(&w.c, w.a, "x", file, US_PIXELS_GRAY, &l, &im));
    for (size_t i = 0; i < US_LEN(pictures); i++) {
        us_image_limits few = {.max_pixels = 5};
        if (!in_this_build(pictures[i].format)) continue;
        us_err want =
            strcmp(pictures[i].name, "plain.ppm3") == 0 ? US_OK : US_LIMIT; /* two pixels */
        us_sv one = data_file(&w, pictures[i].name);
        CHECK_ERR(us_image_decode(&w.c, w.a, "x", one, US_PIXELS_RGB, &few, &im), want);
    }
    end(&w);
}

static void test_image_name__ends(void)
{
    CHECK(us_image_name(US_SV("a.JPEG")));
    CHECK(us_image_name(US_SV("dir.png/b.Tif")));
    CHECK(!us_image_name(US_SV(".png")));
    CHECK(!us_image_name(US_SV("a.npy")));
    CHECK(!us_image_name(US_SV("")));
}

static us_err decode_all(us_ctx *c, void *arg)
{
    world *files = arg;
    us_arena *a;
    us_image im;
    c->log.level = US_LOG_NONE;
    US_TRY(us_arena_new(c, "torture", (size_t)16 << 20, &a));
    us_err e = US_OK;
    static const char *const names[] = {"rgb.png",  "gray.jpg", "lossless.webp", "raw.tif",
                                        "gray.j2k", "rle8.bmp", "plain.pgm"};
    for (size_t i = 0; e == US_OK && i < US_LEN(names); i++) {
        us_sv file = data_file(files, names[i]);
        if (!in_this_build(us_image_format(file))) continue;
        e = us_image_decode(c, a, names[i], file, US_PIXELS_BGR, NULL, &im);
    }
    us_arena_free(a);
    return e;
}

static void test_image_decode__every_allocation_fails(void)
{
    world w;
    begin(&w);
    us_torture("image", decode_all, &w);
    end(&w);
}

/* --- ImageDecoder ------------------------------------------------------------------------------------------- */

static us_plan *decoder_plan(us_ctx *c)
{
    us_model *m;
    us_plan *p;
    us_sym n;
    us_vid x;
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_model_set_opset(c, m, US_SV(""), 20));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &n));
    us_dim dims[1] = {US_DIM_SYM(n)};
    us_type t = us_type_tensor(US_U8, 1, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("bytes"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    us_vid y = us_b1(&b, "ImageDecoder", x);
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, y));
    CHECK_OK(c, us_graph_infer(c, m->main));
    CHECK_OK(c, us_plan_new(c, m, NULL, &p));
    return p;
}

static void test_image_decoder__session(void)
{
    world w;
    begin(&w);
    us_plan *p = decoder_plan(&w.c);
    us_session *s;
    CHECK_ERR(us_session_new(&w.c, p, NULL, &s), US_UNSUPP);
    CHECK(strstr(w.c.diag.text, "no decoder of images") != NULL);
    us_session_opts o = {.images = &us_image_codecs};
    CHECK_OK(&w.c, us_session_new(&w.c, p, &o, &s));
    us_sv file = data_file(&w, "rgb.png");
    us_tensor x;
    us_value out;
    char *bytes = us_str_dup(w.a, file);
    CHECK_OK(&w.c, us_tensor_init(&w.c, &x, US_U8, 1, (int64_t[]){(int64_t)file.n}, bytes));
    us_value in = us_value_of(&x);
    CHECK_OK(&w.c, us_session_run(&w.c, s, &in, &out));
    CHECK_EQ_I64(out.t.dims[0], 7);
    CHECK_EQ_I64(out.t.dims[1], 13);
    CHECK_EQ_I64(out.t.dims[2], 3);
    bytes[30] ^=
        1; /* the checksum of the header no longer holds: an empty image, by the standard */
    CHECK_OK(&w.c, us_session_run(&w.c, s, &in, &out));
    CHECK_EQ_I64(out.t.dims[0], 0);
    CHECK_EQ_I64(out.t.dims[2], 3);
    us_session_free(s);
    us_plan_free(p);
    end(&w);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_image_decode__as_pillow),
                                         US_CASE(test_image_decode__other_pixels),
                                         US_CASE(test_image_decode__cut_short),
                                         US_CASE(test_image_decode__words),
                                         US_CASE(test_image_decode__limits),
                                         US_CASE(test_image_name__ends),
                                         US_CASE(test_image_decode__every_allocation_fails),
                                         US_CASE(test_image_decoder__session)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
