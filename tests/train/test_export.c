/* The exported model: the same bytes whatever the threads, and the same answers as were measured. */
#include "train_fixture.h"

#include "onnx/onnx.h"

static us_vid features_input(us_ctx *c, us_model *m, us_arena *a, int64_t d)
{
    us_sym n;
    us_vid v;
    us_dim *dims = us_new_n(a, us_dim, 2);
    CHECK(dims != NULL);
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &n));
    dims[0] = US_DIM_SYM(n);
    dims[1] = US_DIM(d);
    us_type type = us_type_tensor(US_F32, 2, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("features"), &type, &v));
    return v;
}

static void export_bytes(trial *t, us_buf *b)
{
    static const us_sv names[4] = {{"north", 5}, {"east", 4}, {"south", 5}, {"west", 4}};
    us_model *m;
    us_net_labels labels = {.names = names};
    CHECK_OK(&t->c, us_model_new(&t->c, &m));
    us_vid x = features_input(&t->c, m, t->a, (int64_t)t->d.n_features);
    CHECK_OK(&t->c, us_net_append(&t->c, m, x, &t->r.net, &labels));
    CHECK_OK(&t->c, us_graph_verify(&t->c, m->main));
    us_buf_init(b, &t->c, (size_t)1 << 24);
    CHECK_OK(&t->c, us_onnx_print(&t->c, m, b));
    us_model_free(m);
}

static void test_export__same_bytes(void)
{
    trial t[2];
    us_buf b[2];
    for (int i = 0; i < 2; i++) {
        noisy_setup(&t[i]);
        if (i) trial_threads(&t[i], 2);
        trial_run(&t[i]);
        export_bytes(&t[i], &b[i]);
    }
    CHECK_EQ_U64(b[0].n, b[1].n);
    CHECK_EQ_MEM(b[0].p, b[1].p, b[0].n);
    for (int i = 0; i < 2; i++) {
        us_buf_deinit(&b[i]);
        trial_end(&t[i]);
    }
}

/* The model, written and read again, gives labels and probabilities that agree with what was measured. */
static void test_export__labels_and_probabilities(void)
{
    trial t;
    us_buf b;
    us_model *m;
    us_plan *plan;
    us_session *s;
    noisy_setup(&t);
    trial_run(&t);
    export_bytes(&t, &b);
    CHECK_OK(&t.c, us_onnx_parse(&t.c, "model", b.p, b.n, NULL, NULL, &m));
    CHECK_OK(&t.c, us_plan_new(&t.c, m, NULL, &plan));
    CHECK_OK(&t.c, us_session_new(&t.c, plan, NULL, &s));
    us_tensor x;
    int64_t dims[2] = {5, 6};
    CHECK_OK(&t.c, us_tensor_new(&t.c, t.a, US_F32, 2, dims, &x));
    memcpy(x.data, t.d.valid.x, us_tensor_bytes(&x));
    us_value in = us_value_of(&x), out[2];
    CHECK_OK(&t.c, us_session_run(&t.c, s, &in, out));
    CHECK_EQ_I64(out[0].t.dtype, US_STRING);
    CHECK_EQ_I64(out[0].t.rank, 1);
    CHECK_EQ_I64(out[1].t.dims[1], 4);
    float p[20];
    CHECK_OK(&t.c, us_net_predict(&t.c, &t.r.net, 5, t.d.valid.x, p));
    static const char *const names[4] = {"north", "east", "south", "west"};
    for (int64_t i = 0; i < 5; i++) {
        int64_t top = 0;
        for (int64_t j = 0; j < 4; j++) {
            CHECK_NEAR(us_tensor_f64_at(&out[1].t, 4 * i + j), p[4 * i + j], 1e-6);
            if (p[4 * i + j] > p[4 * i + top]) top = j;
        }
        CHECK(us_sv_is(us_tensor_str_at(&out[0].t, i), names[top]));
    }
    us_session_free(s);
    us_plan_free(plan);
    us_buf_deinit(&b);
    trial_end(&t);
}

/* What feature nodes give is declared in the file: tools that know no types of ai.onnx.ml go on from there. */
static void test_export__features_are_declared(void)
{
    trial t;
    us_model *m;
    noisy_setup(&t);
    t.o.epochs = 1;
    trial_run(&t);
    CHECK_OK(&t.c, us_model_new(&t.c, &m));
    us_vid x = features_input(&t.c, m, t.a, 6);
    us_builder b = us_b_begin(&t.c, m->main, "feat");
    us_vid f = us_b1(&b, "Neg", x);
    CHECK_OK(&t.c, us_b_end(&b));
    CHECK_OK(&t.c, us_net_append(&t.c, m, f, &t.r.net, NULL));
    const us_val *v = &m->main->vals.at[f];
    CHECK(v->declared);
    CHECK_EQ_I64(v->type.dtype, US_F32);
    CHECK_EQ_I64(v->type.rank, 2);
    CHECK_EQ_I64(v->type.dims[1].add, 6);
    CHECK_OK(&t.c, us_graph_verify(&t.c, m->main));
    us_model_free(m);
    trial_end(&t);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_export__same_bytes),
        US_CASE(test_export__labels_and_probabilities),
        US_CASE(test_export__features_are_declared),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
