/* Random convolution networks: a plan whose channels lie in blocks gives what the plain one gives.
 *
 * Graphs of convolutions (dense, grouped, depthwise, strided, dilated, padded on each side by itself) and of what stands between
 * them, one and two dimensions of space, sizes known or symbols, values read in blocks, plain, and as outputs. Each runs without
 * the passes and with them, at two sizes and with one and two threads. Tolerance: the sums are the same in another order, so a few
 * ulps of the largest term of each; 2e-5 of the largest output is tens of those. */
#include "exec_fixture.h"

#include "kernel/conv.h"
#include "kernel/kernels.h"

enum { MAX_VALUES = 24, MAX_OUT = 3 };

typedef struct val {
    us_vid v;
    int64_t c, h, w; /* h 1 and rank 3: one dimension */
} val;

typedef struct net {
    us_builder b;
    us_rng r;
    val at[MAX_VALUES];
    size_t n;
    int rank;
    bool sized; /* sizes are known */
} net;

static int64_t below(net *t, int64_t n)
{
    return (int64_t)us_rng_below(&t->r, (uint64_t)n);
}

static us_vid weights(net *t, int rank, const int64_t *dims)
{
    static float w[40000];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    CHECK(n <= 40000);
    for (int64_t i = 0; i < n; i++)
        w[i] = (us_rng_f32(&t->r) - 0.5F) / 2;
    return us_b_const(&t->b, NULL, US_F32, rank, dims, w);
}

static int64_t out_size(int64_t in, int64_t k, int64_t s, int64_t d, int64_t pads)
{
    int64_t room = in + pads - ((k - 1) * d + 1);
    return room < 0 ? 0 : room / s + 1;
}

/* A window over both dimensions; false: it does not fit. Attributes are set by window_attrs. */
typedef struct window {
    int64_t k[2], s[2], d[2], p[4], h, w;
} window;

static bool window_of(net *t, const val *x, bool pool, window *o)
{
    for (int i = 0; i < 2; i++) {
        o->k[i] = 1 + below(t, 2) * (1 + below(t, 4));
        o->s[i] = 1 + below(t, 5) / 3;
        o->d[i] = pool ? 1 : 1 + below(t, 6) / 5;
        o->p[i] = below(t, o->k[i]);
        o->p[2 + i] = below(t, o->k[i]);
    }
    if (t->rank == 3) o->k[0] = o->s[0] = o->d[0] = 1;
    if (t->rank == 3) o->p[0] = o->p[2] = 0;
    o->h = out_size(x->h, o->k[0], o->s[0], o->d[0], o->p[0] + o->p[2]);
    o->w = out_size(x->w, o->k[1], o->s[1], o->d[1], o->p[1] + o->p[3]);
    /* room for the smaller second size too */
    return out_size(x->h - (t->rank == 4), o->k[0], o->s[0], o->d[0], o->p[0] + o->p[2]) > 0 &&
           out_size(x->w - 1, o->k[1], o->s[1], o->d[1], o->p[1] + o->p[3]) > 0;
}

static void window_attrs(net *t, const window *o, bool pool)
{
    size_t from = t->rank == 3, n = 2 - from;
    int64_t pads[4] = {o->p[0], o->p[1], o->p[2], o->p[3]}, line[2] = {o->p[1], o->p[3]};
    us_b_ints(&t->b, "kernel_shape", n, o->k + from);
    us_b_ints(&t->b, "strides", n, o->s + from);
    if (!pool) us_b_ints(&t->b, "dilations", n, o->d + from);
    us_b_ints(&t->b, "pads", 2 * n, from ? line : pads);
}

/* One, or a few that share the channels out: of widths that fill a block, that are narrower or wider, that end within one. */
static int64_t some_groups(net *t, int64_t channels)
{
    static const int64_t counts[] = {2, 3, 4, 5, 8, 10};
    int64_t n = counts[below(t, 6)];
    return channels % n == 0 ? n : channels % 2 == 0 ? 2 : 1;
}

static bool conv(net *t, val x, val *y)
{
    static const int64_t outs[] = {1, 3, 8, 16, 24, 32, 40};
    window o;
    if (!window_of(t, &x, false, &o)) return false;
    int64_t groups = 1, m = outs[below(t, 7)], kind = below(t, 4);
    if (kind == 0) groups = m = x.c;
    if (kind == 1) groups = some_groups(t, x.c);
    m = (m + groups - 1) / groups * groups;
    int64_t dims[4] = {m, x.c / groups, o.k[0], o.k[1]};
    if (t->rank == 3) dims[2] = o.k[1];
    if (m * dims[1] * o.k[0] * o.k[1] > 40000) return false;
    us_vid w = weights(t, t->rank, dims);
    if (below(t, 2)) {
        y->v = us_b2(&t->b, "Conv", x.v, w);
    } else {
        us_vid bias = weights(t, 1, (int64_t[]){m});
        y->v = us_b3(&t->b, "Conv", x.v, w, bias);
    }
    window_attrs(t, &o, false);
    us_b_int(&t->b, "group", groups);
    y->c = m;
    y->h = o.h;
    y->w = o.w;
    return true;
}

static bool pool(net *t, val x, val *y)
{
    static const char *const ops[] = {"MaxPool", "AveragePool"};
    window o;
    if (!window_of(t, &x, true, &o)) return false;
    int64_t which = below(t, 2);
    y->v = us_b1(&t->b, ops[which], x.v);
    window_attrs(t, &o, true);
    if (which == 1) us_b_int(&t->b, "count_include_pad", below(t, 2));
    y->h = o.h;
    y->w = o.w;
    return true;
}

static bool transposed(net *t, val x, val *y)
{
    static const int64_t outs[] = {1, 5, 16, 24, 32};
    size_t n = t->rank == 3 ? 1 : 2;
    int64_t groups = 1, m = outs[below(t, 5)], k[2], s[2], p[4], extra[2];
    if (below(t, 3) == 0) {
        groups = some_groups(t, x.c);
        m = groups * (1 + below(t, 20));
    }
    for (size_t i = 0; i < 2; i++) {
        k[i] = 1 + below(t, 4);
        s[i] = 1 + below(t, 3);
        p[i] = below(t, k[i]);
        p[2 + i] = below(t, k[i]);
        extra[i] = below(t, s[i]);
    }
    if (x.h > 20 || x.w > 24) return false;
    size_t f = 2 - n; /* where the dimensions there are begin */
    int64_t dims[4] = {x.c, m / groups, k[f], k[1]}, line[2] = {p[1], p[3]};
    y->h = t->rank == 3 ? 1 : (x.h - 1) * s[0] + k[0] - p[0] - p[2] + extra[0];
    y->w = (x.w - 1) * s[1] + k[1] - p[1] - p[3] + extra[1];
    if (y->h < 3 || y->w < 3) return false;
    us_vid w = weights(t, t->rank, dims);
    if (below(t, 2))
        y->v = us_b2(&t->b, "ConvTranspose", x.v, w);
    else
        y->v = us_b3(&t->b, "ConvTranspose", x.v, w, weights(t, 1, (int64_t[]){m}));
    us_b_int(&t->b, "group", groups);
    us_b_ints(&t->b, "kernel_shape", n, k + f);
    us_b_ints(&t->b, "strides", n, s + f);
    us_b_ints(&t->b, "output_padding", n, extra + f);
    us_b_ints(&t->b, "pads", 2 * n, t->rank == 3 ? line : p);
    y->c = m;
    return true;
}

/* Of space, of channels, or both. */
static bool sliced(net *t, val x, val *y)
{
    int64_t last = t->rank - 1, from[2] = {1, 0}, to[2] = {-1, below(t, 2) ? 100 : INT64_MAX},
            axes[2] = {-1, 1}, steps[2] = {1 + below(t, 2), 1};
    if (x.w < 6 || x.c < 17) return false;
    if (below(t, 2)) axes[0] = last;
    from[1] = below(t, 3) * 8;
    if (from[1] >= x.c) return false;
    size_t n = 1 + (size_t)below(t, 2);
    y->w = (x.w - 2 + steps[0] - 1) / steps[0];
    if (n == 2) y->c = x.c - from[1];
    us_vid in[5] = {x.v, us_b_i64s(&t->b, n, from), us_b_i64s(&t->b, n, to),
                    us_b_i64s(&t->b, n, axes), us_b_i64s(&t->b, n, steps)};
    y->v = us_b_node(&t->b, "", "Slice", 5, in, 1, NULL);
    return true;
}

static bool split(net *t, val x, val *y)
{
    if (x.c < 17) return false;
    int64_t size[2] = {below(t, 2) ? 16 : 8, 0};
    size[1] = x.c - size[0];
    us_vid in[2] = {x.v, us_b_i64s(&t->b, 2, size)}, out[2];
    us_b_node(&t->b, "", "Split", 2, in, 2, out);
    us_b_int(&t->b, "axis", 1);
    y->v = out[below(t, 2)];
    y->c = y->v == out[0] ? size[0] : size[1];
    return true;
}

static bool unary(net *t, val x, val *y)
{
    static const char *const ops[] = {"Relu",      "Sigmoid", "HardSwish",
                                      "LeakyRelu", "Tanh",    "Abs"};
    int64_t i = below(t, 7);
    if (i < 6) {
        y->v = us_b1(&t->b, ops[i], x.v);
        return true;
    }
    us_vid lo = us_b_f32(&t->b, 0.0F), hi = us_b_f32(&t->b, 0.5F);
    y->v = us_b3(&t->b, "Clip", x.v, lo, hi);
    return true;
}

/* With a value of the same shape, a constant per channel, or what is left of a value by reducing. */
static bool binary(net *t, val x, val *y)
{
    static const char *const ops[] = {"Add", "Mul", "Sub", "Max"};
    const char *op = ops[below(t, 4)];
    int64_t kind = below(t, 4), ones[4] = {x.c, 1, 1, 1};
    us_vid other = x.v;
    if (kind == 0) {
        other = weights(t, t->rank - 1, ones);
    } else if (kind == 1) {
        y->v = us_b2(&t->b, "PRelu", x.v, weights(t, t->rank - 1, ones));
        return true;
    } else if (kind == 2 && t->rank == 4) {
        other = us_b2(&t->b, "ReduceMax", x.v, us_b_i64s(&t->b, 1, (int64_t[]){1}));
    } else {
        bool found = false;
        for (size_t i = t->n; i-- > 0 && !found;) {
            const val *z = &t->at[i];
            found = z->v != x.v && z->c == x.c && z->h == x.h && z->w == x.w;
            if (found) other = z->v;
        }
        if (!found) other = us_b1(&t->b, "GlobalAveragePool", x.v);
    }
    y->v = below(t, 2) ? us_b2(&t->b, op, x.v, other) : us_b2(&t->b, op, other, x.v);
    return true;
}

static bool joined(net *t, val x, val *y)
{
    for (size_t i = t->n; i-- > 0;) {
        const val *z = &t->at[i];
        if (z->h != x.h || z->w != x.w) continue;
        y->v = us_b2(&t->b, "Concat", x.v, z->v);
        us_b_int(&t->b, "axis", below(t, 2) ? 1 : 1 - t->rank);
        y->c = x.c + z->c;
        return y->c <= 80;
    }
    return false;
}

static bool scaled(net *t, val x, val *y)
{
    if (t->rank != 4 || x.h > 12 || x.w > 12) return false;
    const float by[4] = {1, 1, 2, 1.5F};
    us_vid in[3] = {x.v, US_NIL, us_b_const(&t->b, NULL, US_F32, 1, (int64_t[]){4}, by)};
    y->v = us_b_node(&t->b, "", "Resize", 3, in, 1, NULL);
    us_b_str(&t->b, "mode", below(t, 2) ? "nearest" : "linear");
    us_b_str(&t->b, "coordinate_transformation_mode", "asymmetric");
    us_b_str(&t->b, "nearest_mode", "floor");
    y->h = x.h * 2;
    y->w = x.w * 3 / 2;
    return true;
}

static bool padded(net *t, val x, val *y)
{
    if (t->rank != 4) return false;
    int64_t p[8] = {0, 0, 1, 2, 0, 0, 0, 1};
    y->v = us_b3(&t->b, "Pad", x.v, us_b_i64s(&t->b, 8, p), us_b_f32(&t->b, 0.25F));
    y->h = x.h + 1;
    y->w = x.w + 3;
    return true;
}

static bool normal(net *t, val x, val *y)
{
    us_vid in[5] = {x.v};
    float v[80];
    for (int i = 1; i < 5; i++) {
        for (int64_t k = 0; k < x.c; k++)
            v[k] = us_rng_f32(&t->r) + 0.25F;
        in[i] = us_b_const(&t->b, NULL, US_F32, 1, &x.c, v);
    }
    y->v = us_b_node(&t->b, "", "BatchNormalization", 5, in, 1, NULL);
    return true;
}

static bool instance(net *t, val x, val *y)
{
    us_vid scale = weights(t, 1, &x.c), bias = weights(t, 1, &x.c);
    if (x.h * x.w < 6) return false; /* of nearly equal numbers the result is noise */
    y->v = us_b3(&t->b, "InstanceNormalization", x.v, scale, bias);
    us_b_float(&t->b, "epsilon", 0.01F);
    return true;
}

static bool turned(net *t, val x, val *y)
{
    (void)t;
    y->v = us_b1(&t->b, "Transpose", us_b1(&t->b, "Neg", us_b1(&t->b, "Transpose", x.v)));
    return true;
}

static const struct {
    bool (*fn)(net *, val, val *);
    int weight;
} makers[] = {{conv, 8},       {unary, 4},  {binary, 5}, {pool, 3},     {joined, 2},
              {scaled, 1},     {padded, 1}, {normal, 1}, {instance, 1}, {turned, 1},
              {transposed, 3}, {sliced, 1}, {split, 1}};

static void grow(net *t)
{
    size_t from = below(t, 4) == 0 ? 0 : (t->n > 3 ? t->n - 3 : 0);
    val x = t->at[from + (size_t)below(t, (int64_t)(t->n - from))], y = x;
    int64_t total = 0, i = 0;
    for (size_t k = 0; k < US_LEN(makers); k++)
        total += makers[k].weight;
    int64_t pick = below(t, total);
    while (pick >= makers[i].weight)
        pick -= makers[i++].weight;
    if (makers[i].fn(t, x, &y)) t->at[t->n++] = y;
}

static us_model *net_model(us_ctx *c, uint64_t seed, size_t *n_out, int64_t *dims)
{
    static const int64_t channels[] = {1, 3, 8, 16, 20};
    us_model *m;
    us_sym s[3];
    net t = {.r = us_rng_new(seed, "net", 0)};
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_model_set_opset(c, m, (us_sv){0}, 18));
    const char *names[3] = {"N", "H", "W"};
    for (int i = 0; i < 3; i++)
        CHECK_OK(c, us_syms_named(c, &m->syms, us_sv_of(names[i]), &s[i]));
    t.rank = 3 + (below(&t, 4) > 0);
    t.sized = below(&t, 2) != 0;
    val x = {.c = channels[below(&t, 5)], .h = 4 + below(&t, 14), .w = 4 + below(&t, 20)};
    if (t.rank == 3) x.h = 1;
    int64_t full[4] = {1 + below(&t, 2), x.c, x.h, x.w};
    if (t.rank == 3) full[2] = x.w;
    us_dim d[4] = {US_DIM_SYM(s[0]), US_DIM(x.c), US_DIM_SYM(s[1]), US_DIM_SYM(s[2])};
    if (t.rank == 3) d[2] = d[3];
    for (int i = 0; i < t.rank; i++) {
        if (t.sized) d[i] = US_DIM(full[i]);
        dims[i] = full[i];
    }
    dims[t.rank] = -1;
    us_type type = us_type_tensor(US_F32, t.rank, d);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &type, &x.v));
    t.b = us_b_begin(c, m->main, "r");
    t.at[t.n++] = x;
    size_t want = 3 + (size_t)below(&t, MAX_VALUES - 4);
    for (int tries = 0; tries < 100 && t.n < want; tries++)
        grow(&t);
    CHECK_OK(c, us_b_end(&t.b));
    *n_out = 0;
    for (size_t i = 0; i < MAX_OUT && i < t.n - 1; i++) {
        us_vid v = t.at[t.n - 1 - i * (1 + i)].v;
        if (v != x.v) CHECK_OK(c, us_graph_add_output(c, m->main, v));
        *n_out += v != x.v;
        if (t.n < 2 + (i + 1) * (2 + i)) break;
    }
    return m;
}

static void same(uint64_t seed, size_t out, const us_value *a, const us_value *b)
{
    CHECK_EQ_I64(a->t.rank, b->t.rank);
    for (int32_t i = 0; i < a->t.rank; i++)
        CHECK_EQ_I64(a->t.dims[i], b->t.dims[i]);
    double top = 1e-3, worst = 0;
    for (int64_t i = 0; i < us_tensor_count(&a->t); i++) {
        double want = (double)f32_at(a)[i];
        top = fmax(top, fabs(want));
        worst = fmax(worst, fabs((double)f32_at(b)[i] - want));
    }
    if (!(worst <= 2e-5 * top))
        US_TEST_FAIL("seed %d, output %zu: off by %g of %g", (int)seed, out, worst, top);
}

static bool has_op(const us_plan *p, const char *op)
{
    const us_graph *g = us_plan_model(p)->main;
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        if (us_sv_is(n->domain, "usta") && us_sv_is(n->op_type, op)) return true;
    }
    return false;
}

/* True when the plan has blocked convolutions. */
static bool check_net(uint64_t seed, us_pool *pool)
{
    fixture f, g;
    size_t n_out, n_same;
    int64_t dims[5];
    us_value want[MAX_OUT], got[MAX_OUT];
    fixture_begin(&f);
    fixture_begin(&g);
    us_model *m = net_model(&f.c, seed, &n_out, dims),
             *m2 = net_model(&g.c, seed, &n_same, dims);
    bool sized = us_dim_known(m->main->vals.at[m->main->inputs.at[0]].type.dims[0]);
    CHECK_OK(&f.c, us_plan_new(&f.c, m, &(us_plan_opts){.no_passes = true}, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    CHECK_OK(&g.c, us_plan_new(&g.c, m2, NULL, &g.plan));
    CHECK_OK(&g.c, us_session_new(&g.c, g.plan, NULL, &g.s));
    for (int round = 0; round < 3; round++) {
        if (round == 1 && !sized) {
            for (int i = 2; dims[i] >= 0; i++)
                dims[i]--;
            dims[0] = 3 - dims[0];
        }
        us_value x = random_f32(&f, dims, seed + 1000 + (uint64_t)round);
        g.c.pool = round == 2 ? pool : NULL;
        us_err e = us_session_run(&f.c, f.s, &x, want);
        CHECK(round > 0 || e == US_OK);
        if (e != US_OK)
            continue; /* the second size does not meet in a Concat that nobody reads, say */
        CHECK_OK(&g.c, us_session_run(&g.c, g.s, &x, got));
        for (size_t i = 0; i < n_out; i++)
            same(seed, i, &want[i], &got[i]);
    }
    bool blocked = has_op(g.plan, "Conv");
    fixture_end(&f);
    fixture_end(&g);
    return blocked;
}

static void test_random__blocked_as_plain(void)
{
    us_ctx c;
    us_pool *pool;
    size_t n_blocked = 0;
    us_ctx_init(&c);
    CHECK_OK(&c, us_pool_new(&c, 2, &pool));
    for (uint64_t seed = 0; seed < 250; seed++)
        n_blocked += check_net(seed, pool);
    CHECK(n_blocked > 150);
    us_pool_free(pool);
    us_ctx_deinit(&c);
}

/* A residual block: two convolutions and nothing between them but what a convolution does itself. */
static void test_fusion__residual_and_activation(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m;
    us_vid x;
    CHECK_OK(&f.c, us_model_new(&f.c, &m));
    us_dim d[4] = {US_DIM(1), US_DIM(32), US_DIM(9), US_DIM(9)};
    us_type type = us_type_tensor(US_F32, 4, d);
    CHECK_OK(&f.c, us_graph_add_input(&f.c, m->main, US_SV("x"), &type, &x));
    net t = {.r = us_rng_new(1, "net", 0)};
    t.b = us_b_begin(&f.c, m->main, "r");
    int64_t wd[4] = {32, 32, 3, 3}, pads[4] = {1, 1, 1, 1};
    us_vid y = us_b2(&t.b, "Conv", x, weights(&t, 4, wd));
    us_b_ints(&t.b, "pads", 4, pads);
    us_vid z = us_b1(&t.b, "Relu", y);
    y = us_b2(&t.b, "Conv", z, weights(&t, 4, wd));
    us_b_ints(&t.b, "pads", 4, pads);
    y = us_b1(&t.b, "Relu", us_b2(&t.b, "Add", z, y));
    CHECK_OK(&f.c, us_b_end(&t.b));
    CHECK_OK(&f.c, us_graph_add_output(&f.c, m->main, y));
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    const us_graph *g = us_plan_model(f.plan)->main;
    static const char *const want[] = {"ReorderIn", "Conv", "Conv", "ReorderOut"};
    CHECK_EQ_U64(g->order.n, 4);
    for (size_t i = 0; i < 4; i++)
        CHECK(us_sv_is(g->nodes.at[g->order.at[i]].op_type, want[i]));
    fixture_end(&f);
}

/* A product alone stays one: two reorders would cost more than they bring. */
static void test_layout__a_lone_product_stays(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m;
    us_vid x;
    CHECK_OK(&f.c, us_model_new(&f.c, &m));
    us_dim d[4] = {US_DIM(1), US_DIM(32), US_DIM(9), US_DIM(9)};
    us_type type = us_type_tensor(US_F32, 4, d);
    CHECK_OK(&f.c, us_graph_add_input(&f.c, m->main, US_SV("x"), &type, &x));
    net t = {.r = us_rng_new(1, "net", 0)};
    t.b = us_b_begin(&f.c, m->main, "r");
    us_vid y = us_b2(&t.b, "Conv", x, weights(&t, 4, (int64_t[]){32, 32, 1, 1}));
    CHECK_OK(&f.c, us_b_end(&t.b));
    CHECK_OK(&f.c, us_graph_add_output(&f.c, m->main, y));
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    CHECK(!has_op(f.plan, "Conv"));
    fixture_end(&f);
}

/* Two convolutions and a residual over a column: rows of one pixel, which are taken as one row. */
static us_model *column(us_ctx *c, const int64_t *k, int64_t groups)
{
    us_model *m;
    us_vid x;
    CHECK_OK(c, us_model_new(c, &m));
    us_dim d[4] = {US_DIM(2), US_DIM(32), US_DIM(37), US_DIM(1)};
    us_type type = us_type_tensor(US_F32, 4, d);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &type, &x));
    net t = {.r = us_rng_new(1, "column", 0)};
    t.b = us_b_begin(c, m->main, "c");
    us_vid at = x;
    for (int i = 0; i < 2; i++) {
        us_vid w = weights(&t, 4, (int64_t[]){32, 32 / groups, k[0], 1});
        at = us_b3(&t.b, "Conv", at, w, weights(&t, 1, (int64_t[]){32}));
        us_b_int(&t.b, "group", groups);
        us_b_ints(&t.b, "strides", 2, (int64_t[]){i ? 1 : k[1], 1 + (int64_t)i});
        us_b_ints(&t.b, "dilations", 2, (int64_t[]){i ? 1 : k[2], 1});
        us_b_ints(&t.b, "pads", 4, (int64_t[]){i ? k[0] / 2 : k[3], 0, i ? k[0] / 2 : 1, 0});
        if (i) at = us_b2(&t.b, "Add", at, x);
        at = us_b1(&t.b, "Relu", at);
        x = at;
    }
    CHECK_OK(c, us_b_end(&t.b));
    CHECK_OK(c, us_graph_add_output(c, m->main, at));
    return m;
}

static void test_column__as_a_row(void)
{
    static const int64_t kernels[][4] = {{1, 1, 1, 0}, {3, 1, 1, 1}, {3, 2, 1, 0},
                                         {5, 1, 1, 2}, {5, 3, 2, 4}, {3, 1, 7, 14}};
    static const int64_t groups[] = {1, 2, 32};
    for (size_t i = 0; i < US_LEN(kernels) * US_LEN(groups); i++) {
        fixture f, g;
        us_value want, got;
        fixture_begin(&f);
        fixture_begin(&g);
        const int64_t *k = kernels[i / US_LEN(groups)], n = groups[i % US_LEN(groups)];
        us_model *m = column(&f.c, k, n), *m2 = column(&g.c, k, n);
        CHECK_OK(&f.c, us_plan_new(&f.c, m, &(us_plan_opts){.no_passes = true}, &f.plan));
        CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
        CHECK_OK(&g.c, us_plan_new(&g.c, m2, NULL, &g.plan));
        CHECK_OK(&g.c, us_session_new(&g.c, g.plan, NULL, &g.s));
        us_value x = random_f32(&f, (int64_t[]){2, 32, 37, 1, -1}, 5);
        CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &want));
        CHECK_OK(&g.c, us_session_run(&g.c, g.s, &x, &got));
        CHECK(has_op(g.plan, "Conv"));
        same(i, 0, &want, &got);
        fixture_end(&f);
        fixture_end(&g);
    }
}

static const us_test_case cases[] = {
    US_CASE(test_random__blocked_as_plain),
    US_CASE(test_fusion__residual_and_activation),
    US_CASE(test_layout__a_lone_product_stays),
    US_CASE(test_column__as_a_row),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
