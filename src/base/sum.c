/* base/sum.c - see sum.h. */
#include "base/sum.h"

#include <string.h>

#include "base/wide.h"

/* Odd numbers with half of their bits set: the digits of pi, in pieces of 64 bits. */
static const uint64_t keys[5] = {0x243F6A8885A308D3U, 0x13198A2E03707345U, 0xA4093822299F31D1U,
                                 0x082EFA98EC4E6C89U, 0x452821E638D01377U};

/* Both halves of the product, folded. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    us_wide p = us_wide_product(a, b);
    return p.lo ^ p.hi;
}

static uint64_t word(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

static void take(uint64_t lane[4], const uint8_t *p, size_t n_blocks)
{
    uint64_t a = lane[0], b = lane[1], c = lane[2], d = lane[3];
    for (; n_blocks; n_blocks--, p += 64) {
        a = mix(word(p) ^ keys[0], word(p + 8) ^ a);
        b = mix(word(p + 16) ^ keys[1], word(p + 24) ^ b);
        c = mix(word(p + 32) ^ keys[2], word(p + 40) ^ c);
        d = mix(word(p + 48) ^ keys[3], word(p + 56) ^ d);
    }
    lane[0] = a;
    lane[1] = b;
    lane[2] = c;
    lane[3] = d;
}

void us_sum_init(us_sum *s)
{
    memset(s, 0, sizeof *s);
    memcpy(s->lane, keys, sizeof s->lane);
}

void us_sum_add(us_sum *s, const void *p, size_t n)
{
    const uint8_t *at = p;
    size_t have = s->n % 64;
    if (!n) return;
    s->n += n;
    if (have) {
        size_t k = US_MIN(n, 64 - have);
        memcpy(s->rest + have, at, k);
        if (have + k < 64) return;
        take(s->lane, s->rest, 1);
        at += k;
        n -= k;
    }
    take(s->lane, at, n / 64);
    if (n % 64) memcpy(s->rest, at + n / 64 * 64, n % 64);
}

uint64_t us_sum_done(const us_sum *s)
{
    uint64_t lane[4], h;
    uint8_t last[64] = {0};
    size_t rest = s->n % 64;
    memcpy(lane, s->lane, sizeof lane);
    if (rest) {
        memcpy(last, s->rest, rest);
        take(lane, last, 1);
    }
    h = mix(lane[0] ^ keys[4], lane[1] ^ s->n);
    h = mix(h ^ lane[2], lane[3] ^ keys[4]);
    return mix(h ^ keys[0], s->n ^ keys[1]);
}

uint64_t us_sum_of(const void *p, size_t n)
{
    us_sum s;
    us_sum_init(&s);
    us_sum_add(&s, p, n);
    return us_sum_done(&s);
}
