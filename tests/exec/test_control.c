/* If and Loop: sub-graphs as steps, captures, what comes back and what is freed. */
#include "exec_fixture.h"

/* --- control flow -------------------------------------------------------------------------------------------- */

static const char *const chooser = "model ir=8 opset=17\n"
                                   "graph main(p: bool[], x: float[N]) -> (y) {\n"
                                   "  a = Neg(x)\n"
                                   "  y = If(p) {then_branch=graph t () -> (u) {\n"
                                   "      u = Exp(^a)\n"
                                   "    }, else_branch=graph e () -> (^x) {\n"
                                   "    }}\n"
                                   "}\n";

static void test_if__captures(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, chooser, NULL, NULL);
    us_value in[2] = {BOOLS(&f, SCALAR, 1), F32S(&f, DIMS(2), 0, 1)}, y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
    CHECK_NEAR(f32_at(&y)[1], exp(-1), 1e-6);
    in[0] = BOOLS(&f, SCALAR, 0);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
    CHECK_NEAR(f32_at(&y)[1], 1, 0);
    fixture_end(&f);
}

/* Opset 8: batch 2, lengths 2 and 1, a running sum scaled by a captured value; what is beyond a length is zero. */
static void test_scan__first_form_with_lengths(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(
        &f,
        "model ir=8 opset=8\n"
        "graph main(n: int64[2], s: float[2,1], x: float[2,2,1], w: float[1]) -> (sf, ys) {\n"
        "  sf, ys = Scan(n, s, x) {body=graph b (u: float[1], v: float[1]) -> (p, q) {\n"
        "      t = Add(u, v)\n"
        "      p = Mul(t, ^w)\n"
        "      q = Identity(p)\n"
        "    }, num_scan_inputs=1}\n"
        "}\n",
        NULL, NULL);
    us_value in[4] = {I64S(&f, DIMS(2), 2, 1), F32S(&f, DIMS(2, 1), 1, 2),
                      F32S(&f, DIMS(2, 2, 1), 3, 4, 5, 6), F32S(&f, DIMS(1), 10)};
    us_value out[2];
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, out));
    const float sf[] = {440, 70}, ys[] = {40, 440, 70, 0};
    for (int i = 0; i < 2; i++)
        CHECK_NEAR(f32_at(&out[0])[i], sf[i], 0);
    for (int i = 0; i < 4; i++)
        CHECK_NEAR(f32_at(&out[1])[i], ys[i], 0);
    fixture_end(&f);
}

static const char *const summer =
    "model ir=8 opset=17\n"
    "graph main(n: int64[], go: bool[], x: float[2]) -> (y, all) {\n"
    "  y, all = Loop(n, go, x) {body=graph b (i: int64[], c: bool[], s: float[2]) -> (^go, t, "
    "u) {\n"
    "      t = Add(s, ^x)\n"
    "      u = Neg(t)\n"
    "    }}\n"
    "}\n";

static void test_loop__sums(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f, summer, NULL, NULL);
    us_value in[3] = {I64S(&f, SCALAR, 5), BOOLS(&f, SCALAR, 1), F32S(&f, DIMS(2), 1, 10)},
             out[2];
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, out));
    CHECK_NEAR(f32_at(&out[0])[0], 6, 0);
    CHECK_NEAR(f32_at(&out[0])[1], 60, 0);
    CHECK_EQ_I64(out[1].t.dims[0], 5);
    CHECK_NEAR(f32_at(&out[1])[9], -60, 0);
    in[0] = I64S(&f, SCALAR, 0);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, out));
    CHECK_NEAR(f32_at(&out[0])[1], 10, 0);
    CHECK_EQ_I64(out[1].t.dims[0], 0);
    fixture_end(&f);
}

static void test_loop__endless_stops(void)
{
    fixture f;
    fixture_begin(&f);
    us_session_opts so = {.max_steps = 10000, .dynamic_cap_bytes = (size_t)8 << 20};
    fixture_open(&f, summer, NULL, &so);
    us_value in[3] = {I64S(&f, SCALAR, INT64_MAX), BOOLS(&f, SCALAR, 1),
                      F32S(&f, DIMS(2), 1, 10)},
             out[2];
    CHECK_ERR(us_session_run(&f.c, f.s, in, out), US_LIMIT);
    in[0] = I64S(&f, SCALAR, 2);
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, out));
    CHECK_NEAR(f32_at(&out[0])[0], 3, 0);
    fixture_end(&f);
}

/* Each iteration's state goes back when the next is made: a long loop needs no more memory than a short one. */
static void test_loop__long_in_little_memory(void)
{
    fixture f;
    fixture_begin(&f);
    us_session_opts so = {.dynamic_cap_bytes = (size_t)256 << 10};
    fixture_open(
        &f,
        "model ir=8 opset=17\n"
        "graph main(n: int64[], x: float[2]) -> (y) {\n"
        "  const one: float[1] = {1}\n"
        "  y = Loop(n, _, x) {body=graph b (i: int64[], c: bool[], s: float[2]) -> (c2, t) {\n"
        "      c2 = Identity(c)\n"
        "      t = Add(s, ^one)\n"
        "    }}\n"
        "}\n",
        NULL, &so);
    us_value in[2] = {I64S(&f, SCALAR, 100000), F32S(&f, DIMS(2), 0, 5)}, y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
    CHECK_NEAR(f32_at(&y)[0], 100000, 0);
    CHECK_NEAR(f32_at(&y)[1], 100005, 0);
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_if__captures),
        US_CASE(test_scan__first_form_with_lengths),
        US_CASE(test_loop__sums),
        US_CASE(test_loop__endless_stops),
        US_CASE(test_loop__long_in_little_memory),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
