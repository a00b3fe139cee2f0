/* ir/eval.c - what every operator's eval function uses: inputs, outputs, working memory, messages. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

/* Elements, and at least what a loop over the other dims of an empty tensor costs. */
static double cost_of(const us_tensor *t)
{
    double n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i] > 1 ? (double)t->dims[i] : 1;
    return n;
}

const us_tensor *us_eval_opt(us_eval *k, size_t i)
{
    if (i >= k->n_in || !k->in[i] || k->in[i]->kind != US_KIND_TENSOR) return NULL;
    return &k->in[i]->t;
}

us_err us_eval_in(us_eval *k, size_t i, const us_tensor **out)
{
    const us_tensor *t = us_eval_opt(k, i);
    if (!t)
        return us_eval_fail(k, US_ARG, "input %zu is %s, expected a tensor", i,
                            i < k->n_in && k->in[i] && k->in[i]->kind != US_KIND_NONE
                                ? "not a tensor"
                                : "missing");
    if (us_tensor_count(t) == 0) US_TRY(us_eval_work(k, cost_of(t)));
    *out = t;
    return US_OK;
}

us_err us_eval_check(us_eval *k)
{
    us_dtype bound[UCHAR_MAX + 1] = {US_DT_NONE};
    const us_param *p = us_op_current(k->n->op)->in;
    for (size_t i = 0; i < k->n_in && p && p->name; i++) {
        const us_tensor *t = us_eval_opt(k, i);
        us_dtype *same = &bound[(unsigned char)p->var];
        if (t && !(p->types >> t->dtype & 1))
            return us_eval_fail(k, US_ARG, "input %zu (%s) holds %s, which it may not", i,
                                p->name, us_dtype_get(t->dtype)->name);
        bool free = !p->var || (p->flags & US_P_HETERO);
        if (t && !free && *same != US_DT_NONE && *same != t->dtype)
            return us_eval_fail(k, US_ARG, "input %zu (%s) holds %s, an input before it %s", i,
                                p->name, us_dtype_get(t->dtype)->name,
                                us_dtype_get(*same)->name);
        if (t && !free) *same = t->dtype;
        if (!(p->flags & US_P_VARIADIC)) p++;
    }
    return US_OK;
}

us_err us_eval_work(us_eval *k, double steps)
{
    double *left = k->env->work_left;
    if (!left) return US_OK;
    if (!(steps <= *left))
        return us_eval_fail(
            k, US_LIMIT,
            "%.3g elementary steps, with %.3g left of what a run may take (max_work)", steps,
            *left);
    *left -= steps;
    return US_OK;
}

us_err us_eval_scratch(us_eval *k, size_t bytes, void **out)
{
    US_TRY(us_eval_work(k, (double)(bytes / 8)));
    return k->env->scratch(k->env, k, bytes ? bytes : 1, out);
}

us_err us_eval_keep_raw(us_eval *k, size_t bytes, void **out)
{
    us_arena *a = k->env->dynamic(k->env, k);
    US_TRY(us_eval_work(k, (double)(bytes / 8)));
    void *p = us_arena_alloc_raw(a, 1, bytes ? bytes : 1, 64);
    if (!p) return us_arena_fail(k->c, a);
    *out = p;
    return US_OK;
}

us_err us_eval_keep(us_eval *k, size_t bytes, void **out)
{
    void *p;
    US_TRY(us_eval_keep_raw(k, bytes, &p));
    memset(p, 0, bytes);
    *out = p;
    return US_OK;
}

us_err us_eval_packed(us_eval *k, size_t bytes, void **out, bool *there)
{
    if (k->env->packed) return k->env->packed(k->env, k, bytes, out, there);
    *there = false;
    return us_eval_keep_raw(k, bytes, out);
}

us_err us_eval_choose(us_eval *k, size_t n, const us_candidate *list, size_t best, size_t *out)
{
    *out = best;
    return k->env->choose ? k->env->choose(k->env, k, n, list, best, out) : US_OK;
}

us_err us_eval_in_dense(us_eval *k, size_t i, us_tensor *out)
{
    const us_tensor *t;
    US_TRY(us_eval_in(k, i, &t));
    if (us_tensor_contiguous(t)) {
        *out = *t;
        return US_OK;
    }
    us_tensor copy;
    void *p;
    US_TRY(us_tensor_init(k->c, &copy, t->dtype, t->rank, t->dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&copy), &p));
    copy.data = p;
    US_TRY(us_tensor_copy(k->c, &copy, t));
    *out = copy;
    return US_OK;
}

bool us_eval_wants(const us_eval *k, size_t i)
{
    return i < k->n_out && k->out[i];
}

const us_tensor *us_eval_opt_out(const us_eval *k, size_t i)
{
    return us_eval_wants(k, i) && k->out[i]->kind == US_KIND_TENSOR ? &k->out[i]->t : NULL;
}

/* An output nobody asked for is written to working memory, so that kernels need not care. */
static us_err unwanted(us_eval *k, const us_tensor *t, us_tensor **out)
{
    void *p, *data;
    US_TRY(us_eval_scratch(k, sizeof *t, &p));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(t), &data));
    us_tensor *r = p;
    *r = *t;
    r->data = data;
    *out = r;
    return US_OK;
}

/* A plan runs the same shapes again and again: what the value says from the last time is still right then, and
 * only the memory is asked for anew. */
static bool same_as_last_time(const us_value *v, us_dtype dtype, int rank, const int64_t *dims)
{
    if (v->kind != US_KIND_TENSOR || v->t.dtype != dtype || v->t.rank != rank) return false;
    for (int d = 0; d < rank; d++)
        if (v->t.dims[d] != dims[d]) return false;
    return us_tensor_contiguous(&v->t);
}

us_err us_eval_out(us_eval *k, size_t i, us_dtype dtype, int rank, const int64_t *dims,
                   us_tensor **out)
{
    if (us_eval_wants(k, i) && same_as_last_time(k->out[i], dtype, rank, dims)) {
        US_TRY(us_eval_work(k, cost_of(&k->out[i]->t)));
        US_TRY(k->env->out_tensor(k->env, k, i, &k->out[i]->t));
        *out = &k->out[i]->t;
        return US_OK;
    }
    us_tensor t;
    US_TRY(us_tensor_init(k->c, &t, dtype, rank, dims, NULL));
    if (!us_eval_wants(k, i)) return unwanted(k, &t, out);
    US_TRY(us_eval_work(k, cost_of(&t)));
    US_TRY(k->env->out_tensor(k->env, k, i, &t));
    *k->out[i] = us_value_of(&t);
    *out = &k->out[i]->t;
    return US_OK;
}

us_err us_eval_fail_at(us_eval *k, us_err code, const char *file, int line, const char *fmt,
                       ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return us_fail_at(k->c, code, file, line, US_SV_FMT " '" US_SV_FMT "': %s",
                      US_SV_ARG(k->n->op_type), US_SV_ARG(k->n->name), text);
}
