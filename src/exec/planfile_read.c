/* exec/planfile_read.c - from a file to a plan: everything the header says is checked before it is used. */
#include <string.h>

#include "base/ctx.h"
#include "base/sum.h"
#include "exec/plan.h"
#include "exec/planfile.h"
#include "exec/planhead.h"
#include "kernel/gemm.h"
#include "onnx/onnx.h"

typedef struct source {
    us_ctx *c;
    const char *name;
    const uint8_t *p;
    size_t n;
    us_planhead h;
} source;

bool us_planfile_is(const void *p, size_t n)
{
    return n >= 8 && memcmp(p, US_PLANHEAD_MAGIC, 8) == 0;
}

/* --- the header ------------------------------------------------------------------------------------ */

static us_err damaged(source *s, const char *what)
{
    return us_fail(s->c, US_FORMAT, "%s: the plan is damaged: %s; compile the model again",
                   s->name, what);
}

static us_err other(source *s, const char *what, const char *has, const char *own)
{
    return us_fail(s->c, US_UNSUPP,
                   "%s: this plan was compiled for %s %s, this is %s; compile the model again",
                   s->name, what, has, own);
}

static us_err other_number(source *s, const char *what, uint32_t has, uint32_t own)
{
    return us_fail(s->c, US_UNSUPP,
                   "%s: this plan was compiled for %s %u, this is %u; compile the model again",
                   s->name, what, (unsigned)has, (unsigned)own);
}

/* Format first: what follows it may lie elsewhere in another. */
static us_err check_maker(source *s)
{
    us_planhead own;
    const us_planhead *h = &s->h;
    us_planhead_own(us_kernels_get(s->c), &own);
    if (h->format != own.format) return other_number(s, "format", h->format, own.format);
    if (!memchr(h->version, 0, sizeof h->version) || !memchr(h->level, 0, sizeof h->level))
        return damaged(s, "who made it has no end");
    if (strcmp(h->version, own.version) != 0) return other(s, "usta", h->version, own.version);
    if (h->packing != own.packing)
        return us_fail(s->c, US_UNSUPP,
                       "%s: this plan was compiled by a build of usta with other kernels or "
                       "passes; compile the model again",
                       s->name);
    if (strcmp(h->level, own.level) != 0)
        return other(s, "the instruction set", h->level, own.level);
    if (h->block != own.block) return other_number(s, "blocks of", h->block, own.block);
    return h->panel == own.panel ? US_OK : other_number(s, "panels of", h->panel, own.panel);
}

static bool inside(const source *s, uint64_t at, uint64_t bytes)
{
    return at >= sizeof(us_planhead) && at <= s->n && bytes <= s->n - at;
}

static us_err check_places(source *s)
{
    const us_planhead *h = &s->h;
    if (s->n < h->file_bytes)
        return us_fail(s->c, US_FORMAT,
                       "%s: the plan is cut short: %zu of %llu bytes; compile the model again",
                       s->name, s->n, (unsigned long long)h->file_bytes);
    if (s->n > h->file_bytes) return damaged(s, "it is longer than it says");
    if (h->graph_bytes > US_PLANFILE_GRAPH_MAX || h->n_index > US_PLANFILE_INDEX_MAX ||
        h->n_choices > US_PLANFILE_CHOICES_MAX)
        return damaged(s, "its graph, index or choices are past all limits");
    if (!inside(s, h->data_at, h->data_bytes) || !inside(s, h->graph_at, h->graph_bytes) ||
        !inside(s, h->index_at, h->n_index * sizeof(us_planpiece)) ||
        !inside(s, h->choices_at, h->n_choices * sizeof(us_plancand)))
        return damaged(s, "a part of it lies outside");
    if (h->index_at % 8 || h->data_at % 64) return damaged(s, "a part of it is not aligned");
    return US_OK;
}

static us_err check_sums(source *s, bool all)
{
    const us_planhead *h = &s->h;
    if (us_planhead_sum(h, s->p + h->graph_at, s->p + h->index_at, s->p + h->choices_at) !=
        h->sum)
        return damaged(s, "header, graph, index and choices do not give their sum");
    if (!all && h->data_bytes > US_PLANFILE_SUM_MAX) return US_OK;
    if (us_sum_of(s->p + h->data_at, (size_t)h->data_bytes) != h->data_sum)
        return damaged(s, "the weights do not give their sum");
    return US_OK;
}

static us_err open_head(source *s)
{
    if (!us_planfile_is(s->p, s->n))
        return us_fail(s->c, US_FORMAT, "%s: this is no compiled plan", s->name);
    if (s->n < sizeof s->h)
        return us_fail(s->c, US_FORMAT, "%s: the plan is cut short: %zu bytes", s->name, s->n);
    memcpy(&s->h, s->p, sizeof s->h);
    US_TRY(check_maker(s));
    return check_places(s);
}

/* --- what it holds ------------------------------------------------------------------------------------ */

/* Packed pieces as the steps will ask for them; in tmp. */
static us_err read_index(source *s, us_arena *tmp, us_stored *out)
{
    size_t n = (size_t)s->h.n_index;
    us_packed *at = us_new_n(tmp, us_packed, n);
    if (!at) return us_arena_fail(s->c, tmp);
    for (size_t i = 0; i < n; i++) {
        us_planpiece x;
        memcpy(&x, s->p + s->h.index_at + i * sizeof x, sizeof x);
        if (!inside(s, x.at, x.bytes) || x.at % 64 || x.row > US_MAX_NODES)
            return damaged(s, "a packed piece lies outside");
        at[i] = (us_packed){(size_t)x.row, s->p + x.at, (size_t)x.bytes};
    }
    out->at = at;
    out->n = n;
    return US_OK;
}

/* n candidates, those of one step, as its choice. */
static us_err read_choice(source *s, us_arena *tmp, const us_plancand *x, size_t n,
                          us_kernel_choice *out)
{
    us_candidate *list = us_new_n(tmp, us_candidate, n);
    double *ns = us_new_n(tmp, double, n);
    size_t n_chosen = 0, n_best = 0;
    if (!list || !ns) return us_arena_fail(s->c, tmp);
    *out = (us_kernel_choice){.row = (size_t)x->row, .n = n, .list = list, .ns = ns};
    for (size_t j = 0; j < n; j++) {
        bool named = x[j].name[0] && memchr(x[j].name, 0, sizeof x[j].name);
        if (!named || !(x[j].ns >= 0 && x[j].ns < 1e18))
            return damaged(s, "a candidate without a name or a time");
        list[j].name = x[j].name;
        ns[j] = x[j].ns;
        if (x[j].flags & US_PLANCAND_CHOSEN) {
            out->chosen = j;
            n_chosen++;
        }
        if (x[j].flags & US_PLANCAND_BEST) {
            out->best = j;
            n_best++;
        }
    }
    return n_chosen == 1 && n_best == 1
               ? US_OK
               : damaged(s, "not one candidate of a step is chosen, or the model's");
}

static us_err read_choices(source *s, us_arena *tmp, us_stored *out)
{
    size_t n = (size_t)s->h.n_choices, m = 0;
    us_plancand *all = us_new_n(tmp, us_plancand, n);
    us_kernel_choice *to = us_new_n(tmp, us_kernel_choice, n);
    if (!all || !to) return us_arena_fail(s->c, tmp);
    memcpy(all, s->p + s->h.choices_at, n * sizeof *all);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && all[end].row == all[i].row;)
            end++;
        if (end - i > US_CANDIDATES || all[i].row > US_MAX_NODES)
            return damaged(s, "more candidates than a step can have");
        US_TRY(read_choice(s, tmp, &all[i], end - i, &to[m++]));
    }
    out->choices = to;
    out->n_choices = m;
    return US_OK;
}

static us_err make_plan(source *s, us_plan **out)
{
    us_arena *tmp;
    us_model *m = NULL;
    us_stored stored = {0};
    us_onnx_opts o = {.plan = true, .data = s->p, .data_bytes = s->n};
    US_TRY(us_arena_new(s->c, "loading a plan", (size_t)1 << 30, &tmp));
    us_err e = read_index(s, tmp, &stored);
    if (e == US_OK) e = read_choices(s, tmp, &stored);
    if (e == US_OK)
        e = us_onnx_parse(s->c, s->name, s->p + s->h.graph_at, (size_t)s->h.graph_bytes, NULL,
                          &o, &m);
    if (e == US_OK) e = us_plan_compiled(s->c, m, &stored, out);
    if (e != US_OK) us_model_free(m);
    us_arena_free(tmp);
    return e;
}

us_err us_planfile_parse(us_ctx *c, const char *name, const void *p, size_t n, bool unsummed,
                         us_plan **out)
{
    source s = {.c = c, .name = name, .p = p, .n = n};
    if ((uintptr_t)p % 64)
        return us_fail(c, US_ARG, "%s: a plan in memory must lie 64-byte aligned", name);
    US_TRY(open_head(&s));
    if (!unsummed) US_TRY(check_sums(&s, false));
    return make_plan(&s, out);
}

/* --- files --------------------------------------------------------------------------------------------- */

us_err us_planfile_find(us_ctx *c, const char *path, bool *is)
{
    char first[8];
    size_t n;
    US_TRY(us_file_peek(c, path, first, sizeof first, &n));
    *is = us_planfile_is(first, n);
    return US_OK;
}

us_err us_planfile_read(us_ctx *c, const char *path, us_plan **out)
{
    us_file *f;
    us_plan *p;
    US_TRY(us_file_map(c, path, US_PLANFILE_MAX, &f));
    us_err e = us_planfile_parse(c, path, us_file_data(f), us_file_size(f), false, &p);
    if (e != US_OK) {
        us_file_close(f);
        return e;
    }
    p->m->file = f; /* closed with the model */
    *out = p;
    return US_OK;
}

us_err us_planfile_verify(us_ctx *c, const char *path, us_planfile_info *info)
{
    us_file *f;
    US_TRY(us_file_map(c, path, US_PLANFILE_MAX, &f));
    source s = {.c = c, .name = path, .p = us_file_data(f), .n = us_file_size(f)};
    us_err e = open_head(&s);
    if (e == US_OK) e = check_sums(&s, true);
    if (e == US_OK && !us_file_ok(f))
        e = us_fail(c, US_IO, "%s: the file shrank while it was read", path);
    if (e == US_OK) {
        *info = (us_planfile_info){.file_bytes = s.h.file_bytes,
                                   .graph_bytes = s.h.graph_bytes,
                                   .data_bytes = s.h.data_bytes,
                                   .n_packed = (size_t)s.h.n_index};
        for (size_t i = 0; i < info->n_packed; i++) {
            us_planpiece x;
            memcpy(&x, s.p + s.h.index_at + i * sizeof x, sizeof x);
            info->packed_bytes += x.bytes;
        }
    }
    us_file_close(f);
    return e;
}

us_err us_plan_open(us_ctx *c, const char *path, const us_plan_opts *opts, us_plan **out)
{
    bool compiled;
    us_model *m;
    US_TRY(us_planfile_find(c, path, &compiled));
    if (compiled) {
        bool other = opts && (opts->keep_variables || opts->no_passes || opts->n_extra ||
                              opts->n_override);
        if (other)
            return us_fail(c, US_ARG, "%s: a compiled plan has its options already", path);
        return us_planfile_read(c, path, out);
    }
    US_TRY(us_onnx_read(c, path, NULL, &m));
    us_err e = us_plan_new(c, m, opts, out);
    if (e == US_OK) return US_OK;
    us_model_free(m);
    return us_wrap(c, e, "%s", path);
}
