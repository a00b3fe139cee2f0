/* Resizing against Pillow's bytes, cutting, scaling, layout. */
#include "us_test.h"

#include "image/prep.h"
#include "resized.h"

typedef struct world {
    us_ctx c;
    us_arena *a;
    us_image im; /* 11 x 17, as in make_resized.py */
} world;

static void begin(world *w)
{
    us_ctx_init(&w->c);
    CHECK_OK(&w->c, us_arena_new(&w->c, "test", (size_t)64 << 20, &w->a));
    w->im = (us_image){11, 17, US_PIXELS_RGB, us_new_n(w->a, uint8_t, 11 * 17 * 3), "test"};
    for (uint64_t i = 0; i < 11 * 17 * 3; i++)
        w->im.data[i] = (uint8_t)((i * 2654435761u) >> 13);
}

static void end(world *w)
{
    us_arena_free(w->a);
    us_ctx_deinit(&w->c);
}

static int hex(char ch)
{
    return ch <= '9' ? ch - '0' : ch - 'a' + 10;
}

static void test_image_resize__as_pillow(void)
{
    world w;
    begin(&w);
    for (size_t i = 0; i < US_LEN(resized); i++) {
        us_image out;
        size_t n = (size_t)(resized[i].h * resized[i].w * 3);
        CHECK_OK(&w.c, us_image_resize(&w.c, w.a, &w.im, resized[i].h, resized[i].w, &out));
        CHECK_EQ_U64(strlen(resized[i].rgb), 2 * n);
        for (size_t k = 0; k < n; k++) {
            int want = hex(resized[i].rgb[2 * k]) * 16 + hex(resized[i].rgb[2 * k + 1]);
            if (out.data[k] != want)
                US_TEST_FAIL("%d x %d: byte %zu is %d, expected %d", resized[i].h, resized[i].w,
                             k, out.data[k], want);
        }
    }
    end(&w);
}

/* A flat picture stays flat at every size, white does not overflow. */
static void test_image_resize__flat(void)
{
    world w;
    begin(&w);
    memset(w.im.data, 255, 11 * 17 * 3);
    for (int64_t h = 1; h < 30; h++) {
        us_image out;
        CHECK_OK(&w.c, us_image_resize(&w.c, w.a, &w.im, h, 31 - h, &out));
        for (int64_t k = 0; k < out.h * out.w * 3; k++)
            CHECK_EQ_I64(out.data[k], 255);
    }
    us_image out;
    CHECK_ERR(us_image_resize(&w.c, w.a, &w.im, 0, 5, &out), US_LIMIT);
    CHECK_ERR(us_image_resize(&w.c, w.a, &w.im, 5, 70000, &out), US_LIMIT);
    CHECK_ERR(us_image_resize(&w.c, w.a, &w.im, 60000, 60000, &out), US_LIMIT);
    end(&w);
}

static void test_image_fit__shorter_side_then_middle(void)
{
    world w;
    begin(&w);
    us_image out, cut;
    us_image_prep p = us_image_prep_plain();
    CHECK_OK(&w.c, us_image_fit(&w.c, w.a, &w.im, &p, &out));
    CHECK(out.data == w.im.data);
    p.shorter = 5; /* 11 x 17: 5 x int(5 * 17 / 11) */
    CHECK_OK(&w.c, us_image_fit(&w.c, w.a, &w.im, &p, &out));
    CHECK_EQ_I64(out.h, 5);
    CHECK_EQ_I64(out.w, 7);
    p.h = 4;
    p.w = 2;
    CHECK_OK(&w.c, us_image_fit(&w.c, w.a, &w.im, &p, &cut));
    CHECK_EQ_I64(cut.h, 4);
    CHECK_EQ_I64(cut.w, 2);
    /* rows 0.5 -> 0, columns 2.5 -> 2: half to even */
    CHECK_EQ_MEM(cut.data, out.data + 2 * 3, 6);
    p.h = 6;
    CHECK_ERR(us_image_fit(&w.c, w.a, &w.im, &p, &cut), US_SHAPE);
    CHECK(strstr(w.c.diag.text, "6 x 2") != NULL);
    p.shorter = 0;
    CHECK_OK(&w.c, us_image_fit(&w.c, w.a, &w.im, &p, &cut));
    CHECK_EQ_I64(cut.h, 6);
    end(&w);
}

static void test_image_fill__layout_and_scale(void)
{
    world w;
    begin(&w);
    us_image_prep p = us_image_prep_plain();
    static float x[11 * 17 * 3];
    static int8_t b[11 * 17 * 3];
    p.channels_first = true;
    p.scale = 1.0 / 255;
    p.mean[1] = 0.5;
    p.std[1] = 0.25;
    CHECK_OK(&w.c, us_image_fill(&w.c, &w.im, &p, US_F32, x));
    for (int i = 0; i < 11 * 17; i++) {
        CHECK_NEAR(x[i], w.im.data[3 * i] / 255.0, 1e-7);
        CHECK_NEAR(x[11 * 17 + i], (w.im.data[3 * i + 1] / 255.0 - 0.5) / 0.25, 1e-6);
        CHECK_NEAR(x[2 * 11 * 17 + i], w.im.data[3 * i + 2] / 255.0, 1e-7);
    }
    p = us_image_prep_plain();
    p.mean[0] = p.mean[1] = p.mean[2] = 128;
    CHECK_OK(&w.c, us_image_fill(&w.c, &w.im, &p, US_I8, b));
    for (int i = 0; i < 11 * 17 * 3; i++)
        CHECK_EQ_I64(b[i], (int)w.im.data[i] - 128);
    CHECK_ERR(us_image_fill(&w.c, &w.im, &p, US_STRING, b), US_UNSUPP);
    CHECK_ERR(us_image_fill(&w.c, &w.im, &p, US_I4, b), US_UNSUPP);
    end(&w);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_image_resize__as_pillow),
                                         US_CASE(test_image_resize__flat),
                                         US_CASE(test_image_fit__shorter_side_then_middle),
                                         US_CASE(test_image_fill__layout_and_scale)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
