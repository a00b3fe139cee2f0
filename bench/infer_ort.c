/* bench/infer_ort.c - ONNX Runtime by the places of its functions; values there and back, and how far theirs are from ours.
 *
 * Source: onnxruntime_c_api.h of 1.17, the order of struct OrtApi.
 */
#define _POSIX_C_SOURCE 200809L
#include "infer_ort.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ort_place {
    ORT_ERROR_TEXT = 2,
    ORT_CREATE_ENV = 3,
    ORT_CREATE_SESSION = 7,
    ORT_RUN = 9,
    ORT_CREATE_OPTIONS = 10,
    ORT_LOG_SEVERITY = 22,
    ORT_OPTIMISE = 23,
    ORT_INTRA_THREADS = 24,
    ORT_INTER_THREADS = 25,
    ORT_NEW_TENSOR = 48,
    ORT_TENSOR_OVER_DATA = 49,
    ORT_TENSOR_DATA = 51,
    ORT_FILL_STRINGS = 52,
    ORT_STRINGS_LENGTH = 53,
    ORT_STRINGS = 54,
    ORT_ELEMENT_TYPE = 60,
    ORT_N_ELEMENTS = 64,
    ORT_SHAPE_OF = 65,
    ORT_KIND_OF = 67,
    ORT_CPU_MEMORY = 69,
    ORT_ALLOCATOR = 78,
    ORT_ITEM = 80,
    ORT_N_ITEMS = 81,
    ORT_CREATE_VALUE = 82,
    ORT_RELEASE_STATUS = 93,
    ORT_RELEASE_SESSION = 95,
    ORT_RELEASE_VALUE = 96,
    ORT_RELEASE_SHAPE = 99
};
enum {
    ORT_ALL_OPTIMISATIONS = 99,
    ORT_ARENA = 1,
    ORT_DEFAULT_MEMORY = 0,
    ORT_SEVERITY_FATAL = 4,
    ORT_KIND_TENSOR = 1,
    ORT_KIND_SEQUENCE = 2,
    ORT_KIND_MAP = 3
};
typedef struct ort_base {
    const ort_fn *(*api)(uint32_t version);
    const char *(*version)(void);
} ort_base;

#define ORT_TRY(o, place, args, ...) (((void *(*)args)(o)->f[place])(__VA_ARGS__))
#define ORT(o, place, args, ...)     ort_check((o), ORT_TRY(o, place, args, __VA_ARGS__), #place)
#define ORT_RELEASE(o, place, what)  (((void (*)(void *))(o)->f[place])(what))

_Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_infer: %s: %s\n", what, why);
    exit(2);
}

/* One line of it: the reason stands in a table. */
static void ort_check(const ort_side *o, void *status, const char *what)
{
    if (!status) return;
    char text[1024];
    (void)snprintf(text, sizeof text, "%s",
                   ((const char *(*)(const void *))o->f[ORT_ERROR_TEXT])(status));
    for (char *p = text; *p; p++)
        if (*p == '\n') *p = ' ';
    die(what, text);
}

/* --- life ------------------------------------------------------------------------------------------- */

void ort_load(ort_side *o, const char *lib, int threads)
{
    void *h = dlopen(lib, RTLD_NOW | RTLD_LOCAL);
    if (!h) die(lib, dlerror());
    void *entry = dlsym(h, "OrtGetApiBase");
    if (!entry) die(lib, "has no OrtGetApiBase");
    const ort_base *(*base)(void);
    memcpy(&base, &entry, sizeof base);
    o->f = base()->api(17);
    if (!o->f) die(lib, "does not offer version 17 of its interface");
    ORT(o, ORT_CREATE_ENV, (int, const char *, void **), ORT_SEVERITY_FATAL, "bench", &o->env);
    ORT(o, ORT_CREATE_OPTIONS, (void **), &o->options);
    ORT(o, ORT_LOG_SEVERITY, (void *, int), o->options, ORT_SEVERITY_FATAL);
    ORT(o, ORT_OPTIMISE, (void *, int), o->options, ORT_ALL_OPTIMISATIONS);
    ORT(o, ORT_INTRA_THREADS, (void *, int), o->options, threads);
    ORT(o, ORT_INTER_THREADS, (void *, int), o->options, 1);
    ORT(o, ORT_CPU_MEMORY, (int, int, void **), ORT_ARENA, ORT_DEFAULT_MEMORY, &o->memory);
    ORT(o, ORT_ALLOCATOR, (void **), &o->allocator);
}

void ort_open(ort_side *o, const char *model)
{
    ORT(o, ORT_CREATE_SESSION, (const void *, const char *, const void *, void **), o->env,
        model, o->options, &o->session);
}

void ort_close(ort_side *o)
{
    for (size_t i = 0; i < o->n_out; i++)
        if (o->out[i]) ORT_RELEASE(o, ORT_RELEASE_VALUE, o->out[i]);
    for (size_t i = 0; i < o->n_in; i++)
        ORT_RELEASE(o, ORT_RELEASE_VALUE, o->in[i]);
    ORT_RELEASE(o, ORT_RELEASE_SESSION, o->session);
    o->session = NULL;
}

/* --- inputs ----------------------------------------------------------------------------------------- */

static void *strings_over(ort_side *o, const usta_tensor *t)
{
    size_t n = (size_t)usta_tensor_count(t);
    const usta_str *from = t->data;
    char **texts = calloc(n + 1, sizeof *texts);
    if (!texts) die("strings", "no memory");
    for (size_t i = 0; i < n; i++)
        if (!(texts[i] = strndup(from[i].p ? from[i].p : "", from[i].n)))
            die("strings", "no memory");
    void *v;
    ORT(o, ORT_NEW_TENSOR, (void *, const int64_t *, size_t, int, void **), o->allocator,
        t->dims, (size_t)t->rank, t->type, &v);
    ORT(o, ORT_FILL_STRINGS, (void *, const char *const *, size_t), v,
        (const char *const *)texts, n);
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
    return v;
}

static void *tensor_over(ort_side *o, const usta_tensor *t)
{
    if (t->type == USTA_TYPE_STRING) return strings_over(o, t);
    void *v;
    ORT(o, ORT_TENSOR_OVER_DATA,
        (const void *, void *, size_t, const int64_t *, size_t, int, void **), o->memory,
        t->data, usta_tensor_bytes(t), t->dims, (size_t)t->rank, t->type, &v);
    return v;
}

/* Items of a map are scalars of one type: gathered into a vector beside the keys, which is how they hold them. */
static usta_tensor gathered(const usta_value *u)
{
    if (u->n_items == 0) die("map", "has no items");
    usta_tensor all = u->items[0].tensor;
    size_t one = usta_tensor_bytes(&all);
    char *data = calloc(u->n_items, one);
    if (!data) die("map", "no memory");
    for (size_t i = 0; i < u->n_items; i++)
        memcpy(data + i * one, u->items[i].tensor.data, one);
    all.rank = 1;
    all.dims[0] = (int64_t)u->n_items;
    all.data = data;
    return all;
}

static void *map_over(ort_side *o, const usta_value *u)
{
    usta_tensor all = gathered(u); /* lives as long as the process: inputs are made once */
    void *pair[2] = {tensor_over(o, &u->tensor), tensor_over(o, &all)}, *v;
    ORT(o, ORT_CREATE_VALUE, (const void *const *, size_t, int, void **),
        (const void *const *)pair, (size_t)2, ORT_KIND_MAP, &v);
    return v;
}

void ort_bind(ort_side *o, const usta_model *m, const usta_value *in, size_t n_in)
{
    o->n_in = n_in;
    o->n_out = usta_model_n_outputs(m);
    for (size_t i = 0; i < o->n_in + o->n_out; i++) {
        usta_value_info v = {.struct_size = sizeof v};
        bool is_in = i < o->n_in;
        usta_err e = is_in ? usta_model_input(m, i, &v) : usta_model_output(m, i - o->n_in, &v);
        if (e != USTA_OK) die("names", "cannot be read");
        if (is_in)
            o->in_name[i] = v.name;
        else
            o->out_name[i - o->n_in] = v.name;
    }
    for (size_t i = 0; i < n_in; i++) {
        if (in[i].kind == USTA_KIND_TENSOR)
            o->in[i] = tensor_over(o, &in[i].tensor);
        else if (in[i].kind == USTA_KIND_MAP)
            o->in[i] = map_over(o, &in[i]);
        else
            die(o->in_name[i], "inputs that are neither tensors nor maps are not made here");
    }
}

/* --- runs ------------------------------------------------------------------------------------------- */

static void *run_once(ort_side *o)
{
    return ORT_TRY(o, ORT_RUN,
                   (void *, const void *, const char *const *, const void *const *, size_t,
                    const char *const *, size_t, void **),
                   o->session, NULL, o->in_name, (const void *const *)o->in, o->n_in,
                   o->out_name, o->n_out, o->out);
}

void ort_run(ort_side *o)
{
    for (size_t i = 0; o->renew && i < o->n_out; i++) {
        if (o->out[i]) ORT_RELEASE(o, ORT_RELEASE_VALUE, o->out[i]);
        o->out[i] = NULL;
    }
    ort_check(o, run_once(o), "ORT_RUN");
}

static int kind_of(const ort_side *o, const void *v)
{
    int kind = 0;
    ORT(o, ORT_KIND_OF, (const void *, int *), v, &kind);
    return kind;
}

void ort_settle(ort_side *o)
{
    for (size_t i = 0; i < o->n_out; i++)
        o->renew |= kind_of(o, o->out[i]) != ORT_KIND_TENSOR;
    if (o->renew) return;
    void *status =
        run_once(o); /* refused when the file declares another shape than comes out */
    o->renew = status != NULL;
    if (status) ORT_RELEASE(o, ORT_RELEASE_STATUS, status);
}

/* --- agreement ---------------------------------------------------------------------------------------- */

static double number_at(usta_type t, const void *p, int64_t i)
{
    switch (t) {
    case USTA_TYPE_FLOAT: return (double)((const float *)p)[i];
    case USTA_TYPE_DOUBLE: return ((const double *)p)[i];
    case USTA_TYPE_INT64: return (double)((const int64_t *)p)[i];
    case USTA_TYPE_INT32: return (double)((const int32_t *)p)[i];
    case USTA_TYPE_INT8: return (double)((const int8_t *)p)[i];
    case USTA_TYPE_BOOL:
    case USTA_TYPE_UINT8: return (double)((const uint8_t *)p)[i];
    default: die("comparison", "an output of a type that is not compared here");
    }
}

/* Outputs that are all smaller are compared by this: scores of a sigmoid around 1e-5 carry the rounding of its argument, and noise
 * around a zero has no relative size. */
#define FLOOR 1e-3

/* Not numbers and infinities agree with their like only. */
static double gap(double x, double y)
{
    if (isnan(x) && isnan(y)) return 0;
    if (!isfinite(x) || !isfinite(y)) return x == y ? 0 : (double)INFINITY;
    return fabs(x - y);
}

static double strings_apart(const ort_side *o, const usta_tensor *t, const void *theirs)
{
    size_t n = (size_t)usta_tensor_count(t), bytes;
    const usta_str *ours = t->data;
    ORT(o, ORT_STRINGS_LENGTH, (const void *, size_t *), theirs, &bytes);
    char *all = calloc(bytes + 1, 1);
    size_t *at = calloc(n + 1, sizeof *at);
    if (!all || !at) die("strings", "no memory");
    ORT(o, ORT_STRINGS, (const void *, void *, size_t, size_t *, size_t), theirs, all, bytes,
        at, n);
    at[n] = bytes;
    bool same = true;
    for (size_t i = 0; i < n && same; i++)
        same = ours[i].n == at[i + 1] - at[i] &&
               (ours[i].n == 0 || memcmp(ours[i].p, all + at[i], ours[i].n) == 0);
    free(all);
    free(at);
    return same ? 0 : (double)INFINITY;
}

static double tensor_apart(const ort_side *o, const usta_tensor *t, const void *theirs)
{
    void *shape, *p;
    int type;
    size_t n;
    ORT(o, ORT_SHAPE_OF, (const void *, void **), theirs, &shape);
    ORT(o, ORT_ELEMENT_TYPE, (const void *, int *), shape, &type);
    ORT(o, ORT_N_ELEMENTS, (const void *, size_t *), shape, &n);
    ORT_RELEASE(o, ORT_RELEASE_SHAPE, shape);
    if (type != t->type || (int64_t)n != usta_tensor_count(t)) return (double)INFINITY;
    if (n == 0) return 0;
    if (type == USTA_TYPE_STRING) return strings_apart(o, t, theirs);
    ORT(o, ORT_TENSOR_DATA, (const void *, void **), theirs, &p);
    double top = FLOOR, d = 0;
    for (int64_t k = 0; k < (int64_t)n; k++) {
        double y = number_at(t->type, p, k);
        if (isfinite(y)) top = fmax(top, fabs(y));
        d = fmax(d, gap(number_at(t->type, t->data, k), y));
    }
    return d / top;
}

static void *item_of(const ort_side *o, const void *v, int i)
{
    void *item;
    ORT(o, ORT_ITEM, (const void *, int, void *, void **), v, i, o->allocator, &item);
    return item;
}

/* Keys in the same order, and their numbers. */
static double map_apart(const ort_side *o, const usta_value *u, const void *theirs)
{
    void *keys = item_of(o, theirs, 0), *values = item_of(o, theirs, 1);
    double d = tensor_apart(o, &u->tensor, keys);
    if (u->n_items > 0 && d == 0) {
        usta_tensor all = gathered(u);
        d = tensor_apart(o, &all, values);
        free(all.data);
    }
    ORT_RELEASE(o, ORT_RELEASE_VALUE, keys);
    ORT_RELEASE(o, ORT_RELEASE_VALUE, values);
    return d;
}

/* NOLINTNEXTLINE(misc-no-recursion): values nest, 16 deep at most */
static double value_apart(const ort_side *o, const usta_value *u, const void *theirs)
{
    int kind = kind_of(o, theirs);
    if (kind == ORT_KIND_TENSOR && u->kind == USTA_KIND_TENSOR)
        return tensor_apart(o, &u->tensor, theirs);
    if (kind == ORT_KIND_MAP && u->kind == USTA_KIND_MAP) return map_apart(o, u, theirs);
    if (kind != ORT_KIND_SEQUENCE || u->kind != USTA_KIND_SEQUENCE) return (double)INFINITY;
    size_t n;
    ORT(o, ORT_N_ITEMS, (const void *, size_t *), theirs, &n);
    if (n != u->n_items) return (double)INFINITY;
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        void *item = item_of(o, theirs, (int)i);
        worst = fmax(worst, value_apart(o, &u->items[i], item));
        ORT_RELEASE(o, ORT_RELEASE_VALUE, item);
    }
    return worst;
}

double ort_apart(const ort_side *o, const usta_value *ours)
{
    double worst = 0;
    for (size_t i = 0; i < o->n_out; i++)
        worst = fmax(worst, value_apart(o, &ours[i], o->out[i]));
    return worst;
}
