/* Random graphs: memory shared in place and by views must never change a result.
 *
 * Each graph runs three times: with every value an output, so that nothing may be written over; as it is; after
 * all passes. All outputs must agree: the first two to the bit, the third within rounding. */
#include "exec_fixture.h"

#define N_VALUES   60
#define N_ELEMENTS 24

typedef struct made {
    us_vid v;
    int64_t rows; /* shape [rows, 24 / rows] */
} made;

static const int64_t row_choices[] = {1, 2, 3, 4, 6, 8, 12, 24};

static us_vid reshape(us_builder *b, us_vid x, int64_t rows)
{
    return us_b2(b, "Reshape", x, us_b_i64s(b, 2, (int64_t[]){rows, N_ELEMENTS / rows}));
}

static void grow(us_builder *b, us_rng *r, made *list, size_t *n)
{
    static const char *const unary[] = {"Neg", "Relu", "Tanh", "Abs", "Sigmoid", "Identity"};
    static const char *const binary[] = {"Add", "Sub", "Mul", "Max"};
    size_t from = us_rng_below(r, 3) == 0 ? 0 : (*n > 6 ? *n - 6 : 0);
    made x = list[from + us_rng_below(r, *n - from)], y = x;
    uint64_t kind = us_rng_below(r, 10);
    if (kind < 4) {
        y.v = us_b1(b, unary[us_rng_below(r, US_LEN(unary))], x.v);
    } else if (kind < 7) {
        made z = list[us_rng_below(r, *n)];
        us_vid other = z.rows == x.rows ? z.v : reshape(b, z.v, x.rows);
        y.v = us_b2(b, binary[us_rng_below(r, US_LEN(binary))], x.v, other);
    } else if (kind < 9) {
        y.rows = row_choices[us_rng_below(r, US_LEN(row_choices))];
        y.v = reshape(b, x.v, y.rows);
    } else {
        y.rows = N_ELEMENTS / x.rows;
        y.v = us_b1(b, "Transpose", x.v);
        us_b_ints(b, "perm", 2, (int64_t[]){1, 0});
    }
    list[(*n)++] = y;
}

/* The graph of a seed, always the same; *n_out outputs; all: ids of all values made. */
static us_model *random_model(us_ctx *c, uint64_t seed, size_t *n_out, us_vid *all,
                              size_t *n_all)
{
    us_model *m;
    us_rng r = us_rng_new(seed, "graph", 0);
    made list[N_VALUES + 2];
    size_t n = 0, n_nodes = 5 + us_rng_below(&r, N_VALUES - 5);
    CHECK_OK(c, us_model_new(c, &m));
    us_dim dims[2] = {US_DIM(4), US_DIM(6)};
    us_type t = us_type_tensor(US_F32, 2, dims);
    us_vid x;
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    list[n++] = (made){x, 4};
    us_builder b = us_b_begin(c, m->main, "r");
    float w[N_ELEMENTS];
    for (int i = 0; i < N_ELEMENTS; i++)
        w[i] = us_rng_f32(&r) - 0.5f;
    list[n++] = (made){us_b_const(&b, "w", US_F32, 2, (int64_t[]){4, 6}, w), 4};
    while (n < n_nodes + 2)
        grow(&b, &r, list, &n);
    CHECK_OK(c, us_b_end(&b));
    *n_out = 1 + us_rng_below(&r, 3);
    for (size_t i = 0; i < *n_out; i++)
        CHECK_OK(c, us_graph_add_output(c, m->main, list[n - 1 - (i * 2) % (n - 2)].v));
    *n_all = 0;
    for (size_t i = 2; i < n; i++)
        all[(*n_all)++] = list[i].v;
    return m;
}

static void run_random(uint64_t seed, bool keep_all, bool passes, const float *data,
                       float out[3][N_ELEMENTS], size_t *n_out)
{
    fixture f;
    fixture_begin(&f);
    us_vid all[N_VALUES + 2];
    size_t n_all;
    us_model *m = random_model(&f.c, seed, n_out, all, &n_all);
    us_plan_opts po = {.no_passes = !passes, .n_extra = keep_all ? n_all : 0, .extra = all};
    CHECK_OK(&f.c, us_plan_new(&f.c, m, &po, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    us_value x = tensor_of(&f, US_F32, DIMS(4, 6), data), got[N_VALUES + 8];
    for (int round = 0; round < 2; round++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, got));
        CHECK_EQ_MEM(x.t.data, data, N_ELEMENTS * sizeof(float));
        for (size_t i = 0; i < *n_out; i++) {
            CHECK_EQ_I64(us_tensor_count(&got[i].t), N_ELEMENTS);
            memcpy(out[i], f32_at(&got[i]), sizeof out[i]);
        }
    }
    us_session_stats st;
    us_session_stats_get(f.s, &st);
    CHECK(st.arena_bytes <= st.live_peak_bytes + st.live_peak_bytes / 10);
    CHECK_EQ_U64(st.n_static_steps, st.n_steps);
    fixture_end(&f);
}

static void test_random__sharing_memory_changes_nothing(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        us_rng r = us_rng_new(seed, "data", 0);
        float data[N_ELEMENTS], kept[3][N_ELEMENTS], lean[3][N_ELEMENTS], opt[3][N_ELEMENTS];
        size_t n, n2, n3;
        for (int i = 0; i < N_ELEMENTS; i++)
            data[i] = us_rng_f32(&r) * 2 - 1;
        run_random(seed, true, false, data, kept, &n);
        run_random(seed, false, false, data, lean, &n2);
        run_random(seed, false, true, data, opt, &n3);
        CHECK_EQ_U64(n, n2);
        for (size_t i = 0; i < n; i++) {
            if (memcmp(kept[i], lean[i], sizeof kept[i]) != 0)
                US_TEST_FAIL("graph %d, output %zu", (int)seed, i);
            for (int k = 0; k < N_ELEMENTS; k++)
                CHECK_NEAR(opt[i][k], kept[i][k], 1e-5 * (1 + fabs((double)kept[i][k])));
        }
    }
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_random__sharing_memory_changes_nothing)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
