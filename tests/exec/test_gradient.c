/* Gradient of ai.onnx.preview.training: the point, what is held, zeros, gradients of gradients, and what is refused. */
#include "exec_fixture.h"

#define HEAD "model ir=8 opset=17,ai.onnx.preview.training:1\n"
#define GRAD "ai.onnx.preview.training.Gradient"

#define MAX_VALUES 6

/* Numbers of each output. */
static void expect(fixture *f, const us_value *in, size_t n_out, const float *const *want)
{
    us_value out[MAX_VALUES];
    CHECK_OK(&f->c, us_session_run(&f->c, f->s, in, out));
    for (size_t k = 0; k < n_out; k++)
        for (int64_t i = 0; i < us_tensor_count(&out[k].t); i++)
            CHECK_NEAR(f32_at(&out[k])[i], want[k][i], 1e-5);
}

/* Run with the passes of `default` and with none: both must say the same. */
static void run_both(const char *text, us_value (*inputs)(fixture *f, us_value *in),
                     size_t n_out, const float *const *want)
{
    for (int i = 0; i < 2; i++) {
        fixture f;
        us_value in[MAX_VALUES];
        fixture_begin(&f);
        fixture_open(&f, text, &(us_plan_opts){.no_passes = i == 1}, NULL);
        (void)inputs(&f, in);
        expect(&f, in, n_out, want);
        fixture_end(&f);
    }
}

static us_value pair(fixture *f, us_value *in)
{
    in[0] = F32S(f, DIMS(2), 1, -2);
    in[1] = F32S(f, DIMS(2), 3, 5);
    return in[0];
}

static void test_gradient__square_and_sum(void)
{
    run_both(HEAD "graph main(x: float[2], y: float[2]) -> (z, dx, dy) {\n"
                  "  s = Mul(x, x)\n  z = Add(s, y)\n"
                  "  dx, dy = " GRAD "(x, y) {xs=[\"x\", \"y\"], y=\"z\"}\n}\n",
             pair, 3,
             (const float *const[]){(const float[]){4, 9}, (const float[]){2, -4},
                                    (const float[]){1, 1}});
}

/* The derivatives at (y, x) of a function whose own value is at (x, y); the value itself stays. */
static void test_gradient__at_another_point(void)
{
    run_both(HEAD "graph main(x: float[2], y: float[2]) -> (z, dx, dy) {\n"
                  "  s = Mul(x, x)\n  z = Mul(s, y)\n"
                  "  dx, dy = " GRAD "(y, x) {xs=[\"x\", \"y\"], y=\"z\"}\n}\n",
             pair, 3,
             (const float *const[]){(const float[]){3, 20}, (const float[]){6, -20},
                                    (const float[]){9, 25}});
}

/* x and y are one value here, yet two variables. */
static void test_gradient__same_point_twice(void)
{
    run_both(HEAD "graph main(x: float[2], y: float[2]) -> (dx, dy) {\n"
                  "  s = Mul(x, x)\n  z = Mul(s, y)\n"
                  "  dx, dy = " GRAD "(x, x) {xs=[\"x\", \"y\"], y=\"z\"}\n}\n",
             pair, 2, (const float *const[]){(const float[]){2, 8}, (const float[]){1, 4}});
}

static us_value net(fixture *f, us_value *in)
{
    in[0] = F32S(f, DIMS(2, 2), 1, 2, 3, -4);
    in[1] = F32S(f, DIMS(2, 2), 1, -1, 0.5F, 1);
    return in[0];
}

/* h = x w = {2 1; 1 -7}, Relu cuts the -7; dw = x^T {1 1; 1 0}. The bias is an initialiser, held. */
static void test_gradient__of_a_layer(void)
{
    run_both(HEAD "graph main(x: float[2,2], w: float[2,2]) -> (dw) {\n"
                  "  const b: float[2] = {0, 0}\n"
                  "  p = MatMul(x, w)\n  q = Add(p, b)\n  h = Relu(q)\n"
                  "  dw = " GRAD "(w, x, b) {xs=[\"w\"], zs=[\"x\", \"b\"], y=\"h\"}\n}\n",
             net, 1, (const float *const[]){(const float[]){4, 1, -2, 2}});
}

/* Constants in place of zs: x counts as the identity. */
static void test_gradient__held_at_a_constant(void)
{
    run_both(HEAD "graph main(x: float[2,2], w: float[2,2]) -> (dw, h) {\n"
                  "  const one: float[2,2] = {1, 0, 0, 1}\n"
                  "  p = MatMul(x, w)\n  h = Relu(p)\n"
                  "  dw = " GRAD "(w, one) {xs=[\"w\"], zs=[\"x\"], y=\"h\"}\n}\n",
             net, 2,
             (const float *const[]){(const float[]){1, 0, 1, 1}, (const float[]){2, 1, 1, 0}});
}

/* By a value in the middle, and by an initialiser; two Gradients of one y. */
static void test_gradient__twice_of_one_y(void)
{
    run_both(HEAD "graph main(x: float[2], y: float[2]) -> (dh, dk, dx) {\n"
                  "  const k: float[2] = {2, 3}\n"
                  "  h = Mul(x, k)\n  g = Mul(h, y)\n  z = Mul(g, k)\n"
                  "  dh, dk = " GRAD "(h, k, y) {xs=[\"h\", \"k\"], zs=[\"y\"], y=\"z\"}\n"
                  "  dx = " GRAD "(x, y) {xs=[\"x\"], zs=[\"y\"], y=\"z\"}\n}\n",
             pair, 3,
             (const float *const[]){(const float[]){6, 15}, (const float[]){6, -30},
                                    (const float[]){12, 45}});
}

/* d(x^3)/dx, d2(x^3)/dx2, d3(x^3)/dx3. */
static void test_gradient__of_a_gradient(void)
{
    run_both(HEAD "graph main(x: float[2], y: float[2]) -> (a, b, c) {\n"
                  "  s = Mul(x, x)\n  z = Mul(s, x)\n"
                  "  a = " GRAD "(x) {xs=[\"x\"], y=\"z\"}\n"
                  "  b = " GRAD "(x) {xs=[\"x\"], y=\"a\"}\n"
                  "  c = " GRAD "(x) {xs=[\"x\"], y=\"b\"}\n}\n",
             pair, 3,
             (const float *const[]){(const float[]){3, 12}, (const float[]){6, -12},
                                    (const float[]){6, 6}});
}

/* y does not depend on x: zeros in the shape of the point. y is x: ones. An output left out. */
static void test_gradient__no_path(void)
{
    run_both(HEAD "graph main(x: float[2], y: float[2]) -> (dx, own) {\n"
                  "  z = Exp(y)\n"
                  "  dx, _ = " GRAD "(x, y) {xs=[\"x\", \"y\"], y=\"z\"}\n"
                  "  own = " GRAD "(y) {xs=[\"x\"], y=\"x\"}\n}\n",
             pair, 2, (const float *const[]){(const float[]){0, 0}, (const float[]){1, 1}});
}

/* Old forms on the path: the names outlive their upgrade (Relu of opset 6, Add with axis of opset 6). */
static void test_gradient__of_old_operators(void)
{
    run_both("model ir=8 opset=6,ai.onnx.preview.training:1\n"
             "graph main(x: float[2], y: float[2]) -> (d) {\n"
             "  h = Add(x, y) {axis=0, broadcast=1}\n  r = Relu(h)\n  z = Mul(r, h)\n"
             "  d = " GRAD "(h) {xs=[\"h\"], y=\"z\"}\n}\n",
             pair, 1, (const float *const[]){(const float[]){8, 6}});
}

/* Names inside a function are the function's own; it is called twice. */
static void test_gradient__in_a_function(void)
{
    run_both(HEAD "function my \"\" opset=17,ai.onnx.preview.training:1 [] {}"
                  " slope(u) -> (d) {\n"
                  "  z = Mul(u, u)\n  d = " GRAD "(u) {xs=[\"u\"], y=\"z\"}\n}\n"
                  "graph main(x: float[2], y: float[2]) -> (a, b) {\n"
                  "  a = my.slope(x)\n  b = my.slope(y)\n}\n",
             pair, 2, (const float *const[]){(const float[]){2, -4}, (const float[]){6, 10}});
}

static us_value chosen(fixture *f, us_value *in)
{
    in[0] = BOOLS(f, SCALAR, 1);
    in[1] = F32S(f, DIMS(2), 1, -2);
    return in[0];
}

static void test_gradient__in_a_branch(void)
{
    run_both(HEAD "graph main(p: bool[], x: float[2]) -> (y) {\n"
                  "  y = If(p) {then_branch=graph t () -> (d) {\n"
                  "      z = Mul(^x, ^x)\n      d = " GRAD "(^x) {xs=[\"x\"], y=\"z\"}\n"
                  "    }, else_branch=graph e () -> (^x) {\n    }}\n}\n",
             chosen, 1, (const float *const[]){(const float[]){2, -4}});
}

/* A Gradient names values, so it may stand before what computes them. */
static void test_gradient__before_its_function(void)
{
    run_both(HEAD "graph main(x: float[2], y: float[2]) -> (d, z) {\n"
                  "  d = " GRAD
                  "(x, y) {xs=[\"x\"], zs=[\"y\"], y=\"z\"}\n  z = Mul(x, y)\n}\n",
             pair, 2, (const float *const[]){(const float[]){3, 5}, (const float[]){3, -10}});
}

/* --- what is refused ---------------------------------------------------------------------------------- */

static void refused(const char *text, us_err want, const char *word)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, text);
    us_plan *plan;
    CHECK_ERR(us_plan_new(&c, m, NULL, &plan), want);
    CHECK(strstr(c.diag.text, "Gradient") != NULL);
    if (!strstr(c.diag.text, word)) CHECK_EQ_STR(c.diag.text, word);
    us_model_free(m);
    us_ctx_deinit(&c);
}

#define BAD(nodes, err, word)                                                                  \
    refused(HEAD "graph main(x: float[2], n: int64[2]) -> (d) {\n  z = Exp(x)\n" nodes         \
                 "\n}\n",                                                                      \
            err, word)

static void test_gradient__unknown_names(void)
{
    BAD("d = " GRAD "(x) {xs=[\"q\"], y=\"z\"}", US_FORMAT, "'q'");
    BAD("d = " GRAD "(x) {xs=[\"x\"], y=\"q\"}", US_FORMAT, "'q'");
    BAD("d = " GRAD "(x, x) {xs=[\"x\"], zs=[\"q\"], y=\"z\"}", US_FORMAT, "'q'");
    BAD("d = " GRAD "(x, x) {xs=[\"x\"], zs=[\"x\"], y=\"z\"}", US_FORMAT, "twice");
}

static void test_gradient__counts(void)
{
    BAD("d = " GRAD "(x, x) {xs=[\"x\"], y=\"z\"}", US_FORMAT, "2 inputs for 1");
    BAD("d, e = " GRAD "(x) {xs=[\"x\"], y=\"z\"}", US_FORMAT, "2 outputs for 1");
    /* As many inputs as the names would make of them. */
    BAD("d = " GRAD "(x, x, z) {xs=[\"x\"], y=\"z\"}", US_FORMAT, "3 inputs for 1");
}

static void test_gradient__not_differentiable(void)
{
    BAD("r = ReduceProd(x)\nd = " GRAD "(x) {xs=[\"x\"], y=\"r\"}", US_UNSUPP, "ReduceProd");
    BAD("r = my.Own(x)\nd = " GRAD "(x) {xs=[\"x\"], y=\"r\"}", US_UNSUPP, "'r'");
    BAD("d = " GRAD "(n) {xs=[\"n\"], y=\"z\"}", US_UNSUPP, "int64");
    BAD("r = Shape(x)\nd = " GRAD "(x) {xs=[\"x\"], y=\"r\"}", US_UNSUPP, "int64");
    BAD("const p: bool[] = {1}\n"
        "r: float[2] = If(p) {then_branch=graph t () -> (u) {\n u = Exp(^x)\n}, "
        "else_branch=graph e () -> (^x) {\n}}\nd = " GRAD "(x) {xs=[\"x\"], y=\"r\"}",
        US_UNSUPP, "sub-graph");
}

/* y is computed from the Gradient's own output. */
static void test_gradient__of_itself(void)
{
    BAD("d = " GRAD "(x) {xs=[\"x\"], y=\"r\"}\nr = Exp(d)", US_FORMAT, "cycle");
}

/* Each level multiplies the nodes: a few lines must not take all memory. */
static void test_gradient__too_deep(void)
{
    us_ctx c;
    us_ctx_init(&c);
    char text[8192], last[16] = "z";
    size_t n = (size_t)snprintf(
        text, sizeof text,
        HEAD "graph main(x: float[2]) -> (z) {\n  s = Sin(x)\n  z = Mul(s, s)\n");
    for (int i = 0; i < 40; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "  d%d = " GRAD "(x) {xs=[\"x\"], y=\"%s\"}\n", i, last);
        (void)snprintf(last, sizeof last, "d%d", i);
    }
    (void)snprintf(text + n, sizeof text - n, "}\n");
    us_model *m = model_of(&c, text);
    us_plan *plan;
    CHECK_ERR(us_plan_new(&c, m, NULL, &plan), US_LIMIT);
    us_model_free(m);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_gradient__square_and_sum),     US_CASE(test_gradient__at_another_point),
        US_CASE(test_gradient__same_point_twice),   US_CASE(test_gradient__of_a_layer),
        US_CASE(test_gradient__held_at_a_constant), US_CASE(test_gradient__twice_of_one_y),
        US_CASE(test_gradient__of_a_gradient),      US_CASE(test_gradient__no_path),
        US_CASE(test_gradient__of_old_operators),   US_CASE(test_gradient__in_a_function),
        US_CASE(test_gradient__in_a_branch),        US_CASE(test_gradient__before_its_function),
        US_CASE(test_gradient__unknown_names),      US_CASE(test_gradient__counts),
        US_CASE(test_gradient__not_differentiable), US_CASE(test_gradient__of_itself),
        US_CASE(test_gradient__too_deep),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
