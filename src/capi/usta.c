/* capi/usta.c - the public C API over exec: translation of structs, checks of what callers pass, nothing else.
 *
 * A model is a plan; a session has a context of its own, so that sessions of one model run in different threads and
 * their errors do not mix. Structs from callers carry their size; a smaller one than ours is read as far as it goes.
 */
#include "usta/usta.h"

#include <string.h>

#include "base/pool.h"
#include "exec/session.h"
#include "ir/image.h"
#include "kernel/kernels.h"
#include "onnx/onnx.h"

#define TEXT2(x)  #x
#define TEXT(x)   TEXT2(x)
#define MODEL_MEM ((size_t)256 << 20) /* names and the like of one model */

_Static_assert(USTA_MAX_RANK == US_MAX_RANK, "one limit");
_Static_assert(USTA_PIXELS_RGB == (int)US_PIXELS_RGB && USTA_PIXELS_BGR == (int)US_PIXELS_BGR &&
                   USTA_PIXELS_GRAY == (int)US_PIXELS_GRAY,
               "the same numbers");
_Static_assert(sizeof(usta_str) == sizeof(us_sv), "string elements are the same struct");

struct usta_env {
    us_ctx c;
    us_pool *pool;
};

struct usta_model {
    usta_env *env;
    us_plan *plan;
    us_arena *arena;
    const char **in_name, **out_name;
    const char *
        *sym_name; /* of dimensions the file names; NULL for expressions and made-up symbols */
};

struct usta_session {
    us_ctx c;
    const usta_model *m;
    us_session *s;
    us_value *in, *out; /* room for a call */
    us_tensor *into;
    us_image_codec images; /* calls decode_image; ud is the session */
    usta_decode_image_fn *decode_image;
    void *decode_image_user;
    us_arena *arena;
};

const char *usta_version(void)
{
    return TEXT(USTA_VERSION_MAJOR) "." TEXT(USTA_VERSION_MINOR) "." TEXT(USTA_VERSION_PATCH);
}

uint64_t usta_features(void)
{
    unsigned cpu = us_cpu_detect();
    uint64_t f = USTA_FEATURE_THREADS;
    if (cpu & US_CPU_AVX2) f |= USTA_FEATURE_AVX2;
    if (cpu & US_CPU_AVX512) f |= USTA_FEATURE_AVX512;
    return f;
}

const char *usta_err_text(usta_err e)
{
    return us_err_text((us_err)e);
}

const char *usta_type_name(usta_type t)
{
    return us_dtype_get((us_dtype)t)->name;
}

/* --- environment ---------------------------------------------------------------------------------- */

void usta_env_defaults(usta_env_settings *s)
{
    if (s) *s = (usta_env_settings){.struct_size = sizeof *s, .n_threads = 1};
}

usta_err usta_env_new(const usta_env_settings *s, usta_env **out)
{
    usta_env_settings own;
    usta_env_defaults(&own);
    if (!out || (s && s->struct_size < sizeof(size_t))) return USTA_ARG;
    if (s) memcpy(&own, s, US_MIN(s->struct_size, sizeof own));
    us_alloc heap = us_alloc_heap();
    usta_env *env = us_mem_get(&heap, 1, sizeof *env);
    if (!env) return USTA_NOMEM;
    us_ctx_init(&env->c);
    us_err e = us_pool_new(&env->c, own.n_threads, &env->pool);
    if (e != US_OK) {
        us_ctx_deinit(&env->c);
        us_mem_put(&heap, env, 1, sizeof *env);
        return (usta_err)e;
    }
    env->c.pool = env->pool;
    (void)us_kernels_get(&env->c);
    *out = env;
    return USTA_OK;
}

void usta_env_free(usta_env *env)
{
    if (!env) return;
    us_alloc heap = us_alloc_heap();
    us_pool_free(env->pool);
    us_ctx_deinit(&env->c);
    us_mem_put(&heap, env, 1, sizeof *env);
}

const char *usta_env_error(const usta_env *env)
{
    return env ? env->c.diag.text : "";
}

/* --- tensors ----------------------------------------------------------------------------------------- */

static us_err tensor_in(us_ctx *c, const usta_tensor *t, size_t i, us_tensor *out)
{
    if (us_dtype_get((us_dtype)t->type)->bits == 0)
        return us_fail(c, US_ARG, "tensor %zu: %d is not an element type", i, (int)t->type);
    if (t->rank < 0 || t->rank > US_MAX_RANK)
        return us_fail(c, US_ARG, "tensor %zu: rank %d is not in 0..%d", i, (int)t->rank,
                       US_MAX_RANK);
    return us_tensor_init(c, out, (us_dtype)t->type, t->rank, t->dims, t->data);
}

size_t usta_tensor_bytes(const usta_tensor *t)
{
    int64_t n;
    size_t bytes;
    if (!t || t->rank < 0 || t->rank > US_MAX_RANK || !us_dims_count(t->rank, t->dims, &n) ||
        n < 0)
        return 0;
    if (!us_dtype_bytes((us_dtype)t->type, (size_t)n, &bytes)) return 0;
    return bytes;
}

/* --- model ------------------------------------------------------------------------------------------- */

static us_err copy_names(us_ctx *c, us_arena *a, const us_plan *p, size_t n,
                         us_sv (*name)(const us_plan *, size_t), const char ***out)
{
    const char **names = us_new_n(a, const char *, n);
    if (!names) return us_arena_fail(c, a);
    for (size_t i = 0; i < n; i++)
        if (!(names[i] = us_str_dup(a, name(p, i)))) return us_arena_fail(c, a);
    *out = names;
    return US_OK;
}

static us_err copy_sym_names(us_ctx *c, usta_model *m)
{
    const us_syms *syms = &us_plan_model(m->plan)->syms;
    m->sym_name = us_new_n(m->arena, const char *, syms->names.n + 1);
    if (!m->sym_name) return us_arena_fail(c, m->arena);
    for (size_t i = 1; i < syms->names.n; i++) {
        us_sv s = syms->names.at[i];
        if (s.n == 0 || s.p[0] == '?') continue;
        if (!(m->sym_name[i] = us_str_dup(m->arena, s))) return us_arena_fail(c, m->arena);
    }
    return US_OK;
}

static us_err model_in(usta_env *env, us_plan *plan, us_arena *a, usta_model **out)
{
    us_ctx *c = &env->c;
    usta_model *m = us_new(a, usta_model);
    if (!m) return us_arena_fail(c, a);
    *m = (usta_model){.env = env, .plan = plan, .arena = a};
    US_TRY(copy_names(c, a, plan, us_plan_n_inputs(plan), us_plan_input_name, &m->in_name));
    US_TRY(copy_names(c, a, plan, us_plan_n_outputs(plan), us_plan_output_name, &m->out_name));
    US_TRY(copy_sym_names(c, m));
    *out = m;
    return US_OK;
}

/* Takes over `ir`, whatever happens. */
static us_err model_new(usta_env *env, us_model *ir, usta_model **out)
{
    us_ctx *c = &env->c;
    us_arena *a = NULL;
    us_plan *plan = NULL;
    us_err e = us_plan_new(c, ir, NULL, &plan);
    if (e != US_OK) {
        us_model_free(ir);
        return e;
    }
    e = us_arena_new(c, "model of the C API", MODEL_MEM, &a);
    if (e == US_OK) e = model_in(env, plan, a, out);
    if (e != US_OK) {
        us_arena_free(a);
        us_plan_free(plan);
    }
    return e;
}

usta_err usta_model_open(usta_env *env, const char *path, usta_model **out)
{
    if (!env) return USTA_ARG;
    if (!path || !out)
        return (usta_err)us_fail(&env->c, US_ARG, "path and out must not be NULL");
    us_model *ir;
    us_err e = us_onnx_read(&env->c, path, NULL, &ir);
    if (e == US_OK) e = model_new(env, ir, out);
    return (usta_err)e;
}

usta_err usta_model_parse(usta_env *env, const char *name, const void *bytes, size_t n_bytes,
                          usta_model **out)
{
    if (!env) return USTA_ARG;
    if (!bytes || !out)
        return (usta_err)us_fail(&env->c, US_ARG, "bytes and out must not be NULL");
    us_model *ir;
    us_err e = us_onnx_parse(&env->c, name ? name : "model", bytes, n_bytes, NULL, NULL, &ir);
    if (e == US_OK) e = model_new(env, ir, out);
    return (usta_err)e;
}

void usta_model_free(usta_model *m)
{
    if (!m) return;
    us_plan_free(m->plan);
    us_arena_free(m->arena);
}

size_t usta_model_n_inputs(const usta_model *m)
{
    return m ? us_plan_n_inputs(m->plan) : 0;
}

size_t usta_model_n_outputs(const usta_model *m)
{
    return m ? us_plan_n_outputs(m->plan) : 0;
}

static void describe(const usta_model *m, const char *name, const us_type *t,
                     usta_value_info *out)
{
    size_t size = out->struct_size;
    usta_value_info info = {.struct_size = size, .name = name, .rank = -1};
    if (t->kind == US_KIND_TENSOR) {
        info.type = (usta_type)t->dtype;
        info.rank = t->rank > US_MAX_RANK ? -1 : t->rank;
    }
    const us_syms *syms = &us_plan_model(m->plan)->syms;
    for (int32_t d = 0; d < info.rank; d++) {
        us_dim dim = t->dims[d];
        info.dims[d] = us_dim_known(dim) ? dim.add : -1;
        if (!us_dim_known(dim) && dim.mul == 1 && dim.add == 0 && dim.sym < syms->names.n)
            info.dim_names[d] = m->sym_name[dim.sym];
    }
    memcpy(out, &info, US_MIN(size, sizeof info));
}

static usta_err value_info(const usta_model *m, size_t i, bool input, usta_value_info *out)
{
    if (!m) return USTA_ARG;
    us_ctx *c = &m->env->c;
    size_t n = input ? usta_model_n_inputs(m) : usta_model_n_outputs(m);
    if (!out || out->struct_size < offsetof(usta_value_info, dims))
        return (usta_err)us_fail(c, US_ARG,
                                 "out must point to a struct whose struct_size is set");
    if (i >= n)
        return (usta_err)us_fail(c, US_ARG, "%s %zu asked for, the model has %zu",
                                 input ? "input" : "output", i, n);
    describe(m, input ? m->in_name[i] : m->out_name[i],
             input ? us_plan_input_type(m->plan, i) : us_plan_output_type(m->plan, i), out);
    return USTA_OK;
}

usta_err usta_model_input(const usta_model *m, size_t i, usta_value_info *out)
{
    return value_info(m, i, true, out);
}

usta_err usta_model_output(const usta_model *m, size_t i, usta_value_info *out)
{
    return value_info(m, i, false, out);
}

int usta_model_prop(const usta_model *m, const char *key, usta_str *value)
{
    us_sv v;
    if (!m || !key || !us_model_prop(us_plan_model(m->plan), key, &v)) return 0;
    if (value) *value = (usta_str){v.p, v.n};
    return 1;
}

/* --- session ------------------------------------------------------------------------------------------- */

void usta_session_defaults(usta_session_settings *s)
{
    if (s) *s = (usta_session_settings){.struct_size = sizeof *s};
}

typedef struct placing { /* the engine's place, as the caller's function knows it */
    us_ctx *c;
    us_image_place_fn *place;
    void *arg;
} placing;

static usta_err place_image(void *place_arg, int64_t height, int64_t width, uint8_t **pixels)
{
    placing *p = place_arg;
    return (usta_err)p->place(p->c, p->arg, height, width, pixels);
}

static us_err decode_image(us_ctx *c, void *ud, us_sv bytes, us_pixels pixels,
                           us_image_place_fn *place, void *arg)
{
    usta_session *s = ud;
    placing p = {c, place, arg};
    c->diag.text[0] = '\0';
    us_err e = (us_err)s->decode_image(s->decode_image_user, bytes.p, bytes.n, (int32_t)pixels,
                                       place_image, &p);
    if (e == US_OK || c->diag.text[0]) return e;
    return us_fail(c, e, "the caller's decoder of images: %s", us_err_text(e));
}

static us_err session_new(const usta_model *m, us_session_opts *o,
                          const usta_session_settings *set, us_arena *a, usta_session **out)
{
    us_ctx *c = &m->env->c;
    usta_session *ses = us_new(a, usta_session);
    if (!ses) return us_arena_fail(c, a);
    ses->c = *c;
    ses->c.diag = (us_diag){0};
    ses->m = m;
    ses->arena = a;
    ses->in = us_new_n(a, us_value, usta_model_n_inputs(m));
    ses->out = us_new_n(a, us_value, usta_model_n_outputs(m));
    ses->into = us_new_n(a, us_tensor, usta_model_n_outputs(m));
    if (!ses->in || !ses->out || !ses->into) return us_arena_fail(c, a);
    ses->decode_image = set->decode_image;
    ses->decode_image_user = set->decode_image_user;
    ses->images = (us_image_codec){decode_image, ses};
    if (set->decode_image) o->images = &ses->images;
    US_TRY(us_session_new(c, m->plan, o, &ses->s));
    *out = ses;
    return US_OK;
}

usta_err usta_session_new(const usta_model *m, const usta_session_settings *s,
                          usta_session **out)
{
    if (!m) return USTA_ARG;
    us_ctx *c = &m->env->c;
    usta_session_settings own;
    usta_session_defaults(&own);
    if (!out || (s && s->struct_size < sizeof(size_t)))
        return (usta_err)us_fail(c, US_ARG,
                                 "out is NULL, or the settings' struct_size is not set");
    if (s) memcpy(&own, s, US_MIN(s->struct_size, sizeof own));
    us_session_opts o = {.dynamic_cap_bytes = own.max_memory,
                         .static_cap_bytes = own.max_memory,
                         .max_steps = own.max_steps,
                         .max_work = own.max_work,
                         .seed = own.seed};
    us_arena *a;
    us_err e = us_arena_new(c, "session of the C API", MODEL_MEM, &a);
    if (e != US_OK) return (usta_err)e;
    e = session_new(m, &o, &own, a, out);
    if (e != US_OK) us_arena_free(a);
    return (usta_err)e;
}

void usta_session_free(usta_session *s)
{
    if (!s) return;
    us_session_free(s->s);
    us_arena_free(s->arena);
}

const char *usta_session_error(const usta_session *s)
{
    return s ? s->c.diag.text : "";
}

static us_err take_inputs(usta_session *s, const usta_tensor *in, size_t n_in,
                          const usta_tensor *out, size_t n_out)
{
    us_ctx *c = &s->c;
    size_t want_in = usta_model_n_inputs(s->m), want_out = usta_model_n_outputs(s->m);
    if (n_in != want_in || n_out != want_out || (n_in && !in) || (n_out && !out))
        return us_fail(c, US_ARG, "%zu inputs and %zu outputs given, the model has %zu and %zu",
                       n_in, n_out, want_in, want_out);
    for (size_t i = 0; i < n_in; i++) {
        us_tensor t;
        US_TRY(tensor_in(c, &in[i], i, &t));
        s->in[i] = us_value_of(&t);
    }
    return US_OK;
}

static us_err give_output(usta_session *s, size_t i, usta_tensor *out)
{
    us_value *v = &s->out[i];
    if (v->kind != US_KIND_TENSOR || !us_tensor_contiguous(&v->t))
        return us_fail(&s->c, US_UNSUPP, "output '%s' is not a dense tensor",
                       s->m->out_name[i]);
    *out = (usta_tensor){.type = (usta_type)v->t.dtype, .rank = v->t.rank, .data = v->t.data};
    memcpy(out->dims, v->t.dims, (size_t)v->t.rank * sizeof *out->dims);
    return US_OK;
}

static us_err session_run(usta_session *s, const usta_tensor *in, size_t n_in, usta_tensor *out,
                          size_t n_out)
{
    US_TRY(take_inputs(s, in, n_in, out, n_out));
    US_TRY(us_session_run(&s->c, s->s, s->in, s->out));
    for (size_t i = 0; i < n_out; i++)
        if (s->out[i].kind != US_KIND_TENSOR)
            return us_fail(&s->c, US_UNSUPP, "output '%s' is not a tensor", s->m->out_name[i]);
    for (size_t i = 0; i < n_out; i++)
        US_TRY(give_output(s, i, &out[i]));
    return US_OK;
}

usta_err usta_session_run(usta_session *s, const usta_tensor *in, size_t n_in, usta_tensor *out,
                          size_t n_out)
{
    return s ? (usta_err)session_run(s, in, n_in, out, n_out) : USTA_ARG;
}

static us_err session_run_into(usta_session *s, const usta_tensor *in, size_t n_in,
                               usta_tensor *out, size_t n_out)
{
    US_TRY(take_inputs(s, in, n_in, out, n_out));
    for (size_t i = 0; i < n_out; i++) {
        US_TRY(tensor_in(&s->c, &out[i], i, &s->into[i]));
        if (!out[i].data && us_tensor_count(&s->into[i]) > 0)
            return us_fail(&s->c, US_ARG, "output '%s' has no memory", s->m->out_name[i]);
    }
    return us_session_run_into(&s->c, s->s, s->in, s->into);
}

usta_err usta_session_run_into(usta_session *s, const usta_tensor *in, size_t n_in,
                               usta_tensor *out, size_t n_out)
{
    return s ? (usta_err)session_run_into(s, in, n_in, out, n_out) : USTA_ARG;
}
