/* Memory does not grow with the number of runs, whatever shapes come: bindings are capped, blocks and values sized at run time are kept
 * no longer than they are of use. Memory asked for and not given back is counted, and so is what the process has resident.
 * USTA_TORTURE=1: a million runs.
 */
#include "exec_fixture.h"

#include "base/clock.h"

enum { N_SHAPES = 50, SHORT_RUNS = 20000, LONG_RUNS = 1000000, N_WARM = 4 * N_SHAPES };

typedef struct meter {
    uint64_t live, rss;
} meter;

/* Shapes in an order that repeats after all have come, neither rising nor falling. */
static int64_t rows_of(size_t run)
{
    return 1 + (int64_t)(run * 17 % N_SHAPES);
}

static void run_once(fixture *f, const us_value *all, size_t i)
{
    us_value x = *all, y[2];
    x.t.dims[0] = rows_of(i);
    CHECK_OK(&f->c, us_session_run(&f->c, f->s, &x, y));
    CHECK_EQ_I64(y[0].t.dims[0], rows_of(i));
}

/* The most that a stretch of runs over all shapes has at once. */
static meter most_of(fixture *f, const us_value *all, size_t first)
{
    meter m = {0};
    for (size_t i = first; i < first + N_SHAPES; i++) {
        run_once(f, all, i);
        m.live = US_MAX(m.live, f->count.live_bytes);
        m.rss = US_MAX(m.rss, us_rss_bytes());
    }
    return m;
}

static void run_many(fixture *f, int64_t width)
{
    const char *torture = getenv("USTA_TORTURE");
    size_t n = torture && torture[0] == '1' ? LONG_RUNS : SHORT_RUNS;
    us_value all = random_f32(f, DIMS(N_SHAPES, width), 1);
    for (size_t i = 0; i < N_WARM; i++)
        run_once(f, &all, i);
    meter before = most_of(f, &all, N_WARM);
    for (size_t i = 0; i < n; i++)
        run_once(f, &all, i);
    meter after = most_of(f, &all, n);
    us_session_stats st;
    us_session_stats_get(f->s, &st);
    CHECK(st.n_bindings <= US_SESSION_BINDINGS);
    printf("# %zu runs over %d shapes: live %llu kB before, %llu kB after; resident %llu and "
           "%llu kB\n",
           n, N_SHAPES, (unsigned long long)before.live / 1024,
           (unsigned long long)after.live / 1024, (unsigned long long)before.rss / 1024,
           (unsigned long long)after.rss / 1024);
    CHECK(after.live <= before.live);
    /* one MiB: the heap's own bookkeeping */
    CHECK(US_TEST_SANITIZED || after.rss <= before.rss + ((uint64_t)1 << 20));
}

static void test_growth__net(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = mlp_model(&f.c, (const int64_t[]){20, 64, 64, 1}, 3, US_ST_CONST, NULL);
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    run_many(&f, 20);
    fixture_end(&f);
}

/* Values whose size is known only when they are made. */
static void test_growth__sized_at_run_time(void)
{
    fixture f;
    us_model *m;
    us_sym n;
    us_vid x;
    fixture_begin(&f);
    CHECK_OK(&f.c, us_model_new(&f.c, &m));
    CHECK_OK(&f.c, us_syms_named(&f.c, &m->syms, US_SV("N"), &n));
    us_dim dims[2] = {US_DIM_SYM(n), US_DIM(12)};
    us_type t = us_type_tensor(US_F32, 2, dims);
    CHECK_OK(&f.c, us_graph_add_input(&f.c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(&f.c, m->main, "t");
    us_vid zero = us_b_f32(&b, 0), more = us_b2(&b, "Greater", x, zero);
    us_vid at = us_b1(&b, "Transpose", us_b1(&b, "NonZero", more));
    us_vid kept = us_b2(&b, "GatherND", x, at);
    us_vid sum = us_b2(&b, "Add", us_b1(&b, "Relu", x), us_b1(&b, "ReduceMax", kept));
    CHECK_OK(&f.c, us_b_end(&b));
    CHECK_OK(&f.c, us_graph_add_output(&f.c, m->main, sum));
    CHECK_OK(&f.c, us_graph_add_output(&f.c, m->main, kept));
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    run_many(&f, 12);
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_growth__net),
                                         US_CASE(test_growth__sized_at_run_time)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
