/* Calls bound to shapes: they give what steps as they come give, and give way where inference was mistaken. */
#include "exec_fixture.h"

#include "exec/plan.h"

static void begin(fixture *f, const char *text, const us_session_opts *o)
{
    fixture_begin(f);
    fixture_open(f, text, NULL, o);
}

/* The data stays where the caller has it, at every run anew. */
static void test_view__of_an_input(void)
{
    fixture f;
    begin(&f,
          "model ir=8 opset=17\ngraph main(x: float[2,3]) -> (y) {\n"
          "  const s: int64[2] = {3, 2}\n  y = Reshape(x, s)\n}\n",
          NULL);
    us_value a = F32S(&f, DIMS(2, 3), 1, 2, 3, 4, 5, 6),
             b = F32S(&f, DIMS(2, 3), 7, 8, 9, 1, 2, 3), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &a, &y));
    CHECK(y.t.data == a.t.data);
    CHECK_EQ_I64(y.t.dims[0], 3);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &b, &y));
    CHECK(y.t.data == b.t.data);
    fixture_end(&f);
}

static const char *const flatten_by_hand =
    "model ir=8 opset=17\n"
    "graph main(x: float[N,3,2]) -> (y, s) {\n"
    "  const i: int64[1] = {0}\n  const m: int64[1] = {-1}\n"
    "  h = Neg(x)\n  s = Shape(h)\n  n = Gather(s, i)\n  d = Concat(n, m) {axis=0}\n"
    "  r = Reshape(h, d)\n  y = Neg(r)\n}\n";

/* The way of the shape is known when the binding is made: neither Shape nor Gather nor Concat runs. */
static void test_known__integers_are_not_computed(void)
{
    fixture f;
    begin(&f, flatten_by_hand, &(us_session_opts){.profile = true});
    us_value x = F32S(&f, DIMS(2, 3, 2), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), out[2];
    for (int run = 0; run < 2; run++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, out));
        CHECK_EQ_I64(out[0].t.dims[0], 2);
        CHECK_EQ_I64(out[0].t.dims[1], 6);
        CHECK_NEAR(f32_at(&out[0])[11], 12, 0);
        CHECK_EQ_I64(((const int64_t *)out[1].t.data)[2], 2);
    }
    const us_profile_row *rows;
    size_t n = us_session_profile(f.s, &rows);
    for (size_t i = 0; i < n; i++)
        if ((us_sv_is(rows[i].op, "Shape") || us_sv_is(rows[i].op, "Gather") ||
             us_sv_is(rows[i].op, "Concat")) &&
            rows[i].n_calls > 0)
            US_TEST_FAIL(US_SV_FMT " ran", US_SV_ARG(rows[i].op));
    fixture_end(&f);
}

/* A transposed view of memory is no input for calls; the values they rely on are right again afterwards. */
static void test_run__strided_input_between_dense_ones(void)
{
    fixture f;
    begin(&f, flatten_by_hand, NULL);
    us_value x = F32S(&f, DIMS(2, 3, 2), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), out[2];
    us_value odd = x;
    odd.t.strides[1] = 1;
    odd.t.strides[2] = 3;
    const float want[] = {1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12};
    for (int run = 0; run < 4; run++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, run % 2 ? &odd : &x, out));
        CHECK_EQ_I64(out[0].t.dims[1], 6);
        for (int i = 0; i < 12; i++)
            CHECK_NEAR(f32_at(&out[0])[i], run % 2 ? want[i] : (float)(i + 1), 0);
        CHECK_EQ_I64(((const int64_t *)out[1].t.data)[1], 3);
    }
    fixture_end(&f);
}

/* No inference here is known to be wrong, so what it said is changed afterwards: the run finds it, starts again and stays plain. */
static void test_run__where_inference_is_mistaken(void)
{
    fixture f;
    begin(&f,
          "model ir=8 opset=17\n"
          "graph main(x: float[2,3]) -> (z) {\n"
          "  const a: int64[] = {1}\n  const d: int64[1] = {-1}\n"
          "  y = CumSum(x, a)\n  r = Reshape(y, d)\n  z = Neg(r)\n}\n",
          NULL);
    us_value x = F32S(&f, DIMS(2, 3), 1, 2, 3, 4, 5, 6), z;
    for (int run = 0; run < 3; run++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &z));
        CHECK_EQ_I64(z.t.dims[0], 6);
        CHECK_NEAR(f32_at(&z)[5], -15, 0);
        us_frame *main = f.s->now->main;
        CHECK(main->plain == (run > 0));
        size_t n_changed = 0;
        for (size_t v = 0; v < main->gp->n_vals; v++)
            if (main->expect[v]) {
                main->still[v].t.dims[1] = 2;
                n_changed++;
            }
        CHECK_EQ_U64(n_changed, 1);
    }
    fixture_end(&f);
}

/* A body runs by its calls; where what it is given is not what they were bound to, as it comes. */
static void test_loop__body_is_bound(void)
{
    const char *text =
        "model ir=8 opset=17\n"
        "graph main(n: int64[], y: float[2]) -> (q) {\n"
        "  q = Loop(n, _, y) {body=graph b2 (i: int64[], c: bool[], v: float[2]) -> (c2, w) {\n"
        "    const d: int64[2] = {-1, 1}\n    const e: int64[1] = {-1}\n"
        "    c2 = Identity(c)\n    r = Reshape(v, d)\n    m = Neg(r)\n    w = Reshape(m, e)\n  "
        "}}\n"
        "}\n";
    fixture f;
    begin(&f, text, NULL);
    us_value in[2] = {I64S(&f, SCALAR, 3), F32S(&f, DIMS(2), 4, 5)}, q;
    for (int run = 0; run < 3; run++) {
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &q));
        CHECK_EQ_I64(q.t.dims[0], 2);
        CHECK_NEAR(f32_at(&q)[1], -5, 0);
        us_frame *body = f.s->now->main->subs[0];
        CHECK(body->n_entry > 0);
        CHECK(body->placed == (run == 0));
        body->still[body->entry[0]].t.dims[0] = 7;
    }
    fixture_end(&f);
}

/* Work of calls is charged as work of steps is. */
static void test_run__work_is_limited(void)
{
    fixture f;
    begin(&f, "model ir=8 opset=17\ngraph main(x: float[N]) -> (s) {\n  s = Shape(x)\n}\n",
          &(us_session_opts){.max_work = 0.5});
    us_value x = F32S(&f, DIMS(3), 1, 2, 3), s;
    CHECK_ERR(us_session_run(&f.c, f.s, &x, &s), US_LIMIT);
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_view__of_an_input),
        US_CASE(test_known__integers_are_not_computed),
        US_CASE(test_run__strided_input_between_dense_ones),
        US_CASE(test_run__where_inference_is_mistaken),
        US_CASE(test_loop__body_is_bound),
        US_CASE(test_run__work_is_limited),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
