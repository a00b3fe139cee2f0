/* Sequences, maps, strings and optional values as inputs and outputs. */
#include "capi_fixture.h"

static const char *const MAPS =
    "model ir=8 opset=17,ai.onnx.ml:3\n"
    "graph main(x: float[N,2]) -> (y) {\n"
    "  y = ai.onnx.ml.ZipMap(x) {classlabels_strings=[\"no\", \"yes\"]}\n"
    "}\n";

static const char *const SEQ = "model ir=8 opset=17\n"
                               "graph main(q: seq(float[N]), i: int64[]) -> (at, r) {\n"
                               "  at = SequenceAt(q, i)\n"
                               "  r = SequenceErase(q, i)\n"
                               "}\n";

static usta_value tensor_value(usta_tensor t)
{
    usta_value v = {.kind = USTA_KIND_TENSOR, .tensor = t};
    return v;
}

static void test_values__sequence_of_maps(void)
{
    world w;
    world_begin(&w, MAPS);
    float p[4] = {0.25f, 0.75f, 1, 0};
    usta_value x = tensor_value(f32(2, 2, p)), y;
    CHECK_USTA(&w, usta_session_run_values(w.session, &x, 1, &y, 1));
    CHECK_EQ_I64(y.kind, USTA_KIND_SEQUENCE);
    CHECK_EQ_U64(y.n_items, 2);
    const usta_value *map = &y.items[0];
    CHECK_EQ_I64(map->kind, USTA_KIND_MAP);
    CHECK_EQ_U64(map->n_items, 2);
    CHECK_EQ_I64(map->tensor.type, USTA_TYPE_STRING);
    const usta_str *keys = map->tensor.data;
    CHECK(keys[1].n == 3 && memcmp(keys[1].p, "yes", 3) == 0);
    CHECK_NEAR(*(float *)map->items[1].tensor.data, 0.75, 0);
    usta_tensor t = f32(2, 2, p), o;
    CHECK_EQ_I64(usta_session_run(w.session, &t, 1, &o, 1), USTA_UNSUPP);
    CHECK(strstr(usta_session_error(w.session), "usta_session_run_values") != NULL);
    CHECK_USTA(&w, usta_session_run_values(w.session, &x, 1, &y, 1));
    world_end(&w);
}

/* Maps that stay are filled anew at each run, of any number of rows; what the last run gave holds until the next has read it. */
static void test_values__maps_stay(void)
{
    world w;
    world_begin(&w, MAPS);
    for (int run = 0; run < 9; run++) {
        float p[6] = {0.5F + (float)run, 1, 2, 3, 4, 5.25F + (float)run};
        int64_t rows = run % 4 == 3 ? 3 : 2;
        usta_value x = tensor_value(f32(rows, 2, p)), y;
        CHECK_USTA(&w, usta_session_run_values(w.session, &x, 1, &y, 1));
        CHECK_EQ_U64(y.n_items, (uint64_t)rows);
        for (size_t i = 0; i < (size_t)rows; i++)
            for (size_t j = 0; j < 2; j++) {
                const usta_value *number = &y.items[i].items[j];
                CHECK_EQ_I64(number->tensor.rank, 0);
                CHECK_NEAR(*(float *)number->tensor.data, p[2 * i + j], 0);
            }
    }
    world_end(&w);
}

static void test_values__maps_in_and_back(void)
{
    world w;
    world_begin(
        &w, "model ir=8 opset=17,ai.onnx.ml:3\n"
            "graph main(x: map(int64,float[])) -> (y) {\n"
            "  d = ai.onnx.ml.DictVectorizer(x) {int64_vocabulary=[7, -3]}\n"
            "  s = Add(d, d)\n"
            "  y = ai.onnx.ml.ZipMap(s) {classlabels_int64s=[-3, 7]}\n" /* turns them round */
            "}\n");
    int64_t keys[3] = {-3, 100, 7};
    float numbers[3] = {1, 50, 2};
    usta_value items[3], x = {.kind = USTA_KIND_MAP, .items = items, .n_items = 3}, y;
    x.tensor = (usta_tensor){.type = USTA_TYPE_INT64, .rank = 1, .dims = {3}, .data = keys};
    for (int i = 0; i < 3; i++)
        items[i] = tensor_value((usta_tensor){.type = USTA_TYPE_FLOAT, .data = &numbers[i]});
    float want[2] = {4, 2};
    for (int run = 0; run < 6; run++) {
        CHECK_USTA(&w, usta_session_run_values(w.session, &x, 1, &y, 1));
        x = y.items[0];
        CHECK_NEAR(*(float *)x.items[0].tensor.data, want[0], 0);
        CHECK_NEAR(*(float *)x.items[1].tensor.data, want[1], 0);
        float was = want[0];
        want[0] = 2 * want[1];
        want[1] = 2 * was;
    }
    items[2] = tensor_value((usta_tensor){.type = USTA_TYPE_INT64, .data = &keys[0]});
    x = (usta_value){.kind = USTA_KIND_MAP, .items = items, .n_items = 3};
    x.tensor = (usta_tensor){.type = USTA_TYPE_INT64, .rank = 1, .dims = {3}, .data = keys};
    CHECK_EQ_I64(usta_session_run_values(w.session, &x, 1, &y, 1), USTA_ARG);
    CHECK(strstr(usta_session_error(w.session), "not one element of one type") != NULL);
    items[2] = tensor_value((usta_tensor){.type = USTA_TYPE_FLOAT, .data = &numbers[2]});
    CHECK_USTA(&w, usta_session_run_values(w.session, &x, 1, &y, 1));
    CHECK_NEAR(*(float *)y.items[0].items[0].tensor.data, 4, 0);
    world_end(&w);
}

/* Inputs that are like those of the last call but for one that is refused are not taken for those of the last call. */
static void test_values__refused_in_between(void)
{
    world w;
    world_begin(&w, "model ir=8 opset=17\n"
                    "graph main(a: float[N,M], b: float[N,M]) -> (y) {\n"
                    "  y = Add(a, b)\n"
                    "}\n");
    float p[6] = {1, 2, 3, 4, 5, 6}, q[6] = {10, 20, 30, 40, 50, 60};
    usta_tensor in[2] = {f32(2, 2, p), f32(2, 2, q)}, y;
    CHECK_USTA(&w, usta_session_run(w.session, in, 2, &y, 1));
    CHECK_USTA(&w, usta_session_run(w.session, in, 2, &y, 1));
    usta_tensor bad[2] = {f32(3, 2, p), f32(3, 2, NULL)};
    CHECK_EQ_I64(usta_session_run(w.session, bad, 2, &y, 1), USTA_ARG);
    bad[1] = in[1];
    CHECK_EQ_I64(usta_session_run(w.session, bad, 2, &y, 1), USTA_SHAPE);
    CHECK_EQ_I64(usta_session_run(w.session, bad, 2, &y, 1), USTA_SHAPE);
    bad[1] = f32(3, 2, q);
    CHECK_USTA(&w, usta_session_run(w.session, bad, 2, &y, 1));
    CHECK_EQ_I64(y.dims[0], 3);
    CHECK_NEAR(((float *)y.data)[5], 66, 0);
    CHECK_EQ_I64(usta_session_run(w.session, (usta_tensor[]){y, bad[1]}, 2, &y, 1), USTA_ARG);
    world_end(&w);
}

static void test_values__type_of_them(void)
{
    world w;
    char text[64];
    usta_value_info info = {.struct_size = sizeof info}, item = info, value = info;
    world_read(&w, MAPS, NULL);
    CHECK_USTA(&w, usta_model_infer(w.model));
    CHECK_USTA(&w, usta_model_output(w.model, 0, &info));
    CHECK_EQ_I64(info.kind, USTA_KIND_SEQUENCE);
    CHECK_EQ_I64(info.type, USTA_TYPE_NONE);
    CHECK_EQ_U64(usta_typing_text(w.model, info.typing, text, sizeof text), 24);
    CHECK_EQ_STR(text, "seq(map(string,float[]))");
    CHECK_EQ_U64(usta_typing_text(w.model, info.typing, text, 4), 24);
    CHECK_EQ_STR(text, "seq");
    CHECK_USTA(&w, usta_typing_inner(w.model, info.typing, &item));
    CHECK_EQ_I64(item.kind, USTA_KIND_MAP);
    CHECK_EQ_I64(item.type, USTA_TYPE_STRING);
    CHECK_USTA(&w, usta_typing_inner(w.model, item.typing, &value));
    CHECK_EQ_I64(value.kind, USTA_KIND_TENSOR);
    CHECK_EQ_I64(value.rank, 0);
    CHECK_EQ_I64(usta_typing_inner(w.model, value.typing, &item), USTA_NOTFOUND);
    world_end(&w);
}

/* What came out goes in again: the sequence of the last run is still there while the next reads it. */
static void test_values__sequence_in_and_back(void)
{
    world w;
    world_begin(&w, SEQ);
    float a[3] = {1, 2, 3}, b[2] = {4, 5}, d[1] = {6};
    int64_t at = 1;
    usta_value items[3] = {
        tensor_value((usta_tensor){.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {3}, .data = a}),
        tensor_value((usta_tensor){.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {2}, .data = b}),
        tensor_value(
            (usta_tensor){.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {1}, .data = d})};
    usta_value in[2] = {{.kind = USTA_KIND_SEQUENCE, .items = items, .n_items = 3},
                        tensor_value((usta_tensor){.type = USTA_TYPE_INT64, .data = &at})};
    usta_value out[2];
    CHECK_USTA(&w, usta_session_run_values(w.session, in, 2, out, 2));
    CHECK_EQ_I64(out[0].tensor.dims[0], 2);
    CHECK_NEAR(((float *)out[0].tensor.data)[1], 5, 0);
    CHECK_EQ_U64(out[1].n_items, 2);
    in[0] = out[1];
    CHECK_USTA(&w, usta_session_run_values(w.session, in, 2, out, 2));
    CHECK_NEAR(((float *)out[0].tensor.data)[0], 6, 0);
    CHECK_EQ_U64(out[1].n_items, 1);
    CHECK_NEAR(((float *)out[1].items[0].tensor.data)[2], 3, 0);
    world_end(&w);
}

static void test_values__mistakes(void)
{
    world w;
    world_begin(&w, SEQ);
    int64_t at = 0, keys[2] = {1, 2};
    float x = 1;
    usta_value item = tensor_value(
        (usta_tensor){.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {1}, .data = &x});
    usta_value in[2] = {{.kind = USTA_KIND_SEQUENCE, .items = &item, .n_items = 1},
                        tensor_value((usta_tensor){.type = USTA_TYPE_INT64, .data = &at})};
    usta_value out[2];
    usta_value good = in[0], deep[18];
    in[0].items = NULL;
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 2, out, 2), USTA_ARG);
    in[0] = good;
    in[0].kind = 77;
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 2, out, 2), USTA_ARG);
    in[0].kind = USTA_KIND_OPTIONAL; /* of types only */
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 2, out, 2), USTA_ARG);
    in[0] = good;
    item.tensor.data = NULL;
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 2, out, 2), USTA_ARG);
    CHECK(strstr(usta_session_error(w.session), "no data") != NULL);
    item.tensor.data = &x;
    in[0].kind = USTA_KIND_MAP;
    in[0].tensor = (usta_tensor){.type = USTA_TYPE_INT64, .rank = 1, .dims = {2}, .data = keys};
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 2, out, 2), USTA_ARG);
    CHECK(strstr(usta_session_error(w.session), "a map of 1 items") != NULL);
    in[0].tensor.dims[0] = 1; /* a map, but a sequence is wanted */
    CHECK(usta_session_run_values(w.session, in, 2, out, 2) != USTA_OK);
    in[0] = tensor_value(item.tensor);
    CHECK(usta_session_run_values(w.session, in, 2, out, 2) != USTA_OK);
    deep[17] = item;
    for (int i = 16; i >= 0; i--)
        deep[i] = (usta_value){.kind = USTA_KIND_SEQUENCE, .items = &deep[i + 1], .n_items = 1};
    in[0] = deep[0];
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 2, out, 2), USTA_ARG);
    CHECK(strstr(usta_session_error(w.session), "nested deeper") != NULL);
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 1, out, 2), USTA_ARG);
    CHECK_EQ_I64(usta_session_run_values(w.session, NULL, 2, out, 2), USTA_ARG);
    CHECK_EQ_I64(usta_session_run_values(w.session, in, 2, NULL, 2), USTA_ARG);
    CHECK_EQ_I64(usta_session_run_values(NULL, in, 2, out, 2), USTA_ARG);
    in[0] = good; /* and after all that it still works */
    CHECK_USTA(&w, usta_session_run_values(w.session, in, 2, out, 2));
    CHECK_EQ_U64(out[1].n_items, 0);
    world_end(&w);
}

static void test_values__strings(void)
{
    world w;
    world_begin(&w, "model ir=10 opset=20\n"
                    "graph main(a: string[N], b: string[N]) -> (y) {\n"
                    "  y = StringConcat(a, b)\n"
                    "}\n");
    usta_str a[2] = {{"ab", 2}, {NULL, 0}}, b[2] = {{"cd", 2}, {"x\0y", 3}};
    usta_tensor in[2] = {{.type = USTA_TYPE_STRING, .rank = 1, .dims = {2}, .data = a},
                         {.type = USTA_TYPE_STRING, .rank = 1, .dims = {2}, .data = b}};
    usta_tensor y;
    CHECK_USTA(&w, usta_session_run(w.session, in, 2, &y, 1));
    const usta_str *s = y.data;
    CHECK_EQ_I64(y.type, USTA_TYPE_STRING);
    CHECK(s[0].n == 4 && memcmp(s[0].p, "abcd", 4) == 0);
    CHECK(s[1].n == 3 && memcmp(s[1].p, "x\0y", 3) == 0);
    usta_str own[2];
    usta_tensor into = {.type = USTA_TYPE_STRING, .rank = 1, .dims = {2}, .data = own};
    CHECK_USTA(&w, usta_session_run_into(w.session, in, 2, &into, 1));
    CHECK(own[0].n == 4 && memcmp(own[0].p, "abcd", 4) == 0);
    a[1].n = 5;
    CHECK_EQ_I64(usta_session_run(w.session, in, 2, &y, 1), USTA_ARG);
    CHECK(strstr(usta_session_error(w.session), "no address") != NULL);
    world_end(&w);
}

static void test_values__optional(void)
{
    world w;
    world_begin(&w, "model ir=8 opset=18\n"
                    "graph main(o: opt(float[N])) -> (has) {\n"
                    "  has = OptionalHasElement(o)\n"
                    "}\n");
    float x = 1;
    usta_value in = {.kind = USTA_KIND_NONE}, y;
    CHECK_USTA(&w, usta_session_run_values(w.session, &in, 1, &y, 1));
    CHECK_EQ_I64(*(uint8_t *)y.tensor.data, 0);
    in = tensor_value(
        (usta_tensor){.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {1}, .data = &x});
    CHECK_USTA(&w, usta_session_run_values(w.session, &in, 1, &y, 1));
    CHECK_EQ_I64(*(uint8_t *)y.tensor.data, 1);
    world_end(&w);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_values__sequence_of_maps), US_CASE(test_values__maps_stay),
        US_CASE(test_values__maps_in_and_back), US_CASE(test_values__refused_in_between),
        US_CASE(test_values__type_of_them),     US_CASE(test_values__sequence_in_and_back),
        US_CASE(test_values__mistakes),         US_CASE(test_values__strings),
        US_CASE(test_values__optional),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
