/* tensor/npy.c - NumPy's file format: magic, version, header dictionary in Python syntax, data.
 *
 * The header is a Python literal with exactly three keys: 'descr', 'fortran_order', 'shape'. Nothing else is taken;
 * structured types and pickled objects are refused. Only little- and big-endian plain types exist here.
 */
#include "tensor/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

typedef struct header {
    char kind;   /* b i u f c U S */
    bool big;    /* big-endian data */
    size_t item; /* bytes of an element (U: 4 per character) */
    bool fortran;
    int rank;
    int64_t dims[US_MAX_RANK];
    const uint8_t *data;
    size_t n_data;
} header;

typedef struct reader { /* walks the header's text */
    us_ctx *c;
    const char *name;
    const char *p, *end;
} reader;

static us_err bad(const reader *r, const char *what)
{
    return us_fail(r->c, US_FORMAT, "%s: not a .npy file we can read: %s", r->name, what);
}

static void blanks(reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

static bool take(reader *r, char ch)
{
    blanks(r);
    if (r->p >= r->end || *r->p != ch) return false;
    r->p++;
    return true;
}

static bool take_word(reader *r, const char *word)
{
    blanks(r);
    us_sv rest = {r->p, (size_t)(r->end - r->p)};
    if (!us_sv_starts(rest, word)) return false;
    r->p += strlen(word);
    return true;
}

static us_err quoted(reader *r, us_sv *out)
{
    blanks(r);
    if (r->p >= r->end || (*r->p != '\'' && *r->p != '"'))
        return bad(r, "the header lacks a quoted word");
    char quote = *r->p++;
    const char *start = r->p;
    while (r->p < r->end && *r->p != quote)
        r->p++;
    if (r->p >= r->end) return bad(r, "a quote in the header is not closed");
    *out = (us_sv){start, (size_t)(r->p++ - start)};
    return US_OK;
}

static us_err descr(reader *r, header *h)
{
    us_sv s;
    uint64_t n;
    US_TRY(quoted(r, &s));
    if (s.n && (s.p[0] == '<' || s.p[0] == '>' || s.p[0] == '|' || s.p[0] == '=')) {
        h->big = s.p[0] == '>';
        s.p++;
        s.n--;
    }
    if (s.n < 2 || !us_parse_u64((us_sv){s.p + 1, s.n - 1}, &n) || n > 1u << 20)
        return bad(r, "element type is none of b i u f c U S with a size");
    h->kind = s.p[0];
    h->item = h->kind == 'U' ? (size_t)n * 4 : (size_t)n;
    return US_OK;
}

static us_err shape(reader *r, header *h)
{
    if (!take(r, '(')) return bad(r, "shape is not a tuple");
    while (!take(r, ')')) {
        blanks(r);
        const char *start = r->p;
        while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
            r->p++;
        int64_t d;
        if (!us_parse_i64((us_sv){start, (size_t)(r->p - start)}, &d))
            return bad(r, "a dimension is not a number");
        if (h->rank == US_MAX_RANK) return bad(r, "more dimensions than we take");
        h->dims[h->rank++] = d;
        (void)take_word(r, "L"); /* Python 2 wrote 3L */
        if (!take(r, ',') && r->p < r->end && *r->p != ')')
            return bad(r, "shape is not a tuple of numbers");
    }
    return US_OK;
}

static us_err dictionary(reader *r, header *h)
{
    unsigned seen = 0;
    if (!take(r, '{')) return bad(r, "the header is not a dictionary");
    while (!take(r, '}')) {
        us_sv key;
        US_TRY(quoted(r, &key));
        if (!take(r, ':')) return bad(r, "the header is not a dictionary");
        if (us_sv_is(key, "descr")) {
            seen |= 1;
            US_TRY(descr(r, h));
        } else if (us_sv_is(key, "fortran_order")) {
            seen |= 2;
            h->fortran = take_word(r, "True");
            if (!h->fortran && !take_word(r, "False"))
                return bad(r, "fortran_order is neither True nor False");
        } else if (us_sv_is(key, "shape")) {
            if (seen & 4) return bad(r, "shape is given twice");
            seen |= 4;
            US_TRY(shape(r, h));
        } else {
            return bad(r, "the header has a key other than descr, fortran_order, shape");
        }
        (void)take(r, ',');
    }
    return seen == 7 ? US_OK : bad(r, "the header lacks descr, fortran_order or shape");
}

static us_err read_header(us_ctx *c, const char *name, const uint8_t *p, size_t n, header *h)
{
    reader r = {.c = c, .name = name};
    if (n < 10 || memcmp(p, "\x93NUMPY", 6))
        return bad(&r, "it does not start with \\x93NUMPY");
    size_t start, len;
    if (p[6] == 1) {
        len = (size_t)p[8] | (size_t)p[9] << 8;
        start = 10;
    } else if (p[6] == 2 || p[6] == 3) {
        if (n < 12) return bad(&r, "the header is cut off");
        len = (size_t)p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24;
        start = 12;
    } else {
        return us_fail(c, US_UNSUPP,
                       "%s: .npy format version %d.%d; known are 1.0, 2.0 and 3.0", name, p[6],
                       p[7]);
    }
    if (len > US_NPY_MAX_HEADER || len > n - start)
        return bad(&r, "the header is cut off or over 64 KB");
    r.p = (const char *)p + start;
    r.end = r.p + len;
    US_TRY(dictionary(&r, h));
    h->data = p + start + len;
    h->n_data = n - start - len;
    return US_OK;
}

typedef struct type_row {
    char kind;
    size_t item;
    us_dtype dtype;
    size_t unit; /* bytes that change places between byte orders */
} type_row;

static const type_row types[] = {
    {'b', 1, US_BOOL, 1}, {'i', 1, US_I8, 1},    {'i', 2, US_I16, 2}, {'i', 4, US_I32, 4},
    {'i', 8, US_I64, 8},  {'u', 1, US_U8, 1},    {'u', 2, US_U16, 2}, {'u', 4, US_U32, 4},
    {'u', 8, US_U64, 8},  {'f', 2, US_F16, 2},   {'f', 4, US_F32, 4}, {'f', 8, US_F64, 8},
    {'c', 8, US_C64, 4},  {'c', 16, US_C128, 8},
};

static const type_row *type_find(char kind, size_t item)
{
    for (size_t i = 0; i < US_LEN(types); i++)
        if (types[i].kind == kind && types[i].item == item) return &types[i];
    return NULL;
}

static void swap_units(uint8_t *p, size_t n, size_t unit)
{
    for (size_t i = 0; i + unit <= n; i += unit)
        for (size_t k = 0; k < unit / 2; k++) {
            uint8_t t = p[i + k];
            p[i + k] = p[i + unit - 1 - k];
            p[i + unit - 1 - k] = t;
        }
}

/* One code point as UTF-8; those that are none become U+FFFD. */
static size_t utf8_put(uint32_t u, char out[4])
{
    if (u > 0x10FFFF || (u >= 0xD800 && u < 0xE000)) u = 0xFFFD;
    if (u < 0x80) {
        out[0] = (char)u;
        return 1;
    }
    size_t n = u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, u >>= 6)
        out[i] = (char)(0x80 | (u & 0x3F));
    out[0] = (char)((0xF00u >> n & 0xFF) | u);
    return n;
}

/* A fixed-width text (U: UTF-32, S: bytes), trailing zeros cut. */
static us_err text_item(us_ctx *c, us_arena *a, const header *h, const uint8_t *p, us_sv *out)
{
    size_t unit = h->kind == 'U' ? 4 : 1, n = h->item / unit;
    char *z = us_new_n(a, char, n *(h->kind == 'U' ? 4 : 1) + 1);
    if (!z) return us_arena_fail(c, a);
    size_t k = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t u = p[i * unit];
        if (unit == 4) {
            uint8_t b[4];
            memcpy(b, p + i * 4, 4);
            if (h->big) swap_units(b, 4, 4);
            u = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                (uint32_t)b[3] << 24;
        }
        if (unit == 4)
            k += utf8_put(u, z + k);
        else
            z[k++] = (char)u;
        if (u) last = k;
    }
    *out = (us_sv){z, last};
    return US_OK;
}

/* Column-major dims read as row-major of the reversed shape, then transposed by strides. */
static us_err from_fortran(us_ctx *c, us_arena *a, us_tensor *t)
{
    us_tensor view = *t;
    int64_t s = 1;
    for (int i = 0; i < t->rank; i++) {
        view.strides[i] = s;
        s *= t->dims[i];
    }
    us_tensor dense;
    US_TRY(us_tensor_new(c, a, t->dtype, t->rank, t->dims, &dense));
    US_TRY(us_tensor_copy(c, &dense, &view));
    *t = dense;
    return US_OK;
}

static us_err check_size(us_ctx *c, const char *name, const header *h, int64_t *count)
{
    size_t want;
    if (!us_dims_count(h->rank, h->dims, count) || !us_mul_size((size_t)*count, h->item, &want))
        return us_fail(c, US_LIMIT, "%s: the shape has too many elements", name);
    if (want > h->n_data)
        return us_fail(c, US_FORMAT, "%s: %zu bytes of data, expected %zu (cut off?)", name,
                       h->n_data, want);
    return US_OK;
}

us_err us_npy_parse(us_ctx *c, us_arena *a, const char *name, const void *p, size_t n,
                    us_tensor *out)
{
    header h = {0};
    int64_t count;
    us_tensor t;
    US_TRY(read_header(c, name, p, n, &h));
    bool text = h.kind == 'U' || h.kind == 'S';
    const type_row *row = text ? NULL : type_find(h.kind, h.item);
    if (!text && !row)
        return us_fail(
            c, US_UNSUPP,
            "%s: element type %c%zu; known are bool, integers, floats, complex and text", name,
            h.kind >= 32 && h.kind < 127 ? h.kind : '?', h.item);
    US_TRY(check_size(c, name, &h, &count));
    /* Texts of width 0 take no bytes: the shape alone must not make us allocate. */
    if (text && (uint64_t)count > h.n_data + 65536)
        return us_fail(c, US_LIMIT, "%s: %lld empty texts", name, (long long)count);
    us_err e = us_tensor_new(c, a, text ? US_STRING : row->dtype, h.rank, h.dims, &t);
    if (e != US_OK) return us_wrap(c, e, "%s", name);
    if (text) {
        for (int64_t i = 0; i < count; i++)
            US_TRY(text_item(c, a, &h, h.data + (size_t)i * h.item, &((us_sv *)t.data)[i]));
    } else if (count) {
        memcpy(t.data, h.data, us_tensor_bytes(&t));
        if (h.big) swap_units(t.data, us_tensor_bytes(&t), row->unit);
        if (row->dtype == US_BOOL)
            for (int64_t i = 0; i < count; i++)
                ((uint8_t *)t.data)[i] = ((uint8_t *)t.data)[i] != 0;
    }
    if (h.fortran && h.rank > 1 && count) US_TRY(from_fortran(c, a, &t));
    *out = t;
    return US_OK;
}

us_err us_npy_read(us_ctx *c, us_arena *a, const char *path, us_tensor *out)
{
    us_file *f;
    US_TRY(us_file_open(c, path, UINT64_MAX, &f));
    us_err e = us_npy_parse(c, a, path, us_file_data(f), us_file_size(f), out);
    if (e == US_OK && !us_file_ok(f))
        e = us_fail(c, US_IO, "%s: the file shrank while it was read", path);
    us_file_close(f);
    return e;
}

/* Code points of a UTF-8 text; bytes that are no UTF-8 stand for themselves. */
static size_t code_points(us_sv s, uint32_t *out)
{
    size_t n = 0;
    bool valid = us_utf8_valid(s);
    for (size_t i = 0; i < s.n; n++) {
        uint8_t b = (uint8_t)s.p[i++];
        uint32_t u = b;
        if (valid && b >= 0xC0) {
            size_t more = b >= 0xF0 ? 3 : b >= 0xE0 ? 2 : 1;
            u = b & (0x3Fu >> more);
            while (more--)
                u = u << 6 | ((uint8_t)s.p[i++] & 0x3F);
        }
        if (out) out[n] = u;
    }
    return n;
}

static us_err print_texts(us_ctx *c, const us_tensor *t, size_t width, us_buf *b)
{
    int64_t n = us_tensor_count(t);
    uint32_t *u = us_mem_get(&c->alloc, width, sizeof *u);
    if (!u) return us_nomem(c);
    for (int64_t i = 0; i < n; i++) {
        size_t k = code_points(us_tensor_str_at(t, i), u);
        for (size_t j = 0; j < width; j++) {
            uint32_t v = j < k ? u[j] : 0;
            char le[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};
            us_buf_add(b, le, 4);
        }
    }
    us_mem_put(&c->alloc, u, width, sizeof *u);
    return us_buf_check(b);
}

static size_t widest(const us_tensor *t)
{
    size_t w = 1;
    int64_t n = us_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        size_t k = code_points(us_tensor_str_at(t, i), NULL);
        if (k > w) w = k;
    }
    return w;
}

/* 'descr' of a type: its own, or unsigned bits for those NumPy does not know; packed types are bytes. */
static void print_descr(const us_tensor *t, size_t width, char *out, size_t out_bytes)
{
    size_t bits = us_dtype_get(t->dtype)->bits;
    if (t->dtype == US_STRING) {
        (void)snprintf(out, out_bytes, "<U%zu", width);
        return;
    }
    for (size_t i = 0; i < US_LEN(types); i++)
        if (types[i].dtype == t->dtype) {
            (void)snprintf(out, out_bytes, "%c%c%zu", types[i].item == 1 ? '|' : '<',
                           types[i].kind, types[i].item);
            return;
        }
    (void)snprintf(out, out_bytes, "%su%zu", bits <= 8 ? "|" : "<",
                   bits < 8 ? (size_t)1 : bits / 8);
}

static void print_header(const us_tensor *t, size_t width, us_buf *b)
{
    char text[640], type[32], dims[400] = "";
    print_descr(t, width, type, sizeof type);
    bool packed = us_dtype_get(t->dtype)->bits < 8;
    int rank = packed ? 1 : t->rank;
    for (int i = 0; i < rank; i++) {
        size_t k = strlen(dims);
        long long d = packed ? (long long)us_tensor_bytes(t) : (long long)t->dims[i];
        (void)snprintf(dims + k, sizeof dims - k, i + 1 < rank || rank == 1 ? "%lld," : "%lld",
                       d);
        if (i + 1 < rank) (void)snprintf(dims + strlen(dims), sizeof dims - strlen(dims), " ");
    }
    int n = snprintf(text, sizeof text,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, dims);
    size_t total = (10 + (size_t)n + 1 + 63) / 64 * 64;
    size_t len = total - 10;
    char head[10] = "\x93NUMPY";
    head[6] = 1;
    head[7] = 0;
    head[8] = (char)(len & 0xFF);
    head[9] = (char)(len >> 8);
    us_buf_add(b, head, sizeof head);
    us_buf_add(b, text, (size_t)n);
    for (size_t i = (size_t)n; i + 1 < len; i++)
        us_buf_addc(b, ' ');
    us_buf_addc(b, '\n');
}

us_err us_npy_print(us_ctx *c, const us_tensor *t, us_buf *b)
{
    bool text = t->dtype == US_STRING;
    size_t width = text ? widest(t) : 0;
    print_header(t, width, b);
    if (text) return print_texts(c, t, width, b);
    if (us_tensor_contiguous(t)) {
        us_buf_add(b, t->data, us_tensor_bytes(t));
        return us_buf_check(b);
    }
    us_arena *a;
    us_tensor dense;
    US_TRY(us_arena_new(c, "npy", SIZE_MAX / 2, &a));
    us_err e = us_tensor_dup(c, a, t, &dense);
    if (e == US_OK) us_buf_add(b, dense.data, us_tensor_bytes(&dense));
    us_arena_free(a);
    return e != US_OK ? e : us_buf_check(b);
}

us_err us_npy_write(us_ctx *c, const char *path, const us_tensor *t)
{
    us_buf b;
    us_buf_init(&b, c, SIZE_MAX / 2);
    us_err e = us_npy_print(c, t, &b);
    if (e == US_OK) e = us_file_replace(c, path, b.p, b.n);
    us_buf_deinit(&b);
    return e;
}
