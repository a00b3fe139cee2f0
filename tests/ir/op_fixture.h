/* op_fixture.h - one row, one operator: a graph in text form without inputs, and what its outputs must hold. */
#ifndef OP_FIXTURE_H
#define OP_FIXTURE_H

#include "us_test.h"

#include "exec/session.h"
#include "ir/op.h"
#include "ir/text.h"

#ifndef OP_OPSETS
#    define OP_OPSETS "opset=20,ai.onnx.ml:4,com.microsoft:1"
#endif

enum { OP_MAX = 24 };

typedef struct op_case {
    const char *name;
    const char *body; /* lines of the graph: constants, the node, its outputs named y, y1 */
    int rank;         /* of y; -1: an error is expected */
    int64_t dims[6];
    double want[OP_MAX];
    const char *strs[OP_MAX]; /* of a string output, instead of want */
    us_err err;
} op_case;

/* Parses and runs body; out is valid until the session is freed. */
typedef struct op_run {
    us_ctx c;
    us_plan *plan;
    us_session *s;
    us_value out[4];
    us_err err;
} op_run;

static inline void op_open(op_run *r, const char *body, const char *outputs)
{
    char text[4096];
    us_model *m;
    memset(r, 0, sizeof *r);
    us_ctx_init(&r->c);
    (void)snprintf(text, sizeof text,
                   "model ir=8 " OP_OPSETS "\ngraph main() -> (%s) {\n%s\n}\n", outputs, body);
    r->err = us_model_parse(&r->c, us_sv_of(text), &m);
    if (r->err != US_OK) {
        printf("# %s\n", r->c.diag.text);
        CHECK(r->err == US_OK);
    }
    r->err = us_plan_new(&r->c, m, NULL, &r->plan);
    if (r->err != US_OK) {
        us_model_free(m);
        return;
    }
    r->err = us_session_new(&r->c, r->plan, NULL, &r->s);
    if (r->err == US_OK) r->err = us_session_run(&r->c, r->s, NULL, r->out);
}

static inline void op_close(op_run *r)
{
    us_session_free(r->s);
    us_plan_free(r->plan);
    us_ctx_deinit(&r->c);
}

static inline bool op_close_to(double a, double b)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-6 + 1e-5 * fabs(b);
}

/* Whether the row holds; what does not is printed. */
static inline bool op_holds(const op_case *t, const op_run *r)
{
    char dims[160];
    if (r->err != (t->rank < 0 ? t->err : US_OK)) {
        printf("# %s: %s: %s\n", t->name, us_err_name(r->err), r->c.diag.text);
        return false;
    }
    if (t->rank < 0) return true;
    const us_tensor *y = &r->out[0].t;
    bool same = r->out[0].kind == US_KIND_TENSOR && y->rank == t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = y->dims[i] == t->dims[i];
    if (!same) {
        printf("# %s: shape is %s\n", t->name,
               us_dims_print(y->rank, y->dims, dims, sizeof dims));
        return false;
    }
    for (int64_t i = 0; i < us_tensor_count(y) && i < OP_MAX; i++) {
        bool str = y->dtype == US_STRING;
        bool ok = t->strs[i] ? str && us_sv_is(us_tensor_str_at(y, i), t->strs[i])
                             : !str && op_close_to(us_tensor_f64_at(y, i), t->want[i]);
        if (ok) continue;
        printf("# %s: element %d is %g, expected %g\n", t->name, (int)i,
               str ? 0 : us_tensor_f64_at(y, i), t->want[i]);
        return false;
    }
    return true;
}

static inline void op_check_all(const op_case *rows, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        op_run r;
        op_open(&r, rows[i].body, "y");
        bad += !op_holds(&rows[i], &r);
        op_close(&r);
    }
    CHECK(bad == 0);
}

#endif
