/* data/snapshot.c - see snapshot.h.
 *
 *     header, 48 bytes     magic[8] version:u32 n_cols:u32 n_rows:u64 bytes:u64 head_bytes:u32 crc:u32 zero:u64
 *     per column           type:u32 name_bytes:u32 n_null:u64 { offset:u64 bytes:u64 crc:u32 zero:u32 } x 3 (validity,
 *                          offsets, data), name padded to 8
 *
 * crc covers the directory and the header with its crc field as zero.
 */
#include "data/snapshot.h"

#include <string.h>

#include "base/crc.h"

#define MAGIC     "USTASNAP"
#define HEAD      48
#define COL_FIXED (16 + 3 * 24)

typedef struct buffer {
    const void *p;
    size_t n;
} buffer;

static void put(us_buf *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        us_buf_addc(b, (char)(v >> (8 * i) & 0xFF));
}

static uint64_t get(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static size_t align(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static void buffers_of(const us_column *k, buffer out[3])
{
    size_t n = k->n;
    out[0] = (buffer){k->valid, k->valid ? (n + 7) / 8 : 0};
    out[1] = (buffer){k->offsets, k->type == US_COL_STR ? (n + 1) * 8 : 0};
    out[2] = (buffer){k->data, k->type == US_COL_STR    ? (size_t)k->offsets[n]
                               : k->type == US_COL_BOOL ? (n + 7) / 8
                                                        : n * 8};
}

static void zeros(us_buf *b, size_t start, size_t to)
{
    while ((b->n - start) % to && b->err == US_OK)
        us_buf_addc(b, 0);
}

static void print_directory(const us_table *t, size_t head_bytes, us_buf *b)
{
    size_t at = align(head_bytes, 64);
    for (size_t i = 0; i < t->n_cols; i++) {
        const us_column *k = &t->cols[i];
        buffer f[3];
        size_t start = b->n;
        buffers_of(k, f);
        put(b, k->type, 4);
        put(b, k->name.n, 4);
        put(b, k->n_null, 8);
        for (int j = 0; j < 3; j++) {
            put(b, f[j].n ? at : 0, 8);
            put(b, f[j].n, 8);
            put(b, us_crc32c(0, f[j].p, f[j].n), 4);
            put(b, 0, 4);
            at += align(f[j].n, 64);
        }
        us_buf_addsv(b, k->name);
        zeros(b, start, 8);
    }
}

us_err us_snapshot_print(us_ctx *c, const us_table *t, us_buf *b)
{
    us_buf dir;
    us_err e = US_OK;
    size_t head = HEAD, body = 0, start = b->n;
    uint32_t crc;
    buffer f[3];
    for (size_t i = 0; i < t->n_cols; i++) {
        head += align(COL_FIXED + t->cols[i].name.n, 8);
        buffers_of(&t->cols[i], f);
        for (int j = 0; j < 3; j++)
            body += align(f[j].n, 64);
    }
    us_buf_init(&dir, c, (size_t)1 << 30);
    us_buf_adds(&dir, MAGIC);
    put(&dir, US_SNAPSHOT_VERSION, 4);
    put(&dir, t->n_cols, 4);
    put(&dir, t->n_rows, 8);
    put(&dir, align(head, 64) + body, 8);
    put(&dir, head, 4);
    put(&dir, 0, 4);
    put(&dir, 0, 8);
    print_directory(t, head, &dir);
    US_GO(us_buf_check(&dir));
    crc = us_crc32c(0, dir.p, dir.n);
    for (int i = 0; i < 4; i++)
        dir.p[36 + i] = (char)(crc >> (8 * i) & 0xFF);
    us_buf_addsv(b, us_buf_sv(&dir));
    zeros(b, start, 64);
    for (size_t i = 0; i < t->n_cols; i++) {
        buffers_of(&t->cols[i], f);
        for (int j = 0; j < 3; j++) {
            us_buf_add(b, f[j].p, f[j].n);
            zeros(b, start, 64);
        }
    }
    e = us_buf_check(b);
out:
    us_buf_deinit(&dir);
    return e;
}

/* --- reading ------------------------------------------------------------------------------------------- */

typedef struct snap {
    us_ctx *c;
    const char *name;
    const uint8_t *p;
    size_t n, head, n_rows;
    bool check;
} snap;

static us_err damaged(const snap *s, const char *what)
{
    return us_fail(s->c, US_FORMAT, "%s: damaged snapshot: %s", s->name, what);
}

static us_err read_header(snap *s, size_t *n_cols)
{
    if (s->n < HEAD || memcmp(s->p, MAGIC, 8) != 0)
        return us_fail(s->c, US_FORMAT, "%s: not a snapshot", s->name);
    if (get(s->p + 8, 4) != US_SNAPSHOT_VERSION)
        return us_fail(s->c, US_FORMAT, "%s: snapshot of version %llu, this program reads %d",
                       s->name, (unsigned long long)get(s->p + 8, 4), US_SNAPSHOT_VERSION);
    static const uint8_t none[4] = {0};
    s->head = (size_t)get(s->p + 32, 4);
    s->n_rows = (size_t)get(s->p + 16, 8);
    *n_cols = (size_t)get(s->p + 12, 4);
    if (get(s->p + 24, 8) != s->n) return damaged(s, "its size is not the one written in it");
    if (s->head < HEAD || s->head > s->n) return damaged(s, "directory past the end");
    uint32_t crc = us_crc32c(0, s->p, 36);
    crc = us_crc32c(crc, none, 4);
    crc = us_crc32c(crc, s->p + 40, s->head - 40);
    if (crc != get(s->p + 36, 4)) return damaged(s, "the directory's checksum is wrong");
    return US_OK;
}

static us_err read_buffer(const snap *s, const uint8_t *entry, size_t want, buffer *out)
{
    uint64_t at = get(entry, 8), n = get(entry + 8, 8);
    *out = (buffer){0};
    if (want != SIZE_MAX && n != want && n != 0)
        return damaged(s, "a buffer of the wrong size");
    if (n == 0) return US_OK;
    if (at % 64 || at > s->n || n > s->n - at) return damaged(s, "a buffer outside the file");
    *out = (buffer){s->p + at, (size_t)n};
    if (s->check && us_crc32c(0, out->p, out->n) != get(entry + 16, 4))
        return damaged(s, "a buffer's checksum is wrong");
    return US_OK;
}

static us_err check_offsets(const snap *s, const us_column *k, size_t n_data)
{
    if (!k->offsets || k->offsets[0] != 0) return damaged(s, "offsets of a text column");
    for (size_t i = 0; i < k->n; i++)
        if (k->offsets[i + 1] < k->offsets[i]) return damaged(s, "falling offsets");
    if ((uint64_t)k->offsets[k->n] != n_data) return damaged(s, "offsets past the text");
    return US_OK;
}

static us_err read_column(const snap *s, size_t *at, us_column *k)
{
    static const uint8_t empty[64] = {0};
    const uint8_t *e = s->p + *at;
    buffer f[3];
    size_t n = s->n_rows;
    if (s->head - *at < COL_FIXED) return damaged(s, "the directory ends early");
    uint64_t type = get(e, 4), n_name = get(e + 4, 4);
    if (n_name > s->head - *at - COL_FIXED) return damaged(s, "a name past the directory");
    if (type < US_COL_F64 || type > US_COL_TIME) return damaged(s, "an unknown column type");
    bool text = type == US_COL_STR;
    US_TRY(read_buffer(s, e + 16, (n + 7) / 8, &f[0]));
    US_TRY(read_buffer(s, e + 40, text ? (n + 1) * 8 : 0, &f[1]));
    US_TRY(read_buffer(s, e + 64,
                       text                  ? SIZE_MAX
                       : type == US_COL_BOOL ? (n + 7) / 8
                                             : n * 8,
                       &f[2]));
    if (!text && n && !f[2].n) return damaged(s, "a column without data");
    *k = (us_column){.name = {(const char *)e + COL_FIXED, (size_t)n_name},
                     .type = (us_coltype)type,
                     .n = n,
                     .valid = f[0].p,
                     .offsets = f[1].p,
                     .data = f[2].p ? f[2].p : empty};
    us_column_count_null(k);
    if (k->n_null != get(e + 8, 8)) return damaged(s, "the count of missing values is wrong");
    if (text) US_TRY(check_offsets(s, k, f[2].n));
    *at += align(COL_FIXED + (size_t)n_name, 8);
    return *at <= s->head ? US_OK : damaged(s, "the directory ends early");
}

us_err us_snapshot_parse(us_ctx *c, const char *name, const void *p, size_t n,
                         bool check_buffers, us_table **out)
{
    snap s = {.c = c, .name = name, .p = p, .n = n, .check = check_buffers};
    size_t n_cols = 0, at = HEAD;
    us_table *t = NULL;
    us_err e = US_OK;
    if ((uintptr_t)p % 8) return us_fail(c, US_ARG, "%s: snapshot bytes are not aligned", name);
    US_TRY(read_header(&s, &n_cols));
    if (n_cols > s.head / COL_FIXED)
        return damaged(&s, "more columns than its directory holds");
    US_TRY(us_table_new(c, s.n_rows, n_cols, &t));
    for (size_t i = 0; i < n_cols; i++)
        US_GO(read_column(&s, &at, &t->cols[i]));
    US_GO(us_table_index(c, t));
    *out = t;
    return US_OK;
out:
    us_table_free(t);
    return e;
}

us_err us_snapshot_read(us_ctx *c, const char *path, bool check_buffers, us_table **out)
{
    us_file *f = NULL;
    us_table *t = NULL;
    US_TRY(us_file_open(c, path, (uint64_t)1 << 40, &f));
    us_err e = us_snapshot_parse(c, path, us_file_data(f), us_file_size(f), check_buffers, &t);
    if (e != US_OK) {
        us_file_close(f);
        return e;
    }
    t->file = f;
    *out = t;
    return US_OK;
}
