/* exec_fixture.h - models from text, and one-line runs, for tests of exec and pass. */
#ifndef EXEC_FIXTURE_H
#define EXEC_FIXTURE_H

#include "us_test.h"

#include "base/pool.h"
#include "base/rng.h"
#include "exec/session.h"
#include "ir/build.h"
#include "ir/text.h"

typedef struct fixture {
    us_ctx c;
    us_alloc_count count;
    us_arena *a;
    us_plan *plan;
    us_session *s;
} fixture;

static inline void fixture_begin(fixture *f)
{
    memset(f, 0, sizeof *f);
    us_ctx_init(&f->c);
    f->c.alloc = us_alloc_counting(&f->count, us_alloc_heap());
    CHECK_OK(&f->c, us_arena_new(&f->c, "test", (size_t)1 << 30, &f->a));
}

static inline void fixture_end(fixture *f)
{
    us_session_free(f->s);
    us_plan_free(f->plan);
    us_arena_free(f->a);
    us_ctx_deinit(&f->c);
    CHECK_EQ_U64(f->count.live_bytes, 0);
}

static inline us_model *model_of(us_ctx *c, const char *text)
{
    us_model *m;
    CHECK_OK(c, us_model_parse(c, us_sv_of(text), &m));
    return m;
}

static inline void fixture_open(fixture *f, const char *text, const us_plan_opts *po,
                                const us_session_opts *so)
{
    CHECK_OK(&f->c, us_plan_new(&f->c, model_of(&f->c, text), po, &f->plan));
    CHECK_OK(&f->c, us_session_new(&f->c, f->plan, so, &f->s));
}

/* A tensor in the fixture's arena. dims end with -1. */
static inline us_value tensor_of(fixture *f, us_dtype t, const int64_t *dims, const void *data)
{
    us_tensor x;
    int rank = 0;
    while (dims[rank] >= 0)
        rank++;
    CHECK_OK(&f->c, us_tensor_new(&f->c, f->a, t, rank, dims, &x));
    if (data && us_tensor_bytes(&x) > 0) memcpy(x.data, data, us_tensor_bytes(&x));
    return us_value_of(&x);
}
#define DIMS(...)        ((const int64_t[]){__VA_ARGS__, -1})
#define SCALAR           ((const int64_t[]){-1})
#define F32S(f, d, ...)  tensor_of((f), US_F32, (d), (const float[]){__VA_ARGS__})
#define I64S(f, d, ...)  tensor_of((f), US_I64, (d), (const int64_t[]){__VA_ARGS__})
#define BOOLS(f, d, ...) tensor_of((f), US_BOOL, (d), (const uint8_t[]){__VA_ARGS__})

static inline us_value random_f32(fixture *f, const int64_t *dims, uint64_t seed)
{
    us_value v = tensor_of(f, US_F32, dims, NULL);
    us_rng r = us_rng_new(seed, "test", 0);
    for (int64_t i = 0; i < us_tensor_count(&v.t); i++)
        ((float *)v.t.data)[i] = us_rng_f32(&r) * 2 - 1;
    return v;
}

/* A constant of numbers between -1/8 and 1/8. */
static inline us_vid random_weights(us_builder *b, us_rng *r, int rank, const int64_t *dims)
{
    static float w[40000];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    CHECK(n <= (int64_t)US_LEN(w));
    for (int64_t i = 0; i < n; i++)
        w[i] = (us_rng_f32(r) - 0.5F) / 4;
    return us_b_const(b, NULL, US_F32, rank, dims, w);
}

static inline const float *f32_at(const us_value *v)
{
    CHECK_EQ_I64(v->kind, US_KIND_TENSOR);
    CHECK_EQ_I64(v->t.dtype, US_F32);
    return v->t.data;
}

/* A dense net d0-d1-...-dn with Relu between, weights from a seed, as constants or variables. */
static inline us_model *mlp_model(us_ctx *c, const int64_t *d, size_t n_layers, us_storage st,
                                  us_vid *vars)
{
    us_model *m;
    us_sym sym;
    us_vid x;
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &sym));
    us_dim dims[2] = {US_DIM_SYM(sym), US_DIM(d[0])};
    us_type t = us_type_tensor(US_F32, 2, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    us_rng r = us_rng_new(7, "mlp", 0);
    for (size_t i = 0; i < n_layers; i++) {
        us_tensor w, bias;
        us_vid wv, bv;
        CHECK_OK(c, us_tensor_new(c, m->arena, US_F32, 2, (int64_t[]){d[i], d[i + 1]}, &w));
        CHECK_OK(c, us_tensor_new(c, m->arena, US_F32, 1, (int64_t[]){d[i + 1]}, &bias));
        for (int64_t k = 0; k < d[i] * d[i + 1]; k++)
            ((float *)w.data)[k] = (us_rng_f32(&r) - 0.5f) / 4;
        for (int64_t k = 0; k < d[i + 1]; k++)
            ((float *)bias.data)[k] = us_rng_f32(&r);
        CHECK_OK(c, us_graph_add_const(c, m->main, us_sv_of(""), st, &w, &wv));
        CHECK_OK(c, us_graph_add_const(c, m->main, us_sv_of(""), st, &bias, &bv));
        if (vars) {
            vars[2 * i] = wv;
            vars[2 * i + 1] = bv;
        }
        x = us_b3(&b, "Gemm", x, wv, bv);
        if (i + 1 < n_layers) x = us_b1(&b, "Relu", x);
    }
    us_b_name(&b, x, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, x));
    return m;
}

#endif
