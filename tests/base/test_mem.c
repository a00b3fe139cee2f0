/* test_mem.c - allocator, blocks, arenas, vectors, maps, buffers: edges, caps and every refused allocation. */
#include <string.h>

#include "base/map.h"
#include "us_torture.h"

static us_ctx ctx(void)
{
    us_ctx c;
    us_ctx_init(&c);
    return c;
}

static void test_size__overflow(void)
{
    size_t r = 7;
    CHECK(us_mul_size(SIZE_MAX, 1, &r) && r == SIZE_MAX);
    CHECK(!us_mul_size(SIZE_MAX / 2 + 1, 2, &r) && r == SIZE_MAX);
    CHECK(us_mul_size(0, SIZE_MAX, &r) && r == 0);
    CHECK(us_add_size(SIZE_MAX, 0, &r) && !us_add_size(SIZE_MAX, 1, &r));
    us_alloc a = us_alloc_heap();
    CHECK(us_mem_get(&a, SIZE_MAX / 4, 8) == NULL);
}

static void test_mem__grow_zeroes_the_new_part(void)
{
    us_alloc_count count = {0};
    us_alloc a = us_alloc_counting(&count, us_alloc_heap());
    uint8_t *p = us_mem_get(&a, 3, 1);
    CHECK(p != NULL);
    memset(p, 9, 3);
    p = us_mem_grow(&a, p, 3, 1000, 1);
    CHECK(p && p[2] == 9 && p[3] == 0 && p[999] == 0);
    CHECK_EQ_U64(count.live_bytes, 1000);
    p = us_mem_grow(&a, p, 1000, 2, 1);
    CHECK(p && p[1] == 9);
    CHECK_EQ_U64(count.n_allocs, 2); /* shrinking is none */
    us_mem_put(&a, p, 2, 1);
    void *nothing = us_mem_get(&a, 0, 8);
    CHECK(nothing != NULL);
    us_mem_put(&a, nothing, 0, 8);
    CHECK_EQ_U64(count.live_bytes, 0);
    CHECK_EQ_U64(count.peak_bytes, 1000);
}

static void test_block__aligned(void)
{
    us_ctx c = ctx();
    for (size_t align = 8; align <= 4096; align *= 2) {
        us_block b = {0};
        CHECK_OK(&c, us_block_get(&c, &b, 100, align, true));
        CHECK_EQ_U64((uintptr_t)b.p % align, 0);
        CHECK(((char *)b.p)[99] == 0);
        us_block_put(&c.alloc, &b);
        us_block_put(&c.alloc, &b);
    }
    us_block b = {0};
    CHECK_ERR(us_block_get(&c, &b, SIZE_MAX - 3, 64, false), US_NOMEM);
    CHECK(b.raw == NULL);
}

static void test_arena__alignment_and_zero(void)
{
    us_ctx c = ctx();
    us_arena *a;
    CHECK_OK(&c, us_arena_new(&c, "t", 1 << 24, &a));
    for (int round = 0; round < 2; round++) {
        us_mark m = us_arena_mark(a);
        for (size_t align = 1; align <= 4096; align *= 2)
            for (size_t n = 0; n < 3000; n = n * 3 + 1) {
                uint8_t *p = us_arena_alloc(a, n, 1, align);
                CHECK(p && (uintptr_t)p % align == 0);
                for (size_t i = 0; i < n; i++)
                    CHECK(p[i] == 0);
                memset(p, 0xAA, n); /* the second round must see zeros again */
            }
        us_arena_reset(a, m);
    }
    CHECK_EQ_U64(us_arena_used(a), 0);
    us_arena_free(a);
}

static void test_arena__cap(void)
{
    us_ctx c = ctx();
    us_arena *a;
    CHECK_OK(&c, us_arena_new(&c, "small", 10000, &a));
    CHECK(us_arena_alloc(a, 9000, 1, 8) != NULL);
    CHECK(us_arena_alloc(a, 5000, 1, 8) == NULL);
    CHECK_ERR(us_arena_fail(&c, a), US_LIMIT);
    CHECK(strstr(c.diag.text, "small") && strstr(c.diag.text, "10.0 KB"));
    CHECK(us_arena_alloc(a, 500, 1, 8) != NULL); /* still usable */
    CHECK(us_arena_used(a) <= 10000);
    CHECK(us_arena_alloc(a, SIZE_MAX, 2, 8) == NULL);
    CHECK_ERR(us_arena_fail(&c, a), US_NOMEM);
    us_arena_free(a);
    us_arena_free(NULL);
}

typedef struct trail {
    char text[16];
    size_t n;
} trail;
typedef struct step {
    trail *t;
    char ch;
} step;
static void leave(void *arg)
{
    step *s = arg;
    s->t->text[s->t->n++] = s->ch;
}

static void test_arena__defer_order(void)
{
    us_ctx c = ctx();
    us_arena *a;
    trail t = {{0}, 0};
    step s[3] = {{&t, 'a'}, {&t, 'b'}, {&t, 'c'}};
    CHECK_OK(&c, us_arena_new(&c, "t", 1 << 20, &a));
    CHECK_OK(&c, us_arena_defer(&c, a, leave, &s[0]));
    us_mark m = us_arena_mark(a);
    CHECK_OK(&c, us_arena_defer(&c, a, leave, &s[1]));
    CHECK_OK(&c, us_arena_defer(&c, a, leave, &s[2]));
    us_arena_reset(a, m);
    CHECK_EQ_STR(t.text, "cb");
    us_arena_free(a);
    CHECK_EQ_STR(t.text, "cba");
}

static void test_map__many_keys(void)
{
    us_ctx c = ctx();
    us_arena *a;
    us_map m;
    uint32_t was;
    CHECK_OK(&c, us_arena_new(&c, "t", 1 << 24, &a));
    us_map_init(&m, a);
    CHECK_EQ_U64(us_map_get(&m, US_SV("none")), US_MAP_NONE);
    for (uint32_t i = 0; i < 5000; i++) {
        char *z = us_str_printf(a, "key%u", i * 7u);
        CHECK_OK(&c, us_map_put(&c, &m, us_sv_of(z), i, &was));
        CHECK_EQ_U64(was, US_MAP_NONE);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        char z[32];
        snprintf(z, sizeof z, "key%u", i * 7u);
        CHECK_EQ_U64(us_map_get(&m, us_sv_of(z)), i);
        CHECK_EQ_U64(m.items.at[i].value, i); /* insertion order */
    }
    CHECK_OK(&c, us_map_put(&c, &m, US_SV("key7"), 99, &was));
    CHECK_EQ_U64(was, 1);
    CHECK_EQ_U64(m.items.n, 5000);
    CHECK_OK(&c, us_map_put(&c, &m, US_SV(""), 5, NULL)); /* the empty key is a key */
    CHECK_EQ_U64(us_map_get(&m, (us_sv){0}), 5);
    CHECK_EQ_U64(us_map_get(&m, (us_sv){"a\0b", 3}), US_MAP_NONE);
    us_arena_free(a);
}

static void test_buf__cap_is_sticky(void)
{
    us_ctx c = ctx();
    us_buf b;
    us_buf_init(&b, &c, 10);
    us_buf_adds(&b, "12345");
    us_buf_addf(&b, "%d", 67890);
    CHECK_OK(&c, us_buf_check(&b));
    CHECK_EQ_STR(b.p, "1234567890");
    us_buf_addc(&b, 'x');
    us_buf_add(&b, "", 0);
    CHECK_ERR(us_buf_check(&b), US_LIMIT);
    CHECK_EQ_STR(b.p, "1234567890");
    us_buf_clear(&b);
    us_buf_adds(&b, "again");
    CHECK_OK(&c, us_buf_check(&b));
    us_buf_deinit(&b);
    us_buf_deinit(&b);
}

static us_err everything(us_ctx *c, void *arg)
{
    us_arena *a = NULL;
    us_buf b;
    us_block block = {0};
    us_map m;
    US_VEC(us_sv) v = {0};
    us_err e;
    (void)arg;
    us_buf_init(&b, c, 1 << 20);
    US_GO(us_arena_new(c, "t", 1 << 24, &a));
    US_GO(us_block_get(c, &block, 777, 64, true));
    us_map_init(&m, a);
    for (uint32_t i = 0; i < 400; i++) {
        char *z = us_str_printf(a, "a longer key, number %u, so that chunks are used up", i);
        if (!z) {
            e = us_arena_fail(c, a);
            goto out;
        }
        US_GO(us_map_put(c, &m, us_sv_of(z), i, NULL));
        US_GO(us_vec_push(c, a, &v, us_sv_of(z)));
        us_buf_adds(&b, z);
    }
    US_GO(us_buf_check(&b));
out:
    us_block_put(&c->alloc, &block);
    us_buf_deinit(&b);
    us_arena_free(a);
    return e;
}

static void test_memory__nomem(void)
{
    us_torture("memory", everything, NULL);
}

static void test_err__words_and_wrapping(void)
{
    us_ctx c = ctx();
    CHECK_ERR(us_fail(&c, US_SHAPE, "found %d", 3), US_SHAPE);
    CHECK_ERR(us_wrap(&c, US_SHAPE, "model %s", "m"), US_SHAPE);
    CHECK_EQ_STR(c.diag.text, "model m: found 3");
    CHECK_ERR(us_fail(&c, US_IO, "again: %s", c.diag.text),
              US_IO); /* its own text as argument */
    CHECK_EQ_STR(c.diag.text, "again: model m: found 3");
    for (int i = 0; i < 100; i++)
        (void)us_wrap(&c, US_IO, "a rather long place number %d", i); /* cut, never overrun */
    CHECK(strlen(c.diag.text) < sizeof c.diag.text);
    CHECK_EQ_STR(us_err_name(US_LIMIT), "LIMIT");
    CHECK_EQ_STR(us_err_text(US_NOMEM), "out of memory");
    CHECK_EQ_STR(us_err_name((us_err)-55), "UNKNOWN");
}

static void keep_line(void *ud, const char *line)
{
    snprintf(ud, 1024, "%s", line);
}

static void keep_text(void *ud, us_log_level level, const char *text)
{
    snprintf(ud, 1024, "%d %s", (int)level, text);
}

static void test_log__level_and_text_apart(void)
{
    us_ctx c = ctx();
    char line[1024] = "";
    c.log.sink = keep_line; /* tell goes before it */
    c.log.tell = keep_text;
    c.log.ud = line;
    c.log.level = US_LOG_INFO;
    us_logf(&c, US_LOG_DEBUG, "quiet");
    CHECK_EQ_STR(line, "");
    us_logf(&c, US_LOG_INFO, "told %d", 3);
    CHECK_EQ_STR(line, "1 told 3");
    us_logf(&c, US_LOG_ERROR, "%s", "bad");
    CHECK_EQ_STR(line, "3 bad");
    CHECK_OK(&c, us_log_trace_parse(&c, "plan"));
    us_trace(&c, PLAN, 1, "step %d", 4);
    CHECK(line[0] == '0' && strstr(line, "plan: step 4"));
}

static void test_log__levels_and_trace(void)
{
    us_ctx c = ctx();
    char line[1024] = "";
    c.log.sink = keep_line;
    c.log.ud = line;
    c.log.level = US_LOG_WARN;
    us_logf(&c, US_LOG_INFO, "quiet");
    CHECK_EQ_STR(line, "");
    us_logf(&c, US_LOG_WARN, "%s", "loud");
    CHECK_EQ_STR(line, "usta: warning: loud");
    CHECK_OK(&c, us_log_trace_parse(&c, "plan, onnx:2"));
    CHECK(c.log.trace[US_TRACE_PLAN] == 1 && c.log.trace[US_TRACE_ONNX] == 2);
    CHECK_ERR(us_log_trace_parse(&c, "ir:3,nonsense"), US_ARG);
    CHECK(strstr(c.diag.text, "nonsense") && strstr(c.diag.text, "monitor"));
    CHECK(c.log.trace[US_TRACE_IR] == 0); /* untouched on failure */
    CHECK_ERR(us_log_trace_parse(&c, "ir:x"), US_ARG);
    us_trace(&c, PLAN, 1, "step %d", 4);
    CHECK(strstr(line, "test_mem.c") && strstr(line, "plan: step 4"));
    char big[3000];
    memset(big, 'y', sizeof big);
    big[sizeof big - 1] = 0;
    us_logf(&c, US_LOG_ERROR, "%s", big);
    CHECK(strlen(line) < 1024);
}

static void add_to(void *n)
{
    ++*(int *)n;
}

/* Pages of p's chunk that are gone read as zeros; what is kept does not. */
static void test_arena__keeps_pieces_only(void)
{
    enum { N = 6, BYTES = 300000 };
    us_alloc_count count = {0};
    us_ctx c = ctx();
    us_arena *a;
    char *p[N];
    c.alloc = us_alloc_counting(&count, us_alloc_heap());
    CHECK_OK(&c, us_arena_new(&c, "pieces", (size_t)1 << 30, &a));
    for (size_t i = 0; i < N; i++) {
        p[i] = us_arena_alloc(a, BYTES, 1, 64);
        CHECK(p[i] != NULL);
        memset(p[i], 7, BYTES);
    }
    CHECK(us_arena_holds(a, p[0]) && us_arena_holds(a, p[5] + BYTES - 1));
    CHECK(!us_arena_holds(a, &a) && !us_arena_holds(a, NULL));
    us_piece kept[] = {{p[1] + 100, 50000}, {p[4], BYTES}, {p[4] + 10, 20}};
    if ((uintptr_t)p[4] < (uintptr_t)p[1]) {
        kept[2] = kept[0];
        kept[0] = (us_piece){p[4], BYTES};
        kept[1] = (us_piece){p[4] + 10, 20};
    }
    uint64_t live = count.live_bytes;
    us_arena_keep_only(a, US_LEN(kept), kept);
    CHECK(count.live_bytes + BYTES <= live); /* whole chunks went */
    CHECK(us_arena_holds(a, p[1]) && us_arena_holds(a, p[4]) && !us_arena_holds(a, p[0]));
    CHECK(p[1][100] == 7 && p[1][50099] == 7 && p[1][BYTES / 2] == 0);
    for (size_t i = 0; i < BYTES; i++)
        CHECK(p[4][i] == 7);
    CHECK(us_arena_used(a) + 1000 > count.live_bytes && us_arena_used(a) <= count.live_bytes);
    us_arena_keep_only(a, 0, NULL);
    CHECK_EQ_U64(us_arena_used(a), 0);
    CHECK(us_arena_alloc(a, 10, 1, 8) != NULL); /* of use still */
    us_arena_free(a);
    CHECK_EQ_U64(count.live_bytes, 0);
}

static void test_arena__deferred_functions_keep_all(void)
{
    us_ctx c = ctx();
    us_arena *a;
    static int n_called;
    CHECK_OK(&c, us_arena_new(&c, "deferred", 1 << 20, &a));
    int *arg = us_new(a, int);
    CHECK(arg != NULL);
    *arg = 3;
    CHECK_OK(&c, us_arena_defer(&c, a, add_to, &n_called));
    us_arena_keep_only(a, 0, NULL);
    CHECK(us_arena_holds(a, arg) && *arg == 3);
    us_arena_free(a);
    CHECK(n_called == 1);
}

static void test_map__room_is_made_once(void)
{
    us_alloc_count count = {0};
    us_ctx c = ctx();
    us_arena *a;
    us_map m;
    char name[8];
    c.alloc = us_alloc_counting(&count, us_alloc_heap());
    CHECK_OK(&c, us_arena_new(&c, "map", 1 << 20, &a));
    us_map_init(&m, a);
    CHECK_OK(&c, us_map_put(&c, &m, US_SV("early"), 5, NULL));
    CHECK_OK(&c, us_map_reserve(&c, &m, 1001));
    const us_map_slot *items = m.items.at;
    const uint32_t *table = m.table;
    for (uint32_t i = 0; i < 1000; i++) {
        us_sv own;
        (void)snprintf(name, sizeof name, "k%u", i);
        CHECK_OK(&c, us_sv_dup(&c, a, us_sv_of(name), &own));
        CHECK_OK(&c, us_map_put(&c, &m, own, i, NULL));
    }
    CHECK(m.items.at == items && m.table == table);
    CHECK(us_map_get(&m, US_SV("early")) == 5 && us_map_get(&m, US_SV("k999")) == 999);
    CHECK_OK(&c, us_map_reserve(&c, &m, 3)); /* less than there is */
    CHECK(us_map_get(&m, US_SV("k0")) == 0);
    us_arena_free(a);
}

static const us_test_case cases[] = {
    US_CASE(test_size__overflow),
    US_CASE(test_mem__grow_zeroes_the_new_part),
    US_CASE(test_block__aligned),
    US_CASE(test_arena__alignment_and_zero),
    US_CASE(test_arena__cap),
    US_CASE(test_arena__defer_order),
    US_CASE(test_arena__keeps_pieces_only),
    US_CASE(test_arena__deferred_functions_keep_all),
    US_CASE(test_map__many_keys),
    US_CASE(test_map__room_is_made_once),
    US_CASE(test_buf__cap_is_sticky),
    US_CASE(test_memory__nomem),
    US_CASE(test_err__words_and_wrapping),
    US_CASE(test_log__level_and_text_apart),
    US_CASE(test_log__levels_and_trace),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
