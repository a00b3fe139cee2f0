/* fuse-map: what joins and what must not; outputs on random inputs are the same before and after. */
#include "pass_fixture.h"

static size_t count_nodes(const char *text, const char *passes, size_t *n_maps)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, text);
    CHECK_OK(&c, us_pass_run(&c, m, "upgrade"));
    CHECK_OK(&c, us_pass_run(&c, m, passes));
    CHECK_OK(&c, us_graph_verify(&c, m->main));
    size_t n = m->main->order.n;
    *n_maps = 0;
    for (size_t i = 0; i < n; i++)
        *n_maps += us_sv_is(m->main->nodes.at[m->main->order.at[i]].domain, "usta");
    us_model_free(m);
    us_ctx_deinit(&c);
    return n;
}

static void check_count(const char *text, size_t n, size_t n_maps)
{
    size_t maps;
    CHECK_EQ_U64(count_nodes(text, "fuse-map", &maps), n);
    CHECK_EQ_U64(maps, n_maps);
}

#define GRAPH(body) HEAD "graph main(x: float[N,6]) -> (y) {\n" body "}\n"

static void test_fuse_map__activations_in_their_spellings(void)
{
    static const char *const texts[] = {
        GRAPH("  s = Sigmoid(x)\n  y = Mul(x, s)\n"),
        GRAPH(
            "  const r: float[1] = {1.41421356}\n  const one: float[] = {1}\n"
            "  const half: float[] = {0.5}\n  d = Div(x, r)\n  e = Erf(d)\n  a = Add(e, one)\n"
            "  m = Mul(x, a)\n  y = Mul(m, half)\n"),
        GRAPH("  const c: float[] = {0.044715}\n  const k: float[] = {0.7978846}\n"
              "  const three: float[] = {3}\n  const half: float[] = {0.5}\n  const one: "
              "float[] = {1}\n"
              "  p = Pow(x, three)\n  q = Mul(c, p)\n  a = Add(x, q)\n  b = Mul(k, a)\n"
              "  t = Tanh(b)\n  u = Add(one, t)\n  h = Mul(half, x)\n  y = Mul(h, u)\n"),
        GRAPH("  const three: float[] = {3}\n  const six: float[] = {6}\n  const zero: float[] "
              "= {0}\n"
              "  a = Add(x, three)\n  c = Clip(a, zero, six)\n  m = Mul(x, c)\n  y = Div(m, "
              "six)\n"),
        GRAPH("  s = Softplus(x)\n  t = Tanh(s)\n  y = Mul(x, t)\n"),
    };
    for (size_t i = 0; i < US_LEN(texts); i++) {
        check_count(texts[i], 1, 1);
        check_same_outputs(texts[i], "fuse-map", DIMS(5, 6), 1e-6, 1);
    }
}

/* Conditions, powers, broadcasts of every kind, numbers of higher rank than they need. */
static void test_fuse_map__conditions_and_broadcasts(void)
{
    const char *text = GRAPH(
        "  const row: float[6] = {1, -2, 3, -4, 5, -6}\n  const two: int64[] = {2}\n"
        "  const half: float[1,1] = {0.5}\n  const zero: float[] = {0}\n"
        "  a = Mul(x, row)\n  b = Greater(a, zero)\n  c = Pow(x, two)\n  d = Add(c, half)\n"
        "  e = Where(b, a, d)\n  f = IsNaN(e)\n  g = Not(f)\n  h = And(g, b)\n"
        "  i = Cast(h) {to=1}\n  j = Max(e, i, row)\n  y = Sub(j, a)\n");
    check_count(text, 1, 1);
    check_same_outputs(text, "fuse-map", DIMS(5, 6), 1e-6, 1);
}

static void test_fuse_map__what_others_read_stays(void)
{
    check_count(HEAD
                "graph main(x: float[N,6]) -> (y, s) {\n  s = Sigmoid(x)\n  y = Mul(x, s)\n}\n",
                2, 0);
    check_count(GRAPH("  s = Sigmoid(x)\n  t = Exp(s)\n  m = Mul(x, s)\n  u = Softmax(m)\n"
                      "  v = Add(u, t)\n  y = Neg(v)\n"),
                4, 1); /* s feeds two groups; t, Add and Neg join */
}

/* A gate of one number per channel is computed once per channel. */
static void test_fuse_map__smaller_results_stay(void)
{
    check_count(HEAD "graph main(x: float[N,4,5,5], z: float[N,4,1,1]) -> (y) {\n"
                     "  s = Sigmoid(z)\n  t = Mul(x, s)\n  y = Relu(t)\n}\n",
                2, 1);
}

static void test_fuse_map__other_types_stay(void)
{
    check_count(
        HEAD "graph main(x: int64[N,6]) -> (y) {\n  a = Add(x, x)\n  y = Mul(a, x)\n}\n", 2, 0);
    check_count(HEAD "graph main(x: double[N,6]) -> (y) {\n  a = Exp(x)\n  y = Mul(a, x)\n}\n",
                2, 0);
}

/* Without an input of the result's shape a constant might have given it its rank. */
static void test_fuse_map__rank_from_a_number(void)
{
    const char *text = HEAD "graph main(x: float[6]) -> (y) {\n  const one: float[1,1] = {1}\n"
                            "  a = Add(x, one)\n  y = Exp(a)\n}\n";
    check_count(text, 2, 0);
}

/* A chain of more instructions than a program holds becomes several. */
static void test_fuse_map__long_chain(void)
{
    char text[4096];
    size_t at = (size_t)snprintf(text, sizeof text,
                                 HEAD "graph main(x: float[N,6]) -> (y) {\n  v0 = Neg(x)\n");
    for (int i = 1; i < 100; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "  v%d = Abs(v%d)\n", i, i - 1);
    (void)snprintf(text + at, sizeof text - at, "  y = Neg(v99)\n}\n");
    check_count(text, 3, 3);
    check_same_outputs(text, "fuse-map", DIMS(3, 6), 0, 3);
}

static void test_fuse_map__twice_changes_nothing(void)
{
    size_t maps;
    const char *text =
        GRAPH("  s = Sigmoid(x)\n  m = Mul(x, s)\n  t = Softmax(m)\n  u = Exp(t)\n"
              "  y = Neg(u)\n");
    CHECK_EQ_U64(count_nodes(text, "fuse-map,fuse-map", &maps), 3);
    CHECK_EQ_U64(maps, 2);
    check_same_outputs(text, "fuse-map,fuse-map", DIMS(4, 6), 1e-6, 3);
}

static const us_test_case cases[] = {
    US_CASE(test_fuse_map__activations_in_their_spellings),
    US_CASE(test_fuse_map__conditions_and_broadcasts),
    US_CASE(test_fuse_map__what_others_read_stays),
    US_CASE(test_fuse_map__smaller_results_stay),
    US_CASE(test_fuse_map__other_types_stay),
    US_CASE(test_fuse_map__rank_from_a_number),
    US_CASE(test_fuse_map__long_chain),
    US_CASE(test_fuse_map__twice_changes_nothing),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
