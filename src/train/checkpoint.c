/* train/checkpoint.c - writing and reading checkpoints (format: train/checkpoint.h).
 *
 * The reader takes sizes from the file only after they have been checked against the file's length, so a damaged file
 * costs no memory; the CRC is checked before anything is used.
 */
#include "train/checkpoint.h"

#include <string.h>

#include "base/crc.h"
#include "base/file.h"

#define HEADER 72
static const char magic[8] = {'U', 'S', 'T', 'A', 'C', 'K', 'P', 'T'};

static void put_u32(us_buf *b, uint32_t v)
{
    us_buf_add(b, &v, sizeof(v));
}

static void put_u64(us_buf *b, uint64_t v)
{
    us_buf_add(b, &v, sizeof(v));
}

static void put_f64(us_buf *b, double v)
{
    us_buf_add(b, &v, sizeof(v));
}

us_err us_ckpt_print(us_ctx *c, const us_ckpt *k, us_buf *b)
{
    (void)c;
    size_t start = b->n;
    us_buf_add(b, magic, sizeof(magic));
    put_u32(b, US_CKPT_VERSION);
    put_u32(b, (uint32_t)k->n_slots);
    put_u64(b, k->fingerprint);
    put_u64(b, k->epochs);
    put_u64(b, k->steps);
    put_u64(b, k->best_epoch);
    put_f64(b, k->best_loss);
    put_u64(b, k->n_values);
    put_u64(b, k->n_history);
    us_buf_add(b, k->values, k->n_values * sizeof(float));
    us_buf_add(b, k->best, k->n_values * sizeof(float));
    for (size_t i = 0; i < k->n_slots; i++)
        us_buf_add(b, k->slots[i], k->n_values * sizeof(float));
    for (size_t i = 0; i < k->n_history; i++) {
        const us_train_epoch *h = &k->history[i];
        put_f64(b, h->train_loss);
        put_f64(b, h->valid_loss);
        put_f64(b, h->metric);
        put_f64(b, h->lr);
        put_f64(b, h->grad_norm);
    }
    US_TRY(us_buf_check(b));
    put_u32(b, us_crc32c(0, b->p + start, b->n - start));
    return us_buf_check(b);
}

static uint32_t get_u32(const uint8_t **p)
{
    uint32_t v;
    memcpy(&v, *p, sizeof(v));
    *p += sizeof(v);
    return v;
}

static uint64_t get_u64(const uint8_t **p)
{
    uint64_t v;
    memcpy(&v, *p, sizeof(v));
    *p += sizeof(v);
    return v;
}

static double get_f64(const uint8_t **p)
{
    double v;
    memcpy(&v, *p, sizeof(v));
    *p += sizeof(v);
    return v;
}

static us_err read_header(us_ctx *c, const char *name, const uint8_t *p, size_t n, us_ckpt *k)
{
    if (n < HEADER + 4 || memcmp(p, magic, sizeof(magic)) != 0)
        return us_fail(c, US_FORMAT,
                       "%s: not a training checkpoint (%zu bytes, expected USTACKPT)", name, n);
    p += sizeof(magic);
    uint32_t version = get_u32(&p);
    if (version != US_CKPT_VERSION)
        return us_fail(
            c, US_FORMAT,
            "%s: checkpoint of version %u, this program reads %d; remove it to start over",
            name, version, US_CKPT_VERSION);
    k->n_slots = get_u32(&p);
    k->fingerprint = get_u64(&p);
    k->epochs = get_u64(&p);
    k->steps = get_u64(&p);
    k->best_epoch = get_u64(&p);
    k->best_loss = get_f64(&p);
    uint64_t n_values = get_u64(&p), n_history = get_u64(&p);
    if (k->n_slots < 1 || k->n_slots > 2 || n_values < 1 || n_values > US_CKPT_MAX_VALUES ||
        n_history > US_CKPT_MAX_EPOCHS || k->epochs != n_history || k->best_epoch > n_history)
        return us_fail(
            c, US_FORMAT,
            "%s: checkpoint with impossible counts (%zu states, %llu weights, %llu epochs)",
            name, k->n_slots, (unsigned long long)n_values, (unsigned long long)n_history);
    uint64_t want = HEADER + 4 * n_values * (2 + k->n_slots) + 40 * n_history + 4;
    if (want != n)
        return us_fail(c, US_FORMAT, "%s: checkpoint of %zu bytes, its header says %llu", name,
                       n, (unsigned long long)want);
    k->n_values = (size_t)n_values;
    k->n_history = (size_t)n_history;
    return US_OK;
}

static us_err read_floats(us_ctx *c, us_arena *a, const uint8_t **p, size_t n, float **out)
{
    *out = us_new_n(a, float, n);
    if (!*out) return us_arena_fail(c, a);
    memcpy(*out, *p, n * sizeof(float));
    *p += n * sizeof(float);
    return US_OK;
}

us_err us_ckpt_parse(us_ctx *c, us_arena *a, const char *name, const void *data, size_t n,
                     us_ckpt *out)
{
    us_ckpt k = {0};
    const uint8_t *p = data;
    US_TRY(read_header(c, name, p, n, &k));
    uint32_t stored;
    memcpy(&stored, p + n - 4, 4);
    if (us_crc32c(0, p, n - 4) != stored)
        return us_fail(c, US_FORMAT, "%s: the checkpoint is damaged (its CRC does not match)",
                       name);
    p += HEADER;
    US_TRY(read_floats(c, a, &p, k.n_values, &k.values));
    US_TRY(read_floats(c, a, &p, k.n_values, &k.best));
    for (size_t i = 0; i < k.n_slots; i++)
        US_TRY(read_floats(c, a, &p, k.n_values, &k.slots[i]));
    k.history = us_new_n(a, us_train_epoch, k.n_history);
    if (!k.history) return us_arena_fail(c, a);
    for (size_t i = 0; i < k.n_history; i++) {
        us_train_epoch *h = &k.history[i];
        h->train_loss = get_f64(&p);
        h->valid_loss = get_f64(&p);
        h->metric = get_f64(&p);
        h->lr = get_f64(&p);
        h->grad_norm = get_f64(&p);
    }
    *out = k;
    return US_OK;
}

us_err us_ckpt_write(us_ctx *c, const char *path, const us_ckpt *k)
{
    us_buf b;
    us_buf_init(&b, c, US_CKPT_MAX_BYTES);
    us_err e = us_ckpt_print(c, k, &b);
    if (e == US_OK) e = us_file_replace(c, path, b.p, b.n);
    us_buf_deinit(&b);
    return e;
}

us_err us_ckpt_read(us_ctx *c, us_arena *a, const char *path, us_ckpt *out)
{
    us_file *f;
    US_TRY(us_file_open(c, path, US_CKPT_MAX_BYTES, &f));
    us_err e = us_ckpt_parse(c, a, path, us_file_data(f), us_file_size(f), out);
    us_file_close(f);
    return e;
}
