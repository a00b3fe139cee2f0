/* ir/ewise_node.c - nodes of a graph written into one program: groups for the pass fuse-map, one node for an epilogue. */
#include "ir/ewise.h"

#include <string.h>

/* Newer versions of an operator that need no rewriting are the same operator. */
static bool is_current(const us_node *n)
{
    for (const us_schema *s = n->schema; s && s->since; s++)
        if (s->upgrade) return false;
    return n->schema != NULL;
}

static const us_tensor *constant_of(const us_graph *g, us_vid v)
{
    const us_val *val = &g->vals.at[v];
    if (val->storage == US_ST_OUTER)
        return g->parent ? constant_of(g->parent, val->outer) : NULL;
    bool is_const = val->storage == US_ST_CONST && val->data;
    return is_const && val->data->kind == US_KIND_TENSOR ? &val->data->t : NULL;
}

static us_dtype dtype_of(const us_graph *g, us_vid v)
{
    const us_type *t = &g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR ? t->dtype : US_DT_NONE;
}

/* --- one node --------------------------------------------------------------------------------------- */

typedef struct joint {
    const us_graph *g;
    us_ew_join *j;
} joint;

/* Where value v stands: made by a node before, or an input of the program, new or seen before. */
static bool place(joint *p, us_vid v, int *at)
{
    us_ew_join *j = p->j;
    for (size_t i = 0; i < j->n_made; i++)
        if (j->made[i] == v) {
            *at = j->made_at[i];
            return true;
        }
    for (size_t i = 0; i < j->n_in; i++)
        if (j->in[i] == v) {
            *at = (int)i;
            return true;
        }
    return false;
}

static bool is_map(const us_node *n)
{
    return n->op && us_op_index(n->op) == US_OP_USTA_MAP;
}

/* The instructions of another program, its values renumbered. */
static bool write_map(us_ew_writer *w, const us_node *n, const us_ew_operand *in, int *result)
{
    const us_p_usta_map *p = n->params;
    int made[US_EW_INS], n_in = (int)n->n_in;
    for (size_t i = 0; i < p->code.n / 4; i++) {
        const int64_t *c = p->code.p + 4 * i;
        int arg[3] = {0, 0, 0};
        if (i >= US_EW_INS || c[0] < 0 || c[0] >= US_EW_N) return false;
        for (size_t k = 0; k < us_ew_operands[c[0]]; k++) {
            int64_t v = c[1 + k];
            if (v >= n_in + (int64_t)i || -v > (int64_t)p->imm.n) return false;
            arg[k] = v < 0      ? us_ew_imm(w, p->imm.p[-v - 1])
                     : v < n_in ? in[v].at
                                : made[v - n_in];
        }
        made[i] = us_ew_emit(w, (us_ew_code)c[0], arg[0], arg[1], arg[2]);
        *result = made[i];
    }
    return p->code.n >= 4;
}

static bool add_operand(joint *p, const us_node *n, uint32_t i, us_ew_operand *out)
{
    us_vid v = n->in[i];
    *out = (us_ew_operand){US_DT_NONE, US_EW_ABSENT};
    if (v == US_NIL) return true;
    const us_tensor *t = constant_of(p->g, v);
    if (t && !is_map(n) && us_ew_take_number(&p->j->w, n->op, i, t, out)) return true;
    out->dtype = dtype_of(p->g, v);
    return place(p, v, &out->at);
}

static bool add_node(joint *p, us_nid nid)
{
    const us_node *n = &p->g->nodes.at[nid];
    us_ew_join *j = p->j;
    us_ew_operand in[US_EW_IN];
    if (n->n_in > US_EW_IN || j->n_made == US_LEN(j->made)) return false;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (!add_operand(p, n, i, &in[i])) return false;
    int at = 0;
    us_dtype out = dtype_of(p->g, n->out[0]);
    bool ok = is_map(n) ? write_map(&j->w, n, in, &at)
                        : us_ew_write_op(&j->w, n->op, n->params, n->n_in, in, out, &at);
    if (!ok) return false;
    j->made[j->n_made] = n->out[0];
    j->made_at[j->n_made++] = (int16_t)at;
    return true;
}

/* --- groups ------------------------------------------------------------------------------------------- */

bool us_ew_takes_node(const us_graph *g, us_nid nid)
{
    const us_node *n = &g->nodes.at[nid];
    if (n->dead || !n->op || !n->params || !is_current(n) || n->n_out != 1 ||
        n->out[0] == US_NIL || n->n_in == 0 || n->n_in > US_EW_IN)
        return false;
    if (is_map(n)) return true;
    us_ew_writer w;
    us_ew_operand in[US_EW_IN];
    us_ew_begin(&w, US_EW_IN);
    for (uint32_t i = 0; i < n->n_in; i++) {
        us_vid v = n->in[i];
        const us_tensor *t = v == US_NIL ? NULL : constant_of(g, v);
        in[i] = (us_ew_operand){v == US_NIL ? US_DT_NONE : dtype_of(g, v),
                                v == US_NIL ? US_EW_ABSENT : 0};
        if (t) (void)!us_ew_take_number(&w, n->op, i, t, &in[i]);
    }
    int at;
    return us_ew_write_op(&w, n->op, n->params, n->n_in, in, dtype_of(g, n->out[0]), &at);
}

static bool is_made(const us_graph *g, size_t n, const us_nid *nodes, us_vid v)
{
    for (size_t i = 0; i < n; i++)
        if (g->nodes.at[nodes[i]].out[0] == v) return true;
    return false;
}

/* Inputs of the group, each once, x in front. Numbers that become immediates are not among them. */
static bool find_inputs(const us_graph *g, size_t n, const us_nid *nodes, us_vid x,
                        us_ew_join *j)
{
    j->n_in = 0;
    if (x != US_NIL) j->in[j->n_in++] = x;
    for (size_t k = 0; k < n; k++) {
        const us_node *nd = &g->nodes.at[nodes[k]];
        for (uint32_t i = 0; i < nd->n_in; i++) {
            us_vid v = nd->in[i];
            us_ew_writer w;
            us_ew_operand o;
            us_ew_begin(&w, 1);
            if (v == US_NIL || is_made(g, n, nodes, v)) continue;
            const us_tensor *t = constant_of(g, v);
            if (t && !is_map(nd) && us_ew_take_number(&w, nd->op, i, t, &o)) continue;
            size_t at = 0;
            while (at < j->n_in && j->in[at] != v)
                at++;
            if (at < j->n_in) continue;
            if (j->n_in == US_EW_IN) return false;
            j->in[j->n_in++] = v;
        }
    }
    return j->n_in > 0;
}

bool us_ew_join_nodes(const us_graph *g, size_t n, const us_nid *nodes, us_vid x,
                      us_ew_join *out)
{
    us_ew_prog p;
    memset(out, 0, sizeof *out);
    if (n == 0 || !find_inputs(g, n, nodes, x, out)) return false;
    us_ew_begin(&out->w, out->n_in);
    joint k = {g, out};
    for (size_t i = 0; i < n; i++)
        if (!add_node(&k, nodes[i])) return false;
    return us_ew_end(&out->w, &p);
}
