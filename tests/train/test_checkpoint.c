/* Checkpoints: what is written is read back; every damaged byte and every shorter file is refused. */
#include "us_torture.h"

#include "base/crc.h"
#include "base/file.h"
#include "train/checkpoint.h"

static float values[3] = {1, -2, 3.5F}, best[3] = {4, 5, 6}, m[3] = {0.1F, 0.2F, 0.3F},
             v[3] = {7, 8, 9};
static us_train_epoch history[2] = {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}};

static us_ckpt sample(void)
{
    return (us_ckpt){.fingerprint = 0x123456789ABCDEF0u,
                     .epochs = 2,
                     .steps = 40,
                     .best_epoch = 1,
                     .best_loss = 0.25,
                     .n_values = 3,
                     .n_slots = 2,
                     .values = values,
                     .best = best,
                     .slots = {m, v},
                     .history = history,
                     .n_history = 2};
}

static void print(us_ctx *c, us_buf *b)
{
    us_ckpt k = sample();
    us_buf_init(b, c, 1 << 20);
    CHECK_OK(c, us_ckpt_print(c, &k, b));
}

static void test_ckpt__round_trip(void)
{
    us_ctx c;
    us_arena *a;
    us_buf b;
    us_ckpt k, want = sample();
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "test", 1 << 20, &a));
    print(&c, &b);
    CHECK_EQ_U64(b.n, 72 + 4 * 3 * 4 + 2 * 40 + 4);
    CHECK_OK(&c, us_ckpt_parse(&c, a, "ckpt", b.p, b.n, &k));
    CHECK_EQ_U64(k.fingerprint, want.fingerprint);
    CHECK_EQ_U64(k.epochs, 2);
    CHECK_EQ_U64(k.steps, 40);
    CHECK_EQ_U64(k.best_epoch, 1);
    CHECK_NEAR(k.best_loss, 0.25, 0);
    CHECK_EQ_MEM(k.values, values, sizeof(values));
    CHECK_EQ_MEM(k.best, best, sizeof(best));
    CHECK_EQ_MEM(k.slots[0], m, sizeof(m));
    CHECK_EQ_MEM(k.slots[1], v, sizeof(v));
    CHECK_EQ_MEM(k.history, history, sizeof(history));
    us_buf_deinit(&b);
    us_arena_free(a);
    us_ctx_deinit(&c);
}

static void test_ckpt__every_byte_matters(void)
{
    us_ctx c;
    us_arena *a;
    us_buf b;
    us_ckpt k = {.epochs = 99};
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "test", 1 << 24, &a));
    print(&c, &b);
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] ^= 0x10;
        CHECK_ERR(us_ckpt_parse(&c, a, "ckpt", b.p, b.n, &k), US_FORMAT);
        b.p[i] ^= 0x10;
        CHECK_ERR(us_ckpt_parse(&c, a, "ckpt", b.p, i, &k), US_FORMAT);
    }
    CHECK_EQ_U64(k.epochs, 99);
    us_buf_deinit(&b);
    us_arena_free(a);
    us_ctx_deinit(&c);
}

/* A header that promises more than there is must not allocate, even with a CRC that matches. */
static void test_ckpt__impossible_counts(void)
{
    us_ctx c;
    us_arena *a;
    us_buf b;
    us_ckpt k;
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "test", 1 << 20, &a));
    static const struct {
        size_t at;
        uint64_t value;
    } rows[] = {{56, UINT64_MAX}, {56, 0}, {56, (uint64_t)1 << 31}, {64, UINT64_MAX}, {64, 1},
                {24, 7},          {40, 3}};
    for (size_t i = 0; i < US_LEN(rows); i++) {
        print(&c, &b);
        memcpy(b.p + rows[i].at, &rows[i].value, 8);
        uint32_t crc = us_crc32c(0, b.p, b.n - 4);
        memcpy(b.p + b.n - 4, &crc, 4);
        CHECK_ERR(us_ckpt_parse(&c, a, "ckpt", b.p, b.n, &k), US_FORMAT);
        us_buf_deinit(&b);
    }
    us_arena_free(a);
    us_ctx_deinit(&c);
}

static void test_ckpt__file(void)
{
    us_ctx c;
    us_arena *a;
    us_ckpt k, want = sample();
    char path[1024];
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "test", 1 << 20, &a));
    us_test_tmp(path, sizeof path, "run.ckpt");
    CHECK_ERR(us_ckpt_read(&c, a, path, &k), US_NOTFOUND);
    CHECK_OK(&c, us_ckpt_write(&c, path, &want));
    CHECK_OK(&c, us_ckpt_read(&c, a, path, &k));
    CHECK_EQ_MEM(k.values, values, sizeof(values));
    us_arena_free(a);
    us_ctx_deinit(&c);
}

static us_err parse_it(us_ctx *c, void *arg)
{
    const us_buf *b = arg;
    us_arena *a;
    us_ckpt k;
    US_TRY(us_arena_new(c, "test", 1 << 20, &a));
    us_err e = us_ckpt_parse(c, a, "ckpt", b->p, b->n, &k);
    us_arena_free(a);
    return e;
}

static void test_ckpt__nomem(void)
{
    us_ctx c;
    us_buf b;
    us_ctx_init(&c);
    print(&c, &b);
    us_torture("checkpoint", parse_it, &b);
    us_buf_deinit(&b);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_ckpt__round_trip),
        US_CASE(test_ckpt__every_byte_matters),
        US_CASE(test_ckpt__impossible_counts),
        US_CASE(test_ckpt__file),
        US_CASE(test_ckpt__nomem),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
