/* onnx/external.c - weights in files beside the model, and the traps in their names.
 *
 * A location is a relative path below the model's folder: no absolute path, no "..", and after all links are
 * followed it must still lie below. Each file is opened once and closed with the model.
 * Source: docs/ExternalData.md of ONNX.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ctx.h"
#include "onnx/read.h"

#ifndef PATH_MAX
#    define PATH_MAX 4096
#endif

typedef struct where {
    us_sv location;
    int64_t offset, length;
    bool has_length;
} where;

static us_err bad(us_onnx_reader *r, const us_pb_tensor *t, us_err code, us_sv location,
                  const char *what)
{
    return us_pb_fail(&r->pb, code, "external_data", r->pb.base + t->h.offset,
                      "tensor '" US_SV_FMT "', file '" US_SV_FMT "': %s", US_SV_ARG(t->name),
                      US_SV_ARG(location), what);
}

static us_err entries(us_onnx_reader *r, const us_pb_tensor *t, where *w)
{
    *w = (where){0};
    for (size_t i = 0; i < t->external.n; i++) {
        us_pb_pair e = {0};
        US_TRY(us_pb_parse(&r->pb, &us_pb_entry_msg, t->external.at[i], &e));
        if (us_sv_is(e.a, "location")) w->location = e.b;
        bool is_offset = us_sv_is(e.a, "offset"), is_length = us_sv_is(e.a, "length");
        int64_t n = 0;
        if ((is_offset || is_length) && (!us_parse_i64(e.b, &n) || n < 0))
            return bad(r, t, US_FORMAT, w->location, "its offset or length is no size");
        if (is_offset) w->offset = n;
        if (is_length) w->length = n;
        w->has_length |= is_length;
    }
    return US_OK;
}

/* A relative path without "..", without zero bytes. */
static bool harmless(us_sv s)
{
    if (!s.n || s.n >= US_ONNX_MAX_PATH || s.p[0] == '/' || memchr(s.p, 0, s.n)) return false;
    for (size_t i = 0; i < s.n;) {
        size_t j = i;
        while (j < s.n && s.p[j] != '/' && s.p[j] != '\\')
            j++;
        if (us_sv_is((us_sv){s.p + i, j - i}, "..")) return false;
        i = j + 1;
    }
    return true;
}

/* The path with all links followed, when it is a plain file below the folder. */
static us_err resolve(us_onnx_reader *r, const us_pb_tensor *t, us_sv location, char *out)
{
    char root[PATH_MAX];
    struct stat st;
    char *name = us_str_dup(r->pb.tmp, location);
    char *path = name ? us_path_join(r->pb.tmp, r->dir, name) : NULL;
    if (!path) return us_arena_fail(r->pb.c, r->pb.tmp);
    if (!realpath(r->dir, root))
        return bad(r, t, US_IO, location, "the model's folder is gone");
    if (!realpath(path, out) || stat(out, &st) != 0)
        return bad(r, t, US_IO, location, "there is no such file beside the model");
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/')
        n--;
    bool below = n == 1 || (!strncmp(out, root, n) && out[n] == '/');
    if (!below) return bad(r, t, US_FORMAT, location, "a link leads out of the model's folder");
    if (!S_ISREG(st.st_mode)) return bad(r, t, US_FORMAT, location, "it is not a plain file");
    return US_OK;
}

static us_err open_file(us_onnx_reader *r, const us_pb_tensor *t, us_sv location, us_file **out)
{
    us_ctx *c = r->pb.c;
    uint32_t at = us_map_get(&r->external_names, location);
    if (at != US_MAP_NONE) {
        *out = r->m->externals.at[at];
        return US_OK;
    }
    char path[PATH_MAX];
    us_file *f;
    US_TRY(resolve(r, t, location, path));
    US_TRY(us_vec_reserve(c, r->m->arena, &r->m->externals, r->m->externals.n + 1));
    US_TRY(us_map_put(c, &r->external_names, location, (uint32_t)r->m->externals.n, NULL));
    US_TRY(us_file_open(c, path, US_ONNX_MAX_FILE, &f));
    r->m->externals.at[r->m->externals.n++] = f;
    *out = f;
    return US_OK;
}

/* A tensor of `bytes` bytes in a file of `size`. */
static us_err check_place(us_onnx_reader *r, const us_pb_tensor *t, const where *w,
                          size_t bytes, uint64_t size)
{
    if (w->has_length && (uint64_t)w->length != bytes)
        return bad(r, t, US_FORMAT, w->location, "the length given is not that of the shape");
    if ((uint64_t)w->offset > size || bytes > size - (uint64_t)w->offset)
        return bad(r, t, US_FORMAT, w->location,
                   "the file is too short for the offset and shape");
    return US_OK;
}

us_err us_onnx_external(us_onnx_reader *r, const us_pb_tensor *t, size_t bytes,
                        const void **out)
{
    where w;
    us_file *f;
    US_TRY(entries(r, t, &w));
    if (r->plan) {
        US_TRY(check_place(r, t, &w, bytes, r->data.n));
        *out = r->data.p + w.offset;
        return US_OK;
    }
    if (!r->dir || !r->m)
        return bad(r, t, US_UNSUPP, w.location, "external data is not allowed here");
    if (!harmless(w.location))
        return bad(r, t, US_FORMAT, w.location,
                   "expected a relative path below the model's folder, without \"..\"");
    US_TRY(open_file(r, t, w.location, &f));
    US_TRY(check_place(r, t, &w, bytes, us_file_size(f)));
    *out = us_file_data(f) + w.offset;
    return US_OK;
}
