/* Bytes -> the C API as a program uses it: parse, look at everything there is to see, infer, look again, plan, run three ways
 * under tight caps. Everything that the library hands out is read to its end, so that sanitizers see a pointer that lies.
 *
 * Only usta/usta.h is used, but for the mutator that changes models as models (fuzz_mutate.c). The caller's memory is one, too:
 * counted, so that a leak or a wrong old size is a finding, and capped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_model.h"
#include "usta/usta.h"

#define HEAP_CAP     ((size_t)256 << 20)
#define RUN_CAP      ((size_t)16 << 20)
#define MAX_STEPS    2000
#define MAX_WORK     4e6
#define MAX_POLLS    20000 /* of the wish to stop */
#define POOL_BYTES   ((size_t)2 << 20)
#define MAX_ELEMENTS 4096
#define MAX_DEPTH    3
#define MAX_GRAPHS   8 /* nested */
#define MAX_SYMBOLS  16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_onnx(data, size, max_size, seed);
}

typedef struct fuzz {
    size_t heap_bytes, n_polls;
    const usta_model *m;
    uint64_t sum; /* of all that was read, so that no reading is left out */
    uint64_t rng;
    char *pool;
    size_t used;
    const char *names[MAX_SYMBOLS];
    int64_t sizes[MAX_SYMBOLS];
    size_t n_names;
} fuzz;

static void finding(const char *what)
{
    (void)fprintf(stderr, "finding: %s\n", what);
    abort();
}

/* Any refusal is fine but USTA_BUG. */
static bool fine(usta_err e, const char *text)
{
    if (e == USTA_BUG) finding(text);
    if (e != USTA_OK && !text[0]) finding("an error without a text");
    return e == USTA_OK;
}

/* --- what the caller lends --------------------------------------------------------------------------------- */

static void *heap(void *user, void *p, size_t old_bytes, size_t now_bytes)
{
    fuzz *f = user;
    if (old_bytes > f->heap_bytes)
        finding("a block is given back that is larger than all blocks");
    if (now_bytes > HEAP_CAP - (f->heap_bytes - old_bytes)) return NULL;
    if (!now_bytes) {
        free(p);
        f->heap_bytes -= old_bytes;
        return NULL;
    }
    void *now = realloc(p, now_bytes);
    if (now) f->heap_bytes += now_bytes - old_bytes;
    return now;
}

static int cancelled(void *user)
{
    fuzz *f = user;
    return ++f->n_polls > MAX_POLLS;
}

/* --- looking ------------------------------------------------------------------------------------------------ */

static void see(fuzz *f, const void *p, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        f->sum = f->sum * 31 + b[i];
}

static void see_name(fuzz *f, const char *name)
{
    if (!name) finding("a name is NULL");
    see(f, name, strlen(name));
}

static void see_str(fuzz *f, usta_str s)
{
    see(f, s.p, s.n);
}

static void see_tensor(fuzz *f, const usta_tensor *t)
{
    int64_t n = usta_tensor_count(t);
    if (n < 0) finding("a tensor that makes no sense");
    see_name(f, usta_type_name(t->type));
    if (!t->data) return;
    if (t->type != USTA_TYPE_STRING) {
        see(f, t->data, usta_tensor_bytes(t));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        see_str(f, ((const usta_str *)t->data)[i]);
}

static void see_value(fuzz *f, const usta_value *v)
{
    if (v->kind == USTA_KIND_TENSOR || v->kind == USTA_KIND_MAP) see_tensor(f, &v->tensor);
    for (size_t i = 0; i < v->n_items; i++)
        see_value(f, &v->items[i]);
}

static void see_typing(fuzz *f, const usta_typing *t, int depth)
{
    char text[40];
    usta_value_info in = {.struct_size = sizeof in};
    size_t n = usta_typing_text(f->m, t, text, sizeof text);
    if (strlen(text) != (n < sizeof text ? n : sizeof text - 1))
        finding("usta_typing_text: its length is not that of its text");
    if (depth < 20 && usta_typing_inner(f->m, t, &in) == USTA_OK)
        see_typing(f, in.typing, depth + 1);
}

static void see_info(fuzz *f, const usta_value_info *v)
{
    see_name(f, v->name);
    if (v->rank > USTA_MAX_RANK) finding("a rank over USTA_MAX_RANK");
    for (int32_t d = 0; d < v->rank; d++)
        if (v->dim_names[d]) see_name(f, v->dim_names[d]);
    see_typing(f, v->typing, 0);
}

static void see_graph(fuzz *f, const usta_graph *g, int depth);

static void see_attribute(fuzz *f, const usta_graph *g, size_t i, size_t a, int depth)
{
    usta_attribute_info x = {.struct_size = sizeof x};
    if (usta_graph_attribute(g, i, a, &x) != USTA_OK) finding("an attribute in range");
    see_name(f, x.name);
    see_str(f, x.s);
    see_str(f, x.ref);
    see_str(f, x.doc);
    if (x.floats) see(f, x.floats, x.n * sizeof *x.floats);
    if (x.ints) see(f, x.ints, x.n * sizeof *x.ints);
    for (size_t k = 0; k <= x.n; k++) { /* one past the last, too */
        usta_tensor t;
        usta_value_info type = {.struct_size = sizeof type};
        const usta_graph *sub = usta_graph_attribute_graph(g, i, a, k);
        if (x.strings && k < x.n) see_str(f, x.strings[k]);
        if (usta_graph_attribute_tensor(g, i, a, k, &t) == USTA_OK) see_tensor(f, &t);
        if (usta_graph_attribute_type(g, i, a, k, &type) == USTA_OK) see_info(f, &type);
        if (sub && usta_graph_parent(sub) != g) finding("a sub-graph of another graph");
        if (sub) see_graph(f, sub, depth + 1);
    }
}

static void see_values_of(fuzz *f, const usta_graph *g, const uint32_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] != USTA_NO_VALUE && v[i] >= usta_graph_n_values(g))
            finding("a value out of range");
    see(f, v, n * sizeof *v);
}

static void see_node(fuzz *f, const usta_graph *g, size_t i, int depth)
{
    usta_node_info n = {.struct_size = sizeof n};
    if (usta_graph_node(g, i, &n) != USTA_OK) finding("a node in range");
    see_name(f, n.name);
    see_name(f, n.op_type);
    see_name(f, n.domain);
    see_str(f, n.doc);
    see_values_of(f, g, n.inputs, n.n_inputs);
    see_values_of(f, g, n.outputs, n.n_outputs);
    for (size_t a = 0; a < n.n_attributes; a++)
        see_attribute(f, g, i, a, depth);
}

static void see_graph_value(fuzz *f, const usta_graph *g, uint32_t v)
{
    usta_value_info info = {.struct_size = sizeof info};
    usta_value_place p = {.struct_size = sizeof p};
    usta_tensor t;
    if (usta_graph_value(g, v, &info, &p) != USTA_OK) finding("a value in range");
    see_info(f, &info);
    see_str(f, p.doc);
    if (p.source == USTA_FROM_NODE && p.node >= usta_graph_n_nodes(g))
        finding("a value made by no node");
    if (p.source == USTA_FROM_OUTER && p.outer >= usta_graph_n_values(usta_graph_parent(g)))
        finding("a value from nowhere");
    if (usta_graph_tensor(g, v, &t) == USTA_OK) see_tensor(f, &t);
    uint32_t found =
        usta_graph_find(g, info.name); /* none when the name has a zero byte in it */
    if (found != USTA_NO_VALUE && found >= usta_graph_n_values(g))
        finding("a name of a value out of range");
}

static void see_graph(fuzz *f, const usta_graph *g, int depth)
{
    size_t n;
    if (depth > MAX_GRAPHS) return;
    see_name(f, usta_graph_name(g));
    const uint32_t *ends = usta_graph_inputs(g, &n);
    see_values_of(f, g, ends, n);
    ends = usta_graph_outputs(g, &n);
    see_values_of(f, g, ends, n);
    for (uint32_t v = 0; v < usta_graph_n_values(g); v++)
        see_graph_value(f, g, v);
    for (size_t i = 0; i < usta_graph_n_nodes(g); i++)
        see_node(f, g, i, depth);
}

static void see_origin(fuzz *f, const usta_model_info *o)
{
    const char *text;
    usta_str s;
    int32_t version;
    see_name(f, o->producer_name);
    see_name(f, o->producer_version);
    see_name(f, o->domain);
    see_str(f, o->doc);
    for (size_t i = 0; i < o->n_opsets; i++) {
        if (usta_model_opset(f->m, i, &text, &version) != USTA_OK) finding("an opset in range");
        see_name(f, text);
    }
    for (size_t i = 0; i < o->n_props; i++) {
        if (usta_model_prop_at(f->m, i, &text, &s) != USTA_OK) finding("metadata in range");
        see_name(f, text);
        see_str(f, s);
    }
    if (usta_model_opset(f->m, o->n_opsets, &text, &version) != USTA_ARG ||
        usta_model_prop_at(f->m, o->n_props, &text, &s) != USTA_ARG)
        finding("one past the end is there");
}

static void see_model(fuzz *f)
{
    usta_model_info o = {.struct_size = sizeof o};
    usta_value_info v = {.struct_size = sizeof v};
    if (usta_model_about(f->m, &o) != USTA_OK) finding("about a model");
    see_origin(f, &o);
    for (size_t i = 0; i < o.n_functions; i++) {
        usta_function_info fn = {.struct_size = sizeof fn};
        if (usta_model_function(f->m, i, &fn) != USTA_OK) finding("a function in range");
        see_name(f, fn.name);
        see_name(f, fn.domain);
        see_name(f, fn.overload);
        for (size_t k = 0; k < fn.n_attributes; k++)
            see_str(f, fn.attributes[k]);
        see_graph(f, fn.body, 0);
    }
    for (size_t i = 0; usta_model_input(f->m, i, &v) == USTA_OK; i++)
        see_info(f, &v);
    for (size_t i = 0; usta_model_output(f->m, i, &v) == USTA_OK; i++)
        see_info(f, &v);
    see_graph(f, usta_model_graph(f->m), 0);
}

/* --- inputs ------------------------------------------------------------------------------------------------- */

static uint64_t draw(fuzz *f, uint64_t n)
{
    f->rng = f->rng * 6364136223846793005u + 1442695040888963407u;
    return (f->rng >> 33) % n;
}

/* Zeroed; NULL when the pool is used up. */
static void *take(fuzz *f, size_t bytes)
{
    bytes = (bytes + 15) / 16 * 16;
    if (bytes > POOL_BYTES - f->used) return NULL;
    f->used += bytes;
    return f->pool + f->used - bytes;
}

/* One size per name. */
static int64_t size_of(fuzz *f, const char *name)
{
    static const int64_t sizes[] = {0, 1, 2, 2, 3, 4, 5, 17};
    int64_t n = sizes[draw(f, US_LEN(sizes))];
    for (size_t i = 0; name && i < f->n_names; i++)
        if (strcmp(f->names[i], name) == 0) return f->sizes[i];
    if (name && f->n_names < MAX_SYMBOLS) {
        f->names[f->n_names] = name;
        f->sizes[f->n_names++] = n;
    }
    return n;
}

static bool make_data(fuzz *f, usta_tensor *t)
{
    static const char *const words[] = {"",      "a",   "b",        "-1",
                                        "1e400", "nan", "\xff\xfe", "A b c"};
    int64_t n = usta_tensor_count(t);
    if (n < 0 || n > MAX_ELEMENTS) return false;
    size_t bytes = usta_tensor_bytes(t);
    unsigned char *p = take(f, bytes + 1);
    if (!p) return false;
    t->data = n || draw(f, 2) ? p : NULL;
    if (t->type == USTA_TYPE_STRING) {
        for (int64_t i = 0; i < n; i++) {
            const char *w = words[draw(f, US_LEN(words))];
            ((usta_str *)t->data)[i] = (usta_str){w, strlen(w)};
        }
        return true;
    }
    uint64_t small = draw(f, 3);
    for (size_t i = 0; i < bytes; i++) /* bytes of any value: a BOOL may hold any, too */
        p[i] = (unsigned char)draw(f, small ? 2 : 256);
    return true;
}

static bool make_input(fuzz *f, const usta_value_info *v, int depth, usta_value *out)
{
    usta_value own = {.kind = v->kind};
    usta_value_info inner = {.struct_size = sizeof inner};
    if (v->kind == USTA_KIND_TENSOR) {
        own.tensor = (usta_tensor){.type = v->type, .rank = v->rank < 0 ? 2 : v->rank};
        for (int32_t d = 0; d < own.tensor.rank; d++)
            own.tensor.dims[d] = v->rank < 0      ? size_of(f, NULL)
                                 : v->dims[d] < 0 ? size_of(f, v->dim_names[d])
                                                  : v->dims[d];
        *out = own;
        return make_data(f, &out->tensor);
    }
    if (depth > MAX_DEPTH || usta_typing_inner(f->m, v->typing, &inner) != USTA_OK)
        return false;
    if (v->kind == USTA_KIND_OPTIONAL) {
        *out = (usta_value){.kind = USTA_KIND_NONE};
        return draw(f, 3) == 0 || make_input(f, &inner, depth + 1, out);
    }
    own.n_items = draw(f, 4);
    usta_value *items = take(f, own.n_items * sizeof *items);
    for (size_t i = 0; items && i < own.n_items; i++)
        if (!make_input(f, &inner, depth + 1, &items[i])) return false;
    own.items = items;
    own.tensor = (usta_tensor){.type = v->type, .rank = 1, .dims = {(int64_t)own.n_items}};
    *out = own;
    return items && (v->kind != USTA_KIND_MAP || make_data(f, &out->tensor));
}

/* --- runs --------------------------------------------------------------------------------------------------- */

static usta_err decode(void *user, const void *bytes, size_t n_bytes, int32_t pixels,
                       usta_place_image_fn *place, void *place_arg)
{
    fuzz *f = user;
    int64_t height = (int64_t)(n_bytes % 5), width = (int64_t)(n_bytes % 7);
    uint8_t *p = NULL;
    see(f, bytes, n_bytes);
    usta_err e = place(place_arg, height, width, &p);
    if (e == USTA_OK && height > 0 && width > 0)
        memset(p, 100, (size_t)(height * width) * (pixels == USTA_PIXELS_GRAY ? 1 : 3));
    return e;
}

static void see_session(fuzz *f, const usta_session *s)
{
    usta_session_info info = {.struct_size = sizeof info};
    usta_profile_row r = {.struct_size = sizeof r};
    if (usta_session_about(s, &info) != USTA_OK) finding("about a session");
    for (size_t i = 0; i < usta_session_n_profile(s); i++) {
        if (usta_session_profile(s, i, &r) != USTA_OK) finding("a row in range");
        see_name(f, r.node);
        see_name(f, r.op_type);
        see_name(f, r.kernel);
        see_name(f, r.output);
    }
}

/* As values; then as tensors, where all are, into memory of the caller's with the dims just seen; then the outputs as inputs. */
static void run(fuzz *f, usta_session *s, const usta_value *in, size_t n_in, size_t n_out)
{
    usta_value out[FUZZ_MAX_ENDS] = {{0}};
    usta_tensor t_in[FUZZ_MAX_ENDS] = {{0}}, t_out[FUZZ_MAX_ENDS] = {{0}}, views[FUZZ_MAX_ENDS];
    bool tensors = true;
    if (!fine(usta_session_run_values(s, in, n_in, out, n_out), usta_session_error(s))) return;
    for (size_t i = 0; i < n_out; i++) {
        see_value(f, &out[i]);
        tensors = tensors && out[i].kind == USTA_KIND_TENSOR;
        t_out[i] = out[i].tensor;
        t_out[i].data = take(f, usta_tensor_bytes(&t_out[i]) + 1);
        tensors = tensors && t_out[i].data;
    }
    for (size_t i = 0; i < n_in; i++) {
        tensors = tensors && in[i].kind == USTA_KIND_TENSOR;
        t_in[i] = in[i].tensor;
    }
    see_session(f, s);
    usta_session_profile_reset(s);
    if (!tensors) return;
    if (fine(usta_session_run_into(s, t_in, n_in, t_out, n_out), usta_session_error(s)))
        for (size_t i = 0; i < n_out; i++)
            see_tensor(f, &t_out[i]);
    if (!fine(usta_session_run(s, t_in, n_in, views, n_out), usta_session_error(s))) return;
    for (size_t i = 0; i < n_out; i++)
        see_tensor(f, &views[i]);
    if (n_out && n_in) {
        t_in[draw(f, n_in)] = views[draw(f, n_out)];
        if (fine(usta_session_run(s, t_in, n_in, views, n_out), usta_session_error(s)))
            for (size_t i = 0; i < n_out; i++)
                see_tensor(f, &views[i]);
    }
}

static void plan_and_run(fuzz *f, usta_env *env, usta_model *m)
{
    usta_session_settings set;
    usta_session *s;
    usta_value in[FUZZ_MAX_ENDS] = {{0}};
    size_t n_in = usta_model_n_inputs(m), n_out = usta_model_n_outputs(m);
    usta_session_defaults(&set);
    set.max_memory = RUN_CAP;
    set.max_steps = MAX_STEPS;
    set.max_work = MAX_WORK;
    set.profile = 1;
    set.decode_image = decode;
    set.decode_image_user = f;
    if (n_in > FUZZ_MAX_ENDS || n_out > FUZZ_MAX_ENDS) return;
    if (!fine(usta_session_new(m, &set, &s), usta_env_error(env))) return;
    bool made = true;
    for (size_t i = 0; made && i < n_in; i++) {
        usta_value_info v = {.struct_size = sizeof v};
        made = usta_model_input(m, i, &v) == USTA_OK && make_input(f, &v, 0, &in[i]);
    }
    if (made) run(f, s, in, n_in, n_out);
    usta_session_free(s);
}

static void use(fuzz *f, usta_env *env, usta_model *m)
{
    usta_str bytes;
    f->m = m;
    see_model(f);
    if (usta_model_prop(m, FUZZ_PROP, &bytes)) see_str(f, bytes);
    f->rng = f->sum;
    if (fine(usta_model_infer(m), usta_env_error(env))) see_model(f);
    plan_and_run(f, env, m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz f = {0};
    usta_env_settings s;
    usta_model_settings ms;
    usta_env *env = NULL;
    usta_model *m;
    usta_env_defaults(&s);
    s.log_level = USTA_LOG_NONE;
    s.memory = heap;
    s.memory_user = &f;
    s.cancelled = cancelled;
    s.cancelled_user = &f;
    usta_model_defaults(&ms);
    ms.no_weights = size % 8 == 7;
    f.pool = calloc(1, POOL_BYTES);
    if (!f.pool || usta_env_new(&s, &env) != USTA_OK) finding("no environment");
    if (fine(usta_model_parse(env, data, size, &ms, &m), usta_env_error(env))) {
        use(&f, env, m);
        usta_model_free(m);
    }
    usta_env_free(env);
    if (f.heap_bytes) finding("memory is not given back");
    free(f.pool);
    return 0;
}
