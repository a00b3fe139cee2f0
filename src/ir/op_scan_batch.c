/* ir/op_scan_batch.c - Scan's first form (opset 8), with a batch dimension and sequence lengths, as two of today's.
 *
 * Its inputs are (lengths, states, sequences), batch first and time second. What it means is the standard's own loop: an
 * outer Scan over the batch without states, whose body is one inner Scan of the given body over time. With lengths, the
 * sequences are cut before the inner Scan and its results are filled with zeros to the longest length (the standard
 * leaves those elements open; zeros, in both directions, are what ONNX Runtime 1.23.2 was seen to write).
 */
#include "ir/build.h"
#include "ir/op_util.h"

#include <string.h>

typedef struct batch {
    us_ctx *c;
    us_model *m;
    us_graph *g; /* around the node */
    us_graph *b; /* the outer Scan's body */
    us_graph *body;
    size_t n_state, n_seq, n_out;
    us_vid lens, *in; /* of b: states, then sequences */
    us_vid *out;
} batch;

/* What the body took from g it now takes through b. */
static us_err reparent(batch *k)
{
    k->body->parent = k->b;
    for (us_vid v = 0; v < k->body->vals.n; v++) {
        if (k->body->vals.at[v].storage != US_ST_OUTER) continue;
        us_sv name = k->g->vals.at[k->body->vals.at[v].outer].name;
        US_TRY(us_graph_capture(k->c, k->b, name, &k->body->vals.at[v].outer));
    }
    return US_OK;
}

static us_err add_inputs(batch *k)
{
    size_t n = k->n_state + k->n_seq;
    us_type unknown = {.kind = US_KIND_NONE, .rank = -1};
    for (size_t i = 0; i < n; i++)
        US_TRY(us_graph_add_input(k->c, k->b, us_graph_fresh_name(k->c, k->b, "item"), &unknown,
                                  &k->in[i]));
    if (k->lens != US_NIL)
        US_TRY(us_graph_add_input(k->c, k->b, us_graph_fresh_name(k->c, k->b, "length"),
                                  &unknown, &k->lens));
    return US_OK;
}

static us_vid first_dim(us_builder *b, us_vid x)
{
    us_vid all = us_b1(b, "Shape", x);
    return us_b3(b, "Slice", all, us_b_i64s(b, 1, (int64_t[]){0}),
                 us_b_i64s(b, 1, (int64_t[]){1}));
}

/* The inner Scan and what the lengths ask for before and after it. */
static void inner(batch *k, us_builder *b, const us_attr *directions)
{
    us_vid axes = US_NIL, zero = US_NIL, len = US_NIL, pads = US_NIL;
    if (k->lens != US_NIL) {
        axes = us_b_i64s(b, 1, (int64_t[]){0});
        zero = us_b_i64s(b, 1, (int64_t[]){0});
        len = us_b1(b, "Cast", us_b2(b, "Reshape", k->lens, us_b_i64s(b, 1, (int64_t[]){1})));
        us_b_int(b, "to", US_I64);
        us_vid rest = us_b2(b, "Sub", first_dim(b, k->in[k->n_state]), len);
        pads = us_b_node(b, "", "Concat", 2, (us_vid[]){zero, rest}, 1, NULL);
        us_b_int(b, "axis", 0);
        for (size_t i = k->n_state; i < k->n_state + k->n_seq; i++)
            k->in[i] =
                us_b_node(b, "", "Slice", 4, (us_vid[]){k->in[i], zero, len, axes}, 1, NULL);
    }
    (void)us_b_node(b, "", "Scan", k->n_state + k->n_seq, k->in, k->n_out, k->out);
    us_b_graph(b, "body", k->body);
    us_b_int(b, "num_scan_inputs", (int64_t)k->n_seq);
    if (directions) us_b_ints(b, "scan_input_directions", directions->n, directions->ints);
    for (size_t i = k->n_state; k->lens != US_NIL && i < k->n_out; i++)
        k->out[i] =
            us_b_node(b, "", "Pad", 4, (us_vid[]){k->out[i], pads, US_NIL, axes}, 1, NULL);
}

/* What was written above is in today's form, whatever the model still imports. */
static us_err as_current(batch *k)
{
    for (us_nid i = 0; i < k->b->nodes.n; i++) {
        us_node *n = &k->b->nodes.at[i];
        n->schema = us_op_current(n->op);
        n->version = n->schema->since;
        n->params = NULL;
        US_TRY(us_node_decode(k->c, k->m, n));
    }
    return US_OK;
}

static us_err fill(batch *k, const us_attr *directions)
{
    US_TRY(add_inputs(k));
    US_TRY(reparent(k));
    us_builder b = us_b_begin(k->c, k->b, "scan");
    inner(k, &b, directions);
    US_TRY(us_b_end(&b));
    for (size_t i = 0; i < k->n_out; i++)
        US_TRY(us_graph_add_output(k->c, k->b, k->out[i]));
    return as_current(k);
}

/* The outer Scan takes the lengths last. */
static us_err rewire(batch *k, us_nid nid)
{
    us_node *n = &k->g->nodes.at[nid];
    us_vid lens = n->in[0];
    memmove(n->in, n->in + 1, (n->n_in - 1) * sizeof *n->in);
    if (lens != US_NIL)
        n->in[n->n_in - 1] = lens;
    else
        n->n_in--;
    us_node_del_attr(n, "directions");
    us_graph **graphs = us_new(k->m->arena, us_graph *);
    if (!graphs) return us_arena_fail(k->c, k->m->arena);
    *graphs = k->b;
    us_attr body = {.name = US_SV("body"), .kind = US_AT_GRAPH, .graphs = graphs, .n = 1};
    US_TRY(us_node_set_attr(k->c, k->g, nid, &body));
    us_attr count = {
        .name = US_SV("num_scan_inputs"), .kind = US_AT_INT, .i = (int64_t)n->n_in};
    return us_node_set_attr(k->c, k->g, nid, &count);
}

us_err us_upgrade_scan_batch(us_ctx *c, us_model *m, us_graph *g, us_nid nid)
{
    if (!g->nodes.at[nid].params) US_TRY(us_node_decode(c, m, &g->nodes.at[nid]));
    const us_node *n = &g->nodes.at[nid];
    const us_p_scan *p = n->params;
    if (!p || p->num_scan_inputs < 1 || n->n_in < 2 || p->num_scan_inputs > n->n_in - 1)
        return us_upgrade_fail(c, g, nid, "num_scan_inputs does not fit the inputs");
    batch k = {.c = c, .m = m, .g = g, .body = p->body, .lens = n->in[0]};
    k.n_seq = (size_t)p->num_scan_inputs;
    k.n_state = n->n_in - 1 - k.n_seq;
    k.n_out = k.body->outputs.n;
    if (k.n_out < k.n_state || n->n_out > k.n_out || k.body->inputs.n != k.n_state + k.n_seq)
        return us_upgrade_fail(c, g, nid, "inputs and outputs do not fit the body's");
    k.in = us_new_n(m->arena, us_vid, k.n_state + k.n_seq);
    k.out = us_new_n(m->arena, us_vid, k.n_out);
    if (!k.in || !k.out) return us_arena_fail(c, m->arena);
    us_attr directions = {0};
    const us_attr *given = us_node_attr(n, "directions");
    if (given) directions = *given;
    US_TRY(us_graph_new(c, m, g, US_SV("batch"), &k.b));
    US_TRY(fill(&k, given ? &directions : NULL));
    return rewire(&k, nid);
}
