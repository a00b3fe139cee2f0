/* test_contents.c - what a model asks of its inputs' contents: followed through what moves them, into sub-graphs, for sizes that are known late. */
#include "exec_fixture.h"

#include "exec/contents.h"

enum { MOST = 8 };

static void bounds_of(fixture *f, const char *text, int64_t size, us_bounds *out)
{
    int64_t sizes[64];
    us_plan_opts o = {.no_passes = true};
    fixture_begin(f);
    CHECK_OK(&f->c, us_plan_new(&f->c, model_of(&f->c, text), &o, &f->plan));
    CHECK(us_plan_model(f->plan)->syms.names.n <= US_LEN(sizes) &&
          us_plan_n_inputs(f->plan) <= MOST);
    for (size_t i = 0; i < US_LEN(sizes); i++)
        sizes[i] = size;
    CHECK_OK(&f->c, us_plan_bounds(&f->c, f->a, f->plan, sizes, out));
    fixture_end(f);
}

static void check(us_bounds b, int64_t lo, int64_t hi)
{
    CHECK_EQ_I64(b.lo, lo);
    CHECK_EQ_I64(b.hi, hi);
}

static void test_contents__rows_of_a_table(void)
{
    fixture f;
    us_bounds b[MOST];
    bounds_of(&f,
              "model ir=8 opset=17\n"
              "graph main(ids: int32[1,N], kinds: int64[1,N], x: float[1,N]) -> (y) {\n"
              "  const words: float[5,2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}\n"
              "  const two: float[3,2] = {1, 2, 3, 4, 5, 6}\n"
              "  const flat: int64[1] = {-1}\n"
              "  i = Reshape(ids, flat)\n"
              "  l = Cast(i) {to=7}\n"
              "  a = Gather(words, l) {axis=0}\n"
              "  k = Reshape(kinds, flat)\n"
              "  c = Gather(two, k) {axis=1}\n"
              "  d = Transpose(c)\n"
              "  y = Add(a, a)\n"
              "}\n",
              -1, b);
    check(b[0], 0, 4);
    check(b[1], 0, 1); /* along axis 1 */
    check(b[2], INT64_MIN, INT64_MAX);
}

/* The least of several tables; a size that is a symbol; not known: nothing asked. */
static void test_contents__several_and_symbols(void)
{
    fixture f;
    us_bounds b[MOST];
    const char *text = "model ir=8 opset=17\n"
                       "graph main(i: int64[2], t: float[N,3], j: int64[2]) -> (y, z) {\n"
                       "  const five: float[5] = {1, 2, 3, 4, 5}\n"
                       "  const three: float[3] = {1, 2, 3}\n"
                       "  ij = Concat(i, j) {axis=0}\n"
                       "  a = Gather(five, ij)\n"
                       "  b = Gather(three, i)\n"
                       "  y = Gather(t, j)\n"
                       "  s = ReduceSum(a)\n"
                       "  z = Add(b, s)\n"
                       "}\n";
    bounds_of(&f, text, -1, b);
    check(b[0], 0, 2);
    check(b[2], 0, 4);
    bounds_of(&f, text, 2, b);
    check(b[2], 0, 1);
    bounds_of(&f, text, 0, b); /* an empty table: nothing will do */
    check(b[2], 0, -1);
}

static void test_contents__in_sub_graphs(void)
{
    fixture f;
    us_bounds b[MOST];
    bounds_of(&f,
              "model ir=8 opset=17\n"
              "graph main(c: bool, i: int64, n: int64, s: int64) -> (y, z) {\n"
              "  const w: float[7] = {1, 2, 3, 4, 5, 6, 7}\n"
              "  y = If(c) {then_branch=graph t () -> (a) {\n"
              "      a = Gather(^w, ^i)\n"
              "    }, else_branch=graph e () -> (d) {\n"
              "      const zero: float[] = {0}\n"
              "      d = Identity(zero)\n"
              "    }}\n"
              "  p, z = Loop(n, _, s) {body=graph body (it: int64, go: bool, v: int64) -> "
              "(go2, v2, g) {\n"
              "      go2 = Identity(go)\n"
              "      v2 = Identity(v)\n"
              "      g = Gather(^w, v)\n"
              "    }}\n"
              "}\n",
              -1, b);
    check(b[0], INT64_MIN, INT64_MAX);
    check(b[1], 0, 6);
    check(b[2], INT64_MIN, INT64_MAX);
    check(b[3], 0, 6);
}

static void test_contents__lengths_and_counts(void)
{
    fixture f;
    us_bounds b[MOST];
    bounds_of(&f,
              "model ir=8 opset=17\n"
              "graph main(x: float[T,1,1], len: int32[1], k: int64[1]) -> (y, v) {\n"
              "  const w: float[1,1,1] = {1}\n"
              "  const r: float[1,1,1] = {1}\n"
              "  y = RNN(x, w, r, _, len) {hidden_size=1}\n"
              "  v, at = TopK(x, k) {axis=0}\n"
              "}\n",
              6, b);
    check(b[1], 6, 6);
    check(b[2], 1, 1);
}

/* A sequence is to become longer than it is. */
static void test_contents__tokens_beyond_the_given(void)
{
    static const char text[] =
        "model ir=8 opset=17,com.microsoft:1\n"
        "graph main(ids: int32[N,S], most: int32[1], least: int32[1]) -> (y) {\n"
        "  y = com.microsoft:GreedySearch(ids, most, least) {decoder=graph d (i: int32) -> (o) "
        "{\n"
        "      o = Identity(i)\n"
        "    }, eos_token_id=0, pad_token_id=0}\n"
        "}\n";
    fixture f;
    us_bounds b[MOST];
    bounds_of(&f, text, 20, b);
    check(b[1], 27, 27);
    check(b[2], 0, 1);
    bounds_of(&f, text, -1, b);
    check(b[1], 8, 8);
}

static const us_test_case cases[] = {
    US_CASE(test_contents__rows_of_a_table),
    US_CASE(test_contents__several_and_symbols),
    US_CASE(test_contents__in_sub_graphs),
    US_CASE(test_contents__lengths_and_counts),
    US_CASE(test_contents__tokens_beyond_the_given),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
