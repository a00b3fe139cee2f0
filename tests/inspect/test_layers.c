/* test_layers.c - costs by layer against figures worked out by hand, and a gigabyte of weights in little memory. */
#include "us_test.h"

#include <fcntl.h>

#include "inspect/cost.h"
#include "ir/text.h"
#include "onnx/onnx.h"

static us_ctx ctx;
static us_arena *arena;

static void free_model(void *m)
{
    us_model_free(m);
}

static us_layers layers_of(const char *text, const us_dim_size *sizes, size_t n)
{
    us_model *m;
    us_layers l;
    us_ctx_init(&ctx);
    CHECK_OK(&ctx, us_arena_new(&ctx, "test", 1 << 24, &arena));
    CHECK_OK(&ctx, us_model_parse(&ctx, us_sv_of(text), &m));
    CHECK_OK(&ctx, us_layers_get(&ctx, arena, m, sizes, n, &l));
    CHECK_OK(&ctx, us_arena_defer(&ctx, arena, free_model, m)); /* names are the model's */
    return l;
}

static void test_layers__formulas(void)
{
    us_layers l = layers_of(
        "model ir=8 opset=17\n"
        "graph main(x: float[N,3,10,10], s: float[5,N,4], lw: float[1,8,4], lr: float[1,8,2]) "
        "-> (d, h, q) {\n"
        "  const w: float[2,3,1,1] = {1, 2, 3, 4, 5, 6}\n"
        "  const b: float[2] = {1, 2}\n"
        "  const v: float[2,4,2,2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, "
        "1, 2,"
        " 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}\n"
        "  a = Conv(x, w, b)\n"
        "  p = MaxPool(a) {kernel_shape=[2, 2], strides=[2, 2]}\n"
        "  t = ConvTranspose(p, v) {strides=[2, 2]}\n"
        "  f = Flatten(t)\n"
        "  c = Conv(x, w, b)\n"
        "  d = Gemm(f, f) {transB=1}\n"
        "  g, h, cc = LSTM(s, lw, lr) {hidden_size=2}\n"
        "  q = MatMul(c, c)\n"
        "}\n",
        (const us_dim_size[]){{US_SV("N"), 7, true}}, 1);
    CHECK_EQ_U64(l.n, 8);
    CHECK(l.inferred && l.n_unknown == 0);
    CHECK(l.at[0].cost.macs == 7 * 2 * 100 * 3);
    CHECK(l.at[0].cost.ops == 7 * 2 * 100);
    CHECK_EQ_I64(l.at[0].n_params, 8);
    CHECK_EQ_U64(l.at[0].weight_bytes, 32);
    CHECK_EQ_U64(l.at[0].activation_bytes, 7 * 2 * 100 * 4);
    CHECK(l.at[1].cost.macs == 0 && l.at[1].cost.ops == 7 * 2 * 25 * 4);
    CHECK(l.at[2].cost.macs == 7 * 2 * 25 * 4 * 4);
    CHECK(l.at[3].cost.macs == 0 && l.at[3].cost.ops == 0);
    CHECK_EQ_I64(l.at[4].n_params, 0); /* counted where they are read first */
    CHECK(l.at[5].cost.macs == 7 * 7 * 400);
    CHECK(l.at[6].cost.macs == 5 * 7 * (8 * 4 + 8 * 2));
    CHECK(l.at[7].cost.macs == 7 * 2 * 100 * 10);
    CHECK(l.sum.cost.macs == 4200 + 2800 * 2 + 4200 + 19600 + 1680 + 14000);
    us_arena_free(arena);
}

/* Composites are counted by what they expand into. */
static void test_layers__expansions(void)
{
    us_layers l =
        layers_of("model ir=8 opset=17\n"
                  "graph main(x: uint8[2,8], y: float[2,6]) -> (z, g) {\n"
                  "  const w: uint8[8,3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,"
                  " 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}\n"
                  "  z = MatMulInteger(x, w)\n"
                  "  s = HardSwish(y)\n"
                  "  g = Einsum(s, y) {equation=\"ij,kj->ik\"}\n"
                  "}\n",
                  NULL, 0);
    CHECK_EQ_U64(l.n, 3);
    CHECK_EQ_U64(l.n_unknown, 0);
    CHECK(l.at[0].cost.macs == 2 * 8 * 3);
    CHECK(l.at[1].cost.macs == 0);
    CHECK(l.at[1].cost.ops >= 12 && l.at[1].cost.ops <= 12 * 8);
    CHECK(l.at[2].cost.macs == 2 * 2 * 6);
    us_arena_free(arena);
}

static void test_layers__attention(void)
{
    us_layers l =
        layers_of("model ir=8 opset=23\n"
                  "graph main(q: float[2,3,5,8], k: float[2,3,7,8], v: float[2,3,7,6])"
                  " -> (y) {\n"
                  "  y = Attention(q, k, v) {is_causal=1}\n"
                  "}\n",
                  NULL, 0);
    CHECK_EQ_U64(l.n_unknown, 0);
    CHECK(l.sum.cost.macs == 2 * 3 * 5 * 7 * (8 + 6));
    us_arena_free(arena);
}

static const char nested[] =
    "model ir=8 opset=17\n"
    "graph main(c: bool[], x: float[N,4]) -> (i) {\n"
    "  const w: float[4,4] = {1, 0, 2, 0, 0, 1, 0, -2, 3, 0, 1, 0, 0, 1, 0, 1}\n"
    "  i = If(c) {then_branch=graph t() -> (u) {\n"
    "    u = MatMul(^x, ^w)\n"
    "  }, else_branch=graph e() -> (v) {\n"
    "    v = Neg(^x)\n"
    "  }}\n"
    "}\n";

static void test_layers__sub_graphs(void)
{
    us_layers l = layers_of(nested, NULL, 0);
    CHECK_EQ_U64(l.n, 3);
    CHECK(us_sv_is(l.at[1].graph, "t"));
    CHECK(l.at[1].cost.macs == 16);
    CHECK_EQ_I64(l.at[1].n_params, 16);
    CHECK(l.at[2].cost.ops == 4);
    CHECK_EQ_U64(l.n_dims, 1);
    CHECK(l.dims[0].size == 1 && !l.dims[0].given);
    us_arena_free(arena);
}

static void test_layers__unknown_dim(void)
{
    us_model *m;
    us_layers l;
    us_dim_size s = {US_SV("M"), 3, true};
    us_ctx_init(&ctx);
    CHECK_OK(&ctx, us_arena_new(&ctx, "test", 1 << 24, &arena));
    CHECK_OK(&ctx, us_model_parse(&ctx, us_sv_of(nested), &m));
    CHECK_EQ_I64(us_layers_get(&ctx, arena, m, &s, 1, &l), US_ARG);
    CHECK(strstr(ctx.diag.text, "there are: N") != NULL);
    us_model_free(m);
    us_arena_free(arena);
}

static void test_layers__unknown_operator(void)
{
    us_layers l = layers_of("model ir=8 opset=17,my:1\n"
                            "graph main(x: float[3]) -> (y) {\n"
                            "  a = my.Wonder(x)\n"
                            "  y = Neg(a)\n"
                            "}\n",
                            NULL, 0);
    CHECK_EQ_U64(l.n, 2);
    CHECK_EQ_U64(l.n_unknown, 2);
    CHECK(!l.sum.known);
    us_arena_free(arena);
}

/* --- a gigabyte ------------------------------------------------------------------------------------------- */

#define SIDE 16384 /* of a square of floats: 1 GiB */

static void add_varint(us_buf *b, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        us_buf_addc(b, (char)(v | 128));
    us_buf_addc(b, (char)v);
}

static void add_number(us_buf *b, unsigned field, uint64_t v)
{
    add_varint(b, field << 3);
    add_varint(b, v);
}

static void add_bytes(us_buf *b, unsigned field, us_sv s)
{
    add_varint(b, field << 3 | 2);
    add_varint(b, s.n);
    us_buf_addsv(b, s);
}

static void add_pair(us_buf *b, const char *key, const char *value)
{
    us_buf e;
    us_buf_init(&e, &ctx, 1000);
    add_bytes(&e, 1, us_sv_of(key));
    add_bytes(&e, 2, us_sv_of(value));
    add_bytes(b, 13, us_buf_sv(&e));
    us_buf_deinit(&e);
}

/* y = MatMul(x, w); w ends the file and its bytes are a hole in it. */
static void make_file(const char *path, unsigned data_field)
{
    us_buf t, node, g, head;
    uint64_t hole = data_field == 13 ? 0 : (uint64_t)SIDE * SIDE * 4;
    us_buf *all[] = {&t, &node, &g, &head};
    for (size_t i = 0; i < US_LEN(all); i++)
        us_buf_init(all[i], &ctx, 10000);
    add_number(&t, 1, SIDE);
    add_number(&t, 1, SIDE);
    add_number(&t, 2, US_F32);
    add_bytes(&t, 8, US_SV("w"));
    if (data_field == 13) {
        add_pair(&t, "location", "hole.data");
        add_number(&t, 14, 1);
    } else {
        add_varint(&t, data_field << 3 | 2);
        add_varint(&t, hole);
    }
    add_bytes(&node, 1, US_SV("x"));
    add_bytes(&node, 1, US_SV("w"));
    add_bytes(&node, 2, US_SV("y"));
    add_bytes(&node, 4, US_SV("MatMul"));
    add_bytes(&g, 1, us_buf_sv(&node));
    add_bytes(&g, 2, US_SV("g"));
    /* x: float[4,16384] */
    add_bytes(&g, 11,
              (us_sv){"\x0a\x01x\x12\x10\x0a\x0e\x08\x01\x12\x0a\x0a\x02\x08\x04\x0a\x04"
                      "\x08\x80\x80\x01",
                      21});
    add_bytes(&g, 12, (us_sv){"\x0a\x01y\x12\x04\x0a\x02\x08\x01", 9});
    add_varint(&g, 5 << 3 | 2);
    add_varint(&g, t.n + hole);
    us_buf_addsv(&g, us_buf_sv(&t));
    add_number(&head, 1, 8);
    add_bytes(&head, 8, (us_sv){"\x10\x11", 2});
    add_varint(&head, 7 << 3 | 2);
    add_varint(&head, g.n + hole);
    us_buf_addsv(&head, us_buf_sv(&g));
    CHECK_OK(&ctx, us_buf_check(&head));
    CHECK_OK(&ctx, us_file_replace(&ctx, path, head.p, head.n));
    CHECK_EQ_I64(truncate(path, (off_t)(head.n + hole)), 0);
    for (size_t i = 0; i < US_LEN(all); i++)
        us_buf_deinit(all[i]);
}

/* The most memory this process has held, in KiB. */
static long peak_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6)) kib = strtol(line + 6, NULL, 10);
    if (f) fclose(f);
    return kib;
}

static void test_layers__a_gigabyte(void)
{
    static const unsigned fields[] = {9, 4, 13}; /* raw_data, float_data, external */
    us_ctx_init(&ctx);
    for (size_t i = 0; i < US_LEN(fields); i++) {
        char path[1024], data[1024];
        const us_onnx_opts o = {.descriptors_only = true};
        us_model *m;
        us_layers l;
        (void)snprintf(path, sizeof path, "%s/big%zu.onnx", us_test_tmpdir(), i);
        (void)snprintf(data, sizeof data, "%s/hole.data", us_test_tmpdir());
        make_file(path, fields[i]);
        int fd = open(data, O_CREAT | O_WRONLY, 0600);
        CHECK(fd >= 0 && ftruncate(fd, (off_t)SIDE * SIDE * 4) == 0 && close(fd) == 0);
        CHECK_OK(&ctx, us_arena_new(&ctx, "test", 1 << 24, &arena));
        CHECK_OK(&ctx, us_onnx_read(&ctx, path, &o, &m));
        CHECK_OK(&ctx, us_layers_get(&ctx, arena, m, NULL, 0, &l));
        CHECK_EQ_U64(l.sum.weight_bytes, (uint64_t)SIDE * SIDE * 4);
        CHECK(l.sum.cost.macs == 4.0 * SIDE * SIDE);
        us_model_free(m);
        us_arena_free(arena);
        (void)unlink(path);
        (void)unlink(data);
    }
    long kib = peak_kib();
    printf("# peak %ld KiB for 1 GiB of weights\n", kib);
    CHECK(kib > 0 && (kib < 50 * 1024 || US_TEST_SANITIZED));
}

static const us_test_case cases[] = {
    US_CASE(test_layers__formulas),    US_CASE(test_layers__expansions),
    US_CASE(test_layers__sub_graphs),  US_CASE(test_layers__attention),
    US_CASE(test_layers__unknown_dim), US_CASE(test_layers__unknown_operator),
    US_CASE(test_layers__a_gigabyte),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
