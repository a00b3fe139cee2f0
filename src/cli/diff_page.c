/* cli/diff_page.c - the page of `usta diff`: facts, nodes, shapes, weights, and a line that sums it up.
 *
 * Of each kind the first few lines are shown, with how many there are more; a table by operator comes before many nodes. Weights that
 * are not all shown are those with the largest differences.
 */
#include "cli/diff_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN       20  /* lines of a kind, without --all */
#define SHOWN_PARTS 8   /* changes of one node */
#define TEXT_MAX    160 /* bytes of a value, without --all */

typedef struct page {
    us_cli *cli;
    us_out *o;
    const us_diff *d;
    const us_diff_page *p;
    size_t max;
} page;

static void put(page *k, us_sv s)
{
    size_t max = k->p->all ? s.n : TEXT_MAX;
    us_out_bytes(k->o, s.n ? s.p : "", US_MIN(s.n, max));
    if (s.n > max) us_outf(k->o, "... (%zu bytes)", s.n);
}

static void put_side(page *k, us_sv s)
{
    if (!s.p)
        us_out_text(k->o, "(none)");
    else if (!s.n)
        us_out_text(k->o, "''");
    else
        put(k, s);
}

static void put_change(page *k, const us_diff_fact *f, const char *indent)
{
    us_outf(k->o, "%s%s", indent, f->what);
    if (f->name.n) {
        us_out_text(k->o, " ");
        put(k, f->name);
    }
    us_out_text(k->o, ": ");
    put_side(k, f->a);
    us_out_text(k->o, " -> ");
    put_side(k, f->b);
    us_out_text(k->o, "\n");
}

static void put_more(page *k, size_t n, size_t shown, const char *what)
{
    if (n > shown) us_outf(k->o, "  ... and %zu more %s (--all shows them)\n", n - shown, what);
}

/* --- facts and nodes -------------------------------------------------------------------------------------- */

static void print_facts(page *k)
{
    const us_diff *d = k->d;
    for (size_t i = 0; i < d->facts.n && i < 2 * k->max; i++)
        put_change(k, &d->facts.at[i], "");
    if (d->facts.n > 2 * k->max) put_more(k, d->facts.n, 2 * k->max, "of these");
    if (d->facts.n) us_out_text(k->o, "\n");
}

typedef struct by_op {
    us_sv op;
    size_t n[3];
} by_op;

static us_err print_operators(page *k)
{
    us_map map;
    US_VEC(by_op) ops = {0};
    us_rtable *t;
    us_map_init(&map, k->cli->arena);
    for (size_t i = 0; i < k->d->nodes.n; i++) {
        const us_diff_node *n = &k->d->nodes.at[i];
        us_sv op = n->a ? n->a->op_type : n->b->op_type;
        uint32_t at = us_map_get(&map, op);
        if (at == US_MAP_NONE) {
            at = (uint32_t)ops.n;
            US_TRY(us_map_put(k->cli->c, &map, op, at, NULL));
            US_TRY(us_vec_push(k->cli->c, k->cli->arena, &ops, (by_op){.op = op}));
        }
        ops.at[at].n[n->state]++;
    }
    US_TRY(
        us_rtable_new(k->cli->c, k->cli->arena, NULL, "operator|>removed|>added|>changed", &t));
    for (size_t i = 0; i < ops.n; i++) {
        us_rtable_cellsv(t, ops.at[i].op);
        for (int s = 0; s < 3; s++)
            us_rtable_cellf(t, "%zu", ops.at[i].n[s]);
    }
    US_TRY(us_out_table(k->cli, t));
    us_out_text(k->o, "\n");
    return US_OK;
}

static void print_node(page *k, const us_diff_node *n)
{
    static const char signs[] = {
        [US_DIFF_REMOVED] = '-', [US_DIFF_ADDED] = '+', [US_DIFF_CHANGED] = '~'};
    us_sv name = n->a ? n->name_a : n->name_b;
    us_outf(k->o, "%c ", signs[n->state]);
    put(k, n->a ? n->a->op_type : n->b->op_type);
    us_out_text(k->o, " '");
    put(k, name);
    us_out_text(k->o, "'");
    if (n->state == US_DIFF_CHANGED && !us_sv_eq(n->name_a, n->name_b)) {
        us_out_text(k->o, " (now '");
        put(k, n->name_b);
        us_out_text(k->o, "')");
    }
    if (n->graph.n) us_outf(k->o, " in " US_SV_FMT, US_SV_ARG(n->graph));
    if (n->from.n) us_outf(k->o, "  reads " US_SV_FMT, US_SV_ARG(n->from));
    if (n->to.n)
        us_outf(k->o, "%s read by " US_SV_FMT, n->from.n ? ";" : " ", US_SV_ARG(n->to));
    us_out_text(k->o, "\n");
    size_t max = k->p->all ? n->n_changes : SHOWN_PARTS;
    for (size_t i = 0; i < n->n_changes && i < max; i++)
        put_change(k, &n->changes[i], "    ");
    if (n->n_changes > max) us_outf(k->o, "    ... and %zu more\n", n->n_changes - max);
}

static us_err print_nodes(page *k)
{
    const us_diff *d = k->d;
    us_outf(k->o, "nodes: %zu and %zu, %zu matched; %zu removed, %zu added, %zu changed\n",
            d->n_nodes_a, d->n_nodes_b, d->n_matched, d->n_state[US_DIFF_REMOVED],
            d->n_state[US_DIFF_ADDED], d->n_state[US_DIFF_CHANGED]);
    if (d->nodes.n > k->max) US_TRY(print_operators(k));
    size_t shown[3] = {0}, total = 0;
    for (size_t i = 0; i < d->nodes.n; i++)
        if (shown[d->nodes.at[i].state]++ < k->max) {
            print_node(k, &d->nodes.at[i]);
            total++;
        }
    put_more(k, d->nodes.n, total, "nodes");
    if (d->nodes.n) us_out_text(k->o, "\n");
    return US_OK;
}

/* --- shapes and costs --------------------------------------------------------------------------------------- */

static void print_shapes(page *k)
{
    const us_diff *d = k->d;
    if (!d->shapes.n) return;
    us_outf(k->o, "types of results: %zu differ%s\n", d->shapes.n,
            d->types_a && d->types_b ? "" : " (as declared where they cannot be inferred)");
    for (size_t i = 0; i < d->shapes.n && i < k->max; i++) {
        const us_diff_shape *s = &d->shapes.at[i];
        us_outf(k->o, "  " US_SV_FMT " '", US_SV_ARG(s->op));
        put(k, s->value_a);
        us_out_text(k->o, "': ");
        put(k, s->a);
        us_out_text(k->o, " -> ");
        put(k, s->b);
        us_out_text(k->o, "\n");
    }
    put_more(k, d->shapes.n, k->max, "results");
    us_out_text(k->o, "\n");
}

static void put_macs(page *k, double macs)
{
    char z[32];
    us_out_text(k->o, isnan(macs) ? "unknown" : us_print_count((int64_t)macs, z));
}

static void print_costs(page *k)
{
    const us_diff *d = k->d;
    if (!k->p->cost) return;
    us_out_text(k->o, "multiply-accumulates: ");
    put_macs(k, d->macs_a);
    us_out_text(k->o, " -> ");
    put_macs(k, d->macs_b);
    us_outf(k->o, "; of %zu matched nodes they differ\n", d->costs.n);
    for (size_t i = 0; i < d->costs.n && i < k->max; i++) {
        const us_diff_cost *c = &d->costs.at[i];
        us_outf(k->o, "  " US_SV_FMT " '", US_SV_ARG(c->op));
        put(k, c->name);
        us_out_text(k->o, "': ");
        put_macs(k, c->macs_a);
        us_out_text(k->o, " -> ");
        put_macs(k, c->macs_b);
        us_out_text(k->o, "\n");
    }
    put_more(k, d->costs.n, k->max, "nodes");
    us_out_text(k->o, "\n");
}

/* --- weights ---------------------------------------------------------------------------------------------------- */

/* Those that cannot be compared first, then the largest differences; equal ones in order. */
static int by_difference(const void *p, const void *q)
{
    const us_diff_weight *a = *(const us_diff_weight *const *)p,
                         *b = *(const us_diff_weight *const *)q;
    if (a->compared != b->compared) return a->compared ? 1 : -1;
    if (a->relative > b->relative) return -1;
    if (a->relative < b->relative) return 1;
    return (a > b) - (a < b);
}

static void add_weight(us_rtable *t, const us_diff_weight *w)
{
    bool same_type = us_sv_eq(w->type_a, w->type_b);
    us_rtable_cellsv(t, w->op);
    us_rtable_cellsv(t, w->name_a.n ? w->name_a : w->name_b);
    if (same_type)
        us_rtable_cellsv(t, w->type_a);
    else
        us_rtable_cellf(t, US_SV_FMT " -> " US_SV_FMT, US_SV_ARG(w->type_a),
                        US_SV_ARG(w->type_b));
    if (!w->compared) {
        for (int i = 0; i < 4; i++)
            us_rtable_cell(t, "-");
        us_rtable_cell(t, "");
        return;
    }
    us_rtable_f64(t, w->largest, 3);
    us_rtable_f64(t, w->mean, 3);
    if (isnan(w->cosine))
        us_rtable_cell(t, "-");
    else
        us_rtable_cellf(t, "%.6f", w->cosine);
    us_rtable_cellf(t, "%.3g %%", 100 * (double)w->n_changed / (double)US_MAX(w->n, 1));
    if (w->n_nan_a || w->n_nan_b)
        us_rtable_cellf(t, "NaN: %llu -> %llu", (unsigned long long)w->n_nan_a,
                        (unsigned long long)w->n_nan_b);
    else
        us_rtable_cell(t, w->quantised ? "quantised" : "");
    if (w->n_nan_b > w->n_nan_a) us_rtable_tone(t, US_BAD);
}

static us_err print_weights(page *k)
{
    const us_diff *d = k->d;
    us_rtable *t;
    size_t n = d->weights.n;
    if (k->p->structure_only) {
        us_outf(k->o, "constants: contents not compared; %zu of %zu differ in type\n", n,
                d->n_weights);
    } else {
        char z[32];
        us_outf(k->o, "constants: %zu of %zu differ (%s numbers compared)\n", n, d->n_weights,
                us_print_count((int64_t)d->n_elements, z));
    }
    if (!n) return US_OK;
    const us_diff_weight **list = us_new_n(k->cli->arena, const us_diff_weight *, n);
    if (!list) return us_arena_fail(k->cli->c, k->cli->arena);
    for (size_t i = 0; i < n; i++)
        list[i] = &d->weights.at[i];
    if (n > k->max) {
        qsort(list, n, sizeof *list, by_difference);
        us_outf(k->o, "the %zu that differ most:\n", k->max);
    }
    US_TRY(us_rtable_new(k->cli->c, k->cli->arena, NULL,
                         "operator|constant|type|>largest|>mean|>cosine|>changed|marks", &t));
    for (size_t i = 0; i < n && i < k->max; i++)
        add_weight(t, list[i]);
    US_TRY(us_out_table(k->cli, t));
    put_more(k, n, k->max, "constants");
    us_out_text(k->o, "\n");
    return US_OK;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static void print_sum(page *k)
{
    const us_diff *d = k->d;
    if (k->p->identical) {
        us_outf(k->o, "%s and %s are the same bytes\n", k->p->a, k->p->b);
    } else if (d->same) {
        us_outf(
            k->o,
            k->p->weights_only ? "no differences of weights (%zu nodes matched)\n"
            : k->p->structure_only
                ? "no differences of structure (%zu nodes matched)\n"
                : "no differences (%zu nodes matched): at most names, order and layout of the "
                  "files\n",
            d->n_matched);
    } else {
        us_outf(
            k->o,
            "they differ: %zu nodes removed, %zu added, %zu changed; %zu of %zu constants; %zu "
            "types of results; %zu other facts\n",
            d->n_state[US_DIFF_REMOVED], d->n_state[US_DIFF_ADDED], d->n_state[US_DIFF_CHANGED],
            d->weights.n, d->n_weights, d->shapes.n, d->facts.n);
    }
}

us_err us_diff_print(us_cli *cli, const us_diff *d, const us_diff_page *p)
{
    page k = {.cli = cli, .o = cli->out, .d = d, .p = p, .max = p->all ? SIZE_MAX / 4 : SHOWN};
    if (!p->identical && !d->same) {
        if (d->current)
            us_out_text(k.o,
                        "opset imports differ: operators are compared in their newest form\n");
        print_facts(&k);
        if (!p->weights_only) {
            US_TRY(print_nodes(&k));
            print_shapes(&k);
        }
        US_TRY(print_weights(&k));
        print_costs(&k);
    } else if (d && p->cost) {
        print_costs(&k);
    }
    print_sum(&k);
    return US_OK;
}
