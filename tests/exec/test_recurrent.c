/* LSTM, GRU and RNN bound to shapes against their evals in double: directions, lengths, states, peepholes, layouts, at sizes around vectors,
 * with steps in several blocks, and the same bytes when sequences are cut for threads. */
#include "exec_fixture.h"

typedef struct rec_case {
    const char *op;
    int64_t t, n, in, h;
    const char *direction;
    int64_t layout, lbr, coupled;
    float clip;
    bool bias, lengths, states, peep;
    const char *act; /* of all activations; NULL: the default */
    bool eval;       /* is not bound */
} rec_case;

static const rec_case table[] = {
    {.op = "LSTM", .t = 5, .n = 1, .in = 3, .h = 7},
    {.op = "LSTM", .t = 1, .n = 1, .in = 40, .h = 64, .bias = true, .states = true},
    {.op = "LSTM",
     .t = 6,
     .n = 3,
     .in = 10,
     .h = 17,
     .bias = true,
     .states = true,
     .direction = "bidirectional",
     .lengths = true},
    {.op = "LSTM",
     .t = 4,
     .n = 2,
     .in = 9,
     .h = 33,
     .bias = true,
     .peep = true,
     .clip = 0.4F,
     .direction = "reverse"},
    {.op = "LSTM",
     .t = 4,
     .n = 5,
     .in = 9,
     .h = 16,
     .coupled = 1,
     .peep = true,
     .layout = 1,
     .states = true,
     .lengths = true,
     .direction = "bidirectional"},
    {.op = "LSTM",
     .t = 40,
     .n = 64,
     .in = 30,
     .h = 65,
     .bias = true,
     .lengths = true,
     .direction = "bidirectional"}, /* several blocks, cut for threads */
    {.op = "LSTM", .t = 300, .n = 40, .in = 12, .h = 48, .layout = 1, .direction = "reverse"},
    {.op = "LSTM", .t = 3, .n = 2, .in = 4, .h = 5, .act = "Relu", .eval = true},
    {.op = "LSTM", .t = 2, .n = 1, .in = 1, .h = 1, .bias = true},
    {.op = "GRU", .t = 5, .n = 1, .in = 3, .h = 7, .bias = true},
    {.op = "GRU", .t = 5, .n = 1, .in = 3, .h = 7, .bias = true, .lbr = 1},
    {.op = "GRU",
     .t = 6,
     .n = 3,
     .in = 10,
     .h = 17,
     .bias = true,
     .states = true,
     .lbr = 1,
     .direction = "bidirectional",
     .lengths = true},
    {.op = "GRU",
     .t = 6,
     .n = 3,
     .in = 10,
     .h = 31,
     .bias = true,
     .states = true,
     .direction = "bidirectional",
     .lengths = true,
     .layout = 1,
     .clip = 0.3F},
    {.op = "GRU", .t = 50, .n = 60, .in = 20, .h = 64, .states = true, .direction = "reverse"},
    {.op = "GRU", .t = 50, .n = 60, .in = 20, .h = 64, .lbr = 1, .layout = 1},
    {.op = "LSTM", .t = 19, .n = 1, .in = 37, .h = 64, .bias = true, .states = true},
    {.op = "LSTM",
     .t = 13,
     .n = 1,
     .in = 5,
     .h = 96,
     .bias = true,
     .states = true,
     .peep = true,
     .clip = 0.6F,
     .direction = "reverse"},
    {.op = "LSTM",
     .t = 16,
     .n = 1,
     .in = 1,
     .h = 32,
     .coupled = 1,
     .layout = 1,
     .direction = "bidirectional"},
    {.op = "LSTM", .t = 9, .n = 1, .in = 300, .h = 32, .bias = true},
    {.op = "LSTM", .t = 9, .n = 1, .in = 20, .h = 32, .bias = true, .lengths = true},
    {.op = "GRU",
     .t = 21,
     .n = 1,
     .in = 50,
     .h = 96,
     .lbr = 1,
     .bias = true,
     .states = true,
     .direction = "bidirectional"},
    {.op = "GRU", .t = 10, .n = 1, .in = 64, .h = 32, .lbr = 1, .direction = "reverse"},
    {.op = "RNN", .t = 7, .n = 2, .in = 3, .h = 20, .bias = true, .states = true},
    {.op = "RNN", .t = 7, .n = 2, .in = 3, .h = 20, .act = "relu", .lengths = true},
    {.op = "RNN",
     .t = 7,
     .n = 2,
     .in = 3,
     .h = 20,
     .act = "TANH",
     .clip = 0.2F,
     .direction = "bidirectional"},
    {.op = "RNN", .t = 7, .n = 2, .in = 3, .h = 20, .act = "Softsign", .eval = true},
};

static us_vid random_const(us_builder *b, const char *name, int rank, const int64_t *dims,
                           uint64_t seed, float scale)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    float *p = malloc((size_t)n * sizeof *p);
    us_rng r = us_rng_new(seed, "weights", 0);
    for (int64_t i = 0; i < n; i++)
        p[i] = (us_rng_f32(&r) * 2 - 1) * scale;
    us_vid v = us_b_const(b, name, US_F32, rank, dims, p);
    free(p);
    return v;
}

static us_vid input(us_ctx *c, us_model *m, const char *name, us_dtype t, int rank)
{
    us_vid v;
    us_dim dims[3];
    for (int i = 0; i < rank; i++) {
        us_sym sym;
        char text[16];
        (void)snprintf(text, sizeof text, "%s%d", name, i);
        CHECK_OK(c, us_syms_named(c, &m->syms, us_sv_of(text), &sym));
        dims[i] = US_DIM_SYM(sym);
    }
    us_type type = us_type_tensor(t, rank, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, us_sv_of(name), &type, &v));
    return v;
}

static void put_attributes(us_builder *b, const rec_case *t, int64_t dirs, int64_t gates)
{
    us_sv acts[6];
    size_t n = (size_t)(dirs * (gates == 1 ? 1 : gates - 1));
    for (size_t i = 0; t->act && i < n; i++)
        acts[i] = us_sv_of(t->act);
    us_b_int(b, "hidden_size", t->h);
    us_b_int(b, "layout", t->layout);
    if (t->direction) us_b_str(b, "direction", t->direction);
    if (t->clip > 0) us_b_float(b, "clip", t->clip);
    if (t->act) us_b_strs(b, "activations", n, acts);
    if (gates == 3) us_b_int(b, "linear_before_reset", t->lbr);
    if (gates == 4) us_b_int(b, "input_forget", t->coupled);
}

static us_model *rec_model(us_ctx *c, const rec_case *t, int64_t dirs, int64_t gates)
{
    us_model *m;
    us_vid in[8], y[3];
    size_t n_out = gates == 4 ? 3 : 2;
    CHECK_OK(c, us_model_new(c, &m));
    for (size_t i = 0; i < US_LEN(in); i++)
        in[i] = US_NIL;
    in[0] = input(c, m, "x", US_F32, 3);
    if (t->lengths) in[4] = input(c, m, "len", US_I32, 1);
    if (t->states) in[5] = input(c, m, "h0", US_F32, 3);
    if (t->states && gates == 4) in[6] = input(c, m, "c0", US_F32, 3);
    us_builder b = us_b_begin(c, m->main, "net");
    int64_t rows = gates * t->h;
    in[1] = random_const(&b, "w", 3, (int64_t[]){dirs, rows, t->in}, 1, 0.7F);
    in[2] = random_const(&b, "r", 3, (int64_t[]){dirs, rows, t->h}, 2, 0.5F);
    if (t->bias) in[3] = random_const(&b, "b", 2, (int64_t[]){dirs, 2 * rows}, 3, 1);
    if (t->peep) in[7] = random_const(&b, "p", 2, (int64_t[]){dirs, 3 * t->h}, 4, 1);
    (void)us_b_node(&b, "", t->op, gates == 4 ? 8 : 6, in, n_out, y);
    put_attributes(&b, t, dirs, gates);
    CHECK_OK(c, us_b_end(&b));
    for (size_t i = 0; i < n_out; i++)
        CHECK_OK(c, us_graph_add_output(c, m->main, y[i]));
    return m;
}

static size_t make_inputs(fixture *f, const rec_case *t, int64_t dirs, int64_t gates,
                          us_value *in)
{
    size_t n = 0;
    int64_t first = t->layout ? t->n : t->t, second = t->layout ? t->t : t->n;
    in[n++] = random_f32(f, DIMS(first, second, t->in), 11);
    if (t->lengths) {
        in[n] = tensor_of(f, US_I32, DIMS(t->n), NULL);
        for (int64_t i = 0; i < t->n; i++)
            ((int32_t *)in[n].t.data)[i] = (int32_t)(i * 7 % (t->t + 1));
        n++;
    }
    int64_t sd = t->layout ? t->n : dirs, sn = t->layout ? dirs : t->n;
    if (t->states) in[n++] = random_f32(f, DIMS(sd, sn, t->h), 12);
    if (t->states && gates == 4) in[n++] = random_f32(f, DIMS(sd, sn, t->h), 13);
    return n;
}

static void check_kernel(fixture *f, const rec_case *t)
{
    const us_profile_row *rows;
    size_t n = us_session_profile(f->s, &rows);
    CHECK_EQ_U64(n, 1);
    bool bound = rows[0].kernel && strncmp(rows[0].kernel, "us_cells", 8) == 0;
    if (bound == t->eval) US_TEST_FAIL("%s h=%lld: bound or not", t->op, (long long)t->h);
}

static void check_case(const rec_case *t)
{
    fixture f[3];
    us_value in[4], y[3][3];
    us_pool *pool = NULL;
    int64_t dirs = t->direction && strcmp(t->direction, "bidirectional") == 0 ? 2 : 1;
    int64_t gates = t->op[0] == 'L' ? 4 : t->op[0] == 'G' ? 3 : 1;
    for (int i = 0; i < 3; i++) {
        us_session_opts o = {.plain = i == 0, .profile = i == 1};
        fixture_begin(&f[i]);
        us_model *m = rec_model(&f[i].c, t, dirs, gates);
        CHECK_OK(&f[i].c, us_plan_new(&f[i].c, m, NULL, &f[i].plan));
        CHECK_OK(&f[i].c, us_session_new(&f[i].c, f[i].plan, &o, &f[i].s));
        if (i == 2) CHECK_OK(&f[i].c, us_pool_new(&f[i].c, 3, &pool));
        f[i].c.pool = pool;
        (void)make_inputs(&f[i], t, dirs, gates, in);
        CHECK_OK(&f[i].c, us_session_run(&f[i].c, f[i].s, in, y[i]));
    }
    check_kernel(&f[1], t);
    for (int o = 0; o < (gates == 4 ? 3 : 2); o++) {
        CHECK_EQ_I64(us_tensor_count(&y[0][o].t), us_tensor_count(&y[1][o].t));
        CHECK(memcmp(y[1][o].t.data, y[2][o].t.data, us_tensor_bytes(&y[1][o].t)) == 0);
        for (int64_t i = 0; i < us_tensor_count(&y[0][o].t); i++) {
            double want = (double)f32_at(&y[0][o])[i], got = (double)f32_at(&y[1][o])[i];
            if (!(fabs(want - got) <= 2e-5 * (1 + fabs(want))))
                US_TEST_FAIL("%s t=%lld n=%lld h=%lld: output %d, element %lld is %g, not %g",
                             t->op, (long long)t->t, (long long)t->n, (long long)t->h, o,
                             (long long)i, got, want);
        }
    }
    f[2].c.pool = NULL;
    us_pool_free(pool);
    for (int i = 0; i < 3; i++)
        fixture_end(&f[i]);
}

static void test_recurrent__gives_what_evals_give(void)
{
    for (size_t i = 0; i < US_LEN(table); i++)
        check_case(&table[i]);
}

/* Lengths are known when the call runs, not when it is bound. */
static void test_recurrent__length_out_of_range(void)
{
    fixture f;
    us_value in[4], y[3];
    const rec_case t = {.op = "GRU", .t = 3, .n = 2, .in = 2, .h = 4, .lengths = true};
    fixture_begin(&f);
    CHECK_OK(&f.c, us_plan_new(&f.c, rec_model(&f.c, &t, 1, 3), NULL, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    (void)make_inputs(&f, &t, 1, 3, in);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, y));
    ((int32_t *)in[1].t.data)[1] = 4;
    CHECK(us_session_run(&f.c, f.s, in, y) == US_ARG);
    CHECK(strstr(f.c.diag.text, "sequence length 4 of 3 steps"));
    ((int32_t *)in[1].t.data)[1] = -1;
    CHECK(us_session_run(&f.c, f.s, in, y) == US_ARG);
    fixture_end(&f);
}

static const us_test_case cases[] = {
    US_CASE(test_recurrent__gives_what_evals_give),
    US_CASE(test_recurrent__length_out_of_range),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
