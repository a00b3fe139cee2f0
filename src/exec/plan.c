/* exec/plan.c - from a model to steps.
 *
 * A plan keeps what does not depend on the sizes of inputs: the graph after passes, its nodes in order with their
 * evaluation functions and decoded attributes, when each value is read last. Sub-graphs get plans of their own; a
 * value they capture is read by the node that holds them.
 */
#include "exec/plan.h"

#include <string.h>

#include "pass/pass.h"

#define PLAN_ARENA_CAP ((size_t)4 << 30)
#define NEEDED_PASSES  "inline,upgrade,expand" /* operators run in their current form only */
#define ALL_PASSES     "default,cpu"

/* --- steps ------------------------------------------------------------------------------------- */

static bool is_subgraph_attr(const us_attr *a)
{
    return a->kind == US_AT_GRAPH || a->kind == US_AT_GRAPHS;
}

static size_t node_n_subs(const us_node *n)
{
    size_t k = 0;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (is_subgraph_attr(&n->attrs[i])) k += n->attrs[i].n;
    return k;
}

static void read_at(us_gplan *gp, us_vid v, uint32_t step)
{
    if (gp->last[v] == US_STEP_NEVER || gp->last[v] < step) gp->last[v] = step;
}

/* Everything that sub-graph `sub` of gp's step captures from gp, through further levels too: a value captured by an
 * inner sub-graph is an OUTER value of each level between. */
static void read_captures(us_gplan *gp, const us_gplan *sub, uint32_t step)
{
    for (size_t v = 0; v < sub->g->vals.n; v++)
        if (sub->g->vals.at[v].storage == US_ST_OUTER && sub->g->vals.at[v].outer != US_NIL)
            read_at(gp, sub->g->vals.at[v].outer, step);
}

static us_err add_step(us_ctx *c, us_plan *p, us_gplan *gp, us_nid nid, uint32_t i, size_t *at,
                       size_t *sub_at)
{
    const us_node *n = &gp->g->nodes.at[nid];
    us_step *s = &gp->steps[i];
    *s = (us_step){.eval = n->op->eval,
                   .node = n,
                   .op = n->op,
                   .at0 = (uint32_t)*at,
                   .sub0 = (uint32_t)*sub_at,
                   .n_in = n->n_in,
                   .n_out = n->n_out};
    if (n->op->flags & US_OP_IMAGES) p->images = n;
    for (uint32_t k = 0; k < n->n_in; k++) {
        gp->vids[(*at)++] = n->in[k];
        if (n->in[k] == US_NIL) continue;
        if (k == 0 && (n->op->flags & US_OP_SHAPE_ONLY)) continue;
        read_at(gp, n->in[k], i);
    }
    for (uint32_t k = 0; k < n->n_out; k++) {
        gp->vids[(*at)++] = n->out[k];
        if (n->out[k] != US_NIL) gp->def[n->out[k]] = i;
    }
    for (uint32_t k = 0; k < n->n_attrs; k++) {
        if (!is_subgraph_attr(&n->attrs[k])) continue;
        for (size_t j = 0; j < n->attrs[k].n; j++) {
            us_gplan *sub;
            US_TRY(us_gplan_new(c, p, n->attrs[k].graphs[j], gp, &sub));
            gp->subs[(*sub_at)++] = sub;
            s->n_sub++;
            read_captures(gp, sub, i);
        }
    }
    return US_OK;
}

/* What packing is going to take, about: the weights and some padding. */
static size_t packed_bytes(const us_gplan *gp)
{
    size_t sum = 0;
    for (size_t i = 0; i < gp->n_steps; i++) {
        const us_step *s = &gp->steps[i];
        for (uint32_t k = 0; k < s->n_in; k++) {
            us_vid v = gp->vids[s->at0 + k];
            const us_value *d = v == US_NIL ? NULL : gp->g->vals.at[v].data;
            if (d && d->kind == US_KIND_TENSOR && us_op_packs(s->op, k))
                sum += us_tensor_bytes(&d->t);
        }
    }
    return sum + sum / 32;
}

us_err us_gplan_new(us_ctx *c, us_plan *p, us_graph *g, us_gplan *parent, us_gplan **out)
{
    us_gplan *gp = us_new(p->arena, us_gplan);
    if (!gp) return us_arena_fail(c, p->arena);
    gp->g = g;
    gp->parent = parent;
    gp->n_vals = g->vals.n;
    gp->n_steps = g->order.n;
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        gp->n_vids += (size_t)n->n_in + n->n_out;
        gp->n_subs += node_n_subs(n);
    }
    gp->steps = us_new_n(p->arena, us_step, gp->n_steps);
    gp->vids = us_new_n(p->arena, us_vid, gp->n_vids);
    gp->subs = us_new_n(p->arena, us_gplan *, gp->n_subs);
    gp->def = us_new_n(p->arena, uint32_t, gp->n_vals);
    gp->last = us_new_n(p->arena, uint32_t, gp->n_vals);
    if (!gp->steps || !gp->vids || !gp->subs || !gp->def || !gp->last)
        return us_arena_fail(c, p->arena);
    memset(gp->def, 0xFF, gp->n_vals * sizeof *gp->def);
    memset(gp->last, 0xFF, gp->n_vals * sizeof *gp->last);
    gp->row0 = p->n_rows;
    p->n_rows += gp->n_steps;
    gp->index = (uint32_t)p->n_all++;
    size_t at = 0, sub_at = 0;
    for (size_t i = 0; i < gp->n_steps; i++)
        US_TRY(add_step(c, p, gp, g->order.at[i], (uint32_t)i, &at, &sub_at));
    if (p->stored.n == 0) us_arena_expect(p->arena, packed_bytes(gp));
    for (size_t i = 0; i < gp->n_steps; i++)
        US_TRY(us_step_prepare(c, p, g, &gp->steps[i], gp->row0 + i));
    for (size_t i = 0; i < g->outputs.n; i++)
        read_at(gp, g->outputs.at[i], (uint32_t)gp->n_steps);
    *out = gp;
    return US_OK;
}

/* --- what cannot run ---------------------------------------------------------------------------- */

#define MAX_WORD         ((size_t)40) /* of a domain, an operator's or a node's name in the message */
#define MAX_MISSING      ((size_t)64)   /* operators that are named; more are counted */
#define MAX_NAMED        ((size_t)3)    /* nodes of each that are named */
#define MAX_MISSING_TEXT ((size_t)3900) /* what us_diag.text holds, less the words around it */

/* One operator that cannot run, with the first of its nodes. */
typedef struct missing_op {
    us_sv domain, op;
    int version;
    us_sv nodes[MAX_NAMED];
    size_t n_nodes;
} missing_op;

typedef struct missing {
    missing_op ops[MAX_MISSING];
    size_t n;
    size_t n_unnamed; /* nodes of operators beyond those */
} missing;

static us_sv word_of(us_sv s)
{
    return (us_sv){s.p, US_MIN(s.n, MAX_WORD)};
}

static void note_missing(const us_graph *g, missing *mi, const us_node *n)
{
    size_t i = 0;
    while (i < mi->n &&
           !(mi->ops[i].version == n->version && us_sv_eq(mi->ops[i].domain, n->domain) &&
             us_sv_eq(mi->ops[i].op, n->op_type)))
        i++;
    if (i == MAX_MISSING) {
        mi->n_unnamed++;
        return;
    }
    missing_op *m = &mi->ops[i];
    if (i == mi->n) {
        *m = (missing_op){.domain = n->domain, .op = n->op_type, .version = n->version};
        mi->n++;
    }
    us_sv name = n->name; /* a node without a name is known by what it makes */
    for (uint32_t o = 0; name.n == 0 && o < n->n_out; o++)
        if (n->out[o] != US_NIL) name = g->vals.at[n->out[o]].name;
    if (m->n_nodes < MAX_NAMED) m->nodes[m->n_nodes] = name;
    m->n_nodes++;
}

static void find_missing(const us_graph *g, missing *mi, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH) return;
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        if (!n->op || !n->op->eval) note_missing(g, mi, n);
        for (uint32_t k = 0; k < n->n_attrs; k++)
            if (is_subgraph_attr(&n->attrs[k]))
                for (size_t j = 0; j < n->attrs[k].n; j++)
                    find_missing(n->attrs[k].graphs[j], mi, depth + 1);
    }
}

/* "my.domain.Wonder@1 (4 nodes: 'a', 'b', ...)", with at most n_named nodes by name. */
static void say_missing(us_buf *b, const missing_op *m, size_t n_named)
{
    us_sv domain = word_of(m->domain), op = word_of(m->op);
    us_buf_addf(b, US_SV_FMT "%s" US_SV_FMT "@%d (%zu node%s", US_SV_ARG(domain),
                domain.n ? "." : "", US_SV_ARG(op), m->version, m->n_nodes,
                m->n_nodes == 1 ? "" : "s");
    for (size_t i = 0; i < US_MIN(m->n_nodes, n_named); i++) {
        us_sv name = word_of(m->nodes[i]);
        us_buf_addf(b, "%s '" US_SV_FMT "'", i ? "," : ":", US_SV_ARG(name));
    }
    us_buf_adds(b, n_named > 0 && m->n_nodes > n_named ? ", ...)" : ")");
}

/* True when all of them fit; the nodes of those that do not are counted. */
static bool say_all_missing(us_buf *b, us_buf *one, const missing *mi, size_t n_named)
{
    size_t n_more = mi->n_unnamed, i = 0;
    us_buf_clear(b);
    for (; i < mi->n; i++) {
        us_buf_clear(one);
        say_missing(one, &mi->ops[i], n_named);
        if (us_buf_sv(b).n + us_buf_sv(one).n > MAX_MISSING_TEXT) break;
        if (i > 0) us_buf_adds(b, ", ");
        us_buf_addsv(b, us_buf_sv(one));
    }
    bool all = i == mi->n;
    for (; i < mi->n; i++)
        n_more += mi->ops[i].n_nodes;
    if (n_more > 0) us_buf_addf(b, " and %zu node%s of others", n_more, n_more == 1 ? "" : "s");
    return all;
}

/* Every operator without a kernel in one error: whoever has to convert the model sees the whole of it at once. Where there
 * are so many that the text of an error is too short, fewer nodes of each are named. */
static us_err check_runnable(us_ctx *c, const us_graph *g)
{
    missing mi = {.n = 0};
    find_missing(g, &mi, 0);
    if (mi.n == 0) return US_OK;
    us_buf text, one;
    us_buf_init(&text, c, 8192);
    us_buf_init(&one, c, 1024);
    size_t n_named = MAX_NAMED;
    while (!say_all_missing(&text, &one, &mi, n_named) && n_named > 0)
        n_named--;
    us_err e = us_fail(c, US_UNSUPP, "operators this build cannot run: " US_SV_FMT,
                       US_SV_ARG(us_buf_sv(&text)));
    us_buf_deinit(&one);
    us_buf_deinit(&text);
    return e;
}

/* --- inputs, outputs, variables ----------------------------------------------------------------- */

static us_err override_inputs(us_ctx *c, us_graph *g, const us_plan_opts *o)
{
    for (size_t i = 0; i < o->n_override; i++) {
        us_vid v = us_graph_find(g, o->override_names[i]);
        if (v == US_NIL || !g->vals.at[v].also_input)
            return us_fail(c, US_ARG,
                           "'" US_SV_FMT "' is not an initialiser listed among the inputs",
                           US_SV_ARG(o->override_names[i]));
        g->vals.at[v].storage = US_ST_INPUT;
        g->vals.at[v].also_input = false;
        g->vals.at[v].data = NULL;
        bool listed = false;
        for (size_t k = 0; k < g->inputs.n; k++)
            listed = listed || g->inputs.at[k] == v;
        if (!listed) US_TRY(us_vec_push(c, g->model->arena, &g->inputs, v));
    }
    return US_OK;
}

/* Variables of a plan that trains get memory of their own, written by the optimiser; else they are constants. */
static us_err settle_variables(us_ctx *c, us_model *m, us_graph *g, bool keep)
{
    for (size_t v = 0; v < g->vals.n; v++) {
        us_val *val = &g->vals.at[v];
        if (val->storage != US_ST_VARIABLE) continue;
        if (!keep) {
            val->storage = US_ST_CONST;
            continue;
        }
        us_value *own = us_new(m->arena, us_value);
        if (!own) return us_arena_fail(c, m->arena);
        US_TRY(us_value_dup(c, m->arena, val->data, own));
        val->data = own;
    }
    return US_OK;
}

static us_err list_ends(us_ctx *c, us_plan *p, const us_graph *g)
{
    p->in = us_new_n(p->arena, us_vid, g->inputs.n);
    p->in_name = us_new_n(p->arena, us_sv, g->inputs.n);
    p->out = us_new_n(p->arena, us_vid, g->outputs.n);
    p->out_name = us_new_n(p->arena, us_sv, g->outputs.n);
    p->out_type = us_new_n(p->arena, us_type, g->outputs.n);
    if (!p->in || !p->in_name || !p->out || !p->out_name || !p->out_type)
        return us_arena_fail(c, p->arena);
    for (size_t i = 0; i < g->inputs.n; i++) {
        us_vid v = g->inputs.at[i];
        if (g->vals.at[v].storage != US_ST_INPUT) continue;
        p->in[p->n_in] = v;
        US_TRY(us_sv_dup(c, p->arena, g->vals.at[v].name, &p->in_name[p->n_in++]));
    }
    for (size_t i = 0; i < g->outputs.n; i++)
        US_TRY(us_sv_dup(c, p->arena, g->vals.at[g->outputs.at[i]].name, &p->out_name[i]));
    p->n_out = g->outputs.n;
    return US_OK;
}

static us_err run_passes(us_ctx *c, us_model *m, const us_plan_opts *o)
{
    US_TRY(us_plan_gradients(c, m)); /* first: they name values */
    return us_pass_run(c, m, o->no_passes ? NEEDED_PASSES : ALL_PASSES);
}

/* The model as a plan runs it, without a plan. */
us_err us_plan_transform(us_ctx *c, us_model *m, const us_plan_opts *o)
{
    US_TRY(us_graph_verify(c, m->main));
    US_TRY(settle_variables(c, m, m->main, o->keep_variables));
    return run_passes(c, m, o);
}

static us_err settle_ends(us_ctx *c, us_plan *p, const us_graph *g)
{
    US_TRY(check_runnable(c, g));
    for (size_t i = 0; i < p->n_out; i++) {
        p->out[i] = g->outputs.at[i];
        p->out_type[i] = g->vals.at[p->out[i]].type;
    }
    return US_OK;
}

static size_t count_graphs(const us_graph *g, int depth)
{
    size_t n = 1;
    if (depth > US_MAX_GRAPH_DEPTH) return n;
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *node = &g->nodes.at[g->order.at[i]];
        for (uint32_t k = 0; k < node->n_attrs; k++)
            if (is_subgraph_attr(&node->attrs[k]))
                for (size_t j = 0; j < node->attrs[k].n; j++)
                    n += count_graphs(node->attrs[k].graphs[j], depth + 1);
    }
    return n;
}

static us_err number_graphs(us_ctx *c, us_plan *p)
{
    p->n_all = count_graphs(p->m->main, 0);
    p->all = us_new_n(p->arena, us_gplan *, p->n_all);
    if (!p->all) return us_arena_fail(c, p->arena);
    p->n_all = 0;
    return US_OK;
}

static void sum_constants(us_plan *p)
{
    const us_graph *g = p->m->main;
    for (size_t v = 0; v < g->vals.n; v++) {
        const us_value *d = g->vals.at[v].data;
        if (p->main->last[v] != US_STEP_NEVER && d && d->kind == US_KIND_TENSOR)
            p->const_bytes += us_tensor_bytes(&d->t);
    }
}

static void fill_all(us_plan *p, us_gplan *gp)
{
    p->all[gp->index] = gp;
    for (size_t i = 0; i < gp->n_subs; i++)
        fill_all(p, gp->subs[i]);
}

/* What is left to do when the graph is what runs. */
static us_err finish(us_ctx *c, us_plan *p)
{
    us_graph *g = p->m->main;
    US_TRY(settle_ends(c, p, g));
    US_TRY(number_graphs(c, p));
    us_err e = us_gplan_new(c, p, g, NULL, &p->main);
    us_block_put(&p->alloc, &p->room);
    US_TRY(e);
    fill_all(p, p->main);
    sum_constants(p);
    us_trace(c, PLAN, 1, "%zu steps, %zu graphs, %zu bytes of constants", p->main->n_steps,
             p->n_all, p->const_bytes);
    return US_OK;
}

/* What passes left behind goes; inputs have other numbers then, but their order. */
static us_err squeeze(us_ctx *c, us_plan *p)
{
    size_t n = 0;
    US_TRY(us_model_squeeze(c, p->m));
    const us_graph *g = p->m->main;
    for (size_t i = 0; i < g->inputs.n && n < p->n_in; i++)
        if (g->vals.at[g->inputs.at[i]].storage == US_ST_INPUT) p->in[n++] = g->inputs.at[i];
    if (n < p->n_in) return us_fail(c, US_BUG, "an input is lost among the passes");
    return US_OK;
}

static us_err make_plan(us_ctx *c, us_plan *p, const us_plan_opts *o)
{
    us_graph *g = p->m->main;
    US_TRY(us_graph_verify(c, g));
    US_TRY(override_inputs(c, g, o));
    US_TRY(settle_variables(c, p->m, g, o->keep_variables));
    for (size_t i = 0; i < o->n_extra; i++)
        US_TRY(us_graph_add_output(c, g, o->extra[i]));
    US_TRY(list_ends(c, p, g));
    bool plain = o->keep_variables || o->no_passes || o->n_extra > 0 || o->n_override > 0;
    p->m->defers = o->source && !plain;
    US_TRY(run_passes(c, p->m, o));
    if (p->m->defers) US_TRY(squeeze(c, p));
    US_TRY(finish(c, p));
    if (!p->m->defers) return US_OK;
    p->source = o->source;
    return us_plan_release(c, p);
}

static us_err make_compiled(us_ctx *c, us_plan *p, const us_stored *stored)
{
    p->stored = *stored;
    US_TRY(us_graph_verify(c, p->m->main));
    US_TRY(list_ends(c, p, p->m->main));
    US_TRY(finish(c, p));
    if (p->stored.next_choice < p->stored.n_choices)
        return us_fail(c, US_FORMAT,
                       "the plan is damaged: it holds a choice for step %zu, which has none; "
                       "compile the model again",
                       p->stored.choices[p->stored.next_choice].row);
    p->stored = (us_stored){0};
    return US_OK;
}

static us_err plan_new(us_ctx *c, us_model *m, const us_plan_opts *opts,
                       const us_stored *stored, us_plan **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "plan", PLAN_ARENA_CAP, &a));
    us_plan *p = us_new(a, us_plan);
    us_err e = p ? US_OK : us_arena_fail(c, a);
    if (p) {
        p->alloc = c->alloc;
        p->arena = a;
        p->m = m;
        us_lock_init(&p->lock);
        e = stored ? make_compiled(c, p, stored) : make_plan(c, p, opts);
    }
    if (e != US_OK) {
        if (p) us_lock_deinit(&p->lock);
        us_arena_free(a);
        return e;
    }
    *out = p;
    return US_OK;
}

us_err us_plan_new(us_ctx *c, us_model *m, const us_plan_opts *opts, us_plan **out)
{
    static const us_plan_opts defaults = {0};
    return plan_new(c, m, opts ? opts : &defaults, NULL, out);
}

us_err us_plan_compiled(us_ctx *c, us_model *m, const us_stored *stored, us_plan **out)
{
    return plan_new(c, m, NULL, stored, out);
}

static bool is_varied(const us_plan *p, size_t row, const us_kernel_choice *choices, size_t n)
{
    const us_kernel_choice *a = NULL, *b = NULL;
    for (size_t i = 0; i < p->choices.n && !a; i++)
        if (p->choices.at[i].row == row) a = &p->choices.at[i];
    for (size_t i = 0; i < n && !b; i++)
        if (choices[i].row == row) b = &choices[i];
    return a && (b ? b->chosen : a->best) != a->chosen;
}

us_err us_plan_vary(us_ctx *c, const us_plan *p, const us_kernel_choice *choices,
                    size_t n_choices, us_plan **out)
{
    us_stored s = {.choices = choices, .n_choices = n_choices};
    us_plan *made;
    us_arena *tmp;
    US_TRY(us_arena_new(c, "another plan", PLAN_ARENA_CAP, &tmp));
    us_packed *at = us_new_n(tmp, us_packed, p->packed.n);
    us_err e = at ? US_OK : us_arena_fail(c, tmp);
    for (size_t i = 0; at && i < p->packed.n; i++)
        if (!is_varied(p, p->packed.at[i].row, choices, n_choices)) at[s.n++] = p->packed.at[i];
    s.at = at;
    if (e == US_OK) e = plan_new(c, p->m, NULL, &s, &made);
    us_arena_free(tmp);
    if (e != US_OK) return e;
    made->lent = true;
    *out = made;
    return US_OK;
}

void us_plan_free(us_plan *p)
{
    if (!p) return;
    us_plan *under = p->under;
    if (!p->lent) us_model_free(p->m);
    us_lock_deinit(&p->lock);
    us_arena_free(p->arena);
    us_plan_free(under);
}

size_t us_plan_n_operators(void)
{
    size_t n = 0;
    for (int id = US_OP_NONE + 1; id < US_OP_N; id++) {
        const us_op *op = us_op_get((us_op_id)id);
        n += !(op->flags & US_OP_INTERNAL) && (op->eval != NULL || op->expand != NULL);
    }
    return n;
}

/* --- questions ------------------------------------------------------------------------------------ */

const us_model *us_plan_model(const us_plan *p)
{
    return p->m;
}

size_t us_plan_n_inputs(const us_plan *p)
{
    return p->n_in;
}

size_t us_plan_n_outputs(const us_plan *p)
{
    return p->n_out;
}

us_sv us_plan_input_name(const us_plan *p, size_t i)
{
    return i < p->n_in ? p->in_name[i] : (us_sv){0};
}

us_sv us_plan_output_name(const us_plan *p, size_t i)
{
    return i < p->n_out ? p->out_name[i] : (us_sv){0};
}

const us_type *us_plan_input_type(const us_plan *p, size_t i)
{
    return i < p->n_in ? &p->m->main->vals.at[p->in[i]].type : NULL;
}

const us_type *us_plan_output_type(const us_plan *p, size_t i)
{
    return i < p->n_out ? &p->out_type[i] : NULL;
}

size_t us_plan_choices(const us_plan *p, const us_kernel_choice **out)
{
    *out = p->choices.at;
    return p->choices.n;
}

us_err us_plan_variable(us_ctx *c, us_plan *p, us_vid v, us_tensor *out)
{
    const us_graph *g = p->m->main;
    if (v >= g->vals.n || g->vals.at[v].storage != US_ST_VARIABLE || !g->vals.at[v].data)
        return us_fail(
            c, US_ARG,
            "value %u is not a variable of this plan (plans keep them with keep_variables)",
            (unsigned)v);
    *out = g->vals.at[v].data->t;
    return US_OK;
}
