/* test_diff.c - what is the same under other names and orders, and changes that must be told as what they are. */
#include "us_test.h"
#include "us_torture.h"

#include "base/rng.h"
#include "inspect/diff.h"
#include "ir/text.h"

static us_ctx ctx;

static us_model *parse(const char *text)
{
    us_model *m;
    us_ctx_init(&ctx);
    CHECK_OK(&ctx, us_model_parse(&ctx, us_sv_of(text), &m));
    return m;
}

/* What differs, one line each, in one text. */
static const char *told(const us_diff *d)
{
    static char text[8192];
    static const char *const states[] = {"removed", "added", "changed"};
    us_buf b;
    us_buf_init(&b, &ctx, sizeof text - 1);
    for (size_t i = 0; i < d->facts.n; i++) {
        const us_diff_fact *f = &d->facts.at[i];
        us_buf_addf(&b, "%s " US_SV_FMT ": " US_SV_FMT " -> " US_SV_FMT "\n", f->what,
                    US_SV_ARG(f->name), US_SV_ARG(f->a), US_SV_ARG(f->b));
    }
    for (size_t i = 0; i < d->nodes.n; i++) {
        const us_diff_node *n = &d->nodes.at[i];
        us_buf_addf(&b, "%s " US_SV_FMT " " US_SV_FMT, states[n->state],
                    US_SV_ARG(n->a ? n->a->op_type : n->b->op_type),
                    US_SV_ARG(n->a ? n->name_a : n->name_b));
        if (n->graph.n) us_buf_addf(&b, " in " US_SV_FMT, US_SV_ARG(n->graph));
        for (size_t j = 0; j < n->n_changes; j++)
            us_buf_addf(&b, "; %s " US_SV_FMT ": " US_SV_FMT " -> " US_SV_FMT,
                        n->changes[j].what, US_SV_ARG(n->changes[j].name),
                        US_SV_ARG(n->changes[j].a), US_SV_ARG(n->changes[j].b));
        us_buf_addc(&b, '\n');
    }
    for (size_t i = 0; i < d->shapes.n; i++)
        us_buf_addf(&b, "type " US_SV_FMT ": " US_SV_FMT " -> " US_SV_FMT "\n",
                    US_SV_ARG(d->shapes.at[i].value_a), US_SV_ARG(d->shapes.at[i].a),
                    US_SV_ARG(d->shapes.at[i].b));
    for (size_t i = 0; i < d->weights.n; i++) {
        const us_diff_weight *w = &d->weights.at[i];
        us_buf_addf(
            &b, "weight " US_SV_FMT " " US_SV_FMT " -> " US_SV_FMT ": %llu of %llu, %g, %g\n",
            US_SV_ARG(w->name_a), US_SV_ARG(w->type_a), US_SV_ARG(w->type_b),
            (unsigned long long)w->n_changed, (unsigned long long)w->n, w->largest, w->mean);
    }
    (void)snprintf(text, sizeof text, "%s", b.n ? b.p : "");
    us_buf_deinit(&b);
    return text;
}

/* The models as texts; options may be NULL. */
static const char *diff_texts(const char *a, const char *b, const us_diff_opts *o)
{
    us_model *x = parse(a), *y = parse(b);
    us_diff *d;
    CHECK_OK(&ctx, us_diff_models(&ctx, x, y, o, &d));
    const char *t = told(d);
    CHECK_EQ_I64(d->same, t[0] == 0);
    us_diff_free(d);
    us_model_free(x);
    us_model_free(y);
    return t;
}

#define HEAD "model ir=8 opset=17\n"

static const char net[] =
    HEAD "graph main(x: float[N,4]) -> (y) {\n"
         "  const w: float[4,4] = {1, 0, 2, 0, 0, 1, 0, -2, 3, 0, 1, 0, 0, 1, 0, 1}\n"
         "  const v: float[4] = {1, 2, 3, 4}\n"
         "  a = MatMul(x, w)\n"
         "  p, q = Split(a) {axis=1}\n"
         "  r = LeakyRelu(p) {alpha=0.25}\n"
         "  s = Concat(r, q) {axis=1}\n"
         "  y = Add(s, v)\n"
         "}\n";

static void test_diff__same(void)
{
    CHECK_EQ_STR(diff_texts(net, net, NULL), "");
}

/* Other names, a default that is written out, operands of Add swapped, a constant in a node. */
static void test_diff__only_looks_different(void)
{
    CHECK_EQ_STR(
        diff_texts(
            net,
            HEAD "graph main(x: float[N,4]) -> (y) {\n"
                 "  const b7: float[4,4] = {1, 0, 2, 0, 0, 1, 0, -2, 3, 0, 1, 0, 0, 1, 0, 1}\n"
                 "  k = Constant() {value=tensor float[4] {1, 2, 3, 4}}\n"
                 "  a1 = MatMul(x, b7)\n"
                 "  q, p = Split(a1) {axis=1}\n"
                 "  r5 = LeakyRelu(q) {alpha=0.25}\n"
                 "  s4 = Concat(r5, p) {axis=1}\n"
                 "  y = Add(k, s4)\n"
                 "}\n",
            NULL),
        "Constant nodes : 0 -> 1\n");
    CHECK_EQ_STR(diff_texts(HEAD "graph main(x: float[1,1,4,4]) -> (y) {\n"
                                 "  y = MaxPool(x) {kernel_shape=[2, 2]}\n}\n",
                            HEAD "graph main(x: float[1,1,4,4]) -> (y) {\n"
                                 "  y = MaxPool(x) {kernel_shape=[2, 2], pads=[0, 0, 0, 0], "
                                 "strides=[1, 1], ceil_mode=0, auto_pad=\"NOTSET\"}\n}\n",
                            NULL),
                 "");
}

static void test_diff__attribute_and_type(void)
{
    const char *b = HEAD "graph main(x: float[N,4]) -> (y) {\n"
                         "  y = Flatten(x) {axis=0}\n}\n";
    CHECK_EQ_STR(
        diff_texts(HEAD "graph main(x: float[N,4]) -> (y) {\n  y = Flatten(x)\n}\n", b, NULL),
        "changed Flatten y; attribute axis:  -> 0\n"
        "type y: float[N,4] -> float[1,4*N]\n");
    CHECK_EQ_STR(
        diff_texts(HEAD "graph main(x: float[2,4]) -> (y) {\n  y = Flatten(x)\n}\n", b, NULL),
        "input x: float[2,4] -> float[N,4]\n"
        "changed Flatten y; attribute axis:  -> 0\n"
        "type y: float[2,4] -> float[1,4*N]\n");
}

static void test_diff__weights(void)
{
    const char *b =
        HEAD "graph main(x: float[N,4]) -> (y) {\n"
             "  const w: float[4,4] = {1, 0, 2, 0, 0, 1, 0, -2, 3, 0, 1, 0, 0, 1, 0, 1}\n"
             "  const v: float[4] = {1, 2.5, 3, 4}\n"
             "  a = MatMul(x, w)\n"
             "  p, q = Split(a) {axis=1}\n"
             "  r = LeakyRelu(p) {alpha=0.25}\n"
             "  s = Concat(r, q) {axis=1}\n"
             "  y = Add(s, v)\n"
             "}\n";
    CHECK_EQ_STR(diff_texts(net, b, NULL),
                 "weight v float[4] {1,2,3,4} -> float[4] {1,2.5,3,4}: 1 of 4, 0.5, 0.125\n");
    CHECK_EQ_STR(diff_texts(net, b, &(us_diff_opts){.tolerance = 0.125}), "");
    CHECK(diff_texts(net, b, &(us_diff_opts){.tolerance = 0.12})[0] != 0);
    CHECK_EQ_STR(diff_texts(net, b, &(us_diff_opts){.structure_only = true}), "");
}

static void test_diff__weights_not_finite(void)
{
    const char *a = HEAD
        "graph main(x: float[3]) -> (y) {\n"
        "  const w: float[3] = {hex\"0000803f0000807f00000040\"}\n  y = Mul(x, w)\n}\n",
               *b = HEAD
               "graph main(x: float[3]) -> (y) {\n"
               "  const w: float[3] = {hex\"0000803f0000807f0000c07f\"}\n  y = Mul(x, w)\n}\n";
    us_model *x = parse(a), *y = parse(b);
    us_diff *d;
    CHECK_OK(&ctx, us_diff_models(&ctx, x, y, &(us_diff_opts){.tolerance = 1}, &d));
    CHECK_EQ_U64(d->weights.n, 1);
    CHECK_EQ_U64(d->weights.at[0].n_changed, 1);
    CHECK_EQ_U64(d->weights.at[0].n_nan_b, 1);
    CHECK(isinf(d->weights.at[0].largest));
    us_diff_free(d);
    us_model_free(x);
    us_model_free(y);
}

static void test_diff__wide_integers(void)
{
    CHECK_EQ_STR(
        diff_texts(HEAD "graph main(x: int64[1]) -> (y) {\n"
                        "  const w: int64[1] = {9007199254740992}\n  y = Mul(x, w)\n}\n",
                   HEAD "graph main(x: int64[1]) -> (y) {\n"
                        "  const w: int64[1] = {9007199254740993}\n  y = Mul(x, w)\n}\n",
                   &(us_diff_opts){.tolerance = 0.5}),
        "weight w int64[1] {9007199254740992} -> int64[1] {9007199254740993}: 1 of 1, 0, 0\n");
}

/* BatchNormalization folded: the Conv gained a bias, its weights differ, one node is gone. */
static void test_diff__simplified(void)
{
    CHECK_EQ_STR(diff_texts(HEAD "graph main(x: float[1,1,2,2]) -> (y) {\n"
                                 "  const w: float[1,1,1,1] = {2}\n"
                                 "  const s: float[1] = {3}\n"
                                 "  const b: float[1] = {1}\n"
                                 "  const m: float[1] = {0}\n"
                                 "  const v: float[1] = {1}\n"
                                 "  c = Conv(x, w)\n"
                                 "  n = BatchNormalization(c, s, b, m, v)\n"
                                 "  y = Relu(n)\n}\n",
                            HEAD "graph main(x: float[1,1,2,2]) -> (y) {\n"
                                 "  const w2: float[1,1,1,1] = {6}\n"
                                 "  const b2: float[1] = {1}\n"
                                 "  n1 = Conv(x, w2, b2)\n"
                                 "  y = Relu(n1)\n}\n",
                            NULL),
                 "changed Conv c; input 2 (B): nothing -> constant float[1] {1} 'b2'\n"
                 "removed BatchNormalization n\n"
                 "weight w float[1,1,1,1] {2} -> float[1,1,1,1] {6}: 1 of 1, 4, 4\n");
}

static void test_diff__quantised(void)
{
    const char *a = HEAD "graph main(x: float[2,2]) -> (y) {\n"
                         "  const w: float[2,2] = {0.5, 1, -1, 0.27}\n"
                         "  h = MatMul(x, w)\n  y = Relu(h)\n}\n";
    CHECK_EQ_STR(
        diff_texts(a,
                   HEAD "graph main(x: float[2,2]) -> (y) {\n"
                        "  const q: int8[2,2] = {2, 8, -4, 2}\n"
                        "  const s: float[2] = {0.25, 0.125}\n"
                        "  const z: int8[2] = {0, 0}\n"
                        "  d = DequantizeLinear(q, s, z) {axis=1}\n"
                        "  h = MatMul(x, d)\n  y = Relu(h)\n}\n",
                   NULL),
        "added DequantizeLinear d\n"
        "weight w float[2,2] {0.5,1,-1,0.27} -> int8[2,2] {2,8,-4,2}: 1 of 4, 0.02, 0.005\n");
    CHECK_EQ_STR(diff_texts(a,
                            HEAD "graph main(x: float[2,2]) -> (y) {\n"
                                 "  const q: int8[2,2] = {2, 4, -4, 1}\n"
                                 "  const s: float[] = {0.25}\n"
                                 "  const z: int8[] = {0}\n"
                                 "  xq = QuantizeLinear(x, s, z)\n"
                                 "  h = QLinearMatMul(xq, s, z, q, s, z, s, z)\n"
                                 "  hr = DequantizeLinear(h, s, z)\n"
                                 "  y = Relu(hr)\n}\n",
                            NULL),
                 "added QuantizeLinear xq\n"
                 "changed MatMul h; operator : MatMul -> QLinearMatMul\n"
                 "added DequantizeLinear hr\n"
                 "type h: float[2,2] -> int8[2,2]\n");
}

/* Another opset says the same with an input instead of an attribute; that is one fact. */
static void test_diff__another_opset(void)
{
    CHECK_EQ_STR(diff_texts("model ir=6 opset=9\n"
                            "graph main(x: float[1,3]) -> (y) {\n  h = Squeeze(x) {axes=[0]}\n"
                            "  s = Softmax(h) {axis=0}\n"
                            "  y = Clip(s) {min=0.0}\n}\n",
                            "model ir=8 opset=13\n"
                            "graph main(x: float[1,3]) -> (y) {\n  const k: int64[1] = {0}\n"
                            "  const lo: float[] = {0.0}\n"
                            "  h9 = Squeeze(x, k)\n  s9 = Softmax(h9)\n  y = Clip(s9, lo)\n}\n",
                            &(us_diff_opts){.structure_only = true}),
                 "ir version : 6 -> 8\nopset ai.onnx: 9 -> 13\n");
}

static void test_diff__ends(void)
{
    CHECK_EQ_STR(diff_texts(HEAD "graph main(x: float[2], z: float[2]) -> (y, u) {\n"
                                 "  y = Relu(x)\n  u = Neg(z)\n}\n",
                            HEAD "graph main(in0: float[2], z: float[N]) -> (u, y) {\n"
                                 "  y = Relu(in0)\n  u = Neg(z)\n}\n",
                            NULL),
                 "input z: float[2] -> float[N]\n"
                 "input : 'x' float[2] -> 'in0' float[2]\n"
                 "output y: 0 -> 1\n"
                 "output u: 1 -> 0\n"
                 "type u: float[2] -> float[N]\n");
    CHECK_EQ_STR(diff_texts(HEAD "graph main(x: float[2]) -> (y, u) {\n"
                                 "  y = Relu(x)\n  u = Neg(x)\n}\n",
                            HEAD "graph main(x: float[2]) -> (y, u) {\n"
                                 "  u = Relu(x)\n  y = Neg(x)\n}\n",
                            NULL),
                 "made by y: Relu 'y' -> Neg 'y'\n"
                 "made by u: Neg 'u' -> Relu 'u'\n");
}

static void test_diff__sub_graphs(void)
{
    static const char *const text = HEAD "graph main(c: bool[], x: float[3]) -> (y) {\n"
                                         "  const k: float[3] = {1, 2, %s}\n"
                                         "  h = Neg(x)\n"
                                         "  m = Mul(h, k)\n"
                                         "  i = If(c) {then_branch=graph t() -> (u) {\n"
                                         "    u = Add(^m, ^h)\n"
                                         "  }, else_branch=graph e() -> (v) {\n"
                                         "    w = %s(^m, ^k)\n    v = %s(w)\n"
                                         "  }}\n"
                                         "  y = Abs(i)\n"
                                         "}\n";
    char a[1024], b[1024];
    (void)snprintf(a, sizeof a, text, "3", "Sub", "Relu");
    CHECK_EQ_STR(diff_texts(a, a, NULL), "");
    (void)snprintf(b, sizeof b, text, "4", "Sub", "Relu");
    CHECK_EQ_STR(diff_texts(a, b, NULL),
                 "weight k float[3] {1,2,3} -> float[3] {1,2,4}: 1 of 3, 1, 0.333333\n");
    (void)snprintf(b, sizeof b, text, "3", "Sub", "Sigmoid");
    CHECK_EQ_STR(diff_texts(a, b, NULL),
                 "changed Relu v in else_branch of If 'i'; operator : Relu -> Sigmoid\n");
}

static void test_diff__functions(void)
{
    static const char *const text = "model ir=8 opset=17,my:1\n"
                                    "function my \"\" opset=17 [] {} %s(a) -> (b) {\n"
                                    "  t = Relu(a)\n  b = %s(t)\n}\n"
                                    "graph main(x: float[3]) -> (y) {\n"
                                    "  h = my.%s(x)\n  y = Abs(h)\n}\n";
    char a[1024], b[1024];
    (void)snprintf(a, sizeof a, text, "f", "Neg", "f");
    (void)snprintf(b, sizeof b, text, "g", "Neg", "g");
    CHECK_EQ_STR(diff_texts(a, b, NULL), "function : my/f -> my/g\n");
    (void)snprintf(b, sizeof b, text, "f", "Exp", "f");
    CHECK_EQ_STR(diff_texts(a, b, NULL),
                 "changed Neg b in function my/f; operator : Neg -> Exp\n");
}

/* --- random graphs ---------------------------------------------------------------------------------------------- */

#define MAX_STEPS 400
typedef struct step {
    int op;        /* index into ops */
    int in[2];     /* step, -1 - i: input i; unary ones have one */
    int alpha;     /* of LeakyRelu */
    double weight; /* of the constant that a binary one with in[1] == NO_STEP reads */
    int output;    /* number in its name, from 1; 0: none */
} step;
#define NO_STEP -1000
typedef struct recipe {
    step s[MAX_STEPS];
    int n;
} recipe;
static const struct {
    const char *name;
    int n_in;
} ops[] = {{"Relu", 1}, {"Sigmoid", 1}, {"Tanh", 1},  {"LeakyRelu", 1},
           {"Add", 2},  {"Sub", 2},     {"MatMul", 2}};
enum { LEAKY = 3, N_UNARY = 4, N_OPS = 7, N_INPUTS = 3 };

static int below(us_rng *r, int n)
{
    return (int)(us_rng_u64(r) % (uint64_t)n);
}

static bool twin(const recipe *p, const step *s)
{
    for (int i = 0; i < p->n; i++)
        if (p->s[i].op == s->op && p->s[i].in[0] == s->in[0] && p->s[i].in[1] == s->in[1] &&
            p->s[i].alpha == s->alpha && s->in[1] != NO_STEP)
            return true;
    return false;
}

/* Each step reads one of the last few, so graphs are deep; no two steps compute the same. */
static void make_recipe(recipe *p, us_rng *r, int n)
{
    memset(p, 0, sizeof *p);
    while (p->n < n) {
        step s = {.op = below(r, N_OPS), .in = {0, 0}, .alpha = 1 + below(r, 5)};
        int reach = 1 + below(r, 6);
        for (int j = 0; j < 2; j++) {
            int at = p->n - 1 - below(r, reach);
            s.in[j] = at >= 0 ? at : -1 - below(r, N_INPUTS);
        }
        if (ops[s.op].n_in == 1)
            s.in[1] = 0;
        else if (below(r, 2))
            s.in[1] = NO_STEP;
        if (s.op != LEAKY) s.alpha = 0;
        s.weight = below(r, 1000000) / 1000.0;
        if (ops[s.op].n_in == 2 && s.in[0] == s.in[1]) continue;
        if (!twin(p, &s)) p->s[p->n++] = s;
    }
    for (int i = 0; i < n; i++) {
        bool used = false;
        for (int j = i + 1; j < n; j++)
            used =
                used || p->s[j].in[0] == i || (ops[p->s[j].op].n_in == 2 && p->s[j].in[1] == i);
        p->s[i].output = used ? 0 : i + 1;
    }
}

static us_vid value_of(us_model *m, const us_vid *made, int at)
{
    char z[16];
    if (at >= 0) return made[at];
    (void)snprintf(z, sizeof z, "x%d", -1 - at);
    return us_graph_find(m->main, us_sv_of(z));
}

static us_vid weight_of(us_model *m, double first)
{
    us_tensor t;
    us_vid v;
    CHECK_OK(&ctx, us_tensor_new(&ctx, m->arena, US_F32, 2, (int64_t[]){4, 4}, &t));
    for (int i = 0; i < 16; i++)
        ((float *)t.data)[i] = (float)(first * (i + 1));
    CHECK_OK(&ctx, us_graph_add_const(&ctx, m->main, (us_sv){0}, US_ST_CONST, &t, &v));
    return v;
}

static void add_step(us_model *m, const step *s, int at, const char *name, us_vid *made)
{
    us_vid in[2] = {value_of(m, made, s->in[0]), US_NIL};
    us_nid nid;
    char z[32];
    if (ops[s->op].n_in == 2)
        in[1] = s->in[1] == NO_STEP ? weight_of(m, s->weight) : value_of(m, made, s->in[1]);
    (void)snprintf(z, sizeof z, "%s%d", s->output ? "out" : name, s->output ? s->output : at);
    CHECK_OK(&ctx, us_graph_add_val(&ctx, m->main, us_sv_of(z), US_ST_TEMP, NULL, &made[at]));
    CHECK_OK(&ctx, us_graph_add_node(&ctx, m->main, US_SV(""), us_sv_of(ops[s->op].name), 0,
                                     (us_sv){0}, (size_t)ops[s->op].n_in, in, 1, &made[at],
                                     US_NIL, &nid));
    us_attr a = {.name = US_SV("alpha"), .kind = US_AT_FLOAT, .f = 0.125f * (float)s->alpha};
    if (s->op == LEAKY) CHECK_OK(&ctx, us_node_set_attr(&ctx, m->main, nid, &a));
}

/* Steps in any order that keeps definitions first, by `r`; in their own when it is NULL. */
static us_model *build(const recipe *p, const char *name, us_rng *r)
{
    us_model *m;
    us_vid v, made[MAX_STEPS];
    bool done[MAX_STEPS] = {false};
    us_dim d[2] = {US_DIM(4), US_DIM(4)};
    us_type t = us_type_tensor(US_F32, 2, d);
    CHECK_OK(&ctx, us_model_new(&ctx, &m));
    for (int i = 0; i < N_INPUTS; i++) {
        char z[16];
        (void)snprintf(z, sizeof z, "x%d", i);
        CHECK_OK(&ctx, us_graph_add_input(&ctx, m->main, us_sv_of(z), &t, &v));
    }
    for (int n = 0; n < p->n; n++) {
        int at = r ? below(r, p->n) : n;
        for (;; at = (at + 1) % p->n) {
            const step *s = &p->s[at];
            bool two = ops[s->op].n_in == 2 && s->in[1] >= 0;
            if (!done[at] && (s->in[0] < 0 || done[s->in[0]]) && (!two || done[s->in[1]]))
                break;
        }
        done[at] = true;
        add_step(m, &p->s[at], at, name, made);
    }
    for (int i = 0; i < p->n; i++)
        if (p->s[i].output) CHECK_OK(&ctx, us_graph_add_output(&ctx, m->main, made[i]));
    return m;
}

typedef struct expected {
    size_t removed, added, changed, weights;
    const char *what;
} expected;

static void check_recipes(const recipe *p, const recipe *q, us_rng *r, expected e,
                          const char *mutation, int round)
{
    us_model *a = build(p, "v", NULL), *b = build(q, "other", r);
    us_diff *d;
    CHECK_OK(&ctx, us_diff_models(&ctx, a, b, NULL, &d));
    bool right =
        d->n_state[US_DIFF_REMOVED] == e.removed && d->n_state[US_DIFF_ADDED] == e.added &&
        d->n_state[US_DIFF_CHANGED] == e.changed && d->weights.n == e.weights && !d->facts.n;
    if (right && e.what)
        right = d->nodes.at[0].n_changes == 1 &&
                strcmp(d->nodes.at[0].changes[0].what, e.what) == 0;
    if (!right) US_TEST_FAIL("round %d, %s:\n%s", round, mutation, told(d));
    us_diff_free(d);
    us_model_free(a);
    us_model_free(b);
}

#define ROUNDS 100

static void test_diff__renamed_and_reordered(void)
{
    us_ctx_init(&ctx);
    for (int i = 0; i < ROUNDS; i++) {
        static recipe p;
        us_rng r = us_rng_new(1, "diff", (uint64_t)i);
        make_recipe(&p, &r, 2 + below(&r, 150));
        check_recipes(&p, &p, &r, (expected){0}, "none", i);
    }
}

/* A step, not an output and read by others, for which this holds. */
static int pick(const recipe *p, us_rng *r, bool (*fits)(const step *s))
{
    int at = below(r, p->n);
    for (int i = 0; i < p->n; i++, at = (at + 1) % p->n)
        if (fits(&p->s[at])) return at;
    return -1;
}

static bool is_leaky(const step *s)
{
    return s->op == LEAKY;
}
static bool has_weight(const step *s)
{
    return ops[s->op].n_in == 2 && s->in[1] == NO_STEP;
}
static bool is_inner_unary(const step *s)
{
    return ops[s->op].n_in == 1 && !s->output;
}
static bool is_unary(const step *s)
{
    return ops[s->op].n_in == 1 && s->op != LEAKY;
}
static bool reads_step(const step *s)
{
    return s->in[0] >= 4;
}

static bool still_no_twins(const recipe *p)
{
    for (int i = 0; i < p->n; i++) {
        recipe before = *p;
        before.n = i;
        if (twin(&before, &p->s[i])) return false;
    }
    return true;
}

static bool change_alpha(recipe *q, us_rng *r, expected *e)
{
    int at = pick(q, r, is_leaky);
    if (at >= 0) q->s[at].alpha += 7;
    *e = (expected){.changed = 1, .what = "attribute"};
    return at >= 0;
}

static bool change_weight(recipe *q, us_rng *r, expected *e)
{
    int at = pick(q, r, has_weight);
    if (at >= 0) q->s[at].weight += 0.5;
    *e = (expected){.weights = 1};
    return at >= 0;
}

static bool change_operator(recipe *q, us_rng *r, expected *e)
{
    int at = pick(q, r, is_unary);
    if (at >= 0) q->s[at].op = (q->s[at].op + 1) % LEAKY;
    *e = (expected){.changed = 1, .what = "operator"};
    return at >= 0;
}

/* Of two equal operators in a row either may be the one that is gone: such places are not mutated. */
static bool like(const recipe *q, int at, int op)
{
    return at >= 0 && q->s[at].op == op;
}

static bool reader_like(const recipe *q, int at, int op)
{
    for (int i = at + 1; i < q->n; i++)
        if ((q->s[i].in[0] == at || q->s[i].in[1] == at) && q->s[i].op == op) return true;
    return false;
}

/* Readers of a unary step read what it read. */
static bool remove_step(recipe *q, us_rng *r, expected *e)
{
    int at = pick(q, r, is_inner_unary);
    if (at < 0) return false;
    int to = q->s[at].in[0];
    if (like(q, to, q->s[at].op) || reader_like(q, at, q->s[at].op)) return false;
    for (int i = at + 1; i < q->n; i++)
        for (int j = 0; j < 2; j++) {
            if (q->s[i].in[j] == at) q->s[i].in[j] = to;
            if (q->s[i].in[j] > at) q->s[i].in[j]--;
        }
    memmove(&q->s[at], &q->s[at + 1], (size_t)(q->n - at - 1) * sizeof q->s[0]);
    q->n--;
    *e = (expected){.removed = 1};
    return true;
}

static bool insert_step(recipe *q, us_rng *r, expected *e)
{
    int at = pick(q, r, reads_step);
    int op = below(r, LEAKY);
    if (at < 0 || q->n == MAX_STEPS || like(q, at, op) || like(q, q->s[at].in[0], op))
        return false;
    q->s[q->n] = (step){.op = op, .in = {q->s[at].in[0], 0}};
    q->s[at].in[0] = q->n++;
    *e = (expected){.added = 1};
    return true;
}

static bool rewire(recipe *q, us_rng *r, expected *e)
{
    int at = pick(q, r, reads_step), to;
    if (at < 0) return false;
    to = below(r, q->s[at].in[0]);
    if (ops[q->s[at].op].n_in == 2 && q->s[at].in[1] == to) return false;
    q->s[at].in[0] = to;
    *e = (expected){.changed = 1, .what = "input"};
    return true;
}

static void test_diff__one_mutation(void)
{
    static const struct {
        const char *name;
        bool (*apply)(recipe *q, us_rng *r, expected *e);
    } kinds[] = {{"attribute", change_alpha},   {"weight", change_weight},
                 {"operator", change_operator}, {"removed", remove_step},
                 {"added", insert_step},        {"rewired", rewire}};
    int n[US_LEN(kinds)] = {0};
    us_ctx_init(&ctx);
    for (int i = 0; i < ROUNDS * (int)US_LEN(kinds); i++) {
        static recipe p, q;
        us_rng r = us_rng_new(2, "diff", (uint64_t)i);
        size_t kind = (size_t)i % US_LEN(kinds);
        expected e;
        make_recipe(&p, &r, 2 + below(&r, 150));
        q = p;
        if (!kinds[kind].apply(&q, &r, &e) || !still_no_twins(&q)) continue;
        check_recipes(&p, &q, &r, e, kinds[kind].name, i);
        n[kind]++;
    }
    for (size_t k = 0; k < US_LEN(kinds); k++)
        if (n[k] < 5) US_TEST_FAIL("%s was tried %d times only", kinds[k].name, n[k]);
}

/* --- limits ------------------------------------------------------------------------------------------------------- */

/* Wide, deep and all alike: nothing may be quadratic. */
static us_model *large(int n, const char *unary, bool wide)
{
    us_model *m;
    us_vid v, at;
    us_nid nid;
    us_dim d[1] = {US_DIM(4)};
    us_type t = us_type_tensor(US_F32, 1, d);
    CHECK_OK(&ctx, us_model_new(&ctx, &m));
    CHECK_OK(&ctx, us_graph_add_input(&ctx, m->main, US_SV("x"), &t, &v));
    for (int i = 0; i < n; i++) {
        CHECK_OK(&ctx, us_graph_add_val(&ctx, m->main, (us_sv){0}, US_ST_TEMP, NULL, &at));
        CHECK_OK(&ctx, us_graph_add_node(&ctx, m->main, US_SV(""), us_sv_of(unary), 0,
                                         (us_sv){0}, 1, &v, 1, &at, US_NIL, &nid));
        if (!wide) v = at;
    }
    CHECK_OK(&ctx, us_graph_add_output(&ctx, m->main, at));
    return m;
}

static void test_diff__large(void)
{
    enum { N = 20000 };
    static const struct {
        const char *a, *b;
        bool wide_a, wide_b;
        size_t matched;
    } cases[] = {{"Relu", "Relu", true, true, N},
                 {"Relu", "Relu", false, false, N},
                 {"Relu", "Tanh", false, false, 0},
                 {"Relu", "Tanh", true, true, 0},
                 {"Relu", "Relu", true, false, 0}};
    us_ctx_init(&ctx);
    for (size_t i = 0; i < US_LEN(cases); i++) {
        us_model *a = large(N, cases[i].a, cases[i].wide_a),
                 *b = large(N, cases[i].b, cases[i].wide_b);
        us_diff *d;
        CHECK_OK(&ctx, us_diff_models(&ctx, a, b, NULL, &d));
        if (cases[i].matched == N) CHECK(d->same);
        CHECK(d->n_matched >= cases[i].matched);
        us_diff_free(d);
        us_model_free(a);
        us_model_free(b);
    }
}

typedef struct pair {
    us_model *a, *b;
} pair;

static us_err diff_pair(us_ctx *c, void *arg)
{
    pair *p = arg;
    us_diff *d;
    US_TRY(us_diff_models(c, p->a, p->b, NULL, &d));
    us_diff_free(d);
    return US_OK;
}

static void test_diff__nomem(void)
{
    pair p = {parse(net), NULL};
    p.b = parse(HEAD "graph main(x: float[N,4], z: float[2]) -> (y, z) {\n"
                     "  const v: float[4] = {1, 2, 3, 5}\n"
                     "  r = LeakyRelu(x) {alpha=0.5}\n"
                     "  y = Add(r, v)\n}\n");
    us_torture_with("diff", diff_pair, &p, (us_torture_opts){.limit_ok = true});
    us_model_free(p.a);
    us_model_free(p.b);
}

static const us_test_case cases[] = {US_CASE(test_diff__same),
                                     US_CASE(test_diff__only_looks_different),
                                     US_CASE(test_diff__attribute_and_type),
                                     US_CASE(test_diff__weights),
                                     US_CASE(test_diff__weights_not_finite),
                                     US_CASE(test_diff__wide_integers),
                                     US_CASE(test_diff__simplified),
                                     US_CASE(test_diff__quantised),
                                     US_CASE(test_diff__another_opset),
                                     US_CASE(test_diff__ends),
                                     US_CASE(test_diff__sub_graphs),
                                     US_CASE(test_diff__functions),
                                     US_CASE(test_diff__renamed_and_reordered),
                                     US_CASE(test_diff__one_mutation),
                                     US_CASE(test_diff__large),
                                     US_CASE(test_diff__nomem)};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
