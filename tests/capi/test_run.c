/* Runs through the public C API, as a caller makes them: tensors, the caller's memory, images. */
#include "capi_fixture.h"

#include "ir/build.h"

static void test_usta_run__views(void)
{
    world w;
    world_begin(&w, NET);
    float data[4] = {1, 1, 0, 2};
    usta_tensor x = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {2, 2}, .data = data}, y;
    CHECK_USTA(&w, usta_session_run(w.session, &x, 1, &y, 1));
    CHECK_EQ_I64(y.rank, 2);
    CHECK_EQ_I64(y.dims[1], 3);
    CHECK_EQ_U64(usta_tensor_bytes(&y), 24);
    CHECK_NEAR(((float *)y.data)[5], 12, 1e-6);
    world_end(&w);
}

static void test_usta_run_into__callers_memory(void)
{
    world w;
    world_begin(&w, NET);
    float data[2] = {1, 1}, got[3] = {0};
    usta_tensor x = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {1, 2}, .data = data};
    usta_tensor y = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {1, 3}, .data = got};
    CHECK_USTA(&w, usta_session_run_into(w.session, &x, 1, &y, 1));
    CHECK_NEAR(got[2], 9, 1e-6);
    y.dims[1] = 4;
    CHECK_EQ_I64(usta_session_run_into(w.session, &x, 1, &y, 1), USTA_SHAPE);
    CHECK(strstr(usta_session_error(w.session), "[1,3]") != NULL);
    y.data = NULL;
    CHECK_EQ_I64(usta_session_run_into(w.session, &x, 1, &y, 1), USTA_ARG);
    world_end(&w);
}

static void test_usta__callers_mistakes(void)
{
    world w;
    world_begin(&w, NET);
    float data[3] = {1, 1, 1};
    usta_tensor x = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {1, 3}, .data = data}, y;
    CHECK_EQ_I64(usta_session_run(w.session, &x, 1, &y, 1), USTA_SHAPE);
    x.rank = 99;
    CHECK_EQ_I64(usta_session_run(w.session, &x, 1, &y, 1), USTA_ARG);
    x.rank = 2;
    x.type = 77;
    CHECK_EQ_I64(usta_session_run(w.session, &x, 1, &y, 1), USTA_ARG);
    x.type = USTA_TYPE_FLOAT;
    x.dims[0] = -5;
    CHECK(usta_session_run(w.session, &x, 1, &y, 1) != USTA_OK);
    CHECK_EQ_I64(usta_session_run(w.session, NULL, 1, &y, 1), USTA_ARG);
    CHECK_EQ_I64(usta_session_run(w.session, &x, 0, &y, 1), USTA_ARG);
    CHECK_EQ_I64(usta_session_run(NULL, &x, 1, &y, 1), USTA_ARG);
    usta_model *m = NULL;
    CHECK_EQ_I64(usta_model_open(w.env, "/nonexistent/model.onnx", NULL, &m), USTA_NOTFOUND);
    CHECK(strstr(usta_env_error(w.env), "/nonexistent/model.onnx") != NULL);
    CHECK_EQ_I64(usta_model_parse(w.env, "garbage!", 8, NULL, &m), USTA_FORMAT);
    CHECK_EQ_I64(usta_model_open(NULL, "x", NULL, &m), USTA_ARG);
    CHECK(m == NULL);
    usta_env_settings zero = {0};
    usta_env *env = NULL;
    CHECK_EQ_I64(usta_env_new(&zero, &env), USTA_ARG);
    CHECK_EQ_I64(usta_env_new(NULL, NULL), USTA_ARG);
    CHECK_EQ_STR(usta_env_error(NULL), "");
    usta_model_free(NULL);
    usta_session_free(NULL);
    usta_env_free(NULL);
    world_end(&w);
}

static void test_usta__version_and_words(void)
{
    CHECK_EQ_STR(usta_version(), "0.1.0");
    CHECK(usta_features() & USTA_FEATURE_THREADS);
    CHECK_EQ_STR(usta_err_text(USTA_OK), "ok");
    CHECK(usta_err_text(12345) != NULL);
    CHECK_EQ_STR(usta_type_name(USTA_TYPE_INT64), "int64");
    CHECK_EQ_STR(usta_type_name(-1), "invalid");
    CHECK_EQ_U64(usta_tensor_bytes(NULL), 0);
}

/* --- images ---------------------------------------------------------------------------------------- */

/* image = ImageDecoder(bytes), as ONNX bytes. */
static void decoder_bytes(us_ctx *c, us_buf *out)
{
    us_model *m;
    us_sym n;
    us_vid x;
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_model_set_opset(c, m, US_SV(""), 20));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &n));
    us_dim dims[1] = {US_DIM_SYM(n)};
    us_type t = us_type_tensor(US_U8, 1, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("bytes"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    us_vid y = us_b_name(&b, us_b1(&b, "ImageDecoder", x), "image");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, y));
    CHECK_OK(c, us_graph_infer(c, m->main));
    us_buf_init(out, c, (size_t)1 << 20);
    CHECK_OK(c, us_onnx_print(c, m, out));
    us_model_free(m);
}

/* A format of our own: one byte height, one byte width, then all pixels are the third byte. */
static usta_err decode_flat(void *user, const void *bytes, size_t n_bytes, int32_t pixels,
                            usta_place_image_fn *place, void *place_arg)
{
    const uint8_t *p = bytes;
    uint8_t *out;
    *(int *)user += 1;
    if (n_bytes == 4) return USTA_IO;
    if (n_bytes == 5) return USTA_OK; /* without a picture: our fault, and said so */
    if (n_bytes != 3) return USTA_FORMAT;
    usta_err e = place(place_arg, p[0], p[1], &out);
    if (e != USTA_OK) return e;
    memset(out, p[2], (size_t)p[0] * p[1] * (pixels == USTA_PIXELS_GRAY ? 1 : 3));
    return USTA_OK;
}

static void test_usta_decode_image__by_the_caller(void)
{
    us_ctx c;
    us_buf bytes;
    int n_calls = 0;
    usta_env *env;
    usta_model *model;
    usta_session *session = NULL;
    usta_session_settings set;
    uint8_t file[5] = {4, 5, 77, 0, 0};
    usta_tensor x = {.type = USTA_TYPE_UINT8, .rank = 1, .dims = {3}, .data = file}, y;
    us_ctx_init(&c);
    decoder_bytes(&c, &bytes);
    CHECK_EQ_I64(usta_env_new(NULL, &env), USTA_OK);
    CHECK_EQ_I64(usta_model_parse(env, bytes.p, bytes.n, NULL, &model), USTA_OK);
    CHECK_EQ_I64(usta_session_new(model, NULL, &session), USTA_UNSUPP);
    CHECK_EQ_STR(
        usta_env_error(env),
        "usta_session_settings.decode_image is NULL: ImageDecoder 'net_0': this session "
        "was given no decoder of images");
    usta_session_defaults(&set);
    set.decode_image = decode_flat;
    set.decode_image_user = &n_calls;
    CHECK_EQ_I64(usta_session_new(model, &set, &session), USTA_OK);
    CHECK_EQ_I64(usta_session_run(session, &x, 1, &y, 1), USTA_OK);
    CHECK_EQ_I64(n_calls, 1);
    CHECK_EQ_I64(y.rank, 3);
    CHECK_EQ_I64(y.dims[0], 4);
    CHECK_EQ_I64(y.dims[1], 5);
    CHECK_EQ_I64(y.dims[2], 3);
    CHECK_EQ_I64(((uint8_t *)y.data)[59], 77);
    x.dims[0] = 2; /* cannot be decoded: an empty image */
    CHECK_EQ_I64(usta_session_run(session, &x, 1, &y, 1), USTA_OK);
    CHECK_EQ_I64(y.dims[0], 0);
    CHECK_EQ_I64(y.dims[2], 3);
    x.dims[0] = 4;
    CHECK_EQ_I64(usta_session_run(session, &x, 1, &y, 1), USTA_IO);
    CHECK(strstr(usta_session_error(session), "input/output failed") != NULL);
    x.dims[0] = 5;
    CHECK_EQ_I64(usta_session_run(session, &x, 1, &y, 1), USTA_ARG);
    CHECK(strstr(usta_session_error(session), "never called place") != NULL);
    usta_session_free(session);
    usta_model_free(model);
    usta_env_free(env);
    us_buf_deinit(&bytes);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_usta_run__views),
        US_CASE(test_usta_run_into__callers_memory),
        US_CASE(test_usta__callers_mistakes),
        US_CASE(test_usta__version_and_words),
        US_CASE(test_usta_decode_image__by_the_caller),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
