/* data/gunzip.c - gzip files, whole, with a limit on what comes out (a small file may hold a huge one). */
#include <limits.h>
#include <string.h>

#include <zlib.h>

#include "data/csv.h"

#define STEP ((size_t)1 << 18)

/* zlib's memory comes from the context too. */
static void *z_alloc(void *ud, unsigned n, unsigned size)
{
    size_t bytes;
    us_alloc *a = ud;
    if (!us_mul_size(n, size, &bytes) || !us_add_size(bytes, sizeof(size_t) * 2, &bytes))
        return NULL;
    size_t *p = us_mem_get(a, 1, bytes);
    if (!p) return NULL;
    p[0] = bytes;
    return p + 2;
}

static void z_free(void *ud, void *q)
{
    size_t *p = q;
    if (!p) return;
    p -= 2;
    us_mem_put(ud, p, 1, p[0]);
}

static us_err inflate_all(us_ctx *c, const char *name, z_stream *z, const uint8_t *p, size_t n,
                          size_t max_bytes, char *block, us_buf *out)
{
    size_t at = 0;
    bool ended = false;
    while (at < n || !ended) {
        if (z->avail_in == 0 && at < n) {
            size_t k = US_MIN(n - at, (size_t)UINT_MAX / 2);
            z->next_in = (Bytef *)(uintptr_t)(p + at);
            z->avail_in = (uInt)k;
            at += k;
        }
        if (ended && z->avail_in < 2) return US_OK;
        if (ended && (z->next_in[0] != 0x1f || z->next_in[1] != 0x8b))
            return US_OK; /* padding after the last member */
        if (ended && inflateReset(z) != Z_OK) return us_nomem(c);
        ended = false;
        z->next_out = (Bytef *)block;
        z->avail_out = (uInt)STEP;
        int r = inflate(z, Z_NO_FLUSH);
        if (r == Z_MEM_ERROR) return us_nomem(c);
        if (r == Z_BUF_ERROR || (r == Z_OK && z->avail_in == 0 && at == n && z->avail_out))
            return us_fail(c, US_FORMAT,
                           "%s: the gzip data end too early (%zu bytes); truncated?", name, n);
        if (r != Z_OK && r != Z_STREAM_END)
            return us_fail(c, US_FORMAT, "%s: damaged gzip data: %s", name,
                           z->msg ? z->msg : "bad header");
        us_buf_add(out, block, STEP - z->avail_out);
        if (out->n > max_bytes)
            return us_fail(c, US_LIMIT, "%s: more than %zu bytes when unpacked", name,
                           max_bytes);
        US_TRY(us_buf_check(out));
        ended = r == Z_STREAM_END;
        if (ended && z->avail_in == 0 && at == n) return US_OK;
    }
    return US_OK;
}

us_err us_gunzip(us_ctx *c, const char *name, const void *p, size_t n, size_t max_bytes,
                 us_buf *out)
{
    const uint8_t *q = p;
    if (n < 2 || q[0] != 0x1f || q[1] != 0x8b) {
        us_buf_add(out, p, n);
        return us_buf_check(out);
    }
    z_stream z;
    memset(&z, 0, sizeof z);
    z.zalloc = z_alloc;
    z.zfree = z_free;
    z.opaque = &c->alloc;
    if (inflateInit2(&z, 15 + 16) != Z_OK) return us_nomem(c);
    char *block = us_mem_get(&c->alloc, STEP, 1);
    us_err e = block ? inflate_all(c, name, &z, q, n, max_bytes, block, out) : us_nomem(c);
    us_mem_put(&c->alloc, block, STEP, 1);
    inflateEnd(&z);
    return e;
}
