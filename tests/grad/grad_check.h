/* grad_check.h - a graph as text, its gradient, and central differences, all in double precision.
 *
 * `inputs` declares the values to differentiate with ("x: double[2,3], w: double[3]"), `body` computes y from them. The loss is
 * sum(y * y), whose gradient differs from element to element, so a wrong permutation shows. Symbolic dimensions are 3.
 */
#ifndef US_GRAD_CHECK_H
#define US_GRAD_CHECK_H

#include "us_test.h"

#include "base/rng.h"
#include "exec/session.h"
#include "grad/grad.h"
#include "ir/text.h"
#include "pass/pass.h"

#define GC_MAX_IN    8
#define GC_MAX_ELEMS 4096

/* With h = 1e-5 the differences themselves are good to about 1e-9 relative (truncation h^2 f''' / 6, rounding 1e-16 / h),
 * times what the loss multiplies them with. TIGHT is for smooth functions of ordinary size; LOOSE for steep ones (tan, inverse
 * functions near their ends, powers), whose third derivative is large. */
#define TIGHT 1e-7
#define LOOSE 1e-5

typedef struct grad_case {
    const char *name, *inputs, *body;
    double lo, hi;    /* inputs are drawn uniformly from here */
    double tol;       /* |analytic - numeric| <= tol * max(1, |numeric|) */
    const char *loss; /* lines that compute `loss` from the body's values; NULL: sum(y * y) */
} grad_case;

typedef struct grad_check {
    us_ctx c;
    us_arena *a;
    us_plan *plan;
    us_session *s;
    size_t n_in;
    us_tensor in[GC_MAX_IN];
    bool flows[GC_MAX_IN]; /* a gradient came out */
    us_value values[GC_MAX_IN];
    us_value out[GC_MAX_IN + 1];
} grad_check;

#ifndef GC_OPSET
#    define GC_OPSET "17"
#endif

/* As CHECK_OK, with the case in front. */
#define GC_OK(g, t, expr)                                                                      \
    do {                                                                                       \
        if ((expr) != US_OK) US_TEST_FAIL("%s: %s: %s", (t)->name, #expr, (g)->c.diag.text);   \
    } while (0)

static inline us_model *gc_parse(grad_check *g, const grad_case *t)
{
    char text[8192];
    const char *loss =
        t->loss ? t->loss : "gc_q = Mul(y, y)\n loss = ReduceSum(gc_q) {keepdims=0}";
    int n = snprintf(text, sizeof text,
                     "model ir=8 opset=" GC_OPSET "\ngraph main(%s) -> (loss) {\n%s\n%s\n}\n",
                     t->inputs, t->body, loss);
    if (n < 0 || (size_t)n >= sizeof text) US_TEST_FAIL("%s: text too long", t->name);
    us_model *m;
    GC_OK(g, t, us_model_parse(&g->c, us_sv_of(text), &m));
    return m;
}

static inline void gc_inputs(grad_check *g, const us_graph *graph, const grad_case *t)
{
    us_rng r = us_rng_new(7, "gradient", 0);
    g->n_in = graph->inputs.n;
    CHECK(g->n_in <= GC_MAX_IN);
    for (size_t i = 0; i < g->n_in; i++) {
        const us_type *ty = &graph->vals.at[graph->inputs.at[i]].type;
        int64_t dims[US_MAX_RANK];
        for (int j = 0; j < ty->rank; j++)
            dims[j] = us_dim_known(ty->dims[j]) ? ty->dims[j].add : 3;
        CHECK_OK(&g->c, us_tensor_new(&g->c, g->a, US_F64, ty->rank, dims, &g->in[i]));
        double *p = g->in[i].data;
        for (int64_t j = 0; j < us_tensor_count(&g->in[i]); j++)
            p[j] = t->lo + (t->hi - t->lo) * us_rng_f64(&r);
        g->values[i] = us_value_of(&g->in[i]);
    }
}

static inline void gc_begin(grad_check *g, const grad_case *t)
{
    memset(g, 0, sizeof *g);
    us_ctx_init(&g->c);
    CHECK_OK(&g->c, us_arena_new(&g->c, "gradient check", (size_t)1 << 28, &g->a));
    us_model *m = gc_parse(g, t);
    gc_inputs(g, m->main, t);
    GC_OK(g, t, us_pass_run(&g->c, m, "upgrade"));
    GC_OK(g, t, us_graph_infer(&g->c, m->main));
    us_vid loss = us_graph_find(m->main, US_SV("loss")), d[GC_MAX_IN], extra[GC_MAX_IN];
    GC_OK(g, t, us_grad_build(&g->c, m, m->main, loss, g->n_in, m->main->inputs.at, d));
    size_t n = 0;
    for (size_t i = 0; i < g->n_in; i++) {
        g->flows[i] = d[i] != US_NIL;
        if (g->flows[i]) extra[n++] = d[i];
    }
    us_plan_opts opts = {.n_extra = n, .extra = extra};
    GC_OK(g, t, us_plan_new(&g->c, m, &opts, &g->plan));
    GC_OK(g, t, us_session_new(&g->c, g->plan, NULL, &g->s));
}

static inline void gc_end(grad_check *g)
{
    us_session_free(g->s);
    us_plan_free(g->plan);
    us_arena_free(g->a);
    us_ctx_deinit(&g->c);
}

static inline double gc_loss(grad_check *g)
{
    CHECK_OK(&g->c, us_session_run(&g->c, g->s, g->values, g->out));
    return us_tensor_f64_at(&g->out[0].t, 0);
}

/* Central difference with respect to one element; the truncation error is of order h^2, rounding of order 1e-16 / h. */
static inline double gc_difference(grad_check *g, double *x)
{
    double x0 = *x, h = 1e-5 * (fabs(x0) > 1 ? fabs(x0) : 1);
    *x = x0 + h;
    double up = gc_loss(g);
    *x = x0 - h;
    double down = gc_loss(g);
    *x = x0;
    return (up - down) / (2 * h);
}

static inline void gc_run(const grad_case *t)
{
    static double analytic[GC_MAX_IN][GC_MAX_ELEMS];
    grad_check g;
    gc_begin(&g, t);
    gc_loss(&g);
    size_t at = 1;
    for (size_t i = 0; i < g.n_in; i++) {
        int64_t n = us_tensor_count(&g.in[i]);
        CHECK(n <= GC_MAX_ELEMS);
        if (g.flows[i] && us_tensor_count(&g.out[at].t) != n)
            US_TEST_FAIL("%s: the gradient of input %zu has %lld elements, expected %lld",
                         t->name, i, (long long)us_tensor_count(&g.out[at].t), (long long)n);
        for (int64_t j = 0; j < n; j++)
            analytic[i][j] = g.flows[i] ? us_tensor_f64_at(&g.out[at].t, j) : 0;
        if (g.flows[i]) at++;
    }
    for (size_t i = 0; i < g.n_in; i++)
        for (int64_t j = 0; j < us_tensor_count(&g.in[i]); j++) {
            double want = gc_difference(&g, (double *)g.in[i].data + j), got = analytic[i][j];
            double scale = fabs(want) > 1 ? fabs(want) : 1;
            if (!(fabs(got - want) <= t->tol * scale))
                US_TEST_FAIL("%s: input %zu element %lld: gradient %.12g, by differences %.12g",
                             t->name, i, (long long)j, got, want);
        }
    gc_end(&g);
}

#endif
