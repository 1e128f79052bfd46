/* xoshiro256** seeded by splitmix64, after the papers of Blackman and Vigna (2018) and Steele, Lea and
 * Flood (2014).
 *
 * 1. The state is never all zero (that is the generator's one fixed point).
 */
#include "base/prng.h"

#include <assert.h>
#include <string.h>

static uint64_t rotate_left(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static uint64_t splitmix64(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void prng_seed(struct prng *prng, uint64_t seed) {
    /* splitmix64 is a bijection of its counter, so four outputs in a row cannot all be zero. */
    for (int i = 0; i < 4; i++) {
        prng->s[i] = splitmix64(&seed);
    }
}

void prng_seed_wide(struct prng *prng, const uint64_t seed[4]) {
    if ((seed[0] | seed[1] | seed[2] | seed[3]) == 0) {
        prng_seed(prng, 0);
        return;
    }
    memcpy(prng->s, seed, sizeof prng->s);
}

uint64_t prng_u64(struct prng *prng) {
    uint64_t *s = prng->s;
    assert((s[0] | s[1] | s[2] | s[3]) != 0);
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound) {
    assert(bound > 0);
    /* 2^64 mod bound numbers at the low end are drawn again; what is left is a multiple of bound. */
    uint64_t reject = (0 - bound) % bound;
    uint64_t x;
    do {
        x = prng_u64(prng);
    } while (x < reject);
    return x % bound;
}

int prng_chance(struct prng *prng, uint64_t parts, uint64_t of) {
    return prng_below(prng, of) < parts;
}

void prng_fill(struct prng *prng, void *bytes, uint64_t len) {
    uint8_t *to = bytes;
    while (len > 0) {
        /* Byte by byte from the low end: the same on every machine. */
        uint64_t x = prng_u64(prng);
        for (int i = 0; i < 8 && len > 0; i++, len--) {
            *to++ = (uint8_t)x;
            x >>= 8;
        }
    }
}
