/* store/hash.c - BLAKE2b-256 by libsodium, as 64 hex digits. */
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#include "base/file.h"
#include "store/store.h"

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(us_hasher),
               "room for libsodium's state");

static void to_hex(const unsigned char raw[32], us_hash *out)
{
    sodium_bin2hex(out->hex, sizeof out->hex, raw, 32);
}

void us_hash_bytes(const void *p, size_t n, us_hash *out)
{
    unsigned char raw[32];
    static const unsigned char none[1] = {0};
    crypto_generichash(raw, sizeof raw, n ? p : none, n, NULL, 0);
    to_hex(raw, out);
}

us_err us_hash_file(us_ctx *c, const char *path, us_hash *out)
{
    us_file *f = NULL;
    US_TRY(us_file_open(c, path, US_STORE_MAX_OBJECT, &f));
    us_hash h;
    us_hash_bytes(us_file_data(f), us_file_size(f), &h);
    bool ok = us_file_ok(f);
    us_file_close(f);
    if (!ok) return us_fail(c, US_IO, "'%s' became shorter while it was read", path);
    *out = h;
    return US_OK;
}

bool us_hash_is(const us_hash *h)
{
    return h->hex[0] != 0;
}

bool us_hash_eq(const us_hash *a, const us_hash *b)
{
    return strcmp(a->hex, b->hex) == 0;
}

void us_hasher_init(us_hasher *h)
{
    crypto_generichash_init((crypto_generichash_state *)(void *)h, NULL, 0, 32);
}

void us_hasher_add(us_hasher *h, const void *p, size_t n)
{
    unsigned char len[8];
    for (int i = 0; i < 8; i++)
        len[i] = (unsigned char)((uint64_t)n >> (8 * i));
    crypto_generichash_state *st = (crypto_generichash_state *)(void *)h;
    crypto_generichash_update(st, len, sizeof len);
    if (n) crypto_generichash_update(st, p, n);
}

void us_hasher_done(us_hasher *h, us_hash *out)
{
    unsigned char raw[32];
    crypto_generichash_final((crypto_generichash_state *)(void *)h, raw, sizeof raw);
    to_hex(raw, out);
}
