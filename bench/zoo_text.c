/* bench/zoo_text.c - transformer encoders as PyTorch's exporter writes them before opset 17: layer normalisation and GELU in their parts,
 * attention by Reshape, Transpose and MatMul. BERT-mini with its sizes written into the shapes (a traced model), the MiniLM-shaped one
 * with shapes taken from the input at run time (dynamic_axes).
 *
 * Source: Devlin et al. 2018; transformers' modeling_bert.py, for the order of operations.
 */
#include <math.h>

#include "zoo.h"

enum { VOCABULARY = 30522, PLACES = 512 };

typedef struct encoder {
    int64_t layers, width, heads, seq; /* seq: 0, taken from the input */
    us_vid mask, split, merge;         /* shapes: [N,S,heads,-1], [N,S,width] */
} encoder;

static us_vid mean(us_builder *b, us_vid x)
{
    us_vid y = us_b1(b, "ReduceMean", x);
    us_b_ints(b, "axes", 1, (int64_t[]){-1});
    return y;
}

static us_vid layer_norm(zoo_net *n, us_vid x, int64_t width)
{
    us_builder *b = &n->b;
    us_vid d = us_b2(b, "Sub", x, mean(b, x));
    us_vid var = mean(b, us_b2(b, "Pow", d, us_b_f32(b, 2)));
    us_vid sd = us_b1(b, "Sqrt", us_b2(b, "Add", var, us_b_f32(b, 1e-12F)));
    us_vid y = us_b2(b, "Mul", us_b2(b, "Div", d, sd), zoo_vector(n, width, 0.8, 1.2));
    return us_b2(b, "Add", y, zoo_vector(n, width, -0.1, 0.1));
}

static us_vid attention(zoo_net *n, const encoder *e, us_vid x)
{
    us_builder *b = &n->b;
    us_vid q = us_b2(b, "Reshape", zoo_product(n, x, e->width, e->width), e->split);
    us_vid k = us_b2(b, "Reshape", zoo_product(n, x, e->width, e->width), e->split);
    us_vid v = us_b2(b, "Reshape", zoo_product(n, x, e->width, e->width), e->split);
    q = zoo_transpose(n, q, 4, (int64_t[]){0, 2, 1, 3});
    v = zoo_transpose(n, v, 4, (int64_t[]){0, 2, 1, 3});
    k = zoo_transpose(n, k, 4, (int64_t[]){0, 2, 3, 1});
    us_vid s = us_b2(b, "MatMul", q, k);
    s = us_b2(b, "Div", s, us_b_f32(b, (float)sqrt((double)e->width / (double)e->heads)));
    s = us_b1(b, "Softmax", us_b2(b, "Add", s, e->mask));
    us_b_int(b, "axis", -1);
    us_vid y = zoo_transpose(n, us_b2(b, "MatMul", s, v), 4, (int64_t[]){0, 2, 1, 3});
    return zoo_product(n, us_b2(b, "Reshape", y, e->merge), e->width, e->width);
}

static us_vid layer(zoo_net *n, const encoder *e, us_vid x)
{
    us_builder *b = &n->b;
    x = layer_norm(n, us_b2(b, "Add", attention(n, e, x), x), e->width);
    us_vid y = zoo_product(n, zoo_gelu(n, zoo_product(n, x, e->width, 4 * e->width)),
                           4 * e->width, e->width);
    return layer_norm(n, us_b2(b, "Add", y, x), e->width);
}

static us_vid unsqueezed(us_builder *b, us_vid x, size_t n_axes, const int64_t *axes)
{
    return us_b2(b, "Unsqueeze", x, us_b_i64s(b, n_axes, axes));
}

/* Element i of the shape of x, as a vector of one. */
static us_vid size_at(us_builder *b, us_vid x, int64_t i)
{
    us_vid d = us_b2(b, "Gather", us_b1(b, "Shape", x), us_b_i64(b, i));
    us_b_int(b, "axis", 0);
    return unsqueezed(b, d, 1, (int64_t[]){0});
}

static us_vid joined(us_builder *b, size_t n, const us_vid *v)
{
    us_vid y = us_b_node(b, "", "Concat", n, v, 1, NULL);
    us_b_int(b, "axis", 0);
    return y;
}

static void shapes(us_builder *b, encoder *e, us_vid x)
{
    if (e->seq) {
        e->split = us_b_i64s(b, 4, (int64_t[]){1, e->seq, e->heads, e->width / e->heads});
        e->merge = us_b_i64s(b, 3, (int64_t[]){1, e->seq, e->width});
        return;
    }
    us_vid heads = us_b_i64s(b, 1, &e->heads), rest = us_b_i64s(b, 1, (int64_t[]){-1});
    us_vid width = us_b_i64s(b, 1, &e->width);
    us_vid batch = size_at(b, x, 0), seq = size_at(b, x, 1);
    e->split = joined(b, 4, (us_vid[]){batch, seq, heads, rest});
    e->merge = joined(b, 3, (us_vid[]){batch, seq, width});
}

/* Rows 0 to S-1 of the table of places. */
static us_vid places(zoo_net *n, const encoder *e, us_vid ids)
{
    us_builder *b = &n->b;
    us_vid table = zoo_weights(n, 0.3, 2, (int64_t[]){PLACES, e->width});
    int64_t numbers[PLACES];
    for (int64_t i = 0; i < PLACES; i++)
        numbers[i] = i;
    int64_t len = e->seq ? e->seq : PLACES;
    us_vid all = us_b_const(b, NULL, US_I64, 2, (int64_t[]){1, len}, numbers);
    if (!e->seq) {
        us_vid args[4] = {all, us_b_i64s(b, 1, (int64_t[]){0}), size_at(b, ids, 1),
                          us_b_i64s(b, 1, (int64_t[]){1})};
        all = us_b_node(b, "", "Slice", 4, args, 1, NULL);
    }
    return us_b2(b, "Gather", table, all);
}

static void bert(zoo_net *n, encoder e, const char *ids_type, const char *out_type)
{
    us_builder *b = &n->b;
    us_vid ids = zoo_input(n, "input_ids", ids_type);
    us_vid mask = zoo_input(n, "attention_mask", ids_type);
    us_vid kinds = zoo_input(n, "token_type_ids", ids_type);
    us_vid m = us_b1(b, "Cast", unsqueezed(b, mask, 2, (int64_t[]){1, 2}));
    us_b_int(b, "to", US_F32);
    e.mask = us_b2(b, "Mul", us_b2(b, "Sub", us_b_f32(b, 1), m), us_b_f32(b, -10000));
    us_vid words = zoo_weights(n, 0.5, 2, (int64_t[]){VOCABULARY, e.width});
    us_vid x = us_b2(b, "Gather", words, ids);
    us_vid t = us_b2(b, "Gather", zoo_weights(n, 0.3, 2, (int64_t[]){2, e.width}), kinds);
    x = us_b2(b, "Add", us_b2(b, "Add", x, t), places(n, &e, ids));
    x = layer_norm(n, x, e.width);
    shapes(b, &e, x);
    for (int64_t i = 0; i < e.layers; i++)
        x = layer(n, &e, x);
    zoo_output(n, x, "last_hidden_state", out_type);
}

void zoo_bert_mini(zoo_net *n)
{
    bert(n, (encoder){.layers = 4, .width = 256, .heads = 4, .seq = 128}, "int64[1,128]",
         "float[1,128,256]");
}

void zoo_minilm(zoo_net *n)
{
    bert(n, (encoder){.layers = 6, .width = 384, .heads = 12}, "int64[N,S]", "float[N,S,384]");
}
