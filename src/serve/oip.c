/* serve/oip.c - Open Inference Protocol v2, REST: tensors as JSON, flat or nested, row-major. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "serve/server.h"

#define OIP_MAX_TENSORS 65536

typedef struct datatype {
    const char *name;
    us_dtype dtype;
} datatype;

static const datatype datatypes[] = {
    {"BOOL", US_BOOL},    {"UINT8", US_U8}, {"UINT16", US_U16}, {"UINT32", US_U32},
    {"UINT64", US_U64},   {"INT8", US_I8},  {"INT16", US_I16},  {"INT32", US_I32},
    {"INT64", US_I64},    {"FP16", US_F16}, {"FP32", US_F32},   {"FP64", US_F64},
    {"BYTES", US_STRING},
};

static const char *datatype_name(us_dtype t)
{
    for (size_t i = 0; i < US_LEN(datatypes); i++)
        if (datatypes[i].dtype == t) return datatypes[i].name;
    return "UNKNOWN";
}

static us_err datatype_find(us_ctx *c, const char *name, us_dtype *out)
{
    for (size_t i = 0; i < US_LEN(datatypes); i++)
        if (!strcmp(datatypes[i].name, name)) {
            *out = datatypes[i].dtype;
            return US_OK;
        }
    return us_fail(c, US_ARG,
                   "datatype '%.40s': expected BOOL, UINT8 to UINT64, INT8 to INT64, FP16, "
                   "FP32, FP64 or BYTES",
                   name);
}

typedef struct filler { /* a tensor being filled from JSON */
    us_ctx *c;
    us_arena *a;
    const char *name;
    us_tensor *t;
    int64_t n, at;
} filler;

static us_err fill_one(filler *f, const json_t *v)
{
    const us_dtype_info *d = us_dtype_get(f->t->dtype);
    size_t at = (size_t)f->at++;
    if (f->t->dtype == US_STRING) {
        if (!json_is_string(v))
            return us_fail(f->c, US_FORMAT, "input '%s', element %zu: expected a string",
                           f->name, at);
        return us_sv_dup(f->c, f->a, (us_sv){json_string_value(v), json_string_length(v)},
                         &((us_sv *)f->t->data)[at]);
    }
    if (json_is_integer(v) || json_is_boolean(v)) {
        int64_t x = json_is_integer(v) ? (int64_t)json_integer_value(v) : json_is_true(v);
        d->from_i64(f->t->data, at, 1, &x);
    } else if (json_is_real(v)) {
        double x = json_real_value(v);
        d->from_f64(f->t->data, at, 1, &x);
    } else if (json_is_null(v) && d->cls == US_DC_FLOAT) { /* JSON has no NaN */
        double x = (double)NAN;
        d->from_f64(f->t->data, at, 1, &x);
    } else {
        return us_fail(f->c, US_FORMAT, "input '%s', element %zu: expected a number", f->name,
                       at);
    }
    return US_OK;
}

static us_err fill(filler *f, const json_t *data)
{
    size_t i;
    json_t *v;
    json_array_foreach(data, i, v)
    {
        if (json_is_array(v)) {
            US_TRY(fill(f, v)); /* depth is bounded by the JSON reader */
            continue;
        }
        if (f->at == f->n)
            return us_fail(f->c, US_SHAPE, "input '%s' has more elements than its shape's %lld",
                           f->name, (long long)f->n);
        US_TRY(fill_one(f, v));
    }
    return US_OK;
}

static us_err read_shape(us_ctx *c, const char *name, const json_t *shape, int *rank,
                         int64_t dims[US_MAX_RANK])
{
    size_t i;
    json_t *v;
    if (json_array_size(shape) > US_MAX_RANK)
        return us_fail(c, US_SHAPE, "input '%s': more than %d dimensions", name, US_MAX_RANK);
    json_array_foreach(shape, i, v)
    {
        if (!json_is_integer(v))
            return us_fail(c, US_FORMAT, "input '%s': shape is not a list of integers", name);
        dims[i] = (int64_t)json_integer_value(v);
    }
    *rank = (int)json_array_size(shape);
    return US_OK;
}

static us_err read_tensor(us_call *k, const json_t *j, us_sv *name, us_tensor *t)
{
    us_ctx *c = k->c;
    us_arena *a = k->req->arena;
    const char *text, *type;
    json_t *shape, *data;
    int64_t dims[US_MAX_RANK] = {0}, n;
    int rank = 0;
    us_dtype dtype = US_DT_NONE;
    US_TRY(us_json_get_text(c, j, "input", "name", &text));
    US_TRY(us_json_get_text(c, j, text, "datatype", &type));
    US_TRY(us_json_get(c, j, text, "shape", JSON_ARRAY, &shape));
    US_TRY(us_json_get(c, j, text, "data", JSON_ARRAY, &data));
    US_TRY(datatype_find(c, type, &dtype));
    US_TRY(read_shape(c, text, shape, &rank, dims));
    /* The shape alone must not make us allocate: every element takes at least two bytes of the body. */
    if (!us_dims_count(rank, dims, &n) || (uint64_t)n > k->req->body.n)
        return us_fail(c, US_SHAPE, "input '%s': its shape does not fit its data", text);
    US_TRY(us_tensor_new(c, a, dtype, rank, dims, t));
    filler f = {.c = c, .a = a, .name = text, .t = t, .n = n};
    US_TRY(fill(&f, data));
    if (f.at != n)
        return us_fail(c, US_SHAPE, "input '%s' has %lld elements, its shape says %lld", text,
                       (long long)f.at, (long long)n);
    *name = us_sv_of(text);
    return US_OK;
}

static us_err decode(us_call *k, const json_t *inputs)
{
    size_t n = json_array_size(inputs);
    if (n > OIP_MAX_TENSORS) return us_fail(k->c, US_LIMIT, "%zu inputs", n);
    us_sv *names = us_new_n(k->req->arena, us_sv, n);
    us_tensor *tensors = us_new_n(k->req->arena, us_tensor, n);
    if (!names || !tensors) return us_arena_fail(k->c, k->req->arena);
    for (size_t i = 0; i < n; i++)
        US_TRY(read_tensor(k, json_array_get(inputs, i), &names[i], &tensors[i]));
    return us_decode_tensors(k->c, k->req->arena, &k->p->decoder, n, names, tensors, &k->n,
                             k->in);
}

/* --- the answer ------------------------------------------------------------------------------------------ */

static bool wanted(const json_t *outputs, const char *name)
{
    size_t i;
    json_t *v;
    if (!json_is_array(outputs) || !json_array_size(outputs)) return true;
    json_array_foreach(outputs, i, v)
    {
        const char *want = json_string_value(json_object_get(v, "name"));
        if (want && !strcmp(want, name)) return true;
    }
    return false;
}

static us_err check_wanted(us_call *k, const json_t *outputs)
{
    bool classes = k->p->passport.task == US_TASK_CLASSES;
    size_t i;
    json_t *v;
    json_array_foreach(outputs, i, v)
    {
        const char *want = json_string_value(json_object_get(v, "name"));
        bool known = want && (classes ? !strcmp(want, "label") || !strcmp(want, "probabilities")
                                      : !strcmp(want, "prediction"));
        if (!known)
            return us_fail(k->c, US_ARG, "output '%.60s': this model gives %s",
                           want ? want : "",
                           classes ? "'label' and 'probabilities'" : "'prediction'");
    }
    return US_OK;
}

static void print_head(us_buf *b, const char *name, us_dtype t, size_t n, size_t k, bool *first)
{
    us_buf_addf(b, "%s{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%zu", *first ? "" : ",",
                name, datatype_name(t), n);
    if (k) us_buf_addf(b, ",%zu", k);
    us_buf_adds(b, "],\"data\":[");
    *first = false;
}

static void print_floats(us_buf *b, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i) us_buf_addc(b, ',');
        us_json_add_f32(b, v[i]);
    }
    us_buf_adds(b, "]}");
}

/* Labels in the type the model gives: strings, or integers. */
static void print_labels(us_call *k, bool *first)
{
    us_buf *b = &k->res->body;
    us_dtype t = us_plan_output_type(k->p->plan, k->p->out_label)->dtype;
    print_head(b, "label", t, k->n, 0, first);
    for (size_t i = 0; i < k->n; i++) {
        us_sv text = k->p->passport.classes[k->y.label[i]];
        if (i) us_buf_addc(b, ',');
        if (t == US_STRING)
            us_json_add_text(b, text);
        else
            us_buf_addsv(b, text);
    }
    us_buf_adds(b, "]}");
}

static void print_answer(us_call *k, const json_t *body)
{
    us_buf *b = &k->res->body;
    const json_t *outputs = json_object_get(body, "outputs");
    const char *id = json_string_value(json_object_get(body, "id"));
    bool first = true;
    us_buf_adds(b, "{\"model_name\":");
    us_json_add_text(b, us_sv_of(k->s->o.model_name));
    us_buf_adds(b, ",\"model_version\":");
    us_json_add_text(b, us_sv_of(k->s->o.version));
    if (id) {
        us_buf_adds(b, ",\"id\":");
        us_json_add_text(b, us_sv_of(id));
    }
    us_buf_adds(b, ",\"outputs\":[");
    if (k->y.task == US_TASK_CLASSES) {
        if (wanted(outputs, "label")) print_labels(k, &first);
        if (wanted(outputs, "probabilities")) {
            print_head(b, "probabilities", US_F32, k->n, k->y.k, &first);
            print_floats(b, k->y.prob, k->n * k->y.k);
        }
    } else {
        print_head(b, "prediction", US_F32, k->n, 0, &first);
        print_floats(b, k->y.value, k->n);
    }
    us_buf_adds(b, "]}\n");
}

us_err us_oip_infer(us_call *k)
{
    json_t *body, *inputs;
    uint64_t t = us_now_ns();
    US_TRY(us_json_parse(k->c, k->req->arena, "request body", k->req->body, 0, &body));
    US_TRY(us_json_get(k->c, body, "request body", "inputs", JSON_ARRAY, &inputs));
    US_TRY(check_wanted(k, json_object_get(body, "outputs")));
    US_TRY(decode(k, inputs));
    atomic_fetch_add(&k->s->metrics.decode_ns, us_now_ns() - t);
    US_TRY(us_call_predict(k));
    t = us_now_ns();
    print_answer(k, body);
    atomic_fetch_add(&k->s->metrics.encode_ns, us_now_ns() - t);
    return US_OK;
}

static void print_value(us_buf *b, us_sv name, const us_type *t, bool first)
{
    us_buf_adds(b, first ? "{\"name\":" : ",{\"name\":");
    us_json_add_text(b, name);
    us_buf_addf(b, ",\"datatype\":\"%s\",\"shape\":[", datatype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        us_buf_addf(b, "%s%lld", i ? "," : "",
                    us_dim_known(t->dims[i]) ? (long long)t->dims[i].add : -1LL);
    us_buf_adds(b, "]}");
}

us_err us_oip_metadata(us_call *k)
{
    us_buf *b = &k->res->body;
    const us_plan *p = k->p->plan;
    us_buf_adds(b, "{\"name\":");
    us_json_add_text(b, us_sv_of(k->s->o.model_name));
    us_buf_adds(b, ",\"versions\":[");
    us_json_add_text(b, us_sv_of(k->s->o.version));
    us_buf_adds(b, "],\"platform\":\"onnx_usta\",\"inputs\":[");
    for (size_t i = 0; i < us_plan_n_inputs(p); i++)
        print_value(b, us_plan_input_name(p, i), us_plan_input_type(p, i), i == 0);
    us_buf_adds(b, "],\"outputs\":[");
    for (size_t i = 0; i < us_plan_n_outputs(p); i++)
        print_value(b, us_plan_output_name(p, i), us_plan_output_type(p, i), i == 0);
    us_buf_adds(b, "]}\n");
    return US_OK;
}
