/* 8-bit operators as bound calls: the same bytes as their plain evaluation, with passes and without, at 1 and 2 threads.
 *
 * The plain way runs the model as it comes, every step by its eval; the other one has its convolutions turned to channels last and every
 * 8-bit operator bound, which is checked by name. Numbers are extreme as often as not.
 */
#include "exec_fixture.h"

#include "ir/op.h"

#define MS "com.microsoft"

typedef struct maker {
    us_ctx *c;
    us_model *m;
    us_builder b;
    us_rng r;
    us_value in[4];
    size_t n_in;
    fixture *f;
} maker;

static void fill(us_rng *r, us_tensor *t)
{
    uint8_t *p = t->data;
    static const uint8_t ends[] = {0, 255, 127, 128};
    for (int64_t i = 0; i < us_tensor_count(t); i++)
        if (t->dtype == US_F32)
            ((float *)t->data)[i] = (us_rng_f32(r) - 0.5F) * 8;
        else if (t->dtype == US_I32)
            ((int32_t *)t->data)[i] = (int32_t)us_rng_below(r, 4000) - 2000;
        else
            p[i] =
                us_rng_below(r, 3) ? ends[us_rng_below(r, 4)] : (uint8_t)us_rng_below(r, 256);
}

static us_vid input(maker *k, us_dtype type, const int64_t *dims)
{
    us_value v = tensor_of(k->f, type, dims, NULL);
    us_dim d[US_MAX_RANK];
    us_vid x;
    char name[] = {'x', (char)('0' + k->n_in), 0};
    fill(&k->r, &v.t);
    for (int i = 0; i < v.t.rank; i++)
        d[i] = US_DIM(dims[i]);
    us_type t = us_type_tensor(type, v.t.rank, d);
    CHECK_OK(k->c, us_graph_add_input(k->c, k->m->main, us_sv_of(name), &t, &x));
    k->in[k->n_in++] = v;
    return x;
}

static us_vid constant(maker *k, us_dtype type, const int64_t *dims)
{
    us_value v = tensor_of(k->f, type, dims, NULL);
    fill(&k->r, &v.t);
    return us_b_const(&k->b, NULL, type, v.t.rank, v.t.dims, v.t.data);
}

static us_vid scale_of(maker *k, size_t n)
{
    float s[64];
    int64_t dim = (int64_t)n;
    for (size_t i = 0; i < n; i++)
        s[i] = 0.01F + us_rng_f32(&k->r) * 0.05F;
    return us_b_const(&k->b, NULL, US_F32, n > 1, &dim, s);
}

static us_vid zero_of(maker *k, us_dtype type, size_t n, bool none)
{
    uint8_t z[64] = {0};
    int64_t dim = (int64_t)n;
    for (size_t i = 0; i < n; i++)
        z[i] = none ? 0 : (uint8_t)us_rng_below(&k->r, 256);
    return us_b_const(&k->b, NULL, type, n > 1, &dim, z);
}

static us_vid node(maker *k, const char *domain, const char *op, size_t n, const us_vid *in)
{
    return us_b_node(&k->b, domain, op, n, in, 1, NULL);
}

typedef us_vid make_fn(maker *k, size_t i);

typedef struct way {
    bool plain;
    int threads;
} way;

/* The model of case i run one way; its outputs' bytes, in the fixture's arena. n_bound: steps of kernels for 8 bits. */
static us_value run_way(fixture *f, make_fn *make, size_t i, way w, size_t *n_bound)
{
    us_plan *p;
    us_session *s;
    us_pool *pool = NULL;
    us_value y;
    maker k = {.c = &f->c, .r = us_rng_new(i, "quant", 0), .f = f};
    CHECK_OK(&f->c, us_model_new(&f->c, &k.m));
    CHECK_OK(&f->c, us_model_set_opset(&f->c, k.m, US_SV(MS), 1));
    k.b = us_b_begin(&f->c, k.m->main, "t");
    us_vid out = make(&k, i);
    us_b_name(&k.b, out, "y");
    CHECK_OK(&f->c, us_b_end(&k.b));
    CHECK_OK(&f->c, us_graph_add_output(&f->c, k.m->main, out));
    if (w.threads > 1) CHECK_OK(&f->c, us_pool_new(&f->c, w.threads, &pool));
    f->c.pool = pool;
    us_plan_opts po = {.no_passes = w.plain};
    CHECK_OK(&f->c, us_plan_new(&f->c, k.m, &po, &p));
    us_session_opts so = {.profile = true, .plain = w.plain};
    CHECK_OK(&f->c, us_session_new(&f->c, p, &so, &s));
    CHECK_OK(&f->c, us_session_run(&f->c, s, k.in, &y));
    CHECK_OK(&f->c, us_session_run(&f->c, s, k.in, &y));
    const us_profile_row *rows;
    size_t n = us_session_profile(s, &rows);
    *n_bound = 0;
    for (size_t j = 0; j < n; j++)
        *n_bound += rows[j].kernel &&
                    (strstr(rows[j].kernel, "int8") || strstr(rows[j].kernel, "table"));
    us_value copy = tensor_of(f, US_U8, DIMS((int64_t)us_tensor_bytes(&y.t)), y.t.data);
    us_session_free(s);
    us_plan_free(p);
    us_pool_free(pool);
    f->c.pool = NULL;
    return copy;
}

/* least: steps that must have been bound. */
static void same_both_ways(make_fn *make, size_t i, size_t least)
{
    fixture f;
    size_t n;
    fixture_begin(&f);
    us_value plain = run_way(&f, make, i, (way){.plain = true, .threads = 1}, &n);
    for (int threads = 1; threads <= 2; threads++) {
        us_value bound = run_way(&f, make, i, (way){.threads = threads}, &n);
        if (n < least) US_TEST_FAIL("case %zu: %zu steps bound, expected %zu", i, n, least);
        CHECK_EQ_I64(us_tensor_count(&bound.t), us_tensor_count(&plain.t));
        const uint8_t *a = plain.t.data, *b = bound.t.data;
        for (int64_t j = 0; j < us_tensor_count(&plain.t); j++)
            if (a[j] != b[j])
                US_TEST_FAIL("case %zu, byte %lld: %d plain, %d bound", i, (long long)j, a[j],
                             b[j]);
    }
    fixture_end(&f);
}

/* --- convolutions --------------------------------------------------------------------------------------- */

typedef struct conv_case {
    int64_t x[6], w[6]; /* [N,C,...], [M,C/g,...], end with -1 */
    int64_t group, stride, pad, dilation;
    us_dtype xt, wt;
    bool per_channel, w_zero, bias;
} conv_case;

static const conv_case convs[] = {
    {{1, 3, 17, 19, -1}, {20, 3, 3, 3, -1}, 1, 2, 1, 1, US_U8, US_I8, true, false, true},
    {{2, 16, 9, 7, -1}, {33, 16, 1, 1, -1}, 1, 1, 0, 1, US_U8, US_I8, true, false, true},
    {{2, 5, 9, 7, -1}, {8, 5, 1, 1, -1}, 1, 2, 0, 1, US_U8, US_U8, false, true, false},
    {{1, 16, 12, 12, -1}, {12, 16, 6, 6, -1}, 1, 1, 3, 1, US_I8, US_I8, false, false, true},
    {{1, 1, 20, 11, -1}, {16, 1, 8, 8, -1}, 1, 1, 4, 1, US_I8, US_I8, true, true, true},
    {{1, 70, 9, 9, -1}, {70, 1, 3, 3, -1}, 70, 1, 1, 1, US_U8, US_I8, true, false, true},
    {{2, 33, 10, 8, -1}, {33, 1, 3, 3, -1}, 33, 2, 1, 1, US_I8, US_I8, false, false, true},
    {{1, 8, 12, 12, -1}, {8, 1, 5, 5, -1}, 8, 1, 4, 2, US_U8, US_I8, false, false, false},
    {{1, 8, 2, 2, -1}, {8, 1, 5, 5, -1}, 8, 1, 4, 1, US_U8, US_I8, false, false, false},
    {{1, 12, 9, 9, -1}, {8, 6, 3, 3, -1}, 2, 1, 1, 1, US_U8, US_I8, true, true, true},
    {{1, 16, 9, 10, -1}, {16, 4, 3, 3, -1}, 4, 1, 1, 1, US_U8, US_I8, true, true, true},
    {{2, 24, 8, 8, -1}, {36, 2, 3, 3, -1}, 12, 2, 1, 1, US_I8, US_U8, true, true, true},
    {{1, 14, 11, -1}, {14, 2, 3, -1}, 7, 1, 2, 2, US_U8, US_U8, false, true, false},
    {{1, 12, 5, 6, 7, -1}, {12, 3, 2, 3, 2, -1}, 4, 1, 1, 1, US_U8, US_U8, true, true, true},
    {{1, 40, 6, 6, -1}, {50, 4, 1, 1, -1}, 10, 1, 0, 1, US_U8, US_I8, true, true, true},
    {{1, 6, 13, 13, -1}, {9, 6, 3, 3, -1}, 1, 1, 2, 2, US_U8, US_I8, true, false, true},
    {{1, 6, 40, -1}, {9, 6, 5, -1}, 1, 2, 2, 1, US_U8, US_I8, true, false, true},
    {{1, 6, 40, -1}, {6, 1, 5, -1}, 6, 1, 2, 1, US_I8, US_I8, true, false, true},
    {{1, 3, 5, 6, 7, -1}, {4, 3, 2, 3, 2, -1}, 1, 1, 1, 1, US_U8, US_I8, true, false, true},
    {{1, 64, 14, 14, -1}, {70, 64, 3, 3, -1}, 1, 1, 1, 1, US_U8, US_U8, false, true, true},
};

static void window_attrs(maker *k, const conv_case *t)
{
    int64_t v[6];
    size_t n = 0;
    while (t->x[n + 2] >= 0)
        n++;
    for (size_t i = 0; i < 2 * n; i++)
        v[i] = t->pad;
    us_b_ints(&k->b, "pads", 2 * n, v);
    for (size_t i = 0; i < n; i++)
        v[i] = t->stride;
    us_b_ints(&k->b, "strides", n, v);
    for (size_t i = 0; i < n; i++)
        v[i] = t->dilation;
    us_b_ints(&k->b, "dilations", n, v);
    us_b_int(&k->b, "group", t->group);
}

static us_vid make_conv(maker *k, size_t i)
{
    const conv_case *t = &convs[i];
    size_t m = t->per_channel ? US_MIN((size_t)t->w[0], (size_t)64) : 1;
    if (t->w[0] > 64) m = 1;
    us_vid in[9];
    in[0] = input(k, t->xt, t->x);
    in[1] = scale_of(k, 1);
    in[2] = zero_of(k, t->xt, 1, false);
    in[3] = constant(k, t->wt, t->w);
    in[4] = scale_of(k, m);
    in[5] = zero_of(k, t->wt, t->w_zero ? m : 1, !t->w_zero);
    in[6] = scale_of(k, 1);
    in[7] = zero_of(k, t->xt, 1, false);
    if (t->bias) in[8] = constant(k, US_I32, DIMS(t->w[0]));
    us_vid y = node(k, "", "QLinearConv", t->bias ? 9 : 8, in);
    window_attrs(k, t);
    return y;
}

static void test_conv__windows_groups_types_and_zero_points(void)
{
    for (size_t i = 0; i < US_LEN(convs); i++)
        same_both_ways(make_conv, i, 1);
}

/* --- products ------------------------------------------------------------------------------------------- */

static us_vid make_product(maker *k, size_t i)
{
    bool fixed = i % 2, is_signed = i / 2 % 2, w_signed = i / 4 % 2, zero = i / 8 % 2;
    us_dtype at = is_signed ? US_I8 : US_U8, wt = w_signed ? US_I8 : US_U8;
    int64_t n = 1 + (int64_t)(i * 13 % 50), kk = 1 + (int64_t)(i * 29 % 90);
    us_vid a = input(k, at, DIMS(2, 1 + (int64_t)(i % 20), kk));
    us_vid b = fixed ? constant(k, wt, DIMS(kk, n)) : input(k, wt, DIMS(kk, n));
    us_vid az = zero_of(k, at, 1, false), bz = zero_of(k, wt, i % 3 ? 1 : (size_t)n, !zero);
    if (i % 5 < 2 && !(fixed && i % 3 == 0)) {
        us_vid s = node(k, "", "MatMulInteger", 4, (us_vid[]){a, b, az, bz});
        if (i % 5) return s;
        us_vid f = us_b1(&k->b, "Cast", s);
        us_b_int(&k->b, "to", US_F32);
        f = us_b2(&k->b, "Mul", f, scale_of(k, (size_t)n));
        return us_b2(&k->b, "Add", constant(k, US_F32, DIMS(n)), f);
    }
    us_vid sa = scale_of(k, 1), sb = scale_of(k, i % 3 ? 1 : (size_t)n), sy = scale_of(k, 1),
           yz = zero_of(k, at, 1, false);
    return node(k, "", "QLinearMatMul", 8, (us_vid[]){a, sa, az, b, sb, bz, sy, yz});
}

static us_vid make_qgemm(maker *k, size_t i)
{
    bool trans = i % 2, floats = i / 2 % 2;
    int64_t n = 40, kk = 30;
    us_vid in[9] = {input(k, US_U8, DIMS(5, kk)), scale_of(k, 1), zero_of(k, US_U8, 1, false)};
    in[3] = constant(k, US_I8, trans ? DIMS(n, kk) : DIMS(kk, n));
    in[4] = scale_of(k, (size_t)n);
    in[5] = zero_of(k, US_I8, (size_t)n, true);
    in[6] = constant(k, US_I32, DIMS(n));
    in[7] = scale_of(k, 1);
    in[8] = zero_of(k, US_U8, 1, false);
    us_vid y = node(k, MS, "QGemm", floats ? 7 : 9, in);
    us_b_int(&k->b, "transB", trans);
    us_b_float(&k->b, "alpha", 0.75F);
    return y;
}

static us_vid make_dynamic(maker *k, size_t i)
{
    int64_t n = 33, kk = 20 + (int64_t)i;
    us_vid in[5] = {input(k, US_F32, DIMS(7, kk)), constant(k, US_I8, DIMS(kk, n)),
                    scale_of(k, 1), zero_of(k, US_I8, 1, i % 2), constant(k, US_F32, DIMS(n))};
    return node(k, MS, "DynamicQuantizeMatMul", i % 3 ? 5 : 4, in);
}

static void test_products__weights_that_are_fixed_and_that_change(void)
{
    for (size_t i = 0; i < 64; i++)
        same_both_ways(make_product, i, 1);
    for (size_t i = 0; i < 4; i++)
        same_both_ways(make_qgemm, i, 1);
    for (size_t i = 0; i < 6; i++)
        same_both_ways(make_dynamic, i, 2);
}

/* --- what stands between convolutions --------------------------------------------------------------------- */

static us_vid conv_of(maker *k, us_vid x, int64_t c, int64_t m, us_dtype t)
{
    us_vid in[8] = {x, scale_of(k, 1), zero_of(k, t, 1, false)};
    in[3] = constant(k, US_I8, DIMS(m, c, 3, 3));
    in[4] = scale_of(k, 1);
    in[5] = zero_of(k, US_I8, 1, true);
    in[6] = scale_of(k, 1);
    in[7] = zero_of(k, t, 1, false);
    us_vid y = node(k, "", "QLinearConv", 8, in);
    us_b_ints(&k->b, "pads", 4, (const int64_t[]){1, 1, 1, 1});
    return y;
}

static us_vid two_of(maker *k, const char *op, us_vid a, us_vid b, us_dtype t)
{
    us_vid in[8] = {a,
                    scale_of(k, 1),
                    zero_of(k, t, 1, false),
                    b,
                    scale_of(k, 1),
                    zero_of(k, t, 1, false),
                    scale_of(k, 1),
                    zero_of(k, t, 1, false)};
    return node(k, MS, op, 8, in);
}

static us_vid one_of(maker *k, const char *op, us_vid a, us_dtype t)
{
    us_vid in[5] = {a, scale_of(k, 1), zero_of(k, t, 1, false), scale_of(k, 1),
                    zero_of(k, t, 1, false)};
    return node(k, MS, op, 5, in);
}

static us_vid make_net(maker *k, size_t i)
{
    us_dtype t = i % 2 ? US_I8 : US_U8;
    us_vid x = input(k, t, DIMS(2, 6, 15, 11)), a = conv_of(k, x, 6, 10, t),
           b = conv_of(k, x, 6, 10, t);
    us_vid sum = two_of(k, "QLinearAdd", a, b, t), product = two_of(k, "QLinearMul", sum, a, t);
    us_vid leaky = one_of(k, "QLinearLeakyRelu", product, t);
    us_vid both[8] = {scale_of(k, 1), zero_of(k, t, 1, false), leaky,
                      scale_of(k, 1), zero_of(k, t, 1, false), b,
                      scale_of(k, 1), zero_of(k, t, 1, false)};
    us_vid joined = node(k, MS, "QLinearConcat", 8, both);
    us_b_int(&k->b, "axis", 1);
    us_vid most = us_b1(&k->b, "MaxPool", joined);
    us_b_ints(&k->b, "kernel_shape", 2, (const int64_t[]){3, 2});
    us_b_ints(&k->b, "strides", 2, (const int64_t[]){2, 1});
    us_b_ints(&k->b, "pads", 4, (const int64_t[]){1, 1, 1, 0});
    us_vid mean = one_of(k, "QLinearAveragePool", most, t);
    us_b_ints(&k->b, "kernel_shape", 2, (const int64_t[]){2, 3});
    us_b_ints(&k->b, "pads", 4, (const int64_t[]){1, 0, 0, 1});
    us_b_int(&k->b, "count_include_pad", i / 2 % 2);
    us_vid curve = one_of(k, "QLinearSigmoid", mean, t);
    if (i < 4) return curve;
    return one_of(k, "QLinearGlobalAveragePool", conv_of(k, curve, 20, 5, t), t);
}

static void test_between_convolutions__stays_with_channels_last(void)
{
    for (size_t i = 0; i < 6; i++)
        same_both_ways(make_net, i, i < 4 ? 9 : 11);
}

static us_vid make_two(maker *k, size_t i)
{
    static const int64_t shapes[][2][5] = {
        {{3, 4, 50, -1}, {3, 4, 50, -1}},
        {{3, 4, 50, -1}, {50, -1}},
        {{50, -1}, {3, 4, 50, -1}},
        {{3, 4, 50, -1}, {1, -1}},
        {{1, -1}, {3, 4, 50, -1}},
        {{3, 4, 50, -1}, {4, 50, -1}},
        {{1, -1}, {1, -1}},
        {{1, 4, 50, -1}, {4, 50, -1}},
        {{2, 5, 6, 7, -1}, {2, 5, 1, 1, -1}},
        {{2, 1, 1, 7, -1}, {2, 5, 6, 7, -1}},
        {{2, 5, 6, 7, -1}, {1, 1, 6, 7, -1}},
    };
    us_dtype t = i / 2 % 2 ? US_I8 : US_U8;
    const int64_t(*s)[5] = shapes[i / 4];
    us_vid a = input(k, t, s[0]), b = input(k, t, s[1]);
    return two_of(k, i % 2 ? "QLinearMul" : "QLinearAdd", a, b, t);
}

static void test_two_tensors__broadcast_by_last_axes(void)
{
    for (size_t i = 0; i < 44; i++)
        same_both_ways(make_two, i, 1);
}

/* --- conversions ------------------------------------------------------------------------------------------ */

static us_vid make_conversion(maker *k, size_t i)
{
    us_dtype t = i % 2 ? US_I8 : US_U8;
    bool per_axis = i / 2 % 2;
    size_t n = per_axis ? 5 : 1;
    us_vid s = scale_of(k, n), z = zero_of(k, t, n, i / 4 % 2);
    if (i / 8 % 2) {
        us_vid y = us_b3(&k->b, "DequantizeLinear", input(k, t, DIMS(3, 5, 21)), s, z);
        us_b_int(&k->b, "axis", -2);
        return y;
    }
    us_vid x = input(k, US_F32, DIMS(3, 5, 21));
    static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30F, -0.0F};
    for (size_t j = 0; j < US_LEN(odd); j++)
        ((float *)k->in[0].t.data)[j * 11] = odd[j];
    us_vid y = us_b3(&k->b, "QuantizeLinear", x, s, z);
    us_b_int(&k->b, "axis", 1);
    return y;
}

static us_vid make_ranged(maker *k, size_t i)
{
    us_vid x = input(k, US_F32, DIMS(3, 5, 7 + (int64_t)i));
    if (i == 2) memset(k->in[0].t.data, 0, us_tensor_bytes(&k->in[0].t));
    us_vid y[3];
    us_b_node(&k->b, "", "DynamicQuantizeLinear", 1, &x, 3, y);
    us_vid back = us_b3(&k->b, "DequantizeLinear", y[0], y[1], y[2]);
    return us_b2(&k->b, "Sub", back, y[1]);
}

static void test_conversions__one_scale_and_one_per_axis(void)
{
    for (size_t i = 0; i < 16; i++)
        same_both_ways(make_conversion, i, 1);
    for (size_t i = 0; i < 4; i++)
        same_both_ways(make_ranged, i, 1);
}

static const us_test_case cases[] = {
    US_CASE(test_conv__windows_groups_types_and_zero_points),
    US_CASE(test_products__weights_that_are_fixed_and_that_change),
    US_CASE(test_between_convolutions__stays_with_channels_last),
    US_CASE(test_two_tensors__broadcast_by_last_axes),
    US_CASE(test_conversions__one_scale_and_one_per_axis),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
