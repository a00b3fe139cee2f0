/* pass_fixture.h - outputs on random inputs, before and after passes. */
#ifndef PASS_FIXTURE_H
#define PASS_FIXTURE_H

#include "../exec/exec_fixture.h"

#include "pass/pass.h"

#define HEAD        "model ir=8 opset=17\n"
#define MAX_OUTPUTS 4

static inline void check_same_outputs(const char *text, const char *passes, const int64_t *dims,
                                      double tol, size_t n_nodes)
{
    fixture f, g;
    fixture_begin(&f);
    fixture_begin(&g);
    us_plan_opts po = {.no_passes = true};
    fixture_open(&f, text, &po, NULL);
    us_model *m = model_of(&g.c, text);
    CHECK_OK(&g.c, us_pass_run(&g.c, m, "upgrade"));
    CHECK_OK(&g.c, us_pass_run(&g.c, m, passes));
    CHECK_EQ_U64(m->main->order.n, n_nodes);
    CHECK_OK(&g.c, us_plan_new(&g.c, m, &po, &g.plan));
    CHECK_OK(&g.c, us_session_new(&g.c, g.plan, NULL, &g.s));
    CHECK(m->main->outputs.n <= MAX_OUTPUTS);
    for (uint64_t seed = 0; seed < 6; seed++) {
        us_value x = random_f32(&f, dims, seed), a[MAX_OUTPUTS], b[MAX_OUTPUTS];
        if (seed == 5) { /* as evals have it */
            us_session_free(g.s);
            CHECK_OK(&g.c,
                     us_session_new(&g.c, g.plan, &(us_session_opts){.plain = true}, &g.s));
        }
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, a));
        CHECK_OK(&g.c, us_session_run(&g.c, g.s, &x, b));
        for (size_t o = 0; o < m->main->outputs.n; o++) {
            CHECK_EQ_I64(us_tensor_count(&a[o].t), us_tensor_count(&b[o].t));
            for (int64_t i = 0; i < us_tensor_count(&a[o].t); i++) {
                float want = f32_at(&a[o])[i]; /* evals sum in an order of their own */
                CHECK_NEAR(f32_at(&b[o])[i], want,
                           seed == 5 ? tol + 1e-6 * fabs((double)want) : tol);
            }
        }
    }
    fixture_end(&f);
    fixture_end(&g);
}

#endif
