/* cli/images.c - files of pictures to the tensors a model takes, and the outputs of several runs to one. */
#include "cli/images.h"

#include <math.h>
#include <string.h>

#include "base/file.h"

/* --- what the input wants ------------------------------------------------------------------------------ */

bool us_pictures_given(const char *path)
{
    return us_image_name(us_sv_of(path)) || us_path_is_dir(path);
}

static us_err list_files(us_ctx *c, us_arena *a, const char *path, us_pictures *p)
{
    char **names;
    size_t n;
    if (!us_path_is_dir(path)) {
        p->files = us_new_n(a, const char *, 1);
        if (!p->files) return us_arena_fail(c, a);
        p->files[p->n++] = path;
        return US_OK;
    }
    US_TRY(us_dir_list(c, a, path, &names, &n));
    p->files = us_new_n(a, const char *, n);
    if (!p->files) return us_arena_fail(c, a);
    for (size_t i = 0; i < n; i++) {
        if (!us_image_name(us_sv_of(names[i]))) continue;
        char *file = us_path_join(a, path, names[i]);
        if (!file) return us_arena_fail(c, a);
        p->files[p->n++] = file;
    }
    if (p->n == 0) return us_fail(c, US_ARG, "%s: no picture in this folder", path);
    return US_OK;
}

static us_err no_picture(us_ctx *c, const us_pictures *p, const us_type *t)
{
    return us_fail(c, US_SHAPE,
                   "input '" US_SV_FMT
                   "' takes no picture: expected a tensor [N,C,H,W] or [N,H,W,C] with 1 or 3 "
                   "channels, the same without N, [H,W], or uint8 [n] for the file's bytes; it "
                   "has rank %d",
                   US_SV_ARG(p->name), t->kind == US_KIND_TENSOR ? (int)t->rank : -1);
}

static bool is_channels(us_dim d)
{
    return us_dim_known(d) && (d.add == 1 || d.add == 3);
}

static bool could_be_channels(us_dim d)
{
    return !us_dim_known(d) || is_channels(d);
}

/* Layout, channels, size and batch from the type; what it leaves open stays open. */
static us_err read_type(us_ctx *c, us_pictures *p, const us_type *t, const us_image_args *args)
{
    static const us_dim open = {.sym = 1, .mul = 1};
    if (t->kind != US_KIND_TENSOR || t->rank > 4 || (t->rank >= 0 && t->rank < 2))
        return no_picture(c, p, t);
    p->dtype = t->dtype;
    p->rank = t->rank < 0 ? 4 : t->rank;
    p->batch = 1;
    us_dim d[4] = {open, open, open, open}, ch = US_DIM(1);
    for (int32_t i = 0; i < t->rank; i++)
        d[i] = t->dims[i];
    const us_dim *chw = d + (p->rank == 4); /* past N */
    if (p->rank == 4 && us_dim_known(d[0])) p->batch = (size_t)US_MAX(d[0].add, 1);
    if (p->rank == 2) {
        p->prep.channels_first = false;
        p->prep.h = us_dim_known(d[0]) ? d[0].add : 0;
        p->prep.w = us_dim_known(d[1]) ? d[1].add : 0;
    } else {
        bool last = strcmp(args->layout, "nhwc") == 0;
        if (strcmp(args->layout, "auto") == 0)
            last = !is_channels(chw[0]) && is_channels(chw[2]);
        ch = chw[last ? 2 : 0];
        p->prep.channels_first = !last;
        if (!could_be_channels(ch)) return no_picture(c, p, t);
        us_dim h = chw[last ? 0 : 1], w = chw[last ? 1 : 2];
        p->prep.h = us_dim_known(h) ? h.add : 0;
        p->prep.w = us_dim_known(w) ? w.add : 0;
    }
    bool gray = us_dim_known(ch) ? ch.add == 1 : strcmp(args->color, "gray") == 0;
    bool asked_gray = strcmp(args->color, "gray") == 0;
    if (strcmp(args->color, "auto") != 0 && asked_gray != gray)
        return us_fail(c, US_ARG, "--color %s, but input '" US_SV_FMT "' has %d channel%s",
                       args->color, US_SV_ARG(p->name), gray ? 1 : 3, gray ? "" : "s");
    p->pixels = gray                              ? US_PIXELS_GRAY
                : strcmp(args->color, "bgr") == 0 ? US_PIXELS_BGR
                                                  : US_PIXELS_RGB;
    return US_OK;
}

/* --- options --------------------------------------------------------------------------------------------- */

static us_err numbers(us_ctx *c, const char *option, const us_texts *t, int channels,
                      double *out)
{
    if (t->n == 0) return US_OK;
    if (t->n != 1 && t->n != (size_t)channels)
        return us_fail(c, US_ARG, "--%s has %zu numbers, the picture %d channel%s", option,
                       t->n, channels, channels == 1 ? "" : "s");
    for (int k = 0; k < channels; k++) {
        const char *text = t->at[t->n == 1 ? 0 : k];
        if (!us_parse_f64(us_sv_of(text), &out[k]) || !isfinite(out[k]))
            return us_fail(c, US_ARG, "--%s %s: expected a number", option, text);
    }
    return US_OK;
}

static us_err read_options(us_ctx *c, us_pictures *p, const us_image_args *args)
{
    us_image_prep *r = &p->prep;
    int channels = us_pixels_channels(p->pixels);
    bool whole = us_dtype_get(p->dtype)->cls != US_DC_FLOAT;
    r->shorter = args->shorter;
    r->scale = !isnan(args->scale) ? args->scale : whole ? 1 : 1.0 / 255;
    US_TRY(numbers(c, "mean", &args->mean, channels, r->mean));
    US_TRY(numbers(c, "std", &args->std, channels, r->std));
    for (int k = 0; k < channels; k++)
        if (r->std[k] == 0) return us_fail(c, US_ARG, "--std must not be 0");
    if (!args->crop) return US_OK;
    if ((r->h && r->h != args->crop) || (r->w && r->w != args->crop))
        return us_fail(
            c, US_ARG, "--center-crop %lld, but input '" US_SV_FMT "' takes %lld x %lld",
            (long long)args->crop, US_SV_ARG(p->name), (long long)r->h, (long long)r->w);
    r->h = r->w = args->crop;
    return US_OK;
}

us_err us_pictures_open(us_ctx *c, us_arena *a, us_sv name, const us_type *type,
                        const char *path, const us_image_args *args, us_pictures *out)
{
    us_pictures p = {.name = name, .prep = us_image_prep_plain(), .batch = 1};
    p.bytes = type->kind == US_KIND_TENSOR && type->dtype == US_U8 && type->rank == 1;
    if (!p.bytes) {
        US_TRY(read_type(c, &p, type, args));
        US_TRY(read_options(c, &p, args));
    }
    US_TRY(list_files(c, a, path, &p));
    if (p.n % p.batch)
        return us_fail(c, US_SHAPE,
                       "input '" US_SV_FMT "' takes %zu pictures at a time; %zu are given",
                       US_SV_ARG(name), p.batch, p.n);
    *out = p;
    return US_OK;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

size_t us_pictures_n_runs(const us_pictures *p)
{
    return p->n / p->batch;
}

static us_err read_bytes(us_ctx *c, us_arena *a, const char *path, us_value *out)
{
    us_buf b;
    us_tensor t;
    us_buf_init(&b, c, (size_t)US_IMAGE_MAX_BYTES);
    us_err e = us_file_read(c, path, &b);
    if (e == US_OK) e = us_tensor_new(c, a, US_U8, 1, (int64_t[]){(int64_t)b.n}, &t);
    if (e == US_OK) {
        if (b.n) memcpy(t.data, b.p, b.n);
        *out = us_value_of(&t);
    }
    us_buf_deinit(&b);
    return e;
}

/* The input's tensor for pictures of this size. */
static us_err make_tensor(us_ctx *c, us_arena *a, const us_pictures *p, const us_image *im,
                          us_tensor *out)
{
    int64_t ch = us_pixels_channels(im->pixels), dims[4] = {(int64_t)p->batch};
    int64_t *chw = dims + (p->rank == 4);
    const int64_t first[3] = {ch, im->h, im->w}, last[3] = {im->h, im->w, ch};
    size_t n = p->rank == 2 ? 2 : 3;
    memcpy(chw, p->prep.channels_first ? first : last, n * sizeof *dims);
    return us_tensor_new(c, a, p->dtype, p->rank, dims, out);
}

us_err us_pictures_read(us_ctx *c, us_arena *a, const us_pictures *p, size_t i_run,
                        us_value *out)
{
    if (p->bytes) return read_bytes(c, a, p->files[i_run], out);
    us_tensor t = {0};
    us_image first = {0};
    for (size_t i = 0; i < p->batch; i++) {
        const char *file = p->files[i_run * p->batch + i];
        us_image im;
        US_TRY(us_image_read(c, a, file, p->pixels, &im));
        us_err e = us_image_fit(c, a, &im, &p->prep, &im);
        if (e != US_OK) return us_wrap(c, e, "%s", file);
        if (i == 0) {
            first = im;
            US_TRY(make_tensor(c, a, p, &im, &t));
        }
        if (im.h != first.h || im.w != first.w)
            return us_fail(
                c, US_SHAPE,
                "%s: %lld x %lld (height, width), the pictures before it %lld x %lld; "
                "give --resize-shorter and --center-crop",
                file, (long long)im.h, (long long)im.w, (long long)first.h, (long long)first.w);
        size_t each = us_tensor_bytes(&t) / p->batch;
        US_TRY(us_image_fill(c, &im, &p->prep, p->dtype, (char *)t.data + i * each));
    }
    *out = us_value_of(&t);
    return US_OK;
}

/* --- outputs of several runs ----------------------------------------------------------------------------------- */

static us_err join_tensors(us_ctx *c, us_arena *a, us_sv name, size_t n, const us_value *parts,
                           us_tensor *out)
{
    const us_tensor *t = &parts[0].t;
    bool scalar = t->rank == 0;
    int64_t dims[US_MAX_RANK], rows = 0;
    for (size_t i = 0; i < n; i++) {
        const us_tensor *u = &parts[i].t;
        bool fits =
            parts[i].kind == US_KIND_TENSOR && u->rank == t->rank && u->dtype == t->dtype;
        for (int32_t d = 1; fits && d < t->rank; d++)
            fits = u->dims[d] == t->dims[d];
        if (!fits)
            return us_fail(
                c, US_SHAPE,
                "output '" US_SV_FMT
                "' has another type or shape for picture %zu than for the first; run "
                "them one by one",
                US_SV_ARG(name), i);
        rows += scalar ? 1 : u->dims[0];
    }
    memcpy(dims, t->dims, sizeof dims);
    dims[0] = rows;
    US_TRY(us_tensor_new(c, a, t->dtype, scalar ? 1 : t->rank, dims, out));
    char *at = out->data;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = us_tensor_bytes(&parts[i].t);
        if (us_dtype_get(t->dtype)->bits < 8)
            return us_fail(c, US_UNSUPP, "output '" US_SV_FMT "' has packed elements",
                           US_SV_ARG(name));
        if (bytes) memcpy(at, parts[i].t.data, bytes);
        at += bytes;
    }
    return US_OK;
}

us_err us_values_join(us_ctx *c, us_arena *a, us_sv name, size_t n, const us_value *parts,
                      us_value *out)
{
    us_value v = {.kind = parts[0].kind};
    if (v.kind == US_KIND_TENSOR) {
        us_tensor t;
        US_TRY(join_tensors(c, a, name, n, parts, &t));
        *out = us_value_of(&t);
        return US_OK;
    }
    if (v.kind != US_KIND_SEQUENCE)
        return us_fail(c, US_UNSUPP,
                       "output '" US_SV_FMT
                       "' of several pictures is neither tensor nor sequence",
                       US_SV_ARG(name));
    for (size_t i = 0; i < n; i++)
        v.n_items += parts[i].n_items;
    v.items = us_new_n(a, us_value, v.n_items);
    if (!v.items) return us_arena_fail(c, a);
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < parts[i].n_items; k++)
            v.items[at++] = parts[i].items[k];
    *out = v;
    return US_OK;
}
