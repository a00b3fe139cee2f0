/* Hand-made bytes into graphs: what is kept, how tensors travel, captures, old files, values of test data. */
#include "pb.h"

#include "ir/op.h"
#include "onnx/onnx.h"

typedef struct fixture {
    us_ctx c;
    us_alloc_count count;
    us_arena *a;
} fixture;

static void begin(fixture *f)
{
    memset(f, 0, sizeof *f);
    us_ctx_init(&f->c);
    f->c.alloc = us_alloc_counting(&f->count, us_alloc_heap());
    CHECK_OK(&f->c, us_arena_new(&f->c, "test", (size_t)1 << 30, &f->a));
}

static void end(fixture *f)
{
    us_arena_free(f->a);
    CHECK_EQ_U64(f->count.live_bytes, 0);
    us_ctx_deinit(&f->c);
}

static us_model *read_ok(fixture *f, const pb *m)
{
    us_model *r = NULL;
    CHECK_OK(&f->c, us_onnx_parse(&f->c, "test", m->p, m->n, NULL, NULL, &r));
    CHECK_OK(&f->c, us_graph_verify(&f->c, r->main));
    return r;
}

static void read_bad(fixture *f, const pb *m, us_err code, const char *words)
{
    us_model *r = NULL;
    CHECK_ERR(us_onnx_parse(&f->c, "test", m->p, m->n, NULL, NULL, &r), code);
    if (!strstr(f->c.diag.text, words))
        US_TEST_FAIL("\"%s\" does not say \"%s\"", f->c.diag.text, words);
    CHECK(r == NULL);
}

static void test_read__small(void)
{
    fixture f;
    pb m = {.n = 0};
    begin(&f);
    pb_small(&m);
    us_model *r = read_ok(&f, &m);
    const us_graph *g = r->main;
    CHECK_EQ_I64(r->ir_version, 8);
    CHECK_EQ_I64(us_model_opset(r, US_SV("")), 17);
    CHECK_EQ_U64(g->inputs.n, 1);
    CHECK_EQ_U64(g->outputs.n, 1);
    CHECK_EQ_U64(g->order.n, 1);
    const us_node *n = &g->nodes.at[0];
    CHECK(us_sv_is(n->op_type, "Add") && us_sv_is(n->name, "adder"));
    CHECK(us_sv_is(n->doc, "what it does"));
    CHECK(n->unknown.n > 10 && n->offset > 0);
    const us_val *w = &g->vals.at[us_graph_find(g, US_SV("w"))];
    CHECK(w->storage == US_ST_CONST && w->unknown.n > 10);
    CHECK_NEAR(us_tensor_f64_at(&w->data->t, 2), 3, 0);
    const us_val *x = &g->vals.at[g->inputs.at[0]];
    CHECK_EQ_I64(x->type.rank, 2);
    CHECK(!us_dim_known(x->type.dims[0]) && us_dim_eq(x->type.dims[1], US_DIM(3)));
    CHECK(us_sv_is(r->syms.names.at[x->type.dims[0].sym], "N"));
    us_sv v;
    CHECK(us_model_prop(r, "key", &v) && us_sv_is(v, "value"));
    us_model_free(r);
    end(&f);
}

/* One tensor of every way to carry numbers; values 1, 2. */
static void tensor_of(pb *t, int type, unsigned field, bool packed)
{
    static const float f2[] = {1, 2};
    static const double d2[] = {1, 2};
    static const uint8_t ints[] = {1, 2};
    static const uint8_t f16[] = {0x80, 0x78, 0x80, 0x80, 0x01}; /* 0x3c00, 0x4000 as varints */
    const int64_t dims[] = {2};
    pb_tensor_head(t, NULL, type, 1, dims);
    if (field == 4 && packed) pb_bytes(t, 4, f2, sizeof f2);
    if (field == 10) pb_bytes(t, 10, d2, sizeof d2);
    if (type == 10) {
        pb_bytes(t, 5, f16, sizeof f16);
    } else if (field == 5 || field == 7 || field == 11) {
        if (packed)
            pb_bytes(t, field, ints, sizeof ints);
        else
            for (int i = 1; i <= 2; i++)
                pb_int(t, field, i);
    }
    for (size_t i = 0; field == 4 && !packed && i < 2; i++) {
        pb_varint(t, 4 << 3 | 5);
        pb_raw(t, &f2[i], 4);
    }
}

static void test_tensor__typed_fields(void)
{
    static const struct {
        int type;
        unsigned field;
        bool packed;
    } rows[] = {{1, 4, true}, {1, 4, false}, {11, 10, true}, {6, 5, true},   {6, 5, false},
                {3, 5, true}, {2, 5, true},  {5, 5, false},  {4, 5, true},   {9, 5, true},
                {7, 7, true}, {7, 7, false}, {12, 11, true}, {13, 11, true}, {10, 5, true}};
    fixture f;
    begin(&f);
    for (size_t i = 0; i < US_LEN(rows); i++) {
        pb t = {.n = 0};
        us_tensor x;
        tensor_of(&t, rows[i].type, rows[i].field, rows[i].packed);
        CHECK_OK(&f.c, us_onnx_parse_tensor(&f.c, f.a, "t", t.p, t.n, &x));
        CHECK_EQ_I64(x.dtype, rows[i].type);
        CHECK_NEAR(us_tensor_f64_at(&x, 0), 1, 0);
        CHECK_NEAR(us_tensor_f64_at(&x, 1), rows[i].type == 9 ? us_tensor_f64_at(&x, 1) : 2, 0);
    }
    end(&f);
}

static void test_tensor__negative_int32(void)
{
    fixture f;
    begin(&f);
    pb t = {.n = 0};
    us_tensor x;
    const int64_t dims[] = {1};
    pb_tensor_head(&t, "t", 3, 1, dims);
    pb_int(&t, 5, -7); /* ten bytes */
    CHECK_OK(&f.c, us_onnx_parse_tensor(&f.c, f.a, "t", t.p, t.n, &x));
    CHECK_EQ_I64(us_tensor_i64_at(&x, 0), -7);
    end(&f);
}

static void test_tensor__wrong_counts(void)
{
    fixture f;
    begin(&f);
    const int64_t dims[] = {3};
    static const float two[] = {1, 2};
    us_tensor x;
    pb a = {.n = 0}, b = {.n = 0}, c = {.n = 0}, d = {.n = 0};
    pb_tensor_head(&a, "t", 1, 1, dims);
    pb_bytes(&a, 9, two, sizeof two); /* 8 bytes, 12 needed */
    CHECK_ERR(us_onnx_parse_tensor(&f.c, f.a, "t", a.p, a.n, &x), US_FORMAT);
    pb_tensor_head(&b, "t", 1, 1, dims);
    pb_bytes(&b, 4, two, sizeof two);
    CHECK_ERR(us_onnx_parse_tensor(&f.c, f.a, "t", b.p, b.n, &x), US_FORMAT);
    pb_tensor_head(&c, "t", 7, 1, dims);
    pb_bytes(&c, 7, "\1\2\3\4", 4);
    CHECK_ERR(us_onnx_parse_tensor(&f.c, f.a, "t", c.p, c.n, &x), US_FORMAT);
    pb_tensor_head(&d, "t", 8, 1, dims);
    pb_str(&d, 6, "one");
    CHECK_ERR(us_onnx_parse_tensor(&f.c, f.a, "t", d.p, d.n, &x), US_FORMAT);
    end(&f);
}

static void test_tensor__hostile_dims(void)
{
    static const int64_t bad[][2] = {
        {-1, 2}, {(int64_t)1 << 40, 1 << 20}, {INT64_MAX, INT64_MAX}};
    fixture f;
    begin(&f);
    for (size_t i = 0; i < US_LEN(bad); i++) {
        pb t = {.n = 0};
        us_tensor x;
        pb_tensor_head(&t, "t", 1, 2, bad[i]);
        CHECK_ERR(us_onnx_parse_tensor(&f.c, f.a, "t", t.p, t.n, &x), US_FORMAT);
    }
    /* an honest but huge shape without data does not allocate it */
    const int64_t huge[] = {(int64_t)1 << 20, (int64_t)1 << 19};
    pb t = {.n = 0};
    us_tensor x;
    pb_tensor_head(&t, "t", 1, 2, huge);
    pb_bytes(&t, 9, "abcd", 4);
    CHECK_ERR(us_onnx_parse_tensor(&f.c, f.a, "t", t.p, t.n, &x), US_FORMAT);
    CHECK(f.count.peak_bytes < (uint64_t)1 << 20);
    end(&f);
}

static void test_tensor__too_many_dims(void)
{
    fixture f;
    begin(&f);
    pb t = {.n = 0};
    us_tensor x;
    for (int i = 0; i < US_MAX_RANK + 1; i++)
        pb_int(&t, 1, 1);
    pb_int(&t, 2, 1);
    CHECK_ERR(us_onnx_parse_tensor(&f.c, f.a, "t", t.p, t.n, &x), US_FORMAT);
    end(&f);
}

static void test_tensor__used_in_place_when_aligned(void)
{
    fixture f;
    begin(&f);
    for (size_t shift = 0; shift < 4; shift++) {
        pb m = {.n = 0};
        _Alignas(16) uint8_t at[1024];
        us_model *r = NULL;
        pb_small(&m);
        memcpy(at + shift, m.p, m.n);
        CHECK_OK(&f.c, us_onnx_parse(&f.c, "t", at + shift, m.n, NULL, NULL, &r));
        const us_tensor *t = &r->main->vals.at[us_graph_find(r->main, US_SV("w"))].data->t;
        const uint8_t *p = t->data;
        bool inside = p >= at && p < at + sizeof at;
        const uint8_t *raw = at + shift;
        static const uint8_t one[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40};
        while (memcmp(raw, one, sizeof one) != 0)
            raw++;
        CHECK(inside == ((uintptr_t)raw % 4 == 0));
        CHECK_NEAR(us_tensor_f64_at(t, 1), 2, 0);
        us_model_free(r);
    }
    end(&f);
}

static void test_read__initialiser_that_is_an_input(void)
{
    static const float w[] = {1, 2, 3};
    const int64_t dims[] = {1, 3};
    fixture f;
    begin(&f);
    pb g = {.n = 0}, t = {.n = 0}, m = {.n = 0};
    pb_info(&g, 11, "x", 3);
    pb_info(&g, 11, "w", 3);
    pb_info(&g, 12, "y", 3);
    pb_tensor_head(&t, "w", 1, 2, dims);
    pb_bytes(&t, 9, w, sizeof w);
    pb_msg(&g, 5, &t);
    pb_node(&g, "Add", "x", "w", "y", NULL);
    pb_model(&m, &g);
    us_model *r = read_ok(&f, &m);
    us_vid v = us_graph_find(r->main, US_SV("w"));
    CHECK(r->main->vals.at[v].also_input && r->main->vals.at[v].storage == US_ST_CONST);
    CHECK_EQ_U64(r->main->inputs.n, 2);
    CHECK_EQ_U64(r->main->inputs.at[1], v);
    us_model_free(r);
    end(&f);
}

static void test_read__captures_and_unsorted(void)
{
    fixture f;
    begin(&f);
    pb sub = {.n = 0}, attr = {.n = 0}, g = {.n = 0}, m = {.n = 0};
    pb_str(&sub, 2, "body");
    pb_node(&sub, "Neg", "h", NULL, "inner", NULL);
    pb_info(&sub, 12, "inner", 3);
    pb_str(&attr, 1, "then_branch");
    pb_msg(&attr, 6, &sub);
    pb_int(&attr, 20, US_AT_GRAPH);
    pb_node(&g, "MyIf", "x", NULL, "y", &attr); /* before the node that makes h */
    pb_node(&g, "Relu", "x", NULL, "h", NULL);
    pb_info(&g, 11, "x", 3);
    pb_info(&g, 12, "y", 3);
    pb_model(&m, &g);
    us_model *r = read_ok(&f, &m);
    CHECK(us_sv_is(r->main->nodes.at[r->main->order.at[0]].op_type, "Relu"));
    const us_graph *s = r->main->nodes.at[r->main->order.at[1]].attrs[0].graphs[0];
    us_vid h = us_graph_find(s, US_SV("h"));
    CHECK(h != US_NIL && s->vals.at[h].storage == US_ST_OUTER);
    CHECK_EQ_U64(s->vals.at[h].outer, us_graph_find(r->main, US_SV("h")));
    us_model_free(r);
    end(&f);
}

static void test_read__cycle(void)
{
    fixture f;
    begin(&f);
    pb g = {.n = 0}, m = {.n = 0};
    pb_node(&g, "Relu", "b", NULL, "a", NULL);
    pb_node(&g, "Relu", "a", NULL, "b", NULL);
    pb_model(&m, &g);
    read_bad(&f, &m, US_FORMAT, "cycle");
    end(&f);
}

static void test_read__messages_say_where(void)
{
    fixture f;
    begin(&f);
    pb none = {.n = 0}, g = {.n = 0}, m = {.n = 0}, g2 = {.n = 0}, m2 = {.n = 0}, g3 = {.n = 0},
       m3 = {.n = 0};
    read_bad(&f, &none, US_FORMAT, "no graph");
    pb_node(&g, "Relu", "nowhere", NULL, "a", NULL);
    pb_model(&m, &g);
    read_bad(&f, &m, US_FORMAT, "offset 12: NodeProto: Relu 'the node': 'nowhere'");
    pb_node(&g2, "Relu", NULL, NULL, "a", NULL);
    pb_node(&g2, "Relu", NULL, NULL, "a", NULL);
    pb_model(&m2, &g2);
    read_bad(&f, &m2, US_FORMAT, "defined already");
    pb_info(&g3, 12, "y", 3);
    pb_model(&m3, &g3);
    read_bad(&f, &m3, US_FORMAT, "graph output 'y' is never defined");
    end(&f);
}

static void test_read__deep_graphs_are_refused(void)
{
    fixture f;
    begin(&f);
    pb g = {.n = 0};
    pb_str(&g, 2, "innermost");
    for (int i = 0; i < US_MAX_GRAPH_DEPTH + 4; i++) {
        pb attr = {.n = 0}, outer = {.n = 0};
        pb_str(&attr, 1, "body");
        pb_msg(&attr, 6, &g);
        pb_int(&attr, 20, US_AT_GRAPH);
        pb_node(&outer, "L", NULL, NULL, NULL, &attr);
        g = outer;
    }
    pb m = {.n = 0};
    pb_model(&m, &g);
    read_bad(&f, &m, US_LIMIT, "nested deeper");
    end(&f);
}

static void test_read__descriptors_only(void)
{
    fixture f;
    begin(&f);
    pb m = {.n = 0};
    us_model *r = NULL;
    const us_onnx_opts o = {.descriptors_only = true};
    pb_small(&m);
    CHECK_OK(&f.c, us_onnx_parse(&f.c, "t", m.p, m.n, NULL, &o, &r));
    const us_tensor *t = &r->main->vals.at[us_graph_find(r->main, US_SV("w"))].data->t;
    CHECK_EQ_I64(t->dims[0], 3);
    us_model_free(r);
    end(&f);
}

static void test_value__sequence_map_optional(void)
{
    fixture f;
    begin(&f);
    us_value v;
    const int64_t dims[] = {1};
    static const float one[] = {1.5f};
    pb t = {.n = 0}, seq = {.n = 0}, map = {.n = 0}, opt = {.n = 0}, empty = {.n = 0};
    pb_tensor_head(&t, NULL, 1, 1, dims);
    pb_bytes(&t, 9, one, sizeof one);
    pb_int(&seq, 2, 1);
    pb_msg(&seq, 3, &t);
    pb_msg(&seq, 3, &t);
    us_type tt = us_type_tensor(US_F32, -1, NULL);
    us_type ts = {.kind = US_KIND_SEQUENCE, .elem = &tt},
            tm = {.kind = US_KIND_MAP, .elem = &tt},
            to = {.kind = US_KIND_OPTIONAL, .elem = &tt};
    CHECK_OK(&f.c, us_onnx_parse_value(&f.c, f.a, "s", &ts, seq.p, seq.n, &v));
    CHECK_EQ_U64(v.n_items, 2);
    CHECK_NEAR(us_tensor_f64_at(&v.items[1].t, 0), 1.5, 0);
    pb_int(&map, 2, 8);
    pb_str(&map, 4, "a");
    pb_str(&map, 4, "b");
    pb_msg(&map, 5, &seq);
    CHECK_OK(&f.c, us_onnx_parse_value(&f.c, f.a, "m", &tm, map.p, map.n, &v));
    CHECK(v.kind == US_KIND_MAP && v.n_items == 2);
    CHECK(us_sv_is(us_tensor_str_at(&v.t, 1), "b"));
    pb_int(&opt, 2, 1);
    pb_msg(&opt, 3, &t);
    CHECK_OK(&f.c, us_onnx_parse_value(&f.c, f.a, "o", &to, opt.p, opt.n, &v));
    CHECK_EQ_I64(v.kind, US_KIND_TENSOR);
    CHECK_OK(&f.c, us_onnx_parse_value(&f.c, f.a, "o", &to, empty.p, 0, &v));
    CHECK_EQ_I64(v.kind, US_KIND_NONE);
    pb_str(&map, 4, "c"); /* three keys, two values */
    CHECK_ERR(us_onnx_parse_value(&f.c, f.a, "m", &tm, map.p, map.n, &v), US_FORMAT);
    end(&f);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_read__small),
        US_CASE(test_tensor__typed_fields),
        US_CASE(test_tensor__negative_int32),
        US_CASE(test_tensor__wrong_counts),
        US_CASE(test_tensor__hostile_dims),
        US_CASE(test_tensor__too_many_dims),
        US_CASE(test_tensor__used_in_place_when_aligned),
        US_CASE(test_read__initialiser_that_is_an_input),
        US_CASE(test_read__captures_and_unsorted),
        US_CASE(test_read__cycle),
        US_CASE(test_read__messages_say_where),
        US_CASE(test_read__deep_graphs_are_refused),
        US_CASE(test_read__descriptors_only),
        US_CASE(test_value__sequence_map_optional),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
