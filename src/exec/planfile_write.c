/* exec/planfile_write.c - from a plan to a file: data first, while they are summed; then graph, index and, last, the header. */
#include <string.h>

#include "base/ctx.h"
#include "base/sum.h"
#include "exec/plan.h"
#include "exec/planfile.h"
#include "exec/planhead.h"
#include "kernel/conv.h"
#include "kernel/gemm.h"
#include "onnx/onnx.h"

typedef struct sink {
    us_ctx *c;
    us_arena *a;
    us_writer *w;
    us_planhead head;
    us_sum sum;
    uint64_t at; /* bytes of the file so far */
    us_planpiece *index;
    us_plancand *choices;
} sink;

void us_planhead_own(const us_kernels *k, us_planhead *h)
{
    const char *level = us_cpu_level(k->cpu);
    memset(h, 0, sizeof *h);
    memcpy(h->magic, US_PLANHEAD_MAGIC, sizeof h->magic);
    h->format = US_PLANFILE_FORMAT;
    h->packing = us_packing_sum;
    memcpy(h->version, US_VERSION, US_MIN(sizeof US_VERSION, sizeof h->version - 1));
    memcpy(h->level, level, US_MIN(strlen(level), sizeof h->level - 1));
    h->block = (uint32_t)k->conv->block;
    h->panel = (uint32_t)k->gemm->layout.nr;
}

uint64_t us_planhead_sum(const us_planhead *h, const void *graph, const void *index,
                         const void *choices)
{
    us_sum s;
    us_planhead bare = *h;
    bare.sum = 0;
    us_sum_init(&s);
    us_sum_add(&s, &bare, sizeof bare);
    us_sum_add(&s, graph, (size_t)h->graph_bytes);
    us_sum_add(&s, index, (size_t)h->n_index * sizeof(us_planpiece));
    us_sum_add(&s, choices, (size_t)h->n_choices * sizeof(us_plancand));
    return us_sum_done(&s);
}

static us_err put_data(void *ud, const void *p, size_t n)
{
    sink *s = ud;
    us_sum_add(&s->sum, p, n);
    s->at += n;
    return us_writer_write(s->w, p, n);
}

static us_err pad(sink *s)
{
    static const char zeros[64];
    return s->at % 64 ? put_data(s, zeros, 64 - s->at % 64) : US_OK;
}

static us_err put_packed(sink *s, const us_plan *p)
{
    s->index = us_new_n(s->a, us_planpiece, p->packed.n);
    if (!s->index) return us_arena_fail(s->c, s->a);
    for (size_t i = 0; i < p->packed.n; i++) {
        const us_packed *x = &p->packed.at[i];
        s->index[i] = (us_planpiece){x->row, s->at, x->bytes};
        US_TRY(put_data(s, x->p, x->bytes));
        US_TRY(pad(s));
    }
    s->head.n_index = p->packed.n;
    return US_OK;
}

/* Of steps whose candidates were timed. */
static us_err list_choices(sink *s, const us_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->choices.n; i++)
        n += p->choices.at[i].ns ? p->choices.at[i].n : 0;
    us_plancand *to = s->choices = us_new_n(s->a, us_plancand, n);
    if (!to) return us_arena_fail(s->c, s->a);
    for (size_t i = 0; i < p->choices.n; i++) {
        const us_kernel_choice *x = &p->choices.at[i];
        for (size_t j = 0; x->ns && j < x->n; j++, to++) {
            *to = (us_plancand){.row = x->row, .ns = x->ns[j]};
            to->flags = (j == x->chosen ? US_PLANCAND_CHOSEN : 0U) |
                        (j == x->best ? US_PLANCAND_BEST : 0U);
            memcpy(to->name, x->list[j].name,
                   US_MIN(strlen(x->list[j].name), sizeof to->name - 1));
        }
    }
    s->head.n_choices = n;
    return US_OK;
}

/* The versions that bring every node back as it is: those of its domain's newest. */
static us_err set_versions(sink *s, const us_graph *g, us_model *copy, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH) return US_OK; /* planned before: cannot be */
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        if (n->version > us_model_opset(copy, n->domain))
            US_TRY(us_model_set_opset(s->c, copy, n->domain, n->version));
        for (uint32_t k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].kind == US_AT_GRAPH || n->attrs[k].kind == US_AT_GRAPHS)
                for (size_t j = 0; j < n->attrs[k].n; j++)
                    US_TRY(set_versions(s, n->attrs[k].graphs[j], copy, depth + 1));
    }
    return US_OK;
}

static us_err check_constants(us_ctx *c, const us_graph *g)
{
    for (size_t i = 0; i < g->vals.n; i++) {
        const us_val *v = &g->vals.at[i];
        if (v->storage == US_ST_VARIABLE)
            return us_fail(c, US_UNSUPP,
                           "a plan with variables ('" US_SV_FMT "') is not compiled",
                           US_SV_ARG(v->name));
        if (v->storage == US_ST_CONST && v->data && v->data->kind != US_KIND_TENSOR)
            return us_fail(c, US_UNSUPP,
                           "constant '" US_SV_FMT
                           "' is no tensor; a plan with such is not compiled",
                           US_SV_ARG(v->name));
    }
    return US_OK;
}

static us_err put_graph(sink *s, const us_plan *p, us_buf *b)
{
    us_model copy = *p->m;
    copy.arena = s->a;
    copy.functions.n = 0; /* calls were replaced by what they stand for */
    copy.unknown = (us_sv){0};
    memset(&copy.opsets, 0, sizeof copy.opsets);
    for (size_t i = 0; i < p->m->opsets.n; i++)
        US_TRY(us_model_set_opset(s->c, &copy, p->m->opsets.at[i].domain,
                                  p->m->opsets.at[i].version));
    US_TRY(set_versions(s, p->m->main, &copy, 0));
    for (size_t i = 0; i < p->n_all; i++)
        US_TRY(check_constants(s->c, p->all[i]->g));
    return us_onnx_print_plan(s->c, &copy, put_data, s, s->at, b);
}

static us_err put_rest(sink *s, const us_buf *graph)
{
    us_planhead *h = &s->head;
    size_t index_bytes = (size_t)h->n_index * sizeof *s->index,
           choices_bytes = (size_t)h->n_choices * sizeof *s->choices;
    h->data_sum = us_sum_done(&s->sum);
    h->data_at = US_PLANHEAD_ROOM;
    h->data_bytes = s->at - US_PLANHEAD_ROOM;
    h->index_at = s->at;
    h->choices_at = s->at + index_bytes;
    h->graph_at = h->choices_at + choices_bytes;
    h->graph_bytes = graph->n;
    h->file_bytes = h->graph_at + graph->n;
    if (graph->n > US_PLANFILE_GRAPH_MAX || h->n_index > US_PLANFILE_INDEX_MAX ||
        h->n_choices > US_PLANFILE_CHOICES_MAX || h->file_bytes > US_PLANFILE_MAX)
        return us_fail(s->c, US_LIMIT, "the plan is too large for a file");
    h->sum = us_planhead_sum(h, graph->p, s->index, s->choices);
    US_TRY(us_writer_write(s->w, s->index, index_bytes));
    US_TRY(us_writer_write(s->w, s->choices, choices_bytes));
    US_TRY(us_writer_write(s->w, graph->p, graph->n));
    US_TRY(us_writer_seek(s->w, 0));
    return us_writer_write(s->w, h, sizeof *h);
}

static us_err put_all(sink *s, const us_plan *p, us_buf *graph)
{
    static const char zeros[US_PLANHEAD_ROOM];
    us_planhead_own(us_kernels_get(s->c), &s->head);
    us_sum_init(&s->sum);
    US_TRY(us_writer_write(s->w, zeros, sizeof zeros));
    s->at = US_PLANHEAD_ROOM;
    US_TRY(put_packed(s, p));
    US_TRY(list_choices(s, p));
    US_TRY(put_graph(s, p, graph));
    US_TRY(pad(s));
    return put_rest(s, graph);
}

us_err us_planfile_write(us_ctx *c, const us_plan *p, const char *path, us_planfile_info *info)
{
    sink s = {.c = c};
    us_buf graph;
    if (p->source)
        return us_fail(c, US_UNSUPP, "a plan that gives back its weights is not compiled");
    us_buf_init(&graph, c, US_PLANFILE_GRAPH_MAX);
    us_err e = us_arena_new(c, "compiling a plan", (size_t)1 << 30, &s.a);
    if (e == US_OK) e = us_writer_open(c, path, &s.w);
    if (e == US_OK) e = put_all(&s, p, &graph);
    if (e == US_OK) {
        us_writer *w = s.w;
        s.w = NULL;
        e = us_writer_commit(w);
    }
    us_writer_abort(s.w);
    us_arena_free(s.a);
    us_buf_deinit(&graph);
    if (e != US_OK || !info) return e;
    *info = (us_planfile_info){.file_bytes = s.head.file_bytes,
                               .graph_bytes = s.head.graph_bytes,
                               .data_bytes = s.head.data_bytes,
                               .n_packed = p->packed.n};
    for (size_t i = 0; i < p->packed.n; i++)
        info->packed_bytes += p->packed.at[i].bytes;
    return US_OK;
}
