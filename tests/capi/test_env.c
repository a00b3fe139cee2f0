/* What callers lend: memory, threads, a place for messages, the wish to stop; and what a run has cost. */
#include "capi_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- memory ----------------------------------------------------------------------------------------- */

typedef struct counted {
    atomic_size_t live, n_calls;
    atomic_int n_wrong;
    size_t fail_at; /* refuses from this allocation on; 0: never */
} counted;

/* Keeps the size in front of each block, so that what the library says of it can be checked. */
static void *count(void *user, void *p, size_t old_bytes, size_t now_bytes)
{
    counted *k = user;
    size_t *head = p ? (size_t *)p - 2 : NULL;
    if (head ? head[0] != old_bytes : old_bytes != 0) atomic_fetch_add(&k->n_wrong, 1);
    if (now_bytes == 0) {
        atomic_fetch_sub(&k->live, old_bytes);
        free(head);
        return NULL;
    }
    size_t n = atomic_fetch_add(&k->n_calls, 1) + 1;
    if (k->fail_at && n >= k->fail_at) return NULL;
    size_t *q = realloc(head, now_bytes + 2 * sizeof *q);
    if (!q) return NULL;
    q[0] = now_bytes;
    atomic_fetch_add(&k->live, now_bytes - old_bytes);
    return q + 2;
}

static usta_env_settings counting(counted *k)
{
    usta_env_settings s;
    usta_env_defaults(&s);
    s.memory = count;
    s.memory_user = k;
    return s;
}

/* Everything there is, once; the first failure ends it and everything is given back. */
static usta_err whole_life(const usta_env_settings *es, const us_buf *bytes)
{
    usta_env *env = NULL;
    usta_model *model = NULL;
    usta_session *session = NULL;
    float x[4] = {1, 1, 0, 2};
    usta_value in = {.kind = USTA_KIND_TENSOR, .tensor = f32(2, 2, x)}, out;
    usta_tensor y;
    usta_session_settings ss;
    usta_session_defaults(&ss);
    ss.profile = 1;
    usta_err e = usta_env_new(es, &env);
    if (e == USTA_OK) e = usta_model_parse(env, bytes->p, bytes->n, NULL, &model);
    if (e == USTA_OK) e = usta_model_infer(model);
    if (e == USTA_OK) e = usta_session_new(model, &ss, &session);
    if (e == USTA_OK) e = usta_session_run(session, &in.tensor, 1, &y, 1);
    if (e == USTA_OK) e = usta_session_run_values(session, &in, 1, &out, 1);
    if (e != USTA_OK && env && !usta_env_error(env)[0] && !usta_session_error(session)[0])
        US_TEST_FAIL("failed with %d and no text", (int)e);
    usta_session_free(session);
    usta_model_free(model);
    usta_env_free(env);
    return e;
}

static void test_memory__all_of_it_is_the_callers(void)
{
    us_ctx c;
    us_buf bytes;
    counted k = {0};
    us_ctx_init(&c);
    onnx_of(&c, NET, &bytes);
    usta_env_settings s = counting(&k);
    for (int threads = 1; threads <= 2; threads++) {
        s.n_threads = threads;
        CHECK_EQ_I64(whole_life(&s, &bytes), USTA_OK);
        CHECK(k.n_calls > 10);
        CHECK_EQ_U64(k.live, 0);
        CHECK_EQ_I64(k.n_wrong, 0);
    }
    us_buf_deinit(&bytes);
    us_ctx_deinit(&c);
}

static void test_memory__every_allocation_may_fail(void)
{
    us_ctx c;
    us_buf bytes;
    us_ctx_init(&c);
    onnx_of(&c, NET, &bytes);
    size_t n = 0;
    for (usta_err e = USTA_NOMEM; e != USTA_OK;) {
        counted k = {.fail_at = ++n};
        usta_env_settings s = counting(&k);
        e = whole_life(&s, &bytes);
        CHECK(e == USTA_OK || e == USTA_NOMEM);
        CHECK_EQ_U64(k.live, 0);
        CHECK_EQ_I64(k.n_wrong, 0);
        CHECK(n < 100000);
    }
    printf("# %zu allocations made to fail\n", n - 1);
    us_buf_deinit(&bytes);
    us_ctx_deinit(&c);
}

static void test_memory__runs_allocate_nothing(void)
{
    world w;
    counted k = {0};
    usta_env_settings s = counting(&k);
    float x[4] = {1, 1, 0, 2}, own[6];
    usta_tensor in = f32(2, 2, x), y, into = f32(2, 3, own);
    world_read(&w, NET, &s);
    CHECK_USTA(&w, usta_session_new(w.model, NULL, &w.session));
    CHECK_USTA(&w, usta_session_run(w.session, &in, 1, &y, 1));
    CHECK_USTA(&w, usta_session_run(w.session, &in, 1, &y, 1));
    size_t before = k.n_calls;
    for (int i = 0; i < 10; i++) {
        CHECK_USTA(&w, usta_session_run(w.session, &in, 1, &y, 1));
        CHECK_USTA(&w, usta_session_run_into(w.session, &in, 1, &into, 1));
    }
    CHECK_EQ_U64(k.n_calls, before);
    world_end(&w);
    CHECK_EQ_U64(k.live, 0);
}

/* --- threads ------------------------------------------------------------------------------------------ */

/* 64 rows times 256 columns: enough for chunks. */
static const char *const WIDE = "model ir=8 opset=17\n"
                                "graph main(a: float[512,256], b: float[256,128]) -> (y) {\n"
                                "  h = MatMul(a, b)\n"
                                "  y = Tanh(h)\n"
                                "}\n";

typedef struct wide {
    float a[512 * 256], b[256 * 128];
} wide;

static wide *wide_new(void)
{
    wide *k = malloc(sizeof *k);
    CHECK(k != NULL);
    for (size_t i = 0; i < US_LEN(k->a); i++)
        k->a[i] = (float)((int)(i * 7 % 31) - 15) / 16;
    for (size_t i = 0; i < US_LEN(k->b); i++)
        k->b[i] = (float)((int)(i * 5 % 29) - 14) / 16;
    return k;
}

static uint64_t wide_run(world *w, wide *k)
{
    usta_tensor in[2] = {f32(512, 256, k->a), f32(256, 128, k->b)}, y;
    CHECK_USTA(w, usta_session_run(w->session, in, 2, &y, 1));
    return us_hash64(y.data, usta_tensor_bytes(&y), 0);
}

static uint64_t wide_hash(const usta_env_settings *s)
{
    world w;
    wide *k = wide_new();
    world_read(&w, WIDE, s);
    CHECK_USTA(&w, usta_session_new(w.model, NULL, &w.session));
    uint64_t h = wide_run(&w, k);
    world_end(&w);
    free(k);
    return h;
}

typedef struct lender {
    size_t n_calls, n_chunks;
} lender;

/* Backwards and in this thread: any order must do. */
static void lend(void *user, size_t n_chunks, usta_chunk_fn *fn, void *arg)
{
    lender *k = user;
    k->n_calls++;
    k->n_chunks += n_chunks;
    for (size_t i = n_chunks; i-- > 0;)
        fn(arg, i);
}

static void test_threads__same_bytes_however_many(void)
{
    usta_env_settings s;
    lender k = {0};
    usta_env_defaults(&s);
    uint64_t one = wide_hash(NULL);
    s.n_threads = 4;
    CHECK_EQ_U64(wide_hash(&s), one);
    s.parallel = lend;
    s.parallel_user = &k;
    CHECK_EQ_U64(wide_hash(&s), one);
    CHECK(k.n_calls > 0 && k.n_chunks > k.n_calls);
    usta_env *other;
    s.parallel = NULL;
    CHECK_EQ_I64(usta_env_new(&s, &other), USTA_OK);
    usta_env_defaults(&s);
    s.threads_of = other;
    CHECK_EQ_U64(wide_hash(&s), one);
    usta_env_free(other);
}

static void test_threads__wrong_numbers(void)
{
    usta_env_settings s;
    usta_env *env = NULL;
    usta_env_defaults(&s);
    s.n_threads = -1;
    CHECK_EQ_I64(usta_env_new(&s, &env), USTA_ARG);
    s.n_threads = 257;
    CHECK_EQ_I64(usta_env_new(&s, &env), USTA_ARG);
    s.parallel = lend;
    CHECK_EQ_I64(usta_env_new(&s, &env), USTA_ARG);
    CHECK(env == NULL);
}

typedef struct runner {
    world w;
    wide *data;
    int n_wrong;
    uint64_t want;
} runner;

static void *run_many(void *arg)
{
    runner *k = arg;
    for (int i = 0; i < 20; i++) {
        usta_tensor in[2] = {f32(512, 256, k->data->a), f32(256, 128, k->data->b)}, y;
        bool bad = i % 5 == 4; /* errors of one session must not show in the other */
        usta_err e = usta_session_run(k->w.session, in, bad ? 1 : 2, &y, 1);
        if (bad)
            k->n_wrong += e != USTA_ARG || !usta_session_error(k->w.session)[0];
        else
            k->n_wrong +=
                e != USTA_OK || us_hash64(y.data, usta_tensor_bytes(&y), 0) != k->want;
    }
    return NULL;
}

static void test_threads__two_sessions_of_one_model(void)
{
    world w;
    wide *data = wide_new();
    pthread_t t[2];
    runner k[2];
    usta_env_settings s;
    usta_env_defaults(&s);
    s.n_threads = 2;
    world_read(&w, WIDE, &s);
    for (int i = 0; i < 2; i++) {
        k[i] = (runner){.data = data};
        CHECK_USTA(&w, usta_session_new(w.model, NULL, &k[i].w.session));
    }
    k[0].want = k[1].want = wide_run(&k[0].w, data);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&t[i], NULL, run_many, &k[i]) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(t[i], NULL) == 0);
        CHECK_EQ_I64(k[i].n_wrong, 0);
        usta_session_free(k[i].w.session);
    }
    CHECK_EQ_STR(usta_env_error(w.env), "");
    world_end(&w);
    free(data);
}

/* --- messages --------------------------------------------------------------------------------------- */

typedef struct listener {
    int n, n_level[5];
    char last[200];
} listener;

static void listen(void *user, int32_t level, const char *text)
{
    listener *k = user;
    k->n++;
    if (level >= 0 && level < 5) k->n_level[level]++;
    (void)snprintf(k->last, sizeof k->last, "%s", text);
}

static void test_log__to_the_caller(void)
{
    world w;
    listener k = {0};
    usta_env_settings s;
    usta_env_defaults(&s);
    s.log = listen;
    s.log_user = &k;
    s.log_level = USTA_LOG_INFO;
    world_read(&w, NET, &s);
    CHECK_EQ_I64(k.n_level[USTA_LOG_INFO], 1);
    CHECK_EQ_STR(k.last, "model: 2 nodes, 2 initialisers of 36 B");
    CHECK_USTA(&w, usta_session_new(w.model, NULL, &w.session));
    CHECK_EQ_I64(k.n, 2);
    CHECK(strncmp(k.last, "planned in ", 11) == 0);
    world_end(&w);
    s.log_level = USTA_LOG_WARN;
    k = (listener){0};
    world_read(&w, NET, &s);
    CHECK_EQ_I64(k.n, 0);
    world_end(&w);
}

/* --- stopping ----------------------------------------------------------------------------------------- */

static const char *const ENDLESS =
    "model ir=8 opset=17\n"
    "graph main(x: float[4]) -> (y) {\n"
    "  const n: int64[] = {900000000}\n"
    "  const on: bool[] = {1}\n"
    "  y = Loop(n, on, x) {body=graph b (i: int64[], c: bool[], a: float[4]) -> (d, r) {\n"
    "    d = Identity(c)\n    r = Neg(a)\n  }}\n"
    "}\n";

static int stop_later(void *user)
{
    int *n = user;
    return ++*n > 1000;
}

static void test_cancel__by_the_environment(void)
{
    world w;
    int n = 0;
    float x[4] = {1, 2, 3, 4};
    usta_tensor in = {.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {4}, .data = x}, y;
    usta_env_settings s;
    usta_env_defaults(&s);
    s.cancelled = stop_later;
    s.cancelled_user = &n;
    world_read(&w, ENDLESS, &s);
    CHECK_USTA(&w, usta_session_new(w.model, NULL, &w.session));
    CHECK_EQ_I64(usta_session_run(w.session, &in, 1, &y, 1), USTA_CANCELLED);
    CHECK(usta_session_error(w.session)[0] != '\0');
    world_end(&w);
}

typedef struct stopper {
    usta_session *s;
    atomic_int done;
} stopper;

static void *keep_stopping(void *arg)
{
    stopper *k = arg;
    while (!atomic_load(&k->done)) {
        usta_session_cancel(k->s);
        usleep(1000);
    }
    return NULL;
}

static void test_cancel__from_another_thread(void)
{
    world w;
    pthread_t t;
    stopper k = {0};
    float x[4] = {1, 2, 3, 4};
    usta_tensor in = {.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {4}, .data = x}, y;
    usta_session_settings ss;
    usta_session_defaults(&ss);
    ss.max_steps = UINT64_MAX;
    world_read(&w, ENDLESS, NULL);
    CHECK_USTA(&w, usta_session_new(w.model, &ss, &w.session));
    k.s = w.session;
    CHECK(pthread_create(&t, NULL, keep_stopping, &k) == 0);
    CHECK_EQ_I64(usta_session_run(w.session, &in, 1, &y, 1), USTA_CANCELLED);
    atomic_store(&k.done, 1);
    CHECK(pthread_join(t, NULL) == 0);
    world_end(&w);
    world_begin(&w, NET); /* asked for when none runs: no effect */
    usta_session_cancel(w.session);
    usta_session_cancel(NULL);
    usta_tensor small = f32(1, 2, x);
    CHECK_USTA(&w, usta_session_run(w.session, &small, 1, &y, 1));
    world_end(&w);
}

static void test_limits__of_a_session(void)
{
    world w;
    float x[4] = {1, 2, 3, 4};
    usta_tensor in = {.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {4}, .data = x}, y;
    usta_session_settings ss;
    usta_session_defaults(&ss);
    ss.max_steps = 1000;
    world_read(&w, ENDLESS, NULL);
    CHECK_USTA(&w, usta_session_new(w.model, &ss, &w.session));
    CHECK_EQ_I64(usta_session_run(w.session, &in, 1, &y, 1), USTA_LIMIT);
    usta_session_free(w.session);
    ss.max_steps = 0;
    ss.max_work = 1000;
    CHECK_USTA(&w, usta_session_new(w.model, &ss, &w.session));
    CHECK_EQ_I64(usta_session_run(w.session, &in, 1, &y, 1), USTA_LIMIT);
    world_end(&w);
}

/* --- figures -------------------------------------------------------------------------------------------- */

static void test_profile__per_node(void)
{
    world w;
    wide *data = wide_new();
    usta_session_settings ss;
    usta_profile_row row = {.struct_size = sizeof row};
    usta_session_info info = {.struct_size = sizeof info};
    int n_matmul = 0;
    usta_session_defaults(&ss);
    ss.profile = 1;
    world_read(&w, WIDE, NULL);
    CHECK_USTA(&w, usta_session_new(w.model, &ss, &w.session));
    CHECK_EQ_U64(usta_session_n_profile(w.session), 2);
    for (int i = 0; i < 3; i++)
        (void)wide_run(&w, data);
    for (size_t i = 0; i < 2; i++) {
        CHECK_USTA(&w, usta_session_profile(w.session, i, &row));
        CHECK_EQ_U64(row.n_calls, 3);
        CHECK(row.ns > 0);
        CHECK(row.kernel[0] != '\0');
        CHECK_EQ_STR(row.output, "float[512,128]");
        n_matmul += strcmp(row.op_type, "MatMul") == 0 && strcmp(row.node, "h") == 0;
    }
    CHECK_EQ_I64(n_matmul, 1);
    usta_session_profile_reset(w.session);
    CHECK_USTA(&w, usta_session_profile(w.session, 0, &row));
    CHECK(row.n_calls == 0 && row.ns == 0);
    CHECK_EQ_I64(usta_session_profile(w.session, 2, &row), USTA_ARG);
    CHECK_USTA(&w, usta_session_about(w.session, &info));
    CHECK_EQ_U64(info.n_steps, 2);
    CHECK_EQ_U64(info.n_static_steps, 2);
    CHECK_EQ_U64(info.n_bindings, 1);
    CHECK(info.planned_bytes >= 512 * 128 * 4 && info.least_bytes <= info.planned_bytes);
    world_end(&w);
    world_begin(&w, NET);
    CHECK_EQ_U64(usta_session_n_profile(w.session), 0);
    CHECK_EQ_I64(usta_session_profile(w.session, 0, &row), USTA_ARG);
    world_end(&w);
    free(data);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_memory__all_of_it_is_the_callers),
        US_CASE(test_memory__every_allocation_may_fail),
        US_CASE(test_memory__runs_allocate_nothing),
        US_CASE(test_threads__same_bytes_however_many),
        US_CASE(test_threads__wrong_numbers),
        US_CASE(test_threads__two_sessions_of_one_model),
        US_CASE(test_log__to_the_caller),
        US_CASE(test_cancel__by_the_environment),
        US_CASE(test_cancel__from_another_thread),
        US_CASE(test_limits__of_a_session),
        US_CASE(test_profile__per_node),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
