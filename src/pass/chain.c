/* pass/chain.c - Mul and Div of constants in a row make one; so do Add and Sub.
 *
 *   (x * a) * b = x * ab    (x * a) / b = x * (a/b)    (x / a) * b = x * (b/a)    (x / a) / b = x / ab
 *   (x + a) + b = x + (a+b), and so on with signs
 * for float constants where nobody else reads the step between. The constant is computed in double and rounded once, as the two steps rounded
 * twice. That is no reason to trust it blindly: a product that leaves the range of normal numbers, and a sum that
 * cancels, mean that the file's order of steps matters, and it stays. So does a pair whose constant would be larger than both.
 */
#include "pass/passes.h"

#include <float.h>
#include <math.h>

typedef enum family { NONE, SCALE, SHIFT } family;

typedef struct step {
    family f;
    bool inverse;       /* Div, Sub */
    us_vid x;           /* what is scaled or shifted */
    const us_tensor *k; /* by this */
} step;

static step step_of(const us_graph *g, const us_node *n)
{
    step s = {.f = NONE};
    bool mul = us_is_op(n, "", "Mul"), div = us_is_op(n, "", "Div"),
         add = us_is_op(n, "", "Add"), sub = us_is_op(n, "", "Sub");
    if (!(mul || div || add || sub) || n->version < 7 || n->n_in != 2) return s;
    for (uint32_t at = 0; at < (mul || add ? 2u : 1u); at++) {
        const us_tensor *k = us_const_tensor(g, n->in[1 - at]);
        if (!k || !k->data || (k->dtype != US_F32 && k->dtype != US_F64)) continue;
        s = (step){
            .f = mul || div ? SCALE : SHIFT, .inverse = div || sub, .x = n->in[at], .k = k};
        break;
    }
    return s;
}

/* The constant that does what both do; false: one had better leave it. */
static bool combine(family f, bool first_inverse, bool then_inverse, double a, double b,
                    double smallest, double largest, double *out)
{
    if (f == SHIFT) {
        double x = first_inverse ? -a : a, y = then_inverse ? -b : b, sum = x + y;
        *out = first_inverse && then_inverse ? -sum : sum;
        return fabs(sum) <= largest && fabs(sum) >= 0.5 * fmax(fabs(x), fabs(y));
    }
    double v = first_inverse == then_inverse ? a * b : first_inverse ? b / a : a / b;
    bool stays_zero = (a == 0 || b == 0) && !(first_inverse && then_inverse);
    *out = v;
    return v == 0 ? stays_zero : fabs(v) >= smallest && fabs(v) <= largest;
}

static us_err fold_constants(us_ctx *c, us_model *m, const step *first, const step *then,
                             us_tensor *out, bool *fits)
{
    int rank;
    int64_t dims[US_MAX_RANK];
    us_tensor a, b;
    const us_tensor *p = first->k, *q = then->k;
    *fits = false;
    if (us_dims_broadcast(c, p->rank, p->dims, q->rank, q->dims, &rank, dims) != US_OK)
        return US_OK;
    US_TRY(us_tensor_broadcast_view(c, p, rank, dims, &a));
    US_TRY(us_tensor_broadcast_view(c, q, rank, dims, &b));
    int64_t n = us_tensor_count(&a);
    if (n > US_MAX(us_tensor_count(p), us_tensor_count(q))) return US_OK;
    US_TRY(us_tensor_new(c, m->arena, p->dtype, rank, dims, out));
    bool f64 = p->dtype == US_F64;
    *fits = true;
    for (int64_t i = 0; i < n && *fits; i++) {
        double v = 0;
        *fits = combine(first->f, first->inverse, then->inverse, us_tensor_f64_at(&a, i),
                        us_tensor_f64_at(&b, i), f64 ? DBL_MIN : (double)FLT_MIN,
                        f64 ? DBL_MAX : (double)FLT_MAX, &v);
        us_dtype_get(p->dtype)->from_f64(out->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

static us_err join(us_ctx *c, us_model *m, us_graph *g, us_nid nid, us_rewire *r,
                   const uint32_t *uses, bool *changed)
{
    step then = step_of(g, &g->nodes.at[nid]);
    if (then.f == NONE || then.x == US_NIL || then.x >= r->n || uses[then.x] != 1) return US_OK;
    const us_val *x = &g->vals.at[then.x];
    if (x->storage != US_ST_TEMP || x->def == US_NIL) return US_OK;
    us_nid before = x->def;
    step first = step_of(g, &g->nodes.at[before]);
    us_tensor t;
    bool fits;
    if (first.f != then.f || first.k->dtype != then.k->dtype) return US_OK;
    US_TRY(fold_constants(c, m, &first, &then, &t, &fits));
    if (!fits) return US_OK;
    us_vid *in = us_new_n(m->arena, us_vid, 2);
    if (!in) return us_arena_fail(c, m->arena);
    in[0] = first.x;
    US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &t, &in[1]));
    us_node *n = &g->nodes.at[nid];
    bool inverse = first.inverse && then.inverse; /* else the constant says it */
    n->in = in;
    us_node_set_op(n, then.f == SCALE ? (inverse ? "Div" : "Mul") : (inverse ? "Sub" : "Add"));
    us_rewire_drop(r, before);
    *changed = true;
    return US_OK;
}

us_err us_pass_chain(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *a;
    uint32_t *uses;
    us_rewire r = {0};
    US_TRY(us_arena_new(c, "chain", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        e = join(c, m, g, g->order.at[i], &r, uses, changed);
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(a);
    return e;
}
