/* capi/model.c - reading models, and what a file says besides its graphs. */
#include "capi/capi.h"

#include "exec/planfile.h"
#include "onnx/onnx.h"
#include "pass/facts.h"
#include "pass/pass.h"

#define TYPE_TEXT_CAP ((size_t)1 << 20)

void usta_model_defaults(usta_model_settings *s)
{
    if (s) *s = (usta_model_settings){.struct_size = sizeof *s};
}

/* --- making a model of what was read --------------------------------------------------------------------- */

/* Views into the file become terminated strings of our own. */
static us_err keep(us_ctx *c, us_arena *a, us_sv *s)
{
    return us_sv_dup(c, a, *s, s);
}

static us_err keep_names(us_ctx *c, us_model *ir, us_arena *a)
{
    US_TRY(keep(c, a, &ir->producer_name));
    US_TRY(keep(c, a, &ir->producer_version));
    US_TRY(keep(c, a, &ir->domain));
    for (size_t i = 0; i < ir->opsets.n; i++)
        US_TRY(keep(c, a, &ir->opsets.at[i].domain));
    for (size_t i = 0; i < ir->props.n; i++)
        US_TRY(keep(c, a, &ir->props.at[i].key));
    for (size_t i = 0; i < ir->functions.n; i++) {
        us_function *f = &ir->functions.at[i];
        US_TRY(keep(c, a, &f->domain));
        US_TRY(keep(c, a, &f->name));
        US_TRY(keep(c, a, &f->overload));
    }
    return US_OK;
}

/* The names of symbols that are names: "?3" was made up, and an expression is no name. */
static us_err name_symbols(us_ctx *c, usta_model *m, const us_syms *syms)
{
    const char **names = us_new_n(m->arena, const char *, syms->names.n + 1);
    if (!names) return us_arena_fail(c, m->arena);
    for (size_t i = 1; i < syms->names.n; i++) {
        us_sv s = syms->names.at[i];
        if (s.n == 0 || s.p[0] == '?') continue;
        if (!(names[i] = us_str_dup(m->arena, s))) return us_arena_fail(c, m->arena);
    }
    m->syms = syms;
    m->sym_name = names;
    return US_OK;
}

static us_err override(us_ctx *c, us_model *ir, const char *name)
{
    us_vid v = name ? us_graph_find(ir->main, us_sv_of(name)) : US_NIL;
    if (v == US_NIL || !ir->main->vals.at[v].also_input)
        return us_fail(c, US_ARG,
                       "override '%s' is not an initialiser that the file lists as input",
                       name ? name : "(NULL)");
    us_val *val = &ir->main->vals.at[v];
    val->storage = US_ST_INPUT;
    val->also_input = false;
    val->data = NULL;
    return US_OK;
}

static us_err list_inputs(us_ctx *c, usta_model *m)
{
    const us_graph *g = m->ir->main;
    m->in = us_new_n(m->arena, us_vid, g->inputs.n);
    if (!m->in) return us_arena_fail(c, m->arena);
    for (size_t i = 0; i < g->inputs.n; i++)
        if (g->vals.at[g->inputs.at[i]].storage == US_ST_INPUT)
            m->in[m->n_in++] = g->inputs.at[i];
    return US_OK;
}

static void count_graph(const us_graph *g, usta_model_info *o)
{
    o->n_nodes += g->order.n;
    for (size_t v = 0; v < g->vals.n; v++) {
        const us_val *val = &g->vals.at[v];
        if (val->storage != US_ST_CONST && val->storage != US_ST_VARIABLE) continue;
        o->n_initialisers++;
        if (val->data && val->data->kind == US_KIND_TENSOR)
            o->weight_bytes += us_tensor_bytes(&val->data->t);
    }
}

static void fill_about(usta_model *m)
{
    const us_model *ir = m->ir;
    m->about = (usta_model_info){.ir_version = ir->ir_version,
                                 .model_version = ir->model_version,
                                 .producer_name = ir->producer_name.p,
                                 .producer_version = ir->producer_version.p,
                                 .domain = ir->domain.p,
                                 .doc = {ir->doc.p, ir->doc.n},
                                 .n_opsets = ir->opsets.n,
                                 .n_props = ir->props.n,
                                 .n_functions = ir->functions.n,
                                 .n_graphs = ir->graphs.n};
    for (size_t i = 0; i < ir->graphs.n; i++)
        count_graph(ir->graphs.at[i], &m->about);
}

static us_err fill_model(us_ctx *c, usta_model *m, const usta_model_settings *set)
{
    US_TRY(keep_names(c, m->ir, m->arena));
    for (size_t i = 0; i < set->n_overrides; i++)
        US_TRY(override(c, m->ir, set->overrides[i]));
    US_TRY(list_inputs(c, m));
    US_TRY(name_symbols(c, m, &m->ir->syms));
    US_TRY(us_capi_graphs(c, m));
    fill_about(m);
    return US_OK;
}

/* What others report as slow, or in silence: a file of old that lists its weights as inputs. */
static void log_model(us_ctx *c, const usta_model *m, const char *name)
{
    size_t n_listed = 0;
    char bytes[32];
    for (size_t v = 0; v < m->ir->main->vals.n; v++)
        n_listed += m->ir->main->vals.at[v].also_input;
    us_logf(c, US_LOG_INFO, "%s: %zu nodes, %zu initialisers of %s", name, m->about.n_nodes,
            m->about.n_initialisers, us_print_bytes(m->about.weight_bytes, bytes));
    if (n_listed)
        us_logf(c, US_LOG_INFO,
                "%s: %zu initialisers are listed as inputs, too; they are constants unless "
                "overridden",
                name, n_listed);
}

/* Takes over `ir`, whatever happens. */
static us_err model_new(usta_env *env, us_model *ir, const char *name,
                        const usta_model_settings *set, usta_model **out)
{
    us_ctx *c = &env->c;
    us_arena *a = NULL;
    usta_model *m = NULL;
    us_err e = us_arena_new(c, "model of the C API", US_CAPI_MEM, &a);
    if (e == US_OK && !(m = us_new(a, usta_model))) e = us_arena_fail(c, a);
    if (m) {
        *m = (usta_model){.env = env, .arena = a, .ir = ir, .no_weights = set->no_weights};
        e = fill_model(c, m, set);
    }
    if (e != US_OK) {
        us_arena_free(a);
        us_model_free(ir);
        return e;
    }
    log_model(c, m, name);
    *out = m;
    return US_OK;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

static us_err settle(us_ctx *c, const usta_model_settings *s, usta_model_settings *own)
{
    usta_model_defaults(own);
    if (s && s->struct_size <= sizeof(size_t))
        return us_fail(c, US_ARG, "the settings' struct_size is not set (usta_model_defaults)");
    if (s) memcpy(own, s, US_MIN(s->struct_size, sizeof *own));
    if (own->n_overrides && !own->overrides)
        return us_fail(c, US_ARG, "%zu overrides, but no list of them", own->n_overrides);
    return US_OK;
}

/* A compiled plan: its graph is what there is to look at. */
static us_err plan_open(usta_env *env, const char *path, const usta_model_settings *set,
                        usta_model **out)
{
    us_ctx *c = &env->c;
    us_plan *p;
    us_model *ir;
    usta_model *m;
    if (set->n_overrides)
        return us_fail(c, US_ARG, "%s: overrides are chosen before a plan is compiled", path);
    US_TRY(us_planfile_read(c, path, &p));
    us_err e = us_model_clone(c, us_plan_model(p), &ir);
    if (e == US_OK) e = model_new(env, ir, path, set, &m);
    if (e != US_OK) {
        us_plan_free(p);
        return e;
    }
    m->compiled = true;
    m->plan = p;
    *out = m;
    return US_OK;
}

static us_err model_open(usta_env *env, const char *path, const usta_model_settings *s,
                         usta_model **out)
{
    us_ctx *c = &env->c;
    usta_model_settings own;
    us_model *ir;
    if (!path || !out) return us_fail(c, US_ARG, "path and out must not be NULL");
    US_TRY(settle(c, s, &own));
    us_onnx_opts o = {.descriptors_only = own.no_weights};
    bool compiled;
    US_TRY(us_planfile_find(c, path, &compiled));
    if (compiled) return plan_open(env, path, &own, out);
    US_TRY(us_onnx_read(c, path, &o, &ir));
    return model_new(env, ir, path, &own, out);
}

usta_err usta_model_open(usta_env *env, const char *path, const usta_model_settings *s,
                         usta_model **out)
{
    return env ? (usta_err)model_open(env, path, s, out) : USTA_ARG;
}

static us_err model_parse(usta_env *env, const void *bytes, size_t n_bytes,
                          const usta_model_settings *s, usta_model **out)
{
    us_ctx *c = &env->c;
    usta_model_settings own;
    us_model *ir;
    if (!bytes || !out) return us_fail(c, US_ARG, "bytes and out must not be NULL");
    US_TRY(settle(c, s, &own));
    us_onnx_opts o = {.descriptors_only = own.no_weights};
    const char *name = own.name ? own.name : "model";
    US_TRY(us_onnx_parse(c, name, bytes, n_bytes, own.dir, &o, &ir));
    return model_new(env, ir, name, &own, out);
}

usta_err usta_model_parse(usta_env *env, const void *bytes, size_t n_bytes,
                          const usta_model_settings *s, usta_model **out)
{
    return env ? (usta_err)model_parse(env, bytes, n_bytes, s, out) : USTA_ARG;
}

void usta_model_free(usta_model *m)
{
    if (!m) return;
    if (!m->compiled) us_plan_free(m->plan);
    us_model_free(m->inferred);
    us_model_free(m->ir); /* after its clones: they share its weights and names */
    if (m->compiled) us_plan_free(m->plan);
    us_arena_free(m->arena);
}

static us_err infer(usta_model *m)
{
    us_ctx *c = &m->env->c;
    us_model *x;
    US_TRY(us_model_clone(c, m->ir, &x));
    us_err e = us_facts_hollow(c, x);
    if (e == US_OK) e = us_pass_run(c, x, "inline,upgrade,fold-const");
    if (e == US_OK) e = us_capi_infer_types(c, m, x);
    if (e == US_OK) e = name_symbols(c, m, &x->syms);
    if (e == US_OK)
        m->inferred = x;
    else
        us_model_free(x);
    return e;
}

usta_err usta_model_infer(usta_model *m)
{
    if (!m) return USTA_ARG;
    return m->inferred ? USTA_OK : (usta_err)infer(m);
}

/* --- types -------------------------------------------------------------------------------------------------- */

static const usta_typing *typing_of(const us_type *t)
{
    return (const usta_typing *)t;
}

static const us_type *type_of(const usta_typing *t)
{
    return (const us_type *)t;
}

void us_capi_describe(const usta_model *m, const char *name, const us_type *t,
                      usta_value_info *info)
{
    *info = (usta_value_info){
        .name = name, .rank = -1, .kind = (usta_kind)t->kind, .typing = typing_of(t)};
    if (t->kind == US_KIND_TENSOR || t->kind == US_KIND_MAP || t->kind == US_KIND_SPARSE)
        info->type = (usta_type)t->dtype;
    if (t->kind == US_KIND_TENSOR && t->rank <= US_MAX_RANK) info->rank = t->rank;
    for (int32_t d = 0; d < info->rank; d++) {
        us_dim dim = t->dims[d];
        info->dims[d] = us_dim_known(dim) ? dim.add : -1;
        if (!us_dim_known(dim) && dim.mul == 1 && dim.add == 0 && dim.sym < m->syms->names.n)
            info->dim_names[d] = m->sym_name[dim.sym];
    }
}

size_t usta_typing_text(const usta_model *m, const usta_typing *t, char *text, size_t n)
{
    if (!m || !t || (!text && n)) return 0;
    us_ctx c = {.alloc = m->env->c.alloc}; /* of our own: any thread may ask */
    us_buf b;
    us_buf_init(&b, &c, TYPE_TEXT_CAP);
    us_type_print(m->syms, type_of(t), &b);
    size_t len = us_buf_check(&b) == US_OK ? b.n : 0;
    if (n) {
        size_t cut = US_MIN(len, n - 1);
        if (cut) memcpy(text, b.p, cut);
        text[cut] = '\0';
    }
    us_buf_deinit(&b);
    return len;
}

usta_err usta_typing_inner(const usta_model *m, const usta_typing *t, usta_value_info *out)
{
    usta_value_info info;
    if (!m || !t || !out || out->struct_size <= sizeof(size_t)) return USTA_ARG;
    const us_type *inner = type_of(t)->elem;
    if (!inner) return USTA_NOTFOUND;
    us_capi_describe(m, "", inner, &info);
    (void)us_capi_give(out, &info, sizeof info);
    return USTA_OK;
}

/* --- questions ---------------------------------------------------------------------------------------------- */

size_t usta_model_n_inputs(const usta_model *m)
{
    return m ? m->n_in : 0;
}

size_t usta_model_n_outputs(const usta_model *m)
{
    return m ? m->ir->main->outputs.n : 0;
}

usta_err usta_model_input(const usta_model *m, size_t i, usta_value_info *out)
{
    if (!m || i >= m->n_in || !out) return USTA_ARG;
    return usta_graph_value(usta_model_graph(m), m->in[i], out, NULL);
}

usta_err usta_model_output(const usta_model *m, size_t i, usta_value_info *out)
{
    if (!m || i >= m->ir->main->outputs.n || !out) return USTA_ARG;
    return usta_graph_value(usta_model_graph(m), m->ir->main->outputs.at[i], out, NULL);
}

usta_err usta_model_about(const usta_model *m, usta_model_info *out)
{
    return m && out && us_capi_give(out, &m->about, sizeof m->about) ? USTA_OK : USTA_ARG;
}

usta_err usta_model_opset(const usta_model *m, size_t i, const char **domain, int32_t *version)
{
    if (!m || i >= m->ir->opsets.n) return USTA_ARG;
    if (domain) *domain = m->ir->opsets.at[i].domain.p;
    if (version) *version = m->ir->opsets.at[i].version;
    return USTA_OK;
}

usta_err usta_model_prop_at(const usta_model *m, size_t i, const char **key, usta_str *value)
{
    if (!m || i >= m->ir->props.n) return USTA_ARG;
    const us_prop *p = &m->ir->props.at[i];
    if (key) *key = p->key.p;
    if (value) *value = (usta_str){p->value.p, p->value.n};
    return USTA_OK;
}

int usta_model_prop(const usta_model *m, const char *key, usta_str *value)
{
    us_sv v;
    if (!m || !key || !us_model_prop(m->ir, key, &v)) return 0;
    if (value) *value = (usta_str){v.p, v.n};
    return 1;
}
