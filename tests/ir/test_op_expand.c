/* test_op_expand - every composite: the kernel that keeps it whole against its expansion into core operators.
 *
 * Rows are graphs over x: float[2,3,4]; numbers around the places where the formulas change, large ones and
 * NaN included (where the formula itself keeps it). A composite without a row here fails the last case.
 */
#include "op_fixture.h"

typedef struct expand_case {
    const char *op, *body;
} expand_case;

/* clang-format off */
static const expand_case rows[] = {
    {"Sum", "const z: float[4] = {1, 2, 3, 4}\ny = Sum(x, z, x)"},
    {"Mean", "const z: float[4] = {1, 2, 3, 4}\ny = Mean(x, z, x)"},
    {"HardSigmoid", "y = HardSigmoid(x) {alpha=0.3, beta=0.4}"},
    {"LeakyRelu", "y = LeakyRelu(x) {alpha=0.1}"},
    {"PRelu", "const s: float[4] = {0.1, -1, 0, 2}\ny = PRelu(x, s)"},
    {"Elu", "y = Elu(x) {alpha=1.5}"},
    {"Selu", "y = Selu(x)"},
    {"Celu", "y = Celu(x) {alpha=2.0}"},
    {"ThresholdedRelu", "y = ThresholdedRelu(x) {alpha=0.5}"},
    {"Softplus", "y = Softplus(x)"},
    {"Softsign", "y = Softsign(x)"},
    {"HardSwish", "y = HardSwish(x)"},
    {"Mish", "y = Mish(x)"},
    {"Gelu", "y = Gelu(x)"},
    {"Gelu", "y = Gelu(x) {approximate=\"tanh\"}"},
    {"Swish", "y = Swish(x) {alpha=1.5}"},
    {"Shrink", "y = Shrink(x) {lambd=0.6, bias=0.25}"},
    {"Clip", "const a: float[] = {-1}\nconst b: float[] = {0.75}\ny = Clip(x, a, b)"},
    {"Clip", "const b: float[] = {0.75}\ny = Clip(x, _, b)"},
    {"GreaterOrEqual", "const z: float[] = {0.5}\nb = GreaterOrEqual(x, z)\ny = Cast(b) {to=1}"},
    {"LessOrEqual", "const z: float[] = {0.5}\nb = LessOrEqual(x, z)\ny = Cast(b) {to=1}"},
    {"CastLike", "const z: int32[] = {1}\nb = CastLike(x, z)\ny = Cast(b) {to=1}"},
    {"ReduceL1", "const a: int64[1] = {1}\ny = ReduceL1(x, a)"},
    {"ReduceL2", "y = ReduceL2(x) {keepdims=0}"},
    {"ReduceLogSum", "const a: int64[2] = {0, -1}\ne = Exp(x)\ny = ReduceLogSum(e, a)"},
    {"ReduceLogSumExp", "const a: int64[1] = {2}\ny = ReduceLogSumExp(x, a) {keepdims=0}"},
    {"ReduceSumSquare", "const a: int64[1] = {0}\ny = ReduceSumSquare(x, a)"},
    {"GlobalAveragePool", "y = GlobalAveragePool(x)"},
    {"GlobalMaxPool", "y = GlobalMaxPool(x)"},
    {"LayerNormalization", "const s: float[4] = {1, 2, 3, 4}\nconst b: float[4] = {0, 1, 0, -1}\ny = LayerNormalization(x, s, b)"},
    {"LayerNormalization", "const s: float[3,4] = {1,2,3,4,1,2,3,4,1,2,3,4}\ny, m, i = LayerNormalization(x, s) {axis=1}"},
    {"RMSNormalization", "const s: float[4] = {1, 2, 3, 4}\ny = RMSNormalization(x, s)"},
    {"SwiGLU", "const z: float[2,3,4] = {1,2,3,4,5,6,7,8,9,1,2,3,-4,5,6,7,8,9,1,2,3,4,5,6}\ny = SwiGLU(x, z) {alpha=0.75}"},
    {"RotaryEmbedding", "const c: float[3,1] = {1, 0.5, -1}\nconst s: float[3,1] = {0, 0.8, 0.25}\nconst p: int64[2,3] = {2, 0, 1, 1, 1, 0}\ny = RotaryEmbedding(x, c, s, p) {num_heads=2}"},
    {"RotaryEmbedding", "const c: float[3,1] = {1, 0.5, -1}\nconst s: float[3,1] = {0, 0.8, 0.25}\nconst p: int64[2,3] = {2, 0, 1, 1, 1, 0}\ny = RotaryEmbedding(x, c, s, p) {num_heads=1, rotary_embedding_dim=2, interleaved=1}"},
    {"RotaryEmbedding", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst c: float[1,3,2] = {1, 0.5, -1, 2, 0, 3}\nconst s: float[1,3,2] = {0, 0.8, 0.25, 1, 2, 3}\ny = RotaryEmbedding(v, c, s) {interleaved=1}"},
    {"RotaryEmbedding", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst c: float[1,3,1] = {1, 0.5, -1}\nconst s: float[1,3,1] = {0, 0.8, 0.25}\ny = RotaryEmbedding(v, c, s) {rotary_embedding_dim=2}"},
    {"CausalConvWithState", "const w: float[3,1,3] = {1,2,3,4,5,6,7,8,9}\nconst b: float[3] = {1, 2, 3}\nz, y = CausalConvWithState(x, w, b)"},
    {"CausalConvWithState", "const w: float[3,1,2] = {1,2,3,-4,5,0.5}\nconst p: float[2,3,1] = {1,2,3,4,5,6}\ny = CausalConvWithState(x, w, _, p) {activation=\"silu\"}"},
    {"CausalConvWithState", "const w: float[3,1,1] = {1,2,3}\ny, s = CausalConvWithState(x, w)"},
    {"Upsample", "const s: float[3] = {1, 2, 0.5}\ny = Upsample(x, s)"},
    {"Upsample", "const s: float[3] = {1, 1, 0.75}\ny = Upsample(x, s)"},
    {"Upsample", "const s: float[3] = {0.5, 1, 2}\ny = Upsample(x, s) {mode=\"linear\"}"},
    {"InstanceNormalization", "const s: float[3] = {1, 2, 3}\nconst b: float[3] = {0, 1, -1}\ny = InstanceNormalization(x, s, b)"},
};
/* clang-format on */

static const float x_data[24] = {0,     1,      -1,   0.5F,  -0.5F, 0.6F,   -0.6F, 3,
                                 -3,    5,      -5,   0.25F, 0.1F,  -0.1F,  8,     -8,
                                 1e-3F, -1e-3F, 2.5F, -2.5F, 0.75F, -0.75F, 1.5F,  4};

static us_model *parse(us_ctx *c, const expand_case *t)
{
    char text[2048];
    us_model *m;
    (void)snprintf(text, sizeof text,
                   "model ir=8 opset=28\ngraph main(x: float[2,3,4]) -> (y) {\n%s\n}\n",
                   t->body);
    us_err e = us_model_parse(c, us_sv_of(text), &m);
    if (e != US_OK) printf("# %s: %s\n", t->op, c->diag.text);
    CHECK(e == US_OK);
    return m;
}

/* Expands every composite of the graph until none is left; returns how many there were. */
static size_t expand_all(us_ctx *c, us_model *m)
{
    us_graph *g = m->main;
    size_t n = 0;
    for (us_nid i = 0; i < g->nodes.n; i++) {
        const us_op *op = g->nodes.at[i].op;
        if (g->nodes.at[i].dead || !op || !op->expand) continue;
        CHECK(us_graph_infer(c, g) == US_OK);
        us_err e = op->expand(c, m, g, i);
        if (e != US_OK) printf("# %s\n", c->diag.text);
        CHECK(e == US_OK);
        us_graph_remove_node(g, i);
        n++;
    }
    CHECK(us_graph_verify(c, g) == US_OK);
    return n;
}

static void run(us_ctx *c, us_model *m, float *y, size_t *n)
{
    us_plan *p;
    us_session *s;
    us_tensor x;
    union {
        const float *in;
        void *out;
    } data = {.in = x_data};
    us_value in, out;
    us_err e = us_plan_new(c, m, &(us_plan_opts){.no_passes = true}, &p);
    if (e != US_OK) printf("# %s\n", c->diag.text);
    CHECK(e == US_OK);
    CHECK(us_session_new(c, p, NULL, &s) == US_OK);
    CHECK(us_tensor_init(c, &x, US_F32, 3, (int64_t[]){2, 3, 4}, data.out) == US_OK);
    in = us_value_of(&x);
    CHECK(us_session_run(c, s, &in, &out) == US_OK);
    *n = (size_t)us_tensor_count(&out.t);
    for (size_t i = 0; i < *n && i < 24; i++)
        y[i] = (float)us_tensor_f64_at(&out.t, (int64_t)i);
    us_session_free(s);
    us_plan_free(p);
}

static void test_expand__equals_kernel(void)
{
    us_ctx c;
    size_t bad = 0;
    us_ctx_init(&c);
    for (size_t r = 0; r < US_LEN(rows); r++) {
        float whole[24], parts[24];
        size_t n, n_parts;
        us_model *m = parse(&c, &rows[r]);
        run(&c, m, whole, &n);
        m = parse(&c, &rows[r]);
        CHECK(expand_all(&c, m) > 0);
        run(&c, m, parts, &n_parts);
        CHECK(n == n_parts && n <= 24);
        for (size_t i = 0; i < n; i++) {
            double a = (double)whole[i], b = (double)parts[i];
            if (fabs(a - b) <= 2e-6 + 1e-5 * fabs(a)) continue;
            printf("# %s: element %zu: kernel %g, expansion %g\n", rows[r].op, i, a, b);
            bad++;
        }
    }
    CHECK(bad == 0);
    us_ctx_deinit(&c);
}

static void test_expand__every_composite_has_a_row(void)
{
    for (int id = 1; id < US_OP_N; id++) {
        const us_op *op = us_op_get((us_op_id)id);
        bool there = !op->expand;
        for (size_t r = 0; r < US_LEN(rows); r++)
            there = there || strcmp(rows[r].op, op->name) == 0;
        if (!there) printf("# no row for %s\n", op->name);
        CHECK(there);
    }
}

static const us_test_case cases[] = {US_CASE(test_expand__equals_kernel),
                                     US_CASE(test_expand__every_composite_has_a_row)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
