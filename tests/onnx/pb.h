/* pb.h - hand-made wire bytes for tests: fields appended to a fixed buffer, and a small model made of them. */
#ifndef ONNX_TEST_PB_H
#define ONNX_TEST_PB_H

#include "us_test.h"

typedef struct pb {
    uint8_t p[8192];
    size_t n;
} pb;

static inline void pb_raw(pb *b, const void *p, size_t n)
{
    if (n > sizeof b->p - b->n) US_TEST_FAIL("the test's message is too long");
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline void pb_varint(pb *b, uint64_t v)
{
    do {
        uint8_t byte = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
        pb_raw(b, &byte, 1);
        v >>= 7;
    } while (v);
}

static inline void pb_int(pb *b, unsigned num, int64_t v)
{
    pb_varint(b, num << 3);
    pb_varint(b, (uint64_t)v);
}

static inline void pb_bytes(pb *b, unsigned num, const void *p, size_t n)
{
    pb_varint(b, num << 3 | 2);
    pb_varint(b, n);
    pb_raw(b, p, n);
}

static inline void pb_str(pb *b, unsigned num, const char *s)
{
    pb_bytes(b, num, s, strlen(s));
}

static inline void pb_msg(pb *b, unsigned num, const pb *m)
{
    pb_bytes(b, num, m->p, m->n);
}

/* ValueInfoProto of a float tensor [N, d]. */
static inline void pb_info(pb *b, unsigned num, const char *name, int64_t d)
{
    pb dim0 = {.n = 0}, dim1 = {.n = 0}, shape = {.n = 0}, tensor = {.n = 0}, type = {.n = 0},
       info = {.n = 0};
    pb_str(&dim0, 2, "N");
    pb_int(&dim1, 1, d);
    pb_msg(&shape, 1, &dim0);
    pb_msg(&shape, 1, &dim1);
    pb_int(&tensor, 1, 1);
    pb_msg(&tensor, 2, &shape);
    pb_msg(&type, 1, &tensor);
    pb_str(&info, 1, name);
    pb_msg(&info, 2, &type);
    pb_msg(b, num, &info);
}

/* TensorProto head: dims and type. */
static inline void pb_tensor_head(pb *t, const char *name, int type, int n_dims,
                                  const int64_t *dims)
{
    for (int i = 0; i < n_dims; i++)
        pb_int(t, 1, dims[i]);
    pb_int(t, 2, type);
    if (name) pb_str(t, 8, name);
}

static inline void pb_node(pb *g, const char *op, const char *in0, const char *in1,
                           const char *out, const pb *attr)
{
    pb n = {.n = 0};
    if (in0) pb_str(&n, 1, in0);
    if (in1) pb_str(&n, 1, in1);
    if (out) pb_str(&n, 2, out);
    pb_str(&n, 3, "the node");
    pb_str(&n, 4, op);
    if (attr) pb_msg(&n, 5, attr);
    pb_msg(g, 1, &n);
}

/* ModelProto around a graph. */
static inline void pb_model(pb *m, const pb *g)
{
    pb opset = {.n = 0}, prop = {.n = 0};
    pb_int(m, 1, 8);
    pb_str(m, 2, "hand");
    pb_msg(m, 7, g);
    pb_int(&opset, 2, 17);
    pb_msg(m, 8, &opset);
    pb_str(&prop, 1, "key");
    pb_str(&prop, 2, "value");
    pb_msg(m, 14, &prop);
}

/* y = Add(x, w) with w = [1, 2, 3] as raw data, unknown fields in model, graph, node and tensor. */
static inline void pb_small(pb *m)
{
    static const float w[] = {1, 2, 3};
    const int64_t dims[] = {3};
    pb g = {.n = 0}, t = {.n = 0}, n = {.n = 0};
    pb_str(&n, 1, "x");
    pb_str(&n, 1, "w");
    pb_str(&n, 2, "y");
    pb_str(&n, 3, "adder");
    pb_str(&n, 4, "Add");
    pb_str(&n, 6, "what it does");
    pb_str(&n, 99, "node extra");
    pb_msg(&g, 1, &n);
    pb_str(&g, 2, "small");
    pb_tensor_head(&t, "w", 1, 1, dims);
    pb_bytes(&t, 9, w, sizeof w);
    pb_str(&t, 98, "tensor extra");
    pb_msg(&g, 5, &t);
    pb_info(&g, 11, "x", 3);
    pb_info(&g, 12, "y", 3);
    pb_int(&g, 97, 5);
    pb_model(m, &g);
    pb_str(m, 96, "model extra");
}

#endif
