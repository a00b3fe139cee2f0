/* pass/cse.c - equal constants are kept once, equal expressions computed once.
 *
 * A constant's key is its type and some of its bytes, so that large weights are not read for nothing; those with equal
 * keys are compared whole.
 * A node's key is its operator, its inputs and its attributes as bytes; a later node with the key of an earlier one
 * gives its uses to that one. Nodes that are random, hold sub-graphs or tensors, or make a graph's output are left alone.
 */
#include "pass/passes.h"

#include <string.h>

#include "base/crc.h"

#define KEY_BLOCK  ((size_t)256)
#define KEY_BLOCKS 16

/* --- constants ------------------------------------------------------------------------------------------- */

static const us_tensor *mergeable(const us_rewire *r, us_vid v)
{
    const us_val *val = &r->g->vals.at[v];
    if (val->storage != US_ST_CONST || val->also_input || us_rewire_is_output(r, v))
        return NULL;
    const us_tensor *t = us_const_tensor(r->g, v);
    return t && t->data && t->dtype != US_STRING && us_tensor_contiguous(t) ? t : NULL;
}

/* Type, size, and blocks from all over it. */
static void const_key(const us_tensor *t, us_buf *b)
{
    size_t bytes = us_tensor_bytes(t), gap = bytes / KEY_BLOCKS;
    uint32_t crc = 0;
    us_buf_add(b, &t->dtype, sizeof t->dtype);
    us_buf_add(b, t->dims, (size_t)t->rank * sizeof *t->dims);
    if (bytes <= KEY_BLOCK * KEY_BLOCKS)
        crc = us_crc32c(0, t->data, bytes);
    else
        for (size_t i = 0; i < KEY_BLOCKS; i++)
            crc = us_crc32c(crc, (const char *)t->data + i * gap, KEY_BLOCK);
    us_buf_add(b, &crc, sizeof crc);
}

static us_err merge_constants(us_ctx *c, us_rewire *r, us_arena *a, us_buf *b, bool *changed)
{
    us_map seen;
    uint32_t *uses;
    us_map_init(&seen, a);
    US_TRY(us_graph_uses(c, r->g, a, &uses));
    for (us_vid v = 0; v < r->n; v++) {
        const us_tensor *t = mergeable(r, v);
        us_sv key;
        if (!t || uses[v] == 0) continue;
        us_buf_clear(b);
        const_key(t, b);
        US_TRY(us_buf_check(b));
        uint32_t first = us_map_get(&seen, us_buf_sv(b));
        if (first == US_MAP_NONE) {
            US_TRY(us_sv_dup(c, a, us_buf_sv(b), &key));
            US_TRY(us_map_put(c, &seen, key, v, NULL));
            continue;
        }
        const us_tensor *x = us_const_tensor(r->g, first);
        if (!us_tensor_same_dims(x, t) || memcmp(x->data, t->data, us_tensor_bytes(t)) != 0)
            continue;
        us_rewire_set(r, v, first);
        *changed = true;
    }
    return US_OK;
}

/* --- expressions ------------------------------------------------------------------------------------------- */

static bool plain(const us_rewire *r, const us_node *n)
{
    if (!n->op || (n->op->flags & (US_OP_RANDOM | US_OP_NOFOLD | US_OP_SUBGRAPH))) return false;
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        int32_t k = n->attrs[i].kind;
        bool simple = k == US_AT_FLOAT || k == US_AT_INT || k == US_AT_STRING ||
                      k == US_AT_FLOATS || k == US_AT_INTS;
        if (!simple) return false;
    }
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] != US_NIL && us_rewire_is_output(r, n->out[k])) return false;
    return true;
}

static void key_of(const us_node *n, us_buf *b)
{
    us_buf_add(b, &n->op, sizeof n->op);
    us_buf_add(b, &n->schema, sizeof n->schema);
    us_buf_add(b, &n->n_out, sizeof n->n_out);
    us_buf_add(b, n->in, n->n_in * sizeof *n->in);
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const us_attr *a = &n->attrs[i];
        us_buf_addsv(b, a->name);
        us_buf_add(b, &a->kind, sizeof a->kind);
        us_buf_add(b, &a->i, sizeof a->i);
        us_buf_add(b, &a->f, sizeof a->f);
        us_buf_add(b, &a->s.n, sizeof a->s.n);
        us_buf_addsv(b, a->s);
        us_buf_add(b, &a->n, sizeof a->n);
        if (a->kind == US_AT_INTS && a->n) us_buf_add(b, a->ints, a->n * sizeof *a->ints);
        if (a->kind == US_AT_FLOATS && a->n) us_buf_add(b, a->floats, a->n * sizeof *a->floats);
    }
}

static bool same_outputs(const us_node *x, const us_node *y)
{
    for (uint32_t k = 0; k < x->n_out; k++)
        if ((x->out[k] == US_NIL) != (y->out[k] == US_NIL)) return false;
    return true;
}

static us_err merge(us_ctx *c, us_graph *g, us_arena *a, us_buf *b, us_map *seen, bool *changed)
{
    us_rewire r = {0};
    US_TRY(us_rewire_begin(c, g, a, &r));
    US_TRY(merge_constants(c, &r, a, b, changed));
    for (size_t i = 0; i < g->order.n; i++) {
        us_nid nid = g->order.at[i];
        us_rewire_node(&r, nid);
        const us_node *n = &g->nodes.at[nid];
        if (!plain(&r, n)) continue;
        us_buf_clear(b);
        key_of(n, b);
        US_TRY(us_buf_check(b));
        uint32_t first = us_map_get(seen, us_buf_sv(b));
        if (first == US_MAP_NONE) {
            us_sv key;
            US_TRY(us_sv_dup(c, a, us_buf_sv(b), &key));
            US_TRY(us_map_put(c, seen, key, nid, NULL));
            continue;
        }
        if (!same_outputs(&g->nodes.at[first], n)) continue;
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k] != US_NIL) us_rewire_set(&r, n->out[k], g->nodes.at[first].out[k]);
        us_rewire_drop(&r, nid);
        *changed = true;
    }
    us_rewire_end(&r);
    return US_OK;
}

us_err us_pass_cse(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    US_TRY(us_arena_new(c, "cse", (size_t)1 << 30, &a));
    us_buf b;
    us_map seen;
    us_buf_init(&b, c, (size_t)64 << 20);
    us_map_init(&seen, a);
    us_err e = merge(c, g, a, &b, &seen, changed);
    us_buf_deinit(&b);
    us_arena_free(a);
    return e;
}
