/* ir/build.c - the builder: sticky errors, made-up names, copied data. */
#include "ir/build.h"

#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

#define MAX_ARGS 256 /* inputs or outputs of one built node */

us_builder us_b_begin(us_ctx *c, us_graph *g, const char *stem)
{
    return (us_builder){
        .c = c, .g = g, .stem = stem ? stem : "v", .before = US_NIL, .last = US_NIL};
}

us_err us_b_end(us_builder *b)
{
    return b->err;
}

/* Remembers the first failure. */
static bool ok(us_builder *b, us_err e)
{
    if (e != US_OK) b->err = e;
    return e == US_OK;
}

static us_sv fresh(us_builder *b)
{
    us_sv s = us_graph_fresh_name(b->c, b->g, b->stem);
    if (!s.n) b->err = b->c->diag.code;
    return s;
}

static us_err add_outputs(us_builder *b, size_t n, us_vid *out)
{
    for (size_t i = 0; i < n; i++) {
        us_sv name = fresh(b);
        US_TRY(b->err);
        US_TRY(us_graph_add_val(b->c, b->g, name, US_ST_TEMP, NULL, &out[i]));
    }
    return US_OK;
}

us_vid us_b_node(us_builder *b, const char *domain, const char *op, size_t n_in,
                 const us_vid *in, size_t n_out, us_vid *outs)
{
    us_vid made[MAX_ARGS];
    for (size_t i = 0; outs && i < n_out; i++)
        outs[i] = US_NIL;
    if (b->err != US_OK) return US_NIL;
    if (n_in > MAX_ARGS || n_out > MAX_ARGS || n_out == 0) {
        b->err =
            us_fail(b->c, US_ARG, "building %s: %zu inputs and %zu outputs, expected up to %d",
                    op, n_in, n_out, MAX_ARGS);
        return US_NIL;
    }
    us_sv dom = us_sv_of(domain);
    if (!us_model_opset(b->g->model, dom)) {
        b->err = us_fail(b->c, US_ARG, "building %s: the model does not import domain '%s'", op,
                         domain);
        return US_NIL;
    }
    us_sv name = fresh(b);
    if (b->err != US_OK || !ok(b, add_outputs(b, n_out, made))) return US_NIL;
    if (!ok(b, us_graph_add_node(b->c, b->g, dom, us_sv_of(op), 0, name, n_in, in, n_out, made,
                                 b->before, &b->last)))
        return US_NIL;
    if (outs) memcpy(outs, made, n_out * sizeof *outs);
    return made[0];
}

us_vid us_b1(us_builder *b, const char *op, us_vid x)
{
    return us_b_node(b, "", op, 1, &x, 1, NULL);
}

us_vid us_b2(us_builder *b, const char *op, us_vid x, us_vid y)
{
    const us_vid in[] = {x, y};
    return us_b_node(b, "", op, 2, in, 1, NULL);
}

us_vid us_b3(us_builder *b, const char *op, us_vid x, us_vid y, us_vid z)
{
    const us_vid in[] = {x, y, z};
    return us_b_node(b, "", op, 3, in, 1, NULL);
}

us_vid us_b_name(us_builder *b, us_vid v, const char *name)
{
    if (b->err != US_OK || v == US_NIL) return US_NIL;
    return ok(b, us_graph_rename(b->c, b->g, v, us_sv_of(name))) ? v : US_NIL;
}

/* --- attributes ----------------------------------------------------------------------------------------- */

static void set(us_builder *b, const char *name, us_attr a)
{
    if (b->err != US_OK) return;
    if (b->last == US_NIL) {
        b->err = us_fail(b->c, US_ARG, "attribute '%s' before any node", name);
        return;
    }
    a.name = us_sv_of(name);
    (void)ok(b, us_node_set_attr(b->c, b->g, b->last, &a));
}

/* n elements copied into the model's arena; NULL (and the builder's error) on failure. */
static void *copy(us_builder *b, const void *p, size_t n, size_t size)
{
    if (b->err != US_OK) return NULL;
    us_arena *a = b->g->model->arena;
    void *q = us_arena_alloc(a, n, size, _Alignof(max_align_t));
    if (!q)
        b->err = us_arena_fail(b->c, a);
    else if (n)
        memcpy(q, p, n * size);
    return q;
}

void us_b_int(us_builder *b, const char *name, int64_t v)
{
    set(b, name, (us_attr){.kind = US_AT_INT, .i = v});
}

void us_b_float(us_builder *b, const char *name, float v)
{
    set(b, name, (us_attr){.kind = US_AT_FLOAT, .f = v});
}

static us_sv copy_str(us_builder *b, us_sv s)
{
    us_sv out = {0};
    if (b->err == US_OK) (void)ok(b, us_sv_dup(b->c, b->g->model->arena, s, &out));
    return out;
}

void us_b_str(us_builder *b, const char *name, const char *v)
{
    us_sv s = copy_str(b, us_sv_of(v));
    set(b, name, (us_attr){.kind = US_AT_STRING, .s = s});
}

void us_b_ints(us_builder *b, const char *name, size_t n, const int64_t *v)
{
    const int64_t *p = copy(b, v, n, sizeof *v);
    set(b, name, (us_attr){.kind = US_AT_INTS, .ints = p, .n = n});
}

void us_b_floats(us_builder *b, const char *name, size_t n, const float *v)
{
    const float *p = copy(b, v, n, sizeof *v);
    set(b, name, (us_attr){.kind = US_AT_FLOATS, .floats = p, .n = n});
}

void us_b_strs(us_builder *b, const char *name, size_t n, const us_sv *v)
{
    us_sv *p = copy(b, v, n, sizeof *v);
    for (size_t i = 0; p && i < n; i++)
        p[i] = copy_str(b, v[i]);
    set(b, name, (us_attr){.kind = US_AT_STRINGS, .strs = p, .n = n});
}

void us_b_tensor(us_builder *b, const char *name, const us_tensor *t)
{
    us_tensor *p = copy(b, t, 1, sizeof *t);
    if (p && !ok(b, us_tensor_dup(b->c, b->g->model->arena, t, p))) return;
    set(b, name, (us_attr){.kind = US_AT_TENSOR, .tensors = p, .n = 1});
}

void us_b_graph(us_builder *b, const char *name, us_graph *sub)
{
    us_graph **p = copy(b, &sub, 1, sizeof(sub));
    set(b, name, (us_attr){.kind = US_AT_GRAPH, .graphs = p, .n = 1});
}

/* --- constants ------------------------------------------------------------------------------------------- */

static us_vid add_data(us_builder *b, const char *name, us_storage st, const us_tensor *t)
{
    us_sv made = name ? us_sv_of(name) : fresh(b);
    us_vid v = US_NIL;
    if (b->err != US_OK) return US_NIL;
    return ok(b, us_graph_add_const(b->c, b->g, made, st, t, &v)) ? v : US_NIL;
}

us_vid us_b_const(us_builder *b, const char *name, us_dtype t, int rank, const int64_t *dims,
                  const void *data)
{
    us_tensor from, to;
    if (b->err != US_OK) return US_NIL;
    us_arena *a = b->g->model->arena;
    if (!ok(b, us_tensor_init(b->c, &from, t, rank, dims, NULL))) return US_NIL;
    union {
        const void *in;
        void *out;
    } alias = {.in = data}; /* only read through `from` */
    from.data = alias.out;
    if (!ok(b, us_tensor_dup(b->c, a, &from, &to))) return US_NIL;
    return add_data(b, name, US_ST_CONST, &to);
}

us_vid us_b_f32(us_builder *b, float v)
{
    return us_b_const(b, NULL, US_F32, 0, NULL, &v);
}

us_vid us_b_i64s(us_builder *b, size_t n, const int64_t *v)
{
    const int64_t dims[] = {(int64_t)n};
    return us_b_const(b, NULL, US_I64, 1, dims, v);
}

us_vid us_b_i64(us_builder *b, int64_t v)
{
    return us_b_const(b, NULL, US_I64, 0, NULL, &v);
}

us_vid us_b_var(us_builder *b, const char *name, int rank, const int64_t *dims)
{
    us_tensor t;
    if (b->err != US_OK) return US_NIL;
    if (!ok(b, us_tensor_new(b->c, b->g->model->arena, US_F32, rank, dims, &t))) return US_NIL;
    return add_data(b, name, US_ST_VARIABLE, &t);
}
