/* Memory of packed weights given back by a plan (exec/release.c): it is really gone, results do not change, and whoever does
 * read a weight after all has it back: a step as it comes, and the caller.
 */
#include "exec_fixture.h"

#include "onnx/onnx.h"

enum { N_SHIFTS = 4, N_WEIGHTS = 4 };

static us_vid weight(us_builder *b, us_rng *r, int rank, const int64_t *dims)
{
    us_tensor t;
    us_vid v;
    CHECK_OK(b->c, us_tensor_new(b->c, b->g->model->arena, US_F32, rank, dims, &t));
    for (int64_t i = 0; i < us_tensor_count(&t); i++)
        ((float *)t.data)[i] = (us_rng_f32(r) - 0.5F) / 8 + 0.01F;
    CHECK_OK(b->c, us_graph_add_const(b->c, b->g, us_sv_of(""), US_ST_CONST, &t, &v));
    return v;
}

/* Conv and BatchNormalization (weights are computed), Gemm by [out, in] (turned), Gemm by [in, out] (as read). */
static us_model *net(us_ctx *c)
{
    us_model *m;
    us_sym sym;
    us_vid x;
    us_rng r = us_rng_new(3, "release", 0);
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &sym));
    us_dim dims[4] = {US_DIM_SYM(sym), US_DIM(32), US_DIM(9), US_DIM(9)};
    us_type t = us_type_tensor(US_F32, 4, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    x = us_b2(&b, "Conv", x, weight(&b, &r, 4, (int64_t[]){128, 32, 3, 3}));
    us_vid bn[5] = {x};
    for (int i = 1; i < 5; i++)
        bn[i] = weight(&b, &r, 1, (int64_t[]){128});
    bn[4] = us_b1(&b, "Abs", bn[4]); /* a variance */
    x = us_b_node(&b, "", "BatchNormalization", 5, bn, 1, NULL);
    x = us_b1(&b, "Relu", x);
    x = us_b1(&b, "GlobalAveragePool", x);
    x = us_b1(&b, "Flatten", x);
    x = us_b3(&b, "Gemm", x, weight(&b, &r, 2, (int64_t[]){512, 128}),
              weight(&b, &r, 1, (int64_t[]){512}));
    us_b_int(&b, "transB", 1);
    x = us_b1(&b, "Relu", x);
    x = us_b3(&b, "Gemm", x, weight(&b, &r, 2, (int64_t[]){512, 96}),
              weight(&b, &r, 1, (int64_t[]){96}));
    us_b_name(&b, x, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, x));
    return m;
}

/* BatchNormalization's five inputs after x. */
static us_vid normalised(us_builder *b, us_rng *r, us_vid x, int64_t n)
{
    us_vid in[5] = {x};
    for (int i = 1; i < 5; i++)
        in[i] = weight(b, r, 1, (int64_t[]){n});
    in[4] = us_b1(b, "Abs", in[4]);
    return us_b_node(b, "", "BatchNormalization", 5, in, 1, NULL);
}

/* Weights that are folded into for later and then read by more than packing: folded into once more (Mul), of operators that pack
 * otherwise or not at all (ConvTranspose, three dimensions of space), of a Gemm whose channel is the last axis. */
static us_model *net_of_readers(us_ctx *c)
{
    us_model *m;
    us_vid x, y;
    us_rng r = us_rng_new(4, "release", 0);
    CHECK_OK(c, us_model_new(c, &m));
    us_dim dims[4] = {US_DIM(2), US_DIM(32), US_DIM(9), US_DIM(9)};
    us_type t = us_type_tensor(US_F32, 4, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    y = us_b2(&b, "Conv", x, weight(&b, &r, 4, (int64_t[]){64, 32, 3, 3}));
    y = normalised(&b, &r, y, 64);
    y = us_b2(&b, "Mul", y, weight(&b, &r, 3, (int64_t[]){64, 1, 1}));
    y = us_b2(&b, "ConvTranspose", y, weight(&b, &r, 4, (int64_t[]){64, 48, 3, 3}));
    y = us_b1(&b, "Relu", normalised(&b, &r, y, 48));
    y = us_b2(&b, "Reshape", y, us_b_i64s(&b, 5, (int64_t[]){2, 48, 3, 3, 9}));
    y = us_b2(&b, "Conv", y, weight(&b, &r, 5, (int64_t[]){32, 48, 2, 2, 2}));
    y = us_b1(&b, "Relu", normalised(&b, &r, y, 32));
    y = us_b2(&b, "Reshape", y, us_b_i64s(&b, 2, (int64_t[]){16, 128}));
    y = us_b2(&b, "Gemm", y, weight(&b, &r, 2, (int64_t[]){128, 100}));
    y = normalised(&b, &r, y, 100);
    us_b_name(&b, y, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, y));
    return m;
}

typedef struct loaded {
    us_model *source;
    us_plan *plan;
} loaded;

static loaded load(us_ctx *c, const void *p, size_t n, bool release)
{
    loaded l;
    us_model *copy;
    CHECK_OK(c, us_onnx_parse(c, "net", p, n, NULL, NULL, &l.source));
    CHECK_OK(c, us_model_clone(c, l.source, &copy));
    us_plan_opts o = {.source = release ? l.source : NULL};
    CHECK_OK(c, us_plan_new(c, copy, &o, &l.plan));
    return l;
}

static void unload(loaded *l)
{
    us_plan_free(l->plan);
    us_model_free(l->source);
}

static us_value run(fixture *f, us_plan *p, bool plain)
{
    us_session *s;
    us_value x = random_f32(f, DIMS(2, 32, 9, 9), 5), y, kept;
    us_session_opts o = {.plain = plain};
    CHECK_OK(&f->c, us_session_new(&f->c, p, &o, &s));
    CHECK_OK(&f->c, us_session_run(&f->c, s, &x, &y));
    CHECK_OK(&f->c, us_value_dup(&f->c, f->a, &y, &kept));
    us_session_free(s);
    return kept;
}

static void check_same(const us_value *a, const us_value *b)
{
    CHECK_EQ_U64(us_tensor_bytes(&a->t), us_tensor_bytes(&b->t));
    CHECK(memcmp(a->t.data, b->t.data, us_tensor_bytes(&a->t)) == 0);
}

/* Large constants of a model whose middle reads as zeros. */
static size_t n_gone(const us_model *m)
{
    size_t n = 0;
    for (size_t v = 0; v < m->main->vals.n; v++) {
        const us_value *d = m->main->vals.at[v].data;
        if (!d || us_tensor_bytes(&d->t) < US_COPY_MIN) continue;
        int64_t half = us_tensor_count(&d->t) / 2;
        n += us_tensor_f64_at(&d->t, half) == 0 && us_tensor_f64_at(&d->t, half + 1) == 0;
    }
    return n;
}

static void test_release__runs_gives_back_and_recalls(void)
{
    fixture f;
    us_buf bytes;
    fixture_begin(&f);
    us_model *m = net(&f.c);
    us_buf_init(&bytes, &f.c, (size_t)16 << 20);
    CHECK_OK(&f.c, us_onnx_print(&f.c, m, &bytes));
    us_model_free(m);
    us_sv text = us_buf_sv(&bytes);
    size_t n_copies = 0, n_computed = 0;
    for (size_t shift = 0; shift < N_SHIFTS;
         shift++) { /* every way for a weight to lie badly */
        char *at = us_arena_alloc(f.a, text.n + N_SHIFTS, 1, 64);
        CHECK(at != NULL);
        memcpy(at + shift, text.p, text.n);
        loaded whole = load(&f.c, at + shift, text.n, false),
               lean = load(&f.c, at + shift, text.n, true);
        CHECK_EQ_U64(n_gone(whole.source) + n_gone(us_plan_model(whole.plan)), 0);
        n_copies += n_gone(lean.source);
        size_t n = n_gone(us_plan_model(lean.plan));
        n_computed += n;
        us_value want = run(&f, whole.plan, false), got = run(&f, lean.plan, false);
        check_same(&got, &want);
        CHECK_EQ_U64(n_gone(us_plan_model(lean.plan)), n); /* calls had no need of them */
        want = run(&f, whole.plan, true);
        got = run(&f, lean.plan, true); /* the reference has */
        check_same(&got, &want);
        CHECK_EQ_U64(n_gone(lean.source) + n_gone(us_plan_model(lean.plan)), 0);
        unload(&lean);
        unload(&whole);
    }
    CHECK(n_copies >= N_WEIGHTS - 1);
    CHECK(n_computed >= N_SHIFTS);
    us_buf_deinit(&bytes);
    fixture_end(&f);
}

static void test_release__recall_fills_the_model_as_read(void)
{
    fixture f;
    us_buf bytes;
    fixture_begin(&f);
    us_model *m = net(&f.c);
    us_buf_init(&bytes, &f.c, (size_t)16 << 20);
    CHECK_OK(&f.c, us_onnx_print(&f.c, m, &bytes));
    us_sv text = us_buf_sv(&bytes);
    for (size_t shift = 0; shift < N_SHIFTS; shift++) {
        char *at = us_arena_alloc(f.a, text.n + N_SHIFTS, 1, 64);
        CHECK(at != NULL);
        memcpy(at + shift, text.p, text.n);
        loaded l = load(&f.c, at + shift, text.n, true);
        CHECK_OK(&f.c, us_plan_recall(&f.c, l.plan));
        for (size_t v = 0; v < m->main->vals.n; v++) {
            const us_value *want = m->main->vals.at[v].data;
            us_vid id = us_graph_find(l.source->main, m->main->vals.at[v].name);
            if (want) check_same(l.source->main->vals.at[id].data, want);
        }
        unload(&l);
    }
    us_model_free(m);
    us_buf_deinit(&bytes);
    fixture_end(&f);
}

static void test_release__what_reads_weights_for_later_finds_them(void)
{
    fixture f;
    us_buf bytes;
    fixture_begin(&f);
    us_model *m = net_of_readers(&f.c);
    us_buf_init(&bytes, &f.c, (size_t)16 << 20);
    CHECK_OK(&f.c, us_onnx_print(&f.c, m, &bytes));
    us_model_free(m);
    us_sv text = us_buf_sv(&bytes);
    loaded whole = load(&f.c, text.p, text.n, false), lean = load(&f.c, text.p, text.n, true);
    CHECK(us_plan_model(lean.plan)->later.n >= 3);
    CHECK_EQ_U64(us_plan_model(whole.plan)->later.n, 0);
    for (int plain = 0; plain < 2; plain++) {
        us_value want = run(&f, whole.plan, plain), got = run(&f, lean.plan, plain);
        check_same(&got, &want);
    }
    unload(&lean);
    unload(&whole);
    us_buf_deinit(&bytes);
    fixture_end(&f);
}

/* Gemm by a weight of 16 kB and one of 6 kB, both of them Constant nodes. */
static us_model *net_of_constants(us_ctx *c)
{
    us_model *m;
    us_vid x;
    us_rng r = us_rng_new(6, "release", 0);
    CHECK_OK(c, us_model_new(c, &m));
    us_dim dims[4] = {US_DIM(2), US_DIM(32), US_DIM(9), US_DIM(9)};
    us_type t = us_type_tensor(US_F32, 4, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    x = us_b1(&b, "Flatten", us_b1(&b, "GlobalAveragePool", x));
    const int64_t sizes[] = {32, 128, 12};
    for (int i = 0; i < 2; i++) {
        us_tensor w;
        CHECK_OK(c, us_tensor_new(c, m->arena, US_F32, 2, sizes + i, &w));
        for (int64_t j = 0; j < us_tensor_count(&w); j++)
            ((float *)w.data)[j] = us_rng_f32(&r) + 0.1F;
        us_vid v = us_b_node(&b, "", "Constant", 0, NULL, 1, NULL);
        us_b_tensor(&b, "value", &w);
        x = us_b2(&b, "Gemm", x, v);
    }
    us_b_name(&b, x, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, x));
    return m;
}

/* The plan's weights are those of the attributes, and not there after packing when they had been copied from the file. */
static void test_release__contents_of_constant_nodes_are_not_doubled(void)
{
    fixture f;
    us_buf bytes;
    fixture_begin(&f);
    us_model *m = net_of_constants(&f.c);
    us_buf_init(&bytes, &f.c, (size_t)1 << 20);
    CHECK_OK(&f.c, us_onnx_print(&f.c, m, &bytes));
    us_model_free(m);
    us_sv text = us_buf_sv(&bytes);
    size_t n_shared = 0, n_dropped = 0;
    for (size_t shift = 0; shift < N_SHIFTS; shift++) {
        char *at = us_arena_alloc(f.a, text.n + N_SHIFTS, 1, 64);
        CHECK(at != NULL);
        memcpy(at + shift, text.p, text.n);
        loaded whole = load(&f.c, at + shift, text.n, false),
               lean = load(&f.c, at + shift, text.n, true);
        const us_model *planned = us_plan_model(lean.plan);
        for (size_t v = 0; v < planned->main->vals.n; v++)
            for (size_t i = 0; i < lean.source->main->nodes.n; i++) {
                const us_value *d = planned->main->vals.at[v].data;
                const us_node *n = &lean.source->main->nodes.at[i];
                n_shared += d && n->n_attrs == 1 && n->attrs[0].tensors &&
                            d->t.data == n->attrs[0].tensors[0].data;
            }
        n_dropped += n_gone(planned);
        us_value want = run(&f, whole.plan, false), got = run(&f, lean.plan, false);
        check_same(&got, &want);
        got = run(&f, lean.plan, true); /* the reference reads them all */
        CHECK_EQ_U64(n_gone(planned), 0);
        unload(&lean);
        unload(&whole);
    }
    CHECK_EQ_U64(n_shared, 2 * N_SHIFTS);
    CHECK(n_dropped >= N_SHIFTS - 1);
    us_buf_deinit(&bytes);
    fixture_end(&f);
}

static const us_test_case cases[] = {
    US_CASE(test_release__contents_of_constant_nodes_are_not_doubled),
    US_CASE(test_release__what_reads_weights_for_later_finds_them),
    US_CASE(test_release__runs_gives_back_and_recalls),
    US_CASE(test_release__recall_fills_the_model_as_read),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
