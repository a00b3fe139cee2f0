/* fuzz_run.c - plan and session of a fuzzed model under caps that keep one input under a second with sanitizers. */
#include "fuzz_model.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMORY_CAP ((size_t)16 << 20)
#define MAX_STEPS  2000
#define MAX_WORK   4e6
#define INPUTS_CAP ((size_t)32 << 20)

us_err fuzz_open(us_ctx *c, us_model *m, const us_plan_opts *opts, fuzz_runner *r)
{
    us_plan *p;
    us_err e = us_plan_new(c, m, opts, &p);
    if (e != US_OK) {
        us_model_free(m);
        return e;
    }
    /* Without passes the plain reference is wanted, in which a folded and a computed value are the same to the bit. */
    return fuzz_open_plan(c, p, opts && opts->no_passes, r);
}

us_err fuzz_open_plan(us_ctx *c, us_plan *p, bool plain, fuzz_runner *r)
{
    us_session_opts so = {.dynamic_cap_bytes = MEMORY_CAP,
                          .static_cap_bytes = MEMORY_CAP,
                          .max_steps = MAX_STEPS,
                          .max_work = MAX_WORK,
                          .plain = plain};
    r->p = p;
    US_TRY(us_arena_new(c, "fuzz", INPUTS_CAP, &r->a));
    return us_session_new(c, r->p, &so, &r->s);
}

us_err fuzz_run(us_ctx *c, fuzz_runner *r, us_value *out)
{
    us_value in[FUZZ_MAX_ENDS];
    us_plan *p = r->p;
    size_t n = us_plan_n_inputs(p), n_syms = us_plan_model(p)->syms.names.n;
    us_sv bytes = {"", 0};
    if (n > FUZZ_MAX_ENDS || us_plan_n_outputs(p) > FUZZ_MAX_ENDS)
        return us_fail(c, US_UNSUPP, "too many inputs or outputs");
    int64_t *syms = us_new_n(r->a, int64_t, n_syms);
    if (!syms) return us_arena_fail(c, r->a);
    for (size_t i = 0; i < n_syms; i++)
        syms[i] = -1;
    (void)us_model_prop(us_plan_model(p), FUZZ_PROP, &bytes);
    for (size_t i = 0; i < n; i++)
        US_TRY(fuzz_input(c, r->a, bytes, i, us_plan_input_type(p, i), syms, n_syms, &in[i]));
    return us_session_run(c, r->s, in, out);
}

void fuzz_close(fuzz_runner *r)
{
    us_session_free(r->s);
    us_plan_free(r->p);
    us_arena_free(r->a);
}

void fuzz_check(const us_ctx *c, us_err e)
{
    if (e != US_BUG) return;
    (void)fprintf(stderr, "%s:%d: %s\n", c->diag.file, c->diag.line, c->diag.text);
    abort();
}
