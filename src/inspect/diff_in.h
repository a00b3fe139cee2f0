/* inspect/diff_in.h - inside of diff*.c: two graphs laid flat, hashed and matched.
 *
 *     diff.c         the whole: facts, functions, pairs of graphs
 *     diff_hash.c    a graph laid flat, hashes of nodes by what is above and below them
 *     diff_match.c   which node of A is which of B
 *     diff_align.c   longest common subsequence of two lists, bounded
 *     diff_node.c    what differs between matched nodes
 *     diff_attr.c    attributes: equal, hashed, as text
 *     diff_weight.c  constants: hashed, compared
 */
#ifndef USTA_INSPECT_DIFF_IN_H
#define USTA_INSPECT_DIFF_IN_H

#include "inspect/diff.h"
#include "ir/op.h"

/* How much a hash looks at: everything; constants and tensors by type and shape and no sub-graphs; the operator alone. */
enum { US_DH_EXACT, US_DH_SHAPE, US_DH_OP, US_DH_LEVELS };

typedef struct us_duse {
    uint32_t node, slot;
} us_duse;
#define US_DUSE_CAPTURE (UINT32_MAX - 1) /* slot: read by a sub-graph of the node */

typedef struct us_dval {
    const us_tensor *t; /* contents of a constant; NULL also for a sparse one */
    bool is_const;
    uint32_t def, def_out; /* node that makes it, US_NIL */
    us_vid pair;           /* its counterpart; US_NIL: none */
    /* a constant that is captured: where it is from, and which value there */
    const us_graph *root_g;
    us_vid root;
} us_dval;

typedef struct us_dside {
    const us_model *m;     /* as compared */
    const us_model *typed; /* the same numbers, with inferred types; m when inference failed */
    us_map functions;      /* "domain/name" -> number that both sides share; empty: none */
    uint64_t **consts;     /* per graph and value: hash of its contents; 0 = not yet */
    bool no_contents;
} us_dside;

typedef struct us_dgraph { /* one side of a pair of graphs */
    us_dside *side;
    const us_graph *g;
    uint32_t n; /* nodes, Constant ones left out, in order */
    const us_node **node;
    us_dval *val;   /* by value */
    uint32_t *use0; /* users of value v: uses[use0[v]] .. uses[use0[v + 1]] */
    us_duse *uses;
    uint64_t *label
        [US_DH_LEVELS]; /* per value: hash of what is above it; leaves are set before us_dgraph_hash */
    uint32_t *foot; /* per value: number of the paired output it is, from 1; 0 */
    us_vid *ends;   /* paired outputs, the same number on both sides */
    size_t n_ends;
    uint64_t *sig[US_DH_LEVELS], *up[US_DH_LEVELS], *down[US_DH_LEVELS]; /* per node */
    uint32_t *match;                                                     /* per node: US_NIL */
} us_dgraph;

typedef struct us_dwork {
    us_ctx *c;
    us_arena *a; /* scratch */
    us_diff *d;
    us_diff_opts o;
    us_dside side[2];
    us_map seen; /* pairs of constants compared */
    us_layers layers[2];
    uint32_t **layer_of
        [2]; /* cost: per graph and node, number of the layer + 1; NULL: costs are not asked for */
} us_dwork;

static inline uint64_t us_dmix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * UINT64_C(0x9E3779B97F4A7C15);
    h = (h ^ (h >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return h ^ (h >> 29);
}

/* --- diff_attr.c */
/* Says no more than the schema says without it. */
bool us_dattr_default(const us_node *n, const us_attr *a);
/* Sub-graphs are not looked at: they are compared on their own. */
bool us_dattr_equal(us_dwork *k, const us_attr *a, const us_attr *b);
uint64_t us_dattr_hash(us_dwork *k, const us_dside *s, const us_attr *a, int level);
us_err us_dattr_text(us_dwork *k, const us_dside *s, const us_attr *a, us_sv *out) US_MUST;
us_err us_dtext(us_dwork *k, us_buf *b,
                us_sv *out) US_MUST; /* into the result's arena; b is emptied */

/* --- diff_weight.c */
uint64_t us_dtensor_hash(const us_tensor *t, bool contents);
bool us_dtensor_equal(const us_tensor *a, const us_tensor *b);
void us_dtensor_type(const us_tensor *t, us_buf *b);
/* What a DequantizeLinear makes of constants. */
typedef struct us_dquant {
    const us_tensor *x, *scale, *zero; /* zero may be NULL */
    int64_t axis, block;
} us_dquant;
/* A constant against another, or against a dequantised one (qa, qb NULL: plain). Says only what differs. */
us_err us_dweight(us_dwork *k, const us_tensor *a, const us_dquant *qa, const us_tensor *b,
                  const us_dquant *qb, us_diff_weight *w, bool *differs) US_MUST;

/* --- diff_hash.c */
us_err us_dgraph_flat(us_dwork *k, us_dside *s, const us_graph *g, us_dgraph *out) US_MUST;
us_err us_dgraph_hash(us_dwork *k, us_dgraph *x) US_MUST;
/* All of a graph in one number; outer: labels of the values of the enclosing graph, NULL: there is none. */
us_err us_dgraph_sum(us_dwork *k, us_dside *s, const us_graph *g, const uint64_t *outer,
                     int depth, uint64_t *out) US_MUST;
us_err us_dnode_op(us_dwork *k, const us_dside *s, const us_node *n, uint64_t *hash) US_MUST;
us_sv us_dnode_name(const us_dgraph *x, const us_node *n); /* else of its first output */
/* A constant that travels in an attribute of a Constant node; false: n is no such node. */
bool us_dconst_node(us_dwork *k, const us_node *n, const us_tensor **t, us_err *e);

/* --- diff_align.c */
/* Calls hit(arg, i, j) for pairs with ta[i] == tb[j], both ascending, as many as a bounded search finds. */
us_err us_dalign(us_dwork *k, size_t na, const uint64_t *ta, size_t nb, const uint64_t *tb,
                 us_err (*hit)(void *arg, uint32_t i, uint32_t j), void *arg) US_MUST;

/* --- diff_match.c */
us_err us_dmatch(us_dwork *k, us_dgraph *x, us_dgraph *y) US_MUST;
/* va of x and vb of y are the same: paired, or twins by all that is above them. */
bool us_dsame(const us_dgraph *x, const us_dgraph *y, us_vid va, us_vid vb);
/* The same once unmatched nodes are passed through, upwards. */
bool us_dreach(const us_dgraph *x, const us_dgraph *y, us_vid va, us_vid vb);

/* --- diff_node.c */
/* What differs between graphs that are matched; calls us_dpair on sub-graphs. label: where they are, for the reader. */
us_err us_dnodes(us_dwork *k, us_dgraph *x, us_dgraph *y, us_sv label, int depth) US_MUST;
us_err us_dvalue_text(us_dwork *k, const us_dgraph *x, us_vid v, us_sv *out) US_MUST;
us_err us_dtype_text(us_dwork *k, const us_dside *s, const us_type *t, us_sv *out) US_MUST;
us_err us_dconsts(us_dwork *k, us_dgraph *x, us_dgraph *y, us_vid va, us_vid vb, us_sv label,
                  us_sv op) US_MUST;

/* --- diff.c */
us_err us_dpair(us_dwork *k, const us_dgraph *px, const us_dgraph *py, const us_graph *a,
                const us_graph *b, us_sv label, int depth) US_MUST;

#endif
